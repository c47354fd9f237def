"""`run`: a command, as an argument list and never through a shell. It sees PATH and what `env` names, and no more."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from gemx import processes, strict_json
from gemx.errors import CommandError, StoppedError
from gemx.flow import context, values
from gemx.flow.schema import Step
from gemx.flow.secrets import redacted
from gemx.flow.steps.call import Call, Outcome
from gemx.gateway import clock, retry
from gemx.processes import FailedError
from gemx.sanitize import printable
from gemx.settings import RetryConfig

_MOST_BYTES = 10_000_000
_MOST_SAID = 500
_ONCE = RetryConfig(max_attempts=1)


def filled(step: Step, known: Mapping[str, Any]) -> dict[str, Any]:
    """The argument list as it is, the variables, and what goes to stdin."""
    stdin = values.fill(step.stdin, known)
    env = {name: values.written(values.fill(value, known)) for name, value in step.env.items()}
    return {"argv": step.run, "env": env, "stdin": None if stdin is None else values.written(stdin)}


def run(call: Call) -> Outcome:
    """Run it, again where it failed and the step has a `retry`."""
    own = call.step.retry
    policy_retry = context.retry_of(own, call.context.settings.config.retry) if own else _ONCE
    deadline = clock.monotonic() + float(call.context.settings.resolve("timeout", call.context.asked.timeout).value)
    tries = retry.Tries(policy_retry, deadline)
    while True:
        outcome = _once(call, deadline - clock.monotonic())
        failure = outcome.failure
        wait = tries.wait_after(failure) if failure else None
        if failure is not None and call.stopping():
            # Whether it would have failed by itself nobody knows: it may have been ended.
            raise StoppedError("the run is being stopped")
        if failure is None or wait is None:
            return outcome
        retry.pause(wait, f"the command failed ({failure.message})", call.context.listener)


def _once(call: Call, left: float) -> Outcome:
    limit = call.step.timeout or call.loaded.flow.defaults.timeout or left
    spec = call.spec
    try:
        ended = processes.run(
            [str(call.resources.program or spec["argv"][0]), *spec["argv"][1:]],
            max(0.001, min(limit, left)),
            (spec["stdin"] or "").encode("utf-8", "surrogateescape"),
            environment={"PATH": _path(), **spec["env"]},
            folder=call.context.folder.make(),
            most=_MOST_BYTES,
        )
    except FailedError as exc:
        return Outcome({"text": "", "json": None, "exit_code": None}, failure=CommandError(f"{spec['argv'][0]}: {exc}"))
    text = redacted(ended.output.decode("utf-8", "replace"), call.context.secrets)
    outputs = {"text": text, "json": _json(text), "exit_code": ended.exit_code}
    failure = _failure(call, ended) if ended.exit_code else None
    return Outcome(outputs, failure=failure)


def _path() -> str:
    """PATH without what is not absolute: a command must not be found in the folder that the flow writes in."""
    return os.pathsep.join(
        part for part in os.environ.get("PATH", os.defpath).split(os.pathsep) if part.startswith("/")
    )


def _json(text: str) -> Any:
    try:
        strict_json.loads(text)
        return json.loads(text)
    except ValueError:
        return None


def _failure(call: Call, ended: processes.Ended) -> CommandError:
    said = redacted(ended.errors.decode("utf-8", "replace"), call.context.secrets)
    last = " ".join(printable(said).split())[-_MOST_SAID:]
    code = f"exit code {ended.exit_code}" if ended.exit_code > 0 else f"signal {-ended.exit_code}"
    return CommandError(f"{call.spec['argv'][0]} ended with {code}{f': {last}' if last else ''}")
