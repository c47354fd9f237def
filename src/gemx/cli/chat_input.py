"""The line of a chat on a terminal, by prompt_toolkit: several lines, earlier messages, completion, the state below.

Imported by a chat that runs, and by nothing else. Keeps nothing on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition, is_searching
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

from gemx.cli import chat_completion, questions
from gemx.sanitize import printable


class Line:
    """Where a person writes. `status` gives the line at the bottom for a number of columns, `commands` what Tab offers
    with what each does; `earlier` are the messages of before, oldest first.
    """

    def __init__(self, status: Callable[[int], str], commands: dict[str, str], earlier: Sequence[str]) -> None:
        self._prompt: PromptSession[str] = PromptSession(
            message="> ",
            multiline=True,
            prompt_continuation="  ",
            history=InMemoryHistory(list(earlier)),
            completer=_Offered(commands),
            complete_while_typing=False,
            key_bindings=_keys(),
            enable_suspend=True,
            bottom_toolbar=lambda: printable(status(get_app().output.get_size().columns)),
        )

    @property
    def text(self) -> str:
        """What is in the line, or was when it was left."""
        return self._prompt.default_buffer.text

    def read(self, offered: str = "") -> str:
        """A message, or a command; `offered` stands there to be edited.

        Raises KeyboardInterrupt at Ctrl-C, EOFError at Ctrl-D in an empty line, StoppedError.
        """
        with questions.handlers_restored():
            return self._prompt.prompt(default=offered, pre_run=lambda: questions.stop_at_signals(self._prompt.app))


class _Offered(Completer):
    def __init__(self, commands: dict[str, str]) -> None:
        self._commands = commands

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        word, found = chat_completion.offered(document.text_before_cursor, list(self._commands))
        for each in found:
            help_text = self._commands.get(each[1:]) if word.startswith("/") else None
            yield Completion(each, start_position=-len(word), display=printable(each), display_meta=help_text)


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter", filter=~is_searching & ~_is_chosen)
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    @keys.add("enter", filter=_is_chosen)
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.complete_state = None

    @keys.add("escape", "enter", filter=~is_searching)
    @keys.add("c-j", filter=~is_searching)
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return keys


@Condition
def _is_chosen() -> bool:
    """Whether a completion was chosen, which Enter takes over."""
    state = get_app().current_buffer.complete_state
    return state is not None and state.current_completion is not None
