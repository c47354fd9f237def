"""What `gemx stats check` judges: rules over the last 24 hours, and which of them fired before and are not armed yet.

Rules, figures and state are values here; `read_state` and `write_state` alone touch a file. Hours are UTC's, and the
last 24 of them include the one that is not over. docs/statistics.md says what each rule compares.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, cast

from gemx import places
from gemx.audit.figures import Figures, Total, percentile, slot_of

DAYS = 8
"""So many windows of 24 hours are compared: the last one with the 7 before it."""

_CALLS = 20
_REARMED = 0.9
_FORGOTTEN = timedelta(days=30)

Verdict = Literal["fires", "between", "quiet", "unjudged"]


@dataclass(frozen=True)
class Share:
    """Fires above a share, of at least `minimum`."""

    above: float
    minimum: int


@dataclass(frozen=True)
class Rise:
    """Fires from a rise on, where each day that is compared has at least `minimum` messages."""

    rise: float
    minimum: int


@dataclass(frozen=True)
class Rules:
    """The rules that are set."""

    cost_per_message: Rise | None = None
    p95_seconds: float | None = None
    failure_rate: Share | None = None
    verification_failures: Share | None = None
    budget: float | None = None

    @property
    def any(self) -> bool:
        """Whether there is one."""
        return any(rule is not None for rule in vars(self).values())


@dataclass(frozen=True)
class Spent:
    """Dollars spent in a day or month, such as `2026-11-20`, and the cap on it."""

    name: Literal["daily", "monthly"]
    period: str
    dollars: float
    cap: float


@dataclass(frozen=True)
class Judged:
    """What became of one rule: `value` is what `bound` is for; both None where there was too little to judge."""

    key: str
    verdict: Verdict
    message: str
    value: float | None = None
    bound: float | None = None


@dataclass(frozen=True)
class Fired:
    """An alert that fired, and is not armed again; `pending` are those who could not be told yet."""

    since: str
    message: str
    pending: tuple[str, ...] = ()


State = Mapping[str, Fired]


def judge(figures: Figures, rules: Rules, spent: Sequence[Spent], now: datetime) -> list[Judged]:
    """Judge every rule that is set; the figures are by hour, of DAYS days at least."""
    days = [_window(figures, now, back) for back in range(DAYS)]
    last = days[0].total()
    found: list[Judged] = []
    if rules.cost_per_message:
        found += _costs(days, rules.cost_per_message)
    if rules.p95_seconds is not None:
        found.append(_latency(last, rules.p95_seconds))
    if rules.failure_rate:
        found.append(_share("failure_rate", last.failed, last.calls, "calls failed", rules.failure_rate))
    if rules.verification_failures:
        said, rule = "answers were not verified", rules.verification_failures
        found.append(_share("verification_failures", last.unverified, last.answers, said, rule))
    if rules.budget is not None:
        found += [_budget(each, rules.budget) for each in spent]
    return found


def advance(state: State, judged: Iterable[Judged], now: datetime) -> tuple[list[Judged], dict[str, Fired]]:
    """The alerts that fire now and did not before, and the state with them; what is armed again is in there no more."""
    oldest = (now - _FORGOTTEN).isoformat()
    after = {key: fired for key, fired in state.items() if fired.since >= oldest}
    new: list[Judged] = []
    for each in judged:
        if each.verdict == "quiet":
            after.pop(each.key, None)
        elif each.verdict == "fires" and each.key not in after:
            new.append(each)
            after[each.key] = Fired(now.isoformat(timespec="seconds"), each.message)
    return new, after


def told(state: State, keys: Iterable[str], pending: Sequence[str]) -> dict[str, Fired]:
    """The state after alerts were told to all but those that are pending."""
    return {**state, **{key: replace(state[key], pending=tuple(pending)) for key in keys}}


def read_state(path: Path) -> dict[str, Fired]:
    """What fired before; nothing where the file is not there, or damaged: then it fires once more."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return {key: _fired(value) for key, value in cast("dict[str, Any]", data["fired"]).items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def write_state(path: Path, state: State) -> None:
    """Keep what fired. Raises StorageError."""
    data = {"fired": {key: vars(fired) for key, fired in state.items()}}
    places.ensure_private_dir(path.parent)
    places.write_private(path, json.dumps(data, ensure_ascii=False, indent=1).encode("utf-8", "backslashreplace"))


def _fired(value: Mapping[str, Any]) -> Fired:
    datetime.fromisoformat(value["since"])
    return Fired(str(value["since"]), str(value["message"]), tuple(str(each) for each in value["pending"]))


def _window(figures: Figures, now: datetime, back: int) -> Figures:
    """The 24 hours that end now, or so many days before."""
    end = now.astimezone(UTC) - timedelta(days=back)
    return figures.where(slot_of(end - timedelta(hours=23), "hour", None), slot_of(end, "hour", None))


def _costs(days: Sequence[Figures], rule: Rise) -> Iterator[Judged]:
    """Of all together, and of each flow, automation or command."""
    yield _without_price(days[0])
    yield _cost("", [day.total() for day in days], rule)
    works = [day.grouped(lambda _, group: group.work) for day in days]
    if len(works[0]) > 1:
        for work in sorted(works[0]):
            yield _cost(work, [day.get(work, Total()) for day in works], rule)


