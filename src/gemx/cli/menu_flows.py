"""The menu of flows: pick one and run it once, or for every line of a file; see how runs went."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gemx.cli import menu_form, menu_models, menu_run, picker, questions
from gemx.cli.form import Field, Reading
from gemx.cli.menu_form import Action, Form
from gemx.cli.questions import Back, Choice
from gemx.errors import GemxError, InputError

if TYPE_CHECKING:
    from gemx.flow.schema import FlowInput
    from gemx.flow.shelf import Loaded

_ONCE, _BATCH, _RUNS, _BACK = "flow run", "flow batch", "flow status", ""
ACTIONS = (
    Choice(_ONCE, "Executar uma vez: preencher"),
    Choice(_BATCH, "Executar para cada linha de um arquivo…"),
    Choice(_RUNS, "Andamento e fim das execuções"),
    Choice(_BACK, "Voltar"),
)
_OUT = "out"
_NO_MODEL = "o que cada passo diz, ou o padrão"
_FORMS = (".csv", ".jsonl")


def section() -> None:
    """Pick a flow, and run it."""
    while True:
        try:
            name = picker.pick("Fluxo", _titles(), ("flow", "show"))
        except Back:
            return
        with suppress(KeyboardInterrupt):
            _use(name)


def _use(name: str) -> None:
    from gemx.flow import shelf

    loaded = shelf.load(name)
    chosen = None
    while True:
        chosen = questions.choose(loaded.flow.title or name, ACTIONS, chosen)
        if chosen == _BACK:
            return
        with suppress(KeyboardInterrupt):
            if chosen == _RUNS:
                menu_run.run(_RUNS.split())
            else:
                _complete(_Batch(name, loaded) if chosen == _BATCH else _Once(name, loaded))


class _Run:
    """A run of a flow as far as it is filled in."""

    command = _ONCE

    def __init__(self, name: str, loaded: Loaded) -> None:
        self._name = name
        self._loaded = loaded
        self._model = menu_models.DEFAULT
        self.form = self._form([Action(self.model_title, self._choose_model)])

    def argv(self) -> list[str]:
        """The command line."""
        return menu_run.command(self.command, self._name, [*self._options(), *self._with_model()])

    def model_title(self) -> str:
        """The model that is asked, in a line."""
        return f"Modelo: {self._model or _NO_MODEL}"

    def remarks(self) -> list[str]:
        """What must be known before it runs."""
        found: list[str] = []
        if _leaves(self._loaded, self._model):
            found.append("o que for informado sairá desta máquina, até o modelo")
        if self._loaded.commands:
            found.append("este fluxo executa comandos, e daqui não: só com gemx flow run --allow-run")
        return found

    def _form(self, actions: Sequence[Action]) -> Form:
        raise NotImplementedError

    def _options(self) -> list[str]:
        raise NotImplementedError

    def _with_model(self) -> list[str]:
        return ["-m", self._model] if self._model else []

    def _choose_model(self) -> None:
        self._model = menu_models.choose(clinical=False, default=_NO_MODEL)


class _Once(_Run):
    """A run with the inputs that were filled in."""

    def _form(self, actions: Sequence[Action]) -> Form:
        flow = self._loaded.flow
        fields = {name: _field(name, each) for name, each in flow.inputs.items()}
        return Form(flow.title or self._name, fields, actions=actions, check=self._problem)

    def _problem(self, values: Mapping[str, str]) -> str | None:
        from gemx.flow import inputs

        return menu_form.read_error(lambda: inputs.read(self._loaded.flow, values))

    def _options(self) -> list[str]:
        return [word for name, text in self.form.values.items() for word in ("-i", f"{name}={text}")]


class _Batch(_Run):
    """A run over the lines of a file, which is asked for at first."""

    command = _BATCH

    def _form(self, actions: Sequence[Action]) -> Form:
        self._items = questions.path("Arquivo com um item por linha (CSV ou JSONL):", check=_items_problem)
        out = f"{Path(self._items).stem}-resultado.jsonl"
        fields = {_OUT: Field("Gravar o resultado em", "um arquivo .jsonl ou .csv", _read_out, required=True)}
        estimate = Action(lambda: "Estimar antes: itens, chamadas e custo; nada é chamado", self._estimate)
        title = f"{self._loaded.flow.title or self._name}: {self._items}"
        return Form(title, fields, actions=[estimate, *actions], loaded={_OUT: out})

    def _options(self) -> list[str]:
        return ["--items", self._items, "--out", self.form.values[_OUT]]

    def _estimate(self) -> None:
        menu_run.run([*self.argv(), "--dry-run"])


def _complete(run: _Run) -> None:
    """Complete a run, and run it once the user agrees."""
    while True:
        try:
            run.form.complete()
        except KeyboardInterrupt:
            if run.form.is_abandoned():
                return
            continue
        with suppress(KeyboardInterrupt):
            if menu_run.run_agreed(run.argv(), [*run.form.lines(), run.model_title()], run.remarks()):
                return


def _leaves(loaded: Loaded, model: str) -> bool:
    """Whether a step asks a model beyond this machine; the model that is chosen stands over those of the steps."""
    for step in loaded.flow.steps:
        own = step.auto or step.prompt
        if own is None:
            continue
        named = model or own.model or loaded.flow.defaults.model or menu_models.DEFAULT
        if "${{" in named or menu_models.leaves(named, clinical=step.auto is not None):
            return True
    return False


def _field(name: str, declared: FlowInput) -> Field:
    choices = tuple(Choice(each, each) for each in declared.choices)
    if declared.type == "boolean":
        choices = (Choice("sim", "sim", "s"), Choice("não", "não", "n"))
    if choices and not declared.needed:
        choices = (Choice("", "(não informado)"), *choices)
    return Field(declared.label or name, _accepts(declared), _reader(declared), declared.needed, choices)


def _accepts(declared: FlowInput) -> str:
    from gemx.flow import inputs

    form = "" if declared.type == "text" else inputs.FORMS[declared.type]
    default = "" if declared.default is None else f"padrão {declared.default}"
    return "; ".join(part for part in (form, default) if part)


def _reader(declared: FlowInput) -> Callable[[str], Reading]:
    from gemx.flow import inputs

    def read(text: str) -> Reading:
        if not text.strip():
            return Reading(None)
        inputs.value(declared, text)
        return Reading(text.strip())

    return read


def _read_out(text: str) -> Reading:
    if text.strip() and not text.strip().lower().endswith(_FORMS):
        raise InputError("o nome do arquivo termina em .jsonl ou .csv")
    return Reading(text.strip() or None)


def _items_problem(text: str) -> str | None:
    from gemx import places

    if not places.is_file(places.user_path(text)):
        return "não há arquivo com este caminho"
    return None if text.strip().lower().endswith(_FORMS) else "um arquivo .csv ou .jsonl"


def _titles() -> dict[str, str]:
    from gemx import library

    return {found.name: f"{found.name}  {_title(found.path)}" for found in library.listing("flows")}


def _title(path: Path) -> str:
    from gemx import library
    from gemx.flow.schema import HEADER, Flow

    try:
        return library.load(path, Flow, HEADER)[0].title or ""
    except GemxError:
        return "(arquivo com erro)"
