"""`gemx stats`: the figures of the log by name and by day, as a table, as CSV and as JSON."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from figure_log import attempt, failure, refusal, result, write
from gemx.audit import rollup
from gemx.audit.figures import Figures, Group, Total
from gemx.cli import stats_rows
from gemx.cli.history_text import columns
from terminal import on_a_terminal

Run = Callable[..., Any]
TABLES = (
    *("commands", "models", "automations", "flows", "users"),
    *("cost", "latency", "errors", "findings", "daily"),
)
FLOW = {"command": "flow run", "gemx.automation": "ira_aki", "gemx.flow": "=evolucao", "gemx.user": "bia"}


@pytest.fixture
def config(gemx_home: Path) -> Callable[..., None]:
    def write_config(**values: Any) -> None:
        (gemx_home / "config").mkdir(parents=True, exist_ok=True)
        (gemx_home / "config/config.json").write_text(json.dumps({"timezone": "America/Sao_Paulo", **values}))

    return write_config


@pytest.fixture
def log(config: Callable[..., None]) -> None:
    """Three local days: of the calls at 02:30 UTC, 22 November is the 21st."""
    config()
    local = {"gemx.route": "gguf", "gen_ai.request.model": "pequeno.gguf", "gemx.price_table": None}
    unpriced = {"gemx.route": "openai", "gen_ai.request.model": "uti/sabia-4", "gemx.cost_usd": None}
    write(
        [
            attempt("2026-11-20T12:00:00.000Z", run_id="a", **{"gen_ai.usage.cache_read.input_tokens": 400}),
            failure("2026-11-20T12:05:00.000Z", run_id="b"),
            attempt("2026-11-20T12:06:00.000Z", run_id="b", **{"gemx.try": 2, "gemx.duration": 4.0}),
            b"damaged",
        ]
    )
    write(
        [
            attempt("2026-11-22T02:30:00.000Z", run_id="c", **FLOW, **local, **{"gemx.cost_usd": 0.0}),
            result("2026-11-22T02:30:01.000Z", "error dose.maximum", run_id="c", **FLOW),
            attempt("2026-11-22T12:00:00.000Z", run_id="d", **unpriced),
            refusal("2026-11-22T12:01:00.000Z", run_id="e"),
        ]
    )


def rows(run_gemx: Run, *argv: str) -> list[dict[str, Any]]:
    done = run_gemx("stats", *argv, "--json")
    assert done.code == 0
    return done.json["data"]["rows"]


@pytest.mark.usefixtures("log")
def test_the_summary(run_gemx: Run) -> None:
    done = run_gemx("stats", "summary")
    assert done.code == 0
    assert done.err == "gemx: 1 line is no record and was passed over; gemx logs verify says where\n"
    assert done.out.splitlines()[:14] == [
        "period       2026-11-20 to 2026-11-22",
        "calls        5 of 4 messages",
        "             failed 20.0 % · retries 20.0 % · fallbacks 0.0 % · refused 1",
        "tokens       in 4.0 k (cached 400) · out 400 (reasoning 0)",
        "cost         0.02 USD, 0.005 a message · of 2 calls not known",
        "latency      p50 2.01 s · p95 4.02 s · p99 4.02 s",
        "first token  p50 0.50 s · p95 0.50 s · p99 0.50 s",
        "verified     0.0 % of 1 answer",
        "",
        "calls        █▃▃  up to 3 a day",
        "USD          █    up to 0.02 a day",
        "",
        "models                   calls            failed     in  out     USD     p95",
        "gemini:gemini-3.8-flash      3  ████████  33.3 %  2.0 k  200  ≥ 0.02  4.02 s",
    ]


@pytest.mark.usefixtures("log")
def test_the_summary_in_json(run_gemx: Run) -> None:
    data = run_gemx("stats", "summary", "--json").json["data"]
    assert {name: data[name] for name in ("files", "lines", "passed_over", "others")} == {
        "files": 2,
        "lines": 8,
        "passed_over": 1,
        "others": 0,
    }
    expected = {
        "calls": 5,
        "messages": 4,
        "failed": 1,
        "refused": 1,
        "unpriced": 2,
        "retries": 1,
        "fallbacks": 0,
        "input_tokens": 4000,
        "cached_tokens": 400,
        "cost_usd": 0.02,
        "cost_per_message_usd": 0.005,
        "failure_rate": 0.2,
        "answers": 1,
        "verified": 0,
        "verified_rate": 0,
        "latency_p50_s": 2.0078,
        "failures": {"timeout": 1},
        "refusals": {"budget": 1},
        "findings": {"error dose.maximum": 1},
        "price_tables": ["2026-11-01"],
        "since": None,
        "until": None,
        "model": None,
    }
    assert {name: data[name] for name in expected} == expected


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize(
    ("command", "key", "calls"),
    [
        ("commands", "command", {"gen": 4, "flow run": 1}),
        ("models", "model", {"gemini:gemini-3.8-flash": 3, "gguf:pequeno.gguf": 1, "openai:uti/sabia-4": 1}),
        ("automations", "automation", {"ira_aki": 1}),
        ("flows", "flow", {"=evolucao": 1}),
        ("users", "user", {"ana": 4, "bia": 1}),
        ("cost", "model", {"gemini:gemini-3.8-flash": 3, "gguf:pequeno.gguf": 1, "openai:uti/sabia-4": 1}),
        ("latency", "model", {"gemini:gemini-3.8-flash": 3, "gguf:pequeno.gguf": 1, "openai:uti/sabia-4": 1}),
        ("daily", "time", {"2026-11-20": 3, "2026-11-21": 1, "2026-11-22": 1}),
    ],
)
def test_figures_by_name(run_gemx: Run, command: str, key: str, calls: dict[str, int]) -> None:
    found = {row[key]: row["calls"] for row in rows(run_gemx, command) if row["calls"]}
    assert found == calls
    assert [*found] == [*calls]
    text = run_gemx("stats", command).out
    # There, names give way to six times.
    assert command == "latency" or all(name in text for name in calls)


@pytest.mark.usefixtures("log")
def test_an_unknown_cost_is_not_nought(run_gemx: Run) -> None:
    by = {row["model"]: row for row in rows(run_gemx, "cost")}
    assert by["openai:uti/sabia-4"]["cost_usd"] is None
    assert by["openai:uti/sabia-4"]["cost_share"] is None
    assert by["gguf:pequeno.gguf"]["cost_usd"] == 0
    assert by["gemini:gemini-3.8-flash"]["cost_share"] == 1
    lines = run_gemx("stats", "cost").out.splitlines()
    assert [line.split() for line in lines[1:4]] == [
        ["gemini:gemini-3.8-flash", "3", "≥", "0.02", "████████", "100.0", "%", "1", "≥", "0.01"],
        ["gguf:pequeno.gguf", "1", "0.00", "0.0", "%", "0", "0.00"],
        ["openai:uti/sabia-4", "1", "-", "-", "1", "-"],
    ]


def test_the_log_is_not_gone_through_again_for_each_code(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [failure("2026-11-20T12:00:00.000Z", **{"error.type": f"code{number}"}) for number in range(9)]
    write([*many, failure("2026-11-20T12:00:00.000Z", **{"error.type": "code8", "gen_ai.request.model": "other"})])
    figures, gone = rollup.read("day", UTC), list[str]()
    grouped = Figures.grouped

    def counted(self: Figures, key: Callable[[str, Group], str]) -> dict[str, Total]:
        gone.append("through")
        return grouped(self, key)

    monkeypatch.setattr(Figures, "grouped", counted)
    found = stats_rows.errors(figures).rows
    assert [row["mostly"] for row in found] == ["gemini:other", *["gemini:gemini-3.8-flash"] * 8]
    assert len(gone) == 2


@pytest.mark.usefixtures("log")
def test_errors_and_findings(run_gemx: Run) -> None:
    assert rows(run_gemx, "errors") == [
        {"kind": "failed", "code": "timeout", "count": 1, "share": 1 / 6, "mostly": "gemini:gemini-3.8-flash"},
        {"kind": "refused", "code": "budget", "count": 1, "share": 1 / 6, "mostly": "gemini:gemini-3.8-flash"},
    ]
    assert rows(run_gemx, "findings") == [
        {"code": "dose.maximum", "severity": "error", "count": 1, "mostly": "=evolucao"}
    ]


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize(
    ("argv", "calls"),
    [
        (["--since", "2026-11-21"], 2),
        (["--until", "2026-11-20"], 3),
        (["--since", "2026-11-21", "--until", "2026-11-21"], 1),
        (["--since", "2026-11-21T23:00", "--until", "2026-11-22T00:00"], 1),
        (["--since", "2026-11-21T22:00", "--until", "2026-11-21T23:00"], 0),
        (["-m", "gemini-3.8-flash"], 3),
        (["-m", "gguf:pequeno.gguf", "--since", "2026-11-22"], 0),
        (["--model", "nada"], 0),
    ],
)
def test_a_part_of_the_log(run_gemx: Run, argv: list[str], calls: int) -> None:
    done = run_gemx("stats", "summary", *argv, "--json")
    assert done.json["data"]["calls"] == calls
    text = run_gemx("stats", "summary", *argv)
    assert text.code == 0
    assert ("nothing is on record, or nothing like that" in text.err) == (calls == 0)


def test_the_last_days_and_hours(run_gemx: Run) -> None:
    now = datetime.now(UTC)
    for back in (timedelta(days=9), timedelta(days=2), timedelta(minutes=1)):
        write([attempt(now - back)])

    def calls(*argv: str) -> int:
        return run_gemx("stats", "summary", *argv, "--json").json["data"]["calls"]

    assert (calls(), calls("--since", "7d"), calls("--since", "3h"), calls("--until", "7d")) == (3, 2, 1, 1)
    (hour,) = rows(run_gemx, "daily", "--since", "3h")
    assert hour["time"] == f"{now - timedelta(minutes=1):%Y-%m-%dT%H}"


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize("command", ["summary", *TABLES])
def test_every_form_of_every_command(run_gemx: Run, command: str) -> None:
    text = run_gemx("stats", command)
    assert text.code == 0
    assert text.out
    assert all(columns(line) <= 80 for line in text.out.splitlines())
    assert "\x1b" not in text.out
    found = run_gemx("stats", command, "--csv")
    head, *lines = csv.reader(io.StringIO(found.out))
    data = run_gemx("stats", command, "--json").json["data"]
    assert len(lines) == len(data.get("rows", [1]))
    assert all(len(line) == len(head) for line in lines)
    both = run_gemx("stats", command, "--csv", "--json")
    assert both.code == 2


@pytest.mark.usefixtures("log")
def test_a_cell_that_looks_like_a_formula_is_quoted(run_gemx: Run) -> None:
    assert run_gemx("stats", "flows", "--csv").out.splitlines()[1].startswith("'=evolucao,1,")


@pytest.mark.parametrize("command", ["summary", *TABLES])
def test_an_empty_log(run_gemx: Run, gemx_home: Path, command: str) -> None:
    done = run_gemx("stats", command)
    assert (done.code, done.out, done.err) == (0, "", "nothing is on record yet\n")
    assert not gemx_home.exists()
    assert run_gemx("stats", command, "--json").code == 0


def test_long_and_hostile_names_leave_the_figures_in_their_place(run_gemx: Run) -> None:
    names = ("modelo-de-nome-" + "muito-" * 20 + "longo", "\x1b[31mred\nline\u202e", "中文" * 40, "🫀" * 50, "-")
    now = datetime.now(UTC)
    write([attempt(now, run_id=name, **{"gen_ai.request.model": name, "gemx.user": name}) for name in names])
    for command in ("summary", "models", "users", "cost", "latency"):
        done = run_gemx("stats", command)
        assert done.code == 0
        assert all(columns(line) <= 80 for line in done.out.splitlines())
        assert "\x1b" not in done.out and "\u202e" not in done.out
    long = run_gemx("stats", "models").out
    assert "longo " in long  # the end of a model's name is what tells it from others


@pytest.mark.usefixtures("log")
def test_on_a_terminal_the_heading_is_bold_and_names_are_as_wide_as_they_need() -> None:
    code, shown, _ = on_a_terminal(("stats", "models"), {**os.environ, "COLUMNS": "100", "TERM": "xterm-256color"})
    assert code == 0
    assert "\x1b[1m" in shown.splitlines()[0]
    assert "gemini:gemini-3.8-flash" in shown
    code, plain, _ = on_a_terminal(("stats", "models"), {**os.environ, "NO_COLOR": "1", "COLUMNS": "100"})
    assert code == 0
    assert "\x1b[3" not in plain


def test_a_day_whose_midnight_the_clocks_skip_ends_at_the_next(run_gemx: Run, config: Callable[..., None]) -> None:
    config(timezone="America/Santiago")
    # Half past noon on the 6th, which began at 1:00, and half past midnight on the 7th.
    write([attempt(f"2026-09-{time}:30:00.000Z") for time in ("06T15", "07T03")])
    assert [row["time"] for row in rows(run_gemx, "daily", "--until", "2026-09-06")] == ["2026-09-06"]


def test_there_is_no_day_after_the_last(run_gemx: Run) -> None:
    done = run_gemx("stats", "daily", "--until", "9999-12-31")
    assert (done.code, done.out) == (2, "")
    assert "--until '9999-12-31'" in done.err


@pytest.mark.parametrize("flag", ["--since", "--until"])
def test_a_time_that_makes_no_sense(run_gemx: Run, flag: str) -> None:
    done = run_gemx("stats", "daily", f"{flag}=ontem")
    assert (done.code, done.out) == (2, "")
    assert flag in done.err
