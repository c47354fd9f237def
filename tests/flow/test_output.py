"""The rows of a batch as files: whole or not at all, private, and safe for a terminal and a spreadsheet."""

from __future__ import annotations

import csv
import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from gemx.errors import StorageError, UsageError
from gemx.flow import output
from gemx.flow.items import Form
from gemx.flow.ledger import Outcome
from gemx.flow.output import Sheet
from gemx.flow.record import Failure

OUTCOMES = (
    Outcome(2, "a", "done", {"texto": "=1+1", "n": -5, "lista": [1, "b"], "outro": None}, None),
    Outcome(3, "+55 11", "failed", None, Failure("input", 'falta "idade";\npeso', 4)),
    Outcome(4, None, "pending", None, None),
)


def test_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "o.jsonl"
    output.write(path, OUTCOMES, Sheet(Form("jsonl"), ["texto"], "r-1"))
    first, second, third = map(json.loads, path.read_text().splitlines())
    assert first["outputs"] == OUTCOMES[0].outputs
    assert second["error"] == {"code": "input", "message": 'falta "idade";\npeso'}
    assert third == {"line": 4, "id": None, "status": "pending", "outputs": None, "error": None, "run_id": "r-1"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("form", [Form("csv"), Form("csv", ";", marked=True)])
def test_csv(tmp_path: Path, form: Form) -> None:
    path = tmp_path / "o.csv"
    output.write(path, OUTCOMES, Sheet(form, ["texto", "n", "lista"], "r-1"))
    with path.open(encoding="utf-8-sig" if form.marked else "utf-8", newline="") as file:
        first, second, third = csv.DictReader(file, delimiter=form.delimiter)
    assert [first[f"outputs.{name}"] for name in ("texto", "n", "lista")] == ["'=1+1", "-5", '[1,"b"]']
    assert (second["id"], second["error.code"], second["error.message"]) == (
        "'+55 11",
        "input",
        'falta "idade";\npeso',
    )
    assert (third["status"], third["outputs.texto"]) == ("pending", "")


def test_a_link_leads_on_and_what_fails_leaves_the_file_of_before(tmp_path: Path) -> None:
    real, link = tmp_path / "real.jsonl", tmp_path / "o.jsonl"
    real.write_text("before")
    link.symlink_to(real)

    def broken() -> Iterator[Outcome]:
        yield OUTCOMES[0]
        raise StorageError("the ledger is gone")

    with pytest.raises(StorageError):
        output.write(link, broken(), Sheet(Form("jsonl"), [], "r-1"))
    assert real.read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["o.jsonl", "real.jsonl"]
    output.write(link, OUTCOMES[:1], Sheet(Form("jsonl"), [], "r-1"))
    assert link.is_symlink()
    assert json.loads(real.read_text())["line"] == 2


def test_the_suffix_says_the_form() -> None:
    items = Form("csv", ";", marked=True)
    assert output.form_of(Path("o.CSV"), items) is items
    assert output.form_of(Path("o.csv"), Form("jsonl")) == Form("csv")
    assert output.form_of(Path("o.jsonl"), items).kind == "jsonl"
    with pytest.raises(UsageError):
        output.form_of(Path("o"), items)
