"""The packaged formulary: every number with its source, every reference to something that is there; and broken ones."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from bench import DRUG

from gemx import library, places
from gemx.automation.schema import HEADER, Automation
from gemx.clinical import wording
from gemx.clinical.formulary import Drug, Formulary, load_drug, load_formulary
from gemx.clinical.quantity import Quantity, in_base, parse_unit
from gemx.errors import InvalidFileError, Problem
from gemx.library import YamlModel

FOLDER = places.shipped("automations") / "formulary"
FILES = sorted(FOLDER.glob("*.yaml"))
FORMULARY = load_formulary()
DRUGS = list(FORMULARY.drugs.values())
each_drug = pytest.mark.parametrize("drug", DRUGS, ids=lambda drug: drug.id)


def test_the_packaged_formulary_loads_whole() -> None:
    assert list(FORMULARY.drugs) == [path.stem for path in FILES]
    assert len(FORMULARY.drugs) >= 26
    assert all(drug.id == name for name, drug in FORMULARY.drugs.items())


def numbers(part: Any, path: str = "", source: str | None = None) -> Iterator[tuple[str, Any, str | None]]:
    """Every number of a drug, its place, and the source of the statement that it is in."""
    if isinstance(part, Quantity | Decimal | float) or (isinstance(part, int) and not isinstance(part, bool)):
        yield path, part, source
    elif isinstance(part, YamlModel):
        for name in type(part).model_fields:
            yield from numbers(getattr(part, name), f"{path}.{name}", getattr(part, "source", source))
    elif isinstance(part, list):
        for index, item in enumerate(part):
            yield from numbers(item, f"{path}[{index}]", source)
    elif isinstance(part, dict):
        for name, item in part.items():
            yield from numbers(item, f"{path}.{name}", source)


def sourced(part: Any) -> Iterator[YamlModel]:
    """Every part of a drug that names a source."""
    if isinstance(part, YamlModel):
        if hasattr(part, "source"):
            yield part
        for name in type(part).model_fields:
            yield from sourced(getattr(part, name))
    elif isinstance(part, list):
        for item in part:
            yield from sourced(item)


@each_drug
def test_every_number_has_a_source_that_says_where_and_when_it_was_read(drug: Drug) -> None:
    found = list(numbers(drug))
    assert len(found) >= 5
    assert [path for path, _, source in found if source not in drug.sources] == []
    for source in drug.sources.values():
        assert source.title
        assert source.url_or_id
        assert re.match(r"20\d\d-\d\d-\d\d", source.read)
        assert re.match(r"\d{4}|n/d", source.date)


def test_every_number_of_the_files_is_walked() -> None:
    # The walk above sees what the file says: as many quantities as a pattern finds in the text.
    text = (FOLDER / "noradrenalina.yaml").read_text().split("\nsources:")[0]
    written = re.findall(r"(?:mass|volume|base|salt|min|max|low|high|value|dose_max|daily_max|min_h): \d", text)
    assert len(written) == len(list(numbers(FORMULARY.drugs["noradrenalina"])))


@each_drug
def test_every_source_is_used(drug: Drug) -> None:
    assert {part.source for part in sourced(drug)} == set(drug.sources)  # pyright: ignore[reportAttributeAccessIssue]


@each_drug
def test_a_drug_has_a_maximum_or_says_that_none_was_read(drug: Drug) -> None:
    maxima = [limit for dose in drug.doses for limit in (*dose.max, *dose.daily_max)]
    assert maxima or {"maximum dose", "daily maximum"} <= set(drug.absent)
    assert drug.doses
    assert drug.routes
    assert drug.routes.allowed


@each_drug
def test_the_ranges_of_a_drug_do_not_contradict_its_maxima(drug: Drug) -> None:
    for dose in drug.doses:
        for usual, maxima in ((dose.usual, dose.max), (dose.daily_usual, dose.daily_max)):
            for bound in usual:
                alike = [limit for limit in maxima if _dimensions(limit.value) == _dimensions(bound.low)]
                assert not alike or any(in_base(bound.low) <= in_base(limit.value) for limit in alike), (dose, bound)


def _dimensions(quantity: Quantity) -> dict[str, int]:
    return dict(parse_unit(quantity.unit).dimensions)


@each_drug
def test_what_one_source_allows_and_forbids_is_not_the_same(drug: Drug) -> None:
    for choices in (drug.routes, drug.diluents):
        if choices:
            allowed = {(each.name, each.source) for each in choices.allowed}
            assert not allowed & {(each.name, each.source) for each in choices.forbidden}


def test_no_two_drugs_share_a_name_and_each_is_found_by_all_of_its_own() -> None:
    for drug in DRUGS:
        for name in drug.names:
            for text in (name, name.upper(), f"  {name} ", wording.fold(name)):
                assert FORMULARY.find(text) is drug


def test_a_drug_is_found_in_what_a_row_calls_it() -> None:
    found = {
        "Noradrenalina (hemitartarato) 4 mg/4 mL": "noradrenalina",
        "cloridrato de vancomicina 500 mg": "vancomicina",
        "piperacilina + tazobactam": "piperacilina_tazobactam",
        "glicose 50%": "glicose_50",
    }
    assert {text: drug.id for text in found if (drug := FORMULARY.find(text))} == found
    for text in ("", "xispirona", "norad", "adrenal", "anoradrenalina"):
        assert FORMULARY.find(text) is None
    for text in ("ceftriaxona + sulbactam", "insulina regular e NPH", "adrenalina com lidocaína"):
        assert FORMULARY.find(text) is None, "another product than the one whose name it holds"


REGIMENS = [
    (path.stem, regimen)
    for path in sorted(places.shipped("automations").glob("*.yaml"))
    if library.read(path).data["gemx"] == HEADER
    for regimen in library.load(path, Automation, HEADER)[0].regimens
]


@pytest.mark.parametrize(("automation", "regimen"), REGIMENS, ids=lambda value: getattr(value, "id", value))
def test_the_presentation_of_a_regimen_exists_and_its_dose_can_be_taken_from_it(automation: str, regimen: Any) -> None:
    drug = FORMULARY.drugs[regimen.drug]
    presentation = drug.presentation(regimen.presentation)
    assert presentation is not None
    content = presentation.mass or presentation.volume
    assert content is not None
    assert set(_dimensions(content)) <= set(_dimensions(regimen.dose))


def test_every_automation_has_regimens() -> None:
    assert {automation for automation, _ in REGIMENS} == {"hda_triage", "ira_aki", "sepse_bundle"}


# what is absent

WHOLE = DRUG.replace("with: [outrina]", "with: [testina]").replace("id: testina", "id: droga", 1)


def write(folder: Path, text: str, name: str = "droga") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return path


def test_what_was_read_of_nothing_is_said_to_be_absent(tmp_path: Path) -> None:
    assert load_drug(write(tmp_path, WHOLE)).absent == ()
    sections = ("diluents", "concentration", "doses", "routes", "renal", "pregnancy", "allergy", "contraindications")
    for section in (*sections, "interactions"):
        drug = load_drug(write(tmp_path, without(WHOLE, section)))
        maxima = {"maximum dose", "daily maximum"} if section == "doses" else set[str]()
        assert set(drug.absent) == {section, *maxima}
    assert load_drug(write(tmp_path, without(WHOLE, "speed"))).absent == ()  # the time limits say as much
    assert load_drug(write(tmp_path, without(without(WHOLE, "speed"), "infusion"))).absent == ("speed",)
    no_maximum = re.sub(r"^    max: .*\n", "", WHOLE, flags=re.MULTILINE)
    assert load_drug(write(tmp_path, no_maximum)).absent == ("maximum dose",)
    no_day = re.sub(r"^    daily_max: .*\n", "", WHOLE, flags=re.MULTILINE)
    assert load_drug(write(tmp_path, no_day)).absent == ("daily maximum",)


def without(text: str, section: str) -> str:
    """The drug without one of its sections."""
    found = re.subn(rf"^{section}:.*\n(?: .*\n)*", "", text, flags=re.MULTILINE)
    assert found[1] == 1
    return found[0]


# broken ones

BROKEN = """\
gemx: drug/v1
id: outra
name: Ruim
class: ruins
salt: {name: cloridrato, base: 1 mg, doses_in: base, source: bula}
presentations:
  - {id: ampola, text: "ampola", mass: 4 mL, source: bula}
