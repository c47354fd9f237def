"""Write PDF and DOCX files for the tests, byte by byte: nothing of the readers makes what they read."""

from __future__ import annotations

import io
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from zipfile import ZIP_DEFLATED, ZipFile

_W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
_R = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


@dataclass(frozen=True)
class Page:
    """Lines of text, and the pictures shown (their sides in pixels)."""

    text: str = ""
    pictures: Sequence[int] = ()


def pdf(*pages: Page | str, form: Mapping[str, str] | None = None, extra: str = "") -> bytes:
    """A PDF; pictures of one size are one object, wherever they stand."""
    objects: list[bytes] = [b"", b"", _stream(b"", "/Type /Font", font=True)]
    drawn: dict[int, int] = {}
    kids: list[int] = []
    for page in (Page(each) if isinstance(each, str) else each for each in pages):
        for side in page.pictures:
            if side not in drawn:
                header = f"/Type /XObject /Subtype /Image /Width {side} /Height {side}"
                header += " /ColorSpace /DeviceGray /BitsPerComponent 8"
                objects.append(_stream(bytes(side * side), header))
                drawn[side] = len(objects)
        objects.append(_stream(_content(page), ""))
        shown = " ".join(f"/I{side} {drawn[side]} 0 R" for side in page.pictures)
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {len(objects)} 0 R "
            f"/Resources << /Font << /F1 3 0 R >> /XObject << {shown} >> >> >>".encode()
        )
        kids.append(len(objects))
    fields = _form(form or {}, objects)
    objects[0] = f"<< /Type /Catalog /Pages 2 0 R {fields} {extra} >>".encode()
    objects[1] = f"<< /Type /Pages /Count {len(kids)} /Kids [{' '.join(f'{n} 0 R' for n in kids)}] >>".encode()
    return assembled(objects)


def assembled(objects: Sequence[bytes]) -> bytes:
    """A PDF of these objects, the first of which is its catalogue."""
    out = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    places: list[int] = []
    for number, body in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(out)


def packed(data: bytes, header: str = "") -> bytes:
    """A stream that is compressed."""
    return _stream(zlib.compress(data, 9), f"/Filter /FlateDecode {header}")


def _form(form: Mapping[str, str], objects: list[bytes]) -> str:
    numbers: list[str] = []
    for name, value in form.items():
        objects.append(f"<< /FT /Tx /T ({name}) /V ({value}) >>".encode("cp1252"))
        numbers.append(f"{len(objects)} 0 R")
    return f"/AcroForm << /Fields [{' '.join(numbers)}] >>" if numbers else ""


def _content(page: Page) -> bytes:
    lines = [line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)") for line in page.text.split("\n")]
    shown = " ".join(f"({line}) Tj 0 -14 Td" for line in lines) if page.text else ""
    pictures = " ".join(f"q 100 0 0 100 50 50 cm /I{side} Do Q" for side in page.pictures)
    return f"BT /F1 11 Tf 50 780 Td {shown} ET {pictures}".encode("cp1252")


def _stream(data: bytes, header: str, *, font: bool = False) -> bytes:
    if font:
        return b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
    return b"<< %s /Length %d >>\nstream\n%s\nendstream" % (header.encode(), len(data), data)


def docx(body: str, more: Mapping[str, str | bytes] | None = None) -> bytes:
    """A DOCX whose document has this body; `more` are other parts by name under word/."""
    related = {
        "header1.xml": "header",
        "footer1.xml": "footer",
        "comments.xml": "comments",
        "footnotes.xml": "footnotes",
    }
    links = "".join(
        f'<Relationship Id="r{number}" Type="{_OFFICE}/{kind}" Target="{name}"/>'
        for number, (name, kind) in enumerate({**related, "styles.xml": "styles", "numbering.xml": "numbering"}.items())
        if name in {"styles.xml", "numbering.xml", *(more or {})}
    )
    parts: dict[str, str | bytes] = {
        "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="xml" ContentType="application/xml"/></Types>',
        "_rels/.rels": _links(f'<Relationship Id="r1" Type="{_OFFICE}/officeDocument" Target="word/document.xml"/>'),
        "word/document.xml": f"<w:document {_W} {_R}><w:body>{body}</w:body></w:document>",
        "word/_rels/document.xml.rels": _links(links),
        "word/styles.xml": _styles(),
        "word/numbering.xml": _numbering(),
        **{f"word/{name}": content for name, content in (more or {}).items()},
    }
    return archive(parts)


def archive(parts: Mapping[str, str | bytes]) -> bytes:
    """A ZIP file."""
    out = io.BytesIO()
    with ZipFile(out, "w", ZIP_DEFLATED) as file:
        for name, content in parts.items():
            file.writestr(name, content)
    return out.getvalue()


def part(kind: str, body: str) -> str:
    """The XML of a header, a footer, comments or footnotes."""
    return f"<w:{kind} {_W} {_R}>{body}</w:{kind}>"


def p(text: str, style: str = "", properties: str = "") -> str:
    """A paragraph."""
    named = f'<w:pStyle w:val="{style}"/>' if style else ""
    return f"<w:p><w:pPr>{named}{properties}</w:pPr>{run(text)}</w:p>"


def run(text: str, properties: str = "") -> str:
    """A run of text."""
    return f'<w:r><w:rPr>{properties}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>'


def item(text: str, list_id: int, level: int = 0) -> str:
    """An item of a list: 1 has bullets, 2 numbers."""
    return p(text, properties=f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{list_id}"/></w:numPr>')


def table(*rows: Sequence[str]) -> str:
    """A table."""
    lines = ("".join(f"<w:tc>{p(cell)}</w:tc>" for cell in row) for row in rows)
    return f"<w:tbl>{''.join(f'<w:tr>{line}</w:tr>' for line in lines)}</w:tbl>"


def _links(links: str) -> str:
    return (
        f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{links}</Relationships>'
    )


def _styles() -> str:
    # Word in Portuguese names the style in the file in English, and only its id in Portuguese.
    named = {"Ttulo1": "heading 1", "Ttulo2": "heading 2", "Ttulo": "Title"}
    styles = (
        f'<w:style w:type="paragraph" w:styleId="{key}"><w:name w:val="{name}"/></w:style>'
        for key, name in named.items()
    )
    return f"<w:styles {_W}>{''.join(styles)}</w:styles>"


def _numbering() -> str:
    def levels(form: str) -> str:
        return "".join(f'<w:lvl w:ilvl="{level}"><w:numFmt w:val="{form}"/></w:lvl>' for level in range(3))

    kinds = "".join(
        f'<w:abstractNum w:abstractNumId="{number}">{levels(form)}</w:abstractNum>'
        for number, form in ((1, "bullet"), (2, "decimal"))
    )
    uses = "".join(f'<w:num w:numId="{n}"><w:abstractNumId w:val="{n}"/></w:num>' for n in (1, 2))
    return f"<w:numbering {_W}>{kinds}{uses}</w:numbering>"
