"""Append records to the hash-chained daily audit files, from many processes at once.

One locked, synced append a record. `prev` is the SHA-256 of the previous line's bytes, across files, so a changed or
missing line shows. A line that a crash left without its end is closed and kept. Knows nothing of what a record says
beyond `v`, `seq`, `prev` and `time`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gemx import locks, places
from gemx.errors import StorageError

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


def append(record: Mapping[str, Any], folder: Path | None = None) -> int:
    """Append one record and return its `seq`. Raises StorageError; then nothing of the record is left behind."""
    folder = folder or places.audit_dir()
    with _locked(folder):
        head = _head(folder)
        now = datetime.now(UTC)
        chained = {
            "v": VERSION,
            "seq": head.seq + 1,
            "prev": head.digest,
            "time": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            **record,
        }
        text = json.dumps(chained, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        # A byte of a file name or an argument that is not UTF-8 stays as its JSON escape.
        line = text.encode("utf-8", "backslashreplace") + b"\n"
        path = _file(folder, now, head)
        if head.torn and head.path and path != head.path:
            _write(head.path, b"\n")
        _write(path, b"\n" + line if head.torn and path == head.path else line)
        return head.seq + 1


def check_writable(folder: Path | None = None) -> None:
    """Raise StorageError unless a record could be appended now: asked before a call is paid for."""
    folder = folder or places.audit_dir()
    with _locked(folder):
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


def _head(folder: Path) -> _Head:
    files = sorted(folder.glob("audit-????-??-??.jsonl"), reverse=True)
    head = _Head(None, b"", 0, torn=False)
    try:
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
    except (ValueError, KeyError, TypeError):
        return None
    return seq if isinstance(seq, int) else None


def _open(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, places.FILE_MODE)


def _write(path: Path, data: bytes) -> None:
    try:
        descriptor = _open(path)
        try:
            _write_whole(descriptor, data)
        finally:
            os.close(descriptor)
    except OSError as exc:
        raise _storage_error(path, exc) from exc


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
def _locked(folder: Path) -> Generator[None]:
    places.ensure_private_dir(folder)
    path = folder / ".lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, places.FILE_MODE)
    except OSError as exc:
        raise _storage_error(path, exc) from exc
    try:
        locks.wait_for(descriptor, path)
        yield
    finally:
        os.close(descriptor)


def _storage_error(path: Path, exc: OSError) -> StorageError:
    return StorageError(
        f"the audit log cannot be written: {path}: {exc.strerror}", hint="free or unlock it, or set GEMX_HOME elsewhere"
    )
