"""Bring a file here whole: resumed where another process left off, and given only where its SHA-256 is the right one.

What has come so far lies beside the file as `NAME.gguf.part`, and a sidecar says what it is a part of.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from gemx import places
from gemx.errors import InputError, StorageError, StreamCutError, TemporaryError
from gemx.models import connection, hub
from gemx.models.connection import Answer, Network
from gemx.models.store import part_of

OnProgress = Callable[[int, int | None], None]

WAITS = (0.5, 1.0, 2.0, 4.0)
_PIECE = 1 << 22
_SPARE = 256 << 20
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


@dataclass(frozen=True)
class Remote:
    """A file elsewhere: its `sha256` is known before a byte of it is asked for, its `size` in bytes perhaps not.

    `what` is how a person calls it, `page` where access to it is asked for.
    """

    url: str
    what: str
    sha256: str
    size: int | None = None
    commit: str = ""
    page: str | None = None
    token: str | None = None


def fetch(remote: Remote, target: Path, network: Network, on_progress: OnProgress | None = None) -> Path:
    """Bring a file here, as the whole part beside `target`, and return that. One process at a time may do so.

    Raises StorageError (a full disk), InputError (another content than its hash says), TemporaryError and what `hub`
    raises; what has come by then stays, unless it is wrong.
    """
    part, sidecar = part_of(target), sidecar_of(target)
    if not _is_of(sidecar, remote):
        part.unlink(missing_ok=True)
        # The rest of an address may be a secret.
        said = {
            "url": remote.url.partition("?")[0],
            "commit": remote.commit,
            "sha256": remote.sha256,
            "size": remote.size,
        }
        places.write_private(sidecar, json.dumps(said).encode())
    if remote.size is not None:
        check_disk(target.parent, remote.size - (part.stat().st_size if part.exists() else 0))
    with _Part(part) as growing:
        total = _filled(growing, remote, network, on_progress)
        digest = growing.finished()
    if digest != remote.sha256:
        discard(target)
        said = f"{remote.what} came with the SHA-256 {digest}, where {remote.sha256} was expected"
        raise InputError(f"{said}: it was thrown away", hint=_mend(total, remote))
    return part


def sidecar_of(target: Path) -> Path:
    """What the part is a part of."""
    return target.with_name(f"{target.name}.part.json")


def discard(target: Path) -> None:
    """Throw away what has come so far. Raises StorageError."""
    try:
        part_of(target).unlink(missing_ok=True)
        sidecar_of(target).unlink(missing_ok=True)
    except OSError as exc:
        raise StorageError(f"cannot remove {exc.filename}: {exc.strerror}") from exc


def check_disk(folder: Path, needed: int) -> None:
    """Raise StorageError where so many bytes, and some to spare, do not fit on the disk of a folder."""
    free = shutil.disk_usage(folder).free
    if needed + _SPARE > free:
        said = f"{folder} has {free / 1e9:.1f} GB free, and {(needed + _SPARE) / 1e9:.1f} GB are needed"
        raise StorageError(said, hint="free some disk space, or set GEMX_HOME to a larger disk")


class _Part:
    """A file that grows, and the hash of what it holds."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, places.FILE_MODE)
        except OSError as exc:
            raise StorageError(f"cannot write {path}: {exc.strerror}") from exc
        self._file = os.fdopen(descriptor, "r+b", buffering=0)
        self._digest = hashlib.sha256()
        self.size = 0
        while piece := self._file.read(_PIECE):
            self._digest.update(piece)
            self.size += len(piece)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, piece: bytes) -> None:
        """Append to the file. Raises StorageError."""
        try:
            view = memoryview(piece)
            while view:
                view = view[self._file.write(view) :]
        except OSError as exc:
            full = exc.errno in (errno.ENOSPC, errno.EDQUOT)
            said = "the disk is full" if full else str(exc.strerror)
            hint = "free some disk space and run the same command: it goes on from there" if full else None
            raise StorageError(f"cannot write {self.path}: {said}", hint=hint) from exc
        self._digest.update(piece)
        self.size += len(piece)

    def restart(self) -> None:
        """Begin anew."""
        self._file.seek(0)
        self._file.truncate()
        self._digest = hashlib.sha256()
        self.size = 0

    def finished(self) -> str:
        """The hash of the file, once it lies on the disk. Raises StorageError."""
        try:
            os.fsync(self._file.fileno())
        except OSError as exc:
            raise StorageError(f"cannot write {self.path}: {exc.strerror}") from exc
        return self._digest.hexdigest()


