"""`gemx auto verify`, `note`, `drugs` and `rules`: planted errors by exit code and page, on record, in the history."""

from __future__ import annotations

import html
import json
import re
import shutil
import sqlite3
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from fake_gemini import FakeGemini
from gemx import places
from gemx.automation import patient_file, protocol, runner
from gemx.clinical.findings import CODES
from gemx.clinical.inputs import read_patient
from loopback import Recorded

GEMINI = "gemini:gemini-3.8-flash"
CASES = places.shipped("automations") / "cases"
FULL = {"sepse_bundle": "sepse_choque", "hda_triage": "hda_varicosa", "ira_aki": "ira_hipercalemia"}
PROMPT_ONLY = "gemx: automation/v1\nprompt: Resuma o caso.\ninputs: [idade]\n"
ROWS = "farmacoterapia"
NOR = f"{ROWS}[1]"  # of sepse_bundle
Run = Callable[..., Any]


def case(automation: str) -> str:
    return str(CASES / f"{FULL[automation]}.yaml")


@cache
def _draft(automation: str) -> str:
    loaded = protocol.load(automation)
    patient = read_patient(patient_file.read(case(automation))[0], loaded.inputs)
    composed = runner.prepare(loaded, patient).draft
    assert composed is not None
    return composed.to_json()


def draft(automation: str) -> dict[str, Any]:
    """A right answer: what code composes for the full example patient."""
    return json.loads(_draft(automation))


def put(answer: dict[str, Any], path: str, value: Any) -> None:
    """Set a value at a path as findings write it."""
    *steps, last = [int(part) if part.isdigit() else part for part in re.findall(r"\w+", path)]
    at: Any = answer
    for step in steps:
        at = at[step]
    at[last] = value


