"""A result as blocks for a reader, the same for every format: what to do now, values, errors, then the rest.

The first blocks fit in 24 lines of 80 columns. Of a value that is wrong the computed one comes first, and the wrong one
stands only struck out and labelled ERRO. Foreign text loses its control characters here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel

from gemx.automation.facts import Facts
from gemx.automation.marks import Marks, counted, inert, place, spelled, struck
from gemx.automation.protocol import Protocol
from gemx.automation.runner import Result
from gemx.automation.verification import CHECKED
from gemx.clinical import wording
from gemx.clinical.answer import Amount, Answer, ChecklistItem, Citation, Prescription
from gemx.clinical.checks import texts
from gemx.clinical.findings import SEVERITIES, Finding
from gemx.clinical.numbers import format_number
from gemx.gateway import bill
from gemx.sanitize import printable

Tone = Literal["plain", "muted", "warning", "error"]
SUPPORT = "Apoia e não substitui a decisão do profissional responsável."
_MOST_ERRORS = 2
_REVIEW = (
    "[ ] De acordo   [ ] De acordo, com alterações   [ ] Não seguida",
    "Alterações ou motivo: ________________________________________________________",
    "Nome e registro: ______________________________   Data e hora: ________________",
    "Assinatura: ___________________________________________________________________",
)
_REFUSED = " (do protocolo, por código: a resposta foi recusada)"


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
    result, sources = _inert_result(result), _Sources()
    protocol, facts = result.run.protocol, result.run.facts
    page: list[Block] = [
        Title(protocol.title, f"{protocol.id} {protocol.automation.version}"),
        Lines((_patient(protocol, facts),), "muted"),
        *_body(result, "Fazer agora", sources, urgent=True),
        *_calculations(facts),
        *_cited(sources, protocol),
        *_receipt(result),
    ]
    return [_printable(block) for block in page]


def note(result: Result, made: datetime) -> list[Block]:
    """The result as a note for the patient record, with room for the clinician who reviews it."""
    result, sources = _inert_result(result), _Sources()
    protocol, facts = result.run.protocol, result.run.facts
    page: list[Block] = [
        Title("Nota de apoio à decisão", f"{made:%Y-%m-%d %H:%M} UTC"),
        Lines((protocol.title, _patient(protocol, facts))),
        *_body(result, "Conduta", sources, urgent=False),
        *_cited(sources, protocol),
        *_receipt(result),
        Heading("Revisão do profissional responsável"),
        Lines(_REVIEW),
    ]
    return [_printable(block) for block in page]


def _body(result: Result, todo: str, sources: _Sources, *, urgent: bool) -> list[Block]:
    """What a result says, from its state to what the checks found; `todo` heads what is to be done."""
    marks, answer, draft = Marks(result.findings), result.answer, result.run.draft
    page = _status(result)
    shown, refused = (draft, _REFUSED) if result.errors else (answer, "")
    if shown and shown.checklist:
        page += [Heading(f"{todo}{refused}", urgent=urgent), _checklist(shown, result.run.facts, sources)]
    page += _values(result)
    if answer is not None:
        page += _rest(answer, draft, sources, marks)
    elif not result.run.protocol.automation.output:
        page += [Heading("Resposta"), Lines(tuple(result.text.strip().splitlines()))]
    return [*page, *_findings(result, marks)]


def to_json(page: Sequence[Block]) -> list[dict[str, Any]]:
    """A page as JSON, to print it again later."""
    return [{"block": type(block).__name__, **asdict(block)} for block in page]


def from_json(page: Sequence[Any]) -> list[Block]:
    """The page of `to_json`."""
    from pydantic import TypeAdapter

    kinds: dict[str, type[Any]] = {kind.__name__: kind for kind in (Title, Heading, Lines, Rows, Entries)}
    fields_of = ({name: value for name, value in block.items() if name != "block"} for block in page)
    pairs: Iterable[Any] = zip(page, fields_of, strict=True)
    blocks: list[Any] = [TypeAdapter(kinds[block["block"]]).validate_python(content) for block, content in pairs]
    return blocks


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
        whose = f" em {result.model}" if result.model else ""
        shown = [": ".join(part for part in (place(each, result.answer), each.message) if part) for each in errors]
        rows = tuple(Row(("ERRO", text)) for text in shown[:_MOST_ERRORS])
        page += [Lines((f"RESPOSTA RECUSADA: {counted(errors)}{whose} (todos em Conferência)",), "error")]
        page += [Rows(rows, fit=True)]
    elif result.answer and not result.verified:
        open_points = [each for each in result.findings if each.severity == "unverifiable"]
        page += [Lines((f"NÃO VERIFICADO POR INTEIRO: {counted(open_points)} (em Conferência)",), "warning")]
    if result.warnings:
        page += [Lines(tuple(f"Aviso: {warning}" for warning in result.warnings), "warning")]
    return page


def _findings(result: Result, marks: Marks) -> list[Block]:
    ordered = sorted(result.findings, key=lambda each: SEVERITIES.index(each.severity))
    return _section("Conferência", (Entry(_where(each, result.answer), (marks.said(each),)) for each in ordered))


def _where(finding: Finding, answer: Answer | None) -> str:
    where = place(finding, answer)
    path = f" ({finding.path})" if finding.path and finding.path != where else ""
    return f"{finding.code}{f' em {where}{path}' if where else ''}"


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


def _rest(answer: Answer, draft: Answer | None, sources: _Sources, marks: Marks) -> list[Block]:
    def entry(text: str, citations: Sequence[Citation]) -> Entry:
        return Entry(f"{marks.text(text)} {sources.mark(citations)}".rstrip())

    page: list[Block] = [Heading("Resumo"), Lines((marks.text(answer.resumo),))]
    page += _section("Avaliação", (entry(f"{a.achado}: {a.interpretacao}", a.fontes) for a in answer.avaliacao))
    composed = _composed(draft)
    rows = (
        _prescription(index, item, composed.get(_kind(item)), sources, marks)
        for index, item in enumerate(answer.farmacoterapia)
    )
    page += _section("Farmacoterapia", rows)
    criteria = (entry(f"Se {item.se}: {item.entao}", item.fontes) for item in answer.criterios_decisao)
    page += _section("Critérios de decisão", criteria)
    page += _section("Não fazer", (entry(item.item, item.fontes) for item in answer.nao_fazer))
    if place := answer.destino:
        page += _section("Destino", (entry(f"{place.local}: {place.justificativa}", place.fontes),))
    if answer.dados_faltantes:
        page += [Heading("Dados que faltam"), Lines((", ".join(answer.dados_faltantes),), "warning")]
    return page


def _section(title: str, entries: Iterable[Entry]) -> list[Block]:
    found = tuple(entries)
    return [Heading(title), Entries(found)] if found else []


def _kind(item: Prescription) -> tuple[str, str | None]:
    return wording.fold(item.farmaco), item.modo


def _composed(draft: Answer | None) -> dict[tuple[str, str | None], Prescription]:
    """The rows that code computed, by drug and mode."""
    return {_kind(item): item for item in reversed(draft.farmacoterapia)} if draft else {}


def _prescription(
    index: int, item: Prescription, composed: Prescription | None, sources: _Sources, marks: Marks
) -> Entry:
    path = f"farmacoterapia[{index}]"
    salt = f" ({marks.value(f'{path}.base_ou_sal', item.base_ou_sal)})" if item.base_ou_sal else ""
    drug = struck(item.farmaco) if f"{path}.farmaco" in marks.errors else item.farmaco
    title = f"{drug}{salt}: {marks.text(item.indicacao) or 'indicação não informada'}"
    wrong = marks.is_wrong(path)
    details = {
        "Calculado por código": _dosage_of(composed) if wrong and composed else "",
        "Condição": marks.text(item.condicao),
        "Apresentação": _presentation(path, item, marks),
        "Diluição": _dilution(path, item, marks),
        "Posologia": _dosage(path, item, marks),
        "Tempo de infusão": marks.field(f"{path}.tempo_infusao", item.tempo_infusao),
        "Acesso": marks.text(item.acesso),
        "Titulação": marks.text(item.titulacao),
        "Ajuste renal": marks.text(item.ajuste_renal),
        "Monitorização": marks.text(item.monitorizacao),
    }
    lines = [f"{label}: {text}" for label, text in details.items() if text]
    lines[1 if wrong and composed else 0 : 1 if wrong and composed else 0] = marks.beside(path)
    return Entry(f"{title} {sources.mark(item.fontes)}".rstrip(), tuple(lines))


def _dosage_of(item: Prescription) -> str:
    """The protocol's own row in short: dilution, dose, rate."""
    none = Marks(())
    return " · ".join(part for part in (_dilution("", item, none), _dosage("", item, none)) if part)


