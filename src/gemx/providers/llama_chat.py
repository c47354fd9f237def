"""Turn a conversation into the text that a GGUF model was trained on, by the model's own chat template.

The template comes with the weights, so it is foreign code: llama_cpp's formatter renders it in jinja2's
ImmutableSandboxedEnvironment. Knows nothing of tokens but the spelling of the control ones: where a message spells one
(`<|im_end|>`), that stretch comes back as a fragment of its own, to be tokenised as plain letters. Everything else
stays in one piece, tokenised exactly as in training.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gemx.errors import InvalidRequestError

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "<|im_start|>assistant\n"
)
Turn = Mapping[str, str]


@dataclass(frozen=True)
class Fragment:
    """A stretch of the prompt; `control` says whether control tokens are read in it."""

    text: str
    control: bool


class ChatTemplate:
    """A model's chat template; `control` lists the spellings of its control tokens."""

    def __init__(self, template: str | None, *, bos: str, eos: str, control: Sequence[str]) -> None:
        from llama_cpp.llama_chat_format import Jinja2ChatFormatter

        try:
            self._formatter: Any = Jinja2ChatFormatter(template or CHATML, eos_token=eos, bos_token=bos)
        except Exception as error:  # foreign code: it may raise anything
            raise InvalidRequestError(f"the model's chat template cannot be read: {error}") from error
        spellings = sorted(filter(None, control), key=len, reverse=True)
        self._control = re.compile("|".join(map(re.escape, spellings)) or r"(?!)")

    def fragments(self, turns: Sequence[Turn], system: str | None) -> list[Fragment]:
        """The prompt, up to where the model's reply begins."""
        mark = f"\ue000{secrets.randbelow(10**12)}:"
        spelled: list[str] = []

        def hide(match: re.Match[str]) -> str:
            spelled.append(match[0])
            return f"{mark}{len(spelled) - 1}\ue001"

        hidden = [{**turn, "content": self._control.sub(hide, turn["content"])} for turn in turns]
        prompt = self._render(hidden, self._control.sub(hide, system) if system else None)
        pieces = re.split(f"{mark}([0-9]+)\ue001", prompt)
        return [
            Fragment(spelled[int(piece)], control=False) if index % 2 else Fragment(piece, control=True)
            for index, piece in enumerate(pieces)
            if piece
        ]

    def _render(self, turns: Sequence[Turn], system: str | None) -> str:
        if not system:
            return self._fill(turns)
        try:
            prompt = self._fill([{"role": "system", "content": system}, *turns])
        except InvalidRequestError:
            return self._fill(_merged(turns, system))
        # some templates neither refuse nor show a system message
        return prompt if system.strip() in prompt else self._fill(_merged(turns, system))

    def _fill(self, turns: Sequence[Turn]) -> str:
        try:
            # enable_thinking: reasoning would come as text before the answer, and not fit a schema
            return self._formatter(messages=list(turns), enable_thinking=False).prompt
        except Exception as error:  # foreign code: it may raise anything
            raise InvalidRequestError(f"the model's chat template refuses these messages: {error}") from error


def _merged(turns: Sequence[Turn], system: str) -> list[Turn]:
    if turns and turns[0]["role"] == "user":
        return [{**turns[0], "content": f"{system}\n\n{turns[0]['content']}"}, *turns[1:]]
    return [{"role": "user", "content": system}, *turns]
