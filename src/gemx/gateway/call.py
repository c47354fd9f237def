"""Open the provider, make the call, and write one audit record an attempt, however it ends.

A call is made only when the audit can be written. Nothing else in gemx may call a provider.
"""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from gemx import providers
from gemx.audit import record, writer
from gemx.documents import Text
from gemx.errors import GemxError, StoppedError, UnsupportedError
from gemx.gateway.policy import Policy
from gemx.providers.base import Attempt, Embedder, Embeddings, Message, OnText, Options, Origin, Reply, Request, Usage

if TYPE_CHECKING:
    from gemx.providers.base import Provider

Validate = Callable[[str], tuple[Any, Sequence[object]]]
_FENCE = re.compile(r"\s*```\w*\n(?P<inner>.*?)\n?```\s*", re.DOTALL)
_BYTES_PER_TOKEN = 3.5


def call(request: Request, policy: Policy, *, on_text: OnText | None = None) -> Reply:
    """One model call. Raises GemxError with its `attempts`; each attempt is on record before this returns or raises."""
    with _attempt("generate_content", policy, request.origin) as attempt:
        attempt.texts = {"prompt": _prompt_text(request)}
        attempt.output_type = "json" if request.schema is not None else "text"
        attempt.stream = on_text is not None
        provider = attempt.open()
        reply = provider.generate(request, attempt.model, attempt.options, on_text)
        attempt.finished(reply)
    return replace(reply, provider=provider.name, attempts=(attempt.summary(),))


def structured(
    request: Request,
    policy: Policy,
    validate: Validate,
    repairs: int = 0,
    *,
    on_round: Callable[[Reply], None] | None = None,
) -> Reply:
    """A call whose text must be valid: what is wrong with it goes back to the model at most `repairs` times.

    Stops early when the number of problems does not fall, and keeps the better answer; an answer that can be read at
    all is better than one that cannot. The reply holds the value, or None, and the problems; an invalid answer is data,
    not an exception. `on_round` sees each judged reply, also one that is not kept.
    """
    reply = _judged(call(request, policy), validate)
    if on_round:
        on_round(reply)
    attempts = reply.attempts
    for _ in range(repairs):
        if not reply.problems:
            break
        request = replace(request, messages=(*request.messages, *_repair_turns(reply)))
        try:
            repaired = _judged(call(request, policy), validate)
        except GemxError as exc:
            exc.attempts = (*attempts, *exc.attempts)
            raise
        attempts += repaired.attempts
        if on_round:
            on_round(repaired)
        if _rank(repaired) >= _rank(reply):
            break
        reply = repaired
    return replace(reply, attempts=attempts)


def _rank(reply: Reply) -> tuple[bool, int]:
    """Lower is better: what could be read, then what has fewer problems."""
    return reply.value is None, len(reply.problems)


def embed(texts: Sequence[str], policy: Policy, origin: Origin) -> Embeddings:
    """Embed texts, by the same door. Raises GemxError; UnsupportedError where the provider has no embeddings."""
    with _attempt("embeddings", policy, origin) as attempt:
        attempt.texts = {"prompt": "\n".join(texts)}
        provider = attempt.open()
        if not isinstance(provider, Embedder):
            raise UnsupportedError(f"{provider.name} has no embeddings", hint="choose another model with -m")
        attempt.options = policy.asked
        embeddings = provider.embed(texts, attempt.model, attempt.options)
        attempt.answer = {"gen_ai.response.model": embeddings.model, **_usage(embeddings.usage)}
    return embeddings


def substitution(reply: Reply, policy: Policy) -> str | None:
    """A remark where another model answered than the one asked for, as Gemini does with retired ones."""
    asked = policy.route.model
    if policy.route.provider != "gemini" or reply.model.startswith(asked):
        return None
    return f"answered by {reply.model}, not by the {asked} that was asked for"


def estimate_tokens(request: Request) -> int:
    """About how many tokens the text of a request is; made locally, so that nothing is sent to find out."""
    return round(len(_prompt_text(request).encode("utf-8", "surrogatepass")) / _BYTES_PER_TOKEN)


