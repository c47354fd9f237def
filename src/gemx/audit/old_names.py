"""The names under which other logs say what a record of ours says, and how their values are read. No text is taken."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

_CLEAN = re.compile(r"[\w.:/@+ -]{1,120}")
# A program, or one and what it is to do; what follows may be any text.
_COMMAND = re.compile(r"[\w./@:+-]+|[a-z0-9_./@-]+ [a-z-]{1,20}")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_DAY_FIRST = re.compile(r"(\d\d)/(\d\d)/(\d{4})(.*)")
_SURE = {"ok", "success", "succeeded", "true", "0", "200", "done", "sucesso", "stop"}
_DEEPEST = 4
_MILLISECONDS = 100_000_000_000
_LATEST = 4_102_444_800  # 2100


@dataclass(frozen=True)
class Target:
    """A field of ours, what reads a value, None where it cannot be read, and the names that it has elsewhere."""

    name: str
    read: Callable[[Any], Any]
    aliases: str


def flat(value: Mapping[str, Any]) -> dict[str, Any]:
    """An object with the objects in it unfolded: `usage.input_tokens`."""
    found: dict[str, Any] = {}

    def unfold(node: Mapping[str, Any], above: str, depth: int) -> None:
        for name, inner in node.items():
            if isinstance(inner, dict) and inner and depth < _DEEPEST:
                unfold(cast("dict[str, Any]", inner), f"{above}{name}.", depth + 1)
            else:
                found[f"{above}{name}"] = inner

    unfold(value, "", 1)
    return found


def mapped(found: Mapping[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """What our fields say, and the names that were read for it, of an unfolded object."""
    names: dict[str, str] = {plain(name): name for name in reversed(list(found))}
    ends: dict[str, str] = {plain.rpartition(".")[2]: name for plain, name in reversed(list(names.items()))}
    values: dict[str, Any] = {}
    used: set[str] = set()
    for target in TARGETS:
        for alias in (target.name, *target.aliases.split()):
            name = names.get(alias) or ends.get(alias)
            value = None if name is None else target.read(found[name])
            if name is not None and value is not None:
                values.setdefault(target.name, value)
                used.add(name)
                break
    return values, used


def plain(name: str) -> str:
    """A name as it is compared: `patientId` is `patient_id`."""
    return _CAMEL.sub("_", name).lower().replace("-", "_")


def moment(value: Any) -> str | None:
    """A time as records have it, in UTC; one without a zone is taken as UTC, a number as seconds or milliseconds."""
    try:
        found = _moment(value)
        return found.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z") if found else None
    except (ValueError, OverflowError, OSError):
        return None


def _moment(value: Any) -> datetime | None:
    number = _number(value)
    if number is not None:
        seconds = number / 1000 if number >= _MILLISECONDS else number
        return datetime.fromtimestamp(seconds, UTC) if 0 < seconds < _LATEST else None
    if not isinstance(value, str):
        return None
    text = value.strip()
    if day_first := _DAY_FIRST.fullmatch(text):
        text = f"{day_first[3]}-{day_first[2]}-{day_first[1]}{day_first[4]}"
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value.replace(",", ".") if isinstance(value, str) else value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _count(value: Any) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number == int(number) and number < 2**53 else None


def _milliseconds(value: Any) -> float | None:
    number = _number(value)
    return None if number is None else round(number / 1000, 4)


def clean(value: Any) -> str | None:
    """A name, and no text: short, on one line, without signs that a sentence has."""
    return value.strip() if isinstance(value, str) and value.strip() and _CLEAN.fullmatch(value.strip()) else None


def _word(value: Any) -> str | None:
    name = clean(value)
    return name if name and " " not in name else None


def _command(value: Any) -> str | None:
    name = clean(value)
    return name if name and _COMMAND.fullmatch(name) else None


def _model(value: Any) -> str | None:
    name = _word(value)
    return name.removeprefix("models/") if name else None


def _status(value: Any) -> str | None:
    if isinstance(value, (bool, int, str)):
        said = str(value).strip().lower()
        return "ok" if said in _SURE else "error" if said else None
    return None


def _reasons(value: Any) -> list[str] | None:
    items: list[Any] = cast("list[Any]", value) if isinstance(value, list) else [value]
    names = [name.lower() for each in items if (name := _word(each))]
    return names or None


TIME = Target(
    "gemx.time",
    moment,
    "time timestamp ts @timestamp datetime date created_at created started_at start_time when data_hora data hora",
)
MODEL = Target("gen_ai.request.model", _model, "model model_name model_id modelo model_version engine llm")
TARGETS: tuple[Target, ...] = (
    TIME,
    MODEL,
    Target("gen_ai.response.model", _model, "response_model answered_by"),
    Target("gen_ai.provider.name", _word, "provider provedor backend vendor"),
    Target("gen_ai.response.id", _word, "response_id request_id call_id"),
    Target("gen_ai.response.finish_reasons", _reasons, "finish_reasons finish_reason stop_reason"),
    Target("gen_ai.request.temperature", _number, "temperature"),
    Target(
        "gen_ai.usage.input_tokens",
        _count,
        "input_tokens prompt_tokens tokens_in in_tokens prompt_token_count tokens_prompt tokens_entrada",
    ),
    Target(
        "gen_ai.usage.output_tokens",
        _count,
        "output_tokens completion_tokens tokens_out out_tokens candidates_token_count tokens_completion tokens_saida",
    ),
    Target(
        "gen_ai.usage.cache_read.input_tokens",
        _count,
        "cached_tokens cache_read_input_tokens cached_content_token_count",
    ),
    Target("gen_ai.usage.reasoning.output_tokens", _count, "reasoning_tokens thoughts_token_count thinking_tokens"),
    Target(
        "gemx.duration",
        _number,
        "duration duration_s duration_seconds elapsed elapsed_s seconds latency latency_s took duracao segundos",
    ),
    Target("gemx.duration", _milliseconds, "duration_ms latency_ms elapsed_ms time_ms ms"),
    Target("gemx.cost_usd", _number, "cost_usd usd cost total_cost custo_usd custo"),
    Target("gemx.status", _status, "status ok success exit_code rc sucesso http_status"),
    Target("error.type", _word, "error_type error_code error erro"),
    Target("gemx.try", _count, "try attempt tentativa"),
    Target("gemx.user", _word, "user username usuario operator operador"),
    Target("gemx.automation", _word, "automation automacao protocol protocolo auto"),
    Target("gemx.flow", _word, "flow workflow fluxo pipeline"),
    Target("gemx.template", _word, "template prompt_template"),
    Target("command", _command, "command cmd comando script action"),
)
