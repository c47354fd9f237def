"""Clean cases: the hand-written rows of `rows/clean.yaml`, varied in weight, preparation and rounding.

Every number of a variation is computed here in exact fractions and then written as a person writes it: a concentration
with two or three significant digits, a pump rate with one decimal, always within 1% (or one step of the pump) of the
exact value. Weights and preparations are limited by the tables below, so that a clean row stays inside its sources.
Nothing is imported from gemx. Run as a script, it checks every case and prints how many there are.
"""

from __future__ import annotations

import copy
import itertools
import json
import math
import random
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from arithmetic import based, broken, exact, near, numbers, plain, significant, unit

HERE = Path(__file__).parent
ROWS = HERE / "rows" / "clean.yaml"
KNOWLEDGE = HERE.parent / "automations" / "knowledge"
WITHIN = Fraction(1, 100)
PER_ROW = 8
RENAL_DRUGS = {"piperacilina-tazobactam", "cefepime", "meropenem", "vancomicina", "gentamicina", "amicacina"}


@dataclass(frozen=True)
class Case:
    """A patient, a prescription row that is right for them, and a whole answer around the row."""

    id: str
    patient: dict[str, Any]
    row: dict[str, Any]
    answer: dict[str, Any]

    @property
    def base(self) -> str:
        """The hand-written row that this case comes from."""
        return self.id.split("/")[0]


@dataclass(frozen=True)
class Preparation:
    """Units opened and the diluent; the product too where it is another one."""

    quantity: int
    diluent: str
    millilitres: int
    product: Mapping[str, Any] | None = None


# --- weights ---------------------------------------------------------------------------------------------------------

ANY_WEIGHT: tuple[float, ...] = (52, 55, 58, 60, 62.5, 65, 68, 70, 72.5, 75, 78, 80, 85, 90, 95, 100)
# Weights that keep a row clean, where not all of the above do; the reason is the limit of its source.
WEIGHTS: dict[str, tuple[float, ...]] = {
    "noradrenalina-05": (60, 65, 68, 70, 75, 80),  # 8 mcg/min within 0,05 to 0,15 mcg/kg/min
    "ringer": (50, 55, 60, 65, 70, 75, 80, 85, 90),
    "sf": (50, 55, 60, 65, 70, 75, 80, 85, 90),
    "cefepime": (60, 62, 65, 68, 70, 75, 80, 85, 90),
    "meropenem-04": (60, 62, 65, 68, 70, 75, 80),  # clearance stays within 26 to 50 mL/min
    "vancomicina-01": (60, 65, 70, 75, 80, 85, 90),  # 1 g near 15 mg/kg
    "vancomicina-02": (55, 60, 65, 66, 70, 75, 80),
    "vancomicina-03": (50, 52, 55, 58, 60, 62, 64, 66),  # up to 2 g a day
    "vancomicina-04": (50, 54, 58, 60, 64, 68, 70),  # up to 10 mg/min over 3 h
    "vancomicina-05": (60, 65, 70, 75, 80, 85, 90),
    "gentamicina-01": (65, 68, 70, 75, 80, 85, 90),  # 80 mg every 8 h above 60 kg
    "gentamicina-02": (55, 58, 60, 65, 70, 75, 80, 85, 90),
    "gentamicina-03": (60, 65, 70, 75, 80, 85, 90, 95, 100),
    "gentamicina-04": (65, 68, 70, 72, 75, 80, 85),
    "amicacina-01": (50, 52, 54, 56, 58, 60, 62, 64, 66),  # two ampoules
    "amicacina-02": (50, 52, 54, 56, 58, 60, 62, 64, 66),  # one ampoule
    "amicacina-03": (68, 70, 72, 75, 80, 85, 90),  # 1 g a day within 15 mg/kg
    "amicacina-04": (68, 70, 72, 74, 80, 85, 90),
    "terlipressina-01": (72, 75, 80, 85, 90),
    "terlipressina-02": (50,),  # 6 mg a day are 120 mcg/kg
    "terlipressina-03": (62, 64, 66, 68, 70),  # 9 mg a day within 150 mcg/kg, 1,5 mg up to 70 kg
    "terlipressina-04": (82, 85, 90, 95, 100),  # 12 mg a day within 150 mcg/kg
    "bicarbonato-01": (55, 58, 60, 65, 68, 70, 72, 75),  # fifteen ampoules
    "bicarbonato-02": (45, 48, 50),  # 100 mEq are 2 mEq/kg or more
    "bicarbonato-03": (48, 50, 52, 55, 58, 60),  # twelve ampoules
    "glicose-02": (60, 65, 70, 75, 80, 85, 90),  # 25 g/h within 0,5 g/kg/h
}

