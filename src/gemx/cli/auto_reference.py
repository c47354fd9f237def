"""`gemx auto drugs` and `rules`: the formulary and the codes of findings, as a person reads them."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gemx.cli import options, output
from gemx.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gemx.clinical.formulary import Drug, Formulary
    from gemx.clinical.rules import Rule

_WIDTH = 80


def drugs(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A drug by any of its names.")] = None,
    formulary: options.Formulary = None,
    as_json: options.AsJson = False,
) -> None:
    """List the formulary, or show one drug: every limit with its source and date."""
    output.begin("auto drugs", as_json=as_json)
    from gemx.clinical.formulary import load_formulary

    loaded = load_formulary(formulary)
    if name is None:
        _list_drugs(loaded, as_json=as_json)
        return
    drug = _found(loaded, name)
    if as_json:
        output.as_json({**_plain(drug), "absent": drug.absent})
        return
    output.result("\n".join(_drug_page(drug)))


def rules(
    code: Annotated[str | None, typer.Argument(metavar="[CODE]", help="A finding's code, or its family.")] = None,
    as_json: options.AsJson = False,
) -> None:
    """List the checks of an answer, or explain one with a bad and a good example."""
    output.begin("auto rules", as_json=as_json)
    from gemx import library
    from gemx.clinical.rules import load_rules

    loaded = load_rules()
    chosen = [rule for rule in loaded if code in (None, rule.code, rule.code.split(".", maxsplit=1)[0])]
    if not chosen:
        raise NotFoundError(f"no rule {code!r}{library.suggest(code or '', [rule.code for rule in loaded])}")
    if as_json:
        output.as_json([_plain(rule) for rule in chosen])
        return
    if code in {rule.code for rule in chosen}:
        output.result("\n".join(_rule_page(chosen[0])))
        return
    width = max(len(rule.code) for rule in chosen)
    for rule in chosen:
        output.result(_hanging(f"{rule.code:<{width}}  ", rule.title))


def _plain(model: Any) -> dict[str, Any]:
    from gemx.clinical.quantity import Quantity

    def shown(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: shown(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
        if isinstance(value, list):
            return [shown(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
        return str(value) if isinstance(value, Quantity) else value

    return shown(model.model_dump(by_alias=True, exclude_none=True))


def _list_drugs(loaded: Formulary, *, as_json: bool) -> None:
    found = loaded.drugs.values()
    if as_json:
        output.as_json([{"id": drug.id, "name": drug.name, "class": drug.drug_class} for drug in found])
        return
    width = max(len(drug.id) for drug in found)
    for drug in found:
        output.result(_hanging(f"{drug.id:<{width}}  ", f"{drug.name} ({drug.drug_class})"))


def _found(loaded: Formulary, name: str) -> Drug:
    from gemx import library

    begins = [drug for drug in loaded.drugs.values() if _begins(drug, name)]
    drug = loaded.drugs.get(name) or loaded.find(name) or (begins[0] if len(begins) == 1 else None)
    if drug is None and begins:
        hint = "gemx auto drugs NAME shows one"
        raise NotFoundError(f"{name!r} may be: {', '.join(drug.id for drug in begins)}", hint=hint)
    if drug is None:
        known = [each for drug in loaded.drugs.values() for each in (drug.id, *drug.names)]
        near = library.suggest(name, known)
        raise NotFoundError(f"no drug {name!r} in the formulary{near}", hint="gemx auto drugs lists them")
    return drug


def _begins(drug: Drug, name: str) -> bool:
    """Whether one of its names begins with this word, or these."""
    from gemx.clinical import wording

    asked = f"{wording.fold(name)} "
    return any(wording.fold(each).replace("_", " ").startswith(asked) for each in (drug.id, *drug.names))


def _drug_page(drug: Drug) -> Iterator[str]:
    yield _hanging("", f"{drug.name} ({drug.id}): {drug.drug_class}")
    if drug.synonyms:
        yield _hanging("Também: ", ", ".join(drug.synonyms))
    for title, lines in _sections(drug):
        found = list(lines)
        if found:
            yield from ("", title, *(_hanging("  ", line, "    ") for line in found))
    if drug.absent:
        yield from ("", _hanging("Sem fonte lida, não conferido: ", ", ".join(drug.absent), "  "))
    yield from ("", "Fontes")
    for key, source in drug.sources.items():
        weak = " (fonte fraca)" if source.weak else ""
        named = f"{source.title}. {source.publisher}" if source.publisher else source.title
        yield _hanging(
            f"  [{key}] ", f"{named}, {source.date}{weak}. Lido em {source.read}. {source.url_or_id}", "    "
        )


def _sections(drug: Drug) -> Iterator[tuple[str, Iterable[str]]]:
    if salt := drug.salt:
        yield "Base e sal", [_cited(salt.meaning, salt)]
    yield "Apresentações", (f"{each.text} [{each.source}]" for each in drug.presentations)
    for title, choices in (("Diluentes", drug.diluents), ("Vias", drug.routes)):
        if choices:
            yield (
                title,
                [
                    *(_cited(each.name, each) for each in choices.allowed),
                    *(_cited(f"NÃO: {each.name}", each) for each in choices.forbidden),
                ],
            )
    yield (
        "Concentração",
        (_cited(", ".join((_between(each.min, each.max), *_where(each))), each) for each in drug.concentration),
    )
    yield "Doses", (line for dose in drug.doses for line in _doses(dose))
    yield (
        "Velocidade e tempo",
        [
            *(_cited(f"até {each.max}", each) for each in drug.speed),
            *(_cited(f"{_MANNERS[each.manner]}: {each.min} ou mais", each) for each in drug.infusion),
        ],
    )
    if renal := drug.renal:
        none = [_cited("sem ajuste", renal.none)] if renal.none else []
        yield "Função renal", [*none, *(f"{each.when}: {each.text} [{each.source}]" for each in renal.bands)]
    yield "Gestação", (f"{_RISKS[each.risk]}: {each.text} [{each.source}]" for each in drug.pregnancy)
    yield "Alergia", (f"{each.to}: {each.text} [{each.source}]" for each in drug.allergy)
    yield "Contraindicações", (_cited(each.text, each, remark=False) for each in drug.contraindications)
    yield "Interações", (f"{', '.join(each.with_)}: {each.text} [{each.source}]" for each in drug.interactions)
    yield "Notas", (f"{each.text} [{each.source}]" for each in drug.notes)


def _where(limit: Any) -> Iterator[str]:
    if limit.manner:
        yield _MANNERS[limit.manner]
    yield from limit.routes


_MANNERS = {"direta": "injeção direta", "infusao": "infusão"}
_RISKS = {"contraindicated": "contraindicado", "caution": "cautela", "compatible": "compatível"}
_MODES = {"unica": "dose única", "intermitente": "intermitente", "continua": "contínua"}


def _doses(dose: Any) -> Iterator[str]:
    modes = ", ".join(_MODES[mode] for mode in dose.modes)
    phases = f", {' ou '.join(dose.phases)}" if dose.phases else ""
    routes = f", {', '.join(dose.routes)}" if dose.routes else ""
    yield f"{dose.indication} ({modes}{phases}{routes})"
    yield from (f"· habitual {_between(each.low, each.high)}{_remark(each)}" for each in dose.usual)
    yield from (f"· máximo {each.value}{_remark(each)}" for each in dose.max)
    yield from (f"· habitual por dia {_between(each.low, each.high)}{_remark(each)}" for each in dose.daily_usual)
    yield from (f"· máximo por dia {each.value}{_remark(each)}" for each in dose.daily_max)
    yield from (f"· a cada {_between(each.low, each.high)} h{_remark(each)}" for each in dose.interval_h)


def _remark(each: Any) -> str:
    when = f" se {each.when}" if getattr(each, "when", None) else ""
    return f"{when}{f' ({each.text})' if each.text else ''} [{each.source}]"


def _cited(said: str, each: Any, *, remark: bool = True) -> str:
    when = f" se {each.when}" if getattr(each, "when", None) else ""
    text = f" ({each.text})" if remark and getattr(each, "text", None) else ""
    return f"{said}{when}{text} [{each.source}]"


def _between(low: Any, high: Any) -> str:
    if low is None or high is None:
        return f"até {high}" if low is None else f"a partir de {low}"
    return str(low) if low == high else f"{low} a {high}"


def _rule_page(rule: Rule) -> Iterator[str]:
    yield _hanging(f"{rule.code}: ", rule.title)
    yield _hanging("Gravidade: ", ", ".join(rule.severities))
    yield from ("", _hanging("", rule.why))
    for title, example in (("Errado", rule.bad), ("Certo", rule.good)):
        yield from ("", _hanging(f"{title}: ", example.said, "  "))


def _hanging(start: str, text: str, indent: str | None = None) -> str:
    rest = " " * min(len(start), 30) if indent is None else indent
    return textwrap.fill(start + text, _WIDTH, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False)
