"""Judge a value by the claims of several sources: all agree, they conflict, or none that was read can say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, Protocol, TypeVar

from gemx import expression
from gemx.clinical.findings import Severity
from gemx.clinical.formulary import Drug, Sourced
from gemx.expression import Expression

State = Literal["inside", "outside", "maybe"]


class Conditional(Protocol):
    """A statement of one source that may hold for some patients alone."""

    @property
    def source(self) -> str: ...  # noqa: D102
    @property
    def when(self) -> str | None: ...  # noqa: D102


AnyClaim = TypeVar("AnyClaim", bound=Conditional)


@dataclass(frozen=True)
class Verdict:
    """How a value stands: nothing to say (severity None), or against which claim, and what could not be judged."""

    severity: Severity | None
    against: Any = None
    inside: Any = None
    names: frozenset[str] = frozenset()


NOTHING = Verdict(None)
# From the mildest to the gravest, for a row that several indications could explain.
_GRAVITY: tuple[Severity | None, ...] = (None, "warning", "unverifiable", "conflict", "error")


@lru_cache(maxsize=1024)
def parsed(when: str) -> Expression:
    """A condition of the formulary."""
    return expression.parse(when)


def holds(when: str | None, values: Mapping[str, Any]) -> bool | None:
    """Whether a condition is true, false, or (None) not to be judged for want of data."""
    if when is None:
        return True
    value = parsed(when).evaluate(values)
    return None if value is None else bool(value)


def judge(
    drug: Drug, claims: Sequence[AnyClaim], violates: Callable[[AnyClaim], bool], values: Mapping[str, Any]
) -> Verdict:
    """The verdict of all sources: outside every one is an error, inside one and outside another a conflict.

    A weak source alone makes nothing an error; a claim whose condition cannot be judged is unverifiable where it would
    be violated.
    """
    states: dict[str, tuple[State, AnyClaim]] = {}
    unknown: frozenset[str] = frozenset()
    for claim in claims:
        applies = holds(claim.when, values)
        if applies is False:
            continue
        wrong = violates(claim)
        if wrong and applies is None and claim.when is not None:
            unknown |= frozenset(name for name in parsed(claim.when).names if values.get(name) is None)
        state: State = "inside" if not wrong else "outside" if applies else "maybe"
        known = states.get(claim.source)
        if known is None or _worse(state, known[0]):
            states[claim.source] = (state, claim)
    return _combined(drug, states, unknown)


def _worse(state: State, than: State) -> bool:
    order: tuple[State, ...] = ("inside", "maybe", "outside")
    return order.index(state) > order.index(than)


def _combined(drug: Drug, states: Mapping[str, tuple[State, Any]], unknown: frozenset[str]) -> Verdict:
    outside = [claim for state, claim in states.values() if state == "outside"]
    inside = [claim for state, claim in states.values() if state == "inside"]
    maybe = [claim for state, claim in states.values() if state == "maybe"]
    if not outside:
        return Verdict("unverifiable", maybe[0], None, unknown) if maybe else NOTHING
    strong = [claim for claim in outside if not drug.sources[claim.source].weak]
    against = (strong or outside)[0]
    if inside:
        return Verdict("conflict", against, inside[0])
    return Verdict("error" if strong else "unverifiable", against)


def mildest(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict that stands where each is of another indication that the row could mean."""
    return min(verdicts, key=lambda verdict: _GRAVITY.index(verdict.severity), default=NOTHING)


def named(drug: Drug, claim: Sourced) -> str:
    """The source of a claim, as a reader knows it."""
    source = drug.sources[claim.source]
    return source.publisher or source.title


def cited(drug: Drug, claim: Sourced) -> str:
    """A claim's remark and source, for the end of a message."""
    remark = getattr(claim, "text", None)
    return f"{remark}; {named(drug, claim)}" if remark else named(drug, claim)
