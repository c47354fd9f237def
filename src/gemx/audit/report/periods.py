"""Days of figures as the periods of a chart: each day, or weeks, months or years where days would be too many."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

Grain = Literal["day", "week", "month", "year"]

MOST = 93


@dataclass(frozen=True)
class Periods:
    """The periods from the first to the last, also those in which nothing was: the first day of each."""

    grain: Grain
    starts: tuple[str, ...]

    def of(self, day: str) -> str:
        """The period of a day, by its own first day."""
        return _START[self.grain](date.fromisoformat(day)).isoformat()


def covering(days: Iterable[str]) -> Periods:
    """The finest periods that are not too many for the days, such as 2026-11-20; of years, those that have figures."""
    found = sorted({date.fromisoformat(day) for day in days})
    if not found:
        return Periods("day", ())
    for grain in _FINE:
        starts = _starts(grain, found[0], found[-1])
        if starts is not None:
            return Periods(grain, starts)
    return Periods("year", tuple(dict.fromkeys(_START["year"](day).isoformat() for day in found)))


def _starts(grain: Grain, first: date, last: date) -> tuple[str, ...] | None:
    """The start of each period; None where there are too many."""
    found: list[str] = []
    at = _START[grain](first)
    while len(found) < MOST:
        found.append(at.isoformat())
        try:
            at = _START[grain](at + timedelta(days=_LONGEST[grain]))
        except OverflowError:
            return tuple(found)
        if at > last:
            return tuple(found)
    return None


_FINE: tuple[Grain, ...] = ("day", "week", "month")
# From the start of a period into the next one.
_LONGEST: dict[Grain, int] = {"day": 1, "week": 7, "month": 31}
_START: dict[Grain, Callable[[date], date]] = {
    "day": lambda day: day,
    "week": lambda day: day - timedelta(days=day.weekday()),
    "month": lambda day: day.replace(day=1),
    "year": lambda day: day.replace(month=1, day=1),
}
