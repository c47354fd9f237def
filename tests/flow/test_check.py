"""What is wrong with a flow, found offline at its line and column."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flow_runs import written
from gemx.errors import InvalidFileError
from gemx.flow import shelf

HEAD = """\
inputs:
  q: {}
  cor: {choices: [azul, verde], default: azul}
  lista: {type: list, required: false}
secrets: [TOKEN]
outputs: {x: "${{ steps.a.outputs.text }}"}
steps:
  - {id: a, prompt: {text: "${{ inputs.q }}"}}
  - {id: r, rag: {kb: minha, query: x}}
"""
# A second step, with ¦ where it is wrong, and what is said of it.
WRONG = {
    "{id: b, prompt: {text: ¦'${{ inputs.p }}'}}": "'inputs.p': the flow has no input 'p'",
    "{id: b, prompt: {text: ¦'${{ inputs.q.x }}'}}": "'inputs.q.x': the input 'q' is a text, which has no parts",
    "{id: b, prompt: {text: ¦'${{ step.a }}'}}": "unknown name 'step.a'; did you mean 'steps'?",
    "{id: b, prompt: {text: ¦'${{ steps.aa.outputs.text }}'}}": "there is no step 'aa'; did you mean 'a'?",
    "{id: b, prompt: {text: ¦'${{ steps.a.output }}'}}": "a step has outputs, status, error; did you mean 'outputs'?",
    "{id: b, prompt: {text: ¦'${{ steps.a.outputs.txt }}'}}": "the outputs of a have no 'txt'; did you mean 'text'?",
    "{id: b, prompt: {text: ¦'${{ steps.a.outputs.text.x }}'}}": "has no parts",
    "{id: b, prompt: {text: ¦'${{ steps.b.status }}'}}": "a step cannot read what it gives itself",
    "{id: b, prompt: {text: ¦'${{ item }}'}}": "only a step with `for_each` has an item",
    "{id: b, for_each: [1], if: ¦'item == 1', prompt: {text: x}}": "'item': only a step with `for_each`",
    "{id: b, prompt: {text: ¦'${{ secrets.TOKEN }}'}}": "secrets are read by `env` and `stdin` of a `run` step alone",
    "{id: b, run: [x], env: {A: ¦'${{ secrets.OTHER }}'}}": "'secrets.OTHER': the flow names no such secret",
    "{id: b, run: [¦./nada.sh, x]}": "no program ",
    "{id: b, run: [x, ¦'${{ inputs.q }}']}": "an expression is never part of a command",
    "{id: b, prompt: {text: ¦'${{ run.number }}'}}": "a run has an `id` alone",
    "{id: b, prompt: {text: ¦'x ${{ inputs.q'}}": "${{ is not closed by }} (character 3 of",
    "{id: b, prompt: {text: ¦'${{ inputs.q && }}'}}": "(character 17 of",
    "{id: b, rag: {kb: ¦'${{ inputs.q }}', query: x}}": "no expression is read here",
    "{id: b, prompt: {template: ¦'${{ inputs.q }}'}}": "no expression is read here",
    "{id: b, if: ¦'inputs.q > 3', prompt: {text: x}}": "> compares unlike values",
    "{id: b, if: ¦\"inputs.cor == 'preto'\", prompt: {text: x}}": "'inputs.cor' is never 'preto'",
    "{id: b, if: ¦\"steps.a.status == 'ok'\", prompt: {text: x}}": "'steps.a.status' is never 'ok'",
    "{id: b, for_each: ¦'${{ inputs.q }}', prompt: {text: x}}": "expected a list here",
    "{id: b, for_each: '${{ steps.r.outputs.hits }}', prompt: {text: ¦'${{ item.txt }}'}}": "have no 'txt'; did you",
    "{id: b, for_each: [{a: 1}], prompt: {text: ¦'${{ item.b }}'}}": "these items have no 'b'",
    "{id: b, for_each: ¦abc, prompt: {text: x}}": "expected a list, or an expression",
    "{id: b, prompt: {text: x, context: ¦'${{ steps.a.outputs.text }}'}}": "expected a list here",
    "{id: b, write: {path: ¦'${{ inputs.lista }}', content: x}}": "expected a text here, the path of a file",
    "{id: b, needs: [¦aa], prompt: {text: x}}": "there is no step 'aa'; did you mean 'a'?",
    "{id: ¦b, needs: [b], prompt: {text: x}}": "these steps wait for each other: b → b",
    "{id: b, rag: {kb: ¦./nada, query: x}}": "no file or folder",
    "{id: b, rag: {kb: ¦/etc, query: x}}": "'/etc': what a flow uses lies beside it",
    "{id: b, prompt: {template: ¦parecerr}}": "no template named 'parecerr'; did you mean 'parecer'?",
    "{id: b, prompt: {template: ¦./nada.yaml}}": "no file ",
    "{id: b, prompt: {template: resumo_artigo, vars: {¦nada: 1}}}": "the template has no variable 'nada'",
    "{id: b, prompt: {template: ¦resumo_artigo}}": "the template also needs: input",
    "{id: b, prompt: {text: x, model: ¦'gemni:x'}}": "unknown provider 'gemni'; did you mean 'gemini'?",
    "{id: b, prompt: {text: x, options: ¦{temp: 1}}}": "unknown option 'temp'",
    "{id: b, prompt: {text: x, schema: ¦./nada.json}}": "the schema",
    "{id: b, prompt: {text: x, schema: ¦{type: nada}}}": "not a JSON Schema",
    "{id: b, auto: {name: ¦sepse_bundl}}": "no automation named 'sepse_bundl'; did you mean 'sepse_bundle'?",
    "{id: b, auto: {name: sepse_bundle, inputs: ¦{idade: 1}}}": "sepse_bundle also needs: sexo, peso, pas, pad",
    "{id: b, auto: {name: sepse_bundle, inputs: ¦'${{ inputs }}'}}": "sepse_bundle also needs: idade, sexo",
    "{id: b, auto: {name: sepse_bundle, inputs: ¦'${{ inputs.q }}'}}": "expected a mapping of inputs here",
    "{id: b, auto: {name: sepse_bundle, inputs: ¦abc}}": "expected a mapping of inputs, or an expression",
    "{id: b, verify: {answer: x, automation: hda_triage, inputs: {¦pes: 1}}}": "did you mean 'peso'?",
    "{id: b, verify: {answer: x, automation: ¦./livre.yaml}}": "has no contract to hold an answer to",
    "{id: b, auto: {name: ./livre.yaml, repair: ¦2}}": "`repair` needs a contract, and livre has none",
    "{id: b, ¦rodar: [ls]}": "unknown key 'rodar'",
    "¦{id: b}": "expected exactly one of rag, prompt, auto, verify, run, write, uses",
    "¦{id: b, run: [ls], prompt: {text: x}}": "not prompt and run together",
    "{id: ¦inputs, prompt: {text: x}}": "'inputs' has a meaning of its own",
    "{id: b, timeout: ¦60, prompt: {text: x}}": "expected a duration with its unit, such as 60s",
    "{id: b, timeout: ¦60 min, prompt: {text: x}}": "expected a duration such as 500ms",
    "{id: b, write: ¦{path: x.md}}": "the key 'content' is missing",
}


@pytest.mark.parametrize("step", WRONG)
def test_one_thing_that_is_wrong(step: str, workdir: Path) -> None:
    (workdir / "livre.yaml").write_text("gemx: automation/v1\nprompt: x\n")
    with pytest.raises(InvalidFileError) as caught:
        shelf.load(written(workdir, f"{HEAD}  - {step.replace('¦', '')}\n"))
    place = f"fluxo.yml:11:{step.index('¦') + 5}: "
    messages = [str(problem) for problem in caught.value.problems]
    assert any(place in message and WRONG[step] in message for message in messages), messages
    assert all(re.search(r"fluxo\.yml:\d+:\d+: ", message) for message in messages)


def test_problems_come_in_the_order_of_the_file(workdir: Path) -> None:
    steps = "".join(
        f"  - {step}\n".replace("¦", "").replace("id: b", f"id: b{index}") for index, step in enumerate([*WRONG][:6])
    )
    with pytest.raises(InvalidFileError) as caught:
        shelf.load(written(workdir, HEAD + steps))
    places = [(problem.line, problem.column) for problem in caught.value.problems]
    assert len(places) >= 6
    assert places == sorted(places)


def test_what_a_broken_automation_holds_is_said_in_its_own_file(workdir: Path) -> None:
    (workdir / "minha.yaml").write_text("gemx: automation/v1\nprompt: x\ninputs: [idadee]\n")
    with pytest.raises(InvalidFileError) as caught:
        shelf.load(written(workdir, f"{HEAD}  - {{id: b, auto: {{name: ./minha.yaml}}}}\n"))
    first, second = (str(problem) for problem in caught.value.problems)
    assert "fluxo.yml:11:26: what it uses is not valid" in first
    assert "minha.yaml:3:10: unknown input 'idadee'" in second


def test_what_may_be_wrong_is_a_warning(workdir: Path) -> None:
    text = "secrets: [TOKEN]\nsteps:\n  - {id: a, rag: {kb: minha_base, query: x}}\n"
    loaded = shelf.load(written(workdir, text))
    messages = [str(problem).partition("fluxo.yml:")[2] for problem in loaded.warnings]
    assert messages == [
        "4:23: there is no knowledge base 'minha_base' here yet",
        "2:11: no step reads the secret TOKEN",
        "1:1: the flow has no `outputs`: nothing of it is shown",
    ]


def test_commands_are_listed(workdir: Path) -> None:
    loaded = shelf.load(written(workdir, "steps:\n  - {id: a, run: [rm, -rf, 'a b']}\noutputs: {x: 1}\n"))
    assert loaded.commands == (("a", ("rm", "-rf", "a b")),)
