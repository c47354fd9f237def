"""Calculators against worked pairs, published bands, and what must hold of any of them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gemx.clinical.calculators import Calculator, Parameter, all_calculators, get, run
from gemx.errors import InputError, NotFoundError

EPSILON = Decimal("0.0001")
SCORES = {"qsofa": 3, "sirs": 4, "news2": 20, "glasgow_blatchford": 23, "aims65": 5, "kdigo_aki_stage": 3}
IDS = {
    *("mean_arterial_pressure", "shock_index", "qsofa", "sirs", "news2", "glasgow_blatchford", "aims65"),
    *("kdigo_aki_stage", "cockcroft_gault", "ckd_epi_2021", "anion_gap", "crystalloid_bolus", "dilution"),
    *("infusion_rate", "infusion_dose", "urea_to_bun", "bun_to_urea", "ideal_body_weight_devine"),
    *("adjusted_body_weight", "body_mass_index"),
}

QSOFA = {"respiratory_rate": "16", "sbp": "120", "altered_mentation": False}
SIRS = {"temperature": "37", "heart_rate": "80", "respiratory_rate": "16", "wbc": "8"}
NEWS2 = {
    "respiratory_rate": "16",
    "spo2": "98",
    "on_oxygen": False,
    "sbp": "120",
    "heart_rate": "70",
    "consciousness": "A",
    "temperature": "37",
}
GBS = {
    "sex": "M",
    "urea": "30",
    "hemoglobin": "14",
    "sbp": "120",
    "heart_rate": "80",
    "melena": False,
    "syncope": False,
    "hepatic_disease": False,
    "cardiac_failure": False,
}
AIMS65 = {"albumin": "4", "inr": "1", "altered_mentation": False, "sbp": "120", "age": "40"}
KDIGO = {"creatinine": "1", "baseline_creatinine": "1"}
NORMAL = {"qsofa": QSOFA, "sirs": SIRS, "news2": NEWS2, "glasgow_blatchford": GBS, "aims65": AIMS65}


def value_of(calculator: str, inputs: Mapping[str, Any]) -> Decimal:
    result = run(calculator, inputs)
    assert result.value is not None, result.missing
    return result.value


def test_the_interface_has_these_ids() -> None:
    assert {calculator.id for calculator in all_calculators()} >= IDS


@pytest.mark.parametrize(
    ("calculator", "inputs", "expected", "tolerance"),
    [
        ("cockcroft_gault", "age=53 sex=M weight=87 height=175 creatinine=1,39 weight_basis=auto", "67.005", "0.001"),
        ("cockcroft_gault", "age=30 sex=M weight=70 creatinine=1,0", "106.9", "0.05"),
        ("cockcroft_gault", "age=30 sex=F weight=60 creatinine=1.0", "77.9", "0.05"),
        ("cockcroft_gault", "age=68 sex=F weight=68 creatinine=1", "57.8", "0.05"),
        ("ckd_epi_2021", "age=81 sex=M creatinine=1,7", "40.0", "0.05"),
        ("ckd_epi_2021", "age=18 sex=M creatinine=1", "111.9", "0.05"),
        ("mean_arterial_pressure", "sbp=110 dbp=70", "83.33", "0.005"),
        ("mean_arterial_pressure", "sbp=130 dbp=90", "103.3", "0.05"),
        ("anion_gap", "sodium=140 chloride=110 bicarbonate=9,4", "20.6", "0"),
        ("ideal_body_weight_devine", "sex=M height=173", "68.65", "0.005"),
        ("shock_index", "heart_rate=110 sbp=90", "1.22", "0.005"),
        (
            "infusion_rate",
            "dose=0,1 dose_unit=mcg/kg/min weight=70 amount=16 amount_unit=mg volume_ml=250",
            "6.5625",
            "0",
        ),
        (
            "infusion_rate",
            "dose=5 dose_unit=mcg/kg/min weight=95 amount=200 amount_unit=mg volume_ml=250",
            "35.6",
            "0.05",
        ),
        ("infusion_rate", "dose=10 dose_unit=mcg/min amount=50 amount_unit=mg volume_ml=250", "3", "0"),
        ("infusion_rate", "dose=2 dose_unit=mcg/min amount=2 amount_unit=mcg volume_ml=1", "60", "0"),
        ("infusion_rate", "dose=0,03 dose_unit=UI/min amount=20 amount_unit=unidades volume_ml=100", "9", "0"),
        (
            "infusion_dose",
            "rate=6,5625 dose_unit=mcg/kg/min weight=70 amount=16 amount_unit=mg volume_ml=250",
            "0.1",
            "0",
        ),
        ("infusion_dose", "rate=3 dose_unit=mcg/min amount=50 amount_unit=mg volume_ml=250", "10", "0"),
        ("dilution", "amount=16 amount_unit=mg diluent_volume_ml=234 drug_volume_ml=16", "64", "0"),
        ("dilution", "amount=20 amount_unit=U diluent_volume_ml=100", "0.2", "0"),
        ("crystalloid_bolus", "weight=70", "2100", "0"),
        ("crystalloid_bolus", "weight=70 ml_per_kg=20", "1400", "0"),
        ("urea_to_bun", "urea=107", "50", "0"),
        ("bun_to_urea", "bun=112", "239.68", "0"),
        ("adjusted_body_weight", "sex=M weight=87 height=175", "77.079", "0.001"),
        ("body_mass_index", "weight=87 height=175", "28.408", "0.001"),
        ("qsofa", "respiratory_rate=22 sbp=100 altered_mentation=sim", "3", "0"),
        ("sirs", "temperature=103°F heart_rate=120 respiratory_rate=32 wbc=33", "4", "0"),
        ("aims65", "albumin=2 inr=3 altered_mentation=não sbp=120 age=65", "3", "0"),
    ],
)
def test_worked_pairs(calculator: str, inputs: str, expected: str, tolerance: str) -> None:
    given_inputs = dict(pair.split("=", 1) for pair in inputs.split(" "))
    assert abs(value_of(calculator, given_inputs) - Decimal(expected)) <= Decimal(tolerance)


def test_worked_scores() -> None:
    observed = {**NEWS2, "respiratory_rate": 20, "spo2": 93, "sbp": 111, "heart_rate": 78}
    assert value_of("news2", observed) == 2
    assert value_of("news2", {**observed, "spo2_scale": "2"}) == 0
    bled = {**GBS, "hemoglobin": "11", "sbp": "110", "heart_rate": "90", "hepatic_disease": True}
    del bled["urea"]
    assert value_of("glasgow_blatchford", {**bled, "bun": "51"}) == 9
    woman = {**GBS, "sex": "F", "hemoglobin": "11,5"}
    del woman["urea"]
    assert value_of("glasgow_blatchford", {**woman, "bun": "15"}) == 1


# The published tables, written out again: (calculator, input, other inputs, [(value, points)] at and beside each cut).
BANDS: list[tuple[str, str, dict[str, Any], str]] = [
    ("qsofa", "respiratory_rate", {}, "21:0 21.9999:0 22:1 22.0001:1"),
    ("qsofa", "sbp", {}, "99:1 100:1 100.0001:0 101:0"),
    ("sirs", "temperature", {}, "35.9999:1 36:0 38:0 38.0001:1"),
    ("sirs", "heart_rate", {}, "90:0 90.0001:1 91:1"),
    ("sirs", "respiratory_rate", {}, "20:0 20.0001:1 21:1"),
    ("sirs", "respiratory_rate", {"paco2": "31.9"}, "16:1 21:1"),
    ("sirs", "paco2", {}, "31.9999:1 32:0"),
    ("sirs", "wbc", {}, "3.9999:1 4:0 12:0 12.0001:1"),
    ("sirs", "wbc", {"bands_percent": "11"}, "3:1 8:1 13:1"),
    ("sirs", "bands_percent", {}, "10:0 10.0001:1"),
    ("news2", "respiratory_rate", {}, "8:3 9:1 11:1 12:0 20:0 21:2 24:2 25:3 8.0001:1 24.0001:3"),
    ("news2", "spo2", {}, "91:3 92:2 93:2 94:1 95:1 96:0 100:0"),
    ("news2", "spo2", {"on_oxygen": True}, "91:5 92:4 93:4 94:3 95:3 96:2 100:2"),
    ("news2", "spo2", {"spo2_scale": "2"}, "83:3 84:2 85:2 86:1 87:1 88:0 92:0 93:0 97:0 100:0"),
    (
        "news2",
        "spo2",
        {"spo2_scale": "2", "on_oxygen": True},
        "83:5 84:4 85:4 86:3 87:3 88:2 92:2 93:3 94:3 95:4 96:4 97:5 100:5",
    ),
    ("news2", "sbp", {}, "90:3 91:2 100:2 101:1 110:1 111:0 219:0 219.9999:0 220:3"),
    ("news2", "heart_rate", {}, "40:3 41:1 50:1 51:0 90:0 91:1 110:1 111:2 130:2 131:3"),
    ("news2", "temperature", {}, "35:3 35.1:1 36:1 36.1:0 38:0 38.1:1 39:1 39.1:2 38.05:1"),
    ("glasgow_blatchford", "urea", {}, "38.9999:0 39:2 47.9999:2 48:3 59.9999:3 60:4 149.9999:4 150:6"),
    ("glasgow_blatchford", "bun", {}, "18.1999:0 18.2:2 22.3999:2 22.4:3 27.9999:3 28:4 69.9999:4 70:6"),
    ("glasgow_blatchford", "hemoglobin", {}, "9.9999:6 10:3 11.9999:3 12:1 12.9999:1 13:0"),
    ("glasgow_blatchford", "hemoglobin", {"sex": "F"}, "9.9999:6 10:1 11.9999:1 12:0"),
    ("glasgow_blatchford", "sbp", {}, "89.9999:3 90:2 99.9999:2 100:1 109.9999:1 110:0"),
    ("glasgow_blatchford", "heart_rate", {}, "99.9999:0 100:1"),
    ("aims65", "albumin", {}, "2.9999:1 3:0"),
    ("aims65", "inr", {}, "1.5:0 1.5001:1"),
    ("aims65", "sbp", {}, "90:1 90.0001:0"),
    ("aims65", "age", {}, "64.9999:0 65:1"),
]


@pytest.mark.parametrize(("calculator", "name", "others", "points"), BANDS)
def test_published_bands(calculator: str, name: str, others: dict[str, Any], points: str) -> None:
    normal = {**NORMAL[calculator], **others}
    if name == "bun":
        del normal["urea"]
    for pair in points.split():
        observed, expected = pair.split(":")
        assert value_of(calculator, {**normal, name: Decimal(observed)}) == int(expected), pair


@pytest.mark.parametrize("unit", ["6,5 mmol/L:2", "6,4 mmol/L:0", "8 mmol/L:3", "10 mmol/L:4", "25 mmol/L:6"])
@pytest.mark.parametrize("name", ["urea", "bun"])
def test_blatchford_in_mmol(name: str, unit: str) -> None:
    text, points = unit.split(":")
    inputs = {key: value for key, value in GBS.items() if key != "urea"}
    assert value_of("glasgow_blatchford", {**inputs, name: text}) == int(points)


@pytest.mark.parametrize(("level", "points"), [("A", 0), ("C", 3), ("V", 3), ("P", 3), ("U", 3)])
def test_news2_consciousness(level: str, points: int) -> None:
    assert value_of("news2", {**NEWS2, "consciousness": level}) == points


def test_news2_says_when_one_parameter_alone_is_red() -> None:
    assert "valendo 3" in run("news2", {**NEWS2, "respiratory_rate": "25"}).interpretation
    assert "valendo 3" in run("news2", {**NEWS2, "spo2": "91"}).interpretation
    assert "valendo 3" not in run("news2", {**NEWS2, "spo2": "94", "on_oxygen": True}).interpretation


@pytest.mark.parametrize(
    ("inputs", "stage"),
    [
        ({"creatinine": "1,49"}, 0),
        ({"creatinine": "1,5"}, 1),
        ({"creatinine": "1,99"}, 1),
        ({"creatinine": "2"}, 2),
        ({"creatinine": "2,99"}, 2),
        ({"creatinine": "3"}, 3),
        ({"creatinine": "1,3", "creatinine_48h_before": "1"}, 1),
        ({"creatinine": "1,29", "creatinine_48h_before": "1"}, 0),
        ({"creatinine": "4,5", "baseline_creatinine": "3"}, 3),
        ({"creatinine": "4", "baseline_creatinine": "3,8"}, 0),
        ({"creatinine": "4", "baseline_creatinine": "3,8", "creatinine_48h_before": "3,7"}, 3),
        ({"creatinine": "3,99", "baseline_creatinine": "3,8", "creatinine_48h_before": "3,6"}, 1),
        ({"urine_output_ml_kg_h": "0,4", "urine_hours": "5,9"}, 0),
        ({"urine_output_ml_kg_h": "0,4", "urine_hours": "6"}, 1),
        ({"urine_output_ml_kg_h": "0,4", "urine_hours": "8"}, 1),
        ({"urine_output_ml_kg_h": "0,4", "urine_hours": "12"}, 2),
        ({"urine_output_ml_kg_h": "0,4", "urine_hours": "14"}, 2),
        ({"urine_output_ml_kg_h": "0,5", "urine_hours": "48"}, 0),
        ({"urine_output_ml_kg_h": "0,29", "urine_hours": "23,9"}, 2),
        ({"urine_output_ml_kg_h": "0,29", "urine_hours": "24"}, 3),
        ({"urine_output_ml_kg_h": "0,3", "urine_hours": "24"}, 2),
        ({"urine_output_ml_kg_h": "0", "urine_hours": "12"}, 3),
        ({"urine_output_ml_kg_h": "0", "urine_hours": "11,9"}, 1),
        ({"creatinine": "1,6", "urine_output_ml_kg_h": "0,4", "urine_hours": "14"}, 2),
        ({"creatinine": "3,2", "urine_output_ml_kg_h": "0,4", "urine_hours": "7"}, 3),
        ({"on_rrt": True}, 3),
    ],
)
def test_kdigo(inputs: dict[str, Any], stage: int) -> None:
    assert value_of("kdigo_aki_stage", {**KDIGO, **inputs}) == stage


def test_kdigo_without_baseline_is_never_stage_3() -> None:
    result = run("kdigo_aki_stage", {"creatinine": "4,5"})
    assert (result.value, result.determinable, result.range) == (None, False, (0, 3))
    assert result.missing == ("baseline_creatinine",)
    risen = run("kdigo_aki_stage", {"creatinine": "1,4", "creatinine_48h_before": "1"})
    assert risen.range == (1, 3)
    assert run("kdigo_aki_stage", {"creatinine": "1", "on_rrt": True}).range == (3, 3)


def test_kdigo_says_what_it_did_not_judge() -> None:
    alone = run("kdigo_aki_stage", {**KDIGO, "urine_output_ml_kg_h": "0,2"})
    assert any("duração" in sentence for sentence in alone.assumptions)
    slow = run("kdigo_aki_stage", {"creatinine": "1,4", "baseline_creatinine": "1"})
    assert slow.value == 0
    assert slow.interpretation == "Sem critério de injúria renal aguda (IRA) nos dados informados."
    assert run("kdigo_aki_stage", {"creatinine": "2", "baseline_creatinine": "1"}).interpretation == "IRA estágio 2."
    assert any("0,4 mg/dL sobre a basal" in sentence for sentence in slow.assumptions)
    assert len(run("kdigo_aki_stage", KDIGO).assumptions) == 3


@pytest.mark.parametrize(
    ("weight", "height", "basis"),
    [("50", "175", "real"), ("65", "175", "real"), ("74", "175", "ideal"), ("76,5625", "175", "ajustado")],
)
def test_cockcroft_chooses_the_weight(weight: str, height: str, basis: str) -> None:
    inputs = {"age": "50", "sex": "M", "weight": weight, "height": height, "creatinine": "1", "weight_basis": "auto"}
    assert f"Peso {basis}" in run("cockcroft_gault", inputs).interpretation


def test_clearance_is_marked_for_changing_creatinine() -> None:
    result = run("cockcroft_gault", {"age": "50", "sex": "M", "weight": "70", "creatinine": "1"})
    assert "não é verificável para ajuste de dose" in result.interpretation
    assert result.assumptions == ("Base do peso não informada: peso real.",)


def test_ckd_epi_in_men_with_low_creatinine() -> None:
    """MedCalc-Bench uses the women's κ there, 7.3 % too low."""
    expected = 142 * (0.8 / 0.9) ** -0.302 * 0.9938**50
    assert float(value_of("ckd_epi_2021", {"age": "50", "sex": "M", "creatinine": "0,8"})) == pytest.approx(expected)
    expected = 142 * (0.6 / 0.7) ** -0.241 * 0.9938**50 * 1.012
    assert float(value_of("ckd_epi_2021", {"age": "50", "sex": "F", "creatinine": "0,6"})) == pytest.approx(expected)


