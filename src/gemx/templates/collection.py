"""Import templates of other tools, a whole collection at once: patterns of fabric, templates of llm, and gemx's own.

One that cannot be read is skipped with its reason, and the others go on. Nothing outside the given folder is read.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gemx.documents import encoding
from gemx.errors import GemxError, InputError, InvalidFileError, UsageError
from gemx.templates import fabric, foreign, llm, sandbox, shelf
from gemx.templates.foreign import Read
from gemx.templates.writing import plain

_YAML = (".yaml", ".yml")
_SYSTEM, _USER = "system.md", "user.md"
_MOST_BYTES = 1_000_000
_MOST_ENTRIES = 10_000
_LONGEST = 60

State = Literal["imported", "replaced", "same", "skipped"]
STATES: tuple[State, ...] = ("imported", "replaced", "same", "skipped")


@dataclass(frozen=True)
class Outcome:
    """What became of one template: under which name, or why not, and what of it is not in the copy."""

    source: str
    state: State
    name: str | None = None
    why: str | None = None
    lost: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Draft:
    """A template on its way: its file but for the name."""

    read: Read | None
    own: str | None = None
    notes: tuple[str, ...] = ()


def bring(path: Path, language: str, *, force: bool = False) -> list[Outcome]:
    """Import every template below a folder, or one. Raises InputError where there is none to be seen."""
    try:
        root = (path if path.is_dir() else path.parent).resolve(strict=True)
        sources = _sources(path)
    except OSError as exc:
        raise InputError(f"cannot read {path}: {exc.strerror}") from exc
    if not sources:
        hint = "give a folder of fabric patterns (*/system.md), of llm templates (*.yaml), or one of them"
        raise InputError(f"no templates in {path}", hint=hint)
    taken: set[str] = set()
    return [_bring(source, root, taken, language, force=force) for source in sources]


def _sources(path: Path) -> list[Path]:
    """The folders and files that are, or should be, templates."""
    if path.is_file() or (path / _SYSTEM).is_file():
        return [path]
    found = [each for each in path.iterdir() if not each.name.startswith(".")]
    if len(found) > _MOST_ENTRIES:
        raise InputError(f"{path} holds more than {_MOST_ENTRIES} entries", hint="import it in parts")
    wanted = [each for each in found if each.suffix in _YAML or each.is_symlink() or each.is_dir()]
    # A folder of notes beside a folder of YAML is no collection.
    return sorted(wanted) if any(each.suffix in _YAML or _holds_pattern(each) for each in wanted) else []


def _bring(source: Path, root: Path, taken: set[str], language: str, *, force: bool) -> Outcome:
    shown = plain(source.name) or "?"
    try:
        draft = _read(source, root)
        name = _free_name(source, taken)
        notes = (*draft.notes, *([] if name == _bare(source) else [f"named {name}"]))
        return _keep(draft, Outcome(shown, "imported", name, notes=notes), language, force=force)
    except InvalidFileError as exc:
        return Outcome(shown, "skipped", why=_first(exc))
    except GemxError as exc:
        if exc.exit_code not in (UsageError.exit_code, InputError.exit_code, InvalidFileError.exit_code):
            raise
        return Outcome(shown, "skipped", why=plain(exc.message))
    except (OSError, ValueError, RuntimeError) as exc:
        # A link that leads to itself is a RuntimeError.
        return Outcome(shown, "skipped", why=getattr(exc, "strerror", None) or type(exc).__name__)


def _keep(draft: _Draft, outcome: Outcome, language: str, *, force: bool) -> Outcome:
    name = outcome.name or ""
    path = shelf.own_file(name)
    lost = draft.read.lost if draft.read else ()
    text = _text(draft, name, outcome.source, language)
    _try_out(text, path)
    there = path.exists()
    if there and path.read_bytes() == text.encode("utf-8"):
        return Outcome(outcome.source, "same", name, lost=lost, notes=outcome.notes)
    if there and not force:
        return Outcome(outcome.source, "skipped", why=f"there is a template {name!r} already; --force replaces it")
    shelf.write(path, text)
    return Outcome(outcome.source, "replaced" if there else "imported", name, lost=lost, notes=outcome.notes)


def _text(draft: _Draft, name: str, source: str, language: str) -> str:
    if draft.read is None:
        return re.sub(r"(?m)^id:.*$", f"id: {name}", draft.own or "", count=1)
    return foreign.to_file(draft.read, name, source, language)


def _try_out(text: str, path: Path) -> None:
    """Refuse what would not render: with every value a letter."""
    template = shelf.load_text(text, path)
    values = {variable.name: "x" for variable in template.takes}
    for part in (template.system, template.prompt):
        sandbox.render(part or "", values, template.language)


def _read(source: Path, root: Path) -> _Draft:
    if source.suffix in _YAML and not source.is_dir():
        text, notes = _decoded(source, root)
        if re.search(r"(?m)^gemx:", text):
            return _Draft(None, text, notes)
        return _Draft(llm.read(text, Path(source.name)), None, notes)
    system, notes = _decoded(source / _SYSTEM, root)
    user, more = _decoded(source / _USER, root) if (source / _USER).exists() else ("", ())
    if not system.strip():
        raise InputError(f"its {_SYSTEM} is empty")
    read = fabric.read(system, user)
    return _Draft(read, None, (*notes, *more, *read.notes))


def _decoded(path: Path, root: Path) -> tuple[str, tuple[str, ...]]:
    """A file's text, and notes on how it was read."""
    if not path.resolve().is_relative_to(root):
        raise InputError(f"{path.name} is a link that leads out of the folder")
    if not path.is_file():
        raise InputError(f"no file {path.name}")
    with path.open("rb") as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise InputError(f"{path.name} is larger than {_MOST_BYTES // 1_000_000} MB")
    text, notes = encoding.decode(data, path.name)
    clean = plain(text)
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    odd = (f"{path.name}: control and invisible characters were taken out",) if clean != lines else ()
    return clean, (*(f"{path.name} {note}" for note in notes), *odd)


def _free_name(source: Path, taken: set[str]) -> str:
    """A safe name from a file's or a folder's, which no template of this collection has."""
    ascii_only = unicodedata.normalize("NFKD", _bare(source)).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9_-]+", "_", ascii_only).strip("_-")[:_LONGEST] or "template"
    chosen, number = name, 2
    while chosen in taken:
        chosen, number = f"{name}-{number}", number + 1
    taken.add(chosen)
    return chosen


def _bare(source: Path) -> str:
    return source.stem if source.suffix in _YAML else source.name


def _holds_pattern(folder: Path) -> bool:
    try:
        return (folder / _SYSTEM).exists()
    except OSError:
        return False


def _first(exc: InvalidFileError) -> str:
    problem = exc.problems[0]
    more = f" (and {len(exc.problems) - 1} more)" if len(exc.problems) > 1 else ""
    return plain(f"line {problem.line}: {problem.message}{more}")
