"""Tiny random-weight GGUF files that the real llama.cpp loads in milliseconds; their output is noise, made of bytes.

Knows nothing of gemx. The vocabulary holds all the 256 bytes, so that any text goes in and out unharmed.
"""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np  # noqa: TID253
from numpy.typing import NDArray  # noqa: TID253

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
NO_SYSTEM = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}" + CHATML
)
CONTROL = ("<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>")
WIDTH, HEADS, KV_HEADS, FORWARD, LAYERS = 64, 4, 2, 128, 2
Tensors = dict[str, NDArray[np.float32]]


def write_tiny_gguf(
    path: Path,
    *,
    context: int = 1024,
    chat_template: str | None = CHATML,
    seed: int = 7,
    eager_end: bool = False,
    add_bos: bool = True,
    sliding_window: int = 0,
) -> Path:
    """Write a causal model; it hardly ever ends its reply by itself, or does so at once with `eager_end`."""
    writer = gguf.GGUFWriter(path, "gemma3" if sliding_window else "llama")
    _add_shape(writer, context)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_key_length(WIDTH // HEADS)
    writer.add_value_length(WIDTH // HEADS)
    if sliding_window:
        writer.add_sliding_window(sliding_window)
    size = _add_byte_vocabulary(writer, add_bos=add_bos)
    if chat_template is not None:
        writer.add_chat_template(chat_template)
    tensors = _causal_tensors(size, seed, eager_end=eager_end)
    if sliding_window:
        tensors |= _gemma_norms()
    return _write(writer, tensors)


def write_tiny_bert(path: Path, *, context: int = 64, pooling: int = gguf.PoolingType.MEAN, seed: int = 7) -> Path:
    """Write an embedding model with learned positions, as bge and e5 have them."""
    writer = gguf.GGUFWriter(path, "bert")
    _add_shape(writer, context)
    writer.add_layer_norm_eps(1e-12)
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType(pooling))
    return _write(writer, _bert_tensors(_add_word_vocabulary(writer), context, seed))


def write_tiny_lora(path: Path, *, seed: int = 11) -> Path:
    """Write an adapter for the causal model, large enough to change what it says."""
    draw = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 4.0)
    return _write(
        writer,
        {
            "blk.0.ffn_up.weight.lora_a": _random(draw, 4, WIDTH),
            "blk.0.ffn_up.weight.lora_b": _random(draw, FORWARD, 4),
        },
    )


def _add_shape(writer: gguf.GGUFWriter, context: int) -> None:
    writer.add_context_length(context)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FORWARD)
    writer.add_head_count(HEADS)


def _add_byte_vocabulary(writer: gguf.GGUFWriter, *, add_bos: bool) -> int:
    tokens = [*CONTROL, *(f"<0x{byte:02X}>" for byte in range(256)), "▁"]
    kinds = [
        gguf.TokenType.UNKNOWN,
        *[gguf.TokenType.CONTROL] * (len(CONTROL) - 1),
        *[gguf.TokenType.BYTE] * 256,
        gguf.TokenType.NORMAL,
    ]
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types(kinds)
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(add_bos)
    writer.add_add_space_prefix(False)
    return len(tokens)


def _add_word_vocabulary(writer: gguf.GGUFWriter) -> int:
    letters = [chr(code) for code in range(33, 127)] + list("áâãàçéêíóôõúü")
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"▁{letter}" for letter in letters), *letters]
    writer.add_tokenizer_model("bert")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.CONTROL] * 5 + [gguf.TokenType.NORMAL] * (len(tokens) - 5))
    writer.add_token_type_count(2)
    writer.add_pad_token_id(0)
    writer.add_unk_token_id(1)
    writer.add_bos_token_id(2)
    writer.add_eos_token_id(3)
    writer.add_sep_token_id(3)
    writer.add_mask_token_id(4)
    return len(tokens)


def _causal_tensors(size: int, seed: int, *, eager_end: bool) -> Tensors:
    draw = np.random.default_rng(seed)
    output = _random(draw, size, WIDTH, scale=3.0)
    output[: len(CONTROL)] = 0.0
    if eager_end:
        output[2] = _random(draw, 1, WIDTH, scale=60.0)
    tensors = {"token_embd.weight": _random(draw, size, WIDTH), "output.weight": output, "output_norm.weight": _ones()}
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        tensors |= {f"{block}.attn_norm.weight": _ones(), f"{block}.ffn_norm.weight": _ones()}
        tensors |= {f"{block}.{name}.weight": _random(draw, *shape) for name, shape in _projections().items()}
        tensors[f"{block}.ffn_gate.weight"] = _random(draw, FORWARD, WIDTH)
    return tensors


def _gemma_norms() -> Tensors:
    tensors: Tensors = {}
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        tensors |= {f"{block}.post_attention_norm.weight": _ones(), f"{block}.post_ffw_norm.weight": _ones()}
        head = np.ones(WIDTH // HEADS, dtype=np.float32)
        tensors |= {f"{block}.attn_q_norm.weight": head, f"{block}.attn_k_norm.weight": head}
    return tensors


def _bert_tensors(size: int, context: int, seed: int) -> Tensors:
    draw = np.random.default_rng(seed)
    tensors = {
        "token_embd.weight": _random(draw, size, WIDTH),
        "token_types.weight": _random(draw, 2, WIDTH),
        "position_embd.weight": _random(draw, context, WIDTH),
    }
    tensors |= _norm("token_embd_norm")
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        for name, (rows, columns) in _projections(kv_heads=HEADS).items():
            tensors[f"{block}.{name}.weight"] = _random(draw, rows, columns)
            tensors[f"{block}.{name}.bias"] = np.zeros(rows, dtype=np.float32)
        tensors |= _norm(f"{block}.attn_output_norm") | _norm(f"{block}.layer_output_norm")
    return tensors


def _projections(kv_heads: int = KV_HEADS) -> dict[str, tuple[int, int]]:
    narrow = WIDTH // HEADS * kv_heads
    return {
        "attn_q": (WIDTH, WIDTH),
        "attn_k": (narrow, WIDTH),
        "attn_v": (narrow, WIDTH),
        "attn_output": (WIDTH, WIDTH),
        "ffn_up": (FORWARD, WIDTH),
        "ffn_down": (WIDTH, FORWARD),
    }


def _norm(name: str) -> Tensors:
    return {f"{name}.weight": _ones(), f"{name}.bias": np.zeros(WIDTH, dtype=np.float32)}


def _ones() -> NDArray[np.float32]:
    return np.ones(WIDTH, dtype=np.float32)


def _random(draw: np.random.Generator, rows: int, columns: int, *, scale: float = 1.0) -> NDArray[np.float32]:
    return (draw.standard_normal((rows, columns)) * scale / np.sqrt(columns)).astype(np.float32)


def _write(writer: gguf.GGUFWriter, tensors: Tensors) -> Path:
    for name, tensor in tensors.items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    path = writer.path
    assert path is not None
    return Path(path)
