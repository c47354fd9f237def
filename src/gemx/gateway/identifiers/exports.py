"""The values of keys in JSON, YAML, `key=value` and XML, where the key says what they are.

It knows where a value begins and ends behind its key, and what may be a name as the value of such a key. What a key
says is in `keys`; heads of columns are in `tables`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gemx.gateway.identifiers.digits import digits_of
from gemx.gateway.identifiers.keys import Role, role_of
from gemx.gateway.identifiers.labels import VALUES
from gemx.gateway.identifiers.page import Hit, Page
from gemx.gateway.identifiers.wordlists import wordlist

_ASSIGNED_KEY = re.compile(r"(?<![A-Za-z0-9_])(?P<key>[A-Za-z][A-Za-z0-9_-]{1,40}+)(?=[\"'*`]{0,3} {0,20}[:=])")
_TAG = re.compile(r"<(?:[A-Za-z][A-Za-z0-9_.-]{0,19}:)?(?P<key>[A-Za-z][A-Za-z0-9_-]{1,40}+)(?=[\s>])")
_ASSIGNED = re.compile(r"[\"'*`]{0,3} {0,20}(?:=>|[:=])[ \t*]{0,20}(?P<open>\[?\s{0,40}[\"'`]{0,3})")
_IN_TAG = re.compile(r"\s{1,4}value\s?=\s?(?P<open>[\"'])|(?:\s[^<>]{0,200})?>(?P<text>)\s{0,40}(?:<!\[CDATA\[)?")

_WORD = r"[A-Za-z](?:[A-Za-z]|['-](?=[A-Za-z])){0,30}+\.?"
_NAME = re.compile(rf"(?P<value>{_WORD}(?:(?:,? {{1,2}}|\^{{1,2}})(?:{_WORD}|[0-9]{{1,2}})){{0,9}})(?![A-Za-z0-9])")
_END = re.compile(r"[\^\s]{0,4}(?:[\"'`<\n,;|}\])#&]|$)")
_QUOTES = ("'", '"', "`")
_NEXT = re.compile(r"[\"']\s{0,40},\s{0,40}[\"']")
_PARTICLES = ("da", "de", "do", "das", "dos", "e", "d", "del", "di", "van", "von")
_CAPITAL = re.compile(r"[A-Z][a-z]+(?:['-][A-Z]?[a-z]+)*|[A-Z][A-Z'-]+")

_RECORD = re.compile(r"(?P<value>[A-Za-z0-9](?:[A-Za-z0-9]|[./-](?=[A-Za-z0-9])){1,39}+)(?![:@_])")
_NO_RECORD = re.compile(
    r"[0-9]{1,12}L|[0-9]{1,3}\.[0-9]{1,2}|[0-3]?[0-9][/.-][01]?[0-9][/.-](?:[0-9]{2}){1,2}|"
    r"(?:19|20)[0-9]{2}[/.-][01][0-9][/.-][0-3][0-9].*"
)

# What else a person's object, element or line has.
_SIBLING = re.compile(
    r"(?<![a-z])(?:cpf|cns|[a-z]{0,4}_?nasc(?:imento)?|birth_?date|prontuario|mrn|sexo|gender|idade|telefone|celular|"
    r"(?:nome|nm)_?mae)[\"'`]{0,2} {0,9}[:=>]|"
    r"(?:\"|<|:)(?:paciente|patient|beneficiario)(?:\"\s{0,9}:\s{0,40}\{|[ >])|"
    r"\"resourcetype\"\s{0,9}:\s{0,9}\"patient\""
)
_AROUND = 240


def keyed(page: Page) -> Iterator[Hit]:
    """The values behind the keys of the page."""
    for keys, gap in ((_ASSIGNED_KEY, _ASSIGNED), (_TAG, _IN_TAG)):
        for key in keys.finditer(page.cased):
            role = role_of(key["key"])
            if role:
                yield from _behind(page, key, gap.match(page.cased, key.end()), role)


def _behind(page: Page, key: re.Match[str], gap: re.Match[str] | None, role: Role) -> Iterator[Hit]:
    if not gap:
        return
    if role not in ("name", "weak_name", "given"):
        if hit := number_at(page, gap.end(), role):
            yield hit
    elif role == "name" or _is_personal(page, key, gap, role):
        at: int | None = gap.end()
        while at is not None and (hit := name_at(page, at, part=role == "given")) and _is_enough(page, hit, role):
            yield hit
            further = _NEXT.match(page.cased, hit.end) if role == "given" else None
            at = further.end() if further else None


def _is_personal(page: Page, key: re.Match[str], gap: re.Match[str], role: Role) -> bool:
    """Whether a key that is not only a person's is here: by what is beside it, or by a frequent first name."""
    after = page.cased[key.end() : key.end() + 1]
    if after in _QUOTES and page.cased[key.start() - 1 : key.start()] != after:  # the last word of a longer key
        return False
    around = page.lower[max(0, key.start() - _AROUND) : key.end() + _AROUND]
    if role == "given":
        other = "given" if key["key"].lower() == "family" else "family"
        return f'"{other}"' in around or f"<{other} " in around or f":{other} " in around
    if not (gap.groupdict().get("open") or "text" in gap.groupdict()):  # neither quoted nor between tags
        return False
    first = re.match(r"[a-z']+(?= [a-z])", page.lower[gap.end() : gap.end() + 32])
    frequent = first and first[0] in wordlist("first_names") and key["key"].lower() not in ("name", "patient")
    return bool(frequent or _SIBLING.search(around.replace(key[0].lower(), "", 1)))


