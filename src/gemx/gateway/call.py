"""The door itself. Each call goes down one path: route → guard → budget → limits → the provider → price → audit.

A failure is tried again by its class, then handed to the next route, which enters again at the guard. After the first
text was shown there is neither. Nothing else in gemx may call a provider.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Generic, Self, TypeVar

from gemx import keys, providers
from gemx.audit import record
from gemx.errors import (
    BudgetError,
    GemxError,
    PrivacyError,
    ProviderError,
    RateLimitError,
    TemporaryError,
    UnsupportedError,
)
from gemx.gateway import charge, clock, concurrency, guard, limiter, retry
from gemx.gateway.attempt import Trial, recorded
from gemx.gateway.charge import Charge
from gemx.gateway.estimate import estimate_tokens, most_text_tokens, most_tokens, prompt_text, text_tokens
from gemx.gateway.guard import Guarded
from gemx.gateway.masking import Masks
from gemx.gateway.policy import Policy
from gemx.gateway.route import Route, is_within
from gemx.providers.base import Attempt, Embedder, Embeddings, OnText, Options, Origin, Provider, Reply, Request
from gemx.settings import Guard

_FALLS_BACK = (ProviderError, PrivacyError, BudgetError)
Answer = TypeVar("Answer", Reply, Embeddings)


@dataclass(frozen=True)
class Substitution:
    """Another model answered than was asked for; `failed` says that the one that was asked gave no answer."""

    asked: str
    answered: str
    failed: bool

    def __str__(self) -> str:
        why = f"in place of {self.asked}, which gave no answer" if self.failed else f"not by {self.asked}, as asked"
        return f"answered by {self.answered}, {why}"


def call(request: Request, policy: Policy, *, on_text: OnText | None = None) -> Reply:
    """One model call. Raises GemxError with its `attempts`; each attempt is on record before this returns or raises."""
    sink = _Sink(on_text) if on_text else None
    return _routed(_Generation(request, sink), policy)


def embed(texts: Sequence[str], policy: Policy, origin: Origin) -> Embeddings:
    """Embed texts, by the same door. Raises GemxError; UnsupportedError where the provider has no embeddings."""
    return _routed(_Embedding(texts, origin), policy)


def substitution(reply: Reply, policy: Policy) -> Substitution | None:
    """Which model answered in place of the one asked for: a fallback, or what Gemini puts for a retired one."""
    asked = policy.route
    if reply.route != str(asked):
        return Substitution(str(asked), reply.route, failed=True)
    if asked.provider != "gemini" or reply.model.startswith(asked.model):
        return None
    return Substitution(str(asked), f"{asked.provider}:{reply.model}", failed=False)


def foretell(request: Request, policy: Policy) -> str:
    """What the guard would do with a request on the chosen route, for a person to read. Calls nothing."""
    reach = providers.reach(policy.route.provider, policy.route.model, policy.settings)
    if not is_within(reach, policy.network):
        return f"refused: {policy.route} lies beyond the network that is allowed ({policy.network})"
    return guard.foretell(request, policy.guard_level(reach), reach)


class _Work(ABC, Generic[Answer]):
    """What goes through the door: a request for text, or texts to embed."""

    origin: Origin

    @property
    def shown(self) -> bool:
        """Whether anything of an answer has been shown already."""
        return False

    @property
    @abstractmethod
    def tokens(self) -> tuple[int, int]:
        """About how many tokens it is, and how many at most."""

    @abstractmethod
    def trial(self, policy: Policy, route: Route, number: int) -> Trial:
        """A try of it, for the record."""

    @abstractmethod
    def guarded(self, level: Guard) -> tuple[Self, Guarded]:
        """What of it may be sent. Raises PrivacyError."""

    @abstractmethod
    def run(self, provider: Provider, model: str, options: Options) -> Answer:
        """Send it. Raises ProviderError."""


class _Sink:
    """Where the text of an answer goes piece by piece."""

    def __init__(self, on_text: OnText) -> None:
        self.shown = False
        self._on_text = on_text

    def __call__(self, text: str) -> None:
        if text:
            self.shown = True
            self._on_text(text)


class _Generation(_Work[Reply]):
    def __init__(self, request: Request, sink: _Sink | None, masks: Masks | None = None) -> None:
        self.origin = request.origin
        self.request, self.sink, self.masks = request, sink, masks

    @property
    def shown(self) -> bool:
        return self.sink is not None and self.sink.shown

    @property
    def tokens(self) -> tuple[int, int]:
        return estimate_tokens(self.request), most_tokens(self.request)

    def trial(self, policy: Policy, route: Route, number: int) -> Trial:
        trial = Trial("generate_content", policy, route, self.origin, number)
        trial.texts = {"prompt": prompt_text(self.request)}
        trial.output_type = "json" if self.request.schema is not None else "text"
        trial.stream = self.sink is not None
        trial.audio = any(part.mime_type.startswith("audio/") for part in self.request.media)
        return trial

    def guarded(self, level: Guard) -> tuple[Self, Guarded]:
        request, guarded = guard.check(self.request, level)
        return type(self)(request, self.sink, guarded.masks), guarded

    def run(self, provider: Provider, model: str, options: Options) -> Reply:
        if self.masks is None:
            return provider.generate(self.request, model, options, self.sink)
        in_json = self.request.schema is not None
        restorer = self.masks.restorer(self.sink, in_json=in_json) if self.sink else None
        try:
            reply = provider.generate(self.request, model, options, restorer.feed if restorer else None)
        finally:
            if restorer:
                restorer.flush()
        return replace(reply, text=self.masks.unmask(reply.text, in_json=in_json))


class _Embedding(_Work[Embeddings]):
    def __init__(self, texts: Sequence[str], origin: Origin) -> None:
        self.origin = origin
        self.texts = texts

    @property
    def tokens(self) -> tuple[int, int]:
        return text_tokens(self.texts), most_text_tokens(self.texts)

    def trial(self, policy: Policy, route: Route, number: int) -> Trial:
        trial = Trial("embeddings", policy, route, self.origin, number)
        trial.texts = {"prompt": "\n".join(self.texts)}
        return trial

    def guarded(self, level: Guard) -> tuple[Self, Guarded]:
        texts, guarded = guard.check_texts(self.texts, level)
        return type(self)(texts, self.origin), guarded

    def run(self, provider: Provider, model: str, options: Options) -> Embeddings:
        if not isinstance(provider, Embedder):
            raise UnsupportedError(f"{provider.name} has no embeddings", hint="choose another model with -m")
        return provider.embed(self.texts, model, options)


def _routed(work: _Work[Answer], policy: Policy) -> Answer:
    """The answer of the first route that gives one; where none does, the error is that of the route that was chosen."""
    attempts: tuple[Attempt, ...] = ()
    first: GemxError | None = None
    for index, route in enumerate(policy.routes):
        try:
            answer = _retried(work, policy, route)
            return replace(answer, attempts=(*attempts, *answer.attempts))
        except _FALLS_BACK as exc:
            attempts = exc.attempts = (*attempts, *exc.attempts)
            retry.explain(exc, policy.settings.config.timezone)
            first = first or exc
            following = policy.routes[index + 1] if index + 1 < len(policy.routes) else None
            if following is None or work.shown or clock.monotonic() >= policy.deadline:
                break
            policy.listener.warn(f"model: {route} gave no answer ({exc.code}: {exc.message}); {following} takes over")
    assert first is not None, "a policy has at least one route"  # noqa: S101
    first.attempts = attempts
    raise first


def _retried(work: _Work[Answer], policy: Policy, route: Route) -> Answer:
    """The answer of one route, tried as often as the rules of retrying allow."""
    tries = retry.Tries(policy.retry, policy.deadline)
    attempts: tuple[Attempt, ...] = ()
    while True:
        try:
            answer = _once(work, policy, route, tries.made + 1)
            return replace(answer, attempts=(*attempts, *answer.attempts))
        except GemxError as exc:
            attempts = exc.attempts = (*attempts, *exc.attempts)
            wait = None if work.shown else tries.wait_after(exc)
            if wait is None:
                raise
            why = f"{route} {exc.code}, before try {tries.made + 1} of {policy.retry.max_attempts}"
        retry.pause(wait, why, policy.listener)


def _once(work: _Work[Answer], policy: Policy, route: Route, number: int) -> Answer:
    """One try: on record, however it ends."""
    trial = work.trial(policy, route, number)
    with recorded(trial):
        sent = _guard(work, trial)
        provider, model = providers.connect(route.provider, route.model, policy.settings)
        trial.provider = provider
        trial.options = policy.options(provider.honoured, chosen=route == policy.route)
        about, most = sent.tokens
        with (
            charge.charged(trial, model, most) as bill,
            _admitted(trial, about),
        ):
            seconds = policy.try_seconds(more_routes=route != policy.routes[-1])
            trial.sending()
            answer = sent.run(provider, model, replace(trial.options, timeout=seconds))
            _finish(trial, answer, bill)
    return replace(answer, route=str(route), attempts=(trial.summary(),))


def _guard(work: _Work[Answer], trial: Trial) -> _Work[Answer]:
    """What of it may go so far as this route leads. Raises PrivacyError."""
    route, policy = trial.route, trial.policy
    reach = trial.reach = providers.reach(route.provider, route.model, policy.settings)
    if not is_within(reach, policy.network):
        hint = "use a model that is nearer, or widen network in config.json"
        raise PrivacyError(f"{route} lies beyond the network that is allowed ({policy.network})", hint=hint)
    level = policy.guard_level(reach)
    trial.guard = level if reach != "machine" else None
    try:
        sent, guarded = work.guarded(level)
    except PrivacyError as exc:
        trial.kinds = exc.kinds
        raise
    trial.kinds = guarded.kinds
    if guarded.warning and trial.number == 1:
        policy.listener.warn(guarded.warning)
    return sent


@contextmanager
def _admitted(trial: Trial, tokens: int) -> Generator[None]:
    """Wait for room among the calls of this process and of this minute; what comes of the call adapts both."""
    policy, route = trial.policy, trial.route
    if route.provider in ("gguf", "extractive"):
        # a local engine takes one request at a time by itself, and has no minute
        yield
        return
    key = f"{_account(trial)}/{route}"
    gate = concurrency.of(key, policy.concurrency)
    with gate.slot(policy.deadline):
        slot = limiter.acquire(key, tokens, policy.limits(route), policy.deadline, policy.listener.waiting)
        try:
            yield
        except RateLimitError as exc:
            gate.rate_limited(exc.retry_after)
            if exc.retry_after and exc.retryable:
                limiter.cool_down(key, exc.retry_after)
            raise
        except TemporaryError:
            gate.failed()
            raise
        finally:
            slot.settle(_spent(trial))
        gate.succeeded()


def _account(trial: Trial) -> str:
    """Whose limits a call uses: the project of config.json, else who holds the key, by a keyed hash of it."""
    settings = trial.policy.settings
    if settings.config.project:
        return settings.config.project
    key = keys.gemini(settings) if trial.route.provider == "gemini" else None
    return record.digest(key)[:12] if key else trial.route.provider


def _spent(trial: Trial) -> int | None:
    """The tokens of the call that count for a minute: Google counts what goes in, others both."""
    incoming, outgoing = (trial.answer.get(f"gen_ai.usage.{way}_tokens") for way in ("input", "output"))
    if incoming is None or trial.route.provider == "gemini":
        return incoming
    return incoming + (outgoing or 0)


def _finish(trial: Trial, answer: Reply | Embeddings, bill: Charge | None) -> None:
    trial.finished(answer)
    if bill:
        bill.paid(answer.model, answer.usage)
