"""`gemx gen`: where the prompt comes from, and what becomes of the answer."""

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

MODEL = ("-m", "gemini:gemini-3.8-flash")
SCHEMA = {"type": "object", "properties": {"pam": {"type": "number"}}, "required": ["pam"]}
Run = Callable[..., Any]


def parts(fake: FakeGemini) -> list[dict[str, Any]]:
    return fake.last.body["contents"][0]["parts"]


@pytest.fixture
def schema(workdir: Path) -> str:
    (workdir / "schema.json").write_text(json.dumps(SCHEMA))
    return "schema.json"


def test_the_prompt_is_streamed(run_gemx: Run, fake_gemini: FakeGemini) -> None:
    fake_gemini.reply_text("A PAM é 57 mmHg.")
    done = run_gemx("gen", "Qual a PAM de 82 por 44?", *MODEL, "-s", "Seja breve.")
    assert (done.code, done.out) == (0, "A PAM é 57 mmHg.\n")
    assert done.err.splitlines()[0] == "model: gemini:gemini-3.8-flash (chosen by flag)"
    assert "gemini-fake-001" in done.err  # another model answered
    assert ":streamGenerateContent" in fake_gemini.last.path
    assert parts(fake_gemini) == [{"text": "Qual a PAM de 82 por 44?"}]
    assert fake_gemini.last.body["systemInstruction"]["parts"] == [{"text": "Seja breve."}]


@pytest.mark.parametrize("argv", [(), ("-",)])
def test_the_prompt_on_stdin(run_gemx: Run, fake_gemini: FakeGemini, argv: tuple[str, ...]) -> None:
    done = run_gemx("gen", *argv, *MODEL, stdin="Oi\n")
    assert done.code == 0
    assert parts(fake_gemini) == [{"text": "Oi\n"}]


def test_prompt_and_stdin_go_together(run_gemx: Run, fake_gemini: FakeGemini) -> None:
    assert run_gemx("gen", "Resuma:", *MODEL, stdin="Homem de 64 anos.").code == 0
    document, prompt = parts(fake_gemini)
    assert "Homem de 64 anos." in document["text"]
    assert prompt == {"text": "Resuma:"}


def test_files_keep_their_names_and_order(run_gemx: Run, fake_gemini: FakeGemini, workdir: Path) -> None:
    (workdir / "a.txt").write_text("primeiro")
    (workdir / "b.md").write_text("segundo")
    (workdir / "ecg.png").write_bytes(b"\x89PNG")
    done = run_gemx("gen", "Compare", "-f", "a.txt", "-f", "ecg.png", "-f", "b.md", *MODEL)
    assert done.code == 0
    first, image, second, prompt = parts(fake_gemini)
    assert 'name="a.txt"' in first["text"]
    assert "primeiro" in first["text"]
    assert set(image["inlineData"].values()) == {"iVBORw==", "image/png"}
    assert "segundo" in second["text"]
    assert prompt == {"text": "Compare"}


def test_stdin_as_a_file(run_gemx: Run, fake_gemini: FakeGemini) -> None:
    assert run_gemx("gen", "Resuma", "-f", "-", *MODEL, stdin="caso clínico").code == 0
    document, prompt = parts(fake_gemini)
    assert "caso clínico" in document["text"]
    assert prompt == {"text": "Resuma"}


@pytest.mark.parametrize("quiet", [(), ("-q",)])
def test_an_inherited_open_pipe_does_not_hang_and_is_announced(
    fake_gemini: FakeGemini,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    quiet: tuple[str, ...],
) -> None:
    read, write = os.pipe()
    with os.fdopen(read, encoding="utf-8") as silent, os.fdopen(write, "w"):
        from gemx.cli.app import main

        monkeypatch.setattr(sys, "stdin", silent)
        started = time.monotonic()
        assert main(["gen", "Oi", *MODEL, *quiet]) == 0
        assert time.monotonic() - started < 4
    assert parts(fake_gemini) == [{"text": "Oi"}]
    said = "gemx: stdin is open and nothing came from it, so it is not read; `-f -` waits for it"
    lines = capfd.readouterr().err.splitlines()
    assert said in lines
    assert not quiet or lines == [said]


def test_an_empty_stdin_is_not_announced(run_gemx: Run, fake_gemini: FakeGemini) -> None:
    for stdin in (None, ""):
        done = run_gemx("gen", "Oi", *MODEL, "-q", stdin=stdin)
        assert (done.code, done.err) == (0, "")
        assert parts(fake_gemini) == [{"text": "Oi"}]


