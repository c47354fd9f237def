from __future__ import annotations

from typing import Any

import pytest

from gemx.errors import ConfigError, UsageError
from gemx.gateway import policy
from gemx.providers.base import Options
from gemx.settings import Config, Profile, Settings

ALL = frozenset({"temperature", "max_output_tokens", "thinking", "seed", "top_p"})


def settings(profile: dict[str, Any] | None = None, **config: Any) -> Settings:
    parsed = Profile.model_validate({"gemx": "profile/v1", "title": "x", **profile}) if profile else None
    return Settings(Config.model_validate(config), parsed, "uti" if profile else None)


def test_options_are_read_from_text() -> None:
    given = {
        "temperature": "0.5",
        "top_p": "1",
        "seed": "7",
        "max_output_tokens": "64",
        "thinking": "high",
        "timeout": "2.5",
        "context": "4096",
        "gpu_layers": "-1",
        "lora": "a.gguf",
    }
    assert policy.parse_options(given) == Options(0.5, 1.0, 7, 64, "high", 2.5, 4096, -1, "a.gguf")
    assert policy.parse_options({}) == Options()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("temperature", "-0.1"),
        ("temperature", "2.1"),
        ("temperature", "nan"),
        ("temperature", "quente"),
        ("temperature", "0,5"),
        ("temperature", ""),
        ("top_p", "1.1"),
        ("seed", "1.5"),
        ("seed", "-1"),
        ("seed", str(2**31)),
        ("seed", "9" * 5000),
        ("max_output_tokens", "0"),
        ("timeout", "0"),
        ("timeout", "inf"),
        ("timeout", "86401"),
        ("context", "15"),
        ("gpu_layers", "-2"),
        ("thinking", "much"),
        ("thinking", ""),
    ],
)
def test_an_option_out_of_bounds_is_a_usage_error_that_names_it(name: str, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        policy.parse_options({name: text})
    assert caught.value.message.startswith(f"-o {name}={text}")


@pytest.mark.parametrize(
    ("name", "text", "value"), [("temperature", "2", 2.0), ("top_p", "0", 0.0), ("seed", str(2**31 - 1), 2**31 - 1)]
)
def test_the_bounds_themselves_are_in(name: str, text: str, value: float) -> None:
    assert getattr(policy.parse_options({name: text}), name) == value


def test_an_unknown_option_is_refused_with_the_one_that_was_meant() -> None:
    with pytest.raises(UsageError, match="unknown option 'temprature'; did you mean 'temperature'") as caught:
        policy.parse_options({"temprature": "1"})
    assert "max_output_tokens" in (caught.value.hint or "")


def test_flags_are_asked_for_and_the_rest_are_defaults() -> None:
    made = policy.make(
        settings({"temperature": 1, "thinking": "low"}, max_output_tokens=99, temperature=0.2),
        model="extractive",
        options={"seed": "3"},
    )
    assert made.asked.given() == {"seed": 3}
    assert made.defaults.given() == {"temperature": 1.0, "max_output_tokens": 99, "thinking": "low"}


def test_defaults_are_filtered_and_what_was_asked_for_is_not() -> None:
    made = policy.make(settings({"temperature": 1, "thinking": "low"}), model="extractive", options={"seed": "3"})
    assert made.options(frozenset()).given() == {"seed": 3}
    assert made.options(frozenset({"temperature"})).given() == {"seed": 3, "temperature": 1.0}
    assert made.options(ALL).given() == {"seed": 3, "temperature": 1.0, "thinking": "low"}


def test_what_was_asked_for_wins_even_where_it_is_zero() -> None:
    made = policy.make(settings({"temperature": 1}), model="extractive", options={"temperature": "0"})
    assert made.options(ALL).temperature == 0.0


def test_the_timeout_is_that_of_the_flag_then_of_the_settings() -> None:
    def timeout(found: Settings, **options: str) -> float:
        made = policy.make(found, model="extractive", options=options)
        return made.options(frozenset()).timeout

    assert timeout(settings()) == 300.0
    assert timeout(settings(timeout=20)) == 20.0
    assert timeout(settings({"timeout": 40}, timeout=20)) == 40.0
    assert timeout(settings({"timeout": 40}), timeout="60") == 60.0


def test_a_wrong_timeout_of_the_environment_stops_before_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMX_TIMEOUT", "soon")
    with pytest.raises(ConfigError, match="GEMX_TIMEOUT"):
        policy.make(settings(), model="extractive")
    assert policy.make(settings(), model="extractive", options={"timeout": "5"}).asked.timeout == 5.0


def test_a_clinical_policy_stays_off_the_cloud(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "AIza-x")
    assert policy.make(settings()).route.provider == "gemini"
    assert policy.make(settings(), clinical=True).route.provider == "extractive"
