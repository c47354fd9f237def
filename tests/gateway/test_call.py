"""The door against a fake Gemini on the loopback: what is returned, what is raised, and what the audit says of it."""

from __future__ import annotations

import itertools
import json
import os
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fake_gemini import CUT_JSON, FAULTS, MODEL_VERSION, FakeGemini, candidate
from fake_openai import FakeOpenAI, completion
from gemx import places
from gemx.audit import record
from gemx.documents import Media, Passage, Text
from gemx.errors import (
    AuthenticationError,
    GemxError,
    ModelNotFoundError,
    StoppedError,
    StorageError,
    TemporaryError,
    UnsupportedError,
)
from gemx.gateway import Message, Origin, Policy, Reply, Request, call, embed, estimate_tokens, make, structured
from gemx.settings import Config, Profile, Settings

MODEL = "gemini:gemini-3.8-flash"
SECRET = "paciente Fulano, PAM 57"
ORIGIN = Origin(
    command="auto run",
    run_id="run-1",
    automation="sepse_bundle",
    automation_version="1.2",
    automation_sha256="ab12",
    automation_path="/x/sepse.yaml",
    formulary_path="/x/formulary",
    subject="ab" * 32,
)
CODES = {
    "api_key_invalid": "auth",
    "unauthorized": "auth",
    "forbidden": "auth",
    "not_found": "model_not_found",
    "bad_request": "invalid_request",
    "too_long": "context_length",
    "rate_limit": "rate_limit",
    "daily_quota": "quota",
    "no_quota": "quota",
    "internal": "unavailable",
    "unavailable": "unavailable",
    "deadline": "unavailable",
    "cut": "stream_cut",
    "reset": "stream_cut",
    "blocked_prompt": "blocked",
    "blocked": "blocked",
    "max_tokens_no_text": "empty_reply",
    "empty": "empty_reply",
    "no_finish": "stream_cut",
    "hang": "timeout",
    "drip": "timeout",
}
STREAMS_ALONE = ("no_finish",)


def request(text: str = SECRET, **changes: Any) -> Request:
    return Request(**{"messages": (Message("user", (Text(text),)),), "origin": ORIGIN, **changes})


def policy(
    model: str = MODEL, options: dict[str, str] | None = None, profile: dict[str, Any] | None = None, **config: Any
) -> Policy:
    parsed = Profile.model_validate({"gemx": "profile/v1", "title": "x", **profile}) if profile else None
    found = Settings(Config.model_validate(config), parsed, "uti")
    return make(found, model=model, options=options, timeout=5, tries=1)


def audit() -> list[dict[str, Any]]:
    files = sorted(places.audit_dir().glob("*.jsonl"))
    return [json.loads(line) for path in files for line in path.read_text().splitlines()]


def only() -> dict[str, Any]:
    records = audit()
    assert len(records) == 1
    return records[0]


def nothing_secret_is_stored(gemx_home: Path) -> bool:
    stored = b"".join(path.read_bytes() for path in gemx_home.rglob("*") if path.is_file())
    secrets = (os.environ["GEMINI_API_KEY"], "Fulano", "PAM", "Leito 7")
    return bool(stored) and not any(secret.encode() in stored for secret in secrets)


