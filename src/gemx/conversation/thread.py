"""A conversation: its turns, where they come from, how one more is asked, and how the history keeps it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from gemx import documents, history
from gemx.conversation.prompt import Prompt
from gemx.documents import Media, Part, Passage, Text
from gemx.errors import InputError, NotFoundError, UsageError
from gemx.gateway import Message, Origin, Reply, Request
from gemx.history import Entry


@dataclass(frozen=True)
class Exchange:
    """One turn: what was asked, with its files as far as they are at hand, and what was answered.

    `number` counts the turns of its conversation from 1; None where it was kept without. `typed` is what the user
    wrote, without its template and its files.
    """

    run_id: str
    number: int | None
    prompt: Prompt
    reply: str
    typed: str


@dataclass(frozen=True)
class Thread:
    """A conversation that is continued: its turns, the model that was asked last, and what no longer goes along.

    `subject` is whom it is about, as a keyed hash: each turn sends those before, and is about the same person.
    """

    id: str
    exchanges: tuple[Exchange, ...]
    model: str | None = None
    system: str | None = None
    notes: tuple[str, ...] = ()
    subject: str | None = None

    @property
    def turns(self) -> tuple[Message, ...]:
        """The turns as a model gets them, each a message and its answer."""
        return tuple(message for each in self.exchanges for message in _messages(each))

    def shortened(self) -> Thread | None:
        """The conversation without its last turn; None where nothing is left, so that what follows begins one."""
        return replace(self, exchanges=self.exchanges[:-1], notes=()) if len(self.exchanges) > 1 else None


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
        hint = "gemx history list --command gen names those that can be continued, and so does --command chat"
        raise InputError(f"the run {entry.run_id} of gemx {entry.command} is not a turn of a conversation", hint=hint)
    return _thread(history.conversation(entry.conversation))


def typed_before(command: str, most: int) -> list[str]:
    """What the user wrote to a command lately, oldest first. Raises StorageError."""
    found = [line.run_id for line in history.latest(history.Filter(command=command, most=most))]
    return [_typed(entry) for entry in reversed(history.entries(found))] if found else []


def request(prompt: Prompt, origin: Origin, thread: Thread | None = None) -> Request:
    """The request for one prompt, after the turns of a thread; text files are passages too, for one that quotes."""
    if not prompt.text.strip() and not prompt.files:
        raise UsageError("the prompt is empty", hint="gemx gen 'your question', or text on standard input")
    before = thread.exchanges if thread else ()
    passages = [passage for each in (*(turn.prompt for turn in before), prompt) for passage in _passages(each.files)]
    return Request(
        messages=(*(thread.turns if thread else ()), prompt.message),
        origin=origin,
        system=prompt.system,
        schema=prompt.schema,
        passages=tuple(dict.fromkeys(passages)),
    )


def extended(
    thread: Thread | None, request: Request, prompt: Prompt, reply: Reply, *, typed: str, model: str | None = None
) -> Thread:
    """The conversation with one more turn; `model` is the one to ask next, where it is not the one that answered."""
    run_id = request.origin.run_id
    turn = Exchange(run_id, _number(thread), prompt, reply.text, typed)
    before = thread.exchanges if thread else ()
    id, subject = thread.id if thread else run_id, request.origin.subject
    return Thread(id, (*before, turn), model or reply.route, request.system, subject=subject)


def entry(
    request: Request,
    reply: Reply,
    data: Mapping[str, Any],
    thread: Thread | None = None,
    *,
    typed: str | None = None,
) -> Entry:
    """A turn as the history keeps it: what was asked and answered, and the names of the files, once each.

    `typed` is what the user wrote, for a command that offers it again.
    """
    asked, run_id = request.messages[-1], request.origin.run_id
    own = None if typed is None or typed == asked.text else typed
    about: dict[str, Any] = {"turn": _number(thread), "typed": own, **_named(asked.parts)}
    if request.schema is not None:
        about["schema"] = request.schema
    return Entry(
        run_id=run_id,
        command=request.origin.command,
        conversation=thread.id if thread else run_id,
        subject=request.origin.subject,
        model=reply.route,
        prompt=asked.text,
        system=request.system,
        reply=reply.text,
        data={**data, "text": None, "value": None, **about},
    )


def _thread(entries: Sequence[Entry]) -> Thread:
    latest = entries[-1]
    notes = [f"{name} of an earlier turn is not kept, and not sent again" for name in _media(entries)]
    return Thread(
        id=latest.conversation or latest.run_id,
        exchanges=tuple(map(_exchange, entries)),
        # Not the one that took over where it failed: that it may be asked was said of that turn alone.
        model=latest.data.get("in_place_of") or latest.model,
        system=latest.system,
        notes=(*_gaps(entries), *notes),
        subject=latest.subject,
    )


def _gaps(entries: Sequence[Entry]) -> Iterator[str]:
    """What is no longer there of the turns before the last one."""
    if entries[0].run_id != entries[0].conversation:
        yield "its beginning is no longer kept, and not sent"
    numbers = [number for each in entries if (number := each.data.get("turn")) is not None]
    for before, after in pairwise(numbers):
        if after > before + 1:
            gone = f"its turn {before + 1} is" if after == before + 2 else f"its turns {before + 1} to {after - 1} are"
            yield f"{gone} no longer kept, and not sent"


def _exchange(entry: Entry) -> Exchange:
    missing = tuple(Text(f"[{name}: not kept]") for name in _media([entry]))
    asked = Prompt(entry.prompt or "", missing, entry.system)
    return Exchange(entry.run_id, entry.data.get("turn"), asked, entry.reply, _typed(entry))


def _typed(entry: Entry) -> str:
    return entry.data.get("typed") or entry.prompt or ""


def _messages(turn: Exchange) -> tuple[Message, Message]:
    return turn.prompt.message, Message("assistant", (Text(turn.reply),))


def _number(thread: Thread | None) -> int:
    """The number of the turn that follows; of turns that were kept without, their count tells it."""
    if thread is None:
        return 1
    return (thread.exchanges[-1].number or len(thread.exchanges)) + 1


def _passages(files: Sequence[Part]) -> Iterator[Passage]:
    for part in files:
        # One without a name is what an earlier turn no longer has.
        if isinstance(part, Text) and part.name:
            yield from documents.passages(part.text, Path(part.name).stem, part.name)


def _named(parts: Sequence[Part]) -> dict[str, list[str]]:
    """The names of the files, and of those whose contents are not kept."""
    media = [part.name or part.mime_type for part in parts if isinstance(part, Media)]
    return {"files": [part.name for part in parts if part.name], "media": media}


def _media(entries: Sequence[Entry]) -> list[str]:
    return [name for entry in entries for name in entry.data.get("media", ())]