def test_short_people_get_an_extrapolated_ideal_weight() -> None:
    short = run("ideal_body_weight_devine", {"sex": "F", "height": "150"})
    assert short.value is not None
    assert short.value < Decimal("45.5")
    assert "extrapolação" in short.assumptions[0]
    assert run("ideal_body_weight_devine", {"sex": "F", "height": "152,4"}).value == Decimal("45.5")


@pytest.mark.parametrize(
    ("calculator", "inputs", "says"),
    [
        ("qsofa", {"respiratory_rate": "-3"}, "de 0 a 100 irpm"),
        ("qsofa", {"respiratory_rate": Decimal("NaN")}, "número"),
        ("qsofa", {"respiratory_rate": True}, "número"),
        ("qsofa", {"altered_mentation": "talvez"}, "sim ou não"),
        ("qsofa", {"altered_mentation": "2"}, "sim ou não"),
        ("qsofa", {"sbp": "1.000"}, "Pressão sistólica (sbp)"),
        ("qsofa", {"sbp": "13 kPa"}, "mmHg"),
        ("qsofa", {"sbpp": "100"}, "sbpp"),
        ("aims65", {"age": "-3"}, "de 18 a 130 anos"),
        ("aims65", {"age": "17"}, "de 18 a 130 anos"),
        ("aims65", {"albumin": "35"}, "de 0,3 a 8 g/dL"),
        ("aims65", {"inr": "2 s"}, "não tem unidade"),
        ("sirs", {"wbc": "12000"}, "de 0 a 1000"),
        ("news2", {"spo2": "101"}, "de 20 a 100 %"),
        ("news2", {"consciousness": "X"}, "A, C, V, P, U"),
        ("news2", {"spo2_scale": "3"}, "1, 2"),
        ("news2", {"temperature": "3,7"}, "de 13 a 47 °C"),
        ("cockcroft_gault", {"age": "10"}, "de 18 a 130 anos"),
        ("cockcroft_gault", {"weight": "0"}, "de 20 a 650 kg"),
        ("cockcroft_gault", {"creatinine": "110"}, "de 0,1 a 40 mg/dL"),
        ("cockcroft_gault", {"creatinine": "110 mmol/L"}, "µmol/L"),
        ("body_mass_index", {"height": "1,75"}, "de 120 a 260 cm"),
        ("mean_arterial_pressure", {"sbp": "100", "dbp": "110"}, "não pode passar"),
        ("glasgow_blatchford", {"urea": "40", "bun": "20"}, "só um"),
        ("infusion_rate", {"dose": "0"}, "acima de 0"),
        ("infusion_rate", {"dose_unit": "mg"}, "dose por tempo"),
        ("infusion_rate", {"dose_unit": "mL/h"}, "dose por tempo"),
        ("infusion_rate", {"dose_unit": "mg/mL/h"}, "dose por tempo"),
        ("infusion_rate", {"dose_unit": "mcg/kg/min", "amount_unit": "U"}, "não combina"),
        ("infusion_rate", {"amount_unit": "kg"}, "não é quantidade de fármaco"),
        ("infusion_rate", {"amount_unit": "ML"}, "mL"),
        ("dilution", {"amount_unit": "mg/mL"}, "não é quantidade de fármaco"),
        ("dilution", {"drug_volume_ml": "-1"}, "a partir de 0 mL"),
    ],
)
def test_impossible_inputs_are_refused(calculator: str, inputs: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError) as caught:
        run(calculator, inputs)
    assert says in caught.value.message


