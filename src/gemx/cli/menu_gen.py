"""The menus of free prompts: ask one question, with files or a template; or talk."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from gemx.cli import menu_models, menu_run, picker, questions
from gemx.cli.form import Field, Reading
from gemx.cli.menu_form import Action, Form
from gemx.cli.questions import Back, Choice
from gemx.errors import GemxError, InputError

if TYPE_CHECKING:
    from pathlib import Path

    from gemx.templates import Named, Variable

_PROMPT = "input"
_NUMBERS = {"number": "um número, como 4,6", "integer": "um número inteiro"}


def section() -> None:
    """Ask one question."""
    _complete(_Call({_PROMPT: Field("Pergunta", "", _read_prompt, required=True, text=True)}, "Perguntar"))


def templates() -> None:
    """Pick a template, fill it in and run it."""
    from gemx.templates import shelf

    while True:
        try:
            name = picker.pick("Modelo de texto", _titles(), ("templates", "show"))
        except Back:
            return
        named = shelf.load(name)
        fields = {each.name: _field(each) for each in named.template.takes}
        if _complete(_Call(fields, named.template.title, named)):
            return


def chat() -> None:
    """Talk with a model that is chosen first."""
    try:
        model = menu_models.choose(clinical=False)
    except Back:
        return
    menu_run.run(["chat", *(["-m", model] if model else [])])


class _Call:
    """A call of gen as far as it is filled in: its form, its files and its model."""

    def __init__(self, fields: dict[str, Field], title: str, named: Named | None = None) -> None:
        self._named = named
        self._files: list[str] = []
        self._model = menu_models.DEFAULT
        actions = [
            Action(self._files_title, self._attach),
            Action(self.model_title, self._choose_model),
        ]
        self.form = Form(title, fields, actions=actions)

    def argv(self) -> list[str]:
        """The command line."""
        values = self.form.values
        options = ["-t", self._named.name] if self._named else []
        for name, text in values.items():
            if name != _PROMPT:
                options += ["-p", f"{name}={text}"]
        options += [word for file in self._files for word in ("-f", file)]
        options += ["-m", self._model] if self._model else []
        if _PROMPT not in values:
            return ["gen", *options]
        return menu_run.command("gen", values[_PROMPT], options)

    def _files_title(self) -> str:
        return f"Anexos: {', '.join(self._files)}" if self._files else "Anexar um arquivo…"

    def _attach(self) -> None:
        if self._files and questions.agreed(self._files_title(), "Retirar todos", "Anexar outro"):
            self._files.clear()
            return
        path = questions.path("Arquivo (texto, PDF, DOCX, HTML, imagem ou áudio):", check=_file_problem)
        self._files.append(path)

    def model_title(self) -> str:
        """The model that is asked, in a line."""
        return menu_models.chosen(self._model, clinical=False)

    def leaving(self) -> list[str]:
        """What is to be said where the question leaves this machine."""
        if not menu_models.leaves(self._model, clinical=False):
            return []
        return ["a pergunta e os anexos sairão desta máquina, até o modelo"]

    def _choose_model(self) -> None:
        self._model = menu_models.choose(clinical=False)


def _complete(call: _Call) -> bool:
    """Complete a call and run it; whether it ran."""
    while True:
        try:
            call.form.complete()
        except KeyboardInterrupt:
            if call.form.is_abandoned():
                return False
            continue
        with suppress(KeyboardInterrupt):
            if menu_run.run_agreed(call.argv(), [call.model_title()], call.leaving()):
                return True


def _titles() -> dict[str, str]:
    from gemx.templates import shelf

    return {files[0].name: f"{files[0].name}  {_title(files[0].path)}" for files in shelf.listing()}


def _title(path: Path) -> str:
    from gemx.templates import shelf

    try:
        return shelf.load_file(path)[0].title
    except GemxError:
        return "(arquivo com erro)"


def _field(variable: Variable) -> Field:
    choices = tuple(Choice(each, each) for each in variable.choices)
    if variable.type == "boolean":
        choices = (Choice("sim", "sim"), Choice("não", "não"))
    if choices and not variable.needed:
        choices = (Choice("", "(padrão)"), *choices)
    read = partial(_read_number, whole=variable.type == "integer") if variable.type in _NUMBERS else _read_text
    if variable.name == _PROMPT:
        read = _read_prompt
    several = variable.type == "text" and variable.name == _PROMPT
    return Field(variable.label, _accepts(variable), read, variable.needed, choices, several)


def _accepts(variable: Variable) -> str:
    default = "" if variable.default in (None, "") else f"padrão {_spelled(variable.default)}"
    return "; ".join(part for part in (_NUMBERS.get(variable.type, ""), default) if part)


def _spelled(value: object) -> str:
    return ("sim" if value else "não") if isinstance(value, bool) else str(value)


def _read_text(text: str) -> Reading:
    return Reading(text.strip() or None)


def _read_prompt(text: str) -> Reading:
    if text == "-":
        raise InputError("escreva a pergunta: um hífen só seria a entrada padrão")
    return Reading(text.strip() or None)


def _read_number(text: str, *, whole: bool) -> Reading:
    from gemx.clinical.numbers import format_number, parse_number

    if not text.strip():
        return Reading(None)
    value = parse_number(text)
    if whole and value != value.to_integral_value():
        raise InputError("esperado um número inteiro")
    return Reading(format_number(value))


def _file_problem(text: str) -> str | None:
    from gemx import places

    return None if places.is_file(places.user_path(text)) else "não há arquivo com este caminho"
