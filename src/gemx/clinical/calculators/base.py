"""What a calculator is: its parameters, the components that add up to its value, and the result it gives.

A value is the sum of components over disjoint inputs (a formula is one component). With inputs missing, each component
is evaluated on every combination of the values where it can turn (range ends and band cuts), so the lowest and highest
reachable totals come from the same code that computes the value. Knows no formula and no patient record.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Context, Decimal
from difflib import get_close_matches
from fractions import Fraction
from itertools import product
from typing import Literal, cast

from gemx.clinical.numbers import format_number, parse_number
from gemx.clinical.quantity import parse_unit
from gemx.errors import InputError

Value = Decimal | bool | str
Raw = Decimal | int | str | bool | None
Kind = Literal["number", "boolean", "choice", "unit"]
Bounds = tuple[Decimal | None, Decimal | None]

_YES = {"sim", "true"}
_NO = {"não", "nao", "false"}
_NUMBER_AND_UNIT = re.compile(r"\s*([-−+]?[0-9.,]+)\s*(.*?)\s*", re.DOTALL)
_PRECISION = Context(prec=10, rounding=ROUND_HALF_UP)
_STEP = Decimal("0.0001")


@dataclass(frozen=True)
class OtherUnit:
    """A second unit that a parameter accepts: (value - offset) × factor is the value in the parameter's own unit.

    A value below `low`, in this unit, no laboratory reports: it was measured in another one, and is refused.
    """

    symbol: str
    factor: Fraction
    offset: Decimal = Decimal(0)
    low: Decimal | None = None


@dataclass(frozen=True)
class Parameter:
    """One input: its pt-BR label, fixed unit, hard range (impossible outside it; `whole`: no fractions) or choices.

    An optional one that is left out takes `default` (None: what depends on it is not evaluated), and `assumption` is
    the pt-BR sentence that says so. `kind="unit"` is the name of a prescription unit. `meanings` say in pt-BR what each
    choice is.
    """

    name: str
    label: str
    kind: Kind = "number"
    unit: str = ""
    low: Decimal | None = None
    high: Decimal | None = None
    low_excluded: bool = False
    whole: bool = False
    choices: tuple[str, ...] = ()
    meanings: tuple[str, ...] = ()
    optional: bool = False
    default: Value | None = None
    assumption: str = ""
    other_units: tuple[OtherUnit, ...] = ()

    def read(self, raw: Raw) -> Value | None:
        """The value that `raw` gives in the parameter's own unit; None where nothing was given.

        Raises:
            InputError: unreadable, in a unit that is not accepted, or impossible; names the accepted range.
        """
        if raw is None or (isinstance(raw, str) and not raw.strip()):
            return None
        if self.kind == "number":
            return self._in_range(self._number(raw))
        if self.kind == "boolean":
            return self._boolean(raw)
        if self.kind == "unit":
            return str(parse_unit(str(raw)))
        return self._choice(raw)

    @property
    def accepted(self) -> str:
        """The accepted values in words, pt-BR."""
        if self.kind == "choice":
            return f"um de: {', '.join(self.choices)}"
        low = "" if self.low is None else f"{'acima' if self.low_excluded else 'a partir'} de {format_number(self.low)}"
        if self.low is not None and self.high is not None and not self.low_excluded:
            return f"de {format_number(self.low)} a {format_number(self.high)} {self.unit}".rstrip()
        high = "" if self.high is None else f"até {format_number(self.high)}"
        return f"{' e '.join(part for part in (low, high) if part)} {self.unit}".strip()

    def candidates(self, cuts: Iterable[Decimal]) -> list[Value] | None:
        """The values where a component can turn: range ends and both sides of each cut; None where unbounded."""
        if self.kind == "boolean":
            return [False, True]
        if self.kind == "choice":
            return list(self.choices)
        if self.low is None or self.high is None or self.low_excluded:
            return None
        around = (cut + step for cut in cuts for step in (-_STEP, Decimal(0), _STEP))
        return [self.low, *(value for value in around if self.low < value < self.high), self.high]

    def _number(self, raw: Raw) -> Decimal:
        if isinstance(raw, bool) or not isinstance(raw, str | int | Decimal):
            raise self._refusal(str(raw), "esperava-se um número")
        if not isinstance(raw, str):
            return Decimal(raw)
        match = _NUMBER_AND_UNIT.fullmatch(raw)
        if match is None:
            raise self._refusal(raw, "esperava-se um número")
        number, symbol = match.groups()
        try:
            value = parse_number(number)
        except InputError as error:
            raise InputError(f"{self.label} ({self.name}): {error.message}") from error
        return self._own_unit(value, symbol, raw)

    def _own_unit(self, value: Decimal, symbol: str, raw: str) -> Decimal:
        if not symbol or _folded(symbol) == _folded(self.unit):
            return value
        for other in self.other_units:
            if _folded(symbol) == _folded(other.symbol):
                if other.low is not None and value < other.low:
                    least = f"{format_number(other.low)} {other.symbol}"
                    raise self._refusal(raw, f"implausível nesta unidade (abaixo de {least}); confira se é {self.unit}")
                converted = Fraction(value - other.offset) * other.factor
                return _PRECISION.divide(Decimal(converted.numerator), Decimal(converted.denominator))
        known = ", ".join(unit for unit in (self.unit, *(other.symbol for other in self.other_units)) if unit)
        raise self._refusal(raw, f"unidade não aceita; use {known}" if known else "este valor não tem unidade")

    def _in_range(self, value: Decimal) -> Decimal:
        if not value.is_finite():
            raise self._refusal(str(value), "esperava-se um número")
        below = self.low is not None and (value <= self.low if self.low_excluded else value < self.low)
        if below or (self.high is not None and value > self.high):
            found = f"{format_number(value)} {self.unit}".rstrip()
            raise self._refusal(found, f"fora do intervalo aceito, {self.accepted}")
        if self.whole and value != value.to_integral_value():
            raise self._refusal(format_number(value), f"esperava-se um número inteiro, {self.accepted}")
        return value

    def _boolean(self, raw: Raw) -> bool:
        if isinstance(raw, bool):
            return raw
        word = str(raw).strip().casefold()
        if word in _YES or word in _NO:
            return word in _YES
        raise self._refusal(str(raw), "esperava-se sim ou não")

    def _choice(self, raw: Raw) -> str:
        word = str(raw).strip().casefold().replace(",", ".")
        for choice in self.choices:
            if choice.casefold() == word:
                return choice
        raise self._refusal(str(raw), f"esperava-se {self.accepted}")

    def _refusal(self, found: str, problem: str) -> InputError:
        return InputError(f"{self.label} ({self.name}): {found}: {problem}.")


def _folded(symbol: str) -> str:
    return symbol.casefold().replace("\u03bc", "u").replace("³", "3").replace("^", "").replace("º", "°")


@dataclass(frozen=True)
class Inputs:
    """Accepted inputs by name, each in its parameter's unit."""

    values: Mapping[str, Value]

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def number(self, name: str) -> Decimal:
        """A numeric input that is known to be there."""
        return cast(Decimal, self.values[name])

    def optional(self, name: str) -> Decimal | None:
        """A numeric input, or None where it was not given."""
        return cast("Decimal | None", self.values.get(name))

    def text(self, name: str) -> str:
        """A choice or unit that is known to be there."""
        return cast(str, self.values[name])

    def flag(self, name: str) -> bool:
        """A yes/no that is known to be there."""
        return cast(bool, self.values[name])

    def completed(self, names: Sequence[str], values: Sequence[Value]) -> Inputs:
        """These inputs and `values` under `names`."""
        return Inputs({**self.values, **dict(zip(names, values, strict=True))})


