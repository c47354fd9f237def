"""What the commands that run flows share: a plan is carried out, and its rows are delivered."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TextIO, cast

from gemx.cli import output
from gemx.cli.flow_progress import Shown
from gemx.errors import ConfigError, GemxError, StorageError

if TYPE_CHECKING:
    from gemx.flow.batch import Ending
    from gemx.flow.context import Asked, Context
    from gemx.flow.ledger import Counts, Ledger, Line, Outcome
    from gemx.flow.plan import Plan
    from gemx.flow.runs import Hold
    from gemx.flow.shelf import Loaded
    from gemx.gateway import Listener
    from gemx.settings import Settings

IfRunning = Literal["skip", "wait", "fail"]
_CONCURRENCY = 8
_SPARE = 4


@dataclass(frozen=True)
class How:
    """How a run is gone through: failed items alone, with items that are read anew, with which progress."""

    again: bool = False
    reread: bool = True
    progress: Literal["auto", "jsonl"] = "auto"


@dataclass(frozen=True)
class Carried:
    """A run that was gone through, as far as it came; `outcome` is that of the one item of `flow run`."""

    run_id: str
    plan: Plan
    loaded: Loaded
    counts: Counts
    ending: Ending
    failures: tuple[tuple[str, str, int], ...]
    outcome: Outcome | None


@contextlib.contextmanager
def held(run_id: str, if_running: IfRunning) -> Generator[Hold | None]:
    """Hold a run; where another process does, None, wait for it, or StorageError."""
    from gemx.flow import runs

    while True:
        with runs.held(run_id) as hold:
            if hold is not None:
                output.progress_ended()
                yield hold
                return
        if if_running == "fail":
            raise StorageError(f"{run_id} is running already", hint=f"gemx flow status {run_id}")
        if if_running == "skip":
            output.warning(f"gemx: {run_id} is running already: nothing to do (--if-running wait, or fail)")
            yield None
            return
        output.progress(f"waiting for {run_id}, which is running already")
        runs.wait(run_id, 1.0)


def carry_out(plan: Plan, hold: Hold, how: How, values: Mapping[str, Any] | None = None) -> Carried:
    """Run what is open of a plan; `values` are those of the one item of `flow run`. Raises GemxError."""
    from gemx import settings
    from gemx.flow import ledger, runs
    from gemx.flow import plan as plans
    from gemx.flow.output_folder import OutputFolder

    path = runs.ledger(hold.run_id)
    loaded = plans.load(plan)
    chosen = settings.load(plan.profile)
    shown = Shown(how.progress)
    context = prepared(plan, loaded, chosen, hold.run_id, shown)
    identity = plans.identity(loaded, context)
    if (began := _began(path, identity)) is not None:
        context = replace(context, folder=OutputFolder(Path(plan.out_dir), began))
    announce(loaded, context)
    try:
        with ledger.opened(path) as book:
            plan = _written_down(book, plan, hold.run_id, loaded, identity, how, values)
            if how.again:
                book.reopen()
            ending = _run(book, plan, hold, how, loaded, context, shown)
            book.end(ending.stopped)
            first = next(book.outcomes(), None) if plan.command == "flow run" else None
            carried = Carried(hold.run_id, plan, loaded, book.counts(), ending, tuple(book.failures()), first)
            if plan.command != "flow run" and ending.stopped is None:
                _deliver(book, carried)
    except BaseException:
        with contextlib.suppress(GemxError):
            _forget_empty(hold)
        raise
    return carried


def prepared(plan: Plan, loaded: Loaded, chosen: Settings, run_id: str, listener: Listener) -> Context:
    """The context of a plan's items. Raises UsageError, ConfigError, NotFoundError."""
    from gemx.flow import runner

    asked: Asked = runner.Asked(
        model=plan.model,
        options=plan.options,
        fallback=plan.fallback,
        guard=plan.guard,
        network=plan.network,
        max_cost=plan.max_cost,
        timeout=plan.timeout,
        tries=plan.tries,
        concurrency=size(plan, loaded, chosen),
        listener=listener,
    )
    return runner.context(
        loaded,
        chosen,
        asked,
        command=plan.command,
        run_id=run_id,
        out_dir=Path(plan.out_dir),
        allow_run=plan.allow_run,
    )


def size(plan: Plan, loaded: Loaded, chosen: Settings) -> int:
    """How many calls at once: the fewest that flag, flow and config.json allow."""
    said = (plan.concurrency, loaded.flow.limits.concurrency, chosen.config.concurrency)
    return min((each for each in said if each), default=_CONCURRENCY)


