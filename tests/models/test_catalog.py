"""The catalog that ships: names that can be installed, each with its source."""

from __future__ import annotations

import pytest

from gemx.cli import completion
from gemx.errors import NotFoundError
from gemx.models import catalog, sources


def test_every_model_can_be_named_and_says_where_it_was_read() -> None:
    known = catalog.load().models
    assert {"llama-3.2-1b", "llama-3.3-70b", "mistral-7b", "phi-4", "qwen3-8b", "medgemma-4b", "bge-m3"} <= set(known)
    for name, item in known.items():
        assert sources.checked_name(name) == name
        assert sources.is_repository(item.repository)
        assert item.source and item.read
        assert item.accept == (item.license not in ("apache-2.0", "mit"))


def test_words_are_looked_for_in_all_that_it_says() -> None:
    assert list(catalog.search(["MedGemma", "vision"])) == ["medgemma-4b"]
    assert set(catalog.search(["embedding"])) == {"bge-m3"}
    assert catalog.search(["nada", "disso"]) == {}
    assert len(catalog.search([])) == len(catalog.load().models)


def test_a_name_that_is_not_there_is_told_with_one_that_is_near() -> None:
    with pytest.raises(NotFoundError, match=r"did you mean 'medgemma-4b'"):
        catalog.find("medgema-4b")


def test_the_completion_offers_the_same_names_without_reading_yaml() -> None:
    assert completion.catalog("") == sorted(catalog.load().models)
    assert completion.catalog("medg") == ["medgemma-27b-text", "medgemma-4b"]
