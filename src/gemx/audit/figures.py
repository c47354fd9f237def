"""What the audit log adds up to: counts, tokens, cost and times, by slot of time and by who called what.

Pure values: nothing is read here. docs/statistics.md defines each figure.
"""

from __future__ import annotations

import math
import struct
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo
from functools import cached_property
from sys import byteorder
from typing import Literal, NamedTuple, TypeVar

import msgspec

By = Literal["day", "hour"]
Name = Literal["slot", "command", "model", "automation", "flow", "user"]

K = TypeVar("K", str, int)

PERCENTILES = (0.5, 0.95, 0.99)
PICODOLLARS = 1_000_000_000_000


class Group(NamedTuple):
    """Who called what; empty where a record does not say. `model` is as -m names it."""

    command: str
    model: str
    automation: str
    flow: str
    user: str

    @property
    def work(self) -> str:
        """What was run: the flow, else the automation, else the command."""
        return self.flow or self.automation or self.command


class Cell(msgspec.Struct, array_like=True):
    """What was counted of one group in one slot.

    `cost` is in picodollars, of the calls whose cost is known; `unpriced` are the others, and `without_price` those of
    them that were answered; `latency` and `first_token` count seconds by `bucket`;
    `failures` and `refusals` count by error code, `findings` by severity and code, with a blank between, `prices` by
    version of the price table.
    """

    calls: int = 0
    imported: int = 0
    messages: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cost: int = 0
    unpriced: int = 0
    without_price: int = 0
    retries: int = 0
    fallbacks: int = 0
    answers: int = 0
    verified: int = 0
    repairs: int = 0
    failures: dict[str, int] = {}
    refusals: dict[str, int] = {}
    findings: dict[str, int] = {}
    prices: dict[str, int] = {}
    latency: dict[int, int] = {}
    first_token: dict[int, int] = {}

    def add(self, other: Cell) -> None:
        """Count another cell in."""
        for name in _NUMBERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in _COUNTS:
            _count_in(getattr(self, name), getattr(other, name))

    @property
    def failed(self) -> int:
        """Calls that ended with an error."""
        return sum(self.failures.values())

    @property
    def refused(self) -> int:
        """What the door refused: nothing was sent."""
        return sum(self.refusals.values())

    @property
    def dollars(self) -> float:
        """What the calls of known cost did cost, in US dollars."""
        return self.cost / PICODOLLARS


_COUNTS = ("failures", "refusals", "findings", "prices", "latency", "first_token")
_NUMBERS = tuple(name for name in Cell.__struct_fields__ if name not in _COUNTS)


def _sum(name: str) -> cached_property[int]:
    return cached_property(lambda total: sum([getattr(cell, name) for cell in total.parts]))


def _counts(name: str) -> cached_property[dict[str, int]]:
    return cached_property(lambda total: _merged([getattr(cell, name) for cell in total.parts]))


def _times(name: str) -> cached_property[dict[int, int]]:
    return cached_property(lambda total: _merged([getattr(cell, name) for cell in total.parts]))


class Total:
    """The figures of cells, or of totals, together; each is added up when it is asked for, under its name in Cell."""

    def __init__(self, parts: Sequence[Cell | Total] = ()) -> None:
        self.parts = parts

    calls = _sum("calls")
    imported = _sum("imported")
    messages = _sum("messages")
    input_tokens = _sum("input_tokens")
    cached_tokens = _sum("cached_tokens")
    output_tokens = _sum("output_tokens")
    reasoning_tokens = _sum("reasoning_tokens")
    cost = _sum("cost")
    unpriced = _sum("unpriced")
    without_price = _sum("without_price")
    retries = _sum("retries")
    fallbacks = _sum("fallbacks")
    answers = _sum("answers")
    verified = _sum("verified")
    repairs = _sum("repairs")
    failures = _counts("failures")
    refusals = _counts("refusals")
    findings = _counts("findings")
    prices = _counts("prices")
    latency = _times("latency")
    first_token = _times("first_token")

    @property
    def failed(self) -> int:
        """Calls that ended with an error."""
        return sum(self.failures.values())

    @property
    def refused(self) -> int:
        """What the door refused: nothing was sent."""
        return sum(self.refusals.values())

    @property
    def unverified(self) -> int:
        """Answers that were verified in none of their rounds."""
        return max(0, self.answers - self.verified)

    @property
    def dollars(self) -> float:
        """What the calls of known cost did cost, in US dollars."""
        return self.cost / PICODOLLARS

    @property
    def is_empty(self) -> bool:
        """Whether nothing was counted."""
        return not (self.calls or self.answers or self.repairs or self.refusals)


