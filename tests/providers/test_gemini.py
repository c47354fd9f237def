from __future__ import annotations

import logging
import math
import threading
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

import planted_keys
from fake_gemini import CUT_JSON, MODEL_VERSION, FakeGemini
from gemx.documents import Media, Text
from gemx.errors import (
    AuthenticationError,
    BlockedError,
    ContextLengthError,
    EmptyReplyError,
    GemxError,
    InvalidRequestError,
    ModelNotFoundError,
    ProviderError,
    QuotaError,
    RateLimitError,
    StreamCutError,
    TemporaryError,
    TimeoutExceededError,
    UnsupportedError,
)
from gemx.providers.base import Embedder, Message, Options, Origin, Provider, Reply, Request, Usage
from gemx.providers.gemini import Gemini
from loopback import one_authority

KEY = planted_keys.GEMINI
MODEL = "gemini-3.8-flash"
OPTIONS = Options(timeout=5)
SHORT = Options(timeout=0.3)
SCHEMA = {"type": "object", "properties": {"resumo": {"type": "string"}}, "required": ["resumo"]}
WAYS = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])


@pytest.fixture(autouse=True, scope="module")
def fast_clients(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(one_authority(tmp_path_factory.mktemp("tls") / "one.pem")))
        yield


@pytest.fixture
def server() -> Iterator[FakeGemini]:
    with FakeGemini() as server:
        yield server


@pytest.fixture
def gemini(server: FakeGemini) -> Iterator[Gemini]:
    provider = Gemini(KEY, server.url)
    yield provider
    provider.close()


def ask(text: str = "Qual a PAM?", **fields: Any) -> Request:
    message = Message("user", (Text(text),))
    return Request(messages=(message,), origin=Origin("gen", "run-1"), **fields)


def generate(gemini: Gemini, *, stream: bool, request: Request | None = None, options: Options = OPTIONS) -> Reply:
    return gemini.generate(request or ask(), MODEL, options, (lambda _: None) if stream else None)


def failure(gemini: Gemini, kind: type[GemxError], *, stream: bool, options: Options = OPTIONS) -> Any:
    with pytest.raises(kind) as caught:
        generate(gemini, stream=stream, options=options)
    assert type(caught.value) is kind
    assert KEY not in str(caught.value)
    return caught.value


def test_is_a_provider_and_an_embedder_that_reaches_anywhere(gemini: Gemini) -> None:
    provider: Provider = gemini
    assert isinstance(gemini, Embedder)
    assert (provider.name, provider.system, provider.reach) == ("gemini", "gcp.gemini", "any")


@WAYS
def test_text_model_usage_and_id(server: FakeGemini, gemini: Gemini, stream: bool) -> None:
    server.reply_text("A PAM é 57 mmHg.")
    reply = generate(gemini, stream=stream)
    assert (reply.text, reply.model, reply.finish_reason) == ("A PAM é 57 mmHg.", MODEL_VERSION, "stop")
    assert (reply.response_id, reply.provider) == ("response-1", "gemini")
    assert reply.usage == Usage(input_tokens=12, output_tokens=12, reasoning_tokens=5)


@WAYS
def test_usage_counts_tool_prompts_and_cached_tokens(server: FakeGemini, gemini: Gemini, stream: bool) -> None:
    counts = {"promptTokenCount": 100, "cachedContentTokenCount": 40, "toolUsePromptTokenCount": 8}
    server.reply_text("ok", usageMetadata={**counts, "candidatesTokenCount": 3})
    usage = generate(gemini, stream=stream).usage
    assert usage == Usage(input_tokens=108, output_tokens=3, cached_tokens=40)


def test_model_falls_back_to_the_one_asked_for(server: FakeGemini, gemini: Gemini) -> None:
    server.reply_text("ok", modelVersion=None)
    assert generate(gemini, stream=False).model == MODEL


