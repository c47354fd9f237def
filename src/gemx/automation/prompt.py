"""The request that an automation makes of a model: instructions, passages, patient, facts and draft, in that order.

Inputs marked `local` never enter it; they are carried as `private`, for the door's guard to look for.
"""

from __future__ import annotations

from gemx import templates
from gemx.automation.facts import Facts
from gemx.automation.protocol import Protocol
from gemx.clinical import answer
from gemx.clinical.answer import Answer
from gemx.clinical.checks import Case, limits, row
from gemx.clinical.inputs import Patient
from gemx.clinical.numbers import format_number
from gemx.documents import Text
from gemx.gateway import Message, Origin, Request

FRAME = "automacao"
_PERSONA = "um assistente clínico cuidadoso"


def contract_request(protocol: Protocol, facts: Facts, draft: Answer, origin: Origin) -> Request:
    """The request for an answer under the contract."""
    automation = protocol.automation
    frame = templates.load_shipped(FRAME)
    values = {
        "persona": automation.persona or _PERSONA,
        "language": automation.language,
        "contract": answer.CONTRACT,
        "title": protocol.title,
        "instructions": templates.render(automation.prompt, facts.texts),
        "passages": protocol.passages,
        "patient": patient_lines(protocol, facts.patient),
        "facts": (*fact_lines(facts), *regimen_lines(protocol, facts, draft)),
        "draft": draft.to_json(),
    }
    return Request(
        messages=(Message("user", (Text(templates.render(frame.prompt, values)),)),),
        origin=origin,
        system=templates.render(frame.system or "", values),
        schema=answer.json_schema(),
        passages=protocol.passages,
        draft=draft.to_json(),
        private=facts.patient.private,
    )


def free_request(protocol: Protocol, facts: Facts, origin: Origin) -> Request:
    """The request of an automation with a prompt alone: free text, the patient's data after the prompt."""
    prompt = templates.render(protocol.automation.prompt, facts.texts)
    data = "\n".join(f"- {line}" for line in (*patient_lines(protocol, facts.patient), *fact_lines(facts)))
    text = f"{prompt.strip()}\n\n{data}" if data else prompt
    return Request(
        messages=(Message("user", (Text(text),)),),
        origin=origin,
        system=protocol.automation.persona,
        passages=protocol.passages,
        private=facts.patient.private,
    )


def patient_lines(protocol: Protocol, patient: Patient) -> list[str]:
    """What is known of the patient, an input a line, local ones left out."""
    used = [patient.definitions[name] for name in protocol.automation.used]
    return [
        f"{definition.label}: {patient.shown(definition.id)} {_unit(patient, definition.id)}".rstrip()
        for definition in used
        if not definition.local
    ]


def fact_lines(facts: Facts) -> list[str]:
    """What code computed, a value a line."""
    return [f"{fact.label}: {fact.measured}{f' — {fact.detail}' if fact.detail else ''}" for fact in facts.calculated]


def regimen_lines(protocol: Protocol, facts: Facts, draft: Answer) -> list[str]:
    """What code computed of each row of the draft, and what the formulary allows for it, a row a line."""
    case = Case(facts.patient, protocol.formulary)
    lines: list[str] = []
    for index, item in enumerate(draft.farmacoterapia):
        dosage, dilution = item.posologia, item.diluicao
        amounts = {
            "dose": dosage.dose if dosage else None,
            "dose total": dosage.dose_total if dosage else None,
            "velocidade": dosage.velocidade if dosage else None,
            "dose diária": dosage.dose_diaria if dosage else None,
            "volume final": dilution.volume_final if dilution else None,
            "concentração": dilution.concentracao if dilution else None,
        }
        said = [
            f"{name} {format_number(amount.valor, 4)} {amount.unidade}" for name, amount in amounts.items() if amount
        ]
        lines.append(f"{item.farmaco}: {'; '.join((*said, *limits.allowed(row.read(index, item, case))))}")
    return lines


def _unit(patient: Patient, identifier: str) -> str:
    return (patient.definitions[identifier].unit or "") if patient.values[identifier] is not None else ""
