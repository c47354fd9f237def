"""Find and load named YAML: the only YAML reader.

Reads YAML 1.2 core scalars with their positions and refuses what a reviewer would not see: duplicate keys, alias
bombs, tags, control characters, numbers that are not finite. Knows where automations, profiles, templates and flows
are looked for, and nothing of what they mean.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, cast

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from gemx import places
from gemx.errors import InvalidFileError, NotFoundError, Problem, StorageError
from gemx.sanitize import printable

Kind = Literal["automations", "profiles", "templates", "flows"]
Location = tuple[str | int, ...]
Place = tuple[int, int]
Model = TypeVar("Model", bound=BaseModel)

# Beside the automations, what all of them share.
NOT_AUTOMATIONS = ("inputs", "rules", "vocabulary")
_SUFFIXES = (".yaml", ".yml")
_FROM_CURRENT_FOLDER: frozenset[str] = frozenset({"automations", "templates", "flows"})
_MAX_BYTES = 2_000_000
_MAX_NODES = 50_000
_MAX_DEPTH = 40
_MAX_DIGITS = 40
_MOST_PROBLEMS = 100

_NULL = re.compile(r"null|Null|NULL|~|")
_BOOLEAN = re.compile(r"true|True|TRUE|false|False|FALSE")
_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


class YamlModel(BaseModel):
    """Base of every parsed file: unknown keys are refused and nothing is converted silently."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)


def _day(value: object) -> object:
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError as exc:
            raise ValueError(f"expected a date as 2026-11-20, not {value!r}") from exc
    return value


Day = Annotated[date, BeforeValidator(_day, json_schema_input_type=str)]
Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
Line = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"\S")]


@dataclass(frozen=True)
class Tree:
    """Parsed YAML: the data, and the place (line, column, from 1) of every value and key by its location."""

    path: Path
    data: Any
    values: Mapping[Location, Place]
    keys: Mapping[Location, Place]
    sha256: str

    def problem(self, location: Location, message: str, *, key: bool = False) -> Problem:
        """A problem at the value (or key) of `location`, or at its nearest known ancestor."""
        if key and location in self.keys:
            return Problem(self.path, *self.keys[location], message)
        while location and location not in self.values:
            location = location[:-1]
        return Problem(self.path, *self.values.get(location, (1, 1)), message)


@dataclass(frozen=True)
class Found:
    """A named file; `origin` is where it was found, and a user is told of every one but `gemx`."""

    name: str
    path: Path
    origin: Literal["path", "folder", "user", "gemx"]


def find(kind: Kind, name: str) -> Found:
    """The file of a name or path. Raises NotFoundError with the names that are near."""
    if name.endswith(_SUFFIXES) or "/" in name:
        path = places.user_path(name)
        if not places.is_file(path):
            raise NotFoundError(f"no file {path}", hint=f"the {kind} that gemx knows: {_names(listing(kind))}")
        return Found(path.stem, path, "gemx" if _is_shipped(kind, path) else "path")
    known = {found.name: found for found in listing(kind)}
    if name not in known:
        near = suggest(name, known)
        raise NotFoundError(f"no {kind[:-1]} named {name!r}{near}", hint=f"there are: {_names(known.values())}")
    return known[name]


def listing(kind: Kind) -> list[Found]:
    """Every file of a kind, by name; a current folder's file hides the user's, and that one the shipped one."""
    return [found[0] for found in shelves(kind)]


def shelves(kind: Kind) -> list[tuple[Found, ...]]:
    """Every name of a kind, in order, with all files of that name: the one that is used, then those that it hides."""
    folders: list[tuple[Literal["folder", "user", "gemx"], Path]] = [
        ("user", places.config_dir() / kind),
        ("gemx", places.shipped(kind)),
    ]
    if kind in _FROM_CURRENT_FOLDER:
        folders.insert(0, ("folder", Path(kind)))
    known: dict[str, dict[Path, Found]] = {}
    for origin, folder in folders:
        # Of NAME.yml and NAME.yaml in one folder, the last in order is used.
        for path in reversed(_yaml_files(folder)):
            if kind == "automations" and path.stem in NOT_AUTOMATIONS:
                continue
            found = Found(path.stem, path, "gemx" if _is_shipped(kind, path) else origin)
            known.setdefault(path.stem, {}).setdefault(path.resolve(), found)
    return [tuple(known[name].values()) for name in sorted(known)]


def user_file(kind: Kind, name: str) -> Path:
    """The file of the user's own of this name: the one that is used where there is one, else what it would be."""
    folder = places.config_dir() / kind
    known = (folder / f"{name}{suffix}" for suffix in reversed(_SUFFIXES))
    return next((path for path in known if places.is_file(path)), folder / f"{name}{_SUFFIXES[0]}")


def shipped_names(kind: Kind) -> list[str]:
    """The names of the files of a kind that ship with gemx."""
    return [path.stem for path in _yaml_files(places.shipped(kind))]


def read(path: Path, *, numbers_as_text: bool = False) -> Tree:
    """Read one YAML document. Raises InvalidFileError with every duplicate key, or StorageError."""
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise StorageError(f"cannot read {path}: {exc.strerror}") from exc
    return parse(data, path, numbers_as_text=numbers_as_text)


