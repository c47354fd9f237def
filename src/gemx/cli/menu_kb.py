"""The menu of knowledge bases: ask one, search it, see its documents, add to it."""

from __future__ import annotations

from contextlib import suppress

from gemx.cli import menu_models, menu_run, picker, questions
from gemx.cli.form import Field, Reading
from gemx.cli.menu_form import Action, Form
from gemx.cli.questions import Back, Choice
from gemx.errors import InputError

_ASK, _SEARCH, _SHOW, _ADD, _BACK = "kb ask", "kb search", "kb show", "kb add", ""
_DEFAULT = "default"
ACTIONS = (
    Choice(_ASK, "Perguntar, com citações dos documentos"),
    Choice(_SEARCH, "Procurar trechos"),
    Choice(_SHOW, "Ver os documentos"),
    Choice(_ADD, "Acrescentar documentos…"),
    Choice(_BACK, "Voltar"),
)


def section() -> None:
    """Pick a base, then what to do with it; where there is none, make one of documents."""
    while True:
        try:
            name = _base()
        except KeyboardInterrupt:
            return
        with suppress(KeyboardInterrupt):
            _use(name)


def _base() -> str:
    from gemx.knowledge import base as bases

    names = bases.names()
    if names:
        return picker.pick("Base", {name: name for name in names})
    if questions.agreed("Nenhuma base ainda. Fazer uma com os seus documentos?", "Acrescentar documentos…"):
        _add(_DEFAULT)
    raise Back


def _use(name: str) -> None:
    chosen = None
    while True:
        chosen = questions.choose(f"Base {name}", ACTIONS, chosen)
        if chosen == _BACK:
            return
        with suppress(KeyboardInterrupt):
            _do(chosen, name)


def _do(action: str, name: str) -> None:
    if action == _ASK:
        _ask(name)
    elif action == _SEARCH:
        words = questions.line("Procurar por:", check=_wrong, below=lambda _: "Enter procura; Esc volta")
        menu_run.run(menu_run.command(_SEARCH, words, ["--kb", name]))
    elif action == _SHOW:
        menu_run.run([*_SHOW.split(), "--kb", name])
    else:
        _add(name)


def _add(name: str) -> None:
    path = questions.path("Arquivo ou pasta (texto, Markdown, PDF, DOCX, HTML):", check=_not_there)
    menu_run.run_agreed(menu_run.command(_ADD, path, ["--kb", name]))


def _ask(name: str) -> None:
    question = _Question(name)
    while True:
        try:
            question.form.complete()
        except KeyboardInterrupt:
            if question.form.is_abandoned():
                return
            continue
        with suppress(KeyboardInterrupt):
            if menu_run.run_agreed(question.argv(), [question.model_title()]):
                return


class _Question:
    """A question to a base, and the model that is to answer it."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._model = menu_models.DEFAULT
        fields = {"question": Field("Pergunta", "", _read, required=True, text=True)}
        self.form = Form(f"Perguntar à base {base}", fields, actions=[Action(self.model_title, self._choose_model)])

    def argv(self) -> list[str]:
        """The command line."""
        options = ["--kb", self._base, *(["-m", self._model] if self._model else [])]
        return menu_run.command(_ASK, self.form.values["question"], options)

    def model_title(self) -> str:
        """The model that answers, in a line."""
        return menu_models.chosen(self._model, clinical=False)

    def _choose_model(self) -> None:
        self._model = menu_models.choose(clinical=False)


def _read(text: str) -> Reading:
    if text.strip() == "-":
        raise InputError("escreva a pergunta: um hífen só seria a entrada padrão")
    return Reading(text.strip() or None)


def _wrong(text: str) -> str | None:
    return None if text.strip() else "escreva o que procurar"


def _not_there(text: str) -> str | None:
    from gemx import places

    return None if places.user_path(text).exists() else "não há arquivo nem pasta com este caminho"
