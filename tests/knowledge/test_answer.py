"""A question is answered from its hits alone, and what an answer cites is among them or is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gemx.gateway import Origin
from gemx.knowledge import Hit, answer

HIT = Hit(
    id="uti/sepse.md#3", document="sepse.md", path="/x/sepse.md", heading="Sepse › Volume", page=None,
    start=0, end=5, text="texto", score=0.6,
)  # fmt: skip
OTHER = replace(HIT, id="uti/dor.md#1", text="outro", score=0.2, cosine=0.9)


@pytest.mark.parametrize(
    ("text", "cited", "unknown"),
    [
        ("Dar 30 mL/kg [uti/sepse.md#3].", ["uti/sepse.md#3"], []),
        ("A [uti/dor.md#1; uti/sepse.md#3], B [uti/dor.md#1]", ["uti/dor.md#1", "uti/sepse.md#3"], []),
        ("A [uti/sepse.md#4]", [], ["uti/sepse.md#4"]),
        ("A [uti/sepse.md#3, x/y#9]", ["uti/sepse.md#3"], ["x/y#9"]),
        ("A [1], [ver anexo], (uti/sepse.md#3)", [], []),
        ("", [], []),
    ],
)
def test_citations_are_ids_of_hits_or_look_like_one(text: str, cited: list[str], unknown: list[str]) -> None:
    found = answer.cited(text, [HIT, OTHER])
    assert [hit.id for hit in found.hits] == cited
    assert list(found.unknown) == unknown


def test_a_question_is_covered_by_one_good_hit_or_by_none() -> None:
    assert answer.is_covered([OTHER, HIT], 0.5)
    assert not answer.is_covered([OTHER], 0.5)
    assert not answer.is_covered([], 0)
    assert not answer.is_covered([replace(HIT, score=0.0)], 0)
    assert answer.is_covered([OTHER], 0.5, min_cosine=0.8)
    assert not answer.is_covered([HIT], 0.7, min_cosine=0.8), "without a vector there is no cosine"


def test_the_model_reads_the_passages_and_then_the_question() -> None:
    request = answer.request("qual o volume?", [HIT, OTHER], Origin("kb ask", "run-1"))
    text = request.messages[-1].text
    assert text.index("uti/sepse.md#3") < text.index("texto") < text.index("outro") < text.index("qual o volume?")
    assert [passage.id for passage in request.passages] == [HIT.id, OTHER.id]
    assert "apenas os trechos" in (request.system or "")
    assert answer.NOT_ANSWERED in (request.system or "")
