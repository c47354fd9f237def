"""The history's lists, its full-text search, its migration and its erasing."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gemx import history, places, storage
from gemx.errors import NotFoundError, StorageError
from gemx.history import Entry, Filter
from gemx.history.tables import MIGRATIONS

ALL = Filter()
SMALL = Entry(run_id="r1", time="2026-11-20T11:00:00.000Z", command="gen", reply="ok", data={})


def keep(run_id: str, **changes: Any) -> None:
    history.add(replace(SMALL, run_id=run_id, **changes))


def found(words: str, which: Filter = ALL) -> list[str]:
    return [hit.run_id for hit in history.search(words, which)]


def listed(which: Filter) -> list[str]:
    return [line.run_id for line in history.latest(which)]


def is_anywhere(text: str) -> bool:
    """Whether a file of the data folder holds a text; of a word the index may leave out how it begins."""
    parts = {text.encode(), text.encode()[2:]}
    return any(part in file.read_bytes() for file in places.data_dir().iterdir() for part in parts)


def check_index() -> None:
    """Raise where the index and the texts do not say the same."""
    with storage.open_database(places.history_file(), MIGRATIONS) as database:
        database.conn.execute("INSERT INTO entries_words (entries_words) VALUES ('integrity-check')")
        database.conn.executescript("""
            CREATE VIRTUAL TABLE temp.fresh USING fts5 (
                prompt, reply, page, tokenize = 'unicode61 remove_diacritics 2'
            );
            INSERT INTO fresh (rowid, prompt, reply, page) SELECT id, prompt, reply, page FROM entries_text;
            CREATE VIRTUAL TABLE temp.kept_words USING fts5vocab (main, entries_words, instance);
            CREATE VIRTUAL TABLE temp.fresh_words USING fts5vocab (temp, fresh, instance);
        """)
        kept, fresh = (
            set(database.conn.execute(f"SELECT * FROM temp.{name}_words").fetchall()) for name in ("kept", "fresh")
        )
        assert kept == fresh


# search


@pytest.mark.parametrize("words", ["acao", "AÇÃO", "Ação", "aca*", "hipertensao ação", "ação\thipertensão", "pulmao"])
def test_case_and_accents_make_no_difference(words: str) -> None:
    keep("r1", prompt="Ação na hipertensão", reply="edema de PULMÃO")
    keep("r2", prompt="outra coisa")
    assert found(words) == ["r1"]


def test_all_words_must_occur_and_a_word_is_whole() -> None:
    keep("r1", prompt="choque séptico", reply="noradrenalina")
    assert found("choque noradrenalina") == ["r1"]
    assert found("choque dobutamina") == found("choq") == []


HOSTILE = [
    *('"?" * ( NEAR', '"', '""', "'", "*", "(", ")", "NEAR(", "a AND", "OR", "NOT", "prompt:x", "-", "^x", "{a b}:"),
    *(
        "x + y",
        "\\",
        "%",
        ";DROP TABLE entries;--",
        "",
        "  ",
        "\0",
        "a\0b",
        "🫀",
        "\udcff",
        "́",
        "x" * 50_000,
        "a " * 2000,
    ),
]


@pytest.mark.parametrize("words", HOSTILE)
def test_any_text_is_a_safe_query(words: str) -> None:
    keep("r1", prompt="choque")
    assert found(words) == []
    assert found("choque") == ["r1"]


@pytest.mark.parametrize("text", ['"?" * ( NEAR', "a AND b", "prompt:x", "4,6 mg/dL", "x+y^2", "d'água", 'disse "não"'])
def test_what_was_written_is_found_by_the_same_text(text: str) -> None:
    keep("r1", prompt=f"antes {text} depois")
    assert found(text) == ["r1"]


def test_random_text_is_a_safe_query_and_finds_itself() -> None:
    generator = random.Random(5)
    signs = "ab é \"*()?:-+^{}\\%_;'\n\tNEARANDORNOT,.01ç🫀"
    for number in range(150):
        text = "".join(generator.choices(signs, k=generator.randint(1, 30)))
        keep(f"r{number}", prompt=text)
        hits = found(text)
        assert hits == [] or f"r{number}" in hits


def test_the_words_of_an_automation_are_found_as_they_are_read() -> None:
    reply = '{"resumo": "choque\\nséptico \\u00e1cido", "n": 1}'
    page = [{"kind": "lines", "lines": ["Leito 7\nrefratário"]}]
    keep("r1", automation="sepse_bundle", command="auto verify", reply=reply, page=page)
    for words in ("séptico", "ácido", "refratario", "leito 7"):
        assert found(words) == ["r1"]
    assert found("resumo") == found("kind") == []  # the names of fields are not what was said


def test_a_reply_that_is_no_json_is_found_too() -> None:
    keep("r1", automation="sepse_bundle", reply='{"resumo": "cortado\\nno meio')
    keep("r2", reply='{"pam": 57}')
    assert found("meio") == ["r1"]
    assert found("57") == found("pam") == ["r2"]


def test_hits_come_newest_first_with_a_snippet_and_filtered() -> None:
    keep("r1", prompt="choque um", time="2026-11-01T00:00:00.000Z")
    keep("r2", prompt="choque dois", command="auto run", automation="sepse_bundle")
    keep("r3", prompt=f"{'antes ' * 40}choque {'depois ' * 40}")
    hits = history.search("choque", ALL)
    assert [hit.run_id for hit in hits] == ["r3", "r2", "r1"]
    assert "«choque»" in hits[0].snippet
    assert hits[0].snippet.count("antes") < 14
    assert found("choque", Filter(most=1)) == ["r3"]
    assert found("choque", Filter(command="auto run")) == found("choque", Filter(automation="sepse_bundle")) == ["r2"]
    assert found("choque", Filter(since=datetime(2026, 11, 10, tzinfo=UTC))) == ["r3", "r2"]


# list


def test_the_list_is_newest_first_and_filtered() -> None:
    for number, day in ((1, "03"), (2, "01"), (3, "02")):
        keep(f"r{number}", time=f"2026-11-{day}T00:00:00.000Z", command="auto run" if number == 3 else "gen")
    assert listed(ALL) == ["r1", "r3", "r2"]
    assert listed(Filter(most=2)) == ["r1", "r3"]
    assert listed(Filter(command="gen")) == ["r1", "r2"]
    assert listed(Filter(command="gen' OR 1=1 --")) == listed(Filter(automation="x")) == []
    assert listed(Filter(since=datetime(2026, 11, 2, tzinfo=UTC))) == ["r1", "r3"]


def test_a_line_says_what_it_is_about() -> None:
    keep("r1", prompt="Qual a PAM?", model="extractive", verified=False)
    keep("r2", automation="sepse_bundle", prompt="x", reply='{"resumo": "choque"}')
    keep("r3", automation="sepse_bundle", reply='{"resumo": ["x"]')
    keep("r4")
    assert [line.about for line in history.latest(ALL)] == ["", "", "choque", "Qual a PAM?"]
    last = history.latest(ALL)[-1]
    assert (last.model, last.verified, last.command) == ("extractive", False, "gen")


def test_to_look_makes_no_history(gemx_home: Path) -> None:
    assert history.latest(ALL) == history.search("x", ALL) == history.everything() == []
    assert history.last_conversation("gen") == []
    assert (history.prune(0), history.remove_all()) == (0, 0)
    with pytest.raises(NotFoundError, match="the history is empty"):
        history.remove(["r1"])
    assert not gemx_home.exists()


# erasing


def test_what_is_removed_is_in_no_file() -> None:
    for number in range(60):  # several parts of the index, and pages that are full
        keep(f"r{number}", prompt=f"paciente comum {number} " * 30, reply="resposta " * 50)
    secret = {"prompt": "Zqxwprompt", "system": "Zqxwsystem", "reply": "Zqxwreply " * 3000, "data": {"a": "Zqxwdata"}}
    keep("secret", **secret, page=[{"text": "Zqxwpage"}])
    assert found("zqxwpage") == ["secret"]
    for word in ("prompt", "system", "reply", "data", "page"):
        assert is_anywhere(f"Zqxw{word}")
    assert history.remove(["secr"]) == ["secret"]
    for word in ("prompt", "system", "reply", "data", "page"):
        assert not is_anywhere(f"Zqxw{word}") and not is_anywhere(f"zqxw{word}")
    assert found("paciente", Filter(most=100)) == [f"r{number}" for number in reversed(range(60))]
    check_index()


@pytest.mark.parametrize("sound", [True, False])
@pytest.mark.parametrize("way", ["remove", "prune", "all"])
def test_nothing_is_left_in_a_journal_either(monkeypatch: pytest.MonkeyPatch, way: str, sound: bool) -> None:
    monkeypatch.setattr(storage, "has_sound_wal", lambda: sound)
    keep("old", prompt="Zqxwsecret", time="2020-01-01T00:00:00.000Z")
    # Another process has it open, so that a write-ahead log stays.
    other = sqlite3.connect(places.history_file())
    other.execute("SELECT count(*) FROM entries").fetchall()
    {"remove": lambda: history.remove(["old"]), "prune": lambda: history.prune(30), "all": history.remove_all}[way]()
    assert not is_anywhere("Zqxwsecret") and not is_anywhere("zqxwsecret")
    other.close()


@pytest.mark.parametrize("way", ["remove", "prune", "all"])
def test_what_a_reader_keeps_in_the_log_is_not_called_erased(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    monkeypatch.setattr(storage, "has_sound_wal", lambda: True)
    monkeypatch.setattr(storage, "_BUSY_SECONDS", 0.05)
    keep("old", prompt="Zqxwsecret", time="2020-01-01T00:00:00.000Z")
    other = sqlite3.connect(places.history_file(), isolation_level=None)
    other.execute("BEGIN")
    other.execute("SELECT count(*) FROM entries").fetchall()
    erase = {"remove": lambda: history.remove(["old"]), "all": history.remove_all}
    with pytest.raises(StorageError, match="1 run is out of the history") as caught:
        erase.get(way, lambda: history.prune(30, rewrite=True))()
    assert caught.value.hint == "let it end, then: gemx history prune"
    assert is_anywhere("Zqxwsecret")
    other.execute("COMMIT")
    assert history.prune(30, rewrite=True) == 0
    assert not is_anywhere("Zqxwsecret") and not is_anywhere("zqxwsecret")
    other.close()


def test_several_are_removed_or_none() -> None:
    for run_id in ("r1", "r2", "r3"):
        keep(run_id, prompt="choque")
    with pytest.raises(NotFoundError, match="no run 'r9'"):
        history.remove(["r1", "r9"])
    with pytest.raises(NotFoundError, match="3 runs begin with 'r'"):
        history.remove(["r1", "r"])
    assert found("choque") == ["r3", "r2", "r1"]
    assert history.remove(["r1", "r3", "r1"]) == ["r1", "r3"]
    assert found("choque") == ["r2"]
    assert history.remove_all() == 1
    assert found("choque") == []


def test_a_damaged_entry_can_be_removed() -> None:
    keep("r1", prompt="choque", page=["Zqxwpage"], automation="x", reply='{"a": "b"}')
    connection = sqlite3.connect(places.history_file())
    with connection:
        connection.execute("UPDATE entries SET data = '{', page = '[\"Zqxwother\"', reply = '{' WHERE run_id = 'r1'")
    connection.close()
    assert found("zqxwpage") == []
    assert found("zqxwother") == []
    assert found("choque") == ["r1"]
    check_index()
    assert history.remove(["r1"]) == ["r1"]
    assert not is_anywhere("Zqxwpage") and not is_anywhere("Zqxwother")


# conversations


def test_the_last_conversation_of_a_command() -> None:
    for number, thread in enumerate(["a0", "b1", "a0"]):
        keep(f"{'abc'[number]}{number}", conversation=thread, time=f"2026-11-20T11:00:0{number}.000Z")
    keep("x", command="chat", conversation="x", time="2026-11-21T00:00:00.000Z")
    keep("y", time="2026-11-22T00:00:00.000Z")  # belongs to none
    assert [entry.run_id for entry in history.last_conversation("gen")] == ["a0", "c2"]
    assert [entry.run_id for entry in history.conversation("b1")] == ["b1"]
    assert history.conversation("nada") == []


# the migration

BEFORE = """
    INSERT INTO entries VALUES (
        'r1', '2026-11-20T11:00:00.000Z', 'auto run', NULL, 'sepse_bundle', '1', 'extractive', 1, 'Paciente', 'S',
        '{"resumo": "choque\\nséptico"}', '{"n": 6.60}', '[{"text": "Noradrenalina"}]'
    ), (
        'r0', '2026-11-19T11:00:00.000Z', 'auto verify', 'ab', 'sepse_bundle', '1', NULL, 0, NULL, NULL,
        'não é JSON', '{}', '[]'
    )
