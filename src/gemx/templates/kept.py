"""A call as a template of its own: what was asked becomes text, what was given becomes a default. Knows no files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gemx.templates import sandbox
from gemx.templates.schema import INPUT, Template, Variable
from gemx.templates.writing import literal, plain, to_yaml

_NUMBER = re.compile(r"-?\d{1,9}(\.\d{1,9})?")

Value = str | int | float | bool


def kept(
    name: str,
    base: Template | None,
    values: Mapping[str, Value],
    *,
    prompt: str | None,
    system: str | None,
    model: str | None,
    options: Mapping[str, str],
) -> str:
    """The file of a call: `prompt` and `system` are as they were typed, `values` those given to the base's variables.

    What came as the base's input, from stdin or from files is not kept: where no words are left, `input` asks for them.
    """
    texts = _prompt(base, prompt), _system(base, system)
    used = frozenset(each for text in texts for each in sandbox.variables(text or ""))
    variables = [_declared(each, values) for each in (base.takes if base else _asks_input()) if each.name in used]
    fields = {
        "id": name,
        "title": base.title if base else name,
        "version": "1",
        "language": base.language if base else None,
        "persona": base.persona if base else None,
        "model": plain(model) if model else None,  # the base's is its own: it was perhaps not allowed here
        "options": {**(base.options if base else {}), **{key: _number(value) for key, value in options.items()}},
        "variables": variables,
        "system": texts[1],
        "prompt": texts[0],
    }
    return to_yaml(fields, comment=f"Kept by gemx gen --save {name}")


def _prompt(base: Template | None, typed: str | None) -> str:
    if base is None:
        return literal(plain(typed)) if typed and typed.strip() else f"{{{{ {INPUT} }}}}"
    if typed and typed.strip() and INPUT not in base.used():
        return f"{base.prompt.rstrip()}\n\n{literal(plain(typed))}"
    return base.prompt


def _system(base: Template | None, typed: str | None) -> str | None:
    return literal(plain(typed)) if typed is not None else (base.system if base else None)


def _asks_input() -> tuple[Variable, ...]:
    return (Variable(name=INPUT, label="text on the command line, or from standard input"),)


def _declared(variable: Variable, values: Mapping[str, Value]) -> dict[str, Any]:
    given = values.get(variable.name) if variable.name != INPUT else None
    default = variable.default if given in (None, "") else given
    return {
        "name": variable.name,
        "label": variable.label,
        "type": variable.type if variable.type != "text" else None,
        "choices": variable.choices,
        "default": plain(default) if isinstance(default, str) else default,
        "required": None if default is not None or variable.needed else False,
    }


def _number(text: str) -> str | float:
    if not _NUMBER.fullmatch(text):
        return plain(text)
    return float(text) if "." in text else int(text)
