"""`verify`: check an answer by code, against an automation's contract and its patient, or against a JSON Schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gemx import schemas
from gemx.automation import runner
from gemx.errors import ContractError
from gemx.flow import values
from gemx.flow.schema import Step
from gemx.flow.steps import patient
from gemx.flow.steps.call import Call, Outcome


def filled(step: Step, known: Mapping[str, Any]) -> dict[str, Any]:
    """The answer, and the patient that it is for."""
    asked = step.verify
    assert asked is not None  # noqa: S101
    return {
        "answer": values.written(values.fill(asked.answer, known)),
        "inputs": values.fill(asked.inputs, known),
        "strict": asked.strict,
    }


def run(call: Call) -> Outcome:
    """Check."""
    schema = call.resources.schema
    if schema is not None:
        _, wrong = schemas.validator(schema)(call.spec["answer"])
        return _outcome([str(problem) for problem in wrong], [])
    result = runner.verify(patient.prepared(call, complete=False), call.spec["answer"], strict=call.spec["strict"])
    return _outcome(
        [f"{finding.code}: {finding.message}" for finding in result.errors],
        [vars(finding) for finding in result.findings],
    )


def _outcome(problems: Sequence[str], findings: Sequence[Mapping[str, Any]]) -> Outcome:
    outputs = {"pass": not problems, "problems": problems, "findings": findings}
    return Outcome(outputs, failure=ContractError("; ".join(problems)) if problems else None)