# --- preparations ----------------------------------------------------------------------------------------------------

SF, SG = "SF 0,9%", "SG 5%"


def _ways(*ways: tuple[int, str, int]) -> tuple[Preparation, ...]:
    return tuple(Preparation(*way) for way in ways)


def _bag(name: str, millilitres: int) -> Preparation:
    amount = {"valor": millilitres, "unidade": "mL"}
    return Preparation(1, "", 0, {"texto": f"bolsa de {name} {millilitres} mL", "volume": amount})


_CENTRAL_KCL = _ways((1, SF, 490), (1, SF, 990), (2, SF, 980))
# Other preparations of the same drug that the sources of the row allow: (units opened, diluent, mL of diluent).
PREPARATIONS: dict[str, tuple[Preparation, ...]] = {
    # 4 to 64 mcg/mL (São Camilo), glucose accepted by every source
    "noradrenalina": _ways((1, SG, 246), (2, SG, 242), (4, SG, 234), (8, SG, 468), (4, SG, 484), (2, SG, 117)),
    "noradrenalina-02": _ways((1, SG, 246), (2, SG, 492)),
    # 0,1 or 1 U/mL (label)
    "vasopressina": _ways((1, SF, 199), (2, SF, 398), (5, SF, 95), (1, SG, 199), (5, SG, 95)),
    # up to 60 mcg/mL, in glucose
    "adrenalina": _ways((4, SG, 246), (5, SG, 495), (8, SG, 242), (10, SG, 240)),
    "adrenalina-03": (),
    "adrenalina-04": _ways((1, SG, 249), (2, SG, 498), (5, SG, 495)),
    "adrenalina-05": _ways((1, SG, 249), (2, SG, 498), (5, SG, 495)),
    # 400 to 3200 mcg/mL (label)
    "dopamina": _ways((5, SF, 200), (5, SG, 200), (10, SF, 150), (2, SG, 230), (8, SG, 170)),
    "dopamina-03": _ways((2, SG, 240), (2, SF, 240), (4, SG, 480), (4, SF, 230)),
    # 250 to 5000 mcg/mL (label)
    "dobutamina": _ways((1, SG, 230), (1, SF, 230), (2, SG, 210), (4, SG, 170), (1, SG, 480), (2, SF, 460)),
    # 100 mg in not less than 100 mL (label)
    "hidrocortisona-02": _ways((2, SF, 200), (2, SG, 200), (2, SF, 250)),
    "hidrocortisona-04": _ways((1, SF, 100), (1, SG, 100), (1, SF, 250)),
    "ringer": (_bag("Ringer lactato", 500), _bag("Ringer lactato", 1000)),
    "sf": (_bag(SF, 500), _bag(SF, 1000)),
    # 10 to 40 mg/mL, without calcium
    "ceftriaxona-02": _ways((2, SF, 100), (2, SG, 100), (2, SF, 50)),
    "ceftriaxona-03": _ways((2, SF, 100), (2, SG, 100), (2, SF, 50)),
    "ceftriaxona-04": _ways((1, SF, 50), (1, SG, 50)),
    # a final volume of 50 to 150 mL
    "piptazo": _ways((1, SF, 100), (1, SG, 100), (1, SF, 130), (1, SF, 80), (1, SF, 50)),
    # 1 to 40 mg/mL
    "cefepime": _ways((1, SF, 100), (1, SG, 100), (1, SF, 50)),
    # 1 to 20 mg/mL
    "meropenem-01": _ways((1, SF, 100), (1, SG, 100), (1, SF, 250), (1, SF, 50)),
    "meropenem-02": _ways((2, SF, 100), (2, SG, 100), (2, SF, 250)),
    "meropenem-04": _ways((1, SF, 100), (1, SG, 100), (1, SF, 250), (1, SF, 50)),
    "meropenem-05": _ways((1, SF, 100), (1, SG, 100), (1, SF, 50)),
    # up to 5 mg/mL
    "vancomicina-01": _ways((2, SF, 200), (2, SG, 200), (2, SF, 250), (2, SF, 500)),
    "vancomicina-02": _ways((1, SF, 100), (1, SG, 100), (1, SF, 150)),
    "vancomicina-03": _ways((2, SF, 200), (2, SG, 200), (2, SF, 250)),
    "vancomicina-04": _ways((3, SF, 300), (3, SG, 300), (4, SF, 400)),
    "vancomicina-05": _ways((2, SF, 200), (2, SG, 200), (2, SF, 250), (2, SG, 250)),
    # 50 to 100 mL
    "gentamicina-01": _ways((1, SF, 100), (1, SG, 100), (1, SF, 50)),
    "gentamicina-02": _ways((3, SF, 100), (3, SG, 100), (4, SF, 100)),
    "gentamicina-03": _ways((2, SF, 100), (2, SG, 100), (2, SF, 50)),
    # up to 5 mg/mL, 100 or 200 mL
    "amicacina-01": _ways((2, SF, 200), (2, SG, 200)),
    "amicacina-02": _ways((1, SF, 100), (1, SG, 100), (1, SF, 200)),
    "amicacina-03": _ways((1, SF, 100), (1, SG, 100), (1, SF, 200)),
    "pantoprazol-02": _ways((2, SF, 80), (2, SG, 80)),
    "pantoprazol-03": _ways((1, SF, 90), (1, SG, 90)),
    # 1:1 to 1:9 in SF
    "octreotida-01": _ways((1, SF, 9), (1, SF, 4)),
    "octreotida-02": _ways((5, SF, 45), (5, SF, 20), (3, SF, 27), (10, SF, 90)),
    "octreotida-03": _ways((2, SF, 18), (1, SF, 9), (1, SF, 4)),
    # 1 to 5 mg/mL, 100 mL or more
    "eritromicina": _ways((1, SF, 190), (1, SF, 240)),
    "furosemida-02": _ways((1, SF, 48), (1, SF, 98), (1, SF, 18)),
    "furosemida-03": _ways((2, SF, 96), (2, SF, 46)),
    # 10 mg/mL is inside both sources
    "calcio-01": _ways((1, SF, 90), (1, SG, 90)),
    "calcio-02": _ways((2, SF, 180), (2, SG, 180)),
    "calcio-03": _ways((1, SF, 90), (1, SG, 90)),
    "bicarbonato-01": _ways((15, SG, 850), (16, SG, 840)),
    "bicarbonato-02": _ways((10, SG, 400), (10, SG, 900)),
    "bicarbonato-03": _ways((12, SG, 480), (12, SG, 680)),
    # up to 40 mEq/L in a peripheral vein, 80 mEq/L in a central one
    "kcl-01": _ways((1, SF, 490), (2, SF, 980)),
    "kcl-03": _ways((2, SF, 980)),
    "kcl-04": _CENTRAL_KCL,
    "kcl-05": _CENTRAL_KCL,
}


