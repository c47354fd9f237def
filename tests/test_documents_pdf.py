"""PDF: text by pages where there is text, else the file as it is; and what a hostile one costs."""

from __future__ import annotations

import io
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from document_files import Page, assembled, packed, pdf
from gemx import documents
from gemx.documents import Media, Text, extraction
from gemx.errors import InputError

FONT = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
CATALOG = b"<< /Type /Catalog /Pages 2 0 R >>"
LEAF = b"<< /Type /Page /Parent 2 0 R /Contents 5 0 R /Resources << /Font << /F1 3 0 R >> >> >>"
FIRST = "Paciente com choque séptico.\nPAM 57 mmHg (baixa)."
SECOND = "Lactato 4,6 mmol/L, em alta desde ontem."


def read(data: bytes, name: str = "laudo.pdf") -> Text:
    part = documents.read_bytes(data, name, shown=name)
    assert isinstance(part, Text)
    return part


def refused(data: bytes) -> InputError:
    with pytest.raises(InputError, match=r"^laudo\.pdf ") as caught:
        documents.read_bytes(data, "laudo.pdf", shown="laudo.pdf")
    assert caught.value.hint
    return caught.value


def one_page(content: bytes) -> bytes:
    return assembled([CATALOG, b"<< /Type /Pages /Count 1 /Kids [4 0 R] >>", FONT, LEAF, content])


def encrypted(password: str, algorithm: str) -> bytes:
    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter(PdfReader(io.BytesIO(pdf(FIRST))))
    writer.encrypt(password, "owner", algorithm=algorithm)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def test_text_is_read_with_its_pages() -> None:
    part = read(pdf(FIRST, SECOND))
    assert part == Text(f"[página 1]\n{FIRST}\n\n[página 2]\n{SECOND}\n", "laudo.pdf")
    found = documents.passages(part.text, "laudo", "laudo.pdf")
    assert [(item.id, item.text) for item in found] == [("laudo#pagina-1", FIRST), ("laudo#pagina-2", SECOND)]


@pytest.mark.parametrize("name", ["laudo.txt", "laudo", "laudo.png"])
def test_a_pdf_is_one_whatever_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (tmp_path / name).write_bytes(b"\n" * 100 + pdf(FIRST))
    part = documents.read_file(tmp_path / name)
    assert isinstance(part, Text)
    assert FIRST in part.text
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(pdf(FIRST))))
    assert documents.read_stdin_part() == Text(f"[página 1]\n{FIRST}\n", "stdin")


def test_pages_without_text_are_told_and_marked() -> None:
    part = read(pdf(FIRST, Page(pictures=[600]), SECOND))
    assert "\n\n[página 2 sem texto]\n\n[página 3]\n" in part.text
    assert part.notes == (
        "page 2 of 3 without text (scanned?), and left out",
        "1 picture in it left out: only its text is sent",
    )


def test_pictures_beside_text_are_counted_once_and_logos_not() -> None:
    part = read(pdf(Page(FIRST, [600, 40]), Page(SECOND, [600, 40, 300])))
    assert part.notes == ("2 pictures in it left out: only its text is sent",)
    assert read(pdf(Page(FIRST, [40]))).notes == ()


@pytest.mark.parametrize("stamp", ["", "12", "HC-FMUSP 3/7"])
def test_a_scan_is_sent_as_it_is_and_told(stamp: str) -> None:
    data = pdf(Page(stamp, [600]), Page(stamp, [601]), SECOND)
    note = "pages 1, 2 of 3 without text (scanned?): sent as a PDF, which only some models read"
    assert documents.read_bytes(data, "laudo.pdf", shown="x") == Media(data, "application/pdf", "laudo.pdf", (note,))
    whole = documents.read_bytes(pdf(Page(stamp, [600])), "laudo.pdf", shown="x")
    assert whole.notes == ("none of its 1 page has text (scanned?): sent as a PDF, which only some models read",)


def test_what_looks_like_our_mark_cites_no_page() -> None:
    part = read(pdf(f"[página 9]\n{SECOND}"))
    assert [item.id for item in documents.passages(part.text, "a", "a")] == ["a#pagina-1"]
    assert "página 9" in part.text


def test_what_was_filled_into_a_form_is_read() -> None:
    part = read(pdf(FIRST, form={"alergias": "dipirona", "vazio": ""}))
    assert part.text.endswith("\n\n[campos do formulário]\nalergias: dipirona\n")


def test_control_characters_of_a_pdf_are_taken_out() -> None:
    content = b"BT /F1 11 Tf 50 700 Td (um texto com \x1b[31mcores e mais nada) Tj ET"
    stream = b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content)
    assert "\x1b" not in read(one_page(stream)).text


@pytest.mark.parametrize("algorithm", ["RC4-128", "AES-256"])
def test_encryption(algorithm: str) -> None:
    assert FIRST in read(encrypted("", algorithm)).text
    assert "is protected by a password" in refused(encrypted("segredo", algorithm)).message


@pytest.mark.parametrize(
    "data",
    [
        b"%PDF-1.7 nada",
        pdf(FIRST)[:-200],
        pdf(),
        assembled([CATALOG, b"<< /Type /Pages /Count 1 /Kids [2 0 R] >>"]),
        assembled([CATALOG, b"<< /Type /Pages /Parent 2 0 R /Count 1 /Kids [3 0 R] >>", b"<< /Kids [2 0 R] >>"]),
        one_page(packed(b" " * 400_000_000)),
        one_page(b"[" * 200_000),
        pdf(FIRST).replace(b"/Pages 2 0 R", b"/Pages 9 0 R"),
    ],
    ids=["no objects", "cut", "no pages", "loop", "longer loop", "bomb", "deep", "dangling"],
)
def test_a_damaged_or_hostile_pdf_is_refused_soon(data: bytes) -> None:
    started = time.monotonic()
    assert "damaged" in refused(data).message
    assert time.monotonic() - started < 20


def test_too_many_pages_are_refused() -> None:
    error = refused(pdf(*[SECOND] * 1001))
    assert (error.message, error.hint) == ("laudo.pdf has 1001 pages: too many", "give at most 1000 pages at once")


def test_too_much_text_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"BT /F1 11 Tf 50 700 Td " + b"(%s) Tj " % (b"palavra " * 1000) * 1100 + b"ET"
    assert "holds more than 8 million characters" in refused(one_page(packed(content))).message


def test_a_reader_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(extraction.SECONDS, "pdf", 0.01)
    assert refused(pdf(FIRST)).message == "laudo.pdf cannot be read as a PDF: no answer within 0.01 s"


def test_a_module_in_the_current_folder_is_not_run(workdir: Path) -> None:
    for name in ("pypdf.py", "json.py", "gemx.py"):
        (workdir / name).write_text("raise SystemExit(3)")
    assert FIRST in read(pdf(FIRST)).text