def test_a_call_returns_the_reply_and_is_on_record(fake_gemini: FakeGemini, gemx_home: Path) -> None:
    fake_gemini.reply_text("noradrenalina")
    reply = call(request(system="seja breve"), policy(options={"temperature": "0.5", "seed": "3"}))
    assert (reply.text, reply.provider, reply.model) == ("noradrenalina", "gemini", MODEL_VERSION)
    assert [(item.provider, item.error) for item in reply.attempts] == [("gemini", None)]
    found = only()
    expected = {
        "kind": "attempt",
        "run_id": "run-1",
        "command": "auto run",
        "gen_ai.operation.name": "generate_content",
        "gen_ai.provider.name": "gcp.gemini",
        "gen_ai.request.model": "gemini-3.8-flash",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.seed": 3,
        "gen_ai.request.stream": False,
        "gen_ai.output.type": "text",
        "gen_ai.response.model": MODEL_VERSION,
        "gen_ai.response.id": "response-1",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 12,
        "gen_ai.usage.reasoning.output_tokens": 5,
        "gemx.status": "ok",
        "gemx.route": "gemini",
        "gemx.route_reason": "chosen by flag",
        "gemx.reach": "any",
        "gemx.store": False,
        "gemx.automation": "sepse_bundle",
        "gemx.automation_version": "1.2",
        "gemx.automation_sha256": "ab12",
        "gemx.automation_path": "/x/sepse.yaml",
        "gemx.formulary_path": "/x/formulary",
    }
    assert {name: found[name] for name in expected} == expected
    assert "error.type" not in found
    assert found["subject"] == "ab" * 32
    assert found["gemx.prompt_hmac"] == record.digest(f"seja breve\n\n{SECRET}", found["gemx.salt"])
    assert found["gemx.reply_hmac"] == record.digest("noradrenalina", found["gemx.salt"])
    assert nothing_secret_is_stored(gemx_home)


def test_the_text_streams_and_the_record_says_so(fake_gemini: FakeGemini) -> None:
    pieces: list[str] = []
    fake_gemini.reply_text("noradrenalina")
    reply = call(request(), policy(), on_text=pieces.append)
    assert "".join(pieces) == reply.text == "noradrenalina"
    assert len(pieces) > 1
    assert only()["gen_ai.request.stream"] is True
    assert only()["gen_ai.response.time_to_first_chunk"] >= 0


@pytest.mark.parametrize(
    ("fault", "stream"),
    [(fault, stream) for fault in CODES for stream in (False, True) if stream or fault not in STREAMS_ALONE],
)
def test_every_fault_is_one_record(fault: str, stream: bool, fake_gemini: FakeGemini, gemx_home: Path) -> None:
    fake_gemini.fault(fault)
    with pytest.raises(GemxError) as caught:
        call(request(), policy(options={"timeout": "0.3"}), on_text=(lambda text: None) if stream else None)
    assert caught.value.code == CODES[fault]
    assert [item.error for item in caught.value.attempts] == [CODES[fault]]
    found = only()
    assert (found["gemx.status"], found["error.type"]) == ("error", CODES[fault])
    assert "gemx.prompt_hmac" in found
    assert "gemx.reply_hmac" not in found
    assert len(fake_gemini.requests) == 1
    assert nothing_secret_is_stored(gemx_home)


