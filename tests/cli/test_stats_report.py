"""`gemx stats report`: what it writes, of which part of the log, and what it refuses."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from conftest import RunGemx
from gemx.audit import writer
from gemx.audit.report import words

CALL = {
    "kind": "attempt",
    "run_id": "r1",
    "command": "gen",
    "subject": None,
    "gen_ai.request.model": "gemini-3.8-flash",
    "gemx.route": "gemini",
    "gemx.cost_usd": 0.25,
    "gemx.duration": 2.0,
    "gemx.user": "ana",
}
OTHER = {**CALL, "run_id": "r2", "gen_ai.request.model": "sabia-4", "gemx.route": "openai", "gemx.cost_usd": None}


def logged(gemx_home: Path, *days: str) -> None:
    """A call of each model on record today, and as if on other days, too."""
    folder = gemx_home / "state" / "audit"
    writer.append_all([CALL, OTHER], folder)
    today = next(folder.glob("audit-*.jsonl"))
    for day in days:
        text = today.read_text().replace(today.stem.removeprefix("audit-"), day)
        (folder / f"audit-{day}.jsonl").write_text(text)


def test_a_run_is_in_the_report_of_its_log(run_gemx: RunGemx, workdir: Path) -> None:
    case = Path(__file__).parents[2] / "automations" / "cases" / "sepse_choque.yaml"
    assert run_gemx("auto", "run", "sepse_bundle", "--input", str(case), "-m", "extractive", "-q").code == 0
    done = run_gemx("stats", "report", "--html", "uso.html", "--md", "uso.md")
    assert (done.code, done.out) == (0, "written: uso.html\nwritten: uso.md\n")
    text = (workdir / "uso.md").read_text()
    assert "`sepse_bundle`" in text
    assert "`extractive`" in text
    assert '"sepse_bundle"' in (workdir / "uso.html").read_text()
    assert {stat.S_IMODE((workdir / name).stat().st_mode) for name in ("uso.html", "uso.md")} == {0o600}


def test_markdown_goes_to_stdout_for_a_dash(run_gemx: RunGemx, gemx_home: Path) -> None:
    logged(gemx_home)
    done = run_gemx("stats", "report", "--md", "-")
    assert done.out.startswith("# Uso do gemx\n")
    assert "| Custo conhecido          | US$ 0,25" in done.out
    assert "| De custo desconhecido    | 1 " in done.out
    assert done.err == ""


def test_the_part_that_is_asked_for_is_reported(run_gemx: RunGemx, gemx_home: Path) -> None:
    logged(gemx_home, "2026-01-05", "2026-01-06")
    asked = ("stats", "report", "--md", "-", "--until", "2026-01-06")
    whole, since, model = (
        run_gemx(*asked, *more).out for more in ((), ("--since", "2026-01-06"), ("-m", "openai:sabia-4"))
    )
    assert "4 em 4 pedidos" in whole
    assert "2 em 2 pedidos" in since
    assert "De 06/01/2026, até 06/01/2026, feito em" in since
    assert "gemini-3.8-flash" not in model
    assert "| Custo conhecido          | desconhecido" in model


def test_figures_are_those_of_the_other_commands(run_gemx: RunGemx, gemx_home: Path) -> None:
    logged(gemx_home, "2026-01-05")
    found = run_gemx("stats", "summary", "--json").json["data"]
    report = run_gemx("stats", "report", "--md", "-").out
    assert f"{found['calls']} em {found['messages']} pedidos" in report
    assert f"US$ {words.dollars(found['cost_usd'])}" in report
    assert f"mediana {words.seconds(found['latency_p50_s'])}" in report


def test_lines_that_are_no_records_are_said(run_gemx: RunGemx, gemx_home: Path, workdir: Path) -> None:
    logged(gemx_home)
    log = next((gemx_home / "state" / "audit").glob("audit-*.jsonl"))
    log.write_text(log.read_text() + "damaged\n{}\n")
    assert "2 linhas do registro" in run_gemx("stats", "report", "--md", "-").out
    done = run_gemx("stats", "report", "--html", "uso.html", "--json")
    assert done.json["data"] == {"files": ["uso.html"], "calls": 2, "passed_over": 2}


def test_a_report_of_nothing_is_written_and_said(run_gemx: RunGemx, workdir: Path) -> None:
    done = run_gemx("stats", "report", "--html", "uso.html")
    assert done.code == 0
    assert "nothing is on record" in done.err
    assert (workdir / "uso.html").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        ((), 2, "needs a file"),
        (("--html", "-"), 2, "only --md - prints"),
        (("--md", "-", "--json"), 2, "only --md - prints"),
        (("--html", "a", "--md", "./a"), 2, "the same file"),
        (("--md", "a.md", "--since", "3h"), 2, "whole days"),
        (("--md", "a.md", "--until", "2026-11-20T10:00"), 2, "whole days"),
        (("--md", "a.md", "--until", "2026-11-20_10:00"), 2, "whole days"),
        (("--md", "a.md", "--until", "2026-W47-5"), 2, "whole days"),
        (("--md", "a.md", "--since", "ontem"), 2, "--since"),
        (("--html", "nowhere/a.html"), 11, "cannot write"),
        (("--html", "."), 11, "cannot write"),
    ],
)
def test_what_makes_no_sense_is_refused(
    argv: tuple[str, ...], code: int, said: str, run_gemx: RunGemx, workdir: Path
) -> None:
    done = run_gemx("stats", "report", *argv)
    assert done.code == code
    assert said in done.err + done.out
    assert list(workdir.iterdir()) == []
