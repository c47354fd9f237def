"""Take over the lines of other logs: what they say under our names as records, and each line whole beside the log.

A line may hold any text, and no text belongs into a chain that nothing can be taken out of: it is kept as the texts of
calls are, bound by an HMAC, where `erase` reaches it.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, cast

from pydantic_core import from_json

from gemx import places
from gemx.audit import content, log, old_names, record, writer
from gemx.errors import InputError

COMMAND = "logs import"
_BATCH = 500
_MOST_NAMED = 20
_ID = re.compile(rb'"gemx\.imported_id":"([0-9a-f]{64})"')
# No document of a person is a name: a log may have its patients as keys.
_NAME = re.compile(r"(?!.*\d{5})[\w.@-]{1,60}")
_SUBJECTS = (
    *("subject", "subject_id", "subject.id", "patient", "patient_id", "patient.id"),
    *("paciente", "paciente_id", "paciente.id", "prontuario", "mrn"),
)


@dataclass
class Tally:
    """What became of the lines: mapped; kept, without a time or a model that could be read; there already; refused.

    `refusals` name the first of those that are no JSON object, and are not kept.
    """

    mapped: int = 0
    kept: int = 0
    known: int = 0
    refused: int = 0
    refusals: list[str] = field(default_factory=list[str])

    def refuse(self, path: Path, number: int, reason: str) -> None:
        """Count a line that cannot be taken."""
        self.refused += 1
        if len(self.refusals) < _MOST_NAMED:
            self.refusals.append(f"{path}:{number}: {reason}")


def take_over(files: Iterable[Path], run_id: str, redact: Callable[[str], str]) -> Tally:
    """Import the lines of files, those that were imported before left out. `redact` takes keys out of a line.

    Raises InputError on a file that is none, before anything is written; StorageError.
    """
    paths = list(files)
    for path in paths:
        _check(path)
    known, tally = _known(), Tally()
    made = (each for path in paths for each in _records(path, run_id, redact, known, tally))
    while batch := list(islice(made, _BATCH)):
        writer.append_all(content.keep_all(batch))
    return tally


def _check(path: Path) -> None:
    if not path.is_file():
        raise InputError(f"there is no file {path}", hint="give the files of the old log, such as audit-*.jsonl")
    if path.resolve().parent == places.audit_dir().resolve():
        raise InputError(f"{path} is a file of this log itself")


def _known() -> set[bytes]:
    found: set[bytes] = set()
    for path in log.files():
        for _, line in log.lines(path):
            if match := _ID.search(line):
                found.add(bytes.fromhex(match[1].decode())[:16])
    return found


def _records(
    path: Path, run_id: str, redact: Callable[[str], str], known: set[bytes], tally: Tally
) -> Iterator[tuple[dict[str, Any], dict[str, str]]]:
    times: dict[bytes, int] = {}
    for number, raw in log.lines(path):
        text = raw.decode("utf-8", "backslashreplace").strip()
        if not text:
            continue
        kept = redact(text)
        said = _object(kept)
        if said is None:
            tally.refuse(path, number, "no JSON object")
            continue
        # The same line twice in a file is two calls; the same file twice is not.
        once = bytes.fromhex(record.digest(text))[:16]
        times[once] = times.get(once, 0) + 1
        identity = record.digest(f"{times[once]}:{text}", "import")
        if (short := bytes.fromhex(identity)[:16]) in known:
            tally.known += 1
            continue
        known.add(short)
        yield _made(said, kept, identity, f"{path.name}:{number}", run_id, tally)


def _object(text: str) -> dict[str, Any] | None:
    try:
        found = from_json(text, allow_inf_nan=True)
    except ValueError:
        return None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else None


def _made(
    said: dict[str, Any], text: str, identity: str, source: str, run_id: str, tally: Tally
) -> tuple[dict[str, Any], dict[str, str]]:
    found = old_names.flat(said)
    values, used = old_names.mapped(found)
    if "error.type" in values:
        values.setdefault("gemx.status", "error")
    if old_names.TIME.name in values and old_names.MODEL.name in values:
        tally.mapped += 1
    else:
        tally.kept += 1
    salt = secrets.token_hex(16)
    fields = {
        **values,
        "gemx.source": source,
        "gemx.unmapped": [name if _NAME.fullmatch(name) else "…" for name in found if name not in used],
        "gemx.imported_id": identity,
        "gemx.salt": salt,
        "gemx.imported_hmac": record.digest(text, salt),
    }
    command = str(fields.pop("command", COMMAND))
    user = fields.get("gemx.user")
    made = record.event("import", fields, run_id=run_id, command=command, subject=_subject(found))
    return {**made, **({"gemx.user": user} if user else {})}, {"imported": text}


def _subject(found: dict[str, Any]) -> str | None:
    """Whom the line names, so that it can be erased by that id."""
    for alias in _SUBJECTS:
        for name, value in found.items():
            is_said = isinstance(value, (str, int)) and not isinstance(value, bool) and str(value).strip()
            if is_said and f".{old_names.plain(name)}".endswith(f".{alias}"):
                return record.subject(str(value))
    return None
