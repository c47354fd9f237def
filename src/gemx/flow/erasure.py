"""Erase what the ledgers of flows hold of one subject, and the rows of it that a batch wrote."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gemx.errors import GemxError, StorageError
from gemx.flow import ledger, output, plan, runs
from gemx.flow.ledger import Ledger, Outcome
from gemx.flow.plan import Plan


@dataclass(frozen=True)
class Erased:
    """What was erased, or would be, of one run: items and rows of its output. `left` says what was not, and why.

    `failure` is why the run could not be looked into, or not erased from.
    """

    run_id: str
    items: int = 0
    rows: int = 0
    left: tuple[str, ...] = ()
    failure: GemxError | None = None


def erase(subject: str, *, dry_run: bool = False) -> list[Erased]:
    """Erase the items about a subject, a keyed hash, from every ledger, and their rows from the outputs of batches.

    An output that is not as the batch wrote it is left alone, and named. A run that is under way or damaged is named.
    """
    found: list[Erased] = []
    for run_id in runs.known():
        try:
            one = _of_run(run_id, subject, dry_run=dry_run)
        except GemxError as exc:
            one = Erased(run_id, left=(f"the run {run_id}: {exc.message}",), failure=exc)
        if one.items or one.left:
            found.append(one)
    return found


def _of_run(run_id: str, subject: str, *, dry_run: bool) -> Erased:
    with runs.held(run_id) as hold:
        if hold is None:
            raise StorageError("it is under way; erase again when it has ended")
        with ledger.opened(runs.ledger(run_id)) as book:
            return _of_ledger(book, run_id, subject, dry_run=dry_run)


def _of_ledger(book: Ledger, run_id: str, subject: str, *, dry_run: bool) -> Erased:
    run = book.run()
    items, lines = book.about(subject)
    if not items or run is None:
        return Erased(run_id)
    asked = plan.of_json(run.asked)
    rows, left = _of_output(asked, book, run_id, lines, dry_run=dry_run)
    if not dry_run:
        # The rows first: without the items nobody knows which they are.
        book.forget(subject)
    files = f"{asked.out_dir}: what `write` steps and `run` steps of {run_id} may have written"
    return Erased(run_id, items, rows, (*left, *([] if asked.command == "auto batch" else [files])))


def _of_output(
    asked: Plan, book: Ledger, run_id: str, lines: frozenset[int], *, dry_run: bool
) -> tuple[int, tuple[str, ...]]:
    """How many rows were taken out of the file of a batch, and what of it is left, and why."""
    if asked.out is None:
        return 0, (f"what {run_id} wrote to standard output",)
    path = Path(asked.out)
    if not path.exists():
        return 0, (f"{path}: it is not there any more; if it was moved, its rows are where it is now",)
    if asked.command == "flow run":
        return 0, (f"{path}: the result of {run_id}",)
    sheet = output.sheet_of(asked, run_id, asked.out)
    if _is(path, output.file(book.outcomes(), sheet)):
        if not dry_run:
            output.write(path, _without(book.outcomes(), lines), sheet)
        return len(lines), ()
    if _is(path, output.file(_without(book.outcomes(), lines), sheet)):
        return 0, ()
    return 0, (f"{path}: it is not as {run_id} wrote it",)


def _without(outcomes: Iterable[Outcome], lines: frozenset[int]) -> Iterator[Outcome]:
    return (each for each in outcomes if each.line not in lines)


def _is(path: Path, wanted: Iterable[bytes]) -> bool:
    """Whether a file holds these bytes and nothing else."""
    try:
        with path.open("rb") as file:
            return all(file.read(len(each)) == each for each in wanted) and not file.read(1)
    except OSError as exc:
        raise StorageError(f"cannot read {path}: {exc.strerror}") from exc
