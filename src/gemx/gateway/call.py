"""The door itself. Each call goes down one path: route → guard → budget → limits → the provider → price → audit.

A failure is tried again by its class, then handed to the next route, which enters again at the guard. After the first
text was shown there is neither. Nothing else in gemx may call a provider.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace

from gemx import providers
from gemx.errors import BudgetError, GemxError, PrivacyError, ProviderError, TimeoutExceededError
from gemx.gateway import charge, clock, guard, retry
from gemx.gateway.admission import admitted
from gemx.gateway.attempt import Trial, recorded
from gemx.gateway.charge import Charge
from gemx.gateway.policy import Policy
from gemx.gateway.route import Route, is_within
from gemx.gateway.work import Answer, Embedding, Generation, Sink, Work
from gemx.providers.base import Attempt, Embeddings, OnText, Origin, Reply, Request

_FALLS_BACK = (ProviderError, PrivacyError, BudgetError)


def call(request: Request, policy: Policy, *, on_text: OnText | None = None) -> Reply:
    """One model call. Raises GemxError with its `attempts`; each attempt is on record before this returns or raises."""
    sink = Sink(on_text) if on_text else None
    return _routed(Generation(request, sink), policy)


def embed(
    texts: Sequence[str], policy: Policy, origin: Origin, *, private: Sequence[tuple[str, str]] = ()
) -> Embeddings:
    """Embed texts, by the same door; `private` as in a Request.

    Raises GemxError; UnsupportedError where the provider has no embeddings.
    """
    return _routed(Embedding(texts, origin, private), policy)


def warm_up(policy: Policy) -> None:
    """Open the provider of the chosen route before many calls at once need it; what fails is said by the first call."""
    with contextlib.suppress(GemxError):
        providers.connect(policy.route.provider, policy.route.model, policy.settings)


def foretell(request: Request, policy: Policy) -> str:
    """What the guard would do with a request on the chosen route, for a person to read. Calls nothing."""
    reach = providers.reach(policy.route.provider, policy.route.model, policy.settings)
    if not is_within(reach, policy.network):
        return f"refused: {policy.route} lies beyond the network that is allowed ({policy.network})"
    return guard.foretell(request, policy.guard_level(reach), reach)


def _routed(work: Work[Answer], policy: Policy) -> Answer:
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


def _retried(work: Work[Answer], policy: Policy, route: Route) -> Answer:
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
        try:
            retry.pause(wait, why, policy.listener)
        except GemxError as exc:
            exc.attempts = (*attempts, *exc.attempts)
            raise


def _once(work: Work[Answer], policy: Policy, route: Route, number: int) -> Answer:
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
            admitted(trial, about),
        ):
            seconds = policy.try_seconds(more_routes=route != policy.routes[-1])
            if seconds <= 0:
                raise TimeoutExceededError("the time is over before it was sent", hint="raise --timeout")
            trial.sending()
            answer = sent.run(provider, model, replace(trial.options, timeout=seconds))
            _finish(trial, answer, bill)
    return replace(answer, route=str(route), attempts=(trial.summary(),))


def _guard(work: Work[Answer], trial: Trial) -> Work[Answer]:
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


def _finish(trial: Trial, answer: Reply | Embeddings, bill: Charge | None) -> None:
    trial.finished(answer)
    if bill:
        bill.paid(answer.model, answer.usage)
