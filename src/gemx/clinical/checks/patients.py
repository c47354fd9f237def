"""One row against its patient: weight, allergies, pregnancy, contraindications, renal function.

What was not said of the patient is unverifiable where it matters for this drug, and silent where it does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

from gemx.clinical import calculators, wording
from gemx.clinical.checks.case import Case
from gemx.clinical.checks.claims import Verdict, holds, judge, named, parsed
from gemx.clinical.checks.limits import daily_amount, over_day, over_dose
from gemx.clinical.checks.row import BELOW, Row
from gemx.clinical.findings import Finding, Severity
from gemx.clinical.formulary import CLEARANCE, Drug, RenalBand, Sourced
from gemx.clinical.numbers import format_number
from gemx.errors import InputError

_WEIGHT_STEP = Decimal("0.5")
_REDUCED = 60
_BASES = {"ideal": "ideal_body_weight_devine", "predit": "ideal_body_weight_devine", "ajustad": "adjusted_body_weight"}
_DOSE = "posologia.dose"
_SHORTEST_NAME = 5
_JOINED = re.compile(r"\s+e\s+|\s*[;/+]\s*")


def check(row: Row) -> Iterator[Finding]:
    """Everything in a row that does not suit this patient."""
    yield from _weight(row)
    if row.drug is None:
        yield from _unknown_drug_allergy(row)
        return
    yield from _allergy(row, row.drug)
    yield from _pregnancy(row, row.drug)
    yield from _contraindications(row, row.drug)
    yield from _renal(row, row.drug)


def unread_allergies(case: Case, rows: Iterable[Row]) -> Iterator[Finding]:
    """What keeps the allergies of the answer's drugs from being checked: not asked, or an item that no class holds."""
    items = case.patient.values.get("alergias")
    concerned = [row.drug.name for row in rows if row.drug and row.drug.allergy]
    if items is None and concerned:
        message = f"alergias não informadas: não conferidas para {', '.join(dict.fromkeys(concerned))}"
        yield Finding("allergy.unknown", "unverifiable", "", message)
    for item in items if isinstance(items, tuple) else ():
        for part in _JOINED.split(item):
            known = case.formulary.vocabulary.allergens_in(part)
            if not known and not any(_names(part.strip(), drug) for drug in case.formulary.drugs.values()):
                message = "alergia que não é de nenhuma classe conhecida aqui: confira à mão"
                yield Finding("allergy.unrecognized", "unverifiable", "", message, None, part.strip())


def _weight(row: Row) -> Iterator[Finding]:
    dosage, dose = row.item.posologia, row.measure(_DOSE)
    path = row.at("posologia.peso_kg")
    if dosage is not None and dosage.peso_kg == 0:
        yield Finding("patient.weight", "error", path, "um peso não é zero", None, "0 kg")
        return
    if dosage is None or dosage.peso_kg is None:
        if dose is not None and dose.per_kg and row.patient_weight is None:
            message = "dose por kg sem peso: nada do que depende dele foi conferido"
            yield Finding("patient.weight", "unverifiable", path, message)
        return
    said = dosage.peso_tipo or ""
    basis = next((name for stem, name in _BASES.items() if wording.begins_any(said, [stem])), None)
    expected = row.case.number("peso") if basis is None else _dosing_weight(row.case, basis)
    if expected is None:
        found = f"{format_number(dosage.peso_kg)} kg"
        what = "o peso: o do paciente não foi informado" if basis is None else f"o peso {said}: falta altura ou sexo"
        yield Finding("patient.weight", "unverifiable", path, f"não dá para conferir {what}", None, found)
    elif abs(dosage.peso_kg - expected) > max(_WEIGHT_STEP, expected / 100):
        right, found = f"{format_number(expected, 1)} kg", f"{format_number(dosage.peso_kg)} kg"
        yield Finding("patient.weight", "error", path, f"o peso do paciente é {right}", right, found)


def _dosing_weight(case: Case, basis: str) -> Decimal | None:
    given: dict[str, Any] = {"sex": case.patient.values.get("sexo"), "height": case.number("altura")}
    if basis == "adjusted_body_weight":
        given["weight"] = case.number("peso")
    try:
        return calculators.run(basis, given).value
    except InputError:
        return None


