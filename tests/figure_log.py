"""Audit logs to take figures of: records as the writer writes them, of any day, and a plain way of adding them up."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from gemx import places

Record = dict[str, Any]

DAMAGED = (
    b"",
    b" ",
    b"{",
    b"[]",
    b"null",
    b'"text"',
    b"12",
    b"{}",
    b'{"timestamp":"2026-11-20T10:00:00Z","model":"gemini","tokens":12}',
    b"2026-11-20 10:00:00 INFO started",
    b"\x00\x01\x02\xff\xfe",
    b'{"v":1,"seq":1,"time":"2026-11-20T10:00:00.000Z","kind":"attempt"}{"v":1}',
    b'{"v":1,"seq":1,"time":"2026-11-20T10:00:00.000Z","kind":"attempt","gemx.step":"a\xffb"}',
    b'{"v":1,"seq":1,"time":"2026-11-20T10:00:00.000Z","kind":"attempt","gemx.cost_usd":"free"}',
    b'{"v":1,"seq":1,"time":"2026-11-20T10:00:00.000Z","kind":"attempt","gemx.cost_usd":-1}',
    b'{"v":1,"seq":1,"time":"2026-11-20T10:00:00.000Z","kind":"attempt","gemx.cost_usd":NaN}',
    b'{"v":1,"seq":1,"time":"2026-11-20T10:00:00.000Z","kind":"attempt","gen_ai.usage.input_tokens":1e300}',
    b'{"v":1,"seq":1,"time":"yesterday","kind":"attempt"}',
    b'{"v":1,"seq":1,"time":"2026-11-20T10:00:00","kind":"attempt"}',
    b'{"v":2,"seq":1,"time":"2026-11-20T10:00:00.000Z","kind":"attempt"}',
    b'{"v":1,"seq":1,"kind":"attempt"}',
    b'{"v":1,"seq":1,"time":"2026-11-20T10:00:00.000Z","kind":12}',
    b"[" * 5000,
)
WORK = (("gen", None, None), ("auto run", "sepse_bundle", None), ("flow run", "ira_aki", "evolucao"))
MODELS = (("gemini", "gemini-3.8-flash"), ("gguf", "pequeno.gguf"), ("extractive", "extractive"))


def attempt(time: datetime | str, **changes: Any) -> Record:
    """A call that was answered; a change of None takes a field out, and `__` in a name stands for a dot."""
    return _record(
        time,
        {
            "kind": "attempt",
            "run_id": "20261120T100000-aaaaaa",
            "command": "gen",
            "subject": None,
            "gen_ai.request.model": "gemini-3.8-flash",
            "gen_ai.response.model": "gemini-3.8-flash",
            "gen_ai.usage.input_tokens": 1000,
            "gen_ai.usage.output_tokens": 100,
            "gen_ai.response.time_to_first_chunk": 0.5,
            "gemx.status": "ok",
            "gemx.duration": 2.0,
            "gemx.try": 1,
            "gemx.route": "gemini",
            "gemx.cost_usd": 0.01,
            "gemx.price_table": "2026-11-01",
            "gemx.user": "ana",
        },
        changes,
    )


def failure(time: datetime | str, code: str = "timeout", **changes: Any) -> Record:
    """A call that failed, of which nobody knows whether it is billed."""
    nothing = dict.fromkeys(("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", "gemx.cost_usd"))
    return attempt(time, **{"error.type": code, "gen_ai.response.time_to_first_chunk": None, **nothing, **changes})


def refusal(time: datetime | str, code: str = "budget", **changes: Any) -> Record:
    """A call that the door refused."""
    return failure(time, code, **{"kind": "refusal", **changes})


def result(time: datetime | str, *found: str, **changes: Any) -> Record:
    """A verification; each finding as `severity code`."""
    findings = [dict(zip(("severity", "code"), each.split(), strict=True)) | {"path": "resumo"} for each in found]
    fields = {
        "kind": "result",
        "run_id": "20261120T100000-aaaaaa",
        "command": "auto run",
        "gen_ai.response.model": "gemini:gemini-3.8-flash",
        "gemx.automation": "sepse_bundle",
        "gemx.round": 0,
        "gemx.verified": not found,
        "gemx.findings": findings,
        "gemx.user": "ana",
    }
    return _record(time, fields, changes)


def _record(time: datetime | str, fields: Record, changes: Record) -> Record:
    moment = time if isinstance(time, str) else time.astimezone(UTC).isoformat(timespec="milliseconds")
    fields = {**fields, **{name.replace("__", "."): value for name, value in changes.items()}}
    kept = {name: value for name, value in fields.items() if value is not None or name == "subject"}
    return {"v": 1, "seq": 1, "prev": "0" * 64, "time": moment.replace("+00:00", "Z"), **kept}


def line(record: Record) -> bytes:
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace")


def write(lines: Iterable[Record | bytes], day: str | None = None, folder: Path | None = None) -> Path:
    """Write the file of a day, that of the first record where none is named."""
    made = [each if isinstance(each, bytes) else line(each) for each in lines]
    path = (folder or places.ensure_private_dir(places.audit_dir())) / f"audit-{day or _day(made)}.jsonl"
    path.write_bytes(b"".join(each + b"\n" for each in made))
    return path


def _day(lines: Sequence[bytes]) -> str:
    return json.loads(lines[0])["time"][:10]


def mixed(count: int, start: datetime, seed: int = 5) -> Iterator[Record]:
    """So many records of every kind, a minute apart or so."""
    chance, moment = random.Random(seed), start
    for number in range(count):
        moment += timedelta(seconds=chance.randint(0, 100))
        command, automation, flow = chance.choice(WORK)
        route, model = chance.choice(MODELS)
        about = {"command": command, "gemx.automation": automation, "gemx.flow": flow, "gemx.user": f"u{number % 3}"}
        about |= {
            "run_id": f"{moment:%Y%m%dT%H%M%S}-{number // 3:06x}",
            "gemx.step": chance.choice([None, "avaliação"]),
        }
        kind = chance.choices(("attempt", "failure", "refusal", "result"), (6, 1, 1, 3))[0]
        called = {**about, "gemx.route": route, "gen_ai.request.model": model}
        if kind == "attempt":
            called |= {
                "gen_ai.usage.input_tokens": chance.randint(1, 5000),
                "gen_ai.usage.output_tokens": chance.randint(0, 900),
                "gen_ai.usage.cache_read.input_tokens": chance.choice([None, 12]),
                "gemx.cost_usd": chance.choice([None, 0.0, round(chance.random(), 9)]),
                "gemx.duration": round(chance.lognormvariate(1, 1), 4),
                "gemx.try": chance.choice([1, 1, 2, 3]),
                "gemx.fallback_from": chance.choice([None, None, "gemini:other"]),
            }
            yield attempt(moment, **called)
        elif kind == "result":
            found = chance.choice(
                [[], [], ["error dose.maximum"], ["warning text.short", "unverifiable renal.unknown"]]
            )
            yield result(moment, *found, **about, **{"gemx.round": chance.choice([0, 0, 1])})
        else:
            yield {"failure": failure, "refusal": refusal}[kind](moment, chance.choice(["timeout", "auth"]), **called)


def added(records: Iterable[Record]) -> dict[str, Any]:
    """What records add up to, the plain way; the names are those of Total."""
    found = [*records]
    calls = [each for each in found if each["kind"] == "attempt"]
    answers = [each for each in found if each["kind"] == "result"]
    costs = [each["gemx.cost_usd"] for each in calls if "gemx.cost_usd" in each]

    def total(name: str) -> int:
        return sum(each.get(f"gen_ai.usage.{name}", 0) for each in calls)

    return {
        "calls": len(calls),
        "messages": len({(each["run_id"], each.get("gemx.item")) for each in calls}),
        "input_tokens": total("input_tokens"),
        "cached_tokens": total("cache_read.input_tokens"),
        "output_tokens": total("output_tokens"),
        "unpriced": len(calls) - len(costs),
        "dollars": round(sum(costs), 6),
        "retries": sum(each["gemx.try"] > 1 for each in calls),
        "fallbacks": sum("gemx.fallback_from" in each for each in calls),
        "failures": Counter(each["error.type"] for each in calls if "error.type" in each),
        "refusals": Counter(each["error.type"] for each in found if each["kind"] == "refusal"),
        "answers": sum(each["gemx.round"] == 0 for each in answers),
        "repairs": sum(each["gemx.round"] > 0 for each in answers),
        "verified": sum(each["gemx.verified"] for each in answers),
        "findings": Counter(f"{of['severity']} {of['code']}" for each in answers for of in each["gemx.findings"]),
        "times": sorted(each["gemx.duration"] for each in calls if "error.type" not in each),
    }
