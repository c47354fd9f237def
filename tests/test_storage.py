from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gemx import storage
from gemx.errors import StorageError

NOTES: tuple[storage.Migration, ...] = (
    "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL); CREATE INDEX notes_text ON notes (text);",
)
# Versions whose library has, and has not, the bug that makes WAL unsafe; the journal that goes with each.
VERSIONS = {"truncate": (3, 51, 2), "wal": (3, 51, 3)}


@pytest.fixture(params=VERSIONS)
def journal(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", VERSIONS[request.param])
    return str(request.param)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "notes.db"


def add(path: Path, *texts: str) -> None:
    with storage.open_database(path, NOTES) as database:
        database.conn.executemany("INSERT INTO notes (text) VALUES (?)", [(text,) for text in texts])


def texts(path: Path) -> list[str]:
    with storage.open_database(path, NOTES) as database:
        return [row[0] for row in database.conn.execute("SELECT text FROM notes ORDER BY id")]


def pragma(connection: sqlite3.Connection, name: str) -> Any:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def start(code: str, *argv: str | Path) -> subprocess.Popen[bytes]:
    """A process that imports, then waits for a line before it goes on."""
    begin = "import sys, sqlite3, sqlite_utils\nfrom gemx import storage\nfrom gemx.errors import StorageError\n"
    code = f"{begin}sys.stdin.readline()\n{textwrap.dedent(code)}"
    command = [sys.executable, "-c", code, *map(str, argv)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finish(*workers: subprocess.Popen[bytes]) -> list[str]:
    """Let them go at once, and give back what each printed."""
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write(b"go\n")
        worker.stdin.flush()
    ended = [(*worker.communicate(timeout=60), worker.returncode) for worker in workers]
    assert [code for *_, code in ended] == [0] * len(workers), b"\n".join(err for _, err, _ in ended).decode()
    return [out.decode().strip() for out, *_ in ended]


def test_a_new_database(path: Path, journal: str) -> None:
    with storage.open_database(path, NOTES) as database:
        names = ("journal_mode", "synchronous", "foreign_keys", "secure_delete", "busy_timeout", "user_version")
        assert [pragma(database.conn, name) for name in names] == [journal, 2, 1, 1, 10_000, 1]
        assert database.table_names() == ["notes"]
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        database.execute("SELECT 1")


@pytest.mark.parametrize(
    ("version", "sound"),
    [
        ((3, 40, 1), False),
        ((3, 44, 5), False),
        ((3, 44, 6), True),
        ((3, 45, 0), False),
        ((3, 50, 6), False),
        ((3, 50, 7), True),
        ((3, 51, 0), False),
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 52, 0), True),
        ((4, 0, 0), True),
    ],
)
def test_wal_only_where_the_library_has_the_repair(version: tuple[int, ...], sound: bool) -> None:
    assert storage.has_sound_wal(version) is sound


@pytest.mark.parametrize("umask", [0, 0o022])
def test_every_file_is_the_users_alone(path: Path, journal: str, umask: int) -> None:
    before = os.umask(umask)
    try:
        with storage.open_database(path, NOTES) as database, storage.transaction(database):
            database.conn.execute("INSERT INTO notes (text) VALUES (?)", ["x" * 10_000])
            during = {each.name: mode(each) for each in path.parent.iterdir()}
    finally:
        os.umask(before)
    sides = {"wal": ("-wal", "-shm"), "truncate": ("-journal",)}[journal]
    assert during == dict.fromkeys(("notes.db", *(f"notes.db{side}" for side in sides)), 0o600)
    assert mode(path.parent) == 0o700


def test_a_path_is_no_address(tmp_path: Path) -> None:
    path = tmp_path / "a?mode=ro#b%20ção" / "ñ ?.db"
    add(path, "x")
    assert path.is_file() and texts(path) == ["x"]
    assert [each.name for each in tmp_path.iterdir() if each.is_dir()].count(path.parent.name) == 1


def test_a_relative_path(workdir: Path) -> None:
    add(Path("here.db"), "x")
    assert (workdir / "here.db").is_file()


def test_each_statement_commits_on_its_own(path: Path, journal: str) -> None:
    with storage.open_database(path, NOTES) as database:
        database.conn.execute("INSERT INTO notes (text) VALUES ('kept')")
        assert texts(path) == ["kept"]


def test_a_transaction_is_all_or_nothing(path: Path) -> None:
    with storage.open_database(path, NOTES) as database:
        with pytest.raises(KeyError), storage.transaction(database):
            database.conn.execute("INSERT INTO notes (text) VALUES ('lost')")
            raise KeyError
        with storage.transaction(database):
            database.table("notes").insert_all([{"text": "a"}, {"text": "b"}])
    assert texts(path) == ["a", "b"]


