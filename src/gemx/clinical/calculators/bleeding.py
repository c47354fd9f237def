"""Upper gastrointestinal bleeding before endoscopy: Glasgow-Blatchford, AIMS65, Rockall. Knows no protocol.

Blatchford's urea cuts are 6.5, 8, 10 and 25 mmol/L. Laboratories that report mg/dL do so to a whole unit of urea or a
tenth of BUN, so the cuts are those molar values at that resolution: × 6.006 gives urea 39, 48, 60, 150; × 2.8014 gives
BUN 18.2, 22.4, 28, 70. A result printed exactly at a cut scores as it would in mmol/L.
"""

from __future__ import annotations

from decimal import Decimal

from gemx.clinical.calculators.bands import Bands, banded, below, beyond, chosen, cuts_of, flagged, points_in, up_to
from gemx.clinical.calculators.base import Calculator, Component, Inputs
from gemx.clinical.calculators.parameters import (
    AGE,
    ALBUMIN,
    ALTERED_MENTATION,
    BUN,
    HEART_RATE,
    HEMOGLOBIN,
    INR,
    SBP,
    SEX,
    UREA,
    explained,
    optional,
    yes_no,
)
from gemx.clinical.calculators.renal import nitrogen_notes

_UREA = (below("39", 0), below("48", 2), below("60", 3), below("150", 4), beyond(6))
_BUN = (below("18.2", 0), below("22.4", 2), below("28", 3), below("70", 4), beyond(6))
_HEMOGLOBIN: dict[str, Bands] = {
    "M": (below("10", 6), below("12", 3), below("13", 1), beyond(0)),
    "F": (below("10", 6), below("12", 1), beyond(0)),
}
_PRESSURE = (below("90", 3), below("100", 2), below("110", 1), beyond(0))
_PULSE = (below("100", 0), beyond(1))

_AIMS_ALBUMIN = (below("3", 1), beyond(0))
_AIMS_INR = (up_to("1.5", 0), beyond(1))
_AIMS_PRESSURE = (up_to("90", 1), beyond(0))
_AIMS_AGE = (below("65", 0), beyond(1))
_AIMS_MORTALITY = ("0,3", "1,2", "5,3", "10,3", "16,5", "24,5")

_ROCKALL_AGE = (below("60", 0), below("80", 1), beyond(2))
_ROCKALL_COMORBIDITY = {"none": 0, "other": 2, "renal_hepatic_metastatic": 3}
_ROCKALL_COMORBIDITIES = {
    "none": "nenhuma importante",
    "other": "insuficiência cardíaca, doença isquêmica ou outra importante",
    "renal_hepatic_metastatic": "insuficiência renal ou hepática, ou câncer disseminado",
}
_ROCKALL_MORTALITY = ("0,2", "2,4", "5,6", "11", "24,6", "39,6", "48,9", "50")


def blatchford_urea(inputs: Inputs) -> Decimal:
    """0 to 6 points for urea or BUN, whichever was given (mg/dL)."""
    bun = inputs.optional("bun")
    return points_in(_UREA, inputs.number("urea")) if bun is None else points_in(_BUN, bun)


def blatchford_hemoglobin(inputs: Inputs) -> Decimal:
    """0 to 6 points for haemoglobin (g/dL), by sex."""
    return points_in(_HEMOGLOBIN[inputs.text("sex")], inputs.number("hemoglobin"))


def rockall_shock(inputs: Inputs) -> Decimal:
    """2 where systolic pressure is below 100 mmHg, else 1 where the pulse is 100 or more."""
    if inputs.number("sbp") < 100:
        return Decimal(2)
    return Decimal(1 if inputs.number("heart_rate") >= 100 else 0)


def _read_rockall(value: Decimal, inputs: Inputs) -> str:
    return f"Mortalidade de {_ROCKALL_MORTALITY[int(value)]} % na coorte de origem; pontuação antes da endoscopia."


def _read_blatchford(value: Decimal, inputs: Inputs) -> str:
    if value <= 1:
        return "0 ou 1: risco muito baixo; manejo ambulatorial possível (ACG 2021)."
    return "2 ou mais: avaliação hospitalar."


def _read_aims65(value: Decimal, inputs: Inputs) -> str:
    return f"Mortalidade hospitalar de {_AIMS_MORTALITY[int(value)]} % na coorte de origem."


CALCULATORS = (
    Calculator(
        id="glasgow_blatchford",
        title="Escore de Glasgow-Blatchford",
        unit="pontos",
        parameters=(
            SEX,
            optional(BUN),
            optional(UREA),
            HEMOGLOBIN,
            SBP,
            HEART_RATE,
            yes_no("melena", "Melena"),
            yes_no("syncope", "Síncope"),
            yes_no("hepatic_disease", "Hepatopatia"),
            yes_no("cardiac_failure", "Insuficiência cardíaca"),
        ),
        components=(
            Component(("bun", "urea"), blatchford_urea, {"bun": cuts_of(_BUN)}),
            Component(("sex", "hemoglobin"), blatchford_hemoglobin, {"hemoglobin": cuts_of(*_HEMOGLOBIN.values())}),
            banded("sbp", _PRESSURE),
            banded("heart_rate", _PULSE),
            flagged("melena", 1),
            flagged("syncope", 2),
            flagged("hepatic_disease", 2),
            flagged("cardiac_failure", 2),
        ),
        alternatives=(("bun", "urea"),),
        interpret=_read_blatchford,
        notes=nitrogen_notes,
        formula_version="glasgow_blatchford_2000",
        source="Blatchford O, Murray WR, Blatchford M. A risk score to predict need for treatment for "
        "upper-gastrointestinal haemorrhage. Lancet 2000;356:1318-21. doi:10.1016/S0140-6736(00)02816-6",
    ),
    Calculator(
        id="aims65",
        title="AIMS65",
        unit="pontos",
        parameters=(ALBUMIN, INR, ALTERED_MENTATION, SBP, AGE),
        components=(
            banded("albumin", _AIMS_ALBUMIN),
            banded("inr", _AIMS_INR),
            flagged("altered_mentation", 1),
            banded("sbp", _AIMS_PRESSURE),
            banded("age", _AIMS_AGE),
        ),
        interpret=_read_aims65,
        formula_version="aims65_2011",
        source="Saltzman JR et al. A simple risk score accurately predicts in-hospital mortality, length of stay, and "
        "cost in acute upper GI bleeding. Gastrointest Endosc 2011;74:1215-24. doi:10.1016/j.gie.2011.06.024",
    ),
    Calculator(
        id="rockall_preendoscopy",
        title="Escore de Rockall pré-endoscópico",
        unit="pontos",
        parameters=(AGE, SBP, HEART_RATE, explained("comorbidity", "Comorbidade", _ROCKALL_COMORBIDITIES)),
        components=(
            banded("age", _ROCKALL_AGE),
            Component(("sbp", "heart_rate"), rockall_shock, {"sbp": (Decimal(100),), "heart_rate": (Decimal(100),)}),
            chosen("comorbidity", _ROCKALL_COMORBIDITY),
        ),
        interpret=_read_rockall,
        formula_version="rockall_1996",
        source="Rockall TA et al. Risk assessment after acute upper gastrointestinal haemorrhage. "
        "Gut 1996;38:316-21. doi:10.1136/gut.38.3.316",
    ),
)
