"""The output folder: nothing is written outside it, whatever paths and links say."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from pathlib import Path

import pytest

from gemx.errors import InputError, StorageError
from gemx.flow.output_folder import OutputFolder


@pytest.fixture
def folder(tmp_path: Path) -> OutputFolder:
    return OutputFolder(tmp_path / "out", time.time())


OUTSIDE = (
    *("/tmp/x", "//x", "../x", "a/../../x", "a/..", "..", ".", "", "  ", "a//b", "a/", "./", "a\0b", "a\nb", "\x1b[2J"),
    *("\u202eabc", "/", "x/" + "a" * 201, "é" * 101),
)


@pytest.mark.parametrize("name", OUTSIDE)
def test_what_is_no_path_inside(name: str, folder: OutputFolder, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        folder.write(name, b"x")
    assert not [*tmp_path.rglob("*")]


@pytest.mark.parametrize("name", ["x", "./x", "a/b/c.md", "~", "a b", "..x", "$(touch y)", "-rf", "é" * 100])
def test_what_is_one(name: str, folder: OutputFolder) -> None:
    path = folder.write(name, b"x")
    assert path.read_bytes() == b"x"
    assert path.is_relative_to(folder.path)
    assert (path.stat().st_mode & 0o777, folder.path.stat().st_mode & 0o777) == (0o600, 0o700)


def test_links_are_not_followed(folder: OutputFolder, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("mine")
    folder.make()
    (folder.path / "link").symlink_to(outside)
    (folder.path / "file").symlink_to(outside / "file")
    (folder.path / "dangling").symlink_to(outside / "new")
    (folder.path / "loop").symlink_to("loop")
    (folder.path / "up").symlink_to("..")
    (folder.path / "dir").mkdir()
    for name in ("link/x", "file", "dangling", "loop", "up/x", "loop/x", "link", "dir", "up/outside/file"):
        with pytest.raises(InputError):
            folder.write(name, b"stolen")
    assert [path.name for path in outside.iterdir()] == ["file"]
    assert (outside / "file").read_text() == "mine"
    assert not list(folder.path.rglob(".gemx-*"))


def test_a_folder_that_becomes_a_link_meanwhile(folder: OutputFolder, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    inside = folder.make() / "a"
    inside.mkdir()
    stop = threading.Event()

    def swap() -> None:
        kept = folder.path / "kept"
        steps = (lambda: inside.rename(kept), lambda: inside.symlink_to(outside), inside.unlink)
        while not stop.is_set():
            for step in (*steps, lambda: kept.rename(inside)):
                # The writer may have made a folder of that name in between.
                with contextlib.suppress(OSError):
                    step()

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for number in range(300):
            try:
                folder.write(f"a/{number}", b"x")
            except (InputError, StorageError):
                continue
    finally:
        stop.set()
        thread.join()
    assert not [*outside.iterdir()]


def test_a_file_of_an_earlier_run_is_replaced_and_one_of_this_run_is_not(tmp_path: Path) -> None:
    before = OutputFolder(tmp_path / "out", time.time() - 100)
    path = before.write("x", b"1")
    os.utime(path, (time.time() - 50, time.time() - 50))
    now = OutputFolder(tmp_path / "out", time.time())
    now.write("x", b"2")
    # The same again, as a run that was killed before it could say so, changes nothing.
    now.write("x", b"2")
    with pytest.raises(InputError, match="this run has written 'x' already"):
        now.write("x", b"3")
    assert path.read_bytes() == b"2"


def test_one_of_two_items_that_write_the_same_path_is_told(folder: OutputFolder) -> None:
    refused: list[InputError] = []

    def write(number: int) -> None:
        try:
            folder.write("a/x", str(number).encode())
        except InputError as exc:
            refused.append(exc)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 7


def test_a_link_that_the_user_gave_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "real")
    OutputFolder(tmp_path / "out", time.time()).write("x", b"1")
    assert (tmp_path / "real/x").read_bytes() == b"1"


def test_what_cannot_be_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="is no folder"):
        OutputFolder(tmp_path / "file", 0).write("x", b"1")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(StorageError):
        OutputFolder(tmp_path / "loop", 0).write("x", b"1")
