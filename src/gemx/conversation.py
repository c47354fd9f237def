"""A free prompt as a request: text, files, standard input, a system instruction and a schema. Calls nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from gemx import documents, strict_json
from gemx.documents import Part, Text
from gemx.errors import ConfigError, UsageError
from gemx.gateway import Message, Origin, Request


@dataclass(frozen=True)
class Prompt:
    """What a user asks: the words, what they are about, and the schema of the answer."""

    text: str
    files: tuple[Part, ...] = ()
    system: str | None = None
    schema: Mapping[str, Any] | None = None


def request(prompt: Prompt, origin: Origin) -> Request:
    """The request for one prompt; text files are passages too, for a provider that quotes."""
    if not prompt.text.strip() and not prompt.files:
        raise UsageError("the prompt is empty", hint="gemx gen 'your question', or text on standard input")
    named = [_labelled(part) for part in prompt.files]
    parts = (*named, Text(prompt.text)) if prompt.text.strip() else tuple(named)
    passages = [
        passage
        for part in prompt.files
        if isinstance(part, Text)
        for passage in documents.passages(part.text, Path(part.name or "stdin").stem, part.name or "stdin")
    ]
    return Request(
        messages=(Message("user", parts),),
        origin=origin,
        system=prompt.system,
        schema=prompt.schema,
        passages=tuple(passages),
    )


def load_schema(path: Path) -> dict[str, Any]:
    """A JSON Schema from a file. Raises ConfigError where it is not one, or refers to what is not in it."""
    from jsonschema import SchemaError
    from jsonschema.validators import Draft202012Validator

    try:
        text = path.read_text(encoding="utf-8")
        strict_json.loads(text)
        schema = json.loads(text)
        Draft202012Validator.check_schema(schema)
    except OSError as exc:
        raise ConfigError(f"cannot read the schema {path}: {exc.strerror}") from exc
    except (ValueError, RecursionError) as exc:
        raise ConfigError(f"{path}: not JSON, or nested too deeply: {exc}") from exc
    except SchemaError as exc:
        raise ConfigError(f"{path}: not a JSON Schema: {exc.message}") from exc
    if not isinstance(schema, dict):
        raise ConfigError(f"{path}: expected a JSON Schema that is an object")
    _check_references(path, schema)  # pyright: ignore[reportUnknownArgumentType]
    return schema  # pyright: ignore[reportUnknownVariableType]


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


def _check_references(path: Path, schema: dict[str, Any]) -> None:
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
            raise ConfigError(f"{path}: the $ref {reference!r} leads nowhere in this file") from exc
        if endless:
            raise ConfigError(f"{path}: the $ref {reference!r} refers to itself without end")


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


def _labelled(part: Part) -> Part:
    """A text file keeps its name in the prompt, so that a model can tell files apart."""
    if isinstance(part, Text) and part.name:
        named = f"<document name={json.dumps(part.name, ensure_ascii=False)}>\n{part.text}\n</document>"
        return Text(named, part.name, lead=1)
    return part
