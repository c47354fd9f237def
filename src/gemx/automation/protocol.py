"""Load an automation with all that it refers to: input definitions, the formulary, the passages of its knowledge.

Finds every problem at once, each at its line and column. Computes nothing about a patient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from gemx import documents, library, places
from gemx.automation import references
from gemx.automation.schema import CASE_HEADER, HEADER, Automation, Case
from gemx.clinical import formulary, inputs
from gemx.clinical.formulary import Formulary
from gemx.clinical.inputs import Inputs
from gemx.documents import Passage
from gemx.errors import InputError, InvalidFileError, NotFoundError, Problem
from gemx.library import Found, Tree

Loaded = TypeVar("Loaded")


@dataclass(frozen=True)
class Protocol:
    """An automation, loaded whole. `sha256` is of its file; `found` says where it came from."""

    automation: Automation
    found: Found
    sha256: str
    inputs: Inputs
    formulary: Formulary
    passages: tuple[Passage, ...]
    formulary_dir: Path | None = None

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
    definitions = _collect(problems, inputs.load_inputs)
    drugs = _collect(problems, lambda: formulary.load_formulary(formulary_dir))
    if definitions is None or drugs is None:
        # Without the definitions and the drugs, every reference to them would look wrong as well.
        raise InvalidFileError(problems)
    passages = tuple(_passages(tree, automation, problems))
    protocol = Protocol(automation, found, tree.sha256, definitions, drugs, passages, formulary_dir)
    problems.extend(references.problems(tree, automation, definitions, drugs.drugs, passages))
    if problems:
        raise InvalidFileError(problems)
    return protocol


def load_case(path: Path) -> Case:
    """An example patient, its values checked against the input definitions. Raises InvalidFileError."""
    case, tree = library.load(path, Case, CASE_HEADER)
    raw = library.read(path, numbers_as_text=True).data["inputs"]
    try:
        patient = inputs.read_patient(raw, inputs.load_inputs())
    except InputError as exc:
        message = "; ".join(exc.message.splitlines())
        raise InvalidFileError([tree.problem(("inputs",), message)]) from exc
    absent = inputs.missing(_required_by(tree, case), patient)
    if absent:
        message = f"{case.automation} cannot run without: {', '.join(definition.id for definition in absent)}"
        raise InvalidFileError([tree.problem(("inputs",), message)])
    return case


def _required_by(tree: Tree, case: Case) -> list[str]:
    """The inputs that a case's automation requires; it stands in the folder above, or among those that gemx finds."""
    beside = tree.path.absolute().parent.parent / f"{case.automation}.yaml"
    try:
        found = library.find("automations", str(beside) if beside.is_file() else case.automation)
    except NotFoundError as exc:
        raise InvalidFileError([tree.problem(("automation",), exc.message)]) from exc
    automation, _ = library.load(found.path, Automation, HEADER)
    definitions = inputs.load_inputs()
    return [name for name in automation.required if name in definitions]


def _collect(problems: list[Problem], load_part: Callable[[], Loaded]) -> Loaded | None:
    try:
        return load_part()
    except InvalidFileError as exc:
        problems.extend(exc.problems)
        return None


def _passages(tree: Tree, automation: Automation, problems: list[Problem]) -> Iterator[Passage]:
    for index, stem in enumerate(automation.knowledge):
        path = _knowledge_file(tree.path.parent, stem)
        if path is None:
            problems.append(tree.problem(("knowledge", index), f"there is no knowledge/{stem}.md beside it or in gemx"))
            continue
        try:
            text = documents.read_text(path)
        except InputError as exc:
            problems.append(Problem(path, 1, 1, exc.message))
            continue
        sections = documents.passages(text, stem, str(path))
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
