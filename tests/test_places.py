from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from gemx import places
from gemx.errors import ConfigError, StorageError

XDG = {"config": "XDG_CONFIG_HOME", "state": "XDG_STATE_HOME", "data": "XDG_DATA_HOME"}
FOLDERS = {"config": places.config_dir, "state": places.state_dir, "data": places.data_dir}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def no_gemx_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.delenv("GEMX_HOME")
    for name in XDG.values():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_gemx_home_holds_everything(gemx_home: Path) -> None:
    assert {kind: folder() for kind, folder in FOLDERS.items()} == {kind: gemx_home / kind for kind in FOLDERS}
    assert places.config_file() == gemx_home / "config" / "config.json"
    assert places.audit_dir() == gemx_home / "state" / "audit"
    assert places.models_dir() == gemx_home / "data" / "models"


def test_gemx_home_may_be_relative_or_start_with_a_tilde(
    monkeypatch: pytest.MonkeyPatch, workdir: Path, tmp_path: Path
) -> None:
    monkeypatch.setenv("GEMX_HOME", "here")
    assert places.data_dir() == workdir / "here" / "data"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GEMX_HOME", "~/there")
    assert places.data_dir() == tmp_path / "there" / "data"
    monkeypatch.setenv("GEMX_HOME", "~no-such-user/x")
    assert places.data_dir() == workdir / "~no-such-user" / "x" / "data"


@pytest.mark.parametrize(
    ("kind", "default"), [("config", ".config"), ("state", ".local/state"), ("data", ".local/share")]
)
def test_the_xdg_directories(kind: str, default: str, monkeypatch: pytest.MonkeyPatch, no_gemx_home: Path) -> None:
    assert FOLDERS[kind]() == no_gemx_home / default / "gemx"
    monkeypatch.setenv(XDG[kind], "/xdg")
    assert FOLDERS[kind]() == Path("/xdg/gemx")
    # The specification has relative paths ignored.
    monkeypatch.setenv(XDG[kind], "relative")
    assert FOLDERS[kind]() == no_gemx_home / default / "gemx"


def test_an_empty_gemx_home_is_none(monkeypatch: pytest.MonkeyPatch, no_gemx_home: Path) -> None:
    monkeypatch.setenv("GEMX_HOME", "")
    assert places.config_dir() == no_gemx_home / ".config" / "gemx"


def test_no_home_at_all_is_a_config_error(monkeypatch: pytest.MonkeyPatch, no_gemx_home: Path) -> None:
    def nowhere() -> Path:
        raise RuntimeError

    monkeypatch.setattr(Path, "home", nowhere)
    with pytest.raises(ConfigError, match="no home directory"):
        places.data_dir()


def test_a_private_folder_is_private_with_its_parents(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        path = places.ensure_private_dir(tmp_path / "a" / "b" / "c")
    finally:
        os.umask(before)
    assert [mode(folder) for folder in (path, path.parent, path.parent.parent)] == [0o700] * 3


def test_a_folder_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    assert places.ensure_private_dir(tmp_path) == tmp_path
    assert mode(tmp_path) == 0o750


@pytest.mark.parametrize("path", ["file", "file/inside"])
def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot create") as caught:
        places.ensure_private_dir(tmp_path / path)
    assert "GEMX_HOME" in (caught.value.hint or "")


@pytest.mark.parametrize("kind", ["automations", "profiles", "templates", "flows"])
def test_shipped_data_is_there(kind: str) -> None:
    assert places.shipped(kind).is_dir()


def test_a_path_as_a_user_writes_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert places.user_path("~/x") == tmp_path / "x"
    assert places.user_path("~no-such-user/x") == Path("~no-such-user/x")


def test_a_path_that_the_system_refuses_is_no_file(tmp_path: Path) -> None:
    assert not places.is_file(Path("x" * 300))
    assert not places.is_file(tmp_path)
    (tmp_path / "x").write_text("")
    assert places.is_file(tmp_path / "x")
