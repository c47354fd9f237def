"""What the findings say of an answer, for the texts that show it: computed values first, wrong ones struck."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from gemx.clinical.answer import Answer
from gemx.clinical.findings import CODES, SEVERITIES, Finding

HARD_SPACE = "\u00a0"  # keeps a struck value on one line
_NAMES = {"error": "ERRO", "warning": "aviso", "conflict": "conflito", "unverifiable": "não verificável"}
_COUNTED = {
    "error": ("erro", "erros"),
    "conflict": ("conflito de fontes", "conflitos de fontes"),
    "unverifiable": ("item não verificável", "itens não verificáveis"),
    "warning": ("aviso", "avisos"),
}
_LONGEST_FOUND = 60
_DERIVED = ("arithmetic.", "quantity.")
_COMPUTED = (
    *(code for code in CODES if code.startswith(_DERIVED)),
    *("number.naked", "patient.weight", "patient.value", "lab.unit", "salt.mismatch"),
)
_OPERANDS = ("posologia.dose", "posologia.peso_kg", "posologia.intervalo_h", "apresentacao.massa")
_AMOUNT = re.compile(r"(?:\d|[.,]\d)[\d,]* ?[^\W\d]")
_ROW = re.compile(r"farmacoterapia\[(\d+)\]")


class Marks:
    """What the findings say of the answer's fields, for the texts that show them."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(replace(each, message=inert(each.message), found=inert(each.found)) for each in findings)
        self.errors: dict[str, Finding] = {}
        for each in self.findings:
            known = self.errors.get(each.path)
            if each.severity == "error" and (known is None or known.expected is None):
                self.errors[each.path] = each
        self._doubtful = {each.path[: each.path.index("]") + 1] for each in self.findings if _is_operand(each)}
        self._found = {each.found for each in self.errors.values() if each.found}
        # A wrong amount is struck wherever the answer repeats it, in either spelling of its unit.
        wrong = {each.found for each in self.errors.values() if each.found and _repeats(each)}
        forms = sorted({_spaced(form) for each in wrong for form in (each, spelled(each))}, key=len, reverse=True)
        strike = rf"(?<![\d,.\w])(?:{'|'.join(forms)})(?![\w/])"
        self._wrong = re.compile(strike, re.IGNORECASE) if forms else None

    def text(self, text: str | None) -> str:
        """A text of the answer, with the wrong amounts in it struck."""
        if not text or self._wrong is None:
            return text or ""
        return self._wrong.sub(lambda match: struck(match[0]), text)

    def value(self, path: str, shown: str) -> str:
        """A field of the answer: where it is wrong, what was computed and then the wrong value, struck.

        What was computed from a dose, a weight or an interval that is itself in doubt is left out, being as wrong.
        A limit is not a value to give: it stands beside the struck value, and is named so.
        """
        error = self.errors.get(path) or self.errors.get(f"{path}.unidade")
        if error is None or not shown:
            return shown
        expected = spelled(error.expected or "")
        if error.code not in _COMPUTED:
            limit = f" (esperado: {expected})" if expected else ""
            return f"{struck(shown)}{limit}"
        is_derived = error.code.startswith(_DERIVED) and not path.endswith(_OPERANDS)
        is_in_doubt = is_derived and any(path.startswith(f"{row}.") for row in self._doubtful)
        return f"{'' if is_in_doubt else expected} {struck(shown)}".strip()

    def field(self, path: str, text: str | None) -> str:
        """A field in words: struck whole where it is wrong, otherwise the wrong amounts in it."""
        return self.value(path, text or "") if path in self.errors else self.text(text)

    def beside(self, path: str) -> tuple[str, ...]:
        """The findings about a row, the gravest first."""
        own = [each for each in self.findings if each.path == path or each.path.startswith((f"{path}.", f"{path}["))]
        return tuple(self.said(each) for each in sorted(own, key=lambda each: SEVERITIES.index(each.severity)))

    def said(self, finding: Finding) -> str:
        """A finding in words: what is right first, and a wrong value struck, also where it is no error by itself."""
        found = finding.found if finding.found and len(finding.found) <= _LONGEST_FOUND else None
        wrong = finding.severity == "error" or found in self._found
        shown = "" if found is None else f" {struck(found)}" if wrong else f" ({found})"
        return f"{_NAMES[finding.severity]}: {finding.message}{shown}"

    def is_wrong(self, path: str) -> bool:
        """Whether anything in a row is an error."""
        return any(each == path or each.startswith(f"{path}.") for each in self.errors)


def struck(text: str) -> str:
    """A wrong value as every format shows it: labelled, and struck out by each in its own way."""
    return f"ERRO{HARD_SPACE}~~{(inert(text) or '').replace(' ', HARD_SPACE)}~~"


def inert(text: str | None) -> str | None:
    """Foreign text that cannot be taken for a struck value."""
    return text.replace("~~", "~") if text else text


def _is_operand(finding: Finding) -> bool:
    """Whether a finding casts doubt on what other fields of its row are computed from."""
    doubt = finding.severity == "error" or finding.code in ("unit.per_kg", "protocol.dose", "interval.unusual")
    return doubt and finding.path.endswith(_OPERANDS)


def _repeats(finding: Finding) -> bool:
    """Whether what a finding found is an amount that other texts may repeat, and not a label or a quotation."""
    elsewhere = ".apresentacao" in finding.path or finding.path.endswith((".trecho", ".id"))
    return not elsewhere and _AMOUNT.search(finding.found or "") is not None


def _spaced(amount: str) -> str:
    return re.escape(amount).replace("\\ ", r"\s*")


def spelled(text: str) -> str:
    """The text with units as Brazil's safety protocol wants them: "10 U" has been read as 100."""
    return re.sub(r"(?<=\d )UI?(?!\w)|(?<=[a-z]/)UI?(?!\w)", "unidades", text)


def place(finding: Finding, answer: Answer | None) -> str:
    """Where a finding is, as a reader would say it: the drug of its row, or the section."""
    row = _ROW.match(finding.path)
    if row is None or answer is None or int(row[1]) >= len(answer.farmacoterapia):
        return finding.path
    return answer.farmacoterapia[int(row[1])].farmaco


def counted(findings: Sequence[Finding]) -> str:
    """How many findings of each severity, in words; `sem achados` where there are none."""
    counts = [(len([each for each in findings if each.severity == name]), name) for name in SEVERITIES]
    return ", ".join(f"{count} {_COUNTED[name][count > 1]}" for count, name in counts if count) or "sem achados"
