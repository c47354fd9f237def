"""Find local GGUF models: by path, or by the name of a file in the models folder. Never opens one."""

from __future__ import annotations

from pathlib import Path

from gemx import library, places
from gemx.errors import ModelNotFoundError

_SUFFIX = ".gguf"
_PROJECTOR = "mmproj"  # a part of another model, not one by itself


def installed() -> list[str]:
    """The names of the models in the models folder."""
    folder = places.models_dir()
    files = folder.glob(f"*{_SUFFIX}") if folder.is_dir() else ()
    return sorted(path.stem for path in files if path.is_file() and not path.name.startswith(_PROJECTOR))


def path_of(name: str) -> Path:
    """The file of a model's name or path. Raises ModelNotFoundError."""
    if name.endswith(_SUFFIX) or "/" in name:
        path = places.user_path(name)
        if places.is_file(path):
            return path
        raise ModelNotFoundError(f"no model file {path}", hint="give gguf: the path of a .gguf file")
    path = places.models_dir() / f"{name}{_SUFFIX}"
    if places.is_file(path):
        return path
    near = library.suggest(name, installed())
    hint = f"installed: {', '.join(installed()) or 'none'}; or give gguf: the path of a .gguf file"
    raise ModelNotFoundError(f"no installed model {name!r}{near}", hint=hint)