def test_unknown_names_get_a_suggestion() -> None:
    with pytest.raises(InputError) as caught:
        run("qsofa", {"respiratory_rat": "20"})
    assert caught.value.hint == "Você quis dizer respiratory_rate?"
    with pytest.raises(NotFoundError) as missing:
        run("qsofaa", {})
    assert missing.value.hint == "Did you mean qsofa?"


@pytest.mark.parametrize(
    ("calculator", "name", "text", "value"),
    [
        ("cockcroft_gault", "creatinine", "353,6 umol/L", "4"),
        ("cockcroft_gault", "creatinine", "353,6 \u00b5mol/l", "4"),
        ("cockcroft_gault", "creatinine", "353,6 \u03bcmol/L", "4"),
        ("body_mass_index", "height", "1,75 m", "175"),
        ("aims65", "albumin", "35 g/L", "3.5"),
        ("anion_gap", "sodium", "140 mEq/L", "140"),
        ("news2", "temperature", "98,6 °F", "37"),
        ("news2", "temperature", "103 °F", "39.44444444"),
        ("sirs", "wbc", "12000/mm3", "12"),
        ("sirs", "wbc", "12 10^3/uL", "12"),
        ("urea_to_bun", "urea", "10 mmol/L", "60.06"),
    ],
)
def test_second_units_are_converted(calculator: str, name: str, text: str, value: str) -> None:
    assert run(calculator, {name: text}).inputs[name] == Decimal(value)


