from __future__ import annotations

import fcntl
import hashlib
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gemx import locks, places
from gemx.audit import chain, writer
from gemx.errors import StorageError

DAYS = ("2026-11-20", "2026-11-21", "2026-11-22")


def path_of(day: str) -> Path:
    return places.audit_dir() / f"audit-{day}.jsonl"


@pytest.fixture
def log() -> list[Path]:
    """Three days of four records each, written by the writer and laid out as its clock would have."""
    for _ in range(12):
        writer.append({"kind": "attempt", "a": 1, "b": {"c": [1.5, "ação\u2028"]}})
    written = next(iter(places.audit_dir().glob("audit-*.jsonl")))
    lines = written.read_bytes().splitlines(keepends=True)
    written.unlink()
    for index, day in enumerate(DAYS):
        path_of(day).write_bytes(b"".join(lines[4 * index : 4 * index + 4]))
    return [path_of(day) for day in DAYS]


def edit(path: Path, line: int, change: Callable[[bytes], bytes]) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    lines[line - 1] = change(lines[line - 1])
    path.write_bytes(b"".join(lines))


def breaks() -> list[tuple[str, int, str]]:
    return [(found.path.name[6:16], found.line, found.kind) for found in chain.verify().breaks]


def test_nothing_was_written_yet(gemx_home: Path, tmp_path: Path) -> None:
    assert chain.verify() == chain.Report(0, 0, ())
    assert not gemx_home.exists()
    assert chain.verify(tmp_path / "nowhere").files == 0


def test_a_whole_chain(log: list[Path]) -> None:
    report = chain.verify()
    assert (report.records, report.files, report.breaks) == (12, 3, ())
    assert report.last == json.loads(log[-1].read_bytes().splitlines()[-1])["time"]


def reasons() -> list[str]:
    return [f"{found.path.name[6:16]}:{found.line} {found.kind}" for found in chain.verify().breaks]


@pytest.mark.parametrize("line", [1, 2, 4])
def test_a_changed_line_is_named(log: list[Path], line: int) -> None:
    edit(log[0], line, lambda old: old.replace(b'"a":1', b'"a":2'))
    assert breaks() == [(DAYS[0], line, "changed")]
    assert "changed" in chain.verify().breaks[0].reason


@pytest.mark.parametrize("line", range(1, 4))
def test_whatever_byte_of_a_line_is_changed(log: list[Path], line: int) -> None:
    before = log[1].read_bytes().splitlines(keepends=True)[line - 1]
    for position in range(0, len(before) - 1, 3):
        changed = before[:position] + bytes([before[position] ^ 1]) + before[position + 1 :]
        edit(log[1], line, lambda _, changed=changed: changed)
        assert breaks() and breaks()[0][:2] == (DAYS[1], line), position
        edit(log[1], line, lambda _: before)
    assert breaks() == []


def test_a_removed_line(log: list[Path]) -> None:
    edit(log[1], 2, lambda _: b"")
    (found,) = chain.verify().breaks
    assert (found.path, found.line, found.kind) == (log[1], 2, "removed")
    assert str(found) == f"{log[1]}:2: record 6 is missing before it"


def test_removed_lines_at_the_end_of_a_day(log: list[Path]) -> None:
    edit(log[0], 4, lambda _: b"")
    edit(log[0], 3, lambda _: b"")
    (found,) = chain.verify().breaks
    assert (found.path, found.line) == (log[1], 1)
    assert found.reason == "records 3 to 4 are missing before it, at the end of the file before"


def test_an_added_line_is_named(log: list[Path]) -> None:
    lines = log[1].read_bytes().splitlines(keepends=True)
    forged = json.loads(lines[1]) | {"a": 9}
    added = json.dumps({**json.loads(lines[1]), "a": 9, "seq": forged["seq"] + 1}).encode() + b"\n"
    edit(log[1], 2, lambda old: old + old)
    assert breaks() == [(DAYS[1], 2, "inserted")]
    edit(log[1], 3, lambda _: b'{"v":1}\n')
    assert breaks()[-1] == (DAYS[1], 3, "inserted")
    edit(log[1], 3, lambda _: b"no record\n" * 5)
    assert breaks() == [(DAYS[1], line, "inserted") for line in range(3, 8)]
    # One that even follows from the line before.
    log[1].write_bytes(b"".join([*lines[:2], added.replace(forged["prev"].encode(), sha(lines[1])), *lines[2:]]))
    assert breaks() == [(DAYS[1], 3, "inserted")]


def sha(line: bytes) -> bytes:
    return hashlib.sha256(line.removesuffix(b"\n")).hexdigest().encode()


@pytest.mark.parametrize("junk", [b"junk\n", b'{"a":1}\n'])
def test_any_number_of_added_lines_is_told(log: list[Path], junk: bytes) -> None:
    edit(log[1], 2, lambda old: old + junk * 5000)
    report = chain.verify()
    assert {(each.kind, each.path) for each in report.breaks} == {("inserted", log[1])}
    assert [each.line for each in report.breaks] == list(range(3, 1003))
    assert report.more == 4000


