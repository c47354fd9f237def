"""Names that a label announces, and those behind a title whose first word is a frequent first name.

It knows no name that nobody labelled, and not the patient's: what the request says of it is in `private`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gemx.gateway.identifiers.page import Hit, Page
from gemx.gateway.identifiers.wordlists import wordlist

_NOT_NAME = (
    r"(?!(?i:dn|cpf|rg|cns|cep|idade|sexo|leito|pront\w*|data|dt|tel\w*|fone|cel|nasc\w*|mae|pai|nome|filiacao|end\w*|"
    r"registro|reg|atend\w*|conv\w*|unidade|setor|medico|dr|dra|cor|raca|sus|anos|diagn\w*|quarto|enf\w*|uti|has|dm|dpoc|"
    r"responsavel|internad[oa]|admitid[oa])(?![A-Za-z]))"
)
_WORD = rf"{_NOT_NAME}[A-Z](?:[A-Za-z]|['-](?=[A-Za-z])){{1,30}}"
_PARTICLE = r"(?:(?i:d[aeo]s?|e|del|di|van|von) {1,2})"
_NAME = rf"(?P<value>{_WORD}(?: {{1,2}}{_PARTICLE}{{0,2}}(?:{_WORD}|[A-Z]\.)){{1,7}})"
_ANY_CASE = (
    r"(?P<any>(?i:[a-z'-]{2,30}(?: {1,2}(?!(?:dn|cpf|rg|cns|cep|idade|sexo|leito|pront\w*|data|tel|nasc\w*)\b)"
    r"[a-z'.-]{1,30}){1,6}))"
)
_WHOSE = (
    r"(?:completo|social|civil|d[oae]\(?a?\)? ?(?:paciente|pcte|mae|pai|genitora|genitor|responsavel|acompanhante|"
    r"filh[oa]|conjuge|espos[oa]|marido|familiar|titular|usuari[oa]))"
)
_ASSIGNED = r"[ *_\"'.)]{0,4}[:=|-][\s*_\"'(]{0,6}"
_NAMED = re.compile(
    rf"(?<![A-Za-z])(?i:nome(?P<whose>[ _]{_WHOSE}){{0,2}}){_ASSIGNED}(?:{_NAME}|(?(whose){_ANY_CASE}|(?!)))", re.ASCII
)
_TITLED = re.compile(
    rf"(?<![A-Za-z])(?i:paciente|pcte|pct|pac\.|sr\.?|sra\.?|srta\.?|dona|seu|mae|pai|filh[oa]|espos[oa]|responsavel|"
    rf"acompanhante)[\s:*,\"'-]{{1,5}}{_NAME}",
    re.ASCII,
)


def named(page: Page) -> Iterator[Hit]:
    """Names behind their labels, and behind a title."""
    for match in _NAMED.finditer(page.cased):
        group = "value" if match["value"] else "any"
        yield Hit("name", match.start(group), match.end(group), 2.0)
    for match in _TITLED.finditer(page.cased):
        if re.split(r"\s", match["value"].lower(), maxsplit=1)[0] in wordlist("first_names"):
            yield Hit("name", match.start("value"), match.end("value"), 2.0)
