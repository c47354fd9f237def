"""How well the privacy guard finds identifiers: 1,000 generated texts with them, 1,000 without, and its speed.

The spellings are those of wards, registers and records, and were written without a look at the patterns:
with and without labels, abbreviated, in capitals, with hard spaces and typographic hyphens, broken over lines, spaced
as a scanner leaves them. A fifth of the texts are exports and messages, written from their formats: JSON, YAML, CSV,
Markdown, XML, TISS, FHIR, HL7 v2 and DICOM, with the keys of MV, Tasy, SINAN and e-SUS. The same seed gives the same
texts. Run as `python benchmarks/identifiers.py [--missed]`.
"""

from __future__ import annotations

import argparse
import json
import random
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from string import ascii_uppercase

SEED = 20260214
TEXTS = 1000
STRUCTURED = ("cpf", "cns", "phone", "cep", "email", "birth_date", "record")
KINDS = (*STRUCTURED, "name")
NBSP, THIN, EN_DASH, HARD_HYPHEN, MINUS, DOT = "\u00a0", "\u2009", "\u2013", "\u2011", "\u2212", "\u00b7"

Piece = tuple[str, str | None]


@dataclass(frozen=True)
class Truth:
    """An identifier that was written into a text."""

    kind: str
    start: int
    end: int


@dataclass(frozen=True)
class Sample:
    """A generated text and what identifies someone in it."""

    text: str
    truths: tuple[Truth, ...] = ()


# --- numbers ---


def cpf(rng: random.Random) -> str:
    """Eleven digits with right check digits."""
    digits = [rng.randrange(10) for _ in range(9)]
    for weight in (10, 11):
        rest = sum(digit * (weight - at) for at, digit in enumerate(digits)) * 10 % 11
        digits.append(rest % 10)
    return "".join(map(str, digits))


def cns(rng: random.Random) -> str:
    """Fifteen digits of a card: a definitive one (1, 2) or a provisional one (7, 8, 9)."""
    if rng.random() < 0.4:
        front = [rng.choice((1, 2)), *(rng.randrange(10) for _ in range(10))]
        check = -sum(digit * (15 - at) for at, digit in enumerate(front)) % 11
        tail = [0, 0, 0, check] if check != 10 else [0, 0, 1, (check - 2) % 11]
        return "".join(map(str, front + tail))
    while True:
        digits = [rng.choice((7, 8, 9)), *(rng.randrange(10) for _ in range(14))]
        if sum(digit * (15 - at) for at, digit in enumerate(digits)) % 11 == 0:
            return "".join(map(str, digits))


def number(rng: random.Random, size: int) -> str:
    """So many digits, the first not zero."""
    return str(rng.randrange(10 ** (size - 1), 10**size))


def groups(digits: str, *sizes: int) -> list[str]:
    """The digits in groups of these sizes."""
    parts, at = [], 0
    for size in sizes:
        parts.append(digits[at : at + size])
        at += size
    return parts


# --- CPF ---


def cpf_spelling(rng: random.Random, labelled: bool) -> str:
    """A CPF as people write it."""
    digits = cpf(rng)
    a, b, c, d = groups(digits, 3, 3, 3, 2)
    usual = [f"{a}.{b}.{c}-{d}"] * 6
    others = [
        f"{a}{b}{c}{d}",
        f"{a}{b}{c}{d}",
        f"{a} {b} {c} {d}",
        f"{a} {b} {c}-{d}",
        f"{a}{b}{c}-{d}",
        f"{a}.{b}.{c}.{d}",
        f"{a}.{b}.{c}/{d}",
        f"{a}-{b}-{c}-{d}",
        f"{a}.{b}.{c}{EN_DASH}{d}",
        f"{a}.{b}.{c}{HARD_HYPHEN}{d}",
        f"{a}.{b}.{c}{MINUS}{d}",
        f"{a}.{b}.{c} - {d}",
        f"{a}. {b}. {c}-{d}",
        f"{a}.{b}.{c}-\n{d}",
        f"{a}{NBSP}{b}{NBSP}{c}{NBSP}{d}",
        f"{a}.{b}.{c}{NBSP}-{NBSP}{d}",
        f"{a}{DOT}{b}{DOT}{c}-{d}",
        f"{a}.{b}.{c}{d}",
    ]
    typo = f"{a}.{b}.{c}-{(int(d) + 37) % 100:02d}"
    told = [" ".join(digits), f"{a} .{b} .{c} -{d}", typo, f"{a}{b}{c}{(int(d) + 37) % 100:02d}", f"{a},{b},{c}-{d}"]
    return rng.choice(usual + others + (told if labelled else [typo]))


CPF_LABELS = (
    "CPF: ", "CPF ", "CPF: ", "cpf: ", "CPF nº ", "CPF n° ", "CPF no. ", "CPF N.: ", "C.P.F.: ", "CPF/MF: ", "CPF=",
    "CPF - ", "CPF do responsável: ", "CPF da mãe: ", "CPF (titular): ", "CPF do(a) paciente: ",
    "inscrita no CPF sob o nº ", "inscrito no CPF/MF sob n. ", "portador do CPF ", "Doc.: CPF ", "CPF:\n", "CPF\n",
    "**CPF:** ", "| CPF | ", '"cpf": "', "cpf_paciente: ", "CPF nº: ", "CPF.: ", "Cpf:", "CPF → ", "N° CPF: ",
    "Número do CPF: ",
)  # fmt: skip


# --- CNS ---


def cns_spelling(rng: random.Random, labelled: bool) -> str:
    """A CNS as people write it."""
    digits = cns(rng)
    parts = groups(digits, 3, 4, 4, 4)
    forms = [digits, digits, digits, *(mark.join(parts) for mark in (" ", " ", " ", ".", "-", NBSP, THIN))]
    told = [
        " ".join(groups(digits, 3, 3, 3, 3, 3)),
        " ".join(digits),
        f"{parts[0]} {parts[1]}{parts[2]} {parts[3]}",
        "/".join(parts),
    ]
    return rng.choice(forms + (told if labelled else []))


CNS_LABELS = (
    "CNS: ", "CNS ", "CNS nº ", "CNS n° ", "C.N.S.: ", "Cartão SUS: ", "cartão SUS ", "cartao sus ",
    "CARTÃO SUS Nº ", "Cartão do SUS: ", "nº do cartão SUS: ", "Nº Cartão SUS ", "Cartão Nacional de Saúde: ",
    "Cartão Nacional de Saúde nº ", "Cartão Nacional de Saúde (CNS): ", "CNS/SUS: ", "Cart. SUS ", "SUS: ",
    "SUS nº ", "CNS do paciente:\n", "CNS:\n", "Carteira do SUS: ", "Cartão de Saúde: ", "| CNS | ", '"cns": "',
    "Cartão Nac. de Saúde: ",
)  # fmt: skip


# --- phone ---

