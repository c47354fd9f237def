"""Blocks to a format: plain text at a width, Markdown, self-contained HTML, or Rich for a terminal."""

from __future__ import annotations

import html
import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from gemx.automation.view import Block, Entries, Heading, Lines, Row, Rows, Title

if TYPE_CHECKING:
    from rich.console import Group

_INDENT = "  "
_NARROWEST = 20  # columns below which a last cell goes on lines of its own
_MARKDOWN_SPECIAL = str.maketrans({char: f"\\{char}" for char in "\\`*_{}[]<>#|~"})
# The view marks a wrong value so, with hard spaces that keep it on one line.
_STRUCK = re.compile(r"ERRO[\u00a0 ]~~(.+?)~~")
_LINE_START = re.compile(r"^(?P<number>\d*)(?P<mark>(?<=\d)[.)]|(?<!\d)[-+=])")
_TONES = {"plain": "", "muted": "dim", "warning": "yellow", "error": "bold red"}
_STYLE = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.4rem;margin-bottom:0} h1 small{font-weight:normal;opacity:.7;font-size:.9rem}
h2{font-size:1.05rem;border-bottom:1px solid #8886;margin-top:1.6rem}
h2.urgent{border-bottom:2px solid #c33}
table{border-collapse:collapse;width:100%} td{padding:.15rem .6rem .15rem 0;vertical-align:top}
td:first-child{font-weight:600} td:not(:last-child){white-space:nowrap}
del{color:#c22} .muted{opacity:.75} .warning{color:#a60} .error{color:#c22;font-weight:600}
li{margin:.35rem 0} li ul{list-style:none;padding-left:.5rem} li li{margin:0;opacity:.85}
@media(max-width:600px){td:not(:last-child){white-space:normal}}
@media print{body{margin:0;max-width:none}}
""".strip()


def to_text(page: Sequence[Block], width: int = 80) -> str:
    """Plain text of at most `width` columns."""
    lines = [line for block in page for line in _TEXT[type(block)](block, width)]
    return "\n".join(lines).strip("\n") + "\n"


def to_markdown(page: Sequence[Block]) -> str:
    """Markdown in which the texts cannot become markup."""
    return "\n".join(line for block in page for line in _MARKDOWN[type(block)](block)).strip("\n") + "\n"


def to_html(page: Sequence[Block]) -> str:
    """A page of its own: no script, no network, every text escaped."""
    title = next((block.text for block in page if isinstance(block, Title)), "gemx")
    body = "\n".join(line for block in page for line in _HTML[type(block)](block))
    return (
        f'<!doctype html>\n<html lang="pt-BR">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{html.escape(title)}</title>\n'
        f"<style>\n{_STYLE}\n</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def to_rich(page: Sequence[Block], width: int = 80) -> Group:
    """The plain text's lines, with colour: a terminal and a pipe show the same words in the same places."""
    from rich.console import Group
    from rich.text import Text

    lines: list[Text] = []
    for block in page:
        style = _style(block)
        for line in _TEXT[type(block)](block, width):
            text = Text(line, style=style)
            text.highlight_regex(r"\[\d+(?:, \d+)*\]$", "cyan")
            for wrong in _STRUCK.finditer(line):
                text.stylize("bold red", wrong.start(), wrong.start(1) - 2)
                text.stylize("red strike", wrong.start(1), wrong.end(1))
            lines.append(text)
    return Group(*lines)


def _style(block: Block) -> str:
    if isinstance(block, Title):
        return "bold"
    if isinstance(block, Heading):
        return "bold red" if block.urgent else "bold cyan"
    return _TONES[block.tone] if isinstance(block, Lines) else ""


def _wrapped(text: str, width: int, first: str = "", rest: str = "") -> list[str]:
    lines = textwrap.wrap(text, width, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)
    return [line.replace("\u00a0", " ") for line in lines] or [""]


def _text_title(block: Title, width: int) -> Iterator[str]:
    gap = width - len(block.text) - len(block.aside)
    if gap >= 2:
        yield f"{block.text}{' ' * gap}{block.aside}"
    else:
        yield from _wrapped(f"{block.text} ({block.aside})", width)


def _text_heading(block: Heading, width: int) -> Iterator[str]:
    if not block.urgent:
        yield ""
    yield from _wrapped(block.text.upper(), width)


def _text_lines(block: Lines, width: int) -> Iterator[str]:
    for line in block.lines:
        yield from _wrapped(line, width)


def _text_rows(block: Rows, width: int) -> Iterator[str]:
    columns = max((len(row.cells) for row in block.rows), default=0)
    widths = [max(len(row.cells[index]) for row in block.rows) for index in range(columns - 1)]
    for row in block.rows:
        head = _INDENT + "".join(f"{cell:<{size}}  " for cell, size in zip(row.cells, widths, strict=False))
        yield from _text_row(row, head, width, fit=block.fit)


def _text_row(row: Row, head: str, width: int, *, fit: bool) -> list[str]:
    last = f"{row.cells[-1]} {row.mark}".strip()
    if width - len(head) < _NARROWEST:
        below = _wrapped(last, width, "    ", "    ") if last else []
        return [*_wrapped(head.strip(), width, _INDENT, _INDENT), *below]
    if fit and len(head) + len(last) > width:
        return [head + last[: width - len(head) - 1].rstrip() + "…"]
    return _wrapped(last, width, head, " " * len(head)) if last else [head.rstrip()]


def _text_entries(block: Entries, width: int) -> Iterator[str]:
    for entry in block.entries:
        yield from _wrapped(entry.title, width, "• ", "  ")
        for detail in entry.details:
            yield from _wrapped(detail, width, "    ", "    ")


def _escaped(text: str) -> str:
    """The text as one line that cannot become a heading, a list, a rule or a table."""
    parts = _STRUCK.split(" ".join(text.split()))
    # Every second part is a struck value: `split` keeps the group.
    escaped = [part.translate(_MARKDOWN_SPECIAL) for part in parts]
    line = "".join(part if index % 2 == 0 else f"**ERRO** ~~{part}~~" for index, part in enumerate(escaped))
    return _LINE_START.sub(r"\g<number>\\\g<mark>", line)


def _html(text: str) -> str:
    """The text escaped, struck values as deleted ones."""
    parts = [html.escape(part) for part in _STRUCK.split(text)]
    struck = '<b class="error">ERRO</b> <del>{}</del>'
    return "".join(part if index % 2 == 0 else struck.format(part) for index, part in enumerate(parts))


def _markdown_title(block: Title) -> Iterator[str]:
    yield from (f"# {_escaped(block.text)}", "", _escaped(block.aside), "")


def _markdown_heading(block: Heading) -> Iterator[str]:
    yield from ("", f"## {_escaped(block.text)}", "")


def _markdown_lines(block: Lines) -> Iterator[str]:
    for line in block.lines:
        strong = "**" if block.tone in ("warning", "error") else ""
        yield from (f"{strong}{_escaped(line)}{strong}" if line else "", "")


def _markdown_rows(block: Rows) -> Iterator[str]:
    columns = max((len(row.cells) for row in block.rows), default=0)
    yield from ("| " + " | ".join([" "] * columns) + " |", "|" + " --- |" * columns)
    for row in block.rows:
        cells = [_escaped(cell) for cell in row.cells]
        cells[-1] = f"{cells[-1]} {_escaped(row.mark)}".strip()
        yield "| " + " | ".join(cells) + " |"


def _markdown_entries(block: Entries) -> Iterator[str]:
    for entry in block.entries:
        yield f"- {_escaped(entry.title)}"
        yield from (f"  - {_escaped(detail)}" for detail in entry.details)


def _html_title(block: Title) -> Iterator[str]:
    yield f"<h1>{_html(block.text)} <small>{_html(block.aside)}</small></h1>"


def _html_heading(block: Heading) -> Iterator[str]:
    urgent = ' class="urgent"' if block.urgent else ""
    yield f"<h2{urgent}>{_html(block.text)}</h2>"


def _html_lines(block: Lines) -> Iterator[str]:
    for line in block.lines:
        yield f'<p class="{block.tone}">{_html(line)}</p>'


def _html_rows(block: Rows) -> Iterator[str]:
    yield "<table>"
    for row in block.rows:
        cells = [_html(cell) for cell in row.cells]
        cells[-1] = f"{cells[-1]} <small>{_html(row.mark)}</small>" if row.mark else cells[-1]
        yield "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
    yield "</table>"


def _html_entries(block: Entries) -> Iterator[str]:
    yield "<ul>"
    for entry in block.entries:
        details = "".join(f"<li>{_html(detail)}</li>" for detail in entry.details)
        yield f"<li>{_html(entry.title)}{f'<ul>{details}</ul>' if details else ''}</li>"
    yield "</ul>"


_TEXT: dict[type, Callable[..., Iterator[str]]] = {
    Title: _text_title,
    Heading: _text_heading,
    Lines: _text_lines,
    Rows: _text_rows,
    Entries: _text_entries,
}
_MARKDOWN: dict[type, Callable[..., Iterator[str]]] = {
    Title: _markdown_title,
    Heading: _markdown_heading,
    Lines: _markdown_lines,
    Rows: _markdown_rows,
    Entries: _markdown_entries,
}
_HTML: dict[type, Callable[..., Iterator[str]]] = {
    Title: _html_title,
    Heading: _html_heading,
    Lines: _html_lines,
    Rows: _html_rows,
    Entries: _html_entries,
}
