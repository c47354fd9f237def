"""Where the expressions of a flow stand, and which names they read. Knows what may be read where; evaluates nothing."""

from __future__ import annotations

from dataclasses import dataclass

from gemx.expression import Expression, ExpressionError
from gemx.flow import values
from gemx.flow.schema import Flow, Step
from gemx.library import Location

# What may hold expressions in a step, by the beginning of its location in it.
_PLACES: tuple[Location, ...] = (
    *(("rag", "query"), ("prompt", "text"), ("prompt", "system"), ("prompt", "vars"), ("prompt", "context")),
    *(("auto", "inputs"), ("verify", "answer"), ("verify", "inputs"), ("write", "path"), ("write", "content")),
    *(("for_each",), ("env",), ("stdin",), ("if",), ("with",)),
)
# Where secrets may be read, and where the item of a `for_each` is not known yet.
_SECRET_PLACES = ("env", "stdin")
_BEFORE_ITEMS = ("if", "for_each")


@dataclass(frozen=True)
class Use:
    """A text with expressions: where it stands in the file, and in which step (None: in `outputs`).

    `whole` says that it is one expression and nothing else.
    """

    location: Location
    step: Step | None
    expressions: tuple[Expression, ...]
    whole: bool

    @property
    def inner(self) -> str:
        """Its place in the step, such as `prompt.vars.q`."""
        return ".".join(str(part) for part in self.location[2:]) if self.step else ""

    @property
    def names(self) -> frozenset[str]:
        """The names that it reads."""
        return frozenset(name for expression in self.expressions for name in expression.names)

    @property
    def takes_secrets(self) -> bool:
        """Whether secrets may be read here."""
        return self.inner.partition(".")[0] in _SECRET_PLACES

    @property
    def has_item(self) -> bool:
        """Whether it is filled in for each item of a list."""
        place = self.inner.partition(".")[0]
        return self.step is not None and self.step.for_each is not None and place not in _BEFORE_ITEMS


@dataclass(frozen=True)
class Misplaced:
    """A text with an expression that does not parse, or in a place where none is read."""

    location: Location
    message: str


def find(flow: Flow) -> tuple[list[Use], list[Misplaced]]:
    """Every text of a flow with expressions, and those with which something is wrong."""
    uses: list[Use] = []
    wrong: list[Misplaced] = []
    data = flow.model_dump(by_alias=True, exclude_unset=True)
    for location, text in values.texts(data):
        step = flow.steps[location[1]] if location[0] == "steps" and isinstance(location[1], int) else None
        is_condition = step is not None and location[2:] == ("if",)
        if values.OPEN not in text and not is_condition:
            continue
        if objection := _objection(location, step):
            wrong.append(Misplaced(location, objection))
            continue
        try:
            uses.append(_use(location, step, text, is_condition=is_condition))
        except ExpressionError as exc:
            wrong.append(Misplaced(location, f"{exc} (character {exc.column} of {_shown(text)})"))
    return uses, wrong


def waits_for(use: Use) -> frozenset[str]:
    """The ids of the steps that a text reads."""
    parts = (name.split(".") for name in use.names)
    return frozenset(path[1] for path in parts if path[0] == "steps" and len(path) > 1)


def _objection(location: Location, step: Step | None) -> str | None:
    """Why no expression is read at a location; None where one is."""
    inner = location[2:]
    if location[0] == "outputs" or (step and any(inner[: len(place)] == place for place in _PLACES)):
        return None
    if step and inner[:1] == ("run",):
        return "an expression is never part of a command: give it by `env` or `stdin`"
    return "no expression is read here"


def _use(location: Location, step: Step | None, text: str, *, is_condition: bool) -> Use:
    if is_condition:
        return Use(location, step, (values.condition(text),), whole=True)
    parsed = values.parse(text)
    return Use(location, step, parsed.expressions, whole=parsed.is_value)


def _shown(text: str) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= 60 else f"{line[:57]}…")
