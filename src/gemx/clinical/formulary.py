"""The formulary: one YAML file a drug, with the presentations sold in Brazil and the source of every number.

Knows how a drug is presented; what is done with it stands in the automations' regimens.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from gemx import library, places
from gemx.clinical.quantity import Quantity, parse_quantity, parse_unit
from gemx.errors import InputError, InvalidFileError, Problem
from gemx.library import Identifier, Line, YamlModel

HEADER = "drug/v1"
_LONGEST_QUANTITY = 60
_CONTENTS = ({"mass": 1}, {"activity": 1}, {"equivalents": 1}, {"substance": 1})


def _quantity(value: object) -> object:
    if isinstance(value, str):
        if len(value) > _LONGEST_QUANTITY:
            raise ValueError(f"expected a number and its unit, not {len(value)} characters")
        try:
            return parse_quantity(value)
        except InputError as exc:
            raise ValueError(exc.message) from exc
    return value


def _positive(quantity: Quantity) -> Quantity:
    if quantity.value <= 0:
        raise ValueError("expected a quantity above zero")
    return quantity


def _content(quantity: Quantity) -> Quantity:
    if parse_unit(quantity.unit).dimensions not in _CONTENTS:
        raise ValueError(f"expected a mass, U, mEq or mmol, not {quantity}")
    return quantity


def _volume(quantity: Quantity) -> Quantity:
    if parse_unit(quantity.unit).dimensions != {"volume": 1}:
        raise ValueError(f"expected a volume, not {quantity}")
    return quantity


def _dose(quantity: Quantity) -> Quantity:
    # A dose is a content or a volume, per kg or per time where the regimen says so.
    given = {name: power for name, power in parse_unit(quantity.unit).dimensions.items() if power > 0}
    if given not in (*_CONTENTS, {"volume": 1}):
        raise ValueError(f"expected a dose, not {quantity}")
    return quantity


QuantityField = Annotated[Quantity, BeforeValidator(_quantity, json_schema_input_type=str), AfterValidator(_positive)]
ContentField = Annotated[QuantityField, AfterValidator(_content)]
VolumeField = Annotated[QuantityField, AfterValidator(_volume)]
DoseField = Annotated[QuantityField, AfterValidator(_dose)]


class Source(YamlModel):
    """Where a number was read, and when."""

    title: Line
    publisher: str | None = None
    date: Line
    read: Line
    url_or_id: Line


class Reconstitution(YamlModel):
    """What a powder is dissolved in, before any dilution."""

    diluent: Line
    volume: VolumeField


class Presentation(YamlModel):
    """One product form. `volume` is the liquid in one unit, after reconstitution where there is one."""

    id: Identifier
    text: Line
    mass: ContentField | None = None
    volume: VolumeField | None = None
    reconstitution: Reconstitution | None = None
    source: str


class Note(YamlModel):
    """A sentence for the reader, with its source."""

    text: Line
    source: str


class Drug(YamlModel):
    """One drug of the formulary."""

    gemx: Literal["drug/v1"]
    id: Identifier
    name: Line
    synonyms: list[str] = []
    drug_class: Line = Field(alias="class")
    strength_as: Literal["base", "sal"] | None = None
    salt: str | None = None
    presentations: list[Presentation] = Field(min_length=1)
    sources: dict[str, Source] = Field(min_length=1)
    notes: list[Note] = []

    @model_validator(mode="after")
    def _sources_exist(self) -> Drug:
        used = [item.source for item in self.presentations] + [note.source for note in self.notes]
        unknown = sorted(set(used) - set(self.sources))
        if unknown:
            raise ValueError(f"the source {unknown[0]!r} is not under `sources`")
        return self

    @field_validator("presentations")
    @classmethod
    def _presentations_differ(cls, presentations: list[Presentation]) -> list[Presentation]:
        library.refuse_twice("presentation", [item.id for item in presentations])
        return presentations

    def presentation(self, identifier: str) -> Presentation | None:
        """The presentation of that id."""
        return next((item for item in self.presentations if item.id == identifier), None)


Formulary = dict[str, Drug]


def load_drug(path: Path) -> Drug:
    """Read one drug. Raises InvalidFileError."""
    drug, tree = library.load(path, Drug, HEADER)
    if drug.id != path.stem:
        message = f"the id {drug.id!r} must be the file's name, {path.stem!r}"
        raise InvalidFileError([tree.problem(("id",), message)])
    return drug


def load_formulary(folder: Path | None = None) -> Formulary:
    """Every drug of a folder (the packaged formulary by default), by id. Raises InvalidFileError with all problems."""
    folder = folder or places.shipped("automations") / "formulary"
    drugs: Formulary = {}
    problems: list[Problem] = []
    for path in sorted(folder.glob("*.yaml")):
        try:
            drugs[path.stem] = load_drug(path)
        except InvalidFileError as exc:
            problems.extend(exc.problems)
    if not drugs and not problems:
        problems.append(Problem(folder, 0, 0, "expected a folder with one YAML file a drug"))
    if problems:
        raise InvalidFileError(problems)
    return drugs
