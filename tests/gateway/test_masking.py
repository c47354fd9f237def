from __future__ import annotations

import json
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gemx.gateway.identifiers import Found, find
from gemx.gateway.identifiers.page import fold
from gemx.gateway.masking import Masks

TEXT = "CPF 529.982.247-25, tel (11) 99876-5432; de novo 529.982.247-25"
LOOKALIKES = st.sampled_from(
    [
        *("[CPF_1]", "[cpf_1]", "[CPF_", "[", "]", "\\", "\\[CPF_1\\]", "[CPF\\_1]", "CPF", "_", "1",
          "[NOME 2]", "[NOMEA_1]"),
        *("[ LEITO_1 ]", "\ud800", "\0", "\r\n", "é", "e\u0301", "529.982.247-25", "(11) 99876-5432", "Maria",
          " ", "[CPFB_12]"),
        *("\\\\", "[[CPF_1]]", "\u00a0", "[EMAİL_1]", "[CNſ_1]", '"'),
    ]
)  # fmt: skip
TEXTS = st.lists(st.one_of(LOOKALIKES, st.text(max_size=3)), max_size=15).map("".join)


@st.composite
def found_in(draw: st.DrawFn, text: str) -> list[Found]:
    """Findings anywhere, in order, as any detector might make them."""
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=8)))
    kinds = st.sampled_from(["cpf", "name", "bed", "email", "cns"])
    pairs = zip(cuts[::2], cuts[1::2], strict=False)
    return [Found(draw(kinds), start, end) for start, end in pairs]


def streamed(masks: Masks, text: str, sizes: list[int], *, in_json: bool = False) -> list[str]:
    pieces: list[str] = []
    restorer = masks.restorer(pieces.append, in_json=in_json)
    at = 0
    for size in [*sizes, len(text)]:
        restorer.feed(text[at : at + size])
        at += size
    restorer.flush()
    return pieces


def masked(text: str) -> tuple[Masks, str]:
    masks = Masks([text])
    return masks, masks.mask(text, find(text))


def test_the_same_spelling_has_the_same_placeholder() -> None:
    masks, text = masked(TEXT)
    assert text == "CPF [CPF_1], tel [TELEFONE_1]; de novo [CPF_1]"
    assert masks.counts == {"cpf": 1, "phone": 1}
    assert masks.unmask(text) == TEXT


def test_placeholders_are_shared_by_the_texts_of_a_request() -> None:
    texts = ["CPF 529.982.247-25", "CPF 111.444.777-35 e 529.982.247-25"]
    masks = Masks(texts)
    assert [masks.mask(text, find(text)) for text in texts] == ["CPF [CPF_1]", "CPF [CPF_2] e [CPF_1]"]
    assert masks.counts == {"cpf": 2}


def test_nothing_found_changes_nothing() -> None:
    masks = Masks(["Hb 9,8"])
    assert masks.mask("Hb 9,8", []) == "Hb 9,8"
    assert masks.unmask("Hb 9,8 [CPF_1]") == "Hb 9,8 [CPF_1]"
    assert masks.counts == {}


@pytest.mark.parametrize("taken", ["[CPF_1]", "[cpf_9]", "[ CPF\\_3 ]", "\\[CPF_1\\]", "[NOME-2]"])
def test_a_text_that_has_placeholders_gets_others(taken: str) -> None:
    text = f"{taken} CPF 529.982.247-25"
    masks, hidden = masked(text)
    assert hidden == f"{taken} CPF [CPFA_1]"
    assert masks.unmask(hidden) == text


@pytest.mark.parametrize(
    "written",
    ["[CPF_1]", "[cpf_1]", "[Cpf_1]", "[ CPF_1 ]", "[CPF _ 1]", "[CPF\\_1]", "[CPF\\\\_1]", "[CPF 1]",
     "[CPF-1]", "[CPF_01]", "\\[CPF\\_1\\]"],
)  # fmt: skip
def test_harmless_changes_of_a_placeholder_are_understood(written: str) -> None:
    masks, _ = masked(TEXT)
    assert masks.unmask(f"**{written}** ok") == "**529.982.247-25** ok"
    assert "".join(streamed(masks, f"**{written}** ok", [1] * 30)) == "**529.982.247-25** ok"


@pytest.mark.parametrize(
    "written", ["[CPF_2]", "[CPF_]", "[CPF1]", "CPF_1", "[CPFX_1]", "[RG_1]", "[CPF_1", "(CPF_1)", "[CPF_1234567]"]
)
def test_what_is_no_placeholder_of_this_request_stays(written: str) -> None:
    masks, _ = masked(TEXT)
    assert masks.unmask(written) == written


def test_a_value_goes_into_json_escaped() -> None:
    value = 'Maria "Cida"\n\\ da \ud800Silva é'
    masks = Masks([value])
    hidden = masks.mask(value, [Found("name", 0, len(value))])
    assert json.loads(masks.unmask(json.dumps({"nome": hidden}), in_json=True)) == {"nome": value}
    assert json.loads("".join(streamed(masks, json.dumps([hidden]), [3, 4], in_json=True))) == [value]


def test_a_restorer_holds_back_nothing_else() -> None:
    masks, _ = masked(TEXT)
    pieces: list[str] = []
    restorer = masks.restorer(pieces.append)
    restorer.feed("a [x] b [CP")
    assert pieces == ["a [x] b "]
    restorer.feed("R c [CPF_")
    assert pieces == ["a [x] b ", "[CPR c "]
    restorer.feed("1")
    assert pieces == ["a [x] b ", "[CPR c "]
    restorer.feed("] d")
    assert pieces == ["a [x] b ", "[CPR c ", "529.982.247-25 d"]
    restorer.feed(" [CPF_1")
    restorer.flush()
    restorer.flush()
    assert "".join(pieces) == "a [x] b [CPR c 529.982.247-25 d [CPF_1"


@given(st.data(), TEXTS)
def test_masked_and_unmasked_is_the_same_byte_for_byte(data: st.DataObject, text: str) -> None:
    found = data.draw(found_in(text))
    masks = Masks([text])
    hidden = masks.mask(text, found)
    assert masks.unmask(hidden) == text
    sizes = data.draw(st.lists(st.integers(0, 5), max_size=40))
    assert "".join(streamed(masks, hidden, sizes)) == text


@given(st.lists(TEXTS, min_size=1, max_size=3))
@example(["1529.982.247-25"])
def test_the_texts_of_a_request_come_back_with_real_findings(texts: list[str]) -> None:
    private = [("name", "Maria da Silva"), ("bed", "12")]
    masks = Masks(texts)
    for text in texts:
        hidden = masks.mask(text, find(text, private))
        assert masks.unmask(hidden) == text
        # What is masked is nowhere left; inside a longer number it is no CPF.
        assert not re.search(r"(?<![0-9])529\.982\.247-25(?![0-9])", fold(hidden).cased)


@given(TEXTS, st.lists(st.integers(0, 4), max_size=60))
def test_a_stream_is_restored_as_the_whole_is(text: str, sizes: list[int]) -> None:
    masks, _ = masked(TEXT)
    for in_json in (False, True):
        assert "".join(streamed(masks, text, sizes, in_json=in_json)) == masks.unmask(text, in_json=in_json)
