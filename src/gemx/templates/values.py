"""The values of a template's variables, from the text of a command line. Knows no files."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from typing import Any

from gemx.errors import GemxError, InputError
from gemx.library import suggest
from gemx.templates.schema import Template, Variable

_TRUE = ("sim", "true", "s", "yes")
_FALSE = ("não", "nao", "false", "n", "no")
_MOST_MISSING = 50

ReadNumber = Callable[[str], Decimal]


def bind(
    template: Template,
    given: Mapping[str, str],
    number: ReadNumber,
    *,
    system: bool = True,
    waived: Collection[str] = (),
) -> dict[str, str | int | float | bool]:
    """The value of every variable that is used. Raises InputError: what is unknown, all that is missing, what is wrong.

    `number` reads a number; `system` says whether the system instruction is used at all; those `waived` may be empty.
    """
    known = {variable.name: variable for variable in template.takes}
    for name in given:
        if name not in known:
            hint = f"it takes: {', '.join(known)}" if known else "it takes none"
            raise InputError(f"the template has no variable {name!r}{suggest(name, known)}", hint=hint)
    used = template.used(system=system)
    asked = [variable for variable in known.values() if variable.name in used]
    missing = [each for each in asked if each.needed and not given.get(each.name, "").strip()]
    if missing := [each for each in missing if each.name not in waived]:
        raise InputError(f"the template needs: {_named(missing)}", hint=_example(missing))
    return {variable.name: _value(variable, given.get(variable.name), number) for variable in asked}


def described(variable: Variable) -> str:
    """What is expected of a variable, in a few words."""
    form = "|".join(variable.choices) if variable.choices else variable.type
    if variable.default is not None:
        return f"{form}, default {_shown(variable.default)}"
    return form if variable.needed else f"{form}, optional"


def _named(missing: list[Variable]) -> str:
    said = [each.name if each.label == each.name else f"{each.name} ({each.label})" for each in missing]
    more = [f"and {len(said) - _MOST_MISSING} more"] if len(said) > _MOST_MISSING else []
    return ", ".join([*said[:_MOST_MISSING], *more])


def _example(missing: list[Variable]) -> str:
    return " ".join(f"-p {each.name}={(each.choices or ['…'])[0]}" for each in missing[:3])


def _value(variable: Variable, text: str | None, number: ReadNumber) -> str | int | float | bool:
    if text is None or (not text.strip() and variable.type != "text"):
        return "" if variable.default is None else variable.default
    match variable.type:
        case "text":
            return text
        case "choice":
            return _choice(variable, text.strip())
        case "boolean":
            return _boolean(variable, text.strip())
        case "number" | "integer":
            return _number(variable, text, number)


def _choice(variable: Variable, text: str) -> str:
    for choice in variable.choices:
        if choice.casefold() == text.casefold():
            return choice
    near = suggest(text, variable.choices)
    raise _wrong(variable, text, f"expected one of: {', '.join(variable.choices)}{near}")


def _boolean(variable: Variable, text: str) -> bool:
    said = text.casefold()
    if said not in (*_TRUE, *_FALSE):
        raise _wrong(variable, text, "expected sim or não (or true, false)")
    return said in _TRUE


def _number(variable: Variable, text: str, number: ReadNumber) -> int | float:
    try:
        value = number(text)
    except GemxError as exc:
        raise _wrong(variable, text, f"expected {_kind(variable)}: {exc.message}") from exc
    if value == value.to_integral_value():
        return int(value)
    if variable.type == "integer":
        raise _wrong(variable, text, f"expected {_kind(variable)}")
    return float(value)


def _kind(variable: Variable) -> str:
    return "a whole number" if variable.type == "integer" else "a number, such as 4,6"


def _wrong(variable: Variable, text: str, expected: str) -> InputError:
    shown = text if len(text) <= 40 else f"{text[:39]}…"
    return InputError(f"-p {variable.name}={shown} ({variable.label}): {expected}")


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "sim" if value else "não"
    return str(value) if str(value).strip() else "empty"