def test_what_is_missing_is_named_and_nothing_is_guessed() -> None:
    result = run("glasgow_blatchford", {"sex": "M", "hemoglobin": "11", "sbp": None, "heart_rate": ""})
    assert result.value is None
    assert not result.determinable
    assert result.missing[-1] == "bun or urea"
    assert {"sbp", "heart_rate", "melena"} <= set(result.missing)
    assert result.range == (3, 20)
    assert "Pressão sistólica" in result.interpretation


def test_the_range_of_a_pressure_respects_the_other_one() -> None:
    assert run("mean_arterial_pressure", {"sbp": "120"}).range == (40, 120)
    assert run("mean_arterial_pressure", {"dbp": "60"}).range == (60, Decimal("156.6666667"))


def test_weight_is_missing_only_where_the_dose_is_per_kg() -> None:
    bag = {"dose": "10", "amount": "50", "amount_unit": "mg", "volume_ml": "250"}
    assert run("infusion_rate", {**bag, "dose_unit": "mcg/min"}).missing == ()
    assert run("infusion_rate", {**bag, "dose_unit": "mcg/kg/min"}).missing == ("weight",)
    assert run("infusion_rate", {**bag, "dose_unit": "mcg/kg/min"}).range == (60, 1950)
    unbounded = run("infusion_rate", {"dose_unit": "mcg/min"})
    assert (unbounded.missing, unbounded.range) == (("dose", "amount", "amount_unit", "volume_ml"), (None, None))


