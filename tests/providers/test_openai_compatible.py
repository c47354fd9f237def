from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import planted_keys
from fake_openai import CUT_JSON, FakeOpenAI
from fake_openai import MODEL as SERVED
from gemx.documents import Media, Text
from gemx.errors import (
    AuthenticationError,
    BlockedError,
    ConfigError,
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
from gemx.providers.openai_compatible import Endpoint, OpenAICompatible
from loopback import one_authority
from tiny_gguf import write_tiny_gguf

KEY = planted_keys.OPENAI
HEADER_SECRET = planted_keys.HEADER
OPTIONS = Options(timeout=5)
SHORT = Options(timeout=0.3)
SCHEMA = {
    "type": "object",
    "properties": {"resumo": {"type": "string"}},
    "required": ["resumo"],
    "additionalProperties": False,
}
STRICT = {"name": "answer", "schema": SCHEMA, "strict": True}
WAYS = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
Open = Callable[..., OpenAICompatible]


@pytest.fixture(autouse=True, scope="module")
def fast_clients(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(one_authority(tmp_path_factory.mktemp("tls") / "one.pem")))
        yield


@pytest.fixture
def server() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as server:
        yield server


@pytest.fixture
def open_at() -> Iterator[Open]:
    opened: list[OpenAICompatible] = []

    def open_at(url: str, **fields: Any) -> OpenAICompatible:
        opened.append(OpenAICompatible(Endpoint(url, **{"api_key": KEY, **fields})))
        return opened[-1]

    yield open_at
    for provider in opened:
        provider.close()


@pytest.fixture
def endpoint(server: FakeOpenAI, open_at: Open) -> OpenAICompatible:
    return open_at(server.endpoint_url, headers=(("X-Team", f"uti {HEADER_SECRET}"),))


def ask(text: str = "Qual a PAM?", **fields: Any) -> Request:
    return Request(messages=(Message("user", (Text(text),)),), origin=Origin("gen", "run-1"), **fields)


def generate(
    endpoint: OpenAICompatible, *, stream: bool, request: Request | None = None, options: Options = OPTIONS
) -> Reply:
    return endpoint.generate(request or ask(), "m", options, (lambda _: None) if stream else None)


def failure(endpoint: OpenAICompatible, kind: type[GemxError], *, stream: bool, options: Options = OPTIONS) -> Any:
    with pytest.raises(kind) as caught:
        generate(endpoint, stream=stream, options=options)
    assert type(caught.value) is kind
    return caught.value


def test_is_a_provider_and_an_embedder(endpoint: OpenAICompatible) -> None:
    provider: Provider = endpoint
    assert isinstance(endpoint, Embedder)
    assert (provider.name, provider.system) == ("openai", "openai")


@pytest.mark.parametrize(
    ("url", "site", "reach"),
    [
        ("http://127.0.0.1:8000/v1", False, "machine"),
        ("http://127.9.9.9/v1", True, "machine"),
        ("http://[::1]:8000/v1", False, "machine"),
        ("http://LOCALHOST/v1", False, "machine"),
        ("https://llm.hospital.local/v1", True, "site"),
        ("http://192.168.0.7/v1", False, "any"),
        ("https://api.openai.com/v1", False, "any"),
        ("https://127.0.0.1.example.com/v1", False, "any"),
        ("http://0.0.0.0/v1", False, "any"),
    ],
)
def test_reach(url: str, site: bool, reach: str) -> None:
    assert Endpoint(url, site=site).reach == reach


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8000",
        "ftp://h/v1",
        "http:///v1",
        "http://u:secret@h/v1",
        "http://h/v1?key=secret",
        "http://h:port/v1",
    ],
)
def test_base_urls_that_are_refused(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        OpenAICompatible(Endpoint(url))
    assert "secret" not in str(caught.value)


def test_no_secret_in_the_repr() -> None:
    text = repr(Endpoint("http://h/v1", api_key=KEY, headers=(("X", HEADER_SECRET),)))
    assert KEY not in text
    assert HEADER_SECRET not in text


@WAYS
def test_text_model_usage_and_id(server: FakeOpenAI, endpoint: OpenAICompatible, stream: bool) -> None:
    server.reply_text("A PAM é 57 mmHg.")
    reply = generate(endpoint, stream=stream)
    assert (reply.text, reply.model, reply.finish_reason) == ("A PAM é 57 mmHg.", SERVED, "stop")
    assert (reply.response_id, reply.provider) == ("chat-1", "openai")
    assert reply.usage == Usage(input_tokens=12, output_tokens=9, cached_tokens=4, reasoning_tokens=5)
    assert server.last.headers["authorization"] == f"Bearer {KEY}"
    assert server.last.headers["x-team"].endswith(HEADER_SECRET)


def test_stream_gives_the_text_piece_by_piece_in_the_callers_thread(
    server: FakeOpenAI, endpoint: OpenAICompatible
) -> None:
    server.reply_text("um dois três")
    pieces: list[tuple[str, int]] = []
    reply = endpoint.generate(ask(), "m", OPTIONS, lambda text: pieces.append((text, threading.get_ident())))
    assert "".join(text for text, _ in pieces) == reply.text == "um dois três"
    assert [thread for _, thread in pieces] == [threading.get_ident()] * 2
    assert reply.first_text is not None
    assert server.last.body["stream_options"] == {"include_usage": True}


def test_what_goes_on_the_wire(server: FakeOpenAI, endpoint: OpenAICompatible) -> None:
    options = Options(temperature=0.0, top_p=0.9, seed=7, max_output_tokens=64, timeout=5)
    turns: tuple[tuple[Any, str], ...] = (("user", "ab"), ("assistant", "c"), ("user", "d"))
    messages = tuple(Message(role, tuple(map(Text, texts))) for role, texts in turns)
    generate(endpoint, stream=False, request=replace(ask(system="Seja breve."), messages=messages), options=options)
    assert server.last.path == "/v1/chat/completions"
    assert server.last.body == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Seja breve."},
            {"role": "user", "content": "a\n\nb"},
            {"role": "assistant", "content": "c"},
            {"role": "user", "content": "d"},
        ],
        "temperature": 0.0,
        "top_p": 0.9,
        "seed": 7,
        "max_tokens": 64,
    }


