"""Remove whole days of the log, and keep the rest provable: a record in the chain says first what will be gone."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from gemx import locks, places
from gemx.audit import chain, log, record, writer
from gemx.audit.chain import End
from gemx.errors import StorageError

COMMAND = "logs prune"


@dataclass(frozen=True)
class Plan:
    """What would be removed: day files, files of texts, and how many records and bytes are in them.

    `breaks` counts the places in those days where the chain does not hold; `again` are files that an earlier prune
    announced, and was killed before it removed.
    """

    days: tuple[End, ...]
    texts: tuple[Path, ...]
    breaks: int
    again: tuple[Path, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """All files, in the order in which they are removed."""
        return (*(end.path for end in self.days), *self.texts)

    @property
    def records(self) -> int:
        """How many records are in the days."""
        return sum(end.records for end in self.days)

    @property
    def size(self) -> int:
        """How many bytes the files have. Raises StorageError."""
        with _told():
            return sum(path.stat().st_size for path in self.files)


def plan(older_than: timedelta, folder: Path | None = None) -> Plan:
    """What is older than that: whole days, never today's and never the newest. Reads the log. Raises StorageError."""
    folder = folder or places.audit_dir()
    oldest_kept = datetime.now(UTC).date() - max(older_than, timedelta(0))
    report = chain.verify(folder)
    leftover = set(report.leftover)
    days: list[End] = []
    for end in report.ends[:-1]:
        if end.path not in leftover and log.day(end.path) >= oldest_kept:
            break
        days.append(end)
    paths = {end.path for end in days}
    breaks = sum(each.path in paths for each in report.altered)
    return Plan(tuple(days), _texts(folder, oldest_kept), breaks, tuple(sorted(paths & leftover)))


def carry_out(plan: Plan, folder: Path | None = None) -> None:
    """Announce what will be gone by a record of the chain, then remove it. Raises StorageError.

    Whatever ends it, what is gone was announced; the next prune removes what is left.
    """
    folder = folder or places.audit_dir()
    if not plan.files:
        return
    with _alone(folder), _told():
        writer.append(_announced(plan), folder)
        for path in plan.files:
            path.unlink(missing_ok=True)
        writer.sync_folder(folder)


def _texts(folder: Path, oldest_kept: date) -> tuple[Path, ...]:
    return tuple(path for path in log.files(folder, "content") if log.day(path) < oldest_kept)


def _announced(plan: Plan) -> dict[str, Any]:
    days = [{"name": end.path.name, **_measured(end.path), "lines": end.lines, "head": end.head} for end in plan.days]
    fields = {
        "gemx.files": days,
        "gemx.first_seq": next(_numbers(end.first_seq for end in plan.days), None),
        "gemx.last_seq": next(_numbers(end.last_seq for end in reversed(plan.days)), None),
        "gemx.head": plan.days[-1].head if plan.days else writer.GENESIS,
        "gemx.text_files": [{"name": path.name, **_measured(path)} for path in plan.texts],
        "gemx.breaks": plan.breaks,
    }
    return record.event("prune", fields, run_id=record.new_run_id(), command=COMMAND)


def _numbers(found: Iterable[int | None]) -> Generator[int]:
    return (each for each in found if each is not None)


def _measured(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {"sha256": digest, "bytes": file.tell()}


@contextlib.contextmanager
def _alone(folder: Path) -> Generator[None]:
    """One prune at a time: another would announce what this one removes."""
    path = folder / ".prune"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, places.FILE_MODE)
    try:
        locks.wait_for(descriptor, path, "another gemx logs prune")
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _told() -> Generator[None]:
    try:
        yield
    except OSError as exc:
        raise StorageError(f"the audit log cannot be pruned: {exc.filename}: {exc.strerror}") from exc
