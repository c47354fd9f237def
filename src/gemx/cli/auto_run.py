"""`gemx auto run`: one automation, one patient, one result."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from gemx.cli import options, output
from gemx.errors import ContractError, InputError, TruncatedError, UsageError

if TYPE_CHECKING:
    from gemx.automation.protocol import Protocol
    from gemx.automation.runner import Result, Run
    from gemx.clinical.inputs import InputDefinition, Patient
    from gemx.gateway import Policy

Format = Literal["rich", "md", "text", "html"]
_SUFFIX_FORMATS: dict[str, Format] = {".md": "md", ".html": "html", ".htm": "html", ".txt": "text", "": "text"}
_WIDTH = 80


def run(
    name: options.Automation,
    given: Annotated[
        list[str] | None,
        typer.Option("-i", "--set", metavar="KEY=VALUE", help="A patient's datum, such as peso=70. Repeatable."),
    ] = None,
    input_file: Annotated[
        list[str] | None, typer.Option("--input", metavar="FILE", help="Patient data in JSON or YAML; `-` is stdin.")
    ] = None,
    model: options.Model = None,
    option: options.ModelOptions = None,
    profile: options.Profile = None,
    formulary: options.Formulary = None,
    repair: options.Repair = 0,
    format: Annotated[
        Format | None, typer.Option("--format", help="Default: rich on a terminal, else text, or by --out's suffix.")
    ] = None,
    out: options.Out = None,
    as_json: options.AsJson = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the whole prompt, the schema and the token estimate; call nothing.")
    ] = False,
    quiet: options.Quiet = False,
) -> int:
    """Run an automation for one patient.

    Values from -i win over those of --input. Exit 6: the answer breaks its contract; what is wrong is shown.
    """
    output.begin("auto run", as_json=as_json, quiet=quiet)
    from gemx import gateway, settings
    from gemx.automation import protocol, runner

    loaded = protocol.load(name, formulary)
    _refuse_idle(loaded, repair=repair, format=format, out=out, as_json=as_json, dry_run=dry_run)
    if out:
        output.check_writable(out)
    raw = _raw(input_file or [], options.pairs(given, "-i"), loaded)
    patient = _patient(loaded, raw, may_ask=not as_json and input_file != ["-"])
    asked = options.pairs(option, "-o")
    policy = gateway.make(settings.load(profile), model=model, options=asked, clinical=True)
    prepared = runner.prepare(loaded, patient)
    _announce(policy, prepared, loud=as_json or out is not None)
    if dry_run:
        _show_request(prepared, policy, as_json=as_json)
        return 0
    return _deliver(runner.execute(prepared, policy, repair), format, out, as_json=as_json)


def _refuse_idle(
    loaded: Protocol, *, repair: int, format: Format | None, out: Path | None, as_json: bool, dry_run: bool
) -> None:
    """Refuse flags that would do nothing."""
    if repair and not loaded.automation.output:
        raise UsageError(f"--repair needs a contract, and {loaded.id} has none")
    if dry_run and out:
        raise UsageError("--dry-run has no result for --out to write")
    if as_json and format:
        raise UsageError("--json and --format are two forms of one result: choose one")
    if out and not as_json and not format and out.suffix.lower() not in _SUFFIX_FORMATS:
        hint = "use .md, .html or .txt, or say --format or --json"
        raise UsageError(f"no format goes with the suffix {out.suffix!r}", hint=hint)
    if format == "rich" and out:
        raise UsageError("--format rich is for a terminal; --out takes text, md or html")


def _raw(input_files: list[str], given: dict[str, str], loaded: Protocol) -> dict[str, Any]:
    from gemx.automation import patient_file

    if len(input_files) > 1:
        raise UsageError("--input is given twice", hint="one file, and -i for single values")
    if not input_files:
        return dict(given)
    values, automation = patient_file.read(input_files[0])
    if automation not in (None, loaded.id):
        output.warning(f"aviso: o caso {input_files[0]} é de {automation}, não de {loaded.id}")
    return {**values, **given}


def _patient(loaded: Protocol, raw: dict[str, Any], *, may_ask: bool) -> Patient:
    from gemx.clinical import inputs

    patient = inputs.read_patient(raw, loaded.inputs)
    absent = inputs.missing(loaded.automation.required, patient)
    if not absent:
        return patient
    if may_ask and output.is_terminal(sys.stdin) and output.is_terminal(sys.stdout):
        answers = {definition.id: _ask(definition) for definition in absent}
        return inputs.read_patient({**raw, **answers}, loaded.inputs)
    wanted = "\n".join(f"  {item.id}: {item.label}, {inputs.describe(item)}" for item in absent)
    example = " ".join(f"-i {item.id}=…" for item in absent)
    raise InputError(f"faltam dados obrigatórios:\n{wanted}", hint=f"informe com {example}")


def _ask(definition: InputDefinition) -> str:
    import questionary

    from gemx.clinical import inputs

    def check(text: str) -> bool | str:
        try:
            value = inputs.read_value(definition, text)
        except InputError as exc:
            return exc.message
        return value is not None or "este dado é obrigatório"

    label = f"{definition.label} ({inputs.describe(definition)}):"
    answer = questionary.text(label, validate=check, validate_while_typing=False).ask(kbi_msg="")
    if answer is None:
        raise KeyboardInterrupt
    return str(answer)


def _announce(policy: Policy, prepared: Run, *, loud: bool) -> None:
    for note in policy.route.notes:
        output.note(f"model: {note}")
    output.note(f"model: {policy.route} ({policy.route.reason})")
    if loud:
        for warning in prepared.warnings:
            output.note(f"aviso: {warning}")


def _show_request(prepared: Run, policy: Policy, *, as_json: bool) -> None:
    import json

    from gemx import gateway

    request = prepared.request
    tokens = gateway.estimate_tokens(request)
    prompt = request.messages[-1].text
    if as_json:
        data = {"model": str(policy.route), "system": request.system, "prompt": prompt, "schema": request.schema}
        output.as_json({**data, "estimated_tokens": tokens, "run_id": prepared.run_id})
        return
    shown = json.dumps(request.schema, ensure_ascii=False) if request.schema else "none"
    sections = {"SYSTEM": request.system or "none", "PROMPT": prompt, "SCHEMA": shown}
    for heading, text in sections.items():
        output.result(f"--- {heading} ---\n{text}\n")
    output.result(f"--- ESTIMATE ---\nabout {tokens} tokens of prompt for {policy.route}; nothing was called")


def _deliver(result: Result, format: Format | None, out: Path | None, *, as_json: bool) -> int:
    failure = _failure(result)
    exit_code = failure.exit_code if failure else 0
    errors = [output.described(failure)] if failure else []
    chosen = format or _default_format(out)
    if as_json:
        text = output.envelope(_data(result), exit_code, errors)
    elif chosen == "rich" and out is None:
        _show_rich(result)
        text = ""
    else:
        text = _rendered(result, chosen)
    if out:
        output.write_file(out, text.rstrip("\n") + "\n")
        output.note(f"written: {out}")
    elif text:
        output.raw(text.rstrip("\n"))
    if failure and not as_json:
        output.error(failure)
    return exit_code


def _failure(result: Result) -> ContractError | TruncatedError | None:
    cut = result.reply.finish_reason == "length"
    if errors := result.errors:
        hint = options.RAISE_LIMIT if cut else "the errors stand in the result; --repair 2 sends them back to the model"
        count = "1 error" if len(errors) == 1 else f"{len(errors)} errors"
        return ContractError(f"the answer of {result.model} is refused: {count}, first {errors[0].code}", hint=hint)
    return TruncatedError("the answer was cut at the token limit", hint=options.RAISE_LIMIT) if cut else None


def _default_format(out: Path | None) -> Format:
    if out is not None:
        return _SUFFIX_FORMATS[out.suffix.lower()]
    return "rich" if output.is_terminal(sys.stdout) else "text"


def _show_rich(result: Result) -> None:
    import shutil

    from gemx.automation import render, view

    width = min(shutil.get_terminal_size((_WIDTH, 24)).columns, 100)
    output.styled(render.to_rich(view.blocks(result), width), width)


def _rendered(result: Result, format: Format) -> str:
    from gemx.automation import render, view

    page = view.blocks(result)
    if format == "md":
        return render.to_markdown(page)
    if format == "html":
        return render.to_html(page)
    return render.to_text(page, _WIDTH)


def _data(result: Result) -> dict[str, Any]:
    from gemx.clinical.answer import plain

    run, automation = result.run, result.run.protocol.automation
    facts = [
        {
            "name": fact.name,
            "label": fact.label,
            "calculator": fact.result.id,
            "value": fact.result.value,
            "unit": fact.result.unit,
            "interpretation": fact.result.interpretation,
            "determinable": fact.result.determinable,
            "range": fact.result.range,
            "missing": fact.missing,
            "assumptions": fact.result.assumptions,
            "formula_version": fact.result.formula_version,
            "source": fact.result.source,
        }
        for fact in run.facts.calculated
    ]
    return {
        "run_id": run.run_id,
        "automation": {
            "id": run.protocol.id,
            "version": automation.version,
            "sha256": run.protocol.sha256,
            "path": str(run.protocol.found.path),
        },
        "model": result.model,
        "answer": plain(result.answer) if result.answer else None,
        "text": None if result.answer else result.reply.text,
        "facts": plain(facts),
        "findings": [vars(finding) for finding in result.findings],
        "warnings": result.warnings,
        "verified": result.verified,
        "usage": vars(result.reply.usage),
    }
