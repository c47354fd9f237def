"""Electrolytes and acid-base: corrected gap, delta ratio, osmolality, corrected sodium and calcium, FENa.

Knows no cause: each interpretation names the reference that the value is read against.
"""

from __future__ import annotations

from decimal import Decimal

from gemx.clinical.calculators.base import Calculator, Component, Inputs
from gemx.clinical.calculators.parameters import (
    ALBUMIN,
    BICARBONATE,
    BUN,
    CALCIUM,
    CHLORIDE,
    CREATININE,
    GLUCOSE,
    SODIUM,
    UREA,
    URINE_CREATININE,
    URINE_SODIUM,
    assumed,
    explained,
    optional,
)
from gemx.clinical.calculators.renal import anion_gap, nitrogen_notes, urea_to_bun
from gemx.clinical.numbers import format_number
from gemx.errors import InputError

_USUAL_GAP = 12
_USUAL_BICARBONATE = 24
_USUAL_ALBUMIN = 4


def corrected_gap(inputs: Inputs) -> Decimal:
    """anion gap + 2.5 × (4 - albumin), mmol/L (doi 10.1097/00003246-199811000-00019)."""
    return anion_gap(inputs) + Decimal("2.5") * (_USUAL_ALBUMIN - inputs.number("albumin"))


def _read_corrected_gap(value: Decimal, inputs: Inputs) -> str:
    side = "acima" if value > _USUAL_GAP else "não acima"
    return f"Corrigido pela albumina; {side} da referência de {_USUAL_GAP} mmol/L."


def _gap(inputs: Inputs) -> Decimal:
    return corrected_gap(inputs) if "albumin" in inputs else anion_gap(inputs)


def delta_ratio(inputs: Inputs) -> Decimal:
    """(gap - 12) / (24 - bicarbonate), the gap corrected where albumin is known (doi 10.1681/ASN.2006121408)."""
    return (_gap(inputs) - _USUAL_GAP) / (_USUAL_BICARBONATE - inputs.number("bicarbonate"))


def _check_bicarbonate(inputs: Inputs) -> None:
    bicarbonate = inputs.optional("bicarbonate")
    if bicarbonate is not None and bicarbonate >= _USUAL_BICARBONATE:
        found = format_number(bicarbonate)
        raise InputError(
            f"Bicarbonato (bicarbonate): {found} mmol/L: a razão delta só existe abaixo de {_USUAL_BICARBONATE} mmol/L."
        )


def _bicarbonate_known(inputs: Inputs) -> bool:
    """As bicarbonate nears 24 the ratio has no bound."""
    return "bicarbonate" in inputs


def _read_delta(value: Decimal, inputs: Inputs) -> str:
    if _gap(inputs) <= _USUAL_GAP:
        return f"Ânion gap não aumentado (até {_USUAL_GAP} mmol/L): a razão não se interpreta."
    if value < Decimal("0.4"):
        return "Abaixo de 0,4: acidose hiperclorêmica (ânion gap normal)."
    if value < 1:
        return "De 0,4 a 1: acidose de ânion gap aumentado com hiperclorêmica associada."
    if value <= 2:
        return "De 1 a 2: acidose de ânion gap aumentado."
    return "Acima de 2: alcalose metabólica associada, ou bicarbonato já elevado antes."


def serum_osmolality(inputs: Inputs) -> Decimal:
    """2 × sodium + glucose / 18 + BUN / 2.8, mOsm/kg."""
    bun = inputs.optional("bun")
    nitrogen = urea_to_bun(inputs) if bun is None else bun
    return 2 * inputs.number("sodium") + inputs.number("glucose") / 18 + nitrogen / Decimal("2.8")


def _read_osmolality(value: Decimal, inputs: Inputs) -> str:
    return f"{_against(value, '275', '295')} (275 a 295 mOsm/kg); calculada, não medida."


def corrected_sodium(inputs: Inputs) -> Decimal:
    """sodium + factor × (glucose - 100) / 100, mmol/L."""
    return inputs.number("sodium") + Decimal(inputs.text("factor")) * (inputs.number("glucose") - 100) / 100


def _read_sodium(value: Decimal, inputs: Inputs) -> str:
    if inputs.number("glucose") <= 100:
        return "Glicemia de até 100 mg/dL: não há hiperglicemia a corrigir."
    return f"{_against(value, '135', '145')} (135 a 145 mmol/L)."


def corrected_calcium(inputs: Inputs) -> Decimal:
    """calcium + 0.8 × (4 - albumin), mg/dL."""
    return inputs.number("calcium") + Decimal("0.8") * (_USUAL_ALBUMIN - inputs.number("albumin"))


def _read_calcium(value: Decimal, inputs: Inputs) -> str:
    return f"{_against(value, '8.5', '10.5')} (8,5 a 10,5 mg/dL). Na dúvida, dosar o cálcio iônico."


def fena(inputs: Inputs) -> Decimal:
    """urine sodium × creatinine / (sodium × urine creatinine), % (doi 10.1001/jama.236.6.579)."""
    filtered = inputs.number("sodium") * inputs.number("urine_creatinine")
    return 100 * inputs.number("urine_sodium") * inputs.number("creatinine") / filtered


