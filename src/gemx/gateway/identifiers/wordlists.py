"""The lists of words beside the code: plain text, `#` begins a comment. Each is read once, where it is first needed.

It knows nothing of what the words are for.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def wordlist(name: str) -> frozenset[str]:
    """The words of NAME.txt."""
    lines = (files("gemx.gateway.identifiers") / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(word for line in lines for word in line.partition("#")[0].split())
