"""What `gemx auto validate` and `gemx templates validate` print of files that were checked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gemx.cli import output
from gemx.errors import InvalidFileError


def report(paths: Sequence[Path], *headers: str, as_json: bool) -> int:
    """Check files of gemx, or of these headers alone, and print every problem; returns the exit code."""
    from gemx.automation import validation

    found = {path: validation.problems(path, *headers) for path in paths}
    problems = [problem for each in found.values() for problem in each]
    exit_code = InvalidFileError.exit_code if problems else 0
    if as_json:
        errors = [{"code": InvalidFileError.code, "message": str(problem), "hint": None} for problem in problems]
        valid = [str(path) for path, each in found.items() if not each]
        output.as_json({"files": len(found), "valid": valid}, exit_code, errors)
        return exit_code
    for problem in problems:
        output.note(str(problem))
    wrong = sum(bool(each) for each in found.values())
    output.result(f"{len(found) - wrong} of {len(found)} files are valid" if wrong else f"{len(found)} files are valid")
    return exit_code
