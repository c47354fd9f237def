"""Verify the chain of the audit's daily files: that no line was changed, removed, added or moved since it was written.

Reads line by line and keeps nothing, so the log may be of any length. It cannot know of lines that were cut off the end
of the newest file, nor of a whole chain that somebody wrote anew.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from pydantic_core import from_json

from gemx import locks, places
from gemx.audit import writer
from gemx.errors import StorageError

_PATTERN = "audit-????-??-??.jsonl"
_MOST_BREAKS = 1000


@dataclass(frozen=True)
class Break:
    """A place where the chain does not hold; `line` counts from 1.

    A `torn` line is one that a crash left without its end: the writer closes it, keeps it and goes on after it.
    """

    path: Path
    line: int
    kind: Literal["torn", "altered"]
    reason: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.reason}"


@dataclass(frozen=True)
class Report:
    """What was read, and where the chain breaks, in order; `last` is the time of the last record, as it was written.

    After a thousand breaks no more are counted.
    """

    records: int
    files: int
    breaks: tuple[Break, ...]
    last: str | None = None


@dataclass
class _Walk:
    """Where a walk along the chain has come to."""

    digest: str = writer.GENESIS
    seq: int = 0
    last: str | None = None
    records: int = 0
    breaks: list[Break] = field(default_factory=list[Break])

    def step(self, path: Path, number: int, line: bytes) -> None:
        record = _record(line)
        if record is None:
            self._broken(path, number, "torn", "no whole record: a crash left it without its end, or it was damaged")
        else:
            self._follow(path, number, record)
        self.digest = hashlib.sha256(line).hexdigest()

    def _follow(self, path: Path, number: int, record: dict[str, Any]) -> None:
        seq = record.get("seq")
        if record.get("prev") != self.digest:
            self._broken(path, number, "altered", self._difference(seq))
        elif seq != self.seq + 1:
            self._broken(path, number, "altered", f"its number is {seq!r}, and {self.seq + 1} was to come")
        self.seq = seq if type(seq) is int else self.seq + 1
        self.last = str(record.get("time"))
        self.records += 1

    def _difference(self, seq: object) -> str:
        if self.digest == writer.GENESIS:
            return f"the chain starts with record {seq!r}: what was before it is missing"
        if type(seq) is int and seq > self.seq + 1:
            return f"records {self.seq + 1} to {seq - 1} are missing before it"
        return "it does not follow from the line before: one of the two was changed, or lines were removed or added"

    def _broken(self, path: Path, number: int, kind: Literal["torn", "altered"], reason: str) -> None:
        if len(self.breaks) < _MOST_BREAKS:
            self.breaks.append(Break(path, number, kind, reason))


def verify(folder: Path | None = None) -> Report:
    """Read every daily file of the folder, the oldest first, as they are now. Raises StorageError."""
    folder = folder or places.audit_dir()
    walk = _Walk()
    try:
        sizes = _sizes(folder)
        for path, size in sizes:
            for number, line in _lines(path, size):
                walk.step(path, number, line)
    except OSError as exc:
        raise StorageError(f"the audit log cannot be read: {exc.filename or folder}: {exc.strerror}") from exc
    return Report(walk.records, len(sizes), tuple(walk.breaks), walk.last)


def _sizes(folder: Path) -> list[tuple[Path, int]]:
    """The files, and how far each was written while no process was writing: what comes later is not half read."""
    try:
        descriptor = os.open(folder / ".lock", os.O_RDONLY)
    except FileNotFoundError:
        # Nothing was written here, or this is a copy.
        return [(path, path.stat().st_size) for path in sorted(folder.glob(_PATTERN))]
    try:
        locks.wait_for(descriptor, folder / ".lock")
        return [(path, path.stat().st_size) for path in sorted(folder.glob(_PATTERN))]
    finally:
        os.close(descriptor)


def _lines(path: Path, size: int) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if size <= 0:
                return
            yield number, line[:size].removesuffix(b"\n")
            size -= len(line)


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        found = from_json(line, allow_inf_nan=False)
    except ValueError:
        return None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else None
