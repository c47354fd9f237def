"""Compose an answer from the automation's own data and the patient's facts: what `extractive` returns as it is.

Every statement comes from the YAML with its citations; a condition that cannot be judged for want of data keeps its
entry and says so. Invents no word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from gemx import expression, templates
from gemx.automation.facts import Facts, order_of
from gemx.automation.protocol import Protocol
from gemx.automation.schema import Regimen, SourceReference
from gemx.clinical import answer
from gemx.clinical.answer import Amount, Answer, Citation
from gemx.clinical.formulary import Presentation
from gemx.clinical.inputs import UNKNOWN
from gemx.clinical.quantity import Quantity, convert

_MOST_LABELS = 2


@dataclass(frozen=True)
class _Composer:
    protocol: Protocol
    facts: Facts

    def text(self, template: str) -> str:
        text = " ".join(templates.render(template, self.facts.texts).split())
        units = {definition.unit for definition in self.facts.patient.definitions.values() if definition.unit}
        named = "|".join(sorted(map(re.escape, units), key=len, reverse=True))
        return re.sub(rf"{UNKNOWN} (?:{named})(?!\w)", UNKNOWN, text)

    def optional(self, template: str | None) -> str | None:
        return self.text(template) if template is not None else None

    def judged(self, entries: Iterable[Any]) -> list[tuple[Any, str | None]]:
        """The entries that hold or may hold, each with what keeps its condition from being judged, if anything."""
        kept: list[tuple[Any, str | None]] = []
        for entry in entries:
            verdict, unknown = self._condition(entry.when)
            if verdict is not False:
                kept.append((entry, unknown))
        return kept

    def _condition(self, when: str | None) -> tuple[bool | None, str | None]:
        if when is None:
            return True, None
        parsed = expression.parse(when)
        value = parsed.evaluate(self.facts.values)
        if value is not None:
            return bool(value), None
        in_order = sorted(parsed.names, key=parsed.source.find)
        return None, f"{answer.TO_CONFIRM}: falta {_shortened(self.facts.missing(in_order))}"


def compose(protocol: Protocol, facts: Facts) -> Answer:
    """The answer that the automation's data gives for these facts.

    A finding that cannot be judged is left out where others can: it would stand beside its opposite. What is missing is
    listed.
    """
    composer = _Composer(protocol, facts)
    automation = protocol.automation
    return Answer(
        resumo=composer.text(automation.summary or protocol.title),
        avaliacao=_assessments(composer),
        farmacoterapia=[
            _prescription(composer, order, regimen, unknown)
            for order, (regimen, unknown) in enumerate(composer.judged(automation.regimens), start=1)
        ],
        criterios_decisao=[
            answer.Criterion(
                se=_marked(composer.text(entry.condition), unknown),
                entao=composer.text(entry.action),
                fontes=_citations(entry.sources),
            )
            for entry, unknown in composer.judged(automation.criteria)
        ],
        checklist=_checklist(composer),
        dados_faltantes=_missing(composer),
        nao_fazer=[
            answer.Avoid(item=_marked(composer.text(entry.item), unknown), fontes=_citations(entry.sources))
            for entry, unknown in composer.judged(automation.avoid)
        ],
        destino=_disposition(composer),
    )


def _assessments(composer: _Composer) -> list[answer.Assessment]:
    judged = composer.judged(composer.protocol.automation.assessment)
    return [
        answer.Assessment(
            achado=composer.text(entry.finding),
            interpretacao=_marked(composer.text(entry.interpretation), unknown),
            fontes=_citations(entry.sources),
        )
        for entry, unknown in [item for item in judged if item[1] is None] or judged
    ]


def _checklist(composer: _Composer) -> list[answer.ChecklistItem]:
    items = [
        answer.ChecklistItem(
            item=_marked(composer.text(entry.item), unknown),
            prazo_min=entry.deadline_min,
            a_partir_de=entry.start,
            fontes=_citations(entry.sources),
        )
        for entry, unknown in composer.judged(composer.protocol.automation.checklist)
    ]
    return sorted(items, key=lambda item: (item.prazo_min is None, item.prazo_min or 0))


def _disposition(composer: _Composer) -> answer.Disposition | None:
    for entry, unknown in composer.judged(composer.protocol.automation.disposition):
        return answer.Disposition(
            local=composer.text(entry.place),
            justificativa=_marked(composer.text(entry.reason), unknown),
            fontes=_citations(entry.sources),
        )
    return None


def _missing(composer: _Composer) -> list[str]:
    """The labels of the absent inputs that a calculator or a condition needed."""
    facts, automation = composer.facts, composer.protocol.automation
    labels = {label: None for fact in facts.calculated for label in fact.missing}
    sections = (automation.assessment, automation.regimens, automation.criteria, automation.checklist)
    for section in (*sections, automation.avoid, automation.disposition):
        for entry in section:
            names = expression.parse(entry.when).names if entry.when else frozenset[str]()
            labels.update(dict.fromkeys(facts.missing(sorted(names))))
    return list(labels)


def _prescription(composer: _Composer, order: int, regimen: Regimen, unknown: str | None) -> answer.Prescription:
    drug = composer.protocol.formulary.drugs[regimen.drug]
    ordered = order_of(regimen, composer.protocol)
    computed = composer.facts.regimens[regimen.id]
    weight = composer.facts.values.get("peso") if ordered.by_weight else None
    return answer.Prescription(
        farmaco=drug.name,
        base_ou_sal=drug.strength_as,
        indicacao=composer.text(regimen.indication),
        ordem=order,
        condicao=unknown,
        fase=regimen.phase,
        modo=regimen.mode,
        apresentacao=_presentation(ordered.presentation),
        quantidade=computed.quantity,
        diluicao=_dilution(regimen, ordered.presentation, computed),
        posologia=answer.Dosage(
            dose=_amount(regimen.dose),
            peso_kg=weight if isinstance(weight, Decimal) else None,
            peso_tipo="informado" if weight is not None else None,
            dose_total=_amount(computed.total) if ordered.by_weight else None,
            dose_diaria=_amount(computed.daily),
            volume=_amount(computed.volume),
            via=regimen.route,
            intervalo_h=regimen.interval_h,
            velocidade=_amount(computed.rate),
            dose_maxima=_amount(regimen.maximum),
            duracao=regimen.duration,
        ),
        tempo_infusao=regimen.infusion_time,
        titulacao=composer.optional(regimen.titration),
        acesso=regimen.access,
        ajuste_renal=composer.optional(regimen.renal),
        monitorizacao=composer.optional(regimen.monitoring),
        fontes=_citations(regimen.sources),
    )


def _presentation(presentation: Presentation) -> answer.Presentation:
    return answer.Presentation(
        texto=presentation.text, massa=_amount(presentation.mass), volume=_amount(presentation.volume)
    )


def _dilution(regimen: Regimen, presentation: Presentation, computed: Any) -> answer.Dilution | None:
    if regimen.dilution is not None:
        return answer.Dilution(
            diluente=regimen.dilution.diluent,
            volume_diluente=_amount(regimen.dilution.volume),
            volume_final=_amount(computed.final_volume),
            concentracao=_amount(computed.concentration),
        )
    if presentation.reconstitution is None:
        return None
    return answer.Dilution(
        diluente=presentation.reconstitution.diluent,
        volume_diluente=_amount(_reconstituted(presentation, computed.quantity)),
        volume_final=_amount(computed.final_volume),
        concentracao=_amount(computed.concentration),
    )


def _reconstituted(presentation: Presentation, quantity: Decimal | None) -> Quantity | None:
    if presentation.reconstitution is None or quantity is None:
        return None
    volume = convert(presentation.reconstitution.volume, "mL")
    return Quantity(volume.value * quantity, volume.unit)


def _amount(quantity: Quantity | None) -> Amount | None:
    return None if quantity is None else Amount(valor=quantity.value, unidade=quantity.unit)


def _citations(sources: Iterable[SourceReference]) -> list[Citation]:
    return [Citation(id=source.id, trecho=source.quote) for source in sources]


def _shortened(labels: Sequence[str]) -> str:
    """The first two labels and how many more: all of them stand under the missing data."""
    more = f" e mais {len(labels) - _MOST_LABELS}" if len(labels) > _MOST_LABELS else ""
    return f"{', '.join(labels[:_MOST_LABELS])}{more}"


def _marked(text: str, unknown: str | None) -> str:
    return f"{text} [{unknown}]" if unknown else text
