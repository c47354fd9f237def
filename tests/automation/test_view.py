"""A result's page, from the facts that code computed to the words of each row."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gemx import gateway, settings
from gemx.automation import protocol, render, runner, view
from gemx.automation.runner import Result
from gemx.clinical.answer import Answer, read_answer
from gemx.clinical.findings import Finding
from gemx.clinical.inputs import read_patient
from gemx.gateway import Reply

KNOWN = {"idade": "64", "sexo": "M", "peso": "70", "pas": "82", "pad": "44"}
SCORES = """\
gemx: automation/v1
id: escores
title: "Escores"
version: "1"
guideline: {name: "X", version: "1", date: "2026-01-01"}
maintenance: {author: "t", reviewed: "2026-01-01", next_review: "2099-01-01"}
inputs: [idade, sexo, pas, "fc?", "fr?", "temperatura?", "leucocitos?", "sodio?", "cloro?", "bicarbonato?", "lactato?"]
calculators:
  - {id: sirs, as: sirs, label: SIRS,
     inputs: {temperature: temperatura, heart_rate: fc, respiratory_rate: fr, wbc: leucocitos}, digits: 0}
  - {id: shock_index, as: ic, label: IC, inputs: {heart_rate: fc, sbp: pas}, digits: 2}
  - {id: anion_gap, as: ag, label: AG, inputs: {sodium: sodio, chloride: cloro, bicarbonate: bicarbonato}, digits: 0}
knowledge: [sepse]
summary: "lactato {{ lactato }} mmol/L, SIRS {{ sirs }}, IC {{ ic }}"
assessment:
  - {finding: "Lactato {{ lactato }} mmol/L", interpretation: "alto", when: "lactato > 2",
     sources: [{id: "sepse#pacote", quote: "O lactato é repetido"}]}
  - {finding: "Lactato {{ lactato }} mmol/L", interpretation: "normal", when: "lactato <= 2",
     sources: [{id: "sepse#pacote", quote: "O lactato é repetido"}]}
