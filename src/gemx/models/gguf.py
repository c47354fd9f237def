"""Read what a GGUF file says of itself: its header and metadata, never its weights. Bounded: a header may be foreign.

Knows nothing of where the file came from, nor of what is done with it.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, Literal

from gemx.errors import InputError, StorageError

Kind = Literal["model", "projector", "adapter"]

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_MOST_PAIRS = 100_000
_MOST_TENSORS = 100_000
_MOST_ITEMS = 10_000_000
_MOST_TEXT = 16_000_000
_MOST_NAME = 65_535
_MOST_DEPTH = 3
_MOST_DIMENSIONS = 8
_STRING, _ARRAY = 8, 9
# The format of a scalar, by its type.
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
# fmt: off
# Weights and bytes of a block, by the type of a tensor; one that is not here has a size that is not known.
_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 40),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292),
    16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82),
    23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2),
    34: (256, 54), 35: (256, 66), 39: (32, 17), 40: (64, 36), 41: (128, 18),
}
_TENSOR_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 9: "Q8_1", 10: "Q2_K", 11: "Q3_K",
    12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S",
    20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64",
    29: "IQ1_M", 30: "BF16", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4", 40: "NVFP4", 41: "Q1_0",
}
_FILE_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S",
    12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K",
    19: "IQ2_XXS", 20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL",
    26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S", 29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0",
    37: "TQ2_0", 38: "MXFP4", 39: "NVFP4", 40: "Q1_0",
}
# fmt: on


@dataclass(frozen=True)
class Header:
    """What a GGUF says of itself; None where it says nothing. `context` counts tokens, `parameters` weights.

    `split` is in how many files the model lies; `embeds` says that it makes vectors and no text.
    """

    kind: Kind
    architecture: str
    name: str | None
    parameters: int
    quantization: str
    context: int | None
    has_chat_template: bool
    embeds: bool
    license: str | None
    split: int


@dataclass(frozen=True)
class _Tensor:
    weights: int
    type: int
    offset: int


def read(path: Path) -> Header:
    """The header of a file. Raises InputError on what is no whole GGUF, and StorageError."""
    try:
        with path.open("rb") as file:
            return _Reader(file, path, path.stat().st_size).header()
    except OSError as exc:
        raise StorageError(f"cannot read {path}: {exc.strerror}") from exc


class _Reader:
    """A file that is read from its beginning on, and never past its end."""

    def __init__(self, file: BinaryIO, path: Path, size: int) -> None:
        self._file, self._path, self._size = file, path, size

    def header(self) -> Header:
        version = self._start()
        if version not in _VERSIONS:
            swapped = int.from_bytes(version.to_bytes(4, "little"), "big") in _VERSIONS
            raise self._wrong("its numbers are big-endian" if swapped else f"its version {version} is not known")
        tensors, pairs = self._scalar("Q"), self._scalar("Q")
        if pairs > _MOST_PAIRS or tensors > _MOST_TENSORS:
            raise self._wrong(f"its header claims {pairs} values and {tensors} tensors")
        values: dict[str, Any] = {}
        for _ in range(pairs):
            name = self._text(_MOST_NAME)
            values[name] = self._value(self._scalar("I"))
        found = [self._tensor() for _ in range(tensors)]
        self._check_end(found, values.get("general.alignment", 32))
        return _described(values, found)

    def _start(self) -> int:
        if not self._size:
            raise self._wrong("it is empty")
        if self._file.read(len(_MAGIC)) != _MAGIC:
            raise self._wrong("it does not start as one does")
        return self._scalar("I")

    def _tensor(self) -> _Tensor:
        self._text(_MOST_NAME)
        count = self._scalar("I")
        if count > _MOST_DIMENSIONS:
            raise self._wrong(f"a tensor of {count} dimensions")
        weights = prod(self._scalar("Q") for _ in range(count))
        return _Tensor(weights, self._scalar("I"), self._scalar("Q"))

    def _check_end(self, tensors: Sequence[_Tensor], alignment: Any) -> None:
        """Raise where the weights would lie beyond the end of the file: it was cut."""
        if not isinstance(alignment, int) or not 0 < alignment <= 1 << 20:
            raise self._wrong(f"an alignment of {alignment}")
        start = -(-self._file.tell() // alignment) * alignment
        for tensor in tensors:
            weights, size = _BLOCKS.get(tensor.type, (1, 0))
            end = start + tensor.offset + tensor.weights // weights * size
            if end > self._size:
                raise self._wrong(f"it is cut: it has {self._size} bytes, and needs at least {end}")

    def _value(self, kind: int, depth: int = 0) -> Any:
        """A value; of an array only its length, as nothing here needs the vocabulary."""
        if kind in _SCALARS:
            return self._scalar(_SCALARS[kind])
        if kind == _STRING:
            return self._text(_MOST_TEXT)
        if kind != _ARRAY or depth == _MOST_DEPTH:
            raise self._wrong(f"a value of the type {kind}")
        inner, count = self._scalar("I"), self._scalar("Q")
        if count > _MOST_ITEMS:
            raise self._wrong(f"an array of {count} items")
        if inner in _SCALARS:
            self._skip(count * struct.calcsize(f"<{_SCALARS[inner]}"))
        elif inner == _STRING:
            for _ in range(count):
                self._skip(self._scalar("Q"))
        else:
            for _ in range(count):
                self._value(inner, depth + 1)
        return count

    def _text(self, most: int) -> str:
        length = self._scalar("Q")
        if length > most:
            raise self._wrong(f"a text of {length} bytes")
        return self._bytes(length).decode("utf-8", "replace")

    def _scalar(self, form: str) -> Any:
        return struct.unpack(f"<{form}", self._bytes(struct.calcsize(f"<{form}")))[0]

    def _bytes(self, count: int) -> bytes:
        data = self._file.read(count)
        if len(data) < count:
            raise self._wrong("its header is cut")
        return data

    def _skip(self, count: int) -> None:
        if count > self._size - self._file.tell():
            raise self._wrong("its header is cut")
        self._file.seek(count, 1)

    def _wrong(self, what: str) -> InputError:
        return InputError(f"{self._path} is no GGUF that can be read: {what}", hint="download it again")


def _described(values: Mapping[str, Any], tensors: Sequence[_Tensor]) -> Header:
    architecture = _string(values, "general.architecture") or "unknown"
    context = values.get(f"{architecture}.context_length")
    split = values.get("split.count")
    return Header(
        kind=_kind(architecture, _string(values, "general.type")),
        architecture=architecture,
        name=_string(values, "general.name"),
        parameters=sum(tensor.weights for tensor in tensors),
        quantization=_quantization(values.get("general.file_type"), tensors),
        context=context if isinstance(context, int) and context > 0 else None,
        has_chat_template=bool(_string(values, "tokenizer.chat_template")),
        embeds=f"{architecture}.pooling_type" in values,
        license=_string(values, "general.license"),
        split=split if isinstance(split, int) and split > 0 else 1,
    )


def _kind(architecture: str, kind: str | None) -> Kind:
    if architecture == "clip" or kind == "mmproj":
        return "projector"
    return "adapter" if kind == "adapter" else "model"


def _quantization(file_type: Any, tensors: Sequence[_Tensor]) -> str:
    """What the file says of itself; else the type of most weights."""
    if isinstance(file_type, int) and file_type in _FILE_TYPES:
        return _FILE_TYPES[file_type]
    weights: Counter[int] = Counter()
    for tensor in tensors:
        weights[tensor.type] += tensor.weights
    if not weights:
        return "unknown"
    most = weights.most_common(1)[0][0]
    return _TENSOR_TYPES.get(most, f"type {most}")


def _string(values: Mapping[str, Any], name: str) -> str | None:
    value = values.get(name)
    return value if isinstance(value, str) and value else None
