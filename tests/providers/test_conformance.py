"""One suite over every provider: what the door, and whoever calls it, may expect of any of them."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, cast

import pytest

import fake_gemini
import fake_openai
import planted_keys
from fake_gemini import FakeGemini
from fake_openai import FakeOpenAI
from gemx.documents import Media, Part, Passage, Text
from gemx.errors import EmptyReplyError, ModelNotFoundError, TimeoutExceededError, UnsupportedError
from gemx.plugins import Offer
from gemx.providers import plugin
from gemx.providers.base import Embedder, Message, Options, Origin, Provider, Reply, Request
from gemx.providers.extractive import Extractive
from gemx.providers.gemini import Gemini
from gemx.providers.llama_cpp import LlamaCpp
from gemx.providers.openai_compatible import Endpoint, OpenAICompatible
from loopback import Exchange, Loopback, one_authority
from made_plugins import EXAMPLE
from tiny_gguf import write_tiny_gguf

KEY = planted_keys.OPENAI
NAMES = ("gemini", "openai", "llama_server", "gguf", "extractive", "plugin")
MODELS = tuple(name for name in NAMES if name not in ("extractive", "plugin"))
REAL = ("llama_server", "gguf")
WORDS = "um dois três quatro cinco seis sete oito nove dez"
# in bytes, which may be half characters, where the model is real
FEW = {"gemini": 3, "openai": 3, "llama_server": 12, "gguf": 12}
SCHEMA = {
    "type": "object",
    "properties": {"grave": {"type": "boolean"}},
    "required": ["grave"],
    "additionalProperties": False,
}
CAUTION = Passage("sepse#pam", "o alvo inicial de PAM é de 65 mmHg", "PAM", "sepse.md", 0, 40, "SSC 2021")
DRAFT = '{"resumo": "PAM 57 mmHg,\\n alvo 65"}'
VALUES: dict[str, Any] = {
    "temperature": 0.5,
    "top_p": 0.9,
    "seed": 7,
    "max_output_tokens": 12,
    "thinking": "low",
    "context": 512,
    "gpu_layers": 0,
    "lora": "adapter.gguf",
    "service_tier": "flex",
}
WAYS = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])


@dataclass
class Subject:
    """A provider under test; `fake` is the server behind it where it is one of ours, which shows what was sent."""

    provider: Provider
    model: str
    options: Options
    fake: Loopback | None = None

    def generate(self, request: Request, on_text: Callable[[str], None] | None = None, **options: Any) -> Reply:
        return self.provider.generate(request, self.model, replace(self.options, **options), on_text)

    @property
    def sent(self) -> Any:
        assert self.fake is not None
        return self.fake.last.body


def obedient(exchange: Exchange) -> None:
    """Answer as a model would: JSON where a schema is asked for, else words, cut at the limit that was sent."""
    body = exchange.request.body
    gemini = "contents" in body
    config = body.get("generationConfig", {}) if gemini else body
    limit = config.get("maxOutputTokens" if gemini else "max_tokens")
    schema = config.get("responseJsonSchema") if gemini else body.get("response_format")
    words = ['{"grave": true}'] if schema else WORDS.split(" ")
    cut = limit is not None and limit < len(words)
    reason = ("MAX_TOKENS" if gemini else "length") if cut else ("STOP" if gemini else "stop")
    faults = fake_gemini.FAULTS if gemini else fake_openai.FAULTS
    faults["ok"](exchange, text=" ".join(words[:limit]), reason=reason)


class ObedientGemini(FakeGemini):
    default = staticmethod(obedient)  # type: ignore[assignment]


class ObedientOpenAI(FakeOpenAI):
    default = staticmethod(obedient)  # type: ignore[assignment]


@pytest.fixture(autouse=True, scope="module")
def fast_clients(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(one_authority(tmp_path_factory.mktemp("tls") / "one.pem")))
        yield


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with room for seconds of text."""
    return write_tiny_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf", context=65536)


