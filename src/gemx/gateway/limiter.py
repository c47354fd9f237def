"""Requests and tokens a minute, and cool-downs, over all processes of the user: who has no room waits in one line.

The window slides exactly, and is a second longer than the minute: a request may be that long on its way. Knows no
provider; a caller's key is the project, a slash, and the model whose limits they are. Times are microseconds.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from gemx import storage
from gemx.errors import InvalidRequestError, RateLimitError
from gemx.gateway import clock, store
from gemx.gateway.store import MICROSECONDS, Owner

_WINDOW = 61 * MICROSECONDS
_SLICE = 1.0
# All who wait for a cool-down would start at its end in the same moment.
_SPREAD = 0.5

OnWait = Callable[[float, str], None]


@dataclass(frozen=True)
class Limits:
    """What is allowed in a minute; None is no limit."""

    rpm: int | None = None
    tpm: int | None = None


@dataclass(frozen=True)
class Slot:
    """Leave for one request, counted from now on: send it at once."""

    _row: int | None = None

    def settle(self, tokens: int | None) -> None:
        """Put the real tokens in place of the estimate; None leaves it. Raises StorageError."""
        if self._row is not None and tokens is not None:
            update, values = "UPDATE requests SET tokens = ?, settled = 1 WHERE id = ?", [tokens, self._row]
            store.write(lambda database: database.conn.execute(update, values))


def acquire(key: str, tokens: int, limits: Limits, deadline: float, on_wait: OnWait) -> Slot:
    """Wait until a request of about so many tokens has room under the limits, after those who came before.

    `deadline` is a time of `clock.monotonic`; `on_wait` is told before each second or less of waiting how long it is
    likely to last still, and why. Raises RateLimitError, with `retry_after`, as soon as it is sure that the wait would
    outlast the deadline; InvalidRequestError where the request alone is more than a minute's tokens; StorageError.
    """
    if limits.tpm is not None and tokens > limits.tpm:
        raise InvalidRequestError(
            f"the request is of about {tokens} tokens, and the limit of {_model(key)} is {limits.tpm} a minute",
            hint="send less text, ask for fewer output tokens, or raise the limit (limits in config.json)",
        )
    if limits == Limits() and not store.exists():
        return Slot()
    with store.opened() as database, _turn(_Turn(database, key, tokens, limits, deadline)) as turn:
        while (wait := turn.next()) is not None:
            left = deadline - clock.monotonic()
            if wait.surely >= left:
                raise _too_long(key, wait)
            on_wait(wait.likely, wait.why)
            spread = random.uniform(0, _SPREAD) if wait.why == _PAUSED else 0.0  # noqa: S311
            clock.sleep(min(_SLICE - spread, wait.likely + spread, left))
        return turn.slot


def cool_down(key: str, seconds: float) -> None:
    """Have every process wait so long before its next request of that key. Raises StorageError."""
    with store.opened() as database, store.writing(database):
        now = store.microseconds()
        _renew(database, now)
        database.conn.execute(
            "INSERT INTO cooldowns VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET until = max(until, excluded.until)",
            [key, now, now + round(seconds * MICROSECONDS)],
        )


_LAST = 2**62
_PAUSED = "the provider asked to wait"


@dataclass(frozen=True)
class _Wait:
    """Seconds: that it takes in any case, and that it takes as things stand."""

    surely: float
    likely: float
    why: str


@dataclass
class _Turn:
    """One request's way to its slot; `place` is its number in the line, once it had to wait."""

    database: storage.Database
    key: str
    tokens: int
    limits: Limits
    deadline: float
    place: int | None = None
    slot: Slot = Slot()

    def next(self) -> _Wait | None:
        """Take the slot and return None, or say what there is to wait for."""
        if self.limits == Limits():
            return self._paused(store.microseconds())
        # A look without the lock first: most of a wait is nothing but looks.
        if self.place is not None and (wait := self._look(store.microseconds())):
            return wait
        with store.writing(self.database):
            now = store.microseconds()
            _renew(self.database, now)
            wait = self._look(now)
            if wait is None:
                self._take(now)
            elif self.place is None:
                self._queue(now)
        return wait

    def _paused(self, now: int) -> _Wait | None:
        pause = self._pause(now)
        return _Wait(_seconds(pause - now), _seconds(pause - now), _PAUSED) if pause > now else None

    def _pause(self, now: int) -> int:
        query = "SELECT until FROM cooldowns WHERE key = ? AND since <= ?"
        return max([now, *(row[0] for row in self._rows(query, now))])

    def _look(self, now: int) -> _Wait | None:
        taken = self._rows(
            "SELECT at, tokens, settled FROM requests WHERE key = ? AND at > ? ORDER BY at", now - _WINDOW
        )
        ahead = self._ahead(now)
        start = self._pause(now)
        likely = _ready(((at, tokens) for at, tokens, _ in taken), [*ahead, self.tokens], self.limits, start)
        if likely <= now:
            return None
        # Tokens that are not settled may turn out to be none.
        settled = ((at, tokens if known else 0) for at, tokens, known in taken)
        surely = _ready(settled, [*(0 for _ in ahead), self.tokens], self.limits, start)
        why = _PAUSED if start > now and likely == start else self._why(len(ahead))
        return _Wait(_seconds(surely - now), _seconds(likely - now), why)

    def _why(self, ahead: int) -> str:
        names = {"requests": self.limits.rpm, "tokens": self.limits.tpm}
        limits = " and ".join(f"{limit} {name}" for name, limit in names.items() if limit is not None)
        return f"the limit of {limits} a minute" + (f", {ahead} ahead" if ahead else "")

    def _ahead(self, now: int) -> list[int]:
        """The tokens of those who came before and still wait."""
        before = self.place if self.place is not None else _LAST
        query = "SELECT tokens, ends, host, pid, started FROM line WHERE key = ? AND id < ? ORDER BY id"
        rows = self._rows(query, before)
        gone = {owner for owner in {Owner(*row[2:]) for row in rows} if owner.ended}
        return [row[0] for row in rows if row[1] > now and Owner(*row[2:]) not in gone]

    def _take(self, now: int) -> None:
        insert = "INSERT INTO requests (key, at, tokens) VALUES (?, ?, ?)"
        row = self.database.conn.execute(insert, [self.key, now, self.tokens]).lastrowid
        self.slot = Slot(row if self.limits.tpm is not None else None)
        self.leave()

    def _queue(self, now: int) -> None:
        owner = store.myself()
        ends = now + round(max(0.0, self.deadline - clock.monotonic()) * MICROSECONDS)
        self.place = self.database.conn.execute(
            "INSERT INTO line (key, tokens, ends, host, pid, started) VALUES (?, ?, ?, ?, ?, ?)",
            [self.key, self.tokens, ends, owner.host, owner.pid, owner.started],
        ).lastrowid

    def leave(self) -> None:
        """Give up the place in the line."""
        if self.place is not None:
            self.database.conn.execute("DELETE FROM line WHERE id = ?", [self.place])
            self.place = None

    def _rows(self, query: str, bound: int) -> list[Any]:
        return self.database.conn.execute(query, [self.key, bound]).fetchall()


