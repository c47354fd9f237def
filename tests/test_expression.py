from __future__ import annotations

import itertools
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemx.expression import ExpressionError, Interval, parse

THREE = (True, False, None)
TRUTH = {
    "&&": {
        (True, True): True,
        (True, False): False,
        (True, None): None,
        (False, True): False,
        (False, False): False,
        (False, None): False,
        (None, True): None,
        (None, False): False,
        (None, None): None,
    },
    "||": {
        (True, True): True,
        (True, False): True,
        (True, None): True,
        (False, True): True,
        (False, False): False,
        (False, None): None,
        (None, True): True,
        (None, False): None,
        (None, None): None,
    },
}
WORDS = st.sampled_from(
    ["a", "a.b", "null", "true", "false", "1", "2.5", "'x'", '"y"', "(", ")", "!", "&&", "||", "==", "!=", "<", ">="]
)


def value(source: str, **values: Any) -> Any:
    return parse(source).evaluate(values)


def error(source: str, **values: Any) -> ExpressionError:
    with pytest.raises(ExpressionError) as caught:
        parse(source).evaluate(values)
    return caught.value


@pytest.mark.parametrize("operator", TRUTH)
@pytest.mark.parametrize(("left", "right"), list(itertools.product(THREE, THREE)))
def test_three_valued_logic(operator: str, left: bool | None, right: bool | None) -> None:
    assert value(f"a {operator} b", a=left, b=right) is TRUTH[operator][(left, right)]


@pytest.mark.parametrize(("given", "expected"), [(True, False), (False, True), (None, None)])
def test_not(given: bool | None, expected: bool | None) -> None:
    assert value("!a", a=given) is expected
    assert value("!!a", a=given) is given


@pytest.mark.parametrize("operator", ["==", "!=", "<", "<=", ">", ">="])
@pytest.mark.parametrize("source", ["a {} 1", "1 {} a", "a {} a", "'x' {} a", "null {} 1", "b.c {} 2"])
def test_a_comparison_with_null_is_null(operator: str, source: str) -> None:
    assert value(source.format(operator)) is None


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("pam < 65", True),
        ("pam <= 57", True),
        ("pam > 57", False),
        ("pam >= 57", True),
        ("pam == 57.0", True),
        ("pam != 57", False),
        ("sexo == 'F'", True),
        ('sexo == "M"', False),
        ("alta == true", True),
        ("alta != false", True),
        ("sinais.fc >= 90.5", True),
        ("sinais.fc.x == 1", None),
        ("sexo.x == 1", None),
    ],
)
def test_comparisons(source: str, expected: bool | None) -> None:
    values = {"pam": Decimal(57), "sexo": "F", "alta": True, "sinais": {"fc": 91}}
    assert parse(source).evaluate(values) is expected


def test_a_float_is_the_decimal_that_was_written() -> None:
    assert value("a == 0.1", a=0.1) is True
    assert value("a <= 0.3", a=0.3) is True
    assert value("a == b", a=Decimal("2.675"), b=2.675) is True


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("true || false && false", True),
        ("(true || false) && false", False),
        ("!false && false", False),
        ("!(false && false)", True),
        ("!true || true", True),
        ("1 < 2 && 3 > 2", True),
        ("!(1 == 2)", True),
        ("false && false || true", True),
    ],
)
def test_precedence(source: str, expected: bool) -> None:
    assert value(source) is expected


def test_or_gives_the_first_truthy_value_and_and_the_deciding_one() -> None:
    assert value("a || b || 'neither'", b="second") == "second"
    assert value("a || b || 'neither'", a="", b=Decimal(0)) == "neither"
    assert value("a && b", a="x", b="y") == "y"
    assert value("a && b", a="", b="y") == ""


def test_the_names_are_those_that_are_read() -> None:
    assert parse("a.b && !c || 'd' == e || true || null").names == {"a.b", "c", "e"}


def test_names_reach_into_mappings_alone() -> None:
    assert value("a.__class__", a="text") is None
    assert value("a.real", a=1) is None
    assert value("a.items", a={"x": 1}) is None


@pytest.mark.parametrize(
    ("source", "column", "message"),
    [
        ("", 1, "expected a name or a value"),
        ("   ", 4, "expected a name or a value"),
        ("a &&", 5, "expected a name or a value"),
        ("a b", 3, "unexpected 'b'"),
        ("(a", 3, "expected ')'"),
        ("a)", 2, "unexpected ')'"),
        ("a = 1", 3, "unexpected '='"),
        ("a + 1", 3, "unexpected '+'"),
        ("a  ;", 4, "unexpected ';'"),
        ("a & b", 3, "unexpected '&'"),
        ("'open", 1, 'unexpected "\'"'),
        ("a.", 2, "unexpected '.'"),
        ("1.a", 2, "unexpected '.'"),
        ("1e5", 2, "unexpected 'e5'"),
        ("-1 < a", 1, "unexpected '-'"),
        ("1 < a < 3", 7, "do not chain"),
        ("a == 1 != 2", 8, "do not chain"),
        ("é == 1", 1, "unexpected 'é'"),
        ("\u00a0a", 1, "unexpected '\\xa0'"),
        ("a &&\u00a0b", 5, "unexpected '\\xa0'"),
        ("f(x)", 2, "unexpected '('"),
        ("a[0]", 2, "unexpected '['"),
    ],
)
def test_the_column_is_that_of_the_first_wrong_thing(source: str, column: int, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(source)
    assert caught.value.column == column
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("source", "column"),
    [("pam < 'x'", 5), ("pam == true", 5), ("  sexo == 1", 8), ("alta == 1", 6), ("lista == ''", 7)],
)
def test_unlike_values_are_not_compared(source: str, column: int) -> None:
    caught = error(source, pam=Decimal(57), sexo="F", alta=True, lista=())
    assert "unlike" in str(caught)
    assert caught.column == column


