"""The one folder that a flow may write in: nothing leaves it, whatever paths and links say."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import threading
from collections.abc import Generator
from pathlib import Path

from gemx import places
from gemx.errors import InputError, StorageError
from gemx.sanitize import printable

_LONGEST_PART = 200
# The kernel's own clock, which dates files, may be a little behind.
_CLOCK_SLACK = 0.05
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class OutputFolder:
    """A folder that is made when it is first needed. Safe for threads.

    `started` is when the run began, in seconds since 1970: what was written since then is the run's own, and is not
    replaced by anything else.
    """

    def __init__(self, path: Path, started: float) -> None:
        self.path = path
        self._started = started
        self._lock = threading.Lock()

    def make(self) -> Path:
        """The folder, made where it is not there; a link to it that the user gave is followed. Raises StorageError."""
        try:
            target = self.path.resolve()
        except (OSError, RuntimeError) as exc:
            raise StorageError(f"cannot use the output folder {self.path}: {exc}") from exc
        if target.exists() and not target.is_dir():
            raise StorageError(f"the output folder {self.path} is no folder", hint="choose another with --out-dir")
        return places.ensure_private_dir(target)

    def write(self, name: str, data: bytes) -> Path:
        """Write a file under a relative path, whole or not at all, mode 0600, folders made as needed; returns its path.

        Raises InputError where the path leads out of the folder or through a link, or to what this run has written
        already; StorageError where it cannot be written.
        """
        *folders, file = _parts(name)
        root = self.make()
        try:
            with self._lock, _opened(root, folders, name) as folder:
                self._refuse_taken(folder, file, name, data)
                _replace(folder, file, data)
        except OSError as exc:
            raise StorageError(f"cannot write {name!r} in {self.path}: {exc.strerror}") from exc
        return root.joinpath(*folders, file)

    def _refuse_taken(self, folder: int, file: str, name: str, data: bytes) -> None:
        try:
            found = os.stat(file, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return
        if not stat.S_ISREG(found.st_mode):
            raise InputError(f"cannot write {name!r}: a link, a folder or a device is there")
        if found.st_mtime < self._started - _CLOCK_SLACK:
            return
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        with os.fdopen(descriptor, "rb") as before:
            if before.read(len(data) + 1) != data:
                hint = "put something of the item into the path, such as ${{ inputs.id }}"
                raise InputError(f"this run has written {name!r} already, with other content", hint=hint)


def _parts(name: str) -> list[str]:
    """The parts of a relative path that stays where it is. Raises InputError."""
    parts = [part for part in name.split("/") if part != "."]
    if not name.strip() or name.startswith("/") or ".." in parts or "" in parts or not parts:
        raise InputError(f"{name!r} is no path inside of the output folder", hint="such as report.md or 2026/report.md")
    if printable(name) != name or "\n" in name or "\t" in name:
        raise InputError(f"the path {name!r} holds characters that no file's name should have")
    if any(len(part.encode("utf-8", "surrogatepass")) > _LONGEST_PART for part in parts):
        raise InputError(f"the path {name[:40]!r}… has a part of more than {_LONGEST_PART} bytes")
    return parts


@contextlib.contextmanager
def _opened(root: Path, folders: list[str], name: str) -> Generator[int]:
    """The folder of a file, opened part by part so that no link is followed, also none that is put there meanwhile."""
    current = os.open(root, _FOLDER)
    try:
        for part in folders:
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, places.DIRECTORY_MODE, dir_fd=current)
            try:
                inner = os.open(part, _FOLDER, dir_fd=current)
            except OSError as exc:
                if exc.errno in (errno.ELOOP, errno.ENOTDIR):
                    raise InputError(f"cannot write {name!r}: {part!r} is a link, or no folder") from exc
                raise
            os.close(current)
            current = inner
        yield current
    finally:
        os.close(current)


def _replace(folder: int, file: str, data: bytes) -> None:
    draft = f".gemx-{secrets.token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(draft, flags, places.FILE_MODE, dir_fd=folder)
    try:
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(data)
            opened.flush()
            os.fsync(descriptor)
        os.replace(draft, file, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(draft, dir_fd=folder)
        raise
