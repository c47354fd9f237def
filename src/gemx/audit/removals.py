"""What a `prune` record says of the day files that it announced, and whether it accounts for a log that begins late."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from gemx.errors import StorageError


@dataclass(frozen=True)
class Removed:
    """A file that was removed: its SHA-256, its bytes, its lines, and the SHA-256 of its last line."""

    name: str
    sha256: str
    size: int
    lines: int
    head: str


@dataclass(frozen=True)
class Removal:
    """Day files that were removed together: the first and last number in them, and the SHA-256 of the last line."""

    files: tuple[Removed, ...]
    first_seq: int | None
    last_seq: int | None
    head: str


@dataclass(frozen=True)
class Start:
    """The first record that is there; `previous` is the SHA-256 that it follows, None where a torn line hides it."""

    path: Path
    line: int
    seq: int | None
    previous: str | None


class Measured(Protocol):
    """A day file that is there."""

    path: Path


@dataclass(frozen=True)
class Judged:
    """Whether what was before the start was removed by an announced prune, and what is wrong: path, line, reason."""

    pruned: bool
    leftover: tuple[Path, ...]
    problems: tuple[tuple[Path, int, str], ...]


def of_record(record: Mapping[str, Any]) -> Removal | None:
    """What a prune record announces; None where it is no such record as this version writes."""
    try:
        files = tuple(_removed(each) for each in record["gemx.files"])
        first, last = (_number(record.get(f"gemx.{name}")) for name in ("first_seq", "last_seq"))
        return Removal(files, first, last, str(record["gemx.head"]))
    except (KeyError, TypeError, ValueError):
        return None


def judged(start: Start | None, removals: Sequence[Removal], files: Sequence[Measured]) -> Judged:
    """Whether the removals account for the start, None where the log begins with its first record."""
    announced = {each.name: each for removal in removals for each in removal.files}
    leftover = [each.path for each in files if each.path.name in announced]
    problems = [
        (path, 0, "a prune announced it as removed, and it is not the file that was announced")
        for path in leftover
        if _sha256(path) != announced[path.name].sha256
    ]
    # A prune takes the oldest days: one that was taken from between others was not taken by it.
    oldest = min((each.path for each in files), default=None)
    problems += [
        (oldest.with_name(name), 0, "the day is gone, and a prune that leaves older days cannot have removed it")
        for name in announced
        if oldest and name > oldest.name and oldest.with_name(name) not in leftover
    ]
    pruned = start is not None and any(_accounts(each, start) for each in removals)
    if start and not pruned:
        reason = f"the chain starts with record {start.seq!r}: what was before it is missing"
        problems.insert(0, (start.path, start.line, reason))
    return Judged(pruned, tuple(leftover), tuple(problems))


def _accounts(removal: Removal, start: Start) -> bool:
    if start.seq is None or removal.first_seq is None or removal.last_seq is None:
        return False
    if start.seq == removal.last_seq + 1:
        return start.previous in (None, removal.head)
    # A prune that was killed before it was through: the file of the start is one that it announced.
    named = {each.name for each in removal.files}
    return removal.first_seq <= start.seq <= removal.last_seq and start.path.name in named


def _removed(said: Any) -> Removed:
    found = cast("Mapping[str, Any]", said)
    return Removed(
        str(found["name"]), str(found["sha256"]), int(found["bytes"]), int(found["lines"]), str(found["head"])
    )


def _number(value: Any) -> int | None:
    return None if value is None else int(value)


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as exc:
        raise StorageError(f"the audit log cannot be read: {path}: {exc.strerror}") from exc
