"""The items of a batch, read as a stream: a row of a CSV file, or a line of JSON, is one item.

A row that cannot be read is a row with a problem, and not lost; what is wrong with the whole file is an InputError.
Knows no flow: which inputs there are, and of which types, is for `inputs`.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Literal, TextIO, cast

from gemx import strict_json
from gemx.documents import encoding
from gemx.errors import InputError, UsageError

Kind = Literal["csv", "jsonl"]

STDIN = "-"
_KINDS: Mapping[str, Kind] = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
_DELIMITERS = (";", ",")
_MOST_CHARACTERS = 10_000_000
_BLOCK = 1 << 20
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True)
class Row:
    """One item as it was written: `line` is where it begins in the file, from 1; an empty cell of a CSV is absent."""

    line: int
    values: Mapping[str, Any]
    problem: str | None = None


@dataclass(frozen=True)
class Form:
    """How a file is written; `marked` says that it begins with a byte order mark, as Excel wants it."""

    kind: Kind
    delimiter: str = ","
    marked: bool = False


@dataclass(frozen=True)
class Items:
    """An open source of items; `rows` can be gone through once. `notes` are for the user."""

    form: Form
    rows: Iterator[Row]
    notes: tuple[str, ...] = ()


@contextmanager
def opened(name: str, stdin: BinaryIO) -> Generator[Items]:
    """The items of a file, or of `stdin` for `-`. Raises InputError, UsageError; so does going through the rows."""
    if name == STDIN:
        text = io.TextIOWrapper(stdin, "utf-8-sig", newline="")
        with _said(name):
            try:
                yield _read(text, None, marked=False)
            finally:
                # It is not this one's to close.
                text.detach()
        return
    path = Path(name)
    kind = _KINDS.get(path.suffix.lower())
    if kind is None:
        raise UsageError(
            f"no form of items goes with the suffix {path.suffix!r}", hint="use .csv, .jsonl, or - (stdin)"
        )
    with _said(name):
        codec, notes = _codec(path)
        with path.open(encoding=codec, newline="") as file:
            found = _read(file, kind, marked=codec not in ("utf-8", "cp1252"))
            yield Items(found.form, found.rows, notes)


@contextmanager
def _said(name: str) -> Generator[None]:
    shown = "standard input" if name == STDIN else name
    try:
        yield
    except UnicodeDecodeError as exc:
        raise InputError(f"{shown}: not text in UTF-8", hint="iconv -f cp1252 -t utf-8 FILE > NEW") from exc
    except FileNotFoundError as exc:
        if exc.filename is None or str(exc.filename) != name:
            raise
        raise InputError(f"no file {name}") from exc
    except (IsADirectoryError, PermissionError) as exc:
        raise InputError(f"{shown} cannot be read: {exc.strerror}") from exc


def _codec(path: Path) -> tuple[str, tuple[str, ...]]:
    """The encoding of a file, all of it looked at, and a note where that was to be guessed."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        start = file.read(len(codecs.BOM_UTF8))
        if start[:2] in _UTF16:
            return "utf-16", ()
        try:
            decoder.decode(start)
            while block := file.read(_BLOCK):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            notes = encoding.decode(path.read_bytes(), str(path))[1]
            return "cp1252", tuple(f"{path} {note}" for note in notes)
    return ("utf-8-sig" if start == codecs.BOM_UTF8 else "utf-8"), ()


def _read(file: TextIO, kind: Kind | None, *, marked: bool) -> Items:
    first, lines = _begun(file)
    if not first:
        raise InputError("there are no items: the file is empty", hint="a CSV file needs a header and a row")
    if (kind or ("jsonl" if first.lstrip().startswith("{") else "csv")) == "jsonl":
        return Items(Form("jsonl", marked=marked), _json_rows(lines))
    delimiter = _delimiter(first)
    return Items(Form("csv", delimiter, marked), _csv_rows(lines, delimiter))


def _begun(file: TextIO) -> tuple[str, Iterator[str]]:
    """The first line that says something, and all lines."""
    skipped: list[str] = []
    for line in file:
        skipped.append(line)
        if line.strip():
            return line, chain(skipped, file)
    return "", iter(())


def _json_rows(lines: Iterable[str]) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield _json_row(number, line)


