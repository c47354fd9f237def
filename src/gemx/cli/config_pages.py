"""`gemx config edit, path, validate, schema`: config.json as a whole, and the files around it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gemx.cli import config_settings, editor, options, output
from gemx.errors import ConfigError, GemxError, InvalidFileError, Problem, StorageError

if TYPE_CHECKING:
    from gemx.config_file import Written

_NEW = '{\n  "version": 1\n}\n'


def edit(as_json: options.AsJson = False) -> None:
    """Edit config.json in $VISUAL or $EDITOR, on a private copy that replaces it only when it is valid."""
    output.begin("config edit", as_json=as_json)
    from gemx import config_file, configuration, places

    editor.require_terminal("gemx config set KEY VALUE")
    before = config_file.text()

    def accept(text: str, draft: Path) -> Written:
        configuration.parse(text, draft)
        config_settings.check(configuration.read_json(text, draft))
        return config_file.replace(text, before=before)

    written = editor.edit(before if before is not None else _NEW, ".json", accept)
    if as_json:
        backup = written.backup if written else None
        output.as_json({"path": places.config_file(), "changed": written is not None, "backup": backup})
        return
    output.result(f"{places.config_file()} was written" if written else "nothing was changed")
    if written:
        config_settings.written_note(written)


def path(
    every: Annotated[bool, typer.Option("--all", help="Every place where gemx keeps something.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Print the path of config.json, whether or not it is there."""
    output.begin("config path", as_json=as_json)
    from gemx import places

    found = {
        "config": places.config_file(),
        "profiles": places.config_dir() / "profiles",
        "keys": places.config_dir() / "keys",
        "prices": places.prices_file(),
        "audit": places.audit_dir(),
        "budget": places.door_file(),
        "history": places.history_file(),
        "models": places.models_dir(),
        "cache": places.cache_dir(),
    }
    if not every:
        found = {"config": found["config"]}
    if as_json:
        output.as_json({name: {"path": place, "exists": _exists(place)} for name, place in found.items()})
    elif every:
        for name, place in found.items():
            output.result(f"{name:<9} {place}{'' if _exists(place) else '  (not there yet)'}")
    else:
        output.result(str(found["config"]))


def validate(as_json: options.AsJson = False) -> int:
    """Check config.json, your profiles and your prices. Prints every problem with file, line and column."""
    output.begin("config validate", as_json=as_json)
    files = list(_files())
    found = {file: _problems(file) for file in files}
    # A profile that config.json names may be wrong itself: once is enough.
    problems = list(dict.fromkeys(problem for each in found.values() for problem in each))
    if not problems:
        problems = _environment()
    exit_code = ConfigError.exit_code if problems else 0
    if as_json:
        errors = [{"code": InvalidFileError.code, "message": str(each), "hint": None} for each in problems]
        valid = [str(file) for file, each in found.items() if not each]
        output.as_json({"files": len(files), "valid": valid}, exit_code, _redacted(errors))
        return exit_code
    for problem in problems:
        output.warning(str(problem))
    wrong = sum(bool(each) for each in found.values())
    count = "1 file is" if len(files) == 1 else f"{len(files)} files are"
    if wrong:
        output.result(f"{len(files) - wrong} of {len(files)} files are valid")
    else:
        output.result(f"{count} valid" if files else "there is no file to check: the defaults hold")
    return exit_code


def schema() -> None:
    """Print the JSON Schema of config.json, for editors and other programs."""
    output.begin("config schema")
    import json

    from gemx import configuration

    output.result(json.dumps(configuration.json_schema(), ensure_ascii=False, indent=2))


def _files() -> Iterator[Path]:
    from gemx import library, places

    if _exists(places.config_file()):
        yield places.config_file()
    yield from (found.path for found in library.listing("profiles") if found.origin == "user")
    if _exists(places.prices_file()):
        yield places.prices_file()


def _problems(file: Path) -> list[Problem]:
    from gemx import places

    try:
        if file == places.config_file():
            _check_config(file)
        elif file == places.prices_file():
            from gemx.gateway import prices

            prices.read(file)
        else:
            _check_profile(file)
    except InvalidFileError as exc:
        return exc.problems
    except GemxError as exc:
        return [Problem(file, 0, 0, exc.message.removeprefix(f"cannot read {file}: "))]
    return []


def _check_config(file: Path) -> None:
    from gemx import config_file, configuration

    text = config_file.text() or ""
    configuration.parse(text, file)
    data = configuration.read_json(text, file)
    config_settings.check(data)
    if place := config_file.new_secret({}, data):
        raise ConfigError(f"{place} looks like an API key: gemx config set-key stores one")


def _check_profile(file: Path) -> None:
    from gemx import gateway, library, settings

    profile, _ = library.load(file, settings.Profile, settings.PROFILE_HEADER)
    gateway.check_config(settings.Config(model=profile.model, fallback=profile.fallback), "profile")


def _environment() -> list[Problem]:
    """What the environment says wrongly; config.json and the profiles are right."""
    from gemx import settings

    try:
        settings.load().resolve("timeout")
    except GemxError as exc:
        return [Problem("environment", 0, 0, exc.message)]
    return []


def _redacted(errors: list[dict[str, Any]]) -> list[dict[str, Any]]:
    from gemx import keys

    return [{**error, "message": keys.redact(error["message"])} for error in errors]


def _exists(place: Path) -> bool:
    try:
        return place.exists()
    except OSError as exc:
        raise StorageError(f"cannot look at {place}: {exc.strerror}") from exc
