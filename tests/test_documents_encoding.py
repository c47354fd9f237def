"""Texts that are not in UTF-8: read where there is no doubt, else refused with the way to convert them."""

from __future__ import annotations

import codecs
import io
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemx import documents
from gemx.documents import Text, encoding
from gemx.errors import InputError

NOTE = ("is not in UTF-8: read as Windows-1252",)
NOTES = [
    "Paciente evoluiu com hipotensão; PAM 57 mmHg. Início de noradrenalina às 10h.",
    "EVOLUÇÃO MÉDICA\r\nALERGIA: DIPIRONA. USO CRÔNICO DE AAS. PÓS-OPERATÓRIO.",
    "T 38,5 °C, SpO₂ 92%".replace("₂", "2") + " – dor “em aperto”… 5 µg/kg/min",
    "É a 2ª internação, no 3º andar.",
    "Enviado à UTI",
    "MÃE: Conceição. AVÓ: Zilá.",
    "clínica",
    "PÓS",
]


@pytest.mark.parametrize("text", NOTES)
def test_a_note_of_windows_is_read_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    data = text.encode("cp1252")
    (tmp_path / "nota.txt").write_bytes(data)
    assert documents.read_file(tmp_path / "nota.txt") == Text(text, "nota.txt", notes=NOTE)
    # what is data, or the words of a prompt, is not guessed at
    with pytest.raises(InputError, match="is not UTF-8 text"):
        documents.read_text(tmp_path / "nota.txt")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    with pytest.raises(InputError, match="is not UTF-8 text"):
        documents.read_stdin()


@pytest.mark.parametrize("text", [text for text in NOTES if not set(text) & set("–“”…µ")])
def test_a_note_of_dos_is_refused_with_its_conversion(text: str) -> None:
    data = text.encode("cp850")
    with pytest.raises(InputError, match=r"^nota\.txt: byte \d+ is not UTF-8 text") as caught:
        encoding.decode(data, "nota.txt")
    assert "iconv -f cp" in str(caught.value.hint)


def test_the_conversion_of_a_note_of_dos_names_dos() -> None:
    with pytest.raises(InputError) as caught:
        encoding.decode("Não há infecção; é início.".encode("cp850"), "nota.txt")
    assert "iconv -f cp850" in str(caught.value.hint)


@pytest.mark.parametrize("text", ["Привет, как дела", "Ελληνικά κείμενο"])
def test_other_alphabets_are_not_taken_for_windows(text: str) -> None:
    with pytest.raises(InputError, match="not UTF-8"):
        encoding.decode(text.encode("iso-8859-5" if "П" in text else "iso-8859-7"), "nota.txt")


@pytest.mark.parametrize("data", [b"\x89PN\x00G", b"ab\x01\xe9", bytes(range(256)), b"\xe9\x00\x01"])
def test_what_is_no_text_is_not_told_to_be_converted(data: bytes) -> None:
    with pytest.raises(InputError, match="is not UTF-8 text") as caught:
        encoding.decode(data, "a.bin")
    assert "iconv" not in str(caught.value.hint)


@pytest.mark.parametrize(
    ("mark", "name"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
    ],
)
def test_a_byte_order_mark_is_believed(mark: bytes, name: str) -> None:
    text = "Ação à beira-leito: 10⁹/L 😀"
    assert encoding.decode(mark + text.encode(name), "a.txt") == (text, ())


@pytest.mark.parametrize("data", [b"\xff\xfea", b"\xff\xfe\x00\xd8", b"\xff\xfea\x00\x00\x00", b"\xfe\xff\xdc\x00"])
def test_a_byte_order_mark_before_what_is_no_text(data: bytes) -> None:
    with pytest.raises(InputError, match=r"^a\.txt: "):
        encoding.decode(data, "a.txt")


@pytest.mark.parametrize(
    ("charset", "data", "text"),
    [
        ("ISO-8859-1", b"dor \x93forte\x94 h\xe1 3 h", "dor “forte” há 3 h"),
        ('"utf-8"', "ação".encode(), "ação"),
        ("Windows-1251", "да".encode("cp1251"), "да"),
        ("iso-8859-15", b"\xa4", "€"),
    ],
)
def test_a_declared_character_set_is_believed(charset: str, data: bytes, text: str) -> None:
    assert encoding.decode(data, "a.html", charset) == (text, ())


@pytest.mark.parametrize("charset", ["punycode", "zlib", "unicode_escape", "klingon", "cp99999", "rot13", "x" * 500])
def test_what_is_no_character_set_is_refused(charset: str) -> None:
    with pytest.raises(InputError, match=r"the character set .* is not known"):
        encoding.decode(b"a", "a.html", charset)


def test_a_wrong_declaration_names_the_byte() -> None:
    with pytest.raises(InputError, match=r"a\.html: byte 3 is not text in utf-8, as it says"):
        encoding.decode(b"ab\xe9", "a.html", "utf-8")


@given(st.text())
def test_utf_8_is_never_read_as_anything_else(text: str) -> None:
    data = text.encode(errors="ignore")
    if not data.startswith(codecs.BOM_UTF8):
        assert encoding.decode(data, "a") == (data.decode(), ())


@given(st.binary(max_size=60))
def test_bytes_are_text_or_an_input_error(data: bytes) -> None:
    try:
        text, _ = encoding.decode(data, "a")
    except InputError:
        return
    assert "�" not in text or "�".encode() in data or data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
