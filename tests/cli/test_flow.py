"""`gemx flow list`, `show`, `validate` and `graph`, and the flows that ship."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flow_runs import Kept, context, run, written
from gemx import places
from gemx.flow import inputs, runner, shelf

SHIPPED = ("flow_example", "lote_pacientes", "sepse_triagem")
ROOT = Path(__file__).parents[2]
BROKEN = """
    steps:
      - {id: a, prompt: {text: "${{ inputs.q }}"}}
      - {id: b, run: [rm, x]}
    outputs: {a: "${{ steps.c.status }}"}
"""
MINE = """
    title: Minha
    version: "2"
    inputs: {q: {label: Pergunta}, n: {type: integer, default: 3}, cor: {choices: [azul, verde], required: false}}
    secrets: [TOKEN]
    steps:
      - {id: a, for_each: [1, 2], prompt: {text: "${{ inputs.q }} e mais"}}
      - {id: b, needs: [a], run: [curl, -H, 'a b'], env: {T: "${{ secrets.TOKEN }}"}}
      - {id: c, rag: {kb: base_que_falta, query: x}}
      - {id: d, verify: {answer: x, schema: {type: object}}}
      - {id: e, write: {path: x.md, content: "${{ steps.a.outputs.items.0.text }}"}}
    outputs: {a: 1, b: 2}
