"""What the tries of a command cost together. An unknown price makes the whole unknown; it is never nought."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from gemx.providers.base import Attempt


def total(attempts: Sequence[Attempt]) -> Decimal | None:
    """US dollars; None where the cost of one is not known."""
    costs = [attempt.cost for attempt in attempts]
    return None if any(cost is None for cost in costs) else sum((cost for cost in costs if cost), Decimal(0))


def table(attempts: Sequence[Attempt]) -> str | None:
    """The version of the price table, None where nothing was to be paid."""
    return next((attempt.prices for attempt in attempts if attempt.prices), None)


def data(attempts: Sequence[Attempt]) -> dict[str, Any]:
    """The bill for machines; `cost_usd` is null where it is not known."""
    return {
        "cost_usd": total(attempts),
        "price_table": table(attempts),
        "attempts": [
            {
                "model": attempt.model if attempt.model == attempt.provider else f"{attempt.provider}:{attempt.model}",
                "seconds": round(attempt.duration, 3),
                "error": attempt.error,
                "cost_usd": attempt.cost,
            }
            for attempt in attempts
        ],
    }


def dollars(cost: Decimal) -> str:
    """An amount with as many digits as tell it, four decimals at least: 0.000054."""
    return f"{cost:.4f}" if not cost or cost >= 1 else f"{cost:.{max(4, 1 - cost.adjusted())}f}"
