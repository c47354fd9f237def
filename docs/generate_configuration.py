"""Write config.schema.json and the tables of configuration.md from the code; `--check` refuses what is stale."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gemx import configuration, settings

FOLDER = Path(__file__).parent
PAGE = FOLDER / "configuration.md"
SCHEMA = FOLDER / "config.schema.json"
_LIMITS = (("minimum", "from {}"), ("exclusiveMinimum", "above {}"), ("maximum", "to {}"))


def schema_text() -> str:
    """The JSON Schema of config.json as a file."""
    return json.dumps(configuration.json_schema(), ensure_ascii=False, indent=2) + "\n"


def table(schema: dict[str, Any], defaults: Mapping[str, Any]) -> str:
    """The keys of a schema, a row each, with what they take; `defaults` are those that the schema leaves open."""
    found = ((key, *_described(field, inner, defaults.get(key))) for key, field, inner in _rows(schema, schema, ""))
    rows = [f"| `{key}` | {form} | {default} | {said} |" for key, form, default, said in found]
    return "\n".join(["| Key | Takes | Default | |", "|---|---|---|---|", *rows]) + "\n"


def _rows(
    schema: dict[str, Any], node: dict[str, Any], above: str
) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    for name, field in node["properties"].items():
        inner = _resolved(schema, field)
        if "properties" in inner:
            yield from _rows(schema, inner, f"{above}{name}.")
        elif isinstance(inner.get("additionalProperties"), dict) and "$ref" in inner["additionalProperties"]:
            for own in inner.get("propertyNames", {}).get("enum", ["NAME"]):
                yield from _rows(schema, _resolved(schema, inner["additionalProperties"]), f"{above}{name}.{own}.")
        elif (above, name) not in {("", "version"), ("", "gemx")}:
            yield f"{above}{name}", field, inner


def _described(field: dict[str, Any], inner: dict[str, Any], open_default: Any) -> tuple[str, str, str]:
    default = field.get("default")
    default = open_default if default is None else default
    shown = "" if default in (None, {}) else f"`{json.dumps(default)}`"
    return _form(inner), shown, field.get("description", "")


def _resolved(schema: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    options = [option for option in node.get("anyOf", []) if option.get("type") != "null"]
    if options:
        node = options[0]
    return schema["$defs"][node["$ref"].rsplit("/", 1)[-1]] if "$ref" in node else node


def _form(node: dict[str, Any]) -> str:
    if "enum" in node:
        return ", ".join(f"`{choice}`" for choice in node["enum"])
    bounds = " ".join(
        said.format(f"{node[key]:,g}" if node[key] < 1 else f"{node[key]:,.0f}") for key, said in _LIMITS if key in node
    )
    kinds = {
        "integer": "whole number",
        "array": "list",
        "boolean": "true or false",
        "string": "text",
        "object": "object",
    }
    return f"{kinds.get(node['type'], node['type'])} {bounds}".strip()


def page(text: str) -> str:
    """The page with its tables as they are now."""
    tables = {
        # A profile that says nothing leaves it to config.json, whose defaults these are.
        "settings": table(configuration.json_schema(), settings.DEFAULTS),
        "profile": table(settings.Profile.model_json_schema(), {}),
    }
    for name, rows in tables.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        text = pattern.sub(lambda match, rows=rows: f"{match[1]}{rows}{match[2]}", text)
    return text


def main(arguments: list[str]) -> int:
    """Write both files, or say whether they are up to date."""
    wanted = {PAGE: page(PAGE.read_text(encoding="utf-8")), SCHEMA: schema_text()}
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if "--check" not in arguments:
        for path in stale:
            path.write_text(wanted[path], encoding="utf-8")
        return 0
    for path in stale:
        print(f"{path.name} is stale: run python docs/{Path(__file__).name}", file=sys.stderr)
    return int(bool(stale))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
