"""Clinical scores and formulas by id, each with its source; facts in, a value or a range out. Knows no model, no file.

`run("qsofa", {"respiratory_rate": Decimal(22), ...})` gives a `Result`; ids, inputs and units are the interface.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from gemx.clinical.calculators import (
    bleeding,
    critical,
    electrolytes,
    hemodynamics,
    infusion,
    liver,
    lung,
    renal,
    sepsis,
)
from gemx.clinical.calculators.base import Calculator, Component, Inputs, Parameter, Raw, Result, Value
from gemx.errors import NotFoundError

__all__ = [
    "Calculator",
    "Component",
    "Inputs",
    "Parameter",
    "Raw",
    "Result",
    "Value",
    "all_calculators",
    "get",
    "run",
]

_THEMES = (hemodynamics, sepsis, critical, lung, bleeding, liver, renal, electrolytes, infusion)
_BY_ID = {calculator.id: calculator for theme in _THEMES for calculator in theme.CALCULATORS}


def all_calculators() -> tuple[Calculator, ...]:
    """Every calculator, by theme."""
    return tuple(_BY_ID.values())


def get(id: str) -> Calculator:
    """The calculator of that id.

    Raises:
        NotFoundError: there is none; the hint names the closest.
    """
    if id not in _BY_ID:
        longer = [known for known in _BY_ID if known.startswith(id)] if id else []
        close = longer or get_close_matches(id, list(_BY_ID), n=1)
        hint = f"Did you mean {' or '.join(close)}?" if close else f"There are: {', '.join(_BY_ID)}."
        raise NotFoundError(f"no calculator {id}", hint=hint)
    return _BY_ID[id]


def run(id: str, inputs: Mapping[str, Raw]) -> Result:
    """Run one calculator; numbers may be text with an accepted unit, and None or "" is a missing input.

    Raises:
        NotFoundError: no calculator of that id.
        InputError: an unknown, unreadable, impossible or contradictory input.
    """
    return get(id).run(inputs)
