"""What the request says of its patient: the name, the bed and the number of a record, in the spellings of a ward.

It knows nothing of what a text shows by itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache

from gemx.gateway.identifiers.labels import LABELS, RECORD_GAP
from gemx.gateway.identifiers.page import Hit, Kind, Page, fold
from gemx.gateway.identifiers.wordlists import wordlist

_PARTICLES = frozenset(("da", "de", "do", "das", "dos", "e", "d", "del", "di"))
_JOINED = re.compile(rf"[\W_]{{1,6}}(?:(?:{'|'.join(sorted(_PARTICLES))})[\W_]{{1,6}}){{0,2}}", re.ASCII)
_SAINT = re.compile(r"(?<![a-z])(?:sao|santa|santo|sta\.?|sto\.?)\s{1,2}$")


def _name(page: Page, value: str) -> Iterator[Hit]:
    """A person's name: whole, two words of it in any order, an initial and a word, or a word that is no other word."""
    words = [word for word in re.findall(r"[a-z]+", fold(value).lower.replace("'", "")) if _counts(word)]
    if not words:
        return
    letters = "".join(sorted({word[0] for word in words}))
    # O'Hara, D'Ávila: with the apostrophe and without.
    forms = sorted({f"{word[0]}'?{word[1:]}" for word in words}, key=len, reverse=True)
    tokens = re.compile(rf"(?<![a-z])(?:{'|'.join(forms)}|[{letters}]\.)(?![a-z])")
    run: list[re.Match[str]] = []
    for token in tokens.finditer(page.lower):
        if run and not _joined(page.lower, run[-1], token):
            yield from _named(page, run, words)
            run = []
        run.append(token)
    yield from _named(page, run, words)


@cache
def _ordinary() -> frozenset[str]:
    return wordlist("ordinary_words") | wordlist("missing_names")


def _counts(word: str) -> bool:
    return word not in _PARTICLES and len(word) > 1


def _joined(text: str, left: re.Match[str], right: re.Match[str]) -> bool:
    if right.start() - left.end() > 24:
        return False
    if left[0].endswith(".") and right.start() == left.end():
        return True
    between = text[left.end() : right.start()]
    sentences = not _ordinary().isdisjoint((left[0], right[0])) and any(sign in between for sign in ".!?;:")
    return not sentences and bool(_JOINED.fullmatch(between))


def _named(page: Page, run: Sequence[re.Match[str]], words: Sequence[str]) -> Iterator[Hit]:
    """The findings of one run of words and initials that stand side by side.

    A run of nothing but words for a missing name, such as `paciente de exemplo`, identifies nobody.
    """
    full = [token for token in run if not token[0].endswith(".")]
    said = [_bare(token) for token in full]
    if wordlist("missing_names").issuperset(said):
        return
    initials = {token[0][0] for token in run if token[0].endswith(".")}
    if len({*said, *initials}) > 1 and _is_name(page, full, said, initials, words):
        yield Hit("name", run[0].start(), run[-1].end(), 2.7)
        return
    for token in full:
        if _is_telling(page, token, words):
            yield Hit("name", token.start(), token.end(), 2.2)


def _bare(token: re.Match[str]) -> str:
    return token[0].replace("'", "")


def _is_name(
    page: Page, full: Sequence[re.Match[str]], said: Sequence[str], initials: set[str], words: Sequence[str]
) -> bool:
    """Whether several words are the name: no initial of the very word it stands beside, nor ordinary words by chance.

    Words that are all ordinary count in the order of the name, or with capitals: `SANTOS, ROSA`, and no `santos dias`.
    """
    if len(set(said)) == 1:
        return bool(initials & {word[0] for word in words if word not in said})
    if not _ordinary().issuperset(said):
        return True
    places = [words.index(word) for word in said]
    return places == sorted(places) or all(page.cased[token.start()].isupper() for token in full)