@pytest.mark.parametrize("source", ["sexo < 'M'", "alta > false"])
def test_numbers_alone_are_ordered(source: str) -> None:
    assert "orders numbers alone" in str(error(source, sexo="F", alta=True))


@pytest.mark.parametrize("source", ["(" * 41 + "a" + ")" * 41, "!" * 41 + "a", "(" * 10_000])
def test_too_deep(source: str) -> None:
    assert "nested too deeply" in str(error(source)) or "more than 400" in str(error(source))


def test_what_is_allowed_to_be_deep_is_evaluated() -> None:
    assert value("(" * 39 + "true" + ")" * 39) is True


@pytest.mark.parametrize("operator", ["||", "&&"])
def test_a_chain_that_would_exhaust_the_stack_is_refused(operator: str) -> None:
    assert "more than 400" in str(error(operator.join(["a"] * 5000)))
    assert value(operator.join(["a"] * 200), a=True) is True


@given(st.text(max_size=60) | st.lists(WORDS, max_size=25).map(" ".join) | st.lists(WORDS, max_size=25).map("".join))
def test_no_text_raises_anything_else(source: str) -> None:
    try:
        expression = parse(source)
        expression.evaluate({"a": {"b": Decimal(2)}, "x": "y"})
        expression.evaluate({})
    except ExpressionError as exc:
        assert 1 <= exc.column <= len(source) + 1


@given(st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), *[st.decimals(-99, 99, places=2).map(abs)] * 2)
def test_a_comparison_agrees_with_arithmetic(operator: str, left: Decimal, right: Decimal) -> None:
    expected = {
        "<": left < right,
        "<=": left <= right,
        ">": left > right,
        ">=": left >= right,
        "==": left == right,
        "!=": left != right,
    }[operator]
    assert value(f"{left} {operator} b", b=right) is expected


@given(
    st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
    st.integers(0, 6),
    st.integers(0, 6),
    st.integers(0, 6),
    st.booleans(),
)
def test_an_interval_decides_what_every_value_in_it_decides(
    operator: str, one: int, other: int, bound: int, swapped: bool
) -> None:
    low, high = sorted((one, other))
    source = f"{bound} {operator} a" if swapped else f"a {operator} {bound}"
    verdicts = {value(source, a=inside) for inside in range(low, high + 1)}
    found = value(source, a=Interval(Decimal(low), Decimal(high)))
    if len(verdicts) == 2:
        assert found is None
    elif found is not None:
        assert {found} == verdicts
    elif low < high and operator not in ("==", "!="):
        pytest.fail(f"{source} is decided in {low}..{high}")


def test_an_interval_by_itself_is_null_and_is_compared_with_numbers_alone() -> None:
    unknown = Interval(Decimal(1), Decimal(2))
    assert value("a", a=unknown) is None
    assert value("a < b", a=unknown, b=Interval(Decimal(3), Decimal(4))) is True
    assert value("a < b", a=unknown, b=Interval(Decimal(2), Decimal(4))) is None
    assert "unlike" in str(error("a == 'x'", a=unknown))


UNKNOWN = Interval(Decimal(1), Decimal(2))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("!a", None),
        ("!!a", None),
        ("a && true", None),
        ("true && a", None),
        ("a && false", False),
        ("false && a", False),
        ("a || true", True),
        ("true || a", True),
        ("a || false", None),
        ("false || a", None),
        ("a || a", None),
        ("a && a", None),
        ("(a)", None),
        ("a > 0 && a", None),
        ("a > 0 || a", True),
        ("a > 3 && a", False),
        ("!(a < 3)", False),
        ("(a || 'x') == 'x'", True),
    ],
)
def test_an_interval_is_neither_true_nor_false(source: str, expected: bool | None) -> None:
    assert value(source, a=UNKNOWN) is expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a.0", "x"),
        ("a.1.b", 2),
        ("a.2", None),
        ("a.00", "x"),
        ("a.b", None),
        ("a.0.0", None),
        ("a.99999999999", None),
    ],
)
def test_an_item_of_a_list_is_read_by_its_place(source: str, expected: Any) -> None:
    assert value(source, a=["x", {"b": 2}]) == expected
