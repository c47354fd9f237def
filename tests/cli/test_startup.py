"""What each command imports: start-up is a feature, and a library is loaded by the command that uses it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fake_openai import FakeOpenAI
from gemx.cli import tree

ROOT = Path(__file__).parents[2]
TERMINALS = ("questionary", "prompt_toolkit")
HEAVY = ("google.genai", "llama_cpp", "llguidance", "numpy", *TERMINALS, "sqlite_utils", "httpx", "openai", "msgspec")
PATIENT = [f"-i{pair}" for pair in ("idade=64", "sexo=M", "peso=70", "pas=82", "pad=44", "lactato=4,6")]
RUN = ["auto", "run", "sepse_bundle", *PATIENT, "-m", "extractive"]
VERIFY = ["auto", "verify", "answer.json", "--automation", "sepse_bundle", *PATIENT]
HISTORY = {"sqlite_utils"}

# The command line, and what it must not import beside the heavy ones.
COMMANDS = {
    "version": (["--version"], ("rich", "pydantic", "yaml", "jinja2", "jsonschema")),
    "help": (["--help"], ("pydantic", "yaml", "jinja2", "jsonschema")),
    "auto help": (["auto", "--help"], ("yaml", "jinja2", "jsonschema")),
    "gen help": (["gen", "--help"], ("yaml", "jinja2", "jsonschema")),
    "a wrong command": (["nada"], ("yaml", "jinja2", "jsonschema")),
    "list": (["auto", "list"], ("rich", "jsonschema")),
    "show": (["auto", "show", "sepse_bundle"], ("rich", "jsonschema")),
    "validate": (["auto", "validate"], ("rich", "jsonschema")),
    "schema": (["auto", "schema"], ("rich", "jsonschema")),
    "run": ([*RUN, "--format", "text"], ("rich", "jsonschema")),
    "run without history": ([*RUN, "--no-history"], ("rich", "jsonschema")),
    "dry run": ([*RUN, "--dry-run"], ("rich", "jsonschema")),
    "run in JSON": ([*RUN, "--json"], ("rich", "jsonschema")),
    "verify": (VERIFY, ("rich", "jsonschema")),
    "verify without history": ([*VERIFY, "--no-history"], ("rich", "jsonschema")),
    "note": (["auto", "note", "nada"], ("rich", "jsonschema")),
    "drugs": (["auto", "drugs", "noradrenalina"], ("rich", "jinja2", "jsonschema", "sqlite3")),
    "rules": (["auto", "rules"], ("rich", "jinja2", "jsonschema", "sqlite3")),
    "set-key": (["config", "set-key", "gemini", "--remove"], ("rich", "jsonschema", "keyring", "jinja2", "sqlite3")),
    "config list": (["config", "list"], ("rich", "jsonschema", "keyring", "jinja2", "sqlite3")),
    "config set": (["config", "set", "timeout", "9"], ("rich", "jsonschema", "keyring", "jinja2", "sqlite3")),
    "config schema": (["config", "schema"], ("rich", "jsonschema", "keyring", "jinja2", "sqlite3")),
    "profiles list": (["profiles", "list"], ("rich", "jsonschema", "keyring", "jinja2", "sqlite3")),
    "gen": (["gen", "-m", "extractive", "pergunta"], ("rich", "jsonschema", "jinja2")),
    "gen without history": (["gen", "-m", "extractive", "pergunta", "--no-history"], ("rich", "jsonschema", "jinja2")),
    "chat without a terminal": (["chat"], ("rich", "yaml", "jinja2", "jsonschema", "sqlite3")),
    "history list": (["history", "list"], ("rich", "jsonschema", "jinja2")),
    "stats help": (["stats", "--help"], ("yaml", "jinja2", "jsonschema")),
    "models list": (["models", "list"], ("rich", "jsonschema", "jinja2")),
    "history help": (["history", "--help"], ("yaml", "jinja2", "jsonschema")),
}
KEEP_HISTORY = ("run", "run in JSON", "verify", "gen")
CODES = {"a wrong command": 2, "chat without a terminal": 2, "verify": 6, "verify without history": 6, "note": 3}

SCRIPT = """
import json, os, sys
from gemx.cli.app import main
try:
    code = main(json.loads(os.environ["ARGUMENTS"]))
