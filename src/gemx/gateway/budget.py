"""Caps on what is spent: an amount is reserved before a call and settled after it, over all processes of the user.

Money is whole nanodollars, rounded up. Reservations of processes that ended, or that outlived their time, count no
more. Knows no prices.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, tzinfo
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from gemx import storage
from gemx.errors import BudgetError
from gemx.gateway import store
from gemx.gateway.store import Owner

_NANODOLLARS = 1_000_000_000
# What a call may take beyond its own time: to end, and to be settled.
_MARGIN = 30.0
_KEPT_DAYS = 400
# A clock that is set back by less than this goes on counting on the day it was set back from.
_SET_BACK = 26 * 3600 * store.MICROSECONDS
_INSERT = "INSERT INTO spending VALUES (:id, :run_id, :at, :amount, :ends, :host, :pid, :started)"
_SETTLE = """
    INSERT INTO spending (id, run_id, at, amount) VALUES (:id, :run_id, :at, :amount)
    ON CONFLICT (id) DO UPDATE SET amount = excluded.amount, ends = NULL, host = NULL, pid = NULL, started = NULL
"""


@dataclass(frozen=True)
class Caps:
    """Dollars that one command, a day and a month may cost; days and months are the zone's, None being the system's."""

    command: Decimal | None
    daily: Decimal | None
    monthly: Decimal | None
    zone: tzinfo | None


@dataclass(frozen=True)
class Spending:
    """Dollars of today and of this month; `reserved` is the part of today's that calls under way may still cost."""

    day: Decimal
    month: Decimal
    reserved: Decimal


class Reservation:
    """An amount set aside for one call."""

    def __init__(self, row_id: str, run_id: str, at: int) -> None:
        self.row = {"id": row_id, "run_id": run_id, "at": at}
        self._settled = False

    def settle(self, cost: Decimal) -> None:
        """Put what the call did cost in place of what was reserved, more or less; 0 gives all back. Once.

        Raises StorageError; the reservation then stands, and may be settled again.
        """
        if self._settled:
            raise RuntimeError("a reservation was settled twice")
        amount = _nanodollars(cost)

        def settle(database: storage.Database) -> None:
            if amount:
                # Also where the row is gone, as that of a call which took longer than it should have.
                database.conn.execute(_SETTLE, {**self.row, "amount": amount})
            else:
                database.conn.execute("DELETE FROM spending WHERE id = ?", [self.row["id"]])

        store.write(settle)
        self._settled = True


def reserve(run_id: str, amount: Decimal, caps: Caps, seconds: float) -> Reservation:
    """Set aside the most that a call of at most so many seconds can cost, under every cap.

    It is recorded also where there is no cap. Raises BudgetError where a cap leaves too little, StorageError.
    """
    asked = _nanodollars(amount)

    def set_aside(database: storage.Database) -> Reservation:
        now = _present(database)
        _drop_ended(database, now)
        for room in _rooms(database, run_id, caps, now):
            if asked > room.left:
                raise _refusal(asked, room)
        reservation = Reservation(os.urandom(16).hex(), run_id, now)
        ends = now + round((seconds + _MARGIN) * store.MICROSECONDS)
        held = {"amount": asked, "ends": ends, **vars(store.myself())}
        database.conn.execute(_INSERT, {**reservation.row, **held})
        return reservation

    return store.write(set_aside)


def left(run_id: str, caps: Caps) -> Decimal | None:
    """The dollars that the narrowest cap leaves, 0 where it is used up; None where there is no cap."""
    if caps.command is None and caps.daily is None and caps.monthly is None:
        return None
    if not store.exists():
        return min(cap for cap in (caps.command, caps.daily, caps.monthly) if cap is not None)
    with store.opened() as database, store.writing(database):
        now = _present(database)
        _drop_ended(database, now)
        return _dollars(max(0, min(room.left for room in _rooms(database, run_id, caps, now))))


def spent(zone: tzinfo | None) -> Spending:
    """What today and this month cost so far, reservations included."""
    if not store.exists():
        return Spending(Decimal(0), Decimal(0), Decimal(0))
    with store.opened() as database, store.writing(database):
        now = _present(database)
        _drop_ended(database, now)
        day, month = (_used_since(database, start) for start in _starts(now, zone))
        held = _sum(database, "ends > ?", now)
        return Spending(_dollars(day), _dollars(month), _dollars(held))