@pytest.mark.parametrize("junk", [b"junk\n", b'{"a":1}\n'])
def test_lines_added_before_the_first_are_no_accident(log: list[Path], junk: bytes) -> None:
    log[0].write_bytes(junk * 2 + log[0].read_bytes())
    assert breaks() == [(DAYS[0], 1, "inserted"), (DAYS[0], 2, "inserted")]


def test_a_log_that_begins_with_a_torn_line_is_whole() -> None:
    places.ensure_private_dir(places.audit_dir())
    path_of(DAYS[0]).write_bytes(b'{"v":1,"se')
    writer.append({"kind": "attempt"})
    report = chain.verify()
    assert ([each.kind for each in report.breaks], report.records) == (["torn"], 1)


def test_a_line_of_something_else_that_the_chain_went_on_after(log: list[Path]) -> None:
    with log[2].open("ab") as file:
        file.write(b'{"timestamp":"2026-11-22","model":"m"}\n')
    writer.append({"kind": "attempt"})
    report = chain.verify()
    assert [(each.line, each.kind, each.altered) for each in report.breaks] == [(5, "foreign", False)]
    assert report.records == 13


def test_a_line_added_before_the_first(log: list[Path]) -> None:
    forged = json.dumps({"v": 1, "seq": 1, "prev": writer.GENESIS}).encode() + b"\n"
    log[0].write_bytes(forged + log[0].read_bytes())
    assert breaks() == [(DAYS[0], 1, "inserted")]


def test_lines_that_changed_places(log: list[Path]) -> None:
    lines = log[1].read_bytes().splitlines(keepends=True)
    log[1].write_bytes(b"".join([lines[0], lines[2], lines[1], lines[3]]))
    assert breaks() == [(DAYS[1], 2, "moved"), (DAYS[1], 3, "moved")]
    assert "swapped" in chain.verify().breaks[0].reason


def test_a_day_that_changed_places_with_another(log: list[Path]) -> None:
    first, second = log[0].read_bytes(), log[1].read_bytes()
    log[0].write_bytes(second)
    log[1].write_bytes(first)
    assert breaks()[0] == (DAYS[0], 1, "removed")
    assert len(breaks()) >= 2


def test_every_broken_place_is_named(log: list[Path]) -> None:
    edit(log[0], 2, lambda old: old.replace(b'"a":1', b'"a":2'))
    edit(log[1], 3, lambda _: b"")
    edit(log[2], 2, lambda old: old + b"junk\n")
    assert reasons() == ["2026-11-20:2 changed", "2026-11-21:3 removed", "2026-11-22:3 inserted"]


def test_a_missing_day(log: list[Path]) -> None:
    log[1].unlink()
    (found,) = chain.verify().breaks
    expected = "records 5 to 8 are missing before it, at the end of the file before"
    assert (found.path, found.line, found.reason) == (log[2], 1, expected)


def test_a_missing_start(log: list[Path]) -> None:
    log[0].unlink()
    (found,) = chain.verify().breaks
    assert found.reason == "the chain starts with record 5: what was before it is missing"


def test_a_number_that_was_skipped_by_whoever_wrote_the_chain(log: list[Path]) -> None:
    lines = log[2].read_bytes().splitlines()
    record = {**json.loads(lines[-1]), "seq": 14, "prev": hashlib.sha256(lines[-1]).hexdigest()}
    log[2].write_bytes(b"".join(line + b"\n" for line in [*lines, json.dumps(record).encode()]))
    (found,) = chain.verify().breaks
    assert (found.line, found.reason) == (5, "its number is 14, and 13 was to come")


@pytest.mark.parametrize("seq", ["13", None, True])
def test_a_number_that_is_none(log: list[Path], seq: Any) -> None:
    lines = log[2].read_bytes().splitlines()
    record = {"seq": seq, "prev": hashlib.sha256(lines[-1]).hexdigest()}
    log[2].write_bytes(b"".join(line + b"\n" for line in [*lines, json.dumps(record).encode()]))
    assert breaks() == [(DAYS[2], 5, "changed")]


@pytest.mark.parametrize("cut", [1, 20, 200])
def test_a_torn_line_is_reported_and_the_chain_goes_on(cut: int) -> None:
    for _ in range(3):
        writer.append({"n": "x" * 200})
    (path,) = places.audit_dir().glob("audit-*.jsonl")
    path.write_bytes(path.read_bytes()[: -1 - cut])
    day = path.name[6:16]
    assert breaks() == [(day, 3, "torn")]
    writer.append({"n": 1})
    writer.append({"n": 2})
    report = chain.verify()
    assert [(found.line, found.kind) for found in report.breaks] == [(3, "torn")]
    assert report.records == 4


