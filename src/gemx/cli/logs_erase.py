"""`gemx logs erase`: everything that gemx keeps of one person, wherever it keeps it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

import typer

from gemx.cli import options, output
from gemx.errors import GemxError

_BEYOND = "exports, copies, printed notes and what providers keep are beyond gemx: erase them by hand"


@dataclass
class _Done:
    """What was erased, or would be, and what was not, and why; `failure` is the last error that was met."""

    counts: dict[str, int] = field(default_factory=dict[str, int])
    left: list[str] = field(default_factory=list[str])
    failure: GemxError | None = None


def erase(
    subject: Annotated[str, typer.Option("--subject", metavar="ID", help="The person, as --subject named them.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what would be erased, and erase nothing.")] = False,
    as_json: options.AsJson = False,
) -> int:
    """Erase a person's texts for good: from the history, ledgers, batch outputs, and the texts beside the log.

    The log keeps its metadata and hashes, and a record of the erasure. What could not be reached is named.
    """
    output.begin("logs erase", as_json=as_json)
    from gemx.audit import record, writer

    whom = record.subject(subject)
    done = _Done()
    for part in (_history, _ledgers, _content):
        try:
            part(done, whom, dry_run=dry_run)
        except GemxError as exc:
            done.left.append(exc.message)
            done.failure = exc
    if not dry_run:
        fields = {"gemx.erased": done.counts}
        run_id = record.new_run_id()
        writer.append(record.event("erase", fields, run_id=run_id, command="logs erase", subject=whom))
    return _told(done, dry_run=dry_run, as_json=as_json)


def _history(done: _Done, whom: str, *, dry_run: bool) -> None:
    from gemx import history

    done.counts["history"] = history.count_about(whom) if dry_run else history.remove_about(whom)


def _ledgers(done: _Done, whom: str, *, dry_run: bool) -> None:
    from gemx.flow import erasure

    found = erasure.erase(whom, dry_run=dry_run)
    done.counts["items"] = sum(each.items for each in found)
    done.counts["rows"] = sum(each.rows for each in found)
    done.left += [what for each in found for what in each.left]
    done.failure = next((each.failure for each in found if each.failure), done.failure)


def _content(done: _Done, whom: str, *, dry_run: bool) -> None:
    from gemx.audit import content

    found = content.count(whom) if dry_run else content.erase(whom)
    done.counts["texts"] = found.texts
    if found.damaged:
        done.left.append(f"{found.damaged} damaged lines of the texts beside the log: whose they are cannot be read")


def _told(done: _Done, *, dry_run: bool, as_json: bool) -> int:
    exit_code = done.failure.exit_code if done.failure else 0
    data: dict[str, Any] = {"erased": not dry_run, **done.counts, "left": done.left, "beyond": _BEYOND}
    if as_json:
        output.as_json(data, exit_code, [output.described(done.failure)] if done.failure else [])
        return exit_code
    said = "would be erased" if dry_run else "erased"
    counts = done.counts
    output.result(
        f"{said}: {counts.get('history', 0)} runs of the history, {counts.get('items', 0)} items of ledgers, "
        f"{counts.get('rows', 0)} rows of batch outputs, {counts.get('texts', 0)} texts beside the log"
    )
    for what in done.left:
        output.warning(f"gemx: left: {what}")
    output.note(_BEYOND)
    if done.failure:
        output.error(done.failure)
    return exit_code
