"""`gemx history`: list, show, search, remove, prune and export."""

from __future__ import annotations

import json
import os
import stat
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gemx import history, places
from gemx.history import Entry
from terminal import on_a_terminal

Run = Callable[..., Any]
SMALL = Entry(
    run_id="20261120T110000-aaaaaa",
    time="2026-11-20T11:00:00.000Z",
    command="gen",
    conversation="20261120T110000-aaaaaa",
    model="gemini:gemini-3.8-flash",
    prompt="Qual a PAM alvo no choque séptico?",
    system="Seja breve.",
    reply="65 mmHg",
    data={"files": ["a.txt", "ecg.png"], "media": ["ecg.png"], "cost_usd": Decimal("0.000054")},
)
PATIENT = [f"-i{pair}" for pair in ("idade=64", "sexo=M", "peso=70", "pas=82", "pad=44", "lactato=4,6")]


def keep(run_id: str, **changes: Any) -> None:
    history.add(replace(SMALL, run_id=run_id, **changes))


def ago(**time: int) -> str:
    return (datetime.now(UTC) - timedelta(**time)).strftime("%Y-%m-%dT%H:%M:%S.000Z")


@pytest.fixture
def config(gemx_home: Path) -> Callable[..., None]:
    def write(**values: Any) -> None:
        (gemx_home / "config").mkdir(parents=True, exist_ok=True)
        (gemx_home / "config/config.json").write_text(json.dumps(values))

    return write


def columns(text: str) -> int:
    return sum(1 + (unicodedata.east_asian_width(char) in "WF") for char in text)


# list


def test_the_list(run_gemx: Run, config: Callable[..., None]) -> None:
    config(timezone="America/Sao_Paulo")
    year = datetime.now(UTC).year
    keep("r1", time=f"{year}-01-02T01:30:00.000Z")
    keep("r2", time="2020-03-04T11:00:00.000Z", model=None, automation="ira_aki", reply='{"resumo": "rim\\nagudo"}')
    keep("r3", time=f"{year}-01-02T01:31:00.000Z", model="gguf:/a/b/small.gguf", prompt="<document>x</document>\n\nE?")
    done = run_gemx("history", "list")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        "01-01 22:31 r3 gen     small.gguf       E?",
        "01-01 22:30 r1 gen     gemini-3.8-flash Qual a PAM alvo no choque séptico?",
        "2020-03-04  r2 ira_aki -                rim agudo",
    ]


@pytest.mark.parametrize(
    "text", ["palavra " * 50, "x" * 500, "ação " * 90, "中文" * 90, "🫀 " * 90, "a\nb\tc\r\x1b[31md" * 30, ""]
)
def test_a_line_has_80_columns_at_most(run_gemx: Run, text: str) -> None:
    for number in range(3):
        keep(f"20261120T11000{number}-aaaaaa", prompt=text, automation=None if number else "automacao_de_nome_longo")
    done = run_gemx("history", "list")
    lines = done.out.splitlines()
    assert len(lines) == 3
    assert all(columns(line) <= 80 for line in lines)
    assert all(f"20261120T11000{2 - n}-aaaaaa" in line for n, line in enumerate(lines))
    assert "\x1b" not in done.out
    assert not text or all("…" in line for line in lines)
    found = run_gemx("history", "search", "palavra")
    assert all(columns(line) <= 80 for line in found.out.splitlines())


def test_on_a_terminal_a_line_is_as_wide_as_that(gemx_home: Path) -> None:
    keep("r1", prompt="palavra " * 50)
    code, shown, _ = on_a_terminal(("history", "list"), {**os.environ, "COLUMNS": "120"})
    assert code == 0
    assert len(shown.rstrip().splitlines()[-1]) in range(113, 121)


def test_the_list_is_filtered(run_gemx: Run, config: Callable[..., None]) -> None:
    config(timezone="America/Sao_Paulo")
    keep("r1", time="2026-11-20T02:59:00.000Z")
    keep("r2", time="2026-11-20T03:00:00.000Z", command="auto run", automation="ira_aki")
    keep("r3", time=ago(days=3))
    keep("r4", time=ago(hours=1))

    def ids(*argv: str) -> set[str]:
        done = run_gemx("history", "list", *argv, "--json")
        assert done.code == 0
        return {line["run_id"] for line in done.json["data"]}

    assert ids("--command", "auto run") == ids("--automation", "ira_aki") == {"r2"}
    assert ids("-n", "1") == {max(history.latest(history.Filter()), key=lambda line: line.time).run_id}
    assert {"r1", "r2"} & ids("--since", "2026-11-20") == {"r2"}  # midnight in São Paulo
    assert {"r1", "r2"} & ids("--since", "2026-11-20T02:59+00:00") == {"r1", "r2"}
    assert "r4" in ids("--since", "2h") and "r3" not in ids("--since", "2h")
    assert {"r3", "r4"} <= ids("--since", "7d")
    none = run_gemx("history", "list", "--command", "nada")
    assert (none.code, none.out, none.err) == (0, "", "nothing is kept, or nothing like that\n")


