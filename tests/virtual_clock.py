"""A clock for the door that runs only when something waits: waits are exact and cost no time."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Lock


@dataclass
class VirtualClock:
    """Put in the place of `gemx.gateway.clock`'s functions; `sleeps` are the waits in order, in seconds."""

    start: datetime = datetime(2026, 11, 28, 12, tzinfo=UTC)
    elapsed: float = 0.0
    sleeps: list[float] = field(default_factory=list[float])
    lock: Lock = field(default_factory=Lock)

    def now(self) -> datetime:
        return self.start + timedelta(seconds=self.elapsed)

    def monotonic(self) -> float:
        return 1000.0 + self.elapsed

    def sleep(self, seconds: float) -> None:
        with self.lock:
            self.sleeps.append(seconds)
            self.elapsed += seconds
