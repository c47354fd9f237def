"""`gemx calc` through the real entry point: list, show, run, JSON, 80 columns, exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conftest import RunGemx
from gemx.clinical.calculators import all_calculators

ROOT = Path(__file__).parents[2]
KEYS = {
    *("id", "value", "unit", "interpretation", "determinable", "range", "missing", "assumptions", "inputs"),
    *("formula_version", "source"),
}
CHILD = "bilirubin=2,5 albumin=3,2 inr=1.5 ascites=mild encephalopathy=0"
SOFA = "pao2=476 fio2=1 ventilated=não platelets=90 bilirubin=1,3 gcs=12 creatinine=1 map=80"
IDS = [calculator.id for calculator in all_calculators()]


def arguments(text: str) -> list[str]:
    return [word for pair in text.split() for word in ("-i", pair)]


def data_of(run_gemx: RunGemx, calculator: str, inputs: str) -> Any:
    done = run_gemx("calc", "run", calculator, *arguments(inputs), "--json")
    assert done.code == 0, done.out
    envelope = done.json
    assert (envelope["command"], envelope["status"], envelope["errors"]) == ("calc run", "success", [])
    assert set(envelope["data"]) == KEYS
    return envelope["data"]


def widest(text: str) -> int:
    return max(len(line) for line in text.splitlines())


def test_a_score_in_json(run_gemx: RunGemx) -> None:
    data = data_of(run_gemx, "child_pugh", CHILD)
    assert (data["id"], data["value"], data["unit"], data["determinable"]) == ("child_pugh", 8, "pontos", True)
    assert data["interpretation"] == "Classe B (7 a 9 pontos)."
    assert (data["range"], data["missing"], data["assumptions"]) == (None, [], [])
    assert data["inputs"] == {
        "bilirubin": 2.5,
        "albumin": 3.2,
        "inr": 1.5,
        "ascites": "mild",
        "encephalopathy": 0,
    }
    assert data["formula_version"] == "child_pugh_1973_inr"
    assert "doi:10.1002/bjs.1800600817" in data["source"]


def test_missing_inputs_leave_a_range(run_gemx: RunGemx) -> None:
    data = data_of(run_gemx, "child_pugh", "bilirubin=2,5 ascites=mild")
    assert (data["value"], data["determinable"], data["range"]) == (None, False, [7, 13])
    assert data["missing"] == ["albumin", "inr", "encephalopathy"]
    assert data["interpretation"].startswith("Não determinável: falta Albumina")
    unbounded = data_of(run_gemx, "drip_rate", "")
    assert (unbounded["range"], unbounded["missing"]) == ([None, None], ["volume_ml", "hours"])


def test_left_out_options_are_listed(run_gemx: RunGemx) -> None:
    data = data_of(run_gemx, "corrected_sodium", "sodium=132 glucose=350")
    assert data["value"] == 138
    assert data["assumptions"] == ["Fator não informado: 2,4 mmol/L por 100 mg/dL de glicose."]
    assert data_of(run_gemx, "corrected_sodium", "sodium=132 glucose=350 factor=1,6")["assumptions"] == []


def test_a_value_in_another_unit_is_converted(run_gemx: RunGemx) -> None:
    data = data_of(run_gemx, "ckd_epi_2021", "age=50 sex=M creatinine=88,4umol/L")
    assert data["inputs"]["creatinine"] == 1
    same = data_of(run_gemx, "ckd_epi_2021", "age=50 sex=m creatinine=1")
    assert data["value"] == same["value"]


def test_a_receipt_for_the_bedside(run_gemx: RunGemx) -> None:
    done = run_gemx("calc", "run", "sofa_1996", *arguments(SOFA))
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == "SOFA (1996) (sofa_1996)"
    assert lines[2] == "  5 pontos"
    assert "coagulação 2" in lines[3]
    assert "  Bilirrubina total: 1,3 mg/dL" in lines
    assert "  Suporte ventilatório: não" in lines
    assert "Pressupostos" in lines
    assert "doi:10.1007/BF01709751" in done.out
    assert widest(done.out) <= 80


def test_a_receipt_of_what_is_missing(run_gemx: RunGemx) -> None:
    done = run_gemx("calc", "run", "curb_65", "-i", "age=70")
    assert done.code == 0
    assert "  Indeterminável: entre 1 e 5 pontos" in done.out
    assert "  - Nitrogênio ureico (BUN) (bun) ou Ureia (urea)" in done.out
    assert widest(done.out) <= 80
    assert "  Indeterminável\n" in run_gemx("calc", "run", "drip_rate").out
    fixed = run_gemx("calc", "run", "kdigo_aki_stage", "-i", "creatinine=1", "-i", "on_rrt=sim")
    assert "Indeterminável; com qualquer valor do que falta, 3" in fixed.out


@pytest.mark.parametrize(
    ("inputs", "shown"),
    [
        ("curb_65 age=70 confusion=não urea=20 respiratory_rate=16 sbp=120 dbp=80", "  1 ponto\n"),
        ("body_surface_area_mosteller weight=85 height=180", "  2,062 m²\n"),
        ("drip_rate volume_ml=1000 hours=4", "  83,33 gotas/min\n"),
        ("drip_rate volume_ml=300 hours=4 drop_factor=60", "  75 microgotas/min\n"),
        ("crystalloid_bolus weight=70", "  2100 mL\n"),
        ("infusion_dose rate=1 dose_unit=mcg/kg/min weight=70 amount=4 amount_unit=mg volume_ml=250", "  0,00381 mcg"),
        ("shock_index heart_rate=110 sbp=90", "  1,222\n"),
        ("body_mass_index weight=70 height=1,75m", "Altura: 175 cm"),
        ("apache_ii chronic_health=elective", "elective (com ela, pós-operatório eletivo)"),
    ],
)
def test_values_as_a_clinician_writes_them(run_gemx: RunGemx, inputs: str, shown: str) -> None:
    calculator, _, given = inputs.partition(" ")
    assert shown in run_gemx("calc", "run", calculator, *arguments(given)).out


@pytest.mark.parametrize(
    ("calculator", "pair", "says"),
    [
        ("sofa_1996", "gcs=16", "de 3 a 15"),
        ("sofa_1996", "fio2=21", "de 0,21 a 1"),
        ("cockcroft_gault", "age=-3", "de 18 a 130 anos"),
        ("child_pugh", "bilirubin=2,6 umol/L", "implausível nesta unidade"),
        ("child_pugh", "creatinine=1", "não tem a entrada creatinine"),
        ("child_pugh", "inr=1.000", "ambíguo"),
        ("curb_65", "urea=40 furlongs", "unidade não aceita; use mg/dL, mmol/L"),
    ],
)
def test_impossible_inputs_exit_4(run_gemx: RunGemx, calculator: str, pair: str, says: str) -> None:
    done = run_gemx("calc", "run", calculator, "-i", pair)
    assert (done.code, done.out) == (4, "")
    assert says in done.err
    envelope = run_gemx("calc", "run", calculator, "-i", pair, "--json").json
    assert (envelope["exit_code"], envelope["data"], envelope["status"]) == (4, None, "error")
    assert says in envelope["errors"][0]["message"]


@pytest.mark.parametrize("command", ["run", "show"])
def test_an_unknown_id_exits_3(run_gemx: RunGemx, command: str) -> None:
    done = run_gemx("calc", command, "sofa")
    assert (done.code, done.out) == (3, "")
    assert "Did you mean sofa_1996?" in done.err
    error = run_gemx("calc", command, "sofa", "--json").json["errors"][0]
    assert (error["code"], error["hint"]) == ("not_found", "Did you mean sofa_1996?")


def test_an_unknown_name_gets_a_suggestion(run_gemx: RunGemx) -> None:
    done = run_gemx("calc", "run", "cockcroft_gault", "-i", "creatinin=1")
    assert done.code == 4
    assert "Você quis dizer creatinine?" in done.err


@pytest.mark.parametrize("words", [("-i", "age"), ("-i", "age=1", "-i", "age=2"), ("--nada",)])
def test_a_wrong_command_line_exits_2(run_gemx: RunGemx, words: tuple[str, ...]) -> None:
    assert run_gemx("calc", "run", "curb_65", *words).code == 2


def test_an_empty_value_is_a_missing_one(run_gemx: RunGemx) -> None:
    data = data_of(run_gemx, "shock_index", "heart_rate=110 sbp=")
    assert data["missing"] == ["sbp"]


def test_list_has_every_calculator(run_gemx: RunGemx) -> None:
    done = run_gemx("calc", "list")
    assert done.code == 0
    assert [line.split()[0] for line in done.out.splitlines() if not line.startswith(" ")] == IDS
    assert widest(done.out) <= 80
    data = run_gemx("calc", "list", "--json").json["data"]
    assert [row["id"] for row in data] == IDS
    assert set(data[0]) == {"id", "title", "unit"}


@pytest.mark.parametrize("calculator", IDS)
def test_every_calculator_is_shown_and_runs_without_inputs(run_gemx: RunGemx, calculator: str) -> None:
    page = run_gemx("calc", "show", calculator)
    assert page.code == 0
    assert widest(page.out) <= 80
    described = run_gemx("calc", "show", calculator, "--json").json["data"]
    for parameter in described["inputs"]:
        assert f"{'' if parameter['optional'] else '*'}{parameter['name']}: {parameter['label'][:5]}" in page.out
    empty = run_gemx("calc", "run", calculator)
    assert empty.code == 0
    assert "Indeterminável" in empty.out
    assert widest(empty.out) <= 80
    assert data_of(run_gemx, calculator, "")["determinable"] is False


def test_show_tells_units_choices_and_groups(run_gemx: RunGemx) -> None:
    sofa = run_gemx("calc", "show", "sofa_1996").out
    assert "*pao2: PaO2; de 15 a 800 mmHg (ou em kPa)" in sofa
    assert "Informe ao menos um: map, dopamine" in sofa
    assert "Opcional. Diurese em 24 h não informada" in sofa
    child = run_gemx("calc", "show", "child_pugh").out
    assert "mild: leve ou controlada" in child
    assert "Informe um só: bun ou urea." in run_gemx("calc", "show", "curb_65").out


def test_foreign_text_drives_no_terminal(run_gemx: RunGemx) -> None:
    done = run_gemx("calc", "run", "qsofa", "-i", "sbp=\x1b[31m120")
    assert done.code == 4
    assert "\x1b" not in done.err


def test_calc_imports_only_what_it_uses(tmp_path: Path) -> None:
    script = "import sys; from gemx.cli.app import main; code = main(sys.argv[1:]); print(code, *sorted(sys.modules))"
    command = [sys.executable, "-c", script, "calc", "run", "shock_index", "-i", "heart_rate=110", "-i", "sbp=90"]
    environment = {**os.environ, "GEMX_HOME": str(tmp_path), "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([*command, "--json"], env=environment, capture_output=True, text=True, check=True)
    out, _, modules = done.stdout.rpartition("}\n")
    assert json.loads(out + "}")["data"]["value"]
    loaded = modules.split()
    assert loaded[0] == "0"
    assert not {"yaml", "rich", "jsonschema", "httpx", "sqlite_utils"} & set(loaded)