def test_stream_gives_the_text_piece_by_piece_in_the_callers_thread(server: FakeGemini, gemini: Gemini) -> None:
    server.reply_text("um dois três")
    pieces: list[tuple[str, int]] = []
    reply = gemini.generate(ask(), MODEL, OPTIONS, lambda text: pieces.append((text, threading.get_ident())))
    assert "".join(text for text, _ in pieces) == reply.text == "um dois três"
    assert {thread for _, thread in pieces} == {threading.get_ident()}
    assert len([text for text, _ in pieces if text]) == 2
    assert reply.first_text is not None
    assert 0 < reply.first_text < 5
    assert server.last.path == f"/v1/models/{MODEL}:streamGenerateContent?alt=sse"


@WAYS
def test_what_goes_on_the_wire(server: FakeGemini, gemini: Gemini, stream: bool) -> None:
    options = Options(temperature=0.0, top_p=0.9, seed=7, max_output_tokens=64, thinking="low", timeout=5)
    generate(gemini, stream=stream, request=ask(system="Seja breve.", schema=SCHEMA), options=options)
    body = server.last.body
    assert server.last.headers["x-goog-api-key"] == KEY
    assert server.last.headers["x-server-timeout"] == "5"
    assert body["store"] is False
    assert body["systemInstruction"]["parts"] == [{"text": "Seja breve."}]
    assert body["contents"] == [{"role": "user", "parts": [{"text": "Qual a PAM?"}]}]
    config = body["generationConfig"]
    assert (config["temperature"], config["topP"], config["seed"], config["maxOutputTokens"]) == (0.0, 0.9, 7, 64)
    assert list(config["thinkingConfig"].values()) == ["LOW"]
    assert config["responseMimeType"] == "application/json"
    assert config["responseJsonSchema"] == SCHEMA


def test_nothing_is_sent_that_was_not_set(server: FakeGemini, gemini: Gemini) -> None:
    generate(gemini, stream=False)
    assert set(server.last.body) - {"generationConfig"} == {"contents", "store"}
    assert server.last.body.get("generationConfig", {}) == {}


def test_conversation_roles_and_media(server: FakeGemini, gemini: Gemini) -> None:
    messages = (
        Message("user", (Text("O que há aqui?"), Media(b"\x89PNG", "image/png"), Media(b"%PDF", "application/pdf"))),
        Message("assistant", (Text("Um ECG."),)),
        Message("user", (Media(b"RIFF", "audio/wav"), Text("E agora?"))),
    )
    generate(gemini, stream=False, request=replace(ask(), messages=messages))
    contents = server.last.body["contents"]
    assert [content["role"] for content in contents] == ["user", "model", "user"]
    inline = [part.get("inlineData") for content in contents for part in content["parts"] if "inlineData" in part]
    # the SDK mixes camelCase and snake_case on the wire
    types = [part.get("mimeType", part.get("mime_type")) for part in inline]
    assert types == ["image/png", "application/pdf", "audio/wav"]
    assert inline[0]["data"] == "iVBORw=="


def test_refuses_what_it_cannot_honour(server: FakeGemini, gemini: Gemini) -> None:
    with pytest.raises(UnsupportedError, match="gpu_layers"):
        gemini.generate(ask(), MODEL, Options(gpu_layers=3))
    with pytest.raises(UnsupportedError, match="application/zip"):
        gemini.generate(replace(ask(), messages=(Message("user", (Media(b"PK", "application/zip"),)),)), MODEL, OPTIONS)
    with pytest.raises(UnsupportedError, match="seed"):
        gemini.embed(["a"], MODEL, Options(seed=1))
    for name in ("", "a?key=x", "../x", "a b"):
        with pytest.raises(ModelNotFoundError):
            gemini.generate(ask(), name, OPTIONS)
    assert server.requests == []


def test_thoughts_are_not_text(server: FakeGemini, gemini: Gemini) -> None:
    parts = [{"text": "hmm", "thought": True}, {"text": "57"}]
    server.reply_text("", candidates=[{"content": {"parts": parts}, "finishReason": "STOP"}])
    assert generate(gemini, stream=False).text == "57"