def test_a_reasoning_endpoint_takes_thinking(server: FakeOpenAI, endpoint: OpenAICompatible, open_at: Open) -> None:
    options = Options(thinking="low", max_output_tokens=9, timeout=5)
    with pytest.raises(UnsupportedError, match="thinking"):
        generate(endpoint, stream=False, options=options)
    generate(open_at(server.endpoint_url, reasoning=True), stream=False, options=options)
    assert server.last.body["reasoning_effort"] == "low"
    assert server.last.body["max_completion_tokens"] == 9
    assert "max_tokens" not in server.last.body


def test_media(server: FakeOpenAI, endpoint: OpenAICompatible) -> None:
    parts = (Text("E aqui?"), Media(b"\x89PNG", "image/png"), Media(b"RIFF", "audio/wav"))
    generate(endpoint, stream=False, request=replace(ask(), messages=(Message("user", parts),)))
    assert server.last.body["messages"][0]["content"] == [
        {"type": "text", "text": "E aqui?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}},
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
    ]
    for mime_type in ("application/pdf", "audio/ogg"):
        request = replace(ask(), messages=(Message("user", (Media(b"x", mime_type),)),))
        with pytest.raises(UnsupportedError, match=mime_type):
            generate(endpoint, stream=False, request=request)


def test_refuses_what_it_cannot_honour(server: FakeOpenAI, endpoint: OpenAICompatible) -> None:
    with pytest.raises(UnsupportedError, match="context, gpu_layers"):
        endpoint.generate(ask(), "m", Options(gpu_layers=3, context=9))
    with pytest.raises(UnsupportedError, match="seed"):
        endpoint.embed(["a"], "m", Options(seed=1))
    assert server.requests == []


@pytest.mark.parametrize(
    ("way", "sent"),
    [
        (
            "json_schema",
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": STRICT,
                }
            },
        ),
        ("json_object", {"response_format": {"type": "json_object", "schema": SCHEMA}}),
        ("guided_json", {"guided_json": SCHEMA}),
        ("none", {}),
    ],
)
def test_schema_as_the_endpoint_takes_it(server: FakeOpenAI, open_at: Open, way: Any, sent: dict[str, Any]) -> None:
    generate(open_at(server.endpoint_url, schema=way), stream=False, request=ask(system="Breve.", schema=SCHEMA))
    body = server.last.body
    assert {name: body[name] for name in body if name not in ("model", "messages")} == sent
    system = body["messages"][0]["content"]
    assert system.startswith("Breve.")
    assert (json.dumps(SCHEMA) in system) == (way == "none")


