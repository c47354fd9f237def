"""`gemx gen` with a template, with a code block alone, and kept as a template."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fake_gemini import FakeGemini
from gemx.templates import shelf

MODEL = ("-m", "gemini:gemini-3.8-flash")
Run = Callable[..., Any]


def put(folder: Path, name: str, rest: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.yaml"
    path.write_text(f"gemx: template/v1\ntitle: T\n{rest}\n")
    return path


def texts(fake: FakeGemini) -> list[str]:
    return [part["text"] for part in fake.last.body["contents"][0]["parts"]]


def system(fake: FakeGemini) -> str | None:
    instruction = fake.last.body.get("systemInstruction")
    return instruction["parts"][0]["text"] if instruction else None


def record(gemx_home: Path) -> dict[str, Any]:
    (path,) = (gemx_home / "state/audit").glob("*.jsonl")
    return json.loads(path.read_text().splitlines()[-1])


@pytest.fixture
def own(gemx_home: Path) -> Path:
    return gemx_home / "config/templates"


@pytest.fixture
def t(workdir: Path, own: Path) -> Path:
    return put(own, "t", "version: '2'\nsystem: 'Escreva como {{ papel }}.'\nprompt: 'Resuma: {{ input }}'")


def test_the_prompt_is_the_input(run_gemx: Run, fake_gemini: FakeGemini, t: Path, gemx_home: Path) -> None:
    done = run_gemx("gen", "o caso", "-t", "t", "-p", "papel=médico", *MODEL)
    assert (done.code, done.out) == (0, "ok\n")
    assert texts(fake_gemini) == ["Resuma: o caso"]
    assert system(fake_gemini) == "Escreva como médico."
    assert done.err.splitlines()[0] == f"template: t (from {t})"
    written = record(gemx_home)
    assert (written["gemx.template"], written["gemx.template_version"]) == ("t", "2")
    assert written["gemx.template_sha256"] == shelf.load("t").sha256
    assert written["gemx.template_path"] == str(t)
    data = run_gemx("gen", "o caso", "-t", "t", "-p", "papel=médico", *MODEL, "--json").json["data"]
    assert data["template"] == {"name": "t", "version": "2", "sha256": shelf.load("t").sha256, "path": str(t)}


def test_stdin_is_the_input_where_there_is_no_prompt(run_gemx: Run, fake_gemini: FakeGemini, t: Path) -> None:
    assert run_gemx("gen", "-t", "t", "-p", "papel=x", *MODEL, stdin="nota\n").code == 0
    assert texts(fake_gemini) == ["Resuma: nota\n"]
    assert run_gemx("gen", "isto", "-t", "t", "-p", "papel=x", *MODEL, stdin="nota").code == 0
    document, prompt = texts(fake_gemini)
    assert "nota" in document
    assert prompt == "Resuma: isto"


def test_files_stand_for_the_input(run_gemx: Run, fake_gemini: FakeGemini, workdir: Path, t: Path) -> None:
    (workdir / "a.txt").write_text("um texto")
    assert run_gemx("gen", "-t", "t", "-p", "papel=x", "-f", "a.txt", *MODEL).code == 0
    assert "um texto" in texts(fake_gemini)[0]
    assert texts(fake_gemini)[1] == "Resuma: "


def test_a_template_without_input_waits_for_no_pipe(
    fake_gemini: FakeGemini, workdir: Path, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(own, "fixo", "prompt: Conte uma história.")
    read, write = os.pipe()
    with os.fdopen(read, encoding="utf-8") as silent, os.fdopen(write, "w"):
        from gemx.cli.app import main

        monkeypatch.setattr(sys, "stdin", silent)
        started = time.monotonic()
        assert main(["gen", "-t", "fixo", *MODEL]) == 0
        assert time.monotonic() - started < 4
    assert texts(fake_gemini) == ["Conte uma história."]


def test_words_follow_a_template_without_input(
    run_gemx: Run, fake_gemini: FakeGemini, workdir: Path, own: Path
) -> None:
    put(own, "fixo", "prompt: Conte uma história.")
    assert run_gemx("gen", "Curta.", "-t", "fixo", *MODEL).code == 0
    assert texts(fake_gemini) == ["Conte uma história.\n\nCurta."]


def test_a_system_instruction_of_the_flag_stays(run_gemx: Run, fake_gemini: FakeGemini, t: Path) -> None:
    assert run_gemx("gen", "x", "-t", "t", "-s", "Seja breve.", *MODEL).code == 0
    assert system(fake_gemini) == "Seja breve."


def test_a_shipped_template_has_no_path_in_the_audit(
    run_gemx: Run, fake_gemini: FakeGemini, workdir: Path, gemx_home: Path
) -> None:
    done = run_gemx("gen", "x", "-t", "resumo_alta", *MODEL)
    assert done.code == 0
    assert "template:" not in done.err
    written = record(gemx_home)
    assert written["gemx.template"] == "resumo_alta"
    assert "gemx.template_path" not in written
    run_gemx("gen", "x", *MODEL)
    assert "gemx.template" not in record(gemx_home)


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (("-t", "t"), 4, "the template needs: input, papel"),
        (("x", "-t", "t", "-p", "papell=x"), 4, "did you mean 'papel'?"),
        (("x", "-t", "t", "-p", "papel"), 2, "expected KEY=VALUE"),
        (("x", "-p", "papel=x"), 2, "needs -t"),
        (("x", "-t", "tt"), 3, "did you mean 't'?"),
        (("x", "-t", "t", "-p", "papel=x", "-p", "input=y"), 2, "given twice"),
        (("x", "-x", "--schema", "s.json"), 2, "choose one"),
        (("x", "--save", "t"), 2, "there is a template 't' already"),
        (("x", "--save", "../t"), 2, "is no name"),
    ],
)
def test_what_is_refused_before_a_call(
    run_gemx: Run, fake_gemini: FakeGemini, t: Path, argv: tuple[str, ...], code: int, said: str
) -> None:
    done = run_gemx("gen", *argv, *MODEL)
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert fake_gemini.requests == []


def test_a_template_of_the_folder_chooses_no_model(
    run_gemx: Run, fake_gemini: FakeGemini, workdir: Path, own: Path
) -> None:
    rest = "model: gemini:gemini-3.8-flash\noptions: {temperature: 0.5}\nprompt: '{{ input }}'"
    put(workdir / "templates", "m", rest)
    done = run_gemx("gen", "x", "-t", "m", "-m", "extractive", "-o", "temperature=1")
    assert "is not used" not in done.err
    done = run_gemx("gen", "x", "-t", "m")
    assert "its model gemini:gemini-3.8-flash is not used" in done.err
    own.mkdir(parents=True)
    (workdir / "templates/m.yaml").rename(own / "m.yaml")
    done = run_gemx("gen", "x", "-t", "m")
    assert done.code == 0
    assert "model: gemini:gemini-3.8-flash (chosen by the template m)" in done.err
    assert fake_gemini.last.body["generationConfig"]["temperature"] == 0.5
    run_gemx("gen", "x", "-t", "m", "-o", "temperature=1")
    assert fake_gemini.last.body["generationConfig"]["temperature"] == 1


@pytest.mark.parametrize("rest", ["model: gemni:x", "options: {temperatura: 1}", "options: {temperature: 9}"])
def test_a_template_with_a_model_that_is_none(
    run_gemx: Run, fake_gemini: FakeGemini, workdir: Path, own: Path, rest: str
) -> None:
    put(own, "m", f"{rest}\nprompt: x")
    done = run_gemx("gen", "-t", "m")
    assert done.code == 3
    assert "the template m: " in done.err


BLOCK = "Aqui está:\n\n```python\nprint('oi')\n\nx = 1\n```\n\nE outro:\n\n```\ny\n```\n"


def test_extract(run_gemx: Run, fake_gemini: FakeGemini, workdir: Path) -> None:
    fake_gemini.reply_text(BLOCK)
    done = run_gemx("gen", "código", "-x", *MODEL)
    assert (done.code, done.out) == (0, "print('oi')\n\nx = 1\n")
    fake_gemini.reply_text(BLOCK)
    assert run_gemx("gen", "código", "-x", "--out", "a.py", *MODEL).code == 0
    assert (workdir / "a.py").read_text() == "print('oi')\n\nx = 1\n"
    fake_gemini.reply_text(BLOCK)
    data = run_gemx("gen", "código", "-x", *MODEL, "--json").json["data"]
    assert (data["code"], data["text"]) == ("print('oi')\n\nx = 1\n", BLOCK)


def test_extract_without_a_block_is_exit_6_and_the_answer_is_on_stderr(
    run_gemx: Run, fake_gemini: FakeGemini, workdir: Path
) -> None:
    fake_gemini.reply_text("Não há código.")
    done = run_gemx("gen", "código", "-x", "--out", "a.py", *MODEL)
    assert (done.code, done.out) == (6, "")
    assert "Não há código." in done.err
    assert "the answer has no code block" in done.err
    assert not (workdir / "a.py").exists()
    fake_gemini.reply_text("Não há código.")
    told = run_gemx("gen", "código", "-x", *MODEL, "--json")
    assert (told.code, told.json["data"]["code"], told.json["data"]["text"]) == (6, None, "Não há código.")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("```\na\n```", "a\n"),
        ("~~~ js\na\n```\nb\n~~~\n", "a\n```\nb\n"),
        ("````md\n```\na\n```\n````", "```\na\n```\n"),
        ("  ```py\n  a\n    b\n  ```", "a\n  b\n"),
        ("```py\na\nb", "a\nb"),
        ("```\r\na\r\n```\r\n", "a\n"),
        ("```\n```", ""),
        ("`a` e ```b```", None),
        ("    ```\n    a\n    ```", None),
        ("", None),
        ("1. Um:\n\n    ```sh\n    ls\n      -l\n    ```\n", "ls\n  -l\n"),
        ("10. a\n\n       ~~~\n       x\n       ~~~\n", "x\n"),
        ("- a\n  - b\n\n    ```\n    x\n    ```\n", "x\n"),
        ("- ```py\n  x\n  ```\n", "x\n"),
        ("- a\n\n\t```\n\tx\n\t```\n", "x\n"),
        ("- a\n\ntexto\n\n    ```\n    x\n    ```\n", None),
    ],
)
def test_code_block(text: str, wanted: str | None) -> None:
    from gemx import conversation

    assert conversation.code_block(text) == wanted


def test_a_call_is_kept_as_a_template(run_gemx: Run, fake_gemini: FakeGemini, workdir: Path, own: Path) -> None:
    words = ("Explique {{isto}} e {% if %}:", "-s", "Seja {breve}", "-o", "temperature=0.2")
    done = run_gemx("gen", *words, *MODEL, "--save", "guardado", stdin="dados do paciente")
    assert done.code == 0
    path = own / "guardado.yaml"
    assert f"the call is kept as the template guardado: {path}" in done.err
    assert path.stat().st_mode & 0o777 == 0o600
    assert "paciente" not in path.read_text()
    assert run_gemx("auto", "validate", str(path)).code == 0
    assert run_gemx("gen", "-t", "guardado").code == 0
    assert texts(fake_gemini) == [words[0]]
    assert system(fake_gemini) == "Seja {breve}"
    assert fake_gemini.last.body["generationConfig"]["temperature"] == 0.2


def test_a_prompt_from_stdin_is_not_kept(run_gemx: Run, fake_gemini: FakeGemini, workdir: Path, own: Path) -> None:
    assert run_gemx("gen", "-s", "Resuma.", *MODEL, "--save", "r", stdin="dados do paciente").code == 0
    assert "paciente" not in (own / "r.yaml").read_text()
    assert run_gemx("gen", "outro", "-t", "r").code == 0
    assert (texts(fake_gemini), system(fake_gemini)) == (["outro"], "Resuma.")


def test_a_call_with_a_template_is_kept_with_its_values(
    run_gemx: Run, fake_gemini: FakeGemini, workdir: Path, own: Path
) -> None:
    argv = ("-t", "passagem_sbar", "-p", "destino=UTI 2", "-p", "linhas=2", *MODEL)
    assert run_gemx("gen", "um caso", *argv, "--save", "minha").code == 0
    before = texts(fake_gemini)
    assert "um caso" not in (own / "minha.yaml").read_text()
    assert run_gemx("gen", "um caso", "-t", "minha").code == 0
    assert texts(fake_gemini) == before
    variables = {each.name: each.default for each in shelf.load("minha").template.variables}
    assert variables == {"input": None, "destino": "UTI 2", "linhas": 2}


def test_a_call_that_fails_is_not_kept(run_gemx: Run, fake_gemini: FakeGemini, workdir: Path, own: Path) -> None:
    fake_gemini.fault("unauthorized")
    assert run_gemx("gen", "x", *MODEL, "--save", "n").code == 5
    assert not (own / "n.yaml").exists()


@pytest.mark.parametrize("way", ["name", "path", "dotted"])
def test_a_template_of_a_folder_chooses_no_model_however_it_is_named(
    run_gemx: Run, fake_gemini: FakeGemini, gemx_home: Path, workdir: Path, way: str
) -> None:
    put(workdir / "templates", "evil", "model: gemini:gemini-3.8-flash\nprompt: 'Resuma: {{ input }}'")
    put(gemx_home / "config/profiles", "loc", "model: extractive")
    (gemx_home / "config/profiles/loc.yaml").write_text("gemx: profile/v1\ntitle: L\nmodel: extractive\n")
    name = {"name": "evil", "path": "templates/evil.yaml", "dotted": "./templates/evil.yaml"}[way]
    done = run_gemx("gen", "-t", name, "caso", "--profile", "loc", "--save", "meu")
    assert (done.code, fake_gemini.requests) == (0, [])
    assert "its model gemini:gemini-3.8-flash is not used" in done.err
    # nor does what is kept of it
    assert run_gemx("gen", "-t", "meu", "caso", "--profile", "loc").code == 0
    assert fake_gemini.requests == []


@pytest.mark.parametrize(
    "argv", [("use AIzaSyD-1234567890abcdefghijklmnopqrstu",), ("x", "-s", "sk-proj-0123456789abcdef0123")]
)
def test_a_key_is_not_kept_in_a_template(
    run_gemx: Run, fake_gemini: FakeGemini, own: Path, argv: tuple[str, ...]
) -> None:
    done = run_gemx("gen", *argv, *MODEL, "--save", "kk")
    assert (done.code, fake_gemini.requests) == (2, [])
    assert not (own / "kk.yaml").exists()


def test_what_identifies_somebody_is_warned_of_where_it_is_kept(run_gemx: Run, fake_gemini: FakeGemini) -> None:
    done = run_gemx("gen", "CPF 529.982.247-25", *MODEL, "--save", "kk")
    assert done.code == 0
    assert "gemx: the template kk keeps what identifies somebody (cpf)" in done.err


def test_a_template_that_came_meanwhile_is_not_replaced(run_gemx: Run, fake_gemini: FakeGemini, own: Path) -> None:
    def answer(recorded: Any) -> str:
        put(own, "carta", "prompt: 'minha'")
        return "ok"

    fake_gemini.answer = answer
    done = run_gemx("gen", "Oi", *MODEL, "--save", "carta")
    assert (done.code, done.out) == (11, "ok\n")
    assert "minha" in (own / "carta.yaml").read_text()


def test_an_answer_whose_file_cannot_be_written_is_shown(run_gemx: Run, fake_gemini: FakeGemini, workdir: Path) -> None:
    (workdir / "od").mkdir()

    def answer(recorded: Any) -> str:
        (workdir / "od").rmdir()
        return "a resposta paga"

    fake_gemini.answer = answer
    done = run_gemx("gen", "Oi", *MODEL, "--out", "od/r.txt", "--no-history")
    assert (done.code, done.out) == (11, "a resposta paga\n")
