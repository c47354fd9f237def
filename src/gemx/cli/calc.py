"""`gemx calc`: list, show and run the clinical calculators. No model is asked and nothing is stored."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gemx.cli import options, output

if TYPE_CHECKING:
    from decimal import Decimal

    from gemx.clinical.calculators import Calculator, Parameter, Result, Value

app = typer.Typer(no_args_is_help=True, help="Clinical calculators: list, show, run.")

_WIDTH = 80
_INPUT_DIGITS = 8
_COUNTED = {"pontos": "ponto", "critérios": "critério"}

Id = Annotated[str, typer.Argument(metavar="ID", help="A calculator's id, such as sofa_1996.")]


@app.command("list")
def list_(as_json: options.AsJson = False) -> None:
    """List the calculators: id, title and unit."""
    output.begin("calc list", as_json=as_json)
    from gemx.plugins import calculators

    found, others = calculators.every()
    for problem in others.remarks:
        output.warning(f"gemx: {problem}")
    if as_json:
        output.as_json([{"id": each.id, "title": each.title, "unit": each.unit} for each in found])
        return
    width = max(len(each.id) for each in found)
    for each in found:
        unit = f" ({each.unit})" if each.unit else ""
        output.result(_hanging(f"{each.id:<{width}}  ", f"{each.title}{unit}"))


@app.command()
def show(id: Id, as_json: options.AsJson = False) -> None:
    """Show a calculator: its inputs with units and accepted values, its version and its source."""
    output.begin("calc show", as_json=as_json)
    from gemx.plugins import calculators

    calculator = calculators.get(id)
    if as_json:
        output.as_json(_described(calculator))
        return
    output.result("\n".join(_page(calculator)))


@app.command()
def run(
    id: Id,
    given: Annotated[
        list[str] | None,
        typer.Option(
            "-i",
            "--set",
            metavar="NAME=VALUE",
            help="An input, such as weight=70 or creatinine='110 umol/L'. Repeatable.",
        ),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Compute one calculator.

    Where inputs are missing, the range that they allow is given and the value is null; the exit code is 0.
    """
    output.begin("calc run", as_json=as_json)
    from gemx.plugins import calculators

    result = calculators.run(id, options.pairs(given, "-i"))
    if as_json:
        output.as_json(vars(result))
        return
    output.result("\n".join(_receipt(calculators.get(id), result)))


def _described(calculator: Calculator) -> dict[str, Any]:
    inputs = [
        {
            "name": parameter.name,
            "label": parameter.label,
            "kind": parameter.kind,
            "unit": parameter.unit,
            "other_units": [other.symbol for other in parameter.other_units],
            "low": parameter.low,
            "low_excluded": parameter.low_excluded,
            "high": parameter.high,
            "whole": parameter.whole,
            "choices": parameter.choices,
            "meanings": parameter.meanings,
            "optional": parameter.optional,
            "default": parameter.default,
            "assumption": parameter.assumption,
        }
        for parameter in calculator.parameters
    ]
    return {
        "id": calculator.id,
        "title": calculator.title,
        "unit": calculator.unit,
        "inputs": inputs,
        "alternatives": calculator.alternatives,
        "any_of": calculator.any_of,
        "formula_version": calculator.formula_version,
        "source": calculator.source,
    }


def _page(calculator: Calculator) -> list[str]:
    lines = [_heading(calculator), "", "Entradas (* obrigatória)"]
    for parameter in calculator.parameters:
        lines.append(_hanging(f"  {'' if parameter.optional else '*'}{parameter.name}: ", _accepts(parameter)))
        for choice, meaning in zip(parameter.choices, parameter.meanings, strict=False):
            lines.append(_hanging(f"    {choice}: ", meaning))
        if parameter.assumption:
            lines.append(_hanging("    ", f"Opcional. {parameter.assumption}"))
    for group in calculator.alternatives:
        lines.append(_hanging("  ", f"Informe um só: {' ou '.join(group)}."))
    for group in calculator.any_of:
        lines.append(_hanging("  ", f"Informe ao menos um: {', '.join(group)}."))
    return [*lines, "", *_origin(calculator)]


def _accepts(parameter: Parameter) -> str:
    kinds = {"boolean": "sim ou não", "unit": "uma unidade, como mg ou mcg/kg/min"}
    accepted = kinds.get(parameter.kind) or parameter.accepted
    others = f" (ou em {', '.join(other.symbol for other in parameter.other_units)})" if parameter.other_units else ""
    return f"{parameter.label}; {accepted}{others}"


def _receipt(calculator: Calculator, result: Result) -> list[str]:
    parameters = {parameter.name: parameter for parameter in calculator.parameters}
    lines = [_heading(calculator), "", _hanging("  ", _outcome(result))]
    if result.interpretation and result.determinable:
        lines.append(_hanging("  ", result.interpretation))
    if result.missing:
        lines += ["", "Falta"]
    for names in result.missing:
        either = (f"{parameters[name].label} ({name})" for name in names.split(" or "))
        lines.append(_hanging("  - ", " ou ".join(either)))
    if result.inputs:
        lines += ["", "Entradas"]
    for name, parameter in parameters.items():
        if name in result.inputs:
            lines.append(_hanging(f"  {parameter.label}: ", _shown(parameter, result.inputs[name])))
    if result.assumptions:
        lines += ["", "Pressupostos", *(_hanging("  - ", assumption) for assumption in result.assumptions)]
    return [*lines, "", *_origin(calculator)]


def _outcome(result: Result) -> str:
    if result.value is not None:
        return _measured(result.value, result.unit)
    low, high = result.range or (None, None)
    if low is None and high is None:
        return "Indeterminável"
    if low == high and low is not None:
        return f"Indeterminável; com qualquer valor do que falta, {_measured(low, result.unit)}"
    ends = (f"de {_number(low)}" if low is not None else "", f"até {_number(high)}" if high is not None else "")
    if low is not None and high is not None:
        ends = (f"entre {_number(low)} e {_number(high)}",)
    return f"Indeterminável: {' '.join(end for end in ends if end)} {result.unit}".rstrip()


def _measured(value: Decimal, unit: str) -> str:
    return f"{_number(value)} {_COUNTED.get(unit, unit) if value == 1 else unit}".rstrip()


def _number(value: Decimal, digits: int = 4) -> str:
    """`value` in pt-BR to that many significant digits; all digits before the comma stay."""
    from gemx.clinical.numbers import format_number

    return format_number(value, max(0, digits - 1 - value.adjusted()))


def _shown(parameter: Parameter, value: Value) -> str:
    if isinstance(value, bool):
        return "sim" if value else "não"
    if isinstance(value, str):
        meanings = dict(zip(parameter.choices, parameter.meanings, strict=False))
        return f"{value} ({meanings[value]})" if value in meanings else value
    return f"{_number(value, _INPUT_DIGITS)} {parameter.unit}".rstrip()


def _heading(calculator: Calculator) -> str:
    return _hanging("", f"{calculator.title} ({calculator.id})")


def _origin(calculator: Calculator) -> list[str]:
    return [_hanging("Fórmula: ", calculator.formula_version), _hanging("Fonte: ", calculator.source)]


def _hanging(start: str, text: str) -> str:
    """`start` and `text`, folded at 80 columns under the end of `start`, or less far in where that is narrow."""
    indent = " " * min(len(start), 30)
    return textwrap.fill(start + text, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