@dataclass(frozen=True)
class _Room:
    """What a cap leaves, in nanodollars; `setting` is where the cap was set, and `wait` when it is free again."""

    name: str
    cap: int
    used: int
    setting: str
    wait: str

    @property
    def left(self) -> int:
        return self.cap - self.used


def _rooms(database: storage.Database, run_id: str, caps: Caps, now: int) -> Sequence[_Room]:
    """The caps that are set, the narrowest first."""
    rooms: list[_Room] = []
    day, month = _starts(now, caps.zone)
    if caps.command is not None:
        used = _sum(database, "run_id = ?", run_id)
        rooms.append(_Room("cap of one command", _floor(caps.command), used, "budget.command", "split the command"))
    if caps.daily is not None:
        used = _used_since(database, day)
        rooms.append(_Room("daily cap", _floor(caps.daily), used, "budget.daily", "wait until tomorrow"))
    if caps.monthly is not None:
        used = _used_since(database, month)
        rooms.append(_Room("monthly cap", _floor(caps.monthly), used, "budget.monthly", "wait until next month"))
    return sorted(rooms, key=lambda room: room.left)


def _refusal(asked: int, room: _Room) -> BudgetError:
    return BudgetError(
        f"the call could cost ${_shown(asked)}, and the {room.name}, ${_shown(room.cap)}, leaves "
        f"${_shown(max(0, room.left))} (${_shown(room.used)} spent or set aside for calls under way)",
        hint=f"ask for less (-o max_output_tokens=N), choose a cheaper or a local model with -m, {room.wait}, or raise "
        f"{room.setting} in config.json",
    )


def _present(database: storage.Database) -> int:
    """Now; where the clock was set back a little, the moment from which it was, so that no day is counted twice."""
    now = store.microseconds()
    latest = database.conn.execute("SELECT max(at) FROM spending").fetchone()[0]
    return latest if latest is not None and now < latest <= now + _SET_BACK else now


def _starts(now: int, zone: tzinfo | None) -> tuple[int, int]:
    """When the day and the month of a moment began."""
    today = datetime.fromtimestamp(now // store.MICROSECONDS, zone).date()
    days = (today, today.replace(day=1))
    day, month = (datetime.combine(each, time.min, zone).astimezone(UTC) for each in days)
    return store.microseconds(day), store.microseconds(month)


def _used_since(database: storage.Database, start: int) -> int:
    # Without an end: what a clock that ran ahead has dated in the future is not lost.
    return _sum(database, "at >= ?", start)


def _sum(database: storage.Database, condition: str, value: str | int) -> int:
    query = f"SELECT coalesce(sum(amount), 0) FROM spending WHERE {condition}"  # noqa: S608
    return int(database.conn.execute(query, [value]).fetchone()[0])


def _drop_ended(database: storage.Database, now: int) -> None:
    """Give back what was set aside for calls that are no more, and forget what is too old to count."""
    database.conn.execute("DELETE FROM spending WHERE ends <= ?", [now])
    owners = database.conn.execute("SELECT DISTINCT host, pid, started FROM spending WHERE ends IS NOT NULL").fetchall()
    for owner in owners:
        if Owner(*owner).ended:
            ended = "DELETE FROM spending WHERE ends IS NOT NULL AND (host, pid, started) = (?, ?, ?)"
            database.conn.execute(ended, owner)
    oldest = now - _KEPT_DAYS * 86_400 * store.MICROSECONDS
    database.conn.execute("DELETE FROM spending WHERE at < ?", [oldest])


def _nanodollars(amount: Decimal) -> int:
    if not amount.is_finite() or amount < 0:
        raise ValueError(f"{amount} is no amount of money")
    return int((amount * _NANODOLLARS).to_integral_value(ROUND_CEILING))


def _floor(cap: Decimal) -> int:
    return int((cap * _NANODOLLARS).to_integral_value(ROUND_FLOOR))


def _dollars(nanodollars: int) -> Decimal:
    return Decimal(nanodollars) / _NANODOLLARS


def _shown(nanodollars: int) -> str:
    """Dollars with as many places as they need, at least two."""
    text = f"{_dollars(nanodollars):f}"
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction.rstrip('0'):0<2}"
