"""A prescription row read for checking: its amounts in base units, its drug, mode, route, manner, access and time.

What a field cannot mean (an unknown unit, a rate in mg) is a finding here, and the field counts as absent afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Literal

from gemx.clinical import wording
from gemx.clinical.answer import Amount, Prescription
from gemx.clinical.checks.case import Case
from gemx.clinical.checks.texts import CONTENTS
from gemx.clinical.findings import Finding
from gemx.clinical.formulary import Drug, Manner, Mode, Presentation, Reconstitution
from gemx.clinical.numbers import format_number
from gemx.clinical.quantity import from_base, in_base, parse_unit
from gemx.errors import InputError

DROPS_PER_ML = 20
MINUTES_PER_DAY = 1440
DIRECT = "IV direta"
TOLERANCE = Fraction(2, 100)
ABOVE, BELOW = 1 + TOLERANCE, 1 - TOLERANCE
_ROOM, _FLOAT_ERROR = float(TOLERANCE), 1e-9
PUMP_STEP = Fraction(1, 10)
_KINDS: Mapping[str, str] = {
    "apresentacao.massa": "content",
    "apresentacao.volume": "volume",
    "diluicao.volume_diluente": "volume",
    "diluicao.volume_final": "volume",
    "diluicao.concentracao": "concentration",
    "posologia.dose": "dose",
    "posologia.dose_total": "dose",
    "posologia.dose_diaria": "dose",
    "posologia.volume": "volume",
    "posologia.velocidade": "rate",
    "posologia.dose_maxima": "dose",
}
_EXPECTED = {
    "content": "uma quantidade de fármaco, como mg, g ou unidades",
    "volume": "um volume, como mL",
    "concentration": "quantidade por volume, como mcg/mL",
    "dose": "uma dose, como mg, mg/kg ou mcg/kg/min",
    "rate": "volume por tempo, como mL/h",
}
_INFUSION_STEMS = ("infus", "bomba", "gotej")
SMALLEST_BAG_ML = 50
DIRECT_WORDS = ("direta", "direto", "bolus", "push")
_ALTERNATIVES = re.compile(r"\s+ou\s+|[/+&]")
_UPPER_BOUND = re.compile(r"(?:\bate|menos de|maximo(?: de)?|no max\.?(?: de)?)\s*$")
_TIME = re.compile(
    r"(?<![\d.])(?P<low>\d+(?:\.\d+)?)(?:\s*(?:a|ate|-|–)\s*(?P<high>\d+(?:\.\d+)?))?\s*"
    r"(?P<unit>segundos?|seg|s|minutos?|min|horas?|h)(?![\w/])"
)
_MINUTES = {"s": Fraction(1, 60), "m": Fraction(1), "h": Fraction(60)}


@dataclass(frozen=True)
class Measure:
    """An amount in base units (mcg, kg, U, mEq, mmol, mL, min), its dimensions, its unit, and how it was written."""

    value: Fraction
    dimensions: Mapping[str, int]
    unit: str
    written: str | None = None

    @cached_property
    def content(self) -> str | None:
        """What is measured: mass, activity, equivalents, substance or volume."""
        return next((name for name, power in self.dimensions.items() if power > 0), None)

    @cached_property
    def kind(self) -> tuple[tuple[str, int], ...]:
        """Its dimensions, sorted by name."""
        return tuple(sorted(self.dimensions.items()))

    @cached_property
    def per_kg(self) -> bool:
        """Whether it is per kg of body weight."""
        return "body_weight" in self.dimensions

    @cached_property
    def daily(self) -> bool:
        """Whether it is per day."""
        return self.unit.endswith("/dia")

    @cached_property
    def timed(self) -> bool:
        """Whether it is per time."""
        return "time" in self.dimensions

    def __str__(self) -> str:
        return self.written or show(self.value, self.unit)


def show(value: Fraction, unit: str) -> str:
    """A value in base units, in `unit`, with three significant decimals at most, in pt-BR."""
    quantity = from_base(value, unit)
    magnitude = quantity.value.adjusted() if quantity.value else 0
    digits = max(0, 2 - magnitude)
    return f"{format_number(quantity.value, digits)} {unit}".rstrip()


def close(found: Fraction, expected: Fraction, step: Fraction = Fraction(0)) -> bool:
    """Whether two values differ by at most 2% of the expected one, or by a pump's step."""
    if found == expected:
        return True
    gap, room = abs(float(found) - float(expected)), max(abs(float(expected)) * _ROOM, float(step))
    # Floats decide what is far from the bound; at the bound itself the fractions do.
    if abs(gap - room) > room * _FLOAT_ERROR:
        return gap < room
    return abs(found - expected) <= max(abs(expected) * TOLERANCE, step)


