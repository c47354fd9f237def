"""The text of a PDF, a DOCX or a page in HTML, read by a process of its own that is bounded in seconds and memory.

What a stranger wrote can make any parser run for ever, fill the memory or fail in ways that nobody foresaw; there it
costs one clear error. The process gets the bytes by its standard input and prints one JSON object. Knows no file and no
model; the formats are read by `pdf`, `docx` and `html`.
"""

from __future__ import annotations

import contextlib
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from gemx import processes
from gemx.errors import InputError

SECONDS = {"pdf": 60.0, "docx": 20.0, "html": 20.0}
MOST_CHARACTERS = 8_000_000
_MOST_MEMORY = 2 * 1024**3
_KINDS = {"pdf": "a PDF", "docx": "a DOCX", "html": "HTML"}
_SPLIT = "give only the part that matters, or save it as text"


class RefusedError(Exception):
    """A document that cannot be read: what it is, after its name, and what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


@dataclass(frozen=True)
class Extract:
    """The text of a document, None where it has none to speak of, and what was left out of it."""

    text: str | None
    notes: tuple[str, ...] = ()


def extract(data: bytes, kind: str, name: str) -> Extract:
    """The text of a document. Raises InputError that calls it `name`."""
    # -P: a file of the current folder must not stand in for a library; -I would lose the place of gemx itself.
    command = [sys.executable, "-P", "-c", _program(), kind]
    try:
        found = json.loads(processes.output_of(command, SECONDS[kind], data))
    except (processes.FailedError, ValueError) as exc:
        raise InputError(f"{name} cannot be read as {_KINDS[kind]}: {exc}", hint=_SPLIT) from exc
    if "refused" in found:
        raise InputError(f"{name} {found['refused']}", hint=found["hint"])
    return Extract(found["text"], tuple(found["notes"]))


def _program() -> str:
    root = str(Path(__file__).parents[2])
    return f"import sys; sys.path.insert(0, {root!r}); from gemx.documents import extraction; extraction.main()"


def main() -> None:
    """The process: one document from stdin, its extract or refusal to stdout."""
    kind = sys.argv[1]
    _bound(int(SECONDS[kind]))
    try:
        extract = _read(sys.stdin.buffer.read(), kind)
        if len(extract.text or "") > MOST_CHARACTERS:
            raise RefusedError(f"holds more than {MOST_CHARACTERS // 1_000_000} million characters", _SPLIT)
        answer = asdict(extract)
    except RefusedError as exc:
        answer = {"refused": exc.message, "hint": exc.hint}
    except MemoryError:
        answer = {"refused": f"takes too much memory to read as {_KINDS[kind]}", "hint": _SPLIT}
    except Exception:
        # Parsers of foreign formats fail on damaged ones with whatever their code ran into.
        hint = "open it and save it anew, or save it as text"
        answer = {"refused": f"cannot be read as {_KINDS[kind]}: it is damaged, or unpacks to too much", "hint": hint}
    print(json.dumps(answer))


def _read(data: bytes, kind: str) -> Extract:
    if kind == "pdf":
        from gemx.documents import pdf

        return pdf.read(data)
    if kind == "docx":
        from gemx.documents import docx

        return docx.read(data)
    from gemx.documents import html

    text = html.to_markdown(data.decode())
    if not text.strip():
        hint = "a script may write it: open it in a browser, save it as PDF, and give that"
        raise RefusedError("has no text", hint)
    return Extract(text)


def _bound(seconds: int) -> None:
    import resource

    sys.setrecursionlimit(3000)
    # Not every system takes these; the parent's clock holds everywhere.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
