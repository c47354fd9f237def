"""Lungs: PaO2/FiO2 and CURB-65. Knows no diagnosis: that it is pneumonia, or ARDS, is for the reader to judge.

CURB-65's urea cut is 7 mmol/L: 42.04 mg/dL of urea, 19.61 mg/dL of BUN (often rounded up to 20).
"""

from __future__ import annotations

from decimal import Decimal

from gemx.clinical.calculators.bands import banded, below, beyond, flagged, points_in, up_to
from gemx.clinical.calculators.base import Calculator, Component, Inputs
from gemx.clinical.calculators.parameters import (
    AGE,
    BUN,
    DBP,
    FIO2,
    PAO2,
    RESPIRATORY_RATE,
    SBP,
    UREA,
    optional,
    yes_no,
)
from gemx.clinical.calculators.renal import nitrogen_notes

_UREA = (up_to("42.042", 0), beyond(1))
_BUN = (up_to("19.6098", 0), beyond(1))
_RATE = (below("30", 0), beyond(1))
_AGE = (below("65", 0), beyond(1))
_MORTALITY = ("0,7", "3,2", "13", "17", "41,5", "57")


def pf_ratio(inputs: Inputs) -> Decimal:
    """pao2 / fio2, mmHg."""
    return inputs.number("pao2") / inputs.number("fio2")


def _read_ratio(value: Decimal, inputs: Inputs) -> str:
    if value > 300:
        return "Acima de 300 mmHg: fora das faixas de Berlim para SDRA."
    severity = "grave" if value <= 100 else "moderada" if value <= 200 else "leve"
    return f"Faixa {severity} de Berlim, se há SDRA pelos demais critérios e PEEP de pelo menos 5 cmH2O."


def curb_urea(inputs: Inputs) -> Decimal:
    """1 where urea or BUN, whichever was given (mg/dL), is above 7 mmol/L."""
    bun = inputs.optional("bun")
    return points_in(_UREA, inputs.number("urea")) if bun is None else points_in(_BUN, bun)


def curb_pressure(inputs: Inputs) -> Decimal:
    """1 where systolic pressure is below 90 or diastolic 60 mmHg or less."""
    return Decimal(1 if inputs.number("sbp") < 90 or inputs.number("dbp") <= 60 else 0)


def _read_curb(value: Decimal, inputs: Inputs) -> str:
    risk = "risco baixo" if value <= 1 else "risco intermediário" if value == 2 else "pneumonia grave"
    return f"{risk.capitalize()}; mortalidade em 30 dias de {_MORTALITY[int(value)]} % na coorte de origem."


CALCULATORS = (
    Calculator(
        id="pf_ratio",
        title="Relação PaO2/FiO2",
        unit="mmHg",
        parameters=(PAO2, FIO2),
        components=(Component(("pao2", "fio2"), pf_ratio),),
        interpret=_read_ratio,
        formula_version="pf_ratio_berlin_2012",
        source="ARDS Definition Task Force. Acute respiratory distress syndrome: the Berlin Definition. "
        "JAMA 2012;307:2526-33. doi:10.1001/jama.2012.5669",
    ),
    Calculator(
        id="curb_65",
        title="CURB-65",
        unit="pontos",
        parameters=(
            AGE,
            yes_no("confusion", "Confusão mental nova"),
            optional(BUN),
            optional(UREA),
            RESPIRATORY_RATE,
            SBP,
            DBP,
        ),
        components=(
            banded("age", _AGE),
            flagged("confusion", 1),
            Component(("bun", "urea"), curb_urea),
            banded("respiratory_rate", _RATE),
            Component(("sbp", "dbp"), curb_pressure, {"sbp": (Decimal(90),), "dbp": (Decimal(60),)}),
        ),
        alternatives=(("bun", "urea"),),
        order=(("dbp", "sbp"),),
        interpret=_read_curb,
        notes=nitrogen_notes,
        formula_version="curb_65_2003",
        source="Lim WS et al. Defining community acquired pneumonia severity on presentation to hospital. "
        "Thorax 2003;58:377-82. doi:10.1136/thorax.58.5.377",
    ),
)
