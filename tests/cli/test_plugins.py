"""The example plugin, installed for real, and plugins that do harm: in processes of their own, as a user has them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import made_plugins
from conftest import Result, RunGemx
from gateway_calls import audit
from gemx import places, plugins

GEMX = str(Path(sys.executable).with_name("gemx"))
SECONDS = 60
MODULES = """
import json, os, sys
from gemx.cli.app import main
code = main(json.loads(os.environ["ARGUMENTS"]))
print(json.dumps({"code": code, "modules": sorted(sys.modules)}), file=sys.stderr)
"""
INDEX = ("calc", "run", "modified_shock_index", "-i", "heart_rate=114", "-i", "map=57")
BOOM = {"commands": {"boom": "{}:x"}, "providers": {"bang": "{}:x"}, "calculators": {"burst": "{}:x"}}


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder where pip installed the example of the docs."""
    folder = tmp_path_factory.mktemp("installed")
    flags = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--quiet"]
    command = [sys.executable, "-m", "pip", "install", *flags, "--target", str(folder), str(made_plugins.EXAMPLE)]
    subprocess.run(command, check=True, timeout=SECONDS)
    return folder


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A folder for plugins that a test writes."""
    folder = tmp_path / "packages"
    folder.mkdir()
    return folder


Gemx = Callable[..., Result]


@pytest.fixture
def gemx(run_gemx: RunGemx, example: Path, packages: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gemx]:
    """gemx where it finds the example and what the test wrote; nothing of them is left behind."""
    for folder in (example, packages):
        monkeypatch.syspath_prepend(str(folder))
    yield run_gemx
    plugins._loaded.clear()
    for name, module in [*sys.modules.items()]:
        if str(getattr(module, "__file__", "")).startswith((str(example), str(packages))):
            del sys.modules[name]


@pytest.fixture
def process(example: Path, packages: Path) -> Gemx:
    """The same in a process of its own."""

    def run(*argv: str, env: dict[str, str] | None = None, script: str | None = None) -> Result:
        environment = {**os.environ, "PYTHONPATH": f"{packages}:{example}", "COLUMNS": "80", **(env or {})}
        command = [sys.executable, "-c", script] if script else [GEMX, *argv]
        environment["ARGUMENTS"] = json.dumps(argv)
        streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True}
        done = subprocess.run(command, env=environment, timeout=SECONDS, check=False, **streams)
        return Result(done.returncode, done.stdout, done.stderr)

    return run


def made(packages: Path, name: str, offers: dict[str, dict[str, str]], code: str = "") -> None:
    module = name.replace("-", "_")
    filled = {group: {key: value.format(module) for key, value in each.items()} for group, each in offers.items()}
    made_plugins.write(packages, name, filled, code)


def switch_on(*names: str, **settings: Any) -> None:
    places.config_file().parent.mkdir(parents=True, exist_ok=True)
    places.config_file().write_text(json.dumps({"version": 1, "plugins": names, **settings}))


def test_the_example_from_its_installation_to_its_end(process: Gemx) -> None:
    assert process("plugins", "list").out.startswith("off  gemx-example  1.0\n     calculator modified_shock_index\n")
    assert process("hello").code == 2
    on = process("plugins", "enable", "Gemx_Example")
    brought = "calculator modified_shock_index, command hello, flow step shorten, provider echo"
    assert on.out == f"gemx-example 1.0 is enabled: {brought}\n"
    assert "your rights" in on.err
    assert json.loads(places.config_file().read_text())["plugins"] == ["gemx-example"]
    assert process("plugins", "list").out.startswith("on   gemx-example  1.0\n")
    assert process("hello", "Ana").out == "Hello, Ana!\n"
    assert process("hello", "Ana", "--json").json["data"] == {"greeting": "Hello, Ana!"}
    assert process("hello", "--json", "").json["errors"][0]["code"] == "input"
    assert process("gen", "-m", "echo:loud", "oi tudo bem").out == "OI TUDO BEM\n"
    assert "plugin gemx-example 1.0" in " ".join(process(*INDEX).out.split())
    assert process("plugins", "disable", "gemx-example").out == "gemx-example is disabled\n"
    assert process("hello").code == 2


@pytest.mark.parametrize(
    ("argv", "code"), [(("hello",), 2), (("gen", "-m", "echo:plain", "oi"), 2), (INDEX, 3), (("helo",), 2)]
)
def test_what_a_plugin_has_that_is_not_enabled_is_said(gemx: Gemx, argv: tuple[str, ...], code: int) -> None:
    done = gemx(*argv)
    assert done.code == code
    assert ("gemx plugins enable gemx-example" in done.err) == (argv != ("helo",))


def test_help_names_the_commands_without_loading_them(gemx: Gemx, packages: Path) -> None:
    made(packages, "help-only", {"commands": {"helped": "{}:x", "calc": "{}:x"}}, "1/0")
    switch_on("help-only", "gemx-example")
    done = gemx("--help")
    assert done.code == 0
    assert "hello      (plugin gemx-example)" in done.out
    assert "helped     (plugin help-only)" in done.out
    assert done.out.count("│ calc ") == 1
    assert "Division" not in done.err
    assert "Greet somebody." in gemx("hello", "--help").out


def modules(process: Gemx, *argv: str) -> set[str]:
    return set(json.loads(process(*argv, script=MODULES).err.splitlines()[-1])["modules"])


@pytest.mark.parametrize("argv", [("--version",), ("--help",)])
def test_with_no_plugin_enabled_nothing_looks_for_one(process: Gemx, argv: tuple[str, ...]) -> None:
    assert "importlib.metadata" not in modules(process, *argv)


def test_with_one_enabled_gemx_itself_does_not_look_for_it(process: Gemx) -> None:
    switch_on("gemx-example")
    assert "importlib.metadata" not in modules(process, "--version")
    assert "importlib.metadata" in modules(process, "--help")
    for argv in (("--help",), ("calc", "show", "qsofa"), ("gen", "-m", "extractive", "oi"), ("nada",)):
        assert not {name for name in modules(process, *argv) if name.startswith("gemx_example")}
    assert "gemx_example.provider" not in modules(process, "hello")


def test_completion_offers_the_commands_and_is_silent_about_what_is_broken(process: Gemx, packages: Path) -> None:
    made(packages, "broken-tab", BOOM, "1/0")
    switch_on("broken-tab", "gemx-example")
    asked = {"_GEMX_COMPLETE": "complete_bash", "COMP_CWORD": "1", "COMP_WORDS": "gemx he"}
    assert process(env=asked).out.split() == ["hello"]
    broken = process(env={**asked, "COMP_CWORD": "2", "COMP_WORDS": "gemx boom "})
    assert broken.err == ""
    asked |= {"COMP_CWORD": "3", "COMP_WORDS": "gemx gen -m ec"}
    assert process(env=asked).out.split() == ["echo:"]


@pytest.mark.parametrize(
    "code", ["import nowhere_to_be_found", "def (", "raise RuntimeError('x')", "import sys; sys.exit(0)", "x = 3"]
)
def test_a_broken_plugin_costs_its_own_features_and_nothing_else(gemx: Gemx, packages: Path, code: str) -> None:
    made(packages, "gone-wrong", BOOM, code)
    switch_on("gone-wrong", "gemx-example")
    for argv in (("boom",), ("gen", "-m", "bang:m", "oi"), ("calc", "show", "burst")):
        done = gemx(*argv)
        assert (done.code, done.out) == (3, "")
        (line,) = [line for line in done.err.splitlines() if line.startswith("gemx: ")]
        assert "the plugin gone-wrong does not load" in line
        assert "gemx plugins disable gone-wrong" in done.err
    for argv in (("--version",), ("--help",), ("calc", "run", "qsofa"), ("hello",), INDEX, ("auto", "list")):
        done = gemx(*argv)
        assert done.code == 0
        assert "gone-wrong" not in done.err
    listed = gemx("calc", "list")
    assert listed.code == 0
    assert "modified_shock_index" in listed.out
    assert "gone-wrong" in listed.err


def test_list_shows_what_does_not_load_and_what_is_not_there(gemx: Gemx, packages: Path) -> None:
    made(packages, "half-there", {"commands": {"whole": "{}:run", "calc": "{}:run", "gone": "{}:no"}}, "def run(): ''")
    made(packages, "other-half", {"commands": {"whole": "{}:run"}, "providers": {"gemini": "{}:run"}}, "print('off')")
    made(packages, "left-alone", {"commands": {"a": "{}:run"}}, "raise SystemExit('imported')")
    switch_on("half-there", "other-half", "not-installed")
    rows = {row["name"]: row for row in gemx("plugins", "list", "--json").json["data"]["plugins"]}
    assert [*rows] == ["half-there", "other-half", "not-installed", "gemx-example", "left-alone"]
    said = {each["name"]: each["problem"] for each in rows["half-there"]["offers"]}
    assert said["whole"] is None
    assert said["calc"] == "it is not used: gemx has a command of that name"
    assert "has no attribute 'no'" in said["gone"]
    said = {each["name"]: each["problem"] for each in rows["other-half"]["offers"]}
    assert "half-there is enabled before it" in said["whole"]
    assert said["gemini"] == "it is not used: gemx has a provider of that name"
    assert (rows["not-installed"]["installed"], rows["not-installed"]["enabled"]) == (False, True)
    assert rows["left-alone"]["offers"] == [{"kind": "command", "name": "a", "problem": None}]
    text = gemx("plugins", "list").out
    assert "on   half-there     0.1\n" in text
    assert "     command gone: AttributeError" in text
    assert "     it is not installed; with pipx: pipx inject gemx not-installed" in text


def test_foreign_names_cannot_drive_the_terminal(gemx: Gemx, packages: Path) -> None:
    made(packages, "ill-named", {"commands": {"\x1b[31mred": "{}:x", "a b": "{}:x"}})
    switch_on("ill-named")
    for argv in (("plugins", "list"), ("plugins", "list", "--json"), ("--help",), ("plugins", "enable", "ill-named")):
        done = gemx(*argv)
        assert done.code == 0
        assert "\x1b" not in done.out + done.err
    assert "must be lower-case" in gemx("plugins", "list").out


def test_a_command_that_is_nearly_that_of_a_plugin_is_suggested(gemx: Gemx) -> None:
    switch_on("gemx-example")
    done = gemx("helo")
    assert done.code == 2
    assert "No such command 'helo'. Did you mean 'hello' of a plugin?" in done.err
    assert "Did you mean 'calc'?" in gemx("cal").err


def test_gemx_s_own_command_wins(gemx: Gemx, packages: Path) -> None:
    made(packages, "takes-doctor", {"commands": {"calc": "{}:run"}}, "def run(): print('mine')")
    switch_on("takes-doctor")
    done = gemx("calc", "run", "qsofa")
    assert done.code == 0
    assert "mine" not in done.out


FAULTS = """
import sys, typer
app = typer.Typer()

