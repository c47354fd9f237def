"""`gemx auto run` from the command line to the exit code: every provider, every fault, every format."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import signal
import stat
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import planted_keys
from fake_gemini import FAULTS as GEMINI_FAULTS
from fake_gemini import FakeGemini
from fake_openai import FakeOpenAI
from gemx import places
from loopback import Recorded
from tiny_gguf import write_tiny_gguf

KEY = planted_keys.GEMINI
GEMINI = "gemini:gemini-3.8-flash"
REQUIRED = ("idade=64", "sexo=M", "peso=70", "pas=82", "pad=44")
LITERAL = (*REQUIRED, "fc=118", "fr=26", "lactato=4,6")
CASES = sorted((places.shipped("automations") / "cases").glob("*.yaml"))
CHOQUE = str(places.shipped("automations") / "cases" / "sepse_choque.yaml")
MINI = """\
gemx: automation/v1
id: mini
title: "Mini"
version: "1"
summary: "PAM {{ pam }}"
guideline: {name: "X", version: "1", date: "2026-01-01"}
maintenance: {author: "t", reviewed: "2026-01-01", next_review: "2099-01-01"}
inputs: [idade, sexo, peso, pas, pad]
calculators:
  - {id: mean_arterial_pressure, as: pam, label: PAM, inputs: {sbp: pas, dbp: pad}}
prompt: "Avalie."
output: {contract: protocolo/v1}
"""
PROMPT_ONLY = "gemx: automation/v1\nprompt: Resuma o caso.\ninputs: [idade]\n"
Run = Callable[..., Any]


def flags(*pairs: str) -> list[str]:
    return [word for pair in pairs for word in ("-i", pair)]


def records(home: Path) -> list[dict[str, Any]]:
    """Every audit record, after the chain was verified."""
    lines = [line for path in sorted((home / "state/audit").glob("*.jsonl")) for line in path.read_bytes().splitlines()]
    previous = "0" * 64
    parsed: list[dict[str, Any]] = []
    for number, line in enumerate(lines, start=1):
        record = json.loads(line)
        assert (record["seq"], record["prev"]) == (number, previous)
        previous = hashlib.sha256(line).hexdigest()
        parsed.append(record)
    return parsed


def of_kind(home: Path, kind: str) -> list[dict[str, Any]]:
    """The audit's records of a kind: `attempt` is a call, `result` a verification."""
    return [record for record in records(home) if record["kind"] == kind]


def draft_of(request: Recorded) -> dict[str, Any]:
    """The draft that the prompt holds: what a model that changes nothing answers."""
    prompt = request.body["contents"][-1]["parts"][0]["text"] if "contents" in request.body else ""
    prompt = prompt or request.body["messages"][-1]["content"]
    after = prompt.split("# Rascunho do protocolo para este paciente\n")[1]
    return json.JSONDecoder().raw_decode(after.lstrip())[0]


def echo(request: Recorded, change: Callable[[dict[str, Any]], Any] | None = None) -> str:
    answer = draft_of(request)
    if change:
        change(answer)
    return json.dumps(answer, ensure_ascii=False)


def flat(text: str) -> str:
    return " ".join(text.split())


def write_config(home: Path, **values: Any) -> None:
    (home / "config").mkdir(parents=True, exist_ok=True)
    (home / "config/config.json").write_text(json.dumps(values))


def write_mini(workdir: Path, text: str = MINI, name: str = "mini") -> Path:
    path = workdir / "automations" / f"{name}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def section(text: str, heading: str) -> str:
    """What stands between a heading and the next one that is not urgent."""
    return text.split(f"\n{heading}\n")[1].split("\n\n", maxsplit=1)[0]


# on extractive


def test_the_demo_patient_on_one_screen(run_gemx: Run, gemx_home: Path) -> None:
    done = run_gemx("auto", "run", "sepse_bundle", "--input", CHOQUE, "-m", "extractive")
    assert done.code == 0
    lines = done.out.splitlines()
    assert max(map(len, lines)) <= 80
    screen = "\n".join(lines[:24])
    assert re.search(r"PAM +57 mmHg", screen)
    assert re.search(r"Cristaloide 30 mL/kg +2100 mL", screen)
    assert re.search(r"Noradrenalina +6,6 mL/h", screen)
    assert re.search(r"até 1 h \(11:35\) .*2100 mL", screen)
    assert "Cristaloide: 2100 mL total em 3 h" in screen
    assert "até 6 h" in screen
    assert screen.count("até 1 h (11:35)") >= 4
    assert "\x1b" not in done.out
    assert "\n  Achados      sem achados\n" in done.out
    attempt, result = records(gemx_home)
    assert attempt["gen_ai.provider.name"] == "extractive"
    assert attempt["gemx.status"] == "ok"
    assert (attempt["kind"], result["kind"]) == ("attempt", "result")
    assert result["run_id"] == attempt["run_id"]
    assert (result["gemx.verified"], result["gemx.findings"], result["gemx.round"]) == (True, [], 0)


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_every_case_fits_and_is_cited(run_gemx: Run, case: Path) -> None:
    automation = re.search(r"^automation: (\w+)$", case.read_text(), re.MULTILINE)
    assert automation
    command = ("auto", "run", automation[1], "--input", str(case), "-m", "extractive")
    done, told = run_gemx(*command), run_gemx(*command, "--json")
    assert (done.code, told.code) == (0, 0)
    lines = done.out.splitlines()
    assert max(map(len, lines)) <= 80
    screen = flat("\n".join(lines[:24]))
    data = told.json["data"]
    severities = {finding["severity"] for finding in data["findings"]}
    assert "error" not in severities
    assert data["verified"] == ("unverifiable" not in severities)
    assert ("NÃO VERIFICADO POR INTEIRO: " in screen) == ("unverifiable" in severities)
    assert data["answer"]["checklist"]
    for item in data["answer"]["checklist"]:
        assert flat(item["item"]) in screen
    for fact in data["facts"]:
        shown = re.search(rf"^  {re.escape(fact['label'])}  +(\S+)", "\n".join(lines[:24]), re.MULTILINE)
        assert shown
        if fact["value"] is None:
            assert shown[1] in ("indeterminável", "entre")  # or the bounds that it could still have
        elif isinstance(fact["value"], int | float):
            assert float(shown[1].replace(",", ".")) == pytest.approx(fact["value"], abs=0.5, rel=0.01)
    assert "FAZER AGORA" in screen
    _assert_cited(done.out, data["answer"])


@pytest.mark.parametrize("pressure", [("pas=120", "pad=80"), ("pas=82", "pad=44")], ids=["normal", "low"])
@pytest.mark.parametrize("name", ["sepse_bundle", "hda_triage", "ira_aki"])
def test_what_is_required_is_enough_for_a_draft_that_keeps_its_contract(
    run_gemx: Run, name: str, pressure: tuple[str, str]
) -> None:
    done = run_gemx("auto", "run", name, *flags(*REQUIRED[:3], *pressure), "-m", "extractive", "--json")
    assert done.code == 0, done.json["errors"]
    data = done.json["data"]
    assert data["answer"]["dados_faltantes"]
    # What is missing is told as unverifiable, and is neither an error nor a pass.
    assert {finding["severity"] for finding in data["findings"]} >= {"unverifiable"}
    assert "error" not in {finding["severity"] for finding in data["findings"]}
    assert data["verified"] is False


