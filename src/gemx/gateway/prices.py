"""What a call costs: dated prices of models, shipped with gemx and replaced by the user's own, in exact decimals.

A price that is not known is None, never nought. Knows no caps, and nothing of what was spent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_FLOOR, Decimal
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, field_validator

from gemx import library, places
from gemx.errors import StorageError
from gemx.library import Day, Line, YamlModel
from gemx.providers.base import Usage

HEADER = "prices/v1"
_MILLION = Decimal(1_000_000)
# A release of the same model: -001, -05-20, -09-2026, -2026-09-02 or -20260902. Any other suffix names another model.
_RELEASE = re.compile(r"-(0\d{2}|\d{2}-\d{2}|\d{2}-20\d{2}|20\d{2}-\d{2}-\d{2}|20\d{6})")
_MODEL = re.compile(r"[a-z]+:\S+")
# Where neither a price nor a source bounds the output.
_MOST_TOKENS = 10**9


def _exact(value: object) -> object:
    """A number of the file as it was written: the nearest float of up to 15 digits has the same text."""
    if isinstance(value, Decimal):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"expected a number, not {value!r}")
    return Decimal(str(value))


def _known_model(name: str) -> str:
    if not _MODEL.fullmatch(name):
        raise ValueError(f"{name!r} is no model; expected gemini:NAME or openai:ENDPOINT/MODEL")
    return name


_Exact = Annotated[Decimal, BeforeValidator(_exact, json_schema_input_type=float)]
Dollars = Annotated[_Exact, Field(ge=0, le=100_000)]
Factor = Annotated[_Exact, Field(ge=0, le=100)]
Tokens = Annotated[int, Field(ge=1, le=_MOST_TOKENS)]
ModelId = Annotated[str, Field(max_length=300), AfterValidator(_known_model)]


class Rate(YamlModel):
    """Dollars per million tokens; `cached`, `thinking` and `audio` are as `input`, `output` and `input` where absent.

    Without `output` there is no output to pay for, as with embeddings.
    """

    input: Dollars
    output: Dollars | None = None
    cached: Dollars | None = None
    thinking: Dollars | None = None
    audio: Dollars | None = None
    cached_audio: Dollars | None = None


class LargeRate(Rate):
    """The rate of a whole request whose prompt has more than `tokens`."""

    tokens: Tokens


class DatedRate(Rate):
    """The rate from a day on, UTC, and those of larger prompts."""

    since: Annotated[Day, Field(alias="from")]
    above: tuple[LargeRate, ...] = ()

    @field_validator("above", mode="before")
    @classmethod
    def _sequence(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]

    @field_validator("above")
    @classmethod
    def _ascending(cls, value: tuple[LargeRate, ...]) -> tuple[LargeRate, ...]:
        sizes = [large.tokens for large in value]
        if sizes != sorted(set(sizes)):
            raise ValueError("the prompt sizes must rise")
        return value


class Factors(YamlModel):
    """By what a service tier multiplies the prices; those of audio and thinking follow `input` and `output`."""

    input: Factor
    cached: Factor
    output: Factor


class Replacement(YamlModel):
    """From a day on the provider may answer with another model, and bill that one."""

    since: Annotated[Day, Field(alias="from")]
    by: ModelId


class ModelPrice(YamlModel):
    """The prices of one model, where they were read and when."""

    source: Line
    read: Day
    max_output_tokens: Tokens | None = None
    replaced: Replacement | None = None
    factors: dict[Literal["batch", "flex", "priority"], Factors] = {}
    rates: Annotated[list[DatedRate], Field(min_length=1)]

    @field_validator("rates")
    @classmethod
    def _ascending(cls, value: list[DatedRate]) -> list[DatedRate]:
        days = [rate.since for rate in value]
        if days != sorted(set(days)):
            raise ValueError("the days of the rates must rise")
        return value


class PriceFile(YamlModel):
    """A file of prices; `version` is the day of its last change."""

    gemx: Literal["prices/v1"]
    version: Day
    currency: Literal["USD"]
    models: dict[ModelId, ModelPrice]


@dataclass(frozen=True)
class _PerToken:
    """What each token of one call costs, in dollars; the tier and the size of the prompt are in it."""

    input: Decimal
    cached: Decimal
    output: Decimal | None
    thinking: Decimal | None

    @property
    def dearest_output(self) -> Decimal:
        return max(self.output or Decimal(0), self.thinking or Decimal(0))


@dataclass(frozen=True)
class PriceTable:
    """The prices of models by their ids, as `gemini:gemini-3.8-flash`; `version` names them in a record.

    Where a method takes a model, it is the id of a response or of a request; a release's suffix may follow the id that
    is known. `on` is the day of the call, UTC, and `tier` its service tier: standard, batch, flex or priority. `audio`
    says that sound was sent: the whole prompt is then priced as sound, where that is dearer.
    """

    version: str
    models: Mapping[str, ModelPrice]

    def cost(
        self, model: str, usage: Usage, *, on: date, tier: str = "standard", audio: bool = False
    ) -> Decimal | None:
        """What a call cost in dollars; None where its price or its tokens are not known."""
        if usage.input_tokens is None:
            return None
        prices = self._per_token(model, usage.input_tokens, on, tier, audio)
        output = _output_cost(prices, usage) if prices else None
        if prices is None or output is None:
            return None
        cached = min(usage.cached_tokens or 0, usage.input_tokens)
        return (usage.input_tokens - cached) * prices.input + cached * prices.cached + output

    def most(
        self,
        model: str,
        input_tokens: int,
        output_tokens: int,
        *,
        on: date,
        tier: str = "standard",
        audio: bool = False,
    ) -> Decimal | None:
        """The most dollars that a call of so many tokens can cost, also where its model is replaced by another.

        None where a price is not known, that of output included, where there is to be any.
        """
        per_token = self._possible(model, input_tokens, on, tier, audio)
        if per_token is None or (output_tokens and any(each.output is None for each in per_token)):
            return None
        return max(input_tokens * _dearest_input(each) + output_tokens * each.dearest_output for each in per_token)

    def output_tokens_for(
        self,
        model: str,
        budget: Decimal,
        input_tokens: int,
        *,
        on: date,
        tier: str = "standard",
        audio: bool = False,
    ) -> int | None:
        """How many output tokens an amount surely pays for after the prompt, 0 where none; None where unpriced."""
        per_token = self._possible(model, input_tokens, on, tier, audio)
        if per_token is None:
            return None
        room = min(_room(each, budget - input_tokens * _dearest_input(each)) for each in per_token)
        return min(room, self.max_output_tokens(model) or _MOST_TOKENS)

    def max_output_tokens(self, model: str) -> int | None:
        """How many tokens a model can answer with, where a source says so."""
        price = self._find(model)
        return price.max_output_tokens if price else None

    def _possible(self, model: str, size: int, on: date, tier: str, audio: bool) -> list[_PerToken] | None:
        """What a request may be billed at: its own model's prices, and those of the model that replaces it."""
        price = self._find(model)
        if price is None:
            return None
        names = [model]
        if price.replaced and price.replaced.since <= on:
            names.append(price.replaced.by)
        per_token = [self._per_token(name, size, on, tier, audio) for name in names]
        known = [each for each in per_token if each is not None]
        return known if len(known) == len(names) else None

    def _per_token(self, model: str, size: int, on: date, tier: str, audio: bool) -> _PerToken | None:
        price = self._find(model)
        dated = next((rate for rate in reversed(price.rates) if rate.since <= on), None) if price else None
        factors = _factors(price, tier) if price else None
        if dated is None or factors is None:
            return None
        larger = [large for large in dated.above if size > large.tokens]
        return _scaled(larger[-1] if larger else dated, factors, audio)

    def _find(self, model: str) -> ModelPrice | None:
        if model in self.models:
            return self.models[model]
        release = next((known for known in self.models if _RELEASE.fullmatch(model.removeprefix(known))), None)
        return self.models[release] if release else None


