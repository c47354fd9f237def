"""The calculator `modified_shock_index`. What clinicians read is in pt-BR, and every formula names its source."""

from __future__ import annotations

from decimal import Decimal

from gemx.clinical.calculators import Calculator, Component, Inputs, Parameter


def _modified_shock_index(inputs: Inputs) -> Decimal:
    return inputs.number("heart_rate") / inputs.number("map")


MODIFIED_SHOCK_INDEX = Calculator(
    id="modified_shock_index",
    title="Índice de choque modificado",
    unit="",
    parameters=(
        Parameter("heart_rate", "Frequência cardíaca", unit="bpm", low=Decimal(0), high=Decimal(350)),
        Parameter("map", "Pressão arterial média", unit="mmHg", low=Decimal(10), high=Decimal(300)),
    ),
    components=(Component(("heart_rate", "map"), _modified_shock_index),),
    formula_version="liu_2012",
    source="Liu YC et al. Modified shock index and mortality rate of emergency patients. "
    "World J Emerg Med 2012;3:114-7",
)
