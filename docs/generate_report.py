"""Write docs/images/report-*.png: the page of `gemx stats report` on a phone and on a desktop, light and dark.

The dark ones show the charts.
"""

from __future__ import annotations

import os
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "benchmarks")]

from stats import write_log  # noqa: E402

from browser import Browser  # noqa: E402
from gemx import __version__  # noqa: E402
from gemx.audit import rollup  # noqa: E402
from gemx.audit.report import page  # noqa: E402
from gemx.audit.report.about import About  # noqa: E402
from gemx.clinical import rules  # noqa: E402

RECORDS, DAYS = 5000, 59
MADE = datetime(2026, 11, 28, 18, 0, tzinfo=ZoneInfo("America/Sao_Paulo"))
SIZES = {"phone": (390, 844), "desktop": (1280, 900)}
IMAGES = ROOT / "docs" / "images"


def report(folder: Path) -> str:
    """The page of a log that is made up."""
    os.environ["GEMX_HOME"] = str(folder)
    write_log(folder / "audit", RECORDS, DAYS)
    figures = rollup.read("day", MADE.tzinfo, folder=folder / "audit")
    meanings = {rule.code: rule.title for rule in rules.load_rules()}
    return page.to_html(figures, About(MADE, __version__, meanings=meanings))


def main() -> None:
    """Make the page, open it, take the pictures."""
    with tempfile.TemporaryDirectory() as temporary, Browser() as shown:
        file = Path(temporary) / "report.html"
        file.write_text(report(Path(temporary)), encoding="utf-8")
        for name, size in SIZES.items():
            for scheme in ("light", "dark"):
                shown.open(file, *size, prefers_color_scheme=scheme)
                if scheme == "dark":
                    shown.value("document.querySelector('section').scrollIntoView()")
                (IMAGES / f"report-{name}-{scheme}.png").write_bytes(shown.picture())


if __name__ == "__main__":
    main()
