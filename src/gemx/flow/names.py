"""Check the names that the expressions of a flow read: that each is known, and may be read where it stands."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from gemx.flow import samples
from gemx.flow.expressions import Use
from gemx.flow.schema import Flow
from gemx.library import suggest

_STEP_PARTS = ("outputs", "status", "error")
# An input of one of these types has parts of its own.
_OPEN_TYPES = ("list", "object")


def problems(flow: Flow, use: Use) -> Iterator[str]:
    """What is wrong with the names of one text."""
    for name in sorted(use.names):
        head, *rest = name.split(".")
        if head not in _CHECKS:
            yield f"unknown name {name!r}{suggest(head, _CHECKS)}; expected {', '.join(_CHECKS)}"
        elif message := _CHECKS[head](flow, use, rest):
            yield f"{name!r}: {message}"
    for expression in use.expressions:
        for name, text in expression.texts:
            if (known := _choices(flow, name)) and text not in known:
                yield f"{name!r} is never {text!r}{suggest(text, known)}; it is one of: {', '.join(known)}"


def item_problems(use: Use, item: Any) -> Iterator[str]:
    """What is wrong with what one text reads of an item, of which a sample is known."""
    for name in sorted(use.names):
        head, *rest = name.split(".")
        if head == "item" and (message := _part(item, rest, "these items")):
            yield f"{name!r}: {message}"


def _choices(flow: Flow, name: str) -> Sequence[str]:
    """The texts that a name can be, where they are known."""
    head, *rest = name.split(".")
    if head == "inputs" and len(rest) == 1 and rest[0] in flow.inputs:
        return flow.inputs[rest[0]].choices
    return samples.STATES if head == "steps" and rest[1:] == ["status"] else ()


def _inputs(flow: Flow, use: Use, rest: list[str]) -> str | None:
    if not rest:
        return None
    declared = flow.inputs.get(rest[0])
    if declared is None:
        return f"the flow has no input {rest[0]!r}{suggest(rest[0], flow.inputs)}"
    if len(rest) > 1 and declared.type not in _OPEN_TYPES:
        return f"the input {rest[0]!r} is a {declared.type}, which has no parts"
    return None


def _steps(flow: Flow, use: Use, rest: list[str]) -> str | None:
    known = {step.id: step for step in flow.steps}
    if not rest:
        return "name a step, such as steps.ID.outputs.text"
    if rest[0] not in known:
        return f"there is no step {rest[0]!r}{suggest(rest[0], known)}"
    if use.step is not None and use.step.id == rest[0]:
        return "a step cannot read what it gives itself"
    if len(rest) == 1 or rest[1] not in _STEP_PARTS:
        return f"a step has {', '.join(_STEP_PARTS)}{suggest(rest[1], _STEP_PARTS) if rest[1:] else ''}"
    if rest[1] != "outputs":
        return f"`{rest[1]}` has no parts" if len(rest) > 2 else None
    return _part(samples.outputs(known[rest[0]]), rest[2:], f"the outputs of {rest[0]}")


def _part(value: Any, rest: list[str], said: str) -> str | None:
    """Why a known value cannot have such a part; where it is null, it may hold anything."""
    if not rest or value is None:
        return None
    part = rest[0]
    if isinstance(value, Mapping):
        if part not in value:
            known: list[str] = list(value)  # pyright: ignore[reportUnknownArgumentType]
            return f"{said} have no {part!r}{suggest(part, known)}; they have: {', '.join(known)}"
        return _part(value[part], rest[1:], f"`{part}`")
    if isinstance(value, list):
        return (
            _part(value[0], rest[1:], "its items")
            if part.isdecimal()
            else f"{said} is a list: read {part!r} of an item, such as 0"
        )
    return f"{said} has no parts"


def _item(flow: Flow, use: Use, rest: list[str]) -> str | None:
    return None if use.has_item else "only a step with `for_each` has an item, once its list is known"


def _item_index(flow: Flow, use: Use, rest: list[str]) -> str | None:
    return "a number has no parts" if rest else _item(flow, use, rest)


def _secrets(flow: Flow, use: Use, rest: list[str]) -> str | None:
    if not use.takes_secrets:
        return "secrets are read by `env` and `stdin` of a `run` step alone"
    if len(rest) != 1 or rest[0] not in flow.secrets:
        near = suggest(rest[0], flow.secrets) if rest else ""
        return f"the flow names no such secret{near}; list it under `secrets`"
    return None


def _run(flow: Flow, use: Use, rest: list[str]) -> str | None:
    return None if rest == ["id"] else "a run has an `id` alone"


_CHECKS: dict[str, Callable[[Flow, Use, list[str]], str | None]] = {
    "inputs": _inputs,
    "steps": _steps,
    "item": _item,
    "item_index": _item_index,
    "secrets": _secrets,
    "run": _run,
}
