"""A finding: one thing that is wrong with an answer, with a stable code, as a linter has them.

Each code is explained in `automations/rules.yaml`, with a bad and a good example.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, get_args

Severity = Literal["error", "conflict", "warning", "unverifiable"]
SEVERITIES: tuple[Severity, ...] = ("error", "conflict", "unverifiable", "warning")
Code = Literal[
    "contract.json",
    "contract.schema",
    "contract.cut",
    "contract.section",
    "citation.unknown",
    "citation.words",
    "citation.missing",
    "field.missing",
    "number.naked",
    "number.trailing_zero",
    "unit.unknown",
    "unit.dimension",
    "unit.content",
    "unit.per_kg",
    "unit.volume_dose",
    "arithmetic.final_volume",
    "arithmetic.ampoule_volume",
    "arithmetic.concentration",
    "arithmetic.total_dose",
    "arithmetic.daily_dose",
    "arithmetic.volume",
    "arithmetic.rate",
    "arithmetic.unverifiable",
    "quantity.insufficient",
    "quantity.excess",
    "quantity.fraction",
    "presentation.unknown",
    "salt.mismatch",
    "salt.missing",
    "drug.unknown",
    "dose.above_max",
    "dose.unusual",
    "dose.above_stated",
    "dose.unverifiable",
    "daily.above_max",
    "daily.unusual",
    "interval.unusual",
    "concentration.above_max",
    "concentration.below_min",
    "infusion.too_fast",
    "infusion.unverifiable",
    "route.forbidden",
    "route.unlisted",
    "diluent.forbidden",
    "diluent.unlisted",
    "patient.weight",
    "patient.value",
    "lab.unit",
    "allergy.drug",
    "allergy.class",
    "allergy.unknown",
    "allergy.unrecognized",
    "pregnancy.contraindicated",
    "pregnancy.caution",
    "pregnancy.unknown",
    "contraindication.present",
    "contraindication.unknown",
    "renal.adjust",
    "renal.unknown",
    "duplicate.drug",
    "duplicate.class",
    "interaction.line",
    "interaction.combination",
    "protocol.added",
    "protocol.omitted",
    "protocol.dose",
    "text.unsourced",
]

CODES: tuple[Code, ...] = get_args(Code)
FAMILIES = tuple(dict.fromkeys(code.split(".")[0] for code in CODES))


@dataclass(frozen=True)
class Finding:
    """What is wrong, where in the answer, and what was expected and found, where that can be said."""

    code: Code
    severity: Severity
    path: str
    message: str
    expected: str | None = None
    found: str | None = None

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


def strict(findings: Iterable[Finding]) -> list[Finding]:
    """The findings with each unverifiable one made an error."""
    return [replace(each, severity="error") if each.severity == "unverifiable" else each for each in findings]


def errors(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings for which an answer is refused."""
    return tuple(each for each in findings if each.severity == "error")


def verified(findings: Iterable[Finding]) -> bool:
    """Whether all that applies was checked and nothing is wrong: missing data is no pass."""
    return not any(each.severity in ("error", "unverifiable") for each in findings)
