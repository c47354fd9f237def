"""Tables of a text, CSV or Markdown, whose columns a label heads.

It knows no labels of its own, but what else says that the rows are of persons.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gemx.gateway.identifiers.digits import digits_of
from gemx.gateway.identifiers.exports import is_name, number_at
from gemx.gateway.identifiers.keys import Role, role_of
from gemx.gateway.identifiers.labels import KINDS, LABEL, VALUES
from gemx.gateway.identifiers.page import Hit, Page

_DELIMITER = re.compile(r"[|;\t,]")
_QUOTED = re.compile(r'"[^"\n]{0,200}"')
_AROUND = " \n\"'*_`"
# What else the rows of persons have.
_OF_PERSONS = frozenset(("idade", "sexo", "age", "sex", "gender", "genero", "leito"))


@dataclass(frozen=True)
class _Head:
    role: Role
    label: str = ""  # among LABELS
    written: str = ""  # `text` where it is words as in a sentence


def columns(page: Page) -> Iterator[Hit]:
    """The values below a head that is a label or a key."""
    heads: dict[int, _Head] = {}
    delimiter, width, at, bars = "", 0, 0, 0
    for line in page.cased.splitlines(keepends=True):
        cells = _split(line, delimiter) if delimiter else []
        if len(cells) > max((1, *heads)):
            # A key is also a word of a program, whose lines have any number of commas.
            known = {column: head for column, head in heads.items() if head.label or len(cells) == width}
            yield from _cells(page, at, cells, known)
        else:
            # A line below one of as many bars is a row of a table whose head says nothing: of a data dictionary, say.
            delimiter, heads, width = _heads(line) if not bars or line.count("|") != bars else ("", {}, 0)
        bars = line.count("|")
        at += len(line)


def _split(line: str, delimiter: str) -> list[str]:
    """The cells of a line; a quoted one may hold delimiters."""
    if '"' in line:
        hidden = _QUOTED.sub(lambda quoted: quoted[0].replace(delimiter, "\0"), line)
        return [cell.replace("\0", delimiter) for cell in hidden.split(delimiter)]
    return line.split(delimiter)


def _heads(line: str) -> tuple[str, dict[int, _Head], int]:
    """The columns of a line whose cells are labels or keys, and how many it has; a table has two or more."""
    found = _DELIMITER.search(line)
    if not found or len(line) > 4000:
        return "", {}, 0
    cells = [cell.strip(" \n\"'*_`.") for cell in line.split(found[0])]
    heads = {at: head for at, cell in enumerate(cells) if (head := _head(cell))}
    persons = any(head.role != "weak_name" for head in heads.values()) or any(
        cell.lower() in _OF_PERSONS for cell in cells
    )
    return (found[0], heads, len(cells)) if heads and persons else ("", {}, 0)


def _head(cell: str) -> _Head | None:
    if not cell or len(cell) > 40:
        return None
    role = role_of(cell.replace(" ", "_"))
    written = "text" if " " in cell else ""
    if role in ("name", "weak_name"):
        return _Head(role, written=written)
    label = LABEL.fullmatch(cell.lower())
    if label:
        return _Head("", label.lastgroup or "")
    return _Head(role, written=written) if role not in ("", "given") else None


def _cells(page: Page, at: int, cells: Sequence[str], heads: dict[int, _Head]) -> Iterator[Hit]:
    for column, cell in enumerate(cells):
        head = heads.get(column)
        bare = cell.strip(_AROUND)
        if head and bare:
            yield from _cell(page, at + len(cell) - len(cell.lstrip(_AROUND)), bare, head)
        at += len(cell) + 1


def _cell(page: Page, start: int, bare: str, head: _Head) -> Iterator[Hit]:
    if head.role in ("name", "weak_name"):
        if _is_name(bare, head):
            yield Hit("name", start, start + len(bare), 2.0)
    elif len(digits_of(bare)) >= 3:
        value = VALUES[head.label].match(page.lower, start, start + len(bare)) if head.label else None
        if value and value.start("value") == start:
            yield Hit(KINDS[head.label], start, value.end("value"), 4.0)
        elif hit := number_at(page, start, head.role, start + len(bare)):
            yield hit


_NAME = re.compile(r"[A-Za-z][A-Za-z'.-]{1,29}(?:(?:,? {1,2}|\^)(?:[A-Za-z'.-]{1,30}|[0-9]{1,2})){0,8}")
_CAPITALS = re.compile(r"(?:[A-Z][A-Za-z'.-]*|d[aeo]s?|e)(?:,? {1,2}(?:[A-Z][A-Za-z'.-]*|d[aeo]s?|e))*")


def _is_name(bare: str, head: _Head) -> bool:
    """Whether the cell is a name: below a key whatever its case, else of two words; below a phrase with capitals."""
    if not _NAME.fullmatch(bare) or not is_name(bare):
        return False
    return (head.role == "name" or " " in bare) and (not head.written or bool(_CAPITALS.fullmatch(bare)))
