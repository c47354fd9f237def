"""What an answer is checked against: the patient, the formulary, the passages, and what code computed for them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any

from gemx.clinical import calculators, wording
from gemx.clinical.answer import Answer
from gemx.clinical.checks import texts
from gemx.clinical.checks.texts import TextAmount
from gemx.clinical.formulary import ACCESS, CLEARANCE, Formulary
from gemx.clinical.inputs import InputDefinition, Patient
from gemx.documents import Passage
from gemx.errors import InputError

_RISE, _RISE_48H = Decimal("1.5"), Decimal("0.3")
_YOUNGEST_UNKNOWN, _OLDEST_UNKNOWN = 18, 55
_CLEARANCE_INPUTS = {"age": "idade", "sex": "sexo", "weight": "peso", "creatinine": "creatinina"}


@dataclass(frozen=True)
class Measured:
    """A value that code computed, as a text may state it: its names, value, unit, and the decimals it is shown with."""

    names: tuple[str, ...]
    value: Decimal
    digits: int
    unit: str = ""

    @property
    def shown(self) -> Decimal:
        """The value with its decimals."""
        return self.value.quantize(Decimal(1).scaleb(-self.digits))


@dataclass(frozen=True)
class Known:
    """A value that the patient's data or the calculators give; other units, each with its factor to the own one."""

    label: str
    value: Decimal | None
    unit: str = ""
    units: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])


@dataclass(frozen=True)
class Case:
    """One patient and one automation's material. `reference` is the answer that code composed, where there is one.

    `supported` holds texts whose numbers an answer may repeat.
    """

    patient: Patient
    formulary: Formulary
    passages: tuple[Passage, ...] = ()
    sections: tuple[str, ...] = ()
    reference: Answer | None = None
    measured: tuple[Measured, ...] = ()
    supported: tuple[str, ...] = ()

    def number(self, name: str) -> Decimal | None:
        """A numeric input, where it is known."""
        value = self.patient.values.get(name)
        return value if isinstance(value, Decimal) else None

    def flag(self, name: str) -> bool | None:
        """A yes/no input, None where it is unknown."""
        value = self.patient.values.get(name)
        return value if isinstance(value, bool) else None

    @cached_property
    def on_dialysis(self) -> bool:
        """Whether the patient is dialysed, for whatever reason."""
        return bool(self.flag("dialise") or self.flag("dialise_aguda"))

    @cached_property
    def unstable_creatinine(self) -> bool:
        """Whether creatinine is known to be changing (KDIGO 2012's rises): then no clearance formula holds."""
        now, basal, before = (self.number(f"creatinina{suffix}") for suffix in ("", "_basal", "_48h"))
        if now is None:
            return False
        return (basal is not None and now >= basal * _RISE) or (before is not None and now - before >= _RISE_48H)

    @cached_property
    def clearance(self) -> Decimal | None:
        """Cockcroft-Gault with the actual weight, mL/min; 0 on dialysis; None where it is unknown or does not hold."""
        if self.on_dialysis:
            return Decimal(0)
        if self.unstable_creatinine:
            return None
        given: Any = {name: self.patient.values.get(key) for name, key in _CLEARANCE_INPUTS.items()}
        try:
            return calculators.run("cockcroft_gault", given).value
        except InputError:
            return None

    @cached_property
    def may_be_pregnant(self) -> bool | None:
        """True or False where it is known; None where a woman of 18 to 55 has not been asked."""
        known = self.flag("gestante")
        if known is not None:
            return known
        age, woman = self.number("idade"), self.patient.values.get("sexo") != "M"
        return None if woman and (age is None or _YOUNGEST_UNKNOWN <= age <= _OLDEST_UNKNOWN) else False

    def conditions(self, access: str | None) -> Mapping[str, Any]:
        """What the formulary's `when` may name, for a row with this access."""
        return self._conditions[access]

    @cached_property
    def _conditions(self) -> Mapping[str | None, Mapping[str, Any]]:
        # Where a clearance was computed, nobody said that the patient is dialysed.
        dialysed = True if self.on_dialysis else False if self.clearance is not None else self.flag("dialise")
        known = {**self.patient.values, "dialise": dialysed, CLEARANCE: self.clearance}
        return {access: {**known, ACCESS: access} for access in (None, "central", "periferico")}

    @cached_property
    def known_values(self) -> Mapping[str, Known]:
        """What a text may state of this patient, by each folded name that it may be called."""
        known: dict[str, Known] = {}
        for identifier, definition in self.patient.definitions.items():
            if definition.kind == "number":
                value = Known(definition.label, self.number(identifier), definition.unit or "", definition.units)
                known |= dict.fromkeys(_names(definition), value)
        for measured in self.measured:
            value = Known(measured.names[0], measured.shown, measured.unit)
            known |= {wording.fold(name): value for name in measured.names}
        return known

    @cached_property
    def words(self) -> Mapping[str, str]:
        """The words of each passage, white space apart, by its id."""
        return words_of(self.passages)

    @cached_property
    def stated_names(self) -> re.Pattern[str]:
        """Finds the names of the known values in a folded text, the longest first."""
        names = "|".join(re.escape(name) for name in sorted(self.known_values, key=len, reverse=True))
        return re.compile(rf"(?<![\w-])(?:{names})(?![\w-])")

    @cached_property
    def supported_amounts(self) -> frozenset[TextAmount]:
        """The amounts that an answer's words may repeat: those of the passages, of the protocol and of the patient."""
        composed = (text for _, text in texts.of_answer(self.reference)) if self.reference else ()
        sources = (*self.supported, *(passage.text for passage in self.passages), *composed)
        return frozenset(amount for text in sources for _, amount in texts.amounts(text))


def words_of(passages: Iterable[Passage]) -> Mapping[str, str]:
    """The words of each passage, white space apart, by its id."""
    return {passage.id: " ".join(passage.text.split()) for passage in passages}


def _names(definition: InputDefinition) -> list[str]:
    label = definition.label.split("(", maxsplit=1)[0]
    return [wording.fold(name) for name in (label, definition.short or "") if len(name.strip()) > 1]