def write(name: str, value: Any) -> str:
    Path(name).write_text(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    return name


def flags(pairs: Sequence[str]) -> list[str]:
    return [word for pair in pairs for word in ("-i", pair)]


def verify(automation: str, answer: str = "answer.json", *more: str) -> list[str]:
    return ["auto", "verify", answer, "--automation", automation, "--input", case(automation), *more]


def audit_lines(home: Path) -> list[str]:
    return [line for path in sorted((home / "state/audit").glob("*.jsonl")) for line in path.read_text().splitlines()]


def records(home: Path, kind: str | None = None) -> list[dict[str, Any]]:
    return [record for record in map(json.loads, audit_lines(home)) if kind in (None, record["kind"])]


def kept(home: Path) -> list[str]:
    """The run ids in the history, read without gemx."""
    path = home / "data/history.db"
    if not path.exists():
        return []
    with sqlite3.connect(path) as database:
        found = [row[0] for row in database.execute("SELECT run_id FROM entries ORDER BY run_id")]
    database.close()
    return found


def flat(text: str) -> str:
    return " ".join(text.split())


# an answer that is right


@pytest.mark.parametrize("path", sorted(CASES.glob("*.yaml")), ids=lambda path: path.stem)
def test_what_run_printed_is_verified_again_with_the_same_outcome(
    run_gemx: Run, workdir: Path, gemx_home: Path, path: Path
) -> None:
    automation = re.search(r"^automation: (\w+)$", path.read_text(), re.MULTILINE)
    assert automation
    given = ("--input", str(path))
    run = ("auto", "run", automation[1], *given, "-m", "extractive", "--json", "--out", "result.json")
    assert run_gemx(*run).code == 0
    before = json.loads((workdir / "result.json").read_text())["data"]
    (workdir / "bare.json").write_text(json.dumps(before["answer"]))
    for answer in ("result.json", "bare.json"):
        done = run_gemx("auto", "verify", answer, "--automation", automation[1], *given, "--json")
        assert done.code == 0
        after = done.json["data"]
        assert done.json["command"] == "auto verify"
        assert after["run_id"] != before["run_id"]
        for name in ("automation", "answer", "facts", "findings", "verified", "warnings"):
            assert after[name] == before[name]
        assert (after["model"], before["model"]) == (None, "extractive")
    full = path.stem in FULL.values()
    assert before["verified"] or not full
    assert [record["kind"] for record in records(gemx_home)] == ["attempt", "result", "result", "result"]


def test_a_refused_result_is_refused_again(run_gemx: Run, workdir: Path, fake_gemini: FakeGemini) -> None:
    fake_gemini.always("invalid_json")
    run = ("auto", "run", "sepse_bundle", "--input", case("sepse_bundle"), "-m", GEMINI, "--json", "--out", "r.json")
    assert run_gemx(*run).code == 6
    done = run_gemx(*verify("sepse_bundle", "r.json", "--json"))
    assert done.code == 6
    assert [finding["code"] for finding in done.json["data"]["findings"]] == ["contract.json"]
    assert done.json["data"]["text"] == '{"resumo": nada}'
    fake_gemini.always("unavailable")
    assert run_gemx(*run).code == 8  # no file, no answer: the old one stays
    (workdir / "none.json").write_text('{"gemx": 1, "data": null}')
    done = run_gemx(*verify("sepse_bundle", "none.json", "--json"))
    assert done.code == 6
    assert {finding["code"] for finding in done.json["data"]["findings"]} == {"contract.schema"}


def test_the_page_of_a_verified_answer_is_of_no_model(run_gemx: Run, workdir: Path) -> None:
    write("answer.json", draft("sepse_bundle"))
    done = run_gemx(*verify("sepse_bundle"))
    assert (done.code, done.err) == (0, "")
    assert re.search(r"^  Resposta de +arquivo, conferida sem chamar modelo$", done.out, re.MULTILINE)
    assert re.search(r"^  Achados +sem achados$", done.out, re.MULTILINE)
    assert "FAZER AGORA\n" in done.out


# errors that are planted


@dataclass(frozen=True)
class Plant:
    """A right answer with something wrong put in, or a patient for whom it is wrong; what gemx says of it.

    `path` is where the finding is, `shown` a pattern of the page as text, and `gone` a wrong value that stands nowhere
    on it but struck.
    """

    automation: str
    changes: dict[str, Any]
    code: str
    path: str
    shown: str = ""
    gone: str = ""
    patient: tuple[str, ...] = ()


def struck(value: str) -> str:
    return f"ERRO ~~{re.escape(value)}~~"


AMOUNT = r"[\d,]+ [\w/]+ "
ADULTERATED = {"farmaco": "Ceftriaxona", "modo": "intermitente", "fase": "ataque", "fontes": []}
ADULTERATED |= {"posologia": {"dose": {"valor": 1, "unidade": "g"}, "via": "IV", "intervalo_h": 24}}
WOMAN = ("sexo=F", "idade=30", "gestante=sim")
S, H, A = "sepse_bundle", "hda_triage", "ira_aki"
PLANTS = {
    "the dose times ten": Plant(
        *(S, {f"{NOR}.posologia.dose.valor": 1}, "arithmetic.rate", f"{NOR}.posologia.dose"),
        f"Posologia: 0,1 mcg/kg/min {struck('1 mcg/kg/min')}",
    ),
    "the dose and its rate times a hundred": Plant(
        *(S, {f"{NOR}.posologia.dose.valor": 10, f"{NOR}.posologia.velocidade.valor": 656}),
        *("dose.above_max", f"{NOR}.posologia.dose", struck("10 mcg/kg/min")),
    ),
    "a rate without its sixty": Plant(
        *(S, {f"{NOR}.posologia.velocidade.valor": 0.11}, "arithmetic.rate", f"{NOR}.posologia.velocidade"),
        *(f"bomba 6,5?6 mL/h {struck('0,11 mL/h')}", "0,11 mL/h"),
    ),
    "a rate times sixty": Plant(
        *(S, {f"{NOR}.posologia.velocidade.valor": 394}, "arithmetic.rate", f"{NOR}.posologia.velocidade"),
        *(f"bomba 6,5?6 mL/h {struck('394 mL/h')}", "394 mL/h"),
    ),
    "a dose for nobody's weight": Plant(
        S, {f"{NOR}.posologia.dose.unidade": "mcg/min"}, "arithmetic.rate", f"{NOR}.posologia"
    ),
    "the mass of the salt": Plant(
        *(S, {f"{NOR}.apresentacao.massa.valor": 8}, "salt.mismatch", f"{NOR}.apresentacao.massa"),
        f"4 mg {struck('8 mg')} — abrir 4",
    ),
    "ampoules left out of the volume": Plant(
        *(S, {f"{NOR}.diluicao.volume_final.valor": 234}, "arithmetic.ampoule_volume", f"{NOR}.diluicao.volume_final"),
        f"volume final 250 mL {struck('234 mL')}",
    ),
    "the concentration times ten": Plant(
        *(S, {f"{NOR}.diluicao.concentracao.valor": 640}, "arithmetic.concentration", f"{NOR}.diluicao.concentracao"),
        *(f"64 mcg/mL {struck('640 mcg/mL')}", "640 mcg/mL"),
    ),
    "another patient's weight": Plant(
        *(S, {f"{NOR}.posologia.peso_kg": 90, f"{NOR}.posologia.velocidade.valor": 8.4}),
        *("patient.weight", f"{NOR}.posologia.peso_kg", f"peso 70 kg {struck('90 kg')}", "90 kg"),
    ),
    "another patient": Plant(
        *(S, {}, "patient.weight", f"{NOR}.posologia.peso_kg", f"peso 95 kg {struck('70 kg')}", ""),
        ("peso=95",),
    ),
    "a forbidden route": Plant(
        *(S, {f"{NOR}.posologia.via": "SC"}, "route.forbidden", f"{NOR}.posologia.via"),
        *(struck("SC"), r"· SC"),
    ),
    "a forbidden diluent": Plant(
        S,
        {f"{ROWS}[2].diluicao.diluente": "Ringer lactato"},
        *("diluent.forbidden", f"{ROWS}[2].diluicao.diluente", struck("Ringer lactato"), "Diluição: Ringer lactato"),
    ),
    "too few bags": Plant(
        S, {f"{ROWS}[0].quantidade": 4}, "quantity.insufficient", f"{ROWS}[0].quantidade", f"abrir 5 {struck('4')}"
    ),
    "the total times ten": Plant(
        *(S, {f"{ROWS}[0].posologia.dose_total.valor": 21000}),
        *("arithmetic.total_dose", f"{ROWS}[0].posologia.dose_total", f"total 2100 mL {struck('21000 mL')}"),
        "21000 mL",
    ),
    "an unknown unit": Plant(
        *(S, {f"{NOR}.posologia.dose.unidade": "mcg/kg/mim"}, "unit.unknown", f"{NOR}.posologia.dose.unidade"),
        *(struck("0,1 mcg/kg/mim"), "0,1 mcg/kg/mim"),
    ),
    "a rate in milligrams": Plant(
        *(S, {f"{NOR}.posologia.velocidade.unidade": "mg"}, "unit.dimension", f"{NOR}.posologia.velocidade"),
        *(struck("6,6 mg"), "6,6 mg"),
    ),
    "a negative dose": Plant(
        S, {f"{NOR}.posologia.dose.valor": -0.1}, "contract.schema", f"{NOR}.posologia.dose.valor"
    ),
    "not a number": Plant(S, {f"{NOR}.posologia.dose.valor": float("nan")}, "contract.json", ""),
    "no number at all": Plant(
        S, {f"{NOR}.posologia.dose.valor": "0,1"}, "contract.schema", f"{NOR}.posologia.dose.valor"
    ),
    "no dose": Plant(S, {f"{NOR}.posologia.dose": None}, "field.missing", f"{NOR}.posologia.dose"),
    "an allergy to the drug": Plant(
        *(S, {}, "allergy.drug", f"{ROWS}[2].farmaco", f"• {struck('Ceftriaxona')}", "• Ceftriaxona"),
        ("alergias=dipirona e ceftriaxona",),
    ),
    "the same drug twice": Plant(
        *(H, {f"{ROWS}[0]": ADULTERATED}, "duplicate.drug", f"{ROWS}[1].farmaco", f"• {struck('Ceftriaxona')}")
    ),
    "a drug forbidden in pregnancy": Plant(
        *(H, {}, "pregnancy.contraindicated", f"{ROWS}[0].farmaco", f"• {struck('Terlipressina')}", "• Terlipressina"),
        WOMAN,
    ),
    "vials for a tenfold dose": Plant(
        *(H, {f"{ROWS}[0].posologia.dose.valor": 20}, "dose.above_max", f"{ROWS}[0].posologia.dose"),
        f"Posologia: (?:até )?2 mg {struck('20 mg')}",
    ),
    "a day's amount times ten": Plant(
        *(H, {f"{ROWS}[1].posologia.dose_diaria.valor": 10}),
        *("arithmetic.daily_dose", f"{ROWS}[1].posologia.dose_diaria", f"por dia 1 g {struck('10 g')}", "10 g"),
    ),
    "a dose every two hours": Plant(
        H, {f"{ROWS}[1].posologia.intervalo_h": 2}, "daily.above_max", f"{ROWS}[1].posologia.dose"
    ),
    "a laboratory's other unit": Plant(
        H, {"avaliacao[3].achado": "Hemoglobina 6,4 g/L"}, "lab.unit", "avaliacao[3].achado"
    ),
    "another patient's haemoglobin": Plant(
        H, {"avaliacao[3].achado": "Hemoglobina 9,4 g/dL"}, "patient.value", "avaliacao[3].achado"
    ),
    "an invented passage": Plant(
        *(H, {"checklist[0].fontes[0].id": "hda#inventada"}, "citation.unknown", "checklist[0].fontes[0].id")
    ),
    "words that are not in the passage": Plant(
        H, {"checklist[0].fontes[0].trecho": "não consta no trecho"}, "citation.words", "checklist[0].fontes[0].trecho"
    ),
    "ten times the insulin": Plant(
        *(A, {f"{ROWS}[2].posologia.dose.valor": 100}, "dose.above_max", f"{ROWS}[2].posologia.dose"),
        *(f"Posologia: (?:até )?10 unidades {struck('100 unidades')}", "100 unidades"),
    ),
    "ten times the volume of insulin": Plant(
        *(A, {f"{ROWS}[2].posologia.volume.valor": 1}, "arithmetic.volume", f"{ROWS}[2].posologia.volume"),
        *(f"volume da dose 0,1 mL {struck('1 mL')}", "volume da dose 1 mL"),
    ),
    "calcium in a minute": Plant(
        *(A, {f"{ROWS}[0].tempo_infusao": "1 minuto"}, "infusion.too_fast", f"{ROWS}[0].tempo_infusao"),
        *(f"Tempo de infusão: {struck('1 minuto')} \\(esperado: até {AMOUNT.strip()}", "1 minuto"),
    ),
    "insulin by mass": Plant(
        A, {f"{ROWS}[2].posologia.dose.unidade": "mg"}, "unit.content", f"{ROWS}[2].posologia.dose", struck("10 mg")
    ),
    "a diuretic for who makes no urine": Plant(
        *(A, {}, "contraindication.present", f"{ROWS}[3].farmaco", f"• {struck('Furosemida')}", "• Furosemida"),
        ("anuria=sim",),
    ),
    "a comma without its zero": Plant(
        A, {f"{ROWS}[3].monitorizacao": "repetir ,5 mg"}, "number.naked", f"{ROWS}[3].monitorizacao"
    ),
    "an empty section": Plant(A, {"checklist": []}, "contract.section", "checklist"),
    "a key of its own": Plant(A, {f"{ROWS}[0].confianca": 0.9}, "contract.schema", f"{ROWS}[0]"),
}
UNREAD = ("contract.json", "contract.schema")


def plant(name: str) -> Plant:
    """Write the planted answer to answer.json."""
    planted = PLANTS[name]
    answer = draft(planted.automation)
    for path, value in planted.changes.items():
        put(answer, path, value)
    write("answer.json", answer)
    return planted


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_error_is_exit_6_with_its_code(run_gemx: Run, workdir: Path, gemx_home: Path, name: str) -> None:
    planted = plant(name)
    done = run_gemx(*verify(planted.automation, "answer.json", *flags(planted.patient), "--json"))
    assert done.code == done.json["exit_code"] == 6
    assert done.json["status"] == "error"
    assert [error["code"] for error in done.json["errors"]] == ["contract"]
    data = done.json["data"]
    assert data["verified"] is False
    errors = [finding for finding in data["findings"] if finding["severity"] == "error"]
    assert planted.code in {finding["code"] for finding in errors if finding["path"].startswith(planted.path)}
    count = "1 error" if len(errors) == 1 else f"{len(errors)} errors"
    assert f"the answer is refused: {count}, first {errors[0]['code']}" == done.json["errors"][0]["message"]
    assert (data["answer"] is None) == (planted.code in UNREAD) == (data["text"] is not None)
    (record,) = records(gemx_home)
    assert [found["code"] for found in record["gemx.findings"]] == [found["code"] for found in data["findings"]]
    assert (record["gemx.verified"], record["gemx.count.error"]) == (False, len(errors))


@pytest.mark.parametrize("automation", FULL)
def test_the_answer_in_which_they_are_planted_is_right(run_gemx: Run, workdir: Path, automation: str) -> None:
    write("answer.json", draft(automation))
    done = run_gemx(*verify(automation, "answer.json", "--json", "--no-history"))
    assert (done.code, done.json["data"]["verified"]) == (0, True)
    assert not {finding["severity"] for finding in done.json["data"]["findings"]} & {"error", "unverifiable"}


def unstruck(page: str) -> tuple[str, str]:
    """A page as one line of words in which a struck value is `ERRO ~~x~~`, and without the struck values."""
    page = re.sub(r"<style>.*</style>", "", page, flags=re.DOTALL)
    page = re.sub(r'<b class="error">ERRO</b> <del>(.*?)</del>', r"ERRO ~~\1~~", page)
    page = html.unescape(re.sub(r"<li>", "• ", re.sub(r"</?(?!li)[^>]*>|</li>", "", page)))
    words = flat(page.replace("**ERRO**", "ERRO").replace("\\", "").replace("- ERRO", "• ERRO"))
    return words, re.sub(r"~~[^~]*~~", "~~~~", words)


SHOWN = [name for name, planted in PLANTS.items() if planted.shown]


@pytest.mark.parametrize("format", ["text", "md", "html"])
@pytest.mark.parametrize("name", SHOWN)
def test_a_wrong_value_stands_struck_and_nowhere_else(run_gemx: Run, workdir: Path, name: str, format: str) -> None:
    planted = plant(name)
    form = ("--format", format, "--no-history")
    done = run_gemx(*verify(planted.automation, "answer.json", *flags(planted.patient), *form))
    assert done.code == 6
    assert "Traceback" not in done.err
    if format in ("md", "html"):
        mark = {"md": "**ERRO** ~~", "html": '<b class="error">ERRO</b> <del>'}[format]
        assert mark in done.out
    words, rest = unstruck(done.out)
    assert re.search(planted.shown, words)
    assert "RESPOSTA RECUSADA: " in words
    assert planted.code in words
    assert "(do protocolo, por código: a resposta foi recusada)" in words.lower()
    assert not planted.gone or not bare(planted.gone, rest)


def bare(value: str, page: str) -> list[str]:
    """Where a value stands on a page, each with what is around it."""
    found = re.finditer(rf"(?<![\d,.\w]){re.escape(value)}(?![\w/])", page, re.IGNORECASE)
    return [page[max(0, match.start() - 60) : match.end() + 20] for match in found]


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("a laboratory's other unit", "Hemoglobina 6,4 g/L"),
        ("another patient's haemoglobin", "Hemoglobina 9,4 g/dL"),
        ("a comma without its zero", ",5 mg"),
        ("the dose times ten", "1 mcg/kg/min"),
        ("the dose and its rate times a hundred", "10 mcg/kg/min"),
        ("vials for a tenfold dose", "20 mg"),
        ("ten times the insulin", "100 U"),
    ],
)
def test_a_wrong_value_is_struck_in_words_and_in_every_finding(
    run_gemx: Run, workdir: Path, name: str, wrong: str
) -> None:
    planted = plant(name)
    done = run_gemx(*verify(planted.automation, "answer.json", "--format", "text", "--no-history"))
    words, rest = unstruck(done.out)
    assert f"~~{wrong}~~".lower() in words.lower()
    assert bare(wrong, rest) == []


