"""`gemx kb` as its user has it: added, searched, asked, shown, removed, rebuilt; what it says and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import document_files
from conftest import KEY, RunGemx
from fake_gemini import FakeGemini
from fake_openai import FakeOpenAI
from gateway_calls import audit
from gemx import history, places
from tiny_gguf import write_tiny_bert

GEMINI = "gemini:gemini-3.8-flash"
QUESTION = "qual o volume de cristaloide na sepse?"


@pytest.fixture
def folder(workdir: Path) -> Path:
    made = workdir / "protocolos"
    made.mkdir()
    (made / "sepse.md").write_text(
        "# Sepse\n\n## Volume\n\nDar 30 mL/kg de cristaloide nas primeiras 3 horas.\n\n"
        "## Vasopressor\n\nNoradrenalina de 0,05 a 0,15 mcg/kg/min.\n"
    )
    (made / "hda.pdf").write_bytes(document_files.pdf("Hemorragia digestiva: avaliar.", "Octreotida 50 mcg em bolus."))
    return made


@pytest.fixture
def filled(folder: Path, run_gemx: RunGemx) -> Path:
    assert run_gemx("kb", "add", "protocolos").code == 0
    return folder


def test_add_says_what_became_of_the_files(folder: Path, run_gemx: RunGemx) -> None:
    (folder / "tabela.xlsx").touch()
    added = run_gemx("kb", "add", "protocolos")
    assert (added.code, added.out) == (0, "default: 2 added\n")
    assert "passed over: 1 .xlsx" in added.err
    (folder / "scan.pdf").write_bytes(document_files.pdf(document_files.Page(pictures=(300,))))
    again = run_gemx("kb", "add", "protocolos")
    assert (again.code, again.out) == (7, "default: 2 unchanged, 1 not read\n")
    assert "not read: " in again.err and "scan.pdf" in again.err
    told = run_gemx("kb", "add", "protocolos", "--json")
    assert told.json["status"] == "partial"
    assert told.json["data"]["unchanged"] == ["hda.pdf", "sepse.md"]
    assert told.json["data"]["unread"][0]["path"].endswith("scan.pdf")
    assert told.json["errors"][0]["code"] == "input"


def test_a_path_that_is_not_there_makes_no_base(workdir: Path, run_gemx: RunGemx) -> None:
    assert run_gemx("kb", "add", "nada", "--embedder", "openai:x").code == 4
    assert run_gemx("kb", "search", "x").code == 3
    assert not places.kb_dir().exists()
    assert run_gemx("kb", "list").code == 0


def test_search_cites_file_page_heading_and_characters(filled: Path, run_gemx: RunGemx) -> None:
    found = run_gemx("kb", "search", "octreotida")
    assert found.code == 0
    assert found.out.splitlines()[0] == "[default/hda.pdf#2] 1.00"
    assert "hda.pdf · página 2 · caracteres " in found.out
    hit = run_gemx("kb", "search", "cristaloide", "--json").json["data"][0]
    assert hit["id"] == "default/sepse.md#1"
    assert (hit["heading"], hit["page"], hit["ranks"]) == ("Sepse › Volume", None, {"words": 1})
    assert (filled / "sepse.md").read_text()[hit["start"] : hit["end"]] == hit["text"]
    assert audit() == []


@pytest.mark.parametrize("query", ['"?" * ( NEAR', "*", "--", "xyz"])
def test_any_text_is_a_query(query: str, filled: Path, run_gemx: RunGemx) -> None:
    found = run_gemx("kb", "search", "--", query)
    assert (found.code, found.out) == (0, "")
    assert "nothing like that" in found.err


def test_ask_quotes_without_any_model(filled: Path, run_gemx: RunGemx) -> None:
    answer = run_gemx("kb", "ask", QUESTION)
    assert answer.code == 0
    assert answer.out.startswith("[default/sepse.md#1] Dar 30 mL/kg de cristaloide")
    assert "Fontes:\n[default/sepse.md#1] sepse.md · caracteres " in answer.out
    assert "model: extractive" in answer.err


def test_ask_refuses_below_the_score_and_asks_no_model(
    filled: Path, run_gemx: RunGemx, fake_gemini: FakeGemini
) -> None:
    refused = run_gemx("kb", "ask", "dose de paracetamol em crianças", "-m", GEMINI)
    assert (refused.code, refused.out) == (6, "")
    assert "não há resposta nos documentos da base default" in refused.err
    assert "Nenhum modelo foi consultado" in refused.err
    told = run_gemx("kb", "ask", "dose de paracetamol em crianças", "-m", GEMINI, "--json")
    assert (told.code, told.json["exit_code"], told.json["errors"][0]["code"]) == (6, 6, "contract")
    assert (told.json["data"]["refused"], told.json["data"]["answer"]) == (True, None)
    assert run_gemx("kb", "ask", f"{QUESTION} Em gestantes?", "--min-score", "1", "-m", GEMINI).code == 6
    assert fake_gemini.requests == []
    assert history.everything() == []


def test_ask_gives_the_model_the_passages_and_checks_what_it_cites(
    filled: Path, run_gemx: RunGemx, fake_gemini: FakeGemini
) -> None:
    fake_gemini.reply_text("São 30 mL/kg [default/sepse.md#1].")
    answer = run_gemx("kb", "ask", QUESTION, "-m", GEMINI, "--json")
    assert answer.code == 0
    data = answer.json["data"]
    assert data["citations"] == ["default/sepse.md#1"]
    assert data["hits"][0]["id"] == "default/sepse.md#1"
    sent = json.dumps(fake_gemini.requests[0].body, ensure_ascii=False)
    assert "Dar 30 mL/kg de cristaloide" in sent and QUESTION in sent and "default/sepse.md#1" in sent
    kept = history.get(data["run_id"])
    assert (kept.command, kept.reply) == ("kb ask", "São 30 mL/kg [default/sepse.md#1].")
    assert (kept.prompt or "").endswith(QUESTION)
    assert [hit["text"] for hit in kept.data["hits"]] == [None] * len(data["hits"]), "it stands in the prompt once"
    record = audit()[-1]
    assert (record["command"], record["run_id"]) == ("kb ask", data["run_id"])


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ("São 40 mL/kg [default/sepse.md#9].", "cita o que não está entre os trechos: default/sepse.md#9"),
        ("São 30 mL/kg.", "não cita nenhum trecho"),
        ("Os trechos não respondem a esta pergunta.", "o modelo diz que os trechos não respondem"),
    ],
)
def test_an_answer_that_cites_nothing_or_what_was_not_given_fails(
    reply: str, said: str, filled: Path, run_gemx: RunGemx, fake_gemini: FakeGemini
) -> None:
    fake_gemini.reply_text(reply)
    answer = run_gemx("kb", "ask", QUESTION, "-m", GEMINI)
    assert answer.code == 6
    assert said in answer.err
    assert reply in answer.out


def test_ask_keeps_nothing_where_nothing_is_to_be_kept(filled: Path, run_gemx: RunGemx) -> None:
    assert run_gemx("kb", "ask", QUESTION, "--no-history").code == 0
    assert history.everything() == []
    out = filled.parent / "resposta.md"
    assert run_gemx("kb", "ask", "-", "--out", str(out), stdin=QUESTION).out == ""
    assert "30 mL/kg" in out.read_text()
    assert [entry.command for entry in history.everything()] == ["kb ask"]
    empty = run_gemx("kb", "ask", " ")
    assert (empty.code, "a pergunta está vazia" in empty.err) == (4, True)


def test_list_show_and_stats(filled: Path, run_gemx: RunGemx) -> None:
    run_gemx("kb", "add", str(filled / "sepse.md"), "--kb", "uti")
    assert run_gemx("kb", "list").out == "default: 2 documents, 4 chunks\nuti: 1 documents, 2 chunks\n"
    assert [line.split()[:2] for line in run_gemx("kb", "show").out.splitlines()] == [
        ["hda.pdf", "2"],
        ["sepse.md", "2"],
    ]
    shown = run_gemx("kb", "show", "sepse.md", "--json").json["data"]
    assert [each["heading"] for each in shown["chunks"]] == ["Sepse › Volume", "Sepse › Vasopressor"]
    whole = "Noradrenalina de 0,05 a 0,15 mcg/kg/min.\n"
    assert run_gemx("kb", "show", "sepse.md#2").out == whole
    assert run_gemx("kb", "show", "uti/sepse.md#2").out == whole
    assert run_gemx("kb", "show", "sepse.md#3").code == 4
    assert run_gemx("kb", "show", "sepsis.md").code == 3
    stats = run_gemx("kb", "stats", "--json").json["data"]
    assert (stats["documents"], stats["chunks"], stats["embedder"], stats["vectors"]) == (2, 4, None, 0)
    assert "embedder: none" in run_gemx("kb", "stats").out


def test_remove_erases_what_is_named_or_all(filled: Path, run_gemx: RunGemx) -> None:
    assert run_gemx("kb", "remove").code == 2
    assert run_gemx("kb", "remove", "--all").code == 2
    assert run_gemx("kb", "remove", "nada.md", "sepse.md").code == 3
    assert run_gemx("kb", "remove", "sepse.md").out == "erased: sepse.md\n"
    assert run_gemx("kb", "search", "cristaloide").out == ""
    assert b"cristaloide" not in (places.kb_dir() / "default.db").read_bytes()
    assert run_gemx("kb", "remove", "--all", "--yes", "--json").json["data"] == {"erased": 1, "documents": None}
    assert (filled / "sepse.md").exists()


def test_an_embedder_is_set_once_and_another_takes_a_rebuild(folder: Path, run_gemx: RunGemx, workdir: Path) -> None:
    for seed, name in enumerate(("one", "two")):
        write_tiny_bert(workdir / f"{name}.gguf", context=128, seed=seed)
    added = run_gemx("kb", "add", "protocolos", "--embedder", "gguf:one.gguf")
    assert (added.code, added.out) == (0, "default: 2 added, 4 vectors\n")
    refused = run_gemx("kb", "add", "protocolos", "--embedder", "gguf:two.gguf")
    assert refused.code == 3
    assert f"gemx kb rebuild --kb default --embedder gguf:{workdir}/two.gguf" in refused.err
    found = run_gemx("kb", "search", "cristaloide", "--json").json["data"]
    assert set(found[0]["ranks"]) == {"words", "vectors"}
    calls = len(audit())
    assert run_gemx("kb", "search", "cristaloide", "--words").code == 0
    assert len(audit()) == calls
    rebuilt = run_gemx("kb", "rebuild", "--embedder", "gguf:two.gguf")
    assert (rebuilt.code, rebuilt.out) == (0, "default: 2 changed, 4 vectors\n")
    assert run_gemx("kb", "add", "protocolos", "--embedder", "none").code == 2
    assert run_gemx("kb", "rebuild", "--embedder", "none").out == "default: 2 changed\n"
    assert run_gemx("kb", "stats", "--json").json["data"]["embedder"] is None


def configured(**values: Any) -> None:
    places.ensure_private_dir(places.config_dir())
    places.config_file().write_text(json.dumps(values))


def test_the_embedder_of_the_configuration_is_that_of_new_bases(folder: Path, run_gemx: RunGemx) -> None:
    run_gemx("kb", "add", "protocolos", "--kb", "antes")
    with FakeOpenAI() as server:
        endpoints = {"local": {"base_url": server.endpoint_url, "model": "e5"}}
        configured(endpoints=endpoints, knowledge={"embedder": "openai:local"})
        assert run_gemx("kb", "add", "protocolos").out == "default: 2 added, 4 vectors\n"
        assert run_gemx("kb", "add", "protocolos", "--kb", "antes").out == "antes: 2 unchanged\n"
        assert run_gemx("kb", "add", "protocolos", "--kb", "sem", "--embedder", "none").out == "sem: 2 added\n"
        asked = run_gemx("kb", "ask", QUESTION, "-m", "extractive", "--json")
        assert asked.json["data"]["hits"][0]["cosine"] is not None
        beyond = run_gemx("kb", "search", "cristaloide", "--network", "machine")
        assert beyond.code == 0, "the endpoint is on this machine"
    configured(knowledge={"embedder": "nada:x"})
    wrong = run_gemx("kb", "add", "protocolos", "--kb", "outra")
    assert (wrong.code, "config.json knowledge: unknown provider 'nada'" in wrong.err) == (3, True)


def test_what_leaves_this_machine_passes_the_guard(workdir: Path, run_gemx: RunGemx, fake_gemini: FakeGemini) -> None:
    (workdir / "nota.md").write_text("Paciente de CPF 529.982.247-25, em uso de noradrenalina.")
    argv = ("kb", "add", "nota.md", "--embedder", "gemini:gemini-embedding-2")
    assert run_gemx(*argv, "--local-only").code == 10
    assert run_gemx(*argv, "--guard", "block").code == 10
    assert fake_gemini.requests == []
    assert run_gemx("kb", "search", "noradrenalina", "--local-only").code == 0, "no vector was made: words are enough"
    assert run_gemx(*argv, "--guard", "mask").out == "default: 1 unchanged, 1 vectors\n"
    assert "529.982" not in json.dumps([each.body for each in fake_gemini.requests])
    assert KEY not in run_gemx("kb", "stats").out


def test_chunks_without_a_vector_are_told(folder: Path, run_gemx: RunGemx, fake_gemini: FakeGemini) -> None:
    run_gemx("kb", "add", str(folder / "hda.pdf"), "--embedder", "gemini:gemini-embedding-2")
    fake_gemini.always("error", status=400, name="INVALID_ARGUMENT", message="no")
    failed = run_gemx("kb", "add", str(folder / "sepse.md"))
    assert (failed.code, failed.out) == (5, "")
    assert "default: 1 added, but vectors are missing: gemx kb add goes on" in failed.err
    fake_gemini.always("ok")
    found = run_gemx("kb", "search", "cristaloide")
    assert "2 chunks have no vector yet" in found.err
    assert found.out.startswith("[default/sepse.md#1]")


def test_a_search_by_words_loads_no_model_no_network_and_no_matrix(filled: Path, gemx_home: Path) -> None:
    script = "import sys; from gemx.cli.app import main; main(['kb', 'search', 'cristaloide']); print(*sys.modules)"
    environment = {**os.environ, "GEMX_HOME": str(gemx_home)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("[default/sepse.md#1]")
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "snowballstemmer" in loaded
    assert not loaded & {"numpy", "httpx", "google.genai", "llama_cpp", "gemx.gateway", "gemx.settings", "yaml", "rich"}


def test_names_of_bases_that_are_none(workdir: Path, run_gemx: RunGemx) -> None:
    (workdir / "a.md").write_text("x")
    assert run_gemx("kb", "add", "a.md", "--kb", "../fora").code == 2
    assert run_gemx("kb", "search", "x", "--kb", "A").code == 2
    assert run_gemx("kb", "list", "--json").json["data"] == []