"""


def write_first_version() -> None:
    with storage.open_database(places.history_file(), MIGRATIONS[:1]) as database:
        database.conn.execute(BEFORE)


def test_an_older_history_is_kept_and_found() -> None:
    write_first_version()
    assert found("septico") == found("noradrenalina") == found("paciente") == ["r1"]
    assert found("json") == ["r0"]
    assert listed(ALL) == ["r1", "r0"]
    entry = history.get("r1")
    assert (entry.reply, entry.conversation, entry.verified) == ('{"resumo": "choque\\nséptico"}', None, True)
    assert str(entry.data["n"]) == "6.60"
    check_index()
    history.remove_all()
    for word in ("séptico", "septico", "Noradrenalina", "noradrenalina", "Paciente"):
        assert not is_anywhere(word)


def test_many_processes_migrate_at_once() -> None:
    write_first_version()
    code = "import sys; from gemx import history; sys.stdin.readline(); print(history.get('r1').run_id)"
    workers = [
        subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(6)
    ]
    assert [worker.communicate(b"go\n", timeout=60)[0].strip() for worker in workers] == [b"r1"] * 6
    check_index()


# killed at any moment

WORKER = """
import sys
from dataclasses import replace
from gemx import history
base = history.Entry(run_id="x", command="gen", reply="resposta " * 200, data={}, prompt="Zqxwkilled paciente " * 20)
n = 0
while True:
    history.add(replace(base, run_id=f"{sys.argv[1]}-{n:04}"))
    print(n, flush=True)
    if n % 3 == 2:
        history.remove([f"{sys.argv[1]}-{n - 1:04}"])
        print(-(n - 1), flush=True)
    n += 1
