"""Cut a text into chunks that can be searched and cited: by page and heading, then paragraphs, lines and sentences.

A chunk is a stretch of the text, character by character; none reaches over a heading or a page. Knows no file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from gemx.documents import sections

# Chunks that were cut by another version stay until `rebuild`.
VERSION = 1
MOST_WORDS = 180
MOST_CHARACTERS = 1600

_BETWEEN = " › "
_MARK = re.compile(
    r"^ {0,3}(?P<fence>`{3,}|~{3,})[^\n]*\n(?s:.*?)(?:^ {0,3}(?P=fence)[ \t\r]*$|\Z)"
    r"|^(?P<level>#{1,6})[ \t]+(?P<title>.+?)[ \t\r]*$|" + sections.PAGE_MARK.pattern.replace("(", "(?P<page>", 1),
    re.MULTILINE,
)
_EXPLICIT_ID = re.compile(r"\s*\{#[\w-]+\}\s*$")
_PARAGRAPH = re.compile(r"\S(?:[^\n]|\n(?![ \t\r]*(?:\n|\Z)))*")
_LINE = re.compile(r"[^\n]+")
_SENTENCE = re.compile(r"\S.*?(?:[.!?…;:](?=\s)|\Z)", re.DOTALL)
_WORD = re.compile(r"\S+")
_PIECE = re.compile(rf"(?s).{{1,{MOST_CHARACTERS}}}")
_CUTS = (_LINE, _SENTENCE, _WORD, _PIECE)


@dataclass(frozen=True)
class Chunk:
    """A stretch of a text: `text[start:end]`. `heading` is the trail of headings above it, empty where there is none.

    `page` counts from 1, None where the text has no pages.
    """

    text: str
    start: int
    end: int
    heading: str = ""
    page: int | None = None


@dataclass(frozen=True)
class _Section:
    """What stands between two marks, and the heading itself where nothing does."""

    start: int
    end: int
    heading: str
    page: int | None


Span = tuple[int, int]


def chunks(text: str) -> list[Chunk]:
    """The chunks of a text, in its order; of at most `MOST_WORDS` and `MOST_CHARACTERS` each."""
    return [
        Chunk(text[start:end], start, end, section.heading, section.page)
        for section in _sections(text)
        for start, end in _packed(text, _paragraphs(text, section))
    ]


def _sections(text: str) -> Iterator[_Section]:
    marks = [match for match in _MARK.finditer(text) if not match["fence"]]
    ends = [*(mark.start() for mark in marks), len(text)]
    yield _Section(0, ends[0], "", None)
    trail: list[tuple[int, str]] = []
    page: int | None = None
    for number, (mark, end) in enumerate(zip(marks, ends[1:], strict=True), start=1):
        if mark["page"]:
            page = int(mark["page"])
        else:
            level = len(mark["level"])
            trail = [*(each for each in trail if each[0] < level), (level, _EXPLICIT_ID.sub("", mark["title"]))]
        bare = _is_bare(text[mark.end() : end], mark, marks[number] if number < len(marks) else None)
        span = mark.span("title") if bare else (mark.end(), end)
        yield _Section(*span, _BETWEEN.join(title for _, title in trail), page)


def _is_bare(body: str, mark: re.Match[str], following: re.Match[str] | None) -> bool:
    """Whether a heading has nothing below it, not even a smaller heading: it is then all that is said."""
    if mark["page"] or body.strip():
        return False
    return following is None or not following["level"] or len(following["level"]) <= len(mark["level"])


def _paragraphs(text: str, section: _Section) -> Iterator[Span]:
    for match in _PARAGRAPH.finditer(text, section.start, section.end):
        yield _stripped(text, match.span())


def _packed(text: str, spans: Iterable[Span], cuts: Sequence[re.Pattern[str]] = _CUTS) -> Iterator[Span]:
    """Neighbours put together as long as they fit; what does not fit by itself is cut, as gently as possible."""
    held, held_words = None, 0
    for span in spans:
        words = len(text[slice(*span)].split())
        if held is not None and held_words + words <= MOST_WORDS and span[1] - held[0] <= MOST_CHARACTERS:
            held, held_words = (held[0], span[1]), held_words + words
            continue
        if held is not None:
            yield held
        held, held_words = span, words
        if words > MOST_WORDS or span[1] - span[0] > MOST_CHARACTERS:
            held = None
            smaller = (_stripped(text, match.span()) for match in cuts[0].finditer(text, *span))
            yield from _packed(text, (each for each in smaller if each[0] < each[1]), cuts[1:])
    if held is not None:
        yield held


def _stripped(text: str, span: Span) -> Span:
    piece = text[slice(*span)]
    return span[0] + len(piece) - len(piece.lstrip()), span[1] - len(piece) + len(piece.rstrip())
