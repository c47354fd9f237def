"""The one small expression language, of regimens and flows: names, literals, `! && || == != < <= > >= ( )`.

Values are data: nothing is evaluated as code. A comparison with null is null; `&&` and `||` follow three-valued logic
for null and otherwise give the deciding operand, so that `a || b` is the first truthy value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import Any, cast

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?)|(?P<name>[A-Za-z_]\w*(?:\.\w+)*)"
    r"|(?P<text>'[^']*'|\"[^\"]*\")|(?P<operator>&&|\|\||==|!=|<=|>=|[<>!()]))",
    re.ASCII,
)
_LITERALS: dict[str, Any] = {"true": True, "false": False, "null": None}
_MAX_DEPTH = 40
_MAX_TOKENS = 400
_SPACE = " \t\n\r\f\v"
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}


@dataclass(frozen=True)
class Interval:
    """A number that is not known but lies from `low` to `high`; a comparison that all of it decides is decided."""

    low: Decimal
    high: Decimal


class ExpressionError(ValueError):
    """What is wrong with an expression; `column` counts from 1."""

    def __init__(self, message: str, column: int) -> None:
        super().__init__(message)
        self.column = column


@dataclass(frozen=True)
class Expression:
    """A parsed expression: its source, the names that it reads, and the (name, text) pairs that it compares."""

    source: str
    names: frozenset[str]
    texts: tuple[tuple[str, str], ...]
    _evaluate: Callable[[Mapping[str, Any]], Any]

    def evaluate(self, values: Mapping[str, Any]) -> Any:
        """The value under `values`; a name that is not there, or an interval by itself, is null.

        Raises ExpressionError on unlike types.
        """
        return _logical(self._evaluate(values))


_Node = Callable[[Mapping[str, Any]], Any]


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    column: int


def parse(source: str) -> Expression:
    """Parse an expression. Raises ExpressionError with the column of the first thing that is wrong."""
    parser = _Parser(source)
    node = parser.whole()
    return Expression(source, frozenset(parser.names), tuple(parser.texts), node)


def _tokens(source: str) -> Iterator[_Token]:
    position = 0
    while rest := source[position:].lstrip(_SPACE):
        match = _TOKEN.match(source, position)
        if match is None:
            offset = len(source) - len(rest) - position
            raise ExpressionError(f"unexpected {source[position + offset]!r}", position + offset + 1)
        kind = match.lastgroup or ""
        yield _Token(kind, match.group(kind), match.start(kind) + 1)
        position = match.end()


class _Parser:
    def __init__(self, source: str) -> None:
        self.tokens = list(islice(_tokens(source), _MAX_TOKENS + 1))
        if len(self.tokens) > _MAX_TOKENS:
            raise ExpressionError(f"more than {_MAX_TOKENS} words and signs", self.tokens[-1].column)
        self.tokens.append(_Token("end", "end of expression", len(source) + 1))
        self.position = 0
        self.depth = 0
        self.names: set[str] = set()
        self.texts: list[tuple[str, str]] = []

    def whole(self) -> _Node:
        node = self._either()
        if self._next.kind != "end":
            raise ExpressionError(f"unexpected {self._next.text!r}", self._next.column)
        return node

    @property
    def _next(self) -> _Token:
        return self.tokens[self.position]

    def _take(self, *operators: str) -> _Token | None:
        token = self._next
        if token.kind != "operator" or token.text not in operators:
            return None
        self.position += 1
        return token

    def _either(self) -> _Node:
        node = self._both()
        while self._take("||"):
            node = _or(node, self._both())
        return node

    def _both(self) -> _Node:
        node = self._comparison()
        while self._take("&&"):
            node = _and(node, self._comparison())
        return node

    def _comparison(self) -> _Node:
        left, node = self._next, self._operand()
        if token := self._take("==", "!=", *_ORDER):
            right = self._next
            node = _compare(token, node, self._operand())
            if left.kind == "name" and right.kind == "text":
                self.texts.append((left.text, right.text[1:-1]))
            if again := self._take("==", "!=", *_ORDER):
                raise ExpressionError("comparisons do not chain: join them with &&", again.column)
        return node

    def _operand(self) -> _Node:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise ExpressionError("nested too deeply", self._next.column)
        try:
            if self._take("!"):
                return _not(self._operand())
            if self._take("("):
                return self._parenthesis()
            return self._value()
        finally:
            self.depth -= 1

    def _parenthesis(self) -> _Node:
        node = self._either()
        if not self._take(")"):
            raise ExpressionError(f"expected ')' before {self._next.text!r}", self._next.column)
        return node

    def _value(self) -> _Node:
        token = self._next
        self.position += 1
        if token.kind == "number":
            return _constant(Decimal(token.text))
        if token.kind == "text":
            return _constant(token.text[1:-1])
        if token.kind != "name":
            raise ExpressionError(f"expected a name or a value, not {token.text!r}", token.column)
        if token.text in _LITERALS:
            return _constant(_LITERALS[token.text])
        self.names.add(token.text)
        return _name(token.text)


def _constant(value: Any) -> _Node:
    return lambda _: value


def _name(dotted: str) -> _Node:
    def read(values: Mapping[str, Any]) -> Any:
        found: Any = values
        for part in dotted.split("."):
            found = _member(found, part)
        return found

    return read


def _member(value: Any, part: str) -> Any:
    """A key of a mapping, or the place of a list's item, from 0; null where there is none."""
    if isinstance(value, Mapping):
        return cast("Mapping[str, Any]", value).get(part)
    if isinstance(value, (list, tuple)) and part.isdecimal() and len(part) < 10:
        items = cast("Sequence[Any]", value)
        return items[int(part)] if int(part) < len(items) else None
    return None


