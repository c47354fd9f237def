"""Run an automation for one patient: facts, draft and prompt, the door, the checks, a result.

Failed verification is data of the result, not an exception, and each round of it is on record. Prints nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import count
from typing import Any

from gemx import gateway
from gemx.audit import record, writer
from gemx.automation import draft, prompt, verification
from gemx.automation.facts import Facts, compute_facts
from gemx.automation.protocol import Protocol
from gemx.automation.verification import Verification
from gemx.clinical import findings as judged
from gemx.clinical.answer import Answer
from gemx.clinical.findings import FAMILIES, Finding
from gemx.clinical.inputs import Patient
from gemx.gateway import Attempt, Origin, Policy, Request, Substitution, Usage

COMMAND = "auto run"


@dataclass(frozen=True)
class Run:
    """An automation ready to be called: what code computed and composed, and the request that would be made."""

    run_id: str
    protocol: Protocol
    facts: Facts
    draft: Answer | None
    request: Request
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Result:
    """What came of a run, or of an answer from elsewhere (`model` is None then).

    `answer` is None where the text is no such answer, or where there is no contract to hold.
    """

    run: Run
    answer: Answer | None
    findings: tuple[Finding, ...]
    model: str | None
    text: str
    usage: Usage = field(default_factory=Usage)
    attempts: tuple[Attempt, ...] = ()
    cut: bool = False
    substitution: Substitution | None = None

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings for which the answer is refused."""
        return judged.errors(self.findings)

    @property
    def verified(self) -> bool:
        """Whether all that applies was checked and nothing is wrong; free text never is."""
        return self.answer is not None and judged.verified(self.findings)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader should know: of the automation, of the patient's data, of the model that answered."""
        return (*self.run.warnings, *([_substituted(self.substitution)] if self.substitution else []))


def prepare(protocol: Protocol, patient: Patient, caller: Origin | None = None) -> Run:
    """Compute the facts and compose the request; `caller` is who asks, where it is not `auto run`.

    Raises InputError; calls nothing.
    """
    facts = compute_facts(protocol, patient)
    origin = replace(
        caller or Origin(COMMAND, gateway.new_run_id()),
        automation=protocol.id,
        automation_version=protocol.automation.version,
        automation_sha256=protocol.sha256,
        formulary_path=str(protocol.formulary_dir.absolute()) if protocol.formulary_dir else None,
        automation_path=None if protocol.found.origin == "gemx" else str(protocol.found.path.absolute()),
    )
    composed = draft.compose(protocol, facts) if protocol.automation.output else None
    if composed is None:
        request = prompt.free_request(protocol, facts, origin)
    else:
        request = prompt.contract_request(protocol, facts, composed, origin)
    return Run(origin.run_id, protocol, facts, composed, request, (*_maintenance(protocol), *patient.notes))


def execute(run: Run, policy: Policy, repairs: int = 0, *, strict: bool = False) -> Result:
    """Make the call and verify its answer; what is wrong goes back to the model at most `repairs` times.

    Raises GemxError where there is no reply at all.
    """
    if run.protocol.automation.output is None:
        return _result(run, policy, gateway.call(run.request, policy), None)
    case = verification.case_of(run.protocol, run.facts, run.draft, _supplied(run))
    rounds = count()

    def validate(text: str) -> tuple[Any, Sequence[object]]:
        found = verification.verify(text, case, strict=strict)
        return (found if found.answer else None), found.errors

    def on_round(reply: gateway.Reply) -> None:
        _record(run, _verified(reply), next(rounds), reply.route)

    reply = gateway.structured(run.request, policy, validate, repairs, on_round=on_round)
    return _result(run, policy, reply, _verified(reply))


def _verified(reply: gateway.Reply) -> Verification:
    """What a judged reply says: its verification, or why there was no answer to verify."""
    if reply.finish_reason == "length":
        cut = Finding("contract.cut", "error", "", "a resposta foi cortada no limite de tokens")
        return Verification(None, (cut,))
    return reply.value or Verification(None, tuple(each for each in reply.problems if isinstance(each, Finding)))


def verify(run: Run, text: str, *, strict: bool = False) -> Result:
    """Verify an answer from elsewhere. Raises StorageError; calls no model."""
    case = verification.case_of(run.protocol, run.facts, run.draft, _supplied(run))
    writer.check_writable()
    found = verification.verify(text, case, strict=strict)
    _record(run, found, 0, None)
    return Result(run, found.answer, found.findings, None, text)


def _supplied(run: Run) -> tuple[str, ...]:
    """The texts that the model is given: an answer may repeat their amounts."""
    return tuple(message.text for message in run.request.messages)


def _result(run: Run, policy: Policy, reply: gateway.Reply, found: Verification | None) -> Result:
    provider = reply.route.partition(":")[0]
    return Result(
        run=run,
        answer=found.answer if found else None,
        findings=found.findings if found else (),
        model=provider if provider == reply.model else f"{provider}:{reply.model}",
        text=reply.text,
        usage=reply.usage,
        attempts=reply.attempts,
        cut=reply.finish_reason == "length",
        substitution=gateway.substitution(reply, policy),
    )


def _substituted(found: Substitution) -> str:
    if found.failed:
        return f"resposta de {found.answered}: {found.asked}, que foi pedido, não respondeu"
    return f"resposta de {found.answered}, e não de {found.asked}, que foi pedido"


def _record(run: Run, found: Verification, number: int, model: str | None) -> None:
    origin = run.request.origin
    writer.append(
        record.result(
            run_id=run.run_id,
            command=origin.command,
            subject=origin.subject,
            about=origin.about,
            model=model,
            repair_round=number,
            verified=found.answer is not None and judged.verified(found.findings),
            checks=FAMILIES,
            findings=found.findings,
        )
    )


def _maintenance(protocol: Protocol) -> list[str]:
    automation = protocol.automation
    warnings: list[str] = []
    if protocol.found.origin != "gemx":
        warnings.append(f"automação de {protocol.found.path}, que não vem com o gemx")
    if protocol.formulary_dir:
        warnings.append(f"formulário de {protocol.formulary_dir}, que não vem com o gemx")
    if automation.guideline and automation.guideline.superseded_by:
        name = f"{automation.guideline.name} {automation.guideline.version}"
        warnings.append(f"diretriz {name} superada por {automation.guideline.superseded_by}")
    if automation.maintenance and automation.maintenance.next_review < date.today():
        due = automation.maintenance.next_review.isoformat()
        warnings.append(f"a revisão desta automação venceu em {due}")
    if automation.output is None:
        warnings.append("esta automação só tem `prompt`: a resposta é texto livre, não verificado")
    return warnings
