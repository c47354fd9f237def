"""The models that gemx knows by name: where they are, under which licence, and what they can do. Data, in YAML.

Hashes and sizes are not in it: the endpoint says them when a model is installed.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from gemx import library, places
from gemx.errors import NotFoundError
from gemx.library import Day, Line, YamlModel

HEADER = "models/v1"
# No dot: what ends a name may be a quantisation.
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}")


def _is_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a model; expected letters, digits, `.` and `-`")
    return name


class Item(YamlModel):
    """A model of the catalog. `accept` says that its licence must be accepted; `quantizations` lists the first as its
    default; `context` counts tokens. What no source says is absent.
    """

    title: Line
    repository: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]
    license: Line
    license_url: Annotated[str, Field(pattern=r"^https://\S+$")] | None = None
    accept: bool = False
    modality: Literal["text", "vision", "embedding"]
    context: Annotated[int, Field(ge=1)] | None = None
    quantizations: Annotated[list[Line], Field(min_length=1)]
    source: Line
    read: Day


class Catalog(YamlModel):
    """Every model of the catalog, by name."""

    gemx: Literal["models/v1"]
    version: Line
    models: dict[Annotated[str, AfterValidator(_is_name)], Item]


@lru_cache(maxsize=1)
def load() -> Catalog:
    """The catalog that ships with gemx. Raises InvalidFileError."""
    return library.load(places.shipped("models") / "catalog.yaml", Catalog, HEADER)[0]


def find(name: str) -> Item:
    """A model of the catalog. Raises NotFoundError with the names that are near."""
    known = load().models
    if name not in known:
        hint = "gemx models search WORDS; or give OWNER/REPOSITORY, https://… or ./FILE.gguf"
        raise NotFoundError(f"no model {name!r} in the catalog{library.suggest(name, known)}", hint=hint)
    return known[name]


def search(words: list[str]) -> dict[str, Item]:
    """The models that have every word in their name, title, repository, licence or modality."""
    wanted = [word.casefold() for word in words]
    return {name: item for name, item in load().models.items() if all(word in _text(name, item) for word in wanted)}


def _text(name: str, item: Item) -> str:
    return " ".join([name, item.title, item.repository, item.license, item.modality]).casefold()
