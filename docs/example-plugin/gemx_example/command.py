"""The command `gemx hello`. Typer is at hand, and `gemx.cli.output` prints: results to stdout, remarks to stderr."""

from __future__ import annotations

from typing import Annotated

import typer

from gemx.cli import output
from gemx.errors import InputError


def hello(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whom to greet.")] = "world",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Greet somebody."""
    output.begin("hello", as_json=as_json)
    if not name.strip():
        raise InputError("the name is empty", hint="gemx hello Ana")
    greeting = f"Hello, {name}!"
    if as_json:
        output.as_json({"greeting": greeting})
    else:
        output.result(greeting)