AREAS = (
    *range(11, 20), *(21, 22, 24, 27, 28), *(31, 32, 33, 34, 35, 37, 38), *range(41, 50), *(51, 53, 54, 55),
    *range(61, 70),
    *(71, 73, 74, 75, 77, 79), *range(81, 90), *range(91, 100),
)  # fmt: skip


def phone_spelling(rng: random.Random, labelled: bool) -> str:
    """A phone as people write it."""
    area = rng.choice(AREAS)
    mobile, fixed = f"9{number(rng, 4)}", f"{rng.choice('2345')}{number(rng, 3)}"
    end = f"{rng.randrange(10000):04d}"
    first, rest = mobile[0], mobile[1:]
    forms = [
        *[f"({area}) {mobile}-{end}"] * 4,
        *[f"({area}) {fixed}-{end}"] * 2,
        f"({area}){mobile}-{end}",
        f"({area}) {first} {rest}-{end}",
        f"({area}) {first}.{rest}-{end}",
        f"({area}) {mobile} {end}",
        f"({area}) {mobile}{end}",
        f"({area}){fixed}{end}",
        f"({area}) {fixed} {end}",
        f"({area}) {fixed}.{end}",
        f"(0{area}) {fixed}-{end}",
        f"(0xx{area}) {fixed}-{end}",
        f"(0XX{area}) {mobile}-{end}",
        f"( {area} ) {mobile} - {end}",
        f"({area}) - {mobile}-{end}",
        f"{area} {mobile}-{end}",
        f"{area} {mobile} {end}",
        f"{area}-{mobile}-{end}",
        f"{area} {first} {rest}-{end}",
        f"{area} {first} {rest} {end}",
        f"{area}.{mobile}.{end}",
        f"{area}{mobile}{end}",
        f"{area}{mobile}-{end}",
        f"0{area} {mobile}-{end}",
        f"{area} {fixed}-{int(end) // 10 * 10 + 3:04d}",
        f"{area}-{fixed}-{int(end) // 10 * 10 + 7:04d}",
        f"+55 {area} {mobile}-{end}",
        f"+55 ({area}) {mobile}-{end}",
        f"+55{area}{mobile}{end}",
        f"+55 {area} {fixed}-{end}",
        f"55 {area} {mobile}-{end}",
        f"{mobile}-{end}",
        f"({area}){NBSP}{mobile}{HARD_HYPHEN}{end}",
        f"({area}) {mobile}{EN_DASH}{end}",
        f"({area})\n{mobile}-{end}",
        f"0800 {number(rng, 3)} {end}",
        f"0800-{number(rng, 3)}-{end}",
        f"0800{number(rng, 3)}{end}",
    ]
    told = [
        *[f"{fixed}-{end}"] * 3,
        f"{fixed} {end}",
        f"{fixed}.{end}",
        f"{fixed}{end}",
        f"{mobile} {end}",
        f"{mobile}{end}",
        f"{first} {rest} {end}",
        f"{area}{fixed}{end}",
        f"{area} {fixed} {end}",
        f"{area} {fixed}{end}",
        f"{fixed} - {end}",
        f"{area} {mobile[:3]} {mobile[3:]}{end[:1]} {end[1:]}",
    ]
    return rng.choice(forms + (told if labelled else []))


PHONE_LABELS = (
    "Tel: ", "Tel.: ", "tel ", "TEL ", "Telefone: ", "telefone ", "Telefone p/ contato: ", "Telefone de contato: ",
    "Tel. contato ", "Fone: ", "FONE ", "fone/fax: ", "Cel: ", "cel. ", "Celular: ", "celular ", "Cel da filha: ",
    "Celular da esposa (Ana): ", "contato: ", "Contato: ", "Contato (filho): ", "contato da família: ", "WhatsApp: ",
    "whatsapp ", "whats: ", "zap ", "Zap: ", "zap da nora ", "wpp ", "tel/zap: ", "Telefones: ", "tel res.: ",
    "tel. com. ", "Tel. recado: ", "recado com a vizinha: ", "recados ", "ligar p/ ", "ligar para a filha: ",
    "falar com Marta: ", "Telefone:\n", "TELEFONE\n", "| Telefone | ", '"telefone": "', "fone de contato ",
    "☎ tel.: ", "Nº tel: ", "Telefone 1: ", "tel do acompanhante: ",
)  # fmt: skip


# --- CEP ---


def cep_spelling(rng: random.Random, labelled: bool) -> str:
    """A postal code as people write it; without its label, in the usual form."""
    digits = f"{rng.randrange(1, 10)}{number(rng, 4)}{rng.choice(('000', number(rng, 3)))}"
    a, b, c = groups(digits, 2, 3, 3)
    forms = [*[f"{a}{b}-{c}"] * 3, f"{a}.{b}-{c}", f"{a}{b}{EN_DASH}{c}", f"{a}{b}{HARD_HYPHEN}{c}"]
    told = [
        digits,
        f"{a}{b} {c}",
        f"{a}{b} - {c}",
        f"{a}.{b} {c}",
        f"{a}.{b}.{c}",
        f"{a} {b}-{c}",
        f"{a}{b}{NBSP}{c}",
        f"{a}{b}- {c}",
    ]
    return rng.choice(forms + (told if labelled else []))


CEP_LABELS = (
    "CEP: ", "CEP ", "cep ", "CEP nº ", "C.E.P.: ", "Rua das Acácias, 123, Centro, CEP ",
    "Av. Brasil, 1500 - Jd. América - CEP: ", "CEP:\n", "| CEP | ", '"cep": "', "Código postal: ", "CEP.: ",
    "end.: R. Sete, 45 CEP ",
)  # fmt: skip
CEP_PLACES = (
    "Rua Sete de Setembro, 88, Centro, Campinas/SP, ", "Av. Paulista 1000, São Paulo - SP, ",
    "moradora da Rua B, 12, Recife-PE ", "",
)  # fmt: skip


# --- e-mail ---

LOCALS = (
    "maria.silva", "jose_santos", "ana-paula", "joao1958", "dona.cida", "carlos+hosp", "m.souza", "familia.oliveira",
    "zefa.lima22", "antonio",
)  # fmt: skip
HOSTS = (
    "gmail.com", "hotmail.com", "yahoo.com.br", "uol.com.br", "outlook.com", "bol.com.br", "hc.fm.usp.br",
    "prefeitura.sp.gov.br", "icloud.com", "terra.com.br",
)  # fmt: skip


def email_spelling(rng: random.Random, labelled: bool) -> str:
    """An address as people write it."""
    local, host = rng.choice(LOCALS), rng.choice(HOSTS)
    forms = [
        *[f"{local}@{host}"] * 6,
        f"{local}@{host}".upper(),
        f"{local} @ {host}",
        f"{local}@ {host}",
        f"{local.title()}@{host}",
    ]
    told = [f"{local} (at) {host}", f"{local}[arroba]{host}", f"{local} arroba {host.replace('.', ' ponto ')}"]
    return rng.choice(forms + (told if labelled else []))


