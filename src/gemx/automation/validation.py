"""Validate any YAML file of gemx, by its `gemx:` header. Finds all that is wrong; prints nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gemx import library, places, templates
from gemx.automation import protocol, schema
from gemx.clinical import formulary, inputs, rules, vocabulary
from gemx.errors import GemxError, InvalidFileError, Problem
from gemx.gateway import prices
from gemx.settings import PROFILE_HEADER, Profile

_VALIDATORS: dict[str, Callable[[Path], object]] = {
    schema.HEADER: lambda path: protocol.load(str(path.absolute())),
    schema.CASE_HEADER: protocol.load_case,
    inputs.HEADER: inputs.load_inputs,
    formulary.HEADER: formulary.load_drug,
    vocabulary.HEADER: vocabulary.load_vocabulary,
    rules.HEADER: rules.load_rules,
    PROFILE_HEADER: lambda path: library.load(path, Profile, PROFILE_HEADER),
    templates.HEADER: templates.load_file,
    prices.HEADER: prices.read,
}

# Flows use automations, and are checked from above.
_FLOW = "flow/v1"


def problems(path: Path, *headers: str) -> list[Problem]:
    """Everything that is wrong with one file, of any header or of one of these; empty where it is right."""
    try:
        tree = library.read(path)
        header = library.check_header(tree, *(headers or (*_VALIDATORS, _FLOW)))
        if header == _FLOW:
            return [tree.problem(("gemx",), "a flow is checked by another command: gemx flow validate")]
        _VALIDATORS[header](path)
    except InvalidFileError as exc:
        return exc.problems
    except GemxError as exc:
        return [Problem(path, 0, 0, exc.message)]
    return []


def shipped_files() -> list[Path]:
    """Every YAML file that ships with gemx, flows aside."""
    folders = ("automations", "profiles", "templates", "prices")
    return sorted(path for folder in folders for path in places.shipped(folder).rglob("*.yaml"))
