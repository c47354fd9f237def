from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemx import documents
from gemx.documents import Media, Passage, Text
from gemx.errors import InputError

KNOWLEDGE = """preamble

# Choque {#choque}

PAM alvo de
65 mmHg.

Fonte: SSC 2021,
recomendação 9

## Noradrenalina à beira-leito

Primeira escolha.

## Vazia

## Só a fonte
Fonte: x

#no-heading
"""


def stdin(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))


def test_sections_have_ids_headings_references_and_places() -> None:
    found = documents.passages(KNOWLEDGE, "sepse", "sepse.md")
    assert [(item.id, item.heading, item.text, item.reference) for item in found] == [
        ("sepse#1", "", "preamble", None),
        ("sepse#choque", "Choque", "PAM alvo de\n65 mmHg.", "SSC 2021, recomendação 9"),
        ("sepse#noradrenalina-a-beira-leito", "Noradrenalina à beira-leito", "Primeira escolha.", None),
        ("sepse#so-a-fonte", "Só a fonte", "#no-heading", "x"),
    ]
    assert KNOWLEDGE[found[1].start : found[1].end].startswith("# Choque {#choque}\n")
    assert KNOWLEDGE[found[1].start : found[1].end].endswith("recomendação 9\n\n")
    assert all(item.source == "sepse.md" for item in found)


def test_paragraphs_where_there_is_no_heading() -> None:
    text = "\n  one\nstill one\n \t\ntwo\n\n\nthree\n"
    found = documents.passages(text, "nota", "nota.txt")
    assert [(item.id, item.text) for item in found] == [
        ("nota#1", "one\nstill one"),
        ("nota#2", "two"),
        ("nota#3", "three"),
    ]
    assert [text[item.start : item.end].strip() for item in found] == [item.text for item in found]


def test_a_text_of_windows_has_the_same_passages() -> None:
    def meaning(found: list[Passage]) -> list[tuple[str, str, str, str | None]]:
        return [(item.id, item.heading, item.text.replace("\r", ""), item.reference) for item in found]

    for text in (KNOWLEDGE, "one\nstill one\n\ntwo\n"):
        windows = documents.passages(text.replace("\n", "\r\n"), "a", "a")
        assert meaning(windows) == meaning(documents.passages(text, "a", "a"))


def test_pages_are_passages_and_their_headings_are_none() -> None:
    text = "capa\n\n[página 1]\n# não é título\nPAM 65.\n\n[página 2 sem texto]\n\n[página 3]\r\nLactato.\n"
    found = documents.passages(text, "laudo", "laudo.pdf")
    assert [(item.id, item.heading, item.text) for item in found] == [
        ("laudo#1", "", "capa"),
        ("laudo#pagina-1", "página 1", "# não é título\nPAM 65."),
        ("laudo#pagina-3", "página 3", "Lactato."),
    ]
    assert text[found[1].start : found[1].end].startswith("[página 1]\n# não")
    assert text[found[2].start :] == "[página 3]\r\nLactato.\n"


@pytest.mark.parametrize("text", ["", "  \n\t\n", "# Only a heading\n"])
def test_a_text_of_nothing_has_no_passages(text: str) -> None:
    assert documents.passages(text, "a", "a") == []


@given(st.text(alphabet="# ab\n\r\t{}Fonte:", max_size=80))
def test_passages_lie_in_order_within_the_text(text: str) -> None:
    found = documents.passages(text, "a", "a")
    assert [item.start for item in found] == sorted(item.start for item in found)
    for item in found:
        assert 0 <= item.start < item.end <= len(text)
        assert item.text == item.text.strip() != ""
        if not item.reference:
            assert item.text in text[item.start : item.end] or "Fonte:" in text


def test_a_text_file_is_text(tmp_path: Path) -> None:
    path = tmp_path / "nota.md"
    path.write_bytes(b"\xef\xbb\xbf# \xc3\xa7\n")
    assert documents.read_file(path) == Text("# ç\n", "nota.md")


