"""Rows of figures as an aligned table with small charts, as CSV, and numbers as people read them. Prints nothing."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gemx.cli.history_text import clipped, columns
from gemx.sanitize import cell

NONE = "-"
_BLOCKS = " ▏▎▍▌▋▊▉█"
_SPARKS = "▁▂▃▄▅▆▇█"
_BAR = 8
_SCALES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
# A name gives way to the figures, down to this.
_NARROWEST = 8
_LONGEST = 200

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """A column: the key of its values in a row, its heading, and how a value is written; without that, a name.

    Of a bar the value is its length. `at_least` is the key of what is missing in a value, where that is so.
    """

    key: str
    head: str
    written: Callable[[Any], str] | None = None
    is_bar: bool = False
    at_least: str | None = None


def bar_of(key: str) -> Column:
    """A column of bars, as long as the values of a key."""
    return Column(key, "", is_bar=True)


def lines(rows: Sequence[Row], shown: Sequence[Column], width: int) -> list[str]:
    """The heading and a line a row: names at the left, as wide as there is room, figures at the right."""
    cells = [_cells(rows, each) for each in shown]
    widths = [max(columns(text) for text in column) for column in cells]
    spare = width - sum(widths) - 2 * (len(widths) - 1)
    for place, each in enumerate(shown):
        if each.written is None and not each.is_bar and spare < 0:
            least = max(min(_NARROWEST, widths[place]), widths[place] + spare)
            spare += widths[place] - least
            widths[place] = least
    return [
        "  ".join(_aligned(text, each, wide) for text, each, wide in zip(line, shown, widths, strict=True)).rstrip()
        for line in zip(*cells, strict=True)
    ]


def to_csv(rows: Sequence[Row], keys: Sequence[str]) -> str:
    """Raw values under their keys; a cell that a spreadsheet would take for a formula is quoted."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(keys)
    writer.writerows([_raw(row.get(key)) for key in keys] for row in rows)
    return text.getvalue()


def sparkline(values: Sequence[float], width: int) -> str:
    """A character for each value, or for the sum of neighbours where there are more than fit."""
    step = -(-len(values) // width) or 1
    sums = [sum(values[start : start + step]) for start in range(0, len(values), step)]
    top = max(sums, default=0)
    return "".join(_SPARKS[min(7, int(value / top * 8))] if top and value else " " for value in sums)


def bar(part: float, width: int = _BAR) -> str:
    """A bar of so much of the width, in eighths of a character; the least that is anything can be seen."""
    eighths = min(width * 8, max(round(part * width * 8), 1 if part > 0 else 0))
    return ("█" * (eighths // 8) + _BLOCKS[eighths % 8]).rstrip()


def count(value: int) -> str:
    """A whole number, with a comma at the thousands."""
    return f"{value:,}"


def short(value: float) -> str:
    """A number in three digits or four: 999, 1.2 k, 34 M."""
    for size, unit in _SCALES:
        if value >= size * 0.9995:
            scaled = value / size
            return f"{scaled:.1f} {unit}" if scaled < 99.95 else f"{scaled:.0f} {unit}"
    return f"{value:.0f}"


def share(value: float | None) -> str:
    """A share in per cent."""
    if value is None:
        return NONE
    return f"{value * 100:.1f} %"


def dollars(value: float | None) -> str:
    """US dollars: cents where there are dollars, three figures where there are none."""
    if value is None:
        return NONE
    if not value or value >= 1:
        return f"{value:,.2f}"
    return f"{value:.2g}" if value >= 0.001 else f"{value:.1e}"


def seconds(value: float | None) -> str:
    """Seconds in two figures or three; minutes from a hundred on."""
    if value is None:
        return NONE
    if value >= 99.95:
        return f"{round(value) // 60} min {round(value) % 60:02}"
    if value >= 9.95:
        return f"{value:.1f} s"
    return f"{value:.2f} s" if value >= 0.00995 or not value else f"{value * 1000:.1f} ms"


def _cells(rows: Iterable[Row], column: Column) -> list[str]:
    if column.is_bar:
        values = [row[column.key] or 0 for row in rows]
        top = max(values, default=0)
        return ["", *(bar(value / top if top else 0) for value in values)]
    return [column.head, *(_text(row, column) for row in rows)]


def _text(row: Row, column: Column) -> str:
    value = row[column.key]
    if column.written is None:
        return clipped(str(value), _LONGEST)
    is_part = column.at_least and row[column.at_least] and value is not None
    return f"≥ {column.written(value)}" if is_part else column.written(value)


def _aligned(text: str, column: Column, width: int) -> str:
    text = _clipped(text, width)
    room = " " * (width - columns(text))
    return text + room if column.written is None else room + text


def _clipped(name: str, width: int) -> str:
    """A name without its middle: those of models differ at the end."""
    if columns(name) <= width:
        return name
    end = name[-(width // 2) :]
    while columns(end) > width // 2:
        end = end[1:]
    return clipped(name, width - columns(end)).removesuffix("…") + "…" + end


def _raw(value: Any) -> Any:
    return cell(value) if isinstance(value, str) else "" if value is None else value
