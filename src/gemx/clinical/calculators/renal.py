"""Kidney, body size and electrolytes: KDIGO stage, clearance, body weights, anion gap, urea and BUN.

Knows neither drugs nor trends: whether creatinine is stable is for the reader to judge, and the clearances say so.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from gemx.clinical.calculators.base import Calculator, Component, Inputs, Parameter
from gemx.clinical.calculators.parameters import (
    AGE,
    BICARBONATE,
    BUN,
    CHLORIDE,
    CREATININE,
    HEIGHT,
    SEX,
    SODIUM,
    UREA,
    WEIGHT,
    choice,
    number,
    optional,
    yes_no,
)
from gemx.clinical.numbers import format_number

_DEVINE_FLOOR_CM = Decimal("152.4")
_DEVINE_BASE = {"M": Decimal(50), "F": Decimal("45.5")}
_BUN_TO_UREA = Decimal("2.14")
# κ, α and the factor of the 2021 creatinine equation
_CKD_EPI = {
    "M": (Decimal("0.9"), Decimal("-0.302"), Decimal(1)),
    "F": (Decimal("0.7"), Decimal("-0.241"), Decimal("1.012")),
}
# (mL/min/1.73 m² from, category) and (kg/m² from, class)
_GFR_CATEGORIES = ((90, "G1"), (60, "G2"), (45, "G3a"), (30, "G3b"), (15, "G4"), (0, "G5"))
_BMI_CLASSES = (
    (Decimal(40), "obesidade grau III"),
    (Decimal(35), "obesidade grau II"),
    (Decimal(30), "obesidade grau I"),
    (Decimal(25), "sobrepeso"),
    (Decimal("18.5"), "eutrofia"),
    (Decimal(0), "baixo peso"),
)
# (output below mL/kg/h, hours from, stage), worst first
_URINE_STAGES = (
    (Decimal("0.3"), 24, 3),
    (Decimal("0.5"), 12, 2),
    (Decimal("0.5"), 6, 1),
)
_ANURIA_HOURS = 12


def _creatinine_aki(inputs: Inputs) -> bool:
    creatinine, before = inputs.number("creatinine"), inputs.optional("creatinine_48h_before")
    risen = before is not None and creatinine - before >= Decimal("0.3")
    return risen or creatinine >= Decimal("1.5") * inputs.number("baseline_creatinine")


def _creatinine_stage(inputs: Inputs) -> int:
    if not _creatinine_aki(inputs):
        return 0
    creatinine, baseline = inputs.number("creatinine"), inputs.number("baseline_creatinine")
    if creatinine >= 4 or creatinine >= 3 * baseline:
        return 3
    return 2 if creatinine >= 2 * baseline else 1


def _urine_stage(inputs: Inputs) -> int:
    output, hours = inputs.optional("urine_output_ml_kg_h"), inputs.optional("urine_hours")
    if output is None or hours is None:
        return 0
    if output == 0 and hours >= _ANURIA_HOURS:
        return 3
    return next((stage for limit, since, stage in _URINE_STAGES if output < limit and hours >= since), 0)


def kdigo_aki_stage(inputs: Inputs) -> Decimal:
    """KDIGO 2012 stage, 0 to 3: the worse of creatinine and urine; 3 on renal replacement (doi 10.1038/kisup.2012.1).

    Creatinine of 4.0 mg/dL or more is stage 3 only once it has risen by 0.3 in 48 h or to 1.5 × baseline. The rise of
    0.3 counts only against `creatinine_48h_before`. Anuria is an output of 0.
    """
    return Decimal(3 if inputs.flag("on_rrt") else max(_creatinine_stage(inputs), _urine_stage(inputs)))


def _kdigo_notes(inputs: Inputs) -> tuple[str, ...]:
    notes: list[str] = []
    if ("urine_output_ml_kg_h" in inputs) != ("urine_hours" in inputs):
        notes.append("Débito urinário e sua duração precisam vir juntos: critério urinário não avaliado.")
    if "creatinine_48h_before" not in inputs and "creatinine" in inputs and "baseline_creatinine" in inputs:
        rise = inputs.number("creatinine") - inputs.number("baseline_creatinine")
        if rise >= Decimal("0.3") and not _creatinine_aki(inputs):
            notes.append(f"Aumento de {format_number(rise)} mg/dL sobre a basal: se ocorreu em 48 h, há IRA.")
    return tuple(notes)


def _read_kdigo(value: Decimal, inputs: Inputs) -> str:
    if inputs.flag("on_rrt"):
        return "Estágio 3 (terapia renal substitutiva)."
    return f"IRA estágio {value}." if value else "Sem critério de injúria renal aguda (IRA) nos dados informados."


def ideal_body_weight(inputs: Inputs) -> Decimal:
    """Devine 1974, kg: 50 (M) or 45.5 (F) + 2.3 per inch above 60; linear below 60, where it was not derived."""
    inches = inputs.number("height") / Decimal("2.54")
    return _DEVINE_BASE[inputs.text("sex")] + Decimal("2.3") * (inches - 60)


def adjusted_body_weight(inputs: Inputs) -> Decimal:
    """ideal + 0.4 × (actual - ideal), kg (PMC4411565, table 3)."""
    ideal = ideal_body_weight(inputs)
    return ideal + Decimal("0.4") * (inputs.number("weight") - ideal)


def body_mass_index(inputs: Inputs) -> Decimal:
    """weight / height², kg/m² (WHO Technical Report Series 894, PMID 11234459)."""
    return inputs.number("weight") / (inputs.number("height") / 100) ** 2


def body_surface_area(inputs: Inputs) -> Decimal:
    """√(weight × height / 3600), m² (doi 10.1056/NEJM198710223171717)."""
    return (inputs.number("weight") * inputs.number("height") / 3600).sqrt()


def _dosing_weight(inputs: Inputs) -> tuple[str, Decimal]:
    """The basis in pt-BR and the weight, kg, that `weight_basis` chooses."""
    actual, basis = inputs.number("weight"), inputs.text("weight_basis")
    if basis == "auto":
        basis = _automatic_basis(inputs)
    if basis == "ideal":
        return "ideal", ideal_body_weight(inputs)
    if basis == "adjusted":
        return "ajustado", adjusted_body_weight(inputs)
    return "real", actual


def _automatic_basis(inputs: Inputs) -> str:
    index = body_mass_index(inputs)
    if index >= 25:
        return "adjusted"
    return "ideal" if index >= Decimal("18.5") and ideal_body_weight(inputs) < inputs.number("weight") else "actual"


def cockcroft_gault(inputs: Inputs) -> Decimal:
    """(140 - age) × weight / (72 × creatinine), × 0.85 in women, mL/min (doi 10.1159/000180580)."""
    _, weight = _dosing_weight(inputs)
    factor = Decimal("0.85") if inputs.text("sex") == "F" else Decimal(1)
    return (140 - inputs.number("age")) * weight * factor / (72 * inputs.number("creatinine"))


def _read_clearance(value: Decimal, inputs: Inputs) -> str:
    basis, weight = _dosing_weight(inputs)
    return (
        f"Peso {basis}, {format_number(weight, 1)} kg. Pressupõe creatinina estável: na IRA, com creatinina mudando, "
        "não é verificável para ajuste de dose."
    )


def ckd_epi_2021(inputs: Inputs) -> Decimal:
    """142 × min(Cr/κ, 1)^α × max(Cr/κ, 1)^-1.200 × 0.9938^age × 1.012 in women, mL/min/1.73 m².

    κ is 0.7 (F) or 0.9 (M), α -0.241 or -0.302 (doi 10.1056/NEJMoa2102953).
    """
    kappa, alpha, factor = _CKD_EPI[inputs.text("sex")]
    ratio = inputs.number("creatinine") / kappa
    spline = min(ratio, Decimal(1)) ** alpha * max(ratio, Decimal(1)) ** Decimal("-1.2")
    return 142 * spline * Decimal("0.9938") ** inputs.number("age") * factor


def _read_gfr(value: Decimal, inputs: Inputs) -> str:
    category = next(name for start, name in _GFR_CATEGORIES if value >= start)
    return f"Categoria {category}. Pressupõe creatinina estável: não usar na injúria renal aguda (IRA)."


def _read_bmi(value: Decimal, inputs: Inputs) -> str:
    return f"{next(name for start, name in _BMI_CLASSES if value >= start).capitalize()} (OMS)."


def anion_gap(inputs: Inputs) -> Decimal:
    """sodium - chloride - bicarbonate, mmol/L (doi 10.1097/00005792-197756010-00002)."""
    return inputs.number("sodium") - inputs.number("chloride") - inputs.number("bicarbonate")


def _read_gap(value: Decimal, inputs: Inputs) -> str:
    return f"Sem correção pela albumina; {'acima' if value > 12 else 'não acima'} da referência de 12 mmol/L."


def urea_to_bun(inputs: Inputs) -> Decimal:
    """urea / 2.14, mg/dL: 60.06 g of urea hold 28.01 g of nitrogen."""
    return inputs.number("urea") / _BUN_TO_UREA


def bun_to_urea(inputs: Inputs) -> Decimal:
    """BUN × 2.14, mg/dL."""
    return inputs.number("bun") * _BUN_TO_UREA


def nitrogen_notes(inputs: Inputs) -> tuple[str, ...]:
    """What a BUN is as urea: Brazilian laboratories report urea, and taking one for the other doubles or halves it."""
    if "bun" not in inputs:
        return ()
    bun, urea = format_number(inputs.number("bun"), 1), format_number(bun_to_urea(inputs), 1)
    return (f"BUN de {bun} mg/dL corresponde a ureia de {urea} mg/dL: confira qual dos dois o laboratório relatou.",)


def _devine_notes(inputs: Inputs) -> tuple[str, ...]:
    height = inputs.optional("height")
    if height is None or height >= _DEVINE_FLOOR_CM or inputs.values.get("weight_basis") == "actual":
        return ()
    return ("Altura abaixo de 152,4 cm: peso ideal de Devine por extrapolação linear.",)


def _clearance_needs(inputs: Inputs) -> tuple[str, ...]:
    return () if inputs.text("weight_basis") == "actual" else ("height",)


def _fixed_basis(inputs: Inputs) -> bool:
    """With `auto` the weight jumps where the BMI crosses a band, so range ends do not bound the clearance."""
    return inputs.text("weight_basis") != "auto"


def _renamed(parameter: Parameter, name: str, label: str) -> Parameter:
    return replace(parameter, name=name, label=label)


_WEIGHTS_SOURCE = "Devine BJ. Gentamicin therapy. Drug Intell Clin Pharm 1974;8:650-5; fórmulas em PMC4411565, tabela 3"

CALCULATORS = (
    Calculator(
        id="kdigo_aki_stage",
        title="Estágio KDIGO da injúria renal aguda (IRA)",
        unit="",
        parameters=(
            CREATININE,
            _renamed(CREATININE, "baseline_creatinine", "Creatinina basal"),
            optional(
                _renamed(CREATININE, "creatinine_48h_before", "Creatinina até 48 h antes"),
                "Creatinina até 48 h antes não informada: aumento de 0,3 mg/dL em 48 h não avaliado.",
            ),
            optional(
                number("urine_output_ml_kg_h", "Débito urinário", "mL/kg/h", "0", "50"),
                "Débito urinário não informado: critério urinário não avaliado.",
            ),
            optional(number("urine_hours", "Duração do débito urinário", "h", "0", "720")),
            replace(
                yes_no("on_rrt", "Terapia renal substitutiva"),
                optional=True,
                default=False,
                assumption="Terapia renal substitutiva não informada: assumido que não.",
            ),
        ),
        components=(
            Component(
                (
                    "creatinine",
                    "baseline_creatinine",
                    "creatinine_48h_before",
                    "urine_output_ml_kg_h",
                    "urine_hours",
                    "on_rrt",
                ),
                kdigo_aki_stage,
            ),
        ),
        interpret=_read_kdigo,
        notes=_kdigo_notes,
        formula_version="kdigo_2012",
        source="KDIGO Clinical Practice Guideline for Acute Kidney Injury. Kidney Int Suppl 2012;2:1-138. "
        "doi:10.1038/kisup.2012.1",
    ),
    Calculator(
        id="cockcroft_gault",
        title="Clearance de creatinina (Cockcroft-Gault)",
        unit="mL/min",
        parameters=(
            AGE,
            SEX,
            WEIGHT,
            CREATININE,
            optional(HEIGHT),
            replace(
                choice("weight_basis", "Peso usado", "actual", "ideal", "adjusted", "auto"),
                optional=True,
                default="actual",
                assumption="Base do peso não informada: peso real.",
            ),
        ),
        components=(
            Component(
                ("age", "sex", "weight", "creatinine", "height", "weight_basis"),
                cockcroft_gault,
                monotone=_fixed_basis,
            ),
        ),
        needs=_clearance_needs,
        interpret=_read_clearance,
        notes=_devine_notes,
        formula_version="cockcroft_gault_1976",
        source="Cockcroft DW, Gault MH. Prediction of creatinine clearance from serum creatinine. "
        "Nephron 1976;16:31-41. doi:10.1159/000180580",
    ),
    Calculator(
        id="ckd_epi_2021",
        title="Taxa de filtração glomerular (CKD-EPI 2021, creatinina)",
        unit="mL/min/1.73 m²",
        parameters=(AGE, SEX, CREATININE),
        components=(Component(("age", "sex", "creatinine"), ckd_epi_2021),),
        interpret=_read_gfr,
        formula_version="ckd_epi_2021",
        source="Inker LA et al. New Creatinine- and Cystatin C-Based Equations to Estimate GFR without Race. "
        "N Engl J Med 2021;385:1737-49. doi:10.1056/NEJMoa2102953",
    ),
    Calculator(
        id="ideal_body_weight_devine",
        title="Peso ideal (Devine)",
        unit="kg",
        parameters=(SEX, HEIGHT),
        components=(Component(("sex", "height"), ideal_body_weight),),
        notes=_devine_notes,
        formula_version="devine_1974",
        source=_WEIGHTS_SOURCE,
    ),
    Calculator(
        id="adjusted_body_weight",
        title="Peso ajustado",
        unit="kg",
        parameters=(SEX, WEIGHT, HEIGHT),
        components=(Component(("sex", "weight", "height"), adjusted_body_weight),),
        notes=_devine_notes,
        formula_version="adjusted_0.4_devine_1974",
        source=_WEIGHTS_SOURCE,
    ),
    Calculator(
        id="body_mass_index",
        title="Índice de massa corporal",
        unit="kg/m²",
        parameters=(WEIGHT, HEIGHT),
        components=(Component(("weight", "height"), body_mass_index),),
        interpret=_read_bmi,
        formula_version="who_2000",
        source="WHO. Obesity: preventing and managing the global epidemic. Technical Report Series 894, 2000. "
        "PMID 11234459",
    ),
    Calculator(
        id="body_surface_area_mosteller",
        title="Superfície corporal (Mosteller)",
        unit="m²",
        parameters=(WEIGHT, HEIGHT),
        components=(Component(("weight", "height"), body_surface_area),),
        formula_version="mosteller_1987",
        source="Mosteller RD. Simplified calculation of body-surface area. N Engl J Med 1987;317:1098. "
        "doi:10.1056/NEJM198710223171717",
    ),
    Calculator(
        id="anion_gap",
        title="Ânion gap",
        unit="mmol/L",
        parameters=(SODIUM, CHLORIDE, BICARBONATE),
        components=(Component(("sodium", "chloride", "bicarbonate"), anion_gap),),
        interpret=_read_gap,
        formula_version="anion_gap_1977",
        source="Emmett M, Narins RG. Clinical use of the anion gap. Medicine 1977;56:38-54. "
        "doi:10.1097/00005792-197756010-00002",
    ),
    Calculator(
        id="urea_to_bun",
        title="Ureia para BUN",
        unit="mg/dL",
        parameters=(UREA,),
        components=(Component(("urea",), urea_to_bun),),
        formula_version="urea_bun_2.14",
        source="Massas molares: ureia 60,06 g/mol, dos quais 28,01 g de nitrogênio (fator 2,14)",
    ),
    Calculator(
        id="bun_to_urea",
        title="BUN para ureia",
        unit="mg/dL",
        parameters=(BUN,),
        components=(Component(("bun",), bun_to_urea),),
        formula_version="urea_bun_2.14",
        source="Massas molares: ureia 60,06 g/mol, dos quais 28,01 g de nitrogênio (fator 2,14)",
    ),
)