def _read_fena(value: Decimal, inputs: Inputs) -> str:
    if value > 100:
        return "Acima de 100 %, o que não existe: confira os valores e as unidades."
    reading = "sugere causa pré-renal" if value < 1 else "sugere necrose tubular" if value > 3 else "indeterminada"
    side = "Abaixo de 1 %" if value < 1 else "Acima de 3 %" if value > 3 else "De 1 a 3 %"
    return f"{side}: {reading}, na IRA oligúrica. Não vale em uso de diurético."


def _against(value: Decimal, low: str, high: str) -> str:
    if value < Decimal(low):
        return "Abaixo da referência"
    return "Acima da referência" if value > Decimal(high) else "Na referência"


CALCULATORS = (
    Calculator(
        id="anion_gap_albumin_corrected",
        title="Ânion gap corrigido pela albumina",
        unit="mmol/L",
        parameters=(SODIUM, CHLORIDE, BICARBONATE, ALBUMIN),
        components=(Component(("sodium", "chloride", "bicarbonate", "albumin"), corrected_gap),),
        interpret=_read_corrected_gap,
        formula_version="anion_gap_figge_1998",
        source="Figge J et al. Anion gap and hypoalbuminemia. Crit Care Med 1998;26:1807-10. "
        "doi:10.1097/00003246-199811000-00019",
    ),
    Calculator(
        id="delta_ratio",
        title="Razão delta (Δ ânion gap / Δ bicarbonato)",
        unit="",
        parameters=(
            SODIUM,
            CHLORIDE,
            BICARBONATE,
            optional(ALBUMIN, "Albumina não informada: ânion gap sem correção."),
        ),
        components=(
            Component(("sodium", "chloride", "bicarbonate", "albumin"), delta_ratio, monotone=_bicarbonate_known),
        ),
        check=_check_bicarbonate,
        interpret=_read_delta,
        formula_version="delta_ratio_12_24",
        source="Rastegar A. Use of the ΔAG/ΔHCO3 ratio in the diagnosis of mixed acid-base disorders. J Am Soc "
        "Nephrol 2007;18:2429-31. doi:10.1681/ASN.2006121408",
    ),
    Calculator(
        id="serum_osmolality",
        title="Osmolalidade sérica calculada",
        unit="mOsm/kg",
        parameters=(SODIUM, GLUCOSE, optional(BUN), optional(UREA)),
        components=(Component(("sodium", "glucose", "bun", "urea"), serum_osmolality),),
        alternatives=(("bun", "urea"),),
        interpret=_read_osmolality,
        notes=nitrogen_notes,
        formula_version="osmolality_2na_glucose_bun",
        source="Smithline N, Gardner KD. Gaps: anionic and osmolal. JAMA 1976;236:1594-7. doi:10.1001/jama.236.14.1594",
    ),
    Calculator(
        id="corrected_sodium",
        title="Sódio corrigido pela glicemia",
        unit="mmol/L",
        parameters=(
            SODIUM,
            GLUCOSE,
            assumed(
                explained("factor", "Fator por 100 mg/dL", {"2.4": "Hillier 1999", "1.6": "Katz 1973"}),
                "2.4",
                "Fator não informado: 2,4 mmol/L por 100 mg/dL de glicose.",
            ),
        ),
        components=(Component(("sodium", "glucose", "factor"), corrected_sodium),),
        interpret=_read_sodium,
        formula_version="corrected_sodium_hillier_1999_katz_1973",
        source="Hillier TA et al. Hyponatremia: evaluating the correction factor for hyperglycemia. Am J Med "
        "1999;106:399-403. doi:10.1016/S0002-9343(99)00055-8; fator 1,6: Katz MA. N Engl J Med 1973;289:843-4",
    ),
    Calculator(
        id="corrected_calcium",
        title="Cálcio corrigido pela albumina",
        unit="mg/dL",
        parameters=(CALCIUM, ALBUMIN),
        components=(Component(("calcium", "albumin"), corrected_calcium),),
        interpret=_read_calcium,
        formula_version="corrected_calcium_0.8",
        source="Fator 0,8 de uso corrente, a partir de Payne RB et al. Interpretation of serum calcium in patients "
        "with abnormal serum proteins. BMJ 1973;4:643-6, que usa o fator 1. doi:10.1136/bmj.4.5893.643",
    ),
    Calculator(
        id="fena",
        title="Fração de excreção de sódio (FENa)",
        unit="%",
        parameters=(URINE_SODIUM, SODIUM, URINE_CREATININE, CREATININE),
        components=(Component(("urine_sodium", "sodium", "urine_creatinine", "creatinine"), fena),),
        interpret=_read_fena,
        formula_version="fena_1976",
        source="Espinel CH. The FENa test: use in the differential diagnosis of acute renal failure. JAMA "
        "1976;236:579-81. doi:10.1001/jama.236.6.579",
    ),
)
