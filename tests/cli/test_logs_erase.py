"""`--subject` on every run, and `gemx logs erase`: what is kept of a person, and that it goes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import RunGemx
from fake_gemini import FakeGemini, Recorded
from gemx import history, places
from gemx.audit import content, record
from gemx.audit.find import Filter, Reader
from gemx.flow import runs

MODEL = "gemini:gemini-3.8-flash"
PATIENT = [f"-i{pair}" for pair in ("idade=64", "sexo=M", "peso=70", "pas=82", "pad=44", "lactato=4,6")]
WHO = "Leito-7-do-Sr.-Zacarias"
TEXT = "relato-confidencial"
FLOW = """\
gemx: flow/v1
inputs:
  n: {type: integer}
  relato: {label: Relato}
steps:
  - id: resumo
    prompt: {text: "Caso ${{ inputs.n }}: ${{ inputs.relato }}", model: "gemini:gemini-3.8-flash"}
outputs: {resumo: "${{ steps.resumo.outputs.text }}"}
"""


@pytest.fixture
def gemini(fake_gemini: FakeGemini) -> FakeGemini:
    fake_gemini.answer = echo
    return fake_gemini


@pytest.fixture
def flow(workdir: Path) -> str:
    (workdir / "f.yaml").write_text(FLOW)
    return "./f.yaml"


def echo(request: Recorded) -> str:
    return f"eco de {request.body['contents'][-1]['parts'][0]['text']}"


def whom() -> str:
    return record.subject(WHO)


def kept_below(home: Path) -> Iterator[bytes]:
    """The bytes of every file that gemx keeps."""
    yield from (path.read_bytes() for path in home.rglob("*") if path.is_file())


def records() -> list[Any]:
    return list(Reader().oldest(Filter()))


def batch(run_gemx: RunGemx, flow: str, *argv: str, out: str = "o.jsonl") -> None:
    rows = [(1, f"{TEXT} um", WHO), (2, "outro", "B"), (3, f"{TEXT} dois", WHO), (1, f"{TEXT} um", "C")]
    Path("p.csv").write_text("id,n,relato,quem\n" + "".join(f"p{n},{n},{text},{who}\n" for n, text, who in rows))
    done = run_gemx("flow", "batch", flow, "--items", "p.csv", "--out", out, "--subject-from", "quem", *argv)
    assert done.code == 0, done.err


# what is kept


def test_a_subject_is_kept_as_a_keyed_hash_and_never_in_clear(
    run_gemx: RunGemx, gemini: FakeGemini, flow: str, gemx_home: Path
) -> None:
    Path("answer.json").write_text("{}")
    for argv in (
        ["gen", "a", "-m", MODEL],
        ["auto", "run", "sepse_bundle", "-m", "extractive", *PATIENT],
        ["auto", "verify", "answer.json", "--automation", "sepse_bundle", *PATIENT],
        ["flow", "run", flow, "-i", "n=1", "-i", "relato=x"],
    ):
        before = len(records())
        run_gemx(*argv, "--subject", WHO)
        fresh = records()[before:]
        assert fresh, argv
        assert {each["subject"] for each in fresh} == {whom()}, argv
    assert {entry.subject for entry in history.everything()} == {whom()}
    assert len(history.everything()) == 3
    assert runs.known()
    assert not [data for data in kept_below(gemx_home) if WHO.encode() in data or b"Zacarias" in data]


def test_without_the_flag_there_is_no_subject(run_gemx: RunGemx, gemini: FakeGemini) -> None:
    run_gemx("gen", "a", "-m", MODEL)
    assert records()[0]["subject"] is None
    assert history.everything()[0].subject is None
    assert run_gemx("gen", "a", "-m", MODEL, "--subject", " ").code == 2
    assert len(gemini.requests) == 1


def test_a_conversation_keeps_its_subject(run_gemx: RunGemx, gemini: FakeGemini) -> None:
    run_gemx("gen", TEXT, "-m", MODEL, "--subject", WHO)
    run_gemx("gen", "-c", "e agora?", "-m", MODEL)
    assert [each["subject"] for each in records()] == [whom()] * 2
    run_gemx("gen", "-c", "e agora?", "-m", MODEL, "--subject", "B")
    assert records()[2]["subject"] == record.subject("B")


def test_rows_that_ask_the_same_about_two_people_are_two_items(
    run_gemx: RunGemx, gemini: FakeGemini, flow: str
) -> None:
    batch(run_gemx, flow)
    assert len(gemini.requests) == 4
    assert sorted(each["subject"] for each in records()) == sorted([whom(), whom(), *map(record.subject, "BC")])
    assert all(WHO not in json.dumps(each) for each in records())
    # The same command again asks nobody anything.
    batch(run_gemx, flow)
    assert len(gemini.requests) == 4


def test_a_row_that_does_not_say_whose_it_is_fails(run_gemx: RunGemx, gemini: FakeGemini, flow: str) -> None:
    Path("p.csv").write_text("n,relato,quem\n1,a,A\n2,b,\n3,c, \n")
    done = run_gemx("flow", "batch", flow, "--items", "p.csv", "--out", "o.jsonl", "--subject-from", "quem")
    assert done.code == 7
    errors = [json.loads(line)["error"] for line in Path("o.jsonl").read_text().splitlines()]
    assert errors[0] is None
    assert errors[1]["message"] == errors[2]["message"] == "a coluna quem não diz de quem é a linha (--subject-from)"
    wrong = run_gemx("flow", "batch", flow, "--items", "p.csv", "--subject-from", "quem", "--subject", "A")
    assert wrong.code == 2
    none = run_gemx("flow", "batch", flow, "--items", "p.csv", "--out", "x.jsonl", "--subject-from", "nenhuma")
    assert none.code == 7
    assert len(gemini.requests) == 1


def test_patients_of_a_batch_of_an_automation(run_gemx: RunGemx, workdir: Path) -> None:
    header = "id,idade,sexo,peso,pas,pad,lactato,prontuario,quem"
    Path("p.csv").write_text(f"{header}\na,64,M,70,82,44,2.5,991,{WHO}\nb,64,M,70,82,44,2.5,992,B\n")
    argv = ("auto", "batch", "sepse_bundle", "--items", "p.csv", "--out", "o.jsonl", "-m", "extractive")
    done = run_gemx(*argv, "--subject-from", "quem")
    assert done.code == 0, done.err
    assert {each["subject"] for each in records()} == {whom(), record.subject("B")}
    erased = run_gemx("logs", "erase", "--subject", WHO, "--json").json["data"]
    assert (erased["items"], erased["rows"], erased["left"]) == (1, 1, [])
    # A column that is an input, too, stays one.
    Path("q.csv").write_text("id,idade,sexo,peso,pas,pad,lactato,prontuario\na,64,M,70,82,44,2.5,991\n")
    argv = ("auto", "batch", "sepse_bundle", "--items", "q.csv", "--out", "q.jsonl", "-m", "extractive")
    assert run_gemx(*argv, "--subject-from", "prontuario").code == 0
    assert records()[-1]["subject"] == record.subject("991")
    assert "991" in Path("q.jsonl").read_text()


# erase


def test_everything_of_a_person_goes_and_nothing_of_others(
    run_gemx: RunGemx, gemini: FakeGemini, flow: str, gemx_home: Path
) -> None:
    run_gemx("config", "set", "audit.content", "full")
    run_gemx("gen", f"{TEXT} do gen", "-m", MODEL, "--subject", WHO)
    run_gemx("gen", "outro do gen", "-m", MODEL, "--subject", "B")
    batch(run_gemx, flow)
    before = Path("o.jsonl").read_text().splitlines()
    dry = run_gemx("logs", "erase", "--subject", WHO, "--dry-run", "--json").json["data"]
    counts = {"history": 1, "items": 2, "rows": 2, "texts": 3}
    assert {name: dry[name] for name in counts} == counts
    assert dry["erased"] is False
    assert Path("o.jsonl").read_text().splitlines() == before
    done = run_gemx("logs", "erase", "--subject", WHO)
    assert done.code == 0
    assert done.out.startswith("erased: 1 runs of the history, 2 items of ledgers, 2 rows of batch outputs, 3 texts")
    assert "beyond gemx" in done.err
    assert [entry.prompt for entry in history.everything()] == ["outro do gen"]
    assert Path("o.jsonl").read_text().splitlines() == [before[1], before[3]]
    texts = content.texts_of(records())
    assert {text["prompt"] for text in texts.values()} == {"outro do gen", "Caso 2: outro", f"Caso 1: {TEXT} um"}
    erased = f"{TEXT} dois", f"{TEXT} do gen"
    assert not [data for data in kept_below(gemx_home) for text in erased if text.encode() in data]
    last = records()[-1]
    assert (last["kind"], last["subject"], last["gemx.erased"]) == ("erase", whom(), counts)
    assert run_gemx("logs", "verify").code == 0
    again = run_gemx("logs", "erase", "--subject", WHO, "--json").json["data"]
    assert {name: again[name] for name in counts} == dict.fromkeys(counts, 0)


def test_the_rest_of_a_batch_can_be_gone_on_with(run_gemx: RunGemx, gemini: FakeGemini, flow: str) -> None:
    batch(run_gemx, flow, out="o.csv")
    rows = Path("o.csv").read_bytes().splitlines(keepends=True)
    run_gemx("logs", "erase", "--subject", WHO)
    assert Path("o.csv").read_bytes().splitlines(keepends=True) == [rows[0], rows[2], rows[4]]
    (run_id,) = runs.known()
    status = run_gemx("flow", "status", run_id, "--json").json["data"]
    assert (status["lines"], status["items"], status["done"]) == (2, 2, 2)
    assert run_gemx("flow", "resume", run_id).code == 0
    assert len(gemini.requests) == 4


def test_an_output_that_was_changed_since_is_left_and_named(run_gemx: RunGemx, gemini: FakeGemini, flow: str) -> None:
    batch(run_gemx, flow)
    changed = Path("o.jsonl").read_text() + "minha nota\n"
    Path("o.jsonl").write_text(changed)
    done = run_gemx("logs", "erase", "--subject", WHO)
    assert done.code == 0
    assert f"left: {Path('o.jsonl').absolute()}: it is not as" in done.err
    assert Path("o.jsonl").read_text() == changed
    with sqlite3.connect(runs.ledger(runs.known()[0])) as database:
        assert database.execute("SELECT count(*) FROM items").fetchone() == (2,)
    database.close()


def test_an_output_that_is_gone_from_its_place_is_named(run_gemx: RunGemx, gemini: FakeGemini, flow: str) -> None:
    batch(run_gemx, flow)
    Path("o.jsonl").rename("moved.jsonl")
    done = run_gemx("logs", "erase", "--subject", WHO)
    assert f"left: {Path('o.jsonl').absolute()}: it is not there any more" in done.err


def test_one_that_was_killed_between_rows_and_ledger_is_gone_on_with(
    run_gemx: RunGemx, gemini: FakeGemini, flow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gemx.flow.ledger import Ledger

    batch(run_gemx, flow)

    def die(self: Ledger, subject: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "forget", die)
        assert run_gemx("logs", "erase", "--subject", WHO).code == 130
    assert TEXT + " dois" not in Path("o.jsonl").read_text()
    done = run_gemx("logs", "erase", "--subject", WHO, "--json").json["data"]
    assert (done["items"], done["rows"]) == (2, 0)
    assert not [left for left in done["left"] if "o.jsonl" in left]


def test_a_run_under_way_and_a_damaged_ledger_are_named(run_gemx: RunGemx, gemini: FakeGemini, flow: str) -> None:
    batch(run_gemx, flow)
    (run_id,) = runs.known()
    (places.ledgers_dir() / "quebrado-1.db").write_bytes(b"no database" * 100)
    with runs.held(run_id):
        done = run_gemx("logs", "erase", "--subject", WHO)
    assert f"left: the run {run_id}: it is under way" in done.err
    assert "left: the run quebrado-1: " in done.err
    # Somebody's text may still be there: cron must see it.
    assert done.code == 11
    assert run_gemx("logs", "erase", "--subject", WHO, "--json").json["data"]["items"] == 2


def test_a_run_of_a_flow(run_gemx: RunGemx, gemini: FakeGemini, flow: str, gemx_home: Path) -> None:
    argv = ("flow", "run", flow, "-i", "n=1", "-i", f"relato={TEXT}", "--out", "r.txt")
    assert run_gemx(*argv, "--subject", WHO).code == 0
    done = run_gemx("logs", "erase", "--subject", WHO)
    assert f"left: {Path('r.txt').absolute()}: the result of" in done.err
    assert not [data for data in kept_below(gemx_home) if TEXT.encode() in data]


def test_a_history_that_cannot_be_erased_fails_and_the_rest_is_erased(
    run_gemx: RunGemx, gemini: FakeGemini, flow: str
) -> None:
    batch(run_gemx, flow)
    places.history_file().mkdir(parents=True)
    done = run_gemx("logs", "erase", "--subject", WHO)
    assert done.code == 11
    assert "the history" in done.err
    assert records()[-1]["gemx.erased"]["items"] == 2


def test_nobody(run_gemx: RunGemx) -> None:
    assert run_gemx("logs", "erase", "--subject", "").code == 2
    assert run_gemx("logs", "erase").code == 2
    assert run_gemx("logs", "erase", "--subject", "nobody").out.startswith("erased: 0 runs")