def test_of_a_row_with_an_error_the_protocols_own_comes_first(run_gemx: Run, workdir: Path) -> None:
    planted = plant("a rate without its sixty")
    done = run_gemx(*verify(planted.automation))
    row = done.out.split("\nFARMACOTERAPIA\n")[1].split("\n• Noradrenalina")[1].split("\n• ")[0]
    head, first, second = re.split(r"\n    (?=Calculado por código: |ERRO: )", row)[:3]
    assert flat(first).startswith(
        "Calculado por código: SG 5% 234 mL · volume final 250 mL · 64 mcg/mL · 0,1 mcg/kg/min"
    )
    assert "bomba 6,6 mL/h" in flat(first)
    assert "~~0,11 mL/h~~" in second
    assert "0,11" not in head


# what is not known


@pytest.mark.parametrize("automation", FULL)
def test_without_the_patient_nothing_is_wrong_and_nothing_verified(
    run_gemx: Run, workdir: Path, gemx_home: Path, automation: str
) -> None:
    write("answer.json", draft(automation))
    command = ("auto", "verify", "answer.json", "--automation", automation)
    done = run_gemx(*command, "--json")
    assert (done.code, done.json["data"]["verified"], done.json["errors"]) == (0, False, [])
    codes = {finding["code"] for finding in done.json["data"]["findings"] if finding["severity"] == "unverifiable"}
    assert {"allergy.unknown", "patient.value"} <= codes
    assert "error" not in {finding["severity"] for finding in done.json["data"]["findings"]}
    page = run_gemx(*command)
    assert page.code == 0
    assert "NÃO VERIFICADO POR INTEIRO: " in page.out
    strict = run_gemx(*command, "--strict", "--json")
    assert (strict.code, strict.json["data"]["verified"]) == (6, False)
    assert {"allergy.unknown", "patient.value"} <= {
        finding["code"] for finding in strict.json["data"]["findings"] if finding["severity"] == "error"
    }
    assert "unverifiable" not in {finding["severity"] for finding in strict.json["data"]["findings"]}
    assert run_gemx(*command, "--strict").code == 6
    assert [record["gemx.verified"] for record in records(gemx_home)] == [False] * 4


