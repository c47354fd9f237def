"""What the tries of a command cost together. An unknown price makes the whole unknown; it is never nought."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from gemx.providers.base import Attempt, Usage


def total(attempts: Sequence[Attempt]) -> Decimal | None:
    """US dollars; None where the cost of one is not known."""
    return None if any(attempt.cost is None for attempt in attempts) else at_least(attempts)


def at_least(attempts: Sequence[Attempt]) -> Decimal:
    """US dollars of those whose cost is known."""
    return sum((attempt.cost for attempt in attempts if attempt.cost is not None), Decimal(0))


def table(attempts: Sequence[Attempt]) -> str | None:
    """The version of the price table, None where nothing was to be paid."""
    return next((attempt.prices for attempt in attempts if attempt.prices), None)


def usage(attempts: Sequence[Attempt]) -> Usage:
    """The tokens that were counted, of all tries together; None where nobody counted."""
    counted = [attempt.usage for attempt in attempts if attempt.usage is not None]
    return Usage(
        input_tokens=_sum([each.input_tokens for each in counted]),
        output_tokens=_sum([each.output_tokens for each in counted]),
        cached_tokens=_sum([each.cached_tokens for each in counted]),
        reasoning_tokens=_sum([each.reasoning_tokens for each in counted]),
    )


def data(attempts: Sequence[Attempt]) -> dict[str, Any]:
    """The bill for machines; `cost_usd` is null where it is not known, and then at least `cost_at_least_usd`."""
    return {
        "cost_usd": total(attempts),
        "cost_at_least_usd": at_least(attempts),
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


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
