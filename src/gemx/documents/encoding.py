"""Bytes to text where there is no doubt what they say, else a refusal with the way to convert them.

A wrong guess would change words and units without a trace, so nothing is replaced and nothing is guessed that could as
well be something else. Knows no file format.
"""

from __future__ import annotations

import codecs
import re

from gemx.errors import InputError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins with the mark of UTF-16
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# What a page on the web may call itself. Other codecs of Python are no character sets, or are slow on purpose.
_CHARSET = re.compile(
    r"(utf-?8|utf-?16([-_]?[lb]e)?|(windows|cp|ibm)-?\d{3,4}|iso-?8859-\d{1,2}|koi8-[ru]|macintosh|shift_jis|euc-(jp|kr)"
    r"|gb2312|gbk|gb18030|big5)"
)
# By the standard of the web these mean Windows-1252, which agrees with them where they say anything.
_AS_WINDOWS = ("iso-8859-1", "iso8859-1", "latin-1", "latin1", "us-ascii", "ascii", "windows-1252")
_PORTUGUESE = "áàâãéêíóôõúüçÁÀÂÃÉÊÍÓÔÕÚÜÇªº°§"
_LETTERS = "áàâãäéèêëíìîïóòôõöúùûüçñÁÀÂÃÄÉÈÊËÍÌÎÏÓÒÔÕÖÚÙÛÜÇÑß"
_SIGNS = "ªº°§±µ²³¹¼½¾×÷«»“”‘’–—…•·€®™\xa0"
_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f]")
_FOREIGN = {
    "cp1252": re.compile(f"[^\x00-\x7f{_LETTERS}{_SIGNS}]"),
    "cp850": re.compile(rf"[^\x00-\x7f{_PORTUGUESE}]|\b[ÓÚ]\b"),  # the small à and é of Windows
}
# A sign inside a word, a small letter before a capital one: so looks the text of another code page.
_ODD = re.compile(f"[A-Za-z{_LETTERS}][µ§±“”‘–—…•·€®«»¼½¾÷][A-Za-z{_LETTERS}]|[à-ÿ][A-Z]|[a-z][À-Ý]|[Çç][EIei]")
_GENERAL = "give a text file in UTF-8, a PDF, a DOCX, a page in HTML, an image or a sound"


def decode(data: bytes, name: str, charset: str | None = None) -> tuple[str, tuple[str, ...]]:
    """The text, and a note where it is not in UTF-8 and does not say so itself. Raises InputError.

    A byte order mark is believed first, then `charset`, which a server or a page declares.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _strictly(data, "utf-8-sig" if encoding == "utf-8" else encoding, name), ()
    if charset:
        return _strictly(data, _codec(charset, name), name), ()
    try:
        return data.decode(), ()
    except UnicodeDecodeError as exc:
        if _could_be(data, "cp1252") and not _could_be(data, "cp850"):
            return data.decode("cp1252"), ("is not in UTF-8: read as Windows-1252",)
        raise _refused(name, exc.start, _conversion(data)) from exc


def _strictly(data: bytes, encoding: str, name: str) -> str:
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as exc:
        place = exc.start + len(data) - len(exc.object)  # the codec counts from after a byte order mark
        if encoding == "utf-8-sig":
            raise _refused(name, place, _conversion(data)) from exc
        raise InputError(f"{name}: byte {place + 1} is not text in {encoding}, as it says", hint=_GENERAL) from exc
    if encoding.startswith("utf-") and "\0" in text and encoding != "utf-8-sig":
        raise InputError(f"{name}: not text: it holds NUL characters", hint=_GENERAL)
    return text


def _codec(charset: str, name: str) -> str:
    asked = charset.strip().strip("\"'").lower()
    if asked in _AS_WINDOWS:
        return "cp1252"
    try:
        if _CHARSET.fullmatch(asked):
            return codecs.lookup(asked).name
    except LookupError:
        pass
    raise InputError(f"{name}: the character set {asked[:40]!r} is not known", hint="save it as UTF-8")


def _refused(name: str, start: int, hint: str) -> InputError:
    return InputError(f"{name}: byte {start + 1} is not UTF-8 text", hint=hint)


def _conversion(data: bytes) -> str:
    if b"\0" in data or _CONTROL.search(data.decode("latin-1")):
        return _GENERAL
    guess = "cp850" if _could_be(data, "cp850") and not _could_be(data, "cp1252") else "cp1252"
    return f"convert it once: iconv -f {guess} -t utf-8 FILE > NEW (cp1252: Windows; cp850: DOS), and read the result"


def _could_be(data: bytes, encoding: str) -> bool:
    """Whether it reads as a text in a language of the west would in this code page."""
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return not (_CONTROL.search(text) or _FOREIGN[encoding].search(text) or _ODD.search(text))
