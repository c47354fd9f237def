"""A result's page, from the facts that code computed to the words of each row."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
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
    findings = [
        Finding("citation.unknown", "error", f"checklist[{n}]", f"errado {n} " + "x" * 100, found="x") for n in range(5)
    ]
    lines = page(refused(*findings, answer=answer)).splitlines()
    head = lines.index("RESPOSTA RECUSADA: 5 erros em extractive (todos em Conferência)")
    assert head == 2
    for n, line in enumerate(lines[head + 1 : head + 3]):
        assert line.startswith(f"  ERRO  checklist[{n}]: errado {n} xxx")
        assert line.endswith("x…")
        assert len(line) <= 80
    assert lines[head + 3] == "FAZER AGORA (DO PROTOCOLO, POR CÓDIGO: A RESPOSTA FOI RECUSADA)"
    text = "\n".join(lines)
    assert "Colher hemoculturas antes do antimicrobiano" in text
    assert "do modelo\n" not in text.split("VALORES CALCULADOS")[0]
    assert ("palavras do modelo" in text) is answer
    assert re.findall(r"^• (\S+) em (\S+)\n    ERRO: errado", listed(text), re.MULTILINE) == [
        ("citation.unknown", f"checklist[{n}]") for n in range(5)
    ]


def listed(text: str) -> str:
    """What stands under the heading of the findings."""
    return text.split("\nCONFERÊNCIA\n")[1].split("\n\n", maxsplit=1)[0]


def test_one_error_is_one_error() -> None:
    assert "RESPOSTA RECUSADA: 1 erro em extractive (todos em Conferência)\n" in page(
        refused(Finding("contract.section", "error", "", "errado"))
    )


def test_an_answer_from_elsewhere_is_of_no_model() -> None:
    result = replace(refused(Finding("contract.section", "error", "", "errado")), model=None)
    text = page(result)
    assert "RESPOSTA RECUSADA: 1 erro (todos em Conferência)\n" in text
    assert "Resposta de  arquivo, conferida sem chamar modelo\n" in text


def test_findings_of_every_severity_are_listed_the_gravest_first_and_errors_alone_refuse() -> None:
    findings = [
        Finding("citation.missing", "warning", "checklist[0]", "cuidado"),
        Finding("allergy.unknown", "unverifiable", "", "sem dados"),
        Finding("diluent.forbidden", "conflict", "farmacoterapia", "divergem", "SF", "RL"),
    ]
    text = page(refused(*findings))
    assert "RECUSAD" not in text
    assert text.split("VALORES CALCULADOS")[0].count("do modelo\n") == 1
    assert listed(text).splitlines() == [
        "• diluent.forbidden em farmacoterapia",
        "    conflito: divergem (RL)",
        "• allergy.unknown",
        "    não verificável: sem dados",
        "• citation.missing em checklist[0]",
        "    aviso: cuidado",
    ]
    assert "\n  Achados      1 conflito de fontes, 1 item não verificável, 1 aviso\n" in text
    clean = page(refused())
    assert "CONFERÊNCIA" not in clean
    assert "\n  Achados      sem achados\n" in clean


@pytest.mark.parametrize(
    ("number", "said"), [(0, None), (1, "1 item não verificável"), (2, "2 itens não verificáveis")]
)
def test_what_was_not_verified_is_said_at_the_head(number: int, said: str | None) -> None:
    warning = Finding("citation.missing", "warning", "checklist[0]", "cuidado")
    result = refused(*[Finding("allergy.unknown", "unverifiable", "", "sem dados")] * number, warning)
    assert result.verified == (number == 0)
    head = page(result).splitlines()[2]
    assert head == (f"NÃO VERIFICADO POR INTEIRO: {said} (em Conferência)" if said else "FAZER AGORA")


def test_a_cut_answer_is_one_finding() -> None:
    result = shown("sepse_bundle")
    policy = gateway.make(settings.load(), model="extractive", clinical=True)
    cut = Reply("{", "extractive", finish_reason="length", provider="extractive")

    class Cut:
        name, system, reach, honoured = "extractive", "extractive", "machine", frozenset[str]()

        def generate(self, *_: object) -> Reply:
            return cut

        def close(self) -> None: ...

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gemx.providers.connect", lambda *_: (Cut(), "extractive"))
        found = runner.execute(result.run, policy)
    assert (found.answer, found.cut, found.text, found.verified) == (None, True, "{", False)
    assert found.findings == found.errors
    assert found.findings == (Finding("contract.cut", "error", "", "a resposta foi cortada no limite de tokens"),)


# wrong values

ROW: dict[str, Any] = {
    "farmaco": "Noradrenalina",
    "base_ou_sal": "base",
    "indicacao": "choque, a 66 mL/h",
    "modo": "continua",
    "apresentacao": {
        "texto": "ampola 4 mg/4 mL",
        "massa": {"valor": Decimal(4), "unidade": "mg"},
        "volume": {"valor": Decimal(4), "unidade": "mL"},
    },
    "quantidade": Decimal(4),
    "diluicao": {
        "diluente": "SG 5%",
        "volume_diluente": {"valor": Decimal(234), "unidade": "mL"},
        "volume_final": {"valor": Decimal(250), "unidade": "mL"},
        "concentracao": {"valor": Decimal(64), "unidade": "mcg/mL"},
    },
    "posologia": {
        "dose": {"valor": Decimal("0.1"), "unidade": "mcg/kg/min"},
        "peso_kg": Decimal(70),
        "via": "IV",
        "velocidade": {"valor": Decimal(66), "unidade": "mL/h"},
    },
    "tempo_infusao": "24 h",
    "monitorizacao": "não passar de 66 mL/h, 660 mL/h ou 66 mL/h/kg; 1,66 mL/h serve",
    "fontes": [],
}
P = "farmacoterapia[0]"
RATE = Finding(
    "arithmetic.rate", "error", f"{P}.posologia.velocidade", "não é a que a dose pede", "6,6 mL/h", "66 mL/h"
)


def wrong(*findings: Finding, **changes: Any) -> Result:
    """The shocked patient's result with one row, about which there are findings."""
    return answered(shown("sepse_bundle"), *findings, farmacoterapia=[{**ROW, **changes}], resumo="caso", checklist=[])


