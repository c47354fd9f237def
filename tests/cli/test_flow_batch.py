"""`gemx flow batch` and what goes with it, as real commands over real files, with a Gemini on the loopback."""

from __future__ import annotations

import csv
import errno
import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from conftest import RunGemx
from fake_gemini import FakeGemini, Recorded
from gemx import places
from gemx.flow import runs
from terminal import GEMX, SECONDS, on_a_terminal

FLOW = """\
gemx: flow/v1
inputs:
  n: {type: integer}
  nota: {label: Nota, required: false}
steps:
  - id: resumo
    prompt: {text: "Caso ${{ inputs.n }}: ${{ inputs.nota }}", model: "gemini:gemini-3.8-flash"}
outputs: {resumo: "${{ steps.resumo.outputs.text }}", n: "${{ inputs.n }}"}
"""
USAGE = {"promptTokenCount": 12, "candidatesTokenCount": 7, "thoughtsTokenCount": 0}


@pytest.fixture(autouse=True)
def heeded_interrupts() -> Iterator[None]:
    """Who runs the tests in the background has interrupts ignored, and so would the commands that are started here."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def flow(workdir: Path) -> str:
    (workdir / "b.yaml").write_text(FLOW)
    return "./b.yaml"


def echo(request: Recorded) -> str:
    return asked(request).partition(":")[0].strip().lower()


def asked(request: Recorded) -> str:
    return request.body["contents"][0]["parts"][0]["text"]


def case(request: Recorded) -> int:
    return int(asked(request).partition(":")[0].split()[1])


def items(path: Path, count: int) -> str:
    path.write_text("id,n\n" + "".join(f"p{n},{n}\n" for n in range(count)))
    return str(path)


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def run_of(err: str) -> str:
    return next(line.split()[1] for line in err.splitlines() if line.startswith("run: "))


def test_a_row_for_each_line_in_their_order(flow: str, run_gemx: RunGemx, fake_gemini: FakeGemini) -> None:
    fake_gemini.answer = echo
    Path("p.csv").write_text('﻿id;n;nota\na;1;"x; y"\nb;2;\nc;um;\nd;1;"x; y"\ne;3\n', encoding="utf-8")
    done = run_gemx("flow", "batch", flow, "--items", "p.csv", "--out", "o.jsonl")
    assert done.code == 7
    run_id = run_of(done.err)
    found = rows(Path("o.jsonl"))
    assert [(row["line"], row["id"], row["status"]) for row in found] == [
        (2, "a", "done"),
        (3, "b", "done"),
        (4, "c", "failed"),
        (5, "d", "done"),
        (6, None, "failed"),
    ]
    assert found[0] == {
        "line": 2,
        "id": "a",
        "status": "done",
        "outputs": {"resumo": "caso 1", "n": 1},
        "error": None,
        "run_id": run_id,
    }
    assert found[3]["outputs"] == found[0]["outputs"]
    assert found[2]["error"]["code"] == "input"
    assert "esperam-se algarismos" in found[2]["error"]["message"]
    assert "tem 2 colunas, e o cabeçalho 3" in found[4]["error"]["message"]
    assert sorted(map(case, fake_gemini.requests)) == [1, 2]
    assert stat.S_IMODE(Path("o.jsonl").stat().st_mode) == 0o600
    assert stat.S_IMODE(runs.ledger(run_id).stat().st_mode) == 0o600
    assert "5 lines: 2 of 2 items done, 1 duplicate, 2 calls" in done.err
    assert "2 lines could not be read" in done.err


def test_a_csv_comes_as_the_items_were_written(flow: str, run_gemx: RunGemx, fake_gemini: FakeGemini) -> None:
    fake_gemini.answer = "=HYPERLINK(1)"
    Path("p.csv").write_text("﻿id;n\n-x;1\n", encoding="utf-8")
    assert run_gemx("flow", "batch", flow, "--items", "p.csv", "--out", "o.csv").code == 0
    text = Path("o.csv").read_text(encoding="utf-8")
    assert text.startswith("﻿line;id;status;outputs.resumo;outputs.n;error.code;error.message;run_id")
    (row,) = csv.DictReader(text.lstrip("﻿").splitlines(), delimiter=";")
    assert (row["id"], row["outputs.resumo"], row["outputs.n"]) == ("'-x", "'=HYPERLINK(1)", "1")


def test_stdin_to_stdout(flow: str, run_gemx: RunGemx, fake_gemini: FakeGemini) -> None:
    done = run_gemx("flow", "batch", flow, "--items", "-", "-q", stdin='{"n": 1}\n{"n": 2.5}\n')
    assert done.code == 7
    first, second = (json.loads(line) for line in done.out.splitlines())
    assert (first["line"], first["outputs"]["resumo"]) == (1, "ok")
    assert (second["line"], second["status"], second["error"]["code"]) == (2, "failed", "input")


@pytest.mark.parametrize("how", [(), ("--dry-run",)])
def test_a_closed_stdin_is_an_empty_one(flow: str, gemx_home: Path, how: tuple[str, ...]) -> None:
    argv = [GEMX, "flow", "batch", flow, "--items", "-", *how]
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *argv], check=False, capture_output=True, text=True, timeout=SECONDS
    )
    assert (done.returncode, "the file is empty" in done.stderr) == (4, True)


def test_the_rows_do_not_replace_their_items(flow: str, run_gemx: RunGemx, fake_gemini: FakeGemini) -> None:
    items(Path("p.csv"), 2)
    Path("mesmo.csv").symlink_to("p.csv")
    before = Path("p.csv").read_bytes()
    for out in ("p.csv", "mesmo.csv"):
        done = run_gemx("flow", "batch", flow, "--items", "p.csv", "--out", out)
        assert (done.code, "the file of --items" in done.err) == (2, True)
    assert (Path("p.csv").read_bytes(), fake_gemini.requests) == (before, [])


def test_rows_that_were_left_out_are_no_success(flow: str, run_gemx: RunGemx, fake_gemini: FakeGemini) -> None:
    argv = ("flow", "batch", flow, "--items", items(Path("p.csv"), 2), "--out", "o.jsonl")
    assert run_gemx(*argv).code == 0
    items(Path("p.csv"), 3)
    assert run_gemx(*argv, "--failed-only").code == 7
    assert [row["status"] for row in rows(Path("o.jsonl"))] == ["done", "done", "pending"]


def test_a_start_whose_rows_nobody_would_have_is_refused(flow: str, run_gemx: RunGemx, fake_gemini: FakeGemini) -> None:
    run_id = run_of(run_gemx("flow", "batch", flow, "--items", "-", stdin='{"n": 1}\n').err)
    with runs.held(run_id):
        second = run_gemx("flow", "batch", flow, "--items", "-", stdin='{"n": 2}\n')
    assert (second.code, "is running already" in second.err) == (11, True)


def test_the_same_command_again_pays_nothing_and_what_is_new_is_run(
    flow: str, run_gemx: RunGemx, fake_gemini: FakeGemini
) -> None:
    argv = ("flow", "batch", flow, "--items", items(Path("p.csv"), 5), "--out", "o.jsonl")
    assert run_gemx(*argv).code == 0
    before = Path("o.jsonl").read_bytes()
    again = run_gemx(*argv)
    assert (again.code, Path("o.jsonl").read_bytes()) == (0, before)
    assert len(fake_gemini.requests) == 5
    items(Path("p.csv"), 7)
    assert run_gemx(*argv).code == 0
    assert (len(fake_gemini.requests), len(rows(Path("o.jsonl")))) == (7, 7)
    Path("b.yaml").write_text(FLOW.replace("Caso", "Paciente"))
    assert run_gemx(*argv).code == 0
    assert len(fake_gemini.requests) == 14


def test_failed_rows_are_run_again_when_that_is_asked(flow: str, run_gemx: RunGemx, fake_gemini: FakeGemini) -> None:
    argv = ("flow", "batch", flow, "--items", items(Path("p.csv"), 4), "--out", "o.jsonl", "--concurrency", "1")
    fake_gemini.reply_text("ok")
    fake_gemini.fault("blocked")
    first = run_gemx(*argv)
    run_id = run_of(first.err)
    assert first.code == 7
    assert f"to go on: gemx flow retry {run_id}" in first.err
    assert "1 failed, blocked:" in first.err
    assert [row["status"] for row in rows(Path("o.jsonl"))] == ["done", "failed", "done", "done"]
    assert run_gemx(*argv).code == 7
    assert len(fake_gemini.requests) == 4
    assert run_gemx(*argv, "--failed-only").code == 0
    assert [row["status"] for row in rows(Path("o.jsonl"))] == ["done"] * 4
    assert len(fake_gemini.requests) == 5


def test_retry_by_the_id_alone(flow: str, run_gemx: RunGemx, fake_gemini: FakeGemini) -> None:
    fake_gemini.fault("blocked")
    run_id = run_of(run_gemx("flow", "batch", flow, "--items", items(Path("p.csv"), 2), "--out", "o.jsonl").err)
    Path("p.csv").unlink()
    done = run_gemx("flow", "retry", run_id[:12], "--json")
    assert (done.code, done.json["data"]["done"], done.json["data"]["failed"]) == (0, 2, 0)
    assert [row["status"] for row in rows(Path("o.jsonl"))] == ["done", "done"]


def test_a_used_up_quota_stops_the_batch_and_resume_goes_on(
    flow: str, run_gemx: RunGemx, fake_gemini: FakeGemini
) -> None:
    argv = ("flow", "batch", flow, "--items", items(Path("p.csv"), 6), "--out", "o.jsonl", "--concurrency", "1")
    fake_gemini.reply_text("ok")
    fake_gemini.fault("daily_quota")
    stopped = run_gemx(*argv)
    run_id = run_of(stopped.err)
    assert stopped.code == 8
    assert "stopped:" in stopped.err
    assert f"gemx flow resume {run_id}" in stopped.err
    assert not Path("o.jsonl").exists()
    status = run_gemx("flow", "status", run_id, "--json").json["data"]
    assert (status["state"], status["done"], status["failed"], status["pending"]) == ("stopped", 1, 0, 5)
    assert [row["status"] for row in map(json.loads, run_gemx("flow", "export", run_id).out.splitlines())].count(
        "pending"
    ) == 5
    assert run_gemx("flow", "resume", run_id).code == 0
    assert len(rows(Path("o.jsonl"))) == 6
    assert len(fake_gemini.requests) == 7


def test_the_cap_holds_over_the_whole_batch_resumed_or_not(
    flow: str, run_gemx: RunGemx, fake_gemini: FakeGemini
) -> None:
    places.ensure_private_dir(places.config_dir())
    places.prices_file().write_text(
        'gemx: prices/v1\nversion: "2026-11-28"\ncurrency: USD\nmodels:\n  gemini:gemini-3.8-flash:\n'
        "    source: a test\n    read: 2026-11-28\n    rates: [{from: 2026-01-01, input: 0, output: 1000}]\n"
    )
    usage = {"promptTokenCount": 5, "candidatesTokenCount": 100}
    fake_gemini.always("ok", extra={"modelVersion": "gemini-3.8-flash", "usageMetadata": usage})
    argv = ("flow", "batch", flow, "--items", items(Path("p.csv"), 9), "--out", "o.jsonl", "--concurrency", "2")
    argv += ("-o", "max_output_tokens=100", "--max-cost", "0.45")
    stopped = run_gemx(*argv)
    assert stopped.code == 9
    assert len(fake_gemini.requests) == 4
    run_id = run_of(stopped.err)
    assert run_gemx("flow", "resume", run_id).code == 9
    assert len(fake_gemini.requests) == 4
    done = run_gemx("flow", "resume", run_id, "--max-cost", "1", "--json")
    assert (done.code, done.json["data"]["cost_usd"]) == (0, 0.9)
    assert len(fake_gemini.requests) == 9


def test_wrong_keys_stop_the_batch(flow: str, run_gemx: RunGemx, fake_gemini: FakeGemini) -> None:
    fake_gemini.always("api_key_invalid")
    argv = ("flow", "batch", flow, "--items", items(Path("p.csv"), 40), "--out", "o.jsonl", "--concurrency", "1")
    stopped = run_gemx(*argv)
    assert stopped.code == 5
    assert "5 items in a row failed" in stopped.err
    assert len(fake_gemini.requests) < 8


def test_a_resumed_run_is_not_gone_on_with_by_another_flow(
    flow: str, run_gemx: RunGemx, fake_gemini: FakeGemini
) -> None:
    fake_gemini.fault("daily_quota")
    stopped = run_gemx("flow", "batch", flow, "--items", items(Path("p.csv"), 2), "--out", "o.jsonl")
    Path("b.yaml").write_text(FLOW + "# another\n")
    refused = run_gemx("flow", "resume", run_of(stopped.err))
    assert refused.code == 3
    assert "has changed since" in refused.err


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (("--items", "p.csv", "--out", "o.txt"), 2, "no form goes with the suffix '.txt'"),
        (("--items", "p.xls", "--out", "o.csv"), 2, "no form of items goes with the suffix '.xls'"),
        (("--items", "nada.csv", "--out", "o.csv"), 4, "no file"),
        (("--items", "p.csv", "--json"), 2, "--out"),
        (("--items", "p.csv", "--out", "nada/o.csv"), 11, "cannot write"),
        (("--items", "p.csv", "-m", "nada:x"), 2, "unknown provider"),
        (("--items", "p.csv", "--local-only", "--network", "any"), 2, "contradict"),
        (("--items", "p.csv", "--profile", "nada"), 3, "nada"),
        (("--items", "quebrado.csv", "--out", "o.csv"), 4, "never close"),
    ],
)
def test_what_makes_no_sense_is_refused_and_leaves_nothing(
    flow: str, run_gemx: RunGemx, fake_gemini: FakeGemini, argv: tuple[str, ...], code: int, words: str
) -> None:
    items(Path("p.csv"), 2)
    Path("quebrado.csv").write_text('n,nota\n1,"a\n')
    done = run_gemx("flow", "batch", flow, *argv)
    assert done.code == code
    assert words in done.err + done.out
    assert fake_gemini.requests == []
    assert list(places.ledgers_dir().glob("*.db")) == []


def test_a_dry_run_counts_and_calls_nothing(flow: str, run_gemx: RunGemx, fake_gemini: FakeGemini) -> None:
    Path("p.csv").write_text("n,nota\n1,a\n2,b\n1,a\nx,c\n")
    argv = ("flow", "batch", flow, "--items", "p.csv", "--out", "o.jsonl", "--dry-run")
    found = run_gemx(*argv, "--json")
    data = found.json["data"]
    assert found.code == 7
    assert (data["lines"], data["refused"], data["items"], data["done"], data["calls"]) == (4, 1, 2, 0, [2, 2])
    assert 0 < data["input_tokens"][0] <= data["input_tokens"][1]
    assert 0 < data["cost_usd"][0] < data["cost_usd"][1]
    assert "calls: 2 to 2" in run_gemx(*argv).out
    assert fake_gemini.requests == []
    assert not Path("o.jsonl").exists()
    assert run_gemx(*argv[:-1]).code == 7
    assert run_gemx(*argv, "--json").json["data"]["done"] == 2


def test_runs_are_listed_told_exported_and_erased(
    flow: str, run_gemx: RunGemx, fake_gemini: FakeGemini, gemx_home: Path
) -> None:
    secret = "texto que some"
    fake_gemini.answer = secret
    run_id = run_of(run_gemx("flow", "batch", flow, "--items", items(Path("p.csv"), 3), "--out", "o.jsonl").err)
    assert f"{run_id} done: 3 of 3 done" in run_gemx("flow", "status").out
    page = run_gemx("flow", "status", run_id).out
    assert f"{run_id}: done" in page
    assert "resumo: 3 done" in page
    assert run_gemx("flow", "export", run_id, "--out", "e.csv").code == 0
    assert Path("e.csv").read_text().count(secret) == 3
    assert run_gemx("flow", "export", run_id).out == Path("o.jsonl").read_text()
    refused = run_gemx("flow", "cancel", run_id)
    assert (refused.code, "is not running" in refused.err) == (4, True)
    assert run_gemx("flow", "remove").code == 2
    assert run_gemx("flow", "remove", "--older-than", "1x").code == 2
    assert "erased: 0 runs" in run_gemx("flow", "remove", "--older-than", "30d").out
    os.utime(runs.ledger(run_id), (0, 0))
    assert "erased: 1 run older than 30d" in run_gemx("flow", "remove", "--older-than", "30d").out
    assert run_gemx("flow", "status", run_id).code == 3
    left = [path for path in gemx_home.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
    assert left == []


def test_a_damaged_run_hides_no_other(flow: str, run_gemx: RunGemx, fake_gemini: FakeGemini) -> None:
    first, second = (
        run_of(run_gemx("flow", "batch", flow, "--items", items(Path(f"{name}.csv"), 1)).err) for name in "ab"
    )
    runs.ledger(first).write_bytes(b"no database at all" * 100)
    done = run_gemx("flow", "status")
    assert (done.code, second in done.out, f"{first}.db is damaged" in done.err) == (0, True, True)


def test_progress_as_json_lines(flow: str, run_gemx: RunGemx, fake_gemini: FakeGemini) -> None:
    argv = ("flow", "batch", flow, "--items", items(Path("p.csv"), 3), "--out", "o.jsonl", "--progress", "jsonl", "-q")
    events = [json.loads(line) for line in run_gemx(*argv).err.splitlines()]
    assert events
    assert (events[-1]["event"], events[-1]["ended"], events[-1]["total"]) == ("progress", 3, 3)


def test_progress_on_a_terminal_is_one_line(flow: str, fake_gemini: FakeGemini, gemx_home: Path) -> None:
    def slow(request: Recorded) -> str:
        time.sleep(0.3)
        return "ok"

    fake_gemini.answer = slow
    argv = ("flow", "batch", flow, "--items", items(Path("p.csv"), 8), "--out", "o.jsonl", "--concurrency", "2")
    code, shown, _ = on_a_terminal(argv, {**os.environ, "TERM": "xterm"})
    assert code == 0
    assert " of 8" in shown
    assert "left" in shown
    assert "\x1b[2K8 lines: 8 of 8 items done" in shown
    assert "\n" not in shown[shown.index("of 8") : shown.rindex(" left")]


def started(*argv: str, **how: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [GEMX, *argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **how
    )


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_second_start_says_so_and_cancel_stops_the_first(
    flow: str, run_gemx: RunGemx, fake_gemini: FakeGemini
) -> None:
    def slow(request: Recorded) -> str:
        time.sleep(0.1)
        return "ok"

    fake_gemini.answer = slow
    argv = ("flow", "batch", flow, "--items", items(Path("p.csv"), 200), "--out", "o.jsonl", "--concurrency", "2")
    with started(*argv) as first:
        until(lambda: len(fake_gemini.requests) >= 2)
        second = run_gemx(*argv)
        assert second.code == 0
        assert len(second.err.splitlines()) == 1
        assert "is running already" in second.err
        assert run_gemx(*argv, "--if-running", "fail").code == 11
        run_id = second.err.split()[1]
        assert run_gemx("flow", "status", run_id, "--json").json["data"]["state"] == "running"
        assert run_gemx("flow", "remove", run_id).code == 4
        assert run_gemx("flow", "cancel", run_id).code == 0
        _, err = first.communicate(timeout=SECONDS)
    assert first.returncode == 143
    assert "stopped: cancelled" in err
    calls = len(fake_gemini.requests)
    assert calls < 200
    counts = run_gemx("flow", "status", run_id, "--json").json["data"]
    assert (counts["done"], counts["state"]) == (calls, "stopped")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_in_order(
    flow: str, run_gemx: RunGemx, fake_gemini: FakeGemini, number: signal.Signals, code: int
) -> None:
    def slow(request: Recorded) -> str:
        time.sleep(0.1)
        return "ok"

    fake_gemini.answer = slow
    argv = ("flow", "batch", flow, "--items", items(Path("p.csv"), 100), "--out", "o.jsonl", "--concurrency", "4")
    with started(*argv) as batch:
        until(lambda: len(fake_gemini.requests) >= 6)
        batch.send_signal(number)
        _, err = batch.communicate(timeout=SECONDS)
    assert batch.returncode == code
    assert "Traceback" not in err
    run_id = run_of(err)
    assert f"gemx flow resume {run_id}" in err
    calls = len(fake_gemini.requests)
    assert run_gemx("flow", "status", run_id, "--json").json["data"]["done"] == calls
    assert run_gemx("flow", "resume", run_id).code == 0
    assert len(fake_gemini.requests) == 100


def test_a_signal_ends_the_waits_of_calls_too(
    flow: str, run_gemx: RunGemx, fake_gemini: FakeGemini, workdir: Path
) -> None:
    (workdir / "b.yaml").write_text(FLOW.replace("steps:", "limits: {rpm: 2}\nsteps:"))
    argv = ("flow", "batch", flow, "--items", items(Path("p.csv"), 9), "--out", "o.jsonl", "--concurrency", "3")
    with started(*argv) as batch:
        until(lambda: len(fake_gemini.requests) == 2)
        time.sleep(0.5)
        batch.send_signal(signal.SIGINT)
        _, err = batch.communicate(timeout=SECONDS / 2)
    assert batch.returncode == 130
    counts = run_gemx("flow", "status", run_of(err), "--json").json["data"]
    assert (counts["done"], counts["failed"], counts["pending"]) == (2, 0, 7)


def test_a_second_interrupt_gives_up_the_calls_under_way(
    flow: str, run_gemx: RunGemx, fake_gemini: FakeGemini, gemx_home: Path
) -> None:
    fake_gemini.always("hang")
    argv = ("flow", "batch", flow, "--items", items(Path("p.csv"), 9), "--out", "o.jsonl", "--concurrency", "3")
    with started(*argv) as batch:
        until(lambda: len(fake_gemini.requests) == 3)
        batch.send_signal(signal.SIGINT)
        time.sleep(0.6)
        assert batch.poll() is None
        batch.send_signal(signal.SIGINT)
        _, err = batch.communicate(timeout=SECONDS)
    assert batch.returncode == 130
    assert "Traceback" not in err
    lines = [line for path in (gemx_home / "state/audit").glob("*.jsonl") for line in path.read_text().splitlines()]
    assert [json.loads(line)["error.type"] for line in lines] == ["interrupted"] * 3
    counts = run_gemx("flow", "status", run_of(err), "--json").json["data"]
    assert (counts["done"], counts["failed"], counts["pending"]) == (0, 0, 9)


@pytest.mark.parametrize("at_once", [1, 3, 8])
def test_no_more_calls_at_once_than_were_allowed(
    flow: str, run_gemx: RunGemx, fake_gemini: FakeGemini, workdir: Path, at_once: int
) -> None:
    lock, seen = threading.Lock(), [0, 0]

    def answer(request: Recorded) -> str:
        with lock:
            seen[0] += 1
            seen[1] = max(seen)
        time.sleep(0.1)
        with lock:
            seen[0] -= 1
        return "ok"

    fake_gemini.answer = answer
    argv = ("flow", "batch", flow, "--items", items(Path("p.csv"), 4 * at_once), "--out", "o.jsonl")
    assert run_gemx(*argv, "--concurrency", str(at_once)).code == 0
    assert seen == [0, at_once]


def killed_rounds(
    count: int, rounds: int, concurrency: int, fake: FakeGemini, home: Path, wait: Callable[[int], float]
) -> None:
    """Start the same batch again and again, kill it, let it end at last, and hold what came of it to the invariants."""
    fake.always("ok", extra={"modelVersion": "gemini-3.8-flash", "usageMetadata": USAGE})
    argv = ["flow", "batch", "./b.yaml", "--items", items(Path("p.csv"), count), "--out", "o.jsonl", "-q"]
    argv += ["--concurrency", str(concurrency)]
    kills = 0
    for number in range(rounds):
        before = len(fake.requests)
        with started(*argv) as batch:
            until(lambda: len(fake.requests) > before or batch.poll() is not None)  # noqa: B023
            try:
                batch.wait(wait(number))
            except subprocess.TimeoutExpired:
                batch.kill()
                kills += 1
            batch.communicate(timeout=SECONDS)
    last = subprocess.run([GEMX, *argv], capture_output=True, text=True, timeout=10 * SECONDS, check=False)
    assert last.returncode == 0, last.stderr
    assert kills
    found = rows(Path("o.jsonl"))
    assert [(row["line"], row["id"]) for row in found] == [(n + 2, f"p{n}") for n in range(count)]
    assert all(row["status"] == "done" and row["outputs"] == {"resumo": "ok", "n": n} for n, row in enumerate(found))
    # of a process that was killed in the middle of a request no body may have come
    whole = [request for request in fake.requests if request.body]
    calls = len(whole)
    assert {case(request) for request in whole} == set(range(count))
    # a quarter more items than calls are under way
    assert count <= calls <= count + kills * (concurrency + concurrency // 4)
    database = sqlite3.connect(runs.ledger(found[0]["run_id"]))
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    costs = [Decimal(cost) for (cost,) in database.execute("SELECT cost FROM calls")]
    # every item's answer was paid for once, as far as the ledger knows, and no call is in it twice
    assert len(costs) == count
    status = json.loads(
        subprocess.run(
            [GEMX, "flow", "status", found[0]["run_id"], "--json"], capture_output=True, text=True, check=True
        ).stdout
    )
    assert Decimal(str(status["data"]["cost_usd"])) == sum(costs)
    _check_audit(home, count, calls)


def _check_audit(home: Path, count: int, calls: int) -> None:
    from gemx.audit import chain

    lines = [
        line for path in sorted((home / "state/audit").glob("audit-*.jsonl")) for line in path.read_text().splitlines()
    ]
    records = [json.loads(line) for line in lines]
    answered = [record for record in records if record["gemx.status"] == "ok"]
    assert count <= len(answered) <= calls
    assert all(each.kind == "torn" for each in chain.verify().breaks)


def test_killed_again_and_again_every_item_is_done_once(flow: str, fake_gemini: FakeGemini, gemx_home: Path) -> None:
    killed_rounds(60, 5, 4, fake_gemini, gemx_home, lambda number: 0.05 * number)


@pytest.mark.soak
def test_a_hundred_kills_in_a_batch_of_five_hundred(flow: str, fake_gemini: FakeGemini, gemx_home: Path) -> None:
    import random

    chance = random.Random(6)
    killed_rounds(500, 100, 8, fake_gemini, gemx_home, lambda number: chance.uniform(0, 0.4))


# Kills itself at the n-th boundary: around commits of the ledger, before the network, before files take their place.
KILLED = """\
import os, signal, sys
from gemx import places
from gemx.audit import writer
from gemx.cli.app import main
from gemx.flow.ledger import Ledger
from gemx.providers.gemini import Gemini