except SystemExit as exc:
    # what a completion ends with
    code = exc.code
with open(os.environ["REPORT"], "w", encoding="utf-8") as file:
    json.dump({"code": code, "modules": sorted(sys.modules)}, file)
"""


def _imported(arguments: list[str], folder: Path, **asked: str) -> tuple[int, set[str]]:
    """Run one command in a process of its own; its exit code, and every module that it loaded."""
    report = folder / "report.json"
    environment = {
        **os.environ,
        "GEMX_HOME": str(folder / "home"),
        "ARGUMENTS": json.dumps(arguments),
        "REPORT": str(report),
        "PYTHONPATH": str(ROOT / "src"),
        **asked,
    }
    command = [sys.executable, "-c", SCRIPT]
    subprocess.run(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    found = json.loads(report.read_text(encoding="utf-8"))
    return found["code"], set(found["modules"])


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_imports_only_what_it_uses(name: str, tmp_path: Path) -> None:
    arguments, others = COMMANDS[name]
    (tmp_path / "answer.json").write_text("{}")
    code, modules = _imported(arguments, tmp_path)
    assert code == CODES.get(name, 0)
    allowed = HISTORY if name in KEEP_HISTORY else set[str]()
    assert not modules & {*HEAVY, *others} - allowed
    assert ("sqlite_utils" in modules) == (name in KEEP_HISTORY)


def test_the_command_tree_itself_is_light(tmp_path: Path) -> None:
    # What a module imports at its top, every command pays for.
    _, modules = _imported(["--version"], tmp_path)
    core = {name for name in modules if name.startswith("gemx.")}
    assert core <= {"gemx.errors", "gemx.sanitize"} | {name for name in core if name.startswith("gemx.cli")}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize("words", [["gen", "-m", ""], ["gen", "-t", ""], ["auto", "run", ""], ["config", ""], [""]])
def test_a_completion_waits_for_no_library(tmp_path: Path, shell: str, words: list[str]) -> None:
    line = ["gemx", *words]
    asked = {"COMP_WORDS": "\n".join(line), "COMP_CWORD": str(len(line) - 1), "_TYPER_COMPLETE_ARGS": " ".join(line)}
    action = {"_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    code, modules = _imported([], tmp_path, _GEMX_COMPLETE=f"complete_{shell}", **asked, **action)
    assert code == 0
    assert not modules & {*HEAVY, "pydantic", "rich.console", "yaml", "jinja2", "jsonschema", "sqlite3"}
    commands = {name for name in tree.SUMMARIES if f"gemx.cli.{name}" in modules}
    assert words[0] in commands or not words[0]


def test_what_calls_a_server_does_not_load_the_command_line_of_its_library(tmp_path: Path) -> None:
    with FakeOpenAI() as server:
        (tmp_path / "home/config").mkdir(parents=True)
        config = {"endpoints": {"uti": {"base_url": server.endpoint_url, "model": "m"}}}
        (tmp_path / "home/config/config.json").write_text(json.dumps(config))
        code, modules = _imported(["gen", "-m", "openai:uti", "pergunta"], tmp_path)
    assert code == 0
    assert {"httpx", "sqlite_utils"} <= modules
    assert not modules & {"rich", "numpy", "jinja2"}


def test_only_the_command_that_is_named_is_imported(tmp_path: Path) -> None:
    _, modules = _imported(["profiles", "list"], tmp_path)
    assert {name for name in tree.SUMMARIES if f"gemx.cli.{name}" in modules} == {"profiles"}


@pytest.mark.parametrize("name", tree.SUMMARIES)
def test_what_the_help_says_of_a_command_is_what_the_command_says(name: str) -> None:
    assert " ".join(tree.load(name).help.split()).startswith(tree.SUMMARIES[name].rstrip("."))


def test_the_watch_notices_what_is_imported(tmp_path: Path) -> None:
    code, modules = _imported(
        ["auto", "run", "sepse_bundle", *PATIENT, "-m", "extractive", "--format", "rich"], tmp_path
    )
    assert code == 0
    assert {"rich", "pydantic", "yaml"} <= modules
