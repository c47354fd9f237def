"""`gemx flow batch`: a flow over the items of a file, which is gone on with where it was stopped, killed or refused."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from gemx.cli import flow_execution, flow_names, flow_told, options, output
from gemx.errors import UsageError

if TYPE_CHECKING:
    from gemx.cli.flow_execution import Carried, How, IfRunning
    from gemx.flow.plan import Plan

_BATCH = "Batch"

ItemsFile = Annotated[
    str,
    typer.Option(
        "--items",
        metavar="FILE.csv|.jsonl|-",
        help="The items: a CSV whose header names the inputs, JSON lines, or stdin (-).",
        rich_help_panel=_BATCH,
    ),
]
OutFile = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="FILE.jsonl|.csv",
        help="Write a row for each line, in their order (mode 0600); else they go to stdout.",
        rich_help_panel=_BATCH,
    ),
]
Concurrency = Annotated[
    int | None,
    typer.Option(
        "--concurrency",
        metavar="N",
        min=1,
        max=1000,
        help="Calls at once: the fewest that this, the flow and config.json say; 8 where none does.",
        rich_help_panel=_BATCH,
    ),
]
FailedOnly = Annotated[
    bool, typer.Option("--failed-only", help="Run the failed items again, and no others.", rich_help_panel=_BATCH)
]
IfRunningOption = Annotated[
    Literal["skip", "wait", "fail"],
    typer.Option(
        "--if-running",
        help="Where it is running already: end with 0 (11 where there is no --out), wait for its end, or end with 11.",
        rich_help_panel=_BATCH,
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Count items, calls, tokens and money that it would take; call nothing.",
        rich_help_panel=_BATCH,
    ),
]
ProgressForm = Annotated[
    Literal["auto", "jsonl"],
    typer.Option("--progress", help="How stderr shows it: for people, or JSON lines.", rich_help_panel=_BATCH),
]
SubjectFrom = Annotated[
    str | None,
    typer.Option(
        "--subject-from",
        metavar="COLUMN",
        help="The column that says whom a row is about; as --subject, for each row.",
        rich_help_panel=_BATCH,
    ),
]
CallTimeout = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        metavar="SECONDS",
        min=0.001,
        max=86_400,
        help="The most time for the call of one step of one item, retries included.",
        rich_help_panel="Model calls",
    ),
]
TotalCost = Annotated[
    float | None,
    typer.Option(
        "--max-cost",
        metavar="USD",
        min=0.000001,
        max=1_000_000,
        help="The most that the whole run may cost, however often it is gone on with.",
        rich_help_panel="Model calls",
    ),
]


def batch(
    name: flow_names.Flow,
    items: ItemsFile,
    out: OutFile = None,
    concurrency: Concurrency = None,
    failed_only: FailedOnly = False,
    if_running: IfRunningOption = "skip",
    dry_run: DryRun = False,
    progress: ProgressForm = "auto",
    allow_run: flow_names.AllowRun = False,
    out_dir: flow_names.OutDir = None,
    model: options.Model = None,
    option: options.ModelOptions = None,
    fallback: options.Fallback = None,
    guard: options.Guard = None,
    network: options.Network = None,
    local_only: options.LocalOnly = False,
    max_cost: TotalCost = None,
    timeout: CallTimeout = None,
    tries: options.Tries = None,
    profile: options.Profile = None,
    formulary: options.Formulary = None,
    subject: options.Subject = None,
    subject_from: SubjectFrom = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> int:
    """Run a flow for every row of a file. The same command again goes on where it ended.

    A column `id` names the row. Rows that ask the same share their calls. Exit 7: some rows failed; what runs them
    again is shown.
    """
    output.begin("flow batch", as_json=as_json, quiet=quiet)
    from gemx.flow import plan as plans

    found = plans.named("flows", name)
    plan = plans.Plan(
        command="flow batch",
        name=found,
        items=located(items),
        out=str(out.absolute()) if out else None,
        out_dir=flow_names.out_dir(found, out_dir),
        concurrency=concurrency,
        model=model,
        options=options.pairs(option, "-o"),
        fallback=tuple(fallback or ()),
        guard=guard,
        network=flow_names.network(network, local_only=local_only),
        max_cost=max_cost,
        timeout=timeout,
        tries=tries,
        profile=profile,
        formulary=str(formulary.absolute()) if formulary else None,
        allow_run=allow_run,
        subject=options.subject(subject),
        subject_from=column(subject_from, subject),
    )
    how = flow_execution.How(again=failed_only, progress=progress)
    return start(plan, how, if_running, dry_run=dry_run, as_json=as_json)


def start(plan: Plan, how: How, if_running: IfRunning, *, dry_run: bool, as_json: bool) -> int:
    """Carry a batch's plan out, or say what that would take; returns the exit code."""
    check(plan, as_json=as_json)
    if dry_run:
        from gemx.cli import flow_estimate

        return flow_estimate.show(plan, as_json=as_json)
    return go_on(plan, plan.batch_id(), how, if_running, as_json=as_json)


def go_on(plan: Plan, run_id: str, how: How, if_running: IfRunning, *, as_json: bool) -> int:
    """Carry out what is open of a run, and say how it ended; returns the exit code."""
    if if_running == "skip" and plan.out is None:
        # Nobody else would print its rows, and of standard input nobody else has the items.
        if_running = "fail"
    with flow_execution.held(run_id, if_running) as hold:
        if hold is None:
            if as_json:
                output.as_json({"run_id": run_id, "running": True})
            return 0
        output.note(f"run: {run_id}")
        carried = flow_execution.carry_out(plan, hold, how)
        return report(carried, as_json=as_json)


def report(carried: Carried, *, as_json: bool) -> int:
    """Say how a run ended; returns its exit code."""
    code = flow_told.exit_code(carried)
    if as_json:
        output.as_json(flow_told.data(carried), code, flow_told.errors(carried))
        return code
    return flow_told.told(carried)


def check(plan: Plan, *, as_json: bool) -> None:
    """Refuse what makes no sense, or could not be delivered, before anything is read or paid for."""
    from gemx import gateway, places
    from gemx.flow import items
    from gemx.flow import output as rows

    gateway.check_flags(plan.model, plan.options, plan.fallback)
    if plan.items and plan.out and places.is_same_file(Path(plan.items), Path(plan.out)):
        raise UsageError("--out is the file of --items, which it would replace", hint="name another file")
    if plan.out is None:
        if as_json:
            raise UsageError("--json prints how the batch ended: the rows need --out FILE", hint="or leave --json out")
        return
    rows.form_of(Path(plan.out), items.Form("jsonl"))
    output.check_writable(Path(plan.out))


def column(subject_from: str | None, subject: str | None) -> str | None:
    """The column of --subject-from. Raises UsageError where --subject says it of all rows."""
    if subject_from is not None and subject is not None:
        raise UsageError("--subject says whom every row is about, and --subject-from asks each row: choose one")
    return subject_from


def located(items: str) -> str:
    """The items' file as a plan has it. Raises UsageError on a form that is not known."""
    from gemx.flow.items import STDIN

    return items if items == STDIN else str(Path(items).absolute())
