"""What one audit record says, of a model call or of a verification: OpenTelemetry's `gen_ai.*` names, and `gemx.*`.

Holds metadata and keyed hashes, never a text: a short clinical text could be guessed from a bare hash, so the HMAC's
key is the installation's own, beside the log, and each record has a salt.
"""

from __future__ import annotations

import getpass
import hashlib
import hmac
import os
import re
import secrets
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Protocol

from gemx import __version__, places
from gemx.errors import StorageError, UsageError

_KEY_BYTES = 32
_FIELDS = re.compile(r"(?:[a-z_]{1,40}(?:\[\d+\])*(?:\.|\Z))*")


def new_run_id() -> str:
    """A new id that sorts by time, such as 20261120T112233-4f9ac1: what a run is found by in every record of it."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"


def attempt(
    fields: Mapping[str, Any],
    *,
    run_id: str,
    command: str,
    subject: str | None,
    texts: Mapping[str, str],
    kind: Literal["attempt", "refusal"] = "attempt",
) -> dict[str, Any]:
    """The record of one attempt, or of a call that the door refused; `texts` are hashed, left out when there are none.

    `subject` is what `subject` made of whom the call is about, never the subject itself. Fields that are None are left
    out. Raises StorageError where the key cannot be read or made.
    """
    record = _record(kind, fields, run_id, command, subject)
    if texts:
        salt = secrets.token_hex(16)
        record["gemx.salt"] = salt
        record |= {f"gemx.{name}_hmac": digest(text, salt) for name, text in texts.items()}
    return record


class Finding(Protocol):
    """What a record needs of a finding; its message and values are texts, and stay out."""

    @property
    def code(self) -> str: ...  # noqa: D102
    @property
    def severity(self) -> str: ...  # noqa: D102
    @property
    def path(self) -> str: ...  # noqa: D102


def result(
    *,
    run_id: str,
    command: str,
    subject: str | None,
    about: Mapping[str, str | None],
    model: str | None,
    repair_round: int,
    verified: bool,
    checks: Sequence[str],
    findings: Iterable[Finding],
) -> dict[str, Any]:
    """The record of one verification: which rules were applied to an answer, and which of them found something where.

    `about` says what was run, under the names that it has here. `repair_round` counts from 0; `checks` name the rules
    or their families. What is None is left out.
    """
    found = list(findings)
    fields = {
        "gen_ai.response.model": model,
        **about,
        "gemx.round": repair_round,
        "gemx.verified": verified,
        "gemx.checks": list(checks),
        "gemx.findings": [
            {"code": each.code, "severity": each.severity, "path": _structure(each.path)} for each in found
        ],
        **{f"gemx.count.{severity}": count for severity, count in Counter(each.severity for each in found).items()},
    }
    return _record("result", fields, run_id, command, subject)


def event(
    kind: Literal["prune", "erase", "import"],
    fields: Mapping[str, Any],
    *,
    run_id: str,
    command: str,
    subject: str | None = None,
) -> dict[str, Any]:
    """The record of something that was done to the log itself: `prune`, `erase` or `import`. Raises StorageError."""
    return _record(kind, fields, run_id, command, subject)


def _record(kind: str, fields: Mapping[str, Any], run_id: str, command: str, subject: str | None) -> dict[str, Any]:
    return {
        "kind": kind,
        "run_id": run_id,
        "command": command,
        "subject": subject,
        **{name: value for name, value in fields.items() if value is not None},
        "gemx.version": __version__,
        "gemx.user": _user(),
        "gemx.pid": os.getpid(),
    }


def _structure(path: str) -> str:
    """The path up to where it is no longer one of fields: a key that a model made up may hold any text."""
    rest = _FIELDS.sub("", path, count=1)
    return f"{path.removesuffix(rest)}…" if rest else path


def subject(text: str) -> str:
    """Whom a run is about, as audit, history and ledgers have it: a keyed hash, the same in all of them.

    White space around it and within it makes no difference. Raises UsageError where there is nothing, StorageError.
    """
    name = " ".join(unicodedata.normalize("NFC", text).split())
    if not name:
        raise UsageError("--subject is empty", hint="give an id that you know the person by")
    return digest(name)


def digest(text: str, salt: str = "") -> str:
    """HMAC-SHA256 of a text under the installation's key, in hexadecimal."""
    return hmac.new(_key(), f"{salt}:{text}".encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def _key() -> bytes:
    path = places.ensure_private_dir(places.audit_dir()) / ".key"
    try:
        found = path.stat()
        return _read_key(path, (found.st_ino, found.st_mtime_ns, found.st_size))
    except FileNotFoundError:
        return _make_key(path)
    except OSError as exc:
        raise StorageError(f"the audit key cannot be read: {path}: {exc.strerror}") from exc


@lru_cache(maxsize=4)
def _read_key(path: Path, _stamp: tuple[int, int, int]) -> bytes:
    """The key; read once while the file stays the same."""
    key = path.read_bytes()
    if len(key) != _KEY_BYTES:
        raise StorageError(
            f"the audit key {path} is damaged", hint="put its copy back, or remove it to start a new one"
        )
    return key


def _make_key(path: Path) -> bytes:
    # Linked into place whole: another process sees the finished key or none.
    draft = path.with_name(f".key-{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, places.FILE_MODE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(draft)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    except OSError as exc:
        raise StorageError(f"the audit key cannot be made: {path}: {exc.strerror}") from exc
    return _key()


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
