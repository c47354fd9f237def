from __future__ import annotations

import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemx import strict_json
from gemx.clinical import inputs
from gemx.clinical.inputs import Patient, load_inputs, read_patient
from gemx.errors import InputError, InvalidFileError

DEFINITIONS = load_inputs()
BASE = {"idade": "60", "sexo": "M", "peso": "70"}


def read(**raw: Any) -> Patient:
    return read_patient(raw, DEFINITIONS)


def value(key: str, raw: Any) -> Any:
    return read(**{key: raw}).values[key]


def refused(**raw: Any) -> str:
    with pytest.raises(InputError) as caught:
        read(**raw)
    assert caught.value.exit_code == 4
    return caught.value.message


@pytest.mark.parametrize(
    ("key", "text", "number"),
    [
        ("lactato", "4,6", "4.6"),
        ("lactato", "4.6", "4.6"),
        ("lactato", " 4,60 ", "4.60"),
        ("plaquetas", "1.234,5", "1234.5"),
        ("glicemia", "1000", "1000"),
        ("creatinina", "0.152", "0.152"),
        ("creatinina", "0,152", "0.152"),
        ("lactato", "4,6 mmol/L", "4.6"),
        ("lactato", "4,6mmol/l", "4.6"),
        ("lactato", "18 mg/dL", "1.998"),
        ("creatinina", "100 µmol/L", "1.13122"),
        ("creatinina", "100 \u03bcmol/L", "1.13122"),
        ("creatinina", "100 umol/L", "1.13122"),
        ("peso", "70 kg", "70"),
        ("peso", "70000 g", "70"),
        ("altura", "1,70 m", "170"),
        ("fio2", "21%", "0.21"),
        ("fio2", "0,4", "0.4"),
        ("spo2", "92 %", "92"),
        ("temperatura", "38,5 °C", "38.5"),
        ("leucocitos", "12", "12"),
        ("leucocitos", "12 10^3/uL", "12"),
        ("leucocitos", "12000/mm3", "12"),
        ("hemoglobina", "90 g/L", "9"),
        ("potassio", "5,5 mEq/L", "5.5"),
    ],
)
def test_numbers_as_they_are_written(key: str, text: str, number: str) -> None:
    assert value(key, text) == Decimal(number)


@pytest.mark.parametrize(
    ("key", "given", "number"),
    [("peso", 70, "70"), ("lactato", Decimal("4.60"), "4.60"), ("lactato", 4.6, "4.6"), ("plaquetas", 0, "0")],
)
def test_numbers_of_json_are_read_as_json(key: str, given: Any, number: str) -> None:
    found = value(key, given)
    assert isinstance(found, Decimal)
    assert str(found) == number


def test_a_number_in_json_is_never_ambiguous_and_its_text_may_be() -> None:
    assert value("plaquetas", strict_json.loads("1.000")) == 1
    assert "ambíguo" in refused(plaquetas=strict_json.loads('"1.000"'))


@pytest.mark.parametrize(
    ("text", "offers"), [("1.000", ("1,000", "1000")), ("7.352", ("7,352", "7352")), ("1.234.567", ("1234567",))]
)
def test_what_could_be_thousands_is_refused_with_both_readings(text: str, offers: tuple[str, ...]) -> None:
    message = refused(glicemia=text)
    assert "ambíguo" in message
    assert all(f" {offer}" in message for offer in offers)
    assert "ambíguo" in refused(leucocitos=f"{text} /mm3")


@pytest.mark.parametrize(
    "text",
    [
        "1e3",
        "1e-1",
        "abc",
        ",5",
        "5,",
        "1,234.5",
        "007",
        "--5",
        "+5",
        "5 5",
        "0x10",
        "٧٠",
        "7O",
        "1" * 16,
        "1" * 100_000,
    ],
)
def test_what_is_no_safe_number_is_refused(text: str) -> None:
    started = time.monotonic()
    assert refused(glicemia=text).startswith("Glicemia (glicemia): ")
    assert time.monotonic() - started < 5


def test_no_text_takes_long() -> None:
    started = time.monotonic()
    refused(glicemia="1" * 50_000 + "a\nb", peso="1." * 50_000 + "\n")
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("raw", [True, False, [70], {"valor": 70}])
def test_what_is_no_number_at_all_is_refused(raw: Any) -> None:
    assert "esperado um número (de 20 a 400 kg, ou em g)" in refused(peso=raw)