def test_strict_changes_nothing_where_all_is_known(run_gemx: Run, workdir: Path) -> None:
    write("answer.json", draft("sepse_bundle"))
    done = run_gemx(*verify("sepse_bundle", "answer.json", "--strict", "--json"))
    assert (done.code, done.json["data"]["verified"]) == (0, True)


def test_strict_runs_too(run_gemx: Run) -> None:
    command = ("auto", "run", "ira_aki", "--input", str(CASES / "ira_sem_basal.yaml"), "-m", "extractive", "--json")
    assert run_gemx(*command).code == 0
    done = run_gemx(*command, "--strict")
    assert (done.code, done.json["data"]["verified"]) == (6, False)


def test_strict_of_a_prompt_alone_is_a_usage_error(run_gemx: Run, workdir: Path) -> None:
    write("livre.yaml", PROMPT_ONLY)
    done = run_gemx("auto", "run", "livre.yaml", "-i", "idade=64", "-m", "extractive", "--strict")
    assert (done.code, done.out) == (2, "")
    assert "--strict" in done.err


# where the answer and the patient come from


def test_the_answer_from_stdin(run_gemx: Run) -> None:
    answer = json.dumps(draft("hda_triage"))
    done = run_gemx(*verify("hda_triage", "-", "--json"), stdin=answer)
    assert (done.code, done.json["data"]["verified"]) == (0, True)
    envelope = json.dumps({"gemx": 1, "data": {"answer": draft("hda_triage")}})
    assert run_gemx(*verify("hda_triage", "-"), stdin=envelope).code == 0
    assert run_gemx(*verify("hda_triage", "-"), stdin=f"```json\n{answer}\n```\n").code == 0
    assert run_gemx(*verify("hda_triage", "-"), stdin="").code == 6


def test_the_patient_from_stdin(run_gemx: Run, workdir: Path) -> None:
    write("answer.json", draft("hda_triage"))
    patient = (CASES / "hda_varicosa.yaml").read_text()
    command = ("auto", "verify", "answer.json", "--automation", "hda_triage", "--input", "-", "--json")
    done = run_gemx(*command, stdin=patient)
    assert (done.code, done.json["data"]["verified"]) == (0, True)


def test_both_from_stdin_is_a_usage_error(run_gemx: Run, gemx_home: Path) -> None:
    done = run_gemx("auto", "verify", "-", "--automation", "hda_triage", "--input", "-", stdin="{}")
    assert (done.code, done.out) == (2, "")
    assert "stdin" in done.err
    assert records(gemx_home) == []


def test_flags_win_over_the_file_of_the_patient(run_gemx: Run, workdir: Path) -> None:
    write("answer.json", draft("sepse_bundle"))
    done = run_gemx(*verify("sepse_bundle", "answer.json", "-i", "peso=95", "--json"))
    wrong = {finding["code"]: finding["expected"] for finding in done.json["data"]["findings"]}
    assert (done.code, wrong["patient.weight"]) == (6, "95 kg")
    done = run_gemx(*verify("sepse_bundle", "answer.json", "-i", "idade=17"))
    assert (done.code, done.out) == (4, "")


UNREADABLE: dict[str, tuple[str | bytes, int]] = {
    "no JSON": ("Noradrenalina 0,1 mcg/kg/min", 6),
    "empty": ("", 6),
    "white space": (" \n\t", 6),
    "a number": ("3", 6),
    "a list": ("[]", 6),
    "null": ("null", 6),
    "a text": ('"x"', 6),
    "an empty object": ("{}", 6),
    "deep": ("[" * 200_000, 6),
    "an envelope without data": ('{"gemx": 1}', 6),
    "an envelope whose data is a list": ('{"gemx": 1, "data": []}', 6),
    "an envelope whose data is text": ('{"gemx": 1, "data": "x"}', 6),
    "an envelope whose answer is text": ('{"gemx": 1, "data": {"answer": "x"}}', 6),
    "an envelope of nothing": ('{"gemx": 1, "data": {"answer": null, "text": null}}', 6),
    "a key twice": ('{"resumo": "a", "resumo": "b"}', 6),
    "a huge number": ('{"resumo": 1e999999999}', 6),
    "sixty thousand keys": (json.dumps(dict.fromkeys(map(str, range(60_000)), 1)), 6),
    "a long text": (json.dumps({"resumo": "x" * 1_000_000}), 6),
    "not UTF-8": (b'{"resumo": "\xff"}', 4),
    "a picture": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 4),
    "larger than any answer": (b" " * 21_000_000, 4),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_is_no_answer_is_refused_without_a_traceback(run_gemx: Run, workdir: Path, name: str) -> None:
    text, code = UNREADABLE[name]
    (workdir / "answer.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    done = run_gemx(*verify("sepse_bundle"))
    assert done.code == code
    assert "Traceback" not in done.err
    assert len(done.err) < 500
    assert bool(done.out) == (code == 6)
    assert len(done.out) < 40_000
    if code == 6:
        assert "gemx: the answer is refused: " in done.err
        assert ", first contract." in done.err


@pytest.mark.parametrize("name", ["none.json", ".", "nowhere/answer.json"])
def test_an_answer_that_is_not_there_is_exit_4(run_gemx: Run, workdir: Path, gemx_home: Path, name: str) -> None:
    done = run_gemx(*verify("sepse_bundle", name))
    assert (done.code, done.out) == (4, "")
    assert name in done.err
    assert records(gemx_home) == []
    assert kept(gemx_home) == []


def test_a_patient_that_is_not_there_is_exit_4(run_gemx: Run, workdir: Path) -> None:
    write("answer.json", draft("sepse_bundle"))
    done = run_gemx("auto", "verify", "answer.json", "--automation", "sepse_bundle", "--input", "none.yaml")
    assert (done.code, done.out) == (4, "")


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (("answer.json", "--automation", "livre.yaml"), 2, "livre has no contract"),
        (("answer.json", "--automation", "sepse_bundel"), 3, "sepse_bundle"),
        (("answer.json",), 2, "--automation"),
        (("--automation", "sepse_bundle"), 2, "ANSWER"),
        (("answer.json", "--automation", "sepse_bundle", "--json", "--format", "md"), 2, "--format"),
        (("answer.json", "--automation", "sepse_bundle", "--out", "a.csv"), 2, ".csv"),
        (("answer.json", "--automation", "sepse_bundle", "--formulary", "nada"), 3, "nada"),
    ],
)
def test_commands_that_cannot_be_done(
    run_gemx: Run, workdir: Path, argv: tuple[str, ...], code: int, words: str
) -> None:
    write("livre.yaml", PROMPT_ONLY)
    write("answer.json", draft("sepse_bundle"))
    done = run_gemx("auto", "verify", *argv)
    assert done.code == code
    assert words in done.err + done.out
    assert (done.out != "") == ("--json" in argv)