def _not(node: _Node) -> _Node:
    def negate(values: Mapping[str, Any]) -> Any:
        value = _logical(node(values))
        return None if value is None else not value

    return negate


def _logical(value: Any) -> Any:
    return None if isinstance(value, Interval) else value


# Both operands are always evaluated, so that one sample shows every wrong comparison in an expression.


def _or(left: _Node, right: _Node) -> _Node:
    def either(values: Mapping[str, Any]) -> Any:
        first, second = _logical(left(values)), _logical(right(values))
        if first:
            return first
        return second if second or first is not None else None

    return either


def _and(left: _Node, right: _Node) -> _Node:
    def both(values: Mapping[str, Any]) -> Any:
        first, second = _logical(left(values)), _logical(right(values))
        if first is not None and not first:
            return first
        return second if first is not None or (second is not None and not second) else None

    return both


def _compare(token: _Token, left: _Node, right: _Node) -> _Node:
    def compare(values: Mapping[str, Any]) -> bool | None:
        first, second = _exact(left(values)), _exact(right(values))
        if first is None or second is None:
            return None
        if isinstance(first, Interval) or isinstance(second, Interval):
            return _decided(token, first, second)
        if _family(first) != _family(second):
            raise ExpressionError(f"{token.text} compares unlike values: {first!r} and {second!r}", token.column)
        if token.text == "==":
            return first == second
        if token.text == "!=":
            return first != second
        if isinstance(first, bool) or not isinstance(first, (int, float, Decimal)):
            raise ExpressionError(f"{token.text} orders numbers alone, not {first!r}", token.column)
        return _ORDER[token.text](first, second)

    return compare


def _decided(token: _Token, left: object, right: object) -> bool | None:
    """A comparison with an interval, where every value in it gives the same answer; else null."""
    if not (_is_number(left) and _is_number(right)):
        raise ExpressionError(f"{token.text} compares unlike values", token.column)
    (low, high), (other_low, other_high) = _bounds(left), _bounds(right)
    if token.text in ("==", "!="):
        apart = high < other_low or other_high < low
        return token.text == "!=" if apart else None
    # An order is decided where its two extreme pairs agree.
    verdicts = {_ORDER[token.text](low, other_high), _ORDER[token.text](high, other_low)}
    return verdicts.pop() if len(verdicts) == 1 else None


def _is_number(value: object) -> bool:
    return isinstance(value, Interval) or _family(value) == "number"


def _bounds(value: Any) -> tuple[Decimal, Decimal]:
    return (value.low, value.high) if isinstance(value, Interval) else (value, value)


def _exact(value: Any) -> Any:
    """A float as the decimal that its author wrote: 0.1 is 0.1."""
    return Decimal(repr(value)) if isinstance(value, float) and math.isfinite(value) else value


def _family(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, (int, float, Decimal)) else type(value).__name__
