"""The menu of calculators: pick one, fill in its inputs, run."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from gemx.cli import menu_run, output, picker
from gemx.cli.form import Field, Reading
from gemx.cli.menu_form import Form, read_error
from gemx.cli.questions import Back, Choice

if TYPE_CHECKING:
    from gemx.clinical.calculators import Calculator, Parameter


def section() -> None:
    """Pick a calculator and run it."""
    from gemx.plugins import calculators

    every, others = calculators.every()
    for problem in others.remarks:
        output.warning(f"gemx: {problem}")
    found = {each.id: each for each in every}
    rows = {each.id: f"{each.title}  {each.id}" for each in every}
    while True:
        try:
            name = picker.pick("Calculadora", rows, ("calc", "show"))
        except Back:
            return
        if _complete(found[name]):
            return


def _complete(calculator: Calculator) -> bool:
    """Fill in and run; whether it ran."""
    from gemx.plugins import calculators

    fields = {each.name: _field(each) for each in calculator.parameters}
    filled = Form(
        calculator.title,
        fields,
        one_of=[*calculator.alternatives, *calculator.any_of],
        check=lambda values: read_error(lambda: calculators.run(calculator.id, values)),
    )
    while True:
        try:
            filled.complete()
            break
        except KeyboardInterrupt:
            if filled.is_abandoned():
                return False
    options = [word for name, text in filled.values.items() for word in ("-i", f"{name}={text}")]
    menu_run.run(menu_run.command("calc run", calculator.id, options))
    return True


def _field(parameter: Parameter) -> Field:
    choices: tuple[Choice, ...] = ()
    if parameter.kind == "boolean":
        choices = (Choice("sim", "sim", "s"), Choice("não", "não", "n"))
    elif parameter.kind == "choice":
        meanings = parameter.meanings or ("",) * len(parameter.choices)
        pairs = zip(parameter.choices, meanings, strict=True)
        choices = tuple(Choice(value, f"{value}: {meaning}" if meaning else value) for value, meaning in pairs)
    if choices and parameter.optional:
        choices = (Choice("", "não informado"), *choices)
    return Field(parameter.label, _accepts(parameter), partial(_read, parameter), not parameter.optional, choices)


def _accepts(parameter: Parameter) -> str:
    if parameter.kind == "unit":
        return "uma unidade, como mg ou mcg/kg/min"
    others = f", ou em {', '.join(each.symbol for each in parameter.other_units)}" if parameter.other_units else ""
    return f"{parameter.accepted}{others}"


def _read(parameter: Parameter, text: str) -> Reading:
    from decimal import Decimal

    from gemx.clinical.numbers import format_number

    value = parameter.read(text)
    if isinstance(value, bool):
        return Reading("sim" if value else "não")
    if isinstance(value, Decimal):
        return Reading(f"{format_number(value, 4)} {parameter.unit}".rstrip())
    return Reading(value)
