from __future__ import annotations

import copy
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from gemx.clinical import answer
from gemx.clinical.answer import Answer, check_answer, read_answer
from gemx.clinical.findings import Finding
from gemx.documents import Passage

# The example of DESIGN.md.
EXAMPLE: dict[str, Any] = {
    "resumo": "Choque séptico",
    "avaliacao": [
        {
            "achado": "PAM 57 mmHg",
            "interpretacao": "hipotensão",
            "fontes": [{"id": "sepse#pam", "trecho": "alvo de 65 mmHg"}],
        }
    ],
    "farmacoterapia": [
        {
            "farmaco": "noradrenalina",
            "base_ou_sal": "base",
            "indicacao": "choque",
            "apresentacao": {
                "texto": "ampola 4 mg/4 mL",
                "massa": {"valor": 4, "unidade": "mg"},
                "volume": {"valor": 4, "unidade": "mL"},
            },
            "quantidade": 4,
            "diluicao": {
                "diluente": "SG 5%",
                "volume_diluente": {"valor": 234, "unidade": "mL"},
                "volume_final": {"valor": 250, "unidade": "mL"},
                "concentracao": {"valor": 64, "unidade": "mcg/mL"},
            },
            "posologia": {
                "dose": {"valor": 0.1, "unidade": "mcg/kg/min"},
                "peso_kg": 70,
                "dose_total": None,
                "dose_diaria": None,
                "via": "IV",
                "intervalo_h": None,
                "velocidade": {"valor": 6.6, "unidade": "mL/h"},
                "dose_maxima": None,
                "duracao": None,
            },
            "fontes": [],
        }
    ],
    "criterios_decisao": [{"se": "PAM < 65", "entao": "subir", "fontes": []}],
    "checklist": [{"item": "lactato", "prazo_min": 60, "fontes": []}],
}
PASSAGES = [Passage("sepse#pam", "PAM: alvo\n de 65   mmHg nas primeiras horas.", "PAM", "sepse.md", 0, 1)]


def changed(path: str, value: Any) -> dict[str, Any]:
    """The example with one value replaced; `path` is dotted."""
    example = copy.deepcopy(EXAMPLE)
    *way, last = path.split(".")
    node: Any = example
    for part in way:
        node = node[int(part)] if part.isdigit() else node[part]
    node[int(last) if last.isdigit() else last] = value
    return example


def valid(value: Any) -> Answer:
    found, findings = read_answer(value if isinstance(value, str) else json.dumps(value))
    assert findings == []
    assert found is not None
    return found


def broken(value: Any) -> list[Finding]:
    found, findings = read_answer(value if isinstance(value, str) else json.dumps(value))
    assert found is None
    assert all(finding.severity == "error" for finding in findings)
    assert findings
    return findings


def test_the_example_is_an_answer_and_comes_back_whole() -> None:
    found = valid(EXAMPLE)
    assert found.farmacoterapia[0].posologia is not None
    assert found.farmacoterapia[0].posologia.dose is not None
    assert found.farmacoterapia[0].posologia.dose.valor == Decimal("0.1")
    again = json.loads(found.to_json())
    assert again["farmacoterapia"][0]["posologia"]["velocidade"] == {"valor": 6.6, "unidade": "mL/h"}
    assert again["nao_fazer"] == []
    assert again["destino"] is None
    assert read_answer(found.to_json()) == (found, [])


def test_in_a_row_everything_but_the_drug_may_be_missing_or_null() -> None:
    for row in ({"farmaco": "x"}, dict.fromkeys(EXAMPLE["farmacoterapia"][0]) | {"farmaco": "x", "fontes": []}):
        assert valid(changed("farmacoterapia.0", row)).farmacoterapia[0].posologia is None


@pytest.mark.parametrize("path", ["resumo", "avaliacao", "farmacoterapia", "criterios_decisao", "checklist"])
def test_the_sections_are_required(path: str) -> None:
    example = copy.deepcopy(EXAMPLE)
    del example[path]
    assert [(item.code, item.path) for item in broken(example)] == [("contract.schema", path)]


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        ("resumo", "", "resumo"),
        ("resumo", 3, "resumo"),
        ("resumo", "x" * 2001, "resumo"),
        ("score", 3, "score"),
        ("checklist.0.score", 3, "checklist[0].score"),
        ("checklist.0.prazo_min", 1.5, "checklist[0].prazo_min"),
        ("checklist.0.prazo_min", -1, "checklist[0].prazo_min"),
        ("checklist.0.prazo_min", "60", "checklist[0].prazo_min"),
        ("checklist.0.prazo_min", True, "checklist[0].prazo_min"),
        ("farmacoterapia.0.farmaco", None, "farmacoterapia[0].farmaco"),
        ("farmacoterapia.0.base_ou_sal", "ambos", "farmacoterapia[0].base_ou_sal"),
        ("farmacoterapia.0.modo", "contínua", "farmacoterapia[0].modo"),
        ("farmacoterapia.0.quantidade", -1, "farmacoterapia[0].quantidade"),
        ("farmacoterapia.0.quantidade", "4", "farmacoterapia[0].quantidade"),
        ("farmacoterapia.0.quantidade", True, "farmacoterapia[0].quantidade"),
        ("farmacoterapia.0.quantidade", 1000000001, "farmacoterapia[0].quantidade"),
        ("farmacoterapia.0.posologia.dose", "0,1 mcg/kg/min", "farmacoterapia[0].posologia.dose"),
        ("farmacoterapia.0.posologia.dose.unidade", None, "farmacoterapia[0].posologia.dose.unidade"),
        ("avaliacao.0.fontes", [{"id": "x"}], "avaliacao[0].fontes[0].trecho"),
        ("avaliacao", [EXAMPLE["avaliacao"][0]] * 61, "avaliacao"),
        ("destino", {"local": "UTI"}, "destino.justificativa"),
    ],
)
def test_a_violation_is_named_by_its_path(path: str, value: Any, where: str) -> None:
    assert [(item.code, item.path) for item in broken(changed(path, value))] == [("contract.schema", where)]


