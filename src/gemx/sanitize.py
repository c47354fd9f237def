"""Take control and escape characters out of foreign text, so that it cannot drive a terminal or hide what it says."""

from __future__ import annotations

import unicodedata

_KEPT = "\n\t"
_BIDIRECTIONAL = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u061c"


def printable(text: str) -> str:
    """The text without control characters (new lines and tabs stay) and without direction overrides."""
    if text.isprintable():
        return text if not any(char in _BIDIRECTIONAL for char in text) else _strip(text)
    return _strip(text)


def _strip(text: str) -> str:
    return "".join(
        char
        for char in text
        if char in _KEPT or (unicodedata.category(char) not in ("Cc", "Cs") and char not in _BIDIRECTIONAL)
    )
