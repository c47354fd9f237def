"""The page of the report in a real browser: its console, its sizes, its filters, what it shows, what it never does."""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

import browser
from browser import Browser
from conftest import RunGemx
from gemx.audit.figures import PERCENTILES, Figures, Total, percentile
from gemx.audit.report import page, words
from gemx.audit.report.about import About
from report_figures import HOSTILE, full, hostile

pytestmark = pytest.mark.skipif(browser.path() is None, reason="chromium is not installed")

PHONE, DESKTOP = (390, 844), (1280, 900)
ABOUT = About(datetime(2026, 11, 28, 15, 0, tzinfo=ZoneInfo("America/Sao_Paulo")), "0.1.0")
WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
SMALL = """[...document.querySelectorAll('section *, .tile *')].filter((each) => each.childElementCount === 0
  && each.textContent.trim() && !each.closest('details') && !each.closest('thead') && each.getClientRects().length
  && each.getBoundingClientRect().right > innerWidth + 1).map((each) => each.textContent)"""
TILES = """Object.fromEntries([...document.querySelectorAll('.tile')].map(
  (each) => [each.querySelector('dt').textContent, each.querySelector('.value').textContent]))"""
IMAGE = """new Promise((yes, no) => {
  const image = new Image();
  Object.assign(image, { onload: yes, onerror: no, src: 'http://127.0.0.1:9/x.png' });
})"""
HANDLER = """(() => {
  document.body.insertAdjacentHTML('beforeend', '<a id="x" onclick="window.ran = 1">x</a>');
  document.getElementById('x').click();
})()"""


@pytest.fixture(scope="module")
def running() -> Iterator[Browser]:
    with Browser() as started:
        yield started


@pytest.fixture
def shown(running: Browser) -> Iterator[Browser]:
    """A browser whose console is empty when the test is over, and which asked for the page alone."""
    running.complaints.clear()
    running.asked.clear()
    yield running
    assert running.complaints == []
    assert all(address.startswith(("file://", "data:,")) for address in running.asked), running.asked


def written(folder: Path, figures: Figures, about: About = ABOUT) -> Path:
    path = folder / "uso.html"
    path.write_text(page.to_html(figures, about), encoding="utf-8")
    return path


def choose(shown: Browser, name: str, text: str) -> None:
    """Choose an entry of a filter by its text, as a person does."""
    found = shown.value(
        f"""(() => {{
          const select = document.querySelector('select[name={name}]');
          const option = [...select.options].find((each) => each.text === {json.dumps(text)});
          if (!option) return [...select.options].map((each) => each.text);
          select.value = option.value;
          select.dispatchEvent(new Event('change', {{ bubbles: true }}));
        }})()"""
    )
    assert found is None, found


def expected(total: Total) -> dict[str, str]:
    """What the tiles say of figures."""
    unknown = bool(total.calls) and total.unpriced == total.calls
    return {
        "Chamadas a modelos": words.count(total.calls),
        "Custo conhecido": "desconhecido" if unknown else f"US$ {words.dollars(total.dollars)}",
        "Tempo de resposta": words.seconds(percentile(total.latency, PERCENTILES[0])),
        "Respostas clínicas verificadas": words.share(total.verified, total.answers),
        "Chamadas com falha": words.share(total.failed, total.calls),
        "Recusadas antes do envio": words.count(total.refused),
        "Novas tentativas": words.share(total.retries, total.calls),
    }


def tiles(shown: Browser) -> dict[str, str]:
    found = shown.value(TILES)
    del found["Tokens"]
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_it_opens_without_a_complaint_at_any_width(
    size: tuple[int, int], scheme: str, shown: Browser, tmp_path: Path
) -> None:
    shown.open(written(tmp_path, full()), *size, prefers_color_scheme=scheme)
    assert tiles(shown) == expected(full().total())
    assert shown.value("document.querySelectorAll('.plot svg').length") == 4
    assert shown.value(WIDER) == 0
    assert shown.value(SMALL) == []
    background = shown.value("getComputedStyle(document.body).backgroundColor")
    darkness = sum(int(part) for part in re.findall(r"\d+", background)[:3]) < 3 * 128
    assert darkness == (scheme == "dark")


