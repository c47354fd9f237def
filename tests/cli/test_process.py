"""gemx as a process of its own: bare environments, signals, closed pipes, full disks, terminals."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import planted_keys
from fake_gemini import FakeGemini
from gemx import places
from terminal import GEMX, SECONDS, on_a_terminal

CASE = str(places.shipped("automations") / "cases" / "sepse_choque.yaml")
DEMO = ("auto", "run", "sepse_bundle", "--input", CASE, "-m", "extractive")
KEY = planted_keys.GEMINI
Bare = Callable[..., dict[str, str]]


@pytest.fixture
def bare(gemx_home: Path) -> Bare:
    """The environment of a cron job: PATH, GEMX_HOME and what is given, and nothing else."""

    def environment(**more: str) -> dict[str, str]:
        return {"PATH": "/usr/bin:/bin", "GEMX_HOME": str(gemx_home), **more}

    return environment


def gemx(*argv: str, env: dict[str, str], **how: Any) -> subprocess.CompletedProcess[bytes]:
    given = {"stdin": subprocess.DEVNULL} if "input" not in how else {}
    done = subprocess.run([GEMX, *argv], env=env, capture_output=True, timeout=SECONDS, check=False, **given, **how)
    assert not planted_keys.leaked(done.stdout + done.stderr), "a key was printed"
    return done


def records(home: Path) -> list[dict[str, Any]]:
    lines = [line for path in sorted((home / "state/audit").glob("*.jsonl")) for line in path.read_text().splitlines()]
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("locale", [{}, {"LANG": "C"}, {"LC_ALL": "C"}, {"LC_ALL": "POSIX", "PYTHONUTF8": "0"}])
def test_a_bare_environment_prints_utf8(bare: Bare, locale: dict[str, str]) -> None:
    done = gemx(*DEMO, env=bare(**locale))
    assert done.returncode == 0
    text = done.stdout.decode("utf-8")
    assert "Choque".casefold() in text.casefold()
    assert "6,6 mL/h" in text
    assert "até 1 h" in text
    assert "\x1b" not in text


def test_utf8_is_read_under_the_c_locale_too(bare: Bare) -> None:
    done = gemx("gen", "-m", "extractive", env=bare(LC_ALL="C", PYTHONUTF8="0"), input="Ação?".encode())
    assert done.returncode == 0
    argument = gemx("auto", "run", "sepse_bundle", "-i", "região=1", env=bare(LC_ALL="C"))
    assert argument.returncode == 4
    assert "região" in argument.stderr.decode("utf-8")


def test_without_home_and_gemx_home_it_still_answers(tmp_path: Path) -> None:
    done = gemx("--version", env={"PATH": "/usr/bin:/bin"})
    assert done.returncode == 0
    assert re.fullmatch(rb"gemx \d+\.\d+\.\d+\S*\n", done.stdout)
    xdg = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    assert gemx(*DEMO, env=xdg).returncode == 0
    assert list((tmp_path / ".local/state/gemx/audit").glob("audit-*.jsonl"))


def test_python_m_gemx(bare: Bare) -> None:
    command = [sys.executable, "-m", "gemx", "--version"]
    done = subprocess.run(command, env=bare(), capture_output=True, timeout=SECONDS, check=False)
    assert (done.returncode, done.stdout) == (0, gemx("--version", env=bare()).stdout)


def test_help_and_usage(bare: Bare) -> None:
    shown = gemx("--help", env=bare())
    assert shown.returncode == 0
    assert b"auto" in shown.stdout
    wrong = gemx("--nada", env=bare())
    assert (wrong.returncode, wrong.stdout) == (2, b"")
    assert wrong.stderr.startswith(b"gemx: ")
    told = gemx("auto", "run", "--json", env=bare())
    assert told.returncode == 2
    envelope = json.loads(told.stdout)
    assert (envelope["exit_code"], envelope["command"], envelope["status"]) == (2, "", "error")
    assert told.stderr == b""


@pytest.mark.parametrize(("argv", "words"), [((), (b"auto", b"gen")), (("auto",), (b"run", b"validate"))])
def test_without_a_command_the_help_is_shown_and_nothing_was_done(
    bare: Bare, argv: tuple[str, ...], words: tuple[bytes, ...]
) -> None:
    done = gemx(*argv, env=bare())
    assert (done.returncode, done.stderr) == (2, b"")
    assert b"Usage: gemx" in done.stdout
    assert all(word in done.stdout for word in words)
    assert gemx(*argv, "--help", env=bare()).returncode == 0


@pytest.mark.parametrize("argv", [(), ("auto",)])
def test_without_a_command_the_help_is_that_of_help(bare: Bare, argv: tuple[str, ...]) -> None:
    assert gemx(*argv, env=bare()).stdout.strip() == gemx(*argv, "--help", env=bare()).stdout.strip()


def test_an_unknown_command(bare: Bare) -> None:
    done = gemx("atuo", env=bare())
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("argv", [DEMO, (*DEMO, "--json"), ("auto", "schema")])
def test_a_closed_pipe_is_exit_141(bare: Bare, argv: tuple[str, ...]) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as closed:
        done = subprocess.run(
            [GEMX, *argv],
            env=bare(),
            stdin=subprocess.DEVNULL,
            stdout=closed,
            stderr=subprocess.PIPE,
            timeout=SECONDS,
            check=False,
        )
    assert done.returncode == 141
    assert b"Traceback" not in done.stderr
    assert b"BrokenPipe" not in done.stderr
    assert b"Exception ignored" not in done.stderr


@pytest.mark.parametrize("argv", [DEMO, (*DEMO, "--json"), ("--version",), ("gen", "x", "-m", "extractive")])
def test_a_full_disk_behind_stdout_is_exit_11(bare: Bare, argv: tuple[str, ...]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [GEMX, *argv],
            env=bare(),
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=SECONDS,
            check=False,
        )
    assert done.returncode == 11
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


SIGNALS = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGHUP: 129}


def as_in_a_terminal() -> None:
    """Signals as a shell's foreground has them, whatever the tests were started under (nohup, a background job)."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)


