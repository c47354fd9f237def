"""What the door adds to a call: guard, budget, limits, price and audit, against the bare provider in the same run.

Both ask a Gemini on the loopback that answers at once, in turns, since noise only ever adds time. A real answer takes
seconds, of which what is measured here is the part that gemx makes longer.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fake_gemini import FakeGemini
from gemx import gateway, settings
from gemx.documents import Text
from gemx.gateway import Message, Options, Origin, Request
from gemx.providers.gemini import Gemini

MODEL = "gemini-3.8-flash"
NOTE = "Paciente de 64 anos, PAM 57 mmHg, lactato 4,6 mmol/L, noradrenalina 0,1 mcg/kg/min às 14:35. "
CONFIGS = {
    "the door": "{}",
    "and caps": '{"budget": {"daily": 1000}}',
    "and limits": '{"budget": {"daily": 1000}, "limits": {"gemini": {"rpm": 1000000, "tpm": 1000000000}}}',
}


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--size", type=int, default=4000, help="characters of the prompt")
    given = parser.parse_args()
    request = Request((Message("user", (Text((NOTE * given.size)[: given.size]),)),), Origin("gen", "benchmark"))
    with tempfile.TemporaryDirectory() as home, FakeGemini() as server:
        os.environ |= {"GEMX_HOME": home, "GOOGLE_GEMINI_BASE_URL": server.url, "GEMINI_API_KEY": "AIza-benchmark"}
        usage = {"promptTokenCount": 1000, "candidatesTokenCount": 100}
        server.always("ok", extra={"modelVersion": MODEL, "usageMetadata": usage})
        ways = {"the bare provider": _bare(request), **{name: _door(request, text) for name, text in CONFIGS.items()}}
        times = {name: [] for name in ways}
        for _ in range(given.runs):
            for name, way in ways.items():
                started = time.perf_counter()
                way()
                times[name].append((time.perf_counter() - started) * 1000)
    least = min(times["the bare provider"])
    print(f"{given.runs} calls each, a prompt of {given.size} characters\n")
    print("| call | minimum, ms | median, ms | minimum more than bare, ms |\n|---|--:|--:|--:|")
    for name, found in times.items():
        print(f"| {name} | {min(found):.1f} | {statistics.median(found):.1f} | {min(found) - least:.1f} |")
    return 0


def _bare(request: Request) -> Callable[[], object]:
    provider = Gemini(os.environ["GEMINI_API_KEY"])
    return lambda: provider.generate(request, MODEL, Options(timeout=60))


def _door(request: Request, config: str) -> Callable[[], object]:
    path = Path(os.environ["GEMX_HOME"]) / "config" / "config.json"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_text(config)
    found = settings.load()
    return lambda: gateway.call(request, gateway.make(found, model=f"gemini:{MODEL}"))


if __name__ == "__main__":
    sys.exit(main())
