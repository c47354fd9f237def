"""Schemas in llm's short form; those in files are tested by `gemx gen`, which reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gemx import schemas
from gemx.errors import ConfigError, UsageError

BIO = {"type": "string", "description": "one sentence"}


def fields(schema: dict[str, Any]) -> dict[str, Any]:
    assert schema["type"] == "object"
    assert schema["required"] == list(schema["properties"])
    assert schema["additionalProperties"] is False
    return schema["properties"]


@pytest.mark.parametrize(
    "given",
    [
        "name, age int, bio: one sentence",
        "name,age int,bio:one sentence,",
        "\nname\n  age  int \n\nbio: one sentence\n",
        "name str,\nage int,\nbio str : one sentence",
    ],
)
def test_the_short_form(workdir: Path, given: str) -> None:
    assert fields(schemas.load(given)) == {"name": {"type": "string"}, "age": {"type": "integer"}, "bio": BIO}


def test_types_accents_and_descriptions(workdir: Path) -> None:
    found = fields(schemas.load("pressão_média float: em mmHg, invasiva\nchoque bool\nalvo_2 int: meta: 65"))
    assert found == {
        "pressão_média": {"type": "number", "description": "em mmHg, invasiva"},
        "choque": {"type": "boolean"},
        "alvo_2": {"type": "integer", "description": "meta: 65"},
    }


def test_a_name_is_the_same_however_its_accents_are_encoded(workdir: Path) -> None:
    assert list(fields(schemas.load("press\u0061\u0303o, b"))) == ["pressão", "b"]


def test_a_file_is_the_file_whatever_its_name(workdir: Path) -> None:
    (workdir / "a, b int").write_text(json.dumps({"type": "array"}))
    assert schemas.load("a, b int") == {"type": "array"}


@pytest.mark.parametrize("given", ["", " ", "s.json", "dir/s.json", "name", "x" * 300])
def test_what_looks_like_a_file_and_is_none(workdir: Path, given: str) -> None:
    with pytest.raises(ConfigError) as raised:
        schemas.load(given)
    assert "no such file" in raised.value.message
    assert "name, age int" in (raised.value.hint or "")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("name, age integer", "'integer'"),
        ("name, age int more", "'age int more'"),
        ("name, a-b int", "'a-b int'"),
        ("name, : a description", "': a description'"),
        ("name, age int, name", "'name' is given twice"),
        ("my schemas/s.json", "no such file, and 'my' has the unknown type 'schemas/s.json'"),
        (" , \n", "no field"),
        ('{"type": "object"}', "is not `name type: description`"),
    ],
)
def test_what_is_no_short_form(workdir: Path, given: str, said: str) -> None:
    with pytest.raises(UsageError) as raised:
        schemas.load(given)
    assert said in raised.value.message


def test_an_answer_is_checked_by_it(workdir: Path) -> None:
    validate = schemas.validator(schemas.load("name, age int"))
    assert validate('{"name": "Ana", "age": 64}') == ({"name": "Ana", "age": 64}, [])
    for wrong in ('{"name": "Ana"}', '{"name": "Ana", "age": "64"}', '{"name": "Ana", "age": 64, "x": 1}'):
        assert validate(wrong)[1]
