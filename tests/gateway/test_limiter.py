from __future__ import annotations

import itertools
import random
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gemx import places
from gemx.errors import InvalidRequestError, RateLimitError
from gemx.gateway import clock, limiter, store
from gemx.gateway.limiter import Limits, Slot
from loopback import Exchange, Loopback

KEY = "project/gemini-3.8-flash"
WINDOW = 61.0
START = datetime(2026, 11, 20, 12, tzinfo=UTC)

# A clock that runs faster than the system's, the same in every process that is given the same start.
FAST = """
    import os, sys, time
    from datetime import UTC, datetime
    from gemx.gateway import clock, limiter
    from gemx.gateway.limiter import Limits
    start, speed = float(sys.argv[1]), float(sys.argv[2])
    clock.now = lambda: datetime.fromtimestamp(start + (time.time() - start) * speed, UTC)
    clock.monotonic = lambda: (time.time() - start) * speed
    real = time.sleep
    clock.sleep = lambda seconds: real(seconds / speed)
"""


class Virtual:
    """A clock that moves only when it is slept by, or set."""

    def __init__(self) -> None:
        self.elapsed = 0.0
        self.shift = timedelta()
        self.slept: list[float] = []
        self.waits: list[tuple[float, str]] = []

    def now(self) -> datetime:
        return START + timedelta(seconds=self.elapsed) + self.shift

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.slept.append(seconds)
        self.elapsed += seconds

    def on_wait(self, left: float, why: str) -> None:
        self.waits.append((left, why))


@pytest.fixture
def virtual(monkeypatch: pytest.MonkeyPatch) -> Virtual:
    fake = Virtual()
    monkeypatch.setattr(clock, "now", fake.now)
    monkeypatch.setattr(clock, "monotonic", lambda: fake.elapsed)
    monkeypatch.setattr(clock, "sleep", fake.sleep)
    return fake


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> float:
    """A clock of real time, but faster."""
    speed, start = 60.0, time.time()
    monkeypatch.setattr(clock, "now", lambda: START + timedelta(seconds=(time.time() - start) * speed))
    monkeypatch.setattr(clock, "monotonic", lambda: (time.time() - start) * speed)
    monkeypatch.setattr(clock, "sleep", lambda seconds: time.sleep(seconds / speed))
    return speed


def take(virtual: Virtual, tokens: int = 0, within: float = 1000.0, key: str = KEY, **limits: int) -> Slot:
    return limiter.acquire(key, tokens, Limits(**limits), virtual.elapsed + within, virtual.on_wait)


def rows(table: str) -> list[Any]:
    with store.opened() as database:
        return database.conn.execute(f"SELECT * FROM {table}").fetchall()


def test_the_window_is_full_at_its_limit_and_slides_exactly(virtual: Virtual) -> None:
    taken: list[float] = []
    for gap in (0, 1, 2, 0, 0, 0, 30, 0):
        virtual.elapsed += gap
        take(virtual, rpm=3)
        taken.append(virtual.elapsed)
    assert taken == pytest.approx([0, 1, 3, 61, 62, 64, 122, 123], abs=1e-5)


