"""Patient data: the definitions of `automations/inputs.yaml` and the strict reading of what a user gives.

Numbers are parsed from their source text. Absence is not denial: what was not given is None, and what was denied is
an empty list or False. Messages are in pt-BR, for the clinician who typed the value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from gemx import expression, library, places
from gemx.clinical import calculators
from gemx.clinical.numbers import format_number, parse_number
from gemx.clinical.vocabulary import load_vocabulary
from gemx.clinical.wording import fold
from gemx.errors import InputError, InvalidFileError, Problem
from gemx.library import Identifier, Line, YamlModel

HEADER = "inputs/v1"
Value = Decimal | str | bool | tuple[str, ...] | None

UNKNOWN = "não informado"
_TRUE = {"sim", "s", "true", "verdadeiro", "yes"}
_FALSE = {"nao", "n", "false", "falso", "no"}
_UNKNOWN = {"desconhecido", "desconhecida", "desconhecidos", "desconhecidas", "ignorado", "nao sabe", "?"}
_DENIED = {"", "nega", "nenhuma", "nenhum", "[]", "nega alergia", "nega alergias", "sem alergia", "sem alergias"}
_DENIAL = ("nega ", "sem ", "nao ")
_TIME = re.compile(r"([01]?\d|2[0-3])[:h]([0-5]\d)")
_NUMBER_AND_UNIT = re.compile(r"\s*(?P<number>[-+]?[\d.,]*\d[\d.,]*(?:[eE][-+]?\d+)?)\s*(?P<unit>\D.*)?", re.ASCII)
_MAX_TEXT = 200
_SHOWN_DIGITS = 3


def _exact(value: object) -> object:
    # A YAML float's repr is the number as its author wrote it.
    return Decimal(str(value)) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


ExactNumber = Annotated[Decimal, BeforeValidator(_exact, json_schema_input_type=float)]


def _within(inner: Sequence[Decimal], outer: Sequence[Decimal]) -> bool:
    return outer[0] <= inner[0] and inner[1] <= outer[1]


class Absent(YamlModel):
    """The value assumed where none was given and `when` is true."""

    value: Line
    when: Line


class Listed(YamlModel):
    """A yes that follows where an item of the list `input` names this allergen of the vocabulary."""

    input: Identifier
    allergen: Identifier


class InputDefinition(YamlModel):
    """One kind of patient data, defined once for every automation.

    `short` is its mark in a result's line about the patient; without one it is not in that line. What is `local` says
    who the patient is, in that way, and never enters a prompt.
    """

    id: Identifier
    label: Line
    short: Annotated[str, Field(max_length=20)] | None = None
    kind: Literal["number", "choice", "boolean", "list", "text", "time"]
    unit: str | None = None
    units: dict[str, ExactNumber] = {}
    hard: Annotated[list[ExactNumber], Field(min_length=2, max_length=2)] | None = None
    plausible: Annotated[list[ExactNumber], Field(min_length=2, max_length=2)] | None = None
    choices: dict[str, Line] = {}
    calculator: Identifier | None = None
    absent: Absent | None = None
    listed: Listed | None = None
    local: Literal["name", "bed", "record"] | None = None

    @model_validator(mode="after")
    def _fits_its_kind(self) -> InputDefinition:
        if self.listed and self.kind != "boolean":
            raise ValueError("`listed` belongs to `kind: boolean`")
        if self.kind == "number" and self.hard is None:
            raise ValueError("a number needs `hard: [lowest, highest]`")
        if (self.kind == "choice") != bool(self.choices):
            raise ValueError("`choices` belongs to, and is needed by, `kind: choice`")
        if self.kind != "number" and (self.unit or self.units or self.hard or self.plausible):
            raise ValueError("`unit`, `units`, `hard` and `plausible` belong to `kind: number`")
        for bounds in (self.hard, self.plausible):
            if bounds and bounds[0] >= bounds[1]:
                raise ValueError(f"the lowest value, {bounds[0]}, must be below the highest, {bounds[1]}")
        if self.hard and self.plausible and not _within(self.plausible, self.hard):
            raise ValueError("`plausible` must lie inside `hard`")
        if any(factor <= 0 for factor in self.units.values()):
            raise ValueError("a unit's factor must be above zero")
        return self


class InputsFile(YamlModel):
    """The file automations/inputs.yaml."""

    gemx: Literal["inputs/v1"]
    inputs: Annotated[list[InputDefinition], Field(min_length=1)]


Inputs = Mapping[str, InputDefinition]


@dataclass(frozen=True)
class Patient:
    """What is known of one patient. `values` has every defined id, None where unknown; `notes` are for the reader."""

    values: Mapping[str, Value]
    given: frozenset[str]
    definitions: Inputs
    notes: tuple[str, ...] = ()

    def shown(self, identifier: str) -> str:
        """The value as a clinician writes it, without its unit; `não informado` where unknown."""
        return _show(self.values.get(identifier), self.definitions[identifier])

    @property
    def private(self) -> tuple[tuple[str, str], ...]:
        """What must not leave the machine: its kind (name, bed or record) and its value."""
        local = ((key, definition.local) for key, definition in self.definitions.items())
        return tuple((kind, str(self.values[key])) for key, kind in local if kind and self.values.get(key))


def load_inputs(path: Path | None = None) -> Inputs:
    """The input definitions, by id. Raises InvalidFileError."""
    path = path or places.shipped("automations") / "inputs.yaml"
    parsed, tree = library.load(path, InputsFile, HEADER)
    known: dict[str, InputDefinition] = {}
    problems = [
        problem
        for index, definition in enumerate(parsed.inputs)
        for problem in _definition_problems(tree, index, definition, known)
    ]
    for index, definition in enumerate(parsed.inputs):
        problems.extend(_listed_problems(tree, ("inputs", index, "listed"), definition.listed, known))
    samples = {name: sample(definition) for name, definition in known.items()}
    for index, definition in enumerate(parsed.inputs):
        location = ("inputs", index, "absent", "when")
        if definition.absent and (error := expression_error(definition.absent.when, samples, known)):
            problems.append(tree.problem(location, error))
    if problems:
        raise InvalidFileError(problems)
    return known


def _definition_problems(
    tree: library.Tree, index: int, definition: InputDefinition, known: dict[str, InputDefinition]
) -> Iterable[Problem]:
    location = ("inputs", index)
    if definition.id in known:
        yield tree.problem((*location, "id"), f"the id {definition.id!r} is defined twice")
    known[definition.id] = definition
    if definition.calculator and definition.calculator not in _calculator_parameters():
        near = library.suggest(definition.calculator, _calculator_parameters())
        yield tree.problem(
            (*location, "calculator"), f"no calculator has the parameter {definition.calculator!r}{near}"
        )
    if definition.absent is None:
        return
    try:
        read_value(definition, definition.absent.value)
    except InputError as exc:
        yield tree.problem((*location, "absent", "value"), exc.message)


def _listed_problems(
    tree: library.Tree, location: library.Location, listed: Listed | None, known: Inputs
) -> Iterable[Problem]:
    if listed is None:
        return
    if getattr(known.get(listed.input), "kind", None) != "list":
        yield tree.problem((*location, "input"), f"{listed.input!r} is not an input of kind list")
    allergens = [allergen.id for allergen in load_vocabulary().allergens]
    if listed.allergen not in allergens:
        near = library.suggest(listed.allergen, allergens)
        yield tree.problem((*location, "allergen"), f"{listed.allergen!r} is not an allergen of vocabulary.yaml{near}")


@cache
def _calculator_parameters() -> frozenset[str]:
    known = calculators.all_calculators()
    return frozenset(parameter.name for calculator in known for parameter in calculator.parameters)


def read_patient(raw: Mapping[str, Any], definitions: Inputs) -> Patient:
    """Read raw values (text, or what JSON and YAML give). Raises InputError with everything that is wrong."""
    errors: list[str] = []
    values: dict[str, Value] = dict.fromkeys(definitions)
    for key, value in raw.items():
        if key not in definitions:
            errors.append(f"{key}: dado desconhecido{_suggest(key, definitions)}")
            continue
        try:
            values[key] = read_value(definitions[key], value)
        except InputError as exc:
            errors.append(f"{definitions[key].label} ({key}): {exc.message}")
    if errors:
        raise InputError("\n".join(errors), hint="corrija os dados acima; nada foi executado")
    given = frozenset(key for key in raw if values[key] is not None)
    notes = [note for key in sorted(given) for note in implausible(definitions[key], values[key])]
    _assume(values, definitions)
    return Patient(values, given, definitions, tuple(notes))


def sample(definition: InputDefinition) -> Value:
    """A possible value, for trying expressions on without a patient."""
    if definition.kind == "number":
        return definition.hard[0] if definition.hard else Decimal(1)
    samples: dict[str, Value] = {"boolean": True, "list": ("item",), "choice": next(iter(definition.choices), "")}
    return samples.get(definition.kind, "texto")


def _opposite(value: Any) -> Any:
    return not value if isinstance(value, bool) else value


def expression_error(source: str, samples: Mapping[str, Any], definitions: Inputs) -> str | None:
    """What keeps an expression over inputs from ever being judged: unlike types, or a choice that does not exist."""
    try:
        parsed = expression.parse(source)
        # All operands are evaluated: two samples reach every comparison, whatever a yes or a no hides.
        for values in (samples, {name: _opposite(value) for name, value in samples.items()}):
            parsed.evaluate(values)
    except expression.ExpressionError as exc:
        return f"{exc} (character {exc.column} of the expression {source!r})"
    if unknown := sorted(parsed.names - set(samples)):
        return f"{unknown[0]!r} is not known here{library.suggest(unknown[0], samples)}"
    for name, text in parsed.texts:
        choices = definitions[name].choices if name in definitions else {}
        if choices and text not in choices:
            return f"{name} is never {text!r}: its values are {', '.join(choices)}"
    return None


def missing(required: Sequence[str], patient: Patient) -> list[InputDefinition]:
    """The definitions of the required inputs that have no value."""
    return [patient.definitions[key] for key in required if patient.values[key] is None]


def describe(definition: InputDefinition) -> str:
    """The range, choices or form that is accepted, in pt-BR."""
    if definition.kind == "number" and definition.hard:
        low, high = (format_number(bound) for bound in definition.hard)
        other = f", ou em {', '.join(definition.units)}" if definition.units else ""
        return f"de {low} a {high} {definition.unit or ''}".strip() + other
    if definition.kind == "choice":
        return ", ".join(f"{key} ({label})" for key, label in definition.choices.items())
    forms = {"boolean": "sim ou não", "list": "itens separados por vírgula, ou nega", "time": "HH:MM"}
    return forms.get(definition.kind, "texto")


def _suggest(key: str, definitions: Inputs) -> str:
    import difflib

    near = difflib.get_close_matches(key, list(definitions), n=1)
    return f"; você quis dizer {near[0]!r}?" if near else f"; os conhecidos são: {', '.join(sorted(definitions))}"


def read_value(definition: InputDefinition, value: Any) -> Value:
    """One value, from text or from what JSON and YAML give. Raises InputError in pt-BR."""
    if value is None:
        return None
    if definition.kind == "number":
        return _number(definition, value)
    if definition.kind == "list":
        return _list(value)
    if isinstance(value, bool) and definition.kind != "boolean":
        raise InputError(f"esperado {describe(definition)}, não {_shown(value)}")
    if not isinstance(value, (str, int, float, Decimal)):
        raise InputError(f"esperado um só valor ({describe(definition)}), não {_shown(value)}")
    text = value if isinstance(value, str) else str(value).lower()
    return _text(definition, text.strip())


def _text(definition: InputDefinition, text: str) -> Value:
    if definition.kind == "boolean":
        return _boolean(text)
    if not text:
        return None
    if definition.kind == "choice":
        return _choice(definition, text)
    if definition.kind == "time" and not _TIME.fullmatch(text):
        raise InputError(f"esperada uma hora como 10:35, não {_shown(text)}")
    if not _is_line(text):
        raise InputError(f"esperada uma linha de até {_MAX_TEXT} caracteres")
    return text.replace("h", ":").zfill(5) if definition.kind == "time" else text


def _is_line(text: str) -> bool:
    return len(text) <= _MAX_TEXT and text.isprintable()


def _boolean(text: str) -> bool | None:
    folded = fold(text)
    if folded in _TRUE:
        return True
    if folded in _FALSE:
        return False
    if folded in _UNKNOWN or not folded:
        return None
    raise InputError(f"esperado sim ou não, não {_shown(text)}")


def _choice(definition: InputDefinition, text: str) -> str | None:
    folded = fold(text)
    if folded in _UNKNOWN:
        return None
    for key, label in definition.choices.items():
        if folded in (fold(key), fold(label)):
            return key
    raise InputError(f"esperado um de {describe(definition)}, não {_shown(text)}")


def _list(value: Any) -> tuple[str, ...] | None:
    items = value.split(",") if isinstance(value, str) else value
    if isinstance(value, str) and fold(value) in _DENIED:
        return ()
    if isinstance(value, str) and fold(value) in _UNKNOWN:
        return None
    if not isinstance(items, list) or not all(isinstance(item, str) and item.strip() for item in items):  # pyright: ignore[reportUnknownVariableType]
        raise InputError(f"esperada uma lista de itens separados por vírgula, ou nega, não {_shown(value)}")
    named = [str(item).strip() for item in items]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if len(named) == 1 and fold(named[0]) in _DENIED:
        return ()
    if any(not _is_line(item) or not any(char.isalpha() for char in item) for item in named):
        raise InputError(f"esperado um nome em cada item, em uma linha de até {_MAX_TEXT} caracteres")
    if any(fold(item) in _TRUE | _FALSE | _UNKNOWN for item in named):
        raise InputError(f"{_shown(value)} não diz a quê; escreva os itens, nega ou desconhecido")
    if any(fold(item) in _DENIED or fold(item).startswith(_DENIAL) for item in named):
        raise InputError(f"{_shown(value)} nega e lista ao mesmo tempo; escreva só os itens, ou só nega")
    return tuple(named)


def _number(definition: InputDefinition, value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Decimal)):
        raise InputError(f"esperado um número ({describe(definition)}), não {_shown(value)}")
    if isinstance(value, str) and not value.strip():
        return None
    if isinstance(value, str) and len(value) > _MAX_TEXT:
        raise InputError(f"esperado um número ({describe(definition)}), não {_shown(value)}")
    number, unit = _split(value) if isinstance(value, str) else (Decimal(str(value)), None)
    number = number * _factor(definition, unit)
    low, high = definition.hard or (number, number)
    if not low <= number <= high:
        shown = format_number(number) if number.is_finite() and abs(number) < Decimal(10) ** 15 else _shown(value)
        raise InputError(f"{shown} está fora do possível; aceito {describe(definition)}")
    return number


def _split(text: str) -> tuple[Decimal, str | None]:
    match = _NUMBER_AND_UNIT.fullmatch(text)
    if match is None:
        return parse_number(text.strip()), None
    return parse_number(match["number"]), match["unit"]


def _factor(definition: InputDefinition, unit: str | None) -> Decimal:
    if unit is None:
        return Decimal(1)
    known = {fold(name): factor for name, factor in definition.units.items()}
    known[fold(definition.unit or "")] = Decimal(1)
    factor = known.get(fold(unit))
    if factor is None:
        accepted = ", ".join(name for name in (definition.unit, *definition.units) if name) or "nenhuma"
        raise InputError(f"a unidade {_shown(unit.strip())} não é aceita aqui; aceitas: {accepted}")
    return factor


def implausible(definition: InputDefinition, value: Value) -> Iterable[str]:
    """What is to be said of a value that is possible and outside the usual range, in pt-BR."""
    if not definition.plausible or not isinstance(value, Decimal):
        return
    low, high = definition.plausible
    if not low <= value <= high:
        shown = _show(value, definition)
        usual = f"{format_number(low)} a {format_number(high)} {definition.unit or ''}".strip()
        yield f"{definition.label} {shown} está fora do habitual ({usual}): confira o valor e a unidade"


def worded(definition: InputDefinition, value: Value) -> str:
    """A value as a clinician writes it, with its unit; `não informado` where unknown."""
    unit = f" {definition.unit}" if definition.unit and value is not None else ""
    return f"{_show(value, definition)}{unit}"


def _assume(values: dict[str, Value], definitions: Inputs) -> None:
    for key, definition in definitions.items():
        if values[key] is None and definition.listed and _is_listed(definition.listed, values):
            values[key] = True
        if values[key] is not None or definition.absent is None:
            continue
        if expression.parse(definition.absent.when).evaluate(values):
            values[key] = read_value(definition, definition.absent.value)


def _is_listed(listed: Listed, values: Mapping[str, Value]) -> bool:
    items = values.get(listed.input)
    return isinstance(items, tuple) and any(listed.allergen in load_vocabulary().allergens_in(item) for item in items)


def _show(value: Value, definition: InputDefinition) -> str:
    if value is None:
        return UNKNOWN
    if isinstance(value, bool):
        return "sim" if value else "não"
    if isinstance(value, Decimal):
        # A converted value has digits that nobody measured; what is computed with keeps them.
        return format_number(value, _SHOWN_DIGITS)
    if isinstance(value, tuple):
        return ", ".join(value) or "nega"
    return definition.choices.get(value, value)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "…"
