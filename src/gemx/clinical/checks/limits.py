"""One row against its drug's limits: dose, day, interval, concentration, speed.

Limits are claims of sources; where they disagree the finding is a conflict. Out of the usual range is a warning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any

from gemx.clinical import wording
from gemx.clinical.checks.arithmetic import per_day
from gemx.clinical.checks.claims import Verdict, cited, holds, judge, mildest
from gemx.clinical.checks.product import route_fits
from gemx.clinical.checks.row import ABOVE, BELOW, DIRECT, MINUTES_PER_DAY, Measure, Row
from gemx.clinical.findings import Code, Finding, Severity
from gemx.clinical.formulary import ConcentrationLimit, Dose, DoseLimit, Drug, UsualDaily, UsualDose, UsualInterval
from gemx.clinical.numbers import format_number
from gemx.clinical.quantity import Quantity, in_base, parse_unit

_CONTENT_NAMES = ("mass", "activity", "equivalents", "substance", "volume")
_DOSE = "posologia.dose"


@dataclass(frozen=True)
class _Limits:
    """A row, its drug, and the doses of the formulary that it may mean."""

    row: Row
    drug: Drug
    doses: tuple[Dose, ...]
    certain: bool

    @property
    def values(self) -> Any:
        return self.row.case.conditions(self.row.access)

    @property
    def weight(self) -> Fraction | None:
        return self.row.limit_weight


def check(row: Row, concentration: Measure | None) -> Iterator[Finding]:
    """Every limit of the drug that the row breaks; `concentration` is what is given per mL, where it is known."""
    if row.drug is None:
        return
    limits = _Limits(row, row.drug, *fitting_doses(row, row.drug))
    yield from _dose(limits)
    yield from _day(limits)
    yield from _interval(limits)
    yield from _concentration(limits, concentration)
    yield from _speed(limits)


def fitting_doses(row: Row, drug: Drug) -> tuple[tuple[Dose, ...], bool]:
    """The formulary's doses that a row may mean: by mode, phase, route and patient, then by its indication.

    Not certain where the indication is one that the sources do not give so, or none that they name: the limits of the
    others then show what is too much, and not that the dose is right.
    """
    values = row.case.conditions(row.access)
    fit = [
        dose
        for dose in drug.doses
        if (row.mode is None or row.mode in dose.modes)
        and (not dose.phases or row.item.fase is None or row.item.fase in dose.phases)
        and (not dose.routes or row.route is None or route_fits(row.route, dose.routes))
        and holds(dose.when, values) is not False
    ]
    named = _named(row.item.indicacao, drug) or _named(row.item.condicao, drug)
    if named:
        meant = [dose for dose in fit if dose.indication in named]
        return tuple(meant or fit), bool(meant)
    general = [dose for dose in fit if not dose.words]
    is_clear = bool(general) or (row.item.indicacao is None and len(fit) < 2)
    return tuple(general or fit), is_clear


def _named(text: str | None, drug: Drug) -> list[str]:
    """The indications that a text names and does not deny, also where they are for another mode or route."""
    said = wording.affirmed(text or "")
    return [each.indication for each in drug.doses if said and each.words and wording.begins_any(said, each.words)]


def allowed(row: Row) -> list[str]:
    """What the drug's sources allow for a row's mode and indication, in words; empty where none was read."""
    drug = row.drug
    if drug is None:
        return []
    doses, _ = fitting_doses(row, drug)
    said = [f"habitual {_span(bound)} ({cited(drug, bound)})" for each in doses for bound in each.usual]
    said += [f"máximo {bound.value} ({cited(drug, bound)})" for each in doses for bound in each.max]
    said += [f"máximo por dia {bound.value} ({cited(drug, bound)})" for each in doses for bound in each.daily_max]
    concerned = [bound for bound in drug.concentration if bound.max and _concerns(bound, row)]
    said += [f"concentração até {bound.max} ({cited(drug, bound)})" for bound in concerned]
    return list(dict.fromkeys(said))


def _dose(limits: _Limits) -> Iterator[Finding]:
    dose = limits.row.measure(_DOSE)
    if dose is None:
        return
    yield from _form(limits, dose)
    yield from _stated_maximum(limits, dose)
    bounds = [bound for each in limits.doses for bound in (*each.usual, *each.max)]
    if not bounds:
        said = "para este modo e esta via" if limits.drug.doses else "deste fármaco"
        message = f"nenhuma fonte lida dá a dose {said}: os limites não foram conferidos"
        yield Finding("dose.unverifiable", "unverifiable", limits.row.at(_DOSE), message)
        return
    if all(_compared(limits.row, _bound_of(each)) is None for each in bounds):
        message = (
            "a dose não se compara com as das fontes (outra unidade, ou falta o peso): os limites não foram conferidos"
        )
        yield Finding("dose.unverifiable", "unverifiable", limits.row.at(_DOSE), message, None, str(dose))
        return
    found = mildest([_judged(limits, each.max, _over) for each in limits.doses if each.max])
    yield from _limit_finding(limits, "dose.above_max", _DOSE, found, dose)
    if found.severity is not None:
        return
    if not limits.certain:
        message = "nenhuma fonte lida dá a dose desta indicação, deste modo: a dose não foi conferida com ela"
        yield Finding("dose.unverifiable", "unverifiable", limits.row.at(_DOSE), message, None, str(dose))
    yield from _usual(limits, dose)


def _bound_of(claim: UsualDose | DoseLimit) -> Quantity:
    return claim.value if isinstance(claim, DoseLimit) else claim.high


def _form(limits: _Limits, dose: Measure) -> Iterator[Finding]:
    """A dose per kg of a drug that is not dosed so, or the other way round; or in mL of what has a strength."""
    row = limits.row
    bounds = [bound.unit for each in limits.doses for bound in _bounds(each)]
    per_kg = {"body_weight" in parse_unit(unit).dimensions for unit in bounds}
    if len(per_kg) == 1 and dose.per_kg not in per_kg:
        how = "não dão dose por kg" if dose.per_kg else "dão a dose por kg"
        message = f"as fontes {how} para {limits.drug.name}: confira a unidade"
        yield Finding("unit.per_kg", "warning", row.at(_DOSE), message, None, str(dose))
    contents = {name for unit in bounds for name in parse_unit(unit).dimensions if name in _CONTENT_NAMES}
    if dose.content == "volume" and contents and "volume" not in contents:
        message = "dose em volume: escreva a quantidade de fármaco, porque o volume depende da apresentação"
        yield Finding("unit.volume_dose", "warning", row.at(_DOSE), message, None, str(dose))


def _bounds(dose: Dose) -> Iterator[Quantity]:
    yield from (bound.value for bound in dose.max)
    yield from (bound.high for bound in dose.usual)


def _stated_maximum(limits: _Limits, dose: Measure) -> Iterator[Finding]:
    """A dose above the maximum that the row itself says."""
    row = limits.row
    most = row.measure("posologia.dose_maxima")
    if most is None:
        return
    found = dose.value if most.kind == dose.kind else None
    absolute = row.given
    if found is None and absolute is not None and absolute.kind == most.kind:
        found = absolute.value
    if found is None and most.unit.endswith("/dia") and not most.per_kg:
        daily = per_day(row, row.given)
        found = daily / MINUTES_PER_DAY if daily is not None else None
    if found is not None and found > most.value * ABOVE:
        message = f"a dose passa do máximo que a própria linha diz, {most}"
        yield Finding("dose.above_stated", "error", row.at(_DOSE), message, str(most), str(dose))


def _over(limits: _Limits, claim: Any) -> bool:
    return over_dose(limits.row, claim.value)


def over_dose(row: Row, bound: Quantity) -> bool:
    """Whether the dose passes a limit, by the patient's weight where one of the two alone is per kg."""
    compared = _compared(row, bound)
    return compared is not None and compared[0] > compared[1] * ABOVE


