"""What code computes about one patient: calculator results and the arithmetic of each regimen. No model is asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from gemx import expression
from gemx.automation.protocol import Protocol
from gemx.automation.schema import CalculatorUse, Regimen
from gemx.clinical.calculators import Result
from gemx.clinical.inputs import Patient
from gemx.clinical.numbers import format_number
from gemx.clinical.prescription import Computed, Order, compute
from gemx.errors import InputError
from gemx.expression import Interval
from gemx.plugins import calculators

INDETERMINATE = "indeterminável"
_SCORES = ("pontos", "critérios", "")  # the range of a score tells something; that of a concentration does not
_COUNTED = {"pontos": "ponto", "critérios": "critério"}


@dataclass(frozen=True)
class Fact:
    """One calculated value under the name that the automation gives it; `missing` are labels of absent inputs."""

    name: str
    label: str
    digits: int
    result: Result
    missing: tuple[str, ...]

    @property
    def shown(self) -> str:
        """The value alone, in pt-BR, or the range that the missing data leave it."""
        value = self.result.value
        if value is not None:
            return format_number(value, self.digits)
        low, high = self.result.range or (None, None)
        if low is None or high is None or self.result.unit not in _SCORES or self.digits:
            return INDETERMINATE
        return f"entre {format_number(low, self.digits)} e {format_number(high, self.digits)}"

    @property
    def measured(self) -> str:
        """The value with its unit, in pt-BR."""
        unit = "" if self.shown == INDETERMINATE else self.result.unit
        one = self.result.value == 1 and unit in _COUNTED
        return f"{self.shown} {_COUNTED[unit] if one else unit}".rstrip()

    @property
    def detail(self) -> str:
        """The interpretation, or what is missing."""
        if self.result.determinable:
            return self.result.interpretation
        missing = f"falta {', '.join(self.missing)}"
        return missing if self.shown == INDETERMINATE else f"{INDETERMINATE}: {missing}"


@dataclass(frozen=True)
class Facts:
    """All that was computed. `values` has what expressions read, `texts` what templates print."""

    patient: Patient
    calculated: tuple[Fact, ...]
    regimens: Mapping[str, Computed]
    values: Mapping[str, Any]
    texts: Mapping[str, str]

    def missing(self, names: Iterable[str]) -> tuple[str, ...]:
        """The labels of the absent inputs behind names that have no value."""
        by_name = {fact.name: fact for fact in self.calculated}
        return _missing_labels(names, self.values, by_name, self.patient)


def compute_facts(protocol: Protocol, patient: Patient) -> Facts:
    """Run the automation's calculators and regimens. Raises InputError where the patient's values contradict."""
    used = [name for name in protocol.automation.used if not patient.definitions[name].local]
    values: dict[str, Any] = {name: patient.values[name] for name in used}
    facts: list[Fact] = []
    for use in protocol.automation.calculators:
        fact = _run(use, values, {item.name: item for item in facts}, patient)
        facts.append(fact)
        values[use.name] = fact.result.value if fact.result.determinable else _interval(fact.result)
    texts = {name: patient.shown(name) for name in values if name in patient.definitions}
    texts |= {fact.name: fact.shown for fact in facts}
    weight = patient.values.get("peso")
    kilograms = weight if isinstance(weight, Decimal) else None
    regimens = {item.id: _compute(item, protocol, kilograms) for item in protocol.automation.regimens}
    return Facts(patient, tuple(facts), regimens, values, texts)


def _interval(result: Result) -> Interval | None:
    low, high = result.range or (None, None)
    return None if low is None or high is None else Interval(low, high)


def _unknown(value: object) -> bool:
    return value is None or isinstance(value, Interval)


def order_of(regimen: Regimen, protocol: Protocol) -> Order:
    """The arithmetic side of a regimen, with the presentation that it names."""
    presentation = protocol.formulary.drugs[regimen.drug].presentation(regimen.presentation)
    if presentation is None:
        raise InputError(f"{regimen.drug} não tem a apresentação {regimen.presentation}")
    return Order.of(regimen, presentation)


def _compute(regimen: Regimen, protocol: Protocol, weight: Decimal | None) -> Computed:
    return compute(order_of(regimen, protocol), weight)


def _run(use: CalculatorUse, values: Mapping[str, Any], earlier: Mapping[str, Fact], patient: Patient) -> Fact:
    given: dict[str, Any] = {}
    missing: dict[str, None] = {}
    for parameter, source in use.inputs.items():
        value, names = _argument(source, values)
        given[parameter] = value
        if value is None:
            missing.update(dict.fromkeys(_missing_labels(sorted(names), values, earlier, patient)))
    try:
        result = calculators.run(use.id, given)
    except InputError as exc:
        raise InputError(f"{use.label}: {exc.message}", hint=exc.hint) from exc
    absent = tuple(missing) if not result.determinable else ()
    return Fact(use.name, use.label, use.digits, result, absent or result.missing)


def _argument(source: Any, values: Mapping[str, Any]) -> tuple[Any, frozenset[str]]:
    if isinstance(source, bool):
        return source, frozenset()
    if not isinstance(source, str):
        return Decimal(str(source)), frozenset()
    parsed = expression.parse(source)
    return parsed.evaluate(values), parsed.names


def _missing_labels(
    names: Iterable[str], values: Mapping[str, Any], calculated: Mapping[str, Fact], patient: Patient
) -> tuple[str, ...]:
    """The labels, in the names' order and each once, of the absent inputs behind the names that have no value."""
    labels: dict[str, None] = {}
    for name in names:
        if _unknown(values.get(name)):
            behind = calculated[name].missing if name in calculated else (patient.definitions[name].label,)
            labels.update(dict.fromkeys(behind))
    return tuple(labels)