@app.command()
def fails(): raise ValueError("first\\nsecond")
@app.command()
def exits(): raise typer.Exit(7)
@app.command()
def leaves(): sys.exit(9)
@app.command()
def returns(): return 12
@app.command()
def floods():
    for _ in range(200_000): print("text")
"""


@pytest.mark.parametrize(("name", "code"), [("fails", 3), ("exits", 7), ("returns", 12), ("nope", 2)])
def test_how_a_command_of_a_group_ends(gemx: Gemx, packages: Path, name: str, code: int) -> None:
    made(packages, "with-group", {"commands": {"grp": "{}:app"}}, FAULTS)
    switch_on("with-group")
    done = gemx("grp", name)
    assert done.code == code
    if name == "fails":
        assert done.err.startswith("gemx: the plugin with-group failed (command grp): ValueError: first\n")


def test_a_closed_pipe_and_an_exit_are_no_fault_of_a_command(process: Gemx, packages: Path) -> None:
    made(packages, "with-group", {"commands": {"grp": "{}:app"}}, FAULTS)
    switch_on("with-group")
    environment = {**os.environ, "PYTHONPATH": str(packages)}
    line = f"{GEMX} grp floods | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], env=environment, capture_output=True, timeout=SECONDS, check=False)
    assert (done.returncode, done.stderr) == (141, b"")
    assert process("grp", "leaves") == Result(9, "", "")


def test_a_signature_that_typer_cannot_read_is_a_plugin_that_does_not_load(gemx: Gemx, packages: Path) -> None:
    made(
        packages,
        "odd-signature",
        {"commands": {"odd": "{}:run"}},
        "import typer\nfrom typing import Annotated\n"
        "def run(a: Annotated[str, typer.Argument(), typer.Argument()]): ''",
    )
    switch_on("odd-signature")
    done = gemx("odd", "1")
    assert done.code == 3
    assert "the plugin odd-signature does not load" in done.err


def test_the_debug_flag_shows_where_it_happened(gemx: Gemx, packages: Path) -> None:
    made(packages, "shows-where", {"commands": {"boom": "{}:x"}}, "raise RuntimeError('here')")
    switch_on("shows-where")
    done = gemx("boom", "--debug")
    assert done.code == 3
    assert 'shows_where.py", line 1' in done.err


def provider(packages: Path, reach: str = "") -> None:
    made(packages, "made-provider", {"providers": {"made": "{}:Made"}}, made_plugins.PROVIDER.format(reach=reach))


def test_a_call_goes_through_the_whole_door(gemx: Gemx, packages: Path) -> None:
    provider(packages)
    switch_on("made-provider")
    done = gemx("gen", "-m", "made:m", "--json", "oi")
    assert done.code == 0, done.err
    assert done.json["data"]["text"] == "reply to oi"
    assert done.json["data"]["cost_usd"] is None
    (record,) = audit()
    assert (record["gemx.route"], record["gen_ai.request.model"], record["gemx.reach"]) == ("made", "m", "any")
    assert record["gemx.guard"] == "warn"
    assert record["gen_ai.usage.output_tokens"] == 5


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        (("--guard", "block"), 10),
        (("--local-only",), 10),
        (("--max-cost", "1"), 9),
        (("-o", "seed=1"), 5),
        ((), 0),
    ],
)
def test_what_the_door_refuses_it_refuses_a_plugin(
    gemx: Gemx, packages: Path, flags: tuple[str, ...], code: int
) -> None:
    provider(packages)
    switch_on("made-provider")
    assert gemx("gen", "-m", "made:m", *flags, "CPF 529.982.247-25").code == code
    assert len(audit()) == 1


def test_masks_are_put_back_into_what_a_plugin_answers(gemx: Gemx, packages: Path) -> None:
    provider(packages)
    switch_on("made-provider")
    done = gemx("gen", "-m", "made:m", "--guard", "mask", "CPF 529.982.247-25")
    assert done.out == "reply to CPF 529.982.247-25\n"


@pytest.mark.parametrize(("reach", "used"), [("", False), ("reach = 'site'", True)])
def test_an_automation_needs_consent_for_a_provider_that_may_go_anywhere(
    gemx: Gemx, packages: Path, tmp_path: Path, reach: str, used: bool
) -> None:
    provider(packages, reach)
    switch_on("made-provider", model="made:m")
    free = tmp_path / "free.yaml"
    free.write_text("gemx: automation/v1\nid: free\ntitle: Free\nprompt: Avalie.\n")
    done = gemx("auto", "run", str(free))
    assert done.code == 0, done.err
    assert ("made:m (config.json) not used: automations stay off the cloud" in done.err) != used
    assert ("reply to" in done.out) == used


MINI = """\
gemx: automation/v1
id: mini
title: Mini
version: "1"
summary: "IC {{ ic }}"
guideline: {name: X, version: "1", date: "2026-01-01"}
maintenance: {author: t, reviewed: "2026-01-01", next_review: "2099-01-01"}
inputs: [fc, pas, pad]
calculators:
  - {id: mean_arterial_pressure, as: pam, label: PAM, inputs: {sbp: pas, dbp: pad}}
  - {id: modified_shock_index, as: ic, label: Índice, digits: 1, inputs: {heart_rate: fc, map: pam}}