def _judged(limits: _Limits, bounds: Sequence[Any], violates: Callable[[_Limits, Any], bool]) -> Verdict:
    return judge(limits.drug, bounds, lambda claim: violates(limits, claim), limits.values)


def _compared(row: Row, bound: Quantity) -> tuple[Fraction, Fraction] | None:
    """The row's dose and a bound on one scale, by the patient's weight where one of them alone is per kg."""
    dose = row.measure(_DOSE)
    value, per_kg, timed, content = _bound(bound)
    if dose is None:
        return None
    if dose.per_kg and per_kg and dose.timed == timed and dose.content == content:
        return dose.value, value
    absolute = row.received if content == "volume" else row.received_content
    if absolute is None or absolute.content != content or absolute.timed != timed:
        return None
    if per_kg:
        return (absolute.value, value * row.limit_weight) if row.limit_weight else None
    return absolute.value, value


@lru_cache(maxsize=2048)
def _bound(bound: Quantity) -> tuple[Fraction, bool, bool, str]:
    dimensions = parse_unit(bound.unit).dimensions
    content = next(name for name, power in dimensions.items() if power > 0)
    return in_base(bound), "body_weight" in dimensions, "time" in dimensions, content


def _usual(limits: _Limits, dose: Measure) -> Iterator[Finding]:
    ranges = [bound for each in limits.doses for bound in each.usual]
    sides = [side for bound in ranges if (side := _side(limits, bound)) is not None]
    if not sides or 0 in sides:
        return
    how = "acima" if min(sides) > 0 else "abaixo" if max(sides) < 0 else "fora"
    usual = "; ".join(f"{_span(bound)} ({cited(limits.drug, bound)})" for bound in ranges)
    message = f"dose {how} do habitual: {usual}"
    # Above what is usual, where no source gives a maximum, nothing says that it is not too much.
    unbounded = max(sides) > 0 and not any(each.max for each in limits.doses)
    severity: Severity = "unverifiable" if unbounded else "warning"
    yield Finding("dose.unusual", severity, limits.row.at(_DOSE), message, usual, str(dose))


