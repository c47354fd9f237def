"""Run the items of a ledger: the coordinator, which hands them out, keeps what comes back, and knows when to stop.

It is the one writer of the ledger. Whatever ends it, what was kept stays, and the next run goes on from there.
"""

from __future__ import annotations

import hashlib
import math
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import FrameType

from gemx.errors import (
    AuthenticationError,
    GemxError,
    InputError,
    ModelNotFoundError,
    RateLimitError,
    StoppedError,
    StorageError,
    TemporaryError,
)
from gemx.flow.executor import Executor, Report
from gemx.flow.items import Row
from gemx.flow.ledger import Ended, Item, Ledger, Line
from gemx.flow.plan import Read
from gemx.flow.progress import Meter, Progress
from gemx.flow.record import Failure
from gemx.flow.runs import Hold
from gemx.flow.values import to_json, written

Tell = Callable[[Progress], None]
SubjectOf = Callable[[Mapping[str, object]], str | None]

# So many failures of a kind one after the other, and the next would fail as well.
_IN_A_ROW = {
    AuthenticationError.code: 5,
    ModelNotFoundError.code: 5,
    TemporaryError.code: 20,
    RateLimitError.code: 20,
}
_POLL = 0.25
# What a call that was interrupted may take to be on record.
_GRACE = 5.0
_CLOSING = 1.0
_SIGNALS = {
    signal.SIGINT: ("interrupted", 130),
    signal.SIGTERM: ("terminated", 143),
    signal.SIGHUP: ("terminated", 129),
}


@dataclass(frozen=True)
class Ending:
    """How a run ended: `stopped` is why before its time, if it did."""

    progress: Progress
    seconds: float
    stopped: Failure | None = None


def lines(
    rows: Iterable[Row], read: Read, identity: str, *, names: bool, subject: SubjectOf = lambda values: None
) -> Iterator[Line]:
    """The rows as lines of a ledger. `identity` is a hash of all but the inputs that an answer depends on.

    `read` gives the inputs of a row, or raises InputError; so does `subject`, whom it is about. A column `id` names its
    row; with `names` it is no input.
    """
    for row in rows:
        id = written(row.values["id"]) if row.values.get("id") is not None else None
        if row.problem is not None:
            yield Line(row.line, id, problem=row.problem)
            continue
        given = {name: value for name, value in row.values.items() if name != "id" or not names}
        try:
            values, whose = read(given), subject(row.values)
        except InputError as exc:
            yield Line(row.line, id, problem=exc.message)
        else:
            yield Line(row.line, id, item_key(identity, values, whose), values, subject=whose)


def item_key(identity: str, values: Mapping[str, object], subject: str | None = None) -> str:
    """What an item is known by: the same for the same values, of the same subject."""
    asked = "\n".join([identity, to_json(values), *([subject] if subject else [])])
    return hashlib.sha256(asked.encode("utf-8", "surrogatepass")).hexdigest()


def run(
    ledger: Ledger, executor: Executor, hold: Hold, tell: Tell, *, again: bool = False, patient: bool = True
) -> Ending:
    """Run what is open in the ledger; with `again`, reopened items alone. Raises what is a bug, and nothing else.

    Ctrl-C and SIGTERM let the items under way end; a second one, or the first where it is not `patient`, gives up their
    calls.
    """
    coordinator = _Coordinator(ledger, executor, hold, tell, _Feed(ledger, again=again))
    coordinator.patience = 2 if patient else 1
    with _signalled(executor) as signals:
        try:
            stopped = coordinator.run(signals)
        finally:
            executor.close(_CLOSING)
    return Ending(coordinator.meter.now, time.monotonic() - coordinator.meter.started, stopped)


@dataclass
class _Signals:
    """The signals that came."""

    numbers: list[int] = field(default_factory=list[int])


