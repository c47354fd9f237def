"""What each kind of step does."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from fake_gemini import FakeGemini
from flow_runs import Kept, context, run, written
from gateway_calls import Listener
from gemx import places
from gemx.errors import UsageError
from gemx.flow import shelf
from loopback import Recorded
from virtual_clock import VirtualClock

GEMINI = "gemini:gemini-3.8-flash"
PATIENT = {"idade": "64", "sexo": "M", "peso": "70", "pas": "82", "pad": "44", "lactato": "4,6", "foco": "pulmonar"}
KNOWLEDGE = """\
# Protocolo

## Alvo

O alvo inicial de PAM no choque séptico é de 65 mmHg.

## Volume

O cristaloide inicial é de 30 mL/kg.
"""


def parts(request: Recorded) -> list[str]:
    return [part["text"] for part in request.body["contents"][-1]["parts"]]


@pytest.fixture
def base(workdir: Path) -> Path:
    (workdir / "base").mkdir()
    (workdir / "base/protocolo.md").write_text(KNOWLEDGE, encoding="utf-8")
    return workdir


RAG = """
    inputs: {q: {}}
    steps:
      - {id: busca, rag: {kb: ./base, query: "${{ inputs.q }}", top_k: 1}}
      - id: resposta
        prompt: {text: "Pergunta: ${{ inputs.q }}", system: Cite., context: "${{ steps.busca.outputs.hits }}"}
    outputs:
      {texto: "${{ steps.resposta.outputs.text }}", id: "${{ steps.busca.outputs.hits.0.id }}",
       melhor: "${{ steps.busca.outputs.best }}", trechos: "${{ steps.busca.outputs.text }}"}
