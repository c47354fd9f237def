"""One step of one item, through the journal: what was done under the same key is not done again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from gemx import keys
from gemx.errors import BudgetError, GemxError, InputError, QuotaError, StoppedError, StorageError
from gemx.expression import ExpressionError
from gemx.flow import hashes, values
from gemx.flow.context import Context
from gemx.flow.record import Failure, Journal, StepRecord
from gemx.flow.schema import Step
from gemx.flow.secrets import names
from gemx.flow.shelf import Loaded
from gemx.flow.steps import KINDS, Call, Outcome

# What would befall the next item, too.
_STOPS = (QuotaError, BudgetError, StorageError, StoppedError)
INTERRUPTED = StoppedError("the run is being stopped")


@dataclass(frozen=True)
class Task:
    """What the steps of one item share."""

    loaded: Loaded
    context: Context
    journal: Journal
    item: str | None

    def skipped(self, step: Step) -> StepRecord:
        """The record of a step whose `if` does not hold."""
        return self._kept(StepRecord(step.id, "", "skipped"))

    def refused(self, path: str, exc: GemxError) -> StepRecord:
        """The record of a step that failed before it was known what it asks."""
        return self._kept(StepRecord(path, "", "failed", failure=failure_of(exc), attempts=exc.attempts))

    def done(self, step: Step, path: str, known: Mapping[str, Any]) -> StepRecord:
        """Do a step under a path, or find what it gave; `known` is what its expressions read."""
        kind = KINDS[step.kind]
        try:
            shown = kind.filled(step, {**known, "secrets": names(self.context.secrets)})
            spec = kind.filled(step, {**known, "secrets": self.context.secrets}) if self.context.secrets else shown
        except ExpressionError as exc:
            return self.refused(path, InputError(f"{path}: {exc}"))
        key = self._key(step, shown)
        if found := self.journal.find(path, key):
            return found
        if self.journal.stopping():
            return StepRecord(path, key, "failed", failure=failure_of(INTERRUPTED))
        started = time.monotonic()
        record = self._ran(step, path, key, self._call(step, path, spec))
        return self._kept(replace(record, seconds=time.monotonic() - started))

    def _ran(self, step: Step, path: str, key: str, call: Call) -> StepRecord:
        try:
            outcome = KINDS[step.kind].run(call)
        except GemxError as exc:
            return StepRecord(path, key, "failed", failure=failure_of(exc), attempts=exc.attempts)
        return _record(step, path, key, outcome)

    def _call(self, step: Step, path: str, spec: Mapping[str, Any]) -> Call:
        origin = replace(self.context.origin, step=path, item=self.item)
        return Call(step, spec, self.loaded, self.context, origin, self.journal.stopping)

    def _key(self, step: Step, shown: Mapping[str, Any]) -> str:
        """The hash of all that decides what the step gives; a secret is in it by its name."""
        policy = self.context.policies.get(step.id)
        asked: dict[str, Any] = {}
        if policy is not None:
            options = {**policy.defaults.given(), **policy.asked.given()}
            asked = {"model": str(policy.route), "options": options, "system": self.context.settings.instruction()}
        return hashes.of_value([step.kind, shown, self.context.uses[step.id], asked])

    def _kept(self, record: StepRecord) -> StepRecord:
        try:
            self.journal.keep(record)
        except (StorageError, StoppedError) as exc:
            return replace(record, status="failed", failure=failure_of(exc))
        return record


def failure_of(exc: GemxError) -> Failure:
    """An error as it is kept: without anything that looks like a key."""
    return Failure(
        code=exc.code,
        message=keys.redact(exc.message),
        exit_code=exc.exit_code,
        hint=keys.redact(exc.hint) if exc.hint else None,
        retryable=exc.retryable,
        stops=isinstance(exc, _STOPS),
    )


def _record(step: Step, path: str, key: str, outcome: Outcome) -> StepRecord:
    """What a step gave. Where the flow goes on all the same, what failed was done, and is not asked again."""
    failure = failure_of(outcome.failure) if outcome.failure else None
    goes_on = failure is None or (step.on_fail == "continue" and not failure.stops)
    outputs = values.as_json(outcome.outputs)
    return StepRecord(path, key, "done" if goes_on else "failed", outputs, failure, outcome.attempts)
