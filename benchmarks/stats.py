"""What `gemx stats summary` takes over a large audit log, beside DuckDB's `read_json` and jq for the same figures.

Writes records as the writer does, chained, over many days, and starts whole processes in turns: `gemx stats summary`
with no rollups, with rollups, and the others. A busy machine only ever adds time: the minima are compared.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

GEMX = Path(sys.executable).with_name("gemx")
FIRST_DAY = datetime(2026, 10, 1, tzinfo=UTC)
DAYS = 30
SHA = hashlib.sha256(b"an automation").hexdigest()
# How often, what command, automation and flow.
WORK = (
    (40, "auto run", "sepse_bundle", None),
    (25, "auto run", "ira_aki", None),
    (15, "auto batch", "hemorragia_digestiva", None),
    (10, "flow run", "sepse_bundle", "evolucao_diaria"),
    (8, "gen", None, None),
    (2, "chat", None, None),
)
# How often, route, model, dollars of a token in and out, and seconds in the middle.
MODELS: tuple[tuple[int, str, str, float | None, float | None, float], ...] = (
    (60, "gemini", "gemini-3.8-flash", 3e-7, 2.5e-6, 2.4),
    (15, "gemini", "gemini-3.8-pro", 1.25e-6, 1e-5, 7.5),
    (20, "gguf", "qwen3-4b-instruct-q4_k_m.gguf", 0.0, 0.0, 11.0),
    (5, "openai", "uti/sabia-4", None, None, 3.1),
)
USERS = ("cron", "ana", "bruno", "carla")
ERRORS = ("rate_limit", "timeout", "unavailable", "blocked")
FINDINGS = (("dose.above_maximum", "error"), ("citation.missing", "warning"), ("patient.weight", "unverifiable"))


def write_log(folder: Path, records: int, days: int = DAYS, seed: int = 7) -> None:
    """Write day files of so many records together, a chain as the writer's."""
    folder.mkdir(parents=True)
    chance = random.Random(seed)
    made = _records(chance, records, days)
    digest, day, file = "0" * 64, "", None
    for seq in range(1, records + 1):
        moment, record = next(made)
        stamp = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        if stamp[:10] != day:
            day = stamp[:10]
            if file:
                file.close()
            file = (folder / f"audit-{day}.jsonl").open("wb")
        chained = {"v": 1, "seq": seq, "prev": digest, "time": stamp, **record}
        line = json.dumps(chained, ensure_ascii=False, separators=(",", ":")).encode()
        digest = hashlib.sha256(line).hexdigest()
        assert file is not None
        file.write(line + b"\n")
    if file:
        file.close()


def _records(chance: random.Random, records: int, days: int) -> Iterator[tuple[datetime, dict[str, Any]]]:
    """Runs one after the other: each its tries, and of an automation its verification."""
    moment, step = FIRST_DAY, timedelta(days=days) / records
    for number in range(records):
        _, command, automation, flow = chance.choices(WORK, [each[0] for each in WORK])[0]
        run_id = f"{moment:%Y%m%dT%H%M%S}-{number:06x}"
        about = {
            "gemx.automation": automation,
            "gemx.automation_version": automation and "1.0.0",
            "gemx.automation_sha256": automation and SHA,
            "gemx.flow": flow,
            "gemx.step": flow and "avaliar",
        }
        about = {name: value for name, value in about.items() if value is not None}
        own = {"gemx.version": "0.1.0", "gemx.user": chance.choice(USERS), "gemx.pid": 4000 + number % 9000}
        head = {"run_id": run_id, "command": command, "subject": None}
        tries = 1 + (chance.random() < 0.04)
        for count in range(1, tries + 1):
            asked = _call(chance, about, own, count, failed=count < tries or chance.random() < 0.01)
            yield moment, {"kind": "attempt", **head, **asked}
            moment += step
        if automation:
            yield moment, {"kind": "result", **head, **_result(chance, about, own, asked)}
            moment += step