def test_cockcroft_needs_height_for_other_weights() -> None:
    inputs = {"age": "50", "sex": "M", "weight": "70", "creatinine": "1"}
    for basis, bounded in (("ideal", True), ("adjusted", True), ("auto", False)):
        result = run("cockcroft_gault", {**inputs, "weight_basis": basis})
        assert result.missing == ("height",)
        assert result.range is not None
        assert (None not in result.range) is bounded


def test_dilution_says_its_unit_and_assumption() -> None:
    mass = run("dilution", {"amount": "16", "amount_unit": "mg", "diluent_volume_ml": "250"})
    assert (mass.unit, mass.value) == ("mcg/mL", 64)
    assert "0 mL" in mass.assumptions[0]
    assert run("dilution", {"amount": "20", "amount_unit": "UI", "diluent_volume_ml": "100"}).unit == "U/mL"


@pytest.mark.parametrize(("calculator", "greatest"), SCORES.items())
def test_greatest_reachable_score_is_the_published_one(calculator: str, greatest: int) -> None:
    assert run(calculator, {}).range == (0, greatest)


def raw_values(parameter: Parameter) -> st.SearchStrategy[Any]:
    if parameter.kind == "boolean":
        return st.booleans()
    if parameter.kind == "choice":
        return st.sampled_from(parameter.choices)
    if parameter.whole:
        assert parameter.low is not None
        assert parameter.high is not None
        return st.integers(int(parameter.low), int(parameter.high)).map(Decimal)
    low = max(parameter.low or Decimal(0), Decimal("0.0001") if parameter.low_excluded else Decimal("-Infinity"))
    high = parameter.high or Decimal(1000)
    cuts = [cut for part in CUTS.get(parameter.name, ()) for cut in (part - EPSILON, part, part + EPSILON)]
    inside = [cut for cut in cuts if low <= cut <= high]
    numbers = st.decimals(min_value=low, max_value=high, places=2)
    return numbers | st.sampled_from(inside) if inside else numbers


