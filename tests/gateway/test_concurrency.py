from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from gemx.errors import TimeoutExceededError
from gemx.gateway import clock, concurrency
from gemx.gateway.concurrency import Adaptive

FAR = 1e9


class Virtual:
    """A clock that moves only when it is set."""

    def __init__(self) -> None:
        self.elapsed = 0.0


@pytest.fixture
def virtual(monkeypatch: pytest.MonkeyPatch) -> Virtual:
    fake = Virtual()
    monkeypatch.setattr(clock, "monotonic", lambda: fake.elapsed)
    return fake


def rounds(adaptive: Adaptive, number: int = 1, used: float = 1.0) -> list[int]:
    """Go through clean rounds with a share of the limit in use, and give back the limit after each."""
    limits: list[int] = []
    for _ in range(number):
        size = max(adaptive.limit, 4)
        with ExitStack() as calls:
            for _ in range(max(1, int(used * adaptive.limit))):
                calls.enter_context(adaptive.slot(FAR))
            for _ in range(size):
                adaptive.succeeded()
        limits.append(adaptive.limit)
    return limits


@pytest.mark.parametrize(("ceiling", "start"), [(1, 1), (5, 5), (20, 20), (500, 20), (0, 1)])
def test_it_starts_at_20_or_what_was_asked_for(ceiling: int, start: int) -> None:
    assert Adaptive(ceiling).limit == start


def test_it_doubles_each_clean_round_up_to_the_ceiling() -> None:
    assert rounds(Adaptive(100), 4) == [40, 80, 100, 100]


def test_after_the_first_rate_limit_it_grows_by_a_twentieth_and_at_least_one(virtual: Virtual) -> None:
    adaptive = Adaptive(100)
    rounds(adaptive, 2)
    adaptive.rate_limited()
    assert adaptive.limit == 64
    virtual.elapsed += 15
    assert rounds(adaptive, 3) == [67, 70, 73]
    small = Adaptive(5)
    small.rate_limited()
    virtual.elapsed += 15
    assert (small.limit, *rounds(small, 2)) == (4, 5, 5)


def test_an_episode_takes_a_fifth_once(virtual: Virtual) -> None:
    adaptive = Adaptive(20)
    for _ in range(20):
        adaptive.rate_limited()
        virtual.elapsed += 0.7
    assert adaptive.limit == 16
    virtual.elapsed = 15
    adaptive.rate_limited()
    assert adaptive.limit == 12


def test_it_never_falls_below_one(virtual: Virtual) -> None:
    adaptive, limits = Adaptive(6), list[int]()
    for _ in range(7):
        adaptive.rate_limited()
        limits.append(adaptive.limit)
        virtual.elapsed += 15
    assert limits == [4, 3, 2, 1, 1, 1, 1]


def test_successes_of_the_cooldown_do_not_count(virtual: Virtual) -> None:
    adaptive = Adaptive(100)
    adaptive.rate_limited()
    virtual.elapsed += 14.9
    assert rounds(adaptive, 3) == [16, 16, 16]
    virtual.elapsed += 0.1
    assert rounds(adaptive) == [17]


def test_a_hint_lengthens_the_cooldown_and_a_shorter_one_does_not_shorten_it(virtual: Virtual) -> None:
    adaptive = Adaptive(100)
    adaptive.rate_limited(53)
    virtual.elapsed += 52
    adaptive.rate_limited(0.5)
    assert rounds(adaptive) == [16]
    virtual.elapsed += 1
    assert rounds(adaptive) == [17]
    adaptive.rate_limited(2)
    virtual.elapsed += 14
    assert rounds(adaptive) == [13]


def test_a_round_in_which_little_was_used_is_no_reason_to_grow() -> None:
    adaptive = Adaptive(100)
    assert rounds(adaptive, 3, used=0.75) == [20, 20, 20]
    assert rounds(adaptive, 1, used=0.8) == [40]


def test_trouble_of_the_server_pauses_growth_and_takes_nothing() -> None:
    adaptive = Adaptive(100)
    with ExitStack() as calls:
        for _ in range(20):
            calls.enter_context(adaptive.slot(FAR))
        for _ in range(50):
            for _ in range(19):
                adaptive.succeeded()
            adaptive.failed()
        assert adaptive.limit == 20
        for _ in range(20):
            adaptive.succeeded()
    assert adaptive.limit == 40