def test_out_writes_the_verified_page(run_gemx: Run, workdir: Path) -> None:
    plant("a rate without its sixty")
    done = run_gemx(*verify("sepse_bundle", "answer.json", "--out", "page.html"))
    assert (done.code, done.out) == (6, "")
    page = workdir / "page.html"
    assert "<del>0,11 mL/h</del>" in page.read_text().replace("\u00a0", " ")
    assert stat.S_IMODE(page.stat().st_mode) == 0o600


def test_a_formulary_of_the_users_own_is_the_one_that_counts(run_gemx: Run, workdir: Path, gemx_home: Path) -> None:
    folder = workdir / "drogas"
    shutil.copytree(places.shipped("automations") / "formulary", folder)
    drug = folder / "noradrenalina.yaml"
    text = drug.read_text()
    assert "value: 3.3 mcg/kg/min" in text
    drug.write_text(text.replace("value: 3.3 mcg/kg/min", "value: 0.06 mcg/kg/min"))
    write("answer.json", draft("sepse_bundle"))
    assert run_gemx(*verify("sepse_bundle", "answer.json", "--no-history")).code == 0
    done = run_gemx(*verify("sepse_bundle", "answer.json", "--formulary", "drogas", "--json"))
    assert done.code == 6
    assert ("dose.above_max", "error") in {(each["code"], each["severity"]) for each in done.json["data"]["findings"]}
    assert done.json["data"]["warnings"] == ["formulário de drogas, que não vem com o gemx"]
    first, second = records(gemx_home)
    assert "gemx.formulary_path" not in first
    assert second["gemx.formulary_path"] == str(folder)


# the audit


def test_the_audit_says_what_was_found_and_nothing_of_the_answer_or_the_patient(
    run_gemx: Run, workdir: Path, gemx_home: Path
) -> None:
    planted = plant("a rate without its sixty")
    done = run_gemx(*verify(planted.automation, "answer.json", "-i", "nome=Fulana de Tal", "--json"))
    (record,) = records(gemx_home)
    assert (record["kind"], record["command"]) == ("result", "auto verify")
    assert record["run_id"] == done.json["data"]["run_id"]
    assert record["gemx.automation"] == "sepse_bundle"
    assert record["gemx.automation_sha256"] == done.json["data"]["automation"]["sha256"]
    assert "gen_ai.response.model" not in record
    assert (record["gemx.round"], record["gemx.verified"], record["gemx.count.error"]) == (0, False, 1)
    assert set(record["gemx.checks"]) == {code.split(".")[0] for code in CODES}
    wrong = {"code": "arithmetic.rate", "severity": "error", "path": f"{NOR}.posologia.velocidade"}
    assert record["gemx.findings"] == [wrong]
    text = "\n".join(audit_lines(gemx_home)).lower()
    for secret in ("fulana", "exemplo", "noradrenalina", "ceftriaxona", "pam", "mcg", "ml/h", "0,11", "0.11", "4,6"):
        assert secret not in text
    for secret in ("hemocultura", "pulmonar", "lactato", "bomba", "o certo", "choque"):
        assert secret not in text


@pytest.mark.parametrize(
    "path",
    ["joao_da_silva", f"{NOR}.joao_da_silva", f"{NOR}.posologia.dose.joao_da_silva", "checklist[0].joao_da_silva"],
)
def test_a_key_that_the_answer_made_up_does_not_reach_the_audit(
    run_gemx: Run, workdir: Path, gemx_home: Path, path: str
) -> None:
    answer = draft("sepse_bundle")
    put(answer, path, "x")
    write("answer.json", answer)
    done = run_gemx(*verify("sepse_bundle"))
    assert done.code == 6
    assert "joao_da_silva" in done.out  # whoever made it is told
    assert "joao" not in "".join(audit_lines(gemx_home))


def test_the_audit_of_a_run_holds_no_texts_either(run_gemx: Run, gemx_home: Path, fake_gemini: FakeGemini) -> None:
    fake_gemini.reply_json({**draft("sepse_bundle"), "resumo": "Segredo da paciente"})
    command = ("auto", "run", "sepse_bundle", "--input", case("sepse_bundle"), "-m", GEMINI, "--json")
    assert run_gemx(*command).code == 0
    text = "\n".join(audit_lines(gemx_home)).lower()
    assert [record["kind"] for record in records(gemx_home)] == ["attempt", "result"]
    for secret in ("segredo", "exemplo", "noradrenalina", "mcg", "ml/h", "pulmonar"):
        assert secret not in text


def test_an_audit_that_cannot_be_written_is_exit_11_before_anything(
    run_gemx: Run, workdir: Path, gemx_home: Path
) -> None:
    (gemx_home / "state").mkdir(parents=True)
    (gemx_home / "state/audit").write_text("a file where the folder should be")
    write("answer.json", draft("sepse_bundle"))
    done = run_gemx(*verify("sepse_bundle"))
    assert (done.code, done.out) == (11, "")
    assert kept(gemx_home) == []


# the history, and the note


def test_results_are_kept_for_their_note(run_gemx: Run, workdir: Path, gemx_home: Path) -> None:
    write("answer.json", draft("sepse_bundle"))
    ids = [run_gemx(*verify("sepse_bundle", "answer.json", "--json")).json["data"]["run_id"]]
    run = ("auto", "run", "hda_triage", "--input", case("hda_triage"), "-m", "extractive", "--json")
    ids.append(run_gemx(*run).json["data"]["run_id"])
    assert kept(gemx_home) == sorted(ids)
    assert stat.S_IMODE((gemx_home / "data/history.db").stat().st_mode) == 0o600
    for run_id, title in zip(ids, ("Sepse e choque séptico", "Hemorragia digestiva alta"), strict=True):
        note = run_gemx("auto", "note", run_id)
        assert (note.code, note.err) == (0, "")
        assert note.out.startswith("Nota de apoio à decisão")
        assert title in note.out
        assert run_id in note.out


