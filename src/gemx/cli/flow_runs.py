"""The runs of flows: how far they are, go on, run what failed again, stop, export, erase."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gemx.cli import completion, flow_batch, flow_execution, flow_run, flow_told, options, output
from gemx.errors import NotFoundError, StorageError, UsageError

if TYPE_CHECKING:
    from gemx.flow.ledger import Ledger, Run
    from gemx.flow.plan import Plan

_AGE = re.compile(r"(\d{1,5})([dh])")
_STEP = ("step", "done", "skipped", "failed", "seconds")

RunId = Annotated[
    str,
    typer.Argument(metavar="RUN_ID", help="The run, or the beginning of its id.", autocompletion=completion.flow_runs),
]


def status(
    run_id: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN_ID]", help="A run, or the beginning of its id.", autocompletion=completion.flow_runs
        ),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Show how far a run is, what it cost and why items failed; without an id, every run, newest last."""
    output.begin("flow status", as_json=as_json)
    from gemx.flow import runs

    if run_id is None:
        _list(as_json=as_json)
        return
    found = runs.resolve(run_id)
    with _opened(found) as (ledger, run):
        data = _data(ledger, run)
        steps, failures = ledger.steps(), ledger.failures()
    if as_json:
        output.as_json({**data, "steps": [dict(zip(_STEP, step, strict=True)) for step in steps], "failures": failures})
        return
    output.result("\n".join(_page(data, steps, failures)))


