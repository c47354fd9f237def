from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gemx import places, settings
from gemx.errors import ConfigError, InvalidFileError, NotFoundError
from gemx.settings import Setting

PROFILE = (
    "gemx: profile/v1\ntitle: UTI\nmodel: gguf:profile\ntemperature: 1\ntimeout: 40\nsystem: calma\nthinking: low\n"
)


def write_config(value: Any) -> Path:
    path = places.config_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def write_profile(name: str, text: str = PROFILE) -> None:
    folder = places.config_dir() / "profiles"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.yaml").write_text(text)


def wrong(config: Any) -> str:
    path = write_config(config)
    with pytest.raises(InvalidFileError) as caught:
        settings.load()
    assert all(problem.path == path for problem in caught.value.problems)
    return caught.value.message


def test_each_layer_hides_those_below_and_says_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def timeout(flag: float | None = None) -> Setting:
        return settings.load().resolve("timeout", flag)

    assert timeout() == Setting(300.0, "default")
    write_config({"timeout": 20})
    assert timeout() == Setting(20.0, "config.json")
    write_profile("uti")
    write_config({"timeout": 20, "profile": "uti"})
    assert timeout() == Setting(40.0, "profile uti")
    monkeypatch.setenv("GEMX_TIMEOUT", "60.5")
    assert timeout() == Setting(60.5, "GEMX_TIMEOUT")
    assert timeout(80.0) == Setting(80.0, "flag")


def test_the_model_has_the_same_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    def model(flag: str | None = None, profile: str | None = None) -> Setting:
        return settings.load(profile).resolve("model", flag)

    write_profile("uti")
    assert model() == Setting(None, "default")
    write_config({"model": "gguf:config"})
    assert model() == Setting("gguf:config", "config.json")
    assert model(profile="uti") == Setting("gguf:profile", "profile uti")
    monkeypatch.setenv("GEMX_MODEL", "gguf:variable")
    assert model(profile="uti") == Setting("gguf:variable", "GEMX_MODEL")
    assert model("gguf:flag", profile="uti") == Setting("gguf:flag", "flag")


def test_a_layer_that_is_silent_lets_the_next_speak() -> None:
    write_profile("uti", "gemx: profile/v1\ntitle: x\n")
    write_config({"temperature": 0.5, "profile": "uti"})
    assert settings.load().resolve("temperature") == Setting(0.5, "config.json")
    assert settings.load().resolve("thinking") == Setting(None, "default")


def test_zero_and_the_empty_text_are_values() -> None:
    write_profile("uti")
    write_config({"temperature": 0})
    assert settings.load().resolve("temperature") == Setting(0.0, "config.json")
    assert settings.load("uti").resolve("temperature", 0.0) == Setting(0.0, "flag")
    assert settings.load("uti").resolve("system", "") == Setting("", "flag")


@pytest.mark.parametrize("name", ["temperature", "system", "max_output_tokens", "thinking"])
def test_only_the_model_and_the_timeout_have_a_variable(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f"GEMX_{name.upper()}", "1")
    assert settings.load().resolve(name) == Setting(None, "default")


def test_the_profile_is_that_of_the_flag_then_the_variable_then_the_config(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "c"):
        write_profile(name)
    write_config({"profile": "c"})
    assert settings.load().profile_name == "c"
    monkeypatch.setenv("GEMX_PROFILE", "b")
    assert settings.load().profile_name == "b"
    assert settings.load("a").profile_name == "a"
    monkeypatch.setenv("GEMX_PROFILE", "")
    assert settings.load().profile_name == "c"


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMX_TIMEOUT", "")
    monkeypatch.setenv("GEMX_MODEL", "")
    assert settings.load().resolve("timeout").source == "default"
    assert settings.load().resolve("model").source == "default"


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "inf", "86401"])
def test_a_variable_that_is_no_number_of_seconds(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("GEMX_TIMEOUT", text)
    with pytest.raises(ConfigError, match=f"GEMX_TIMEOUT='{text}' is not a number of seconds"):
        settings.load().resolve("timeout")


def test_no_config_is_the_default_config() -> None:
    assert settings.load().config == settings.Config()
    assert settings.Config().allow_cloud is False
    assert settings.Config().audit.content == "hash"


def test_a_whole_config_is_read() -> None:
    write_config(
        {
            "model": "gguf:x",
            "allow_cloud": True,
            "timeout": 30,
            "temperature": 0.2,
            "max_output_tokens": 512,
            "endpoints": {
                "uti": {
                    "base_url": "http://10.0.0.5:8080/v1",
                    "model": "m",
                    "schema": "guided_json",
                    "site": True,
                    "api_key": {"command": ["pass", "uti"]},
                }
            },
            "keys": {"gemini": {"file": "~/key"}},
            "audit": {"content": "none"},
        }
    )
    config = settings.load().config
    endpoint = config.endpoints["uti"]
    assert (endpoint.schema_mode, endpoint.site, config.allow_cloud) == ("guided_json", True, True)
    assert endpoint.api_key is not None
    assert endpoint.api_key.command == ["pass", "uti"]
    assert config.keys["gemini"].file == "~/key"
    assert config.audit.content == "none"


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"model": ""}, "model"),
        ({"model": 3}, "model"),
        ({"profile": 3}, "profile"),
        ({"allow_cloud": "talvez"}, "allow_cloud"),
        ({"allow_cloud": "false"}, "allow_cloud"),
        ({"allow_cloud": 1}, "allow_cloud"),
        ({"temperature": True}, "temperature"),
        ({"timeout": "30"}, "timeout"),
        ({"allow_cloud": None}, "allow_cloud"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": 86401}, "timeout"),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": -0.1}, "temperature"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"max_output_tokens": 1.5}, "max_output_tokens"),
        ({"endpoints": []}, "endpoints"),
        ({"endpoints": {"uti": {}}}, "endpoints.uti.base_url"),
        ({"endpoints": {"uti": {"base_url": "ftp://x"}}}, "endpoints.uti.base_url"),
        ({"endpoints": {"uti": {"base_url": "http://x", "schema": "xml"}}}, "endpoints.uti.schema"),
        ({"endpoints": {"uti": {"base_url": "http://x", "api_key": "AIza"}}}, "endpoints.uti.api_key"),
        ({"keys": {"openai": {"env": "X"}}}, "keys.openai"),
        ({"keys": {"gemini": {"env": ""}}}, "keys.gemini.env"),
        ({"keys": {"gemini": {"command": "pass x"}}}, "keys.gemini.command"),
        ({"keys": {"gemini": {"command": []}}}, "keys.gemini.command"),
        ({"audit": {"content": "all"}}, "audit.content"),
    ],
)
def test_a_wrong_value_is_named_by_its_key(config: Any, key: str) -> None:
    assert f": {key}" in wrong(config)


