"""Search: any text is a query, by words and by vectors, fused; what a hit says of itself is so."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np  # noqa: TID253
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gemx import knowledge, places, storage
from gemx.knowledge import base as bases
from gemx.knowledge import ingest, matrix, retrieve, tables
from gemx.knowledge.base import Base

KNOWLEDGE = Path(__file__).parents[2] / "automations" / "knowledge"
AWKWARD = [
    '"?" * ( NEAR',
    '"',
    "*",
    "NEAR(a b, 2)",
    "a AND",
    "NOT",
    "col:x",
    "^x",
    "a\0b",
    "-",
    "{",
    "'; DROP TABLE chunks",
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def protocols(home: Path, monkeypatch: pytest.MonkeyPatch) -> Base:
    """A base of the shipped protocols, made once for all tests that only read it."""
    monkeypatch.setenv("GEMX_HOME", str(home))
    base = bases.named("default", new=True)
    if not base.path.exists():
        ingest.add(base, [KNOWLEDGE])
    return base


@pytest.mark.parametrize("query", AWKWARD)
def test_signs_are_no_syntax(query: str, protocols: Base) -> None:
    assert isinstance(retrieve.search(protocols, query), list)
    assert isinstance(retrieve.search(protocols, f"{query} noradrenalina"), list)
    assert retrieve.search(protocols, f"noradrenalina {query}")[0].document == "sepse.md"


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(query=st.text(max_size=200))
def test_any_text_is_a_query(query: str, protocols: Base) -> None:
    for hit in retrieve.search(protocols, query):
        assert 0 <= hit.score <= 1


@pytest.mark.parametrize(
    ("query", "section"),
    [
        ("hipotensao", "Hipotensão"),
        ("INFECCOES urinarias por anaerobios", "Espectro"),
        ("pontuação AIMS65", "AIMS65"),
        ("64 mcg/mL", "Noradrenalina: preparo"),
        ("0,03 unidades/min", "Vasopressina: indicação"),
        ("0.03 unidades/min", "Vasopressina: indicação"),
        ("qual é a dose da dopamina no rim?", "Dopamina"),
    ],
)
def test_what_a_clinician_types_finds_the_section(query: str, section: str, protocols: Base) -> None:
    assert section in [hit.heading.split(" › ")[-1] for hit in retrieve.search(protocols, query, top_k=2)]


def test_the_score_is_the_share_of_the_query_that_a_hit_covers(protocols: Base) -> None:
    assert retrieve.search(protocols, "dose de noradrenalina")[0].score == 1.0
    half = retrieve.search(protocols, "noradrenalina xyzxyz")[0].score
    assert 0.1 < half < 0.7, "a word that is nowhere in the base weighs most"
    assert retrieve.search(protocols, "xyzxyz") == []
    assert [hit.score for hit in retrieve.search(protocols, "o que é")] == [0.0] * 5


def test_a_heading_weighs_more_than_the_text(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# Vancomicina\n\nAjustar pela função renal do doente, e medir o nível.\n")
    (tmp_path / "b.md").write_text("# Outros\n\nAjustar vancomicina pela função renal, e medir o nível.\n")
    (tmp_path / "c.md").write_text("# Nada\n\nTexto sem relação com isso.\n")
    assert [hit.document for hit in knowledge.search(tmp_path, "vancomicina").hits] == ["a.md", "b.md"]


def test_ranks_are_fused_by_their_reciprocals() -> None:
    assert retrieve.fused([[1, 2, 3], [3, 1, 4]]) == [1, 3, 2, 4]
    assert retrieve.fused([[], [7]]) == [7]
    assert retrieve.fused([]) == []


def with_vectors(tmp_path: Path, vectors: dict[str, list[float]]) -> Base:
    for name in vectors:
        (tmp_path / f"{name}.md").write_text(f"texto {name}")
    base = bases.named("v", new=True)
    ingest.add(base, [tmp_path])
    with tables.opened(base) as database, storage.transaction(database):
        query = "SELECT chunks.id, documents.name FROM chunks JOIN documents ON documents.id = document"
        for number, name in database.conn.execute(query).fetchall():
            vector = np.asarray(vectors[name.removesuffix(".md")], dtype="<f4").tobytes()
            database.conn.execute("INSERT INTO vectors VALUES (?, ?)", [number, vector])
        matrix.renew(database)
    return base


def near(*values: float) -> retrieve.Near:
    return retrieve.Near(np.asarray(values, dtype=np.float32))


def test_vectors_rank_by_cosine_and_are_fused_with_words(tmp_path: Path) -> None:
    base = with_vectors(tmp_path, {"um": [1, 0], "dois": [0.6, 0.8], "tres": [0, 1]})
    found = retrieve.search(base, "xyz", vector=near(0, 1))
    assert [(hit.document, round(hit.cosine or 0, 2)) for hit in found] == [
        ("tres.md", 1),
        ("dois.md", 0.8),
        ("um.md", 0),
    ]
    assert found[0].ranks == {"vectors": 1}
    fused = retrieve.search(base, "um", vector=near(0, 1))
    assert fused[0].document == "um.md"
    assert fused[0].ranks == {"words": 1, "vectors": 3}
    assert retrieve.search(base, "um", by_words=False, vector=near(0, 1))[0].document == "tres.md"


def test_the_nearest_are_those_of_a_search_through_all(tmp_path: Path) -> None:
    draw = np.random.default_rng(5)
    found = draw.standard_normal((70, 8)).astype(np.float32)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    base = with_vectors(tmp_path, {f"d{number:02}": row.tolist() for number, row in enumerate(found)})
    asked = found[3] + 0.1
    order = np.argsort(-(found @ asked))[:10]
    hits = retrieve.search(base, "", top_k=10, vector=near(*asked.tolist()))
    assert [hit.document for hit in hits] == [f"d{number:02}.md" for number in order]


def test_the_matrix_is_made_again_when_the_vectors_change_and_when_it_is_gone(tmp_path: Path) -> None:
    base = with_vectors(tmp_path, {"um": [1, 0], "dois": [0, 1]})
    assert retrieve.search(base, "", vector=near(0, 1))[0].document == "dois.md"
    kept = sorted(path.name for path in places.kb_cache_dir().glob("*.npy"))
    assert len(kept) == 2
    (tmp_path / "dois.md").unlink()
    ingest.add(base, [tmp_path], prune=True)
    assert list(places.kb_cache_dir().glob("*.npy")) == [], "vectors tell of their texts"
    for _ in range(2):
        assert [hit.document for hit in retrieve.search(base, "", vector=near(0, 1))] == ["um.md"]
        for path in places.kb_cache_dir().glob("*.npy"):
            path.unlink()


def test_bases_whose_names_begin_alike_keep_their_matrices(tmp_path: Path) -> None:
    places.ensure_private_dir(places.kb_cache_dir())
    other = places.kb_cache_dir() / "base-a-b-0011.npy"
    other.touch()
    matrix.discard(bases.named("a", new=True))
    assert other.exists()
    matrix.discard(bases.named("a-b", new=True))
    assert not other.exists()


def test_a_hit_is_a_passage_with_the_id_that_is_cited(protocols: Base) -> None:
    hit = retrieve.search(protocols, "dose de noradrenalina")[0]
    passage = hit.passage
    assert passage.id == hit.id == "default/sepse.md#19"
    assert (passage.text, passage.start, passage.end) == (hit.text, hit.start, hit.end)
    assert all(one.id != other.id for one, other in itertools.pairwise(retrieve.search(protocols, "dose")))
