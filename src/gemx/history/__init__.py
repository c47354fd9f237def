"""What was asked and answered, by run_id: the one place, beside a batch's ledger, where texts are kept.

Stores, finds and erases entries. Knows nothing of what their data and pages say, of how long they are to be kept, or of
how a subject is hashed.
"""

from __future__ import annotations

from gemx.history.entry import Entry
from gemx.history.find import Filter, Hit, Line, latest, search
from gemx.history.store import (
    add,
    conversation,
    count_about,
    entries,
    everything,
    get,
    keep,
    last_conversation,
    prune,
    remove,
    remove_about,
    remove_all,
)

__all__ = [
    "Entry",
    "Filter",
    "Hit",
    "Line",
    "add",
    "conversation",
    "count_about",
    "entries",
    "everything",
    "get",
    "keep",
    "last_conversation",
    "latest",
    "prune",
    "remove",
    "remove_about",
    "remove_all",
    "search",
]
