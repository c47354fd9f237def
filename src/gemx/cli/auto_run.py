"""`gemx auto run`: one automation, one patient, one result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gemx.cli import auto_patient, auto_result, door, options, output
from gemx.errors import UsageError

if TYPE_CHECKING:
    from gemx.automation.runner import Run
    from gemx.gateway import Policy


def run(
    name: options.Automation,
    given: auto_patient.Given = None,
    input_file: auto_patient.InputFile = None,
    model: options.Model = None,
    option: options.ModelOptions = None,
    fallback: options.Fallback = None,
    guard: options.Guard = None,
    network: options.Network = None,
    local_only: options.LocalOnly = False,
    max_cost: options.MaxCost = None,
    timeout: options.Timeout = None,
    tries: options.Tries = None,
    profile: options.Profile = None,
    formulary: options.Formulary = None,
    repair: options.Repair = 0,
    strict: options.Strict = False,
    format: auto_result.FormatOption = None,
    out: options.Out = None,
    as_json: options.AsJson = False,
    no_history: options.NoHistory = False,
    subject: options.Subject = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Show the whole prompt, the schema, the guard and the tokens; call nothing."),
    ] = False,
    quiet: options.Quiet = False,
) -> int:
    """Run an automation for one patient, and verify the answer.

    Values from -i win over those of --input. Exit 6: the answer breaks its contract or a check; what is wrong is shown.
    """
    output.begin("auto run", as_json=as_json, quiet=quiet)
    from gemx import gateway, settings
    from gemx.automation import protocol, runner

    flags = door.Flags(model, option, fallback, guard, network, local_only, max_cost, timeout, tries)
    flags.check()
    loaded = protocol.load(name, formulary)
    if not loaded.automation.output and (repair or strict):
        flag = "--repair" if repair else "--strict"
        raise UsageError(f"{flag} needs a contract, and {loaded.id} has none")
    if dry_run and out:
        raise UsageError("--dry-run has no result for --out to write")
    auto_result.refuse_idle(format, out, as_json=as_json)
    files = input_file or []
    patient = auto_patient.complete(loaded, files, given, may_ask=not as_json and files != ["-"])
    chosen = settings.load(profile)
    caller = gateway.Origin(runner.COMMAND, gateway.new_run_id(), subject=options.subject(subject))
    prepared = runner.prepare(loaded, patient, caller)
    policy = flags.policy(chosen, prepared.request, clinical=True)
    _announce(policy, prepared, loud=as_json or out is not None)
    if dry_run:
        _show_request(prepared, policy, as_json=as_json)
        return 0
    with door.receipted():
        result = runner.execute(prepared, policy, repair, strict=strict)
    keep = None if no_history else chosen.config.history.keep
    return auto_result.deliver(result, format, out, as_json=as_json, keep_days=keep)


def _announce(policy: Policy, prepared: Run, *, loud: bool) -> None:
    door.announce(policy)
    if loud:
        for warning in prepared.warnings:
            output.note(f"aviso: {warning}")


def _show_request(prepared: Run, policy: Policy, *, as_json: bool) -> None:
    import json

    from gemx import gateway

    request = prepared.request
    tokens, told = gateway.estimate_tokens(request), gateway.foretell(request, policy)
    prompt = request.messages[-1].text
    if as_json:
        data = {"model": str(policy.route), "system": request.system, "prompt": prompt, "schema": request.schema}
        output.as_json({**data, "estimated_tokens": tokens, "guard": told, "run_id": prepared.run_id})
        return
    shown = json.dumps(request.schema, ensure_ascii=False) if request.schema else "none"
    sections = {"SYSTEM": request.system or "none", "PROMPT": prompt, "SCHEMA": shown}
    for heading, text in sections.items():
        output.result(f"--- {heading} ---\n{text}\n")
    output.result(f"--- GUARD ---\n{told}\n")
    output.result(f"--- ESTIMATE ---\nabout {tokens} tokens of prompt for {policy.route}; nothing was called")
