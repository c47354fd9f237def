"""What Word shows of the parts of a DOCX: no hidden text, and nothing that a tracked change took away.

Runs in the process of `extraction`. Knows the marks of WordprocessingML, and nothing of how a text is written out.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.etree import ElementTree
from zipfile import ZipFile

Element = ElementTree.Element
W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_TEXTS = tuple(f"{W}{name}" for name in ("document", "hdr", "ftr", "footnotes", "endnotes"))
_STYLES = f"{W}styles"
_TAKEN = (f"{W}del", f"{W}moveFrom")
_CHANGED = (*_TAKEN, f"{W}ins", f"{W}moveTo", f"{W}cellDel", f"{W}cellIns")
# Of a hidden run what is no text stays: a field that begins in it may end elsewhere.
_NO_TEXT = (f"{W}rPr", f"{W}fldChar", f"{W}instrText")
_OFF = ("0", "false", "off")
_DEEPEST = 20  # so many styles rest on one another at most


@dataclass
class Shown:
    """The parts that hold text as they are shown, by name; what was found hidden, and whether changes were tracked."""

    parts: dict[str, Element] = field(default_factory=dict[str, Element])
    cut: set[str] = field(default_factory=set[str])
    hidden: bool = False
    tracked: bool = False

    def archive(self, original: ZipFile, data: bytes) -> bytes:
        """The document with its parts as they are shown."""
        if not self.cut:
            return data
        out = io.BytesIO()
        with ZipFile(out, "w") as copy:
            for name in dict.fromkeys(original.namelist()):
                if name in self.cut:
                    copy.writestr(name, ElementTree.tostring(self.parts[name], encoding="utf-8"))
                elif name.endswith((".xml", ".rels")):
                    copy.writestr(name, original.read(name))
        return out.getvalue()


def shown(archive: ZipFile) -> Shown:
    """The document, its headers, footers and notes, whatever their names are."""
    roots = dict(_roots(archive))
    styles = _Styles(next((root for root in roots.values() if root.tag == _STYLES), None))
    found = Shown(parts={name: root for name, root in roots.items() if root.tag in _TEXTS})
    for name, root in found.parts.items():
        found.tracked = found.tracked or any(each.tag in _CHANGED for each in root.iter())
        _cut(root, name, styles, found)
    return found


def _roots(archive: ZipFile) -> Iterator[tuple[str, Element]]:
    for name in dict.fromkeys(archive.namelist()):
        # One that is no XML is for its reader to refuse.
        with contextlib.suppress(ElementTree.ParseError):
            if name.endswith(".xml"):
                # expat has refused bombs of entities since 2.4.1, and fetches nothing.
                yield name, ElementTree.fromstring(archive.read(name))  # noqa: S314


def _cut(root: Element, name: str, styles: _Styles, found: Shown) -> None:
    """Take out what is not shown."""
    within: dict[Element, str | None] = {}
    for parent in root.iter():
        style = _value(parent, "pPr/pStyle") if parent.tag == f"{W}p" else within.pop(parent, None)
        for child in list(parent):
            within[child] = style
            taken, hidden = _is_taken(child, parent), _hidden(child, style, styles)
            for each in (child,) if taken else hidden:
                (parent if each is child else child).remove(each)
            if taken or hidden:
                found.cut.add(name)
            found.hidden = found.hidden or bool(hidden and not taken)


def _hidden(element: Element, paragraph: str | None, styles: _Styles) -> list[Element]:
    """What is not shown of a row, or of a run in a paragraph of this style."""
    if element.tag == f"{W}r" and _is_hidden(element, paragraph, styles):
        return [each for each in element if each.tag not in _NO_TEXT]
    return list(element) if element.tag == f"{W}tr" and _switch(element, "trPr/hidden") else []


def _is_taken(element: Element, parent: Element) -> bool:
    """Whether a tracked change took it away; among properties such a mark is of what they belong to."""
    if element.tag in _TAKEN:
        return not parent.tag.endswith("Pr")
    marks = {f"{W}tr": "trPr/del", f"{W}tc": "tcPr/cellDel"}
    return element.tag in marks and _found(element, marks[element.tag]) is not None


def _is_hidden(run: Element, paragraph: str | None, styles: _Styles) -> bool:
    said = _switch(run, "rPr/vanish")
    return styles.hide(paragraph, _value(run, "rPr/rStyle")) if said is None else said


class _Styles:
    """Which styles hide their text."""

    def __init__(self, root: Element | None) -> None:
        styles = list(root.iterfind(f"{W}style")) if root is not None else []
        self._known = {each.get(f"{W}styleId"): each for each in styles}
        plain = [each for each in styles if each.get(f"{W}type") == "paragraph" and each.get(f"{W}default") == "1"]
        self._plain = plain[0] if plain else None
        self._all = root is not None and bool(_switch(root, "docDefaults/rPrDefault/rPr/vanish"))

    def hide(self, paragraph: str | None, character: str | None) -> bool:
        """Whether a text in these styles is hidden: where both hide it, they turn each other off."""
        outer = self._known.get(paragraph, self._plain) if paragraph else self._plain
        return self._all or self._hides(outer) != self._hides(self._known.get(character))

    def _hides(self, style: Element | None) -> bool:
        for _ in range(_DEEPEST):
            if style is None:
                break
            if (said := _switch(style, "rPr/vanish")) is not None:
                return said
            style = self._known.get(_value(style, "basedOn"))
        return False


def _switch(element: Element, path: str) -> bool | None:
    """What a mark below an element says; None where it is not there."""
    found = _found(element, path)
    return None if found is None else found.get(f"{W}val", "true") not in _OFF


def _value(element: Element, path: str) -> str | None:
    found = _found(element, path)
    return None if found is None else found.get(f"{W}val")


def _found(element: Element, path: str) -> Element | None:
    return element.find("/".join(f"{W}{step}" for step in path.split("/")))
