"""Bring files and folders into a base: which files, what of them changed, which cannot be read. Calls no model."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gemx import documents, places
from gemx.documents import Text
from gemx.errors import InputError
from gemx.knowledge import store
from gemx.knowledge.base import Base
from gemx.knowledge.store import Document, Source

SUFFIXES = (".md", ".markdown", ".txt", ".pdf", ".docx", ".html", ".htm", ".xhtml")
# A file that was changed so shortly before it was looked at may have changed again within one tick of its clock.
_RACY = 2 * 10**9

# The threads of a batch would all read the same files.
_refreshing = threading.Lock()

OnFile = Callable[[Path], None]


@dataclass
class Outcome:
    """What became of files: documents by name, files that could not be read with the reason, and what was passed over.

    `passed` counts what stands in folders and is no document, by kind; `notes` are remarks on documents that were read.
    """

    added: list[str] = field(default_factory=list[str])
    changed: list[str] = field(default_factory=list[str])
    unchanged: list[str] = field(default_factory=list[str])
    removed: list[str] = field(default_factory=list[str])
    gone: list[str] = field(default_factory=list[str])
    unread: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    passed: Counter[str] = field(default_factory=Counter[str])
    notes: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])


@dataclass(frozen=True)
class _Candidate:
    """A file to be read, and what it would be called."""

    path: Path
    name: str


def add(base: Base, paths: Sequence[Path], *, prune: bool = False, on_file: OnFile | None = None) -> Outcome:
    """Bring files and folders into a base; what did not change is not read again.

    A document whose file is gone stays, unless `prune` and it stood in one of the folders. Links inside a folder are
    not followed. Raises InputError where a path is not there or holds no document, StorageError.
    """
    outcome = Outcome()
    roots = existing(paths)
    candidates = [each for root in roots for each in _candidates(root, outcome)]
    if not candidates and not prune:
        hint = f"documents are files in {' '.join(SUFFIXES)}"
        raise InputError(f"no document in {', '.join(str(path) for path in paths)}", hint=hint)
    known = _known(base)
    for each in candidates:
        if on_file:
            on_file(each.path)
        _bring(base, each, known.get(str(each.path)), outcome, trusting=False)
    _settle(base, _gone(known, roots), outcome, prune=prune)
    return outcome


def existing(paths: Sequence[Path]) -> list[Path]:
    """Paths with their links resolved: a document is known by them. Raises InputError where one is not there."""
    return [_existing(path) for path in paths]


def _existing(path: Path) -> Path:
    try:
        return places.user_path(str(path)).resolve(strict=True)
    except (OSError, RuntimeError) as exc:
        raise InputError(
            f"no file or folder {path}", hint="give the paths of documents, or of folders of them"
        ) from exc


def refresh(base: Base) -> Outcome:
    """Make a base what its folder or file is now; what can no longer be read is no longer in it.

    Raises InputError, StorageError.
    """
    assert base.source is not None, "only the base of a folder or file has something to follow"  # noqa: S101
    with _refreshing:
        outcome = Outcome()
        candidates = list(_candidates(base.source, outcome))
        known = _known(base)
        for each in candidates:
            _bring(base, each, known.get(str(each.path)), outcome, trusting=True)
        wanted = {str(each.path) for each in candidates} - {path for path, _ in outcome.unread}
        _settle(base, [each.name for path, each in known.items() if path not in wanted], outcome, prune=True)
    return outcome


def reread(base: Base, *, prune: bool = False, on_file: OnFile | None = None) -> Outcome:
    """Read every document's file again, changed or not; one whose file is gone stays as it is, unless `prune`."""
    outcome = Outcome()
    known = _known(base)
    gone = [each.name for path, each in known.items() if not places.is_file(Path(path))]
    for path, each in known.items():
        if each.name not in gone:
            if on_file:
                on_file(Path(path))
            _read(base, _Candidate(Path(path), each.name), outcome, force=True)
    _settle(base, gone, outcome, prune=prune)
    return outcome


def _known(base: Base) -> dict[str, Document]:
    return {each.path: each for each in store.documents(base)}