@pytest.mark.parametrize("since", ["ontem", "", "7", "d", "2026-13-01", "0001-01-01T00:00+14:00", "²d", "-3d"])
@pytest.mark.parametrize("command", [("list",), ("search", "x")])
def test_a_since_that_makes_no_sense(run_gemx: Run, command: tuple[str, ...], since: str) -> None:
    done = run_gemx("history", *command, f"--since={since}")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("gemx: --since")


def test_the_list_in_json(run_gemx: Run) -> None:
    history.add(SMALL)
    done = run_gemx("history", "list", "--json")
    assert (done.json["command"], done.json["status"]) == ("history list", "success")
    (line,) = done.json["data"]
    assert line == {
        **{name: getattr(SMALL, name) for name in ("run_id", "time", "command", "conversation", "model")},
        "automation": None,
        "verified": None,
        "about": SMALL.prompt,
    }


# show


def test_a_turn_is_shown_whole(run_gemx: Run, config: Callable[..., None]) -> None:
    config(timezone="America/Sao_Paulo")
    history.add(SMALL)
    done = run_gemx("history", "show", "20261120")
    assert (done.code, done.err) == (0, "")
    assert done.out == (
        "# 20261120T110000-aaaaaa\n\n- time: 2026-11-20 08:00:00 -0300\n- command: gen\n"
        "- model: gemini:gemini-3.8-flash\n- conversation: 20261120T110000-aaaaaa\n"
        "- files: a.txt, ecg.png (not kept)\n- cost: 0.000054 USD\n\n## System\n\nSeja breve.\n\n"
        "## Prompt\n\nQual a PAM alvo no choque séptico?\n\n## Reply\n\n65 mmHg\n"
    )


def test_a_conversation_is_shown_from_any_of_its_turns(run_gemx: Run) -> None:
    history.add(SMALL)
    keep("20261120T110500-bbbbbb", time="2026-11-20T11:05:00.000Z", prompt="E no hipertenso?", reply="75 mmHg")
    keep("20261120T110600-cccccc", conversation=None)
    for run_id in (SMALL.run_id, "20261120T110500"):
        done = run_gemx("history", "show", run_id, "--conversation")
        assert done.out.index("65 mmHg") < done.out.index("E no hipertenso?") < done.out.index("75 mmHg")
        told = run_gemx("history", "show", run_id, "--conversation", "--json").json["data"]
        assert (told["conversation"], len(told["turns"])) == (SMALL.run_id, 2)
    alone = run_gemx("history", "show", "20261120T110600", "--conversation")
    assert (alone.code, alone.out) == (4, "")


def test_what_is_shown_in_json_is_all_that_is_kept(run_gemx: Run) -> None:
    keep("r1", prompt="a\u202eb\x1b[31m")
    done = run_gemx("history", "show", "r1", "--json")
    data = done.json["data"]
    assert (data["prompt"], data["system"], data["data"]["cost_usd"]) == ("a\u202eb\x1b[31m", "Seja breve.", 0.000054)
    assert not set(done.out) & set("\x1b\u202e")
    assert not set(run_gemx("history", "show", "r1").out) & set("\x1b\u202e")


@pytest.mark.parametrize("command", [("show",), ("remove",), ("export", "--out", "h.md")])
def test_a_run_that_is_not_kept(run_gemx: Run, workdir: Path, gemx_home: Path, command: tuple[str, ...]) -> None:
    empty = run_gemx("history", *command, "r1")
    assert (empty.code, empty.out) == (3, "")
    assert "the history is empty" in empty.err
    assert not (gemx_home / "data").exists()
    keep("r10")
    keep("r11")
    assert "2 runs begin with 'r1'" in run_gemx("history", *command, "r1").err
    missing = run_gemx("history", *command, "r19", "--json")
    assert (missing.code, missing.json["errors"][0]["code"]) == (3, "not_found")
    assert not (workdir / "h.md").exists()


