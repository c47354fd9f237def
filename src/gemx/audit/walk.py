"""Walk along the chain of the audit's lines, one after the other, and say which of them were touched, and how."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from pydantic_core import from_json

from gemx.audit import removals, writer
from gemx.audit.removals import Start

Kind = Literal["torn", "foreign", "changed", "removed", "inserted", "moved", "cut", "rewritten"]

_MOST_BREAKS = 1000
_ACCIDENTS = ("torn", "foreign")
_SAID = {
    "torn": "no whole record: a crash left it without its end, or it was damaged",
    "foreign": "no record of gemx: something else wrote it here",
}
# So many lines back is looked for the one that a line was written after.
_TRAIL = 1000
_INSERTED = "it was inserted: the line after it was written without it"


@dataclass(frozen=True)
class Break:
    """A place where the chain does not hold; `line` counts from 1, and is 0 where it is the whole file.

    A `torn` line is one that a crash left without its end: the writer closes it, keeps it and goes on after it. So it
    does after a `foreign` one, which something else wrote into the file.
    """

    path: Path
    line: int
    kind: Kind
    reason: str

    @property
    def altered(self) -> bool:
        """Whether somebody was here: torn and foreign lines that the chain goes on from are accidents."""
        return self.kind not in _ACCIDENTS

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else str(self.path)
        return f"{place}: {self.reason}"


@dataclass(frozen=True)
class _Place:
    path: Path
    line: int


@dataclass
class _Gap:
    """Numbers that did not come where they belong, and the break that was said of it."""

    at: int
    missing: set[int]


@dataclass
class Walk:
    """Where a walk along the chain has come to."""

    digest: str = writer.GENESIS
    seq: int = 0
    records: int = 0
    first: str | None = None
    last: str | None = None
    more: int = 0
    start: Start | None = None
    breaks: list[Break] = field(default_factory=list[Break])
    removals: list[removals.Removal] = field(default_factory=list[removals.Removal])
    # The lines behind, each with the digest before it; those that hold no record and are not judged yet, and the digest
    # before them; the number that the last record should have had; and a line of which it is not yet known whether it,
    # or the one before it, was changed.
    _trail: deque[tuple[str, _Place]] = field(default_factory=lambda: deque(maxlen=_TRAIL))
    _junk: list[tuple[_Place, Kind]] = field(default_factory=list[tuple[_Place, Kind]])
    _anchor: str = writer.GENESIS
    _counted: int = 0
    _doubt: tuple[_Place, _Place] | None = None
    _gap: _Gap | None = None
    _moved: set[_Place] = field(default_factory=set[_Place])
    _named: dict[bool, int] = field(default_factory=dict[bool, int])

    def step(self, path: Path, number: int, line: bytes) -> int | None:
        """Take a line; returns its number in the chain, None where it is no record."""
        place, record = _Place(path, number), _record(line)
        seq: object = None
        if record is None or _is_foreign(record):
            self._anchor = self._anchor if self._junk else self.digest
            self._junk.append((place, "torn" if record is None else "foreign"))
        else:
            seq = record.get("seq")
            self._follow(place, record, seq)
        self._trail.append((self.digest, place))
        self.digest = hashlib.sha256(line).hexdigest()
        return seq if type(seq) is int else None

    def end(self) -> None:
        """Judge what the next line would have settled."""
        self._settle(linked=True)
        self._tear()

    def _follow(self, place: _Place, record: dict[str, Any], seq: object) -> None:
        number = seq if type(seq) is int else None
        previous, due, fits = record.get("prev"), self.seq + 1, True
        if self.records == 0:
            self._begin(place, previous, number)
        elif previous == self.digest:
            fits = self._linked(place, seq, number)
        else:
            self._unlinked(place, previous, number)
        self._junk.clear()
        if place not in self._moved:
            self.seq = due if number is None else number
            self._counted = self.seq if fits else due
        self._note(record)

    def _note(self, record: dict[str, Any]) -> None:
        self.records += 1
        self.last = str(record.get("time"))
        self.first = self.first or self.last
        if record.get("kind") == "prune" and (found := removals.of_record(record)):
            self.removals.append(found)

    def _begin(self, place: _Place, previous: object, number: int | None) -> None:
        """The first record: the chain starts with it, or what was before it was removed."""
        goes_on = bool(self._junk) and previous == self.digest
        if number != 1 or not (goes_on or previous == writer.GENESIS):
            self.start = Start(place.path, place.line, number, None if goes_on else str(previous))
        if goes_on:
            self._tear()
        else:
            self._insert(each for each, _ in self._junk)

    def _linked(self, place: _Place, seq: object, number: int | None) -> bool:
        """A record that follows from the line before; whether its number does, too."""
        self._settle(linked=True)
        self._tear()
        fits = number in (self.seq + 1, self._counted + 1)
        if not fits:
            self._broken(place, "changed", f"its number is {seq!r}, and {self.seq + 1} was to come")
        return fits

    def _unlinked(self, place: _Place, previous: object, number: int | None) -> None:
        if self._gap and number in self._gap.missing:
            self._found_again(self._gap, place, number)
            return
        if self._junk and previous == self._anchor:
            self._settle(linked=True)
            self._insert(each for each, _ in self._junk)
            return
        before = next((n for n, (digest, _) in enumerate(self._trail) if digest == previous), None)
        if before is not None:
            self._condemn(before)
            return
        junk = len(self._junk)
        if number is not None and number > max(self.seq, self._counted) + 1 + junk:
            self._settle(linked=True)
            self._missing(place, number)
        elif self._junk:
            self._settle(linked=True)
            for each, _ in self._junk:
                self._broken(each, "changed", "it is no record any more")
        else:
            self._suspect(place)

    def _found_again(self, gap: _Gap, place: _Place, number: int) -> None:
        """A record that was missed further up: lines changed places."""
        self._settle(linked=True)
        gap.missing.discard(number)
        self._moved.add(place)
        self._tear()
        self._broken(place, "moved", f"record {number} stands after a later one: lines were swapped")
        old = self.breaks[gap.at] if gap.at < len(self.breaks) else None
        if not gap.missing and old and old.kind == "removed":
            self.breaks[gap.at] = Break(
                old.path, old.line, "moved", "it stands before an earlier one: lines were swapped"
            )

    def _condemn(self, before: int) -> None:
        """The lines since that one were not there when this record was written."""
        since = [place for _, place in list(self._trail)[before:]]
        if self._doubt and self._doubt[1] in since:
            self._doubt = None
        self._settle(linked=True)
        self._insert(each for each in since if each not in self._moved)

    def _insert(self, places: Iterable[_Place]) -> None:
        for each in places:
            self._broken(each, "inserted", _INSERTED)

    def _missing(self, place: _Place, number: int) -> None:
        self._tear()
        first = max(self.seq, self._counted) + 1
        named = f"record {first} is" if first == number - 1 else f"records {first} to {number - 1} are"
        self._gap = _Gap(len(self.breaks), set(range(first, min(number, first + _TRAIL))))
        where = ", at the end of the file before" if place.line == 1 else ""
        self._broken(place, "removed", f"{named} missing before it{where}")

    def _suspect(self, place: _Place) -> None:
        """Two lines do not fit: the one before was changed, or this one; the next line knows."""
        self._settle(linked=False)
        self._doubt = (self._trail[-1][1], place)

    def _settle(self, *, linked: bool) -> None:
        """Say which of two lines was changed: where the next one fits, it was the earlier of them."""
        if self._doubt:
            earlier, later = self._doubt
            self._broken(earlier if linked else later, "changed", "it was changed: the chain does not go on from it")
        self._doubt = None

    def _tear(self) -> None:
        for each, kind in self._junk:
            self._broken(each, kind, _SAID[kind])
        self._junk.clear()

    def _broken(self, place: _Place, kind: Kind, reason: str) -> None:
        said = any((each.path, each.line) == (place.path, place.line) for each in self.breaks[-2:])
        if said:
            return
        # So many accidents must not hide what is none.
        count = self._named.get(kind in _ACCIDENTS, 0)
        self._named[kind in _ACCIDENTS] = count + 1
        if count < _MOST_BREAKS:
            self.breaks.append(Break(place.path, place.line, kind, reason))
        else:
            self.more += 1


def _is_foreign(record: Mapping[str, Any]) -> bool:
    """Whether a JSON object has nothing of a record of this log."""
    return not isinstance(record.get("prev"), str) and type(record.get("seq")) is not int


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        found = from_json(line, allow_inf_nan=False)
    except ValueError:
        return None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else None
