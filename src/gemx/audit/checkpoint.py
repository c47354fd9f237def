"""A checkpoint: what the log was at a moment, day by day, signed; a log that was rewritten or shortened since shows.

It says how many records there were, the SHA-256 of the last line of each day, and no text.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from gemx import places
from gemx.audit import chain, notes, record
from gemx.audit.chain import End, Report
from gemx.audit.notes import Signer, Verifier
from gemx.audit.walk import Break
from gemx.errors import InputError

_DAY = re.compile(r"day (audit-\d{4}-\d\d-\d\d\.jsonl) (\d{1,18}) (\d{1,18}) ([0-9a-f]{64})")
_MOST_DAYS = 100_000


@dataclass(frozen=True)
class Day:
    """A day file as it was: its bytes, its lines, and the SHA-256 of its last line."""

    name: str
    size: int
    lines: int
    head: str


@dataclass(frozen=True)
class Checkpoint:
    """What the log was: whose, how many records it had had, the SHA-256 of its last line, when, and its days.

    `breaks` counts the places where its chain was broken already.
    """

    origin: str
    size: int
    head: str
    time: str
    breaks: int
    days: tuple[Day, ...]

    def text(self) -> str:
        """The text that is signed: origin, size and hash as C2SP has them, then a line a fact."""
        root = base64.b64encode(bytes.fromhex(self.head)).decode()
        facts = [f"time {self.time}", f"breaks {self.breaks}"]
        facts += [f"day {each.name} {each.size} {each.lines} {each.head}" for each in self.days]
        return "\n".join([self.origin, str(self.size), root, *facts]) + "\n"


def take(report: Report, signer: Signer) -> tuple[Checkpoint, str]:
    """A checkpoint of what was verified, and its signed note. Raises StorageError."""
    days = tuple(Day(end.path.name, end.size, end.lines, end.head) for end in report.ends)
    time = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    head = days[-1].head if days else "0" * 64
    made = Checkpoint(origin(), report.seq, head, time, len(report.altered), days)
    return made, signer.sign(made.text())


def origin() -> str:
    """The name of this installation's log, which tells nothing of it."""
    return f"{notes.NAME}/{record.digest('the origin of checkpoints')[:16]}"


def read(note: str, verifier: Verifier) -> Checkpoint:
    """The checkpoint of a note that this key signed. Raises InputError on what is none, ContractError."""
    lines = verifier.open(note).splitlines()
    try:
        origin, size, root, time, breaks, *days = lines
        head = base64.b64decode(root, validate=True)
        if not time.startswith("time ") or not breaks.startswith("breaks ") or len(head) != 32:
            raise ValueError
        found = tuple(_day(line) for line in days[:_MOST_DAYS])
        return Checkpoint(origin, int(size), head.hex(), time[5:], int(breaks[7:]), found)
    except ValueError:
        raise InputError("the note is signed, but is no checkpoint of gemx") from None


def _day(line: str) -> Day:
    match = _DAY.fullmatch(line)
    if match is None:
        raise ValueError(line)
    return Day(match[1], int(match[2]), int(match[3]), match[4])


def verify(checkpoint: Checkpoint, folder: Path | None = None) -> Report:
    """Verify the chain, and that it holds what it held at the checkpoint. Raises StorageError."""
    report = chain.verify(folder, {each.name: each.lines for each in checkpoint.days})
    found = [*report.breaks, *_differences(checkpoint, report, folder)]
    return replace(report, breaks=tuple(sorted(found, key=lambda each: (each.path.name, each.line))))


def _differences(checkpoint: Checkpoint, report: Report, folder: Path | None) -> Iterator[Break]:
    ends = {end.path.name: end for end in report.ends}
    removed = {each.name: each for removal in report.removals for each in removal.files}
    if _is_foreign(checkpoint, report):
        reason = f"the checkpoint is of another log, {checkpoint.origin}, or all of this one was put in its place"
        yield Break(folder or places.audit_dir(), 0, "rewritten", reason)
    for day in checkpoint.days:
        path = (folder or places.audit_dir()) / day.name
        if day.name in ends:
            yield from _changed(day, ends[day.name], report.marked.get(day.name))
        elif day.name not in removed:
            yield Break(path, 0, "removed", "the day is gone, and no prune announced its removal")
        elif (removed[day.name].lines, removed[day.name].head) != (day.lines, day.head):
            yield Break(path, 0, "rewritten", "the day was removed by a prune, but was not what the checkpoint has")


def _is_foreign(checkpoint: Checkpoint, report: Report) -> bool:
    """Whether it names another log, and no day proves that it is this one all the same, under a new key."""
    # A copy may have come without its key, and is known by its days alone.
    has_name = (places.audit_dir() / ".key").exists()
    is_ours = any(report.marked.get(day.name) == day.head for day in checkpoint.days)
    return has_name and not is_ours and checkpoint.origin != origin()


def _changed(day: Day, end: End, head: str | None) -> Iterator[Break]:
    if end.lines < day.lines:
        gone = day.lines - end.lines
        lines = "1 line is" if gone == 1 else f"{gone} lines are"
        reason = f"the tail was cut: of {day.lines} lines at the checkpoint {lines} gone"
        yield Break(end.path, end.lines + 1, "cut", reason)
    elif day.lines and head != day.head:
        reason = "not the line of the checkpoint: it was changed, or the file was rewritten"
        yield Break(end.path, day.lines, "rewritten", reason)
