"""The rules of `stats check`: what fires, what is too little to judge, and when an alert is armed again."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gemx.audit import alerts
from gemx.audit.alerts import Fired, Judged, Rise, Rules, Share, Spent
from gemx.audit.figures import PICODOLLARS, Cell, Figures, Group, counted

NOW = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
RISE = Rules(cost_per_message=Rise(0.2, 30))


def cell(calls: int = 0, each: float = 0.01, **counts: Any) -> Cell:
    """So many calls, a message each, at so many dollars."""
    given = {"calls": calls, "messages": calls, "cost": round(calls * each * PICODOLLARS), **counts}
    return Cell(**{"prices": {"2026-11-01": calls}, **given})


def figures(*days: Cell | list[tuple[str, Cell]], hour: int = 0) -> Figures:
    """Of the last 24 hours and of the days before, each in one hour of it: `hour` hours ago."""
    found: dict[tuple[str, Group], Cell] = {}
    for back, day in enumerate(days):
        slot = f"{NOW - timedelta(days=back, hours=hour):%Y-%m-%dT%H}"
        for automation, each in day if isinstance(day, list) else [("", day)]:
            found[slot, Group("auto run", "gemini:gemini-3.8-flash", automation, "", "ana")] = each
    return Figures(found)


def judged(found: Figures, rules: Rules = RISE, *spent: Spent) -> dict[str, Judged]:
    return {each.key: each for each in alerts.judge(found, rules, spent, NOW)}


def verdict(found: Figures, rules: Rules = RISE, key: str = "cost_per_message") -> str:
    return judged(found, rules)[key].verdict


@pytest.mark.parametrize(
    ("costs", "said"),
    [
        ((0.012, 0.01, 0.01), "fires"),
        ((0.0119, 0.01, 0.01), "between"),
        ((0.0109, 0.01, 0.01), "quiet"),
        ((0.008, 0.01, 0.01), "quiet"),
        ((0.012, 0.01, 0.012, 0.012), "quiet"),  # above the day before, and not above what is usual
        ((0.012, 0.012, 0.01, 0.01), "quiet"),  # above what is usual, and not above the day before
        ((0.01, 0.0, 0.0), "fires"),
        ((0.0, 0.0, 0.0), "quiet"),
    ],
)
@pytest.mark.parametrize("hour", [0, 23])
def test_a_rise_of_the_cost_is_above_the_day_before_and_the_median(
    costs: tuple[float, ...], said: str, hour: int
) -> None:
    assert verdict(figures(*(cell(40, each) for each in costs), hour=hour)) == said


def test_what_a_rise_says() -> None:
    before = cell(40, 0.01, input_tokens=40_000)
    again = {"messages": 50, "cost": round(50 * 0.0134 * PICODOLLARS), "unpriced": 1, "failures": {"timeout": 1}}
    now = cell(51, input_tokens=80_000, prices={"2026-11-20": 50}, **again)
    found = judged(figures(now, before, before, cell(40, 0.011)))["cost_per_message"]
    assert found.message == (
        "cost per message: 0.0134 USD in the last 24 h (50 messages), 34% above the day before (0.01 USD), "
        "34% above the 7-day median (0.01 USD); the price table changed: 2026-11-01 → 2026-11-20; "
        "tokens in per message 1,000.0 → 1,600.0; the cost of 1 failed call is not known and not in it"
    )
    assert (found.value, found.bound) == (pytest.approx(0.0134), pytest.approx(0.012))


@pytest.mark.parametrize(("now", "before"), [(29, 40), (40, 29), (0, 0)])
def test_with_too_few_messages_nothing_is_judged(now: int, before: int) -> None:
    found = judged(figures(cell(now, 1.0), cell(before, 0.01)))["cost_per_message"]
    assert found.verdict == "unjudged"
    assert "fewer than 30" in found.message
    assert found.value is None


def test_a_day_with_too_few_messages_is_not_in_the_median() -> None:
    days = [cell(40, 0.012), cell(40, 0.01), *[cell(5, 9.0)] * 6]
    assert verdict(figures(*days)) == "fires"


def test_messages_that_only_failed_do_not_make_a_day_cheap() -> None:
    """The day after an outage costs what a day costs."""
    outage = cell(80, 0.005, unpriced=40, failures={"timeout": 40})
    assert verdict(figures(cell(40, 0.01), outage)) == "quiet"
    assert verdict(figures(cell(80, 0.01, unpriced=40, failures={"timeout": 40}), cell(40, 0.01))) == "fires"
    found = judged(figures(cell(40, 0.01), cell(40, 0.0, unpriced=40, failures={"timeout": 40})))["cost_per_message"]
    assert found.verdict == "unjudged"
    assert "0 messages of known cost in the 24 h before" in found.message


def test_an_unknown_price_is_an_alert_and_no_cost_of_nought() -> None:
    found = judged(figures(cell(40, 0.0, unpriced=40, without_price=40), cell(40, 0.01)))
    assert found["cost_per_message"].verdict == "unjudged"
    unknown = found["cost_per_message:unpriced"]
    assert unknown.verdict == "fires"
    assert unknown.message.startswith("40 answered calls of the last 24 h without a price: gemini:gemini-3.8-flash;")
    assert verdict(figures(cell(40), cell(40, without_price=1))) == "unjudged"


def test_each_work_is_judged_by_itself() -> None:
    days = [[("sepse_bundle", cell(40, dear)), ("ira_aki", cell(400, 0.01))] for dear in (0.02, 0.01, 0.01)]
    found = {key: each.verdict for key, each in judged(figures(*days)).items()}
    assert found == {
        "cost_per_message": "quiet",
        "cost_per_message:unpriced": "quiet",
        "cost_per_message:ira_aki": "quiet",
        "cost_per_message:sepse_bundle": "fires",
    }


@pytest.mark.parametrize(
    ("seconds", "count", "said"),
    [(20.2, 20, "fires"), (19, 20, "between"), (17, 20, "quiet"), (99, 19, "unjudged"), (1, 0, "unjudged")],
)
def test_p95(seconds: float, count: int, said: str) -> None:
    found = figures(cell(count, latency=dict(counted([seconds] * count))))
    assert verdict(found, Rules(p95_seconds=20), "p95_seconds") == said


@pytest.mark.parametrize(
    ("part", "whole", "said"),
    [(3, 20, "fires"), (2, 20, "between"), (1, 20, "quiet"), (19, 19, "unjudged"), (0, 0, "unjudged")],
)
def test_shares(part: int, whole: int, said: str) -> None:
    found = figures(cell(whole, failures={"timeout": part}, answers=whole, verified=whole - part))
    rules = Rules(failure_rate=Share(0.1, 20), verification_failures=Share(0.1, 20))
    assert verdict(found, rules, "failure_rate") == said
    assert verdict(found, rules, "verification_failures") == said


def test_the_last_24_hours_are_no_more() -> None:
    rules = Rules(failure_rate=Share(0.1, 20))
    bad = cell(20, failures={"timeout": 20})
    assert verdict(figures(bad, hour=23), rules, "failure_rate") == "fires"
    assert verdict(figures(bad, hour=24), rules, "failure_rate") == "unjudged"


@pytest.mark.parametrize(("dollars", "said"), [(8.0, "fires"), (7.9, "between"), (7.1, "quiet"), (12.0, "fires")])
def test_the_budget(dollars: float, said: str) -> None:
    found = judged(Figures(), Rules(budget=0.8), Spent("daily", "2026-11-20", dollars, 10.0))
    assert found["budget:daily 2026-11-20"].verdict == said


def test_only_the_rules_that_are_set_are_judged() -> None:
    assert judged(Figures(), Rules()) == {}
    assert not Rules().any
    assert Rules(budget=0.5).any


def test_an_alert_fires_once_and_again_after_it_was_over() -> None:
    def step(said: Any, state: Any, hours: int = 0) -> tuple[int, Any]:
        new, after = alerts.advance(state, [Judged("a", said, "x")], NOW + timedelta(hours=hours))
        return len(new), after

    fired, state = step("fires", {})
    assert (fired, state) == (1, {"a": Fired("2026-11-20T15:30:00+00:00", "x")})
    for still in ("fires", "between", "unjudged", "fires"):
        fired, state = step(still, state)
        assert (fired, [*state]) == (0, ["a"])
    fired, state = step("quiet", state)
    assert (fired, state) == (0, {})
    fired, state = step("between", state)
    assert (fired, state) == (0, {})
    assert step("fires", state)[0] == 1
    # What nobody judges any more, such as the budget of a day, is forgotten.
    _, old = step("fires", {})
    assert alerts.advance(old, [], NOW + timedelta(days=31)) == ([], {})


def test_the_state_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "state" / "alerts.json"
    state = {"failure_rate": Fired(NOW.isoformat(), "é 10%", ("webhook",))}
    alerts.write_state(path, state)
    assert alerts.read_state(path) == state
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"fired": 1}', '{"fired": {"a": 1}}', '{"fired": {"a": {"since": "x", "message": ""}}}'],
)
def test_a_damaged_state_counts_as_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "alerts.json"
    assert alerts.read_state(path) == {}
    path.write_text(text)
    assert alerts.read_state(path) == {}
    path.write_text(json.dumps({"fired": {}}))
    assert alerts.read_state(path) == {}
