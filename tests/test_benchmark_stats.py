"""Short forms of the benchmark of statistics: its log is one as the writer writes it, and it measures what it says."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gemx import places
from gemx.audit import chain

BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "stats.py"


@pytest.fixture(scope="module")
def benchmark() -> Any:
    spec = importlib.util.spec_from_file_location("stats_benchmark", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_its_log_is_a_chain_of_records_that_are_counted(benchmark: Any, run_gemx: Callable[..., Any]) -> None:
    benchmark.write_log(places.audit_dir(), 3000, days=3)
    report = chain.verify()
    assert (report.records, report.files, report.breaks) == (3000, 3, ())
    data = run_gemx("stats", "summary", "--json").json["data"]
    assert (data["lines"], data["passed_over"], data["others"]) == (3000, 0, 0)
    assert 0 < data["messages"] < data["calls"] < 3000
    assert data["calls"] + data["answers"] == 3000
    assert data["unpriced"] and data["failed"] and data["retries"] and data["cost_usd"]


def test_a_process_is_measured_with_its_children(benchmark: Any) -> None:
    fill = "x = bytearray(60_000_000); import time; time.sleep(0.3)"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', '{fill}'], check=True); print('done')"
    took = benchmark.took([sys.executable, "-c", child], {})
    assert took.out == "done\n"
    assert took.memory > 50
    assert took.wall >= 0.3
