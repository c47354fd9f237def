"""Turn files and standard input into the parts of a prompt and into passages that can be cited.

What a file is, its content says. Texts, PDF with a text layer, DOCX and HTML become text; images, sounds and scanned
PDF are carried as bytes with a media type. Knows nothing of models, and fetches nothing.
"""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from gemx.documents import content, encoding
from gemx.documents.content import Kind
from gemx.documents.parts import Media, Part, Text
from gemx.documents.sections import Passage, passages
from gemx.errors import InputError

__all__ = [
    "MAX_BYTES",
    "Media",
    "Part",
    "Passage",
    "Text",
    "file_bytes",
    "passages",
    "read_bytes",
    "read_file",
    "read_stdin",
    "read_stdin_part",
    "read_text",
]

MAX_BYTES = 20_000_000
_STDIN = "standard input"
_FORM_FIELD = re.compile(r"<select\b|<input\b[^>]{0,500}?\bvalue\s*=\s*[\"']?\s*[^\"'\s>]", re.IGNORECASE)


def read_file(path: Path) -> Part:
    """A file as text where it holds text, else as media. Raises InputError on what is neither."""
    return read_bytes(file_bytes(path), path.name, shown=str(path))


def read_text(path: Path) -> str:
    """A file of text in UTF-8, for what is no document to be read but data. Raises InputError on anything else."""
    return _utf8(file_bytes(path), str(path), "convert it to UTF-8")


def read_stdin() -> str:
    """Standard input to its end, as text in UTF-8. Raises InputError on anything else."""
    hint = "gemx gen -f - reads a PDF, a DOCX, an image, a sound or another encoding from it"
    data = _stdin_bytes()
    if content.kind_of(data, "stdin.txt", _STDIN) != "text":
        raise InputError(f"{_STDIN}: not text", hint=hint)
    return _utf8(data, _STDIN, hint)


def read_stdin_part() -> Part:
    """Standard input to its end, as a file would be read. Raises InputError on what is neither text nor media."""
    return replace(read_bytes(_stdin_bytes(), "", shown=_STDIN), name="stdin")


def read_bytes(data: bytes, name: str, *, shown: str, kind: Kind | None = None, charset: str | None = None) -> Part:
    """A document as text where it holds text, else as media; messages call it `shown`.

    `kind` and `charset` are what a server says of a text; `name` is empty where there is none. Raises InputError.
    """
    found = content.kind_of(data, name, shown)
    if found in ("pdf", "docx"):
        return _extracted(data, found, name, shown)
    if "/" in found:
        return Media(data, found, name)
    if (kind or found) == "html":
        return _page(data, name, shown, charset)
    promised = content.named_media(name)
    return _not_as_named(data, name, shown, promised) if promised else _text(data, name, shown, charset)


def _extracted(data: bytes, kind: str, name: str, shown: str) -> Part:
    from gemx.documents import extraction

    extract = extraction.extract(data, kind, shown)
    if extract.text is None:
        return Media(data, "application/pdf", name, extract.notes)
    return Text(extract.text, name, notes=extract.notes)


def _page(data: bytes, name: str, shown: str, charset: str | None) -> Part:
    from gemx.documents import extraction, html

    text, notes = encoding.decode(data, shown, charset or html.declared_charset(data))
    extract = extraction.extract(text.encode(), "html", shown)
    if _FORM_FIELD.search(text):
        notes = (*notes, "has form fields: what stands in them is left out")
    return Text(extract.text or "", name, notes=notes)


def _text(data: bytes, name: str, shown: str, charset: str | None) -> Part:
    text, notes = encoding.decode(data, shown, charset)
    return Text(text, name, notes=notes)


def _not_as_named(data: bytes, name: str, shown: str, promised: str) -> Part:
    """What is named as an image, a sound or a PDF and does not begin as one: text, or a format that we do not know."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        if content.is_known_by_content(promised):
            hint = "open it to see whether it is whole, and give it the name of what it is"
            raise InputError(f"{shown} is named as {promised}, and is none, or is damaged", hint=hint) from None
        return Media(data, promised, name)
    note = () if promised == "image/svg+xml" else ("is text, whatever its name says",)
    return Text(text, name, notes=note)


def _utf8(data: bytes, shown: str, hint: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        place = exc.start + 1 + len(data) - len(exc.object)  # the codec counts from after a byte order mark
        raise InputError(f"{shown}: byte {place} is not UTF-8 text", hint=hint) from exc


def file_bytes(path: Path) -> bytes:
    """What a file holds. Raises InputError on one that cannot be read or is larger than `MAX_BYTES`."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as exc:
        raise InputError(f"cannot read {path}: {exc.strerror}") from exc
    _check_size(data, str(path))
    return data


def _stdin_bytes() -> bytes:
    # A process that was started with its standard input closed has none.
    stdin: TextIO | None = sys.stdin
    data = stdin.buffer.read(MAX_BYTES + 1) if stdin is not None else b""
    _check_size(data, _STDIN)
    return data


def _check_size(data: bytes, shown: str) -> None:
    if len(data) > MAX_BYTES:
        hint = "give the part that matters"
        raise InputError(f"{shown} is larger than {MAX_BYTES // 1_000_000} MB", hint=hint)
