r"""The escapes of JSON (RFC 8259, section 7), Markdown and markup (HTML and XML character references), decoded.

It knows where each decoded character was in the text, and neither whether the text is JSON or markup, nor what
identifies a person. Several backslashes before an escape are of JSON inside JSON, `&amp;` before a name of XML in XML.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_ESCAPE = re.compile(
    r"\\{1,4}(?:u(?P<high>[Dd][89ABab][0-9A-Fa-f]{2})\\{1,4}u(?P<low>[Dd][C-Fc-f][0-9A-Fa-f]{2})|"
    r"u(?P<unit>[0-9A-Fa-f]{4})|(?P<sign>[!-/:-@\[\]^_`{|}~nrt]))|"
    r"&(?:amp;){0,2}(?P<name>#[0-9]{1,7}|#[Xx][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});"
)
_CONTROL = {"n": "\n", "r": "\r", "t": "\t"}


@dataclass(frozen=True)
class Decoded:
    """A text without its escapes, and where what each character was written as began and ended."""

    text: str
    starts: list[int]
    ends: list[int]


def decode(text: str) -> Decoded | None:
    """The text without its escapes; None where it has none."""
    if "\\" not in text and "&" not in text:
        return None
    pieces: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    at = 0
    for escape in _ESCAPE.finditer(text):
        char, (start, end) = _char(escape), escape.span()
        pieces += (text[at:start], char)
        starts += [*range(at, start), *(start for _ in char)]
        ends += [*range(at + 1, start + 1), *(end for _ in char)]
        at = end
    if not at:
        return None
    starts += range(at, len(text))
    ends += range(at + 1, len(text) + 1)
    return Decoded("".join((*pieces, text[at:])), starts, ends)


def _char(escape: re.Match[str]) -> str:
    if escape["sign"]:
        return _CONTROL.get(escape["sign"], escape["sign"])
    if escape["unit"]:
        return chr(int(escape["unit"], 16))
    if escape["high"]:
        return chr(0x10000 + ((int(escape["high"], 16) - 0xD800) << 10) + int(escape["low"], 16) - 0xDC00)
    from html import unescape  # its table of names is loaded where a text has one

    return unescape(f"&{escape['name']};")
