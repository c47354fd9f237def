"""What a figure is called in --json and --csv, and which of them each command shows. Prints nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gemx.cli import stats_table as table
from gemx.cli.stats_table import Column, Row, bar_of

if TYPE_CHECKING:
    from gemx.audit.figures import Figures, Total

_NUMBERS = (
    *("calls", "messages", "imported", "failed", "refused", "retries", "fallbacks"),
    *("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens", "unpriced"),
    *("answers", "verified", "unverified", "repairs"),
)
_TIMES = ("latency", "first_token")
_PERCENTILES = ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))

KEYS = (
    *_NUMBERS,
    *("cost_usd", "cost_per_message_usd", "failure_rate", "retry_rate", "fallback_rate", "verified_rate"),
    *(f"{name}_{share}_s" for name in _TIMES for _, share in _PERCENTILES),
)
"""The figures of a row of --json and --csv, after its name."""

_BY_NAME = (
    *(Column("calls", "calls", table.count), bar_of("calls"), Column("failure_rate", "failed", table.share)),
    *(Column("input_tokens", "in", table.short), Column("output_tokens", "out", table.short)),
    *(Column("cost_usd", "USD", table.dollars, at_least="unpriced"), Column("latency_p95_s", "p95", table.seconds)),
)


@dataclass(frozen=True)
class Table:
    """The rows of a command, the keys that --csv has, and the columns that a person sees."""

    rows: Sequence[Row]
    keys: Sequence[str]
    shown: Sequence[Column]


def figures_of(total: Total, times: Sequence[str] = _TIMES) -> dict[str, Any]:
    """Raw numbers: dollars, seconds and shares; None where there is nothing to say, such as a share of no call.

    The cost is of the calls whose cost is known, and None where no call's is. `times` are those whose percentiles are
    wanted: they take longest.
    """
    from gemx.audit.figures import percentile, ratio

    found: dict[str, Any] = {name: getattr(total, name) for name in _NUMBERS}
    known = None if total.calls and total.unpriced == total.calls else total.dollars
    found |= {
        "cost_usd": _rounded(known, 9),
        "cost_per_message_usd": None if known is None else _rounded(ratio(known, total.messages), 9),
        "failure_rate": _rounded(ratio(total.failed, total.calls), 6),
        "retry_rate": _rounded(ratio(total.retries, total.calls), 6),
        "fallback_rate": _rounded(ratio(total.fallbacks, total.calls), 6),
        "verified_rate": _rounded(ratio(total.verified, total.answers), 6),
    }
    for name in times:
        counts = getattr(total, name)
        found |= {f"{name}_{called}_s": _rounded(percentile(counts, share), 4) for share, called in _PERCENTILES}
    return found


def named(found: Mapping[str, Total], key: str, head: str, times: Sequence[str] = _TIMES) -> Table:
    """A row a name: calls, failures, tokens, cost and latency. What has no name is of nothing of the kind."""
    rows = [{key: name, **figures_of(total, times)} for name, total in found.items() if not total.is_empty]
    return Table(rows, (key, *KEYS), (Column(key, head), *_BY_NAME))


def daily(figures: Figures) -> Table:
    """A row a day, or an hour."""
    found = {slot: total for slot, total in figures.by("slot").items() if not total.is_empty}
    shown = (*_BY_NAME, Column("verified_rate", "verified", table.share))
    made = named(found, "time", "")
    return Table(made.rows, made.keys, (Column("time", ""), *shown))


def cost(found: Mapping[str, Total]) -> Table:
    """A row a model: what it cost, its share, and what a message and a million tokens of it cost."""
    whole = sum(total.dollars for total in found.values())
    rows: list[Row] = []
    for name, total in sorted(found.items(), key=lambda each: -each[1].cost):
        if total.calls:
            row = figures_of(total)
            known = whole and row["cost_usd"] is not None
            rows.append({"model": name, **row, "cost_share": _rounded(total.dollars / whole, 6) if known else None})
    shown = (
        *(Column("model", "model"), Column("calls", "calls", table.count)),
        *(Column("cost_usd", "USD", table.dollars, at_least="unpriced"), bar_of("cost_usd")),
        *(Column("cost_share", "share", table.share), Column("unpriced", "not known", table.count)),
        Column("cost_per_message_usd", "a message", table.dollars, at_least="unpriced"),
    )
    return Table(rows, ("model", *KEYS, "cost_share"), shown)


def latency(found: Mapping[str, Total]) -> Table:
    """A row a model: percentiles of the whole answer, and of the first token."""
    rows = [{"model": name, **figures_of(total)} for name, total in found.items() if total.calls]
    shown = [Column("model", "model"), Column("calls", "calls", table.short)]
    for name, before in (("latency", ""), ("first_token", "1st ")):
        shown += [Column(f"{name}_{each}_s", f"{before}{each}", table.seconds) for _, each in _PERCENTILES]
    return Table(rows, ("model", *KEYS), shown)


def errors(figures: Figures) -> Table:
    """A row an error code of calls that failed, and of calls that the door refused."""
    total = figures.total()
    every = total.calls + total.refused
    rows: list[Row] = []
    for kind, attribute in (("failed", "failures"), ("refused", "refusals")):
        mostly = _mostly(figures, attribute)
        rows += [
            {"kind": kind, "code": code, "count": count, "share": count / every, "mostly": mostly[code]}
            for code, count in _ranked(getattr(total, attribute))
        ]
    shown = (
        *(Column("kind", "kind"), Column("code", "code"), Column("count", "calls", table.count)),
        *(bar_of("count"), Column("share", "of all", table.share), Column("mostly", "mostly of")),
    )
    return Table(rows, ("kind", "code", "count", "share", "mostly"), shown)


def findings(figures: Figures) -> Table:
    """A row a code of the verification's findings, all rounds of an answer counted."""
    rows: list[Row] = []
    mostly = _mostly(figures, "findings", work=True)
    for both, count in _ranked(figures.total().findings):
        severity, _, code = both.partition(" ")
        rows.append({"code": code, "severity": severity, "count": count, "mostly": mostly[both]})
    shown = (
        *(Column("code", "code"), Column("severity", "severity"), Column("count", "found", table.count)),
        *(bar_of("count"), Column("mostly", "mostly in")),
    )
    return Table(rows, ("code", "severity", "count", "mostly"), shown)


def octaves(times: Mapping[int, int]) -> Iterator[tuple[float, float]]:
    """How much of the times lies under 1/8 s, from there to 1/4 s, and so on: the upper end, and the share."""
    from gemx.audit.figures import seconds_of

    whole, counts = sum(times.values()), dict[float, int]()
    for bucket, count in times.items():
        end = 0.125
        while seconds_of(bucket) > end:
            end *= 2
        counts[end] = counts.get(end, 0) + count
    if counts:
        end, last = min(counts), max(counts)
        while end <= last:
            yield end, counts.get(end, 0) / whole
            end *= 2


def _mostly(figures: Figures, attribute: str, *, work: bool = False) -> dict[str, str]:
    """The model, or the work, that each code is most frequent in."""
    most: dict[str, tuple[int, str]] = {}
    for name, total in figures.grouped(lambda _, group: group.work if work else group.model).items():
        for code, count in getattr(total, attribute).items():
            most[code] = max(most.get(code, (0, "")), (count, name))
    return {code: name for code, (_, name) in most.items()}


def _ranked(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda each: (-each[1], each[0]))


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