@contextmanager
def _turn(turn: _Turn) -> Generator[_Turn]:
    try:
        yield turn
    finally:
        turn.leave()


def _ready(taken: Iterable[tuple[int, int]], wanted: Iterable[int], limits: Limits, start: int) -> int:
    """When the last of the requests that wait, in turn and with these tokens, has room: at `start` or later."""
    window = deque(taken)
    total = sum(tokens for _, tokens in window)
    for tokens in wanted:
        while window and not _has_room(len(window), total + tokens, limits):
            at, freed = window.popleft()
            start = max(start, at + _WINDOW)
            total -= freed
        window.append((start, tokens))
        total += tokens
    return start


def _has_room(requests: int, tokens: int, limits: Limits) -> bool:
    return (limits.rpm is None or requests < limits.rpm) and (limits.tpm is None or tokens <= limits.tpm)


def _renew(database: storage.Database, now: int) -> None:
    """Forget what is over; what a clock that was set back has in the future counts as of now."""
    database.conn.execute("DELETE FROM requests WHERE at <= ?", [now - _WINDOW])
    database.conn.execute("UPDATE requests SET at = ? WHERE at > ?", [now, now])
    database.conn.execute("DELETE FROM cooldowns WHERE until <= ?", [now])
    database.conn.execute("UPDATE cooldowns SET since = ?, until = ? + until - since WHERE since > ?", [now, now, now])
    owners = database.conn.execute("SELECT DISTINCT host, pid, started FROM line").fetchall()
    for owner in owners:
        if Owner(*owner).ended:
            database.conn.execute("DELETE FROM line WHERE (host, pid, started) = (?, ?, ?)", owner)
    database.conn.execute("DELETE FROM line WHERE ends <= ?", [now])


def _model(key: str) -> str:
    """What a person calls it: the project may be the hash of a key."""
    return key.partition("/")[2] or key


def _too_long(key: str, wait: _Wait) -> RateLimitError:
    seconds = wait.surely or wait.likely
    return RateLimitError(
        f"a request of {_model(key)} would have to wait {seconds:.0f} s, longer than the time that is left: {wait.why}",
        hint="run it again later, or raise --timeout, or the limits in config.json where your quota is larger",
        retry_after=seconds,
    )


def _seconds(duration: int) -> float:
    return max(0, duration) / MICROSECONDS