left = int(sys.argv[1])

def around(owner, name):
    original = getattr(owner, name)
    def call(*args, **how):
        strike()
        result = original(*args, **how)
        strike()
        return result
    setattr(owner, name, call)

def strike():
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

around(Ledger, "take")
around(Ledger, "begin")
around(Ledger, "commit")
around(Ledger, "end")
around(Gemini, "generate")
around(writer, "append_all")
around(places, "write_private")
sys.exit(main(sys.argv[2:]))
"""


def boundaries(first: int, step: int, fake: FakeGemini) -> None:
    """Kill a batch at one boundary after the other, until one comes to its end unharmed."""
    fake.always("ok", extra={"modelVersion": "gemini-3.8-flash", "usageMetadata": USAGE})
    argv = ["flow", "batch", "./b.yaml", "--items", items(Path("p.csv"), 4), "--out", "o.jsonl", "-q"]
    argv += ["--concurrency", "2"]
    for n in range(first, 1000, step):
        fake.requests.clear()
        first_run = subprocess.run([sys.executable, "-c", KILLED, str(n), *argv], capture_output=True, check=False)
        assert first_run.returncode in (0, -signal.SIGKILL), first_run.stderr
        assert subprocess.run([GEMX, *argv], capture_output=True, check=False).returncode == 0
        found = rows(Path("o.jsonl"))
        assert [(row["line"], row["status"], row["outputs"]["n"]) for row in found] == [
            (k + 2, "done", k) for k in range(4)
        ]
        assert 4 <= len(fake.requests) <= 4 + 2
        with sqlite3.connect(runs.ledger(found[0]["run_id"])) as database:
            assert database.execute("SELECT count(*) FROM calls").fetchone() == (4,)
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        runs.erase(found[0]["run_id"])
        Path("o.jsonl").unlink()
        if first_run.returncode == 0:
            assert n > 20
            return
    pytest.fail("no run came to its end")


def test_killed_at_a_boundary(flow: str, fake_gemini: FakeGemini) -> None:
    boundaries(1, 6, fake_gemini)


@pytest.mark.soak
def test_killed_at_every_boundary(flow: str, fake_gemini: FakeGemini) -> None:
    boundaries(1, 1, fake_gemini)


@pytest.mark.parametrize("name", ["fdatasync", "fsync", "replace"])
def test_a_full_disk_at_every_file(
    name: str, flow: str, run_gemx: RunGemx, fake_gemini: FakeGemini, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the audit's appends, and of the output."""
    owner: Any = Path if name == "replace" else os
    original = getattr(owner, name)
    argv = ("flow", "batch", flow, "--items", items(Path("p.csv"), 4), "--out", "o.jsonl", "--concurrency", "2")
    for n in range(1, 100):
        left = [n]

        def failing(*args: Any) -> Any:
            left[0] -= 1  # noqa: B023
            if left[0] == 0:  # noqa: B023
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return original(*args)

        fake_gemini.requests.clear()
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, failing)
            struck = run_gemx(*argv)
        assert struck.code == (11 if left[0] <= 0 else 0), struck.err
        last = run_gemx(*argv)
        assert last.code == 0, last.err
        found = rows(Path("o.jsonl"))
        assert [row["status"] for row in found] == ["done"] * 4
        assert 4 <= len(fake_gemini.requests) <= 4 + 2
        runs.erase(found[0]["run_id"])
        Path("o.jsonl").unlink()
        if left[0] > 0:
            assert n > 1
            return
    pytest.fail("no run came to its end")