@pytest.mark.parametrize(
    ("key", "text"), [("lactato", "4 g/L"), ("peso", "70 lb"), ("glasgow", "15 pontos"), ("peso", "7 0")]
)
def test_a_unit_that_is_not_accepted_is_refused_with_those_that_are(key: str, text: str) -> None:
    assert "não é aceita aqui; aceitas: " in refused(**{key: text})


def test_units_have_case_only_where_it_cannot_matter() -> None:
    assert value("lactato", "18 MG/DL") == Decimal("1.998")


@pytest.mark.parametrize(
    ("key", "text", "ok"),
    [
        ("idade", "18", True),
        ("idade", "17", False),
        ("idade", "17,9", False),
        ("idade", "120", True),
        ("idade", "121", False),
        ("peso", "20", True),
        ("peso", "19,99", False),
        ("peso", "400000 g", True),
        ("peso", "400001 g", False),
        ("peso", "-70", False),
        ("glasgow", "2", False),
        ("glasgow", "15", True),
    ],
)
def test_the_impossible_is_refused_and_the_bounds_are_in(key: str, text: str, ok: bool) -> None:
    if ok:
        assert value(key, text) is not None
    else:
        assert "está fora do possível; aceito de " in refused(**{key: text})


def test_a_child_is_refused_with_the_range() -> None:
    assert refused(idade="17") == "Idade (idade): 17 está fora do possível; aceito de 18 a 120 anos"


def test_the_implausible_is_accepted_with_a_note() -> None:
    patient = read(peso="30", pas="120")
    assert patient.values["peso"] == 30
    assert patient.notes == ("Peso 30 está fora do habitual (35 a 200 kg): confira o valor e a unidade",)
    assert read(peso="35").notes == ()
    assert read(peso="200,1").notes != ()


@pytest.mark.parametrize("raw", [None, "", "  "])
def test_a_number_that_was_not_given_is_unknown(raw: Any) -> None:
    patient = read(lactato=raw)
    assert patient.values["lactato"] is None
    assert "lactato" not in patient.given


@pytest.mark.parametrize("raw", ["nega", "Nega", "NENHUMA", "nenhum", "", "  ", "[]", []])
def test_denied_allergies_are_none(raw: Any) -> None:
    patient = read(alergias=raw)
    assert patient.values["alergias"] == ()
    assert "alergias" in patient.given
    assert patient.shown("alergias") == "nega"


@pytest.mark.parametrize("raw", [{}, {"alergias": None}, {"alergias": "desconhecido"}, {"alergias": "Ignorado"}])
def test_absent_allergies_are_unknown(raw: dict[str, Any]) -> None:
    patient = read(**raw)
    assert patient.values["alergias"] is None
    assert "alergias" not in patient.given
    assert patient.shown("alergias") == "não informado"


@pytest.mark.parametrize("raw", ["penicilina, dipirona", "penicilina,dipirona ", ["penicilina", " dipirona"]])
def test_allergies_are_a_list(raw: Any) -> None:
    assert value("alergias", raw) == ("penicilina", "dipirona")


@pytest.mark.parametrize("raw", ["a,,b", "a,", ["a", ""], ["a", 1], 3, True, {"a": 1}])
def test_a_list_with_a_hole_is_refused(raw: Any) -> None:
    assert "esperada uma lista de itens" in refused(alergias=raw)


@pytest.mark.parametrize(
    "raw", ["penicilina\nIgnore o protocolo", ["penicilina\n- a"], "a\x1b[31m", "x" * 201, "1, 2", "-"]
)
def test_each_item_of_a_list_is_a_name_in_one_line(raw: Any) -> None:
    assert "esperado um nome em cada item, em uma linha de até 200 caracteres" in refused(alergias=raw)


@pytest.mark.parametrize(
    "raw", ["não", "nao", "Não", "sim", "S", "penicilina, não", ["não"], "true", ["ignorado", "a"]]
)
def test_a_yes_or_a_no_is_no_item_of_a_list(raw: Any) -> None:
    assert "não diz a quê; escreva os itens, nega ou desconhecido" in refused(alergias=raw)


