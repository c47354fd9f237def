from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemx import strict_json

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=10,
)


@pytest.mark.parametrize(("text", "value"), [("0.1", "0.1"), ("4.60", "4.60"), ("1e3", "1E+3"), ("-0.0", "-0.0")])
def test_decimals_are_as_written(text: str, value: str) -> None:
    found = strict_json.loads(f"[{text}]")[0]
    assert isinstance(found, Decimal)
    assert str(found) == value


def test_whole_numbers_are_whole() -> None:
    found = strict_json.loads('{"a": 12}')["a"]
    assert (found, type(found)) == (12, int)


@given(PLAIN)
def test_what_json_writes_is_read_back(value: Any) -> None:
    assert strict_json.loads(json.dumps(value)) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "a": 1}', "'a' stands twice"),
        ('[{"b": {"c": 1, "c": 2}}]', "'c' stands twice"),
        ("[NaN]", "NaN is not a JSON number"),
        ("-Infinity", "-Infinity is not a JSON number"),
        ("1" * 41, "is too long"),
        ("0." + "1" * 41, "is too long"),
        ("1e999", "the exponent of 1e999 is too long"),
        ("0e-999999999", "the exponent"),
        ("1e-999999999", "the exponent"),
        ("1e9999999999999999999", "the exponent"),
        ("-1.5E-9999999999999999999", "the exponent"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ("", "Expecting value"),
        ("{'a': 1}", "property name"),
        ("[1,]", "Expecting value|trailing comma"),
        ("1 2", "Extra data"),
        ('"a\nb"', "control character"),
        ("01", "Extra data"),
        ("+1", "Expecting value"),
    ],
)
def test_what_is_no_strict_json_is_a_value_error(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        strict_json.loads(text)


def test_forty_digits_are_read() -> None:
    assert strict_json.loads("9" * 40) == int("9" * 40)
    assert strict_json.loads("1e40") == Decimal(10) ** 40


@given(st.text(alphabet='[]{}:,"\\0123456789.eE+-NaInfity tru', max_size=40))
def test_any_text_is_read_or_a_value_error(text: str) -> None:
    try:
        strict_json.loads(text)
    except ValueError as exc:
        assert str(exc)
