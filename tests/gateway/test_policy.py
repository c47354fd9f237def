from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from gemx import places
from gemx.documents import Media, Text
from gemx.errors import ConfigError, UsageError
from gemx.gateway import clock, policy
from gemx.gateway.limiter import Limits
from gemx.providers.base import Message, Options, Origin, Request
from gemx.settings import Config, Profile, RetryConfig, Settings

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
    def timeout(found: Settings, flag: float | None = None) -> float:
        return policy.make(found, model="extractive", timeout=flag).timeout

    assert timeout(settings()) == 300.0
    assert timeout(settings(timeout=20)) == 20.0
    assert timeout(settings({"timeout": 40}, timeout=20)) == 40.0
    assert timeout(settings({"timeout": 40}), 60) == 60.0


@pytest.mark.usefixtures("virtual_clock")
def test_one_try_takes_what_is_left_and_half_of_it_where_another_model_waits() -> None:
    made = policy.make(settings(), model="extractive", timeout=100)
    assert (made.try_seconds(), made.try_seconds(more_routes=True)) == (100, 50)
    clock.sleep(60)
    assert (made.try_seconds(), made.try_seconds(more_routes=True)) == (40, 20)
    bounded = policy.make(settings(), model="extractive", timeout=100, options={"timeout": "30"})
    assert (bounded.try_seconds(), bounded.try_seconds(more_routes=True)) == (30, 30)
    clock.sleep(500)
    assert made.try_seconds() <= 0


def test_a_wrong_timeout_of_the_environment_stops_before_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMX_TIMEOUT", "soon")
    with pytest.raises(ConfigError, match="GEMX_TIMEOUT"):
        policy.make(settings(), model="extractive")
    assert policy.make(settings(), model="extractive", timeout=5).timeout == 5.0


def test_a_clinical_policy_stays_off_the_cloud(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "AIza-x")
    assert policy.make(settings()).route.provider == "gemini"
    assert policy.make(settings(), clinical=True).route.provider == "extractive"


def test_the_narrowest_network_and_the_least_cap_hold() -> None:
    found = settings({"network": "site"}, network="any", budget={"command": 2.0, "daily": 5})
    assert policy.make(found, model="extractive").network == "site"
    assert policy.make(found, model="extractive", network="machine").network == "machine"
    assert policy.make(found, model="extractive", network="any").network == "site"
    assert policy.make(settings(), model="extractive").network == "any"
    assert policy.make(found, model="extractive").caps.command == 2
    assert policy.make(found, model="extractive", max_cost=0.1).caps.command == Decimal("0.1")
    assert policy.make(found, model="extractive", max_cost=9).caps.command == 2
    assert policy.make(found, model="extractive", max_cost=9).caps.daily == 5


def test_limits_are_a_models_own_or_its_providers() -> None:
    found = settings(limits={"gemini": {"rpm": 60}, "gemini:gemini-3.8-flash": {"rpm": 10, "tpm": 1000}})
    made = policy.make(found, model="gemini:gemini-3.8-flash")
    assert made.limits(made.route) == Limits(10, 1000)
    other = policy.make(found, model="gemini:gemini-3.6-flash")
    assert other.limits(other.route) == Limits(60, None)
    none = policy.make(found, model="openai:x")
    assert none.limits(none.route) == Limits()


@pytest.mark.parametrize("name", ["gemni", "gemni:x", "gemini:", "extractive:x"])
def test_limits_of_no_model_are_a_config_error(name: str) -> None:
    with pytest.raises(ConfigError, match=r"config\.json limits: "):
        policy.make(settings(limits={name: {"rpm": 1}}), model="extractive")


@pytest.mark.parametrize(
    ("mime_type", "text", "task"),
    [
        (None, "PAM?", "gemini:text"),
        ("image/png", "Laudo?", "gguf:sees"),
        ("application/pdf", "Laudo?", "gguf:sees"),
        ("audio/wav", "Transcreva", "gemini:hears"),
        (None, "x" * 400, "gemini:long"),
    ],
)
def test_a_task_has_its_route(mime_type: str | None, text: str, task: str) -> None:
    routes = {"text": "gemini:text", "image": "gguf:sees", "audio": "gemini:hears", "long": "gemini:long"}
    found = settings(routes={**routes, "long_above": 100}, model="openai:other")
    parts = (Text(text), *([Media(b"1", mime_type)] if mime_type else []))
    asked = Request((Message("user", parts),), Origin("gen", "r"))
    made = policy.make(found, request=asked)
    assert str(made.route) == task
    assert made.route.reason.startswith("chosen by config.json routes.")
    # -m, GEMX_MODEL and a profile come before it
    assert str(policy.make(found, request=asked, model="extractive").route) == "extractive"
    profiled = settings({"model": "openai:profile"}, routes=routes)
    assert str(policy.make(profiled, request=asked).route) == "openai:profile"


def test_without_a_route_a_picture_goes_to_gemini_and_to_no_model_that_may_not_see(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = places.ensure_private_dir(places.models_dir())
    (folder / "local.gguf").write_bytes(b"")
    asked = Request((Message("user", (Media(b"1", "image/png"),)),), Origin("gen", "r"))
    assert str(policy.make(settings(), request=asked).route) == "extractive"
    monkeypatch.setenv("GEMINI_API_KEY", "AIza-x")
    assert policy.make(settings(), request=asked).route.provider == "gemini"


def test_the_service_tier_is_one_of_three() -> None:
    assert policy.parse_options({"service_tier": "flex"}).service_tier == "flex"
    with pytest.raises(UsageError, match="service_tier=cheap"):
        policy.parse_options({"service_tier": "cheap"})


def test_what_a_flow_limits_holds_beside_the_config() -> None:
    configured = settings(limits={"gemini": {"rpm": 10, "tpm": 500}})
    made = policy.make(configured, model="gemini:x", limits=Limits(rpm=60, tpm=100))
    assert made.limits(made.route) == Limits(10, 100)
    assert policy.make(settings(), model="gemini:x", limits=Limits(rpm=60)).limits(made.route) == Limits(60, None)


def test_the_lower_concurrency_holds_and_a_flow_may_ask_for_more_than_is_usual() -> None:
    asked = [
        policy.make(settings(**config), concurrency=count).concurrency
        for config, count in (
            ({}, None),
            ({}, 64),
            ({"concurrency": 4}, 64),
            ({"concurrency": 4}, None),
            ({"concurrency": 40}, 2),
        )
    ]
    assert asked == [20, 64, 4, 4, 2]


def test_a_steps_retry_stands_in_place_of_the_configs_and_the_flag_wins() -> None:
    own = RetryConfig(max_attempts=2, initial=0.5)
    assert policy.make(settings(retry={"max_attempts": 9}), retry=own).retry == own
    assert policy.make(settings(), retry=own, tries=7).retry.max_attempts == 7


def test_a_restarted_policy_has_its_whole_time_again(monkeypatch: pytest.MonkeyPatch) -> None:
    made = policy.make(settings(), timeout=10)
    monkeypatch.setattr(clock, "monotonic", lambda: made.deadline + 5)
    assert made.try_seconds() == -5
    assert made.restarted().try_seconds() == 10
