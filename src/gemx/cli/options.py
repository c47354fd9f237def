"""The flags that commands share, each defined once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from gemx.cli import completion
from gemx.errors import UsageError

RAISE_LIMIT = (
    "raise it with -o max_output_tokens=N, with the cap that holds it down (--max-cost, budget), or a local model's "
    "context with -o context=N"
)

Automation = Annotated[
    str,
    typer.Argument(
        metavar="NAME|PATH",
        help="An automation's name, or the path of its YAML file.",
        autocompletion=completion.automations,
    ),
]
CALLS = "Model calls"

Model = Annotated[
    str | None,
    typer.Option(
        "-m",
        "--model",
        metavar="MODEL",
        help="gemini:NAME, gguf:NAME|PATH.gguf, openai:NAME or extractive.",
        autocompletion=completion.models,
        rich_help_panel=CALLS,
    ),
]
ModelOptions = Annotated[
    list[str] | None,
    typer.Option(
        "-o",
        "--option",
        metavar="KEY=VALUE",
        help="A model option, such as temperature=0. Repeatable.",
        rich_help_panel=CALLS,
    ),
]
Params = Annotated[
    list[str] | None,
    typer.Option("-p", "--param", metavar="KEY=VALUE", help="A value of a template's variable. Repeatable."),
]
Fallback = Annotated[
    list[str] | None,
    typer.Option(
        "--fallback",
        metavar="MODEL",
        help="A model that takes over where the chosen one fails. Repeatable.",
        autocompletion=completion.models,
        rich_help_panel=CALLS,
    ),
]
Guard = Annotated[
    Literal["off", "warn", "mask", "block"] | None,
    typer.Option(
        "--guard",
        help="What is done about identifiers before a call leaves this machine.",
        rich_help_panel=CALLS,
    ),
]
Network = Annotated[
    Literal["machine", "site", "any"] | None,
    typer.Option("--network", help="How far data may go.", rich_help_panel=CALLS),
]
LocalOnly = Annotated[bool, typer.Option("--local-only", help="Let nothing leave this machine.", rich_help_panel=CALLS)]
MaxCost = Annotated[
    float | None,
    typer.Option(
        "--max-cost",
        metavar="USD",
        min=0.000001,
        max=1_000_000,
        help="The most that this may cost.",
        rich_help_panel=CALLS,
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        metavar="SECONDS",
        min=0.001,
        max=86_400,
        help="The most time for the whole command, retries included.",
        rich_help_panel=CALLS,
    ),
]
Tries = Annotated[
    int | None,
    typer.Option(
        "--tries",
        metavar="N",
        min=1,
        max=100,
        help="How often one model is tried at most; 1: no retry.",
        rich_help_panel=CALLS,
    ),
]
Profile = Annotated[
    str | None,
    typer.Option(
        "--profile",
        metavar="NAME",
        help="Take model and options from a profile.",
        rich_help_panel=CALLS,
        autocompletion=completion.profiles,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print no remarks on stderr.")]
Out = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write the result to FILE (mode 0600).")]
Repair = Annotated[
    int, typer.Option("--repair", metavar="N", min=0, max=10, help="Send an invalid answer back at most N times.")
]
Strict = Annotated[bool, typer.Option("--strict", help="Make what cannot be verified an error (exit 6).")]
NoHistory = Annotated[bool, typer.Option("--no-history", help="Do not keep the texts of this result.")]
Since = Annotated[
    str | None, typer.Option("--since", metavar="DATE|7d", help="From a day (2026-11-20), or the last days or hours.")
]
Until = Annotated[
    str | None,
    typer.Option("--until", metavar="DATE|7d", help="Up to the end of a day, or to that many days or hours ago."),
]
Subject = Annotated[
    str | None,
    typer.Option("--subject", metavar="ID", help="Whom it is about; kept as a keyed hash, for gemx logs erase."),
]
Formulary = Annotated[
    Path | None, typer.Option("--formulary", metavar="DIR", help="Use the drugs of DIR in place of the packaged ones.")
]


def pairs(given: Sequence[str] | None, flag: str) -> dict[str, str]:
    """KEY=VALUE arguments as a mapping. Raises UsageError on one without `=`, and on a key given twice."""
    found: dict[str, str] = {}
    for item in given or ():
        key, equals, value = item.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"{flag} {item!r}: expected KEY=VALUE", hint=f"for example {flag} chave=valor")
        if key.strip() in found:
            raise UsageError(f"{flag} {key.strip()} is given twice")
        found[key.strip()] = value
    return found


def subject(given: str | None) -> str | None:
    """Whom a run is about, as it is kept: a keyed hash of what --subject says. Raises UsageError, StorageError."""
    if given is None:
        return None
    from gemx.audit import record

    return record.subject(given)
