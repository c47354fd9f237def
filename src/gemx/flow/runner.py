"""Run one item of a flow: its steps in their order, independent ones at once, each through the journal."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import Any, cast

from gemx.errors import GemxError, InputError
from gemx.expression import ExpressionError
from gemx.flow import values
from gemx.flow.context import Asked, Context, context
from gemx.flow.record import Failure, ItemRecord, Journal, StepRecord
from gemx.flow.schema import Step
from gemx.flow.shelf import Loaded
from gemx.flow.task import Task, failure_of

__all__ = ["Asked", "Context", "context", "run_item"]

_AT_ONCE = 4  # items of a `for_each` that says nothing


def run_item(
    loaded: Loaded, inputs: Mapping[str, Any], context: Context, journal: Journal, item: str | None = None
) -> ItemRecord:
    """Run one item, whose `inputs` were read by `inputs.read`; `item` is its key, for the audit.

    What fails is data: `failure` says what. A failure that `stops`, such as a used-up quota, a full disk, or a run that
    is being stopped (code `interrupted`), is none of the item's own: it can be run again, and what was done stays done.
    """
    started = time.monotonic()
    return _Item(Task(loaded, context, journal, item), inputs).run(started)


class _Item:
    """One item on its way: only the thread that runs it changes it. Steps get threads where several can run."""

    def __init__(self, task: Task, inputs: Mapping[str, Any]) -> None:
        self.task = task
        self.flow = task.loaded.flow
        self.waiting = list(task.loaded.order)
        self.ended: dict[str, Mapping[str, Any]] = {}
        self.inputs = inputs
        self.failure: Failure | None = None

    def run(self, started: float) -> ItemRecord:
        with ThreadPoolExecutor(len(self.flow.steps), thread_name_prefix="step") as threads:
            self._steps(threads)
        outputs = None if self.failure else self._outputs()
        return ItemRecord(
            status="failed" if self.failure else "done",
            outputs=outputs,
            failure=self.failure,
            seconds=time.monotonic() - started,
        )

    @property
    def known(self) -> dict[str, Any]:
        """What expressions may read now."""
        nothing = {"outputs": None, "status": None, "error": None}
        steps = {step.id: self.ended.get(step.id, nothing) for step in self.flow.steps}
        return {"inputs": self.inputs, "steps": steps, "run": {"id": self.task.context.run_id}}

    def _steps(self, threads: ThreadPoolExecutor) -> None:
        """Begin each step when those that it waits for have ended; where one fails, those under way still end."""
        running: dict[Future[StepRecord], str] = {}
        while True:
            ready = [] if self.failure else self._ready()
            if len(ready) == 1 and not running:
                # A thread of its own would only wait for this one.
                self._took(ready[0], self._run(ready[0]))
                continue
            running |= {threads.submit(self._run, id): id for id in ready}
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                self._took(running.pop(future), future.result())

    def _ready(self) -> list[str]:
        """The steps that can begin now, taken off those that wait."""
        ready = [id for id in self.waiting if self.task.loaded.needs[id] <= self.ended.keys()]
        self.waiting = [id for id in self.waiting if id not in ready]
        return ready

    def _run(self, id: str) -> StepRecord:
        step = self.flow.step(id)
        known = self.known
        try:
            if step.if_ is not None and not _holds(step.if_, known):
                return self.task.skipped(step)
            if step.for_each is not None:
                return self._each(step, known)
        except ExpressionError as exc:
            return self.task.refused(id, InputError(f"`if` or `for_each` of {id}: {exc}"))
        except GemxError as exc:
            return self.task.refused(id, exc)
        return self.task.done(step, id, known)

    def _each(self, step: Step, known: Mapping[str, Any]) -> StepRecord:
        """The step for every item of its list; with `on_fail: stop` none begins after one that failed."""
        started = time.monotonic()
        items = values.fill(step.for_each, known)
        if not isinstance(items, (list, tuple, type(None))):
            raise InputError(f"`for_each` of {step.id} is no list")
        found = self._all_of(step, known, cast("Sequence[Any]", items or ()))
        failures = [_placed(record.path, record.failure) for record in found if record.failure]
        fatal = next((failure for failure in failures if self._is_fatal(step, failure)), None)
        outputs = {"items": [record.outputs for record in found], "failed": len(failures)}
        return StepRecord(
            step.id, "", "failed" if fatal else "done", outputs, fatal, seconds=time.monotonic() - started
        )

    def _all_of(self, step: Step, known: Mapping[str, Any], items: Sequence[Any]) -> list[StepRecord]:
        stopped: list[StepRecord] = []

        def one(index: int, item: Any) -> StepRecord | None:
            if stopped:
                return None
            record = self.task.done(step, f"{step.id}/{index}", {**known, "item": item, "item_index": index})
            if record.failure and self._is_fatal(step, record.failure):
                stopped.append(record)
            return record

        return [record for record in _at_once(one, items, step.concurrency or _AT_ONCE) if record]

    def _is_fatal(self, step: Step, failure: Failure) -> bool:
        return failure.stops or step.on_fail == "stop"

    def _took(self, id: str, record: StepRecord) -> None:
        failure = record.failure
        status = "failed" if failure else record.status
        error = failure.message if failure else None
        self.ended[id] = {"outputs": record.outputs, "status": status, "error": error}
        # What stops the run comes first: the item is none that failed by itself.
        is_first = self.failure is None or (failure is not None and failure.stops and not self.failure.stops)
        step = self.flow.step(id)
        if failure and is_first and self._is_fatal(step, failure):
            self.failure = failure if step.for_each is not None else _placed(id, failure)

    def _outputs(self) -> Mapping[str, Any] | None:
        try:
            return values.as_json(values.fill(self.flow.outputs, self.known))
        except ExpressionError as exc:
            self.failure = failure_of(InputError(f"`outputs`: {exc}"))
            return None


def _placed(path: str, failure: Failure) -> Failure:
    """The failure of a step as that of the item: it says where."""
    return replace(failure, message=f"{path}: {failure.message}")


def _holds(condition: str | bool, known: Mapping[str, Any]) -> bool:
    return condition if isinstance(condition, bool) else bool(values.condition(condition).evaluate(known))


def _at_once(
    one: Callable[[int, Any], StepRecord | None], items: Sequence[Any], most: int
) -> Sequence[StepRecord | None]:
    if most == 1 or len(items) < 2:
        return [one(index, item) for index, item in enumerate(items)]
    with ThreadPoolExecutor(min(most, len(items)), thread_name_prefix="item") as threads:
        return list(threads.map(one, range(len(items)), items))
