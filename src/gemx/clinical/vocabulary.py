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
    """A name that gemx uses and the spellings that mean it, accents and case apart.

    Where a text names it and one that it is `more_exact_than`, it alone counts.
    """

    name: Line
    words: Words
    more_exact_than: Line | None = None


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
    label_words: Words

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
    label_words: frozenset[str]
    _seen: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict[tuple[str, str], "tuple[str, ...]"])

    def routes_in(self, text: str) -> tuple[str, ...]:
        """The routes that a text names and does not deny, in its order; of `IV direta` and `IV`, the first alone."""
        return self._named("route", text, self.routes)

    def diluents_in(self, text: str) -> tuple[str, ...]:
        """The diluents that a text names and does not deny, in its order."""
        return self._named("diluent", text, self.diluents)

    def _named(self, kind: str, text: str, terms: Sequence[Term]) -> tuple[str, ...]:
        if (kind, text) not in self._seen:
            by_word = {wording.fold(word): term for term in terms for word in term.words}
            found = [by_word[word] for word in wording.find_all(text, tuple(by_word))]
            less_exact = {term.more_exact_than for term in found}
            self._seen[kind, text] = tuple(dict.fromkeys(t.name for t in found if t.name not in less_exact))
        return self._seen[kind, text]

    def allergens_in(self, text: str) -> tuple[str, ...]:
        """The ids of the allergens that a text names."""
        return tuple(allergen.id for allergen in self.allergens if wording.find(text, allergen.words))


@cache
def load_vocabulary(path: Path | None = None) -> Vocabulary:
    """The words, from a file or the packaged one. Raises InvalidFileError."""
    path = path or places.shipped("automations") / "vocabulary.yaml"
    parsed, _ = library.load(path, VocabularyFile, HEADER)
    words = frozenset(wording.fold(word) for word in parsed.label_words)
    return Vocabulary(tuple(parsed.routes), tuple(parsed.diluents), tuple(parsed.allergens), words)
