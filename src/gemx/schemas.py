"""The schema of an answer: a JSON Schema from a file, or llm's short form of one, and the check of an answer by it.

Opens no connection: a schema refers to nothing outside itself.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from gemx import strict_json
from gemx.errors import ConfigError, UsageError

_TYPES = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
_EXAMPLE = "name, age int, bio: one sentence"
_HINT = f"give the path of a JSON Schema, or fields with a type (str, int, float, bool): '{_EXAMPLE}'"


def load(given: str) -> dict[str, Any]:
    """A JSON Schema from the path of a file, or from llm's short form where no such file is.

    Raises ConfigError where the file is none, or refers to what is not in it; UsageError where the form is wrong.
    """
    path = Path(given)
    if given.strip() and _exists(path):
        return _read(path)
    if not re.search(r"[\s,:]", given.strip()):
        # One word is a file that is missing more often than a field.
        raise ConfigError(f"--schema {given!r}: no such file, and not fields in the short form", hint=_HINT)
    return _object(given)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _object(given: str) -> dict[str, Any]:
    """An object of which every field is required; a description with commas needs a line for each field."""
    text = given.strip()
    fields = [line.rstrip(", ") for line in text.splitlines()] if "\n" in text else text.split(",")
    properties: dict[str, Any] = {}
    for field in fields:
        if not field.strip():
            continue
        name, described = _field(field)
        if name in properties:
            raise UsageError(f"--schema: the field {name!r} is given twice")
        properties[name] = described
    if not properties:
        raise UsageError(f"--schema {given!r}: no file, and no field", hint=_HINT)
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _field(field: str) -> tuple[str, dict[str, str]]:
    declared, _, description = field.partition(":")
    name, kind, *more = [*unicodedata.normalize("NFC", declared).split(), "", ""]
    if any(more) or not re.fullmatch(r"\w+", name):
        raise UsageError(f"--schema: no such file, and {field.strip()!r} is not `name type: description`", hint=_HINT)
    if kind not in ("", *_TYPES):
        raise UsageError(f"--schema: no such file, and {name!r} has the unknown type {kind!r}", hint=_HINT)
    described = {"type": _TYPES[kind or "str"]}
    return name, {**described, "description": description.strip()} if description.strip() else described


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        strict_json.loads(text)
        schema = json.loads(text)
    except OSError as exc:
        raise ConfigError(f"cannot read the schema {path}: {exc.strerror}") from exc
    except (ValueError, RecursionError) as exc:
        raise ConfigError(f"{path}: not JSON, or nested too deeply: {exc}") from exc
    return checked(schema, str(path))


def checked(schema: object, shown: str) -> dict[str, Any]:
    """A JSON Schema that is an object and refers to nothing outside itself; messages call it `shown`.

    Raises ConfigError.
    """
    from jsonschema import SchemaError
    from jsonschema.validators import Draft202012Validator

    try:
        Draft202012Validator.check_schema(schema)  # pyright: ignore[reportArgumentType]
    except SchemaError as exc:
        raise ConfigError(f"{shown}: not a JSON Schema: {exc.message}") from exc
    except RecursionError as exc:
        raise ConfigError(f"{shown}: nested too deeply") from exc
    if not isinstance(schema, dict):
        raise ConfigError(f"{shown}: expected a JSON Schema that is an object")
    found = cast("dict[str, Any]", schema)
    _check_references(shown, found)
    return found


def validator(schema: Mapping[str, Any]) -> Any:
    """A function from text to (value, problems) for `gateway.structured`."""
    checks = _checks(schema)

    def validate(text: str) -> tuple[Any, Sequence[object]]:
        try:
            strict_json.loads(text)
        except ValueError as exc:
            return None, [f"not JSON: {exc}"]
        # Schemas hold floats: a Decimal would not equal the same number in them.
        value = json.loads(text)
        errors = sorted(checks.iter_errors(value), key=lambda error: error.json_path)
        return value, [f"{error.json_path}: {error.message}" for error in errors]

    return validate


def _checks(schema: Mapping[str, Any]) -> Any:
    from jsonschema.validators import Draft202012Validator
    from referencing import Registry

    # An empty registry fetches nothing: a schema must not open a connection that the door does not see.
    return Draft202012Validator(schema, registry=Registry())


def _check_references(shown: str, schema: dict[str, Any]) -> None:
    from referencing import Registry, Resource
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    resource: Any = Resource(contents=schema, specification=DRAFT202012)
    empty: Any = Registry
    resolver: Any = empty().with_resource("", resource).resolver()
    for reference in _references(schema):
        try:
            endless = _is_endless(resolver, {"$ref": reference}, ())
        except (Unresolvable, ValueError) as exc:
            raise ConfigError(f"{shown}: the $ref {reference!r} leads nowhere in this file") from exc
        if endless:
            raise ConfigError(f"{shown}: the $ref {reference!r} refers to itself without end")


def _is_endless(resolver: Any, node: Any, followed: tuple[str, ...]) -> bool:
    """Whether a schema leads to itself on the same value, so that no validation of it would ever end."""
    if not isinstance(node, dict):
        return False
    schema = cast("dict[str, Any]", node)
    reference = schema.get("$ref")
    if reference in followed:
        return True
    nested = [schema.get(key) for key in ("not", "if", "then", "else")]
    nested += [item for key in ("allOf", "anyOf", "oneOf") for item in schema.get(key, [])]
    if any(_is_endless(resolver, item, followed) for item in nested):
        return True
    if not isinstance(reference, str):
        return False
    return _is_endless(resolver, resolver.lookup(reference).contents, (*followed, reference))


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():  # pyright: ignore[reportUnknownVariableType]
            if key in ("$ref", "$dynamicRef") and isinstance(value, str):
                yield value
            else:
                yield from _references(value)
    elif isinstance(node, list):
        for item in node:  # pyright: ignore[reportUnknownVariableType]
            yield from _references(item)
