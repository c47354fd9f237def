"""HTML as text that reads like Markdown."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemx import documents
from gemx.documents import Text, html
from gemx.errors import InputError

PAGE = """<!DOCTYPE html><html lang="pt"><head><title>Guia &amp; mais</title><style>p {}</style>
<script>alert("<p>não")</script></head><body><nav><a href="/">menu</a></nav>
<h2>Choque  séptico</h2><p>PAM &ge; 65<br>mmHg <b>já</b>.</p>
<ul><li>a<ul><li>b</li></ul></li><li><p>c</p></li></ul><ol><li>x<li>y</ol>
<p>Ver <a href="https://exemplo">a fonte</a><img src=x alt="ECG"><img src=y></p></body></html>"""
READ = """# Guia & mais

## Choque séptico

PAM ≥ 65
mmHg já.

- a
  - b
- c
1. x
2. y

Ver a fonte[imagem: ECG]
"""


TAGS = "<table><tr><td><td rowspan=2><ul><li><p>x</table></tr></td></ul><pre></pre><h1></h1>"


@pytest.mark.parametrize(
    ("page", "text"),
    [
        (PAGE, READ),
        ("<title>T</title><h1>H</h1>x", "# H\n\nx\n"),
        ("10<sup>9</sup>/L, H<sub>2</sub>O, <s>AAS</s>, <del>não</del>", "10^9/L, H2O, ~~AAS~~, ~~não~~\n"),
        ("<pre>a\n  b</pre><p>c", "```\na\n  b\n```\n\nc\n"),
        ("<nav>menu<p>x<main>corpo</main>", "corpo\n"),
        ("<svg><title>t</title><text>x</text></svg>a<template><p>b</template>c", "ac\n"),
        ("<dl><dt>PAM</dt><dd>65</dd></dl>", "PAM\n\n65\n"),
        ("</p></ul></table></nav>a", "a\n"),
        ("", "\n"),
    ],
)
def test_a_page(page: str, text: str) -> None:
    assert html.to_markdown(page) == text


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ("<tr><th>A<th>B<tr><td>1<td>2|3", "| A | B |\n| --- | --- |\n| 1 | 2\\|3 |\n"),
        (
            "<caption>Exames</caption><thead><tr><th rowspan=2>Dia</th><th colspan=2>Valor</th></tr></thead>"
            "<tr><td>1</td><td>2</td></tr><tr><td>a</td><td>3</td><td>4</td></tr>",
            "Exames\n\n| Dia | Valor |  |\n| --- | --- | --- |\n| Dia | 1 | 2 |\n| a | 3 | 4 |\n",
        ),
        ("<tr><td>a<table><tr><td>x<td>y</table><td>b", "| a x, y | b |\n"),
        ("<tr><td><p>a</p><ul><li>b<li>c</ul><td><h2>d</h2><tr><td>e", "| a - b - c | d |\n| --- | --- |\n| e |  |\n"),
        ("<tr><td rowspan=9999999 colspan=x>a", "| a |\n"),
    ],
)
def test_a_table_keeps_each_value_in_its_column(table: str, text: str) -> None:
    assert html.to_markdown(f"<table>{table}</table>") == text


@given(st.text(alphabet="<>/abhlioutrdp !-[]&;=\"'\n1", max_size=120))
def test_any_text_is_a_page(text: str) -> None:
    assert html.to_markdown(text).endswith("\n")


@given(st.lists(st.sampled_from(re.findall("<[^>]+>|x", TAGS))))
def test_words_are_never_lost_between_tags(tags: list[str]) -> None:
    assert html.to_markdown("".join(tags)).count("x") >= tags.count("x")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ('<meta charset="iso-8859-1"><p>ação'.encode("latin-1"), "ação\n"),
        ('<meta http-equiv=x content="text/html; charset=windows-1252">“a”'.encode("cp1252"), "“a”\n"),
        ("<p>ação".encode(), "ação\n"),
        ("<p>ação".encode("utf-16"), "ação\n"),
        ('<meta charset="utf-16"><p>ação'.encode(), "ação\n"),
    ],
)
def test_the_character_set_that_a_page_declares(tmp_path: Path, data: bytes, text: str) -> None:
    (tmp_path / "a.HTM").write_bytes(data)
    assert documents.read_file(tmp_path / "a.HTM") == Text(text, "a.HTM")


def test_markup_is_kept_where_the_name_says_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pagina.txt").write_text(PAGE)
    assert documents.read_file(tmp_path / "pagina.txt") == Text(PAGE, "pagina.txt")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(f"\n <!-- x -->{PAGE}".encode())))
    assert documents.read_stdin_part() == Text(READ, "stdin")


def test_a_page_without_text_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("<div id=app></div><script src=app.js></script>")
    with pytest.raises(InputError, match=r"a\.html has no text") as caught:
        documents.read_file(tmp_path / "a.html")
    assert "browser" in str(caught.value.hint)


def test_a_page_that_no_parser_can_bear_is_an_input_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gemx.documents import extraction

    monkeypatch.setitem(extraction.SECONDS, "html", 1.0)
    (tmp_path / "a.html").write_text("<![CDATA[" * 300_000)
    with pytest.raises(InputError, match=r"a\.html cannot be read as HTML"):
        documents.read_file(tmp_path / "a.html")


def test_a_page_of_empty_paragraphs_is_read_within_the_time_of_a_page() -> None:
    page = b"<html><body>" + b"<p> </p>" * 100_000 + b"<p>fim</p>"
    found = documents.read_bytes(page, "a.html", shown="a.html")
    assert isinstance(found, Text)
    assert found.text == "fim\n"
