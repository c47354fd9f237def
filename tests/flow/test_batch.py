"""The coordinator: every item once, what was paid never again, and a clean stop whatever fails."""

from __future__ import annotations

import fcntl
import itertools
import os
import signal
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from batches import COST, RUN, Paid, asks, attempt, opened, path, run, step
from gemx.errors import InputError, StorageError
from gemx.flow import batch, inputs, runs
from gemx.flow.items import Row
from gemx.flow.ledger import Entry, Item, Ledger, Line
from gemx.flow.progress import Progress
from gemx.flow.record import Failure, ItemRecord, Journal
from gemx.flow.schema import Flow

QUOTA = Failure("quota", "the daily quota is used up", 8, stops=True)
AUTH = Failure("auth", "the key was refused", 5)


def check(count: int, paid: Paid, *, most_again: int = 0) -> None:
    """The invariants of a run that is over: every item done once, its costs those of the calls that were kept."""
    with opened() as ledger:
        outcomes = list(ledger.outcomes())
        counts = ledger.counts()
    assert [(each.line, each.status) for each in outcomes] == [(n + 1, "done") for n in range(1, count + 1)]
    assert [each.outputs for each in outcomes] == [{"answer": f"key-{n}"} for n in range(1, count + 1)]
    assert counts.cost == counts.calls * COST
    assert counts.calls == count
    assert count <= len(paid.calls) <= count + most_again
    assert sqlite3.connect(path()).execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_every_item_is_done_once() -> None:
    paid = Paid()
    told: list[Progress] = []
    with opened(50) as ledger:
        ending = run(ledger, paid, tell=told.append)
        assert ending.stopped is None
        assert ending.progress.ended == 50
        assert ending.progress.cost == 50 * COST
        assert told[-1].ended == 50
        again = run(ledger, paid)
        assert (again.stopped, again.progress.ended) == (None, 50)
    check(50, paid)


def test_lines_of_rows() -> None:
    flow = Flow.model_validate(
        {
            "gemx": "flow/v1",
            "inputs": {"n": {"type": "integer"}},
            "steps": [{"id": "a", "prompt": {"text": "${{ inputs.n }}"}}],
        }
    )
    rows = [Row(2, {"n": "1", "id": "a"}), Row(3, {}, "tem 1 coluna"), Row(4, {"n": "um"}), Row(5, {"n": "1"})]
    first, broken, wrong, twin = batch.lines(rows, partial(inputs.read, flow), "identity", names=True)
    assert (first.line, first.id, first.inputs) == (2, "a", {"n": 1})
    assert broken == Line(3, None, problem="tem 1 coluna")
    assert wrong.problem
    assert (twin.id, twin.key) == (None, first.key)
    assert batch.item_key("identity", {"n": 1}) == first.key
    assert batch.item_key("another", {"n": 1}) != first.key


def test_an_id_that_is_an_input_is_both() -> None:
    flow = Flow.model_validate(
        {"gemx": "flow/v1", "inputs": {"id": {}}, "steps": [{"id": "a", "prompt": {"text": "${{ inputs.id }}"}}]}
    )
    (line,) = batch.lines([Row(2, {"id": "p7"})], partial(inputs.read, flow), "identity", names=False)
    assert (line.id, line.inputs) == ("p7", {"id": "p7"})


def test_a_used_up_quota_stops_the_run_and_fails_no_item() -> None:
    tired = threading.Event()

    def before(item: Item) -> None:
        if item.number > 10:
            tired.set()

    class Limited(Paid):
        def __call__(self, item: Item, journal: Journal) -> ItemRecord:
            return ItemRecord("failed", failure=QUOTA) if tired.is_set() else super().__call__(item, journal)

    paid = Limited(before)
    with opened(50) as ledger:
        ending = run(ledger, paid)
        assert ending.stopped == QUOTA
        counts = ledger.counts()
        assert counts.failed == 0
        assert 10 < counts.done < 50
        assert not list(filter(lambda each: each.failure, ledger.outcomes()))
        paid.before = None
        tired.clear()
        assert run(ledger, paid).stopped is None
    check(50, paid)


def test_five_refused_keys_in_a_row_stop_the_run_and_are_open_again() -> None:
    wrong = ItemRecord("failed", failure=AUTH)
    with opened(50) as ledger:
        ending = run(ledger, lambda item, journal: wrong)
        assert ending.stopped is not None
        assert (ending.stopped.code, ending.stopped.exit_code) == ("auth", 5)
        assert "items in a row failed: the key was refused" in ending.stopped.message
        counts = ledger.counts()
        assert (counts.failed, counts.pending) == (0, 50)
        paid = Paid()
        assert run(ledger, paid).stopped is None
    check(50, paid)


