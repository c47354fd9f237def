"""Load an automation with all that it refers to, and check every reference: inputs, calculators, drugs, passages.

Finds every problem at once, each at its line and column. Computes nothing about a patient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from gemx import documents, expression, library, places, templates
from gemx.automation.schema import CASE_HEADER, HEADER, Automation, CalculatorUse, Case, Regimen
from gemx.clinical import calculators, formulary, inputs, prescription
from gemx.clinical.formulary import Formulary
from gemx.clinical.inputs import Inputs
from gemx.documents import Passage
from gemx.errors import InputError, InvalidFileError, Problem
from gemx.library import Found, Location, Tree, suggest

Part = TypeVar("Part")
_TEXT_FIELDS = {
    "assessment": ("finding", "interpretation"),
    "regimens": ("indication", "titration", "renal", "monitoring"),
    "criteria": ("if", "then"),
    "checklist": ("item",),
    "avoid": ("item",),
    "disposition": ("place", "reason"),
}


@dataclass(frozen=True)
class Protocol:
    """An automation, loaded whole. `sha256` is of its file; `found` says where it came from."""

    automation: Automation
    found: Found
    sha256: str
    inputs: Inputs
    formulary: Formulary
    passages: tuple[Passage, ...]

    @property
    def id(self) -> str:
        """The automation's id, or its file's name."""
        return self.automation.id or self.found.name

    @property
    def title(self) -> str:
        """The title, or the id where there is none."""
        return self.automation.title or self.id


def load(name: str, formulary_dir: Path | None = None) -> Protocol:
    """The automation of a name or path. Raises NotFoundError, or InvalidFileError with every problem found."""
    found = library.find("automations", name)
    automation, tree = library.load(found.path, Automation, HEADER)
    problems: list[Problem] = []
    definitions = _collect(problems, inputs.load_inputs, {})
    drugs = _collect(problems, lambda: formulary.load_formulary(formulary_dir), {})
    passages = tuple(_passages(tree, automation, problems))
    protocol = Protocol(automation, found, tree.sha256, definitions, drugs, passages)
    problems.extend(_reference_problems(tree, protocol))
    if problems:
        raise InvalidFileError(problems)
    return protocol


def load_case(path: Path) -> Case:
    """An example patient, its values checked against the input definitions. Raises InvalidFileError."""
    case, tree = library.load(path, Case, CASE_HEADER)
    raw = library.read(path, numbers_as_text=True).data["inputs"]
    try:
        inputs.read_patient(raw, inputs.load_inputs())
    except InputError as exc:
        message = "; ".join(exc.message.splitlines())
        raise InvalidFileError([tree.problem(("inputs",), message)]) from exc
    return case


def _collect(problems: list[Problem], load_part: Callable[[], Part], otherwise: Part) -> Part:
    try:
        return load_part()
    except InvalidFileError as exc:
        problems.extend(exc.problems)
        return otherwise


def _passages(tree: Tree, automation: Automation, problems: list[Problem]) -> Iterator[Passage]:
    for index, stem in enumerate(automation.knowledge):
        path = _knowledge_file(tree.path.parent, stem)
        if path is None:
            problems.append(tree.problem(("knowledge", index), f"there is no knowledge/{stem}.md beside it or in gemx"))
            continue
        try:
            part = documents.read_file(path)
        except InputError as exc:
            problems.append(Problem(path, 1, 1, exc.message))
            continue
        sections = documents.passages(getattr(part, "text", ""), stem, str(path))
        problems.extend(_passage_problems(path, sections))
        yield from sections


def _knowledge_file(folder: Path, stem: str) -> Path | None:
    shipped = places.shipped("automations")
    candidates = (base / "knowledge" / f"{stem}.md" for base in (folder, shipped))
    return next((path for path in candidates if path.is_file()), None)


def _passage_problems(path: Path, sections: list[Passage]) -> Iterator[Problem]:
    seen: set[str] = set()
    for section in sections:
        if section.id in seen:
            yield Problem(path, 1, 1, f"the passage {section.id} stands twice")
        seen.add(section.id)
        if not section.reference:
            yield Problem(path, 1, 1, f"the passage {section.id} has no line that starts with `Fonte: `")


def _reference_problems(tree: Tree, protocol: Protocol) -> Iterator[Problem]:
    automation = protocol.automation
    if automation.id is not None and automation.id != tree.path.stem:
        yield tree.problem(("id",), f"the id {automation.id!r} must be the file's name, {tree.path.stem!r}")
    yield from _input_problems(tree, protocol)
    known = {name for name in automation.used if not _is_local(name, protocol.inputs)}
    for index, use in enumerate(automation.calculators):
        yield from _calculator_problems(tree, index, use, known)
        known.add(use.name)
    for index, regimen in enumerate(automation.regimens):
        yield from _regimen_problems(tree, index, regimen, protocol.formulary)
    yield from _entry_problems(tree, automation, known, {passage.id: passage for passage in protocol.passages})
    yield from _text_problems(tree, ("summary",), automation.summary or "", known)
    yield from _text_problems(tree, ("prompt",), automation.prompt, known)


def _is_local(name: str, definitions: Inputs) -> bool:
    # Local data must not reach a prompt, so no text or expression may name it.
    return name in definitions and definitions[name].local


def _input_problems(tree: Tree, protocol: Protocol) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, name in enumerate(protocol.automation.used):
        if protocol.inputs and name not in protocol.inputs:
            near = suggest(name, protocol.inputs)
            yield tree.problem(("inputs", index), f"unknown input {name!r}{near}; inputs.yaml defines them")
        if name in seen:
            yield tree.problem(("inputs", index), f"the input {name!r} stands twice")
        seen.add(name)


def _calculator_problems(tree: Tree, index: int, use: CalculatorUse, known: set[str]) -> Iterator[Problem]:
    location: Location = ("calculators", index)
    if use.name in known:
        yield tree.problem((*location, "as"), f"the name {use.name!r} is already taken")
    identifiers = [calculator.id for calculator in calculators.all_calculators()]
    if use.id not in identifiers:
        near = suggest(use.id, identifiers)
        yield tree.problem((*location, "id"), f"unknown calculator {use.id!r}{near}")
        return
    parameters = {parameter.name: parameter for parameter in calculators.get(use.id).parameters}
    for name in use.inputs:
        if name not in parameters:
            message = f"{use.id} has no parameter {name!r}{suggest(name, parameters)}"
            yield tree.problem((*location, "inputs", name), message, key=True)
    for name, value in use.inputs.items():
        if isinstance(value, str):
            yield from _name_problems(tree, (*location, "inputs", name), expression.parse(value).names, known)


def _regimen_problems(tree: Tree, index: int, regimen: Regimen, drugs: Formulary) -> Iterator[Problem]:
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


def _entry_problems(
    tree: Tree, automation: Automation, known: set[str], passages: Mapping[str, Passage]
) -> Iterator[Problem]:
    for section, text_fields in _TEXT_FIELDS.items():
        for index, entry in enumerate(getattr(automation, section)):
            location: Location = (section, index)
            if entry.when is not None:
                names = expression.parse(entry.when).names
                yield from _name_problems(tree, (*location, "when"), names, known)
            dumped: dict[str, Any] = entry.model_dump(by_alias=True)
            for name in text_fields:
                yield from _text_problems(tree, (*location, name), dumped.get(name) or "", known)
            yield from _source_problems(tree, location, entry.sources, passages)


def _source_problems(
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


def _text_problems(tree: Tree, location: Location, text: str, known: set[str]) -> Iterator[Problem]:
    return _name_problems(tree, location, templates.variables(text), known)


def _name_problems(tree: Tree, location: Location, names: Iterable[str], known: set[str]) -> Iterator[Problem]:
    for name in sorted(set(names) - known):
        yield tree.problem(location, f"{name!r} is not an input or calculator of this automation{suggest(name, known)}")
