"""One row against its drug as a product: what must be said of it, route, diluent, strength, base or salt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from fractions import Fraction

from gemx.clinical import wording
from gemx.clinical.checks.claims import cited
from gemx.clinical.checks.row import DIRECT, SMALLEST_BAG_ML, Measure, Row, close
from gemx.clinical.findings import Finding
from gemx.clinical.formulary import Choices, Drug, Presentation
from gemx.clinical.quantity import in_base

_DOSE, _VIA = "posologia.dose", "posologia.via"
_PUSH_WORDS = ("bolus", "push", "IV direta", "IV direto", "flush")
_SALT_MATTERS = Decimal("1.2")


def check(row: Row) -> Iterator[Finding]:
    """Everything that is wrong with how the drug is named, made up and given; a drug that is not known is said."""
    drug = row.drug
    if drug is None:
        message = f"{row.item.farmaco} não está no formulário: doses e limites não foram conferidos"
        yield Finding("drug.unknown", "unverifiable", row.at("farmaco"), message, None, row.item.farmaco)
        return
    yield from _fields(row, drug)
    yield from _route(row, drug)
    yield from _diluent(row, drug)
    yield from _strength(row, drug)
    yield from _salt(row, drug)


def route_fits(route: str, accepted: Sequence[str]) -> bool:
    """Whether a route is one of the accepted: a push is IV, too."""
    return route in accepted or (route == DIRECT and "IV" in accepted)


def _fields(row: Row, drug: Drug) -> Iterator[Finding]:
    """What the formulary or the arithmetic needs and the row leaves out."""
    dosage = row.item.posologia
    if drug.doses and (dosage is None or dosage.dose is None):
        yield _missing(row, _DOSE, "a dose")
    if drug.routes and (dosage is None or not dosage.via):
        yield _missing(row, _VIA, "a via")
    if row.mode == "intermitente" and row.interval_min is None:
        yield _missing(row, "posologia.intervalo_h", "o intervalo entre as doses")
    if row.item.diluicao is None and row.route in (None, "IV", DIRECT, "IO") and _needs_dilution(row, drug):
        yield _missing(row, "diluicao", "a diluição: assim, este fármaco só é dado diluído")


def _needs_dilution(row: Row, drug: Drug) -> bool:
    """Whether the drug is never pushed, or is infused out of something too small to be a bag."""
    volume = row.measure("apresentacao.volume")
    if drug.routes is not None and any(each.name == DIRECT for each in drug.routes.forbidden):
        return True
    has_content = any(each.mass for each in drug.presentations)
    return row.mode == "continua" and has_content and (volume is None or volume.value < SMALLEST_BAG_ML)


def _missing(row: Row, field: str, what: str) -> Finding:
    return Finding("field.missing", "error", row.at(field), f"falta {what}")


def _route(row: Row, drug: Drug) -> Iterator[Finding]:
    routes = drug.routes
    said = row.item.posologia.via if row.item.posologia else None
    if routes is None or not said:
        return
    if row.unknown_route:
        message = "esta via não se lê: nada dela foi conferido"
        yield Finding("route.unlisted", "unverifiable", row.at(_VIA), message, _names(routes), said)
    used = [DIRECT if each == "IV" and row.manner == "direta" else each for each in row.routes]
    given = {*used, "IV"} if DIRECT in used else set(used)
    barred = next((each for each in routes.forbidden if each.name in given), None)
    if barred:
        message = f"via proibida: {barred.name} ({cited(drug, barred)})"
        yield Finding("route.forbidden", "error", row.at(_VIA), message, _names(routes), said)
    elif not all(route_fits(each, [known.name for known in routes.allowed]) for each in used):
        message = f"esta via não está entre as do formulário: {_names(routes)}"
        yield Finding("route.unlisted", "warning", row.at(_VIA), message, _names(routes), said)
    if pushed := _told_to_push(row, routes):
        yield pushed


def _told_to_push(row: Row, routes: Choices) -> Finding | None:
    """What the row's words tell of a bolus of a drug that must not be pushed."""
    if all(each.name != DIRECT for each in routes.forbidden):
        return None
    for field in ("titulacao", "condicao", "monitorizacao"):
        text = getattr(row.item, field)
        if text and wording.find_all(text, _PUSH_WORDS):
            message = f"via proibida: {DIRECT}, que este texto manda"
            return Finding("route.forbidden", "error", row.at(field), message, _names(routes), text)
    return None


