from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from day_files import path_of, set_clock, write_days
from gemx.audit import find, writer
from gemx.audit.find import Filter, Reader
from gemx.errors import NotFoundError

DAYS = ("2026-11-20", "2026-11-21")


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> None:
    write_days(monkeypatch, DAYS, 2)
    set_clock(monkeypatch, "2026-11-22T12:00:00")
    call = {
        "kind": "attempt",
        "run_id": "20261122T120000-aaaaaa",
        "command": "auto run",
        "gen_ai.request.model": "gemini-3.8-flash",
        "gen_ai.response.model": "gemini-3.8-flash-001",
        "gemx.route": "gemini",
        "gemx.status": "ok",
        "gemx.automation": "sepse_bundle",
        "gemx.user": "Conceição",
        "gemx.prompt_hmac": "beef" * 16,
    }
    writer.append(call)
    writer.append({**call, "gemx.status": "error", "error.type": "rate_limit", "run_id": "20261122T120001-bbbbbb"})
    writer.append({**call, "kind": "refusal", "error.type": "privacy", "gemx.status": "error", "gemx.flow": "f"})
    writer.append({"kind": "result", "run_id": call["run_id"], "command": "auto run", "gemx.verified": False})


def numbers(**which: Any) -> list[int]:
    found = [record["seq"] for record in Reader().newest(Filter(**which))]
    assert found == [record["seq"] for record in Reader().oldest(Filter(**which))][::-1]
    return found


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.usefixtures("log")
def test_every_filter() -> None:
    assert numbers() == [8, 7, 6, 5, 4, 3, 2, 1]
    assert numbers(command="auto run") == [8, 7, 6, 5]
    assert numbers(automation="sepse_bundle") == [7, 6, 5]
    for name in ("gemini-3.8-flash", "gemini:gemini-3.8-flash", "gemini-3.8-flash-001"):
        assert numbers(model=name) == [7, 6, 5]
    assert numbers(status="ok") == [5]
    assert numbers(status="error") == numbers(status="rate_limit") == [6]
    assert numbers(status="refused") == numbers(status="privacy") == [7]
    assert numbers(status="unverified") == [8]
    assert numbers(flow="f") == [7]
    assert numbers(user="Conceição", status="ok") == [5]
    assert numbers(user="conceicao") == numbers(model="gemini") == []
    assert numbers(since=day("2026-11-21")) == [8, 7, 6, 5, 4, 3]
    assert numbers(since=day("2026-11-21"), until=day("2026-11-22")) == [4, 3]
    assert numbers(since=day("2026-11-21T10:00:00"), until=day("2026-11-21T10:00:00.001")) == [4, 3]


@pytest.mark.usefixtures("log")
def test_words_are_looked_for_in_what_a_record_says() -> None:
    assert numbers(words=["SEPSE", "conceicao"]) == [7, 6, 5]
    assert numbers(words=["rate_limit"]) == [6]
    assert numbers(words=["beef"]) == numbers(words=["prompt_hmac"]) == numbers(words=["sepse", "nowhere"]) == []


@pytest.mark.usefixtures("log")
def test_damaged_and_foreign_lines_are_counted_and_passed_over() -> None:
    junk = [b"junk", b"", b"null", b"[1]", b'{"a":1}', b'{"v":2,"seq":1,"time":"x","kind":"y"}', b"\xff\xfe"]
    junk += [b'{"v":1,"seq":"1","time":"x","kind":"y"}', b'{"v":1,"seq":1,"time":5,"kind":"y"}', b'{"v":1,"se']
    path = path_of("2026-11-21")
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([lines[0], *junk[:-1], lines[1], junk[-1]]))
    for read in (Reader.newest, Reader.oldest):
        reader = Reader()
        assert len(list(read(reader, Filter()))) == 8
        assert reader.passed == len(junk)


@pytest.mark.usefixtures("log")
def test_a_run_by_its_id_its_beginning_or_a_number() -> None:
    assert [record["seq"] for record in Reader().run("20261122T120000-aaaaaa")] == [5, 7, 8]
    assert [record["seq"] for record in Reader().run("20261122T120001")] == [6]
    assert [record["seq"] for record in Reader().run("7")] == [7]
    with pytest.raises(NotFoundError, match="2 runs begin with '20261122'"):
        Reader().run("20261122")
    for text in ("", "9", "nowhere", "0", "99999999999999999999"):
        with pytest.raises(NotFoundError, match="no run and no record"):
            Reader().run(text)


def test_the_newest_are_read_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    write_days(monkeypatch, DAYS, 3)
    opened: list[str] = []
    real = find.log.backwards

    def backwards(path: Any) -> Any:
        opened.append(path.name)
        return real(path)

    monkeypatch.setattr(find.log, "backwards", backwards)
    assert next(iter(Reader().newest(Filter())))["seq"] == 6
    assert opened == ["audit-2026-11-21.jsonl"]


def test_a_clock_that_was_set_back_hides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    write_days(monkeypatch, DAYS, 1)
    set_clock(monkeypatch, "2026-11-19T10:00:00")
    writer.append({"kind": "attempt"})
    assert numbers(since=day("2026-11-19"), until=day("2026-11-20")) == [3]
    assert numbers(since=day("2026-11-21")) == [2]
    assert numbers(until=day("2026-11-21") + timedelta(days=1)) == [3, 2, 1]