def _without_price(day: Figures) -> Judged:
    models = {model: total.without_price for model, total in day.by("model").items() if total.without_price}
    count = sum(models.values())
    key = "cost_per_message:unpriced"
    if not count:
        return Judged(key, "quiet", "every answered call of the last 24 h has a price", 0, 0)
    said = f"{_counted(count, 'answered call')} of the last 24 h without a price: {', '.join(models)}"
    return Judged(key, "fires", f"{said}; give it in prices.yaml", count, 0)


def _cost(work: str, days: Sequence[Total], rule: Rise) -> Judged:
    key = f"cost_per_message:{work}" if work else "cost_per_message"
    name = f"cost per message of {work}" if work else "cost per message"
    today, before = days[0], days[1]
    for day, when in ((today, "last 24 h"), (before, "24 h before")):
        if day.without_price:
            return Judged(key, "unjudged", f"{name}: not judged, calls of the {when} have no price")
        if (count := _priced(day)) < rule.minimum:
            known = " of known cost" if count < day.messages else ""
            said = f"{_counted(count, 'message')}{known} in the {when}, fewer than {rule.minimum}"
            return Judged(key, "unjudged", f"{name}: not judged, {said}")
    usual = statistics.median([_each(day) for day in days[1:] if _priced(day) >= rule.minimum])
    base, now = max(_each(before), usual), _each(today)
    # Rounded, so that what is 20 % in decimals is not a little less.
    rise = round(now / base - 1, 9) if base else float("inf") if now else 0.0
    message = (
        f"{name}: {_dollars(now)} in the last 24 h ({_priced(today)} messages), {_risen(now, _each(before))} the day "
        f"before ({_dollars(_each(before))}), {_risen(now, usual)} the 7-day median ({_dollars(usual)})"
    )
    causes = "".join(f"; {cause}" for cause in _causes(today, before))
    verdict = _verdict(rise >= rule.rise, rise < rule.rise / 2)
    return Judged(key, verdict, message + causes, now, base * (1 + rule.rise))


def _causes(today: Total, before: Total) -> Iterator[str]:
    """What changed from the day before that makes a message dearer."""
    tables = [sorted(day.prices) for day in (before, today)]
    if set(tables[1]) - set(tables[0]):
        yield f"the price table changed: {', '.join(tables[0]) or 'none'} → {', '.join(tables[1])}"
    for said, name in (("calls", "calls"), ("tokens in", "input_tokens"), ("tokens out", "output_tokens")):
        now, was = (getattr(day, name) / day.messages for day in (today, before))
        if was and now / was >= 1.1:
            yield f"{said} per message {was:,.1f} → {now:,.1f}"
    if today.unpriced:
        yield f"the cost of {_counted(today.unpriced, 'failed call')} is not known and not in it"


def _latency(last: Total, bound: float) -> Judged:
    count = sum(last.latency.values())
    value = percentile(last.latency, 0.95)
    if value is None or count < _CALLS:
        said = f"not judged, {_counted(count, 'answered call')} in the last 24 h, fewer than {_CALLS}"
        return Judged("p95_seconds", "unjudged", f"p95 of the latency: {said}")
    message = (
        f"p95 of the latency: {value:.3g} s over {count} calls of the last 24 h, where at most {bound:g} s is usual"
    )
    return Judged("p95_seconds", _verdict(value > bound, value <= bound * _REARMED), message, value, bound)


def _share(key: str, part: int, whole: int, said: str, rule: Share) -> Judged:
    if whole < rule.minimum:
        message = f"{key}: not judged, {whole} in the last 24 h, fewer than {rule.minimum}"
        return Judged(key, "unjudged", message)
    value = part / whole
    message = f"{part} of {whole} {said} in the last 24 h: {value:.1%}, where at most {rule.above:.1%} is usual"
    verdict = _verdict(value > rule.above, value <= rule.above * _REARMED)
    return Judged(key, verdict, message, value, rule.above)


def _budget(spent: Spent, bound: float) -> Judged:
    value = spent.dollars / spent.cap
    message = (
        f"{_dollars(spent.dollars)} of the {spent.name} cap of {_dollars(spent.cap)} are spent in {spent.period}: "
        f"{value:.0%}, and {bound:.0%} is where to look"
    )
    # A new day or month is another alert.
    key = f"budget:{spent.name} {spent.period}"
    return Judged(key, _verdict(value >= bound, value < bound * _REARMED), message, value, bound)


def _verdict(fires: bool, is_over: bool) -> Verdict:
    return "fires" if fires else "quiet" if is_over else "between"


def _each(day: Total) -> float:
    return day.dollars / _priced(day)


def _priced(day: Total) -> int:
    """The messages of known cost, at most: those that only failed would make the others seem cheap."""
    return min(day.messages, day.calls - day.unpriced)


def _risen(now: float, was: float) -> str:
    if not was:
        return "against nothing on" if now else "as on"
    change = now / was - 1
    return f"{abs(change):.0%} {'above' if change >= 0 else 'below'}"


def _dollars(amount: float) -> str:
    return f"{amount:,.2f} USD" if amount >= 1 else f"{amount:.3g} USD"


def _counted(count: int, name: str) -> str:
    return f"{count} {name}{'' if count == 1 else 's'}"
