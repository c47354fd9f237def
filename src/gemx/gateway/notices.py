"""What the door has to say while a call is under way; who listens decides how it is shown. Prints nothing."""

from __future__ import annotations

from typing import Protocol


class Listener(Protocol):
    """Whoever made the call."""

    def note(self, text: str) -> None:
        """A remark."""
        ...

    def warn(self, text: str) -> None:
        """A remark that must be seen."""
        ...

    def waiting(self, seconds: float, why: str) -> None:
        """So many seconds are left to wait; said about once a second."""
        ...

    def waited(self) -> None:
        """The wait is over."""
        ...


class Silent:
    """Listens, and tells nobody."""

    def note(self, text: str) -> None:
        """Not told."""

    def warn(self, text: str) -> None:
        """Not told."""

    def waiting(self, seconds: float, why: str) -> None:
        """Not told."""

    def waited(self) -> None:
        """Not told."""
