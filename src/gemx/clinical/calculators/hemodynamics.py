"""Haemodynamics and first fluid: mean arterial pressure, shock index, crystalloid bolus. Knows no protocol."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from gemx.clinical.calculators.base import Calculator, Component, Inputs
from gemx.clinical.calculators.parameters import DBP, HEART_RATE, SBP, WEIGHT, number


def mean_arterial_pressure(inputs: Inputs) -> Decimal:
    """(sbp + 2 × dbp) / 3, mmHg: the diastolic pressure plus a third of the pulse pressure (PMID 32694334)."""
    return (inputs.number("sbp") + 2 * inputs.number("dbp")) / 3


def _read_pressure(value: Decimal, inputs: Inputs) -> str:
    if value < 65:
        return "Abaixo de 65 mmHg, a meta inicial no choque."
    return "Na meta inicial do choque (65 mmHg) ou acima."


def shock_index(inputs: Inputs) -> Decimal:
    """heart_rate / sbp, per Allgöwer and Burri 1967 (doi 10.1055/s-0028-1106070)."""
    return inputs.number("heart_rate") / inputs.number("sbp")


def _read_shock_index(value: Decimal, inputs: Inputs) -> str:
    return "1 ou mais: choque iminente (média normal 0,54)." if value >= 1 else "Abaixo de 1 (média normal 0,54)."


def crystalloid_bolus(inputs: Inputs) -> Decimal:
    """weight × ml_per_kg, mL (30 mL/kg: Surviving Sepsis Campaign 2021, doi 10.1097/CCM.0000000000005337)."""
    return inputs.number("weight") * inputs.number("ml_per_kg")


CALCULATORS = (
    Calculator(
        id="mean_arterial_pressure",
        title="Pressão arterial média",
        unit="mmHg",
        parameters=(SBP, DBP),
        components=(Component(("sbp", "dbp"), mean_arterial_pressure),),
        order=(("dbp", "sbp"),),
        interpret=_read_pressure,
        formula_version="map_one_third",
        source="Diastólica mais um terço da pressão de pulso: fórmula usual, avaliada em PMID 32694334",
    ),
    Calculator(
        id="shock_index",
        title="Índice de choque",
        unit="",
        parameters=(HEART_RATE, SBP),
        components=(Component(("heart_rate", "sbp"), shock_index),),
        interpret=_read_shock_index,
        formula_version="shock_index_1967",
        source="Allgöwer M, Burri C. „Schockindex“. Dtsch Med Wochenschr 1967;92:1947-50. doi:10.1055/s-0028-1106070",
    ),
    Calculator(
        id="crystalloid_bolus",
        title="Volume inicial de cristaloide",
        unit="mL",
        parameters=(
            WEIGHT,
            replace(
                number("ml_per_kg", "Volume por peso", "mL/kg", "1", "100"),
                optional=True,
                default=Decimal(30),
                assumption="Volume por peso não informado: 30 mL/kg.",
            ),
        ),
        components=(Component(("weight", "ml_per_kg"), crystalloid_bolus),),
        formula_version="ssc_2021",
        source="Evans L et al. Surviving Sepsis Campaign: International Guidelines for Management of Sepsis and Septic "
        "Shock 2021. Crit Care Med 2021;49:e1063-143. doi:10.1097/CCM.0000000000005337",
    ),
)
