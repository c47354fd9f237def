"""A GGUF model in this process: its weights, its one context, its tokens, and the prompt that is still in its cache.

It uses llama.cpp's C functions, not the `Llama` class, whose constructor must know the context before the model's
training length can be asked, cannot leave flash attention to llama.cpp, and swallows errors raised while sampling.
Only the engine imports this; it knows nothing of requests or of how a reply is drawn.
"""

from __future__ import annotations

import ctypes
import os
from collections import deque
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import llama_cpp
import numpy as np

from gemx.errors import InvalidRequestError, ProviderError, UnsupportedError
from gemx.providers.llama_chat import ChatTemplate
from gemx.providers.llama_grammar import vocabulary

llama: Any = llama_cpp  # its C functions carry no types worth the name

BATCH = 512
DEFAULT_CONTEXT = 8192
CONTEXT_STEP = 4096
PIECE_BYTES = 1 << 16
LOG_ERROR, LOG_CONTINUED = 4, 5


class ErrorLog:
    """llama.cpp's last complaints: the only place where it says why a file does not load."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=8)
        self._level = 0
        self._callback = llama.llama_log_callback(self._keep)
        llama.llama_log_set(self._callback, ctypes.c_void_p(0))

    def _keep(self, level: int, text: bytes, _data: Any) -> None:
        self._level = self._level if level == LOG_CONTINUED else level
        if self._level == LOG_ERROR:
            self._lines.append(text.decode("utf-8", "replace").strip())

    def take(self) -> str:
        """What was said since the last time, in one line."""
        lines = [line for line in self._lines if line]
        self._lines.clear()
        return "; ".join(dict.fromkeys(lines)) or "llama.cpp gives no reason"


class Model:
    """Weights and the one context that they are run in."""

    def __init__(self, load: Mapping[str, Any], log: ErrorLog) -> None:
        log.take()
        self.model = _load_weights(load, log)
        self.vocab = llama.llama_model_get_vocab(self.model)
        self.embedding: bool = load["embedding"]
        self.size = _context_size(self.model, load["context"])
        self._log, self._growing = log, load["context"] is None
        self._adapter = self._load_adapter(load["lora"]) if load["lora"] else None
        self.batch = self.size if self.embedding else min(BATCH, self.size)
        self.context = self._new_context()
        self.vocab_size: int = llama.llama_vocab_n_tokens(self.vocab)
        self._piece = ctypes.create_string_buffer(PIECE_BYTES)
        self._evaluated: list[int] = []

    def fit(self, tokens: int) -> None:
        """Grow the context towards `tokens`, up to what the model was trained for, unless a size was asked for."""
        trained = llama.llama_model_n_ctx_train(self.model)
        if not self._growing or tokens <= self.size or self.size == trained:
            return
        before, self.size = self.size, min(trained, -(-tokens // CONTEXT_STEP) * CONTEXT_STEP)
        self._evaluated = []
        # freed first: a card seldom has room for both
        llama.llama_free(self.context)
        try:
            self.context = self._new_context()
        except ProviderError:
            self.size = before
            self.context = self._new_context()
            raise

    def _new_context(self) -> Any:
        params = llama.llama_context_default_params()
        params.n_ctx = self.size
        # an embedding input longer than n_ubatch ends the process
        params.n_batch = params.n_ubatch = self.batch
        params.flash_attn_type = llama.LLAMA_FLASH_ATTN_TYPE_AUTO
        params.swa_full = False
        params.embeddings = self.embedding
        cores = os.cpu_count() or 1
        params.n_threads, params.n_threads_batch = cores if cores <= 4 else cores // 2, cores
        context = llama.llama_init_from_model(self.model, params)
        if not context:
            raise ProviderError(
                f"no memory for a context of {self.size} tokens: {self._log.take()}",
                hint="ask for a smaller one with -o context=N, or for fewer layers on the GPU with -o gpu_layers=N",
            )
        if self._adapter is not None:
            self._add_adapter(context)
        return context

    def _load_adapter(self, path: str) -> Any:
        adapter = llama.llama_adapter_lora_init(self.model, os.fsencode(path))
        if not adapter:
            raise InvalidRequestError(f"the LoRA adapter {path} does not load: {self._log.take()}")
        return adapter

    def _add_adapter(self, context: Any) -> None:
        adapters, scales = (llama.llama_adapter_lora_p_ctypes * 1)(self._adapter), (ctypes.c_float * 1)(1.0)
        if llama.llama_set_adapters_lora(context, adapters, 1, scales):
            raise InvalidRequestError(f"the LoRA adapter does not fit this model: {self._log.take()}")

    # tokens

    @cached_property
    def end_tokens(self) -> frozenset[int]:
        """The tokens that end a reply."""
        return frozenset(token for token in range(self.vocab_size) if llama.llama_vocab_is_eog(self.vocab, token))

    @cached_property
    def chat(self) -> ChatTemplate:
        """The model's own template, or ChatML."""
        template = llama.llama_model_chat_template(self.model, None)
        # user-defined tokens are read in any text, whatever one asks: only these can be kept out
        control = llama.LLAMA_TOKEN_ATTR_CONTROL | llama.LLAMA_TOKEN_ATTR_UNKNOWN
        return ChatTemplate(
            template.decode("utf-8", "replace") if template else None,
            bos=self._spelling(llama.llama_vocab_bos(self.vocab)),
            eos=self._spelling(llama.llama_vocab_eos(self.vocab)),
            control=[
                self._spelling(token)
                for token in range(self.vocab_size)
                if llama.llama_vocab_get_attr(self.vocab, token) & control
            ],
        )

    @cached_property
    def guidance(self) -> Any:
        """The vocabulary for grammars."""
        return vocabulary(self.vocab, sorted(self.end_tokens))

    def _spelling(self, token: int) -> str:
        return "" if token < 0 else llama.llama_vocab_get_text(self.vocab, token).decode("utf-8", "replace")

    def tokenize(self, text: str, *, ends: bool = False, control: bool = False) -> list[int]:
        """Tokens of a text; `ends` adds what the model wants at its ends, `control` reads control tokens in it."""
        data = text.encode("utf-8", "replace")
        tokens = (llama.llama_token * (len(data) + 16))()
        count = llama.llama_tokenize(self.vocab, data, len(data), tokens, len(tokens), ends, control)
        if count < 0:
            raise ProviderError("llama.cpp could not tokenise the text")
        return list(tokens[:count])

    def prompt(self, turns: Sequence[Mapping[str, str]], system: str | None) -> list[int]:
        """Tokens of a conversation, with one BOS where the model wants one, whether its template writes it or not."""
        fragments = self.chat.fragments(turns, system)
        tokens = [token for part in fragments for token in self.tokenize(part.text, control=part.control)]
        if not tokens:
            raise InvalidRequestError("the model's chat template makes an empty prompt of these messages")
        bos = llama.llama_vocab_bos(self.vocab)
        wanted = llama.llama_vocab_get_add_bos(self.vocab) and tokens[:1] != [bos]
        return [bos, *tokens] if wanted else tokens

    def piece(self, token: int) -> bytes:
        """The bytes that a token stands for; none for a control token."""
        count = llama.llama_token_to_piece(self.vocab, token, self._piece, PIECE_BYTES, 0, False)
        if count < 0:
            raise ProviderError(f"token {token} is longer than {PIECE_BYTES} bytes")
        return self._piece.raw[:count] if count else b""

    # evaluation

    def evaluate(self, tokens: list[int]) -> int:
        """Run the prompt; returns how many of its tokens the last call had left in the cache."""
        memory = llama.llama_get_memory(self.context)
        kept = self._reusable(tokens)
        if not kept or not llama.llama_memory_seq_rm(memory, 0, kept, -1):
            kept = 0
            llama.llama_memory_clear(memory, self._stateful)
        self._evaluated = []
        for start in range(kept, len(tokens), self.batch):
            self.decode(tokens[start : start + self.batch])
        self._evaluated = tokens
        return kept

    def _reusable(self, tokens: list[int]) -> int:
        """Whole batches of the same prompt prefix: cut elsewhere, other batch sizes would move the logits, and the
        same seed would give another text on a warm engine than on a cold one."""
        # a sliding window has forgotten cells that a shorter prefix needs, and says nothing
        if self._stateful or llama.llama_model_n_swa(self.model) > 0:
            return 0
        common = 0
        for old, new in zip(self._evaluated, tokens[:-1], strict=False):
            if old != new:
                break
            common += 1
        return common // self.batch * self.batch

    @cached_property
    def _stateful(self) -> bool:
        return llama.llama_model_is_recurrent(self.model) or llama.llama_model_is_hybrid(self.model)

    def decode(self, tokens: Sequence[int]) -> None:
        """Run one batch through the model."""
        array = (llama.llama_token * len(tokens))(*tokens)  # the batch only points at it
        code = llama.llama_decode(self.context, llama.llama_batch_get_one(array, len(tokens)))
        if code:
            raise ProviderError(f"llama.cpp could not evaluate the tokens (code {code})")

    def logits(self) -> Any:
        """The last token's logits, in place."""
        return np.ctypeslib.as_array(llama.llama_get_logits_ith(self.context, -1), shape=(self.vocab_size,))

    def vector(self, tokens: Sequence[int]) -> list[float]:
        """The text's embedding, of length 1."""
        memory = llama.llama_get_memory(self.context)
        if memory:
            llama.llama_memory_clear(memory, self._stateful)
        self.decode(tokens)
        raw = llama.llama_get_embeddings_seq(self.context, 0)
        vector = np.ctypeslib.as_array(raw, shape=(llama.llama_model_n_embd_out(self.model),)).astype(np.float64)
        norm = float(np.linalg.norm(vector))
        return (vector / norm if norm else vector).tolist()