def _call(
    chance: random.Random, about: dict[str, Any], own: dict[str, Any], number: int, *, failed: bool
) -> dict[str, Any]:
    _, route, model, price_in, price_out, middle = chance.choices(MODELS, [each[0] for each in MODELS])[0]
    tokens_in, tokens_out = chance.randint(1800, 6200), chance.randint(150, 1900)
    seconds = chance.lognormvariate(0, 0.5) * middle
    cost = None if price_in is None or price_out is None else price_in * tokens_in + price_out * tokens_out
    answer: dict[str, Any] = {
        "gen_ai.response.model": model,
        "gen_ai.usage.input_tokens": tokens_in,
        "gen_ai.usage.output_tokens": tokens_out,
        "gen_ai.usage.cache_read.input_tokens": tokens_in // 3,
        "gen_ai.usage.reasoning.output_tokens": tokens_out // 4,
        "gen_ai.response.id": f"{chance.getrandbits(88):022x}",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.response.time_to_first_chunk": round(seconds / 4, 4),
    }
    fields = {
        "gen_ai.operation.name": "generate_content",
        "gen_ai.provider.name": "gcp.gemini" if route == "gemini" else route,
        "gen_ai.request.model": model,
        "gen_ai.request.temperature": 0.2,
        "gen_ai.request.stream": False,
        "gen_ai.output.type": "json",
        **({"error.type": chance.choice(ERRORS)} if failed else answer),
        "gemx.status": "error" if failed else "ok",
        "gemx.duration": round(seconds, 4),
        "gemx.try": number,
        "gemx.route": route,
        "gemx.route_reason": "chosen by flag",
        "gemx.fallback_from": "gemini:gemini-3.8-pro" if chance.random() < 0.01 else None,
        "gemx.reach": "machine" if route == "gguf" else "any",
        "gemx.guard": None if route == "gguf" else "block",
        "gemx.cost_usd": 0.0 if failed and cost is not None else cost,
        "gemx.price_table": None if route == "gguf" else "2026-10-01",
        **about,
        **own,
        "gemx.salt": f"{chance.getrandbits(128):032x}",
        "gemx.prompt_hmac": f"{chance.getrandbits(256):064x}",
        "gemx.reply_hmac": None if failed else f"{chance.getrandbits(256):064x}",
    }
    return {name: value for name, value in fields.items() if value is not None}


