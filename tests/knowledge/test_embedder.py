"""Vectors come by the door, of one embedder a base, a batch at a time, and none is made twice."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np  # noqa: TID253
import pytest

from fake_gemini import FakeGemini
from fake_openai import FakeOpenAI
from gateway_calls import audit, policy
from gemx import knowledge, places
from gemx.errors import ConfigError, PrivacyError, TemporaryError, UnsupportedError, UsageError
from gemx.gateway import Origin
from gemx.knowledge import base as bases
from gemx.knowledge import embedder, ingest, retrieve, tables
from gemx.knowledge.base import Base
from tiny_gguf import write_tiny_bert

ORIGIN = Origin("kb add", "run-1")
GEMINI = "gemini:gemini-embedding-2"


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bert(tmp_path_factory.mktemp("models") / "bert.gguf", context=64)


@pytest.fixture
def base(tmp_path: Path) -> Base:
    made = bases.named("v", new=True)
    folder = tmp_path / "docs"
    folder.mkdir()
    for number in range(5):
        (folder / f"d{number}.md").write_text(f"# T{number}\n\ntexto {number}\n")
    ingest.add(made, [folder])
    return made


def vectors(base: Base) -> np.ndarray[Any, Any]:
    with tables.opened(base) as database:
        rows = database.conn.execute("SELECT vector FROM vectors ORDER BY chunk").fetchall()
    return np.stack([np.frombuffer(row[0], dtype="<f4") for row in rows]) if rows else np.empty((0, 0))


def test_a_gguf_file_embeds_and_its_hash_is_kept(base: Base, bert: Path) -> None:
    embedder.choose(base, f"gguf:{bert}")
    assert embedder.fill(base, policy(), ORIGIN).count == 5
    held = embedder.of(base)
    assert held is not None
    assert (held.route, held.model, held.dimensions) == (f"gguf:{bert}", "bert", 64)
    assert held.file_size == bert.stat().st_size
    assert len(held.sha256 or "") == 64
    assert np.allclose(np.linalg.norm(vectors(base), axis=1), 1, atol=1e-6)
    near = retrieve.near(base, "T3\ntexto 3", policy(), ORIGIN)
    assert near is not None
    hits = retrieve.search(base, "T3\ntexto 3", by_words=False, vector=near)
    assert hits[0].document == "d3.md"
    assert hits[0].cosine == pytest.approx(1, abs=1e-5)
    assert embedder.fill(base, policy(), ORIGIN).count == 0


def test_a_text_that_is_too_long_is_the_mean_of_its_halves(bert: Path, tmp_path: Path) -> None:
    made = bases.named("long", new=True)
    text = " ".join(f"palavra{number}" for number in range(40))
    (tmp_path / "x.md").write_text(text)
    (tmp_path / "y.md").write_text("curto")
    ingest.add(made, [tmp_path / "x.md", tmp_path / "y.md"])
    embedder.choose(made, f"gguf:{bert}")
    assert embedder.fill(made, policy(), ORIGIN).count == 2
    assert np.allclose(np.linalg.norm(vectors(made), axis=1), 1, atol=1e-6)


def test_the_same_file_under_another_name_is_the_same_and_another_file_is_refused(
    base: Base, bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own.gguf"
    own.write_bytes(bert.read_bytes())
    monkeypatch.chdir(tmp_path)
    embedder.choose(base, "gguf:own.gguf")
    embedder.choose(base, f"gguf:{own}")
    embedder.fill(base, policy(), ORIGIN)
    write_tiny_bert(tmp_path / "other.gguf", seed=9)
    with pytest.raises(ConfigError, match="do not compare") as caught:
        embedder.choose(base, "gguf:other.gguf")
    assert caught.value.hint == f"gemx kb rebuild --kb v --embedder gguf:{tmp_path / 'other.gguf'}"
    own.write_bytes((tmp_path / "other.gguf").read_bytes())
    with pytest.raises(ConfigError, match="do not compare"):
        retrieve.near(base, "texto", policy(), ORIGIN)
    embedder.replace_with(base, None)
    assert embedder.fill(base, policy(), ORIGIN).count == 5
    assert retrieve.near(base, "texto", policy(), ORIGIN) is not None


def test_a_file_that_was_only_touched_is_the_same(base: Base, bert: Path) -> None:
    embedder.choose(base, f"gguf:{bert}")
    embedder.fill(base, policy(), ORIGIN)
    before = knowledge.content_hash("v")
    os.utime(bert, ns=(10**18, 10**18))
    held = embedder.checked(base)
    assert held is not None
    assert held.file_modified == 10**18
    assert embedder.of(base) == held
    assert knowledge.content_hash("v") == before


def test_gemini_embeds_by_the_door_and_is_on_record(base: Base, fake_gemini: FakeGemini) -> None:
    embedder.choose(base, GEMINI)
    embedder.fill(base, policy(), ORIGIN)
    assert [record["gen_ai.operation.name"] for record in audit()] == ["embeddings"]
    hits = knowledge.search("v", "T2\ntexto 2", policy=policy()).hits
    assert hits[0].ranks == {"words": 1, "vectors": 1}
    assert audit()[-1]["command"] == "kb search"


def test_the_options_of_the_commands_own_model_are_not_the_embedders(base: Base, fake_gemini: FakeGemini) -> None:
    embedder.choose(base, GEMINI)
    asked = policy(flags={"options": {"temperature": "0.5"}}, temperature=0.3)
    assert embedder.fill(base, asked, ORIGIN).count == 5


def endpoint(server: FakeOpenAI) -> None:
    places.ensure_private_dir(places.config_dir())
    config = {"endpoints": {"local": {"base_url": server.endpoint_url, "model": "e5"}}}
    places.config_file().write_text(json.dumps(config))


def openai_policy(server: FakeOpenAI, **more: Any) -> Any:
    return policy("extractive", endpoints={"local": {"base_url": server.endpoint_url, "model": "e5"}}, **more)


def test_an_endpoint_embeds_and_one_that_changes_its_model_is_refused(base: Base) -> None:
    with FakeOpenAI() as server:
        asked = openai_policy(server)
        embedder.choose(base, "openai:local")
        assert embedder.fill(base, asked, ORIGIN).count == 5
        held = embedder.of(base)
        assert held is not None
        assert (held.model, held.dimensions) == ("fake-model-001", 3)
        body = b'{"model": "another", "data": [{"index": 0, "embedding": [0.6, 0.8, 0.1]}]}'
        server.fault("raw", body=body)
        with pytest.raises(ConfigError, match="model another"):
            retrieve.near(base, "texto", asked, ORIGIN)
        server.fault("raw", body=body.replace(b"another", b"fake-model-001").replace(b", 0.1", b""))
        with pytest.raises(ConfigError, match="2 dimensions"):
            retrieve.near(base, "texto", asked, ORIGIN)


def test_what_was_made_before_a_failure_is_kept_and_it_goes_on_from_there(
    base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedder, "BATCH", 2)
    heard: list[tuple[int, int]] = []
    with FakeOpenAI() as server:
        asked = openai_policy(server, flags={"tries": 1})
        embedder.choose(base, "openai:local")
        server.queue(server.default)
        server.fault("error", status=503)
        with pytest.raises(TemporaryError):
            embedder.fill(base, asked, ORIGIN)
        assert embedder.missing(base) == 3
        assert embedder.fill(base, asked, ORIGIN, lambda done, total: heard.append((done, total))).count == 3
        assert heard == [(0, 3), (2, 3)]
        sent = [text for request in server.requests for text in request.body["input"]]
    assert sorted(sent) == sorted(
        [f"T{number}\ntexto {number}" for number in range(5)] + ["T2\ntexto 2", "T3\ntexto 3"]
    )


def test_patient_data_does_not_leave_where_the_guard_blocks_it(tmp_path: Path, fake_gemini: FakeGemini) -> None:
    made = bases.named("p", new=True)
    (tmp_path / "nota.md").write_text("Paciente de CPF 529.982.247-25, em uso de noradrenalina.")
    ingest.add(made, [tmp_path / "nota.md"])
    embedder.choose(made, GEMINI)
    with pytest.raises(PrivacyError):
        embedder.fill(made, policy(flags={"guard": "block"}), ORIGIN)
    with pytest.raises(PrivacyError):
        embedder.fill(made, policy(flags={"network": "machine"}), ORIGIN)
    assert fake_gemini.requests == []
    assert embedder.missing(made) == 1


def test_what_has_no_embeddings_says_so(base: Base) -> None:
    embedder.choose(base, "extractive")
    with pytest.raises(UnsupportedError, match="extractive has no embeddings"):
        embedder.fill(base, policy(), ORIGIN)
    with pytest.raises(UsageError, match="unknown provider"):
        embedder.choose(base, "nada:x")


def test_a_base_without_vectors_asks_no_model(base: Base) -> None:
    assert retrieve.near(base, "texto", policy(GEMINI), ORIGIN) is None
    assert audit() == []


def test_the_hash_of_the_contents_knows_the_vectors(base: Base, bert: Path) -> None:
    hashes = [knowledge.content_hash("v")]
    embedder.choose(base, f"gguf:{bert}")
    embedder.fill(base, policy(), ORIGIN)
    hashes.append(knowledge.content_hash("v"))
    embedder.replace_with(base, embedder.NONE)
    hashes.append(knowledge.content_hash("v"))
    assert hashes[0] == hashes[2] != hashes[1]
