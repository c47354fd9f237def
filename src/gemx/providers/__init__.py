"""The providers, each imported only when it is used, and opened once a process; those of plugins come last."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable
from typing import Any, cast

from gemx import plugins
from gemx.errors import UsageError
from gemx.plugins import Offer
from gemx.providers.base import Provider, Reach
from gemx.settings import Settings

REACHES: tuple[Reach, ...] = ("machine", "site", "any")
NAMES = ("gemini", "gguf", "openai", "extractive")

_open: dict[Any, Provider] = {}
_opening = threading.Lock()

# httpx loads its own command line where it finds Rich, and Rich with it.
sys.modules.setdefault("httpx._main", cast("Any", None))


def is_known(name: str) -> bool:
    """Whether there is a provider of that name, of gemx or of an enabled plugin. Raises ConfigError."""
    return name in NAMES or plugins.find("provider", name) is not None


def connect(name: str, model: str, settings: Settings) -> tuple[Provider, str]:
    """The adapter, and the name by which it knows the model. Raises GemxError."""
    own = {"gemini": _gemini, "gguf": _gguf, "openai": _openai, "extractive": _extractive}.get(name)
    return own(model, settings) if own else _plugin(name, model)


def reach(name: str, model: str, settings: Settings) -> Reach:
    """Where the data of a call would go. Raises ConfigError where an endpoint is not known or a plugin is broken."""
    if name in ("gemini", "gguf", "extractive"):
        # Gemini is the cloud whatever its base URL.
        return "any" if name == "gemini" else "machine"
    if name == "openai":
        from gemx.providers import endpoints

        return endpoints.reach(model, settings)
    from gemx.providers import plugin

    return plugin.reach(_offer(name))


def check_plugin(offer: Offer) -> None:
    """Load a plugin's provider without opening it. Raises PluginError."""
    from gemx.providers import plugin

    plugin.factory(offer)


def close_all() -> None:
    """Close every adapter that this process opened."""
    with contextlib.ExitStack() as closing:
        for provider in _open.values():
            closing.callback(provider.close)
        _open.clear()


def abandon_all() -> None:
    """Have the calls that other threads wait for end now: those over HTTP, and that of a local engine."""
    from gemx.providers import wire

    wire.abandon()
    if engine := _open.get("gguf"):
        engine.close()


def _once(identity: Any, opener: Callable[[], object]) -> Provider:
    with _opening:
        if identity not in _open:
            _open[identity] = cast("Provider", opener())
        return _open[identity]


def _gemini(model: str, settings: Settings) -> tuple[Provider, str]:
    from gemx import keys

    key = keys.require_gemini(settings)
    from gemx.providers.gemini import Gemini

    return _once(("gemini", key), lambda: Gemini(key)), model


def _gguf(model: str, settings: Settings) -> tuple[Provider, str]:
    from gemx.models import registry
    from gemx.providers.llama_cpp import LlamaCpp

    return _once("gguf", LlamaCpp), str(registry.path_of(model))


def _openai(model: str, settings: Settings) -> tuple[Provider, str]:
    from gemx.providers import endpoints
    from gemx.providers.openai_compatible import OpenAICompatible

    endpoint, name = endpoints.find(model, settings)
    return _once(("openai", endpoint), lambda: OpenAICompatible(endpoint)), name


def _extractive(model: str, settings: Settings) -> tuple[Provider, str]:
    from gemx.providers.extractive import MODEL, Extractive

    return _once("extractive", Extractive), MODEL


def _plugin(name: str, model: str) -> tuple[Provider, str]:
    from gemx.providers import plugin

    offer = _offer(name)
    return _once(("plugin", offer.plugin, name), lambda: plugin.opened(offer)), model


def _offer(name: str) -> Offer:
    offer = plugins.find("provider", name)
    if offer is None:
        raise UsageError(f"unknown provider {name!r}", hint="gemx plugins list shows what plugins offer")
    return offer
