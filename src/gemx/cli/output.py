"""The only printer: results to stdout, everything else to stderr, one JSON envelope where --json asks for it.

Foreign text loses its control characters on the way out. Knows nothing of what is printed.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

from gemx.errors import GemxError, StorageError
from gemx.sanitize import escaped, printable

if TYPE_CHECKING:
    from gemx.cli.live import LiveMarkdown

_STATUS = {0: "success", 7: "partial"}


@dataclass
class _State:
    """What the command at hand said of its output."""

    command: str = ""
    as_json: bool = False
    quiet: bool = False
    counting: bool = False
    live: LiveMarkdown | None = None


_state = _State()


def begin(command: str, *, as_json: bool = False, quiet: bool = False) -> None:
    """Start a command's output; `command` is its name in the envelope."""
    _state.command, _state.as_json, _state.quiet = command, as_json, quiet


def reset(argv: Sequence[str]) -> None:
    """Forget the command before: until `begin`, an error has no command's name, and the form that --json asks for."""
    begin("", as_json="--json" in argv)


def use_utf8() -> None:
    """Make the standard streams UTF-8, whatever the locale says; a closed one swallows what is written."""
    # Python has None for a stream that was closed before it started.
    sys.stdout = cast("TextIO | None", sys.stdout) or _nowhere()
    sys.stderr = cast("TextIO | None", sys.stderr) or _nowhere()
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors="backslashreplace" if stream is not sys.stdin else "strict")


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")


def result(text: str) -> None:
    """The result of a command, to stdout."""
    print(printable(text).rstrip("\n"))


def piece(text: str) -> None:
    """A piece of a result that is still coming, to stdout at once."""
    sys.stdout.write(printable(text))
    sys.stdout.flush()


@contextlib.contextmanager
def streamed() -> Generator[Callable[[str], None]]:
    """What shows the pieces of an answer: as live Markdown on a terminal that takes it, elsewhere as they are.

    Whatever ends the answer, the text so far is shown whole, and its last line ended.
    """
    shown = _shown()
    try:
        yield shown.add
    except BaseException:
        # The terminal may be what is gone, and what ended the answer is what matters.
        with contextlib.suppress(OSError):
            shown.end()
        raise
    finally:
        _state.live = None
    shown.end()


def _shown() -> LiveMarkdown | _Plain:
    if not _takes_escapes(sys.stdout):
        return _Plain()
    from gemx.cli.live import LiveMarkdown

    _state.live = LiveMarkdown(sys.stdout)
    return _state.live


class _Plain:
    """The pieces of an answer as they come."""

    def __init__(self) -> None:
        self._open = False

    def add(self, text: str) -> None:
        self._open = not text.endswith("\n") if text else self._open
        piece(text)

    def end(self) -> None:
        if self._open:
            piece("\n")


def styled(renderable: Any, width: int) -> None:
    """A Rich renderable to stdout, coloured where stdout is a terminal and NO_COLOR is not set."""
    from rich.console import Console

    Console(file=sys.stdout, width=width, highlight=False, soft_wrap=True).print(renderable)


def warning(text: str) -> None:
    """A remark that matters even with --quiet, to stderr."""
    _make_room()
    print(_safe(text), file=sys.stderr)


def note(text: str) -> None:
    """A remark for a person, to stderr; none with --quiet."""
    if not _state.quiet:
        _make_room()
        print(_safe(text), file=sys.stderr)


def progress(text: str) -> None:
    """What is under way, to stderr: on a terminal a line that the next one replaces, elsewhere the first of a row."""
    if _state.quiet or (_state.counting and not is_terminal(sys.stderr)):
        return
    _make_room()
    end = "\r" if is_terminal(sys.stderr) else "\n"
    clear = "\x1b[2K" if end == "\r" else ""
    sys.stderr.write(f"{clear}{printable(text)}{end}")
    sys.stderr.flush()
    _state.counting = True


