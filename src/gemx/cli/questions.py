"""Questions on a terminal, by questionary: one of a few, a line, several lines, a file; in pt-BR, at any width.

Esc raises Back, which is a KeyboardInterrupt as Ctrl-C is: who asks decides how far each leads.
"""

from __future__ import annotations

import shutil
import signal
import textwrap
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gemx.errors import StoppedError
from gemx.sanitize import printable

if TYPE_CHECKING:
    from prompt_toolkit.application import Application
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
    from questionary import Question

HELP = "(setas e Enter; Esc volta)"
_SIGNALS = (signal.SIGTERM, signal.SIGHUP)
_SPARE = 4  # the pointer before a choice, and a column that stays free
_ESCAPE_SECONDS = 0.1
_SEQUENCE_SECONDS = 0.2

Check = Callable[[str], "str | None"]
"""What is wrong with a text, or None."""


class Back(KeyboardInterrupt):
    """The user goes back one level."""


@dataclass(frozen=True)
class Choice:
    """A value to choose, what is read of it, and the key that leads to it."""

    value: str
    title: str
    key: str | None = None


def choose(message: str, choices: Sequence[Choice], default: str | None = None) -> str:
    """One of a few: its value. `default` is where the pointer stands at first. Nothing of it stays on the screen."""
    import questionary

    titles = [questionary.Choice(cut(each.title), each.value, shortcut_key=each.key) for each in choices]
    known = default if default in [each.value for each in choices] else None
    keyed = any(each.key for each in choices)
    room = columns() - len(HELP) - _SPARE
    question = questionary.select(
        cut(message, room), titles, known, instruction=HELP, use_jk_keys=False, use_shortcuts=keyed, qmark=""
    )
    question.application.erase_when_done = True
    return str(_answer(question))


def agreed(message: str, yes: str, no: str = "Voltar", *, for_good: bool = False) -> bool:
    """Whether the user says yes; to what cannot be undone, not by Enter alone."""
    choices = [Choice("sim", yes), Choice("não", no)]
    return choose(message, choices[::-1] if for_good else choices) == "sim"


def line(message: str, default: str = "", *, check: Check, below: Callable[[str], str]) -> str:
    """A line of text, checked as it is typed; `below` says what stands under it."""
    import questionary
    from prompt_toolkit.application import get_app

    question = questionary.text(
        printable(message),
        default,
        validate=_verdict(check),
        validate_while_typing=True,
        qmark="",
        bottom_toolbar=lambda: _wrapped(below(get_app().current_buffer.text)),
    )
    return str(_answer(question))


def lines(message: str, default: str = "", *, check: Check) -> str:
    """A text of one line or more: Enter ends it, as in gemx chat."""
    import questionary
    from prompt_toolkit.key_binding import KeyBindings

    keys = KeyBindings()

    @keys.add("enter")
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    @keys.add("escape", "enter")
    @keys.add("c-j")
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    below = "Enter conclui; Ctrl+J ou Alt+Enter abre outra linha; Esc volta"
    question = questionary.text(
        printable(message),
        default,
        validate=_verdict(check),
        multiline=True,
        instruction="\n",
        qmark="",
        bottom_toolbar=lambda: _wrapped(below),
    )
    return str(_answer(question, keys))


def path(message: str, *, check: Check) -> str:
    """The path of a file, never `-` alone, which is standard input; Tab completes it."""
    import questionary

    below = "Tab completa o caminho; Esc volta"
    question = questionary.path(
        printable(message), validate=_verdict(check), qmark="", bottom_toolbar=lambda: _wrapped(below)
    )
    answer = str(_answer(question))
    return "./-" if answer == "-" else answer


def pause(message: str) -> None:
    """Wait for Enter; what was typed meanwhile is not taken for it."""
    import sys
    import termios
    from contextlib import suppress

    import questionary

    with suppress(termios.error, OSError, ValueError):
        termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)
    with suppress(KeyboardInterrupt):
        question = questionary.text(printable(message), qmark="")
        question.application.erase_when_done = True
        _answer(question)


def cut(text: str, width: int | None = None) -> str:
    """The text on one line of so many columns, by default as many as a choice has; what is cut ends in `…`."""
    from prompt_toolkit.utils import get_cwidth

    room = width or columns() - _SPARE
    flat = " ".join(printable(text).split())
    if get_cwidth(flat) <= room:
        return flat
    while flat and get_cwidth(flat) > room - 1:
        flat = flat[:-1]
    return f"{flat.rstrip()}…"


def columns() -> int:
    """The width of the terminal."""
    return max(shutil.get_terminal_size().columns, 20)


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.wrap(printable(text), columns() - 1))


def _verdict(check: Check) -> Callable[[str], str | bool]:
    def judge(text: str) -> str | bool:
        wrong = check(text)
        return True if wrong is None else cut(wrong, columns() - 1)

    return judge


def _answer(question: Question, more: KeyBindings | None = None) -> Any:
    """Ask. Raises Back at Esc and at Ctrl-D, KeyboardInterrupt at Ctrl-C, StoppedError at a signal."""
    from prompt_toolkit.key_binding import KeyBindings, merge_key_bindings

    keys = KeyBindings()

    # Eager, as the line behind a list would take Esc and Enter, one after the other, for its own end.
    @keys.add("escape", eager=more is None)
    def _(event: KeyPressEvent) -> None:
        event.app.erase_when_done = True
        event.app.exit(exception=Back)

    # Left alone it would put itself into the text.
    @keys.add("c-z")
    def _(event: KeyPressEvent) -> None:
        event.app.suspend_to_background()

    app: Application[Any] = question.application
    bindings = [each for each in (app.key_bindings, more, keys) if each is not None]
    app.key_bindings = merge_key_bindings(bindings)
    # A lone Esc is told from the beginning of a sequence by a wait; those of prompt_toolkit are long.
    app.ttimeoutlen, app.timeoutlen = _ESCAPE_SECONDS, _SEQUENCE_SECONDS
    with handlers_restored():
        try:
            return app.run(pre_run=lambda: stop_at_signals(app))
        except EOFError as exc:
            raise Back from exc


def stop_at_signals(app: Application[Any]) -> None:
    """Let SIGTERM and SIGHUP end a question that is being asked, by StoppedError."""
    import asyncio

    # The handlers of before raise, which an event loop takes for the failure of whatever it is at.
    def stop(number: int) -> None:
        if not app.is_done:
            app.exit(exception=StoppedError("terminated", 128 + number))

    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, stop, number)


@contextmanager
def handlers_restored() -> Generator[None]:
    """An event loop that ends puts the system's own handlers in the place of those of before."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
