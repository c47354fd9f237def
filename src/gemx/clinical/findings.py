"""A finding: one thing that is wrong with an answer, with a stable code, as a linter has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "conflict", "warning", "unverifiable"]


@dataclass(frozen=True)
class Finding:
    """What is wrong, where in the answer, and what was expected and found, where that can be said."""

    code: str
    severity: Severity
    path: str
    message: str
    expected: str | None = None
    found: str | None = None

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message