def test_flow_run_prints_its_result_and_goes_on_after_a_failure(
    flow: str, run_gemx: RunGemx, fake_gemini: FakeGemini
) -> None:
    fake_gemini.fault("blocked")
    failed = run_gemx("flow", "run", flow, "-i", "n=7")
    run_id = run_of(failed.err)
    assert failed.code == 5
    assert f"gemx flow retry {run_id}" in failed.err
    done = run_gemx("flow", "retry", run_id)
    assert (done.code, done.out) == (0, "--- resumo ---\nok\n\n--- n ---\n7\n")
    Path("in.json").write_text('{"n": 8, "nota": "b"}')
    as_json = run_gemx("flow", "run", flow, "--input", "in.json", "-i", "nota=c", "--json")
    assert as_json.json["data"]["outputs"] == {"resumo": "ok", "n": 8}
    assert asked(fake_gemini.last) == "Caso 8: c"
    wrong = run_gemx("flow", "run", flow, "-i", "n=x")
    assert (wrong.code, "esperam-se algarismos" in wrong.err) == (4, True)


def test_an_interrupt_ends_a_single_run_at_once(flow: str, run_gemx: RunGemx, fake_gemini: FakeGemini) -> None:
    fake_gemini.always("hang")
    with started("flow", "run", flow, "-i", "n=7") as single:
        until(lambda: len(fake_gemini.requests) == 1)
        single.send_signal(signal.SIGINT)
        _, err = single.communicate(timeout=SECONDS / 2)
    assert single.returncode == 130
    fake_gemini.always("ok")
    assert run_gemx("flow", "resume", run_of(err)).code == 0