"""
Run = Callable[..., Any]


def test_list_has_what_ships_and_what_is_here(run_gemx: Run, workdir: Path) -> None:
    assert [line.split()[0] for line in run_gemx("flow", "list").out.splitlines()] == list(SHIPPED)
    (workdir / "flows").mkdir()
    written(workdir / "flows", MINE, "minha.yml")
    (workdir / "flows/ruim.yaml").write_text("gemx: [\n")
    done = run_gemx("flow", "list")
    assert done.code == 0
    assert "minha           2        Minha  (flows/minha.yml)" in done.out.splitlines()
    rows = {row["name"]: row for row in run_gemx("flow", "list", "--json").json["data"]}
    assert set(rows) == {*SHIPPED, "minha", "ruim"}
    assert rows["sepse_triagem"]["from"] == "gemx"
    assert rows["ruim"]["title"] == "INVALID: see gemx flow validate ruim"


@pytest.mark.parametrize("name", SHIPPED)
def test_show_of_what_ships(name: str, run_gemx: Run) -> None:
    done = run_gemx("flow", "show", name)
    assert done.code == 0
    assert done.out.splitlines()[1].startswith("file: ")
    told = run_gemx("flow", "show", name, "--json").json
    assert (told["command"], told["data"]["name"], told["data"]["flow"]["gemx"]) == ("flow show", name, "flow/v1")


def test_show_says_what_a_flow_takes_and_does(run_gemx: Run, workdir: Path) -> None:
    written(workdir, MINE)
    assert run_gemx("flow", "show", "./fluxo.yml").out.splitlines() == [
        "Minha (fluxo 2)",
        "file: fluxo.yml",
        "inputs (* required):",
        "  q *: Pergunta (text)",
        "  n (integer, default 3)",
        "  cor (azul|verde)",
        "steps:",
        "  a: for each item, prompt ${{ inputs.q }} e mais",
        "  b: run curl -H 'a b'",
        "  c: rag base_que_falta",
        "  d: verify a JSON Schema",
        "  e: write x.md",
        "secrets: TOKEN",
        "outputs: a, b",
    ]


def test_validate_finds_what_is_wrong_and_where(run_gemx: Run, workdir: Path) -> None:
    written(workdir, BROKEN)
    done = run_gemx("flow", "validate", "fluxo.yml")
    assert done.code == 3
    assert done.out == "0 of 1 file is valid\n"
    assert done.err.splitlines() == [
        "fluxo.yml:4:28: 'inputs.q': the flow has no input 'q'",
        "fluxo.yml:6:14: 'steps.c.status': there is no step 'c'",
    ]
    told = run_gemx("flow", "validate", "fluxo.yml", "--json")
    assert told.code == 3
    assert told.json["errors"][0]["message"] == "fluxo.yml:4:28: 'inputs.q': the flow has no input 'q'"
    assert told.json["data"]["files"] == [{"name": "fluxo.yml", "valid": False}]


def test_validate_lists_what_would_run_and_what_may_be_wrong(run_gemx: Run, workdir: Path) -> None:
    written(workdir, MINE)
    done = run_gemx("flow", "validate", "fluxo.yml")
    assert (done.code, done.out.splitlines()) == (
        0,
        [
            "fluxo: b would run, with --allow-run: curl -H 'a b'",
            "fluxo: reads the secrets TOKEN",
            "1 file is valid",
        ],
    )
    assert done.err == "warning: fluxo.yml:10:23: there is no knowledge base 'base_que_falta' here yet\n"


def test_validate_of_nothing_named_is_of_what_ships(run_gemx: Run) -> None:
    done = run_gemx("flow", "validate")
    assert (done.code, done.out, done.err) == (0, f"{len(SHIPPED)} files are valid\n", "")


def test_a_flow_that_is_not_there(run_gemx: Run, workdir: Path) -> None:
    for command in ("show", "validate", "graph", "run"):
        done = run_gemx("flow", command, "sepse_triage")
        assert done.code == 3
        assert "no flow named 'sepse_triage'; did you mean 'sepse_triagem'?" in done.err
    assert run_gemx("flow", "show", "./nada.yml").code == 3
    (workdir / "ruim.yml").write_text("gemx: [\n")
    assert "no flow named" in run_gemx("flow", "validate", "ruim.yml", "nada").err


def test_auto_validate_sends_a_flow_to_flow_validate(run_gemx: Run, workdir: Path) -> None:
    done = run_gemx("auto", "validate", written(workdir, MINE))
    assert done.code == 3
    assert "gemx flow validate" in done.err


def test_graph(run_gemx: Run) -> None:
    done = run_gemx("flow", "graph", "sepse_triagem")
    assert done.code == 0
    assert done.out.splitlines()[-1] == " 3 ● nota         write   ← trechos, protocolo, verificacao"
    assert run_gemx("flow", "graph", "sepse_triagem", "--mermaid").out.startswith("flowchart TD\n    s_trechos[")
    data = run_gemx("flow", "graph", "sepse_triagem", "--json").json["data"]
    assert data["levels"] == [["trechos", "protocolo"], ["verificacao"], ["nota"]]
    assert data["steps"][1] == {"id": "protocolo", "kind": "auto", "needs": []}


def patients() -> list[dict[str, Any]]:
    with (places.shipped("flows") / "lote_pacientes.csv").open(encoding="utf-8") as file:
        return [{name: value or None for name, value in row.items()} for row in csv.DictReader(file)]


def test_the_batch_that_ships_runs_on_extractive(workdir: Path) -> None:
    loaded = shelf.load("lote_pacientes")
    found = context(loaded, workdir)
    for row in patients():
        assert {name for name in row if name != "id"} == set(loaded.flow.inputs)
        given = inputs.read(loaded.flow, {name: value for name, value in row.items() if name != "id"})
        done = runner.run_item(loaded, given, found, Kept())
        assert done.failure is None, row
        outputs = done.outputs or {}
        assert all(outputs[name] is not None for name in ("resumo", "pam", "qsofa", "destino")), row


def test_the_example_answers_and_refuses(workdir: Path) -> None:
    done = run("flow_example", {"pergunta": "Qual o alvo de PAM no choque séptico?"}, out_dir=workdir)
    outputs = done.outputs or {}
    assert outputs["resposta"].split("]")[0] in outputs["trechos"]
    assert "65 mmHg" in outputs["resposta"]
    journal = Kept()
    done = run("flow_example", {"pergunta": "capital da França"}, journal=journal, out_dir=workdir)
    assert (done.outputs or {})["resposta"] == "Nenhum trecho dos documentos trata desta pergunta."
    assert journal.of("resposta").status == "skipped"


def test_the_triage_writes_a_note(workdir: Path) -> None:
    given = {"idade": "64", "sexo": "M", "peso": "70", "pas": "82", "pad": "44", "lactato": "4,6", "caso": "leito"}
    done = run("sepse_triagem", given, out_dir=workdir / "out")
    assert done.failure is None
    note = (workdir / "out/leito.md").read_text(encoding="utf-8")
    assert note.startswith("# Nota de apoio à decisão")
    assert "## Trechos da diretriz\n\n[sepse/sepse.md#" in note
    assert (done.outputs or {})["sem_erros"] is True


def test_what_ships_runs_from_a_wheel(tmp_path: Path) -> None:
    # A wheel has the package with its data inside, and nothing beside it.
    package = tmp_path / "site/gemx"
    shutil.copytree(ROOT / "src/gemx", package, ignore=shutil.ignore_patterns("__pycache__"))
    for folder in ("automations", "profiles", "templates", "flows", "prices"):
        shutil.copytree(ROOT / folder, package / "_data" / folder)
    code = "import sys; from gemx.cli.app import main; sys.exit(main(sys.argv[1:]))"
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(tmp_path / "site"),
        "GEMX_HOME": str(tmp_path / "home"),
    }
    command = [sys.executable, "-c", code, "flow", "validate", "--json"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert {row["name"] for row in json.loads(done.stdout)["data"]["files"]} == set(SHIPPED)
    listed = subprocess.run(
        [*command[:3], "flow", "show", "flow_example"], env=environment, cwd=tmp_path, capture_output=True, check=False
    )
    assert str(package / "_data/flows/flow_example.yml") in listed.stdout.decode()