@dataclass
class _Attempt:
    """One try at a provider, on its way to the audit."""

    operation: str
    policy: Policy
    origin: Origin
    started: float
    provider: Provider | None = None
    model: str = ""
    options: Options = field(default_factory=Options)
    output_type: str | None = None
    stream: bool | None = None
    texts: Mapping[str, str] | None = None
    answer: Mapping[str, Any] | None = None
    error: str | None = None

    def open(self) -> Provider:
        route = self.policy.route
        self.provider, self.model = providers.connect(route.provider, route.model, self.policy.settings)
        self.options = self.policy.options(self.provider.honoured)
        return self.provider

    def finished(self, reply: Reply) -> None:
        self.texts = {**(self.texts or {}), "reply": reply.text}
        self.answer = {
            "gen_ai.response.model": reply.model,
            "gen_ai.response.id": reply.response_id,
            "gen_ai.response.finish_reasons": [reply.finish_reason],
            "gen_ai.response.time_to_first_chunk": _seconds(reply.first_text),
            **_usage(reply.usage),
        }

    def summary(self) -> Attempt:
        route = self.policy.route
        return Attempt(route.provider, route.model, time.monotonic() - self.started, self.error)

    def write(self) -> None:
        keep = self.policy.settings.config.audit.content == "hash"
        writer.append(
            record.attempt(
                self._fields(),
                run_id=self.origin.run_id,
                command=self.origin.command,
                subject=self.origin.subject,
                texts=(self.texts or {}) if keep else {},
            )
        )

    def _fields(self) -> dict[str, Any]:
        route, options = self.policy.route, self.options
        return {
            "gen_ai.operation.name": self.operation,
            "gen_ai.provider.name": self.provider.system if self.provider else route.provider,
            "gen_ai.request.model": route.model,
            "gen_ai.request.temperature": options.temperature,
            "gen_ai.request.top_p": options.top_p,
            "gen_ai.request.seed": options.seed,
            "gen_ai.request.max_tokens": options.max_output_tokens,
            "gen_ai.request.stream": self.stream,
            "gen_ai.output.type": self.output_type,
            **(self.answer or {}),
            "error.type": self.error,
            "gemx.status": "error" if self.error else "ok",
            "gemx.duration": _seconds(time.monotonic() - self.started),
            "gemx.route": route.provider,
            "gemx.route_reason": route.reason,
            "gemx.reach": self.provider.reach if self.provider else None,
            "gemx.store": False if route.provider == "gemini" else None,
            "gemx.automation": self.origin.automation,
            "gemx.automation_version": self.origin.automation_version,
            "gemx.automation_sha256": self.origin.automation_sha256,
            "gemx.automation_path": self.origin.automation_path,
            "gemx.formulary_path": self.origin.formulary_path,
        }


@contextmanager
def _attempt(operation: str, policy: Policy, origin: Origin) -> Generator[_Attempt]:
    writer.check_writable()
    record.digest("")  # the key of the hashes is there, too, before a call is paid for
    attempt = _Attempt(operation, policy, origin, time.monotonic())
    try:
        yield attempt
    except BaseException as exc:
        attempt.error = exc.code if isinstance(exc, GemxError) else _unplanned(exc)
        _uninterrupted(attempt.write)
        if isinstance(exc, GemxError):
            exc.attempts = (*exc.attempts, attempt.summary())
        raise
    _uninterrupted(attempt.write)


def _uninterrupted(write: Callable[[], None]) -> None:
    """Write a record whatever signals come: they are seen after it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        write()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _unplanned(exc: BaseException) -> str:
    return StoppedError.code if isinstance(exc, KeyboardInterrupt) else type(exc).__name__


def _judged(reply: Reply, validate: Validate) -> Reply:
    if reply.finish_reason == "length":
        return replace(reply, problems=("the answer was cut at the token limit",))
    fenced = _FENCE.fullmatch(reply.text)
    value, problems = validate(fenced["inner"] if fenced else reply.text)
    return replace(reply, value=value, problems=tuple(problems))


def _repair_turns(reply: Reply) -> tuple[Message, Message]:
    problems = "\n".join(f"- {problem}" for problem in reply.problems)
    asked = f"The answer is not valid:\n{problems}\nAnswer again, whole, with these corrected and the rest kept."
    return Message("assistant", (Text(reply.text),)), Message("user", (Text(asked),))


def _prompt_text(request: Request) -> str:
    texts = [request.system or "", *(message.text for message in request.messages)]
    media = [f"{part.mime_type}:{len(part.data)}" for part in request.media]
    return "\n\n".join(text for text in (*texts, *media) if text)


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "gen_ai.usage.input_tokens": usage.input_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": usage.cached_tokens,
        "gen_ai.usage.reasoning.output_tokens": usage.reasoning_tokens,
    }


def _seconds(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
