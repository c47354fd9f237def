"""What a call through the door costs: reserved before it, settled after it, refused where a cap leaves too little."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from fake_gemini import FakeGemini
from fake_openai import FakeOpenAI
from gateway_calls import ORIGIN, Listener, audit, policy, request
from gemx import places
from gemx.documents import Media, Text
from gemx.errors import BudgetError, GemxError, StorageError, TimeoutExceededError
from gemx.gateway import Message, Origin, bill, budget, call, embed, limiter, store, structured

# of gemini-3.8-flash on the virtual clock's day, in dollars a token
IN, CACHED, OUT = (Decimal(price) / 1_000_000 for price in ("0.75", "0.075", "3.75"))
VERSION = "gemini-3.8-flash-001"
PRICES = """\
gemx: prices/v1
version: "2026-11-28"
currency: USD
models:
  openai:nuvem/grande:
    source: contrato do hospital
    read: 2026-11-28
    rates:
      - {from: 2026-01-01, input: 10, output: 20}
"""


@pytest.fixture(autouse=True)
def virtual(virtual_clock: Any) -> Any:
    return virtual_clock


def usage(prompt: int, answer: int, thought: int = 0, cached: int = 0) -> dict[str, Any]:
    counts = {"promptTokenCount": prompt, "candidatesTokenCount": answer, "thoughtsTokenCount": thought}
    return {"modelVersion": VERSION, "usageMetadata": {**counts, "cachedContentTokenCount": cached}}


def spent() -> Decimal:
    return budget.spent(None).day


def test_the_cost_is_that_of_the_answer_and_stands_in_the_record(fake_gemini: FakeGemini) -> None:
    fake_gemini.reply_text("ok", **usage(1000, 200, 300, cached=400))
    reply = call(request(), policy())
    cost = 600 * IN + 400 * CACHED + 500 * OUT
    assert bill.total(reply.attempts) == cost == spent()
    (record,) = audit()
    assert record["gemx.cost_usd"] == pytest.approx(float(cost))
    assert record["gemx.price_table"] == bill.table(reply.attempts)
    assert record["gemx.price_table"].startswith("2026-")


def test_a_model_without_a_price_is_unpriced_and_never_free(fake_gemini: FakeGemini) -> None:
    reply = call(request(), policy("gemini:gemini-nobody-knows"))
    assert bill.total(reply.attempts) is None
    (record,) = audit()
    assert "gemx.cost_usd" not in record
    assert record["gemx.price_table"]
    assert bill.data(reply.attempts)["cost_usd"] is None


def test_an_answer_of_a_model_without_a_price_keeps_what_was_reserved(fake_gemini: FakeGemini) -> None:
    fake_gemini.reply_text("ok", modelVersion="gemini-surprise")
    reply = call(request("x" * 100), policy(flags={"options": {"max_output_tokens": "100"}}))
    assert bill.total(reply.attempts) is None
    assert spent() == 50 * IN + 100 * OUT


@pytest.mark.parametrize("cap", ["command", "daily", "monthly"])
def test_under_a_cap_a_model_without_a_price_is_refused(cap: str, fake_gemini: FakeGemini) -> None:
    with pytest.raises(BudgetError, match="has no price") as caught:
        call(request(), policy("gemini:gemini-nobody-knows", budget={cap: 5}))
    assert (caught.value.exit_code, fake_gemini.requests) == (9, [])
    assert [(record["kind"], record["error.type"]) for record in audit()] == [("refusal", "budget")]


@pytest.mark.parametrize("cap", ["command", "daily", "monthly"])
def test_a_cap_that_leaves_too_little_refuses_before_the_call(cap: str, fake_gemini: FakeGemini) -> None:
    with pytest.raises(BudgetError) as caught:
        call(request("x" * 1000), policy(budget={cap: 0.0003}))
    assert (caught.value.exit_code, fake_gemini.requests, spent()) == (9, [], 0)
    assert "max_output_tokens" in (caught.value.hint or "")


def test_under_a_cap_there_is_always_an_output_limit(fake_gemini: FakeGemini) -> None:
    call(request(), policy())
    assert "maxOutputTokens" not in fake_gemini.last.body.get("generationConfig", {})
    call(request(), policy(budget={"daily": 5}))
    assert fake_gemini.last.body["generationConfig"]["maxOutputTokens"] == 16_384
    call(request(), policy(budget={"daily": 5}, max_output_tokens=64))
    assert fake_gemini.last.body["generationConfig"]["maxOutputTokens"] == 64
    call(request(origin=Origin("gen", "another-run")), policy(flags={"max_cost": 0.01}))
    limit = fake_gemini.last.body["generationConfig"]["maxOutputTokens"]
    assert 2_600 < limit < 2_667  # what 0.01 dollars pay for
    assert audit()[-1]["gen_ai.request.max_tokens"] == limit


def test_a_command_may_cost_what_its_flag_says_repairs_included(fake_gemini: FakeGemini) -> None:
    for _ in range(9):
        fake_gemini.reply_text("wrong", **usage(100, 0, 1000))
    heard = Listener()
    asked = policy(flags={"max_cost": 0.01, "options": {"max_output_tokens": "1000"}}, listener=heard)
    problems = iter(range(9, 0, -1))
    reply = structured(request(), asked, lambda text: (text, ["wrong"] * next(problems)), 8)
    assert reply.text == "wrong"
    assert len(fake_gemini.requests) == 2  # each costs 0.0038
    assert spent() <= Decimal("0.01")
    assert "(budget: the call could cost" in heard.warnings[0]


@pytest.mark.parametrize(
    ("fault", "part"),
    [
        ("unauthorized", "none"),
        ("rate_limit", "none"),
        ("unavailable", "none"),
        ("bad_request", "none"),
        ("blocked_prompt", "prompt"),
        ("hang", "all"),
        ("cut", "all"),
    ],
)
def test_what_a_failure_costs(fault: str, part: str, fake_gemini: FakeGemini) -> None:
    fake_gemini.fault(fault)
    options = {"max_output_tokens": "1000", "timeout": "0.3"}
    with pytest.raises(GemxError) as caught:
        call(request("x" * 200), policy(flags={"tries": 1, "options": options}))
    reserved = {"none": Decimal(0), "prompt": 100 * IN, "all": 100 * IN + 1000 * OUT}[part]
    assert spent() == reserved
    assert bill.total(caught.value.attempts) == (None if part == "all" else reserved)


def test_a_failure_costs_what_its_tokens_cost_where_they_were_counted(fake_gemini: FakeGemini) -> None:
    fake_gemini.fault("max_tokens_no_text")
    with pytest.raises(GemxError) as caught:
        call(request(), policy())
    assert bill.total(caught.value.attempts) == spent() == 12 * IN + 64 * OUT


def test_each_try_and_each_fallback_is_paid_for(fake_gemini: FakeGemini) -> None:
    fake_gemini.fault("cut")
    fake_gemini.reply_text("ok", **usage(100, 10))
    flags = {"options": {"max_output_tokens": "100"}}
    reply = call(request("x" * 200), policy(flags=flags))
    assert bill.total(reply.attempts) is None
    assert spent() == (100 * IN + 100 * OUT) + (100 * IN + 10 * OUT)


def test_an_interrupted_call_counts_as_spent(fake_gemini: FakeGemini) -> None:
    def interrupt(text: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        call(request("x" * 200), policy(flags={"options": {"max_output_tokens": "10"}}), on_text=interrupt)
    assert spent() == 100 * IN + 10 * OUT


def test_local_calls_cost_nothing_and_open_no_ledger(monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeOpenAI() as server:
        monkeypatch.setenv("LLM_BASE_URL", server.endpoint_url)
        reply = call(request(), policy("openai:local", budget={"daily": 0.01}, flags={"max_cost": 0.000001}))
        assert "max_tokens" not in server.last.body
    assert bill.total(reply.attempts) == 0
    assert bill.table(reply.attempts) is None
    assert audit()[0]["gemx.cost_usd"] == 0
    assert not store.exists()


def test_an_endpoint_has_the_price_that_the_user_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    places.ensure_private_dir(places.config_dir())
    places.prices_file().write_text(PRICES)
    with FakeOpenAI() as server:
        # a loopback server that stands for one far away
        monkeypatch.setattr("gemx.providers.openai_compatible._is_loopback", lambda host: False)
        endpoints = {"nuvem": {"base_url": server.endpoint_url, "model": "grande"}}
        server.fault(
            "raw",
            body=b"""{"model": "grande", "choices": [{"message": {"content": "ok"},
            "finish_reason": "stop"}], "usage": {"prompt_tokens": 100, "completion_tokens": 10}}""",
        )
        reply = call(request(), policy("openai:nuvem", endpoints=endpoints, budget={"daily": 5}))
    assert bill.total(reply.attempts) == spent() == Decimal("0.0012")
    assert "+user." in (bill.table(reply.attempts) or "")


def test_service_tiers_and_sound_have_their_prices(fake_gemini: FakeGemini) -> None:
    fake_gemini.reply_text("ok", **usage(1000, 100))
    reply = call(request(), policy(flags={"options": {"service_tier": "flex"}}))
    assert str(fake_gemini.last.body["serviceTier"]).lower().endswith("flex")
    assert bill.total(reply.attempts) == (1000 * IN + 100 * OUT) / 2
    assert audit()[0]["gemx.service_tier"] == "flex"
    sound = Message("user", (Media(b"1" * 3000, "audio/wav", "a.wav"), Text("Transcreva")))
    fake_gemini.reply_text("ok", modelVersion="gemini-3.1-flash-lite", usageMetadata={"promptTokenCount": 1000})
    reply = call(request(messages=(sound,)), policy("gemini:gemini-3.1-flash-lite"))
    assert bill.total(reply.attempts) is None  # tokens of output are not known
    fake_gemini.reply_text("ok", **{**usage(1000, 100), "modelVersion": "gemini-3.1-flash-lite"})
    reply = call(request(messages=(sound,)), policy("gemini:gemini-3.1-flash-lite"))
    assert bill.total(reply.attempts) == Decimal("0.0005") + Decimal("0.00015")


def test_embeddings_are_paid_for(fake_gemini: FakeGemini) -> None:
    found = embed(["a" * 100, "b" * 100], policy("gemini:gemini-embedding-001", budget={"daily": 1}), ORIGIN)
    assert len(found.vectors) == 2
    assert len(found.attempts) == 1


def test_an_answer_is_not_lost_over_its_bookkeeping(fake_gemini: FakeGemini, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: object, cost: Decimal) -> None:
        raise StorageError("the disk is full")

    monkeypatch.setattr(budget.Reservation, "settle", full)
    heard = Listener()
    assert call(request(), policy(listener=heard)).text == "ok"
    assert heard.warnings == ["the spending could not be recorded: the disk is full"]


def test_a_request_without_time_left_is_not_sent_and_costs_nothing(fake_gemini: FakeGemini, virtual: Any) -> None:
    asked = policy(flags={"timeout": 5}, budget={"daily": 5})
    virtual.sleep(6)
    with pytest.raises(TimeoutExceededError, match="the time is over before it was sent"):
        call(request(), asked)
    assert (fake_gemini.requests, spent()) == ([], 0)
    assert [(record["kind"], record["error.type"]) for record in audit()] == [("refusal", "timeout")]


@pytest.mark.parametrize("fault", ["invalid_body", "error_in_stream"])
def test_a_broken_answer_may_have_been_billed(fault: str, fake_gemini: FakeGemini) -> None:
    fake_gemini.fault(fault)
    flags = {"tries": 1, "options": {"max_output_tokens": "100"}}
    with pytest.raises(GemxError) as caught:
        call(request("x" * 200), policy(flags=flags), on_text=lambda text: None)
    assert spent() == 100 * IN + 100 * OUT
    assert bill.total(caught.value.attempts) is None


def test_what_was_not_sent_costs_nothing_and_what_is_not_known_is_told_apart(fake_gemini: FakeGemini) -> None:
    refused = policy(flags={"max_cost": 0.000001, "fallback": ["extractive"]})
    reply = call(request(), refused)
    assert [attempt.cost for attempt in reply.attempts] == [0, 0]
    assert (bill.total(reply.attempts), bill.table(reply.attempts)) == (0, None)
    fake_gemini.fault("cut")
    fake_gemini.reply_text("ok", **usage(100, 10))
    reply = call(request(), policy())
    assert bill.total(reply.attempts) is None
    assert bill.at_least(reply.attempts) == 100 * IN + 10 * OUT


def test_tokens_of_all_tries_are_counted(fake_gemini: FakeGemini) -> None:
    for _ in range(2):
        fake_gemini.reply_text("wrong", **usage(100, 10))
    reply = structured(request(), policy(), lambda text: (text, ["wrong"]), 1)
    assert (bill.usage(reply.attempts).input_tokens, bill.usage(reply.attempts).output_tokens) == (200, 20)


def test_a_rate_without_output_pays_for_no_text(fake_gemini: FakeGemini) -> None:
    places.ensure_private_dir(places.config_dir())
    places.prices_file().write_text(
        PRICES.replace("openai:nuvem/grande", "gemini:so-entrada").replace(", output: 20", "")
    )
    with pytest.raises(BudgetError, match="has no price"):
        call(request(), policy("gemini:so-entrada", budget={"daily": 5}))
    assert fake_gemini.requests == []


@pytest.mark.parametrize("left", [0.000001, 0.0005])
def test_a_cap_that_leaves_next_to_no_output_refuses(left: float, fake_gemini: FakeGemini) -> None:
    with pytest.raises(BudgetError):
        call(request(), policy(flags={"max_cost": left}))
    assert fake_gemini.requests == []


def test_bookkeeping_that_fails_loses_no_answer_and_settles_once(
    fake_gemini: FakeGemini, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: object, tokens: int | None) -> None:
        raise StorageError("the disk is full")

    monkeypatch.setattr(limiter.Slot, "settle", full)
    fake_gemini.reply_text("ok", **usage(100, 10))
    heard = Listener()
    reply = call(request(), policy(listener=heard, limits={"gemini": {"tpm": 1000}}))
    assert (reply.text, spent()) == ("ok", 100 * IN + 10 * OUT)
    assert heard.warnings == ["what a minute holds could not be recorded: the disk is full"]


def test_an_answer_that_was_paid_for_is_not_paid_for_again(
    fake_gemini: FakeGemini, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(self: object, tokens: int | None) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(limiter.Slot, "settle", stop)
    fake_gemini.reply_text("ok", **usage(100, 10))
    with pytest.raises(KeyboardInterrupt):
        call(request(), policy())
    assert spent() == 100 * IN + 10 * OUT
