from __future__ import annotations

import itertools
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gemx import places
from gemx.automation import validation
from gemx.errors import InvalidFileError
from gemx.gateway import prices
from gemx.gateway.prices import PriceTable
from gemx.providers.base import Usage

NOVEMBER, JANUARY = date(2026, 11, 20), date(2027, 1, 2)
FLASH, ARGON, PRO = "gemini:gemini-3.8-flash", "gemini:gemini-4-argon", "gemini:gemini-3.1-pro-preview"
# What genai-prices 0.2.3 makes of the same call.
CALL = Usage(input_tokens=10_000, output_tokens=1_500, cached_tokens=4_000, reasoning_tokens=500)

OWN = """\
gemx: prices/v1
version: "2026-11-28"
currency: USD
models:
  openai:hospital/llama:
    source: our contract
    read: 2026-11-28
    max_output_tokens: 1000
    rates:
      - {from: 2026-01-01, input: 0.1, output: 0.2, thinking: 0.7}
"""


SHIPPED = places.shipped("prices") / "prices.yaml"


@pytest.fixture
def table() -> PriceTable:
    return prices.load()


def own(text: str) -> PriceTable:
    path = places.prices_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return prices.load()


@pytest.mark.parametrize(
    ("model", "day", "tier", "dollars"),
    [
        (FLASH, NOVEMBER, "standard", "0.010425"),
        (FLASH, JANUARY, "standard", "0.02085"),
        (FLASH, NOVEMBER, "batch", "0.0052125"),
        (FLASH, NOVEMBER, "flex", "0.0053625"),
        (FLASH, NOVEMBER, "priority", "0.018765"),
        (ARGON, NOVEMBER, "standard", "0.0274"),
        (ARGON, NOVEMBER, "batch", "0.0137"),
        (ARGON, date(2026, 11, 30), "standard", "0.0274"),
        (ARGON, date(2026, 12, 1), "standard", "0.0548"),
        (PRO, NOVEMBER, "standard", "0.0308"),
    ],
)
def test_a_call_costs_what_its_day_and_tier_say(
    table: PriceTable, model: str, day: date, tier: str, dollars: str
) -> None:
    assert table.cost(model, CALL, on=day, tier=tier) == Decimal(dollars)


def test_a_price_is_exact(table: PriceTable) -> None:
    usage = Usage(input_tokens=1, output_tokens=0, cached_tokens=1)
    assert table.cost(FLASH, usage, on=NOVEMBER, tier="batch") == Decimal("0.0000000375")
    usage = Usage(input_tokens=999_999_999, output_tokens=999_999_999)
    assert table.cost(FLASH, usage, on=JANUARY, tier="priority") == Decimal("999_999_999") * Decimal("0.0000162")


@pytest.mark.parametrize(("prompt", "dollars"), [(200_000, "0.418"), (200_001, "0.827004")])
def test_the_whole_request_has_the_price_of_its_size(table: PriceTable, prompt: int, dollars: str) -> None:
    usage = Usage(input_tokens=prompt, output_tokens=1500)
    assert table.cost(PRO, usage, on=NOVEMBER) == Decimal(dollars)
    assert table.most(PRO, prompt, 1500, on=NOVEMBER) == Decimal(dollars)


@pytest.mark.parametrize("suffix", ["", "-001", "-05-20", "-09-2026", "-2026-09-02", "-20260902"])
def test_a_release_has_the_price_of_its_model(table: PriceTable, suffix: str) -> None:
    assert table.cost(FLASH + suffix, CALL, on=NOVEMBER) == Decimal("0.010425")


@pytest.mark.parametrize(
    "model",
    [
        *(f"{FLASH}{suffix}" for suffix in ("-lite", "-preview", "-tts", "x", "-405", "-001-lite", "-preview-05-20")),
        *("gemini:gemini-3.8", "gemini:gemini-flash-latest", "openai:gemini-3.8-flash", "gemini-3.8-flash", "gemini:"),
    ],
)
def test_another_model_has_no_price(table: PriceTable, model: str) -> None:
    assert table.cost(model, CALL, on=NOVEMBER) is None
    assert table.most(model, 10, 10, on=NOVEMBER) is None
    assert table.output_tokens_for(model, Decimal(1), 10, on=NOVEMBER) is None
    assert table.max_output_tokens(model) is None


