"""The flags by which commands on the log choose records, each defined once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gemx.cli import output, times

if TYPE_CHECKING:
    from gemx.audit.find import Filter, Reader

Command = Annotated[str | None, typer.Option("--command", metavar="NAME", help="Of one command, such as 'auto run'.")]
Model = Annotated[
    str | None, typer.Option("-m", "--model", metavar="MODEL", help="Of one model, with or without its provider.")
]
Status = Annotated[
    str | None,
    typer.Option("--status", metavar="STATUS", help="ok, error, refused, unverified, or the code of an error."),
]
OfAutomation = Annotated[str | None, typer.Option("--automation", metavar="NAME", help="Of one automation.")]
OfFlow = Annotated[str | None, typer.Option("--flow", metavar="NAME", help="Of one flow.")]
OfUser = Annotated[str | None, typer.Option("--user", metavar="NAME", help="Of one user of the system.")]


def made(
    since: str | None,
    until: str | None,
    command: str | None,
    model: str | None,
    status: str | None,
    automation: str | None,
    flow: str | None,
    user: str | None,
    words: list[str] | None = None,
) -> Filter:
    """The filter that the flags ask for. Raises UsageError."""
    from gemx.audit.find import Filter

    zone = times.zone()
    return Filter(
        since=times.since(since, zone),
        until=times.until(until, zone),
        command=command,
        model=model,
        status=status,
        automation=automation,
        flow=flow,
        user=user,
        words=words or (),
    )


def tell_passed(reader: Reader) -> None:
    """Say how many lines were no records, where there were any."""
    if reader.passed:
        lines = (
            "1 line is no record and was" if reader.passed == 1 else f"{reader.passed} lines are no records and were"
        )
        output.warning(f"gemx: {lines} passed over; gemx logs verify says where")
