"""A text folded to plain characters, without escapes, accents, case and typography, and what was found in it.

It knows where each folded character was in the text, and nothing of what identifies a person.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gemx.gateway.identifiers.escapes import decode

Kind = Literal["cpf", "cns", "rg", "phone", "cep", "email", "birth_date", "record", "name", "bed"]


@dataclass(frozen=True)
class Page:
    """A text folded to plain characters: `lower` is `cased` in lower case, and of the same length."""

    cased: str
    lower: str
    starts: Sequence[int] | None  # where each folded character was in the text; None where nothing moved
    ends: Sequence[int] | None  # and where its escape ended; None where there are no escapes

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Offsets of the original text; accents that follow the last character belong to it."""
        if self.starts is None:
            return start, end
        return self.starts[start], max(self.starts[end], self.ends[end - 1] if self.ends else self.starts[end - 1] + 1)


@dataclass(frozen=True)
class Hit:
    """Something found on a page; of two that overlap the more certain one says what it is."""

    kind: Kind
    start: int
    end: int
    certainty: float


_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2043\u2212\ufe58\ufe63\uff0d"
_DOTS = "\u00b7\u2022\u2024\u2027\u2219\u22c5"
_ORDINALS = "ºª°˚"
_BREAKS = "\n\v\f\x85\u2028\u2029"
_SAME = {
    **dict.fromkeys(_DASHES, "-"),
    **dict.fromkeys(_DOTS, "."),
    **dict.fromkeys(_ORDINALS, "º"),
    **dict.fromkeys(_BREAKS, "\n"),
    "\t": "\t",
    "ı": "i",
    "’": "'",
    "‘": "'",
    "´": "'",
    "“": '"',
    "”": '"',
}


def fold(text: str) -> Page:
    """The text as a page."""
    unescaped = decode(text)
    source, starts, ends = (unescaped.text, unescaped.starts, unescaped.ends) if unescaped else (text, None, None)
    table = {ord(char): _plain(char) for char in set(source)}
    if "\n" not in source:  # the segments of HL7
        table[ord("\r")] = "\n"
    cased = source.translate(table)
    if any(len(plain) != 1 for plain in table.values()):
        places = [at for at, char in enumerate(source) for _ in table[ord(char)]]
        starts = [starts[at] for at in places] if starts else places
        ends = [ends[at] for at in places] if ends else None
    if starts is not None:
        starts.append(len(text))
    return Page(cased, cased.lower(), starts, ends)


def _plain(char: str) -> str:
    if char in _SAME:
        return _SAME[char]
    if char.isascii():
        return " " if char.isspace() else char
    if char.isspace():
        return " "
    if char.isdecimal():
        return str(unicodedata.decimal(char))
    if char.isdigit():  # a superscript is an exponent, and no digit of a number
        return char
    plain = [each for each in unicodedata.normalize("NFKD", char) if unicodedata.category(each) not in ("Mn", "Cf")]
    return "".join(plain)
