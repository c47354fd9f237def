"""The arguments that the commands of flows share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from gemx.cli import completion
from gemx.errors import UsageError

Flow = Annotated[
    str,
    typer.Argument(
        metavar="NAME|PATH", help="A flow's name, or the path of its YAML file.", autocompletion=completion.flows
    ),
]
AllowRun = Annotated[
    bool, typer.Option("--allow-run", help="Let the flow run the commands that `flow validate` lists.")
]
OutDir = Annotated[
    Path | None,
    typer.Option(
        "--out-dir", metavar="DIR", help="The folder that `write` and `run` steps work in. Default: ./NAME-out."
    ),
]


def out_dir(name: str, given: Path | None) -> str:
    """The output folder of a flow, as a plan has it."""
    return str((given or Path(f"{Path(name).stem}-out")).absolute())


def network(
    given: Literal["machine", "site", "any"] | None, *, local_only: bool
) -> Literal["machine", "site", "any"] | None:
    """How far data may go, by both flags. Raises UsageError where they contradict each other."""
    if local_only and given not in (None, "machine"):
        raise UsageError(f"--local-only and --network {given} contradict each other")
    return "machine" if local_only else given
