"""gemx with a terminal as its three streams, as a person has it."""

from __future__ import annotations

import errno
import os
import pty
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any

GEMX = str(Path(sys.executable).with_name("gemx"))
SECONDS = 60


def on_a_terminal(argv: tuple[str, ...], env: dict[str, str], answers: tuple[tuple[str, str], ...] = ()) -> Any:
    """Run gemx with a terminal as its three streams; each answer is typed when its question is shown."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(GEMX, [GEMX, *argv], env)
    shown = ""
    waiting = list(answers)
    asked_from = 0
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        ready, _, _ = select.select([terminal], [], [], 0.2)
        if ready:
            try:
                chunk = os.read(terminal, 65536)
            except OSError as exc:
                assert exc.errno == errno.EIO
                break
            if not chunk:
                break
            shown += chunk.decode("utf-8", "replace")
            if "\x1b[6n" in chunk.decode("utf-8", "replace"):
                os.write(terminal, b"\x1b[1;1R")
        if waiting and waiting[0][0] in shown[asked_from:]:
            asked_from = len(shown)
            time.sleep(0.1)
            os.write(terminal, waiting.pop(0)[1].encode())
    else:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), shown, waiting
