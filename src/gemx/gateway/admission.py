"""Room for a call: among those of this process, and among those of this minute. What comes of it adapts both."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

from gemx import keys
from gemx.audit import record
from gemx.errors import RateLimitError, StorageError, TemporaryError
from gemx.gateway import concurrency, limiter
from gemx.gateway.attempt import Trial
from gemx.gateway.retry import LONGEST_WAIT


@contextmanager
def admitted(trial: Trial, tokens: int) -> Generator[None]:
    """Wait for room for a try of about so many tokens, which is made inside.

    Raises RateLimitError or TimeoutExceededError where there is none in time, InvalidRequestError where a minute can
    never hold it, and StorageError.
    """
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
                # nobody waits longer than that: a server's mistake must not hold up the next command for days
                seconds = min(exc.retry_after, LONGEST_WAIT)
                _noted(trial, lambda: limiter.cool_down(key, seconds))
            raise
        except TemporaryError:
            gate.failed()
            raise
        finally:
            _noted(trial, lambda: slot.settle(_spent(trial)))
        gate.succeeded()


def _noted(trial: Trial, note: Callable[[], None]) -> None:
    try:
        note()
    except StorageError as exc:
        # an answer that came must not be lost over this
        trial.policy.listener.warn(f"what a minute holds could not be recorded: {exc.message}")


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
