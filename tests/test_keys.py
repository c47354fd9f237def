from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gemx import keys
from gemx.errors import AuthenticationError, ConfigError
from gemx.settings import Config, KeySource, Settings

SECRET = "AIza-secret-0001"


def settings(source: KeySource | None = None) -> Settings:
    return Settings(Config(keys={"gemini": source} if source else {}), None, None)


def printing(text: str, code: int = 0) -> list[str]:
    return [sys.executable, "-c", f"import sys; print({text!r}); print({text!r}, file=sys.stderr); sys.exit({code})"]


def test_the_environment_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from-file\n")
    source = KeySource(file=str(tmp_path / "key"))
    assert keys.gemini(settings(source)) == "from-file"
    monkeypatch.setenv("GOOGLE_API_KEY", "google")
    assert keys.gemini(settings(source)) == "google"
    monkeypatch.setenv("GEMINI_API_KEY", " gemini \n")
    assert keys.gemini(settings(source)) == "gemini"


@pytest.mark.parametrize("blank", ["", "  \n"])
def test_a_blank_variable_is_no_key(monkeypatch: pytest.MonkeyPatch, blank: str) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", blank)
    assert keys.gemini(settings()) is None
    monkeypatch.setenv("GOOGLE_API_KEY", SECRET)
    assert keys.gemini(settings()) == SECRET


def test_no_key_is_an_authentication_error_with_what_to_do() -> None:
    with pytest.raises(AuthenticationError) as caught:
        keys.require_gemini(settings())
    assert "GEMINI_API_KEY" in (caught.value.hint or "")


def test_a_source_is_read_in_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(" file \n")
    source = KeySource(env="MY_KEY", file=str(tmp_path / "key"), command=printing("command"))
    monkeypatch.setenv("MY_KEY", "variable")
    assert keys.read(source, "n") == "variable"
    monkeypatch.setenv("MY_KEY", " ")
    assert keys.read(source, "n") == "file"
    (tmp_path / "key").write_text("\n")
    assert keys.read(source, "n") == "command"


def test_a_home_is_expanded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "key").write_text(SECRET)
    assert keys.read(KeySource(file="~/key"), "n") == SECRET


@pytest.mark.parametrize(
    "source",
    [
        KeySource(),
        KeySource(env="NOT_SET_ANYWHERE"),
        KeySource(file="/no/such/file"),
        KeySource(file="~no-such-user/key"),
        KeySource(file="/"),
        KeySource(command=["/no/such/command"]),
        KeySource(command=printing(SECRET, code=1)),
        KeySource(command=printing("")),
    ],
)
def test_a_source_without_a_key_is_a_config_error_that_tells_no_key(source: KeySource) -> None:
    with pytest.raises(ConfigError, match=r"^keys\.gemini: ") as caught:
        keys.gemini(settings(source))
    assert SECRET not in f"{caught.value.message}{caught.value.hint}"


def test_a_key_that_is_no_text_is_a_config_error(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot read the key's file"):
        keys.read(KeySource(file=str(tmp_path / "key")), "n")
    binary = [sys.executable, "-c", r"import sys; sys.stdout.buffer.write(b'\xff\xfe')"]
    with pytest.raises(ConfigError, match="gave no key"):
        keys.read(KeySource(command=binary), "n")


def test_a_command_has_no_shell_and_little_time(monkeypatch: pytest.MonkeyPatch, workdir: Path) -> None:
    echo = [sys.executable, "-c", "import sys; print(sys.argv[1])", "$HOME; touch x"]
    assert keys.read(KeySource(command=echo), "n") == "$HOME; touch x"
    assert not (workdir / "x").exists()
    monkeypatch.setattr(keys, "_COMMAND_SECONDS", 0.2)
    with pytest.raises(ConfigError, match="gave no key"):
        keys.read(KeySource(command=["sleep", "20"]), "n")
