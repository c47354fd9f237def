"""The sums of one row: each stated value against what the others give, within 2% or the pump's step.

A value is computed from the most primitive data that the row has (strength, units opened, volumes, dose, weight), so
that one wrong number is not reported as many. What cannot be computed for want of data is unverifiable.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from functools import cached_property

from gemx.clinical.checks.row import ABOVE, BELOW, DROPS_PER_ML, MINUTES_PER_DAY, PUMP_STEP, Measure, Row, close, show
from gemx.clinical.findings import Code, Finding
from gemx.clinical.numbers import format_number
from gemx.clinical.quantity import in_base, parse_unit

_STEP_ML_MIN = PUMP_STEP / 60
_SYRINGE_STEP = Fraction(1, 100)
_HALF_DROP_ML_MIN = Fraction(1, 2 * DROPS_PER_ML)
_DOSE, _RATE, _CONCENTRATION = "posologia.dose", "posologia.velocidade", "diluicao.concentracao"
_FINAL, _ADDED, _STRENGTH = "diluicao.volume_final", "diluicao.volume_diluente", "apresentacao.massa"
_TENFOLDS = {Fraction(10) ** power: f"{10**power} vezes" for power in (1, 2, 3, 6)}


def check(sums: Sums) -> Iterator[Finding]:
    """Every sum of a row that does not come out, and those that cannot be done."""
    yield from _kinds(sums.row)
    for part in (sums.final_volume, sums.concentration, sums.total, sums.daily, sums.volume, sums.rate, sums.quantity):
        yield from part()


def _kinds(row: Row) -> Iterator[Finding]:
    """A dose in a kind of unit that the drug is not measured in, or that its presentation is not."""
    dose, mass = row.measure(_DOSE), row.measure(_STRENGTH)
    if dose is None:
        return
    if row.mode is not None and (row.mode == "continua") != (dose.timed and not dose.daily):
        yield from _untimely(row, dose)
    if dose.content == "volume":
        return
    known = _contents(row)
    if known and dose.content not in known:
        message = f"{row.item.farmaco} não se mede em {dose.unit}"
        yield Finding("unit.content", "error", row.at(_DOSE), message, None, str(dose))
    elif mass is not None and mass.content != dose.content:
        message = f"a dose em {dose.unit} não se compara com a apresentação em {mass.unit}"
        yield Finding("unit.content", "unverifiable", row.at(_DOSE), message, None, str(dose))


def _untimely(row: Row, dose: Measure) -> Iterator[Finding]:
    """A continuous dose without a time, or a single one with it; an amount per day serves both."""
    if dose.daily:
        return
    wanted = "por tempo, como mcg/kg/min" if row.mode == "continua" else "de uma administração, sem tempo"
    message = f"a dose de uma linha {row.mode} é {wanted}"
    yield Finding("unit.dimension", "error", row.at(_DOSE), message, wanted, str(dose))


def _contents(row: Row) -> set[str]:
    """The kinds of unit that the formulary measures the drug in."""
    presentations = row.drug.presentations if row.drug else []
    return {name for each in presentations if each.mass for name in parse_unit(each.mass.unit).dimensions}


@dataclass(frozen=True)
class _Solution:
    """What may be in the bag: so much content, in so much of the product; the whole units or the dose alone."""

    mass: Fraction
    volume: Fraction | None


class Sums:
    """The values of one row, in base units, and what follows from them."""

    def __init__(self, row: Row, reference: Row | None) -> None:
        self.row, self.reference = row, reference
        self.opened = Fraction(row.item.quantidade) if row.item.quantidade else None
        self.mass = row.measure(_STRENGTH)
        self.added, self.final = row.measure(_ADDED), row.measure(_FINAL)
        self.stated = row.measure(_CONCENTRATION)
        self.dose = row.given_content

    @cached_property
    def product_volume(self) -> Fraction | None:
        """mL of one unit: as the row says, or as the formulary does for a liquid."""
        if said := self.row.measure("apresentacao.volume"):
            return said.value
        known = self.row.presentation
        return in_base(known.volume) if known and known.volume and not known.reconstitution else None

    @cached_property
    def solutions(self) -> list[_Solution]:
        """What may have been put in the bag: all that was opened, the volume drawn, or, not continuous, the dose."""
        if self.mass is None:
            return self._known_solutions
        found: list[_Solution] = []
        volume, drawn, dose = self.product_volume, self.row.measure("posologia.volume"), self.dose
        if self.opened is not None:
            found.append(_Solution(self.mass.value * self.opened, volume * self.opened if volume else None))
        elif drawn is not None and self.row.strength is not None:
            found.append(_Solution(self.row.strength * drawn.value, drawn.value))
        if self.row.mode != "continua" and dose and not dose.timed and dose.content == self.mass.content:
            needed = dose.value / self.mass.value if self.mass.value else Fraction(0)
            found.append(_Solution(dose.value, volume * needed if volume else None))
        return found

    @property
    def _known_solutions(self) -> list[_Solution]:
        """Of a row that says how many units but not which: what each presentation of the formulary would make."""
        measured = self.stated or self.dose
        if self.opened is None or measured is None or self.row.drug is None:
            return []
        return [
            _Solution(in_base(each.mass) * self.opened, in_base(each.volume) * self.opened)
            for each in self.row.drug.presentations
            if each.mass and each.volume and measured.content in parse_unit(each.mass.unit).dimensions
        ]

    @cached_property
    def final_volumes(self) -> list[Fraction]:
        """The final volumes that the diluent and the product can give."""
        if self.added is None:
            return []
        added = self.added.value
        volumes = [each.volume for each in self.solutions if each.volume is not None]
        if not self.solutions and self.opened is not None and self.product_volume is not None:
            volumes = [self.product_volume * self.opened]
        if self.row.presentation and self.row.presentation.multidose and self.opened is not None:
            volumes.append(Fraction(0))
        diluted = [added + volume for volume in volumes]
        # What a powder was dissolved in is in its volume already.
        return [*volumes, *diluted] if self.row.reconstituted else diluted

    @cached_property
    def final_is_right(self) -> bool:
        """Whether the stated final volume agrees with one that can be, or cannot be told."""
        final = self.final
        if final is None:
            return False
        return not self.final_volumes or any(close(final.value, each) for each in self.final_volumes)

    @cached_property
    def concentrations(self) -> list[Fraction]:
        """The concentrations that the contents and volumes give, the whole units first."""
        found: list[Fraction] = []
        for each in self.solutions:
            volume = self._volume_of(each)
            if volume:
                found.append(each.mass / volume)
        return found

    def _volume_of(self, solution: _Solution) -> Fraction | None:
        if self.final is not None and self.final_is_right:
            return self.final.value
        if self.added is None:
            return self.final.value if self.final else solution.volume
        if solution.volume is None:
            return None
        return solution.volume if self.row.reconstituted else solution.volume + self.added.value

    @cached_property
    def true_concentration(self) -> Fraction | None:
        """The concentration that the sums go on with: a computed one, else the stated one."""
        stated = self.stated.value if self.stated else None
        if self._drawn_from_multidose:
            return stated
        if stated is not None and any(close(stated, each) for each in (*self.concentrations, *self._protocols)):
            return stated
        return self.concentrations[0] if self.concentrations else stated

    @property
    def _protocols(self) -> list[Fraction]:
        """The concentration of the protocol's own row: where it is the stated one, what contradicts it is wrong."""
        kept = self.reference.measure(_CONCENTRATION) if self.reference else None
        return [kept.value] if kept and self.stated and kept.content == self.stated.content else []

    @cached_property
    def _drawn_from_multidose(self) -> bool:
        """Whether a part of a multi-dose vial makes the stated concentration."""
        known = self.row.presentation
        if not (known and known.multidose and self.stated and self.final and self.mass and self.opened):
            return False
        if self.row.reconstituted or self.added is None:
            return False
        return self.stated.value * self.final.value <= self.mass.value * self.opened * ABOVE

    @cached_property
    def given_concentration(self) -> Measure | None:
        """What is given per mL: as the contents and volumes have it, else as stated; undiluted, the strength."""
        value = self.row.strength if self.row.item.diluicao is None else self.true_concentration
        if value is None:
            return None
        if self.stated is not None:
            written = self.stated.written if value == self.stated.value else None
            return replace(self.stated, value=value, written=written)
        if self.mass is None or self.mass.content is None:
            return None
        return Measure(value, {self.mass.content: 1, "volume": -1}, f"{self.mass.unit}/mL")

    def final_volume(self) -> Iterator[Finding]:
        """The final volume against diluent and product."""
        if self.final is None or self.final_is_right:
            return
        expected = self.final_volumes[0]
        left_out = self.added is not None and close(self.final.value, self.added.value)
        code: Code = "arithmetic.ampoule_volume" if left_out else "arithmetic.final_volume"
        said = "o volume do fármaco ficou fora do volume final" if left_out else "diluente e fármaco somados"
        yield self._wrong(code, _FINAL, self.final, expected, said, (_ADDED, "apresentacao.volume"))

    def concentration(self) -> Iterator[Finding]:
        """The concentration against content and final volume."""
        stated = self.stated
        if stated is None or self._drawn_from_multidose:
            return
        if self.mass is not None and stated.content != self.mass.content:
            message = f"a concentração em {stated.unit} não se compara com a apresentação em {self.mass.unit}"
            yield Finding("unit.content", "error", self.row.at(_CONCENTRATION), message, None, str(stated))
        elif not self.concentrations:
            yield self._unverifiable(_CONCENTRATION, "a concentração", "apresentação, quantidade e volumes")
        elif not any(close(stated.value, each) for each in self.concentrations):
            yield self._wrong(
                "arithmetic.concentration",
                _CONCENTRATION,
                stated,
                self._likeliest(stated.value),
                "quantidade de fármaco ÷ volume final",
                (_STRENGTH, _ADDED, _FINAL),
            )

    def _likeliest(self, stated: Fraction) -> Fraction:
        """The concentration that was meant: the first, or of the formulary's presentations the nearest."""
        if self.mass is not None:
            return self.concentrations[0]
        return min(self.concentrations, key=lambda each: abs(math.log(each / stated)) if stated else 0)

    def total(self) -> Iterator[Finding]:
        """The total dose against dose and weight."""
        total, dose = self.row.measure("posologia.dose_total"), self.row.measure(_DOSE)
        if total is None or dose is None:
            return
        absolute = self.row.given
        if absolute is None:
            yield self._unverifiable("posologia.dose_total", "a dose total", "peso")
            return
        expected = [absolute.value]
        if dose.timed and not absolute.timed and self.row.interval_min:
            expected.append(absolute.value * MINUTES_PER_DAY / self.row.interval_min)
        yield from self._compared(
            "arithmetic.total_dose", "posologia.dose_total", total, absolute, expected, "dose × peso"
        )

    def _compared(
        self, code: Code, field: str, found: Measure, like: Measure, expected: Sequence[Fraction], sum_of: str
    ) -> Iterator[Finding]:
        if dict(found.dimensions) != dict(like.dimensions):
            message = f"{found.unit} não se compara com a dose em {like.unit}"
            yield Finding("unit.dimension", "error", self.row.at(field), message, None, str(found))
        elif not any(close(found.value, each) for each in expected):
            yield self._wrong(code, field, found, expected[0], sum_of, (_DOSE,))

    def daily(self) -> Iterator[Finding]:
        """The daily dose against dose and interval."""
        stated = self.row.measure("posologia.dose_diaria")
        if stated is None:
            return
        absolute = self.row.given
        expected = per_day(self.row, absolute)
        found = _of_a_day(stated, self.row.weight)
        if absolute is None or expected is None or found is None:
            yield self._unverifiable("posologia.dose_diaria", "a dose diária", "dose, intervalo e peso")
        elif stated.content != absolute.content:
            message = f"{stated.unit} não se compara com a dose em {absolute.unit}"
            yield Finding("unit.dimension", "error", self.row.at("posologia.dose_diaria"), message, None, str(stated))
        elif not close(found, expected):
            shown = expected * stated.value / found if found else expected
            yield self._wrong(
                "arithmetic.daily_dose",
                "posologia.dose_diaria",
                stated,
                shown,
                "dose × doses por dia",
                (_DOSE,),
            )

    def volume(self) -> Iterator[Finding]:
        """The volume of a dose against dose and concentration."""
        stated = self.row.measure("posologia.volume")
        if stated is None:
            return
        expected = self._dose_volumes()
        if not expected:
            yield self._unverifiable("posologia.volume", "o volume da dose", "dose e concentração")
        elif not any(close(stated.value, each, _SYRINGE_STEP) for each in expected):
            yield self._wrong(
                "arithmetic.volume", "posologia.volume", stated, expected[0], "dose ÷ concentração", (_DOSE,)
            )

    def _dose_volumes(self) -> list[Fraction]:
        dose = self.dose
        if dose is None or dose.timed:
            return []
        if dose.content == "volume":
            return [dose.value]
        strengths = (self.true_concentration, self.row.strength)
        return [dose.value / each for each in strengths if each]

    def rate(self) -> Iterator[Finding]:
        """The rate against dose and concentration, or volume and time."""
        stated = self.row.measure(_RATE)
        if stated is None:
            return
        if stated.content not in ("volume", "drops"):
            yield from self._content_rate(stated)
            return
        drops = stated.content == "drops"
        found = stated.value / DROPS_PER_ML if drops else stated.value
        step = _HALF_DROP_ML_MIN if drops else _STEP_ML_MIN
        expected = self._rates()
        if not expected:
            yield self._unverifiable(_RATE, "a velocidade", self._missing_for_rate())
        elif not any(close(found, each, step) for each in expected) and not self._inside(found, expected):
            shown = expected[0] * DROPS_PER_ML if drops else expected[0]
            said = "dose ÷ concentração" if self.row.mode == "continua" else "volume ÷ tempo"
            yield self._wrong("arithmetic.rate", _RATE, stated, shown, said, (_DOSE, _CONCENTRATION))

    def _inside(self, found: Fraction, expected: Sequence[Fraction]) -> bool:
        """A dose that may be infused over a range of times may go at any rate between."""
        return self.row.mode != "continua" and min(expected) <= found <= max(expected)

    def _rates(self) -> list[Fraction]:
        if self.row.mode != "continua":
            return self._rates_by_time()
        dose = self.dose
        if dose is None or not dose.timed:
            return []
        if dose.content == "volume":
            return [dose.value]
        stated = self.stated.value if self.stated else None
        return [dose.value / each for each in (self.true_concentration, *self._agreeing(stated)) if each]

    def _agreeing(self, stated: Fraction | None) -> list[Fraction]:
        """The computed concentrations that a stated one agrees with: it may have been rounded before it was used."""
        return [each for each in self.concentrations if stated is not None and close(stated, each)]

    def _rates_by_time(self) -> list[Fraction]:
        time, volume = self.row.time_min, self._infused
        return [volume / each for each in time if each] if time and volume else []

    @property
    def _infused(self) -> Fraction | None:
        said = self.row.measure("posologia.volume")
        if said is not None:
            return said.value
        if self.final is not None:
            return self.final.value
        volumes = self.final_volumes or self._dose_volumes()
        return volumes[0] if volumes else None

    def _missing_for_rate(self) -> str:
        if self.row.mode == "continua":
            return "dose, peso e concentração"
        return "volume e tempo de infusão"

    def _content_rate(self, stated: Measure) -> Iterator[Finding]:
        dose = self.row.given
        found = stated.value * (self.row.weight or 0) if stated.per_kg else stated.value
        if dose is None or not dose.timed or dose.content != stated.content or not found:
            yield self._unverifiable(_RATE, "a velocidade", "dose e peso")
        elif not close(found, dose.value):
            shown = stated.value * dose.value / found
            yield self._wrong("arithmetic.rate", _RATE, stated, shown, "a mesma dose por tempo", (_DOSE,))

    def quantity(self) -> Iterator[Finding]:
        """The units opened against what the dose takes."""
        opened = self.row.item.quantidade
        if opened is None:
            return
        path = self.row.at("quantidade")
        if opened != opened.to_integral_value():
            message = "quantidade conta unidades abertas: um número inteiro"
            yield Finding("quantity.fraction", "warning", path, message, None, format_number(opened))
        needed = self._needed()
        if needed is None:
            return
        whole = Decimal(math.ceil(needed * BELOW))
        # More than the dose may be put in a bag on purpose; not more than twice as much.
        if opened > math.ceil(needed) * (2 if self.row.item.diluicao else 1):
            message = f"a dose pede {format_number(whole)}: sobra mais de uma unidade inteira"
            yield Finding("quantity.excess", "warning", path, message, format_number(whole), format_number(opened))
        if Fraction(opened) >= needed * BELOW:
            return
        message = f"a dose pede {format_number(whole)}, e menos não basta"
        yield Finding("quantity.insufficient", "error", path, message, format_number(whole), format_number(opened))

    def _needed(self) -> Fraction | None:
        """How many units the dose takes."""
        if self._drawn_from_multidose and self.row.mode == "continua":
            return None
        dose = self.dose
        if dose is None or dose.timed:
            return None
        if dose.content == "volume":
            return dose.value / self.product_volume if self.product_volume else None
        if self.mass is None or self.mass.content != dose.content or not self.mass.value:
            return None
        return dose.value / self.mass.value

    def _unverifiable(self, field: str, what: str, missing: str) -> Finding:
        message = f"não dá para conferir {what}: falta algum destes: {missing}"
        return Finding("arithmetic.unverifiable", "unverifiable", self.row.at(field), message)

    def _wrong(
        self, code: Code, field: str, found: Measure, expected: Fraction, sum_of: str, operands: Sequence[str]
    ) -> Finding:
        blamed = self._blamed(field, found, operands)
        if blamed is not None:
            said = f"o do protocolo é {{right}} (não fecha com {_label(field)}: {sum_of})"
            return self._of(code, blamed[0], blamed[1], blamed[2], said)
        # Any of the row's numbers may be the wrong one: what follows from them is no claim of what is right.
        said = f"pelos outros números da linha seria {{right}} ({sum_of}{self._hint(found.value, expected)})"
        return self._of(code, field, found, expected, said)

    def _of(self, code: Code, field: str, found: Measure, expected: Fraction, said: str) -> Finding:
        right, wrong = show(expected, found.unit), str(found)
        message = f"{_label(field)}: {said.format(right=right)}"
        return Finding(code, "error", self.row.at(field), message, right, wrong)

    def _blamed(self, field: str, found: Measure, operands: Sequence[str]) -> tuple[str, Measure, Fraction] | None:
        """The operand that departs from the protocol's own row, where the result does not."""
        reference = self.reference
        kept = reference.measure(field) if reference else None
        if reference is None or kept is None or not _alike(found, kept):
            return None
        for operand in operands:
            stated, meant = self.row.measure(operand), reference.measure(operand)
            if stated and meant and not _alike(stated, meant) and dict(stated.dimensions) == dict(meant.dimensions):
                return operand, stated, meant.value
        return None

    def _hint(self, found: Fraction, expected: Fraction) -> str:
        if not found or not expected:
            return ""
        ratio = max(found / expected, expected / found)
        for factor, said in _TENFOLDS.items():
            if close(ratio, factor):
                return f"; difere {said}"
        if close(ratio, Fraction(60)):
            return "; parece faltar ou sobrar a conversão entre minuto e hora"
        if self.row.weight and close(ratio, self.row.weight):
            return "; parece faltar ou sobrar o peso"
        salt = self.row.drug.salt if self.row.drug else None
        if salt and salt.ratio and not close(Fraction(1), Fraction(salt.ratio)) and close(ratio, Fraction(salt.ratio)):
            return "; parece trocar base e sal"
        return ""


def per_day(row: Row, absolute: Measure | None) -> Fraction | None:
    """The content of a day, in base units: of a single dose, that dose."""
    if absolute is None:
        return None
    if absolute.timed:
        return absolute.value * MINUTES_PER_DAY
    if row.mode != "intermitente":
        return absolute.value
    return absolute.value * MINUTES_PER_DAY / row.interval_min if row.interval_min else None


def _of_a_day(stated: Measure, weight: Fraction | None) -> Fraction | None:
    value = stated.value * MINUTES_PER_DAY if stated.timed else stated.value
    if not stated.per_kg:
        return value
    return value * weight if weight else None


def _alike(one: Measure, other: Measure) -> bool:
    return dict(one.dimensions) == dict(other.dimensions) and close(one.value, other.value)


_LABELS = {
    _DOSE: "dose",
    _RATE: "velocidade",
    _CONCENTRATION: "concentração",
    _FINAL: "volume final",
    _ADDED: "volume do diluente",
    _STRENGTH: "apresentação",
    "apresentacao.volume": "volume da apresentação",
    "posologia.dose_total": "dose total",
    "posologia.dose_diaria": "dose diária",
    "posologia.volume": "volume da dose",
}


def _label(field: str) -> str:
    return _LABELS[field]
