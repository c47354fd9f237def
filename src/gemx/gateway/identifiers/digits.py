"""Digits: where a number stands alone, what is an amount, and the check digits of CPF and CNS.

It knows neither labels nor the other shapes of a number.
"""

from __future__ import annotations

import re

ALONE = r"(?<![0-9])(?<![0-9][.,/:-])"
ENDS = r"(?![0-9])(?![.,][0-9])"
GAP = r" {0,2}[.-]? {0,2}"
UNIT = re.compile(
    r" {0,2}(?:/ ?)?(?:ml|l|dl|mg|mcg|ug|g|kg|kcal|cal|ui|u|meq|mmol|mosm|mm|cm|m|h|hs|hrs?|horas?|min|dias?|anos?|a|"
    r"meses|semanas|sem|bpm|irpm|rpm|ipm|mmhg|cmh2o|x|vezes|cels?|celulas|copias|pg|ng|gotas|gts|cp|cps|%)(?![a-z])"
)


def cpf_is_valid(digits: str) -> bool:
    """Whether eleven digits are a CPF: weights 10..2 and 11..2 modulo 11, and not all digits equal.

    After the rule that docs of Business::BR::CPF (metacpan.org/pod/Business::BR::CPF) and of stdnum's br/cpf state.
    """
    if len(digits) != 11 or len(set(digits)) == 1:
        return False
    return all(digits[size] == _cpf_digit(digits[:size]) for size in (9, 10))


def _cpf_digit(front: str) -> str:
    total = sum(int(digit) * (len(front) + 1 - at) for at, digit in enumerate(front))
    return str(-total % 11 % 10) if total % 11 > 1 else "0"


def cns_is_valid(digits: str) -> bool:
    """Whether fifteen digits are a CNS: weights 15..1 modulo 11, and 000 or 001 before the last where 1 or 2 begins it.

    After e-SUS AB, "Validar CNS" (github.com/laboratoriobridge/esusab-integracao, regras/algoritmo_CNS.md).
    """
    if len(digits) != 15 or digits[0] not in "12789":
        return False
    if digits[0] in "12" and digits[11:14] not in ("000", "001"):
        return False
    return sum(int(digit) * (15 - at) for at, digit in enumerate(digits)) % 11 == 0


def digits_of(text: str) -> str:
    """Its digits alone."""
    return "".join(char for char in text if char.isdigit())
