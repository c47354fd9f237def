"""Find and load flows by name or path: the file, its checks, and what its steps use, read once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gemx import library
from gemx.errors import InvalidFileError, Problem, StorageError
from gemx.flow import check, graph
from gemx.flow.resources import Resources
from gemx.flow.schema import HEADER, Flow
from gemx.library import Found, Tree


@dataclass(frozen=True)
class Loaded:
    """A flow that was checked, the file that it was read from, and what its steps use, by step.

    `needs` has the steps that each one waits for; `order` is one order in which they can run. `warnings` do not keep it
    from running. `formulary` is the folder of drugs in place of the packaged ones.
    """

    flow: Flow
    found: Found
    tree: Tree
    needs: Mapping[str, frozenset[str]]
    order: tuple[str, ...]
    resources: Mapping[str, Resources]
    warnings: tuple[Problem, ...] = ()
    formulary: Path | None = None

    @property
    def name(self) -> str:
        """The flow's name, or that of its file."""
        return self.flow.name or self.found.name

    @property
    def sha256(self) -> str:
        """The hash of the file's bytes."""
        return self.tree.sha256

    @property
    def path(self) -> Path | None:
        """Its file, where it does not ship with gemx."""
        return None if self.found.origin == "gemx" else self.found.path.absolute()

    @property
    def commands(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """What it would run with --allow-run: the id and the argument list of each such step."""
        return tuple((step.id, tuple(step.run)) for step in self.flow.steps if step.run is not None)


def load(name: str, formulary: Path | None = None) -> Loaded:
    """A flow by name or path. Raises NotFoundError, StorageError, or InvalidFileError with every problem found."""
    found = library.find("flows", name)
    try:
        data = found.path.read_bytes()
    except OSError as exc:
        raise StorageError(f"cannot read {found.path}: {exc.strerror}") from exc
    return parse(data, found, formulary)


def parse(data: bytes, found: Found, formulary: Path | None = None) -> Loaded:
    """A flow from the bytes of a file, which need not be there; paths are relative to its folder.

    Raises InvalidFileError with every problem found.
    """
    tree = library.parse(data, found.path)
    flow = library.validate(tree, Flow, HEADER)
    report = check.check(flow, tree, formulary)
    if report.problems:
        raise InvalidFileError(list(report.problems))
    needs = graph.needs(flow)
    return Loaded(flow, found, tree, needs, graph.order(needs), report.resources, tuple(report.warnings), formulary)
