"""config.json as it is read: its version, and the line and column of what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gemx import configuration, places
from gemx.errors import ConfigError, InvalidFileError

PATH = Path("config.json")


def problems(text: str) -> list[str]:
    with pytest.raises(InvalidFileError) as caught:
        configuration.parse(text, PATH)
    return [str(problem) for problem in caught.value.problems]


def test_every_problem_has_its_place() -> None:
    found = problems(
        '{\n  "timeout": -1,\n\t"budget": {\n    "dayly": 5\n  },\n  "endpoints": {"uti": {"site": 3}}\n}\n'
    )
    assert found == [
        "config.json:2:14: timeout: Input should be greater than 0",
        "config.json:4:5: unknown key budget.dayly; did you mean 'daily'?",
        "config.json:6:24: endpoints.uti.base_url: Field required",
        "config.json:6:33: endpoints.uti.site: Input should be a valid boolean",
    ]


def test_a_key_that_stands_twice_is_named_where_it_does_so_again() -> None:
    assert problems('{"model": "gguf:a",\n "model": "gguf:b"}') == [
        "config.json:2:2: not JSON: the key 'model' stands twice in one object"
    ]


def test_what_is_no_json_has_its_place_once() -> None:
    assert problems('{\n  "model": gguf\n}') == ["config.json:2:12: not JSON: Expecting value"]


def test_where_no_place_can_be_told_the_problem_is_still_told() -> None:
    # A control character as an escape is JSON, and nothing that the reader of YAML lets pass.
    assert problems('{"timeout": -1, "model": "\\u0000"}') == ["config.json: timeout: Input should be greater than 0"]


@pytest.mark.parametrize("text", ["{}", '{"version": 0}', '{"version": 1}'])
def test_an_older_version_is_read(text: str) -> None:
    assert configuration.parse(text, PATH) == configuration.Config()


@pytest.mark.parametrize("version", [2, 99])
def test_a_newer_version_is_refused_in_clear_words(version: int) -> None:
    text = json.dumps({"version": version, "of_the_future": True})
    with pytest.raises(ConfigError, match=f"has version {version}: a newer gemx wrote it") as caught:
        configuration.parse(text, PATH)
    assert "update gemx" in str(caught.value.hint)


@pytest.mark.parametrize("version", ['"1"', "true", "-1", "1.5", "null"])
def test_what_is_no_version_is_wrong(version: str) -> None:
    assert problems(f'{{"version": {version}}}')[0].startswith("config.json:1:13: version: ")


def test_the_schema_accepts_what_the_model_does() -> None:
    from jsonschema import Draft202012Validator

    schema = configuration.json_schema()
    Draft202012Validator.check_schema(schema)
    checks = Draft202012Validator(schema)
    good = {"version": 1, "endpoints": {"uti": {"base_url": "http://x", "schema": "none"}}, "timeout": 0.5}
    assert not list(checks.iter_errors(good))
    for bad in ({"timeout": 0}, {"modle": "x"}, {"endpoints": {"uti": {}}}, {"version": 2}):
        assert list(checks.iter_errors(bad))


def test_every_setting_says_what_it_is() -> None:
    def walk(node: object) -> None:
        if isinstance(node, dict):
            for name, inner in node.get("properties", {}).items():
                assert inner.get("description"), name
            for inner in node.get("$defs", {}).values():
                walk(inner)

    walk(configuration.json_schema())


def test_a_default_that_is_named_is_that_of_the_door() -> None:
    from gemx import settings
    from gemx.gateway import guard, policy

    assert settings.DEFAULTS["concurrency"] == policy._DEFAULT_CONCURRENCY
    assert settings.DEFAULTS["guard"] == guard.DEFAULT
    assert policy.network_of(settings.load()) == settings.DEFAULTS["network"]


def test_a_folder_in_the_place_of_the_file(gemx_home: Path) -> None:
    places.config_file().mkdir(parents=True)
    with pytest.raises(ConfigError, match="cannot read"):
        configuration.load(places.config_file())
