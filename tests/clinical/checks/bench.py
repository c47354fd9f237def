"""A drug that no formulary knows, a patient and a row, for trying one check at a time."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gemx.automation import verification
from gemx.clinical.checks import Case
from gemx.clinical.findings import Finding
from gemx.clinical.formulary import Formulary, load_formulary
from gemx.clinical.inputs import load_inputs, read_patient
from gemx.documents import Passage

DRUG = """\
gemx: drug/v1
id: testina
name: Testina
synonyms: [cloridrato de testina]
class: testíneos
salt: {name: cloridrato, base: 1 mg, salt: 2 mg, doses_in: base, source: bula}
presentations:
  - {id: ampola, text: "ampola 4 mg/4 mL", mass: 4 mg, volume: 4 mL, source: bula}
  - {id: frasco, text: "frasco 1000 mg, pó + 10 mL de água para injeção", mass: 1000 mg, volume: 10 mL,
     reconstitution: {diluent: água para injeção, volume: 10 mL}, source: bula}
  - {id: multidose, text: "frasco 100 mg/10 mL", mass: 100 mg, volume: 10 mL, multidose: true, source: bula}
diluents:
  allowed: [{name: "SF 0,9%", source: bula}, {name: Ringer lactato, source: guia}]
  forbidden: [{name: Ringer lactato, source: bula}, {name: "glicose 50%", source: bula}]
concentration:
  - {min: 4 mcg/mL, max: 64 mcg/mL, source: bula, when: "acesso == 'central'"}
  - {max: 200 mcg/mL, source: guia, when: "acesso == 'central'"}
doses:
  - indication: choque
    words: [choque]
    modes: [continua]
    usual: [{low: 0.05 mcg/kg/min, high: 0.15 mcg/kg/min, source: bula}]
    max: [{value: 1 mcg/kg/min, source: bula}, {value: 3 mcg/kg/min, source: guia}]
  - indication: outra
    words: [outra]
    modes: [continua]
    usual: [{low: 5 mcg/min, high: 8 mcg/min, source: bula}]
    max: [{value: 50 mcg/min, source: fraca}]
  - indication: dose
    modes: [intermitente, unica]
    usual: [{low: 1 mg/kg, high: 2 mg/kg, source: bula}]
    max: [{value: 300 mg, source: bula}]
    daily_max: [{value: 12 mg/kg/dia, source: bula}, {value: 2 g/dia, source: guia}]
    interval_h: [{low: 6, high: 8, source: bula}]
routes:
  allowed: [{name: IV, source: bula}]
  forbidden: [{name: SC, source: bula}, {name: IV direta, source: bula}]
speed: [{max: 10 mg/min, source: bula}]
infusion: [{manner: infusao, min: 30 min, source: bula}, {manner: infusao, min: 15 min, source: guia}]
renal:
  bands:
    - {when: "clcr <= 50 && clcr > 10", interval_min_h: 12, text: "a cada 12 h", source: bula}
    - {when: "clcr <= 10", dose_max: 50 mg, daily_max: 50 mg/dia, text: "metade, uma vez por dia", source: bula}
pregnancy: [{risk: contraindicated, text: "má-formação", source: bula}]
allergy:
  - {to: penicilina, severity: error, text: "é uma penicilina", source: bula}
  - {to: cefalosporina, severity: warning, text: "pode cruzar", source: bula}
contraindications:
  - {text: "na anúria", when: "anuria", source: bula}
  - {text: "no potássio alto", when: "potassio > 6", source: guia}
  - {text: "noutra coisa", source: bula}
interactions: [{with: [outrina], kind: line, text: "precipita", source: bula}]
sources:
  bula: {title: Bula, kind: label_br, date: "2026", read: "2026", url_or_id: x}
  guia: {title: Guia, kind: hospital, date: "2026", read: "2026", url_or_id: x}
  fraca: {title: Blog, kind: secondary, weak: true, date: "2026", read: "2026", url_or_id: x}