def test_no_price_before_the_first_and_none_of_an_unknown_tier(table: PriceTable) -> None:
    assert table.cost(ARGON, CALL, on=date(2026, 10, 12)) is None
    assert table.cost(ARGON, CALL, on=date(2026, 10, 13)) is not None
    assert table.cost(ARGON, CALL, on=NOVEMBER, tier="express") is None
    assert table.cost("gemini:gemini-embedding-001", Usage(input_tokens=5), on=NOVEMBER, tier="priority") is None


@pytest.mark.parametrize(
    "usage", [Usage(), Usage(input_tokens=10), Usage(output_tokens=10), Usage(cached_tokens=1, reasoning_tokens=1)]
)
def test_unknown_tokens_have_no_cost(table: PriceTable, usage: Usage) -> None:
    assert table.cost(FLASH, usage, on=NOVEMBER) is None


def test_tokens_that_a_provider_does_not_break_down_have_no_discount(table: PriceTable) -> None:
    assert table.cost(FLASH, Usage(10_000, 1_500), on=NOVEMBER) == Decimal("0.013125")
    assert table.cost(FLASH, Usage(10_000, 1_500, 99_999, 99_999), on=NOVEMBER) == Decimal("0.006375")
    assert table.cost(FLASH, Usage(0, 0), on=NOVEMBER) == 0


def test_embeddings_cost_their_input(table: PriceTable) -> None:
    assert table.cost("gemini:gemini-embedding-2", Usage(input_tokens=1_000_000), on=NOVEMBER) == Decimal("0.2")
    assert table.cost("gemini:gemini-embedding-2", Usage(input_tokens=1, output_tokens=1), on=NOVEMBER) is None
    assert table.most("gemini:gemini-embedding-2", 1_000_000, 0, on=NOVEMBER) == Decimal("0.2")


def test_sound_costs_more(table: PriceTable) -> None:
    flash_lite, usage = "gemini:gemini-3.1-flash-lite", Usage(1_000_000, 0, 500_000)
    assert table.cost(flash_lite, usage, on=NOVEMBER) == Decimal("0.1375")
    assert table.cost(flash_lite, usage, on=NOVEMBER, audio=True) == Decimal("0.275")
    assert table.most(flash_lite, 1_000_000, 0, on=NOVEMBER, audio=True) == Decimal("0.5")
    assert table.cost(FLASH, CALL, on=NOVEMBER, audio=True) == Decimal("0.010425")


