"""`gemx gen` in the history, and the conversations that `-c` and `--cid` continue."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fake_gemini import FakeGemini
from gemx import history

MODEL = ("-m", "gemini:gemini-3.8-flash")
OTHER = "gemini:gemini-3.8-pro"
Run = Callable[..., Any]


def told(fake: FakeGemini) -> list[tuple[str, list[str]]]:
    """The turns of the last request: who, and the texts."""
    return [(turn["role"], [part.get("text", "") for part in turn["parts"]]) for turn in fake.last.body["contents"]]


def kept() -> list[history.Entry]:
    return history.everything()


@pytest.fixture
def config(gemx_home: Path) -> Callable[..., None]:
    def write(**values: Any) -> None:
        (gemx_home / "config").mkdir(parents=True, exist_ok=True)
        (gemx_home / "config/config.json").write_text(json.dumps(values))

    return write


def test_a_turn_is_kept_whole(run_gemx: Run, fake_gemini: FakeGemini, workdir: Path) -> None:
    (workdir / "a.txt").write_text("primeiro")
    (workdir / "ecg.png").write_bytes(b"\x89PNGSECRET")
    fake_gemini.reply_text("PAM 57", modelVersion="gemini-3.8-flash")
    done = run_gemx("gen", "Compare", "-f", "a.txt", "-f", "ecg.png", "-s", "Breve.", *MODEL, "--json")
    assert done.code == 0
    (entry,) = kept()
    data = done.json["data"]
    assert (
        (entry.run_id, entry.conversation) == (data["run_id"], data["run_id"]) == (data["run_id"], data["conversation"])
    )
    assert (entry.command, entry.model, entry.system, entry.reply) == ("gen", MODEL[1], "Breve.", "PAM 57")
    assert entry.prompt and "primeiro" in entry.prompt and entry.prompt.endswith("Compare")
    assert (entry.data["files"], entry.data["media"]) == (["a.txt", "ecg.png"], ["ecg.png"])
    assert entry.data["usage"]["output_tokens"] == 12
    assert entry.data["attempts"] and "cost_usd" in entry.data
    assert entry.data["text"] is None  # the reply is kept once
    assert "SECRET" not in repr(entry)


def test_what_is_not_kept(run_gemx: Run, fake_gemini: FakeGemini, gemx_home: Path, config: Callable[..., None]) -> None:
    assert run_gemx("gen", "Oi", *MODEL, "--no-history").code == 0
    fake_gemini.fault("unauthorized")
    assert run_gemx("gen", "Oi", *MODEL).code == 5
    assert not (gemx_home / "data/history.db").exists()
    config(history={"keep": 0})
    assert run_gemx("gen", "Oi", *MODEL).code == 0
    assert not (gemx_home / "data/history.db").exists()
    none = run_gemx("gen", "e?", "-c", *MODEL)
    assert (none.code, none.out) == (3, "")
    assert "no conversation of gemx gen is kept" in none.err


def test_a_reply_that_is_cut_or_breaks_its_schema_is_kept_too(
    run_gemx: Run, fake_gemini: FakeGemini, workdir: Path
) -> None:
    (workdir / "s.json").write_text('{"type": "object"}')
    fake_gemini.fault("ok", text="A PAM é", reason="MAX_TOKENS")
    assert run_gemx("gen", "PAM?", *MODEL).code == 7
    fake_gemini.reply_text("nada")
    assert run_gemx("gen", "PAM?", *MODEL, "--schema", "s.json").code == 6
    assert [entry.reply for entry in kept()] == ["A PAM é", "nada"]


@pytest.mark.parametrize("asked", [(), ("--json",), ("--out", "a.txt")])
@pytest.mark.parametrize("broken", ["a folder", "no database"])
def test_a_history_that_cannot_be_written_loses_no_answer(
    run_gemx: Run, fake_gemini: FakeGemini, workdir: Path, gemx_home: Path, broken: str, asked: tuple[str, ...]
) -> None:
    path = gemx_home / "data/history.db"
    path.parent.mkdir(parents=True)
    path.mkdir() if broken == "a folder" else path.write_text("this is no database " * 100)
    done = run_gemx("gen", "Oi", *MODEL, *asked)
    assert done.code == 11
    shown = (workdir / "a.txt").read_text() if "--out" in asked else done.out
    assert "ok" in shown
    if "--json" in asked:
        assert (done.json["exit_code"], done.json["data"]["text"]) == (11, "ok")
        assert [error["code"] for error in done.json["errors"]] == ["storage"]
    else:
        assert "history.db" in done.err
    assert "Traceback" not in done.err
    fake_gemini.fault("ok", text="A PAM é", reason="MAX_TOKENS")
    both = run_gemx("gen", "Oi", *MODEL, "--json")
    assert (both.code, [error["code"] for error in both.json["errors"]]) == (11, ["truncated", "storage"])
    assert run_gemx("gen", "Oi", *MODEL, "--no-history").code == 0
    went_on = run_gemx("gen", "Oi", *MODEL, "-c")
    assert went_on.code == 11


def test_a_conversation_goes_on(run_gemx: Run, fake_gemini: FakeGemini) -> None:
    fake_gemini.reply_text("65 mmHg")
    assert run_gemx("gen", "Qual a PAM alvo?", *MODEL, "-s", "Seja breve.").code == 0
    fake_gemini.reply_text("75 mmHg")
    done = run_gemx("gen", "-c", "E no hipertenso?")
    first = kept()[0].run_id
    assert (done.code, done.out) == (0, "75 mmHg\n")
    assert done.err.splitlines()[:2] == [
        f"conversation: {first}, 1 turn before this one",
        "model: gemini:gemini-3.8-flash (chosen by the conversation)",
    ]
    assert told(fake_gemini) == [
        ("user", ["Qual a PAM alvo?"]),
        ("model", ["65 mmHg"]),
        ("user", ["E no hipertenso?"]),
    ]
    assert fake_gemini.last.body["systemInstruction"]["parts"] == [{"text": "Seja breve."}]
    third = run_gemx("gen", "Por quê?", "--continue", "--json")
    assert third.json["data"]["conversation"] == first
    assert len(told(fake_gemini)) == 5
    assert [(entry.prompt, entry.conversation) for entry in kept()] == [
        ("Qual a PAM alvo?", first),
        ("E no hipertenso?", first),
        ("Por quê?", first),
    ]


def test_an_earlier_conversation_by_a_beginning(run_gemx: Run, fake_gemini: FakeGemini) -> None:
    for prompt in ("primeira", "segunda"):
        assert run_gemx("gen", prompt, *MODEL).code == 0
    first, second = (entry.run_id for entry in kept())
    assert run_gemx("gen", "mais", "--cid", first[:-1]).code == 0
    assert told(fake_gemini)[0] == ("user", ["primeira"])
    third = kept()[-1]
    assert third.conversation == first
    assert run_gemx("gen", "e mais", "--cid", third.run_id).code == 0  # any of its turns names it
    assert [turn[1] for turn in told(fake_gemini)[::2]] == [["primeira"], ["mais"], ["e mais"]]
    assert run_gemx("gen", "agora", "-c").code == 0  # the last one is where the last turn was
    assert kept()[-1].conversation == first != second


def test_what_cannot_be_continued(run_gemx: Run, fake_gemini: FakeGemini) -> None:
    empty = run_gemx("gen", "e?", "-c", *MODEL)
    assert (empty.code, empty.out) == (3, "")
    unknown = run_gemx("gen", "e?", "--cid", "2026", *MODEL)
    assert (unknown.code, "the history is empty" in unknown.err) == (3, True)
    history.add(history.Entry(run_id="r1", command="auto run", reply="x", data={}))
    history.add(history.Entry(run_id="r2", command="gen", conversation="r2", reply="x", data={}))
    other = run_gemx("gen", "e?", "--cid", "r1", *MODEL)
    assert (other.code, "r1 of gemx auto run is not a turn" in other.err) == (4, True)
    assert run_gemx("gen", "e?", "--cid", "r", *MODEL).code == 3
    assert run_gemx("gen", "e?", "--cid", "", *MODEL).code == 3
    assert run_gemx("gen", "e?", "--cid", "r2", "-c", *MODEL).code == 2
    assert run_gemx("gen", "", "-c", *MODEL).code == 2
    history.remove(["r2"])
    assert run_gemx("gen", "e?", "-c", *MODEL).code == 3
    assert run_gemx("gen", "e?", "--cid", "r2", "--json").json["errors"][0]["code"] == "not_found"
    assert fake_gemini.requests == []


def test_another_system_instruction_holds_from_then_on(run_gemx: Run, fake_gemini: FakeGemini) -> None:
    run_gemx("gen", "um", *MODEL, "-s", "A")
    run_gemx("gen", "dois", "-c", "-s", "B")
    assert fake_gemini.last.body["systemInstruction"]["parts"] == [{"text": "B"}]
    run_gemx("gen", "três", "-c")
    assert fake_gemini.last.body["systemInstruction"]["parts"] == [{"text": "B"}]


@pytest.mark.parametrize(
    ("said", "model"), [("-m", "flag"), ("GEMX_MODEL", "GEMX_MODEL"), ("profile", "profile uti"), ("config", "")]
)
def test_the_model_of_a_conversation_gives_way_to_what_the_command_says(
    run_gemx: Run,
    fake_gemini: FakeGemini,
    gemx_home: Path,
    monkeypatch: pytest.MonkeyPatch,
    config: Callable[..., None],
    said: str,
    model: str,
) -> None:
    run_gemx("gen", "um", *MODEL)
    config(**({"model": OTHER, "routes": {"text": OTHER}} if said == "config" else {}))
    (gemx_home / "config/profiles").mkdir()
    (gemx_home / "config/profiles/uti.yaml").write_text(f"gemx: profile/v1\ntitle: UTI\nmodel: {OTHER}\nsystem: P\n")
    if said == "GEMX_MODEL":
        monkeypatch.setenv("GEMX_MODEL", OTHER)
    argv = {"-m": ("-m", OTHER), "profile": ("--profile", "uti")}.get(said, ())
    done = run_gemx("gen", "dois", "-c", *argv)
    assert done.code == 0
    reason = f"{OTHER} (chosen by {model})" if model else f"{MODEL[1]} (chosen by the conversation)"
    assert f"model: {reason}" in done.err
    assert len(told(fake_gemini)) == 3
    assert "systemInstruction" not in fake_gemini.last.body  # the conversation had none, and -s says none


def test_a_fallback_does_not_become_the_model_of_the_conversation(run_gemx: Run, fake_gemini: FakeGemini) -> None:
    fake_gemini.fault("unauthorized")
    done = run_gemx("gen", "um", "-m", MODEL[1], "--fallback", "extractive")
    assert (done.code, kept()[0].model) == (0, "extractive")
    assert f"model: {MODEL[1]} (chosen by the conversation)" in run_gemx("gen", "dois", "-c").err


def test_files_of_earlier_turns(run_gemx: Run, fake_gemini: FakeGemini, workdir: Path) -> None:
    (workdir / "a.txt").write_text("texto do arquivo")
    (workdir / "ecg.png").write_bytes(b"\x89PNG")
    run_gemx("gen", "-f", "ecg.png", "-f", "a.txt", *MODEL, stdin="Compare")
    done = run_gemx("gen", "-c", "E agora?")
    assert "conversation: ecg.png of an earlier turn is not kept, and not sent again" in done.err
    first = told(fake_gemini)[0][1]
    assert first[0] == "[ecg.png: not kept]"
    assert "texto do arquivo" in first[1] and first[1].endswith("Compare")


def test_a_conversation_that_lost_its_beginning(run_gemx: Run, fake_gemini: FakeGemini) -> None:
    run_gemx("gen", "um", *MODEL)
    run_gemx("gen", "dois", "-c")
    first, second = (entry.run_id for entry in kept())
    history.remove([first])
    done = run_gemx("gen", "três", "-c")
    assert f"conversation: {first}, 1 turn before this one\nconversation: its beginning is no longer kept" in done.err
    assert told(fake_gemini)[0] == ("user", ["dois"])
    assert run_gemx("gen", "quatro", "--cid", first).code == 3
    assert run_gemx("gen", "quatro", "--cid", second).code == 0


def test_what_was_local_passes_the_guard_before_it_goes_to_the_cloud(
    run_gemx: Run, fake_gemini: FakeGemini, workdir: Path
) -> None:
    (workdir / "p.md").write_text("# Nota\n\nCPF do paciente: 529.982.247-25\n")
    assert run_gemx("gen", "Qual o CPF do paciente?", "-f", "p.md", "-m", "extractive").code == 0
    refused = run_gemx("gen", "Resuma", "-c", *MODEL, "--guard", "block")
    assert (refused.code, fake_gemini.requests) == (10, [])
    assert "529.982" not in refused.err
    masked = run_gemx("gen", "Resuma", "-c", *MODEL, "--guard", "mask")
    assert masked.code == 0
    assert "529.982" not in json.dumps(fake_gemini.last.body)
    assert run_gemx("gen", "Resuma", "-c", "-m", "extractive").code == 0


@pytest.mark.parametrize("keep", [True, False])
def test_a_turn_that_is_not_kept_is_not_in_the_next(run_gemx: Run, fake_gemini: FakeGemini, keep: bool) -> None:
    run_gemx("gen", "um", *MODEL)
    run_gemx("gen", "dois", "-c", *(() if keep else ("--no-history",)))
    assert len(told(fake_gemini)) == 3
    run_gemx("gen", "três", "-c")
    assert len(told(fake_gemini)) == (5 if keep else 3)


def test_two_that_continue_at_once_lose_nothing(run_gemx: Run, fake_gemini: FakeGemini) -> None:
    run_gemx("gen", "um", *MODEL)
    command = [sys.executable, "-m", "gemx", "gen", "-c"]
    workers = [
        subprocess.Popen(
            [*command, f"turno {n}"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=dict(os.environ)
        )
        for n in range(4)
    ]
    assert [worker.wait(timeout=60) for worker in workers] == [0] * 4
    prompts = [entry.prompt for entry in history.last_conversation("gen")]
    assert prompts[0] == "um"
    assert sorted(prompts[1:], key=str) == [f"turno {n}" for n in range(4)]
