"""The only opener of SQLite files: private, synced, migrated, and safe to open from many processes at once.

What a user can act on (a lock, a full disk, missing rights, a damaged file) becomes a StorageError; any other error of
SQLite's is a bug and stays what it is. Knows nothing of what the tables hold.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from gemx import places
from gemx.errors import StorageError

if TYPE_CHECKING:
    from sqlite_utils import Database

Migration = str | Callable[[sqlite3.Connection], None]

SQLITE_VERSION = sqlite3.sqlite_version
_BUSY_SECONDS = 10.0
# What is sorted or rewritten stays in memory: a temporary file would be one more place with a text in it.
_PRAGMAS = ("synchronous = FULL", "foreign_keys = ON", "secure_delete = ON", "temp_store = MEMORY")
_HELD = ("is held by another process", "try again, or end the process that holds it")
_NOT_YOURS = (
    "cannot be opened for writing",
    "give yourself the rights to it and to its folder, or set GEMX_HOME elsewhere",
)
_DAMAGED = ("is damaged", "put a copy of it back, or move it away: an empty one is then started")
_CAUSES = {
    sqlite3.SQLITE_BUSY: _HELD,
    sqlite3.SQLITE_LOCKED: _HELD,
    sqlite3.SQLITE_PROTOCOL: _HELD,
    sqlite3.SQLITE_CANTOPEN: _NOT_YOURS,
    sqlite3.SQLITE_PERM: _NOT_YOURS,
    sqlite3.SQLITE_READONLY: _NOT_YOURS,
    sqlite3.SQLITE_FULL: ("has no room to grow", "free some disk space"),
    sqlite3.SQLITE_IOERR: ("cannot be read or written", "free or check the disk, or set GEMX_HOME elsewhere"),
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
}
_creating = threading.Lock()


@contextlib.contextmanager
def open_database(path: Path, migrations: Sequence[Migration]) -> Generator[Database]:
    """The database at its newest version, made where there is none, and closed at the end of the block.

    Migration n brings version n to n + 1; a released one never changes. Each statement commits on its own, unless it
    is in a `transaction`. Raises StorageError, for the statements of the block too.
    """
    _create(path)
    with told(path), contextlib.closing(_connect(path)) as connection:
        yield _prepared(connection, path, migrations)


class Kept:
    """A database whose connections stay open between uses, one for each thread that uses it at the same time.

    Must be closed. Where the file was moved away meanwhile, a new one is made, as `open_database` would.
    """

    def __init__(self, path: Path, migrations: Sequence[Migration]) -> None:
        self.path = path
        self._migrations = migrations
        self._lock = threading.Lock()
        self._idle: list[tuple[Database, os.stat_result]] = []

    @contextlib.contextmanager
    def used(self) -> Generator[Database]:
        """The database, for one thread; after an error in the block its connection is not used again.

        Raises StorageError, for the statements of the block too.
        """
        with told(self.path):
            database, file = self._taken()
            try:
                yield database
            except BaseException:
                database.conn.close()
                raise
            with self._lock:
                self._idle.append((database, file))

    def close(self) -> None:
        """Close the connections that nobody uses."""
        with self._lock:
            while self._idle:
                self._idle.pop()[0].conn.close()

    def _taken(self) -> tuple[Database, os.stat_result]:
        with self._lock:
            while self._idle:
                database, file = self._idle.pop()
                if _is_still(self.path, file):
                    return database, file
                database.conn.close()
        _create(self.path)
        connection = _connect(self.path, one_thread=False)
        return _prepared(connection, self.path, self._migrations), self.path.stat()


def _is_still(path: Path, file: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.stat(), file)
    except OSError:
        return False


@contextlib.contextmanager
def told(path: Path) -> Generator[None]:
    """What the block's statements fail by, as a StorageError where a user can act on it: for who stays in the block."""
    try:
        yield
    except sqlite3.Error as exc:
        # Python's own errors, such as a wrong number of parameters, have no code.
        cause = _CAUSES.get(getattr(exc, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF)
        if cause is None:
            raise
        raise StorageError(f"the database {path} {cause[0]}: {exc}", hint=cause[1]) from exc


@contextlib.contextmanager
def transaction(database: Database) -> Generator[None]:
    """All that the block writes, or nothing. The write lock is taken first, so what the block reads stays true."""
    database.conn.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.conn.execute("COMMIT")
    except BaseException:
        database.rollback()
        raise


def forget(database: Database, *, rewrite: bool = True) -> bool:
    """Leave nothing of what was deleted in the file; False where another process keeps it in the log of writes.

    Full-text indexes must have been optimised before: what is deleted stays in them, marked, until their parts are
    merged; FTS5's own secure-delete came with SQLite 3.42, and makes a file that an older one cannot read.
    """
    if rewrite:
        # A command that was killed may have left what it was writing in pages that are free, and so are not erased.
        database.conn.execute("VACUUM")
    # Where it is a write-ahead log that holds the pages of before.
    return not database.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]


