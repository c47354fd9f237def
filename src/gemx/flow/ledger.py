"""The ledger of one run: its lines, items, steps and calls in one SQLite file. The coordinator is its only writer.

What is said in one `commit` is on the disk together, or not at all. Lines and items are read and written as streams, so
a run of any length takes little memory. Knows no flow, and runs nothing.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from gemx import storage
from gemx.errors import InputError, StorageError
from gemx.flow.record import Failure, ItemRecord, StepRecord
from gemx.flow.tables import MIGRATIONS
from gemx.gateway import Attempt, Usage

_PAGE = 500
_KEEP = """
    INSERT INTO steps VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (item_key, path) DO UPDATE SET key = excluded.key,
    status = excluded.status, outputs = excluded.outputs, failure = excluded.failure, seconds = excluded.seconds
"""
_CALL = """
    INSERT INTO calls (
        item_key, step, time, provider, model, seconds, error, input_tokens, output_tokens, cost, prices
    ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_BEGIN = """
    INSERT INTO run (run_id, command, name, sha256, asked, created, changed) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (run_id) DO UPDATE SET command = excluded.command, name = excluded.name, sha256 = excluded.sha256,
    asked = excluded.asked, changed = excluded.changed, stopped = NULL,
    created = CASE sha256 WHEN excluded.sha256 THEN created ELSE excluded.created END
"""
_ITEMS = """
    SELECT count(*), count(*) FILTER (WHERE status = 'done'), count(*) FILTER (WHERE status = 'failed') FROM items
    WHERE key IN (SELECT item_key FROM lines)
"""
_CALLS = """
    SELECT count(*), coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0),
    count(*) FILTER (WHERE cost IS NULL) FROM calls
"""
_STEPS = """
    SELECT substr(path, 1, instr(path || '/', '/') - 1) AS step, count(*) FILTER (WHERE status = 'done'),
    count(*) FILTER (WHERE status = 'skipped'), count(*) FILTER (WHERE status = 'failed'), sum(seconds)
    FROM steps GROUP BY step ORDER BY step
"""
_FAILURES = """
    SELECT json_extract(failure, '$.code'), min(json_extract(failure, '$.message')), count(*) FROM items
    WHERE status = 'failed' AND key IN (SELECT item_key FROM lines) GROUP BY 1 ORDER BY 3 DESC, 1
"""


@dataclass(frozen=True)
class Run:
    """What a run is: `asked` is all that was asked of it, as JSON, so that it can be asked again by its id.

    `sha256` is of the flow and all that it uses, since `created`; `stopped` is why it stopped early, if it did.
    """

    run_id: str
    command: str
    name: str
    sha256: str
    asked: Mapping[str, Any]
    created: str = ""
    changed: str = ""
    stopped: Failure | None = None


@dataclass(frozen=True)
class Line:
    """A line of the items: what it asks, or why it is none. `key` is the same for lines that ask the same.

    `subject` is whom it is about: a keyed hash, never the subject itself.
    """

    line: int
    id: str | None
    key: str | None = None
    inputs: Mapping[str, Any] | None = None
    problem: str | None = None
    subject: str | None = None


@dataclass(frozen=True)
class Item:
    """What a worker is given: an item, with what was done of it before."""

    number: int
    key: str
    inputs: Mapping[str, Any]
    done: tuple[StepRecord, ...] = ()
    subject: str | None = None


@dataclass(frozen=True)
class Kept:
    """A step of an item, ended."""

    item: str
    record: StepRecord


@dataclass(frozen=True)
class Ended:
    """An item, ended."""

    item: str
    record: ItemRecord


Entry = Kept | Ended
RowStatus = Literal["done", "failed", "pending"]


@dataclass(frozen=True)
class Outcome:
    """What came of one line."""

    line: int
    id: str | None
    status: RowStatus
    outputs: Mapping[str, Any] | None
    failure: Failure | None


@dataclass(frozen=True)
class Counts:
    """How far a run is: lines, those that are no item, items by status, and what the calls cost.

    `unpriced` counts the calls whose cost is not known; `cost` is then of the others.
    """

    lines: int
    refused: int
    unique: int
    done: int
    failed: int
    calls: int
    input_tokens: int
    output_tokens: int
    cost: Decimal
    unpriced: int

    @property
    def pending(self) -> int:
        """The items that are still to be run."""
        return self.unique - self.done - self.failed

    @property
    def whole(self) -> bool:
        """Whether every line has its answer."""
        return not (self.pending or self.failed or self.refused)


class Ledger:
    """An open ledger; of the thread that opened it."""

    def __init__(self, database: storage.Database, path: Path) -> None:
        self.path = path
        self._database = database

    def run(self) -> Run | None:
        """What the ledger is of; None where it was only just made."""
        row = self._one("SELECT run_id, command, name, sha256, asked, created, changed, stopped FROM run")
        if row is None:
            return None
        run_id, command, name, sha256, asked, created, changed, stopped = row
        return Run(run_id, command, name, sha256, json.loads(asked), created, changed, _failure(stopped))

    def begin(self, run: Run) -> None:
        """Take down what the run is, now that it begins or goes on."""
        now = _now()
        values = [run.run_id, run.command, run.name, run.sha256, _json(run.asked), now, now]
        with self._transaction():
            self._database.conn.execute(_BEGIN, values)

    def end(self, stopped: Failure | None) -> None:
        """Take down that the run ended now, and why before its time."""
        with self._transaction():
            values = [_now(), _json(asdict(stopped)) if stopped else None]
            self._database.conn.execute("UPDATE run SET changed = ?, stopped = ?", values)

    def take(self, lines: Iterable[Line]) -> None:
        """Put the lines in the place of those before, all or none; an item that is known stays as it is."""
        with self._transaction():
            self._database.conn.execute("DELETE FROM lines")
            while page := list(islice(lines := iter(lines), _PAGE)):
                self._add(page)

    def _add(self, page: Sequence[Line]) -> None:
        items = [(line.key, _json(line.inputs), line.subject) for line in page if line.key]
        self._database.conn.executemany(
            "INSERT INTO items (key, inputs, subject) VALUES (?, ?, ?) ON CONFLICT (key) DO NOTHING", items
        )
        rows = [
            (line.line, line.id and _text(line.id), line.key, line.problem and _text(line.problem)) for line in page
        ]
        self._database.conn.executemany("INSERT INTO lines VALUES (?, ?, ?, ?)", rows)

    def reopen(self, keys: Sequence[str] | None = None) -> int:
        """Have failed items run again: these, or all that a line asks; returns how many."""
        with self._transaction():
            execute = self._database.conn.execute
            if keys is None:
                asked = "status = 'failed' AND key IN (SELECT item_key FROM lines)"
                return execute(f"UPDATE items SET status = 'again', failure = NULL WHERE {asked}").rowcount  # noqa: S608
            reopened = "UPDATE items SET status = 'pending', failure = NULL WHERE status = 'failed' AND key = ?"
            return sum(execute(reopened, [key]).rowcount for key in keys)

    def open_items(self, after: int, most: int, *, again: bool = False) -> list[Item]:
        """The next items to run, in the order in which they came, from behind that number; `again`: reopened ones only.

        An item that no line asks any more is left out.
        """
        status = "status = 'again'" if again else "status IN ('pending', 'again')"
        rows = self._all(
            f"SELECT number, key, inputs, subject FROM items WHERE {status} AND number > ? "  # noqa: S608
            "AND EXISTS (SELECT 1 FROM lines WHERE item_key = key) ORDER BY number LIMIT ?",
            [after, most],
        )
        return [
            Item(number, key, json.loads(inputs), self._done(key), subject) for number, key, inputs, subject in rows
        ]

    def is_done(self, key: str) -> bool:
        """Whether an item of that key is done."""
        return bool(self._all("SELECT 1 FROM items WHERE key = ? AND status = 'done'", [key]))

    def _done(self, item: str) -> tuple[StepRecord, ...]:
        query = "SELECT path, key, outputs, failure, seconds FROM steps WHERE item_key = ? AND status = 'done'"
        # With its failure: where the flow went on after one, it must not look like none later.
        return tuple(
            StepRecord(path, key, "done", _loaded(outputs), _failure(failure), seconds=took)
            for path, key, outputs, failure, took in self._all(query, [item])
        )

    def commit(self, entries: Iterable[Entry]) -> None:
        """Keep what is said, in one transaction. Raises StorageError; then nothing of it is kept."""
        with self._transaction():
            for entry in entries:
                if isinstance(entry, Kept):
                    self._keep(entry.item, entry.record)
                else:
                    self._end_item(entry.item, entry.record)

    def _keep(self, item: str, record: StepRecord) -> None:
        failure = _json(asdict(record.failure)) if record.failure else None
        values = [item, record.path, record.key, record.status, _json(record.outputs), failure, record.seconds]
        self._database.conn.execute(_KEEP, values)
        calls = [(item, record.path, _now(), *_call(attempt)) for attempt in record.attempts]
        self._database.conn.executemany(_CALL, calls)

    def _end_item(self, item: str, record: ItemRecord) -> None:
        failure = _json(asdict(record.failure)) if record.failure else None
        self._database.conn.execute(
            "UPDATE items SET status = ?, outputs = ?, failure = ?, seconds = ? WHERE key = ?",
            [record.status, _json(record.outputs), failure, record.seconds, item],
        )
        if record.status == "done":
            # Only who has to go on needs what the steps gave.
            self._database.conn.execute("UPDATE steps SET outputs = NULL WHERE item_key = ?", [item])

    def about(self, subject: str) -> tuple[int, frozenset[int]]:
        """How many items are about a subject, a keyed hash, and the numbers of the lines that ask them."""
        (items,) = self._row_of("SELECT count(*) FROM items WHERE subject = ?", [subject])
        rows = self._all(
            "SELECT line FROM lines WHERE item_key IN (SELECT key FROM items WHERE subject = ?)", [subject]
        )
        return items, frozenset(line for (line,) in rows)

    def forget(self, subject: str) -> None:
        """Erase the items about a subject for good, with their lines, steps and calls. Raises StorageError."""
        theirs = "item_key IN (SELECT key FROM items WHERE subject = ?)"
        with self._transaction():
            for table in ("lines", "steps", "calls"):
                self._database.conn.execute(f"DELETE FROM {table} WHERE {theirs}", [subject])  # noqa: S608
            self._database.conn.execute("DELETE FROM items WHERE subject = ?", [subject])
        with storage.told(self.path):
            if not storage.forget(self._database):
                raise StorageError(
                    f"the items are erased, but their texts are still in {self.path}-wal: another process reads it",
                    hint="let it end, and erase again",
                )

    def counts(self) -> Counts:
        """How far the run is. Costs are added up exactly, call by call."""
        lines, refused = self._row("SELECT count(*), count(problem) FROM lines")
        unique, done, failed = self._row(_ITEMS)
        calls, tokens_in, tokens_out, unpriced = self._row(_CALLS)
        costs = self._all("SELECT cost, count(*) FROM calls WHERE cost IS NOT NULL GROUP BY cost", [])
        cost = sum((Decimal(each) * count for each, count in costs), Decimal(0))
        return Counts(lines, refused, unique, done, failed, calls, tokens_in, tokens_out, cost, unpriced)

    def outcomes(self) -> Iterator[Outcome]:
        """What came of every line, in their order; read in pages, so that nobody who writes is kept waiting."""
        last = -1
        while rows := self._all(
            "SELECT line, id, problem, status, outputs, failure FROM lines LEFT JOIN items ON key = item_key "
            "WHERE line > ? ORDER BY line LIMIT ?",
            [last, _PAGE],
        ):
            yield from (_outcome(*row) for row in rows)
            last = rows[-1][0]

    def steps(self) -> list[tuple[str, int, int, int, float]]:
        """Of each step, its place in a list aside: its name, how often it was done, skipped, failed; its seconds."""
        return self._all(_STEPS, [])

    def failures(self) -> list[tuple[str, str, int]]:
        """Why items failed: code, the first message of it, and how many."""
        return self._all(_FAILURES, [])

    @contextmanager
    def _transaction(self) -> Generator[None]:
        with storage.told(self.path), storage.transaction(self._database):
            yield

    def _all(self, query: str, values: Sequence[Any]) -> list[Any]:
        with storage.told(self.path):
            return self._database.conn.execute(query, values).fetchall()

    def _row(self, query: str) -> Any:
        return self._row_of(query, [])

    def _row_of(self, query: str, values: Sequence[Any]) -> Any:
        return self._all(query, values)[0]

    def _one(self, query: str) -> Any:
        return next(iter(self._all(query, [])), None)


@contextmanager
def opened(path: Path) -> Generator[Ledger]:
    """The ledger of that file, made where there is none. Raises StorageError."""
    with storage.open_database(path, MIGRATIONS) as database:
        yield Ledger(database, path)


def _outcome(
    line: int, id: str | None, problem: str | None, status: str | None, outputs: str | None, failure: str | None
) -> Outcome:
    if problem is not None:
        return Outcome(line, id, "failed", None, Failure(InputError.code, problem, InputError.exit_code))
    if status == "done":
        return Outcome(line, id, "done", _loaded(outputs), None)
    return Outcome(line, id, "failed" if status == "failed" else "pending", None, _failure(failure))


def _call(attempt: Attempt) -> tuple[Any, ...]:
    usage = attempt.usage or Usage()
    cost = None if attempt.cost is None else str(attempt.cost)
    about = (attempt.provider, attempt.model, round(attempt.duration, 4), attempt.error)
    return (*about, usage.input_tokens, usage.output_tokens, cost, attempt.prices)


def _failure(text: str | None) -> Failure | None:
    return Failure(**json.loads(text)) if text else None


def _loaded(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _json(value: Any) -> str | None:
    return None if value is None else _text(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def _text(text: str) -> str:
    """A text as SQLite takes it: half of a character that JSON may hold goes as its escape."""
    return text.encode("utf-8", "backslashreplace").decode()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