def _presentation(path: str, item: Prescription, marks: Marks) -> str:
    shown = item.apresentacao
    if shown is None:
        return ""
    text = marks.field(f"{path}.apresentacao", shown.texto)
    for field, amount in (("massa", shown.massa), ("volume", shown.volume)):
        if f"{path}.apresentacao.{field}" in marks.errors:
            text += f"; {marks.value(f'{path}.apresentacao.{field}', _amount(amount))}"
    if item.quantidade is None:
        return text
    return f"{text} — abrir {marks.value(f'{path}.quantidade', format_number(item.quantidade))}"


def _dilution(path: str, item: Prescription, marks: Marks) -> str:
    dilution = item.diluicao
    if dilution is None:
        return ""
    added = marks.value(f"{path}.diluicao.volume_diluente", _amount(dilution.volume_diluente))
    parts = [f"{marks.value(f'{path}.diluicao.diluente', dilution.diluente)} {added}".strip()]
    if dilution.volume_final:
        final = marks.value(f"{path}.diluicao.volume_final", _amount(dilution.volume_final))
        parts.append(f"volume final {final}")
    if dilution.concentracao:
        parts.append(marks.value(f"{path}.diluicao.concentracao", _amount(dilution.concentracao)))
    return " · ".join(parts)


def _dosage(path: str, item: Prescription, marks: Marks) -> str:
    dosage = item.posologia
    if dosage is None:
        return ""
    modes = {"unica": "dose única", "intermitente": "intermitente", "continua": "infusão contínua"}
    named = {
        "dose": ("", _amount(dosage.dose)),
        "dose_total": ("total", _amount(dosage.dose_total)),
        "velocidade": ("bomba", _amount(dosage.velocidade)),
        "intervalo_h": ("a cada", f"{format_number(dosage.intervalo_h)} h" if dosage.intervalo_h is not None else ""),
        "dose_diaria": ("por dia", _amount(dosage.dose_diaria)),
        "volume": ("volume da dose", _amount(dosage.volume)),
        "via": ("", dosage.via or ""),
        "dose_maxima": ("máximo", _amount(dosage.dose_maxima)),
        "peso_kg": ("peso", f"{format_number(dosage.peso_kg)} kg" if dosage.peso_kg is not None else ""),
        "duracao": ("duração", marks.text(dosage.duracao)),
    }
    shown = ((label, marks.value(f"{path}.posologia.{field}", value)) for field, (label, value) in named.items())
    parts = [f"{label} {value}".strip() for label, value in shown if value]
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
        ("Resposta de", _whose(result)),
        ("Tokens", _tokens(result)),
        ("Custo", _cost(result)),
        ("Conferido", CHECKED if automation.output else "nada: texto livre"),
        ("Achados", counted(result.findings) if automation.output else ""),
        ("Citações", _citations(result)),
        ("Auditoria", result.run.run_id),
    ]
    kept = tuple(Row(row) for row in rows if row[1])
    return [Heading("Recibo"), Rows(kept), Lines((SUPPORT,), "muted")]