def _load_weights(load: Mapping[str, Any], log: ErrorLog) -> Any:
    params = llama.llama_model_default_params()
    params.n_gpu_layers = _gpu_layers(load["gpu_layers"])
    model = llama.llama_model_load_from_file(os.fsencode(load["path"]), params)
    if not model:
        raise InvalidRequestError(
            f"{load['path']} does not load: {log.take()}",
            hint="is the file whole, made for this version of llama.cpp, and smaller than the free memory?",
        )
    return model


def _gpu_layers(wanted: int | None) -> int:
    offload = llama.llama_supports_gpu_offload()
    if wanted and not offload:
        raise UnsupportedError(
            "this llama-cpp-python was built without GPU support, so it takes no gpu_layers",
            hint="CMAKE_ARGS=\"-DGGML_CUDA=on\" pipx install --force 'gemx[local]'",
        )
    layers = -1 if wanted is None and offload else wanted or 0
    return 0x7FFFFFFF if layers < 0 else layers


def _context_size(model: Any, wanted: int | None) -> int:
    trained = llama.llama_model_n_ctx_train(model)
    if wanted is not None and not 0 < wanted <= trained:
        raise InvalidRequestError(f"a context of {wanted} tokens: this model was trained for 1 to {trained}")
    return wanted or min(trained, DEFAULT_CONTEXT)
