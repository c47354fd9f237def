"""What a report says of itself, besides its figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class About:
    """When a report was made (with the zone of its days), of which part of the log, and what findings' codes mean.

    `since`, `until` and `model` are what was asked for, None where that is everything; `meanings` are in pt-BR.
    """

    made: datetime
    version: str
    since: str | None = None
    until: str | None = None
    model: str | None = None
    meanings: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def today(self) -> str:
        """The day on which it was made."""
        return f"{self.made:%Y-%m-%d}"

    @property
    def last_day(self) -> str:
        """The last day that it speaks of: a day on which nothing was called is one, too."""
        return min(self.until or self.today, self.today)

    @property
    def zone(self) -> str:
        """The zone of its days, such as America/Sao_Paulo or UTC-03:00."""
        if hasattr(self.made.tzinfo, "key"):
            return str(self.made.tzinfo)
        offset = f"{self.made:%z}"
        return f"UTC{offset[:3]}:{offset[3:5]}" if offset.strip("+-0") else "UTC"
