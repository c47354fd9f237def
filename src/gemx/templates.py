"""Render a prompt from a Jinja2 template, in the sandbox; a variable that was not given is an error.

Also reads the shipped and the user's named templates. Knows nothing of models or of clinical data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from jinja2 import StrictUndefined, TemplateSyntaxError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import Field, field_validator

from gemx import library, places
from gemx.errors import ConfigError
from gemx.library import Line, YamlModel

HEADER = "template/v1"
_MOST_TEXT = 1_000_000


class Template(YamlModel):
    """A named prompt: a system instruction and a prompt, with the variables that they take."""

    gemx: Literal["template/v1"]
    title: Line
    language: Line = "pt-BR"
    system: str | None = None
    prompt: Annotated[str, Field(min_length=1)]

    @field_validator("system", "prompt")
    @classmethod
    def _parses(cls, text: str | None) -> str | None:
        if text is not None:
            variables(text)
        return text


def load_shipped(name: str) -> Template:
    """A template of gemx itself, which no file of the user's or of the current folder replaces."""
    template, _ = library.load(places.shipped("templates") / f"{name}.yaml", Template, HEADER)
    return template


def variables(text: str) -> frozenset[str]:
    """The variables that a template text reads. Raises ValueError where it does not parse."""
    try:
        return frozenset(meta.find_undeclared_variables(_environment().parse(text)))
    except TemplateSyntaxError as exc:
        raise ValueError(f"template syntax, line {exc.lineno}: {exc.message}") from exc
    except RecursionError as exc:
        raise ValueError("template nested too deeply") from exc


def render(text: str, values: Mapping[str, Any]) -> str:
    """Render a template text. Raises ConfigError that names every variable that is missing."""
    try:
        missing = sorted(variables(text) - set(values))
    except ValueError as exc:
        raise ConfigError(str(exc)) from exc
    if missing:
        raise ConfigError(f"the template needs: {', '.join(missing)}", hint="give each a value")
    try:
        rendered = _environment().from_string(text).render(values)
    except Exception as exc:
        # Whatever the expressions of a template raise is the template's fault.
        raise ConfigError(f"the template cannot be rendered: {exc}") from exc
    if len(rendered) > _MOST_TEXT:
        raise ConfigError(f"the template renders to more than {_MOST_TEXT} characters")
    return rendered


def _environment() -> ImmutableSandboxedEnvironment:
    # The rendered text is a prompt, not HTML: escaping would change what the model reads.
    return ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=False)
