"""Sums of sealed days are kept, used while the day is the same, and made again where anything is wrong with them."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from figure_log import attempt, line, mixed, write
from gemx import places
from gemx.audit import rollup, tally
from gemx.audit.figures import Figures
from gemx.errors import StorageError

TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=1, microsecond=0)
SAO_PAULO = ZoneInfo("America/Sao_Paulo")


def day(back: int, calls: int = 3) -> Path:
    """The file of a day so many days ago."""
    moment = TODAY - timedelta(days=back)
    return write([attempt(moment, run_id=f"{back}-{number}") for number in range(calls)])


def read(zone: ZoneInfo | None = SAO_PAULO, **more: date) -> Figures:
    return rollup.read("day", zone, **more)


def kept() -> list[str]:
    return sorted(path.name for path in (places.cache_dir() / "audit").glob("*"))


@pytest.fixture
def tallied(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were added up."""
    names: list[str] = []
    whole = tally.tally

    def noted(path: Path, *arguments: object) -> tally.Tally:
        names.append(path.name)
        return whole(path, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(rollup, "tally", noted)
    return names


def test_no_log_is_no_error_and_leaves_nothing(gemx_home: Path) -> None:
    assert read() == Figures()
    assert not gemx_home.exists()


def test_a_sealed_day_is_added_up_once_and_today_each_time(tallied: list[str]) -> None:
    files = [day(back) for back in (3, 2, 0)]
    first = read()
    assert tallied == [path.name for path in files]
    assert kept() == [f"{path.stem}.day.msgpack" for path in files[:2]]
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (places.cache_dir() / "audit").glob("*")}
    assert modes == {0o600}
    tallied.clear()
    assert read() == first
    assert tallied == [files[2].name]
    assert first.total().calls == 9


def test_the_newest_file_is_read_again_though_its_day_is_over(tallied: list[str]) -> None:
    # The writer goes on with it where the clock was set back, and until the next record.
    newest = day(2)
    read()
    with newest.open("ab") as file:
        file.write(line(attempt(TODAY - timedelta(days=2), run_id="late")) + b"\n")
    assert read().total().calls == 4
    assert tallied == [newest.name] * 2
    assert kept() == []


def test_what_is_kept_says_the_same_as_the_log(tmp_path: Path) -> None:
    for back in (4, 3, 2, 1):
        write(mixed(500, TODAY - timedelta(days=back), seed=back), f"{TODAY - timedelta(days=back):%Y-%m-%d}")
    for zone in (ZoneInfo("UTC"), SAO_PAULO, ZoneInfo("Asia/Kolkata"), None):
        fresh = read(zone)
        assert read(zone) == fresh
        assert fresh.lines == 2000
    hours = rollup.read("hour", None)
    assert rollup.read("hour", SAO_PAULO) == hours
    assert hours.total().calls == read().total().calls
    assert len(kept()) == 6


