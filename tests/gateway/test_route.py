from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gemx import places
from gemx.errors import ConfigError, UsageError
from gemx.gateway import route
from gemx.gateway.route import Route
from gemx.settings import Config, Profile, Setting, Settings

CLOUD = "gemini:gemini-3.8-flash"


def settings(profile: str | None = None, **config: Any) -> Settings:
    parsed = Profile(gemx="profile/v1", title="UTI", model=profile) if profile else None
    return Settings(Config.model_validate(config), parsed, "uti" if profile else None)


def install(*names: str) -> None:
    folder = places.ensure_private_dir(places.models_dir())
    for name in names:
        (folder / f"{name}.gguf").write_bytes(b"")


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "AIza-x")


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("gemini:gemini-3.8-flash", ("gemini", "gemini-3.8-flash")),
        ("gguf:models/a:b.gguf", ("gguf", "models/a:b.gguf")),
        ("openai:uti/qwen", ("openai", "uti/qwen")),
        ("extractive", ("extractive", "extractive")),
    ],
)
def test_a_name_is_a_provider_and_a_model(name: str, parts: tuple[str, str]) -> None:
    assert route.parse(name) == parts


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gemni:x", "unknown provider 'gemni'; did you mean 'gemini'?"),
        ("gemini-3.8-flash", "unknown provider"),
        ("", "unknown provider ''"),
        (":x", "unknown provider ''"),
        ("gemini", "'gemini' names no model"),
        ("gguf:", "'gguf:' names no model"),
        ("extractive:x", "extractive has no models"),
        ("Gemini:x", "unknown provider 'Gemini'; did you mean 'gemini'?"),
    ],
)
def test_a_name_that_says_no_model_is_a_usage_error(name: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        route.choose(settings(), name)
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize("clinical", [False, True])
@pytest.mark.parametrize("source", ["profile uti", "config.json", "GEMX_MODEL"])
@pytest.mark.parametrize("name", ["gemni:x", "gemini", "extractive:x"])
def test_such_a_name_in_a_setting_is_a_config_error_that_says_where_it_stands(
    name: str, source: str, clinical: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = settings(name if source.startswith("profile") else None, **({"model": name} if "json" in source else {}))
    if source == "GEMX_MODEL":
        monkeypatch.setenv("GEMX_MODEL", name)
    with pytest.raises(ConfigError) as caught:
        route.choose(found, clinical=clinical)
    with pytest.raises(UsageError) as flagged:
        route.choose(settings(), name)
    assert caught.value.message == f"{source}: {flagged.value.message}"
    assert caught.value.hint == flagged.value.hint


def test_the_reason_says_which_setting_chose(monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings("gguf:profile", model="gguf:config")
    assert route.choose(settings(model="gguf:config")) == Route("gguf", "config", "chosen by config.json")
    assert route.choose(found) == Route("gguf", "profile", "chosen by profile uti")
    monkeypatch.setenv("GEMX_MODEL", "gguf:variable")
    assert route.choose(found) == Route("gguf", "variable", "chosen by GEMX_MODEL")
    assert route.choose(found, "gguf:flag") == Route("gguf", "flag", "chosen by flag")


def test_what_a_step_names_comes_after_the_flag_and_before_all_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMX_MODEL", "gguf:variable.gguf")
    named = Setting("gguf:step.gguf", "step draft")
    chosen = route.choose(settings(model="gguf:config.gguf"), named=named, own=Setting("extractive", "x"))
    assert (str(chosen), chosen.reason) == ("gguf:step.gguf", "chosen by step draft")
    assert str(route.choose(settings(), "extractive", named=named)) == "extractive"


def test_a_step_is_no_consent_to_send_a_patient() -> None:
    named = Setting("gemini:gemini-3.8-flash", "step draft")
    chosen = route.choose(settings(), named=named, clinical=True)
    assert chosen.provider == "extractive"
    assert "step draft" in chosen.notes[0]
    assert route.choose(settings(allow_cloud=True), named=named, clinical=True).provider == "gemini"


@pytest.mark.usefixtures("key")
def test_automatic_is_gemini_with_a_key() -> None:
    install("local")
    assert route.choose(settings()) == Route("gemini", "gemini-3.8-flash", "automatic: there is a Gemini key")


def test_automatic_is_else_a_local_model_else_extractive() -> None:
    assert str(route.choose(settings())) == "extractive"
    install("b", "a")
    chosen = route.choose(settings())
    assert (str(chosen), chosen.reason) == ("gguf:a", "automatic: an installed local model")


@pytest.mark.usefixtures("key")
def test_a_key_is_no_consent_to_send_a_patient() -> None:
    assert str(route.choose(settings(), clinical=True)) == "extractive"
    install("local")
    assert str(route.choose(settings(), clinical=True)) == "gguf:local"
    assert str(route.choose(settings(allow_cloud=True), clinical=True)) == CLOUD


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("source", ["profile uti", "config.json", "GEMX_MODEL"])
def test_neither_profile_nor_config_nor_variable_sends_a_patient(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings(CLOUD if source.startswith("profile") else None, **({"model": CLOUD} if "json" in source else {}))
    if source == "GEMX_MODEL":
        monkeypatch.setenv("GEMX_MODEL", CLOUD)
    assert str(route.choose(found)) == CLOUD
    chosen = route.choose(found, clinical=True)
    assert str(chosen) == "extractive"
    assert len(chosen.notes) == 1
    assert f"{CLOUD} ({source}) not used" in chosen.notes[0]


@pytest.mark.usefixtures("key")
def test_the_flag_and_allow_cloud_are_consent() -> None:
    assert route.choose(settings(), CLOUD, clinical=True) == Route("gemini", "gemini-3.8-flash", "chosen by flag")
    found = settings(CLOUD, allow_cloud=True)
    assert route.choose(found, clinical=True) == Route("gemini", "gemini-3.8-flash", "chosen by profile uti")


@pytest.mark.usefixtures("key")
def test_gemini_is_the_cloud_whatever_its_base_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", "http://127.0.0.1:1")
    assert str(route.choose(settings(CLOUD), clinical=True)) == "extractive"


@pytest.mark.parametrize(
    ("endpoint", "stays"),
    [
        ({"base_url": "http://127.0.0.1:8080/v1"}, True),
        ({"base_url": "http://10.0.0.5/v1", "site": True}, True),
        ({"base_url": "http://10.0.0.5/v1"}, False),
        ({"base_url": "https://api.example.org/v1"}, False),
    ],
)
def test_an_endpoint_takes_a_patient_where_it_is_declared_to_be_near(endpoint: dict[str, Any], stays: bool) -> None:
    found = settings("openai:uti", endpoints={"uti": {**endpoint, "model": "m"}})
    chosen = route.choose(found, clinical=True)
    assert str(chosen) == ("openai:uti" if stays else "extractive")
    assert bool(chosen.notes) is not stays


def test_local_models_take_patients_from_anywhere() -> None:
    assert str(route.choose(settings("gguf:x"), clinical=True)) == "gguf:x"
    assert str(route.choose(settings("extractive"), clinical=True)) == "extractive"


def test_an_endpoint_that_is_not_known_is_a_config_error() -> None:
    found = settings("openai:utii", endpoints={"uti": {"base_url": "http://10.0.0.5/v1"}})
    with pytest.raises(ConfigError, match="no endpoint 'utii'; did you mean 'uti'"):
        route.choose(found, clinical=True)


def test_a_projector_is_no_model_by_itself() -> None:
    install("mmproj-a")
    assert str(route.choose(settings())) == "extractive"
    install("z")
    assert str(route.choose(settings())) == "gguf:z"


def test_the_current_folder_installs_nothing(workdir: Path) -> None:
    (workdir / "models").mkdir()
    (workdir / "models" / "a.gguf").write_bytes(b"")
    assert str(route.choose(settings())) == "extractive"
