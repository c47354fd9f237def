"""What is asked of a run, as its ledger keeps it: the same plan is the same run, which can be asked again by its id."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from gemx import library
from gemx.audit import record
from gemx.automation import protocol
from gemx.clinical import answer
from gemx.clinical import inputs as patients
from gemx.errors import InputError
from gemx.flow import hashes, inputs, runs, shelf
from gemx.flow.context import Context
from gemx.flow.items import STDIN
from gemx.flow.shelf import Loaded
from gemx.library import Found
from gemx.settings import Guard, Network

Command = Literal["flow run", "flow batch", "auto batch"]
Read = Callable[[Mapping[str, Any]], Mapping[str, Any]]

_AUTOMATION = """\
gemx: flow/v1
inputs:
  patient: {{type: object, required: true}}
steps:
  - id: auto
    auto: {{name: "./{name}", inputs: "${{{{ inputs.patient }}}}", repair: {repair}, strict: {strict}}}
outputs:
  answer: ${{{{ steps.auto.outputs.answer }}}}
  findings: ${{{{ steps.auto.outputs.findings }}}}
  verified: ${{{{ steps.auto.outputs.verified }}}}
  model: ${{{{ steps.auto.outputs.model }}}}
  note: ${{{{ steps.auto.outputs.note }}}}
"""


@dataclass(frozen=True)
class Plan:
    """Everything that a command asks of a run. `name` is the flow's, or the automation's: a name, or an absolute path.

    `subject` is a keyed hash, never the subject itself; `subject_from` is the column that names it, of each row.
    `items` and `out` are absolute paths; `items` may be `-`, for standard input. `network` includes --local-only.
    `outputs` are the names of what the flow gives; `csv`, `delimiter` and `marked` say how the items were written.
    """

    command: Command
    name: str
    items: str | None = None
    out: str | None = None
    out_dir: str = "."
    concurrency: int | None = None
    model: str | None = None
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    fallback: tuple[str, ...] = ()
    guard: Guard | None = None
    network: Network | None = None
    max_cost: float | None = None
    timeout: float | None = None
    tries: int | None = None
    profile: str | None = None
    formulary: str | None = None
    allow_run: bool = False
    repair: int = 0
    strict: bool = False
    subject: str | None = None
    subject_from: str | None = None
    outputs: tuple[str, ...] = ()
    csv: bool = False
    delimiter: str = ","
    marked: bool = False

    def batch_id(self) -> str:
        """The id of its run: the same for the same command with the same flow and files."""
        return runs.identity(self.command, self.name, self.items or STDIN, self.out or STDIN)

    def as_json(self) -> dict[str, Any]:
        """The plan as JSON."""
        return asdict(self)


def of_json(asked: Mapping[str, Any]) -> Plan:
    """The plan of a ledger; what this version does not know of it is left out."""
    known = {each.name for each in fields(Plan)}
    given: dict[str, Any] = {name: value for name, value in asked.items() if name in known}
    given |= {name: tuple(given.get(name, ())) for name in ("fallback", "outputs")}
    return Plan(**given)


def load(plan: Plan) -> Loaded:
    """The flow of a plan; of an automation, the flow that does nothing else. Raises NotFoundError, InvalidFileError."""
    formulary = Path(plan.formulary) if plan.formulary else None
    if plan.command != "auto batch":
        return shelf.load(plan.name, formulary)
    found = library.find("automations", plan.name)
    text = _AUTOMATION.format(name=found.path.name, repair=plan.repair, strict=str(plan.strict).lower())
    # Beside the automation: there its paths lead where those of the automation lead.
    beside = Found(found.name, found.path.with_name(f"{found.path.stem}.batch.yaml"), found.origin)
    return shelf.parse(text.encode(), beside, formulary)


def named(kind: Literal["flows", "automations"], name: str) -> str:
    """A name as a plan has it: of what does not ship with gemx, the absolute path. Raises NotFoundError."""
    found = library.find(kind, name)
    return found.name if found.origin == "gemx" else str(found.path.absolute())


def reader(plan: Plan, loaded: Loaded) -> Read:
    """What reads the values of a row; it raises InputError, in pt-BR, on what flow or automation cannot take."""
    if plan.command != "auto batch":
        own = _unless_known(plan.subject_from, loaded.flow.inputs)
        return lambda raw: inputs.read(loaded.flow, _without(raw, own))
    found = loaded.resources["auto"].protocol
    assert found is not None, "an automation's flow has its step"  # noqa: S101
    own = _unless_known(plan.subject_from, found.inputs)
    return lambda raw: {"patient": _patient(found, _without(raw, own))}


def subject_of(plan: Plan) -> Callable[[Mapping[str, Any]], str | None]:
    """What tells whom a row is about; it raises InputError, in pt-BR, where the column that says so does not."""
    column = plan.subject_from
    if column is None:
        return lambda raw: plan.subject

    def of(raw: Mapping[str, Any]) -> str | None:
        value = raw.get(column)
        if value is None or not str(value).strip():
            raise InputError(f"a coluna {column} não diz de quem é a linha (--subject-from)")
        return record.subject(str(value))

    return of


def _unless_known(column: str | None, known: Container[str]) -> str | None:
    """A column that only says whom a row is about, and is no input."""
    return None if column is None or column in known else column


def _without(raw: Mapping[str, Any], column: str | None) -> Mapping[str, Any]:
    return {name: value for name, value in raw.items() if name != column}


def names_rows(loaded: Loaded) -> bool:
    """Whether a column `id` only names its row: the flow has no input of that name."""
    return "id" not in loaded.flow.inputs


def identity(loaded: Loaded, context: Context) -> str:
    """A hash of all but the inputs that an answer depends on: the flow, what it uses, models, options, instructions."""
    asked = {
        id: [str(policy.route), policy.defaults.given(), policy.asked.given()]
        for id, policy in context.policies.items()
    }
    return hashes.of_value([loaded.sha256, dict(context.uses), asked, context.settings.instruction()])


def _patient(found: protocol.Protocol, raw: Mapping[str, Any]) -> Any:
    patient = patients.read_patient(raw, found.inputs)
    if absent := patients.missing(found.automation.required, patient):
        raise InputError(f"faltam dados obrigatórios: {', '.join(f'{each.id} ({each.label})' for each in absent)}")
    return answer.plain(dict(raw))
