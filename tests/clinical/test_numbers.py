"""pt-BR numbers: what is read, what is refused with an offer, and the round trip."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemx.clinical.numbers import format_number, parse_number
from gemx.errors import InputError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("4,6", "4.6"),
        ("4.6", "4.6"),
        ("1.234,5", "1234.5"),
        ("1.234.567,25", "1234567.25"),
        ("1234,5", "1234.5"),
        ("0.152", "0.152"),
        ("0,152", "0.152"),
        ("1,000", "1"),
        ("7.35", "7.35"),
        ("7.3521", "7.3521"),
        ("1234.567", "1234.567"),
        ("2,50", "2.5"),
        (" 70 ", "70"),
        ("-3", "-3"),
        ("−3", "-3"),
        ("-0,5", "-0.5"),
        ("0", "0"),
        ("123456789012345", "123456789012345"),
    ],
)
def test_reads(text: str, value: str) -> None:
    assert parse_number(text) == Decimal(value)


@pytest.mark.parametrize(
    ("text", "offers"),
    [
        ("7.352", ("7,352", "7352")),
        ("1.000", ("1,000", "1000")),
        ("-1.000", ("-1,000", "-1000")),
        ("1.234.567", ("1234567",)),
        ("1,234.5", ("1234,5",)),
        ("1,234,567.5", ("1234567,5",)),
    ],
)
def test_refuses_what_could_be_thousands_and_says_what_to_write(text: str, offers: tuple[str, ...]) -> None:
    with pytest.raises(InputError) as caught:
        parse_number(text)
    assert text in caught.value.message
    for offer in offers:
        assert offer in caught.value.message


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", ",5", "5,", ".5", "5.", "1e308", "1E3", "nan", "NaN", "inf", "Infinity", "1,2,3", "1.2.3", "1.23,4"),
        *(
            "1.2345,6",
            "0.152,3",
            "0.123.456,7",
            "007",
            "01,5",
            "1 000",
            "1\u00a0000",
            "+5",
            "--5",
            "- 5",
            "5-",
            "1_000",
        ),
        *("\u0661\u0662", "\uff15", "1234567890123456", "0," + "1" * 40, "9" * 5000, "4,6 mg", "0x10", "½", "1\n2"),
    ],
)
def test_refuses(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_number(text)
    assert len(caught.value.message) < 200


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        ("2100", None, "2100"),
        ("2100.000", None, "2100"),
        ("6.6", None, "6,6"),
        ("6.5625", 1, "6,6"),
        ("6.5625", None, "6,5625"),
        ("0.25", 1, "0,3"),
        ("2.5", 0, "3"),
        ("-2.5", 0, "-3"),
        ("0.04", 1, "0"),
        ("-0.04", 1, "0"),
        ("-0", None, "0"),
        ("-0.000", None, "0"),
        ("1E+3", None, "1000"),
        ("1E-7", None, "0,0000001"),
        ("100", 2, "100"),
        ("123456789012345678901234567890.5", 1, "123456789012345678901234567890,5"),
    ],
)
def test_formats(value: str, digits: int | None, text: str) -> None:
    assert format_number(Decimal(value), digits) == text


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_does_not_format_what_is_no_number(value: str) -> None:
    with pytest.raises(ValueError, match="finite"):
        format_number(Decimal(value))


@given(st.decimals(min_value=-(10**6), max_value=10**6, places=4))
def test_what_is_formatted_reads_back(value: Decimal) -> None:
    assert parse_number(format_number(value)) == value


@given(st.decimals(min_value=-(10**6), max_value=10**6, places=6), st.integers(0, 5))
def test_rounding_stays_within_half_a_unit(value: Decimal, digits: int) -> None:
    error = abs(parse_number(format_number(value, digits)) - value)
    assert error <= Decimal(1).scaleb(-digits) / 2


@given(st.text(alphabet="0123456789.,-", max_size=12))
def test_dots_and_commas_never_make_another_number(text: str) -> None:
    """A text that is read keeps its digits in order, with the comma (or the only dot) before the same ones."""
    try:
        value = parse_number(text)
    except InputError:
        return
    whole, _, fraction = (text.replace(".", "") if "," in text else text.replace(".", ",")).partition(",")
    assert value == Decimal(f"{whole}.{fraction or '0'}")
