"""Count what one rendering does, so that no template takes memory or time without bound. Knows no templates."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

MOST_TEXT = 1_000_000
_MOST_WORK = 10_000_000
_STEP = 20
_SECONDS = 5.0


class TooMuchError(Exception):
    """What a template makes is too large, or takes too long."""


class Meter:
    """The work of one rendering, in characters and steps, and its deadline."""

    def __init__(self) -> None:
        self._work = 0
        self._deadline = time.monotonic() + _SECONDS

    def charge(self, amount: int) -> None:
        """Count work. Raises TooMuchError where it is too much, or takes too long."""
        self._work += amount
        if self._work > _MOST_WORK or time.monotonic() > self._deadline:
            raise TooMuchError("the template does too much: a loop or a value in it is too large")

    def allow(self, length: int) -> None:
        """Count a text that is about to be made. Raises TooMuchError where it is too long."""
        if length > MOST_TEXT:
            raise TooMuchError(f"the template renders to more than {MOST_TEXT} characters")
        self.charge(length)

    def step(self, items: Iterable[Any]) -> Iterator[Any]:
        """The items, each counted as it is taken."""
        for item in items:
            self.charge(_STEP)
            yield item

    def joined(self, pieces: Iterable[str], between: str = "") -> str:
        """The pieces as one text, which is not made where it would be too long."""
        found: list[str] = []
        length = 0
        for piece in pieces:
            length += len(piece) + len(between)
            if length - len(between) > MOST_TEXT:
                raise TooMuchError(f"the template renders to more than {MOST_TEXT} characters")
            self.charge(len(piece))
            found.append(piece)
        return between.join(found)
