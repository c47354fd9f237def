"""How fast a run goes: items a minute of late, what it cost, and how long it will still take."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal

from gemx.flow.ledger import Counts, Ended, Entry

_WINDOW = 60.0


@dataclass(frozen=True)
class Progress:
    """How far a run is; `failed` are of `ended`. `per_minute` and `seconds_left` are None until an item has ended.

    `cost` is in dollars, of the calls whose price is known; those of earlier starts of the run are in it.
    """

    ended: int
    failed: int
    total: int
    cost: Decimal
    per_minute: float | None
    seconds_left: float | None


@dataclass
class Meter:
    """Follows a run from what its ledger held when it began."""

    begun: Counts
    ended: int = 0
    failed: int = 0
    cost: Decimal = Decimal(0)
    started: float = field(default_factory=time.monotonic)
    _ends: deque[float] = field(default_factory=deque[float])

    def __post_init__(self) -> None:
        self.ended, self.failed, self.cost = self.begun.done + self.begun.failed, self.begun.failed, self.begun.cost

    def count(self, entry: Entry) -> None:
        """Take down what was kept."""
        if isinstance(entry, Ended):
            self.ended += 1
            self.failed += entry.record.status == "failed"
            self._ends.append(time.monotonic())
        else:
            self.cost += sum((attempt.cost for attempt in entry.record.attempts if attempt.cost), Decimal(0))

    def uncount(self, failed: int) -> None:
        """Take back items that failed, and are to be run again."""
        self.ended, self.failed = self.ended - failed, self.failed - failed

    @property
    def now(self) -> Progress:
        """How far it is now."""
        rate = self._rate()
        left = (self.begun.unique - self.ended) / rate if rate else None
        return Progress(
            self.ended, self.failed, self.begun.unique, self.cost, None if rate is None else rate * 60, left
        )

    def _rate(self) -> float | None:
        """Items a second, of the last minute."""
        now = time.monotonic()
        while self._ends and self._ends[0] < now - _WINDOW:
            self._ends.popleft()
        seconds = min(now - self.started, _WINDOW)
        return len(self._ends) / seconds if self._ends and seconds > 0 else None
