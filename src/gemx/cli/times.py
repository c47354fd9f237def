"""Times as users write them on a command line, and the time zone and width in which commands show them."""

from __future__ import annotations

import re
import shutil
import sys
from datetime import UTC, date, datetime, timedelta, tzinfo

from gemx.cli import output
from gemx.errors import UsageError

WIDTH = 80
_AGO = re.compile(r"(\d{1,5})([dh])")
_DAY = re.compile(r"\d{4}-?\d\d-?\d\d")
_HINT = "for example 2026-11-20, 7d or 12h"


def zone() -> tzinfo | None:
    """The time zone of config.json; None, which stands for the system's own, where it names none."""
    from zoneinfo import ZoneInfo

    from gemx import settings

    name = settings.load().config.timezone
    return ZoneInfo(name) if name else None


def since(text: str | None, zone: tzinfo | None) -> datetime | None:
    """The moment that --since names, in UTC: a day begins at its midnight. Raises UsageError."""
    return None if text is None else _moment("--since", text, zone)


def until(text: str | None, zone: tzinfo | None) -> datetime | None:
    """The moment that --until names, in UTC, itself not included: a day is over at the next midnight."""
    if text is None:
        return None
    moment = _moment("--until", text, zone)
    if not _DAY.fullmatch(text):
        return moment
    try:
        # By the calendar: where clocks skip midnight, a day after this one's beginning is past the next one's.
        next_day = date.fromisoformat(text) + timedelta(days=1)
    except OverflowError as exc:
        raise UsageError(f"--until {text!r} has no day after it", hint=_HINT) from exc
    return _moment("--until", next_day.isoformat(), zone)


def is_day(text: str) -> bool:
    """Whether --since or --until names a whole day, by its date or as so many days ago, and no moment in it."""
    return bool(_DAY.fullmatch(text) or (_AGO.fullmatch(text) and text.endswith("d")))


def age(text: str) -> timedelta:
    """A time span such as 365d or 12h. Raises UsageError."""
    match = _AGO.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!r} is no number of days or hours", hint="for example 365d or 12h")
    return _span(match)


def width() -> int:
    """The columns of the terminal, 80 where there is none."""
    return max(shutil.get_terminal_size((WIDTH, 24)).columns, 1) if output.is_terminal(sys.stdout) else WIDTH


def _moment(flag: str, text: str, zone: tzinfo | None) -> datetime:
    try:
        if ago := _AGO.fullmatch(text):
            return datetime.now(UTC) - _span(ago)
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo or zone is None else moment.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        raise UsageError(f"{flag} {text!r} is neither a day nor a number of days", hint=_HINT) from exc


def _span(match: re.Match[str]) -> timedelta:
    return timedelta(**{{"d": "days", "h": "hours"}[match[2]]: int(match[1])})
