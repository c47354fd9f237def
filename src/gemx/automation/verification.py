"""Verify one answer to an automation: read it by the contract, then run every clinical check. Calls nothing."""

from __future__ import annotations

from dataclasses import dataclass

from gemx.automation.facts import Facts
from gemx.automation.protocol import Protocol
from gemx.clinical import answer as contract
from gemx.clinical import checks, findings
from gemx.clinical.answer import Answer
from gemx.clinical.checks import Case, Measured
from gemx.clinical.findings import Finding

CHECKED = (
    "contrato, citações, números, unidades, contas, doses e limites, vias e diluentes, dados do paciente, conjunto"
)


@dataclass(frozen=True)
class Verification:
    """The answer, None where it could not be read, and what is wrong with it."""

    answer: Answer | None
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings for which the answer is refused."""
        return findings.errors(self.findings)


def case_of(protocol: Protocol, facts: Facts, draft: Answer | None, supported: tuple[str, ...] = ()) -> Case:
    """What answers to this automation are checked against, for this patient; `supported` texts may be repeated."""
    output = protocol.automation.output
    return Case(
        patient=facts.patient,
        formulary=protocol.formulary,
        passages=protocol.passages,
        sections=tuple(output.sections) if output else (),
        reference=draft,
        measured=tuple(
            Measured(_names(fact.label), value, fact.digits, fact.result.unit)
            for fact in facts.calculated
            if (value := fact.result.value) is not None
        ),
        supported=supported,
    )


def _names(label: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((label, label.split(" (", maxsplit=1)[0])))


def verify(text: str, case: Case, *, strict: bool = False) -> Verification:
    """Everything that is wrong with an answer's text; `strict` makes what could not be verified an error."""
    answer, found = contract.read_answer(text)
    if answer is not None:
        found = checks.check(answer, case)
    return Verification(answer, tuple(findings.strict(found) if strict else found))
