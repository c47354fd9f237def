"""What a call would take, before it is made: tokens and money, from the least to the most. Calls nothing."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from gemx import providers
from gemx.gateway import charge, clock, prices
from gemx.gateway.estimate import estimate_tokens, most_tokens
from gemx.gateway.policy import Policy
from gemx.providers.base import Request, Usage


@dataclass(frozen=True)
class Prospect:
    """Of one call: about how many tokens go in, and at most; dollars of a reply without a word, and at most.

    The dollars are None where the model has no price, and 0 where it costs nothing.
    """

    tokens: int
    most_tokens: int
    least: Decimal | None
    most: Decimal | None


def prospect(request: Request, policy: Policy) -> Prospect:
    """What a request would take on the route that was chosen, once and without retries."""
    route, settings = policy.route, policy.settings
    about, most = estimate_tokens(request), most_tokens(request)
    if providers.reach(route.provider, route.model, settings) != "any":
        return Prospect(about, most, Decimal(0), Decimal(0))
    asked, defaults = policy.asked, policy.defaults
    output = asked.max_output_tokens or defaults.max_output_tokens or charge.OUTPUT_TOKENS
    name, today = charge.names_of(route, settings) + route.model, clock.now().date()
    tier = asked.service_tier or defaults.service_tier or "standard"
    table = prices.load()
    least = table.cost(name, Usage(about, 0), on=today, tier=tier)
    return Prospect(about, most, least, table.most(name, most, output, on=today, tier=tier))