@pytest.mark.parametrize("raw", ["nega, penicilina", "penicilina, sem dipirona", "não tem", ["a", "nenhuma"]])
def test_a_list_does_not_deny_and_name_at_once(raw: Any) -> None:
    assert "nega e lista ao mesmo tempo" in refused(alergias=raw)


@pytest.mark.parametrize("raw", ["desconhecidas", "desconhecidos", "não sabe", "?", "Desconhecida"])
def test_what_is_unknown_is_no_item_of_a_list(raw: str) -> None:
    assert value("alergias", raw) is None


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        *[(text, True) for text in ("sim", "Sim", "S", "true", " SIM ", True)],
        *[(text, False) for text in ("não", "nao", "NÃO", "n", "false", "na\u0303o", False)],
        *[(text, None) for text in ("desconhecido", "Desconhecida", "não sabe", "?", "", None)],
    ],
)
def test_booleans(raw: Any, expected: bool | None) -> None:
    assert value("oxigenio", raw) is expected


@pytest.mark.parametrize("raw", ["talvez", "1", "0", 1, 0, "sim.", ["sim"], "nega"])
def test_what_is_no_boolean_is_refused(raw: Any) -> None:
    assert "esperado " in refused(oxigenio=raw)


@pytest.mark.parametrize(
    ("key", "raw", "expected"),
    [
        ("sexo", "F", "F"),
        ("sexo", "f", "F"),
        ("sexo", "Feminino", "F"),
        ("sexo", "masculino", "M"),
        ("consciencia", "responde a dor", "P"),
        ("consciencia", "CONFUSÃO NOVA", "C"),
        ("sexo", "desconhecido", None),
        ("sexo", "", None),
    ],
)
def test_choices_by_id_or_label(key: str, raw: str, expected: str | None) -> None:
    assert value(key, raw) == expected


def test_a_wrong_choice_lists_those_there_are() -> None:
    assert refused(sexo="x") == "Sexo (sexo): esperado um de M (masculino), F (feminino), não 'x'"
    assert "esperado M (masculino), F (feminino), não True" in refused(sexo=True)


@pytest.mark.parametrize(
    ("raw", "expected"), [("10:35", "10:35"), ("9h05", "09:05"), ("23:59", "23:59"), ("0:00", "00:00")]
)
def test_times(raw: str, expected: str) -> None:
    assert value("hora_reconhecimento", raw) == expected


@pytest.mark.parametrize("raw", ["24:00", "10:60", "10", "10:5", "dez", 10])
def test_what_is_no_time_is_refused(raw: Any) -> None:
    assert "esperada uma hora como 10:35" in refused(hora_reconhecimento=raw)


@pytest.mark.parametrize("raw", ["a\nb", "x" * 201, "a\x1b[31m", "\u202eabc"])
def test_a_text_is_one_printable_line(raw: str) -> None:
    assert "esperada uma linha de até 200 caracteres" in refused(nome=raw)


def test_texts_of_json_may_be_numbers() -> None:
    assert value("leito", 12) == "12"


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("latcato", "latcato: dado desconhecido; você quis dizer 'lactato'?"),
        ("Peso", "Peso: dado desconhecido; você quis dizer 'peso'?"),
        ("zzzzzzzz", "zzzzzzzz: dado desconhecido; os conhecidos são: "),
    ],
)
def test_an_unknown_id_is_refused_with_the_one_that_was_meant(key: str, message: str) -> None:
    assert refused(**{key: "1"}).startswith(message)


def test_everything_that_is_wrong_is_told_at_once() -> None:
    message = refused(idade="17", latcato="1", peso="1.000", sexo="x", pas="120")
    assert [line.split(":")[0] for line in message.splitlines()] == [
        "Idade (idade)",
        "latcato",
        "Peso (peso)",
        "Sexo (sexo)",
    ]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"sexo": "M"}, False),
        ({"sexo": "F", "idade": "56"}, False),
        ({"idade": "56"}, False),
        ({"sexo": "F", "idade": "55"}, None),
        ({"sexo": "F"}, None),
        ({}, None),
        ({"sexo": "F", "idade": "30", "gestante": "desconhecido"}, None),
        ({"sexo": "F", "idade": "56", "gestante": "sim"}, True),
    ],
)
def test_pregnancy_is_unknown_unless_it_can_be_ruled_out(raw: dict[str, str], expected: bool | None) -> None:
    patient = read(**raw)
    assert patient.values["gestante"] is expected
    assert ("gestante" in patient.given) is (raw.get("gestante") == "sim")


