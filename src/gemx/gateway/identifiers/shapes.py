"""What needs no label, by its shape alone: CPF, CNS, telephone, CEP and e-mail.

It knows nothing of the words before a number, but those of an address before a CEP.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gemx.gateway.identifiers.digits import ALONE, ENDS, GAP, UNIT, cns_is_valid, cpf_is_valid, digits_of
from gemx.gateway.identifiers.page import Hit, Kind, Page

# The 67 area codes in use, as Anatel's timetable for the ninth digit lists them state by state (Resolution 553/2010:
# vcfaz.tv/2012/10/anatel-define-cronograma-de-implementao-do-nono-dgito-em-todo-pas/); that they are still 67:
# convergenciadigital.com.br, "Anatel muda DDDs em todo o país e reduz de 4 mil para 67 códigos" (2026).
_DDD = r"(?:1[1-9]|2[12478]|3[1-578]|4[1-9]|5[1345]|6[1-9]|7[134579]|8[1-9]|9[1-9])"
_APART = rf"{ALONE}(?<![a-z])"
_EIGHT = rf"[2-9][0-9]{{3}}{GAP}[0-9]{{4}}"
MOBILE = rf"9{GAP}[0-9]{{4}}{GAP}[0-9]{{4}}"
_STREET = re.compile(
    r"\b(?:rua|avenida|av\.|travessa|alameda|praca|estrada|rodovia|bairro|endereco|end\.|logradouro|residente|reside|"
    r"mora(?:dor|dora)?|condominio)(?![a-z])"
)
_STATE = re.compile(
    r"[/,(-] ?(?:ac|al|ap|am|ba|ce|df|es|go|ma|mt|ms|mg|pa|pb|pr|pe|pi|rj|rn|rs|ro|rr|sc|sp|se|to)\b[ ,.;)-]{1,4}$"
)

_Test = Callable[[Page, re.Match[str]], bool]


@dataclass(frozen=True)
class _Shape:
    kind: Kind
    pattern: re.Pattern[str]
    certainty: float
    test: _Test


def _always(_page: Page, _match: re.Match[str]) -> bool:
    return True


def _is_cpf(_page: Page, match: re.Match[str]) -> bool:
    return cpf_is_valid(digits_of(match[0]))


def _is_cns(_page: Page, match: re.Match[str]) -> bool:
    return cns_is_valid(digits_of(match[0]))


def is_no_range(page: Page, match: re.Match[str]) -> bool:
    """Not two amounts or years with a hyphen, such as `2000-3000 mL` after a number that could be an area code."""
    low, high = (int(digits_of(match[0])[-8:-4]), int(digits_of(match[0])[-4:]))
    years = all(1900 <= each <= 2100 for each in (low, high))
    rounded = low % 50 == 0 and high % 50 == 0
    return not (years or rounded or UNIT.match(page.lower, match.end()))


def _is_no_amount(page: Page, match: re.Match[str]) -> bool:
    return not UNIT.match(page.lower, match.end())


def _has_ten_digits(_page: Page, match: re.Match[str]) -> bool:
    return 10 <= len(digits_of(match[0])) <= 15


def _is_in_address(page: Page, match: re.Match[str]) -> bool:
    before = page.lower[max(0, match.start() - 70) : match.start()]
    return bool(_STATE.search(before) or (not match[0].isdigit() and _STREET.search(before)))


def _shape(kind: Kind, pattern: str, certainty: float, test: _Test = _always) -> _Shape:
    return _Shape(kind, re.compile(pattern, re.ASCII), certainty, test)


_SHAPES = (
    _shape("cpf", r"(?<![0-9])[0-9]{3} ?\.\s{0,2}[0-9]{3} ?\.\s{0,2}[0-9]{3} ?-\s{0,2}[0-9]{2}(?![0-9])", 2.6),
    _shape(
        "cpf",
        rf"{ALONE}[0-9]{{3}}(?P<gap>(?: ?[.-] ?| {{1,2}}|,|))[0-9]{{3}}(?P=gap)[0-9]{{3}}"
        rf"(?:{GAP}|[/,_]|\s)[0-9]{{2}}{ENDS}",
        2.5,
        _is_cpf,
    ),
    _shape("cpf", rf"{ALONE}(?<![0-9] )[0-9](?: [0-9]){{10}}(?! ?[0-9])", 2.5, _is_cpf),
    _shape(
        "cns",
        rf"{ALONE}[12789][0-9]{{2}}(?P<gap>(?: ?[.-] ?|\s{{1,2}}|))[0-9]{{4}}(?P=gap)[0-9]{{4}}(?P=gap)[0-9]{{4}}"
        rf"{ENDS}",
        3.6,
        _is_cns,
    ),
    _shape("cns", rf"{ALONE}(?<![0-9] )[12789](?: [0-9]){{14}}(?! ?[0-9])", 3.6, _is_cns),
    # +55 11 …, 0055 11 …
    _shape("phone", rf"(?<![0-9])(?:\+|00) ?55{GAP}\(? ?0?{_DDD} ?\)?{GAP}(?:{MOBILE}|{_EIGHT})(?![0-9])", 2.6),
    _shape("phone", rf"{ALONE}55[ .-]?\(?{_DDD}\)?[ .-]?9[ .-]?[0-9]{{4}}[ .-]?[0-9]{{4}}{ENDS}", 2.4),
    # (11) …, (011) …, (0xx11) …
    _shape(
        "phone",
        rf"\( {{0,2}}(?:0 ?(?:xx|\*\*|[0-9]{{2}} ?)?)?{_DDD} {{0,2}}\)\s{{0,2}}[.-]? ?(?:{MOBILE}|{_EIGHT})(?![0-9])",
        2.6,
    ),
    _shape("phone", rf"{_APART}0?{_DDD} {{0,2}}[./-]? {{0,2}}{MOBILE}{ENDS}", 2.3, _is_no_amount),
    _shape("phone", rf"{_APART}0?{_DDD}(?: ?[./-] ?| {{1,2}})[2-5][0-9]{{3}}[.-][0-9]{{4}}{ENDS}", 2.2, is_no_range),
    _shape("phone", rf"{_APART}9(?:[0-9]|[ .-][6-9])[0-9]{{3}}-[0-9]{{4}}{ENDS}", 2.1, _is_no_amount),
    _shape("phone", rf"{ALONE}0[3589]00[ .-]?[0-9]{{3}}[ .-]?[0-9]{{3,4}}{ENDS}", 2.2),
    _shape(
        "phone", r"\+[1-9][0-9]{0,2}[ .(-]{1,2}[0-9]{1,4}(?:[ .)-]{1,2}[0-9]{2,5}){1,4}(?![0-9])", 2.1, _has_ten_digits
    ),
    _shape("phone", r"\+[1-9][0-9]{10,14}(?![0-9])", 2.1),
    _shape("cep", rf"{_APART}(?!00)[0-9]{{2}}\.?[0-9]{{3}}-[0-9]{{3}}{ENDS}(?![/-][0-9])", 2.0, _is_no_amount),
    _shape("cep", rf"{_APART}(?!00)[0-9]{{2}}\.?[0-9]{{3}} ?[.-]? ?[0-9]{{3}}{ENDS}", 1.9, _is_in_address),
)


# Eight digits that may be of one number: none of the shapes has fewer, and text without them is passed over at once.
_CLUSTER = re.compile(r"[0-9](?:[\s().,/_*x+-]{0,8}+[0-9]){7,}+")


def shaped(page: Page) -> Iterator[Hit]:
    """Numbers that are what they are by their shape, their check digits or the address before them."""
    for cluster in _CLUSTER.finditer(page.lower):
        start, end = max(0, cluster.start() - 4), cluster.end() + 3
        for shape in _SHAPES:
            for match in shape.pattern.finditer(page.lower, start, end):
                if shape.test(page, match):
                    yield Hit(shape.kind, match.start(), match.end(), shape.certainty)


_AT = re.compile(r"@|(?<=[a-z0-9]) ?[\[(] ?(?:arroba|at) ?[\])] ?(?=[a-z0-9])|(?<=[a-z0-9]) (?:arroba|at) (?=[a-z0-9])")
_BEFORE_AT = re.compile(r"[a-z0-9](?:[a-z0-9._%+'-]{0,62}[a-z0-9_+-])?$")
_DOMAIN = re.compile(
    r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){1,6}[a-z]{2,24}(?![a-z0-9])|"
    r"[a-z0-9-]{2,40}(?:(?: ?\. ?| ?[\[(]? ?(?:ponto|dot) ?[\])]? ?)[a-z0-9-]{2,30}){0,3}?"
    r"(?: ?\. ?| ?[\[(]? ?(?:ponto|dot) ?[\])]? ?)(?:com|net|org|gov|edu|med|br)(?![a-z])"
    r"(?:(?: ?\. ?| ponto )br(?![a-z]))?|"
    r"(?:gmail|hotmail|outlook|yahoo|icloud|live|uol|bol|terra|ig|globo)(?![a-z0-9])"
)


def emails(page: Page) -> Iterator[Hit]:
    """E-mail addresses, those too that are spaced or spelled out."""
    for at in _AT.finditer(page.lower):
        spoken = at[0].strip(" ()[]") != "@"
        left = page.lower[max(0, at.start() - 66) : at.start()]
        before = _BEFORE_AT.search(left.rstrip(" ") if len(left) - len(left.rstrip(" ")) <= 2 else left)
        after = _DOMAIN.match(page.lower, at.end() + (page.lower[at.end() : at.end() + 1] == " "))
        if before and after and not (spoken and _is_prose(at[0], after[0])):
            start = at.start() - len(left) + before.start()
            yield Hit("email", start, after.end(), 2.8)


def _is_prose(at: str, domain: str) -> bool:
    """Words around `at` that are no address, as in `look at example.com`."""
    said = re.search(r" (?:ponto|dot) ", domain)
    return not said if at == " at " else not said and "." not in domain