@pytest.fixture(scope="module")
def llama_url(tmp_path_factory: pytest.TempPathFactory, model_file: Path) -> Iterator[str]:
    """The real llama_cpp.server with that model."""
    folder = tmp_path_factory.mktemp("server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {"host": "127.0.0.1", "port": port, "api_key": KEY, "model": model_file, "n_ctx": 12288}
    settings |= {"n_threads": 2, "verbose": "false"}
    flags = [str(word) for name, value in settings.items() for word in (f"--{name}", value)]
    command = [sys.executable, "-m", "llama_cpp.server", *flags]
    with (folder / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            _wait_for(process, port, folder / "log")
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            # it does not stop in the middle of a reply, however politely it is asked
            process.kill()


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail(f"llama_cpp.server did not start: {log.read_text()}")


@pytest.fixture(scope="module")
def warm() -> Iterator[LlamaCpp]:
    """One adapter, and so one engine process, for the whole module."""
    provider = LlamaCpp()
    yield provider
    provider.close()


@pytest.fixture
def opened(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Subject]]:
    """Open a provider by name; `gguf` is the shared one, unless it is asked for as `fresh gguf`."""
    closing: list[Any] = []

    def serve(fake: Loopback) -> Loopback:
        closing.append(lambda: fake.__exit__(None, None, None))
        return fake.__enter__()

    def gemini() -> Subject:
        fake = serve(ObedientGemini())
        return Subject(Gemini(KEY, fake.url), "gemini-3.8-flash", Options(timeout=5), fake)

    def openai() -> Subject:
        fake = cast("ObedientOpenAI", serve(ObedientOpenAI()))
        endpoint = Endpoint(fake.endpoint_url, api_key=KEY)
        return Subject(OpenAICompatible(endpoint), "m", Options(timeout=5), fake)

    def llama_server() -> Subject:
        endpoint = Endpoint(request.getfixturevalue("llama_url"), api_key=KEY, schema="json_object")
        return Subject(OpenAICompatible(endpoint), "tiny", Options(timeout=30, max_output_tokens=24, temperature=0.0))

    def gguf(provider: LlamaCpp | None = None) -> Subject:
        path = str(request.getfixturevalue("model_file"))
        options = Options(timeout=30, max_output_tokens=24, temperature=0.0)
        return Subject(provider or request.getfixturevalue("warm"), path, options)

    def extractive() -> Subject:
        return Subject(Extractive(), "extractive", Options())

    def example_plugin() -> Subject:
        request.getfixturevalue("monkeypatch").syspath_prepend(str(EXAMPLE))
        entry = EntryPoint("echo", "gemx_example.provider:Echo", "gemx.providers")
        return Subject(plugin.opened(Offer("provider", "echo", "gemx-example", "1.0", entry)), "plain", Options())

    openers: dict[str, Callable[[], Subject]] = {
        "gemini": gemini,
        "openai": openai,
        "llama_server": llama_server,
        "gguf": gguf,
        "fresh gguf": lambda: gguf(LlamaCpp()),
        "extractive": extractive,
        "plugin": example_plugin,
    }

    def open_named(name: str) -> Subject:
        subject = openers[name]()
        if name != "gguf":
            closing.append(subject.provider.close)
        return subject

    yield open_named
    for close in reversed(closing):
        close()


@pytest.fixture
def subject(opened: Callable[[str], Subject], name: str) -> Subject:
    return opened(name)


everyone = pytest.mark.parametrize("name", NAMES)
every_model = pytest.mark.parametrize("name", MODELS)


def ask(text: str = "Qual é o alvo inicial de PAM?", *parts: Part, **fields: Any) -> Request:
    message = Message("user", (*parts, Text(text)))
    return Request(messages=(message,), origin=Origin("gen", "run-1"), **fields)


def cited() -> Request:
    return ask(passages=(CAUTION,))


@everyone
def test_says_what_it_is(subject: Subject, name: str) -> None:
    provider = subject.provider
    expected = {
        "gemini": ("gemini", "gcp.gemini", "any"),
        "openai": ("openai", "openai", "machine"),
        "llama_server": ("openai", "openai", "machine"),
        "gguf": ("gguf", "llama_cpp", "machine"),
        "extractive": ("extractive", "extractive", "machine"),
        "plugin": ("echo", "gemx_example", "machine"),
    }
    assert (provider.name, provider.system, provider.reach) == expected[name]
    assert isinstance(provider.honoured, frozenset)
    assert provider.honoured <= set(VALUES)
    assert isinstance(provider, Embedder) == (name in MODELS)


@everyone
@WAYS
def test_generates_text(subject: Subject, stream: bool) -> None:
    reply = subject.generate(cited(), (lambda _: None) if stream else None)
    assert reply.text.strip()
    assert reply.model.strip()
    assert reply.provider == subject.provider.name
    assert reply.finish_reason in ("stop", "length")


@everyone
def test_pieces_join_to_the_text_in_the_callers_thread(subject: Subject) -> None:
    pieces: list[str] = []
    threads: set[int] = set()

    def show(piece: str) -> None:
        pieces.append(piece)
        threads.add(threading.get_ident())

    reply = subject.generate(cited(), show)
    assert "".join(pieces) == reply.text
    assert threads == {threading.get_ident()}
    assert reply.first_text is not None
    assert reply.first_text >= 0


@everyone
@WAYS
def test_usage_is_unknown_or_whole_numbers(subject: Subject, stream: bool) -> None:
    usage = subject.generate(cited(), (lambda _: None) if stream else None).usage
    for count in vars(usage).values():
        assert count is None or (type(count) is int and count >= 0)
    if usage.reasoning_tokens is not None:
        assert usage.output_tokens is not None
        assert usage.output_tokens >= usage.reasoning_tokens
    if usage.cached_tokens is not None:
        assert usage.input_tokens is not None
        assert usage.input_tokens >= usage.cached_tokens


@pytest.mark.parametrize("option", VALUES)
@everyone
def test_an_option_is_honoured_or_refused_by_name(subject: Subject, name: str, option: str) -> None:
    wanted = {"max_output_tokens": None, "temperature": None, option: VALUES[option]}
    if option in subject.provider.honoured:
        if option not in ("lora", "context", "gpu_layers"):  # another engine each: the GGUF tests have them
            seeded = {"seed": 7} if name in REAL else {}  # noise without a seed is, at times, white space alone
            assert subject.generate(cited(), **{**seeded, option: VALUES[option]}).text
        return
    with pytest.raises(UnsupportedError, match=option):
        subject.generate(cited(), **wanted)
    assert subject.fake is None or subject.fake.requests == []


@every_model
@WAYS
def test_the_token_limit_cuts_and_says_so(subject: Subject, name: str, stream: bool) -> None:
    on_text = (lambda _: None) if stream else None
    cut = subject.generate(ask(), on_text, max_output_tokens=FEW[name])
    assert cut.finish_reason == "length"
    longer = subject.generate(ask(), on_text, max_output_tokens=3 * FEW[name])
    assert len(cut.text) < len(longer.text)


def test_extractive_takes_no_limit(opened: Callable[[str], Subject]) -> None:
    with pytest.raises(UnsupportedError, match="max_output_tokens"):
        opened("extractive").generate(cited(), max_output_tokens=3)


@every_model
def test_the_system_instruction_is_sent(subject: Subject, name: str) -> None:
    without = subject.generate(ask())
    reply = subject.generate(ask(system="Responda em latim."))
    if name == "gemini":
        assert subject.sent["systemInstruction"]["parts"] == [{"text": "Responda em latim."}]
    elif name == "openai":
        assert subject.sent["messages"][0] == {"role": "system", "content": "Responda em latim."}
    else:
        # a byte is a token
        assert cast("int", reply.usage.input_tokens) >= cast("int", without.usage.input_tokens) + 18
        assert reply.text != without.text


@pytest.mark.parametrize("name", ["gemini", "openai", "gguf", "extractive", "plugin"])
def test_an_image_is_sent_or_refused_never_dropped(subject: Subject, name: str) -> None:
    image = Media(b"\x89PNG", "image/png", "ecg.png")
    if name in ("gguf", "extractive", "plugin"):
        with pytest.raises(UnsupportedError):
            subject.generate(ask("O que há aqui?", image))
        return
    subject.generate(ask("O que há aqui?", image))
    assert "iVBORw==" in json.dumps(subject.sent)


@every_model
def test_an_unknown_media_type_is_refused(subject: Subject, name: str) -> None:
    before = len(subject.fake.requests) if subject.fake else 0
    with pytest.raises(UnsupportedError):
        subject.generate(ask("E aqui?", Media(b"x", "audio/x-unknown" if name != "gemini" else "video/mp4", "x")))
    assert subject.fake is None or len(subject.fake.requests) == before


@every_model
@WAYS
def test_a_schema_holds_or_the_answer_says_that_it_was_cut(subject: Subject, name: str, stream: bool) -> None:
    limit = 64 if name in REAL else None
    reply = subject.generate(ask(schema=SCHEMA), (lambda _: None) if stream else None, max_output_tokens=limit)
    if reply.finish_reason == "stop":
        assert type(json.loads(reply.text)["grave"]) is bool
    else:
        assert name in REAL
    if name == "gemini":
        assert subject.sent["generationConfig"]["responseJsonSchema"] == SCHEMA
    if name == "openai":
        assert subject.sent["response_format"]["json_schema"]["schema"] == SCHEMA


def test_extractive_fills_in_no_schema(opened: Callable[[str], Subject]) -> None:
    with pytest.raises(UnsupportedError):
        opened("extractive").generate(ask(schema=SCHEMA, passages=(CAUTION,)))


@every_model
def test_passages_draft_and_private_values_are_never_sent(subject: Subject) -> None:
    fields: dict[str, Any] = {"passages": (CAUTION,), "draft": DRAFT, "private": ("Fulana de Tal",)}
    plain, reply = subject.generate(ask()), subject.generate(ask(**fields))
    if subject.fake:
        sent = json.dumps(subject.sent, ensure_ascii=False)
        assert not any(word in sent for word in ("65 mmHg", "PAM 57", "Fulana"))
        assert subject.fake.requests[0].body == subject.fake.requests[1].body
    else:
        assert reply.usage.input_tokens == plain.usage.input_tokens
        assert reply.text == plain.text


@WAYS
def test_extractive_returns_the_draft_and_nothing_else(opened: Callable[[str], Subject], stream: bool) -> None:
    pieces: list[str] = []
    request = ask(passages=(CAUTION,), draft=DRAFT, schema=SCHEMA, system="Invente.")
    assert opened("extractive").generate(request, pieces.append if stream else None).text == DRAFT
    assert not stream or "".join(pieces) == DRAFT


def test_extractive_quotes_a_passage_word_for_word(opened: Callable[[str], Subject]) -> None:
    text = opened("extractive").generate(cited()).text
    assert text == f"[{CAUTION.id}] {CAUTION.text}"


# llama_cpp.server does not survive a client that leaves in the middle of a reply
@pytest.mark.parametrize("name", ["gemini", "openai", "gguf"])
@WAYS
def test_a_call_ends_at_its_timeout(opened: Callable[[str], Subject], name: str, stream: bool) -> None:
    subject = opened("fresh gguf" if name == "gguf" else name)
    if isinstance(subject.fake, FakeGemini | FakeOpenAI):
        subject.fake.fault("hang")
    else:
        subject.generate(ask())
    seconds = 0.3
    started = time.monotonic()
    with pytest.raises(TimeoutExceededError):
        subject.generate(ask(), (lambda _: None) if stream else None, timeout=seconds, max_output_tokens=20_000)
    assert seconds * 0.9 <= time.monotonic() - started < seconds + 1.5


@pytest.mark.parametrize("name", ["gemini", "openai", "gguf", "extractive", "plugin"])
def test_an_interrupted_call_leaves_the_provider_usable(subject: Subject) -> None:
    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        subject.generate(cited(), interrupt)
    assert subject.generate(cited()).text


@pytest.mark.parametrize("name", ["gemini", "openai", "llama_server", "fresh gguf", "extractive", "plugin"])
def test_closing_twice_is_fine(opened: Callable[[str], Subject], name: str) -> None:
    unused = opened(name)
    unused.provider.close()
    unused.provider.close()
    used = opened(name)
    used.generate(cited())
    used.provider.close()
    used.provider.close()


@pytest.mark.parametrize("name", ["gemini", "openai"])
@WAYS
def test_an_answer_without_a_word_is_an_error(subject: Subject, stream: bool) -> None:
    assert isinstance(subject.fake, FakeGemini | FakeOpenAI)
    subject.fake.fault("empty")
    with pytest.raises(EmptyReplyError):
        subject.generate(ask(), (lambda _: None) if stream else None)


@pytest.mark.parametrize("name", ["gemini", "openai", "gguf", "plugin"])
def test_a_model_that_does_not_exist_is_a_permanent_error(subject: Subject, name: str) -> None:
    if isinstance(subject.fake, FakeGemini | FakeOpenAI):
        subject.fake.fault("not_found")
    with pytest.raises(ModelNotFoundError):
        replace(subject, model="/nowhere/none.gguf" if name == "gguf" else "none").generate(ask())


MINI = """\
gemx: automation/v1
id: mini
title: Mini
version: "1"
summary: "PAM {{ pam }}"
guideline: {name: X, version: "1", date: "2026-01-01"}
maintenance: {author: t, reviewed: "2026-01-01", next_review: "2099-01-01"}
inputs: [pas, pad]
calculators:
  - {id: mean_arterial_pressure, as: pam, label: PAM, inputs: {sbp: pas, dbp: pad}}
prompt: Avalie.
output: {contract: protocolo/v1}
"""


# `json_object` would end the server: its grammar of the contract, with every maxLength unrolled, overflows its stack
def test_an_automation_on_the_real_server_satisfies_the_contract_or_is_exit_6(
    run_gemx: Callable[..., Any], workdir: Path, llama_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workdir / "mini.yaml").write_text(MINI)
    for variable, value in {"LLM_BASE_URL": llama_url, "LLM_API_KEY": KEY, "LLM_SCHEMA": "none"}.items():
        monkeypatch.setenv(variable, value)
    options = ("-o", "max_output_tokens=60", "-o", "seed=1", "-o", "timeout=60")
    done = run_gemx(
        "auto", "run", "./mini.yaml", "-i", "pas=82", "-i", "pad=44", "-m", "openai:tiny", *options, "--json"
    )
    assert done.code in (0, 6), done.out
    data = done.json["data"]
    assert data["model"] == "openai:tiny"
    assert (data["answer"] is None) == (done.code == 6)
    assert bool(data["findings"]) == (done.code == 6)