def test_no_history_keeps_nothing(run_gemx: Run, workdir: Path, gemx_home: Path) -> None:
    write("answer.json", draft("sepse_bundle"))
    done = run_gemx(*verify("sepse_bundle", "answer.json", "--no-history", "--json"))
    run = ("auto", "run", "hda_triage", "--input", case("hda_triage"), "-m", "extractive", "--no-history", "--json")
    other = run_gemx(*run)
    assert (done.code, other.code) == (0, 0)
    assert not (gemx_home / "data").exists()
    for run_id in (done.json["data"]["run_id"], other.json["data"]["run_id"]):
        note = run_gemx("auto", "note", run_id)
        assert (note.code, note.out) == (3, "")
        assert "the history is empty" in note.err
    # They are on record all the same.
    assert [record["kind"] for record in records(gemx_home)] == ["result", "attempt", "result"]


def test_with_keep_0_nothing_is_kept_and_what_was_is_erased(run_gemx: Run, workdir: Path, gemx_home: Path) -> None:
    write("answer.json", draft("sepse_bundle"))
    assert run_gemx(*verify("sepse_bundle")).code == 0
    assert len(kept(gemx_home)) == 1
    (gemx_home / "config").mkdir(parents=True, exist_ok=True)
    (gemx_home / "config/config.json").write_text('{"history": {"keep": 0}}')
    assert run_gemx(*verify("sepse_bundle")).code == 0
    assert kept(gemx_home) == []


def test_the_texts_stand_in_the_history_alone(run_gemx: Run, workdir: Path, gemx_home: Path) -> None:
    answer = draft("sepse_bundle")
    answer["resumo"] = "Resumo inconfundivel"
    write("answer.json", answer)
    assert run_gemx(*verify("sepse_bundle")).code == 0
    holding = [path for path in gemx_home.rglob("*") if path.is_file() and b"inconfundivel" in path.read_bytes()]
    assert {path.relative_to(gemx_home).parts[0] for path in holding} == {"data"}


@pytest.mark.parametrize("format", ["text", "md", "html", "rich"])
def test_a_note_in_every_format(run_gemx: Run, workdir: Path, format: str) -> None:
    planted = plant("a rate without its sixty")
    run_id = run_gemx(*verify(planted.automation, "answer.json", "--json")).json["data"]["run_id"]
    done = run_gemx("auto", "note", run_id, "--format", format)
    assert done.code == 0
    words, rest = unstruck(done.out)
    for text in (
        "Nota de apoio à decisão",
        run_id,
        "RESPOSTA RECUSADA: 1 erro",
        "De acordo, com alterações",
        "Assinatura",
    ):
        assert text in words
    assert "revisão do profissional responsável" in words.lower()
    assert re.search(planted.shown, words)
    assert bare(planted.gone, rest) == []
    start = {"text": "Nota de apoio", "md": "# Nota de apoio", "html": "<!doctype html>", "rich": "Nota de apoio"}
    assert done.out.startswith(start[format])
    if format in ("text", "rich"):
        assert max(map(len, done.out.splitlines())) <= 80


def test_a_note_in_json_and_in_a_file(run_gemx: Run, workdir: Path) -> None:
    write("answer.json", draft("sepse_bundle"))
    run_id = run_gemx(*verify("sepse_bundle", "answer.json", "--json")).json["data"]["run_id"]
    told = run_gemx("auto", "note", run_id, "--json")
    assert (told.code, told.json["command"]) == (0, "auto note")
    assert told.json["data"]["run_id"] == run_id
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", told.json["data"]["time"])
    assert told.json["data"]["note"][0]["text"] == "Nota de apoio à decisão"
    printed = run_gemx("auto", "note", run_id).out
    done = run_gemx("auto", "note", run_id, "--out", "nota.txt")
    assert (done.code, done.out) == (0, "")
    assert (workdir / "nota.txt").read_text() == printed
    assert stat.S_IMODE((workdir / "nota.txt").stat().st_mode) == 0o600
    assert run_gemx("auto", "note", run_id, "--out", "nota.md").code == 0
    assert (workdir / "nota.md").read_text().startswith("# Nota de apoio à decisão")


def test_a_note_says_the_same_when_the_automation_has_changed(run_gemx: Run, workdir: Path) -> None:
    # What was kept is printed again: nothing is computed anew.
    path = workdir / "minha.yaml"
    text = (places.shipped("automations") / "sepse_bundle.yaml").read_text().replace("id: sepse_bundle", "id: minha")
    path.write_text(text)
    write("answer.json", draft("sepse_bundle"))
    command = ("auto", "verify", "answer.json", "--automation", "minha.yaml", "--input", case("sepse_bundle"), "--json")
    run_id = run_gemx(*command).json["data"]["run_id"]
    before = run_gemx("auto", "note", run_id).out
    path.unlink()
    assert run_gemx("auto", "note", run_id).out == before


def test_a_note_by_the_beginning_of_its_id(run_gemx: Run, workdir: Path, gemx_home: Path) -> None:
    write("answer.json", draft("sepse_bundle"))
    one, two = (run_gemx(*verify("sepse_bundle", "answer.json", "--json")).json["data"]["run_id"] for _ in range(2))
    for run_id, other in ((one, two), (two, one)):
        unique = next(run_id[:size] for size in range(1, len(run_id) + 1) if not other.startswith(run_id[:size]))
        done = run_gemx("auto", "note", unique)
        assert done.code == 0
        assert run_id in done.out
        assert other not in done.out
    both = run_gemx("auto", "note", one[:9])
    assert (both.code, both.out) == (3, "")
    assert one in both.err
    assert two in both.err


@pytest.mark.parametrize(
    "run_id", ["nada", "", "20260101T000000-000000", "%", "*", "' OR 1=1 --", "\ud800", "x" * 5000]
)
def test_a_note_of_no_run_is_exit_3(run_gemx: Run, workdir: Path, gemx_home: Path, run_id: str) -> None:
    empty = run_gemx("auto", "note", run_id)
    assert (empty.code, empty.out) == (3, "")
    assert kept(gemx_home) == []
    assert not (gemx_home / "data").exists()  # to look makes no history
    write("answer.json", draft("sepse_bundle"))
    run_gemx(*verify("sepse_bundle"))
    done = run_gemx("auto", "note", run_id)
    assert (done.code, done.out) == (3, "")
    assert "gemx: no run " in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("broken", ["a folder", "no database"])
@pytest.mark.parametrize("command", ["run", "verify"])
def test_a_history_that_cannot_be_written_is_exit_11_and_loses_no_result(
    run_gemx: Run, workdir: Path, gemx_home: Path, command: str, broken: str
) -> None:
    _break(gemx_home, broken)
    write("answer.json", draft("sepse_bundle"))
    extractive = ["auto", "run", "sepse_bundle", "--input", case("sepse_bundle"), "-m", "extractive"]
    argv = extractive if command == "run" else verify("sepse_bundle")
    done = run_gemx(*argv)
    assert done.code == 11
    assert "FAZER AGORA" in done.out
    assert "history.db" in done.err
    assert "Traceback" not in done.err
    told = run_gemx(*argv, "--json")
    assert told.code == told.json["exit_code"] == 11
    assert [error["code"] for error in told.json["errors"]] == ["storage"]
    assert told.json["data"]["verified"] is True
    assert told.json["data"]["answer"]
    assert run_gemx(*argv, "--out", "page.md").code == 11
    assert (workdir / "page.md").read_text().startswith("# Sepse")
    assert run_gemx(*argv, "--no-history").code == 0


