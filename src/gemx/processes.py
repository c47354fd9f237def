"""Run another program for what it prints, and end it and its children when its time is up.

Knows nothing of what the program is for. It gets a session of its own, so nothing of it is left behind, and no terminal
to ask questions on.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence


class FailedError(Exception):
    """The program gave nothing; the message says why, and quotes neither its output nor its arguments."""


def output_of(command: Sequence[str], seconds: float, given: bytes = b"") -> bytes:
    """What the program wrote to stdout, once it has ended well; `given` is its stdin. Raises FailedError."""
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, ValueError) as exc:
        raise FailedError(getattr(exc, "strerror", None) or "it cannot be started") from None
    with process:
        try:
            output, _ = process.communicate(given, timeout=seconds)
        except subprocess.TimeoutExpired:
            _end(process)
            raise FailedError(f"no answer within {seconds:g} s") from None
        except BaseException:
            _end(process)
            raise
    if process.returncode:
        raise FailedError(f"it ended with exit code {process.returncode}")
    return output


def _end(process: subprocess.Popen[bytes]) -> None:
    # The whole session: a child of the program that holds the pipe would outlive it.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
