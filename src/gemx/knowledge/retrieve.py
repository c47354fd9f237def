"""Find the chunks that fit a query: by words (BM25), by vectors (cosine), and both fused by reciprocal rank.

A query of words alone needs no model. Reads one state of the base, whatever is written meanwhile.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gemx import storage
from gemx.knowledge import embedder, matrix, tables, words
from gemx.knowledge.base import Base
from gemx.knowledge.hit import Hit, Ranking
from gemx.knowledge.words import Language

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gemx.gateway import Attempt, Origin, Policy

DEPTH = 50  # of each ranking that is fused
HEADING_WEIGHT = 2.0
_RRF = 60
_MOST_TERMS = 200
_BM25 = f"""
    SELECT rowid FROM words WHERE words MATCH ? ORDER BY bm25(words, {HEADING_WEIGHT}, 1.0), rowid LIMIT ?
"""  # noqa: S608
_FOUND = """
    SELECT chunks.id, documents.name, documents.path, chunks.number, chunks.heading, chunks.page, chunks.start,
        chunks.stop, chunks.language, chunks.text
    FROM chunks JOIN documents ON documents.id = chunks.document WHERE chunks.id IN (SELECT value FROM json_each(?))
"""


@dataclass(frozen=True)
class Near:
    """A query as a vector of length 1, by the embedder of the base, and the tries at it that this took."""

    vector: NDArray[np.float32]
    attempts: tuple[Attempt, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Row:
    id: int
    name: str
    path: str
    number: int
    heading: str
    page: int | None
    start: int
    stop: int
    language: Language
    text: str


def near(base: Base, query: str, policy: Policy, origin: Origin) -> Near | None:
    """The query as a vector; None where the base has no vectors, or the query no word. Raises GemxError of the door."""
    held = embedder.checked(base)
    if held is None or held.dimensions is None or not query.strip():
        return None
    return Near(*embedder.query(base, held, query, policy, origin))


def search(base: Base, query: str, *, top_k: int = 5, by_words: bool = True, vector: Near | None = None) -> list[Hit]:
    """The best chunks, best first; none where the query has no word that is in the base, and no vector.

    `by_words=False` ranks by the vector alone. Raises StorageError.
    """
    asked = words.query_terms(query)[:_MOST_TERMS]
    with tables.opened(base) as database, database.atomic():
        rankings: dict[Ranking, list[int]] = {}
        cosines: dict[int, float] = {}
        depth = max(DEPTH, top_k)
        if by_words:
            rankings["words"] = _by_words(database, asked, depth)
        if vector is not None:
            cosines = _by_vectors(base, database, vector, depth)
            rankings["vectors"] = list(cosines)
        best = fused(list(rankings.values()))[:top_k]
        weights = _weights(database, asked) if words.tells(query) else {}
        found = {row.id: row for row in tables.rows(database, _Row, _FOUND, [str(best)])}
    return [_hit(base, found[number], weights, cosines.get(number), rankings) for number in best]


def fused(rankings: Sequence[Sequence[int]]) -> list[int]:
    """What stands in rankings, by the sum of 1 / (60 + its rank) over them (Cormack, Clarke and Büttcher, 2009)."""
    scores: dict[int, float] = {}
    for ranking in rankings:
        for rank, number in enumerate(ranking, start=1):
            scores[number] = scores.get(number, 0.0) + 1 / (_RRF + rank)
    # Of equal ones that which an earlier ranking has.
    return sorted(scores, key=lambda number: -scores[number])


def _by_words(database: storage.Database, asked: Sequence[tuple[str, ...]], depth: int) -> list[int]:
    if not asked:
        return []
    # In quotes nothing is syntax, and no stem holds a quote.
    match = " OR ".join(f'"{stem}"' for stems in asked for stem in stems)
    return [int(row[0]) for row in database.conn.execute(_BM25, [match, depth])]


def _by_vectors(base: Base, database: storage.Database, query: Near, depth: int) -> dict[int, float]:
    """The chunks nearest to the query, nearest first, each with its cosine."""
    import numpy as np

    ids, vectors = matrix.load(base, database, query.vector.shape[0])
    cosines = vectors @ query.vector
    if not len(ids):
        return {}
    most = min(depth, len(ids))
    nearest = np.argpartition(-cosines, most - 1)[:most]
    found = {int(ids[place]): max(-1.0, min(1.0, float(cosines[place]))) for place in nearest}
    return dict(sorted(found.items(), key=lambda each: (-each[1], each[0])))


def _weights(database: storage.Database, asked: Sequence[tuple[str, ...]]) -> dict[tuple[str, ...], float]:
    """How much each word of the query tells: the rarer in the base, the more (the idf of BM25)."""
    total = int(database.conn.execute("SELECT count(*) FROM chunks").fetchone()[0])
    return {stems: math.log(1 + (total - held + 0.5) / (held + 0.5)) for stems, held in _counts(database, asked, total)}


def _counts(
    database: storage.Database, asked: Sequence[tuple[str, ...]], total: int
) -> list[tuple[tuple[str, ...], int]]:
    query = "SELECT term, doc FROM terms WHERE term IN (SELECT value FROM json_each(?))"
    counted: dict[str, int] = {}
    for term, held in database.conn.execute(query, [json.dumps([stem for stems in asked for stem in stems])]):
        counted[term] = int(held)
    return [(stems, min(total, max(counted.get(stem, 0) for stem in stems))) for stems in asked]


def _hit(
    base: Base,
    row: _Row,
    weights: Mapping[tuple[str, ...], float],
    cosine: float | None,
    rankings: Mapping[Ranking, Sequence[int]],
) -> Hit:
    ranks: dict[Ranking, int] = {
        name: ranking.index(row.id) + 1 for name, ranking in rankings.items() if row.id in ranking
    }
    return Hit(
        id=f"{base.name}/{row.name}#{row.number}",
        document=row.name,
        path=row.path,
        heading=row.heading,
        page=row.page,
        start=row.start,
        end=row.stop,
        text=row.text,
        score=_coverage(row, weights),
        cosine=cosine,
        ranks=ranks,
    )


def _coverage(row: _Row, weights: Mapping[tuple[str, ...], float]) -> float:
    """The share of the query's words that a chunk or its heading holds, each by how much it tells."""
    whole = sum(weights.values())
    held = set(words.terms(f"{row.heading}\n{row.text}", row.language))
    covered = sum(weight for stems, weight in weights.items() if not held.isdisjoint(stems))
    return round(covered / whole, 4) if whole else 0.0
