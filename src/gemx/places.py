"""Where files live and with which modes: GEMX_HOME, or the XDG directories; and the data that the package ships.

Knows paths only, never what is in the files.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from gemx.errors import ConfigError, StorageError

DIRECTORY_MODE = 0o700
FILE_MODE = 0o600
_DRAFT = ".gemx-"
_KILLED_SECONDS = 3600.0

_XDG = {
    "config": ("XDG_CONFIG_HOME", ".config"),
    "state": ("XDG_STATE_HOME", ".local/state"),
    "data": ("XDG_DATA_HOME", ".local/share"),
    "cache": ("XDG_CACHE_HOME", ".cache"),
}


def config_dir() -> Path:
    """Configuration and profiles of the user."""
    return _place("config")


def state_dir() -> Path:
    """The audit log and other state."""
    return _place("state")


def data_dir() -> Path:
    """Models, history, knowledge bases and ledgers."""
    return _place("data")


def cache_dir() -> Path:
    """What can be made or fetched again."""
    return _place("cache")


def config_file() -> Path:
    """The user's config.json."""
    return config_dir() / "config.json"


def prices_file() -> Path:
    """The user's own prices of models."""
    return config_dir() / "prices.yaml"


def door_file() -> Path:
    """The database of what all processes of the user spend and ask for."""
    return state_dir() / "door.db"


def audit_dir() -> Path:
    """The folder of the daily audit files."""
    return state_dir() / "audit"


def history_file() -> Path:
    """The database of what was asked and answered."""
    return data_dir() / "history.db"


def ledgers_dir() -> Path:
    """The folder of what flows and batches did, a database a run."""
    return data_dir() / "flows"


def kb_dir() -> Path:
    """The folder of the knowledge bases, a database each."""
    return data_dir() / "kb"


def kb_cache_dir() -> Path:
    """What is made of knowledge bases and folders: matrices of vectors, and the bases of folders."""
    return cache_dir() / "kb"


def models_dir() -> Path:
    """The folder of installed GGUF models."""
    return data_dir() / "models"


def shipped(folder: str) -> Path:
    """A data folder that ships with gemx (`automations`, `profiles`, `templates`, `flows`, `prices`, `models`).

    A wheel carries it inside the package; an editable install leaves it at the repository's root.
    """
    inside = Path(__file__).parent / "_data" / folder
    return inside if inside.is_dir() else Path(__file__).parents[2] / folder


def ensure_private_dir(path: Path) -> Path:
    """Create a directory that only the user can read, parents included."""
    if path.is_dir():
        return path
    try:
        # `parents=True` would create the parents with the umask's mode.
        for folder in reversed([path, *path.parents]):
            if not folder.is_dir():
                folder.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
    except OSError as exc:
        raise StorageError(
            f"cannot create {path}: {exc.strerror}", hint="set GEMX_HOME to a folder that you can write to"
        ) from exc
    return path


def rewrite(path: Path, data: bytes) -> None:
    """Write a text that holds no secret in the place of a file, whole or not at all; its folder is there.

    A link goes on leading to its file, and one that is the user's keeps its mode. Raises StorageError.
    """
    try:
        target = path.resolve()
        found = target.stat() if target.exists() else None
    except (OSError, RuntimeError) as exc:
        # A link that leads to itself is a RuntimeError.
        raise StorageError(f"cannot write {path}: {getattr(exc, 'strerror', None) or exc}") from exc
    own = found is not None and found.st_uid == os.getuid()
    write_private(target, data, mode=stat.S_IMODE(found.st_mode) & 0o777 if found and own else FILE_MODE)


def write_private(path: Path, data: bytes | Iterable[bytes], *, new: bool = False, mode: int = FILE_MODE) -> None:
    """Write a file that only the user can read, or of another mode, whole or not at all; its folder is there.

    With `new` it must not be there yet. Raises StorageError.
    """
    import tempfile

    draft = ""
    try:
        descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=_DRAFT)
        with os.fdopen(descriptor, "wb") as file:
            file.writelines([data] if isinstance(data, bytes) else data)
            file.flush()
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        if new:
            path.hardlink_to(draft)
            Path(draft).unlink()
        else:
            Path(draft).replace(path)
        sweep(path.parent)
    except BaseException as exc:
        if draft:
            Path(draft).unlink(missing_ok=True)
        if isinstance(exc, OSError):
            raise StorageError(
                f"cannot write {path}: {exc.strerror}", hint="free some disk space, or write elsewhere"
            ) from exc
        raise


def sweep(folder: Path, seconds: float = _KILLED_SECONDS) -> None:
    """Remove the drafts of writers that were killed: those that are older, as none under way is."""
    oldest = time.time() - seconds
    for draft in folder.glob(f"{_DRAFT}*"):
        with contextlib.suppress(OSError):
            if draft.stat().st_mtime <= oldest:
                draft.unlink()


def user_path(text: str) -> Path:
    """A path as a user writes it; a `~` that names no user stays as it is, and is then not found."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)


def is_file(path: Path) -> bool:
    """Whether a file is there; a path that the system refuses (too long, not allowed) names none."""
    try:
        return path.is_file()
    except OSError:
        return False


def is_same_file(path: Path, other: Path) -> bool:
    """Whether two paths lead to one file that is there, links followed."""
    try:
        return path.samefile(other)
    except OSError:
        return False


def _place(kind: str) -> Path:
    if home := os.environ.get("GEMX_HOME"):
        return _below(home, kind) if home.startswith("/") else user_path(home).absolute() / kind
    variable, fallback = _XDG[kind]
    base = os.environ.get(variable, "")
    # The XDG specification has relative paths ignored.
    return (Path(base) if base.startswith("/") else _home() / fallback) / "gemx"


@lru_cache(maxsize=8)
def _below(home: str, kind: str) -> Path:
    return Path(home) / kind


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError as exc:
        raise ConfigError("no home directory is known", hint="set HOME or GEMX_HOME") from exc
