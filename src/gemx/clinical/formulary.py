"""The formulary: one YAML file a drug, what is known of its use in adults in Brazil, and the source of every number.

A limit is a claim of one source. Sources that disagree are all declared, and `clinical.checks` says so. What no source
that was read says is left out, and `absent` lists it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from gemx import expression, library, places
from gemx.clinical import inputs as patient_inputs
from gemx.clinical import wording
from gemx.clinical.inputs import ExactNumber, Inputs
from gemx.clinical.quantity import Quantity, in_base, parse_quantity, parse_unit
from gemx.clinical.vocabulary import Vocabulary, load_vocabulary
from gemx.errors import InputError, InvalidFileError, Problem
from gemx.expression import ExpressionError
from gemx.library import Identifier, Line, Location, Tree, YamlModel

HEADER = "drug/v1"
# What a `when` may name beside the inputs: the clearance (Cockcroft-Gault, actual weight) and the row's own access.
CLEARANCE, ACCESS = "clcr", "acesso"
_LONGEST_QUANTITY = 60
_CONTENTS = ({"mass": 1}, {"activity": 1}, {"equivalents": 1}, {"substance": 1})
Mode = Literal["unica", "intermitente", "continua"]
Phase = Literal["ataque", "manutencao"]
Manner = Literal["direta", "infusao"]
SourceKey = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]


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


def _dimensions(quantity: Quantity) -> tuple[dict[str, int], dict[str, int]]:
    dimensions = parse_unit(quantity.unit).dimensions
    over = {name: power for name, power in dimensions.items() if power > 0}
    return over, {name: power for name, power in dimensions.items() if power < 0}


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
    if _dimensions(quantity)[0] not in (*_CONTENTS, {"volume": 1}):
        raise ValueError(f"expected a dose, not {quantity}")
    return quantity


def _concentration(quantity: Quantity) -> Quantity:
    over, under = _dimensions(quantity)
    if over not in _CONTENTS or under != {"volume": -1}:
        raise ValueError(f"expected a concentration, such as 64 mcg/mL, not {quantity}")
    return quantity


def _speed(quantity: Quantity) -> Quantity:
    over, under = _dimensions(quantity)
    if over not in (*_CONTENTS, {"volume": 1}) or under not in ({"time": -1}, {"body_weight": -1, "time": -1}):
        raise ValueError(f"expected an amount per time, such as 10 mg/min, not {quantity}")
    return quantity


def _time(quantity: Quantity) -> Quantity:
    if parse_unit(quantity.unit).dimensions != {"time": 1}:
        raise ValueError(f"expected a time, such as 30 min, not {quantity}")
    return quantity


def _daily(quantity: Quantity) -> Quantity:
    over, under = _dimensions(quantity)
    if over not in (*_CONTENTS, {"volume": 1}) or not quantity.unit.endswith("/dia") or under.get("time") != -1:
        raise ValueError(f"expected an amount per day, such as 18 g/dia or 20 mg/kg/dia, not {quantity}")
    return quantity


QuantityField = Annotated[Quantity, BeforeValidator(_quantity, json_schema_input_type=str), AfterValidator(_positive)]
ContentField = Annotated[QuantityField, AfterValidator(_content)]
VolumeField = Annotated[QuantityField, AfterValidator(_volume)]
DoseField = Annotated[QuantityField, AfterValidator(_dose)]
ConcentrationField = Annotated[QuantityField, AfterValidator(_concentration)]
SpeedField = Annotated[QuantityField, AfterValidator(_speed)]
TimeField = Annotated[QuantityField, AfterValidator(_time)]
DailyField = Annotated[QuantityField, AfterValidator(_daily)]


def _when(text: str) -> str:
    try:
        expression.parse(text)
    except ExpressionError as exc:
        raise ValueError(f"{exc} (character {exc.column} of the expression {text!r})") from exc
    return text


When = Annotated[str, Field(min_length=1, max_length=300), AfterValidator(_when)]


class Source(YamlModel):
    """Where a number was read, and when. `weak`: an upload, a mirror or a summary, which alone is no hard limit."""

    title: Line
    publisher: str | None = None
    kind: Literal["label_br", "label", "guideline", "hospital", "trial", "secondary"]
    weak: bool = False
    date: Line
    read: Line
    url_or_id: Line


class Sourced(YamlModel):
    """A statement of one source."""

    source: SourceKey


class Remarked(Sourced):
    """A statement with a remark for the reader, or none."""

    text: Line | None = None


class Note(Sourced):
    """A sentence for the reader."""

    text: Line


class Claim(Remarked):
    """A statement that holds where `when` is true (for everybody without it)."""

    when: When | None = None


class DoseLimit(Claim):
    """The greatest dose of one administration, or of an infusion per time."""

    value: DoseField


class DailyLimit(Claim):
    """The greatest amount of one day."""

    value: DailyField


class SpeedLimit(Claim):
    """The fastest administration."""

    max: SpeedField


class ConcentrationLimit(Claim):
    """The concentrations that a source accepts; above `max` is wrong, below `min` is unusual.

    With `manner` it is of what is pushed or of what is infused alone; with `routes`, of those routes alone.
    """

    manner: Manner | None = None
    routes: list[Line] = []
    min: ConcentrationField | None = None
    max: ConcentrationField | None = None

    @model_validator(mode="after")
    def _has_a_bound(self) -> ConcentrationLimit:
        if self.min is None and self.max is None:
            raise ValueError("expected `min`, `max` or both")
        return self


class TimeLimit(Claim):
    """The shortest time of an injection (`direta`) or of an infusion of a diluted dose (`infusao`)."""

    manner: Manner
    min: TimeField


class UsualDose(Remarked):
    """The usual range of a dose; outside it is unusual, not wrong."""

    low: DoseField
    high: DoseField


class UsualDaily(Remarked):
    """The usual range of a day's amount."""

    low: DailyField
    high: DailyField


