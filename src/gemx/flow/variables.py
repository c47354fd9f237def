"""Check what a step gives to an automation or a template: names that it does not take, and what it lacks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from gemx.automation.protocol import Protocol
from gemx.errors import Problem
from gemx.flow import values
from gemx.flow.resources import Resources
from gemx.flow.schema import Flow, Prompt
from gemx.library import Location, Tree, suggest
from gemx.templates import Template


def problems(flow: Flow, tree: Tree, index: int, used: Resources) -> Iterator[Problem]:
    """What is wrong with the values that one step hands on."""
    step = flow.steps[index]
    if step.prompt is not None and used.template is not None:
        yield from _template(tree, ("steps", index, "prompt"), step.prompt, used.template.template)
    asked = step.auto or step.verify
    if asked is not None and used.protocol is not None:
        # What is not said of a patient is not verified; to run, an automation needs it.
        required = used.protocol.automation.required if step.auto else []
        yield from _inputs(flow, tree, ("steps", index, step.kind), asked.inputs, used.protocol, required)
        if step.auto is not None and used.protocol.automation.output is None and (step.auto.repair or step.auto.strict):
            key = "repair" if step.auto.repair else "strict"
            message = f"`{key}` needs a contract, and {used.protocol.id} has none"
            yield tree.problem(("steps", index, "auto", key), message)


def _template(tree: Tree, location: Location, prompt: Prompt, template: Template) -> Iterator[Problem]:
    known = {variable.name: variable for variable in template.takes}
    for name in prompt.vars:
        if name not in known:
            message = f"the template has no variable {name!r}{suggest(name, known)}"
            yield tree.problem((*location, "vars", name), message, key=True)
    used = template.used(system=prompt.system is None)
    missing = [name for name, each in known.items() if each.needed and name in used and _is_absent(prompt.vars, name)]
    if missing:
        yield tree.problem((*location, "template"), f"the template also needs: {', '.join(missing)}")


def _is_absent(given: Mapping[str, Any], name: str) -> bool:
    return given.get(name) is None or given[name] == ""


def _inputs(
    flow: Flow,
    tree: Tree,
    location: Location,
    given: Mapping[str, Any] | str,
    protocol: Protocol,
    required: Sequence[str],
) -> Iterator[Problem]:
    place: Location = (*location, "inputs")
    given_names: Iterable[str] = flow.inputs if isinstance(given, str) else given
    is_known = isinstance(given, Mapping) or _is_all_inputs(given)
    if is_known and (absent := [name for name in required if name not in given_names]):
        yield tree.problem(place, f"{protocol.id} also needs: {', '.join(absent)}")
    if isinstance(given, Mapping):
        yield from (tree.problem((*place, name), message, key=True) for name, message in _unknown(given, protocol))
    elif _is_all_inputs(given):
        for name, message in _unknown(flow.inputs, protocol):
            yield tree.problem(("inputs", name), f"{message}; name those that it takes under `inputs`", key=True)
    elif values.OPEN not in given:
        yield tree.problem(
            place, "expected a mapping of inputs, or an expression that gives one, such as ${{ inputs }}"
        )


def _is_all_inputs(text: str) -> bool:
    return text.strip().removeprefix(values.OPEN).removesuffix(values.CLOSE).strip() == "inputs"


def _unknown(given: Iterable[str], protocol: Protocol) -> Iterator[tuple[str, str]]:
    for name in given:
        if name not in protocol.inputs:
            yield name, f"{protocol.id} knows no input {name!r}{suggest(name, protocol.inputs)}"
