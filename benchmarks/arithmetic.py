"""The benchmark's own arithmetic of a prescription row, in exact fractions; it shares nothing with the checker.

`broken` is the oracle for equivalence: it lists the relations between the fields of a row that do not hold. A change
that breaks none of them, and no limit in `mutations`, changed nothing that could be wrong.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

TOLERANCE = Fraction(2, 100)
PUMP_STEP = Fraction(1, 10)

_CONTENTS: dict[str, tuple[str, Fraction]] = {
    "g": ("mass", Fraction(1_000_000)),
    "mg": ("mass", Fraction(1000)),
    "mcg": ("mass", Fraction(1)),
    "U": ("units", Fraction(1)),
    "mEq": ("mEq", Fraction(1)),
    "mmol": ("mmol", Fraction(1)),
    "mL": ("volume", Fraction(1)),
    "L": ("volume", Fraction(1000)),
}
_TIMES = {"min": Fraction(1), "h": Fraction(60), "dia": Fraction(1440)}
_VOLUMES = {"mL": Fraction(1), "L": Fraction(1000)}


@dataclass(frozen=True)
class Unit:
    """A unit as a content in its base (mcg, U, mEq, mmol, mL), per kg, per minutes, per mL."""

    content: str
    factor: Fraction
    per_kg: bool = False
    minutes: Fraction | None = None
    millilitres: Fraction | None = None

    @property
    def scale(self) -> Fraction:
        """What one of this unit is in base units: content per kg, per minute, per mL."""
        return self.factor / (self.minutes or 1) / (self.millilitres or 1)


def unit(text: str) -> Unit:
    """The unit written in `text`; KeyError where there is none."""
    head, *rest = text.split("/")
    content, factor = _CONTENTS[head]
    minutes = next((_TIMES[part] for part in rest if part in _TIMES), None)
    millilitres = next((_VOLUMES[part] for part in rest if part in _VOLUMES), None)
    known = {"kg", *_TIMES, *_VOLUMES}
    if not set(rest) <= known:
        raise KeyError(text)
    return Unit(content, factor, "kg" in rest, minutes, millilitres)


def exact(value: Any) -> Fraction:
    """A YAML or JSON number as the decimal that was written."""
    return Fraction(Decimal(str(value)))


def based(amount: Mapping[str, Any]) -> Fraction:
    """An amount in base units."""
    return exact(amount["valor"]) * unit(amount["unidade"]).scale


def plain(value: Fraction, places: int) -> int | float:
    """A fraction rounded half up to so many decimals, as a JSON number."""
    step = Decimal(1).scaleb(-places)
    rounded = (Decimal(value.numerator) / Decimal(value.denominator)).quantize(step, ROUND_HALF_UP)
    return int(rounded) if rounded == rounded.to_integral_value() else float(rounded)


def significant(value: Fraction, digits: int) -> int | float:
    """A fraction rounded to so many significant digits, never to fewer than the units."""
    if not value:
        return 0
    magnitude = math.floor(math.log10(float(value)))
    return plain(value, max(0, digits - 1 - magnitude))


def near(value: Fraction, expected: Fraction, tolerance: Fraction = TOLERANCE) -> bool:
    """Whether a written value is within the tolerance of the expected one."""
    return abs(value - expected) <= tolerance * abs(expected)


def minutes_of(text: str | None) -> Fraction | None:
    """`30 min`, `2 h` in minutes."""
    found = re.fullmatch(r"([\d.,]+) (min|h)", text or "")
    return exact(found[1].replace(",", ".")) * _TIMES[found[2]] if found else None


@dataclass(frozen=True)
class Numbers:
    """The numbers of a row in base units; None where the row does not say."""

    unit_mass: Fraction | None
    unit_volume: Fraction | None
    quantity: Fraction | None
    diluent: Fraction | None
    final: Fraction | None
    concentration: Fraction | None
    dose: Fraction | None
    rate: Fraction | None
    total: Fraction | None
    daily: Fraction | None
    volume: Fraction | None
    interval: Fraction | None
    velocity: Fraction | None
    minutes: Fraction | None
    fluid: bool
    continuous: bool

    @property
    def prepared(self) -> Fraction | None:
        """The content of all units opened."""
        return None if self.quantity is None or self.unit_mass is None else self.quantity * self.unit_mass

    @property
    def strength(self) -> Fraction | None:
        """Content per mL of what is given: the dilution's, or the product's where there is none."""
        if self.concentration is not None or self.diluent is not None:
            return self.concentration
        return self.unit_mass / self.unit_volume if self.unit_mass and self.unit_volume else None


def _amount(owner: Mapping[str, Any] | None, name: str) -> Fraction | None:
    amount = (owner or {}).get(name)
    return None if amount is None else based(amount)


def _plain_number(owner: Mapping[str, Any], name: str) -> Fraction | None:
    value = owner.get(name)
    return None if value is None else exact(value)


def numbers(row: Mapping[str, Any], weight: Any) -> Numbers:
    """Read a row; `weight` stands in where a dose per kg has no `peso_kg`."""
    product, dilution, dosage = row.get("apresentacao"), row.get("diluicao"), row["posologia"]
    dose, given = _amount(dosage, "dose"), dosage.get("dose")
    kind = unit(given["unidade"]) if given else None
    kg = exact(dosage.get("peso_kg") or weight) if kind and kind.per_kg else Fraction(1)
    absolute = None if dose is None else dose * kg
    timed = bool(kind and kind.minutes)
    return Numbers(
        unit_mass=_amount(product, "massa"),
        unit_volume=_amount(product, "volume"),
        quantity=_plain_number(row, "quantidade"),
        diluent=_amount(dilution, "volume_diluente"),
        final=_amount(dilution, "volume_final"),
        concentration=_amount(dilution, "concentracao"),
        dose=None if timed else absolute,
        rate=absolute if timed else None,
        total=_amount(dosage, "dose_total"),
        daily=_amount(dosage, "dose_diaria"),
        volume=_amount(dosage, "volume"),
        interval=_plain_number(dosage, "intervalo_h"),
        velocity=_amount(dosage, "velocidade"),
        minutes=minutes_of(row.get("tempo_infusao")),
        fluid=bool(kind and kind.content == "volume"),
        continuous=row.get("modo") == "continua",
    )


def _final(n: Numbers) -> Iterator[tuple[Fraction, Fraction]]:
    if n.final is not None and n.diluent is not None and n.unit_volume is not None and n.quantity is not None:
        yield n.final, n.diluent + n.quantity * n.unit_volume


def _concentration(n: Numbers) -> Iterator[tuple[Fraction, Fraction]]:
    if n.concentration is not None and n.prepared is not None and n.final:
        yield n.concentration, n.prepared / n.final


def _total(n: Numbers) -> Iterator[tuple[Fraction, Fraction]]:
    expected = n.dose if n.rate is None else n.rate
    if n.total is not None and expected is not None:
        yield n.total, expected


def _daily(n: Numbers) -> Iterator[tuple[Fraction, Fraction]]:
    if n.daily is not None and n.rate is not None:
        yield n.daily, n.rate * 1440
    elif n.daily is not None and n.dose is not None and n.interval:
        yield n.daily, n.dose * 24 / n.interval


def _volume(n: Numbers) -> Iterator[tuple[Fraction, Fraction]]:
    if n.volume is None or n.dose is None:
        return
    if n.fluid:
        yield n.volume, n.dose
    elif n.strength:
        yield n.volume, n.dose / n.strength


def _rate(n: Numbers) -> Iterator[tuple[Fraction, Fraction]]:
    if n.velocity is None:
        return
    if n.rate is not None and n.strength:
        yield n.velocity, n.rate / n.strength
    elif n.minutes and (n.volume or n.final):
        yield n.velocity, (n.volume or n.final or Fraction(0)) / n.minutes


def _enough(n: Numbers) -> bool:
    if n.quantity is None or n.dose is None:
        return True
    if n.fluid:
        return n.unit_volume is None or n.quantity * n.unit_volume >= n.dose
    return n.prepared is None or n.prepared * (1 + TOLERANCE) >= n.dose


_RELATIONS = {
    "volume_final": _final,
    "concentracao": _concentration,
    "dose_total": _total,
    "dose_diaria": _daily,
    "volume": _volume,
}


def broken(row: Mapping[str, Any], weight: Any, tolerance: Fraction = TOLERANCE) -> list[str]:
    """The names of the relations between the fields of a row that do not hold."""
    n = numbers(row, weight)
    found = [
        name
        for name, relation in _RELATIONS.items()
        if any(not near(value, expected, tolerance) for value, expected in relation(n))
    ]
    for value, expected in _rate(n):
        if not near(value, expected, tolerance) and abs(value - expected) * 60 > PUMP_STEP:
            found.append("velocidade")
    return found if _enough(n) else [*found, "quantidade"]
