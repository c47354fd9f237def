"""Which model: the one that holds and why, those that are there to choose, and the menu that sets it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from gemx.cli import menu_run, picker
from gemx.cli.questions import Back

if TYPE_CHECKING:
    from gemx.gateway import Route

DEFAULT = ""
_EXTRACTIVE = "extractive"
_KINDS = {"gemini": "Gemini, na nuvem", "gguf": "modelo local", "openai": "servidor compatível com OpenAI"}

_CHOSEN = "chosen by "
_REASONS = {
    "automatic: there is a Gemini key": "automático: há uma chave do Gemini",
    "automatic: an installed local model": "automático: há um modelo local instalado",
    "automatic: no model is installed or allowed": "automático: nenhum modelo instalado ou permitido",
}


def section() -> None:
    """Show which model holds, and set another in config.json."""
    automatic = "automático: nenhum modelo em config.json"
    while True:
        try:
            model = picker.pick("Modelo", _items(automatic), header=f"Em uso: {held(clinical=False)}")
        except Back:
            return
        argv = ["config", "set", "model", model] if model else ["config", "unset", "model"]
        try:
            menu_run.run_agreed(argv)
        except KeyboardInterrupt:
            continue


def choose(*, clinical: bool, default: str | None = None) -> str:
    """The name of a model to choose; DEFAULT leaves the choice to gemx, or to what `default` says. Raises Back."""
    return picker.pick("Modelo", _items(default or f"padrão: {held(clinical=clinical)}"))


def held(*, clinical: bool) -> str:
    """The model that holds where none is named, and why. Raises ConfigError."""
    found = _route(clinical=clinical)
    return f"{found} ({_why(found.reason)})"


def chosen(model: str, *, clinical: bool) -> str:
    """What a choice means, in a line."""
    return f"Modelo: {model}" if model else f"Modelo padrão: {held(clinical=clinical)}"


def leaves(model: str, *, clinical: bool) -> bool:
    """Whether what is asked may leave this machine, be it where another model takes over."""
    return any(each.provider not in (_EXTRACTIVE, "gguf") for each in _routes(clinical=clinical, model=model))


def _route(*, clinical: bool) -> Route:
    return _routes(clinical=clinical)[0]


def _routes(*, clinical: bool, model: str = DEFAULT) -> Sequence[Route]:
    from gemx import gateway, settings

    return gateway.make(settings.load(), model=model or None, clinical=clinical).routes


def _items(default: str) -> dict[str, str]:
    items = {DEFAULT: default, _EXTRACTIVE: f"{_EXTRACTIVE}  sem modelo: só trechos e contas"}
    return items | {name: f"{name}  {_kind(name)}" for name in _named()}


def _named() -> Iterator[str]:
    from gemx import settings
    from gemx.gateway import prices
    from gemx.models import registry

    yield from (f"gguf:{name}" for name in registry.installed())
    yield from (f"openai:{name}" for name in settings.load().config.endpoints)
    # what has no price of output gives none: it makes vectors
    for name, price in prices.load().models.items():
        if name.startswith("gemini:") and price.rates[-1].output is not None:
            yield name


def _why(reason: str) -> str:
    """A route's reason in pt-BR."""
    if reason.startswith(_CHOSEN):
        return f"escolhido por {reason.removeprefix(_CHOSEN)}"
    return _REASONS.get(reason, reason)


def _kind(name: str) -> str:
    return _KINDS[name.partition(":")[0]]