EMAIL_LABELS = (
    "E-mail: ", "email ", "e-mail: ", "EMAIL: ", "Email:\n", "mailto:", "e-mail da filha: ", "contato: ",
    "| e-mail | ", '"email": "', "<",
)  # fmt: skip


# --- date of birth ---

MONTHS = (
    "janeiro",
    "fevereiro",
    "março",
    "abril",
    "maio",
    "junho",
    "julho",
    "agosto",
    "setembro",
    "outubro",
    "novembro",
    "dezembro",
)


def date_spelling(rng: random.Random, year: int, labelled: bool) -> str:
    """A date as people write it."""
    day, month = rng.randrange(1, 29), rng.randrange(1, 13)
    name = MONTHS[month - 1]
    forms = [
        *[f"{day:02d}/{month:02d}/{year}"] * 6,
        f"{day}/{month}/{year}",
        f"{day:02d}/{month:02d}/{year % 100:02d}",
        f"{day}/{month}/{year % 100:02d}",
        f"{day:02d}-{month:02d}-{year}",
        f"{day}-{month}-{year % 100:02d}",
        f"{day:02d}.{month:02d}.{year}",
        f"{day}.{month}.{year % 100:02d}",
        f"{year}-{month:02d}-{day:02d}",
        f"{day} de {name} de {year}",
        f"{day} de {name.upper()} de {year}",
        f"{day} {name} {year}",
        f"{day}/{name[:3]}/{year}",
        f"{day:02d}-{name[:3].upper()}-{year}",
        f"{day:02d}/{name[:3]}/{year % 100:02d}",
        f"1º de {name} de {year}",
        f"{day:02d}{EN_DASH}{month:02d}{EN_DASH}{year}",
        f"{day:02d} / {month:02d} / {year}",
        f"{day:02d}/ {month:02d}/ {year}",
        f"{day} de{NBSP}{name} de{NBSP}{year}",
    ]
    told = [
        f"{day:02d}{month:02d}{year}",
        f"{day:02d} {month:02d} {year}",
        f"{day:02d} {month:02d} {year % 100:02d}",
        f"{day} de {name} de\n{year}",
    ]
    return rng.choice(forms + (told if labelled else []))


BIRTH_LABELS = (
    "DN: ", "DN ", "DN: ", "dn ", "DN - ", "D.N.: ", "D.N. ", "D.N: ", "DN.: ", "Nasc.: ", "Nasc: ", "nasc. ",
    "nasc ", "Nasc. em ", "nascido em ", "nascida em ", "nascido(a) em ", "nascida no dia ", "nasceu em ",
    "Data de nascimento: ", "Data de Nascimento ", "DATA DE NASCIMENTO: ", "data de nasc.: ", "Data Nasc.: ",
    "data nasc ", "Dt. Nasc.: ", "Dt nasc: ", "DT NASC ", "Dt. de nasc. ", "DDN: ", "DDN ", "Nascimento: ",
    "nascimento em ", "NASCIMENTO ", "Nascto: ", "Data de nascimento (dd/mm/aaaa): ",
    "data de nascimento da paciente: ", "Data de nascimento:\n", "NASC\n", "natural de Recife-PE, nascida em ",
    "| Data de nascimento | ", '"data_nascimento": "', "D. Nasc.: ", "nascido aos ", "DN/idade: ",
    "Data do nascimento: ",
)  # fmt: skip


# --- record ---


def record_spelling(rng: random.Random, _labelled: bool) -> str:
    """A number of a record as hospitals give them."""
    size = rng.randrange(5, 10)
    digits = number(rng, size)
    dotted = f"{int(digits):,}".replace(",", ".")
    check = str(rng.randrange(10))
    forms = [
        *[digits] * 6,
        digits.zfill(10),
        f"{digits}-{check}",
        f"{digits}-{check}",
        f"{digits}/{check}",
        f"{digits}.{check}",
        dotted,
        f"{dotted}-{check}",
        f"{digits}-X",
        f"{digits}{rng.choice(ascii_uppercase[:6])}",
        f"{rng.choice(ascii_uppercase)}{digits}",
        f"HC{digits}",
        f"HC-{digits}",
        f"{digits}/{rng.randrange(2015, 2027)}",
        f"{rng.randrange(2015, 2027)}/{digits}",
        f"{rng.randrange(10, 99)}-{rng.randrange(32, 99)}-{rng.randrange(10, 99)}",
        f"{digits} - {check}",
        f"{digits}{EN_DASH}{check}",
        dotted.replace(".", " "),
        f"{digits}{HARD_HYPHEN}{check}",
    ]
    return rng.choice(forms)


RECORD_LABELS = (
    "Prontuário: ", "Prontuário ", "prontuário: ", "PRONTUARIO: ", "Pront. ", "Pront: ", "pront.: ", "PRONT ",
    "Prontuário nº ", "Prontuário n° ", "prontuario no. ", "Prontuário n. ", "Prontuário Nº: ",
    "Nº do prontuário: ", "nº prontuário ", "No. Prontuário: ", "número do prontuário ", "Prontuário #",
    "Prontuário eletrônico: ", "Prontuário do paciente: ", "Registro: ", "Registro nº ", "registro n° ",
    "Reg.: ", "Reg. ", "REG: ", "Reg. nº ", "Registro hospitalar: ", "Reg. hospitalar ", "RGHC ", "RGHC: ",
    "RGHC nº ", "R.G.H.C. ", "Matrícula: ", "matrícula nº ", "matricula ", "Atendimento: ", "Atendimento nº ",
    "Nº atendimento: ", "nº do atendimento ", "Atend.: ", "atend. nº ", "Internação nº ", "Nº da internação: ",
    "internação n. ", "MRN: ", "MRN ", "MRN#", "SAME: ", "SAME nº ", "SAME ", "nº do paciente: ",
    "Número do paciente ", "Cód. paciente: ", "Código do paciente: ", "ID paciente: ", "ID do paciente ",
    "Paciente nº ", "Prontuário:\n", "PRONTUÁRIO\n", "| Prontuário | ", '"prontuario": "', "Prt.: ",
    "leito/prontuário: ", "pac. pront. ",
)  # fmt: skip


# --- texts ---

Spelling = Callable[[random.Random, bool], str]
FORMS: dict[str, tuple[Spelling, Sequence[str], Sequence[str]]] = {
    "cpf": (cpf_spelling, CPF_LABELS, ("", "paciente ", "responsável: João, ", "(")),
    "cns": (cns_spelling, CNS_LABELS, ("", "paciente ", "documento ", "(")),
    "phone": (phone_spelling, PHONE_LABELS, ("", "filha Ana ", "esposa: ", "qualquer coisa ")),
    "cep": (cep_spelling, CEP_LABELS, CEP_PLACES),
    "email": (email_spelling, EMAIL_LABELS, ("", "enviar laudo para ", "resultado a ")),
    "record": (record_spelling, RECORD_LABELS, ()),
}
UNLABELLED = 0.2