def _side(limits: _Limits, bound: Any) -> int | None:
    """-1 below the range, 0 inside, 1 above; None where they do not compare."""
    low, high = _compared(limits.row, bound.low), _compared(limits.row, bound.high)
    if low is None or high is None:
        return None
    if low[0] < low[1] * BELOW:
        return -1
    return 1 if high[0] > high[1] * ABOVE else 0


def _limit_finding(limits: _Limits, code: Code, field: str, verdict: Verdict, found: Measure) -> Iterator[Finding]:
    """The finding of a verdict about a limit, where there is one."""
    row, drug = limits.row, limits.drug
    if verdict.severity is None:
        return
    limit = _value(verdict.against)
    said = f"acima do limite de {limit} ({cited(drug, verdict.against)})"
    if verdict.severity == "conflict":
        said = f"{said}, mas cabe no de {_value(verdict.inside)} ({cited(drug, verdict.inside)}): as fontes divergem"
    elif verdict.names:
        said = f"{said}, que vale conforme {', '.join(_labels(row, verdict.names))}: dado não informado"
    elif verdict.severity == "unverifiable":
        said = f"{said}; só há esta fonte, fraca"
    yield Finding(code, verdict.severity, row.at(field), said, f"até {limit}", str(found))


def _labels(row: Row, names: frozenset[str]) -> list[str]:
    definitions = row.case.patient.definitions
    known = {"clcr": "depuração de creatinina", "acesso": "acesso"}
    return [known.get(name) or definitions[name].label for name in sorted(names)]


def _value(claim: Any) -> str:
    for name in ("value", "max", "dose_max", "daily_max", "min"):
        if (bound := getattr(claim, name, None)) is not None:
            return str(bound)
    return str(getattr(claim, "interval_min_h", ""))


