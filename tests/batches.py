"""What tests of batches share: a ledger with lines, and work that stands in for a flow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from gemx.flow import batch, ledger, runs
from gemx.flow.executor import Executor, Threads, Work
from gemx.flow.ledger import Item, Ledger, Line, Run
from gemx.flow.progress import Progress
from gemx.flow.record import Failure, ItemRecord, Journal, StepRecord
from gemx.gateway import Attempt, Usage

RUN = Run("triagem-1", "flow batch", "triagem", "f" * 64, {"items": "p.csv"})
COST = Decimal("0.000012")


def attempt(cost: Decimal | None = COST, error: str | None = None) -> Attempt:
    return Attempt("gemini", "gemini-3.8-flash", 0.2, error, cost, "2026-11-28", Usage(12, 7))


def step(path: str = "draft", key: str = "k1", text: str = "ok", **changes: Any) -> StepRecord:
    return StepRecord(**{"path": path, "key": key, "status": "done", "outputs": {"text": text}, **changes})


def asks(count: int, first: int = 1) -> Iterator[Line]:
    for n in range(first, first + count):
        yield Line(n + 1, f"p{n}", f"key-{n}", {"n": n})


@contextmanager
def opened(count: int = 0, run_id: str = RUN.run_id) -> Iterator[Ledger]:
    with ledger.opened(runs.ledger(run_id)) as found:
        if count:
            found.begin(RUN)
            found.take(asks(count))
        yield found


class Paid:
    """Work of one paid step an item, as a flow would do it; `calls` are the items that were paid for."""

    def __init__(self, before: Callable[[Item], None] | None = None) -> None:
        self.calls: list[str] = []
        self.before = before

    def __call__(self, item: Item, journal: Journal) -> ItemRecord:
        found = journal.find("draft", "k1")
        if found is None:
            if journal.stopping():
                return ItemRecord("failed", failure=Failure("interrupted", "stopped", 130, stops=True))
            if self.before:
                self.before(item)
            self.calls.append(item.key)
            found = step(text=item.key, attempts=(attempt(),), seconds=0.2)
            journal.keep(found)
        return ItemRecord("done", {"answer": found.outputs["text"]} if found.outputs else None, seconds=0.3)


def run(
    found: Ledger, work: Work, size: int = 4, tell: Callable[[Progress], None] | None = None, **how: Any
) -> batch.Ending:
    with runs.held(RUN.run_id) as hold:
        assert hold is not None
        executor: Executor = Threads(work, size)
        return batch.run(found, executor, hold, tell or (lambda _: None), **how)


def path() -> Path:
    return runs.ledger(RUN.run_id)