def identifier(rng: random.Random, kind: str) -> list[Piece]:
    """One identifier with what stands around it."""
    if kind == "birth_date":
        return birth(rng)
    spelling, labels, bare = FORMS[kind]
    labelled = not bare or rng.random() > UNLABELLED
    label = rng.choice(labels if labelled else bare)
    value = spelling(rng, labelled)
    close = {'"': '"', "|": " |", "(": ")", "<": ">"}.get(label.strip()[-1:] if label.strip() != "|" else "", "")
    pieces: list[Piece] = [(label, None), (value, kind), (close, None)]
    if kind == "phone" and labelled and rng.random() < 0.1:
        pieces += [(rng.choice((" / ", " ou ", ", ", " e ")), None), (phone_spelling(rng, labelled=False), kind)]
    return pieces


def birth(rng: random.Random) -> list[Piece]:
    """A date of birth: labelled, or beside the age."""
    age = rng.randrange(18, 98)
    year = 2025 - age
    if rng.random() > UNLABELLED:
        label = rng.choice(BIRTH_LABELS)
        close = (
            '"'
            if label.endswith('"')
            else " |"
            if label.startswith("|")
            else rng.choice(("", "", f" ({age} anos)", f", {age}a"))
        )
        return [(label, None), (date_spelling(rng, year, labelled=True), "birth_date"), (close, None)]
    value = date_spelling(rng, year, labelled=False)
    before, after = rng.choice(
        (
            ("", f" ({age} anos)"), ("", f" ({age}a)"), ("", f", {age} anos"), ("", f" - {age} anos"),
            ("", f" {age} anos"), (f"{age} anos, ", ""), (f"{age} anos (", ")"), (f"{age}a, ", ""),
            ("masc, ", f", {age} a"), (f"{age} anos - ", ""), ("", f" – {age} ANOS"),
        )
    )  # fmt: skip
    return [(before, None), (value, "birth_date"), (after, None)]


NAMES = ("Maria da Silva", "João Batista de Souza", "ANA PAULA LIMA", "José Carlos dos Santos", "Antônia Ferreira")
OPENINGS = (
    "",
    "",
    "Paciente {name}, ",
    "PACIENTE: {name}\n",
    "Pcte {name}. ",
    "Identificação: {name} ",
    "ID: {name}, ",
    "Sr(a). {name}; ",
)
JOINTS = (", ", "; ", " | ", "\n", " - ", "  ", ". ", " / ", "\t", "\n- ")


def positive(rng: random.Random) -> Sample:
    """A note with one to four identifiers, and the numbers of every other note."""
    opening = rng.choice(OPENINGS).format(name=rng.choice(NAMES))
    pieces: list[Piece] = [(opening, None)] if opening else [(f"{clinical(rng)}. ", None)]
    for kind in rng.sample(STRUCTURED, rng.choice((1, 2, 2, 3, 4))):
        pieces += [*identifier(rng, kind), (rng.choice(JOINTS), None)]
    pieces += [(f"{clinical(rng)}. {clinical(rng)}", None)]
    return assembled(typed(rng, pieces))


def typed(rng: random.Random, pieces: Iterable[Piece]) -> list[Piece]:
    """The pieces as a given hand types them: capitals, no accents, decomposed accents, hard spaces."""
    change = rng.choices((str, str.upper, str.lower, without_accents, decomposed, hard_spaced), (60, 12, 8, 10, 5, 5))[
        0
    ]
    return [(change(text), kind) for text, kind in pieces]


def decomposed(text: str) -> str:
    """Letters and accents apart, as macOS and PDFs have them."""
    return unicodedata.normalize("NFD", text)


def without_accents(text: str) -> str:
    """As typed in a hurry."""
    return "".join(char for char in decomposed(text) if not unicodedata.combining(char))


def hard_spaced(text: str) -> str:
    """As pasted from a web page."""
    return text.replace(" ", NBSP)


def assembled(pieces: Sequence[Piece]) -> Sample:
    """The pieces as a text, with the places of its identifiers."""
    text, truths = "", []
    for piece, kind in pieces:
        if kind:
            truths.append(Truth(kind, len(text), len(text) + len(piece)))
        text += piece
    return Sample(text, tuple(truths))


def negative(rng: random.Random) -> Sample:
    """A note that identifies nobody, however many numbers are in it."""
    lines = [clinical(rng) for _ in range(rng.randrange(6, 14))]
    joint = rng.choice((". ", "\n", "; ", "\n- ", ", "))
    return assembled(typed(rng, [(joint.join(lines), None)]))


