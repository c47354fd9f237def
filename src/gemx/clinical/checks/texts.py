"""The texts of an answer, each with its path, and the amounts that a text names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from gemx.clinical import wording
from gemx.clinical.answer import Answer, Citation, Prescription
from gemx.clinical.quantity import parse_unit
from gemx.errors import InputError

CONTENTS = frozenset({"mass", "activity", "equivalents", "substance"})
NUMBER = r"\d+(?:\.\d+)?"
_ROW_TEXTS = ("indicacao", "condicao", "tempo_infusao", "titulacao", "acesso", "ajuste_renal", "monitorizacao")
_GROUPED = re.compile(r"(?<![\d.,])[1-9]\d{0,2}(?:\.\d{3})+(?![\d.])")
_AMOUNT = re.compile(rf"(?<![\w.])({NUMBER})(?:\s*(?:a|e|ou|ate|-|–)\s*({NUMBER}))?\s*([a-z]+(?:/[a-z]+){{0,2}})")


class TextAmount(NamedTuple):
    """An amount in base units and its dimensions, sorted by name."""

    value: Fraction
    dimensions: tuple[tuple[str, int], ...]


def statements(answer: Answer) -> Iterator[tuple[str, list[Citation]]]:
    """Every statement's path and citations."""
    for section in ("avaliacao", "farmacoterapia", "criterios_decisao", "checklist", "nao_fazer"):
        for index, item in enumerate(getattr(answer, section)):
            yield f"{section}[{index}]", item.fontes
    if answer.destino:
        yield "destino", answer.destino.fontes


def of_answer(answer: Answer) -> Iterator[tuple[str, str]]:
    """Every text of the answer in which a number could stand."""
    yield from about_the_patient(answer)
    for index, found in enumerate(answer.avaliacao):
        yield f"avaliacao[{index}].interpretacao", found.interpretacao
    for index, item in enumerate(answer.farmacoterapia):
        yield from _row_texts(f"farmacoterapia[{index}]", item)
    for index, criterion in enumerate(answer.criterios_decisao):
        yield f"criterios_decisao[{index}].se", criterion.se
        yield f"criterios_decisao[{index}].entao", criterion.entao
    for index, todo in enumerate(answer.checklist):
        yield f"checklist[{index}].item", todo.item
        if todo.a_partir_de:
            yield f"checklist[{index}].a_partir_de", todo.a_partir_de
    for index, missing in enumerate(answer.dados_faltantes):
        yield f"dados_faltantes[{index}]", missing
    for index, avoid in enumerate(answer.nao_fazer):
        yield f"nao_fazer[{index}].item", avoid.item
    if answer.destino:
        yield "destino.local", answer.destino.local


def about_the_patient(answer: Answer) -> Iterator[tuple[str, str]]:
    """The texts that state what this patient has."""
    yield "resumo", answer.resumo
    for index, found in enumerate(answer.avaliacao):
        yield f"avaliacao[{index}].achado", found.achado
    if answer.destino:
        yield "destino.justificativa", answer.destino.justificativa


def _row_texts(path: str, item: Prescription) -> Iterator[tuple[str, str]]:
    for name in _ROW_TEXTS:
        if text := getattr(item, name):
            yield f"{path}.{name}", text
    if item.apresentacao:
        yield f"{path}.apresentacao.texto", item.apresentacao.texto
    if item.diluicao:
        yield f"{path}.diluicao.diluente", item.diluicao.diluente
    for name in ("via", "peso_tipo", "duracao"):
        if item.posologia and (text := getattr(item.posologia, name)):
            yield f"{path}.posologia.{name}", text


@lru_cache(maxsize=4096)
def amounts(text: str) -> tuple[tuple[str, TextAmount], ...]:
    """The doses, volumes and rates that a text names, as it shows them and in base units."""
    found: list[tuple[str, TextAmount]] = []
    for match in _AMOUNT.finditer(wording.fold(_GROUPED.sub(lambda number: number[0].replace(".", ""), text))):
        unit = _unit(match[3])
        if unit is None:
            continue
        name, scale, dimensions = unit
        found += [
            (f"{number.replace('.', ',')} {name}", TextAmount(Fraction(number) * scale, dimensions))
            for number in (match[1], match[2])
            if number
        ]
    return tuple(found)


@lru_cache(maxsize=512)
def _unit(text: str) -> tuple[str, Fraction, tuple[tuple[str, int], ...]] | None:
    """A unit of doses, from its folded spelling; those of laboratories, pressure and bare time are not."""
    spelled = {"ml": "mL", "meq": "mEq", "l": "L", "u": "U", "ui": "U"}
    try:
        unit = parse_unit("/".join(spelled.get(part, part) for part in text.split("/")))
    except InputError:
        return None
    over = {name for name, power in unit.dimensions.items() if power > 0}
    per_litre = any(symbol in ("L", "dL") and power < 0 for symbol, power in unit.parts)
    if per_litre or not over & {*CONTENTS, "volume"}:
        return None
    return str(unit), unit.scale, tuple(sorted(unit.dimensions.items()))
