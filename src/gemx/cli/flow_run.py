"""`gemx flow run`: a flow once, with its result on stdout. Its ledger lets it go on where it was stopped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gemx.cli import flow_batch, flow_execution, flow_names, flow_told, options, output
from gemx.errors import InputError, UsageError

if TYPE_CHECKING:
    from gemx.cli.flow_execution import Carried
    from gemx.flow.plan import Plan
    from gemx.flow.record import Failure

Given = Annotated[
    list[str] | None,
    typer.Option("-i", "--set", metavar="KEY=VALUE", help="An input of the flow. Repeatable; wins over --input."),
]
InputFile = Annotated[str | None, typer.Option("--input", metavar="FILE", help="Inputs in JSON or YAML; `-` is stdin.")]


def run(
    name: flow_names.Flow,
    given: Given = None,
    input_file: InputFile = None,
    out: options.Out = None,
    allow_run: flow_names.AllowRun = False,
    out_dir: flow_names.OutDir = None,
    model: options.Model = None,
    option: options.ModelOptions = None,
    fallback: options.Fallback = None,
    guard: options.Guard = None,
    network: options.Network = None,
    local_only: options.LocalOnly = False,
    max_cost: flow_batch.TotalCost = None,
    timeout: flow_batch.CallTimeout = None,
    tries: options.Tries = None,
    profile: options.Profile = None,
    formulary: options.Formulary = None,
    subject: options.Subject = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> int:
    """Run a flow once, and print its outputs.

    What fails says how to go on: the steps that were done are not paid for again. Texts are in its ledger, and leave it
    with `gemx flow remove`.
    """
    output.begin("flow run", as_json=as_json, quiet=quiet)
    from gemx import gateway
    from gemx.flow import inputs
    from gemx.flow import plan as plans

    found = plans.named("flows", name)
    plan = plans.Plan(
        command="flow run",
        name=found,
        out=str(out.absolute()) if out else None,
        out_dir=flow_names.out_dir(found, out_dir),
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
    )
    gateway.check_flags(plan.model, plan.options, plan.fallback)
    if out:
        if as_json:
            raise UsageError("--json prints the result: it goes with no --out")
        output.check_writable(out)
    values = inputs.read(plans.load(plan).flow, _raw(input_file, given))
    return go_on(plan, gateway.new_run_id(), flow_execution.How(), values, as_json=as_json)


def go_on(
    plan: Plan,
    run_id: str,
    how: flow_execution.How,
    values: Mapping[str, Any] | None = None,
    *,
    as_json: bool,
) -> int:
    """Run the one item of a plan, and deliver what came of it; returns the exit code."""
    with flow_execution.held(run_id, "fail") as hold:
        assert hold is not None, "it is held, or an error was raised"  # noqa: S101
        output.note(f"run: {run_id}")
        return _delivered(flow_execution.carry_out(plan, hold, how, values), as_json=as_json)


def _raw(input_file: str | None, given: list[str] | None) -> dict[str, Any]:
    from gemx.automation import patient_file

    values = patient_file.read(input_file)[0] if input_file else {}
    return {**values, **options.pairs(given, "-i")}


def _delivered(carried: Carried, *, as_json: bool) -> int:
    outcome = carried.outcome
    assert outcome is not None, "a run of one item has its outcome"  # noqa: S101
    failure = carried.ending.stopped or outcome.failure
    code = failure.exit_code if failure else 0
    if as_json:
        data = {"run_id": carried.run_id, "status": outcome.status, "outputs": outcome.outputs}
        told = [{"code": failure.code, "message": failure.message, "hint": failure.hint}] if failure else []
        output.as_json({**data, **flow_told.counted(carried.counts)}, code, told)
        return code
    output.note(_took(carried))
    if failure:
        return _failed(carried, failure)
    text = _text(outcome.outputs or {})
    if carried.plan.out:
        output.write_file(Path(carried.plan.out), text)
    else:
        output.result(text)
    return code


def _failed(carried: Carried, failure: Failure) -> int:
    output.warning(f"gemx: {failure.message}")
    if failure.hint:
        output.warning(f"      {failure.hint}")
    if failure.code != InputError.code:
        again = "resume" if carried.ending.stopped else "retry"
        output.warning(f"      to go on from there: gemx flow {again} {carried.run_id}")
    return failure.exit_code


def _took(carried: Carried) -> str:
    from gemx.gateway import bill

    counts = carried.counts
    least = "at least " if counts.unpriced else ""
    cost = f", {least}{bill.dollars(counts.cost)} USD" if counts.cost or counts.unpriced else ""
    calls = "1 call" if counts.calls == 1 else f"{counts.calls} calls"
    return f"used: {calls}, {counts.input_tokens} tokens in, {counts.output_tokens} out{cost}"


def _text(outputs: Mapping[str, Any]) -> str:
    """The outputs for a person: one alone as it is, several under their names."""
    from gemx.flow.values import written

    shown = {name: written(value).rstrip("\n") for name, value in outputs.items()}
    if len(shown) == 1:
        return f"{next(iter(shown.values()))}\n"
    return "\n".join(f"--- {name} ---\n{text}\n" for name, text in shown.items())
