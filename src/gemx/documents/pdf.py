"""The text layer of a PDF by pages, by pypdf; runs in the process of `extraction`.

Pictures, annotations and the layout of tables are not read. Knows not where the document comes from.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from gemx.documents.extraction import Extract, RefusedError
from gemx.documents.sections import PAGE_MARK, page_mark
from gemx.sanitize import printable

if TYPE_CHECKING:
    from pypdf import PageObject, PdfReader

MOST_PAGES = 1000
_FEWEST_LETTERS = 15  # of a page that has text: a scan may carry a stamp or a page number
_SMALLEST = 150  # pixels; below, it is a logo or a line
# Not all of NFKC, which would make 109 of 10⁹.
_LIGATURES = str.maketrans({"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl"})


def read(data: bytes) -> Extract:
    """The pages that have text, with marks between them, where they are at least half; else no text.

    Raises RefusedError on a password and on too many pages.
    """
    from pypdf import PdfReader

    logging.disable()
    reader = PdfReader(io.BytesIO(data))
    _open(reader)
    if not reader.pages:
        raise RefusedError("has no pages: it is damaged", "open it and save it anew")
    if len(reader.pages) > MOST_PAGES:
        hint = f"give at most {MOST_PAGES} pages at once"
        raise RefusedError(f"has {len(reader.pages)} pages: too many", hint)
    texts = [_text(page) for page in reader.pages]
    unread = [number for number, text in enumerate(texts, start=1) if not _is_text(text)]
    if len(unread) * 2 > len(texts):
        return Extract(None, (f"{_scanned(unread, len(texts))}: sent as a PDF, which only some models read",))
    pages = [
        page_mark(number, readable=number not in unread) + (f"\n{text}" if number not in unread else "")
        for number, text in enumerate(texts, start=1)
    ]
    fields = _fields(reader)
    return Extract("\n\n".join([*pages, *fields]) + "\n", tuple(_left_out(reader, unread)))


def _open(reader: PdfReader) -> None:
    if not reader.is_encrypted:
        return
    # Many are encrypted against changes alone, and open with no password.
    if not reader.decrypt(""):
        raise RefusedError("is protected by a password", "save a copy without one, and give that")


def _text(page: PageObject) -> str:
    text = printable(page.extract_text().translate(_LIGATURES).replace("\r", "\n"))
    lines = [line.rstrip() for line in text.strip().split("\n")]
    # A line that looks like our own mark would cite a page that it does not stand on.
    return "\n".join(line.strip("[]") if PAGE_MARK.match(line) else line for line in lines)


def _is_text(text: str) -> bool:
    """Whether a page's text can be read; fonts without a table of characters give signs for private use, or none."""
    letters = sum(char.isalnum() for char in text)
    strange = sum("\ue000" <= char <= "\uf8ff" or char == "\ufffd" for char in text)
    return letters >= _FEWEST_LETTERS and strange * 5 < letters


def _fields(reader: PdfReader) -> Iterator[str]:
    """What was filled into the form, which is not in the text of its pages."""
    fields = reader.get_fields() or {}
    lines = [
        printable(f"{name}: {str(field.get('/V')).removeprefix('/')}")
        for name, field in fields.items()
        if field.get("/V") not in (None, "", "/Off") and field.get("/FT") in ("/Tx", "/Ch", "/Btn")
    ]
    if lines:
        yield "\n".join(["[campos do formulário]", *lines])


def _left_out(reader: PdfReader, unread: list[int]) -> Iterator[str]:
    if unread:
        yield f"{_scanned(unread, len(reader.pages))}, and left out"
    if pictures := len({key for page in reader.pages for key in _pictures(page)}):
        yield f"{pictures} picture{'s' if pictures > 1 else ''} in it left out: only its text is sent"


def _pictures(page: PageObject) -> Iterator[object]:
    """Keys of the pictures on a page, each the same wherever it stands again."""
    resources: Any = _resolved(page.get("/Resources"))
    objects: Any = _resolved(resources.get("/XObject")) if resources else None
    for value in objects.values() if objects else ():
        found = _resolved(value)
        if found.get("/Subtype") == "/Image" and min(found.get("/Width", 0), found.get("/Height", 0)) >= _SMALLEST:
            yield getattr(found.indirect_reference, "idnum", id(found))


def _resolved(value: Any) -> Any:
    return value.get_object() if value is not None else None


def _scanned(unread: list[int], total: int) -> str:
    if len(unread) == total:
        return f"none of its {total} page{'s' if total != 1 else ''} has text (scanned?)"
    named = ", ".join(str(number) for number in unread[:10]) + (", …" if len(unread) > 10 else "")
    return f"page{'s' if len(unread) > 1 else ''} {named} of {total} without text (scanned?)"
