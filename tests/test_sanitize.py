from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemx.sanitize import printable


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("PAM 57 mmHg, ação 😀", "PAM 57 mmHg, ação 😀"),
        ("a\n\tb", "a\n\tb"),
        ("a\r\nb\rc", "a\nbc"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07x", "x"),
        ("\x9b31mred", "31mred"),
        ("a\x00\x08\x7fb", "ab"),
        ("0,1\u202e gm 01\u202c", "0,1 gm 01"),
        ("\u2066a\u2069\u200f\u061c", "a"),
        ("a\u00a0b", "a\u00a0b"),
        ("e\u0301", "e\u0301"),
        ("\ud800x", "x"),
        ("", ""),
    ],
)
def test_control_characters_go_and_text_stays(text: str, clean: str) -> None:
    assert printable(text) == clean


@given(st.text(alphabet=st.characters()))
def test_nothing_is_left_that_drives_a_terminal(text: str) -> None:
    clean = printable(text)
    assert not any(unicodedata.category(char) in ("Cc", "Cs") and char not in "\n\t" for char in clean)
    assert not any(unicodedata.bidirectional(char) in ("RLO", "LRO", "RLE", "LRE", "PDF", "RLI") for char in clean)
    assert printable(clean) == clean


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_visible_text_is_not_touched(text: str) -> None:
    assert printable(text) == text
