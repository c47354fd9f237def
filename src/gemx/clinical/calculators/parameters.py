"""The inputs that calculators share, defined once: label, unit, hard range, second units.

A hard range is what can be true of a living adult, so that a value in the wrong unit (albumin 35, leucocytes 12000) is
refused instead of computed. A number that carries one of the second units is converted; any other unit is refused.
Knows no formula.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from gemx.clinical.calculators.base import OtherUnit, Parameter, Value


def number(name: str, label: str, unit: str, low: str, high: str, *others: OtherUnit) -> Parameter:
    """A required number with a closed hard range."""
    return Parameter(name, label, unit=unit, low=Decimal(low), high=Decimal(high), other_units=others)


def positive(name: str, label: str, unit: str) -> Parameter:
    """A required number above zero, without an upper end."""
    return Parameter(name, label, unit=unit, low=Decimal(0), low_excluded=True)


def yes_no(name: str, label: str) -> Parameter:
    """A required yes or no."""
    return Parameter(name, label, kind="boolean")


def whole(name: str, label: str, low: str, high: str) -> Parameter:
    """A required whole number without a unit."""
    return replace(number(name, label, "", low, high), whole=True)


def choice(name: str, label: str, *choices: str) -> Parameter:
    """A required choice."""
    return Parameter(name, label, kind="choice", choices=choices)


def explained(name: str, label: str, meanings: Mapping[str, str]) -> Parameter:
    """A required choice whose values have a meaning in pt-BR."""
    return replace(choice(name, label, *meanings), meanings=tuple(meanings.values()))


def assumed(parameter: Parameter, default: Value, assumption: str) -> Parameter:
    """`parameter`, which takes `default` where it is left out, and the pt-BR sentence that says so."""
    return replace(parameter, optional=True, default=default, assumption=assumption)


def optional(parameter: Parameter, assumption: str = "") -> Parameter:
    """`parameter`, which may be left out; what depends on it is then not evaluated."""
    return replace(parameter, optional=True, assumption=assumption)


_PER_MICROLITRE = (OtherUnit("/mm³", Fraction(1, 1000)), OtherUnit("/µL", Fraction(1, 1000)))
_MILLIEQUIVALENT = OtherUnit("mEq/L", Fraction(1))
_GRAM_PER_LITRE = OtherUnit("g/L", Fraction(1, 10))
_KILOPASCAL = OtherUnit("kPa", Fraction("7.50062"))
_CREATININE_MICROMOLE = OtherUnit("µmol/L", 1 / Fraction("88.4"))
_UREA_MILLIMOLE = Fraction("6.006")
_BUN_MILLIMOLE = Fraction("2.8014")

AGE = number("age", "Idade", "anos", "18", "130")
SEX = choice("sex", "Sexo", "M", "F")
WEIGHT = number("weight", "Peso", "kg", "20", "650")
HEIGHT = number("height", "Altura", "cm", "120", "260", OtherUnit("m", Fraction(100)))
SBP = number("sbp", "Pressão sistólica", "mmHg", "20", "350")
DBP = number("dbp", "Pressão diastólica", "mmHg", "0", "250")
HEART_RATE = number("heart_rate", "Frequência cardíaca", "bpm", "0", "350")
RESPIRATORY_RATE = number("respiratory_rate", "Frequência respiratória", "irpm", "0", "100")
TEMPERATURE = number(
    "temperature",
    "Temperatura",
    "°C",
    "13",
    "47",
    OtherUnit("°F", Fraction(5, 9), Decimal(32)),
    OtherUnit("C", Fraction(1)),
)
SPO2 = number("spo2", "Saturação periférica", "%", "20", "100")
PACO2 = number("paco2", "PaCO2", "mmHg", "5", "250", _KILOPASCAL)
WBC = number("wbc", "Leucócitos", "10³/µL", "0", "1000", *_PER_MICROLITRE)
HEMOGLOBIN = number("hemoglobin", "Hemoglobina", "g/dL", "1", "30", _GRAM_PER_LITRE)
ALBUMIN = number("albumin", "Albumina", "g/dL", "0.3", "8", _GRAM_PER_LITRE)
INR = number("inr", "INR", "", "0.5", "30")
CREATININE = number("creatinine", "Creatinina", "mg/dL", "0.1", "40", _CREATININE_MICROMOLE)
UREA = number("urea", "Ureia", "mg/dL", "1", "800", OtherUnit("mmol/L", _UREA_MILLIMOLE))
BUN = number("bun", "Nitrogênio ureico (BUN)", "mg/dL", "0.4", "375", OtherUnit("mmol/L", _BUN_MILLIMOLE))
SODIUM = number("sodium", "Sódio", "mmol/L", "80", "220", _MILLIEQUIVALENT)
CHLORIDE = number("chloride", "Cloreto", "mmol/L", "40", "180", _MILLIEQUIVALENT)
BICARBONATE = number("bicarbonate", "Bicarbonato", "mmol/L", "1", "80", _MILLIEQUIVALENT)
ALTERED_MENTATION = yes_no("altered_mentation", "Alteração do nível de consciência")
DIALYSIS = assumed(
    yes_no("dialysis_twice_in_week", "Diálise duas vezes na última semana"),
    False,
    "Diálise duas vezes na última semana (ou 24 h de hemodiálise contínua) não informada: assumido que não.",
)
PAO2 = number("pao2", "PaO2", "mmHg", "15", "800", _KILOPASCAL)
FIO2 = number("fio2", "FiO2 (fração)", "", "0.21", "1", OtherUnit("%", Fraction(1, 100)))
MAP = number("map", "Pressão arterial média", "mmHg", "10", "300")
GCS = whole("gcs", "Escala de coma de Glasgow", "3", "15")
PLATELETS = number("platelets", "Plaquetas", "10³/µL", "0", "3000", *_PER_MICROLITRE)
# 584.7 g/mol; no laboratory reports less than 3 µmol/L, so that 2.6 "µmol/L" was measured in mg/dL
BILIRUBIN = number(
    "bilirubin",
    "Bilirrubina total",
    "mg/dL",
    "0.05",
    "100",
    OtherUnit("µmol/L", 1 / Fraction("17.1"), low=Decimal(3)),
)
POTASSIUM = number("potassium", "Potássio", "mmol/L", "1", "15", _MILLIEQUIVALENT)
GLUCOSE = number("glucose", "Glicemia", "mg/dL", "5", "3000", OtherUnit("mmol/L", Fraction(18)))
CALCIUM = number("calcium", "Cálcio total", "mg/dL", "3", "25", OtherUnit("mmol/L", Fraction("4.008")))
URINE_SODIUM = number("urine_sodium", "Sódio urinário", "mmol/L", "1", "500", _MILLIEQUIVALENT)
URINE_CREATININE = number(
    "urine_creatinine",
    "Creatinina urinária",
    "mg/dL",
    "1",
    "1000",
    _CREATININE_MICROMOLE,
    OtherUnit("mmol/L", 1000 / Fraction("88.4")),
)
