"""Knowledge bases: documents, their chunks, a full-text index and vectors; ingestion and retrieval with citations.

A base is named (a file in the data directory), or is of a folder or file, and then kept in the cache and brought up to
date at each use. Vectors come from the door alone; a search by words needs no model.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gemx.knowledge.hit import Hit

if TYPE_CHECKING:
    from gemx.gateway import Attempt, Origin, Policy
    from gemx.knowledge.base import Base

# Once a process: a batch searches for each of its items.
_told: set[str] = set()

__all__ = ["Found", "Hit", "content_hash", "exists", "search"]


@dataclass(frozen=True)
class Found:
    """What a search found, best first, and the tries at the embedder that it took."""

    hits: tuple[Hit, ...]
    attempts: tuple[Attempt, ...] = ()


def search(
    base: str | Path, query: str, *, top_k: int = 5, policy: Policy | None = None, origin: Origin | None = None
) -> Found:
    """The chunks that fit a query best, best first; any text is a query, and one that holds no word finds nothing.

    A str names a base, a Path is a folder or file, which is searched by words alone. `policy` is that of the command:
    what may be sent, cost and take holds for the embedding of the query too, and its listener hears of documents that
    cannot be read; `origin` is who asks, for the record of that call. Raises NotFoundError, InputError, StorageError,
    UsageError; GemxError of the door.
    """
    from gemx.knowledge import embedder, retrieve

    found = _current(base, policy)
    vector = None
    if embedder.of(found) is not None:
        from gemx import gateway, settings

        asked = policy or gateway.make(settings.load(), model="extractive")
        asks = origin or gateway.Origin("kb search", gateway.new_run_id())
        vector = retrieve.near(found, query, asked, asks)
    hits = retrieve.search(found, query, top_k=top_k, vector=vector)
    return Found(tuple(hits), vector.attempts if vector else ())


def content_hash(base: str | Path) -> str:
    """A hash that changes whenever what a search could return changes; the same contents give the same one.

    Raises NotFoundError, InputError, StorageError, UsageError.
    """
    from gemx.knowledge import store

    return store.content_hash(_current(base, None))


def exists(base: str | Path) -> bool:
    """Whether there is such a base, or such a folder or file."""
    from gemx.errors import GemxError
    from gemx.knowledge.base import named, of_path

    try:
        named(base) if isinstance(base, str) else of_path(base)
    except GemxError:
        return False
    return True


def _current(base: str | Path, policy: Policy | None) -> Base:
    """A named base, or that of a folder or file as it is now."""
    from gemx.knowledge.base import named, of_path

    if isinstance(base, str):
        return named(base)
    from gemx.knowledge import ingest

    found = of_path(base)
    outcome = ingest.refresh(found)
    if policy is not None:
        for _, why in outcome.unread:
            if why not in _told:
                _told.add(why)
                policy.listener.warn(f"not searched: {why}")
    return found
