"""What is known of the models of this machine: their state, their hash, where they come from. One SQLite file.

A file that someone put into the folder by hand has no entry: it is installed, and nothing says what it should hold.
Knows neither the network nor what is in a model.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from gemx import places, storage

State = Literal["downloading", "installed", "broken"]
SUFFIX = ".gguf"
PART = ".part"
PROJECTOR = "mmproj"  # a part of another model, not one by itself

_FIRST = """
    CREATE TABLE models (
        name TEXT PRIMARY KEY NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('downloading', 'installed', 'broken')),
        sha256 TEXT NOT NULL,
        size INTEGER,
        stamp TEXT NOT NULL,
        source TEXT NOT NULL,
        revision TEXT NOT NULL,
        license TEXT,
        accepted TEXT,
        header TEXT NOT NULL,
        verified TEXT,
        part_of TEXT,
        linked TEXT,
        problem TEXT
    );
    """

# A released one never changes.
MIGRATIONS: tuple[storage.Migration, ...] = (_FIRST,)


@dataclass(frozen=True)
class Entry:
    """One file of a model; `sha256` is what it must hold, and `stamp` the file that was last seen to hold it.

    `source` is where it comes from, `revision` the commit there; `accepted` when its licence was accepted, `verified`
    when it was hashed; `linked` the file that is used in its place. A projector is `part_of` its model. `header` is
    what the file says of itself; `problem` is why it is broken.
    """

    name: str
    state: State
    sha256: str
    size: int | None
    source: str
    stamp: str = ""
    revision: str = ""
    license: str | None = None
    accepted: str | None = None
    header: dict[str, Any] | None = None
    verified: str | None = None
    part_of: str | None = None
    linked: str | None = None
    problem: str | None = None

    @property
    def path(self) -> Path:
        """The file of the model, or the link to it."""
        return file_of(self.name)


def file_of(name: str) -> Path:
    """The file that a model of this name has, whether it is there or not."""
    return places.models_dir() / f"{name}{SUFFIX}"


def part_of(path: Path) -> Path:
    """What has come so far of a file that is being downloaded."""
    return path.with_name(f"{path.name}{PART}")


def entries() -> list[Entry]:
    """Every entry, by name. Raises StorageError."""
    if not places.is_file(_path()):
        return []
    with storage.open_database(_path(), MIGRATIONS) as database:
        cursor = database.conn.execute(f"SELECT {_COLUMNS} FROM models ORDER BY name")  # noqa: S608
        return [_entry(row) for row in cursor]


def get(name: str) -> Entry | None:
    """The entry of a name, or None. Raises StorageError."""
    return next((each for each in entries() if each.name == name), None)


def put(entry: Entry) -> None:
    """Write an entry down, in the place of an older one. Raises StorageError."""
    values = asdict(entry) | {"header": json.dumps(entry.header or {})}
    marks = ", ".join("?" for _ in values)
    with storage.open_database(_path(), MIGRATIONS) as database:
        database.conn.execute(
            f"INSERT OR REPLACE INTO models ({', '.join(values)}) VALUES ({marks})",  # noqa: S608
            list(values.values()),
        )


def update(entry: Entry) -> None:
    """Write down what was found of an entry, unless it was removed or replaced meanwhile. Raises StorageError."""
    with storage.open_database(_path(), MIGRATIONS) as database:
        database.conn.execute(
            "UPDATE models SET state = ?, stamp = ?, problem = ?, verified = ? WHERE name = ? AND sha256 = ?",
            [entry.state, entry.stamp, entry.problem, entry.verified, entry.name, entry.sha256],
        )


def forget(name: str) -> None:
    """Forget an entry. Raises StorageError."""
    if places.is_file(_path()):
        with storage.open_database(_path(), MIGRATIONS) as database:
            database.conn.execute("DELETE FROM models WHERE name = ?", [name])


def now() -> str:
    """The time as entries have it: ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _path() -> Path:
    return places.models_dir() / "models.db"


def _entry(row: tuple[Any, ...]) -> Entry:
    values: dict[str, Any] = dict(zip(_NAMES, row, strict=True))
    values["header"] = json.loads(values["header"]) or None
    return Entry(**values)


_NAMES = [field.name for field in fields(Entry)]
_COLUMNS = ", ".join(_NAMES)
