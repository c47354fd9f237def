"""Short forms of the benchmarks: a sample of mutants is caught, no clean row raises an alarm, and the clocks run."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
EVERY = 12


def _loaded(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"{name}_benchmark", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def benchmark() -> Any:
    sys.path.insert(0, str(FOLDER))
    try:
        yield _loaded("verification")
    finally:
        sys.path.remove(str(FOLDER))


def test_no_clean_row_raises_an_alarm_and_the_mutants_of_a_sample_are_caught(benchmark: Any) -> None:
    missed: list[str] = []
    found = benchmark.measure(missed, every=EVERY)
    assert found.cases >= 60
    assert found.alarms == 0, [line for line in missed if line.startswith("ALARM")]
    mutants = sum(score.mutants for score in found.scores.values())
    caught = sum(score.caught for score in found.scores.values())
    assert mutants >= 1000
    assert set(found.scores) == set(benchmark.CAUGHT_BY)
    assert caught / mutants >= 0.99, missed


def test_the_errors_of_published_tables_are_caught_and_the_right_ones_are_not_refused(benchmark: Any) -> None:
    caught, refused = 0, []
    for entry, found in benchmark.published():
        errors = [each for each in found if each.severity == "error" and each.code != "field.missing"]
        if entry["kind"]:
            caught += bool(errors)
        elif errors:
            refused.append((entry["id"], errors))
    assert refused == []
    assert caught >= 15


def test_the_rows_and_mutants_know_nothing_of_gemx() -> None:
    for name in ("variations.py", "mutations.py", "arithmetic.py", "facts.py"):
        assert "gemx" not in [
            line.split()[1]
            for line in (FOLDER / name).read_text().splitlines()
            if line.startswith(("import ", "from "))
        ]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize(("words", "name"), [(("gen", "-t", ""), "evolucao"), (("gen", "-m", "g"), "gguf")])
def test_what_is_measured_of_a_completion_is_a_completion(shell: str, words: tuple[str, ...], name: str) -> None:
    measured = _loaded("startup").completion(shell, words)
    done = subprocess.run(
        measured.command, env={**os.environ, **measured.environment}, capture_output=True, text=True, check=True
    )
    assert name in done.stdout


def test_gemx_and_its_peer_are_timed_in_turns(tmp_path: Path) -> None:
    peer = tmp_path / "llm"
    peer.write_text(f"#!{sys.executable}\nprint('a peer')\n")
    peer.chmod(0o700)
    command = [sys.executable, str(FOLDER / "peer_llm.py"), "--llm", str(peer), "--runs", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = dict(re.findall(r"^\| ([^|]+) \| (\d+) \|", done.stdout, re.MULTILINE))
    assert len(rows) == 6
    # the answer is shown as it comes: its first piece long before the pauses are over
    assert int(rows["a prompt, to the end"]) - int(rows["a prompt, to the first byte"]) > 300


def test_a_peer_that_fails_is_no_fast_peer(tmp_path: Path) -> None:
    command = [sys.executable, str(FOLDER / "peer_llm.py"), "--llm", "/bin/false", "--runs", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "ended with 1" in done.stderr
