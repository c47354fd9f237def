"""Dates of birth: how dates are written, and that one beside an age which fits it is of a birth.

It knows no labels: those of a date of birth are among the others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gemx.gateway.identifiers.digits import ALONE, digits_of
from gemx.gateway.identifiers.page import Hit, Page

_MONTH = (
    r"(?:jan(?:eiro)?|fev(?:ereiro)?|mar(?:co)?|abr(?:il)?|mai(?:o)?|jun(?:ho)?|jul(?:ho)?|ago(?:sto)?|set(?:embro)?|"
    r"out(?:ubro)?|nov(?:embro)?|dez(?:embro)?)"
)
_YEAR = r"(?:1\.?[89][0-9]{2}|2\.?0[0-9]{2}|[0-9]{2})(?![0-9])"
DATE = (
    rf"(?:{ALONE}(?:"
    rf"[0-3]?[0-9](?P<sign> ?[/.-] ?)[01]?[0-9](?P=sign){_YEAR}(?!\.[0-9])|"
    r"(?:1[89]|20)[0-9]{2}[/.-][01]?[0-9][/.-][0-3]?[0-9](?![0-9])|"
    rf"[0-3]?[0-9][ºo]?\s?(?:de\s|[/.-])?\s?{_MONTH}\.?,?\s?(?:de\s|[/.-])?\s?{_YEAR}))"
)
# A label lets in dates that would be nothing without one.
LABELLED_DATE = (
    rf"(?:{DATE}|(?<![0-9])(?:[0-3]?[0-9] {{0,2}}[/.,-] {{0,2}}[0-3]?[0-9] {{0,2}}[/.,-] {{0,2}}{_YEAR}|"
    rf"[0-3]?[0-9] {{1,2}}[0-3]?[0-9] {{1,2}}{_YEAR}|[0-3][0-9][01][0-9](?:19|20)[0-9]{{2}}(?![0-9])|"
    rf"(?:1[89]|20)[0-9]{{2}} ?[/.-]? ?[01][0-9] ?[/.-]? ?[0-3][0-9](?![0-9])|"
    rf"[0-3]?[0-9]\s(?:do|de)\s[01]?[0-9]\s(?:do|de)\s{_YEAR}|[0-3]?[0-9] ?[/.-] ?[ivx]{{1,4}} ?[/.-] ?{_YEAR}|"
    rf"{_MONTH}(?:\sde\s|[ /.-])(?:19|20)[0-9]{{2}}(?![0-9])|[01]?[0-9]/(?:19|20)[0-9]{{2}}(?![0-9])))"
)

_DATES = re.compile(DATE, re.ASCII)
_AGE = r"(?P<age>[0-9]{1,3}) {0,2}(?:anos?|a)(?![a-z])"
_AGE_AFTER = re.compile(
    rf" {{0,2}}[(,/|-]{{0,2}} {{0,2}}(?:idade:? ?|com )?{_AGE}(?! (?:d[eo]|antes|depois|atras)(?![a-z]))"
)
_LIFE_AFTER = re.compile(r"\s{0,2}[(,;-]{0,2}\s{0,2}[0-9]{1,3} ?(?:dias?|d|meses|mes|m) de (?:vida|idade)(?![a-z])")
_SAID_AFTER = re.compile(
    r"\s{0,2}\(\s?(?:d\.?n\.?|d\.? ?nasc\w*\.?|data de nasc\w*\.?|dt\.? nasc\w*\.?|nasc\w*\.?)\s?\)"
)
_AGE_BEFORE = re.compile(
    rf"(?<![0-9,.])(?<!ha )(?<!por ){_AGE}[ ,/|()-]{{1,4}}"
    r"(?:(?:sexo )?(?:f|m|fem|masc|feminin[oa]|masculin[oa])[ ,/|()-]{1,4})?$"
)
_EVENT_BEFORE = re.compile(
    r"(?:\b(?:em|desde|dia|ate|apos|no|na|de|e|a|data)|\b(?:iam|avc|avci|avch|cirurgia|alta|internacao|admissao|exame|coleta|"
    r"obito|rx|tc|rm|ecg|eco|usg?|eda|atual|inicio|fim|consulta|retorno))[\s:(]{1,3}$"
)


def aged(page: Page) -> Iterator[Hit]:
    """Dates beside an age that fits them, or that the text itself calls dates of birth behind them."""
    for date in _DATES.finditer(page.lower):
        before = page.lower[max(0, date.start() - 40) : date.start()]
        if _SAID_AFTER.match(page.lower, date.end()) or _LIFE_AFTER.match(page.lower, date.end()):
            yield Hit("birth_date", date.start(), date.end(), 2.9)
        elif not _EVENT_BEFORE.search(before):
            ages = _AGE_AFTER.match(page.lower, date.end()), _AGE_BEFORE.search(before)
            if any(age and _fits(date[0], int(age["age"])) for age in ages):
                yield Hit("birth_date", date.start(), date.end(), 2.4)


def _fits(date: str, age: int) -> bool:
    """Whether who was born at this date had that age in this century: an admission does not fit its patient's age."""
    years = re.findall(r"[0-9]{4}", date.replace(".9", "9") if date.count(".") == 1 else date)
    candidates = [int(years[0])] if years else [century + int(digits_of(date)[-2:]) for century in (1900, 2000)]
    return any(2005 <= year + age <= 2040 for year in candidates)