def clinical(rng: random.Random) -> str:
    """One line of a note, with the numbers that such a line has."""
    between = rng.randrange
    day, month, year = between(1, 29), between(1, 13), between(2019, 2027)
    date = rng.choice(
        (
            f"{day:02d}/{month:02d}/{year}",
            f"{day:02d}/{month:02d}",
            f"{day}/{month}/{year % 100}",
            f"{day:02d}.{month:02d}.{year}",
            f"{day} de {MONTHS[month - 1]}",
        )
    )
    clock = rng.choice((f"{between(24):02d}:{between(60):02d}", f"{between(24)}h{between(60):02d}", f"{between(24)}h"))
    decimal = f"{between(1, 30)},{between(10)}"
    thousand = f"{between(1, 40)}.{between(1000):03d}"
    hundreds = [str(between(60, 400)) for _ in range(5)]
    choices = (
        f"PA {between(80, 200)}x{between(40, 120)} mmHg, FC {between(50, 140)} bpm, FR {between(12, 40)} "
        f"irpm, SpO2 {between(80, 100)}%",
        f"PA: {between(80, 200)}/{between(40, 120)} PAM {between(50, 110)} Tax {between(35, 40)},{between(10)}°C",
        f"Hb {decimal} Ht {between(20, 50)}% leuco {thousand} ({between(1, 20)}% bastões) plaquetas "
        f"{between(20, 500)}.000",
        f"leucócitos {thousand}/mm³ (VR 4.000-11.000), plaquetas {between(20, 500)}.000 (150.000-450.000)",
        f"Plaquetas {between(20, 500)}000, leucócitos {between(1000, 30000)}, VR 4000-11000",
        f"Cr {decimal} Ur {between(20, 250)} Na {between(120, 160)} K {between(2, 7)},{between(10)} Mg "
        f"1,{between(10)} P 3,{between(10)}",
        f"gasometria: pH 7,{between(10, 55)} pCO2 {between(20, 90)} pO2 {between(40, 180)} HCO3 {decimal} BE "
        f"-{between(1, 15)} lactato {decimal}",
        f"troponina {between(10, 9000)} ng/L (VR < 14), BNP {between(100, 35000)} pg/mL, D-dímero {between(200, 9000)}",
        f"HGT {'-'.join(hundreds[:3])} mg/dL",
        f"Dextro: {' / '.join(hundreds)}",
        f"glicemias {', '.join(hundreds)} e {between(60, 400)}",
        f"BH {rng.choice('+-')}{between(100, 4000)} mL/24h, diurese {between(200, 4000)} mL ({decimal} mL/kg/h)",
        f"balanço: ganhos {between(1000, 4000)} perdas {between(1000, 4000)} diurese {between(100, 3000)} "
        f"drenos {between(10, 900)}",
        f"dieta enteral {between(10, 20)}00-{between(20, 30)}00 kcal/dia, {between(20, 80)} mL/h",
        "oferta hídrica 2000-3000 mL/24h",
        f"SF 0,9% {between(1, 6)}00 mL + KCl 19,1% 10 mL EV {between(2, 12)}/{between(12, 13)}h",
        f"noradrenalina 16 mg/250 mL a {between(2, 40)} mL/h (0,{between(10, 99)} mcg/kg/min)",
        f"ceftriaxona 1 g EV 12/12h D{between(1, 10)}/{between(10, 15)}, azitromicina 500 mg 1x/dia",
        f"enoxaparina {between(2, 9)}0 mg SC 12/12h; heparina 5.000 UI SC 8/8h",
        f"insulina regular conforme HGT: 180-250: 2 UI; 251-300: 4 UI; 301-350: 6 UI; >{between(350, 400)}: 8 UI",
        f"VM: VCV VC {between(280, 550)} FR {between(12, 34)} PEEP {between(5, 18)} FiO2 {between(21, 100)}% "
        f"PPlat {between(15, 32)} DP {between(8, 18)}",
        f"PSV {between(5, 18)}/{between(5, 12)} FiO2 {between(21, 60)}% VC {between(300, 600)} P/F {between(80, 400)}",
        f"admitido em {date} às {clock}, proveniente da UPA",
        f"internação em {date}, data da alta prevista {date}",
        f"Data da internação: {date} {clock}",
        f"DIH: {date} (D{between(1, 40)})",
        f"TC de tórax ({date}): opacidades em vidro fosco {between(10, 60)}%",
        f"ECO {date}: FE {between(20, 70)}%, PSAP {between(20, 80)} mmHg, VE {between(40, 70)}x{between(30, 60)} mm",
        f"hemocultura colhida {date} {clock} - 2 amostras; resultado parcial {date}",
        f"cirurgia em {date}, alta da UTI em {date}",
        f"IAM prévio em {between(1995, 2024)}, AVC em {between(1995, 2024)}",
        f"{between(18, 98)} anos, internado em {date} por pneumonia",
        f"paciente de {between(18, 98)} anos, HAS há {between(2, 40)} anos, tabagista {between(10, 80)} maços-ano",
        f"{between(18, 98)}a, masc, peso {between(45, 130)} kg, altura 1,{between(45, 95)} m, IMC {decimal}",
        f"período do estudo {between(1999, 2015)}-{between(2016, 2026)}, n = {between(100, 20000)}",
        f"Dr. Paulo CRM-SP {between(10000, 250000)}",
        f"CRM/MG {between(10, 99)}.{between(100, 999)} RQE {between(1000, 99999)}",
        f"CRM {between(10000, 250000)}/RJ, plantonista, {clock}",
        f"COREN-SP {between(100, 900)}.{between(100, 999)}-ENF",
        f"CRO {between(1000, 99999)}; CREFITO-3 {between(1000, 99999)}-F",
        f"CID {rng.choice('AEIJKN')}{between(10, 99)}.{between(10)}",
        f"CID-10: I21.{between(10)}, E11.9, J{between(10, 99)}, N17.9",
        f"APACHE II {between(5, 40)}, SAPS 3 {between(30, 90)} pts, SOFA {between(20)} "
        f"({', '.join(str(between(5)) for _ in range(6))})",
        f"Glasgow {between(3, 16)} (AO {between(1, 5)} RV {between(1, 6)} RM {between(1, 7)}), RASS -{between(1, 5)}",
        f"CURB-65 {between(6)}, qSOFA {between(4)}, NEWS2 {between(18)}, CHA2DS2-VASc {between(9)}, HAS-BLED "
        f"{between(9)}",
        f"escore de Wells {between(12)},5; Genebra {between(15)}; PESI {between(40, 160)}",
        f"lote {number(rng, 6)} validade {month:02d}/{between(2026, 2030)}",
        f"CNES {number(rng, 7)}; CNPJ {between(10, 99)}.{between(100, 999)}.{between(100, 999)}/0001-{between(10, 99)}",
        "Resolução CNS 466/2012 e Lei 13.709/2018; RDC 36/2013; Portaria 2.616/1998",
        f"doi 10.1097/CCM.000000000000{between(1000, 9999)}; PMID {number(rng, 8)}; NCT0{number(rng, 7)}",
        f"SIGTAP 03.01.06.{between(100):03d}-{between(10)}; TUSS 4{number(rng, 7)}",
        f"registro de diurese a cada 2h; registro ANVISA 1.0298.0{between(100, 999)}",
        f"prontuário revisado em {date} às {clock}",
        f"atendimento iniciado às {clock} de {date}; {between(2, 9)}º atendimento no mês",
        f"internação há {between(2, 40)} dias; {between(2, 5)}ª internação em {year}",
        f"peso ao nascimento {between(1, 4)}.{between(100, 999)} g, IG {between(28, 41)}+{between(7)}, Apgar "
        f"{between(4, 9)}/{between(7, 10)}",
        "CPF não informado; telefone sem retorno; CEP não consta",
        "precaução de contato e aerossóis; contato com caso de TB há 2 meses",
        f"SAMU 192 acionado às {clock}; ramal {number(rng, 4)}",
        f"leito {between(1, 30)}, UTI {between(1, 5)}, {between(2, 9)}º andar",
        f"cateter em VJID há {between(2, 14)} dias, SVD 1{between(4, 8)} Fr, dreno {between(20, 36)} Fr "
        f"{between(50, 900)} mL",
        f"horários: 06-12-18-24; {between(6, 9)}:00-{between(15, 19)}:00",
        f"sepse: lactato {decimal} → {decimal} (clareamento {between(5, 60)}%), {between(1, 4)} L de Ringer, "
        f"meta PAM > 65",
        f"TFG {between(10, 120)} mL/min/1,73 m²; clearance {decimal}; proteinúria {between(150, 9000)} mg/24h",
        f"PCR {between(5, 400)} VHS {between(10, 120)} ferritina {between(50, 9000)} DHL {between(150, 2000)} "
        f"CPK {between(50, 20000)}",
        f"TGO {between(20, 3000)} TGP {between(20, 3000)} FA {between(50, 900)} GGT {between(20, 900)} BT "
        f"{decimal} (BD {decimal})",
        f"INR {decimal} TTPa {between(25, 120)} s (R {decimal}) fibrinogênio {between(100, 900)}",
        f"urina: leucócitos {between(10, 999)}000/mL, hemácias {between(1, 99)}000/mL, densidade 1.0{between(10, 30)}",
        f"O2 CN {between(1, 6)} L/min, máscara 10-15 L/min, CNAF 40-60 L/min FiO2 {between(40, 90)}%",
        f"tempo porta-agulha {between(10, 90)} min, delta T {between(1, 12)}h{between(10, 59)}",
        f"TAP {between(20, 100)}% / KPTT {between(25, 90)}\" / plaq {between(20, 500)} mil",
        f"US abdome {date}: rim D {between(80, 130)} x {between(40, 60)} x {between(40, 60)} mm",
        f"protocolo de exame {number(rng, 9)}; amostra {number(rng, 6)}",
        "dipirona 1 g 6/6h SN, omeprazol 40 mg 1x, bromoprida 10 mg 8/8h, sinvastatina 20-40 mg",
        f"próximo retorno: {date}, {clock}, sala {between(1, 30)}",
    )  # fmt: skip
    return rng.choice(choices)


