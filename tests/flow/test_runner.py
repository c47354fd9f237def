"""One item of a flow: the order of its steps, what is skipped, what fails, and what is not done again."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from fake_gemini import FakeGemini
from flow_runs import Kept, context, run, written
from gemx.errors import StorageError
from gemx.flow import inputs, runner, shelf
from gemx.flow.record import StepRecord
from loopback import Recorded

GEMINI = "gemini:gemini-3.8-flash"


def words(request: Recorded) -> str:
    return request.body["contents"][-1]["parts"][-1]["text"]


def echo(request: Recorded) -> str:
    return f"<{words(request)}>"


def asked(server: FakeGemini) -> list[str]:
    return [words(request) for request in server.requests]


@pytest.fixture
def gemini(fake_gemini: FakeGemini) -> FakeGemini:
    """A model that gives back what it is asked, in angle brackets."""
    fake_gemini.answer = echo
    return fake_gemini


CHAIN = """
    inputs: {q: {}, again: {type: boolean, default: false}}
    steps:
      - {id: c, if: inputs.again, prompt: {text: "c ${{ steps.b.outputs.text }}"}}
      - {id: b, prompt: {text: "b ${{ steps.a.outputs.text }}"}}
      - {id: a, prompt: {text: "a ${{ inputs.q }}"}}
    outputs:
      z: ${{ steps.c.outputs.text || steps.b.outputs.text }}
      status: ${{ steps.c.status }}
      whole: {text: "b=${{ steps.b.outputs.text }}", list: ["${{ inputs.again }}"]}
"""


def test_steps_run_when_those_that_they_read_have_ended(gemini: FakeGemini, workdir: Path) -> None:
    journal = Kept()
    done = run(written(workdir, CHAIN), {"q": "x"}, journal=journal, out_dir=workdir / "out", model=GEMINI)
    assert (done.status, done.failure) == ("done", None)
    assert done.outputs == {
        "z": "<b <a x>>",
        "status": "skipped",
        "whole": {"text": "b=<b <a x>>", "list": [False]},
    }
    assert list(done.outputs or ()) == ["z", "status", "whole"]
    assert asked(gemini) == ["a x", "b <a x>"]
    assert [(each.path, each.status) for each in journal.records] == [("a", "done"), ("b", "done"), ("c", "skipped")]
    outputs = journal.of("a").outputs or {}
    assert outputs["model"] == GEMINI
    assert (outputs["tokens_in"], outputs["finish_reason"], outputs["json"]) == (12, "stop", None)
    assert len(journal.of("a").attempts) == 1
    assert not (workdir / "out").exists()


def test_what_was_done_is_not_called_again(gemini: FakeGemini, workdir: Path) -> None:
    journal, name = Kept(), written(workdir, CHAIN)
    first = run(name, {"q": "x"}, journal=journal, out_dir=workdir, model=GEMINI)
    again = run(name, {"q": "x"}, journal=journal, out_dir=workdir, model=GEMINI)
    assert (again.status, again.outputs) == (first.status, first.outputs)
    assert len(gemini.requests) == 2
    run(name, {"q": "x", "again": "sim"}, journal=journal, out_dir=workdir, model=GEMINI)
    assert asked(gemini)[2:] == ["c <b <a x>>"]


@pytest.mark.parametrize("changed", ["text", "model", "options", "template", "profile"])
def test_what_decides_an_answer_is_in_the_key(changed: str, gemini: FakeGemini, workdir: Path, gemx_home: Path) -> None:
    template = workdir / "t.yaml"
    template.write_text("gemx: template/v1\ntitle: T\nprompt: Um {{ q }}\n")
    text = "steps:\n  - {id: a, prompt: {template: ./t.yaml, vars: {q: x}}}\noutputs: {a: 1}\n"
    journal, name = Kept(), written(workdir, text)
    more: dict[str, Any] = {"model": GEMINI}
    run(name, journal=journal, out_dir=workdir, **more)
    run(name, journal=journal, out_dir=workdir, **more)
    assert len(gemini.requests) == 1
    if changed == "text":
        name = written(workdir, text.replace("q: x", "q: y"))
    elif changed == "template":
        template.write_text("gemx: template/v1\ntitle: T\nprompt: Dois {{ q }}\n")
    elif changed == "profile":
        (gemx_home / "config/profiles").mkdir(parents=True)
        (gemx_home / "config/profiles/p.yaml").write_text("gemx: profile/v1\ntitle: P\npersona: médico\n")
        (gemx_home / "config/config.json").write_text('{"profile": "p"}')
    else:
        more |= {"model": "gemini:outro"} if changed == "model" else {"options": {"temperature": "0.5"}}
    run(name, journal=journal, out_dir=workdir, **more)
    assert len(gemini.requests) == 2


def test_independent_steps_are_under_way_at_once(fake_gemini: FakeGemini, workdir: Path) -> None:
    all_of_them = threading.Barrier(10, timeout=20)

    def answer(request: Recorded) -> str:
        if words(request) != "fim":
            all_of_them.wait()
        return "ok"

    fake_gemini.answer = answer
    steps = "".join(f"  - {{id: a{n}, prompt: {{text: x}}}}\n" for n in range(10))
    needs = ", ".join(f"a{n}" for n in range(10))
    last = f"  - {{id: fim, needs: [{needs}], prompt: {{text: fim}}}}\n"
    text = f"steps:\n{steps}{last}outputs: {{fim: '${{{{ steps.fim.outputs.text }}}}'}}\n"
    done = run(written(workdir, text), out_dir=workdir, model=GEMINI, tries=1)
    assert done.outputs == {"fim": "ok"}
    assert asked(fake_gemini)[10:] == ["fim"]


EACH = """
    inputs: {l: {type: list}}
    steps:
      - id: cada
        for_each: ${{ inputs.l }}
        concurrency: 3
        on_fail: stop
        prompt: {text: "${{ item_index }} ${{ item.nome || item }}"}
    outputs:
      n: ${{ steps.cada.outputs.items.1.text }}
      items: ${{ steps.cada.outputs.items }}
      failed: ${{ steps.cada.outputs.failed }}
