"""The filters of templates: those of Jinja2 that make nothing large, and some of our own that count beforehand."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Iterator, Sized
from types import GeneratorType
from typing import Any, cast

from jinja2.filters import FILTERS

from gemx.templates.meter import Meter

COUNTED = "counted"
PIECE = "piece"
WEIGHED = "weighed"
_WIDEST = 100
_COMPARED = 64  # so many characters are compared in the time of one step
_FINEST = 15
_KEPT = (
    *("abs", "count", "d", "default", "dictsort", "first", "float", "int", "items", "last", "length"),
    *("list", "map", "max", "min", "reject", "reverse", "select", "sort", "truncate", "unique", "wordcount"),
)
# These make a text of what they are given, whatever it is.
_OF_TEXT = ("capitalize", "lower", "string", "title", "trim", "upper")

Said = Callable[[Any], Any]


def worded(language: str) -> Said:
    """What is shown of a value: of true and false a word of the language, of anything else itself."""
    words = ("não", "sim") if language.lower().split("-")[0] == "pt" else ("no", "yes")
    return lambda value: words[value] if isinstance(value, bool) else value


def counted(meter: Meter, said: Said) -> dict[str, Callable[..., Any]]:
    """Every filter that a template may use, counted by this meter; `said` is what is shown of a value."""
    kept = {name: _charged(FILTERS[name], meter) for name in _KEPT}
    kept |= {name: _of_text(_charged(FILTERS[name], meter), said) for name in _OF_TEXT}
    own: dict[str, Callable[..., Any]] = {
        COUNTED: meter.step,
        PIECE: functools.partial(_piece, meter, said),
        WEIGHED: functools.partial(_weighed, meter),
        "join": functools.partial(_join, meter, said),
        "replace": functools.partial(_replace, meter),
        "indent": functools.partial(_indent, meter),
        "tojson": functools.partial(_tojson, meter),
        "round": _round,
    }
    return {**kept, **own}


def size(value: Any) -> int:
    """How much a value holds, one level deep."""
    return len(value) if isinstance(value, Sized) else 1


def _charged(function: Callable[..., Any], meter: Meter) -> Callable[..., Any]:
    # `wraps` keeps the marks by which Jinja passes an environment or a context.
    @functools.wraps(function)
    def charged(*args: Any, **kwargs: Any) -> Any:
        value = function(*args, **kwargs)
        if isinstance(value, GeneratorType):
            return _each(meter, cast("Iterable[Any]", value))
        meter.charge(1 + size(value))
        return value

    return charged


def _each(meter: Meter, items: Iterable[Any]) -> Iterator[Any]:
    for item in meter.step(items):
        meter.charge(size(item))
        yield item


def _of_text(function: Callable[..., Any], said: Said) -> Callable[..., Any]:
    def of_text(value: Any, *args: Any, **kwargs: Any) -> Any:
        return function(said(value), *args, **kwargs)

    return of_text


def _piece(meter: Meter, said: Said, value: Any) -> str:
    text = str(said(value))
    meter.charge(1 + len(text))
    return text


def _weighed(meter: Meter, value: Any) -> Any:
    meter.charge(1 + size(value) // _COMPARED)
    return value


def _join(meter: Meter, said: Said, value: Iterable[Any], d: str = "") -> str:
    return meter.joined((str(said(item)) for item in meter.step(value)), str(d))


def _replace(meter: Meter, text: Any, old: str, new: str, count: int = -1) -> str:
    whole = str(text)
    meter.allow(len(whole) + whole.count(old) * len(new))
    return whole.replace(old, new, count)


def _indent(meter: Meter, text: Any, width: int = 4, first: bool = False, blank: bool = False) -> str:
    margin = " " * min(max(width, 0), _WIDEST)
    lines = str(text).split("\n")
    meter.allow(sum(map(len, lines)) + (len(margin) + 1) * len(lines))
    kept = [margin + line if line.strip() or blank else line for line in lines]
    return "\n".join(kept if first else [lines[0], *kept[1:]])


def _tojson(meter: Meter, value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    meter.allow(len(text))
    return text


def _round(value: float, precision: int = 0) -> float:
    return round(value, max(-_FINEST, min(precision, _FINEST)))