def _allergy(row: Row, drug: Drug) -> Iterator[Finding]:
    case, path = row.case, row.at("farmaco")
    listed = case.patient.values.get("alergias")
    items = listed if isinstance(listed, tuple) else ()
    if own := next((item for item in items if _names(item, drug)), None):
        message = f"paciente alérgico a {own}"
        yield Finding("allergy.drug", "error", path, message, None, drug.name)
        return
    known = _known_allergens(case, items)
    for allergy in drug.allergy:
        if allergy.to in known:
            message = f"alergia a {known[allergy.to]}: {allergy.text} ({named(drug, allergy)})"
            yield Finding("allergy.class", allergy.severity, path, message, None, drug.name)


def _unknown_drug_allergy(row: Row) -> Iterator[Finding]:
    """Of a drug that the formulary lacks, its name alone tells an allergy."""
    name, listed = row.item.farmaco, row.case.patient.values.get("alergias")
    items = listed if isinstance(listed, tuple) else ()
    own = next((item for item in items if len(item) >= _SHORTEST_NAME and wording.find(name, (item,))), None)
    if own:
        yield Finding("allergy.drug", "error", row.at("farmaco"), f"paciente alérgico a {own}", None, name)
        return
    known = _known_allergens(row.case, items)
    formulary = row.case.formulary
    # The entry that gathers what is in no drug of the formulary is no class, and says nothing of its members.
    classes = {each.to for drug in formulary.drugs.values() for each in drug.allergy}
    for allergen in formulary.vocabulary.allergens_in(name):
        if allergen in known and allergen in classes:
            message = f"alergia a {known[allergen]}, e este fármaco é da mesma classe"
            yield Finding("allergy.class", "error", row.at("farmaco"), message, None, name)


def _names(item: str, drug: Drug) -> bool:
    """Whether a listed allergy is to a drug: by its name, or by a part of it, as `insulina`."""
    if wording.find(item, drug.names):
        return True
    return len(item) >= _SHORTEST_NAME and any(wording.find(name, (item,)) for name in drug.names)


def _known_allergens(case: Case, items: tuple[str, ...]) -> dict[str, str]:
    """The allergens that the patient has, each with what was said of it."""
    known = {name: item for item in items for name in case.formulary.vocabulary.allergens_in(item)}
    for identifier, definition in case.patient.definitions.items():
        if definition.listed and case.flag(identifier) and definition.listed.allergen not in known:
            known[definition.listed.allergen] = definition.listed.allergen
    return known


def _pregnancy(row: Row, drug: Drug) -> Iterator[Finding]:
    pregnant, path = row.case.may_be_pregnant, row.at("farmaco")
    barred = [each for each in drug.pregnancy if each.risk == "contraindicated"]
    if pregnant is None and barred:
        message = f"contraindicado na gestação ({named(drug, barred[0])}): gestação não informada"
        yield Finding("pregnancy.unknown", "unverifiable", path, message)
    if not pregnant:
        return
    if not drug.pregnancy:
        message = "nenhuma fonte lida fala do uso na gestação"
        yield Finding("pregnancy.unknown", "unverifiable", path, message)
        return
    said = "; ".join(f"{each.text} ({named(drug, each)})" for each in drug.pregnancy)
    if barred:
        yield Finding("pregnancy.contraindicated", _barred(row, drug), path, f"paciente gestante: {said}")
    elif caution := [each for each in drug.pregnancy if each.risk == "caution"]:
        message = f"paciente gestante: {caution[0].text} ({named(drug, caution[0])})"
        yield Finding("pregnancy.caution", "warning", path, message)


def _barred(row: Row, drug: Drug) -> Severity:
    """An error where the Brazilian label bars it, or every source does; otherwise they disagree."""
    barring = [drug.sources[each.source] for each in drug.pregnancy if each.risk == "contraindicated"]
    strong = [source for source in barring if not source.weak]
    if any(source.kind == "label_br" for source in strong):
        return "error"
    if len(barring) < len(drug.pregnancy):
        return "conflict"
    return "error" if strong else "unverifiable"


