"""Run another program for what it prints, and end it and its children when its time is up.

Knows nothing of what the program is for. It gets a session of its own, so nothing of it is left behind, and no terminal
to ask questions on.
"""

from __future__ import annotations

import contextlib
import os
import select
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

_under_way: set[subprocess.Popen[bytes]] = set()


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


@dataclass(frozen=True)
class Ended:
    """How a program ended, and what it wrote."""

    exit_code: int
    output: bytes
    errors: bytes


def run(
    command: Sequence[str],
    seconds: float,
    given: bytes = b"",
    *,
    environment: Mapping[str, str],
    folder: Path,
    most: int,
) -> Ended:
    """Run a program in a folder to its end, whatever its exit code: `given` is its stdin, `environment` all it sees.

    What it leaves running is ended as well. Raises FailedError where it cannot be started, is not done in time, or
    writes more than `most` bytes.
    """
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env=environment,
            cwd=folder,
        )
    except (OSError, ValueError) as exc:
        raise FailedError(getattr(exc, "strerror", None) or "it cannot be started") from None
    _under_way.add(process)
    with process:
        try:
            output, errors = _exchange(process, given, time.monotonic() + seconds, most)
            return Ended(process.wait(), output, errors)
        except _LateError:
            raise FailedError(f"not done within {seconds:g} s") from None
        finally:
            _under_way.discard(process)
            _end(process)


def end_all() -> None:
    """End every program that `run` has under way, in whatever thread: it then seems to have ended by a signal."""
    for process in tuple(_under_way):
        _end(process)


class _LateError(Exception):
    pass


def _exchange(process: subprocess.Popen[bytes], given: bytes, deadline: float, most: int) -> tuple[bytes, bytes]:
    """Feed a program, and gather what it writes until it ends, or closes both of its outputs."""
    assert process.stdin and process.stdout and process.stderr, "all three are pipes"  # noqa: S101
    gathered = {process.stdout: bytearray(), process.stderr: bytearray()}
    left = memoryview(given)
    with selectors.DefaultSelector() as selector:
        for pipe in gathered:
            selector.register(pipe, selectors.EVENT_READ)
        selector.register(process.stdin, selectors.EVENT_WRITE)
        while selector.get_map():
            if (remaining := deadline - time.monotonic()) <= 0:
                raise _LateError
            for key, _ in selector.select(remaining):
                pipe: Any = key.fileobj
                if pipe is process.stdin:
                    left = _fed(pipe, left)
                    is_over = not left
                else:
                    is_over = _is_drained(pipe, gathered[pipe], most)
                if is_over:
                    selector.unregister(pipe)
                    pipe.close()
    _await(process, deadline)
    return bytes(gathered[process.stdout]), bytes(gathered[process.stderr])


def _fed(pipe: IO[bytes], left: memoryview) -> memoryview:
    """What is still to be written; nothing where the program does not read it."""
    try:
        # No more than a pipe takes at once: it must not be waited for.
        return left[os.write(pipe.fileno(), left[: select.PIPE_BUF]) :] if left else left
    except BrokenPipeError:
        return left[:0]


def _is_drained(pipe: IO[bytes], gathered: bytearray, most: int) -> bool:
    data = os.read(pipe.fileno(), 65_536)
    gathered += data
    if len(gathered) > most:
        raise FailedError(f"it wrote more than {most} bytes")
    return not data


def _await(process: subprocess.Popen[bytes], deadline: float) -> None:
    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise _LateError from None


def _end(process: subprocess.Popen[bytes]) -> None:
    # The whole session: a child of the program that holds the pipe would outlive it.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
