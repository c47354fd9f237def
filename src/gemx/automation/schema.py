"""The automation YAML, `gemx: automation/v1`, and the example patients, `gemx: case/v1`, as parsed files.

Only the form is checked here; what names mean is checked by `automation.protocol`, which loads all that an automation
refers to.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from gemx import expression, library, templates
from gemx.clinical.formulary import DoseField, VolumeField
from gemx.clinical.inputs import ExactNumber
from gemx.expression import ExpressionError
from gemx.library import Day, Identifier, Line, YamlModel

HEADER = "automation/v1"
CASE_HEADER = "case/v1"
SECTIONS = ("avaliacao", "farmacoterapia", "criterios_decisao", "checklist")
_LONGEST_EXPRESSION = 500


def _expression(text: str) -> str:
    try:
        expression.parse(text)
    except ExpressionError as exc:
        raise ValueError(f"{exc} (character {exc.column} of the expression {text!r})") from exc
    return text


_PLACEHOLDER = re.compile(r"\{\{\s*[a-z_][a-z0-9_]*\s*\}\}")
_BRACES = re.compile(r"\{\{|\}\}|\{%|\{#")


def _text(text: str) -> str:
    templates.variables(text)
    if wrong := _BRACES.search(_PLACEHOLDER.sub("", text)):
        raise ValueError(f"only {{{{ name }}}} may stand in a text; here is a {wrong[0]!r} that is no part of one")
    return text


When = Annotated[str, Field(min_length=1, max_length=_LONGEST_EXPRESSION), AfterValidator(_expression)]
TextTemplate = Annotated[str, Field(min_length=1, max_length=2000, pattern=r"\S"), AfterValidator(_text)]
PromptTemplate = Annotated[str, Field(min_length=1, max_length=50_000, pattern=r"\S"), AfterValidator(_text)]


class Guideline(YamlModel):
    """The guideline that an automation follows."""

    name: Line
    version: Line
    date: Day
    doi: Annotated[str, Field(pattern=r"^10\.\d{4,9}/\S+$")] | None = None
    superseded_by: Line | None = None


class Maintenance(YamlModel):
    """Who wrote it, when it was reviewed and when it must be again."""

    author: Line
    reviewed: Day
    next_review: Day

    @model_validator(mode="after")
    def _review_comes_later(self) -> Maintenance:
        if self.next_review <= self.reviewed:
            raise ValueError(f"the next review, {self.next_review}, must come after the last, {self.reviewed}")
        return self


class SourceReference(YamlModel):
    """A passage by its id, and words copied from it."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9_-]+#[\w-]+$")]
    quote: Line


Sources = Annotated[list[SourceReference], Field(min_length=1, max_length=20)]


class CalculatorUse(YamlModel):
    """A calculator, the name of its value, and an expression for each of its parameters."""

    id: Identifier
    name: Identifier = Field(alias="as")
    label: Line
    inputs: dict[str, Any] = Field(min_length=1)
    digits: Annotated[int, Field(ge=0, le=4)] = 1

    @model_validator(mode="after")
    def _inputs_are_expressions(self) -> CalculatorUse:
        for parameter, value in self.inputs.items():
            if not isinstance(value, (str, int, float, bool)):
                raise ValueError(f"{parameter}: expected an expression or a literal")
            if isinstance(value, str) and len(value) > _LONGEST_EXPRESSION:
                raise ValueError(f"{parameter}: an expression has at most {_LONGEST_EXPRESSION} characters")
            if isinstance(value, str):
                _expression(value)
        return self


class AssessmentEntry(YamlModel):
    """A finding and what it means."""

    finding: TextTemplate
    interpretation: TextTemplate
    when: When | None = None
    sources: Sources


class DilutionEntry(YamlModel):
    """A diluent and how much of it is added."""

    diluent: Line
    volume: VolumeField


