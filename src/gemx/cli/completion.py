"""What a shell offers when the tab key is pressed: names of models, automations, profiles and templates.

Reads the names of files alone: the answer is waited for at every key, and what is in them is not needed for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from gemx.errors import GemxError

_PROVIDERS = ("gemini:", "gguf:", "openai:", "extractive")
_SUFFIXES = (".yaml", ".yml")
# What automations share, and the frame of their prompts.
_NOT_OFFERED = {"automations": ("inputs", "rules", "vocabulary"), "templates": ("automacao",)}


def models(incomplete: str) -> list[str]:
    """Installed models and endpoints by their whole names, and the beginnings of the others."""
    found = [*_PROVIDERS, *(f"gguf:{name}" for name in _installed()), *(f"openai:{name}" for name in _endpoints())]
    return _beginning(incomplete, found)


def automations(incomplete: str) -> list[str]:
    """Automations of the current folder, of the user and of gemx."""
    return _beginning(incomplete, _named("automations", Path("automations")))


def templates(incomplete: str) -> list[str]:
    """Templates of the current folder, of the user and of gemx."""
    return _beginning(incomplete, _named("templates", Path("templates")))


def profiles(incomplete: str) -> list[str]:
    """Profiles of the user and of gemx; the current folder has none."""
    return _beginning(incomplete, _named("profiles"))


def owners(incomplete: str) -> list[str]:
    """Whose key can be set."""
    return _beginning(incomplete, ["gemini", *_endpoints()])


def _named(kind: Literal["automations", "templates", "profiles"], *nearer: Path) -> Iterator[str]:
    for folder in (*nearer, *_folders(kind)):
        for path in folder.glob("*"):
            if path.suffix in _SUFFIXES and path.stem not in _NOT_OFFERED.get(kind, ()):
                yield path.stem


def _folders(kind: str) -> list[Path]:
    from gemx import places

    try:
        return [places.config_dir() / kind, places.shipped(kind)]
    except GemxError:
        return [places.shipped(kind)]


def _installed() -> list[str]:
    from gemx import places

    try:
        return [path.stem for path in places.models_dir().glob("*.gguf") if not path.name.startswith("mmproj")]
    except GemxError:
        return []


def _endpoints() -> list[str]:
    import json

    from gemx import places

    try:
        config = json.loads(places.config_file().read_text(encoding="utf-8"))
        return [str(name) for name in config.get("endpoints", {})]
    except (GemxError, OSError, ValueError, AttributeError, TypeError):
        # What is wrong with it is said by the command itself.
        return []


def _beginning(incomplete: str, names: Iterator[str] | list[str]) -> list[str]:
    return sorted({name for name in names if name.startswith(incomplete)})
