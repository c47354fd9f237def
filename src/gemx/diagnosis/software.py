"""The software: Python, gemx and its configuration, the libraries that it can use, and the clock."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from gemx import __version__, places, settings, storage
from gemx.diagnosis.check import Case, Check, fail, ok, warn
from gemx.errors import GemxError, InvalidFileError, NotInstalledError
from gemx.models import registry

_OLDEST_PYTHON = (3, 11)
# No clock that is right is before the day on which this was written.
_WRITTEN = datetime(2026, 11, 1, tzinfo=UTC)
_SKEW_SECONDS = 60
_ENGINE_SECONDS = 20.0
_LOCAL = ("llama-cpp-python", "llguidance", "numpy")
_SET_CLOCK = "set the clock, for example: timedatectl set-ntp true"


def python(_: Case) -> Iterator[Check]:
    """The interpreter."""
    found = f"{platform.python_version()} ({sys.executable})"
    if sys.version_info[:2] < _OLDEST_PYTHON:
        yield fail("python", found, "gemx needs Python 3.11 or later")
    else:
        yield ok("python", found)


def version(_: Case) -> Iterator[Check]:
    """gemx itself, and the data that it ships."""
    missing = [name for name in ("automations", "profiles") if not places.shipped(name).is_dir()]
    found = f"{__version__} ({Path(__file__).parents[1]})"
    if missing:
        yield fail("gemx", f"{found}: its {' and '.join(missing)} are missing", "install gemx again")
    else:
        yield ok("gemx", found)


def config(case: Case) -> Iterator[Check]:
    """config.json."""
    path = places.config_file()
    if isinstance(case.problem, InvalidFileError):
        for problem in case.problem.problems:
            yield fail("config", str(problem), "gemx config edit: the commands that read it end with exit code 3")
    elif case.problem:
        yield fail("config", case.problem.message, case.problem.hint)
    else:
        yield ok("config", str(path) if path.exists() else f"none at {path}: the defaults hold")


def profile(case: Case) -> Iterator[Check]:
    """The profile that the environment or config.json names, where one does."""
    name = os.environ.get("GEMX_PROFILE") or case.settings.config.profile
    if case.problem or not name:
        return
    try:
        settings.load()
    except GemxError as exc:
        yield fail("profile", exc.message, exc.hint)
    else:
        yield ok("profile", name)


def timezone(case: Case) -> Iterator[Check]:
    """The time zone of caps and reports."""
    if name := case.settings.config.timezone:
        yield ok("timezone", f"{name} (config.json)")
        return
    local = datetime.now().astimezone()
    offset = f"{local:%z}"
    found = f"UTC{offset[:3]}:{offset[3:5]}, the system's; timezone in config.json fixes that of caps and reports"
    yield ok("timezone", found)


def sdk(_: Case) -> Iterator[Check]:
    """The library of Gemini."""
    found = _versions(["google-genai"])
    if found is None:
        yield fail("sdk", "google-genai is not installed: Gemini cannot be used", "install gemx again")
    else:
        yield ok("sdk", found)


def local(case: Case) -> Iterator[Check]:
    """The engine of local models, which is asked in its own process: it may die of a wrong build."""
    from gemx.providers import llama_cpp

    try:
        engine = llama_cpp.about(_ENGINE_SECONDS)
    except NotInstalledError as exc:
        how = exc.message.partition(": ")[2]
        needed = registry.installed() or str(case.settings.config.model).startswith("gguf:")
        text = "llama-cpp-python is not installed: GGUF models cannot be used"
        yield warn("local", text, how) if needed else ok("local", f"{text} ({how})")
    except GemxError as exc:
        yield fail("local", exc.message, exc.hint or "install gemx[local] again, on this machine")
    else:
        case.gpu_offload = engine["gpu_offload"]
        versions = _versions(_LOCAL) or f"llama-cpp-python {engine['version']}"
        yield ok("local", f"{versions}; built {'with' if case.gpu_offload else 'without'} GPU offload")


def sqlite(_: Case) -> Iterator[Check]:
    """The database library, and its bug."""
    if storage.has_sound_wal():
        yield ok("sqlite", f"{storage.SQLITE_VERSION}, journal mode wal")
    else:
        text = f"{storage.SQLITE_VERSION} has the WAL-reset bug: gemx uses the journal mode truncate, which lacks it"
        yield ok("sqlite", text)


def clock(case: Case) -> Iterator[Check]:
    """The clock: audit records are dated by it, and certificates judged."""
    now = datetime.now(UTC)
    wrong = [*_behind(case, now), *_skewed(case)]
    if wrong:
        yield from wrong
        return
    against = ", ".join(sorted(name for name, _, _ in case.clocks))
    checked = f"within {_SKEW_SECONDS} s of {against}" if against else "compared with no other clock"
    yield ok("clock", f"{now:%Y-%m-%d %H:%M:%S} UTC, {checked}")


def _behind(case: Case, now: datetime) -> Iterator[Check]:
    if now < _WRITTEN:
        text = f"it says {now:%Y-%m-%d}, which is before this gemx was written"
        yield fail("clock", text, _SET_CLOCK)
        return
    try:
        last = datetime.fromisoformat(case.last_record or "")
    except ValueError:
        return
    if last.tzinfo and now < last:
        text = f"it says {now:%Y-%m-%d %H:%M:%S} UTC, and the last audit record is of {last:%Y-%m-%d %H:%M:%S} UTC"
        yield warn("clock", text, _SET_CLOCK)


def _skewed(case: Case) -> Iterator[Check]:
    for name, theirs, ours in sorted(case.clocks):
        seconds = round((ours - theirs).total_seconds())
        if abs(seconds) > _SKEW_SECONDS:
            text = f"it is {abs(seconds)} s {'ahead of' if seconds > 0 else 'behind'} that of {name}"
            yield warn("clock", text, _SET_CLOCK)
            return


def _versions(names: Sequence[str]) -> str | None:
    try:
        return ", ".join(f"{name} {metadata.version(name)}" for name in names)
    except metadata.PackageNotFoundError:
        return None
