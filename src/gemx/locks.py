"""Wait for a file's lock, but not for ever: who holds it may hang; and share one turn among the threads that wait.

Knows nothing of what the lock is for.
"""

from __future__ import annotations

import contextlib
import copy
import fcntl
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from gemx.errors import StorageError

SECONDS = 10.0
A = TypeVar("A")


def wait_for(descriptor: int, path: Path, holder: str = "another process") -> None:
    """Take the lock of an open file as soon as `holder` lets it go; `path` is for the message. Raises StorageError."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            if time.monotonic() > deadline:
                raise StorageError(f"{path} is held by {holder}", hint="end the process that holds it") from exc
            time.sleep(0.005)
        except OSError as exc:
            raise StorageError(f"cannot lock {path}: {exc.strerror}", hint="set GEMX_HOME elsewhere") from exc
        else:
            return


@dataclass
class Asked(Generic[A]):
    """What one thread asks for, and what came of it."""

    what: A
    result: Any = None
    error: Exception | None = None
    over: bool = False


class Together(Generic[A]):
    """Work that costs as much for many as for one, such as a sync of the disk: what waits for its turn shares the next.

    `work` does what several threads ask for, and sets the result or the error of each; what it raises is the error of
    all.
    """

    def __init__(self, work: Callable[[Sequence[Asked[A]]], None]) -> None:
        self._work = work
        self._turn = threading.Lock()
        self._line: deque[Asked[A]] = deque()

    def ask(self, what: A) -> Any:
        """Wait until it is done; returns its result, or raises its error."""
        asked = Asked(what)
        self._line.append(asked)
        try:
            with self._turn:
                if not asked.over:
                    self._take_turn()
        except BaseException:
            with contextlib.suppress(ValueError):
                self._line.remove(asked)
            raise
        if asked.error is not None:
            raise asked.error
        return asked.result

    def _take_turn(self) -> None:
        together = [self._line.popleft() for _ in range(len(self._line))]
        try:
            self._work(together)
        except Exception as exc:
            for each in together:
                # Each thread raises its own: what they add to it must not meet.
                each.error = copy.copy(exc)
        except BaseException:
            self._line.extendleft(reversed(together))
            raise
        for each in together:
            each.over = True
