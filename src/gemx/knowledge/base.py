"""Which base: a named one of the data directory, or that of a folder or file, kept in the cache."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from gemx import places
from gemx.errors import InputError, NotFoundError, UsageError

DEFAULT = "default"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_UNSAFE = re.compile(r"[^\w./-]+")
_SUFFIX = ".db"


@dataclass(frozen=True)
class Base:
    """A base: the name that its citations begin with, its database, and the stem of the files made of it.

    `source` is the folder or file that it mirrors, None where it is a named one.
    """

    name: str
    path: Path
    stem: str
    source: Path | None = None


def named(name: str, *, new: bool = False) -> Base:
    """A base by name; `new`: it need not be there yet. Raises UsageError on what is no name, NotFoundError."""
    if not _NAME.fullmatch(name):
        hint = "small letters, digits, - and _, 64 at most, such as protocolos"
        raise UsageError(f"{name!r} is no name for a knowledge base", hint=hint)
    base = Base(name, places.kb_dir() / f"{name}{_SUFFIX}", f"base-{name}")
    if new or places.is_file(base.path):
        return base
    from gemx.library import suggest

    hint = f"gemx kb add PATH{'' if name == DEFAULT else f' --kb {name}'} makes it"
    raise NotFoundError(f"no knowledge base {name!r}{suggest(name, names())}", hint=hint)


def names() -> list[str]:
    """The named bases."""
    folder = places.kb_dir()
    return sorted(path.stem for path in folder.glob(f"*{_SUFFIX}")) if folder.is_dir() else []


def of_path(path: Path) -> Base:
    """The base of a folder or file. Raises InputError where there is neither."""
    try:
        source = path.expanduser().resolve(strict=True)
    except (OSError, RuntimeError) as exc:
        raise InputError(f"no folder or file {path}", hint="give the path of one, or the name of a base") from exc
    key = hashlib.sha256(os.fsencode(source)).hexdigest()[:32]
    name = citable(source.stem if source.is_file() else source.name) or "kb"
    return Base(name, places.kb_cache_dir() / "folders" / f"{key}{_SUFFIX}", key, source)


def citable(name: str) -> str:
    """A name without what would break a citation in brackets."""
    return _UNSAFE.sub("-", name).strip("-/")
