"""The report as data, as Markdown and as the text of its page; how the page behaves is in test_report_page.py."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from markdown_it import MarkdownIt

from gemx.audit.figures import PERCENTILES, Cell, Figures, Group, counted, percentile
from gemx.audit.report import cube, markdown, page, periods, words
from gemx.audit.report.about import About
from report_figures import HOSTILE, figures, full, hostile

ABOUT = About(
    datetime(2026, 11, 28, 15, 0, tzinfo=ZoneInfo("America/Sao_Paulo")),
    "0.1.0",
    meanings={"dose.above_max": "dose acima do máximo"},
)


def data_of(text: str) -> Any:
    """The JSON that a page holds."""
    return json.loads(text.partition('<script type="application/json" id="data">')[2].partition("</script>")[0])


# periods


@pytest.mark.parametrize(
    ("days", "grain", "count"),
    [
        (("2026-11-28",), "day", 1),
        (("2026-08-28", "2026-11-28"), "day", 93),
        (("2026-08-27", "2026-11-28"), "week", 14),
        (("2024-01-01", "2026-11-28"), "month", 35),
        (("0001-01-01", "2026-11-28", "9999-12-31"), "year", 3),
        (("9999-12-30", "9999-12-31"), "day", 2),
        ((), "day", 0),
    ],
)
def test_days_are_the_finest_periods_that_are_not_too_many(days: tuple[str, ...], grain: str, count: int) -> None:
    found = periods.covering(days)
    assert (found.grain, len(found.starts)) == (grain, count)
    assert all(found.of(day) in found.starts for day in days)


def test_a_week_begins_on_monday_and_a_year_without_figures_is_left_out() -> None:
    assert periods.covering(["2026-08-27", "2026-11-28"]).starts[0] == "2026-08-24"
    assert periods.covering(["1996-05-05", "2026-11-28"]).starts == ("1996-01-01", "2026-01-01")


# the data of the page


def test_every_count_is_in_the_data_once() -> None:
    total, found = full().total(), cube.data(full(), "2026-11-28")
    for place, name in enumerate(cube.NUMBERS):
        assert sum(cell[4][place] for cell in found["cells"]) == getattr(total, name), name
    assert sum(cell[3] for cell in found["cells"]) * 1000 == total.cost
    for place, kind in enumerate(cube.CODES):
        assert sum(sum(cell[5 + place][1::2]) for cell in found["cells"]) == sum(getattr(total, kind).values()), kind
    assert sum(row[4] for row in found["people"]) == total.calls


def test_percentiles_are_those_of_each_choice_of_filters() -> None:
    found = cube.data(full(), "2026-11-28")
    model = found["models"].index("gemini:gemini-3.8-flash")
    times = full().where(since=found["periods"][found["windows"][1]], model="gemini-3.8-flash").total()
    expected = [round(percentile(times.latency, share) or 0, 4) for share in PERCENTILES]
    assert found["times"][f"{model},{cube.ALL}"]["windows"][1][0] == expected


def test_the_last_day_is_there_even_where_nothing_was_called() -> None:
    found = cube.data(figures({"2026-11-20": {"extractive": Cell(calls=1)}}), "2026-11-28")
    assert found["periods"][-1] == "2026-11-28"
    assert len(found["periods"]) == 9


def test_a_large_and_varied_log_makes_a_small_page() -> None:
    cells = {
        (
            f"{2016 + number % 11}-{1 + number % 12:02}-{1 + number % 28:02}",
            Group(f"comando {number % 40}", f"gemini:m{number % 50}", f"a{number % 70}", "", f"u{number % 90}"),
        ): Cell(
            calls=40,
            failures={f"e{number % 300}": 3},
            findings={f"error c{number % 400}": 1},
            latency=dict(counted(0.1 * step + number % 7 for step in range(40))),
        )
        for number in range(20_000)
    }
    made = Figures(cells)
    text = page.to_html(made, ABOUT)
    assert len(text.encode()) < 1_000_000
    found = data_of(text)
    assert len(found["models"]) == cube.MOST_MODELS + 1
    assert found["models"][-1] == 50 - cube.MOST_MODELS
    assert found["codes"]["failures"][-1] == 300 - cube.MOST_CODES
    assert sum(cell[4][0] for cell in found["cells"]) == made.total().calls
    assert sum(sum(cell[5][1::2]) for cell in found["cells"]) == made.total().failed
    assert len(markdown.to_markdown(made, ABOUT).splitlines()) < 200


# the text of the page


def test_the_page_holds_all_it_needs_and_names_no_address() -> None:
    text = page.to_html(full(), ABOUT)
    assert text.startswith("<!doctype html>")
    assert '<html lang="pt-BR">' in text
    without_names = text.replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"(https?:)?//[\w.]+\.\w", without_names)
    assert not re.search(r"@import|url\(|<link[^>]+href=\"(?!data:)", text)


def test_the_policy_allows_the_script_and_the_style_of_the_page_alone() -> None:
    text = page.to_html(full(), ABOUT)
    policy = html.unescape(re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text)[1])  # type: ignore[index]
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    for kind, tag in (("script-src", "script"), ("style-src", "style")):
        content = re.search(rf"<{tag}>(.*?)</{tag}>", text, re.S)[1]  # type: ignore[index]
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}'" in policy


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_stays_data(name: str) -> None:
    text = page.to_html(hostile(name), About(ABOUT.made, "0", model=name))
    plain = page.to_html(hostile("nome"), About(ABOUT.made, "0", model="nome"))
    assert len(re.findall("(?i)</?script|<!--", text)) == len(re.findall("(?i)</?script|<!--", plain))
    shown = data_of(text)["models"][0]
    assert not re.search(r"[\x00-\x08\x1b\u202e]", shown)
    if name.isprintable() and name.isascii() and len(name) < 80:
        assert shown == name


# Markdown


def rendered(text: str) -> str:
    return MarkdownIt("commonmark", {"html": True}).enable("table").render(text)


def test_markdown_reads_well_on_a_terminal_and_is_tables_in_a_forge() -> None:
    text = markdown.to_markdown(full(), ABOUT)
    tables = re.findall(r"(?:^\|.*\n)+", text, re.M)
    assert len(tables) == rendered(text).count("<table>") == 8
    for table in tables:
        assert len({len(line) for line in table.splitlines()}) == 1, table
        assert len({line.count("|") for line in table.splitlines()}) == 1, table
    narrow = [line for line in text.splitlines() if "`" not in line]
    assert max(map(len, narrow)) <= 80


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_no_markup_in_markdown(name: str) -> None:
    text = markdown.to_markdown(hostile(name), About(ABOUT.made, "0", model=name, meanings={name: name}))
    found = rendered(text)
    assert found.count("<table>") == rendered(markdown.to_markdown(hostile("nome"), ABOUT)).count("<table>")
    assert not re.search(r"<(?!/?(?:h1|h2|p|table|thead|tbody|tr|th|td|code|ul|li)\b)", found)
    assert "\x1b" not in text


def test_what_has_no_price_costs_no_nothing() -> None:
    made = figures({"2026-11-28": {"openai:x": Cell(calls=3, unpriced=3), "gemini:y": Cell(calls=2, cost=25 * 10**10)}})
    text = markdown.to_markdown(made, ABOUT)
    row = {line.split("|")[1].strip(): line.split("|") for line in text.splitlines() if line.startswith("| `")}
    assert row["`openai:x`"][4].strip() == "—"
    assert row["`openai:x`"][5].strip() == "3"
    assert row["`gemini:y`"][4].strip() == "0,25"
    alone = markdown.to_markdown(made.where(model="x"), ABOUT)
    assert re.search(r"Custo conhecido +\| desconhecido", alone)


def test_a_report_of_nothing_says_so() -> None:
    text = markdown.to_markdown(Figures(passed_over=3), ABOUT)
    assert "Nada registrado neste período." in text
    assert "3 linhas do registro não puderam ser lidas" in " ".join(text.split())
    assert "<table>" not in rendered(text)


def test_what_was_asked_for_is_said() -> None:
    about = About(datetime(2026, 11, 28, 15, 0, tzinfo=UTC), "0.1.0", "2026-11-01", None, "gemini-3.8-flash")
    assert markdown.to_markdown(full(), about).splitlines()[2] == (
        "De 01/11/2026, até hoje, só o modelo `gemini-3.8-flash`, feito em 28/11/2026 15:00 (UTC)."
    )
    assert about.last_day == "2026-11-28"
    assert About(about.made, "0", until="2026-11-10").last_day == "2026-11-10"
    assert About(about.made, "0", until="2027-01-01").last_day == "2026-11-28"


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (words.count(1234567), "1.234.567"),
        (words.dollars(0), "0,00"),
        (words.dollars(1234.5), "1.234,50"),
        (words.dollars(0.0123), "0,0123"),
        (words.dollars(0.000004), "0,000004"),
        (words.seconds(None), "—"),
        (words.seconds(0.456), "0,46 s"),
        (words.seconds(119.4), "119,4 s"),
        (words.seconds(119.5), "2 min 00 s"),
        (words.share(0, 0), "—"),
        (words.share(0, 9), "0 %"),
        (words.share(9, 9), "100 %"),
        (words.share(1, 100_000), "0,1 %"),
        (words.share(99_999, 100_000), "99,9 %"),
    ],
)
def test_numbers_are_as_brazilians_write_them(shown: str, expected: str) -> None:
    assert shown == expected


def test_every_code_of_an_error_is_named_in_portuguese() -> None:
    from gemx import errors

    def below(kind: type[errors.GemxError]) -> set[str]:
        return {kind.code, *(code for each in kind.__subclasses__() for code in below(each))}

    of_calls = {"invalid_file", "not_found", "plugin", "usage", errors.GemxError.code}
    assert below(errors.GemxError) - of_calls <= set(words.ERRORS)