def _assert_cited(text: str, answer: dict[str, Any]) -> None:
    listed = set(re.findall(r"^• \[(\d+)\] \S+#\S+: ", section(text, "FONTES"), re.MULTILINE))
    assert listed
    assert "trecho desconhecido" not in text
    used = {number for mark in re.findall(r"(?<!\w)\[(\d+(?:,\s+\d+)*)\]", text) for number in re.findall(r"\d+", mark)}
    assert used == listed
    for heading in ("AVALIAÇÃO", "FARMACOTERAPIA", "CRITÉRIOS DE DECISÃO", "NÃO FAZER"):
        if f"\n{heading}\n" in text:
            for entry in re.split(r"^• ", section(text, heading), flags=re.MULTILINE)[1:]:
                title = flat(re.split(r"\n    ", entry)[0])
                assert re.search(r"\[\d+(, \d+)*\]$", title), title
    for name in ("avaliacao", "farmacoterapia", "criterios_decisao", "checklist", "nao_fazer"):
        assert all(entry["fontes"] for entry in answer[name])


def test_the_command_of_the_issue(run_gemx: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(places.shipped("automations").parent)
    done = run_gemx("auto", "run", "automations/sepse_bundle.yaml", *flags(*LITERAL))
    assert done.code == 0
    assert "PAM" in done.out
    assert "2100 mL" in done.out
    assert "4,6 mmol/L" in done.out
    assert "model: extractive (automatic" in done.err
    assert "not shipped" not in done.err


# on models


def test_gemini_answers_with_the_draft(run_gemx: Run, fake_gemini: FakeGemini, gemx_home: Path) -> None:
    fake_gemini.answer = echo
    done = run_gemx("auto", "run", "sepse_bundle", "--input", CHOQUE, "-m", GEMINI, "--json")
    assert done.code == 0
    assert done.json["data"]["model"] == "gemini:gemini-fake-001"
    assert done.json["data"]["findings"] == []
    assert done.json["data"]["verified"] is True
    body = fake_gemini.last.body
    assert body["store"] is False
    assert body["generationConfig"]["responseMimeType"] == "application/json"
    attempt, result = records(gemx_home)
    for record in (attempt, result):
        assert record["run_id"] == done.json["data"]["run_id"]
        assert record["gemx.automation"] == "sepse_bundle"
    assert attempt["gen_ai.usage.output_tokens"] == 12
    assert attempt["gemx.store"] is False
    assert (result["kind"], result["gemx.verified"]) == ("result", True)
    assert "gemini-3.8-flash" in result["gen_ai.response.model"]


@pytest.mark.parametrize("way", ["json_schema", "none"])
def test_openai_answers_with_the_draft(
    run_gemx: Run, gemx_home: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeOpenAI(echo) as server:
        monkeypatch.setenv("LLM_BASE_URL", server.endpoint_url)
        monkeypatch.setenv("LLM_API_KEY", "sk-not-a-real-key-0123456789")
        monkeypatch.setenv("LLM_SCHEMA", way)
        done = run_gemx("auto", "run", "sepse_bundle", *flags(*LITERAL), "-m", "openai:local")
        assert done.code == 0
        assert server.last.headers["authorization"].startswith("Bearer sk-")
    assert "openai:fake-model-001" in done.out
    (attempt,) = of_kind(gemx_home, "attempt")
    assert attempt["gemx.reach"] == "machine"
    (result,) = of_kind(gemx_home, "result")
    assert result["gemx.count.unverifiable"] >= 1  # of this patient only the vital signs are known


@pytest.fixture(scope="module")
def wide_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model with room for a whole automation: every byte is a token to it."""
    return write_tiny_gguf(tmp_path_factory.mktemp("wide") / "TINY.gguf", context=65536)


def test_a_local_model_that_is_cut_ends_in_exit_6(run_gemx: Run, wide_gguf: Path, gemx_home: Path) -> None:
    options = ("-o", "context=65536", "-o", "max_output_tokens=40", "-o", "seed=1")
    case = places.shipped("automations") / "cases" / "sepse_urinaria_estavel.yaml"
    done = run_gemx("auto", "run", "sepse_bundle", "--input", str(case), "-m", f"gguf:{wide_gguf}", *options)
    assert done.code == 6
    assert "gemx: the answer of gguf:TINY is refused: 1 error, first contract.cut\n" in done.err
    assert "max_output_tokens" in done.err
    assert_refused(done.out, "gguf:TINY", "a resposta foi cortada no limite de tokens")
    attempt, result = records(gemx_home)
    assert attempt["gen_ai.response.finish_reasons"] == ["length"]
    assert attempt["gemx.status"] == "ok"
    assert result["gemx.findings"] == [{"code": "contract.cut", "severity": "error", "path": ""}]
    assert result["gemx.verified"] is False


def test_a_local_model_satisfies_the_contract_or_says_why_not(
    run_gemx: Run, wide_gguf: Path, workdir: Path, gemx_home: Path
) -> None:
    write_mini(workdir)
    options = ("-o", "max_output_tokens=120", "-o", "seed=3")
    done = run_gemx("auto", "run", "mini", *flags(*REQUIRED), "-m", f"gguf:{wide_gguf}", *options, "--json")
    assert done.code in (0, 6)
    assert (done.code == 6) == bool([row for row in done.json["data"]["findings"] if row["severity"] == "error"])
    (result,) = of_kind(gemx_home, "result")
    assert len(of_kind(gemx_home, "attempt")) == 1
    assert [found["code"] for found in result["gemx.findings"]] == [
        row["code"] for row in done.json["data"]["findings"]
    ]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGABRT])
def test_an_engine_that_dies_is_exit_5_with_a_record(
    run_gemx: Run, wide_gguf: Path, workdir: Path, gemx_home: Path, number: signal.Signals
) -> None:
    write_mini(workdir)
    killer = threading.Thread(target=_kill_engine, args=(number,), daemon=True)
    killer.start()
    done = run_gemx("auto", "run", "mini", *flags(*REQUIRED), "-m", f"gguf:{wide_gguf}", "-o", "timeout=60")
    killer.join()
    assert done.code == 5
    assert number.name in done.err
    assert "Traceback" not in done.err
    (record,) = records(gemx_home)
    assert record["error.type"] == "engine_crash"


def _kill_engine(number: signal.Signals) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                parent = (folder / "stat").read_text().rsplit(")", 1)[1].split()[1]
                if parent == str(os.getpid()) and b"llama_engine" in (folder / "cmdline").read_bytes():
                    time.sleep(0.2)
                    os.kill(int(folder.name), number)
                    return
            except (OSError, IndexError):
                continue
        time.sleep(0.01)


# what goes wrong

PERMANENT, TEMPORARY, CONTRACT = 5, 8, 6
FAULTS = {
    "unauthorized": (PERMANENT, "auth", "Invalid credentials"),
    "api_key_invalid": (PERMANENT, "auth", "API key not valid"),
    "not_found": (PERMANENT, "model_not_found", "is not found"),
    "blocked_prompt": (PERMANENT, "blocked", "blocked the prompt: PROHIBITED_CONTENT"),
    "blocked": (PERMANENT, "blocked", "blocked its answer: SAFETY"),
    "empty": (PERMANENT, "empty_reply", "returned no text: STOP"),
    "no_candidates": (PERMANENT, "empty_reply", "no candidate"),
    "rate_limit": (TEMPORARY, "rate_limit", "HTTP 429"),
    "internal": (TEMPORARY, "unavailable", "HTTP 500"),
    "unavailable": (TEMPORARY, "unavailable", "overloaded"),
    "cut": (TEMPORARY, "stream_cut", "the connection was cut"),
    "hang": (TEMPORARY, "timeout", "no complete answer within 0.5 s"),
    "max_tokens": (CONTRACT, "contract", "1 error, first contract.cut"),
    "invalid_json": (CONTRACT, "contract", "1 error, first contract.json"),
    "huge_number": (CONTRACT, "contract", "1 error, first contract.json"),
}
# What the one finding of an answer that is refused says.
SAID = {
    "max_tokens": ("contract.cut", "a resposta foi cortada no limite de tokens"),
    "invalid_json": ("contract.json", "não é JSON válido: Expecting value"),
    "huge_number": ("contract.json", "não é JSON válido: the exponent of 1e999"),
}


@pytest.mark.usefixtures("virtual_clock")  # the second command waits for what the provider told the first
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_has_its_exit_code_its_message_and_one_record(
    run_gemx: Run, fake_gemini: FakeGemini, gemx_home: Path, fault: str
) -> None:
    code, name, message = FAULTS[fault]
    fake_gemini.always(fault)
    command = ("auto", "run", "sepse_bundle", *flags(*LITERAL), "-m", GEMINI, "-o", "timeout=0.5", "--tries", "1")
    done = run_gemx(*command)
    assert done.code == code
    assert message in done.err
    assert len(fake_gemini.requests) == len(of_kind(gemx_home, "attempt")) == 1
    assert len(of_kind(gemx_home, "result")) == int(code == CONTRACT)
    assert bool(done.out) == (code == CONTRACT)
    told = run_gemx(*command, "--json")
    assert told.code == code
    _assert_envelope(told, code)
    assert [error["code"] for error in told.json["errors"]] == [name]
    assert message in told.json["errors"][0]["message"]
    assert bool(told.json["data"]) == (code == CONTRACT)
    if code == CONTRACT:
        (finding,) = told.json["data"]["findings"]
        assert (finding["code"], finding["severity"], finding["path"]) == (SAID[fault][0], "error", "")
        assert finding["message"].startswith(SAID[fault][1])
        assert_refused(done.out, "gemini:gemini-fake-001", finding["message"])
    attempts, results = of_kind(gemx_home, "attempt"), of_kind(gemx_home, "result")
    assert len(attempts) == 2
    said = [SAID[fault][0]] * 2 if code == CONTRACT else []
    assert [finding["code"] for record in results for finding in record["gemx.findings"]] == said
    assert len(attempts) + len(results) == len(records(gemx_home))
    assert {record.get("error.type") for record in attempts} == {None if code == CONTRACT else name}
    assert {record["gemx.status"] for record in attempts} == {"ok" if code == CONTRACT else "error"}
    audit = "".join(path.read_text() for path in (gemx_home / "state/audit").glob("*.jsonl"))
    for text in (done.out, done.err, told.out, told.err, audit):
        assert KEY not in text
        assert "Traceback" not in text


def _assert_envelope(done: Any, code: int) -> None:
    assert list(done.json) == ["gemx", "command", "status", "exit_code", "data", "errors"]
    assert done.json["gemx"] == 1
    assert done.json["command"] == "auto run"
    assert done.json["exit_code"] == done.code == code
    assert done.json["status"] == ("success" if code == 0 else "error")
    assert done.out == json.dumps(done.json, ensure_ascii=False, indent=2) + "\n"


@pytest.mark.usefixtures("virtual_clock")
def test_each_fault_has_a_message_of_its_own(run_gemx: Run, fake_gemini: FakeGemini) -> None:
    messages: list[str] = []
    for fault in FAULTS:
        fake_gemini.fault(fault)
        once = ("-o", "timeout=0.5", "--tries", "1")
        done = run_gemx("auto", "run", "sepse_bundle", *flags(*LITERAL), "-m", GEMINI, *once, "--json")
        findings = done.json["data"]["findings"] if done.json["data"] else []
        messages.append("; ".join([done.json["errors"][0]["message"], *(finding["message"] for finding in findings)]))
    assert len(set(messages)) == len(FAULTS)


def _set_huge(answer: dict[str, Any]) -> None:
    answer["farmacoterapia"][0]["posologia"]["dose"]["valor"] = "HUGE"


@pytest.mark.parametrize(
    ("change", "code", "path"),
    [
        (_set_huge, "contract.json", ""),
        (lambda answer: answer.pop("checklist"), "contract.schema", "checklist"),
        (lambda answer: answer.update(checklist=[]), "contract.section", "checklist"),
        (lambda answer: answer.update(extra=1), "contract.schema", ""),
        (lambda answer: answer["checklist"][0].update(prazo_min="já"), "contract.schema", "checklist[0].prazo_min"),
        (
            lambda answer: answer["avaliacao"][0]["fontes"][0].update(id="sepse#inventado"),
            "citation.unknown",
            "avaliacao[0].fontes[0].id",
        ),
        (
            lambda answer: answer["avaliacao"][0]["fontes"][0].update(trecho="palavras que não estão lá"),
            "citation.words",
            "avaliacao[0].fontes[0].trecho",
        ),
    ],
    ids=["1e999", "key-missing", "section-empty", "key-unknown", "wrong-type", "citation-unknown", "citation-words"],
)
def test_a_broken_contract_is_exit_6_with_the_reason(
    run_gemx: Run, fake_gemini: FakeGemini, change: Callable[[dict[str, Any]], Any], code: str, path: str
) -> None:
    fake_gemini.answer = lambda request: echo(request, change).replace('"HUGE"', "1e999")
    command = ("auto", "run", "sepse_bundle", "--input", CHOQUE, "-m", GEMINI)
    done, told = run_gemx(*command), run_gemx(*command, "--json")
    assert (done.code, told.code) == (6, 6)
    said = f"the answer of gemini:gemini-fake-001 is refused: 1 error, first {code}"
    hint = "the errors stand in the result; --repair 2 sends them back to the model"
    assert done.err.splitlines()[-2:] == [f"gemx: {said}", f"      {hint}"]
    _assert_envelope(told, 6)
    assert told.json["errors"] == [{"code": "contract", "message": said, "hint": hint}]
    data = told.json["data"]
    assert [(finding["code"], finding["path"], finding["severity"]) for finding in data["findings"]] == [
        (code, path, "error")
    ]
    assert (data["findings"][0]["found"] is not None) == code.startswith("citation")
    assert (data["findings"][0]["expected"] is not None) == code.startswith("citation")
    assert data["verified"] is False
    assert (data["answer"] is None) == (code in ("contract.json", "contract.schema"))
    where = f"{path}: " if path else ""
    assert_refused(done.out, "gemini:gemini-fake-001", where + data["findings"][0]["message"])
    at = f" em {path}" if path else ""
    assert f"• {code}{at} ERRO: {data['findings'][0]['message']}" in flat(section(done.out, "CONFERÊNCIA"))


def assert_refused(page: str, model: str, *errors: str) -> None:
    """The page says so at its head, one line an error, and its checklist is the one that code composed."""
    lines = page.splitlines()
    assert max(map(len, lines)) <= 80
    count = "1 erro" if len(errors) == 1 else f"{len(errors)} erros"
    head = lines.index(f"RESPOSTA RECUSADA: {count} em {model} (todos em Conferência)")
    assert head <= 3
    told = [line for line in lines[:24] if line.startswith("  ERRO  ")]
    assert lines[head + 1 : head + 1 + len(told)] == told
    assert len(told) == min(len(errors), 2)
    for line, error in zip(told, errors, strict=False):
        shown = line.removeprefix("  ERRO  ")
        assert error.startswith(shown.removesuffix("…"))
        assert shown == error or shown.endswith("…")
    checklist = flat(page).split("FAZER AGORA (DO PROTOCOLO, POR CÓDIGO: A RESPOSTA FOI RECUSADA) ")[1]
    assert "Colher hemoculturas antes do antimicrobiano" in checklist.split("VALORES CALCULADOS POR CÓDIGO")[0]
    listed = flat(section(page, "CONFERÊNCIA"))
    assert len(re.findall(r" ERRO: ", listed)) == len(errors)
    for error in errors:
        path, _, message = error.rpartition(": ") if re.match(r"[\w.\[\]]+: ", error) else ("", "", error)
        assert f"{f' em {path}' if path else ''} ERRO: {message}" in listed


def test_a_refused_checklist_is_not_shown_and_two_errors_are(run_gemx: Run, fake_gemini: FakeGemini) -> None:
    def spoil(answer: dict[str, Any]) -> None:
        answer["checklist"] = [
            {"item": f"Item inventado {number}", "prazo_min": 0, "fontes": [{"id": f"sepse#x{number}", "trecho": "y"}]}
            for number in range(5)
        ]

    fake_gemini.answer = lambda request: echo(request, spoil)
    done = run_gemx("auto", "run", "sepse_bundle", *flags(*LITERAL), "-m", GEMINI)
    assert done.code == 6
    assert "gemx: the answer of gemini:gemini-fake-001 is refused: 5 errors, first citation.unknown\n" in done.err
    errors = [f"checklist[{number}].fontes[0].id: este trecho não existe" for number in range(5)]
    assert_refused(done.out, "gemini:gemini-fake-001", *errors)
    assert "Item inventado" not in done.out


@pytest.mark.parametrize("format", ["md", "html"])
def test_a_refused_answer_is_refused_in_every_format(run_gemx: Run, fake_gemini: FakeGemini, format: str) -> None:
    fake_gemini.always("max_tokens")
    done = run_gemx("auto", "run", "sepse_bundle", *flags(*LITERAL), "-m", GEMINI, "--format", format)
    assert done.code == 6
    assert "RESPOSTA RECUSADA: 1 erro em gemini:gemini-fake-001" in done.out
    assert "(do protocolo, por código: a resposta foi recusada)" in done.out
    assert "Colher hemoculturas antes do antimicrobiano" in done.out
    item = {
        "md": "- contract.cut\n  - ERRO: a resposta foi cortada no limite de tokens\n",
        "html": "<li>contract.cut<ul><li>ERRO: a resposta foi cortada no limite de tokens</li></ul></li>",
    }
    assert item[format] in done.out


def test_a_statement_without_a_source_is_a_warning_and_no_exit_6(run_gemx: Run, fake_gemini: FakeGemini) -> None:
    fake_gemini.answer = lambda request: echo(request, lambda answer: answer["checklist"][0].update(fontes=[]))
    command = ("auto", "run", "sepse_bundle", "--input", CHOQUE, "-m", GEMINI)
    done, told = run_gemx(*command), run_gemx(*command, "--json")
    assert (done.code, told.code) == (0, 0)
    assert "RECUSAD" not in done.out
    assert section(done.out, "CONFERÊNCIA") == (
        "• citation.missing em checklist[0].fontes\n    aviso: afirmação sem fonte"
    )
    assert told.json["data"]["verified"] is True
    finding = {"code": "citation.missing", "severity": "warning", "path": "checklist[0].fontes"}
    assert told.json["data"]["findings"] == [
        {**finding, "message": "afirmação sem fonte", "expected": None, "found": None}
    ]
    assert told.json["data"]["answer"]["checklist"][0]["fontes"] == []


def test_warnings_stand_beside_the_errors(run_gemx: Run, fake_gemini: FakeGemini) -> None:
    def spoil(answer: dict[str, Any]) -> None:
        answer["checklist"][0].update(fontes=[])
        answer["avaliacao"][0]["fontes"][0].update(trecho="PAM")

    fake_gemini.answer = lambda request: echo(request, spoil)
    done = run_gemx("auto", "run", "sepse_bundle", "--input", CHOQUE, "-m", GEMINI, "--json")
    assert done.code == 6
    found = {finding["code"]: finding["severity"] for finding in done.json["data"]["findings"]}
    assert found == {"citation.words": "error", "citation.missing": "warning"}
    assert "1 error, first citation.words" in done.json["errors"][0]["message"]


def test_a_warning_alone_is_not_sent_back(run_gemx: Run, fake_gemini: FakeGemini) -> None:
    fake_gemini.answer = lambda request: echo(request, lambda answer: answer["checklist"][0].update(fontes=[]))
    done = run_gemx("auto", "run", "sepse_bundle", *flags(*LITERAL), "-m", GEMINI, "--repair", "3")
    assert done.code == 0
    assert len(fake_gemini.requests) == 1


def test_repair_sends_what_is_wrong_back_once(run_gemx: Run, fake_gemini: FakeGemini, gemx_home: Path) -> None:
    answers = iter([lambda answer: answer.pop("resumo"), None])
    fake_gemini.answer = lambda request: _repaired(request, next(answers))
    done = run_gemx("auto", "run", "sepse_bundle", *flags(*LITERAL), "-m", GEMINI, "--repair", "1", "--json")
    assert done.code == 0
    first, second = fake_gemini.requests
    assert len(first.body["contents"]) == 1
    assert [turn["role"] for turn in second.body["contents"]] == ["user", "model", "user"]
    assert "resumo" in second.body["contents"][2]["parts"][0]["text"]
    assert {record["run_id"] for record in records(gemx_home)} == {done.json["data"]["run_id"]}
    assert [record["kind"] for record in records(gemx_home)] == ["attempt", "result"] * 2
    before, after = of_kind(gemx_home, "result")
    assert (before["gemx.round"], before["gemx.count.error"]) == (0, 1)
    assert after["gemx.round"] == 1
    assert "gemx.count.error" not in after


def _repaired(request: Recorded, change: Callable[[dict[str, Any]], Any] | None) -> str:
    first = Recorded(request.method, request.path, request.headers, {"contents": request.body["contents"][:1]})
    return echo(first, change)


def test_no_repair_without_the_flag(run_gemx: Run, fake_gemini: FakeGemini) -> None:
    fake_gemini.always("invalid_json")
    assert run_gemx("auto", "run", "sepse_bundle", *flags(*LITERAL), "-m", GEMINI).code == 6
    assert len(fake_gemini.requests) == 1


# formats and files


@pytest.mark.parametrize("format", ["text", "md", "html", "rich"])
def test_formats(run_gemx: Run, format: str) -> None:
    done = run_gemx("auto", "run", "sepse_bundle", "--input", CHOQUE, "-m", "extractive", "--format", format)
    assert done.code == 0
    starts = {"text": "Sepse e choque", "md": "# Sepse e choque", "html": "<!doctype html>", "rich": "Sepse e choque"}
    assert done.out.startswith(starts[format])
    assert "2100 mL" in done.out
    assert "6,6 mL/h" in done.out
    assert "\x1b" not in done.out


def test_rich_is_the_text_in_a_pipe(run_gemx: Run) -> None:
    command = ("auto", "run", "hda_triage", *flags(*REQUIRED), "-m", "extractive", "--format")
    rich, text = run_gemx(*command, "rich"), run_gemx(*command, "text")
    without_id = partial(re.sub, r"Auditoria +\S+", "")
    assert without_id(rich.out).rstrip() == without_id(text.out).rstrip()


@pytest.mark.parametrize(("name", "start"), [("a.txt", "Sepse"), ("a.md", "# Sepse"), ("a.html", "<!doctype html>")])
def test_out_is_private_whole_and_of_its_suffix(run_gemx: Run, workdir: Path, name: str, start: str) -> None:
    (workdir / name).write_text("antes")
    (workdir / name).chmod(0o644)
    done = run_gemx("auto", "run", "sepse_bundle", *flags(*LITERAL), "-m", "extractive", "--out", name)
    assert (done.code, done.out) == (0, "")
    assert f"written: {name}" in done.err
    assert (workdir / name).read_text().startswith(start)
    assert stat.S_IMODE((workdir / name).stat().st_mode) == 0o600
    assert [path.name for path in workdir.iterdir()] == [name]


@pytest.mark.parametrize("target", ["nowhere/a.txt", "folder", "", ".", "/dev/null", "pipe", "link"])
@pytest.mark.parametrize("command", ["gen", "auto"])
def test_out_that_cannot_be_written_is_exit_11_before_the_call(
    run_gemx: Run, fake_gemini: FakeGemini, gemx_home: Path, workdir: Path, target: str, command: str
) -> None:
    (workdir / "folder").mkdir()
    (workdir / "link").symlink_to("folder")
    os.mkfifo(workdir / "pipe")
    argv = ("gen", "Oi") if command == "gen" else ("auto", "run", "sepse_bundle", *flags(*LITERAL))
    done = run_gemx(*argv, "-m", GEMINI, "--out", target)
    assert (done.code, done.out) == (11, "")
    assert f"cannot write {target or '.'!r}: " in done.err
    assert sorted(path.name for path in workdir.rglob("*")) == ["folder", "link", "pipe"]
    assert stat.S_ISFIFO((workdir / "pipe").stat().st_mode)
    assert fake_gemini.requests == []
    assert records(gemx_home) == []


@pytest.mark.parametrize("target", ["loop", "x" * 300])
def test_out_that_names_no_possible_file_is_exit_11(run_gemx: Run, workdir: Path, target: str) -> None:
    (workdir / "loop").symlink_to("loop")
    done = run_gemx("auto", "run", "sepse_bundle", *flags(*LITERAL), "-m", "extractive", "--out", target)
    assert done.code == 11


def test_out_replaces_the_file_behind_a_link_and_keeps_the_link(run_gemx: Run, workdir: Path) -> None:
    (workdir / "folder").mkdir()
    (workdir / "folder/page.md").write_text("antes")
    (workdir / "a.md").symlink_to("folder/page.md")
    (workdir / "new.md").symlink_to("folder/new.md")
    for name in ("a.md", "new.md"):
        done = run_gemx("auto", "run", "sepse_bundle", *flags(*LITERAL), "-m", "extractive", "--out", name)
        assert (done.code, done.out) == (0, "")
        assert (workdir / name).is_symlink()
        assert (workdir / name).resolve().parent == workdir / "folder"
        assert (workdir / name).read_text().startswith("# Sepse")
        assert stat.S_IMODE((workdir / name).stat().st_mode) == 0o600


def test_a_full_disk_leaves_the_file_as_it_was(run_gemx: Run, workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (workdir / "a.txt").write_text("antes")
    run_gemx("auto", "run", "sepse_bundle", *flags(*LITERAL), "-m", "extractive")  # makes the audit's key

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    done = run_gemx("auto", "run", "sepse_bundle", *flags(*LITERAL), "-m", "extractive", "--out", "a.txt")
    assert done.code == 11
    assert "a.txt" in done.err
    assert (workdir / "a.txt").read_text() == "antes"
    assert [path.name for path in workdir.iterdir()] == ["a.txt"]


@pytest.mark.parametrize(
    "argv",
    [
        ("--dry-run", "--out", "a.txt"),
        ("--json", "--format", "md"),
        ("--format", "rich", "--out", "a.txt"),
        ("-i", "foco=a", "-i", "foco=b"),
    ],
)
def test_flags_that_would_do_nothing_are_usage_errors(run_gemx: Run, workdir: Path, argv: tuple[str, ...]) -> None:
    done = run_gemx("auto", "run", "sepse_bundle", *flags(*LITERAL), "-m", "extractive", *argv)
    assert done.code == 2
    assert all(flag in done.err + done.out for flag in argv if flag.startswith("--"))
    assert list(workdir.iterdir()) == []


def test_repair_of_a_prompt_alone_is_a_usage_error(run_gemx: Run, fake_gemini: FakeGemini, workdir: Path) -> None:
    write_mini(workdir, PROMPT_ONLY, "livre")
    done = run_gemx("auto", "run", "livre", "-i", "idade=64", "-m", GEMINI, "--repair", "1")
    assert (done.code, done.out) == (2, "")
    assert "--repair" in done.err
    assert fake_gemini.requests == []


def test_markup_in_an_input_stays_text(run_gemx: Run) -> None:
    name = "<script>alert(1)</script> *x* `y` | z"
    command = ("auto", "run", "sepse_bundle", *flags(*LITERAL, f"nome={name}"), "-m", "extractive", "--format")
    page, markdown = run_gemx(*command, "html").out, run_gemx(*command, "md").out
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "<script" not in markdown.replace("\\<", "")
    assert "\\*x\\* \\`y\\` \\| z" in markdown


@pytest.mark.parametrize("format", ["text", "md", "html", "rich", "json"])
def test_control_and_direction_characters_of_a_model_never_come_out(
    run_gemx: Run, fake_gemini: FakeGemini, format: str
) -> None:
    evil = "\x1b[31mvermelho\x1b]0;t\x07 \x9b31m \u202eesrever\u2066 fim"
    fake_gemini.answer = lambda request: echo(request, lambda answer: answer.update(resumo=evil))
    asked = ("--json",) if format == "json" else ("--format", format)
    done = run_gemx("auto", "run", "sepse_bundle", *flags(*LITERAL), "-m", GEMINI, *asked)
    assert done.code == 0
    assert "vermelho" in done.out
    assert not set(done.out + done.err) & set("\x1b\x07\x9b\u202e\u2066")


@pytest.mark.parametrize("value", ["nome=a\x1b[31mb", "nome=a\u202eb", "idade=\x1b[2J", "\x1b[2J=1"])
def test_control_characters_in_what_was_given_are_refused_and_not_printed(run_gemx: Run, value: str) -> None:
    done = run_gemx("auto", "run", "sepse_bundle", *flags(*LITERAL, value), "-m", "extractive", "--format", "text")
    assert done.code in (2, 4)
    assert not set(done.out + done.err) & set("\x1b\u202e")


def test_json_of_a_success(run_gemx: Run, workdir: Path) -> None:
    done = run_gemx("auto", "run", "sepse_bundle", "--input", CHOQUE, "-m", "extractive", "--json")
    _assert_envelope(done, 0)
    data = done.json["data"]
    assert {"run_id", "automation", "model", "answer", "facts", "findings", "warnings", "verified"} <= set(data)
    assert data["automation"]["id"] == "sepse_bundle"
    assert data["automation"]["path"] == str(places.shipped("automations") / "sepse_bundle.yaml")
    assert data["warnings"] == []
    assert done.json["errors"] == []
    assert data["model"] == "extractive"
    assert {fact["name"]: fact["value"] for fact in data["facts"]}["cristaloide_ml"] == 2100
    rates = {row["farmaco"]: row["posologia"]["velocidade"] for row in data["answer"]["farmacoterapia"]}
    assert rates["Noradrenalina"]["unidade"] == "mL/h"
    assert rates["Noradrenalina"]["valor"] == pytest.approx(6.5625, abs=0.04)


# what would be sent

LOCAL = ("nome=Fulana de Tal", "leito=B-17", "prontuario=998877")


@pytest.mark.parametrize("as_json", [False, True])
def test_dry_run_shows_all_and_calls_nothing(
    run_gemx: Run, fake_gemini: FakeGemini, gemx_home: Path, as_json: bool
) -> None:
    command = ["auto", "run", "sepse_bundle", *flags(*LITERAL, *LOCAL), "-m", GEMINI, "--dry-run"]
    done = run_gemx(*command, *(["--json"] if as_json else []))
    assert done.code == 0
    assert fake_gemini.requests == []
    assert records(gemx_home) == []
    text = json.dumps(done.json["data"], ensure_ascii=False) if as_json else done.out
    assert "o alvo inicial de PAM é de 65 mmHg" in text
    assert "PAM: 57 mmHg" in text
    assert "criterios_decisao" in text
    assert "additionalProperties" in text
    assert re.search(r"tokens\W+\d+" if as_json else r"about \d+ tokens", text)
    for value in LOCAL:
        assert value.split("=")[1] not in done.out


def test_local_inputs_are_shown_but_not_sent_nor_on_record(
    run_gemx: Run, fake_gemini: FakeGemini, gemx_home: Path
) -> None:
    fake_gemini.answer = echo
    done = run_gemx("auto", "run", "sepse_bundle", *flags(*LITERAL, *LOCAL), "-m", GEMINI)
    assert done.code == 0
    assert "Fulana de Tal" in done.out
    sent = json.dumps(fake_gemini.last.body, ensure_ascii=False)
    audit = json.dumps(records(gemx_home), ensure_ascii=False)
    for value in LOCAL:
        assert value.split("=")[1] not in sent
        assert value.split("=")[1] not in audit


# inputs


@pytest.mark.parametrize("form", ["json", "yaml", "case", "stdin-json", "stdin-yaml"])
def test_input_forms(run_gemx: Run, workdir: Path, form: str) -> None:
    texts = {
        "json": '{"idade": 64, "sexo": "M", "peso": 70.0, "pas": "82", "pad": 44, "lactato": 4.6}',
        "yaml": "idade: 64\nsexo: M\npeso: 70\npas: 82\npad: 44\nlactato: 4,6\n",
    }
    texts["case"] = "gemx: case/v1\ntitle: t\nautomation: sepse_bundle\ninputs:\n" + re.sub(
        "^", "  ", texts["yaml"].strip(), flags=re.MULTILINE
    )
    text = texts[form.removeprefix("stdin-")]
    path = workdir / f"p.{'json' if form == 'json' else 'yaml'}"
    path.write_text(text)
    source = "-" if form.startswith("stdin") else path.name
    stdin = text if source == "-" else None
    done = run_gemx("auto", "run", "sepse_bundle", "--input", source, "-m", "extractive", "--json", stdin=stdin)
    assert done.code == 0
    values = {fact["name"]: fact["value"] for fact in done.json["data"]["facts"]}
    assert values["cristaloide_ml"] == 2100
    assert "Lactato 4,6 mmol/L" in json.dumps(done.json["data"]["answer"], ensure_ascii=False)


def test_flags_win_over_the_file(run_gemx: Run) -> None:
    done = run_gemx("auto", "run", "sepse_bundle", "--input", CHOQUE, "-i", "peso=80", "-m", "extractive")
    assert done.code == 0
    assert "2400 mL" in done.out


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("idade=64", "peso=70"), ("sexo", "pas", "pad", "-i sexo=… -i pas=… -i pad=…")),
        ((*REQUIRED, "lactatos=4"), ("lactatos", "você quis dizer 'lactato'?")),
        ((*REQUIRED[:2], "peso=1.000", *REQUIRED[3:]), ("peso", "1.000")),
        ((*REQUIRED, "ph=7.352"), ("7,352", "7352")),
        (("idade=17", *REQUIRED[1:]), ("idade", "18")),
        ((*REQUIRED[:4], "pad=90"), ("PAM",)),
        ((*REQUIRED, "lactato=muito"), ("lactato",)),
        ((*REQUIRED, "peso=70kg2"), ()),
        ((*REQUIRED[:2], "peso=70 lb", *REQUIRED[3:]), ("lb", "kg")),
        ((*REQUIRED[:1], "sexo=X", *REQUIRED[2:]), ("masculino", "feminino")),
        (("idade=abc", "sexo=X", "peso=1e9", *REQUIRED[3:]), ("idade", "sexo", "peso")),
    ],
)
def test_inputs_that_cannot_be_used(
    run_gemx: Run, gemx_home: Path, given: tuple[str, ...], words: tuple[str, ...]
) -> None:
    for asked in ([], ["--json"]):
        done = run_gemx("auto", "run", "sepse_bundle", *flags(*given), "-m", "extractive", *asked)
        assert done.code == (4 if words else 2)
        text = done.err
        if asked:
            _assert_envelope(done, done.code)
            text = json.dumps(done.json["errors"], ensure_ascii=False)
        assert all(word in text for word in words), text
    assert records(gemx_home) == []


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("[1, 2]", "p.json"),
        ('{"idade": 1, "idade": 2}', "p.json"),
        ('{"idade": NaN}', "p.json"),
        ("{", "p.json"),
        ("idade: [", "p.yaml"),
        ("a: &a [1]\nb: *a\nidade: 1\nidade: 2", "p.yaml"),
        ("só texto", "p.yaml"),
        ("", "p.yaml"),
        (b"idade: \xff\xfe", "p.yaml"),
        ("idade: " + "9" * 5000, "p.yaml"),
        ('{"idade": ' + "9" * 5000 + "}", "p.json"),
        ("[" * 100_000, "p.json"),
    ],
)
def test_input_files_that_cannot_be_used(run_gemx: Run, workdir: Path, text: str | bytes, name: str) -> None:
    (workdir / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    done = run_gemx("auto", "run", "sepse_bundle", "--input", name, "-m", "extractive")
    assert done.code == 4, done.err
    assert done.out == ""
    assert len(done.err) < 5000


def test_an_input_file_that_is_not_there(run_gemx: Run, workdir: Path) -> None:
    assert run_gemx("auto", "run", "sepse_bundle", "--input", "none.yaml", "-m", "extractive").code == 4


# where it goes


def test_a_key_in_the_environment_sends_no_patient(run_gemx: Run, fake_gemini: FakeGemini) -> None:
    done = run_gemx("auto", "run", "sepse_bundle", *flags(*LITERAL))
    assert done.code == 0
    assert fake_gemini.requests == []
    assert "model: extractive (automatic" in done.err


@pytest.mark.parametrize("source", ["config", "profile", "GEMX_MODEL"])
@pytest.mark.parametrize("allowed", [False, True])
def test_only_consent_sends_a_patient(
    run_gemx: Run,
    fake_gemini: FakeGemini,
    gemx_home: Path,
    monkeypatch: pytest.MonkeyPatch,
    source: str,
    allowed: bool,
) -> None:
    fake_gemini.answer = echo
    config: dict[str, Any] = {"allow_cloud": allowed}
    if source == "config":
        config["model"] = GEMINI
    if source == "profile":
        profiles = gemx_home / "config/profiles"
        profiles.mkdir(parents=True)
        (profiles / "nuvem.yaml").write_text(f'gemx: profile/v1\ntitle: Nuvem\nmodel: "{GEMINI}"\n')
    if source == "GEMX_MODEL":
        monkeypatch.setenv("GEMX_MODEL", GEMINI)
    write_config(gemx_home, **config)
    chosen = ("--profile", "nuvem") if source == "profile" else ()
    done = run_gemx("auto", "run", "sepse_bundle", *flags(*LITERAL), *chosen)
    assert done.code == 0
    assert len(fake_gemini.requests) == int(allowed)
    assert ("not used: automations stay off the cloud" in done.err) == (not allowed)
    assert ("extractive" in done.err) == (not allowed)


def test_no_key_at_all_is_exit_5_and_on_record(run_gemx: Run, gemx_home: Path) -> None:
    done = run_gemx("auto", "run", "sepse_bundle", *flags(*LITERAL), "-m", GEMINI)
    assert done.code == 5
    assert "GEMINI_API_KEY" in done.err
    assert [record["error.type"] for record in records(gemx_home)] == ["auth"]


def test_an_audit_that_cannot_be_written_stops_before_the_call(
    run_gemx: Run, fake_gemini: FakeGemini, gemx_home: Path
) -> None:
    (gemx_home / "state").mkdir(parents=True)
    (gemx_home / "state/audit").write_text("a file where the folder should be")
    done = run_gemx("auto", "run", "sepse_bundle", *flags(*LITERAL), "-m", GEMINI)
    assert done.code == 11
    assert fake_gemini.requests == []


# automations of the user


def test_an_automation_of_the_folder_is_marked_and_on_record(run_gemx: Run, workdir: Path, gemx_home: Path) -> None:
    path = write_mini(workdir)
    for name in ("mini", "automations/mini.yaml"):
        done = run_gemx("auto", "run", name, *flags(*REQUIRED), "-m", "extractive")
        warning = "automação de automations/mini.yaml, que não vem com o gemx"
        assert f"Aviso: {warning}" in done.out.splitlines()
        assert done.err == "model: extractive (chosen by flag)\n"
        told = run_gemx("auto", "run", name, *flags(*REQUIRED), "-m", "extractive", "--json")
        assert told.json["data"]["warnings"] == [warning]
        assert told.json["data"]["automation"]["path"] == "automations/mini.yaml"
        assert f"aviso: {warning}" in told.err.splitlines()
        kept = run_gemx("auto", "run", name, *flags(*REQUIRED), "-m", "extractive", "--out", "a.txt")
        assert f"aviso: {warning}" in kept.err.splitlines()
        assert f"Aviso: {warning}" in (workdir / "a.txt").read_text().splitlines()
    assert [record["kind"] for record in records(gemx_home)] == ["attempt", "result"] * 6
    for record in records(gemx_home):
        assert record["gemx.automation_path"] == str(path)
        assert record["gemx.automation_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_formulary_of_the_user_is_marked_and_on_record(run_gemx: Run, workdir: Path, gemx_home: Path) -> None:
    shutil.copytree(places.shipped("automations") / "formulary", workdir / "drogas")
    command = ("auto", "run", "sepse_bundle", *flags(*LITERAL), "-m", "extractive")
    done = run_gemx(*command, "--formulary", "drogas")
    assert done.code == 0
    assert "Aviso: formulário de drogas, que não vem com o gemx" in done.out.splitlines()
    told = run_gemx(*command, "--formulary", "drogas", "--json")
    assert told.json["data"]["warnings"] == ["formulário de drogas, que não vem com o gemx"]
    assert "aviso: formulário de drogas, que não vem com o gemx" in told.err.splitlines()
    assert [record["gemx.formulary_path"] for record in records(gemx_home)] == [str(workdir / "drogas")] * 4
    assert run_gemx(*command).code == 0
    assert not [record for record in records(gemx_home)[-2:] if "gemx.formulary_path" in record]


def test_an_automation_of_the_folder_hides_the_shipped_one_and_says_so(run_gemx: Run, workdir: Path) -> None:
    write_mini(workdir, MINI.replace("id: mini", "id: sepse_bundle"), "sepse_bundle")
    done = run_gemx("auto", "run", "sepse_bundle", *flags(*REQUIRED), "-m", "extractive", "-q")
    assert done.out.startswith("Mini ")
    assert "Aviso: automação de automations/sepse_bundle.yaml, que não vem com o gemx" in done.out.splitlines()


def test_a_prompt_alone_runs_unverified_and_says_so(
    run_gemx: Run, fake_gemini: FakeGemini, workdir: Path, gemx_home: Path
) -> None:
    write_mini(workdir, PROMPT_ONLY, "livre")
    fake_gemini.reply_text("Homem de 64 anos.")
    done = run_gemx("auto", "run", "livre", "-i", "idade=64", "-m", GEMINI)
    assert done.code == 0
    assert "Homem de 64 anos." in done.out
    assert "não verificado" in done.out
    assert re.search(r"Conferido +nada", done.out)
    prompt = fake_gemini.last.body["contents"][0]["parts"][0]["text"]
    assert "Resuma o caso." in prompt
    assert "64" in prompt
    told = run_gemx("auto", "run", "livre", "-i", "idade=64", "-m", "extractive", "--json")
    assert told.json["data"]["verified"] is False
    assert told.json["data"]["answer"] is None
    assert told.json["data"]["text"]
    assert of_kind(gemx_home, "result") == []
    assert any("não verificado" in warning for warning in told.json["data"]["warnings"])
    assert "não verificado" in told.err


def test_a_prompt_alone_that_is_cut_is_exit_7_and_printed(
    run_gemx: Run, fake_gemini: FakeGemini, workdir: Path
) -> None:
    write_mini(workdir, PROMPT_ONLY, "livre")
    fake_gemini.fault("ok", text="Homem de 64", reason="MAX_TOKENS")
    done = run_gemx("auto", "run", "livre", "-i", "idade=64", "-m", GEMINI)
    assert done.code == 7
    assert "Homem de 64" in done.out
    assert "cut at the token limit" in done.err


def test_an_overdue_review_and_a_superseded_guideline_warn(run_gemx: Run, workdir: Path) -> None:
    old = MINI.replace("2099-01-01", "2026-02-01").replace(
        'date: "2026-01-01"}', 'date: "2026-01-01", superseded_by: Y}'
    )
    write_mini(workdir, old)
    done = run_gemx("auto", "run", "mini", *flags(*REQUIRED), "-m", "extractive")
    assert "venceu em 2026-02-01" in done.out
    assert "superada por Y" in done.out


def test_the_faults_of_the_fake_exist() -> None:
    assert set(FAULTS) <= set(GEMINI_FAULTS)


# the door

NAMED = "alergias=dipirona segundo Fulana de Tal (11) 98765-4321"


def test_an_automation_is_blocked_where_free_text_names_the_patient(
    run_gemx: Run, fake_gemini: FakeGemini, gemx_home: Path
) -> None:
    command = ("auto", "run", "sepse_bundle", *flags(*LITERAL, *LOCAL, NAMED), "-m", GEMINI)
    for flag in ((), ("--guard", "off"), ("--guard", "mask")):
        done = run_gemx(*command, *flag)
        assert (done.code, done.out, fake_gemini.requests) == (10, "", [])
        assert re.search(r"guard: block\): .*name \(prompt, line \d+, column \d+\).*telephone \(prompt", done.err)
        assert not any(value in done.err for value in ("Fulana", "98765"))
    kinds = [(record["kind"], record["error.type"], record["gemx.guard"]) for record in records(gemx_home)]
    assert kinds == [("refusal", "privacy", "block")] * 3
    told = run_gemx(*command, "--dry-run")
    assert told.code == 0
    assert "--- GUARD ---\nrefused: identifiers would leave this machine" in told.out


def test_a_blocked_automation_goes_to_the_model_of_this_machine_instead(
    run_gemx: Run, fake_gemini: FakeGemini, gemx_home: Path
) -> None:
    command = ("auto", "run", "sepse_bundle", *flags(*LITERAL, *LOCAL, NAMED), "-m", GEMINI)
    done = run_gemx(*command, "--fallback", "extractive")
    assert (done.code, fake_gemini.requests) == (0, [])
    assert f"Aviso: resposta de extractive: {GEMINI}, que foi pedido, não respondeu" in flat(done.out)
    assert f"extractive, no lugar de {GEMINI}" in flat(done.out)
    assert f"model: {GEMINI} gave no answer (privacy: " in done.err
    told = run_gemx(*command, "--fallback", "extractive", "--json").json["data"]
    assert (told["model"], told["in_place_of"]) == ("extractive", GEMINI)
    assert [attempt["error"] for attempt in told["attempts"]] == ["privacy", None]
    results = of_kind(gemx_home, "result")
    assert [result["gen_ai.response.model"] for result in results] == ["extractive"] * 2


def test_an_automation_is_masked_where_the_configuration_takes_that_on_itself(
    run_gemx: Run, fake_gemini: FakeGemini, gemx_home: Path
) -> None:
    write_config(gemx_home, automations={"guard": "mask"})
    fake_gemini.answer = lambda request: echo(request, lambda answer: answer.update(resumo=_allergies(request)))
    done = run_gemx("auto", "run", "sepse_bundle", *flags(*LITERAL, *LOCAL, NAMED), "-m", GEMINI, "--json")
    assert done.code == 0
    assert "[NOME_1] [TELEFONE_1]" in _allergies(fake_gemini.last)
    assert not any(value in json.dumps(fake_gemini.last.body) for value in ("Fulana", "98765"))
    assert "dipirona segundo Fulana de Tal (11) 98765-4321" in done.json["data"]["answer"]["resumo"]


def _allergies(request: Recorded) -> str:
    prompt = request.body["contents"][0]["parts"][0]["text"]
    found = re.search(r"^- Alergias: (.*)$", prompt, re.MULTILINE)
    assert found
    return found[1]


def test_the_receipt_tells_what_it_cost(run_gemx: Run, fake_gemini: FakeGemini) -> None:
    usage = {"promptTokenCount": 1000, "candidatesTokenCount": 1000}
    extra = {"modelVersion": "gemini-2.5-flash-lite", "usageMetadata": usage}
    fake_gemini.answer = echo
    fake_gemini.always("ok", extra=extra)
    command = ("auto", "run", "sepse_bundle", "--input", CHOQUE, "-m", "gemini:gemini-2.5-flash-lite")
    shown = flat(run_gemx(*command, "--tries", "1").out)
    assert re.search(r"Custo US\$ 0,00050, tabela de preços 2026-\d\d-\d\d", shown)
    local = flat(run_gemx(*command[:-1], "extractive").out)
    assert "Custo" not in local