@pytest.mark.parametrize("model", [*prices.read(SHIPPED).models])
def test_no_call_costs_more_than_the_most(table: PriceTable, model: str) -> None:
    answers = not model.startswith("gemini:gemini-embedding")
    sizes = ((0, 0), (1, 65_536), (200_000, 10), (200_001, 65_536), (1_000_000, 1))
    days, tiers = (NOVEMBER, date(2026, 12, 1), JANUARY), ("standard", "flex", "priority", "batch")
    for day, tier, audio, (prompt, longest) in itertools.product(days, tiers, (False, True), sizes):
        terms: Any = {"on": day, "tier": tier, "audio": audio}
        output = longest if answers else 0
        most = table.most(model, prompt, output, **terms)
        for cached in (0, prompt // 2, prompt):
            cost = table.cost(model, Usage(prompt, output, cached, output), **terms)
            assert (cost is None) == (most is None)
            assert cost is None or most is None or cost <= most


@pytest.mark.parametrize("model", [FLASH, ARGON, PRO, "gemini:gemini-2.5-pro", "gemini:gemini-2.5-flash-lite"])
@pytest.mark.parametrize("budget", ["0.0001", "0.01", "0.0333", "1"])
@pytest.mark.parametrize("prompt", [0, 1_000, 200_001])
def test_an_amount_leaves_room_for_so_many_tokens_and_no_more(
    table: PriceTable, model: str, budget: str, prompt: int
) -> None:
    room = table.output_tokens_for(model, Decimal(budget), prompt, on=JANUARY)
    assert room is not None
    if room:
        assert (table.most(model, prompt, room, on=JANUARY) or 9) <= Decimal(budget)
    if room != table.max_output_tokens(model):
        assert (table.most(model, prompt, room + 1, on=JANUARY) or 0) > Decimal(budget)


def test_the_room_is_at_most_what_the_model_answers_with(table: PriceTable) -> None:
    assert table.output_tokens_for(FLASH, Decimal(10), 1_000, on=NOVEMBER) == 65_536
    assert table.output_tokens_for("gemini:gemini-2.5-pro", Decimal(10), 0, on=NOVEMBER) == 1_000_000
    assert table.output_tokens_for("gemini:gemini-embedding-2", Decimal(1), 0, on=NOVEMBER) == 10**9


def test_a_model_that_another_replaces_may_cost_what_that_one_does(table: PriceTable) -> None:
    old = "gemini:gemini-2.5-pro"
    assert table.most(old, 100_000, 0, on=date(2026, 12, 31)) == Decimal("0.125")
    assert table.most(old, 100_000, 0, on=JANUARY) == Decimal("0.15")
    assert table.cost(old, Usage(100_000, 0), on=JANUARY) == Decimal("0.125")
    assert table.output_tokens_for(old, Decimal("0.15"), 100_000, on=JANUARY) == 0


def test_every_shipped_price_names_its_source_and_can_be_validated(table: PriceTable) -> None:
    assert SHIPPED in validation.shipped_files()
    assert validation.problems(SHIPPED) == []
    assert table.version == "2026-11-28"
    for name, price in table.models.items():
        assert price.source and price.read <= date.fromisoformat(table.version), name
        assert price.replaced is None or price.replaced.by in table.models, name
    assert not [each for each in table.models if not each.startswith("gemini:")]


def test_the_users_prices_are_named_in_the_version(table: PriceTable) -> None:
    merged = own(OWN)
    assert merged.version.startswith("2026-11-28+user.") and len(merged.version) == len("2026-11-28+user.") + 8
    assert merged.cost("openai:hospital/llama", Usage(10, 10, None, 4), on=NOVEMBER) == Decimal("0.000005")
    assert merged.cost("openai:hospital/llama", Usage(10, 10), on=NOVEMBER) is None
    assert merged.most("openai:hospital/llama", 10, 10, on=NOVEMBER) == Decimal("0.000008")
    assert merged.cost(FLASH, CALL, on=NOVEMBER) == table.cost(FLASH, CALL, on=NOVEMBER)


def test_the_users_prices_replace_a_model_whole_and_are_read_again_when_they_change() -> None:
    first = own(OWN.replace("openai:hospital/llama", FLASH))
    assert first.cost(FLASH, Usage(10, 0), on=NOVEMBER) == Decimal("0.000001")
    assert first.cost(FLASH, Usage(10, 0), on=NOVEMBER, tier="batch") is None
    second = own(OWN.replace("openai:hospital/llama", FLASH).replace("0.1,", "0.15,"))
    assert second.cost(FLASH, Usage(10, 0), on=NOVEMBER) == Decimal("0.0000015")
    assert first.version != second.version


def test_a_price_of_nothing_is_known() -> None:
    free = own(OWN.replace("0.1", "0").replace("0.2", "0").replace("0.7", "0"))
    assert free.cost("openai:hospital/llama", Usage(10, 10), on=NOVEMBER) == 0
    assert free.output_tokens_for("openai:hospital/llama", Decimal(0), 10, on=NOVEMBER) == 1000


@pytest.mark.parametrize(
    ("old", "new", "place", "said"),
    [
        ("input: 0.1", "input: -1", "10:35", "input: input should be greater than or equal to 0"),
        ("input: 0.1", "input: true", "10:35", "input: expected a number, not True"),
        ("input: 0.1", "inptu: 0.1", "10:28", "unknown key 'inptu'; did you mean 'input'?"),
        ("currency: USD", "currency: BRL", "3:11", "currency: "),
        ("openai:hospital/llama", "llama", "6:5", "'llama' is no model"),
        ("2026-01-01, ", "yesterday, ", "10:16", "expected a date"),
        ("    rates:", "    above:\n      - {}\n    rates:", "9:5", "unknown key 'above'"),
        ("from: 2026-01-01, ", "", "10:9", "the key 'from' is missing"),
        (
            "0.7}",
            "0.7}\n      - {from: 2025-01-01, input: 1}",
            "10:7",
            "the days of the rates must rise",
        ),
        ("0.7}", "0.7, above: [{tokens: 9, input: 1}, {tokens: 9, input: 1}]}", "10:75", "the prompt sizes must rise"),
        ("    rates:", "    factors: {express: {input: 1, cached: 1, output: 1}}\n    rates:", "9:", "'express'"),
    ],
)
def test_a_wrong_file_is_refused_at_its_place(old: str, new: str, place: str, said: str) -> None:
    with pytest.raises(InvalidFileError) as caught:
        own(OWN.replace(old, new))
    assert f"prices.yaml:{place}" in caught.value.message
    assert said in caught.value.message


def test_the_wheel_carries_the_prices() -> None:
    import tomllib

    targets = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    assert targets["targets"]["wheel"]["force-include"]["prices"] == "gemx/_data/prices"
    assert "/prices" in targets["targets"]["sdist"]["include"]
