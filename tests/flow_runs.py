"""Run one item of a flow as a batch does, with its journal in memory."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gemx import gateway, settings
from gemx.flow import inputs, runner, shelf
from gemx.flow.record import ItemRecord, StepRecord
from gemx.flow.runner import Asked
from gemx.flow.shelf import Loaded


@dataclass
class Kept:
    """A journal; `stop` says when the run is being stopped."""

    records: list[StepRecord] = field(default_factory=list)
    stop: Callable[[], bool] = lambda: False

    def find(self, path: str, key: str) -> StepRecord | None:
        found = (each for each in self.records if (each.path, each.key, each.status) == (path, key, "done"))
        return next(found, None)

    def keep(self, record: StepRecord) -> None:
        self.records.append(record)

    def stopping(self) -> bool:
        return self.stop()

    def of(self, path: str) -> StepRecord:
        (found,) = [each for each in self.records if each.path == path]
        return found


def written(folder: Path, text: str, name: str = "fluxo.yml") -> str:
    """A flow file, its header put before it; returns its path."""
    path = folder / name
    path.write_text("gemx: flow/v1\n" + textwrap.dedent(text), encoding="utf-8")
    return str(path)


def context(loaded: Loaded, out_dir: Path, **asked: Any) -> runner.Context:
    """The context of a run on `extractive`, unless another model is asked for."""
    allow_run = asked.pop("allow_run", False)
    return runner.context(
        loaded,
        settings.load(),
        Asked(**{"model": "extractive", **asked}),
        command="flow run",
        run_id=gateway.new_run_id(),
        out_dir=out_dir,
        allow_run=allow_run,
    )


def run(
    name: str, given: Mapping[str, Any] | None = None, *, journal: Kept | None = None, out_dir: Path, **asked: Any
) -> ItemRecord:
    """Run a flow by name or path for one item."""
    loaded = shelf.load(name)
    found = context(loaded, out_dir, **asked)
    return runner.run_item(loaded, inputs.read(loaded.flow, given or {}), found, journal or Kept())
