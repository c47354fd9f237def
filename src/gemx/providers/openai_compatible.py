"""Any server that speaks OpenAI's chat completions (vLLM, llama.cpp, a hosted service), by httpx.

Translates a Request to one HTTP call, and its reply or failure back. Knows nothing of routes, retries, prices or audit;
nor does it put `passages` or `draft` in the prompt, which whoever composes the messages does.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_address
from typing import Any, Literal

import httpx

from gemx.documents import Media, Part
from gemx.errors import (
    AuthenticationError,
    BlockedError,
    ConfigError,
    ContextLengthError,
    EmptyReplyError,
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
from gemx.providers import wire
from gemx.providers.base import (
    Embeddings,
    Message,
    OnText,
    Options,
    Probe,
    Reach,
    Reply,
    Request,
    Usage,
    refuse_options,
)

HONOURED = frozenset({"temperature", "top_p", "seed", "max_output_tokens"})
SOUNDS = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/mpeg": "mp3", "audio/mp3": "mp3"}
CONNECT_TIMEOUT = 10.0
TOO_LONG = re.compile(r"context[ _](length|window|size)|prompt is too long|maximum number of tokens", re.IGNORECASE)
UNKNOWN_MODEL = re.compile(r"model_not_found|model\b.*\b(does not exist|not found)", re.IGNORECASE)
NO_CREDIT = re.compile(r"insufficient_quota|exceeded your current quota", re.IGNORECASE)
SCHEMA_PROMPT = "Answer with one JSON value that satisfies this JSON Schema, and with nothing else:\n"


@dataclass(frozen=True)
class Endpoint:
    """One server, as the configuration describes it; `base_url` ends where /chat/completions begins.

    `schema` is how the server takes a JSON Schema, `none` meaning as text in the system message. `site` declares that
    the server is in the site's own network. `reasoning` declares that it takes `reasoning_effort` and
    `max_completion_tokens`, which other servers ignore in silence.
    """

    base_url: str
    api_key: str | None = field(default=None, repr=False)
    schema: Literal["json_schema", "json_object", "guided_json", "none"] = "json_schema"
    site: bool = False
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    reasoning: bool = False

    @property
    def url(self) -> httpx.URL:
        """The base URL as httpx reads it, so that what is judged here is what is called."""
        try:
            url = httpx.URL(self.base_url)
        except httpx.InvalidURL:
            url = httpx.URL()
        if url.scheme not in ("http", "https") or not url.host or url.userinfo or url.query:
            raise ConfigError("an endpoint's base_url must be http(s)://host[:port]/path, without user, key or query")
        return url

    @property
    def reach(self) -> Reach:
        """Where data sent to it goes."""
        if _is_loopback(self.url.host):
            return "machine"
        return "site" if self.site else "any"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no message may quote: the key, and the long words of header values."""
        words = [word for _, value in self.headers for word in value.split() if len(word) >= 8]
        return ((self.api_key or "").strip(), *words)


@dataclass
class _Answer:
    """What has come so far of one answer."""

    streamed: bool = False
    texts: list[str] = field(default_factory=list[str])
    reason: str | None = None
    refusal: str = ""
    thought: bool = False
    usage: dict[str, Any] = field(default_factory=dict[str, Any])
    model: str | None = None
    response_id: str | None = None
    started: float = field(default_factory=time.monotonic)
    first_text: float | None = None

    def add(self, body: dict[str, Any]) -> str:
        """Take in a chunk, or a whole body, and return its text."""
        self.model = _text(body.get("model")) or self.model
        self.response_id = _text(body.get("id")) or self.response_id
        self.usage = wire.mapping(body.get("usage")) or self.usage
        choices = wire.items(body.get("choices"))
        text = self._choice(wire.mapping(choices[0])) if choices else ""
        if text and self.first_text is None:
            self.first_text = time.monotonic() - self.started
        self.texts.append(text)
        return text

    def _choice(self, choice: dict[str, Any]) -> str:
        self.reason = _text(choice.get("finish_reason")) or self.reason
        said = wire.mapping(choice.get("delta")) or wire.mapping(choice.get("message"))
        self.refusal += _text(said.get("refusal")) or ""
        self.thought = self.thought or bool(said.get("reasoning_content") or said.get("reasoning"))
        content = said.get("content")
        return content if isinstance(content, str) else ""

    def reply(self, asked: str) -> Reply:
        """The whole answer; raises where it is none, with the tokens that were counted all the same."""
        try:
            return self._whole(asked)
        except ProviderError as exc:
            exc.usage = _usage(self.usage)
            raise

    def _whole(self, asked: str) -> Reply:
        text = "".join(self.texts)
        self._refuse_unfinished(text)
        if not text.strip():
            raise EmptyReplyError(f"the endpoint returned no text: {self._why_empty()}")
        return Reply(
            text=text,
            model=self.model or asked,
            finish_reason="length" if self.reason == "length" else "stop",
            usage=_usage(self.usage),
            response_id=self.response_id,
            first_text=self.first_text,
            provider=OpenAICompatible.name,
        )

    def _refuse_unfinished(self, text: str) -> None:
        if self.refusal or self.reason == "content_filter":
            raise BlockedError(f"the endpoint blocked the answer: {wire.clean(self.refusal, ()) or self.reason}")
        if self.reason is None and not (self.streamed or text):
            raise EmptyReplyError("the endpoint returned no choice and no reason")
        if self.reason is None:
            raise StreamCutError(
                "the answer of the endpoint ended without saying that it was complete",
                hint=None if text else "llama_cpp.server ends a stream so when the prompt does not fit its context",
            )
        if self.reason not in ("stop", "length"):
            raise ProviderError(f"the endpoint ended its answer for the reason {self.reason!r}")

    def _why_empty(self) -> str:
        if self.reason == "length":
            return "the output token limit was consumed, thinking included"
        return "only thinking came" if self.thought else f"finish_reason {self.reason}"


