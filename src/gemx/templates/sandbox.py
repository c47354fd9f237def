"""Render a text from a Jinja2 template, in a sandbox that a foreign template cannot leave, hang or fill.

The language is a part of Jinja2: texts, names, filters, tests, `if`, `for` and `set`. Its signs are counted before it
is parsed, its depth before it is compiled, and all that makes values as it is rendered; there is a deadline, and
nothing but the values is in reach. A variable that was not given is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateSyntaxError, meta, nodes
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from gemx.errors import ConfigError
from gemx.templates import filters
from gemx.templates.meter import Meter, TooMuchError

# What parsing and compiling cost grows with these two, multiplied.
_MOST_TOKENS = 10_000
_DEEPEST = 40
_MOST_LOOPS = 10  # one within another; Python has 20 at most
_MOST_BITS = 4096
_MOST_POWER = 1000

_KNOWN: tuple[type[nodes.Node], ...] = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.If, nodes.For, nodes.Assign),
    *(nodes.CondExpr, nodes.Filter, nodes.Test, nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Call, nodes.Keyword),
    *(nodes.BinExpr, nodes.UnaryExpr, nodes.Compare, nodes.Operand, nodes.Concat),
    *(nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair),
)
# A list that holds another twice, and that one another, takes for ever to print or to compare.
_LITERALS = (nodes.List, nodes.Tuple, nodes.Dict)
_IN_LITERALS = (nodes.Const, nodes.Pair, nodes.UnaryExpr)
_METHODS: dict[type, frozenset[str]] = {
    str: frozenset(
        (
            *("capitalize", "count", "endswith", "find", "isalpha", "isdigit", "islower", "isupper", "lower"),
            *("lstrip", "rstrip", "split", "splitlines", "startswith", "strip", "title", "upper"),
        )
    ),
    dict: frozenset(("get", "items", "keys", "values")),
    list: frozenset(("count", "index")),
    tuple: frozenset(("count", "index")),
}


@dataclass(frozen=True)
class _Compiled:
    code: CodeType
    names: frozenset[str]


def variables(text: str) -> frozenset[str]:
    """The variables that a template text reads. Raises ValueError where it does not parse."""
    return _parsed(_Environment(), text)[1]


def render(text: str, values: Mapping[str, Any], language: str = "pt-BR") -> str:
    """Render a text, true and false as words of its language. Raises ConfigError that names every missing variable."""
    try:
        compiled = _compiled(text, language)
    except ValueError as exc:
        raise ConfigError(str(exc)) from exc
    if missing := sorted(compiled.names - set(values)):
        raise ConfigError(f"the template needs: {', '.join(missing)}", hint="give each a value")
    # The code is shared; what counts its work is this rendering's own.
    environment = _Environment(language)
    template = Template.from_code(environment, compiled.code, environment.make_globals(None))
    try:
        return environment.meter.joined(template.generate(values))
    except TooMuchError as exc:
        raise ConfigError(str(exc)) from exc
    except Exception as exc:
        # Whatever the expressions of a template raise is the template's fault.
        raise ConfigError(f"the template cannot be rendered: {exc}") from exc


@lru_cache(maxsize=32)
def _compiled(text: str, language: str) -> _Compiled:
    """The code of a text: a batch renders the same one thousands of times."""
    environment = _Environment(language)
    tree, names = _parsed(environment, text)
    try:
        return _Compiled(environment.compile(tree), names)
    except Exception as exc:
        # A filter or a test that is not known, or whatever else is wrong with it.
        raise ValueError(f"the template cannot be rendered: {exc}") from exc


def _parsed(environment: _Environment, text: str) -> tuple[nodes.Template, frozenset[str]]:
    try:
        _measure(environment, text)
        tree = environment.parse(text)
        for node in _all_nodes(tree):
            _check(node)
            _count(node, environment)
        return tree, frozenset(meta.find_undeclared_variables(tree))
    except TemplateSyntaxError as exc:
        raise ValueError(f"template syntax, line {exc.lineno}: {exc.message}") from exc
    except RecursionError as exc:
        raise ValueError("template nested too deeply") from exc


def _measure(environment: _Environment, text: str) -> None:
    """Refuse a text of too many signs."""
    lines = (line for line, kind, _ in environment.lexer.tokeniter(text, None) if kind != "whitespace")
    for number, line in enumerate(lines):
        if number >= _MOST_TOKENS:
            raise TemplateSyntaxError(f"more than {_MOST_TOKENS} names and signs within braces", line)


def _all_nodes(tree: nodes.Template) -> list[nodes.Node]:
    """Every node, outer ones first. Raises TemplateSyntaxError where they stand too deep in one another."""
    found: list[nodes.Node] = []
    waiting: list[tuple[nodes.Node, int, int]] = [(tree, 0, 0)]
    while waiting:
        node, depth, loops = waiting.pop()
        loops += isinstance(node, nodes.For)
        branches = len(node.elif_) if isinstance(node, nodes.If) else 0
        if depth + branches > _DEEPEST or loops > _MOST_LOOPS:
            raise TemplateSyntaxError("nested too deeply, or too many conditions in one chain", node.lineno or 1)
        found.append(node)
        waiting += [(child, depth + 1, loops) for child in node.iter_child_nodes()]
    return found


def _check(node: nodes.Node) -> None:
    """Refuse what is not in the language."""
    if not isinstance(node, _KNOWN) or (isinstance(node, nodes.For) and node.recursive):
        said = "a recursive loop" if isinstance(node, nodes.For) else type(node).__name__.lower()
        raise TemplateSyntaxError(f"{said} is no part of a template here", node.lineno or 1)
    if isinstance(node, nodes.Tuple) and node.ctx != "load":
        return
    if isinstance(node, (*_LITERALS, nodes.Pair)):
        for child in node.iter_child_nodes():
            if not isinstance(child, _IN_LITERALS):
                raise TemplateSyntaxError("a list in a template holds plain texts and numbers alone", child.lineno)


def _count(node: nodes.Node, environment: _Environment) -> None:
    """Have the turns of a loop, the pieces of a text and what is compared counted."""

    def through(name: str, value: nodes.Expr) -> nodes.Expr:
        return nodes.Filter(value, name, [], [], None, None, lineno=value.lineno, environment=environment)

    if isinstance(node, nodes.For):
        node.iter = through(filters.COUNTED, node.iter)  # pyright: ignore[reportArgumentType]
    elif isinstance(node, nodes.Concat):
        node.nodes = [through(filters.PIECE, value) for value in node.nodes]
    elif isinstance(node, (nodes.Compare, nodes.Operand)):
        node.expr = through(filters.WEIGHED, node.expr)


class _Environment(ImmutableSandboxedEnvironment):
    """The environment of one rendering."""

    intercepted_binops = frozenset(("+", "*", "**", "%"))

    def __init__(self, language: str = "pt-BR") -> None:
        said = filters.worded(language)
        # The rendered text is a prompt, not HTML: escaping would change what the model reads.
        super().__init__(
            undefined=StrictUndefined, autoescape=False, keep_trailing_newline=False, optimized=False, finalize=said
        )
        self.meter = Meter()
        self.globals = {"range": self.globals["range"]}
        self.filters = filters.counted(self.meter, said)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Compute where the result has a size that can be borne."""
        self._weigh(operator, left, right)
        value = super().call_binop(context, operator, left, right)
        if isinstance(value, int) and value.bit_length() > _MOST_BITS:
            raise SecurityError("a number is too large")
        return value

    def _weigh(self, operator: str, left: Any, right: Any) -> None:
        self.meter.charge(1)
        if isinstance(left, (list, tuple)) or isinstance(right, (list, tuple)):
            raise SecurityError("lists are neither added nor multiplied")
        if operator == "%" and isinstance(left, str):
            raise SecurityError("a text is put together with ~, not with %")
        if operator == "**" and not (_is_small(left) and _is_small(right)):
            raise SecurityError("a power is too large")
        if operator == "*" and (isinstance(left, str) or isinstance(right, str)):
            text, times = (left, right) if isinstance(left, str) else (right, left)
            self.meter.allow(len(text) * int(times))
        elif operator == "+" and isinstance(left, str):
            self.meter.allow(len(left) + filters.size(right))

    def wrap_str_format(self, value: Any) -> None:
        """No `str.format`: its widths have no bound."""

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Data, and a few methods that change nothing and make nothing large."""
        if not super().is_safe_attribute(obj, attr, value):
            return False
        for kind, methods in _METHODS.items():
            if isinstance(obj, kind):
                return attr in methods
        return not callable(value) or type(obj).__module__ == "jinja2.runtime"

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805
        """Call `range` or a method, and count what it gives."""
        value = super().call(__context, __obj, *args, **kwargs)
        __self.meter.charge(1 + filters.size(value))
        return value


def _is_small(value: Any) -> bool:
    return isinstance(value, (int, float)) and abs(value) <= _MOST_POWER
