"""What a batch would take: items, calls, tokens and money, from the least to the most. Calls nothing.

A step that reads what other steps give is asked for here without it: its tokens are then a lower bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from gemx import gateway
from gemx.errors import GemxError
from gemx.expression import ExpressionError
from gemx.flow.context import Context
from gemx.flow.ledger import Ledger, Line
from gemx.flow.schema import Step
from gemx.flow.shelf import Loaded
from gemx.flow.steps import KINDS, Call, patient, prompt
from gemx.gateway import Prospect, Request

_SAMPLE = 200
_CALLING = ("prompt", "auto")


@dataclass(frozen=True)
class Estimate:
    """What a batch would take, beyond what is done already.

    `calls`, `tokens` of input, and `dollars` are (least, most); `most` of dollars is None where a model has no price.
    `open_ended` says that there may be more: steps repeat for a list, or read what others give. `sampled` items were
    looked at for it.
    """

    lines: int
    refused: int
    unique: int
    done: int
    calls: tuple[int, int]
    tokens: tuple[int, int]
    dollars: tuple[Decimal, Decimal | None]
    open_ended: bool
    sampled: int


@dataclass
class _Sum:
    """What the sampled items would take together."""

    calls: list[int] = field(default_factory=lambda: [0, 0])
    tokens: list[int] = field(default_factory=lambda: [0, 0])
    least: Decimal = Decimal(0)
    most: Decimal | None = Decimal(0)

    def add(self, step: Step, found: Prospect) -> None:
        fewest, most = _calls(step)
        self.calls = [self.calls[0] + fewest, self.calls[1] + most]
        self.tokens = [self.tokens[0] + fewest * found.tokens, self.tokens[1] + most * found.most_tokens]
        self.least += fewest * (found.least or 0)
        self.most = None if self.most is None or found.most is None else self.most + most * found.most


def estimate(lines: Iterable[Line], ledger: Ledger | None, loaded: Loaded, context: Context) -> Estimate:
    """What the lines would take; what is done in the ledger, where there is one, takes nothing."""
    seen: set[str] = set()
    count = refused = done = sampled = 0
    total = _Sum()
    for line in lines:
        count += 1
        refused += line.problem is not None
        if line.key is None or line.key in seen:
            continue
        seen.add(line.key)
        if ledger is not None and ledger.is_done(line.key):
            done += 1
        elif sampled < _SAMPLE:
            sampled += 1
            _add_item(total, line.inputs or {}, loaded, context)
    factor = Decimal(len(seen) - done) / max(1, sampled)
    return Estimate(
        lines=count,
        refused=refused,
        unique=len(seen),
        done=done,
        calls=_scaled(total.calls, factor),
        tokens=_scaled(total.tokens, factor),
        dollars=(total.least * factor, None if total.most is None else total.most * factor),
        open_ended=any(_is_open(step, loaded) for step in _calling(loaded)),
        sampled=sampled,
    )


def _scaled(pair: list[int], factor: Decimal) -> tuple[int, int]:
    least, most = (round(each * factor) for each in pair)
    return least, most


def _add_item(total: _Sum, inputs: Mapping[str, Any], loaded: Loaded, context: Context) -> None:
    nothing = {"outputs": None, "status": None, "error": None}
    known = {
        "inputs": inputs,
        "steps": {step.id: nothing for step in loaded.flow.steps},
        "run": {"id": context.run_id},
        "item": None,
        "item_index": 0,
    }
    for step in _calling(loaded):
        try:
            asked = _request(step, known, loaded, context)
        except (GemxError, ExpressionError):
            # What it asks is known when it runs.
            asked = None
        policy = context.policies[step.id]
        unknown = Prospect(0, 0, Decimal(0), None)
        total.add(step, gateway.prospect(asked, policy) if asked else unknown)


def _request(step: Step, known: Mapping[str, Any], loaded: Loaded, context: Context) -> Request:
    spec = KINDS[step.kind].filled(step, known)
    call = Call(step, spec, loaded, context, context.origin, lambda: False)
    return prompt.request(call) if step.prompt else patient.prepared(call, complete=False).request


def _calling(loaded: Loaded) -> list[Step]:
    return [step for step in loaded.flow.steps if step.kind in _CALLING]


def _calls(step: Step) -> tuple[int, int]:
    """The fewest and the most calls of a step, retries and fallbacks aside."""
    asked = step.prompt or step.auto
    repairs = asked.repair if asked else 0
    return (0 if step.if_ is not None or step.for_each is not None else 1), 1 + repairs


def _is_open(step: Step, loaded: Loaded) -> bool:
    return step.for_each is not None or bool(loaded.needs[step.id])
