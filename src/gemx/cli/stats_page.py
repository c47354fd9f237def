"""The page of `gemx stats summary`, and the charts below tables. Prints nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING

from gemx.cli import stats_rows, stats_table
from gemx.cli.stats_table import bar, count, dollars, seconds, share, short, sparkline

if TYPE_CHECKING:
    from gemx.audit.figures import Figures, Total

_LABEL = 13
_MOST = 3


def summary(figures: Figures, width: int) -> list[str]:
    """All of it on a screen of 24 lines."""
    from gemx.audit.figures import Total

    models = figures.by("model")
    # Of models, whose times are added up for their rows as well.
    total = Total([*models.values()])
    slots = _filled(figures)
    lines = [f"{label:<{_LABEL}}{said}".rstrip() for label, said in _said(total, slots)]
    lines += _charts(slots, width)
    for label, every in (("models", models), ("automations", figures.by("automation"))):
        if found := {each: of for each, of in every.items() if each and of.calls}:
            lines += ["", *_ranked(found, label, width)]
    return lines


def cost_by_day(figures: Figures, width: int) -> list[str]:
    """A line of what each day cost."""
    slots = _filled(figures)
    return _spark("a day", [total.dollars for total in slots.values()], slots, width) if len(slots) > 1 else []


def spread(total: Total) -> list[str]:
    """How many of the answers took how long."""
    found = list(stats_rows.octaves(total.latency))
    top = max((part for _, part in found), default=0)
    return [f"{f'up to {end:g} s':>12}  {share(part):>7}  {bar(part / top, 30)}".rstrip() for end, part in found]


def _said(total: Total, slots: Mapping[str, Total]) -> Iterator[tuple[str, str]]:
    first, last = min(slots), max(slots)
    yield "period", first if first == last else f"{first} to {last}"
    row = stats_rows.figures_of(total)
    yield "calls", f"{count(total.calls)} of {_of(total.messages, 'message')}" + _apart(total.imported, "imported")
    rates = [f"failed {share(row['failure_rate'])}", f"retries {share(row['retry_rate'])}"]
    yield "", " · ".join([*rates, f"fallbacks {share(row['fallback_rate'])}", f"refused {count(total.refused)}"])
    tokens = f"in {short(total.input_tokens)} (cached {short(total.cached_tokens)})"
    yield "tokens", f"{tokens} · out {short(total.output_tokens)} (reasoning {short(total.reasoning_tokens)})"
    costs = [f"{dollars(row['cost_usd'])} USD, {dollars(row['cost_per_message_usd'])} a message"]
    unknown = [f"of {_of(total.unpriced, 'call')} not known"] if total.unpriced else []
    yield "cost", " · ".join([*(costs if row["cost_usd"] is not None else []), *unknown])
    for label, name in (("latency", "latency"), ("first token", "first_token")):
        yield label, " · ".join(f"{each} {seconds(row[f'{name}_{each}_s'])}" for each in ("p50", "p95", "p99"))
    if total.answers:
        again = f", sent back {count(total.repairs)} times" if total.repairs else ""
        yield "verified", f"{share(row['verified_rate'])} of {_of(total.answers, 'answer')}{again}"


def _charts(slots: Mapping[str, Total], width: int) -> list[str]:
    if len(slots) < 2 or not any(total.calls for total in slots.values()):
        return []
    calls = _spark("calls", [total.calls for total in slots.values()], slots, width)
    return ["", *calls, *_spark("USD", [total.dollars for total in slots.values()], slots, width)]


def _spark(label: str, values: list[float] | list[int], slots: Mapping[str, Total], width: int) -> list[str]:
    line = sparkline(values, max(10, width - _LABEL - 24))
    top = max(values)
    most = dollars(top) if any(isinstance(value, float) for value in values) else short(top)
    each = "an hour" if "T" in min(slots) else "a day"
    return [f"{label:<{_LABEL}}{line}  up to {most} {each}"]


def _ranked(found: Mapping[str, Total], label: str, width: int) -> list[str]:
    made = stats_rows.named(dict(list(found.items())[:_MOST]), label, label, ("latency",))
    lines = stats_table.lines(made.rows, made.shown, width)
    return [*lines, f"… and {len(found) - _MOST} more"] if len(found) > _MOST else lines


def _filled(figures: Figures) -> dict[str, Total]:
    """The slots in order; of days also those on which nothing was called."""
    from gemx.audit.figures import Total

    slots = figures.by("slot")
    days = sorted(slots)
    if not days or "T" in days[0]:
        return slots
    first, last = (date.fromisoformat(day) for day in (days[0], days[-1]))
    every = [(first + timedelta(days=number)).isoformat() for number in range((last - first).days + 1)]
    # An imported record may be of long ago: a chart of its years would show nothing.
    return {day: slots.get(day, Total()) for day in every} if len(every) <= 10 * len(days) + 60 else slots


def _of(number: int, name: str) -> str:
    return f"{count(number)} {name}{'' if number == 1 else 's'}"


def _apart(number: int, said: str) -> str:
    return f", {count(number)} of them {said}" if number else ""
