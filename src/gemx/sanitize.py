"""Take control and escape characters out of foreign text, so that it cannot drive a terminal or hide what it says."""

from __future__ import annotations

import json
import re
import unicodedata

# New lines and tabs; and the joiner that many emoji are written with.
_KEPT = "\n\t\u200d"
_INVISIBLE = ("Cc", "Cf", "Cs")
_FORMULA = ("=", "+", "-", "@")
_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")


def printable(text: str) -> str:
    """The text without escape sequences, control characters and invisible ones, such as direction overrides."""
    if text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return "".join(
        char for char in _SEQUENCE.sub("", text) if char in _KEPT or unicodedata.category(char) not in _INVISIBLE
    )


def escaped(text: str) -> str:
    """JSON whose foreign text keeps what `printable` would take out, as escapes: JSON itself escapes only a part."""
    if printable(text) == text:
        return text
    return "".join(char if printable(char) else json.dumps(char)[1:-1] for char in text)


def cell(text: str) -> str:
    """A text as the cell of a CSV file: one that a spreadsheet would take for a formula is quoted."""
    shown = printable(text)
    return f"'{shown}" if shown.lstrip().startswith(_FORMULA) else shown