@pytest.mark.parametrize("number", ["NaN", "1e999", "-1", "1.5", "true", '"12"', "[1]", "{}", "null"])
@pytest.mark.parametrize("place", ["prompt_tokens", "cached_tokens", "id", "model", "finish_reason"])
def test_an_endpoint_that_answers_nonsense_about_itself_is_still_on_record(
    place: str, number: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = json.dumps(
        completion("ok", "MARK" if place == "finish_reason" else "stop")
        | {name: "MARK" for name in ("id", "model") if name == place}
        | {"usage": {"prompt_tokens": 7, "prompt_tokens_details": {"cached_tokens": 3}, place: "MARK"}}
        | ({"usage": {"prompt_tokens_details": {place: "MARK"}}} if place == "cached_tokens" else {})
    ).replace('"MARK"', number)
    with FakeOpenAI() as server:
        monkeypatch.setenv("LLM_BASE_URL", server.endpoint_url)
        server.fault("raw", body=body.encode())
        try:
            reply = call(request(), policy("openai:local"))
        except GemxError as exc:
            assert (place, exc.code) == ("finish_reason", only()["error.type"])
            return
    assert reply.text == "ok"
    found = only()
    assert found["gemx.status"] == "ok"
    for name in ("gen_ai.usage.input_tokens", "gen_ai.usage.cache_read.input_tokens"):
        assert type(found.get(name, 0)) is int
        assert found.get(name, 0) >= 0
    for name in ("gen_ai.response.id", "gen_ai.response.model"):
        assert isinstance(found.get(name, ""), str)


@pytest.mark.parametrize("number", ["NaN", "1e999"])
@pytest.mark.parametrize("place", ["promptTokenCount", "cachedContentTokenCount", "responseId", "modelVersion"])
def test_gemini_that_answers_nonsense_about_itself_is_still_on_record(
    place: str, number: str, fake_gemini: FakeGemini
) -> None:
    usage = {"promptTokenCount": 7, "totalTokenCount": 9, place: "MARK"}
    fields = {place: "MARK"} if place in ("responseId", "modelVersion") else {"usageMetadata": usage}
    body = json.dumps(candidate("ok", "STOP", **fields)).replace('"MARK"', number)
    fake_gemini.fault("invalid_body", body=body.encode())
    with pytest.raises(TemporaryError, match="not an answer of the Gemini API"):
        call(request(), policy())
    assert (only()["gemx.status"], only()["error.type"]) == ("error", "unavailable")


def test_the_list_of_faults_is_that_of_the_fake() -> None:
    assert set(CODES) <= set(FAULTS)


def test_a_reply_cut_at_the_limit_is_no_error_and_says_so(fake_gemini: FakeGemini) -> None:
    fake_gemini.fault("max_tokens")
    assert call(request(), policy()).finish_reason == "length"
    assert only()["gen_ai.response.finish_reasons"] == ["length"]


@pytest.mark.parametrize(
    ("stop", "code"), [(KeyboardInterrupt(), "interrupted"), (StoppedError("x", 143), "interrupted")]
)
def test_an_interrupted_call_is_on_record_and_the_interruption_goes_on(
    stop: BaseException, code: str, fake_gemini: FakeGemini
) -> None:
    def interrupt(text: str) -> None:
        raise stop

    with pytest.raises(type(stop)) as caught:
        call(request(), policy(), on_text=interrupt)
    assert caught.value is stop
    assert (only()["gemx.status"], only()["error.type"]) == ("error", code)


def test_a_bug_is_on_record_by_its_name(fake_gemini: FakeGemini) -> None:
    def fail(text: str) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        call(request(), policy(), on_text=fail)
    assert only()["error.type"] == "ZeroDivisionError"


def test_no_key_is_on_record_too() -> None:
    with pytest.raises(AuthenticationError):
        call(request(), policy())
    found = only()
    assert (found["error.type"], found["gen_ai.provider.name"]) == ("auth", "gemini")


def test_a_model_file_that_is_not_there_is_on_record() -> None:
    with pytest.raises(ModelNotFoundError):
        call(request(), policy("gguf:none"))
    assert (only()["error.type"], only()["gen_ai.request.model"]) == ("model_not_found", "none")


def block_state(gemx_home: Path) -> None:
    gemx_home.mkdir()
    (gemx_home / "state").write_text("in the way")


def block_audit(gemx_home: Path) -> None:
    (gemx_home / "state").mkdir(parents=True)
    (gemx_home / "state" / "audit").write_text("in the way")


def damage_key(gemx_home: Path) -> None:
    places.ensure_private_dir(places.audit_dir())
    (places.audit_dir() / ".key").write_bytes(b"short")


@pytest.mark.parametrize("break_it", [block_state, block_audit, damage_key])
def test_where_the_audit_cannot_be_written_nothing_is_called(
    break_it: Any, fake_gemini: FakeGemini, gemx_home: Path
) -> None:
    break_it(gemx_home)
    with pytest.raises(StorageError):
        call(request(), policy())
    with pytest.raises(StorageError):
        structured(request(), policy(), lambda text: (text, []), 2)
    with pytest.raises(StorageError):
        embed(["a"], policy("gemini:gemini-embedding-2"), ORIGIN)
    assert fake_gemini.requests == []


def test_where_the_audit_has_no_room_nothing_is_called(
    fake_gemini: FakeGemini, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        f_bavail, f_frsize = 0, 4096

    monkeypatch.setattr(os, "statvfs", lambda path: Full)
    with pytest.raises(StorageError, match="no room"):
        call(request(), policy())
    assert fake_gemini.requests == []


def test_an_audit_that_fails_after_the_call_is_a_storage_error(
    fake_gemini: FakeGemini, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any) -> int:
        raise StorageError("no space")

    monkeypatch.setattr("gemx.audit.writer.append", full)
    with pytest.raises(StorageError, match="no space"):
        call(request(), policy())
    assert len(fake_gemini.requests) == 1


def test_options_that_were_asked_for_are_refused_and_recorded(fake_gemini: FakeGemini) -> None:
    with pytest.raises(UnsupportedError, match="gpu_layers"):
        call(request(), policy(options={"gpu_layers": "1"}))
    assert fake_gemini.requests == []
    assert only()["error.type"] == "unsupported"
    with pytest.raises(UnsupportedError, match="temperature"):
        call(request(draft="x"), policy("extractive", {"temperature": "1"}))


def test_defaults_go_where_they_are_known(fake_gemini: FakeGemini) -> None:
    defaults = {"temperature": 0.25, "thinking": "low"}
    call(request(), policy(profile=defaults))
    config = fake_gemini.last.body["generationConfig"]
    assert config["temperature"] == 0.25
    assert "low" in json.dumps(config["thinkingConfig"]).lower()
    assert call(request(draft="x"), policy("extractive", profile=defaults)).text == "x"
    first, second = audit()
    assert first["gen_ai.request.temperature"] == 0.25
    assert "gen_ai.request.temperature" not in second


@pytest.mark.parametrize(("content", "hashes"), [("hash", True), ("none", False)])
def test_the_hashes_can_be_left_out(content: str, hashes: bool, fake_gemini: FakeGemini) -> None:
    call(request(), policy(audit={"content": content}))
    assert any("hmac" in name for name in only()) is hashes
    assert ("gemx.salt" in only()) is hashes


def test_an_argument_that_is_no_unicode_is_still_on_record() -> None:
    origin = Origin(command="gen", run_id="r", automation_path="/x/\udcff.yaml")
    assert call(request("arg-\udcff", draft="x", origin=origin), policy("extractive")).text == "x"
    assert only()["gemx.automation_path"] == "/x/\udcff.yaml"
    assert estimate_tokens(request("arg-\udcff")) == 2


def test_the_prompts_hash_covers_every_turn_and_the_size_of_media(fake_gemini: FakeGemini) -> None:
    turns = (Message("user", (Text("a"), Media(b"1234", "image/png"))), Message("assistant", (Text("b"),)))
    call(Request((*turns, Message("user", (Text("c"),))), ORIGIN), policy())
    found = only()
    assert found["gemx.prompt_hmac"] == record.digest("a\n\nb\n\nc\n\nimage/png:4", found["gemx.salt"])


def test_private_values_are_not_sent(fake_gemini: FakeGemini) -> None:
    call(
        request("ok", private=(("name", "Maria da Silva"),), passages=(Passage("a#b", "x", "h", "s", 0, 1),)), policy()
    )
    assert "Maria" not in json.dumps(fake_gemini.last.body)


def test_embeddings_pass_the_same_door(fake_gemini: FakeGemini) -> None:
    found = embed(["a", "b"], policy("gemini:gemini-embedding-2"), ORIGIN)
    assert len(found.vectors) == 2
    assert only()["gen_ai.operation.name"] == "embeddings"
    fake_gemini.fault("unavailable")
    with pytest.raises(TemporaryError):
        embed(["a"], policy("gemini:gemini-embedding-2"), ORIGIN)
    assert audit()[1]["error.type"] == "unavailable"


def test_embeddings_of_an_endpoint_that_names_no_model_are_on_record(monkeypatch: pytest.MonkeyPatch) -> None:
    body = b'{"model": 1e999, "data": [{"index": 0, "embedding": [0.6, 0.8]}], "usage": {"prompt_tokens": NaN}}'
    with FakeOpenAI() as server:
        monkeypatch.setenv("LLM_BASE_URL", server.endpoint_url)
        server.fault("raw", body=body)
        assert embed(["a"], policy("openai:local"), ORIGIN).vectors == ((0.6, 0.8),)
    assert only()["gemx.status"] == "ok"


def test_a_provider_without_embeddings_says_so() -> None:
    with pytest.raises(UnsupportedError, match="extractive has no embeddings"):
        embed(["a"], policy("extractive"), ORIGIN)
    assert only()["error.type"] == "unsupported"


def test_tokens_are_estimated_without_a_call(fake_gemini: FakeGemini) -> None:
    assert estimate_tokens(request("x" * 350)) == 100
    assert estimate_tokens(request("ç" * 175)) == 100
    assert fake_gemini.requests == []


def counting(text: str) -> tuple[Any, Sequence[object]]:
    """An answer is a JSON list of what is wrong with it."""
    try:
        problems = json.loads(text)
    except ValueError as exc:
        return None, [f"not JSON: {exc}"]
    return {"read": problems}, problems


def ask(server: FakeGemini, *answers: Any, repairs: int) -> Reply:
    for answer in answers:
        server.reply_json(answer)
    return structured(request(), policy(), counting, repairs)


def test_a_valid_answer_is_asked_for_once(fake_gemini: FakeGemini) -> None:
    reply = ask(fake_gemini, [], repairs=3)
    assert (reply.value, reply.problems, len(reply.attempts)) == ({"read": []}, (), 1)
    assert len(audit()) == len(fake_gemini.requests) == 1


def test_no_repair_unless_it_is_allowed(fake_gemini: FakeGemini) -> None:
    reply = ask(fake_gemini, ["a"], repairs=0)
    assert reply.problems == ("a",)
    assert len(fake_gemini.requests) == 1


def test_an_answer_is_repaired_at_most_so_often(fake_gemini: FakeGemini) -> None:
    reply = ask(fake_gemini, ["a", "b", "c", "d"], ["a", "b", "c"], ["a", "b"], ["a"], [], repairs=3)
    assert reply.problems == ("a",)
    assert len(reply.attempts) == len(fake_gemini.requests) == len(audit()) == 4


def test_a_repair_ends_when_the_answer_is_valid(fake_gemini: FakeGemini) -> None:
    reply = ask(fake_gemini, ["a", "b"], ["a"], [], ["never asked for"], repairs=5)
    assert (reply.problems, len(reply.attempts), len(fake_gemini.requests)) == ((), 3, 3)


@pytest.mark.parametrize("second", [["a", "b"], ["a", "c"], ["c", "d"], ["d", "c", "b"], "not JSON"])
def test_a_repair_stops_when_the_number_of_problems_does_not_fall(second: Any, fake_gemini: FakeGemini) -> None:
    fake_gemini.reply_json(["a", "b"])
    fake_gemini.reply_text("[") if second == "not JSON" else fake_gemini.reply_json(second)
    reply = ask(fake_gemini, [], repairs=5)
    assert reply.problems == ("a", "b")  # the first answer is not made worse
    assert len(reply.attempts) == len(fake_gemini.requests) == len(audit()) == 2


@pytest.mark.parametrize("first", [["a", "b"], "not JSON"])
def test_a_repair_goes_on_when_there_are_fewer_problems_or_the_answer_can_be_read(
    first: Any, fake_gemini: FakeGemini
) -> None:
    if first == "not JSON":
        fake_gemini.reply_text("[")
        fake_gemini.reply_json(["a", "b"])
    else:
        fake_gemini.reply_json(first)
        fake_gemini.reply_json(["a"])
    fake_gemini.reply_json([])
    reply = structured(request(), policy(), counting, 5)
    assert reply.problems == ()
    assert len(reply.attempts) == len(fake_gemini.requests) == 3


def test_a_repair_tells_the_model_its_answer_and_what_is_wrong(fake_gemini: FakeGemini) -> None:
    ask(fake_gemini, ["dose em falta", "via em falta"], [], repairs=1)
    asked, answered, told = fake_gemini.last.body["contents"]
    assert (asked["role"], answered["role"], told["role"]) == ("user", "model", "user")
    assert asked["parts"][0]["text"] == SECRET
    assert answered["parts"][0]["text"] == '["dose em falta", "via em falta"]'
    assert "- dose em falta\n- via em falta\n" in told["parts"][0]["text"]


def test_a_repair_that_fails_is_on_record_and_keeps_the_answer(fake_gemini: FakeGemini) -> None:
    fake_gemini.reply_json(["a", "b"])
    fake_gemini.fault("unavailable")
    reply = structured(request(), policy(), counting, 3)
    assert reply.problems == ("a", "b")
    assert [item.error for item in reply.attempts] == [None, "unavailable"]
    assert [item["gemx.status"] for item in audit()] == ["ok", "error"]


@pytest.mark.parametrize("text", ["```json\n[]\n```", "\n```\n[]```\n", "  ```JSON\n[]\n\n```  ", "[]", " []\n"])
def test_a_fence_around_the_whole_answer_is_taken_off(text: str, fake_gemini: FakeGemini) -> None:
    fake_gemini.reply_text(text)
    reply = structured(request(), policy(), counting)
    assert (reply.value, reply.problems) == ({"read": []}, ())
    assert reply.text == text


@pytest.mark.parametrize("text", ["Here: ```json\n[]\n```", "```json\n[]\n``` done", "[] []"])
def test_text_around_the_answer_is_no_answer(text: str, fake_gemini: FakeGemini) -> None:
    fake_gemini.reply_text(text)
    assert "not JSON" in str(structured(request(), policy(), counting).problems[0])


def test_an_answer_cut_at_the_token_limit_is_never_valid(fake_gemini: FakeGemini) -> None:
    fake_gemini.fault("max_tokens", text="[]")
    reply = structured(request(), policy(), counting)
    assert reply.problems == ("the answer was cut at the token limit",)
    assert reply.value is None


def test_a_cut_answer_can_be_repaired(fake_gemini: FakeGemini) -> None:
    fake_gemini.fault("max_tokens")
    fake_gemini.reply_json([])
    reply = structured(request(), policy(), counting, 1)
    assert reply.problems == ()
    assert fake_gemini.last.body["contents"][1]["parts"][0]["text"] == CUT_JSON


def test_the_schema_is_sent_and_recorded(fake_gemini: FakeGemini) -> None:
    schema = {"type": "array", "items": {"type": "string"}}
    fake_gemini.reply_json([])
    structured(request(schema=schema), policy(), counting)
    assert fake_gemini.last.body["generationConfig"]["responseJsonSchema"] == schema
    assert only()["gen_ai.output.type"] == "json"


def test_a_local_model_takes_one_call_at_a_time(tiny_gguf: Path) -> None:
    # three in a row, the start of the engine with them
    asked = replace(policy(f"gguf:{tiny_gguf}", {"max_output_tokens": "48"}), timeout=120.0).restarted()
    heard: list[int] = []
    start = threading.Barrier(3)

    def run(number: int) -> None:
        start.wait()
        call(request(), asked, on_text=lambda text: heard.append(number))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(set(heard)) == [0, 1, 2]
    assert len(list(itertools.groupby(heard))) == 3  # the pieces of one answer, then those of the next
    assert [record["gemx.status"] for record in audit()] == ["ok"] * 3
