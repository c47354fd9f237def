"""What a label says of the value behind it, on its line or the next.

It knows labels as Brazilian hospitals write them, and what may stand between them and their values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from gemx.gateway.identifiers.births import LABELLED_DATE
from gemx.gateway.identifiers.digits import ENDS, GAP, UNIT, digits_of
from gemx.gateway.identifiers.page import Hit, Kind, Page
from gemx.gateway.identifiers.shapes import MOBILE, is_no_range

_NUMBER_SIGN = (
    r"(?:(?:n[or]?s?|num(?:ero)?|cod(?:igo)?|id)?[º.]{1,3}|#|(?:n[or]?|num(?:ero)?|cod(?:igo)?|id)(?![a-z0-9]))"
)
_OF_RECORD = (
    r"(?:[ ._/]{0,3}(?:d[oae]s?|hosp(?:italar)?|medico|eletr(?:onico)?|paciente|pcte|pac|hc(?=[ :])|interno|unico|"
    r"geral|atual|"
    r"antigo|fisico|digital|clinico|\([a-z]{1,12}\)|unidade|hospital|plano|convenio|saude|titular|internacao|"
    r"atendimento|same|prontuario)(?![a-z])\.?){0,4}"
)
_RECORD_VALUE = (
    r"(?P<value>(?:[a-z]{1,4}[./-]?)?"
    r"(?:[0-9]{1,3}(?: [0-9]{3}){1,3}|[0-9]{2}(?: [0-9]{2}){2,3}|[0-9]+(?:[./-][0-9]+){0,5})(?![0-9])"
    r"(?:[a-z]{1,2}(?![a-z0-9])| ?[-/] ?[0-9x](?![a-z0-9])(?! ?(?:anos?|a|meses|dias)(?![a-z]))|"
    r"-[a-z]{1,2}(?![a-z0-9]))?)"
)
_BETWEEN = r"[\s:;=|*\"'`(),>/_.#\[{-]{0,10}"
RECORD_GAP = rf"{_OF_RECORD}{_BETWEEN}(?P<sign>{_NUMBER_SIGN}{_BETWEEN})?"
_RECORD = re.compile(rf"(?P<gap>{RECORD_GAP}){_RECORD_VALUE}", re.ASCII)

LABELS = {
    "cpf": r"cpfs?(?:/mf)?|c\.p\.f|cadastro de pessoas? fisicas?|cic",
    "cns": (
        r"cns|c\.n\.s|(?:cartao|carteira|cart\.?)(?: nac(?:ional|\.)?)?(?: d[eo])? ?(?:sus|saude)|cartao nacional|sus"
    ),
    "cep": r"cep|c\.e\.p|cod(?:igo|\.)? postal",
    "phone": (
        r"(?:tel(?:s|ef|efones?)?|fones?|cel(?:s|ulares|ular)?|zap(?:zap)?|whats(?: ?app?)?|wh?a?pp|recados?(?: com)?|"
        r"fax|ligar|falar com|contatos?|phone|mobile)(?: ?[(]?[1-9][)]?(?= ?[:=.)-]))?"
    ),
    "birth_date": (
        r"dn|ddn|d\. ?n|d/n|d\. nasc|(?:data|dta?|dat)[ ._]{0,2}(?:d[eo]?[ ._]{1,2})?nas(?:c|cim|cto|cimento)?|"
        r"nasc(?:im|to|imento|id[oa]|eu)?|aniversario|dob|birth ?date|date of birth"
    ),
    "strong_record": (
        r"prontuarios?|pront|prt|r\.?g\.?h\.?c|mrn|s\.a\.m\.e|same|matriculas?|matr?|aih|carteirinha|"
        r"(?:n[ºo.]{0,3}|num(?:ero)?|cod(?:igo|\.)?|id|registro|reg\.?|ficha)[ _]?(?:d[oae])?[ _]"
        r"(?:paciente|pcte|pac|carteirinha|carteira)|"
        r"registro hospitalar|paciente(?= {0,2}(?:n[ºo.]|#|id|cod|num))|patient id|rh"
    ),
    "rg": r"rgs?|r\.g|registro geral|identidade",
    "record": r"registros?|reg|atendimentos?|atend?|internac(?:ao|oes)|int(?:ern)?|ficha|passagem|bam|guia|conta",
}
LABEL = re.compile(
    rf"(?<![a-z0-9])(?:{'|'.join(f'(?P<{name}>{pattern})' for name, pattern in LABELS.items())})(?![a-z])", re.ASCII
)


def _value(pattern: str, gap: str) -> re.Pattern[str]:
    return re.compile(rf"(?P<gap>{gap})(?P<value>{pattern})", re.ASCII)


_LOOSE = r"[^0-9]{0,42}+"
VALUES = {
    "cpf": _value(r"[0-9](?: {0,2}[.,/_-]?\s{0,2}[0-9]){8,10}(?![0-9])", _LOOSE),
    "cns": _value(r"[0-9](?: {0,2}[./-]?\s{0,2}[0-9]){12,14}(?![0-9])", _LOOSE),
    "rg": _value(r"[0-9]{1,3}(?: ?[.-]? ?[0-9]{1,3}){1,5}(?: ?[/.-] ?[0-9x](?![a-z0-9]))?(?![0-9])", _LOOSE),
    "cep": _value(rf"[0-9](?: {{0,2}}[.-]? {{0,2}}[0-9]){{7}}{ENDS}(?![/-][0-9])", _LOOSE),
    "phone": _value(
        rf"(?:\+? ?55{GAP})?"
        r"(?:\( {0,2}(?:0 ?(?:xx|\*\*)?)?[1-9][0-9] {0,2}\)[ ./-]{0,3}|(?:0(?:xx)?)?[1-9][0-9][ ./-]{0,3})?"
        rf"(?:{MOBILE}|[0-9]{{4}}{GAP}[0-9]{{4}}|9[0-9]{{2}}[ .-][0-9]{{3}}[ .-][0-9]{{3}}|[0-9]{{3}}[ .-][0-9]{{4}}|"
        r"[0-9](?: [0-9]){7,8})(?![0-9])",
        r"[^0-9]{0,42}?",
    ),
    "birth_date": _value(LABELLED_DATE, r"[^0-9]{0,44}?"),
    "strong_record": _RECORD,
    "record": _RECORD,
}
_OTHER_EVENT = re.compile(
    r"(?<![a-z])(?:intern|admi[ts]|alta|obito|exame|colet|consult|retorn|cirurg|operad|vacin|diagn|inici|sintom|tratad|"
    r"avalia|atend|transf|evolu|ultim|hoje|dum|dpp)"
)
_COUNCIL = re.compile(
    r"(?:crm|cro|coren|crf|crefito|crp|crn|crbm|crfa|cress|rqe|conselho|anvisa|ms)[^a-z]{0,4}(?:[a-z]{2}[^a-z]{0,4})?$"
)
_FULL_DATE = re.compile(
    r"[0-3]?[0-9]/[01]?[0-9](?:/(?:[0-9]{2}){1,2})?|[0-3]?[0-9][.-][01]?[0-9][.-](?:19|20)[0-9]{2}|"
    r"(?:19|20)[0-9]{2}-[01][0-9]-[0-3][0-9]"
)
_CLOCK = re.compile(r":[0-9]| ?h(?:s|rs?|oras)?(?![a-z])")
_NEXT_PHONE = re.compile(r"\s{0,2}(?:[/,;|]|ou|e)\s{0,2}(?=[0-9(+])")
_DENIED = re.compile(r"(?<![a-z])(?:nao|sem|ignorad[oa]|desconhecid[oa])(?![a-z])[^.;,\n]*[.;,\n]|\n[^\n]*\n[^\n]*\n")


def labelled(page: Page) -> Iterator[Hit]:
    """The values that stand behind their labels."""
    for label in LABEL.finditer(page.lower):
        name = label.lastgroup or ""
        value = VALUES[name].match(page.lower, label.end())
        if value and not _DENIED.search(value["gap"]) and _LABEL_TESTS[name](page, label, value):
            # Of two labels before a number the nearer one says what it is.
            certainty = 3.5 - len(value["gap"]) / 100 - (name == "cpf" and len(digits_of(value["value"])) != 11)
            yield Hit(KINDS[name], value.start("value"), value.end("value"), certainty)
            if name == "phone":
                yield from _more_phones(page, value.end())


def _more_phones(page: Page, at: int) -> Iterator[Hit]:
    """The further numbers of `tel.: 3222-1010 / 3222-1011`."""
    while gap := _NEXT_PHONE.match(page.lower, at):
        value = VALUES["phone"].match(page.lower, gap.end())
        if not value or value.start("value") != gap.end() or UNIT.match(page.lower, value.end()):
            return
        at = value.end()
        yield Hit("phone", value.start("value"), at, 2.9)


_LabelTest = Callable[[Page, re.Match[str], re.Match[str]], bool]


def _says_so(_page: Page, _label: re.Match[str], _value: re.Match[str]) -> bool:
    return True


def _is_phone(page: Page, label: re.Match[str], value: re.Match[str]) -> bool:
    """Directly behind its label any number is one; with words between, or behind `contato`, no range or amount is."""
    if label[0].startswith("contato") and not _is_contact(page, label, value):
        return False
    adjacent = not any(char.isalpha() for char in value["gap"]) and label[0] != "contato"
    return (adjacent or is_no_range(page, value)) and not _FULL_DATE.match(page.lower, value.start("value"))


def _is_contact(page: Page, label: re.Match[str], value: re.Match[str]) -> bool:
    """`Contato:` as in a register, and not as in isolation, lenses or a sick relative."""
    isolation = re.search(
        r"(?:isolamento|precauc(?:ao|oes)|dermatite|lentes?|caso)[^.\n]{0,12}$",
        page.lower[max(0, label.start() - 30) : label.start()],
    )
    return not isolation and not value["gap"].startswith(" com ")


def _is_rg(_page: Page, _label: re.Match[str], value: re.Match[str]) -> bool:
    return 5 <= len(digits_of(value["value"])) <= 11


def _is_birth(_page: Page, _label: re.Match[str], value: re.Match[str]) -> bool:
    return not _OTHER_EVENT.search(value["gap"])


def _is_number(page: Page, value: re.Match[str]) -> bool:
    """A number as such, and no date, time or amount."""
    end = value.end("value")
    return not (_FULL_DATE.fullmatch(value["value"]) or _CLOCK.match(page.lower, end))


def _is_strong_record(page: Page, label: re.Match[str], value: re.Match[str]) -> bool:
    digits = len(digits_of(value["value"]))
    enough = 3 if label[0] not in ("mat", "matr", "same", "rh") else 4
    told = value["sign"] or ":" in value["gap"]
    year = re.fullmatch(r"(?:19|20)[0-9]{2}", value["value"]) and not told
    if label[0] == "same" and not (told or page.cased[label.start()].isupper()):
        enough = 6 if not value["gap"].strip() else 99  # the English word
    return digits >= enough and not year and _is_number(page, value) and not _measured(page, value)


def _is_record(page: Page, label: re.Match[str], value: re.Match[str]) -> bool:
    enough = 3 if value["sign"] else 5
    return (
        len(digits_of(value["value"])) >= enough
        and _is_number(page, value)
        and not _measured(page, value)
        and "/" not in value["gap"] + page.lower[label.start() - 1 : label.start()]  # a path
        and not _COUNCIL.search(page.lower[max(0, label.start() - 16) : label.start()])
    )


def _measured(page: Page, value: re.Match[str]) -> bool:
    """An amount with its unit; a number of six digits has none, and what follows it begins something else."""
    return len(digits_of(value["value"])) < 6 and bool(UNIT.match(page.lower, value.end("value")))


_LABEL_TESTS: dict[str, _LabelTest] = {
    "cpf": _says_so,
    "cns": _says_so,
    "rg": _is_rg,
    "cep": _says_so,
    "phone": _is_phone,
    "birth_date": _is_birth,
    "strong_record": _is_strong_record,
    "record": _is_record,
}
KINDS: dict[str, Kind] = {
    "cpf": "cpf",
    "cns": "cns",
    "rg": "rg",
    "cep": "cep",
    "phone": "phone",
    "birth_date": "birth_date",
    "strong_record": "record",
    "record": "record",
}
