"""The words of prescriptions (`automations/vocabulary.yaml`): routes, diluents, allergens, each with its spellings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from gemx import library, places
from gemx.clinical import wording
from gemx.library import Identifier, Line, YamlModel

HEADER = "vocabulary/v1"
Words = Annotated[list[Line], Field(min_length=1)]


class Term(YamlModel):
    """A name that gemx uses and the spellings that mean it, accents and case apart."""

    name: Line
    words: Words


class Allergen(YamlModel):
    """A class that people are allergic to, the names that say so, and where its members were read.

    `source` is absent where the words only spell the class itself or a substance that no drug of the formulary holds.
    """

    id: Identifier
    label: Line
    words: Words
    source: Line | None = None


class VocabularyFile(YamlModel):
    """The file automations/vocabulary.yaml."""

    gemx: Literal["vocabulary/v1"]
    routes: Annotated[list[Term], Field(min_length=1)]
    diluents: Annotated[list[Term], Field(min_length=1)]
    allergens: Annotated[list[Allergen], Field(min_length=1)]

    @field_validator("routes", "diluents")
    @classmethod
    def _terms_differ(cls, terms: list[Term]) -> list[Term]:
        library.refuse_twice("name", [term.name for term in terms])
        library.refuse_twice("spelling", [wording.fold(word) for term in terms for word in term.words])
        return terms

    @field_validator("allergens")
    @classmethod
    def _allergens_differ(cls, allergens: list[Allergen]) -> list[Allergen]:
        library.refuse_twice("id", [allergen.id for allergen in allergens])
        return allergens


@dataclass(frozen=True)
class Vocabulary:
    """Names found in the free text of a prescription."""

    routes: tuple[Term, ...]
    diluents: tuple[Term, ...]
    allergens: tuple[Allergen, ...]
    _seen: dict[tuple[str, str], str | None] = field(default_factory=dict[tuple[str, str], "str | None"], repr=False)

    def route(self, text: str) -> str | None:
        """The route that a text names; the more exact one where it names two, as `IV direta` does beside `IV`."""
        return self._named("route", text, self.routes)

    def diluent(self, text: str) -> str | None:
        """The diluent that a text names."""
        return self._named("diluent", text, self.diluents)

    def _named(self, kind: str, text: str, terms: Sequence[Term]) -> str | None:
        if (kind, text) not in self._seen:
            found = [(word, term.name) for term in terms if (word := wording.find(text, term.words))]
            self._seen[kind, text] = max(found, key=lambda each: len(each[0]))[1] if found else None
        return self._seen[kind, text]

    def allergens_in(self, text: str) -> tuple[str, ...]:
        """The ids of the allergens that a text names."""
        return tuple(allergen.id for allergen in self.allergens if wording.find(text, allergen.words))


@cache
def load_vocabulary(path: Path | None = None) -> Vocabulary:
    """The words, from a file or the packaged one. Raises InvalidFileError."""
    path = path or places.shipped("automations") / "vocabulary.yaml"
    parsed, _ = library.load(path, VocabularyFile, HEADER)
    return Vocabulary(tuple(parsed.routes), tuple(parsed.diluents), tuple(parsed.allergens))