@WAYS
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("api_key_invalid", AuthenticationError),
        ("unauthorized", AuthenticationError),
        ("forbidden", AuthenticationError),
        ("not_found", ModelNotFoundError),
        ("bad_request", InvalidRequestError),
        ("too_long", ContextLengthError),
        ("rate_limit", RateLimitError),
        ("internal", TemporaryError),
        ("unavailable", TemporaryError),
        ("deadline", TemporaryError),
        ("cut", StreamCutError),
        ("reset", StreamCutError),
        ("blocked_prompt", BlockedError),
        ("blocked", BlockedError),
        ("max_tokens_no_text", EmptyReplyError),
        ("empty", EmptyReplyError),
    ],
)
def test_faults_become_errors_and_are_not_retried(
    server: FakeGemini, gemini: Gemini, stream: bool, fault: str, kind: type[GemxError]
) -> None:
    server.fault(fault)
    failure(gemini, kind, stream=stream)
    assert len(server.requests) == 1


@WAYS
def test_rate_limit_reads_the_wait_in_the_body(server: FakeGemini, gemini: Gemini, stream: bool) -> None:
    server.fault("rate_limit")
    server.fault("rate_limit", delay=None, header="12")
    server.fault("rate_limit", delay=None)
    server.fault("rate_limit", status=503)
    server.fault("rate_limit", delay="12s", header="58.9")
    server.fault("rate_limit", delay="58.9s", header="12")
    waits = [failure(gemini, RateLimitError, stream=stream).retry_after for _ in range(6)]
    assert waits == [53.5, 12.0, None, 53.5, 58.9, 58.9]


def test_retry_after_may_be_a_date(server: FakeGemini, gemini: Gemini) -> None:
    server.fault("rate_limit", delay=None, header="Fri, 31 Dec 2100 23:59:59 GMT")
    server.fault("rate_limit", delay=None, header="soon")
    assert failure(gemini, RateLimitError, stream=False).retry_after > 1e9
    assert failure(gemini, RateLimitError, stream=False).retry_after is None


def test_daily_quota_and_no_quota_are_named(server: FakeGemini, gemini: Gemini) -> None:
    server.fault("daily_quota")
    server.fault("no_quota")
    daily = failure(gemini, QuotaError, stream=False)
    assert daily.message.startswith("daily quota used up")
    # Google's day ends at midnight in California
    midnight = daily.ends.astimezone(ZoneInfo("America/Los_Angeles"))
    assert (midnight.hour, midnight.minute, midnight.second) == (0, 0, 0)
    assert timedelta(0) < daily.ends - datetime.now(UTC) <= timedelta(hours=25)
    none = failure(gemini, QuotaError, stream=False)
    assert none.message.startswith("no quota for this model")
    assert none.ends is None


@WAYS
@pytest.mark.parametrize("reason", ["SAFETY", "RECITATION", "PROHIBITED_CONTENT", "SPII", "OTHER", "BLOCKLIST"])
def test_blocked_answers_tell_the_reason(server: FakeGemini, gemini: Gemini, stream: bool, reason: str) -> None:
    server.fault("blocked", reason=reason)
    assert reason in failure(gemini, BlockedError, stream=stream).message


def test_blocked_prompt_tells_the_reason(server: FakeGemini, gemini: Gemini) -> None:
    server.fault("blocked_prompt")
    assert "PROHIBITED_CONTENT" in failure(gemini, BlockedError, stream=False).message


@WAYS
def test_malformed_and_unfinished_answers(server: FakeGemini, gemini: Gemini, stream: bool) -> None:
    server.fault("ok", text="x", reason="MALFORMED_RESPONSE")
    server.fault("no_candidates")
    server.fault("no_finish")
    assert "MALFORMED_RESPONSE" in failure(gemini, EmptyReplyError, stream=stream).message
    failure(gemini, StreamCutError if stream else EmptyReplyError, stream=stream)
    failure(gemini, StreamCutError, stream=stream)


