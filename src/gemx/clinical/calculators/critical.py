"""The critically ill: Glasgow coma scale, SOFA (1996), APACHE II. Knows no diagnosis and no treatment.

The tables are printed in rounded numbers (SOFA's bilirubin 1.2–1.9, then 2.0–5.9; APACHE's temperature 39–40.9). Each
band here begins at its printed lower end and goes on to the next one's, so that no value is left without points: in
SOFA a P/F ratio of 199.5 is below 200, bilirubin 12.0 and creatinine 5.0 mg/dL are 4 points. Two bands end, instead,
with their printed upper end: dopamine 5 and APACHE's PaO2 60 and 70.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from gemx.clinical.calculators.bands import (
    Bands,
    banded,
    below,
    beyond,
    chosen,
    counted,
    cuts_of,
    points_in,
    up_to,
)
from gemx.clinical.calculators.base import Calculator, Component, Inputs, OtherUnit, Parameter
from gemx.clinical.calculators.parameters import (
    AGE,
    BILIRUBIN,
    CREATININE,
    FIO2,
    GCS,
    HEART_RATE,
    MAP,
    PAO2,
    PLATELETS,
    POTASSIUM,
    RESPIRATORY_RATE,
    SODIUM,
    TEMPERATURE,
    WBC,
    assumed,
    explained,
    number,
    optional,
    whole,
    yes_no,
)

_SOFA_RATIO = (below("100", 4), below("200", 3), below("300", 2), below("400", 1), beyond(0))
_SOFA_UNVENTILATED = 2
_SOFA_PLATELETS = (below("20", 4), below("50", 3), below("100", 2), below("150", 1), beyond(0))
_SOFA_BILIRUBIN = (below("1.2", 0), below("2", 1), below("6", 2), below("12", 3), beyond(4))
_SOFA_GCS = (below("6", 4), below("10", 3), below("13", 2), below("15", 1), beyond(0))
_SOFA_CREATININE = (below("1.2", 0), below("2", 1), below("3.5", 2), below("5", 3), beyond(4))
_SOFA_URINE = (below("200", 4), below("500", 3), beyond(0))
_SOFA_PRESSURE = (below("70", 1), beyond(0))
_SOFA_DOPAMINE = (up_to("0", 0), up_to("5", 2), up_to("15", 3), beyond(4))
_SOFA_DOBUTAMINE = (up_to("0", 0), beyond(2))
_SOFA_ADRENERGIC = (up_to("0", 0), up_to("0.1", 3), beyond(4))
_SOFA_CIRCULATION: dict[str, Bands] = {
    "map": _SOFA_PRESSURE,
    "dopamine": _SOFA_DOPAMINE,
    "dobutamine": _SOFA_DOBUTAMINE,
    "norepinephrine": _SOFA_ADRENERGIC,
    "epinephrine": _SOFA_ADRENERGIC,
}
_AMINES = {
    "dopamine": "Dopamina",
    "dobutamine": "Dobutamina",
    "norepinephrine": "Noradrenalina",
    "epinephrine": "Adrenalina",
}

_HALF_OXYGEN = Decimal("0.5")
_APACHE_AGE = (below("45", 0), below("55", 2), below("65", 3), below("75", 5), beyond(6))
_APACHE_TEMPERATURE = (
    below("30", 4),
    below("32", 3),
    below("34", 2),
    below("36", 1),
    below("38.5", 0),
    below("39", 1),
    below("41", 3),
    beyond(4),
)
_APACHE_PRESSURE = (below("50", 4), below("70", 2), below("110", 0), below("130", 2), below("160", 3), beyond(4))
_APACHE_PULSE = (
    below("40", 4),
    below("55", 3),
    below("70", 2),
    below("110", 0),
    below("140", 2),
    below("180", 3),
    beyond(4),
)
_APACHE_RATE = (
    below("6", 4),
    below("10", 2),
    below("12", 1),
    below("25", 0),
    below("35", 1),
    below("50", 3),
    beyond(4),
)
_APACHE_GRADIENT = (below("200", 0), below("350", 2), below("500", 3), beyond(4))
_APACHE_PAO2 = (below("55", 4), up_to("60", 3), up_to("70", 1), beyond(0))
_APACHE_PH = (
    below("7.15", 4),
    below("7.25", 3),
    below("7.33", 2),
    below("7.5", 0),
    below("7.6", 1),
    below("7.7", 3),
    beyond(4),
)
_APACHE_SODIUM = (
    below("111", 4),
    below("120", 3),
    below("130", 2),
    below("150", 0),
    below("155", 1),
    below("160", 2),
    below("180", 3),
    beyond(4),
)
_APACHE_POTASSIUM = (
    below("2.5", 4),
    below("3", 2),
    below("3.5", 1),
    below("5.5", 0),
    below("6", 1),
    below("7", 3),
    beyond(4),
)
_APACHE_CREATININE = (below("0.6", 2), below("1.5", 0), below("2", 2), below("3.5", 3), beyond(4))
_APACHE_HEMATOCRIT = (below("20", 4), below("30", 2), below("46", 0), below("50", 1), below("60", 2), beyond(4))
_APACHE_CELLS = (below("1", 4), below("3", 2), below("15", 0), below("20", 1), below("40", 2), beyond(4))
_APACHE_HEALTH = {"none": 0, "elective": 2, "emergency": 5}
_APACHE_HEALTH_MEANINGS = {
    "none": "sem insuficiência orgânica grave nem imunossupressão",
    "elective": "com ela, pós-operatório eletivo",
    "emergency": "com ela, clínico ou pós-operatório de urgência",
}
# (score from, hospital mortality in % without and after surgery)
_APACHE_MORTALITY = (
    (35, "85", "88"),
    (30, "73", "73"),
    (25, "55", "35"),
    (20, "40", "30"),
    (15, "24", "12"),
    (10, "15", "7"),
    (5, "8", "3"),
    (0, "4", "1"),
)


def sofa_respiration(inputs: Inputs) -> Decimal:
    """0 to 4 points for PaO2 / FiO2; 3 and 4 only with ventilatory support."""
    points = points_in(_SOFA_RATIO, inputs.number("pao2") / inputs.number("fio2"))
    return points if inputs.flag("ventilated") else min(points, Decimal(_SOFA_UNVENTILATED))


def sofa_circulation(inputs: Inputs) -> Decimal:
    """0 to 4 points: the worst of mean arterial pressure and vasoactive doses (mcg/kg/min); one left out is none."""
    known = ((bands, inputs.optional(name)) for name, bands in _SOFA_CIRCULATION.items())
    return max((points_in(bands, value) for bands, value in known if value is not None), default=Decimal(0))


def sofa_kidney(inputs: Inputs) -> Decimal:
    """0 to 4 points: the worse of creatinine (mg/dL) and, if known, urine output (mL a day)."""
    urine = inputs.optional("urine_output_ml_day")
    points = points_in(_SOFA_CREATININE, inputs.number("creatinine"))
    return points if urine is None else max(points, points_in(_SOFA_URINE, urine))


_SOFA_ORGANS = {
    "respiração": Component(("pao2", "fio2", "ventilated"), sofa_respiration),
    "coagulação": banded("platelets", _SOFA_PLATELETS),
    "fígado": banded("bilirubin", _SOFA_BILIRUBIN),
    "circulação": Component(tuple(_SOFA_CIRCULATION), sofa_circulation),
    "sistema nervoso": banded("gcs", _SOFA_GCS),
    "rim": Component(("creatinine", "urine_output_ml_day"), sofa_kidney, {"creatinine": cuts_of(_SOFA_CREATININE)}),
}


def _pressure_needed(inputs: Inputs) -> tuple[str, ...]:
    """A pressure, where amines are known and none is running: without one they say nothing of the circulation."""
    doses = [inputs.number(name) for name in _AMINES if name in inputs]
    return ("map",) if doses and not any(doses) else ()


def _sofa_notes(inputs: Inputs) -> tuple[str, ...]:
    if not any(name in inputs for name in _SOFA_CIRCULATION):
        return ()
    silent = [label.lower() for name, label in _AMINES.items() if name not in inputs]
    notes = [f"Sem dose informada de {', '.join(silent)}: assumido que não recebe."] if silent else []
    if any(name in inputs and inputs.number(name) for name in _AMINES):
        if "map" not in inputs:
            notes.append("Pressão arterial média não informada: a circulação pontua pelas aminas.")
        notes.append("Aminas pontuam se infundidas por pelo menos 1 h.")
    return tuple(notes)


def _read_sofa(value: Decimal, inputs: Inputs) -> str:
    organs = ", ".join(f"{organ} {part.value(inputs)}" for organ, part in _SOFA_ORGANS.items())
    return f"{organs.capitalize()}. Aumento de 2 ou mais sobre o basal é disfunção orgânica (Sepsis-3)."


def apache_oxygenation(inputs: Inputs) -> Decimal:
    """0 to 4 points: the alveolar-arterial gradient where FiO2 is 0.5 or more, else PaO2 (mmHg)."""
    if inputs.number("fio2") >= _HALF_OXYGEN:
        return points_in(_APACHE_GRADIENT, inputs.number("aado2"))
    return points_in(_APACHE_PAO2, inputs.number("pao2"))


def apache_creatinine(inputs: Inputs) -> Decimal:
    """0 to 4 points for creatinine (mg/dL), doubled in acute renal failure."""
    points = points_in(_APACHE_CREATININE, inputs.number("creatinine"))
    return points * 2 if inputs.flag("acute_renal_failure") else points


def apache_gcs(inputs: Inputs) -> Decimal:
    """15 - GCS."""
    return 15 - inputs.number("gcs")


def _oxygenation_needs(inputs: Inputs) -> tuple[str, ...]:
    if "fio2" not in inputs:
        return ("pao2", "aado2")
    return ("aado2",) if inputs.number("fio2") >= _HALF_OXYGEN else ("pao2",)


def _read_apache(value: Decimal, inputs: Inputs) -> str:
    _, medical, surgical = next(row for row in _APACHE_MORTALITY if value >= row[0])
    return (
        f"Mortalidade hospitalar aproximada na coorte de 1985: {medical} % (clínico), {surgical} % (pós-operatório). "
        "Supõe os piores valores das primeiras 24 h de UTI."
    )


def _read_gcs(value: Decimal, inputs: Inputs) -> str:
    if value <= 8:
        return "3 a 8: comprometimento grave."
    return "9 a 12: comprometimento moderado." if value <= 12 else "13 a 15: comprometimento leve ou ausente."


def _dose(name: str, high: str) -> Parameter:
    return optional(number(name, _AMINES[name], "mcg/kg/min", "0", high, OtherUnit("µg/kg/min", Fraction(1))))


CALCULATORS = (
    Calculator(
        id="glasgow_coma_scale",
        title="Escala de coma de Glasgow",
        unit="pontos",
        parameters=(
            whole("eye", "Abertura ocular", "1", "4"),
            whole("verbal", "Resposta verbal", "1", "5"),
            whole("motor", "Resposta motora", "1", "6"),
        ),
        components=(counted("eye"), counted("verbal"), counted("motor")),
        interpret=_read_gcs,
        formula_version="glasgow_1974",
        source="Teasdale G, Jennett B. Assessment of coma and impaired consciousness. Lancet 1974;2:81-4. "
        "doi:10.1016/S0140-6736(74)91639-0",
    ),
    Calculator(
        id="sofa_1996",
        title="SOFA (1996)",
        unit="pontos",
        parameters=(
            PAO2,
            FIO2,
            yes_no("ventilated", "Suporte ventilatório"),
            PLATELETS,
            BILIRUBIN,
            GCS,
            CREATININE,
            optional(MAP),
            _dose("dopamine", "100"),
            _dose("dobutamine", "100"),
            _dose("norepinephrine", "10"),
            _dose("epinephrine", "10"),
            optional(
                number("urine_output_ml_day", "Diurese em 24 h", "mL", "0", "30000", OtherUnit("L", Fraction(1000))),
                "Diurese em 24 h não informada: rim só pela creatinina.",
            ),
        ),
        components=tuple(_SOFA_ORGANS.values()),
        any_of=(tuple(_SOFA_CIRCULATION),),
        needs=_pressure_needed,
        interpret=_read_sofa,
        notes=_sofa_notes,
        formula_version="sofa_1996",
        source="Vincent JL et al. The SOFA (Sepsis-related Organ Failure Assessment) score to describe organ "
        "dysfunction/failure. Intensive Care Med 1996;22:707-10. doi:10.1007/BF01709751",
    ),
    Calculator(
        id="apache_ii",
        title="APACHE II",
        unit="pontos",
        parameters=(
            AGE,
            TEMPERATURE,
            MAP,
            HEART_RATE,
            RESPIRATORY_RATE,
            FIO2,
            replace(optional(PAO2), label="PaO2, se FiO2 abaixo de 0,5"),
            optional(number("aado2", "Gradiente alvéolo-arterial de O2, se FiO2 de 0,5 ou mais", "mmHg", "0", "700")),
            number("ph", "pH arterial", "", "6.3", "8"),
            SODIUM,
            POTASSIUM,
            CREATININE,
            yes_no("acute_renal_failure", "Insuficiência renal aguda"),
            number("hematocrit", "Hematócrito", "%", "3", "80"),
            WBC,
            GCS,
            assumed(
                explained("chronic_health", "Doença crônica", _APACHE_HEALTH_MEANINGS),
                "none",
                "Doença crônica não informada: assumido que não há.",
            ),
        ),
        components=(
            banded("age", _APACHE_AGE),
            banded("temperature", _APACHE_TEMPERATURE),
            banded("map", _APACHE_PRESSURE),
            banded("heart_rate", _APACHE_PULSE),
            banded("respiratory_rate", _APACHE_RATE),
            Component(
                ("fio2", "pao2", "aado2"),
                apache_oxygenation,
                {"fio2": (_HALF_OXYGEN,), "pao2": cuts_of(_APACHE_PAO2), "aado2": cuts_of(_APACHE_GRADIENT)},
            ),
            banded("ph", _APACHE_PH),
            banded("sodium", _APACHE_SODIUM),
            banded("potassium", _APACHE_POTASSIUM),
            Component(
                ("creatinine", "acute_renal_failure"), apache_creatinine, {"creatinine": cuts_of(_APACHE_CREATININE)}
            ),
            banded("hematocrit", _APACHE_HEMATOCRIT),
            banded("wbc", _APACHE_CELLS),
            Component(("gcs",), apache_gcs),
            chosen("chronic_health", _APACHE_HEALTH),
        ),
        needs=_oxygenation_needs,
        interpret=_read_apache,
        formula_version="apache_ii_1985",
        source="Knaus WA et al. APACHE II: a severity of disease classification system. Crit Care Med 1985;13:818-29. "
        "doi:10.1097/00003246-198510000-00009",
    ),
)
