"""Read a pattern of fabric, a folder with `system.md` and perhaps `user.md`, as the fields of a template."""

from __future__ import annotations

import re

from gemx.templates.foreign import Read
from gemx.templates.schema import INPUT
from gemx.templates.writing import from_pieces, variable_name

_VARIABLE = re.compile(r"\{\{\s*([A-Za-z_][\w-]{0,60})\s*\}\}", re.ASCII)
_OTHER = re.compile(r"\{\{\s*(plugin|ext)\s*:[^{}]{0,200}\}\}")


def read(system: str, user: str) -> Read:
    """A pattern's two texts as a template: `{{input}}` is where the text goes, else it goes to the end.

    A pattern that places its input in the system instruction becomes a prompt without one: there the text of a patient
    does not belong.
    """
    has_input = any(match[1] == INPUT for match in _VARIABLE.finditer(system))
    parts = (system, user) if has_input else (user,)
    prompt = "\n\n".join(part.strip("\n") for part in parts if part.strip())
    if not any(match[1] == INPUT for match in _VARIABLE.finditer(prompt)):
        prompt = f"{prompt}\n\n{{{{input}}}}" if prompt else "{{input}}"
    names = {match[1]: variable_name(match[1]) for match in _VARIABLE.finditer(f"{system}\n{prompt}")}
    notes = ["its system.md holds {{input}}, and became the prompt"] if has_input else []
    notes += [f"{match[0]} is kept as plain text" for match in _OTHER.finditer(f"{system}\n{user}")]
    return Read(
        system=None if has_input else _template(system, names),
        prompt=_template(prompt, names),
        names={safe: original for original, safe in names.items()},
        notes=tuple(dict.fromkeys(notes)),
    )


def _template(text: str, names: dict[str, str]) -> str:
    # re.split gives texts and names in turn, a text first and last.
    pieces = [*_VARIABLE.split(text), ""]
    return from_pieces([(pieces[n], names.get(pieces[n + 1], "")) for n in range(0, len(pieces), 2)])
