"""Mutants of clean cases: one error each, of the types of DESIGN.md and facts/clinical.md §5. Nothing comes from gemx.

A mutant is wrong unless `equivalent` says why not. How that is decided:

* Changes of one number or unit (ten_fold, thousand_fold, dose_weight, concentration, ampoule_volume, pump_rate_60,
  per_kg, quantity, frequency_daily) are judged by `arithmetic.broken`: the mutant is equivalent when every relation of
  the row still holds within 2% (or within one pump step of 0.1 mL/h) and the dose is still under the limits of
  `facts.FACTS`. Such a change touched a field that nothing determines, or was too small to matter.
* Changes that keep the arithmetic consistent (max_dose, max_daily, max_per_kg, weight, concentration_max,
  infusion_time) recompute the whole row, and stay at twice the greatest limit that any source gives, or further;
  a weight is wrong when it is 10% or more off, and equivalent when it is under 2% off.
* Changes of context (route, allergy, cross_allergy, pregnancy, renal, diluent, duplicate_class) come from the table in
  `facts`, with its sources; where sources disagree on whether it is wrong, it is left out, save an allergy to
  penicillin with a cephalosporin, which the labels warn of and others play down: that asks for a finding, if only a
  warning. The statement of the patient's values is written again, so that it stays true.
* A unit written differently for the same amount (1 g as 1000 mg), white space in a quotation, a synonym of the drug,
  mEq/L for mmol/L of potassium, and a value converted together with its unit are yielded as equivalent.

Types that cannot apply to a row are skipped. The choice among the possible changes is seeded by the case.
"""

from __future__ import annotations

import argparse
import copy
import math
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from arithmetic import based, broken, exact, numbers, plain, significant, unit
from facts import FACTS, PARTNERS, Facts
from variations import (
    LABS,
    Case,
    answer_for,
    brazilian,
    clean_cases,
    finding,
    passages,
    recompute,
    rows,
    stated,
    weighed,
)

PER_TYPE = {"ten_fold": 2, "thousand_fold": 2}
EQUIVALENT_ONE_IN = 6
SCREAM = 3000  # mL/h: no mutant needs a pump faster than this


@dataclass(frozen=True)
class Mutant:
    """A case with one error; `equivalent` says why it is none after all."""

    type: str
    detail: str
    patient: dict[str, Any]
    answer: dict[str, Any]
    equivalent: str | None = None


@dataclass(frozen=True)
class Change:
    """What a mutator changed: the row, the patient, or the answer itself."""

    detail: str
    row: dict[str, Any] | None = None
    patient: dict[str, Any] | None = None
    answer: dict[str, Any] | None = None
    second: dict[str, Any] | None = None
    equivalent: str | None = None


Mutator = Callable[[Case], Iterator[Change]]

# --- reading and writing a row ---------------------------------------------------------------------------------------


def _at(row: Mapping[str, Any], path: str) -> Any:
    value: Any = row
    for name in path.split("."):
        value = (value or {}).get(name)
    return value


