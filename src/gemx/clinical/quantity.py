"""Quantities with the units of prescriptions: a closed table, exact arithmetic, nothing guessed.

`kg` is body weight, a dimension of its own, so mg/kg is never a bare ratio. `U`, `mEq` and `mmol` do not convert to
mass or to each other, and drops do not convert to mL: that takes a drug, an ion or a drip chamber, which this module
does not know. Laboratory conversions that need a molar mass are not here either.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, localcontext
from difflib import get_close_matches
from fractions import Fraction
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import NamedTuple

from gemx.clinical.numbers import format_number, parse_number
from gemx.errors import InputError

MAX_PARTS = 3


class _Row(NamedTuple):
    symbol: str
    dimension: str
    scale: Fraction
    spellings: tuple[str, ...] = ()


# Case is significant: Mg, ML and Ml are left out on purpose, and a spelling that is not here is refused.
_TABLE = (
    _Row("g", "mass", Fraction(10**6), ("grama", "gramas")),
    _Row("mg", "mass", Fraction(1000), ("miligrama", "miligramas")),
    _Row("mcg", "mass", Fraction(1), ("\u00b5g", "\u03bcg", "ug", "micrograma", "microgramas")),
    _Row("ng", "mass", Fraction(1, 1000), ("nanograma", "nanogramas")),
    _Row("kg", "body_weight", Fraction(1), ("Kg", "KG")),
    _Row("U", "activity", Fraction(1), ("UI", "ui", "IU", "unidade", "unidades")),
    _Row("mEq", "equivalents", Fraction(1), ("meq",)),
    _Row("mmol", "substance", Fraction(1)),
    _Row("mL", "volume", Fraction(1), ("ml",)),
    _Row("dL", "volume", Fraction(100), ("dl",)),
    _Row("L", "volume", Fraction(1000), ("l", "litro", "litros")),
    _Row("gotas", "drops", Fraction(1), ("gota", "gts")),
    _Row("microgotas", "drops", Fraction(1, 3), ("microgota", "mcgts")),
    _Row("mmHg", "pressure", Fraction(1), ("mmhg",)),
    _Row("s", "time", Fraction(1, 60), ("seg", "segundo", "segundos")),
    _Row("min", "time", Fraction(1), ("minuto", "minutos")),
    _Row("h", "time", Fraction(60), ("hora", "horas")),
    _Row("dia", "time", Fraction(1440), ("d", "dias")),
)
_ROWS = {row.symbol: row for row in _TABLE}
_SPELLINGS = {spelling: row.symbol for row in _TABLE for spelling in (row.symbol, *row.spellings)}
_DENOMINATOR_ORDER = {"body_weight": 0, "time": 2}
_QUANTITY = re.compile(r"\s*([-−+]?[0-9.,]+)\s*(.*?)\s*", re.DOTALL)


@dataclass(frozen=True)
class Unit:
    """A unit of the closed table or a quotient of up to three of them; each dimension occurs once.

    `parts` holds (symbol, exponent 1 or -1): the numerator, then body weight, the rest, and time last.
    """

    parts: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        over = [symbol for symbol, exponent in self.parts if exponent > 0]
        under = [symbol for symbol, exponent in self.parts if exponent < 0]
        return "/".join((over or ["1"]) + under) if self.parts else ""

    @cached_property
    def dimensions(self) -> Mapping[str, int]:
        """Exponent of each dimension, such as {"mass": 1, "body_weight": -1, "time": -1}."""
        return MappingProxyType({_ROWS[symbol].dimension: exponent for symbol, exponent in self.parts})

    @cached_property
    def scale(self) -> Fraction:
        """How many base units (mcg, kg, U, mEq, mmol, mL, gota, mmHg, min) one of this unit is."""
        scale = Fraction(1)
        for symbol, exponent in self.parts:
            scale *= _ROWS[symbol].scale ** exponent
        return scale


@lru_cache(maxsize=512)
def parse_unit(text: str) -> Unit:
    """The unit that `text` names, such as `mL/h`, `µg/kg/min` or `UI/mL`.

    Raises:
        InputError: an unknown spelling (with a did-you-mean), more than three parts, or a dimension twice.
    """
    if not text.strip():
        return Unit(())
    names = [name.strip() for name in text.split("/")]
    if len(names) > MAX_PARTS:
        raise InputError(f'"{text.strip()}" tem partes demais; uma unidade tem no máximo {MAX_PARTS}, como mcg/kg/min.')
    over = [] if names[0] == "1" else [(_symbol(names[0]), 1)]
    exponents = over + [(_symbol(name), -1) for name in names[1:]]
    if len({_ROWS[symbol].dimension for symbol, _ in exponents}) < len(exponents):
        raise InputError(f'"{text.strip()}" repete a mesma grandeza; escreva, por exemplo, mcg/kg/min ou mg/mL.')
    return _unit(exponents)


def _symbol(name: str) -> str:
    if name in _SPELLINGS:
        return _SPELLINGS[name]
    folded = {spelling.casefold(): symbol for spelling, symbol in _SPELLINGS.items()}
    close = get_close_matches(name.casefold(), list(folded), n=1, cutoff=0.6)
    if close:
        raise InputError(f'Unidade "{name}" não reconhecida; você quis dizer {folded[close[0]]}?')
    raise InputError(f'Unidade "{name}" não reconhecida; as aceitas são {", ".join(_ROWS)}.')


def _unit(exponents: list[tuple[str, int]]) -> Unit:
    over = [(symbol, exponent) for symbol, exponent in exponents if exponent > 0]
    under = [(symbol, exponent) for symbol, exponent in exponents if exponent < 0]
    if len(over) > 1 or len(under) >= MAX_PARTS or any(abs(exponent) > 1 for _, exponent in exponents):
        found = " · ".join(symbol if exponent == 1 else f"{symbol}^{exponent}" for symbol, exponent in exponents)
        raise InputError(f"A conta não dá uma unidade de prescrição ({found}); confira as unidades da dose.")
    under.sort(key=lambda part: _DENOMINATOR_ORDER.get(_ROWS[part[0]].dimension, 1))
    return Unit((*over, *under))


@dataclass(frozen=True)
class Quantity:
    """A finite number and the unit it is in, in its canonical spelling (`µg` becomes `mcg`).

    `*` and `/` follow the units: dose × weight ÷ concentration is a rate. Each operation is exact; a result that no
    finite decimal holds is rounded to 28 significant digits.

    Raises:
        InputError: an unknown unit, or an operation whose unit no prescription has.
    """

    value: Decimal
    unit: str

    def __post_init__(self) -> None:
        if not self.value.is_finite():
            raise InputError("Uma quantidade precisa de um número finito.")
        object.__setattr__(self, "unit", str(parse_unit(self.unit)))

    def __str__(self) -> str:
        return f"{format_number(self.value)} {self.unit}".rstrip()

    def __mul__(self, other: Quantity) -> Quantity:
        return _combine(self, other, 1)

    def __truediv__(self, other: Quantity) -> Quantity:
        if not other.value:
            raise InputError(f"Divisão por zero: {self} por {other}.")
        return _combine(self, other, -1)


def _combine(left: Quantity, right: Quantity, sign: int) -> Quantity:
    """Multiply (sign 1) or divide (-1); where both have a dimension, the left one's symbol stays."""
    value = Fraction(left.value) * Fraction(right.value) ** sign
    symbols = {_ROWS[symbol].dimension: (symbol, exponent) for symbol, exponent in parse_unit(left.unit).parts}
    for symbol, exponent in parse_unit(right.unit).parts:
        row = _ROWS[symbol]
        kept, power = symbols.get(row.dimension, (symbol, 0))
        value *= (row.scale / _ROWS[kept].scale) ** (exponent * sign)
        symbols[row.dimension] = (kept, power + exponent * sign)
    unit = _unit([(symbol, exponent) for symbol, exponent in symbols.values() if exponent])
    return Quantity(_decimal(value), str(unit))


