"""Values with expressions in them: `${{ … }}` in any text of a flow. What they give is data, and is never code.

A text that is one expression keeps its value and type; inside of other text a value is written into it. `$${{` stands
for a `${{` that is meant as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any, cast

from gemx import expression
from gemx.expression import Expression, ExpressionError
from gemx.library import Location

OPEN, CLOSE = "${{", "}}"
# A text in quotes may hold what closes an expression elsewhere.
_INSIDE = re.compile(r"(?P<source>(?:'[^']*'|\"[^\"]*\"|(?!\}\}).)*)\}\}", re.DOTALL)


@dataclass(frozen=True)
class Template:
    """A parsed text: literals and expressions in turn."""

    parts: tuple[str | Expression, ...]

    @property
    def expressions(self) -> tuple[Expression, ...]:
        """Its expressions, in order."""
        return tuple(part for part in self.parts if isinstance(part, Expression))

    @property
    def is_value(self) -> bool:
        """Whether it is one expression and nothing else, which keeps its type."""
        return len(self.parts) == 1 and isinstance(self.parts[0], Expression)

    def fill(self, values: Mapping[str, Any]) -> Any:
        """What it gives under `values`. Raises ExpressionError on unlike types."""
        if self.is_value:
            return self.expressions[0].evaluate(values)
        return "".join(part if isinstance(part, str) else written(part.evaluate(values)) for part in self.parts)


@lru_cache(maxsize=2000)
def parse(text: str) -> Template:
    """Parse a text. Raises ExpressionError with the column, in the text, of the first thing that is wrong."""
    parts: list[str | Expression] = []
    literal, position = "", 0
    while (start := text.find(OPEN, position)) >= 0:
        literal += text[position:start]
        if literal.endswith("$"):
            literal, position = literal[:-1] + OPEN, start + len(OPEN)
            continue
        match = _INSIDE.match(text, start + len(OPEN))
        if match is None:
            raise ExpressionError(f"{OPEN} is not closed by {CLOSE}", start + 1)
        parts += [literal] if literal else []
        parts.append(_expression(match["source"], start + len(OPEN)))
        literal, position = "", match.end()
    literal += text[position:]
    return Template((*parts, literal) if literal or not parts else tuple(parts))


def condition(text: str) -> Expression:
    """The expression of an `if`, in ${{ }} or bare. Raises ExpressionError."""
    if OPEN not in text:
        return _expression(text, 0)
    found = parse(text.strip())
    if not found.is_value:
        raise ExpressionError(f"expected one expression, {OPEN} … {CLOSE}", 1)
    return found.expressions[0]


def fill(value: Any, values: Mapping[str, Any]) -> Any:
    """A value of a flow with what its expressions give, mappings and lists gone through. Raises ExpressionError."""
    if isinstance(value, str):
        return parse(value).fill(values) if OPEN in value else value
    if isinstance(value, Mapping):
        return {key: fill(item, values) for key, item in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, (list, tuple)):
        return [fill(item, values) for item in cast("Sequence[Any]", value)]
    return value


def texts(value: Any, location: Location = ()) -> Iterator[tuple[Location, str]]:
    """Every text of a value that may hold expressions, with its location."""
    if isinstance(value, str):
        yield location, value
    elif isinstance(value, Mapping):
        for key, item in cast("Mapping[str, Any]", value).items():
            yield from texts(item, (*location, key))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(cast("Sequence[Any]", value)):
            yield from texts(item, (*location, index))


def written(value: Any) -> str:
    """A value as text: nothing for null, the words of JSON for booleans, JSON for lists and mappings."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, Decimal):
        return f"{value:f}"
    return to_json(value)


def to_json(value: Any) -> str:
    """Canonical JSON of a value: sorted keys, no spaces, decimals as they are."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=_number)


def as_json(value: Any) -> Any:
    """A value as it is once it was kept as JSON, in its own order: the same before and after a run is resumed."""
    return json.loads(json.dumps(value, ensure_ascii=False, allow_nan=False, default=_number))


def _number(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError(f"{type(value).__name__} is no JSON")


def _expression(source: str, offset: int) -> Expression:
    if not source.strip():
        raise ExpressionError("an expression is missing", offset + 1)
    try:
        return expression.parse(source)
    except ExpressionError as exc:
        raise ExpressionError(str(exc), offset + exc.column) from exc