@dataclass(frozen=True)
class Row:
    """One row of the pharmacotherapy, with what its fields mean."""

    path: str
    item: Prescription
    case: Case
    drug: Drug | None

    def at(self, field: str) -> str:
        """The path of a field of this row."""
        return f"{self.path}.{field}"

    @cached_property
    def _read(self) -> tuple[dict[str, Measure], list[Finding]]:
        measures: dict[str, Measure] = {}
        findings: list[Finding] = []
        for field, amount in _amounts(self.item):
            try:
                measure = _measure(amount.valor, amount.unidade)
            except InputError as exc:
                path = self.at(f"{field}.unidade")
                findings.append(Finding("unit.unknown", "error", path, exc.message, found=amount.unidade))
                continue
            kind = _KINDS[field]
            if _is_kind(kind, measure.unit):
                measures[field] = measure
                continue
            message = f"a unidade {amount.unidade} não serve aqui: espera-se {_EXPECTED[kind]}"
            shown = f"{format_number(amount.valor)} {amount.unidade}"
            findings.append(Finding("unit.dimension", "error", self.at(field), message, _EXPECTED[kind], shown))
        return measures, findings

    @property
    def unit_findings(self) -> list[Finding]:
        """The fields whose unit is unknown or of another kind."""
        return self._read[1]

    @property
    def measures(self) -> tuple[Measure, ...]:
        """Every amount of the row."""
        return tuple(self._read[0].values())

    def measure(self, field: str) -> Measure | None:
        """An amount of the row, None where it is absent or its unit is wrong."""
        return self._read[0].get(field)

    @cached_property
    def mode(self) -> Mode | None:
        """How it is given, as the row says or as its dose and interval show; what has an interval is repeated."""
        if self.interval_min is not None and self.item.modo in (None, "unica"):
            return "intermitente"
        if self.item.modo:
            return self.item.modo
        dose = self.measure("posologia.dose")
        return "continua" if dose and dose.timed and not dose.daily else None

    @cached_property
    def routes(self) -> tuple[str, ...]:
        """Every route of the vocabulary that the row names, as `IM ou IV` does two."""
        via = self.item.posologia.via if self.item.posologia else None
        return self.case.formulary.vocabulary.routes_in(via) if via else ()

    @property
    def route(self) -> str | None:
        """The first route that the row names."""
        return self.routes[0] if self.routes else None

    @cached_property
    def unknown_route(self) -> str | None:
        """A part of the route's text that names none of the vocabulary's."""
        via = self.item.posologia.via if self.item.posologia else None
        known = self.case.formulary.vocabulary.routes_in
        parts = [part.strip() for part in _ALTERNATIVES.split(via or "") if part.strip()]
        return None if self.routes and len(parts) == 1 else next((part for part in parts if not known(part)), None)

    @cached_property
    def diluents(self) -> tuple[str, ...]:
        """Every diluent of the vocabulary that the row names."""
        return self.case.formulary.vocabulary.diluents_in(self.item.diluicao.diluente) if self.item.diluicao else ()

    @cached_property
    def manner(self) -> Manner | None:
        """Whether it is pushed or infused, where the row says so."""
        if self.mode == "continua":
            return "infusao"
        said = self.item.tempo_infusao or ""
        if DIRECT in self.routes or wording.find_all(said, DIRECT_WORDS):
            return "direta"
        final = self.measure("diluicao.volume_final") or self.measure("diluicao.volume_diluente")
        if wording.begins_any(said, _INFUSION_STEMS) or (final is not None and final.value >= SMALLEST_BAG_ML):
            return "infusao"
        return None

    @cached_property
    def access(self) -> Literal["central", "periferico"] | None:
        """The access, where the row names one and not the other."""
        said = wording.fold(self.item.acesso or "")
        central, peripheral = "central" in said, "perifer" in said
        return None if central == peripheral else "central" if central else "periferico"

    @cached_property
    def presentation(self) -> Presentation | None:
        """The formulary's presentation with this row's strength."""
        mass, volume = self.measure("apresentacao.massa"), self.measure("apresentacao.volume")
        for known in self.drug.presentations if self.drug else ():
            if mass is None or known.mass is None or not _same(mass, known.mass.value, known.mass.unit):
                continue
            # What a powder's volume is depends on who dissolves it.
            fits = volume is None or known.volume is None or close(volume.value, in_base(known.volume))
            if fits or known.reconstitution:
                return known
        return None

    @cached_property
    def reconstituted(self) -> bool:
        """Whether the dilution is the mere dissolving of a powder."""
        powder = self.presentation.reconstitution if self.presentation else None
        added, quantity = self.measure("diluicao.volume_diluente"), self.item.quantidade
        if powder is None or self.item.diluicao is None or not self._dissolves(powder):
            return False
        if added is None or not quantity:
            return self.item.diluicao.volume_final is None
        return added.value <= in_base(powder.volume) * Fraction(quantity) * ABOVE

    def _dissolves(self, powder: Reconstitution) -> bool:
        """Whether the row's diluent is one that the powder is dissolved in."""
        accepted = set(self.case.formulary.vocabulary.diluents_in(powder.diluent))
        return bool(accepted) and set(self.diluents) <= accepted and bool(self.diluents)

    @cached_property
    def time_min(self) -> tuple[Fraction, Fraction] | None:
        """The shortest and longest infusion time that the row's text begins with, in minutes."""
        times = parse_times(self.item.tempo_infusao or "")
        return times[0] if times else None

    @cached_property
    def shortest_min(self) -> Fraction | None:
        """The shortest infusion time that the row's text names, in minutes; None too where it gives an upper bound."""
        times = parse_times(self.item.tempo_infusao or "")
        return min(low for low, _ in times) if times else None

    @cached_property
    def interval_min(self) -> Fraction | None:
        """Minutes between doses."""
        hours = self.item.posologia.intervalo_h if self.item.posologia else None
        return Fraction(hours) * 60 if hours else None

    @cached_property
    def stated_weight(self) -> Fraction | None:
        """The weight that the row says, kg."""
        weight = self.item.posologia.peso_kg if self.item.posologia else None
        return Fraction(weight) if weight else None

    @cached_property
    def weight(self) -> Fraction | None:
        """The weight that the row's arithmetic uses: its own, else the patient's."""
        return self.stated_weight or self.patient_weight

    @cached_property
    def patient_weight(self) -> Fraction | None:
        """The patient's weight, kg."""
        known = self.case.number("peso")
        return Fraction(known) if known else None

    @cached_property
    def limit_weight(self) -> Fraction | None:
        """The weight that limits are for: the patient's, whatever weight the row was worked out with."""
        return self.patient_weight or self.stated_weight

    @cached_property
    def given(self) -> Measure | None:
        """The dose of one administration, or of an infusion per minute, by the row's own weight; a volume as it is."""
        return self._absolute(self.weight)

    @cached_property
    def given_content(self) -> Measure | None:
        """The same as content: a dose in mL is converted by the product's strength."""
        return self._as_content(self.given)

    @cached_property
    def received(self) -> Measure | None:
        """The dose that the patient gets, by the patient's own weight."""
        return self.given if self.weight == self.limit_weight else self._absolute(self.limit_weight)

    @cached_property
    def received_content(self) -> Measure | None:
        """The same as content."""
        return self._as_content(self.received)

    def _absolute(self, weight: Fraction | None) -> Measure | None:
        dose = self.measure("posologia.dose")
        if dose is None:
            return None
        value, dimensions = dose.value, dict(dose.dimensions)
        if dose.per_kg:
            if weight is None:
                return None
            value *= weight
            del dimensions["body_weight"]
        if dose.timed and self.mode != "continua":
            if not dose.daily:
                return None
            # A dose per day without an interval is given once a day.
            value *= self.interval_min or MINUTES_PER_DAY
            del dimensions["time"]
        return Measure(value, dimensions, _without_weight(dose.unit))

    def _as_content(self, dose: Measure | None) -> Measure | None:
        mass = self.measure("apresentacao.massa")
        if dose is None or dose.content != "volume" or mass is None or not mass.content:
            return dose
        if self.strength is None:
            return None
        dimensions = {mass.content: 1, **{name: power for name, power in dose.dimensions.items() if power < 0}}
        suffix = "/min" if dose.timed else ""
        return Measure(dose.value * self.strength, dimensions, f"{mass.unit}{suffix}")

    @cached_property
    def strength(self) -> Fraction | None:
        """Content per mL of the undiluted product."""
        mass, volume = self.measure("apresentacao.massa"), self.measure("apresentacao.volume")
        if mass is None or volume is None or not volume.value:
            return None
        return mass.value / volume.value


