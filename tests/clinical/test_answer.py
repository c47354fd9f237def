from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from gemx.clinical import answer
from gemx.clinical.answer import Answer, read_answer
from gemx.clinical.checks import statements
from gemx.clinical.checks.case import words_of
from gemx.clinical.findings import Finding
from gemx.documents import Passage


def check_answer(found: Answer, passages: Sequence[Passage], sections: Sequence[str]) -> list[Finding]:
    return [*statements.sections(found, sections), *statements.citations(found, words_of(passages))]


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
                "volume": None,
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
PASSAGE = "PAM: alvo de 65 mmHg nas primeiras horas."


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


def found_in(value: Any, sections: Sequence[str] = ()) -> list[Finding]:
    """What is wrong with a well-formed answer, statements without a source aside."""
    return [item for item in check_answer(valid(value), PASSAGES, sections) if item.code != "citation.missing"]


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
    assert broken(example) == [Finding("contract.schema", "error", path, "falta este campo")]


@pytest.mark.parametrize(
    ("path", "value", "where", "message"),
    [
        ("resumo", "", "resumo", "este texto não pode ficar vazio"),
        ("resumo", 3, "resumo", "esperado um texto"),
        ("resumo", "x" * 2001, "resumo", "texto longo demais; no máximo 2000 caracteres"),
        ("score", 3, "", "o campo 'score' não existe no contrato"),
        ("checklist.0.score", 3, "checklist[0]", "o campo 'score' não existe no contrato"),
        ("checklist.0.prazo_min", 1.5, "checklist[0].prazo_min", "esperado um número inteiro"),
        ("checklist.0.prazo_min", -1, "checklist[0].prazo_min", "esperado no mínimo 0"),
        ("checklist.0.prazo_min", "60", "checklist[0].prazo_min", "esperado um número inteiro"),
        ("checklist.0.prazo_min", True, "checklist[0].prazo_min", "esperado um número inteiro"),
        ("farmacoterapia.0.farmaco", None, "farmacoterapia[0].farmaco", "esperado um texto"),
        ("farmacoterapia.0.quantidade", -1, "farmacoterapia[0].quantidade", "-1 não está entre 0 e 1000000000"),
        ("farmacoterapia.0.quantidade", "4", "farmacoterapia[0].quantidade", "esperado um número, não '4'"),
        ("farmacoterapia.0.quantidade", True, "farmacoterapia[0].quantidade", "esperado um número, não 'True'"),
        (
            "farmacoterapia.0.quantidade",
            1000000001,
            "farmacoterapia[0].quantidade",
            "1000000001 não está entre 0 e 1000000000",
        ),
        ("farmacoterapia.0.posologia.dose", "0,1 mcg/kg/min", "farmacoterapia[0].posologia.dose", "esperado um objeto"),
        (
            "farmacoterapia.0.posologia.dose.unidade",
            None,
            "farmacoterapia[0].posologia.dose.unidade",
            "esperado um texto",
        ),
        ("avaliacao.0.fontes", [{"id": "x"}], "avaliacao[0].fontes[0].trecho", "falta este campo"),
        ("avaliacao", [EXAMPLE["avaliacao"][0]] * 61, "avaliacao", "itens demais; no máximo 60"),
        ("destino", {"local": "UTI"}, "destino.justificativa", "falta este campo"),
    ],
)
def test_a_violation_is_named_by_its_path(path: str, value: Any, where: str, message: str) -> None:
    assert broken(changed(path, value)) == [Finding("contract.schema", "error", where, message)]


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        ("farmacoterapia.0.base_ou_sal", "ambos", "farmacoterapia[0].base_ou_sal"),
        ("farmacoterapia.0.modo", "contínua", "farmacoterapia[0].modo"),
    ],
)
def test_a_wrong_word_is_told_those_there_are(path: str, value: str, where: str) -> None:
    (finding,) = broken(changed(path, value))
    assert (finding.code, finding.path) == ("contract.schema", where)
    assert finding.message.startswith("esperado um de: '")
    assert ("'base'" in finding.message) == ("base_ou_sal" in path)


def test_more_of_a_list_or_of_an_object_is_told_in_portuguese() -> None:
    told = {
        "avaliacao": ({}, "esperada uma lista"),
        "avaliacao.0": (3, "esperado um objeto"),
        "checklist.0.prazo_min": (100_001, "esperado no máximo 100000"),
    }
    for path, (value, message) in told.items():
        assert [item.message for item in broken(changed(path, value))] == [message]


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
    assert finding.message.startswith("não é JSON válido: ")


@pytest.mark.parametrize("text", ["[]", "3", "null", '"x"'])
def test_an_answer_is_an_object(text: str) -> None:
    assert broken(text) == [Finding("contract.schema", "error", "", "esperado um objeto")]


@pytest.mark.parametrize(
    "trecho", ["alvo de 65 mmHg", " alvo  de\n65 mmHg ", "PAM: alvo de 65 mmHg nas primeiras horas.", "alvo de 65"]
)
def test_a_quotation_must_be_there_white_space_apart(trecho: str) -> None:
    assert found_in(changed("avaliacao.0.fontes.0.trecho", trecho)) == []


