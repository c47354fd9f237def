"""`rag`: the passages of a knowledge base that fit a query."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gemx import knowledge
from gemx.flow import values
from gemx.flow.schema import Step
from gemx.flow.steps.call import Call, Outcome

_FIELDS = ("id", "document", "path", "heading", "page", "start", "end", "text", "score")


def filled(step: Step, known: Mapping[str, Any]) -> dict[str, Any]:
    """The query, and how many passages it may find."""
    assert step.rag is not None  # noqa: S101
    return {"query": values.written(values.fill(step.rag.query, known)), "top_k": step.rag.top_k}


def run(call: Call) -> Outcome:
    """Search."""
    base = call.resources.base
    assert base is not None  # noqa: S101
    query, top_k = call.spec["query"], call.spec["top_k"]
    found = knowledge.search(base, query, top_k=top_k, policy=call.policy, origin=call.origin)
    hits = [{name: getattr(hit, name) for name in _FIELDS} for hit in found.hits]
    text = "\n\n".join(f"[{hit.id}] {hit.text}" for hit in found.hits)
    best = found.hits[0].score if found.hits else None
    return Outcome({"hits": hits, "text": text, "best": best}, found.attempts)
