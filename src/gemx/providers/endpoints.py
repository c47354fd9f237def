"""Which OpenAI-compatible endpoint a model name means: one of config.json, or that of LLM_BASE_URL and LLM_API_KEY."""

from __future__ import annotations

import os

from gemx import keys, library
from gemx.errors import ConfigError
from gemx.providers.openai_compatible import Endpoint, Reach
from gemx.settings import Settings

_SCHEMA_MODES = ("json_schema", "json_object", "guided_json", "none")


def find(name: str, settings: Settings) -> tuple[Endpoint, str]:
    """The endpoint and the model that `openai:NAME` means. Raises ConfigError.

    NAME is an endpoint of config.json, `endpoint/model` for another of its models, or a model at LLM_BASE_URL.
    """
    endpoint_name, _, model = name.partition("/")
    configured = settings.config.endpoints.get(endpoint_name)
    if configured is None:
        return _from_environment(name, settings), name
    model = model or configured.model or ""
    if not model:
        hint = f"set endpoints.{endpoint_name}.model, or use openai:{endpoint_name}/MODEL"
        raise ConfigError(f"the endpoint {endpoint_name!r} names no model", hint=hint)
    return of_config(endpoint_name, settings), model


def reach(name: str, settings: Settings) -> Reach:
    """How far a call to `openai:NAME` goes; its key is not asked for. Raises ConfigError where no endpoint is known."""
    endpoint_name = name.partition("/")[0]
    if endpoint_name in settings.config.endpoints:
        return of_config(endpoint_name, settings, key=False).reach
    return _from_environment(name, settings).reach


def of_config(name: str, settings: Settings, *, key: bool = True) -> Endpoint:
    """An endpoint of config.json, without its key where that is not wanted. Raises ConfigError."""
    configured = settings.config.endpoints[name]
    return Endpoint(
        base_url=configured.base_url,
        api_key=keys.endpoint(name, settings) if key else None,
        schema=configured.schema_mode,
        site=configured.site,
        headers=tuple(configured.headers.items()),
        reasoning=configured.reasoning,
    )


def of_environment() -> Endpoint | None:
    """The endpoint of LLM_BASE_URL, or None where that is not set. Raises ConfigError."""
    base_url = os.environ.get("LLM_BASE_URL", "").strip()
    if not base_url:
        return None
    mode = os.environ.get("LLM_SCHEMA", "json_schema").strip()
    if mode not in _SCHEMA_MODES:
        raise ConfigError(f"LLM_SCHEMA={mode!r} is not known", hint=f"one of: {', '.join(_SCHEMA_MODES)}")
    return Endpoint(base_url, keys.from_variable("LLM_API_KEY"), mode)


def _from_environment(name: str, settings: Settings) -> Endpoint:
    endpoint = of_environment()
    if endpoint is None:
        known = settings.config.endpoints
        hint = f"endpoints in config.json: {', '.join(known) or 'none'}; or set LLM_BASE_URL"
        raise ConfigError(f"no endpoint {name!r}{library.suggest(name, known)}", hint=hint)
    return endpoint