CUTS: dict[str, set[Decimal]] = {}
for _calculator in all_calculators():
    for _part in _calculator.components:
        for _name, _cuts in _part.cuts.items():
            CUTS.setdefault(_name, set()).update(_cuts)

UNITS = {"dose_unit": ("mcg/kg/min", "mcg/min", "mg/h"), "amount_unit": ("mg", "g")}


@st.composite
def complete_inputs(draw: st.DrawFn, calculator: Calculator) -> dict[str, Any]:
    inputs: dict[str, Any] = {}
    for parameter in calculator.parameters:
        if parameter.kind == "unit":
            inputs[parameter.name] = draw(st.sampled_from(UNITS[parameter.name]))
        else:
            inputs[parameter.name] = draw(raw_values(parameter))
    if calculator.id == "delta_ratio":
        inputs["bicarbonate"] = min(inputs["bicarbonate"], Decimal("23.9"))
    for group in calculator.alternatives:
        kept = draw(st.sampled_from(group))
        for name in group:
            if name != kept:
                del inputs[name]
    for lesser, greater in calculator.order:
        inputs[lesser], inputs[greater] = sorted((inputs[lesser], inputs[greater]))
        inputs[lesser] = min(inputs[lesser], Decimal(250))
        inputs[greater] = max(inputs[greater], Decimal(20))
    return inputs


