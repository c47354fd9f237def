"""What the commands that list and show named files share: the list with where each comes from, and a path alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from gemx.cli import output
from gemx.errors import InvalidFileError, StorageError

if TYPE_CHECKING:
    from gemx.library import Found, Kind

PathAlone = Annotated[bool, typer.Option("--path", help="Print the path of its file, and nothing else.")]


class Titled(Protocol):
    """A parsed file with a title and a version."""

    @property
    def title(self) -> str | None: ...  # noqa: D102
    @property
    def version(self) -> str: ...  # noqa: D102


class Load(Protocol):
    """Reads one file of a kind. Raises InvalidFileError, StorageError."""

    def __call__(self, path: Path, /) -> Titled: ...  # noqa: D102


def show_list(kind: Kind, load: Load, command: str, *, as_json: bool) -> None:
    """Print every file of a kind that gemx finds, with where it is from; `command` is the group that checks it."""
    from gemx import library

    rows = [_row(found, load, command) for found in library.listing(kind)]
    if as_json:
        output.as_json(rows)
        return
    width = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        where = "" if row["from"] == "gemx" else f"  ({row['from']})"
        output.result(f"{row['name']:<{width}}  {row.get('version', '?'):<7}  {row['title']}{where}")


def show_path(kind: Kind, name: str) -> None:
    """Print where the file of a name is, whether it is valid or not. Raises NotFoundError."""
    from gemx import library

    output.result(str(library.find(kind, name).path.absolute()))


def _row(found: Found, load: Load, command: str) -> dict[str, Any]:
    row = {"name": found.name, "from": "gemx" if found.origin == "gemx" else str(found.path)}
    try:
        parsed = load(found.path)
    except (InvalidFileError, StorageError):
        return {**row, "title": f"INVALID: see gemx {command} validate {found.name}"}
    return {**row, "title": parsed.title or found.name, "version": parsed.version}
