"""Where the items of a run are worked on: a boundary behind which threads stand, and another engine may.

Workers never see the ledger. What they did they report, and wait until the coordinator has it on the disk.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from gemx import gateway, processes
from gemx.errors import GemxError, StoppedError, StorageError
from gemx.flow.ledger import Ended, Entry, Item, Kept
from gemx.flow.record import Failure, ItemRecord, Journal, StepRecord

Work = Callable[[Item, Journal], ItemRecord]

_SLICE = 1.0


@dataclass
class Report:
    """What a worker says; it goes on once it is answered. `lost` is why it could not be kept."""

    entry: Entry
    answered: threading.Event = field(default_factory=threading.Event)
    lost: GemxError | None = None

    def answer(self, lost: GemxError | None = None) -> None:
        """Let the worker go on: it is on the disk, or lost."""
        self.lost = lost
        self.answered.set()


class Executor(Protocol):
    """Works on items, several at once; none of its methods waits for a worker, `close` aside."""

    @property
    def size(self) -> int:
        """How many items it works on at once."""
        ...

    def submit(self, item: Item) -> None:
        """Take an item. Its end is reported once; also where it never begins, since the executor was stopped."""
        ...

    def collect(self, seconds: float) -> Sequence[Report]:
        """All reports that are there; waits so long for the first, or until `wake`."""
        ...

    def wake(self) -> None:
        """Have `collect` return. Safe in a signal's handler."""
        ...

    def stop(self) -> None:
        """Let no item and no call begin any more: those under way end."""
        ...

    def abandon(self) -> None:
        """Give up the calls under way: they end, on record, without an answer."""
        ...

    def close(self, seconds: float) -> None:
        """Let go of the workers, after so long at most. What is reported from now on is lost."""
        ...


class Threads:
    """Works on items in threads of this process."""

    def __init__(self, work: Work, size: int) -> None:
        self._work = work
        self._items: queue.SimpleQueue[Item | None] = queue.SimpleQueue()
        # Reentrant, as a signal's handler needs it.
        self._reports: queue.SimpleQueue[Report | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._abandoned = threading.Event()
        self._closed = threading.Event()
        # A call that never ends must not keep the process from ending.
        self._threads = [threading.Thread(target=self._loop, name=f"item-{n}", daemon=True) for n in range(size)]
        for thread in self._threads:
            thread.start()

    @property
    def size(self) -> int:
        """How many threads there are."""
        return len(self._threads)

    def submit(self, item: Item) -> None:
        """Put an item in the line."""
        self._items.put(item)

    def collect(self, seconds: float) -> Sequence[Report]:
        """All reports that are there, in their order."""
        found: list[Report] = []
        try:
            report = self._reports.get(timeout=seconds)
            while True:
                found += [report] if report else []
                report = self._reports.get_nowait()
        except queue.Empty:
            return found

    def wake(self) -> None:
        """Put an empty report in the line."""
        self._reports.put(None)

    def stop(self) -> None:
        """End the items that nobody works on yet; `stopping` of every journal is true."""
        self._stopping.set()

    def abandon(self) -> None:
        """Have every call and command of this process that a thread waits for end now."""
        self.stop()
        self._abandoned.set()
        gateway.abandon_all()
        processes.end_all()

    def close(self, seconds: float) -> None:
        """End the threads; one that does not end in time is left to itself, and ends with the process."""
        self.stop()
        self._closed.set()
        for _ in self._threads:
            self._items.put(None)
        for report in self.collect(0):
            report.answer(_too_late())
        for thread in self._threads:
            thread.join(seconds / len(self._threads))

    def report(self, entry: Entry, *, wait: bool = True) -> None:
        """Say what was done, and wait until it is kept. Raises StorageError, and StoppedError after `close`."""
        report = Report(entry)
        self._reports.put(report)
        while wait and not report.answered.wait(_SLICE):
            if self._closed.is_set():
                raise _too_late()
        if report.lost is not None:
            raise report.lost

    @property
    def stopping(self) -> bool:
        """Whether no call may begin."""
        return self._stopping.is_set()

    def _loop(self) -> None:
        while (item := self._items.get()) is not None:
            record = _worked(self._work, item, _ItemJournal(self, item))
            if record.failure is not None and self._abandoned.is_set():
                # Whatever it seems to have failed by: it may have been that it was given up.
                record = replace(record, failure=replace(record.failure, stops=True))
            if record.failure is not None and record.failure.stops:
                # At once: until the coordinator knows of it, others would ask in vain.
                self.stop()
            # What was paid for is kept, step by step: the next item need not wait for this one's end.
            self.report(Ended(item.key, record), wait=False)


class _ItemJournal:
    """The journal of one item: what was done before came with it; what is done now is reported."""

    def __init__(self, threads: Threads, item: Item) -> None:
        self._threads = threads
        self._item = item.key
        self._done = {record.path: record for record in item.done}

    def find(self, path: str, key: str) -> StepRecord | None:
        """The record of a step that was done under this key."""
        record = self._done.get(path)
        return record if record and record.key == key else None

    def keep(self, record: StepRecord) -> None:
        """Report a step, and wait until it is on the disk. Raises StorageError, StoppedError."""
        self._threads.report(Kept(self._item, record))

    def stopping(self) -> bool:
        """Whether no new call may be made."""
        return self._threads.stopping


def _worked(work: Work, item: Item, journal: Journal) -> ItemRecord:
    """What the work gives; what it raises fails this one item."""
    try:
        if journal.stopping():
            raise _too_late()
        return work(item, journal)
    except GemxError as exc:
        stops = isinstance(exc, (StoppedError, StorageError))
        failure = Failure(exc.code, exc.message, exc.exit_code, exc.hint, exc.retryable, stops)
    except Exception as exc:
        failure = Failure(GemxError.code, f"{type(exc).__name__}: {exc}", GemxError.exit_code)
    return ItemRecord("failed", failure=failure)


def _too_late() -> StoppedError:
    return StoppedError("the run has ended")