@WAYS
def test_max_tokens_keeps_the_text(server: FakeGemini, gemini: Gemini, stream: bool) -> None:
    server.fault("max_tokens")
    reply = generate(gemini, stream=stream)
    assert (reply.text, reply.finish_reason) == (CUT_JSON, "length")


def test_a_hop_that_could_be_continued_is_cut_not_continued(server: FakeGemini, gemini: Gemini) -> None:
    candidate = {"content": {"parts": [{"text": "meia"}]}, "finishReason": "CONTINUATION", "continuationToken": "YQ=="}
    server.reply_text("", candidates=[candidate])
    assert generate(gemini, stream=False).finish_reason == "length"
    assert len(server.requests) == 1


def test_max_tokens_without_text_says_that_thinking_took_them(server: FakeGemini, gemini: Gemini) -> None:
    server.fault("max_tokens_no_text")
    message = failure(gemini, EmptyReplyError, stream=False).message
    assert "token limit was consumed" in message
    assert "64 of 64" in message


@WAYS
@pytest.mark.parametrize(("fault", "text"), [("invalid_json", '{"resumo": nada}'), ("huge_number", '{"valor": 1e999}')])
def test_text_is_not_judged_here(server: FakeGemini, gemini: Gemini, stream: bool, fault: str, text: str) -> None:
    server.fault(fault)
    assert generate(gemini, stream=stream, request=ask(schema=SCHEMA)).text == text


@pytest.mark.parametrize("text", ["the first half", None])
def test_error_object_inside_a_stream(server: FakeGemini, gemini: Gemini, text: str | None) -> None:
    server.fault("error_in_stream", text=text)
    server.fault("error_in_stream", status=429, text=text)
    failure(gemini, TemporaryError, stream=True)
    failure(gemini, RateLimitError, stream=True)


@pytest.mark.parametrize("fault", ["invalid_body", "html"])
def test_a_body_that_is_no_json(server: FakeGemini, gemini: Gemini, fault: str) -> None:
    server.fault(fault)
    server.fault(fault)
    failure(gemini, TemporaryError, stream=False)
    failure(gemini, StreamCutError, stream=True)


@WAYS
def test_a_body_of_another_shape(server: FakeGemini, gemini: Gemini, stream: bool) -> None:
    server.fault("invalid_body", body=b'{"candidates": [{"finishReason": "STOP", "content": 7}]}')
    failure(gemini, StreamCutError if stream else TemporaryError, stream=stream)


def test_an_error_page_that_is_no_json(server: FakeGemini, gemini: Gemini) -> None:
    server.fault("html", status=502)
    assert "HTTP 502" in failure(gemini, TemporaryError, stream=True).message


@WAYS
def test_redirects_are_not_followed(server: FakeGemini, gemini: Gemini, stream: bool) -> None:
    server.fault("redirect", to=server.url + "/elsewhere")
    assert "302" in failure(gemini, ProviderError, stream=stream).message
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("fault", "stream"),
    [("hang", False), ("hang", True), ("half_closed", True), ("drip", False), ("drip", True), ("drip_bytes", True)],
)
def test_every_wait_ends_at_the_timeout(server: FakeGemini, gemini: Gemini, fault: str, stream: bool) -> None:
    server.fault(fault)
    started = time.monotonic()
    failure(gemini, TimeoutExceededError, stream=stream, options=SHORT)
    assert 0.25 < time.monotonic() - started < 0.8
    assert generate(gemini, stream=stream).text == "ok"


def test_embed_is_bounded_too(server: FakeGemini, gemini: Gemini) -> None:
    server.fault("drip")
    with pytest.raises(TimeoutExceededError):
        gemini.embed(["a"], "gemini-embedding-2", SHORT)


def test_an_exception_of_the_callback_comes_through(server: FakeGemini, gemini: Gemini) -> None:
    def closed_pipe(_: str) -> None:
        raise BrokenPipeError

    server.fault("drip")
    with pytest.raises(BrokenPipeError):
        gemini.generate(ask(), MODEL, OPTIONS, closed_pipe)


