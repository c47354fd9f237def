"""Items as clinicians export them: separators, quotes, marks and encodings are found; no bad row is lost."""

from __future__ import annotations

import io
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from gemx.errors import InputError, UsageError
from gemx.flow import items
from gemx.flow.items import Form, Row


def read(path: Path, data: bytes) -> tuple[Form, list[Row], tuple[str, ...]]:
    path.write_bytes(data)
    with items.opened(str(path), io.BytesIO()) as found:
        return found.form, list(found.rows), found.notes


@pytest.mark.parametrize(
    ("data", "form"),
    [
        (b'idade,peso\r\n64,"70,5"\r\n', Form("csv", ",")),
        (b"idade;peso\n64;70,5\n", Form("csv", ";")),
        (b"\xef\xbb\xbfidade;peso\n64;70,5\n", Form("csv", ";", marked=True)),
        ("idade;peso\n64;70,5\n".encode("utf-16"), Form("csv", ";", marked=True)),
        (b'\n\nidade;"peso"\n\n64;70,5\n\n', Form("csv", ";")),
        (b'"idade, em anos";peso\n64;"70,5"\n', Form("csv", ";")),
    ],
)
def test_separators_quotes_and_marks_are_found(tmp_path: Path, data: bytes, form: Form) -> None:
    found, rows, notes = read(tmp_path / "p.csv", data)
    assert found == form
    assert [list(row.values.values()) for row in rows] == [["64", "70,5"]]
    assert notes == ()


def test_windows_text_is_read_with_a_note(tmp_path: Path) -> None:
    _, rows, notes = read(tmp_path / "p.csv", "leito;observação\n3;confusão e hipotensão\n".encode("cp1252"))
    assert rows == [Row(2, {"leito": "3", "observação": "confusão e hipotensão"})]
    assert "Windows-1252" in notes[0]


def test_an_empty_cell_is_absent_and_a_cell_may_have_lines(tmp_path: Path) -> None:
    _, rows, _ = read(tmp_path / "p.csv", b'a,b,c\n1,,"x\ny"\n2, ,z\n')
    assert rows == [Row(2, {"a": "1", "c": "x\ny"}), Row(4, {"a": "2", "c": "z"})]


def test_each_bad_row_is_told_with_its_line_and_the_others_are_read(tmp_path: Path) -> None:
    _, rows, _ = read(tmp_path / "p.csv", b'a;b\n1;2\n3\n4;5;6\n"x"y;7\n8;9;\n')
    assert [(row.line, row.problem is None) for row in rows] == [
        (2, True),
        (3, False),
        (4, False),
        (5, False),
        (6, True),
    ]
    assert "tem 1 colunas, e o cabeçalho 2" in str(rows[1].problem)
    assert "aspas" in str(rows[3].problem)


def test_a_decimal_comma_shifts_no_column(tmp_path: Path) -> None:
    _, (shifted,), _ = read(tmp_path / "p.csv", b"id,lactato,creatinina\np1,4,6,\n")
    assert "tem 4 colunas, e o cabeçalho 3" in str(shifted.problem)
    _, (row,), _ = read(tmp_path / "p.csv", b"id,lactato,,\np1,4,,\n")
    assert row == Row(2, {"id": "p1", "lactato": "4"})


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'a;b;c\n1;x;"nega\n2;y;dipirona"\n3;z;w\n', "contém linhas inteiras; as linhas 2 a 3"),
        (b'a;b;c\n1;x;"nega\n2;y;"dipirona"\n3;z;w\n', "depois de aspas fechadas; as linhas 2 a 3"),
        (b'a;b;c\n1;"x;nega\n2";"y"\n3;z;w\n', None),
        (b'a;b;c\n1;x;"nega; febre; tosse\ndor; vertigem; enjoo"\n3;z;w\n', None),
    ],
)
def test_rows_that_stray_quotes_took_for_a_cell_are_told(tmp_path: Path, data: bytes, words: str | None) -> None:
    _, (first, second), _ = read(tmp_path / "p.csv", data)
    assert words in str(first.problem) if words else first.problem is None
    assert (second.line, second.values["a"]) == (4, "3")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"\n \n", "empty"),
        (b"a,,b\n1,2,3\n", "without a name"),
        (b"a,b,a\n1,2,3\n", "'a' twice"),
        (b'a,b\n1,"2\n3,4\n', "line 2 never close"),
        (b"a,b\n\xff\xfe\x00,1\n", "UTF-8"),
    ],
)
def test_a_file_that_is_wrong_as_a_whole_is_refused(tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read(tmp_path / "p.csv", data)


def test_json_lines_are_read_exactly(tmp_path: Path) -> None:
    data = b'{"peso": 70.50, "n": null}\n\n[1]\n{"a": 1, "a": 2}\n{"a": NaN}\n{"a": \n{"texto": "x; y"}\n'
    form, rows, _ = read(tmp_path / "p.jsonl", data)
    assert form == Form("jsonl")
    assert rows[0] == Row(1, {"peso": Decimal("70.50"), "n": None})
    assert [row.line for row in rows] == [1, 3, 4, 5, 6, 7]
    assert [row.problem is None for row in rows] == [True, False, False, False, False, True]
    assert "objeto JSON" in str(rows[1].problem)
    assert "twice" in str(rows[2].problem)


@pytest.mark.parametrize(("data", "kind"), [(b' \n{"a": 1}\n', "jsonl"), (b"a;b\n1;2\n", "csv")])
def test_standard_input_is_read_as_what_it_is(data: bytes, kind: str) -> None:
    with items.opened("-", io.BytesIO(data)) as found:
        assert found.form.kind == kind
        assert [row.line for row in found.rows] == [2]


def test_standard_input_that_is_no_text_is_refused() -> None:
    with pytest.raises(InputError, match="standard input"), items.opened("-", io.BytesIO(b"a\n\xff\n")) as found:
        list(found.rows)


@pytest.mark.parametrize(("name", "error"), [("p.xlsx", UsageError), ("nada.csv", InputError), (".csv", UsageError)])
def test_what_is_no_file_of_items(tmp_path: Path, name: str, error: type[Exception]) -> None:
    with pytest.raises(error), items.opened(str(tmp_path / name), io.BytesIO()):
        pass


def test_rows_are_a_stream() -> None:
    class Endless(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
            buffer[:8] = b"a\n1\n2\n3\n"
            return 8

    with items.opened("-", io.BufferedReader(Endless())) as found:
        rows: Iterator[Row] = found.rows
        assert next(rows).values == {"a": "1"}
