"""Measure what starting gemx costs beside `python -c "import typer"`, and fail where it is over the target.

Commands take turns in one loop, so that a busy moment of the machine falls on all of them. The target is on the
minima: noise only ever adds time.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import sysconfig
import time
from collections.abc import Sequence
from pathlib import Path

BASE = 'python -c "import typer"'
TARGETS = {"--version": 1.5, "--help": 3.0}


def commands() -> dict[str, list[str]]:
    """What is measured, by the name in the table; the console script where it is installed."""
    script = Path(sysconfig.get_path("scripts")) / "gemx"
    found = {BASE: [sys.executable, "-c", "import typer"]}
    for flag in TARGETS:
        found[f"python -m gemx {flag}"] = [sys.executable, "-m", "gemx", flag]
        if script.exists():
            found[f"gemx {flag}"] = [str(script), flag]
    return found


def measure(measured: dict[str, list[str]], runs: int) -> dict[str, list[float]]:
    """The wall times of each command, in milliseconds; the first, cold round is not counted."""
    times: dict[str, list[float]] = {name: [] for name in measured}
    for number in range(runs + 1):
        for name, command in measured.items():
            started = time.perf_counter()
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
            if number:
                times[name].append((time.perf_counter() - started) * 1000)
    return times


def target(name: str) -> float | None:
    """The highest ratio of minima that is accepted; None for the base."""
    return next((ratio for flag, ratio in TARGETS.items() if name.endswith(flag)), None)


def row(name: str, times: Sequence[float], base: Sequence[float]) -> str:
    """One line of the table."""
    ratio, wanted = min(times) / min(base), target(name)
    shown = f"{ratio:.2f}" if wanted else "1"
    return f"| `{name}` | {min(times):.0f} | {statistics.median(times):.0f} | {shown} | {wanted or ''} |"


def main() -> int:
    """Print the table; 1 where a ratio is over its target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20, metavar="N", help="runs of each command (default: 20)")
    times = measure(commands(), max(1, parser.parse_args().runs))
    base = times[BASE]
    print("| command | minimum, ms | median, ms | ratio of minima | at most |", "|---|--:|--:|--:|--:|", sep="\n")
    for name, measured in times.items():
        print(row(name, measured, base))
    over = [name for name, measured in times.items() if (wanted := target(name)) and min(measured) > wanted * min(base)]
    for name in over:
        print(f"{name} is over its target", file=sys.stderr)
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
