"""Add up a day file, fast and exactly: what is no record is passed over and counted, line by line.

Reads some thousand lines at once, and each by itself where one of them is no record.
"""

from __future__ import annotations

import contextlib
import math
import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from gemx.audit.figures import PICODOLLARS, By, Cell, Group, counted, slot_of
from gemx.errors import StorageError

# So much is read at once: the lines of a block are in memory together.
_BLOCK = 2 * 1024 * 1024
# Beyond this a number is damage, and it fits everywhere.
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**48)]
_Amount = Annotated[float, msgspec.Meta(ge=0, le=1e12)]
_Time = Annotated[datetime, msgspec.Meta(tz=True)]
_UNKNOWN = "unknown"
_LONE_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")


def _named(name: str, default: Any) -> Any:
    return msgspec.field(name=name, default=default)


# Fields in the order in which they are written, which is read fastest.


class _Record(msgspec.Struct, gc=False, tag_field="kind"):
    """What is counted of any record."""

    v: Literal[1]
    time: _Time


class _Attempt(_Record, gc=False, tag="attempt"):
    run_id: str = ""
    command: str = ""
    model: str = _named("gen_ai.request.model", "")
    input_tokens: _Count = _named("gen_ai.usage.input_tokens", 0)
    output_tokens: _Count = _named("gen_ai.usage.output_tokens", 0)
    cached_tokens: _Count = _named("gen_ai.usage.cache_read.input_tokens", 0)
    reasoning_tokens: _Count = _named("gen_ai.usage.reasoning.output_tokens", 0)
    first_token: _Amount | None = _named("gen_ai.response.time_to_first_chunk", None)
    error: str | None = _named("error.type", None)
    duration: _Amount | None = _named("gemx.duration", None)
    number: _Count = _named("gemx.try", 1)
    route: str = _named("gemx.route", "")
    fallback_from: str | None = _named("gemx.fallback_from", None)
    cost: _Amount | None = _named("gemx.cost_usd", None)
    prices: str | None = _named("gemx.price_table", None)
    automation: str = _named("gemx.automation", "")
    flow: str = _named("gemx.flow", "")
    item: str = _named("gemx.item", "")
    user: str = _named("gemx.user", "")


class _Import(_Attempt, gc=False, tag="import"):
    status: str = _named("gemx.status", "")
    made: _Time | None = _named("gemx.time", None)


class _Refusal(_Record, gc=False, tag="refusal"):
    command: str = ""
    model: str = _named("gen_ai.request.model", "")
    error: str = _named("error.type", _UNKNOWN)
    route: str = _named("gemx.route", "")
    automation: str = _named("gemx.automation", "")
    flow: str = _named("gemx.flow", "")
    user: str = _named("gemx.user", "")


class _Finding(msgspec.Struct, gc=False):
    code: str
    severity: str


class _Result(_Record, gc=False, tag="result"):
    command: str = ""
    answered_by: str = _named("gen_ai.response.model", "")
    automation: str = _named("gemx.automation", "")
    flow: str = _named("gemx.flow", "")
    round: _Count = _named("gemx.round", 0)
    verified: bool = _named("gemx.verified", False)
    findings: list[_Finding] = _named("gemx.findings", [])
    user: str = _named("gemx.user", "")


class _Other(msgspec.Struct, gc=False):
    """A record of another kind: of a deed on the log, or of one that a later version writes."""

    v: Literal[1]
    time: _Time
    kind: str
    seq: int


_Line = _Attempt | _Import | _Refusal | _Result
_decode = msgspec.json.Decoder[_Line](_Line).decode
_decode_other = msgspec.json.Decoder(_Other).decode
_DAMAGED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_ROUTED = attrgetter("command", "route", "model", "automation", "flow", "user")
_ANSWERED = attrgetter("command", "answered_by", "automation", "flow", "user")
_time = attrgetter("time")


@dataclass(frozen=True)
class Tally:
    """The sums of one day file."""

    cells: list[tuple[str, Group, Cell]]
    lines: int
    passed_over: int
    others: int


def tally(path: Path, by: By, zone: tzinfo | None) -> Tally:
    """Add up a file. Raises StorageError where it cannot be read."""
    adding = _Adding(by, zone)
    try:
        with path.open("rb", buffering=_BLOCK) as file:
            while lines := file.readlines(_BLOCK):
                adding.add(lines)
    except OSError as exc:
        raise StorageError(f"the audit log cannot be read: {path}: {exc.strerror}") from exc
    cells = [(slot, group, sums.cell()) for (slot, group), sums in adding.sums.items()]
    return Tally(cells, adding.lines, adding.passed_over, adding.others)