def test_a_rate_limit_begins_the_round_again(virtual: Virtual) -> None:
    adaptive = Adaptive(100)
    for _ in range(19):
        adaptive.succeeded()
    adaptive.rate_limited()
    virtual.elapsed += 15
    adaptive.succeeded()
    assert adaptive.limit == 16


def test_no_place_before_the_deadline_is_an_error(virtual: Virtual) -> None:
    adaptive = Adaptive(1)
    with (
        adaptive.slot(FAR),
        pytest.raises(TimeoutExceededError, match="no place among 1 calls"),
        adaptive.slot(virtual.elapsed),
    ):
        pytest.fail("there was a place")
    with adaptive.slot(virtual.elapsed):
        pass


def test_a_place_is_given_back_whatever_happens() -> None:
    adaptive = Adaptive(1)
    with pytest.raises(ZeroDivisionError), adaptive.slot(FAR):
        raise ZeroDivisionError
    with adaptive.slot(clock.monotonic()):
        pass


class Crowd:
    """Threads that ask for a place, one after the other, and hold it until they are let go."""

    def __init__(self, adaptive: Adaptive) -> None:
        self.adaptive = adaptive
        self.inside: list[int] = []
        self.most = 0
        self.go = [threading.Event() for _ in range(100)]
        self.threads: list[threading.Thread] = []

    def add(self, number: int) -> None:
        thread = threading.Thread(target=self._work, args=(number,))
        self.threads.append(thread)
        waiting = len(self.adaptive._line)
        thread.start()
        wait_for(lambda: number in self.inside or len(self.adaptive._line) > waiting)

    def _work(self, number: int) -> None:
        with self.adaptive.slot(clock.monotonic() + 30):
            self.inside.append(number)
            self.most = max(self.most, self.adaptive._in_use)
            self.go[number].wait(30)

    def join(self) -> None:
        for event in self.go:
            event.set()
        for thread in self.threads:
            thread.join()


def wait_for(true: object) -> None:
    assert callable(true)
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.fixture
def crowd() -> Iterator[Crowd]:
    gathered = Crowd(Adaptive(3))
    yield gathered
    gathered.join()


def test_places_go_to_who_waited_longest(crowd: Crowd) -> None:
    for number in range(10):
        crowd.add(number)
    assert crowd.inside == [0, 1, 2]
    for done in range(7):
        crowd.go[done].set()
        wait_for(lambda done=done: len(crowd.inside) == done + 4)
    assert crowd.inside == list(range(10))
    assert crowd.most == 3


def test_a_cut_holds_back_and_a_growth_lets_in(crowd: Crowd) -> None:
    for number in range(6):
        crowd.add(number)
    crowd.adaptive.rate_limited()
    assert crowd.adaptive.limit == 2
    crowd.go[0].set()
    wait_for(lambda: crowd.adaptive._in_use == 2)
    time.sleep(0.05)
    assert crowd.inside == [0, 1, 2]
    crowd.adaptive.set_ceiling(10)
    crowd.adaptive._cool_until = 0.0
    for _ in range(4):
        crowd.adaptive.succeeded()
    wait_for(lambda: len(crowd.inside) == 4)


def test_who_gives_up_leaves_the_line(crowd: Crowd) -> None:
    for number in range(3):
        crowd.add(number)
    with pytest.raises(TimeoutExceededError), crowd.adaptive.slot(clock.monotonic() + 0.05):
        pytest.fail("there was a place")
    assert not crowd.adaptive._line
    crowd.add(3)
    crowd.go[1].set()
    wait_for(lambda: 3 in crowd.inside)


def test_many_threads_never_hold_more_than_the_limit() -> None:
    adaptive, lock = Adaptive(7), threading.Lock()
    inside, most, done = 0, 0, 0

    def work() -> None:
        nonlocal inside, most, done
        for _ in range(20):
            with adaptive.slot(clock.monotonic() + 30):
                with lock:
                    inside += 1
                    most = max(most, inside)
                time.sleep(0.0005)
                adaptive.succeeded()
                with lock:
                    inside -= 1
                    done += 1

    threads = [threading.Thread(target=work) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (done, adaptive._in_use) == (600, 0)
    assert 1 < most <= 7


def test_one_for_a_key_and_process() -> None:
    first = concurrency.of("test/one", 40)
    assert concurrency.of("test/one", 40) is first
    assert concurrency.of("test/two", 40) is not first
    assert first.limit == 20
    concurrency.of("test/one", 3)
    assert first.limit == 3
    concurrency.of("test/one", 40)
    assert rounds(first, 4) == [6, 12, 24, 40]
