"""Measure what starting gemx costs beside `python -c "import typer"`, and fail where it is over the target.

Commands take turns in one loop, so that a busy moment of the machine falls on all of them. The target is on the
minima: noise only ever adds time. A completion is what a shell waits for at the tab key, as its own script asks for it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

BASE = 'python -c "import typer"'
TARGETS = {"--version": 1.5, "--help": 3.0}
COMPLETION_TARGET = 1.75
COMPLETION_MS = 150
COMPLETED = (
    ("gen", "-m", "g"),
    ("gen", "-t", ""),
    ("gen", "--profile", ""),
    ("auto", "run", ""),
    ("flow", "run", ""),
    ("config", ""),
)
SHELLS = ("bash", "zsh", "fish")


@dataclass(frozen=True)
class Measured:
    """A command and its environment; `ratio` is how many times the base it may cost."""

    name: str
    command: list[str]
    ratio: float | None = None
    environment: dict[str, str] = field(default_factory=dict)


def commands() -> list[Measured]:
    """What is measured, in the order of the table; the console script where it is installed."""
    script = Path(sysconfig.get_path("scripts")) / "gemx"
    found = [Measured(BASE, [sys.executable, "-c", "import typer"])]
    for flag, ratio in TARGETS.items():
        found.append(Measured(f"python -m gemx {flag}", [sys.executable, "-m", "gemx", flag], ratio))
        if script.exists():
            found.append(Measured(f"gemx {flag}", [str(script), flag], ratio))
    return found + [completion(shell, words) for shell in SHELLS for words in COMPLETED]


def completion(shell: str, words: Sequence[str]) -> Measured:
    """What a shell asks when the tab key is pressed in the last word."""
    line = ["gemx", *words]
    if shell == "bash":
        asked = {"COMP_WORDS": "\n".join(line), "COMP_CWORD": str(len(line) - 1)}
    else:
        asked = {"_TYPER_COMPLETE_ARGS": " ".join(line), "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    name = f"{shell}: {' '.join(line).rstrip()} TAB"
    command = [sys.executable, "-m", "gemx"]
    return Measured(name, command, COMPLETION_TARGET, {"_GEMX_COMPLETE": f"complete_{shell}", **asked})


def measure(measured: Sequence[Measured], runs: int) -> dict[str, list[float]]:
    """The wall times of each command, in milliseconds; the first, cold round is not counted."""
    times: dict[str, list[float]] = {each.name: [] for each in measured}
    with tempfile.TemporaryDirectory() as home:
        for number in range(runs + 1):
            for each in measured:
                environment = {**os.environ, "GEMX_HOME": home, **each.environment}
                started = time.perf_counter()
                subprocess.run(
                    each.command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True
                )
                if number:
                    times[each.name].append((time.perf_counter() - started) * 1000)
    return times


def row(measured: Measured, times: Sequence[float], base: Sequence[float]) -> str:
    """One line of the table."""
    shown = f"{min(times) / min(base):.2f}" if measured.ratio else "1"
    return (
        f"| `{measured.name}` | {min(times):.0f} | {statistics.median(times):.0f} | {shown} | {measured.ratio or ''} |"
    )


def main() -> int:
    """Print the table; 1 where a ratio is over its target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20, metavar="N", help="runs of each command (default: 20)")
    measured = commands()
    times = measure(measured, max(1, parser.parse_args().runs))
    base = times[BASE]
    print("| command | minimum, ms | median, ms | ratio of minima | at most |", "|---|--:|--:|--:|--:|", sep="\n")
    for each in measured:
        print(row(each, times[each.name], base))
    slowest = max(min(times[each.name]) for each in measured if each.environment)
    print(f"\nThe slowest completion takes {slowest:.0f} ms; under {COMPLETION_MS} ms is what it is for.")
    over = [each.name for each in measured if each.ratio and min(times[each.name]) > each.ratio * min(base)]
    for name in over:
        print(f"{name} is over its target", file=sys.stderr)
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
