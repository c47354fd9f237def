"""`gemx logs`: list, show, tail, search, verify, checkpoint, export, prune and import."""

from __future__ import annotations

import csv
import json
import os
import signal
import stat
import subprocess
import time
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from conftest import RunGemx
from day_files import edit, path_of, rewrite_from, write_days
from fake_gemini import FakeGemini
from gemx import places
from gemx.audit import writer
from terminal import GEMX, on_a_terminal

MODEL = "gemini:gemini-3.8-flash"
DAYS = ("2026-11-20", "2026-11-21", "2026-11-22")


def columns(text: str) -> int:
    return sum(1 + (unicodedata.east_asian_width(char) in "WF") for char in text)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    return write_days(monkeypatch, DAYS)


@pytest.fixture
def keys(run_gemx: RunGemx, workdir: Path) -> None:
    assert run_gemx("logs", "checkpoint", "--new-key", "k").code == 0


def checkpointed(run_gemx: RunGemx) -> RunGemx:
    assert run_gemx("logs", "checkpoint", "--key", "k", "--out", "c.note").code == 0
    return lambda *argv: run_gemx("logs", "verify", "--checkpoint", "c.note", "--public-key", "k.pub", *argv)


# list, search, show


def test_the_list_says_how_each_call_ended(run_gemx: RunGemx, fake_gemini: FakeGemini, workdir: Path) -> None:
    fake_gemini.fault("blocked")
    run_gemx("gen", "a", "-m", MODEL)
    run_gemx("gen", "meu CPF é 529.982.247-25", "-m", MODEL, "--guard", "block")
    run_gemx("gen", "b", "-m", MODEL)
    Path("answer.json").write_text("{}")
    run_gemx("auto", "verify", "answer.json", "--automation", "sepse_bundle", "-iidade=64", "-isexo=M")
    done = run_gemx("logs", "list")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert [line[35:] for line in lines] == [
        "sepse_bundle not verified: c… -",
        "gen          ok               gemini-3.8-fla…",
        "gen          refused: privacy gemini-3.8-fla…",
        "gen          failed: blocked  gemini-3.8-fla…",
    ]
    assert all(columns(line) <= 80 for line in lines)


@pytest.mark.usefixtures("log")
def test_filters_and_numbers(run_gemx: RunGemx) -> None:
    def listed(*argv: str) -> list[int]:
        done = run_gemx("logs", "list", "--json", *argv)
        assert done.code == 0
        return [each["seq"] for each in done.json["data"]]

    run_gemx("config", "set", "timezone", "UTC")
    assert listed("-n", "3") == [12, 11, 10]
    assert listed("--since", "2026-11-21", "--until", "2026-11-21") == [8, 7, 6, 5]
    assert listed("--until", "2026-11-20T10:00:01") == [4, 3, 2, 1]
    assert listed("--command", "gen", "--since", "2026-11-22") == [12, 11, 10, 9]
    assert listed("--model", "x") == listed("--user", "x") == listed("--status", "ok") == []
    run_gemx("config", "set", "timezone", "America/Sao_Paulo")
    assert listed("--since", "2026-11-22T07:00", "--until", "2026-11-22T07:01") == [12, 11, 10, 9]
    assert run_gemx("logs", "list", "--since", "ontem").code == 2
    assert "--until" in run_gemx("logs", "list", "--until", "ontem").err


def test_an_empty_log(run_gemx: RunGemx, gemx_home: Path) -> None:
    for argv in (["list"], ["search", "x"], ["tail"]):
        done = run_gemx("logs", *argv)
        assert (done.code, done.out) == (0, "")
    done = run_gemx("logs", "verify")
    assert (done.code, done.out) == (0, "nothing is on record yet\n")
    assert run_gemx("logs", "show", "1").code == 3
    assert not (gemx_home / "state").exists()


