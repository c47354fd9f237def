"""A command on a real terminal of a given size, driven by tmux: its keys, its screen, how it ended.

Every terminal has a tmux server of its own, with no configuration; the user's is never touched. `skip_without_tmux`
marks the tests that need it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self
from uuid import uuid4

import pytest

skip_without_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")

_OPTIONS = ("status off", "remain-on-exit on", "history-limit 5000", "escape-time 0", "remain-on-exit-format ''")
_EVERY = 0.05
# tmux may not know how a command ended: the shell does, which Ctrl-C does not end.
_SHELL = 'trap : INT; "$@"; echo $? > "$0"'


class Terminal:
    """A running command and its terminal. `env` is its whole environment, TERM aside: that is `term`.

    What it printed last stays on the screen when it has ended. Without tmux the test is skipped.
    """

    def __init__(
        self,
        command: Sequence[str],
        env: Mapping[str, str],
        *,
        columns: int,
        rows: int,
        cwd: Path,
        term: str = "screen-256color",
    ) -> None:
        if shutil.which("tmux") is None:
            pytest.skip("tmux is not installed")
        self._code = Path(tempfile.mkdtemp(prefix="gemx-tmux-")) / "code"
        self._socket = f"gemx-test-{os.getpid()}-{uuid4().hex[:8]}"
        variables = [f"{name}={value}" for name, value in {**env, "TERM": term}.items()]
        options = [word for option in _OPTIONS for word in ("set-option", "-g", *option.split(), ";")]
        size = ["-x", str(columns), "-y", str(rows), "-c", str(cwd)]
        started = ["env", "-i", *variables, "sh", "-c", _SHELL, str(self._code), *command]
        self._tmux("start-server", ";", *options, "new-session", "-d", *size, "--", *started)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, *keys: str) -> None:
        """Press keys by tmux's names: Enter, Tab, Up, C-c, M-Enter, Escape; anything else is typed."""
        self._tmux("send-keys", "--", *keys)

    def type(self, text: str) -> None:
        """Type a text as it is; a new line in it is Ctrl-J."""
        self._tmux("send-keys", "-l", "--", text)

    def paste(self, text: str) -> None:
        """Paste a text, in brackets where the command asked for them."""
        self._tmux("set-buffer", "--", text)
        self._tmux("paste-buffer", "-p", "-r")

    def resize(self, columns: int, rows: int) -> None:
        """Make the terminal another size."""
        self._tmux("resize-window", "-x", str(columns), "-y", str(rows))

    def wait_for(self, text: str, seconds: float = 30, *, times: int = 1) -> str:
        """Wait until a text is on the screen, so many times, and return the screen. Fails the test otherwise."""
        return self._waited(lambda screen: screen.count(text) >= times, f"{text!r} is not on the screen", seconds)

    def wait_gone(self, text: str, seconds: float = 30) -> str:
        """Wait until a text is no longer on the screen, and return the screen."""
        return self._waited(lambda screen: text not in screen, f"{text!r} is still on the screen", seconds)

    def wait_ended(self, seconds: float = 30) -> int:
        """Wait until the command has ended, and return its exit code (128 + N after a signal N)."""
        self._waited(lambda _: self._pane("pane_dead") == "1", "it has not ended", seconds)
        return int(self._code.read_text())

    def screen(self) -> str:
        """What is on the screen now: a line a row, without the spaces at its end."""
        return self._tmux("capture-pane", "-p")

    def everything(self) -> str:
        """The screen and what has scrolled out of it; lines that were wrapped by the terminal are whole."""
        return self._tmux("capture-pane", "-p", "-J", "-S", "-")

    @property
    def cursor(self) -> tuple[int, int]:
        """Where the cursor is: column and row, from 0."""
        column, row = self._pane("cursor_x"), self._pane("cursor_y")
        return int(column), int(row)

    @property
    def pid(self) -> int:
        """The process of the command, for signals."""
        found = subprocess.run(["pgrep", "-P", self._pane("pane_pid")], capture_output=True, text=True, check=True)
        return int(found.stdout.split()[0])

    def close(self) -> None:
        """End the command and its terminal."""
        socket = self._tmux("display-message", "-p", "#{socket_path}", check=False).strip()
        self._tmux("kill-server", check=False)
        if socket:
            Path(socket).unlink(missing_ok=True)
        shutil.rmtree(self._code.parent, ignore_errors=True)

    def _waited(self, reached: Callable[[str], bool], failure: str, seconds: float) -> str:
        deadline = time.monotonic() + seconds
        while not reached(screen := self.screen()):
            if time.monotonic() > deadline:
                pytest.fail(f"{failure} after {seconds:g} s:\n{screen}")
            time.sleep(_EVERY)
        return screen

    def _pane(self, name: str) -> str:
        return self._tmux("display-message", "-p", f"#{{{name}}}").strip()

    def _tmux(self, *arguments: str, check: bool = True) -> str:
        command = ["tmux", "-L", self._socket, "-f", os.devnull, *arguments]
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": os.devnull, "SHELL": "/bin/sh"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=30)
        if check and done.returncode:
            pytest.fail(f"tmux {arguments[0]}: {done.stderr.strip()}")
        return done.stdout
