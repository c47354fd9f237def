"""One way of asking for a datum, wherever one is missing: its label, unit and range, checked as it is typed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gemx.cli import output, questions
from gemx.cli.questions import Back, Choice
from gemx.errors import InputError

if TYPE_CHECKING:
    from gemx.clinical.inputs import InputDefinition

UNKNOWN = "desconhecido"
_REQUIRED = "este dado é obrigatório"


@dataclass(frozen=True)
class Reading:
    """What a text was understood as, and what is to be said of it; `words` is None where it says nothing."""

    words: str | None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Field:
    """A datum to ask for: `read` understands a text, or raises InputError in pt-BR. With `choices` one is chosen.

    `text` says that it may have several lines, and `unknown` is what stands for no answer.
    """

    label: str
    accepts: str
    read: Callable[[str], Reading]
    required: bool = False
    choices: tuple[Choice, ...] = ()
    text: bool = False
    unknown: str = ""


def of_input(definition: InputDefinition, *, required: bool) -> Field:
    """The field of a patient's datum."""
    from gemx.clinical import inputs

    def read(text: str) -> Reading:
        # an empty list would be a denial, which Enter alone must not say
        value = inputs.read_value(definition, text) if text.strip() else None
        if value is None:
            return Reading(None)
        return Reading(inputs.worded(definition, value), tuple(inputs.implausible(definition, value)))

    choices: list[Choice] = []
    if definition.kind == "boolean":
        choices = [Choice("sim", "sim", "s"), Choice("não", "não", "n")]
    elif definition.kind == "choice":
        choices = [Choice(key, label) for key, label in definition.choices.items()]
    if choices and not required:
        choices = [Choice(UNKNOWN, UNKNOWN, "d" if definition.kind == "boolean" else None), *choices]
    unknown = UNKNOWN if definition.kind == "list" else ""
    accepts = ", ".join(each.title for each in choices) or inputs.describe(definition)
    return Field(definition.label, accepts, read, required, tuple(choices), unknown=unknown)


def ask(field: Field, before: str = "", step: str = "") -> str:
    """The text of an answer, which the field can read; empty where it says nothing. Raises Back, KeyboardInterrupt."""
    if field.choices:
        return _chosen(field, before, step)
    shape = f" ({field.accepts})" if field.accepts else ""
    message = f"{step}{field.label}{shape}:"

    def check(text: str) -> str | None:
        return _problem(field, text)

    if field.text:
        return questions.lines(message, before, check=check)
    answer = questions.line(message, before, check=check, below=lambda text: _below(field, text)).strip()
    for remark in field.read(answer).remarks:
        output.warning(f"aviso: {remark}")
    return answer


def fill(fields: Mapping[str, Field], values: MutableMapping[str, str]) -> None:
    """Ask for one after another; Esc goes back to the one before, and from the first one raises Back.

    What was answered stays in `values`.
    """
    names = list(fields)
    at = 0
    while at < len(names):
        name = names[at]
        try:
            values[name] = ask(fields[name], values.get(name, ""), f"[{at + 1}/{len(names)}] ")
            at += 1
        except Back:
            if at == 0:
                raise
            at -= 1


def is_given(field: Field, text: str) -> bool:
    """Whether a text is an answer that the field can read, and says something."""
    try:
        return field.read(text).words is not None
    except InputError:
        return False


def shown(field: Field, text: str) -> str:
    """An answer in a line: what it was understood as."""
    reading = field.read(text)
    mark = " (fora do habitual: confira)" if reading.remarks else ""
    return f"{field.label}: {reading.words or 'não informado'}{mark}"


def _chosen(field: Field, before: str, step: str) -> str:
    default = next((each.value for each in field.choices if each.value == before), None)
    answer = questions.choose(f"{step}{field.label}:", field.choices, default)
    output.note(f" {step}{field.label}: {dict(_titles(field.choices))[answer]}")
    return answer


def _titles(choices: Sequence[Choice]) -> list[tuple[str, str]]:
    return [(each.value, each.title) for each in choices]


def _problem(field: Field, text: str) -> str | None:
    try:
        reading = field.read(text)
    except InputError as exc:
        return exc.message
    return _REQUIRED if field.required and reading.words is None else None


def _below(field: Field, text: str) -> str:
    """What stands under a line while it is typed: all that is wrong where it is long, else what was understood."""
    empty = "Enter confirma; Esc volta" if field.required else "Enter confirma; vazio: não informado; Esc volta"
    if wrong := _problem(field, text):
        return wrong if len(wrong) >= questions.columns() else empty
    reading = field.read(text)
    if reading.words is None:
        return empty
    return "; ".join((f"entendido: {reading.words}", *reading.remarks))
