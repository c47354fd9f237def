"""`gemx templates`: list, show, write, edit, check, remove, render and import named prompts with variables."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gemx.cli import completion, editor, gen, gen_template, options, output, shelves, templates_import, validated
from gemx.errors import GemxError, StorageError, UsageError

if TYPE_CHECKING:
    from gemx.documents import Part
    from gemx.library import Found
    from gemx.templates import Named

app = typer.Typer(no_args_is_help=True, help="Templates: named prompts with variables, for gemx gen -t.")

Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="A template's name; gemx templates list has them.", autocompletion=completion.templates
    ),
]
NameOrPath = Annotated[
    str,
    typer.Argument(
        metavar="NAME|PATH", help="A template's name, or the path of its file.", autocompletion=completion.templates
    ),
]


@app.command("list")
def list_(as_json: options.AsJson = False) -> None:
    """List the templates, where each comes from, and which files it hides."""
    output.begin("templates list", as_json=as_json)
    from gemx.templates import shelf

    rows = [_row(found) for found in shelf.listing()]
    if as_json:
        output.as_json(rows)
        return
    width = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        where = "" if row["from"] == "gemx" else f"  ({row['path']})"
        output.result(f"{row['name']:<{width}}  {row['title']}{where}")
        for hidden in row["shadows"]:
            output.result(f"{'':<{width}}  hides {hidden['path'] if hidden['from'] != 'gemx' else 'that of gemx'}")


@app.command()
def show(
    name: NameOrPath,
    path: shelves.PathAlone = False,
    as_json: options.AsJson = False,
) -> None:
    """Show a template: its variables, with what is expected of each, and its texts."""
    output.begin("templates show", as_json=as_json)
    from gemx.templates import shelf

    if path and not as_json:
        output.result(str(shelf.find(name).path.absolute()))
        return
    named = shelf.load(name)
    if as_json:
        output.as_json(_data(named))
        return
    output.result("\n".join(_page(named)))


@app.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The new template's name: a to z, digits, _ and -.")],
    as_json: options.AsJson = False,
) -> None:
    """Write a commented template to the config directory, to be edited."""
    output.begin("templates new", as_json=as_json)
    from gemx.templates import shelf

    path = shelf.new_file(name)
    shelf.write(path, shelf.skeleton(name), new=True)
    if as_json:
        output.as_json({"name": name, **_place(name)})
        return
    output.result(str(path))
    _say_place(name)
    output.note(f"edit it: gemx templates edit {name}; try it: gemx templates render {name} 'some text'")


@app.command()
def edit(name: NameOrPath, as_json: options.AsJson = False) -> None:
    """Edit a template in $VISUAL or $EDITOR; one that ships is copied to the config directory, which then hides it."""
    output.begin("templates edit", as_json=as_json)
    from gemx.templates import shelf

    found = shelf.find(name)
    target = shelf.own_file(found.name) if found.origin == "gemx" else found.path.absolute()
    editor.require_terminal(f"any editor, on {target}; gemx templates validate {target} checks it")
    before = _text(found.path)

    def accept(text: str, draft: Path) -> bool:
        shelf.load_text(text, target)
        if found.origin != "gemx" and _text(found.path) != before:
            raise StorageError(f"{found.path} was changed by someone else meanwhile", hint="make your change anew")
        if found.origin == "gemx":
            shelf.write(shelf.new_file(found.name), text, new=True)
        else:
            shelf.write(target, text)
        return True

    changed = bool(editor.edit(before, ".yaml", accept))
    if as_json:
        output.as_json({"name": found.name, "path": target, "changed": changed})
        return
    output.result(f"{target} was written" if changed else "nothing was changed")
    if changed and found.origin in ("gemx", "user"):
        _say_place(found.name)


@app.command()
def remove(name: Name, as_json: options.AsJson = False) -> None:
    """Remove a template of your own; one that ships, and one of the project, stay."""
    output.begin("templates remove", as_json=as_json)
    from gemx.templates import shelf

    path = shelf.remove(name)
    left = next((found[0] for found in shelf.listing() if found[0].name == name), None)
    if as_json:
        output.as_json({"name": name, "path": path, "uncovers": left.path if left else None})
        return
    output.result(f"{path} was removed")
    if left:
        output.note(f"{name} is now {_said(left)}")


@app.command()
def validate(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME|PATH]...", help="Names or files; none: all that gemx finds.")
    ] = None,
    as_json: options.AsJson = False,
) -> int:
    """Check templates: prints every problem with file, line and column."""
    output.begin("templates validate", as_json=as_json)
    from gemx.templates import HEADER, shelf

    found = [shelf.find(name) for name in names] if names else [each for files in shelf.listing() for each in files]
    return validated.report([each.path for each in found], HEADER, as_json=as_json)


@app.command()
def render(
    name: NameOrPath,
    prompt: Annotated[
        str | None, typer.Argument(metavar="[PROMPT]", help="The variable `input`, or what follows the prompt.")
    ] = None,
    param: options.Params = None,
    system: Annotated[str | None, typer.Option("-s", "--system", metavar="TEXT", help="A system instruction.")] = None,
    file: Annotated[
        list[str] | None, typer.Option("-f", "--file", metavar="FILE", help="A file beside it; `-` is stdin.")
    ] = None,
    profile: options.Profile = None,
    as_json: options.AsJson = False,
) -> None:
    """Print the system instruction, profile included, and the prompt that gemx gen -t would send. Calls nothing."""
    output.begin("templates render", as_json=as_json)
    from gemx import conversation, gateway, settings

    used = gen_template.used(name, param)
    resolved = settings.load(profile)
    asked = gen_template.fill(gen.read(prompt, file or [], system, None, _unfetched, used), used)
    asked = replace(asked, system=resolved.instruction(asked.system))
    origin = gateway.Origin(command="templates render", run_id="")
    parts = [_shown(part) for part in conversation.request(asked, origin).messages[-1].parts]
    if as_json:
        data = {"system": asked.system, "prompt": asked.text, "parts": parts, "profile": resolved.profile_name}
        output.as_json({**data, **gen_template.described(used)})
        return
    if resolved.profile_name:
        output.note(f"profile: {resolved.profile_name}")
    heading = f"# system\n\n{asked.system.rstrip()}\n\n# prompt\n\n" if asked.system else ""
    output.result(heading + "\n\n".join(part.rstrip() for part in parts))


def _unfetched(address: str) -> Part:
    raise UsageError(f"{address} is not fetched: render calls nothing", hint="give a file, or gemx gen -f URL")


def _shown(part: Part) -> str:
    from gemx.documents import Media

    return f"[{part.name}: {part.mime_type}, {len(part.data)} bytes]" if isinstance(part, Media) else part.text


def _row(found: tuple[Found, ...]) -> dict[str, Any]:
    from gemx.templates import shelf

    used = found[0]
    row: dict[str, Any] = {"name": used.name, "title": None, "from": used.origin, "path": used.path.absolute()}
    row["shadows"] = [{"from": each.origin, "path": each.path.absolute()} for each in found[1:]]
    try:
        template, sha256 = shelf.load_file(used.path)
    except GemxError as exc:
        return {**row, "title": f"INVALID: see gemx templates validate {used.path}", "problem": exc.message}
    names = ("title", "version", "language", "persona")
    return {**row, **{name: getattr(template, name) for name in names}, "sha256": sha256, "problem": None}


def _data(named: Named) -> dict[str, Any]:
    template = named.template
    return {
        **template.model_dump(mode="json", exclude={"gemx", "id"}),
        "name": named.name,
        "from": named.found.origin,
        "path": named.found.path.absolute(),
        "sha256": named.sha256,
        "variables": [
            {**each.model_dump(mode="json"), "required": each.needed, "declared": each in template.variables}
            for each in template.takes
        ],
    }


def _page(named: Named) -> list[str]:
    from gemx.templates.values import described

    template = named.template
    lines = [f"{template.title} ({named.name} {template.version}, {template.language})"]
    lines += [f"persona: {template.persona}"] if template.persona else []
    lines.append(f"file: {named.found.path.absolute()}")
    lines.append(f"sha256: {named.sha256[:16]}…")
    lines += [f"model: {template.model}"] if template.model else []
    lines += [f"option: {name}={value}" for name, value in template.options.items()]
    lines += ["variables (* required):"] if template.takes else []
    for each in template.takes:
        lines.append(f"  {each.name}{' *' if each.needed else ''}: {each.label} ({described(each)})")
    lines += ["", "# system", "", template.system.rstrip()] if template.system else []
    return [*lines, "", "# prompt", "", template.prompt.rstrip()]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise StorageError(f"cannot read {path}: {exc}") from exc


def _place(name: str) -> dict[str, Any]:
    """Where a template of the user's stands among the files of its name."""
    from gemx.templates import shelf

    found = [each for files in shelf.listing() if files[0].name == name for each in files]
    own = next((each for each in found if each.origin == "user"), None)
    at = found.index(own) if own else 0
    return {
        "path": own.path if own else None,
        "shadows": [each.path for each in found[at + 1 :]],
        "hidden_by": found[0].path.absolute() if at else None,
    }


def _say_place(name: str) -> None:
    place = _place(name)
    if place["shadows"]:
        output.note(f"it stands in the place of {place['shadows'][0]}")
    if place["hidden_by"]:
        output.warning(f"gemx: here it is hidden by {place['hidden_by']}")


def _said(found: Found) -> str:
    return "the template that ships with gemx" if found.origin == "gemx" else str(found.path.absolute())


app.command("import")(templates_import.import_)