class UsualInterval(Remarked):
    """The usual hours between doses."""

    low: ExactNumber = Field(gt=0, le=720)
    high: ExactNumber = Field(gt=0, le=720)


class Dose(YamlModel):
    """How much for one indication. `words` are stems that an indication's text begins with, to tell it from others.

    A row is judged by the doses whose mode, phase and route fit, and of these by the ones whose words it names.
    """

    indication: Line
    words: list[Line] = []
    when: When | None = None
    modes: Annotated[list[Mode], Field(min_length=1)]
    phases: list[Phase] = []
    routes: list[Line] = []
    usual: list[UsualDose] = []
    max: list[DoseLimit] = []
    daily_usual: list[UsualDaily] = []
    daily_max: list[DailyLimit] = []
    interval_h: list[UsualInterval] = []


class Named(Remarked):
    """A route or a diluent of the vocabulary."""

    name: Line


class Choices(YamlModel):
    """What may be used and what must not."""

    allowed: list[Named] = []
    forbidden: list[Named] = []


class RenalBand(Note):
    """What changes where the clearance is in a band: the greatest dose and daily amount, the shortest interval."""

    when: When
    dose_max: DoseField | None = None
    daily_max: DailyField | None = None
    interval_min_h: ExactNumber | None = Field(default=None, gt=0, le=720)


class Renal(YamlModel):
    """The adjustment to renal function: that there is none, or its bands."""

    none: Remarked | None = None
    bands: list[RenalBand] = []

    @model_validator(mode="after")
    def _says_something(self) -> Renal:
        if (self.none is None) == (not self.bands):
            raise ValueError("expected either `none` or `bands`")
        return self


class Pregnancy(Note):
    """What a source says of use in pregnancy."""

    risk: Literal["contraindicated", "caution", "compatible"]


class Allergy(Note):
    """An allergen of the vocabulary that concerns the drug: it bars it, or asks for caution."""

    to: Identifier
    severity: Literal["error", "warning"]


class Contraindication(Note):
    """A condition that bars the drug; one without `when` cannot be seen in the inputs and is for the reader alone."""

    when: When | None = None


class Interaction(Note):
    """Another drug (by id) or class: not in one line, not in one bag, or a risk together."""

    with_: Annotated[list[Line], Field(min_length=1, alias="with")]
    kind: Literal["line", "combination"]


class Reconstitution(YamlModel):
    """What a powder is dissolved in, before any dilution."""

    diluent: Line
    volume: VolumeField


class Presentation(YamlModel):
    """One product form. `volume` is the liquid in one unit, after reconstitution where there is one.

    `multidose`: a part of it may be drawn for an infusion, and the rest kept.
    """

    id: Identifier
    text: Line
    mass: ContentField | None = None
    volume: VolumeField | None = None
    reconstitution: Reconstitution | None = None
    multidose: bool = False
    source: SourceKey


class Salt(Remarked):
    """Doses and strengths are in `doses_in`; `base` of the drug is in `salt` of its salt, where that was read."""

    name: Line
    base: ContentField | None = None
    salt: ContentField | None = None
    doses_in: Literal["base", "sal"]

    @model_validator(mode="after")
    def _has_both_or_none(self) -> Salt:
        if (self.base is None) != (self.salt is None):
            raise ValueError("`base` and `salt` belong together")
        return self

    @cached_property
    def ratio(self) -> Decimal | None:
        """How much salt holds one unit of base, None where it was not read."""
        return (self.salt / self.base).value if self.salt and self.base else None

    @property
    def meaning(self) -> str:
        """What its doses and strengths count, in words."""
        equal = f" ({self.base} de base = {self.salt} de {self.name})" if self.base else f" (o sal é {self.name})"
        return f"doses e apresentações em {self.doses_in}{equal}"