# --- exports ---

FIRST = (
    "Maria", "José", "Zélia", "Iraci", "Kauã", "Antônia", "João", "Edvânia", "Waldomiro", "Conceição", "Tarsila",
    "Ubirajara", "Núbia", "Dorival", "Cíntia", "Josué", "Ivonete", "Raimundo", "Açucena", "Hermínio",
)  # fmt: skip
MIDDLE = ("", "", "da", "de", "dos", "Aparecida", "das Graças", "Batista", "Cristina")
LAST = (
    "Silva", "Quadros", "Conceição", "Araújo", "Brandão", "Sant'Anna", "Peçanha", "Gusmão", "Albuquerque", "Falcão",
    "Nóbrega", "Teixeira", "Assunção", "Vilela",
)  # fmt: skip


@dataclass(frozen=True)
class Person:
    """What an export says of a patient."""

    first: str
    last: str
    values: dict[str, str]


def person(rng: random.Random) -> Person:
    """A patient of an export: in capitals, without accents, or as a form has it."""
    first, last = f"{rng.choice(FIRST)} {rng.choice(MIDDLE)}".strip(), rng.choice(LAST)
    mother = f"{rng.choice(FIRST)} {rng.choice(LAST)}"
    change = rng.choice((str, str.upper, lambda text: without_accents(text).upper(), str.lower))
    area, end = rng.choice(AREAS), number(rng, 8)
    values = {
        "name": change(f"{first} {last}"),
        "mother": change(mother),
        "cpf": cpf(rng),
        "cns": cns(rng),
        "birth_date": f"{rng.randrange(1928, 2008)}-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}",
        "record": number(rng, rng.randrange(5, 9)),
        "phone": rng.choice((f"({area}) 9{end[:4]}-{end[4:]}", f"{area}9{end}", f"{area}3{end[:7]}")),
        "cep": rng.choice((f"{number(rng, 5)}-{number(rng, 3)}", number(rng, 8))),
        "email": f"{rng.choice(LOCALS)}@{rng.choice(HOSTS)}",
    }
    return Person(change(first), change(last), values)


EXPORT_KEYS: tuple[dict[str, tuple[str, ...]], ...] = (
    {  # MV
        "name": ("nm_paciente",), "mother": ("nm_mae",), "cpf": ("nr_cpf",), "cns": ("nr_cns",),
        "birth_date": ("dt_nascimento",), "record": ("cd_paciente", "cd_atendimento"), "phone": ("nr_fone",),
        "cep": ("nr_cep",), "email": ("ds_email",),
    },
    {  # Tasy
        "name": ("nm_pessoa_fisica", "nm_paciente"), "mother": ("nm_mae",), "cpf": ("nr_cpf",),
        "cns": ("nr_cartao_nac_sus", "nr_cns"), "birth_date": ("dt_nascimento",),
        "record": ("nr_prontuario", "nr_atendimento", "cd_pessoa_fisica"), "phone": ("nr_telefone_celular",),
        "cep": ("cd_cep",), "email": ("ds_email",),
    },
    {  # SINAN
        "name": ("NM_PACIENT",), "mother": ("NM_MAE_PAC",), "cpf": ("NU_CPF",), "cns": ("ID_CNS_SUS",),
        "birth_date": ("DT_NASC",), "record": ("NU_PRONTUARIO",), "phone": ("NU_TELEFON",), "cep": ("NU_CEP",),
        "email": ("DS_EMAIL",),
    },
    {  # a service
        "name": ("nomeCompleto", "nomePaciente", "nome_paciente"), "mother": ("nomeMae", "nome_mae"),
        "cpf": ("cpfPaciente", "cpf", "cpf_paciente"), "cns": ("cartaoSus", "cns", "numeroCns"),
        "birth_date": ("dataNascimento", "data_nascimento", "dtNasc"), "record": ("numeroProntuario", "idPaciente"),
        "phone": ("telefoneCelular", "telefone_contato", "celularPaciente"), "cep": ("cep", "cep_paciente"),
        "email": ("email",),
    },
    {  # in English
        "name": ("patientName", "patient_name", "full_name"), "mother": ("mother_name", "motherName"),
        "cpf": ("cpf",), "cns": ("cns",), "birth_date": ("birthDate", "birth_date", "dateOfBirth"),
        "record": ("mrn", "patientId", "patient_id"), "phone": ("phone", "phoneNumber", "mobile_phone"),
        "cep": ("postalCode", "postal_code"), "email": ("email",),
    },
)  # fmt: skip
Field = tuple[str, str, str]  # key, value, kind


def fields(rng: random.Random, style: dict[str, tuple[str, ...]], picked: Sequence[str]) -> list[Field]:
    """The fields of one patient, with the keys of a system."""
    who = person(rng)
    return [(rng.choice(style[each]), who.values[each], "name" if each == "mother" else each) for each in picked]


def json_export(rng: random.Random) -> list[Piece]:
    """An object, its letters escaped or not."""
    escaped, gap = rng.random() < 0.6, rng.choice(("", "\n  ", " "))
    pieces: list[Piece] = [("{", None)]
    for at, (key, value, kind) in enumerate(picked_fields(rng)):
        said = json.dumps(value, ensure_ascii=escaped)[1:-1].replace("/", rng.choice(("/", "\\/")))
        pieces += [(f'{"," if at else ""}{gap}"{key}":{rng.choice(("", " "))}"', None), (said, kind), ('"', None)]
    return [*pieces, (f'{gap},"ds_evolucao": "estavel, Hb 9,8"}}', None)]


