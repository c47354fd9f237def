"""Threads behind the executor's boundary: who reports waits until it is kept, and nobody waits for ever."""

from __future__ import annotations

import threading
import time

import pytest

from batches import attempt, step
from gemx.errors import BlockedError, StorageError
from gemx.flow.executor import Report, Threads
from gemx.flow.ledger import Ended, Item, Kept
from gemx.flow.record import ItemRecord, Journal

DONE = ItemRecord("done", {"answer": 1})
ITEM = Item(1, "k", {"n": 1}, (step("before", "k0"),))


def collected(threads: Threads, count: int) -> list[Report]:
    found: list[Report] = []
    deadline = time.monotonic() + 10
    while len(found) < count:
        assert time.monotonic() < deadline
        found += threads.collect(0.1)
    return found


def test_a_worker_goes_on_when_its_step_is_kept_and_not_before() -> None:
    after: list[str] = []

    def work(item: Item, journal: Journal) -> ItemRecord:
        assert journal.find("before", "k0") == step("before", "k0")
        assert journal.find("before", "another key") is None
        journal.keep(step(attempts=(attempt(),)))
        after.append(item.key)
        return DONE

    threads = Threads(work, 1)
    threads.submit(ITEM)
    (report,) = collected(threads, 1)
    assert report.entry == Kept("k", step(attempts=(attempt(),)))
    assert threads.collect(0.05) == []
    assert after == []
    report.answer()
    (end,) = collected(threads, 1)
    assert (after, end.entry) == (["k"], Ended("k", DONE))
    threads.close(5)


def test_what_could_not_be_kept_is_the_workers_error_and_stops_the_run() -> None:
    def work(item: Item, journal: Journal) -> ItemRecord:
        journal.keep(step())
        return DONE

    threads = Threads(work, 1)
    threads.submit(ITEM)
    collected(threads, 1)[0].answer(StorageError("the disk is full"))
    (end,) = collected(threads, 1)
    assert isinstance(end.entry, Ended)
    failure = end.entry.record.failure
    assert failure is not None
    assert (failure.code, failure.exit_code, failure.stops) == ("storage", 11, True)
    threads.close(5)


@pytest.mark.parametrize(("raised", "code"), [(BlockedError("no"), "blocked"), (ZeroDivisionError("0"), "bug")])
def test_what_the_work_raises_fails_its_item_and_the_next_is_worked_on(raised: Exception, code: str) -> None:
    def work(item: Item, journal: Journal) -> ItemRecord:
        if item.key == "k":
            raise raised
        return DONE

    threads = Threads(work, 1)
    threads.submit(ITEM)
    threads.submit(Item(2, "l", {}))
    first, second = (report.entry for report in collected(threads, 2))
    assert isinstance(first, Ended)
    assert first.record.failure is not None
    assert (first.record.failure.code, first.record.failure.stops) == (code, False)
    assert second == Ended("l", DONE)
    threads.close(5)


def test_when_it_is_stopped_what_waits_in_the_line_ends_without_having_begun() -> None:
    begun, go_on = threading.Event(), threading.Event()
    worked: list[str] = []

    def work(item: Item, journal: Journal) -> ItemRecord:
        worked.append(item.key)
        begun.set()
        go_on.wait(10)
        assert journal.stopping()
        return DONE

    threads = Threads(work, 1)
    for key in ("k", "l", "m"):
        threads.submit(Item(1, key, {}))
    assert begun.wait(10)
    threads.stop()
    go_on.set()
    entries = [report.entry for report in collected(threads, 3)]
    assert worked == ["k"]
    assert entries[0] == Ended("k", DONE)
    for entry in entries[1:]:
        assert isinstance(entry, Ended)
        assert entry.record.failure is not None
        assert (entry.record.failure.code, entry.record.failure.stops) == ("interrupted", True)
    threads.close(5)


def test_nobody_waits_for_ever_for_a_coordinator_that_is_gone() -> None:
    raised: list[BaseException] = []

    def work(item: Item, journal: Journal) -> ItemRecord:
        try:
            journal.keep(step())
        except BaseException as exc:
            raised.append(exc)
            raise
        return DONE

    threads = Threads(work, 3)
    for number in range(3):
        threads.submit(Item(number, str(number), {}))
    time.sleep(0.05)
    threads.close(10)
    assert [type(exc).__name__ for exc in raised] == ["StoppedError"] * len(raised)
    assert not any(thread.is_alive() for thread in threads._threads)


def test_a_wake_ends_the_wait() -> None:
    threads = Threads(lambda item, journal: DONE, 1)
    threading.Timer(0.05, threads.wake).start()
    started = time.monotonic()
    assert threads.collect(30) == []
    assert time.monotonic() - started < 20
    threads.close(5)