prompt: "Avalie."
output: {contract: protocolo/v1}
"""


def shown(name: str | Path, **given: str) -> Result:
    """What extractive answers: the draft that code composed."""
    loaded = protocol.load(str(name))
    run = runner.prepare(loaded, read_patient({**KNOWN, **given}, loaded.inputs))
    return runner.execute(run, gateway.make(settings.load(), model="extractive", clinical=True))


def answered(result: Result, *findings: Finding, **changes: Any) -> Result:
    """The same result with another answer."""
    assert result.answer is not None
    answer = Answer.model_validate({**result.answer.model_dump(), **changes})
    return replace(result, answer=answer, findings=findings)


def page(result: Result, width: int = 80) -> str:
    return render.to_text(view.blocks(result), width)


def rows(result: Result, heading: str) -> dict[str, tuple[str, ...]]:
    """The rows under a heading, by their first cell."""
    blocks = view.blocks(result)
    (at,) = [n for n, block in enumerate(blocks) if isinstance(block, view.Heading) and block.text == heading]
    found = blocks[at + 1]
    assert isinstance(found, view.Rows)
    return {row.cells[0]: row.cells[1:] for row in found.rows}


VALUES = "Valores calculados por código"


def scores(tmp_path: Path, text: str = SCORES, **given: str) -> Result:
    path = tmp_path / "escores.yaml"
    path.write_text(text)
    return shown(path, **given)


def test_a_score_that_is_not_determined_shows_its_range_and_others_do_not(tmp_path: Path) -> None:
    found = rows(scores(tmp_path, fc="118"), VALUES)
    missing = "Temperatura, Frequência respiratória, Leucócitos"
    assert found["SIRS"] == ("entre 1 e 4 critérios", f"indeterminável: falta {missing}")
    assert found["IC"][0] == "1,44"
    assert found["AG"] == ("indeterminável", "falta Sódio, Cloro, Bicarbonato")


def test_an_index_that_is_not_determined_has_no_range(tmp_path: Path) -> None:
    assert rows(scores(tmp_path), VALUES)["IC"] == ("indeterminável", "falta Frequência cardíaca")


def test_what_is_unknown_has_no_unit_in_a_text(tmp_path: Path) -> None:
    result = scores(tmp_path)
    assert result.answer is not None
    assert result.answer.resumo == "lactato não informado, SIRS entre 0 e 4, IC indeterminável"


def assessed(result: Result) -> list[tuple[str, str]]:
    assert result.answer is not None
    return [(item.achado, item.interpretacao) for item in result.answer.avaliacao]


def test_assessments_that_cannot_be_judged_are_left_out_unless_none_can(tmp_path: Path) -> None:
    unjudged = assessed(scores(tmp_path))
    assert unjudged == [
        ("Lactato não informado", "alto [a confirmar: falta Lactato]"),
        ("Lactato não informado", "normal [a confirmar: falta Lactato]"),
    ]
    assert assessed(scores(tmp_path, lactato="4")) == [("Lactato 4 mmol/L", "alto")]
    source = '{id: "sepse#pacote", quote: "O lactato é repetido"}'
    certain = f'  - {{finding: "PAS {{{{ pas }}}} mmHg", interpretation: "x", sources: [{source}]}}\n'
    more = SCORES.replace("assessment:\n", f"assessment:\n{certain}")
    result = scores(tmp_path, more)
    assert assessed(result) == [("PAS 82 mmHg", "x")]
    assert result.answer is not None
    assert "Lactato" in result.answer.dados_faltantes


@pytest.mark.parametrize(
    ("start", "minutes", "words"),
    [
        ("10:35", 60, "até 1 h (11:35)"),
        ("23:00", 59, "até 59 min (23:59)"),
        ("23:00", 60, "até 1 h (00:00, +1 d)"),
        ("23:30", 60, "até 1 h (00:30, +1 d)"),
        ("10:35", 1440, "até 24 h (10:35, +1 d)"),
        ("23:30", 2880, "até 48 h (23:30, +2 d)"),
        ("00:00", 0, "agora (00:00)"),
    ],
)
def test_a_deadline_past_midnight_says_on_which_day(start: str, minutes: int, words: str) -> None:
    item = {"item": "Dosar lactato", "prazo_min": minutes, "a_partir_de": "reconhecimento"}
    result = answered(shown("sepse_bundle", hora_reconhecimento=start), checklist=[item])
    assert rows(result, "Fazer agora") == {words: ("Dosar lactato",)}
    assert f"  {words}  Dosar lactato\n" in page(result)


def test_units_of_international_units_are_written_out_and_the_volume_of_a_dose_is_told() -> None:
    dosage = {
        "dose": {"valor": Decimal("0.03"), "unidade": "U/min"},
        "dose_total": {"valor": Decimal(10), "unidade": "UI"},
        "dose_maxima": {"valor": Decimal(2), "unidade": "mUI/kg"},
        "volume": {"valor": Decimal("2.5"), "unidade": "mL"},
    }
    row = {"farmaco": "vasopressina", "diluicao": {"diluente": "SF", "concentracao": {"valor": 1, "unidade": "UI/mL"}}}
    text = page(answered(shown("sepse_bundle"), farmacoterapia=[{**row, "posologia": dosage}]))
    assert "Posologia: 0,03 unidades/min · total 10 unidades · volume da dose 2,5 mL" in text
    assert "máximo 2 mUI/kg" in text  # other units that hold a U stay
    assert "SF · 1 unidades/mL" in text


def test_every_dose_that_is_drawn_up_has_its_volume() -> None:
    result = shown("sepse_bundle", noradrenalina_atual="0,3", noradrenalina_horas="5")
    assert result.answer is not None
    (row,) = [item for item in result.answer.farmacoterapia if item.farmaco == "Hidrocortisona"]
    assert row.posologia is not None
    assert row.posologia.volume is not None
    assert (row.posologia.volume.valor, row.posologia.volume.unidade) == (1, "mL")
    assert "volume da dose 1 mL" in page(result)
    assert row.model_validate(row.model_dump()) == row


def refused(*findings: Finding, answer: bool = True) -> Result:
    result = answered(shown("sepse_bundle"), *findings, resumo="palavras do modelo", checklist=[{"item": "do modelo"}])
    return result if answer else replace(result, answer=None)


@pytest.mark.parametrize("answer", [True, False])
def test_a_refused_page_starts_with_the_errors_and_the_protocol(answer: bool) -> None:
    findings = [Finding(f"x.{n}", "error", f"lugar[{n}]", f"errado {n} " + "x" * 100) for n in range(5)]
    lines = page(refused(*findings, answer=answer)).splitlines()
    head = lines.index("RESPOSTA RECUSADA: 5 erros em extractive (todos em Conferência)")
    assert head == 2
    for n, line in enumerate(lines[head + 1 : head + 4]):
        assert line.startswith(f"  ERRO  lugar[{n}]: errado {n} xxx")
        assert line.endswith("x…")
        assert len(line) <= 80
    assert (
        " ".join(lines[head + 4 : head + 6])
        == ("FAZER AGORA (DO PROTOCOLO, POR CÓDIGO: A RESPOSTA DO MODELO FOI RECUSADA)")
        or lines[head + 4] == "FAZER AGORA (DO PROTOCOLO, POR CÓDIGO: A RESPOSTA DO MODELO FOI RECUSADA)"
    )
    text = "\n".join(lines)
    assert "Colher hemoculturas antes do antimicrobiano" in text
    assert "do modelo\n" not in text.split("VALORES CALCULADOS")[0]
    assert ("palavras do modelo" in text) is answer
    listed = text.split("\nCONFERÊNCIA\n")[1].split("\n\n", maxsplit=1)[0]
    assert listed.count("• ERRO x.") == 5


def test_one_error_is_one_error() -> None:
    assert "RESPOSTA RECUSADA: 1 erro em extractive (todos em Conferência)\n" in page(
        refused(Finding("a.b", "error", "", "errado"))
    )


def test_findings_of_every_severity_are_listed_and_errors_alone_refuse() -> None:
    findings = [
        Finding("a.w", "warning", "checklist[0]", "cuidado"),
        Finding("a.c", "conflict", "", "divergem"),
        Finding("a.u", "unverifiable", "", "sem dados"),
    ]
    text = page(refused(*findings))
    assert "RECUSAD" not in text
    assert text.split("VALORES CALCULADOS")[0].count("do modelo\n") == 1
    assert (
        "\nCONFERÊNCIA\n• aviso a.w: checklist[0]: cuidado\n• conflito a.c: divergem\n"
        "• não verificável a.u: sem dados\n\n"
    ) in text
    assert "CONFERÊNCIA" not in page(refused())


def test_a_cut_answer_is_one_finding() -> None:
    result = shown("sepse_bundle")
    policy = result.policy
    cut = Reply("{", "extractive", finish_reason="length", provider="extractive")

    class Cut:
        name, system, reach, honoured = "extractive", "extractive", "machine", frozenset[str]()

        def generate(self, *_: object) -> Reply:
            return cut

        def close(self) -> None: ...

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gemx.providers.connect", lambda *_: (Cut(), "extractive"))
        found = runner.execute(result.run, policy)
    assert found.answer is None
    assert found.findings == found.errors
    assert found.findings == (Finding("contract.cut", "error", "", "a resposta foi cortada no limite de tokens"),)


def test_errors_are_the_findings_that_refuse() -> None:
    error, warning = Finding("a", "error", "", "x"), Finding("b", "warning", "", "y")
    assert answered(shown("sepse_bundle"), warning, error).errors == (error,)


def test_the_draft_of_everything_that_ships_is_an_answer() -> None:
    for name in ("sepse_bundle", "hda_triage", "ira_aki"):
        result = shown(name)
        assert result.answer is not None
        assert read_answer(result.answer.to_json()) == (result.answer, [])
        assert result.findings == ()
