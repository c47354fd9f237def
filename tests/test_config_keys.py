"""Settings by dotted keys: names with dots, values by type, and what is in effect."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gemx import config_keys, places, settings
from gemx.errors import UsageError
from test_settings import write_config, write_profile


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("model", ("model",)),
        ("budget.daily", ("budget", "daily")),
        ("limits.gemini.rpm", ("limits", "gemini", "rpm")),
        ("limits.gemini:gemini-3.8-flash.rpm", ("limits", "gemini:gemini-3.8-flash", "rpm")),
        ("limits.gemini:gemini-3.8-flash", ("limits", "gemini:gemini-3.8-flash")),
        ("endpoints.my.server.base_url", ("endpoints", "my.server", "base_url")),
        ("endpoints.uti.schema", ("endpoints", "uti", "schema")),
        ("endpoints.uti.headers.X-A.b", ("endpoints", "uti", "headers", "X-A.b")),
        ("endpoints.uti.api_key.env", ("endpoints", "uti", "api_key", "env")),
        ("endpoints.a.model", ("endpoints", "a", "model")),
        ('endpoints."a.model".model', ("endpoints", "a.model", "model")),
        ('endpoints."a.model"', ("endpoints", "a.model")),
        ("keys.gemini.file", ("keys", "gemini", "file")),
    ],
)
def test_a_key_leads_to_a_setting_and_its_spelling_leads_there_too(key: str, path: tuple[str, ...]) -> None:
    assert config_keys.find(key, {}).path == path
    assert config_keys.find(config_keys.spelled(path), {}).path == path


def test_a_name_that_exists_goes_before_one_that_could_be() -> None:
    data: dict[str, Any] = {"endpoints": {"a.model": {"base_url": "http://x"}}}
    assert config_keys.find("endpoints.a.model", data).path == ("endpoints", "a.model")
    assert config_keys.find("endpoints.a.model.model", data).path == ("endpoints", "a.model", "model")
    assert config_keys.find('endpoints."a".model', data).path == ("endpoints", "a", "model")


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("modle", "model"),
        ("budgt.daily", "budget.daily"),
        ("daily", "budget.daily"),
        ("routes.imag", "routes.image"),
        ("keys.gemin.env", "keys.gemini.env"),
        ("retry.max_atempts", "retry.max_attempts"),
    ],
)
def test_an_unknown_key_is_refused_with_the_one_that_was_meant(key: str, meant: str) -> None:
    with pytest.raises(UsageError, match=f"no setting {key}; did you mean '{meant}'"):
        config_keys.find(key, {})


@pytest.mark.parametrize("key", ["", ".", "a.", ".model", "x..y", 'limits."gemini', 'limits."a"b.rpm'])
def test_what_is_no_key(key: str) -> None:
    with pytest.raises(UsageError, match="is no key"):
        config_keys.find(key, {})


def test_the_version_is_no_setting() -> None:
    with pytest.raises(UsageError, match="keeps it"):
        config_keys.find("version", {})


@pytest.mark.parametrize(
    ("key", "texts", "value"),
    [
        ("timeout", ["120"], 120),
        ("temperature", ["0.5"], 0.5),
        ("timeout", ["1e2"], 100),
        ("allow_cloud", ["true"], True),
        ("model", ["gguf:a b"], "gguf:a b"),
        ("guard", ["off"], "off"),
        ("fallback", ["gguf:a"], ["gguf:a"]),
        ("fallback", ["gguf:a", "extractive"], ["gguf:a", "extractive"]),
        ("fallback", ['["gguf:a", "extractive"]'], ["gguf:a", "extractive"]),
        ("fallback", ["[]"], []),
        ("limits.gemini", ['{"rpm": 3}'], {"rpm": 3}),
    ],
)
def test_a_value_is_read_by_the_type_of_its_key(key: str, texts: list[str], value: Any) -> None:
    found = config_keys.parsed(config_keys.find(key, {}), texts)
    assert found == value
    assert isinstance(found, bool) == isinstance(value, bool)


@pytest.mark.parametrize(
    ("key", "texts", "said"),
    [
        ("timeout", ["soon"], "timeout: expected a number"),
        ("timeout", ["true"], "timeout: expected a number"),
        ("timeout", ["NaN"], "timeout: expected a number"),
        ("allow_cloud", ["sim"], "allow_cloud: expected true or false"),
        ("allow_cloud", ["1"], "allow_cloud: expected true or false"),
        ("model", ["gguf:a", "gguf:b"], "model takes one value, not 2"),
        ("model", ["null"], "null is no value"),
        ("fallback", ['["a'], "fallback: expected one value or more"),
        ("limits.gemini.rpn", ["3"], "did you mean 'limits.gemini.rpm'"),
    ],
)
def test_what_a_key_cannot_take_is_refused_with_its_form(key: str, texts: list[str], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        config_keys.parsed(config_keys.find(key, {}), texts)
    assert said in caught.value.message


@pytest.mark.parametrize(("text", "hint"), [("0,5", "0.5"), ("1.234,5", "1234.5")])
def test_a_comma_in_a_number_has_its_mend(text: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        config_keys.parsed(config_keys.find("timeout", {}), [text])
    assert caught.value.hint == f"with a point: {hint}"


def test_removing_takes_what_is_left_empty_along() -> None:
    data: dict[str, Any] = {"limits": {"gemini": {"rpm": 1}}, "model": "x"}
    assert config_keys.take(data, ("limits", "gemini", "rpm"))
    assert data == {"model": "x"}
    assert not config_keys.take(data, ("limits", "gemini", "rpm"))
    assert not config_keys.take(data, ("timeout",))


def effective(key: str) -> tuple[Any, str]:
    row = next(row for row in config_keys.effective(settings.load()) if row.key == key)
    return row.value, row.source


def test_what_is_in_effect_says_its_source(monkeypatch: pytest.MonkeyPatch) -> None:
    assert effective("timeout") == (300.0, "default")
    assert effective("profile") == (None, "default")
    write_profile("uti", "gemx: profile/v1\ntitle: x\ntimeout: 40\nthinking: low\nlanguage: pt-BR\n")
    write_config({"timeout": 20, "profile": "uti", "retry": {"factor": 3}, "limits": {"gemini": {"rpm": 1}}})
    assert effective("timeout") == (40.0, "profile uti")
    assert effective("profile") == ("uti", "config.json")
    assert effective("thinking") == ("low", "profile uti")
    assert effective("language") == ("pt-BR", "profile uti")
    assert effective("retry.factor") == (3.0, "config.json")
    assert effective("retry.initial") == (1.0, "default")
    assert effective("limits.gemini.rpm") == (1, "config.json")
    monkeypatch.setenv("GEMX_TIMEOUT", "9")
    monkeypatch.setenv("GEMX_PROFILE", "uti")
    assert effective("timeout") == (9.0, "GEMX_TIMEOUT")
    assert effective("profile") == ("uti", "GEMX_PROFILE")


@pytest.mark.parametrize(
    ("config", "profile", "found"),
    [
        ("block", "warn", ("block", "config.json")),
        ("off", "mask", ("mask", "profile uti")),
        (None, "off", ("off", "profile uti")),
        (None, None, ("warn", "default")),
    ],
)
def test_of_the_guard_the_strictest_is_in_effect(config: Any, profile: Any, found: tuple[str, str]) -> None:
    write_profile("uti", f"gemx: profile/v1\ntitle: x\n{f'guard: {profile!r}' if profile else ''}\n")
    write_config({"profile": "uti", **({"guard": config} if config else {})})
    assert effective("guard") == found


def test_of_the_network_the_narrowest_is_in_effect() -> None:
    write_profile("uti", "gemx: profile/v1\ntitle: x\nnetwork: site\n")
    write_config({"profile": "uti", "network": "any"})
    assert effective("network") == ("site", "profile uti")
    write_config({"profile": "uti", "network": "machine"})
    assert effective("network") == ("machine", "config.json")


def test_each_key_that_is_listed_can_be_asked_for() -> None:
    write_config({"endpoints": {"a.b": {"base_url": "http://x", "headers": {"X.Y": "1"}}}, "limits": {"gguf:a.b": {}}})
    data = json.loads(places.config_file().read_text())
    for row in config_keys.effective(settings.load()):
        if row.key not in config_keys.OF_PROFILES:
            assert config_keys.find(row.key, data).path == row.path
