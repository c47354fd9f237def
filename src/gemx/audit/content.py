"""The texts of calls, where `audit.content` is `full`: in day files beside the log, and never in its chain.

A record names its texts by its salt, and its HMACs prove them; so texts can be erased, and the chain still holds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from pydantic_core import from_json

from gemx import places
from gemx.audit import log, record, writer
from gemx.errors import StorageError

VERSION = 1


@dataclass(frozen=True)
class Erased:
    """How many texts were erased, and how many damaged lines nobody can tell the owner of."""

    texts: int
    damaged: int


def keep(made: Mapping[str, Any], texts: Mapping[str, str], folder: Path | None = None) -> dict[str, Any]:
    """Keep the texts of a record that hashes them; returns the record, which names their file. Raises StorageError."""
    return keep_all([(made, texts)], folder)[0]


def keep_all(
    made: Iterable[tuple[Mapping[str, Any], Mapping[str, str]]], folder: Path | None = None
) -> list[dict[str, Any]]:
    """The same for many records: when this returns, their texts are on the disk."""
    folder = folder or places.audit_dir()
    now = datetime.now(UTC)
    path = folder / f"content-{now:%Y-%m-%d}.jsonl"
    pairs = list(made)
    lines = b"".join(_line(each, texts, now) for each, texts in pairs if texts)
    if lines:
        with writer.locked(folder):
            writer.write(path, (b"\n" if _is_torn(path) else b"") + lines)
    return [{**each, "gemx.content": path.name} if texts else dict(each) for each, texts in pairs]


def texts_of(records: Iterable[Mapping[str, Any]], folder: Path | None = None) -> dict[str, dict[str, str]]:
    """The texts that are kept of records, by salt. Raises StorageError."""
    folder = folder or places.audit_dir()
    wanted: dict[str, set[str]] = {}
    for each in records:
        if isinstance(name := each.get("gemx.content"), str) and isinstance(salt := each.get("gemx.salt"), str):
            wanted.setdefault(name, set()).add(salt)
    files = [path for path in log.files(folder, "content") if path.name in wanted]
    return {
        str(found["salt"]): _strings(found.get("texts"))
        for path in files
        for _, found in _lines(path)
        if found and found.get("salt") in wanted[path.name]
    }


def proves(made: Mapping[str, Any], name: str, text: str) -> bool | None:
    """Whether a text is the one that a record hashed under that name; None where it hashed none."""
    kept, salt = made.get(f"gemx.{name}_hmac"), made.get("gemx.salt")
    if not isinstance(kept, str) or not isinstance(salt, str):
        return None
    return record.digest(text, salt) == kept


def count(subject: str, folder: Path | None = None) -> Erased:
    """What `erase` would erase. Raises StorageError."""
    found = [_counted(path, subject) for path in log.files(folder, "content")]
    return Erased(sum(each.texts for each in found), sum(each.damaged for each in found))


def erase(subject: str, folder: Path | None = None) -> Erased:
    """Rewrite the files without the texts of a subject, which is a keyed hash. Raises StorageError."""
    folder = folder or places.audit_dir()
    texts = damaged = 0
    for path in log.files(folder, "content"):
        with writer.locked(folder):
            # Who was killed here left a copy; nobody else is writing one.
            places.sweep(folder, 0)
            found = _counted(path, subject)
            if found.texts:
                places.write_private(path, _without(path, subject))
        texts, damaged = texts + found.texts, damaged + found.damaged
    return Erased(texts, damaged)


def _line(made: Mapping[str, Any], texts: Mapping[str, str], now: datetime) -> bytes:
    said = {
        "v": VERSION,
        "time": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "run_id": made["run_id"],
        "subject": made["subject"],
        "salt": made["gemx.salt"],
        "texts": dict(texts),
    }
    text = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace") + b"\n"


def _is_torn(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            if not file.seek(0, 2):
                return False
            file.seek(-1, 2)
            return file.read(1) != b"\n"
    except FileNotFoundError:
        return False
    except OSError as exc:
        raise StorageError(f"the texts of the audit cannot be read: {path}: {exc.strerror}") from exc


def _lines(path: Path) -> Iterator[tuple[bytes, dict[str, Any] | None]]:
    for _, line in log.lines(path):
        try:
            found = from_json(line)
        except ValueError:
            found = None
        yield line, cast("dict[str, Any]", found) if isinstance(found, dict) else None


def _counted(path: Path, subject: str) -> Erased:
    texts = damaged = 0
    for _, found in _lines(path):
        damaged += found is None
        texts += found is not None and found.get("subject") == subject
    return Erased(texts, damaged)


def _without(path: Path, subject: str) -> Iterator[bytes]:
    for line, found in _lines(path):
        if found is None or found.get("subject") != subject:
            yield line + b"\n"


def _strings(found: Any) -> dict[str, str]:
    if not isinstance(found, dict):
        return {}
    return {str(name): text for name, text in cast("dict[str, Any]", found).items() if isinstance(text, str)}