def workers(plan: Plan, loaded: Loaded, chosen: Settings) -> int:
    """How many items are under way at once.

    A quarter more than the calls, which the door bounds: while some wait for the disk, others call. What a flow runs
    itself nobody else bounds.
    """
    if plan.command == "flow run":
        return 1
    calls = size(plan, loaded, chosen)
    return calls if any(step.run for step in loaded.flow.steps) else calls + calls // _SPARE


def announce(loaded: Loaded, context: Context) -> None:
    """Say what is not gemx's own, which models are used, and why."""
    if loaded.path:
        output.note(f"flow: {loaded.path}, sha256 {loaded.sha256[:12]}")
    routes = [policy.route for policy in context.policies.values()]
    for note in dict.fromkeys(note for route in routes for note in route.notes):
        output.note(f"model: {note}")
    for line in dict.fromkeys(f"model: {route} ({route.reason})" for route in routes):
        output.note(line)


def _began(path: Path, identity: str) -> float | None:
    """When the run began to do what it does now, in seconds since 1970, where there is one."""
    from gemx.flow import ledger

    if not path.exists():
        return None
    with ledger.opened(path) as book:
        run = book.run()
    return datetime.fromisoformat(run.created).timestamp() if run and run.sha256 == identity else None


def _written_down(
    book: Ledger,
    plan: Plan,
    run_id: str,
    loaded: Loaded,
    identity: str,
    how: How,
    values: Mapping[str, Any] | None,
) -> Plan:
    """Take the plan and its lines into the ledger; returns it with the form of the items."""
    from gemx.flow import batch, items
    from gemx.flow import plan as plans
    from gemx.flow.ledger import Line, Run

    plan = replace(plan, outputs=tuple(loaded.flow.outputs))

    def begin(lines: Iterable[Line] | None, plan: Plan) -> Plan:
        if lines is not None:
            book.take(lines)
        book.begin(Run(run_id, plan.command, loaded.name, identity, plan.as_json()))
        return plan

    if values is not None:
        key = batch.item_key(identity, values, plan.subject)
        return begin([Line(1, None, key, values, subject=plan.subject)], plan)
    if not how.reread:
        _refuse_changed(book, identity, run_id)
        return begin(None, plan)
    read = plans.reader(plan, loaded)
    with items.opened(plan.items or items.STDIN, stdin()) as found:
        for note in found.notes:
            output.note(note)
        plan = replace(plan, delimiter=found.form.delimiter, marked=found.form.marked, csv=found.form.kind == "csv")
        names, subject = plans.names_rows(loaded), plans.subject_of(plan)
        return begin(batch.lines(found.rows, read, identity, names=names, subject=subject), plan)


def _refuse_changed(book: Ledger, identity: str, run_id: str) -> None:
    run = book.run()
    if run is not None and run.sha256 != identity:
        raise ConfigError(
            f"what {run_id} runs has changed since: the flow, what it uses, or the model that it asks",
            hint="give the command again that began it: its items are then run anew, by what holds now",
        )


def _run(book: Ledger, plan: Plan, hold: Hold, how: How, loaded: Loaded, context: Context, shown: Shown) -> Ending:
    from gemx import gateway
    from gemx.flow import batch, runner
    from gemx.flow.executor import Threads
    from gemx.flow.ledger import Item
    from gemx.flow.record import ItemRecord, Journal

    def work(item: Item, journal: Journal) -> ItemRecord:
        own = replace(context, origin=replace(context.origin, subject=item.subject))
        return runner.run_item(loaded, item.inputs, own, journal, item.key[:16])

    for policy in context.policies.values():
        gateway.warm_up(policy)
    with shown, gateway.kept_open():
        executor = Threads(work, workers(plan, loaded, context.settings))
        shown.follow(lambda: executor.stopping)
        patient = plan.command != "flow run"
        return batch.run(book, executor, hold, shown.tell, again=how.again, patient=patient)


def _deliver(book: Ledger, carried: Carried) -> None:
    """Write what came of every line, to --out or to stdout."""
    from gemx.flow import output as rows

    sheet = rows.sheet_of(carried.plan, carried.run_id, carried.plan.out)
    if carried.plan.out:
        rows.write(Path(carried.plan.out), book.outcomes(), sheet)
        return
    for line in rows.rendered(book.outcomes(), sheet):
        output.raw(line.rstrip("\r\n"))


def _forget_empty(hold: Hold) -> None:
    """Leave no ledger behind of a run that never began."""
    from gemx.flow import ledger, runs

    with ledger.opened(runs.ledger(hold.run_id)) as book:
        begun = book.run() is not None
    if not begun:
        runs.discard(hold)


def stdin() -> BinaryIO:
    """Standard input; a process that was started with it closed has an empty one."""
    given = cast("TextIO | None", sys.stdin)
    return io.BytesIO() if given is None else given.buffer
