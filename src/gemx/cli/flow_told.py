"""How a run of a flow ended, for people and for machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gemx.cli import output

if TYPE_CHECKING:
    from gemx.cli.flow_execution import Carried
    from gemx.flow.ledger import Counts


def data(carried: Carried) -> dict[str, Any]:
    """How a batch ended, for machines."""
    counts, ending = carried.counts, carried.ending
    return {
        "run_id": carried.run_id,
        "out": carried.plan.out,
        **counted(counts),
        "seconds": round(ending.seconds, 3),
        "stopped": ending.stopped.code if ending.stopped else None,
        "resume": next_command(carried),
    }


def counted(counts: Counts) -> dict[str, Any]:
    """How far a run is, for machines; `cost_usd` is null where the cost of a call is not known."""
    return {
        "lines": counts.lines,
        "refused": counts.refused,
        "items": counts.unique,
        "done": counts.done,
        "failed": counts.failed,
        "pending": counts.pending,
        "calls": counts.calls,
        "input_tokens": counts.input_tokens,
        "output_tokens": counts.output_tokens,
        "cost_usd": None if counts.unpriced else counts.cost,
        "cost_at_least_usd": counts.cost,
    }


def exit_code(carried: Carried) -> int:
    """0 where every line has its answer, 7 where some have none, that of what stopped it otherwise."""
    if carried.ending.stopped:
        return carried.ending.stopped.exit_code
    return 0 if carried.counts.whole else 7


def next_command(carried: Carried) -> str | None:
    """The command that goes on, where there is something left to run."""
    if carried.ending.stopped or carried.counts.pending:
        return f"gemx flow resume {carried.run_id}"
    return f"gemx flow retry {carried.run_id}" if carried.counts.failed else None


def errors(carried: Carried) -> list[dict[str, Any]]:
    """What stopped a run, or failed in it, as the envelope has it."""
    if stopped := carried.ending.stopped:
        return [{"code": stopped.code, "message": stopped.message, "hint": stopped.hint}]
    return [
        {"code": code, "message": f"{count} failed: {message}", "hint": None}
        for code, message, count in carried.failures
    ]


def told(carried: Carried) -> int:
    """Say how a batch ended; returns its exit code."""
    counts, stopped = carried.counts, carried.ending.stopped
    output.note(summary(counts, carried.ending.seconds))
    if carried.plan.out and not stopped:
        output.note(f"written: {carried.plan.out}")
    if counts.refused:
        output.warning(f"gemx: {_lines(counts.refused)} could not be read as an item: the output says why")
    for code, message, count in carried.failures:
        output.warning(f"gemx: {count} failed, {code}: {' '.join(message.split())}")
    if stopped:
        output.warning(f"gemx: stopped: {stopped.message}")
        if stopped.hint:
            output.warning(f"      {stopped.hint}")
    if command := next_command(carried):
        output.warning(f"      to go on: {command}")
    return exit_code(carried)


def summary(counts: Counts, seconds: float) -> str:
    """How far a run is, in a line."""
    from gemx.gateway import bill

    twins = counts.lines - counts.refused - counts.unique
    parts = [f"{_lines(counts.lines)}: {counts.done} of {counts.unique} items done"]
    parts += [f"{counts.failed} failed"] if counts.failed else []
    parts += [f"{counts.pending} to do"] if counts.pending else []
    parts += [duplicates(twins)] if twins > 0 else []
    least = "at least " if counts.unpriced else ""
    parts += [f"{counts.calls} calls, {least}{bill.dollars(counts.cost)} USD"] if counts.calls else []
    return ", ".join([*parts, f"{seconds:.1f} s"])


def duplicates(count: int) -> str:
    """How many lines share what another asks."""
    return "1 duplicate" if count == 1 else f"{count} duplicates"


def _lines(count: int) -> str:
    return "1 line" if count == 1 else f"{count} lines"