"""


def test_for_each(gemini: FakeGemini, workdir: Path) -> None:
    journal, name = Kept(), written(workdir, EACH)
    done = run(name, {"l": ["a", {"nome": "b"}]}, journal=journal, out_dir=workdir, model=GEMINI)
    outputs = done.outputs or {}
    assert (outputs["n"], outputs["failed"]) == ("<1 b>", 0)
    assert [item["text"] for item in outputs["items"]] == ["<0 a>", "<1 b>"]
    assert sorted(each.path for each in journal.records) == ["cada/0", "cada/1"]
    # One item more: the others are not called again.
    run(name, {"l": ["a", {"nome": "b"}, "c"]}, journal=journal, out_dir=workdir, model=GEMINI)
    assert asked(gemini)[2:] == ["2 c"]


def test_for_each_runs_so_many_at_once(fake_gemini: FakeGemini, workdir: Path) -> None:
    three = threading.Barrier(3, timeout=20)

    def answer(request: Recorded) -> str:
        three.wait()
        return "ok"

    fake_gemini.answer = answer
    done = run(written(workdir, EACH), {"l": "a,b,c,d,e,f"}, out_dir=workdir, model=GEMINI, tries=1)
    assert done.status == "done"
    assert not three.broken


@pytest.mark.parametrize("given", ["", None])
def test_for_each_of_nothing(given: Any, workdir: Path) -> None:
    name = written(workdir, EACH.replace("type: list", "type: list, required: false"))
    done = run(name, {"l": given}, out_dir=workdir)
    assert done.outputs == {"n": None, "items": [], "failed": 0}


def test_a_failure_stops_what_has_not_begun(gemini: FakeGemini, workdir: Path) -> None:
    gemini.fault("unauthorized")
    journal = Kept()
    done = run(written(workdir, CHAIN), {"q": "x"}, journal=journal, out_dir=workdir, model=GEMINI)
    assert done.failure is not None
    assert (done.status, done.outputs, done.failure.code, done.failure.exit_code) == ("failed", None, "auth", 5)
    assert not done.failure.stops
    assert [(each.path, each.status) for each in journal.records] == [("a", "failed")]
    assert len(journal.of("a").attempts) == 1
    # What failed is called again.
    done = run(written(workdir, CHAIN), {"q": "x"}, journal=journal, out_dir=workdir, model=GEMINI)
    assert done.status == "done"


def test_a_failure_that_the_flow_goes_on_after(gemini: FakeGemini, workdir: Path) -> None:
    gemini.fault("unauthorized")
    text = """
        steps:
          - {id: a, prompt: {text: a}, on_fail: continue}
          - {id: b, if: "steps.a.status == 'failed'", prompt: {text: b}}
        outputs:
          {a: "${{ steps.a.outputs.text }}", b: "${{ steps.b.outputs.text }}", status: "${{ steps.a.status }}",
           error: "${{ steps.a.error }}"}
    """
    done = run(written(workdir, text), out_dir=workdir, model=GEMINI)
    outputs = dict(done.outputs or {})
    assert outputs.pop("error")
    assert outputs == {"a": None, "b": "<b>", "status": "failed"}


def test_an_answer_that_does_not_satisfy_its_schema(gemini: FakeGemini, workdir: Path) -> None:
    text = """
        steps:
          - id: a
            prompt: {text: a, schema: {type: object, required: [x], properties: {x: {type: integer}}}}
            on_fail: continue
          - {id: b, if: "steps.a.status == 'failed'", prompt: {text: b}}
        outputs: {raw: "${{ steps.a.outputs.text }}", json: "${{ steps.a.outputs.json }}", b: "${{ steps.b.status }}"}
    """
    gemini.reply_json({"x": "um"})
    journal, name = Kept(), written(workdir, text)
    done = run(name, journal=journal, out_dir=workdir, model=GEMINI)
    assert done.outputs == {"raw": '{"x": "um"}', "json": None, "b": "done"}
    failure = journal.of("a").failure
    assert failure is not None and failure.exit_code == 6 and "$.x" in failure.message
    # It was answered and paid for: it is not called again.
    assert run(name, journal=journal, out_dir=workdir, model=GEMINI).outputs == done.outputs
    assert len(gemini.requests) == 2
    # Where the step stops the flow it is no answer, and a later run asks again.
    stopping = written(workdir, text.replace("on_fail: continue", "on_fail: stop"))
    gemini.reply_json({"x": "um"})
    gemini.reply_json({"x": 1})
    failed = Kept()
    assert run(stopping, journal=failed, out_dir=workdir, model=GEMINI).status == "failed"
    assert (run(stopping, journal=failed, out_dir=workdir, model=GEMINI).outputs or {})["json"] == {"x": 1}


def test_a_cut_answer_fails(gemini: FakeGemini, workdir: Path) -> None:
    gemini.fault("max_tokens")
    done = run(written(workdir, CHAIN), {"q": "x"}, out_dir=workdir, model=GEMINI)
    assert done.failure is not None
    assert (done.failure.code, done.failure.exit_code) == ("truncated", 7)


@pytest.mark.parametrize(
    ("fault", "code", "exit_code"), [("daily_quota", "quota", 8), ("budget", "budget", 9), ("full", "storage", 11)]
)
def test_what_would_befall_the_next_item_stops_the_run(
    fault: str, code: str, exit_code: int, gemini: FakeGemini, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more: dict[str, Any] = {}
    if fault == "daily_quota":
        gemini.always("daily_quota")
    elif fault == "budget":
        more = {"max_cost": 1e-6}
    else:
        monkeypatch.setattr(Kept, "keep", _full)
    # Not even `continue` goes on after it.
    name = written(workdir, CHAIN.replace("prompt:", "on_fail: continue, prompt:"))
    done = run(name, {"q": "x"}, out_dir=workdir, model=GEMINI, **more)
    assert done.failure is not None
    assert (done.failure.code, done.failure.exit_code, done.failure.stops) == (code, exit_code, True)


def _full(self: Kept, record: StepRecord) -> None:
    raise StorageError("the disk is full")


def test_a_stop_request_begins_no_call(gemini: FakeGemini, workdir: Path) -> None:
    journal, name = Kept(), written(workdir, CHAIN)
    journal.stop = lambda: len(gemini.requests) >= 1
    done = run(name, {"q": "x"}, journal=journal, out_dir=workdir, model=GEMINI)
    assert done.failure is not None
    assert (done.failure.code, done.failure.exit_code, done.failure.stops) == ("interrupted", 130, True)
    assert asked(gemini) == ["a x"]
    journal.stop = lambda: False
    assert run(name, {"q": "x"}, journal=journal, out_dir=workdir, model=GEMINI).status == "done"
    assert asked(gemini) == ["a x", "b <a x>"]


def test_what_fails_says_where(workdir: Path) -> None:
    text = """
        inputs: {l: {type: list}}
        steps:
          - {id: cada, for_each: "${{ inputs.l }}", write: {path: "${{ item }}", content: x}}
        outputs: {a: 1}
    """
    done = run(written(workdir, text), {"l": "a,../b"}, out_dir=workdir / "out")
    assert done.failure is not None
    assert done.failure.message == "cada/1: '../b' is no path inside of the output folder"


def test_a_stop_request_within_a_for_each(gemini: FakeGemini, workdir: Path) -> None:
    journal, name = (
        Kept(),
        written(workdir, EACH.replace("concurrency: 3", "concurrency: 1").replace("stop", "continue")),
    )
    journal.stop = lambda: len(gemini.requests) >= 2
    done = run(name, {"l": "a,b,c,d"}, journal=journal, out_dir=workdir, model=GEMINI)
    assert done.failure is not None and done.failure.stops
    assert len(gemini.requests) == 2


def test_values_of_unlike_types_at_run_time(gemini: FakeGemini, workdir: Path) -> None:
    text = """
        inputs: {o: {type: object}}
        steps:
          - {id: a, if: "inputs.o.n > 3", prompt: {text: a}}
        outputs: {a: "${{ steps.a.status }}"}
    """
    name = written(workdir, text)
    assert run(name, {"o": {"n": 4}}, out_dir=workdir, model=GEMINI).outputs == {"a": "done"}
    done = run(name, {"o": {"n": "quatro"}}, out_dir=workdir, model=GEMINI)
    assert done.failure is not None
    assert (done.failure.code, done.failure.exit_code) == ("input", 4)
    assert "compares unlike values" in done.failure.message


def test_a_limit_of_cost_and_the_models_of_a_flow(gemini: FakeGemini, workdir: Path) -> None:
    text = """
        limits: {max_cost_usd: 0.5, rpm: 7, tpm: 900, concurrency: 3}
        defaults: {model: "gemini:da_casa", timeout: 90s, retry: {max_attempts: 2, initial: 10ms}}
        steps:
          - {id: a, prompt: {text: a, options: {temperature: 0.1}}}
          - {id: b, timeout: 5s, retry: {max_attempts: 9}, prompt: {text: b, model: "gemini:do_passo"}}
        outputs: {a: 1}
    """
    loaded = shelf.load(written(workdir, text))
    policies = context(loaded, workdir, model=None, max_cost=2.0).policies
    assert {id: str(policy.route) for id, policy in policies.items()} == {"a": "gemini:da_casa", "b": "gemini:do_passo"}
    assert policies["b"].route.reason == "chosen by step b"
    assert float(policies["a"].max_cost or 0) == 0.5
    assert (policies["a"].own_limits.rpm, policies["a"].own_limits.tpm, policies["a"].concurrency) == (7, 900, 3)
    assert (policies["a"].attempt_timeout, policies["b"].attempt_timeout) == (90, 5)
    assert (policies["a"].retry.max_attempts, policies["a"].retry.initial) == (2, 0.01)
    assert (policies["b"].retry.max_attempts, policies["b"].retry.initial) == (9, 1.0)
    assert policies["a"].asked.temperature == 0.1
    flags = context(loaded, workdir, model="extractive", max_cost=0.1, options={"temperature": "1"}).policies
    assert {str(policy.route) for policy in flags.values()} == {"extractive"}
    assert float(flags["a"].max_cost or 0) == 0.1
    assert flags["a"].asked.temperature == 1


def test_the_audit_names_the_flow_its_step_and_its_item(gemini: FakeGemini, workdir: Path) -> None:
    from gateway_calls import audit

    loaded = shelf.load(written(workdir, CHAIN))
    found = context(loaded, workdir, model=GEMINI)
    runner.run_item(loaded, inputs.read(loaded.flow, {"q": "x"}), found, Kept(), "item-1")
    first, second = audit()
    assert {first["run_id"], second["run_id"]} == {found.run_id}
    assert (first["gemx.step"], second["gemx.step"]) == ("a", "b")
    about = ("gemx.flow", "gemx.flow_path", "gemx.flow_sha256", "gemx.item")
    assert [first[name] for name in about] == ["fluxo", str(workdir / "fluxo.yml"), loaded.sha256, "item-1"]