def entry(result: Result, title: str = "Farmacoterapia") -> view.Entry:
    blocks = view.blocks(result)
    (at,) = [n for n, block in enumerate(blocks) if isinstance(block, view.Heading) and block.text == title]
    entries = blocks[at + 1]
    assert isinstance(entries, view.Entries)
    return entries.entries[0]


def soft(text: str) -> str:
    return text.replace("\u00a0", " ")


def test_of_a_wrong_value_the_computed_one_comes_first_and_the_wrong_one_only_struck() -> None:
    found = entry(wrong(RATE))
    details = [soft(line) for line in found.details]
    assert details[:2] == [
        "Calculado por código: SG 5% 234 mL · volume final 250 mL · 64 mcg/mL · 0,1 mcg/kg/min · bomba 6,6 mL/h · IV"
        " · peso 70 kg · duração enquanto for preciso para manter PAM de 65 mmHg · infusão contínua",
        "ERRO: não é a que a dose pede ERRO ~~66 mL/h~~",
    ]
    (dosage,) = [line for line in details if line.startswith("Posologia: ")]
    assert dosage == "Posologia: 0,1 mcg/kg/min · bomba 6,6 mL/h ERRO ~~66 mL/h~~ · IV · peso 70 kg · infusão contínua"


def test_a_wrong_amount_is_struck_wherever_the_answer_repeats_it_and_no_other_is() -> None:
    result = wrong(RATE)
    assert result.answer is not None
    said = "correr a 66 mL/h já"
    result = answered(
        result,
        RATE,
        resumo=said,
        avaliacao=[{"achado": said, "interpretacao": "66mL/h"}],
        criterios_decisao=[{"se": said, "entao": said}],
        nao_fazer=[{"item": said}],
        destino={"local": said, "justificativa": said},
    )
    assert soft(entry(result).title) == "Noradrenalina (base): choque, a ERRO ~~66 mL/h~~"
    (watch,) = [soft(line) for line in entry(result).details if line.startswith("Monitorização")]
    assert watch == "Monitorização: não passar de ERRO ~~66 mL/h~~, 660 mL/h ou 66 mL/h/kg; 1,66 mL/h serve"
    struck = "correr a ERRO ~~66 mL/h~~ já"
    assert soft(entry(result, "Avaliação").title) == f"{struck}: ERRO ~~66mL/h~~"
    assert soft(entry(result, "Critérios de decisão").title) == f"Se {struck}: {struck}"
    assert soft(entry(result, "Não fazer").title) == struck
    assert soft(entry(result, "Destino").title) == f"{struck}: {struck}"
    assert f"\nRESUMO\n{struck}\n" in page(result)