def progress_ended() -> None:
    """What was under way is over: nothing of it stays on a terminal."""
    if _state.counting and is_terminal(sys.stderr):
        sys.stderr.write("\x1b[2K")
        sys.stderr.flush()
    _state.counting = False


def envelope(data: Any, exit_code: int = 0, errors: Sequence[dict[str, Any]] = ()) -> str:
    """The one JSON object of a command."""
    status = _STATUS.get(exit_code, "error")
    content = {
        "gemx": 1,
        "command": _state.command,
        "status": status,
        "exit_code": exit_code,
        "data": data,
        "errors": list(errors),
    }
    return escaped(json.dumps(content, ensure_ascii=False, indent=2, default=_number))


def json_line(data: Any) -> str:
    """A value as JSON on one line, safe to print."""
    return escaped(json.dumps(data, ensure_ascii=False, default=_number))


def event(data: Any) -> None:
    """What a machine reads meanwhile: a JSON line, to stderr."""
    print(json_line(data), file=sys.stderr, flush=True)


def as_json(data: Any, exit_code: int = 0, errors: Sequence[dict[str, Any]] = ()) -> None:
    """Print the envelope of a command that has an outcome."""
    raw(envelope(data, exit_code, errors))


def raw(text: str) -> None:
    """Text that is already safe, such as an envelope, to stdout."""
    print(text)


def _make_room() -> None:
    if _state.live:
        _state.live.hide()


def _number(value: Any) -> Any:
    from decimal import Decimal

    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return str(value)


def error(exc: GemxError) -> None:
    """An error: its message and hint to stderr, or the envelope to stdout with --json."""
    if _state.as_json:
        as_json(None, exc.exit_code, [described(exc)])
        return
    said = described(exc)
    print(f"gemx: {said['message']}", file=sys.stderr)
    if said["hint"]:
        print(f"      {said['hint']}", file=sys.stderr)


def described(exc: GemxError) -> dict[str, Any]:
    """An error as the envelope has it."""
    return {"code": exc.code, "message": _safe(exc.message), "hint": _safe(exc.hint) if exc.hint else None}


def _safe(text: str) -> str:
    """Printable, and without any key: what an error says may come from a library, a server or a misplaced key."""
    if "gemx.settings" not in sys.modules:
        # Neither a key nor config.json was read.
        return printable(text)
    from gemx import keys

    return keys.redact(printable(text))


def check_writable(path: Path) -> None:
    """Raise StorageError where a result could not be written: asked before a call is paid for."""
    target = _target(path)
    if not os.access(target.parent, os.W_OK):
        raise StorageError(f"cannot write {path}: no permission in its folder")


def write_file(path: Path, text: str) -> None:
    """Write a result to a file that only the user can read, whole or not at all. Raises StorageError."""
    from gemx import places

    places.write_private(_target(path), printable(text).encode("utf-8", "backslashreplace"))


def _target(path: Path) -> Path:
    """The file behind a path, links followed; a device, a pipe or a folder is not one to be replaced."""
    try:
        target = path.resolve()
        writable = target.parent.is_dir() and (target.is_file() or not target.exists())
    except (OSError, RuntimeError) as exc:
        raise StorageError(f"cannot write {str(path)!r}: {exc}") from exc
    if not writable:
        raise StorageError(f"cannot write {str(path)!r}: not a file, or in no folder", hint="give --out a file's path")
    return target


def _takes_escapes(stream: TextIO) -> bool:
    return not (os.environ.get("NO_COLOR") or is_dumb()) and is_terminal(stream)


def is_dumb() -> bool:
    """Whether the terminal, if there is one, can do no more than print."""
    return os.environ.get("TERM", "dumb") in ("", "dumb", "unknown")


def is_terminal(stream: TextIO) -> bool:
    """Whether a stream is a terminal."""
    try:
        return stream.isatty()
    except ValueError:
        return False
