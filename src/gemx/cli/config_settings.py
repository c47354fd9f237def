"""`gemx config get, set, unset, list`: the settings of config.json, one by one."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gemx.cli import options, output
from gemx.errors import GemxError, InvalidFileError, UsageError

if TYPE_CHECKING:
    from gemx.config_file import Written
    from gemx.config_keys import Effective, Key

_WIDEST = 110
_NAMES = 34
_VALUES = 28
_NO_PLACE = "looks like an API key, and config.json never holds one"

Name = Annotated[str, typer.Argument(metavar="KEY", help="A setting by its dotted key, such as budget.daily.")]


def get(key: Name, as_json: options.AsJson = False) -> None:
    """Print the value of a setting that is in effect; where it came from goes to stderr."""
    output.begin("config get", as_json=as_json)
    from gemx import config_keys, settings

    rows = config_keys.effective(settings.load())
    if key in config_keys.OF_PROFILES:
        path: tuple[str, ...] = (key,)
    else:
        found = config_keys.find(key, _data())
        path = found.path
        _refuse_unknown_name(found, rows)
    below = [row for row in rows if row.path[: len(path)] == path]
    exact = next((row for row in below if row.path == path), None)
    if exact is None and not below:
        exact = config_keys.Effective(path, None, "default")
    if exact is not None:
        _print_one(exact, as_json=as_json)
    elif as_json:
        output.as_json({"key": config_keys.spelled(path), "settings": [_described(row) for row in below]})
    else:
        _print_rows(below)


def list_(
    changed: Annotated[bool, typer.Option("--changed", help="Only what is not at its default.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """List every setting in effect, its value, and its source: environment, profile, config.json or default."""
    output.begin("config list", as_json=as_json)
    from gemx import config_keys, settings

    rows = [row for row in config_keys.effective(settings.load()) if not changed or row.source != "default"]
    if as_json:
        output.as_json({"settings": [_described(row) for row in rows]})
        return
    _print_rows(rows)
    if not rows:
        output.note("every setting is at its default")


def set_(
    key: Name,
    value: Annotated[
        list[str], typer.Argument(metavar="VALUE...", help="Text, a JSON number, true or false; several for a list.")
    ],
    as_json: options.AsJson = False,
) -> None:
    """Set a setting in config.json. The whole file is checked before it is written; API keys are refused."""
    output.begin("config set", as_json=as_json)
    from gemx import config_keys

    _refuse_profiles_own(key)
    _refuse_keys(value)
    where: list[Key] = []

    def put(data: dict[str, Any]) -> None:
        found = config_keys.find(key, data)
        where.append(found)
        config_keys.put(data, found.path, config_keys.parsed(found, value))

    written = _changed(put, where)
    path = where[0].path
    stored = config_keys.value_at(_data(), path)
    winner = _winner(path)
    if as_json:
        data = {"key": config_keys.spelled(path), "value": stored, **_outcome(written)}
        output.as_json({**data, "overridden_by": winner.source if winner else None})
        return
    output.result(f"{config_keys.spelled(path)} = {_text(stored)}")
    _tell(written, "it had that value already")
    if winner:
        output.warning(f"{winner.source} comes first: {winner.key} is {_text(winner.value)}")


def unset(key: Name, as_json: options.AsJson = False) -> None:
    """Remove a setting from config.json: its default, or what a profile says, holds again."""
    output.begin("config unset", as_json=as_json)
    from gemx import config_keys

    _refuse_profiles_own(key)
    where: list[Key] = []

    def take(data: dict[str, Any]) -> None:
        # What no setting has can be removed too: that is how a wrong key is mended.
        plain = tuple(key.split("."))
        known = config_keys.value_at(data, plain) is not None
        where.append(config_keys.Key(plain, None) if known else config_keys.find(key, data))
        if not config_keys.take(data, where[0].path) and config_keys.meant(key):
            raise UsageError(f"{key} is not set{config_keys.meant(key)}")

    written = _changed(take, where)
    spelled = ".".join(where[0].path)
    if as_json:
        output.as_json({"key": spelled, **_outcome(written)})
        return
    output.result(f"{spelled} was removed" if written.changed else f"{spelled} was not set")
    _tell(written, "")


def written_note(written: Written) -> None:
    """Tell of the backup of an older version."""
    if written.backup:
        output.note(f"it had an older form: that one is kept as {written.backup}")


def check(data: dict[str, Any]) -> None:
    """Raise ConfigError where settings that have the right form name a model, limit or profile that cannot be."""
    from gemx import configuration, settings

    if configuration.wrong(data):
        return
    config = configuration.Config.model_validate(configuration.floats(data))
    if config.fallback or config.limits or config.model or config.routes != configuration.RoutesConfig():
        from gemx import gateway

        gateway.check_config(config)
    if config.profile:
        settings.check_profile(config.profile)


def _changed(edit: Callable[[dict[str, Any]], None], where: Sequence[Key]) -> Written:
    """Write what `edit` makes of config.json; what it makes wrong is a usage error, what was wrong before is not."""
    from gemx import config_file, configuration

    def checked(data: dict[str, Any]) -> None:
        before, names_before = configuration.wrong(data), _names_problem(data)
        original = copy.deepcopy(data)
        edit(data)
        if place := config_file.new_secret(original, data):
            raise UsageError(f"{place} {_NO_PLACE}", hint="gemx config set-key NAME asks for a key and stores it")
        path = where[0].path
        for location, message in configuration.wrong(data):
            if (location, message) not in before or location[: len(path)] == path:
                raise UsageError(message, hint=_mend(where[0], location, message))
        problem = _names_problem(data)
        if problem is not None and (names_before is None or problem.message != names_before.message):
            raise UsageError(problem.message, hint=problem.hint)

    try:
        return config_file.change(checked)
    except InvalidFileError as exc:
        readable = not any(problem.message.startswith("not JSON") for problem in exc.problems)
        exc.hint = exc.hint or f"mend that first: gemx config edit{', or gemx config unset KEY' if readable else ''}"
        raise


def _names_problem(data: dict[str, Any]) -> GemxError | None:
    try:
        check(data)
    except GemxError as exc:
        return exc
    return None


def _mend(key: Key, location: tuple[str | int, ...], message: str) -> str | None:
    """What to do about a value that makes config.json wrong."""
    from gemx import config_keys

    if key.path[-1] == "api_key" or key.path[0] == "keys":
        return "gemx config set-key NAME stores a key; config.json only says where one is: env, file or command"
    if location[: len(key.path)] != key.path and message.endswith("Field required"):
        missing = config_keys.spelled([str(part) for part in location])
        return f"first: gemx config set {missing} VALUE"
    return None


def _refuse_profiles_own(key: str) -> None:
    from gemx import config_keys

    if key in config_keys.OF_PROFILES:
        hint = "gemx profiles new NAME writes one, and gemx profiles use NAME makes it hold"
        raise UsageError(f"{key} belongs to a profile, and not to config.json", hint=hint)


def _refuse_keys(values: Sequence[str]) -> None:
    from gemx import keys

    if any(keys.redact(value) != value for value in values):
        hint = "gemx config set-key NAME asks for it; this one is in the shell's history: make a new one"
        raise UsageError(f"this {_NO_PLACE}", hint=hint)


def _refuse_unknown_name(found: Key, rows: Sequence[Effective]) -> None:
    from gemx import config_keys

    key = config_keys.spelled(found.path)
    held = any(row.path[: len(found.path)] == found.path for row in rows)
    if not held and (near := config_keys.meant(key)):
        raise UsageError(f"{key} is not set{near}")


def _data() -> dict[str, Any]:
    from gemx import config_file, configuration, places

    text = config_file.text()
    return configuration.read_json(text, places.config_file()) if text is not None else {}


def _winner(path: tuple[str, ...]) -> Effective | None:
    """What holds in the place of what config.json says, where something does."""
    from gemx import config_keys, settings

    with suppress(GemxError):
        for row in config_keys.effective(settings.load()):
            if row.path == path and row.source not in ("config.json", "default"):
                return row
    return None


def _outcome(written: Written) -> dict[str, Any]:
    return {"path": written.path, "changed": written.changed, "backup": written.backup}


def _tell(written: Written, unchanged: str) -> None:
    if not written.changed and unchanged:
        output.note(unchanged)
    written_note(written)


def _described(row: Effective) -> dict[str, Any]:
    return {"key": row.key, "value": _redacted(row.value), "source": row.source}


def _redacted(value: Any) -> Any:
    from gemx import keys

    if isinstance(value, str):
        return keys.redact(value)
    return [_redacted(item) for item in value] if isinstance(value, list) else value  # pyright: ignore[reportUnknownVariableType]


def _print_one(row: Effective, *, as_json: bool) -> None:
    if as_json:
        output.as_json(_described(row))
        return
    output.result(_text(_redacted(row.value)))
    output.note(f"from {row.source}" if row.source != "default" else "the default")


def _print_rows(rows: Sequence[Effective]) -> None:
    width = min(shutil.get_terminal_size().columns, _WIDEST)
    texts = [_line(_redacted(row.value)) for row in rows]
    names = min(max((len(row.key) for row in rows), default=0), _NAMES)
    values = min(max((len(text) for text in texts), default=0), _VALUES)
    for row, text in zip(rows, texts, strict=True):
        room = max(width - max(len(row.key), names) - len(row.source) - 4, 8)
        shown = text if len(text) <= room else f"{text[: room - 1]}…"
        output.result(f"{row.key:<{names}}  {shown:<{min(room, values)}}  {row.source}")


def _line(value: Any) -> str:
    return "–" if value is None or value == {} else " ".join(_text(value).split())


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    whole = isinstance(value, float) and value.is_integer()
    return json.dumps(int(value) if whole else value, ensure_ascii=False, default=float)