class Drug(YamlModel):
    """One drug of the formulary. Two rows of a class are a duplicate, unless it is `combinable`.

    `group` is a wider class of which one drug is usual at a time: two of it are a warning.
    """

    gemx: Literal["drug/v1"]
    id: Identifier
    name: Line
    synonyms: list[Line] = []
    drug_class: Line = Field(alias="class")
    combinable: bool = False
    group: Line | None = None
    salt: Salt | None = None
    presentations: list[Presentation] = Field(min_length=1)
    diluents: Choices | None = None
    concentration: list[ConcentrationLimit] = []
    doses: list[Dose] = []
    routes: Choices | None = None
    speed: list[SpeedLimit] = []
    infusion: list[TimeLimit] = []
    renal: Renal | None = None
    pregnancy: list[Pregnancy] = []
    allergy: list[Allergy] = []
    contraindications: list[Contraindication] = []
    interactions: list[Interaction] = []
    notes: list[Note] = []
    sources: dict[SourceKey, Source] = Field(min_length=1)

    @field_validator("presentations")
    @classmethod
    def _presentations_differ(cls, presentations: list[Presentation]) -> list[Presentation]:
        library.refuse_twice("presentation", [item.id for item in presentations])
        return presentations

    def presentation(self, identifier: str) -> Presentation | None:
        """The presentation of that id."""
        return next((item for item in self.presentations if item.id == identifier), None)

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that means this drug."""
        return (self.name, self.id.replace("_", " "), *self.synonyms)

    @property
    def strength_as(self) -> Literal["base", "sal"] | None:
        """Whether its strengths count base or salt, where that was read."""
        return self.salt.doses_in if self.salt else None

    @property
    def absent(self) -> tuple[str, ...]:
        """The fields for which no source was read: what they would check is not verified."""
        sections = {
            "diluents": self.diluents,
            "concentration": self.concentration,
            "doses": self.doses,
            "maximum dose": [limit for dose in self.doses for limit in dose.max],
            "daily maximum": [limit for dose in self.doses for limit in dose.daily_max],
            "routes": self.routes,
            "speed": self.speed or self.infusion,
            "renal": self.renal,
            "pregnancy": self.pregnancy,
            "allergy": self.allergy,
            "contraindications": self.contraindications,
            "interactions": self.interactions,
        }
        return tuple(name for name, content in sections.items() if not content)


@dataclass(frozen=True)
class Formulary:
    """Every drug by id, the words that name routes, diluents and allergens, and where they came from."""

    drugs: Mapping[str, Drug]
    vocabulary: Vocabulary

    @cached_property
    def _by_name(self) -> dict[str, Drug]:
        return {wording.fold(name): drug for drug in self.drugs.values() for name in drug.names}

    def find(self, text: str) -> Drug | None:
        """The drug that a row's text names: the whole text, or the longest name in it among words of its labels.

        Any other word makes it another product, as `ceftriaxona + sulbactam`: None.
        """
        folded = wording.fold(text)
        if drug := self._by_name.get(folded):
            return drug
        name = wording.find(folded, tuple(self._by_name))
        if name is None:
            return None
        drug = self._by_name[name]
        others = set(re.findall(r"[a-z]+", folded.replace(name, " ", 1)))
        return drug if others <= self._label_words[drug.id] else None

    @cached_property
    def _label_words(self) -> dict[str, frozenset[str]]:
        return {identifier: self._words_of(drug) for identifier, drug in self.drugs.items()}

    def _words_of(self, drug: Drug) -> frozenset[str]:
        salt = (drug.salt.name, drug.salt.doses_in) if drug.salt else ()
        own = " ".join((*drug.names, *salt, *(each.text for each in drug.presentations)))
        return frozenset(re.findall(r"[a-z]+", wording.fold(own))) | self.vocabulary.label_words


def load_drug(path: Path, definitions: Inputs | None = None) -> Drug:
    """Read one drug and check what it refers to. Raises InvalidFileError with all problems."""
    drug, tree = library.load(path, Drug, HEADER)
    known = definitions if definitions is not None else patient_inputs.load_inputs()
    if found := list(_problems(tree, drug, known, load_vocabulary())):
        raise InvalidFileError(found)
    return drug


def load_formulary(folder: Path | None = None) -> Formulary:
    """Every drug of a folder (the packaged formulary by default). Raises InvalidFileError with all problems."""
    folder = folder or places.shipped("automations") / "formulary"
    definitions = patient_inputs.load_inputs()
    drugs: dict[str, Drug] = {}
    problems: list[Problem] = []
    for path in sorted(folder.glob("*.yaml")):
        try:
            drugs[path.stem] = load_drug(path, definitions)
        except InvalidFileError as exc:
            problems.extend(exc.problems)
    if not drugs and not problems:
        problems.append(Problem(folder, 0, 0, "expected a folder with one YAML file a drug"))
    if not problems:
        problems.extend(_shared_problems(folder, drugs))
    if problems:
        raise InvalidFileError(problems)
    return Formulary(drugs, load_vocabulary())


def _shared_problems(folder: Path, drugs: Mapping[str, Drug]) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for drug in drugs.values():
        for name in {wording.fold(name) for name in drug.names}:
            if name in seen:
                yield Problem(folder / f"{drug.id}.yaml", 1, 1, f"the name {name!r} is also one of {seen[name]}")
            seen[name] = drug.id
        for other in (name for interaction in drug.interactions for name in interaction.with_):
            if other not in drugs and other not in {each.drug_class for each in drugs.values()}:
                near = library.suggest(other, drugs)
                path = folder / f"{drug.id}.yaml"
                yield Problem(path, 1, 1, f"interactions: {other!r} is neither a drug's id nor a class{near}")


def _problems(tree: Tree, drug: Drug, definitions: Inputs, vocabulary: Vocabulary) -> Iterator[Problem]:
    if drug.id != tree.path.stem:
        yield tree.problem(("id",), f"the id {drug.id!r} must be the file's name, {tree.path.stem!r}")
    samples = {name: patient_inputs.sample(definition) for name, definition in definitions.items()}
    names = {**samples, CLEARANCE: Decimal(50), ACCESS: "central"}
    routes = {term.name for term in vocabulary.routes}
    diluents = {term.name for term in vocabulary.diluents}
    allergens = {allergen.id for allergen in vocabulary.allergens}
    for location, part in _parts((), drug):
        if isinstance(part, Sourced | Presentation) and part.source not in drug.sources:
            near = library.suggest(part.source, drug.sources)
            yield tree.problem((*location, "source"), f"the source {part.source!r} is not under `sources`{near}")
        if (when := getattr(part, "when", None)) and (error := _condition_error(when, names, definitions)):
            yield tree.problem((*location, "when"), error)
        if isinstance(part, Named):
            known = routes if "routes" in location else diluents
            yield from _unknown(tree, (*location, "name"), part.name, known)
        if isinstance(part, Allergy):
            yield from _unknown(tree, (*location, "to"), part.to, allergens)
        if isinstance(part, Dose | ConcentrationLimit):
            for index, route in enumerate(part.routes):
                yield from _unknown(tree, (*location, "routes", index), route, routes)
        yield from _order(tree, location, part)


def _condition_error(when: str, names: Mapping[str, Any], definitions: Inputs) -> str | None:
    error = patient_inputs.expression_error(when, names, definitions)
    if error is None and not isinstance(expression.parse(when).evaluate(names), bool):
        return f"a condition is true or false; {when!r} is neither"
    return error


def _order(tree: Tree, location: Location, part: Any) -> Iterator[Problem]:
    if isinstance(part, ConcentrationLimit):
        low, high = part.min, part.max
    elif isinstance(part, UsualDose | UsualDaily | UsualInterval):
        low, high = part.low, part.high
    else:
        return
    if low is not None and high is not None and not _ordered(low, high):
        yield tree.problem(location, f"{low} and {high} are not a range: the lowest comes first, in units alike")


def _ordered(low: Quantity | Decimal, high: Quantity | Decimal) -> bool:
    if isinstance(low, Decimal) or isinstance(high, Decimal):
        return isinstance(low, Decimal) and isinstance(high, Decimal) and low <= high
    alike = parse_unit(low.unit).dimensions == parse_unit(high.unit).dimensions
    return alike and in_base(low) <= in_base(high)


def _unknown(tree: Tree, location: Location, name: str, known: Iterable[str]) -> Iterator[Problem]:
    if name not in known:
        near = library.suggest(name, known) or f"; there are: {', '.join(sorted(known))}"
        yield tree.problem(location, f"{name!r} is not in vocabulary.yaml{near}")


def _parts(location: Location, part: Any) -> Iterator[tuple[Location, Any]]:
    """Every part of a drug, in order, each with its place in the file."""
    if isinstance(part, YamlModel):
        yield location, part
        for name, field in type(part).model_fields.items():
            yield from _parts((*location, field.alias or name), getattr(part, name))
    elif isinstance(part, list):
        for index, item in enumerate(part):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
            yield from _parts((*location, index), item)
