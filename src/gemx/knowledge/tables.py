"""The tables of a base: documents, chunks, an index of their stems that holds no text, vectors, and what made them."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from gemx import storage
from gemx.knowledge import words
from gemx.knowledge.base import Base
from gemx.knowledge.words import Language

Row = TypeVar("Row")
Indexed = tuple[int, str, str, Language]

_FIRST = """
    CREATE TABLE facts (name TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL);
    CREATE TABLE documents (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE,
        path TEXT NOT NULL UNIQUE,
        sha256 TEXT NOT NULL,
        size INTEGER NOT NULL,
        modified INTEGER NOT NULL,
        seen INTEGER NOT NULL,
        cut INTEGER NOT NULL,
        characters INTEGER NOT NULL,
        added TEXT NOT NULL
    );
    CREATE TABLE chunks (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        document INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
        number INTEGER NOT NULL,
        heading TEXT NOT NULL,
        page INTEGER,
        start INTEGER NOT NULL,
        stop INTEGER NOT NULL,
        language TEXT NOT NULL CHECK (language IN ('pt', 'en')),
        text TEXT NOT NULL,
        UNIQUE (document, number)
    );
    CREATE TABLE vectors (chunk INTEGER PRIMARY KEY REFERENCES chunks ON DELETE CASCADE, vector BLOB NOT NULL);
    CREATE VIRTUAL TABLE words USING fts5 (
        heading, body, content = '', tokenize = "unicode61 remove_diacritics 2 tokenchars './'"
    );
    CREATE VIRTUAL TABLE terms USING fts5vocab ('words', 'row');
    """

# A released one never changes.
MIGRATIONS: tuple[storage.Migration, ...] = (_FIRST,)

_INDEX = "INSERT INTO words (rowid, heading, body) VALUES (?, ?, ?)"
_UNINDEX = "INSERT INTO words (words, rowid, heading, body) VALUES ('delete', ?, ?, ?)"
_WORDS_VERSION = "words_version"


@contextmanager
def opened(base: Base) -> Generator[storage.Database]:
    """The base, made where there is none, its words indexed as this version has them. Raises StorageError."""
    with storage.open_database(base.path, MIGRATIONS) as database:
        if fact(database, _WORDS_VERSION) != words.VERSION:
            with storage.transaction(database):
                _index_anew(database)
        yield database


def fact(database: storage.Database, name: str) -> str | None:
    """What the base knows of itself, by name."""
    row = database.conn.execute("SELECT value FROM facts WHERE name = ?", [name]).fetchone()
    return None if row is None else str(row[0])


def set_fact(database: storage.Database, name: str, value: str | None) -> None:
    """Write down what the base knows of itself; None forgets it."""
    if value is None:
        database.conn.execute("DELETE FROM facts WHERE name = ?", [name])
    else:
        database.conn.execute("INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)", [name, value])


def rows(database: storage.Database, kind: type[Row], query: str, values: Sequence[Any] = ()) -> list[Row]:
    """The rows of a query as values of a class whose fields the columns are named for."""
    cursor = database.conn.execute(query, values)
    names = [str(column[0]) for column in cursor.description]
    return [kind(**dict(zip(names, row, strict=True))) for row in cursor]


def index(database: storage.Database, chunks: Iterable[Indexed]) -> None:
    """Index chunks, given as id, heading, text and language."""
    database.conn.executemany(_INDEX, map(_stems, chunks))


def unindex(database: storage.Database, chunks: Iterable[Indexed]) -> None:
    """Forget chunks; an index of this kind must be told the same again to forget it."""
    database.conn.executemany(_UNINDEX, map(_stems, chunks))


def _stems(chunk: Indexed) -> tuple[int, str, str]:
    number, heading, text, language = chunk
    return number, " ".join(words.terms(heading, language)), " ".join(words.terms(text, language))


def _index_anew(database: storage.Database) -> None:
    # Another process may have been here meanwhile.
    if fact(database, _WORDS_VERSION) == words.VERSION:
        return
    connection = database.conn
    connection.execute("INSERT INTO words (words) VALUES ('delete-all')")
    index(database, connection.execute("SELECT id, heading, text, language FROM chunks").fetchall())
    set_fact(database, _WORDS_VERSION, words.VERSION)
