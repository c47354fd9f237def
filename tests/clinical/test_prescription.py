from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemx.clinical.formulary import Presentation, load_formulary
from gemx.clinical.prescription import PUMP_STEP, Computed, Order, check, compute
from gemx.clinical.quantity import Quantity, convert, parse_quantity
from gemx.errors import InputError

KG = Decimal(70)
AMPOULE = ("4 mg", "4 mL")
BAG = (None, "500 mL")


def order(
    product: tuple[str | None, str | None],
    dose: str,
    mode: Literal["unica", "intermitente", "continua"] = "unica",
    *,
    quantity: str | None = None,
    diluent: str | None = None,
    every: int | None = None,
) -> Order:
    mass, volume = (parse_quantity(text) if text else None for text in product)
    presentation = Presentation(id="p", text="p", mass=mass, volume=volume, source="s")
    return Order(
        presentation=presentation,
        mode=mode,
        dose=parse_quantity(dose),
        quantity=Decimal(quantity) if quantity else None,
        diluent_volume=parse_quantity(diluent) if diluent else None,
        interval_h=Decimal(every) if every else None,
    )


def shown(computed: Computed) -> dict[str, str]:
    return {name: str(value) for name, value in vars(computed).items() if value is not None}


def test_noradrenaline_as_it_is_prepared() -> None:
    infusion = order(AMPOULE, "0,1 mcg/kg/min", "continua", quantity="4", diluent="234 mL")
    assert shown(compute(infusion, KG)) == {
        "quantity": "4",
        "mass": "16 mg",
        "final_volume": "250 mL",
        "concentration": "64 mcg/mL",
        "rate": "6,6 mL/h",
    }


def test_the_same_from_the_formulary() -> None:
    presentation = load_formulary().drugs["noradrenalina"].presentations[0]
    infusion = Order(
        presentation, "continua", parse_quantity("0,1 mcg/kg/min"), Decimal(4), parse_quantity("234 mL"), None
    )
    assert (str(compute(infusion, KG).rate), str(compute(infusion, KG).concentration)) == ("6,6 mL/h", "64 mcg/mL")


def test_the_ampoules_are_part_of_the_volume() -> None:
    computed = compute(order(AMPOULE, "0,1 mcg/kg/min", "continua", quantity="4", diluent="250 mL"), KG)
    assert str(computed.final_volume) == "266 mL"
    assert str(computed.rate) == "7 mL/h"


def test_without_a_weight_what_depends_on_it_is_unknown() -> None:
    infusion = order(AMPOULE, "0,1 mcg/kg/min", "continua", quantity="4", diluent="234 mL")
    assert shown(compute(infusion, None)) == {
        "quantity": "4",
        "mass": "16 mg",
        "final_volume": "250 mL",
        "concentration": "64 mcg/mL",
    }
    assert shown(compute(order(BAG, "30 mL/kg"), None)) == {}
    assert shown(compute(order(("1 g", "10 mL"), "20 mg/kg", "intermitente", every=8), None)) == {}


def test_fluids_by_weight() -> None:
    assert shown(compute(order(BAG, "30 mL/kg"), KG)) == {
        "quantity": "5",
        "final_volume": "2500 mL",
        "total": "2100 mL",
    }


def test_fluids_at_a_rate() -> None:
    assert str(compute(order(BAG, "1,5 mL/kg/h", "continua"), KG).rate) == "105 mL/h"
    assert str(compute(order(BAG, "2 mL/min", "continua"), None).rate) == "120 mL/h"


def test_a_dose_at_intervals_has_a_daily_dose() -> None:
    computed = compute(order(("1 g", "20 mL"), "2 g", "intermitente", diluent="100 mL", every=8), None)
    assert shown(computed) == {
        "quantity": "2",
        "mass": "2 g",
        "final_volume": "140 mL",
        "concentration": "14,28571428571428571428571429 mg/mL",
        "total": "2 g",
        "daily": "6 g",
        "volume": "140 mL",
    }


@pytest.mark.parametrize(
    ("dose", "units"),
    [("1 mg", "1"), ("20 mg", "1"), ("20,1 mg", "2"), ("40 mg", "2"), ("1 g", "50"), ("0,5 mg/kg", "2")],
)
def test_units_to_open_are_rounded_up(dose: str, units: str) -> None:
    assert compute(order(("20 mg", "2 mL"), dose), KG).quantity == Decimal(units)


def test_a_quantity_that_was_ordered_is_kept() -> None:
    assert compute(order(("20 mg", "2 mL"), "20 mg", quantity="3"), None).quantity == 3


@pytest.mark.parametrize(
    ("mass", "diluent", "concentration"),
    [
        ("4 mg", "234 mL", "64 mcg/mL"),
        ("62,5 mg", "234 mL", "1 mg/mL"),
        ("62,4 mg", "234 mL", "998,4 mcg/mL"),
        ("1 g", "234 mL", "16 mg/mL"),
        ("25 U", "234 mL", "0,4 U/mL"),
    ],
)
def test_a_concentration_is_in_the_unit_of_its_size(mass: str, diluent: str, concentration: str) -> None:
    unit = "U" if "U" in mass else "mcg"
    computed = compute(order((mass, "4 mL"), f"1 {unit}/min", "continua", quantity="4", diluent=diluent), None)
    assert str(computed.concentration) == concentration


