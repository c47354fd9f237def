"""Hold a model to a JSON Schema: llguidance says which tokens may come next, and the others lose their chance.

llama.cpp's own grammars are not used: they drop schema keywords in silence, and a bad one ends the process. Knows
nothing of models but their vocabulary and one row of logits.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from gemx.errors import InvalidRequestError, ProviderError

# free white space lets a weak model print blanks until the token limit
LAYOUT: Any = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": ", "lenient": False}


def vocabulary(vocab: Any, end_tokens: Sequence[int]) -> Any:
    """The vocabulary as llguidance wants it; a second of work for the largest, so keep it."""
    from llguidance import LLTokenizer
    from llguidance.llamacpp import lltokenizer_from_vocab

    return lltokenizer_from_vocab(vocab, eos_token=list(end_tokens), slices=LLTokenizer.json_slices())


class Grammar:
    """A schema and how far the reply has come in it."""

    def __init__(self, tokens: Any, schema: Mapping[str, Any]) -> None:
        from llguidance import LLMatcher

        grammar = LLMatcher.grammar_from_json_schema(json.dumps(schema), overrides=LAYOUT)
        refused, problems = LLMatcher.validate_grammar_with_warnings(grammar, tokens)
        if refused:
            raise InvalidRequestError(
                f"the local engine cannot hold a model to this schema: {problems[0]}",
                hint="take that keyword out of the schema; gemx still checks the answer after generation",
            )
        self._matcher = LLMatcher(tokens, grammar, log_level=0)

    @property
    def complete(self) -> bool:
        """Whether the reply is whole, and nothing can follow."""
        return self._matcher.is_stopped()

    def mask(self, logits: Any) -> None:
        """Set what may not come next to minus infinity, in place."""
        import numpy as np

        bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        self._check()
        allowed = np.unpackbits(bits, bitorder="little")[: len(logits)]
        logits[: len(allowed)][allowed == 0] = -np.inf
        logits[len(allowed) :] = -np.inf

    def accept(self, token: int) -> None:
        """Take the token that was chosen."""
        self._matcher.consume_token(token)
        self._check()

    def _check(self) -> None:
        if self._matcher.is_error():
            raise ProviderError(f"the schema grammar failed in mid-reply: {self._matcher.get_error()}")
