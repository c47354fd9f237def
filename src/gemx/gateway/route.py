"""Choose the provider and model of a call, and say why. Opens nothing and calls nothing."""

from __future__ import annotations

from dataclasses import dataclass

from gemx import keys, providers
from gemx.errors import ConfigError, UsageError
from gemx.library import suggest
from gemx.models import registry
from gemx.providers import ProviderName
from gemx.settings import Settings


@dataclass(frozen=True)
class Route:
    """A provider, its model, and why they were chosen; `notes` say what was passed over, for the user to read."""

    provider: ProviderName
    model: str
    reason: str
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.provider if self.provider == "extractive" else f"{self.provider}:{self.model}"


def choose(settings: Settings, flag: str | None = None, *, clinical: bool = False) -> Route:
    """The route of a call: `flag` (-m) > GEMX_MODEL > profile > config.json > automatic.

    A clinical call leaves for the cloud only where the flag names the model or config.json says `allow_cloud`: a key or
    a profile is no consent to send a patient. Raises UsageError on a name that says no known provider.
    """
    setting = settings.resolve("model", flag)
    if setting.value is None:
        return _automatic(settings, clinical=clinical)
    try:
        provider, model = parse(setting.value)
    except UsageError as exc:
        if setting.source == "flag":
            raise
        raise ConfigError(f"{setting.source}: {exc.message}", hint=exc.hint) from exc
    if setting.source == "flag" or not clinical or _may_leave(provider, model, settings):
        return Route(provider, model, f"chosen by {setting.source}")
    note = f"{setting.value} ({setting.source}) not used: automations stay off the cloud without -m or allow_cloud"
    automatic = _automatic(settings, clinical=True)
    return Route(automatic.provider, automatic.model, automatic.reason, (note,))


def parse(name: str) -> tuple[ProviderName, str]:
    """`provider:model` as its parts. Raises UsageError."""
    provider, _, model = name.partition(":")
    if provider not in providers.NAMES:
        hint = "a model is gemini:NAME, gguf:NAME or gguf:PATH.gguf, openai:NAME, or extractive"
        raise UsageError(f"unknown provider {provider!r}{suggest(provider, providers.NAMES)}", hint=hint)
    if provider != "extractive" and not model:
        raise UsageError(f"{name!r} names no model", hint=f"for example {provider}:NAME")
    if provider == "extractive" and model:
        raise UsageError("extractive has no models", hint="use -m extractive")
    return provider, model or "extractive"


def _may_leave(provider: ProviderName, model: str, settings: Settings) -> bool:
    return settings.config.allow_cloud or providers.reach(provider, model, settings) != "any"


def _automatic(settings: Settings, *, clinical: bool) -> Route:
    if (settings.config.allow_cloud or not clinical) and keys.gemini(settings):
        return Route("gemini", DEFAULT_GEMINI, "automatic: there is a Gemini key")
    installed = registry.installed()
    if installed:
        return Route("gguf", installed[0], "automatic: an installed local model")
    return Route("extractive", "extractive", "automatic: no model is installed or allowed")


DEFAULT_GEMINI = "gemini-3.8-flash"