def _table(table: Mapping[str, Any], base: str) -> Any:
    return table.get(base, table.get(base.rsplit("-", 1)[0]))


# --- one row ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Style:
    """How a person rounds: digits of a concentration and of a volume, whole mL/h where it makes no difference."""

    digits: int = 3
    whole_rates: bool = False


EXACT, SHORT = Style(), Style(digits=2, whole_rates=True)


def _written(value: Fraction, digits: int) -> int | float:
    for more in range(digits, 9):
        written = significant(value, more)
        if near(exact(written), value, WITHIN):
            return written
    return significant(value, 9)


def _rate(value: Fraction, style: Style) -> int | float:
    whole = plain(value, 0)
    return whole if style.whole_rates and near(exact(whole), value, WITHIN) else plain(value, 1)


def _put(owner: dict[str, Any] | None, name: str, base: Fraction | None, digits: int) -> None:
    """Write a value, given in base units, in the unit that the field already has."""
    if owner and owner.get(name) and base is not None:
        owner[name]["valor"] = _written(base / unit(owner[name]["unidade"]).scale, digits)


def _open_enough(row: dict[str, Any], weight: Any, *, scale: bool) -> None:
    """Open as many units as the dose needs; with `scale` the diluent grows with them."""
    n = numbers(row, weight)
    content = n.unit_volume if n.fluid else n.unit_mass
    if n.quantity is None or n.dose is None or not content or n.quantity * content >= n.dose:
        return
    needed = math.ceil(n.dose / content)
    if scale and row.get("diluicao"):
        diluent = row["diluicao"]["volume_diluente"]
        diluent["valor"] = plain(exact(diluent["valor"]) * needed / n.quantity, 1)
    row["quantidade"] = needed


