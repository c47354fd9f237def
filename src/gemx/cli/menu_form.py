"""A form as a menu: what is asked for first, all that was given to look at and change, and what is left to add."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from gemx.cli import form, output, picker, questions
from gemx.cli.form import Field
from gemx.cli.questions import Back, Choice
from gemx.errors import InputError

_RUN, _ADD, _BACK = "run", "add", "back"
_FIELD, _ACTION = "field:", "action:"


@dataclass(frozen=True)
class Action:
    """An entry of a form beside its fields: `title` is read anew each time."""

    title: Callable[[], str]
    act: Callable[[], None]


@dataclass
class Form:
    """What is asked for, and what was answered: `loaded` comes from a file, and what was `typed` stands over it.

    Of each group in `one_of`, one field is asked for. `check` says what is wrong with all answers together.
    """

    title: str
    fields: Mapping[str, Field]
    one_of: Sequence[Sequence[str]] = ()
    actions: Sequence[Action] = ()
    check: Callable[[Mapping[str, str]], str | None] = lambda _: None
    typed: dict[str, str] = field(default_factory=dict[str, str])
    loaded: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def values(self) -> dict[str, str]:
        """The texts of all answers."""
        return {**self.loaded, **self.typed}

    @property
    def missing(self) -> dict[str, Field]:
        """The required fields without an answer."""
        return {name: each for name, each in self.fields.items() if each.required and not self._is_given(name)}

    def clear(self) -> None:
        """Forget every answer."""
        self.typed.clear()
        self.loaded.clear()

    def complete(self) -> None:
        """Ask until the user wants it to run, and nothing is wrong or missing. Raises Back; the answers stay."""
        if self.missing:
            self.fill()
        while True:
            chosen = questions.choose(self.title, self._entries(), _RUN)
            if chosen == _BACK:
                raise Back
            try:
                if chosen == _RUN and self._is_ready():
                    return
                self._do(chosen)
            except KeyboardInterrupt:
                continue

    def is_abandoned(self) -> bool:
        """Whether the user leaves the form, and what was typed with it; going back once more says so, too."""
        try:
            return not self.typed or questions.agreed("Sair e perder o que foi digitado?", "Sair", "Ficar")
        except KeyboardInterrupt:
            return True

    def fill(self) -> None:
        """Ask for what is required and not given, then for one of each group. Raises Back."""
        form.fill(self.missing, self.typed)
        for group in self.one_of:
            if not any(self._is_given(name) for name in group):
                with suppress(Back):
                    self._ask_one_of(group)

    def lines(self) -> list[str]:
        """The answers, one a line."""
        return [form.shown(self.fields[name], text) for name, text in self.values.items() if name in self.fields]

    def _is_given(self, name: str) -> bool:
        return form.is_given(self.fields[name], self.values.get(name, ""))

    def _is_ready(self) -> bool:
        if self.missing:
            self.fill()
        wrong = self.check(self.values)
        if wrong:
            output.warning(wrong)
        return wrong is None

    def _entries(self) -> list[Choice]:
        left = len(self._open())
        entries = [Choice(_RUN, "Executar…")]
        if left:
            entries.append(Choice(_ADD, f"Acrescentar um dado opcional… ({left})"))
        entries += [Choice(f"{_ACTION}{number}", each.title()) for number, each in enumerate(self.actions)]
        entries.append(Choice(_BACK, "Voltar"))
        given = [name for name in self.fields if name in self.values]
        return entries + [Choice(f"{_FIELD}{name}", f"· {self._line(name)}") for name in given]

    def _line(self, name: str) -> str:
        return form.shown(self.fields[name], self.values[name])

    def _open(self) -> dict[str, str]:
        left = {name: each for name, each in self.fields.items() if not self._is_given(name)}
        return {name: f"{each.label} ({each.accepts})" if each.accepts else each.label for name, each in left.items()}

    def _do(self, chosen: str) -> None:
        if chosen == _ADD:
            self._add()
        elif chosen.startswith(_ACTION):
            self.actions[int(chosen.removeprefix(_ACTION))].act()
        elif chosen.startswith(_FIELD):
            self._ask(chosen.removeprefix(_FIELD))

    def _add(self) -> None:
        """Add optional fields, one after another, until Esc."""
        while left := self._open():
            name = picker.pick("Dado", left)
            try:
                self._ask(name)
            except Back:
                continue

    def _ask(self, name: str) -> None:
        asked = self.fields[name]
        answer = form.ask(asked, self.values.get(name, ""))
        if form.is_given(asked, answer):
            self.typed[name] = answer
        elif name in self.loaded:
            self.typed[name] = asked.unknown
        else:
            self.typed.pop(name, None)

    def _ask_one_of(self, group: Sequence[str]) -> None:
        choices = [Choice(name, self.fields[name].label) for name in group]
        self._ask(questions.choose("Informe um destes:", choices))


def read_error(read: Callable[[], object]) -> str | None:
    """What is wrong with what is read, if anything is."""
    try:
        read()
    except InputError as exc:
        return exc.message
    return None
