"""`gemx logs replay`: a past call put to another model, through the door."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from conftest import RunGemx
from fake_gemini import FakeGemini, Recorded
from gemx import history
from gemx.audit import record
from gemx.audit.find import Filter, Reader
from gemx.clinical import answer

MODEL = "gemini:gemini-3.8-flash"
OTHER = "gemini:gemini-3.5-pro"
PATIENT = [f"-i{pair}" for pair in ("idade=64", "sexo=M", "peso=70", "pas=82", "pad=44", "lactato=4,6")]


def newest() -> str:
    return max(history.everything(), key=lambda entry: entry.time).run_id


def last_record() -> Any:
    return next(iter(Reader().newest(Filter())))


def texts(request: Recorded) -> list[str]:
    return [part["text"] for each in request.body["contents"] for part in each["parts"]]


def test_what_differs_and_what_both_took(run_gemx: RunGemx, fake_gemini: FakeGemini) -> None:
    fake_gemini.reply_text("PAM alvo:\n65 mmHg\n")
    run_gemx("gen", "Qual a PAM alvo?", "-m", MODEL, "-s", "Seja breve.", "--subject", "L7")
    first = newest()
    fake_gemini.reply_text("PAM alvo:\n70 mmHg\n")
    done = run_gemx("logs", "replay", first, "-m", OTHER)
    assert done.code == 0
    assert "-65 mmHg\n+70 mmHg" in done.out
    assert f"--- {first} {MODEL}" in done.out
    assert "input_tokens" in done.out and "cost_usd" in done.out
    assert texts(fake_gemini.requests[0]) == texts(fake_gemini.requests[1]) == ["Qual a PAM alvo?"]
    assert fake_gemini.requests[1].body["systemInstruction"] == fake_gemini.requests[0].body["systemInstruction"]
    assert (last_record()["command"], last_record()["subject"]) == ("logs replay", record.subject("L7"))
    kept = history.get(newest())
    assert (kept.command, kept.reply, kept.data["replay_of"]) == ("logs replay", "PAM alvo:\n70 mmHg\n", first)
    assert kept.subject == record.subject("L7")


def test_the_same_answer_and_json(run_gemx: RunGemx, fake_gemini: FakeGemini) -> None:
    fake_gemini.answer = "65"
    run_gemx("gen", "Qual?", "-m", MODEL)
    first = newest()
    assert "the answers are the same" in run_gemx("logs", "replay", first[:18], "-m", MODEL, "--no-history").out
    assert newest() == first
    found = run_gemx("logs", "replay", first, "-m", OTHER, "--json").json["data"]
    assert (found["same"], found["difference"], found["replay_of"]) == (True, [], first)
    assert (found["before"]["model"], found["after"]["model"]) == (MODEL, OTHER)
    assert found["before"]["input_tokens"] == found["after"]["input_tokens"] == 12


def test_the_turns_before_go_along(run_gemx: RunGemx, fake_gemini: FakeGemini) -> None:
    fake_gemini.answer = lambda request: f"resposta {len(fake_gemini.requests)}"
    for argv in (["um"], ["-c", "dois"], ["-c", "três"]):
        run_gemx("gen", *argv, "-m", MODEL)
    second = sorted(history.everything(), key=lambda entry: entry.time)[1].run_id
    assert run_gemx("logs", "replay", second, "-m", MODEL).code == 0
    assert texts(fake_gemini.requests[-1]) == texts(fake_gemini.requests[1]) == ["um", "resposta 1", "dois"]


def test_a_schema_goes_along_and_is_checked(run_gemx: RunGemx, fake_gemini: FakeGemini) -> None:
    fake_gemini.reply_json({"nome": "noradrenalina", "n": 1})
    run_gemx("gen", "Um fármaco", "-m", MODEL, "--schema", "nome, n int")
    first = newest()
    fake_gemini.reply_json({"nome": "vasopressina", "n": 1})
    done = run_gemx("logs", "replay", first, "-m", OTHER)
    assert done.code == 0
    assert '-  "nome": "noradrenalina",\n+  "nome": "vasopressina",' in done.out
    schemas = [each.body["generationConfig"]["responseJsonSchema"] for each in fake_gemini.requests]
    assert schemas[0] == schemas[1]
    fake_gemini.reply_json({"nome": 1})
    assert run_gemx("logs", "replay", first, "-m", OTHER).code == 6


def test_an_automation_keeps_its_rules_and_its_contract(
    run_gemx: RunGemx, fake_gemini: FakeGemini, gemx_home: Path
) -> None:
    run_gemx("auto", "run", "sepse_bundle", "-m", "extractive", *PATIENT)
    first = newest()
    fake_gemini.answer = history.get(first).reply
    # Without -m the text of a patient does not go to the cloud, whatever key there is.
    (gemx_home / "config").mkdir(exist_ok=True)
    run_gemx("logs", "replay", first)
    assert fake_gemini.requests == []
    done = run_gemx("logs", "replay", first, "-m", MODEL)
    assert done.code == 0, done.err
    assert "the answers are the same" in done.out
    assert "only the contract was verified" in done.err
    sent = fake_gemini.requests[0].body
    assert sent["generationConfig"]["responseJsonSchema"] == json.loads(json.dumps(answer.json_schema()))
    assert last_record()["gemx.automation"] == "sepse_bundle"
    fake_gemini.answer = "{}"
    broken = run_gemx("logs", "replay", first, "-m", MODEL, "--json")
    assert broken.code == 6
    assert broken.json["data"]["problems"]


def test_the_guard_of_automations_holds(run_gemx: RunGemx, fake_gemini: FakeGemini) -> None:
    run_gemx("auto", "run", "sepse_bundle", "-m", "extractive", *PATIENT)
    first = newest()
    entry = history.get(first)
    history.remove([first])
    from dataclasses import replace

    history.add(replace(entry, prompt=f"{entry.prompt}\nCPF 529.982.247-25"))
    assert run_gemx("logs", "replay", first, "-m", MODEL).code == 10
    assert run_gemx("logs", "replay", first, "-m", MODEL, "--local-only").code == 10
    assert fake_gemini.requests == []
    assert (last_record()["kind"], last_record()["command"]) == ("refusal", "logs replay")


def test_the_replay_of_an_automation_is_one_of_it(run_gemx: RunGemx, fake_gemini: FakeGemini) -> None:
    run_gemx("auto", "run", "sepse_bundle", "-m", "extractive", *PATIENT)
    fake_gemini.answer = history.get(newest()).reply
    run_gemx("logs", "replay", newest(), "-m", MODEL)
    again = history.get(newest())
    assert (again.command, again.automation, again.conversation) == ("logs replay", "sepse_bundle", None)
    # Nobody said that the patient's text may go to the cloud.
    run_gemx("logs", "replay", again.run_id)
    run_gemx("gen", "--cid", again.run_id, "e agora?", "-m", MODEL)
    assert len(fake_gemini.requests) == 1
    assert run_gemx("auto", "note", again.run_id).code == 4


def test_what_was_masked_is_masked_again(run_gemx: RunGemx, fake_gemini: FakeGemini) -> None:
    run_gemx("gen", "CPF 529.982.247-25: resuma", "-m", MODEL, "--guard", "mask")
    for flags in ([], ["--guard", "warn"]):
        assert run_gemx("logs", "replay", newest(), "-m", OTHER, *flags).code == 0
    assert len(fake_gemini.requests) == 3
    assert not [each for each in fake_gemini.requests if "529.982.247-25" in json.dumps(each.body)]
    assert run_gemx("logs", "replay", newest(), "-m", OTHER, "--guard", "block").code == 10


def test_what_cannot_be_asked_again(run_gemx: RunGemx, fake_gemini: FakeGemini, workdir: Path) -> None:
    assert run_gemx("logs", "replay", "nowhere", "-m", MODEL).code == 3
    Path("answer.json").write_text("{}")
    run_gemx("auto", "verify", "answer.json", "--automation", "sepse_bundle", *PATIENT)
    done = run_gemx("logs", "replay", newest(), "-m", MODEL)
    assert (done.code, "asked no model" in done.err) == (4, True)
    Path("a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 30)
    run_gemx("gen", "O que é?", "-f", "a.png", "-m", MODEL)
    done = run_gemx("logs", "replay", newest(), "-m", MODEL)
    assert (done.code, "a.png" in done.err) == (4, True)
    assert len(fake_gemini.requests) == 1


@pytest.mark.parametrize("fault", ["blocked", "unauthorized"])
def test_a_model_that_fails(run_gemx: RunGemx, fake_gemini: FakeGemini, fault: str) -> None:
    run_gemx("gen", "a", "-m", MODEL)
    first = newest()
    fake_gemini.fault(fault)
    assert run_gemx("logs", "replay", first, "-m", MODEL).code == 5
    assert newest() == first
