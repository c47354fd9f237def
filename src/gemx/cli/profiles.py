"""`gemx profiles`: list, show, use, write, edit and remove named sets of choices.

Profiles are those that ship with gemx and those of the config directory, which may shadow them.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gemx.cli import completion, config_settings, editor, options, output, shelves
from gemx.errors import GemxError, NotFoundError, StorageError, UsageError

if TYPE_CHECKING:
    from gemx.library import Found
    from gemx.settings import Profile

app = typer.Typer(no_args_is_help=True, help="Profiles: model, options, system instruction, language, guard.")

Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="A profile's name; gemx profiles list has them.", autocompletion=completion.profiles
    ),
]
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@app.command("list")
def list_(as_json: options.AsJson = False) -> None:
    """List the profiles, where each comes from, what it shadows, and which one holds now."""
    output.begin("profiles list", as_json=as_json)
    from gemx import library

    active, source = _active()
    rows = [_row(found, active) for found in library.listing("profiles")]
    if as_json:
        output.as_json({"profiles": rows, "active": active, "active_from": source if active else None})
    else:
        width = max(len(row["name"]) for row in rows)
        for row in rows:
            mark = "*" if row["active"] else " "
            output.result(f"{mark} {row['name']:<{width}}  {row['title']}{_origin(row)}")
    if not active:
        output.note("no profile holds: gemx profiles use NAME chooses one")
    elif not any(row["active"] for row in rows):
        output.warning(f"{source} names the profile {active!r}, which is none of these")
    elif source != "config.json":
        output.note(f"* {active} holds by {source}")


@app.command()
def show(
    name: Name,
    path: shelves.PathAlone = False,
    as_json: options.AsJson = False,
) -> None:
    """Show a profile: its choices, and the system instruction that they make."""
    output.begin("profiles show", as_json=as_json)
    from gemx import library, settings

    found = library.find("profiles", name)
    if path and not as_json:
        shelves.show_path("profiles", name)
        return
    profile = settings.load_profile(name)
    chosen = profile.model_dump(mode="json", exclude_none=True, exclude={"gemx"})
    instruction = settings.composed(profile.system, profile.persona, profile.language)
    if as_json:
        output.as_json({**_row(found, _active()[0]), **chosen, "instruction": instruction})
        return
    output.result(f"{found.name}: {profile.title}\nfile: {found.path}")
    for key in [key for key in chosen if key not in ("title", "persona", "system", "language")]:
        value = ", ".join(chosen[key]) if isinstance(chosen[key], list) else chosen[key]
        output.result(f"{key}: {value}")
    if instruction:
        output.result(f"\n{instruction}")


@app.command()
def use(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="The profile that holds from now on.", autocompletion=completion.profiles),
    ] = None,
    none: Annotated[bool, typer.Option("--none", help="Let no profile hold.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Make a profile hold for every command, by `profile` in config.json; --none lets none hold."""
    output.begin("profiles use", as_json=as_json)
    from gemx import config_file, library, settings

    if (name is None) != none:
        raise UsageError("give the name of a profile, or --none")
    if name is not None:
        settings.check_profile(name)
        path = library.find("profiles", name).path
        _check(_text(path), path)

    def change(data: dict[str, Any]) -> None:
        if name is None:
            data.pop("profile", None)
        else:
            data["profile"] = name

    written = config_file.change(change)
    override = os.environ.get("GEMX_PROFILE")
    if as_json:
        data = {"profile": name, "path": written.path, "changed": written.changed, "backup": written.backup}
        output.as_json({**data, "overridden_by": "GEMX_PROFILE" if override else None})
        return
    output.result(f"the profile {name} holds from now on" if name else "no profile holds from now on")
    config_settings.written_note(written)
    if override and override != name:
        output.warning(f"GEMX_PROFILE comes first: it names {override}")


