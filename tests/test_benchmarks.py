"""A short form of the mutation benchmark: a sample of its mutants is caught, and no clean row raises an alarm."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
EVERY = 12


@pytest.fixture(scope="module")
def benchmark() -> Any:
    sys.path.insert(0, str(FOLDER))
    try:
        spec = importlib.util.spec_from_file_location("verification_benchmark", FOLDER / "verification.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        yield module
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
