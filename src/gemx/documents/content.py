"""What bytes are, by how they begin: a name may say anything. Reads nothing further."""

from __future__ import annotations

import mimetypes
import re
from pathlib import PurePath
from typing import Literal

from gemx.errors import InputError

Kind = Literal["pdf", "docx", "html", "text"]

_PDF_WITHIN = 1024  # readers of PDF let it begin so late
_MAGIC = (
    (rb"\x89PNG", "image/png"),
    (rb"\xff\xd8\xff", "image/jpeg"),
    (rb"GIF8", "image/gif"),
    (rb"II\*\x00", "image/tiff"),
    (rb"MM\x00\*", "image/tiff"),
    (rb"BM....\x00{4}", "image/bmp"),
    (rb"RIFF....WEBP", "image/webp"),
    (rb"RIFF....WAVE", "audio/wav"),
    (rb"....ftyp(?:heic|heix|hevc|mif1|msf1)", "image/heic"),
    (rb"....ftypavif", "image/avif"),
    (rb"....ftyp(?:M4A |M4B )", "audio/mp4"),
    (rb"ID3[\x02-\x04]", "audio/mpeg"),
    (rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb][^\xff]", "audio/mpeg"),
    (rb"\xff[\xf1\xf9][^\xff]", "audio/aac"),
    (rb"OggS\x00", "audio/ogg"),
    (rb"fLaC", "audio/flac"),
    (rb"FORM....AIF[FC]", "audio/aiff"),
    (rb"#!AMR", "audio/amr"),
)
_MEDIA = tuple((re.compile(pattern, re.DOTALL), mime_type) for pattern, mime_type in _MAGIC)
_REFUSED = (
    (rb"\xd0\xcf\x11\xe0", "an old Office file, or one with a password", "save it as DOCX or PDF, without a password"),
    (rb"\{\\rtf", "an RTF file", "save it as DOCX or PDF"),
    (rb".{128}DICM", "a DICOM file", "export the image as JPEG, without the patient's name"),
    (rb"\x1f\x8b", "a compressed file", "unpack it first"),
    (rb"....ftyp", "a video", "give its sound, or pictures of it"),
    (rb"\x1aE\xdf\xa3", "a video", "give its sound, or pictures of it"),
)
_HTML = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]{0,200}\?>\s*)?(?:<!--.{0,2000}?-->\s*)?<(?:!doctype\s+html|html)\b"
)
_HTML_NAMES = (".html", ".htm", ".xhtml")


def kind_of(data: bytes, name: str, shown: str) -> Kind | str:
    """The kind of a document, or the media type of an image or sound; "text" is what nothing else was recognised as.

    `name` is empty where there is none. Raises InputError on what is known and cannot be used; it calls it `shown`.
    """
    if b"%PDF-" in data[:_PDF_WITHIN]:
        return "pdf"
    if data.startswith(b"PK\x03\x04"):
        return "docx"
    if media := _media_type(data):
        return media
    for pattern, what, hint in _REFUSED:
        if re.match(pattern, data, re.DOTALL):
            raise InputError(f"{shown} is {what}, which cannot be read", hint=hint)
    # A file that is called .txt is sent as it stands, markup included: its author said so.
    suffix = PurePath(name).suffix.lower()
    return "html" if suffix in _HTML_NAMES or (not name and _HTML.match(data[:4096].lower())) else "text"


def named_media(name: str) -> str | None:
    """The media type that a name promises: of an image, a sound or a PDF."""
    promised = mimetypes.guess_type(PurePath(name).name)[0] or ""
    return promised if promised.startswith(("image/", "audio/", "application/pdf")) else None


def is_known_by_content(mime_type: str) -> bool:
    """Whether a file of this type is recognised by its content, so that one that is not is another, or damaged."""
    known = {mime_type for _, mime_type in _MAGIC} - {"audio/mpeg", "audio/aac"}
    return mime_type in {*known, "application/pdf", "audio/x-wav"}


def _media_type(data: bytes) -> str | None:
    return next((mime_type for pattern, mime_type in _MEDIA if pattern.match(data)), None)
