"""The inputs of a flow, from CSV, JSONL and flags."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from gemx import strict_json
from gemx.errors import InputError
from gemx.flow import inputs
from gemx.flow.schema import Flow


def flow(**declared: dict[str, Any]) -> Flow:
    steps = [{"id": "a", "write": {"path": "x", "content": "y"}}]
    return Flow.model_validate({"gemx": "flow/v1", "inputs": declared, "steps": steps})


def read(declared: dict[str, Any], raw: Any) -> Any:
    return inputs.read(flow(x=declared), {"x": raw})["x"]


@pytest.mark.parametrize("text", ["4,6", " 4.6 ", "", "${{ secrets.X }}", "$(touch x)", "sim", "null", "linha\noutra"])
def test_a_text_is_kept_as_it_was_written(text: str) -> None:
    assert read({}, text) == text


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        ("number", "4,6", 4.6),
        ("number", "1.234,5", 1234.5),
        ("number", Decimal("7.352"), 7.352),
        ("number", 3, 3),
        ("integer", "12", 12),
        ("boolean", "Sim", True),
        ("boolean", "não", False),
        ("boolean", "false", False),
        ("boolean", True, True),
        ("list", "a; b ;c", ["a", "b", "c"]),
        ("list", "a, b", ["a", "b"]),
        ("list", '["a", 1]', ["a", 1]),
        ("list", [1, {"b": 2}], [1, {"b": 2}]),
        ("object", '{"a": 4.6}', {"a": 4.6}),
        ("object", {"a": None}, {"a": None}),
        # A number of JSON is one, whatever a text of the same digits would be.
        ("text", Decimal("7.352"), 7.352),
    ],
)
def test_each_type(kind: str, raw: Any, value: Any) -> None:
    found = read({"type": kind}, raw)
    assert (found, type(found)) == (value, type(value))
    again = strict_json.loads(json.dumps(found))
    assert read({"type": kind}, again) == found


@pytest.mark.parametrize(
    ("kind", "raw", "said"),
    [
        ("number", "1.000", "ambíguo"),
        ("number", "muito", "não é um número"),
        ("number", True, "esperado um número"),
        ("integer", "4,6", "esperado um número inteiro"),
        ("boolean", "talvez", "esperado sim ou não"),
        ("list", "[1,", "não é JSON válido"),
        ("list", 3, "esperado uma lista"),
        ("object", "[1]", "esperado um objeto"),
        ("text", ["a"], "esperado um texto"),
        ("text", True, "esperado um texto"),
    ],
)
def test_what_is_none_of_its_type_is_refused(kind: str, raw: Any, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        read({"type": kind}, raw)
    assert caught.value.message.startswith("x: ")


def test_everything_that_is_wrong_is_said_at_once() -> None:
    declared = flow(idade={"label": "Idade", "type": "integer"}, peso={"label": "Peso"}, sexo={"choices": ["M", "F"]})
    with pytest.raises(InputError) as caught:
        inputs.read(declared, {"idade": "dez", "sexo": "X", "pesso": "70"})
    lines = caught.value.message.splitlines()
    assert lines[0] == "pesso: entrada desconhecida; você quis dizer 'peso'?"
    assert lines[1].startswith("Idade (idade): ")
    assert lines[2] == 'sexo: esperado um de: M, F; não "X"'
    assert lines[3] == "falta informar: Peso (peso)"
    assert caught.value.exit_code == 4
    assert caught.value.hint == "entradas deste fluxo: idade, peso, sexo"


@pytest.mark.parametrize("kind", ["number", "integer", "boolean", "list", "object"])
@pytest.mark.parametrize("raw", [None, "", "  "])
def test_an_empty_cell_is_not_given(kind: str, raw: str | None) -> None:
    assert read({"type": kind, "required": False}, raw) is None
    with pytest.raises(InputError, match="falta informar: x"):
        read({"type": kind}, raw)


def test_absence_is_not_denial() -> None:
    assert read({"required": False}, None) is None
    assert read({"required": False}, "") == ""


def test_a_default_and_a_choice() -> None:
    assert read({"default": "a"}, None) == "a"
    assert read({"choices": ["Pulmonar", "urinario"]}, " pulmonar ") == "Pulmonar"
    assert read({"choices": ["M", "F"], "default": "F"}, "") == "F"
    assert inputs.read(flow(b={"type": "number", "default": 1}, a={"default": "x"}), {}) == {"b": 1, "a": "x"}