@dataclass(frozen=True)
class Component:
    """A part of the sum: what it reads, how it is computed, and the cuts where its bands change, by input.

    Between cuts it must be monotone in each number; where that does not hold for the inputs at hand, `monotone` says
    False and its range is unbounded.
    """

    inputs: tuple[str, ...]
    value: Callable[[Inputs], Decimal]
    cuts: Mapping[str, tuple[Decimal, ...]] = field(default_factory=dict[str, tuple[Decimal, ...]])
    monotone: Callable[[Inputs], bool] = lambda known: True


@dataclass(frozen=True)
class Result:
    """A calculator's answer. `value` has at most 10 significant digits; it is None where an input is missing.

    `range` is then the lowest and highest value that the missing inputs allow (None where unbounded). `assumptions`
    lists, in pt-BR, each optional input that was left out and what was assumed for it.
    """

    id: str
    value: Decimal | None
    unit: str
    interpretation: str
    determinable: bool
    range: Bounds | None
    missing: tuple[str, ...]
    assumptions: tuple[str, ...]
    inputs: Mapping[str, Value]
    formula_version: str
    source: str


def _silent(value: Decimal, inputs: Inputs) -> str:
    return ""


def _nothing(inputs: Inputs) -> tuple[str, ...]:
    return ()


def _accept(inputs: Inputs) -> None:
    return None