class Regimen(YamlModel):
    """How one drug is given; concentration, totals and rates are computed, never written."""

    id: Identifier
    drug: Identifier
    indication: TextTemplate
    when: When | None = None
    phase: Literal["ataque", "manutencao"] | None = None
    mode: Literal["unica", "intermitente", "continua"]
    presentation: Identifier
    quantity: ExactNumber | None = Field(default=None, gt=0, le=1000)
    dilution: DilutionEntry | None = None
    dose: DoseField
    interval_h: ExactNumber | None = Field(default=None, gt=0, le=720)
    route: Line
    access: Line | None = None
    infusion_time: Line | None = None
    duration: Line | None = None
    maximum: DoseField | None = None
    titration: TextTemplate | None = None
    renal: TextTemplate | None = None
    monitoring: TextTemplate | None = None
    sources: Sources

    @model_validator(mode="after")
    def _interval_fits_mode(self) -> Regimen:
        if (self.mode == "intermitente") != (self.interval_h is not None):
            raise ValueError("`interval_h` belongs to, and is needed by, `mode: intermitente`")
        return self


class Criterion(YamlModel):
    """If this, then that."""

    condition: TextTemplate = Field(alias="if")
    action: TextTemplate = Field(alias="then")
    when: When | None = None
    sources: Sources


class ChecklistEntry(YamlModel):
    """Something to do, within `deadline_min` minutes of `from`."""

    item: TextTemplate
    deadline_min: Annotated[int, Field(ge=0, le=100_000)] | None = None
    start: Line | None = Field(default=None, alias="from")
    when: When | None = None
    sources: Sources


class AvoidEntry(YamlModel):
    """Something not to do."""

    item: TextTemplate
    when: When | None = None
    sources: Sources


class DispositionEntry(YamlModel):
    """A place of care; the first whose `when` is true is taken."""

    place: TextTemplate
    reason: TextTemplate
    when: When | None = None
    sources: Sources


class Output(YamlModel):
    """What an answer must be: the contract, and the sections that may not be empty."""

    contract: Literal["protocolo/v1"]
    sections: list[Literal["avaliacao", "farmacoterapia", "criterios_decisao", "checklist"]] = []


class Automation(YamlModel):
    """An automation. With `output`, its answers are held to the contract; with `prompt` alone they are free text."""

    gemx: Literal["automation/v1"]
    id: Identifier | None = None
    title: Line | None = None
    version: Line = "0"
    language: Line = "pt-BR"
    persona: Line | None = None
    guideline: Guideline | None = None
    maintenance: Maintenance | None = None
    inputs: list[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*\??$")]] = []
    calculators: list[CalculatorUse] = []
    knowledge: list[Annotated[str, Field(pattern=r"^[a-z0-9_-]+$")]] = []
    summary: TextTemplate | None = None
    assessment: list[AssessmentEntry] = []
    regimens: list[Regimen] = []
    criteria: list[Criterion] = []
    checklist: list[ChecklistEntry] = []
    avoid: list[AvoidEntry] = []
    disposition: list[DispositionEntry] = []
    prompt: PromptTemplate
    output: Output | None = None

    @field_validator("regimens")
    @classmethod
    def _regimens_differ(cls, regimens: list[Regimen]) -> list[Regimen]:
        library.refuse_twice("regimen", [regimen.id for regimen in regimens])
        return regimens

    @field_validator("knowledge")
    @classmethod
    def _knowledge_differs(cls, knowledge: list[str]) -> list[str]:
        library.refuse_twice("file", knowledge)
        return knowledge

    @model_validator(mode="after")
    def _contract_is_whole(self) -> Automation:
        needs = {"title": self.title, "guideline": self.guideline, "maintenance": self.maintenance}
        absent = [name for name, value in {**needs, "summary": self.summary}.items() if value is None]
        if self.output and absent:
            raise ValueError(f"an automation with `output` also needs: {', '.join(absent)}")
        protocol = (self.assessment, self.regimens, self.criteria, self.checklist, self.avoid, self.disposition)
        if not self.output and any(protocol):
            raise ValueError("protocol data needs `output: {contract: protocolo/v1}`")
        by_section = dict(zip(SECTIONS, protocol, strict=False))
        if empty := [name for name in (self.output.sections if self.output else []) if not by_section[name]]:
            raise ValueError(f"`sections` has {empty[0]}, and there is nothing to put in it")
        return self

    @property
    def required(self) -> list[str]:
        """The ids of the inputs that must be given."""
        return [name for name in self.inputs if not name.endswith("?")]

    @property
    def used(self) -> list[str]:
        """The ids of all inputs, required or optional."""
        return [name.removesuffix("?") for name in self.inputs]


class Case(YamlModel):
    """An example patient."""

    gemx: Literal["case/v1"]
    title: Line
    automation: Identifier
    inputs: Annotated[dict[str, Any], Field(min_length=1)]
