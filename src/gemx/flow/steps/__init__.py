"""What the steps of a flow do, one module a kind.

Each has `filled`, what a step asks with its expressions filled in, as JSON, and `run`, which does it.
"""

from __future__ import annotations

from gemx.flow.steps import auto, prompt, rag, run, uses, verify, write
from gemx.flow.steps.call import Call, Kind, Outcome

KINDS: dict[str, Kind] = {
    "rag": rag,
    "prompt": prompt,
    "auto": auto,
    "verify": verify,
    "run": run,
    "write": write,
    "uses": uses,
}

__all__ = ["KINDS", "Call", "Kind", "Outcome"]
