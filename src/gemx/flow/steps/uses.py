"""`uses`: a step that an enabled plugin offers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gemx import plugins
from gemx.errors import GemxError
from gemx.flow import values
from gemx.flow.schema import Step
from gemx.flow.steps.call import Call, Outcome
from gemx.plugins import flow_steps


def filled(step: Step, known: Mapping[str, Any]) -> dict[str, Any]:
    """What the plugin is given."""
    return {"with": values.fill(step.with_, known)}


def run(call: Call) -> Outcome:
    """Call it. Raises PluginError where it fails, or gives what is no JSON object."""
    offer = call.resources.plugin
    assert offer is not None  # noqa: S101
    function = flow_steps.of(offer)
    try:
        given: Any = function(call.spec["with"])
        outputs = values.as_json(given)
    except GemxError:
        raise
    except plugins.FAULTS as exc:
        raise plugins.failed(offer, exc) from exc
    if not isinstance(outputs, dict):
        raise plugins.broken(offer, f"expected a mapping of outputs, not {type(given).__name__}")
    return Outcome(outputs)  # pyright: ignore[reportUnknownArgumentType]