@pytest.mark.parametrize("trecho", ["alvo de 60 mmHg", "Alvo de 65 mmHg", "alvode 65", "primeiras horas. E mais"])
def test_a_quotation_that_is_not_there_is_an_error(trecho: str) -> None:
    message = "estas palavras não estão no trecho sepse#pam"
    assert found_in(changed("avaliacao.0.fontes.0.trecho", trecho)) == [
        Finding("citation.words", "error", "avaliacao[0].fontes[0].trecho", message, PASSAGE, trecho)
    ]


@pytest.mark.parametrize("trecho", ["de", "a", " ", "alvo de", "65  mmHg"])
def test_a_quotation_of_fewer_than_three_words_proves_nothing(trecho: str) -> None:
    message = "menos de 3 palavras não provam o que diz o trecho sepse#pam"
    assert found_in(changed("avaliacao.0.fontes.0.trecho", trecho)) == [
        Finding("citation.words", "error", "avaliacao[0].fontes[0].trecho", message, PASSAGE, trecho)
    ]


def test_a_whole_passage_may_be_short() -> None:
    found = valid(changed("avaliacao.0.fontes.0", {"id": "sepse#meta", "trecho": "PAM  65"}))
    passages = [*PASSAGES, Passage("sepse#meta", "PAM 65\n", "Meta", "sepse.md", 0, 1)]
    assert {item.code for item in check_answer(found, passages, [])} == {"citation.missing"}


def test_a_statement_without_a_source_is_a_warning_wherever_it_stands() -> None:
    example = changed("avaliacao.0.fontes", [])
    example["nao_fazer"] = [{"item": "x"}]
    example["destino"] = {"local": "UTI", "justificativa": "choque"}
    places = ("avaliacao[0]", "farmacoterapia[0]", "criterios_decisao[0]", "checklist[0]", "nao_fazer[0]", "destino")
    assert check_answer(valid(example), PASSAGES, []) == [
        Finding("citation.missing", "warning", f"{place}.fontes", "afirmação sem fonte") for place in places
    ]


def test_a_citation_of_no_passage_is_an_error_wherever_it_stands() -> None:
    wrong = {"fontes": [{"id": "inventado#x", "trecho": "y"}]}
    example = copy.deepcopy(EXAMPLE)
    for section in ("avaliacao", "farmacoterapia", "criterios_decisao", "checklist"):
        example[section][0] |= wrong
    example["nao_fazer"] = [{"item": "x", **wrong}]
    example["destino"] = {"local": "UTI", "justificativa": "choque", **wrong}
    places = ("avaliacao[0]", "farmacoterapia[0]", "criterios_decisao[0]", "checklist[0]", "nao_fazer[0]", "destino")
    message = "este trecho não existe"
    assert check_answer(valid(example), PASSAGES, []) == [
        Finding("citation.unknown", "error", f"{place}.fontes[0].id", message, "sepse#pam", "inventado#x")
        for place in places
    ]


def test_a_section_that_is_required_may_not_be_empty() -> None:
    empty = changed("checklist", [])
    assert found_in(empty, ["farmacoterapia"]) == []
    message = "esta seção não pode ficar vazia"
    assert found_in(empty, ["farmacoterapia", "checklist"]) == [
        Finding("contract.section", "error", "checklist", message)
    ]


def test_the_schema_agrees_with_the_reader() -> None:
    schema = answer.json_schema()
    Draft202012Validator.check_schema(schema)
    checks = Draft202012Validator(schema)
    assert checks.is_valid(EXAMPLE)
    for path, value in [
        ("resumo", 3),
        ("score", 1),
        ("checklist.0.prazo_min", "60"),
        ("farmacoterapia.0.quantidade", -1),
        ("farmacoterapia.0.quantidade", "4"),
        ("farmacoterapia.0.base_ou_sal", "ambos"),
        ("avaliacao.0.fontes", [{"id": "x"}]),
        ("avaliacao", EXAMPLE["avaliacao"] * 61),
        ("farmacoterapia.0.posologia.volume", "5 mL"),
    ]:
        assert not checks.is_valid(changed(path, value))
        assert broken(changed(path, value))


@pytest.mark.parametrize(
    ("path", "longest"), [("resumo", 2000), ("farmacoterapia.0.farmaco", 200), ("avaliacao.0.fontes.0.id", 200)]
)
def test_the_lengths_of_texts_are_the_readers_alone(path: str, longest: int) -> None:
    checks = Draft202012Validator(answer.json_schema())
    for text in ("", "x" * (longest + 1)):
        assert checks.is_valid(changed(path, text))
        (finding,) = broken(changed(path, text))
        assert finding.code == "contract.schema"
    valid(changed(path, "x" * longest))


def test_the_volume_drawn_up_for_one_dose_may_be_given() -> None:
    posology = valid(changed("farmacoterapia.0.posologia.volume", {"valor": 2.5, "unidade": "mL"}))
    dosage = posology.farmacoterapia[0].posologia
    assert dosage is not None
    assert dosage.volume == answer.Amount(valor=Decimal("2.5"), unidade="mL")


def test_the_schema_is_bare_of_what_every_call_would_pay_for() -> None:
    def keys(node: Any) -> set[str]:
        if isinstance(node, list):
            return set().union(*map(keys, node)) if node else set()
        if not isinstance(node, dict):
            return set()
        return set(node).union(*map(keys, node.values()))

    # llama.cpp's own grammars unroll the lengths of texts, and end its server
    assert not keys(answer.json_schema()) & {"title", "description", "minLength", "maxLength"}
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
