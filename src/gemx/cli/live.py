"""An answer that is still coming, as Markdown on a terminal: whole in the scrollback, however long it is.

A block that is finished is printed once and for all; only the last one is painted again, its end alone where it is
taller than the screen. Not `rich.live`, which cuts what is taller, hides the cursor and takes stderr over.
"""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from io import StringIO
from itertools import pairwise
from typing import TYPE_CHECKING, TextIO

from gemx.sanitize import printable

if TYPE_CHECKING:
    from markdown_it.token import Token
    from rich.console import Console

_SECONDS = 0.125
_SIZE = os.terminal_size((80, 24))
_TRAILING = re.compile(r"(?: |\x1b\[[0-9;]*m)+$")
_ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
_FENCE = re.compile(r"^[ >*+\-\d.)]*(?:```|~~~).*$", re.MULTILINE)
# What Rich would drop or resolve: tags, definitions, pictures, and characters in disguise. They are shown as written.
_AS_WRITTEN = ("html_block", "html_inline", "reference", "image", "entity", "autolink")


class LiveMarkdown:
    """The pieces of an answer on a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._text = ""
        self._painted: list[str] = []
        self._printed = False
        self._due = 0.0

    def add(self, text: str) -> None:
        """The next piece: painted now, or with a later one where the terminal was painted a moment ago."""
        self._text += printable(text)
        started = time.monotonic()
        if started < self._due:
            return
        self._paint()
        now = time.monotonic()
        # A long block takes long to render, and the answer must not wait for its picture.
        self._due = now + max(_SECONDS, 4 * (now - started))

    def hide(self) -> None:
        """Make room for a line of somebody else; the next piece is painted below it."""
        self._replace([], [])

    def end(self) -> None:
        """Print what is left, whole."""
        width = _size(self._stream).columns
        self._replace([line for block in _blocks(self._text) for line in self._finished(block, width)], [])
        self._text = ""

    def _paint(self) -> None:
        size = _size(self._stream)
        # An unfinished line may still turn out to belong to the block before it.
        finished = list(_blocks(self._text[: self._text.rfind("\n") + 1]))[:-1]
        rest = self._text[sum(map(len, finished)) :]
        done = [line for block in finished for line in self._finished(block, size.columns)]
        alive = [line for block in _blocks(rest) for line in self._spaced(rendered(block, size.columns))]
        self._replace(done, alive[-max(1, size.lines - 2) :])
        # Not before it is painted: what an interrupt keeps from the screen is printed at the end.
        self._text = rest

    def _finished(self, block: str, width: int) -> list[str]:
        lines = self._spaced(rendered(block, width))
        self._printed = self._printed or bool(lines)
        return lines

    def _spaced(self, lines: list[str]) -> list[str]:
        return ["", *lines] if lines and self._printed else lines

    def _replace(self, done: list[str], alive: list[str]) -> None:
        """Put lines in the place of those painted last; those that are the same already stay untouched."""
        lines, old = [*done, *alive], self._painted
        same = 0
        while same < min(len(lines), len(old)) and lines[same] == old[same]:
            same += 1
        up = f"\x1b[{len(old) - same}A\r" if len(old) > same else ""
        # Line by line, and never the whole screen: terminals keep a copy of one that is erased in their scrollback.
        text = up + "".join(f"\x1b[K{line}\n" for line in lines[same:]) + ("\x1b[J" if len(lines) < len(old) else "")
        # An interrupt in between must not leave a number of lines that erases what is above them.
        self._painted = []
        self._stream.write(text)
        self._stream.flush()
        self._painted = alive


def rendered(block: str, width: int) -> list[str]:
    """The lines of one block of Markdown; as it was written where a rendering would lose any of it."""
    from rich.markdown import Markdown
    from rich.text import Text

    source = block.strip("\n")
    if not source.strip():
        return []
    markdown = Markdown("", code_theme="ansi_dark", hyperlinks=False)
    markdown.parsed = _kept_breaks(_parsed(source + "\n"))
    try:
        lines = _lines(_console(width), markdown)
    except Exception:
        # The answer is paid for: no fault of a renderer may keep it from the screen.
        lines = []
    if _words(_FENCE.sub("", source)) - _words(_ESCAPE.sub("", "".join(lines))):
        return _lines(_console(width), Text(source, overflow="fold"))
    return lines


def _blocks(text: str) -> Iterator[str]:
    """The text cut where a block of Markdown begins; nothing of it is left out."""
    lines = re.findall(r"[^\n]*\n|[^\n]+", text)
    starts = [token.map[0] for token in _parsed(text) if token.map and token.level == 0 and token.nesting >= 0]
    bounds = [0, *starts[1:], len(lines)]
    yield from (block for first, last in pairwise(bounds) if (block := "".join(lines[first:last])))


def _parsed(text: str) -> list[Token]:
    from markdown_it import MarkdownIt

    return MarkdownIt().enable(["strikethrough", "table"]).disable(list(_AS_WRITTEN)).parse(text)


def _kept_breaks(tokens: Sequence[Token]) -> list[Token]:
    """The tokens, with the lines of a paragraph as they were written: models put one finding on each."""
    for token in tokens:
        for child in token.children or ():
            child.type = "hardbreak" if child.type == "softbreak" else child.type
    return list(tokens)


def _console(width: int) -> Console:
    from rich.console import Console

    return Console(
        file=StringIO(),
        width=width,
        force_terminal=True,
        legacy_windows=False,
        markup=False,
        emoji=False,
        highlight=False,
    )


def _lines(console: Console, renderable: object) -> list[str]:
    with console.capture() as capture:
        console.print(renderable)
    lines = [_trimmed(line) for line in capture.get().split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    while lines and not lines[0]:
        lines.pop(0)
    return lines


def _trimmed(line: str) -> str:
    """Without the spaces that fill a line up: they would wrap where the terminal becomes narrower."""
    trimmed = _TRAILING.sub("", line)
    return f"{trimmed}\x1b[0m" if "\x1b" in trimmed else trimmed


def _words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w", text))


def _size(stream: TextIO) -> os.terminal_size:
    try:
        size = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        return _SIZE
    return size if size.columns > 1 and size.lines > 1 else _SIZE
