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


def problems(path: Path) -> list[Problem]:
    """Everything that is wrong with one file; empty where it is right."""
    try:
        header = library.check_header(library.read(path), *_VALIDATORS)
        _VALIDATORS[header](path)
    except InvalidFileError as exc:
        return exc.problems
    except GemxError as exc:
        return [Problem(path, 0, 0, exc.message)]
    return []


def shipped_files() -> list[Path]:
    """Every YAML file that ships with gemx."""
    folders = ("automations", "profiles", "templates", "flows", "prices")
    return sorted(path for folder in folders for path in places.shipped(folder).rglob("*.yaml"))
