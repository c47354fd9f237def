"""The provider with no model and no network: it returns what code composed, or quotes passages; it invents no word."""

from __future__ import annotations

import math
import re
import time
import unicodedata
from collections import Counter
from collections.abc import Sequence

from gemx.documents import Passage, Text
from gemx.errors import UnsupportedError
from gemx.providers.base import OnText, Options, Reply, Request, refuse_options

MODEL = "extractive"
_MOST_QUOTES = 3
_K1, _B = 1.2, 0.75
_WORD = re.compile(r"[a-z0-9]+")
_STOP_WORDS = frozenset(
    _WORD.findall(
        "a o as os um uma de da do das dos em no na nos nas por para com sem que qual quais como quando onde e ou se "
        "ao aos ser sao foi esta este isso the an of in on for with what which how when where is are and or to it be"
    )
)


class Extractive:
    """Composes from the request's own draft and passages."""

    name = "extractive"
    system = "extractive"
    reach = "machine"
    honoured: frozenset[str] = frozenset()

    def generate(self, request: Request, model: str, options: Options, on_text: OnText | None = None) -> Reply:
        """The draft, or the passages that fit the question best, or the statement that there are none."""
        started = time.monotonic()
        refuse_options(self.name, options, self.honoured)
        text = request.draft if request.draft is not None else _quote(request)
        first_text = time.monotonic() - started
        if on_text:
            on_text(text)
        return Reply(text=text, model=MODEL, first_text=first_text, provider=self.name)

    def close(self) -> None:
        """Nothing is held."""


def best_passages(question: str, passages: Sequence[Passage], limit: int = _MOST_QUOTES) -> list[Passage]:
    """The passages that share the question's words, best first, by BM25 (Robertson and Zaragoza, 2009)."""
    terms = set(_words(question))
    bags = [Counter(_words(f"{passage.heading} {passage.text}")) for passage in passages]
    if not terms or not bags:
        return []
    average = sum(bag.total() for bag in bags) / len(bags) or 1.0
    weights = {term: _weight(term, bags) for term in terms}
    scored = [(_score(bag, weights, average), -index) for index, bag in enumerate(bags)]
    ranked = sorted((item for item in scored if item[0] > 0), reverse=True)
    return [passages[-index] for _, index in ranked[:limit]]


def _weight(term: str, bags: Sequence[Counter[str]]) -> float:
    holding = sum(term in bag for bag in bags)
    return math.log(1 + (len(bags) - holding + 0.5) / (holding + 0.5))


def _score(bag: Counter[str], weights: dict[str, float], average: float) -> float:
    length = 1 - _B + _B * bag.total() / average
    return sum(weight * bag[term] * (_K1 + 1) / (bag[term] + _K1 * length) for term, weight in weights.items())


def _words(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", text.casefold()).encode("ascii", "ignore").decode()
    return [word for word in _WORD.findall(plain) if word not in _STOP_WORDS]


def _quote(request: Request) -> str:
    if request.schema is not None:
        hint = "choose a model with -m, such as gguf:NAME or gemini:NAME"
        raise UnsupportedError("extractive cannot fill in a JSON Schema: it has no model", hint=hint)
    if request.media:
        names = ", ".join(part.name or part.mime_type for part in request.media)
        raise UnsupportedError(f"extractive reads text alone, not {names}")
    if not request.passages:
        return "Sem documento para citar (extractive não usa modelo)."
    best = best_passages(_question(request), request.passages)
    if not best:
        return "Nenhum trecho dos documentos dados trata desta pergunta."
    return "\n\n".join(f"[{passage.id}] {passage.text}" for passage in best)


def _question(request: Request) -> str:
    texts = [part for part in request.messages[-1].parts if isinstance(part, Text) and part.name is None]
    return texts[-1].text if texts else ""