@pytest.mark.parametrize("change", ["line", "size", "last line", "time"])
def test_a_day_that_is_another_one_is_added_up_again(tallied: list[str], change: str) -> None:
    old, _ = day(2), day(0)
    read()
    tallied.clear()
    lines = old.read_bytes().splitlines(keepends=True)
    times = old.stat()
    if change == "line":
        # A change inside leaves size and last line as they were; its time shows it.
        old.write_bytes(b"".join([lines[0].replace(b"1000", b"9000"), *lines[1:]]))
        os.utime(old, ns=(times.st_atime_ns, times.st_mtime_ns + 1))
        assert read().total().input_tokens == 14000
    elif change == "size":
        old.write_bytes(b"".join(lines[1:]))
        assert read().total().calls == 5
    elif change == "last line":
        old.write_bytes(b"".join([*lines[:-1], lines[-1].replace(b"1000", b"9000")]))
        os.utime(old, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert read().total().input_tokens == 14000
    else:
        os.utime(old, ns=(times.st_atime_ns, times.st_mtime_ns + 1))
        assert read().total().calls == 6
    assert old.name in tallied
    tallied.clear()
    read()
    assert old.name not in tallied


@pytest.mark.parametrize("data", [b"", b"\xff", b"\x96\x00", b"{}", None, "version", "cut"])
def test_what_is_damaged_or_old_is_made_again(
    tallied: list[str], monkeypatch: pytest.MonkeyPatch, data: bytes | str | None
) -> None:
    old, _ = day(2), day(0)
    whole = read()
    (path,) = (places.cache_dir() / "audit").glob("*")
    if data is None:
        path.unlink()
        path.mkdir()
    elif data == "version":
        monkeypatch.setattr(rollup, "VERSION", rollup.VERSION + 1)
    else:
        path.write_bytes(path.read_bytes()[:-3] if isinstance(data, str) else data)
    tallied.clear()
    assert read() == whole
    assert old.name in tallied


def test_what_is_kept_of_a_day_goes_with_it() -> None:
    old, other, _ = day(3), day(2), day(0)
    read()
    old.unlink()
    assert read().total().calls == 6
    assert kept() == [f"{other.stem}.day.msgpack"]


def test_another_zone_has_other_days(tallied: list[str]) -> None:
    old, _ = day(2), day(0)
    there = {*read(ZoneInfo("UTC")).by("slot")}
    assert {*read(SAO_PAULO).by("slot")} == {str(date.fromisoformat(each) - timedelta(days=1)) for each in there}
    assert tallied.count(old.name) == 2


def test_a_cache_that_cannot_be_written_costs_time_alone(gemx_home: Path, tallied: list[str]) -> None:
    old, _ = day(2), day(0)
    (gemx_home / "cache").write_text("a file in its place")
    assert read().total().calls == read().total().calls == 6
    assert tallied.count(old.name) == 2


def test_only_the_files_that_may_hold_the_days_asked_for_are_read(tallied: list[str]) -> None:
    files = [day(back) for back in (5, 4, 3, 2, 0)]
    found = read(since=(TODAY - timedelta(days=3)).date())
    # A local day may begin on the UTC day before.
    assert tallied == [path.name for path in files[1:]]
    assert found.total().calls == 12
    assert read(since=date.min).total().calls == 15


def test_a_log_that_cannot_be_read_is_a_storage_error(gemx_home: Path) -> None:
    day(2).unlink()
    (gemx_home / "state/audit/audit-2026-11-01.jsonl").mkdir()
    with pytest.raises(StorageError, match=r"audit-2026-11-01\.jsonl"):
        read()


def test_a_file_that_is_pruned_meanwhile_is_a_storage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    files = [day(back) for back in (3, 2, 0)]
    monkeypatch.setattr(rollup.log, "files", lambda: files)
    for path in files[:2]:
        path.unlink()
    with pytest.raises(StorageError, match="cannot be read"):
        read()


def test_much_is_added_up_by_two_processes_and_what_one_leaves_by_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    for back in range(9):
        day(back)
    whole = read()
    for path in (places.cache_dir() / "audit").glob("*"):
        path.unlink()
    monkeypatch.setattr(rollup, "_MUCH", 1)
    monkeypatch.setattr(rollup.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(rollup.threading, "active_count", lambda: 1)
    forked: list[int] = []
    fork = os.fork
    monkeypatch.setattr(rollup.os, "fork", lambda: forked.append(fork()) or forked[-1])
    assert read() == whole
    assert read() == whole
    assert len(forked) == 1
    with pytest.raises(ChildProcessError):
        os.waitpid(forked[0], os.WNOHANG)


def test_many_processes_at_once_say_the_same() -> None:
    for back in range(6):
        write(mixed(300, TODAY - timedelta(days=back), seed=back), f"{TODAY - timedelta(days=back):%Y-%m-%d}")
    command = [str(Path(sys.executable).with_name("gemx")), "stats", "summary", "--json"]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    said = {process.communicate()[0] for process in running}
    assert len(said) == 1 and all(process.returncode == 0 for process in running)
    assert len(kept()) == 5