def _contraindications(row: Row, drug: Drug) -> Iterator[Finding]:
    values = row.case.conditions(row.access)
    for each in drug.contraindications:
        if each.when is None:
            continue
        applies = holds(each.when, values)
        source = drug.sources[each.source]
        said = f"{each.text} ({named(drug, each)})"
        if applies:
            message = f"contraindicado: {said}"
            yield Finding("contraindication.present", _gravity(drug, each), row.at("farmaco"), message)
        elif applies is None and source.kind == "label_br" and not source.weak:
            missing = ", ".join(_missing(row.case, each.when))
            message = f"pode ser contraindicado: {said}; falta {missing}"
            yield Finding("contraindication.unknown", "unverifiable", row.at("farmaco"), message)


def _gravity(drug: Drug, said: Sourced) -> Severity:
    source = drug.sources[said.source]
    if source.weak:
        return "unverifiable"
    return "error" if source.kind == "label_br" else "warning"


def _missing(case: Case, when: str) -> list[str]:
    definitions = case.patient.definitions
    names = sorted(parsed(when).names)
    unknown = [name for name in names if name in definitions and case.patient.values.get(name) is None]
    labels = [definitions[name].label for name in unknown]
    return labels + (["depuração de creatinina"] if CLEARANCE in names and case.clearance is None else [])


def _renal(row: Row, drug: Drug) -> Iterator[Finding]:
    case, renal = row.case, drug.renal
    clearance = case.clearance
    if renal is None:
        if case.unstable_creatinine or (clearance is not None and clearance < _REDUCED):
            message = "nenhuma fonte lida diz o ajuste à função renal, e ela está reduzida ou mudando"
            yield Finding("renal.unknown", "unverifiable", row.at(_DOSE), message)
        return
    values = case.conditions(row.access)
    verdict = judge(drug, renal.bands, lambda band: _breaks(row, band), values)
    if verdict.severity is not None:
        yield _renal_finding(row, drug, verdict)
    for band in renal.bands:
        if not (band.dose_max or band.daily_max or band.interval_min_h) and holds(band.when, values):
            message = f"{band.text} ({named(drug, band)})"
            yield Finding("renal.adjust", "warning", row.at(_DOSE), message, band.text)


def _breaks(row: Row, band: RenalBand) -> bool:
    """Whether a row gives more, or more often, than a band allows."""
    if band.dose_max is not None and over_dose(row, band.dose_max):
        return True
    if band.daily_max is not None and row.mode != "unica" and over_day(row, band.daily_max):
        return True
    interval = row.interval_min
    shortest = band.interval_min_h
    return shortest is not None and interval is not None and interval < Fraction(shortest) * 60 * BELOW


def _renal_finding(row: Row, drug: Drug, verdict: Verdict) -> Finding:
    band, case = verdict.against, row.case
    said = f"{band.text} ({named(drug, band)})"
    found = str(daily_amount(row) or row.measure(_DOSE) or "")
    if verdict.severity == "unverifiable" and verdict.names:
        why = "creatinina mudando: nenhuma fórmula vale" if case.unstable_creatinine else "função renal não informada"
        message = f"{why}; conforme ela: {said}"
        return Finding("renal.unknown", "unverifiable", row.at(_DOSE), message, band.text, found)
    clearance = case.clearance
    shown = "em diálise" if case.on_dialysis else f"depuração de {format_number(clearance or Decimal(0), 0)} mL/min"
    severity: Severity = verdict.severity or "warning"
    message = f"{shown}: {said}"
    if severity == "conflict":
        message += f"; outra fonte: {verdict.inside.text} ({named(drug, verdict.inside)})"
    elif severity == "error" and row.item.fase == "ataque":
        # A loading dose fills the volume of distribution, which the kidney does not change: what follows is adjusted.
        severity = "warning" if row.mode == "unica" else "unverifiable"
        message += "; vale para as doses seguintes à primeira"
    return Finding("renal.adjust", severity, row.at(_DOSE), message, band.text, found)
