"""What a batch costs beside the calls themselves: memory, time against the ideal, and processor time an item.

A Gemini on the loopback, in a process of its own, answers after a delay that is chosen. The processor time is that of
the batch's process, and beside it of a plain loop over the same SDK that keeps, limits and audits nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fake_gemini import FakeGemini
from loopback import Exchange, one_authority

MODEL = "gemini-3.8-flash"
NOTE = "Paciente de 64 anos, PAM 57 mmHg, lactato 4,6 mmol/L. "
ANSWER = "Hipotensão com lactato elevado: choque séptico provável. " * 8
FLOW = f"""\
gemx: flow/v1
inputs: {{n: {{type: integer}}, nota: {{}}}}
steps:
  - id: resumo
    prompt: {{text: "Resuma o caso ${{{{ inputs.n }}}}: ${{{{ inputs.nota }}}}", model: "gemini:{MODEL}"}}
outputs: {{resumo: "${{{{ steps.resumo.outputs.text }}}}"}}
"""


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--memory-items", type=int, default=10_000)
    parser.add_argument("--speed-items", type=int, default=1000)
    parser.add_argument("--cpu-items", type=int, default=300)
    parser.add_argument("--delay", type=float, default=0.2, help="seconds that the server takes")
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--folder", help="where gemx keeps its files: of which disk the syncs are measured")
    parser.add_argument("--serve", type=float, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve is not None:
        return _serve(given.serve)
    tempfile.tempdir = given.folder
    print("| measured | figure |\n|---|--:|")
    if given.speed_items:
        _speed(given.speed_items, given.delay, given.concurrency)
    if given.cpu_items:
        _processor(given.cpu_items, given.concurrency)
    if given.memory_items:
        _memory(given.memory_items, given.concurrency)
    return 0


def _speed(items: int, delay: float, concurrency: int) -> None:
    ideal = items * delay / concurrency
    with _server(delay) as home:
        ended = _batch(home, items, concurrency)
    ratio = ended["seconds"] / ideal
    print(f"| {items} items, {concurrency} at a time, of {delay * 1000:.0f} ms: seconds | {ended['seconds']:.2f} |")
    print(f"| the ideal, without anything but the calls: seconds | {ideal:.2f} |")
    print(f"| ratio | {ratio:.3f} |")


def _processor(items: int, concurrency: int) -> None:
    with _server(0.02) as home:
        loop = _plain_loop(items)
        batch = _cpu_of(partial(_batch, home, items, concurrency)) * 1000 / items
        started = _cpu_of(partial(_batch, home, 1, concurrency)) * 1000
    batch -= started / items
    print(f"| processor time an item, batch: ms | {batch:.1f} |")
    print(f"| processor time an item, a plain loop over google-genai: ms | {loop:.1f} |")
    print(f"| what the batch adds to it: ms | {batch - loop:.1f} |")


def _memory(items: int, concurrency: int) -> None:
    with _server(0.0) as home:
        few = _batch(home, 100, concurrency)["peak_mb"]
        ended = _batch(home, items, concurrency)
    print(f"| peak memory, 100 items: MB | {few:.0f} |")
    print(f"| peak memory, {items} items: MB | {ended['peak_mb']:.0f} |")
    print(f"| items a second, a server that answers at once | {items / ended['seconds']:.0f} |")


def _batch(home: Path, items: int, concurrency: int) -> dict[str, float]:
    """Run a batch in a process of its own; its seconds, and its most memory."""
    folder = home / f"work-{items}-{time.monotonic_ns()}"
    folder.mkdir()
    (folder / "b.yaml").write_text(FLOW)
    with (folder / "items.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps({"n": n, "nota": NOTE * 10}, ensure_ascii=False) + "\n" for n in range(items))
    argv = ["flow", "batch", "./b.yaml", "--items", "items.jsonl", "--out", "out.jsonl", "--json", "-q"]
    argv += ["--concurrency", str(concurrency)]
    code = (
        "import resource, sys; from gemx.cli.app import main; code = main(sys.argv[1:]); "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code, *argv], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    data = json.loads(done.stdout)["data"]
    assert data["done"] == items
    return {"seconds": data["seconds"], "peak_mb": int(done.stderr.split()[-1]) / 1024}


def _cpu_of(work: partial[dict[str, float]]) -> float:
    """Processor seconds of the child processes of some work."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _plain_loop(items: int) -> float:
    """Milliseconds of processor time a call of the SDK takes in a loop."""
    from google import genai
    from google.genai import types

    client = genai.Client(
        api_key="AIza-benchmark", http_options=types.HttpOptions(base_url=os.environ["GOOGLE_GEMINI_BASE_URL"])
    )
    client.models.generate_content(model=MODEL, contents=NOTE)
    started = time.process_time()
    for n in range(items):
        client.models.generate_content(model=MODEL, contents=f"Resuma o caso {n}: {NOTE * 10}")
    return (time.process_time() - started) * 1000 / items


@contextmanager
def _server(delay: float) -> Iterator[Path]:
    """A fake Gemini in a process of its own, and the environment that leads to it; yields a folder."""
    with tempfile.TemporaryDirectory() as name:
        command = [sys.executable, __file__, "--serve", str(delay)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout
            url = server.stdout.readline().strip()
            certificate = one_authority(Path(name) / "one.pem")
            os.environ |= {
                "GEMX_HOME": f"{name}/home",
                "GOOGLE_GEMINI_BASE_URL": url,
                "GEMINI_API_KEY": "AIza-benchmark",
                "SSL_CERT_FILE": str(certificate),
            }
            yield Path(name)
            server.communicate()


def _serve(delay: float) -> int:
    def answer(exchange: Exchange) -> None:
        time.sleep(delay)
        usage = {"promptTokenCount": 200, "candidatesTokenCount": 100}
        original(exchange, text=ANSWER, extra={"modelVersion": MODEL, "usageMetadata": usage})

    from fake_gemini import FAULTS

    original = FAULTS["ok"]
    with FakeGemini() as server:
        server._always = answer
        print(server.url, flush=True)
        sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main())
