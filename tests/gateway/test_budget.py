from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from gemx import places, storage
from gemx.errors import BudgetError, StorageError
from gemx.gateway import budget, clock, store
from gemx.gateway.budget import Caps

SAO_PAULO = ZoneInfo("America/Sao_Paulo")
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
D = Decimal


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = NOON

    def forward(self, **span: float) -> None:
        self.now += timedelta(**span)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Clock:
    virtual = Clock()
    monkeypatch.setattr(clock, "now", lambda: virtual.now)
    return virtual


def caps(
    command: str | None = None, daily: str | None = None, monthly: str | None = None, zone: tzinfo | None = UTC
) -> Caps:
    amounts = [None if each is None else D(each) for each in (command, daily, monthly)]
    return Caps(*amounts, zone)


def spend(amount: str, limits: Caps | None = None, run_id: str = "run") -> None:
    budget.reserve(run_id, D(amount), limits or caps(), 60).settle(D(amount))


def refused(amount: str, limits: Caps, run_id: str = "run") -> BudgetError:
    with pytest.raises(BudgetError) as caught:
        budget.reserve(run_id, D(amount), limits, 60)
    return caught.value


def start(code: str, *argv: str) -> subprocess.Popen[bytes]:
    begin = """
        import os, signal, sys, time
        from datetime import UTC
        from decimal import Decimal as D
        from gemx.errors import BudgetError
        from gemx.gateway import budget
        caps = budget.Caps(None, D("1.00"), None, UTC)
        sys.stdin.readline()
    """
    command = [sys.executable, "-c", textwrap.dedent(begin) + textwrap.dedent(code), *argv]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def go(*workers: subprocess.Popen[bytes]) -> None:
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write(b"go\n")
        worker.stdin.flush()


def ended(*workers: subprocess.Popen[bytes]) -> list[str]:
    outputs = [(*worker.communicate(timeout=60), worker.returncode) for worker in workers]
    assert [code for *_, code in outputs] == [0] * len(workers), b"\n".join(err for _, err, _ in outputs).decode()
    return [out.decode().strip() for out, *_ in outputs]


def test_what_was_reserved_is_replaced_by_what_it_did_cost() -> None:
    limits = caps(daily="1")
    reservation = budget.reserve("run", D("0.6"), limits, 60)
    assert budget.left("run", limits) == D("0.4")
    assert budget.spent(UTC) == budget.Spending(D("0.6"), D("0.6"), D("0.6"))
    reservation.settle(D("0.000000001"))
    assert budget.left("run", limits) == D("0.999999999")
    assert budget.spent(UTC) == budget.Spending(D("0.000000001"), D("0.000000001"), D(0))


def test_more_than_was_reserved_is_recorded_truly() -> None:
    budget.reserve("run", D("0.1"), caps(daily="1"), 60).settle(D("7.25"))
    assert budget.spent(UTC).day == D("7.25")
    assert budget.left("run", caps(daily="1")) == 0


def test_a_cost_of_nothing_gives_all_back() -> None:
    budget.reserve("run", D("0.7"), caps(daily="1"), 60).settle(D(0))
    assert budget.left("run", caps(daily="1")) == 1
    with store.opened() as database:
        assert database.conn.execute("SELECT count(*) FROM spending").fetchone() == (0,)


def test_a_fraction_of_a_nanodollar_is_rounded_up() -> None:
    spend("0.0000000001")
    assert budget.spent(UTC).day == D("0.000000001")


def test_a_reservation_is_settled_once() -> None:
    reservation = budget.reserve("run", D("0.7"), caps(), 60)
    reservation.settle(D("0.2"))
    with pytest.raises(RuntimeError, match="twice"):
        reservation.settle(D("0.2"))
    assert budget.spent(UTC).day == D("0.2")


@pytest.mark.parametrize("amount", ["-1", "NaN", "Infinity"])
def test_what_is_no_amount_is_a_bug(amount: str) -> None:
    with pytest.raises(ValueError, match="no amount"):
        budget.reserve("run", D(amount), caps(), 60)


def test_the_last_cent_can_be_spent_and_no_more() -> None:
    for _ in range(10):
        spend("0.10", caps(daily="1.00"))
    refused("0.000000001", caps(daily="1.00"))


def test_a_refusal_says_what_it_could_cost_which_cap_is_left_with_what_and_what_to_do() -> None:
    spend("0.95")
    error = refused("0.1", caps(daily="1", monthly="20"))
    assert error.message == (
        "the call could cost $0.10, and the daily cap, $1.00, leaves $0.05 "
        "($0.95 spent or set aside for calls under way)"
    )
    assert error.hint is not None
    for word in ("max_output_tokens", "-m", "tomorrow", "budget.daily", "config.json"):
        assert word in error.hint
    assert (error.code, error.exit_code) == ("budget", 9)
    assert "monthly cap, $1.00, leaves $0.05" in refused("0.1", caps(daily="2", monthly="1")).message
    assert "cap of one command, $0.50, leaves $0.00" in refused("0.1", caps("0.5", "2", "1")).message


