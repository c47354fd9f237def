"""`gemx auto list`, `show`, `validate`, `new` and `schema`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from gemx import places

SHIPPED = ("hda_triage", "ira_aki", "sepse_bundle")
BROKEN = """\
gemx: automation/v1
id: ruim
title: 7
versao: "1"
inputs: [idade, lactatos]
calculators:
  - {id: mean_arterial_presure, as: pam, label: PAM, inputs: {sbp: pas}}
prompt: "PAM {{ pamm }}"
checklist:
  - {item: "x", sources: [{id: "sepse#nada", quote: "y"}]}
"""
Run = Callable[..., Any]


def test_list_has_what_ships_and_what_is_here(run_gemx: Run, workdir: Path) -> None:
    done = run_gemx("auto", "list")
    assert done.code == 0
    assert [line.split()[0] for line in done.out.splitlines()] == list(SHIPPED)
    (workdir / "automations").mkdir()
    (workdir / "automations/minha.yaml").write_text("gemx: automation/v1\nprompt: x\n")
    (workdir / "automations/ruim.yaml").write_text("gemx: [\n")
    told = run_gemx("auto", "list", "--json")
    assert told.code == 0
    rows = {row["name"]: row for row in told.json["data"]}
    assert set(rows) == {*SHIPPED, "minha", "ruim"}
    assert rows["sepse_bundle"]["from"] == "gemx"
    assert rows["minha"]["from"].endswith("automations/minha.yaml")
    assert "INVALID" in rows["ruim"]["title"]
    assert "(automations/minha.yaml)" in run_gemx("auto", "list").out


@pytest.mark.parametrize("name", SHIPPED)
def test_show(run_gemx: Run, name: str) -> None:
    done = run_gemx("auto", "show", name)
    assert done.code == 0
    lines = done.out.splitlines()
    assert all(line.strip() for line in lines)
    for heading in ("guideline: ", "reviewed: ", "calculators: ", "drugs: ", "passages: "):
        assert sum(line.startswith(heading) for line in lines) == 1
    inputs = lines[lines.index("inputs (* required):") + 1 :]
    assert "  peso *: Peso, de 20 a 400 kg, ou em g" in inputs
    assert any(re.match(r"  alergias: ", line) for line in inputs)
    told = run_gemx("auto", "show", name, "--json")
    assert told.json["command"] == "auto show"
    assert told.json["data"]["id"] == name


def test_show_of_a_prompt_alone_has_no_empty_line(run_gemx: Run, workdir: Path) -> None:
    (workdir / "livre.yaml").write_text("gemx: automation/v1\nprompt: x\n")
    done = run_gemx("auto", "show", "livre.yaml")
    assert done.code == 0
    assert done.out.splitlines()[1:] == ["file: livre.yaml"]


def test_show_of_what_is_not_there_offers_what_is(run_gemx: Run) -> None:
    done = run_gemx("auto", "show", "sepse_bundel")
    assert done.code == 3
    assert "sepse_bundle" in done.err
    assert done.out == ""


FOLDERS = ("automations", "prices", "profiles", "templates")


def test_everything_that_ships_is_valid(run_gemx: Run) -> None:
    done = run_gemx("auto", "validate")
    assert done.code == 0
    shipped = [path for folder in FOLDERS for path in _yaml(places.shipped(folder))]
    assert done.out == f"{len(shipped)} files are valid\n"
    assert done.err == ""


def _yaml(folder: Path) -> list[Path]:
    return list(folder.rglob("*.yaml"))


def test_validate_tells_everything_at_once_with_its_place(run_gemx: Run, workdir: Path) -> None:
    path = workdir / "ruim.yaml"
    path.write_text(BROKEN)
    done = run_gemx("auto", "validate", str(path))
    assert done.code == 3
    assert done.out == "0 of 1 files are valid\n"
    places_named = re.findall(rf"^{re.escape(str(path))}:(\d+):(\d+): ", done.err, re.MULTILINE)
    assert len(places_named) == len(done.err.splitlines()) >= 2
    assert ("3", "8") in places_named
    assert re.search(r"ruim\.yaml:4:1: .*versao.*version", done.err)
    told = run_gemx("auto", "validate", str(path), "--json")
    assert told.code == told.json["exit_code"] == 3
    assert told.json["status"] == "error"
    assert [error["message"] for error in told.json["errors"]] == done.err.splitlines()
    assert told.json["data"] == {"files": 1, "valid": []}


def test_validate_tells_all_references_at_once(run_gemx: Run, workdir: Path) -> None:
    text = BROKEN.replace("title: 7", "title: Sete").replace('versao: "1"\n', "").split("checklist:", maxsplit=1)[0]
    (workdir / "ruim.yaml").write_text(text)
    done = run_gemx("auto", "validate", "ruim.yaml")
    assert done.code == 3
    for line, words in ((4, "'lactatos'; did you mean 'lactato'"), (6, "mean_arterial_pressure"), (7, "pamm")):
        assert any(f"ruim.yaml:{line}:" in told and words in told for told in done.err.splitlines()), done.err


def test_validate_names_the_bad_files_among_the_good(run_gemx: Run, workdir: Path) -> None:
    (workdir / "ruim.yaml").write_text("gemx: automation/v1\n")
    (workdir / "estranho.yaml").write_bytes(b"gemx: \xff\n")
    done = run_gemx("auto", "validate", "sepse_bundle", "ruim.yaml", "estranho.yaml")
    assert done.code == 3
    assert done.out == "1 of 3 files are valid\n"
    assert "ruim.yaml:1:1: " in done.err
    assert "estranho.yaml" in done.err
    assert "Traceback" not in done.err


def test_validate_of_a_file_that_is_not_there(run_gemx: Run, workdir: Path) -> None:
    done = run_gemx("auto", "validate", "none.yaml")
    assert done.code == 3
    assert "none.yaml" in done.err


def test_a_new_automation_is_valid_at_once_and_runs(run_gemx: Run, workdir: Path) -> None:
    made = run_gemx("auto", "new", "dor_toracica")
    assert made.code == 0
    assert made.out == "automations/dor_toracica.yaml\n"
    assert run_gemx("auto", "validate", "automations/dor_toracica.yaml").code == 0
    assert run_gemx("auto", "validate", "dor_toracica").code == 0
    given = ("-i", "idade=64", "-i", "sexo=M", "-i", "peso=70", "-i", "pas=82", "-i", "pad=44")
    assert run_gemx("auto", "run", "dor_toracica", *given, "-m", "extractive").code == 0


def test_new_never_overwrites(run_gemx: Run, workdir: Path) -> None:
    run_gemx("auto", "new", "minha")
    path = workdir / "automations/minha.yaml"
    path.write_text("meu trabalho")
    done = run_gemx("auto", "new", "minha")
    assert done.code == 2
    assert path.read_text() == "meu trabalho"


@pytest.mark.parametrize("name", [*SHIPPED, "inputs", "vocabulary", "rules"])
def test_new_refuses_the_names_that_ship(run_gemx: Run, workdir: Path, name: str) -> None:
    done = run_gemx("auto", "new", name)
    assert (done.code, done.out) == (2, "")
    assert "has that name already" in done.err
    assert list(workdir.rglob("*")) == []


@pytest.mark.parametrize("name", ["../fora", "Maiúscula", "a b", "", "1a", "a.yaml"])
def test_new_takes_ids_alone(run_gemx: Run, workdir: Path, name: str) -> None:
    assert run_gemx("auto", "new", name).code == 2
    assert list(workdir.rglob("*")) == []


def test_new_where_nothing_can_be_written_is_exit_11(run_gemx: Run, workdir: Path) -> None:
    (workdir / "automations").write_text("a file")
    done = run_gemx("auto", "new", "minha")
    assert done.code == 11
    assert "Traceback" not in done.err


def test_schema_is_a_json_schema_of_the_contract(run_gemx: Run) -> None:
    done = run_gemx("auto", "schema")
    assert done.code == 0
    schema = json.loads(done.out)
    Draft202012Validator.check_schema(schema)
    required = {"resumo", "avaliacao", "farmacoterapia", "criterios_decisao", "checklist"}
    assert set(schema["required"]) == required
    told = run_gemx("auto", "run", "sepse_bundle", "--input", _case(), "-m", "extractive", "--json")
    Draft202012Validator(schema).validate(told.json["data"]["answer"])


def _case() -> str:
    return str(places.shipped("automations") / "cases" / "sepse_choque.yaml")