def load() -> PriceTable:
    """The shipped prices with the user's own over them. Raises InvalidFileError, StorageError."""
    shipped, _ = _read(places.shipped("prices") / "prices.yaml")
    version = shipped.version.isoformat()
    own_path = places.prices_file()
    if not places.is_file(own_path):
        return PriceTable(version, shipped.models)
    own, sha256 = _read(own_path)
    return PriceTable(f"{version}+user.{sha256[:8]}", {**shipped.models, **own.models})


def read(path: Path) -> PriceFile:
    """A file of prices. Raises InvalidFileError, StorageError."""
    return library.load(path, PriceFile, HEADER)[0]


def _read(path: Path) -> tuple[PriceFile, str]:
    """A file of prices and its SHA-256, read again only once it has changed: a batch asks for every call."""
    try:
        found = path.stat()
    except OSError as exc:
        raise StorageError(f"cannot read {path}: {exc.strerror}") from exc
    return _parsed(path, (found.st_ino, found.st_size, found.st_mtime_ns))


@lru_cache(maxsize=4)
def _parsed(path: Path, _stamp: tuple[int, int, int]) -> tuple[PriceFile, str]:
    parsed, tree = library.load(path, PriceFile, HEADER)
    return parsed, tree.sha256


def _factors(price: ModelPrice, tier: str) -> Factors | None:
    if tier == "standard":
        return Factors(input=Decimal(1), cached=Decimal(1), output=Decimal(1))
    return next((factors for name, factors in price.factors.items() if name == tier), None)


def _scaled(rate: Rate, factors: Factors, audio: bool) -> _PerToken:
    prompt, cached = rate.input, _first(rate.cached, rate.input)
    if audio:
        sound = _first(rate.audio, rate.input)
        prompt, cached = max(prompt, sound), max(cached, _first(rate.cached_audio, rate.cached, sound))
    output = None if rate.output is None else rate.output * factors.output / _MILLION
    thinking = output if rate.thinking is None else rate.thinking * factors.output / _MILLION
    return _PerToken(prompt * factors.input / _MILLION, cached * factors.cached / _MILLION, output, thinking)


def _first(*values: Decimal | None) -> Decimal:
    return next(value for value in values if value is not None)


def _dearest_input(prices: _PerToken) -> Decimal:
    return max(prices.input, prices.cached)


def _output_cost(prices: _PerToken, usage: Usage) -> Decimal | None:
    """None where the tokens are not known, or are of a kind that has no price."""
    if prices.output is None or prices.thinking is None:
        return None if usage.output_tokens else Decimal(0)
    if usage.output_tokens is None:
        return None
    if prices.thinking == prices.output or not usage.output_tokens:
        return usage.output_tokens * prices.output
    if usage.reasoning_tokens is None:
        return None
    reasoning = min(usage.reasoning_tokens, usage.output_tokens)
    return (usage.output_tokens - reasoning) * prices.output + reasoning * prices.thinking


def _room(prices: _PerToken, left: Decimal) -> int:
    if left < 0:
        return 0
    if not prices.dearest_output:
        return _MOST_TOKENS
    return int((left / prices.dearest_output).to_integral_value(ROUND_FLOOR))
