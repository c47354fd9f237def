"""Append records to the hash-chained daily audit files, from many processes at once.

One locked, synced append a record. `prev` is the SHA-256 of the previous line's bytes, across files, so a changed or
missing line shows. A line that a crash left without its end is closed and kept. Knows nothing of what a record says
beyond `v`, `seq`, `prev` and `time`.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import os
import threading
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gemx import locks, places
from gemx.audit import log
from gemx.errors import StorageError
from gemx.locks import Asked, Together

VERSION = 1
GENESIS = "0" * 64
_ROOM = 256 * 1024
_CHUNK = 64 * 1024


@dataclass(frozen=True)
class _Head:
    """The end of the chain: the newest file, its last line without the newline, and the last known number."""

    path: Path | None
    line: bytes
    seq: int
    torn: bool

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.line).hexdigest() if self.path else GENESIS


_alone = threading.Lock()
_known: dict[Path, tuple[_Head, tuple[int, int, int]]] = {}


def append(record: Mapping[str, Any], folder: Path | None = None) -> int:
    """Append one record and return its `seq`. Raises StorageError; then nothing of the record is left behind.

    Those of threads that wait at the same time are written and synced together.
    """
    _text(record)  # what is no JSON is the error of whoever wrote it
    return _together.ask((folder or places.audit_dir(), record))


def _append(asked: Sequence[Asked[tuple[Path, Mapping[str, Any]]]]) -> None:
    for folder in dict.fromkeys(each.what[0] for each in asked):
        group = [each for each in asked if each.what[0] == folder]
        try:
            last = append_all([each.what[1] for each in group], folder)
        except StorageError as exc:
            for each in group:
                each.error = copy.copy(exc)
        else:
            for number, each in enumerate(group, last - len(group) + 1):
                each.result = number


_together: Together[tuple[Path, Mapping[str, Any]]] = Together(_append)


def append_all(records: Iterable[Mapping[str, Any]], folder: Path | None = None) -> int:
    """Append records by one write, all or none, and return the `seq` of the last. Raises StorageError."""
    folder = folder or places.audit_dir()
    with locked(folder):
        head = _head(folder)
        now = datetime.now(UTC)
        seq, digest, written = head.seq, head.digest, bytearray()
        for record in records:
            seq += 1
            line = _line(record, seq, digest, now)
            digest = hashlib.sha256(line).hexdigest()
            written += line + b"\n"
        path = _file(folder, now, head)
        if head.torn and head.path and path != head.path:
            write(head.path, b"\n")
        write(path, b"\n" + written if head.torn and path == head.path else bytes(written))
        _remember(folder, path, bytes(written), seq)
        return seq


def _line(record: Mapping[str, Any], seq: int, previous: str, now: datetime) -> bytes:
    time = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    chained = {"v": VERSION, "seq": seq, "prev": previous, "time": time, **record}
    # A byte of a file name or an argument that is not UTF-8 stays as its JSON escape.
    return _text(chained).encode("utf-8", "backslashreplace")


def _text(record: Mapping[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def check_writable(folder: Path | None = None) -> None:
    """Raise StorageError unless a record could be appended now: asked before a call is paid for."""
    folder = folder or places.audit_dir()
    with locked(folder):
        path = _file(folder, datetime.now(UTC), _head(folder))
        try:
            os.close(_open(path))
            room = os.statvfs(folder)
        except OSError as exc:
            raise _storage_error(path, exc) from exc
        if room.f_bavail * room.f_frsize < _ROOM:
            raise StorageError(
                f"no room for the audit log in {folder}", hint="free some disk space; nothing was called"
            )


def _file(folder: Path, now: datetime, head: _Head) -> Path:
    today = folder / f"audit-{now:%Y-%m-%d}.jsonl"
    # A clock that was set back must not reopen an earlier day.
    return max(today, head.path) if head.path else today


def _remember(folder: Path, path: Path, written: bytes, seq: int) -> None:
    """Where nobody else appends meanwhile, the next record need not look for the end of the chain."""
    last = written.rstrip(b"\n").rpartition(b"\n")[2]
    with contextlib.suppress(OSError):
        _known[folder] = _Head(path, last, seq, torn=False), _stamp(path)


def _stamp(path: Path) -> tuple[int, int, int]:
    """What differs where a file is another one, or was written to."""
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _head(folder: Path) -> _Head:
    files = log.files(folder)[::-1]
    head = _Head(None, b"", 0, torn=False)
    try:
        known, stamp = _known.get(folder, (head, None))
        if files and files[0] == known.path and _stamp(files[0]) == stamp:
            return known
        for path, line in ((file, line) for file in files for line in _last_lines(file)):
            if head.path is None:
                head = _Head(path, line.rstrip(b"\n"), 0, torn=not line.endswith(b"\n"))
            # The newest file may hold nothing but a torn line: its number is in the file before.
            if (seq := _seq(line)) is not None:
                return replace(head, seq=seq)
    except OSError as exc:
        raise _storage_error(folder, exc) from exc
    return head


def _last_lines(path: Path) -> Iterator[bytes]:
    """The lines of a file from its end, read in growing blocks; a line is yielded with the newline that it has."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        yielded, block = 0, _CHUNK
        while size:
            start = max(0, size - block)
            file.seek(start)
            lines = file.read(size - start).splitlines(keepends=True)
            whole = lines if start == 0 else lines[1:]
            yield from whole[::-1][yielded:]
            if start == 0:
                return
            yielded, block = len(whole), block * 4


def _seq(line: bytes) -> int | None:
    try:
        seq = json.loads(line)["seq"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return seq if type(seq) is int else None


def _open(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, places.FILE_MODE)


def write(path: Path, data: bytes) -> None:
    """Append to a file that only the user can read, synced, whole or not at all. Raises StorageError."""
    try:
        descriptor = _open(path)
        try:
            if not os.fstat(descriptor).st_size:
                # Else a new file's bytes may outlive a crash, and its name not.
                sync_folder(path.parent)
            _write_whole(descriptor, data)
        finally:
            os.close(descriptor)
    except OSError as exc:
        raise _storage_error(path, exc) from exc


def sync_folder(folder: Path) -> None:
    """Have on the disk which files a folder has. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_whole(descriptor: int, data: bytes) -> None:
    size = os.fstat(descriptor).st_size
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fdatasync(descriptor)
    except OSError:
        os.ftruncate(descriptor, size)
        raise


@contextlib.contextmanager
def locked(folder: Path) -> Generator[None]:
    """Keep every other writer of the folder away, which is made where there is none. Raises StorageError."""
    places.ensure_private_dir(folder)
    path = folder / ".lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, places.FILE_MODE)
    except OSError as exc:
        raise _storage_error(path, exc) from exc
    try:
        # Threads wait here, each in its turn: the lock of a file is only asked for every now and then.
        with _alone:
            locks.wait_for(descriptor, path)
            yield
    finally:
        os.close(descriptor)


def _storage_error(path: Path, exc: OSError) -> StorageError:
    return StorageError(
        f"the audit log cannot be written: {path}: {exc.strerror}", hint="free or unlock it, or set GEMX_HOME elsewhere"
    )