def _whose(result: Result) -> str:
    instead = f", no lugar de {result.substitution.asked}" if result.substitution else ""
    return f"{result.model}{instead}" if result.model else "arquivo, conferida sem chamar modelo"


def _citations(result: Result) -> str:
    cited = (
        [citation.id for _, sources in texts.statements(result.answer) for citation in sources] if result.answer else []
    )
    return f"{len(cited)}, de {len(set(cited))} trechos" if cited else ""


def _tokens(result: Result) -> str:
    usage = bill.usage(result.attempts)
    if usage.input_tokens is None or usage.output_tokens is None:
        return ""
    return f"{usage.input_tokens} de entrada, {usage.output_tokens} de saída"


def _cost(result: Result) -> str:
    """What all the tries cost, by which table; nothing where no call leads to a bill."""
    table = bill.table(result.attempts)
    if table is None:
        return ""
    cost, known = bill.total(result.attempts), bill.at_least(result.attempts)
    shown = f"US$ {bill.dollars(known).replace('.', ',')}"
    if cost is None:
        shown = f"ao menos {shown}, o resto não é conhecido" if known else "sem preço conhecido"
    return f"{shown}, tabela de preços {table}"


def _amount(amount: Amount | None) -> str:
    return "" if amount is None else spelled(f"{_decimal(amount.valor)} {amount.unidade}")


def _decimal(value: Decimal) -> str:
    """A number with at least four significant digits: one that is very small must not become nought."""
    magnitude = value.adjusted() if value else 0
    return format_number(value, max(2, 3 - magnitude))


def _inert_result(result: Result) -> Result:
    return replace(result, answer=_inert(result.answer), text=inert(result.text) or "")


def _inert(part: Any) -> Any:
    """A part of the answer in which no text can be taken for a struck value."""
    if isinstance(part, str):
        return inert(part)
    if isinstance(part, list):
        return [_inert(item) for item in _items(part)]
    if isinstance(part, BaseModel):
        return part.model_copy(update={name: _inert(getattr(part, name)) for name in type(part).model_fields})
    return part


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
