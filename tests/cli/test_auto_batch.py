"""`gemx auto batch`: an automation over the patients of a file, each answer verified."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from conftest import RunGemx
from fake_gemini import FakeGemini
from gemx import places

PATIENTS = (
    "id;idade;sexo;peso;pas;pad;lactato;alergias;leito\n"
    'p1;64;M;70;82;44;"4,6";nega;7\n'
    "p2;abc;F;62;118;74;1,4;nega;8\n"
    "p3;;F;62;118;74;;;9\n"
    'p4;64;M;70;82;44;"4,6";nega;7\n'
)


def rows(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def test_each_patient_has_a_verified_answer_or_what_is_wrong_with_the_data(workdir: Path, run_gemx: RunGemx) -> None:
    Path("p.csv").write_text(PATIENTS)
    argv = ("auto", "batch", "sepse_bundle", "--items", "p.csv", "--out", "o.jsonl", "-m", "extractive")
    done = run_gemx(*argv)
    assert done.code == 7, done.err
    first, wrong, missing, twin = rows("o.jsonl")
    assert (first["id"], first["status"]) == ("p1", "done")
    assert set(first["outputs"]) == {"answer", "findings", "verified", "model", "note"}
    assert first["outputs"]["answer"]["resumo"].startswith("64 anos")
    assert first["outputs"]["note"].startswith("#")
    assert twin["outputs"] == first["outputs"]
    assert (wrong["error"]["code"], "idade" in wrong["error"]["message"]) == ("input", True)
    assert missing["error"]["message"] == "faltam dados obrigatórios: idade (Idade)"
    run_id = first["run_id"]
    assert run_id.startswith("sepse_bundle-")
    audit = [line for path in places.audit_dir().glob("audit-*.jsonl") for line in path.read_text().splitlines()]
    records = [json.loads(line) for line in audit]
    assert {record["run_id"] for record in records} == {run_id}
    assert {record["command"] for record in records} == {"auto batch"}
    assert {record["gemx.automation"] for record in records} == {"sepse_bundle"}
    assert run_gemx(*argv).code == 7
    assert len(audit) == sum(len(path.read_text().splitlines()) for path in places.audit_dir().glob("audit-*.jsonl"))


def test_a_wrong_answer_is_a_failed_row_and_no_patient_goes_to_the_cloud_unasked(
    workdir: Path, run_gemx: RunGemx, fake_gemini: FakeGemini
) -> None:
    Path("p.csv").write_text("\n".join(PATIENTS.splitlines()[:2]) + "\n")
    argv = ("auto", "batch", "sepse_bundle", "--items", "p.csv", "--out", "o.jsonl")
    assert run_gemx(*argv).code == 0
    assert fake_gemini.requests == []
    fake_gemini.answer = '{"resumo": "x"}'
    done = run_gemx(*argv, "-m", "gemini:gemini-3.8-flash")
    assert done.code == 7
    (row,) = rows("o.jsonl")
    assert (row["status"], row["error"]["code"]) == ("failed", "contract")
    assert len(fake_gemini.requests) == 1
    assert "7" not in fake_gemini.last.body["contents"][0]["parts"][0]["text"].partition("leito")[2][:5]


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (("nada", "--items", "p.csv"), 3, "nada"),
        (("sepse_bundle", "--items", "nada.csv"), 4, "no file"),
        (("sepse_bundle",), 2, "--items"),
    ],
)
def test_what_cannot_run(workdir: Path, run_gemx: RunGemx, argv: tuple[str, ...], code: int, words: str) -> None:
    Path("p.csv").write_text(PATIENTS)
    done = run_gemx("auto", "batch", *argv)
    assert done.code == code
    assert words in done.err


def test_an_automation_of_ones_own_by_path_and_by_folder(workdir: Path, run_gemx: RunGemx) -> None:
    Path("automations").mkdir()
    Path("automations/minha.yaml").write_text("gemx: automation/v1\nid: minha\nprompt: Resuma.\n")
    Path("p.jsonl").write_text('{"idade": 64, "sexo": "F", "alergias": ["dipirona"], "gestante": false}\n')
    for name in ("minha", "automations/minha.yaml"):
        done = run_gemx("auto", "batch", name, "--items", "p.jsonl", "--out", "o.jsonl", "-m", "extractive")
        assert done.code == 0, done.err + Path("o.jsonl").read_text()
    assert rows("o.jsonl")[0]["outputs"]["verified"] is False
