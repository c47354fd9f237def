"""`gemx config set-key`: a key goes in by a prompt or a pipe, and never comes out again."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import planted_keys
from conftest import RunGemx
from gemx import keys, places, settings
from terminal import GEMX, on_a_terminal

SECRET = planted_keys.KEPT
FakeKeyring = Callable[..., Path]


def configure(home: Path, **config: Any) -> None:
    path = home / "config" / "config.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(config))


def found(name: str = "gemini") -> str | None:
    """The key that a new process would find."""
    keys.forget()
    loaded = settings.load()
    return keys.gemini(loaded) if name == "gemini" else keys.endpoint(name, loaded)


def test_without_a_keyring_the_key_goes_to_a_private_file(run_gemx: RunGemx, gemx_home: Path) -> None:
    done = run_gemx("config", "set-key", "gemini", stdin=f"{SECRET}\n")
    path = gemx_home / "config" / "keys" / "gemini"
    assert (done.code, done.out) == (0, f"the key for gemini is stored in {path} (mode 0600)\n")
    assert "the keyring was not used: there is no D-Bus session" in done.err
    assert path.read_text() == f"{SECRET}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert found() == SECRET


def test_where_a_keyring_works_the_key_goes_there(
    run_gemx: RunGemx, gemx_home: Path, fake_keyring: FakeKeyring
) -> None:
    kept = fake_keyring()
    done = run_gemx("config", "set-key", "gemini", stdin=SECRET)
    assert (done.code, done.err) == (0, "")
    assert "stored in the keyring (" in done.out
    assert json.loads(kept.read_text()) == {"gemx/gemini": SECRET}
    assert not (gemx_home / "config" / "keys").exists()
    assert found() == SECRET


def test_file_is_for_who_wants_no_keyring(run_gemx: RunGemx, gemx_home: Path, fake_keyring: FakeKeyring) -> None:
    kept = fake_keyring(gemini="an-older-one")
    done = run_gemx("config", "set-key", "gemini", "--file", stdin=SECRET)
    assert done.code == 0
    assert str(gemx_home / "config" / "keys" / "gemini") in done.out
    assert done.err == "an older key was removed from the keyring\n"
    assert json.loads(kept.read_text()) == {}
    assert found() == SECRET


def test_json(run_gemx: RunGemx, gemx_home: Path, fake_keyring: FakeKeyring) -> None:
    done = run_gemx("config", "set-key", "gemini", "--json", stdin=SECRET)
    assert (done.json["command"], done.json["status"], done.err) == ("config set-key", "success", "")
    path = gemx_home / "config" / "keys" / "gemini"
    assert done.json["data"] == {
        "name": "gemini",
        "stored": "file",
        "path": str(path),
        "backend": None,
        "problem": "there is no D-Bus session, which a keyring on Linux needs",
        "removed": [],
        "overridden_by": [],
    }
    fake_keyring()
    done = run_gemx("config", "set-key", "gemini", "--json", stdin=SECRET)
    keys.forget()
    assert done.json["data"]["stored"] == "keyring"
    assert done.json["data"]["removed"] == [str(path)]
    done = run_gemx("config", "set-key", "gemini", "--remove", "--json")
    assert done.json["data"] == {"name": "gemini", "removed": ["the keyring"], "problem": None, "left": []}
    wrong = run_gemx("config", "set-key", "gemini", "--json", stdin="")
    assert (wrong.code, wrong.json["errors"][0]["code"]) == (4, "input")


def test_an_endpoints_key(run_gemx: RunGemx, gemx_home: Path) -> None:
    configure(gemx_home, endpoints={"uti": {"base_url": "http://127.0.0.1:9/v1"}})
    assert run_gemx("config", "set-key", "uti", stdin=SECRET).code == 0
    assert (found("uti"), found()) == (SECRET, None)
    near = run_gemx("config", "set-key", "utti", stdin=SECRET)
    assert near.code == 3
    assert "did you mean 'uti'?" in near.err
    assert "names: gemini, huggingface, uti" in near.err


@pytest.mark.parametrize("more", [(), ("--remove",)])
def test_a_key_in_the_place_of_the_name_is_not_repeated(run_gemx: RunGemx, more: tuple[str, ...]) -> None:
    done = run_gemx("config", "set-key", SECRET, *more, stdin="")
    assert (done.code, done.out) == (3, "")
    assert "neither gemini, huggingface nor an endpoint" in done.err


@pytest.mark.parametrize("more", [(SECRET,), (SECRET, "--json"), ("--file", SECRET, "and", "more")])
def test_a_key_is_no_argument(run_gemx: RunGemx, gemx_home: Path, more: tuple[str, ...]) -> None:
    done = run_gemx("config", "set-key", "gemini", *more, stdin="")
    assert done.code == 2
    assert "a key is never an argument" in done.out + done.err
    assert found() is None


@pytest.mark.parametrize("option", [f"--key={SECRET}", f"-k{SECRET}"])
def test_nor_an_option(run_gemx: RunGemx, option: str) -> None:
    assert run_gemx("config", "set-key", "gemini", option, stdin="").code == 2


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("", "the key is empty"),
        ("\n", "the key is empty"),
        (" \n", "white space"),
        (f"{SECRET} \n", "white space"),
        (f"GEMINI_API_KEY = {SECRET}", "white space"),
        (f"{SECRET}\n{SECRET}\n", "white space"),
        (f"{SECRET}é", "characters that no key has"),
        (f"\ufeff{SECRET}", "characters that no key has"),
        (b"\xff\xfe\x00", "not text"),
    ],
)
def test_what_cannot_be_a_key_is_refused(run_gemx: RunGemx, given: str | bytes, words: str) -> None:
    done = run_gemx("config", "set-key", "gemini", "--debug", stdin=given)
    assert (done.code, done.out) == (4, "")
    assert words in done.err
    assert "nothing was stored" in done.err
    assert found() is None


def test_the_end_of_the_line_is_no_part_of_a_key(run_gemx: RunGemx) -> None:
    assert run_gemx("config", "set-key", "gemini", stdin=f"{SECRET}\r\n").code == 0
    assert found() == SECRET


def test_another_key_that_wins_is_told(
    run_gemx: RunGemx, gemx_home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GOOGLE_API_KEY", planted_keys.GEMINI)
    done = run_gemx("config", "set-key", "gemini", stdin=SECRET)
    assert "GOOGLE_API_KEY comes first and holds another key" in done.err
    monkeypatch.setenv("GOOGLE_API_KEY", SECRET)
    assert "comes first" not in run_gemx("config", "set-key", "gemini", stdin=SECRET).err
    monkeypatch.delenv("GOOGLE_API_KEY")
    configure(gemx_home, keys={"gemini": {"command": ["touch", str(tmp_path / "ran")], "file": "/elsewhere"}})
    data = run_gemx("config", "set-key", "gemini", "--json", stdin=SECRET).json["data"]
    assert data["overridden_by"] == ["keys.gemini.command", "/elsewhere"]
    assert not (tmp_path / "ran").exists()


def test_remove(run_gemx: RunGemx, gemx_home: Path, monkeypatch: pytest.MonkeyPatch, fake_keyring: FakeKeyring) -> None:
    done = run_gemx("config", "set-key", "gemini", "--remove")
    assert (done.code, done.out) == (0, "there was no stored key for gemini\n")
    assert "the keyring could not be asked: there is no D-Bus session" in done.err
    kept = fake_keyring(gemini=SECRET)
    path = gemx_home / "config" / "keys" / "gemini"
    path.parent.mkdir(parents=True)
    path.write_text(SECRET)
    monkeypatch.setenv("GEMINI_API_KEY", planted_keys.GEMINI)
    done = run_gemx("config", "set-key", "gemini", "--remove")
    assert (done.code, done.out) == (0, f"the key for gemini was removed from the keyring and {path}\n")
    assert done.err == "GEMINI_API_KEY still holds a key\n"
    assert json.loads(kept.read_text()) == {}
    assert run_gemx("config", "set-key", "gemini", "--remove", "--file").code == 2


def test_a_keyring_that_hangs_gives_way_to_the_file(run_gemx: RunGemx, fake_keyring: FakeKeyring) -> None:
    fake_keyring("Hanging")
    before = os.times().elapsed
    done = run_gemx("config", "set-key", "gemini", stdin=SECRET)
    assert os.times().elapsed - before < 7
    assert done.code == 0
    assert "the keyring was not used: no answer within 5 s" in done.err
    assert str(places.config_dir() / "keys" / "gemini") in done.out


def test_a_broken_config_is_told(run_gemx: RunGemx, gemx_home: Path) -> None:
    configure(gemx_home, modle="x")
    done = run_gemx("config", "set-key", "gemini", stdin=SECRET)
    assert done.code == 3
    assert "did you mean 'model'?" in done.err


def test_a_place_that_cannot_be_written(run_gemx: RunGemx, gemx_home: Path) -> None:
    gemx_home.mkdir()
    (gemx_home / "config").write_text("in the way")
    done = run_gemx("config", "set-key", "gemini", stdin=SECRET)
    assert done.code in (3, 11)
    assert done.out == ""


def environment(home: Path) -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "GEMX_HOME": str(home), "TERM": "xterm"}


def test_on_a_terminal_it_is_typed_unseen(gemx_home: Path) -> None:
    argv = ("config", "set-key", "gemini")
    code, shown, left = on_a_terminal(argv, environment(gemx_home), (("Key for Gemini", f"{SECRET}\n"),))
    assert (code, left) == (0, []), shown
    assert not planted_keys.leaked(shown)
    assert "is stored in" in shown
    assert found() == SECRET


@pytest.mark.parametrize(("typed", "code"), [("\x03", 130), ("\x04", 4), ("\n", 4)])
def test_on_a_terminal_nothing_typed_is_nothing_stored(gemx_home: Path, typed: str, code: int) -> None:
    argv = ("config", "set-key", "gemini")
    ended, shown, _ = on_a_terminal(argv, environment(gemx_home), (("Key for Gemini", typed),))
    assert ended == code, shown
    assert "Traceback" not in shown
    assert found() is None


def test_no_process_has_the_key_as_an_argument(gemx_home: Path, fake_keyring: FakeKeyring) -> None:
    kept = fake_keyring()
    passed = {name: os.environ[name] for name in ("PYTHON_KEYRING_BACKEND", "PYTHONPATH", "FAKE_KEYRING")}
    argv = [GEMX, "config", "set-key", "gemini"]
    env = {**environment(gemx_home), **passed}
    done = subprocess.run(argv, env=env, input=SECRET.encode(), capture_output=True, timeout=60, check=True)
    seen = kept.with_suffix(".ps").read_text(errors="replace")
    assert "gemx.system_keyring set gemini" in seen
    assert "config set-key gemini" in seen
    assert SECRET not in seen
    assert not planted_keys.leaked(done.stdout + done.stderr)
