"""Numbers as Brazilian clinicians write them, read strictly and printed one way.

A comma is always the decimal mark. A dot is a decimal mark too, unless the text could be read as thousands (`1.000`,
`7.352`): that is refused, because a guess is a thousandfold error. Knows no units and no clinical ranges.
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal, localcontext

from gemx.errors import InputError

MAX_DIGITS = 15

_INTEGER = r"(?:0|[1-9][0-9]*)"
_PLAIN = re.compile(rf"[-−]?{_INTEGER}(?:[.,][0-9]+)?")
_GROUPED = re.compile(r"[-−]?[1-9][0-9]{0,2}(?:\.[0-9]{3})+,[0-9]+")
_THOUSANDS_OR_DECIMAL = re.compile(r"[-−]?[1-9][0-9]{0,2}(?:\.[0-9]{3})+")
_ENGLISH_THOUSANDS = re.compile(r"[-−]?[1-9][0-9]{0,2}(?:,[0-9]{3})+\.[0-9]+")


def parse_number(text: str) -> Decimal:
    """The number that `text` says, exactly.

    `4,6` and `4.6` are 4.6, `1.234,5` is 1234.5, `0.152` is 0.152; a leading minus is a sign. Trailing zeros are
    accepted. Dots in groups of three are thousands only beside a decimal comma: without one (`1.000`, `1.234.567`) the
    text is refused, and so are `1,234.5`, `,5`, `5,`, `1e3`, redundant zeros (`007`) and more than 15 digits.

    Raises:
        InputError: says what was read, what was expected and what to write instead.
    """
    written = text.strip()
    if sum(character.isdigit() for character in written) > MAX_DIGITS:
        raise InputError(f'"{written[:24]}…" tem dígitos demais para um valor clínico (máximo {MAX_DIGITS}).')
    if _THOUSANDS_OR_DECIMAL.fullmatch(written):
        raise _ambiguous(written)
    if _ENGLISH_THOUSANDS.fullmatch(written):
        rewritten = written.replace(",", "").replace(".", ",")
        raise InputError(f'"{written}" usa vírgula de milhar, que aqui é decimal; escreva {rewritten}.')
    if _GROUPED.fullmatch(written):
        written = written.replace(".", "")
    elif not _PLAIN.fullmatch(written):
        raise InputError(
            f'"{written[:24]}" não é um número que se possa ler com segurança; '
            "esperam-se algarismos com uma vírgula decimal, como 4,6 ou 1234,5."
        )
    return Decimal(written.replace(",", ".").replace("−", "-"))


def _ambiguous(written: str) -> InputError:
    whole = written.replace(".", "")
    if written.count(".") > 1:
        return InputError(f'"{written}" é ambíguo: escreva {whole}, sem pontos de milhar.')
    decimal = written.replace(".", ",")
    return InputError(f'"{written}" é ambíguo (milhar ou decimal?): escreva {decimal} ou {whole}.')


def format_number(value: Decimal, digits: int | None = None) -> str:
    """`value` in pt-BR: decimal comma, no thousands mark, no exponent, no trailing zeros, never `-0`.

    With `digits`, at most that many decimals, halves rounded away from zero.

    Raises:
        ValueError: `value` is infinite or not a number.
    """
    if not value.is_finite():
        raise ValueError("only a finite number can be written")
    if digits is not None:
        with localcontext() as context:
            context.prec = max(28, abs(value.adjusted()) + digits + 2)
            value = value.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP)
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", "0"} else text.replace(".", ",")
