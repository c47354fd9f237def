from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from gemx.audit import log
from gemx.errors import StorageError


def test_the_day_files_in_their_order(tmp_path: Path) -> None:
    names = ["audit-2026-11-21.jsonl", "audit-2025-12-31.jsonl", "content-2026-11-21.jsonl"]
    for name in (*names, "audit-2026-13-01.jsonl", "audit-2026-11-21.jsonl.bak", "audit-2026-1-1.jsonl", ".key"):
        (tmp_path / name).touch()
    assert [path.name for path in log.files(tmp_path)] == [names[1], names[0]]
    assert [path.name for path in log.files(tmp_path, "content")] == [names[2]]
    assert log.files(tmp_path / "nowhere") == log.files() == []
    assert log.day(tmp_path / names[0]) == date(2026, 11, 21)
    with pytest.raises(ValueError, match="no day file"):
        log.day(tmp_path / "notes.txt")


@pytest.mark.parametrize("block", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(
    "data",
    [b"", b"\n", b"a", b"a\n", b"a\n\nb\n", b"ab\ncd\nef", b"\n\na", b"a\r\nb\x85c\x0bd\n", b"x" * 50 + b"\ny\n"],
)
def test_lines_read_the_same_forwards_and_backwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, block: int
) -> None:
    monkeypatch.setattr(log, "_BLOCK", block)
    path = tmp_path / "audit-2026-11-21.jsonl"
    path.write_bytes(data)
    expected = data.removesuffix(b"\n").split(b"\n") if data else []
    assert [line for _, line in log.lines(path)] == expected
    assert list(log.backwards(path)) == expected[::-1]


def test_what_comes_after_a_size_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "audit-2026-11-21.jsonl"
    path.write_bytes(b"one\ntwo\nthree\n")
    assert list(log.lines(path, 8)) == [(1, b"one"), (2, b"two")]
    assert list(log.lines(path, 6)) == [(1, b"one"), (2, b"tw")]


@pytest.mark.parametrize("read", [log.lines, log.backwards])
def test_what_cannot_be_read_is_a_storage_error(tmp_path: Path, read: object) -> None:
    with pytest.raises(StorageError, match="cannot be read"):
        list(read(tmp_path))  # type: ignore[operator]
