"""Read a template of `llm`, a YAML file, as the fields of a template of gemx."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

from gemx import library
from gemx.errors import InputError
from gemx.templates.foreign import Read
from gemx.templates.schema import INPUT
from gemx.templates.writing import from_pieces, variable_name

# As Python's string.Template reads it; a lone dollar sign, which llm refuses, stays what it is.
_DOLLAR = re.compile(r"\$(?:(?P<escaped>\$)|(?P<named>[_a-z][_a-z0-9]*)|\{(?P<braced>[_a-z][_a-z0-9]*)\})", re.I | re.A)
_KNOWN = (
    *("name", "prompt", "system", "defaults", "model", "options", "extract", "extract_last", "schema_object"),
    *("fragments", "system_fragments", "tools", "functions", "attachments", "attachment_types"),
)
_READ = ("name", "prompt", "system", "defaults")


def read(text: str, path: Path) -> Read:
    """A template's text. Raises InputError on what is none, and InvalidFileError on what is no YAML."""
    data = library.parse(text.encode("utf-8"), path).data
    if isinstance(data, str):
        data = {"prompt": data}
    if not isinstance(data, dict):
        raise InputError("no template of llm: neither a mapping nor a text")
    found = cast("dict[str, Any]", data)
    _check(found)
    system, prompt = found.get("system") or "", found.get("prompt") or f"${INPUT}"
    names = {name: variable_name(name) for name in (*_names(system), *_names(prompt))}
    defaults = _defaults(found.get("defaults"))
    idle = [f"the default of {name}, which stands in no text" for name in defaults if name not in names]
    lost = [_lost(key, value) for key, value in found.items() if key not in _READ and value not in (None, [], {}, "")]
    return Read(
        system=_template(system, names) if system.strip() else None,
        prompt=_template(prompt, names),
        names={safe: original for original, safe in names.items()},
        defaults={names[name]: value for name, value in defaults.items() if name in names},
        lost=(*lost, *idle),
    )


def _check(found: dict[str, Any]) -> None:
    if "gemx" in found or not any(key in _KNOWN for key in found):
        raise InputError("no template of llm: it has none of its keys")
    for key in ("system", "prompt"):
        if not isinstance(found.get(key), (str, type(None))):
            raise InputError(f"no template of llm: its {key} is no text")
    if not (found.get("system") or found.get("prompt") or "").strip():
        raise InputError("it has neither a prompt nor a system instruction")


def _defaults(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    given = cast("dict[str, Any]", value)
    return {name: _text(each) for name, each in given.items() if isinstance(each, (str, int, float))}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _lost(key: str, value: Any) -> str:
    if isinstance(value, dict):
        names = list(cast("dict[str, Any]", value))
        return f"{key} ({', '.join(names[:5])}{', …' if len(names) > 5 else ''})"
    return f"{key} ({value[:60]})" if isinstance(value, str) and "\n" not in value else key


def _names(text: str) -> list[str]:
    return [name for match in _DOLLAR.finditer(text) if (name := match["named"] or match["braced"])]


def _template(text: str, names: dict[str, str]) -> str:
    pieces: list[tuple[str, str]] = []
    kept, end = "", 0
    for match in _DOLLAR.finditer(text):
        kept, end = kept + text[end : match.start()], match.end()
        if match["escaped"]:
            kept += "$"
            continue
        pieces.append((kept, names[match["named"] or match["braced"]]))
        kept = ""
    return from_pieces([*pieces, (kept + text[end:], "")])