def test_an_automation_is_shown_as_it_was_and_found(run_gemx: Run, workdir: Path) -> None:
    run = run_gemx("auto", "run", "sepse_bundle", *PATIENT, "-m", "extractive", "--json")
    assert run.code == 0
    run_id = run.json["data"]["run_id"]
    (line,) = run_gemx("history", "list").out.splitlines()
    assert "sepse_bundle extractive" in line
    shown = run_gemx("history", "show", run_id)
    assert "Assinatura: ___" in shown.out and "- verified: " in shown.out
    assert '"resumo"' not in shown.out.partition("## Reply")[2]
    (workdir / "answer.json").write_text(json.dumps(run.json["data"]["answer"]))  # ASCII, with escapes
    run_gemx("auto", "verify", "answer.json", "--automation", "sepse_bundle", *PATIENT)
    hits = run_gemx("history", "search", "NORADRENALINA", "sepse", "--json").json["data"]
    assert [hit["command"] for hit in hits] == ["auto verify", "auto run"]
    assert run_gemx("history", "export", "--out", "h.md").code == 0
    assert (workdir / "h.md").read_text().count("\n## Reply\n") == 2


# search


def test_search(run_gemx: Run) -> None:
    history.add(SMALL)
    keep("20261120T110001-bbbbbb", prompt="outra coisa", time="2026-11-20T11:00:01.000Z")
    done = run_gemx("history", "search", "SEPTICO", "choque")
    assert (done.code, done.err) == (0, "")
    line, snippet = done.out.splitlines()
    assert SMALL.run_id in line
    assert snippet == "    Qual a PAM alvo no «choque» «séptico»?"
    (hit,) = run_gemx("history", "search", "sept*", "--json").json["data"]
    assert (hit["run_id"], hit["snippet"]) == (SMALL.run_id, "Qual a PAM alvo no choque «séptico»?")
    none = run_gemx("history", "search", "nada")
    assert (none.code, none.out, none.err) == (0, "", "no run holds all these words\n")
    assert run_gemx("history", "search").code == 2


@pytest.mark.parametrize("words", ['"?" * ( NEAR', "a AND (", "prompt:x", "'; DROP TABLE entries; --", "*", '"', ""])
def test_any_text_is_searched_for(run_gemx: Run, words: str) -> None:
    history.add(SMALL)
    done = run_gemx("history", "search", "--", words)
    assert (done.code, done.out, done.err) == (0, "", "no run holds all these words\n")


def test_list_and_search_write_nothing_but_stdout(run_gemx: Run, gemx_home: Path) -> None:
    history.add(SMALL)
    before = {path: path.read_bytes() for path in gemx_home.rglob("*") if path.is_file()}
    for argv in (("list",), ("search", "choque"), ("show", SMALL.run_id)):
        done = run_gemx("history", *argv)
        assert done.err == ""
        assert done.out
    after = {path: path.read_bytes() for path in gemx_home.rglob("*") if path.is_file()}
    assert after.keys() == before.keys()
    assert [path.name for path in after if b"Seja breve" in after[path]] == ["history.db"]
    assert stat.S_IMODE(places.history_file().stat().st_mode) == 0o600


# remove and prune


def test_remove(run_gemx: Run, gemx_home: Path) -> None:
    for run_id in ("r1", "r2", "r3"):
        keep(run_id, prompt=f"Zqxw{run_id} choque")
    none = run_gemx("history", "remove", "r1", "r9")
    assert (none.code, none.out) == (3, "")
    assert len(history.everything()) == 3
    done = run_gemx("history", "remove", "r1", "r3")
    assert (done.code, done.out) == (0, "erased: r1, r3\n")
    files = [path.read_bytes().lower() for path in (gemx_home / "data").iterdir()]
    assert not any(b"xwr1" in file or b"xwr3" in file for file in files)
    assert any(b"xwr2" in file for file in files)
    assert [hit.run_id for hit in history.search("choque", history.Filter())] == ["r2"]
    assert run_gemx("history", "remove", "r2", "--json").json["data"] == {"erased": 1, "run_ids": ["r2"]}


def test_to_remove_all_takes_a_yes(run_gemx: Run) -> None:
    for run_id in ("r1", "r2"):
        keep(run_id)
    for argv in ((), ("--all",), ("--all", "r1"), ("--all", "--yes", "r1"), ("--yes",)):
        assert run_gemx("history", "remove", *argv).code == 2
    assert len(history.everything()) == 2
    done = run_gemx("history", "remove", "--all", "--yes")
    assert (done.code, done.out) == (0, "erased: 2 runs\n")
    again = run_gemx("history", "remove", "--all", "--yes", "--json")
    assert again.json["data"] == {"erased": 0, "run_ids": None}


