"""Blocks as text, Markdown, HTML and Rich: what a width does to them, and what texts cannot become."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from gemx import gateway, places, settings
from gemx.automation import patient_file, protocol, render, runner, view
from gemx.automation.view import Block, Entries, Entry, Heading, Lines, Row, Rows, Title
from gemx.clinical.inputs import read_patient

CASES = sorted((places.shipped("automations") / "cases").glob("*.yaml"))
EVIL = [
    "a\n---\nb",
    "a\n\n# b",
    "---",
    "===",
    "- a",
    "+ a",
    "1. a",
    "12) a",
    "* a",
    "> a",
    "# a",
    "| a | b |",
    "```",
    "~~~",
    "    a",
    "\ta",
    "<b>a</b>",
    "[a](http://x)",
    "![a](x)",
    "**a**",
    "_a_",
    "a\\",
    "a  \nb",
    "a\r\n- b",
    "a\u2028- b",
    "- [ ] a",
]


def blocks(text: str) -> list[Block]:
    return [
        Title(text, text),
        Heading(text),
        Lines((text,)),
        Lines((text,), "error"),
        Rows((Row((text, text), text),)),
        Entries((Entry(text, (text,)),)),
    ]


def case_page(path: str) -> list[Block]:
    automation = re.search(r"^automation: (\w+)$", places.shipped("automations").joinpath(path).read_text(), re.M)
    assert automation
    loaded = protocol.load(automation[1])
    patient = read_patient(patient_file.read(str(places.shipped("automations") / path))[0], loaded.inputs)
    run = runner.prepare(loaded, patient)
    return view.blocks(runner.execute(run, gateway.make(settings.load(), model="extractive", clinical=True)))


@pytest.mark.parametrize("width", [40, 60, 80])
@pytest.mark.parametrize("name", [path.name for path in CASES])
def test_a_page_stays_within_its_width_and_keeps_its_words(name: str, width: int) -> None:
    page = case_page(f"cases/{name}")
    text = render.to_text(page, width)
    assert max(map(len, text.splitlines())) <= width
    words = " ".join(text.split())
    for block in page:
        if isinstance(block, Rows) and not block.fit:
            assert all(" ".join(row.cells[-1].split()) in words for row in block.rows) or width < 80
        if isinstance(block, Entries):
            assert all(entry.title.split()[0] in words for entry in block.entries)


def test_where_there_is_no_room_beside_it_the_last_cell_goes_below() -> None:
    page: list[Block] = [Rows((Row(("até 1 h (00:30, +1 d)", "Colher hemoculturas antes do antimicrobiano"), "[1]"),))]
    assert render.to_text(page, 40).splitlines() == [
        "  até 1 h (00:30, +1 d)",
        "    Colher hemoculturas antes do",
        "    antimicrobiano [1]",
    ]
    assert "  até 1 h (00:30, +1 d)  Colher hemoculturas antes do antimicrobiano [1]".strip() in render.to_text(
        page, 80
    )


@given(st.lists(st.text(st.characters(categories=("L", "N", "P", "Zs")), max_size=90), min_size=3, max_size=3))
def test_no_text_goes_beyond_forty_columns(texts: list[str]) -> None:
    first, second, last = (text.strip() for text in texts)
    for fit in (True, False):
        page: list[Block] = [
            Title(first, second),
            Heading(last, urgent=fit),
            Lines((second,)),
            Rows((Row((first, second, last), "[1]"), Row(("a", "b", "c"))), fit=fit),
            Entries((Entry(last, (first,)),)),
        ]
        assert max(map(len, render.to_text(page, 40).splitlines()), default=0) <= 40


def parsed(markdown: str) -> list[Any]:
    """What a Markdown reader makes of a page: its blocks, and in them marks and runs of text."""
    reader = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    tree: list[Any] = []
    for token in reader.parse(markdown):
        tree.append((token.type, token.tag))
        for child in token.children or ():
            if child.type == "text" and tree[-1][0] == "text":
                tree[-1] = ("text", tree[-1][1] + child.content)
            elif child.type != "text" or child.content:
                tree.append((child.type, child.content))
    return tree


@pytest.mark.parametrize("text", EVIL)
def test_a_text_cannot_become_markup_in_markdown(text: str) -> None:
    line = " ".join(text.split())
    harmless = parsed(render.to_markdown(blocks("texto")))
    found = parsed(render.to_markdown(blocks(text)))
    assert found == [(kind, said.replace("texto", line)) for kind, said in harmless]
    assert sum(said.count(line) for kind, said in found if kind == "text") >= 9


@given(st.text(st.sampled_from("ab1 .)-+=#*_`~|<>[]()!\\\n&;:"), max_size=12).filter(str.strip))
def test_no_text_becomes_markup_in_markdown(text: str) -> None:
    kinds = [kind for kind, _ in parsed(render.to_markdown(blocks("texto")))]
    assert [kind for kind, _ in parsed(render.to_markdown(blocks(text)))] == kinds


@pytest.mark.parametrize(
    ("text", "written"), [("a\n---\nb", "a --- b"), ("---", "\\---"), ("a\n\n# b", "a \\# b"), ("+ a", "\\+ a")]
)
def test_a_rule_or_a_heading_of_a_text_is_words(text: str, written: str) -> None:
    assert render.to_markdown([Lines((text,)), Heading("Fim")]).splitlines() == [written, "", "", "## Fim"]


@pytest.mark.parametrize("text", [text for text in EVIL if isinstance(text, str)])
def test_html_has_no_tag_of_a_text(text: str) -> None:
    tags = re.findall(r"<[^>]*>", render.to_html(blocks("texto")))
    assert re.findall(r"<[^>]*>", render.to_html(blocks(text))) == tags


@pytest.mark.parametrize("width", [40, 80])
def test_rich_has_the_words_of_the_text(width: int) -> None:
    from rich.console import Console

    page = case_page("cases/sepse_choque.yaml")
    out = io.StringIO()
    Console(file=out, width=width, highlight=False, soft_wrap=True).print(render.to_rich(page, width))
    assert out.getvalue().strip("\n") == render.to_text(page, width).strip("\n")
