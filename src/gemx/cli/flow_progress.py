"""The progress of a run on stderr: a line that is replaced on a terminal, else one each half minute, or JSON lines."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

from gemx.cli import output
from gemx.errors import StoppedError

if TYPE_CHECKING:
    from gemx.flow.progress import Progress

_OFTEN, _REGULARLY, _SELDOM = 0.2, 1.0, 30.0
_ROOM = 3  # for the ^C that a terminal shows


class Shown:
    """Shows how far a run is, and is the door's listener: its waits stand in the same line. Safe for threads."""

    def __init__(self, form: Literal["auto", "jsonl"]) -> None:
        self._form = form
        self._lock = threading.Lock()
        self._said: set[str] = set()
        self._waits = ""
        self._waits_until = 0.0
        self._terminal = form == "auto" and output.is_terminal(sys.stderr)
        self._every = _REGULARLY if form == "jsonl" else _OFTEN if self._terminal else _SELDOM
        self._due = time.monotonic() + self._every
        self._last: Progress | None = None
        self._stopping: Callable[[], bool] = lambda: False

    def follow(self, stopping: Callable[[], bool]) -> None:
        """Learn whether the run is being stopped: then no call waits any more."""
        self._stopping = stopping

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The last of it: nothing stays on a terminal, and the end is on record elsewhere."""
        if self._form == "jsonl" and self._last is not None:
            self._show(self._last)
        output.progress_ended()

    def tell(self, progress: Progress) -> None:
        """Show it, unless that was done a moment ago."""
        self._last = progress
        now = time.monotonic()
        if now >= self._due and progress.total > 1:
            self._due = now + self._every
            self._show(progress)

    def _show(self, progress: Progress) -> None:
        if self._form == "jsonl":
            output.event(_data(progress))
        elif self._terminal:
            # A line that wraps could not be replaced.
            output.progress(self._line(progress)[: shutil.get_terminal_size().columns - _ROOM])
        else:
            output.note(self._line(progress))

    def _line(self, progress: Progress) -> str:
        from gemx.gateway import bill

        parts = ["stopping (Ctrl-C again gives up what is under way)"] if self._stopping() else []
        parts += [f"{progress.ended} of {progress.total}"]
        parts += [f"{progress.failed} failed"] if progress.failed else []
        parts += [f"{progress.per_minute:.0f}/min"] if progress.per_minute else []
        parts += [f"{bill.dollars(progress.cost)} USD"] if progress.cost else []
        parts += [f"{_duration(progress.seconds_left)} left"] if progress.seconds_left else []
        parts += [self._waits] if time.monotonic() < self._waits_until else []
        return ", ".join(parts)

    def note(self, text: str) -> None:
        """A remark of the door, told once."""
        if self._is_new(text):
            output.note(text)

    def warn(self, text: str) -> None:
        """A remark that matters, told once."""
        if self._is_new(text):
            output.warning(f"gemx: {text}")

    def waiting(self, seconds: float, why: str) -> None:
        """A wait of one of the calls. Raises StoppedError, which ends it, where the run is being stopped."""
        if self._stopping():
            raise StoppedError("the run is being stopped")
        self._waits, self._waits_until = f"waiting {max(seconds, 1):.0f} s: {why}", time.monotonic() + 2.0
        if self._last is None or self._last.total == 1:
            output.progress(self._waits)

    def waited(self) -> None:
        """The wait is over."""
        self._waits_until = 0.0
        if self._last is None or self._last.total == 1:
            output.progress_ended()

    def _is_new(self, text: str) -> bool:
        with self._lock:
            known = text in self._said
            self._said.add(text)
            return not known


def _data(progress: Progress) -> dict[str, object]:
    return {
        "event": "progress",
        "ended": progress.ended,
        "failed": progress.failed,
        "total": progress.total,
        "cost_usd": progress.cost,
        "per_minute": None if progress.per_minute is None else round(progress.per_minute, 1),
        "seconds_left": None if progress.seconds_left is None else round(progress.seconds_left, 1),
    }


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
