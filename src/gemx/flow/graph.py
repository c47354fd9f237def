"""The steps of a flow as a graph: what waits for what, an order, and drawings of it. Runs nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gemx.flow import expressions
from gemx.flow.schema import Flow, Step

_KIND_WIDTH = 6


class CycleError(ValueError):
    """Steps that wait for each other; `cycle` has their ids, each waiting for the next and the last for the first."""

    def __init__(self, cycle: tuple[str, ...]) -> None:
        super().__init__(" → ".join((*cycle, cycle[0])))
        self.cycle = cycle


def needs(flow: Flow) -> Mapping[str, frozenset[str]]:
    """The ids of the steps that each step waits for: those that its expressions read, and those of its `needs`.

    Ids of no step are left out.
    """
    found: dict[str, set[str]] = {step.id: set(step.needs) for step in flow.steps}
    for use in expressions.find(flow)[0]:
        if use.step is not None:
            found[use.step.id] |= expressions.waits_for(use)
    return {id: frozenset(waited & found.keys()) for id, waited in found.items()}


def order(needs: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
    """One order in which the steps can run, as near to that of the file as can be. Raises CycleError."""
    found: list[str] = []
    left = dict(needs)
    while left:
        ready = next((id for id, waited in left.items() if waited.isdisjoint(left)), None)
        if ready is None:
            raise CycleError(_cycle(left))
        found.append(ready)
        del left[ready]
    return tuple(found)


def levels(needs: Mapping[str, frozenset[str]]) -> list[tuple[str, ...]]:
    """The steps by when they can begin: those of one level wait for nothing but earlier levels."""
    depth: dict[str, int] = {}
    for id in order(needs):
        depth[id] = max((depth[waited] + 1 for waited in needs[id]), default=0)
    return [tuple(id for id in needs if depth[id] == level) for level in range(max(depth.values()) + 1)]


def drawing(flow: Flow, needs: Mapping[str, frozenset[str]]) -> str:
    """The flow for a terminal: a level below the other, a step a line, with what it waits for."""
    wide = max(len(step.id) for step in flow.steps)
    lines: list[str] = []
    for number, level in enumerate(levels(needs), start=1):
        lines += ["   │"] if lines else []
        for index, id in enumerate(level):
            step = flow.step(id)
            mark = f"{number:>2} " if index == 0 else "   "
            lines.append(f"{mark}{_corner(index, len(level))} {id:<{wide}}  {_described(step, needs)}".rstrip())
    return "\n".join(lines)


def mermaid(flow: Flow, needs: Mapping[str, frozenset[str]]) -> str:
    """The flow as a Mermaid flowchart; ids hold nothing that Mermaid would read as its own."""
    lines = ["flowchart TD"]
    lines += [f'    s_{step.id}["{step.id}<br/>{_kind(step)}"]' for step in flow.steps]
    lines += [f"    {edge}" for edge in _edges(flow, needs)]
    return "\n".join(lines)


def _edges(flow: Flow, needs: Mapping[str, frozenset[str]]) -> Iterator[str]:
    for step in flow.steps:
        arrow = "-. if .->" if step.if_ is not None else "-->"
        for waited in (other.id for other in flow.steps if other.id in needs[step.id]):
            yield f"s_{waited} {arrow} s_{step.id}"


def _corner(index: int, count: int) -> str:
    if count == 1:
        return "●"
    return "┌" if index == 0 else "└" if index == count - 1 else "├"


def _kind(step: Step) -> str:
    return f"for_each {step.kind}" if step.for_each is not None else step.kind


def _described(step: Step, needs: Mapping[str, frozenset[str]]) -> str:
    waited = [id for id in needs if id in needs[step.id]]
    said = [f"{_kind(step):<{_KIND_WIDTH}}", f"← {', '.join(waited)}" if waited else ""]
    said += ["if" if step.if_ is not None else "", "on_fail: continue" if step.on_fail == "continue" else ""]
    return "  ".join(part for part in said if part)


def _cycle(left: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
    """A cycle among steps of which each waits for another of them."""
    path: list[str] = []
    id = next(iter(left))
    while id not in path:
        path.append(id)
        id = min(left[id] & left.keys())
    return tuple(path[path.index(id) :])
