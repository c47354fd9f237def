from __future__ import annotations

import json
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gemx import history, places
from gemx.errors import NotFoundError, StorageError
from gemx.history import Entry

Clock = Callable[[str], None]

WHOLE = Entry(
    run_id="20261120T112233-4f9ac1",
    time="2026-11-20T11:22:33.123Z",
    command="auto run",
    subject="ab" * 32,
    automation="sepse_bundle",
    automation_version="2026.1",
    model="gemini:gemini-3.8-flash",
    verified=True,
    prompt="Paciente com PAM 57 mmHg",
    system="Você é um intensivista.",
    reply='{"resumo": "choque"}',
    data={"answer": {"resumo": "choque"}, "findings": [], "usage": {"input_tokens": 10}, "text": None},
    page=[{"kind": "title", "text": "Sepse"}, {"kind": "lines", "lines": ["agora", "depois"]}],
)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Set the history's clock."""

    def to(text: str) -> None:
        at = datetime.fromisoformat(text).replace(tzinfo=UTC)

        class Fixed(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> Any:
                return at

        monkeypatch.setattr("gemx.history.entry.datetime", Fixed)
        monkeypatch.setattr("gemx.history.store.datetime", Fixed)

    return to


def entry(run_id: str, **changes: Any) -> Entry:
    return replace(WHOLE, run_id=run_id, **changes)


def keep(*run_ids: str, **changes: Any) -> None:
    for run_id in run_ids:
        history.add(entry(run_id, **changes))


def ids() -> list[str]:
    connection = sqlite3.connect(places.history_file())
    found = [row[0] for row in connection.execute("SELECT run_id FROM entries ORDER BY run_id")]
    connection.close()
    return found


def refusal(run_id: str) -> NotFoundError:
    with pytest.raises(NotFoundError) as caught:
        history.get(run_id)
    return caught.value


def test_an_entry_comes_back_as_it_was() -> None:
    history.add(WHOLE)
    assert history.get(WHOLE.run_id) == WHOLE


def test_an_entry_of_what_every_run_has(clock: Clock) -> None:
    clock("2026-11-20T11:22:33.5")
    small = Entry(run_id="r1", command="gen", reply="", data={})
    history.add(small)
    assert history.get("r1") == replace(small, page=[])
    assert (small.time, small.model, small.verified) == ("2026-11-20T11:22:33.500Z", None, None)


@pytest.mark.parametrize("verified", [True, False, None])
def test_not_verified_is_not_unknown(verified: bool | None) -> None:
    keep("r1", verified=verified)
    assert history.get("r1").verified is verified


@pytest.mark.parametrize(
    "number",
    ["0.1", "0.10", "6.60", "1E+3", "0.3333333333333333333333333333", "1E-45", "0E-8", "-0.5", "123456789.000000001"],
)
def test_a_decimal_comes_back_digit_by_digit(number: str) -> None:
    keep("r1", data={"values": [Decimal(number)]}, page=[{"value": Decimal(number)}])
    found = history.get("r1")
    for value in (found.data["values"][0], found.page[0]["value"]):
        assert isinstance(value, Decimal) and str(value) == number


def test_numbers_are_numbers_in_the_file() -> None:
    data = {"rate": Decimal("6.60"), "weight": Decimal(70), "drops": 20, "hours": 1.5, "ok": True, "none": None}
    keep("r1", data=data)
    connection = sqlite3.connect(places.history_file())
    [(stored,)] = connection.execute("SELECT data FROM entries").fetchall()
    connection.close()
    assert stored == '{"rate":6.60,"weight":70,"drops":20,"hours":1.5,"ok":true,"none":null}'
    assert history.get("r1").data == data


def test_tuples_come_back_as_lists() -> None:
    keep("r1", data={"a": (1, (2, {"b": ()}))}, page=({"lines": ("x",)},))
    assert history.get("r1").data == {"a": [1, [2, {"b": []}]]}
    assert history.get("r1").page == [{"lines": ["x"]}]


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("-Infinity"), float("nan"), {1, 2}, object()])
def test_what_is_no_json_is_refused_and_leaves_nothing(value: Any) -> None:
    keep("r1")
    with pytest.raises((ValueError, TypeError)):
        keep("r2", data={"value": value})
    assert ids() == ["r1"]


