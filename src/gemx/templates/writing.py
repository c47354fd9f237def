"""Write a template as YAML that a person reads, and foreign text as a template's text. Knows no files."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from gemx.sanitize import printable
from gemx.templates.schema import RESERVED

# A run of braces that Jinja could take for the beginning of something, alone or with the character after it.
_BRACES = re.compile(r"\{[{%#]+|\{$")
_BREAKS = re.compile("\r\n|[\r\x85\u2028\u2029]")
_NOT_YAML = re.compile("[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PLAIN_BLOCK = re.compile(r"[^\n]*\S[^\n]*(?:\n[^\n]*)*")


def literal(text: str) -> str:
    """The text as a template that renders to it, whatever braces it holds."""
    return _BRACES.sub(lambda match: "{{ '" + match[0] + "' }}", text)


def from_pieces(pieces: Sequence[tuple[str, str]]) -> str:
    """A template from (literal text, name of the variable after it); the last name may be empty."""
    return "".join(literal(text) + (f"{{{{ {name} }}}}" if name else "") for text, name in pieces)


def variable_name(name: str) -> str:
    """A name of another tool as one that a template can have."""
    safe = re.sub(r"\W", "_", name, flags=re.ASCII)[:60]
    safe = f"v_{safe}" if not safe or safe[0].isdigit() else safe
    return f"{safe}_" if safe.lower() in RESERVED else safe


def plain(text: str) -> str:
    """The text without what a YAML file may not hold."""
    return _NOT_YAML.sub("", printable(_BREAKS.sub("\n", text)))


def to_yaml(fields: Mapping[str, Any], comment: str = "") -> str:
    """The file of a template with these fields, in their order; those that are None or empty are left out."""
    lines = [f"# {' '.join(comment.split())}"] if comment else []
    lines.append("gemx: template/v1")
    for key, value in fields.items():
        if value not in (None, "", [], {}):
            lines += _entry(key, value)
    return "\n".join(lines) + "\n"


def _entry(key: str, value: Any) -> list[str]:
    if isinstance(value, list):
        items = cast("list[Mapping[str, Any]]", value)
        return [f"{key}:", *(line for item in items for line in _item(item))]
    if isinstance(value, Mapping):
        inner = cast("Mapping[str, Any]", value)
        return [f"{key}:", *(f"  {name}: {_scalar(item)}" for name, item in inner.items())]
    if isinstance(value, str) and "\n" in value and _PLAIN_BLOCK.fullmatch(value):
        return _block(key, value)
    return [f"{key}: {_scalar(value)}"]


def _item(fields: Mapping[str, Any]) -> list[str]:
    given = {key: value for key, value in fields.items() if value not in (None, [])}
    lines = [f"    {key}: {_scalar(value)}" for key, value in given.items()]
    return [f"  - {lines[0].lstrip()}", *lines[1:]]


def _block(key: str, text: str) -> list[str]:
    """A block scalar; the number keeps the first line's own indent, and the sign the lines that end the text."""
    ending = "" if text.endswith("\n") and not text.endswith("\n\n") else ("+" if text.endswith("\n") else "-")
    body = text[:-1] if text.endswith("\n") else text
    return [f"{key}: |2{ending}", *(f"  {line}" if line else "" for line in body.split("\n"))]


def _scalar(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_scalar(item) for item in cast('list[Any]', value))}]"
    # A JSON string is a YAML one, and no quotes are needed only where nothing could be taken for something else.
    if isinstance(value, str) and re.fullmatch(r"[A-Za-zÀ-ÿ][A-Za-zÀ-ÿ0-9_]*(?: [A-Za-zÀ-ÿ0-9_]+)*", value):
        return value if value.lower() not in ("true", "false", "null") else json.dumps(value)
    return json.dumps(value, ensure_ascii=False)