def _filled(part: _Part, remote: Remote, network: Network, on_progress: OnProgress | None) -> int | None:
    """Go on until the file is whole, over connections that are cut; returns its size where the server tells it."""
    failures, most = 0, part.size
    while remote.size is None or part.size < remote.size:
        try:
            return _pulled(part, remote, network, on_progress)
        except TemporaryError as exc:
            # Against the most that was ever here: what begins anew each time gets nowhere.
            failures, most = 0 if part.size > most else failures + 1, max(part.size, most)
            # What cannot even begin is tried as often; a file that comes in bits is gone on with for ever.
            if failures >= len(WAITS):
                raise _interrupted(exc, part, remote) from exc
            time.sleep(WAITS[failures])
    return remote.size


def _pulled(part: _Part, remote: Remote, network: Network, on_progress: OnProgress | None) -> int | None:
    headers = {"Range": f"bytes={part.size}-"} if part.size else {}
    with connection.opened(remote.url, network, token=remote.token, headers=headers) as answer:
        if answer.status == 416:
            # It holds more than there is, or the server does not know ranges: only the beginning is left.
            part.restart()
            raise StreamCutError(f"{remote.what}: the server does not go on from there")
        hub.check(answer, remote.what, remote.page)
        total = _total(part, answer)
        if remote.size is not None and total is not None and total != remote.size:
            raise InputError(f"{remote.what} has {total} bytes, where {remote.size} were expected")
        total = remote.size if total is None else total
        if total is not None:
            check_disk(part.path.parent, total - part.size)
        for piece in answer.pieces():
            part.add(piece)
            if total is not None and part.size > total:
                raise InputError(f"{remote.what} goes on beyond the {total} bytes that were expected")
            if on_progress:
                on_progress(part.size, total)
    if total is not None and part.size < total:
        raise StreamCutError(f"{remote.what}: the connection was cut")
    return total


def _total(part: _Part, answer: Answer) -> int | None:
    """How many bytes the file has, where the server says so; the part is begun anew where the answer does not fit."""
    length = answer.headers.get("content-length", "")
    if answer.status == 206:
        found = _RANGE.fullmatch(answer.headers.get("content-range", ""))
        if found and int(found[1]) == part.size:
            return int(found[2]) if found[2] != "*" else None
        part.restart()
        raise StreamCutError("the server gives another part than was asked for")
    if part.size:
        part.restart()
    return int(length) if length.isascii() and length.isdigit() else None


def _interrupted(exc: TemporaryError, part: _Part, remote: Remote) -> TemporaryError:
    of = f" of {remote.size}" if remote.size is not None else ""
    hint = f"{part.size}{of} bytes are here: run the same command, and it goes on from there"
    return type(exc)(exc.message, hint=hint)


def _is_of(sidecar: Path, remote: Remote) -> bool:
    """Whether the part beside is of the same content: a later commit with the same hash is."""
    try:
        said: Any = json.loads(sidecar.read_text(encoding="utf-8"))
        return said["sha256"] == remote.sha256
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _mend(total: int | None, remote: Remote) -> str:
    if remote.commit:
        return "run it again; where it happens twice, the endpoint or what lies between is not to be trusted"
    return "check the address and --sha256"
