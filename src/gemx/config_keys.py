"""Settings by dotted keys, such as `budget.daily`: which there are, what each takes, and what holds now and why.

A name of the user's own (of a limit, an endpoint, a header) may hold dots: it ends where the rest of the key is a
setting, and an existing name goes first. Quotes settle it: `endpoints."a.model".model`. Writes nothing.
"""

from __future__ import annotations

import difflib
import re
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

from gemx import settings, strict_json
from gemx.configuration import Config, Guard, Network, Section
from gemx.errors import UsageError
from gemx.settings import Profile, Settings

Path = tuple[str, ...]

OF_PROFILES = ("thinking", "persona", "system", "language")
_PARTS = re.compile(r'"([^"]+)"(?:\.|$)|([^."]+)(?:\.|$)')
_NUMBERS = {int: "a whole number", float: "a number, such as 0.5"}
_NAME = "NAME"


@dataclass(frozen=True)
class Key:
    """A key that config.json knows: where it leads, and the type of its value."""

    path: Path
    type: Any

    @property
    def form(self) -> str:
        """What it takes, in words."""
        if self.type in _NUMBERS:
            return _NUMBERS[self.type]
        if self.type is bool:
            return "true or false"
        if get_origin(self.type) is Literal:
            return f"one of {', '.join(str(choice) for choice in get_args(self.type))}"
        if get_origin(self.type) is list:
            return "one value or more, or a JSON list"
        return "text" if self.type is str else "a JSON object, such as '{…}', or the keys below it one by one"


@dataclass(frozen=True)
class Effective:
    """A setting that holds: its path, value, and where the value came from."""

    path: Path
    value: Any
    source: str

    @property
    def key(self) -> str:
        """The key that leads to it."""
        return spelled(self.path)


class _Quoted(str):
    """A part of a key that stood in quotes: a whole name."""

    __slots__ = ()


def find(key: str, data: Mapping[str, Any]) -> Key:
    """The setting of a key; `data` holds the names that exist. Raises UsageError, with what was meant."""
    found = _walk(Config, _parts(key), data)
    if found is None:
        raise UsageError(f"there is no setting {key}{meant(key)}", hint="gemx config list shows all that there are")
    if found.path == ("version",):
        raise UsageError("version is the form of the file: gemx keeps it by itself")
    return found


def spelled(path: Sequence[str]) -> str:
    """A path as a key that leads to it, whatever names exist."""
    plain = ".".join(path)
    if all('"' not in part for part in path):
        found = _walk(Config, [*plain.split(".")], {})
        if found is not None and found.path == tuple(path):
            return plain
    return ".".join(f'"{part}"' if "." in part else part for part in path)


def parsed(key: Key, texts: Sequence[str]) -> Any:
    """The value of a key from what was typed. Raises UsageError with the form that is expected."""
    name = spelled(key.path)
    if get_origin(key.type) is list and not (len(texts) == 1 and texts[0].lstrip().startswith("[")):
        return list(texts)
    if len(texts) != 1:
        raise UsageError(f"{name} takes one value, not {len(texts)}", hint=f"expected {key.form}; quote it as a whole")
    text = texts[0]
    if text == "null":
        raise UsageError(f"{name}: null is no value", hint=f"gemx config unset {name}")
    if key.type is str or get_origin(key.type) is Literal:
        return text
    try:
        value: Any = strict_json.loads(text)
    except ValueError:
        value = None
    if not _fits(key.type, value):
        # What was typed is not repeated: it may be a key, in the wrong place.
        raise UsageError(f"{name}: expected {key.form}{meant(name)}", hint=_hint(key, text))
    return value


def value_at(data: Mapping[str, Any], path: Path) -> Any:
    """The value that a file holds at a path, or None."""
    node: Any = data
    for part in path:
        if not isinstance(node, Mapping) or part not in node:
            return None
        node = cast("Mapping[str, Any]", node)[part]
    return node


def put(data: dict[str, Any], path: Path, value: Any) -> None:
    """Set a value, with the objects above it."""
    node = data
    for part in path[:-1]:
        inner = node.setdefault(part, {})
        if not isinstance(inner, dict):
            inner = node[part] = {}
        node = cast("dict[str, Any]", inner)
    node[path[-1]] = value


def take(data: dict[str, Any], path: Path) -> bool:
    """Remove a value, and the objects that it leaves empty; whether there was one."""
    inner = data.get(path[0])
    if len(path) == 1:
        return data.pop(path[0], data) is not data
    if not isinstance(inner, dict) or not take(cast("dict[str, Any]", inner), path[1:]):
        return False
    if not inner:
        del data[path[0]]
    return True


def effective(resolved: Settings) -> list[Effective]:
    """Every setting that holds, flags aside: those of config.json in its order, then those of profiles alone."""
    rows = [_of_everyone(resolved, row) for row in _rows(resolved.config, ()) if row.key != "version"]
    named = resolved.profile_name
    of_profile = [(name, getattr(resolved.profile, name, None)) for name in OF_PROFILES]
    return rows + [
        Effective((name,), value, "default" if value is None else f"profile {named}") for name, value in of_profile
    ]


def _rows(section: Section, above: Path) -> Iterator[Effective]:
    for name, field in type(section).model_fields.items():
        path, value = (*above, field.alias or name), getattr(section, name)
        yield from _below(value, path, name in section.model_fields_set)


