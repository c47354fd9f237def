"""The day files of the audit log, and their lines as they are; what a line says is no matter here."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Literal

from gemx import places
from gemx.errors import StorageError

Prefix = Literal["audit", "content"]

_NAME = re.compile(r"(audit|content)-(\d{4}-\d\d-\d\d)\.jsonl")
_BLOCK = 256 * 1024


def files(folder: Path | None = None, prefix: Prefix = "audit") -> list[Path]:
    """The day files of a folder, the oldest first; of the log's own where none is named. Raises StorageError.

    `content` are those of the texts, where texts are kept beside the log.
    """
    folder = folder or places.audit_dir()
    try:
        # Once for each record that is written: paths would take three times as long.
        found = os.listdir(folder)  # noqa: PTH208
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as exc:
        raise _unreadable(folder, exc) from exc
    return [folder / name for name in sorted(found) if name.startswith(f"{prefix}-") and _day(name)]


def day(path: Path) -> date:
    """The UTC day of a day file. Raises ValueError on another file's name."""
    found = _day(path.name)
    if found is None:
        raise ValueError(f"{path.name} is no day file of the audit log")
    return found


def lines(path: Path, size: int | None = None) -> Iterator[tuple[int, bytes]]:
    """The lines of a file, numbered from 1, without their newlines; with `size`, of so many bytes from its start.

    Reads as it goes: a file may be of any length. Raises StorageError.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if size is not None and size <= 0:
                    return
                yield number, (line if size is None else line[:size]).removesuffix(b"\n")
                size = None if size is None else size - len(line)
    except OSError as exc:
        raise _unreadable(path, exc) from exc


def backwards(path: Path) -> Iterator[bytes]:
    """The lines of a file from its end, without their newlines, read block by block. Raises StorageError."""
    try:
        with path.open("rb") as file:
            position = file.seek(0, os.SEEK_END)
            last, rest = True, b""
            while position:
                start = max(0, position - _BLOCK)
                file.seek(start)
                block = file.read(position - start)
                if last:
                    block, last = block.removesuffix(b"\n"), False
                # The first of them may begin further up.
                first, *whole = (block + rest).split(b"\n")
                yield from reversed(whole)
                position, rest = start, first
            if not last:
                yield rest
    except OSError as exc:
        raise _unreadable(path, exc) from exc


def _day(name: str) -> date | None:
    match = _NAME.fullmatch(name)
    try:
        return date.fromisoformat(match[2]) if match else None
    except ValueError:
        return None


def _unreadable(path: Path, exc: OSError) -> StorageError:
    return StorageError(f"the audit log cannot be read: {path}: {exc.strerror}")
