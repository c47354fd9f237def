"""`gemx logs browse` on real terminals, and without one."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import RunGemx
from gemx.audit import writer
from tmux import Terminal, skip_without_tmux

GEMX = str(Path(sys.executable).with_name("gemx"))
CALL = {
    "kind": "attempt",
    "run_id": "20260105T101112-aaaaaa",
    "command": "gen",
    "subject": None,
    "gen_ai.request.model": "gemini-3.8-flash",
    "gemx.route": "gemini",
    "gemx.duration": 2.0,
}
FAILED = {**CALL, "run_id": "-b'$(touch ran)'", "command": "chat", "error.type": "timeout", "gemx.status": "error"}

Open = Callable[..., Terminal]


@pytest.fixture
def opened(gemx_home: Path, workdir: Path) -> Open:
    """`logs browse` over a call that ended well, in two records, and a later one that failed."""
    folder = gemx_home / "state" / "audit"
    writer.append_all([CALL, {**CALL, "gemx.try": 2}, FAILED], folder)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {"PATH": path, "LC_ALL": "C.UTF-8", "GEMX_HOME": str(gemx_home)}

    def start(*argv: str) -> Terminal:
        return Terminal([GEMX, "logs", "browse", *argv], environment, columns=100, rows=24, cwd=workdir)

    return start


@skip_without_tmux
def test_runs_are_shown_newest_first_with_their_records_beside_and_enter_shows_one(opened: Open, workdir: Path) -> None:
    with opened() as terminal:
        shown = terminal.wait_for("record 3: attempt")
        assert shown.index("chat") < shown.index("gen ")
        assert "failed: timeout" in shown
        assert "2/2" in shown
        terminal.type("aaaaaa")
        terminal.wait_for("1/2")
        terminal.wait_for("record 1: attempt")
        terminal.send("Enter")
        assert terminal.wait_ended() == 0
        assert "run 20260105T101112-aaaaaa" in terminal.everything()
        assert "record 2: attempt" in terminal.everything()
    assert not (workdir / "ran").exists()


@skip_without_tmux
def test_filters_leave_out_and_esc_leaves(opened: Open) -> None:
    with opened("--status", "timeout") as terminal:
        terminal.wait_for("1/1")
        terminal.send("Escape")
        assert terminal.wait_ended() == 0
        assert "run " not in terminal.everything()


def test_without_a_terminal_the_command_to_use_instead_is_named(run_gemx: RunGemx) -> None:
    done = run_gemx("logs", "browse")
    assert done.code == 2
    assert "needs a terminal" in done.err
    assert "gemx logs list" in done.err
