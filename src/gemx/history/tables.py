"""The tables of history.db: the entries, and an index of their words that holds no text of its own."""

from __future__ import annotations

import stat
from contextlib import AbstractContextManager

from gemx import places, storage
from gemx.errors import StorageError

_ELSEWHERE = "mend that, or set GEMX_HOME elsewhere"

_FIRST = """
    CREATE TABLE entries (
        run_id TEXT PRIMARY KEY NOT NULL,
        time TEXT NOT NULL CHECK (time GLOB '????-??-??T??:??:??*Z'),
        command TEXT NOT NULL,
        subject TEXT,
        automation TEXT,
        automation_version TEXT,
        model TEXT,
        verified INTEGER CHECK (verified IN (0, 1)),
        prompt TEXT,
        system TEXT,
        reply TEXT NOT NULL,
        data TEXT NOT NULL,
        page TEXT NOT NULL
    );
    CREATE INDEX entries_time ON entries (time);
    """

# Of an automation's JSON only what its strings say is a word; elsewhere the `n` of a `\n` is none. A reply that is no
# JSON, which is one that was refused, is taken as it is. Such a view can be looked up and not scanned by FTS5, which is
# all that is asked of it: its `rebuild` would need more.
_STRINGS = "(SELECT group_concat(value, ' ') FROM json_tree({0}) WHERE type = 'text')"
_REPLY = f"""CASE WHEN {{0}}automation IS NOT NULL AND json_valid({{0}}reply) THEN {_STRINGS.format("{0}reply")}
        ELSE replace({{0}}reply, '\\n', ' ') END"""
_PAGE = f"CASE WHEN json_valid({{0}}page) THEN {_STRINGS.format('{0}page')} END"
_OLD = f"old.id, old.prompt, {_REPLY.format('old.')}, {_PAGE.format('old.')}"
_NEW = f"new.id, new.prompt, {_REPLY.format('new.')}, {_PAGE.format('new.')}"

# An id of its own: the index refers to it, and what SQLite numbers by itself may be numbered anew.
_CONVERSATIONS_AND_WORDS = f"""
    ALTER TABLE entries RENAME TO entries_before;
    DROP INDEX entries_time;
    CREATE TABLE entries (
        id INTEGER PRIMARY KEY,
        run_id TEXT NOT NULL UNIQUE,
        time TEXT NOT NULL CHECK (time GLOB '????-??-??T??:??:??*Z'),
        command TEXT NOT NULL,
        conversation TEXT,
        subject TEXT,
        automation TEXT,
        automation_version TEXT,
        model TEXT,
        verified INTEGER CHECK (verified IN (0, 1)),
        prompt TEXT,
        system TEXT,
        reply TEXT NOT NULL,
        data TEXT NOT NULL,
        page TEXT NOT NULL
    );
    CREATE INDEX entries_time ON entries (time);
    CREATE INDEX entries_conversation ON entries (conversation) WHERE conversation IS NOT NULL;
    CREATE VIEW entries_text AS
        SELECT id, prompt, {_REPLY.format("entries.")} AS reply, {_PAGE.format("entries.")} AS page FROM entries;
    CREATE VIRTUAL TABLE entries_words USING fts5 (
        prompt, reply, page,
        content = 'entries_text', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2'
    );
    CREATE TRIGGER entries_added AFTER INSERT ON entries BEGIN
        INSERT INTO entries_words (rowid, prompt, reply, page) VALUES ({_NEW});
    END;
    CREATE TRIGGER entries_removed AFTER DELETE ON entries BEGIN
        INSERT INTO entries_words (entries_words, rowid, prompt, reply, page)
        VALUES ('delete', {_OLD});
    END;
    CREATE TRIGGER entries_changed AFTER UPDATE OF id, automation, prompt, reply, page ON entries BEGIN
        INSERT INTO entries_words (entries_words, rowid, prompt, reply, page)
        VALUES ('delete', {_OLD});
        INSERT INTO entries_words (rowid, prompt, reply, page) VALUES ({_NEW});
    END;
    INSERT INTO entries (
        run_id, time, command, subject, automation, automation_version, model, verified,
        prompt, system, reply, data, page
    ) SELECT
        run_id, time, command, subject, automation, automation_version, model, verified,
        prompt, system, reply, data, page
    FROM entries_before ORDER BY time, rowid;
    DROP TABLE entries_before;
    """  # noqa: S608

# A released one never changes.
MIGRATIONS: tuple[storage.Migration, ...] = (_FIRST, _CONVERSATIONS_AND_WORDS)


def is_there() -> bool:
    """Whether there is a history: to look for a run makes none. Raises StorageError on what cannot be one.

    A link that leads nowhere (a disk that is not mounted) is no empty history.
    """
    path = places.history_file()
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        if path.is_symlink():
            raise StorageError(f"the history {path} is a link to a file that is not there", hint=_ELSEWHERE) from None
        return False
    except OSError as exc:
        raise StorageError(f"the history {path} cannot be looked at: {exc.strerror}", hint=_ELSEWHERE) from exc
    if not stat.S_ISREG(mode):
        raise StorageError(f"the history {path} is no file, but a folder or a device", hint="move it away")
    return True


def opened() -> AbstractContextManager[storage.Database]:
    """The history, made where there is none. Raises StorageError."""
    return storage.open_database(places.history_file(), MIGRATIONS)