@pytest.mark.parametrize("stdin", ["", "  \n", None])
@pytest.mark.parametrize("argv", [(), ("",), ("-",), (" ",)])
def test_an_empty_prompt_is_a_usage_error(
    run_gemx: Run, fake_gemini: FakeGemini, argv: tuple[str, ...], stdin: str | None
) -> None:
    if argv in (("",), (" ",)) and stdin and not stdin.strip():
        stdin = None  # white space is no text either
    done = run_gemx("gen", *argv, *MODEL, stdin=stdin)
    assert done.code == 2
    assert fake_gemini.requests == []


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [("none.txt", None, 4), ("bytes.bin", b"\xff\xfe\x00", 4), ("ok.bin", b"texto", 0)],
)
def test_files_that_cannot_be_read(
    run_gemx: Run, fake_gemini: FakeGemini, workdir: Path, name: str, data: bytes | None, code: int
) -> None:
    if data is not None:
        (workdir / name).write_bytes(data)
    done = run_gemx("gen", "Oi", "-f", name, *MODEL)
    assert done.code == code
    assert len(fake_gemini.requests) == int(code == 0)
    assert code == 0 or name in done.err


def test_a_schema_is_asked_for_and_checked(run_gemx: Run, fake_gemini: FakeGemini, schema: str) -> None:
    fake_gemini.reply_json({"pam": 57})
    done = run_gemx("gen", "PAM?", "--schema", schema, *MODEL)
    assert (done.code, json.loads(done.out)) == (0, {"pam": 57})
    assert fake_gemini.last.body["generationConfig"]["responseJsonSchema"] == SCHEMA
    fake_gemini.reply_json({"pam": 57})
    told = run_gemx("gen", "PAM?", "--schema", schema, *MODEL, "--json")
    assert told.json["data"]["value"] == {"pam": 57}


def test_a_schema_in_the_short_form(run_gemx: Run, fake_gemini: FakeGemini, workdir: Path) -> None:
    fake_gemini.reply_json({"pam": 57, "conduta": "volume"})
    done = run_gemx("gen", "PAM?", "--schema", "pam float, conduta: uma frase", *MODEL)
    assert (done.code, json.loads(done.out)) == (0, {"pam": 57, "conduta": "volume"})
    assert fake_gemini.last.body["generationConfig"]["responseJsonSchema"] == {
        "type": "object",
        "properties": {"pam": {"type": "number"}, "conduta": {"type": "string", "description": "uma frase"}},
        "required": ["pam", "conduta"],
        "additionalProperties": False,
    }
    fake_gemini.reply_json({"pam": 57})
    assert run_gemx("gen", "PAM?", "--schema", "pam float, conduta: uma frase", *MODEL).code == 6


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"pam": "57"}', "$.pam"),
        ("{}", "'pam' is a required property"),
        ('{"pam": NaN}', "NaN"),
        ('{"pam": 1e999}', "1e999"),
        ("não sei", "not JSON"),
    ],
)
def test_an_answer_that_breaks_the_schema_is_exit_6_and_shown(
    run_gemx: Run, fake_gemini: FakeGemini, schema: str, text: str, words: str
) -> None:
    fake_gemini.reply_text(text)
    done = run_gemx("gen", "PAM?", "--schema", schema, *MODEL)
    assert done.code == 6
    assert done.out == f"{text}\n"
    assert words in done.err
    fake_gemini.reply_text(text)
    told = run_gemx("gen", "PAM?", "--schema", schema, *MODEL, "--json")
    assert told.code == told.json["exit_code"] == 6
    assert told.json["errors"][0]["code"] == "contract"


def test_repair_asks_again(run_gemx: Run, fake_gemini: FakeGemini, schema: str) -> None:
    fake_gemini.reply_text("{}")
    fake_gemini.reply_json({"pam": 57})
    done = run_gemx("gen", "PAM?", "--schema", schema, "--repair", "1", *MODEL)
    assert (done.code, json.loads(done.out)) == (0, {"pam": 57})
    assert len(fake_gemini.requests) == 2
    assert "required property" in fake_gemini.last.body["contents"][2]["parts"][0]["text"]


