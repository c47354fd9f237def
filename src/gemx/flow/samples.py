"""Possible values of everything that an expression may read, for trying expressions on before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gemx.flow.schema import Flow, FlowInput, Step

_TEXT = "texto"
_HIT = {
    **dict.fromkeys(("id", "document", "path", "heading", "text"), _TEXT),
    **dict.fromkeys(("page", "start", "end"), 1),
    "score": 0.5,
}
# The outputs of each kind of step. What is null here may hold anything.
OUTPUTS: Mapping[str, Mapping[str, Any] | None] = {
    "rag": {"hits": [_HIT], "text": _TEXT, "best": 0.5},
    "prompt": {
        **dict.fromkeys(("text", "model"), _TEXT),
        **dict.fromkeys(("tokens_in", "tokens_out"), 1),
        "json": None,
        "cost_usd": 0.1,
        "finish_reason": "stop",
    },
    "auto": {
        **dict.fromkeys(("model", "note", "text"), _TEXT),
        **dict.fromkeys(("answer", "facts")),
        "findings": [None],
        "warnings": [_TEXT],
        "verified": True,
    },
    "verify": {"pass": True, "problems": [_TEXT], "findings": [None]},
    "run": {"text": _TEXT, "json": None, "exit_code": 0},
    "write": {"path": _TEXT, "bytes": 1},
    "uses": None,
}
STATES = ("done", "skipped", "failed")
_INPUTS: Mapping[str, Any] = {"text": _TEXT, "number": 0.5, "integer": 1, "boolean": True, "list": [None], "object": {}}


def outputs(step: Step) -> Mapping[str, Any] | None:
    """What a step gives: of a `for_each`, what each item gave."""
    own = OUTPUTS[step.kind]
    return {"items": [own], "failed": 0} if step.for_each is not None else own


def of_flow(flow: Flow) -> dict[str, Any]:
    """A value of every name, but for those of the item of a `for_each`."""
    return {
        "inputs": {name: _input(declared) for name, declared in flow.inputs.items()},
        "steps": {step.id: {"outputs": outputs(step), "status": "done", "error": _TEXT} for step in flow.steps},
        "secrets": dict.fromkeys(flow.secrets, _TEXT),
        "run": {"id": _TEXT},
    }


def _input(declared: FlowInput) -> Any:
    return declared.choices[0] if declared.choices else _INPUTS[declared.type]
