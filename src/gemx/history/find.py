"""Find entries, newest first: by what is known of them, or by the words in them."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gemx.history.entry import stored_text, timestamp
from gemx.history.tables import is_there, opened

# What a search marks as found.
FOUND = ("«", "»")
_SNIPPET_WORDS = 14
_MOST = 2**31
# What unicode61 makes words of.
_WORD_CATEGORIES = ("L", "N", "Co")
# Of a long prompt the end is read: a user's own words come after the files.
_LINE = """
    entries.run_id, entries.time, entries.command, entries.conversation, entries.automation, entries.model,
    entries.verified,
    CASE WHEN entries.automation IS NULL THEN substr(entries.prompt, -2000)
         WHEN json_valid(entries.reply) THEN json_extract(entries.reply, '$.resumo') END AS about
"""
_WHERE = """
    (:command IS NULL OR entries.command = :command) AND (:automation IS NULL OR entries.automation = :automation)
    AND (:since IS NULL OR entries.time >= :since)
"""
_LATEST = f"SELECT {_LINE} FROM entries WHERE {_WHERE} ORDER BY entries.time DESC, entries.id DESC LIMIT :most"  # noqa: S608
# The index gives its rows newest first by itself, so that only those that are shown are read.
_SEARCH = f"""
    SELECT {_LINE}, snippet(entries_words, -1, '{FOUND[0]}', '{FOUND[1]}', '…', {_SNIPPET_WORDS}) AS snippet
    FROM entries_words CROSS JOIN entries ON entries.id = entries_words.rowid
    WHERE entries_words MATCH :query AND {_WHERE} ORDER BY entries_words.rowid DESC LIMIT :most
"""  # noqa: S608


@dataclass(frozen=True)
class Filter:
    """Which entries: of a command, of an automation, since a moment; and how many at most."""

    command: str | None = None
    automation: str | None = None
    since: datetime | None = None
    most: int | None = None


@dataclass(frozen=True, kw_only=True)
class Line:
    """An entry in short; `about` is the end of its prompt, or the summary of an automation's answer."""

    run_id: str
    time: str
    command: str
    conversation: str | None
    automation: str | None
    model: str | None
    verified: bool | None
    about: str


@dataclass(frozen=True, kw_only=True)
class Hit(Line):
    """An entry that holds the words, and a few words around them; `FOUND` stands around each."""

    snippet: str


def latest(which: Filter) -> list[Line]:
    """The newest entries first. Raises StorageError."""
    return [Line(**row) for row in _rows(_LATEST, _parameters(which))]


def search(words: str, which: Filter) -> list[Hit]:
    """The entries that hold all the words, newest first; case and accents aside. Raises StorageError.

    A word that ends in `*` stands for all that begin so. No other sign means anything.
    """
    query = _query(stored_text(words))
    return [Hit(**row) for row in _rows(_SEARCH, {**_parameters(which), "query": query})] if query else []


def _query(words: str) -> str:
    """The words as FTS5 strings, in which nothing is syntax."""
    terms = [word for word in words.replace("\0", " ").split() if any(map(_is_of_a_word, word))]
    return " ".join(f'"{term.replace(chr(34), chr(34) * 2)}"{"*" if term.endswith("*") else ""}' for term in terms)


def _is_of_a_word(char: str) -> bool:
    return unicodedata.category(char).startswith(_WORD_CATEGORIES)


def _parameters(which: Filter) -> dict[str, Any]:
    return {
        "command": which.command and stored_text(which.command),
        "automation": which.automation and stored_text(which.automation),
        "since": timestamp(which.since) if which.since else None,
        "most": _MOST if which.most is None else which.most,
    }


def _rows(query: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    if not is_there():
        return []
    with opened() as database:
        cursor = database.conn.execute(query, parameters)
        names = [str(column[0]) for column in cursor.description]
        return [_typed(dict(zip(names, row, strict=True))) for row in cursor]


def _typed(row: dict[str, Any]) -> dict[str, Any]:
    about = row["about"]
    verified = None if row["verified"] is None else bool(row["verified"])
    return {**row, "verified": verified, "about": about if isinstance(about, str) else ""}