def test_every_violation_is_a_finding_up_to_twenty() -> None:
    example = changed("resumo", "")
    example["checklist"] = [{}] * 5
    assert len(broken(example)) == 6
    example["checklist"] = [{}] * 50
    assert len(broken(example)) == 20


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON",
        "```json\n{}\n```",
        '{"resumo": "a", "resumo": "b"}',
        '{"resumo": NaN}',
        json.dumps(EXAMPLE) + "x",
        json.dumps(EXAMPLE).replace("6.6", "1e999"),
        json.dumps(EXAMPLE).replace("6.6", "1e-999999999"),
        json.dumps(EXAMPLE).replace("6.6", "1e9999999999999999999"),
        "[" * 100_000,
    ],
)
def test_what_is_no_strict_json_is_one_finding(text: str) -> None:
    (finding,) = broken(text)
    assert (finding.code, finding.path) == ("contract.json", "")
    assert finding.message.startswith("not JSON: ")


@pytest.mark.parametrize("text", ["[]", "3", "null", '"x"'])
def test_an_answer_is_an_object(text: str) -> None:
    (finding,) = broken(text)
    assert (finding.code, finding.path) == ("contract.schema", "")


@pytest.mark.parametrize(
    "trecho", ["alvo de 65 mmHg", " alvo  de\n65 mmHg ", "PAM: alvo de 65 mmHg nas primeiras horas."]
)
def test_a_quotation_must_be_there_white_space_apart(trecho: str) -> None:
    found = valid(changed("avaliacao.0.fontes.0.trecho", trecho))
    assert check_answer(found, PASSAGES, []) == []


@pytest.mark.parametrize("trecho", ["alvo de 60 mmHg", "Alvo de 65 mmHg", "alvode 65", "primeiras horas. E mais"])
def test_a_quotation_that_is_not_there_is_an_error(trecho: str) -> None:
    found = valid(changed("avaliacao.0.fontes.0.trecho", trecho))
    (finding,) = check_answer(found, PASSAGES, [])
    assert (finding.code, finding.severity, finding.path) == (
        "citation.words",
        "error",
        "avaliacao[0].fontes[0].trecho",
    )


def test_a_citation_of_no_passage_is_an_error_wherever_it_stands() -> None:
    wrong = {"fontes": [{"id": "inventado#x", "trecho": "y"}]}
    example = copy.deepcopy(EXAMPLE)
    for section in ("avaliacao", "farmacoterapia", "criterios_decisao", "checklist"):
        example[section][0] |= wrong
    example["nao_fazer"] = [{"item": "x", **wrong}]
    example["destino"] = {"local": "UTI", "justificativa": "choque", **wrong}
    findings = check_answer(valid(example), PASSAGES, [])
    assert {finding.code for finding in findings} == {"citation.unknown"}
    assert [finding.path for finding in findings] == [
        "avaliacao[0].fontes[0].id",
        "farmacoterapia[0].fontes[0].id",
        "criterios_decisao[0].fontes[0].id",
        "checklist[0].fontes[0].id",
        "nao_fazer[0].fontes[0].id",
        "destino.fontes[0].id",
    ]


def test_a_section_that_is_required_may_not_be_empty() -> None:
    found = valid(changed("checklist", []))
    assert check_answer(found, PASSAGES, ["farmacoterapia"]) == []
    (finding,) = check_answer(found, PASSAGES, ["farmacoterapia", "checklist"])
    assert (finding.code, finding.path) == ("contract.section", "checklist")


def test_the_schema_agrees_with_the_reader() -> None:
    schema = answer.json_schema()
    Draft202012Validator.check_schema(schema)
    checks = Draft202012Validator(schema)
    assert checks.is_valid(EXAMPLE)
    for path, value in [
        ("resumo", ""),
        ("score", 1),
        ("checklist.0.prazo_min", "60"),
        ("farmacoterapia.0.quantidade", -1),
        ("farmacoterapia.0.quantidade", "4"),
        ("farmacoterapia.0.base_ou_sal", "ambos"),
        ("avaliacao.0.fontes", [{"id": "x"}]),
    ]:
        assert not checks.is_valid(changed(path, value))


def test_the_schema_is_bare_of_what_every_call_would_pay_for() -> None:
    def keys(node: Any) -> set[str]:
        if isinstance(node, list):
            return set().union(*map(keys, node)) if node else set()
        if not isinstance(node, dict):
            return set()
        return set(node).union(*map(keys, node.values()))

    assert not keys(answer.json_schema()) & {"title", "description"}
    assert "farmaco" in keys(answer.json_schema())


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Decimal("4.0"), 4),
        (Decimal("6.6"), 6.6),
        (Decimal("0"), 0),
        ((Decimal(1), "x"), [1, "x"]),
        ({1: None}, {"1": None}),
    ],
)
def test_plain_values(value: Any, plain: Any) -> None:
    found = answer.plain(value)
    assert found == plain
    assert type(found) is type(plain)


@given(st.decimals(0, 10**9, places=3))
def test_a_number_is_the_one_that_was_written(number: Decimal) -> None:
    text = json.dumps(EXAMPLE).replace("6.6", str(number))
    posology = valid(text).farmacoterapia[0].posologia
    assert posology is not None
    assert posology.velocidade is not None
    assert posology.velocidade.valor == number
