"""Write the table of docs/calculators.md from the calculators themselves; `--check` refuses a stale one."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from gemx.clinical import calculators
from gemx.clinical.calculators import Calculator

PAGE = Path(__file__).parent / "calculators.md"
_TABLE = re.compile(r"(<!-- calculators -->\n).*?(<!-- /calculators -->)", re.DOTALL)


def table() -> str:
    """Every calculator on a line: its id, its name, its unit, what it takes, and where its formula is from."""
    lines = [
        "| id | calculadora | unidade | entradas (as opcionais entre parênteses) | fonte |",
        "|---|---|---|---|---|",
    ]
    lines += [_row(each) for each in calculators.all_calculators()]
    return "\n".join(lines) + "\n"


def _row(calculator: Calculator) -> str:
    inputs = ", ".join(each.name if not each.optional else f"({each.name})" for each in calculator.parameters)
    cells = (f"`{calculator.id}`", calculator.title, calculator.unit, inputs, calculator.source)
    return f"| {' | '.join(cell.replace('|', '∣') or '–' for cell in cells)} |"


def main(arguments: Sequence[str]) -> int:
    """Write the page, or say whether it is up to date."""
    text = PAGE.read_text(encoding="utf-8")
    written = _TABLE.sub(lambda match: f"{match[1]}{table()}{match[2]}", text)
    if "--check" in arguments:
        if written != text:
            print("calculators.md is stale: run python docs/generate_calculators.py", file=sys.stderr)
        return int(written != text)
    PAGE.write_text(written, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
