"""Facts that make a mutant wrong, with sources: the greatest limit that any source read for this benchmark gives.

Mutators stay clearly beyond these (twice the limit, or three times), so that no source would accept the mutant. The
letters after a drug's facts are those of `facts/formulary.md`; addresses are pages read with the search tool.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Facts:
    """One drug: limits as (value, unit), lists of words, ratios."""

    dose: tuple[str, str] | None = None  # greatest absolute dose or rate of any source
    per_kg: tuple[str, str] | None = None  # greatest dose or rate per kg of any source
    daily: tuple[str, str] | None = None  # greatest daily amount of any source
    daily_per_kg: tuple[str, str] | None = None
    concentrated: tuple[tuple[str, str], tuple[int, int]] | None = None  # limit; (units, mL of diluent) far beyond it
    fastest: str | None = None  # a time of infusion that every source forbids
    routes: tuple[str, ...] = ()  # forbidden by the label, or absurd
    diluents: tuple[str, ...] = ()
    allergies: tuple[str, ...] = ()  # the drug, its class, or an excipient that the label names as a contraindication
    cross: tuple[str, ...] = ()  # another member of the class, or a class that the label warns of
    pregnancy: str | None = None  # why not
    renal: str | None = None  # what every source read does at a clearance under 10 mL/min
    salt: str | None = None  # mass of the salt over the mass of the base
    family: str | None = None  # one of these is enough
    must_dilute: bool = False
    other_names: tuple[str, ...] = ()
    repeatable: bool = False  # a second line of it can be right, so a copy is no duplicate


FACTS: dict[str, Facts] = {
    "noradrenalina": Facts(
        dose=("3.3", "mcg/kg/min"),  # São Camilo, choque refratário (the other maxima are 1.5, 3 and 50 mcg/min)
        per_kg=("3.3", "mcg/kg/min"),
        concentrated=(("200", "mcg/mL"), (8, 18)),  # SOCERJ, CHF; 8 ampoules in 50 mL are 640
        routes=("IM", "SC", "intratecal"),  # label: IV infusion only (bula.com.br/noradrem; medikamio Generis)
        diluents=("bicarbonato de sódio 8,4%",),  # BC: incompatible
        salt="2",  # 8 mg of hemitartrate are 4 mg of base (São Camilo)
        must_dilute=True,
        other_names=("norepinefrina",),
    ),
    "vasopressina": Facts(
        dose=("1", "U/min"),  # Einstein, gastrointestinal bleeding; shock 0.04, 0.07 and 0.1
        concentrated=(("1", "U/mL"), (10, 40)),  # FDA; 10 ampoules in 50 mL are 4
        routes=("intratecal", "VO"),
        allergies=("vasopressina",),
        family="análogo da vasopressina",
        must_dilute=True,
        other_names=("argipressina",),
    ),
    "adrenalina": Facts(
        dose=("1", "mg"),  # HUAP, cardiac arrest; 0.5 mg IM in anaphylaxis
        per_kg=("2", "mcg/kg/min"),  # FDA, septic shock
        concentrated=(("100", "mcg/mL"), (20, 30)),  # UPT; 20 ampoules in 50 mL are 400
        routes=("intratecal", "VO"),
        diluents=("bicarbonato de sódio 8,4%",),  # FDA: incompatible
        other_names=("epinefrina",),
        repeatable=True,
    ),
    "dopamina": Facts(
        per_kg=("50", "mcg/kg/min"),  # FDA, São Camilo
        concentrated=(("3200", "mcg/mL"), (10, 150)),  # FDA, BAR; 10 ampoules of 200 mg in 200 mL are 10,000
        routes=("IM", "SC", "intratecal"),  # medicamentosesaude: IM não; Whitebook: não administrar IM
        diluents=("bicarbonato de sódio 8,4%",),  # bulas.med.br 1136179: em hipótese alguma
        allergies=("dopamina", "metabissulfito"),  # formulary.md: contraind metabissulfito
        salt="1.238",  # 80 mg of hydrochloride are 64.6 mg of base
        must_dilute=True,
    ),
    "dobutamina": Facts(
        per_kg=("40", "mcg/kg/min"),  # Erasto Gaertner, medicinanet 2015
        concentrated=(("5000", "mcg/mL"), (4, 10)),  # bula.com.br/dobtan; 4 ampoules in 90 mL are 11,111
        routes=("IM", "SC", "intratecal"),  # exclusively IV infusion (bula.com.br/dobtan)
        diluents=("bicarbonato de sódio 8,4%",),  # bula.com.br/dobtan
        allergies=("dobutamina", "metabissulfito"),  # formulary.md: contraind sulfito
        must_dilute=True,
    ),
    "hidrocortisona": Facts(
        dose=("500", "mg"),  # medicinanet 8199: 100 to 500 mg
        daily=("6", "g"),  # medicinanet 8199: 500 mg every 2 h
        routes=("intradérmica",),
        allergies=("hidrocortisona",),
        salt="1.337",  # 133.7 mg of succinate are 100 mg of base
        family="corticosteroide",
    ),
    "ringer lactato": Facts(routes=("IM", "intratecal"), repeatable=True),
    "SF 0,9%": Facts(routes=("IM", "intratecal"), repeatable=True, other_names=("cloreto de sódio 0,9%",)),
    "ceftriaxona": Facts(
        dose=("4", "g"),
        daily=("4", "g"),  # Fresenius Kabi
        routes=("intratecal", "VO"),
        diluents=("Ringer lactato", "gluconato de cálcio 10%"),  # Fresenius Kabi: never with calcium
        allergies=("ceftriaxona", "cefalosporina"),  # Ceftriax
        cross=("cefalexina", "penicilina"),  # Ceftriax: other cephalosporins; penicillin raises the risk
        salt="1.194",  # Triaxon: 1.194 g of the disodium salt are 1 g
        family="cefalosporina",
    ),
    "piperacilina-tazobactam": Facts(
        dose=("4.5", "g"),
        daily=("18", "g"),  # NEB, Erasto Gaertner
        routes=("intratecal", "VO"),
        diluents=("Ringer lactato",),  # droracle 285646, FDA: not compatible
        allergies=("piperacilina", "penicilina"),  # Piperazam: any penicillin
        cross=("amoxicilina", "ampicilina"),
        renal="2,25 g a cada 8 h (FDA) ou 4,5 g a cada 12 h (RDH)",
        family="betalactâmico de amplo espectro",
    ),
    "cefepime": Facts(
        dose=("2", "g"),
        daily=("6", "g"),  # BC, neoped
        routes=("intratecal", "VO"),
        allergies=("cefepime", "cefalosporina"),
        cross=("cefalexina", "penicilina"),  # ABL: avoid in allergy to penicillins
        renal="250 mg a 1 g a cada 24 h (tabela w); ajuste de 60 mL/min para baixo (MIMS-PH)",
        salt="1.189",
        family="cefalosporina",
        other_names=("cefepima",),
    ),
    "meropenem": Facts(
        dose=("2", "g"),
        daily=("6", "g"),  # medicinanet 3334
        routes=("intratecal", "VO", "IM"),  # intravenous only (Novafarma)
        allergies=("meropenem", "carbapenêmico"),
        cross=("imipenem",),
        renal="metade da dose a cada 24 h (medicinanet 3334, FDA)",
        salt="1.14",
        family="betalactâmico de amplo espectro",
    ),
    "vancomicina": Facts(
        dose=("3", "g"),  # K360, load
        daily=("6", "g"),  # 2 g every 8 h, the most that 15 to 20 mg/kg with 2 g a dose gives
        per_kg=("35", "mg/kg"),  # 2020 consensus, load
        concentrated=(("10", "mg/mL"), (2, 20)),  # label; 2 vials in 40 mL are 25
        fastest="10 min",  # label: 60 min or more and 10 mg/min at most
        routes=("IM",),  # label, Celovan: must not be given IM
        allergies=("vancomicina",),
        renal="155 mg por 24 h a 10 mL/min (FDA)",
        must_dilute=True,
    ),
    "gentamicina": Facts(
        per_kg=("7", "mg/kg"),  # UTD, extended interval
        daily_per_kg=("7", "mg/kg"),
        routes=("intradérmica",),
        allergies=("gentamicina", "aminoglicosídeo"),
        cross=("amicacina", "tobramicina"),
        pregnancy="categoria D, dano fetal (medicinanet 33; Unimed Londrina p. 235)",
        renal="intervalo = creatinina x 8 h (medicinanet 33), ou por nível",
        family="aminoglicosídeo",
    ),
    "amicacina": Facts(
        per_kg=("25", "mg/kg"),  # São Camilo, first dose in haemofiltration; 15 to 20 otherwise
        daily_per_kg=("25", "mg/kg"),
        concentrated=(("10", "mg/mL"), (1, 18)),  # passeidireto 142009228; 1 ampoule in 20 mL is 25
        routes=("intradérmica",),
        allergies=("amicacina", "aminoglicosídeo"),
        cross=("gentamicina", "tobramicina"),
        pregnancy="categoria D (Unimed Londrina p. 235; passeidireto 142009228)",
        renal="7,5 mg/kg a cada 72 h (Erasto), por nível (São Camilo), intervalo = creatinina x 9 h (Amicilon)",
        family="aminoglicosídeo",
    ),
    "omeprazol": Facts(
        dose=("80", "mg"),  # UFSC
        daily=("272", "mg"),  # UFSC: 80 mg and 8 mg/h
        routes=("IM", "SC"),  # label: direct IV
        diluents=("Ringer lactato",),  # label: no other diluent; RDH allows only SF and SG 5%
        allergies=("omeprazol",),
        cross=("pantoprazol",),
        salt="1.115",
        family="inibidor da bomba de prótons",
    ),
    "pantoprazol": Facts(
        dose=("80", "mg"),
        daily=("272", "mg"),  # label: 80 mg and 8 mg/h; CHEO 240
        routes=("IM", "SC"),  # label: forbidden
        allergies=("pantoprazol",),
        cross=("omeprazol",),
        salt="1.1275",
        family="inibidor da bomba de prótons",
    ),
    "octreotida": Facts(
        dose=("500", "mcg"),  # the greatest single dose in acromegaly
        daily=("1.5", "mg"),  # medicinanet
        routes=("intradérmica", "intratecal"),
        diluents=("nutrição parenteral",),  # WB: unstable
        allergies=("octreotida",),
        salt="1.12",
        family="vasoativo esplâncnico",
        other_names=("octreotide",),
    ),
    "terlipressina": Facts(
        dose=("2", "mg"),
        daily=("12", "mg"),  # SPC-TER
        daily_per_kg=("240", "mcg/kg"),  # SPC-TER, earlier: 6 x 40 mcg/kg
        routes=("IM", "SC"),  # label: intravenous, to avoid necrosis
        allergies=("terlipressina",),
        pregnancy="contraindicada (consultaremedios Glypressin; guiadebulas)",
        salt="1.176",  # 1 mg of acetate is 0.85 mg of base
        family="vasoativo esplâncnico",
    ),
    "eritromicina": Facts(
        dose=("1", "g"),
        daily=("4", "g"),  # FDA, CHEO
        concentrated=(("5", "mg/mL"), (1, 15)),  # FDA, CHEO; 1 vial in 25 mL is 20
        fastest="2 min",  # FDA, CHEO: 20 to 60 min, never a push
        routes=("IM", "SC"),  # CHEO
        allergies=("eritromicina", "macrolídeo"),
        cross=("azitromicina", "claritromicina"),
        must_dilute=True,
    ),
    "furosemida": Facts(
        dose=("1500", "mg"),  # RDH, per day; 200 mg a dose in bulas.med.br
        routes=("intratecal",),
        diluents=("SG 5%",),  # bula.com.br/furosantisa: neutral to alkaline; precipitates under pH 7
        allergies=("furosemida", "sulfonamida"),  # label
        cross=("sulfametoxazol",),
        family="diurético de alça",
    ),
    "gluconato de cálcio": Facts(
        dose=("15", "g"),  # Einstein
        fastest="1 min",  # FDA 200 mg/min, UKKA 300, NEF 333
        routes=("IM", "SC"),  # medicinanet 161: forbidden
        diluents=("bicarbonato de sódio 8,4%",),  # medicinanet 161: carbonates and phosphates
        other_names=("gliconato de cálcio",),
    ),
    "bicarbonato de sódio": Facts(
        per_kg=("5", "mEq/kg"),  # JP Farma
        dose=("400", "mEq"),  # 5 mEq/kg at 80 kg; the label's own daily maximum is 190
        routes=("IM", "SC"),
        diluents=("gluconato de cálcio 10%", "Ringer lactato"),  # Fresenius, JP Farma: calcium
    ),
    "insulina regular": Facts(
        dose=("25", "U"),  # RDH, an outlier
        per_kg=("0.15", "U/kg"),  # euquerosabertudo.com; the mutator uses 20 times this
        routes=("intratecal", "VO"),
        allergies=("insulina",),
        family="insulina rápida",
    ),
    "glicose 50%": Facts(
        dose=("50", "g"),  # GF, NEF
        routes=("IM", "SC"),  # ERA: forbidden
        repeatable=True,
    ),
    "cloreto de potássio": Facts(
        dose=("40", "mEq/h"),  # FDA, Farmace
        daily=("400", "mEq"),  # FDA, Farmace, K under 2 mEq/L
        concentrated=(("400", "mEq/L"), (1, 5)),  # FDA, HSL central; one ampoule in 15 mL is 893 or more
        fastest="10 min",  # 13.4 mEq or more in 10 min are 80 mEq/h or more
        routes=("IM", "SC", "IV direta"),  # HUAP: forbidden
        diluents=("manitol 20%",),  # Farmace: não diluir em manitol
        renal="contraindicado na insuficiência renal oligúrica (equiplex.com.br)",
        family="repositor de potássio",
        must_dilute=True,
        other_names=("KCl",),
    ),
}

# Rows for a second line of the same class, from `rows/clean.yaml`; none is of the same drug as the key.
PARTNERS: dict[str, str] = {
    "ceftriaxona": "cefepime-03",
    "cefepime": "ceftriaxona-02",
    "piperacilina-tazobactam": "meropenem-01",
    "meropenem": "piptazo-01",
    "gentamicina": "amicacina-03",
    "amicacina": "gentamicina-01",
    "omeprazol": "pantoprazol-04",
    "pantoprazol": "omeprazol-01",
    "octreotida": "terlipressina-01",
    "terlipressina": "octreotida-02",
}
