"""Many processes at one log, some of them killed: the long form is `make soak`, a short one runs with every test."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from gemx import places
from gemx.audit import chain, writer
from gemx.audit.find import Filter, Reader
from gemx.errors import StorageError

# Says what was acknowledged on a pipe of its own: what it said is on the disk, whatever comes after. The clock of each
# goes through midnight, and of some back again.
WORKER = """
import os, sys
from datetime import UTC, datetime, timedelta
from gemx.audit import writer

number, count = int(sys.argv[1]), int(sys.argv[2])
begin = datetime(2026, 11, 20, 23, 59, 59, tzinfo=UTC)

class Clock(datetime):
    n = 0
    @classmethod
    def now(cls, tz=None):
        back = timedelta(days=1) if number % 4 == 3 and cls.n % 7 == 0 else timedelta(0)
        return begin + timedelta(seconds=cls.n * 4 / count) - back

writer.datetime = Clock
sys.stdin.readline()
for n in range(count):
    Clock.n = n
    seq = writer.append({"kind": "attempt", "worker": number, "n": n, "text": "ação" * (n % 50)})
    os.write(1, b"%d %d\\n" % (n, seq))
"""


def run(workers: int, records: int, kill: Callable[[list[subprocess.Popen[bytes]]], None], tmp_path: Path) -> None:
    said = [tmp_path / f"said-{number}" for number in range(workers)]
    started: list[subprocess.Popen[bytes]] = []
    for number, path in enumerate(said):
        with path.open("wb") as out:
            argv = [sys.executable, "-c", WORKER, str(number), str(records)]
            started.append(subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=out))
    for worker in started:
        assert worker.stdin is not None
        worker.stdin.write(b"go\n")
        worker.stdin.close()
    kill(started)
    ends = [worker.wait(timeout=1200) for worker in started]
    assert set(ends) <= {0, -signal.SIGKILL}
    judge([path.read_text() for path in said], ends, records)


def judge(said: list[str], ends: list[int], records: int) -> None:
    report = chain.verify()
    assert {each.kind for each in report.breaks} <= {"torn"}
    assert len(report.breaks) <= sum(end != 0 for end in ends)
    reader = Reader()
    found = {(each["worker"], each["n"]): each["seq"] for each in reader.oldest(Filter())}
    assert reader.passed == len(report.breaks)
    assert len(found) == report.records
    assert sorted(found.values()) == list(range(1, report.records + 1))
    for number, (text, end) in enumerate(zip(said, ends, strict=True)):
        whole = text[: text.rfind("\n") + 1].splitlines()
        acknowledged = {int(n): int(seq) for n, seq in (line.split() for line in whole)}
        assert end != 0 or len(acknowledged) == records
        assert {n: found[number, n] for n in acknowledged} == acknowledged
        assert [n for worker, n in found if worker == number] == sorted(n for worker, n in found if worker == number)


def killing(count: int, within: float) -> Callable[[list[subprocess.Popen[bytes]]], None]:
    chance = random.Random(7)

    def kill(workers: list[subprocess.Popen[bytes]]) -> None:
        # Not before the first of them writes.
        while not any(places.audit_dir().glob("audit-*")):
            time.sleep(0.01)
        for victim in chance.sample(workers, count):
            time.sleep(chance.uniform(0, within))
            victim.kill()

    return kill


def test_processes_that_are_killed_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    run(6, 120, killing(3, 0.2), tmp_path)
    # midnight came; and the first to write may have been one whose clock was a day back
    assert len(list(places.audit_dir().glob("audit-*"))) >= 2


@pytest.mark.soak
def test_sixteen_processes_of_two_thousand_records(tmp_path: Path) -> None:
    run(16, 2000, killing(5, 6), tmp_path)


@pytest.mark.parametrize("cut", [1, 7, 60])
def test_killed_in_the_middle_of_a_line(cut: int) -> None:
    """A process that dies with its line half written: it is kept, closed and reported, by whoever comes next."""
    writer.append({"kind": "attempt"})

    def half(path: Path, data: bytes) -> None:
        with path.open("ab") as file:
            file.write(data[:-cut])
        os._exit(9)

    def die() -> None:
        writer.write = half
        writer.append({"kind": "attempt", "text": "x" * 200})

    process = multiprocessing.get_context("fork").Process(target=die)
    process.start()
    process.join(30)
    assert process.exitcode == 9
    writer.append({"kind": "attempt"})
    report = chain.verify()
    assert [each.kind for each in report.breaks] == ([] if cut == 1 else ["torn"])
    assert report.records == (3 if cut == 1 else 2)


def test_a_folder_that_may_not_be_written() -> None:
    """As another user where the tests run as root, whom no mode keeps out; so in a place that any user reaches."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        writer.append({"kind": "attempt"}, folder)
        (log,) = folder.glob("audit-*")
        before = log.read_bytes()
        places_of_it = (folder, log, folder / ".lock")
        for path in places_of_it:
            path.chmod(0o555 if path.is_dir() else 0o444)
        reading, writing = os.pipe()

        def refused() -> None:
            if os.getuid() == 0:
                os.setuid(65534)
            for act in (writer.check_writable, partial(writer.append, {"kind": "attempt"})):
                try:
                    act(folder)
                except StorageError as exc:
                    os.write(writing, f"{exc.exit_code} ".encode())
            os._exit(0)

        process = multiprocessing.get_context("fork").Process(target=refused)
        process.start()
        process.join(30)
        os.close(writing)
        with os.fdopen(reading) as told:
            assert told.read() == "11 11 "
        for path in places_of_it:
            path.chmod(0o700 if path.is_dir() else 0o600)
        assert log.read_bytes() == before
        assert writer.append({"kind": "attempt"}, folder) == 2


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    """A file system of 64 KB, where one can be mounted; else a limit on the size of files."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    mounted = os.getuid() == 0 and subprocess.run(mount, check=False, capture_output=True).returncode == 0
    code = (
        "import json, resource, sys\nfrom pathlib import Path\nfrom gemx.audit import writer\n"
        "from gemx.errors import StorageError\n"
        "if sys.argv[2] == 'limit':\n    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))\n"
        "last = 0\ntry:\n    while True:\n"
        "        last = writer.append({'kind': 'attempt', 'text': 'x' * 700}, Path(sys.argv[1]))\n"
        "except StorageError as exc:\n    print(json.dumps([last, exc.exit_code]))\n"
    )
    try:
        argv = [sys.executable, "-c", code, str(folder), "disk" if mounted else "limit"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=True)
        last, exit_code = json.loads(done.stdout)
        report = chain.verify(folder)
        assert (report.records, report.breaks, exit_code) == (last, (), 11)
        assert last > 20
    finally:
        if mounted:
            subprocess.run(["umount", str(folder)], check=True)