doses:
  - indication: x
    modes: [unica]
    max: [{value: 4 mmHg, source: bula}]
sources:
  bula: {title: "B", kind: label_br, date: "2020", read: "2026-11-28", url_or_id: "x"}
"""
# Each line of the sound drug that is made wrong, and what is said of it.
WRONG = {
    "{name: SC, source: bula}": ("{name: voadora, source: bula}", "'voadora' is not in vocabulary.yaml"),
    '{name: "glicose 50%", source: bula}': ("{name: água suja, source: bula}", "'água suja' is not in vocabulary.yaml"),
    "{to: penicilina, severity: error": ("{to: penicilin, severity: error", "did you mean 'penicilina'?"),
    "value: 50 mcg/min, source: fraca": ("value: 50 mcg/min, source: frac", "did you mean 'fraca'?"),
    'when: "anuria"': ('when: "anurica"', "'anurica' is not known here; did you mean 'anuria'?"),
    'when: "potassio > 6"': ("when: \"potassio > 'alto'\"", "of the expression"),
    "{low: 1 mg/kg, high: 2 mg/kg, source": ("{low: 2 mg/kg, high: 1 mg/kg, source", "are not a range"),
    "{low: 5 mcg/min, high: 8 mcg/min,": ("{low: 5 mcg/min, high: 8 mcg/kg/min,", "are not a range"),
    "{low: 6, high: 8, source": ("{low: 9, high: 8, source", "9 and 8 are not a range"),
    "{min: 4 mcg/mL, max: 64 mcg/mL,": ("{min: 4 mg/mL, max: 64 mcg/mL,", "are not a range"),
}


def problems(path: Path) -> list[Problem]:
    with pytest.raises(InvalidFileError) as raised:
        load_drug(path) if path.is_file() else load_formulary(path)
    return raised.value.problems


def test_all_that_a_drug_gets_wrong_is_told_at_once_each_at_its_place(tmp_path: Path) -> None:
    text = WHOLE
    for right, (wrong, _) in WRONG.items():
        assert text.count(right) == 1, right
        text = text.replace(right, wrong)
    path = write(tmp_path, text)
    found = problems(path)
    assert len(found) == len(WRONG)
    lines = text.splitlines()
    for wrong, message in WRONG.values():
        at = next(number for number, line in enumerate(lines, start=1) if wrong in line)
        told = [each for each in found if each.line == at and message in each.message]
        assert told, (wrong, [str(each) for each in found])
        assert all(1 <= each.column <= len(lines[at - 1]) for each in told)
        assert str(told[0]).startswith(f"{path}:{at}:{told[0].column}: ")


def test_all_that_a_formulary_gets_wrong_is_told_at_once(tmp_path: Path) -> None:
    write(tmp_path, WHOLE)
    write(tmp_path, BROKEN, "ruim")
    write(tmp_path, "gemx: drug/v1\nid: [\n", "cortada")
    write(tmp_path, WHOLE.replace("id: droga", "id: errada").replace("{to: penicilina", "{to: nada"), "outro")
    found = problems(tmp_path)
    told = {(each.path.name, each.line) for each in found}
    assert {path.name for path in tmp_path.iterdir()} - {name for name, _ in told} == {"droga.yaml"}
    assert {("ruim.yaml", 5), ("ruim.yaml", 7), ("ruim.yaml", 11)} <= told
    assert ("outro.yaml", 2) in told
    assert all(each.line >= 1 and each.column >= 1 for each in found)
    assert len(found) >= 6


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("salt: 2 mg, ", "", "`base` and `salt` belong together"),
        ("{max: 200 mcg/mL, source: guia,", "{source: guia,", "expected `min`, `max` or both"),
        ("{manner: infusao, min: 15 min,", "{manner: lenta, min: 15 min,", "manner"),
        ("interval_min_h: 12", "interval_min_h: 0", "greater than 0"),
        ("id: frasco", "id: ampola", "the presentation 'ampola' stands twice"),
        ("daily_max: 50 mg/dia", "daily_max: 50 mg/h", "expected an amount per day"),
        ("{max: 10 mg/min, source", "{max: 10 mg, source", "expected an amount per time"),
        ("mass: 100 mg", "mass: 0 mg", "above zero"),
        ("mass: 100 mg", "mass: 1.000 mg", "1.000"),
        ("renal:\n  bands:", "renal:\n  none: {source: bula}\n  bands:", "expected either `none` or `bands`"),
        ("synonyms: [", "sinonimos: [", "sinonimos"),
        ("source: fraca", "sorce: fraca", "sorce"),
    ],
)
def test_a_part_that_makes_no_sense_is_told_at_its_place(tmp_path: Path, right: str, wrong: str, message: str) -> None:
    text = WHOLE.replace(right, wrong, 1)
    assert text != WHOLE
    found = problems(write(tmp_path, text))
    pairs = enumerate(zip(text.splitlines(), WHOLE.splitlines(), strict=False), start=1)
    changed = next(number for number, (here, there) in pairs if here != there)
    at = changed - 1 if message.endswith("twice") else changed  # of a list, where the list begins
    assert [each for each in found if message in each.message and each.line == at and each.column], found


@pytest.mark.parametrize("when", ["idade", "clcr", "acesso", "potassio"])
def test_a_condition_is_true_or_false(tmp_path: Path, when: str) -> None:
    # Of an automation it is refused. Here a forgotten comparison bars the drug whenever the value is known.
    found = problems(write(tmp_path, WHOLE.replace('when: "potassio > 6"', f"when: {when}")))
    assert len(found) == 1


def test_names_and_interactions_are_checked_across_the_files(tmp_path: Path) -> None:
    other = WHOLE.replace("id: droga", "id: outro").replace("name: Testina", "name: Outrina")
    write(tmp_path, WHOLE.replace("with: [testina]", "with: [outrinha]"))
    write(tmp_path, other, "outro")
    found = problems(tmp_path)
    assert any("'cloridrato de testina' is also one of droga" in each.message for each in found)
    assert any("'outrinha' is neither a drug's id nor a class" in each.message for each in found)
    assert all(each.path.parent == tmp_path and each.line for each in found)


def test_a_folder_without_drugs_is_no_formulary(tmp_path: Path) -> None:
    (found,) = problems(tmp_path)
    assert "expected a folder with one YAML file a drug" in found.message
    with pytest.raises(InvalidFileError):
        load_formulary(tmp_path / "nada")


def test_a_folder_of_the_users_own_replaces_the_packaged_drugs(tmp_path: Path) -> None:
    write(tmp_path, WHOLE.replace("with: [testina]", "with: [testíneos]"))
    found = load_formulary(tmp_path)
    assert isinstance(found, Formulary)
    assert list(found.drugs) == ["droga"]
    assert found.vocabulary is FORMULARY.vocabulary


@pytest.mark.parametrize(("base", "salt", "ratio"), [("1 mg", "2 mg", "2"), ("500 mg", "535 mg", "1.07")])
def test_the_ratio_of_salt_to_base(tmp_path: Path, base: str, salt: str, ratio: str) -> None:
    drug = load_drug(write(tmp_path, WHOLE.replace("base: 1 mg, salt: 2 mg", f"base: {base}, salt: {salt}")))
    assert drug.salt is not None
    assert drug.salt.ratio == Decimal(ratio)
    assert f"({base} de base = {salt} de cloridrato)" in drug.salt.meaning
    assert drug.strength_as == "base"


def test_a_salt_whose_ratio_was_not_read_is_named_alone(tmp_path: Path) -> None:
    drug = load_drug(write(tmp_path, WHOLE.replace("base: 1 mg, salt: 2 mg, ", "")))
    assert drug.salt is not None
    assert drug.salt.ratio is None
    assert drug.salt.meaning == "doses e apresentações em base (o sal é cloridrato)"
