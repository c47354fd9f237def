"""The only writer of config.json: one process at a time, whole or not at all, and nothing that would not be read again.

A file of an older version is kept as a backup when it is first written. Knows the lock, the version and that no key may
stand in the file; knows no setting by name.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

from gemx import configuration, keys, locks, places, strict_json
from gemx.configuration import VERSION
from gemx.errors import ConfigError, InvalidFileError, Problem, StorageError

_MOST_BACKUPS = 1000
# Headers that carry a key by their nature.
_SECRET_HEADER = re.compile(r"auth|token|secret|cookie|session|(^|-)key$", re.IGNORECASE)


@dataclass(frozen=True)
class Written:
    """What became of config.json: whether it changed, and the backup of an older version that was made of it."""

    path: Path
    changed: bool
    backup: Path | None = None


@contextmanager
def locked() -> Generator[None]:
    """Hold the user's configuration against every other gemx that would write it. Raises StorageError."""
    path = places.ensure_private_dir(places.config_dir()) / ".lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, places.FILE_MODE)
    except OSError as exc:
        raise StorageError(f"cannot write in {path.parent}: {exc.strerror}", hint="check its permissions") from exc
    try:
        locks.wait_for(descriptor, path, "another gemx")
        yield
    finally:
        os.close(descriptor)


def change(edit: Callable[[dict[str, Any]], None]) -> Written:
    """Read config.json, let `edit` change what it says, and write it where all of it is valid.

    What others write meanwhile is not lost. Raises InvalidFileError where the outcome is not valid, and StorageError.
    """
    with locked():
        before = text()
        path = places.config_file()
        data = configuration.read_json(before, path) if before is not None else {"version": VERSION}
        edit(data)
        after = dumped(data)
        _check(after, before, path)
        if before is not None and _same(before, after):
            return Written(path, changed=False)
        return _write(before, after)


def replace(after: str, *, before: str | None) -> Written:
    """Put a text in the place of config.json as it was `before`. Raises ConfigError and StorageError."""
    with locked():
        path = places.config_file()
        if text() != before:
            raise StorageError(f"{path} was changed by someone else meanwhile", hint="make your change anew")
        configuration.parse(after, path)
        if strict_json.loads(after).get("version") != VERSION:
            after = dumped(configuration.read_json(after, path))
        return _write(before, after)


def text() -> str | None:
    """What config.json holds, or None where there is none. Raises ConfigError."""
    path = places.config_file()
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"cannot read {path}: {exc}") from exc


def dumped(data: Mapping[str, Any]) -> str:
    """Settings as the text of config.json."""
    return json.dumps(data, ensure_ascii=False, indent=2, default=_number) + "\n"


def secrets(data: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """The places of values that are API keys, and of headers that carry one, each with its value."""
    if isinstance(data, Mapping):
        for name, value in cast("Mapping[str, Any]", data).items():
            inner = f"{place}.{name}".lstrip(".")
            if keys.redact(name) != name:
                yield f"a name in {place or 'config.json'}", name
            elif place.endswith(".headers") and _SECRET_HEADER.search(name):
                yield inner, str(value)
            else:
                yield from secrets(value, inner)
    elif isinstance(data, list):
        for number, value in enumerate(cast("list[Any]", data)):
            yield from secrets(value, f"{place}.{number}")
    elif isinstance(data, str) and keys.redact(data) != data:
        yield place, data


def new_secret(before: Any, after: Any) -> str | None:
    """The place of a key that `after` holds and `before` did not; None where there is none."""
    held = set(secrets(before))
    return next((place for place, value in secrets(after) if (place, value) not in held), None)


def _check(after: str, before: str | None, path: Path) -> None:
    """Raise InvalidFileError where a text is not valid, each problem at its place in the file as it is `before`."""
    try:
        configuration.parse(after, path)
    except InvalidFileError as exc:
        known = {problem.message: problem for problem in _problems(before, path)}
        found = [known.get(each.message) or Problem(path, 0, 0, each.message) for each in exc.problems]
        raise InvalidFileError(sorted(found, key=lambda problem: (problem.line, problem.column))) from exc


def _problems(text: str | None, path: Path) -> list[Problem]:
    try:
        configuration.parse(text or "{}", path)
    except InvalidFileError as exc:
        return exc.problems
    return []


def _write(before: str | None, after: str) -> Written:
    _refuse_new_secrets(before, after)
    # A link, as of who keeps settings in a repository, stays one.
    path = places.config_file().resolve()
    backup = _backup(path, before) if before is not None else None
    places.write_private(path, after.encode())
    for draft in places.config_dir().glob(".gemx-*"):
        # Of a writer that was killed: whoever holds the lock has no draft any more.
        draft.unlink(missing_ok=True)
    return Written(places.config_file(), changed=True, backup=backup)


def _refuse_new_secrets(before: str | None, after: str) -> None:
    # Who has one there already is not kept from mending another setting.
    place = new_secret(_loaded(before), json.loads(after))
    if place is not None:
        hint = "gemx config set-key NAME asks for a key, and stores it where no one else reads it"
        raise ConfigError(f"{place} looks like an API key, and config.json never holds one", hint=hint)


def _loaded(text: str | None) -> Any:
    try:
        return json.loads(text) if text is not None else {}
    except (ValueError, RecursionError):
        return {}


def _backup(path: Path, before: str) -> Path | None:
    """Keep a file of an older version, beside it and under a name of its own."""
    try:
        version: Any = strict_json.loads(before).get("version", 0)
    except (ValueError, AttributeError):
        return None
    if version == VERSION:
        return None
    for number in range(1, _MOST_BACKUPS):
        kept = path.with_name(f"{path.name}.v{version}{'' if number == 1 else f'.{number}'}.bak")
        if not kept.exists():
            places.write_private(kept, before.encode())
            return kept
        if kept.read_bytes() == before.encode():
            return kept
    raise StorageError(f"{path.parent} holds {_MOST_BACKUPS} backups of config.json", hint="remove some")


def _same(before: str, after: str) -> bool:
    return strict_json.loads(before) == strict_json.loads(after)


def _number(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError(f"{type(value).__name__} is not JSON")
