"""The layers of the house and the homes of its libraries, as import-linter reads them from pyproject.toml."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "gemx"

# (the file that breaks a contract, the line that breaks it, words of the contract that must be named as broken)
VIOLATIONS = {
    "upwards": ("places.py", "import gemx.library", "only from the layers below"),
    "upwards, inside a function": ("errors.py", "def _late() -> None:\n    import gemx.places", "only from the layers"),
    "sideways, the history": ("history/store.py", "import gemx.audit.record", "only from the layers below"),
    "sideways": ("templates/sandbox.py", "import gemx.audit.record", "only from the layers below"),
    "a module in no layer": ("stray.py", "import gemx.errors", "only from the layers below"),
    "typer": ("settings.py", "import typer", "Typer and questionary"),
    "questionary": ("automation/runner.py", "import questionary", "Typer and questionary"),
    "rich": ("automation/view.py", "from rich.text import Text", "Rich stays"),
    "google": ("gateway/call.py", "from google import genai", "Gemini SDK"),
    "google, in another adapter": ("providers/wire.py", "from google.genai import types", "Gemini SDK"),
    "llama_cpp": ("models/registry.py", "import llama_cpp", "llama.cpp stays"),
    "llguidance": ("providers/extractive.py", "import llguidance", "llama.cpp stays"),
    "sqlite": ("audit/writer.py", "import sqlite3", "SQLite is opened"),
    "keyring": ("keys.py", "import keyring", "The keyring is asked"),
    "httpx": ("conversation/prompt.py", "import httpx", "HTTP stays"),
    "httpx, beside the connection of the models": ("models/download.py", "import httpx", "HTTP stays"),
    "an address, by an automation": ("automation/runner.py", "from gemx import web", "Addresses are fetched"),
    "iterfzf": ("automation/runner.py", "import iterfzf", "Typer and questionary"),
    "prompt_toolkit": ("cli/output.py", "import prompt_toolkit", "line of the chat"),
    "a parser of PDF in the command itself": ("documents/__init__.py", "import pypdf", "in a process of their own"),
    "a provider, past the door": ("automation/runner.py", "from gemx import providers", "by the door alone"),
    "a provider, by a command": ("cli/gen.py", "import gemx.providers.extractive", "by the door alone"),
    "an adapter by another": (
        "providers/gemini.py",
        "from gemx.providers import openai_compatible",
        "do not know each",
    ),
    "the engine by another": ("providers/extractive.py", "from gemx.providers import llama_engine", "engine process"),
}


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache"]
    environment = {**os.environ, "PYTHONPATH": str(root / "src"), "COLUMNS": "200"}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False, timeout=60)


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package and of its contracts, to break."""
    root = tmp_path_factory.mktemp("house")
    shutil.copytree(SOURCE, root / "src" / "gemx", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", root)
    return root


def test_every_contract_is_kept() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


def test_no_import_is_excused() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    assert "ignore_imports" not in repr(settings)
    assert settings["contracts"][0]["exhaustive"] is True


@pytest.mark.parametrize("case", VIOLATIONS)
def test_a_planted_violation_is_caught(house: Path, case: str) -> None:
    name, line, contract = VIOLATIONS[case]
    path = house / "src" / "gemx" / name
    before = path.read_bytes() if path.exists() else None
    path.write_bytes((before or b"") + f"\n{line}\n".encode())
    try:
        done = lint_imports(house)
    finally:
        path.unlink() if before is None else path.write_bytes(before)
    broken = [row for row in done.stdout.splitlines() if row.endswith("BROKEN")]
    assert done.returncode == 1, done.stdout
    assert any(contract in row for row in broken), done.stdout


def test_only_the_public_names_of_typer_are_used() -> None:
    # Typer vendors Click, and the `click` that another package installs is not the same one.
    for path in SOURCE.rglob("*.py"):
        for name in imported(path):
            assert name != "click" and not name.startswith(("click.", "typer._")), f"{path.name} imports {name}"