def test_tokens_of_a_minute(virtual: Virtual) -> None:
    taken: list[float] = []
    for tokens in (400, 600, 1, 399, 1000):
        take(virtual, tokens, tpm=1000)
        taken.append(virtual.elapsed)
    assert taken == pytest.approx([0, 0, 61, 61, 122], abs=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_no_minute_has_more_than_its_limits(virtual: Virtual, seed: int) -> None:
    chance, taken = random.Random(seed), list[tuple[float, int]]()
    for _ in range(60):
        virtual.elapsed += chance.choice([0, 0, 0, chance.uniform(0, 9), chance.uniform(0, 60)])
        tokens = chance.randint(1, 500)
        take(virtual, tokens, rpm=7, tpm=1500)
        taken.append((virtual.elapsed, tokens))
    for first, _ in taken:
        window = [tokens for at, tokens in taken if first <= at < first + WINDOW - 1e-3]
        assert len(window) <= 7
        assert sum(window) <= 1500
    # And none waited longer than it had to: a limit of the minute before its time is used up.
    for (before, _), (at, tokens) in itertools.pairwise(taken):
        if at in {each + WINDOW for each, _ in taken} and at > before:
            window = [size for each, size in taken if at - WINDOW <= each < at]
            assert len(window) == 7 or sum(window) + tokens > 1500


def test_the_real_tokens_take_the_place_of_the_estimate(virtual: Virtual) -> None:
    slot = take(virtual, 900, tpm=1000)
    slot.settle(100)
    take(virtual, 900, tpm=1000)
    assert virtual.elapsed == 0
    take(virtual, 100, tpm=1000).settle(None)
    assert virtual.elapsed == pytest.approx(61)


def test_who_waits_for_tokens_starts_when_they_turn_out_to_be_fewer(virtual: Virtual) -> None:
    slot = take(virtual, 900, tpm=1000)

    def on_wait(left: float, why: str) -> None:
        virtual.on_wait(left, why)
        if virtual.elapsed >= 5:
            slot.settle(100)

    limiter.acquire(KEY, 900, Limits(tpm=1000), virtual.elapsed + 30, on_wait)
    assert 5 <= virtual.elapsed <= 6


def test_more_real_tokens_than_estimated_count(virtual: Virtual) -> None:
    take(virtual, 10, tpm=1000).settle(5000)
    take(virtual, 10, tpm=1000)
    assert virtual.elapsed == pytest.approx(61)


def test_a_wait_is_told_in_slices_of_a_second(virtual: Virtual) -> None:
    take(virtual, rpm=1)
    take(virtual, rpm=1)
    assert sum(virtual.slept) == pytest.approx(61)
    assert max(virtual.slept) <= 1
    assert len(virtual.waits) == len(virtual.slept)
    lefts = [left for left, _ in virtual.waits]
    assert lefts[0] == pytest.approx(61)
    assert lefts == sorted(lefts, reverse=True)
    assert {why for _, why in virtual.waits} == {"the limit of 1 requests a minute"}


def test_a_wait_beyond_the_deadline_is_refused_at_once(virtual: Virtual) -> None:
    take(virtual, rpm=1)
    virtual.elapsed += 11
    with pytest.raises(RateLimitError, match=r"would have to wait 50 s.*the limit of 1 requests a minute") as caught:
        take(virtual, rpm=1, within=49)
    assert caught.value.retry_after == pytest.approx(50)
    assert caught.value.hint and "--timeout" in caught.value.hint
    assert virtual.slept == []
    assert rows("line") == []
    take(virtual, rpm=1, within=51)


def test_a_wait_that_may_end_in_time_is_waited_for_until_the_deadline(virtual: Virtual) -> None:
    take(virtual, 900, tpm=1000)
    with pytest.raises(RateLimitError) as caught:
        take(virtual, 900, tpm=1000, within=10)
    assert sum(virtual.slept) == pytest.approx(10)
    assert caught.value.retry_after == pytest.approx(51)
    assert rows("line") == []


def test_a_request_larger_than_the_minute_is_refused(virtual: Virtual) -> None:
    with pytest.raises(InvalidRequestError, match=r"about 1001 tokens, and the limit of .* is 1000 a minute"):
        take(virtual, 1001, tpm=1000)
    assert not places.door_file().exists()


def test_keys_do_not_know_each_other(virtual: Virtual) -> None:
    take(virtual, rpm=1)
    take(virtual, rpm=1, key="project/other")
    assert virtual.elapsed == 0


@pytest.mark.parametrize("limits", [{}, {"rpm": 5, "tpm": 100}])
def test_a_cool_down_makes_all_wait(virtual: Virtual, limits: dict[str, int]) -> None:
    limiter.cool_down(KEY, 20)
    limiter.cool_down(KEY, 5)
    take(virtual, key="project/other", **limits)
    assert virtual.elapsed == 0
    take(virtual, **limits)
    assert 20 <= virtual.elapsed <= 20.5
    assert {why for _, why in virtual.waits} == {"the provider asked to wait"}
    with pytest.raises(RateLimitError, match="the provider asked to wait"):
        limiter.cool_down(KEY, 20)
        take(virtual, within=19)
    virtual.elapsed += 21
    before = virtual.elapsed
    take(virtual, **limits)
    assert virtual.elapsed == before


def test_a_longer_cool_down_prolongs_one_that_runs(virtual: Virtual) -> None:
    limiter.cool_down(KEY, 5)
    virtual.elapsed += 3
    limiter.cool_down(KEY, 5)
    take(virtual)
    assert 8 <= virtual.elapsed <= 8.5


@pytest.mark.parametrize("back", [1, 50, 3600, 10**8])
def test_a_clock_that_is_set_back_blocks_no_longer_than_a_minute_and_breaks_no_limit(
    virtual: Virtual, back: int
) -> None:
    for _ in range(3):
        take(virtual, rpm=3)
    limiter.cool_down(KEY, 20)
    virtual.elapsed += 1
    virtual.shift = timedelta(seconds=-back)
    take(virtual, rpm=3)
    assert 61 <= virtual.elapsed <= 63
    take(virtual)
    assert virtual.elapsed <= 63


def test_a_clock_that_is_set_forward_frees_at_most_a_window(virtual: Virtual) -> None:
    take(virtual, rpm=1)
    virtual.shift = timedelta(hours=1)
    take(virtual, rpm=1)
    take(virtual, rpm=1)
    assert virtual.elapsed == pytest.approx(61)


def test_nothing_is_opened_without_limits_and_a_file(virtual: Virtual) -> None:
    take(virtual).settle(5)
    assert not places.door_file().exists()
    code = """
        import sys
        from gemx.gateway import limiter
        limiter.acquire("key", 5, limiter.Limits(), 1e9, print).settle(5)
        print("sqlite_utils" in sys.modules)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_what_is_over_is_cleaned(virtual: Virtual) -> None:
    limiter.cool_down("a", 5)
    for n in range(5):
        take(virtual, rpm=1, key=str(n))
    virtual.elapsed += 62
    take(virtual, rpm=1)
    assert len(rows("requests")) == 1
    assert rows("cooldowns") == rows("line") == []


def test_who_is_interrupted_leaves_the_line(virtual: Virtual) -> None:
    take(virtual, rpm=1)

    def on_wait(left: float, why: str) -> None:
        assert len(rows("line")) == 1
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        limiter.acquire(KEY, 0, Limits(rpm=1), virtual.elapsed + 100, on_wait)
    assert rows("line") == []


def test_a_large_request_is_not_passed_by_small_ones(fast: float) -> None:
    granted: list[str] = []
    begun = {name: threading.Event() for name in ("large", "small 1", "small 2")}

    def work(name: str, tokens: int) -> None:
        def on_wait(left: float, why: str) -> None:
            begun[name].set()

        limiter.acquire(KEY, tokens, Limits(tpm=1000), clock.monotonic() + 600, on_wait)
        granted.append(name)

    limiter.acquire(KEY, 600, Limits(tpm=1000), clock.monotonic() + 600, print)
    threads: list[threading.Thread] = []
    # none of the small ones fits beside the large one; both fit in the minute after it
    for name, tokens in (("large", 950), ("small 1", 100), ("small 2", 200)):
        threads.append(threading.Thread(target=work, args=(name, tokens)))
        threads[-1].start()
        assert begun[name].wait(10)
    for thread in threads:
        thread.join()
    assert granted[0] == "large"
    assert set(granted[1:]) == {"small 1", "small 2"}


def start(code: str, *argv: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", textwrap.dedent(FAST) + textwrap.dedent(code), *argv]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_a_killed_process_leaves_the_line() -> None:
    now = str(time.time())
    code = f"""
        say = lambda left, why: print("waits", flush=True)
        limiter.acquire("{KEY}", 900, Limits(tpm=1000), 1e6, say)
    """
    limiter.acquire(KEY, 500, Limits(tpm=1000), clock.monotonic() + 9, print)
    worker = start(code, now, "1")
    assert worker.stdout is not None
    assert worker.stdout.readline() == b"waits\n"
    with pytest.raises(RateLimitError, match="1 ahead"):
        limiter.acquire(KEY, 400, Limits(tpm=1000), clock.monotonic() + 0.2, lambda left, why: None)
    worker.kill()
    worker.communicate(timeout=60)
    limiter.acquire(KEY, 400, Limits(tpm=1000), clock.monotonic() + 0.2, lambda left, why: None)


def test_a_place_of_another_machine_ends_with_its_deadline(virtual: Virtual) -> None:
    take(virtual, 1, tpm=1000)
    with store.opened() as database:
        ends = store.microseconds() + 5 * store.MICROSECONDS
        place = (KEY, 1000, ends, "elsewhere", 1, "x")
        database.conn.execute(
            "INSERT INTO line (key, tokens, ends, host, pid, started) VALUES (?, ?, ?, ?, ?, ?)", place
        )
    take(virtual, 1, tpm=1000)
    assert 5 <= virtual.elapsed <= 6


class Counting(Loopback):
    """A server that notes when each request came, and when it was let go."""

    def __init__(self) -> None:
        super().__init__()
        self.came: list[tuple[float, float]] = []

    def default(self, exchange: Exchange) -> None:
        self.came.append((time.time(), exchange.request.body["sent"]))
        exchange.json({})


@pytest.fixture
def counting() -> Iterator[Counting]:
    with Counting() as server:
        yield server


def test_eight_processes_make_no_more_than_60_calls_in_any_minute(counting: Counting) -> None:
    speed, calls = 10.0, 17
    code = f"""
        import http.client, json
        connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[3]))
        connection.connect()
        print("ready", flush=True)
        sys.stdin.readline()
        for _ in range({calls}):
            limiter.acquire("{KEY}", 100, Limits(rpm=60), clock.monotonic() + 900, lambda left, why: None)
            connection.request("POST", "/", json.dumps({{"sent": time.time()}}))
            connection.getresponse().read()
    """
    port = counting.url.rpartition(":")[2]
    workers = [start(code, str(time.time()), str(speed), port) for _ in range(8)]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write(b"go\n")
        worker.stdin.flush()
    for worker in workers:
        _, err = worker.communicate(timeout=60)
        assert worker.returncode == 0, err.decode()
    came = sorted(at for at, _ in counting.came)
    assert len(came) == 8 * calls
    # A second is for the way to the server; what a busy machine took beyond it is not the limiter's.
    late = max(at - sent for at, sent in counting.came)
    minute = (60 - max(0.0, late * speed - 1)) / speed
    assert minute * speed > 50, f"this machine took {late:.2f} s to send a request"
    for first, after in zip(came, came[60:], strict=False):
        assert after - first >= minute
    # 60 at once, 60 after a minute, and the last 16 after another.
    assert (came[-1] - came[0]) * speed < 2 * WINDOW + 25


def test_the_file_stays_small(virtual: Virtual) -> None:
    for _ in range(200):
        take(virtual, 10, rpm=50, tpm=10_000)
    assert places.door_file().stat().st_size < 200_000
