"""What a GGUF says of itself, read without llama.cpp; and headers that lie."""

from __future__ import annotations

import struct
from pathlib import Path

import gguf as writers
import numpy as np  # noqa: TID253
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gemx.errors import InputError, StorageError
from gemx.models import gguf
from tiny_gguf import write_tiny_bert, write_tiny_gguf, write_tiny_lora


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def header(version: int = 3, tensors: int = 0, pairs: int = 0, rest: bytes = b"") -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, pairs) + rest


def test_a_model_says_what_it_is(tmp_path: Path) -> None:
    found = gguf.read(write_tiny_gguf(tmp_path / "a.gguf", context=2048))
    weights = sum(int(tensor.n_elements) for tensor in writers.GGUFReader(tmp_path / "a.gguf").tensors)
    assert found == gguf.Header(
        kind="model",
        architecture="llama",
        name=None,
        parameters=weights,
        quantization="F32",
        context=2048,
        has_chat_template=True,
        embeds=False,
        license=None,
        split=1,
    )


def test_an_embedding_model_an_adapter_and_one_without_a_template(tmp_path: Path) -> None:
    found = gguf.read(write_tiny_bert(tmp_path / "b.gguf"))
    assert (found.architecture, found.embeds, found.has_chat_template, found.context) == ("bert", True, False, 64)
    assert gguf.read(write_tiny_lora(tmp_path / "l.gguf")).kind == "adapter"
    assert not gguf.read(write_tiny_gguf(tmp_path / "c.gguf", chat_template=None)).has_chat_template


def test_a_projector_its_licence_and_file_type(tmp_path: Path) -> None:
    writer = writers.GGUFWriter(tmp_path / "p.gguf", "clip")
    writer.add_type("mmproj")
    writer.add_name("Olho")
    writer.add_license("gemma")
    writer.add_file_type(15)
    writer.add_tensor("v.weight", np.zeros((4, 32), dtype=np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    found = gguf.read(tmp_path / "p.gguf")
    assert (found.kind, found.name, found.license, found.quantization) == ("projector", "Olho", "gemma", "Q4_K_M")
    assert found.parameters == 128


def test_the_types_are_those_of_the_library() -> None:
    from gguf.constants import GGML_QUANT_SIZES, LlamaFileType

    assert {int(kind): size for kind, size in GGML_QUANT_SIZES.items()}.items() >= gguf._BLOCKS.items()
    names = {int(each): each.name.split("_", 1)[1] for each in LlamaFileType if each.name != "GUESSED"}
    names[int(LlamaFileType.MOSTLY_MXFP4_MOE)] = "MXFP4"
    assert names.items() >= gguf._FILE_TYPES.items()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "it is empty"),
        (b"GG", "does not start"),
        (b"<html>Hospital proxy</html>", "does not start"),
        (b"GGUF\x03", "header is cut"),
        (header(version=1), "version 1 is not known"),
        (header(version=99), "version 99 is not known"),
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "big-endian"),
        (header(pairs=2**40), "claims"),
        (header(tensors=2**40), "claims"),
        (header(pairs=1, rest=struct.pack("<Q", 2**62)), "a text of"),
        (header(pairs=1, rest=text("a") + struct.pack("<IQ", 8, 2**62)), "a text of"),
        (header(pairs=1, rest=text("a") + struct.pack("<I", 77)), "type 77"),
        (header(pairs=1, rest=text("a") + struct.pack("<IIQ", 9, 8, 2**62)), "an array of"),
        (header(pairs=1, rest=text("a") + struct.pack("<IIQQ", 9, 8, 1, 2**62)), "header is cut"),
        (header(pairs=1, rest=text("a") + struct.pack("<IIQ", 9, 9, 1) + struct.pack("<IQ", 9, 1) * 9), "type 9"),
        (header(tensors=1, rest=text("t") + struct.pack("<I", 999)), "999 dimensions"),
        (header(tensors=1, rest=text("t") + struct.pack("<IQIQ", 1, 2**60, 0, 0)), "it is cut"),
    ],
)
def test_a_header_that_lies_is_named(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(data)
    with pytest.raises(InputError, match="is no GGUF that can be read") as caught:
        gguf.read(path)
    assert words in caught.value.message


def test_a_file_that_is_cut_anywhere_is_refused(tiny_gguf: Path, tmp_path: Path) -> None:
    data = tiny_gguf.read_bytes()
    for count in (10, 100, 1000, len(data) // 2, len(data) - 4096):
        path = tmp_path / "cut.gguf"
        path.write_bytes(data[:count])
        with pytest.raises(InputError):
            gguf.read(path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_damage_ends_in_another_error(tiny_gguf: Path, tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(tiny_gguf.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, 3000))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged.gguf"
    path.write_bytes(content)
    try:
        gguf.read(path)
    except InputError as exc:
        assert str(path) in exc.message


def test_a_file_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StorageError, match="cannot read"):
        gguf.read(tmp_path / "none.gguf")