@contextmanager
def _signalled(executor: Executor) -> Generator[_Signals]:
    """Take signals down, in place of raising: an exception could come between an answer and its ledger."""
    signals = _Signals()

    def take(number: int, frame: FrameType | None) -> None:
        signals.numbers.append(number)
        executor.wake()

    if threading.current_thread() is not threading.main_thread():
        yield signals
        return
    before = {
        number: signal.signal(number, take) for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass
class _Feed:
    """The open items, a page at a time."""

    ledger: Ledger
    again: bool
    last: int = 0
    page: deque[Item] = field(default_factory=deque[Item])

    def next(self, most: int) -> Item | None:
        if not self.page:
            self.page.extend(self.ledger.open_items(self.last, most, again=self.again))
        if not self.page:
            return None
        item = self.page.popleft()
        self.last = item.number
        return item


class _Coordinator:
    """One run on its way."""

    def __init__(self, ledger: Ledger, executor: Executor, hold: Hold, tell: Tell, feed: _Feed) -> None:
        self.ledger, self.executor, self.hold, self.tell, self.feed = ledger, executor, hold, tell, feed
        self.meter = Meter(ledger.counts())
        self.under_way = 0
        self.patience = 2
        self.stopped: Failure | None = None
        self.kind = ""
        self.in_a_row: list[Ended] = []

    def run(self, signals: _Signals) -> Failure | None:
        """Until all is done, or something stops it."""
        last = math.inf
        self._submit()
        while self.under_way and time.monotonic() < last:
            self._take(self.executor.collect(_POLL))
            if signals.numbers:
                self._stop(_interrupted(signals.numbers[0]))
            elif self.hold.cancelled:
                self._stop(Failure(StoppedError.code, "cancelled", 143, stops=True))
            if len(signals.numbers) >= self.patience and last == math.inf:
                last = time.monotonic() + _GRACE
                self.executor.abandon()
            self._submit()
            self.tell(self.meter.now)
        return self.stopped

    def _submit(self) -> None:
        # One more for each, so that no worker waits for the ledger.
        while self.stopped is None and self.under_way < 2 * self.executor.size:
            try:
                item = self.feed.next(2 * self.executor.size)
            except StorageError as exc:
                return self._stop(failure_of(exc))
            if item is None:
                return None
            self.executor.submit(item)
            self.under_way += 1
        return None

    def _take(self, reports: Sequence[Report]) -> None:
        """Keep what is reported, all together, and let who reported it go on."""
        ends = [report.entry for report in reports if isinstance(report.entry, Ended)]
        self.under_way -= len(ends)
        # An item that was stopped is still open: none of its own faults ended it.
        kept = [report for report in reports if not (isinstance(report.entry, Ended) and self._is_open(report.entry))]
        lost = self._commit(kept) if kept else None
        for report in reports:
            report.answer(lost)
        for end in ends:
            self._judge(end)
        if self.kind and len(self.in_a_row) >= _IN_A_ROW[self.kind] and self.stopped is None:
            self._give_up()

    def _commit(self, reports: Sequence[Report]) -> GemxError | None:
        try:
            self.ledger.commit(report.entry for report in reports)
        except StorageError as exc:
            self._stop(failure_of(exc))
            return exc
        for report in reports:
            self.meter.count(report.entry)
        return None

    def _judge(self, end: Ended) -> None:
        """Stop where the next items would fail as this one did."""
        failure = end.record.failure
        if failure is not None and failure.stops:
            return self._stop(failure)
        kind = failure.code if failure and failure.code in _IN_A_ROW else ""
        if kind != self.kind:
            self.kind, self.in_a_row = kind, []
        if kind:
            self.in_a_row.append(end)
        return None

    def _give_up(self) -> None:
        try:
            self.meter.uncount(self.ledger.reopen([end.item for end in self.in_a_row]))
        except StorageError as exc:
            return self._stop(failure_of(exc))
        last = self.in_a_row[-1].record.failure
        assert last is not None, "only what failed is in the row"  # noqa: S101
        return self._stop(replace(last, message=f"{len(self.in_a_row)} items in a row failed: {last.message}"))

    def _is_open(self, end: Ended) -> bool:
        """Whether an item that ended is still to be run: what ended it is none of its own faults."""
        failure = end.record.failure
        if failure is None:
            return False
        return failure.stops or (self.stopped is not None and failure.code == self.stopped.code)

    def _stop(self, failure: Failure) -> None:
        if self.stopped is None:
            self.stopped = failure
            self.executor.stop()


def failure_of(exc: GemxError) -> Failure:
    """What stops a run, of an error outside of its items."""
    return Failure(exc.code, exc.message, exc.exit_code, exc.hint, exc.retryable, stops=True)


def _interrupted(number: int) -> Failure:
    name, code = _SIGNALS[signal.Signals(number)]
    return Failure(StoppedError.code, name, code, stops=True)
