"""Whether a model's file holds what was installed: hashed anew where the file is not the one that was hashed last.

A file that was changed, even in its size's place, has another time of change; one that rots on the disk has not, and is
found by `gemx models verify`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from gemx import places
from gemx.errors import StorageError
from gemx.models import store
from gemx.models.store import Entry

OnProgress = Callable[[int, int], None]

_PIECE = 1 << 22
_SHOWN = 12
# The stamp of each file that is as it should be: a batch asks for every call.
_seen: dict[Path, str] = {}


def require(entry: Entry) -> None:
    """Raise StorageError where the file of an entry is not what was installed. It may be hashed for it."""
    if entry.state == "broken":
        raise _broken(entry)
    stamp = stamp_of(entry.path)
    if entry.state == "downloading" or stamp != entry.stamp:
        entry = verify(entry)
    if entry.state == "broken":
        raise _broken(entry)


def is_seen(path: Path, stamp: str) -> bool:
    """Whether this process has found a file of this stamp to be as it should."""
    return _seen.get(path) == stamp


def see(path: Path, stamp: str) -> None:
    """Remember that a file of this stamp is as it should be."""
    _seen[path] = stamp


def verify(entry: Entry, on_progress: OnProgress | None = None) -> Entry:
    """Hash the file of an entry, write down what was found, and return the entry as it then is. Raises StorageError."""
    if not places.is_file(entry.path):
        found = replace(entry, state="broken", problem="its file is gone")
    else:
        found = _hashed(entry, on_progress)
    _seen.pop(entry.path.resolve(), None)
    store.update(found)
    return found


def sha256_of(path: Path, on_progress: OnProgress | None = None) -> str:
    """The SHA-256 of a file, in hexadecimal; `on_progress` gets the bytes read and all of them. Raises StorageError."""
    digest, done = hashlib.sha256(), 0
    try:
        total = path.stat().st_size
        with path.open("rb", buffering=0) as file:
            while piece := file.read(_PIECE):
                digest.update(piece)
                done += len(piece)
                if on_progress:
                    on_progress(done, total)
    except OSError as exc:
        raise StorageError(f"cannot read {path}: {exc.strerror}") from exc
    return digest.hexdigest()


def stamp_of(path: Path) -> str:
    """What changes when a file is written to or replaced: its number, size and times. Raises StorageError."""
    try:
        found = path.stat()
    except OSError as exc:
        raise StorageError(f"cannot read {path}: {exc.strerror}") from exc
    return f"{found.st_ino}:{found.st_size}:{found.st_mtime_ns}:{found.st_ctime_ns}"


def _hashed(entry: Entry, on_progress: OnProgress | None) -> Entry:
    try:
        # Of before: a file that is changed meanwhile is not taken for the one that was read.
        stamp = stamp_of(entry.path)
        digest = sha256_of(entry.path, on_progress)
    except StorageError as exc:
        # So does a disk fail that rots.
        return replace(entry, state="broken", problem=exc.message)
    if digest == entry.sha256:
        return replace(entry, state="installed", stamp=stamp, problem=None, verified=store.now())
    said = f"its file was changed: SHA-256 {digest[:_SHOWN]}…, and {entry.sha256[:_SHOWN]}… was installed"
    return replace(entry, state="broken", problem=said, verified=store.now())


def _broken(entry: Entry) -> StorageError:
    model = entry.part_of or entry.name
    hint = f"it is never loaded: install it again, or put the right file back and run gemx models verify {model}"
    return StorageError(f"the model {entry.name} is broken: {entry.problem}", hint=hint)
