"""What a flow depends on is in its hash."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from flow_runs import written
from gemx import places
from gemx.errors import NotFoundError
from gemx.flow import hashes, shelf

FLOW = """
    inputs: {q: {}}
    steps:
      - {id: a, rag: {kb: ./base, query: "${{ inputs.q }}"}}
      - {id: b, prompt: {template: ./t.yaml, schema: ./s.json}}
      - {id: c, auto: {name: ./minha.yaml}}
      - {id: d, run: [./passo.sh]}
    outputs: {a: 1}
"""


@pytest.fixture
def house(workdir: Path) -> Path:
    (workdir / "base").mkdir()
    (workdir / "base/a.md").write_text("# A\n\nTexto.\n")
    (workdir / "t.yaml").write_text("gemx: template/v1\ntitle: T\nprompt: Olá\n")
    (workdir / "s.json").write_text('{"type": "object"}')
    (workdir / "knowledge").mkdir()
    (workdir / "knowledge/k.md").write_text("## A\n\nTexto.\nFonte: x.\n")
    (workdir / "minha.yaml").write_text("gemx: automation/v1\nprompt: x\nknowledge: [k]\n")
    (workdir / "passo.sh").write_text("#!/bin/sh\n")
    (workdir / "passo.sh").chmod(0o700)
    shutil.copytree(places.shipped("automations") / "formulary", workdir / "drogas")
    return workdir


def replaced(path: str, old: str, new: str) -> Callable[[Path], None]:
    def change(house: Path) -> None:
        text = (house / path).read_text(encoding="utf-8")
        assert old in text
        (house / path).write_text(text.replace(old, new), encoding="utf-8")

    return change


CHANGES = {
    "the flow": replaced("fluxo.yml", "a: 1", "a: 2"),
    "a document of its base": replaced("base/a.md", "Texto", "Outro"),
    "the template": replaced("t.yaml", "Olá", "Oi"),
    "the schema": replaced("s.json", "object", "array"),
    "a program beside it": replaced("passo.sh", "sh", "bash"),
    "the automation": replaced("minha.yaml", "prompt: x", "prompt: y"),
    "a passage of the automation": replaced("knowledge/k.md", "Texto", "Outro"),
    "a drug": replaced("drogas/noradrenalina.yaml", "gemx:", "# outra\ngemx:"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_changes_the_hash(what: str, house: Path) -> None:
    name = written(house, FLOW)
    before = hashes.of(shelf.load(name, house / "drogas"))
    assert hashes.of(shelf.load(name, house / "drogas")) == before
    CHANGES[what](house)
    assert hashes.of(shelf.load(name, house / "drogas")) != before


def test_a_base_that_is_absent_has_none(workdir: Path) -> None:
    loaded = shelf.load(written(workdir, "steps:\n  - {id: a, rag: {kb: nada, query: x}}\noutputs: {a: 1}\n"))
    with pytest.raises(NotFoundError):
        hashes.of(loaded)
