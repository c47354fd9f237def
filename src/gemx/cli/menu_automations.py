"""The menu of automations: pick one, fill in a patient or load one, choose the model, run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from gemx.cli import form, menu_form, menu_models, menu_run, output, picker, questions
from gemx.cli.menu_form import Action, Form
from gemx.cli.questions import Back, Choice
from gemx.errors import GemxError, InvalidFileError, StorageError

if TYPE_CHECKING:
    from pathlib import Path

    from gemx.automation.protocol import Protocol

_NEW, _GO_ON, _EXAMPLE, _FILE = "new", "go on", "example", "file"
_NAMES = 4


class Patients:
    """The section. What was typed for an automation is kept until the menu ends, and offered, never taken, again."""

    def __init__(self) -> None:
        self._drafts: dict[str, _Draft] = {}

    def section(self) -> None:
        """Pick an automation and run it."""
        while True:
            try:
                name = picker.pick("Automação", _titles(), ("auto", "show"))
            except Back:
                return
            try:
                self._open(name)
                return
            except KeyboardInterrupt:
                continue

    def _open(self, name: str) -> None:
        from gemx.automation import protocol

        loaded = protocol.load(name)
        draft = self._drafts.get(name)
        if draft is None or draft.sha256 != loaded.sha256:
            draft = self._drafts[name] = _Draft(name, loaded)
        while True:
            if draft.form.fields:
                draft.start()
            try:
                draft.run()
                return
            except KeyboardInterrupt:
                if not draft.form.fields:
                    raise


class _Draft:
    """A patient for an automation, as far as it is filled in."""

    def __init__(self, name: str, loaded: Protocol) -> None:
        self._name = name
        self._protocol = loaded
        self.sha256 = loaded.sha256
        self._model = menu_models.DEFAULT
        self._file: str | None = None
        self._has_run = False
        actions = [Action(self._model_title, self._choose_model)]
        self.form = Form(loaded.title, _fields(loaded), actions=actions, check=self._problem)

    def start(self) -> None:
        """Ask whose data these are to be. Raises Back."""
        beginnings = self._beginnings()
        while True:
            chosen = questions.choose(f"Dados do paciente: {self._protocol.title}", beginnings)
            try:
                self._begin(chosen)
                return
            except Back:
                continue
            except GemxError as exc:
                output.error(exc)

    def run(self) -> None:
        """Complete the form, and run once the user agrees."""
        while True:
            self.form.complete()
            argv = self.argv()
            remarks = [*self._remarks(), *self._leaving()]
            try:
                if menu_run.run_agreed(argv, [*self.form.lines(), self._model_title()], remarks, self._is_as_read):
                    self._has_run = True
                    return
            except KeyboardInterrupt:
                continue

    def argv(self) -> list[str]:
        """The command line of this patient."""
        options = ["--input", self._file] if self._file else []
        for name, text in self.form.typed.items():
            options += ["-i", f"{name}={text}"]
        return menu_run.command("auto run", self._name, [*options, *(["-m", self._model] if self._model else [])])

    def _beginnings(self) -> list[Choice]:
        choices = [
            Choice(_NEW, "Novo paciente: preencher"),
            Choice(_EXAMPLE, "Paciente de exemplo, fictício"),
            Choice(_FILE, "Carregar de um arquivo (JSON ou YAML)"),
        ]
        if not self.form.values:
            return choices
        same = Choice(_GO_ON, f"Mesmo paciente: {'; '.join(self.form.lines()[:_NAMES])}")
        return [*choices, same] if self._has_run else [same, *choices]

    def _begin(self, chosen: str) -> None:
        if chosen == _EXAMPLE:
            self._load(picker.pick("Exemplo", _examples(self._protocol.id)))
        elif chosen == _FILE:
            self._load(questions.path("Arquivo do paciente:", check=_file_problem))
        elif chosen == _NEW:
            self._forget()

    def _forget(self) -> None:
        self.form.clear()
        # Nor is the model of one patient that of the next: it may be in the cloud.
        self._file, self._model, self._has_run = None, menu_models.DEFAULT, False

    def _is_as_read(self) -> bool:
        """Whether the patient's file says what it said; one that says something else may be another patient's."""
        if not self._file or self._read(self._file) == self.form.loaded:
            return True
        self._load(self._file)
        output.warning("aviso: o arquivo do paciente mudou depois de lido; nada foi executado: confira os dados")
        return False

    def _load(self, path: str) -> None:
        loaded = self._read(path)
        self._forget()
        self._file = path
        self.form.loaded.update(loaded)

    def _read(self, path: str) -> dict[str, str]:
        from gemx.automation import patient_file
        from gemx.clinical import inputs

        raw, automation = patient_file.read(path)
        inputs.read_patient(raw, self._protocol.inputs)
        if automation not in (None, self._protocol.id):
            output.warning(f"aviso: o caso é de {automation}, não de {self._protocol.id}")
        return {name: _text(value) for name, value in raw.items() if value is not None}

    def _problem(self, values: Mapping[str, str]) -> str | None:
        from gemx.clinical import inputs

        return menu_form.read_error(lambda: inputs.read_patient(values, self._protocol.inputs))

    def _remarks(self) -> tuple[str, ...]:
        from gemx.clinical import inputs

        return inputs.read_patient(self.form.values, self._protocol.inputs).notes

    def _leaving(self) -> list[str]:
        if not menu_models.leaves(self._model, clinical=True):
            return []
        return ["os dados deste paciente sairão desta máquina, até o modelo; nome, leito e prontuário não vão"]

    def _model_title(self) -> str:
        return menu_models.chosen(self._model, clinical=True)

    def _choose_model(self) -> None:
        self._model = menu_models.choose(clinical=True)


def _fields(loaded: Protocol) -> dict[str, form.Field]:
    required = loaded.automation.required
    used = [*required, *(name for name in loaded.automation.used if name not in required)]
    used += [name for name, each in loaded.inputs.items() if each.local and name not in used]
    if not loaded.automation.inputs:
        return {}
    return {name: form.of_input(loaded.inputs[name], required=name in required) for name in used}


def _titles() -> dict[str, str]:
    from gemx import library

    return {
        found.name: f"{found.name}  {_title(found.path)}{_place(found)}" for found in library.listing("automations")
    }


def _title(path: Path) -> str:
    from gemx import library
    from gemx.automation.schema import HEADER, Automation

    try:
        return library.load(path, Automation, HEADER)[0].title or ""
    except (InvalidFileError, StorageError):
        return "(arquivo com erro)"


def _place(found: Any) -> str:
    return "" if found.origin == "gemx" else f" ({found.path})"


def _examples(automation: str) -> dict[str, str]:
    from gemx import places

    return dict(_cases(places.shipped("automations") / "cases", automation))


def _cases(folder: Path, automation: str) -> Iterator[tuple[str, str]]:
    from gemx import library
    from gemx.automation.schema import CASE_HEADER, Case

    for path in sorted(folder.glob("*.yaml")):
        case, _ = library.load(path, Case, CASE_HEADER)
        if case.automation == automation:
            yield str(path), case.title


def _file_problem(text: str) -> str | None:
    from gemx import places

    return None if places.is_file(places.user_path(text)) else "não há arquivo com este caminho"


def _text(value: Any) -> str:
    from decimal import Decimal

    from gemx.clinical.numbers import format_number

    if isinstance(value, bool):
        return "sim" if value else "não"
    if isinstance(value, list):
        return ", ".join(str(item) for item in value) or "nega"  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return str(value) if isinstance(value, str) else format_number(Decimal(str(value)))