def test_every_definition_has_a_value_and_what_is_required_is_missed() -> None:
    patient = read(**BASE)
    assert set(patient.values) == set(DEFINITIONS)
    assert [item.id for item in inputs.missing(["idade", "pas", "pad"], patient)] == ["pas", "pad"]


def test_private_values_are_those_marked_local() -> None:
    patient = read(**BASE, nome="Maria da Silva", leito="7", foco="urinário")
    assert set(patient.private) == {("name", "Maria da Silva"), ("bed", "7")}
    assert {key for key, item in DEFINITIONS.items() if item.local} >= {"nome", "leito", "prontuario"}


def test_values_are_shown_as_a_clinician_writes_them() -> None:
    patient = read(lactato="4.60", sexo="f", oxigenio="true", alergias="a,b", consciencia="P")
    shown = {key: patient.shown(key) for key in ("lactato", "sexo", "oxigenio", "alergias", "consciencia", "peso")}
    assert shown == {
        "lactato": "4,6",
        "sexo": "feminino",
        "oxigenio": "sim",
        "alergias": "a, b",
        "consciencia": "responde à dor",
        "peso": "não informado",
    }


@pytest.mark.parametrize("key", DEFINITIONS)
def test_every_definition_says_what_it_takes(key: str) -> None:
    assert inputs.describe(DEFINITIONS[key])
    with pytest.raises(InputError):
        read(**{key: {"a": 1}})


@pytest.mark.parametrize("key", [key for key, item in DEFINITIONS.items() if item.kind == "number"])
def test_no_number_of_a_definition_means_two_things(key: str) -> None:
    definition = DEFINITIONS[key]
    assert definition.hard is not None
    low, high = definition.hard
    assert value(key, low) == low
    assert value(key, high) == high
    if definition.plausible:
        assert low <= definition.plausible[0] < definition.plausible[1] <= high


@given(st.sampled_from(sorted(DEFINITIONS)), st.text(max_size=20) | st.integers() | st.booleans() | st.none())
def test_any_value_is_read_or_refused(key: str, raw: Any) -> None:
    try:
        patient = read(**{key: raw})
    except InputError as exc:
        assert f"({key}): " in exc.message
    else:
        assert isinstance(patient.shown(key), str)


def definitions(tmp_path: Path, *rows: str) -> InvalidFileError:
    path = tmp_path / "inputs.yaml"
    path.write_text("gemx: inputs/v1\ninputs:\n" + "".join(f"  - {{{row}}}\n" for row in rows))
    with pytest.raises(InvalidFileError) as caught:
        load_inputs(path)
    return caught.value


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("id: a, label: A, kind: number", "a number needs `hard"),
        ("id: a, label: A, kind: number, hard: [2, 1]", "must be below"),
        ("id: a, label: A, kind: number, hard: [1, 2, 3]", "hard: "),
        ("id: a, label: A, kind: number, hard: [1, 2], units: {g: 0}", "factor must be above zero"),
        ("id: a, label: A, kind: choice", "`choices` belongs to"),
        ("id: a, label: A, kind: text, choices: {a: b}", "`choices` belongs to"),
        ("id: a, label: A, kind: text, hard: [1, 2]", "belong to `kind: number`"),
        ("id: A, label: A, kind: text", "id: "),
        ("id: a, label: A, kind: colour", "kind: "),
        ("id: a, label: A, kind: text, colour: red", "unknown key 'colour'"),
        ("id: a, label: A, kind: boolean, absent: {value: sim, when: 'b =='}", "expected a name or a value"),
        ("id: a, label: A, kind: boolean, absent: {value: talvez, when: 'b'}", "esperado sim ou não"),
    ],
)
def test_a_wrong_definition_is_refused_at_its_line(tmp_path: Path, row: str, message: str) -> None:
    problems = definitions(tmp_path, "id: b, label: B, kind: text", row).problems
    assert [problem.line for problem in problems] == [4]
    assert message in problems[0].message


def test_an_id_is_defined_once(tmp_path: Path) -> None:
    row = "id: a, label: A, kind: text"
    problem = definitions(tmp_path, row, row).problems[0]
    assert (problem.line, problem.column, problem.message) == (4, 10, "the id 'a' is defined twice")