def _final_volume(row: dict[str, Any], weight: Any) -> Fraction | None:
    n = numbers(row, weight)
    if n.diluent is None or n.quantity is None or n.unit_volume is None:
        return n.final
    return n.diluent + n.quantity * n.unit_volume


def recompute(row: Mapping[str, Any], weight: Any, style: Style = EXACT, *, scale: bool = False) -> dict[str, Any]:
    """The row with everything that follows from its dose, weight and preparation computed again."""
    done = copy.deepcopy(dict(row))
    _open_enough(done, weight, scale=scale)
    dilution, dosage = done.get("diluicao"), done["posologia"]
    final = _final_volume(done, weight)
    _put(dilution, "volume_final", final, 6)
    n = numbers(done, weight)
    strength = n.prepared / final if dilution and n.prepared is not None and final else n.strength
    _put(dilution, "concentracao", strength, style.digits)
    given = n.dose if n.rate is None else n.rate
    _put(dosage, "dose_total", given, 6)
    if given is not None and (n.rate is not None or n.interval):
        _put(dosage, "dose_diaria", given * 1440 if n.rate is not None else given * 24 / (n.interval or 1), 6)
    volume = n.dose if n.fluid else (n.dose / strength if n.dose is not None and strength else None)
    _put(dosage, "volume", volume, max(style.digits, 3))
    pump = n.rate / strength if n.rate is not None and strength else None
    if pump is None and n.minutes:
        pump = (volume or final or Fraction(0)) / n.minutes
    if dosage.get("velocidade") and pump is not None:
        dosage["velocidade"]["valor"] = _rate(pump * 60, style)
    return done


def prepared(row: Mapping[str, Any], way: Preparation) -> dict[str, Any]:
    """The row with another preparation; what follows from it is not computed yet."""
    done = copy.deepcopy(dict(row))
    done["quantidade"] = way.quantity
    if way.product:
        done["apresentacao"] = copy.deepcopy(dict(way.product))
    if way.diluent:
        done["diluicao"]["diluente"] = way.diluent
        done["diluicao"]["volume_diluente"]["valor"] = way.millilitres
    return done


def weighed(row: Mapping[str, Any], weight: float) -> dict[str, Any]:
    """The row for another weight; what follows from it is not computed yet."""
    done = copy.deepcopy(dict(row))
    if done["posologia"].get("peso_kg") is not None:
        done["posologia"]["peso_kg"] = weight
    return done


def clearance(patient: Mapping[str, Any]) -> Fraction:
    """Cockcroft-Gault creatinine clearance, mL/min."""
    age, weight, creatinine = (exact(patient[name]) for name in ("idade", "peso", "creatinina"))
    value = (140 - age) * weight / (72 * creatinine)
    return value * Fraction(85, 100) if patient["sexo"] == "F" else value


# --- the answer around a row -----------------------------------------------------------------------------------------


