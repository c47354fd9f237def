"""Chunks are stretches of their text, bounded, under one heading and on one page."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from gemx.knowledge.chunks import MOST_CHARACTERS, MOST_WORDS, chunks

PIECES = st.sampled_from(
    [
        "# Título\n",
        "## Parte\n",
        "### {#id} x\n",
        "[página 2]\n",
        "\n\n",
        "\n",
        "- item\n",
        "| a | b |\n",
        "```\n",
        "~~~\n",
        "Uma frase. ",
        "Outra frase; ainda. ",
        "x" * 400 + " ",
        "á é\t",
        "\r\n",
        " ",
        "palavra " * 50,
    ]
)
TEXTS = st.lists(PIECES, max_size=60).map("".join) | st.text(max_size=400)


@given(TEXTS)
def test_a_chunk_is_what_stands_at_its_place_and_all_words_are_in_one(text: str) -> None:
    found = chunks(text)
    for each in found:
        assert each.text == text[each.start : each.end]
        assert each.text == each.text.strip() != ""
        assert len(each.text.split()) <= MOST_WORDS
        assert len(each.text) <= MOST_CHARACTERS
    assert all(one.end <= other.start for one, other in itertools.pairwise(found))


@given(st.lists(st.sampled_from(["Uma frase. ", "\n\n", "- item\n", "x" * 300 + " ", "á\n"]), max_size=80).map("".join))
def test_no_word_is_lost(text: str) -> None:
    assert "".join("".join(each.text.split()) for each in chunks(text)) == "".join(text.split())


def test_headings_make_a_trail_and_are_never_crossed() -> None:
    text = "antes\n\n# Sepse {#s}\n\num\n\n## Volume\n\ndois\n\n## Dose\n\ntrês\n\n# HDA\n\nquatro\n"
    assert [(each.heading, each.text) for each in chunks(text)] == [
        ("", "antes"),
        ("Sepse", "um"),
        ("Sepse › Volume", "dois"),
        ("Sepse › Dose", "três"),
        ("HDA", "quatro"),
    ]


def test_a_heading_with_nothing_below_it_is_what_it_says() -> None:
    found = chunks("# Não usar dopamina\n\n# Diálise\n\n## Indicar se pH < 7,15\n")
    assert [each.text for each in found] == ["Não usar dopamina", "Indicar se pH < 7,15"]
    assert found[1].heading == "Diálise › Indicar se pH < 7,15"


def test_pages_are_known_and_never_crossed() -> None:
    text = "[página 1]\numa\n\n[página 2 sem texto]\n\n[página 3]\n# Dose\ntrês\n\n[página 4]\nmais\n"
    assert [(each.page, each.heading, each.text) for each in chunks(text)] == [
        (1, "", "uma"),
        (3, "Dose", "três"),
        (4, "Dose", "mais"),
    ]


def test_a_comment_in_a_code_block_is_no_heading() -> None:
    found = chunks("# Uso\n\n```sh\n# comentário\ngemx gen\n```\n\nfim\n")
    assert [each.heading for each in found] == ["Uso"]
    assert "# comentário" in found[0].text


def test_paragraphs_lists_and_tables_stay_whole_where_they_fit() -> None:
    prose = "Uma frase de oito palavras, contadas uma a uma. " * 12
    table = "| a | b |\n|---|---|\n" + "| 1 | 2 |\n" * 15
    found = chunks(f"{prose}\n\n{table}\n{prose}\n")
    assert [each.text for each in found] == [prose.strip(), table.strip(), prose.strip()]


def test_what_is_too_long_is_cut_at_lines_then_sentences() -> None:
    items = [f"- item número {number} da lista, com algumas palavras" for number in range(60)]
    for each in chunks("\n".join(items)):
        assert all(line in items for line in each.text.split("\n"))
    for each in chunks("Uma frase de oito palavras, contadas uma a uma. " * 60):
        assert each.text.endswith(".")
