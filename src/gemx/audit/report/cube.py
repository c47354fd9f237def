"""Figures as the data of a page that adds them up by filter: bounded, whatever the log holds.

Counts are kept by period, model and work, to be added up; percentiles cannot be added, and are there for each choice of
filters. A name beyond the most used ones is counted with the others.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from gemx.audit.figures import PERCENTILES, PICODOLLARS, Cell, Figures, Group, Total, percentile
from gemx.audit.report import periods
from gemx.sanitize import printable

ALL = -1
MOST_MODELS, MOST_WORK, MOST_USERS, MOST_CODES = 7, 11, 10, 30
NUMBERS = (
    *("calls", "messages", "imported", "unpriced", "retries", "fallbacks", "answers", "verified", "repairs"),
    *("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens"),
)
CODES = ("failures", "refusals", "findings")
# The last so many periods, as a choice beside all of them.
_WINDOWS: Mapping[periods.Grain, tuple[int, ...]] = {"day": (30, 7), "week": (13, 4), "month": (12, 3), "year": ()}
_LONGEST_NAME = 80

Key = tuple[int, int, int]
"""Period, model and work, by their places; ALL stands for every one."""


def data(figures: Figures, last_day: str) -> dict[str, Any]:
    """The data, as JSON can hold it; the periods go to the last day, whether anything was called then or not."""
    times = periods.covering([last_day, *(day for day, _ in figures.cells)])
    models = Names(figures, lambda group: group.model, MOST_MODELS)
    works = Names(figures, lambda group: group.work, MOST_WORK)
    users = Names(figures, lambda group: group.user, MOST_USERS)
    place = {start: number for number, start in enumerate(times.starts)}
    windows = [0, *(len(place) - size for size in _WINDOWS[times.grain] if size < len(place))]
    parts: defaultdict[Key, list[Cell]] = defaultdict(list)
    people: defaultdict[tuple[int, int, int, int], list[Cell]] = defaultdict(list)
    for (day, group), cell in figures.cells.items():
        period = place[times.of(day)]
        model, work = models.place(group.model), works.place(group.work)
        window = max(number for number, first in enumerate(windows) if period >= first)
        parts[period, model, work].append(cell)
        people[window, model, work, users.place(group.user)].append(cell)
    cells = {key: Total(found) for key, found in sorted(parts.items())}
    codes = {kind: _codes(cells.values(), kind) for kind in CODES}
    return {
        "grain": times.grain,
        "periods": times.starts,
        "windows": windows,
        "models": models.shown,
        "works": works.shown,
        "users": users.shown,
        "numbers": NUMBERS,
        "codes": {kind: [_label(code) for code in known] for kind, known in codes.items()},
        "cells": [[*key, *_row(total, codes)] for key, total in cells.items()],
        "people": [[*key, *_spent(Total(found))] for key, found in sorted(people.items())],
        "times": _times(cells, windows, len(place)),
    }


class Names:
    """The most used names of a part of the group; all others are one more, at the end."""

    def __init__(self, figures: Figures, name: Callable[[Group], str], most: int) -> None:
        found = figures.grouped(lambda _, group: name(group))
        ranked = sorted(found, key=lambda each: (-_weight(found[each]), each))
        self._places = {each: number for number, each in enumerate(ranked[:most])}
        self._others = len(ranked) - len(self._places)

    def place(self, name: str) -> int:
        """The place of a name among those that are shown."""
        return self._places.get(name, len(self._places))

    @property
    def shown(self) -> list[str | int]:
        """The names; last, where there are others, how many."""
        names = [_label(each) for each in self._places]
        return [*names, self._others] if self._others else [*names]


def _label(name: str | int) -> str | int:
    return printable(name)[:_LONGEST_NAME] if isinstance(name, str) else name


def _weight(total: Total) -> int:
    return total.calls + total.refused + total.answers


def _codes(totals: Iterable[Total], kind: str) -> list[str | int]:
    """The codes that a table can hold, the most frequent first; last, where there are others, how many."""
    found: Counter[str] = Counter()
    for total in totals:
        found.update(getattr(total, kind))
    ranked = sorted(found, key=lambda code: (-found[code], code))
    others = len(ranked) - MOST_CODES
    return [*ranked[:MOST_CODES], others] if others > 0 else [*ranked]


def _row(total: Total, codes: Mapping[str, Sequence[str | int]]) -> list[Any]:
    return [
        _cost(total),
        [getattr(total, name) for name in NUMBERS],
        *(_counted(total, codes, kind) for kind in CODES),
    ]


def _counted(total: Total, codes: Mapping[str, Sequence[str | int]], kind: str) -> list[int]:
    """Place and count, one after the other, of each code."""
    counts: Counter[int] = Counter()
    for code, count in getattr(total, kind).items():
        known = codes[kind]
        counts[known.index(code) if code in known else len(known) - 1] += count
    return [number for pair in sorted(counts.items()) for number in pair]


def _cost(total: Total) -> int:
    """In billionths of a dollar: whole numbers add up exactly."""
    return round(total.cost * 1_000_000_000 / PICODOLLARS)


def _spent(total: Total) -> list[int]:
    return [total.calls, total.failed, _cost(total), total.unpriced]


def _times(cells: Mapping[Key, Total], windows: Sequence[int], size: int) -> dict[str, Any]:
    """Percentiles for each choice of model and work: of the latency in each period, and of all in each window."""
    chosen: defaultdict[tuple[int, int], dict[int, _Times]] = defaultdict(dict)
    for (period, model, work), total in cells.items():
        for choice in ((model, work), (model, ALL), (ALL, work), (ALL, ALL)):
            chosen[choice].setdefault(period, _Times()).add(total.latency, total.first_token)
    return {f"{model},{work}": _percentiles(found, windows, size) for (model, work), found in chosen.items()}


def _percentiles(found: Mapping[int, _Times], windows: Sequence[int], size: int) -> dict[str, Any]:
    whole: list[list[list[float | None]]] = []
    for first in windows:
        together = _Times()
        for period, times in found.items():
            if period >= first:
                together.add(times.latency, times.first_token)
        whole.append([_of(together.latency), _of(together.first_token)])
    periods = [_of(found[period].latency) if period in found else None for period in range(size)]
    return {"windows": whole, "periods": periods}


class _Times:
    """Counts of times by bucket."""

    def __init__(self) -> None:
        self.latency: Counter[int] = Counter()
        self.first_token: Counter[int] = Counter()

    def add(self, latency: Mapping[int, int], first_token: Mapping[int, int]) -> None:
        self.latency.update(latency)
        self.first_token.update(first_token)


def _of(times: Mapping[int, int]) -> list[float | None]:
    found = [percentile(times, share) for share in PERCENTILES]
    return [None if each is None else round(each, 4) for each in found]
