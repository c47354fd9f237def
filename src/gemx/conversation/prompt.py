"""What a user asks, as a value, and put into a template. Knows no turn before it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, Any

from gemx.documents import Part, Text
from gemx.gateway import Message

if TYPE_CHECKING:
    from gemx.templates import Template

_ELEMENT = re.compile(r"<\s*/?\s*document(-\d+)?\b", re.IGNORECASE)


@dataclass(frozen=True)
class Prompt:
    """What a user asks: the words, what they are about, and the schema of the answer."""

    text: str
    files: tuple[Part, ...] = ()
    system: str | None = None
    schema: Mapping[str, Any] | None = None

    @property
    def message(self) -> Message:
        """The words and the files as a model gets them: the files first, each under its name."""
        words = (Text(self.text),) if self.text.strip() else ()
        return Message("user", (*(_labelled(part) for part in self.files), *words))


def filled(asked: Prompt, template: Template, given: Mapping[str, str]) -> Prompt:
    """What was asked, put into a template. Raises InputError on what is unknown, missing or wrong.

    The words are the variable `input` where the template has one, else they follow its prompt. A system instruction
    that was asked for stays.
    """
    from gemx import templates

    own_system = asked.system is None
    is_input = templates.INPUT in template.used(system=own_system) and templates.INPUT not in given
    known = {**given, templates.INPUT: asked.text} if is_input and asked.text.strip() else given
    values = bound(template, known, system=own_system, waived=(templates.INPUT,) if asked.files else ())
    text = templates.render(template.prompt, values, template.language)
    if not is_input and asked.text.strip():
        text = f"{text}\n\n{asked.text}"
    if own_system and template.system:
        asked = replace(asked, system=templates.render(template.system, values, template.language))
    return replace(asked, text=text)


def bound(
    template: Template, given: Mapping[str, str], *, system: bool = True, waived: tuple[str, ...] = ()
) -> dict[str, str | int | float | bool]:
    """The values of a template's variables, numbers read as clinicians write them. Raises InputError."""
    from gemx import templates
    from gemx.clinical.numbers import parse_number

    return templates.bind(template, given, parse_number, system=system, waived=waived)


def _labelled(part: Part) -> Part:
    """A text file keeps its name in the prompt, in an element that its own text cannot end."""
    if isinstance(part, Text) and part.name:
        tag = _tag(part.text)
        named = f"<{tag} name={json.dumps(part.name, ensure_ascii=False)}>\n{part.text}\n</{tag}>"
        return Text(named, part.name, lead=1)
    return part


def _tag(text: str) -> str:
    """The name of an element that the text neither begins nor ends: document, document-2, …"""
    used = {match[1] or "" for match in _ELEMENT.finditer(text)}
    ends = ("" if number == 1 else f"-{number}" for number in count(1))
    return next(f"document{end}" for end in ends if end not in used)
