"""Figures for tests of reports: those of a busy month, and those with a name that would do harm."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

from gemx.audit.figures import PICODOLLARS, Cell, Figures, Group, counted

HOSTILE = (
    "</script><script>window.ran=1</script>",
    "<!--<script>",
    '"><img src=x onerror="window.ran=1">',
    "<b onclick='window.ran=1'>negrito</b>",
    "` | **a** [b](javascript:ran) ![c](x) <i>",
    "constructor",
    "__proto__",
    "\x1b[31mvermelho\u202e",
    "${x} {{ y }} $title",
    "nome\ncom | linhas\n\n# título",
    "x" * 500,
)


def figures(days: Mapping[str, Mapping[str, Cell]]) -> Figures:
    """Figures from the cells of each day by model."""
    return Figures(
        {
            (day, Group("gen", model, "", "", "ana")): cell
            for day, models in days.items()
            for model, cell in models.items()
        }
    )


def hostile(name: str) -> Figures:
    """Figures in which everything that is foreign has this name."""
    cell = Cell(
        calls=5,
        messages=5,
        answers=3,
        verified=1,
        cost=PICODOLLARS,
        failures={name: 1},
        refusals={name: 2},
        findings={f"error {name}": 1, name: 1},
        prices={name: 1},
        latency=dict(counted([1.0, 2.0, 3.0, 4.0])),
    )
    return Figures({("2026-11-28", Group(name, name, name, name, name)): cell})


def full() -> Figures:
    """Two models, an automation, a flow and a command over 60 days, the second model without a price."""
    cells: dict[tuple[str, Group], Cell] = {}
    for number in range(60):
        day = (date(2026, 9, 30) + timedelta(days=number)).isoformat()
        for which, (model, command, automation, flow, user) in enumerate(_GROUPS):
            calls = 4 + (number * (which + 3)) % 7
            failed = number % 5 == which
            cells[day, Group(command, model, automation, flow, user)] = Cell(
                calls=calls,
                messages=calls - failed,
                input_tokens=1000 * calls,
                cached_tokens=300 * calls,
                output_tokens=200 * calls,
                reasoning_tokens=50 * calls,
                cost=0 if model.startswith("openai") else calls * PICODOLLARS // 400,
                unpriced=calls if model.startswith("openai") else 0,
                retries=int(failed),
                fallbacks=int(number % 11 == 0),
                answers=calls - failed if automation else 0,
                verified=max(0, calls - failed - (number % 3 == 0)) if automation else 0,
                failures={"timeout": 1} if failed else {},
                refusals={"budget": 2} if number % 20 == 0 and which == 0 else {},
                findings={"error dose.above_max": 1, "warning citation.missing": 2}
                if automation and not number % 3
                else {},
                prices={"2026-10-01": calls},
                latency=dict(counted(0.5 + which + (number * step) % 13 for step in range(calls - failed))),
                first_token=dict(counted(0.2 + step / 10 for step in range(calls - failed))),
            )
    return Figures(cells, files=60, lines=len(cells))


_GROUPS = (
    ("gemini:gemini-3.8-flash", "auto run", "sepse_bundle", "", "ana"),
    ("openai:uti/sabia-4", "flow run", "ira_aki", "evolucao_diaria", "bruno"),
    ("gemini:gemini-3.8-flash", "gen", "", "", "cron"),
)