@dataclass(frozen=True)
class Figures:
    """Figures of a log, or of a part of it, by slot (a local day, or an hour in UTC) and group.

    `passed_over` are lines that are no record: damaged, or foreign; they count whatever part is asked for, having no
    time. `others` are records of no call, refusal or verification.
    """

    cells: Mapping[tuple[str, Group], Cell] = field(default_factory=dict[tuple[str, Group], Cell])
    files: int = 0
    lines: int = 0
    passed_over: int = 0
    others: int = 0

    def where(self, since: str | None = None, until: str | None = None, model: str | None = None) -> Figures:
        """The figures of some slots, both ends included, and of one model, with its provider or without."""
        kept = {
            (slot, group): cell
            for (slot, group), cell in self.cells.items()
            if (since is None or slot >= since)
            and (until is None or slot <= until)
            and (model is None or model in (group.model, group.model.partition(":")[2]))
        }
        return replace(self, cells=kept)

    def total(self) -> Total:
        """All of it together."""
        return Total([*self.cells.values()])

    def by(self, name: Name) -> dict[str, Total]:
        """The figures by slot in order, or by one part of the group, those with the most calls first."""
        if name == "slot":
            return dict(sorted(self.grouped(lambda slot, _: slot).items()))
        found = self.grouped(lambda _, group: getattr(group, name))
        return dict(sorted(found.items(), key=lambda each: (-each[1].calls, each[0])))

    def grouped(self, key: Callable[[str, Group], str]) -> dict[str, Total]:
        """The figures by what a function says of slot and group."""
        found: defaultdict[str, list[Cell]] = defaultdict(list)
        for (slot, group), cell in self.cells.items():
            found[key(slot, group)].append(cell)
        return {name: Total(cells) for name, cells in found.items()}


def slot_of(moment: datetime, by: By, zone: tzinfo | None) -> str:
    """The slot of a moment: its day in a zone, such as 2026-11-20, or its hour in UTC, such as 2026-11-20T13."""
    try:
        return moment.astimezone(UTC).isoformat()[:13] if by == "hour" else moment.astimezone(zone).isoformat()[:10]
    except OverflowError:
        # The first and the last day that there are have no other one beside them.
        return moment.isoformat()[: 13 if by == "hour" else 10]


def counted(seconds: Iterable[float]) -> Counter[int]:
    """Times by bucket: the upper half of a 32-bit float, so that a bucket's end is at most 1/128 above its start."""
    halves = memoryview(array("f", seconds)).cast("B").cast("H")
    return Counter(halves[1::2] if byteorder == "little" else halves[::2])


def seconds_of(bucket: int) -> float:
    """The middle of a bucket, in seconds: off by 0.4 % at most from what is in it."""
    start, end = (struct.unpack(">f", struct.pack(">I", edge << 16))[0] for edge in (bucket, bucket + 1))
    return (start + end) / 2 if bucket else 0.0


def percentile(times: Mapping[int, int], share: float) -> float | None:
    """The nearest rank: the least time that such a share of all does not exceed; None where there is none."""
    rank = math.ceil(share * sum(times.values()))
    for bucket in sorted(times):
        rank -= times[bucket]
        if rank <= 0:
            return seconds_of(bucket)
    return None


def ratio(part: float, whole: float) -> float | None:
    """A share, None of nothing."""
    return part / whole if whole else None


def _merged(many: Iterable[Mapping[K, int]]) -> dict[K, int]:
    total: defaultdict[K, int] = defaultdict(int)
    for counts in many:
        for key, count in counts.items():
            total[key] += count
    return dict(total)


def _count_in(total: dict[K, int], counts: Mapping[K, int]) -> None:
    for key, count in counts.items():
        total[key] = total.get(key, 0) + count