@pytest.mark.parametrize(
    "change", [{"additionalProperties": True}, {"required": []}, {"properties": {"resumo": {"type": "object"}}}]
)
def test_an_open_schema_is_not_called_strict(
    server: FakeOpenAI, endpoint: OpenAICompatible, change: dict[str, Any]
) -> None:
    generate(endpoint, stream=False, request=ask(schema={**SCHEMA, **change}))
    assert server.last.body["response_format"]["json_schema"]["strict"] is False


@WAYS
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("unauthorized", AuthenticationError),
        ("forbidden", AuthenticationError),
        ("not_found", ModelNotFoundError),
        ("model_not_found", ModelNotFoundError),
        ("bad_request", InvalidRequestError),
        ("unprocessable", InvalidRequestError),
        ("too_long", ContextLengthError),
        ("too_long_500", ContextLengthError),
        ("rate_limit", RateLimitError),
        ("no_credit", QuotaError),
        ("internal", TemporaryError),
        ("unavailable", TemporaryError),
        ("cut", StreamCutError),
        ("reset", StreamCutError),
        ("no_finish", StreamCutError),
        ("content_filter", BlockedError),
        ("refusal", BlockedError),
        ("thinking_only", EmptyReplyError),
        ("max_tokens_no_text", EmptyReplyError),
        ("empty", EmptyReplyError),
        ("error_in_stream", TemporaryError),
    ],
)
def test_faults_become_errors_and_are_not_retried(
    server: FakeOpenAI, endpoint: OpenAICompatible, stream: bool, fault: str, kind: type[GemxError]
) -> None:
    server.fault(fault)
    failure(endpoint, kind, stream=stream)
    assert len(server.requests) == 1


@WAYS
def test_messages_tell_what_happened(server: FakeOpenAI, endpoint: OpenAICompatible, stream: bool) -> None:
    server.fault("unprocessable")
    assert "field required" in failure(endpoint, InvalidRequestError, stream=stream).message
    server.fault("no_credit")
    assert failure(endpoint, QuotaError, stream=stream).message.startswith("quota used up")
    server.fault("refusal")
    assert "I cannot help" in failure(endpoint, BlockedError, stream=stream).message
    server.fault("thinking_only", reason="stop")
    assert "only thinking" in failure(endpoint, EmptyReplyError, stream=stream).message
    server.fault("ok", reason="tool_calls")
    assert "tool_calls" in failure(endpoint, ProviderError, stream=stream).message


@WAYS
def test_rate_limit_carries_the_wait(server: FakeOpenAI, endpoint: OpenAICompatible, stream: bool) -> None:
    server.fault("rate_limit")
    server.fault("error", status=429, header="Fri, 31 Dec 2100 23:59:59 GMT")
    server.fault("error", status=429)
    assert failure(endpoint, RateLimitError, stream=stream).retry_after == 7
    assert failure(endpoint, RateLimitError, stream=stream).retry_after > 1e9
    assert failure(endpoint, RateLimitError, stream=stream).retry_after is None


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"message": "too many", "code": "429"}, RateLimitError),
        ({"message": "this exceeds the context length", "code": None}, ContextLengthError),
        ({"message": "bad", "code": 400}, InvalidRequestError),
        ("it broke", TemporaryError),
    ],
)
@WAYS
def test_an_error_inside_a_200(
    server: FakeOpenAI, endpoint: OpenAICompatible, stream: bool, error: Any, kind: type[GemxError]
) -> None:
    server.fault("error_in_stream", error=error)
    failure(endpoint, kind, stream=stream)


def test_the_error_object_of_an_older_vllm(server: FakeOpenAI, endpoint: OpenAICompatible) -> None:
    server.fault("raw", body=b'{"object": "error", "message": "nope", "code": 400}')
    assert "nope" in failure(endpoint, InvalidRequestError, stream=False).message


@WAYS
def test_max_tokens_keeps_the_text(server: FakeOpenAI, endpoint: OpenAICompatible, stream: bool) -> None:
    server.fault("max_tokens")
    reply = generate(endpoint, stream=stream)
    assert (reply.text, reply.finish_reason) == (CUT_JSON, "length")


@WAYS
@pytest.mark.parametrize(("fault", "text"), [("invalid_json", '{"resumo": nada}'), ("huge_number", '{"valor": 1e999}')])
def test_text_is_not_judged_here(
    server: FakeOpenAI, endpoint: OpenAICompatible, stream: bool, fault: str, text: str
) -> None:
    server.fault(fault)
    assert generate(endpoint, stream=stream, request=ask(schema=SCHEMA)).text == text


