from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import stat
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gemx import locks, places
from gemx.audit import writer
from gemx.errors import StorageError

Clock = Callable[[str], None]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Set the writer's clock to a day, or to a day and a time."""

    def to(text: str) -> None:
        at = datetime.fromisoformat(text).replace(tzinfo=UTC)

        class Fixed(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> Any:
                return at

        monkeypatch.setattr(writer, "datetime", Fixed)

    return to


def files() -> list[Path]:
    return sorted(places.audit_dir().glob("audit-*.jsonl"))


def lines() -> list[bytes]:
    """Every line of every file as raw bytes, each file split on its own."""
    return [line for path in files() for line in path.read_bytes().removesuffix(b"\n").split(b"\n")]


def chained() -> list[dict[str, Any]]:
    """The records that parse, once every link has been checked over the raw lines before."""
    previous, records = writer.GENESIS, []
    for line in lines():
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if record is not None:
            assert record["prev"] == previous
            records.append(record)
        previous = hashlib.sha256(line).hexdigest()
    return records


def numbers() -> list[int]:
    return [record["seq"] for record in chained()]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_first_records() -> None:
    assert [writer.append({"kind": "attempt", "n": n}) for n in range(3)] == [1, 2, 3]
    first, second, third = chained()
    assert list(first) == ["v", "seq", "prev", "time", "kind", "n"]
    assert (first["v"], first["prev"], third["n"]) == (1, "0" * 64, 2)
    assert second["prev"] == hashlib.sha256(lines()[0]).hexdigest()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first["time"])
    assert files()[0].name == f"audit-{first['time'][:10]}.jsonl"


def test_a_record_is_one_line_whatever_is_in_it() -> None:
    hostile = {"a": "x\ny\r\u2028\x85", "b": "ação", "c": "file-\udcff", "d": {"e": [1.5, None, True]}}
    writer.append(hostile)
    writer.append({})
    assert numbers() == [1, 2]
    record = chained()[0]
    assert {key: record[key] for key in hostile} == hostile


