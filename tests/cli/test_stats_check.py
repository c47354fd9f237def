"""`gemx stats check`: as cron runs it, with a command and a webhook that are told, or cannot be."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from figure_log import attempt, failure, write
from gemx import places
from loopback import Exchange, Loopback

Run = Callable[..., Any]
GEMX = str(Path(sys.executable).with_name("gemx"))
FAILURES = {"failure_rate": {"above": 0.1, "minimum": 20}}
MESSAGE = "alert: 30 of 40 calls failed in the last 24 h: 75.0%, where at most 10.0% is usual\n"


class Hook(Loopback):
    """A server that takes what is posted."""

    def default(self, exchange: Exchange) -> None:
        exchange.raw(b"ok", 200)


@pytest.fixture
def hook() -> Iterator[Hook]:
    with Hook() as server:
        yield server


@pytest.fixture
def config(gemx_home: Path) -> Callable[..., None]:
    def write_config(**values: Any) -> None:
        (gemx_home / "config").mkdir(parents=True, exist_ok=True)
        (gemx_home / "config/config.json").write_text(json.dumps(values))

    return write_config


def log(failed: int, answered: int = 10) -> None:
    """The calls of the last minute."""
    now = datetime.now(UTC) - timedelta(minutes=1)
    bad = [failure(now, run_id=f"f{number}") for number in range(failed)]
    write([*bad, *(attempt(now, run_id=f"a{number}") for number in range(answered))])


def saying(path: Path, *, code: int = 0) -> list[str]:
    """A command that keeps what it is told."""
    script = f"import sys; open({str(path)!r}, 'a').write(sys.stdin.read()); sys.exit({code})"
    return [sys.executable, "-c", script]


def state() -> dict[str, Any]:
    return json.loads((places.state_dir() / "alerts.json").read_text())["fired"]


def test_it_fires_once_is_armed_again_and_fires_again(run_gemx: Run, config: Callable[..., None]) -> None:
    config(alerts=FAILURES)
    log(30)
    first = run_gemx("stats", "check")
    assert (first.code, first.out, first.err) == (12, MESSAGE, "")
    assert [*state()] == ["failure_rate"]
    assert stat.S_IMODE((places.state_dir() / "alerts.json").stat().st_mode) == 0o600
    again = run_gemx("stats", "check")
    assert (again.code, again.out) == (0, "")
    assert again.err.startswith("still: 30 of 40 calls failed")
    quiet = run_gemx("stats", "check", "-q")
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")
    log(1, 40)
    over = run_gemx("stats", "check")
    assert (over.code, over.out, over.err) == (0, "", "nothing fires\n")
    assert state() == {}
    log(30)
    assert run_gemx("stats", "check").code == 12


def test_with_too_little_to_judge_it_says_so(run_gemx: Run, config: Callable[..., None]) -> None:
    config(alerts={**FAILURES, "p95_seconds": 20, "cost_per_message": {}, "verification_failures": {}})
    done = run_gemx("stats", "check")
    assert (done.code, done.out) == (0, "")
    assert done.err.count("not judged") == 4


def test_in_json(run_gemx: Run, config: Callable[..., None]) -> None:
    config(alerts=FAILURES)
    log(30)
    done = run_gemx("stats", "check", "--json")
    assert (done.code, done.json["exit_code"], done.json["status"]) == (12, 12, "error")
    data = done.json["data"]
    assert data["fired"] == ["failure_rate"]
    (rule,) = data["rules"]
    assert (rule["verdict"], rule["value"], rule["bound"]) == ("fires", 0.75, 0.1)
    assert done.json["errors"] == [{"code": "alert", "message": MESSAGE[7:-1], "hint": None}]
    again = run_gemx("stats", "check", "--json")
    assert (again.code, again.json["data"]["fired"], again.json["errors"]) == (0, [], [])
    assert [*again.json["data"]["firing"]] == ["failure_rate"]


def test_a_command_and_a_webhook_are_told_once(
    run_gemx: Run, config: Callable[..., None], tmp_path: Path, hook: Hook
) -> None:
    told = tmp_path / "told"
    config(alerts={**FAILURES, "notify": {"command": saying(told), "webhook": f"{hook.url}/services/x?key=1"}})
    log(30)
    assert run_gemx("stats", "check").code == 12
    assert run_gemx("stats", "check").code == 0
    assert told.read_text() == MESSAGE.removeprefix("alert: ")
    (request,) = hook.requests
    assert (request.method, request.path) == ("POST", "/services/x?key=1")
    assert request.body == {"text": MESSAGE[7:-1], "gemx": 1, "alerts": [MESSAGE[7:-1]]}


@pytest.mark.parametrize("status", [302, 404, 500])
def test_what_could_not_be_told_is_told_by_a_later_check_and_hides_nothing(
    run_gemx: Run, config: Callable[..., None], tmp_path: Path, hook: Hook, status: int
) -> None:
    told = tmp_path / "told"
    config(alerts={**FAILURES, "notify": {"command": saying(told), "webhook": f"{hook.url}/secret"}})
    hook.queue(*[lambda exchange: exchange.raw(b"", status, headers={"Location": f"{hook.url}/other"})] * 2)
    log(30)
    first = run_gemx("stats", "check")
    assert (first.code, first.out) == (12, MESSAGE)
    assert first.err == f"gemx: an alert was not told: 127.0.0.1: HTTP {status}, where 200 was expected\n"
    assert state()["failure_rate"]["pending"] == ["webhook"]
    second = run_gemx("stats", "check")
    assert (second.code, second.out) == (12, "")
    third = run_gemx("stats", "check")
    assert (third.code, state()["failure_rate"]["pending"]) == (0, [])
    assert [request.path for request in hook.requests] == ["/secret"] * 3
    assert told.read_text().count("\n") == 1


def test_a_command_that_fails_or_is_not_there(run_gemx: Run, config: Callable[..., None], tmp_path: Path) -> None:
    log(30)
    for command, said in ((saying(tmp_path / "told", code=3), "exit code 3"), (["nao-existe"], "No such file")):
        (places.state_dir() / "alerts.json").unlink(missing_ok=True)
        config(alerts={**FAILURES, "notify": {"command": command}})
        done = run_gemx("stats", "check")
        assert (done.code, done.out) == (12, MESSAGE)
        assert "an alert was not told: the command of alerts.notify: " in done.err and said in done.err
    # Nobody waits for a channel that is there no more.
    config(alerts=FAILURES)
    assert run_gemx("stats", "check").code == 0


def test_a_webhook_beyond_the_network_is_not_asked(run_gemx: Run, config: Callable[..., None]) -> None:
    config(alerts={**FAILURES, "notify": {"webhook": "https://hooks.example.org/secret"}}, network="machine")
    log(30)
    done = run_gemx("stats", "check")
    assert (done.code, done.out) == (12, MESSAGE)
    assert "hooks.example.org is not asked: the network is limited to machine" in done.err
    assert "secret" not in done.err


def test_a_test_message(run_gemx: Run, config: Callable[..., None], tmp_path: Path, hook: Hook) -> None:
    told = tmp_path / "told"
    config(alerts={"notify": {"command": saying(told), "webhook": hook.url}})
    done = run_gemx("stats", "check", "--test")
    assert (done.code, done.out, done.err) == (0, "", "command: told\nwebhook: told\n")
    assert told.read_text() == "gemx stats check --test: this is a test, nothing is wrong\n"
    assert hook.last.body["text"] == told.read_text().strip()
    hook.queue(lambda exchange: exchange.raw(b"", 503))
    assert run_gemx("stats", "check", "--test").code == 8
    config(alerts={})
    assert run_gemx("stats", "check", "--test").code == 3


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "there is no rule in alerts"),
        ({"alerts": {"budget": 0.8}}, "config.json has none"),
        ({"alerts": {"failure_rate": {"above": 2}}}, "alerts.failure_rate.above"),
        ({"alerts": {"failure": {}}}, "unknown key alerts.failure"),
    ],
)
def test_a_configuration_that_judges_nothing_is_an_error(
    run_gemx: Run, config: Callable[..., None], values: dict[str, Any], said: str
) -> None:
    config(**values)
    done = run_gemx("stats", "check")
    assert (done.code, done.out) == (3, "")
    assert said in done.err


def test_the_budget_is_what_the_door_counted(run_gemx: Run, config: Callable[..., None]) -> None:
    from decimal import Decimal

    from gemx.gateway import budget

    config(alerts={"budget": 0.8}, budget={"daily": 10, "monthly": 100}, timezone="America/Sao_Paulo")
    assert run_gemx("stats", "check").code == 0
    budget.reserve("a", Decimal(9), budget.Caps(None, None, None, None), 60).settle(Decimal(9))
    done = run_gemx("stats", "check")
    assert done.code == 12
    assert done.out.startswith("alert: 9.00 USD of the daily cap of 10.00 USD are spent in 20")
    assert done.out.count("alert:") == 1


def test_as_cron_runs_it(config: Callable[..., None], gemx_home: Path) -> None:
    config(alerts=FAILURES)
    log(30)
    environment = {"PATH": "/usr/bin:/bin", "GEMX_HOME": str(gemx_home), "HOME": str(gemx_home)}
    command = [GEMX, "stats", "check", "-q"]

    def cron() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60
        )

    first, second = cron(), cron()
    assert (first.returncode, first.stdout, first.stderr) == (12, MESSAGE, "")
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")


def test_two_at_once_tell_once(config: Callable[..., None], tmp_path: Path) -> None:
    told = tmp_path / "told"
    config(alerts={**FAILURES, "notify": {"command": saying(told)}})
    log(30)
    running = [subprocess.Popen([GEMX, "stats", "check", "-q"], env={**os.environ}) for _ in range(3)]
    assert sorted(process.wait(60) for process in running) == [0, 0, 12]
    assert told.read_text().count("\n") == 1


def test_a_state_that_cannot_be_written_is_a_storage_error_after_the_message(
    run_gemx: Run, config: Callable[..., None]
) -> None:
    config(alerts=FAILURES)
    log(30)
    (places.state_dir() / "alerts.json").mkdir(parents=True)
    done = run_gemx("stats", "check")
    assert (done.code, done.out) == (11, MESSAGE)