def test_a_body_that_is_no_answer(server: FakeOpenAI, endpoint: OpenAICompatible) -> None:
    for body in (b'{"choices": [', b"[]", b"{}", b"\xff"):
        server.fault("raw", body=body)
        failure(endpoint, TemporaryError, stream=False)
        server.fault("events", data=b"data: " + body + b"\n\n")
        failure(endpoint, StreamCutError, stream=True)
    server.fault("html")
    failure(endpoint, StreamCutError, stream=True)
    server.fault("no_choices")
    failure(endpoint, EmptyReplyError, stream=False)


def test_sse_as_servers_write_it(server: FakeOpenAI, endpoint: OpenAICompatible) -> None:
    first = json.dumps({"choices": [{"delta": {"content": "a\u2028b\x85c"}}]}, ensure_ascii=False).encode()
    last = b'{"choices": [{"delta": {},\ndata: "finish_reason": "stop"}]}'
    data = b": ping\r\n\r\nevent: x\r\ndata:" + first + b"\r\n\r\ndata: " + last + b"\n\ndata: [DONE]"
    server.fault("events", data=data)
    assert generate(endpoint, stream=True).text == "a\u2028b\x85c"


def test_a_stream_without_done_is_complete_when_it_has_a_reason(server: FakeOpenAI, endpoint: OpenAICompatible) -> None:
    server.reply_text("inteiro", done=False)
    assert generate(endpoint, stream=True).text == "inteiro"


@WAYS
def test_redirects_are_not_followed(server: FakeOpenAI, endpoint: OpenAICompatible, stream: bool) -> None:
    server.fault("redirect", to=server.url + "/elsewhere")
    assert "307" in failure(endpoint, ProviderError, stream=stream).message
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("fault", "stream"),
    [("hang", False), ("hang", True), ("half_closed", True), ("drip", False), ("drip", True), ("drip_bytes", True)],
)
def test_every_wait_ends_at_the_timeout(
    server: FakeOpenAI, endpoint: OpenAICompatible, fault: str, stream: bool
) -> None:
    server.fault(fault)
    started = time.monotonic()
    failure(endpoint, TimeoutExceededError, stream=stream, options=SHORT)
    assert 0.25 < time.monotonic() - started < 0.8
    assert generate(endpoint, stream=stream).text == "ok"


@WAYS
def test_a_dripping_call_that_was_given_up_ends(server: FakeOpenAI, endpoint: OpenAICompatible, stream: bool) -> None:
    before = set(threading.enumerate())
    server.fault("drip", every=0.01)
    failure(endpoint, TimeoutExceededError, stream=stream, options=Options(timeout=0.1))
    left = [thread for thread in set(threading.enumerate()) - before if thread.name == "gemx-call"]
    for thread in left:
        thread.join(1)
        assert not thread.is_alive()