@pytest.mark.parametrize("record", [{"a": float("nan")}, {"a": object()}])
def test_what_is_no_json_leaves_nothing(record: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        writer.append(record)
    assert writer.append({}) == 1


def test_only_the_user_can_read(gemx_home: Path) -> None:
    before = os.umask(0)
    try:
        writer.append({})
    finally:
        os.umask(before)
    folders = [gemx_home, gemx_home / "state", places.audit_dir()]
    assert [mode(folder) for folder in folders] == [0o700] * 3
    assert [mode(path) for path in [*files(), places.audit_dir() / ".lock"]] == [0o600] * 2


def test_a_new_day_is_a_new_file_of_the_same_chain(clock: Clock) -> None:
    for day in ("2026-11-20", "2026-11-20", "2026-11-21", "2027-01-01"):
        clock(day)
        writer.append({})
    assert [path.name[6:16] for path in files()] == ["2026-11-20", "2026-11-21", "2027-01-01"]
    assert numbers() == [1, 2, 3, 4]


def test_a_clock_that_was_set_back_reopens_no_earlier_day(clock: Clock) -> None:
    for day in ("2026-11-20", "2026-11-21", "2026-11-20T10:00", "2026-11-19", "2026-11-21"):
        clock(day)
        writer.append({})
    assert [len(path.read_bytes().splitlines()) for path in files()] == [1, 4]
    assert numbers() == [1, 2, 3, 4, 5]
    assert chained()[2]["time"] == "2026-11-20T10:00:00.000Z"


def test_an_empty_file_of_today_does_not_break_the_chain(clock: Clock) -> None:
    clock("2026-11-20")
    writer.append({})
    clock("2026-11-21")
    writer.check_writable()
    assert files()[1].read_bytes() == b""
    assert writer.append({}) == 2
    assert json.loads(files()[1].read_bytes())["prev"] == hashlib.sha256(files()[0].read_bytes()[:-1]).hexdigest()


def test_a_torn_line_is_closed_and_kept() -> None:
    for _ in range(3):
        writer.append({})
    path = files()[0]
    torn = path.read_bytes()[:-20]
    path.write_bytes(torn)
    assert writer.append({}) == 3
    assert path.read_bytes().startswith(torn + b"\n")
    assert len(lines()) == 4
    assert numbers() == [1, 2, 3]


def test_a_line_that_lost_its_newline_alone_still_counts() -> None:
    writer.append({})
    files()[0].write_bytes(files()[0].read_bytes()[:-1])
    assert writer.append({}) == 2
    assert numbers() == [1, 2]


def test_a_torn_line_of_yesterday_is_closed_in_its_own_file(clock: Clock) -> None:
    clock("2026-11-20")
    writer.append({})
    with files()[0].open("ab") as file:
        file.write(b'{"v":1,"se')
    clock("2026-11-21")
    assert writer.append({}) == 2
    assert files()[0].read_bytes().endswith(b'{"v":1,"se\n')
    assert files()[1].read_bytes().startswith(b'{"v"')
    assert numbers() == [1, 2]


def test_a_day_of_nothing_but_a_torn_line_does_not_start_the_numbers_again(clock: Clock) -> None:
    clock("2026-11-20")
    for _ in range(3):
        writer.append({})
    clock("2026-11-21")
    writer.check_writable()
    files()[1].write_bytes(b'{"v":1,"seq":4,"prev')
    assert writer.append({}) == 4
    assert numbers() == [1, 2, 3, 4]


@pytest.mark.parametrize("line", [b"[" * 100_000, b'{"seq":false}', b'{"seq":"7"}'])
def test_whatever_stands_at_the_end_the_numbers_go_on(line: bytes) -> None:
    writer.append({})
    with files()[0].open("ab") as file:
        file.write(line + b"\n")
    assert writer.append({}) == 2


def test_lines_longer_than_a_block_are_read_back() -> None:
    for size in (10, 70_000, 300_000, 10):
        writer.append({"text": "x" * size})
    assert numbers() == [1, 2, 3, 4]
    with files()[0].open("ab") as file:
        file.write(b"y" * 200_000)
    assert writer.append({}) == 5
    assert numbers() == [1, 2, 3, 4, 5]


def test_a_changed_line_shows() -> None:
    for _ in range(3):
        writer.append({"a": 1})
    path = files()[0]
    path.write_bytes(path.read_bytes().replace(b'"a":1', b'"a":2', 1))
    with pytest.raises(AssertionError):
        chained()


WORKER = """
import sys
from gemx.audit import writer
sys.stdin.readline()
for n in range({records}):
    writer.append({{"worker": int(sys.argv[1]), "n": n}})
"""


def start(code: str, *argv: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", code, *argv], stdin=subprocess.PIPE)


def test_many_processes_write_one_chain() -> None:
    workers = [start(WORKER.format(records=200), str(index)) for index in range(8)]
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write(b"go\n")
        worker.stdin.close()
    assert [worker.wait(timeout=60) for worker in workers] == [0] * 8
    assert numbers() == list(range(1, 1601))
    for index in range(8):
        assert [record["n"] for record in chained() if record["worker"] == index] == list(range(200))


def test_many_threads_write_one_chain() -> None:
    threads = [threading.Thread(target=lambda: [writer.append({}) for _ in range(25)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert numbers() == list(range(1, 101))


@pytest.fixture
def failing_write(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A disk that takes 30 bytes of a write and is then full."""
    real, calls = os.write, [0]

    def write(descriptor: int, data: Any) -> int:
        calls[0] += 1
        if calls[0] == 1:
            return real(descriptor, bytes(data[:30]))
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        yield


@pytest.mark.usefixtures("failing_write")
def test_a_full_disk_leaves_nothing_of_the_record() -> None:
    with pytest.raises(StorageError, match="No space left on device"):
        writer.append({})
    assert files()[0].read_bytes() == b""


def test_a_record_after_a_full_disk_goes_on_with_the_chain(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    writer.append({})
    before = files()[0].read_bytes()
    request.getfixturevalue("failing_write")
    with pytest.raises(StorageError):
        writer.append({"a": "lost"})
    assert files()[0].read_bytes() == before
    monkeypatch.undo()


def test_the_name_of_a_new_file_is_on_the_disk_before_its_record(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    synced: list[tuple[int, int]] = []
    real = os.fsync

    def note(descriptor: int) -> None:
        synced.append((os.fstat(descriptor).st_ino, sum(path.stat().st_size for path in files())))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    writer.append({})
    writer.append({})
    assert synced == [(places.audit_dir().stat().st_ino, 0)]


def test_a_short_write_is_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, bytes(data[:7])))
    writer.append({"a": "x" * 100})
    writer.append({})
    assert numbers() == [1, 2]


def test_a_sync_that_fails_leaves_nothing_of_the_record(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    writer.append({})
    before = files()[0].read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fail)
        with pytest.raises(StorageError, match="Input/output error"):
            writer.append({})
    assert files()[0].read_bytes() == before
    assert writer.append({}) == 2


def test_a_file_size_limit_of_the_system_leaves_whole_records() -> None:
    code = textwrap.dedent(
        """
        import resource
        from gemx.audit import writer
        from gemx.errors import StorageError
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        try:
            for _ in range(100):
                writer.append({"text": "x" * 50})
        except StorageError as exc:
            print(exc.message)
        """
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert "File too large" in done.stdout
    assert files()[0].read_bytes().endswith(b"\n")
    assert 0 < len(numbers()) < 10
    assert writer.append({}) == numbers()[-1]


def test_a_lock_that_is_held_is_a_storage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    writer.append({})
    monkeypatch.setattr(locks, "SECONDS", 0.1)
    with (places.audit_dir() / ".lock").open("w") as held:
        # Even beside a reader of the lock: two writers must exclude each other.
        fcntl.flock(held, fcntl.LOCK_SH)
        for act in (lambda: writer.append({}), writer.check_writable):
            with pytest.raises(StorageError, match="is held by another process"):
                act()
    assert writer.append({}) == 2


def test_a_lock_that_is_let_go_is_waited_for() -> None:
    writer.append({})
    with (places.audit_dir() / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        timer = threading.Timer(0.2, lambda: fcntl.flock(held, fcntl.LOCK_UN))
        timer.start()
        assert writer.append({}) == 2
        timer.join()


def test_a_process_that_dies_lets_the_lock_go() -> None:
    code = "import os\nfrom gemx.audit import writer\nwriter.write = lambda *a: os._exit(9)\nwriter.append({})"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=30).returncode == 9
    assert writer.append({}) == 1


@pytest.mark.parametrize("place", ["state", "state/audit", "state/audit/.lock", "state/audit/audit-2026-11-20.jsonl"])
def test_a_place_that_cannot_be_written_is_a_storage_error(gemx_home: Path, clock: Clock, place: str) -> None:
    clock("2026-11-20")
    path = gemx_home / place
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix or path.name == ".lock":
        path.mkdir()
    else:
        path.write_text("in the way")
    for act in (writer.check_writable, lambda: writer.append({})):
        with pytest.raises(StorageError) as caught:
            act()
        assert caught.value.exit_code == 11


def test_no_room_is_told_before_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.statvfs(places.ensure_private_dir(places.audit_dir()))

    class Full:
        f_bavail, f_frsize = 1, real.f_frsize

    writer.check_writable()
    monkeypatch.setattr(os, "statvfs", lambda path: Full)
    with pytest.raises(StorageError, match="no room"):
        writer.check_writable()


def test_checking_writes_no_record() -> None:
    writer.check_writable()
    writer.append({})
    writer.check_writable()
    assert numbers() == [1]


def test_another_folder_has_its_own_chain(tmp_path: Path) -> None:
    writer.append({})
    assert writer.append({}, tmp_path / "other") == 1
    assert writer.append({}) == 2
