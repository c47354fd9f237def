"""Days of a log for tests, written by the writer on clocks of their own."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gemx import places
from gemx.audit import prune, writer


def set_clock(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Set the clock of writer and prune to a moment."""
    at = datetime.fromisoformat(text).replace(tzinfo=UTC)

    class Fixed(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return at

    for module in (writer, prune):
        monkeypatch.setattr(module, "datetime", Fixed)


def write_days(monkeypatch: pytest.MonkeyPatch, days: tuple[str, ...], each: int = 4, **record: Any) -> list[Path]:
    """So many records on each day, the clock then standing on the last."""
    for day in days:
        set_clock(monkeypatch, f"{day}T10:00:00")
        for number in range(each):
            writer.append({"kind": "attempt", "run_id": f"r-{day}-{number}", "command": "gen", "n": number, **record})
    return [path_of(day) for day in days]


def path_of(day: str) -> Path:
    return places.audit_dir() / f"audit-{day}.jsonl"


def edit(path: Path, line: int, change: Callable[[bytes], bytes]) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    lines[line - 1] = change(lines[line - 1])
    path.write_bytes(b"".join(lines))


def rewrite_from(path: Path, line: int, changes: Mapping[str, Any]) -> None:
    """Change a record, and write the chain of this file and those after it anew, as somebody would who can."""
    import hashlib

    files = [each for each in sorted(path.parent.glob("audit-*.jsonl")) if each >= path]
    previous = ""
    for file in files:
        written = []
        for number, raw in enumerate(file.read_bytes().splitlines(), start=1):
            record = json.loads(raw)
            if file == path and number == line:
                record |= changes
            if previous and (file > path or number > line):
                record["prev"] = previous
            text = json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()
            previous = hashlib.sha256(text).hexdigest()
            written.append(text + b"\n")
        file.write_bytes(b"".join(written))
