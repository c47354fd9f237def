from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from conftest import RunGemx
from day_files import set_clock
from fake_gemini import FakeGemini
from gemx import places
from gemx.audit import fields, prune, record, writer
from gemx.audit.find import Filter, Reader

PATIENT = [f"-i{pair}" for pair in ("idade=64", "sexo=M", "peso=70", "pas=82", "pad=44", "lactato=4,6")]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def everything(
    run_gemx: RunGemx, fake_gemini: FakeGemini, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> list[dict[str, Any]]:
    """The records of runs that together say all that there is to say."""
    assert run_gemx("config", "set", "audit.content", "full").code == 0
    fake_gemini.answer = "ok"
    model = "gemini:gemini-3.8-flash"
    run_gemx("gen", "a", "-m", model, "--subject", "p", "-o", "temperature=0", "-o", "seed=1", "-o", "top_p=0.5")
    run_gemx("gen", "a", "-m", model, "-t", "resumo_artigo", "-o", "max_output_tokens=9")
    fake_gemini.fault("blocked")
    run_gemx("gen", "a", "-m", model, "--fallback", "extractive", "-o", "service_tier=flex")
    run_gemx("gen", "meu CPF é 529.982.247-25", "-m", model, "--guard", "block")
    run_gemx("auto", "run", "sepse_bundle", "-m", "extractive", *PATIENT)
    run_gemx("auto", "run", "sepse_bundle", "-m", model, *PATIENT)
    Path("answer.json").write_text("{}")
    run_gemx("auto", "verify", "answer.json", "--automation", "sepse_bundle", *PATIENT)
    run_gemx("flow", "run", "flow_example", "-m", "extractive", "-i", "pergunta=Qual o alvo de PAM?")
    Path("old.jsonl").write_text('{"ts": 1763648553, "model": "m"}\n')
    run_gemx("logs", "import", "old.jsonl")
    run_gemx("logs", "erase", "--subject", "p")
    set_clock(monkeypatch, "2030-01-01T00:00:00")
    Path(places.audit_dir() / "audit-2020-01-01.jsonl").touch()
    prune.carry_out(prune.plan(timedelta(days=1)))
    return [dict(each) for each in Reader().oldest(Filter())]


def test_every_record_is_as_its_schema_says_and_has_no_field_beyond(everything: list[dict[str, Any]]) -> None:
    assert {each["kind"] for each in everything} == set(fields.KINDS)
    schema = fields.json_schema() | {"additionalProperties": False}
    check = jsonschema.Draft202012Validator(schema)
    problems = [f"{each['seq']}: {error.message}" for each in everything for error in check.iter_errors(each)]
    assert problems == []
    said = {name for each in everything for name in each}
    assert {"gemx.template", "gemx.guard_found", "gemx.fallback_from", "gemx.findings", "gemx.step"} <= said


@pytest.mark.parametrize("name", fields.REQUIRED)
def test_what_every_record_has_is_required(name: str) -> None:
    writer.append(record.attempt({}, run_id="r", command="gen", subject=None, texts={}))
    (found,) = Reader().oldest(Filter())
    check = jsonschema.Draft202012Validator(fields.json_schema())
    assert check.is_valid(found)
    assert not check.is_valid({key: value for key, value in found.items() if key != name})


def test_the_published_schema_is_a_schema() -> None:
    published = json.loads((ROOT / "docs/audit.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(published)
    assert published == fields.json_schema()
    assert not jsonschema.Draft202012Validator(published).is_valid({"v": 2})