def _create(path: Path) -> None:
    """An empty file for the user alone: SQLite would follow the umask, and its journals take the mode of the file."""
    places.ensure_private_dir(path.parent)
    try:
        # Closing a file drops every lock that the process has on it: no other thread may have opened it yet.
        with _creating, contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, places.FILE_MODE))
    except OSError as exc:
        raise StorageError(f"the database {path} {_NOT_YOURS[0]}: {exc.strerror}", hint=_NOT_YOURS[1]) from exc


def _connect(path: Path, *, one_thread: bool = True) -> sqlite3.Connection:
    # `mode=rw`: a file that is gone by now, or a link to none, must not be made with the umask's mode.
    address = f"{path.absolute().as_uri()}?mode=rw"
    return sqlite3.connect(address, uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=one_thread)


def _library() -> type[Database]:
    """sqlite-utils without NumPy, which it would import to know types that no table has, and be twice as slow by."""
    refusing = _Refusing("numpy")
    sys.meta_path.insert(0, refusing)
    try:
        from sqlite_utils import Database
    finally:
        sys.meta_path.remove(refusing)
    return Database


class _Refusing:
    """Has modules not found, in the thread that asks for it alone: another may need them at that moment."""

    def __init__(self, *names: str) -> None:
        self._names, self._thread = names, threading.get_ident()

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if name in self._names and threading.get_ident() == self._thread:
            raise ModuleNotFoundError(f"{name} is not wanted here", name=name)


def _prepared(connection: sqlite3.Connection, path: Path, migrations: Sequence[Migration]) -> Database:
    Database = _library()  # noqa: N806
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    database = Database(connection, execute_plugins=False)
    # Before anything is written: a newer version's file is left as it is.
    version = _version(connection, path, len(migrations))
    _set_journal_mode(connection)
    while version < len(migrations):
        with transaction(database):
            # Another process may have been here meanwhile.
            version = _version(connection, path, len(migrations))
            if version < len(migrations):
                _apply(database, migrations[version])
                version += 1
                connection.execute(f"PRAGMA user_version = {version}")
    return database


def _version(connection: sqlite3.Connection, path: Path, newest: int) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > newest:
        raise StorageError(
            f"the database {path} was written by a newer gemx: it has version {version}, and this one knows {newest}",
            hint="update gemx, or set GEMX_HOME elsewhere",
        )
    return version


def _apply(database: Database, migration: Migration) -> None:
    if isinstance(migration, str):
        # Not the connection's: that one would commit first.
        database.executescript(migration)
    else:
        migration(database.conn)


def _set_journal_mode(connection: sqlite3.Connection) -> None:
    mode = "wal" if has_sound_wal() else "truncate"
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute(f"PRAGMA journal_mode = {mode}")
        except sqlite3.OperationalError as exc:
            # To enter or leave WAL asks for the file alone, and SQLite's own timeout does not wait for that.
            if exc.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def has_sound_wal(version: tuple[int, ...] | None = None) -> bool:
    """Whether this SQLite, or a version, lacks the WAL-reset bug, by which two connections can lose committed pages."""
    version = version or sqlite3.sqlite_version_info
    return version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45)