def test_a_refused_call_reserves_nothing() -> None:
    refused("1.1", caps(daily="1"))
    assert budget.spent(UTC).day == 0


def test_a_cap_of_one_command_counts_that_command_alone() -> None:
    limits = caps(command="1")
    spend("0.9", limits, "one")
    refused("0.2", limits, "one")
    spend("0.9", limits, "two")
    assert (budget.left("one", limits), budget.left("three", limits)) == (D("0.1"), D(1))


def test_a_command_that_runs_past_midnight_keeps_its_cap(time: Clock) -> None:
    spend("0.9", run_id="one")
    time.forward(days=40)
    refused("0.2", caps(command="1"), "one")


def test_the_narrowest_cap_is_what_is_left() -> None:
    spend("0.5")
    assert budget.left("run", caps("5", "3", "20")) == D("2.5")
    assert budget.left("run", caps("0.6", "3", "20")) == D("0.1")
    assert budget.left("run", caps()) is None


def test_to_ask_makes_no_file() -> None:
    assert budget.left("run", caps("5", "3")) == 3
    assert budget.spent(UTC).month == 0
    assert not places.door_file().exists()


def test_what_was_spent_before_a_cap_was_set_counts() -> None:
    spend("0.9", caps())
    refused("0.2", caps(daily="1"))


def test_days_and_months_are_those_of_the_zone(time: Clock) -> None:
    time.now = datetime(2026, 12, 1, 2, 30, tzinfo=UTC)  # 23:30 of 30 November in São Paulo
    limits = caps(daily="1", monthly="1.5", zone=SAO_PAULO)
    spend("0.9", limits)
    time.forward(minutes=29)
    refused("0.2", limits)
    time.forward(minutes=1)  # midnight, and another month
    spend("0.9", limits)
    assert budget.spent(SAO_PAULO).month == D("0.9")
    assert budget.spent(UTC).month == D("1.8")
    time.forward(days=1)
    assert budget.left("run", limits) == D("0.6")


