"""Finding local models; and that one which is not what was installed is never given."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gemx import places
from gemx.errors import ModelNotFoundError, StorageError, UsageError
from gemx.models import installing, integrity, registry, store


def silent(*_: object) -> None:
    """Tell nothing."""


@pytest.fixture
def folder(gemx_home: Path) -> Path:
    return places.ensure_private_dir(gemx_home / "data" / "models")


@pytest.fixture
def model(folder: Path, tiny_gguf: Path) -> Path:
    installing.copy(tiny_gguf, "modelo", None, silent, silent)
    return folder / "modelo.gguf"


def tamper(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last[0] ^ 1]))


def test_a_file_put_there_by_hand_is_found_and_nothing_is_written(folder: Path, tiny_gguf: Path) -> None:
    shutil.copy(tiny_gguf, folder / "meu.gguf")
    (folder / "mmproj-meu.gguf").write_bytes(b"GGUF")
    assert registry.installed() == ["meu"]
    assert registry.path_of("meu") == folder / "meu.gguf"
    assert sorted(path.name for path in folder.iterdir()) == ["meu.gguf", "mmproj-meu.gguf"]


@pytest.mark.parametrize("by", ["name", "path", "link"])
def test_a_file_that_was_changed_is_never_given(model: Path, tmp_path: Path, by: str) -> None:
    (tmp_path / "atalho.gguf").symlink_to(model)
    asked = {"name": "modelo", "path": str(model), "link": str(tmp_path / "atalho.gguf")}[by]
    assert registry.path_of(asked).samefile(model)
    before = model.stat()
    tamper(model)
    os.utime(model, ns=(before.st_atime_ns, before.st_mtime_ns))
    for _ in range(2):
        with pytest.raises(StorageError, match="the model modelo is broken: its file was changed") as caught:
            registry.path_of(asked)
    assert "never loaded" in str(caught.value.hint)
    assert registry.installed() == []


def test_the_right_file_put_back_is_given_once_it_was_verified(model: Path, tiny_gguf: Path) -> None:
    tamper(model)
    with pytest.raises(StorageError):
        registry.path_of("modelo")
    shutil.copy(tiny_gguf, model)
    entry = store.get("modelo")
    assert entry and integrity.verify(entry).state == "installed"
    assert registry.path_of("modelo") == model


def test_a_file_is_hashed_once_and_again_only_where_it_is_another(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[Path] = []
    original = integrity.sha256_of

    def counted(path: Path, *rest: object) -> str:
        hashed.append(path)
        return original(path)

    monkeypatch.setattr(integrity, "sha256_of", counted)
    for _ in range(3):
        registry.path_of("modelo")
    assert hashed == []
    model.touch()
    for _ in range(3):
        registry.path_of("modelo")
    assert hashed == [model]


def test_a_command_killed_before_it_wrote_down_that_the_file_is_whole(model: Path) -> None:
    entry = store.get("modelo")
    assert entry
    store.put(store.Entry(**{**vars(entry), "state": "downloading", "stamp": ""}))
    assert registry.path_of("modelo") == model
    found = store.get("modelo")
    assert found and found.state == "installed"


def test_a_file_that_is_gone_is_told(model: Path) -> None:
    model.unlink()
    with pytest.raises(ModelNotFoundError, match="modelo is not whole, or its file is gone"):
        registry.path_of("modelo")
    entry = store.get("modelo")
    assert entry and integrity.verify(entry).problem == "its file is gone"


def test_an_unknown_name_is_told_with_one_that_is_near(model: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="did you mean 'modelo'"):
        registry.path_of("modello")
    with pytest.raises(ModelNotFoundError, match="no model file"):
        registry.path_of("./nada.gguf")


def test_a_file_is_looked_at_again_after_a_disk_was_found_to_rot(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry.path_of("modelo")
    entry = store.get("modelo")
    assert entry
    monkeypatch.setattr(integrity, "sha256_of", lambda *_: "0" * 64)  # the same times, other bytes
    assert integrity.verify(entry).state == "broken"
    with pytest.raises(StorageError, match="is broken"):
        registry.path_of("modelo")


def test_a_part_is_never_given_by_its_path(folder: Path, model: Path, tmp_path: Path) -> None:
    part = model.rename(store.part_of(model))
    (tmp_path / "atalho.gguf").symlink_to(part)
    (folder / "atalho.gguf").symlink_to(part)
    for asked in (str(part), str(tmp_path / "atalho.gguf"), "atalho"):
        with pytest.raises(ModelNotFoundError, match="is not whole"):
            registry.path_of(asked)


def test_a_file_that_changes_while_it_is_hashed_is_hashed_again(
    folder: Path, tiny_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside, by_hand = tmp_path / "fora.gguf", folder / "mao.gguf"
    shutil.copy(tiny_gguf, outside)
    shutil.copy(tiny_gguf, by_hand)
    original = integrity.sha256_of

    def changed(path: Path, *rest: Any) -> str:
        digest = original(path, *rest)
        tamper(path)
        return digest

    with monkeypatch.context() as patch:
        patch.setattr(integrity, "sha256_of", changed)
        installing.add(outside, "fora", silent, silent)
        installing.record("mao")
    for name in ("fora", "mao"):
        with pytest.raises(StorageError, match="its file was changed"):
            registry.path_of(name)


def test_what_is_removed_or_replaced_while_it_is_hashed_stays_so(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = store.get("modelo")
    assert entry
    store.forget("modelo")
    integrity.verify(entry)
    assert store.get("modelo") is None
    other = replace(entry, sha256="0" * 64)
    store.put(other)
    integrity.verify(entry)
    assert store.get("modelo") == other


def test_a_file_that_cannot_be_read_is_broken(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = store.get("modelo")
    assert entry

    def fails(*_: object) -> str:
        raise StorageError("cannot read it: Input/output error")

    monkeypatch.setattr(integrity, "sha256_of", fails)
    assert integrity.verify(entry).problem == "cannot read it: Input/output error"
    with pytest.raises(StorageError, match="is broken: cannot read it"):
        registry.path_of("modelo")


def test_the_file_of_a_model_is_not_added_in_its_own_place(model: Path) -> None:
    tamper(model)
    with pytest.raises(StorageError):
        registry.path_of("modelo")
    with pytest.raises(UsageError, match="is the file of modelo itself"):
        installing.add(model, "modelo", silent, silent)
    assert model.is_file()
    assert not model.is_symlink()
