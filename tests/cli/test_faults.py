"""Every fault of a provider, with a fallback and without, streamed and not: its exit code, its records, its time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fake_gemini import FakeGemini
from fake_openai import FakeOpenAI

Run = Callable[..., Any]
TIMEOUT, TRY, SLACK = 3.0, 0.3, 1.5
ANSWERED, PERMANENT, PARTIAL, TEMPORARY = 0, 5, 7, 8
# Of each fault: the exit code without a fallback, and whether it is tried again.
GEMINI = {
    "ok": (ANSWERED, False),
    "api_key_invalid": (PERMANENT, False),
    "unauthorized": (PERMANENT, False),
    "forbidden": (PERMANENT, False),
    "not_found": (PERMANENT, False),
    "bad_request": (PERMANENT, False),
    "too_long": (PERMANENT, False),
    "rate_limit": (TEMPORARY, False),  # it asks to wait 53.5 s
    "daily_quota": (TEMPORARY, False),
    "no_quota": (TEMPORARY, False),
    "internal": (TEMPORARY, True),
    "unavailable": (TEMPORARY, True),
    "deadline": (TEMPORARY, True),
    "cut": (TEMPORARY, True),
    "reset": (TEMPORARY, True),
    "hang": (TEMPORARY, True),
    "half_closed": (TEMPORARY, True),
    "drip": (TEMPORARY, True),
    "drip_bytes": (TEMPORARY, True),
    "blocked_prompt": (PERMANENT, False),
    "blocked": (PERMANENT, False),
    "max_tokens": (PARTIAL, False),
    "max_tokens_no_text": (PERMANENT, False),
    "empty": (PERMANENT, False),
    "no_candidates": (PERMANENT, False),
    "error_in_stream": (TEMPORARY, True),
    "no_finish": (TEMPORARY, True),
    "invalid_body": (TEMPORARY, True),
    "html": (TEMPORARY, True),
}
OPENAI = {
    "ok": (ANSWERED, False),
    "unauthorized": (PERMANENT, False),
    "forbidden": (PERMANENT, False),
    "not_found": (PERMANENT, False),
    "model_not_found": (PERMANENT, False),
    "bad_request": (PERMANENT, False),
    "unprocessable": (PERMANENT, False),
    "too_long": (PERMANENT, False),
    "too_long_500": (PERMANENT, False),
    "rate_limit": (TEMPORARY, False),  # it asks to wait 7 s
    "no_credit": (TEMPORARY, False),
    "internal": (TEMPORARY, True),
    "unavailable": (TEMPORARY, True),
    "html": (TEMPORARY, True),
    "cut": (TEMPORARY, True),
    "reset": (TEMPORARY, True),
    "hang": (TEMPORARY, True),
    "half_closed": (TEMPORARY, True),
    "drip": (TEMPORARY, True),
    "drip_bytes": (TEMPORARY, True),
    "content_filter": (PERMANENT, False),
    "refusal": (PERMANENT, False),
    "thinking_only": (PERMANENT, False),
    "max_tokens": (PARTIAL, False),
    "max_tokens_no_text": (PERMANENT, False),
    "empty": (PERMANENT, False),
    "no_choices": (PERMANENT, False),
    "error_in_stream": (TEMPORARY, True),
    "no_finish": (TEMPORARY, True),
}
# What shows text before it fails: then there is neither a second try nor a fallback.
SHOWN = {"cut", "half_closed", "drip", "error_in_stream", "no_finish", "content_filter"}
# A stream that says nothing was cut; a plain answer that says nothing is empty.
OTHERWISE = {
    ("gemini", "no_candidates", "stream"): (TEMPORARY, True),
    ("gemini", "error_in_stream", "plain"): (PERMANENT, False),
    ("openai", "no_choices", "stream"): (TEMPORARY, True),
}


def expected(provider: str, fault: str, streamed: bool) -> tuple[int, bool]:
    usual = (GEMINI if provider == "gemini" else OPENAI)[fault]
    return OTHERWISE.get((provider, fault, "stream" if streamed else "plain"), usual)


@pytest.fixture
def fake_openai(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as server:
        monkeypatch.setenv("LLM_BASE_URL", server.endpoint_url)
        yield server


def attempts(home: Path) -> list[dict[str, Any]]:
    lines = [line for path in (home / "state/audit").glob("*.jsonl") for line in path.read_text().splitlines()]
    return [record for line in lines if (record := json.loads(line))["kind"] in ("attempt", "refusal")]


def check(run_gemx: Run, home: Path, server: Any, model: str, case: tuple[str, bool, bool]) -> None:
    fault, streamed, fallback = case
    code, again = expected(model.partition(":")[0], fault, streamed)
    (home / "config").mkdir(parents=True, exist_ok=True)
    retry = {"max_attempts": 2, "initial": 0.01, "max_interval": 0.01}
    (home / "config/config.json").write_text(json.dumps({"retry": retry}))
    server.always(fault)
    argv = ["gen", "PAM?", "-m", model, "--timeout", str(TIMEOUT), "-o", f"timeout={TRY}"]
    argv += ["--fallback", "extractive"] * fallback
    started = time.monotonic()
    done = run_gemx(*argv, *([] if streamed else ["--json"]))
    assert time.monotonic() - started < TIMEOUT + SLACK
    shown = streamed and bool(done.out.strip()) and fault in SHOWN
    tries = 2 if again and not shown else 1
    answered = code in (ANSWERED, PARTIAL)
    takes_over = fallback and not answered and not shown
    assert done.code == (ANSWERED if takes_over else code), done.err
    records = attempts(home)
    assert len(records) == tries + takes_over
    assert len(server.requests) == tries
    errors = [record.get("error.type") for record in records]
    assert errors[:tries] == [errors[0]] * tries
    assert (errors[0] is None) == answered
    assert ("takes over" in done.err) == takes_over
    if takes_over:
        assert (errors[-1], records[-1]["gemx.fallback_from"]) == (None, model)
    elif not streamed:
        assert done.json["exit_code"] == code


@pytest.mark.parametrize("fallback", [False, True], ids=["alone", "fallback"])
@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("fault", GEMINI)
def test_gemini(
    run_gemx: Run, gemx_home: Path, fake_gemini: FakeGemini, fault: str, streamed: bool, fallback: bool
) -> None:
    model = "gemini:gemini-3.8-flash"
    check(run_gemx, gemx_home, fake_gemini, model, (fault, streamed, fallback))


@pytest.mark.parametrize("fallback", [False, True], ids=["alone", "fallback"])
@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("fault", OPENAI)
def test_an_endpoint(
    run_gemx: Run, gemx_home: Path, fake_openai: FakeOpenAI, fault: str, streamed: bool, fallback: bool
) -> None:
    check(run_gemx, gemx_home, fake_openai, "openai:local", (fault, streamed, fallback))


def test_standard_input_that_never_ends_does_not_outlast_the_timeout(gemx_home: Path) -> None:
    gemx = Path(sys.executable).with_name("gemx")
    environment = {"PATH": os.environ["PATH"], "GEMX_HOME": str(gemx_home)}
    started = time.monotonic()
    with subprocess.Popen(
        [gemx, "gen", "-f", "-", "Resuma", "-m", "extractive", "--timeout", "1"],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        out, err = process.stdout, process.stderr
        assert out is not None
        assert err is not None
        code = process.wait(timeout=20)
        assert (code, out.read()) == (TEMPORARY, b"")
        assert err.read().decode().startswith("gemx: not finished within --timeout")
        assert process.stdin is not None
        process.stdin.close()
    assert time.monotonic() - started < 6


def test_a_key_command_that_hangs_does_not_outlast_gemx_timeout(gemx_home: Path) -> None:
    (gemx_home / "config").mkdir(parents=True)
    config = {"keys": {"gemini": {"command": ["sleep", "25"]}}}
    (gemx_home / "config/config.json").write_text(json.dumps(config))
    gemx = Path(sys.executable).with_name("gemx")
    environment = {"PATH": os.environ["PATH"], "GEMX_HOME": str(gemx_home), "GEMX_TIMEOUT": "1"}
    started = time.monotonic()
    done = subprocess.run(
        [gemx, "gen", "PAM?"], env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False
    )
    assert (done.returncode, done.stdout) == (TEMPORARY, b"")
    assert time.monotonic() - started < 8


def test_what_a_failed_command_took_is_told(run_gemx: Run, gemx_home: Path, fake_gemini: FakeGemini) -> None:
    fake_gemini.always("max_tokens_no_text")
    done = run_gemx("gen", "PAM?", "-m", "gemini:gemini-3.8-flash")
    assert done.code == PERMANENT
    assert "used: 12 tokens in, 64 out, " in done.err
    assert " USD (prices 2026-" in done.err
    fake_gemini.always("hang")
    done = run_gemx("gen", "PAM?", "-m", "gemini:gemini-3.8-flash", "--timeout", "0.3")
    assert "used: cost not known (prices 2026-" in done.err


@pytest.mark.parametrize("amount", ["inf", "nan", "-1", "0", "1e-9", "1e7", "dez"])
def test_what_is_no_amount_is_a_usage_error(run_gemx: Run, amount: str) -> None:
    assert run_gemx("gen", "PAM?", "-m", "extractive", "--max-cost", amount).code == 2


@pytest.mark.parametrize("flag", ["-m", "--fallback"])
def test_a_key_in_the_place_of_a_model_is_refused_and_written_nowhere(
    run_gemx: Run, gemx_home: Path, flag: str
) -> None:
    done = run_gemx("gen", "PAM?", flag, "gemini:AIzaSyD-1234567890abcdefghijklmnopqrstu")
    assert done.code == 2
    assert "AIzaSyD" not in done.err
    assert not (gemx_home / "state").exists()
