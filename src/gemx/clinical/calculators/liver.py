"""Liver: Child-Pugh, MELD-Na (OPTN/UNOS policy of 2016), MELD 3.0. Knows no allocation rule beyond the score.

Both MELDs set what is below 1 (creatinine, bilirubin, INR) to 1 before the logarithms, and sodium to 125–137 mmol/L.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

from gemx.clinical.calculators.bands import banded, below, beyond, chosen, up_to
from gemx.clinical.calculators.base import Calculator, Component, Inputs
from gemx.clinical.calculators.parameters import (
    ALBUMIN,
    BILIRUBIN,
    CREATININE,
    DIALYSIS,
    INR,
    SEX,
    SODIUM,
    explained,
    whole,
)

_LOWEST, _HIGHEST = Decimal(6), Decimal(40)
_SODIUM_ONLY_ABOVE = 11
_UNOS_CREATININE, _MELD_3_CREATININE = Decimal(4), Decimal(3)

_CHILD_BILIRUBIN = (below("2", 1), up_to("3", 2), beyond(3))
_CHILD_ALBUMIN = (below("2.8", 3), up_to("3.5", 2), beyond(1))
_CHILD_INR = (below("1.7", 1), up_to("2.3", 2), beyond(3))
_CHILD_ASCITES = {"none": 1, "mild": 2, "moderate": 3}
_CHILD_ASCITES_MEANINGS = {"none": "ausente", "mild": "leve ou controlada", "moderate": "moderada, tensa ou refratária"}
_CHILD_ENCEPHALOPATHY = (up_to("0", 1), up_to("2", 2), beyond(3))
_CHILD_CLASSES = ((10, "C (10 a 15 pontos)"), (7, "B (7 a 9 pontos)"), (5, "A (5 ou 6 pontos)"))


def _between(value: Decimal, low: str, high: str) -> Decimal:
    return max(Decimal(low), min(Decimal(high), value))


def _logarithm(inputs: Inputs, name: str) -> Decimal:
    return max(Decimal(1), inputs.number(name)).ln()


def _creatinine_logarithm(inputs: Inputs, highest: Decimal) -> Decimal:
    """Creatinine counts as `highest` in dialysis, also where it is below 1."""
    if inputs.flag("dialysis_twice_in_week"):
        return highest.ln()
    return min(highest, max(Decimal(1), inputs.number("creatinine"))).ln()


def _sodium_deficit(inputs: Inputs) -> Decimal:
    return 137 - _between(inputs.number("sodium"), "125", "137")


def _whole_score(value: Decimal) -> Decimal:
    return max(_LOWEST, min(_HIGHEST, value.quantize(Decimal(1), rounding=ROUND_HALF_UP)))


def _initial_meld(inputs: Inputs) -> Decimal:
    """MELD(i) = 10 × (0.957 ln creatinine + 0.378 ln bilirubin + 1.120 ln INR + 0.643), to a whole number."""
    return _whole_score(
        Decimal("9.57") * _creatinine_logarithm(inputs, _UNOS_CREATININE)
        + Decimal("3.78") * _logarithm(inputs, "bilirubin")
        + Decimal("11.2") * _logarithm(inputs, "inr")
        + Decimal("6.43")
    )


def meld_na(inputs: Inputs) -> Decimal:
    """OPTN/UNOS 2016: MELD(i), and above 11, + 1.32 × (137 - Na) - 0.033 × MELD(i) × (137 - Na); 6 to 40.

    Creatinine is at most 4.0 mg/dL, and 4.0 in dialysis.
    """
    initial, deficit = _initial_meld(inputs), _sodium_deficit(inputs)
    if initial <= _SODIUM_ONLY_ABOVE:
        return initial
    return _whole_score(initial + Decimal("1.32") * deficit - Decimal("0.033") * initial * deficit)


def meld_3(inputs: Inputs) -> Decimal:
    """MELD 3.0 (doi 10.1053/j.gastro.2021.08.050), 6 to 40.

    1.33 (women) + 4.56 ln bilirubin + 0.82 (137 - Na) - 0.24 (137 - Na) ln bilirubin + 9.09 ln INR + 11.14 ln
    creatinine + 1.85 (3.5 - albumin) - 1.83 (3.5 - albumin) ln creatinine + 6. Albumin is kept in 1.5–3.5 g/dL;
    creatinine is at most 3.0 mg/dL, and 3.0 in dialysis.
    """
    bilirubin = _logarithm(inputs, "bilirubin")
    creatinine = _creatinine_logarithm(inputs, _MELD_3_CREATININE)
    sodium = _sodium_deficit(inputs)
    albumin = Decimal("3.5") - _between(inputs.number("albumin"), "1.5", "3.5")
    return _whole_score(
        Decimal("1.33" if inputs.text("sex") == "F" else 0)
        + Decimal("4.56") * bilirubin
        + Decimal("0.82") * sodium
        - Decimal("0.24") * sodium * bilirubin
        + Decimal("9.09") * _logarithm(inputs, "inr")
        + Decimal("11.14") * creatinine
        + Decimal("1.85") * albumin
        - Decimal("1.83") * albumin * creatinine
        + 6
    )


def _read_meld_na(value: Decimal, inputs: Inputs) -> str:
    initial = _initial_meld(inputs)
    if initial <= _SODIUM_ONLY_ABOVE:
        return f"MELD {initial}: o sódio só entra acima de {_SODIUM_ONLY_ABOVE}. De 6 a 40, maior é mais grave."
    return f"MELD sem sódio: {initial}. De 6 a 40, maior é mais grave."


def _read_meld_3(value: Decimal, inputs: Inputs) -> str:
    return "De 6 a 40, maior é mais grave; não se compara ponto a ponto com o MELD-Na."


def _read_child(value: Decimal, inputs: Inputs) -> str:
    return f"Classe {next(name for start, name in _CHILD_CLASSES if value >= start)}."


_MELD_INPUTS = ("creatinine", "bilirubin", "inr", "sodium")

CALCULATORS = (
    Calculator(
        id="child_pugh",
        title="Escore de Child-Pugh",
        unit="pontos",
        parameters=(
            BILIRUBIN,
            ALBUMIN,
            INR,
            explained("ascites", "Ascite", _CHILD_ASCITES_MEANINGS),
            whole("encephalopathy", "Encefalopatia hepática, grau", "0", "4"),
        ),
        components=(
            banded("bilirubin", _CHILD_BILIRUBIN),
            banded("albumin", _CHILD_ALBUMIN),
            banded("inr", _CHILD_INR),
            chosen("ascites", _CHILD_ASCITES),
            banded("encephalopathy", _CHILD_ENCEPHALOPATHY),
        ),
        interpret=_read_child,
        formula_version="child_pugh_1973_inr",
        source="Pugh RN et al. Transection of the oesophagus for bleeding oesophageal varices. Br J Surg "
        "1973;60:646-9. doi:10.1002/bjs.1800600817 (INR 1,7 e 2,3 no lugar do tempo de protrombina)",
    ),
    Calculator(
        id="meld_na_unos_2016",
        title="MELD-Na (UNOS 2016)",
        unit="pontos",
        parameters=(CREATININE, BILIRUBIN, INR, SODIUM, DIALYSIS),
        components=(Component((*_MELD_INPUTS, "dialysis_twice_in_week"), meld_na),),
        interpret=_read_meld_na,
        formula_version="meld_na_unos_2016",
        source="OPTN/UNOS Policy 9.1.D, MELD score with serum sodium, 11 jan. 2016; Kim WR et al. Hyponatremia and "
        "mortality among patients on the liver-transplant waiting list. N Engl J Med 2008;359:1018-26. "
        "doi:10.1056/NEJMoa0801209",
    ),
    Calculator(
        id="meld_3_0",
        title="MELD 3.0",
        unit="pontos",
        parameters=(SEX, CREATININE, BILIRUBIN, INR, SODIUM, ALBUMIN, DIALYSIS),
        components=(Component(("sex", *_MELD_INPUTS, "albumin", "dialysis_twice_in_week"), meld_3),),
        interpret=_read_meld_3,
        formula_version="meld_3_0_2021",
        source="Kim WR et al. MELD 3.0: The Model for End-stage Liver Disease Updated for the Modern Era. "
        "Gastroenterology 2021;161:1887-95. doi:10.1053/j.gastro.2021.08.050",
    ),
)
