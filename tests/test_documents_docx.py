"""DOCX as Markdown in the order of the document; what is left out is told, and a bomb refused."""

from __future__ import annotations

import io
import sys
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest

from document_files import archive, docx, item, p, part, run, table
from gemx import documents
from gemx.documents import Text
from gemx.errors import InputError


def read(body: str, more: dict[str, str | bytes] | None = None) -> Text:
    found = documents.read_bytes(docx(body, more), "alta.docx", shown="alta.docx")
    assert isinstance(found, Text)
    return found


def test_headings_lists_and_tables_stand_in_their_order() -> None:
    body = (
        p("Resumo de alta", "Ttulo")
        + p("Evolução", "Ttulo1")
        + p("Paciente estável.")
        + item("lactato", 1)
        + item("repetir", 1, 1)
        + item("primeiro", 2)
        + item("segundo", 2)
        + table(["Exame", "Valor"], ["Lactato | arterial", "4,6"])
        + p("Conduta", "Ttulo2")
        + p("Alta.")
    )
    expected = """# Resumo de alta

# Evolução

Paciente estável.

- lactato
  - repetir
1. primeiro
2. segundo

| Exame | Valor |
| --- | --- |
| Lactato \\| arterial | 4,6 |

## Conduta

Alta.
"""
    assert read(body) == Text(expected, "alta.docx")
    found = documents.passages(expected, "alta", "alta.docx")
    assert [item.id for item in found] == ["alta#evolucao", "alta#conduta"]


def test_headers_and_footers_are_read_once() -> None:
    header = part("hdr", p("ALERGIA:  DIPIRONA") + p(""))
    more = {"header1.xml": header, "header2.xml": header, "footer1.xml": part("ftr", p("Página 1"))}
    assert read(p("Alta."), dict(more)).text == "[cabeçalho]\nALERGIA: DIPIRONA\n\nAlta.\n\n[rodapé]\nPágina 1\n"


def test_tracked_changes_are_read_as_accepted_and_told() -> None:
    body = (
        "<w:p>"
        + run("Dose ")
        + f'<w:ins w:id="1" w:author="a">{run("nova")}</w:ins>'
        + '<w:del w:id="2"><w:r><w:delText>velha</w:delText></w:r></w:del>'
        + f'<w:moveFrom w:id="3">{run("daqui")}</w:moveFrom></w:p>'
    )
    found = read(body)
    assert found.text == "Dose nova\n"
    assert found.notes == ("it has tracked changes: insertions are read, deletions are left out",)


HIDDEN_STYLES = part(
    "styles",
    '<w:style w:type="character" w:styleId="oculto"><w:rPr><w:vanish/></w:rPr></w:style>'
    '<w:style w:type="character" w:styleId="herda"><w:basedOn w:val="oculto"/></w:style>'
    '<w:style w:type="paragraph" w:styleId="secreto"><w:rPr><w:vanish w:val="1"/></w:rPr></w:style>',
)


def test_hidden_text_is_left_out_wherever_it_stands_and_told() -> None:
    hidden = run("ESCONDIDO", "<w:vanish/>")
    row = f"<w:tr><w:trPr><w:hidden/></w:trPr><w:tc>{p('ESCONDIDO')}</w:tc></w:tr>"
    seen = run("À vista", '<w:vanish w:val="0"/>')
    body = (
        f"<w:p>{run('Alta')}{hidden}{run('.')}</w:p>"
        + "<w:p>"
        + run("ESCONDIDO", '<w:rStyle w:val="herda"/>')
        + "</w:p>"
        + p("ESCONDIDO", "secreto")
        + f'<w:p><w:pPr><w:pStyle w:val="secreto"/></w:pPr>{seen}</w:p>'
        + f"<w:tbl><w:tr><w:tc>{p('célula')}</w:tc></w:tr>{row}</w:tbl>"
        + '<w:p><w:r><w:rPr><w:vanish/></w:rPr><w:fldChar w:fldCharType="begin"/><w:t>ESCONDIDO</w:t></w:r>'
        + '<w:r><w:fldChar w:fldCharType="end"/></w:r></w:p>'
    )
    header = part("hdr", f"<w:p>{run('Leito 3')}{hidden}</w:p>")
    found = read(body, {"styles.xml": HIDDEN_STYLES, "header1.xml": header})
    assert found.text == "[cabeçalho]\nLeito 3\n\nAlta.\n\nÀ vista\n\n| célula |\n"
    assert found.notes == ("it has hidden text, which is left out",)


def test_text_that_a_tracked_change_took_away_is_nowhere() -> None:
    gone = f'<w:moveFrom w:id="3">{run("LEVADO")}</w:moveFrom><w:del w:id="2">{run("LEVADO")}</w:del>'
    row = f'<w:tr><w:trPr><w:del w:id="4"/></w:trPr><w:tc>{p("LEVADO")}</w:tc></w:tr>'
    cell = f'<w:tc><w:tcPr><w:cellDel w:id="5"/></w:tcPr>{p("LEVADO")}</w:tc>'
    table_ = f"<w:tbl>{row}<w:tr>{cell}<w:tc>{p('fica')}</w:tc></w:tr></w:tbl>"
    found = read(f"<w:p>{run('Alta')}{gone}</w:p>", {"header1.xml": part("hdr", f"<w:p>{gone}</w:p>{p('x')}{table_}")})
    assert found.text == "[cabeçalho]\nx\nfica\n\nAlta\n"
    assert found.notes == ("it has tracked changes: insertions are read, deletions are left out",)


