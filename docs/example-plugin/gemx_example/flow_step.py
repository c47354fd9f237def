"""The flow step `uses: shorten`: values in, outputs out, both as JSON has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gemx.errors import InputError


def shorten(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The first `words` of a `text`, 50 where nobody says, and how many were left out."""
    words = str(given.get("text") or "").split()
    most = given.get("words", 50)
    if not isinstance(most, int) or most < 1:
        raise InputError(f"shorten: `words` is {most!r}; expected a whole number above 0")
    return {"text": " ".join(words[:most]), "left_out": max(0, len(words) - most)}
