"""The command reference is what the commands say of themselves, and every one of them says something."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from gemx.cli import tree
from gemx.cli.app import app

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "docs" / "generate_commands.py"


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_commands", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATOR = _script()
COMMANDS: dict[str, Any] = dict(GENERATOR.walk(tree.whole(app)))


def _run(script: Path, *arguments: str, width: str = "80") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": width, "TERMINAL_WIDTH": width}
    command = [sys.executable, str(script), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_reference_is_up_to_date() -> None:
    done = _run(SCRIPT, "--check")
    assert done.returncode == 0, done.stderr


def test_a_stale_reference_is_noticed_and_written_anew_the_same_at_any_width(tmp_path: Path) -> None:
    script = tmp_path / SCRIPT.name
    shutil.copy(SCRIPT, script)
    assert _run(script, "--check").returncode == 1
    pages = []
    for width in ("20", "300"):
        assert _run(script, width=width).returncode == 0
        pages.append((tmp_path / "commands.md").read_text(encoding="utf-8"))
    assert pages[0] == pages[1]
    assert _run(script, "--check").returncode == 0
    (tmp_path / "commands.md").write_text("old", encoding="utf-8")
    done = _run(script, "--check")
    assert done.returncode == 1
    assert "stale" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("path", COMMANDS)
def test_a_command_has_help_and_so_has_all_that_it_takes(path: str) -> None:
    command = COMMANDS[path]
    assert (command.help or "").strip(), f"{path} has no help"
    for parameter in command.params:
        assert (parameter.help or "").strip(), f"{path}: {parameter.name} has no help"


@pytest.mark.parametrize("path", [path for path, command in COMMANDS.items() if not command.hidden])
def test_a_command_stands_in_the_reference_with_all_its_options(path: str) -> None:
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    _, _, section = page.partition(f"\n## {path}\n")
    section = section.partition("\n## ")[0]
    assert section
    for parameter in COMMANDS[path].params:
        names = parameter.opts if parameter.param_type_name == "option" else []
        assert all(name in section for name in names)


@pytest.mark.parametrize("path", COMMANDS)
def test_help_is_printed_by_the_command(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    from gemx.cli.app import main

    assert main([*path.split()[1:], "--help"]) == 0
    assert "Usage: " + path in capsys.readouterr().out