def parse(data: bytes, path: Path, *, numbers_as_text: bool = False) -> Tree:
    """Parse bytes as one YAML document; `numbers_as_text` keeps the source text of numbers."""
    reader = _Reader(path, numbers_as_text)
    value = reader.document(_decode(data, path))
    if reader.problems:
        raise InvalidFileError(reader.problems)
    return Tree(path, value, reader.values, reader.keys, hashlib.sha256(data).hexdigest())


def load(path: Path, model: type[Model], header: str) -> tuple[Model, Tree]:
    """Read a file and validate it. Raises InvalidFileError with every problem at its place."""
    tree = read(path)
    return validate(tree, model, header), tree


def validate(tree: Tree, model: type[Model], header: str) -> Model:
    """Validate parsed YAML whose `gemx:` key must be `header`."""
    check_header(tree, header)
    try:
        return model.model_validate(tree.data)
    except ValidationError as exc:
        raise InvalidFileError(_problems(tree, model, exc)) from exc


def check_header(tree: Tree, *headers: str) -> str:
    """The `gemx:` header of a file. Raises InvalidFileError where it is missing or not one of `headers`."""
    expected = " or ".join(headers)
    if not isinstance(tree.data, dict):
        raise InvalidFileError([tree.problem((), f"expected a mapping that starts with `gemx: {expected}`")])
    header: Any = tree.data.get("gemx")  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    if header not in headers:
        wrong = "the key `gemx` is missing" if header is None else f"`gemx: {header}` is not known here"
        raise InvalidFileError([tree.problem(("gemx",), f"{wrong}; expected `gemx: {expected}`")])
    return header  # pyright: ignore[reportUnknownVariableType]


