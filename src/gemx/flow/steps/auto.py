"""`auto`: run a clinical automation for a patient. An answer with errors fails the step."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from gemx.automation import render, results, runner, view
from gemx.automation.runner import Result
from gemx.errors import ContractError, GemxError, TruncatedError
from gemx.flow import values
from gemx.flow.schema import Step
from gemx.flow.steps import patient
from gemx.flow.steps.call import Call, Outcome

_SHOWN = ("answer", "findings", "warnings", "verified", "model")


def filled(step: Step, known: Mapping[str, Any]) -> dict[str, Any]:
    """The patient's data, and how the answer is held to its contract."""
    assert step.auto is not None  # noqa: S101
    inputs = values.fill(step.auto.inputs, known)
    return {"inputs": inputs, "repair": step.auto.repair, "strict": step.auto.strict}


def run(call: Call) -> Outcome:
    """Run the automation, and verify its answer."""
    prepared = patient.prepared(call, complete=True)
    result = runner.execute(prepared, call.policy, call.spec["repair"], strict=call.spec["strict"])
    return Outcome(_outputs(result), result.attempts, _failure(result))


def _outputs(result: Result) -> dict[str, Any]:
    data = results.data(result)
    note = render.to_markdown(view.note(result, datetime.now(UTC)))
    shown = {fact.name: fact.shown for fact in result.run.facts.calculated}
    facts = {fact["name"]: {**fact, "shown": shown[fact["name"]]} for fact in data["facts"]}
    return {**{name: data[name] for name in _SHOWN}, "facts": facts, "note": note, "text": result.text}


def _failure(result: Result) -> GemxError | None:
    if errors := result.errors:
        count = "1 error" if len(errors) == 1 else f"{len(errors)} errors"
        return ContractError(f"the answer of {result.model} is refused: {count}, first {errors[0].code}")
    if result.cut:
        return TruncatedError("the answer was cut at the token limit", hint="raise it with options.max_output_tokens")
    return None
