"""Keep the documents of a base as chunks, list them, and erase them for good. Each document is written whole or not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Literal

from gemx import storage
from gemx.errors import NotFoundError, StorageError
from gemx.knowledge import chunks, embedder, matrix, tables, words
from gemx.knowledge.base import Base, citable
from gemx.knowledge.chunks import Chunk
from gemx.knowledge.words import Language

Change = Literal["added", "changed", "unchanged"]

_DOCUMENTS = """
    SELECT name, path, sha256, size, modified, seen, cut, characters, added,
        (SELECT count(*) FROM chunks WHERE chunks.document = documents.id) AS chunks
    FROM documents
"""
_INDEXED = "SELECT id, heading, text, language FROM chunks WHERE document = ?"
_INSERT = """
    INSERT INTO documents (name, path, sha256, size, modified, seen, cut, characters, added)
    VALUES (:name, :path, :sha256, :size, :modified, :seen, :cut, :characters, :added)
"""
_INSERT_CHUNK = """
    INSERT INTO chunks (document, number, heading, page, start, stop, language, text) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
_OPTIMIZE = "INSERT INTO words (words) VALUES ('optimize')"
_CHUNKS = """
    SELECT number, heading, page, start, stop, language, text FROM chunks
    JOIN documents ON documents.id = chunks.document WHERE documents.name = ? ORDER BY number
"""


@dataclass(frozen=True, kw_only=True)
class Source:
    """A file as it was read: its bytes' hash and size, its time in ns, and when in ns it was looked at."""

    path: Path
    sha256: str
    size: int
    modified: int
    seen: int


@dataclass(frozen=True, kw_only=True)
class Document:
    """A document of a base; `added` is UTC, `cut` the version of the chunks, times of the file are in ns."""

    name: str
    path: str
    sha256: str
    size: int
    modified: int
    seen: int
    cut: int
    characters: int
    added: str
    chunks: int


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A chunk as it is kept; `start` and `stop` are character offsets in the document's extracted text."""

    number: int
    heading: str
    page: int | None
    start: int
    stop: int
    language: Language
    text: str


def documents(base: Base) -> list[Document]:
    """The documents of a base, by name. Raises StorageError."""
    with tables.opened(base) as database:
        return tables.rows(database, Document, f"{_DOCUMENTS} ORDER BY name")


def document(base: Base, name: str) -> tuple[Document, list[Piece]]:
    """A document and its chunks. Raises NotFoundError, StorageError."""
    with tables.opened(base) as database, database.atomic():
        found = tables.rows(database, Document, f"{_DOCUMENTS} WHERE name = ?", [name])
        if not found:
            raise _missing(database, base, [name])
        return found[0], tables.rows(database, Piece, _CHUNKS, [name])


def put(base: Base, source: Source, text: str, wanted: str, *, force: bool = False) -> tuple[Change, str]:
    """Keep a document in place of what its file held before; `wanted` is what it would be called, if that is free.

    One of the same hash stays as it is, unless `force`. Returns what changed, and its name. Raises StorageError.
    """
    pieces = _in_languages(chunks.chunks(text))
    with tables.opened(base) as database, storage.transaction(database):
        # Another process may have been here meanwhile.
        held = tables.rows(database, Document, f"{_DOCUMENTS} WHERE path = ?", [str(source.path)])
        if held and held[0].sha256 == source.sha256 and not force:
            _look(database, source)
            return "unchanged", held[0].name
        name = held[0].name if held else _free_name(database, wanted, source.path)
        if held:
            _delete(database, held[0].name)
        row = {**vars(source), "path": str(source.path), "name": name, "added": _now()}
        cursor = database.conn.execute(_INSERT, {**row, "cut": chunks.VERSION, "characters": len(text)})
        _add_chunks(database, int(cursor.lastrowid or 0), pieces)
    return ("changed" if held else "added"), name


def look(base: Base, source: Source) -> None:
    """Note that a document's file was looked at and holds what it held. Raises StorageError."""
    with tables.opened(base) as database:
        _look(database, source)


def remove(base: Base, names: Sequence[str], *, missing_ok: bool = False) -> list[str]:
    """Erase documents for good, all or none, and return their names. Raises NotFoundError, StorageError."""
    with tables.opened(base) as database:
        with storage.transaction(database):
            wanted = list(dict.fromkeys(names))
            missing = [name for name in wanted if not _holds(database, name)]
            if missing and not missing_ok:
                raise _missing(database, base, missing)
            wanted = [name for name in wanted if name not in missing]
            for name in wanted:
                _delete(database, name)
        if wanted:
            _forget(base, database)
    return wanted


