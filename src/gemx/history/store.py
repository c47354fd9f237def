"""Keep entries, get them by run_id or conversation, and erase them for good."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from gemx import places, storage
from gemx.errors import NotFoundError, StorageError
from gemx.history.entry import Entry, from_row, stored_text, timestamp, to_row
from gemx.history.tables import is_there, opened

_INSERT = """
    INSERT INTO entries (
        run_id, time, command, conversation, subject, automation, automation_version, model, verified,
        prompt, system, reply, data, page
    ) VALUES (
        :run_id, :time, :command, :conversation, :subject, :automation, :automation_version, :model, :verified,
        :prompt, :system, :reply, :data, :page
    ) ON CONFLICT (run_id) DO NOTHING
"""
_MOST_NAMED = 10
_MOST_COMPARED = 500


def add(entry: Entry) -> None:
    """Keep an entry: when this returns, it is on the disk, whole. Raises StorageError, also where its id is taken."""
    row = to_row(entry)
    with opened() as database:
        added = database.conn.execute(_INSERT, row).rowcount
    if not added:
        raise StorageError(f"the history has a run {entry.run_id} already", hint="run it again, under an id of its own")


def keep(entry: Entry, days: int) -> None:
    """Keep an entry for so many days, and erase what is older; with 0 nothing is kept. Raises StorageError."""
    if days:
        add(entry)
    prune(days)


def get(run_id: str) -> Entry:
    """The entry of a run_id, or of a beginning that only one has. Raises NotFoundError, StorageError."""
    return entries([run_id])[0]


def entries(run_ids: Sequence[str]) -> list[Entry]:
    """The entries of these ids or beginnings, in their order, each once. Raises NotFoundError, StorageError."""
    _check_exists(run_ids)
    # One view of it all: what was found is not erased before it is read.
    with opened() as database, database.atomic():
        found = dict.fromkeys(_resolved(database, stored_text(run_id)) for run_id in run_ids)
        return [entry for run_id in found for entry in _read(database, "run_id = ?", [run_id])]


def everything() -> list[Entry]:
    """Every entry, oldest first. Raises StorageError."""
    if not is_there():
        return []
    with opened() as database:
        return _read(database, "TRUE", [])


def conversation(name: str) -> list[Entry]:
    """The turns that are kept of a conversation, oldest first. Raises StorageError."""
    with opened() as database:
        return _read(database, "conversation = ?", [name])


def last_conversation(command: str) -> list[Entry]:
    """The turns of the conversation that a command had last; none where none is kept. Raises StorageError."""
    if not is_there():
        return []
    last = "SELECT conversation FROM entries WHERE command = ? AND conversation IS NOT NULL ORDER BY time DESC, id DESC"
    with opened() as database:
        return _read(database, f"conversation = ({last} LIMIT 1)", [command])


def prune(days: int, *, rewrite: bool = False) -> int:
    """Erase the entries that are older than so many days, and return how many they were. Raises StorageError.

    `rewrite` goes through the whole file, as `remove` does, and raises StorageError too where another process that is
    reading keeps the texts in the write-ahead log; without it they go when that one ends.
    """
    if not is_there():
        return 0
    oldest = timestamp(datetime.now(UTC) - timedelta(days=days))
    with opened() as database:
        return _erase(database, "time < ?", [[oldest]], rewrite=rewrite)


def remove(run_ids: Sequence[str]) -> list[str]:
    """Erase the entries of these ids or beginnings, all or none, and return their ids. Raises NotFoundError too."""
    _check_exists(run_ids)
    with opened() as database:
        found = list(dict.fromkeys(_resolved(database, stored_text(run_id)) for run_id in run_ids))
        _erase(database, "run_id = ?", [[run_id] for run_id in found], rewrite=True)
    return found


def count_about(subject: str) -> int:
    """How many entries are about a subject, a keyed hash. Raises StorageError."""
    if not is_there():
        return 0
    with opened() as database:
        return int(database.conn.execute("SELECT count(*) FROM entries WHERE subject = ?", [subject]).fetchone()[0])


def remove_about(subject: str) -> int:
    """Erase the entries about a subject, a keyed hash, and return how many they were. Raises StorageError."""
    if not is_there():
        return 0
    with opened() as database:
        return _erase(database, "subject = ?", [[subject]], rewrite=True)


def remove_all() -> int:
    """Erase every entry, and return how many they were. Raises StorageError."""
    if not is_there():
        return 0
    with opened() as database:
        return _erase(database, "TRUE", [[]], rewrite=True)


def _erase(database: storage.Database, condition: str, values: Iterable[Sequence[str]], *, rewrite: bool) -> int:
    with storage.transaction(database):
        query = f"DELETE FROM entries WHERE {condition}"  # noqa: S608
        count = sum(database.conn.execute(query, each).rowcount for each in values)
        if count:
            database.conn.execute("INSERT INTO entries_words (entries_words) VALUES ('optimize')")
    if (count or rewrite) and not storage.forget(database, rewrite=rewrite and count > 0) and rewrite:
        raise _still_read(count)
    return count


def _still_read(count: int) -> StorageError:
    runs = "1 run is" if count == 1 else f"{count} runs are"
    return StorageError(
        f"{runs} out of the history, but the texts are still in {places.history_file()}-wal: another process reads it",
        hint="let it end, then: gemx history prune",
    )


def _check_exists(run_ids: Sequence[str]) -> None:
    if not is_there():
        raise NotFoundError(f"no run {', '.join(map(repr, run_ids))}: the history is empty")


def _read(database: storage.Database, condition: str, values: Sequence[str]) -> list[Entry]:
    query = f"SELECT * FROM entries WHERE {condition} ORDER BY time, id"  # noqa: S608
    cursor = database.conn.execute(query, values)
    names = [str(column[0]) for column in cursor.description]
    return [from_row(dict(zip(names, row, strict=True))) for row in cursor]


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
