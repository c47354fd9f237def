"""`gemx logs export`, `prune` and `import`: whole files out of the log, off it and into it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gemx.cli import logs_filter, options, output, times
from gemx.errors import UsageError

if TYPE_CHECKING:
    from gemx.audit.export import Form
    from gemx.audit.find import Record

_NAMED = 10


def export(
    out: Annotated[Path, typer.Option("--out", metavar="FILE.csv|.json|.jsonl", help="The file to write (mode 0600).")],
    since: options.Since = None,
    until: options.Until = None,
    command: logs_filter.Command = None,
    model: logs_filter.Model = None,
    status: logs_filter.Status = None,
    automation: logs_filter.OfAutomation = None,
    flow: logs_filter.OfFlow = None,
    user: logs_filter.OfUser = None,
    as_json: options.AsJson = False,
) -> None:
    """Write records to a file, oldest first: CSV, a JSON array, or JSON lines, by its suffix."""
    output.begin("logs export", as_json=as_json)
    from gemx import places
    from gemx.audit import export as exporting
    from gemx.audit.find import Reader

    form = _form(out)
    output.check_writable(out)
    which = logs_filter.made(since, until, command, model, status, automation, flow, user)
    reader, count = Reader(), [0]

    def counted() -> Iterator[Record]:
        for record in reader.oldest(which):
            count[0] += 1
            yield record

    places.write_private(out.resolve(), exporting.written(counted(), form))
    if as_json:
        output.as_json({"exported": count[0], "passed_over": reader.passed, "path": str(out)})
    else:
        output.result(f"exported: {_records(count[0])} to {out}")
    logs_filter.tell_passed(reader)


def prune(
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="365d", help="Whole days that are older than that.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed, and remove nothing.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Remove old days of the log for good, texts included; a record says what is gone, and the rest stays provable."""
    output.begin("logs prune", as_json=as_json)
    from gemx.audit import prune as pruning

    plan = pruning.plan(times.age(older_than))
    size = plan.size
    if not dry_run:
        pruning.carry_out(plan)
    if plan.breaks:
        output.warning(f"gemx: the chain does not hold at {plan.breaks} places in these days, and the record says so")
    names = [path.name for path in plan.files]
    if as_json:
        output.as_json({"removed": not dry_run, "files": names, "records": plan.records, "bytes": size})
        return
    if not names:
        output.result("nothing is older than that")
        return
    said = "would be removed" if dry_run else "removed"
    files = names[0] if len(names) == 1 else f"{len(names)} files, {names[0]} to {names[-1]}"
    output.result(f"{said}: {files}; {_records(plan.records)}, {size} bytes")


def import_(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="JSON lines with a time and a model.")],
    as_json: options.AsJson = False,
) -> None:
    """Take over the lines of old logs, such as audit-*.jsonl of shell scripts: under our names, and each line whole.

    What was imported before is left out. The lines are kept beside the log, where gemx logs erase reaches their texts.
    """
    output.begin("logs import", as_json=as_json)
    from gemx import keys
    from gemx.audit import importing, record

    run_id = record.new_run_id()
    tally = importing.take_over(files, run_id, keys.redact)
    if as_json:
        output.as_json({"run_id": run_id, **vars(tally)})
        return
    output.result(
        f"mapped: {tally.mapped}, kept without a time or a model: {tally.kept}, there already: {tally.known}, "
        f"refused: {tally.refused}"
    )
    for refusal in tally.refusals[:_NAMED]:
        output.warning(f"gemx: {refusal}")
    if tally.mapped or tally.kept:
        output.note(f"run: {run_id}")


def _form(out: Path) -> Form:
    match out.suffix.lower():
        case ".csv":
            return "csv"
        case ".json":
            return "json"
        case ".jsonl" | ".ndjson":
            return "jsonl"
        case suffix:
            raise UsageError(f"no form goes with the suffix {suffix!r}", hint="use .csv, .json or .jsonl")


def _records(count: int) -> str:
    return "1 record" if count == 1 else f"{count} records"