def _json_row(number: int, line: str) -> Row:
    try:
        value = strict_json.loads(line) if len(line) <= _MOST_CHARACTERS else None
    except ValueError as exc:
        return Row(number, {}, f"não é JSON: {exc}")
    if not isinstance(value, dict):
        return Row(number, {}, 'era esperado um objeto JSON, como {"idade": 64}, numa linha')
    return Row(number, cast("dict[str, Any]", value))


def _delimiter(header: str) -> str:
    """The sign that stands more often between the names of a header."""
    outside = "".join(header.split('"')[::2])
    return max(_DELIMITERS, key=outside.count) if any(sign in outside for sign in _DELIMITERS) else ","


def _csv_rows(lines: Iterable[str], delimiter: str) -> Iterator[Row]:
    csv.field_size_limit(_MOST_CHARACTERS)
    taken: list[str] = []
    reader = csv.reader(_noted(lines, taken), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    width = 0
    while True:
        taken.clear()
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as exc:
            if header is None or "unexpected end" in str(exc):
                raise _broken(line, exc) from exc
            yield Row(line, {}, f"não é uma linha de CSV: {_NAMES.get(str(exc), str(exc))}{_joined(line, taken)}")
            continue
        if cells is None:
            return
        if not any(cell.strip() for cell in cells):
            continue
        if header is None:
            header, width = _header(cells, line), len(cells)
        else:
            _drop_empty(cells, len(header), width if delimiter == "," else len(cells))
            problem = _problem(header, cells, taken, delimiter)
            yield Row(line, {}, problem + _joined(line, taken)) if problem else _csv_row(line, header, cells)


def _noted(lines: Iterable[str], taken: list[str]) -> Iterator[str]:
    for line in lines:
        taken.append(line)
        yield line


def _joined(line: int, taken: Sequence[str]) -> str:
    """What tells of lines that became one row: nobody else says that those after the first are in it."""
    last = line + len(taken) - 1
    return f"; as linhas {line} a {last} foram lidas como uma só, por aspas que abrem e não fecham" if taken[1:] else ""


_NAMES = {
    "',' expected after '\"'": "texto depois de aspas fechadas",
    "';' expected after '\"'": "texto depois de aspas fechadas",
    f"field larger than field limit ({_MOST_CHARACTERS})": "uma célula é grande demais",
}


def _broken(line: int, exc: csv.Error) -> InputError:
    if "unexpected end" in str(exc):
        return InputError(
            f'the quotes (") that open in the row of line {line} never close', hint="close or remove them"
        )
    return InputError(f"line {line} is no header of a CSV file: {exc}")


def _header(cells: Sequence[str], line: int) -> list[str]:
    names = [cell.strip() for cell in cells]
    while names and not names[-1]:
        names.pop()
    if not all(names):
        raise InputError(f"the header in line {line} has a column without a name", hint="name or remove the column")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"the header in line {line} has {', '.join(map(repr, twice))} twice")
    return names


def _drop_empty(cells: list[str], columns: int, most: int) -> None:
    """Drop empty cells behind the last column, of a row of so many cells at most.

    Between commas, one more than the header has may come of a decimal comma: 4,6 would be 4, and the next column 6.
    """
    while columns < len(cells) <= most and not cells[-1].strip():
        cells.pop()


def _problem(header: Sequence[str], cells: Sequence[str], taken: Sequence[str], delimiter: str) -> str | None:
    if len(cells) != len(header):
        return f"tem {len(cells)} colunas, e o cabeçalho {len(header)}: confira aspas e separadores ({delimiter})"
    return "uma célula contém linhas inteiras" if _are_rows(taken, len(header), delimiter) else None


def _are_rows(taken: Sequence[str], columns: int, delimiter: str) -> bool:
    """Whether each of several lines has the form of a row: two stray quotes, and the rows between them were a cell.

    In prose a comma has a space behind it.
    """
    return (
        len(taken) > 1
        and columns > 2
        and all(each.count(delimiter) == columns - 1 and f"{delimiter} " not in each for each in taken)
    )


def _csv_row(line: int, header: Sequence[str], cells: Sequence[str]) -> Row:
    return Row(line, {name: cell.strip() for name, cell in zip(header, cells, strict=True) if cell.strip()})
