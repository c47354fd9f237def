"""A question to a base as a request that may only be answered from its hits, and whether an answer keeps to that."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gemx import templates
from gemx.documents import Text
from gemx.gateway import Message, Origin, Reply, Request
from gemx.history import Entry
from gemx.knowledge.hit import Hit

# Measured by benchmarks/retrieval.py on its questions, those without an answer included: docs/knowledge.md says how.
MIN_SCORE = 0.5
FRAME = "pergunta"
# What the frame tells a model to write where the passages do not answer.
NOT_ANSWERED = "Os trechos não respondem a esta pergunta."
_BRACKETS = re.compile(r"\[([^\[\]\n]{1,500})\]")
_BETWEEN = re.compile(r"\s*[;,]\s*")


@dataclass(frozen=True)
class Cited:
    """What an answer cites: hits, in the order of their first citation, and ids that no hit has."""

    hits: tuple[Hit, ...]
    unknown: tuple[str, ...]


def is_covered(hits: Sequence[Hit], min_score: float, min_cosine: float | None = None) -> bool:
    """Whether a hit is good enough to answer from: it covers the question's words, or is near to it."""
    near = min_cosine is not None and any(hit.cosine is not None and hit.cosine >= min_cosine for hit in hits)
    return near or any(hit.score >= min_score and hit.score > 0 for hit in hits)


def request(question: str, hits: Sequence[Hit], origin: Origin) -> Request:
    """The question with the passages that it may be answered from; what `extractive` quotes are the same."""
    frame = templates.load_shipped(FRAME)
    passages = tuple(hit.passage for hit in hits)
    context = templates.render(frame.prompt, {"passages": passages})
    return Request(
        messages=(Message("user", (Text(context, "knowledge base"), Text(question))),),
        origin=origin,
        system=templates.render(frame.system or "", {}),
        passages=passages,
    )


def cited(text: str, hits: Sequence[Hit]) -> Cited:
    """The citations in an answer: what stands in brackets and is the id of a hit, or has the form of one."""
    known = {hit.id: hit for hit in hits}
    found = [part for match in _BRACKETS.finditer(text) for part in _BETWEEN.split(match[1].strip())]
    ids = dict.fromkeys(part for part in found if part in known or _is_like_an_id(part))
    return Cited(tuple(known[each] for each in ids if each in known), tuple(each for each in ids if each not in known))


def entry(request: Request, reply: Reply, data: Mapping[str, Any]) -> Entry:
    """A question and its answer as the history keeps them."""
    return Entry(
        run_id=request.origin.run_id,
        command=request.origin.command,
        subject=request.origin.subject,
        model=reply.route,
        prompt=request.messages[-1].text,
        system=request.system,
        reply=reply.text,
        data={**data, "answer": None, "hits": [{**hit, "text": None} for hit in data["hits"]]},
    )


def _is_like_an_id(text: str) -> bool:
    return re.fullmatch(r"[^\s#]+/[^\s#]+#\d+", text) is not None