def picked_fields(rng: random.Random) -> list[Field]:
    """Some fields of a patient of some system, the name among them."""
    style = rng.choice(EXPORT_KEYS)
    return fields(rng, style, ["name", *rng.sample([each for each in style if each != "name"], rng.randrange(2, 6))])


def yaml_export(rng: random.Random) -> list[Piece]:
    """A mapping, or the lines of an .ini."""
    sign, quote = rng.choice((": ", "=", " = ")), rng.choice(("", "", "'", '"'))
    pieces: list[Piece] = []
    for key, value, kind in picked_fields(rng):
        mark = "" if "'" in value else quote
        pieces += [(f"{key}{sign}{mark}", None), (value, kind), (f"{mark}\n", None)]
    return pieces


def table_export(rng: random.Random) -> list[Piece]:
    """Rows below a head: CSV, with semicolons, tabs, or in Markdown."""
    style, mark = rng.choice(EXPORT_KEYS), rng.choice((",", ";", ";", "\t", " | "))
    picked = ["name", *rng.sample([each for each in style if each != "name"], rng.randrange(1, 5))]
    rng.shuffle(picked)
    keys = [rng.choice(style[each]) for each in picked]
    edge = ("| ", " |\n") if mark == " | " else ("", "\n")
    pieces: list[Piece] = [(f"{edge[0]}{mark.join([*keys, 'sexo'])}{edge[1]}", None)]
    if edge[0]:
        pieces.append((f"|{'---|' * (len(keys) + 1)}\n", None))
    for _ in range(rng.randrange(1, 4)):
        pieces.append((edge[0], None))
        for _, value, kind in fields(rng, style, picked):
            quote = '"' if mark == "," and rng.random() < 0.3 else ""
            pieces += [(quote, None), (value, kind), (f"{quote}{mark}", None)]
        pieces.append((f"{rng.choice('FM')}{edge[1]}", None))
    return pieces


def references(rng: random.Random, text: str) -> str:
    """Letters as references of XML, or as they are."""
    if rng.random() < 0.5:
        return text
    form = rng.choice(("&#{};", "&#x{:X};"))
    return "".join(char if char.isascii() and char != "'" else form.format(ord(char)) for char in text)


def xml_export(rng: random.Random) -> list[Piece]:
    """Elements, or the attributes of one."""
    pieces: list[Piece] = [("<paciente", None)]
    inside = rng.random() < 0.7
    pieces.append((">\n" if inside else "", None))
    for key, value, kind in picked_fields(rng):
        said = references(rng, value)
        if inside:
            pieces += [(f"  <{key}>", None), (said, kind), (f"</{key}>\n", None)]
        else:
            pieces += [(f' {key}="', None), (said, kind), ('"', None)]
    return [*pieces, ("</paciente>" if inside else "/>", None)]


def tiss(rng: random.Random) -> list[Piece]:
    """The patient of a guide of ANS."""
    values = person(rng).values
    return [
        ("<ans:dadosBeneficiario>\n<ans:numeroCarteira>", None), (number(rng, rng.randrange(9, 17)), "record"),
        ("</ans:numeroCarteira>\n<ans:atendimentoRN>N</ans:atendimentoRN>\n<ans:nomeBeneficiario>", None),
        (references(rng, values["name"]), "name"), ("</ans:nomeBeneficiario>\n<ans:numeroCNS>", None),
        (values["cns"], "cns"), ("</ans:numeroCNS>\n</ans:dadosBeneficiario>", None),
    ]  # fmt: skip


def fhir(rng: random.Random) -> list[Piece]:
    """A patient of RNDS: the name in parts or as a text, the number before its system or behind it."""
    who = person(rng)
    values, base = who.values, "http://rnds.saude.gov.br/fhir/r4/NamingSystem/"
    pieces: list[Piece] = [('{"resourceType": "Patient", "identifier": [', None)]
    for at, kind in enumerate(("cpf", "cns")):
        system, comma = f'"system": "{base}{kind}"', ", " if at else ""
        if rng.random() < 0.5:
            pieces += [(f'{comma}{{{system}, "value": "', None), (values[kind], kind), ('"}', None)]
        else:
            pieces += [(f'{comma}{{"value": "', None), (values[kind], kind), (f'", {system}}}', None)]
    if rng.random() < 0.5:
        first, last = json.dumps(who.first)[1:-1], json.dumps(who.last)[1:-1]
        pieces += [('], "name": [{"use": "official", "family": "', None), (last, "name")]
        pieces += [('", "given": ["', None), (first, "name"), ('"]}]', None)]
    else:
        pieces += [('], "name": [{"use": "official", "text": "', None), (values["name"], "name"), ('"}]', None)]
    pieces += [(', "telecom": [{"system": "phone", "value": "', None), (values["phone"], "phone"), ('"}]', None)]
    return [*pieces, (', "gender": "female", "birthDate": "', None), (values["birth_date"], "birth_date"), ('"}', None)]


def hl7(rng: random.Random) -> list[Piece]:
    """An admission with its patient and next of kin."""
    who, end = person(rng), rng.choice(("\r", "\n", "\r\n"))
    values, kin = who.values, f"{rng.choice(LAST)}^{rng.choice(FIRST)}"
    return [
        (f"MSH|^~\\&|ADT|HOSP|LAB|HOSP|20240312143500||ADT^A01|{number(rng, 5)}|P|2.5{end}PID|1||", None),
        (values["record"], "record"), ("^^^HOSP^MR||", None),
        (f"{who.last}^{who.first.replace(' ', '^', 1)}", "name"), ("||", None),
        (values["birth_date"].replace("-", ""), "birth_date"), ("|F|||R. Sete, 45^^RECIFE^PE^", None),
        (f"{number(rng, 5)}-{number(rng, 3)}", "cep"), ("||", None), (values["phone"], "phone"),
        (f"{end}NK1|1|", None), (kin, "name"), (f"|MTH{end}PV1|1|I|UTI^07{end}OBX|1|NM|K^Potassio||6.1|mmol/L", None),
    ]  # fmt: skip


def dicom(rng: random.Random) -> list[Piece]:
    """A dump of DCMTK or of pydicom."""
    who = person(rng)
    name, record = f"{who.last}^{who.first}".replace("'", ""), who.values["record"]
    born = who.values["birth_date"].replace("-", "")
    if rng.random() < 0.5:
        return [
            ("(0008,0060) CS [CT]  #   2, 1 Modality\n(0010,0010) PN [", None), (name, "name"),
            ("]  #  16, 1 PatientName\n(0010,0020) LO [", None), (record, "record"),
            ("]  #   6, 1 PatientID\n(0010,0030) DA [", None), (born, "birth_date"), ("] #  8, 1\n", None),
        ]  # fmt: skip
    return [
        ("(0008, 0060) Modality                            CS: 'CT'\n(0010, 0010) Patient's Name", None),
        (" " * 22 + "PN: '", None), (name, "name"), ("'\n(0010, 0020) Patient ID" + " " * 26 + "LO: '", None),
        (record, "record"), ("'\n(0010, 0030) Patient's Birth Date                DA: '", None),
        (born, "birth_date"), ("'\n", None),
    ]  # fmt: skip