@pytest.mark.parametrize("text", ["x" * 300, "ação " * 60, "中文" * 60, "a\nb\x1b[31m\u202e"])
def test_a_line_has_80_columns_at_most(run_gemx: RunGemx, text: str) -> None:
    for name in ("run_id", "gemx.automation", "gen_ai.request.model", "error.type"):
        record = {"run_id": "20261120T110000-aaaaaa", "command": "gen", "gemx.status": "error", name: text}
        writer.append({"kind": "attempt", **record})
    word = text.split(maxsplit=1)[0]
    for done in (run_gemx("logs", "list"), run_gemx("logs", "tail"), run_gemx("logs", "search", word)):
        assert done.code == 0
        assert all(columns(line) <= 80 for line in done.out.splitlines())
        assert "\x1b" not in done.out and "\u202e" not in done.out
    assert "\x1b" not in run_gemx("logs", "show", "1").out


@pytest.mark.usefixtures("log")
def test_search_and_show(run_gemx: RunGemx) -> None:
    found = run_gemx("logs", "search", "R-2026-11-21-2", "--json")
    assert [each["seq"] for each in found.json["data"]] == [7]
    shown = run_gemx("logs", "show", "7")
    assert shown.out.splitlines()[0] == "run r-2026-11-21-2"
    assert "  n: 2" in shown.out
    assert run_gemx("logs", "show", "r-2026-11-21-2", "--json").json["data"]["records"][0]["seq"] == 7
    assert "4 runs begin with 'r-2026-11-21'" in run_gemx("logs", "show", "r-2026-11-21").err


def test_a_field_looks_like_no_other_record(run_gemx: RunGemx) -> None:
    forged = "x\nrecord 9: attempt, forged\n  gemx.status: ok"
    writer.append({"kind": "attempt", "run_id": "r-1", "gemx.automation_path": forged, forged: 1})
    shown = run_gemx("logs", "show", "r-1").out.splitlines()
    assert [line for line in shown if line.startswith("record ")] == [line for line in shown if "record 1:" in line]
    assert not [line for line in shown if line.startswith("  gemx.status")]


def test_a_number_of_any_size_is_listed(run_gemx: RunGemx) -> None:
    writer.append({"kind": "attempt", "run_id": "r-1", "command": "gen", "gemx.duration": 10**400})
    assert "r-1 gen" in run_gemx("logs", "list").out


def test_show_has_the_texts_of_the_history_and_proves_them(run_gemx: RunGemx, fake_gemini: FakeGemini) -> None:
    fake_gemini.answer = "65 mmHg"
    run_gemx("gen", "Qual a PAM alvo?", "-m", MODEL, "-s", "Seja breve.")
    shown = run_gemx("logs", "show", "1").out
    assert "--- prompt, from the history, proved by the record ---\nSeja breve.\n\nQual a PAM alvo?" in shown
    assert "--- reply, from the history, proved by the record ---\n65 mmHg" in shown
    run_gemx("gen", "-c", "E o lactato?", "-m", MODEL)
    second = run_gemx("logs", "show", "2", "--json").json["data"]["texts"]
    assert [(text["name"], text["proved"]) for text in second] == [("prompt", None), ("reply", True)]


def test_damaged_lines_are_told_and_nothing_is_a_traceback(run_gemx: RunGemx, log: list[Path], workdir: Path) -> None:
    junk = [b"junk", b"\xff\xfe\x00", b'{"a":1}', b"[" * 50_000, b'{"v":1,"seq":1,"time":"x","kind":"attempt"}']
    with log[1].open("ab") as file:
        file.write(b"\n".join(junk) + b"\n")
    for argv in (
        *(["list", "-n", "99"], ["search", "gen", "-n", "99"], ["tail", "-n", "99"], ["show", "2"]),
        *(["export", "--out", "a.csv"], ["export", "--out", "a.json"], ["prune", "--older-than", "999d"]),
    ):
        done = run_gemx("logs", *argv)
        assert done.code == 0, argv
        assert "Traceback" not in done.err
    assert "4 lines are no records and were passed over" in run_gemx("logs", "list", "-n", "99").err
    assert run_gemx("logs", "verify").code == 6
    assert json.loads(Path("a.json").read_text())[0]["seq"] == 1


# tail