prompt: Avalie.
output: {contract: protocolo/v1}
"""


def test_an_automation_names_the_calculator_of_a_plugin(gemx: Gemx, tmp_path: Path) -> None:
    (tmp_path / "mini.yaml").write_text(MINI)
    wanted = ("auto", "run", str(tmp_path / "mini.yaml"), "-m", "extractive", "--format", "text")
    without = gemx("auto", "validate", str(tmp_path / "mini.yaml"))
    assert without.code == 3
    assert "mini.yaml:11:" in without.err + without.out
    assert "unknown calculator 'modified_shock_index'" in without.err + without.out
    switch_on("gemx-example")
    done = gemx(*wanted, "-i", "fc=114", "-i", "pas=82", "-i", "pad=44")
    assert done.code in (0, 6), done.err
    assert "Índice: 2\n" in done.out
    assert "(plugin gemx-example 1.0)" in done.out


def test_a_configuration_may_name_the_models_of_a_plugin_and_disable_says_what_is_missed(gemx: Gemx) -> None:
    assert gemx("config", "set", "model", "echo:plain").code == 2
    gemx("plugins", "enable", "gemx-example")
    assert gemx("config", "set", "model", "echo:plain").code == 0
    assert gemx("config", "set", "limits.echo.rpm", "60").code == 0
    assert gemx("gen", "oi").out == "oi\n"
    done = gemx("plugins", "disable", "gemx-example")
    assert done.code == 0
    assert "config.json model: unknown provider 'echo'" in done.err
    done = gemx("gen", "oi")
    assert done.code == 3
    assert "gemx plugins enable gemx-example" in done.err


def test_doctor_names_the_enabled_and_what_is_wrong_with_them(gemx: Gemx, packages: Path) -> None:
    made(packages, "gone-wrong", BOOM, "1/0")
    switch_on("gone-wrong", "gemx-example", "not-there")
    checks = [each for each in gemx("doctor", "--offline", "--json").json["data"]["checks"] if each["id"] == "plugin"]
    assert [each["status"] for each in checks] == ["fail", "ok", "warn"]
    assert "ZeroDivisionError" in checks[0]["found"]
    assert "gemx plugins disable gone-wrong" in checks[0]["mend"]
    assert "not-there is enabled and not installed" in checks[2]["found"]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("enable", "gemx-exampel"), "did you mean 'gemx-example'?"),
        (("enable", "pytest"), "offers nothing to gemx"),
        (("disable", "gemx-nothing"), "neither enabled nor installed"),
        (("enable",), "Missing argument"),
    ],
)
def test_a_name_that_is_no_plugin_is_a_usage_error(gemx: Gemx, argv: tuple[str, ...], said: str) -> None:
    done = gemx("plugins", *argv)
    assert done.code == 2
    assert said in done.err
    assert not places.config_file().exists()


def test_enable_keeps_what_the_file_says_and_takes_no_turn_twice(gemx: Gemx) -> None:
    switch_on("gemx-example", timeout=90)
    done = gemx("plugins", "enable", "gemx-example", "--json")
    assert (done.json["data"]["names"], done.json["data"]["changed"]) == (["gemx-example"], False)
    assert json.loads(places.config_file().read_text()) == {"version": 1, "plugins": ["gemx-example"], "timeout": 90}


def test_a_list_that_cannot_be_read_is_not_replaced(gemx: Gemx) -> None:
    places.config_file().parent.mkdir(parents=True)
    places.config_file().write_text('{"version": 1, "plugins": "gemx-example"}')
    for argv in (("plugins", "enable", "gemx-example"), ("plugins", "list"), ("hello",)):
        done = gemx(*argv)
        assert done.code == 3
        assert "config.json:1:" in done.err
    assert gemx("--help").code == 0
    assert places.config_file().read_text() == '{"version": 1, "plugins": "gemx-example"}'


def test_with_nothing_installed_the_list_says_how_to_have_something(run_gemx: RunGemx) -> None:
    done = run_gemx("plugins", "list")
    assert (done.code, done.out) == (0, "")
    assert "pipx inject gemx NAME" in done.err


FAILS = """
def _fail(*_): raise LookupError("x")
Made.generate = _fail
"""


def test_another_model_takes_over_from_a_provider_that_fails(gemx: Gemx, packages: Path) -> None:
    made(packages, "always-fails", {"providers": {"fails": "{}:Made"}}, made_plugins.PROVIDER.format(reach="") + FAILS)
    switch_on("always-fails")
    done = gemx("gen", "-m", "fails:m", "--fallback", "extractive", "oi")
    assert done.code == 0
    assert "fails:m gave no answer (provider: the plugin always-fails failed" in done.err
    assert [record.get("error.type") for record in audit()] == ["provider", None]


FLOW = """\
gemx: flow/v1
inputs: {nota: {}}
steps:
  - id: curta
    uses: NAME
    with: {text: "${{ inputs.nota }}", words: 2}
  - id: longa
    for_each: [1, 3]
    uses: NAME
    with: {text: "${{ inputs.nota }}", words: "${{ item }}"}
