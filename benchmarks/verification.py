"""Recall and false alarms of the checks, measured on mutants of clean prescription rows; and their speed.

The rows, their variations and the mutants (`rows/`, `variations.py`, `mutations.py`) are made without the checks, the
formulary or any other part of gemx. A mutant is caught when the checks say something of its kind that they do not say
of the clean row that it was made from. `docs/safety.md` holds the figures.

    python benchmarks/verification.py             the table, in Markdown
    python benchmarks/verification.py --missed    also every mutant that was missed, and every false alarm
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import mutations
import variations
import yaml

from gemx import documents, places
from gemx.automation import verification
from gemx.clinical.checks import Case, check
from gemx.clinical.findings import Finding
from gemx.clinical.formulary import load_formulary
from gemx.clinical.inputs import load_inputs, read_patient

# The kinds of finding that say what a mutant of a type has wrong: a family, or one code.
_NUMBERS = ("arithmetic", "dose", "daily", "concentration", "quantity", "presentation", "unit", "infusion", "interval")
CAUGHT_BY: Mapping[str, tuple[str, ...]] = {
    "ten_fold": (*_NUMBERS, "patient.weight", "contract"),
    "thousand_fold": (*_NUMBERS, "patient.weight", "contract"),
    "dose_weight": ("arithmetic", "dose"),
    "concentration": ("arithmetic",),
    "ampoule_volume": ("arithmetic",),
    "pump_rate_60": ("arithmetic",),
    "per_kg": ("unit", "arithmetic", "dose"),
    "salt_base": ("salt", "presentation"),
    "max_dose": ("dose.above_max", "daily.above_max"),
    "max_daily": ("daily.above_max", "dose.above_max", "infusion.too_fast"),
    "max_per_kg": ("dose.above_max", "daily.above_max"),
    "weight": ("patient.weight",),
    "route": ("route",),
    "allergy": ("allergy.drug", "allergy.class"),
    "cross_allergy": ("allergy.class",),
    "pregnancy": ("pregnancy",),
    "renal": ("renal", "contraindication"),
    "frequency_daily": ("arithmetic.daily_dose", "daily", "interval"),
    "missing_field": ("field.missing", "contract", "arithmetic.unverifiable", "infusion.unverifiable"),
    "missing_section": ("contract",),
    "duplicate_class": ("duplicate",),
    "lab_unit": ("lab.unit", "patient.value"),
    "citation_missing": ("citation",),
    "citation_words": ("citation",),
    "unit": ("unit", "contract", "arithmetic"),
    "quantity": ("quantity", "arithmetic"),
    "concentration_max": ("concentration.above_max",),
    "infusion_time": ("infusion",),
    "diluent": ("diluent",),
    "number": ("contract", "number"),
    "unknown_drug": ("drug.unknown",),
}
# A clean row may have no passage to cite: that it has no source is true of it, and no alarm.
TRUE_OF_CLEAN = ("citation.missing",)
SECTIONS = ("avaliacao", "farmacoterapia", "criterios_decisao", "checklist")
PUBLISHED = Path(__file__).parent / "rows" / "published.yaml"


@cache
def _passages() -> tuple[documents.Passage, ...]:
    folder = places.shipped("automations") / "knowledge"
    return tuple(
        passage
        for path in sorted(folder.glob("*.md"))
        for passage in documents.passages(path.read_text(encoding="utf-8"), path.stem, str(path))
    )


@cache
def _formulary() -> Any:
    return load_formulary()


@cache
def _inputs() -> Any:
    return load_inputs()


def case_of(patient: Mapping[str, Any], sections: Sequence[str] = SECTIONS) -> Case:
    """A patient as gemx reads it, with everything that an answer is checked against."""
    return Case(read_patient(patient, _inputs()), _formulary(), _passages(), tuple(sections))


def findings(answer: Mapping[str, Any] | str, case: Case) -> tuple[Finding, ...]:
    """What the checks say of an answer."""
    text = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
    return verification.verify(text, case).findings


def _is_of(finding: Finding, kinds: Sequence[str]) -> bool:
    return finding.code in kinds or finding.code.split(".", maxsplit=1)[0] in kinds


@dataclass
class Score:
    """How many mutants of a type there are, how many were caught, and how many of those as errors."""

    mutants: int = 0
    caught: int = 0
    errors: int = 0
    equivalent: int = 0


def _same(finding: Finding, known: set[tuple[str, str, str]]) -> bool:
    return (finding.code, finding.path, finding.message) in known


@dataclass(frozen=True)
class Measured:
    """The scores by type; and of the clean cases, how many there are, and how many raised what."""

    scores: dict[str, Score]
    cases: int
    alarms: int
    conflicts: int
    unverifiable: int


def measure(missed: list[str], every: int = 1) -> Measured:
    """Run the checks on each clean case (or every n-th) and its mutants; `missed` gets the misses and false alarms."""
    scores: dict[str, Score] = {}
    alarms = conflicts = unverifiable = 0
    cases = variations.clean_cases()[::every]
    for case in cases:
        clean = findings(case.answer, case_of(case.patient))
        wrong = [each for each in clean if each.severity in ("error", "warning") and each.code not in TRUE_OF_CLEAN]
        alarms += bool(wrong)
        conflicts += any(each.severity == "conflict" for each in clean)
        unverifiable += any(each.severity == "unverifiable" for each in clean)
        missed += [f"ALARM {case.id}: {each.severity} {each.code} {each.path}: {each.message}" for each in wrong]
        known = {(each.code, each.path, each.message) for each in clean}
        for mutant in mutations.mutants(case):
            _score(mutant, known, scores.setdefault(mutant.type, Score()), missed, case.id)
    return Measured(scores, len(cases), alarms, conflicts, unverifiable)


def _score(mutant: Any, known: set[tuple[str, str, str]], score: Score, missed: list[str], name: str) -> None:
    if mutant.equivalent:
        score.equivalent += 1
        return
    score.mutants += 1
    found = findings(mutant.answer, case_of(mutant.patient))
    new = [each for each in found if _is_of(each, CAUGHT_BY[mutant.type]) and not _same(each, known)]
    score.caught += bool(new)
    score.errors += any(each.severity == "error" for each in new)
    if not new:
        others = sorted({each.code for each in found if not _same(each, known)})
        missed.append(f"MISSED {mutant.type} {name}: {mutant.detail} (also said: {', '.join(others) or 'nothing'})")


def speed(seconds: float = 3.0) -> tuple[float, float]:
    """Rows a second: of answers already read, and from their text on."""
    cases = [(case.answer, case_of(case.patient)) for case in variations.clean_cases()]
    texts = [(json.dumps(answer), case) for answer, case in cases]
    read = [(verification.verify(text, case).answer, case) for text, case in texts]
    return _rate(lambda: [check(answer, case) for answer, case in read if answer], len(read), seconds), _rate(
        lambda: [verification.verify(text, case) for text, case in texts], len(texts), seconds
    )


def _rate(work: Any, rows: int, seconds: float) -> float:
    work()
    best = float("inf")
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return rows / best


def published() -> Iterator[tuple[dict[str, Any], list[Finding]]]:
    """Rows of published tables, with what the checks say of each; general remarks on the answer are left out."""
    for entry in yaml.safe_load(PUBLISHED.read_text(encoding="utf-8")):
        answer = {
            "resumo": "Tabela publicada.",
            "avaliacao": [],
            "farmacoterapia": [entry["row"]],
            "criterios_decisao": [],
            "checklist": [],
        }
        patient = {name: str(value) for name, value in (entry.get("patient") or {}).items()}
        found = findings(answer, case_of(patient, sections=()))
        yield entry, [each for each in found if not each.code.startswith(("citation", "allergy.unknown"))]


def main(arguments: Sequence[str]) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--missed", action="store_true", help="list what was missed and every false alarm")
    parser.add_argument("--published", action="store_true", help="only the rows of published tables")
    options = parser.parse_args(arguments)
    if options.published:
        _print_published()
        return 0
    missed: list[str] = []
    _print_scores(measure(missed))
    if options.missed:
        print("\n".join(missed))
    checks, whole = speed()
    ratio = (1 / checks) / (1 / whole - 1 / checks)
    print(f"\nSpeed: {checks:,.0f} rows a second checked; {whole:,.0f} with the reading of the contract", end="")
    print(f" (a check costs {ratio:.1f} times that reading).")
    return 0


def _print_scores(found: Measured) -> None:
    total = sum(score.mutants for score in found.scores.values())
    equivalent = sum(score.equivalent for score in found.scores.values())
    print(f"Clean rows: {found.cases}; false alarms (an error or a warning): {found.alarms}", end="")
    print(f" ({found.alarms / found.cases:.1%}); in conflict between declared sources: {found.conflicts}", end="")
    print(f" ({found.conflicts / found.cases:.1%}); with something unverifiable: {found.unverifiable}", end="")
    print(f" ({found.unverifiable / found.cases:.1%}).")
    print(f"Mutants: {total}, and {equivalent} equivalent ones left out.\n")
    print("| type | mutants | caught | recall | of these as errors | equivalent |")
    print("|---|--:|--:|--:|--:|--:|")
    for name in CAUGHT_BY:
        if score := found.scores.get(name):
            recall = f"{score.caught / score.mutants:.1%}" if score.mutants else "–"
            share = f"{score.errors / score.caught:.0%}" if score.caught else "–"
            print(f"| {name} | {score.mutants} | {score.caught} | {recall} | {share} | {score.equivalent} |")


def _print_published() -> None:
    """A table row shows a part of a prescription: what it leaves out is not counted for or against it."""
    print("| published row | printed | what is wrong | said |\n|---|---|---|---|")
    caught = errors = alarms = controls = 0
    for entry, found in published():
        wrong = [each for each in found if each.severity != "unverifiable" and each.code != "field.missing"]
        said = ", ".join(dict.fromkeys(each.code for each in wrong)) or "–"
        errors, controls = errors + bool(entry["kind"]), controls + (not entry["kind"])
        caught += bool(entry["kind"] and wrong)
        alarms += bool(not entry["kind"] and any(each.severity == "error" for each in wrong))
        print(f"| {entry['id']} | {entry['printed']} | {entry['error'] or '(control: right)'} | {said} |")
    print(f"\nCaught: {caught} of {errors} rows with an error; errors said of {alarms} of {controls} right rows.")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
