"""The door's clock: what it dates, times and waits for asks here, so that a test can run a virtual one.

Call its functions by their module (`clock.sleep`), or a virtual clock does not reach them.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo


def now() -> datetime:
    """The time of day, in UTC."""
    return datetime.fromtimestamp(time.time(), UTC)


def monotonic() -> float:
    """Seconds that never run backwards, of this process."""
    return time.monotonic()


def sleep(seconds: float) -> None:
    """Wait."""
    time.sleep(seconds)


def zone(name: str | None) -> tzinfo | None:
    """The time zone of that name; None, which stands for the system's own, where there is no name."""
    return ZoneInfo(name) if name else None