@dataclass
class _Sums:
    """A cell that is being added up, and its times, which are counted at the end."""

    counts: Cell = field(default_factory=Cell)
    latency: array[float] = field(default_factory=lambda: array("f"))
    first_token: array[float] = field(default_factory=lambda: array("f"))

    def cell(self) -> Cell:
        self.counts.latency, self.counts.first_token = counted(self.latency), counted(self.first_token)
        return self.counts

    def add_calls(self, calls: Sequence[_Attempt]) -> None:
        counts = self.counts
        counts.calls += len(calls)
        counts.input_tokens += sum([call.input_tokens for call in calls])
        counts.output_tokens += sum([call.output_tokens for call in calls])
        counts.cached_tokens += sum([call.cached_tokens for call in calls])
        counts.reasoning_tokens += sum([call.reasoning_tokens for call in calls])
        counts.retries += sum([call.number > 1 for call in calls])
        counts.fallbacks += len([call for call in calls if call.fallback_from is not None])
        costs = [call.cost for call in calls if call.cost is not None]
        counts.cost += round(math.fsum(costs) * PICODOLLARS)
        if unpriced := len(calls) - len(costs):
            counts.unpriced += unpriced
            counts.without_price += sum([call.cost is None and call.error is None for call in calls])
        _add(counts.failures, [call.error for call in calls if call.error is not None])
        _add(counts.prices, [call.prices for call in calls if call.prices is not None])
        self.latency.extend([call.duration for call in calls if call.error is None and call.duration is not None])
        self.first_token.extend([call.first_token for call in calls if call.first_token is not None])

    def add_answers(self, answers: Sequence[_Result]) -> None:
        counts = self.counts
        repairs = sum([answer.round > 0 for answer in answers])
        counts.repairs += repairs
        counts.answers += len(answers) - repairs
        # No answer that is verified is sent back: it is the last of its rounds.
        counts.verified += sum([answer.verified for answer in answers])
        _add(counts.findings, [f"{each.severity} {each.code}" for answer in answers for each in answer.findings])


class _Adding:
    """The sums so far, by slot and group, and the messages that were counted."""

    def __init__(self, by: By, zone: tzinfo | None) -> None:
        self.sums: defaultdict[tuple[str, Group], _Sums] = defaultdict(_Sums)
        self.lines = self.passed_over = self.others = 0
        self._by: By = by
        self._zone = zone
        self._messages: set[Any] = set()

    def add(self, lines: Sequence[bytes]) -> None:
        try:
            found: Sequence[_Line | _Other] = _all(lines)
        except _DAMAGED:
            found = list(_good(lines))
        self.lines += len(lines)
        self.passed_over += len(lines) - len(found)
        for slot, part in self._by_slot(found, _time):
            self._count(slot, _grouped(part, type))

    def _by_slot(self, lines: Sequence[A], time: Callable[[A], datetime]) -> Iterator[tuple[str, Sequence[A]]]:
        """The lines of each slot: as a rule, of a block all are of one."""
        if not lines:
            return
        times = [*map(time, lines)]
        first, last = (slot_of(each, self._by, self._zone) for each in (min(times), max(times)))
        if first == last:
            yield first, lines
            return
        yield from _grouped(lines, lambda line: slot_of(time(line), self._by, self._zone)).items()

    def _count(self, slot: str, kinds: Mapping[type, Sequence[Any]]) -> None:
        self.others += len(kinds.get(_Other, ()))
        for key, calls in _grouped(kinds.get(_Attempt, ()), _ROUTED).items():
            sums = self.sums[slot, _group(*key)]
            sums.add_calls(calls)
            sums.counts.messages += self._new_messages(calls)
        for key, answers in _grouped(kinds.get(_Result, ()), _ANSWERED).items():
            self.sums[slot, Group(*key)].add_answers(answers)
        for key, refusals in _grouped(kinds.get(_Refusal, ()), _ROUTED).items():
            _add(self.sums[slot, _group(*key)].counts.refusals, [refusal.error for refusal in refusals])
        self._count_imported(kinds.get(_Import, ()))

    def _new_messages(self, calls: Sequence[_Attempt]) -> int:
        before = len(self._messages)
        self._messages.update([(call.run_id, call.item) if call.item else call.run_id for call in calls])
        return len(self._messages) - before

    def _count_imported(self, lines: Sequence[_Import]) -> None:
        """Calls that another program logged, at the time at which they were made; each is a message."""
        calls = [line for line in lines if line.made and line.model]
        self.others += len(lines) - len(calls)
        for call in calls:
            if call.status == "error":
                call.error = call.error or _UNKNOWN
        for slot, part in self._by_slot(calls, lambda call: call.made or call.time):
            for key, same in _grouped(part, _ROUTED).items():
                sums = self.sums[slot, _group(*key)]
                sums.add_calls(same)
                sums.counts.messages += len(same)
                sums.counts.imported += len(same)


A = TypeVar("A")
K = TypeVar("K")


def _grouped(lines: Sequence[A], key: Callable[[A], K]) -> dict[K, list[A]]:
    grouped: defaultdict[K, list[A]] = defaultdict(list)
    for line in lines:
        grouped[key(line)].append(line)
    return grouped


def _add(counts: dict[str, int], more: Sequence[str]) -> None:
    for key, count in Counter(more).items() if more else ():
        counts[key] = counts.get(key, 0) + count


def _group(command: str, route: str, model: str, automation: str, flow: str, user: str) -> Group:
    """The group of a call, its model as -m names it. That of an imported one has no route."""
    named = f"{route}:{model}" if route and route != model else model
    return Group(command, named, automation, flow, user)


def _all(lines: Sequence[bytes]) -> list[_Line]:
    """The records of lines. Raises one of _DAMAGED where a line is none, or of another kind."""
    if not all(map(bytes.isascii, lines)):
        # What is skipped in a line is not looked at otherwise.
        b"".join(lines).decode()
    return [*map(_decode, lines)]


def _good(lines: Sequence[bytes]) -> Iterator[_Line | _Other]:
    for line in lines:
        # The writer escapes a byte of a name that is not UTF-8, which is no text for msgspec.
        mended = _LONE_SURROGATE.sub(rb"\\ufffd", line)
        with contextlib.suppress(*_DAMAGED):
            try:
                yield from _all([mended])
            except msgspec.ValidationError:
                found = _decode_other(mended)
                if found.kind not in _KINDS:
                    yield found


_KINDS = ("attempt", "import", "refusal", "result")