"""


def test_rag_and_a_prompt_that_can_cite(base: Path, fake_gemini: FakeGemini) -> None:
    fake_gemini.answer = "65 mmHg [base/protocolo.md#1]"
    done = run(written(base, RAG), {"q": "Qual o alvo de PAM?"}, out_dir=base, model=GEMINI)
    outputs = done.outputs or {}
    assert outputs["melhor"] > 0.5
    assert "65 mmHg" in outputs["trechos"]
    context_part, question = parts(fake_gemini.last)
    assert question == "Pergunta: Qual o alvo de PAM?"
    assert outputs["id"] in context_part and "65 mmHg" in context_part
    assert fake_gemini.last.body["systemInstruction"]["parts"][0]["text"] == "Cite."


def test_extractive_answers_by_quoting(base: Path) -> None:
    done = run(written(base, RAG), {"q": "Quanto cristaloide?"}, out_dir=base)
    outputs = done.outputs or {}
    assert outputs["texto"].startswith(f"[{outputs['id']}] ")
    assert "30 mL/kg" in outputs["texto"]


@pytest.mark.parametrize("query", ["", '"? * ( NEAR', "xyzzy"])
def test_rag_finds_nothing(query: str, base: Path) -> None:
    done = run(written(base, RAG), {"q": query}, out_dir=base)
    outputs = done.outputs or {}
    assert (outputs["melhor"], outputs["id"], outputs["trechos"]) == (None, None, "")


def test_a_change_of_the_base_is_a_change_of_the_step(base: Path) -> None:
    journal = Kept()
    for _ in range(2):
        run(written(base, RAG), {"q": "alvo"}, journal=journal, out_dir=base)
    assert len(journal.records) == 2
    (base / "base/outro.md").write_text("# Outro\n\nO alvo é outro.\n")
    run(written(base, RAG), {"q": "alvo"}, journal=journal, out_dir=base)
    assert len(journal.records) > 2


def test_a_template_takes_values_of_every_type(workdir: Path, fake_gemini: FakeGemini) -> None:
    (workdir / "t.yaml").write_text(
        "gemx: template/v1\ntitle: T\nsystem: Sistema {{ a }}.\nprompt: '{{ a }}|{{ n }}|{{ b }}|{{ t }}|{{ v }}'\n"
        "variables:\n  - {name: n, label: N, type: number}\n  - {name: b, label: B, type: boolean}\n"
        "  - {name: v, label: V, default: padrão}\n"
    )
    text = """
        inputs: {n: {type: number}, b: {type: boolean}, v: {required: false}}
        steps:
          - id: a
            prompt:
              template: ./t.yaml
              vars:
                {a: "{{ 7 * 7 }}", n: "${{ inputs.n }}", b: "${{ inputs.b }}", t: "${{ inputs.b }} é",
                 v: "${{ inputs.v }}"}
        outputs: {a: 1}
    """
    given = {"n": json.loads("7.352"), "b": "não"}
    done = run(written(workdir, text), given, out_dir=workdir, model=GEMINI)
    assert done.failure is None
    assert parts(fake_gemini.last) == ["{{ 7 * 7 }}|7.352|não|false é|padrão"]
    assert fake_gemini.last.body["systemInstruction"]["parts"][0]["text"] == "Sistema {{ 7 * 7 }}."


def test_a_template_of_the_folder_brings_no_model(workdir: Path) -> None:
    (workdir / "t.yaml").write_text("gemx: template/v1\ntitle: T\nmodel: 'gemini:x'\nprompt: Olá\n")
    loaded = shelf.load(written(workdir, "steps:\n  - {id: a, prompt: {template: ./t.yaml}}\noutputs: {a: 1}\n"))
    assert str(context(loaded, workdir, model=None).policies["a"].route) == "extractive"
    own = places.config_dir() / "templates"
    own.mkdir(parents=True)
    (workdir / "t.yaml").rename(own / "minha.yaml")
    loaded = shelf.load(written(workdir, "steps:\n  - {id: a, prompt: {template: minha}}\noutputs: {a: 1}\n"))
    assert str(context(loaded, workdir, model=None).policies["a"].route) == "gemini:x"


@pytest.mark.parametrize("context", ["[{id: 1, text: x}]", "[x]", "[{id: a}]"])
def test_a_context_that_is_none(context: str, workdir: Path) -> None:
    text = f"steps:\n  - {{id: a, prompt: {{text: x, context: {context}}}}}\noutputs: {{a: 1}}\n"
    done = run(written(workdir, text), out_dir=workdir)
    assert done.failure is not None
    assert done.failure.exit_code == 4


AUTO = """
    inputs: &entradas
      {idade: {}, sexo: {}, peso: {}, pas: {}, pad: {}, lactato: {required: false}, foco: {required: false}}
    steps:
      - {id: a, auto: {name: sepse_bundle, inputs: "${{ inputs }}"}}
      - {id: v, verify: {answer: "${{ steps.a.outputs.answer }}", automation: sepse_bundle, inputs: "${{ inputs }}"}}
    outputs:
      {resumo: "${{ steps.a.outputs.answer.resumo }}", pam: "${{ steps.a.outputs.facts.pam.shown }}",
       ok: "${{ steps.v.outputs.pass }}", nota: "${{ steps.a.outputs.note }}", v: "${{ steps.a.outputs.verified }}",
       modelo: "${{ steps.a.outputs.model }}"}
