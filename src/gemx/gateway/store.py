"""The door's database, which all processes of the user share: opened here, with who holds a row and for how long.

Knows the tables and the processes; what an amount, a request or a place in line means is for `budget` and `limiter`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from gemx import locks, places, storage
from gemx.errors import GemxError, StorageError
from gemx.gateway import clock
from gemx.locks import Asked, Together

MICROSECONDS = 1_000_000
T = TypeVar("T")
_PROC = Path("/proc/self")
_writing = threading.Lock()
_kept: list[storage.Kept] = []

_MIGRATIONS: tuple[storage.Migration, ...] = (
    """
    -- Nanodollars. `ends` is NULL once the cost is known; times are microseconds since 1970, UTC.
    CREATE TABLE spending (
        id TEXT PRIMARY KEY NOT NULL,
        run_id TEXT NOT NULL,
        at INTEGER NOT NULL,
        amount INTEGER NOT NULL CHECK (amount >= 0),
        ends INTEGER,
        host TEXT,
        pid INTEGER,
        started TEXT
    );
    CREATE INDEX spending_at ON spending (at, amount);
    CREATE INDEX spending_run ON spending (run_id, amount);
    CREATE INDEX spending_held ON spending (ends) WHERE ends IS NOT NULL;

    CREATE TABLE requests (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        key TEXT NOT NULL,
        at INTEGER NOT NULL,
        tokens INTEGER NOT NULL,
        settled INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX requests_key ON requests (key, at);
    CREATE INDEX requests_at ON requests (at);

    -- Who waits for a request; the first come has the lowest id.
    CREATE TABLE line (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        key TEXT NOT NULL,
        tokens INTEGER NOT NULL,
        ends INTEGER NOT NULL,
        host TEXT NOT NULL,
        pid INTEGER NOT NULL,
        started TEXT NOT NULL
    );
    CREATE INDEX line_key ON line (key, id);

    CREATE TABLE cooldowns (
        key TEXT PRIMARY KEY NOT NULL,
        since INTEGER NOT NULL,
        until INTEGER NOT NULL
    );
    """,
)


@dataclass(frozen=True)
class Owner:
    """A process that holds rows: its machine (and, in a container, its own numbering), its number and its start."""

    host: str
    pid: int
    started: str

    @property
    def ended(self) -> bool:
        """Whether it is known to have ended; never so of another machine's."""
        if self == myself():
            return False
        if self.host != _host():
            return False
        if not _PROC.is_dir():
            return not _answers(self.pid)
        return _start(self.pid) != self.started


def opened() -> AbstractContextManager[storage.Database]:
    """The database, made where there is none. Raises StorageError."""
    if _kept and _kept[-1].path == places.door_file():
        return _kept[-1].used()
    return storage.open_database(places.door_file(), _MIGRATIONS)


@contextmanager
def kept_open() -> Generator[None]:
    """Have the database stay open while the block runs: for many calls in one process."""
    kept = storage.Kept(places.door_file(), _MIGRATIONS)
    _kept.append(kept)
    try:
        yield
    finally:
        _kept.remove(kept)
        kept.close()


@contextmanager
def writing(database: storage.Database) -> Generator[None]:
    """All that the block writes, or nothing; what it reads stays true. Raises StorageError."""
    # Where many wait for a lock, SQLite has who waited longest ask least often, until his time is over.
    with _writing, _alone(), storage.transaction(database):
        yield


@contextmanager
def _alone() -> Generator[None]:
    path = places.door_file().with_suffix(".lock")
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, places.FILE_MODE)
    except OSError as exc:
        raise StorageError(f"cannot open {path}: {exc.strerror}", hint="set GEMX_HOME elsewhere") from exc
    try:
        locks.wait_for(descriptor, path)
        yield
    finally:
        os.close(descriptor)


def write(operation: Callable[[storage.Database], T]) -> T:
    """Run an operation alone: all that it writes, or nothing; what it reads stays true.

    Those of threads that wait at the same time share one transaction, and so one sync of the disk. Raises what the
    operation raises, and StorageError.
    """
    return _together.ask(operation)


def _write(asked: Sequence[Asked[Callable[[storage.Database], Any]]]) -> None:
    with opened() as database, writing(database):
        for each in asked:
            database.conn.execute("SAVEPOINT one")
            try:
                each.result = each.what(database)
            except GemxError as exc:
                each.error = exc
                database.conn.execute("ROLLBACK TO one")
            database.conn.execute("RELEASE one")


_together: Together[Callable[[storage.Database], Any]] = Together(_write)


def exists() -> bool:
    """Whether any process ever wrote to it: to ask opens nothing."""
    return places.is_file(places.door_file())


def myself() -> Owner:
    """This process."""
    return _process(os.getpid())


@lru_cache(maxsize=1)
def _process(pid: int) -> Owner:
    return Owner(_host(), pid, _start(pid))


def microseconds(moment: datetime | None = None) -> int:
    """A moment, or now, as the tables have it."""
    since_1970 = (moment or clock.now()) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since_1970.days * 86_400 + since_1970.seconds) * MICROSECONDS + since_1970.microseconds


def _host() -> str:
    try:
        numbering = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        numbering = ""
    return f"{os.uname().nodename} {numbering}".strip()


def _start(pid: int) -> str:
    """When a process started, in a form that no other process of its number has had; empty where it runs no more."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        # The name stands in parentheses and may hold any character.
        state, *numbers = (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        )
    except (OSError, ValueError):
        return ""
    return "" if state in "ZX" else f"{boot} {numbers[18]}"


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
