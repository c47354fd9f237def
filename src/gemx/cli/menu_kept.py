"""The menus of what is kept and set: history, profiles, settings and the doctor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gemx.cli import menu_run, output, picker, questions
from gemx.cli.questions import Back, Choice
from gemx.errors import GemxError

_MOST = 1000
_NONE = ""
_BACK = Choice("", "Voltar")
_CHANGES = ("history remove", "profiles use")
_SETTINGS = {
    "doctor": "Diagnóstico desta instalação",
    "doctor --offline": "Diagnóstico, sem perguntar nada à rede",
    "config list": "Ver a configuração e de onde vem cada valor",
    "config set-key gemini": "Guardar a chave do Gemini",
    "config edit": "Editar config.json",
}


def history() -> None:
    """Pick what was asked and answered: show it, go on with it, erase it."""
    from gemx import history

    while True:
        kept = {each.run_id: each for each in history.latest(history.Filter(most=_MOST))}
        if not kept:
            output.note("nada está guardado no histórico")
            questions.pause("Enter volta ao menu")
            return
        rows = {
            name: f"{_time(each.time)}  {each.automation or each.command}  {each.about}" for name, each in kept.items()
        }
        try:
            name = picker.pick("Histórico", rows, ("history", "show"))
        except Back:
            return
        line = kept[name]
        actions = {"history show": "Mostrar"}
        if line.automation:
            actions["auto note"] = "Nota para o prontuário"
        if line.conversation:
            actions["chat --cid"] = "Continuar a conversa"
        actions["history remove"] = "Apagar para sempre"
        _act(f"{_time(line.time)}  {line.automation or line.command}", actions, name)


def profiles() -> None:
    """Pick a profile: show it, let it hold; or let none hold."""
    from gemx import library, settings

    held = settings.load().profile_name
    rows = {
        found.name: f"{found.name}  {_profile_title(found.name)}{' (em uso)' if found.name == held else ''}"
        for found in library.listing("profiles")
    }
    while True:
        try:
            name = picker.pick("Perfil", {**rows, _NONE: "nenhum perfil"}, ("profiles", "show"))
        except Back:
            return
        if name == _NONE:
            ran = _agreed(["profiles", "use", "--none"])
        else:
            ran = _act(name, {"profiles use": "Usar de agora em diante", "profiles show": "Mostrar"}, name)
        if ran:
            return


def setup() -> None:
    """Check the installation, and see or change its settings."""
    choices = [Choice(words, title) for words, title in _SETTINGS.items()]
    while True:
        try:
            chosen = questions.choose("Configuração e diagnóstico", [*choices, _BACK])
        except KeyboardInterrupt:
            return
        if not chosen:
            return
        menu_run.run(chosen.split())


def _act(title: str, actions: Mapping[str, str], operand: str) -> bool:
    """Run one of the actions on what was picked, once that is agreed where it changes something; whether one ran."""
    try:
        words = questions.choose(title, [*(Choice(each, said) for each, said in actions.items()), _BACK])
    except KeyboardInterrupt:
        return False
    if not words:
        return False
    argv = menu_run.command(words, operand)
    if words in _CHANGES:
        return _agreed(argv)
    menu_run.run(argv)
    return True


def _agreed(argv: Sequence[str]) -> bool:
    try:
        return menu_run.run_agreed(argv, for_good=argv[:2] == ["history", "remove"])
    except KeyboardInterrupt:
        return False


def _profile_title(name: str) -> str:
    from gemx import settings

    try:
        return settings.load_profile(name).title
    except GemxError:
        return "(arquivo com erro)"


def _time(stored: str) -> str:
    """A time of the history as the system's clock has it."""
    from datetime import datetime

    return datetime.fromisoformat(stored).astimezone().strftime("%d/%m %H:%M")
