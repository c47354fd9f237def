"""What one call may do and how: merged from flags, profile and config.json before the door is reached."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from gemx.errors import UsageError
from gemx.gateway import route as routing
from gemx.gateway.route import Route
from gemx.library import suggest
from gemx.providers.base import Options
from gemx.settings import Settings

_CONFIGURABLE = ("temperature", "max_output_tokens", "thinking")
_LEVELS = ("minimal", "low", "medium", "high")


@dataclass(frozen=True)
class _Number:
    kind: type[int] | type[float]
    low: float
    high: float


_NUMBERS = {
    "temperature": _Number(float, 0, 2),
    "top_p": _Number(float, 0, 1),
    "seed": _Number(int, 0, 2**31 - 1),
    "max_output_tokens": _Number(int, 1, 10**6),
    "timeout": _Number(float, 0.001, 86_400),
    "context": _Number(int, 16, 10**8),
    "gpu_layers": _Number(int, -1, 10**4),
}


@dataclass(frozen=True)
class Policy:
    """The route of a call, the options that were asked for, and those that hold where the provider knows them.

    `asked` comes from flags and is refused by a provider that cannot honour it; `defaults` come from a profile or
    config.json, and concern the providers that have such an option.
    """

    route: Route
    settings: Settings
    asked: Options
    defaults: Options

    def options(self, honoured: frozenset[str]) -> Options:
        """The options of a call to a provider that honours these."""
        held = {name: value for name, value in self.defaults.given().items() if name in honoured}
        return replace(self.asked, **{**held, **self.asked.given()})


def make(
    settings: Settings, *, model: str | None = None, options: dict[str, str] | None = None, clinical: bool = False
) -> Policy:
    """The policy of a command: `model` is -m and `options` are -o. Raises UsageError or ConfigError."""
    asked = parse_options(options or {})
    if "timeout" not in (options or {}):
        asked = replace(asked, timeout=float(settings.resolve("timeout").value))
    defaults = Options(**{name: settings.resolve(name).value for name in _CONFIGURABLE})
    return Policy(routing.choose(settings, model, clinical=clinical), settings, asked, defaults)


def parse_options(given: dict[str, str]) -> Options:
    """Model options from text. Raises UsageError that names the option, its form and its bounds."""
    known = [item.name for item in fields(Options)]
    for name in given:
        if name not in known:
            raise UsageError(f"unknown option {name!r}{suggest(name, known)}", hint=f"options: {', '.join(known)}")
    return Options(**{name: _option(name, text) for name, text in given.items()})


def _option(name: str, text: str) -> Any:
    if name == "thinking" and text not in _LEVELS:
        raise UsageError(f"-o thinking={text} is not a level", hint=f"one of: {', '.join(_LEVELS)}")
    if name not in _NUMBERS:
        return text
    form = _NUMBERS[name]
    try:
        value = form.kind(text)
    except ValueError:
        value = None
    if value is None or not form.low <= value <= form.high:
        kind = "a whole number" if form.kind is int else "a number"
        raise UsageError(f"-o {name}={text}: expected {kind} from {form.low} to {form.high}")
    return value