def _below(value: Any, path: Path, given: bool) -> Iterator[Effective]:
    if isinstance(value, Section):
        yield from _rows(value, path)
    elif isinstance(value, dict) and value:
        for name, inner in cast("dict[str, Any]", value).items():
            yield from _below(inner, (*path, name), given)
    else:
        yield Effective(path, value, "config.json" if given else "default")


def _of_everyone(resolved: Settings, row: Effective) -> Effective:
    """The same setting with what environment, profile and defaults say of it."""
    name = row.path[0]
    if name == "profile":
        return Effective(row.path, resolved.profile_name, settings.profile_source(resolved))
    if name in ("guard", "network"):
        return Effective(row.path, *_strictest(resolved, name))
    if name in Profile.model_fields:
        found = resolved.resolve(name)
        return Effective(row.path, found.value, found.source)
    return row if row.value is not None else Effective(row.path, settings.DEFAULTS.get(name), row.source)


def _strictest(resolved: Settings, name: str) -> tuple[Any, str]:
    """The strictest of config.json and profile, as the door has it, and which of them said it."""
    order = get_args(Guard)[::-1] if name == "guard" else get_args(Network)
    said = {"config.json": getattr(resolved.config, name)}
    if resolved.profile:
        said[f"profile {resolved.profile_name}"] = getattr(resolved.profile, name)
    given = [(value, source) for source, value in said.items() if value is not None]
    if not given:
        return settings.DEFAULTS[name], "default"
    return min(given, key=lambda each: order.index(each[0]))


def _parts(key: str) -> list[str]:
    parts = [_Quoted(match[1]) if match[1] else match[2] for match in _PARTS.finditer(key)]
    if not parts or "".join(match[0] for match in _PARTS.finditer(key)) != key or key.endswith("."):
        raise UsageError(f"{key!r} is no key", hint='names with dots may stand in quotes: endpoints."a.b".model')
    return parts


def _walk(kind: Any, parts: Sequence[str], data: Any) -> Key | None:
    kind = _core(kind)
    if not parts:
        return Key((), kind)
    if get_origin(kind) is dict:
        return _named(kind, parts, data)
    if not (isinstance(kind, type) and issubclass(kind, Section)):
        return None
    for name, field in kind.model_fields.items():
        if parts[0] == (field.alias or name):
            inner = cast("Mapping[str, Any]", data).get(parts[0]) if isinstance(data, Mapping) else None
            return _below_key(_walk(field.annotation, parts[1:], inner), str(parts[0]))
    return None


def _named(kind: Any, parts: Sequence[str], data: Any) -> Key | None:
    names, inner = get_args(kind)
    known = cast("Mapping[str, Any]", data if isinstance(data, Mapping) else {})
    whole = next((n for n, part in enumerate(parts) if isinstance(part, _Quoted)), len(parts))
    sizes = [1] if isinstance(parts[0], _Quoted) else list(range(1, whole + 1))
    named = {size: ".".join(parts[:size]) for size in sizes}
    # An existing name goes first, the longest of them; then the shortest that leaves a setting; then the whole.
    existing = [size for size in reversed(sizes) if named[size] in known]
    for size in (*existing, *sizes):
        name = named[size]
        if get_origin(names) is Literal and name not in get_args(names):
            continue
        if found := _walk(inner, parts[size:], known.get(name)):
            return _below_key(found, name)
    return None


def _below_key(found: Key | None, name: str) -> Key | None:
    return Key((name, *found.path), found.type) if found else None


def _core(kind: Any) -> Any:
    """A type without its bounds and without None."""
    origin = get_origin(kind)
    if origin is Annotated:
        return _core(get_args(kind)[0])
    if origin in (Union, types.UnionType):
        return _core(next(each for each in get_args(kind) if each is not type(None)))
    return kind


def _fits(kind: Any, value: Any) -> bool:
    if kind in (int, float):
        return not isinstance(value, (bool, str, list, dict)) and value is not None
    expected: Any = bool if kind is bool else list if get_origin(kind) is list else dict
    return isinstance(value, expected)


def _hint(key: Key, text: str) -> str | None:
    if key.path[-1] == "api_key" or key.path[0] == "keys":
        name = key.path[1] if key.path[1:] else "gemini"
        return f"a key never stands in config.json: gemx config set-key {name} asks for it and stores it"
    if key.type in (int, float) and re.fullmatch(r"-?[\d.]*,\d+", text):
        return f"with a point: {text.replace('.', '').replace(',', '.')}"
    return None


def meant(key: str) -> str:
    """`; did you mean 'x'?`, or nothing."""
    known = list(_patterns(Config, key.split(".")))
    if key in known:
        return ""
    last = [each for each in known if each.rpartition(".")[2] == key.rpartition(".")[2]]
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.7) or last[:1]
    return f"; did you mean {near[0]!r}?" if near else ""


def _patterns(kind: Any, parts: Sequence[str]) -> Iterator[str]:
    """Every key, the user's own names taken from the key that was typed."""
    kind = _core(kind)
    if get_origin(kind) is dict:
        names, inner = get_args(kind)
        name = get_args(names)[0] if get_origin(names) is Literal else ".".join(parts[:-1]) or _NAME
        yield from (f"{name}.{key}" if key else name for key in _patterns(inner, parts[-1:]))
    elif isinstance(kind, type) and issubclass(kind, Section):
        for name, field in kind.model_fields.items():
            spelling = field.alias or name
            yield from (f"{spelling}.{key}".rstrip(".") for key in _patterns(field.annotation, parts[1:]))
    else:
        yield ""