def test_a_schema_that_is_cut_is_exit_6(run_gemx: Run, fake_gemini: FakeGemini, schema: str) -> None:
    fake_gemini.fault("max_tokens")
    done = run_gemx("gen", "PAM?", "--schema", schema, *MODEL)
    assert done.code == 6
    assert "max_output_tokens" in done.err


@pytest.mark.parametrize(
    ("schema", "text", "ok"),
    [
        ({"const": 0.1}, "0.1", True),
        ({"const": 0.1}, "0.10", True),
        ({"const": 0.1}, "0.2", False),
        ({"enum": [2.5, 3]}, "3.0", True),
        ({"enum": [2.5, 3]}, "2.5", True),
        ({"maximum": 0.3}, "0.3", True),
        ({"maximum": 0.3}, "0.31", False),
        ({"type": "integer"}, "57.0", True),
        ({"type": "integer"}, "57.5", False),
        ({"type": "number", "multipleOf": 0.5}, "2.5", True),
        ({"type": "number", "multipleOf": 0.5}, "2.6", False),
    ],
)
def test_numbers_are_compared_as_the_schema_holds_them(
    run_gemx: Run, fake_gemini: FakeGemini, workdir: Path, schema: dict[str, Any], text: str, ok: bool
) -> None:
    (workdir / "s.json").write_text(json.dumps(schema))
    fake_gemini.reply_text(text)
    done = run_gemx("gen", "PAM?", "--schema", "s.json", *MODEL)
    assert (done.code, done.out) == (0 if ok else 6, f"{text}\n")


def test_a_reference_inside_the_schema_is_followed(run_gemx: Run, fake_gemini: FakeGemini, workdir: Path) -> None:
    schema = {"type": "object", "properties": {"pam": {"$ref": "#/$defs/n"}}, "$defs": {"n": {"type": "number"}}}
    (workdir / "s.json").write_text(json.dumps(schema))
    for text, code in (('{"pam": 57}', 0), ('{"pam": "x"}', 6)):
        fake_gemini.reply_text(text)
        assert run_gemx("gen", "PAM?", "--schema", "s.json", *MODEL).code == code


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "{server}/s.json"},
        {"properties": {"a": {"prefixItems": [{"$ref": "{server}/s.json#/a"}]}}},
        {"allOf": [{"$ref": "#/$defs/none"}]},
        {"$ref": "other.json"},
        {"$ref": "file:///etc/passwd"},
        {"$dynamicRef": "{server}/s.json"},
        {"$ref": "#"},
    ],
)
def test_a_reference_that_leads_out_is_exit_3_and_nothing_is_fetched(
    run_gemx: Run, fake_gemini: FakeGemini, workdir: Path, schema: dict[str, Any]
) -> None:
    (workdir / "other.json").write_text("{}")
    (workdir / "s.json").write_text(json.dumps(schema).replace("{server}", fake_gemini.url))
    done = run_gemx("gen", "PAM?", "--schema", "s.json", *MODEL)
    assert (done.code, done.out) == (3, "")
    assert "s.json: the " in done.err
    assert fake_gemini.requests == []


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": {"$ref": "#/properties/a"}}},
        {"items": {"$ref": "#/$defs/a"}, "$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}]}}},
    ],
)
def test_a_schema_that_refers_to_itself_without_end_is_exit_3(
    run_gemx: Run, fake_gemini: FakeGemini, workdir: Path, schema: dict[str, Any]
) -> None:
    (workdir / "s.json").write_text(json.dumps(schema))
    fake_gemini.reply_text('{"a": 1}' if "properties" in schema else "[1]")
    assert run_gemx("gen", "PAM?", "--schema", "s.json", *MODEL).code == 3
    assert fake_gemini.requests == []


@pytest.mark.parametrize("text", ["{", "[]", '{"type": 3}', '{"const": NaN}', '{"const": 1e999}', "true", None])
def test_what_is_no_schema_is_exit_3(run_gemx: Run, fake_gemini: FakeGemini, workdir: Path, text: str | None) -> None:
    if text is not None:
        (workdir / "s.json").write_text(text)
    done = run_gemx("gen", "PAM?", "--schema", "s.json", *MODEL)
    assert done.code == 3
    assert "s.json" in done.err
    assert fake_gemini.requests == []