def test_prune(run_gemx: Run, config: Callable[..., None]) -> None:
    assert run_gemx("history", "prune").out == "erased: 0 runs older than 30 days\n"
    for run_id, days in (("r1", 40), ("r2", 20), ("r3", 3), ("r4", 0)):
        keep(run_id, time=ago(days=days))
    assert run_gemx("history", "prune").out == "erased: 1 run older than 30 days\n"
    config(history={"keep": 10})
    assert run_gemx("history", "prune", "--json").json["data"] == {"erased": 1, "days": 10}
    assert run_gemx("history", "prune", "--days", "1").out == "erased: 1 run older than 1 day\n"
    assert [entry.run_id for entry in history.everything()] == ["r4"]
    assert run_gemx("history", "prune", "--days", "-1").code == 2
    assert run_gemx("history", "prune", "--days", "0").code == 2
    assert run_gemx("history", "prune", "--days", "0", "--yes").out == "erased: 1 run older than 0 days\n"


# export


def test_export_as_json_lines(run_gemx: Run, workdir: Path) -> None:
    keep("r2", time="2026-11-20T12:00:00.000Z", prompt="a\u202e\x1b\n\u2028b", reply="é")
    history.add(SMALL)
    done = run_gemx("history", "export", "--out", "h.jsonl")
    assert (done.code, done.out) == (0, "exported: 2 runs to h.jsonl\n")
    assert stat.S_IMODE((workdir / "h.jsonl").stat().st_mode) == 0o600
    first, second = [json.loads(line) for line in (workdir / "h.jsonl").read_text().split("\n")[:-1]]
    assert (first["run_id"], second["run_id"]) == (SMALL.run_id, "r2")
    assert (second["prompt"], second["reply"]) == ("a\u202e\x1b\n\u2028b", "é")
    assert first["data"]["cost_usd"] == 0.000054
    assert first.keys() == vars(SMALL).keys()


def test_export_of_some_as_markdown(run_gemx: Run, workdir: Path) -> None:
    for run_id in ("r1", "r2", "r3"):
        keep(run_id, prompt=f"pergunta {run_id}")
    done = run_gemx("history", "export", "r3", "r1", "--out", "h.md", "--json")
    assert done.json["data"] == {"exported": 2, "path": "h.md"}
    text = (workdir / "h.md").read_text()
    assert text.index("# r3") < text.index("pergunta r3") < text.index("# r1") < text.index("pergunta r1")
    assert "r2" not in text
    assert stat.S_IMODE((workdir / "h.md").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("argv", "code"),
    [((), 2), (("--out", "h.txt"), 2), (("--out", "h"), 2), (("--out", "nada/h.md"), 11), (("--out", "folder.md"), 11)],
)
def test_an_export_to_nowhere(run_gemx: Run, workdir: Path, argv: tuple[str, ...], code: int) -> None:
    (workdir / "folder.md").mkdir()
    history.add(SMALL)
    done = run_gemx("history", "export", *argv)
    assert (done.code, done.out) == (code, "")
    assert [path.name for path in workdir.iterdir()] == ["folder.md"]


def test_an_empty_history_exports_nothing(run_gemx: Run, workdir: Path) -> None:
    assert run_gemx("history", "export", "--out", "h.jsonl").out == "exported: 0 runs to h.jsonl\n"
    assert (workdir / "h.jsonl").read_text().strip() == ""


COMMANDS = [("list",), ("show", "r"), ("search", "x"), ("remove", "r"), ("prune",), ("export", "--out", "h.md")]


@pytest.mark.parametrize("argv", COMMANDS)
def test_a_damaged_history_is_exit_11(run_gemx: Run, workdir: Path, gemx_home: Path, argv: tuple[str, ...]) -> None:
    (gemx_home / "data").mkdir(parents=True)
    (gemx_home / "data/history.db").write_text("this is no database " * 100)
    done = run_gemx("history", *argv)
    assert (done.code, done.out) == (11, "")
    assert "is damaged" in done.err
    assert "Traceback" not in done.err
    assert run_gemx("history", *argv, "--json").json["errors"][0]["code"] == "storage"


@pytest.mark.parametrize("argv", COMMANDS)
@pytest.mark.parametrize("what", ["folder", "dangling link", "file above"])
def test_what_cannot_be_a_history_is_not_an_empty_one(
    run_gemx: Run, workdir: Path, gemx_home: Path, argv: tuple[str, ...], what: str
) -> None:
    path = gemx_home / "data/history.db"
    if what == "file above":
        gemx_home.mkdir()
        path.parent.write_text("")
    else:
        path.parent.mkdir(parents=True)
        path.mkdir() if what == "folder" else path.symlink_to(gemx_home / "unmounted/history.db")
    done = run_gemx("history", *argv)
    assert (done.code, done.out) == (11, "")
    assert str(path) in done.err
