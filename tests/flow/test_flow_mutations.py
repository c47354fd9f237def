"""Seeded mutations of flow files: broken ones are refused at their place, and nothing is called before that is known.

A mutant is `broken` by how it was made, or where another reader finds no YAML in it; a random edit may end either way,
but never badly.
"""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import yaml

from fake_gemini import FakeGemini
from flow_runs import written
from gemx import library, places

Run = Callable[..., Any]
Location = tuple[str | int, ...]
PLACED = re.compile(r"^.+\.(?:yml|json|yaml):\d+:\d+: \S", re.MULTILINE)
MODEL = ("-m", "gemini:gemini-3.8-flash")
LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

# A flow with every kind of step but `auto`, which takes long to load.
EVERY_KIND = """
title: Todos os tipos
version: "1"
inputs:
  pergunta: {label: Pergunta, default: "alvo"}
  nivel: {choices: [alto, baixo], default: alto}
  limite: {type: number, default: 0.5}
  lista: {type: list, required: false}
secrets: [TOKEN]
limits: {concurrency: 2, rpm: 60, tpm: 100000, max_cost_usd: 1.5}
defaults: {timeout: 30s, model: "gemini:gemini-3.8-flash", retry: {max_attempts: 2, initial: 1s, max_interval: 5s}}
steps:
  - id: busca
    rag: {kb: ./base, query: "${{ inputs.pergunta }}", top_k: 3}
  - id: resposta
    if: steps.busca.outputs.best >= inputs.limite && inputs.nivel == 'alto'
    timeout: 20s
    prompt:
      text: "Responda: ${{ inputs.pergunta }}"
      system: Cite.
      context: ${{ steps.busca.outputs.hits }}
      schema: {type: object, properties: {a: {type: string}}}
      repair: 1
      options: {temperature: 0.2}
  - id: outra
    prompt: {template: resumo_artigo, vars: {input: "${{ steps.busca.outputs.text }}"}}
    on_fail: continue
  - id: cada
    for_each: ${{ inputs.lista }}
    concurrency: 2
    prompt: {text: "${{ item_index }}: ${{ item }}", model: "openai:local"}
  - id: confere
    verify: {answer: "${{ steps.resposta.outputs.json }}", schema: {type: object}}
    on_fail: continue
  - id: envia
    needs: [outra, cada]
    retry: {max_attempts: 2}
    run: [cat, -]
    env: {TOKEN: "${{ secrets.TOKEN }}", N: "${{ run.id }}"}
    stdin: {a: "${{ steps.confere.outputs.pass }}", b: ["${{ steps.cada.outputs.items }}"]}
  - id: grava
    write: {path: "notas/${{ inputs.nivel }}.md", content: "${{ steps.envia.outputs.text }} ${{ steps.outra.error }}"}
outputs:
  texto: ${{ steps.resposta.outputs.text || 'nada' }}
  arquivo: ${{ steps.grava.outputs.path }}
  codigo: ${{ steps.envia.outputs.exit_code }}
"""
REQUIRED = ("id", "kb", "query", "path", "content", "steps", "gemx", "answer", "name")


@dataclass(frozen=True)
class Mutant:
    name: str
    data: bytes
    broken: bool


@cache
def source(name: str) -> str:
    if name == "every_kind":
        return f"gemx: flow/v1{EVERY_KIND}"
    # Where it stands now, what it uses is found as well.
    text = (places.shipped("flows") / f"{name}.yml").read_text(encoding="utf-8")
    return text.replace("../automations", "./automations")


@cache
def data(name: str) -> Any:
    return library.parse(source(name).encode(), Path(f"{name}.yml")).data


def nodes(value: Any, location: Location = ()) -> Iterator[tuple[Location, Any]]:
    yield location, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from nodes(item, (*location, key))


def at(value: Any, location: Location) -> Any:
    for key in location:
        value = value[key]
    return value


def edited(name: str, what: str, location: Location, edit: Callable[[Any, Any], Any]) -> Mutant:
    """The flow with one change, written anew; `edit` gets what holds the place, and its key."""
    changed = copy.deepcopy(data(name))
    edit(at(changed, location[:-1]), location[-1])
    text = yaml.dump(changed, Dumper=DUMPER, allow_unicode=True, sort_keys=False)
    return Mutant(f"{name}: {what} at {location}", text.encode(), broken=True)


def replaced(name: str, what: str, location: Location, value: Any) -> Mutant:
    return edited(name, what, location, lambda holder, key: holder.__setitem__(key, value))


def keys_dropped(name: str) -> Iterator[Mutant]:
    for location, _ in nodes(data(name)):
        if location and location[-1] in REQUIRED and location[:1] != ("inputs",):
            yield edited(name, "dropped", location, lambda holder, key: holder.pop(key))


