"""Another model answered than was asked for: by a fallback, or because its provider put another in its place."""

from __future__ import annotations

from dataclasses import dataclass

from gemx.gateway.policy import Policy
from gemx.providers.base import Reply


@dataclass(frozen=True)
class Substitution:
    """`answered` stands for `asked`; `failed` says that the one that was asked gave no answer."""

    asked: str
    answered: str
    failed: bool

    def __str__(self) -> str:
        why = "which gave no answer" if self.failed else "which was asked for"
        return f"answered by {self.answered} in place of {self.asked}, {why}"


def substitution(reply: Reply, policy: Policy) -> Substitution | None:
    """What took the place of the model that was asked, if anything did; Gemini does so with retired ones."""
    asked = policy.route
    if reply.route != str(asked):
        return Substitution(str(asked), reply.route, failed=True)
    if asked.provider != "gemini" or reply.model.startswith(asked.model):
        return None
    return Substitution(str(asked), f"{asked.provider}:{reply.model}", failed=False)