@pytest.mark.parametrize("calculator", all_calculators(), ids=lambda calculator: calculator.id)
def test_ranges_bracket_every_completion(calculator: Calculator) -> None:
    required = [parameter.name for parameter in calculator.parameters if not parameter.optional]

    @settings(max_examples=60, deadline=None)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        inputs = data.draw(complete_inputs(calculator))
        value = value_of(calculator.id, inputs)
        names = required + [name for group in calculator.alternatives for name in group if name in inputs]
        hidden = data.draw(st.sets(st.sampled_from(names), min_size=1))
        result = run(calculator.id, {name: given for name, given in inputs.items() if name not in hidden})
        assert result.value is None
        assert not result.determinable
        assert len(result.missing) >= len(hidden)
        assert result.range is not None
        low, high = result.range
        assert low is None or low <= value
        assert high is None or high >= value

    check()


@pytest.mark.parametrize("calculator", [c for c in all_calculators() if c.id in SCORES], ids=lambda c: c.id)
def test_ranges_of_scores_are_reached(calculator: Calculator) -> None:
    """With one number hidden, both ends of the range are scores that some value of it gives."""
    for parameter in calculator.parameters:
        if parameter.optional or parameter.kind != "number":
            continue
        normal = {**NORMAL.get(calculator.id, KDIGO)}
        normal.pop(parameter.name)
        ends = run(calculator.id, normal).range
        values = {cut + step for cut in CUTS.get(parameter.name, ()) for step in (-EPSILON, EPSILON)}
        assert parameter.low is not None
        assert parameter.high is not None
        scores = [
            value_of(calculator.id, {**normal, parameter.name: v}) for v in {*values, parameter.low, parameter.high}
        ]
        assert ends == (min(scores), max(scores))


