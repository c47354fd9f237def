"""Resolve each setting, flag > environment > profile > config.json > default, and remember where its value came from.

Reads config.json and profiles; knows nothing of providers or of what is done with the values.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from gemx import configuration, library, places
from gemx.configuration import (
    Config,
    EndpointConfig,
    Guard,
    KeySource,
    LimitConfig,
    ModelName,
    Network,
    RetryConfig,
    RoutesConfig,
    SchemaMode,
    Temperature,
    Timeout,
)
from gemx.errors import ConfigError
from gemx.library import Line, YamlModel

__all__ = [
    "Config",
    "EndpointConfig",
    "Guard",
    "KeySource",
    "LimitConfig",
    "Network",
    "Profile",
    "RetryConfig",
    "RoutesConfig",
    "SchemaMode",
    "Setting",
    "Settings",
    "load",
    "load_config",
    "load_profile",
]

PROFILE_HEADER = "profile/v1"
DEFAULT_TIMEOUT = 300.0

load_config = configuration.load

Thinking = Literal["minimal", "low", "medium", "high"]
Instruction = Annotated[str, Field(min_length=1, max_length=20_000, pattern=r"\S")]
Language = Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$", max_length=35)]

# What holds where neither config.json nor a profile says anything.
DEFAULTS: Mapping[str, Any] = {"timeout": DEFAULT_TIMEOUT, "guard": "warn", "network": "any", "concurrency": 20}

# What models know better by name than by tag.
_LANGUAGES = {
    "pt-BR": "Brazilian Portuguese",
    "pt-PT": "European Portuguese",
    "pt": "Portuguese",
    "en": "English",
    "es": "Spanish",
    "fr": "French",
    "de": "German",
    "it": "Italian",
}


def _said(text: str) -> Any:
    return Field(default=None, description=text)


class Profile(YamlModel):
    """A named set of choices.

    `persona` (who the model is), `system` (what it heeds) and `language` (a BCP 47 tag, such as pt-BR) make the system
    instruction together.
    """

    gemx: Literal["profile/v1"]
    title: Annotated[Line, Field(description="what a person reads in lists")]
    model: ModelName | None = _said("the model: gemini:NAME, gguf:NAME, openai:NAME or extractive")
    temperature: Temperature | None = _said("how freely a model phrases, from 0 to 2")
    max_output_tokens: Annotated[int, Field(ge=1)] | None = _said("the longest answer, in tokens")
    thinking: Thinking | None = _said("how long a model thinks before it answers")
    timeout: Timeout | None = _said("the time for a whole command, in seconds")
    persona: Instruction | None = _said("who the model is")
    system: Instruction | None = _said("what it heeds")
    language: Language | None = _said("the language of its answers, a BCP 47 tag such as pt-BR")
    guard: Guard | None = _said("what is done about identifiers; the strictest holds")
    network: Network | None = _said("how far data may go; the narrowest holds")
    fallback: list[ModelName] | None = _said("models that take over, in order, where the chosen one fails")


@dataclass(frozen=True)
class Setting:
    """A value and where it came from, as a person would look for it."""

    value: Any
    source: str


class Settings:
    """Every setting of one command."""

    def __init__(self, config: Config, profile: Profile | None, profile_name: str | None) -> None:
        self.config = config
        self.profile = profile
        self.profile_name = profile_name

    def resolve(self, name: str, flag: Any = None) -> Setting:
        """The value of a setting that config.json or a profile may hold, such as `model`, `timeout` or `system`."""
        if flag is not None:
            return Setting(flag, "flag")
        variable = f"GEMX_{name.upper()}"
        if name in ("model", "timeout") and os.environ.get(variable):
            return Setting(_from_environment(name, variable), variable)
        if (value := getattr(self.profile, name, None)) is not None:
            return Setting(value, f"profile {self.profile_name}")
        if (value := getattr(self.config, name, None)) is not None:
            return Setting(value, "config.json")
        return Setting(DEFAULT_TIMEOUT if name == "timeout" else None, "default")

    def instruction(self, flag: str | None = None) -> str | None:
        """The system instruction: of a flag or a template, else of the profile; its persona and language always."""
        profile = self.profile
        system = self.resolve("system", flag).value
        return composed(system, profile.persona if profile else None, profile.language if profile else None)


def composed(system: str | None, persona: str | None = None, language: str | None = None) -> str | None:
    """The system instruction of its three parts, each a paragraph; None where there are none."""
    said = f"Answer in {named_language(language)}." if language else ""
    parts = [part.strip() for part in (persona, system, said) if part and part.strip()]
    return "\n\n".join(parts) or None


def named_language(tag: str) -> str:
    """A language as a model is told of it: its name and tag, or the tag alone."""
    names = {key.lower(): name for key, name in _LANGUAGES.items()}
    name = names.get(tag.lower()) or names.get(tag.lower().partition("-")[0])
    return f"{name} ({tag})" if name else f"the language of the tag {tag}"


def load(profile: str | None = None) -> Settings:
    """Read config.json and the profile of the flag, of GEMX_PROFILE or of the config. Raises ConfigError."""
    config = configuration.load(places.config_file())
    name = profile or _named_profile(os.environ.get("GEMX_PROFILE") or config.profile)
    return Settings(config, load_profile(name) if name else None, name)


def profile_source(resolved: Settings) -> str:
    """Where the name of the profile came from; only of settings that were loaded without a flag."""
    if os.environ.get("GEMX_PROFILE"):
        return "GEMX_PROFILE"
    return "config.json" if resolved.config.profile else "default"


def _named_profile(name: str | None) -> str | None:
    # Only a flag may name a file of the current folder: what a folder holds must not choose a model by itself.
    if name and (name.endswith((".yaml", ".yml")) or "/" in name) and not places.user_path(name).is_absolute():
        raise ConfigError(f"the profile {name!r} is a relative path", hint="give a profile's name, or a whole path")
    return name


def check_profile(name: str) -> None:
    """Raise ConfigError on a profile that config.json or the environment cannot name, or that is not valid."""
    load_profile(_named_profile(name) or name)


def load_profile(name: str) -> Profile:
    """A profile by name. Raises NotFoundError or InvalidFileError."""
    profile, _ = library.load(library.find("profiles", name).path, Profile, PROFILE_HEADER)
    return profile


def _from_environment(name: str, variable: str) -> Any:
    text = os.environ[variable]
    if name == "model":
        return text
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 86_400:
        raise ConfigError(f"{variable}={text!r} is not a number of seconds", hint="for example 120")
    return seconds
