"""The inputs that calculators share, defined once: label, unit, hard range, second units.

A hard range is what can be true of a living adult, so that a value in the wrong unit (albumin 35, leucocytes 12000) is
refused instead of computed. A number that carries one of the second units is converted; any other unit is refused.
Knows no formula.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from gemx.clinical.calculators.base import OtherUnit, Parameter


def number(name: str, label: str, unit: str, low: str, high: str, *others: OtherUnit) -> Parameter:
    """A required number with a closed hard range."""
    return Parameter(name, label, unit=unit, low=Decimal(low), high=Decimal(high), other_units=others)


def positive(name: str, label: str, unit: str) -> Parameter:
    """A required number above zero, without an upper end."""
    return Parameter(name, label, unit=unit, low=Decimal(0), low_excluded=True)


def yes_no(name: str, label: str) -> Parameter:
    """A required yes or no."""
    return Parameter(name, label, kind="boolean")


def choice(name: str, label: str, *choices: str) -> Parameter:
    """A required choice."""
    return Parameter(name, label, kind="choice", choices=choices)


def optional(parameter: Parameter, assumption: str = "") -> Parameter:
    """`parameter`, which may be left out; what depends on it is then not evaluated."""
    return replace(parameter, optional=True, assumption=assumption)


_PER_MICROLITRE = (OtherUnit("/mm³", Fraction(1, 1000)), OtherUnit("/µL", Fraction(1, 1000)))
_MILLIEQUIVALENT = OtherUnit("mEq/L", Fraction(1))
_GRAM_PER_LITRE = OtherUnit("g/L", Fraction(1, 10))
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
PACO2 = number("paco2", "PaCO2", "mmHg", "5", "250", OtherUnit("kPa", Fraction("7.50062")))
WBC = number("wbc", "Leucócitos", "10³/µL", "0", "1000", *_PER_MICROLITRE)
HEMOGLOBIN = number("hemoglobin", "Hemoglobina", "g/dL", "1", "30", _GRAM_PER_LITRE)
ALBUMIN = number("albumin", "Albumina", "g/dL", "0.3", "8", _GRAM_PER_LITRE)
INR = number("inr", "INR", "", "0.5", "30")
CREATININE = number("creatinine", "Creatinina", "mg/dL", "0.1", "40", OtherUnit("µmol/L", 1 / Fraction("88.4")))
UREA = number("urea", "Ureia", "mg/dL", "1", "800", OtherUnit("mmol/L", _UREA_MILLIMOLE))
BUN = number("bun", "Nitrogênio ureico (BUN)", "mg/dL", "0.5", "375", OtherUnit("mmol/L", _BUN_MILLIMOLE))
SODIUM = number("sodium", "Sódio", "mmol/L", "80", "220", _MILLIEQUIVALENT)
CHLORIDE = number("chloride", "Cloreto", "mmol/L", "40", "180", _MILLIEQUIVALENT)
BICARBONATE = number("bicarbonate", "Bicarbonato", "mmol/L", "1", "80", _MILLIEQUIVALENT)
ALTERED_MENTATION = yes_no("altered_mentation", "Alteração do nível de consciência")
