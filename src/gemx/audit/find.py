"""Find records of the log, newest or oldest first, by what they say; lines that are no records are counted."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from pydantic_core import from_json

from gemx.audit import log
from gemx.audit.writer import VERSION
from gemx.errors import NotFoundError

Record = Mapping[str, Any]

# What says nothing to a person who searches.
_NO_WORDS = ("v", "prev", "subject", "gemx.salt", "gemx.pid", "gemx.head", "gemx.files", "gemx.text_files")


@dataclass(frozen=True)
class Filter:
    """Which records: from a moment, before a moment, of a command, model, automation, flow or user.

    `model` is a name, with or without its provider before it. `status` is `ok`, `error` or `refused`, or the code of an
    error. `words` must all occur in what a record says, case and accents aside.
    """

    since: datetime | None = None
    until: datetime | None = None
    command: str | None = None
    model: str | None = None
    status: str | None = None
    automation: str | None = None
    flow: str | None = None
    user: str | None = None
    words: Sequence[str] = ()

    def matches(self, record: Record) -> bool:
        """Whether a record is one of these."""
        return (
            self._is_in_time(str(record["time"]))
            and all(wanted is None or record.get(name) == wanted for name, wanted in self._equal.items())
            and (self.model is None or self.model in models(record))
            and (self.status is None or self.status in _statuses(record))
            and (not self.words or _says(record, self.words))
        )

    @property
    def _equal(self) -> dict[str, str | None]:
        return {
            "command": self.command,
            "gemx.automation": self.automation,
            "gemx.flow": self.flow,
            "gemx.user": self.user,
        }

    def _is_in_time(self, time: str) -> bool:
        return (self.since is None or time >= stamp(self.since)) and (self.until is None or time < stamp(self.until))


@dataclass
class Reader:
    """Reads the day files of a folder, the log's own where none is named; `passed` counts lines that are no records."""

    folder: Path | None = None
    passed: int = field(default=0, init=False)

    def newest(self, which: Filter) -> Iterator[Record]:
        """The records from the last one back. Raises StorageError."""
        for path in reversed(self._files(which)):
            for line in log.backwards(path):
                yield from self._matching(line, which)

    def oldest(self, which: Filter) -> Iterator[Record]:
        """The records in the order in which they were written. Raises StorageError."""
        for path in self._files(which):
            for _, line in log.lines(path):
                yield from self._matching(line, which)

    def run(self, text: str) -> list[Record]:
        """The records of a run, of a beginning of its id that only one has, or of a number. Raises NotFoundError."""
        if text.isdecimal() and (found := self._numbered(text)):
            return found
        found = [each for each in self._holding(text) if str(each.get("run_id", "")).startswith(text)]
        runs = sorted({str(record.get("run_id")) for record in found}) if text else []
        if text in runs:
            return [record for record in found if record.get("run_id") == text]
        if not runs:
            raise NotFoundError(f"no run and no record {text!r} is in the log", hint="gemx logs list names the latest")
        if len(runs) > 1:
            named = ", ".join(runs[:10])
            raise NotFoundError(f"{len(runs)} runs begin with {text!r}: {named}", hint="write more of the id")
        return found

    def _numbered(self, text: str) -> list[Record]:
        return [each for each in self._holding(f'"seq":{text},') if str(each["seq"]) == text]

    def _holding(self, text: str) -> list[Record]:
        raw = text.encode("utf-8", "backslashreplace")
        return [
            record
            for path in log.files(self.folder)
            for _, line in log.lines(path)
            if raw in line and (record := parsed(line))
        ]

    def _files(self, which: Filter) -> list[Path]:
        # A record may be older than its file's day, where the clock was set back, and never newer.
        since = which.since.astimezone(UTC).date() if which.since else None
        return [path for path in log.files(self.folder) if since is None or log.day(path) >= since]

    def one(self, line: bytes) -> Record | None:
        """The record of a line; None, counted, where it is none."""
        record = parsed(line)
        self.passed += record is None
        return record

    def _matching(self, line: bytes, which: Filter) -> Iterator[Record]:
        record = self.one(line)
        if record is not None and which.matches(record):
            yield record


def parsed(line: bytes) -> Record | None:
    """The record of a line; None where it is damaged or none of this log's."""
    try:
        found = from_json(line, allow_inf_nan=False)
    except ValueError:
        return None
    if not isinstance(found, dict):
        return None
    record = cast("dict[str, Any]", found)
    is_ours = record.get("v") == VERSION and type(record.get("seq")) is int
    return record if is_ours and all(isinstance(record.get(name), str) for name in ("time", "kind")) else None


def models(record: Record) -> set[str]:
    """The names of the models that a record speaks of, with and without their providers."""
    asked, answered, route = (
        record.get(name) for name in ("gen_ai.request.model", "gen_ai.response.model", "gemx.route")
    )
    found = {str(name) for name in (asked, answered) if name}
    return found | {f"{route}:{name}" for name in found if route}


def stamp(moment: datetime) -> str:
    """A moment as records have it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _statuses(record: Record) -> set[str]:
    if record["kind"] == "refusal":
        return {"refused", str(record.get("error.type"))}
    if record["kind"] == "result":
        return {"ok" if record.get("gemx.verified") else "unverified"}
    return {str(record.get(name)) for name in ("gemx.status", "error.type")} - {"None"}


def _says(record: Record, words: Sequence[str]) -> bool:
    said = folded(" ".join(_spoken(record)))
    return all(folded(word) in said for word in words)


def _spoken(record: Record) -> Iterator[str]:
    for name, value in record.items():
        if name not in _NO_WORDS and not name.endswith(("_hmac", "_sha256")):
            yield str(value)


def folded(text: str) -> str:
    """A text for comparing: without case and accents."""
    return "".join(char for char in unicodedata.normalize("NFD", text.casefold()) if not unicodedata.combining(char))