@pytest.mark.usefixtures("log")
def test_the_last_ones(run_gemx: RunGemx) -> None:
    done = run_gemx("logs", "tail", "-n", "2", "--json")
    assert [json.loads(line)["seq"] for line in done.out.splitlines()] == [11, 12]
    assert len(run_gemx("logs", "tail").out.splitlines()) == 10


def test_following(gemx_home: Path, tmp_path: Path) -> None:
    writer.append({"kind": "attempt", "run_id": "r1", "command": "gen"})
    out = tmp_path / "followed"
    with out.open("wb") as file:
        process = subprocess.Popen([GEMX, "logs", "tail", "-f", "--json"], stdout=file, stderr=subprocess.PIPE)
    try:
        wait_for(lambda: len(out.read_text().splitlines()) == 1)
        (today,) = places.audit_dir().glob("audit-*")
        writer.append({"kind": "attempt", "run_id": "r2", "command": "gen"})
        wait_for(lambda: len(out.read_text().splitlines()) == 2)
        # Half a line is waited for, and a new day's file is found.
        record = {**json.loads(today.read_bytes().splitlines()[-1]), "seq": 3}
        line = json.dumps(record).encode() + b"\n"
        day = today.with_name("audit-2999-01-01.jsonl")
        day.write_bytes(line[:30])
        time.sleep(0.7)
        day.write_bytes(line)
        wait_for(lambda: len(out.read_text().splitlines()) == 3)
        assert [json.loads(each)["seq"] for each in out.read_text().splitlines()] == [1, 2, 3]
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    finally:
        process.kill()
        process.communicate()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_on_a_terminal(log: list[Path]) -> None:
    code, shown, _ = on_a_terminal(("logs", "list", "-n", "2"), {**os.environ, "COLUMNS": "100"})
    assert code == 0
    assert len(shown.splitlines()) == 2


# verify and checkpoint


def test_a_whole_log(run_gemx: RunGemx, log: list[Path]) -> None:
    done = run_gemx("logs", "verify")
    assert done.code == 0
    first, last = "2026-11-20T10:00:00.000Z", "2026-11-22T10:00:00.000Z"
    assert done.out == f"12 records in 3 files, unbroken: 1 ({first}) to 12 ({last})\n"
    assert "without a checkpoint" in done.err


@pytest.mark.parametrize(
    ("line", "change", "kind", "place"),
    [
        (2, lambda old: old.replace(b'"n":1', b'"n":7'), "changed", 2),
        (2, lambda old: b"", "removed", 2),
        (2, lambda old: old + b'{"v":1,"seq":7,"kind":"attempt"}\n', "inserted", 3),
        (2, lambda old: old + old, "inserted", 2),
    ],
)
def test_what_was_altered_is_named_and_exits_with_6(
    run_gemx: RunGemx, log: list[Path], line: int, change: Callable[[bytes], bytes], kind: str, place: int
) -> None:
    edit(log[1], line, change)
    done = run_gemx("logs", "verify")
    assert done.code == 6
    assert done.out.startswith(f"{kind}: {log[1]}:{place}: ")
    assert f"the log was altered at 1 place, first {log[1]}:{place}" in done.err
    found = run_gemx("logs", "verify", "--json").json
    assert (found["exit_code"], found["errors"][0]["code"]) == (6, "contract")
    assert [(each["kind"], each["line"]) for each in found["data"]["breaks"]] == [(kind, place)]


def test_swapped_lines(run_gemx: RunGemx, log: list[Path]) -> None:
    lines = log[1].read_bytes().splitlines(keepends=True)
    log[1].write_bytes(b"".join([lines[0], lines[2], lines[1], lines[3]]))
    assert run_gemx("logs", "verify").out.splitlines()[0].startswith(f"moved: {log[1]}:2: ")


def test_a_torn_line_is_listed_and_no_failure(run_gemx: RunGemx, log: list[Path]) -> None:
    log[2].write_bytes(log[2].read_bytes()[:-20])
    writer.append({"kind": "attempt"})
    done = run_gemx("logs", "verify")
    assert done.code == 0
    assert done.out.startswith(f"torn: {log[2]}:4: ")
    assert "unbroken" in done.out


