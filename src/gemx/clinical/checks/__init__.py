"""Check an answer against a patient, an automation's material and the formulary: an answer in, findings out.

`automations/rules.yaml` explains each code of a finding. No model is asked, no file is read.
"""

from __future__ import annotations

from gemx.clinical.answer import Answer
from gemx.clinical.checks import arithmetic, limits, patients, product, row, statements, together
from gemx.clinical.checks.case import Case, Measured
from gemx.clinical.findings import Finding

__all__ = ["Case", "Measured", "check"]


def check(answer: Answer, case: Case) -> list[Finding]:
    """Everything that is wrong with an answer, in its order; empty where all that applies was checked and is right."""
    rows = [row.read(index, item, case) for index, item in enumerate(answer.farmacoterapia)]
    references = together.references_of(case)
    findings = list(statements.check(answer, rows, case))
    for each in rows:
        findings += each.unit_findings
        sums = arithmetic.Sums(each, together.reference_for(each, references))
        findings += arithmetic.check(sums)
        findings += product.check(each)
        findings += limits.check(each, sums.given_concentration)
        findings += patients.check(each)
    findings += patients.unread_allergies(case, rows)
    findings += together.check(rows, references)
    return findings
