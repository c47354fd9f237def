"""What was asked and answered, by run_id: the one place, beside a batch's ledger, where texts are kept.

Stores and finds entries. Knows nothing of what their data and pages say, of how long they are to be kept, or of how a
subject is hashed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, cast

from gemx import places, storage
from gemx.errors import NotFoundError, StorageError

_MIGRATIONS: tuple[storage.Migration, ...] = (
    """
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
    """,
)
_INSERT = """
    INSERT INTO entries VALUES (
        :run_id, :time, :command, :subject, :automation, :automation_version, :model, :verified,
        :prompt, :system, :reply, :data, :page
    ) ON CONFLICT (run_id) DO NOTHING
"""
_MOST_NAMED = 10
_MOST_COMPARED = 500


def _timestamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _now() -> str:
    return _timestamp(datetime.now(UTC))


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One run. `time` is UTC, as 2026-11-20T11:22:33.123Z; `subject` is a keyed hash, never the subject itself.

    `model` is None where an answer came from elsewhere, `verified` where nothing was there to verify.
    `data` is what --json shows of the run, and `page` the blocks from which its note is printed again. Their decimals
    come back as Decimal, digit by digit; tuples come back as lists.
    """

    run_id: str
    time: str = field(default_factory=_now)
    command: str
    subject: str | None = None
    automation: str | None = None
    automation_version: str | None = None
    model: str | None = None
    verified: bool | None = None
    prompt: str | None = None
    system: str | None = None
    reply: str
    data: Mapping[str, Any]
    page: Sequence[Any] = ()


def add(entry: Entry) -> None:
    """Keep an entry: when this returns, it is on the disk, whole. Raises StorageError, also where its id is taken."""
    row = {name: _stored(value) for name, value in vars(entry).items()}
    with _opened() as database:
        added = database.conn.execute(_INSERT, row).rowcount
    if not added:
        raise StorageError(f"the history has a run {entry.run_id} already", hint="run it again, under an id of its own")


def get(run_id: str) -> Entry:
    """The entry of a run_id, or of a beginning that only one has. Raises NotFoundError, StorageError."""
    # To look for a run makes no history.
    if not places.is_file(places.history_file()):
        raise NotFoundError(f"no run {run_id!r}: the history is empty")
    # One view of it all: what was found is not erased before it is read.
    with _opened() as database, database.atomic():
        found = _resolved(database, _text(run_id))
        cursor = database.conn.execute("SELECT * FROM entries WHERE run_id = ?", [found])
        names = [str(column[0]) for column in cursor.description]
        row = dict(zip(names, cursor.fetchone(), strict=True))
    return _entry(row)


def prune(days: int) -> int:
    """Erase the entries that are older than so many days, and return how many they were. Raises StorageError."""
    oldest = _timestamp(datetime.now(UTC) - timedelta(days=days))
    with _opened() as database:
        return database.conn.execute("DELETE FROM entries WHERE time < ?", [oldest]).rowcount


def _opened() -> AbstractContextManager[storage.Database]:
    return storage.open_database(places.history_file(), _MIGRATIONS)


def _resolved(database: storage.Database, run_id: str) -> str:
    # Not LIKE or GLOB: what a user writes is no pattern.
    begins = "SELECT run_id FROM entries WHERE substr(run_id, 1, length(:id)) = :id ORDER BY run_id DESC"
    candidates = _ids(database, begins, {"id": run_id}) if run_id else []
    if run_id in candidates:
        return run_id
    if len(candidates) > 1:
        more = f" and {len(candidates) - _MOST_NAMED} more" if len(candidates) > _MOST_NAMED else ""
        named = ", ".join(candidates[:_MOST_NAMED])
        raise NotFoundError(f"{len(candidates)} runs begin with {run_id!r}: {named}{more}", hint="write more of the id")
    if not candidates:
        raise NotFoundError(f"no run {run_id!r}{_suggestion(database, run_id)}")
    return candidates[0]


def _suggestion(database: storage.Database, run_id: str) -> str:
    from gemx.library import suggest

    latest = "SELECT run_id FROM entries ORDER BY time DESC LIMIT :most"
    return suggest(run_id, _ids(database, latest, {"most": _MOST_COMPARED}))


def _ids(database: storage.Database, query: str, parameters: dict[str, Any]) -> list[str]:
    return [str(row[0]) for row in database.conn.execute(query, parameters)]


def _stored(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    return _text(value if isinstance(value, str) else _json(value))


def _text(text: str) -> str:
    # A byte of an argument that is not UTF-8 stays as its escape.
    return text.encode("utf-8", "backslashreplace").decode()


def _json(value: Any) -> str:
    """JSON text in which a Decimal is a number, digit by digit."""
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError(f"{value} is not a JSON number")
        return str(value)
    if isinstance(value, Mapping):
        items = cast("Mapping[str, Any]", value).items()
        return "{" + ",".join(f"{json.dumps(key, ensure_ascii=False)}:{_json(item)}" for key, item in items) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(_json(item) for item in cast("Sequence[Any]", value)) + "]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _entry(row: dict[str, Any]) -> Entry:
    try:
        # Not strict_json: a number that was computed may be longer than one that a person or a model writes.
        read = {name: json.loads(row[name], parse_float=Decimal) for name in ("data", "page")}
    except ValueError as exc:
        raise StorageError(f"the history's entry {row['run_id']} is damaged: {exc}") from exc
    values: dict[str, Any] = {**row, **read, "verified": None if row["verified"] is None else bool(row["verified"])}
    return Entry(**values)