def daily_amount(row: Row) -> Measure | None:
    """The content that the patient gets in a day, per day."""
    absolute = row.received_content or row.received
    amount = per_day(row, absolute)
    if absolute is None or amount is None:
        return None
    content = absolute.content or ""
    return Measure(amount / MINUTES_PER_DAY, {content: 1, "time": -1}, f"{_amount_unit(absolute.unit)}/dia")


def _amount_unit(unit: str) -> str:
    return unit.split("/", maxsplit=1)[0]


def over_day(row: Row, bound: Quantity) -> bool:
    """Whether the day's amount passes a daily limit, by the patient's weight where that is per kg."""
    amount, weight = daily_amount(row), row.limit_weight
    value, per_kg, _, content = _bound(bound)
    if amount is None or amount.content != content or (per_kg and not weight):
        return False
    return amount.value > value * (weight if per_kg and weight else 1) * ABOVE


def _day(limits: _Limits) -> Iterator[Finding]:
    row = limits.row
    amount = daily_amount(row)
    if amount is None:
        return
    verdicts = [
        _judged(limits, each.daily_max, lambda _, claim: over_day(row, claim.value))
        for each in limits.doses
        if each.daily_max
    ]
    found = mildest(verdicts)
    yield from _limit_finding(limits, "daily.above_max", _DOSE, found, amount)
    ranges = [bound for each in limits.doses for bound in each.daily_usual]
    if found.severity is None and row.mode == "intermitente" and ranges:
        yield from _usual_day(limits, amount, ranges)


def _usual_day(limits: _Limits, amount: Measure, ranges: Sequence[Any]) -> Iterator[Finding]:
    row = limits.row
    if any(not over_day(row, each.high) and not _under_day(limits, amount, each.low) for each in ranges):
        return
    usual = "; ".join(f"{_span(each)} ({cited(limits.drug, each)})" for each in ranges)
    message = f"{amount} está fora do habitual por dia: {usual}"
    yield Finding("daily.unusual", "warning", row.at(_DOSE), message, usual, str(amount))


def _under_day(limits: _Limits, amount: Measure, bound: Quantity) -> bool:
    value, per_kg, _, content = _bound(bound)
    if amount.content != content or (per_kg and not limits.weight):
        return False
    return amount.value < value * (limits.weight if per_kg and limits.weight else 1) * BELOW


def _interval(limits: _Limits) -> Iterator[Finding]:
    row = limits.row
    hours = row.item.posologia.intervalo_h if row.item.posologia else None
    ranges = [bound for each in limits.doses for bound in each.interval_h]
    if row.mode != "intermitente" or hours is None or not ranges:
        return
    if any(each.low <= hours <= each.high for each in ranges):
        return
    usual = "; ".join(f"{_hours(each)} ({cited(limits.drug, each)})" for each in ranges)
    message = f"intervalo fora do habitual: {usual}"
    yield Finding(
        "interval.unusual", "warning", row.at("posologia.intervalo_h"), message, usual, f"{format_number(hours)} h"
    )


def _hours(bound: UsualInterval) -> str:
    low, high = format_number(bound.low), format_number(bound.high)
    return f"{low} h" if low == high else f"{low} a {high} h"


def _span(bound: UsualDose | UsualDaily) -> str:
    return str(bound.low) if bound.low == bound.high else f"{bound.low} a {bound.high}"


def _concentration(limits: _Limits, found: Measure | None) -> Iterator[Finding]:
    row = limits.row
    if found is None:
        return
    fit = [
        each
        for each in limits.drug.concentration
        if _concentration_content(each) == found.content and _concerns(each, row)
    ]
    field = "diluicao.concentracao" if row.item.diluicao else "apresentacao"
    over = _judged(limits, [each for each in fit if each.max], lambda _, claim: _above(found, claim.max))
    yield from _limit_finding(limits, "concentration.above_max", field, over, found)
    low = [each for each in fit if each.min and holds(each.when, limits.values)]
    if over.severity is None and low and not any(each.min and _reaches(found, each.min) for each in low):
        usual = "; ".join(f"{each.min} ({cited(limits.drug, each)})" for each in low)
        message = f"concentração abaixo da mínima habitual: {usual}"
        yield Finding("concentration.below_min", "warning", row.at(field), message, usual, str(found))


