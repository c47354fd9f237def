"""Dilution and continuous infusion: concentration, pump rate, drops, dose. Unit arithmetic; knows no drug and no limit.

`volume_ml` is the final volume, ampoules included. Dose units are an amount per time, per kg of body weight or not.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from gemx.clinical.calculators.base import Calculator, Component, Inputs, OtherUnit, Parameter
from gemx.clinical.calculators.parameters import WEIGHT, assumed, explained, optional, positive
from gemx.clinical.numbers import format_number
from gemx.clinical.quantity import Quantity, convert, parse_unit
from gemx.errors import InputError

_AMOUNTS = {"mass", "activity", "equivalents", "substance"}

_AMOUNT = positive("amount", "Quantidade do fármaco", "")
_AMOUNT_UNIT = Parameter("amount_unit", "Unidade da quantidade", kind="unit")
_DOSE_UNIT = Parameter("dose_unit", "Unidade da dose", kind="unit")
_VOLUME = positive("volume_ml", "Volume final", "mL")
_ARITHMETIC = (
    "Aritmética de unidades: velocidade = dose × peso ÷ concentração; concentração = quantidade ÷ volume final"
)


def _final_volume(inputs: Inputs) -> Decimal:
    return inputs.number("diluent_volume_ml") + inputs.number("drug_volume_ml")


def _concentration(inputs: Inputs, volume_ml: Decimal) -> Quantity:
    return Quantity(inputs.number("amount"), inputs.text("amount_unit")) / Quantity(volume_ml, "mL")


def _concentration_unit(inputs: Inputs) -> str:
    unit = inputs.text("amount_unit")
    return "mcg/mL" if "mass" in parse_unit(unit).dimensions else f"{unit}/mL"


def dilution(inputs: Inputs) -> Decimal:
    """amount / (diluent + drug volume): mcg/mL for a mass, else the amount's unit per mL."""
    return convert(_concentration(inputs, _final_volume(inputs)), _concentration_unit(inputs)).value


def infusion_rate(inputs: Inputs) -> Decimal:
    """dose [× weight] / (amount / volume), mL/h."""
    dose = Quantity(inputs.number("dose"), inputs.text("dose_unit"))
    if _per_weight(inputs):
        dose *= Quantity(inputs.number("weight"), "kg")
    return convert(dose / _concentration(inputs, inputs.number("volume_ml")), "mL/h").value


def infusion_dose(inputs: Inputs) -> Decimal:
    """rate × (amount / volume) [/ weight], in dose_unit."""
    dose = Quantity(inputs.number("rate"), "mL/h") * _concentration(inputs, inputs.number("volume_ml"))
    if _per_weight(inputs):
        dose /= Quantity(inputs.number("weight"), "kg")
    return convert(dose, inputs.text("dose_unit")).value


def _per_weight(inputs: Inputs) -> bool:
    return "body_weight" in parse_unit(inputs.text("dose_unit")).dimensions


def _weight_needed(inputs: Inputs) -> tuple[str, ...]:
    return ("weight",) if "dose_unit" in inputs and _per_weight(inputs) else ()


def _amount_of(inputs: Inputs, name: str) -> str:
    """The dimension of the drug in a unit: mass, activity, equivalents or substance; empty where there is none."""
    over = [dimension for dimension, exponent in parse_unit(inputs.text(name)).dimensions.items() if exponent > 0]
    return over[0] if over and over[0] in _AMOUNTS else ""


def _check_amount_unit(inputs: Inputs) -> None:
    if "amount_unit" not in inputs:
        return
    unit = inputs.text("amount_unit")
    if not _amount_of(inputs, "amount_unit") or len(parse_unit(unit).parts) > 1:
        raise InputError(
            f"Unidade da quantidade (amount_unit): {unit} não é quantidade de fármaco; use g, mg, mcg ou U."
        )


