"""Keep what a command answered, and lose no answer over it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gemx.errors import StorageError

if TYPE_CHECKING:
    from gemx.history import Entry


def keep(entry: Entry, days: int) -> list[StorageError]:
    """Keep an entry for so many days (0: not at all), and erase what is older.

    Returns why that failed, if it did: the answer is there all the same, and is shown.
    """
    from gemx import history

    try:
        history.keep(entry, days)
    except StorageError as exc:
        return [exc]
    return []
