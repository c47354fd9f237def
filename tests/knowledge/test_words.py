"""Words as the index and a query have them: accents, plurals, numbers, units, and any text at all."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemx.knowledge import words

KNOWLEDGE = Path(__file__).parents[2] / "automations" / "knowledge"


def bare(text: str) -> str:
    return "".join(char for char in unicodedata.normalize("NFD", text) if unicodedata.category(char) != "Mn")


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_every_word_of_the_protocols_is_found_without_its_accents(language: words.Language) -> None:
    texts = [path.read_text(encoding="utf-8") for path in KNOWLEDGE.glob("*.md")]
    accented = {word for text in texts for word in re.findall(r"\w+", text) if not word.isascii()}
    assert len(accented) > 200
    parted = [word for word in accented if words.terms(word, language) != words.terms(bare(word), language)]
    assert parted == []


@pytest.mark.parametrize(
    "forms",
    [
        "hipertensão hipertensao hipertensões hipertensoes",
        "infecção infecções infeccao infeccoes INFECÇÕES",
        "lesão lesões",
        "renal renais",
        "hemorragia hemorragias hemorragico",
        "pulmão pulmões",
        "medicação medicações medicamentos",
        "insuficiência insuficiencias insuficiente",
        "variável variáveis",
        "nível niveis",
        "mão mãos",
        "pão pães",
        "vasopressor vasopressores",
        "tolerância tolerancias",
        "diurético diuréticos",
        "dose doses",
    ],
)
def test_the_forms_of_a_word_have_one_stem(forms: str) -> None:
    assert len({tuple(words.terms(form, "pt")) for form in forms.split()}) == 1


@pytest.mark.parametrize("pair", ["noradrenalina adrenalina", "hipertensão hipotensão", "sódio soda", "mão mau"])
def test_words_that_mean_something_else_keep_apart(pair: str) -> None:
    one, other = pair.split()
    assert words.terms(one, "pt") != words.terms(other, "pt")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("0,1 mcg/kg/min", ["0.1", "mcg/kg/min", "mcg", "kg", "min"]),
        ("0.1mg", ["0.1", "mg"]),
        ("5 µg", ["5", "mcg"]),
        ("65mmHg", ["65", "mmhg"]),
        ("4 mg/4 mL", ["4", "mg", "4", "ml"]),
        ("SpO₂ 92%", ["spo2", "92"]),
        ("10⁹/L", ["10", "9", "l"]),
        ("CHA2DS2-VASc", ["cha2ds2", "vasc"]),
        ("CID A41.9", ["cid", "a41", "9"]),
        ("", []),
        ("?!*", []),
    ],
)
def test_numbers_units_and_abbreviations_stay_whole(text: str, found: list[str]) -> None:
    assert list(words.plain_words(text)) == found


def test_a_query_leaves_out_what_says_nothing_unless_there_is_nothing_else() -> None:
    assert words.query_terms("Qual é a dose da noradrenalina?") == [("dos", "dose"), ("noradrenalin", "noradrenalina")]
    assert words.query_terms("o que é") == [("o",), ("que",), ("e",)]
    assert words.tells("o que é sepse")
    assert not words.tells("o que é")


def test_the_language_is_told_by_common_words() -> None:
    assert words.language_of("A dose é de 2 g por dia, e não mais que isso.", "en") == "pt"
    assert words.language_of("The dose is 2 g a day, and no more than that.") == "en"
    assert words.language_of("ceftriaxona 2 g", "en") == "en"


@given(st.text(max_size=300))
def test_any_text_has_words_without_a_sign_that_could_be_syntax(text: str) -> None:
    for word in words.plain_words(text):
        assert not set(word) & set("\"'*():^{}[]+-\0 \n")
    for stems in words.query_terms(text):
        assert all(stem and '"' not in stem for stem in stems)
