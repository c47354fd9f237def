"""Measure the retrieval of knowledge bases: how well it ranks a collection, and how fast bases of many chunks are.

    python benchmarks/retrieval.py --beir FOLDER [--embedder MODEL]   nDCG@10 and recall@100
    python benchmarks/retrieval.py --own                              the collection beside this file, and scores
    python benchmarks/retrieval.py --chunks 1000 10000 100000         indexing, p50, p95 and file size

A folder in BEIR's layout holds corpus.jsonl, queries.jsonl and qrels/test.tsv. Without --embedder words alone are
ranked. The vectors of --chunks are random: they measure time, and nothing else.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import math
import os
import random
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gemx import documents, gateway, settings, storage
from gemx.gateway import Origin
from gemx.knowledge import base as bases
from gemx.knowledge import embedder, matrix, retrieve, store, tables
from gemx.knowledge.base import Base
from gemx.knowledge.hit import Hit
from gemx.knowledge.store import Source

HERE = Path(__file__).parent
COLLECTION = HERE / "collection"
KNOWLEDGE = HERE.parent / "automations" / "knowledge"
ORIGIN = Origin("kb search", "benchmark")
DEEP = 100
WORDS_IN_CHUNK = 120

Ranking = dict[str, list[str]]
Qrels = Mapping[str, Mapping[str, int]]


def ndcg(ranked: Sequence[str], judged: Mapping[str, int], depth: int = 10) -> float:
    """The normalised discounted cumulative gain of a ranking (Järvelin and Kekäläinen, 2002), gains as they are."""
    gains = [judged.get(name, 0) / math.log2(place + 1) for place, name in enumerate(ranked[:depth], start=1)]
    best = sorted((gain for gain in judged.values() if gain > 0), reverse=True)[:depth]
    ideal = sum(gain / math.log2(place + 1) for place, gain in enumerate(best, start=1))
    return sum(gains) / ideal if ideal else 0.0


def recall(ranked: Sequence[str], judged: Mapping[str, int], depth: int = DEEP) -> float:
    """The share of the relevant documents that a ranking has."""
    relevant = {name for name, gain in judged.items() if gain > 0}
    return len(relevant & set(ranked[:depth])) / len(relevant) if relevant else 0.0


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file of JSON lines."""
    with path.open(encoding="utf-8") as file:
        yield from (json.loads(line) for line in file if line.strip())


def read_qrels(path: Path) -> Qrels:
    """The judgements of a file of BEIR's: of each query, the documents and how relevant they are."""
    found: dict[str, dict[str, int]] = defaultdict(dict)
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            found[row["query-id"]][row["corpus-id"]] = int(row["score"])
    return found


def own_corpus() -> Iterator[dict[str, str]]:
    """The sections of the knowledge files, a document each."""
    for path in sorted(KNOWLEDGE.glob("*.md")):
        for section in documents.passages(path.read_text(encoding="utf-8"), path.stem, path.name):
            yield {"_id": section.id, "title": section.heading, "text": section.text}


