"""A command that is killed leaves config, profiles, templates and history as they were or as it makes them.

Real processes are killed right before the n-th thing that they do to a file of gemx (in the middle of it where it is a
write), and at moments spread over their whole run. The long form kills before every one.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

import planted_keys
from gemx import configuration, places, settings, templates
from terminal import GEMX

Run = Callable[..., object]
KILLS = 4
ROUNDS = 6

# Ends the process before the n-th change of a file below GEMX_HOME; says how many there were where nothing ended it.
UNTIL = """
import os, signal, sqlite3, sys

at, home, report = int(sys.argv.pop(1)), os.environ["GEMX_HOME"], sys.argv.pop(1)
seen, write, fsync, connect = 0, os.write, os.fsync, sqlite3.connect
CHANGES = {"os.rename", "os.link", "os.remove", "os.mkdir", "os.chmod", "os.truncate"}

def step(before_the_end=lambda: None):
    global seen
    seen += 1
    if seen == at:
        before_the_end()
        os.kill(os.getpid(), signal.SIGKILL)

def watch(event, arguments):
    if event == "open":
        path, _, flags = arguments
        if isinstance(path, (str, bytes)) and os.fsdecode(path).startswith(home) and flags & os.O_ACCMODE:
            step()
    elif event in CHANGES and any(isinstance(each, int) or home in os.fsdecode(each) for each in arguments[:1]):
        step()

class Connection(sqlite3.Connection):
    def execute(self, statement, *values):
        if not statement.lstrip().upper().startswith(("SELECT", "PRAGMA")):
            step()
        return super().execute(statement, *values)