def _names(choices: Choices) -> str:
    return ", ".join(dict.fromkeys(each.name for each in choices.allowed)) or "nenhuma"


def _diluent(row: Row, drug: Drug) -> Iterator[Finding]:
    diluents = drug.diluents
    if diluents is None or row.item.diluicao is None or row.reconstituted:
        return
    said, path = row.item.diluicao.diluente, row.at("diluicao.diluente")
    accepted = {each.name for each in diluents.allowed}
    barred = next((each for each in diluents.forbidden if each.name in row.diluents), None)
    if barred and barred.name in accepted:
        message = f"{barred.name}: uma fonte proíbe ({cited(drug, barred)}), outra aceita"
        yield Finding("diluent.forbidden", "conflict", path, message, _names(diluents), said)
    elif barred:
        message = f"diluente proibido: {barred.name} ({cited(drug, barred)})"
        yield Finding("diluent.forbidden", "error", path, message, _names(diluents), said)
    elif accepted and (not row.diluents or not accepted.issuperset(row.diluents)):
        message = f"este diluente não está entre os do formulário: {_names(diluents)}"
        yield Finding("diluent.unlisted", "warning", path, message, _names(diluents), said)


def _strength(row: Row, drug: Drug) -> Iterator[Finding]:
    mass = row.measure("apresentacao.massa")
    if mass is None or row.presentation is not None or _as_salt(row, drug, mass):
        return
    known = "; ".join(each.text for each in drug.presentations)
    message = f"apresentação que não está no formulário; as conhecidas: {known}"
    yield Finding("presentation.unknown", "warning", row.at("apresentacao"), message, known, str(mass))


def _as_salt(row: Row, drug: Drug, mass: Measure) -> bool:
    """Whether a strength is a known one counted as the other form: salt for base, or base for salt."""
    salt = drug.salt
    if salt is None or salt.ratio is None:
        return False
    factor = Fraction(salt.ratio) if salt.doses_in == "base" else 1 / Fraction(salt.ratio)
    volume = row.measure("apresentacao.volume")
    known = [in_base(each.mass) for each in drug.presentations if each.mass and _holds(each, volume)]
    return any(close(mass.value, each * factor) for each in known) and not any(
        close(mass.value, each) for each in known
    )


def _holds(presentation: Presentation, volume: Measure | None) -> bool:
    """Whether a presentation may have this volume; a powder's depends on who dissolves it."""
    if volume is None or presentation.volume is None or presentation.reconstitution:
        return True
    return close(volume.value, in_base(presentation.volume))


def _salt(row: Row, drug: Drug) -> Iterator[Finding]:
    salt = drug.salt
    if salt is None:
        return
    said, mass = row.item.base_ou_sal, row.measure("apresentacao.massa")
    source = drug.sources[salt.source]
    meant = f"{salt.meaning}; {source.publisher or source.title}"
    if said is not None and said != salt.doses_in:
        message = f"as fontes dão {meant}"
        yield Finding("salt.mismatch", "error", row.at("base_ou_sal"), message, salt.doses_in, said)
    elif mass is not None and _as_salt(row, drug, mass):
        message = f"a apresentação parece contar a outra forma: {meant}"
        yield Finding("salt.mismatch", "error", row.at("apresentacao.massa"), message, None, str(mass))
    elif said is None and mass is None and salt.ratio is not None and salt.ratio >= _SALT_MATTERS:
        message = f"não diz se a massa é de base ou de sal: {meant}"
        yield Finding("salt.missing", "unverifiable", row.at("base_ou_sal"), message, salt.doses_in)