class OpenAICompatible:
    """One endpoint."""

    name = "openai"
    system = "openai"

    def __init__(self, endpoint: Endpoint) -> None:
        self.reach: Reach = endpoint.reach
        self.honoured = HONOURED | {"thinking"} if endpoint.reasoning else HONOURED
        self._endpoint = endpoint
        headers = dict(endpoint.headers)
        if not all(text.isascii() and text.isprintable() for header in endpoint.headers for text in header):
            raise ConfigError("a header of an endpoint holds characters that no header can carry")
        if endpoint.api_key is not None:
            headers["Authorization"] = f"Bearer {wire.checked_key(endpoint.api_key)}"
        # Proxies of the environment could carry local data out; a redirect could carry it, and the key, anywhere.
        # The context is made here because a site's own authority (SSL_CERT_FILE) must hold without trust_env too.
        self._client = httpx.Client(
            base_url=endpoint.url,
            headers=headers,
            verify=httpx.create_ssl_context(),
            trust_env=self.reach == "any",
            follow_redirects=False,
        )

    def generate(self, request: Request, model: str, options: Options, on_text: OnText | None = None) -> Reply:
        """Run one request, as a stream when `on_text` is given."""
        refuse_options(self.name, options, self.honoured)
        body = _body(self._endpoint, request, model, options)
        call = partial(self._stream if on_text else self._plain, body, options.timeout)
        return wire.within(options.timeout, call, on_text).reply(model)

    def embed(self, texts: Sequence[str], model: str, options: Options) -> Embeddings:
        """One vector a text, in one call."""
        refuse_options(self.name, options, frozenset())
        call = partial(self._post, "embeddings", {"model": model, "input": list(texts)}, options.timeout)
        body = wire.within(options.timeout, call)
        vectors = wire.checked_vectors(_vectors(body), len(texts))
        return Embeddings(
            vectors, _text(body.get("model")) or model, wire.unit_length(vectors), _usage(body.get("usage"))
        )

    def probe(self, seconds: float) -> Probe:
        """Ask for the models that it serves."""
        return wire.within(seconds, partial(self._models, seconds))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _models(self, timeout: float, emit: OnText) -> Probe:
        with self._opened("GET", "models", None, timeout) as response:
            body = self._checked(_json(b"".join(_watched(response, emit)), TemporaryError))
            names = [_text(wire.mapping(row).get("id")) for row in wire.items(body.get("data"))]
            return Probe(tuple(filter(None, names)), wire.http_date(response.headers.get("date")))

    def _plain(self, body: dict[str, Any], timeout: float, emit: OnText) -> _Answer:
        answer = _Answer()
        answer.add(self._post("chat/completions", body, timeout, emit))
        return answer

    def _stream(self, body: dict[str, Any], timeout: float, emit: OnText) -> _Answer:
        answer = _Answer(streamed=True)
        body = {**body, "stream": True, "stream_options": {"include_usage": True}}
        with self._opened("POST", "chat/completions", _encoded(body), timeout) as response:
            for data in _sse_data(_watched(response, emit)):
                if data == b"[DONE]":
                    break
                emit(answer.add(self._checked(_json(data, StreamCutError))))
        return answer

    def _post(self, path: str, body: dict[str, Any], timeout: float, emit: OnText) -> dict[str, Any]:
        with self._opened("POST", path, _encoded(body), timeout) as response:
            return self._checked(_json(b"".join(_watched(response, emit)), TemporaryError))

    @contextmanager
    def _opened(self, method: str, path: str, content: bytes | None, timeout: float) -> Generator[httpx.Response]:
        limits = httpx.Timeout(timeout, connect=min(timeout, CONNECT_TIMEOUT))
        kind = {"Content-Type": "application/json"} if content is not None else {}
        with (
            self._translated(),
            self._client.stream(method, path, content=content, headers=kind, timeout=limits) as response,
        ):
            if response.status_code != 200:
                response.read()
                body = _error_body(response.content)
                wait = wire.hinted_wait(response.headers, _details(body))
                message = _message(body) if body else response.content.decode(errors="replace")
                raise self._refusal(response.status_code, message, wait)
            try:
                yield response
            except ProviderError as exc:
                exc.may_be_billed = True  # with a 200 the server has begun its work
                raise

    @contextmanager
    def _translated(self) -> Generator[None]:
        try:
            yield
        except httpx.TimeoutException as exc:
            raise TimeoutExceededError(self._say("no answer in time", exc)) from exc
        except (httpx.RemoteProtocolError, httpx.ReadError) as exc:
            raise StreamCutError(self._say("the connection was cut", exc)) from exc
        except httpx.RequestError as exc:
            raise TemporaryError(self._say("cannot be reached", exc)) from exc

    def _checked(self, body: dict[str, Any]) -> dict[str, Any]:
        """The body of a 200, which may hold an error all the same; older vLLM has it without an `error` around it."""
        if not body.get("error") and body.get("object") != "error":
            return body
        code = str((wire.mapping(body.get("error")) or body).get("code"))
        status = int(code) if re.fullmatch("[45][0-9]{2}", code) else 500
        raise self._refusal(status, _message(body))

    def _refusal(self, status: int, message: str, wait: float | None = None) -> ProviderError:
        text = self._say(f"HTTP {status}", message or "no explanation")
        if status == 429 and wait is None and NO_CREDIT.search(text):
            return QuotaError(f"quota used up: {text}", hint="add credit, or use another model")
        kind = RateLimitError if status == 429 else _kind(status, text)
        return kind(text, retry_after=wait) if issubclass(kind, TemporaryError) else kind(text)

    def _say(self, what: str, detail: object) -> str:
        return wire.clean(f"{self._endpoint.url.host}: {what}: {detail}", self._endpoint.secrets)


