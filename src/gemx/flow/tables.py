"""The tables of a run's ledger. Money is text, in dollars as the door counted it: a float would not add up."""

from __future__ import annotations

from gemx import storage

# A released one never changes.
MIGRATIONS: tuple[storage.Migration, ...] = (
    """
    CREATE TABLE run (
        run_id TEXT PRIMARY KEY NOT NULL,
        command TEXT NOT NULL,
        name TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        asked TEXT NOT NULL,
        created TEXT NOT NULL,
        changed TEXT NOT NULL,
        stopped TEXT
    );

    -- What is asked: one for all lines that ask the same. `again` is one that failed and is to be run again.
    CREATE TABLE items (
        number INTEGER PRIMARY KEY,
        key TEXT NOT NULL UNIQUE,
        inputs TEXT NOT NULL,
        subject TEXT,
        status TEXT NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'again', 'done', 'failed')),
        outputs TEXT,
        failure TEXT,
        seconds REAL
    );
    CREATE INDEX items_subject ON items (subject) WHERE subject IS NOT NULL;
    CREATE INDEX items_open ON items (number) WHERE status IN ('pending', 'again');

    -- The lines of the file as it is now; `problem` is why one is no item.
    CREATE TABLE lines (
        line INTEGER PRIMARY KEY,
        id TEXT,
        item_key TEXT REFERENCES items (key),
        problem TEXT,
        CHECK ((item_key IS NULL) <> (problem IS NULL))
    );
    CREATE INDEX lines_item ON lines (item_key);

    CREATE TABLE steps (
        item_key TEXT NOT NULL REFERENCES items (key),
        path TEXT NOT NULL,
        key TEXT NOT NULL,
        status TEXT NOT NULL,
        outputs TEXT,
        failure TEXT,
        seconds REAL NOT NULL,
        PRIMARY KEY (item_key, path)
    ) WITHOUT ROWID;

    CREATE TABLE calls (
        id INTEGER PRIMARY KEY,
        item_key TEXT NOT NULL REFERENCES items (key),
        step TEXT NOT NULL,
        time TEXT NOT NULL,
        provider TEXT NOT NULL,
        model TEXT NOT NULL,
        seconds REAL NOT NULL,
        error TEXT,
        input_tokens INTEGER,
        output_tokens INTEGER,
        cost TEXT,
        prices TEXT
    );
    CREATE INDEX calls_item ON calls (item_key);
    """,
)