"""


def test_an_automation_and_its_verification(workdir: Path) -> None:
    journal = Kept()
    done = run(written(workdir, AUTO), PATIENT, journal=journal, out_dir=workdir)
    outputs = dict(done.outputs or {})
    assert outputs["resumo"].startswith("64 anos, sexo masculino")
    assert (outputs["pam"], outputs["ok"], outputs["v"], outputs["modelo"]) == ("57", True, False, "extractive")
    assert outputs["nota"].startswith("# Nota de apoio à decisão")
    assert not (places.data_dir() / "history.db").exists()
    assert json.loads(json.dumps(journal.of("a").outputs)) == journal.of("a").outputs


def test_an_automation_stays_off_the_cloud(workdir: Path, fake_gemini: FakeGemini) -> None:
    name = written(
        workdir,
        AUTO.replace("{id: a, auto: {name", "{id: a, auto: {model: 'gemini:x', name"),
    )
    loaded = shelf.load(name)
    assert str(context(loaded, workdir, model=None).policies["a"].route) == "extractive"
    assert context(loaded, workdir, model=None).policies["a"].clinical
    assert str(context(loaded, workdir, model=GEMINI).policies["a"].route) == GEMINI
    assert not fake_gemini.requests


@pytest.mark.parametrize(
    ("change", "said"),
    [({"peso": "setenta"}, "Peso (peso)"), ({"peso": "7000"}, "Peso (peso)"), ({"idade": "12"}, "")],
)
def test_a_patient_that_cannot_be_read(change: dict[str, str], said: str, workdir: Path) -> None:
    done = run(written(workdir, AUTO), {**PATIENT, **change}, out_dir=workdir)
    assert done.failure is not None
    assert (done.failure.code, done.failure.exit_code) == ("input", 4)
    assert said in done.failure.message


def test_what_an_automation_requires_may_turn_out_null(workdir: Path) -> None:
    name = written(workdir, AUTO.replace("peso: {}", "peso: {required: false}"))
    done = run(name, {name: value for name, value in PATIENT.items() if name != "peso"}, out_dir=workdir)
    assert done.failure is not None
    assert done.failure.message == "a: faltam dados obrigatórios de sepse_bundle: peso (Peso)"


def _with_a_wrong_dose(answer: dict[str, Any]) -> dict[str, Any]:
    row = next(row for row in answer["farmacoterapia"] if "noradrenalina" in row["farmaco"].lower())
    row["posologia"]["velocidade"]["valor"] *= 10
    return answer


def test_an_answer_with_an_error_fails_the_step_and_is_not_hidden(workdir: Path, fake_gemini: FakeGemini) -> None:
    first = Kept()
    run(written(workdir, AUTO), PATIENT, journal=first, out_dir=workdir)
    wrong = json.dumps(_with_a_wrong_dose(dict((first.of("a").outputs or {})["answer"])))
    fake_gemini.reply_text(wrong)
    journal = Kept()
    done = run(written(workdir, AUTO), PATIENT, journal=journal, out_dir=workdir, model=GEMINI)
    assert done.failure is not None
    assert (done.failure.code, done.failure.exit_code) == ("contract", 6)
    outputs = journal.of("a").outputs or {}
    assert outputs["verified"] is False
    assert any(finding["severity"] == "error" for finding in outputs["findings"])
    assert "ERRO" in outputs["note"]
    verify = """
        inputs: {resposta: {}, idade: {}, sexo: {}, peso: {}, pas: {}, pad: {}}
        steps:
          - id: v
            on_fail: continue
            verify:
              {answer: "${{ inputs.resposta }}", automation: sepse_bundle, inputs: {peso: "${{ inputs.peso }}"}}
        outputs: {ok: "${{ steps.v.outputs.pass }}", p: "${{ steps.v.outputs.problems.0 }}", s: "${{ steps.v.status }}"}
    """
    given = {name: PATIENT[name] for name in ("idade", "sexo", "peso", "pas", "pad")}
    outputs = run(written(workdir, verify), {**given, "resposta": wrong}, out_dir=workdir).outputs or {}
    assert (outputs["ok"], outputs["s"]) == (False, "failed")
    assert outputs["p"].startswith("arithmetic.")


def test_verify_by_a_schema(workdir: Path) -> None:
    (workdir / "s.json").write_text('{"type": "object", "required": ["a"]}')
    text = """
        inputs: {x: {type: object}}
        steps:
          - {id: v, verify: {answer: "${{ inputs.x }}", schema: ./s.json}}
        outputs: {ok: "${{ steps.v.outputs.pass }}"}
    """
    name = written(workdir, text)
    assert run(name, {"x": {"a": 1}}, out_dir=workdir).outputs == {"ok": True}
    done = run(name, {"x": {}}, out_dir=workdir)
    assert done.failure is not None
    assert (done.failure.exit_code, done.failure.message) == (6, "v: $: 'a' is a required property")


def command(code: str, **step: Any) -> str:
    """A flow that runs Python code, given as one line."""
    said = json.dumps({"id": "r", "run": [sys.executable, "-c", code], **step})
    return f"""
        inputs: {{q: {{default: ""}}}}
        secrets: [TOKEN]
        steps:
          - {said}
        outputs:
          {{text: "${{{{ steps.r.outputs.text }}}}", json: "${{{{ steps.r.outputs.json }}}}",
           code: "${{{{ steps.r.outputs.exit_code }}}}", error: "${{{{ steps.r.error }}}}"}}
    """


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("TOKEN", 'um "segredo" é\\')
    return os.environ["TOKEN"]


def test_a_command_sees_what_it_is_given_and_no_more(
    workdir: Path, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTRO_SEGREDO", "nada")
    code = "import json,os,sys; print(json.dumps([dict(os.environ), sys.stdin.read(), os.getcwd()]))"
    text = command(code, env={"Q": "${{ inputs.q }}", "N": 4}, stdin={"q": "${{ inputs.q }}"})
    done = run(written(workdir, text), {"q": "$(touch x) é"}, out_dir=workdir / "out", allow_run=True)
    environment, stdin, folder = (done.outputs or {})["json"]
    assert {name for name in environment if name not in ("LC_CTYPE", "__CF_USER_TEXT_ENCODING")} == {"PATH", "Q", "N"}
    assert (environment["Q"], environment["N"]) == ("$(touch x) é", "4")
    assert json.loads(stdin) == {"q": "$(touch x) é"}
    assert folder == str(workdir / "out")
    assert not [*(workdir / "out").iterdir()]


def test_a_secret_is_used_and_never_kept(workdir: Path, token: str) -> None:
    code = (
        "import json,os,sys; t=os.environ['T']; print(t); print(json.dumps([t, len(t)])); "
        "print('falhou com', t, file=sys.stderr); sys.exit(3)"
    )
    text = command(code, env={"T": "${{ secrets.TOKEN }}"}, stdin="Bearer ${{ secrets.TOKEN }}", on_fail="continue")
    journal = Kept()
    done = run(written(workdir, text), journal=journal, out_dir=workdir / "out", allow_run=True)
    outputs = done.outputs or {}
    assert outputs["text"] == f'[secret TOKEN]\n["[secret TOKEN]", {len(token)}]\n'
    assert outputs["error"].endswith("ended with exit code 3: falhou com [secret TOKEN]")
    kept = repr(journal.records) + json.dumps([dict(each.outputs or {}) for each in journal.records])
    assert "segredo" not in kept


def test_the_key_of_a_step_holds_no_secret(workdir: Path, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = command("print(1)", env={"T": "${{ secrets.TOKEN }}"})
    journal = Kept()
    run(written(workdir, text), journal=journal, out_dir=workdir, allow_run=True)
    monkeypatch.setenv("TOKEN", "outro")
    run(written(workdir, text), journal=journal, out_dir=workdir, allow_run=True)
    assert len(journal.records) == 1


def test_a_command_that_fails_and_its_retries(workdir: Path, token: str, virtual_clock: VirtualClock) -> None:
    code = "import sys; f = open('n', 'a+'); n = f.tell(); f.write('x'); sys.exit(n < 2)"
    listener = Listener()
    done = run(written(workdir, command(code)), out_dir=workdir / "once", allow_run=True)
    assert done.failure is not None
    assert (done.failure.code, done.failure.exit_code) == ("command", 5)
    assert (workdir / "once/n").read_text() == "x"
    text = command(code, retry={"max_attempts": 3, "initial": "2s"})
    done = run(written(workdir, text), out_dir=workdir / "again", allow_run=True, listener=listener)
    assert (done.outputs or {})["code"] == 0
    assert (workdir / "again/n").read_text() == "xxx"
    assert listener.waits


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["nao-existe-mesmo"], "nao-existe-mesmo: No such file or directory"),
        ([sys.executable, "-c", "print('x' * 11_000_000)"], "wrote more than 10000000 bytes"),
        ([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], "ended with signal 9"),
    ],
)
def test_a_command_that_cannot_be(argv: list[str], said: str, workdir: Path) -> None:
    text = f"steps:\n  - {json.dumps({'id': 'r', 'run': argv})}\noutputs: {{a: 1}}\n"
    done = run(written(workdir, text), out_dir=workdir / "out", allow_run=True)
    assert done.failure is not None
    assert said in done.failure.message


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_command_is_ended_with_all_that_it_started(workdir: Path) -> None:
    argv = ["sh", "-c", "sleep 600 & echo $! > pid; wait"]
    said = json.dumps({"id": "r", "timeout": "1s", "run": argv})
    done = run(written(workdir, f"steps:\n  - {said}\noutputs: {{a: 1}}\n"), out_dir=workdir / "out", allow_run=True)
    assert done.failure is not None
    assert done.failure.message.endswith("not done within 1 s")
    pid = int((workdir / "out/pid").read_text())
    end = time.monotonic() + 20
    while _is_alive(pid):
        assert time.monotonic() < end, "what a command started outlives it"
        time.sleep(0.01)


def test_a_command_that_ends_badly_while_the_run_is_stopped_is_no_failure_of_the_item(workdir: Path) -> None:
    journal = Kept()
    journal.stop = (workdir / "out/x").exists
    argv = ["sh", "-c", "touch x; exit 3"]
    said = json.dumps({"id": "r", "on_fail": "continue", "retry": {"max_attempts": 9}, "run": argv})
    text = f"steps:\n  - {said}\noutputs: {{a: 1}}\n"
    done = run(written(workdir, text), journal=journal, out_dir=workdir / "out", allow_run=True)
    assert done.failure is not None
    assert (done.failure.code, done.failure.stops) == ("interrupted", True)


def test_a_program_beside_the_flow_is_found_and_none_in_the_output_folder(workdir: Path) -> None:
    script = workdir / "passo.sh"
    script.write_text("#!/bin/sh\necho daqui\n")
    script.chmod(0o700)
    name = written(workdir, 'steps:\n  - {id: r, run: [./passo.sh]}\noutputs: {a: "${{ steps.r.outputs.text }}"}\n')
    (workdir / "out").mkdir()
    (workdir / "out/passo.sh").write_text("#!/bin/sh\necho de fora\n")
    assert run(name, out_dir=workdir / "out", allow_run=True).outputs == {"a": "daqui\n"}


def test_write_puts_text_or_json_in_the_output_folder(workdir: Path) -> None:
    text = """
        inputs: {id: {}, x: {}, o: {type: object}}
        steps:
          - {id: t, write: {path: "notas/${{ inputs.id }}.md", content: "é ${{ inputs.x }}"}}
          - {id: j, write: {path: dados.json, content: {a: "${{ inputs.o }}", b: [1]}}}
        outputs: {t: "${{ steps.t.outputs.path }}", n: "${{ steps.t.outputs.bytes }}"}
    """
    done = run(written(workdir, text), {"id": "p1", "x": "\x1b[31mp1\x07", "o": {"k": 1}}, out_dir=workdir / "out")
    path = workdir / "out/notas/p1.md"
    assert done.outputs == {"t": str(path), "n": len("é p1".encode())}
    assert path.read_text() == "é p1"
    assert json.loads((workdir / "out/dados.json").read_text()) == {"a": {"k": 1}, "b": [1]}
    assert oct(path.stat().st_mode & 0o777) == "0o600"
    assert oct(path.parent.stat().st_mode & 0o777) == "0o700"


def test_write_of_what_is_not_there_fails(workdir: Path) -> None:
    text = """
        steps:
          - {id: a, if: "false", prompt: {text: x}}
          - {id: w, write: {path: x.md, content: "${{ steps.a.outputs.text }}"}}
        outputs: {a: 1}
    """
    done = run(written(workdir, text), out_dir=workdir / "out")
    assert done.failure is not None
    assert done.failure.message == "w: the content is null: what it reads is not there"
    assert not (workdir / "out").exists()


def test_commands_need_leave_before_anything_runs(workdir: Path, fake_gemini: FakeGemini) -> None:
    text = "steps:\n  - {id: a, prompt: {text: x}}\n  - {id: r, run: [rm, -rf, 'a b']}\noutputs: {a: 1}\n"
    with pytest.raises(UsageError) as caught:
        run(written(workdir, text), out_dir=workdir / "out", model=GEMINI)
    assert caught.value.message == "the flow fluxo would run commands:\n  r: rm -rf 'a b'"
    assert not fake_gemini.requests
