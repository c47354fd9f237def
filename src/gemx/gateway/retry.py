"""When a failed call is tried again, and after which wait. Only the door retries; the SDKs do not.

The wait is the greater of what the provider asks for and exponential backoff with full jitter (Brooker, "Exponential
Backoff And Jitter", AWS Architecture Blog, 2015). Knows nothing of providers and of what a call is.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from gemx.errors import GemxError, QuotaError, TemporaryError
from gemx.gateway import clock
from gemx.gateway.notices import Listener
from gemx.settings import RetryConfig

LONGEST_WAIT = 300.0  # who asks for more has a quota that is used up, as gemini-cli takes it
_SLICE = 1.0


@dataclass
class Tries:
    """The tries of one call at one model, within the rules and before `deadline`, in seconds of `clock.monotonic`."""

    rules: RetryConfig
    deadline: float
    made: int = 0
    # looked up when it is called: a virtual clock may have taken its place
    started: float = field(default_factory=lambda: clock.monotonic())  # noqa: PLW0108

    def wait_after(self, exc: GemxError) -> float | None:
        """The seconds to wait before the next try, or None where there is none; then `exc` says why, where it helps."""
        self.made += 1
        if not exc.retryable or self.made >= self.rules.max_attempts:
            return None
        asked = exc.retry_after if isinstance(exc, TemporaryError) else None
        wait = max(asked or 0.0, random.uniform(0, self._backoff()))  # noqa: S311
        if wait > LONGEST_WAIT:
            exc.hint = f"the provider asks to wait {wait:.0f} s, which no command waits: run it again then"
            return None
        now = clock.monotonic()
        if now + wait >= self.deadline or now + wait - self.started > self.rules.max_elapsed:
            if asked is None:
                return None
            exc.hint = (
                f"the next try would be after {wait:.1f} s, beyond --timeout or retry.max_elapsed: run it again then"
            )
            return None
        return wait

    def _backoff(self) -> float:
        return min(self.rules.max_interval, self.rules.initial * self.rules.factor ** (self.made - 1))


def pause(seconds: float, why: str, listener: Listener) -> None:
    """Wait, and say every second how long it still takes."""
    end = clock.monotonic() + seconds
    while (left := end - clock.monotonic()) > 0:
        listener.waiting(left, why)
        # the fraction first: what is left to count down is then whole seconds
        clock.sleep(left % _SLICE or _SLICE)
    listener.waited()


def explain(exc: GemxError, zone_name: str | None) -> None:
    """Say in the user's own time when a used-up quota ends."""
    if isinstance(exc, QuotaError) and exc.ends is not None:
        local = exc.ends.astimezone(clock.zone(zone_name))
        exc.hint = f"the quota is full again at {local:%Y-%m-%d %H:%M %Z}; run it again then, or use another model"
