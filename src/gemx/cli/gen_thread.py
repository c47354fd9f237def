"""What `gen -c` and `--cid` bring along from the conversation that they continue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gemx.cli import output
from gemx.errors import UsageError

if TYPE_CHECKING:
    from gemx.conversation import Thread
    from gemx.settings import Setting, Settings


def continued(cid: str | None, *, last: bool) -> Thread | None:
    """The conversation that is continued, if any, and what is to be said of it."""
    from gemx import conversation

    if not last and cid is None:
        return None
    if last and cid is not None:
        raise UsageError("-c continues the last conversation, and --cid another: choose one")
    thread = conversation.last("gen") if cid is None else conversation.earlier(cid)
    turns = len(thread.turns) // 2
    output.note(f"conversation: {thread.id}, {turns} {'turn' if turns == 1 else 'turns'} before this one")
    for note in thread.notes:
        output.note(f"conversation: {note}")
    return thread


def system(resolved: Settings, flag: str | None, thread: Thread | None) -> str | None:
    """The system instruction: in a conversation its own, where the flag says no other."""
    return thread.system if thread and flag is None else resolved.instruction(flag)


def own_model(thread: Thread | None) -> Setting | None:
    """The model that the conversation was held with, for where the command names none."""
    from gemx.settings import Setting

    return Setting(thread.model, "the conversation") if thread and thread.model else None