def _break(home: Path, how: str) -> None:
    (home / "data").mkdir(parents=True)
    if how == "a folder":
        (home / "data/history.db").mkdir()
    else:
        (home / "data/history.db").write_text("this is no database " * 100)


def test_a_refused_answer_and_a_broken_history_are_both_told(run_gemx: Run, workdir: Path, gemx_home: Path) -> None:
    _break(gemx_home, "a folder")
    plant("a rate without its sixty")
    told = run_gemx(*verify("sepse_bundle", "answer.json", "--json"))
    assert told.code == 11
    assert [error["code"] for error in told.json["errors"]] == ["contract", "storage"]
    done = run_gemx(*verify("sepse_bundle"))
    assert done.code == 11
    assert "the answer is refused: 1 error, first arithmetic.rate" in done.err
    assert "history.db" in done.err


def test_a_note_from_a_broken_history_is_exit_11(run_gemx: Run, gemx_home: Path) -> None:
    _break(gemx_home, "no database")
    done = run_gemx("auto", "note", "nada")
    assert (done.code, done.out) == (11, "")
    assert "Traceback" not in done.err


# repair


def _answers(fake_gemini: FakeGemini, *changes: dict[str, Any]) -> None:
    """One answer a call, each the right one with changes; after them, the last again."""
    replies = iter([*changes, *[changes[-1]] * 20])

    def reply(_: Recorded) -> str:
        answer = draft("sepse_bundle")
        for path, value in next(replies).items():
            put(answer, path, value)
        return json.dumps(answer, ensure_ascii=False)

    fake_gemini.answer = reply


WRONG_RATE = {f"{NOR}.posologia.velocidade.valor": 0.11}
MORE_WRONG = {**WRONG_RATE, f"{ROWS}[0].posologia.dose_total.valor": 21000, f"{ROWS}[0].quantidade": 1}
REPAIR = ("auto", "run", "sepse_bundle", "--input", case("sepse_bundle"), "-m", GEMINI, "--repair")


def test_a_wrong_answer_is_repaired(run_gemx: Run, fake_gemini: FakeGemini, gemx_home: Path) -> None:
    _answers(fake_gemini, WRONG_RATE, {})
    done = run_gemx(*REPAIR, "2", "--json")
    assert (done.code, done.json["data"]["verified"], done.json["data"]["findings"]) == (0, True, [])
    rates = [row["posologia"]["velocidade"] for row in done.json["data"]["answer"]["farmacoterapia"]]
    assert rates[1] == {"valor": 6.6, "unidade": "mL/h"}
    asked = fake_gemini.requests[1].body["contents"][2]["parts"][0]["text"]
    assert f"{NOR}.posologia.velocidade: " in asked
    assert len(fake_gemini.requests) == 2
    assert [record["kind"] for record in records(gemx_home)] == ["attempt", "result"] * 2
    first, second = records(gemx_home, "result")
    assert (first["gemx.round"], first["gemx.verified"]) == (0, False)
    assert [found["code"] for found in first["gemx.findings"]] == ["arithmetic.rate"]
    assert (second["gemx.round"], second["gemx.verified"], second["gemx.findings"]) == (1, True, [])
    assert kept(gemx_home) == [done.json["data"]["run_id"]]


def test_an_answer_that_stays_wrong_stops_early(run_gemx: Run, fake_gemini: FakeGemini, gemx_home: Path) -> None:
    _answers(fake_gemini, WRONG_RATE)
    done = run_gemx(*REPAIR, "5", "--json")
    assert (done.code, done.json["data"]["verified"]) == (6, False)
    assert len(fake_gemini.requests) == 2
    assert [record["gemx.round"] for record in records(gemx_home, "result")] == [0, 1]


def test_a_repair_that_makes_it_worse_is_not_taken(run_gemx: Run, fake_gemini: FakeGemini) -> None:
    _answers(fake_gemini, WRONG_RATE, MORE_WRONG)
    done = run_gemx(*REPAIR, "5", "--json")
    assert done.code == 6
    errors = [finding["code"] for finding in done.json["data"]["findings"] if finding["severity"] == "error"]
    assert errors == ["arithmetic.rate"]


def test_a_repair_goes_on_while_the_errors_grow_fewer(run_gemx: Run, fake_gemini: FakeGemini, gemx_home: Path) -> None:
    _answers(fake_gemini, MORE_WRONG, WRONG_RATE, {})
    done = run_gemx(*REPAIR, "5", "--json")
    assert (done.code, done.json["data"]["verified"]) == (0, True)
    results = records(gemx_home, "result")
    assert [record["gemx.round"] for record in results] == [0, 1, 2]
    assert [record.get("gemx.count.error", 0) for record in results] == [3, 1, 0]


def test_a_cut_answer_is_repaired(run_gemx: Run, fake_gemini: FakeGemini, gemx_home: Path) -> None:
    fake_gemini.fault("max_tokens")
    _answers(fake_gemini, {})
    done = run_gemx(*REPAIR, "2", "--json")
    assert (done.code, done.json["data"]["verified"], done.json["data"]["findings"]) == (0, True, [])
    assert records(gemx_home, "result")[-1]["gemx.verified"] is True


def test_a_cut_round_is_on_record_as_the_round_that_it_was(
    run_gemx: Run, fake_gemini: FakeGemini, gemx_home: Path
) -> None:
    fake_gemini.fault("max_tokens")
    _answers(fake_gemini, {})
    run_gemx(*REPAIR, "2")
    assert [
        (record["gemx.round"], [found["code"] for found in record["gemx.findings"]])
        for record in records(gemx_home, "result")
    ] == [(0, ["contract.cut"]), (1, [])]


def test_a_repair_that_no_model_answers_loses_no_answer(
    run_gemx: Run, fake_gemini: FakeGemini, gemx_home: Path
) -> None:
    wrong = draft("sepse_bundle")
    put(wrong, f"{NOR}.posologia.velocidade.valor", 0.11)
    fake_gemini.reply_json(wrong)
    fake_gemini.fault("unavailable")
    done = run_gemx(*REPAIR, "2", "--tries", "1", "--json")
    assert (done.code, [error["code"] for error in done.json["errors"]]) == (6, ["contract"])
    assert [finding["code"] for finding in done.json["data"]["findings"]] == ["arithmetic.rate"]
    assert "gemx: the repair failed, and the answer before it is kept (unavailable: " in done.err
    assert [record["kind"] for record in records(gemx_home)] == ["attempt", "result", "attempt"]
    assert [record.get("error.type") for record in records(gemx_home, "attempt")] == [None, "unavailable"]


def test_what_cannot_be_verified_is_not_sent_back_unless_strict(run_gemx: Run, fake_gemini: FakeGemini) -> None:
    text = {"checklist[4].item": "Noradrenalina a 66 mL/h"}
    _answers(fake_gemini, text)
    done = run_gemx(*REPAIR, "2", "--json")
    assert (done.code, done.json["data"]["verified"], len(fake_gemini.requests)) == (0, False, 1)
    assert [finding["code"] for finding in done.json["data"]["findings"]] == ["text.unsourced"]
    _answers(fake_gemini, text, {})
    done = run_gemx(*REPAIR, "2", "--strict", "--json")
    assert (done.code, done.json["data"]["verified"], len(fake_gemini.requests)) == (0, True, 3)