def test_a_command_that_is_given_up_is_run_again(
    flow: str, run_gemx: RunGemx, workdir: Path, fake_gemini: FakeGemini
) -> None:
    wait = "test -e go || { touch begun; sleep 60; }"
    (workdir / "r.yaml").write_text(
        f"gemx: flow/v1\nsteps:\n  - id: a\n    run: [sh, -c, '{wait}; echo 5']\n"
        "outputs: {a: '${{ steps.a.outputs.text }}'}\n"
    )
    with started("flow", "run", "./r.yaml", "--allow-run") as single:
        until(lambda: Path("r-out/begun").exists())
        single.send_signal(signal.SIGTERM)
        _, err = single.communicate(timeout=SECONDS / 2)
    assert single.returncode == 143
    Path("r-out/go").touch()
    done = run_gemx("flow", "resume", run_of(err))
    assert (done.code, done.out) == (0, "5\n")


def test_what_a_flow_prints_drives_no_terminal(flow: str, run_gemx: RunGemx, fake_gemini: FakeGemini) -> None:
    fake_gemini.answer = "a\x1b[31mb\u202ec"
    argv = ("flow", "batch", flow, "--items", items(Path("p.csv"), 1), "-q")
    out = run_gemx(*argv).out
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert json.loads(out)["outputs"]["resumo"] == "a\x1b[31mb\u202ec"


def test_it_runs_in_cron(flow: str, fake_gemini: FakeGemini, gemx_home: Path) -> None:
    environment = {
        name: os.environ[name] for name in ("GOOGLE_GEMINI_BASE_URL", "GEMINI_API_KEY", "SSL_CERT_FILE", "GEMX_HOME")
    }
    argv = [GEMX, "flow", "batch", flow, "--items", items(Path("p.csv"), 3), "--out", "o.jsonl"]
    done = subprocess.run(argv, env={"PATH": "/usr/bin:/bin", **environment}, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"\x1b" not in done.stderr
    assert sys.executable