def resume(
    run_id: RunId,
    concurrency: flow_batch.Concurrency = None,
    max_cost: flow_batch.TotalCost = None,
    progress: flow_batch.ProgressForm = "auto",
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> int:
    """Go on with a run that was stopped or killed, as it was asked; what was done is not paid for again."""
    output.begin("flow resume", as_json=as_json, quiet=quiet)
    how = flow_execution.How(reread=False, progress=progress)
    return _again(run_id, how, concurrency, max_cost, as_json=as_json)


def retry(
    run_id: RunId,
    concurrency: flow_batch.Concurrency = None,
    max_cost: flow_batch.TotalCost = None,
    progress: flow_batch.ProgressForm = "auto",
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> int:
    """Run the failed items of a run again, and no others; their steps that were done are not paid for again."""
    output.begin("flow retry", as_json=as_json, quiet=quiet)
    how = flow_execution.How(again=True, reread=False, progress=progress)
    return _again(run_id, how, concurrency, max_cost, as_json=as_json)


def cancel(run_id: RunId, as_json: options.AsJson = False) -> None:
    """Stop a run that is under way: the items that have begun end first. Exit 4 where it is not running."""
    output.begin("flow cancel", as_json=as_json)
    from gemx.flow import runs

    found = runs.resolve(run_id)
    runs.cancel(found)
    if as_json:
        output.as_json({"run_id": found})
        return
    output.result(f"{found} stops when the items that have begun have ended")


def export(
    run_id: RunId,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE.jsonl|.csv", help="The file to write (mode 0600); else stdout."),
    ] = None,
) -> None:
    """Write what there is of a run, finished or not: a row for each line, in their order."""
    output.begin("flow export")
    from gemx.flow import output as rows
    from gemx.flow import plan as plans
    from gemx.flow import runs

    found = runs.resolve(run_id)
    if out:
        output.check_writable(out)
    with _opened(found) as (ledger, run):
        plan = plans.of_json(run.asked)
        sheet = rows.sheet_of(plan, found, str(out) if out else None)
        if out:
            rows.write(out, ledger.outcomes(), sheet)
            output.note(f"written: {out}")
            return
        for line in rows.rendered(ledger.outcomes(), sheet):
            output.raw(line.rstrip("\r\n"))


def remove(
    run_ids: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN_ID]...", help="Runs, or the beginnings of their ids.", autocompletion=completion.flow_runs
        ),
    ] = None,
    older_than: Annotated[
        str | None,
        typer.Option(
            "--older-than", metavar="30d", help="Every run that nothing changed of for so many days or hours."
        ),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Erase the ledgers of runs, with all their texts. What was written with --out stays."""
    output.begin("flow remove", as_json=as_json)
    from gemx.flow import runs

    if (older_than is None) == (not run_ids):
        raise UsageError("name the runs to erase, or --older-than", hint="gemx flow status names them")
    if older_than is not None:
        found = [run_id for run_id in runs.older_than(_age(older_than)) if not runs.is_running(run_id)]
    else:
        found = list(dict.fromkeys(runs.resolve(run_id) for run_id in run_ids or ()))
    for run_id in found:
        runs.erase(run_id)
    if as_json:
        output.as_json({"erased": len(found), "run_ids": found})
        return
    count = "1 run" if len(found) == 1 else f"{len(found)} runs"
    output.result(f"erased: {', '.join(found)}" if run_ids else f"erased: {count} older than {older_than}")


def _again(
    run_id: str, how: flow_execution.How, concurrency: int | None, max_cost: float | None, *, as_json: bool
) -> int:
    from gemx.flow import runs

    found = runs.resolve(run_id)
    plan = _plan(found)
    plan = replace(plan, concurrency=concurrency or plan.concurrency, max_cost=max_cost or plan.max_cost)
    if plan.command == "flow run":
        return flow_run.go_on(plan, found, how, as_json=as_json)
    flow_batch.check(plan, as_json=as_json)
    return flow_batch.go_on(plan, found, how, "skip", as_json=as_json)


@contextmanager
def _opened(run_id: str) -> Generator[tuple[Ledger, Run]]:
    """The ledger of a run that was begun. Raises NotFoundError."""
    from gemx.flow import ledger, runs

    with ledger.opened(runs.ledger(run_id)) as book:
        run = book.run()
        if run is None:
            raise NotFoundError(f"the run {run_id} never began", hint=f"gemx flow remove {run_id}")
        yield book, run


def _plan(run_id: str) -> Plan:
    from gemx.flow import plan as plans

    with _opened(run_id) as (_, run):
        return plans.of_json(run.asked)


def _data(ledger: Ledger, run: Run) -> dict[str, Any]:
    from gemx.flow import runs

    return {
        "run_id": run.run_id,
        "command": run.command,
        "flow": run.name,
        "state": _state(ledger, run),
        "running": runs.is_running(run.run_id),
        "created": run.created,
        "changed": run.changed,
        "out": run.asked.get("out"),
        **flow_told.counted(ledger.counts()),
        "stopped": asdict(run.stopped) if run.stopped else None,
    }


def _state(ledger: Ledger, run: Run) -> str:
    """running, done, partial (some rows failed), stopped (it said why), or killed (it did not)."""
    from gemx.flow import runs

    counts = ledger.counts()
    if runs.is_running(run.run_id):
        return "running"
    if run.stopped:
        return "stopped"
    if counts.pending:
        return "killed"
    return "done" if counts.whole else "partial"


def _list(*, as_json: bool) -> None:
    from gemx.flow import runs

    rows: list[dict[str, Any]] = []
    for run_id in runs.known():
        try:
            with contextlib.suppress(NotFoundError), _opened(run_id) as (ledger, run):
                rows.append(_data(ledger, run))
        except StorageError as exc:
            # One that is damaged hides no other.
            output.warning(f"gemx: {exc.message}")
    if as_json:
        output.as_json(rows)
        return
    for row in rows:
        ended = f"{row['done']} of {row['items']} done" + (f", {row['failed']} failed" if row["failed"] else "")
        output.result(f"{row['changed'][5:16].replace('T', ' ')} {row['run_id']} {row['state']}: {ended}")
    if not rows:
        output.note("no flow has run, or their runs were removed")


def _page(
    data: dict[str, Any], steps: Sequence[tuple[str, int, int, int, float]], failures: Sequence[tuple[str, str, int]]
) -> list[str]:
    from gemx.gateway import bill

    refused = f", of which {data['refused']} could not be read" if data["refused"] else ""
    least = "at least " if data["cost_usd"] is None else ""
    lines = [
        f"{data['run_id']}: {data['state']}",
        f"{data['command']} {data['flow']}, begun {data['created']}, changed {data['changed']}",
        f"lines: {data['lines']}{refused}",
        f"items: {data['items']}; {data['done']} done, {data['failed']} failed, {data['pending']} to do",
        f"calls: {data['calls']}, {data['input_tokens']} tokens in, {data['output_tokens']} out, "
        f"{least}{bill.dollars(data['cost_at_least_usd'])} USD",
    ]
    lines += [f"stopped: {data['stopped']['message']}"] if data["stopped"] else []
    for id, done, skipped, failed, seconds in steps:
        ended = f"{done} done" + (f", {skipped} skipped" if skipped else "") + (f", {failed} failed" if failed else "")
        lines.append(f"  {id}: {ended}, {seconds / max(1, done + failed):.2f} s each")
    lines += [f"{count} failed, {code}: {' '.join(message.split())}" for code, message, count in failures]
    if data["state"] in ("stopped", "killed"):
        lines.append(f"to go on: gemx flow resume {data['run_id']}")
    elif data["state"] == "partial" and data["failed"]:
        lines.append(f"to run what failed again: gemx flow retry {data['run_id']}")
    return lines


def _age(text: str) -> timedelta:
    match = _AGE.fullmatch(text)
    if match is None:
        raise UsageError(f"--older-than {text!r} is no age", hint="for example 30d or 12h")
    return timedelta(**{{"d": "days", "h": "hours"}[match[2]]: int(match[1])})
