"""Records as CSV, a JSON array or JSON lines, as a stream of any length."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from gemx.audit import fields
from gemx.audit.find import Record
from gemx.sanitize import cell, escaped

Form = Literal["csv", "json", "jsonl"]
_OTHERS = "other"


def written(records: Iterable[Record], form: Form) -> Iterator[bytes]:
    """The bytes of a file of that form."""
    for text in {"csv": _csv, "json": _array, "jsonl": _lines}[form](records):
        yield text.encode("utf-8", "backslashreplace")


def _lines(records: Iterable[Record]) -> Iterator[str]:
    return (f"{_json(record)}\n" for record in records)


def _array(records: Iterable[Record]) -> Iterator[str]:
    first = True
    for record in records:
        yield f"{'[' if first else ','}\n{_json(record)}"
        first = False
    yield "[]\n" if first else "\n]\n"


def _csv(records: Iterable[Record]) -> Iterator[str]:
    columns = fields.columns()
    yield _row([*columns, _OTHERS])
    for record in records:
        others = {name: value for name, value in record.items() if name not in columns}
        yield _row([*(_cell(record.get(name)) for name in columns), _cell(others)])


def _row(cells: list[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(cells)
    return line.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (Mapping, list)):
        return cell(_json(value))
    return cell(value) if isinstance(value, str) else str(value)


def _json(value: Any) -> str:
    return escaped(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
