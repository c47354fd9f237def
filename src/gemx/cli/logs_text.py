"""Records of the log as text: a line of a list, and all that one says. Prints nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import tzinfo
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

from gemx.cli.history_text import clipped, column, columns, local, model_name, short
from gemx.sanitize import printable

if TYPE_CHECKING:
    from gemx.audit.find import Record

_TIME = 11
_RUN = 30
_WHAT = 12
_OUTCOME = 16
_LONGEST = 1e9
# What stands in the heading of a record, or is for machines alone.
_APART = ("v", "seq", "prev", "time", "kind", "run_id")
_DEEDS = {"prune": "pruned", "erase": "erased"}


def lines(records: Sequence[Record], zone: tzinfo | None, width: int) -> list[str]:
    """A line each: when, which run, what of, how it ended, which model, and what it took, as far as the width goes."""
    cells_of = [
        column([_time(each, zone) for each in records], _TIME),
        column([str(each.get("run_id", "-")) for each in records], _RUN),
        column([_what(each) for each in records], _WHAT),
        column([outcome(each) for each in records], _OUTCOME),
    ]
    starts = [f"{' '.join(cells)} " for cells in zip(*cells_of, strict=True)]
    tails = [" ".join([model_name(_model(each)), *_figures(each)]) for each in records]
    pairs = zip(starts, tails, strict=True)
    return [f"{start}{clipped(tail, width - columns(start))}".rstrip() for start, tail in pairs]


def outcome(record: Record) -> str:
    """How what a record speaks of ended, in a few words."""
    kind = record["kind"]
    if kind == "refusal":
        return f"refused: {record.get('error.type', '?')}"
    if kind == "result":
        return _verified(record)
    if kind in _DEEDS:
        return _DEEDS[kind]
    if record.get("error.type") or record.get("gemx.status") == "error":
        return f"failed: {record.get('error.type', '?')}"
    return str(record.get("gemx.status") or f"{kind}ed")


def page(record: Record, zone: tzinfo | None) -> str:
    """All that a record says, a line a field."""
    heading = _line(f"record {record['seq']}: {record['kind']}, {_moment(record, zone)}")
    said = [(name, value) for name, value in record.items() if name not in _APART and value is not None]
    return "\n".join([heading, *(f"  {_line(name)}: {_value(value)}" for name, value in said)])


def dollars(cost: float) -> str:
    """An amount of the log, with as many digits as tell it."""
    from gemx.gateway import bill

    return bill.dollars(Decimal(str(cost)))


def _figures(record: Record) -> Iterator[str]:
    tokens = [record.get(f"gen_ai.usage.{name}_tokens") for name in ("input", "output")]
    if any(each is not None for each in tokens):
        yield "+".join("?" if each is None else str(each) for each in tokens) + " tokens"
    if isinstance(cost := record.get("gemx.cost_usd"), (int, float)) and cost:
        yield f"{dollars(cost)} USD"
    # A number that only a foreign line has may be too large to be written.
    if isinstance(seconds := record.get("gemx.duration"), (int, float)) and 0 <= seconds < _LONGEST:
        yield f"{seconds:.1f} s"


def _verified(record: Record) -> str:
    if record.get("gemx.verified"):
        return "verified"
    found = record.get("gemx.findings")
    listed = cast("list[Any]", found) if isinstance(found, list) else []
    codes = [str(cast("dict[str, Any]", each).get("code")) for each in listed if isinstance(each, dict)]
    return f"not verified: {', '.join(dict.fromkeys(codes))}" if codes else "not verified"


def _what(record: Record) -> str:
    return str(record.get("gemx.automation") or record.get("gemx.flow") or record.get("command") or "-")


def _model(record: Record) -> str | None:
    found = record.get("gen_ai.request.model") or record.get("gen_ai.response.model")
    return None if found is None else str(found)


def _time(record: Record, zone: tzinfo | None) -> str:
    try:
        return short(str(record["time"]), zone)
    except ValueError:
        return str(record["time"])


def _moment(record: Record, zone: tzinfo | None) -> str:
    try:
        return f"{local(str(record['time']), zone):%Y-%m-%d %H:%M:%S %z}"
    except ValueError:
        return str(record["time"])


def _value(value: Any) -> str:
    import json

    return _line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _line(text: str) -> str:
    """On one line: a field must not look like more of them."""
    return printable(text).replace("\n", "\\n")
