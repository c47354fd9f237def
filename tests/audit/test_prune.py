from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from day_files import edit, path_of, set_clock, write_days
from gemx import places
from gemx.audit import chain, prune, writer
from gemx.errors import StorageError

DAYS = ("2026-11-20", "2026-11-21", "2026-11-22", "2026-11-23")


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    return write_days(monkeypatch, DAYS)


def content(day: str) -> Path:
    path = places.audit_dir() / f"content-{day}.jsonl"
    path.write_text('{"texts":{}}\n')
    return path


def last_record() -> dict[str, Any]:
    return json.loads(max(places.audit_dir().glob("audit-*.jsonl")).read_bytes().splitlines()[-1])


def test_old_days_go_and_the_rest_stays_provable(log: list[Path]) -> None:
    texts, kept = content(DAYS[0]), content(DAYS[2])
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in log]
    heads = [end.head for end in chain.verify().ends]
    plan = prune.plan(timedelta(days=1))
    assert (plan.files, plan.records, plan.breaks) == ((log[0], log[1], texts), 8, 0)
    sizes = [path.stat().st_size for path in log]
    prune.carry_out(plan)
    assert [path.exists() for path in (*log, texts, kept)] == [False, False, True, True, False, True]
    record = last_record()
    assert (record["kind"], record["command"], record["seq"]) == ("prune", "logs prune", 17)
    assert record["gemx.files"] == [
        {"name": log[n].name, "sha256": digests[n], "bytes": sizes[n], "lines": 4, "head": heads[n]} for n in (0, 1)
    ]
    assert (record["gemx.first_seq"], record["gemx.last_seq"], record["gemx.head"]) == (1, 8, heads[1])
    assert [each["name"] for each in record["gemx.text_files"]] == [texts.name]
    report = chain.verify()
    assert (report.breaks, report.records, report.first_seq, report.pruned) == ((), 9, 9, True)


def test_pruned_again_and_again(log: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    for day in ("2026-11-24", "2026-11-25", "2026-11-26"):
        set_clock(monkeypatch, f"{day}T00:00:01")
        writer.append({"kind": "attempt"})
        prune.carry_out(prune.plan(timedelta(days=3)))
        assert chain.verify().breaks == ()
    assert chain.verify().first_seq == 13
    # Also where the record of the first prune is gone with its day.
    set_clock(monkeypatch, "2026-12-26T00:00:01")
    prune.carry_out(prune.plan(timedelta(days=10)))
    report = chain.verify()
    assert (report.breaks, report.records, report.files) == ((), 3, 2)


@pytest.mark.parametrize("days", [0, 1, 3, 4, 365])
def test_today_and_what_is_younger_stays(log: list[Path], days: int) -> None:
    assert prune.plan(timedelta(days=days)).files == tuple(log[: max(0, 3 - days)])


def test_the_newest_file_stays_even_where_it_is_old(log: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    set_clock(monkeypatch, "2027-11-23T10:00:00")
    prune.carry_out(prune.plan(timedelta(days=100)))
    assert not log[2].exists() and log[3].exists()
    assert chain.verify().breaks == ()


def test_nothing_to_prune_leaves_no_record(log: list[Path]) -> None:
    prune.carry_out(prune.plan(timedelta(days=365)))
    assert last_record()["seq"] == 16
    assert not (places.audit_dir() / ".prune").exists()


def test_an_empty_log(gemx_home: Path) -> None:
    assert prune.plan(timedelta(0)).files == ()
    assert not gemx_home.exists()


def test_what_was_broken_is_said_in_the_record(log: list[Path]) -> None:
    edit(log[0], 2, lambda old: old.replace(b'"n":1', b'"n":9'))
    prune.carry_out(prune.plan(timedelta(days=1)))
    assert last_record()["gemx.breaks"] == 1
    assert chain.verify().breaks == ()


def test_a_removal_that_was_not_announced_is_found(log: list[Path]) -> None:
    prune.carry_out(prune.plan(timedelta(days=2)))
    log[1].unlink()
    (found,) = chain.verify().breaks
    assert (found.path, found.line, found.kind) == (log[2], 1, "removed")


def test_a_removal_beyond_what_was_announced_is_found(log: list[Path]) -> None:
    prune.carry_out(prune.plan(timedelta(days=1)))
    edit(log[2], 1, lambda _: b"")
    assert [each.kind for each in chain.verify().breaks] == ["removed"]


def test_a_prune_record_that_was_made_up_is_none_of_the_chain(log: list[Path]) -> None:
    log[0].unlink()
    for record in ({"kind": "prune"}, {"kind": "prune", "gemx.files": 1}, {"kind": "prune", "gemx.files": [{}]}):
        writer.append(record)
    said = {"gemx.files": [], "gemx.first_seq": 1, "gemx.last_seq": 4, "gemx.head": "0" * 64}
    writer.append({"kind": "prune", **said})
    assert [each.line for each in chain.verify().breaks] == [1]


def killed(plan: prune.Plan, after: int) -> None:
    """Prune in this process, which ends hard at the n-th removal."""
    real, calls = Path.unlink, [0]

    def unlink(path: Path, missing_ok: bool = False) -> None:
        calls[0] += 1
        if calls[0] > after:
            os._exit(9)
        real(path, missing_ok)

    Path.unlink = unlink  # type: ignore[method-assign]
    prune.carry_out(plan)


@pytest.mark.parametrize("after", [0, 1, 2])
def test_killed_at_any_moment_it_is_gone_on_with(log: list[Path], after: int) -> None:
    texts = content(DAYS[0])
    plan = prune.plan(timedelta(days=1))
    process = multiprocessing.get_context("fork").Process(target=killed, args=(plan, after))
    process.start()
    process.join(30)
    assert process.exitcode == 9
    report = chain.verify()
    assert report.breaks == ()
    assert [path for path in log if path.exists()] == log[after:]
    assert report.leftover == tuple(log[after:2])
    # Whatever the next one is asked for, what was announced goes.
    prune.carry_out(prune.plan(timedelta(days=3)))
    report = chain.verify()
    assert (report.breaks, report.leftover, report.first_seq) == ((), (), 9)
    prune.carry_out(prune.plan(timedelta(days=1)))
    assert not texts.exists()
    assert chain.verify().breaks == ()


def test_a_file_that_was_announced_and_then_changed_is_found(log: list[Path]) -> None:
    plan = prune.plan(timedelta(days=1))
    whole = log[1].read_bytes()
    prune.carry_out(plan)
    log[1].write_bytes(whole)
    assert chain.verify().leftover == (log[1],)
    assert chain.verify().breaks == ()
    log[1].write_bytes(whole.replace(b'"n":1', b'"n":2'))
    assert (log[1], 0) in [(each.path, each.line) for each in chain.verify().breaks]


def test_a_file_that_cannot_be_removed_is_a_storage_error(log: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    plan = prune.plan(timedelta(days=1))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        with pytest.raises(StorageError, match=r"cannot be pruned: .*audit-2026-11-20"):
            prune.carry_out(plan)
    assert chain.verify().leftover == (log[0], log[1])


def test_a_day_of_nothing_but_a_torn_line(log: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    set_clock(monkeypatch, "2026-11-24T10:00:00")
    writer.check_writable()
    path_of("2026-11-24").write_bytes(b'{"v":1,"se')
    set_clock(monkeypatch, "2026-11-26T10:00:00")
    writer.append({"kind": "attempt"})
    prune.carry_out(prune.plan(timedelta(days=1)))
    report = chain.verify()
    assert (report.breaks, report.pruned, report.first_seq) == ((), True, 17)