def _kind(status: int, message: str) -> type[ProviderError]:
    if status in (401, 403):
        return AuthenticationError
    if TOO_LONG.search(message) and status >= 400:
        return ContextLengthError
    if status == 404 or (status == 400 and UNKNOWN_MODEL.search(message)):
        return ModelNotFoundError
    if status == 408 or status >= 500:
        return TemporaryError
    return InvalidRequestError if status >= 400 else ProviderError


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _watched(response: httpx.Response, emit: OnText) -> Iterator[bytes]:
    """The body as it comes; emitting nothing ends a call that was given up, even where no event is complete."""
    for chunk in response.iter_bytes():
        emit("")
        yield chunk


def _sse_data(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The data of each server-sent event; lines end at line feeds alone, for JSON may hold U+2028."""
    data: list[bytes] = []
    for line in _lines(chunks):
        if line.startswith(b"data:"):
            data.append(line.removeprefix(b"data:").strip())
        elif not line and data:
            yield b"\n".join(data)
            data = []
    if data:
        yield b"\n".join(data)


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest: list[bytes] = []
    for chunk in chunks:
        *lines, last = chunk.split(b"\n")
        for line in lines:
            yield b"".join((*rest, line)).rstrip(b"\r")
            rest = []
        rest.append(last)
    yield b"".join(rest).rstrip(b"\r")


def _encoded(body: dict[str, Any]) -> bytes:
    # ASCII, because an argument or a reply may hold half of a surrogate pair, which UTF-8 cannot carry
    return json.dumps(body).encode()


def _json(data: bytes, otherwise: type[ProviderError]) -> dict[str, Any]:
    try:
        body = wire.mapping(json.loads(data))
    except (ValueError, RecursionError) as exc:
        raise otherwise("what came back is not JSON, as an OpenAI-compatible server sends") from exc
    if not body:
        raise otherwise("what came back is not a JSON object, as an OpenAI-compatible server sends")
    return body


def _error_body(content: bytes) -> dict[str, Any]:
    """The body of an error; Google's endpoint puts it in a list."""
    try:
        body = json.loads(content)
        return wire.mapping(wire.items(body)[0] if wire.items(body) else body)
    except (ValueError, RecursionError):
        return {}


def _details(body: dict[str, Any]) -> list[Any]:
    """What Google adds to an error, on its own OpenAI-compatible endpoint, too."""
    return wire.items(wire.mapping(body.get("error")).get("details"))


def _message(body: dict[str, Any]) -> str:
    """The explanation, wherever this server puts it; FastAPI has it in `detail`."""
    error = body.get("error") or body
    found = wire.mapping(error)
    words = [str(found[name]) for name in ("code", "message", "detail") if found.get(name)]
    return " ".join(words) if found else str(error)


def _body(endpoint: Endpoint, request: Request, model: str, options: Options) -> dict[str, Any]:
    limit = "max_completion_tokens" if endpoint.reasoning else "max_tokens"
    optional = {
        "temperature": options.temperature,
        "top_p": options.top_p,
        "seed": options.seed,
        limit: options.max_output_tokens,
        "reasoning_effort": options.thinking,
    }
    return {
        "model": model,
        "messages": _messages(endpoint, request),
        **{name: value for name, value in optional.items() if value is not None},
        **_constraint(endpoint, request),
    }


def _messages(endpoint: Endpoint, request: Request) -> list[dict[str, Any]]:
    system = [request.system] if request.system else []
    if request.schema is not None and endpoint.schema == "none":
        system.append(SCHEMA_PROMPT + json.dumps(dict(request.schema), ensure_ascii=False))
    first = [{"role": "system", "content": "\n\n".join(system)}] if system else []
    return first + [{"role": message.role, "content": _content(message)} for message in request.messages]


def _content(message: Message) -> str | list[dict[str, Any]]:
    if any(isinstance(part, Media) for part in message.parts):
        return [_part(part) for part in message.parts]
    return message.text


def _part(part: Part) -> dict[str, Any]:
    if not isinstance(part, Media):
        return {"type": "text", "text": part.text}
    data = base64.b64encode(part.data).decode()
    if part.mime_type.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": f"data:{part.mime_type};base64,{data}"}}
    if part.mime_type in SOUNDS:
        return {"type": "input_audio", "input_audio": {"data": data, "format": SOUNDS[part.mime_type]}}
    raise UnsupportedError(f"an endpoint takes images, WAV and MP3, not {part.mime_type} ({part.name or 'no name'})")


def _constraint(endpoint: Endpoint, request: Request) -> dict[str, Any]:
    if request.schema is None or endpoint.schema == "none":
        return {}
    schema = dict(request.schema)
    if endpoint.schema == "guided_json":
        return {"guided_json": schema}
    if endpoint.schema == "json_object":
        return {"response_format": {"type": "json_object", "schema": schema}}
    named = {"name": "answer", "schema": schema, "strict": _is_strict(schema)}
    return {"response_format": {"type": "json_schema", "json_schema": named}}


def _is_strict(schema: object) -> bool:
    """Whether OpenAI would take it as strict: every object closed, every property required."""
    node = wire.mapping(schema)
    if node.get("type") == "object" or "properties" in node:
        closed = node.get("additionalProperties") is False
        if not closed or set(wire.mapping(node.get("properties"))) != set(wire.items(node.get("required"))):
            return False
    return all(_is_strict(value) for value in (*node.values(), *wire.items(schema)))


def _vectors(body: dict[str, Any]) -> list[list[float]]:
    rows = sorted((wire.mapping(row) for row in wire.items(body.get("data"))), key=lambda row: row.get("index", 0))
    return [wire.items(row.get("embedding")) for row in rows]


def _usage(usage: object) -> Usage:
    counts = wire.mapping(usage)
    return Usage(
        input_tokens=_count(counts.get("prompt_tokens")),
        output_tokens=_count(counts.get("completion_tokens")),
        cached_tokens=_count(wire.mapping(counts.get("prompt_tokens_details")).get("cached_tokens")),
        reasoning_tokens=_count(wire.mapping(counts.get("completion_tokens_details")).get("reasoning_tokens")),
    )


def _count(value: object) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