EXPORTS = (json_export, json_export, yaml_export, table_export, table_export, xml_export, tiss, fhir, hl7, dicom)


def export(rng: random.Random) -> Sample:
    """An export or a message with patients in it."""
    return assembled(rng.choice(EXPORTS)(rng))


def harmless_export(rng: random.Random) -> Sample:
    """An export or a message that identifies nobody."""
    value, code = f"{rng.randrange(1, 30)}.{rng.randrange(10)}", number(rng, 8)
    day = f"2024-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}"
    texts = (
        f'{{"nm_exame": "Pot\\u00e1ssio s\\u00e9rico", "vl_resultado": {value}, '
        f'"dt_coleta": "{day}", "cd_exame": {code}}}',
        f'{{"medicamento": {{"nome": "dipirona", "dose": "1 g"}}, "nr_lote": "{code}", "dt_validade": "{day}"}}',
        '{"nome_paciente": null, "nomeMae": "NAO INFORMADO", "cpfPaciente": "", "dataNascimento": null}',
        '{"nm_paciente": "IGNORADO", "nm_mae": "SEM NOME", "telefone": "nao informado"}',
        f"cd_exame;nm_exame;vl_resultado;dt_coleta\n{code};CREATININA SERICA;{value};{day}\n",
        f"nm_setor,nm_leito,qt_pacientes\nUTI ADULTO,BOX,{rng.randrange(99)}\n",
        f"| ds_exame | vl_resultado |\n|---|---|\n| Ureia serica | {value} |\n",
        f"<exame><codigo>{code}</codigo><nome>hemograma</nome><data>{day}</data><valor>{value}</valor></exame>",
        f"<ans:registroANS>{code[:6]}</ans:registroANS><ans:codigoProcedimento>{code}</ans:codigoProcedimento>",
        f"OBX|1|NM|2823-3^Potassio^LN||{value}|mmol/L|3.5-5.1|H|||F|||20240312143500",
        f"OBR|1|||58410-2^Hemograma^LN|||{day.replace('-', '')}0800\nNTE|1||amostra hemolisada",
        f'{{"resourceType": "Observation", "status": "final", "valueQuantity": {{"value": {value}, "unit": "mg/dL"}}}}',
        f"(0008,0020) DA [{day.replace('-', '')}]  # 8, 1 StudyDate\n(0018,0050) DS [1.25]  # SliceThickness",
        "name: sepse\nversion: 2\ninputs:\n  - nome_paciente\n  - data_nascimento\nmodel: gemini-2.5-flash",
        '{"type": "object", "properties": {"nome_paciente": {"type": "string"}, "cpf": {"type": "string"}}}',
        "SELECT p.nm_paciente, p.dt_nascimento, a.cd_atendimento FROM paciente p JOIN atendime a USING (cd_paciente)",
        "const nomePaciente = dados.nome; const cpfPaciente = limpar(dados.cpf);",
        r"C:\nome\telefone\notas.txt e \\servidor\pacientes\uti; regex \d{3}\.\d{3}",
        "Caf&eacute; com leite &amp; p&atilde;o; SpO&#8322; &lt; 90%",
    )
    return Sample(rng.choice(texts))


SHARE = 0.2


def corpora(seed: int = SEED, size: int = TEXTS) -> tuple[list[Sample], list[Sample]]:
    """The texts with identifiers, and those without."""
    rng = random.Random(seed)
    with_some = [export(rng) if rng.random() < SHARE else positive(rng) for _ in range(size)]
    without = [harmless_export(rng) if rng.random() < SHARE else negative(rng) for _ in range(size)]
    return with_some, without


# --- measurement ---


@dataclass
class Figures:
    """What was found of what was written, and what was found where nothing was."""

    written: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    alarms: int = 0
    texts: int = 0
    missed: list[str] = field(default_factory=list)

    def recall(self, kind: str | None = None) -> float:
        """The share that was found whole and under its own kind; of all kinds together where none is named."""
        if kind is None:
            return self.found.total() / self.written.total()
        return self.found[kind] / self.written[kind]


def measure(seed: int = SEED, size: int = TEXTS) -> Figures:
    """Find in both corpora."""
    from gemx.gateway.identifiers import find

    figures = Figures()
    with_some, without = corpora(seed, size)
    for sample in with_some:
        findings = find(sample.text)
        for truth in sample.truths:
            figures.written[truth.kind] += 1
            covered = any(
                each.kind == truth.kind and each.start <= truth.start and truth.end <= each.end for each in findings
            )
            figures.found[truth.kind] += covered
            if not covered:
                around = sample.text[max(0, truth.start - 40) : truth.end + 20]
                figures.missed.append(f"MISSED {truth.kind}: {sample.text[truth.start : truth.end]!r} in {around!r}")
    for sample in without:
        findings = find(sample.text)
        figures.texts += 1
        figures.alarms += bool(findings)
        figures.missed += [
            f"ALARM {each.kind}: {sample.text[max(0, each.start - 30) : each.end + 10]!r}" for each in findings
        ]
    return figures


def speed(seed: int = SEED) -> float:
    """Megabytes a second over notes of both corpora, the best of three passes, in processor time."""
    from gemx.gateway.identifiers import find

    with_some, without = corpora(seed)
    text = "\n\n".join(sample.text for pair in zip(with_some, without, strict=True) for sample in pair)
    times = []
    for _ in range(3):
        start = time.process_time()
        find(text, [("name", "Maria Aparecida da Silva Souza"), ("bed", "UTI-07"), ("record", "1234567-8")])
        times.append(time.process_time() - start)
    return len(text.encode()) / 1e6 / min(times)


def table(figures: Figures, megabytes: float) -> str:
    """The figures in Markdown."""
    lines = ["| kind | written | found | recall |", "|---|--:|--:|--:|"]
    lines += [
        f"| {kind} | {figures.written[kind]} | {figures.found[kind]} | {figures.recall(kind):.1%} |" for kind in KINDS
    ]
    lines += [f"| all | {figures.written.total()} | {figures.found.total()} | {figures.recall():.1%} |", ""]
    lines += [
        f"False alarms: {figures.alarms} of {figures.texts} texts without identifiers "
        f"({figures.alarms / figures.texts:.1%})."
    ]
    lines += [f"Speed: {megabytes:.1f} MB/s."]
    return "\n".join(lines)


def main() -> None:
    """Print the figures, and with --missed what was missed and what was no identifier."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--missed", action="store_true", help="print the misses and the false alarms")
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    figures = measure(arguments.seed)
    if arguments.missed:
        print("\n".join(figures.missed))
    print(table(figures, speed(arguments.seed)))


if __name__ == "__main__":
    main()