def test_unreachable() -> None:
    provider = Gemini(KEY, "http://127.0.0.1:1")
    error = failure(provider, TemporaryError, stream=False)
    provider.close()
    assert "cannot be reached" in error.message


@pytest.mark.parametrize("key", ["", "  ", "chavé", "a\nb"])
def test_a_key_that_no_header_could_carry(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", KEY)
    with pytest.raises(AuthenticationError) as caught:
        Gemini(key)
    assert not key.strip() or key not in str(caught.value)


@WAYS
def test_a_message_that_quotes_the_key_is_scrubbed(server: FakeGemini, gemini: Gemini, stream: bool) -> None:
    for status in (400, 401, 404, 429, 500):
        server.fault("error", status=status, name="X", message=f"bad key {KEY} \x1b[31m\nin request")
        with pytest.raises(ProviderError) as caught:
            generate(gemini, stream=stream)
        assert KEY not in str(caught.value) + repr(caught.value) + str(caught.value.hint)
        assert "[key]" in caught.value.message
        assert "\n" not in caught.value.message


def test_two_keys_in_the_environment_and_unknown_enum_values_are_silent(
    server: FakeGemini, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GOOGLE_API_KEY", "other-1")
    monkeypatch.setenv("GEMINI_API_KEY", "other-2")
    monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # as in a process that configured no logging
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        provider = Gemini(KEY, server.url)
        server.fault("blocked", reason="NEW_REASON_OF_2027")
        error = failure(provider, BlockedError, stream=False)
        provider.close()
    assert "NEW_REASON_OF_2027" in error.message
    assert server.last.headers["x-goog-api-key"] == KEY
    assert [str(warning.message) for warning in caught] == []
    assert capfd.readouterr() == ("", "")


def test_base_url_of_the_environment(server: FakeGemini, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
    provider = Gemini(KEY)
    assert generate(provider, stream=False).text == "ok"
    provider.close()


def test_the_other_http_library_of_the_sdk(server: FakeGemini, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_GENAI_HTTP_CLIENT", "httpx")
    provider = Gemini(KEY, server.url)
    server.fault("cut")
    server.fault("hang")
    failure(provider, StreamCutError, stream=True)
    failure(provider, TimeoutExceededError, stream=False, options=SHORT)
    provider.close()


@pytest.mark.parametrize("model", ["gemini-embedding-001", "gemini-embedding-2"])
def test_embed_gives_one_vector_a_text(server: FakeGemini, gemini: Gemini, model: str) -> None:
    embeddings = gemini.embed(["sepse", "choque", "sepse"], model, OPTIONS)
    first, second, third = embeddings.vectors
    assert first == third != second
    assert math.isclose(math.hypot(*first), 1, abs_tol=1e-6)
    assert embeddings.normalized
    assert embeddings.model == model
    assert len(server.requests) == 1


def test_embed_checks_what_comes_back(server: FakeGemini, gemini: Gemini) -> None:
    bodies = [b'{"embeddings": [{"values": [1, 0]}]}', b'{"embeddings": [{"values": [1, 0]}, {"values": [1]}]}']
    bodies += [b'{"embeddings": [{"values": [1e999, 0]}, {"values": [1, 0]}]}', b"{}"]
    for body in bodies:
        server.fault("invalid_body", body=body)
        with pytest.raises(ProviderError, match="came back"):
            gemini.embed(["a", "b"], "gemini-embedding-2", OPTIONS)
    server.fault("invalid_body", body=b'{"embeddings": [{"values": [3, 4]}]}')
    assert not gemini.embed(["a"], "gemini-embedding-2", OPTIONS).normalized


def test_many_threads_share_one_provider(server: FakeGemini, gemini: Gemini) -> None:
    server.answer = lambda request: request.body["contents"][0]["parts"][0]["text"]
    texts = [f"item {index}" for index in range(24)]
    replies: dict[str, str] = {}

    def work(text: str) -> None:
        replies[text] = generate(gemini, stream=True, request=ask(text)).text

    threads = [threading.Thread(target=work, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert replies == {text: text for text in texts}