@pytest.mark.parametrize(
    ("field", "expected", "found", "shown"),
    [
        ("quantidade", "5", "4", "abrir 5 ERRO ~~4~~"),
        ("base_ou_sal", "base", "sal", "Noradrenalina (base ERRO ~~base~~)"),
        ("apresentacao", "4 mg/4 mL", "8 mg/4 mL", "Apresentação: 4 mg/4 mL ERRO ~~ampola 4 mg/4 mL~~"),
        ("apresentacao.massa", "4 mg", "8 mg", "ampola 4 mg/4 mL; 4 mg ERRO ~~4 mg~~"),
        ("diluicao.diluente", None, "SG 5%", "Diluição: ERRO ~~SG 5%~~ 234 mL"),
        ("diluicao.volume_diluente", "234 mL", "1 mL", "SG 5% 234 mL ERRO ~~234 mL~~"),
        ("diluicao.volume_final", "250 mL", "1 mL", "volume final 250 mL ERRO ~~250 mL~~"),
        ("diluicao.concentracao", "64 mcg/mL", "1 mcg/mL", "· 64 mcg/mL ERRO ~~64 mcg/mL~~"),
        ("posologia.dose.unidade", None, "mcg/kg/mim", "Posologia: ERRO ~~0,1 mcg/kg/min~~ ·"),
        ("posologia.dose", "3 U", "0,1 mcg/kg/min", "Posologia: 3 unidades ERRO ~~0,1 mcg/kg/min~~ ·"),
        ("posologia.peso_kg", "70 kg", "7 kg", "peso 70 kg ERRO ~~70 kg~~"),
        ("posologia.via", None, "IV", "· ERRO ~~IV~~ ·"),
        ("tempo_infusao", "60 min", "24 h", "Tempo de infusão: 60 min ERRO ~~"),
    ],
)
def test_any_field_of_a_row_may_be_wrong(field: str, expected: str | None, found: str, shown: str) -> None:
    finding = Finding("arithmetic.rate", "error", f"{P}.{field}", "errado", expected, found)
    said = entry(wrong(finding))
    assert shown in soft("\n".join((said.title, *said.details)))


def test_a_drug_that_is_wrong_is_struck_in_its_title() -> None:
    finding = Finding("allergy.drug", "error", f"{P}.farmaco", "alergia", None, "Noradrenalina")
    said = entry(wrong(finding))
    assert soft(said.title).startswith("ERRO ~~Noradrenalina~~ (base): ")
    assert soft(said.details[1]) == "ERRO: alergia ERRO ~~Noradrenalina~~"


def test_findings_that_are_no_errors_stand_beside_the_row_and_strike_nothing() -> None:
    path = f"{P}.posologia.dose"
    findings = (
        Finding("dose.unusual", "warning", path, "fora do habitual", "0,05 a 0,15 mcg/kg/min", "0,5 mcg/kg/min"),
        Finding("salt.missing", "unverifiable", P, "base ou sal"),
        Finding("dose.above_max", "conflict", path, "divergem", "1 mcg/kg/min", "2 mcg/kg/min"),
        Finding("dose.unusual", "warning", "farmacoterapia[1].posologia.dose", "é de outra linha"),
    )
    said = entry(wrong(*findings))
    assert said.details[:3] == (
        "conflito: divergem (2 mcg/kg/min)",
        "não verificável: base ou sal",
        "aviso: fora do habitual (0,5 mcg/kg/min)",
    )
    assert "ERRO" not in "".join(said.details)
    assert "Calculado por código" not in "".join(said.details)
    assert "outra linha" not in "".join(said.details)


def test_a_value_of_units_is_struck_in_either_spelling() -> None:
    finding = Finding("dose.above_max", "error", f"{P}.posologia.dose", "acima", "0,04 U/min", "3 U/min")
    dosage = {**ROW["posologia"], "dose": {"valor": Decimal(3), "unidade": "U/min"}}
    said = entry(wrong(finding, posologia=dosage, indicacao="3 U/min ou 3 unidades/min", monitorizacao=None))
    assert soft(said.title).endswith(": ERRO ~~3 U/min~~ ou ERRO ~~3 unidades/min~~")
    (line,) = [soft(line) for line in said.details if line.startswith("Posologia: ")]
    assert line.startswith("Posologia: ERRO ~~3 unidades/min~~ (esperado: 0,04 unidades/min) · ")


