"""The process that owns a local model: `python -m gemx.providers.llama_engine`, one-off or kept warm, the same code.

It reads one JSON object a line from stdin and answers in JSON lines on stdout:

    {"op": "about"} → {"done": {"version", "gpu_offload"}}
    {"op": "load", "path", "context", "gpu_layers", "lora", "embedding"} → {"done": {"context"}}
    {"op": "generate", "turns", "system", "schema", "options"} → {"text"}… {"done": {"finish_reason", "usage"}}
    {"op": "embed", "texts"} → {"vector"}… {"done": {"usage"}}
    what fails → {"error": {"code", "message", "hint"}}

The end of stdin, which is also its parent's death, ends it at once. It stands alone in a process because llama.cpp
ends the process on what it dislikes. Knows nothing of providers, time limits or where models are found.
"""

from __future__ import annotations

import codecs
import json
import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TextIO

import llama_cpp

from gemx.errors import ContextLengthError, GemxError, ProviderError, UnsupportedError
from gemx.providers.llama_grammar import Grammar
from gemx.providers.llama_model import ErrorLog, Model

llama: Any = llama_cpp  # its C functions carry no types worth the name

RANDOM_SEED = 0xFFFFFFFF  # what llama.cpp takes for "no seed"
ANSWER_ROOM = 4096
POOLINGS = (llama.LLAMA_POOLING_TYPE_MEAN, llama.LLAMA_POOLING_TYPE_CLS, llama.LLAMA_POOLING_TYPE_LAST)

Write = Callable[[dict[str, Any]], None]


class Sampler:
    """How one reply is drawn from the logits; temperature 0 takes the likeliest token."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._chain = llama.llama_sampler_chain_init(llama.llama_sampler_chain_default_params())
        for link in _links(options):
            llama.llama_sampler_chain_add(self._chain, link)

    def sample(self, context: Any) -> int:
        """The next token."""
        return llama.llama_sampler_sample(self._chain, context, -1)

    def close(self) -> None:
        """Free it; its links go with it."""
        llama.llama_sampler_free(self._chain)


def _links(options: Mapping[str, Any]) -> Iterator[Any]:
    temperature = options.get("temperature", 0.8)
    if temperature == 0:
        yield llama.llama_sampler_init_greedy()
        return
    # llama.cpp's own defaults; without top_k the later links sort the whole vocabulary
    yield llama.llama_sampler_init_top_k(40)
    yield llama.llama_sampler_init_top_p(options.get("top_p", 0.95), 1)
    yield llama.llama_sampler_init_min_p(0.05, 1)
    yield llama.llama_sampler_init_temp(temperature)
    yield llama.llama_sampler_init_dist(options.get("seed", RANDOM_SEED))


def generate(model: Model, request: Mapping[str, Any], write: Write) -> dict[str, Any]:
    """Write the reply piece by piece; returns how it ended and what it took."""
    if model.embedding or not llama.llama_get_memory(model.context) or llama.llama_model_has_encoder(model.model):
        raise UnsupportedError("this model makes embeddings, not text")
    tokens = model.prompt(request["turns"], request["system"])
    # an answer is seldom longer than a prompt that holds its draft
    model.fit(len(tokens) + request["options"].get("max_output_tokens", max(ANSWER_ROOM, len(tokens))))
    room = model.size - len(tokens)
    if room < 1:
        raise ContextLengthError(
            f"the prompt has {len(tokens)} tokens, and the context {model.size}",
            hint="shorten it, or ask for a larger context with -o context=N, if the model has one",
        )
    grammar = Grammar(model.guidance, request["schema"]) if request["schema"] is not None else None
    limit = min(request["options"].get("max_output_tokens", room), room)
    cached = model.evaluate(tokens)
    sampler = Sampler(request["options"])
    try:
        reason, count = _stream(model, sampler, grammar, limit, write)
    finally:
        sampler.close()
    usage = {"input_tokens": len(tokens), "output_tokens": count, "cached_tokens": cached}
    return {"finish_reason": reason, "usage": usage}


def _stream(model: Model, sampler: Sampler, grammar: Grammar | None, limit: int, write: Write) -> tuple[str, int]:
    text = codecs.getincrementaldecoder("utf-8")(errors="replace")
    reason, count = "length", 0
    for token in _tokens(model, sampler, grammar, limit):
        if token in model.end_tokens:
            reason = "stop"
            break
        count += 1
        if piece := text.decode(model.piece(token)):
            write({"text": piece})
    if rest := text.decode(b"", final=True):
        write({"text": rest})
    if grammar and grammar.complete:
        reason = "stop"
    return reason, count


def _tokens(model: Model, sampler: Sampler, grammar: Grammar | None, limit: int) -> Iterator[int]:
    for number in range(limit):
        if grammar:
            grammar.mask(model.logits())
        token = sampler.sample(model.context)
        if grammar:
            grammar.accept(token)
        yield token
        if grammar and grammar.complete:
            return
        if number + 1 < limit:
            model.decode([token])


def embed(model: Model, request: Mapping[str, Any], write: Write) -> dict[str, Any]:
    """Write one vector a text, in order; nothing is written if one of them is too long."""
    if llama.llama_pooling_type(model.context) not in POOLINGS:
        raise UnsupportedError("this model makes no embeddings of texts: its file names no pooling")
    texts = [model.tokenize(text, ends=True) for text in request["texts"]]
    for number, tokens in enumerate(texts, start=1):
        if not 0 < len(tokens) <= model.size:
            raise ContextLengthError(
                f"text {number} has {len(tokens)} tokens; this model embeds 1 to {model.size}",
                hint="cut it into smaller passages",
            )
    for tokens in texts:
        write({"vector": model.vector(tokens)})
    return {"usage": {"input_tokens": sum(map(len, texts))}}


class Engine:
    """Answers requests, one after the other; the model stays between them."""

    def __init__(self, write: Write) -> None:
        llama.llama_backend_init()
        self._log = ErrorLog()
        self._write = write
        self._model: Model | None = None

    def serve(self, lines: Iterable[str]) -> None:
        """Answer every line; a failed one leaves the engine as it was."""
        for line in lines:
            try:
                self._write({"done": self._answer(json.loads(line))})
            except GemxError as error:
                self._write({"error": {"code": error.code, "message": error.message, "hint": error.hint}})
            except Exception as error:
                traceback.print_exc()
                message = f"the local engine failed: {type(error).__name__}: {error}"
                self._write({"error": {"code": ProviderError.code, "message": message, "hint": None}})

    def _answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        if request["op"] == "about":
            return {"version": llama_cpp.__version__, "gpu_offload": bool(llama.llama_supports_gpu_offload())}
        if (request["op"] == "load") != (self._model is None):
            raise ProviderError("an engine loads one model, before anything else")
        if self._model is None:
            self._model = Model(request, self._log)
            return {"context": self._model.size}
        operation = {"generate": generate, "embed": embed}[request["op"]]
        return operation(self._model, request, self._write)


def _requests() -> Iterator[str]:
    """Lines of stdin, read by a thread that sees its end even while the model computes."""
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            lines.put(line)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    while True:
        yield lines.get()


def _private_stdout() -> TextIO:
    """The real stdout; what C code prints goes to stderr from now on."""
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return stream


def main() -> None:
    """Serve until stdin ends."""
    os.environ["GGML_NO_BACKTRACE"] = "1"  # else an abort starts a debugger, where there is one
    stream = _private_stdout()

    def write(message: dict[str, Any]) -> None:
        stream.write(json.dumps(message) + "\n")
        stream.flush()

    Engine(write).serve(_requests())


if __name__ == "__main__":
    main()