@cache
def passages() -> dict[str, str]:
    """Every passage of the knowledge files by its id, white space collapsed."""
    found: dict[str, str] = {}
    for path in sorted(KNOWLEDGE.glob("*.md")):
        parts = re.split(r"^## .*\{#(\w+)\}\s*$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        for name, body in zip(parts[1::2], parts[2::2], strict=True):
            found[f"{path.stem}#{name}"] = " ".join(body.split())
    return found


def cite(passage: str, words: str) -> dict[str, str]:
    """A citation; the words must be in the passage."""
    if words not in passages()[passage]:
        raise ValueError(f"{passage} does not say {words!r}")
    return {"id": passage, "trecho": words}


def brazilian(value: Any) -> str:
    """A number as it is written in pt-BR, without trailing zeros."""
    number = exact(value)
    places = 0 if number.denominator == 1 else len(str(value).split(".")[1])
    return str(plain(number, places)).replace(".", ",")


LABS = {
    "lactato": ("Lactato", "mmol/L"),
    "hemoglobina": ("Hemoglobina", "g/dL"),
    "glicemia": ("Glicemia", "mg/dL"),
    "potassio": ("Potássio", "mmol/L"),
    "bicarbonato": ("Bicarbonato", "mmol/L"),
    "creatinina": ("Creatinina", "mg/dL"),
    "pas": ("PAS", "mmHg"),
}


def stated(patient: Mapping[str, Any]) -> tuple[str, str]:
    """The two values of the patient that the answer's assessment states."""
    if "hemoglobina" in patient:
        return "hemoglobina", "pas"
    first = next((name for name in ("lactato", "glicemia", "bicarbonato", "potassio") if name in patient), "pas")
    return first, "creatinina"


def finding(patient: Mapping[str, Any], other: Mapping[str, tuple[str, str]] | None = None) -> str:
    """The assessment's statement, such as `Lactato 4,6 mmol/L e creatinina 1 mg/dL`.

    `other` puts another number and unit, as text, in place of a value's own.
    """
    texts = []
    for name in stated(patient):
        label, usual = LABS[name]
        value, unit_name = (other or {}).get(name, (brazilian(patient[name]), usual))
        texts.append(f"{label} {value} {unit_name}")
    second = texts[1] if texts[1].startswith("PAS") else texts[1][0].lower() + texts[1][1:]
    return f"{texts[0]} e {second}"


_REPEAT = "O lactato é repetido se o inicial estiver acima de 2 mmol/L."
_CALL = "Discutir de imediato com a nefrologia qualquer indicação possível de diálise"
# What a value means, in bands from a lower bound (the last that holds counts), with the passage that says so.
MEANINGS: dict[str, tuple[tuple[str, str, str, str], ...]] = {
    "lactato": (
        ("0", "lactato sem elevação", "sepse#pacote", _REPEAT),
        ("2.01", "lactato elevado", "sepse#choque", "lactato acima de 2 mmol/L"),
    ),
    "hemoglobina": (
        ("7", "hemoglobina acima do limiar de transfusão", "hda#transfusao", "com limiar de hemoglobina de 7 g/dL"),
    ),
    "glicemia": (("0", "glicemia que pede controle seriado", "ira#glicemia", "A glicemia capilar é medida antes"),),
    "bicarbonato": (("0", "acidose metabólica", "ira#dialise", "pH abaixo de 7,15"),),
    "potassio": (
        ("0", "hipocalemia", "ira#potassio", "O cloreto de potássio é contraindicado na hipercalemia"),
        ("3.5", "sem hipopotassemia", "ira#furosemida_passo", "na hipopotassemia grave e na hiponatremia grave"),
        ("6.5", "hipercalemia grave", "ira#hipercalemia", "moderada de 6,0 a 6,4 e grave a partir de 6,5"),
    ),
    "pas": (
        ("0", "hipotensão", "sepse#qsofa", "pressão sistólica de 100 mmHg ou menos"),
        ("101", "sem hipotensão", "sepse#qsofa", "pressão sistólica de 100 mmHg ou menos"),
    ),
}


def _meaning(patient: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    name = stated(patient)[0]
    bands = [band for band in MEANINGS[name] if exact(patient[name]) >= exact(band[0])]
    _, meaning, passage, words = bands[-1]
    return meaning, cite(passage, words)


def _frame(stem: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Decision criteria and checklist of an answer on sepsis, bleeding or the kidney."""
    if stem == "hda":
        threshold = cite("hda#transfusao", "com limiar de hemoglobina de 7 g/dL")
        endoscopy = cite("hda#endoscopia", "A endoscopia é feita em até 24 horas da apresentação")
        criterion = {"se": "hemoglobina abaixo de 7 g/dL", "entao": "transfundir hemácias", "fontes": [threshold]}
        item = {"item": "Endoscopia digestiva alta", "prazo_min": 1440, "a_partir_de": "apresentação"}
        return [criterion], [{**item, "fontes": [endoscopy]}]
    if stem == "ira":
        dialysis = cite("ira#encaminhar", _CALL)
        definition = cite("ira#definicao", "diurese abaixo de 0,5 mL/kg/h por 6 horas")
        criterion = {"se": "indicação possível de diálise", "entao": "discutir com a nefrologia", "fontes": [dialysis]}
        item = {"item": "Medir a diurese", "prazo_min": 360, "a_partir_de": "admissão", "fontes": [definition]}
        return [criterion], [item]
    pressor = cite("sepse#pacote", "aplicar vasopressor se houver hipotensão durante ou após o volume")
    lactate = cite("sepse#pacote", "Na primeira hora: dosar o lactato; colher hemoculturas antes do antimicrobiano")
    criterion = {"se": "hipotensão durante ou após o volume", "entao": "vasopressor", "fontes": [pressor]}
    item = {"item": "Dosar o lactato e colher hemoculturas", "prazo_min": 60, "a_partir_de": "reconhecimento"}
    return [criterion], [{**item, "fontes": [lactate]}]


def answer_for(patient: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A whole answer of the contract around prescription rows."""
    meaning, source = _meaning(patient)
    criteria, checklist = _frame(source["id"].split("#")[0])
    return {
        "resumo": f"Prescrição de {rows[0]['farmaco']}: {rows[0]['indicacao']}.",
        "avaliacao": [{"achado": finding(patient), "interpretacao": meaning, "fontes": [source]}],
        "farmacoterapia": copy.deepcopy([dict(row) for row in rows]),
        "criterios_decisao": criteria,
        "checklist": checklist,
        "dados_faltantes": [],
        "nao_fazer": [],
        "destino": None,
    }


# --- the cases -------------------------------------------------------------------------------------------------------


@cache
def rows() -> dict[str, dict[str, Any]]:
    """The hand-written rows by id."""
    loaded: list[dict[str, Any]] = yaml.safe_load(ROWS.read_text(encoding="utf-8"))
    return {entry["id"]: entry for entry in loaded}


def _case(name: str, patient: dict[str, Any], row: dict[str, Any]) -> Case:
    return Case(name, patient, row, answer_for(patient, [row]))


def _variations(entry: Mapping[str, Any]) -> Iterator[Case]:
    """Variations of a row in an order that its id seeds."""
    base, patient, row = entry["id"], entry["patient"], entry["row"]
    weights = _table(WEIGHTS, base) or ANY_WEIGHT
    ways = _table(PREPARATIONS, base) or (None,)
    choices = list(itertools.product(enumerate(ways), weights, (EXACT, SHORT)))
    random.Random(base).shuffle(choices)
    for (p, way), weight, style in choices:
        new = weighed(prepared(row, way) if way else row, weight)
        new = recompute(new, weight, style, scale=base == "vancomicina-04")
        yield _case(f"{base}/p{p}-{weight:g}kg-{style.digits}", {**patient, "peso": weight}, new)


def _same(case: Case) -> str:
    return json.dumps([case.patient, case.row], sort_keys=True)


def _chosen(entry: Mapping[str, Any]) -> Iterator[Case]:
    written = _case(f"{entry['id']}/hand", dict(entry["patient"]), copy.deepcopy(entry["row"]))
    yield written
    seen = {_same(written)}
    for case in _variations(entry):
        if len(seen) > PER_ROW:
            return
        if _same(case) not in seen and _pumpable(case.row) and not problems(case):
            seen.add(_same(case))
            yield case


def _pumpable(row: Mapping[str, Any]) -> bool:
    velocity = row["posologia"].get("velocidade")
    return velocity is None or Fraction(1) <= based(velocity) * 60 <= 1000


def clean_cases() -> list[Case]:
    """Every clean case, in a fixed order."""
    return [case for entry in rows().values() for case in _chosen(entry)]


def problems(case: Case) -> list[str]:
    """What is wrong with a clean case; nothing should be."""
    found = broken(case.row, case.patient["peso"], WITHIN)
    kg = case.row["posologia"].get("peso_kg")
    if kg is not None and exact(kg) != exact(case.patient["peso"]):
        found.append("peso")
    renal = clearance(case.patient)
    if case.base == "meropenem-04":
        found += [] if 26 <= renal <= 50 else ["clearance"]
    elif case.row["farmaco"] in RENAL_DRUGS and renal < 65:
        found.append("clearance")
    for citation in case.row["fontes"]:
        cite(citation["id"], citation["trecho"])
    return found


def main() -> int:
    """Check every case and print how many there are by drug."""
    cases = clean_cases()
    wrong = [f"{case.id}: {', '.join(found)}" for case in cases if (found := problems(case))]
    for drug, count in sorted(Counter(case.row["farmaco"] for case in cases).items()):
        print(f"{count:5d}  {drug}")
    print(f"{len(cases):5d}  clean cases from {len(rows())} rows")
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