def test_paper_has_no_filters_and_nothing_beyond_its_edge(shown: Browser, tmp_path: Path) -> None:
    shown.open(written(tmp_path, full()), 687, 1000, prefers_color_scheme="dark")
    shown.send("Emulation.setEmulatedMedia", media="print")
    shown.value("dispatchEvent(new Event('beforeprint'))")
    assert shown.value(WIDER) == 0
    assert shown.value("document.querySelector('form').getClientRects().length") == 0
    assert shown.value("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert shown.send("Page.printToPDF")["data"]


def test_filters_show_the_figures_of_what_they_choose(shown: Browser, tmp_path: Path) -> None:
    made = full()
    shown.open(written(tmp_path, made), *DESKTOP)
    choose(shown, "model", "openai:uti/sabia-4")
    assert tiles(shown) == expected(made.where(model="openai:uti/sabia-4").total())
    choose(shown, "model", "gemini:gemini-3.8-flash")
    choose(shown, "window", "Últimos 7 dias")
    last = made.where(since="2026-11-22", model="gemini-3.8-flash")
    assert tiles(shown) == expected(last.total())
    choose(shown, "work", "sepse_bundle")
    of_work = Total([cell for (_, group), cell in last.cells.items() if group.automation == "sepse_bundle"])
    assert tiles(shown) == expected(of_work)
    status = shown.value("document.getElementById('selection').textContent")
    assert status.endswith("desde 22/11/2026; só o modelo gemini:gemini-3.8-flash; só sepse_bundle.")
    choose(shown, "work", "evolucao_diaria")
    assert "Nada com estes filtros" in shown.value("document.getElementById('report').textContent")
    shown.value("document.querySelector('#filters button').click()")
    assert tiles(shown) == expected(made.total())


def test_tables_hold_the_figures_of_each_name(shown: Browser, tmp_path: Path) -> None:
    made = full()
    shown.open(written(tmp_path, made), *DESKTOP)
    rows = shown.value(
        "[...document.querySelectorAll('.stack tbody tr')].map((row) => [...row.querySelectorAll('.name, td')]"
        ".map((cell) => cell.innerText.trim()))"
    )
    found = {row[0]: row[1:] for row in rows}
    for name, total in made.by("model").items():
        shares = [words.seconds(percentile(total.latency, share)) for share in PERCENTILES[:2]]
        assert found[name][0] == words.count(total.calls)
        assert found[name][5:7] == shares
    assert found["openai:uti/sabia-4"][4] == "desconhecido"
    assert found["sepse_bundle"][-1] == words.share(
        made.by("automation")["sepse_bundle"].verified, made.by("automation")["sepse_bundle"].answers
    )
    assert {name: found[name][0] for name in ("ana", "bruno", "cron")} == {
        name: words.count(total.calls) for name, total in made.by("user").items()
    }


def test_a_chart_is_read_by_keyboard_by_pointer_and_as_a_table(shown: Browser, tmp_path: Path) -> None:
    made = full()
    shown.open(written(tmp_path, made), *DESKTOP)
    for _ in range(4):
        shown.press("Tab")
    assert shown.value("document.activeElement.getAttribute('aria-label')").startswith("Chamadas por dia")
    shown.press("ArrowLeft")
    tip = "document.querySelector('.tip:not([hidden])')"
    day = made.by("slot")["2026-11-27"]
    assert shown.value(f"{tip}.innerText").split("\n")[:2] == ["sex. 27/11/2026", f"{words.count(day.calls)} chamadas"]
    box = shown.value("JSON.stringify(document.querySelectorAll('.plot svg')[1].getBoundingClientRect())")
    place = json.loads(box)
    shown.point(place["left"] + place["width"] - 9, place["top"] + 60)
    cost = made.by("slot")["2026-11-28"]
    assert shown.value(f"{tip}.innerText").split("\n")[:2] == ["sáb. 28/11/2026", f"US$ {words.dollars(cost.dollars)}"]
    shown.value("document.querySelector('details').open = true")
    row = shown.value("document.querySelector('details tbody tr').innerText").split("\t")
    last = made.by("slot")["2026-11-28"]
    assert row == ["sáb. 28/11/2026", words.count(last.calls), words.count(last.failed), words.count(last.refused)]


def test_a_cost_that_is_not_known_is_a_question_and_no_bar(shown: Browser, tmp_path: Path) -> None:
    shown.open(written(tmp_path, full().where(model="openai:uti/sabia-4")), *DESKTOP)
    chart = "document.querySelectorAll('.plot svg')[1]"
    assert shown.value(f"{chart}.querySelectorAll('rect').length") == 0
    assert shown.value(f"[...{chart}.querySelectorAll('text')].filter((each) => each.textContent === '?').length") == 60


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_text_and_nothing_else(name: str, shown: Browser, tmp_path: Path) -> None:
    made = hostile(name)
    shown.open(written(tmp_path, made, About(ABOUT.made, "0", model=name, meanings={name: name})), *PHONE)
    assert shown.value("window.ran") is None
    assert shown.value("document.querySelectorAll('main img, main b, main i, main script').length") == 0
    assert tiles(shown) == expected(made.total())
    assert shown.value(WIDER) == 0
    flat = " ".join(name.split())
    if flat.isprintable() and len(flat) < 80:
        assert flat in " ".join(shown.value("document.querySelector('main').textContent").split())


def test_its_policy_lets_it_ask_for_nothing(running: Browser, tmp_path: Path) -> None:
    running.open(written(tmp_path, full()), *DESKTOP)
    for asking in ("fetch('data:,x')", IMAGE):
        assert running.value(f"{asking}.then(() => 'done', () => 'refused')") == "refused"
    running.value(HANDLER)
    assert running.value("window.ran") is None


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_a_page_of_nothing_says_so(size: tuple[int, int], shown: Browser, tmp_path: Path) -> None:
    shown.open(written(tmp_path, Figures(passed_over=1)), *size)
    text = shown.value("document.body.innerText")
    assert "Nada registrado neste período" in text
    assert "1 linha do registro não pôde ser lida" in text
    assert shown.value("document.getElementById('filters').getClientRects().length") == 0
    assert shown.value(WIDER) == 0


def test_numbers_are_written_as_in_the_text(shown: Browser, tmp_path: Path) -> None:
    shown.open(written(tmp_path, full()), *DESKTOP)
    amounts = [0, 0.1, 0.0999, 0.00101, 0.000999, 1234.5, 9_999_999.994, 0.05]
    times = [0, 0.456, 0.994, 1, 59.96, 119.4, 119.5, 3725, 1e6]
    shares = [(0, 0), (0, 9), (9, 9), (1, 100_000), (99_999, 100_000), (1, 3), (2, 3)]
    assert shown.value(f"{amounts}.map(dollars)") == [f"US$ {words.dollars(each)}" for each in amounts]
    assert shown.value(f"{times}.map(seconds)") == [words.seconds(each) for each in times]
    assert shown.value(f"{[list(each) for each in shares]}.map((each) => share(...each))") == [
        words.share(*each) for each in shares
    ]
    assert shown.value("[0, 999, 1000, 1234567].map(count)") == [words.count(each) for each in (0, 999, 1000, 1234567)]


@pytest.mark.parametrize("records", [3000, pytest.param(1_000_000, marks=pytest.mark.soak)])
def test_the_page_of_a_log_is_small_and_opens_at_any_width(
    records: int, shown: Browser, gemx_home: Path, workdir: Path, run_gemx: RunGemx
) -> None:
    benchmark = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "stats.py"))
    benchmark["write_log"](gemx_home / "state" / "audit", records)
    assert run_gemx("stats", "report", "--html", "uso.html").code == 0
    made = workdir / "uso.html"
    assert made.stat().st_size < 1_000_000
    total = run_gemx("stats", "summary", "--json").json["data"]
    for size in (PHONE, DESKTOP):
        shown.open(made, *size)
        assert shown.value(TILES)["Chamadas a modelos"] == words.count(total["calls"])
        assert shown.value(TILES)["Custo conhecido"] == f"US$ {words.dollars(total['cost_usd'])}"
        assert shown.value(WIDER) == 0