def cut(log: list[Path]) -> None:
    edit(log[2], 4, lambda _: b"")


def rewritten(log: list[Path]) -> None:
    rewrite_from(log[0], 1, {"n": "other"})


def day_removed(log: list[Path]) -> None:
    log[2].unlink()


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize(
    ("change", "kind", "day", "line"),
    [(cut, "cut", 2, ":4"), (rewritten, "rewritten", 0, ":4"), (day_removed, "removed", 2, "")],
)
def test_what_only_a_checkpoint_finds(
    run_gemx: RunGemx, log: list[Path], change: Callable[[list[Path]], None], kind: str, day: int, line: str
) -> None:
    verify = checkpointed(run_gemx)
    assert verify().code == 0
    change(log)
    assert run_gemx("logs", "verify").code == 0
    done = verify()
    assert done.code == 6
    assert done.out.startswith(f"{kind}: {log[day]}{line}: ")
    assert verify("--json").json["data"]["breaks"][0]["kind"] == kind


@pytest.mark.usefixtures("keys", "log")
def test_the_files_of_a_checkpoint(run_gemx: RunGemx) -> None:
    verify = checkpointed(run_gemx)
    for name in ("k", "k.pub", "c.note"):
        assert stat.S_IMODE(Path(name).stat().st_mode) == 0o600
    assert "its signature is right" in verify().out
    printed = run_gemx("logs", "checkpoint", "--key", "k")
    assert printed.out.startswith("gemx.audit/")
    Path("d.note").write_text(printed.out)
    public = Path("k.pub").read_text().strip()
    assert run_gemx("logs", "verify", "--checkpoint", "d.note", "--public-key", public).code == 0
    assert run_gemx("logs", "checkpoint", "--key", "k", "--json").json["data"]["records"] == 12
    Path("c.note").write_text(Path("c.note").read_text().replace("\n12\n", "\n11\n"))
    assert (verify().code, "the signature is wrong" in verify().err) == (6, True)


@pytest.mark.usefixtures("keys")
def test_what_makes_no_sense_is_refused(run_gemx: RunGemx) -> None:
    private = Path("k").read_text().strip()
    assert run_gemx("logs", "verify", "--checkpoint", "c").code == 2
    assert run_gemx("logs", "verify", "--public-key", "k.pub").code == 2
    assert run_gemx("logs", "checkpoint").code == 2
    assert run_gemx("logs", "checkpoint", "--key", "k", "--new-key", "l").code == 2
    assert run_gemx("logs", "checkpoint", "--key", "nowhere").code == 4
    assert run_gemx("logs", "checkpoint", "--key", "k.pub").code == 4
    assert run_gemx("logs", "checkpoint", "--new-key", "k").code == 4
    assert run_gemx("logs", "verify", "--checkpoint", "nowhere", "--public-key", "k.pub").code == 4
    given_away = run_gemx("logs", "verify", "--checkpoint", "k.pub", "--public-key", private)
    assert given_away.code == 4
    assert private not in given_away.err
    assert Path("k").read_text().strip() == private


@pytest.mark.usefixtures("keys")
def test_a_broken_log_is_signed_as_one(run_gemx: RunGemx, log: list[Path]) -> None:
    edit(log[0], 2, lambda old: old.replace(b'"n":1', b'"n":7'))
    done = run_gemx("logs", "checkpoint", "--key", "k")
    assert done.code == 0
    assert "\nbreaks 1\n" in done.out
    assert "broken (places: 1)" in done.err


# prune, export


