"""The runs that have a ledger: their ids and files, which of them is under way, and how one is stopped or erased.

A run is under way while a process holds its lock, which no kill leaves behind. Knows nothing of what a ledger holds.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import time
from collections.abc import Generator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gemx import places
from gemx.errors import InputError, NotFoundError, StorageError
from gemx.library import suggest

_MOST_NAMED = 10
# Who only asks whether a run is held holds it for a moment: a batch that starts then must not take that for a run.
_TRIES, _MOMENT = 5, 0.02
_NAME = re.compile(r"[^a-z0-9_]+")


def identity(command: str, name: str, *asked: str) -> str:
    """The id of what is always the same run: of these paths, such as lote_pacientes-4f9ac1d2e3b5."""
    digest = hashlib.sha256("\0".join((command, name, *asked)).encode("utf-8", "surrogateescape")).hexdigest()
    stem = _NAME.sub("_", Path(name).stem.lower()).strip("_")[:40] or "flow"
    return f"{stem}-{digest[:12]}"


def ledger(run_id: str) -> Path:
    """The file of a run's ledger."""
    return places.ledgers_dir() / f"{run_id}.db"


def known() -> list[str]:
    """The ids of all runs, the one that changed last at the end."""
    return [run_id for _, run_id in _dated()]


def _dated() -> list[tuple[float, str]]:
    """When each run changed last, oldest first; one that is erased meanwhile is none."""
    found: list[tuple[float, str]] = []
    for path in places.ledgers_dir().glob("*.db"):
        with contextlib.suppress(FileNotFoundError):
            found.append((path.stat().st_mtime, path.stem))
    return sorted(found)


def older_than(age: timedelta) -> list[str]:
    """The runs that nothing changed of for so long."""
    before = (datetime.now(UTC) - age).timestamp()
    return [run_id for changed, run_id in _dated() if changed < before]


def resolve(text: str) -> str:
    """The run of that id, or of a beginning that only one has. Raises NotFoundError."""
    everyone = known()
    found = [text] if text in everyone else [run_id for run_id in everyone if text and run_id.startswith(text)]
    if not found:
        hint = "gemx flow status lists the runs" if everyone else None
        raise NotFoundError(f"no run {text!r}{suggest(text, everyone)}", hint=hint)
    if len(found) > 1:
        named = ", ".join(found[:_MOST_NAMED])
        raise NotFoundError(f"{len(found)} runs begin with {text!r}: {named}", hint="write more of the id")
    return found[0]


@dataclass(frozen=True)
class Hold:
    """A run that this process holds."""

    run_id: str

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked for its end."""
        return _marker(self.run_id).exists()


@contextlib.contextmanager
def held(run_id: str) -> Generator[Hold | None]:
    """Hold a run, or None where another process does. Raises StorageError."""
    descriptor = _locked(run_id)
    try:
        if descriptor is not None:
            # Of a run that ended before it saw it: none of this one's.
            _marker(run_id).unlink(missing_ok=True)
        yield None if descriptor is None else Hold(run_id)
    finally:
        if descriptor is not None:
            os.close(descriptor)


def is_running(run_id: str) -> bool:
    """Whether a process holds it now."""
    if not _lock(run_id).exists():
        return False
    descriptor = _locked(run_id)
    if descriptor is not None:
        os.close(descriptor)
    return descriptor is None


def wait(run_id: str, seconds: float) -> None:
    """Wait until no process holds it, for so long at most."""
    deadline = time.monotonic() + seconds
    while is_running(run_id) and time.monotonic() < deadline:
        time.sleep(0.1)


def cancel(run_id: str) -> None:
    """Ask the process that holds it to end it. Raises InputError where there is none, StorageError."""
    if not is_running(run_id):
        raise InputError(f"{run_id} is not running", hint=f"gemx flow status {run_id} says how it ended")
    try:
        os.close(os.open(_marker(run_id), os.O_WRONLY | os.O_CREAT, places.FILE_MODE))
    except OSError as exc:
        raise StorageError(f"cannot write {_marker(run_id)}: {exc.strerror}") from exc


def erase(run_id: str) -> None:
    """Erase a run's ledger. Raises InputError where it is running, StorageError."""
    with held(run_id) as hold:
        if hold is None:
            raise InputError(f"{run_id} is running", hint=f"gemx flow cancel {run_id}")
        discard(hold)


def discard(hold: Hold) -> None:
    """Erase the files of a run that this process holds. Raises StorageError."""
    path = ledger(hold.run_id)
    journals = (path.with_name(f"{path.name}-{kind}") for kind in ("wal", "shm", "journal"))
    try:
        for file in (path, *journals, _marker(hold.run_id), _lock(hold.run_id)):
            file.unlink(missing_ok=True)
    except OSError as exc:
        raise StorageError(f"cannot erase {exc.filename}: {exc.strerror}") from exc


def _lock(run_id: str) -> Path:
    return places.ledgers_dir() / f"{run_id}.lock"


def _marker(run_id: str) -> Path:
    return places.ledgers_dir() / f"{run_id}.cancel"


def _locked(run_id: str) -> int | None:
    """The descriptor of the run's lock, to be closed; None where another process has it."""
    places.ensure_private_dir(places.ledgers_dir())
    path = _lock(run_id)
    tries = 0
    try:
        while tries < _TRIES:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, places.FILE_MODE)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is(path, descriptor):
                    return descriptor
            except BlockingIOError:
                tries += 1
                time.sleep(_MOMENT)
            # Held, or erased by whoever held it: that file is no lock any more.
            os.close(descriptor)
        return None
    except OSError as exc:
        raise StorageError(f"cannot lock {path}: {exc.strerror}", hint="set GEMX_HOME elsewhere") from exc


def _is(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
