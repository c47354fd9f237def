"""The figures of retrieval are computed as they are named, and the collection beside them is what it says."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest

from gemx.knowledge import answer
from gemx.knowledge import base as bases

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def retrieval() -> Any:
    sys.path.insert(0, str(FOLDER))
    try:
        import retrieval

        return retrieval
    finally:
        sys.path.remove(str(FOLDER))


@pytest.fixture(scope="module")
def smart() -> Any:
    sys.path.insert(0, str(FOLDER))
    try:
        import smart

        return smart
    finally:
        sys.path.remove(str(FOLDER))


def test_ndcg_and_recall_by_hand(retrieval: Any) -> None:
    judged = {"a": 2, "b": 1, "c": 0}
    ideal = 2 + 1 / math.log2(3)
    assert retrieval.ndcg(["a", "b"], judged) == pytest.approx(1)
    assert retrieval.ndcg(["x", "b", "a"], judged) == pytest.approx((1 / math.log2(3) + 2 / 2) / ideal)
    assert retrieval.ndcg(["x"] * 10 + ["a"], judged) == 0
    assert retrieval.ndcg(["a"], {}) == 0
    assert retrieval.recall(["x", "b"], judged) == 0.5
    assert retrieval.recall(["x"] * 100 + ["a", "b"], judged) == 0


def test_every_judgement_is_of_a_question_and_a_section_that_are_there(retrieval: Any) -> None:
    sections = {row["_id"] for row in retrieval.own_corpus()}
    asked = [row["_id"] for row in retrieval.read_lines(retrieval.COLLECTION / "queries.jsonl")]
    qrels = retrieval.read_qrels(retrieval.COLLECTION / "qrels" / "test.tsv")
    assert len(asked) == len(set(asked)) == len(qrels)
    assert set(qrels) == set(asked)
    assert {name for judged in qrels.values() for name in judged} <= sections


def test_the_collection_is_ranked_as_well_as_the_documentation_says(retrieval: Any) -> None:
    base = bases.named("own", new=True)
    ids = retrieval.fill(base, retrieval.own_corpus())
    queries = {row["_id"]: row["text"] for row in retrieval.read_lines(retrieval.COLLECTION / "queries.jsonl")}
    found = retrieval.evaluate(base, ids, queries, retrieval.read_qrels(retrieval.COLLECTION / "qrels" / "test.tsv"))
    assert list(found) == ["BM25"]
    assert found["BM25"][0] >= 0.92
    assert found["BM25"][1] >= 0.97
    scored = {level: (answered, refused) for level, answered, refused in retrieval.thresholds()}
    assert scored[answer.MIN_SCORE] >= (0.9, 0.9)
    assert scored[answer.MIN_SCORE][1] >= 0.9


def test_a_collection_of_smart_becomes_a_folder_in_beirs_layout(retrieval: Any, smart: Any, tmp_path: Path) -> None:
    (tmp_path / "X.ALL").write_text(".I 1\n.T\nshock\n.W\nthe dose\nof it\n.I 2\n.W\nother words\n")
    (tmp_path / "X.QRY").write_text(".I 1\r\n.W\r\nwhich dose\r\n")
    (tmp_path / "X.REL").write_text("1 0 2 1\n")
    smart.main(tmp_path, "X", tmp_path / "beir")
    corpus = list(retrieval.read_lines(tmp_path / "beir" / "corpus.jsonl"))
    assert corpus[0] == {"_id": "1", "title": "shock", "text": "the dose of it"}
    assert json.loads((tmp_path / "beir" / "queries.jsonl").read_text())["text"] == "which dose"
    assert retrieval.read_qrels(tmp_path / "beir" / "qrels" / "test.tsv") == {"1": {"2": 1}}
