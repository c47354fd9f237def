"""What one try may cost and did: reserved before it, settled after it. A model of this machine or site costs nothing.

Where it is not known what a provider billed, the reserved amount counts as spent: a cap is kept rather than used up.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from functools import partial
from typing import TypedDict

from gemx.errors import (
    BlockedError,
    BudgetError,
    EmptyReplyError,
    ProviderError,
    StorageError,
)
from gemx.gateway import budget, clock, prices
from gemx.gateway.attempt import Trial, uninterrupted
from gemx.gateway.budget import Caps, Reservation
from gemx.gateway.prices import PriceTable
from gemx.gateway.route import Route
from gemx.providers.base import Usage
from gemx.settings import Settings

OUTPUT_TOKENS = 16_384  # under a cap, where nobody says how many
_LEAST_OUTPUT_TOKENS = 256
_PROMPT_MAY_BE_BILLED = (BlockedError, EmptyReplyError)


@dataclass
class Charge:
    """The price of one try: what is reserved for it, and what its prompt alone would cost. `names` is how the price
    table begins the names of its provider's models.
    """

    trial: Trial
    table: PriceTable
    names: str
    reservation: Reservation | None
    reserved: Decimal | None
    prompt: Decimal | None
    settled: bool = False

    def paid(self, model: str, usage: Usage) -> None:
        """The provider answered, as `model`; where its price is not known, what was reserved counts as spent."""
        self.trial.cost = self._cost(model, usage)
        self._settle(self.reserved if self.trial.cost is None else self.trial.cost)

    def failed(self, exc: BaseException, model: str) -> None:
        """The try ended without an answer of `model`; nothing where the answer was paid for already."""
        if self.settled:
            return None
        counted = exc.usage if isinstance(exc, ProviderError) else None
        cost = self._cost(model, counted) if counted is not None else None
        if cost is None and self.trial.sent and _may_be_billed(exc):
            return self._settle(self.reserved)
        if cost is None:
            cost = self.prompt if self.trial.sent and isinstance(exc, _PROMPT_MAY_BE_BILLED) else Decimal(0)
        self.trial.cost = cost
        return self._settle(cost)

    def _cost(self, model: str, usage: Usage) -> Decimal | None:
        return self.table.cost(self.names + model, usage, **_terms(self.trial))

    def _settle(self, amount: Decimal | None) -> None:
        self.settled = True
        if self.reservation is None:
            return
        try:
            uninterrupted(partial(self.reservation.settle, amount or Decimal(0)))
        except StorageError as exc:
            # the answer was paid for: it must not be lost over its bookkeeping
            self.trial.policy.listener.warn(f"the spending could not be recorded: {exc.message}")


class _Terms(TypedDict):
    on: date
    tier: str
    audio: bool


@contextmanager
def charged(trial: Trial, model: str, tokens: int) -> Generator[Charge | None]:
    """Reserve what the try may cost, of a prompt of so many tokens at most; what happens inside settles it.

    Under a cap it sets the output limit of the try where none is set. Raises BudgetError, also for a model without a
    price under a cap, and StorageError. Yields None where the call costs nothing.
    """
    if trial.reach != "any":
        trial.cost = Decimal(0)
        yield None
        return
    charge = _opened(trial, model, tokens)
    try:
        yield charge
    except BaseException as exc:
        charge.failed(exc, model)
        raise


def _opened(trial: Trial, model: str, tokens: int) -> Charge:
    table, caps, run_id = prices.load(), trial.policy.caps, trial.origin.run_id
    trial.price_table = table.version
    names = names_of(trial.route, trial.policy.settings)
    name = names + model
    capped = any(cap is not None for cap in (caps.command, caps.daily, caps.monthly))
    if trial.generates and capped and trial.options.max_output_tokens is None:
        trial.options = replace(trial.options, max_output_tokens=_affordable(table, name, tokens, caps, trial))
    output = (trial.options.max_output_tokens or OUTPUT_TOKENS) if trial.generates else 0
    most = table.most(name, tokens, output, **_terms(trial))
    if most is None and capped:
        raise BudgetError(
            f"{name} has no price, and a cap is set", hint="give its price in prices.yaml: docs/model-calls.md"
        )
    seconds = max(0.0, trial.policy.deadline - clock.monotonic())
    reservation = budget.reserve(run_id, most, caps, seconds) if most is not None else None
    return Charge(trial, table, names, reservation, most, table.most(name, tokens, 0, **_terms(trial)))


def _affordable(table: PriceTable, name: str, tokens: int, caps: Caps, trial: Trial) -> int:
    """The output limit of a try under a cap: what is usual, or less where the cap leaves less, and never next to none.

    With less room than that the reservation is refused, and says by how much.
    """
    left = budget.left(trial.origin.run_id, caps)
    room = None
    if left is not None:
        room = table.output_tokens_for(name, left, tokens, **_terms(trial))
    return OUTPUT_TOKENS if room is None else max(_LEAST_OUTPUT_TOKENS, min(room, OUTPUT_TOKENS))


def names_of(route: Route, settings: Settings) -> str:
    """How the price table begins the names of a provider's models: of an endpoint, its own name goes with it."""
    endpoint = route.model.partition("/")[0]
    configured = route.provider == "openai" and endpoint in settings.config.endpoints
    return f"{route.provider}:{endpoint}/" if configured else f"{route.provider}:"


def _may_be_billed(exc: BaseException) -> bool:
    return exc.may_be_billed if isinstance(exc, ProviderError) else True


def _terms(trial: Trial) -> _Terms:
    """By what, beside its tokens, a call is priced; a day is that of UTC, as in the table."""
    return _Terms(on=clock.now().date(), tier=trial.options.service_tier or "standard", audio=trial.audio)