def _candidates(root: Path, outcome: Outcome) -> Iterator[_Candidate]:
    if root.is_file():
        yield _Candidate(root, root.name)
    if not root.is_dir():
        # A pipe or a device would be read for ever.
        return
    for path in _files(root, outcome):
        yield _Candidate(path, str(path.relative_to(root)))


def _files(folder: Path, outcome: Outcome) -> Iterator[Path]:
    """The documents in a folder and below, in order, however deep; what is hidden is none."""
    waiting = [(folder, True)]
    while waiting:
        path, is_folder = waiting.pop()
        if is_folder:
            waiting += reversed(_inside(path, outcome))
        else:
            yield path


def _inside(folder: Path, outcome: Outcome) -> list[tuple[Path, bool]]:
    """The folders and documents of one folder, in order; True marks a folder."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as exc:
        outcome.unread.append((str(folder), f"cannot be read: {exc.strerror}"))
        return []
    found: list[tuple[Path, bool]] = []
    for entry in entries:
        suffix = Path(entry.name).suffix.lower()
        if entry.name.startswith("."):
            outcome.passed["hidden"] += 1
        elif entry.is_symlink():
            outcome.passed["link"] += 1
        elif entry.is_dir():
            found.append((Path(entry.path), True))
        elif not entry.is_file() or suffix not in SUFFIXES:
            outcome.passed[suffix or "no suffix"] += 1
        else:
            found.append((Path(entry.path), False))
    return found


def _bring(base: Base, candidate: _Candidate, held: Document | None, outcome: Outcome, *, trusting: bool) -> None:
    """`trusting` takes a file of the same size and time for the same."""
    if held is not None and trusting and _is_untouched(candidate.path, held):
        outcome.unchanged.append(held.name)
    else:
        _read(base, candidate, outcome, held=held)


def _is_untouched(path: Path, held: Document) -> bool:
    try:
        found = path.stat()
    except OSError:
        return False
    settled = held.modified + _RACY < held.seen
    return settled and (found.st_size, found.st_mtime_ns) == (held.size, held.modified)


def _read(
    base: Base, candidate: _Candidate, outcome: Outcome, *, held: Document | None = None, force: bool = False
) -> None:
    try:
        name = _citable_path(candidate)
        seen = time.time_ns()
        data = documents.file_bytes(candidate.path)
        source = _source(candidate.path, data, seen)
        if held is not None and held.sha256 == source.sha256:
            store.look(base, source)
            outcome.unchanged.append(held.name)
            return
        part = documents.read_bytes(data, candidate.path.name, shown=str(candidate.path))
        if not isinstance(part, Text) or not part.text.strip():
            raise InputError(f"{candidate.path}: {'; '.join(part.notes) or 'has no text'}")
    except InputError as exc:
        outcome.unread.append((str(candidate.path), exc.message))
        return
    change, name = store.put(base, source, part.text, name, force=force)
    getattr(outcome, change).append(name)
    outcome.notes += [(name, note) for note in part.notes]


def _citable_path(candidate: _Candidate) -> str:
    try:
        str(candidate.path).encode()
    except UnicodeEncodeError as exc:
        hint = "rename it"
        raise InputError(f"{candidate.path.name!r}: its path is not UTF-8", hint=hint) from exc
    return candidate.name


def _source(path: Path, data: bytes, seen: int) -> Source:
    try:
        modified = path.stat().st_mtime_ns
    except OSError as exc:
        raise InputError(f"cannot read {path}: {exc.strerror}") from exc
    return Source(path=path, sha256=hashlib.sha256(data).hexdigest(), size=len(data), modified=modified, seen=seen)


def _gone(known: dict[str, Document], roots: Sequence[Path]) -> list[str]:
    """The documents whose file is gone from the folders that were given."""
    folders = [root for root in roots if root.is_dir()]
    return [
        each.name
        for path, each in known.items()
        if any(Path(path).is_relative_to(folder) for folder in folders) and not places.is_file(Path(path))
    ]


def _settle(base: Base, gone: list[str], outcome: Outcome, *, prune: bool) -> None:
    if gone and prune:
        outcome.removed = store.remove(base, gone, missing_ok=True)
    else:
        outcome.gone = gone
        if outcome.changed:
            store.merge_index(base)
