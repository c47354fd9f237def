"""Read JSON exactly: decimals as written, and no duplicate keys, NaN, infinities or numbers too long to mean anything.

Knows nothing of what the JSON says.
"""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import Any

_MAX_DIGITS = 40


def loads(text: str) -> Any:
    """Parse JSON text. Raises ValueError that says what is wrong and where."""
    try:
        return json.loads(
            text,
            parse_float=_decimal,
            parse_int=_integer,
            parse_constant=_refuse_constant,
            object_pairs_hook=_unique,
        )
    except RecursionError as exc:
        raise ValueError("nested too deeply") from exc


def _decimal(text: str) -> Decimal:
    if len(text) > _MAX_DIGITS:
        raise ValueError(f"the number {text[:20]}… is too long")
    try:
        value = Decimal(text)
    except InvalidOperation as exc:
        raise ValueError(f"the exponent of {text} is too long") from exc
    # A few characters of exponent would become gigabytes of digits in exact arithmetic.
    if abs(value.as_tuple().exponent) > _MAX_DIGITS:  # pyright: ignore[reportArgumentType]
        raise ValueError(f"the exponent of {text} is too long")
    return value


def _integer(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise ValueError(f"the number {text[:20]}… is too long")
    return int(text)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    items: dict[str, Any] = {}
    for key, value in pairs:
        if key in items:
            raise ValueError(f"the key {key!r} stands twice in one object")
        items[key] = value
    return items
