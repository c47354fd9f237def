"""What an answer says in words: sections, citations, bad numbers, the patient's values, amounts of no source.

An amount in words is not interpreted: it must occur in what code supplied, or it is said to be unverifiable.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from functools import cache
from itertools import islice

from gemx.clinical import wording
from gemx.clinical.answer import Answer, Citation
from gemx.clinical.checks import texts
from gemx.clinical.checks.case import Case, Known
from gemx.clinical.checks.row import Row
from gemx.clinical.checks.texts import NUMBER, TextAmount
from gemx.clinical.findings import Finding
from gemx.clinical.formulary import Drug
from gemx.clinical.numbers import format_number

_FEWEST_WORDS = 3
_MOST_UNSOURCED = 50
_MOST_SHOWN = 5
_PLACES = Fraction(2, 100)
_NAKED = re.compile(r"(?<![\w.,)])[.,]\d")
_TRAILING_ZERO = re.compile(r"(?<![\d.,])\d+,0+\s*(?:mg|g|mcg|µg|ng|mL|ml|L|U|UI|unidades?|mEq|mmol)(?![\w/])")
_STATED = re.compile(rf"\s*(?:[:=]|de|em|e)?\s*({NUMBER})(?![\d/])\s*([^\s,;()]*)")
_THRESHOLD_BEFORE = re.compile(r"(?:alvo|meta|limiar|limite|manter|abaixo|acima|queda)\b[^.;,]{0,30}$")
_THRESHOLD_AFTER = re.compile(r"^\s*(?:ou mais|ou menos|ou acima|ou abaixo|a \d|ate \d)")


def check(answer: Answer, rows: Sequence[Row], case: Case) -> Iterator[Finding]:
    """Everything that is wrong with the words of an answer."""
    yield from sections(answer, case.sections)
    yield from citations(answer, case.words)
    for path, text in texts.of_answer(answer):
        yield from _numbers(path, text)
    for path, text in texts.about_the_patient(answer):
        yield from _values(path, text, case)
    yield from islice(_unsourced(answer, rows, case), _MOST_UNSOURCED)


def sections(answer: Answer, required: Sequence[str]) -> Iterator[Finding]:
    """The required sections that are empty."""
    for section in required:
        if not getattr(answer, section):
            yield Finding("contract.section", "error", section, "esta seção não pode ficar vazia")


def citations(answer: Answer, words: Mapping[str, str]) -> Iterator[Finding]:
    """Statements without a source, and citations that name no passage or quote words that are not in it.

    `words` holds the text of each passage by its id, white space apart.
    """
    for path, sources in texts.statements(answer):
        if not sources:
            yield Finding("citation.missing", "warning", f"{path}.fontes", "afirmação sem fonte")
        for index, citation in enumerate(sources):
            if found := _citation(f"{path}.fontes[{index}]", citation, words):
                yield found


def _citation(path: str, citation: Citation, known: Mapping[str, str]) -> Finding | None:
    if citation.id not in known:
        near = ", ".join(sorted(known)) or "nenhum"
        return Finding("citation.unknown", "error", f"{path}.id", "este trecho não existe", near, citation.id)
    passage, words = known[citation.id], " ".join(citation.trecho.split())
    if words not in passage:
        message = f"estas palavras não estão no trecho {citation.id}"
        return Finding("citation.words", "error", f"{path}.trecho", message, passage, citation.trecho)
    if len(words.split()) < _FEWEST_WORDS and words != passage:
        message = f"menos de {_FEWEST_WORDS} palavras não provam o que diz o trecho {citation.id}"
        return Finding("citation.words", "error", f"{path}.trecho", message, passage, citation.trecho)
    return None


def _numbers(path: str, text: str) -> Iterator[Finding]:
    if naked := _NAKED.search(text):
        shown = text[naked.start() : naked.end() + 4].strip()
        message = "número sem o zero antes da vírgula: o sinal se perde e a dose se multiplica"
        yield Finding("number.naked", "error", path, message, f"0{shown}", shown)
    if zero := _TRAILING_ZERO.search(text):
        message = "zero depois da vírgula: se o sinal se perde, a dose se multiplica por dez"
        yield Finding("number.trailing_zero", "warning", path, message, re.sub(r",0+", "", zero[0]), zero[0])


def _values(path: str, text: str, case: Case) -> Iterator[Finding]:
    """Values of the patient that the text states otherwise than they are, or in the unit of another scale."""
    folded = wording.fold(text)
    known = case.known_values
    for name in case.stated_names.finditer(folded):
        stated = _STATED.match(folded, name.end())
        if stated is None or _is_threshold(folded, name.start(), stated.end(1)):
            continue
        # Folding keeps the length of a text whose white space is single: the words are then shown as written.
        written = (text if len(text) == len(folded) else folded)[name.start() : stated.end()].rstrip(" .")
        found = _value(path, known[name[0]], Decimal(stated[1]), stated[2].rstrip("."), written)
        if found is not None:
            yield found


def _is_threshold(text: str, start: int, end: int) -> bool:
    rest = text[end:]
    unit = re.match(r"\s*[^\s,;()]*", rest)
    after = rest[unit.end() if unit else 0 :]
    return any(_THRESHOLD_AFTER.match(each) for each in (rest, after)) or bool(_THRESHOLD_BEFORE.search(text[:start]))


def _value(path: str, known: Known, stated: Decimal, written: str, shown: str) -> Finding | None:
    units = {wording.fold(unit): factor for unit, factor in known.units.items()}
    own = wording.fold(known.unit)
    if known.value is None:
        message = f"{known.label}: este dado não foi informado"
        return Finding("patient.value", "unverifiable", path, message, None, shown)
    right = f"{format_number(known.value, 3)} {known.unit}".rstrip()
    is_unit = written in units or "/" in written
    factor = units.get(written, Decimal(1))
    if (written in units or written == own or not is_unit) and _alike(stated * factor, known.value):
        return None
    if _alike(stated, known.value) or any(_alike(stated * each, known.value) for each in units.values()):
        message = f"{known.label}: a unidade não é a deste número; o dado do paciente é {right}"
        return Finding("lab.unit", "error", path, message, right, shown)
    return Finding("patient.value", "error", path, f"{known.label}: o dado do paciente é {right}", right, shown)


def _alike(stated: Decimal, known: Decimal) -> bool:
    """Whether a stated number is the known one as far as its digits go, and within 2%."""
    step = Decimal(1).scaleb(int(stated.as_tuple().exponent)) / 2
    return abs(stated - known) <= max(step, abs(known) * Decimal("0.02"))


@cache
def _labels(texts_of: tuple[str, ...]) -> frozenset[TextAmount]:
    return frozenset(amount for text in texts_of for _, amount in texts.amounts(text))


def _labelled(drug: Drug) -> frozenset[TextAmount]:
    """The amounts that a drug's labels show: of its presentations, and of its salt."""
    salt = drug.salt
    return _labels((*(each.text for each in drug.presentations), f"{salt.text} {salt.meaning}" if salt else ""))


def _unsourced(answer: Answer, rows: Sequence[Row], case: Case) -> Iterator[Finding]:
    """Amounts in words that neither the answer's own rows nor anything that code supplied holds."""
    own = {TextAmount(each.value, each.kind) for row in rows for each in row.measures}
    own |= {amount for row in rows if row.drug for amount in _labelled(row.drug)}
    allowed = [*own, *case.supported_amounts]

    def has_source(amount: TextAmount) -> bool:
        if amount in case.supported_amounts or amount in own:
            return True
        like = (known for known, dimensions in allowed if dimensions == amount.dimensions)
        return any(abs(known - amount.value) <= known * _PLACES for known in like)

    for path, text in texts.of_answer(answer):
        lone = list(dict.fromkeys(shown for shown, amount in texts.amounts(text) if not has_source(amount)))
        if lone:
            message = "quantidade que não vem das linhas, do protocolo, dos dados nem dos trechos: confira à mão"
            yield Finding("text.unsourced", "unverifiable", path, message, None, ", ".join(lone[:_MOST_SHOWN]))