# drugs


def test_drugs_are_listed(run_gemx: Run) -> None:
    done = run_gemx("auto", "drugs")
    assert (done.code, done.err) == (0, "")
    files = sorted(path.stem for path in (places.shipped("automations") / "formulary").glob("*.yaml"))
    lines = done.out.splitlines()
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == files
    assert max(map(len, lines)) <= 80
    assert re.search(r"^noradrenalina +Noradrenalina \(catecolamina\)$", done.out, re.MULTILINE)
    told = run_gemx("auto", "drugs", "--json")
    assert (told.code, told.json["command"]) == (0, "auto drugs")
    assert [row["id"] for row in told.json["data"]] == files
    assert {"id": "noradrenalina", "name": "Noradrenalina", "class": "catecolamina"} in told.json["data"]


@pytest.mark.parametrize("name", ["noradrenalina", "Norepinefrina", "NOREPINEFRINA", "hemitartarato de norepinefrina"])
def test_a_drug_by_any_of_its_names_with_every_source(run_gemx: Run, name: str) -> None:
    done = run_gemx("auto", "drugs", name)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("Noradrenalina (noradrenalina): ")
    assert all(len(line) <= 80 or " " not in line.strip() for line in done.out.splitlines())  # an address is whole
    page, _, listed = done.out.partition("\nFontes\n")
    for heading in ("Apresentações", "Diluentes", "Concentração", "Doses", "Vias", "Função renal", "Gestação"):
        assert f"\n{heading}\n" in page
    assert "3.3 mcg/kg/min" in page or "3,3 mcg/kg/min" in page
    assert "NÃO: IV direta" in page
    sources = set(re.findall(r"^  \[(\w+)\] ", listed, re.MULTILINE))
    cited = set(re.findall(r"\[(\w+)\]", page))
    assert cited <= sources
    assert cited
    for source in sources:
        entry = flat(listed.split(f"  [{source}] ")[1].split("\n  [")[0])
        assert re.search(r"Lido em \d{4}-\d\d-\d\d", entry)


@pytest.mark.parametrize(
    "name", sorted(path.stem for path in (places.shipped("automations") / "formulary").glob("*.yaml"))
)
def test_every_drug_has_a_page_and_its_json(run_gemx: Run, name: str) -> None:
    done, told = run_gemx("auto", "drugs", name), run_gemx("auto", "drugs", name, "--json")
    assert (done.code, told.code) == (0, 0)
    assert re.match(rf".+ \({name}\): ", flat(done.out))
    assert "None" not in done.out
    data = told.json["data"]
    assert (data["id"], data["gemx"]) == (name, "drug/v1")
    assert isinstance(data["absent"], list)
    for source in data["sources"]:
        assert f"[{source}]" in done.out
    for word in data["absent"]:
        assert word in flat(done.out)


def test_a_drug_that_is_unknown_is_exit_3_with_what_it_may_be(run_gemx: Run) -> None:
    done = run_gemx("auto", "drugs", "noradrenalna")
    assert (done.code, done.out) == (3, "")
    assert "did you mean 'noradrenalina'?" in done.err
    told = run_gemx("auto", "drugs", "xispirona", "--json")
    assert told.code == told.json["exit_code"] == 3
    assert "xispirona" in told.json["errors"][0]["message"]
    assert "did you mean" not in told.json["errors"][0]["message"]
    assert "gemx auto drugs" in told.json["errors"][0]["hint"]
    assert run_gemx("auto", "drugs", "").code == 3


def test_a_drug_by_the_first_word_of_its_name(run_gemx: Run) -> None:
    assert run_gemx("auto", "drugs", "Insulina").out.startswith("Insulina regular humana (insulina_regular): ")
    done = run_gemx("auto", "drugs", "cloreto")
    assert (done.code, done.out) == (3, "")
    assert "'cloreto' may be: cloreto_potassio, cloreto_sodio_09" in done.err


def test_drugs_of_another_formulary(run_gemx: Run, workdir: Path) -> None:
    (workdir / "drogas").mkdir()
    text = (places.shipped("automations") / "formulary/noradrenalina.yaml").read_text()
    text = re.sub(r"^interactions:\n(?:  .*\n)+", "", text, flags=re.MULTILINE)
    (workdir / "drogas/noradrenalina.yaml").write_text(text.replace("name: Noradrenalina", "name: Nora"))
    done = run_gemx("auto", "drugs", "--formulary", "drogas")
    assert (done.code, flat(done.out)) == (0, "noradrenalina Nora (catecolamina)")
    assert run_gemx("auto", "drugs", "nora", "--formulary", "drogas").code == 0
    assert run_gemx("auto", "drugs", "ceftriaxona", "--formulary", "drogas").code == 3
    (workdir / "drogas/ruim.yaml").write_text("gemx: drug/v1\nid: outro\n")
    broken = run_gemx("auto", "drugs", "--formulary", "drogas")
    assert (broken.code, broken.out) == (3, "")
    assert re.search(r"drogas/ruim\.yaml:\d+:\d+: ", broken.err)
    assert run_gemx("auto", "drugs", "--formulary", "nada").code == 3


# rules


def test_rules_are_listed(run_gemx: Run) -> None:
    done = run_gemx("auto", "rules")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == list(CODES)
    assert max(map(len, lines)) <= 80
    told = run_gemx("auto", "rules", "--json")
    assert [rule["code"] for rule in told.json["data"]] == list(CODES)


@pytest.mark.parametrize("code", ["arithmetic.rate", "contract.cut", "text.unsourced"])
def test_a_rule_is_explained(run_gemx: Run, code: str) -> None:
    done = run_gemx("auto", "rules", code)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"{code}: ")
    told = run_gemx("auto", "rules", code, "--json")
    (rule,) = told.json["data"]
    words = flat(done.out)
    assert f"Gravidade: {', '.join(rule['severities'])}" in words
    for text in (rule["title"], rule["why"], f"Errado: {rule['bad']['said']}", f"Certo: {rule['good']['said']}"):
        assert flat(text) in words
    assert max(map(len, done.out.splitlines())) <= 80


def test_a_family_of_rules(run_gemx: Run) -> None:
    done = run_gemx("auto", "rules", "arithmetic")
    family = [code for code in CODES if code.startswith("arithmetic.")]
    assert [line.split()[0] for line in done.out.splitlines() if not line.startswith(" ")] == family
    told = run_gemx("auto", "rules", "arithmetic", "--json")
    assert [rule["code"] for rule in told.json["data"]] == family


@pytest.mark.parametrize(("code", "near"), [("arithmetic.rat", "arithmetic.rate"), ("nada", None), ("", None)])
def test_a_rule_that_is_unknown_is_exit_3(run_gemx: Run, code: str, near: str | None) -> None:
    done = run_gemx("auto", "rules", code)
    assert (done.code, done.out) == (3, "")
    assert f"no rule {code!r}" in done.err
    assert ("did you mean" in done.err) == (near is not None)
    assert near is None or f"did you mean '{near}'?" in done.err
    told = run_gemx("auto", "rules", code, "--json")
    assert told.code == told.json["exit_code"] == 3