def test_free_text_that_is_cut_is_printed_and_exit_7(run_gemx: Run, fake_gemini: FakeGemini) -> None:
    fake_gemini.fault("ok", text="A PAM é", reason="MAX_TOKENS")
    done = run_gemx("gen", "PAM?", *MODEL)
    assert (done.code, done.out) == (7, "A PAM é\n")
    assert "max_output_tokens" in done.err
    fake_gemini.fault("ok", text="A PAM é", reason="MAX_TOKENS")
    told = run_gemx("gen", "PAM?", *MODEL, "--json")
    assert (told.code, told.json["status"], told.json["exit_code"]) == (7, "partial", 7)
    assert told.json["data"]["text"] == "A PAM é"


@pytest.mark.parametrize(
    ("fault", "code", "name"),
    [
        ("cut", 8, "stream_cut"),
        ("error_in_stream", 8, "unavailable"),
        ("no_finish", 8, "stream_cut"),
        ("hang", 8, "timeout"),
        ("half_closed", 8, "timeout"),
        ("blocked", 5, "blocked"),
        ("rate_limit", 8, "rate_limit"),
        ("api_key_invalid", 5, "auth"),
    ],
)
def test_a_stream_that_fails(
    run_gemx: Run, fake_gemini: FakeGemini, gemx_home: Path, fault: str, code: int, name: str
) -> None:
    fake_gemini.fault(fault)
    done = run_gemx("gen", "PAM?", *MODEL, "-o", "timeout=0.5", "--tries", "1")
    assert done.code == code
    # A line that the stream had begun is ended before the error.
    assert done.out in ("", "the first half\n")
    assert (done.out == "") == (fault in ("hang", "blocked", "rate_limit", "api_key_invalid"))
    assert done.err.count("gemx: ") == 1
    (path,) = (gemx_home / "state/audit").glob("*.jsonl")
    (record,) = [json.loads(line) for line in path.read_text().splitlines()]
    assert (record["error.type"], record["command"]) == (name, "gen")
    assert record["gen_ai.request.stream"] is True


def test_extractive_quotes_the_files(run_gemx: Run, workdir: Path) -> None:
    (workdir / "p.md").write_text("# PAM\n\nO alvo inicial é 65 mmHg.\n\n# Lactato\n\nRepetir se acima de 2.\n")
    done = run_gemx("gen", "Qual o alvo de PAM?", "-f", "p.md", "-m", "extractive")
    assert (done.code, done.out) == (0, "[p#pam] O alvo inicial é 65 mmHg.\n")
    none = run_gemx("gen", "Quem descobriu o Brasil?", "-f", "p.md", "-m", "extractive")
    assert none.code == 0
    assert "Nenhum trecho" in none.out
    empty = run_gemx("gen", "Qual o alvo?", "-m", "extractive")
    assert empty.code == 0
    assert "Sem documento" in empty.out


def test_a_fresh_machine_uses_extractive_and_says_why(run_gemx: Run) -> None:
    done = run_gemx("gen", "Oi")
    assert done.code == 0
    assert "model: extractive (automatic" in done.err


def test_quiet(run_gemx: Run, fake_gemini: FakeGemini) -> None:
    done = run_gemx("gen", "Oi", *MODEL, "-q")
    assert (done.code, done.out, done.err) == (0, "ok\n", "")
    fake_gemini.fault("unavailable")
    assert "gemx: " in run_gemx("gen", "Oi", *MODEL, "-q", "--tries", "1").err


def test_json(run_gemx: Run, fake_gemini: FakeGemini) -> None:
    done = run_gemx("gen", "Oi", *MODEL, "--json")
    assert done.code == 0
    data = done.json["data"]
    assert (done.json["command"], done.json["status"], data["text"]) == ("gen", "success", "ok")
    assert data["usage"]["output_tokens"] == 12
    assert data["finish_reason"] == "stop"
    assert data["run_id"]
    fake_gemini.fault("unauthorized")
    failed = run_gemx("gen", "Oi", *MODEL, "--json")
    assert failed.code == failed.json["exit_code"] == 5
    assert failed.json["data"] is None


def test_out(run_gemx: Run, fake_gemini: FakeGemini, workdir: Path) -> None:
    done = run_gemx("gen", "Oi", *MODEL, "--out", "a.txt")
    assert (done.code, done.out) == (0, "")
    assert (workdir / "a.txt").read_text() == "ok\n"
    assert (workdir / "a.txt").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("asked", [(), ("--json",), ("--out", "a.txt")])