TEXTS = ["ação 🫀 \u200d 中文", "aspas \" ' ; -- \\ \n\t\r", "\x00\x1b[31m", "x" * 200_000, "", "%_*?[a]"]


@pytest.mark.parametrize("text", TEXTS)
def test_texts_come_back_as_they_were(text: str) -> None:
    whole = entry("r1", prompt=text, system=text, reply=text, data={"é " + text[:50]: text}, page=[text])
    history.add(whole)
    assert history.get("r1") == whole


def test_a_byte_that_is_no_text_stays_as_its_escape() -> None:
    keep("r1", prompt="arg-\udcff", data={"key-\udcff": "value-\udcff"})
    found = history.get("r1")
    assert found.prompt == "arg-\\udcff"
    assert found.data == {"key-\udcff": "value-\udcff"}
    assert "arg" in refusal("arg-\udcff").message


HOSTILE = ["'; DROP TABLE entries; --", '" OR 1=1 --', "%", "_", "*", "?", "[a-z]", "é/../🫀", "a\nb", ":id", "\\"]


@pytest.mark.parametrize("run_id", HOSTILE)
def test_a_run_id_is_no_query_and_no_pattern(run_id: str) -> None:
    keep("r1", "r2")
    assert "no run" in refusal(run_id).message
    keep(run_id)
    assert history.get(run_id).run_id == run_id
    assert ids() == sorted(["r1", "r2", run_id])


def test_a_beginning_that_only_one_has_finds_it() -> None:
    keep("20261120T112233-4f9ac1", "20261120T112233-4f0000", "20261121T000000-aaaaaa")
    for beginning in ("20261120T112233-4f9", "20261120T112233-4f9ac"):
        assert history.get(beginning).run_id == "20261120T112233-4f9ac1"
    assert history.get("20261121").run_id == "20261121T000000-aaaaaa"


def test_a_whole_id_wins_over_the_ones_that_begin_with_it() -> None:
    keep("r1", "r10", "r100")
    assert history.get("r1").run_id == "r1"
    assert history.get("r10").run_id == "r10"


def test_a_beginning_of_several_is_refused_and_names_them() -> None:
    keep("r10", "r11", "s12")
    found = refusal("r1")
    assert found.message == "2 runs begin with 'r1': r11, r10"
    assert found.hint and "more of the id" in found.hint
    assert found.exit_code == 3


def test_of_many_candidates_the_newest_are_named() -> None:
    keep(*(f"r{n:02}" for n in range(15)))
    assert refusal("r").message.endswith("r14, r13, r12, r11, r10, r09, r08, r07, r06, r05 and 5 more")


def test_no_beginning_finds_nothing() -> None:
    keep("r1")
    assert refusal("").message == "no run ''"


def test_a_slip_gets_a_suggestion() -> None:
    keep("20261120T112233-4f9ac1", "20261121T080000-0bd2e7")
    assert "did you mean '20261120T112233-4f9ac1'?" in refusal("20261120T112233-4f9ac2").message
    assert refusal("sepse").message == "no run 'sepse'"


def test_to_look_for_a_run_makes_no_history(gemx_home: Path) -> None:
    assert refusal("r1").message == "no run 'r1': the history is empty"
    assert not gemx_home.exists()


def test_an_id_that_is_taken_is_refused_and_the_first_stays() -> None:
    keep("r1", reply="first")
    with pytest.raises(StorageError, match="has a run r1 already"):
        keep("r1", reply="second")
    assert history.get("r1").reply == "first"


