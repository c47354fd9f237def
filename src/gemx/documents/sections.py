"""Cut a text into passages that can be cited: by page, by heading or by paragraph. Knows no file."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

_HEADING = re.compile(r"^(#{1,6})[ \t]+(.+?)[ \t\r]*$", re.MULTILINE)
_EXPLICIT_ID = re.compile(r"\s*\{#([\w-]+)\}\s*$")
_REFERENCE = re.compile(r"^Fonte:[ \t]*(.+(?:\n(?!\s*$).+)*)", re.MULTILINE)
PAGE_MARK = re.compile(r"^\[página (\d+)(?: sem texto)?\]\r?$", re.MULTILINE)


@dataclass(frozen=True)
class Passage:
    """A stretch of a document that can be cited by `id`.

    `start` and `end` are character offsets of the section in the document. `reference` is what its `Fonte:` line says.
    """

    id: str
    text: str
    heading: str
    source: str
    start: int
    end: int
    reference: str | None = None


def page_mark(number: int, *, readable: bool = True) -> str:
    """The line before a page's text."""
    return f"[página {number}]" if readable else f"[página {number} sem texto]"


def passages(text: str, stem: str, source: str) -> list[Passage]:
    """The sections of a text; empty ones are left out.

    They are its pages where `page_mark` parts them, else its sections in Markdown, one a heading, else its paragraphs.
    A page's id is `<stem>#pagina-<number>`, a section's `<stem>#<explicit {#id} or the heading's slug>`, a paragraph's,
    also before the first heading or page, `<stem>#<number>`. An id that stands twice is returned twice.
    """
    pages = list(PAGE_MARK.finditer(text))
    marks = pages or list(_HEADING.finditer(text))
    ends = [mark.start() for mark in marks] + [len(text)]
    cut = _page if pages else _section
    sections = (cut(text, mark, end, stem, source) for mark, end in zip(marks, ends[1:], strict=True))
    return [*_paragraphs(text[: ends[0]], stem, source), *(section for section in sections if section.text)]


def _page(text: str, mark: re.Match[str], end: int, stem: str, source: str) -> Passage:
    body = text[mark.end() : end].strip()
    return Passage(f"{stem}#pagina-{mark[1]}", body, f"página {mark[1]}", source, mark.start(), end)


def _section(text: str, heading: re.Match[str], end: int, stem: str, source: str) -> Passage:
    title = heading[2]
    explicit = _EXPLICIT_ID.search(title)
    name = explicit[1] if explicit else _slug(title)
    body = text[heading.end() : end]
    reference = _REFERENCE.search(body)
    return Passage(
        id=f"{stem}#{name}",
        text=_REFERENCE.sub("", body).strip(),
        heading=_EXPLICIT_ID.sub("", title),
        source=source,
        start=heading.start(),
        end=end,
        reference=" ".join(reference[1].split()) if reference else None,
    )


def _paragraphs(text: str, stem: str, source: str) -> Iterator[Passage]:
    for number, match in enumerate(re.finditer(r"\S(?:.|\n(?![ \t\r]*\n))*", text), start=1):
        yield Passage(f"{stem}#{number}", match[0].strip(), "", source, match.start(), match.end())


def _slug(title: str) -> str:
    plain = unicodedata.normalize("NFKD", title.casefold())
    return re.sub(r"[^a-z0-9]+", "-", plain.encode("ascii", "ignore").decode()).strip("-")
