"""Run an automation for one patient: facts, draft and prompt, the door, the contract, a result.

Failed verification is data of the result, not an exception. Prints nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from gemx import gateway
from gemx.automation import draft, prompt
from gemx.automation.facts import Facts, compute_facts
from gemx.automation.protocol import Protocol
from gemx.clinical import answer as contract
from gemx.clinical.answer import Answer
from gemx.clinical.findings import Finding
from gemx.clinical.inputs import Patient
from gemx.gateway import Origin, Policy, Reply, Request

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
    """What came of a run. `answer` is None where the reply is no such answer, or where there is no contract to hold."""

    run: Run
    policy: Policy
    reply: Reply
    answer: Answer | None
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings for which the answer is refused."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    @property
    def verified(self) -> bool:
        """Whether the clinical checks passed; contract and citations alone do not verify a prescription."""
        return False

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader should know: of the automation, of the patient's data, of the model that answered."""
        substitution = gateway.substitution(self.reply, self.policy)
        return (*self.run.warnings, *([substitution] if substitution else []))

    @property
    def model(self) -> str:
        """The provider and the model, as it named itself in its answer."""
        provider = self.policy.route.provider
        return provider if provider == self.reply.model else f"{provider}:{self.reply.model}"


def prepare(protocol: Protocol, patient: Patient) -> Run:
    """Compute the facts and compose the request. Raises InputError; calls nothing."""
    facts = compute_facts(protocol, patient)
    origin = Origin(
        command=COMMAND,
        run_id=gateway.new_run_id(),
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


def execute(run: Run, policy: Policy, repairs: int = 0) -> Result:
    """Make the call and hold its answer to the contract. Raises GemxError where there is no reply at all."""
    output = run.protocol.automation.output
    if output is None:
        return Result(run, policy, gateway.call(run.request, policy), None, ())

    def validate(text: str) -> tuple[Any, Sequence[object]]:
        answer, findings = contract.read_answer(text)
        if answer is not None:
            findings = contract.check_answer(answer, run.protocol.passages, output.sections)
        return (answer, findings), [finding for finding in findings if finding.severity == "error"]

    reply = gateway.structured(run.request, policy, validate, repairs)
    if reply.value is None:
        cut = Finding("contract.cut", "error", "", "a resposta foi cortada no limite de tokens")
        return Result(run, policy, reply, None, (cut,))
    answer, findings = reply.value
    return Result(run, policy, reply, answer, tuple(findings))


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
