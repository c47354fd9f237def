"""HTML to text that reads like Markdown; scripts, styles and navigation are left out. Runs in `extraction`'s process.

Links keep their words and lose their addresses. Knows not where the page comes from.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

_SKIPPED = frozenset(("script", "style", "template", "noscript", "svg", "nav", "iframe", "object", "select", "button"))
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_BLOCKS = frozenset(
    (
        *("p", "div", "section", "article", "main", "header", "footer", "aside", "address", "figure", "figcaption"),
        *("form", "fieldset", "dl", "dt", "dd", "blockquote", "hr", "details", "summary", "body"),
    )
)
_VOID = frozenset(("br", "hr", "img", "input", "meta", "link", "wbr", "col", "area", "base", "embed", "source"))
_CONTENT = ("body", "main", "article")
_STRUCK = ("s", "del", "strike")
_DEEPEST = 200
_WIDEST = 100
_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w.:-]{1,40})", re.IGNORECASE)


def declared_charset(data: bytes) -> str | None:
    """The character set that a page says it is in."""
    match = _CHARSET.search(data[:2048])
    # A page that can be read so far is not in UTF-16, whatever it says; so browsers have it.
    charset = match[1].decode("ascii", "ignore").lower() if match else None
    return "utf-8" if charset and charset.startswith("utf-16") else charset


def to_markdown(text: str) -> str:
    """The readable text of a page: headings, paragraphs, lists and tables."""
    page = _Page()
    page.feed(text)
    page.close()
    return page.text()


@dataclass
class _Cell:
    words: list[str] = field(default_factory=list[str])
    columns: int = 1
    rows: int = 1

    @property
    def text(self) -> str:
        """The words that stand in it."""
        return " ".join(self.words)


@dataclass
class _Table:
    rows: list[list[_Cell]] = field(default_factory=list[list[_Cell]])

    def markdown(self) -> str:
        rows = [row for row in self._grid() if any(row)]
        width = max((len(row) for row in rows), default=0)
        lines = [f"| {' | '.join(row + [''] * (width - len(row)))} |" for row in rows]
        return "\n".join([*lines[:1], "|" + " --- |" * width, *lines[1:]]) if len(rows) > 1 else "\n".join(lines)

    def flat(self) -> str:
        return "; ".join(", ".join(cell.text for cell in row if cell.text) for row in self.rows)

    def _grid(self) -> Iterator[list[str]]:
        """The rows with cells that span several in each of them, so that no value slips into another column."""
        held: dict[int, tuple[int, str]] = {}
        for row in self.rows:
            line: list[str] = []
            for cell in row:
                _fill(line, held)
                text = cell.text.replace("|", "\\|")
                if cell.rows > 1:
                    held |= {len(line) + index: (cell.rows, text) for index in range(cell.columns)}
                    _fill(line, held)
                else:
                    line += [text] + [""] * (cell.columns - 1)
            _fill(line, held)
            yield line


def _fill(line: list[str], held: dict[int, tuple[int, str]]) -> None:
    """Put into the row what stands in its next columns from rows above."""
    while (column := len(line)) in held:
        rows, text = held.pop(column)
        line.append(text)
        if rows > 1:
            held[column] = (rows - 1, text)


@dataclass
class _List:
    ordered: bool
    number: int = 0


class _Page(HTMLParser):
    """Collects blocks; a table within a table is flattened into the cell that it stands in."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._blocks: list[str] = []
        self._inline: list[str] = []
        self._has_words = False
        self._prefix = ""
        self._skipped: list[str] = []
        self._lists: list[_List] = []
        self._tables: list[_Table] = []
        self._preformatted = 0
        self._title: list[str] = []
        self._in_title = False

    def text(self) -> str:
        """All that was read."""
        while self._tables:
            self._end_table()
        self._end_block()
        blocks = self._blocks
        has_heading = any(block.startswith("# ") for block in blocks)
        title = " ".join("".join(self._title).split())
        if title and not has_heading:
            blocks = [f"# {title}", *blocks]
        # Items of a list stand together, and all else a line apart.
        text = "\n".join(f"{block}" if _is_item(block) else f"\n{block}\n" for block in blocks)
        return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin an element."""
        if tag in _CONTENT:
            self._skipped.clear()  # a menu that was never ended must not swallow the page
        if self._skipped or tag in _SKIPPED:
            if tag not in _VOID and len(self._skipped) < _DEEPEST:
                self._skipped.append(tag)
        elif tag == "title":
            self._in_title = True
        else:
            self._start(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        """End an element; one that was never begun ends nothing that is left out."""
        if tag in self._skipped:
            while self._skipped and self._skipped.pop() != tag:
                pass
        elif self._skipped:
            return
        elif tag == "title":
            self._in_title = False
        else:
            self._end(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element that is empty."""
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.handle_endtag(tag)

    def handle_data(self, data: str) -> None:
        """Text."""
        if self._in_title:
            self._title.append(data)
        elif not self._skipped:
            self._add(data)

    def _start(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _HEADINGS:
            self._begin("#" * int(tag[1]) + " ")
        elif tag in ("ul", "ol"):
            self._end_block()
            self._lists.append(_List(tag == "ol"))
        elif tag == "li":
            self._start_item()
        elif tag in ("table", "tr", "td", "th"):
            self._start_in_table(tag, attrs)
        elif tag == "pre":
            self._begin("")
            self._preformatted += 1
        elif tag in _BLOCKS:
            self._break()
        else:
            self._add(_sign(tag, attrs))

    def _end(self, tag: str) -> None:
        if tag in ("ul", "ol"):
            self._end_block()
            if self._lists:
                self._lists.pop()
        elif tag == "pre":
            self._end_block()
            self._preformatted = max(0, self._preformatted - 1)
        elif tag == "table" and self._tables:
            self._end_table()
        elif tag in _HEADINGS or tag == "li":
            self._end_block()
        elif tag in _BLOCKS:
            self._break()
        elif tag in ("td", "th"):
            self._end_cell()
        elif tag in _STRUCK:
            self._add("~~")

    def _start_item(self) -> None:
        current = self._lists[-1] if self._lists else _List(ordered=False)
        current.number += 1
        mark = f"{current.number}. " if current.ordered else "- "
        self._begin("  " * min(len(self._lists) - 1, 10) + mark)

    def _start_in_table(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self._end_block()
            self._tables.append(_Table())
        elif self._tables and tag == "tr":
            self._end_cell()
            self._end_caption()
            self._tables[-1].rows.append([])
        elif self._tables:
            self._end_cell()
            rows = self._tables[-1].rows or [[]]
            self._tables[-1].rows = rows
            rows[-1].append(_Cell([], _span(attrs, "colspan"), _span(attrs, "rowspan")))

    def _end_caption(self) -> None:
        if len(self._tables) == 1 and not self._tables[0].rows and (text := self._taken().strip()):
            self._blocks.append(text)

    def _end_cell(self) -> None:
        if self._tables and self._tables[-1].rows and self._tables[-1].rows[-1]:
            self._tables[-1].rows[-1][-1].words += self._taken().split()

    def _end_table(self) -> None:
        self._end_cell()
        table = self._tables.pop()
        if self._tables:
            self._add(f" {table.flat()} ")
        elif markdown := table.markdown():
            self._blocks.append(markdown)

    def _begin(self, prefix: str) -> None:
        self._end_block()
        if self._tables:
            self._add(" " + prefix.strip().strip("#") + " ")
        else:
            self._prefix = prefix

    def _break(self) -> None:
        """The bounds of a paragraph: in an item of a list that has no words yet, none."""
        if self._tables:
            self._add(" ")
        elif self._has_words:
            self._end_block()

    def _end_block(self) -> None:
        if self._tables:
            self._add(" ")
            return
        preformatted = self._preformatted > 0
        text = self._taken()
        if preformatted and text.strip():
            self._blocks.append(f"```\n{text.strip(chr(10))}\n```")
        elif text.strip():
            self._blocks.append(self._prefix + text.strip())
        self._prefix = "" if text.strip() or not self._lists else self._prefix

    def _add(self, text: str) -> None:
        # Kept here, and not looked for in all of the words: they are asked for at every bound of a paragraph.
        self._has_words = self._has_words or bool(text.strip())
        self._inline.append(text)

    def _taken(self) -> str:
        """The words that came since the last block, white space as a browser has it."""
        text = "".join(self._inline)
        self._inline.clear()
        self._has_words = False
        if self._preformatted:
            return text
        return re.sub(r" ?\x0b ?", "\n", re.sub(r"[ \t\n\r\f\xa0]+", " ", text))


def _is_item(block: str) -> bool:
    return re.match(r"\s*(-|\d+\.) ", block) is not None


def _span(attrs: list[tuple[str, str | None]], name: str) -> int:
    value = dict(attrs).get(name) or ""
    return max(1, min(int(value), _WIDEST)) if re.fullmatch("[0-9]{1,4}", value) else 1


def _sign(tag: str, attrs: list[tuple[str, str | None]]) -> str:
    """What stands for an element within a line: without it, 10⁹ would be 109, and what was struck out would hold."""
    if tag == "br":
        return "\x0b"
    if tag == "sup":
        return "^"
    if tag in _STRUCK:
        return "~~"
    alt = dict(attrs).get("alt") if tag == "img" else None
    return f"[imagem: {alt}]" if alt else ""
