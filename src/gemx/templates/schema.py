"""The template YAML, `gemx: template/v1`, as a parsed file."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from gemx import library
from gemx.library import Line, YamlModel
from gemx.templates import sandbox

HEADER = "template/v1"
INPUT = "input"
MOST_CHARACTERS = 200_000
NAME_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,63}$"
# What a name would mean to Jinja, not to the template.
RESERVED = frozenset(
    (
        *("and", "or", "not", "in", "is", "if", "else", "true", "false", "none"),
        *("range", "loop", "self", "super", "caller", "varargs", "kwargs"),
    )
)
_FORMS: dict[str, tuple[tuple[type, ...], str]] = {
    "text": ((str,), "a text"),
    "choice": ((str,), "one of the choices"),
    "number": ((int, float), "a number"),
    "integer": ((int,), "a whole number"),
    "boolean": ((bool,), "true or false"),
}


def _free(name: str) -> str:
    if name.lower() in RESERVED:
        raise ValueError(f"{name!r} has a meaning of its own in templates; choose another name")
    return name


VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=64), AfterValidator(_free)]
Text = Annotated[str, Field(max_length=MOST_CHARACTERS)]


class Variable(YamlModel):
    """What a template asks for. Without a default it must be given, unless `required` is false: then it is empty."""

    name: VariableName
    label: Line
    type: Literal["text", "number", "integer", "boolean", "choice"] = "text"
    default: str | int | float | bool | None = None
    choices: Annotated[list[Line], Field(max_length=100)] = []
    required: bool | None = None

    @property
    def needed(self) -> bool:
        """Whether it must be given."""
        return self.default is None if self.required is None else self.required

    @model_validator(mode="after")
    def _fits(self) -> Variable:
        if (self.type == "choice") != bool(self.choices):
            raise ValueError(f"{self.name}: `choices` belong to, and are needed by, `type: choice`")
        library.refuse_twice("choice", self.choices)
        if self.default is not None and self.required:
            raise ValueError(f"{self.name}: what has a default is never missing: leave out `required: true`")
        self._check_default()
        return self

    def _check_default(self) -> None:
        kinds, said = _FORMS[self.type]
        wrong = not isinstance(self.default, kinds) or (isinstance(self.default, bool) and self.type != "boolean")
        if self.default is not None and (wrong or (self.choices and self.default not in self.choices)):
            raise ValueError(f"{self.name}: the default {self.default!r} is not {said}")


class Template(YamlModel):
    """A named prompt: a system instruction and a prompt, with the variables that they take.

    `model` and `options` are those of a call that was kept; a variable that is not declared is a text that must be
    given.
    """

    gemx: Literal["template/v1"]
    id: Annotated[str, Field(pattern=NAME_PATTERN)] | None = None
    title: Line
    version: Line = "0"
    language: Line = "pt-BR"
    persona: Line | None = None
    model: Annotated[str, Field(min_length=1, max_length=300)] | None = None
    options: dict[str, str | int | float] = {}
    variables: Annotated[list[Variable], Field(max_length=100)] = []
    system: Text | None = None
    prompt: Annotated[Text, Field(min_length=1)]

    @field_validator("system", "prompt")
    @classmethod
    def _parses(cls, text: str | None) -> str | None:
        if text is not None:
            sandbox.variables(text)
        return text

    @field_validator("variables")
    @classmethod
    def _variables_differ(cls, found: list[Variable]) -> list[Variable]:
        library.refuse_twice("variable", [variable.name for variable in found])
        return found

    @model_validator(mode="after")
    def _variables_are_used(self) -> Template:
        used = self.used()
        if idle := [variable.name for variable in self.variables if variable.name not in used]:
            raise ValueError(f"declared, and in neither text: {', '.join(idle)}")
        return self

    def used(self, *, system: bool = True) -> frozenset[str]:
        """The names that its texts read."""
        texts = (self.prompt, self.system or "" if system else "")
        return frozenset(name for text in texts for name in sandbox.variables(text))

    @property
    def takes(self) -> tuple[Variable, ...]:
        """Every variable: those declared, in their order, then those that only stand in a text."""
        declared = {variable.name for variable in self.variables}
        others = sorted(self.used() - declared)
        return (*self.variables, *(_undeclared(name) for name in others))


def _undeclared(name: str) -> Variable:
    # Built past the validation of names: what stands in a text may be called as the text calls it.
    values: dict[str, Any] = {"name": name, "label": name, "type": "text", "default": None, "choices": []}
    return Variable.model_construct(**values, required=True)