def test_a_line_that_lost_its_newline_alone_is_whole() -> None:
    writer.append({})
    (path,) = places.audit_dir().glob("audit-*.jsonl")
    path.write_bytes(path.read_bytes()[:-1])
    assert chain.verify().breaks == ()
    writer.append({})
    assert (chain.verify().records, chain.verify().breaks) == (2, ())


@pytest.mark.parametrize("junk", [b"\n", b"null\n", b"[1]\n", b"\xff\xfe\n", b'{"a":NaN}\n', b"[" * 100_000 + b"\n"])
def test_what_is_no_record(log: list[Path], junk: bytes) -> None:
    edit(log[1], 2, lambda _: junk)
    assert breaks() == [(DAYS[1], 2, "changed")]


def test_empty_files_break_nothing(log: list[Path]) -> None:
    path_of("2026-11-19").touch()
    path_of("2026-11-23").touch()
    report = chain.verify()
    assert (report.records, report.files, report.breaks) == (12, 5, ())


def test_other_files_of_the_folder_are_left_alone(log: list[Path]) -> None:
    for name in ("content-2026-11-20.jsonl", "audit-2026-11-20.jsonl.bak", "notes.txt"):
        (places.audit_dir() / name).write_text("not a record")
    assert chain.verify().breaks == ()


def test_a_folder_that_was_copied_without_its_lock(log: list[Path], tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in log:
        (copy / path.name).write_bytes(path.read_bytes())
    assert chain.verify(copy).records == 12
    assert sorted(path.name for path in copy.iterdir()) == [path.name for path in log]


def test_no_end_of_accidents_hides_what_is_none(log: list[Path]) -> None:
    edit(log[0], 2, lambda old: b"junk\n" * 5000)
    edit(log[1], 1, lambda old: old.replace(b'"a":1', b'"a":2'))
    with log[2].open("ab") as file:
        file.write(b"junk\n" * 5000)
    report = chain.verify()
    assert (len(report.breaks), report.more) == (2000, 8001)
    log[0].write_bytes(b"")
    report = chain.verify()
    assert (len(report.breaks), report.more) == (1002, 4000)
    assert [(found.path.name[6:16], found.line, found.kind) for found in report.altered] == [
        (DAYS[1], 1, "removed"),
        (DAYS[1], 1, "changed"),
    ]


def test_what_is_written_meanwhile_is_no_break(log: list[Path]) -> None:
    for path in log:
        path.unlink()
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            writer.append({"n": "x" * 20_000})

    thread = threading.Thread(target=write)
    thread.start()
    try:
        reports = [chain.verify()]
        while reports[-1].records < 60:
            reports.append(chain.verify())
    finally:
        stop.set()
        thread.join()
    assert {report.breaks for report in reports} == {()}


@pytest.mark.parametrize("more", [b'{"v":1,"se', b'{"v":1,"se\n', b"\n"])
def test_what_comes_after_the_look_is_not_read(log: list[Path], monkeypatch: pytest.MonkeyPatch, more: bytes) -> None:
    sizes = chain._sizes

    def then_more(folder: Path) -> list[tuple[Path, int]]:
        found = sizes(folder)
        for path in log:
            path.write_bytes(path.read_bytes() + more)
        return found

    # The newline of a last line that has none may come later, too.
    log[2].write_bytes(log[2].read_bytes()[:-1])
    monkeypatch.setattr(chain, "_sizes", then_more)
    assert chain.verify().breaks == ()


def test_a_record_that_is_half_written_is_waited_for(log: list[Path]) -> None:
    whole = log[2].read_bytes()
    with (places.audit_dir() / ".lock").open("rb+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        log[2].write_bytes(whole[:-30])

        def finish() -> None:
            log[2].write_bytes(whole)
            fcntl.flock(held, fcntl.LOCK_UN)

        timer = threading.Timer(0.2, finish)
        timer.start()
        assert chain.verify().breaks == ()
        timer.join()


def test_a_lock_that_is_held_is_a_storage_error(log: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "SECONDS", 0.1)
    with (places.audit_dir() / ".lock").open("rb+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(StorageError, match="is held by another process"):
            chain.verify()


def test_a_file_that_cannot_be_read_is_a_storage_error(log: list[Path]) -> None:
    log[1].unlink()
    log[1].mkdir()
    with pytest.raises(StorageError, match=r"the audit log cannot be read: .*audit-2026-11-21\.jsonl"):
        chain.verify()


def test_a_long_log_takes_little_memory_and_time(tmp_path: Path) -> None:
    lines, previous = [], writer.GENESIS
    for seq in range(1, 20_001):
        record = {"v": 1, "seq": seq, "prev": previous, "time": "2026-11-20T10:00:00.000Z", "text": "x" * 500}
        lines.append(json.dumps(record).encode())
        previous = hashlib.sha256(lines[-1]).hexdigest()
    (tmp_path / "audit-2026-11-20.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    before = os.times().user
    report = chain.verify(tmp_path)
    assert (report.records, report.breaks) == (20_000, ())
    assert os.times().user - before < 2
