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


def begins_any(text: str, stems: Iterable[str]) -> bool:
    """Whether a word of the text begins with one of the stems."""
    return any(re.search(rf"(?<!\w){re.escape(fold(stem))}", fold(text)) for stem in stems)
