"""One step to be done, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from gemx.errors import GemxError
from gemx.flow.context import Context
from gemx.flow.resources import Resources
from gemx.flow.schema import Step
from gemx.flow.shelf import Loaded
from gemx.gateway import Attempt, Origin, Policy


@dataclass(frozen=True)
class Call:
    """A step that is to be done. `spec` is what `filled` gave; `stopping` says whether nothing new may begin."""

    step: Step
    spec: Mapping[str, Any]
    loaded: Loaded
    context: Context
    origin: Origin
    stopping: Callable[[], bool]

    @property
    def resources(self) -> Resources:
        """What the step uses beside the flow."""
        return self.loaded.resources[self.step.id]

    @property
    def policy(self) -> Policy:
        """The policy of its calls, whose clock starts now."""
        policies = self.context.searches if self.step.rag else self.context.policies
        return policies[self.step.id].restarted()


@dataclass(frozen=True)
class Outcome:
    """What a step gave. With `failure` it failed all the same: what it gave says how."""

    outputs: Mapping[str, Any]
    attempts: tuple[Attempt, ...] = ()
    failure: GemxError | None = None


class Kind(Protocol):
    """A kind of step."""

    def filled(self, step: Step, known: Mapping[str, Any]) -> dict[str, Any]:
        """What the step asks, with what its expressions give. Raises ExpressionError."""
        ...

    def run(self, call: Call) -> Outcome:
        """Do it. Raises GemxError where nothing came of it."""
        ...
