"""Put placeholders where identifiers are, and the identifiers back where a model wrote the placeholders.

It knows nothing of what identifies a person, nor of requests: it is given texts and findings.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import count, product
from string import ascii_uppercase

from gemx.gateway.identifiers import Found, Kind

_WORDS: dict[Kind, str] = {
    "cpf": "CPF",
    "cns": "CNS",
    "rg": "RG",
    "phone": "TELEFONE",
    "cep": "CEP",
    "email": "EMAIL",
    "birth_date": "NASCIMENTO",
    "record": "PRONTUARIO",
    "name": "NOME",
    "bed": "LEITO",
}
_ANY_WORD = "|".join(_WORDS.values())
# A model may change the case, put spaces inside, and write the underscore as Markdown, or JSON in it, escapes it.
_SPACE = r"[ \u00a0]{0,2}"
_SEPARATOR = rf"{_SPACE}(?:\\{{0,2}}_|[ -]){_SPACE}"
_FLAGS = re.IGNORECASE | re.ASCII


def _body(tag: str, suffix: str = "") -> str:
    word, number = rf"(?P<word{suffix}>{_ANY_WORD})", rf"(?P<number{suffix}>[0-9]{{1,6}})"
    return rf"{_SPACE}{word}{tag}{_SEPARATOR}{number}{_SPACE}"


_ANY_TAG = re.compile(rf"\[{_body('(?P<tag>[A-Z]{0,8})')}\\{{0,2}}\]", _FLAGS)


class Masks:
    """Reversible placeholders for one request, such as [CPF_1].

    The same spelling has the same placeholder everywhere.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        """`texts` are all of the request's: the placeholders have a form that does not occur in any of them."""
        used = {match["tag"].upper() for text in texts for match in _ANY_TAG.finditer(text)}
        self._tag = next(tag for tag in _tags() if tag not in used)
        # Brackets that Markdown escapes are taken in pairs: a lone backslash before a placeholder is the text's own.
        plain, escaped = _body(self._tag), _body(self._tag, "2")
        self._pattern = re.compile(rf"\[{plain}\]|\\{{1,2}}\[{escaped}\\{{1,2}}\]", _FLAGS)
        self._beginning = re.compile(_beginnings(self._tag) + r"\Z", _FLAGS)
        self._placeholders: dict[str, str] = {}
        self._values: dict[tuple[str, int], str] = {}
        self._counts: Counter[Kind] = Counter()

    @property
    def counts(self) -> Mapping[str, int]:
        """How many distinct values were masked, by kind."""
        return {kind: self._counts[kind] for kind in _WORDS if self._counts[kind]}

    def mask(self, text: str, found: Sequence[Found]) -> str:
        """The text with a placeholder at each finding; `found` is in order and does not overlap."""
        pieces: list[str] = []
        at = 0
        for each in found:
            pieces += (text[at : each.start], self._placeholder(each.kind, text[each.start : each.end]))
            at = each.end
        return "".join((*pieces, text[at:]))

    def unmask(self, text: str, *, in_json: bool = False) -> str:
        """The text with its values back; `in_json` puts them back escaped, as inside a JSON string."""
        return self._pattern.sub(lambda match: self._value(match, in_json=in_json), text)

    def restorer(self, on_text: Callable[[str], None], *, in_json: bool = False) -> Restorer:
        """As `unmask`, for a text that comes in pieces."""
        return Restorer(self, on_text, in_json=in_json)

    def held_from(self, text: str) -> int:
        """Where the end of this text may be the beginning of a placeholder; its length where it cannot."""
        start = max(0, len(text) - _LONGEST)
        beginning = self._beginning.search(text, start)
        return beginning.start() if beginning else len(text)

    def _placeholder(self, kind: Kind, value: str) -> str:
        if value not in self._placeholders:
            self._counts[kind] += 1
            word, number = _WORDS[kind], self._counts[kind]
            self._placeholders[value] = f"[{word}{self._tag}_{number}]"
            self._values[word, number] = value
        return self._placeholders[value]

    def _value(self, match: re.Match[str], *, in_json: bool) -> str:
        word, number = match["word"] or match["word2"], match["number"] or match["number2"]
        value = self._values.get((word.upper(), int(number)))
        if value is None:
            return match[0]
        return _escaped(value) if in_json else value


class Restorer:
    """Puts values back in a stream; holds back only what may be the beginning of a placeholder."""

    def __init__(self, masks: Masks, on_text: Callable[[str], None], *, in_json: bool) -> None:
        self._masks, self._on_text, self._in_json = masks, on_text, in_json
        self._held = ""

    def feed(self, piece: str) -> None:
        """Take the next piece, and pass on what is certain."""
        text = self._held + piece
        cut = self._masks.held_from(text)
        self._held = text[cut:]
        self._pass_on(text[:cut])

    def flush(self) -> None:
        """The stream has ended: pass on the rest."""
        rest, self._held = self._held, ""
        self._pass_on(rest)

    def _pass_on(self, text: str) -> None:
        if text:
            self._on_text(self._masks.unmask(text, in_json=self._in_json))


_LONGEST = 64


def _tags() -> Iterator[str]:
    yield ""
    for size in count(1):
        yield from ("".join(letters) for letters in product(ascii_uppercase, repeat=size))


def _beginnings(tag: str) -> str:
    """A pattern of every proper beginning of a placeholder."""
    after = _nested([_SPACE, r"\\{0,2}", r"[_ -]", _SPACE, r"[0-9]{1,6}", _SPACE, r"\\{1,2}"])
    words = "|".join(_nested([*(word + tag)], after) for word in _WORDS.values())
    return rf"(?:\\{{1,2}}(?:\[{_SPACE}(?:{words}))?|\[{_SPACE}(?:{words}))"


def _nested(elements: Sequence[str], last: str = "") -> str:
    """Elements of which any number from the left may be there."""
    nested = last
    for element in reversed(elements):
        nested = f"(?:{element}{nested})?"
    return nested


def _escaped(value: str) -> str:
    lone = any("\ud800" <= char <= "\udfff" for char in value)
    return json.dumps(value, ensure_ascii=lone)[1:-1]
