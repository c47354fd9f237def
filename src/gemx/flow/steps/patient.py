"""The patient of a step, from what the flow gives it. Messages are in pt-BR."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from gemx.automation import runner
from gemx.automation.runner import Run
from gemx.clinical import inputs
from gemx.errors import InputError
from gemx.flow.steps.call import Call


def prepared(call: Call, *, complete: bool) -> Run:
    """The step's automation for its patient; `complete`: everything that it requires must be known.

    Raises InputError.
    """
    protocol = call.resources.protocol
    assert protocol is not None  # noqa: S101
    given = call.spec["inputs"]
    if not isinstance(given, Mapping):
        raise InputError("esperado um mapa de dados do paciente, como ${{ inputs }}")
    patient = inputs.read_patient(cast("Mapping[str, Any]", given), protocol.inputs)
    absent = inputs.missing(protocol.automation.required, patient) if complete else []
    if absent:
        wanted = ", ".join(f"{item.id} ({item.label})" for item in absent)
        raise InputError(f"faltam dados obrigatórios de {protocol.id}: {wanted}")
    return runner.prepare(protocol, patient, call.origin)
