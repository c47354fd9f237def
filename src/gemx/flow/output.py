"""What came of every line, as JSON lines or CSV, in the order of the items; written from the ledger as a stream."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gemx import places
from gemx.errors import UsageError
from gemx.flow.items import Form
from gemx.flow.ledger import Outcome
from gemx.flow.plan import Plan
from gemx.flow.values import to_json, written
from gemx.sanitize import escaped, printable

_MARK = "\ufeff"
_FORMULA = ("=", "+", "-", "@")


@dataclass(frozen=True)
class Sheet:
    """How outcomes are written: the form of the file, and the flow's outputs, which are columns of a CSV."""

    form: Form
    outputs: Sequence[str]
    run_id: str


def form_of(path: Path, items: Form) -> Form:
    """The form of an output file, by its suffix; a CSV is written as that of the items was. Raises UsageError."""
    match path.suffix.lower():
        case ".jsonl" | ".ndjson":
            return Form("jsonl")
        case ".csv":
            return items if items.kind == "csv" else Form("csv")
        case suffix:
            raise UsageError(f"no form goes with the suffix {suffix!r} of --out", hint="use .jsonl or .csv")


def sheet_of(plan: Plan, run_id: str, out: str | None) -> Sheet:
    """How the rows of a plan are written to a file, or to stdout where there is none. Raises UsageError."""
    form = Form("csv", plan.delimiter, plan.marked) if plan.csv else Form("jsonl")
    return Sheet(form_of(Path(out), form) if out else Form("jsonl"), plan.outputs, run_id)


def write(path: Path, outcomes: Iterable[Outcome], sheet: Sheet) -> None:
    """Write a file that only the user can read, whole or not at all; a link leads on. Raises StorageError."""
    places.write_private(path.resolve(), file(outcomes, sheet))


def file(outcomes: Iterable[Outcome], sheet: Sheet) -> Iterator[bytes]:
    """The bytes of the file, in pieces."""
    yield (_MARK if sheet.form.kind == "csv" and sheet.form.marked else "").encode()
    yield from (line.encode("utf-8", "backslashreplace") for line in rendered(outcomes, sheet))


def rendered(outcomes: Iterable[Outcome], sheet: Sheet) -> Iterator[str]:
    """The lines of the file, each with its end."""
    return _csv(outcomes, sheet) if sheet.form.kind == "csv" else _json_lines(outcomes, sheet.run_id)


def _json_lines(outcomes: Iterable[Outcome], run_id: str) -> Iterator[str]:
    import json

    for outcome in outcomes:
        failure = outcome.failure
        row = {
            "line": outcome.line,
            "id": outcome.id,
            "status": outcome.status,
            "outputs": outcome.outputs,
            "error": {"code": failure.code, "message": failure.message} if failure else None,
            "run_id": run_id,
        }
        yield escaped(json.dumps(row, ensure_ascii=False)) + "\n"


def _csv(outcomes: Iterable[Outcome], sheet: Sheet) -> Iterator[str]:
    names = [f"outputs.{name}" for name in sheet.outputs]
    yield _csv_line(["line", "id", "status", *names, "error.code", "error.message", "run_id"], sheet.form.delimiter)
    for outcome in outcomes:
        failure, outputs = outcome.failure, outcome.outputs or {}
        told = [failure.code, failure.message] if failure else [None, None]
        values = [outputs.get(name) for name in sheet.outputs]
        row = [outcome.line, outcome.id, outcome.status, *values, *told, sheet.run_id]
        yield _csv_line([_cell(value) for value in row], sheet.form.delimiter)


def _csv_line(cells: Sequence[str], delimiter: str) -> str:
    line = io.StringIO()
    csv.writer(line, delimiter=delimiter, lineterminator="\r\n").writerow(cells)
    return line.getvalue()


def _cell(value: Any) -> str:
    """A value as the text of a cell; one that a spreadsheet would take for a formula is quoted."""
    text = printable(to_json(value) if isinstance(value, (Mapping, list)) else written(value))
    return f"'{text}" if isinstance(value, str) and text.lstrip().startswith(_FORMULA) else text
