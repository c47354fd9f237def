"""The interface of facts/calculators.md, every worked pair of facts/clinical.md §3, and the published tables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gemx.clinical.calculators import all_calculators, get, run
from gemx.errors import InputError, NotFoundError

# id: required inputs; optional ones in brackets, alternatives joined by a slash
INTERFACE = {
    "mean_arterial_pressure": "sbp dbp",
    "shock_index": "heart_rate sbp",
    "qsofa": "respiratory_rate sbp altered_mentation",
    "sirs": "temperature heart_rate respiratory_rate wbc [paco2] [bands_percent]",
    "sofa_1996": "pao2 fio2 ventilated platelets bilirubin gcs creatinine [map] [dopamine] [dobutamine] "
    "[norepinephrine] [epinephrine] [urine_output_ml_day]",
    "news2": "respiratory_rate spo2 on_oxygen sbp heart_rate consciousness temperature [spo2_scale]",
    "glasgow_coma_scale": "eye verbal motor",
    "glasgow_blatchford": "sex bun/urea hemoglobin sbp heart_rate melena syncope hepatic_disease cardiac_failure",
    "aims65": "albumin inr altered_mentation sbp age",
    "rockall_preendoscopy": "age sbp heart_rate comorbidity",
    "kdigo_aki_stage": "creatinine baseline_creatinine [creatinine_48h_before] [urine_output_ml_kg_h] [urine_hours] "
    "[on_rrt]",
    "cockcroft_gault": "age sex weight creatinine [height] [weight_basis]",
    "ckd_epi_2021": "age sex creatinine",
    "body_mass_index": "weight height",
    "ideal_body_weight_devine": "sex height",
    "adjusted_body_weight": "sex weight height",
    "body_surface_area_mosteller": "weight height",
    "anion_gap": "sodium chloride bicarbonate",
    "anion_gap_albumin_corrected": "sodium chloride bicarbonate albumin",
    "delta_ratio": "sodium chloride bicarbonate [albumin]",
    "serum_osmolality": "sodium glucose bun/urea",
    "corrected_sodium": "sodium glucose [factor]",
    "corrected_calcium": "calcium albumin",
    "fena": "urine_sodium sodium urine_creatinine creatinine",
    "meld_na_unos_2016": "creatinine bilirubin inr sodium [dialysis_twice_in_week]",
    "meld_3_0": "sex creatinine bilirubin inr sodium albumin [dialysis_twice_in_week]",
    "child_pugh": "bilirubin albumin inr ascites encephalopathy",
    "curb_65": "age confusion bun/urea respiratory_rate sbp dbp",
    # PaO2 is needed below FiO2 0.5, the gradient from there on
    "apache_ii": "age temperature map heart_rate respiratory_rate fio2 [pao2] [aado2] ph sodium potassium creatinine "
    "acute_renal_failure hematocrit wbc gcs [chronic_health]",
    "pf_ratio": "pao2 fio2",
    "crystalloid_bolus": "weight [ml_per_kg]",
    "dilution": "amount amount_unit diluent_volume_ml [drug_volume_ml]",
    "infusion_rate": "dose dose_unit amount amount_unit volume_ml [weight]",
    "infusion_dose": "rate dose_unit amount amount_unit volume_ml [weight]",
    "drip_rate": "volume_ml hours [drop_factor]",
    "urea_to_bun": "urea",
    "bun_to_urea": "bun",
}
UNITS = {
    **dict.fromkeys(("sbp", "dbp", "map", "pao2", "paco2", "aado2"), "mmHg"),
    **dict.fromkeys(("creatinine", "bilirubin", "bun", "urea", "glucose", "calcium"), "mg/dL"),
    **dict.fromkeys(("hemoglobin", "albumin"), "g/dL"),
    **dict.fromkeys(("sodium", "potassium", "chloride", "bicarbonate", "urine_sodium"), "mmol/L"),
    **dict.fromkeys(("platelets", "wbc"), "10³/µL"),
    **dict.fromkeys(("dopamine", "dobutamine", "norepinephrine", "epinephrine"), "mcg/kg/min"),
    **dict.fromkeys(("spo2", "hematocrit"), "%"),
    "temperature": "°C",
    "weight": "kg",
    "height": "cm",
    "fio2": "",
    "volume_ml": "mL",
}


def pairs(text: str) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in text.split())


SOFA = {
    **pairs("pao2=95 fio2=0,21 ventilated=não platelets=200 bilirubin=0,8 gcs=15"),
    **pairs("creatinine=0,9 map=80"),
}
SUPPORTED = {**SOFA, "fio2": "1", "ventilated": "sim"}
APACHE = {
    **pairs("age=40 temperature=37 map=80 heart_rate=80 respiratory_rate=16 fio2=0,21"),
    **pairs("pao2=95 ph=7,4 sodium=140 potassium=4 creatinine=1 acute_renal_failure=não"),
    **pairs("hematocrit=40 wbc=8 gcs=15"),
}
CHILD = {"bilirubin": "1", "albumin": "4", "inr": "1", "ascites": "none", "encephalopathy": "0"}
CURB = {"age": "40", "confusion": "não", "urea": "30", "respiratory_rate": "16", "sbp": "120", "dbp": "80"}
ROCKALL = {"age": "40", "sbp": "120", "heart_rate": "80", "comorbidity": "none"}
MELD = {"creatinine": "1", "bilirubin": "1", "inr": "1", "sodium": "140"}
MELD_3 = {**MELD, "sex": "M", "albumin": "4"}
NEWS2 = {
    **pairs("respiratory_rate=20 spo2=93 on_oxygen=não sbp=111 heart_rate=78"),
    **pairs("consciousness=A temperature=37"),
}
GBS = dict.fromkeys(("melena", "syncope", "hepatic_disease", "cardiac_failure"), "não")
CG = {"sex": "M", "age": "30", "weight": "70", "creatinine": "1"}
KDIGO = {"creatinine": "1", "baseline_creatinine": "1"}

# number in facts/clinical.md §3: (calculator, inputs, expected, half a unit of its last digit)
PAIRS: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "1": (
        "cockcroft_gault",
        {**CG, "age": "53", "weight": "87", "height": "175", "creatinine": "1,39", "weight_basis": "auto"},
        "67.005",
        "0.0005",
    ),
    "4": ("cockcroft_gault", CG, "106.9", "0.05"),
    "5": ("cockcroft_gault", {**CG, "sex": "F", "weight": "60"}, "77.9", "0.05"),
    "8": ("cockcroft_gault", {**CG, "sex": "F", "age": "68", "weight": "68"}, "57.8", "0.05"),
    "9": ("ckd_epi_2021", {"sex": "M", "age": "81", "creatinine": "1,7"}, "40.0", "0.05"),
    "11": ("ckd_epi_2021", {"sex": "M", "age": "18", "creatinine": "1"}, "111.9", "0.05"),
    "14": ("mean_arterial_pressure", {"sbp": "110", "dbp": "70"}, "83.33", "0.005"),
    "15": ("mean_arterial_pressure", {"sbp": "130", "dbp": "90"}, "103.3", "0.05"),
    "17": ("anion_gap", {"sodium": "140", "chloride": "110", "bicarbonate": "9,4"}, "20.6", "0"),
    "19": (
        "anion_gap_albumin_corrected",
        {"sodium": "140", "chloride": "104", "bicarbonate": "24", "albumin": "2,0"},
        "17",
        "0",
    ),
    "22": (
        "fena",
        {"urine_sodium": "60", "sodium": "140", "urine_creatinine": "30", "creatinine": "3,0"},
        "4.29",
        "0.005",
    ),
    "24": ("corrected_sodium", {"sodium": "132", "glucose": "350"}, "138", "0"),
    "24 by 1.6": ("corrected_sodium", {"sodium": "132", "glucose": "350", "factor": "1,6"}, "136", "0"),
    "26": ("ideal_body_weight_devine", {"sex": "M", "height": "173"}, "68.65", "0.005"),
    "28": ("body_surface_area_mosteller", {"weight": "85", "height": "180"}, "2.0616", "0.00005"),
    "29": ("glasgow_coma_scale", {"eye": "4", "verbal": "1", "motor": "3"}, "8", "0"),
    "30": ("qsofa", {"respiratory_rate": "22", "sbp": "100", "altered_mentation": "sim"}, "3", "0"),
    "31": (
        "sirs",
        {"temperature": "103 °F", "heart_rate": "120", "respiratory_rate": "32", "wbc": "33000 /mm3"},
        "4",
        "0",
    ),
    "33": (
        "sofa_1996",
        {**SOFA, "gcs": "12", "bilirubin": "1,3", "platelets": "90", "pao2": "476", "fio2": "1"},
        "5",
        "0",
    ),
    "36": ("news2", NEWS2, "2", "0"),
    "38": ("news2", {**NEWS2, "spo2_scale": "2"}, "0", "0"),
    "43": (
        "glasgow_blatchford",
        {
            **GBS,
            "sex": "M",
            "bun": "51",
            "hemoglobin": "11",
            "sbp": "110",
            "heart_rate": "90",
            "hepatic_disease": "sim",
        },
        "9",
        "0",
    ),
    "45": (
        "glasgow_blatchford",
        {**GBS, "sex": "F", "bun": "15", "hemoglobin": "11,5", "sbp": "120", "heart_rate": "80"},
        "1",
        "0",
    ),
    "46": ("aims65", {"albumin": "2", "inr": "3", "altered_mentation": "não", "sbp": "120", "age": "65"}, "3", "0"),
    "49": ("rockall_preendoscopy", {**ROCKALL, "age": "80", "sbp": "99", "comorbidity": "other"}, "6", "0"),
    "51": ("meld_na_unos_2016", MELD, "6", "0"),
    "54a": ("kdigo_aki_stage", {**KDIGO, "creatinine": "1,5"}, "1", "0"),
    "54b": ("kdigo_aki_stage", {**KDIGO, "creatinine": "2,0"}, "2", "0"),
    "54c": ("kdigo_aki_stage", {**KDIGO, "creatinine": "3,0"}, "3", "0"),
    "55a": ("kdigo_aki_stage", {**KDIGO, "urine_output_ml_kg_h": "0,4", "urine_hours": "8"}, "1", "0"),
    "55b": ("kdigo_aki_stage", {**KDIGO, "urine_output_ml_kg_h": "0,4", "urine_hours": "14"}, "2", "0"),
    "57": (
        "apache_ii",
        {
            **pairs("age=64 temperature=100,8°F map=75,33 heart_rate=107 respiratory_rate=22"),
            **pairs("pao2=75 fio2=0,36 ph=7,29 sodium=136 potassium=4,5 creatinine=1,8"),
            **pairs("acute_renal_failure=sim hematocrit=34 wbc=12,3 gcs=13"),
        },
        "11",
        "0",
    ),
    "58": ("shock_index", {"heart_rate": "110", "sbp": "90"}, "1.22", "0.005"),
    "59": (
        "infusion_rate",
        {
            **pairs("dose=5 dose_unit=mcg/kg/min weight=95"),
            **pairs("amount=200 amount_unit=mg volume_ml=250"),
        },
        "35.6",
        "0.05",
    ),
    "60": (
        "infusion_rate",
        {"dose": "10", "dose_unit": "mcg/min", "amount": "50", "amount_unit": "mg", "volume_ml": "250"},
        "3",
        "0",
    ),
    "65": (
        "infusion_rate",
        {"dose": "2", "dose_unit": "mcg/min", "amount": "2", "amount_unit": "mcg", "volume_ml": "1"},
        "60",
        "0",
    ),
    "67 drops": ("drip_rate", {"volume_ml": "1000", "hours": "4"}, "83", "0.5"),
    "67 microdrops": ("drip_rate", {"volume_ml": "300", "hours": "4", "drop_factor": "60"}, "75", "0"),
    "§0 MELD-Na": ("meld_na_unos_2016", {**MELD, "sodium": "130"}, "6", "0"),
    "§0 MELD": (
        "meld_na_unos_2016",
        {"creatinine": "0,98", "bilirubin": "1,93", "inr": "2", "sodium": "140"},
        "16.7",
        "0.5",
    ),
    "§0 urea": ("bun_to_urea", {"bun": "112"}, "240", "0.5"),
}


def value_of(calculator: str, inputs: Mapping[str, Any]) -> Decimal:
    result = run(calculator, inputs)
    assert result.value is not None, result.missing
    return result.value


def test_the_interface_is_the_documented_one() -> None:
    assert {calculator.id for calculator in all_calculators()} == set(INTERFACE)
    for calculator in all_calculators():
        words = INTERFACE[calculator.id].split()
        alternatives = tuple(tuple(word.split("/")) for word in words if "/" in word)
        names = {name for word in words for name in word.strip("[]").split("/")}
        optional = {word.strip("[]") for word in words if "[" in word} | {
            name for group in alternatives for name in group
        }
        assert {parameter.name for parameter in calculator.parameters} == names, calculator.id
        assert {parameter.name for parameter in calculator.parameters if parameter.optional} == optional, calculator.id
        assert calculator.alternatives == alternatives, calculator.id


def test_units_are_the_documented_ones() -> None:
    for calculator in all_calculators():
        for parameter in calculator.parameters:
            assert parameter.unit == UNITS.get(parameter.name, parameter.unit), (calculator.id, parameter.name)


@pytest.mark.parametrize("number", PAIRS)
def test_worked_pairs(number: str) -> None:
    calculator, inputs, expected, tolerance = PAIRS[number]
    assert abs(value_of(calculator, inputs) - Decimal(expected)) <= Decimal(tolerance)


# (calculator, its other inputs, input, "value:score" at and beside each printed limit)
BANDS: list[tuple[str, dict[str, str], str, str]] = [
    (
        "sofa_1996",
        SUPPORTED,
        "pao2",
        "99:4 99.9999:4 100:3 198.9:3 199:3 199.5:3 199.9999:3 200:2 299.9999:2 300:1 399.9999:1 400:0",
    ),
    ("sofa_1996", {**SUPPORTED, "ventilated": "não"}, "pao2", "99:2 199.5:2 200:2 299.9999:2 300:1 399.9999:1 400:0"),
    ("sofa_1996", {**SUPPORTED, "fio2": "0,5"}, "pao2", "49.9999:4 50:3 99.75:3 99.9999:3 100:2 200:0"),
    ("sofa_1996", SOFA, "platelets", "19.9999:4 20:3 49.9999:3 50:2 99.9999:2 100:1 149.9999:1 150:0"),
    ("sofa_1996", SOFA, "bilirubin", "1.1999:0 1.2:1 1.95:1 1.9999:1 2:2 5.9999:2 6:3 11.9999:3 12:4"),
    ("sofa_1996", SOFA, "gcs", "3:4 5:4 6:3 9:3 10:2 12:2 13:1 14:1 15:0"),
    ("sofa_1996", SOFA, "creatinine", "1.1999:0 1.2:1 1.9999:1 2:2 3.4999:2 3.5:3 4.9999:3 5:4"),
    ("sofa_1996", SOFA, "urine_output_ml_day", "0:4 199.9999:4 200:3 499.9999:3 500:0"),
    ("sofa_1996", {**SOFA, "creatinine": "2"}, "urine_output_ml_day", "199:4 200:3 500:2"),
    ("sofa_1996", SOFA, "map", "69.9999:1 70:0"),
    ("sofa_1996", SOFA, "dopamine", "0:0 0.0001:2 5:2 5.0001:3 15:3 15.0001:4"),
    ("sofa_1996", SOFA, "dobutamine", "0:0 0.0001:2 50:2"),
    ("sofa_1996", SOFA, "norepinephrine", "0:0 0.0001:3 0.1:3 0.1001:4"),
    ("sofa_1996", SOFA, "epinephrine", "0:0 0.0001:3 0.1:3 0.1001:4"),
    ("apache_ii", APACHE, "age", "44:0 44.9999:0 45:2 54.9999:2 55:3 64.9999:3 65:5 74.9999:5 75:6"),
    (
        "apache_ii",
        APACHE,
        "temperature",
        "29.9:4 29.9999:4 30:3 31.9999:3 32:2 33.9999:2 34:1 35.9999:1 36:0 38.4999:0 38.5:1 38.9999:1 39:3 "
        "40.9999:3 41:4",
    ),
    (
        "apache_ii",
        APACHE,
        "map",
        "49.9999:4 50:2 69.9999:2 70:0 109.9999:0 110:2 129.9999:2 130:3 159.9999:3 160:4",
    ),
    (
        "apache_ii",
        APACHE,
        "heart_rate",
        "39.9999:4 40:3 54.9999:3 55:2 69.9999:2 70:0 109.9999:0 110:2 139.9999:2 140:3 179.9999:3 180:4",
    ),
    (
        "apache_ii",
        APACHE,
        "respiratory_rate",
        "5:4 5.9999:4 6:2 9.9999:2 10:1 11.9999:1 12:0 24.9999:0 25:1 34.9999:1 35:3 49.9999:3 50:4",
    ),
    ("apache_ii", APACHE, "pao2", "54.9999:4 55:3 60:3 60.0001:1 61:1 70:1 70.0001:0"),
    ("apache_ii", {**APACHE, "fio2": "0,4999"}, "pao2", "54:4 71:0"),
    (
        "apache_ii",
        {**APACHE, "fio2": "0,5"},
        "aado2",
        "0:0 199.9999:0 200:2 349.9999:2 350:3 499.9999:3 500:4",
    ),
    (
        "apache_ii",
        APACHE,
        "ph",
        "7.1499:4 7.15:3 7.2499:3 7.25:2 7.3299:2 7.33:0 7.4999:0 7.5:1 7.5999:1 7.6:3 7.6999:3 7.7:4",
    ),
    (
        "apache_ii",
        APACHE,
        "sodium",
        "110:4 110.9999:4 111:3 119.9999:3 120:2 129.9999:2 130:0 149.9999:0 150:1 154.9999:1 155:2 159.9999:2 160:3 "
        "179.9999:3 180:4",
    ),
    (
        "apache_ii",
        APACHE,
        "potassium",
        "2.4999:4 2.5:2 2.9999:2 3:1 3.4999:1 3.5:0 5.4999:0 5.5:1 5.9999:1 6:3 6.9999:3 7:4",
    ),
    ("apache_ii", APACHE, "creatinine", "0.5999:2 0.6:0 1.4999:0 1.5:2 1.9999:2 2:3 3.4999:3 3.5:4"),
    (
        "apache_ii",
        {**APACHE, "acute_renal_failure": "sim"},
        "creatinine",
        "0.6:0 1.4999:0 1.5:4 1.9999:4 2:6 3.4999:6 3.5:8",
    ),
    ("apache_ii", APACHE, "hematocrit", "19.9999:4 20:2 29.9999:2 30:0 45.9999:0 46:1 49.9999:1 50:2 59.9999:2 60:4"),
    ("apache_ii", APACHE, "wbc", "0.9999:4 1:2 2.9999:2 3:0 14.9999:0 15:1 19.9999:1 20:2 39.9999:2 40:4"),
    ("apache_ii", APACHE, "gcs", "15:0 14:1 9:6 3:12"),
    ("child_pugh", CHILD, "bilirubin", "1.9999:5 2:6 3:6 3.0001:7"),
    ("child_pugh", CHILD, "albumin", "2.7999:7 2.8:6 3.5:6 3.5001:5"),
    ("child_pugh", CHILD, "inr", "1.6999:5 1.7:6 2.3:6 2.3001:7"),
    ("child_pugh", CHILD, "encephalopathy", "0:5 1:6 2:6 3:7 4:7"),
    ("curb_65", CURB, "urea", "42:0 42.042:0 42.0421:1 43:1"),
    ("curb_65", CURB, "respiratory_rate", "29:0 29.9999:0 30:1"),
    ("curb_65", CURB, "sbp", "89.9999:1 90:0"),
    ("curb_65", CURB, "dbp", "60:1 60.0001:0 61:0"),
    ("curb_65", {**CURB, "sbp": "80"}, "dbp", "60:1 70:1"),
    ("curb_65", CURB, "age", "64.9999:0 65:1"),
    ("rockall_preendoscopy", ROCKALL, "age", "59.9999:0 60:1 79.9999:1 80:2"),
    ("rockall_preendoscopy", ROCKALL, "heart_rate", "99.9999:0 100:1"),
    ("rockall_preendoscopy", ROCKALL, "sbp", "99.9999:2 100:0"),
    ("rockall_preendoscopy", {**ROCKALL, "heart_rate": "120"}, "sbp", "99.9999:2 100:1"),
]


@pytest.mark.parametrize(("calculator", "others", "name", "scores"), BANDS)
def test_published_bands(calculator: str, others: dict[str, str], name: str, scores: str) -> None:
    for pair in scores.split():
        observed, expected = pair.split(":")
        assert value_of(calculator, {**others, name: Decimal(observed)}) == int(expected), pair


@pytest.mark.parametrize(
    ("calculator", "others", "name", "scores"),
    [
        ("child_pugh", CHILD, "ascites", {"none": 5, "mild": 6, "moderate": 7}),
        ("rockall_preendoscopy", ROCKALL, "comorbidity", {"none": 0, "other": 2, "renal_hepatic_metastatic": 3}),
        ("apache_ii", APACHE, "chronic_health", {"none": 0, "elective": 2, "emergency": 5}),
        ("curb_65", CURB, "confusion", {"não": 0, "sim": 1}),
    ],
)
def test_published_choices(calculator: str, others: dict[str, str], name: str, scores: dict[str, int]) -> None:
    for choice, expected in scores.items():
        assert value_of(calculator, {**others, name: choice}) == expected


@pytest.mark.parametrize(("text", "points"), [("7 mmol/L", 0), ("7,01 mmol/L", 1), ("19,6", 0), ("19,7", 1)])
def test_curb_65_with_bun(text: str, points: int) -> None:
    inputs = {name: value for name, value in CURB.items() if name != "urea"}
    result = run("curb_65", {**inputs, "bun": text})
    assert result.value == points
    assert "corresponde a ureia" in result.assumptions[0]


WORST = {
    "sofa_1996": (
        {
            **pairs("pao2=50 fio2=1 ventilated=sim platelets=5 bilirubin=20 gcs=3"),
            **pairs("creatinine=6 norepinephrine=1"),
        },
        24,
    ),
    "apache_ii": (
        {
            **pairs("age=80 temperature=42 map=40 heart_rate=190 respiratory_rate=60"),
            **pairs("fio2=1 aado2=600 ph=7 sodium=190 potassium=8 creatinine=5"),
            **pairs("acute_renal_failure=sim hematocrit=10 wbc=50 gcs=3"),
            "chronic_health": "emergency",
        },
        71,
    ),
    "curb_65": ({**CURB, "age": "80", "confusion": "sim", "urea": "90", "respiratory_rate": "40", "dbp": "50"}, 5),
    "child_pugh": (
        {"bilirubin": "9", "albumin": "2", "inr": "3", "ascites": "moderate", "encephalopathy": "4"},
        15,
    ),
    "rockall_preendoscopy": (
        {"age": "90", "sbp": "80", "heart_rate": "130", "comorbidity": "renal_hepatic_metastatic"},
        7,
    ),
    "glasgow_coma_scale": ({"eye": "4", "verbal": "5", "motor": "6"}, 15),
    "meld_na_unos_2016": ({"creatinine": "4", "bilirubin": "40", "inr": "6", "sodium": "120"}, 40),
    "meld_3_0": (
        {"sex": "F", "creatinine": "3", "bilirubin": "40", "inr": "6", "sodium": "120", "albumin": "1,5"},
        40,
    ),
}
LEAST = {"child_pugh": 5, "glasgow_coma_scale": 3, "meld_na_unos_2016": 6, "meld_3_0": 6}


@pytest.mark.parametrize("calculator", WORST)
def test_the_greatest_score_is_the_published_one(calculator: str) -> None:
    inputs, greatest = WORST[calculator]
    assert value_of(calculator, inputs) == greatest
    known = {"chronic_health": "emergency"} if calculator == "apache_ii" else {}
    least = 5 if known else LEAST.get(calculator, 0)
    assert run(calculator, known).range == (least, greatest)


def test_sofa_without_circulation_is_indeterminate() -> None:
    inputs = {name: value for name, value in SOFA.items() if name != "map"}
    result = run("sofa_1996", inputs)
    assert (result.value, result.determinable, result.range) == (None, False, (0, 4))
    assert result.missing == ("map or dopamine or dobutamine or norepinephrine or epinephrine",)
    assert "Pressão arterial média ou Dopamina" in result.interpretation
    nothing = run("sofa_1996", {})
    assert (nothing.value, nothing.range) == (None, (0, 24))


def test_sofa_with_amines_and_no_pressure() -> None:
    inputs = {name: value for name, value in SOFA.items() if name != "map"}
    running = run("sofa_1996", {**inputs, "norepinephrine": "0,05"})
    assert running.value == 3
    assert any("dopamina, dobutamina, adrenalina" in sentence for sentence in running.assumptions)
    stopped = run("sofa_1996", {**inputs, "norepinephrine": "0"})
    assert (stopped.value, stopped.missing, stopped.range) == (None, ("map",), (0, 1))
    assert run("sofa_1996", {**SOFA, "norepinephrine": "0"}).value == 0


def test_sofa_names_each_organ() -> None:
    text = run("sofa_1996", {**SOFA, "platelets": "90", "gcs": "12"}).interpretation
    assert "coagulação 2" in text
    assert "sistema nervoso 2" in text
    assert "rim 0" in text


@pytest.mark.parametrize(
    ("inputs", "missing"),
    [
        ({"fio2": "0,4"}, ("pao2",)),
        ({"fio2": "0,5"}, ("aado2",)),
        ({"fio2": "0,6", "pao2": "60"}, ("aado2",)),
        ({}, ("fio2", "pao2", "aado2")),
        ({"pao2": "60", "aado2": "300"}, ("fio2",)),
    ],
)
def test_apache_reads_what_fio2_makes_it_read(inputs: dict[str, str], missing: tuple[str, ...]) -> None:
    others = {name: value for name, value in APACHE.items() if name not in ("pao2", "fio2")}
    assert run("apache_ii", {**others, **inputs}).missing == missing


@pytest.mark.parametrize("creatinine", ["0,5", "0,9", "1", "2", "4", "9"])
@pytest.mark.parametrize(("calculator", "others"), [("meld_na_unos_2016", MELD), ("meld_3_0", MELD_3)])
def test_dialysis_counts_as_the_highest_creatinine(calculator: str, others: dict[str, str], creatinine: str) -> None:
    """MedCalc-Bench leaves dialysis with creatinine below 1 at 1."""
    dialysed = value_of(calculator, {**others, "creatinine": creatinine, "dialysis_twice_in_week": "sim"})
    highest = value_of(calculator, {**others, "creatinine": "4"})
    assert dialysed == highest
    assert dialysed > value_of(calculator, others)


def test_meld_na_uses_sodium_only_above_11() -> None:
    at_11 = {"creatinine": "1", "bilirubin": "1", "inr": "1,5"}
    above = {"creatinine": "1", "bilirubin": "1", "inr": "1,6"}
    for sodium in ("120", "125", "130", "137", "145"):
        assert value_of("meld_na_unos_2016", {**at_11, "sodium": sodium}) == 11
    assert value_of("meld_na_unos_2016", {**above, "sodium": "137"}) == 12
    assert value_of("meld_na_unos_2016", {**above, "sodium": "125"}) == 23
    assert value_of("meld_na_unos_2016", {**above, "sodium": "120"}) == 23


LABORATORY = {
    "creatinine": st.decimals("0.3", "8", places=2),
    "bilirubin": st.decimals("0.2", "50", places=1),
    "inr": st.decimals("0.8", "8", places=2),
    "sodium": st.integers(115, 150).map(Decimal),
    "albumin": st.decimals("1", "5", places=1),
}


def clamped(value: Decimal, low: float, high: float) -> float:
    return min(high, max(low, float(value)))


@settings(max_examples=200, deadline=None)
@given(st.fixed_dictionaries(LABORATORY), st.booleans(), st.booleans())
def test_melds_against_their_formulas(values: dict[str, Decimal], woman: bool, dialysed: bool) -> None:
    bilirubin, inr = (math.log(clamped(values[name], 1, 1000)) for name in ("bilirubin", "inr"))
    sodium = 137 - clamped(values["sodium"], 125, 137)
    albumin = 3.5 - clamped(values["albumin"], 1.5, 3.5)
    creatinine = math.log(3 if dialysed else clamped(values["creatinine"], 1, 3))
    third = (
        1.33 * woman
        + 4.56 * bilirubin
        + 0.82 * sodium
        - 0.24 * sodium * bilirubin
        + 9.09 * inr
        + 11.14 * creatinine
        + 1.85 * albumin
        - 1.83 * albumin * creatinine
        + 6
    )
    given_values = {**values, "dialysis_twice_in_week": dialysed}
    found = value_of("meld_3_0", {**given_values, "sex": "F" if woman else "M"})
    assert abs(float(found) - min(40.0, max(6.0, third))) <= 0.5 + 1e-9
    creatinine = math.log(4 if dialysed else clamped(values["creatinine"], 1, 4))
    initial = round(10 * (0.957 * creatinine + 0.378 * bilirubin + 1.120 * inr + 0.643), 9)
    del given_values["albumin"]
    found = value_of("meld_na_unos_2016", given_values)
    possible = {min(40, max(6, whole)) for whole in (math.floor(initial + 0.5), math.ceil(initial - 0.5))}
    scores = [first + (1.32 * sodium - 0.033 * first * sodium if first > 11 else 0) for first in possible]
    assert any(abs(float(found) - min(40.0, score)) <= 0.5 + 1e-9 for score in scores)


def test_meld_3_differs_by_sex_and_albumin() -> None:
    ill = {**MELD_3, "creatinine": "1,5", "bilirubin": "6", "inr": "1,5", "sodium": "131", "albumin": "2,2"}
    assert value_of("meld_3_0", {**ill, "sex": "F"}) == value_of("meld_3_0", ill) + 1
    assert value_of("meld_3_0", {**ill, "albumin": "3,5"}) < value_of("meld_3_0", ill)


@pytest.mark.parametrize(("score", "letter"), [(5, "A"), (6, "A"), (7, "B"), (9, "B"), (10, "C"), (15, "C")])
def test_child_pugh_class(score: int, letter: str) -> None:
    raised = [{"bilirubin": "9"}, {"albumin": "2"}, {"inr": "3"}, {"encephalopathy": "4"}, {"ascites": "moderate"}]
    inputs, left = dict(CHILD), score - 5
    for worse in raised[: left // 2]:
        inputs.update(worse)
    if left % 2:
        inputs["ascites"] = "mild"
    result = run("child_pugh", inputs)
    assert result.value == score
    assert result.interpretation.startswith(f"Classe {letter} ")


@pytest.mark.parametrize(
    ("calculator", "inputs", "value", "says"),
    [
        ("delta_ratio", {"sodium": "140", "chloride": "100", "bicarbonate": "12"}, "1.3333", "De 1 a 2"),
        (
            "delta_ratio",
            {"sodium": "140", "chloride": "104", "bicarbonate": "12", "albumin": "2"},
            "1.4167",
            "De 1 a 2",
        ),
        ("delta_ratio", {"sodium": "140", "chloride": "112", "bicarbonate": "12"}, "0.3333", "Abaixo de 0,4"),
        ("delta_ratio", {"sodium": "140", "chloride": "110", "bicarbonate": "10"}, "0.5714", "De 0,4 a 1"),
        ("delta_ratio", {"sodium": "140", "chloride": "96", "bicarbonate": "12"}, "1.6667", "De 1 a 2"),
        ("delta_ratio", {"sodium": "140", "chloride": "98", "bicarbonate": "20"}, "2.5", "Acima de 2"),
        ("delta_ratio", {"sodium": "140", "chloride": "116", "bicarbonate": "14"}, "-0.2", "não se interpreta"),
        ("serum_osmolality", {"sodium": "140", "glucose": "90", "bun": "14"}, "290", "Na referência"),
        ("serum_osmolality", {"sodium": "140", "glucose": "90", "urea": "29,96"}, "290", "Na referência"),
        ("serum_osmolality", {"sodium": "140", "glucose": "900", "bun": "28"}, "340", "Acima"),
        ("corrected_sodium", {"sodium": "120", "glucose": "300"}, "124.8", "Abaixo"),
        ("corrected_sodium", {"sodium": "140", "glucose": "90"}, "139.76", "não há hiperglicemia"),
        ("corrected_calcium", {"calcium": "8", "albumin": "2,5"}, "9.2", "Na referência"),
        ("corrected_calcium", {"calcium": "2 mmol/L", "albumin": "40 g/L"}, "8.016", "Abaixo"),
        (
            "fena",
            {"urine_sodium": "10", "sodium": "140", "urine_creatinine": "100", "creatinine": "2"},
            "0.1429",
            "pré-renal",
        ),
        (
            "fena",
            {"urine_sodium": "40", "sodium": "140", "urine_creatinine": "30", "creatinine": "2"},
            "1.9048",
            "indeterminada",
        ),
        (
            "fena",
            {"urine_sodium": "60", "sodium": "140", "urine_creatinine": "30", "creatinine": "3"},
            "4.2857",
            "necrose tubular",
        ),
        (
            "fena",
            {"urine_sodium": "200", "sodium": "140", "urine_creatinine": "1", "creatinine": "9"},
            "1285.7143",
            "não existe",
        ),
        ("pf_ratio", {"pao2": "100", "fio2": "1"}, "100", "grave"),
        ("pf_ratio", {"pao2": "101", "fio2": "100 %"}, "101", "moderada"),
        ("pf_ratio", {"pao2": "100", "fio2": "50%"}, "200", "moderada"),
        ("pf_ratio", {"pao2": "120", "fio2": "0,4"}, "300", "leve"),
        ("pf_ratio", {"pao2": "13,33 kPa", "fio2": "0,21"}, "476.1108", "Acima de 300"),
        ("drip_rate", {"volume_ml": "500", "hours": "90 min", "drop_factor": 20}, "111.1111", "111 gotas/min"),
        ("drip_rate", {"volume_ml": "100", "hours": "1", "drop_factor": "60"}, "100", "100 microgotas/min"),
        ("glasgow_coma_scale", {"eye": "1", "verbal": "1", "motor": "6"}, "8", "grave"),
        ("glasgow_coma_scale", {"eye": "2", "verbal": "1", "motor": "6"}, "9", "moderado"),
        ("glasgow_coma_scale", {"eye": "4", "verbal": "3", "motor": "6"}, "13", "leve"),
        ("curb_65", {**CURB, "age": "70", "confusion": "sim"}, "2", "intermediário; mortalidade em 30 dias de 13 %"),
        ("rockall_preendoscopy", {**ROCKALL, "age": "70", "comorbidity": "other"}, "3", "11 %"),
        ("apache_ii", APACHE, "0", "4 % (clínico), 1 %"),
    ],
)
def test_values_and_what_is_said_of_them(calculator: str, inputs: dict[str, Any], value: str, says: str) -> None:
    result = run(calculator, inputs)
    assert result.value is not None
    assert abs(result.value - Decimal(value)) <= Decimal("0.00005")
    assert says in result.interpretation


@pytest.mark.parametrize(
    ("calculator", "inputs", "says"),
    [
        ("sofa_1996", {"gcs": "16"}, "de 3 a 15"),
        ("sofa_1996", {"gcs": "2"}, "de 3 a 15"),
        ("sofa_1996", {"gcs": "14,5"}, "número inteiro"),
        ("sofa_1996", {"fio2": "21"}, "de 0,21 a 1"),
        ("sofa_1996", {"fio2": "0,2"}, "de 0,21 a 1"),
        ("sofa_1996", {"pao2": "13,3"}, "de 15 a 800 mmHg"),
        ("sofa_1996", {"platelets": "90000"}, "de 0 a 3000"),
        ("sofa_1996", {"norepinephrine": "20"}, "de 0 a 10 mcg/kg/min"),
        ("sofa_1996", {"norepinephrine": "8 mcg/min"}, "unidade não aceita"),
        ("sofa_1996", {"map": "-70"}, "de 10 a 300 mmHg"),
        ("glasgow_coma_scale", {"eye": "5"}, "de 1 a 4"),
        ("glasgow_coma_scale", {"verbal": "0"}, "de 1 a 5"),
        ("glasgow_coma_scale", {"motor": "7"}, "de 1 a 6"),
        ("glasgow_coma_scale", {"verbal": "1T"}, "não tem unidade"),
        ("child_pugh", {"bilirubin": "2,6 umol/L"}, "implausível nesta unidade"),
        ("child_pugh", {"bilirubin": "0"}, "de 0,05 a 100 mg/dL"),
        ("child_pugh", {"ascites": "severe"}, "none, mild, moderate"),
        ("child_pugh", {"encephalopathy": "5"}, "de 0 a 4"),
        ("meld_3_0", {"sex": "X"}, "M, F"),
        ("meld_na_unos_2016", {"inr": "0"}, "de 0,5 a 30"),
        ("curb_65", {"age": "-3"}, "de 18 a 130 anos"),
        ("curb_65", {"sbp": "60", "dbp": "80"}, "não pode passar"),
        ("curb_65", {"urea": "40", "bun": "20"}, "só um"),
        ("apache_ii", {"ph": "74"}, "de 6,3 a 8"),
        ("apache_ii", {"ph": "7.352"}, "ambíguo"),
        ("apache_ii", {"hematocrit": "0,4"}, "de 3 a 80 %"),
        ("rockall_preendoscopy", {"age": "10"}, "de 18 a 130 anos"),
        ("delta_ratio", {"bicarbonate": "24"}, "abaixo de 24"),
        ("corrected_sodium", {"factor": "2"}, "2.4, 1.6"),
        ("corrected_calcium", {"calcium": "2,2"}, "de 3 a 25 mg/dL"),
        ("drip_rate", {"hours": "0"}, "acima de 0"),
        ("drip_rate", {"drop_factor": "15"}, "20, 60"),
        ("fena", {"urine_creatinine": "0"}, "de 1 a 1000 mg/dL"),
    ],
)
def test_impossible_inputs_are_refused(calculator: str, inputs: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError) as caught:
        run(calculator, inputs)
    assert says in caught.value.message


@pytest.mark.parametrize(
    ("calculator", "name", "text", "value"),
    [
        ("child_pugh", "bilirubin", "34,2 umol/L", "2"),
        ("child_pugh", "bilirubin", "3 µmol/L", "0.1754385965"),
        ("sofa_1996", "pao2", "10 kPa", "75.0062"),
        ("sofa_1996", "fio2", "40 %", "0.4"),
        ("sofa_1996", "platelets", "90000/mm3", "90"),
        ("sofa_1996", "norepinephrine", "0,1 ug/kg/min", "0.1"),
        ("sofa_1996", "urine_output_ml_day", "1,5 L", "1500"),
        ("serum_osmolality", "glucose", "5 mmol/L", "90"),
        ("fena", "urine_creatinine", "8,84 mmol/L", "100"),
        ("fena", "urine_creatinine", "884 umol/L", "10"),
        ("corrected_sodium", "factor", "1,6", "1.6"),
    ],
)
def test_second_units_are_converted(calculator: str, name: str, text: str, value: str) -> None:
    found = run(calculator, {name: text}).inputs[name]
    assert Decimal(str(found)) == Decimal(value)


def test_ids_have_near_names() -> None:
    for typed, hint in {
        "sofa": "Did you mean sofa_1996?",
        "meld": "Did you mean meld_na_unos_2016 or meld_3_0?",
        "curb-65": "Did you mean curb_65?",
        "apache": "Did you mean apache_ii?",
    }.items():
        with pytest.raises(NotFoundError) as caught:
            get(typed)
        assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("calculator", "others", "name", "grows"),
    [
        ("sofa_1996", SUPPORTED, "pao2", False),
        ("sofa_1996", {**SUPPORTED, "pao2": "150"}, "fio2", True),
        ("sofa_1996", SOFA, "platelets", False),
        ("sofa_1996", SOFA, "bilirubin", True),
        ("sofa_1996", SOFA, "gcs", False),
        ("sofa_1996", SOFA, "creatinine", True),
        ("sofa_1996", SOFA, "urine_output_ml_day", False),
        ("sofa_1996", SOFA, "map", False),
        ("sofa_1996", SOFA, "dopamine", True),
        ("sofa_1996", SOFA, "norepinephrine", True),
        ("apache_ii", APACHE, "age", True),
        ("apache_ii", APACHE, "pao2", False),
        ("apache_ii", {**APACHE, "fio2": "0,6"}, "aado2", True),
        ("apache_ii", APACHE, "gcs", False),
        ("child_pugh", CHILD, "bilirubin", True),
        ("child_pugh", CHILD, "albumin", False),
        ("child_pugh", CHILD, "inr", True),
        ("child_pugh", CHILD, "encephalopathy", True),
        ("curb_65", CURB, "urea", True),
        ("curb_65", CURB, "age", True),
        ("curb_65", {**CURB, "dbp": "10"}, "sbp", False),
        ("rockall_preendoscopy", ROCKALL, "age", True),
        ("rockall_preendoscopy", ROCKALL, "sbp", False),
        ("meld_na_unos_2016", {**MELD, "sodium": "125"}, "creatinine", True),
        ("meld_na_unos_2016", {**MELD, "sodium": "125"}, "bilirubin", True),
        ("meld_na_unos_2016", {**MELD, "sodium": "125"}, "inr", True),
        ("meld_na_unos_2016", {**MELD, "inr": "2"}, "sodium", False),
        ("meld_3_0", MELD_3, "creatinine", True),
        ("meld_3_0", {**MELD_3, "sodium": "125"}, "bilirubin", True),
        ("meld_3_0", MELD_3, "inr", True),
        ("meld_3_0", MELD_3, "sodium", False),
        ("meld_3_0", MELD_3, "albumin", False),
        ("body_surface_area_mosteller", {"weight": "70", "height": "170"}, "weight", True),
        ("anion_gap_albumin_corrected", {"sodium": "140", "chloride": "104", "bicarbonate": "24"}, "albumin", False),
        ("corrected_calcium", {"calcium": "9"}, "albumin", False),
        ("corrected_sodium", {"sodium": "130"}, "glucose", True),
        ("pf_ratio", {"pao2": "80"}, "fio2", False),
        (
            "fena",
            {"urine_sodium": "60", "sodium": "140", "creatinine": "3", "urine_creatinine": "9"},
            "urine_creatinine",
            False,
        ),
    ],
)
def test_monotone(calculator: str, others: dict[str, str], name: str, grows: bool) -> None:
    parameter = next(p for p in get(calculator).parameters if p.name == name)
    assert parameter.low is not None
    assert parameter.high is not None
    step = (parameter.high - parameter.low) / 60
    inside = [min(parameter.high, round(parameter.low + step * count, 4)) for count in range(61)]
    cuts = [cut for part in get(calculator).components for cut in part.cuts.get(name, ())]
    values = sorted({*inside, *(cut for cut in cuts if parameter.low <= cut <= parameter.high)})
    if parameter.whole:
        values = sorted({value.to_integral_value() for value in values})
    if name == "sbp":
        values = [value for value in values if value >= 80]
    scores = [value_of(calculator, {**others, name: value}) for value in values]
    assert scores == sorted(scores, reverse=not grows)


AMINES = ("dopamine", "dobutamine", "norepinephrine", "epinephrine")


@settings(max_examples=150, deadline=None)
@given(
    st.fixed_dictionaries({name: st.sampled_from(["0", "0,05", "0,2", "5", "9"]) for name in AMINES}),
    st.sampled_from(["60", "80"]),
    st.sets(st.sampled_from(["map", *AMINES, "pao2", "ventilated", "gcs", "creatinine"]), min_size=1),
)
def test_sofa_ranges_hold_what_may_come(doses: dict[str, str], pressure: str, hidden: set[str]) -> None:
    """Optional inputs that are left out count as absent, unless the whole circulation is unknown."""
    full = {**SOFA, **doses, "map": pressure}
    kept = {name: value for name, value in full.items() if name not in hidden}
    result = run("sofa_1996", kept)
    circulation = hidden & {"map", *AMINES}
    if circulation and circulation != {"map", *AMINES}:
        full = {name: value for name, value in full.items() if name not in circulation or name == "map"}
    value = value_of("sofa_1996", full)
    if result.range is None:
        assert result.value is not None
        return
    low, high = result.range
    assert low is not None
    assert high is not None
    assert low <= value <= high
