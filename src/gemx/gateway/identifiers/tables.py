"""Tables of a text, CSV or Markdown, whose columns a label heads.

It knows no labels of its own but those of a name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from gemx.gateway.identifiers.digits import digits_of
from gemx.gateway.identifiers.labels import KINDS, LABEL, VALUES
from gemx.gateway.identifiers.page import Hit, Page

_DELIMITER = re.compile(r"[|;\t,]")


def columns(page: Page) -> Iterator[Hit]:
    """The values below a head that is a label."""
    heads: dict[int, str] = {}
    delimiter, at = "", 0
    for line in page.lower.splitlines(keepends=True):
        if delimiter and line.count(delimiter) >= max(heads):
            yield from _cells(page.lower, at, line.split(delimiter), heads)
        else:
            delimiter, heads = _heads(line)
        at += len(line)


def _heads(line: str) -> tuple[str, dict[int, str]]:
    """The columns of a line whose cells are labels; a table has two columns or more."""
    found = _DELIMITER.search(line)
    if not found or len(line) > 2000:
        return "", {}
    cells = [cell.strip(" \n\"'*_`.") for cell in line.split(found[0])]
    heads = {at: match.lastgroup or "" for at, cell in enumerate(cells) if (match := LABEL.fullmatch(cell))}
    if heads:
        heads |= {at: "name" for at, cell in enumerate(cells) if cell in ("nome", "paciente", "nome completo")}
    return (found[0], heads) if heads else ("", {})


def _cells(text: str, at: int, cells: Sequence[str], heads: dict[int, str]) -> Iterator[Hit]:
    for column, cell in enumerate(cells):
        name = heads.get(column)
        start = at + len(cell) - len(cell.lstrip(" \"'*_`"))
        bare = cell.strip(" \n\"'*_`")
        if name == "name" and re.fullmatch(r"[a-z'.-]{2,30}(?: {1,2}[a-z'.-]{1,30}){1,7}", bare):
            yield Hit("name", start, start + len(bare), 2.0)
        elif name and name != "name" and len(digits_of(bare)) >= 3:
            value = VALUES[name].match(text, start)
            if value and value.start("value") == start:
                yield Hit(KINDS[name], start, value.end("value"), 4.0)
        at += len(cell) + 1
