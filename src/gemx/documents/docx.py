"""A DOCX as Markdown, by mammoth and `html`: headings, lists, tables, notes; runs in the process of `extraction`.

Only what Word shows is read: hidden text is left out, and of tracked changes the inserted text is read and the deleted
is not. Headers and footers are read once; comments and pictures are left out. What was left out is told.
Knows not where the document comes from.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any
from zipfile import BadZipFile, ZipFile

from gemx.documents import docx_shown, html
from gemx.documents.docx_shown import Element, Shown, W
from gemx.documents.extraction import Extract, RefusedError
from gemx.sanitize import printable

_MOST_BYTES = 60_000_000  # unpacked, of what is text; pictures are not unpacked
_MOST_FILES = 5000
_DOCUMENT = "word/document.xml"
_OTHERS = (
    ("xl/", "an Excel workbook", "export the sheet as CSV"),
    ("ppt/", "a PowerPoint presentation", "save it as PDF"),
    ("content.xml", "an OpenDocument file", "save it as DOCX or PDF"),
)


def read(data: bytes) -> Extract:
    """The document as Markdown. Raises RefusedError on what is another kind of archive, or too large unpacked."""
    try:
        archive = ZipFile(io.BytesIO(data))
    except BadZipFile:
        raise RefusedError("is damaged: it is cut, or no DOCX at all", "open it in Word and save it anew") from None
    with archive:
        _check(archive)
        shown = docx_shown.shown(archive)
        body = html.to_markdown(_html(shown.archive(archive, data)))
        parts = [*_margin(shown, "header", "cabeçalho"), body.strip(), *_margin(shown, "footer", "rodapé")]
        text = "\n\n".join(printable(part) for part in parts if part)
        if not text:
            raise RefusedError("has no text", "save it as PDF, which is sent with its pictures")
        return Extract(f"{text}\n", tuple(_left_out(archive, shown)))


def _check(archive: ZipFile) -> None:
    files = archive.infolist()
    names = [file.filename for file in files]
    if _DOCUMENT not in names:
        found = next((each for each in _OTHERS if any(name.startswith(each[0]) for name in names)), None)
        _, what, hint = found or ("", "a ZIP archive", "unpack it, and give the files one by one")
        raise RefusedError(f"is {what}, which cannot be read", hint)
    texts = [file for file in files if file.filename.endswith((".xml", ".rels"))]
    if len(files) > _MOST_FILES or sum(file.file_size for file in texts) > _MOST_BYTES:
        raise RefusedError(f"is larger than {_MOST_BYTES // 1_000_000} MB when unpacked", "save it as PDF, or in parts")


def _html(data: bytes) -> str:
    # Untyped. A style map within the file could hide text, and a linked picture could name any file of this machine.
    import mammoth  # pyright: ignore[reportMissingTypeStubs]

    library: Any = mammoth

    def picture(_: Any) -> dict[str, str]:
        return {}

    return library.convert_to_html(
        io.BytesIO(data),
        include_embedded_style_map=False,
        external_file_access=False,
        convert_image=library.images.img_element(picture),
        style_map="p[style-name='Title'] => h1:fresh\np[style-name='Subtitle'] => p:fresh",
    ).value


def _margin(shown: Shown, kind: str, title: str) -> Iterator[str]:
    """The text of headers or footers, each line once: in a hospital's form it may be the only place of an allergy."""
    names = sorted(name for name in shown.parts if re.fullmatch(rf"word/{kind}\d*\.xml", name))
    lines = [line for name in names for line in _lines(shown.parts[name])]
    if lines:
        yield "\n".join([f"[{title}]", *dict.fromkeys(lines)])


def _lines(root: Element) -> Iterator[str]:
    for paragraph in root.iter(f"{W}p"):
        words = (_word(element) for element in paragraph.iter())
        if line := " ".join("".join(words).split()):
            yield line


def _word(element: Element) -> str:
    if element.tag == f"{W}t":
        return element.text or ""
    return " " if element.tag in (f"{W}tab", f"{W}br") else ""


def _left_out(archive: ZipFile, shown: Shown) -> Iterator[str]:
    names = archive.namelist()
    comments = archive.read("word/comments.xml").count(b"<w:comment ") if "word/comments.xml" in names else 0
    pictures = sum(name.startswith("word/media/") for name in names)
    counted = [f"{count} {what}{'s' if count > 1 else ''}" for count, what in _counts(comments, pictures) if count]
    if counted:
        yield f"{' and '.join(counted)} left out"
    if shown.hidden:
        yield "it has hidden text, which is left out"
    if shown.tracked:
        yield "it has tracked changes: insertions are read, deletions are left out"


def _counts(comments: int, pictures: int) -> tuple[tuple[int, str], ...]:
    return (comments, "comment"), (pictures, "picture")
