"""Read a patient's raw data from JSON or YAML, numbers as they were written; and from an example case."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from gemx import documents, library, places, strict_json
from gemx.automation.schema import CASE_HEADER
from gemx.errors import InputError, InvalidFileError

STDIN = Path("stdin")


def read(name: str) -> tuple[dict[str, Any], str | None]:
    """The raw values of a file, or of standard input for `-`, and the automation that a case was written for.

    Raises InputError where it holds no mapping.
    """
    path = STDIN if name == "-" else places.user_path(name)
    values: Any = _parse(documents.read_stdin() if name == "-" else documents.read_text(path), path)
    automation: str | None = None
    if isinstance(values, dict) and cast("Any", values).get("gemx") == CASE_HEADER:
        case = cast("dict[str, Any]", values)
        values, automation = case.get("inputs"), case.get("automation")
    if not isinstance(values, dict):
        raise InputError(f"{path}: esperado um mapa de dados, como `idade: 64`")
    return values, automation  # pyright: ignore[reportUnknownVariableType]


def _parse(text: str, path: Path) -> Any:
    if path.suffix == ".json" or text.lstrip().startswith("{"):
        try:
            return strict_json.loads(text)
        except ValueError as exc:
            raise InputError(f"{path}: não é JSON: {exc}") from exc
    try:
        return library.parse(text.encode(), path, numbers_as_text=True).data
    except InvalidFileError as exc:
        raise InputError(exc.message) from exc