def keys_misspelt(name: str) -> Iterator[Mutant]:
    for location, value in nodes(data(name)):
        place = location[-2] if len(location) > 1 else None
        open_mapping = place in ("inputs", "vars", "env", "stdin", "outputs", "options", "properties", "schema", "a")
        if not location or isinstance(location[-1], int) or open_mapping or "schema" in location:
            continue

        def misspell(holder: Any, key: Any, value: Any = value) -> None:
            del holder[key]
            holder[f"{key}s"] = value

        yield edited(name, "misspelt", location, misspell)


def types_changed(name: str) -> Iterator[Mutant]:
    for location, value in nodes(data(name)):
        key = location[-1] if location else None
        if isinstance(value, dict) and key not in ("schema", "stdin", "a", "properties") and "schema" not in location:
            yield replaced(name, "is a number", location, 7) if location else Mutant(f"{name}: a list", b"- 1\n", True)
        elif isinstance(value, list) and key not in ("b", "context"):
            yield replaced(name, "is a mapping", location, {"a": 1})
        elif key in ("top_k", "repair", "concurrency", "rpm", "tpm", "max_attempts", "max_cost_usd"):
            for wrong in ("muitos", -1, [1], True):
                yield replaced(name, f"is {wrong!r}", location, wrong)
        elif key in ("timeout", "initial", "max_interval"):
            for wrong in (5, "5", "5 dias", "-1s", "0s", "48h"):
                yield replaced(name, f"is {wrong!r}", location, wrong)


NAMES = re.compile(r"\b(?:inputs|steps|secrets|item|item_index|run)\b(?:\.\w+)*")


def expressions_broken(name: str) -> Iterator[Mutant]:
    for location, value in nodes(data(name)):
        is_condition = bool(location) and location[-1] == "if"
        if not isinstance(value, str) or ("${{" not in value and not is_condition):
            continue
        for match in NAMES.finditer(value):
            # What a step's JSON or an item holds is not known before.
            if "json." in match[0] or "answer." in match[0] or "facts." in match[0]:
                continue
            forms = (f"{match[0]}q", f"nada.{match[0]}", f"{match[0]} &&", f"({match[0]}", f"{match[0]} ? 1")
            for wrong in (forms[0], forms[1 + match.start() % 4]):
                changed = value[: match.start()] + wrong + value[match.end() :]
                yield replaced(name, f"{match[0]} is {wrong!r}", location, changed)
        if "${{" in value:
            yield replaced(name, "not closed", location, value.replace("}}", "}", 1))
            yield replaced(name, "empty", location, "${{ }}")


def references_broken(name: str) -> Iterator[Mutant]:
    steps = data(name)["steps"]
    last = len(steps) - 1
    for index, step in enumerate(steps):
        yield replaced(name, "a step twice", ("steps",), [*steps, step])
        yield replaced(name, "needs nothing", ("steps", index), {**step, "needs": ["nada"]})
        yield replaced(name, "needs itself", ("steps", index), {**step, "needs": [step["id"]]})
        yield (
            replaced(name, "needs the last", ("steps", index), {**step, "needs": [steps[last]["id"]]})
            if (index == 0)
            else replaced(
                name, "two kinds", ("steps", index), {**step, "run": ["ls"], "write": {"path": "a", "content": "b"}}
            )
        )
        for id in ("steps", "Nome", "1a", "a-b", "", 7, None):
            yield replaced(name, f"id {id!r}", ("steps", index, "id"), id)
        for fail in ("ignore", True, None):
            yield replaced(name, f"on_fail {fail!r}", ("steps", index), {**step, "on_fail": fail})
    wrong = {"kb": "./nada", "template": "nada", "model": "nada:x", "name": "nada", "schema": "./nada.json"}
    for location, _ in nodes(data(name)):
        if location and (value := wrong.get(str(location[-1]))) and location[0] in ("steps", "defaults"):
            yield replaced(name, "is nowhere", location, value)
    for secret in ("token", "A B", "${{ x }}", ""):
        yield replaced(name, f"secret {secret!r}", ("secrets",), [secret])
    for version in ("flow/v2", "automation/v1", 1, None):
        yield replaced(name, f"header {version!r}", ("gemx",), version)


