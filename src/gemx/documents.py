"""Turn files and standard input into the parts of a prompt and into passages that can be cited.

Knows nothing of models; what cannot be read as text (images, audio, PDF) is carried as bytes with a media type.
"""

from __future__ import annotations

import mimetypes
import re
import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from gemx.errors import InputError

_MAX_BYTES = 20_000_000
_HEADING = re.compile(r"^(#{1,6})[ \t]+(.+?)[ \t\r]*$", re.MULTILINE)
_EXPLICIT_ID = re.compile(r"\s*\{#([\w-]+)\}\s*$")
_REFERENCE = re.compile(r"^Fonte:[ \t]*(.+(?:\n(?!\s*$).+)*)", re.MULTILINE)
_MEDIA_TYPES = ("image/", "audio/", "application/pdf")


@dataclass(frozen=True)
class Text:
    """Text of a prompt; `name` is the file that it came from, if any, whose own text begins after `lead` lines."""

    text: str
    name: str | None = None
    lead: int = 0


@dataclass(frozen=True)
class Media:
    """An image, a PDF or a sound, as bytes."""

    data: bytes
    mime_type: str
    name: str | None = None


Part = Text | Media


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


def read_file(path: Path) -> Part:
    """A file as text where it is text, else as media. Raises InputError on what is neither."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as exc:
        raise InputError(f"cannot read {path}: {exc.strerror}") from exc
    if len(data) > _MAX_BYTES:
        raise InputError(f"{path} is larger than {_MAX_BYTES // 1_000_000} MB")
    mime_type = mimetypes.guess_type(path.name)[0] or ""
    if mime_type.startswith(_MEDIA_TYPES):
        return Media(data, mime_type, path.name)
    return Text(_decode(data, str(path)), path.name)


def read_stdin() -> str:
    """Standard input to its end, as text. Raises InputError where it is not UTF-8."""
    # A process that was started with its standard input closed has none.
    stdin: TextIO | None = sys.stdin
    data = stdin.buffer.read(_MAX_BYTES + 1) if stdin is not None else b""
    if len(data) > _MAX_BYTES:
        raise InputError(f"standard input is larger than {_MAX_BYTES // 1_000_000} MB")
    return _decode(data, "standard input")


def passages(text: str, stem: str, source: str) -> list[Passage]:
    """The sections of a Markdown text, one a heading, or its paragraphs where it has none; empty ones are left out.

    A section's id is `<stem>#<explicit {#id} or the heading's slug>`; a paragraph's, also before the first heading,
    `<stem>#<number>`. An id that stands twice is returned twice.
    """
    headings = list(_HEADING.finditer(text))
    ends = [heading.start() for heading in headings] + [len(text)]
    sections = (_section(text, heading, end, stem, source) for heading, end in zip(headings, ends[1:], strict=True))
    return [*_paragraphs(text[: ends[0]], stem, source), *(section for section in sections if section.text)]


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


def _decode(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        hint = "give a text file in UTF-8, an image, a PDF or a sound"
        place = exc.start + 1 + len(data) - len(exc.object)  # the codec counts from after a byte order mark
        raise InputError(f"{name}: byte {place} is not UTF-8 text", hint=hint) from exc
