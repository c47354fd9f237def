"""Find, read, keep and remove named templates: of the current folder, of the configuration, and those that ship."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from gemx import library, places
from gemx.errors import GemxError, InvalidFileError, NotFoundError, StorageError, UsageError
from gemx.library import Found
from gemx.templates.schema import HEADER, NAME_PATTERN, Template

# What automations and questions to a knowledge base are put in: no prompts of their own.
_FRAMES = ("automacao", "pergunta")


@dataclass(frozen=True)
class Named:
    """A template, the file that it was read from, and the hash of that file's bytes."""

    name: str
    template: Template
    found: Found
    sha256: str

    @property
    def path(self) -> Path | None:
        """Its file, where it does not ship with gemx."""
        return None if self.found.origin == "gemx" else self.found.path.absolute()

    @property
    def about(self) -> dict[str, str | None]:
        """The template as the audit names it: the fields of an Origin."""
        return {
            "template": self.name,
            "template_version": self.template.version,
            "template_sha256": self.sha256,
            "template_path": str(self.path) if self.path else None,
        }


def load_file(path: Path) -> tuple[Template, str]:
    """A template from a file, and the hash of its bytes. Raises InvalidFileError."""
    return _validated(library.read(path))


def load_text(text: str, path: Path) -> Template:
    """A template from a text that is to become the file `path`. Raises InvalidFileError."""
    return _validated(library.parse(text.encode("utf-8"), path))[0]


@cache
def load_shipped(name: str) -> Template:
    """A template of gemx itself, which no file of the user's or of the current folder replaces."""
    return load_file(places.shipped("templates") / f"{name}.yaml")[0]


def load(name: str) -> Named:
    """A template by name or path. Raises NotFoundError or InvalidFileError."""
    found = find(name)
    template, sha256 = load_file(found.path)
    return Named(found.name, template, found, sha256)


def find(name: str) -> Found:
    """The file of a template's name or path. Raises NotFoundError."""
    if name.endswith((".yaml", ".yml")) or "/" in name:
        return library.find("templates", name)
    known = {found[0].name: found[0] for found in listing()}
    if name not in known:
        near = library.suggest(name, known)
        raise NotFoundError(f"no template named {name!r}{near}", hint="gemx templates list shows them")
    return known[name]


def listing() -> list[tuple[Found, ...]]:
    """Every template's name with its files: the one that is used, then those that it hides."""
    return [found for found in library.shelves("templates") if not _is_frame(found[0])]


def own_file(name: str) -> Path:
    """The file of a user's template of this name, there or to be. Raises UsageError on what is no name."""
    if not re.fullmatch(NAME_PATTERN, name):
        hint = "letters a to z, digits, - and _, 64 at most, not starting with - or _"
        raise UsageError(f"{name!r} is no name for a template", hint=hint)
    if name in _FRAMES:
        raise UsageError(f"{name!r} is a name of gemx's own", hint="choose another name")
    return library.user_file("templates", name)


def new_file(name: str) -> Path:
    """The file that a new template of this name is written to. Raises UsageError where there is one already."""
    path = own_file(name)
    if path.exists():
        hint = f"choose another name, or: gemx templates edit {name}"
        raise UsageError(f"there is a template {name!r} already: {path}", hint=hint)
    return path


def write(path: Path, text: str, *, new: bool = False) -> None:
    """Write a template's file, whole or not at all; `new` replaces none that is there.

    One of the user's that is replaced keeps its mode, and a link stays one. Raises InvalidFileError where the text is
    no template, and StorageError.
    """
    load_text(text, path)
    places.ensure_private_dir(path.parent)
    if new:
        places.write_private(path, text.encode("utf-8"), new=True)
    else:
        places.rewrite(path, text.encode("utf-8"))


def skeleton(name: str) -> str:
    """A commented template to begin from."""
    return (files("gemx.templates") / "skeleton.yaml").read_text(encoding="utf-8").replace("NAME", name)


def remove(name: str) -> Path:
    """Remove the user's template of this name. Raises NotFoundError; what ships or is the project's stays."""
    path = own_file(name)
    if not places.is_file(path):
        raise _not_removable(name)
    try:
        path.unlink()
    except OSError as exc:
        raise StorageError(f"cannot remove {path}: {exc.strerror}") from exc
    return path


def _not_removable(name: str) -> GemxError:
    found = find(name)
    if found.origin == "gemx":
        return UsageError(f"{name} ships with gemx and stays", hint="a template of yours with its name hides it")
    return UsageError(f"{name} is the project's: {found.path}", hint="remove the file yourself")


def _is_frame(found: Found) -> bool:
    return found.origin == "gemx" and found.name in _FRAMES


def _validated(tree: library.Tree) -> tuple[Template, str]:
    template = library.validate(tree, Template, HEADER)
    if template.id is not None and template.id != tree.path.stem:
        message = f"the id {template.id!r} is not the file's name, {tree.path.stem!r}"
        raise InvalidFileError([tree.problem(("id",), message)])
    return template, tree.sha256
