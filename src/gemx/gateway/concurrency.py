"""How many calls at a time this process makes: as many as the provider takes, found by trying.

After inspect_ai's adaptive connections: the limit doubles each round without a rate limit until the first one, then
grows by a twentieth a round; a rate limit takes a fifth off, once an episode. Knows no other process, and no call.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager

from gemx.errors import TimeoutExceededError
from gemx.gateway import clock

_START = 20
_GROWTH = 1.05
_CUT = 0.8
_COOLDOWN = 15.0
_SMALLEST_ROUND = 4
# Only a limit that was in use shows by its success that more would do.
_USED = 0.8
# A wait is looked up from now and then, so that a virtual clock ends it too.
_SLICE = 1.0


class Adaptive:
    """The calls at a time of one key; `ceiling` is what was asked for. Safe for threads; first come, first served."""

    def __init__(self, ceiling: int) -> None:
        self._lock = threading.Lock()
        self._line: deque[threading.Event] = deque()
        self._ceiling = max(1, ceiling)
        self._limit = min(self._ceiling, _START)
        self._in_use = 0
        self._most_in_use = 0
        self._clean = 0
        self._limited_before = False
        self._cool_until = -math.inf

    @property
    def limit(self) -> int:
        """How many calls at a time are let through now."""
        return self._limit

    @contextmanager
    def slot(self, deadline: float) -> Generator[None]:
        """A place among the calls, waited for. Raises TimeoutExceededError where none is free before the deadline.

        `deadline` is a time of `clock.monotonic`.
        """
        self._enter(deadline)
        try:
            yield
        finally:
            with self._lock:
                self._in_use -= 1
                self._let_in()

    def set_ceiling(self, ceiling: int) -> None:
        """Take another ceiling; the limit follows only down."""
        with self._lock:
            self._ceiling = max(1, ceiling)
            self._limit = min(self._limit, self._ceiling)

    def succeeded(self) -> None:
        """Count a call that went well, while it has its place; as many as the limit, and four at least, are a round."""
        with self._lock:
            if clock.monotonic() < self._cool_until:
                return
            self._clean += 1
            if self._clean >= max(self._limit, _SMALLEST_ROUND):
                self._grow()
                self._new_round()

    def rate_limited(self, hint: float | None = None) -> None:
        """Go back, once an episode: one lasts 15 s, or the wait in seconds that the provider asks for where longer.

        Calls that were under way are limited too, and say nothing new.
        """
        with self._lock:
            now = clock.monotonic()
            if now >= self._cool_until:
                self._limit = max(1, min(self._limit - 1, int(self._limit * _CUT)))
                self._cool_until = now + _COOLDOWN
            self._cool_until = max(self._cool_until, now + (hint or 0.0))
            self._limited_before = True
            self._new_round()

    def failed(self) -> None:
        """Begin the round again: a server's own trouble says nothing of the limit, for or against."""
        with self._lock:
            self._new_round()

    def _grow(self) -> None:
        if self._most_in_use < _USED * self._limit:
            return
        grown = max(self._limit + 1, int(self._limit * _GROWTH)) if self._limited_before else self._limit * 2
        self._limit = min(self._ceiling, grown)
        self._let_in()

    def _new_round(self) -> None:
        self._clean = 0
        self._most_in_use = self._in_use

    def _enter(self, deadline: float) -> None:
        ticket = threading.Event()
        with self._lock:
            self._line.append(ticket)
            self._let_in()
        try:
            while not ticket.is_set():
                left = deadline - clock.monotonic()
                if left <= 0:
                    raise TimeoutExceededError(
                        f"no place among {self._limit} calls at a time came free within the time allowed",
                        hint="raise --timeout, or run fewer at a time",
                    )
                ticket.wait(min(left, _SLICE))
        except BaseException:
            self._leave_line(ticket)
            raise

    def _leave_line(self, ticket: threading.Event) -> None:
        with self._lock:
            if ticket.is_set():
                self._in_use -= 1
            else:
                self._line.remove(ticket)
            self._let_in()

    def _let_in(self) -> None:
        """Give each free place to who has waited longest."""
        while self._line and self._in_use < self._limit:
            self._in_use += 1
            self._most_in_use = max(self._most_in_use, self._in_use)
            self._line.popleft().set()


_known: dict[str, Adaptive] = {}
_knowing = threading.Lock()


def of(key: str, ceiling: int) -> Adaptive:
    """The one of a key in this process; a later ceiling takes the place of an earlier one."""
    with _knowing:
        adaptive = _known.get(key)
        if adaptive is None:
            adaptive = _known[key] = Adaptive(ceiling)
        else:
            adaptive.set_ceiling(ceiling)
        return adaptive