def test_the_zone_of_the_system(time: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    import time as system

    monkeypatch.setenv("TZ", "America/Sao_Paulo")
    system.tzset()
    try:
        time.now = datetime(2026, 12, 1, 2, 30, tzinfo=UTC)
        spend("0.9")
        time.forward(hours=1)
        assert budget.spent(None).day == 0
        assert budget.spent(UTC).day == D("0.9")
    finally:
        monkeypatch.undo()
        system.tzset()


def test_a_reservation_ends_with_its_time_and_can_still_be_settled(time: Clock) -> None:
    limits = caps(daily="1")
    late = budget.reserve("run", D("0.9"), limits, 60)
    time.forward(seconds=60)
    refused("0.2", limits)
    time.forward(seconds=31)
    spend("0.2", limits)
    late.settle(D("0.8"))
    assert budget.spent(UTC).day == D("1.0")


@pytest.mark.parametrize("back", [timedelta(minutes=5), timedelta(hours=20), timedelta(days=3)])
def test_a_clock_that_is_set_back_loses_no_money_and_counts_none_twice(time: Clock, back: timedelta) -> None:
    limits = caps(daily="1", monthly="2")
    time.now = datetime(2026, 11, 20, 1, tzinfo=UTC)
    spend("0.5", limits)
    held = budget.reserve("run", D("0.3"), limits, 60)
    time.now -= back
    refused("0.3", limits)
    spend("0.1", limits)
    held.settle(D("0.3"))
    time.now += back
    assert budget.spent(UTC).month == D("0.9")
    time.now = datetime(2026, 11, 20, 5, tzinfo=UTC)
    if back < timedelta(days=1):
        assert budget.spent(UTC).day == D("0.9")
    time.forward(days=1)
    assert budget.spent(UTC).day == 0


def test_a_clock_of_years_ago_opens_no_cap(time: Clock) -> None:
    spend("0.9")
    time.forward(days=-9000)
    refused("0.2", caps(daily="1"))
    refused("0.2", caps(monthly="1"))


def test_what_a_clock_that_ran_ahead_has_dated_is_not_lost(time: Clock) -> None:
    time.forward(days=365)
    spend("0.5")
    time.forward(days=-365)
    refused("0.6", caps(daily="1"))
    spend("0.4", caps(daily="1"))


def test_old_spending_is_forgotten(time: Clock) -> None:
    spend("0.5", run_id="old")
    time.forward(days=401)
    spend("0.1")
    with store.opened() as database:
        assert database.conn.execute("SELECT run_id FROM spending").fetchall() == [("run",)]


def test_threads_share_a_cap() -> None:
    limits, done = caps(daily="1"), list[str]()
    barrier = threading.Barrier(8)

    def work() -> None:
        barrier.wait()
        for _ in range(3):
            try:
                budget.reserve("run", D("0.1"), limits, 60).settle(D("0.1"))
            except BudgetError:
                return
            done.append("call")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 10
    assert budget.spent(UTC).day == 1


def test_eight_processes_share_a_daily_cap() -> None:
    code = """
        calls = 0
        for _ in range(5):
            try:
                reservation = budget.reserve(f"run {os.getpid()}", D("0.10"), caps, 60)
            except BudgetError:
                continue
            time.sleep(0.01)
            reservation.settle(D("0.10"))
            calls += 1
        print(calls)
    """
    workers = [start(code) for _ in range(8)]
    go(*workers)
    calls = sum(map(int, ended(*workers)))
    spent = budget.spent(UTC)
    assert D("0.90") <= spent.day <= D("1.00")
    assert (spent.day, spent.reserved) == (calls * D("0.10"), 0)


def holding(code: str = "print('held', flush=True); time.sleep(60)") -> subprocess.Popen[bytes]:
    """A process that has reserved 0.9, and went on to the code."""
    worker = start(f'held = budget.reserve("other", D("0.9"), caps, 3600)\n{code}')
    go(worker)
    assert worker.stdout is not None
    assert worker.stdout.readline() == b"held\n"
    return worker


def end(worker: subprocess.Popen[bytes]) -> None:
    worker.kill()
    worker.communicate(timeout=60)


def test_a_killed_process_gives_back_what_it_had_reserved() -> None:
    worker = holding()
    try:
        refused("0.2", caps(daily="1"))
        os.kill(worker.pid, signal.SIGKILL)
        os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and is still a zombie
        spend("0.2", caps(daily="1"))
    finally:
        end(worker)
    spend("0.8", caps(daily="1"))
    assert budget.spent(UTC) == budget.Spending(D(1), D(1), D(0))


def test_a_process_that_ended_without_settling_gives_back_too() -> None:
    end(holding("print('held', flush=True)"))
    assert budget.left("run", caps(daily="1")) == 1


def change(**columns: Any) -> None:
    assignments = ", ".join(f"{name} = :{name}" for name in columns)
    with store.opened() as database:
        database.conn.execute(f"UPDATE spending SET {assignments} WHERE ends IS NOT NULL", columns)


def test_a_process_of_the_same_number_is_not_the_same() -> None:
    worker = holding()
    try:
        change(started=store._start(worker.pid) + "0")
        spend("0.2", caps(daily="1"))
    finally:
        end(worker)


def test_a_process_before_the_machine_was_started_is_not_the_same() -> None:
    worker = holding()
    try:
        change(started="another-boot " + store._start(worker.pid).split()[1])
        spend("0.2", caps(daily="1"))
    finally:
        end(worker)


def test_a_reservation_of_another_machine_ends_by_its_time_alone(time: Clock) -> None:
    budget.reserve("other", D("0.9"), caps(), 60)
    change(host="elsewhere", pid=1, started="x")
    refused("0.2", caps(daily="1"))
    time.forward(seconds=91)
    spend("0.2", caps(daily="1"))


def test_where_there_is_no_proc_a_process_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = holding()
    monkeypatch.setattr(store, "_PROC", Path("/nowhere"))
    refused("0.2", caps(daily="1"))
    end(worker)
    spend("0.2", caps(daily="1"))


def test_a_reservation_of_this_process_stands_while_it_runs() -> None:
    budget.reserve("one", D("0.9"), caps(), 60)
    refused("0.2", caps(daily="1"))
    assert not store.myself().ended
    assert replace(store.myself(), pid=2**22 + 1).ended


def test_a_full_disk_lets_no_call_through_and_a_settlement_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    reservation = budget.reserve("run", D("0.1"), caps(), 60)
    real: Callable[[], Any] = store.opened
    with monkeypatch.context() as patch:
        patch.setattr(storage, "_connect", _limited)
        for n in range(2000):
            try:
                spend("0.1", run_id=f"{n} {'x' * 500}")
            except StorageError as exc:
                assert "no room to grow" in exc.message
                break
        else:
            pytest.fail("the disk was never full")
        with real() as database:
            before = database.conn.execute("SELECT sum(amount) FROM spending").fetchone()
    reservation.settle(D("0.2"))
    with real() as database:
        after = database.conn.execute("SELECT sum(amount) FROM spending").fetchone()
    assert after[0] - before[0] == 100_000_000


def _limited(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=10, isolation_level=None)
    connection.execute("PRAGMA max_page_count = 30")
    return connection


def test_a_lock_that_another_process_holds_is_a_storage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    spend("0.1")
    monkeypatch.setattr(storage, "_BUSY_SECONDS", 0.1)
    held = budget.reserve("run", D("0.3"), caps(), 60)
    with store.opened() as database, storage.transaction(database):
        with pytest.raises(StorageError, match="held by another process"):
            budget.reserve("run", D("0.1"), caps(), 60)
        with pytest.raises(StorageError, match="held by another process"):
            held.settle(D("0.3"))
    held.settle(D("0.3"))
    assert budget.spent(UTC).day == D("0.4")


def test_the_file_is_the_users_alone() -> None:
    spend("0.1")
    assert places.door_file().stat().st_mode & 0o777 == 0o600
    assert places.door_file().parent == places.state_dir()