def test_proxies_of_the_environment_see_nothing_local(
    server: FakeOpenAI, open_at: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeOpenAI("from the proxy") as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        assert generate(open_at(server.endpoint_url), stream=False).text == "ok"
        site = open_at("http://llm.invalid/v1", site=True)
        assert "cannot be reached" in failure(site, TemporaryError, stream=False).message
        assert proxy.requests == []
        assert generate(open_at("http://llm.invalid/v1"), stream=False).text == "from the proxy"


def test_unreachable(open_at: Open) -> None:
    assert "cannot be reached" in failure(open_at("http://127.0.0.1:1/v1"), TemporaryError, stream=False).message


@pytest.mark.parametrize("key", ["", " ", "chavé", "a\nb"])
def test_a_key_or_header_that_cannot_be_sent(key: str) -> None:
    with pytest.raises(AuthenticationError):
        OpenAICompatible(Endpoint("http://h/v1", api_key=key))
    with pytest.raises(ConfigError):
        OpenAICompatible(Endpoint("http://h/v1", headers=(("X-Team", "á\n"),)))


def test_an_endpoint_without_a_key(server: FakeOpenAI, open_at: Open) -> None:
    generate(open_at(server.endpoint_url, api_key=None), stream=False)
    assert "authorization" not in server.last.headers


@WAYS
def test_a_message_that_quotes_the_key_is_scrubbed(
    server: FakeOpenAI, endpoint: OpenAICompatible, stream: bool
) -> None:
    for status in (400, 401, 404, 429, 500):
        server.fault("error", status=status, message=f"bad key {KEY} or\n{HEADER_SECRET}")
        with pytest.raises(ProviderError) as caught:
            generate(endpoint, stream=stream)
        assert KEY not in str(caught.value) + repr(caught.value)
        assert HEADER_SECRET not in str(caught.value)
        assert "bad key [key] or [key]" in caught.value.message


def test_embed_puts_the_vectors_in_order(server: FakeOpenAI, endpoint: OpenAICompatible) -> None:
    embeddings = endpoint.embed(["a", "b"], "m", OPTIONS)
    assert embeddings.vectors == ((0.6, 0.8, 0), (0.6, 0.8, 1))
    assert (embeddings.model, embeddings.normalized, embeddings.usage.input_tokens) == (SERVED, False, 6)
    assert server.last.body == {"model": "m", "input": ["a", "b"]}
    assert endpoint.embed(["a"], "m", OPTIONS).normalized


def test_embed_checks_what_comes_back(server: FakeOpenAI, endpoint: OpenAICompatible) -> None:
    for vector in ("[1e999]", '"AAAA"', "[]"):
        server.fault("raw", body=b'{"data": [{"index": 0, "embedding": %s}]}' % vector.encode())
        with pytest.raises(ProviderError, match="came back"):
            endpoint.embed(["a"], "m", OPTIONS)
    with pytest.raises(ProviderError, match="1 vectors came back for 2"):
        server.fault("raw", body=b'{"data": [{"index": 0, "embedding": [1]}]}')
        endpoint.embed(["a", "b"], "m", OPTIONS)


@pytest.fixture(scope="module")
def llama_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("llama")
    model = write_tiny_gguf(folder / "tiny.gguf", context=512)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "llama_cpp.server", "--host", "127.0.0.1", "--port", str(port), "--api_key", KEY]
    command += [
        "--model",
        str(model),
        "--n_ctx",
        "512",
        "--n_threads",
        "1",
        "--embedding",
        "true",
        "--verbose",
        "false",
    ]
    with (folder / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            _wait_for(process, port, folder / "log")
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            process.wait(10)


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail(f"llama_cpp.server did not start: {log.read_text()}")


@pytest.fixture
def llama(llama_server: str, open_at: Open) -> OpenAICompatible:
    return open_at(llama_server, schema="json_object")


LLAMA_OPTIONS = Options(max_output_tokens=8, temperature=0.0, seed=1, timeout=20)


@WAYS
def test_real_llama_server_generates(llama: OpenAICompatible, stream: bool) -> None:
    pieces: list[str] = []
    reply = llama.generate(ask("Oi"), "tiny", LLAMA_OPTIONS, pieces.append if stream else None)
    assert reply.text
    assert reply.finish_reason == "length"
    assert not stream or "".join(pieces) == reply.text
    assert stream or reply.usage.output_tokens == 8


def test_real_llama_server_keeps_to_a_schema(llama: OpenAICompatible) -> None:
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    options = replace(LLAMA_OPTIONS, max_output_tokens=64)
    reply = generate(llama, stream=False, request=ask("Oi", schema=schema), options=options)
    assert isinstance(json.loads(reply.text)["ok"], bool)


def test_real_llama_server_has_no_json_schema(llama_server: str, open_at: Open) -> None:
    provider = open_at(llama_server, schema="json_schema")
    with pytest.raises(TemporaryError, match="HTTP 500"):
        generate(provider, stream=False, request=ask("Oi", schema=SCHEMA), options=LLAMA_OPTIONS)


def test_real_llama_server_refuses_a_long_prompt(llama: OpenAICompatible) -> None:
    with pytest.raises(ContextLengthError):
        generate(llama, stream=False, request=ask("x" * 2000), options=LLAMA_OPTIONS)


def test_real_llama_server_ends_the_stream_of_a_long_prompt_without_a_word(llama: OpenAICompatible) -> None:
    with pytest.raises(StreamCutError) as caught:
        generate(llama, stream=True, request=ask("x" * 2000), options=LLAMA_OPTIONS)
    assert "does not fit" in str(caught.value.hint)


def test_real_llama_server_refuses_a_wrong_key(llama_server: str, open_at: Open) -> None:
    provider = open_at(llama_server, api_key="sk-another-key")
    failure(provider, AuthenticationError, stream=False, options=LLAMA_OPTIONS)


def test_real_llama_server_embeds_each_token_of_a_model_without_pooling(llama: OpenAICompatible) -> None:
    with pytest.raises(ProviderError, match="not a finite number"):
        llama.embed(["sepse"], "tiny", OPTIONS)
