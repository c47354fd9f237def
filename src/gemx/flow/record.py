"""What is known of steps and items that were run: the values that runner, ledger and executors hand to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from gemx.gateway import Attempt

StepStatus = Literal["done", "skipped", "failed"]
ItemStatus = Literal["done", "failed"]


@dataclass(frozen=True)
class Failure:
    """Why something failed: the code and exit code of its error, and what a person reads.

    `stops` says that going on with other items would fail as well, such as a quota or a budget that is used up.
    """

    code: str
    message: str
    exit_code: int
    hint: str | None = None
    retryable: bool = False
    stops: bool = False


@dataclass(frozen=True)
class StepRecord:
    """One step of one item. `path` is its id, with `/n` behind it for the n-th item of a `for_each`, from 0.

    `key` is the hash of what was asked, expressions filled in: a step that was done under the same key is not done
    again. `outputs` is JSON. `attempts` are the calls that it took, `seconds` its time.
    """

    path: str
    key: str
    status: StepStatus
    outputs: Mapping[str, Any] | None = None
    failure: Failure | None = None
    attempts: tuple[Attempt, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class ItemRecord:
    """One item, ended. `outputs` are the flow's own, as JSON."""

    status: ItemStatus
    outputs: Mapping[str, Any] | None = None
    failure: Failure | None = None
    seconds: float = 0.0


class Journal(Protocol):
    """Where the steps of one item are kept while it runs."""

    def find(self, path: str, key: str) -> StepRecord | None:
        """The record of a step that was done under this key."""
        ...

    def keep(self, record: StepRecord) -> None:
        """Keep a record: on the disk when this returns. Raises StorageError, and StoppedError where it is too late."""
        ...

    def stopping(self) -> bool:
        """Whether no new call may be made: the run is being stopped."""
        ...
