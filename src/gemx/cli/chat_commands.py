"""The slash commands of a chat: each by its whole name, so that no new one changes what a beginning means."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from gemx.cli import attached, chat_text, chat_turn, door, gen_template, output
from gemx.errors import StorageError, UsageError

if TYPE_CHECKING:
    from gemx.cli.chat_session import Session

_CLEAR = "-"


@dataclass(frozen=True)
class Command:
    """A command: how it is written, what it does in a few words, and the function that does it."""

    usage: str
    help: str
    run: Callable[[Session, str], None]


def run(session: Session, line: str) -> None:
    """Run a line that begins with a slash. Raises UsageError on an unknown command, EOFError to leave."""
    name, rest = [*line[1:].split(maxsplit=1), "", ""][:2]
    command = COMMANDS.get(name)
    if command is None:
        from gemx.library import suggest

        hint = f"/help lists them; to send the line as it is, write /{line.splitlines()[0]}"
        raise UsageError(f"no command /{name}{suggest(name, COMMANDS)}", hint=hint)
    if rest and command.usage == f"/{name}":
        raise UsageError(f"/{name} takes nothing, not {rest!r}")
    command.run(session, rest)


def _model(session: Session, name: str) -> None:
    if name:
        session.switch(name)
    policy = session.next_policy()
    session.route = str(policy.route)
    for note in policy.route.notes:
        output.result(f"({note})")
    output.result(f"{policy.route} ({policy.route.reason})")


def _system(session: Session, text: str) -> None:
    if text:
        session.instruct(None if text == _CLEAR else text)
    output.result(session.instruction or "(no system instruction)")


def _file(session: Session, given: str) -> None:
    if given == _CLEAR:
        session.files.clear()
    elif given:
        fetch = partial(attached.fetched, session.settings, session.network, session.flags.timeout)
        with door.alarmed(session.seconds):
            session.files += [attached.read(name, fetch) for name in _names(given)]
    output.result("\n".join(chat_text.parts(session.files)) or "(no file waits for the next message)")


def _names(given: str) -> Sequence[str]:
    """The names of files in a line, as a shell would part them; one that is a file as a whole is one."""
    from gemx import places

    if places.is_file(places.user_path(given)):
        return [given]
    names = _words(given)
    if "-" in names:
        raise UsageError("a chat has no standard input to read", hint="/file - alone lets go of the files")
    return names


def _template(session: Session, given: str) -> None:
    if given == _CLEAR:
        session.used = None
    elif given:
        name, *values = _words(given)
        if used := gen_template.used(name, values):
            session.take(used)
    output.result(chat_text.template(session) or "(no template waits for the next message)")


def _save(session: Session, name: str) -> None:
    import os

    from gemx import places

    if not name:
        raise UsageError("/save needs the name of a file", hint="for example /save conversa.md")
    if session.thread is None:
        raise UsageError("there is nothing to save: the conversation has no turn yet")
    path = places.user_path(name)
    if os.path.lexists(path):
        raise StorageError(f"{name} is there already, and is not replaced", hint="give another name")
    output.write_file(path, chat_text.markdown(session.thread))
    output.result(f"saved: {path} ({chat_text.turns(session)})")


def _undo(session: Session, _: str) -> None:
    turn, failures = session.undo()
    for failure in failures:
        output.error(failure)
    output.result(f"taken out: {chat_text.short(turn.typed, 60)} ({chat_text.turns(session)} left)")


def _retry(session: Session, _: str) -> None:
    chat_turn.retry(session)


def _tokens(session: Session, _: str) -> None:
    output.result(chat_text.tokens(session))


def _cost(session: Session, _: str) -> None:
    output.result(chat_text.cost(session))


def _help(session: Session, _: str) -> None:
    width = max(len(command.usage) for command in COMMANDS.values())
    lines = [f"{command.usage:<{width}}  {command.help}" for command in COMMANDS.values()]
    output.result("\n".join([*lines, "", *_KEYS]))


def _exit(session: Session, _: str) -> None:
    raise EOFError


def _words(given: str) -> list[str]:
    import shlex

    try:
        return shlex.split(given)
    except ValueError as exc:
        raise UsageError(f"a quotation mark is not closed: {given}", hint="put a backslash before it") from exc


_KEYS = (
    "Enter sends; Alt-Enter or Ctrl-J begins a new line; Tab completes; Up, Down and",
    "Ctrl-R find earlier messages. Ctrl-C stops an answer or clears the line. A",
    "message that begins with a slash is written with two: //etc/hosts is what?",
)
COMMANDS: dict[str, Command] = {
    "model": Command("/model [NAME]", "show the model and why it is asked, or ask another", _model),
    "system": Command("/system [TEXT|-]", "show, set or drop the system instruction", _system),
    "file": Command("/file [PATH|URL...|-]", "list, add or drop files of the next message", _file),
    "template": Command("/template [NAME K=V...|-]", "put the next message into a template", _template),
    "save": Command("/save FILE", "write the conversation as Markdown (mode 0600)", _save),
    "undo": Command("/undo", "take the last turn out, of the history too", _undo),
    "retry": Command("/retry", "ask the last message again", _retry),
    "tokens": Command("/tokens", "of this chat, and of the next message", _tokens),
    "cost": Command("/cost", "what this chat has cost", _cost),
    "help": Command("/help", "this list", _help),
    "exit": Command("/exit", "leave, as Ctrl-D does", _exit),
}
