"""Gemini, by google-genai: translates a Request to one SDK call, and its reply or failure back.

Knows nothing of routes, retries, prices or audit; nor does it put `passages` or `draft` in the prompt, which whoever
composes the messages does. Google is asked not to store anything (`store=False`), and the SDK neither to retry nor to
continue a reply on its own.
"""

from __future__ import annotations

import json
import logging
import math
import re
import time
import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import httpx
import httpx2
from google import genai
from google.genai import errors, types
from pydantic import ValidationError

from gemx.documents import Media, Part
from gemx.errors import (
    AuthenticationError,
    BlockedError,
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

HONOURED = frozenset({"temperature", "top_p", "seed", "max_output_tokens", "thinking", "service_tier"})
MEDIA = ("image/", "audio/", "application/pdf")
CUT = frozenset({"MAX_TOKENS", "CONTINUATION"})
UNUSABLE = frozenset(
    {
        "MALFORMED_FUNCTION_CALL",
        "MALFORMED_RESPONSE",
        "MISSING_THOUGHT_SIGNATURE",
        "NO_IMAGE",
        "TOO_MANY_TOOL_CALLS",
        "UNEXPECTED_TOOL_CALL",
    }
)
MODEL_NAME = re.compile(r"[\w-]+([./][\w-]+)*")
TOO_LONG = re.compile(r"token count.*exceeds|exceeds the maximum number of tokens", re.IGNORECASE)
DAILY = re.compile(r"PerDay|Daily", re.IGNORECASE)
PROBED_MODELS = 1000
NO_QUOTA = re.compile(r"\blimit: 0\b")

# The SDK prefers httpx2 and takes httpx where GOOGLE_GENAI_HTTP_CLIENT says so; their exceptions are unrelated.
TIMEOUTS = (httpx.TimeoutException, httpx2.TimeoutException)
CUTS = (httpx.RemoteProtocolError, httpx2.RemoteProtocolError, httpx.ReadError, httpx2.ReadError)
UNREACHABLE = (httpx.RequestError, httpx2.RequestError)
NOT_JSON = (json.JSONDecodeError, errors.UnknownApiResponseError, ValidationError)


@dataclass
class _Answer:
    """What has come so far of one answer."""

    streamed: bool = False
    texts: list[str] = field(default_factory=list[str])
    reason: str | None = None
    explanation: str = ""
    blocked_prompt: str | None = None
    usage: types.GenerateContentResponseUsageMetadata | None = None
    model: str | None = None
    response_id: str | None = None
    started: float = field(default_factory=time.monotonic)
    first_text: float | None = None

    def add(self, chunk: types.GenerateContentResponse) -> str:
        """Take in a chunk and return its text."""
        self.model = chunk.model_version or self.model
        self.response_id = chunk.response_id or self.response_id
        self.usage = chunk.usage_metadata or self.usage
        if chunk.prompt_feedback and chunk.prompt_feedback.block_reason:
            self.blocked_prompt = chunk.prompt_feedback.block_reason.value
        text = self._candidate(chunk.candidates[0]) if chunk.candidates else ""
        if text and self.first_text is None:
            self.first_text = time.monotonic() - self.started
        self.texts.append(text)
        return text

    def _candidate(self, candidate: types.Candidate) -> str:
        if candidate.finish_reason:
            self.reason = candidate.finish_reason.value
            self.explanation = f" ({candidate.finish_message})" if candidate.finish_message else ""
        parts = (candidate.content and candidate.content.parts) or []
        return "".join(part.text for part in parts if part.text and not part.thought)

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
            raise EmptyReplyError(f"Gemini returned no text: {self._why_empty()}")
        return Reply(
            text=text,
            model=self.model or asked,
            finish_reason="length" if self.reason in CUT else "stop",
            usage=_usage(self.usage),
            response_id=self.response_id,
            first_text=self.first_text,
            provider=Gemini.name,
        )

    def _refuse_unfinished(self, text: str) -> None:
        if self.blocked_prompt:
            raise BlockedError(f"Gemini blocked the prompt: {self.blocked_prompt}")
        if self.reason is None and not (self.streamed or text):
            raise EmptyReplyError("Gemini returned no candidate and no reason")
        if self.reason in (None, "FINISH_REASON_UNSPECIFIED"):
            raise StreamCutError("the answer of Gemini ended without saying that it was complete")
        if self.reason in UNUSABLE:
            raise EmptyReplyError(f"Gemini gave no usable answer: {self.reason}{self.explanation}")
        if self.reason not in CUT | {"STOP"}:
            raise BlockedError(f"Gemini blocked its answer: {self.reason}{self.explanation}")

    def _why_empty(self) -> str:
        if self.reason not in CUT:
            return f"{self.reason}{self.explanation}"
        usage = _usage(self.usage)
        spent = f", {usage.reasoning_tokens} of {usage.output_tokens} tokens on thinking" if usage.output_tokens else ""
        return f"the output token limit was consumed, thinking included ({self.reason}{spent})"


class Gemini:
    """The Gemini Developer API. `base_url` replaces Google's; GOOGLE_GEMINI_BASE_URL does where it is None."""

    name = "gemini"
    system = "gcp.gemini"
    reach: Reach = "any"
    honoured = HONOURED

    def __init__(self, api_key: str, base_url: str | None = None) -> None:
        self._key = wire.checked_key(api_key)
        _quieten()
        # enterprise=False: the environment must not send the call to another cloud service, where `store` is unknown.
        # No redirects: the key is in a header that HTTP clients would carry along to another host.
        self._client = genai.Client(
            enterprise=False,
            api_key=self._key,
            http_options=types.HttpOptions(base_url=base_url, client_args={"follow_redirects": False}),
        )

    def generate(self, request: Request, model: str, options: Options, on_text: OnText | None = None) -> Reply:
        """Run one request, as a stream when `on_text` is given."""
        refuse_options(self.name, options, self.honoured)
        contents = [_content(message) for message in request.messages]
        call = partial(
            self._stream if on_text else self._plain, _checked_model(model), contents, _config(request, options)
        )
        return wire.within(options.timeout, call, on_text).reply(model)

    def embed(self, texts: Sequence[str], model: str, options: Options) -> Embeddings:
        """One vector a text, in one call."""
        refuse_options(self.name, options, frozenset())
        call = partial(self._embed, texts, _checked_model(model), options.timeout)
        response = wire.within(options.timeout, call)
        values = [embedding.values or [] for embedding in response.embeddings or []]
        vectors = wire.checked_vectors(values, len(texts))
        tokens = response.usage_metadata.prompt_token_count if response.usage_metadata else None
        return Embeddings(vectors, model, wire.unit_length(vectors), Usage(input_tokens=tokens))

    def probe(self, seconds: float) -> Probe:
        """Ask for the models that the key may use."""
        return wire.within(seconds, partial(self._models, seconds))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _models(self, timeout: float, emit: OnText) -> Probe:
        config = types.ListModelsConfig(page_size=PROBED_MODELS, http_options=_http(timeout))
        with self._translated():
            page = self._client.models.list(config=config)
        response = page.sdk_http_response
        headers = response.headers if response and response.headers else {}
        date = next((value for name, value in headers.items() if name.lower() == "date"), None)
        names = [(model.name or "").removeprefix("models/") for model in page.page]
        return Probe(tuple(names), wire.http_date(date))

    def _plain(
        self, model: str, contents: list[types.Content], config: types.GenerateContentConfig, emit: OnText
    ) -> _Answer:
        answer = _Answer()
        with self._translated():
            response = self._client.models.generate_content(  # pyright: ignore[reportUnknownMemberType]
                model=model, contents=list(contents), config=config
            )
            answer.add(response)
        return answer

    def _stream(
        self, model: str, contents: list[types.Content], config: types.GenerateContentConfig, emit: OnText
    ) -> _Answer:
        answer = _Answer(streamed=True)
        try:
            with self._translated(streamed=True):
                chunks = self._client.models.generate_content_stream(  # pyright: ignore[reportUnknownMemberType]
                    model=model, contents=list(contents), config=config
                )
                for chunk in chunks:
                    emit(answer.add(chunk))
        except ProviderError as exc:
            exc.may_be_billed = exc.may_be_billed or bool(answer.texts)
            raise
        return answer

    def _embed(self, texts: Sequence[str], model: str, timeout: float, emit: OnText) -> types.EmbedContentResponse:
        # bare strings would become the parts of one content, and one vector
        contents = [types.Content(parts=[types.Part.from_text(text=text)]) for text in texts]
        config = types.EmbedContentConfig(http_options=_http(timeout))
        with self._translated():
            return self._client.models.embed_content(  # pyright: ignore[reportUnknownMemberType]
                model=model, contents=list(contents), config=config
            )

    @contextmanager
    def _translated(self, *, streamed: bool = False) -> Generator[None]:
        try:
            yield
        except errors.APIError as exc:
            raise self._refusal(exc) from exc
        except TIMEOUTS as exc:
            raise TimeoutExceededError(self._say("no answer in time", exc)) from exc
        except CUTS as exc:
            raise StreamCutError(self._say("the connection was cut", exc)) from exc
        except UNREACHABLE as exc:
            raise TemporaryError(self._say("cannot be reached", exc)) from exc
        except NOT_JSON as exc:
            # str(exc) would quote the body
            kind = StreamCutError if streamed else TemporaryError
            error = kind(self._say("what came back is not an answer of the Gemini API", type(exc).__name__))
            error.may_be_billed = True
            raise error from exc

    def _say(self, what: str, detail: object) -> str:
        return wire.clean(f"Gemini: {what}: {detail}", [self._key])

    def _refusal(self, exc: errors.APIError) -> ProviderError:
        body = wire.mapping(cast("Any", exc).details)
        details = [wire.mapping(detail) for detail in wire.items(wire.mapping(body.get("error")).get("details"))]
        message = self._say(f"HTTP {exc.code}", exc.message or exc.status or "no explanation")
        wait = _asked_wait(exc, details)
        if exc.code == 429 or (exc.code == 503 and exc.status == "RESOURCE_EXHAUSTED"):
            return _rate_limit(message, details, wait)
        kind = _kind(exc.code, message, details)
        return kind(message, retry_after=wait) if issubclass(kind, TemporaryError) else kind(message)


def _kind(code: int, message: str, details: list[dict[str, Any]]) -> type[ProviderError]:
    if code in (401, 403) or any(detail.get("reason") == "API_KEY_INVALID" for detail in details):
        return AuthenticationError
    if code == 404:
        return ModelNotFoundError
    if code == 408 or code >= 500:
        return TemporaryError
    if TOO_LONG.search(message):
        return ContextLengthError
    return InvalidRequestError if code >= 400 else ProviderError


def _rate_limit(message: str, details: list[dict[str, Any]], wait: float | None) -> RateLimitError:
    quotas = [wire.mapping(item).get("quotaId") for detail in details for item in wire.items(detail.get("violations"))]
    if any(DAILY.search(str(quota)) for quota in quotas) or DAILY.search(message):
        return QuotaError(f"daily quota used up: {message}", ends=_next_day())
    if NO_QUOTA.search(message):
        return QuotaError(f"no quota for this model: {message}", hint="choose another model, or pay for this one")
    return RateLimitError(message, retry_after=wait)


def _next_day() -> datetime | None:
    """When Google's day of a quota ends: at midnight in California."""
    try:
        today = datetime.now(ZoneInfo("America/Los_Angeles"))
    except ZoneInfoNotFoundError:
        return None
    midnight = (today + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight.astimezone(UTC)


def _asked_wait(exc: errors.APIError, details: list[dict[str, Any]]) -> float | None:
    # an error inside a stream carries the SDK's own response, whose headers are a plain dict in lower case
    response = cast("Any", exc).response
    return wire.hinted_wait(response.headers if response is not None else {}, details)


def _quieten() -> None:
    """Keep what the SDK says to the terminal off stderr: two keys in the environment, enum values newer than it."""
    logging.getLogger("google_genai").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=UserWarning, module=r"google\.genai\b")


def _checked_model(model: str) -> str:
    if not MODEL_NAME.fullmatch(model):
        raise ModelNotFoundError(f"{model!r} is not the name of a Gemini model")
    return model


def _http(timeout: float) -> types.HttpOptions:
    return types.HttpOptions(timeout=max(1, math.ceil(timeout * 1000)))


def _config(request: Request, options: Options) -> types.GenerateContentConfig:
    thinking = types.ThinkingConfig(thinking_level=types.ThinkingLevel(options.thinking)) if options.thinking else None
    return types.GenerateContentConfig(
        system_instruction=request.system,
        temperature=options.temperature,
        top_p=options.top_p,
        seed=options.seed,
        max_output_tokens=options.max_output_tokens,
        thinking_config=thinking,
        service_tier=types.ServiceTier(options.service_tier) if options.service_tier else None,
        response_mime_type="application/json" if request.schema is not None else None,
        response_json_schema=dict(request.schema) if request.schema is not None else None,
        store=False,
        automatic_continuation=False,
        http_options=_http(options.timeout),
    )


def _content(message: Message) -> types.Content:
    role = "user" if message.role == "user" else "model"
    return types.Content(role=role, parts=[_part(part) for part in message.parts])


def _part(part: Part) -> types.Part:
    if not isinstance(part, Media):
        return types.Part.from_text(text=part.text)
    if not part.mime_type.startswith(MEDIA):
        raise UnsupportedError(f"Gemini takes images, sounds and PDF, not {part.mime_type} ({part.name or 'no name'})")
    return types.Part.from_bytes(data=part.data, mime_type=part.mime_type)


def _usage(usage: types.GenerateContentResponseUsageMetadata | None) -> Usage:
    if usage is None:
        return Usage()
    return Usage(
        input_tokens=_sum(usage.prompt_token_count, usage.tool_use_prompt_token_count),
        output_tokens=_sum(usage.candidates_token_count, usage.thoughts_token_count),
        cached_tokens=usage.cached_content_token_count,
        reasoning_tokens=usage.thoughts_token_count,
    )


def _sum(*counts: int | None) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
