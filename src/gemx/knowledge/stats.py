"""What a base holds, in numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gemx.knowledge import embedder, matrix, store, tables
from gemx.knowledge.base import Base


@dataclass(frozen=True, kw_only=True)
class Stats:
    """Counts of a base; `bytes` is the size of its database, `embedder` None where it has no vectors.

    `content` changes with what a search could return, `revision` whenever vectors were written.
    """

    kb: str
    path: str
    documents: int
    chunks: int
    characters: int
    bytes: int
    embedder: dict[str, Any] | None
    vectors: int
    revision: str
    content: str

    def shown(self) -> Iterator[tuple[str, Any]]:
        """Its facts for a person to read."""
        for name, value in vars(self).items():
            if name != "embedder":
                yield name, value
            elif self.embedder is None:
                yield name, "none: searched by words alone"
            else:
                known = (f"{key} {held}" for key, held in self.embedder.items() if held and key != "route")
                yield name, f"{self.embedder['route']} ({', '.join(known)})"


def of(base: Base) -> Stats:
    """The numbers of a base. Raises StorageError."""
    held = embedder.of(base)
    content = store.content_hash(base)
    with tables.opened(base) as database, database.atomic():
        query = "SELECT count(*), coalesce(sum(characters), 0) FROM documents"
        documents, characters = database.conn.execute(query).fetchone()
        chunks = database.conn.execute("SELECT count(*) FROM chunks").fetchone()[0]
        vectors = database.conn.execute("SELECT count(*) FROM vectors").fetchone()[0]
        revision = matrix.revision(database)
    return Stats(
        kb=base.name,
        path=str(base.path),
        documents=documents,
        chunks=chunks,
        characters=characters,
        bytes=base.path.stat().st_size,
        embedder=vars(held) if held else None,
        vectors=vectors,
        revision=revision,
        content=content,
    )