def in_a_call(
    fake: FakeGemini, env: dict[str, str], *argv: str, before: Callable[[], None] = as_in_a_terminal
) -> subprocess.Popen[bytes]:
    """A gemx that waits for an answer that does not come."""
    fake.always("hang")
    started = subprocess.Popen(
        [GEMX, *argv, "-m", "gemini:gemini-3.8-flash"],
        env={
            **env,
            "GEMINI_API_KEY": KEY,
            "GOOGLE_GEMINI_BASE_URL": fake.url,
            "SSL_CERT_FILE": os.environ["SSL_CERT_FILE"],
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=before,  # noqa: PLW1509 -- the child only sets signals
    )
    deadline = time.monotonic() + SECONDS
    while not fake.requests and started.poll() is None:
        assert time.monotonic() < deadline, "the call did not come"
        time.sleep(0.01)
    return started


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
@pytest.mark.parametrize("asked", [(), ("--json",)], ids=["text", "json"])
@pytest.mark.parametrize("command", ["gen", "auto"])
def test_a_signal_during_a_call_is_on_record(
    bare: Bare,
    fake_gemini: FakeGemini,
    gemx_home: Path,
    number: signal.Signals,
    command: str,
    asked: tuple[str, ...],
) -> None:
    argv = ("gen", "Oi") if command == "gen" else ("auto", "run", "sepse_bundle", "--input", CASE)
    with in_a_call(fake_gemini, bare(), *argv, *asked) as started:
        started.send_signal(number)
        out, err = started.communicate(timeout=10)
    assert started.returncode == SIGNALS[number]
    assert b"Traceback" not in err
    said = "interrupted" if number == signal.SIGINT else "terminated"
    if asked:
        envelope = json.loads(out)
        assert envelope["command"] == ("gen" if command == "gen" else "auto run")
        assert (envelope["exit_code"], envelope["status"], envelope["data"]) == (SIGNALS[number], "error", None)
        assert envelope["errors"] == [{"code": "interrupted", "message": said, "hint": None}]
    else:
        assert out == b""
        assert err.endswith(f"gemx: {said}\n".encode())
    (record,) = records(gemx_home)
    assert record["error.type"] == "interrupted"
    assert record["gemx.status"] == "error"


def test_a_hang_up_that_nohup_ignores_stays_ignored(bare: Bare, fake_gemini: FakeGemini, gemx_home: Path) -> None:
    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    with in_a_call(fake_gemini, bare(), "gen", "Oi", before=ignore) as started:
        started.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            started.wait(timeout=0.5)
        started.send_signal(signal.SIGTERM)
        started.communicate(timeout=10)
    assert started.returncode == 143
    assert len(records(gemx_home)) == 1


def test_a_key_is_in_no_output_even_with_debug(bare: Bare, fake_gemini: FakeGemini, gemx_home: Path) -> None:
    fake_gemini.always("api_key_invalid")
    environment = bare(
        GEMINI_API_KEY=KEY, GOOGLE_GEMINI_BASE_URL=fake_gemini.url, SSL_CERT_FILE=os.environ["SSL_CERT_FILE"]
    )
    done = gemx("--debug", "gen", "Oi", "-m", "gemini:gemini-3.8-flash", env=environment)
    assert done.returncode == 5
    assert b"Traceback" in done.stderr
    everything = done.stdout + done.stderr + b"".join(path.read_bytes() for path in gemx_home.rglob("*.jsonl"))
    assert KEY.encode() not in everything


# terminals


def test_missing_inputs_are_asked_for_on_a_terminal(bare: Bare) -> None:
    argv = ("auto", "run", "sepse_bundle", "-i", "idade=64", "-i", "sexo=M", "-i", "pas=82", "-m", "extractive")
    answers = (("Peso", "7000\r"), ("fora do possível", "\x15" + "70\r"), ("PA diastólica", "44\r"))
    code, shown, left = on_a_terminal(argv, bare(TERM="xterm"), answers)
    assert left == [], shown
    assert code == 0, shown
    assert "2100 mL" in shown


def test_ctrl_c_at_a_question_is_exit_130(bare: Bare, gemx_home: Path) -> None:
    argv = ("auto", "run", "sepse_bundle", "-i", "idade=64", "-m", "extractive")
    code, shown, _ = on_a_terminal(argv, bare(TERM="xterm"), (("Sexo", "\x03"),))
    assert code == 130, shown
    assert "Traceback" not in shown
    assert records(gemx_home) == []


def test_no_question_without_a_terminal(bare: Bare) -> None:
    done = gemx("auto", "run", "sepse_bundle", "-i", "idade=64", "-m", "extractive", env=bare())
    assert done.returncode == 4
    assert "faltam dados" in done.stderr.decode()


def test_no_question_where_nobody_would_see_it(bare: Bare) -> None:
    terminal, stdin = pty.openpty()
    try:
        done = subprocess.run(
            [GEMX, "auto", "run", "sepse_bundle", "-i", "idade=64", "-m", "extractive"],
            env=bare(TERM="xterm"),
            stdin=stdin,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    finally:
        os.close(terminal)
        os.close(stdin)
    assert (done.returncode, done.stdout) == (4, b"")
    assert "faltam dados" in done.stderr.decode()


def test_a_terminal_of_forty_columns_is_kept_to(bare: Bare) -> None:
    shown = gemx(*DEMO, "--format", "rich", env=bare(COLUMNS="40")).stdout.decode()
    assert max(map(len, shown.splitlines())) <= 40
    assert "Colher hemoculturas" in shown


def test_colour_on_a_terminal_alone_and_never_with_no_color(bare: Bare) -> None:
    code, shown, _ = on_a_terminal(DEMO, bare(TERM="xterm-256color"))
    assert code == 0
    assert "\x1b[" in shown
    assert "6,6 mL/h" in shown
    code, plain, _ = on_a_terminal(DEMO, bare(TERM="xterm-256color", NO_COLOR="1"))
    assert code == 0
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", plain)
    assert b"\x1b" not in gemx(*DEMO, env=bare(TERM="xterm-256color")).stdout
