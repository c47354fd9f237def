"""A free prompt as a request: text, files, standard input, a system instruction, a schema, and the turns before it.

Calls nothing. Knows the history as where earlier turns come from, and makes the entry of a new one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gemx import documents, history, templates
from gemx.clinical.numbers import parse_number
from gemx.documents import Media, Part, Text
from gemx.errors import InputError, NotFoundError, UsageError
from gemx.gateway import Message, Origin, Reply, Request
from gemx.history import Entry
from gemx.templates import Template


@dataclass(frozen=True)
class Prompt:
    """What a user asks: the words, what they are about, and the schema of the answer."""

    text: str
    files: tuple[Part, ...] = ()
    system: str | None = None
    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Thread:
    """A conversation that is continued: its turns, the model that was asked last, and what no longer goes along."""

    id: str
    turns: tuple[Message, ...]
    model: str | None = None
    system: str | None = None
    notes: tuple[str, ...] = ()


def last(command: str) -> Thread:
    """The conversation that a command had last. Raises NotFoundError where none is kept, StorageError."""
    entries = history.last_conversation(command)
    if not entries:
        hint = "a turn is kept for history.keep days, without --no-history, until it is removed"
        raise NotFoundError(f"no conversation of gemx {command} is kept, so none can be continued", hint=hint)
    return _thread(entries)


def earlier(run_id: str) -> Thread:
    """The conversation of a run, or of a beginning that only one has. Raises NotFoundError, InputError."""
    entry = history.get(run_id)
    if entry.conversation is None:
        hint = "gemx history list --command gen names those that can be continued"
        raise InputError(f"the run {entry.run_id} of gemx {entry.command} is not a turn of a conversation", hint=hint)
    return _thread(history.conversation(entry.conversation))


def entry(request: Request, reply: Reply, data: Mapping[str, Any], thread: Thread | None = None) -> Entry:
    """A turn as the history keeps it: what was asked and answered, and the names of the files, once each."""
    asked, run_id = request.messages[-1], request.origin.run_id
    return Entry(
        run_id=run_id,
        command=request.origin.command,
        conversation=thread.id if thread else run_id,
        model=reply.route,
        prompt=asked.text,
        system=request.system,
        reply=reply.text,
        data={**data, "text": None, "value": None, **_named(asked.parts)},
    )


def filled(asked: Prompt, template: Template, given: Mapping[str, str]) -> Prompt:
    """What was asked, put into a template. Raises InputError on what is unknown, missing or wrong.

    The words are the variable `input` where the template has one, else they follow its prompt. A system instruction
    that was asked for stays.
    """
    own_system = asked.system is None
    is_input = templates.INPUT in template.used(system=own_system) and templates.INPUT not in given
    known = {**given, templates.INPUT: asked.text} if is_input and asked.text.strip() else given
    values = bound(template, known, system=own_system, waived=(templates.INPUT,) if asked.files else ())
    text = templates.render(template.prompt, values)
    if not is_input and asked.text.strip():
        text = f"{text}\n\n{asked.text}"
    system = templates.render(template.system, values) if own_system and template.system else asked.system
    return replace(asked, text=text, system=system)


def bound(
    template: Template, given: Mapping[str, str], *, system: bool = True, waived: tuple[str, ...] = ()
) -> dict[str, str | int | float | bool]:
    """The values of a template's variables, numbers read as clinicians write them. Raises InputError."""
    return templates.bind(template, given, parse_number, system=system, waived=waived)


_FENCE = re.compile(
    r"^(?P<indent> {0,3})(?P<fence>`{3,}|~{3,})[^`\n]*\n(?P<code>.*?)(?:^ {0,3}(?P=fence)[`~]*[ \t]*$|\Z)",
    re.MULTILINE | re.DOTALL,
)


def code_block(text: str) -> str | None:
    """The inside of the first fenced code block of an answer; one that is not closed goes on to the end."""
    match = _FENCE.search(text.replace("\r\n", "\n"))
    if match is None:
        return None
    indent = len(match["indent"])
    return re.sub(rf"(?m)^ {{1,{indent}}}", "", match["code"]) if indent else match["code"]


def _thread(entries: Sequence[Entry]) -> Thread:
    latest, first = entries[-1], entries[0]
    notes = [f"{name} of an earlier turn is not kept, and not sent again" for name in _media(entries)]
    if first.run_id != first.conversation:
        notes.insert(0, "its beginning is no longer kept, and not sent")
    return Thread(
        id=latest.conversation or latest.run_id,
        turns=tuple(message for each in entries for message in _turn(each)),
        # Not the one that took over where it failed: that it may be asked was said of that turn alone.
        model=latest.data.get("in_place_of") or latest.model,
        system=latest.system,
        notes=tuple(notes),
    )


def _turn(entry: Entry) -> tuple[Message, Message]:
    parts = [Text(f"[{name}: not kept]") for name in _media([entry])]
    parts += [Text(entry.prompt)] if entry.prompt else []
    return Message("user", tuple(parts)), Message("assistant", (Text(entry.reply),))


def _named(parts: Sequence[Part]) -> dict[str, list[str]]:
    """The names of the files, and of those whose contents are not kept."""
    media = [part.name or part.mime_type for part in parts if isinstance(part, Media)]
    return {"files": [part.name for part in parts if part.name], "media": media}


def _media(entries: Sequence[Entry]) -> list[str]:
    return [name for entry in entries for name in entry.data.get("media", ())]


def request(prompt: Prompt, origin: Origin, thread: Thread | None = None) -> Request:
    """The request for one prompt, after the turns of a thread; text files are passages too, for one that quotes."""
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
        messages=(*(thread.turns if thread else ()), Message("user", parts)),
        origin=origin,
        system=prompt.system,
        schema=prompt.schema,
        passages=tuple(passages),
    )


def _labelled(part: Part) -> Part:
    """A text file keeps its name in the prompt, so that a model can tell files apart."""
    if isinstance(part, Text) and part.name:
        named = f"<document name={json.dumps(part.name, ensure_ascii=False)}>\n{part.text}\n</document>"
        return Text(named, part.name, lead=1)
    return part