def refuse_twice(kind: str, names: Iterable[str]) -> None:
    """For validators: raise ValueError where a name stands twice."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"the {kind} {name!r} stands twice")
        seen.add(name)


def suggest(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?`, or nothing."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _names(found: Iterable[Found]) -> str:
    return ", ".join(item.name for item in found) or "none"


def _yaml_files(folder: Path) -> list[Path]:
    try:
        return _readable_yaml(folder)
    except OSError:
        # A folder that cannot be opened has no names to offer; a path into it says why it fails.
        return []


def _readable_yaml(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix in _SUFFIXES and path.is_file())


def _is_shipped(kind: Kind, path: Path) -> bool:
    return path.resolve().parent == places.shipped(kind).resolve()


def _decode(data: bytes, path: Path) -> str:
    if len(data) > _MAX_BYTES:
        raise InvalidFileError([Problem(path, 1, 1, f"{len(data)} bytes; at most {_MAX_BYTES} are read")])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        # The codec counts from after a byte order mark.
        before = exc.object[: exc.start].decode("utf-8")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        message = f"byte 0x{exc.object[exc.start]:02x} is not valid UTF-8; save the file as UTF-8"
        raise InvalidFileError([Problem(path, line, column, message)]) from exc


class _Reader:
    """Builds data from YAML events, so that depth, aliases and duplicate keys are seen before they cost anything."""

    def __init__(self, path: Path, numbers_as_text: bool) -> None:
        self.path = path
        self.numbers_as_text = numbers_as_text
        self.values: dict[Location, Place] = {}
        self.keys: dict[Location, Place] = {}
        self.problems: list[Problem] = []
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.nodes = 0

    def document(self, text: str) -> Any:
        loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        parse_events = cast("Any", yaml).parse
        try:
            return self._single(iter(parse_events(text, Loader=loader)))
        except yaml.MarkedYAMLError as exc:
            mark = exc.problem_mark or exc.context_mark
            place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            context = f" ({exc.context})" if exc.context else ""
            raise InvalidFileError([Problem(self.path, *place, f"{exc.problem}{context}")]) from exc
        except yaml.YAMLError as exc:
            raise InvalidFileError([Problem(self.path, 1, 1, " ".join(str(exc).split()))]) from exc

    def _single(self, events: Any) -> Any:
        value: Any = None
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self._stop(event, "a second document; expected one a file")
                value = self._node(next(events), events, (), 0)
        return value

    def _node(self, event: Any, events: Any, location: Location, depth: int) -> Any:
        self._count(event, 1)
        if depth > _MAX_DEPTH:
            raise self._stop(event, f"nested more than {_MAX_DEPTH} levels deep")
        self.values[location] = _place(event)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        before = self.nodes
        value = self._content(event, events, location, depth)
        if event.anchor is not None:
            self.anchors[event.anchor] = (value, self.nodes - before + 1)
        return value

    def _content(self, event: Any, events: Any, location: Location, depth: int) -> Any:
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if event.tag not in (None, "!"):
            self.problems.append(self._problem(event, f"the tag {event.tag} is not read"))
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(events, location, depth)
        return self._mapping(events, location, depth)

    def _sequence(self, events: Any, location: Location, depth: int) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            items.append(self._node(event, events, (*location, len(items)), depth + 1))
        return items

    def _mapping(self, events: Any, location: Location, depth: int) -> dict[str, Any]:
        items: dict[str, Any] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            key = self._key(event)
            inner = (*location, key)
            if key in items:
                self.problems.append(
                    self._problem(event, f"the key {key!r} stands twice; first at line {self.keys[inner][0]}")
                )
            else:
                self.keys[inner] = _place(event)
            items[key] = self._node(next(events), events, inner, depth + 1)
        return items

    def _key(self, event: Any) -> str:
        self._count(event, 1)
        if not isinstance(event, yaml.ScalarEvent):
            raise self._stop(event, "a key must be a plain name")
        self._check(event)
        return str(event.value)

    def _alias(self, event: Any) -> Any:
        if event.anchor not in self.anchors:
            raise self._stop(event, f"the alias *{event.anchor} names no anchor before it")
        value, size = self.anchors[event.anchor]
        self._count(event, size)
        return value

    def _count(self, event: Any, size: int) -> None:
        self.nodes += size
        if self.nodes > _MAX_NODES:
            raise self._stop(event, f"more than {_MAX_NODES} values, aliases expanded")

    def _check(self, event: Any) -> None:
        if event.tag not in (None, "!", "tag:yaml.org,2002:str"):
            self.problems.append(self._problem(event, f"the tag {event.tag} is not read"))
        if not event.value.isprintable() and printable(event.value) != event.value:
            self.problems.append(self._problem(event, "a control character, or one that turns the direction of text"))

    def _scalar(self, event: Any) -> Any:
        self._check(event)
        plain = event.style in (None, "") and event.tag is None
        return self._plain(event, event.value) if plain else event.value

    def _plain(self, event: Any, text: str) -> Any:
        if _NULL.fullmatch(text):
            return None
        if _BOOLEAN.fullmatch(text):
            return text.lower() == "true"
        if _NOT_FINITE.fullmatch(text):
            self.problems.append(self._problem(event, f"{text} is not a finite number"))
        elif _INTEGER.fullmatch(text) or _FLOAT.fullmatch(text):
            return self._number(event, text)
        return text

    def _number(self, event: Any, text: str) -> Any:
        if self.numbers_as_text:
            return text
        value = float(text) if len(text) <= _MAX_DIGITS else float("inf")
        if abs(value) == float("inf"):
            self.problems.append(self._problem(event, f"{text[:20]}… is not a number that gemx can hold"))
            return None
        return int(text) if _INTEGER.fullmatch(text) else value

    def _problem(self, event: Any, message: str) -> Problem:
        return Problem(self.path, *_place(event), message)

    def _stop(self, event: Any, message: str) -> InvalidFileError:
        return InvalidFileError([*self.problems, self._problem(event, message)])


def _place(event: Any) -> Place:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _problems(tree: Tree, model: type[BaseModel], error: ValidationError) -> list[Problem]:
    details = error.errors(include_url=False)
    schema = model.model_json_schema()
    problems = [_problem(tree, schema, detail) for detail in details[:_MOST_PROBLEMS]]
    if unsaid := len(details) - len(problems):
        problems.append(tree.problem(tuple(details[_MOST_PROBLEMS]["loc"]), f"and {unsaid} more from here on"))
    return problems


def _problem(tree: Tree, schema: dict[str, Any], detail: Any) -> Problem:
    location: Location = tuple(detail["loc"])
    if detail["type"] == "missing":
        return tree.problem(location[:-1], f"the key {location[-1]!r} is missing")
    if detail["type"] == "extra_forbidden":
        known = _fields(schema, location[:-1])
        message = f"unknown key {location[-1]!r}{suggest(str(location[-1]), known)}"
        hint = "" if "did you mean" in message else f"; expected one of: {', '.join(known)}"
        return tree.problem(location, message + hint, key=True)
    return tree.problem(location, f"{_where(location)}{_said(detail)}")


def _said(detail: Any) -> str:
    message = str(detail["msg"]).removeprefix("Value error, ")
    if detail["type"] == "value_error":
        return message
    shown = repr(detail["input"])
    return f"{message[:1].lower()}{message[1:]}, not {shown if len(shown) <= 60 else shown[:57] + '…'}"


def _where(location: Location) -> str:
    named = [str(part) for part in location if isinstance(part, str)]
    return f"{named[-1]}: " if named else ""


def _fields(schema: dict[str, Any], location: Sequence[str | int]) -> list[str]:
    """The keys that a model knows at a location, found by walking its JSON Schema."""
    node = schema
    for part in location:
        node = _step(schema, node, part)
    return sorted(_resolve(schema, node).get("properties", {}))


def _step(schema: dict[str, Any], node: dict[str, Any], part: str | int) -> dict[str, Any]:
    node = _resolve(schema, node)
    if isinstance(part, int):
        return node.get("items", {})
    return node.get("properties", {}).get(part) or node.get("additionalProperties") or {}


def _resolve(schema: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    options: list[dict[str, Any]] = node.get("anyOf", [])
    if options:
        node = next((option for option in options if option.get("type") != "null"), node)
    if "$ref" in node:
        node = schema["$defs"][node["$ref"].rsplit("/", 1)[-1]]
    return node
