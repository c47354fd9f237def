"""Figures as one HTML page of its own: its data, its script and its style are in it, and it asks no network.

Every foreign text is data in JSON that cannot end its element, and the script puts it on the page as text alone. A
policy in the page allows its own script and style by their hashes, and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from pathlib import Path
from string import Template
from typing import Any

from gemx.audit.figures import Figures
from gemx.audit.report import cube, words
from gemx.audit.report.about import About
from gemx.sanitize import printable

_FOLDER = Path(__file__).parent
_SCRIPTS = ("data.js", "charts.js", "sections.js", "page.js")
# A script element ends at the first of these, whatever is around it.
_IN_JSON = str.maketrans({char: f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"})
# An icon is asked for by every browser; this one is in the page.
_POLICY = (
    "default-src 'none'; script-src {script}; style-src {style}; img-src data:; base-uri 'none'; form-action 'none'"
)


def to_html(figures: Figures, about: About) -> str:
    """The page, in pt-BR. `figures` are by day."""
    script = "".join(_read(name) for name in _SCRIPTS)
    style = _read("page.css")
    return Template(_read("page.html")).substitute(
        policy=html.escape(_POLICY.format(script=_hash(script), style=_hash(style))),
        style=style,
        script=script,
        data=json.dumps(_data(figures, about), ensure_ascii=False, separators=(",", ":")).translate(_IN_JSON),
    )


def _data(figures: Figures, about: About) -> dict[str, Any]:
    found = cube.data(figures, about.last_day)
    codes = {str(code).partition(" ")[2] for code in found["codes"]["findings"]}
    prices = sorted(printable(each) for each in figures.total().prices)[: cube.MOST_CODES]
    return {
        **found,
        "made": f"{about.made:%d/%m/%Y %H:%M}",
        "zone": printable(about.zone),
        "asked": {"since": about.since, "until": about.until, "model": about.model and printable(about.model)},
        "errors": words.ERRORS,
        "severities": words.SEVERITIES,
        "meanings": {code: printable(said) for code, said in about.meanings.items() if code in codes},
        "notes": words.notes(figures.passed_over, prices, found["grain"], about),
    }


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
