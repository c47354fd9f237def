"""The door's database under many threads: shared transactions, connections that stay open, and nothing left behind."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import pytest

from gemx import places, storage
from gemx.errors import BudgetError
from gemx.gateway import budget, store
from gemx.gateway.budget import Caps

FREE = Caps(None, None, None, None)
DOLLAR = Caps(None, Decimal(1), None, None)
CENTS = Decimal("0.10")


def reserved(caps: Caps) -> bool:
    try:
        budget.reserve("run-1", CENTS, caps, 30).settle(CENTS)
    except BudgetError:
        return False
    return True


@pytest.mark.parametrize("kept", [False, True])
def test_threads_cannot_overspend_together(kept: bool) -> None:
    with ThreadPoolExecutor(16) as threads:
        if kept:
            with store.kept_open():
                found = list(threads.map(reserved, [DOLLAR] * 64))
        else:
            found = list(threads.map(reserved, [DOLLAR] * 64))
    assert found.count(True) == 10
    assert budget.spent(None).day == 1


def test_a_refusal_takes_nothing_from_those_who_share_its_transaction() -> None:
    def refuse(database: storage.Database) -> None:
        database.conn.execute("DELETE FROM spending")
        raise BudgetError("no")

    budget.reserve("run-1", CENTS, FREE, 30)
    asked = [store.Asked(refuse), store.Asked(lambda database: database.conn.execute("SELECT 1").fetchone())]
    store._write(asked)  # pyright: ignore[reportPrivateUsage]
    assert isinstance(asked[0].error, BudgetError)
    assert asked[1].result == (1,)
    assert budget.spent(None).day == CENTS


def open_files() -> int:
    return sum(each.resolve() == places.door_file() for each in Path("/proc/self/fd").iterdir())


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
def test_connections_stay_open_while_that_is_asked_and_no_longer() -> None:
    with store.kept_open():
        with ThreadPoolExecutor(4) as threads:
            assert all(threads.map(reserved, [FREE] * 16))
        assert 1 <= open_files() <= 4
    assert open_files() == 0
    reserved(FREE)
    assert open_files() == 0


def test_a_file_that_was_moved_away_is_made_anew() -> None:
    with store.kept_open():
        assert reserved(FREE)
        places.door_file().rename(places.door_file().with_suffix(".old"))
        assert reserved(FREE)
        assert budget.spent(None).day == CENTS


def test_after_an_error_its_connection_is_not_used_again() -> None:
    with store.kept_open():
        assert reserved(FREE)
        with pytest.raises(ZeroDivisionError), store.opened() as database:
            database.conn.execute("BEGIN IMMEDIATE")
            raise ZeroDivisionError
        assert reserved(FREE)
        assert budget.spent(None).day == 2 * CENTS


def test_a_prospect_is_from_a_reply_without_a_word_to_the_longest() -> None:
    from gateway_calls import policy, request
    from gemx import gateway

    found = gateway.prospect(request("PAM 57 " * 100), policy(flags={"options": {"max_output_tokens": "1000"}}))
    assert 0 < found.tokens < found.most_tokens
    assert found.least is not None
    assert found.most is not None
    assert 0 < found.least < found.most
    assert gateway.prospect(request(), policy("extractive")).most == 0
    assert gateway.prospect(request(), policy("gemini:nada")).most is None
