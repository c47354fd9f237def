"""The provider `echo`, a model that answers with what it was asked: `gemx gen -m echo:loud "text"`."""

from __future__ import annotations

import time

from gemx.errors import ModelNotFoundError, UnsupportedError
from gemx.providers.base import OnText, Options, Reply, Request, Usage

VOICES = {"plain": str, "loud": str.upper}


class Echo:
    """Nothing leaves the machine, and `reach` says so; a provider without it counts as a cloud.

    Options that are not in `honoured` never come here: gemx refuses them.
    """

    name = "echo"
    system = "gemx_example"
    reach = "machine"
    honoured = frozenset({"max_output_tokens"})

    def generate(self, request: Request, model: str, options: Options, on_text: OnText | None = None) -> Reply:
        """The last message, cut at `max_output_tokens` words."""
        started = time.monotonic()
        if request.media or request.schema is not None:
            raise UnsupportedError("echo takes text alone, and no schema")
        if model not in VOICES:
            raise ModelNotFoundError(f"echo has no model {model}", hint=f"it has: {', '.join(VOICES)}")
        words = VOICES[model](request.messages[-1].text).split(" ")
        said = words[: options.max_output_tokens]
        text = " ".join(said)
        first_text = time.monotonic() - started
        for number, word in enumerate(said):
            if on_text:
                on_text(word if number == 0 else f" {word}")
        return Reply(
            text=text,
            model=model,
            finish_reason="length" if len(said) < len(words) else "stop",
            usage=Usage(input_tokens=len(words), output_tokens=len(said)),
            first_text=first_text,
            provider=self.name,
        )

    def close(self) -> None:
        """Nothing is held."""