outputs: {curta: "${{ steps.curta.outputs.text }}", restam: "${{ steps.curta.outputs.left_out }}",
          longa: "${{ steps.longa.outputs.items.1.text }}"}
"""


def test_a_flow_has_the_steps_of_a_plugin(gemx: Gemx, workdir: Path) -> None:
    Path("f.yaml").write_text(FLOW.replace("NAME", "shorten"))
    asked = ("flow", "run", "./f.yaml", "-i", "nota=um dois três quatro", "--json")
    refused = gemx("flow", "validate", "./f.yaml")
    assert refused.code == 3
    assert "f.yaml:5:11: no enabled plugin has a flow step 'shorten'" in refused.err
    assert gemx("plugins", "enable", "gemx-example").code == 0
    assert gemx("flow", "validate", "./f.yaml").code == 0
    done = gemx(*asked)
    assert done.code == 0, done.err
    assert done.json["data"]["outputs"] == {"curta": "um dois", "restam": 2, "longa": "um dois três"}
    Path("f.yaml").write_text(FLOW.replace("NAME", "shorten").replace("words: 2", "words: 0"))
    wrong = gemx(*asked)
    assert (wrong.code, wrong.json["errors"][0]["code"]) == (4, "input")
    assert "`words` is 0" in wrong.json["errors"][0]["message"]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("x = 1", "expected a function, not int"),
        ("def x(given): return [1]", "expected a mapping of outputs, not list"),
        ("def x(given): return {'a': object()}", "object is no JSON"),
        ("def x(given): return {'a': float('nan')}", "not JSON compliant"),
        ("def x(given): raise SystemExit(0)", "SystemExit: 0"),
        ("raise ImportError('sem biblioteca')", "sem biblioteca"),
    ],
)
def test_a_flow_step_that_fails_names_its_plugin(
    gemx: Gemx, packages: Path, workdir: Path, code: str, said: str
) -> None:
    made_plugins.write(packages, "gemx-mau", {"flow_steps": {"mau": "gemx_mau:x"}}, code)
    assert gemx("plugins", "enable", "gemx-mau").code == 0
    Path("f.yaml").write_text(FLOW.replace("NAME", "mau"))
    done = gemx("flow", "run", "./f.yaml", "-i", "nota=um", "--json")
    assert done.code == 3
    error = done.json["errors"][0]
    assert (error["code"], "gemx-mau" in error["message"]) == ("plugin", True)
    assert said in error["message"]
