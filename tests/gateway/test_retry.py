"""When the door tries again, after exactly which wait, and when it does not: on a virtual clock."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fake_gemini import FakeGemini
from fake_openai import FakeOpenAI
from gateway_calls import MODEL, Listener, audit, policy, request
from gemx.errors import GemxError, QuotaError, RateLimitError, TemporaryError, TimeoutExceededError
from gemx.gateway import call, retry
from gemx.settings import RetryConfig
from virtual_clock import VirtualClock

LONG = {"timeout": 3600}


@pytest.fixture
def least_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry.random, "uniform", lambda low, high: low)


@pytest.fixture
def most_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry.random, "uniform", lambda low, high: high)


@pytest.mark.parametrize(
    ("body", "header", "seconds"),
    [
        ("58.9s", None, 58.9),
        (None, "58.9", 58.9),
        ("58.9s", "58.9", 58.9),
        ("58.9s", "12", 58.9),
        ("12s", "58.9", 58.9),
        ("1.25s", None, 1.25),
        ("299s", None, 299.0),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.usefixtures("least_jitter")
def test_the_wait_that_was_asked_for_is_kept_exactly(
    body: str | None,
    header: str | None,
    seconds: float,
    status: int,
    fake_gemini: FakeGemini,
    virtual_clock: VirtualClock,
) -> None:
    fake_gemini.fault("rate_limit", delay=body, header=header, status=status)
    heard = Listener()
    reply = call(request(), policy(flags=LONG, listener=heard))
    assert reply.text == "ok"
    assert sum(virtual_clock.sleeps) == pytest.approx(seconds, abs=1e-6)
    assert virtual_clock.elapsed == pytest.approx(seconds, abs=1e-6)
    assert [attempt.error for attempt in reply.attempts] == ["rate_limit", None]
    assert [record.get("error.type") for record in audit()] == ["rate_limit", None]
    assert [record["gemx.try"] for record in audit()] == [1, 2]
    # a countdown: the whole wait first, then whole seconds down to one
    told = [left for left, _ in heard.waits]
    assert told[0] == pytest.approx(seconds)
    assert [round(left, 6) for left in told[1:]] == [float(left) for left in range(math.ceil(seconds) - 1, 0, -1)]
    assert heard.waits[0][1] == f"{MODEL} rate_limit, before try 2 of 5"
    assert heard.ended == 1


@pytest.mark.usefixtures("most_jitter")
def test_the_backoff_wins_where_it_is_greater(fake_gemini: FakeGemini, virtual_clock: VirtualClock) -> None:
    for _ in range(4):
        fake_gemini.fault("rate_limit", delay="2.5s")
    assert call(request(), policy(flags=LONG)).text == "ok"
    # backoff of 1, 2, 4 and 8 s against 2.5 s
    assert virtual_clock.elapsed == pytest.approx(2.5 + 2.5 + 4 + 8)


@pytest.mark.usefixtures("most_jitter")
def test_backoff_doubles_to_its_longest(fake_gemini: FakeGemini, virtual_clock: VirtualClock) -> None:
    fake_gemini.always("unavailable")
    with pytest.raises(TemporaryError) as caught:
        call(request(), policy(flags=LONG, retry={"max_attempts": 6, "max_interval": 6}))
    assert virtual_clock.elapsed == pytest.approx(1 + 2 + 4 + 6 + 6)
    assert len(caught.value.attempts) == len(fake_gemini.requests) == len(audit()) == 6


def test_jitter_is_full() -> None:
    tries = [retry.Tries(RetryConfig(), deadline=float("inf")) for _ in range(300)]
    waits = sorted(wait for each in tries if (wait := each.wait_after(TemporaryError("x"))) is not None)
    assert len(waits) == 300
    assert 0 <= waits[0] < 0.1
    assert 0.9 < waits[-1] <= 1


@pytest.mark.parametrize("fault", ["daily_quota", "no_quota"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_used_up_quota_stops_at_once(
    fault: str, stream: bool, fake_gemini: FakeGemini, virtual_clock: VirtualClock
) -> None:
    fake_gemini.always(fault)
    with pytest.raises(QuotaError) as caught:
        call(request(), policy(flags=LONG, timezone="America/Sao_Paulo"), on_text=print if stream else None)
    assert (len(fake_gemini.requests), virtual_clock.sleeps, caught.value.exit_code) == (1, [], 8)
    (record,) = audit()
    assert (record["error.type"], record["kind"]) == ("quota", "attempt")
    if fault == "daily_quota":
        local = caught.value.ends.astimezone() if caught.value.ends is None else caught.value.ends
        assert timedelta(0) < local - datetime.now(UTC) <= timedelta(hours=25)
        # midnight in California is 4 or 5 in the morning in São Paulo
        assert "full again at " in (caught.value.hint or "")
        assert any(hour in (caught.value.hint or "") for hour in (" 04:00 -03", " 05:00 -03"))


def test_a_wait_of_more_than_five_minutes_is_no_wait(fake_gemini: FakeGemini, virtual_clock: VirtualClock) -> None:
    fake_gemini.always("rate_limit", delay="301s")
    with pytest.raises(RateLimitError) as caught:
        call(request(), policy(flags={"timeout": 86_000}))
    assert (len(fake_gemini.requests), virtual_clock.sleeps) == (1, [])
    assert "asks to wait 301 s" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("flags", "rules"), [({"timeout": 50}, {}), ({"timeout": 500}, {"max_elapsed": 50}), ({"timeout": 53.5}, {})]
)
def test_a_wait_beyond_the_time_that_is_left_is_not_begun(
    flags: dict[str, Any], rules: dict[str, Any], fake_gemini: FakeGemini, virtual_clock: VirtualClock
) -> None:
    fake_gemini.always("rate_limit", delay="53.5s")
    with pytest.raises(RateLimitError) as caught:
        call(request(), policy(flags=flags, retry=rules))
    assert (len(fake_gemini.requests), virtual_clock.sleeps) == (1, [])
    assert "53.5 s" in (caught.value.hint or "")


@pytest.mark.parametrize(
    "fault",
    ["api_key_invalid", "unauthorized", "forbidden", "not_found", "bad_request", "too_long", "blocked", "empty"],
)
def test_what_would_fail_again_is_not_tried_again(
    fault: str, fake_gemini: FakeGemini, virtual_clock: VirtualClock
) -> None:
    fake_gemini.always(fault)
    with pytest.raises(GemxError) as caught:
        call(request(), policy(flags=LONG))
    assert (len(fake_gemini.requests), virtual_clock.sleeps) == (1, [])
    assert caught.value.exit_code == 5


@pytest.mark.parametrize("fault", ["internal", "unavailable", "deadline", "reset", "cut"])
@pytest.mark.parametrize("stream", [False, True])
def test_what_may_pass_is_tried_again_unless_text_was_shown(
    fault: str, stream: bool, fake_gemini: FakeGemini, virtual_clock: VirtualClock
) -> None:
    fake_gemini.fault(fault)
    shown: list[str] = []
    if stream and fault == "cut":
        with pytest.raises(TemporaryError):
            call(request(), policy(flags=LONG), on_text=shown.append)
        assert shown == ["the first half"]
        assert len(fake_gemini.requests) == 1
        return
    assert call(request(), policy(flags=LONG), on_text=shown.append if stream else None).text == "ok"
    assert len(fake_gemini.requests) == 2
    assert virtual_clock.elapsed <= 1


@pytest.mark.parametrize("stream", [False, True])
def test_each_try_has_its_own_timeout_and_all_of_them_one(stream: bool, fake_gemini: FakeGemini) -> None:
    fake_gemini.fault("hang")
    fake_gemini.fault("half_closed" if not stream else "hang")
    flags = {"timeout": 20, "options": {"timeout": "0.2"}}
    rules = {"initial": 0.01, "max_interval": 0.01}
    reply = call(request(), policy(flags=flags, retry=rules), on_text=(lambda text: None) if stream else None)
    assert [attempt.error for attempt in reply.attempts] == ["timeout", "timeout", None]
    fake_gemini.always("hang")
    with pytest.raises(TimeoutExceededError) as caught:
        call(request(), policy(flags={"timeout": 0.5}, retry=rules), on_text=(lambda text: None) if stream else None)
    assert len(caught.value.attempts) == 1
    assert sum(attempt.duration for attempt in caught.value.attempts) < 2


@pytest.mark.usefixtures("least_jitter")
def test_an_endpoint_is_waited_for_as_its_header_or_its_body_says(
    monkeypatch: pytest.MonkeyPatch, virtual_clock: VirtualClock
) -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "58.9s"}]
    body = b'{"error": {"message": "slow down", "code": 429, "details": %s}}' % str(details).replace("'", '"').encode()
    with FakeOpenAI() as server:
        monkeypatch.setenv("LLM_BASE_URL", server.endpoint_url)
        server.fault("rate_limit")
        server.fault("raw", body=body, status=429)
        assert call(request(), policy("openai:local", flags=LONG)).text == "ok"
    assert virtual_clock.elapsed == pytest.approx(7 + 58.9)


def test_tries_of_a_flag_win(fake_gemini: FakeGemini, virtual_clock: VirtualClock) -> None:
    fake_gemini.always("unavailable")
    with pytest.raises(TemporaryError):
        call(request(), policy(flags={**LONG, "tries": 2}, retry={"max_attempts": 9}))
    assert len(fake_gemini.requests) == 2


def test_what_a_server_asks_for_holds_up_no_other_command_for_days(
    fake_gemini: FakeGemini, virtual_clock: VirtualClock
) -> None:
    fake_gemini.fault("rate_limit", delay=None, header="999999")
    with pytest.raises(RateLimitError):
        call(request(), policy(flags={"timeout": 86_000}))
    assert call(request(), policy(flags=LONG)).text == "ok"
    assert virtual_clock.elapsed <= 301


def test_a_minutes_quota_is_not_taken_for_a_used_up_one(
    monkeypatch: pytest.MonkeyPatch, virtual_clock: VirtualClock
) -> None:
    details = '[{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "31s"}]'
    error = f'{{"error": {{"code": 429, "message": "You exceeded your current quota", "details": {details}}}}}'
    with FakeOpenAI() as server:
        monkeypatch.setenv("LLM_BASE_URL", server.endpoint_url)
        for body in (error, f"[{error}]"):
            server.fault("raw", body=body.encode(), status=429)
        assert call(request(), policy("openai:local", flags=LONG)).text == "ok"
    assert 62 <= virtual_clock.elapsed < 64


def test_a_timeout_keeps_its_own_words(fake_gemini: FakeGemini) -> None:
    fake_gemini.always("hang")
    with pytest.raises(TimeoutExceededError) as caught:
        call(request(), policy(flags={"timeout": 0.3}))
    assert "asked" not in (caught.value.hint or "")
    assert "next try" not in (caught.value.hint or "")


def test_a_request_above_a_minutes_tokens_is_a_refusal(fake_gemini: FakeGemini) -> None:
    with pytest.raises(GemxError, match=r"the limit of gemini:gemini-3\.8-flash is 10 a minute") as caught:
        call(request("x" * 400), policy(limits={"gemini": {"tpm": 10}}))
    assert (caught.value.exit_code, fake_gemini.requests) == (5, [])
    assert [(record["kind"], record["error.type"]) for record in audit()] == [("refusal", "invalid_request")]
