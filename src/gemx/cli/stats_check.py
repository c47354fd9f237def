"""`gemx stats check`: judge the rules of config.json over the last 24 hours, and tell once what is wrong; for cron."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from gemx.cli import options, output, times
from gemx.errors import ConfigError, GemxError, InputError

if TYPE_CHECKING:
    from collections.abc import Generator
    from decimal import Decimal
    from pathlib import Path

    from gemx.audit.alerts import Fired, Judged, Rules, Spent, State
    from gemx.settings import Settings

EXIT_CODE = 12
_SECONDS = 30.0
_NO_RULE = "there is no rule in alerts of config.json"
_HINT = "for example: gemx config set alerts.failure_rate.above 0.1"
_TEST = "gemx stats check --test: this is a test, nothing is wrong"

Test = Annotated[bool, typer.Option("--test", help="Send a test message to those that are told, and judge nothing.")]


def check(test: Test = False, quiet: options.Quiet = False, as_json: options.AsJson = False) -> int:
    """Judge the alert rules of config.json over the last 24 hours; exit with 12 where one fires, once until it is over.

    The message goes to stdout, and to the command and the webhook of alerts.notify.
    """
    output.begin("stats check", as_json=as_json, quiet=quiet)
    from gemx import settings

    resolved = settings.load()
    if test:
        return _tested(resolved, as_json=as_json)
    rules = _rules(resolved)
    if not rules.any:
        raise ConfigError(_NO_RULE, hint=_HINT)
    with _alone() as path:
        return _checked(resolved, rules, path, as_json=as_json)


def _checked(resolved: Settings, rules: Rules, path: Path, *, as_json: bool) -> int:
    from gemx.audit import alerts, rollup

    now = datetime.now(UTC)
    figures = rollup.read("hour", None, since=(now - timedelta(days=alerts.DAYS)).date())
    judged = alerts.judge(figures, rules, _spent(resolved), now)
    new, state = alerts.advance(alerts.read_state(path), judged, now)
    if not as_json:
        for each in new:
            output.result(f"alert: {each.message}")
    # Whoever is told or not: what fired is on stdout, and kept.
    state, failures = _tell_all(resolved, [each.key for each in new], state)
    alerts.write_state(path, state)
    late = [key for key, fired in state.items() if fired.pending]
    exit_code = EXIT_CODE if new or late else 0
    if as_json:
        output.as_json(_data(judged, new, state), exit_code, [*map(_error, new), *map(output.described, failures)])
    else:
        _tell_rest(judged, new, state)
    for failure in failures:
        output.warning(f"gemx: an alert was not told: {failure.message}")
    return exit_code


def _data(judged: Sequence[Judged], new: Sequence[Judged], state: State) -> dict[str, Any]:
    return {
        "fired": [each.key for each in new],
        "firing": {key: vars(fired) for key, fired in state.items()},
        "rules": [vars(each) for each in judged],
    }


def _error(alert: Judged) -> dict[str, Any]:
    return {"code": "alert", "message": alert.message, "hint": None}


def _tell_rest(judged: Sequence[Judged], new: Sequence[Judged], state: State) -> None:
    """What does not fire now, to stderr: -q leaves it out."""
    fresh = {each.key for each in new}
    for each in judged:
        if each.key in state and each.key not in fresh:
            output.note(f"still: {each.message} (since {state[each.key].since})")
        elif each.verdict == "unjudged":
            output.note(each.message)
    if not state:
        output.note("nothing fires")


def _tell_all(
    resolved: Settings, new: Sequence[str], state: dict[str, Fired]
) -> tuple[dict[str, Fired], list[GemxError]]:
    """Tell each channel of what is new to it; what it did not take is told to it again by the next check."""
    from gemx.audit import alerts

    channels = _channels(resolved)
    for key in new:
        state = alerts.told(state, [key], [*channels])
    failures: list[GemxError] = []
    for name, send in channels.items():
        waiting = [key for key, fired in state.items() if name in fired.pending]
        if not waiting:
            continue
        try:
            send([state[key].message for key in waiting])
        except GemxError as exc:
            failures.append(exc)
            continue
        for key in waiting:
            state = alerts.told(state, [key], [each for each in state[key].pending if each != name])
    # Of a channel that config.json has no more nothing waits.
    known = {key: [each for each in fired.pending if each in channels] for key, fired in state.items()}
    for key, pending in known.items():
        state = alerts.told(state, [key], pending)
    return state, failures


def _channels(resolved: Settings) -> dict[str, Callable[[Sequence[str]], None]]:
    notify = resolved.config.alerts.notify
    found: dict[str, Callable[[Sequence[str]], None]] = {}
    if notify.command:
        found["command"] = lambda messages: _run(notify.command or [], messages)
    if notify.webhook:
        found["webhook"] = lambda messages: _post(resolved, notify.webhook or "", messages)
    return found


def _run(command: Sequence[str], messages: Sequence[str]) -> None:
    from gemx import processes
    from gemx.sanitize import printable

    text = printable("\n".join(messages)) + "\n"
    try:
        processes.output_of(command, _SECONDS, text.encode("utf-8", "backslashreplace"))
    except processes.FailedError as exc:
        raise InputError(f"the command of alerts.notify: {exc}", hint="gemx stats check --test tries it") from exc


def _post(resolved: Settings, address: str, messages: Sequence[str]) -> None:
    from gemx import gateway, web
    from gemx.sanitize import printable

    site = [endpoint.base_url for endpoint in resolved.config.endpoints.values() if endpoint.site]
    allowed = web.network(gateway.network_of(resolved, None), site)
    text = printable("\n".join(messages)).encode("utf-8", "replace").decode()
    web.post(address, {"text": text, "gemx": 1, "alerts": text.splitlines()}, allowed, _SECONDS)


def _tested(resolved: Settings, *, as_json: bool) -> int:
    channels = _channels(resolved)
    if not channels:
        raise ConfigError("alerts.notify of config.json names nobody", hint="set its command or its webhook")
    failed: GemxError | None = None
    for name, send in channels.items():
        try:
            send([_TEST])
        except GemxError as exc:
            failed = failed or exc
            output.warning(f"gemx: {name}: {exc.message}")
        else:
            output.note(f"{name}: told")
    if failed:
        raise failed
    if as_json:
        output.as_json({"told": [*channels]})
    return 0


def _rules(resolved: Settings) -> Rules:
    from gemx.audit.alerts import Rise, Rules, Share

    said = resolved.config.alerts
    cost, failed, unverified = said.cost_per_message, said.failure_rate, said.verification_failures
    return Rules(
        cost_per_message=Rise(cost.rise, cost.minimum) if cost else None,
        p95_seconds=said.p95_seconds,
        failure_rate=Share(failed.above, failed.minimum) if failed else None,
        verification_failures=Share(unverified.above, unverified.minimum) if unverified else None,
        budget=said.budget,
    )


def _spent(resolved: Settings) -> list[Spent]:
    """What is spent under each cap, as the door counts it. Raises ConfigError where the rule has no cap."""
    from gemx.audit.alerts import Spent

    config, zone = resolved.config, times.zone()
    if config.alerts.budget is None:
        return []
    if not (config.budget.daily or config.budget.monthly):
        hint = "set budget.daily or budget.monthly, or unset alerts.budget"
        raise ConfigError("alerts.budget is a share of a cap, and config.json has none", hint=hint)
    from gemx.gateway import budget

    spending, today = budget.spent(zone), datetime.now(zone)
    found: tuple[tuple[Literal["daily", "monthly"], str, Decimal, float | None], ...] = (
        ("daily", f"{today:%Y-%m-%d}", spending.day, config.budget.daily),
        ("monthly", f"{today:%Y-%m}", spending.month, config.budget.monthly),
    )
    return [Spent(name, period, float(spent), cap) for name, period, spent, cap in found if cap]


@contextmanager
def _alone() -> Generator[Path]:
    """One check at a time: two would tell twice. Yields the file of the state. Raises StorageError."""
    from gemx import locks, places

    folder = places.ensure_private_dir(places.state_dir())
    lock = folder / "alerts.lock"
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, places.FILE_MODE)
    except OSError as exc:
        from gemx.errors import StorageError

        raise StorageError(f"cannot open {lock}: {exc.strerror}") from exc
    try:
        locks.wait_for(descriptor, lock)
        yield folder / "alerts.json"
    finally:
        os.close(descriptor)