def fill(base: Base, corpus: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Put a corpus into a base, and return the id of each document by its name."""
    ids: dict[str, str] = {}
    for row in corpus:
        title = row.get("title", "").strip()
        text = f"# {title}\n\n{row['text']}\n" if title else f"{row['text']}\n"
        _, name = store.put(base, _source(row["_id"], text), text, row["_id"])
        ids[name] = row["_id"]
    return ids


def evaluate(
    base: Base, ids: Mapping[str, str], queries: Mapping[str, str], qrels: Qrels
) -> dict[str, tuple[float, float]]:
    """nDCG@10 and recall@100 of each way to rank, means over the judged queries."""
    ways = ("BM25", "vectors", "fused") if embedder.of(base) else ("BM25",)
    policy = gateway.make(settings.load(), model="extractive")
    scores: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for number, judged in qrels.items():
        near = retrieve.near(base, queries[number], policy, ORIGIN) if len(ways) > 1 else None
        for way in ways:
            vector, by_words = (near if way != "BM25" else None), way != "vectors"
            # A document may have several chunks: it stands where its best one does.
            hits = retrieve.search(base, queries[number], top_k=3 * DEEP, by_words=by_words, vector=vector)
            ranked = list(dict.fromkeys(ids[hit.document] for hit in hits))
            scores[way].append((ndcg(ranked, judged), recall(ranked, judged)))
    return {way: tuple(statistics.mean(column) for column in zip(*found, strict=True)) for way, found in scores.items()}  # pyright: ignore[reportReturnType]


def quality(folder: Path, corpus: Iterable[Mapping[str, str]], model: str | None) -> None:
    """Print how well a collection is ranked."""
    base = bases.named("benchmark", new=True)
    if model:
        embedder.choose(base, model)
    started = time.perf_counter()
    ids = fill(base, corpus)
    policy = gateway.make(settings.load(), model="extractive")
    embedder.fill(base, policy, ORIGIN)
    print(f"{folder}: {len(ids)} documents in {time.perf_counter() - started:.1f} s")
    queries = {str(row["_id"]): str(row["text"]) for row in read_lines(folder / "queries.jsonl")}
    qrels = read_qrels(folder / "qrels" / "test.tsv")
    print(f"{'':<10} {'nDCG@10':>8} {'recall@100':>10}   of {len(qrels)} queries")
    for way, (gain, found) in evaluate(base, ids, queries, qrels).items():
        print(f"{way:<10} {gain:>8.3f} {found:>10.3f}")


def thresholds() -> list[tuple[float, float, float]]:
    """Of each least score, which share of the answerable questions it answers, and of the others it refuses."""
    base = bases.named("whole", new=True)
    for path in sorted(KNOWLEDGE.glob("*.md")):
        text = path.read_text(encoding="utf-8")
        store.put(base, _source(path.name, text), text, path.name)

    def scores(file: str) -> list[float]:
        return [_best(retrieve.search(base, row["text"])) for row in read_lines(COLLECTION / file)]

    answerable, others = scores("queries.jsonl"), scores("unanswerable.jsonl")
    levels = [step / 20 for step in range(4, 19)]
    return [
        (level, _share(answerable, lambda score: score >= level), _share(others, lambda score: score < level))  # noqa: B023
        for level in levels
    ]


def _best(hits: Sequence[Hit]) -> float:
    return max((hit.score for hit in hits), default=0.0)


def _share(scores: Sequence[float], fits: Callable[[float], bool]) -> float:
    return sum(map(fits, scores)) / len(scores)


def speed(count: int, dimensions: int) -> None:
    """Print how long a base of so many chunks takes to make and to search, and how large it is."""
    draw = random.Random(count)
    vocabulary = _vocabulary(draw)
    base = bases.named(f"speed-{count}", new=True)
    started = time.perf_counter()
    for number in range(count // 500):
        text = "\n\n".join(
            f"# {_words(draw, vocabulary, 4)}\n\n{_words(draw, vocabulary, WORDS_IN_CHUNK)}." for _ in range(500)
        )
        store.put(base, _source(str(number), text), text, f"documento-{number}.md")
    indexing = time.perf_counter() - started
    size = base.path.stat().st_size
    # A query leaves out what is in most texts.
    queries = [_words(draw, vocabulary[50:], 5) for _ in range(200)]
    words = _times(lambda query: retrieve.search(base, query), queries)
    _random_vectors(base, dimensions)
    retrieve.search(base, queries[0], vector=_random_near(dimensions, 0))
    nears = [_random_near(dimensions, seed) for seed in range(len(queries))]
    pairs = list(zip(queries, nears, strict=True))
    vectors = _times(lambda pair: retrieve.search(base, pair[0], by_words=False, vector=pair[1]), pairs)
    fused = _times(lambda pair: retrieve.search(base, pair[0], vector=pair[1]), pairs)
    print(
        f"{count:>7} {count / indexing:>8.0f} {_shown(words)} {_shown(vectors)} {_shown(fused)} "
        f"{size / 1e6:>7.1f} {base.path.stat().st_size / 1e6:>7.1f}"
    )


def _times(search: Callable[[Any], object], queries: Sequence[Any]) -> list[float]:
    found: list[float] = []
    for query in queries:
        started = time.perf_counter()
        search(query)
        found.append((time.perf_counter() - started) * 1000)
    return sorted(found)


def _shown(times: Sequence[float]) -> str:
    return f"{statistics.median(times):>6.1f} {times[int(len(times) * 0.95)]:>6.1f}"


def _vocabulary(draw: random.Random) -> list[str]:
    """Words as often as Zipf has them, the first of them Portuguese words of the knowledge files."""
    real = [word for row in own_corpus() for word in row["text"].split() if word.isalpha()]
    made = [
        "".join(draw.choice(("ba", "co", "di", "fe", "gu", "la", "mo", "ne", "ri", "su")) for _ in range(4))
        for _ in range(20_000)
    ]
    return list(dict.fromkeys([*real, *made]))


def _words(draw: random.Random, vocabulary: Sequence[str], count: int) -> str:
    places = (min(int(draw.paretovariate(0.6)) - 1, len(vocabulary) - 1) for _ in range(count))
    return " ".join(vocabulary[place] for place in places)


def _random_vectors(base: Base, dimensions: int) -> None:
    import numpy as np

    draw = np.random.default_rng(1)
    with tables.opened(base) as database, storage.transaction(database):
        numbers = [row[0] for row in database.conn.execute("SELECT id FROM chunks")]
        found = draw.standard_normal((len(numbers), dimensions), dtype=np.float32)
        found /= np.linalg.norm(found, axis=1, keepdims=True)
        rows = ((number, row.tobytes()) for number, row in zip(numbers, found, strict=True))
        database.conn.executemany("INSERT INTO vectors (chunk, vector) VALUES (?, ?)", rows)
        matrix.renew(database)


def _random_near(dimensions: int, seed: int) -> retrieve.Near:
    import numpy as np

    found = np.random.default_rng(seed).standard_normal(dimensions, dtype=np.float32)
    return retrieve.Near(found / np.linalg.norm(found))


def _source(name: str, text: str) -> Source:
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Source(path=Path("/") / name, sha256=digest, size=len(text), modified=0, seen=0)


def main() -> None:
    """Measure what was asked for, in a home of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--beir", type=Path, metavar="FOLDER")
    parser.add_argument("--own", action="store_true")
    parser.add_argument("--embedder", metavar="MODEL")
    parser.add_argument("--chunks", type=int, nargs="+", default=[], metavar="N")
    parser.add_argument("--dimensions", type=int, default=384)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["GEMX_HOME"] = home
        if asked.beir:
            quality(asked.beir, read_lines(asked.beir / "corpus.jsonl"), asked.embedder)
        if asked.own:
            quality(COLLECTION, own_corpus(), asked.embedder)
            print(f"{'least score':<12} {'answered':>8} {'refused':>8}   of answerable, of unanswerable questions")
            for level, answered, refused in thresholds():
                print(f"{level:<12.2f} {answered:>8.2f} {refused:>8.2f}")
        if asked.chunks:
            print(" chunks   per s   words p50/95 vectors p50/95 fused p50/95  MB  with vectors")
            for count in asked.chunks:
                speed(count, asked.dimensions)


if __name__ == "__main__":
    main()
