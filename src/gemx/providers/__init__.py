"""The providers, each imported only when it is used, and opened once a process."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, Literal, cast

from gemx.providers.base import Provider, Reach
from gemx.settings import Settings

ProviderName = Literal["gemini", "gguf", "openai", "extractive"]
REACHES: tuple[Reach, ...] = ("machine", "site", "any")
NAMES: tuple[ProviderName, ...] = ("gemini", "gguf", "openai", "extractive")

_open: dict[Any, Provider] = {}


def connect(name: ProviderName, model: str, settings: Settings) -> tuple[Provider, str]:
    """The adapter, and the name by which it knows the model. Raises GemxError."""
    return {"gemini": _gemini, "gguf": _gguf, "openai": _openai, "extractive": _extractive}[name](model, settings)


def reach(name: ProviderName, model: str, settings: Settings) -> Reach:
    """Where the data of a call would go. Raises ConfigError where an endpoint is not known."""
    if name != "openai":
        # Gemini is the cloud whatever its base URL.
        return "any" if name == "gemini" else "machine"
    from gemx.providers import endpoints

    return endpoints.reach(model, settings)


def close_all() -> None:
    """Close every adapter that this process opened."""
    with contextlib.ExitStack() as closing:
        for provider in _open.values():
            closing.callback(provider.close)
        _open.clear()


def _once(identity: Any, opener: Callable[[], object]) -> Provider:
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