def test_escape_sequences_of_a_model_are_taken_out(
    run_gemx: Run, fake_gemini: FakeGemini, workdir: Path, asked: tuple[str, ...]
) -> None:
    fake_gemini.reply_text("a\x1b[31mb\x9bc\u202ed")
    done = run_gemx("gen", "Oi", *MODEL, *asked)
    assert done.code == 0
    written = (workdir / "a.txt").read_text() if "--out" in asked else done.out
    assert "a" in written
    assert not set(written) & set("\x1b\x9b\u202e")


@pytest.mark.parametrize(
    "argv",
    [
        ("gen", "Oi", "-m", "gemni:x"),
        ("gen", "Oi", "-m", "gemini"),
        ("gen", "Oi", *MODEL, "-o", "temperature=quente"),
        ("gen", "Oi", *MODEL, "-o", "temperature"),
        ("gen", "Oi", *MODEL, "-o", "temperatura=1"),
        ("gen", "Oi", *MODEL, "--nada"),
        ("gen", "Oi", "a mais", *MODEL),
        ("gen", "Oi", *MODEL, "--repair", "1"),
        ("gen", "Oi", *MODEL, "--schema", "nome, idade inteiro"),
        ("gen", "-", "-f", "-", *MODEL),
        ("gen", "Oi", "-f", "-", "-f", "-", *MODEL),
        ("gen", "Oi", *MODEL, "-o", "seed=1", "-o", "seed=2"),
        ("nada",),
        ("auto", "nada"),
        ("auto", "show"),
    ],
)
def test_usage_errors(run_gemx: Run, fake_gemini: FakeGemini, workdir: Path, argv: tuple[str, ...]) -> None:
    done = run_gemx(*argv)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("gemx: ")
    told = run_gemx(*argv, "--json")
    assert told.code == told.json["exit_code"] == 2
    assert told.json["errors"][0]["code"] == "usage"
    assert (told.json["status"], told.json["data"]) == ("error", None)
    # What was not understood is no command's outcome.
    understood = argv[0] == "gen" and "--nada" not in argv and "a mais" not in argv
    assert told.json["command"] == ("gen" if understood else "")
    assert fake_gemini.requests == []


@pytest.mark.parametrize("place", ["GEMX_MODEL", "profile uti", "config.json"])
@pytest.mark.parametrize("command", ["gen", "auto"])
def test_a_wrong_model_in_a_setting_is_exit_3_and_says_where_it_stands(
    run_gemx: Run, gemx_home: Path, monkeypatch: pytest.MonkeyPatch, place: str, command: str
) -> None:
    (gemx_home / "config/profiles").mkdir(parents=True)
    (gemx_home / "config/profiles/uti.yaml").write_text("gemx: profile/v1\ntitle: UTI\nmodel: gemni:x\n")
    (gemx_home / "config/config.json").write_text('{"model": "gemni:x"}' if place == "config.json" else "{}")
    if place == "GEMX_MODEL":
        monkeypatch.setenv("GEMX_MODEL", "gemni:x")
    patient = [word for pair in ("idade=64", "sexo=M", "peso=70", "pas=82", "pad=44") for word in ("-i", pair)]
    argv = ("gen", "Oi") if command == "gen" else ("auto", "run", "sepse_bundle", *patient)
    done = run_gemx(*argv, *(("--profile", "uti") if place == "profile uti" else ()))
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith(f"gemx: {place}: unknown provider 'gemni'; did you mean 'gemini'?")
    assert run_gemx(*argv, "-m", "gemni:x").code == 2


@pytest.mark.parametrize("at", [0, 1, 2, 5])
def test_debug_is_taken_anywhere(run_gemx: Run, fake_gemini: FakeGemini, at: int) -> None:
    argv = ["gen", "Oi", *MODEL, "-q"]
    argv.insert(at, "--debug")
    done = run_gemx(*argv)
    assert (done.code, done.out, done.err) == (0, "ok\n", "")
    assert parts(fake_gemini) == [{"text": "Oi"}]
    fake_gemini.fault("unauthorized")
    failed = run_gemx(*argv)
    assert failed.code == 5
    assert "Traceback" in failed.err
    assert "\ngemx: " in failed.err


def test_an_option_that_the_model_does_not_take(run_gemx: Run, fake_gemini: FakeGemini) -> None:
    done = run_gemx("gen", "Oi", *MODEL, "-o", "gpu_layers=3")
    assert done.code == 5
    assert "gpu_layers" in done.err
    assert fake_gemini.requests == []
