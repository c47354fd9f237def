"""The ledger: what is kept together, what a line asks, and what comes of it."""

from __future__ import annotations

import sqlite3
import stat
from dataclasses import replace
from decimal import Decimal

import pytest

from batches import COST, RUN, asks, attempt, opened, path, step
from gemx.errors import StorageError
from gemx.flow.ledger import Ended, Kept, Line, Outcome
from gemx.flow.record import Failure, ItemRecord

FAILURE = Failure("blocked", "blocked by the filters", 5)


def test_a_run_is_known_again_by_what_it_was_asked() -> None:
    with opened() as ledger:
        assert ledger.run() is None
        ledger.begin(RUN)
        found = ledger.run()
        assert found is not None
        assert replace(found, created="", changed="") == RUN
        ledger.end(FAILURE)
    with opened() as ledger:
        found = ledger.run()
        assert found is not None
        assert found.stopped == FAILURE
        ledger.begin(replace(RUN, sha256="0" * 64))
        again = ledger.run()
        assert again is not None
        assert (again.sha256, again.stopped) == ("0" * 64, None)
        assert again.created > found.created
        ledger.begin(replace(RUN, sha256="0" * 64))
        last = ledger.run()
        assert last is not None
        assert last.created == again.created
    assert stat.S_IMODE(path().stat().st_mode) == 0o600


def test_lines_that_ask_the_same_are_one_item_and_each_has_its_outcome() -> None:
    with opened() as ledger:
        ledger.take([Line(2, "a", "k", {"n": 1}), Line(3, None, problem="falta idade"), Line(4, "b", "k", {"n": 1})])
        assert [item.key for item in ledger.open_items(0, 10)] == ["k"]
        ledger.commit([Ended("k", ItemRecord("done", {"answer": 42}))])
        done, refused, twin = ledger.outcomes()
    assert done == Outcome(2, "a", "done", {"answer": 42}, None)
    assert refused == Outcome(3, None, "failed", None, Failure("input", "falta idade", 4))
    assert twin == replace(done, line=4, id="b")


def test_new_lines_take_the_place_of_the_old_and_what_was_done_stays_done() -> None:
    with opened(3) as ledger:
        ledger.commit([Ended("key-1", ItemRecord("done", {"answer": 1}))])
        ledger.take(asks(3, first=0))
        assert [item.key for item in ledger.open_items(0, 10)] == ["key-2", "key-0"]
        counts = ledger.counts()
        assert (counts.lines, counts.unique, counts.done, counts.pending) == (3, 3, 1, 2)


def test_items_come_in_pages_with_what_was_done_of_them() -> None:
    with opened(5) as ledger:
        ledger.commit([Kept("key-2", step()), Kept("key-2", step("check", "k2", status="failed", failure=FAILURE))])
        first, second = ledger.open_items(0, 2)
        assert (first.key, first.done, first.inputs) == ("key-1", (), {"n": 1})
        assert second.done == (step(),)
        assert [item.key for item in ledger.open_items(second.number, 10)] == ["key-3", "key-4", "key-5"]


def test_a_step_that_the_flow_went_on_after_is_still_one_that_failed() -> None:
    with opened(1) as ledger:
        ledger.commit([Kept("key-1", step(failure=FAILURE))])
        (item,) = ledger.open_items(0, 1)
        assert item.done == (step(failure=FAILURE),)


def test_what_the_steps_gave_is_dropped_with_the_end_of_the_item_unless_it_failed() -> None:
    with opened(2) as ledger:
        for key, record in (("key-1", ItemRecord("done", {})), ("key-2", ItemRecord("failed", failure=FAILURE))):
            ledger.commit([Kept(key, step(text="um texto do paciente")), Ended(key, record)])
        assert ledger.reopen() == 1
        (item,) = ledger.open_items(0, 10, again=True)
        assert (item.key, item.done) == ("key-2", (step(text="um texto do paciente"),))
    rows = sqlite3.connect(path()).execute("SELECT item_key, outputs IS NULL FROM steps ORDER BY item_key").fetchall()
    assert rows == [("key-1", 1), ("key-2", 0)]


def test_only_failed_items_that_a_line_asks_are_opened_again() -> None:
    with opened(3) as ledger:
        ledger.commit([Ended(f"key-{n}", ItemRecord("failed", failure=FAILURE)) for n in (1, 2)])
        ledger.take(asks(2, first=2))
        assert ledger.reopen() == 1
        assert [item.key for item in ledger.open_items(0, 10, again=True)] == ["key-2"]
        assert [item.key for item in ledger.open_items(0, 10)] == ["key-2", "key-3"]


def test_costs_add_up_exactly_and_an_unknown_one_is_counted_apart() -> None:
    with opened(1) as ledger:
        tries = (attempt(), attempt(None, "timeout"), attempt(Decimal("0.1")))
        ledger.commit([Kept("key-1", step(attempts=tries))] * 10)
        counts = ledger.counts()
    assert counts.cost == 10 * (COST + Decimal("0.1"))
    assert (counts.calls, counts.unpriced, counts.input_tokens, counts.output_tokens) == (30, 10, 360, 210)


def test_half_of_a_character_is_kept_as_it_came() -> None:
    with opened() as ledger:
        ledger.take([Line(1, "\ud800", "k", {"t": "\ud83d"})])
        (item,) = ledger.open_items(0, 1)
        assert item.inputs == {"t": "\ud83d"}
        ledger.commit([Ended("k", ItemRecord("done", {"t": "\udfff"}))])
        (outcome,) = ledger.outcomes()
        assert outcome.outputs == {"t": "\udfff"}


def test_what_cannot_be_kept_whole_is_not_kept_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(2) as ledger:
        with pytest.raises(sqlite3.IntegrityError):
            ledger.commit([Kept("key-1", step()), Kept("no such item", step())])
        assert ledger.open_items(0, 1)[0].done == ()
        ledger._database.conn.execute("PRAGMA max_page_count = 1")
        with pytest.raises(StorageError, match="no room"):
            ledger.commit([Kept("key-1", step(text="x" * 100_000))])
        ledger._database.conn.execute("PRAGMA max_page_count = 1000000")
        assert ledger.open_items(0, 1)[0].done == ()
        ledger.commit([Kept("key-1", step())])
        assert ledger.open_items(0, 1)[0].done == (step(),)


def test_failures_are_counted_by_their_code() -> None:
    with opened(3) as ledger:
        ledger.commit([Ended(f"key-{n}", ItemRecord("failed", failure=FAILURE)) for n in (1, 2)])
        assert ledger.failures() == [("blocked", "blocked by the filters", 2)]