def _is_telling(page: Page, token: re.Match[str], words: Sequence[str]) -> bool:
    """Whether a single word of the name is enough: three letters, no ordinary word, and no saint's."""
    word = _bare(token)
    if len(words) == 1 and word in _ordinary():
        return page.cased[token.start()].isupper()
    saint = _SAINT.search(page.lower[max(0, token.start() - 8) : token.start()])
    return len(word) >= 3 and word not in _ordinary() and not saint


_BED_WORDS = (
    r"(?:leitos?|lto?|camas?|box(?:es)?|bx|macas?|quartos?|qto|enfermarias?|enf|apto?|apartamento|poltrona|vaga|bed)"
)
_VERTEBRAE = frozenset("12345")


def _bed(page: Page, value: str) -> Iterator[Hit]:
    """A bed behind its word, or exactly where its value is letters and digits; never a bare number."""
    plain = fold(value).lower
    core = re.sub(rf"^\s*{_BED_WORDS}(?![a-z])[\W_]*(?:n[ºo.]*[\W_]*)?", "", plain)
    runs = re.findall(r"[a-z]+|[0-9]+", core)
    if any(run.isdigit() for run in runs):
        behind = rf"{_BED_WORDS}[\W_]{{0,4}}(?:(?:n[ro]?|num(?:ero)?)?[ºo.]{{0,2}}[\W_]{{0,2}})?"
        short = "" if "".join(runs).lstrip("0") in _VERTEBRAE else r"|l[.-]?"
        yield from _exactly("bed", page, rf"(?:{behind}{short}){_spelled(runs)}")
    whole = re.findall(r"[a-z]+|[0-9]+", plain)
    kinds = {run.isdigit() for run in whole}
    if len(kinds) == 2 and sum(map(len, whole)) >= 4:
        yield from _exactly("bed", page, _spelled(whole))


def _spelled(runs: Iterable[str]) -> str:
    """Runs of letters and of digits, with anything of two signs between them; leading zeros come and go."""
    forms = (f"0{{0,3}}{run.lstrip('0') or '0'}" if run.isdigit() else run for run in runs)
    return r"[\W_]{0,2}".join(forms)


_YEAR = re.compile(r"(?:19|20)[0-9]{2}")
# `prontuário de 2019` is of that year.
_ANNOUNCED = rf"(?:{LABELS['strong_record']}|{LABELS['record']}|{_BED_WORDS})(?![a-z]){RECORD_GAP}(?<!\sde\s)"


def _record(page: Page, value: str) -> Iterator[Hit]:
    """A record number, whatever separates its characters; a short one is not sought inside a longer number.

    One that may be a year counts behind a label alone: a text has years of its own.
    """
    chars = re.findall(r"[a-z0-9]", fold(value).lower)
    if len(chars) >= 4:
        bare = "".join(chars).lstrip("0")
        bare = bare if len(bare) >= 4 else "".join(chars)
        spelled = r"[\s./_-]{0,2}".join(bare)
        inside, behind = len(bare) < 6, _ANNOUNCED if _YEAR.fullmatch(bare) else ""
        zeros = "0{0,8}" if bare[0] != "0" else ""
        yield from _exactly("record", page, zeros + spelled, inside=inside, behind=behind)


def _exactly(kind: Kind, page: Page, pattern: str, *, inside: bool = False, behind: str = "") -> Iterator[Hit]:
    before, after = (r"(?<![0-9][./:,-])", r"(?![./:,-][0-9])") if inside else ("", "")
    sought = rf"(?<![a-z0-9]){behind}(?P<value>{before}{pattern})(?![a-z0-9]){after}"
    for match in re.finditer(sought, page.lower, re.ASCII):
        yield Hit(kind, match.start("value"), match.end("value"), 3.0)


_SEEKERS: dict[str, Callable[[Page, str], Iterator[Hit]]] = {"name": _name, "bed": _bed, "record": _record}


def told(page: Page, kind: str, value: str) -> Iterator[Hit]:
    """Where the page has this value of the patient; nowhere where the kind is none that it knows."""
    return _SEEKERS[kind](page, value) if kind in _SEEKERS else iter(())