def remove_all(base: Base) -> int:
    """Erase every document, and forget the embedder; returns how many they were. Raises StorageError."""
    with tables.opened(base) as database:
        with storage.transaction(database):
            count = int(database.conn.execute("SELECT count(*) FROM documents").fetchone()[0])
            for table in ("documents", "facts"):
                database.conn.execute(f"DELETE FROM {table}")  # noqa: S608
            database.conn.execute("INSERT INTO words (words) VALUES ('delete-all')")
        _forget(base, database)
    return count


def forget(base: Base) -> None:
    """Rewrite a base without what was deleted from it. Raises StorageError."""
    with tables.opened(base) as database:
        _forget(base, database)


def merge_index(base: Base) -> None:
    """Take out of the index what was deleted from it: until its parts are merged it stays, marked."""
    with tables.opened(base) as database:
        database.conn.execute(_OPTIMIZE)


def content_hash(base: Base) -> str:
    """A hash of all that a search depends on: documents, how they were cut and indexed, embedder and vectors."""
    with tables.opened(base) as database, database.atomic():
        listed = [
            (each.name, each.path, each.sha256, each.cut, each.chunks)
            for each in tables.rows(database, Document, f"{_DOCUMENTS} ORDER BY name")
        ]
        vectors = int(database.conn.execute("SELECT count(*) FROM vectors").fetchone()[0])
        held = [words.VERSION, listed, embedder.identity(database), vectors]
    return hashlib.sha256(json.dumps(held).encode()).hexdigest()


def _in_languages(found: Sequence[Chunk]) -> list[tuple[Chunk, Language]]:
    """Each chunk in its language; one that does not tell has that of the document."""
    whole = words.language_of(" ".join(each.text for each in found[:50]))
    return [(each, words.language_of(each.text, whole)) for each in found]


def _add_chunks(database: storage.Database, document: int, pieces: Sequence[tuple[Chunk, Language]]) -> None:
    for number, (each, language) in enumerate(pieces, start=1):
        row = (document, number, each.heading, each.page, each.start, each.end, language, each.text)
        database.conn.execute(_INSERT_CHUNK, row)
    tables.index(database, database.conn.execute(_INDEXED, [document]).fetchall())


def _delete(database: storage.Database, name: str) -> None:
    number = database.conn.execute("SELECT id FROM documents WHERE name = ?", [name]).fetchone()[0]
    tables.unindex(database, database.conn.execute(_INDEXED, [number]).fetchall())
    database.conn.execute("DELETE FROM documents WHERE id = ?", [number])
    matrix.renew(database)


def _forget(base: Base, database: storage.Database) -> None:
    database.conn.execute(_OPTIMIZE)
    matrix.discard(base)
    if not storage.forget(database):
        raise StorageError(
            f"it is out of the base, but its text is still in {base.path}-wal: another process reads it",
            hint="let it end, then: gemx kb rebuild",
        )


def _look(database: storage.Database, source: Source) -> None:
    query = "UPDATE documents SET size = ?, modified = ?, seen = ? WHERE path = ? AND sha256 = ?"
    database.conn.execute(query, [source.size, source.modified, source.seen, str(source.path), source.sha256])


def _free_name(database: storage.Database, wanted: str, path: Path) -> str:
    """What a document is called: the name that was wanted, where it is taken with its folder, else with a number."""
    plain = citable(wanted) or "document"
    candidates = [plain, citable(f"{path.parent.name}/{plain}")]
    stem, suffix = str(PurePath(plain).with_suffix("")), PurePath(plain).suffix
    number = 2
    while candidates and _holds(database, candidates[0]):
        candidates.pop(0)
        if not candidates:
            candidates.append(f"{stem}-{number}{suffix}")
            number += 1
    return candidates[0]


def _holds(database: storage.Database, name: str) -> bool:
    return database.conn.execute("SELECT 1 FROM documents WHERE name = ?", [name]).fetchone() is not None


def _missing(database: storage.Database, base: Base, names: Sequence[str]) -> NotFoundError:
    from gemx.library import suggest

    known = [str(row[0]) for row in database.conn.execute("SELECT name FROM documents")]
    near = suggest(names[0], known)
    hint = f"gemx kb show --kb {base.name} names them"
    return NotFoundError(f"no document {', '.join(map(repr, names))} in the base {base.name!r}{near}", hint=hint)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