def _is_enough(page: Page, hit: Hit, role: Role) -> bool:
    """Two words behind a key that is not only a person's, or a frequent first name: a state has a `name`, too."""
    value = page.lower[hit.start : hit.end]
    return role != "weak_name" or " " in value or "^" in value or value in wordlist("first_names")


def name_at(page: Page, at: int, *, part: bool = False) -> Hit | None:
    """The name that is the whole value from here: two words or more in any case, or one with a capital.

    `part` takes any word: a family name, say.
    """
    match = _NAME.match(page.cased, at)
    end = _END.match(page.cased, match.end()) if match else None
    if not match or not end or not (is_name(match["value"]) or (part and _told(match["value"]))):
        return None
    quote = page.cased[at - 1 : at]
    return Hit("name", *match.span(), 2.6) if quote not in _QUOTES or end[0][-1:] == quote else None


def is_name(value: str) -> bool:
    """Whether the value of a key for names is one, and neither says that there is none nor describes the key."""
    told = _told(value)
    if len(told) == len(_words(value)) == 1:
        return bool(_CAPITAL.fullmatch(told[0])) or told[0] in wordlist("first_names")
    return len(told) >= 2 or any(word[0].isupper() for word in told)


def _words(value: str) -> list[str]:
    return [word for word in re.findall(r"[A-Za-z][A-Za-z'-]*", value) if word.lower() not in _PARTICLES]


def _told(value: str) -> list[str]:
    idle = wordlist("missing_names") | wordlist("no_names")
    return [word for word in _words(value) if word.lower() not in idle]


def number_at(page: Page, at: int, role: Role, end: int | None = None) -> Hit | None:
    """The number that stands here, as the role has it; where a cell ends, it ends there."""
    if role in ("", "name", "weak_name", "given"):
        return None
    pattern, text = (_RECORD, page.cased) if role == "record" else (VALUES[role], page.lower)
    match = pattern.match(text, at, len(text) if end is None else end)
    if not match or match.start("value") != at:
        return None
    digits = len(digits_of(match["value"]))
    if role == "record" and (digits < 3 or _NO_RECORD.fullmatch(match["value"])):
        return None
    if role == "rg" and not 5 <= digits <= 11:
        return None
    return Hit(role, at, match.end("value"), 4.0)
