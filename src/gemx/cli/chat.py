"""`gemx chat`: a conversation on a terminal."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from gemx.cli import (
    attached,
    chat_commands,
    chat_session,
    chat_text,
    chat_turn,
    completion,
    door,
    gen_template,
    gen_thread,
    options,
    output,
)
from gemx.errors import GemxError, StoppedError, UsageError

if TYPE_CHECKING:
    from gemx.cli.chat_input import Line
    from gemx.cli.chat_plain import PlainLine
    from gemx.cli.chat_session import Session

_EARLIER = 100
_UNANSWERED = "stopped: the conversation goes on without this message; /retry asks it again"


def chat(
    model: options.Model = None,
    system: Annotated[str | None, typer.Option("-s", "--system", metavar="TEXT", help="A system instruction.")] = None,
    file: Annotated[
        list[str] | None,
        typer.Option("-f", "--file", metavar="FILE", help="A file or URL that goes along with the first message."),
    ] = None,
    template: Annotated[
        str | None,
        typer.Option(
            "-t",
            "--template",
            metavar="NAME|PATH",
            help="Put the first message into a template.",
            autocompletion=completion.templates,
        ),
    ] = None,
    param: options.Params = None,
    option: options.ModelOptions = None,
    fallback: options.Fallback = None,
    guard: options.Guard = None,
    network: options.Network = None,
    local_only: options.LocalOnly = False,
    max_cost: Annotated[
        float | None,
        typer.Option(
            "--max-cost",
            metavar="USD",
            min=0.000001,
            max=1_000_000,
            help="The most that the whole chat may cost.",
            rich_help_panel=options.CALLS,
        ),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            "--timeout",
            metavar="SECONDS",
            min=0.001,
            max=86_400,
            help="The most time for each answer, retries included.",
            rich_help_panel=options.CALLS,
        ),
    ] = None,
    tries: options.Tries = None,
    profile: options.Profile = None,
    go_on: Annotated[bool, typer.Option("-c", "--continue", help="Continue the last chat.")] = False,
    cid: Annotated[
        str | None,
        typer.Option("--cid", metavar="RUN_ID", help="Continue the conversation of a run of chat or gen."),
    ] = None,
    no_history: Annotated[bool, typer.Option("--no-history", help="Do not keep the texts of this chat.")] = False,
    subject: options.Subject = None,
    quiet: options.Quiet = False,
) -> int:
    """Talk with a model, turn by turn, on a terminal; /help in the chat lists its commands."""
    output.begin("chat", quiet=quiet)
    if not (output.is_terminal(sys.stdin) and output.is_terminal(sys.stdout)):
        hint = "without one: gemx gen 'your question', then gemx gen -c 'the next one'"
        raise UsageError("gemx chat needs a terminal", hint=hint)
    from gemx import settings

    given = door.Flags(model, option, fallback, guard, network, local_only, max_cost, timeout, tries)
    given.check()
    used = gen_template.used(template, param)
    resolved = settings.load(profile)
    thread = gen_thread.continued(chat_session.COMMAND, cid, last=go_on)
    session = chat_session.Session(
        settings=resolved,
        flags=given,
        keeps=not no_history,
        thread=thread,
        instruction=gen_thread.system(resolved, system, thread),
        is_own=system is not None,
        subject=gen_thread.subject(subject, thread),
    )
    if used:
        session.take(used)
    with door.alarmed(session.seconds):
        fetch = partial(attached.fetched, resolved, session.network, timeout)
        session.files += [attached.read(name, fetch) for name in _checked(file or [])]
    _begin(session)
    _talk(session)
    _end(session)
    return 0


def _checked(files: list[str]) -> list[str]:
    if "-" in files:
        raise UsageError("a chat has no standard input to read: -f - is for gemx gen")
    return files


def _begin(session: Session) -> None:
    """Say where the chat stands: the model, and the last turn of one that goes on."""
    chat_turn.announce(session, session.next_policy())
    if session.thread:
        for line in chat_text.last_turn(session.thread):
            output.note(line)
    if not (session.keeps and session.settings.config.history.keep):
        output.note("history: this chat is not kept")
    new_line = "a backslash before it goes on" if output.is_dumb() else "Alt-Enter begins a new line"
    output.note(f"Enter sends, {new_line}, /help lists commands, Ctrl-D leaves")


def _talk(session: Session) -> None:
    """Read and answer, until the user leaves."""
    line = _line(session)
    offered = ""
    while True:
        try:
            offered = _answered(session, _read(line, offered))
        except EOFError:
            return


def _line(session: Session) -> Line | PlainLine:
    if output.is_dumb():
        from gemx.cli.chat_plain import PlainLine

        return PlainLine()
    from gemx.cli.chat_input import Line

    commands = {name: command.help for name, command in chat_commands.COMMANDS.items()}
    return Line(partial(chat_text.status, session), commands, _earlier())


def _earlier() -> list[str]:
    """What was written before, for the Up key. A history that cannot be read keeps nobody from a chat."""
    from gemx import conversation

    try:
        return conversation.typed_before(chat_session.COMMAND, _EARLIER)
    except GemxError as exc:
        output.error(exc)
        return []


def _read(line: Line | PlainLine, offered: str) -> str:
    """What the user wrote, with something in it. Raises EOFError where they leave."""
    while True:
        try:
            return line.read(offered)
        except KeyboardInterrupt:
            if not line.text:
                output.note("Ctrl-D or /exit leaves")
            offered = ""


def _answered(session: Session, text: str) -> str:
    """Do what a line says. Returns what is offered to be edited: the line, where it failed."""
    before = session.thread
    try:
        _do(session, text)
    except StoppedError:
        raise
    except GemxError as exc:
        output.error(exc)
        if session.unanswered == text and not output.is_dumb():
            output.note("the message stands in the line again: Ctrl-C clears it, /retry asks it later")
        return text
    except KeyboardInterrupt:
        if session.thread is before:
            output.warning(_UNANSWERED if session.unanswered is not None else "stopped: the conversation is as it was")
    return ""


def _do(session: Session, text: str) -> None:
    if text.startswith("/") and not text.startswith("//"):
        chat_commands.run(session, text.strip())
    elif text.strip() or session.used:
        chat_turn.send(session, text[1:] if text.startswith("//") else text)


def _end(session: Session) -> None:
    """Say what the chat took, and how it goes on."""
    door.receipt(session.attempts)
    thread = session.thread
    if thread and thread.exchanges[-1].run_id in session.kept:
        output.note(f"conversation: {thread.id}; gemx chat --cid {thread.id} goes on")