def test_prune(run_gemx: RunGemx, log: list[Path]) -> None:
    size = log[0].stat().st_size + log[1].stat().st_size
    dry = run_gemx("logs", "prune", "--older-than", "0d", "--dry-run")
    files = "2 files, audit-2026-11-20.jsonl to audit-2026-11-21.jsonl"
    assert dry.out == f"would be removed: {files}; 8 records, {size} bytes\n"
    assert all(path.exists() for path in log)
    assert run_gemx("logs", "prune", "--older-than", "0d").out.startswith("removed: 2 files")
    assert [path.exists() for path in log] == [False, False, True]
    done = run_gemx("logs", "verify")
    assert (done.code, "provable from record 9" in done.out) == (0, True)
    assert run_gemx("logs", "prune", "--older-than", "1d", "--json").json["data"]["files"] == []
    for wrong in ("1", "x", "-1d", "1w"):
        assert run_gemx("logs", "prune", "--older-than", wrong).code == 2


def test_export(run_gemx: RunGemx, workdir: Path) -> None:
    hostile = {"gemx.user": "=cmd()", "gemx.automation": "-1", "gen_ai.response.id": " @x", "extra": "+y"}
    writer.append({"kind": "attempt", "run_id": "r1", "command": "gen", "subject": None, **hostile, "gemx.try": 1})
    writer.append({"kind": "result", "run_id": "r1", "command": 'a "b"\n;,', "gemx.findings": [{"code": "x"}]})
    assert run_gemx("logs", "export", "--out", "a.csv").out == "exported: 2 records to a.csv\n"
    with Path("a.csv").open(newline="") as file:
        first, second = csv.DictReader(file)
    assert (first["gemx.user"], first["gemx.automation"], first["gen_ai.response.id"]) == ("'=cmd()", "'-1", "' @x")
    assert (first["seq"], first["gemx.try"], first["subject"]) == ("1", "1", "")
    assert json.loads(first["other"])["extra"] == "+y"
    assert second["command"] == 'a "b"\n;,'
    assert json.loads(second["gemx.findings"]) == [{"code": "x"}]
    run_gemx("logs", "export", "--out", "a.json")
    run_gemx("logs", "export", "--out", "a.jsonl", "--command", "gen")
    whole = json.loads(Path("a.json").read_text())
    assert [each["seq"] for each in whole] == [1, 2]
    assert [json.loads(line) for line in Path("a.jsonl").read_text().splitlines()] == whole[:1]
    assert stat.S_IMODE(Path("a.csv").stat().st_mode) == 0o600
    run_gemx("logs", "export", "--out", "b.json", "--command", "none")
    assert json.loads(Path("b.json").read_text()) == []
    assert run_gemx("logs", "export", "--out", "a.txt").code == 2
    assert run_gemx("logs", "export", "--out", "nowhere/a.csv").code == 11


def test_import(run_gemx: RunGemx, workdir: Path) -> None:
    Path("old.jsonl").write_text('{"ts": 1763648553, "model": "m", "prompt": "José"}\n{"a": 1}\nx\n')
    done = run_gemx("logs", "import", "old.jsonl")
    assert done.code == 0
    assert done.out == "mapped: 1, kept without a time or a model: 1, there already: 0, refused: 1\n"
    assert "old.jsonl:3: no JSON object" in done.err
    shown = run_gemx("logs", "show", "1").out
    assert "gemx.time: 2025-11-20T14:22:33.000Z" in shown and "José" in shown
    again = run_gemx("logs", "import", "old.jsonl", "--json").json["data"]
    assert (again["mapped"], again["kept"], again["known"], again["refused"]) == (0, 0, 2, 1)
    assert run_gemx("logs", "verify").code == 0
    assert run_gemx("logs", "import", "nowhere").code == 4


def test_times_of_this_year_are_shown_in_the_zone_of_the_configuration(run_gemx: RunGemx) -> None:
    writer.append({"kind": "attempt", "run_id": "r1", "command": "gen"})
    run_gemx("config", "set", "timezone", "Asia/Tokyo")
    stamp: Any = json.loads(next(places.audit_dir().glob("audit-*")).read_bytes())["time"]
    hour = (datetime.fromisoformat(stamp).astimezone(UTC).hour + 9) % 24
    assert run_gemx("logs", "list").out.split()[1].startswith(f"{hour:02d}:")
    assert path_of("2026-11-20").parent == places.audit_dir()
