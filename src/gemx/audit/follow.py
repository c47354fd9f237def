"""Follow the log as it grows, from one day's file to the next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gemx.audit import log
from gemx.errors import StorageError


@dataclass
class Position:
    """Where a reader is: in which file, how far, and what it holds of a line that is not whole yet."""

    folder: Path | None
    path: Path | None
    offset: int
    _rest: bytes = b""

    def fresh(self) -> Iterator[bytes]:
        """The lines that were written since, whole ones. Raises StorageError."""
        for path in log.files(self.folder):
            if self.path is None or path > self.path:
                self.path, self.offset, self._rest = path, 0, b""
            if path == self.path:
                yield from self._read(path)

    def _read(self, path: Path) -> Iterator[bytes]:
        try:
            with path.open("rb") as file:
                file.seek(self.offset)
                found = file.read()
        except OSError as exc:
            raise StorageError(f"the audit log cannot be read: {path}: {exc.strerror}") from exc
        self.offset += len(found)
        *whole, self._rest = (self._rest + found).split(b"\n")
        yield from whole


def here(folder: Path | None = None) -> Position:
    """The end of the log as it is now. Raises StorageError."""
    files = log.files(folder)
    if not files:
        return Position(folder, None, 0)
    try:
        return Position(folder, files[-1], files[-1].stat().st_size)
    except OSError as exc:
        raise StorageError(f"the audit log cannot be read: {files[-1]}: {exc.strerror}") from exc
