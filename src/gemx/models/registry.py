"""Find local GGUF models: by path, or by the name of a file in the models folder. One that is broken is not given."""

from __future__ import annotations

from pathlib import Path

from gemx import library, places
from gemx.errors import ModelNotFoundError
from gemx.models import integrity, store
from gemx.models.store import PART, PROJECTOR, SUFFIX


def files() -> list[str]:
    """The names of the files in the models folder, links that lead to one included."""
    folder = places.models_dir()
    found = folder.glob(f"*{SUFFIX}") if folder.is_dir() else ()
    return sorted(path.stem for path in found if path.is_file() and not path.name.startswith(PROJECTOR))


def installed() -> list[str]:
    """The names of the models that can be loaded."""
    names = files()
    broken = {entry.name for entry in store.entries() if entry.state == "broken"} if names else set[str]()
    return [name for name in names if name not in broken]


def path_of(name: str) -> Path:
    """The file of a model's name or path. Raises ModelNotFoundError, and StorageError where it is broken."""
    if name.endswith(SUFFIX) or "/" in name:
        path = places.user_path(name)
        if not places.is_file(path):
            raise ModelNotFoundError(f"no model file {path}", hint="give gguf: the path of a .gguf file")
        _require(path.resolve())
        return path
    path = store.file_of(name)
    if places.is_file(path):
        _require(path.resolve())
        return path
    if store.get(name):
        raise ModelNotFoundError(
            f"the model {name} is not whole, or its file is gone", hint="gemx models list; install it again"
        )
    near = library.suggest(name, installed())
    hint = f"installed: {', '.join(installed()) or 'none'}; or give gguf: the path of a .gguf file"
    raise ModelNotFoundError(f"no installed model {name!r}{near}", hint=hint)


def _require(path: Path) -> None:
    if path.name.endswith(f"{SUFFIX}{PART}"):
        raise ModelNotFoundError(f"{path} is not whole", hint="gemx models install goes on with it")
    # Of before: what is changed while it is looked at is looked at again.
    stamp = integrity.stamp_of(path)
    if integrity.is_seen(path, stamp):
        return
    for entry in store.entries():
        if entry.path.resolve() == path:
            integrity.require(entry)
    integrity.see(path, stamp)
