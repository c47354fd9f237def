"""Entries of the history as text: a line of a list, and a page in Markdown or plain text. Prints nothing."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any

from gemx.sanitize import printable

if TYPE_CHECKING:
    from gemx.history import Entry, Line

_WIDTH = 80
_TIME = 11
_WHAT = 12
_MODEL = 16
_DOCUMENT_END = "</document>"


def lines(entries: Sequence[Line], zone: tzinfo | None, width: int) -> list[str]:
    """A line each: when, which run, what of, by which model, and the first words, as far as the width goes."""
    cells_of = [
        column([short(each.time, zone) for each in entries], _TIME),
        [printable(each.run_id) for each in entries],
        column([each.automation or each.command for each in entries], _WHAT),
        column([model_name(each.model) for each in entries], _MODEL),
    ]
    fields = [f"{' '.join(cells)} " for cells in zip(*cells_of, strict=True)]
    abouts = [_own_words(each.about) for each in entries]
    return [
        f"{start}{clipped(about, width - columns(start))}".rstrip() for start, about in zip(fields, abouts, strict=True)
    ]


def page(entry: Entry, zone: tzinfo | None, *, markdown: bool) -> str:
    """All that is kept of a turn, for a person to read."""
    parts = [f"# {entry.run_id}", "\n".join(f"- {name}: {value}" for name, value in _facts(entry, zone) if value)]
    texts = (("System", entry.system), ("Prompt", entry.prompt), ("Reply", _answer(entry, markdown=markdown)))
    for heading, text in texts:
        if text:
            parts += [f"## {heading}", text.strip("\n")]
    return "\n\n".join(parts) + "\n"


def column(texts: Sequence[str], most: int) -> list[str]:
    """Texts as the cells of a column: each on one line, cut after so many columns, and all as wide."""
    cells = [clipped(text, most) for text in texts]
    width = max(map(columns, cells), default=0)
    return [cell + " " * (width - columns(cell)) for cell in cells]


def model_name(name: str | None) -> str:
    """A model without its provider and folder."""
    return ((name or "-").partition(":")[2] or name or "-").rpartition("/")[2]


def clipped(text: str, width: int) -> str:
    """Text on one line, in no more columns of a terminal than that."""
    shown = " ".join(printable(text).split())
    if columns(shown) <= width:
        return shown
    while shown and columns(shown) > width - 1:
        shown = shown[: min(len(shown) - 1, max(width - 1, 0))]
    return f"{shown.rstrip()}…" if width > 0 else ""


def local(time: str, zone: tzinfo | None) -> datetime:
    """A time of the history in a time zone, the system's own where it is None."""
    return datetime.fromisoformat(time).astimezone(zone)


def short(time: str, zone: tzinfo | None) -> str:
    """The time of a line of a list; of another year than this one only its day."""
    moment = local(time, zone)
    return f"{moment:%m-%d %H:%M}" if moment.year == datetime.now(moment.tzinfo).year else f"{moment:%Y-%m-%d}"


def _own_words(prompt: str) -> str:
    """What a user wrote, without the files before it."""
    return prompt.rpartition(_DOCUMENT_END)[2].strip() or prompt


def columns(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.category(char) in ("Mn", "Me", "Cf") else 1 + (unicodedata.east_asian_width(char) in "WF")
        for char in text
    )


def _facts(entry: Entry, zone: tzinfo | None) -> Iterator[tuple[str, str | None]]:
    data: Any = entry.data
    yield "time", f"{local(entry.time, zone):%Y-%m-%d %H:%M:%S %z}"
    yield "command", entry.command
    yield "automation", " ".join(each for each in (entry.automation, entry.automation_version) if each)
    yield "model", entry.model
    yield "conversation", entry.conversation
    yield "files", ", ".join(_files(data.get("files") or (), data.get("media") or ()))
    if entry.verified is not None:
        yield "verified", "yes" if entry.verified else "no"
    if data.get("cost_usd") is not None:
        yield "cost", f"{data['cost_usd']} USD"


def _files(names: Sequence[str], media: Sequence[str]) -> list[str]:
    return [f"{name} (not kept)" if name in media else name for name in names]


def _answer(entry: Entry, *, markdown: bool) -> str:
    """The reply; of an automation, the page that it was shown as."""
    if not entry.page:
        return entry.reply
    from gemx.automation import render, view

    blocks = view.from_json(entry.page)
    return render.to_markdown(blocks) if markdown else render.to_text(blocks, _WIDTH)
