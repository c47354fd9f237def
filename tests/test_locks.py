"""What threads ask for at the same time is done together: each has its own result, or its own error."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from gemx.errors import StorageError
from gemx.locks import Asked, Together


def test_what_waits_for_its_turn_shares_the_next() -> None:
    turns: list[list[int]] = []
    first, go_on = threading.Event(), threading.Event()

    def work(asked: Sequence[Asked[int]]) -> None:
        turns.append([each.what for each in asked])
        first.set()
        go_on.wait(10)
        for each in asked:
            each.result = each.what * 2

    together = Together(work)
    with ThreadPoolExecutor(9) as threads:
        begun = threads.submit(together.ask, 0)
        assert first.wait(10)
        waiting = [threads.submit(together.ask, n) for n in range(1, 9)]
        while len(together._line) < 8:  # pyright: ignore[reportPrivateUsage]
            time.sleep(0.001)
        go_on.set()
        assert [future.result() for future in (begun, *waiting)] == [n * 2 for n in range(9)]
    assert (turns[0], sorted(turns[1]), len(turns)) == ([0], list(range(1, 9)), 2)


def test_an_error_of_one_is_its_own_and_one_of_the_turn_is_everybodys_but_not_the_same_object() -> None:
    def work(asked: Sequence[Asked[str]]) -> None:
        for each in asked:
            if each.what == "all":
                raise StorageError("the disk is full", hint="free some")
            each.error = ValueError(each.what)

    together = Together(work)
    with pytest.raises(ValueError, match="mine"):
        together.ask("mine")
    raised: list[StorageError] = []
    for _ in range(2):
        with pytest.raises(StorageError) as caught:
            together.ask("all")
        raised.append(caught.value)
    assert raised[0] is not raised[1]
    assert (raised[0].message, raised[0].hint) == ("the disk is full", "free some")


def test_who_is_interrupted_leaves_the_line_and_the_others_are_served() -> None:
    interrupted = [True]

    def work(asked: Sequence[Asked[int]]) -> None:
        if interrupted.pop() if interrupted else False:
            raise KeyboardInterrupt
        for each in asked:
            each.result = each.what

    together = Together(work)
    with pytest.raises(KeyboardInterrupt):
        together.ask(1)
    assert together.ask(2) == 2
