"""Score bands as tables: each row ends a band, and the bands together cover every number once. Knows no score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from gemx.clinical.calculators.base import Component, Inputs


@dataclass(frozen=True)
class Band:
    """Points up to `limit` (itself included or not); a limit of None is everything above."""

    limit: Decimal | None
    included: bool
    points: int

    def holds(self, value: Decimal) -> bool:
        """Whether `value` ends here, given that it is in no earlier band."""
        if self.limit is None:
            return True
        return value <= self.limit if self.included else value < self.limit


Bands = Sequence[Band]


def below(limit: str, points: int) -> Band:
    """The band that ends before `limit`."""
    return Band(Decimal(limit), False, points)


def up_to(limit: str, points: int) -> Band:
    """The band that ends with `limit`."""
    return Band(Decimal(limit), True, points)


def beyond(points: int) -> Band:
    """The last band: everything above."""
    return Band(None, True, points)


def points_in(bands: Bands, value: Decimal) -> Decimal:
    """The points of the first band that holds `value`."""
    return Decimal(next(band.points for band in bands if band.holds(value)))


def cuts_of(*tables: Bands) -> tuple[Decimal, ...]:
    """Every limit in `tables`."""
    return tuple(band.limit for bands in tables for band in bands if band.limit is not None)


def banded(name: str, bands: Bands) -> Component:
    """A component that scores one number by its band."""

    def value(inputs: Inputs) -> Decimal:
        return points_in(bands, inputs.number(name))

    return Component((name,), value, {name: cuts_of(bands)})


def counted(name: str) -> Component:
    """A component whose points are the number itself."""

    def value(inputs: Inputs) -> Decimal:
        return inputs.number(name)

    return Component((name,), value)


def chosen(name: str, points: Mapping[str, int]) -> Component:
    """A component that scores one choice."""

    def value(inputs: Inputs) -> Decimal:
        return Decimal(points[inputs.text(name)])

    return Component((name,), value)


def flagged(name: str, points: int) -> Component:
    """A component that gives `points` for a yes."""

    def value(inputs: Inputs) -> Decimal:
        return Decimal(points if inputs.flag(name) else 0)

    return Component((name,), value)
