"""The only repair loop: an answer that is not valid goes back to the model with what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from gemx.documents import Text
from gemx.errors import BudgetError, PrivacyError, ProviderError
from gemx.gateway.call import call
from gemx.gateway.policy import Policy
from gemx.providers.base import Message, Reply, Request

Validate = Callable[[str], tuple[Any, Sequence[object]]]
_FENCE = re.compile(r"\s*```\w*\n(?P<inner>.*?)\n?```\s*", re.DOTALL)


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
    all is better than one that cannot. A repair that fails loses no answer: the one before it is returned. The reply
    holds the value, or None, and the problems; an invalid answer is data, not an exception. `on_round` sees each judged
    reply, also one that is not kept.
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
            # whatever failed before that answer came is not asked again
            repaired = _judged(call(request, policy.going_on_with(reply.route)), validate)
        except (ProviderError, PrivacyError, BudgetError) as exc:
            attempts += exc.attempts
            policy.listener.warn(f"the repair failed, and the answer before it is kept ({exc.code}: {exc.message})")
            break
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
