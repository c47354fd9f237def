"""Units and quantities: the closed table, spellings, exact conversion and the algebra of a pump rate."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemx.clinical.quantity import Quantity, convert, parse_quantity, parse_unit
from gemx.errors import InputError


def quantity(value: str, unit: str) -> Quantity:
    return Quantity(Decimal(value), unit)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("mcg", "mcg"),
        ("\u00b5g", "mcg"),
        ("\u03bcg", "mcg"),
        ("ug", "mcg"),
        ("UI", "U"),
        ("unidades", "U"),
        ("meq/l", "mEq/L"),
        ("ml/h", "mL/h"),
        ("mg/kg/d", "mg/kg/dia"),
        ("mg / Kg / dia", "mg/kg/dia"),
        ("mcg/min/kg", "mcg/kg/min"),
        ("U/mL", "U/mL"),
        ("mL/kg", "mL/kg"),
        ("gotas/minuto", "gotas/min"),
        ("1/min", "1/min"),
        ("mg/dL", "mg/dL"),
        ("", ""),
    ],
)
def test_spellings(text: str, canonical: str) -> None:
    assert str(parse_unit(text)) == canonical


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ML/h", "mL"),
        ("Mg", "mg"),
        ("mcgg", "mcg"),
        ("mequiv", "mEq"),
        ("unidade s", "U"),
        ("MEQ", "mEq"),
        ("xyzzy", "aceitas"),
        ("%", "aceitas"),
        ("mL/", "aceitas"),
        ("mg/1", "aceitas"),
        ("mcg/kg/min/h", "partes demais"),
        ("mg/g", "mesma grandeza"),
        ("mg/h/min", "mesma grandeza"),
    ],
)
def test_unknown_units_are_refused_with_an_offer(text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_unit(text)
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("0,1 mcg/kg/min", "0.1", "mcg/kg/min"),
        ("13,1 mL/h", "13.1", "mL/h"),
        ("2,50mg", "2.5", "mg"),
        (" 4 mg ", "4", "mg"),
        ("100 UI/mL", "100", "U/mL"),
        ("1.234,5 mL", "1234.5", "mL"),
    ],
)
def test_reads_quantities(text: str, value: str, unit: str) -> None:
    assert parse_quantity(text) == quantity(value, unit)


@pytest.mark.parametrize(
    "text", ["", "mg", "5", "1.000 mL", "1e3 mg", "5 mg 3", "5 mg/", "quinze mg", ",5 mg", "5 6 mg"]
)
def test_refuses_quantities(text: str) -> None:
    with pytest.raises(InputError):
        parse_quantity(text)


@pytest.mark.parametrize(
    ("source", "target", "value"),
    [
        (("1", "g"), "mg", "1000"),
        (("1", "mg"), "mcg", "1000"),
        (("1", "mcg"), "ng", "1000"),
        (("1", "L"), "mL", "1000"),
        (("64", "mcg/mL"), "mg/L", "64"),
        (("64", "mcg/mL"), "mg/mL", "0.064"),
        (("1", "mg/h"), "mcg/min", "16.66666666666666666666666667"),
        (("1", "dia"), "h", "24"),
        (("1", "h"), "s", "3600"),
        (("1", "mcg/kg/min"), "mg/kg/dia", "1.44"),
        (("1", "gotas"), "microgotas", "3"),
        (("1", "L"), "dL", "10"),
    ],
)
def test_converts(source: tuple[str, str], target: str, value: str) -> None:
    assert convert(quantity(*source), target) == quantity(value, target)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("mg", "U"),
        ("mEq", "mmol"),
        ("mcg/kg/min", "mcg/min"),
        ("kg", "g"),
        ("gotas", "mL"),
        ("mg/kg", ""),
        ("mL/h", "mL"),
    ],
)
def test_different_things_do_not_convert(source: str, target: str) -> None:
    with pytest.raises(InputError, match="grandezas diferentes"):
        convert(quantity("1", source), target)


def test_dose_times_weight_over_concentration_is_a_pump_rate() -> None:
    concentration = quantity("16", "mg") / quantity("250", "mL")
    rate = quantity("0.1", "mcg/kg/min") * quantity("70", "kg") / concentration
    assert convert(rate, "mL/h") == quantity("6.5625", "mL/h")


def test_the_algebra_keeps_units_together() -> None:
    assert quantity("30", "mL/kg") * quantity("70", "kg") == quantity("2100", "mL")
    assert quantity("70", "kg") * quantity("30", "mL/kg") == quantity("2100", "mL")
    assert quantity("4", "mg") / quantity("2", "mL") == quantity("2", "mg/mL")
    assert quantity("1", "mg") / quantity("250", "mcg") == quantity("4", "")
    assert quantity("6", "mL/h") / quantity("3", "mL") == quantity("2", "1/h")
    assert quantity("2", "1/h") * quantity("30", "min") == quantity("1", "")


def test_operations_without_a_prescription_unit_are_refused() -> None:
    for left, right in (("mg", "mL"), ("mg", "mg"), ("mg", "kg")):
        with pytest.raises(InputError, match="unidade de prescrição"):
            quantity("1", left) * quantity("1", right)
    with pytest.raises(InputError, match="unidade de prescrição"):
        quantity("1", "mcg/kg/min") / quantity("1", "mL")
    with pytest.raises(InputError, match="zero"):
        quantity("1", "mg") / quantity("0", "mL")


@pytest.mark.parametrize("value", ["NaN", "Infinity"])
def test_a_quantity_is_finite(value: str) -> None:
    with pytest.raises(InputError):
        quantity(value, "mg")


def test_prints_in_pt_br() -> None:
    assert str(quantity("0.10", "\u00b5g/kg/min")) == "0,1 mcg/kg/min"
    assert str(quantity("4", "")) == "4"


VALUES = st.decimals(min_value="0.0001", max_value=100000, places=4)


@given(VALUES, st.sampled_from([("g", "mcg"), ("L", "mL"), ("dia", "min"), ("mg/kg/dia", "mg/kg/h"), ("mg/mL", "g/L")]))
def test_conversion_goes_back(value: Decimal, units: tuple[str, str]) -> None:
    there = convert(Quantity(value, units[0]), units[1])
    back = convert(there, units[0])
    assert abs(back.value - value) <= value * Decimal("1E-27")


@given(VALUES, VALUES, VALUES)
def test_rate_and_dose_are_inverse(dose: Decimal, weight: Decimal, concentration: Decimal) -> None:
    strength = Quantity(concentration, "mg/mL")
    rate = convert(Quantity(dose, "mcg/kg/min") * Quantity(weight, "kg") / strength, "mL/h")
    back = convert(rate * strength / Quantity(weight, "kg"), "mcg/kg/min")
    assert abs(back.value - dose) <= dose * Decimal("1E-25")


@given(VALUES, VALUES)
def test_spelling_does_not_change_a_product(left: Decimal, right: Decimal) -> None:
    assert Quantity(left, "\u00b5g/ml") * Quantity(right, "ml") == Quantity(left, "mcg/mL") * Quantity(right, "mL")
