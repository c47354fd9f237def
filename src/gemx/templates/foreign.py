"""What is read of another tool's template, on its way to one of gemx."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gemx.templates.schema import INPUT
from gemx.templates.writing import plain, to_yaml

_INPUT_LABEL = "text on the command line, or from standard input"


@dataclass(frozen=True)
class Read:
    """Texts in Jinja2, the names of their variables with those of the tool, and what the tool had besides."""

    prompt: str
    system: str | None = None
    names: Mapping[str, str] = field(default_factory=dict[str, str])
    defaults: Mapping[str, str] = field(default_factory=dict[str, str])
    lost: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def to_file(read: Read, name: str, source: str, language: str) -> str:
    """The file of the template."""
    fields = {
        "id": name,
        "title": _title(name),
        "version": "1",
        "language": language,
        "variables": [_variable(safe, read) for safe in sorted(read.names)],
        "system": read.system,
        "prompt": read.prompt,
    }
    return to_yaml(fields, comment=plain(f"Imported by gemx from {source}"))


def _title(name: str) -> str:
    words = name.replace("_", " ").replace("-", " ").strip()
    return words[:1].upper() + words[1:]


def _variable(safe: str, read: Read) -> dict[str, str | bool | None]:
    label = _INPUT_LABEL if safe == INPUT else read.names[safe]
    default = read.defaults.get(safe)
    return {"name": safe, "label": label, "default": default or None, "required": False if default == "" else None}
