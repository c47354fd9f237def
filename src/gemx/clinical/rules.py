"""The documentation of the findings' codes, `automations/rules.yaml`: what each means, with a bad and a good example.

The examples are data: the tests run the checks on them, so that the documentation stays true.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from gemx import library, places
from gemx.clinical.findings import CODES, Code, Severity
from gemx.errors import InvalidFileError
from gemx.library import Identifier, Line, YamlModel

HEADER = "rules/v1"
Paragraph = Annotated[str, Field(min_length=1, max_length=2000, pattern=r"\S")]


class Example(YamlModel):
    """An answer, in words (`said`) and as a change of the file's clean one.

    `set` gives values by path, as findings name them (null takes a field out); `add` appends a row of pharmacotherapy;
    `patient` replaces inputs (null makes them unknown); `text` replaces the whole answer. `automation` and `case`
    choose another clean answer.
    """

    said: Line
    set: dict[str, Any] = {}
    add: dict[str, Any] = {}
    patient: dict[str, Any] = {}
    text: str | None = None
    automation: Identifier | None = None
    case: Identifier | None = None


class Rule(YamlModel):
    """One code: its title, the severities that it may have, why it matters, and two examples."""

    code: Code
    title: Line
    severities: Annotated[list[Severity], Field(min_length=1)]
    why: Paragraph
    bad: Example
    good: Example


class RulesFile(YamlModel):
    """The file automations/rules.yaml. The clean answer is what code composes for the example patient `case`."""

    gemx: Literal["rules/v1"]
    automation: Identifier
    case: Identifier
    rules: Annotated[list[Rule], Field(min_length=1)]


def load_rules(path: Path | None = None) -> list[Rule]:
    """Every rule, in the order of the codes. Raises InvalidFileError, also where a code has no rule or two."""
    path = path or places.shipped("automations") / "rules.yaml"
    parsed, tree = library.load(path, RulesFile, HEADER)
    found = [rule.code for rule in parsed.rules]
    problems = [tree.problem(("rules",), f"the code {code!r} has no rule") for code in CODES if code not in found]
    problems += [
        tree.problem(("rules", index, "code"), f"the code {code!r} stands twice")
        for index, code in enumerate(found)
        if code in found[:index]
    ]
    if problems:
        raise InvalidFileError(problems)
    return sorted(parsed.rules, key=lambda rule: CODES.index(rule.code))