def read(index: int, item: Prescription, case: Case) -> Row:
    """The row at an index of the pharmacotherapy."""
    return Row(f"farmacoterapia[{index}]", item, case, case.formulary.find(item.farmaco))


@lru_cache(maxsize=2048)
def parse_times(text: str) -> tuple[tuple[Fraction, Fraction], ...]:
    """The times that a text names, each as (shortest, longest) in minutes; none where one of them is an upper bound."""
    folded = wording.fold(text)
    found: list[tuple[Fraction, Fraction]] = []
    for match in _TIME.finditer(folded):
        scale = _MINUTES[match["unit"][0]]
        low = Fraction(match["low"]) * scale
        if _UPPER_BOUND.search(folded[: match.start()]) and not found:
            return ()
        found.append((low, Fraction(match["high"]) * scale if match["high"] else low))
    return tuple(found)


@lru_cache(maxsize=8192)
def _measure(value: Decimal, unit: str) -> Measure:
    parsed = parse_unit(unit)
    if not parsed.parts:
        raise InputError("falta a unidade.")
    written = f"{format_number(value)} {unit}"
    return Measure(Fraction(value) * parsed.scale, parsed.dimensions, str(parsed), written)


def _amounts(item: Prescription) -> Iterator[tuple[str, Amount]]:
    for field in _KINDS:
        section, name = field.split(".")
        part = getattr(item, section)
        amount = getattr(part, name) if part is not None else None
        if amount is not None:
            yield field, amount


@lru_cache(maxsize=512)
def _is_kind(kind: str, unit: str) -> bool:
    """Whether a unit serves a kind of field."""
    dimensions = parse_unit(unit).dimensions
    over = tuple((name, power) for name, power in dimensions.items() if power > 0)
    under = {name for name, power in dimensions.items() if power < 0}
    content = len(over) == 1 and over[0][0] in CONTENTS
    volume = over == (("volume", 1),)
    drops = over == (("drops", 1),)
    return {
        "content": content and not under,
        "volume": volume and not under,
        "concentration": content and under == {"volume"},
        "dose": (content or volume) and under <= {"body_weight", "time"},
        "rate": (volume or drops or content) and under in ({"time"}, {"body_weight", "time"}),
    }[kind]


def _same(measure: Measure, value: Decimal, unit: str) -> bool:
    parsed = parse_unit(unit)
    return measure.dimensions == parsed.dimensions and close(measure.value, Fraction(value) * parsed.scale)


def _without_weight(unit: str) -> str:
    return "/".join(part for part in unit.split("/") if part != "kg")
