"""Write the tables of docs/safety.md that follow from the code and the data; `--check` refuses a stale one.

The figures of the benchmark are measured and written by hand: a busy machine must not change a page.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from gemx.clinical.formulary import load_formulary

PAGE = Path(__file__).parent / "safety.md"
_TABLE = re.compile(r"(<!-- absent -->\n).*?(<!-- /absent -->)", re.DOTALL)


def absent_table() -> str:
    """The fields that no source was read for, a drug a line."""
    lines = ["| drug | not verified for want of a source |", "|---|---|"]
    lines += [f"| {drug.id} | {', '.join(drug.absent) or '–'} |" for drug in load_formulary().drugs.values()]
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Write the page, or say whether it is up to date."""
    text = PAGE.read_text(encoding="utf-8")
    written = _TABLE.sub(lambda match: f"{match[1]}{absent_table()}{match[2]}", text)
    if "--check" in arguments:
        if written != text:
            print("safety.md is stale: run python docs/generate_safety.py", file=sys.stderr)
        return int(written != text)
    PAGE.write_text(written, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
