"""Read the figures of the audit log: a day file that will not change is added up once, and its sums are kept.

What is kept lies in the cache, one file a day file, and is made again where it is damaged, old, or of a file that is
another one. A cache that cannot be written costs time alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import threading
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import Path

import msgspec

from gemx import places
from gemx.audit import log
from gemx.audit.figures import By, Cell, Figures, Group
from gemx.audit.tally import Tally, tally
from gemx.errors import StorageError

# Of the form of what is kept, and of how it is counted.
VERSION = 1
_SUFFIX = ".msgpack"
# From so many bytes on a second process pays for itself.
_MUCH = 64 * 1024 * 1024


class _Rollup(msgspec.Struct, array_like=True):
    """The sums of a day file, and what it was when they were made."""

    version: int
    made_of: tuple[int, int, str, str]
    cells: list[tuple[str, Group, Cell]]
    lines: int
    passed_over: int
    others: int


_decode = msgspec.msgpack.Decoder(_Rollup).decode


@dataclass(frozen=True)
class _Reading:
    """What is asked of every file, and where what is kept of it lies."""

    by: By
    zone: tzinfo | None
    cache: Path

    def kept(self, path: Path) -> Tally | None:
        """What is kept of a file, if it is still the same."""
        try:
            found = _decode(self._place(path).read_bytes())
            if found.version != VERSION or found.made_of != self._made_of(path):
                return None
        except (OSError, msgspec.MsgspecError, StopIteration):
            return None
        return Tally(found.cells, found.lines, found.passed_over, found.others)

    def make(self, path: Path) -> Tally:
        """Add a sealed file up, and keep its sums where that can be done. Raises StorageError."""
        # What is added to it meanwhile must not be taken for what was read.
        made_of = self._made_of(path)
        sums = tally(path, self.by, self.zone)
        rollup = _Rollup(VERSION, made_of, sums.cells, sums.lines, sums.passed_over, sums.others)
        with contextlib.suppress(StorageError, OverflowError):
            places.write_private(
                places.ensure_private_dir(self.cache) / self._place(path).name, msgspec.msgpack.encode(rollup)
            )
        return sums

    def read(self, path: Path) -> Tally:
        """The sums of a sealed file."""
        return self.kept(path) or self.make(path)

    def forget(self, files: Sequence[Path]) -> None:
        """Remove what is kept of files that are gone, as pruned ones are."""
        names = {path.stem for path in files}
        for path in self.cache.glob(f"*{_SUFFIX}"):
            if path.name.partition(".")[0] not in names:
                with contextlib.suppress(OSError):
                    path.unlink()

    def _place(self, path: Path) -> Path:
        return self.cache / f"{path.stem}.{self.by}{_SUFFIX}"

    def _made_of(self, path: Path) -> tuple[int, int, str, str]:
        found = _stat(path)
        last = next(log.backwards(path), b"")
        # The days of a zone are of no use to another one.
        zone = "" if self.by == "hour" else _zone_name(self.zone)
        return found.st_size, found.st_mtime_ns, hashlib.sha256(last).hexdigest(), zone


def read(by: By, zone: tzinfo | None, since: date | None = None) -> Figures:
    """The figures of the log, from the files of a day on: none before it holds a later record. Raises StorageError.

    `zone` is that of the days, None being the system's. What is before `since` is in there as well, as it comes.
    """
    every = log.files()
    files = [path for path in every if since is None or log.day(path) >= _day_before(since)]
    today = datetime.now(UTC).date()
    sealed = [path for path in files[:-1] if log.day(path) < today]
    reading = _Reading(by, zone, places.cache_dir() / "audit")
    reading.forget(every)
    kept = {path: reading.kept(path) for path in sealed}
    with _second(reading, [path for path, found in kept.items() if found is None]):
        sums = [found or reading.read(path) for path, found in kept.items()]
    sums += [tally(path, by, zone) for path in files[len(sealed) :]]
    return _added(sums)


def _added(sums: Sequence[Tally]) -> Figures:
    """The figures of all files; a slot that lies in two of them, as a local day does, once."""
    cells: dict[tuple[str, Group], Cell] = {}
    for slot, group, cell in (row for each in sums for row in each.cells):
        if (slot, group) in cells:
            cells[slot, group].add(cell)
        else:
            cells[slot, group] = cell
    return Figures(
        cells,
        len(sums),
        sum(each.lines for each in sums),
        sum(each.passed_over for each in sums),
        sum(each.others for each in sums),
    )


@contextlib.contextmanager
def _second(reading: _Reading, missing: Sequence[Path]) -> Generator[None]:
    """Where much is to be added up, a second process does so from the other end: it only fills the cache."""
    pid = os.fork() if _pays(missing) and _is_writable(reading.cache) else None
    if pid == 0:
        _fill(reading, missing[::-1])
    try:
        yield
    finally:
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def _pays(files: Sequence[Path]) -> bool:
    # Threads do not survive a fork, and may hold a lock.
    alone = threading.active_count() == 1
    enough = len(files) > 1 and sum(_stat(path).st_size for path in files) >= _MUCH
    return alone and enough and (os.cpu_count() or 1) > 1


def _fill(reading: _Reading, files: Sequence[Path]) -> None:
    """What the second process does, to its end; its fate is no matter."""
    try:
        for path in files:
            reading.read(path)
    except BaseException:
        os._exit(1)
    os._exit(0)


def _stat(path: Path) -> os.stat_result:
    """Of a day file, which a prune may have removed since it was listed. Raises StorageError."""
    try:
        return path.stat()
    except OSError as exc:
        raise StorageError(f"the audit log cannot be read: {path}: {exc.strerror}") from exc


def _is_writable(folder: Path) -> bool:
    try:
        return os.access(places.ensure_private_dir(folder), os.W_OK)
    except StorageError:
        return False


def _zone_name(zone: tzinfo | None) -> str:
    """What days depend on: the zone's name, or where it is the system's, what that is now."""
    import time

    return f"system {time.tzname} {time.timezone} {time.altzone}" if zone is None else str(zone)


def _day_before(day: date) -> date:
    return day - timedelta(days=1) if day > date.min else day
