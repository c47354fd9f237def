"""`gemx flow`: list, show, validate and draw flows; what runs them has files of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from gemx.cli import completion, flow_batch, flow_names, flow_run, flow_runs, options, output, shelves
from gemx.errors import InvalidFileError

if TYPE_CHECKING:
    from gemx.errors import Problem
    from gemx.flow.schema import Step
    from gemx.flow.shelf import Loaded

app = typer.Typer(no_args_is_help=True, help="Flows: steps that depend on each other, run once or over many items.")

app.command("run")(flow_run.run)
app.command("batch")(flow_batch.batch)
app.command("status")(flow_runs.status)
app.command("resume")(flow_runs.resume)
app.command("retry")(flow_runs.retry)
app.command("cancel")(flow_runs.cancel)
app.command("export")(flow_runs.export)
app.command("remove")(flow_runs.remove)


@app.command("list")
def list_(as_json: options.AsJson = False) -> None:
    """List the flows that gemx finds, and where."""
    output.begin("flow list", as_json=as_json)
    from gemx import library
    from gemx.flow.schema import HEADER, Flow

    shelves.show_list("flows", lambda path: library.load(path, Flow, HEADER)[0], "flow", as_json=as_json)


@app.command()
def show(name: flow_names.Flow, path: shelves.PathAlone = False, as_json: options.AsJson = False) -> None:
    """Show a flow: its inputs, its steps, what it would run, and what comes of it."""
    output.begin("flow show", as_json=as_json)
    if path and not as_json:
        shelves.show_path("flows", name)
        return
    from gemx.flow import shelf

    loaded = shelf.load(name)
    if as_json:
        flow = loaded.flow.model_dump(mode="json", by_alias=True, exclude_unset=True)
        output.as_json({"name": loaded.name, "path": str(loaded.found.path), "sha256": loaded.sha256, "flow": flow})
        return
    output.result("\n".join(_described(loaded)))


@app.command()
def validate(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME|PATH]...", help="Names or YAML files; none: all that ship.", autocompletion=completion.flows
        ),
    ] = None,
    as_json: options.AsJson = False,
) -> int:
    """Check flows, offline. Prints every problem at its line and column, and lists the commands that would run."""
    output.begin("flow validate", as_json=as_json)
    from gemx import library
    from gemx.flow import shelf

    rows: list[dict[str, Any]] = []
    problems: list[Problem] = []
    asked = names or library.shipped_names("flows")
    for name in asked:
        library.find("flows", name)
    for name in asked:
        try:
            loaded = shelf.load(name)
        except InvalidFileError as exc:
            problems += exc.problems
            rows.append({"name": name, "valid": False})
            continue
        rows.append(_validated(loaded))
    exit_code = InvalidFileError.exit_code if problems else 0
    if as_json:
        errors = [{"code": InvalidFileError.code, "message": str(problem), "hint": None} for problem in problems]
        output.as_json({"files": rows}, exit_code, errors)
        return exit_code
    _show_validated(rows, problems)
    return exit_code


@app.command()
def graph(
    name: flow_names.Flow,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Print it as a Mermaid flowchart.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Draw a flow: which steps wait for which, and what can run at once."""
    output.begin("flow graph", as_json=as_json)
    from gemx.flow import graph as graphs
    from gemx.flow import shelf

    loaded = shelf.load(name)
    if as_json:
        steps = [
            {"id": step.id, "kind": step.kind, "needs": sorted(loaded.needs[step.id])} for step in loaded.flow.steps
        ]
        output.as_json({"levels": graphs.levels(loaded.needs), "steps": steps})
        return
    draw = graphs.mermaid if mermaid else graphs.drawing
    output.result(draw(loaded.flow, loaded.needs))


def _validated(loaded: Loaded) -> dict[str, Any]:
    runs = [{"step": id, "argv": list(argv)} for id, argv in loaded.commands]
    return {
        "name": loaded.name,
        "valid": True,
        "runs": runs,
        "secrets": loaded.flow.secrets,
        "warnings": [str(problem) for problem in loaded.warnings],
    }


def _show_validated(rows: list[dict[str, Any]], problems: list[Problem]) -> None:
    import shlex

    for problem in problems:
        output.note(str(problem))
    valid = [row for row in rows if row["valid"]]
    for row in valid:
        for warning in row["warnings"]:
            output.note(f"warning: {warning}")
        for command in row["runs"]:
            output.result(
                f"{row['name']}: {command['step']} would run, with --allow-run: {shlex.join(command['argv'])}"
            )
        if row["secrets"]:
            output.result(f"{row['name']}: reads the secrets {', '.join(row['secrets'])}")
    wrong = len(rows) - len(valid)
    files = "file is" if len(rows) == 1 else "files are"
    output.result(f"{len(valid)} of {len(rows)} {files} valid" if wrong else f"{len(rows)} {files} valid")


def _described(loaded: Loaded) -> list[str]:
    flow = loaded.flow
    lines = [f"{flow.title or loaded.name} ({loaded.name} {flow.version})", f"file: {loaded.found.path}"]
    if flow.inputs:
        lines.append("inputs (* required):")
    for name, declared in flow.inputs.items():
        form = "|".join(declared.choices) or declared.type
        default = "" if declared.default is None else f", default {declared.default}"
        label = f": {declared.label}" if declared.label else ""
        lines.append(f"  {name}{' *' if declared.needed else ''}{label} ({form}{default})")
    lines.append("steps:")
    lines += [f"  {step.id}: {_said(step)}" for step in flow.steps]
    if flow.secrets:
        lines.append(f"secrets: {', '.join(flow.secrets)}")
    return [*lines, f"outputs: {', '.join(flow.outputs) or 'none'}"]


def _said(step: Step) -> str:
    """What a step does, in a line."""
    import shlex

    what = ""
    if step.rag:
        what = step.rag.kb
    elif step.prompt:
        what = step.prompt.template or " ".join((step.prompt.text or "").split())[:50]
    elif step.auto:
        what = step.auto.name
    elif step.verify:
        what = step.verify.automation or "a JSON Schema"
    elif step.write:
        what = step.write.path
    elif step.run:
        what = shlex.join(step.run)
    elif step.uses:
        what = step.uses
    each = "for each item, " if step.for_each is not None else ""
    return f"{each}{step.kind} {what}".rstrip()