@pytest.mark.parametrize(
    ("form", "shown"),
    [
        ("text", "bomba 6,6 mL/h ERRO ~~66 mL/h~~"),
        ("md", "bomba 6,6 mL/h **ERRO** ~~66 mL/h~~"),
        ("html", 'bomba 6,6 mL/h <b class="error">ERRO</b> <del>66 mL/h</del>'),
    ],
)
def test_every_format_strikes_the_wrong_value(form: str, shown: str) -> None:
    forms = {"text": render.to_text, "md": render.to_markdown, "html": render.to_html}
    text = " ".join(soft(forms[form](view.blocks(wrong(RATE)))).split())
    assert shown in text
    left = re.sub(r"~~[^~]*~~|<del>[^<]*</del>", "", text)
    # The texts of the row say it too, with other numbers that stay.
    assert re.findall(r"(?<![\d,])66\s*mL/h(?!/)", left) == []
    assert "660 mL/h" in left


# the note


def test_a_note_has_the_page_and_room_for_the_clinician() -> None:
    result = wrong(RATE)
    made = datetime(2026, 11, 20, 11, 22, tzinfo=UTC)
    text = render.to_text(view.note(result, made))
    lines = text.splitlines()
    assert re.fullmatch(r"Nota de apoio à decisão +2026-11-20 11:22 UTC", lines[0])
    assert lines[1] == result.run.protocol.title
    assert "RESPOSTA RECUSADA: 1 erro em extractive (todos em Conferência)" in lines
    assert "CONDUTA (DO PROTOCOLO, POR CÓDIGO: A RESPOSTA FOI RECUSADA)" in lines
    for heading in ("FARMACOTERAPIA", "CONFERÊNCIA", "RECIBO", "REVISÃO DO PROFISSIONAL RESPONSÁVEL"):
        assert heading in lines
    assert lines.index("REVISÃO DO PROFISSIONAL RESPONSÁVEL") > lines.index("RECIBO")
    assert "[ ] De acordo   [ ] De acordo, com alterações   [ ] Não seguida" in lines
    assert view.SUPPORT in lines
    assert max(map(len, lines)) <= 80


def test_a_page_is_kept_and_printed_again_word_by_word() -> None:
    page_of_it = view.note(wrong(RATE), datetime(2026, 11, 20, 11, 22, tzinfo=UTC))
    kept = json.loads(json.dumps(view.to_json(page_of_it)))
    assert view.from_json(kept) == page_of_it
    assert {type(block) for block in page_of_it} == {view.Title, view.Heading, view.Lines, view.Rows, view.Entries}


def test_errors_are_the_findings_that_refuse() -> None:
    error = Finding("contract.section", "error", "", "x")
    others = [Finding("citation.missing", severity, "", "y") for severity in ("warning", "conflict", "unverifiable")]
    result = answered(shown("sepse_bundle"), *others, error)
    assert (result.errors, result.verified) == ((error,), False)


@pytest.mark.parametrize(
    ("severity", "verified"), [("error", False), ("unverifiable", False), ("conflict", True), ("warning", True)]
)
def test_a_result_is_verified_where_nothing_is_wrong_and_nothing_is_open(severity: Any, verified: bool) -> None:
    result = answered(shown("sepse_bundle"), Finding("citation.missing", severity, "", "x"))
    assert result.verified is verified
    assert replace(result, answer=None).verified is False


def test_the_draft_of_everything_that_ships_is_an_answer() -> None:
    for name in ("sepse_bundle", "hda_triage", "ira_aki"):
        result = shown(name)
        assert result.answer is not None
        assert read_answer(result.answer.to_json()) == (result.answer, [])
        assert result.errors == ()
        # Of this patient little is known: what could not be checked is said, and is no pass.
        assert [each for each in result.findings if each.severity == "unverifiable"]
        assert result.verified is False


def test_what_was_computed_from_a_doubtful_dose_is_not_shown_as_right() -> None:
    dose = Finding("unit.per_kg", "warning", f"{P}.posologia.dose", "confira a unidade", None, "0,1 mcg/min")
    rate = Finding("arithmetic.rate", "error", f"{P}.posologia.velocidade", "conta", "0,0938 mL/h", "66 mL/h")
    (line,) = [soft(line) for line in entry(wrong(dose, rate)).details if line.startswith("Posologia: ")]
    assert "bomba ERRO ~~66 mL/h~~" in line and "0,0938" not in line


def test_text_of_the_answer_cannot_forge_a_struck_value() -> None:
    done = wrong(monitorizacao="ERRO ~~0,1 mcg/kg/min~~ não é erro")
    assert not [line for line in entry(done).details if "~~0,1" in line]
