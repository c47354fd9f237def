"""The benchmark of batches runs: a short form of it, whose figures say nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "batch.py"
SHORT = ("--memory-items", "0", "--speed-items", "20", "--cpu-items", "10", "--delay", "0.01", "--concurrency", "4")


def test_every_figure_is_there() -> None:
    environment = {"PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *SHORT], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    figures = [float(line.split("|")[2]) for line in done.stdout.splitlines()[2:]]
    assert len(figures) == 6
    # what so few items take beyond the start may come out below nought
    assert all(figure > 0 for figure in figures[:3])