def test_a_time_that_would_not_be_pruned_is_a_bug() -> None:
    for time in ("2026-11-20T11:22:33-03:00", "20/11/2026", ""):
        with pytest.raises(sqlite3.IntegrityError):
            keep("r1", time=time)
    assert ids() == []


def test_what_is_older_is_erased_for_good(clock: Clock) -> None:
    keep("old", time="2026-10-21T11:59:59.999Z", prompt="segredo antigo")
    keep("edge", time="2026-10-21T12:00:00.000Z")
    keep("new", time="2026-11-20T11:00:00.000Z")
    clock("2026-11-20T12:00:00")
    assert history.prune(30) == 1
    assert ids() == ["edge", "new"]
    for file in places.data_dir().iterdir():
        assert b"segredo antigo" not in file.read_bytes()
    assert history.prune(30) == 0
    assert history.prune(0) == 2
    assert ids() == []


def test_to_prune_where_there_is_nothing() -> None:
    assert history.prune(30) == 0


def test_every_file_is_the_users_alone(gemx_home: Path) -> None:
    keep("r1")
    assert places.history_file() == gemx_home / "data" / "history.db"
    for path in (gemx_home, *gemx_home.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)


WORKER = """
import sys
from gemx import history
sys.stdin.readline()
for n in range(15):
    history.add(history.Entry(
        run_id=f"{sys.argv[1]}-{n:02}", command="auto run", model="extractive", reply="x" * 20_000, data={"n": n}
    ))
    assert history.get(f"{sys.argv[1]}-{n:02}").data == {"n": n}
    history.prune(30)
"""


def test_many_processes_add_read_and_prune_at_once() -> None:
    workers = [subprocess.Popen([sys.executable, "-c", WORKER, f"w{n}"], stdin=subprocess.PIPE) for n in range(6)]
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write(b"go\n")
        worker.stdin.close()
    assert [worker.wait(timeout=60) for worker in workers] == [0] * 6
    assert ids() == [f"w{worker}-{n:02}" for worker in range(6) for n in range(15)]


def test_a_damaged_history_is_a_storage_error() -> None:
    places.ensure_private_dir(places.data_dir())
    places.history_file().write_text("not a database" * 100)
    for act in (lambda: keep("r1"), lambda: history.get("r1"), lambda: history.prune(30)):
        with pytest.raises(StorageError, match=r"history\.db is damaged") as caught:
            act()
        assert caught.value.exit_code == 11


@pytest.mark.parametrize("stored", ["{", "", "não"])
def test_a_damaged_entry_is_a_storage_error_without_its_text(stored: str) -> None:
    keep("r1", "r2")
    connection = sqlite3.connect(places.history_file())
    with connection:
        connection.execute("UPDATE entries SET data = ? WHERE run_id = 'r1'", [stored])
    connection.close()
    with pytest.raises(StorageError, match="entry r1 is damaged") as caught:
        history.get("r1")
    assert "não" not in caught.value.message
    assert history.get("r2").run_id == "r2"


def test_a_newer_history_is_refused() -> None:
    keep("r1")
    connection = sqlite3.connect(places.history_file())
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    for act in (lambda: keep("r2"), lambda: history.get("r1")):
        with pytest.raises(StorageError, match="newer gemx"):
            act()
    assert ids() == ["r1"]


def test_a_folder_in_the_place_of_the_history() -> None:
    places.history_file().mkdir(parents=True)
    with pytest.raises(StorageError, match="cannot be opened"):
        keep("r1")


def test_what_is_stored_is_plain_json_for_other_tools() -> None:
    history.add(WHOLE)
    connection = sqlite3.connect(places.history_file())
    [(data, page)] = connection.execute("SELECT data, page FROM entries").fetchall()
    connection.close()
    assert json.loads(data) == WHOLE.data
    assert json.loads(page) == WHOLE.page