@dataclass(frozen=True)
class Calculator:
    """A named, versioned formula or score with its source.

    `alternatives` are groups of optional parameters of which exactly one is needed, `any_of` groups of which at least
    one is; `needs` names optional parameters that the others make necessary; `order` lists pairs (lesser, greater);
    `check` raises InputError on inputs that contradict each other; `notes` adds assumptions that depend on the inputs.
    """

    id: str
    title: str
    unit: str
    parameters: tuple[Parameter, ...]
    components: tuple[Component, ...]
    formula_version: str
    source: str
    interpret: Callable[[Decimal, Inputs], str] = _silent
    notes: Callable[[Inputs], tuple[str, ...]] = _nothing
    needs: Callable[[Inputs], tuple[str, ...]] = _nothing
    check: Callable[[Inputs], None] = _accept
    unit_from: Callable[[Inputs], str] | None = None
    alternatives: tuple[tuple[str, ...], ...] = ()
    any_of: tuple[tuple[str, ...], ...] = ()
    order: tuple[tuple[str, str], ...] = ()

    def run(self, raw: Mapping[str, Raw]) -> Result:
        """Compute from inputs in any accepted unit.

        Raises:
            InputError: an unknown, unreadable, impossible or contradictory input.
        """
        given = self._read(raw)
        defaults = {p.name: p.default for p in self.parameters if p.default is not None}
        known = Inputs({**defaults, **given})
        self._refuse_contradictions(known)
        missing, varied = self._missing(known)
        value = None if missing else self._total(known)
        unit = self.unit_from(known) if self.unit_from and not missing else self.unit
        left_out = (p.assumption for p in self.parameters if p.optional and p.assumption and p.name not in given)
        return Result(
            id=self.id,
            value=value,
            unit=unit,
            interpretation=self._without(missing) if value is None else self.interpret(value, known),
            determinable=value is not None,
            range=self._range(known, varied) if missing else None,
            missing=missing,
            assumptions=(*left_out, *self.notes(known)),
            inputs=known.values,
            formula_version=self.formula_version,
            source=self.source,
        )

    def _without(self, missing: Sequence[str]) -> str:
        labels = {parameter.name: parameter.label for parameter in self.parameters}
        words = (" ou ".join(labels[name] for name in names.split(" or ")) for names in missing)
        return f"Não determinável: falta {', '.join(words)}."

    def _read(self, raw: Mapping[str, Raw]) -> dict[str, Value]:
        by_name = {parameter.name: parameter for parameter in self.parameters}
        given: dict[str, Value] = {}
        for name, value in raw.items():
            if name not in by_name:
                close = get_close_matches(name, list(by_name), n=1)
                hint = f"Você quis dizer {close[0]}?" if close else f"As entradas são: {', '.join(by_name)}."
                raise InputError(f"{self.id} não tem a entrada {name}.", hint=hint)
            accepted = by_name[name].read(value)
            if accepted is not None:
                given[name] = accepted
        return given

    def _refuse_contradictions(self, known: Inputs) -> None:
        for group in self.alternatives:
            if sum(name in known for name in group) > 1:
                raise InputError(f"{self.id}: informe só um destes: {' ou '.join(group)}.")
        for lesser, greater in self.order:
            if lesser in known and greater in known and known.number(lesser) > known.number(greater):
                low, high = format_number(known.number(lesser)), format_number(known.number(greater))
                labels = {parameter.name: parameter.label for parameter in self.parameters}
                raise InputError(f"{labels[lesser]} ({low}) não pode passar de {labels[greater]} ({high}).")
        self.check(known)

    def _missing(self, known: Inputs) -> tuple[tuple[str, ...], tuple[Parameter, ...]]:
        """Names of what is missing, and the parameters to vary for it (of a group of alternatives, the first)."""
        absent = [group for group in self.alternatives if not any(name in known for name in group)]
        open_groups = [group for group in self.any_of if not any(name in known for name in group)]
        needed = {p.name for p in self.parameters if not p.optional} | set(self.needs(known))
        plain = [name for name in (p.name for p in self.parameters) if name in needed and name not in known]
        varied = {*plain, *(group[0] for group in absent), *(name for group in open_groups for name in group)}
        missing = (*plain, *(" or ".join(group) for group in (*absent, *open_groups)))
        return missing, tuple(p for p in self.parameters if p.name in varied)

    def _total(self, known: Inputs) -> Decimal:
        return _PRECISION.plus(sum((part.value(known) for part in self.components), Decimal(0)))

    def _range(self, known: Inputs, varied: Sequence[Parameter]) -> Bounds:
        low: Decimal | None = Decimal(0)
        high: Decimal | None = Decimal(0)
        for part in self.components:
            lowest, highest = self._component_range(part, known, [p for p in varied if p.name in part.inputs])
            low = None if low is None or lowest is None else low + lowest
            high = None if high is None or highest is None else high + highest
        return (
            None if low is None else _PRECISION.plus(low),
            None if high is None else _PRECISION.plus(high),
        )

    def _component_range(self, part: Component, known: Inputs, varied: Sequence[Parameter]) -> Bounds:
        options: list[list[Value]] = []
        for parameter in varied:
            turns = (*part.cuts.get(parameter.name, ()), *self._ordered_with(parameter.name, known))
            candidates = parameter.candidates(turns)
            if candidates is None or not part.monotone(known):
                return None, None
            options.append(candidates)
        names = [parameter.name for parameter in varied]
        completions = (known.completed(names, values) for values in product(*options))
        reachable = [part.value(inputs) for inputs in completions if self._in_order(inputs)]
        return min(reachable), max(reachable)

    def _ordered_with(self, name: str, known: Inputs) -> list[Decimal]:
        others = [pair[1] if pair[0] == name else pair[0] for pair in self.order if name in pair]
        return [known.number(other) for other in others if other in known]

    def _in_order(self, inputs: Inputs) -> bool:
        return all(
            inputs.number(lesser) <= inputs.number(greater)
            for lesser, greater in self.order
            if lesser in inputs and greater in inputs
        )
