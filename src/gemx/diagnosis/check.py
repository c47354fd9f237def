"""What one check found, and what the checks share; knows no check."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from gemx.errors import ConfigError, GemxError, StoppedError
from gemx.settings import Settings


@dataclass(frozen=True)
class Check:
    """What was found, in one line, and how to mend it where it is not `ok`: advice, or commands, one a line."""

    id: str
    status: Literal["ok", "warn", "fail"]
    found: str
    mend: str | None = None


@dataclass
class Case:
    """What is examined: the settings, or the defaults where config.json has a `problem`.

    `offline` says why nothing outside this machine is asked, and is "" where it may be. Checks that reach a server
    leave its clock in `clocks`, as (who, its time, ours), that of the engine whether it can use a card, and that of the
    audit the time of its last record.
    """

    settings: Settings
    problem: ConfigError | None
    offline: str
    clocks: list[tuple[str, datetime, datetime]] = field(default_factory=list[tuple[str, datetime, datetime]])
    gpu_offload: bool | None = None
    last_record: str | None = None


def isolated(name: str, check: Callable[[], Check]) -> Check:
    """What a check finds; where it fails itself, that."""
    try:
        return check()
    except StoppedError:
        raise
    except Exception as exc:
        return failed(name, exc)


def failed(name: str, exc: Exception) -> Check:
    """A check that failed itself, as a finding."""
    if isinstance(exc, GemxError):
        return fail(name, exc.message, exc.hint)
    if isinstance(exc, OSError):
        return fail(name, f"{exc.filename or 'the system'}: {exc.strerror}", "give yourself the rights to it")
    return fail(name, f"the check itself failed: {type(exc).__name__}: {exc}", "report it as a bug of gemx")


Checks = Callable[[Case], Iterable[Check]]


def ok(name: str, found: str) -> Check:
    """Nothing to do."""
    return Check(name, "ok", found)


def warn(name: str, found: str, mend: str | None = None) -> Check:
    """It works, or may, but not as it should."""
    return Check(name, "warn", found, mend)


def fail(name: str, found: str, mend: str | None = None) -> Check:
    """It does not work."""
    return Check(name, "fail", found, mend)