def test_single_refusals_fail_their_items_alone() -> None:
    def work(item: Item, journal: Journal) -> ItemRecord:
        return ItemRecord("failed", failure=AUTH) if item.number % 3 == 0 else ItemRecord("done", {})

    with opened(30) as ledger:
        ending = run(ledger, work, size=1)
        assert (ending.stopped, ending.progress.failed) == (None, 10)
        assert ledger.reopen() == 10
        asked: list[int] = []

        def again(item: Item, journal: Journal) -> ItemRecord:
            asked.append(item.number)
            return ItemRecord("done", {})

        assert run(ledger, again, again=True).stopped is None
        assert sorted(asked) == list(range(3, 31, 3))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_lets_what_is_under_way_end(number: signal.Signals, code: int) -> None:
    def before(item: Item) -> None:
        if item.number == 10:
            os.kill(os.getpid(), number)

    paid = Paid(before)
    # in the background, where interrupts are ignored, they would stay so
    own = signal.signal(number, handler := lambda number, frame: None)
    with opened(50) as ledger:
        ending = run(ledger, paid)
        assert ending.stopped is not None
        assert (ending.stopped.code, ending.stopped.exit_code) == ("interrupted", code)
        assert ledger.counts().done == len(paid.calls) < 50
        assert signal.getsignal(number) is handler
        signal.signal(number, own)
        paid.before = None
        assert run(ledger, paid).stopped is None
    check(50, paid)


def test_a_cancelled_run_stops_and_a_stale_mark_stops_none() -> None:
    with pytest.raises(InputError, match="not running"):
        runs.cancel(RUN.run_id)

    def before(item: Item) -> None:
        if item.number == 10:
            runs.cancel(RUN.run_id)

    paid = Paid(before)
    with opened(3000) as ledger:
        ending = run(ledger, paid)
        assert ending.stopped is not None
        assert (ending.stopped.message, ending.stopped.exit_code) == ("cancelled", 143)
        assert len(list(path().parent.glob("*.cancel"))) == 1
        ledger.take(asks(20))
        assert run(ledger, paid).stopped is None


def test_a_run_is_held_by_one_and_erased_by_none_meanwhile() -> None:
    with opened(1), runs.held(RUN.run_id) as first, runs.held(RUN.run_id) as second:
        assert first is not None
        assert second is None
        assert runs.is_running(RUN.run_id)
        with pytest.raises(InputError, match="is running"):
            runs.erase(RUN.run_id)
    assert not runs.is_running(RUN.run_id)
    runs.erase(RUN.run_id)
    assert list(path().parent.iterdir()) == []


