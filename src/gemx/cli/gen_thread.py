"""What `-c` and `--cid` of gen and chat bring along from the conversation that they continue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gemx.cli import options, output
from gemx.errors import UsageError

if TYPE_CHECKING:
    from gemx.conversation import Thread
    from gemx.settings import Setting, Settings


def continued(command: str, cid: str | None, *, last: bool) -> Thread | None:
    """The conversation that a command continues, if any; what is to be said of it is said."""
    from gemx import conversation

    if not last and cid is None:
        return None
    if last and cid is not None:
        raise UsageError("-c continues the last conversation, and --cid another: choose one")
    thread = conversation.last(command) if cid is None else conversation.earlier(cid)
    output.note(f"conversation: {thread.id}, {turns(thread)} before this one")
    for note in thread.notes:
        output.note(f"conversation: {note}")
    return thread


def turns(thread: Thread | None) -> str:
    """How many turns a conversation has, in words."""
    count = len(thread.exchanges) if thread else 0
    return "1 turn" if count == 1 else f"{count} turns"


def system(resolved: Settings, flag: str | None, thread: Thread | None) -> str | None:
    """The system instruction: in a conversation its own, where the flag says no other."""
    return thread.system if thread and flag is None else resolved.instruction(flag)


def subject(given: str | None, thread: Thread | None) -> str | None:
    """Whom it is about, as a keyed hash: the flag's, else that of the conversation, whose turns go along."""
    return options.subject(given) or (thread.subject if thread else None)


def own_model(thread: Thread | None) -> Setting | None:
    """The model that the conversation was held with, for where the command names none."""
    from gemx.settings import Setting

    return Setting(thread.model, "the conversation") if thread and thread.model else None
