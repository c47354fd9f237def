"""Check every reference of an automation: inputs, calculators and their parameters, drugs, passages, names, types.

What it refers to is given; nothing is read here, and nothing about a patient is computed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from gemx import expression, templates
from gemx.automation.schema import Automation, CalculatorUse, Regimen
from gemx.clinical import inputs, prescription
from gemx.clinical.calculators import Calculator
from gemx.clinical.formulary import Drug
from gemx.clinical.inputs import Inputs
from gemx.documents import Passage
from gemx.errors import InputError, NotFoundError, PluginError, Problem
from gemx.library import Location, Tree, suggest
from gemx.plugins import calculators

_TEXT_FIELDS = {
    "assessment": ("finding", "interpretation"),
    "regimens": ("indication", "titration", "renal", "monitoring"),
    "criteria": ("condition", "action"),
    "checklist": ("item",),
    "avoid": ("item",),
    "disposition": ("place", "reason"),
}
_KEYS = {"condition": "if", "action": "then"}
_KINDS = {"number": Decimal, "boolean": bool, "choice": str, "unit": str}


@dataclass(frozen=True)
class _Names:
    """What texts and expressions may name, each with a possible value."""

    samples: dict[str, Any]
    definitions: Inputs

    def problems(self, tree: Tree, location: Location, names: Iterable[str]) -> Iterator[Problem]:
        for name in sorted(set(names) - set(self.samples)):
            near = suggest(name, self.samples)
            yield tree.problem(location, f"{name!r} is not an input or calculator of this automation{near}")

    def expression_problems(self, tree: Tree, location: Location, source: str) -> Iterator[Problem]:
        names = expression.parse(source).names
        yield from self.problems(tree, location, names)
        error = inputs.expression_error(source, self.samples, self.definitions)
        if names <= set(self.samples) and error:
            yield tree.problem(location, error)

    def condition_problems(self, tree: Tree, location: Location, source: str) -> Iterator[Problem]:
        wrong = list(self.expression_problems(tree, location, source))
        yield from wrong
        if not wrong and not isinstance(expression.parse(source).evaluate(self.samples), bool):
            yield tree.problem(location, f"a condition is true or false; {source!r} is neither")


def problems(
    tree: Tree, automation: Automation, definitions: Inputs, drugs: Mapping[str, Drug], passages: Sequence[Passage]
) -> Iterator[Problem]:
    """Every reference that leads nowhere, or to something that does not fit."""
    if automation.id is not None and automation.id != tree.path.stem:
        yield tree.problem(("id",), f"the id {automation.id!r} must be the file's name, {tree.path.stem!r}")
    yield from _inputs(tree, automation, definitions)
    names = _Names(_samples(automation, definitions), definitions)
    for index, use in enumerate(automation.calculators):
        yield from _calculator(tree, index, use, names)
        names.samples[use.name] = Decimal(1)
    for index, regimen in enumerate(automation.regimens):
        yield from _regimen(tree, index, regimen, drugs)
    yield from _entries(tree, automation, names, {passage.id: passage for passage in passages})
    for key in ("summary", "prompt"):
        yield from names.problems(tree, (key,), templates.variables(getattr(automation, key) or ""))


def _samples(automation: Automation, definitions: Inputs) -> dict[str, Any]:
    # Local data must not reach a prompt, so no text or expression may name it.
    used = (definitions[name] for name in automation.used if name in definitions)
    return {definition.id: inputs.sample(definition) for definition in used if not definition.local}


def _inputs(tree: Tree, automation: Automation, definitions: Inputs) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, name in enumerate(automation.used):
        if definitions and name not in definitions:
            near = suggest(name, definitions)
            yield tree.problem(("inputs", index), f"unknown input {name!r}{near}; inputs.yaml defines them")
        if name in seen:
            yield tree.problem(("inputs", index), f"the input {name!r} stands twice")
        seen.add(name)


def _calculator(tree: Tree, index: int, use: CalculatorUse, names: _Names) -> Iterator[Problem]:
    location: Location = ("calculators", index)
    if use.name in names.samples or use.name in names.definitions:
        yield tree.problem((*location, "as"), f"the name {use.name!r} is already taken")
    try:
        known = calculators.get(use.id)
    except PluginError as exc:
        yield tree.problem((*location, "id"), f"{use.id!r} cannot be had: {exc.message}")
    except NotFoundError:
        yield tree.problem((*location, "id"), f"unknown calculator {use.id!r}{suggest(use.id, calculators.ids())}")
    else:
        yield from _parameters(tree, (*location, "inputs"), use, known, names)


def _parameters(
    tree: Tree, location: Location, use: CalculatorUse, calculator: Calculator, names: _Names
) -> Iterator[Problem]:
    known = {parameter.name: parameter for parameter in calculator.parameters}
    absent = [name for name, parameter in known.items() if not parameter.optional and name not in use.inputs]
    absent += [" or ".join(group) for group in calculator.alternatives if not set(group) & set(use.inputs)]
    if absent:
        yield tree.problem(location, f"{use.id} also needs: {', '.join(absent)}")
    for name, source in use.inputs.items():
        place = (*location, name)
        if name not in known:
            yield tree.problem(place, f"{use.id} has no parameter {name!r}{suggest(name, known)}", key=True)
            continue
        wrong = list(names.expression_problems(tree, place, source)) if isinstance(source, str) else []
        yield from wrong
        value = expression.parse(source).evaluate(names.samples) if isinstance(source, str) else source
        if not wrong and not _fits(value, _KINDS[known[name].kind]):
            yield tree.problem(place, f"{name} is a {known[name].kind}; {source!r} is not")


def _fits(value: object, kind: type) -> bool:
    if kind is Decimal:
        return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)
    return isinstance(value, kind)


def _regimen(tree: Tree, index: int, regimen: Regimen, drugs: Mapping[str, Drug]) -> Iterator[Problem]:
    location: Location = ("regimens", index)
    drug = drugs.get(regimen.drug)
    if drug is None:
        near = suggest(regimen.drug, drugs)
        yield tree.problem((*location, "drug"), f"{regimen.drug!r} is not in the formulary{near}")
        return
    presentation = drug.presentation(regimen.presentation)
    if presentation is None:
        known = [item.id for item in drug.presentations]
        near = suggest(regimen.presentation, known)
        message = f"{drug.id} has no presentation {regimen.presentation!r}{near}; it has: {', '.join(known)}"
        yield tree.problem((*location, "presentation"), message)
        return
    try:
        prescription.check(prescription.Order.of(regimen, presentation))
    except InputError as exc:
        yield tree.problem((*location, "dose"), exc.message)


def _entries(tree: Tree, automation: Automation, names: _Names, passages: Mapping[str, Passage]) -> Iterator[Problem]:
    for section, fields in _TEXT_FIELDS.items():
        for index, entry in enumerate(getattr(automation, section)):
            location: Location = (section, index)
            if entry.when is not None:
                yield from names.condition_problems(tree, (*location, "when"), entry.when)
            for field in fields:
                text = getattr(entry, field) or ""
                yield from names.problems(tree, (*location, _KEYS.get(field, field)), templates.variables(text))
            yield from _sources(tree, location, entry.sources, passages)


def _sources(
    tree: Tree, location: Location, sources: Iterable[Any], passages: Mapping[str, Passage]
) -> Iterator[Problem]:
    for index, source in enumerate(sources):
        place: Location = (*location, "sources", index)
        passage = passages.get(source.id)
        if passage is None:
            near = suggest(source.id, passages)
            yield tree.problem((*place, "id"), f"there is no passage {source.id!r}{near}")
        elif " ".join(source.quote.split()) not in " ".join(passage.text.split()):
            yield tree.problem((*place, "quote"), f"these words are not in the passage {source.id!r}")
