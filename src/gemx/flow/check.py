"""Check a flow offline: everything that can be known to be wrong before it runs, each at its line and column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from gemx import gateway, knowledge
from gemx.automation import protocol
from gemx.errors import GemxError, InputError, InvalidFileError, Problem, UsageError
from gemx.expression import ExpressionError
from gemx.flow import expressions, graph, inputs, names, resources, samples, values, variables
from gemx.flow.expressions import Use
from gemx.flow.resources import Resources
from gemx.flow.schema import Flow, Step
from gemx.library import Location, Tree, suggest

# Where each kind of step names what it uses.
_NAMED = {
    "rag": ("kb",),
    "run": (0,),
    "prompt": ("template", "schema"),
    "auto": ("name",),
    "verify": ("automation", "schema"),
}


@dataclass(frozen=True)
class Report:
    """What is wrong, what may be, and what the steps use as far as it could be read."""

    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    resources: Mapping[str, Resources]


def check(flow: Flow, tree: Tree, formulary: Path | None = None) -> Report:
    """Check a parsed flow. Calls nothing, and opens no connection."""
    uses, misplaced = expressions.find(flow)
    problems = [tree.problem(each.location, each.message) for each in misplaced]
    problems += _defaults(flow, tree)
    for use in uses:
        problems += _use(flow, tree, use)
    problems += _order(flow, tree)
    found: dict[str, Resources] = {}
    load_protocol = cache(protocol.load)  # an automation takes time to load, and two steps may use one
    for index, step in enumerate(flow.steps):
        problems += _models(tree, index, step)
        problems += _literals(tree, index, step)
        try:
            found[step.id] = resources.of(step, tree.path.parent, formulary, load_protocol)
        except InvalidFileError as exc:
            problems += [_at_step(tree, index, step, "what it uses is not valid"), *exc.problems]
        except GemxError as exc:
            problems.append(_at_step(tree, index, step, exc.message))
        else:
            problems += variables.problems(flow, tree, index, found[step.id])
    problems += _model(tree, ("defaults", "model"), flow.defaults.model)
    problems.sort(key=lambda each: (each.path != tree.path, each.line, each.column))
    return Report(tuple(problems), tuple(_warnings(flow, tree, uses, found)), found)


def _defaults(flow: Flow, tree: Tree) -> Iterator[Problem]:
    for name, declared in flow.inputs.items():
        try:
            inputs.check_default(declared)
        except InputError as exc:
            yield tree.problem(("inputs", name, "default"), f"the default of {name}: {exc.message}")


def _use(flow: Flow, tree: Tree, use: Use) -> Iterator[Problem]:
    known = samples.of_flow(flow)
    if use.has_item:
        known |= {"item": _item(use.step, known), "item_index": 0}
    wrong = [*names.problems(flow, use), *names.item_problems(use, known.get("item"))]
    yield from (tree.problem(use.location, message) for message in wrong)
    if wrong:
        return
    try:
        found = [expression.evaluate(known) for expression in use.expressions]
    except ExpressionError as exc:
        yield tree.problem(use.location, f"{exc} (character {exc.column} of the expression)")
        return
    if use.whole and (message := _misfit(use, found[0])):
        yield tree.problem(use.location, message)


def _item(step: Step | None, known: Mapping[str, Any]) -> Any:
    """A possible item of a step's list; null where it is not known."""
    assert step is not None, "only a step has items"  # noqa: S101
    try:
        found = values.fill(step.for_each, known)
    except ExpressionError:
        return None
    return found[0] if isinstance(found, list) and found else None  # pyright: ignore[reportUnknownVariableType]


def _misfit(use: Use, value: Any) -> str | None:
    """Why a whole value, of which a sample is known, does not go where it stands."""
    if value is None:
        return None
    if use.inner in ("for_each", "prompt.context") and not isinstance(value, list):
        return "expected a list here, and this is none"
    if use.inner in ("auto.inputs", "verify.inputs") and not isinstance(value, Mapping):
        return "expected a mapping of inputs here, such as ${{ inputs }}"
    if use.inner == "write.path" and not isinstance(value, str):
        return "expected a text here, the path of a file"
    return None


def _literals(tree: Tree, index: int, step: Step) -> Iterator[Problem]:
    lists = {("for_each",): step.for_each, ("prompt", "context"): step.prompt.context if step.prompt else None}
    for inner, value in lists.items():
        has_expression = isinstance(value, str) and values.OPEN in value
        if value is not None and not isinstance(value, list) and not has_expression:
            yield tree.problem(("steps", index, *inner), "expected a list, or an expression that gives one")


def _order(flow: Flow, tree: Tree) -> Iterator[Problem]:
    known = [step.id for step in flow.steps]
    for index, step in enumerate(flow.steps):
        for place, id in enumerate(step.needs):
            if id not in known:
                yield tree.problem(("steps", index, "needs", place), f"there is no step {id!r}{suggest(id, known)}")
    try:
        graph.order(graph.needs(flow))
    except graph.CycleError as exc:
        first = next(iter(exc.cycle))
        index = known.index(first)
        # A step that reads what it gives itself has been told so already.
        if len(exc.cycle) > 1 or first in flow.steps[index].needs:
            yield tree.problem(("steps", index, "id"), f"these steps wait for each other: {exc}")


def _models(tree: Tree, index: int, step: Step) -> Iterator[Problem]:
    asked = step.prompt or step.auto
    if asked is not None:
        yield from _model(tree, ("steps", index, step.kind, "model"), asked.model)
        given = {name: str(value) for name, value in asked.options.items()}
        try:
            gateway.check_flags(None, given, ())
        except UsageError as exc:
            yield tree.problem(("steps", index, step.kind, "options"), exc.message)


def _model(tree: Tree, location: Location, name: str | None) -> Iterator[Problem]:
    if name is None or values.OPEN in name:
        return
    try:
        gateway.check_flags(name, {}, ())
    except UsageError as exc:
        yield tree.problem(location, exc.message)


def _at_step(tree: Tree, index: int, step: Step, message: str) -> Problem:
    location: Location = ("steps", index, step.kind)
    named = (key for key in _NAMED.get(step.kind, ()) if (*location, key) in tree.values)
    key = next(named, None)
    return tree.problem(location if key is None else (*location, key), message)


def _warnings(flow: Flow, tree: Tree, uses: list[Use], found: Mapping[str, Resources]) -> Iterator[Problem]:
    for index, step in enumerate(flow.steps):
        base = found[step.id].base if step.id in found else None
        if isinstance(base, str) and not knowledge.exists(base):
            yield tree.problem(("steps", index, "rag", "kb"), f"there is no knowledge base {base!r} here yet")
    read = {name for use in uses for name in use.names}
    for index, secret in enumerate(flow.secrets):
        if f"secrets.{secret}" not in read:
            yield tree.problem(("secrets", index), f"no step reads the secret {secret}")
    if not flow.outputs:
        yield tree.problem((), "the flow has no `outputs`: nothing of it is shown")
