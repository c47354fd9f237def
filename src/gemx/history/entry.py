"""One run as a value, and as a row: JSON in which a decimal keeps its digits."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, cast

from gemx.errors import StorageError


def timestamp(moment: datetime) -> str:
    """A moment as the history has it, in UTC."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _now() -> str:
    return timestamp(datetime.now(UTC))


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One run. `time` is UTC, as 2026-11-20T11:22:33.123Z; `subject` is a keyed hash, never the subject itself.

    `conversation` is the run_id of the first turn of the conversation that it belongs to, None where it is none.
    `model` is None where an answer came from elsewhere, `verified` where nothing was there to verify.
    `data` is what --json shows of the run, and `page` the blocks from which its note is printed again. Their decimals
    come back as Decimal, digit by digit; tuples come back as lists.
    """

    run_id: str
    time: str = field(default_factory=_now)
    command: str
    conversation: str | None = None
    subject: str | None = None
    automation: str | None = None
    automation_version: str | None = None
    model: str | None = None
    verified: bool | None = None
    prompt: str | None = None
    system: str | None = None
    reply: str
    data: Mapping[str, Any]
    page: Sequence[Any] = ()


def to_row(entry: Entry) -> dict[str, Any]:
    """An entry as the values of its row."""
    return {name: _stored(value) for name, value in vars(entry).items()}


def from_row(row: Mapping[str, Any]) -> Entry:
    """An entry from its row. Raises StorageError where the row is damaged."""
    try:
        # Not strict_json: a number that was computed may be longer than one that a person or a model writes.
        read = {name: json.loads(row[name], parse_float=Decimal) for name in ("data", "page")}
    except ValueError as exc:
        raise StorageError(f"the history's entry {row['run_id']} is damaged: {exc}") from exc
    verified = None if row["verified"] is None else bool(row["verified"])
    values: dict[str, Any] = {**row, **read, "verified": verified}
    del values["id"]
    return Entry(**values)


def stored_text(text: str) -> str:
    """Text as it can be stored: a byte of an argument that is not UTF-8 stays as its escape."""
    return text.encode("utf-8", "backslashreplace").decode()


def _stored(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    return stored_text(value if isinstance(value, str) else to_json(value))


def to_json(value: Any) -> str:
    """JSON text in which a Decimal is a number, digit by digit."""
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError(f"{value} is not a JSON number")
        return str(value)
    if isinstance(value, Mapping):
        items = cast("Mapping[str, Any]", value).items()
        return "{" + ",".join(f"{json.dumps(key, ensure_ascii=False)}:{to_json(item)}" for key, item in items) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(to_json(item) for item in cast("Sequence[Any]", value)) + "]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
