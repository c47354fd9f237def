"""Resolve each setting, flag > environment > profile > config.json > default, and remember where its value came from.

Reads config.json and profiles; knows nothing of providers or of what is done with the values.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from gemx import library, places, strict_json
from gemx.errors import ConfigError, InvalidFileError, Problem
from gemx.library import Line, YamlModel

PROFILE_HEADER = "profile/v1"
DEFAULT_TIMEOUT = 300.0

Thinking = Literal["minimal", "low", "medium", "high"]
SchemaMode = Literal["json_schema", "json_object", "guided_json", "none"]
Temperature = Annotated[float, Field(ge=0, le=2)]
Timeout = Annotated[float, Field(gt=0, le=86_400)]
ModelName = Annotated[str, Field(min_length=1, max_length=300)]
Guard = Literal["off", "warn", "mask", "block"]
Network = Literal["machine", "site", "any"]
Dollars = Annotated[float, Field(gt=0, le=1_000_000)]


def _known_zone(name: str) -> str:
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as exc:
        raise ValueError(f"{name!r} is no time zone; for example America/Sao_Paulo") from exc
    return name


TimeZone = Annotated[str, AfterValidator(_known_zone)]


class _Json(BaseModel):
    # What was found is not quoted in an error: it may be a key, written in the wrong place.
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class EndpointConfig(_Json):
    """An OpenAI-compatible endpoint: where it is, its model, how it takes a schema, and whether it is on site.

    `reasoning` says that it takes `reasoning_effort`; `headers` are sent along, and hold no secret.
    """

    base_url: Annotated[str, Field(pattern=r"^https?://\S+$")]
    model: ModelName | None = None
    schema_mode: SchemaMode = Field(default="json_schema", alias="schema")
    site: bool = False
    reasoning: bool = False
    headers: dict[str, str] = {}
    api_key: KeySource | None = None


class KeySource(_Json):
    """Where a key is read: a variable, the output of a command (an argument list), or a file. Never the key itself."""

    env: Annotated[str, Field(min_length=1)] | None = None
    file: Annotated[str, Field(min_length=1)] | None = None
    command: Annotated[list[str], Field(min_length=1)] | None = None


class AuditConfig(_Json):
    """What the audit keeps of the texts: nothing, or keyed hashes."""

    content: Literal["none", "hash"] = "hash"


class HistoryConfig(_Json):
    """For how many days the texts of results are kept; 0 keeps none."""

    keep: Annotated[int, Field(ge=0, le=36_500)] = 30


class AutomationsConfig(_Json):
    """The guard of automations towards the cloud; `mask` is at the user's own risk."""

    guard: Literal["mask", "block"] = "block"


class BudgetConfig(_Json):
    """Caps in US dollars: of one command, of a day and of a month in the configured time zone."""

    command: Dollars | None = None
    daily: Dollars | None = None
    monthly: Dollars | None = None


class LimitConfig(_Json):
    """What a provider allows in a minute: requests and tokens."""

    rpm: Annotated[int, Field(ge=1)] | None = None
    tpm: Annotated[int, Field(ge=1)] | None = None


class RetryConfig(_Json):
    """How a call that failed for a while is tried again: `max_attempts` counts the first; the rest are seconds.

    The wait before try n is drawn from nought to `initial` * `factor` ** (n - 2), at most `max_interval`.
    """

    max_attempts: Annotated[int, Field(ge=1, le=100)] = 5
    initial: Annotated[float, Field(gt=0, le=3600)] = 1.0
    factor: Annotated[float, Field(ge=1, le=100)] = 2.0
    max_interval: Annotated[float, Field(gt=0, le=3600)] = 60.0
    max_elapsed: Annotated[float, Field(gt=0, le=86_400)] = 600.0


class RoutesConfig(_Json):
    """The model of each task; a request of more than `long_above` tokens is long."""

    text: ModelName | None = None
    image: ModelName | None = None
    audio: ModelName | None = None
    long: ModelName | None = None
    long_above: Annotated[int, Field(ge=1)] = 100_000