def test_every_wrong_value_is_named_at_once() -> None:
    message = wrong({"temperature": 9, "endpoints": {"a": {"site": 3}}, "colour": 1})
    for key in ("temperature: ", "endpoints.a.base_url: ", "endpoints.a.site: ", "unknown key colour"):
        assert key in message


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"modell": "x"}, "unknown key modell; did you mean 'model'?"),
        ({"endpoints": {"a": {"base_url": "http://x", "base_ur": 1}}}, "endpoints.a.base_ur; did you mean 'base_url'?"),
        ({"endpoints": {"a": {"base_url": "http://x", "schema_": 1}}}, "endpoints.a.schema_; did you mean 'schema'?"),
        ({"keys": {"gemini": {"comand": ["x"]}}}, "keys.gemini.comand; did you mean 'command'?"),
        ({"audit": {"contents": "none"}}, "audit.contents; did you mean 'content'?"),
    ],
)
def test_an_unknown_key_is_refused_with_the_one_that_was_meant(config: Any, message: str) -> None:
    assert message in wrong(config)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Expecting value"),
        ("{", "property name"),
        ('{"model": "a", "model": "b"}', "'model' stands twice"),
        ('{"timeout": NaN}', "NaN"),
        ('{"timeout": 1e9999999999999999999}', "exponent"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_no_strict_json_is_refused(text: str, message: str) -> None:
    assert "not JSON" in wrong(text)
    assert message in wrong(text)


def test_a_syntax_error_has_its_place() -> None:
    path = write_config('{"model": "x",\n  oops}')
    with pytest.raises(InvalidFileError) as caught:
        settings.load()
    assert [(item.path, item.line, item.column) for item in caught.value.problems] == [(path, 2, 3)]


@pytest.mark.parametrize("text", ["[]", "3", "null", '"x"'])
def test_a_config_is_an_object(text: str) -> None:
    message = wrong(text)
    assert "config.json: Input should be" in message


def test_a_config_that_cannot_be_read_is_a_config_error() -> None:
    path = write_config("{}")
    path.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="cannot read"):
        settings.load()
    path.unlink()
    path.mkdir()
    with pytest.raises(ConfigError, match="cannot read"):
        settings.load()


def test_nothing_is_read_from_the_current_folder(workdir: Path) -> None:
    (workdir / "config.json").write_text('{"allow_cloud": true, "model": "gemini:x"}')
    (workdir / "config").mkdir()
    (workdir / "config" / "config.json").write_text('{"allow_cloud": true}')
    (workdir / "profiles").mkdir()
    (workdir / "profiles" / "uti.yaml").write_text(PROFILE)
    assert settings.load().config == settings.Config()
    with pytest.raises(NotFoundError, match="no profile named 'uti'"):
        settings.load("uti")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("temperature: '1'", "temperature: "),
        ("temperature: 3", "temperature: "),
        ("temperature: true", "temperature: "),
        ("thinking: much", "thinking: "),
        ("max_output_tokens: 0", "max_output_tokens: "),
        ("timeout: 0", "timeout: "),
        ("allow_cloud: true", "unknown key 'allow_cloud'"),
        ("modle: x", "did you mean 'model'?"),
    ],
)
def test_a_wrong_profile_is_refused_at_its_place(line: str, message: str) -> None:
    write_profile("uti", f"gemx: profile/v1\ntitle: x\n{line}\n")
    with pytest.raises(InvalidFileError) as caught:
        settings.load("uti")
    assert caught.value.problems[0].line == 3
    assert message in caught.value.message