def test_migrations_are_applied_in_order_and_once(path: Path) -> None:
    def second(connection: sqlite3.Connection) -> None:
        connection.executemany("INSERT INTO notes (text) VALUES (?)", [("two",), ("two, again",)])

    third = """
        -- A comment; with a semicolon.
        CREATE TRIGGER twice AFTER INSERT ON notes WHEN new.text = 'three' BEGIN
            UPDATE notes SET text = 'three; changed' WHERE id = new.id;
            UPDATE notes SET text = text || '!' WHERE id = new.id;
        END;
        INSERT INTO notes (text) VALUES ('three')"""
    add(path, "one")
    for _ in range(2):
        with storage.open_database(path, (*NOTES, second, third)) as database:
            assert pragma(database.conn, "user_version") == 3
            found = [row[0] for row in database.conn.execute("SELECT text FROM notes ORDER BY id")]
            assert found == ["one", "two", "two, again", "three; changed!"]


def test_a_migration_that_fails_leaves_nothing_and_the_ones_before_it_stay(path: Path) -> None:
    broken = "CREATE TABLE half (a); INSERT INTO half VALUES (1); CREATE TABLE notes (again);"

    def raising(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE half (a)")
        raise ZeroDivisionError

    cases: list[tuple[storage.Migration, type[Exception]]] = [
        (broken, sqlite3.OperationalError),
        (raising, ZeroDivisionError),
    ]
    for migration, error in cases:
        with pytest.raises(error), storage.open_database(path, (*NOTES, migration)):
            pass
        with storage.open_database(path, NOTES) as database:
            assert database.table_names() == ["notes"]
    with storage.open_database(path, (*NOTES, "CREATE TABLE whole (a)")) as database:
        assert database.table_names() == ["notes", "whole"]


def test_a_newer_version_is_refused_and_left_as_it_is(path: Path, journal: str) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE future (a)")
        connection.execute("PRAGMA user_version = 9")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StorageError, match="newer gemx: it has version 9, and this one knows 1") as caught:
        add(path, "x")
    assert caught.value.hint and "update gemx" in caught.value.hint
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == ["notes.db"]


def test_the_journal_follows_the_library_that_opens(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("truncate", "wal", "truncate", "wal"):
        monkeypatch.setattr(sqlite3, "sqlite_version_info", VERSIONS[name])
        with storage.open_database(path, NOTES) as database:
            assert pragma(database.conn, "journal_mode") == name
            database.conn.execute("INSERT INTO notes (text) VALUES (?)", [name])
    assert texts(path) == ["truncate", "wal", "truncate", "wal"]


def test_wal_that_others_use_is_waited_for_and_then_an_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "_BUSY_SECONDS", 0.2)
    monkeypatch.setattr(sqlite3, "sqlite_version_info", VERSIONS["wal"])
    with storage.open_database(path, NOTES) as database:
        assert database.execute("SELECT count(*) FROM notes").fetchone() == (0,)
        monkeypatch.setattr(sqlite3, "sqlite_version_info", VERSIONS["truncate"])
        with pytest.raises(StorageError, match="is held by another process"):
            add(path, "x")
    add(path, "y")
    assert texts(path) == ["y"]


def test_wal_that_others_let_go_is_waited_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", VERSIONS["wal"])
    add(path, "x")
    holder = sqlite3.connect(path, check_same_thread=False)
    assert holder.execute("SELECT count(*) FROM notes").fetchone() == (1,)
    timer = threading.Timer(0.3, holder.close)
    timer.start()
    monkeypatch.setattr(sqlite3, "sqlite_version_info", VERSIONS["truncate"])
    assert texts(path) == ["x"]
    timer.join()


def test_erased_text_is_gone_from_the_file(path: Path, journal: str) -> None:
    secret = "noradrenalina para Maria " * 400
    add(path, secret, "short secret", "kept")
    assert b"para Maria" in path.read_bytes()
    with storage.open_database(path, NOTES) as database:
        database.conn.execute("DELETE FROM notes WHERE text <> 'kept'")
    for file in path.parent.iterdir():
        assert b"para Maria" not in file.read_bytes() and b"short secret" not in file.read_bytes()
    assert texts(path) == ["kept"]


