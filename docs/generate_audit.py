"""Write audit.schema.json and the table of audit.md from the code; `--check` refuses what is stale."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gemx.audit import fields

FOLDER = Path(__file__).parent
PAGE = FOLDER / "audit.md"
SCHEMA = FOLDER / "audit.schema.json"


def schema_text() -> str:
    """The JSON Schema of a record as a file."""
    return json.dumps(fields.json_schema(), ensure_ascii=False, indent=2) + "\n"


def table() -> str:
    """The fields of a record, a row each."""
    rows = [f"| `{field.name}` | {_form(field.form)} | {field.said} |" for field in fields.FIELDS]
    return "\n".join(["| Field | Type | |", "|---|---|---|", *rows]) + "\n"


def _form(form: Mapping[str, Any]) -> str:
    if "const" in form:
        return f"`{form['const']}`"
    if "enum" in form:
        return ", ".join(f"`{choice}`" for choice in form["enum"])
    types = [form["type"]] if isinstance(form["type"], str) else form["type"]
    return " or ".join(types)


def page(text: str) -> str:
    """The page with its table as it is now."""
    pattern = re.compile(r"(<!-- fields -->\n).*?(<!-- /fields -->)", re.DOTALL)
    return pattern.sub(lambda match: f"{match[1]}{table()}{match[2]}", text)


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
