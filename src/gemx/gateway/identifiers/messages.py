r"""The fixed places of messages and dumps: HL7 v2 segments, FHIR identifiers and names, DICOM attributes.

The fields are those of HL7 v2.5.1, chapter 3 (PID, NK1), 4 and 6 (GT1, IN1), as hexdocs.pm/hl7v2 (HL7v2.Segment.PID)
lists them: PID-3 the record, PID-5 the name, PID-7 the date of birth, PID-11 the address, PID-13 the phone. Systems of
identifiers in FHIR are those of RNDS (`http://rnds.saude.gov.br/fhir/r4/NamingSystem/cpf` and `/cns`) and others that
end alike. DICOM attributes are those of the patient module (PS3.3, C.7.1.1), as `dcmdump` and pydicom print them and as
DICOM JSON (PS3.18, F) has them. It knows nothing of other segments, resources and groups.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gemx.gateway.identifiers.digits import digits_of
from gemx.gateway.identifiers.exports import name_at
from gemx.gateway.identifiers.page import Hit, Kind, Page

# --- HL7 v2 ---

# Segments end with a carriage return, which may have become a space.
_SEGMENT = re.compile(r"(?<![^\s\"'`])(?P<name>PID|NK1|GT1|IN1|MRG)\|(?P<fields>[^\n]{0,4000})")
_NEXT_SEGMENT = re.compile(r" (?=[A-Z][A-Z0-9]{2}\|)")
_FIELDS: dict[str, dict[int, Kind]] = {
    "PID": {
        **dict.fromkeys((2, 3, 4, 18, 19, 20, 21), "record"), **dict.fromkeys((5, 6, 9), "name"), 7: "birth_date",
        11: "cep", 13: "phone", 14: "phone",
    },
    "NK1": {
        2: "name", 4: "cep", 5: "phone", 6: "phone", 12: "record", 16: "birth_date", 26: "name", 30: "name",
        31: "phone", 33: "record",
    },
    "GT1": {2: "record", 3: "name", 4: "name", 5: "cep", 6: "phone", 7: "phone", 8: "birth_date", 12: "record"},
    "IN1": {16: "name", 18: "birth_date", 19: "cep", 36: "record", 49: "record"},
    "MRG": {1: "record", 2: "record", 4: "record", 7: "name"},
}  # fmt: skip
_PATTERNS: dict[Kind, re.Pattern[str]] = {
    "record": re.compile(r"(?=[A-Za-z./ -]{0,20}[0-9])[A-Za-z0-9][A-Za-z0-9./ -]{1,39}"),
    "name": re.compile(
        r"(?=[^A-Za-z]{0,4}[A-Za-z]{2})[A-Za-z][A-Za-z' .-]*(?:\^[A-Za-z' .-]*[A-Za-z.])*(?![A-Za-z0-9_])"
    ),
    "birth_date": re.compile(r"(?:18|19|20)[0-9]{6}(?:[0-9]{2,6})?"),
    "phone": re.compile(r"[(+]?[0-9](?:[^~|]*[0-9])?"),
    "cep": re.compile(r"(?<=\^)[0-9]{5}-?[0-9]{3}(?=\^|$)"),
}


def _segments(page: Page) -> Iterator[Hit]:
    for segment in _SEGMENT.finditer(page.cased):
        fields, at = _NEXT_SEGMENT.split(segment["fields"], maxsplit=1)[0], segment.start("fields")
        kinds = _FIELDS[segment["name"]]
        for number, field in enumerate(fields.split("|"), 1):
            if number in kinds and field:
                yield from _repetitions(field, at, kinds[number])
            at += len(field) + 1


def _repetitions(field: str, at: int, kind: Kind) -> Iterator[Hit]:
    for repetition in field.split("~"):
        pattern = _PATTERNS[kind]
        match = pattern.search(repetition) if kind in ("cep", "phone") else pattern.match(repetition)
        if match and (kind != "phone" or len(digits_of(match[0])) >= 8):
            said = _document(repetition, match[0]) if kind == "record" else kind
            yield Hit(said, at + match.start(), at + match.end(), 4.5)
        at += len(repetition) + 1


def _document(repetition: str, value: str) -> Kind:
    """What kind of number it is, by its length and by what names its issuer."""
    digits, issuer = len(digits_of(value)), repetition.lower()
    return "cpf" if digits == 11 and "cpf" in issuer else "cns" if digits == 15 and "cns" in issuer else "record"


# --- FHIR ---

_OF_SYSTEM = (
    r"\"system\"\s{0,9}:\s{0,9}\"[^\"\s]{0,160}?(?P<system>cpf|cns|prontuario|mrn|/patient|/paciente)[^\"\s/]{0,20}\""
)
_OF_VALUE = r"\"value\"\s{0,9}:\s{0,9}\"(?P<value>[a-z0-9./-]{3,40})\""
_COMMA = r"\s{0,40},\s{0,40}"
_IDENTIFIERS = (re.compile(_OF_SYSTEM + _COMMA + _OF_VALUE), re.compile(_OF_VALUE + _COMMA + _OF_SYSTEM))
_TEXTS = re.compile(
    r"\"(?:name\"\s{0,9}:\s{0,40}\[?\s{0,40}\{[^{}\[\]]{0,120}?\"text|"
    r"(?:subject|patient)\"\s{0,9}:\s{0,40}\{[^{}\[\]]{0,200}?\"display)\"\s{0,9}:\s{0,9}\""
)
_SYSTEMS: dict[str, Kind] = {"cpf": "cpf", "cns": "cns"}


def _resources(page: Page) -> Iterator[Hit]:
    if '"system"' in page.lower:
        for pattern in _IDENTIFIERS:
            for match in pattern.finditer(page.lower):
                if len(digits_of(match["value"])) >= 3:
                    yield Hit(_SYSTEMS.get(match["system"], "record"), *match.span("value"), 4.2)
    for match in _TEXTS.finditer(page.lower):
        if hit := name_at(page, match.end()):
            yield hit


# --- DICOM ---

_ELEMENTS: dict[str, Kind] = {
    "0010": "name", "1001": "name", "1005": "name", "1060": "name", "0020": "record", "1000": "record",
    "0030": "birth_date", "2154": "phone",
}  # fmt: skip
_OF_ELEMENT = rf"(?P<element>{'|'.join(_ELEMENTS)})"
_ATTRIBUTES = (
    re.compile(
        rf"\(0010, ?{_OF_ELEMENT}\)(?: [A-Za-z][A-Za-z' ]{{2,60}}?)?[ -]{{1,40}}(?:PN|LO|DA|SH):? {{1,4}}[\['\"]?"
        r"(?P<value>[^\]\[\n'\"#|]{1,64}(?:'[^\]\[\n'\"#|]{1,40}(?=['\]]))?)"
    ),
    re.compile(
        rf"\"0010{_OF_ELEMENT}\"\s{{0,9}}:\s{{0,40}}\{{[^\[\]]{{0,60}}?\"Value\"\s{{0,9}}:\s{{0,40}}\[\s{{0,40}}"
        r"(?:\{\s{0,40}\"Alphabetic\"\s{0,9}:\s{0,9})?\"(?P<value>[^\"\n]{1,64})"
    ),
)


def _attributes(page: Page) -> Iterator[Hit]:
    for pattern in _ATTRIBUTES:
        for match in pattern.finditer(page.cased):
            value, kind = match["value"].rstrip(" ^"), _ELEMENTS[match["element"]]
            told = re.search("[A-Za-z]{2}" if kind == "name" else "[0-9]", value)
            if told and not value.startswith("("):  # (no value available)
                yield Hit(kind, match.start("value"), match.start("value") + len(value), 4.5)


def placed(page: Page) -> Iterator[Hit]:
    """What stands in those places."""
    yield from _segments(page)
    yield from _resources(page)
    yield from _attributes(page)
