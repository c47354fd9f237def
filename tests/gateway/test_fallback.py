"""Which model takes over where the chosen one fails, which never does, and who is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fake_gemini import FakeGemini
from fake_openai import FakeOpenAI
from gateway_calls import MODEL, ORIGIN, Listener, audit, policy, request
from gemx.errors import (
    AuthenticationError,
    ConfigError,
    ModelNotFoundError,
    PrivacyError,
    TemporaryError,
    TimeoutExceededError,
    UnsupportedError,
    UsageError,
)
from gemx.gateway import call, embed, structured, substitution

ONE = {"tries": 1}
GUARDED = "Paciente de CPF 529.982.247-25"


def flags(*fallback: str, **others: Any) -> dict[str, Any]:
    return {**ONE, "fallback": fallback, **others}


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Any:
    with FakeOpenAI("de perto") as server:
        monkeypatch.setenv("LLM_BASE_URL", server.endpoint_url)
        yield server


@pytest.mark.parametrize(
    "fault",
    ["unavailable", "daily_quota", "api_key_invalid", "not_found", "blocked", "empty", "bad_request", "too_long"],
)
@pytest.mark.parametrize("stream", [False, True])
def test_the_next_model_answers_and_everybody_is_told(
    fault: str, stream: bool, fake_gemini: FakeGemini, endpoint: FakeOpenAI
) -> None:
    fake_gemini.always(fault)
    heard, shown = Listener(), list[str]()
    asked = policy(flags=flags("openai:local"), listener=heard)
    reply = call(request(), asked, on_text=shown.append if stream else None)
    assert (reply.text, reply.route) == ("de perto", "openai:local")
    assert "".join(shown) == ("de perto" if stream else "")
    assert [(attempt.provider, bool(attempt.error)) for attempt in reply.attempts] == [
        ("gemini", True),
        ("openai", False),
    ]
    first, second = audit()
    assert "gemx.fallback_from" not in first
    assert (second["gemx.fallback_from"], second["gemx.route_reason"]) == (MODEL, f"fallback of {MODEL}")
    (said,) = heard.warnings
    assert said.startswith(f"model: {MODEL} gave no answer ({first['error.type']}: ")
    assert said.endswith("; openai:local takes over")
    assert str(substitution(reply, asked)) == f"answered by openai:local in place of {MODEL}, which gave no answer"


def test_without_a_fallback_the_error_stands(fake_gemini: FakeGemini) -> None:
    fake_gemini.always("unavailable")
    with pytest.raises(TemporaryError):
        call(request(), policy(flags=ONE))


def test_where_all_fail_the_error_is_that_of_the_chosen_model(fake_gemini: FakeGemini, endpoint: FakeOpenAI) -> None:
    fake_gemini.always("unavailable")
    endpoint.always("unauthorized")
    with pytest.raises(TemporaryError) as caught:
        call(request(), policy(flags=flags("openai:local", "gguf:none")))
    assert not isinstance(caught.value, (AuthenticationError, ModelNotFoundError))
    assert [attempt.error for attempt in caught.value.attempts] == ["unavailable", "auth", "model_not_found"]
    assert [record["error.type"] for record in audit()] == ["unavailable", "auth", "model_not_found"]


def test_after_the_first_text_there_is_no_fallback(fake_gemini: FakeGemini, endpoint: FakeOpenAI) -> None:
    fake_gemini.always("cut")
    shown: list[str] = []
    with pytest.raises(TemporaryError):
        call(request(), policy(flags=flags("openai:local")), on_text=shown.append)
    assert shown == ["the first half"]
    assert (len(audit()), endpoint.requests) == (1, [])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", ["hang", "drip"])
def test_a_model_that_hangs_leaves_time_for_the_next(
    fault: str, stream: bool, fake_gemini: FakeGemini, endpoint: FakeOpenAI
) -> None:
    fake_gemini.always(fault)
    asked = policy(flags=flags("openai:local", timeout=2.0))
    if stream and fault == "drip":
        with pytest.raises(TimeoutExceededError):
            call(request(), asked, on_text=lambda text: None)
        return
    reply = call(request(), asked, on_text=(lambda text: None) if stream else None)
    assert [attempt.error for attempt in reply.attempts] == ["timeout", None]
    assert reply.attempts[0].duration < 1.5


def test_options_that_a_fallback_does_not_know_are_left_out(fake_gemini: FakeGemini) -> None:
    fake_gemini.always("unavailable")
    asked = policy(flags=flags("extractive", options={"temperature": "0.5", "thinking": "low"}))
    assert call(request(draft="rascunho"), asked).text == "rascunho"
    with pytest.raises(UnsupportedError):
        call(request(draft="rascunho"), policy("extractive", flags={"options": {"temperature": "0.5"}}))


@pytest.mark.parametrize("stream", [False, True])
def test_a_real_local_model_takes_over(stream: bool, fake_gemini: FakeGemini, tiny_gguf: Path) -> None:
    fake_gemini.always("daily_quota")
    options = {"max_output_tokens": "8", "thinking": "low"}
    asked = policy(flags=flags(f"gguf:{tiny_gguf}", options=options))
    shown: list[str] = []
    reply = call(request(), asked, on_text=shown.append if stream else None)
    assert (reply.provider, reply.route, reply.usage.output_tokens) == ("gguf", f"gguf:{tiny_gguf}", 8)
    assert "".join(shown) == (reply.text if stream else "")
    assert [record["gemx.reach"] for record in audit()] == ["any", "machine"]


def test_a_fallback_enters_again_at_the_guard(fake_gemini: FakeGemini) -> None:
    fake_gemini.always("unavailable")
    chosen = "openai:site/m"
    endpoints = {"site": {"base_url": "http://127.0.0.1:9/v1"}}
    asked = policy(chosen, flags=flags(MODEL, guard="block"), endpoints=endpoints, allow_cloud=True, guard="block")
    with pytest.raises(TemporaryError) as caught:
        call(request(GUARDED), asked)
    assert [attempt.error for attempt in caught.value.attempts] == ["unavailable", "privacy"]
    assert fake_gemini.requests == []
    assert [record["kind"] for record in audit()] == ["attempt", "refusal"]


def test_what_may_not_leave_goes_to_the_local_model_instead(fake_gemini: FakeGemini, endpoint: FakeOpenAI) -> None:
    heard = Listener()
    reply = call(request(GUARDED), policy(flags=flags("openai:local", guard="block"), listener=heard))
    assert (reply.route, reply.text, fake_gemini.requests) == ("openai:local", "de perto", [])
    assert "gave no answer (privacy: " in heard.warnings[0]
    assert "529" not in heard.warnings[0]
    assert [record["kind"] for record in audit()] == ["refusal", "attempt"]


@pytest.mark.usefixtures("fake_gemini")
@pytest.mark.parametrize("source", ["config", "profile"])
@pytest.mark.parametrize("first", ["openai:local", "extractive", "gguf:none"])
def test_a_local_call_never_goes_to_the_cloud_unless_that_is_allowed(
    source: str, first: str, endpoint: FakeOpenAI
) -> None:
    named = {"profile": {"fallback": [MODEL]}} if source == "profile" else {"fallback": [MODEL]}
    kept = policy(first, flags=ONE, **named)
    assert [str(route) for route in kept.routes] == [first]
    assert any("stays off the cloud" in note for note in kept.route.notes)
    allowed = policy(first, flags=ONE, allow_cloud=True, **named)
    assert [str(route) for route in allowed.routes] == [first, MODEL]
    by_flag = policy(first, flags=flags(MODEL))
    assert [str(route) for route in by_flag.routes] == [first, MODEL]


@pytest.mark.usefixtures("fake_gemini")
def test_an_automation_goes_to_the_cloud_by_allow_cloud_alone() -> None:
    assert [str(route) for route in policy("extractive", flags=flags(MODEL, clinical=True)).routes] == ["extractive"]
    # -m is consent for the model that it names, and for no other
    kept = policy(MODEL, flags=flags("gemini:gemini-3.6-flash", "extractive", clinical=True))
    assert [str(route) for route in kept.routes] == [MODEL, "extractive"]
    allowed = policy("extractive", flags=flags(MODEL, clinical=True), allow_cloud=True)
    assert [str(route) for route in allowed.routes] == ["extractive", MODEL]


@pytest.mark.usefixtures("fake_gemini")
@pytest.mark.parametrize("network", ["machine", "site"])
@pytest.mark.parametrize("source", ["flag", "profile", "config"])
def test_no_fallback_lies_beyond_the_network(network: str, source: str, endpoint: FakeOpenAI) -> None:
    said: dict[str, Any] = {"flags": flags(MODEL, "openai:local")}
    if source == "flag":
        said["flags"]["network"] = network
    elif source == "profile":
        said["profile"] = {"network": network}
    else:
        said["network"] = network
    kept = policy("extractive", allow_cloud=True, **said)
    assert [str(route) for route in kept.routes] == ["extractive", "openai:local"]
    assert any(f"beyond the network that is allowed ({network})" in note for note in kept.route.notes)


@pytest.mark.parametrize("kind", ["generate", "embed"])
def test_a_model_that_is_named_but_too_far_is_refused(kind: str, fake_gemini: FakeGemini) -> None:
    asked = policy(MODEL, flags={"network": "site"})
    with pytest.raises(PrivacyError, match="beyond the network") as caught:
        call(request(), asked) if kind == "generate" else embed(["a"], asked, ORIGIN)
    assert caught.value.exit_code == 10
    (record,) = audit()
    assert (record["kind"], record["error.type"]) == ("refusal", "privacy")
    assert fake_gemini.requests == []


@pytest.mark.usefixtures("fake_gemini")
def test_a_model_of_the_configuration_that_is_too_far_is_passed_over() -> None:
    chosen = policy(None, flags={"network": "machine"}, routes={"text": MODEL}).route
    assert str(chosen) == "extractive"
    assert chosen.notes == (
        f"{MODEL} (config.json routes.text) not used: it lies beyond the network that is allowed (machine)",
    )


def test_each_model_is_asked_once(fake_gemini: FakeGemini) -> None:
    routes = policy(flags=flags(MODEL, "extractive", "extractive")).routes
    assert [str(route) for route in routes] == [MODEL, "extractive"]


def test_a_fallback_that_is_no_model_is_an_error_before_anything() -> None:
    with pytest.raises(UsageError, match="gemni"):
        policy(flags=flags("gemni:x"))
    with pytest.raises(ConfigError, match=r"config\.json: unknown provider 'gemni'"):
        policy(flags=ONE, fallback=["gemni:x"])
    with pytest.raises(ConfigError, match=r"profile uti: unknown provider"):
        policy(flags=ONE, profile={"fallback": ["gemni:x"]})


def test_a_repair_goes_on_with_the_model_that_answered(fake_gemini: FakeGemini, endpoint: FakeOpenAI) -> None:
    fake_gemini.always("unavailable")
    endpoint.reply_text("wrong")
    endpoint.reply_text("right")
    reply = structured(
        request(), policy(flags=flags("openai:local")), lambda text: (text, [] if text == "right" else ["wrong"]), 2
    )
    assert (reply.text, reply.route) == ("right", "openai:local")
    assert len(fake_gemini.requests) == 1
    assert [attempt.error for attempt in reply.attempts] == ["unavailable", None, None]


def test_a_repair_by_a_fallback_is_still_that_of_a_fallback(fake_gemini: FakeGemini) -> None:
    fake_gemini.always("unavailable")
    asked = policy(flags=flags("extractive", options={"temperature": "0.5"}))
    structured(request(draft="rascunho"), asked, lambda text: (text, ["wrong"]), 1)
    records = audit()
    assert [record.get("error.type") for record in records] == ["unavailable", None, None]
    assert [record.get("gemx.fallback_from") for record in records] == [None, MODEL, MODEL]


def test_a_repair_that_fails_loses_no_answer(fake_gemini: FakeGemini) -> None:
    fake_gemini.reply_text("first")
    fake_gemini.fault("unavailable")
    heard = Listener()
    reply = structured(request(), policy(flags=ONE, listener=heard), lambda text: (text, ["wrong"]), 3)
    assert (reply.text, reply.problems) == ("first", ("wrong",))
    assert [attempt.error for attempt in reply.attempts] == [None, "unavailable"]
    assert heard.warnings[0].startswith("the repair failed, and the answer before it is kept (unavailable: ")


def test_embeddings_fall_back_too(fake_gemini: FakeGemini, endpoint: FakeOpenAI) -> None:
    fake_gemini.always("unavailable")
    found = embed(["a"], policy(flags=flags("extractive", "openai:local")), ORIGIN)
    assert found.route == "openai:local"
    assert [attempt.error for attempt in found.attempts] == ["unavailable", "unsupported", None]


@pytest.mark.usefixtures("fake_gemini")
def test_a_fallback_that_is_not_needed_needs_no_key(tmp_path: Path) -> None:
    told = tmp_path / "told"
    endpoint = {"base_url": "https://api.example.org/v1", "model": "m", "api_key": {"env": "NOT_SET_ANYWHERE"}}
    asking = {**endpoint, "api_key": {"command": ["touch", str(told)]}}
    fallback = ["openai:keyless", "openai:asking"]
    made = policy(
        "extractive", flags={"network": "machine"}, fallback=fallback, endpoints={"keyless": endpoint, "asking": asking}
    )
    assert len(made.route.notes) == 2
    made = policy(MODEL, fallback=fallback, endpoints={"keyless": endpoint, "asking": asking})
    assert call(request(), made).text == "ok"
    assert not told.exists()


@pytest.mark.usefixtures("fake_gemini")
def test_a_fallback_that_is_asked_already_is_noted() -> None:
    notes = policy(flags=flags(MODEL, "extractive", "extractive")).route.notes
    assert notes == (
        f"fallback {MODEL} (flag) not used: it is asked already",
        "fallback extractive (flag) not used: it is asked already",
    )
