"""What a day file adds up to, exactly, whatever stands between its records."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from figure_log import DAMAGED, Record, added, attempt, failure, line, mixed, refusal, result, write
from gemx.audit import tally
from gemx.audit.figures import Cell, Figures, Group, Total, counted, percentile, seconds_of, slot_of

START = datetime(2026, 11, 20, 3, 10, tzinfo=UTC)
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
EXACT = (
    *("calls", "messages", "input_tokens", "cached_tokens", "output_tokens", "unpriced", "retries", "fallbacks"),
    *("failures", "refusals", "answers", "repairs", "verified", "findings"),
)


def tallied(tmp_path: Path, lines: list[Record | bytes], by: Any = "day", zone: Any = UTC) -> tally.Tally:
    return tally.tally(write(lines, "2026-11-20", tmp_path), by, zone)


def total(found: tally.Tally) -> Total:
    return Total([cell for _, _, cell in found.cells])


def check(found: tally.Tally, records: list[Record]) -> None:
    said, expected = total(found), added(records)
    assert {name: getattr(said, name) for name in EXACT} == {name: expected[name] for name in EXACT}
    assert round(said.dollars, 6) == expected["dollars"]
    assert sum(said.latency.values()) == len(expected["times"])
    for share in (0.5, 0.95, 0.99):
        exact = expected["times"][max(0, -(-len(expected["times"]) * int(share * 100) // 100) - 1)]
        assert percentile(said.latency, share) == pytest.approx(exact, rel=1 / 128)


def test_records_of_every_kind_are_counted(tmp_path: Path) -> None:
    records = [*mixed(4000, START)]
    found = tallied(tmp_path, [*records])
    check(found, records)
    assert (found.lines, found.passed_over, found.others) == (4000, 0, 0)


@pytest.mark.parametrize("size", [4000, pytest.param(200_000, marks=pytest.mark.soak)])
def test_damaged_and_foreign_lines_are_passed_over_and_counted(tmp_path: Path, size: int) -> None:
    records = [*mixed(size, START)]
    chance = random.Random(3)
    bad = [chance.choice(DAMAGED) for _ in range(max(len(DAMAGED) * 4, size // 10))]
    lines: list[Record | bytes] = [*records, *bad]
    chance.shuffle(lines)
    found = tallied(tmp_path, lines)
    check(found, records)
    assert (found.lines, found.passed_over, found.others) == (size + len(bad), len(bad), 0)


@pytest.mark.parametrize("bad", DAMAGED, ids=lambda bad: repr(bad[:60]))
def test_each_of_them_costs_itself_alone(tmp_path: Path, bad: bytes) -> None:
    found = tallied(tmp_path, [attempt(START), bad, attempt(NOON, run_id="b")])
    assert (total(found).calls, found.lines, found.passed_over) == (2, 3, 1)


def test_two_records_on_a_line_and_one_on_two_are_no_records(tmp_path: Path) -> None:
    # As many values as there are lines: what reads values, and no lines, would count them.
    one = line(attempt(START))
    found = tallied(tmp_path, [one + one, b"", one.replace(b",", b",\n", 1), one])
    assert (total(found).calls, found.lines, found.passed_over) == (1, 5, 4)


def test_a_line_that_was_cut_is_passed_over_and_a_whole_one_without_its_end_is_not(tmp_path: Path) -> None:
    path = write([attempt(START)], "2026-11-20", tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:-1])
    assert tally.tally(path, "day", UTC).passed_over == 0
    path.write_bytes(whole + whole[:-20])
    found = tally.tally(path, "day", UTC)
    assert (total(found).calls, found.lines, found.passed_over) == (1, 2, 1)


def test_a_name_that_is_not_utf_8_costs_no_record(tmp_path: Path) -> None:
    strange = attempt(START, **{"gen_ai.request.model": "/m/caf\udce9.gguf", "gemx.route": "gguf"})
    assert b"\\udce9" in line(strange)
    found = tallied(tmp_path, [strange, attempt(START, **{"gemx.step": "\udce9"})])
    assert (total(found).calls, found.passed_over) == (2, 0)
    assert {group.model for _, group, _ in found.cells} == {"gguf:/m/caf�.gguf", "gemini:gemini-3.8-flash"}


def test_deeds_on_the_log_are_no_calls_and_no_damage(tmp_path: Path) -> None:
    deeds: list[Record | bytes] = [attempt(START, kind=kind) for kind in ("prune", "erase", "later")]
    found = tallied(tmp_path, [*deeds, attempt(START)])
    assert (total(found).calls, found.others, found.passed_over) == (1, 3, 0)


def test_what_is_a_retry_a_fallback_a_refusal_and_a_message(tmp_path: Path) -> None:
    found = tallied(
        tmp_path,
        [
            failure(START, "rate_limit", run_id="a"),
            failure(START, "timeout", run_id="a", **{"gemx.try": 2}),
            attempt(START, run_id="a", **{"gemx.fallback_from": "gemini:gemini-3.8-flash", "gemx.cost_usd": 0.5}),
            refusal(START, "privacy", run_id="b"),
            attempt(START, run_id="c", **{"gemx.item": "1", "gemx.cost_usd": None}),
            attempt(START, run_id="c", **{"gemx.item": "2"}),
            attempt(START, run_id="c", **{"gemx.item": "2"}),
        ],
    )
    said = total(found)
    assert (said.calls, said.messages, said.failed, said.refused) == (6, 3, 2, 1)
    assert (said.retries, said.fallbacks) == (1, 1)
    assert (said.unpriced, said.without_price, said.dollars) == (3, 1, 0.52)


def test_a_verification_counts_by_answer_and_its_model_is_that_of_the_call(tmp_path: Path) -> None:
    called = attempt(START, command="auto run", **{"gemx.automation": "sepse_bundle"})
    rounds = [
        result(START, "error dose.maximum"),
        result(START, **{"gemx.round": 1}),
        result(START, "error dose.maximum", "warning text.short", run_id="b"),
        result(START, run_id="c", **{"gen_ai.response.model": None, "command": "auto verify"}),
    ]
    found = tallied(tmp_path, [called, *rounds])
    said = total(found)
    assert (said.answers, said.verified, said.unverified, said.repairs) == (3, 2, 1, 1)
    assert said.findings == {"error dose.maximum": 2, "warning text.short": 1}
    by = {(group.command, group.model): cell.answers for _, group, cell in found.cells}
    assert by == {("auto run", "gemini:gemini-3.8-flash"): 2, ("auto verify", ""): 1}


def test_imported_calls_count_at_their_own_time(tmp_path: Path) -> None:
    old = {"kind": "import", "gemx.time": "2025-01-02T10:00:00.000Z", "gemx.route": None, "gemx.cost_usd": None}
    lines: list[Record | bytes] = [
        attempt(START, **old),
        attempt(START, **old),
        attempt(START, **{**old, "gemx.status": "error", "error.type": None}),
        attempt(START, **{**old, "gemx.time": None}),
        attempt(START, **{**old, "gen_ai.request.model": None}),
        attempt(START, **{**old, "gemx.time": "2025-01-03T10:00:00.000Z"}),
    ]
    found = tallied(tmp_path, lines)
    by = {slot: (cell.calls, cell.messages, cell.imported) for slot, _, cell in found.cells}
    assert by == {"2025-01-02": (3, 3, 3), "2025-01-03": (1, 1, 1)}
    assert total(found).failures == {"unknown": 1}
    assert (found.others, found.passed_over) == (2, 0)


@pytest.mark.parametrize(
    ("zone", "days"),
    [
        ("UTC", ["2026-11-20"]),
        ("America/Sao_Paulo", ["2026-11-19", "2026-11-20"]),
        ("Asia/Kolkata", ["2026-11-20", "2026-11-21"]),
    ],
)
def test_days_are_those_of_the_zone_to_the_minute(tmp_path: Path, zone: str, days: list[str]) -> None:
    times = ("00:00", "02:59", "03:00", "18:29", "18:30", "23:59")
    records: list[Record | bytes] = [attempt(f"2026-11-20T{time}:00.000Z", run_id=time) for time in times]
    found = tallied(tmp_path, records, zone=ZoneInfo(zone))
    by = {slot: cell.calls for slot, _, cell in found.cells}
    before = {"UTC": 6, "America/Sao_Paulo": 2, "Asia/Kolkata": 4}[zone]
    assert by == {days[0]: before, **({days[1]: 6 - before} if days[1:] else {})}
    hours = {slot for slot, _, _ in tallied(tmp_path, records, "hour", ZoneInfo(zone)).cells}
    assert hours == {"2026-11-20T00", "2026-11-20T02", "2026-11-20T03", "2026-11-20T18", "2026-11-20T23"}


def test_times_at_the_ends_of_the_calendar_are_no_error() -> None:
    for moment in (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)):
        for zone in ("America/Sao_Paulo", "Pacific/Kiritimati"):
            assert slot_of(moment, "day", ZoneInfo(zone))[:4] in ("0001", "9999")


@given(st.lists(st.floats(min_value=0.0001, max_value=1e6), min_size=1), st.sampled_from([0.5, 0.95, 0.99, 1.0]))
def test_a_percentile_is_within_a_bucket_of_the_nearest_rank(times: list[float], share: float) -> None:
    exact = sorted(times)[max(0, -(-len(times) * round(share * 100) // 100) - 1)]
    assert percentile(counted(times), share) == pytest.approx(exact, rel=1 / 128)


def test_buckets_are_no_wider_than_said() -> None:
    for bucket in range(0x3800, 0x4900):
        assert seconds_of(bucket) < seconds_of(bucket + 1) <= seconds_of(bucket) * 1.0079
    assert percentile({}, 0.5) is None
    assert percentile(counted([0.0, 0.0]), 0.99) == 0.0


def test_figures_are_chosen_and_grouped() -> None:
    def cell(calls: int) -> Cell:
        return Cell(calls=calls, failures={"timeout": 1})

    flash, pro = "gemini:gemini-3.8-flash", "gemini:gemini-3.8-pro"
    figures = Figures(
        {
            ("2026-11-20", Group("gen", flash, "", "", "ana")): cell(1),
            ("2026-11-21", Group("auto run", flash, "sepse_bundle", "", "ana")): cell(2),
            ("2026-11-22", Group("flow run", pro, "sepse_bundle", "lote", "bia")): cell(4),
        },
        passed_over=7,
    )
    assert [*figures.by("slot")] == ["2026-11-20", "2026-11-21", "2026-11-22"]
    assert {name: each.calls for name, each in figures.by("model").items()} == {pro: 4, flash: 3}
    assert [*figures.by("user")] == ["bia", "ana"]
    work = figures.grouped(lambda _, group: group.work)
    assert {name: each.calls for name, each in work.items()} == {"gen": 1, "sepse_bundle": 2, "lote": 4}
    part = figures.where("2026-11-21", "2026-11-22", "gemini-3.8-flash")
    assert (part.total().calls, part.total().failed, part.passed_over) == (2, 1, 7)
    assert figures.where(model=pro).total().calls == 4
    assert figures.where(model="gemini").total().is_empty