def _set(row: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of the row with another value at `a.b.c`."""
    done: dict[str, Any] = copy.deepcopy(dict(row))
    *owners, last = path.split(".")
    owner = done
    for name in owners:
        owner = owner[name]
    owner[last] = value
    return done


def _written(value: Fraction) -> int | float:
    return significant(value, 4)


AMOUNTS = (
    "posologia.dose",
    "posologia.dose_total",
    "posologia.dose_diaria",
    "posologia.volume",
    "posologia.velocidade",
    "diluicao.concentracao",
    "diluicao.volume_final",
    "apresentacao.massa",
)


def _amounts(row: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in AMOUNTS:
        if found := _at(row, path):
            yield path, found


def _facts(case: Case) -> Facts:
    return FACTS[case.row["farmaco"]]


def _weight(case: Case) -> Any:
    return case.patient["peso"]


def _limit(limit: tuple[str, str], weight: Any) -> Fraction:
    """A limit in base units for this patient."""
    value, name = limit
    return exact(value) * unit(name).scale * (exact(weight) if unit(name).per_kg else 1)


def _over(case: Case, row: Mapping[str, Any]) -> bool:
    """Whether the dose is over a limit of every source."""
    n, facts = numbers(row, _weight(case)), _facts(case)
    given = n.dose if n.rate is None else n.rate
    limit = next((limit for limit in (facts.dose, facts.per_kg) if limit and _comparable(limit, row)), None)
    return given is not None and limit is not None and given > _limit(limit, _weight(case))


def _comparable(limit: tuple[str, str], row: Mapping[str, Any]) -> bool:
    dose = _at(row, "posologia.dose")
    if not dose:
        return False
    mine, other = unit(dose["unidade"]), unit(limit[1])
    return mine.content == other.content and bool(mine.minutes) == bool(other.minutes)


def _judged(case: Case, detail: str, row: dict[str, Any]) -> Change:
    """An arithmetic change, equivalent where no relation and no limit minds it."""
    if broken(row, _weight(case)) or _over(case, row):
        return Change(detail, row)
    return Change(detail, row, equivalent="nada na linha determina este valor, ou a mudança é menor que 2%")


# --- arithmetic ------------------------------------------------------------------------------------------------------


def _ten_fold(case: Case) -> Iterator[Change]:
    for path, amount in _amounts(case.row):
        for factor, word in ((Fraction(10), "x10"), (Fraction(1, 10), "/10")):
            value = _written(exact(amount["valor"]) * factor)
            yield _judged(case, f"{path} {word}", _set(case.row, f"{path}.valor", value))
    if (quantity := case.row.get("quantidade")) is not None:
        yield _judged(case, "quantidade x10", _set(case.row, "quantidade", quantity * 10))


_NEIGHBOURS = {"g": "mg", "mg": "mcg", "mcg": "mg"}


def _thousand_fold(case: Case) -> Iterator[Change]:
    for path, amount in _amounts(case.row):
        head, *rest = amount["unidade"].split("/")
        for factor, word in ((Fraction(1000), "x1000"), (Fraction(1, 1000), "/1000")):
            value = _written(exact(amount["valor"]) * factor)
            yield _judged(case, f"{path} {word}", _set(case.row, f"{path}.valor", value))
        if head not in _NEIGHBOURS:
            continue
        other = "/".join([_NEIGHBOURS[head], *rest])
        swapped = _set(case.row, f"{path}.unidade", other)
        yield _judged(case, f"{path} {amount['unidade']} por {other}", swapped)
        ratio = unit(amount["unidade"]).scale / unit(other).scale
        same = _set(swapped, f"{path}.valor", _written(exact(amount["valor"]) * ratio))
        yield Change(f"{path} em {other}", same, equivalent="a mesma quantidade em outra unidade")


def _dose_weight(case: Case) -> Iterator[Change]:
    dosage = case.row["posologia"]
    if dosage.get("peso_kg") is None or not dosage.get("dose_total"):
        return
    weight, dose = exact(dosage["peso_kg"]), exact(dosage["dose"]["valor"])
    wrong = [(weight * factor, name) for factor, name in ((Fraction(13, 10), "1,3"), (Fraction(7, 10), "0,7"))]
    for other, name in wrong:
        row = _set(case.row, "posologia.dose_total.valor", _written(dose * other))
        yield _judged(case, f"dose_total com {name} do peso", row)
        along = recompute(weighed(case.row, plain(other, 0)), _weight(case))
        yield _judged(case, f"tudo com {name} do peso", _set(along, "posologia.peso_kg", dosage["peso_kg"]))
    yield _judged(case, "dose_total sem o peso", _set(case.row, "posologia.dose_total.valor", dosage["dose"]["valor"]))


def _after(row: dict[str, Any], concentration: Fraction) -> dict[str, Any]:
    """The volume and the pump rate that follow from a stated concentration, right or wrong."""
    n, done = numbers(row, row["posologia"].get("peso_kg") or 1), copy.deepcopy(row)
    dosage = done["posologia"]
    if n.rate is not None and dosage.get("velocidade"):
        dosage["velocidade"]["valor"] = plain(n.rate / concentration * 60, 1)
    if n.dose is not None and dosage.get("volume"):
        dosage["volume"]["valor"] = _written(n.dose / concentration)
        if n.minutes and dosage.get("velocidade"):
            dosage["velocidade"]["valor"] = plain(n.dose / concentration / n.minutes * 60, 1)
    return done


def _stating(row: Mapping[str, Any], concentration: Fraction) -> dict[str, Any]:
    scale = unit(_at(row, "diluicao.concentracao.unidade")).scale
    return _set(row, "diluicao.concentracao.valor", _written(concentration / scale))


def _concentration(case: Case) -> Iterator[Change]:
    amount = _at(case.row, "diluicao.concentracao")
    if not amount:
        return
    right, quantity = based(amount), case.row.get("quantidade") or 1
    wrong = [(right * 2, "em metade do volume"), (right / 2, "com metade da massa"), (right * Fraction(11, 10), "+10%")]
    wrong.append((right * (quantity + 1) / quantity, "com uma unidade a mais"))
    for value, name in wrong:
        row = _stating(case.row, value)
        yield _judged(case, f"concentração {name}", row)
        yield _judged(case, f"concentração {name}, e a bomba por ela", _after(row, value))
    yield _judged(case, "concentração +0,8%", _stating(case.row, right * Fraction(1008, 1000)))


def _ampoule_volume(case: Case) -> Iterator[Change]:
    n = numbers(case.row, _weight(case))
    if n.diluent is None or n.unit_volume is None or n.prepared is None or not n.diluent:
        return
    wrong = n.prepared / n.diluent
    row = _stating(case.row, wrong)
    row = _set(row, "diluicao.volume_final.valor", _at(case.row, "diluicao.volume_diluente.valor"))
    yield _judged(case, "volume_final sem as ampolas", row)
    yield _judged(case, "volume_final sem as ampolas, e a bomba por ele", _after(row, wrong))


def _pump(value: Fraction) -> int | float:
    return plain(value, 1) if value >= Fraction(1, 20) else plain(value, 2)


def _pump_rate_60(case: Case) -> Iterator[Change]:
    velocity = _at(case.row, "posologia.velocidade")
    if not velocity:
        return
    for factor, word in ((Fraction(60), "x60"), (Fraction(1, 60), "/60")):
        value = _pump(exact(velocity["valor"]) * factor)
        yield _judged(case, f"velocidade {word}", _set(case.row, "posologia.velocidade.valor", value))
    dose = _at(case.row, "posologia.dose")["unidade"]
    for here, there in (("/min", "/h"), ("/h", "/min")):
        if dose.endswith(here):
            row = _set(case.row, "posologia.dose.unidade", dose.removesuffix(here) + there)
            yield _judged(case, f"dose em {there} com o número de {here}", row)


def _per_kg(case: Case) -> Iterator[Change]:
    dose, weight = _at(case.row, "posologia.dose"), exact(_weight(case))
    name, velocity = dose["unidade"], _at(case.row, "posologia.velocidade")
    if unit(name).content == "volume":
        return
    if "/kg" in name:
        yield Change("dose sem o /kg", _set(case.row, "posologia.dose.unidade", name.replace("/kg", "")))
        factor, word = 1 / weight, "sem o peso"
    else:
        head, *rest = name.split("/")
        yield Change("dose com um /kg a mais", _set(case.row, "posologia.dose.unidade", "/".join([head, "kg", *rest])))
        factor, word = weight, "com o peso a mais"
    if velocity and case.row["modo"] == "continua":
        value = _pump(exact(velocity["valor"]) * factor)
        yield _judged(case, f"velocidade {word}", _set(case.row, "posologia.velocidade.valor", value))


def _salt_base(case: Case) -> Iterator[Change]:
    facts, declared = _facts(case), case.row.get("base_ou_sal")
    if not facts.salt or not declared or not case.row.get("apresentacao"):
        return
    other = "sal" if declared == "base" else "base"
    yield Change(f"declarado {other}, sendo {declared}", _set(case.row, "base_ou_sal", other))
    mass = _at(case.row, "apresentacao.massa")
    ratio = exact(facts.salt) if declared == "base" else 1 / exact(facts.salt)
    row = _set(case.row, "apresentacao.massa.valor", _written(exact(mass["valor"]) * ratio))
    yield Change(f"massa de {other} como se fosse de {declared}", recompute(row, _weight(case)))


def _quantity(case: Case) -> Iterator[Change]:
    quantity = case.row.get("quantidade")
    if not quantity:
        return
    for fewer in sorted({quantity // 2, quantity - 1}):
        yield _judged(case, f"{fewer} em vez de {quantity}", _set(case.row, "quantidade", fewer))


def _frequency_daily(case: Case) -> Iterator[Change]:
    dosage = case.row["posologia"]
    daily, interval = dosage.get("dose_diaria"), dosage.get("intervalo_h")
    if not daily or not interval:
        return
    times = Fraction(24) / interval
    for wrong, name in (
        (times + 1, "uma dose a mais"),
        (times - 1, "uma dose a menos"),
        (exact(interval), "x intervalo"),
    ):
        if wrong > 0:
            value = _written(exact(daily["valor"]) * wrong / times)
            yield _judged(case, f"dose_diaria com {name}", _set(case.row, "posologia.dose_diaria.valor", value))
    for other in (4, 6, 8, 12, 24):
        if other != interval:
            yield _judged(case, f"intervalo de {other} h", _set(case.row, "posologia.intervalo_h", other))


# --- limits, with consistent arithmetic ------------------------------------------------------------------------------


def _times(row: dict[str, Any], path: str, factor: int) -> None:
    *owners, last = path.split(".")
    owner: Any = row
    for name in owners:
        owner = (owner or {}).get(name)
    if owner and owner.get(last) is not None:
        owner[last] = _written(exact(owner[last]) * factor)


def _minutes(value: Fraction) -> str:
    return f"{plain(value, 0)} min" if value % 60 else f"{plain(value / 60, 0)} h"


def _raised(case: Case, factor: int) -> dict[str, Any]:
    """The row with so many times the dose, and everything else computed from it."""
    row: dict[str, Any] = copy.deepcopy(case.row)
    _times(row, "posologia.dose.valor", factor)
    if row["modo"] != "continua":
        for path in ("quantidade", "diluicao.volume_diluente.valor", "diluicao.volume_final.valor"):
            _times(row, path, factor)
        if (minutes := numbers(row, _weight(case)).minutes) is not None:
            row["tempo_infusao"] = _minutes(max(minutes, min(minutes * factor, Fraction(480))))
    return recompute(row, _weight(case))


def _beyond(case: Case, limit: tuple[str, str], times: int = 2) -> Iterator[Change]:
    n = numbers(case.row, _weight(case))
    given = n.dose if n.rate is None else n.rate
    if given is None or not _comparable(limit, case.row):
        return
    for more in (times, times + 1):
        factor = math.ceil(_limit(limit, _weight(case)) * more / given)
        row = _raised(case, factor)
        if exact(_at(row, "posologia.velocidade.valor") or 0) <= SCREAM:
            yield Change(f"dose x{factor}, máximo {limit[0]} {limit[1]}", row)


def _is_per_kg(case: Case) -> bool:
    return unit(_at(case.row, "posologia.dose.unidade")).per_kg


def _max_dose(case: Case) -> Iterator[Change]:
    facts = _facts(case)
    limit = facts.dose if facts.dose and _comparable(facts.dose, case.row) else facts.per_kg
    if limit and not (_is_per_kg(case) and unit(limit[1]).per_kg):
        yield from _beyond(case, limit)


def _max_per_kg(case: Case) -> Iterator[Change]:
    limit = _facts(case).per_kg
    if limit and _is_per_kg(case):
        yield from _beyond(case, limit, 20 if case.row["farmaco"] == "insulina regular" else 2)


def _max_daily(case: Case) -> Iterator[Change]:
    facts, weight, n = _facts(case), _weight(case), numbers(case.row, _weight(case))
    limit = facts.daily or facts.daily_per_kg
    if not limit or n.daily is None:
        return
    allowed = _limit(limit, weight)
    if n.rate is not None:
        for more in (2, 3):
            factor = math.ceil(allowed * more / n.daily)
            yield Change(f"{factor}x por dia, máximo {limit[0]} {limit[1]}", _raised(case, factor))
        return
    for interval in (12, 8, 6, 4, 3, 2, 1):
        if n.dose and n.interval and interval < n.interval and n.dose * 24 / interval >= 2 * allowed:
            row = recompute(_set(case.row, "posologia.intervalo_h", interval), weight)
            yield Change(f"a cada {interval} h, máximo {limit[0]} {limit[1]} por dia", row)
            return


def _wrong_weight(case: Case) -> Iterator[Change]:
    if case.row["posologia"].get("peso_kg") is None:
        return
    weight = exact(_weight(case))
    for factor in (Fraction(7, 10), Fraction(85, 100), Fraction(115, 100), Fraction(13, 10), Fraction(22, 10)):
        other = plain(weight * factor, 0)
        row = recompute(weighed(case.row, other), _weight(case))
        if exact(_at(row, "posologia.velocidade.valor") or 0) <= SCREAM:
            yield Change(f"peso_kg {other}, paciente {brazilian(_weight(case))}", row)
    close = plain(weight + Fraction(1, 2), 1)
    row = recompute(weighed(case.row, close), _weight(case))
    yield Change(f"peso_kg {close}", row, equivalent="peso a menos de 2% do peso do paciente")


def _concentration_max(case: Case) -> Iterator[Change]:
    limit, n = _facts(case).concentrated, numbers(case.row, _weight(case))
    if not limit or not _at(case.row, "diluicao.concentracao"):
        return
    (value, name), (quantity, millilitres) = limit
    row: dict[str, Any] = copy.deepcopy(case.row)
    if case.row["farmaco"] == "dopamina":
        row["apresentacao"] = copy.deepcopy(rows()["dopamina-03"]["row"]["apresentacao"])
    content = based(row["apresentacao"]["massa"])
    factor = max(1, math.ceil(n.dose / (content * quantity))) if n.dose else 1
    row["quantidade"] = quantity * factor
    row["diluicao"]["volume_diluente"]["valor"] = millilitres * factor
    row = recompute(row, _weight(case))
    if based(_at(row, "diluicao.concentracao")) >= 2 * _limit((value, name), 1):
        yield Change(f"acima de {value} {name}", row)


def _infusion_time(case: Case) -> Iterator[Change]:
    fastest = _facts(case).fastest
    if fastest and case.row.get("tempo_infusao"):
        row = recompute(_set(case.row, "tempo_infusao", fastest), _weight(case))
        yield Change(f"em {fastest}, em vez de {case.row['tempo_infusao']}", row)


# --- the patient and the drug ----------------------------------------------------------------------------------------


def _route(case: Case) -> Iterator[Change]:
    for route in _facts(case).routes:
        if route != case.row["posologia"]["via"]:
            yield Change(f"via {route}", _set(case.row, "posologia.via", route))


def _diluent(case: Case) -> Iterator[Change]:
    if case.row.get("diluicao"):
        for name in _facts(case).diluents:
            yield Change(f"em {name}", _set(case.row, "diluicao.diluente", name))


def _allergic(case: Case, names: tuple[str, ...]) -> Iterator[Change]:
    for name in names:
        yield Change(f"alergia a {name}", patient={**case.patient, "alergias": [name]})


def _allergy(case: Case) -> Iterator[Change]:
    yield from _allergic(case, _facts(case).allergies)


def _cross_allergy(case: Case) -> Iterator[Change]:
    yield from _allergic(case, _facts(case).cross)


def _pregnancy(case: Case) -> Iterator[Change]:
    if why := _facts(case).pregnancy:
        patient = {**case.patient, "sexo": "F", "idade": min(case.patient["idade"], 34), "gestante": "sim"}
        yield Change(why, patient=patient)


def _renal(case: Case) -> Iterator[Change]:
    why, dosage, patient = _facts(case).renal, case.row["posologia"], case.patient
    potassium = case.row["farmaco"] == "cloreto de potássio"
    if not why or not (potassium or dosage.get("intervalo_h")):
        return
    share = Fraction(85, 100) if patient["sexo"] == "F" else Fraction(1)
    for target in (6, 8):
        creatinine = plain((140 - exact(patient["idade"])) * exact(patient["peso"]) * share / (72 * target), 1)
        extra = {"anuria": "sim", "diurese_ml_kg_h": 0.1, "diurese_horas": 24} if potassium else {}
        if creatinine <= 20:
            yield Change(f"creatinina {creatinine}: {why}", patient={**patient, "creatinina": creatinine, **extra})


def _duplicate_class(case: Case) -> Iterator[Change]:
    facts, drug = _facts(case), case.row["farmaco"]
    if not facts.repeatable:
        yield Change("a mesma linha outra vez", second=copy.deepcopy(case.row))
    if drug in PARTNERS:
        partner = rows()[PARTNERS[drug]]["row"]
        yield Change(f"com {partner['farmaco']}: {facts.family}", second=copy.deepcopy(partner))


_INVENTED = ("fictomicina", "xaroprazol", "neotensina forte", "composto BX-12", "pressolina")


def _unknown_drug(case: Case) -> Iterator[Change]:
    for name in _INVENTED:
        yield Change(f"fármaco {name}: não verificável", _set(case.row, "farmaco", name))
    for name in _facts(case).other_names:
        yield Change(f"fármaco {name}", _set(case.row, "farmaco", name), equivalent="sinônimo do mesmo fármaco")


# --- fields, units, numbers ------------------------------------------------------------------------------------------


def _without(row: Mapping[str, Any], *paths: str) -> dict[str, Any]:
    done: dict[str, Any] = copy.deepcopy(dict(row))
    for path in paths:
        owner, _, last = path.rpartition(".")
        (done if not owner else _at(done, owner) or {}).pop(last, None)
    return done


def _missing_field(case: Case) -> Iterator[Change]:
    doses = ("posologia.dose", "posologia.dose_total", "posologia.dose_diaria")
    yield Change("sem dose alguma", _without(case.row, *doses))
    yield Change("sem via", _without(case.row, "posologia.via"))
    yield Change("sem posologia", _without(case.row, "posologia"))
    yield Change("dose sem unidade", _without(case.row, "posologia.dose.unidade"))
    yield Change("dose sem valor", _without(case.row, "posologia.dose.valor"))
    if case.row["modo"] == "intermitente":
        row = _without(case.row, "posologia.intervalo_h", "posologia.dose_diaria")
        yield Change("intermitente sem intervalo", row)
    if _facts(case).must_dilute and case.row.get("diluicao"):
        yield Change("sem a diluição que o fármaco exige", _without(case.row, "diluicao"))


_SECTIONS = ("avaliacao", "farmacoterapia", "criterios_decisao", "checklist")


def _missing_section(case: Case) -> Iterator[Change]:
    for name in _SECTIONS:
        yield Change(f"{name} vazia", answer={**copy.deepcopy(case.answer), name: []})
    yield Change("resumo vazio", answer={**copy.deepcopy(case.answer), "resumo": ""})


_IMPOSSIBLE = {
    "posologia.dose": ("mL", "mg/mL", "mgs", "mL/h", "°C"),
    "posologia.velocidade": ("mg/h", "mL", "mL/kg", "mg/mL", "xyz"),
    "posologia.dose_diaria": ("mL", "mg/mL", "xyz"),
    "posologia.volume": ("mg", "mL/h", "xyz"),
    "diluicao.concentracao": ("mL/mg", "mg", "mL", "mg/h", "xyz"),
    "diluicao.volume_final": ("mg", "mL/h", "xyz"),
    "apresentacao.massa": ("mL", "mg/h", "xyz"),
}


def _unit(case: Case) -> Iterator[Change]:
    volume = unit(_at(case.row, "posologia.dose.unidade")).content == "volume"
    for path, names in _IMPOSSIBLE.items():
        amount = _at(case.row, path)
        if not amount:
            continue
        for name in names:
            plausible = volume and name.startswith("mL")
            if name != amount["unidade"] and not plausible:
                yield Change(f"{path} em {name}", _set(case.row, f"{path}.unidade", name))


_NUMBERS = (float("nan"), float("inf"), 1e308, -1, ",5", "dez")


def _number(case: Case) -> Iterator[Change]:
    for path, amount in _amounts(case.row):
        for value in (*_NUMBERS, -amount["valor"], str(amount["valor"])):
            yield Change(f"{path} = {value!r}", _set(case.row, f"{path}.valor", value))


# --- the answer ------------------------------------------------------------------------------------------------------

# The unit of another scale, and how many of it one of the usual unit is.
SCALES = {
    "lactato": ("mg/dL", Fraction(9)),
    "creatinina": ("µmol/L", Fraction(884, 10)),
    "glicemia": ("mmol/L", Fraction(1, 18)),
    "hemoglobina": ("g/L", Fraction(10)),
    "potassio": ("mEq/L", Fraction(1)),
    "bicarbonato": ("mEq/L", Fraction(1)),
}


def _stating_lab(case: Case, name: str, value: str, unit_name: str) -> dict[str, Any]:
    answer = copy.deepcopy(case.answer)
    answer["avaliacao"][0]["achado"] = finding(case.patient, {name: (value, unit_name)})
    return answer


def _lab_unit(case: Case) -> Iterator[Change]:
    for name in stated(case.patient):
        if name not in SCALES:
            continue
        other, factor = SCALES[name]
        usual, value = LABS[name][1], exact(case.patient[name])
        converted = brazilian(significant(value * factor, 3))
        same = "é a mesma unidade para este íon" if factor == 1 else None
        answer = _stating_lab(case, name, brazilian(case.patient[name]), other)
        yield Change(f"{name} em {other} com o número de {usual}", answer=answer, equivalent=same)
        if factor == 1:
            continue
        yield Change(f"{name} {converted} em {usual}", answer=_stating_lab(case, name, converted, usual))
        answer = _stating_lab(case, name, converted, other)
        yield Change(f"{name} convertido com a unidade", answer=answer, equivalent="o mesmo valor em outra unidade")


def _citations(answer: dict[str, Any]) -> Iterator[tuple[str, dict[str, str]]]:
    for section in ("avaliacao", "farmacoterapia", "criterios_decisao", "checklist"):
        for item in answer[section]:
            for number, citation in enumerate(item.get("fontes", [])):
                yield f"{section}.fontes[{number}]", citation


def _cited(case: Case, number: int, **words: str) -> dict[str, Any]:
    answer = copy.deepcopy(case.answer)
    list(_citations(answer))[number][1].update(words)
    return answer


def _citation_missing(case: Case) -> Iterator[Change]:
    for number, (where, citation) in enumerate(_citations(case.answer)):
        stem, _, slug = citation["id"].partition("#")
        other = {"sepse": "hda", "hda": "ira", "ira": "sepse"}[stem]
        for name in (f"{stem}#{slug}_2019", f"{other}#{slug}", f"{stem}#inexistente", slug, f"{stem}.md#{slug}"):
            if name not in passages():
                yield Change(f"{where}: {name}", answer=_cited(case, number, id=name))


def _spoiled(words: str) -> Iterator[tuple[str, str]]:
    parts = words.split()
    middle = len(parts) // 2
    yield "uma palavra a menos", " ".join(parts[:middle] + parts[middle + 1 :])
    yield "um não a mais", " ".join([*parts[:middle], "não", *parts[middle:]])
    yield (
        "duas palavras trocadas",
        " ".join([*parts[: middle - 1], parts[middle], parts[middle - 1], *parts[middle + 1 :]]),
    )
    yield "reticências no meio", " ".join([*parts[:middle], "...", *parts[middle + 1 :]])
    digits = next((char for char in words if char.isdigit()), None)
    if digits:
        yield "um algarismo trocado", words.replace(digits, str((int(digits) + 3) % 10), 1)


def _citation_words(case: Case) -> Iterator[Change]:
    for number, (where, citation) in enumerate(_citations(case.answer)):
        text, words = passages()[citation["id"]], citation["trecho"]
        for name, wrong in _spoiled(words):
            if wrong not in text:
                yield Change(f"{where}: {name}", answer=_cited(case, number, trecho=wrong))
        spaced = words.replace(" ", "  ", 2).replace("  ", "\n ", 1)
        yield Change(f"{where}: espaços", answer=_cited(case, number, trecho=spaced), equivalent="só espaço em branco")


# --- all of them -----------------------------------------------------------------------------------------------------

MUTATORS: dict[str, Mutator] = {
    "ten_fold": _ten_fold,
    "thousand_fold": _thousand_fold,
    "dose_weight": _dose_weight,
    "concentration": _concentration,
    "ampoule_volume": _ampoule_volume,
    "pump_rate_60": _pump_rate_60,
    "per_kg": _per_kg,
    "salt_base": _salt_base,
    "max_dose": _max_dose,
    "max_daily": _max_daily,
    "max_per_kg": _max_per_kg,
    "weight": _wrong_weight,
    "route": _route,
    "allergy": _allergy,
    "cross_allergy": _cross_allergy,
    "pregnancy": _pregnancy,
    "renal": _renal,
    "frequency_daily": _frequency_daily,
    "missing_field": _missing_field,
    "missing_section": _missing_section,
    "duplicate_class": _duplicate_class,
    "lab_unit": _lab_unit,
    "citation_missing": _citation_missing,
    "citation_words": _citation_words,
    "unit": _unit,
    "quantity": _quantity,
    "concentration_max": _concentration_max,
    "infusion_time": _infusion_time,
    "diluent": _diluent,
    "number": _number,
    "unknown_drug": _unknown_drug,
}
CONSISTENT = ("max_dose", "max_daily", "max_per_kg", "weight", "concentration_max", "infusion_time", "route", "diluent")


def _mutant(case: Case, name: str, change: Change) -> Mutant:
    patient = change.patient or case.patient
    if change.answer is not None:
        answer = change.answer
    elif change.patient or change.second:
        lines = [case.row, change.second] if change.second else [case.row]
        answer = answer_for(patient, [line for line in lines if line])
    else:
        answer = {**copy.deepcopy(case.answer), "farmacoterapia": [change.row]}
    return Mutant(name, change.detail, copy.deepcopy(patient), answer, change.equivalent)


def _chosen(case: Case, name: str) -> list[Change]:
    changes = list(MUTATORS[name](case))
    wrong = [change for change in changes if change.equivalent is None]
    same = [change for change in changes if change.equivalent is not None]
    dice = random.Random(f"{case.id} {name}")
    taken = dice.sample(wrong, min(PER_TYPE.get(name, 1), len(wrong)))
    if same and not dice.randrange(EQUIVALENT_ONE_IN):
        taken.append(dice.choice(same))
    return taken


def mutants(case: Case) -> Iterator[Mutant]:
    """The chosen mutants of a case, the same at every run."""
    for name in MUTATORS:
        for change in _chosen(case, name):
            yield _mutant(case, name, change)


def every_mutant(case: Case) -> Iterator[Mutant]:
    """All the mutants that the mutators can make of a case; many more than `mutants`."""
    for name, mutator in MUTATORS.items():
        for change in mutator(case):
            yield _mutant(case, name, change)


def _inconsistent(mutant: Mutant) -> str | None:
    """A mutant that should break a limit alone, and broke the arithmetic too."""
    if mutant.type not in CONSISTENT or not mutant.answer["farmacoterapia"]:
        return None
    found = broken(mutant.answer["farmacoterapia"][0], mutant.patient["peso"])
    return f"{mutant.type} ({mutant.detail}) also breaks {', '.join(found)}" if found else None


def main(arguments: list[str] | None = None) -> int:
    """Count the mutants by type, and check those that must keep their arithmetic."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--count", action="store_true", help="print the counts (the default)")
    parser.add_argument("--all", action="store_true", help="every possible mutant, not the chosen ones")
    options = parser.parse_args(arguments)
    total, same, odd = Counter[str](), Counter[str](), Counter[str]()
    cases = clean_cases()
    for case in cases:
        for mutant in (every_mutant if options.all else mutants)(case):
            total[mutant.type] += 1
            same[mutant.type] += mutant.equivalent is not None
            if found := _inconsistent(mutant):
                odd[f"{case.base}: {found}"] += 1
    print(f"{'type':20}{'mutants':>9}{'equivalent':>12}")
    for name in MUTATORS:
        print(f"{name:20}{total[name]:9}{same[name]:12}")
    print(f"{'total':20}{total.total():9}{same.total():12}   from {len(cases)} clean cases")
    for line in sorted(odd):
        print(line, file=sys.stderr)
    return 1 if odd else 0


if __name__ == "__main__":
    sys.exit(main())