def test_who_only_asks_whether_it_is_held_keeps_no_batch_from_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = fcntl.flock

    def asked_just_then(descriptor: int, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", taken)
        raise BlockingIOError

    monkeypatch.setattr(fcntl, "flock", asked_just_then)
    with runs.held(RUN.run_id) as hold:
        assert hold is not None


def test_a_run_that_is_erased_meanwhile_is_none() -> None:
    with opened(1):
        path().with_name("erased.db").symlink_to("nowhere")
        assert runs.known() == [RUN.run_id]
        assert runs.older_than(timedelta(days=-1)) == [RUN.run_id]


def test_a_lock_whose_file_was_erased_holds_nothing() -> None:
    with opened(1), runs.held(RUN.run_id):
        (path().parent / f"{RUN.run_id}.lock").unlink()
        with runs.held(RUN.run_id) as second:
            assert second is not None


def test_many_items_are_never_all_in_memory() -> None:
    waiting: list[int] = []

    class Watched(batch._Feed):
        def next(self, most: int) -> Item | None:
            waiting.append(len(self.page))
            return super().next(most)

    original, batch._Feed = batch._Feed, Watched  # type: ignore[misc]
    try:
        with opened(1000) as ledger:
            assert run(ledger, Paid(), size=4).stopped is None
    finally:
        batch._Feed = original  # type: ignore[misc]
    assert max(waiting) <= 8


Fault = Callable[[pytest.MonkeyPatch, Callable[[], None]], None]


def commits(patch: pytest.MonkeyPatch, strike: Callable[[], None]) -> None:
    """The ledger's disk, before a commit."""
    original = Ledger.commit

    def commit(self: Ledger, entries: Sequence[Entry]) -> None:
        strike()
        original(self, entries)

    patch.setattr(Ledger, "commit", commit)


def reads(patch: pytest.MonkeyPatch, strike: Callable[[], None]) -> None:
    """The ledger's disk, before items are read."""
    original = Ledger.open_items

    def open_items(self: Ledger, *args: Any, **how: Any) -> list[Item]:
        strike()
        return original(self, *args, **how)

    patch.setattr(Ledger, "open_items", open_items)


class Failing(Paid):
    """Work whose network, or whose machine, fails at the n-th call."""

    def __init__(self, strike: Callable[[], None], *, after: bool) -> None:
        super().__init__(None if after else lambda item: strike())
        self.strike = strike if after else None

    def __call__(self, item: Item, journal: Journal) -> ItemRecord:
        record = super().__call__(item, journal)
        if self.strike:
            self.strike()
        return record


class Countdown:
    """Fails at the n-th time, once."""

    def __init__(self, n: int) -> None:
        self.left = n
        self.lock = threading.Lock()

    def __call__(self) -> None:
        with self.lock:
            self.left -= 1
            if self.left == 0:
                raise StorageError("no room on the disk")

    @property
    def struck(self) -> bool:
        return self.left <= 0


@pytest.mark.parametrize("boundary", [commits, reads])
def test_a_fault_at_every_boundary_of_the_ledger(boundary: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    count, size = 12, 3
    for n in range(1, 1000):
        strike = Countdown(n)
        paid = Paid()
        with opened(count) as ledger, monkeypatch.context() as patch:
            boundary(patch, strike)
            ending = run(ledger, paid, size)
            assert (ending.stopped is None) == (not strike.struck)
            if ending.stopped is not None:
                assert (ending.stopped.code, ending.stopped.exit_code) == ("storage", 11)
                assert run(ledger, paid, size).stopped is None
        # what was answered and could not be kept is asked again, and no more than was under way
        check(count, paid, most_again=size)
        runs.erase(RUN.run_id)
        if not strike.struck:
            assert n > 3
            return
    pytest.fail("no run came to its end")


@pytest.mark.parametrize("after", [False, True])
def test_a_fault_at_every_item(after: bool) -> None:
    count, size = 12, 3
    for n in range(1, 100):
        strike = Countdown(n)
        paid = Failing(strike, after=after)
        with opened(count) as ledger:
            ending = run(ledger, paid, size)
            assert (ending.stopped is None) == (not strike.struck)
            assert run(ledger, paid, size).stopped is None
        check(count, paid)
        runs.erase(RUN.run_id)
        if not strike.struck:
            assert n == count + 1
            return
    pytest.fail("no run came to its end")


def test_a_disk_that_is_full_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    paid = Paid()
    with opened(400) as ledger:
        pages = ledger._database.conn.execute("PRAGMA page_count").fetchone()[0]
        ledger._database.conn.execute(f"PRAGMA max_page_count = {pages + 1}")
        ending = run(ledger, paid, 4)
        assert ending.stopped is not None
        assert (ending.stopped.code, ending.stopped.exit_code) == ("storage", 11)
        assert 0 < ledger.counts().done < 400
        ledger._database.conn.execute("PRAGMA max_page_count = 100000")
        assert run(ledger, paid, 4).stopped is None
    check(400, paid, most_again=4)


def test_steps_that_were_done_are_not_done_again_after_a_failure() -> None:
    tried: Counter[str] = Counter()

    def work(item: Item, journal: Journal) -> ItemRecord:
        if journal.find("draft", "k1") is None:
            tried["draft"] += 1
            journal.keep(step(attempts=(attempt(),)))
        tried["check"] += 1
        failed = tried["check"] == 1
        return ItemRecord("failed", failure=Failure("contract", "no", 6)) if failed else ItemRecord("done", {})

    with opened(1) as ledger:
        assert run(ledger, work).progress.failed == 1
        assert run(ledger, work).progress.failed == 1
        ledger.reopen()
        ending = run(ledger, work, again=True)
        assert (ending.progress.failed, ending.progress.ended) == (0, 1)
    assert tried == {"draft": 1, "check": 2}


def test_the_way_is_told_with_rate_and_time_left() -> None:
    told: list[Progress] = []
    with opened(20) as ledger:
        run(ledger, Paid(), tell=told.append)
    last = told[-1]
    assert (last.ended, last.failed, last.total, last.seconds_left) == (20, 0, 20, 0)
    assert last.per_minute is not None
    assert last.per_minute > 0
    assert all(first.ended <= second.ended for first, second in itertools.pairwise(told))