"""


@pytest.mark.parametrize("version", ["new", "old"])
def test_a_kill_at_any_moment_leaves_it_readable_and_loses_nothing(version: str) -> None:
    if version == "old":
        write_first_version()
    generator = random.Random(7)
    kept: set[str] = set()
    for turn in range(12):
        worker = subprocess.Popen([sys.executable, "-c", WORKER, f"k{turn}"], stdout=subprocess.PIPE, text=True)
        assert worker.stdout is not None
        told: list[int] = []
        if turn % 4:  # the others while they start and migrate
            told.append(int(worker.stdout.readline()))
        time.sleep(generator.uniform(0.05, 0.25))
        os.kill(worker.pid, signal.SIGKILL)
        told += [int(line) for line in worker.stdout.read().splitlines() if line.strip("-").isdigit()]
        worker.wait()
        worker.stdout.close()
        gone = {-number for number in told if number < 0}
        kept |= {f"k{turn}-{number:04}" for number in told if number >= 0 and number not in gone}
        last = max([*told, 0])
        # What was under way when it was killed may be there or not.
        unsure = {f"k{turn}-{number:04}" for number in (last + 1, last - 1)}
        kept -= unsure
        there = set(listed(ALL))
        assert kept <= there
        assert there - kept <= unsure | {"r0", "r1"} | {line for line in there if not line.startswith(f"k{turn}")}
        assert set(found("zqxwkilled")) == {line for line in there if line.startswith("k")}
        check_index()
    history.remove_all()
    assert not is_anywhere("Zqxwkilled") and not is_anywhere("zqxwkilled")
