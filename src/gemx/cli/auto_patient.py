"""The patient of a command: -i over --input, and a question for what is missing where somebody can answer."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gemx.cli import form, options, output
from gemx.errors import InputError, UsageError

if TYPE_CHECKING:
    from gemx.automation.protocol import Protocol
    from gemx.clinical.inputs import Patient

Given = Annotated[
    list[str] | None,
    typer.Option("-i", "--set", metavar="KEY=VALUE", help="A patient's datum, such as peso=70. Repeatable."),
]
InputFile = Annotated[
    list[str] | None, typer.Option("--input", metavar="FILE", help="Patient data in JSON or YAML; `-` is stdin.")
]


def complete(loaded: Protocol, input_files: list[str], given: list[str] | None, *, may_ask: bool) -> Patient:
    """A patient with all that the automation requires. Raises InputError with everything that is missing."""
    from gemx.clinical import inputs

    raw = _raw(input_files, options.pairs(given, "-i"), loaded)
    patient = inputs.read_patient(raw, loaded.inputs)
    absent = inputs.missing(loaded.automation.required, patient)
    if not absent:
        return patient
    if may_ask and output.is_terminal(sys.stdin) and output.is_terminal(sys.stdout):
        answers: dict[str, str] = {}
        form.fill({each.id: form.of_input(each, required=True) for each in absent}, answers)
        return inputs.read_patient({**raw, **answers}, loaded.inputs)
    wanted = "\n".join(f"  {item.id}: {item.label}, {inputs.describe(item)}" for item in absent)
    example = " ".join(f"-i {item.id}=…" for item in absent)
    raise InputError(f"faltam dados obrigatórios:\n{wanted}", hint=f"informe com {example}")


def known(loaded: Protocol, input_files: list[str], given: list[str] | None) -> Patient:
    """What is known of a patient, however little."""
    from gemx.clinical import inputs

    return inputs.read_patient(_raw(input_files, options.pairs(given, "-i"), loaded), loaded.inputs)


def _raw(input_files: list[str], given: dict[str, str], loaded: Protocol) -> dict[str, Any]:
    from gemx.automation import patient_file

    if len(input_files) > 1:
        raise UsageError("--input is given twice", hint="one file, and -i for single values")
    if not input_files:
        return dict(given)
    values, automation = patient_file.read(input_files[0])
    if automation not in (None, loaded.id):
        output.warning(f"aviso: o caso {input_files[0]} é de {automation}, não de {loaded.id}")
    return {**values, **given}