def half(descriptor, data):
    if descriptor > 2:
        step(lambda: write(descriptor, bytes(data)[: len(data) // 2]))
    return write(descriptor, data)

def synced(descriptor):
    step()
    fsync(descriptor)

os.write, os.fsync = half, synced
sqlite3.connect = lambda *names, **options: connect(*names, **options, factory=Connection)
sys.addaudithook(watch)
from gemx.cli.app import main
code = main(sys.argv[1:])
with open(report, "w") as file:
    file.write(str(seen))
sys.exit(code)
"""


@dataclass(frozen=True)
class Command:
    """A command line, what is typed into it, and the exit codes of running it again after it was done."""

    argv: tuple[str, ...]
    typed: str = ""
    again: tuple[int, ...] = (0,)
    fresh: bool = False


GEN = ("gen", "-m", "extractive", "-q", "--save", "salvo", "Resuma: lactato 4,6.")
# What is made already is not made again, and what is gone is not found: usage and configuration.
DONE = (0, 2, 3)
COMMANDS = {
    "config set": Command(("config", "set", "timeout", "9")),
    "the first config set": Command(("config", "set", "timeout", "9"), fresh=True),
    "config unset": Command(("config", "unset", "history.keep"), again=DONE),
    "config set-key": Command(("config", "set-key", "gemini", "--file"), typed=planted_keys.GEMINI),
    "profiles new": Command(("profiles", "new", "plantao"), again=DONE),
    "profiles use": Command(("profiles", "use", "uti")),
    "profiles remove": Command(("profiles", "remove", "pronto"), again=DONE),
    "templates new": Command(("templates", "new", "novo"), again=DONE),
    "templates import": Command(("templates", "import", "estrangeiros", "--force"), again=DONE),
    "templates remove": Command(("templates", "remove", "meu"), again=DONE),
    "gen": Command(GEN, again=DONE),
    "the first gen": Command(GEN, again=DONE, fresh=True),
    "history remove": Command(("history", "remove", "--all", "--yes")),
    "history prune": Command(("history", "prune", "--days", "0", "--yes")),
}


@pytest.fixture
def prepared(run_gemx: Run, gemx_home: Path, workdir: Path) -> Path:
    """A home with a configuration, two profiles, a template and three runs; foreign templates in the current folder."""
    for argv in (
        ("config", "set", "history.keep", "20"),
        ("profiles", "new", "uti"),
        ("profiles", "new", "pronto"),
        ("templates", "new", "meu"),
        *(("gen", "-m", "extractive", "-q", f"Resuma: caso {number}.") for number in range(3)),
    ):
        assert run_gemx(*argv).code == 0, argv
    for name in ("um", "dois"):
        (workdir / "estrangeiros" / name).mkdir(parents=True)
        (workdir / "estrangeiros" / name / "system.md").write_text(f"# IDENTITY\n\nResuma em {name}.\n\n# INPUT:\n")
    return gemx_home


def _home(prepared: Path, command: Command, number: int) -> Path:
    home = prepared.with_name(f"killed-{number}")
    shutil.rmtree(home, ignore_errors=True)
    if not command.fresh:
        shutil.copytree(prepared, home)
    return home


def _stopped(command: Command, home: Path, at: int) -> int:
    """Run it until its change number `at`; how many changes it has where it came to its end."""
    report = home.with_name("steps")
    report.unlink(missing_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", UNTIL, str(at), str(report), *command.argv],
        env={**os.environ, "GEMX_HOME": str(home)},
        input=command.typed,
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == (0 if report.exists() else -signal.SIGKILL), done.stderr
    return int(report.read_text()) if report.exists() else 0


def _texts(home: Path) -> dict[str, str]:
    """What is kept as text, by its name: whole files alone, and nothing else but drafts and locks."""
    found = sorted(path for path in (home / "config").rglob("*") if path.is_file())
    shown = [path for path in found if not path.name.startswith(".")]
    assert all(path.name.startswith((".gemx-", ".config", ".lock")) for path in found if path not in shown), found
    return {str(path.relative_to(home)): path.read_text() for path in shown}


def _check_readable(home: Path, run_gemx: Run) -> None:
    """Each file as what reads it would, then as a user sees it."""
    if places.config_file().exists():
        configuration.load(places.config_file())
    for name in _texts(home):
        path = home / name
        if path.parent.name == "profiles":
            settings.load_profile(path.stem)
        elif path.parent.name == "templates":
            templates.load_file(path)
        elif path.parent.name == "keys":
            assert path.read_text() == f"{planted_keys.GEMINI}\n"
        else:
            assert path.name == "config.json"
    if places.history_file().exists():
        with sqlite3.connect(places.history_file()) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        database.close()
    for argv in (("config", "validate"), ("profiles", "list"), ("templates", "list"), ("history", "list", "--json")):
        done = run_gemx(*argv)
        assert done.code == 0, (argv, done.err)


def _check(command: Command, home: Path, run_gemx: Run, wanted: dict[str, str]) -> None:
    """After a kill everything is readable; the same command then makes what it makes when nothing kills it."""
    _check_readable(home, run_gemx)
    done = run_gemx(*command.argv, stdin=command.typed)
    assert done.code in command.again, done.err
    _check_readable(home, run_gemx)
    assert _texts(home) == wanted


def _spread(count: int, most: int) -> list[int]:
    """At most so many of the numbers from 1 to `count`, the first and the last among them."""
    return sorted({1 + round(index * (count - 1) / (most - 1)) for index in range(most)})


def _kill_before_changes(
    name: str, prepared: Path, run_gemx: Run, monkeypatch: pytest.MonkeyPatch, most: int | None
) -> None:
    command = COMMANDS[name]
    whole = _home(prepared, command, 0)
    count = _stopped(command, whole, 0)
    assert count >= 1
    wanted = _texts(whole)
    for number in _spread(count, most or count + 1):
        home = _home(prepared, command, number)
        assert _stopped(command, home, number) == 0, "it was not killed"
        monkeypatch.setenv("GEMX_HOME", str(home))
        _check(command, home, run_gemx, wanted)


@pytest.mark.parametrize("name", COMMANDS)
def test_killed_before_it_changes_a_file(
    name: str, prepared: Path, run_gemx: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    _kill_before_changes(name, prepared, run_gemx, monkeypatch, KILLS)


@pytest.mark.soak
@pytest.mark.parametrize("name", COMMANDS)
def test_killed_before_every_change_of_a_file(
    name: str, prepared: Path, run_gemx: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    _kill_before_changes(name, prepared, run_gemx, monkeypatch, None)


def _seconds(command: Command, home: Path) -> float:
    """How long it takes to its end."""
    started = time.monotonic()
    assert _killed(command, home, 60) == 0
    return time.monotonic() - started


def _killed(command: Command, home: Path, after: float) -> int:
    """Run it for so many seconds at most; how it ended."""
    with subprocess.Popen(
        [GEMX, *command.argv],
        env={**os.environ, "GEMX_HOME": str(home)},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin
        process.stdin.write(command.typed)
        process.stdin.close()
        try:
            return process.wait(after)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait(60)


def _kill_at_moments(
    names: Sequence[str], rounds: int, prepared: Path, run_gemx: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = random.Random(20)
    killed = 0
    for name in names:
        command = COMMANDS[name]
        whole = _home(prepared, command, 0)
        seconds = _seconds(command, whole)
        wanted = _texts(whole)
        for number in range(1, rounds + 1):
            home = _home(prepared, command, number)
            code = _killed(command, home, seconds * (number - moments.random()) / rounds)
            assert code in (0, -signal.SIGKILL)
            killed += code != 0
            monkeypatch.setenv("GEMX_HOME", str(home))
            _check(command, home, run_gemx, wanted)
    assert killed


def test_killed_at_any_moment(prepared: Path, run_gemx: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    _kill_at_moments(("gen", "history remove"), ROUNDS, prepared, run_gemx, monkeypatch)


@pytest.mark.soak
def test_killed_at_very_many_moments(prepared: Path, run_gemx: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    _kill_at_moments(tuple(COMMANDS), 25, prepared, run_gemx, monkeypatch)


def test_what_a_killed_command_left_goes_with_a_later_one(prepared: Path, run_gemx: Run) -> None:
    folder = prepared / "config/templates"
    left, under_way = folder / ".gemx-left", folder / ".gemx-now"
    for draft in (left, under_way):
        draft.write_text("prompt: half of")
    os.utime(left, (time.time() - 7200,) * 2)
    listed = json.loads(run_gemx("templates", "list", "--json").out)
    assert ".gemx-left" not in json.dumps(listed)
    assert run_gemx("templates", "new", "outro").code == 0
    # what is new may be of a command that is writing
    assert (left.exists(), under_way.exists()) == (False, True)


def test_removing_a_key_removes_what_a_killed_command_left_of_it(prepared: Path, run_gemx: Run) -> None:
    assert run_gemx("config", "set-key", "gemini", "--file", stdin=planted_keys.GEMINI).code == 0
    left = prepared / "config/keys/.gemx-left"
    left.write_text(f"{planted_keys.GEMINI}\n")
    assert run_gemx("config", "set-key", "gemini", "--remove").code == 0
    assert list(left.parent.iterdir()) == []