def _concerns(limit: ConcentrationLimit, row: Row) -> bool:
    manner = limit.manner is None or limit.manner == row.manner
    return manner and (not limit.routes or row.route is None or route_fits(row.route, limit.routes))


def _concentration_content(limit: ConcentrationLimit) -> str:
    bound = limit.max or limit.min
    return _bound(bound)[3] if bound else ""


def _above(found: Measure, bound: Quantity | None) -> bool:
    return bound is not None and found.value > in_base(bound) * ABOVE


def _reaches(found: Measure, bound: Quantity) -> bool:
    return found.value >= in_base(bound) * BELOW


def _speed(limits: _Limits) -> Iterator[Finding]:
    row, drug = limits.row, limits.drug
    if row.route not in (None, "IV", DIRECT, "IO"):
        return
    if row.mode == "continua":
        yield from _too_fast(limits, row.received_content)
        return
    if not drug.infusion and not drug.speed:
        return
    shortest = row.shortest_min
    if shortest is None:
        limit = _slowest(limits)
        message = f"o tempo de infusão não está escrito, ou não se lê; limite: {limit}"
        yield Finding("infusion.unverifiable", "unverifiable", row.at("tempo_infusao"), message, limit)
        return
    yield from _too_short(limits, shortest)
    absolute = row.received_content
    if absolute is not None and not absolute.timed and shortest:
        timed = Measure(absolute.value / shortest, {absolute.content or "": 1, "time": -1}, f"{absolute.unit}/min")
        yield from _too_fast(limits, timed)


def _slowest(limits: _Limits) -> str:
    times = [f"{each.min} ({cited(limits.drug, each)})" for each in limits.drug.infusion]
    return "; ".join(times or [f"{each.max} ({cited(limits.drug, each)})" for each in limits.drug.speed])


def _too_short(limits: _Limits, time: Fraction) -> Iterator[Finding]:
    row, bounds = limits.row, limits.drug.infusion
    manner = [each for each in bounds if each.manner == row.manner] if row.manner else []
    if not manner and row.manner is None and bounds:
        # Nobody says how it is given: the quickest way that a source accepts is the limit.
        manner = [min(bounds, key=lambda each: in_base(each.min))]
    verdict = _judged(limits, manner or bounds, lambda _, claim: time < in_base(claim.min) * BELOW)
    if verdict.severity is None:
        return
    shown = f"{format_number(Decimal(round(float(time), 2)).normalize(), 2)} min"
    against = verdict.against
    message = f"mais rápido que o mínimo de {against.min} ({cited(limits.drug, against)})"
    severity: Severity = verdict.severity
    if severity == "conflict":
        message += f"; outra fonte aceita {verdict.inside.min} ({cited(limits.drug, verdict.inside)})"
    yield Finding("infusion.too_fast", severity, row.at("tempo_infusao"), message, f"{against.min} ou mais", shown)


def _too_fast(limits: _Limits, rate: Measure | None) -> Iterator[Finding]:
    if rate is None or not rate.timed:
        return
    fit = [each for each in limits.drug.speed if _bound(each.max)[3] == rate.content]

    def violates(_: _Limits, claim: Any) -> bool:
        value, per_kg, _timed, _content = _bound(claim.max)
        scale = limits.weight if per_kg else Fraction(1)
        return scale is not None and rate.value > value * scale * ABOVE

    verdict = _judged(limits, fit, violates)
    field = "posologia.velocidade" if limits.row.mode == "continua" else "tempo_infusao"
    if verdict.severity is None:
        return
    unit = f"{_amount_unit(verdict.against.max.unit)}/{verdict.against.max.unit.rsplit('/', maxsplit=1)[-1]}"
    yield from _limit_finding(limits, "infusion.too_fast", field, verdict, replace(rate, unit=unit))
