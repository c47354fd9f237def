"""The flow YAML, `gemx: flow/v1`, as a parsed file: inputs, limits, steps and outputs.

Knows the form of a flow alone: what its expressions read is for `check`, what its steps do for `steps`.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from gemx import library
from gemx.library import Identifier, Line, YamlModel

HEADER = "flow/v1"
KINDS = ("rag", "prompt", "auto", "verify", "run", "write", "uses")

_DURATION = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_LONGEST = 86_400.0


def _seconds(value: object) -> object:
    if isinstance(value, str):
        match = _DURATION.fullmatch(value.strip())
        if match is None:
            raise ValueError(f"expected a duration such as 500ms, 60s, 10m or 2h, not {value!r}")
        return float(match["number"]) * _SECONDS[match["unit"]]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        raise ValueError(f"expected a duration with its unit, such as {value}s")
    return value


def _free(name: str) -> str:
    if name in ("item", "inputs", "steps", "secrets", "run"):
        raise ValueError(f"{name!r} has a meaning of its own in expressions; choose another name")
    return name


Duration = Annotated[
    float, BeforeValidator(_seconds, json_schema_input_type=str), Field(gt=0, le=_LONGEST, allow_inf_nan=False)
]
StepId = Annotated[Identifier, AfterValidator(_free)]
Secret = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$", max_length=100)]
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=100)]
Text = Annotated[str, Field(max_length=200_000)]
# Where an expression may stand for the whole value, or inside of a text.
Value = Any


class FlowInput(YamlModel):
    """What a flow takes. Without a default it must be given, unless `required` is false: then it is null.

    A `text` is kept as it was written: an automation reads its numbers itself.
    """

    type: Literal["text", "number", "integer", "boolean", "list", "object"] = "text"
    label: Line | None = None
    required: bool | None = None
    default: Value = None
    choices: Annotated[list[Line], Field(max_length=200)] = []

    @property
    def needed(self) -> bool:
        """Whether it must be given."""
        return self.default is None if self.required is None else self.required

    @model_validator(mode="after")
    def _fits(self) -> FlowInput:
        if self.choices and self.type != "text":
            raise ValueError("`choices` belong to `type: text`")
        if self.default is not None and self.required:
            raise ValueError("what has a default is never missing: leave out `required: true`")
        library.refuse_twice("choice", self.choices)
        return self


class Retry(YamlModel):
    """How a step that failed for a while is tried again; `max_attempts` counts the first.

    What is absent is as in config.json.
    """

    max_attempts: Annotated[int, Field(ge=1, le=100)] | None = None
    initial: Duration | None = None
    factor: Annotated[float, Field(ge=1, le=100)] | None = None
    max_interval: Duration | None = None
    max_elapsed: Duration | None = None


class Limits(YamlModel):
    """What a flow may do at once, in a minute, and cost: US dollars over the whole run, resumed or not."""

    concurrency: Annotated[int, Field(ge=1, le=1000)] | None = None
    rpm: Annotated[int, Field(ge=1)] | None = None
    tpm: Annotated[int, Field(ge=1)] | None = None
    max_cost_usd: Annotated[float, Field(gt=0, le=1_000_000)] | None = None


class Defaults(YamlModel):
    """What holds for every step that says nothing else. `timeout` bounds one attempt."""

    timeout: Duration | None = None
    retry: Retry | None = None
    model: Line | None = None


class Rag(YamlModel):
    """Search a knowledge base: one by name, or a folder or file beside the flow (`./folder`)."""

    kb: Line
    query: Text
    top_k: Annotated[int, Field(ge=1, le=100)] = 5


class Prompt(YamlModel):
    """Ask a model: a template with its variables, or a text; `context` are hits of a `rag` step, which can be cited."""

    template: Line | None = None
    text: Text | None = None
    system: Text | None = None
    vars: dict[str, Value] = {}
    context: Value = None
    schema_: Annotated[Line | dict[str, Value] | None, Field(alias="schema")] = None
    repair: Annotated[int, Field(ge=0, le=10)] = 0
    model: Line | None = None
    options: dict[str, str | int | float] = {}

    @model_validator(mode="after")
    def _one_source(self) -> Prompt:
        if (self.template is None) == (self.text is None):
            raise ValueError("expected either `template: NAME` or `text: …`")
        if self.text is not None and self.vars:
            raise ValueError("`vars` are those of a template; in a `text`, write ${{ … }}")
        if self.repair and self.schema_ is None:
            raise ValueError("`repair` needs a `schema`")
        return self


class Auto(YamlModel):
    """Run an automation. `inputs` is a mapping, or one expression that gives one, such as ${{ inputs }}."""

    name: Line
    inputs: dict[str, Value] | str = {}
    repair: Annotated[int, Field(ge=0, le=10)] = 0
    strict: bool = False
    model: Line | None = None
    options: dict[str, str | int | float] = {}


class Verify(YamlModel):
    """Check an answer: of an automation for its patient, or any value against a JSON Schema.

    Fails where something is wrong; with `on_fail: continue`, `pass` and `problems` say so.
    """

    answer: Value
    automation: Line | None = None
    inputs: dict[str, Value] | str = {}
    schema_: Annotated[Line | dict[str, Value] | None, Field(alias="schema")] = None
    strict: bool = False

    @model_validator(mode="after")
    def _one_rule(self) -> Verify:
        if (self.automation is None) == (self.schema_ is None):
            raise ValueError("expected either `automation: NAME`, for clinical checks, or `schema: …`")
        if self.schema_ is not None and (self.inputs or self.strict):
            raise ValueError("`inputs` and `strict` belong to `automation`")
        return self


class Write(YamlModel):
    """Write a file in the output folder: text as it is, anything else as JSON."""

    path: Line
    content: Value


class Step(YamlModel):
    """One step. Exactly one of `rag`, `prompt`, `auto`, `verify`, `run`, `write` and `uses` says what it does.

    It waits for the steps that its expressions read, and for those of `needs`. `if` is an expression, in ${{ }} or
    bare; `for_each` repeats the step for each `item` of a list. `run` is an argument list; `env` and `stdin` are its.
    `uses` names a step of a plugin, which is given the values of `with`.
    """

    id: StepId
    needs: Annotated[list[Identifier], Field(max_length=200)] = []
    if_: Annotated[str | bool | None, Field(alias="if")] = None
    for_each: Value = None
    concurrency: Annotated[int, Field(ge=1, le=1000)] | None = None
    timeout: Duration | None = None
    retry: Retry | None = None
    on_fail: Literal["stop", "continue"] = "stop"
    rag: Rag | None = None
    prompt: Prompt | None = None
    auto: Auto | None = None
    verify: Verify | None = None
    run: Annotated[list[str], Field(min_length=1, max_length=1000)] | None = None
    env: dict[Variable, Value] = {}
    stdin: Value = None
    write: Write | None = None
    uses: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=64)] | None = None
    with_: Annotated[dict[Variable, Value], Field(alias="with")] = {}

    @property
    def kind(self) -> str:
        """Which of the kinds it is."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    @model_validator(mode="after")
    def _one_kind(self) -> Step:
        found = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(found) != 1:
            said = f"not {' and '.join(found)} together" if found else "and none is there"
            raise ValueError(f"expected exactly one of {', '.join(KINDS)}, {said}")
        if self.run is None and (self.env or self.stdin is not None):
            raise ValueError("`env` and `stdin` belong to `run`")
        if self.uses is None and self.with_:
            raise ValueError("`with` belongs to `uses`")
        if self.concurrency is not None and self.for_each is None:
            raise ValueError("`concurrency` belongs to `for_each`")
        return self


class Flow(YamlModel):
    """A flow: what it takes, its steps, and what comes of it."""

    gemx: Literal["flow/v1"]
    name: Identifier | None = None
    title: Line | None = None
    version: Line = "0"
    inputs: dict[Identifier, FlowInput] = {}
    secrets: Annotated[list[Secret], Field(max_length=50)] = []
    limits: Limits = Limits()
    defaults: Defaults = Defaults()
    steps: Annotated[list[Step], Field(min_length=1, max_length=200)]
    outputs: dict[Identifier, Value] = {}

    @model_validator(mode="after")
    def _names_differ(self) -> Flow:
        library.refuse_twice("step", [step.id for step in self.steps])
        library.refuse_twice("secret", self.secrets)
        return self

    def step(self, id: str) -> Step:
        """The step of that id."""
        return next(step for step in self.steps if step.id == id)
