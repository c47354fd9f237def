"""One try at a provider, on its way to the audit: however it ends, a refusal by the door included, it is on record."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from gemx import keys
from gemx.audit import content, record, writer
from gemx.errors import GemxError, StoppedError
from gemx.gateway.policy import Policy
from gemx.gateway.route import Route
from gemx.providers import Reach
from gemx.providers.base import Attempt, Embeddings, Options, Origin, Provider, Reply, Usage

_SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM}


@dataclass
class Trial:
    """What is known so far of one try. `sent` says whether anything left for the provider."""

    operation: str
    policy: Policy
    route: Route
    origin: Origin
    number: int
    started: float = field(default_factory=time.monotonic)
    reach: Reach | None = None
    provider: Provider | None = None
    options: Options = field(default_factory=Options)
    audio: bool = False
    output_type: str | None = None
    stream: bool | None = None
    texts: Mapping[str, str] = field(default_factory=dict[str, str])
    guard: str | None = None
    kinds: Mapping[str, int] = field(default_factory=dict[str, int])
    price_table: str | None = None
    cost: Decimal | None = None
    usage: Usage | None = None
    answer: dict[str, Any] = field(default_factory=dict[str, Any])
    error: str | None = None
    sent: bool = False

    def sending(self) -> None:
        """From here on the provider has it, and the time counts."""
        self.sent, self.started = True, time.monotonic()

    def finished(self, answer: Reply | Embeddings) -> None:
        """Take down what came back."""
        self.usage = answer.usage
        self.answer = {"gen_ai.response.model": answer.model, **_tokens(answer.usage)}
        if isinstance(answer, Reply):
            self.texts = {**self.texts, "reply": answer.text}
            self.answer |= {
                "gen_ai.response.id": answer.response_id,
                "gen_ai.response.finish_reasons": [answer.finish_reason],
                "gen_ai.response.time_to_first_chunk": _seconds(answer.first_text),
            }

    @property
    def generates(self) -> bool:
        """Whether text is asked for, and not vectors."""
        return self.operation == "generate_content"

    def summary(self) -> Attempt:
        """The try as replies and errors carry it."""
        duration = time.monotonic() - self.started
        cost = self.cost if self.sent else Decimal(0)
        prices = self.price_table if self.sent else None
        return Attempt(self.route.provider, self.route.model, duration, self.error, cost, prices, self.usage)

    def write(self) -> None:
        """Append its record. Raises StorageError."""
        kept = self.policy.settings.config.audit.content
        made = record.attempt(
            self._fields(),
            kind="attempt" if self.sent else "refusal",
            run_id=self.origin.run_id,
            command=self.origin.command,
            subject=self.origin.subject,
            texts={} if kept == "none" else self.texts,
        )
        # The texts first: a record names what is there.
        writer.append(content.keep(made, self.texts) if kept == "full" else made)

    def _fields(self) -> dict[str, Any]:
        route, options, asked = self.route, self.options, self.policy.route
        return {
            "gen_ai.operation.name": self.operation,
            "gen_ai.provider.name": self.provider.system if self.provider else route.provider,
            # somebody may have put a key in the place of a name
            "gen_ai.request.model": keys.redact(route.model),
            "gen_ai.request.temperature": options.temperature,
            "gen_ai.request.top_p": options.top_p,
            "gen_ai.request.seed": options.seed,
            "gen_ai.request.max_tokens": options.max_output_tokens,
            "gen_ai.request.stream": self.stream,
            "gen_ai.output.type": self.output_type,
            **self.answer,
            "error.type": self.error,
            "gemx.status": "error" if self.error else "ok",
            "gemx.duration": _seconds(time.monotonic() - self.started),
            "gemx.try": self.number,
            "gemx.route": route.provider,
            "gemx.route_reason": route.reason,
            "gemx.fallback_from": keys.redact(str(asked)) if route != asked else None,
            "gemx.reach": self.reach,
            "gemx.store": False if route.provider == "gemini" else None,
            "gemx.service_tier": options.service_tier,
            "gemx.guard": self.guard,
            "gemx.guard_found": dict(self.kinds) or None,
            "gemx.cost_usd": None if self.cost is None else float(self.cost),
            "gemx.price_table": self.price_table,
            **self.origin.about,
        }


@contextmanager
def recorded(trial: Trial) -> Generator[Trial]:
    """Run one try, and write its record. A try is made only where the audit can be written."""
    writer.check_writable()
    record.digest("")  # the key of the hashes is there, too, before a call is paid for
    try:
        yield trial
    except BaseException as exc:
        trial.error = exc.code if isinstance(exc, GemxError) else _unplanned(exc)
        uninterrupted(trial.write)
        if isinstance(exc, GemxError):
            trial.usage = exc.usage
            exc.attempts = (*exc.attempts, trial.summary())
        raise
    uninterrupted(trial.write)


def _tokens(usage: Usage) -> dict[str, Any]:
    """Usage by its names in the audit."""
    return {
        "gen_ai.usage.input_tokens": usage.input_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": usage.cached_tokens,
        "gen_ai.usage.reasoning.output_tokens": usage.reasoning_tokens,
    }


def uninterrupted(write: Callable[[], None]) -> None:
    """Write down what happened, whatever signals come: they are seen after it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        write()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _unplanned(exc: BaseException) -> str:
    return StoppedError.code if isinstance(exc, KeyboardInterrupt) else type(exc).__name__


def _seconds(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
