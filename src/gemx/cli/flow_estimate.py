"""What `--dry-run` of a batch shows: items, calls, tokens and money."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gemx.cli import flow_execution, flow_told, output

if TYPE_CHECKING:
    from gemx.flow.estimate import Estimate
    from gemx.flow.plan import Plan


def show(plan: Plan, *, as_json: bool) -> int:
    """Print what a batch would take; exit 7 where rows cannot be read."""
    found = _estimate(plan)
    code = 7 if found.refused else 0
    if as_json:
        output.as_json(_data(found), code)
        return code
    output.result("\n".join(_page(found)))
    return code


def _estimate(plan: Plan) -> Estimate:
    from gemx import settings
    from gemx.flow import batch, estimate, items, ledger, runs
    from gemx.flow import plan as plans
    from gemx.gateway.notices import Silent

    loaded = plans.load(plan)
    run_id = plan.batch_id()
    context = flow_execution.prepared(plan, loaded, settings.load(plan.profile), run_id, Silent())
    flow_execution.announce(loaded, context)
    read, identity = plans.reader(plan, loaded), plans.identity(loaded, context)
    path = runs.ledger(run_id)
    with items.opened(plan.items or items.STDIN, flow_execution.stdin()) as found:
        lines = batch.lines(found.rows, read, identity, names=plans.names_rows(loaded), subject=plans.subject_of(plan))
        if not path.exists():
            return estimate.estimate(lines, None, loaded, context)
        with ledger.opened(path) as book:
            return estimate.estimate(lines, book, loaded, context)


def _data(found: Estimate) -> dict[str, Any]:
    return {
        "lines": found.lines,
        "refused": found.refused,
        "items": found.unique,
        "done": found.done,
        "calls": found.calls,
        "input_tokens": found.tokens,
        "cost_usd": found.dollars,
        "open_ended": found.open_ended,
        "sampled": found.sampled,
    }


def _page(found: Estimate) -> list[str]:
    from gemx.gateway import bill

    least, most = found.dollars
    dearest = "no price known" if most is None else f"{bill.dollars(most)}"
    twins = found.lines - found.refused - found.unique
    return [
        f"lines: {found.lines}" + (f", {found.refused} that cannot be read" if found.refused else ""),
        f"items: {found.unique}" + (f", {flow_told.duplicates(twins)}" if twins else ""),
        f"done already: {found.done}",
        f"calls: {found.calls[0]} to {found.calls[1]}, retries aside",
        f"input: {found.tokens[0]} to {found.tokens[1]} tokens",
        f"cost: {bill.dollars(least)} to {dearest} USD",
        *(["steps that read what others give, or repeat for a list, take more"] if found.open_ended else []),
        f"estimated from {found.sampled} items; nothing was called",
    ]
