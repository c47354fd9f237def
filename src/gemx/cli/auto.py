"""`gemx auto`: list, show, validate and write clinical automations; the other commands have files of their own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gemx.cli import auto_batch, auto_reference, auto_run, auto_verify, options, output, shelves, validated
from gemx.errors import NotFoundError, StorageError, UsageError

if TYPE_CHECKING:
    from gemx.automation.protocol import Protocol

app = typer.Typer(
    no_args_is_help=True, help="Clinical automations: run and verify; list, show, validate, new; drugs, rules, notes."
)
app.command("run")(auto_run.run)
app.command("batch")(auto_batch.batch)
app.command("verify")(auto_verify.verify)
app.command("note")(auto_verify.note)
app.command("drugs")(auto_reference.drugs)
app.command("rules")(auto_reference.rules)


@app.command("list")
def list_(as_json: options.AsJson = False) -> None:
    """List the automations that gemx finds, and where."""
    output.begin("auto list", as_json=as_json)
    from gemx import library
    from gemx.automation.schema import HEADER, Automation

    shelves.show_list("automations", lambda path: library.load(path, Automation, HEADER)[0], "auto", as_json=as_json)


@app.command()
def show(name: options.Automation, path: shelves.PathAlone = False, as_json: options.AsJson = False) -> None:
    """Show an automation: its guideline, inputs with their ranges, calculators, drugs and passages."""
    output.begin("auto show", as_json=as_json)
    if path and not as_json:
        shelves.show_path("automations", name)
        return
    from gemx.automation import protocol

    loaded = protocol.load(name)
    if as_json:
        output.as_json(loaded.automation.model_dump(mode="json", by_alias=True))
        return
    output.result("\n".join(_described(loaded)))


@app.command()
def validate(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME|PATH]...", help="Names or YAML files; none: all that ship.")
    ] = None,
    as_json: options.AsJson = False,
) -> int:
    """Check YAML files of gemx: automations, cases, inputs, drugs, profiles, templates. Prints every problem."""
    output.begin("auto validate", as_json=as_json)
    from gemx.automation import validation

    paths = [_path(name) for name in names] if names else validation.shipped_files()
    return validated.report(paths, as_json=as_json)


@app.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The new automation's id, such as dor_toracica.")],
) -> None:
    """Write a commented automation to automations/NAME.yaml of the current folder."""
    output.begin("auto new")
    from importlib.resources import files

    from gemx import library

    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise UsageError(f"{name!r} is not an id", hint="letters a to z, digits and _, starting with a letter")
    path = Path("automations") / f"{name}.yaml"
    shipped = library.shipped_names("automations")
    if path.exists() or name in (*shipped, *library.NOT_AUTOMATIONS):
        where = path if path.exists() else "an automation that ships with gemx"
        raise UsageError(f"{where} has that name already", hint="choose another name, or edit the file")
    text = (files("gemx.automation") / "skeleton.yaml").read_text(encoding="utf-8")
    try:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.replace("NAME", name), encoding="utf-8")
    except OSError as exc:
        raise StorageError(f"cannot write {path}: {exc.strerror}") from exc
    output.result(str(path))
    output.note(f"edit it, then: gemx auto validate {path}")


@app.command()
def schema() -> None:
    """Print the contract of clinical answers, protocolo/v1, as a JSON Schema."""
    output.begin("auto schema")
    import json

    from gemx.clinical import answer

    output.result(json.dumps(answer.json_schema(), ensure_ascii=False, indent=2))


def _path(name: str) -> Path:
    from gemx import library, places

    if name.endswith((".yaml", ".yml")) or "/" in name:
        path = places.user_path(name)
        if not places.is_file(path):
            raise NotFoundError(f"no file {path}")
        return path
    return library.find("automations", name).path


def _described(loaded: Protocol) -> list[str]:
    from gemx.clinical import inputs

    automation = loaded.automation
    lines = [f"{loaded.title} ({loaded.id} {automation.version})", f"file: {loaded.found.path}"]
    if guideline := automation.guideline:
        doi = f", doi:{guideline.doi}" if guideline.doi else ""
        lines.append(f"guideline: {guideline.name} {guideline.version}, {guideline.date}{doi}")
    if care := automation.maintenance:
        lines.append(f"reviewed: {care.reviewed}, next {care.next_review}, by {care.author}")
    if automation.inputs:
        lines.append("inputs (* required):")
    for name in automation.inputs:
        definition = loaded.inputs[name.removesuffix("?")]
        required = "" if name.endswith("?") else " *"
        lines.append(f"  {definition.id}{required}: {definition.label}, {inputs.describe(definition)}")
    named = {
        "calculators": [f"{use.name} ({use.id})" for use in automation.calculators],
        "drugs": list(dict.fromkeys(regimen.drug for regimen in automation.regimens)),
        "passages": [passage.id for passage in loaded.passages],
    }
    return lines + [f"{heading}: {', '.join(items)}" for heading, items in named.items() if items]