@app.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The new profile's name: letters, digits, _ and -.")],
    origin: Annotated[
        str | None, typer.Option("--from", metavar="NAME|PATH", help="Start from another profile's file.")
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Write a commented profile to the config directory, to be edited."""
    output.begin("profiles new", as_json=as_json)
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} cannot be a profile's name", hint="letters, digits, _ and -, at most 64")
    path = _own(name)
    if path.exists():
        raise UsageError(f"there is a profile {name} already: {path}", hint=f"gemx profiles edit {name}")
    _store(path, _start(name, origin), fresh=True)
    if as_json:
        output.as_json({"name": name, "path": path, "shadows": _shadowed(name)})
        return
    output.result(str(path))
    _say_shadowed(name)
    output.note(f"edit it: gemx profiles edit {name}; make it hold: gemx profiles use {name}")


@app.command()
def edit(name: Name, as_json: options.AsJson = False) -> None:
    """Edit a profile in $VISUAL or $EDITOR; one that ships is copied to the config directory, and then shadowed."""
    output.begin("profiles edit", as_json=as_json)
    from gemx import library

    found = library.find("profiles", name)
    target = _own(found.name) if found.origin == "gemx" else found.path
    editor.require_terminal(f"any editor, on {target}")
    before = _text(found.path)

    def accept(text: str, draft: Path) -> bool:
        _check(text, draft)
        if found.origin != "gemx" and _text(found.path) != before:
            raise StorageError(f"{found.path} was changed by someone else meanwhile", hint="make your change anew")
        _store(target, text, fresh=found.origin == "gemx")
        return True

    changed = bool(editor.edit(before, ".yaml", accept))
    if as_json:
        output.as_json({"name": found.name, "path": target, "changed": changed, "shadows": _shadowed(found.name)})
        return
    output.result(f"{target} was written" if changed else "nothing was changed")
    if changed:
        _say_shadowed(found.name)


@app.command()
def remove(name: Name, as_json: options.AsJson = False) -> None:
    """Remove a profile of your own; one that ships stays."""
    output.begin("profiles remove", as_json=as_json)
    from gemx import library

    found = library.find("profiles", name)
    if found.origin != "user":
        where = "ships with gemx" if found.origin == "gemx" else "is a file outside the config directory"
        raise UsageError(f"{name} {where}: it is not removed", hint=f"those of your own are in {_own('x').parent}")
    shadowed = _shadowed(name)
    active, source = _active()
    if active == name and not shadowed:
        hint = "gemx profiles use --none" if source == "config.json" else f"unset {source} first"
        raise UsageError(f"{name} holds now, by {source}, and no command would work without it", hint=hint)
    try:
        found.path.unlink()
    except OSError as exc:
        raise StorageError(f"cannot remove {found.path}: {exc.strerror}") from exc
    if as_json:
        output.as_json({"name": name, "path": found.path, "uncovers": shadowed})
        return
    output.result(f"{found.path} was removed")
    if shadowed:
        output.note(f"{name} is now {_said(shadowed)}")


def _active() -> tuple[str | None, str]:
    """The profile that holds where no flag names one, and what says so."""
    from gemx import configuration, places

    config = configuration.load(places.config_file())
    variable = os.environ.get("GEMX_PROFILE")
    return (variable, "GEMX_PROFILE") if variable else (config.profile or None, "config.json")


def _row(found: Found, active: str | None) -> dict[str, Any]:
    from gemx import settings

    try:
        title, problem = settings.load_profile(str(found.path)).title, None
    except GemxError as exc:
        title, problem = "INVALID: see gemx config validate", exc.message
    return {
        "name": found.name,
        "title": title,
        "from": found.origin,
        "path": found.path,
        "shadows": _shadowed(found.name) if found.origin != "gemx" else None,
        "active": active in (found.name, str(found.path)),
        "problem": problem,
    }


def _origin(row: dict[str, Any]) -> str:
    if row["from"] == "gemx":
        return ""
    return f"  (yours, in place of {_said(row['shadows'])})" if row["shadows"] else "  (yours)"


def _own(name: str) -> Path:
    from gemx import library

    return library.user_file("profiles", name)


def _shadowed(name: str) -> Path | None:
    """The file that would hold under a name if the one that does were not there."""
    from gemx import library

    return next((found[1].path for found in library.shelves("profiles") if found[0].name == name and found[1:]), None)


def _say_shadowed(name: str) -> None:
    if shadowed := _shadowed(name):
        output.note(f"it stands in the place of {_said(shadowed)}")


def _said(path: Path) -> str:
    from gemx import places

    return "the one that ships" if path.parent == places.shipped("profiles") else str(path)


def _start(name: str, origin: str | None) -> str:
    """The text of a new profile: the commented skeleton, or another's."""
    from importlib.resources import files

    from gemx import library

    if origin is None:
        return (
            (files("gemx") / "profile_skeleton.yaml").read_text(encoding="utf-8").replace("NAME\n\n", f"{name}\n\n", 1)
        )
    found = library.find("profiles", origin)
    text = _text(found.path)
    _check(text, found.path)
    return f"# From the profile {found.name}.\n{text}"


def _check(text: str, path: Path) -> None:
    """Raise ConfigError where a text is no profile that a command could use."""
    from gemx import gateway, library, settings

    profile: Profile = library.validate(library.parse(text.encode(), path), settings.Profile, settings.PROFILE_HEADER)
    if profile.model or profile.fallback:
        gateway.check_config(settings.Config(model=profile.model, fallback=profile.fallback), "profile")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise NotFoundError(f"cannot read {path}: {exc}") from exc


def _store(path: Path, text: str, *, fresh: bool) -> None:
    """Write a profile; a fresh one takes no other's place."""
    from gemx import config_file, places

    with config_file.locked():
        if fresh and path.exists():
            raise UsageError(f"there is a profile {path.stem} already: {path}")
        places.ensure_private_dir(path.parent)
        places.rewrite(path, text.encode())
