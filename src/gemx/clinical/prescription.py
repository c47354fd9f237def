"""The arithmetic of one prescription row: concentration, total dose, daily dose, pump rate, units to open.

Exact until the last step; what cannot be computed for want of a weight is None, never a guess. Knows no drug.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal
from typing import Literal, Protocol

from gemx.clinical.formulary import Presentation
from gemx.clinical.quantity import Quantity, convert, parse_unit
from gemx.errors import InputError

PUMP_STEP = Decimal("0.1")
_DAY = Decimal(24)
_MCG_IN_MG = Decimal(1000)


class _Dilution(Protocol):
    @property
    def volume(self) -> Quantity: ...


class _Regimen(Protocol):
    """The part of an automation's regimen that is arithmetic."""

    @property
    def mode(self) -> Literal["unica", "intermitente", "continua"]: ...
    @property
    def quantity(self) -> Decimal | None: ...
    @property
    def dilution(self) -> _Dilution | None: ...
    @property
    def dose(self) -> Quantity: ...
    @property
    def interval_h(self) -> Decimal | None: ...


@dataclass(frozen=True)
class Order:
    """What is ordered: a dose, what it is taken from, and what that is diluted in."""

    presentation: Presentation
    mode: Literal["unica", "intermitente", "continua"]
    dose: Quantity
    quantity: Decimal | None
    diluent_volume: Quantity | None
    interval_h: Decimal | None

    @classmethod
    def of(cls, regimen: _Regimen, presentation: Presentation) -> Order:
        """The order of a regimen with one presentation of its drug."""
        volume = regimen.dilution.volume if regimen.dilution else None
        return cls(presentation, regimen.mode, regimen.dose, regimen.quantity, volume, regimen.interval_h)

    @property
    def by_weight(self) -> bool:
        """Whether the dose is per kg."""
        return "body_weight" in parse_unit(self.dose.unit).dimensions


@dataclass(frozen=True)
class Computed:
    """What follows from an order and a weight; None where it does not apply or the weight is unknown.

    `volume` is what is drawn up for one dose. `rate` is in mL/h, in steps of 0.1 mL/h as pumps have them, and exact
    where rounding would say zero.
    """

    quantity: Decimal | None
    mass: Quantity | None
    final_volume: Quantity | None
    concentration: Quantity | None
    total: Quantity | None
    daily: Quantity | None
    volume: Quantity | None
    rate: Quantity | None


def compute(order: Order, weight_kg: Decimal | None) -> Computed:
    """Everything that an order determines. Raises InputError where its units do not fit together."""
    absolute = _absolute(order, weight_kg)
    quantity = order.quantity if order.quantity is not None else _units_to_open(order, absolute)
    mass = _times(order.presentation.mass, quantity)
    final_volume = _final_volume(order, quantity)
    concentration = _concentration(mass, final_volume)
    return Computed(
        quantity=quantity,
        mass=mass,
        final_volume=final_volume,
        concentration=concentration,
        total=absolute if order.mode != "continua" else None,
        daily=_daily(order, absolute),
        volume=_volume(order, absolute, concentration),
        rate=_rate(absolute, concentration) if order.mode == "continua" else None,
    )


def check(order: Order) -> None:
    """Raise InputError unless an order can be computed for a patient of known weight."""
    timed = "time" in parse_unit(order.dose.unit).dimensions
    if (order.mode == "continua") != timed:
        expected = "por minuto ou hora" if order.mode == "continua" else "por administração, sem tempo"
        raise InputError(f"a dose {order.dose} não serve ao modo {order.mode}: espera-se uma dose {expected}")
    computed = compute(order, Decimal(70))
    if order.mode == "continua" and computed.rate is None:
        raise InputError("infusão contínua precisa de `quantity` e de volumes que deem a concentração")


def _absolute(order: Order, weight_kg: Decimal | None) -> Quantity | None:
    if not order.by_weight:
        return order.dose
    return order.dose * Quantity(weight_kg, "kg") if weight_kg is not None else None


def _units_to_open(order: Order, absolute: Quantity | None) -> Decimal | None:
    contents = [item for item in (order.presentation.mass, order.presentation.volume) if item is not None]
    if order.mode == "continua" or absolute is None or not contents:
        return None
    dimensions = parse_unit(absolute.unit).dimensions
    unit = next((item for item in contents if parse_unit(item.unit).dimensions == dimensions), None)
    if unit is None:
        raise InputError(f"a dose {absolute} não se mede em {' nem em '.join(item.unit for item in contents)}")
    return (absolute / unit).value.to_integral_value(rounding=ROUND_CEILING)


def _times(unit: Quantity | None, quantity: Decimal | None) -> Quantity | None:
    return Quantity(unit.value * quantity, unit.unit) if unit is not None and quantity is not None else None


def _final_volume(order: Order, quantity: Decimal | None) -> Quantity | None:
    """Diluent and ampoules together: leaving the ampoules out is a published error."""
    opened = _times(order.presentation.volume, quantity)
    if opened is None or order.diluent_volume is None:
        return opened if order.diluent_volume is None else None
    return Quantity(convert(opened, "mL").value + convert(order.diluent_volume, "mL").value, "mL")


def _concentration(mass: Quantity | None, volume: Quantity | None) -> Quantity | None:
    if mass is None or volume is None:
        return None
    concentration = mass / convert(volume, "mL")
    if "mass" not in parse_unit(mass.unit).dimensions:
        return concentration
    in_mcg = convert(concentration, "mcg/mL")
    return in_mcg if in_mcg.value < _MCG_IN_MG else convert(concentration, "mg/mL")


def _daily(order: Order, absolute: Quantity | None) -> Quantity | None:
    if absolute is None or order.interval_h is None:
        return None
    return Quantity(absolute.value * _DAY / order.interval_h, absolute.unit)


def _volume(order: Order, absolute: Quantity | None, concentration: Quantity | None) -> Quantity | None:
    if order.mode == "continua" or absolute is None or concentration is None:
        return None
    if "volume" in parse_unit(absolute.unit).dimensions:
        return convert(absolute, "mL")
    return convert(absolute / concentration, "mL")


def _rate(absolute: Quantity | None, concentration: Quantity | None) -> Quantity | None:
    if absolute is None:
        return None
    if "volume" in parse_unit(absolute.unit).dimensions:
        rate = convert(absolute, "mL/h")
    elif concentration is None:
        return None
    else:
        rate = convert(absolute / concentration, "mL/h")
    stepped = rate.value.quantize(PUMP_STEP, rounding=ROUND_HALF_UP)
    return Quantity(stepped, "mL/h") if stepped else rate
