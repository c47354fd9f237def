"""What whole processes of gemx cost beside those of `llm`, in the same run: start-up, a list, a prompt.

Both ask one server on the loopback, which streams an answer with pauses, and take turns: a busy moment falls on both.
Each has a home of its own, and keeps what it keeps by default: llm its log, gemx its history and its audit.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fake_openai import USAGE, FakeOpenAI, chunk
from loopback import Exchange

GEMX = Path(sys.executable).with_name("gemx")
PIECES = 20
PAUSE = 0.02
TEMPLATES = len(list((Path(__file__).parents[1] / "templates").glob("*.yaml")))
PROMPT = "Em uma frase, o que é lactato?"
WORDS = "Lactato é o ânion do ácido láctico, que sobe quando falta oxigênio aos tecidos. "


@dataclass(frozen=True)
class Row:
    """One thing that both do, and the command line of each."""

    name: str
    gemx: list[str]
    llm: list[str]
    streams: bool = False


ROWS = (
    Row("`--version`", ["--version"], ["--version"]),
    Row("`templates list`", ["templates", "list"], ["templates", "list"]),
    Row("a prompt", ["gen", "-m", "openai:peer", PROMPT], ["-m", "peer", PROMPT], streams=True),
    Row(
        "a prompt, nothing kept",
        ["gen", "-m", "openai:peer", "--no-history", PROMPT],
        ["-m", "peer", "--no-log", PROMPT],
        streams=True,
    ),
)


class Streaming(FakeOpenAI):
    """Streams every answer in pieces, each after a pause."""

    def default(self, exchange: Exchange) -> None:
        """One answer."""
        exchange.start()
        for _ in range(PIECES):
            time.sleep(PAUSE)
            exchange.event(chunk(WORDS))
        exchange.event(chunk(None, "stop"))
        exchange.event({"id": "chat-1", "model": "peer", "choices": [], "usage": USAGE})
        exchange.event("[DONE]")
        exchange.finish()


@dataclass(frozen=True)
class Times:
    """Milliseconds from the start of a process to its first byte on stdout, and to its end."""

    first: float
    end: float


def timed(command: Sequence[str], environment: dict[str, str]) -> Times:
    """Run a command, with nothing on its stdin, to its end."""
    started = time.perf_counter()
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
    ) as process:
        assert process.stdout
        said = process.stdout.read(1)
        first = time.perf_counter() - started
        said += process.stdout.read()
        process.wait()
        end = time.perf_counter() - started
    if process.returncode or not said.strip():
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode} and {len(said)} bytes")
    return Times(first * 1000, end * 1000)


def prepare(home: Path, url: str) -> dict[str, str]:
    """Give both a home with the server as a model, and llm as many templates as gemx has; the environment of both."""
    (home / "llm" / "templates").mkdir(parents=True)
    model = {"model_id": "peer", "model_name": "peer", "api_base": url}
    (home / "llm" / "extra-openai-models.yaml").write_text(json.dumps([model]))
    (home / "gemx" / "config").mkdir(parents=True)
    config = {"endpoints": {"peer": {"base_url": url, "model": "peer"}}}
    (home / "gemx" / "config" / "config.json").write_text(json.dumps(config))
    for number in range(TEMPLATES):
        (home / "llm" / "templates" / f"t{number}.yaml").write_text('prompt: "Resuma: $input"\n')
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
    return {**kept, "HOME": str(home), "LLM_USER_PATH": str(home / "llm"), "GEMX_HOME": str(home / "gemx")}


def measure(llm: str, runs: int) -> dict[str, dict[str, list[Times]]]:
    """The times of each row by program; the first, cold round is not counted."""
    found: dict[str, dict[str, list[Times]]] = {row.name: {"gemx": [], "llm": []} for row in ROWS}
    with tempfile.TemporaryDirectory() as home, Streaming() as server:
        environment = prepare(Path(home), server.endpoint_url)
        for number in range(runs + 1):
            for row in ROWS:
                for program, command in (("gemx", [str(GEMX), *row.gemx]), ("llm", [llm, *row.llm])):
                    times = timed(command, environment)
                    if number:
                        found[row.name][program].append(times)
    return found


def lines(row: Row, found: dict[str, list[Times]]) -> list[str]:
    """The lines of the table of one row: to the end, and where it streams to the first byte before that."""
    ends: dict[str, Callable[[Times], float]] = {"end": lambda times: times.end}
    if row.streams:
        ends = {"first byte": lambda times: times.first, **ends}
    return [line(f"{row.name}, to the {name}", found, of) for name, of in ends.items()]


def line(name: str, found: dict[str, list[Times]], of: Callable[[Times], float]) -> str:
    """One line: minimum and median of both, and the ratio of the minima."""
    gemx, llm = ([of(times) for times in found[program]] for program in ("gemx", "llm"))
    cells = [*(f"{value:.0f}" for each in (gemx, llm) for value in (min(each), statistics.median(each)))]
    return f"| {' | '.join([name, *cells, f'{min(gemx) / min(llm):.2f}'])} |"


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--llm", required=True, metavar="PATH", help="the llm executable, of an environment of its own")
    parser.add_argument("--runs", type=int, default=20, metavar="N", help="runs of each command (default: 20)")
    given = parser.parse_args()
    found = measure(given.llm, max(1, given.runs))
    for program in (str(GEMX), given.llm):
        print(subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip())
    print(f"the answer: {PIECES} pieces, {PAUSE * 1000:.0f} ms before each\n")
    print(
        "| | gemx minimum, ms | median | llm minimum, ms | median | ratio of minima |",
        "|---|--:|--:|--:|--:|--:|",
        sep="\n",
    )
    for row in ROWS:
        print(*lines(row, found[row.name]), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