def _check_infusion_units(inputs: Inputs) -> None:
    _check_amount_unit(inputs)
    if "dose_unit" not in inputs:
        return
    unit, amount = inputs.text("dose_unit"), _amount_of(inputs, "dose_unit")
    others = {name: power for name, power in parse_unit(unit).dimensions.items() if name != amount}
    if not amount or others not in ({"time": -1}, {"body_weight": -1, "time": -1}):
        raise InputError(
            f"Unidade da dose (dose_unit): {unit} não é dose por tempo; use, por exemplo, mcg/kg/min ou U/h."
        )
    if "amount_unit" in inputs and _amount_of(inputs, "amount_unit") != amount:
        raise InputError(f"A dose em {unit} não combina com a quantidade em {inputs.text('amount_unit')}.")


def _read_dilution(value: Decimal, inputs: Inputs) -> str:
    return f"Volume final {format_number(_final_volume(inputs))} mL."


def drip_rate(inputs: Inputs) -> Decimal:
    """volume / hours × drops per mL / 60, drops per minute."""
    return inputs.number("volume_ml") / inputs.number("hours") * Decimal(inputs.text("drop_factor")) / 60


def _drops(inputs: Inputs) -> str:
    return "microgotas/min" if inputs.text("drop_factor") == "60" else "gotas/min"


def _read_drip(value: Decimal, inputs: Inputs) -> str:
    return f"Contar {format_number(value, 0)} {_drops(inputs)}."


def _dose_unit(inputs: Inputs) -> str:
    return inputs.text("dose_unit")


CALCULATORS = (
    Calculator(
        id="dilution",
        title="Concentração da solução",
        unit="",
        parameters=(
            _AMOUNT,
            _AMOUNT_UNIT,
            positive("diluent_volume_ml", "Volume do diluente", "mL"),
            replace(
                positive("drug_volume_ml", "Volume do fármaco", "mL"),
                low_excluded=False,
                optional=True,
                default=Decimal(0),
                assumption="Volume do fármaco não informado: assumido 0 mL, o volume final é o do diluente.",
            ),
        ),
        components=(Component(("amount", "amount_unit", "diluent_volume_ml", "drug_volume_ml"), dilution),),
        check=_check_amount_unit,
        interpret=_read_dilution,
        unit_from=_concentration_unit,
        formula_version="unit_arithmetic_1",
        source=_ARITHMETIC,
    ),
    Calculator(
        id="infusion_rate",
        title="Velocidade de infusão",
        unit="mL/h",
        parameters=(positive("dose", "Dose", ""), _DOSE_UNIT, _AMOUNT, _AMOUNT_UNIT, _VOLUME, optional(WEIGHT)),
        components=(Component(("dose", "dose_unit", "amount", "amount_unit", "volume_ml", "weight"), infusion_rate),),
        needs=_weight_needed,
        check=_check_infusion_units,
        formula_version="unit_arithmetic_1",
        source=_ARITHMETIC,
    ),
    Calculator(
        id="infusion_dose",
        title="Dose de uma infusão",
        unit="",
        parameters=(
            positive("rate", "Velocidade", "mL/h"),
            _DOSE_UNIT,
            _AMOUNT,
            _AMOUNT_UNIT,
            _VOLUME,
            optional(WEIGHT),
        ),
        components=(Component(("rate", "dose_unit", "amount", "amount_unit", "volume_ml", "weight"), infusion_dose),),
        needs=_weight_needed,
        check=_check_infusion_units,
        unit_from=_dose_unit,
        formula_version="unit_arithmetic_1",
        source=_ARITHMETIC,
    ),
    Calculator(
        id="drip_rate",
        title="Gotejamento",
        unit="gotas/min",
        parameters=(
            replace(_VOLUME, label="Volume a infundir"),
            replace(positive("hours", "Tempo de infusão", "h"), other_units=(OtherUnit("min", Fraction(1, 60)),)),
            assumed(
                explained("drop_factor", "Equipo, gotas por mL", {"20": "gotas", "60": "microgotas"}),
                "20",
                "Equipo não informado: 20 gotas por mL.",
            ),
        ),
        components=(Component(("volume_ml", "hours", "drop_factor"), drip_rate),),
        interpret=_read_drip,
        unit_from=_drops,
        formula_version="drops_1",
        source="Aritmética de unidades: volume ÷ tempo × gotas por mL; 1 mL = 20 gotas = 60 microgotas",
    ),
)