"""
OTHER = """\
gemx: drug/v1
id: {id}
name: {name}
class: {drug_class}
presentations: [{{id: a, text: a, mass: 1 g, volume: 10 mL, source: s}}]
doses: [{{indication: x, modes: [unica, intermitente], max: [{{value: 2 g, source: s}}]}}]
sources: {{s: {{title: Bula, kind: label_br, date: "2026", read: "2026", url_or_id: x}}}}
"""
PATIENT: dict[str, str] = {
    "idade": "40",
    "sexo": "M",
    "peso": "70",
    "pas": "100",
    "pad": "60",
    "creatinina": "0,8",
    "alergias": "nega",
    "anuria": "não",
    "potassio": "4",
    "lactato": "4,6",
}
ROW: dict[str, Any] = {
    "farmaco": "Testina",
    "base_ou_sal": "base",
    "indicacao": "choque",
    "modo": "continua",
    "apresentacao": {
        "texto": "ampola 4 mg/4 mL",
        "massa": {"valor": 4, "unidade": "mg"},
        "volume": {"valor": 4, "unidade": "mL"},
    },
    "quantidade": 4,
    "diluicao": {
        "diluente": "SF 0,9%",
        "volume_diluente": {"valor": 234, "unidade": "mL"},
        "volume_final": {"valor": 250, "unidade": "mL"},
        "concentracao": {"valor": 64, "unidade": "mcg/mL"},
    },
    "posologia": {
        "dose": {"valor": 0.1, "unidade": "mcg/kg/min"},
        "peso_kg": 70,
        "via": "IV",
        "velocidade": {"valor": 6.6, "unidade": "mL/h"},
    },
    "acesso": "central",
    "fontes": [{"id": "t#a", "trecho": "quatro ampolas em soro"}],
}
# 2 mg/kg every 8 h out of one 1 g vial of powder, in 100 mL over half an hour.
DOSE: dict[str, Any] = {
    "farmaco": "Testina",
    "base_ou_sal": "base",
    "modo": "intermitente",
    "apresentacao": {
        "texto": "frasco 1000 mg",
        "massa": {"valor": 1000, "unidade": "mg"},
        "volume": {"valor": 10, "unidade": "mL"},
    },
    "quantidade": 1,
    "diluicao": {"diluente": "SF 0,9%", "volume_diluente": {"valor": 100, "unidade": "mL"}},
    "posologia": {
        "dose": {"valor": 2, "unidade": "mg/kg"},
        "peso_kg": 70,
        "dose_total": {"valor": 140, "unidade": "mg"},
        "dose_diaria": {"valor": 420, "unidade": "mg"},
        "intervalo_h": 8,
        "via": "IV",
    },
    "tempo_infusao": "30 minutos",
    "acesso": "periférico",
    "fontes": [{"id": "t#a", "trecho": "quatro ampolas em soro"}],
}
PASSAGES = (Passage("t#a", "quatro ampolas em soro, e nada mais.", "A", "t.md", 0, 1, "f"),)


def formulary(folder: Path) -> Formulary:
    """Testina, Outrina and Irmanina (of testina's class)."""
    folder.mkdir(exist_ok=True)
    (folder / "testina.yaml").write_text(DRUG, encoding="utf-8")
    for name, drug_class in (("outrina", "outros"), ("irmanina", "testíneos")):
        text = OTHER.format(id=name, name=name.capitalize(), drug_class=drug_class)
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return load_formulary(folder)


def changed(row: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A row with values put at dotted paths; None takes a field out."""
    found = copy.deepcopy(dict(row))
    for path, value in changes.items():
        at: Any = found
        *steps, last = path.split(".")
        for step in steps:
            at = at[step]
        at[last] = value
    return found


def answer(*rows: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A whole answer around rows."""
    said = {"resumo": "Caso.", "avaliacao": [], "criterios_decisao": [], "checklist": [], **more}
    return {**said, "farmacoterapia": list(rows)}


def case_of(known: Formulary, **patient: str | None) -> Case:
    """The patient, with some inputs changed; None makes one unknown."""
    raw = {name: value for name, value in {**PATIENT, **patient}.items() if value is not None}
    return Case(read_patient(raw, load_inputs()), known, PASSAGES)


def findings(said: Mapping[str, Any], case: Case) -> list[Finding]:
    """What the checks say of an answer."""
    return list(verification.verify(json.dumps(said), case).findings)


def codes(found: list[Finding]) -> list[tuple[str, str]]:
    """Code and severity of each finding."""
    return [(each.code, each.severity) for each in found]