def test_a_powder_of_unknown_volume_has_no_final_volume() -> None:
    computed = compute(order(("100 mg", None), "100 mg", diluent="100 mL"), None)
    assert shown(computed) == {"quantity": "1", "mass": "100 mg", "total": "100 mg"}


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("0,99 mcg/min", "0,1 mL/h"),
        ("10,49 mcg/min", "0,6 mL/h"),
        ("10,83 mcg/min", "0,6 mL/h"),
        ("10,84 mcg/min", "0,7 mL/h"),
    ],
)
def test_a_rate_is_rounded_to_a_step_of_the_pump(text: str, rate: str) -> None:
    infusion = order(("1 mg", "1 mL"), text, "continua", quantity="1")
    assert str(compute(infusion, None).rate) == rate


@pytest.mark.parametrize(
    ("product", "dose"),
    [(("4 mg", "4 mL"), "10 U"), (("100 U", "1 mL"), "1 mg"), ((None, "500 mL"), "1 g"), (AMPOULE, "3 mEq")],
)
def test_a_dose_that_the_product_is_not_measured_in_is_an_input_error(product: Any, dose: str) -> None:
    with pytest.raises(InputError, match="não se mede em"):
        compute(order(product, dose), KG)


def test_an_infusion_of_another_quantity_is_an_input_error() -> None:
    with pytest.raises(InputError):
        compute(order(AMPOULE, "1 U/min", "continua", quantity="1", diluent="96 mL"), KG)


def test_an_order_that_can_be_computed_passes() -> None:
    check(order(AMPOULE, "0,1 mcg/kg/min", "continua", quantity="4", diluent="234 mL"))
    check(order(BAG, "30 mL/kg"))
    check(order(BAG, "100 mL/h", "continua"))


@pytest.mark.parametrize(
    ("dose", "mode", "message"),
    [
        ("0,1 mcg/kg", "continua", "por minuto ou hora"),
        ("4 mg/h", "unica", "por administração, sem tempo"),
        ("4 mg/h", "intermitente", "por administração, sem tempo"),
    ],
)
def test_a_dose_must_fit_its_mode(dose: str, mode: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check(order(AMPOULE, dose, mode, quantity="1"))


def test_an_infusion_needs_its_concentration() -> None:
    with pytest.raises(InputError, match="infusão contínua precisa"):
        check(order(AMPOULE, "1 mcg/min", "continua", diluent="234 mL"))
    with pytest.raises(InputError, match="infusão contínua precisa"):
        check(order(("100 mg", None), "1 mg/h", "continua", quantity="1", diluent="100 mL"))


@given(
    weight=st.decimals("20", "400", places=1),
    dose=st.decimals("0.01", "5", places=2),
    ampoules=st.integers(1, 10),
    diluent=st.integers(0, 1000),
    unit=st.sampled_from(["mcg/kg/min", "mcg/kg/h", "mg/kg/h"]),
)
def test_the_pump_gives_the_dose_within_one_step(
    weight: Decimal, dose: Decimal, ampoules: int, diluent: int, unit: str
) -> None:
    wanted = Quantity(dose, unit)
    presentation = Presentation(
        id="p", text="p", mass=Quantity(Decimal(4), "mg"), volume=Quantity(Decimal(4), "mL"), source="s"
    )
    infusion = Order(presentation, "continua", wanted, Decimal(ampoules), Quantity(Decimal(diluent), "mL"), None)
    computed = compute(infusion, weight)
    assert computed.rate is not None
    assert computed.concentration is not None
    given_dose = convert(computed.rate * computed.concentration, "mcg/h").value
    asked = convert(wanted * Quantity(weight, "kg"), "mcg/h").value
    step = PUMP_STEP * convert(computed.concentration, "mcg/mL").value
    assert abs(given_dose - asked) <= step / 2 + Decimal("1e-9")
    assert computed.rate.value > 0
    assert computed.rate.value % PUMP_STEP == 0 or computed.rate.value < PUMP_STEP / 2


@given(dose=st.decimals("0.1", "5000", places=1), unit=st.decimals("0.5", "2000", places=1))
def test_what_is_opened_is_enough_and_no_more(dose: Decimal, unit: Decimal) -> None:
    presentation = Presentation(id="p", text="p", mass=Quantity(unit, "mg"), volume=None, source="s")
    opened = compute(Order(presentation, "unica", Quantity(dose, "mg"), None, None, None), None).quantity
    assert opened is not None
    assert (opened - 1) * unit < dose <= opened * unit


def test_what_is_drawn_up_for_one_dose() -> None:
    assert str(compute(order(("1000 U", "10 mL"), "10 U"), None).volume) == "0,1 mL"
    assert str(compute(order(BAG, "30 mL/kg"), KG).volume) == "None"
    assert compute(order(AMPOULE, "0,1 mcg/kg/min", "continua", quantity="4", diluent="234 mL"), KG).volume is None
    assert compute(order(("100 mg", None), "100 mg", diluent="100 mL"), None).volume is None
