"""Choose the provider and model of a call, and those that take over from it, and say why. Calls nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gemx import keys, plugins, providers
from gemx.errors import ConfigError, UsageError
from gemx.library import suggest
from gemx.models import registry
from gemx.providers import REACHES
from gemx.providers.base import Reach, Request
from gemx.settings import RoutesConfig, Setting, Settings

Task = Literal["text", "image", "audio", "long"]

DEFAULT_GEMINI = "gemini-3.8-flash"
_MEDIA_TASKS: tuple[Task, ...] = ("image", "audio")


@dataclass(frozen=True)
class Route:
    """A provider, its model, and why they were chosen; `notes` say what was passed over, for the user to read."""

    provider: str
    model: str
    reason: str
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.provider if self.provider == "extractive" else f"{self.provider}:{self.model}"


def task_of(request: Request, tokens: int, routes: RoutesConfig) -> Task:
    """What kind of work a request of about so many tokens is."""
    if any(part.mime_type.startswith("audio/") for part in request.media):
        return "audio"
    if request.media:
        return "image"
    return "long" if tokens > routes.long_above else "text"


def choose(
    settings: Settings,
    flag: str | None = None,
    *,
    task: Task = "text",
    clinical: bool = False,
    network: Reach = "any",
    named: Setting | None = None,
    own: Setting | None = None,
) -> Route:
    """The route of a call: `flag` (-m) > `named` > GEMX_MODEL > profile > `own` > routes of config.json > its model >
    automatic.

    `named` is the model that a step of a flow names; `own` is that of the conversation that is continued.

    A clinical call leaves for the cloud only where the flag names the model or config.json says `allow_cloud`: a key or
    a profile is no consent to send a patient. What the flag names is never passed over; the door refuses it where it
    lies beyond `network`. Raises UsageError or ConfigError on a name that says no known provider.
    """
    setting = named if named and flag is None else _setting(settings, flag, task, own)
    if setting.value is None:
        return _automatic(settings, task, clinical=clinical, network=network)
    provider, model = _parsed(setting)
    if setting.source == "flag":
        return Route(provider, model, "chosen by flag")
    reach = providers.reach(provider, model, settings) if clinical or network != "any" else "machine"
    if objection := _objection(reach, settings, clinical=clinical, network=network):
        automatic = _automatic(settings, task, clinical=clinical, network=network)
        note = f"{setting.value} ({setting.source}) not used: {objection}"
        return Route(automatic.provider, automatic.model, automatic.reason, (note,))
    return Route(provider, model, f"chosen by {setting.source}")


def fallbacks(
    settings: Settings,
    flags: Sequence[str],
    first: Route,
    *,
    clinical: bool = False,
    network: Reach = "any",
) -> tuple[tuple[Route, ...], tuple[str, ...]]:
    """The routes that take over from `first`, in order, and notes on those that may not.

    They are those of `flags` (--fallback), else of the profile, else of config.json. From a model of this machine or
    site none leads to the cloud, unless the flag names it or config.json says `allow_cloud`; of an automation, the
    flag is not enough. Raises UsageError or ConfigError.
    """
    setting = settings.resolve("fallback", list(flags) or None)
    names: Sequence[str] = setting.value or ()
    found: list[Route] = []
    notes: list[str] = []
    stays = bool(names) and _reach(first, settings) != "any"
    for name in names:
        provider, model = _parsed(Setting(name, setting.source))
        reach = providers.reach(provider, model, settings)
        objection = _objection(reach, settings, clinical=clinical, network=network)
        if not objection and reach == "any" and stays and setting.source != "flag" and not settings.config.allow_cloud:
            objection = f"{first} stays off the cloud, and so do its fallbacks without allow_cloud"
        route = Route(provider, model, f"fallback of {first}")
        if str(route) in (str(first), *map(str, found)):
            objection = "it is asked already"
        if objection:
            notes.append(f"fallback {name} ({setting.source}) not used: {objection}")
        else:
            found.append(route)
    return tuple(found), tuple(notes)


def parse(name: str) -> tuple[str, str]:
    """`provider:model` as its parts. Raises UsageError."""
    provider, _, model = name.partition(":")
    if keys.redact(name) != name:
        raise UsageError("what stands in the place of a model looks like an API key", hint="gemx config set-key gemini")
    if not providers.is_known(provider):
        forms = "a model is gemini:NAME, gguf:NAME or gguf:PATH.gguf, openai:NAME, or extractive"
        hint = plugins.not_enabled("provider", provider) or forms
        raise UsageError(f"unknown provider {provider!r}{suggest(provider, providers.NAMES)}", hint=hint)
    if provider != "extractive" and not model:
        raise UsageError(f"{name!r} names no model", hint=f"for example {provider}:NAME")
    if provider == "extractive" and model:
        raise UsageError("extractive has no models", hint="use -m extractive")
    return provider, model or "extractive"


def is_within(reach: Reach, network: Reach) -> bool:
    """Whether data that goes so far stays within the network that is allowed."""
    return REACHES.index(reach) <= REACHES.index(network)


def _setting(settings: Settings, flag: str | None, task: Task, own: Setting | None) -> Setting:
    setting = settings.resolve("model", flag)
    if setting.source not in ("config.json", "default"):
        return setting
    if own is not None:
        return own
    routed = getattr(settings.config.routes, task)
    return Setting(routed, f"config.json routes.{task}") if routed is not None else setting


def _parsed(setting: Setting) -> tuple[str, str]:
    try:
        return parse(setting.value)
    except UsageError as exc:
        if setting.source == "flag":
            raise
        raise ConfigError(f"{setting.source}: {exc.message}", hint=exc.hint) from exc


def _objection(reach: Reach, settings: Settings, *, clinical: bool, network: Reach) -> str | None:
    """Why a model that no flag names may not be used, if it may not."""
    if not is_within(reach, network):
        return f"it lies beyond the network that is allowed ({network})"
    if clinical and reach == "any" and not settings.config.allow_cloud:
        return "automations stay off the cloud without -m or allow_cloud"
    return None


def _reach(route: Route, settings: Settings) -> Reach:
    return providers.reach(route.provider, route.model, settings)


def _automatic(settings: Settings, task: Task, *, clinical: bool, network: Reach) -> Route:
    if network == "any" and (settings.config.allow_cloud or not clinical) and keys.gemini(settings):
        return Route("gemini", DEFAULT_GEMINI, "automatic: there is a Gemini key")
    # whether a local model sees or hears is not known before it is loaded: a route of config.json says so
    installed = registry.installed() if task not in _MEDIA_TASKS else []
    if installed:
        return Route("gguf", installed[0], "automatic: an installed local model")
    return Route("extractive", "extractive", "automatic: no model is installed or allowed")
