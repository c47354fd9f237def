"""A text in the user's own editor, on a private copy: taken over when it is valid, and never lost when it is not."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from gemx.cli import output
from gemx.errors import ConfigError, GemxError, StorageError, UsageError

Outcome = TypeVar("Outcome")

_EDITORS = ("nano", "vim", "vi")


def require_terminal(instead: str) -> None:
    """Raise UsageError without a terminal; `instead` is the command that needs none."""
    if not (output.is_terminal(sys.stdin) and output.is_terminal(sys.stdout)):
        raise UsageError("an editor needs a terminal", hint=f"without one: {instead}")


def edit(text: str, suffix: str, accept: Callable[[str, Path], Outcome]) -> Outcome | None:
    """What `accept` made of the edited text, which it gets with the draft's path; None where nothing was changed.

    Where it raises ConfigError the user may edit again; a text that was not taken over stays in the draft.
    """
    command = _command()
    draft = _draft(text, suffix)
    try:
        outcome = _rounds(command, draft, text, accept)
    except BaseException as exc:
        _left(draft, text, exc)
        raise
    draft.unlink(missing_ok=True)
    return outcome


def _rounds(command: list[str], draft: Path, text: str, accept: Callable[[str, Path], Outcome]) -> Outcome | None:
    while True:
        _run(command, draft)
        edited = _read(draft)
        if edited == text:
            return None
        try:
            return accept(edited, draft)
        except ConfigError as exc:
            if not _again(exc):
                raise


def _command() -> list[str]:
    named = os.environ.get("VISUAL") or os.environ.get("EDITOR") or ""
    try:
        command = shlex.split(named)
    except ValueError as exc:
        raise ConfigError(f"VISUAL or EDITOR is no command: {exc}", hint="for example EDITOR=nano") from exc
    found = command or [name for name in _EDITORS if shutil.which(name)][:1]
    if not found:
        raise ConfigError("no editor was found", hint="set EDITOR, for example EDITOR=nano")
    return found


def _draft(text: str, suffix: str) -> Path:
    import tempfile

    from gemx import places

    folder = places.ensure_private_dir(places.config_dir())
    try:
        descriptor, name = tempfile.mkstemp(dir=folder, prefix="edit-", suffix=suffix)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as exc:
        raise StorageError(f"cannot write in {folder}: {exc.strerror}", hint="check its permissions") from exc
    return Path(name)


def _run(command: list[str], draft: Path) -> None:
    # Ctrl-C is for the editor: it must not end what waits for it.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        code = subprocess.call([*command, str(draft)])
    except OSError as exc:
        hint = "set VISUAL or EDITOR to one that is installed"
        raise ConfigError(f"cannot run the editor {command[0]!r}: {exc.strerror}", hint=hint) from exc
    finally:
        signal.signal(signal.SIGINT, before)
    if code:
        raise StorageError(f"the editor {command[0]!r} ended with {code}: nothing was taken over")


def _read(draft: Path) -> str:
    try:
        return draft.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise StorageError(f"cannot read {draft}: {exc}") from exc


def _again(exc: ConfigError) -> bool:
    """Show what is wrong and ask whether to edit again."""
    output.warning(exc.message)
    if exc.hint:
        output.warning(f"      {exc.hint}")
    sys.stderr.write("Edit again? [Y/n] ")
    sys.stderr.flush()
    answer = sys.stdin.readline()
    return bool(answer) and answer.strip().lower() in ("", "y", "yes", "s", "sim")


def _left(draft: Path, text: str, exc: BaseException) -> None:
    """Say where an edited text is; one that was not edited is not kept."""
    try:
        changed = draft.read_bytes() != text.encode()
    except OSError:
        return
    if not changed:
        draft.unlink(missing_ok=True)
        return
    kept = f"your text is kept in {draft}"
    if isinstance(exc, GemxError):
        exc.hint = f"{exc.hint}; {kept}" if exc.hint else kept
    else:
        output.warning(kept)