class Config(_Json):
    """The user's config.json."""

    model: ModelName | None = None
    profile: str | None = None
    allow_cloud: bool = False
    routes: RoutesConfig = RoutesConfig()
    fallback: list[ModelName] | None = None
    guard: Guard | None = None
    automations: AutomationsConfig = AutomationsConfig()
    network: Network | None = None
    budget: BudgetConfig = BudgetConfig()
    limits: dict[str, LimitConfig] = {}
    project: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    concurrency: Annotated[int, Field(ge=1, le=1000)] | None = None
    retry: RetryConfig = RetryConfig()
    timezone: TimeZone | None = None
    timeout: Timeout | None = None
    temperature: Temperature | None = None
    max_output_tokens: Annotated[int, Field(ge=1)] | None = None
    endpoints: dict[str, EndpointConfig] = {}
    keys: dict[Literal["gemini"], KeySource] = {}
    audit: AuditConfig = AuditConfig()
    history: HistoryConfig = HistoryConfig()


class Profile(YamlModel):
    """A named set of choices."""

    gemx: Literal["profile/v1"]
    title: Line
    model: ModelName | None = None
    temperature: Temperature | None = None
    max_output_tokens: Annotated[int, Field(ge=1)] | None = None
    thinking: Thinking | None = None
    timeout: Timeout | None = None
    system: Line | None = None
    guard: Guard | None = None
    network: Network | None = None
    fallback: list[ModelName] | None = None


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
        """The value of `model`, `temperature`, `max_output_tokens`, `thinking`, `timeout` or `system`."""
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


def load(profile: str | None = None) -> Settings:
    """Read config.json and the profile of the flag, of GEMX_PROFILE or of the config. Raises ConfigError."""
    config = load_config(places.config_file())
    name = profile or _named_profile(os.environ.get("GEMX_PROFILE") or config.profile)
    return Settings(config, load_profile(name) if name else None, name)


def _named_profile(name: str | None) -> str | None:
    # Only a flag may name a file of the current folder: what a folder holds must not choose a model by itself.
    if name and (name.endswith((".yaml", ".yml")) or "/" in name) and not places.user_path(name).is_absolute():
        raise ConfigError(f"the profile {name!r} is a relative path", hint="give a profile's name, or a whole path")
    return name


def load_profile(name: str) -> Profile:
    """A profile by name. Raises NotFoundError or InvalidFileError."""
    profile, _ = library.load(library.find("profiles", name).path, Profile, PROFILE_HEADER)
    return profile


def load_config(path: Path) -> Config:
    """The configuration, or the defaults where there is no file. Raises InvalidFileError."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Config()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"cannot read {path}: {exc}") from exc
    try:
        return Config.model_validate(_floats(strict_json.loads(text)))
    except ValidationError as exc:
        raise InvalidFileError([_problem(path, error) for error in exc.errors(include_url=False)]) from exc
    except ValueError as exc:
        line, column = getattr(exc, "lineno", 1), getattr(exc, "colno", 1)
        raise InvalidFileError([Problem(path, line, column, f"not JSON: {exc}")]) from exc


def _floats(value: Any) -> Any:
    from decimal import Decimal

    if isinstance(value, Mapping):
        return {key: _floats(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
    return float(value) if isinstance(value, Decimal) else value


def _problem(path: Path, error: Any) -> Problem:
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        near = library.suggest(str(error["loc"][-1]), _known_keys())
        return Problem(path, 0, 0, f"unknown key {where}{near}")
    return Problem(path, 0, 0, f"{where}: {error['msg']}" if where else error["msg"])


def _known_keys() -> list[str]:
    models = (Config, EndpointConfig, KeySource, AuditConfig, HistoryConfig, AutomationsConfig, BudgetConfig)
    models += (LimitConfig, RetryConfig, RoutesConfig)
    return [field.alias or name for model in models for name, field in model.model_fields.items()]


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


EndpointConfig.model_rebuild()
