"""What a chat says of itself: its state in a line, its tokens and its cost, its turns as Markdown. Prints nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from gemx.cli import gen_thread, history_text

if TYPE_CHECKING:
    from gemx.cli.chat_session import Session
    from gemx.conversation import Thread
    from gemx.documents import Part

_SHORT = 76


def status(session: Session, columns: int) -> str:
    """The state in one line: what waits, model, turns, tokens and cost."""
    from gemx.gateway import bill

    usage = bill.usage(session.attempts)
    tokens = (usage.input_tokens or 0) + (usage.output_tokens or 0)
    waiting = [f"{len(session.files)} file{'s' * (len(session.files) > 1)}"] if session.files else []
    waiting += [f"template {session.used.named.name}"] if session.used else []
    parts = [session.route or "", turns(session), *waiting, f"{tokens} tokens", _price(session)]
    return history_text.clipped(" · ".join(parts), columns)


def turns(session: Session) -> str:
    """How many turns the conversation has."""
    return gen_thread.turns(session.thread)


def short(text: str, width: int = _SHORT) -> str:
    """The beginning of a text, on one line."""
    return history_text.clipped(text, width)


def last_turn(thread: Thread) -> Iterator[str]:
    """The last turn in short, so that a person knows where they are."""
    turn = thread.exchanges[-1]
    yield f"you: {short(turn.typed)}"
    yield f"answer: {short(turn.reply)}"


def parts(files: Sequence[Part]) -> list[str]:
    """A line each: the name and the size of what goes along."""
    from gemx.documents import Text

    return [
        f"{part.name}: {len(part.text)} characters"
        if isinstance(part, Text)
        else f"{part.name}: {part.mime_type}, {len(part.data)} bytes"
        for part in files
    ]


def template(session: Session) -> str:
    """The template that waits, and its values."""
    if session.used is None:
        return ""
    values = " ".join(f"{name}={value}" for name, value in session.used.given.items())
    return f"the next message goes into {session.used.named.name} {values}".rstrip()


def tokens(session: Session) -> str:
    """What was counted, and about how many the next message sends."""
    from gemx import gateway

    usage = gateway.bill.usage(session.attempts)
    counted = "not counted by the provider"
    if usage.input_tokens is not None or usage.output_tokens is not None:
        counted = f"{usage.input_tokens or 0} tokens in, {usage.output_tokens or 0} out"
    about = gateway.estimate_tokens(session.next_request())
    what = [turns(session), *(["the system instruction"] if session.instruction else [])]
    what += [f"{len(session.files)} files"] if session.files else []
    return f"this chat: {counted}\nnext message: about {about} tokens before its own words ({', '.join(what)})"


def cost(session: Session) -> str:
    """What the tries of this chat cost, as far as it is known."""
    from gemx.gateway import bill

    said = [f"this chat: {_price(session)} in {_counted(len(session.attempts), 'call')}"]
    if table := bill.table(session.attempts):
        said.append(f"prices {table}")
    if session.stopped:
        said.append(f"{_counted(session.stopped, 'answer')} stopped, which may be billed all the same")
    return "; ".join(said)


def markdown(thread: Thread) -> str:
    """The conversation for a person to read: every turn, under who said it."""
    pages = [f"# Conversation {thread.id}"]
    pages += [f"## System\n\n{thread.system}"] if thread.system else []
    for turn in thread.exchanges:
        pages += [f"## You\n\n{turn.prompt.message.text}", f"## Answer\n\n{turn.reply}"]
    return "\n\n".join(page.strip("\n") for page in pages) + "\n"


def _price(session: Session) -> str:
    from gemx.gateway import bill

    total, known = bill.total(session.attempts), bill.at_least(session.attempts)
    if total is not None and not session.stopped:
        return f"{bill.dollars(total)} USD"
    return f"at least {bill.dollars(known)} USD" if known else "cost not known"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"
