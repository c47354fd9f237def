"""`gemx templates import`: templates of fabric, of llm and of gemx, a whole collection at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gemx.cli import options, output
from gemx.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gemx.templates.collection import Outcome


def import_(
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="A folder of fabric patterns or llm templates, or one of them.")
    ],
    force: Annotated[bool, typer.Option("--force", help="Replace templates of yours that have the same name.")] = False,
    language: Annotated[
        str, typer.Option("--language", metavar="TAG", help="The language that they are marked with.")
    ] = "en",
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> int:
    """Import the templates of fabric or llm to the config directory: what came, what did not, and what was left out."""
    output.begin("templates import", as_json=as_json, quiet=quiet)
    from gemx import places
    from gemx.templates import collection

    outcomes = collection.bring(places.user_path(path), language, force=force)
    counts = {state: sum(each.state == state for each in outcomes) for state in collection.STATES}
    there = len(outcomes) - counts["skipped"]
    error = None if there else InputError(f"nothing was imported from {path}", hint="the reasons are listed")
    if as_json:
        data = {**counts, "folder": places.config_dir() / "templates", "templates": [vars(each) for each in outcomes]}
        output.as_json(data, error.exit_code if error else 0, [output.described(error)] if error else [])
    else:
        _tell(outcomes, counts, places.config_dir() / "templates")
        if error:
            output.error(error)
    return error.exit_code if error else 0


def _tell(outcomes: Sequence[Outcome], counts: dict[str, int], folder: Path) -> None:
    """What is to be known of each, one a line, then the numbers."""
    for each in outcomes:
        for line in _lines(each):
            output.note(line)
    said = [f"{number} {state}" for state, number in counts.items() if number]
    output.result(f"{len(outcomes)} templates: {', '.join(said)} ({folder})")
    lost = sum(bool(each.lost) for each in outcomes)
    if lost:
        output.result(f"{lost} with parts that gemx does not take over")


def _lines(outcome: Outcome) -> list[str]:
    if outcome.state == "skipped":
        return [f"skipped   {outcome.source}: {outcome.why}"]
    remarks: list[Any] = [f"not taken over: {', '.join(outcome.lost)}"] if outcome.lost else []
    remarks += outcome.notes
    return [f"{outcome.state:<9} {outcome.name}: {'; '.join(remarks)}"] if remarks else []
