"""Compare words as clinicians write them: accents, case and spacing apart. Knows no drug and no word by itself."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache


@lru_cache(maxsize=4096)
def fold(text: str) -> str:
    """The text in lower case, without accents, with single spaces; `µ` becomes `u`, and a decimal comma a point."""
    plain = unicodedata.normalize("NFKD", text.casefold().replace("µ", "u").replace("μ", "u"))
    bare = "".join(char for char in plain if not unicodedata.combining(char))
    return " ".join(re.sub(r"(?<=\d),(?=\d)", ".", bare).split())


@lru_cache(maxsize=2048)
def _pattern(words: tuple[str, ...]) -> re.Pattern[str]:
    longest_first = sorted({fold(word) for word in words}, key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(re.escape(word) for word in longest_first)})(?!\w)")


def find(text: str, words: Iterable[str]) -> str | None:
    """The first of the words that stands whole in the text, folded, the longest where several begin together."""
    found = _pattern(tuple(words)).search(fold(text))
    return found[0] if found else None


_DENIAL = re.compile(r"\b(?:nao|nunca|sem|nem|evitar|exceto|proibid\w*|jamais)\b[^.;:,)]*$")


_DENIED = re.compile(r"\b(?:nao|nunca|sem|nem|evitar|exceto|jamais|nega|afastad\w*|descartad\w*)\b[^.;:,)]*")


def is_denied(text: str, position: int) -> bool:
    """Whether what stands at a position of a folded text is under a `não`, `sem` or `evitar` of its clause."""
    return _DENIAL.search(text[:position]) is not None


@lru_cache(maxsize=2048)
def find_all(text: str, words: tuple[str, ...]) -> tuple[str, ...]:
    """The words that stand whole in the text, folded and in its order, denied ones left out."""
    folded = re.sub(r"(?<=\b\w)\.(?=\w\b)|(?<=\b\w\.\w)\.", "", fold(text))
    return tuple(found[0] for found in _pattern(words).finditer(folded) if not is_denied(folded, found.start()))


@lru_cache(maxsize=2048)
def affirmed(text: str) -> str:
    """The folded text without what it denies."""
    return _DENIED.sub("", fold(text))


def begins_any(text: str, stems: Iterable[str]) -> bool:
    """Whether a word of the text begins with one of the stems."""
    return _begins(fold(text), tuple(stems))


@lru_cache(maxsize=4096)
def _begins(folded: str, stems: tuple[str, ...]) -> bool:
    return any(re.search(rf"(?<!\w){re.escape(fold(stem))}", folded) for stem in stems)