def _result(chance: random.Random, about: dict[str, Any], own: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    found = [] if chance.random() < 0.9 else [chance.choice(FINDINGS)]
    return {
        "gen_ai.response.model": f"{asked['gemx.route']}:{asked['gen_ai.request.model']}",
        **about,
        "gemx.round": 0,
        "gemx.verified": not found,
        "gemx.checks": ["contract", "citation", "field", "number", "unit", "arithmetic", "quantity", "dose", "text"],
        "gemx.findings": [
            {"code": code, "severity": severity, "path": "farmacoterapia[0]"} for code, severity in found
        ],
        **own,
    }


DUCKDB = """
import json, sys
import duckdb
columns = {
    "kind": "VARCHAR", "time": "VARCHAR", "run_id": "VARCHAR", "gemx.item": "VARCHAR", "command": "VARCHAR",
    "gemx.route": "VARCHAR", "gen_ai.request.model": "VARCHAR", "gemx.automation": "VARCHAR", "error.type": "VARCHAR",
    "gen_ai.usage.input_tokens": "BIGINT", "gen_ai.usage.output_tokens": "BIGINT",
    "gen_ai.usage.cache_read.input_tokens": "BIGINT", "gen_ai.usage.reasoning.output_tokens": "BIGINT",
    "gemx.cost_usd": "DOUBLE", "gemx.duration": "DOUBLE", "gen_ai.response.time_to_first_chunk": "DOUBLE",
    "gemx.try": "BIGINT", "gemx.fallback_from": "VARCHAR", "gemx.round": "BIGINT", "gemx.verified": "BOOLEAN",
    "gemx.price_table": "VARCHAR", "gemx.findings": "STRUCT(code VARCHAR, severity VARCHAR)[]",
}
db = duckdb.connect()
db.execute(
    f"CREATE TEMP TABLE log AS SELECT * FROM read_json('{sys.argv[1]}/audit-*.jsonl', "
    f"format='newline_delimited', columns={json.dumps(columns)})"
)
calls = db.execute('''SELECT count(*), count(DISTINCT run_id), count("error.type"),
    sum("gen_ai.usage.input_tokens"), sum("gen_ai.usage.output_tokens"),
    sum("gen_ai.usage.cache_read.input_tokens"), sum("gen_ai.usage.reasoning.output_tokens"),
    sum("gemx.cost_usd"), count(*) - count("gemx.cost_usd"), count(*) FILTER ("gemx.try" > 1),
    count("gemx.fallback_from"),
    quantile_disc("gemx.duration", [0.5, 0.95, 0.99]) FILTER ("error.type" IS NULL),
    quantile_disc("gen_ai.response.time_to_first_chunk", [0.5, 0.95, 0.99])
    FROM log WHERE kind = 'attempt' ''').fetchone()
answers = db.execute('''SELECT count(*) FILTER ("gemx.round" = 0), count(*) FILTER ("gemx.verified")
    FROM log WHERE kind = 'result' ''').fetchone()
for by in ("time[:10]", '"gemx.route", "gen_ai.request.model"', "command", '"gemx.automation"'):
    db.execute(f'''SELECT {by}, count(*), count("error.type"), sum("gen_ai.usage.input_tokens"),
        sum("gen_ai.usage.output_tokens"), sum("gemx.cost_usd"), count(*) - count("gemx.cost_usd"),
        quantile_disc("gemx.duration", 0.95) FILTER ("error.type" IS NULL)
        FROM log WHERE kind = 'attempt' GROUP BY {by}''').fetchall()
db.execute('''SELECT kind, "error.type", count(*) FROM log WHERE "error.type" IS NOT NULL GROUP BY ALL''').fetchall()
db.execute('''SELECT f.severity, f.code, count(*)
    FROM (SELECT unnest("gemx.findings") AS f FROM log WHERE kind = 'result') GROUP BY ALL''').fetchall()
db.execute('''SELECT DISTINCT "gemx.price_table" FROM log''').fetchall()
print(json.dumps([*calls, *answers]))
"""
# No percentiles: a reduction that gathers a million numbers takes jq many minutes.
JQ = """
reduce inputs as $r ({calls: 0, failed: 0, in: 0, out: 0, cost: 0, unpriced: 0, retries: 0, day: {}, model: {}};
  if $r.kind != "attempt" then . else
  .calls += 1 | .in += ($r["gen_ai.usage.input_tokens"] // 0) | .out += ($r["gen_ai.usage.output_tokens"] // 0)
  | .cost += ($r["gemx.cost_usd"] // 0) | .unpriced += (if $r["gemx.cost_usd"] == null then 1 else 0 end)
  | .failed += (if $r["error.type"] then 1 else 0 end) | .retries += (if $r["gemx.try"] > 1 then 1 else 0 end)
  | .day[$r.time[:10]] += 1 | .model[$r["gen_ai.request.model"]] += 1 end)
"""


@dataclass(frozen=True)
class Took:
    """Seconds of the clock and of the processors, and MB of memory at the peak, of all processes together."""

    wall: float
    cpu: float
    memory: float
    out: str


def took(command: Sequence[str], environment: dict[str, str]) -> Took:
    """Run a command to its end and measure it and its children."""
    before = os.times()
    start = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    peak = [0.0]
    watching = threading.Thread(target=_watch, args=(process.pid, peak), daemon=True)
    watching.start()
    out, _ = process.communicate()
    wall = time.perf_counter() - start
    after = os.times()
    watching.join()
    if process.returncode:
        raise SystemExit(f"{command[0]} ended with exit code {process.returncode}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Took(wall, cpu, peak[0], out)


def _watch(pid: int, peak: list[float]) -> None:
    """The memory of a process and its children, their shared pages counted once, twenty times a second."""
    while (size := _memory(pid)) is not None:
        peak[0] = max(peak[0], size)
        time.sleep(0.05)


def _memory(pid: int) -> float | None:
    try:
        found = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
    except OSError:
        return None
    kilobytes = next((int(line.split()[1]) for line in found.splitlines() if line.startswith("Pss:")), None)
    if kilobytes is None:
        return None
    return kilobytes / 1024 + sum(_memory(int(child)) or 0.0 for child in children)


def main() -> None:
    """Write the log, measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--duckdb", metavar="PYTHON", help="an interpreter that has DuckDB")
    parser.add_argument("--no-jq", action="store_true")
    parser.add_argument("--folder", type=Path, help="keep the log here, and use the one that is there")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        home = arguments.folder or Path(temporary)
        audit = home / "state" / "audit"
        if not audit.exists():
            write_log(audit, arguments.records)
        size = sum(path.stat().st_size for path in audit.glob("audit-*"))
        print(f"{arguments.records:,} records, {size / 1e6:,.0f} MB, {len(list(audit.glob('audit-*')))} days\n")
        _print(_measured(home, arguments))


def _measured(home: Path, arguments: argparse.Namespace) -> dict[str, list[Took]]:
    environment = {**os.environ, "GEMX_HOME": str(home)}
    summary = [str(GEMX), "stats", "summary"]
    ways: dict[str, Callable[[], Took]] = {
        "`gemx stats summary`, with rollups": lambda: took(summary, environment),
        "`gemx stats summary`, cold": lambda: _cold(home, summary, environment),
    }
    audit = home / "state" / "audit"
    if arguments.duckdb:
        ways["DuckDB `read_json`"] = lambda: took([arguments.duckdb, "-c", DUCKDB, str(audit)], environment)
    found: dict[str, list[Took]] = {name: [] for name in ways}
    took(summary, environment)
    for _ in range(arguments.runs):
        for name, way in ways.items():
            found[name].append(way())
    if shutil.which("jq") and not arguments.no_jq:
        files = [str(path) for path in sorted(audit.glob("audit-*"))]
        found["jq, no percentiles (once)"] = [took(["jq", "-n", "-c", JQ, *files], environment)]
    return found


def _cold(home: Path, summary: Sequence[str], environment: dict[str, str]) -> Took:
    shutil.rmtree(home / "cache" / "audit", ignore_errors=True)
    return took(summary, environment)


def _print(found: dict[str, list[Took]]) -> None:
    against = min((each.wall for name, runs in found.items() if "DuckDB" in name for each in runs), default=None)
    print("| | minimum, s | median, s | CPU, s | peak memory, MB | of DuckDB's minimum |")
    print("|---|--:|--:|--:|--:|--:|")
    for name, runs in found.items():
        walls = sorted(each.wall for each in runs)
        share = f"{walls[0] / against:.2f}" if against else ""
        cpu, memory = min(each.cpu for each in runs), max(each.memory for each in runs)
        print(f"| {name} | {walls[0]:.2f} | {walls[len(walls) // 2]:.2f} | {cpu:.2f} | {memory:.0f} | {share} |")


if __name__ == "__main__":
    main()
