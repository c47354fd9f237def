"""`gemx auto verify`, `note`: check an answer from anywhere, and print a kept result as a note for the record."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from gemx.cli import auto_patient, auto_result, options, output
from gemx.errors import UsageError


def verify(
    answer: Annotated[
        str, typer.Argument(metavar="ANSWER.json|-", help="An answer (protocolo/v1), or what auto run --json printed.")
    ],
    automation: Annotated[
        str, typer.Option("--automation", metavar="NAME|PATH", help="The automation that the answer is for.")
    ],
    given: auto_patient.Given = None,
    input_file: auto_patient.InputFile = None,
    formulary: options.Formulary = None,
    strict: options.Strict = False,
    format: auto_result.FormatOption = None,
    out: options.Out = None,
    as_json: options.AsJson = False,
    no_history: options.NoHistory = False,
    subject: options.Subject = None,
    quiet: options.Quiet = False,
) -> int:
    """Verify an answer for one patient; no model is asked.

    What is not said of the patient is not checked, and shown as unverifiable. Exit 6: something is wrong with it.
    """
    output.begin("auto verify", as_json=as_json, quiet=quiet)
    from gemx import gateway, settings
    from gemx.automation import protocol, runner

    loaded = protocol.load(automation, formulary)
    if not loaded.automation.output:
        raise UsageError(f"{loaded.id} has no contract to hold an answer to")
    auto_result.refuse_idle(format, out, as_json=as_json)
    files = input_file or []
    if answer == "-" and files == ["-"]:
        raise UsageError("the answer and --input cannot both be stdin")
    text = _answer(answer)
    caller = gateway.Origin("auto verify", gateway.new_run_id(), subject=options.subject(subject))
    prepared = runner.prepare(loaded, auto_patient.known(loaded, files, given), caller)
    result = runner.verify(prepared, text, strict=strict)
    keep = None if no_history else settings.load().config.history.keep
    return auto_result.deliver(result, format, out, as_json=as_json, keep_days=keep)


def note(
    run_id: Annotated[str, typer.Argument(metavar="RUN_ID", help="The run, or the beginning of its id.")],
    format: auto_result.FormatOption = None,
    out: options.Out = None,
    as_json: options.AsJson = False,
) -> None:
    """Print a kept result as a note for the patient record, with room for the reviewing clinician."""
    output.begin("auto note", as_json=as_json)
    from gemx import history
    from gemx.automation import view
    from gemx.errors import InputError

    auto_result.refuse_idle(format, out, as_json=as_json)
    entry = history.get(run_id)
    if not entry.page:
        raise InputError(
            f"the run {entry.run_id} of gemx {entry.command} has no note: only what an automation verified has one",
            hint="gemx history show prints what it answered",
        )
    if as_json:
        output.as_json({"run_id": entry.run_id, "time": entry.time, "note": entry.page})
        return
    auto_result.show(view.from_json(entry.page), format, out)


def _answer(name: str) -> str:
    """The answer's text: of a file, of stdin, out of a Markdown fence or an envelope that `auto run --json` printed."""
    from gemx import conversation, documents, places

    text = documents.read_stdin() if name == "-" else documents.read_text(places.user_path(name))
    fenced = conversation.code_block(text) if text.lstrip().startswith(("```", "~~~")) else None
    return _unwrapped(text if fenced is None else fenced)


def _unwrapped(text: str) -> str:
    import json

    from gemx import strict_json
    from gemx.clinical.answer import plain

    try:
        value: Any = strict_json.loads(text)
        kept: Any = value["data"] if "gemx" in value else None
        answer: Any = kept.get("answer") if kept else None
    except (ValueError, TypeError, KeyError, AttributeError):
        return text
    if not kept:
        return text
    return json.dumps(plain(answer), ensure_ascii=False) if answer else str(kept.get("text") or "")
