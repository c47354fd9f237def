"""API keys: from the environment, a file or a command, as config.json says; never from config.json itself.

A key is returned to the caller and to no one else: it is never logged and never part of a message.
"""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path

from gemx import places
from gemx.errors import AuthenticationError, ConfigError
from gemx.settings import KeySource, Settings

_given: set[str] = set()
_GEMINI_VARIABLES = ("GEMINI_API_KEY", "GOOGLE_API_KEY")
_COMMAND_SECONDS = 30


def gemini(settings: Settings) -> str | None:
    """The key for Gemini, or None where there is none. Raises ConfigError where the configured source fails."""
    for variable in _GEMINI_VARIABLES:
        if key := from_variable(variable):
            return key
    source = settings.config.keys.get("gemini")
    return read(source, "keys.gemini") if source else None


def require_gemini(settings: Settings) -> str:
    """The key for Gemini. Raises AuthenticationError where there is none."""
    key = gemini(settings)
    if key is None:
        hint = "set GEMINI_API_KEY, or keys.gemini in config.json; `-m extractive` needs no key"
        raise AuthenticationError("there is no key for Gemini", hint=hint)
    return key


def read(source: KeySource, name: str) -> str:
    """The key that a source of config.json points to. Raises ConfigError where there is none."""
    key = ""
    if source.env:
        key = from_variable(source.env) or ""
    if not key and source.file:
        key = _from_file(places.user_path(source.file), name)
    if not key and source.command:
        key = _from_command(tuple(source.command), name)
    if not key:
        raise ConfigError(f"{name}: no key was found there", hint="give env, file or command a source that has one")
    return _remembered(key)


def redact(text: str) -> str:
    """The text without any key that this process has handed out: the last guard before something is printed."""
    for key in _given:
        text = text.replace(key, "[key]")
    return text


def from_variable(variable: str) -> str | None:
    """The key in an environment variable, or None."""
    key = os.environ.get(variable, "").strip()
    return _remembered(key) if key else None


def _remembered(key: str) -> str:
    _given.add(key)
    return key


def _from_file(path: Path, name: str) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{name}: cannot read the key's file {path}") from exc


@cache
def _from_command(command: tuple[str, ...], name: str) -> str:
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_COMMAND_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError) as exc:
        # The output may hold the key: only the command's name is told.
        raise ConfigError(f"{name}: the command {command[0]!r} gave no key") from exc
    return done.stdout.strip()