@lru_cache(maxsize=4096)
def in_base(quantity: Quantity) -> Fraction:
    """The value in base units (mcg, kg, U, mEq, mmol, mL, gota, mmHg, min), exactly."""
    return Fraction(quantity.value) * parse_unit(quantity.unit).scale


def from_base(value: Fraction, unit: str) -> Quantity:
    """A value in base units as a quantity in `unit`."""
    return Quantity(_decimal(value / parse_unit(unit).scale), unit)


def convert(quantity: Quantity, unit: str) -> Quantity:
    """`quantity` in `unit`, exactly where a finite decimal can hold it.

    Raises:
        InputError: the two units measure different things, such as mg and U, or mcg/min and mcg/kg/min.
    """
    source, target = parse_unit(quantity.unit), parse_unit(unit)
    if source.dimensions != target.dimensions:
        raise InputError(f"{quantity} não se converte em {target}: são grandezas diferentes.")
    return Quantity(_decimal(Fraction(quantity.value) * source.scale / target.scale), str(target))


def parse_quantity(text: str) -> Quantity:
    """The quantity that `text` says, such as `0,1 mcg/kg/min`.

    Raises:
        InputError: no unit, an unknown unit, or a number that cannot be read safely.
    """
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise InputError(f'"{text.strip()[:24]}" não é uma quantidade; escreva número e unidade, como 0,1 mcg/kg/min.')
    number, unit = match.groups()
    value = parse_number(number)
    if not unit:
        raise InputError(f'"{text.strip()}" está sem unidade; escreva, por exemplo, {number} mg.')
    return Quantity(value, unit)


def _decimal(value: Fraction) -> Decimal:
    with localcontext() as context:
        context.prec = 28
        return Decimal(value.numerator) / Decimal(value.denominator)
