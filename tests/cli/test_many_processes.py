"""Eight commands at once: one budget, one queue, one ledger."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fake_gemini import FakeGemini
from gemx import places
from gemx.gateway import budget

PROCESSES = 8
# Ten cents a call: 10,000 tokens out at ten dollars a million, and a prompt that costs nothing.
PRICES = """\
gemx: prices/v1
version: "2026-11-28"
currency: USD
models:
  gemini:gemini-3.8-flash:
    source: a price for this test
    read: 2026-11-28
    rates:
      - {from: 2026-01-01, input: 0, output: 10}
"""
UNTIL_REFUSED = """\
import sys
from gemx.cli.app import main
while (code := main(sys.argv[1:])) == 0:
    pass
sys.exit(code)
"""


def test_one_budget_of_a_dollar_and_calls_of_ten_cents(fake_gemini: FakeGemini, gemx_home: Path) -> None:
    places.ensure_private_dir(places.config_dir())
    places.config_file().write_text(json.dumps({"budget": {"daily": 1.0}}))
    places.prices_file().write_text(PRICES)
    usage = {"promptTokenCount": 5, "candidatesTokenCount": 10_000}
    extra = {"modelVersion": "gemini-3.8-flash", "usageMetadata": usage}
    fake_gemini.always("ok", extra=extra)
    argv = ["gen", "PAM?", "-m", "gemini:gemini-3.8-flash", "-o", "max_output_tokens=10000", "-q"]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", UNTIL_REFUSED, *argv],
            env={**os.environ, "GEMX_HOME": str(gemx_home)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        for _ in range(PROCESSES)
    ]
    ends = [(process.communicate(timeout=120)[1].decode(), process.returncode) for process in started]
    assert [code for _, code in ends] == [9] * PROCESSES, ends
    assert all("the daily cap, $1.00, leaves $0.00" in err for err, _ in ends)
    assert len(fake_gemini.requests) == 10
    assert budget.spent(None).day == 1
    lines = [line for path in (gemx_home / "state/audit").glob("*.jsonl") for line in path.read_text().splitlines()]
    kinds = [json.loads(line)["kind"] for line in lines]
    assert (kinds.count("attempt"), kinds.count("refusal")) == (10, PROCESSES)


@pytest.mark.parametrize("number", [9, 15])
def test_what_a_killed_command_had_reserved_is_free_again(
    number: int, fake_gemini: FakeGemini, gemx_home: Path
) -> None:
    places.ensure_private_dir(places.config_dir())
    places.config_file().write_text(json.dumps({"budget": {"daily": 1.0}}))
    places.prices_file().write_text(PRICES)
    fake_gemini.always("hang")
    argv = ["gen", "PAM?", "-m", "gemini:gemini-3.8-flash", "-o", "max_output_tokens=100000", "-q"]
    with subprocess.Popen(
        [sys.executable, "-m", "gemx", *argv],
        env={**os.environ, "GEMX_HOME": str(gemx_home)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        while not fake_gemini.requests:
            assert process.poll() is None
        assert budget.spent(None).day == 1
        process.send_signal(number)
        process.wait(timeout=20)
    # what was terminated in order may have been billed, and is counted; of what was killed nothing is known
    assert budget.spent(None).day == (0 if number == 9 else 1)
