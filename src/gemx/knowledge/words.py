"""The words of a text as the index and a query have them: without case and accents, stemmed, units and numbers whole.

A stem is made of the word without its accents alone, so that `infeccoes` and `infecções` cannot part: before the
stemmer the endings get back the accents that it knows them by, and plurals that it does not know become singular.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Literal

from gemx.knowledge import stopwords

Language = Literal["pt", "en"]

# What is indexed depends on it: another version makes every base index its words anew.
VERSION = "1"
LANGUAGES: tuple[Language, ...] = ("pt", "en")

_NAMES = {"pt": "portuguese", "en": "english"}
_SUPERSCRIPTS = str.maketrans({char: f" {digit}" for digit, char in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")})
_MARKS = re.compile("[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]")
_MICROGRAM = re.compile(r"[µμ](?=g\b)")
# A number, apart from the unit that may stick to it; a unit such as mcg/kg/min; a word, which may hold digits.
_TOKEN = re.compile(r"\d+(?:[.,]\d+)*|(?:[^\W\d_]+/)+[^\W\d_]+|[^\W\d_][^\W_]*")
_LONGEST = 64
_SHORTEST = 4  # of a word that is stemmed: the shorter are abbreviations as often as not
_PLURALS = (
    (re.compile(r"(?:oes|aos)$"), "ao"),
    (re.compile(r"ncias$"), "ncia"),
    (re.compile(r"(?<=p)aes$"), "ao"),
    (re.compile(r"(?<=[aeiou])ns$"), "m"),
    (re.compile(r"(?<=[bcdfghjlmnpqrstvxz])ais$"), "al"),
    (re.compile(r"(?<=[aeiou]v)eis$"), "el"),
    (re.compile(r"(?<=[nprtc])ois$"), "ol"),
)
_ACCENTS = (
    (re.compile(r"cao$"), "ção"),
    (re.compile(r"ao$"), "ão"),
    (re.compile(r"avel$"), "ável"),
    (re.compile(r"ivel$"), "ível"),
    (re.compile(r"ancia$"), "ância"),
    (re.compile(r"encia$"), "ência"),
)


def terms(text: str, language: Language) -> list[str]:
    """The words of a text in a language, in their order, as the index has them."""
    return [stem(word, language) for word in plain_words(text)]


def query_terms(text: str) -> list[tuple[str, ...]]:
    """What a query looks for: each word once, as its stems in every language.

    Words that say nothing are left out, unless there are no others.
    """
    words = list(dict.fromkeys(plain_words(text)))
    telling = [word for word in words if word not in stopwords.EITHER]
    stems = (tuple(dict.fromkeys(stem(word, language) for language in LANGUAGES)) for word in telling or words)
    return list(dict.fromkeys(stems))


def tells(text: str) -> bool:
    """Whether a query has a word that says what it is about."""
    return any(word not in stopwords.EITHER for word in plain_words(text))


def language_of(text: str, otherwise: Language = "pt") -> Language:
    """The language of a text, told by its commonest words; `otherwise` where they do not tell."""
    words = list(plain_words(text))
    portuguese = sum(word in stopwords.PORTUGUESE for word in words)
    english = sum(word in stopwords.ENGLISH for word in words)
    if portuguese == english:
        return otherwise
    return "pt" if portuguese > english else "en"


def plain_words(text: str) -> Iterator[str]:
    """Words, numbers and units without case and accents; of a unit that is a ratio its parts too."""
    for match in _TOKEN.finditer(_folded(text)):
        word = match[0][:_LONGEST]
        if word[0].isdigit():
            yield word.replace(",", ".")
            continue
        yield word
        if "/" in word:
            yield from (part for part in word.split("/") if part)


def _folded(text: str) -> str:
    marked = unicodedata.normalize("NFKD", _MICROGRAM.sub("mc", text.translate(_SUPERSCRIPTS)).casefold())
    if marked.isascii():
        return marked
    return _MARKS.sub("", marked)


@lru_cache(maxsize=200_000)
def stem(word: str, language: Language) -> str:
    """The stem of a word that has neither case nor accents; what is no word stays as it is."""
    if language == "pt":
        word = _ending(word, _PLURALS)
    if len(word) < _SHORTEST or not word.isalpha():
        return word
    if language == "pt":
        word = _ending(word, _ACCENTS)
    return _folded(_stemmers()[language].stemWord(word))


def _ending(word: str, table: Sequence[tuple[re.Pattern[str], str]]) -> str:
    """The word with the first ending of a table that fits it changed."""
    for pattern, ending in table:
        changed, count = pattern.subn(ending, word)
        if count:
            return changed
    return word


@lru_cache(maxsize=1)
def _stemmers() -> dict[str, Any]:
    # Untyped.
    import snowballstemmer  # pyright: ignore[reportMissingTypeStubs]

    library: Any = snowballstemmer
    return {language: library.stemmer(name) for language, name in _NAMES.items()}
