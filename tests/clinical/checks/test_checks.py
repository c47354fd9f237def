"""Each check by itself, on a drug that no formulary knows: what it finds, how grave, and where it stays silent."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from bench import DOSE, PASSAGES, ROW, answer, case_of, changed, codes, findings, formulary
from hypothesis import given, settings
from hypothesis import strategies as st

from gemx.automation.verification import verify
from gemx.clinical.answer import read_answer
from gemx.clinical.checks import Case
from gemx.clinical.checks.row import parse_times, show
from gemx.clinical.findings import Finding
from gemx.clinical.formulary import Formulary


@pytest.fixture(scope="module")
def drugs(tmp_path_factory: pytest.TempPathFactory) -> Formulary:
    return formulary(tmp_path_factory.mktemp("drugs") / "formulary")


def found(drugs: Formulary, row: dict[str, Any], changes: dict[str, Any], **patient: str | None) -> list[Finding]:
    return findings(answer(changed(row, changes)), case_of(drugs, **patient))


def only(drugs: Formulary, row: dict[str, Any], changes: dict[str, Any], **patient: str | None) -> Finding:
    (finding,) = found(drugs, row, changes, **patient)
    return finding


@pytest.mark.parametrize("row", [ROW, DOSE])
def test_a_right_row_has_no_finding(drugs: Formulary, row: dict[str, Any]) -> None:
    assert found(drugs, row, {}) == []


ARITHMETIC = {
    "concentration": ({"diluicao.concentracao.valor": 640}, "diluicao.concentracao", "64 mcg/mL", "640 mcg/mL"),
    "ampoules left out": ({"diluicao.volume_final.valor": 234}, "diluicao.volume_final", "250 mL", "234 mL"),
    "final volume": ({"diluicao.volume_final.valor": 300}, "diluicao.volume_final", "250 mL", "300 mL"),
    "rate": ({"posologia.velocidade.valor": 394}, "posologia.velocidade", "6,56 mL/h", "394 mL/h"),
    "drops": ({"posologia.velocidade": {"valor": 13, "unidade": "gotas/min"}}, "posologia.velocidade", None, None),
}


@pytest.mark.parametrize("name", ARITHMETIC)
def test_a_sum_that_does_not_come_out_says_what_it_should_be(drugs: Formulary, name: str) -> None:
    changes, path, expected, wrong = ARITHMETIC[name]
    finding = only(drugs, ROW, changes)
    assert finding.code.startswith("arithmetic.")
    assert (finding.severity, finding.path) == ("error", f"farmacoterapia[0].{path}")
    if expected:
        assert (finding.expected, finding.found) == (expected, wrong)
        assert expected in finding.message
        assert str(wrong) not in finding.message  # a wrong number is only ever shown struck


HINTS = {
    "dez vezes": ({"diluicao.concentracao.valor": 640}, "difere 10 vezes"),
    "mil vezes": ({"diluicao.concentracao.unidade": "mg/mL"}, "difere 1000 vezes"),
    "sessenta": ({"posologia.velocidade.valor": 393.75}, "minuto e hora"),
    "peso": ({"posologia.velocidade.valor": 459.4}, "o peso"),
}


@pytest.mark.parametrize("name", HINTS)
def test_a_usual_slip_is_named(drugs: Formulary, name: str) -> None:
    changes, hint = HINTS[name]
    assert hint in only(drugs, ROW, changes).message


@pytest.mark.parametrize("rate", [6.5, 6.56, 6.6, 6.66, 6.4625])
def test_the_rate_may_be_rounded_to_two_percent_or_the_pumps_step(drugs: Formulary, rate: float) -> None:
    assert found(drugs, ROW, {"posologia.velocidade.valor": rate}) == []


@pytest.mark.parametrize("rate", [6.3, 6.8, 0.66, 66])
def test_a_rate_beyond_the_tolerance_is_an_error(drugs: Formulary, rate: float) -> None:
    assert codes(found(drugs, ROW, {"posologia.velocidade.valor": rate})) == [("arithmetic.rate", "error")]


def test_the_drops_of_a_right_rate(drugs: Formulary) -> None:
    slow = {"posologia.velocidade": {"valor": 6.5625, "unidade": "microgotas/min"}}
    assert found(drugs, ROW, slow) == []


def test_a_rate_in_content_is_compared_with_the_dose(drugs: Formulary) -> None:
    assert found(drugs, ROW, {"posologia.velocidade": {"valor": 420, "unidade": "mcg/h"}}) == []
    wrong = only(drugs, ROW, {"posologia.velocidade": {"valor": 7, "unidade": "mcg/h"}})
    assert (wrong.code, wrong.expected) == ("arithmetic.rate", "420 mcg/h")


def test_what_is_missing_for_a_sum_is_said_and_never_passes(drugs: Formulary) -> None:
    row = changed(ROW, {"apresentacao": None, "quantidade": None})
    assert ("arithmetic.unverifiable", "unverifiable") in codes(findings(answer(row), case_of(drugs)))
    no_weight = found(drugs, ROW, {"posologia.peso_kg": None}, peso=None)
    assert ("patient.weight", "unverifiable") in codes(no_weight)
    assert ("arithmetic.unverifiable", "unverifiable") in codes(no_weight)


def test_one_wrong_number_is_not_reported_as_many(drugs: Formulary) -> None:
    # The rate follows from ampoules and volumes; the wrong concentration stands alone.
    wrong = found(drugs, ROW, {"diluicao.concentracao.valor": 6.4})
    assert [each.path for each in wrong if each.severity == "error"] == ["farmacoterapia[0].diluicao.concentracao"]


def test_the_protocols_own_row_tells_which_number_is_wrong(drugs: Formulary) -> None:
    reference, _ = read_answer(json.dumps(answer(ROW)))
    case: Case = replace(case_of(drugs), reference=reference)
    said = answer(changed(ROW, {"posologia.dose.valor": 0.01}))
    wrong = next(each for each in findings(said, case) if each.code == "arithmetic.rate")
    # The rate is the protocol's; it is the dose that departs.
    assert (wrong.path, wrong.expected) == ("farmacoterapia[0].posologia.dose", "0,1 mcg/kg/min")
    assert ("protocol.dose", "warning") in codes(findings(said, case))
    assert codes(findings(answer(), case)) == [("protocol.omitted", "warning")]


INTERMITTENT = {
    "total": ({"posologia.dose_total.valor": 1400}, "arithmetic.total_dose"),
    "daily": ({"posologia.dose_diaria.valor": 840}, "arithmetic.daily_dose"),
    "too few": ({"posologia.dose.valor": 4, "posologia.dose_total.valor": 280, "quantidade": 0}, None),
    "kind of unit": ({"posologia.dose_total.unidade": "mg/h"}, "unit.dimension"),
    "volume": ({"posologia.volume": {"valor": 3.1, "unidade": "mL"}}, "arithmetic.volume"),
}


@pytest.mark.parametrize("name", [name for name in INTERMITTENT if INTERMITTENT[name][1]])
def test_the_sums_of_a_dose(drugs: Formulary, name: str) -> None:
    changes, code = INTERMITTENT[name]
    assert (code, "error") in codes(found(drugs, DOSE, changes))


@pytest.mark.parametrize("volume", [1.4, 15.4])
def test_the_volume_of_a_dose_is_of_the_vial_or_of_the_bag(drugs: Formulary, volume: float) -> None:
    assert found(drugs, DOSE, {"posologia.volume": {"valor": volume, "unidade": "mL"}}) == []


def test_too_few_units_are_an_error_and_a_remainder_is_none(drugs: Formulary) -> None:
    ampoules = {
        "apresentacao.massa.valor": 4,
        "apresentacao.volume.valor": 4,
        "diluicao": None,
        "posologia.dose.valor": 0.1,
        "posologia.dose_total.valor": 7,
        "posologia.dose_diaria.valor": 21,
    }
    few = found(drugs, DOSE, {**ampoules, "quantidade": 1})
    (short,) = [each for each in few if each.code == "quantity.insufficient"]
    assert (short.severity, short.expected, short.found) == ("error", "2", "1")
    assert "quantity.insufficient" not in {each.code for each in found(drugs, DOSE, {**ampoules, "quantidade": 3})}
    half = found(drugs, DOSE, {**ampoules, "quantidade": 2.5})
    assert ("quantity.fraction", "warning") in codes(half)


def test_a_part_of_a_multi_dose_vial_makes_an_infusion(drugs: Formulary) -> None:
    vial = {
        "apresentacao.texto": "frasco",
        "apresentacao.massa.valor": 100,
        "apresentacao.volume.valor": 10,
        "quantidade": 1,
        "diluicao.volume_diluente.valor": 249,
        "diluicao.concentracao.valor": 40,
        "posologia.velocidade.valor": 10.5,
    }
    assert found(drugs, ROW, vial) == []
    more = found(drugs, ROW, {**vial, "diluicao.concentracao.valor": 4000})
    assert ("arithmetic.concentration", "error") in codes(more)


LIMITS: dict[str, tuple[dict[str, Any], dict[str, Any], str, str]] = {
    "over one source": (ROW, {"posologia.dose.valor": 2, "posologia.velocidade": None}, "dose.above_max", "conflict"),
    "over all": (ROW, {"posologia.dose.valor": 4, "posologia.velocidade": None}, "dose.above_max", "error"),
    "over a weak one": (
        ROW,
        {"indicacao": "outra", "posologia.dose": {"valor": 60, "unidade": "mcg/min"}, "posologia.velocidade": None},
        "dose.above_max",
        "unverifiable",
    ),
    "over the usual": (ROW, {"posologia.dose.valor": 0.5, "posologia.velocidade": None}, "dose.unusual", "warning"),
    "under the usual": (ROW, {"posologia.dose.valor": 0.01, "posologia.velocidade": None}, "dose.unusual", "warning"),
    "single dose": (DOSE, {"posologia.dose.valor": 5, "posologia.dose_total.valor": 350}, "dose.above_max", "error"),
    "a day, one source": (DOSE, {"posologia.intervalo_h": 3}, "daily.above_max", "conflict"),
    "interval": (DOSE, {"posologia.intervalo_h": 12}, "interval.unusual", "warning"),
    "route": (DOSE, {"posologia.via": "SC"}, "route.forbidden", "error"),
    "pushed": (DOSE, {"posologia.via": "IV direta"}, "route.forbidden", "error"),
    "pushed, in words": (DOSE, {"tempo_infusao": "bolus em 30 minutos"}, "route.forbidden", "error"),
    "another route": (DOSE, {"posologia.via": "VO"}, "route.unlisted", "warning"),
    "diluent": (DOSE, {"diluicao.diluente": "glicose 50%"}, "diluent.forbidden", "error"),
    "diluent, sources differ": (DOSE, {"diluicao.diluente": "RL"}, "diluent.forbidden", "conflict"),
    "diluent, unknown": (DOSE, {"diluicao.diluente": "SG 5%"}, "diluent.unlisted", "warning"),
    "too fast, one source": (DOSE, {"tempo_infusao": "20 min"}, "infusion.too_fast", "conflict"),
    "too fast": (DOSE, {"tempo_infusao": "5 min"}, "infusion.too_fast", "error"),
    "no time": (DOSE, {"tempo_infusao": "lenta"}, "infusion.unverifiable", "unverifiable"),
    "no dose": (DOSE, {"posologia.dose": None}, "field.missing", "error"),
    "no route": (DOSE, {"posologia.via": None}, "field.missing", "error"),
    "no interval": (DOSE, {"posologia.intervalo_h": None}, "field.missing", "error"),
    "not diluted": (DOSE, {"diluicao": None}, "field.missing", "error"),
    "salt": (ROW, {"base_ou_sal": "sal"}, "salt.mismatch", "error"),
    "salt's mass": (ROW, {"base_ou_sal": None, "apresentacao.massa.valor": 8}, "salt.mismatch", "error"),
    "salt unsaid": (ROW, {"base_ou_sal": None, "apresentacao": None}, "salt.missing", "unverifiable"),
    "strength": (ROW, {"apresentacao.massa.valor": 5}, "presentation.unknown", "warning"),
    "routes, one of them": (DOSE, {"posologia.via": "IV ou SC"}, "route.forbidden", "error"),
    "no known strength": (ROW, {"apresentacao": None, "quantidade": 5}, "arithmetic.concentration", "error"),
    "far too many": (DOSE, {"quantidade": 10}, "quantity.excess", "warning"),
    "drug": (ROW, {"farmaco": "Ignotina"}, "drug.unknown", "unverifiable"),
    "per kg": (ROW, {"posologia.dose.unidade": "mcg/min"}, "unit.per_kg", "warning"),
    "kind of unit": (ROW, {"posologia.dose.unidade": "U/kg/min"}, "unit.content", "error"),
    "no unit": (ROW, {"posologia.dose.unidade": "mcg/kg/mim"}, "unit.unknown", "error"),
    "another unit": (ROW, {"posologia.velocidade.unidade": "mL"}, "unit.dimension", "error"),
    "own maximum": (
        ROW,
        {"posologia.dose_maxima": {"valor": 0.05, "unidade": "mcg/kg/min"}},
        "dose.above_stated",
        "error",
    ),
}


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_of_the_formulary(drugs: Formulary, name: str) -> None:
    row, changes, code, severity = LIMITS[name]
    assert (code, severity) in codes(found(drugs, row, changes))


def test_a_concentration_is_judged_by_the_access(drugs: Formulary) -> None:
    strong = {
        "quantidade": 8,
        "diluicao.volume_diluente.valor": 218,
        "diluicao.concentracao.valor": 128,
        "posologia.velocidade.valor": 3.3,
    }
    assert codes(found(drugs, ROW, strong)) == [("concentration.above_max", "conflict")]
    unsaid = only(drugs, ROW, {**strong, "acesso": None})
    assert (unsaid.code, unsaid.severity) == ("concentration.above_max", "unverifiable")
    assert "acesso" in unsaid.message


@pytest.mark.parametrize(
    ("indicacao", "severity"), [("choque séptico", "error"), ("outra coisa", "unverifiable"), (None, "unverifiable")]
)
def test_the_indication_chooses_the_limit_and_without_one_the_mildest_stands(
    drugs: Formulary, indicacao: str | None, severity: str
) -> None:
    dose = {"posologia.dose": {"valor": 280, "unidade": "mcg/min"}, "posologia.velocidade": None}
    said = [each for each in found(drugs, ROW, {**dose, "indicacao": indicacao}) if each.code == "dose.above_max"]
    assert [each.severity for each in said] == [severity]


PATIENT: dict[str, tuple[dict[str, str | None], list[tuple[str, str]]]] = {
    "another weight": ({"peso": "90"}, [("patient.weight", "error")]),
    "nearly the weight": ({"peso": "70,4"}, []),
    "own allergy": ({"alergias": "testina"}, [("allergy.drug", "error")]),
    "its class": ({"alergias": "amoxicilina"}, [("allergy.class", "error")]),
    "its class, answered": ({"alergia_penicilina": "sim"}, [("allergy.class", "error")]),
    "cross": ({"alergias": "cefalexina"}, [("allergy.class", "warning")]),
    "another allergy": ({"alergias": "dipirona"}, []),
    "an unknown allergy": ({"alergias": "dipirona e xispirona"}, [("allergy.unrecognized", "unverifiable")]),
    "allergies unsaid": ({"alergias": None}, [("allergy.unknown", "unverifiable")]),
    "pregnant": ({"sexo": "F", "gestante": "sim"}, [("pregnancy.contraindicated", "error")]),
    "may be pregnant": ({"sexo": "F"}, [("pregnancy.unknown", "unverifiable")]),
    "too old for it": ({"sexo": "F", "idade": "60"}, []),
    "contraindicated by the label": ({"anuria": "sim"}, [("contraindication.present", "error")]),
    "contraindicated by a guide": ({"potassio": "6,5"}, [("contraindication.present", "warning")]),
    "unsaid, by the label": ({"anuria": None}, [("contraindication.unknown", "unverifiable")]),
    "unsaid, by a guide": ({"potassio": None}, []),
    "kidneys": ({"creatinina": "2,5"}, [("renal.adjust", "error")]),
    "kidneys unsaid": ({"creatinina": None}, [("renal.unknown", "unverifiable")]),
    "kidneys changing": ({"creatinina": "0,9", "creatinina_basal": "0,5"}, [("renal.unknown", "unverifiable")]),
    "dialysis": ({"dialise": "sim"}, [("renal.adjust", "error")]),
}


@pytest.mark.parametrize("name", PATIENT)
def test_a_dose_is_checked_against_its_patient(drugs: Formulary, name: str) -> None:
    patient, expected = PATIENT[name]
    assert codes(found(drugs, DOSE, {}, **patient)) == expected


def test_a_loading_dose_is_not_held_to_the_kidneys(drugs: Formulary) -> None:
    single = {
        "fase": "ataque",
        "modo": "unica",
        "posologia": {**DOSE["posologia"], "intervalo_h": None, "dose_diaria": None},
    }
    assert codes(found(drugs, DOSE, single, creatinina="2,5")) == []
    repeated = codes(found(drugs, DOSE, {"fase": "ataque"}, creatinina="2,5"))
    assert repeated == [("renal.adjust", "unverifiable")], "the doses after the first one are held to the kidneys"


def test_an_ideal_weight_is_checked_by_the_height(drugs: Formulary) -> None:
    ideal = {"posologia.peso_tipo": "ideal", "posologia.peso_kg": 73, "posologia.dose_total.valor": 146}
    daily = {"posologia.dose_diaria.valor": 438}
    assert found(drugs, DOSE, {**ideal, **daily}, altura="178") == []
    assert ("patient.weight", "error") in codes(found(drugs, DOSE, {**ideal, **daily}, altura="160"))
    assert ("patient.weight", "unverifiable") in codes(found(drugs, DOSE, {**ideal, **daily}))


def test_rows_are_checked_together(drugs: Formulary) -> None:
    case = case_of(drugs)
    twice = codes(findings(answer(DOSE, DOSE), case))
    assert twice == [("duplicate.drug", "error")]
    other = codes(findings(answer(DOSE, {**DOSE, "condicao": "se falhar"}), case))
    assert other == [("duplicate.drug", "warning")], "a row under a condition may come on top of one without"
    assert findings(answer({**DOSE, "condicao": "se piorar"}, {**DOSE, "condicao": "se falhar"}), case) == []
    other = {"farmaco": "Irmanina", "modo": "unica", "posologia": {"dose": {"valor": 1, "unidade": "g"}}, "fontes": []}
    assert ("duplicate.class", "error") in codes(findings(answer(DOSE, other), case))
    line = codes(findings(answer(DOSE, {**other, "farmaco": "Outrina"}), case))
    assert ("interaction.line", "warning") in line
    assert "duplicate.class" not in {code for code, _ in line}


STATED = {
    "Lactato 4,6 mmol/L": [],
    "lactato de 4,6": [],
    "Lactato 5 mmol/L": [],
    "Lactato 6 mmol/L": [("patient.value", "error")],
    "Lactato 41 mmol/L": [("lab.unit", "error")],
    "Lactato 41,4 mg/dL": [],
    "Lactato 4,6 mg/dL": [("lab.unit", "error")],
    "alvo de lactato 2 mmol/L": [],
    "lactato 4 mmol/L ou mais": [],
    "Hemoglobina 7 g/dL": [("patient.value", "unverifiable")],
    "Peso 70 kg e PAS 100 mmHg": [],
    "PAS 10": [("patient.value", "error")],
}


@pytest.mark.parametrize("text", STATED)
def test_a_value_of_the_patient_is_stated_as_it_is(drugs: Formulary, text: str) -> None:
    cited = [{"id": "t#a", "trecho": PASSAGES[0].text}]
    said = answer(avaliacao=[{"achado": text, "interpretacao": "x", "fontes": cited}])
    assert codes(findings(said, case_of(drugs))) == STATED[text]


WORDS = {
    "dar ,5 mg": "number.naked",
    "dar 1,0 mg": "number.trailing_zero",
    "infundir a 66 mL/h": "text.unsourced",
    "infundir a 6,6 mL/h": None,
    "entre 0,1 e 0,1 mcg/kg/min": None,
    "em 30 minutos, com PAM de 65 mmHg e lactato de 2 mmol/L": None,
    "itens 1,2 e 3": None,
}


@pytest.mark.parametrize("text", WORDS)
def test_a_number_in_words(drugs: Formulary, text: str) -> None:
    cited = [{"id": "t#a", "trecho": PASSAGES[0].text}]
    said = answer(ROW, checklist=[{"item": text, "fontes": cited}])
    assert WORDS[text] in ({each.code for each in findings(said, case_of(drugs))} or {None})


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("30 minutos ou mais", (30, 30)),
        ("direta, em 2 a 4 minutos", (2, 4)),
        ("1 h", (60, 60)),
        ("90 s", (Fraction(3, 2), Fraction(3, 2))),
        ("em 0,5 h", (30, 30)),
        ("no máximo 200 mg/min", None),
        ("lenta", None),
        ("10-20 min", (10, 20)),
    ],
)
def test_a_time_is_read_from_words(text: str, minutes: tuple[int, int] | None) -> None:
    assert parse_times(text)[:1] == (() if minutes is None else (minutes,))


@pytest.mark.parametrize(
    ("value", "unit", "shown"), [(Fraction(64), "mcg/mL", "64 mcg/mL"), (Fraction(1, 3), "mg", "0,000333 mg")]
)
def test_a_value_is_shown_with_three_digits(value: Fraction, unit: str, shown: str) -> None:
    assert show(value, unit) == shown


@settings(max_examples=60, deadline=None)
@given(
    ampoules=st.integers(1, 20),
    diluent=st.integers(50, 1000),
    weight=st.integers(40, 120),
    dose=st.integers(1, 30),
    factor=st.sampled_from([Fraction(10), Fraction(1, 10), Fraction(60), Fraction(21, 20), Fraction(1, 1000)]),
)
def test_any_right_infusion_passes_its_sums_and_any_wrong_one_does_not(
    ampoules: int, diluent: int, weight: int, dose: int, factor: Fraction
) -> None:
    """Right by arithmetic done here, in fractions; wrong by a factor."""
    final = diluent + 4 * ampoules
    concentration = Fraction(4000 * ampoules, final)
    rate = Fraction(dose, 10) * weight / concentration * 60

    def sums(rate: Fraction) -> list[str]:
        row = changed(
            ROW,
            {
                "quantidade": ampoules,
                "diluicao.volume_diluente.valor": diluent,
                "diluicao.volume_final.valor": final,
                "diluicao.concentracao.valor": float(round(concentration, 6)),
                "posologia.peso_kg": weight,
                "posologia.dose.valor": dose / 10,
                "posologia.velocidade.valor": float(round(rate, 6)),
            },
        )
        case = case_of(_DRUGS, peso=str(weight))
        return [each.code for each in findings(answer(row), case) if each.code.startswith("arithmetic")]

    assert sums(rate) == []
    if abs(rate * factor - rate) > max(rate / 50, Fraction(1, 10)) * Fraction(101, 100):
        assert sums(rate * factor) == ["arithmetic.rate"]


_DRUGS: Formulary


@pytest.fixture(autouse=True, scope="module")
def _shared(drugs: Formulary) -> None:
    global _DRUGS  # noqa: PLW0603  hypothesis and function fixtures do not mix
    _DRUGS = drugs


def test_numbers_that_no_prescription_holds_are_findings(drugs: Formulary) -> None:
    case = case_of(drugs)
    for value, code in ((-1, "contract.schema"), (1e308, "contract.json"), (1e10, "contract.schema")):
        wrong = findings(answer(changed(ROW, {"posologia.dose.valor": value})), case)
        assert codes(wrong) == [(code, "error")]
    text = json.dumps(answer(ROW)).replace("0.1", "NaN")
    assert codes(list(verify(text, case).findings)) == [("contract.json", "error")]
    naked = answer(changed(ROW, {"posologia.dose.valor": ",5"}))
    assert codes(findings(naked, case)) == [("contract.schema", "error")]
