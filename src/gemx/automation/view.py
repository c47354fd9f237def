"""A result as blocks for a reader, the same for every format: what to do now, values, errors, then the rest.

The first blocks fit in 24 lines of 80 columns. Foreign text loses its control characters here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from gemx.automation.facts import Facts
from gemx.automation.protocol import Protocol
from gemx.automation.runner import Result
from gemx.clinical.answer import Amount, Answer, ChecklistItem, Citation, Prescription
from gemx.clinical.numbers import format_number
from gemx.sanitize import printable

Tone = Literal["plain", "muted", "warning", "error"]
SUPPORT = "Apoia e não substitui a decisão do profissional responsável."
UNCHECKED = "contrato e citações; as doses ainda não são conferidas por esta versão"
_MOST_ERRORS = 3
_REFUSED = " (do protocolo, por código: a resposta do modelo foi recusada)"


@dataclass(frozen=True)
class Title:
    """The head of the page."""

    text: str
    aside: str


@dataclass(frozen=True)
class Heading:
    """The head of a section; `urgent` ones belong to the first screen."""

    text: str
    urgent: bool = False


@dataclass(frozen=True)
class Lines:
    """Paragraphs in one tone."""

    lines: tuple[str, ...]
    tone: Tone = "plain"


@dataclass(frozen=True)
class Row:
    """One line of aligned cells; `mark` holds the citation numbers."""

    cells: tuple[str, ...]
    mark: str = ""


@dataclass(frozen=True)
class Rows:
    """Rows whose columns align; the last cell takes the room that is left, and is cut to it where `fit`."""

    rows: tuple[Row, ...]
    fit: bool = False


@dataclass(frozen=True)
class Entry:
    """One item with its details."""

    title: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entries:
    """Items with details."""

    entries: tuple[Entry, ...]


Block = Title | Heading | Lines | Rows | Entries


class _Sources:
    """Numbers the cited passages in the order in which they are first used, and keeps the words that were quoted."""

    def __init__(self) -> None:
        self.quotes: dict[str, dict[str, None]] = {}

    def mark(self, citations: Sequence[Citation]) -> str:
        for citation in citations:
            self.quotes.setdefault(citation.id, {})[citation.trecho] = None
        order = list(self.quotes)
        numbers = sorted({order.index(citation.id) + 1 for citation in citations})
        return f"[{', '.join(str(number) for number in numbers)}]" if numbers else ""


def blocks(result: Result) -> list[Block]:
    """All blocks of a result, in reading order."""
    sources = _Sources()
    protocol, facts, answer = result.run.protocol, result.run.facts, result.answer
    page: list[Block] = [
        Title(protocol.title, f"{protocol.id} {protocol.automation.version}"),
        Lines((_patient(protocol, facts),), "muted"),
        *_status(result),
    ]
    shown, refused = (result.run.draft, _REFUSED) if result.errors else (answer, "")
    if shown and shown.checklist:
        page += [Heading(f"Fazer agora{refused}", urgent=True), _checklist(shown, facts, sources)]
    page += _values(result)
    if answer is not None:
        page += _rest(answer, sources)
    if not protocol.automation.output:
        page += [Heading("Resposta"), Lines(tuple(result.reply.text.strip().splitlines()))]
    page += [*_findings(result), *_calculations(facts), *_cited(sources, protocol), *_receipt(result)]
    return [_printable(block) for block in page]


def _patient(protocol: Protocol, facts: Facts) -> str:
    patient = facts.patient
    local = [name for name, definition in patient.definitions.items() if definition.local]
    shown: list[str] = []
    for name in dict.fromkeys((*local, *protocol.automation.used)):
        definition = patient.definitions[name]
        if name in patient.given and definition.short is not None:
            unit = "" if definition.short else definition.unit or ""
            shown.append(" ".join(part for part in (definition.short, patient.shown(name), unit) if part))
    return " · ".join(shown)


def _status(result: Result) -> list[Block]:
    page: list[Block] = []
    if errors := result.errors:
        count = "1 erro" if len(errors) == 1 else f"{len(errors)} erros"
        rows = tuple(Row(("ERRO", str(finding))) for finding in errors[:_MOST_ERRORS])
        page += [Lines((f"RESPOSTA RECUSADA: {count} em {result.model} (todos em Conferência)",), "error")]
        page += [Rows(rows, fit=True)]
    if result.warnings:
        page += [Lines(tuple(f"Aviso: {warning}" for warning in result.warnings), "warning")]
    return page


def _findings(result: Result) -> list[Block]:
    names = {"error": "ERRO", "warning": "aviso", "conflict": "conflito", "unverifiable": "não verificável"}
    entries = (Entry(f"{names[finding.severity]} {finding.code}: {finding}") for finding in result.findings)
    return _section("Conferência", entries)


def _checklist(answer: Answer, facts: Facts, sources: _Sources) -> Rows:
    return Rows(tuple(_todo(item, facts, sources) for item in answer.checklist))


def _todo(item: ChecklistItem, facts: Facts, sources: _Sources) -> Row:
    return Row((_deadline(item, facts), item.item), sources.mark(item.fontes))


def _deadline(item: ChecklistItem, facts: Facts) -> str:
    if item.prazo_min is None:
        return "sem prazo"
    limit = "agora" if item.prazo_min == 0 else f"até {_minutes(item.prazo_min)}"
    start = facts.patient.values.get(f"hora_{item.a_partir_de}")
    if isinstance(start, str):
        begun = datetime.strptime(start, "%H:%M")
        due = begun + timedelta(minutes=item.prazo_min)
        days = (due.date() - begun.date()).days
        return f"{limit} ({due:%H:%M}{f', +{days} d' if days else ''})"
    return limit


def _minutes(minutes: int) -> str:
    hours, rest = divmod(minutes, 60)
    return f"{hours} h" if hours and not rest else f"{minutes} min"


def _values(result: Result) -> list[Block]:
    rows = [Row((fact.label, fact.measured, fact.detail)) for fact in result.run.facts.calculated]
    draft = result.run.draft
    rows += [row for item in (draft.farmacoterapia if draft else []) if (row := _computed(item))]
    return [Heading("Valores calculados por código", urgent=True), Rows(tuple(rows), fit=True)] if rows else []


def _computed(item: Prescription) -> Row | None:
    """What code computed of a prescription row: its pump rate, or its total by weight."""
    dosage = item.posologia
    value = (dosage.velocidade or dosage.dose_total) if dosage else None
    if dosage is None or value is None:
        return None
    concentration = item.diluicao.concentracao if item.diluicao else None
    remarks = ("a confirmar" if item.condicao else "", _amount(dosage.dose), _amount(concentration))
    return Row((item.farmaco, _amount(value), " · ".join(remark for remark in remarks if remark)))


def _rest(answer: Answer, sources: _Sources) -> list[Block]:
    page: list[Block] = [Heading("Resumo"), Lines((answer.resumo,))]
    page += _section(
        "Avaliação", (_entry(f"{a.achado}: {a.interpretacao}", a.fontes, sources) for a in answer.avaliacao)
    )
    page += _section("Farmacoterapia", (_prescription(item, sources) for item in answer.farmacoterapia))
    criteria = (_entry(f"Se {item.se}: {item.entao}", item.fontes, sources) for item in answer.criterios_decisao)
    page += _section("Critérios de decisão", criteria)
    page += _section("Não fazer", (_entry(item.item, item.fontes, sources) for item in answer.nao_fazer))
    if place := answer.destino:
        page += _section("Destino", (_entry(f"{place.local}: {place.justificativa}", place.fontes, sources),))
    if answer.dados_faltantes:
        page += [Heading("Dados que faltam"), Lines((", ".join(answer.dados_faltantes),), "warning")]
    return page


def _section(title: str, entries: Iterable[Entry]) -> list[Block]:
    found = tuple(entries)
    return [Heading(title), Entries(found)] if found else []


def _entry(text: str, citations: Sequence[Citation], sources: _Sources) -> Entry:
    return Entry(f"{text} {sources.mark(citations)}".rstrip())


def _prescription(item: Prescription, sources: _Sources) -> Entry:
    salt = f" ({item.base_ou_sal})" if item.base_ou_sal else ""
    title = f"{item.farmaco}{salt}: {item.indicacao or 'indicação não informada'}"
    details = {
        "Condição": item.condicao,
        "Apresentação": _presentation(item),
        "Diluição": _dilution(item),
        "Posologia": _dosage(item),
        "Tempo de infusão": item.tempo_infusao,
        "Acesso": item.acesso,
        "Titulação": item.titulacao,
        "Ajuste renal": item.ajuste_renal,
        "Monitorização": item.monitorizacao,
    }
    lines = tuple(f"{label}: {text}" for label, text in details.items() if text)
    return Entry(f"{title} {sources.mark(item.fontes)}".rstrip(), lines)


def _presentation(item: Prescription) -> str:
    if item.apresentacao is None:
        return ""
    opened = f" — abrir {format_number(item.quantidade)}" if item.quantidade is not None else ""
    return f"{item.apresentacao.texto}{opened}"


def _dilution(item: Prescription) -> str:
    dilution = item.diluicao
    if dilution is None:
        return ""
    parts = [f"{dilution.diluente} {_amount(dilution.volume_diluente)}".strip()]
    if dilution.volume_final:
        parts.append(f"volume final {_amount(dilution.volume_final)}")
    if dilution.concentracao:
        parts.append(_amount(dilution.concentracao))
    return " · ".join(parts)


def _dosage(item: Prescription) -> str:
    dosage = item.posologia
    if dosage is None:
        return ""
    modes = {"unica": "dose única", "intermitente": "intermitente", "continua": "infusão contínua"}
    named = {
        "": _amount(dosage.dose),
        "total": _amount(dosage.dose_total),
        "bomba": _amount(dosage.velocidade),
        "a cada": f"{format_number(dosage.intervalo_h)} h" if dosage.intervalo_h is not None else "",
        "por dia": _amount(dosage.dose_diaria),
        "volume da dose": _amount(dosage.volume),
        "via": dosage.via or "",
        "máximo": _amount(dosage.dose_maxima),
        "peso": f"{format_number(dosage.peso_kg)} kg" if dosage.peso_kg is not None else "",
        "duração": dosage.duracao or "",
    }
    parts = [f"{label} {value}".strip() for label, value in named.items() if value]
    return " · ".join((*parts, modes[item.modo]) if item.modo else parts)


def _calculations(facts: Facts) -> list[Block]:
    entries = tuple(
        Entry(
            f"{fact.label}: {fact.measured}",
            tuple(text for text in (fact.detail, *fact.result.assumptions, _formula(fact)) if text),
        )
        for fact in facts.calculated
    )
    return [Heading("Como foi calculado"), Entries(entries)] if entries else []


def _formula(fact: Any) -> str:
    return f"Fórmula {fact.result.formula_version}. {fact.result.source}"


def _cited(sources: _Sources, protocol: Protocol) -> list[Block]:
    known = {passage.id: passage.reference for passage in protocol.passages}
    entries = [
        Entry(f"[{number}] {name}: {known.get(name) or 'trecho desconhecido'}", tuple(f"“{quote}”" for quote in quotes))
        for number, (name, quotes) in enumerate(sources.quotes.items(), start=1)
    ]
    return [Heading("Fontes"), Entries(tuple(entries))] if entries else []


def _receipt(result: Result) -> list[Block]:
    automation = result.run.protocol.automation
    rows = [("Automação", f"{result.run.protocol.id} {automation.version}")]
    if guideline := automation.guideline:
        doi = f", doi:{guideline.doi}" if guideline.doi else ""
        rows.append(("Diretriz", f"{guideline.name} {guideline.version} ({guideline.date.isoformat()}){doi}"))
    if care := automation.maintenance:
        rows.append(("Revisão", f"{care.reviewed.isoformat()}, próxima {care.next_review.isoformat()} ({care.author})"))
    rows += [
        ("Resposta de", result.model),
        ("Tokens", _tokens(result)),
        ("Conferido", UNCHECKED if automation.output else "nada"),
    ]
    rows += [("Auditoria", result.run.run_id)]
    kept = tuple(Row(row) for row in rows if row[1])
    return [Heading("Recibo"), Rows(kept), Lines((SUPPORT,), "muted")]


def _tokens(result: Result) -> str:
    usage = result.reply.usage
    if usage.input_tokens is None or usage.output_tokens is None:
        return ""
    return f"{usage.input_tokens} de entrada, {usage.output_tokens} de saída"


def _amount(amount: Amount | None) -> str:
    return "" if amount is None else f"{_decimal(amount.valor)} {_unit(amount.unidade)}"


def _unit(unit: str) -> str:
    # "10 U" has been read as 100: Brazil's safety protocol has the word written out.
    return "/".join("unidades" if part in ("U", "UI") else part for part in unit.split("/"))


def _decimal(value: Decimal) -> str:
    return format_number(value, 4 if abs(value) < 10 else 2)


def _printable(block: Any) -> Any:
    """The block with every text in it made safe to print."""
    if isinstance(block, str):
        return printable(block)
    if isinstance(block, tuple):
        return tuple(_printable(item) for item in _items(block))
    if is_dataclass(block) and not isinstance(block, type):
        return replace(block, **{item.name: _printable(getattr(block, item.name)) for item in fields(block)})
    return block


def _items(block: Any) -> Sequence[Any]:
    return block
