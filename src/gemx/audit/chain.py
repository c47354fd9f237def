"""Verify the chain of the audit's daily files: that no line was changed, removed, added or moved since it was written.

Reads line by line and keeps little, so the log may be of any length. It cannot know of lines that were cut off the end
of the newest file, nor of a whole chain that somebody wrote anew: a checkpoint does.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gemx import locks, places
from gemx.audit import log, removals, writer
from gemx.audit.walk import Break, Walk
from gemx.errors import StorageError


@dataclass
class End:
    """What there is of a day file: bytes, lines, records, the SHA-256 of its last line, and its numbers."""

    path: Path
    size: int
    lines: int = 0
    records: int = 0
    head: str = writer.GENESIS
    first_seq: int | None = None
    last_seq: int | None = None


@dataclass(frozen=True)
class Report:
    """What was read, and where the chain breaks, in order.

    `first` and `last` are the times of the first and the last record, as they were written, `first_seq` and `seq` their
    numbers. `pruned` says that what was before was removed, and announced; `leftover` are files that were announced as
    removed, and are still there. `ends` are the day files, `marked` the SHA-256 of the lines that were asked for.
    After a thousand breaks of a sort the others are only counted, in `more`.
    """

    records: int
    files: int
    breaks: tuple[Break, ...]
    last: str | None = None
    first: str | None = None
    first_seq: int | None = None
    seq: int = 0
    pruned: bool = False
    leftover: tuple[Path, ...] = ()
    ends: tuple[End, ...] = ()
    marked: Mapping[str, str] = field(default_factory=dict[str, str])
    removals: tuple[removals.Removal, ...] = ()
    more: int = 0

    @property
    def altered(self) -> tuple[Break, ...]:
        """The breaks that are no accident."""
        return tuple(each for each in self.breaks if each.altered)


def verify(folder: Path | None = None, marks: Mapping[str, int] | None = None) -> Report:
    """Read every daily file of the folder, the oldest first, as they are now. Raises StorageError.

    `marks` asks for the SHA-256 of a line of a file, by the file's name.
    """
    folder = folder or places.audit_dir()
    walk = Walk()
    marked: dict[str, str] = {}
    ends = [End(path, size) for path, size in _sizes(folder)]
    for end in ends:
        _read(walk, end, (marks or {}).get(end.path.name), marked)
    walk.end()
    judged = removals.judged(walk.start, walk.removals, ends)
    broken = [Break(path, line, "removed", reason) for path, line, reason in judged.problems]
    return Report(
        records=walk.records,
        files=len(ends),
        breaks=tuple(sorted([*broken, *walk.breaks], key=lambda each: (each.path.name, each.line))),
        last=walk.last,
        first=walk.first,
        first_seq=next((end.first_seq for end in ends if end.first_seq is not None), None),
        seq=walk.seq,
        pruned=judged.pruned,
        leftover=judged.leftover,
        ends=tuple(ends),
        marked=marked,
        removals=tuple(walk.removals),
        more=walk.more,
    )


def _read(walk: Walk, end: End, mark: int | None, marked: dict[str, str]) -> None:
    end.head = walk.digest
    for number, line in log.lines(end.path, end.size):
        before = walk.records
        seq = walk.step(end.path, number, line)
        end.lines, end.head = number, walk.digest
        end.records += walk.records - before
        end.first_seq = end.first_seq if end.first_seq is not None else seq
        end.last_seq = seq if seq is not None else end.last_seq
        if number == mark:
            marked[end.path.name] = walk.digest


def _sizes(folder: Path) -> list[tuple[Path, int]]:
    """The files, and how far each was written while no process was writing: what comes later is not half read."""
    try:
        descriptor = os.open(folder / ".lock", os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        # Nothing was written here, or this is a copy.
        return _measured(folder)
    except OSError as exc:
        raise StorageError(f"the audit log cannot be read: {folder / '.lock'}: {exc.strerror}") from exc
    try:
        locks.wait_for(descriptor, folder / ".lock")
        return _measured(folder)
    finally:
        os.close(descriptor)


def _measured(folder: Path) -> list[tuple[Path, int]]:
    try:
        return [(path, path.stat().st_size) for path in log.files(folder)]
    except OSError as exc:
        raise StorageError(f"the audit log cannot be read: {exc.filename}: {exc.strerror}") from exc