def test_comments_and_pictures_are_left_out_and_told() -> None:
    comments = part("comments", f'<w:comment w:id="1">{p("rever")}</w:comment><w:comment w:id="2">{p("x")}</w:comment>')
    found = read(p("Alta."), {"comments.xml": comments, "media/image1.png": b"x"})
    assert found.text == "Alta.\n"
    assert found.notes == ("2 comments and 1 picture left out",)


def test_what_changes_the_meaning_is_kept() -> None:
    body = (
        "<w:p>"
        + run("Plaquetas 150 x 10")
        + run("9", '<w:vertAlign w:val="superscript"/>')
        + run("/L; ")
        + run("AAS", "<w:strike/>")
        + "</w:p>"
        + f"<w:sdt><w:sdtContent>{p('Em um controle de conteúdo.')}</w:sdtContent></w:sdt>"
    )
    assert read(body).text == "Plaquetas 150 x 10^9/L; ~~AAS~~\n\nEm um controle de conteúdo.\n"


def test_a_text_box_and_a_footnote_are_read() -> None:
    box = f"<w:p><w:r><w:pict><w:txbxContent>{p('Na caixa.')}</w:txbxContent></w:pict></w:r></w:p>"
    notes = part("footnotes", f'<w:footnote w:id="2">{p("Fonte: SSC 2021.")}</w:footnote>')
    found = read(box + f'<w:p>{run("Alvo")}<w:r><w:footnoteReference w:id="2"/></w:r></w:p>', {"footnotes.xml": notes})
    assert "Na caixa." in found.text
    assert "Fonte: SSC 2021." in found.text


@pytest.mark.parametrize("name", ["alta.txt", "alta", "alta.pdf"])
def test_a_docx_is_one_whatever_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (tmp_path / name).write_bytes(docx(p("Alta.")))
    assert documents.read_file(tmp_path / name) == Text("Alta.\n", name)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(docx(p("Alta.")))))
    assert documents.read_stdin_part() == Text("Alta.\n", "stdin")


def entities() -> str:
    names = "abcdefgh"
    nested = "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in pairwise(names))
    body = f"<w:body>{p('&h;')}</w:body>"
    return f'<!DOCTYPE x [<!ENTITY a "{"z" * 100}">{nested}]>{part("document", body)}'


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"PK\x03\x04 and no more", "is damaged"),
        (docx(p("Alta."))[:-30], "is damaged"),
        (docx("<w:p>"), "is damaged"),
        (docx(p("x" * 61_000_000)), "larger than 60 MB when unpacked"),
        (archive({f"word/{n}.xml": "" for n in range(5001)} | {"word/document.xml": ""}), "larger than 60 MB"),
        (docx("<w:tbl><w:tr><w:tc>" * 3000 + "</w:tc></w:tr></w:tbl>" * 3000), "damaged"),
        (docx("", {"document.xml": entities()}), "damaged"),
        (docx("", {"media/image1.png": b"x"}), "has no text"),
        (archive({"xl/workbook.xml": ""}), "an Excel workbook"),
        (archive({"ppt/presentation.xml": ""}), "a PowerPoint presentation"),
        (archive({"mimetype": "", "content.xml": ""}), "an OpenDocument file"),
        (archive({"a.txt": "a"}), "a ZIP archive"),
    ],
    ids=["no zip", "cut", "xml", "bomb", "many files", "deep", "entities", "empty", "xlsx", "pptx", "odt", "zip"],
)
def test_what_is_no_docx_or_a_hostile_one_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(InputError, match=r"^alta\.docx ") as caught:
        documents.read_bytes(data, "alta.docx", shown="alta.docx")
    assert words in caught.value.message.replace("it is damaged", "is damaged")
    assert caught.value.hint


def test_a_linked_picture_opens_no_file(tmp_path: Path) -> None:
    (tmp_path / "segredo").write_text("segredo")
    drawing = (
        '<w:p><w:r><w:drawing xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing" '
        'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
        'xmlns:pic="http://schemas.openxmlformats.org/drawingml/2006/picture">'
        '<wp:inline><a:graphic><a:graphicData><pic:pic><pic:blipFill><a:blip r:link="r9"/></pic:blipFill></pic:pic>'
        "</a:graphicData></a:graphic></wp:inline></w:drawing></w:r></w:p>"
    )
    links = (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r9" '
        f'Type="x" TargetMode="External" Target="file://{tmp_path}/segredo"/></Relationships>'
    )
    assert "segredo" not in read(drawing + p("Alta."), {"_rels/document.xml.rels": links}).text