def texts_broken(name: str) -> Iterator[Mutant]:
    text, chance = source(name), random.Random(name)
    for bad in (b"\xff", b"\0", b"\x1b[2J", b"\xe2\x80\xae", b"\xed\xa0\x80"):
        index = chance.choice([match.end() for match in re.finditer(rb": ", text.encode())])
        yield Mutant(f"{name}: {bad!r}", text.encode()[:index] + bad + text.encode()[index:], broken=True)
    yield Mutant(f"{name}: UTF-16", text.encode("utf-16"), broken=True)
    yield Mutant(f"{name}: empty", b"", broken=True)
    yield Mutant(f"{name}: a second document", f"{text}\n---\na: 1\n".encode(), broken=True)
    yield Mutant(f"{name}: a key twice", f"{text}\nsteps: []\n".encode(), broken=True)
    yield Mutant(f"{name}: a tag", text.replace("steps:", "steps: !!python/object:os.system", 1).encode(), broken=True)
    bomb = "\n".join(f"b{n}: &b{n} [{', '.join([f'*b{n - 1}'] * 9)}]" for n in range(1, 9))
    yield Mutant(f"{name}: a bomb", f"b0: &b0 [1]\n{bomb}\n{text}".encode(), broken=True)
    for _ in range(12):
        index = chance.randrange(1, len(text))
        yield judged(f"{name}: cut at {index}", text[:index])
    for _ in range(40):
        start = chance.randrange(len(text))
        end = start + chance.choice((0, 1, 1, 3, 30))
        put = chance.choice(
            ("", "", ":", "- ", "{", "}", "[", '"', "'", "\n", "&a ", "*a", "!x ", "|", "${{", "}}", "é")
        )
        yield judged(f"{name}: {start} to {end} is {put!r}", text[:start] + put + text[end:])


def judged(name: str, text: str) -> Mutant:
    try:
        yaml.load(text, Loader=LOADER)
    except yaml.YAMLError:
        return Mutant(name, text.encode(), broken=True)
    return Mutant(name, text.encode(), broken=False)


MUTATIONS = (keys_dropped, keys_misspelt, types_changed, expressions_broken, references_broken, texts_broken)
FILES = ("every_kind", "flow_example", "sepse_triagem")


def mutants(mutation: Callable[[str], Iterator[Mutant]]) -> Iterator[Mutant]:
    """All of a flow without an automation, which loads in no time, and some of the others."""
    yield from mutation("every_kind")
    for name, most in {"flow_example": 40, "sepse_triagem": 12}.items():
        found = list(mutation(name))
        yield from random.Random(name).sample(found, min(most, len(found)))


@pytest.fixture
def house(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the flows use, beside them."""
    monkeypatch.setenv("TOKEN", "segredo-plantado")
    (workdir / "base").mkdir()
    (workdir / "base/a.md").write_text("# A\n\nO alvo é 65.\n")
    (workdir / "automations").mkdir()
    (workdir / "automations/knowledge").symlink_to(places.shipped("automations") / "knowledge")
    return workdir


def complaint(mutant: Mutant, house: Path, server: FakeGemini, run_gemx: Run) -> str | None:
    """What is wrong with how gemx takes a mutant; None where it is right."""
    (house / "mutante.yml").write_bytes(mutant.data)
    before = sorted(house.iterdir())
    command = ("run", "./mutante.yml", *MODEL, "--allow-run") if mutant.broken else ("validate", "./mutante.yml")
    done = run_gemx("flow", *command)
    if done.code not in ((3,) if mutant.broken else (0, 3)):
        return f"exit {done.code}: {mutant.name}\n    {done.err[:300]}"
    if "Traceback" in done.out + done.err or (done.code and not PLACED.search(done.err)):
        return f"no place, or a traceback: {mutant.name}\n    {done.err[:300]}"
    if server.requests or sorted(house.iterdir()) != before:
        return f"something was called or written: {mutant.name}"
    return None


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_mutants_of_flows(
    mutation: Callable[[str], Iterator[Mutant]], house: Path, fake_gemini: FakeGemini, run_gemx: Run
) -> None:
    complaints = [complaint(mutant, house, fake_gemini, run_gemx) for mutant in mutants(mutation)]
    assert not any(complaints), "\n".join(filter(None, complaints))


def test_the_mutants_are_many_and_the_same_every_time() -> None:
    found = [mutant for mutation in MUTATIONS for mutant in mutants(mutation)]
    assert len({mutant.data for mutant in found}) >= 500
    assert sum(mutant.broken for mutant in found) >= 400
    assert found[:200] == list(islice((mutant for mutation in MUTATIONS for mutant in mutants(mutation)), 200))


@pytest.mark.parametrize("name", FILES)
def test_the_flows_themselves_are_valid(name: str, house: Path, run_gemx: Run) -> None:
    # The mutants are written anew from the data: that alone must break nothing.
    text = yaml.dump(data(name), Dumper=DUMPER, allow_unicode=True, sort_keys=False)
    for each in (source(name), text):
        (house / "inteiro.yml").write_text(each, encoding="utf-8")
        done = run_gemx("flow", "validate", "./inteiro.yml")
        assert (done.code, done.err) == (0, "")


def test_the_flow_of_every_kind_runs(house: Path, fake_gemini: FakeGemini, run_gemx: Run) -> None:
    fake_gemini.answer = '{"a": "65"}'
    path = written(house, EVERY_KIND)
    done = run_gemx("flow", "run", path, *MODEL, "--allow-run", "--json")
    assert done.code == 0, done.out
    assert done.json["data"]["outputs"] == {
        "texto": '{"a": "65"}',
        "arquivo": str(house / "fluxo-out/notas/alto.md"),
        "codigo": 0,
    }
    assert "segredo-plantado" not in done.out + done.err
