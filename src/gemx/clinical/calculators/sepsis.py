"""Screening scores: qSOFA, SIRS, NEWS2. Knows no protocol and draws no diagnosis.

The NEWS2 chart is printed in whole numbers (temperature in tenths). A value between two printed bands, such as
38.05 °C, falls in the upper one, so that no value is left without points.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from gemx.clinical.calculators.bands import Bands, banded, below, beyond, chosen, cuts_of, flagged, points_in, up_to
from gemx.clinical.calculators.base import Calculator, Component, Inputs
from gemx.clinical.calculators.parameters import (
    ALTERED_MENTATION,
    HEART_RATE,
    PACO2,
    RESPIRATORY_RATE,
    SBP,
    SPO2,
    TEMPERATURE,
    WBC,
    choice,
    number,
    optional,
    yes_no,
)

_QSOFA_RATE = (below("22", 0), beyond(1))
_QSOFA_PRESSURE = (up_to("100", 1), beyond(0))

_SIRS_TEMPERATURE = (below("36", 1), up_to("38", 0), beyond(1))
_SIRS_PULSE = (up_to("90", 0), beyond(1))
_SIRS_RATE = (up_to("20", 0), beyond(1))
_SIRS_PACO2 = (below("32", 1), beyond(0))
_SIRS_CELLS = (below("4", 1), up_to("12", 0), beyond(1))
_SIRS_BANDS = (up_to("10", 0), beyond(1))

_NEWS_RATE = (up_to("8", 3), up_to("11", 1), up_to("20", 0), up_to("24", 2), beyond(3))
_NEWS_PRESSURE = (up_to("90", 3), up_to("100", 2), up_to("110", 1), below("220", 0), beyond(3))
_NEWS_PULSE = (up_to("40", 3), up_to("50", 1), up_to("90", 0), up_to("110", 1), up_to("130", 2), beyond(3))
_NEWS_TEMPERATURE = (up_to("35", 3), up_to("36", 1), up_to("38", 0), up_to("39", 1), beyond(2))
_NEWS_CONSCIOUSNESS = {"A": 0, "C": 3, "V": 3, "P": 3, "U": 3}
_NEWS_SCALE_1 = (up_to("91", 3), up_to("93", 2), up_to("95", 1), beyond(0))
_NEWS_SCALE_2_AIR = (up_to("83", 3), up_to("85", 2), up_to("87", 1), beyond(0))
_NEWS_SCALE_2_OXYGEN = (
    up_to("83", 3),
    up_to("85", 2),
    up_to("87", 1),
    up_to("92", 0),
    up_to("94", 1),
    up_to("96", 2),
    beyond(3),
)
_NEWS_OXYGEN = 2


def sirs_breathing(inputs: Inputs) -> Decimal:
    """1 where the respiratory rate is above 20/min or PaCO2, if known, below 32 mmHg."""
    return _either(inputs, "respiratory_rate", _SIRS_RATE, "paco2", _SIRS_PACO2)


def sirs_cells(inputs: Inputs) -> Decimal:
    """1 where leucocytes are above 12 or below 4 × 10³/µL or immature forms, if known, above 10 %."""
    return _either(inputs, "wbc", _SIRS_CELLS, "bands_percent", _SIRS_BANDS)


def _either(inputs: Inputs, name: str, bands: Bands, other: str, other_bands: Bands) -> Decimal:
    second = inputs.optional(other)
    return max(points_in(bands, inputs.number(name)), Decimal(0) if second is None else points_in(other_bands, second))


def news2_saturation(inputs: Inputs) -> Decimal:
    """SpO2 points, 0 to 3, on scale 1 or (hypercapnic failure, target 88 to 92 %) scale 2."""
    if inputs.text("spo2_scale") == "1":
        return points_in(_NEWS_SCALE_1, inputs.number("spo2"))
    bands = _NEWS_SCALE_2_OXYGEN if inputs.flag("on_oxygen") else _NEWS_SCALE_2_AIR
    return points_in(bands, inputs.number("spo2"))


def news2_oxygenation(inputs: Inputs) -> Decimal:
    """SpO2 points and those for supplemental oxygen, which scale 2 ties together."""
    return news2_saturation(inputs) + (_NEWS_OXYGEN if inputs.flag("on_oxygen") else 0)


_NEWS_SINGLE = (
    banded("respiratory_rate", _NEWS_RATE),
    banded("sbp", _NEWS_PRESSURE),
    banded("heart_rate", _NEWS_PULSE),
    chosen("consciousness", _NEWS_CONSCIOUSNESS),
    banded("temperature", _NEWS_TEMPERATURE),
)


def _read_qsofa(value: Decimal, inputs: Inputs) -> str:
    if value >= 2:
        return "2 ou mais: maior risco de desfecho ruim se há infecção; não usar sozinho como triagem."
    return "Menos de 2: não exclui sepse; não usar sozinho como triagem."


def _read_sirs(value: Decimal, inputs: Inputs) -> str:
    return "2 ou mais critérios: SIRS presente." if value >= 2 else "Menos de 2 critérios: SIRS ausente."


def _read_news2(value: Decimal, inputs: Inputs) -> str:
    if value >= 7:
        return "7 ou mais: risco alto, resposta de emergência."
    if value >= 5:
        return "5 ou 6: risco médio, avaliação urgente."
    if news2_saturation(inputs) == 3 or any(part.value(inputs) == 3 for part in _NEWS_SINGLE):
        return "Menos de 5 com um parâmetro valendo 3: risco baixo a médio, avaliação urgente na enfermaria."
    return "0 a 4: risco baixo."


CALCULATORS = (
    Calculator(
        id="qsofa",
        title="qSOFA",
        unit="pontos",
        parameters=(RESPIRATORY_RATE, SBP, ALTERED_MENTATION),
        components=(
            banded("respiratory_rate", _QSOFA_RATE),
            banded("sbp", _QSOFA_PRESSURE),
            flagged("altered_mentation", 1),
        ),
        interpret=_read_qsofa,
        formula_version="qsofa_2016",
        source="Seymour CW et al. Assessment of Clinical Criteria for Sepsis. JAMA 2016;315:762-74. "
        "doi:10.1001/jama.2016.0288",
    ),
    Calculator(
        id="sirs",
        title="SIRS",
        unit="critérios",
        parameters=(
            TEMPERATURE,
            HEART_RATE,
            RESPIRATORY_RATE,
            WBC,
            optional(PACO2, "PaCO2 não informada: critério respiratório só pela frequência."),
            optional(
                number("bands_percent", "Formas jovens (bastões)", "%", "0", "100"),
                "Formas jovens não informadas: critério leucocitário só pela contagem.",
            ),
        ),
        components=(
            banded("temperature", _SIRS_TEMPERATURE),
            banded("heart_rate", _SIRS_PULSE),
            Component(("respiratory_rate", "paco2"), sirs_breathing, {"respiratory_rate": cuts_of(_SIRS_RATE)}),
            Component(("wbc", "bands_percent"), sirs_cells, {"wbc": cuts_of(_SIRS_CELLS)}),
        ),
        interpret=_read_sirs,
        formula_version="sirs_1992",
        source="Bone RC et al. Definitions for sepsis and organ failure and guidelines for the use of innovative "
        "therapies in sepsis. Chest 1992;101:1644-55. doi:10.1378/chest.101.6.1644",
    ),
    Calculator(
        id="news2",
        title="NEWS2",
        unit="pontos",
        parameters=(
            RESPIRATORY_RATE,
            SPO2,
            yes_no("on_oxygen", "Oxigênio suplementar"),
            SBP,
            HEART_RATE,
            choice("consciousness", "Consciência (ACVPU)", "A", "C", "V", "P", "U"),
            TEMPERATURE,
            replace(
                choice("spo2_scale", "Escala de SpO2", "1", "2"),
                optional=True,
                default="1",
                assumption="Escala de SpO2 não informada: escala 1 (sem insuficiência respiratória hipercápnica).",
            ),
        ),
        components=(
            *_NEWS_SINGLE,
            Component(
                ("spo2", "on_oxygen", "spo2_scale"),
                news2_oxygenation,
                {"spo2": cuts_of(_NEWS_SCALE_1, _NEWS_SCALE_2_OXYGEN)},
            ),
        ),
        interpret=_read_news2,
        formula_version="news2_2017",
        source="Royal College of Physicians. National Early Warning Score (NEWS) 2: Standardising the assessment of "
        "acute-illness severity in the NHS. London: RCP, 2017. ISBN 978-1-86016-682-2",
    ),
)
