"""Texts with expressions."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from gemx.expression import ExpressionError
from gemx.flow import values

KNOWN: dict[str, Any] = {
    "inputs": {"q": "olá", "n": 4.6, "d": Decimal("4.60"), "l": [1, {"a": "é"}], "b": True, "o": {"k": None}},
    "secrets": {"X": "s3cret"},
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("sem nada", "sem nada"),
        ("${{ inputs.l }}", [1, {"a": "é"}]),
        ("${{inputs.n}}", 4.6),
        ("${{ inputs.n }} mg", "4.6 mg"),
        ("${{ inputs.d }} mg", "4.60 mg"),
        ("a ${{ inputs.nada }}b", "a b"),
        ("${{ inputs.b }}/${{ inputs.l }}", 'true/[1,{"a":"é"}]'),
        ("$${{ inputs.q }}", "${{ inputs.q }}"),
        ("${{ inputs.q }}$${{ x", "olá${{ x"),
        ("${{ inputs.q == '}}' }}", False),
        ("${{ inputs.nada || 'outro' }}", "outro"),
        ("{{ inputs.q }}", "{{ inputs.q }}"),
    ],
)
def test_fill(text: str, value: Any) -> None:
    assert values.fill(text, KNOWN) == value


@pytest.mark.parametrize("held", ["${{ secrets.X }}", "$(touch x)", "{{ 7 * 7 }}", "}} ${{ secrets.X"])
def test_what_an_input_holds_is_text(held: str) -> None:
    known = {**KNOWN, "inputs": {"q": held, "m": {"k": held}}}
    assert values.fill("<${{ inputs.q }}>", known) == f"<{held}>"
    assert values.fill({"a": ["${{ inputs.m }}"]}, known) == {"a": [{"k": held}]}


@pytest.mark.parametrize(
    ("text", "column"), [("ab ${{ inputs.q", 4), ("${{ }}", 4), ("x ${{ inputs.q && }}", 19), ("${{ a ? b }}", 7)]
)
def test_what_does_not_parse_has_its_column(text: str, column: int) -> None:
    with pytest.raises(ExpressionError) as caught:
        values.parse(text)
    assert caught.value.column == column


def test_a_condition_is_bare_or_one_expression() -> None:
    for text in ("inputs.b", "${{ inputs.b }}", " ${{ inputs.b }} "):
        assert values.condition(text).evaluate(KNOWN) is True
    with pytest.raises(ExpressionError, match="expected one expression"):
        values.condition("${{ inputs.b }} && ${{ inputs.b }}")


def test_canonical_json_and_the_order_of_outputs() -> None:
    value = {"b": Decimal("1.0"), "a": [Decimal("4.60"), "é", None]}
    assert values.to_json(value) == '{"a":[4.6,"é",null],"b":1}'
    assert list(values.as_json(value)) == ["b", "a"]