@pytest.mark.parametrize(
    ("data", "mime"),
    [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"II*\0\x08", "image/tiff"),
        (b"BM\x10\x20\x30\x40\0\0\0\0", "image/bmp"),
        (b"RIFF\x01\x02\x03\nWEBPVP8 ", "image/webp"),
        (b"RIFF\x01\x02\x03\x04WAVEfmt ", "audio/wav"),
        (b"\0\0\0\x18ftypheic\xff", "image/heic"),
        (b"\0\0\0\x18ftypM4A \xff", "audio/mp4"),
        (b"ID3\x04\0", "audio/mpeg"),
        (b"\xff\xfb\x90\x64", "audio/mpeg"),
        (b"OggS\0\x02", "audio/ogg"),
        (b"fLaC\0", "audio/flac"),
    ],
)
@pytest.mark.parametrize("name", ["nota.txt", "sem-nome", "a.pdf", "a.PNG"])
def test_media_is_what_its_content_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, mime: str, name: str
) -> None:
    (tmp_path / name).write_bytes(data)
    assert documents.read_file(tmp_path / name) == Media(data, mime, name)
    stdin(monkeypatch, data)
    assert documents.read_stdin_part() == Media(data, mime, "stdin")
    stdin(monkeypatch, data)
    with pytest.raises(InputError, match="standard input: not text") as caught:
        documents.read_stdin()
    assert "-f -" in str(caught.value.hint)


def test_media_of_a_kind_that_is_not_known_by_its_content_has_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.MP3").write_bytes(b"\xfe\x00")
    assert documents.read_file(tmp_path / "a.MP3") == Media(b"\xfe\x00", "audio/mpeg", "a.MP3")


@pytest.mark.parametrize("name", ["a.png", "a.pdf", "A.JPG"])
def test_a_file_that_is_not_what_its_name_says(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\xff\x00")
    with pytest.raises(InputError, match=rf"{name} is named as \w+/\w+, and is none") as caught:
        documents.read_file(tmp_path / name)
    assert caught.value.hint
    (tmp_path / name).write_text("PAM 57 é baixa")
    assert documents.read_file(tmp_path / name) == Text(
        "PAM 57 é baixa", name, notes=("is text, whatever its name says",)
    )


def test_a_drawing_in_svg_is_text(tmp_path: Path) -> None:
    (tmp_path / "a.svg").write_text("<svg/>")
    assert documents.read_file(tmp_path / "a.svg") == Text("<svg/>", "a.svg")


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"\xd0\xcf\x11\xe0\xa1", "an old Office file, or one with a password"),
        (b"{\\rtf1\\ansi Jo\\'e3o}", "an RTF file"),
        (bytes(128) + b"DICM", "a DICOM file"),
        (b"\x1f\x8b\x08", "a compressed file"),
        (b"\0\0\0\x18ftypmp42", "a video"),
    ],
)
def test_what_is_known_and_cannot_be_read_says_what_to_do(tmp_path: Path, data: bytes, what: str) -> None:
    (tmp_path / "laudo.txt").write_bytes(data)
    with pytest.raises(InputError, match=rf"laudo\.txt is {what}, which cannot be read") as caught:
        documents.read_file(tmp_path / "laudo.txt")
    assert caught.value.hint


@pytest.mark.parametrize(("data", "byte"), [(b"ab\xff", 3), (b"\xef\xbb\xbfab\xff", 6)])
def test_what_is_no_utf_8_names_the_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, byte: int
) -> None:
    (tmp_path / "a.txt").write_bytes(data)
    with pytest.raises(InputError, match=rf"a\.txt: byte {byte} is not UTF-8 text"):
        documents.read_file(tmp_path / "a.txt")
    stdin(monkeypatch, data)
    with pytest.raises(InputError, match=rf"^standard input: byte {byte} is not UTF-8 text"):
        documents.read_stdin()


@pytest.mark.parametrize("name", ["none.txt", ".", "x" * 300, "nota.md/x"])
def test_what_cannot_be_read_is_an_input_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "nota.md").write_text("x")
    with pytest.raises(InputError, match="cannot read"):
        documents.read_file(tmp_path / name)


def test_the_size_is_bounded_where_the_system_does_not_tell_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MAX_BYTES", 1_000_000)
    (tmp_path / "a.txt").write_bytes(b"a" * 1_000_001)
    for path in (Path("/dev/zero"), tmp_path / "a.txt"):
        with pytest.raises(InputError, match="is larger than 1 MB"):
            documents.read_file(path)
    os.truncate(tmp_path / "a.txt", 1_000_000)
    assert isinstance(documents.read_file(tmp_path / "a.txt"), Text)
    stdin(monkeypatch, b"a" * 1_000_001)
    with pytest.raises(InputError, match="standard input is larger than 1 MB"):
        documents.read_stdin()


def test_standard_input_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin(monkeypatch, "\ufeffação\r\n".encode())
    assert documents.read_stdin() == "ação\r\n"


def test_a_closed_standard_input_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert documents.read_stdin() == ""