@pytest.mark.parametrize(
    "content", [b"not a database, but a text that somebody wrote\n" * 30, b"SQLite format 3\0" * 64]
)
def test_a_file_that_is_no_database_is_a_storage_error_and_is_left(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(StorageError, match="is damaged: file is not a database") as caught:
        add(path, "x")
    assert str(path) in caught.value.message
    assert (caught.value.code, caught.value.exit_code) == ("storage", 11)
    assert caught.value.hint and "copy" in caught.value.hint
    assert path.read_bytes() == content


def test_a_damaged_page_is_a_storage_error(path: Path) -> None:
    add(path, *("x" * 3000 for _ in range(50)))
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(StorageError, match="is damaged"):
        texts(path)


def test_a_file_cut_short_is_a_storage_error(path: Path) -> None:
    add(path, *("x" * 3000 for _ in range(50)))
    path.write_bytes(path.read_bytes()[: 4096 * 4])
    with pytest.raises(StorageError, match="is damaged"):
        texts(path)


def test_an_empty_file_is_an_empty_database(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    add(path, "x")
    assert texts(path) == ["x"]


def test_a_folder_in_the_place_of_the_file(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(StorageError, match="cannot be opened for writing: unable to open database file"):
        add(path, "x")


def test_a_file_in_the_place_of_the_folder(path: Path) -> None:
    path.parent.write_text("in the way")
    with pytest.raises(StorageError, match="cannot create"):
        add(path, "x")


def test_a_name_that_the_system_refuses(path: Path) -> None:
    with pytest.raises(StorageError, match="File name too long"):
        add(path.with_name("n" * 300), "x")


def test_a_link_to_nothing_makes_no_file_elsewhere(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir()
    path.symlink_to(tmp_path / "elsewhere.db")
    with pytest.raises(StorageError, match="cannot be opened"):
        add(path, "x")
    assert not (tmp_path / "elsewhere.db").exists()


def test_a_link_to_a_database_is_followed(path: Path, tmp_path: Path) -> None:
    real = tmp_path / "elsewhere" / "real.db"
    add(real, "x")
    path.parent.mkdir()
    path.symlink_to(real)
    assert texts(path) == ["x"]


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that another user can enter: pytest's own are closed to all but its user."""
    folder = Path(tempfile.mkdtemp(prefix="gemx-test-"))
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


@pytest.mark.parametrize(("existing", "said"), [(False, "Permission denied"), (True, "readonly database")])
def test_a_place_that_is_not_the_users_to_write(open_folder: Path, existing: bool, said: str) -> None:
    path = open_folder / "notes.db"
    if existing:
        add(path, "x")
        path.chmod(0o444)
    open_folder.chmod(0o555)
    code = """
        import os
        migrations = [sys.argv[2]]
        if os.geteuid() == 0:
            os.seteuid(65534)
        try:
            with storage.open_database(storage.Path(sys.argv[1]), migrations) as database:
                database.conn.execute("INSERT INTO notes (text) VALUES ('y')")
        except StorageError as exc:
            print(exc.message, exc.hint)
    """
    [out] = finish(start(code, path, str(NOTES[0])))
    assert said in out and "cannot be opened for writing" in out and "rights" in out


def test_a_full_disk_is_a_storage_error_and_keeps_what_there_was(path: Path, journal: str) -> None:
    add(path, "before")
    with (
        pytest.raises(StorageError, match="no room to grow: database or disk is full"),
        storage.open_database(path, NOTES) as database,
    ):
        database.conn.execute("PRAGMA max_page_count = 8")
        database.conn.execute("INSERT INTO notes (text) VALUES (?)", ["x" * 100_000])
    assert texts(path) == ["before"]


def test_a_file_size_limit_of_the_system_is_a_storage_error_and_keeps_what_there_was(path: Path) -> None:
    add(path, "before")
    code = """
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
        try:
            with storage.open_database(storage.Path(sys.argv[1]), [sys.argv[2]]) as database:
                database.conn.execute("INSERT INTO notes (text) VALUES (?)", ["x" * 100_000])
        except StorageError as exc:
            print(exc.message)
    """
    [out] = finish(start(code, path, str(NOTES[0])))
    assert "cannot be read or written: disk I/O error" in out
    assert texts(path) == ["before"]


def test_a_lock_that_is_held_is_a_storage_error(path: Path, journal: str, monkeypatch: pytest.MonkeyPatch) -> None:
    add(path, "before")
    monkeypatch.setattr(storage, "_BUSY_SECONDS", 0.1)
    with storage.open_database(path, NOTES) as holder, storage.transaction(holder):
        with pytest.raises(StorageError, match="is held by another process: database is locked") as caught:
            add(path, "x")
        assert caught.value.hint and "try again" in caught.value.hint
        assert texts(path) == ["before"]
    add(path, "after")
    assert texts(path) == ["before", "after"]


def test_a_lock_that_is_let_go_is_waited_for(path: Path) -> None:
    add(path)
    holder = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN EXCLUSIVE")
    timer = threading.Timer(0.3, holder.rollback)
    timer.start()
    add(path, "x")
    timer.join()
    holder.close()
    assert texts(path) == ["x"]


def test_to_open_it_again_lets_no_lock_of_the_process_go(path: Path) -> None:
    # The system drops all locks that a process has on a file as soon as it closes any descriptor of it.
    code = """
        storage._BUSY_SECONDS = 0.1
        try:
            with storage.open_database(storage.Path(sys.argv[1]), [sys.argv[2]]) as database:
                database.conn.execute("INSERT INTO notes (text) VALUES ('x')")
        except StorageError as exc:
            print(exc.message)
    """
    worker = start(code, path, str(NOTES[0]))
    with storage.open_database(path, NOTES) as holder, storage.transaction(holder):
        assert texts(path) == []
        [out] = finish(worker)
    assert "database is locked" in out


def test_errors_that_are_bugs_stay_what_they_are(path: Path) -> None:
    bugs: list[tuple[str, type[Exception]]] = [
        ("SELEC 1", sqlite3.OperationalError),
        ("SELECT * FROM nowhere", sqlite3.OperationalError),
        ("INSERT INTO notes (text) VALUES (NULL)", sqlite3.IntegrityError),
        ("SELECT ?", sqlite3.ProgrammingError),
    ]
    for statement, error in bugs:
        with pytest.raises(error), storage.open_database(path, NOTES) as database:
            database.conn.execute(statement)


MIGRATE = """
    from pathlib import Path
    sqlite3.sqlite_version_info = tuple(map(int, sys.argv[2].split(".")))
    migrations = [
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT); CREATE TABLE log (version)",
        "INSERT INTO log VALUES (2)",
        lambda connection: connection.execute("INSERT INTO log VALUES (3)"),
    ]
    for n in range(10):
        with storage.open_database(Path(sys.argv[1]), migrations) as database:
            database.conn.execute("INSERT INTO notes (text) VALUES (?)", [f"{sys.argv[3]}-{n}"])
"""


def test_many_processes_create_migrate_and_write_at_once(path: Path, journal: str) -> None:
    version = ".".join(map(str, VERSIONS[journal]))
    finish(*(start(MIGRATE, path, version, str(index)) for index in range(6)))
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT version FROM log ORDER BY version").fetchall() == [(2,), (3,)]
    found = {row[0] for row in connection.execute("SELECT text FROM notes")}
    assert found == {f"{index}-{n}" for index in range(6) for n in range(10)}
    assert pragma(connection, "integrity_check") == "ok"
    connection.close()
    assert mode(path) == 0o600


COUNT = """
    from pathlib import Path
    sqlite3.sqlite_version_info = tuple(map(int, sys.argv[3].split(".")))
    with storage.open_database(Path(sys.argv[1]), [sys.argv[2]]) as database:
        for _ in range(20):
            with storage.transaction(database):
                n = int(database.conn.execute("SELECT text FROM notes").fetchone()[0])
                database.conn.execute("UPDATE notes SET text = ?", [n + 1])
"""


def test_what_a_transaction_read_stays_true(path: Path, journal: str) -> None:
    add(path, "0")
    version = ".".join(map(str, VERSIONS[journal]))
    finish(*(start(COUNT, path, str(NOTES[0]), version) for _ in range(4)))
    assert texts(path) == ["80"]


def test_many_threads_open_one_new_database(path: Path, journal: str) -> None:
    threads = [threading.Thread(target=add, args=(path, str(n))) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(texts(path)) == [str(n) for n in range(8)]


def test_no_thread_opens_a_file_that_another_has_yet_to_close(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, others = os.close, [threading.Thread(target=add, args=(path, "second"))]

    def close(descriptor: int) -> None:
        if not others[0].ident:
            others[0].start()
            others[0].join(timeout=0.3)
            assert others[0].is_alive()
        real(descriptor)

    monkeypatch.setattr(os, "close", close)
    add(path, "first")
    others[0].join()
    assert sorted(texts(path)) == ["first", "second"]


def test_a_process_that_is_killed_leaves_whole_transactions(path: Path, journal: str) -> None:
    code = """
        import os, signal
        sqlite3.sqlite_version_info = tuple(map(int, sys.argv[3].split(".")))
        with storage.open_database(storage.Path(sys.argv[1]), [sys.argv[2]]) as database:
            database.conn.execute("INSERT INTO notes (text) VALUES ('acknowledged')")
            with storage.transaction(database):
                database.conn.execute("PRAGMA cache_size = 2")
                for n in range(50):
                    database.conn.execute("INSERT INTO notes (text) VALUES (?)", ["x" * 9000])
                os.kill(os.getpid(), signal.SIGKILL)
    """
    worker = start(code, path, str(NOTES[0]), ".".join(map(str, VERSIONS[journal])))
    worker.communicate(b"go\n", timeout=60)
    assert worker.returncode == -9
    assert texts(path) == ["acknowledged"]


def test_sqlite_utils_is_imported_where_it_is_used() -> None:
    code = "import sys\nfrom gemx import history, storage\nprint('sqlite_utils' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "False"
