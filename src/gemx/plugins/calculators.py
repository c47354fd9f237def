"""The calculators that ship, and those of enabled plugins; a plugin is loaded only for an id that does not ship."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from gemx import plugins
from gemx.clinical import calculators
from gemx.clinical.calculators import Calculator, Component, Parameter, Raw, Result
from gemx.errors import GemxError, NotFoundError, PluginError
from gemx.plugins import Offer

_ID = re.compile(r"[a-z][a-z0-9_]*")
_TEXTS = ("title", "unit", "formula_version", "source")


@dataclass
class Foreign:
    """The calculators of plugins by id, each with who offers it; the plugins that do not load; and what is not used."""

    found: dict[str, tuple[Calculator, Offer]] = field(default_factory=dict[str, tuple[Calculator, Offer]])
    problems: list[PluginError] = field(default_factory=list[PluginError])
    clashes: list[str] = field(default_factory=list[str])

    @property
    def calculators(self) -> list[Calculator]:
        """The calculators alone."""
        return [calculator for calculator, _ in self.found.values()]

    @property
    def remarks(self) -> list[str]:
        """What is missing, and why, each in a line."""
        return [*self.clashes, *(f"{problem.message}; {problem.hint}" for problem in self.problems)]


def foreign() -> Foreign:
    """What the enabled plugins offer; loads them all. The source of each calculator names its plugin."""
    gathered = Foreign()
    for offer in plugins.offers("calculator"):
        try:
            offered = of(offer)
        except PluginError as exc:
            gathered.problems.append(exc)
            continue
        for calculator in offered:
            _add(gathered, calculator, offer)
    return gathered


def of(offer: Offer) -> tuple[Calculator, ...]:
    """The calculators behind an entry point: one, or a tuple of them. Raises PluginError."""
    loaded = plugins.load(offer)
    several: tuple[Any, ...] = cast("tuple[Any, ...]", loaded) if isinstance(loaded, tuple) else (loaded,)
    for each in several:
        if problem := next(_problems(each), None):
            raise plugins.broken(offer, problem)
    return several


def ids() -> list[str]:
    """The ids of all calculators, shipped or of plugins that load."""
    return [calculator.id for calculator in (*calculators.all_calculators(), *foreign().calculators)]


def get(id: str) -> Calculator:
    """The calculator of that id, shipped or of a plugin.

    Raises:
        NotFoundError: there is none; the hint names the closest, or a plugin that has it.
        PluginError: no plugin that loads has it, and another does not load.
    """
    return _found(id)[0]


def every() -> tuple[list[Calculator], Foreign]:
    """All calculators, those that ship first; and what is to be said of the plugins' own."""
    others = foreign()
    return [*calculators.all_calculators(), *others.calculators], others


def run(id: str, inputs: Mapping[str, Raw]) -> Result:
    """Run one calculator, as `clinical.calculators.run` does. Also raises PluginError."""
    calculator, offer = _found(id)
    try:
        return calculator.run(inputs)
    except GemxError:
        raise
    except plugins.FAULTS as exc:
        if offer is None:
            raise
        raise plugins.failed(offer, exc) from exc


def _found(id: str) -> tuple[Calculator, Offer | None]:
    try:
        return calculators.get(id), None
    except NotFoundError as exc:
        others = foreign()
        if id in others.found:
            return others.found[id]
        if others.problems:
            raise others.problems[0] from None
        from gemx import library

        near = library.suggest(id, others.found)
        exc.message += near
        exc.hint = plugins.not_enabled("calculator", id) or (None if near else exc.hint)
        raise


def _add(gathered: Foreign, calculator: Calculator, offer: Offer) -> None:
    shipped = {each.id for each in calculators.all_calculators()}
    if calculator.id in shipped or calculator.id in gathered.found:
        other = "gemx itself" if calculator.id in shipped else f"the plugin {gathered.found[calculator.id][1].plugin}"
        said = f"{offer.plugin}: its calculator {calculator.id} is not used: {other} has one of that name"
        gathered.clashes.append(said)
        return
    source = f"{calculator.source} (plugin {offer.plugin} {offer.version})"
    gathered.found[calculator.id] = (replace(calculator, source=source), offer)


def _problems(calculator: Any) -> Iterator[str]:
    """What keeps foreign data from being a calculator."""
    if not isinstance(calculator, Calculator):
        yield f"expected a gemx.clinical.calculators.Calculator or a tuple of them, not {type(calculator).__name__}"
        return
    foreign_typed = cast("Any", calculator)
    if not isinstance(foreign_typed.id, str) or not _ID.fullmatch(foreign_typed.id):
        yield f"the id {foreign_typed.id!r} of a calculator must be lower-case letters, digits and _"
    for name in _TEXTS:
        if not isinstance(getattr(foreign_typed, name), str):
            yield f"{calculator.id}: {name} must be text"
    if not calculator.source.strip():
        yield f"{calculator.id} names no source"
    for name, kind in (("parameters", Parameter), ("components", Component)):
        values = getattr(foreign_typed, name)
        if not isinstance(values, tuple) or not all(isinstance(value, kind) for value in cast("tuple[Any]", values)):
            yield f"{calculator.id}: {name} must be a tuple of {kind.__name__}"
