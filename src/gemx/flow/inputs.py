"""The inputs of a flow from text or JSON, as CSV, JSONL or flags bring them. Messages are in pt-BR.

The values are JSON: reading what was read already changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

from gemx import strict_json
from gemx.clinical.answer import plain
from gemx.clinical.numbers import parse_number
from gemx.errors import InputError
from gemx.flow.schema import Flow, FlowInput

_TRUE = ("sim", "s", "true")
_FALSE = ("não", "nao", "n", "false")
_LONGEST_SHOWN = 40


def read(flow: Flow, raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """Every input of the flow by its name, in the flow's order; what is not given is its default, or null.

    A value is text as it was written, or what JSON gives: a number of JSON stays one, also where text is expected.
    Null, as an empty CSV cell, is not given, and neither is an empty text where no text is expected. Raises InputError
    with everything that is wrong: unknown names, missing values, and values of another type.
    """
    wrong = [f"{name}: entrada desconhecida{_near(name, flow.inputs)}" for name in raw if name not in flow.inputs]
    found: dict[str, Any] = {}
    missing: list[str] = []
    for name, declared in flow.inputs.items():
        try:
            found[name] = value(declared, raw.get(name))
        except InputError as exc:
            wrong.append(f"{_named(name, declared)}: {exc.message}")
            continue
        if found[name] is None and declared.needed:
            missing.append(_named(name, declared))
    if missing:
        wrong.append(f"falta informar: {', '.join(missing)}")
    if wrong:
        raise InputError("\n".join(wrong), hint=f"entradas deste fluxo: {', '.join(flow.inputs) or 'nenhuma'}")
    return found


def check_default(declared: FlowInput) -> None:
    """Raise InputError where the default is no value of the input's type, as JSON has it."""
    if declared.default is None:
        return
    found = value(declared, declared.default)
    if found != declared.default or isinstance(found, bool) != isinstance(declared.default, bool):
        raise InputError(f"esperado {FORMS[declared.type]}, não {_shown(declared.default)}")


def value(declared: FlowInput, raw: Any) -> Any:
    """The value of one input, its default where it is not given, or null. Raises InputError."""
    keeps_empty = declared.type == "text" and not declared.choices
    if raw is None or (isinstance(raw, str) and not raw.strip() and not keeps_empty):
        return plain(declared.default)
    return plain(_READERS[declared.type](declared, raw))


def _text(declared: FlowInput, raw: Any) -> Any:
    is_number = isinstance(raw, (int, float, Decimal)) and not isinstance(raw, bool)
    if is_number and not declared.choices:
        return raw
    if not isinstance(raw, str):
        raise _not(declared, raw)
    return _choice(declared.choices, raw) if declared.choices else raw


def _choice(choices: list[str], raw: str) -> str:
    for choice in choices:
        if choice.casefold() == raw.strip().casefold():
            return choice
    raise InputError(f"esperado um de: {', '.join(choices)}; não {_shown(raw)}{_near(raw, choices)}")


def _number(declared: FlowInput, raw: Any) -> Any:
    if isinstance(raw, bool) or not isinstance(raw, (str, int, float, Decimal)):
        raise _not(declared, raw)
    number = parse_number(raw) if isinstance(raw, str) else Decimal(str(raw))
    if not number.is_finite() or (declared.type == "integer" and number != number.to_integral_value()):
        raise _not(declared, raw)
    return number


def _boolean(declared: FlowInput, raw: Any) -> bool:
    if isinstance(raw, bool):
        return raw
    said = raw.strip().casefold() if isinstance(raw, str) else ""
    if said not in (*_TRUE, *_FALSE):
        raise _not(declared, raw)
    return said in _TRUE


def _list(declared: FlowInput, raw: Any) -> Any:
    """A list of JSON, as it is or as its text; any other text is parted at its semicolons or lines, else commas."""
    value = _parsed(raw, "[")
    if isinstance(value, str):
        separator = next((mark for mark in ("\n", ";") if mark in value.strip()), ",")
        return [part.strip() for part in value.split(separator) if part.strip()]
    if not isinstance(value, (list, tuple)):
        raise _not(declared, raw)
    return value  # pyright: ignore[reportUnknownVariableType]


def _object(declared: FlowInput, raw: Any) -> Any:
    value = _parsed(raw, "{")
    if not isinstance(value, Mapping):
        raise _not(declared, raw)
    return value  # pyright: ignore[reportUnknownVariableType]


def _parsed(raw: Any, opening: str) -> Any:
    if not isinstance(raw, str) or not raw.lstrip().startswith(opening):
        return raw
    try:
        return strict_json.loads(raw)
    except ValueError as exc:
        raise InputError(f"não é JSON válido: {exc}") from exc


_READERS: dict[str, Callable[[FlowInput, Any], Any]] = {
    "text": _text,
    "number": _number,
    "integer": _number,
    "boolean": _boolean,
    "list": _list,
    "object": _object,
}
FORMS = {
    "text": "um texto",
    "number": "um número, como 4,6",
    "integer": "um número inteiro",
    "boolean": "sim ou não",
    "list": 'uma lista, como a; b ou ["a", "b"]',
    "object": 'um objeto JSON, como {"a": 1}',
}


def _not(declared: FlowInput, raw: Any) -> InputError:
    return InputError(f"esperado {FORMS[declared.type]}, não {_shown(raw)}")


def _named(name: str, declared: FlowInput) -> str:
    return f"{declared.label} ({name})" if declared.label else name


def _shown(raw: Any) -> str:
    text = str(raw) if isinstance(raw, str) else repr(raw)
    return f'"{text[:_LONGEST_SHOWN]}{"…" if len(text) > _LONGEST_SHOWN else ""}"'


def _near(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), n=1)
    return f"; você quis dizer {near[0]!r}?" if near else ""
