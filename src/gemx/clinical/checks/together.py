"""The rows of one answer among themselves and beside the protocol's own: duplicates, interactions, departures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from gemx.clinical.answer import TO_CONFIRM
from gemx.clinical.checks.case import Case
from gemx.clinical.checks.claims import named
from gemx.clinical.checks.row import Row, close, read
from gemx.clinical.findings import Code, Finding, Severity
from gemx.clinical.formulary import Drug, Interaction


def check(rows: Sequence[Row], references: Sequence[Row]) -> Iterator[Finding]:
    """Everything that is wrong with the rows as a whole."""
    for one, other in combinations(rows, 2):
        yield from _duplicate(one, other)
    yield from _interactions(rows)
    if references:
        yield from _departures(rows, references)


def references_of(case: Case) -> list[Row]:
    """The rows that code composed for this patient."""
    composed = case.reference.farmacoterapia if case.reference else []
    return [read(index, item, case) for index, item in enumerate(composed)]


def reference_for(row: Row, references: Sequence[Row]) -> Row | None:
    """The protocol's row of the same drug and mode, of the same phase where there are several."""
    same = [each for each in references if each.drug and each.drug is row.drug and each.mode == row.mode]
    phased = [each for each in same if each.item.fase == row.item.fase]
    return next(iter(phased or same), None)


def _may_exclude(one: Row, other: Row) -> bool:
    """Rows under different conditions, or under one that is not known yet, are alternatives: one of them is given."""
    mine, theirs = one.item.condicao, other.item.condicao
    return bool(mine and theirs) and (mine != theirs or (mine or "").startswith(TO_CONFIRM))


def _may_be(one: str | None, other: str | None) -> bool:
    """Whether two words may mean the same, as what is not said may be anything."""
    return one is None or other is None or one == other


def _duplicate(one: Row, other: Row) -> Iterator[Finding]:
    if one.drug is None or other.drug is None or _may_exclude(one, other):
        return
    if one.drug is other.drug:
        if one.mode == other.mode and _may_be(one.item.fase, other.item.fase) and _may_be(one.route, other.route):
            message = f"{one.drug.name} está duas vezes, do mesmo modo ({one.path})"
            severity: Severity = "error" if one.item.condicao == other.item.condicao else "warning"
            yield Finding("duplicate.drug", severity, other.at("farmaco"), message, None, other.item.farmaco)
    elif one.item.condicao != other.item.condicao:
        return
    elif one.drug.drug_class == other.drug.drug_class and not (one.drug.combinable and other.drug.combinable):
        message = f"{other.drug.name} e {one.drug.name} são da mesma classe: {one.drug.drug_class} ({one.path})"
        yield Finding("duplicate.class", "error", other.at("farmaco"), message, None, other.item.farmaco)
    elif one.drug.group and one.drug.group == other.drug.group:
        message = f"{other.drug.name} e {one.drug.name}: em geral um só {one.drug.group} de cada vez ({one.path})"
        yield Finding("duplicate.class", "warning", other.at("farmaco"), message, None, other.item.farmaco)


def _interactions(rows: Sequence[Row]) -> Iterator[Finding]:
    seen: set[tuple[frozenset[str], str]] = set()
    for one, other in ((a, b) for a in rows for b in rows if a is not b):
        if one.drug is None or other.drug is None or one.drug is other.drug or _are_alternatives(one, other):
            continue
        for known in _between(one.drug, other.drug):
            pair = (frozenset((one.drug.id, other.drug.id)), known.kind)
            if pair not in seen:
                seen.add(pair)
                yield _interaction_finding(one, one.drug, other.drug, known)


def _are_alternatives(one: Row, other: Row) -> bool:
    """Rows that both wait for a condition: which of them is given is not known yet."""
    return bool(one.item.condicao and other.item.condicao)


def _between(drug: Drug, other: Drug) -> Iterator[Interaction]:
    return (each for each in drug.interactions if {other.id, other.drug_class} & set(each.with_))


def _interaction_finding(row: Row, drug: Drug, other: Drug, known: Interaction) -> Finding:
    code: Code = "interaction.line" if known.kind == "line" else "interaction.combination"
    message = f"{drug.name} e {other.name}: {known.text} ({named(drug, known)})"
    return Finding(code, "warning", row.at("farmaco"), message, None, other.name)


def _departures(rows: Sequence[Row], references: Sequence[Row]) -> Iterator[Finding]:
    planned = {each.drug.id for each in references if each.drug}
    given = {each.drug.id for each in rows if each.drug}
    for row in rows:
        if row.drug and row.drug.id not in planned:
            message = f"{row.drug.name} não está no protocolo deste paciente"
            yield Finding("protocol.added", "warning", row.at("farmaco"), message, None, row.drug.name)
        elif row.drug:
            yield from _changed_dose(row, references)
    for each in references:
        if each.drug and each.drug.id not in given and not each.item.condicao:
            message = f"o protocolo indica {each.drug.name} para este paciente, e a resposta não traz"
            yield Finding("protocol.omitted", "warning", "farmacoterapia", message, each.drug.name)


def _changed_dose(row: Row, references: Sequence[Row]) -> Iterator[Finding]:
    dose = row.received_content
    planned = [
        (each, amount)
        for each in references
        if each.drug is row.drug and each.mode == row.mode and (amount := each.received_content)
    ]
    if dose is None or not planned:
        return
    if any(amount.content == dose.content and close(dose.value, amount.value) for _, amount in planned):
        return
    first = planned[0][0].measure("posologia.dose")
    message = f"a dose do protocolo para este paciente é {first}"
    stated = row.measure("posologia.dose")
    yield Finding("protocol.dose", "warning", row.at("posologia.dose"), message, str(first), str(stated))