def direction(calculator: str, name: str, grows: bool, **fixed: str) -> Any:
    return pytest.param(calculator, name, grows, fixed, id=f"{calculator}-{name}")


CLEARANCE = {"age": "50", "sex": "M", "weight": "70", "creatinine": "1"}
BAG = {
    "dose": "0,1",
    "dose_unit": "mcg/kg/min",
    "weight": "70",
    "amount": "16",
    "amount_unit": "mg",
    "volume_ml": "250",
}


@pytest.mark.parametrize(
    ("calculator", "name", "grows", "fixed"),
    [
        direction("cockcroft_gault", "creatinine", False, **CLEARANCE),
        direction("cockcroft_gault", "age", False, **CLEARANCE),
        direction("cockcroft_gault", "weight", True, **CLEARANCE),
        direction("ckd_epi_2021", "creatinine", False, age="50", sex="F", creatinine="1"),
        direction("ckd_epi_2021", "creatinine", False, age="50", sex="M", creatinine="1"),
        direction("ckd_epi_2021", "age", False, age="50", sex="M", creatinine="1"),
        direction("infusion_rate", "dose", True, **BAG),
        direction("infusion_rate", "weight", True, **BAG),
        direction("infusion_rate", "amount", False, **BAG),
        direction("infusion_rate", "volume_ml", True, **BAG),
        direction("glasgow_blatchford", "urea", True, **GBS),
        direction("glasgow_blatchford", "hemoglobin", False, **GBS),
        direction("glasgow_blatchford", "sbp", False, **GBS),
        direction("aims65", "albumin", False, **AIMS65),
        direction("kdigo_aki_stage", "creatinine", True, **KDIGO),
        direction("kdigo_aki_stage", "baseline_creatinine", False, **KDIGO),
        direction("shock_index", "sbp", False, heart_rate="100", sbp="100"),
        direction("mean_arterial_pressure", "sbp", True, sbp="200", dbp="10"),
    ],
)
def test_monotone(calculator: str, name: str, grows: bool, fixed: dict[str, Any]) -> None:
    parameter = next(p for p in get(calculator).parameters if p.name == name)

    @settings(max_examples=60, deadline=None)
    @given(raw_values(parameter), raw_values(parameter))
    def check(first: Decimal, second: Decimal) -> None:
        low, high = sorted((first, second))
        at_low, at_high = (value_of(calculator, {**fixed, name: value}) for value in (low, high))
        assert at_low <= at_high if grows else at_low >= at_high

    check()


@pytest.mark.parametrize("calculator", all_calculators(), ids=lambda calculator: calculator.id)
def test_components_share_no_input_and_use_them_all(calculator: Calculator) -> None:
    """Without this the sum of component ranges would not be the range of the sum."""
    names = [name for part in calculator.components for name in part.inputs]
    assert sorted(names) == sorted(parameter.name for parameter in calculator.parameters)
    assert all(set(part.cuts) <= set(part.inputs) for part in calculator.components)


@pytest.mark.parametrize("calculator", all_calculators(), ids=lambda calculator: calculator.id)
def test_every_calculator_cites_a_source_and_a_version(calculator: Calculator) -> None:
    assert calculator.formula_version
    cited = any(mark in calculator.source for mark in ("doi:10.", "PMID", "PMC", "ISBN"))
    assert cited or calculator.source.startswith(("Aritmética", "Massas molares"))
    assert all(parameter.label for parameter in calculator.parameters)


def test_parameters_of_one_name_are_the_same_everywhere() -> None:
    seen: dict[str, Parameter] = {}
    for calculator in all_calculators():
        for parameter in calculator.parameters:
            first = seen.setdefault(parameter.name, parameter)
            assert (parameter.unit, parameter.low, parameter.high) == (first.unit, first.low, first.high)
