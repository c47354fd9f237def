"""Figures as Markdown that reads well as it is, on a terminal of 80 columns (long names apart), and in a forge.

Names are code spans, in which nothing is markup, a link or a mention.
"""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence

from gemx.audit.figures import PERCENTILES, Figures, Total, percentile
from gemx.audit.report import periods, words
from gemx.audit.report.about import About
from gemx.sanitize import printable

_MOST_ROWS = 12
_MOST_PERIODS = 31
_LONGEST_NAME = 40
_BAR = 7
# A lone underscore within a word is none.
_SPECIAL = re.compile(r"([\\`*\[\]<|]|(?<![^\W_])_|_(?![^\W_]))")
_GRAINS: Mapping[periods.Grain, tuple[str, str]] = {
    "day": ("Por dia", "Dia"),
    "week": ("Por semana", "Semana de"),
    "month": ("Por mês", "Mês"),
    "year": ("Por ano", "Ano"),
}


def to_markdown(figures: Figures, about: About) -> str:
    """The report, in pt-BR. `figures` are by day."""
    total = figures.total()
    found = periods.covering([about.last_day, *(day for day, _ in figures.cells)])
    lines = ["# Uso do gemx", "", _asked(about), ""]
    if total.is_empty:
        lines += ["Nada registrado neste período.", ""]
    else:
        lines += [*_summary(total), *_by_period(figures, found), *_parts(figures), *_findings(total, about)]
        lines += [*_errors("Falhas", total.failures), *_errors("Recusas antes do envio", total.refusals)]
    prices = sorted(total.prices)[:_MOST_ROWS]
    return "\n".join([*lines, *_notes(words.notes(figures.passed_over, prices, found.grain, about))])


def _asked(about: About) -> str:
    said: list[str] = []
    if about.since:
        said.append(f"de {words.day(about.since)}")
    if about.since or about.until:
        said.append(f"até {words.day(about.until)}" if about.until else "até hoje")
    if about.model:
        said.append(f"só o modelo {_name(about.model)}")
    said.append(f"feito em {about.made:%d/%m/%Y %H:%M} ({about.zone})")
    text = ", ".join(said)
    return f"{text[0].upper()}{text[1:]}."


def _summary(total: Total) -> list[str]:
    p50, p95, p99 = (words.seconds(percentile(total.latency, share)) for share in PERCENTILES)
    first = percentile(total.first_token, PERCENTILES[0])
    imported = f", {words.count(total.imported)} importadas" if total.imported else ""
    rows = [
        ("Chamadas a modelos", f"{words.count(total.calls)} em {words.count(total.messages)} pedidos{imported}"),
        ("Custo conhecido", "desconhecido" if _is_unpriced(total) else f"US$ {words.dollars(total.dollars)}"),
        ("De custo desconhecido", words.count(total.unpriced)),
        ("Tempo de resposta", f"mediana {p50}; 95 % até {p95}; 99 % até {p99}"),
        ("Até o primeiro texto", f"mediana {words.seconds(first)}"),
        ("Chamadas com falha", _part(total.failed, total.calls)),
        ("Recusadas antes do envio", words.count(total.refused)),
        ("Novas tentativas", _part(total.retries, total.calls)),
        ("Trocas de modelo", _part(total.fallbacks, total.calls)),
        ("Respostas verificadas", _part(min(total.verified, total.answers), total.answers)),
        ("Tokens de entrada", f"{words.count(total.input_tokens)} ({words.count(total.cached_tokens)} em cache)"),
        (
            "Tokens de saída",
            f"{words.count(total.output_tokens)} ({words.count(total.reasoning_tokens)} de raciocínio)",
        ),
    ]
    return _table(("Em resumo", ""), rows, left=2)


def _by_period(figures: Figures, found: periods.Periods) -> Iterator[str]:
    grouped = figures.grouped(lambda day, _: found.of(day))
    shown = found.starts[-_MOST_PERIODS:]
    cells = {start: grouped.get(start, Total()) for start in shown}
    most = max(cell.calls for cell in cells.values())
    rows = [
        (
            words.period(found.grain, start),
            words.count(cell.calls),
            _bar(cell.calls, most),
            *_paid(cell),
            words.seconds(percentile(cell.latency, 0.5)),
            words.seconds(percentile(cell.latency, 0.95)),
        )
        for start, cell in cells.items()
    ]
    title, first = _GRAINS[found.grain]
    yield from _heading(title)
    if len(shown) < len(found.starts):
        yield from (f"Os últimos {len(shown)} de {len(found.starts)}; a página HTML tem todos.", "")
    yield from _table((first, "Chamadas", "", *_PAID, "Mediana", "95 %"), rows, left=1)


def _parts(figures: Figures) -> Iterator[str]:
    models, people = figures.by("model"), figures.by("user")
    work = figures.grouped(lambda _, group: group.work)
    times = [(*_row(name, "(sem modelo)", cell), _median(cell)) for name, cell in _most(models)]
    checks = [(*_row(name, "(sem nome)", cell), _verified(cell)) for name, cell in _most(work)]
    yield from _heading("Modelos")
    yield from _table(("Modelo", "Chamadas", *_PAID, "Mediana"), times, left=1)
    yield from _heading("Automações, fluxos e comandos")
    yield from _table(("Nome", "Chamadas", *_PAID, "Verificadas"), checks, left=1)
    yield from _heading("Quem usou")
    yield from _table(
        ("Conta", "Chamadas", *_PAID), [_row(name, "(sem nome)", cell) for name, cell in _most(people)], left=1
    )


def _row(name: str | int, unnamed: str, cell: Total) -> tuple[str, ...]:
    return _name(name, unnamed), words.count(cell.calls), *_paid(cell)


def _paid(cell: Total) -> tuple[str, ...]:
    cost = words.UNKNOWN if _is_unpriced(cell) else words.dollars(cell.dollars)
    return words.count(cell.failed), cost, words.count(cell.unpriced)


_PAID = ("Falhas", "US$", "Sem custo")


def _is_unpriced(cell: Total) -> bool:
    """Whether no call has a price: what they cost is unknown, and not nothing."""
    return cell.calls > 0 and cell.unpriced == cell.calls


def _median(cell: Total) -> str:
    return words.seconds(percentile(cell.latency, PERCENTILES[0]))


def _verified(cell: Total) -> str:
    return words.share(min(cell.verified, cell.answers), cell.answers)


def _most(cells: Mapping[str, Total]) -> list[tuple[str | int, Total]]:
    """Those with the most calls by name, and all others together by how many they are."""
    ranked = sorted(cells.items(), key=lambda each: (-each[1].calls, -each[1].refused, each[0]))
    others = Total([part for _, cell in ranked[_MOST_ROWS:] for part in cell.parts])
    rest = len(ranked) - _MOST_ROWS
    return [*ranked[:_MOST_ROWS], (rest, others)] if rest > 0 else [*ranked]


def _findings(total: Total, about: About) -> Iterator[str]:
    if not total.findings:
        return
    rows: list[tuple[str, ...]] = []
    for key, count in _most_counted(total.findings):
        severity, _, code = key.partition(" ") if isinstance(key, str) else ("", "", key)
        meaning = _escaped(about.meanings.get(str(code), ""))
        rows.append((_name(code), words.SEVERITIES.get(severity, ""), words.count(count), meaning))
    yield from _heading("Achados da verificação")
    yield from _table(("Regra", "Gravidade", "Vezes", "O que é"), rows, left=2)


def _errors(title: str, counts: Mapping[str, int]) -> Iterator[str]:
    if counts:
        rows = [(_name(code), words.count(count), words.error(str(code))) for code, count in _most_counted(counts)]
        yield from _heading(title)
        yield from _table(("Código", "Vezes", "O que é"), rows, left=1)


def _most_counted(counts: Mapping[str, int]) -> list[tuple[str | int, int]]:
    ranked = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    others = ranked[_MOST_ROWS:]
    kept = ranked[:_MOST_ROWS]
    return [*kept, (len(others), sum(count for _, count in others))] if others else [*kept]


def _notes(notes: Iterable[str]) -> Iterator[str]:
    yield from _heading("Sobre estes números")
    for note in notes:
        yield from textwrap.wrap(
            _escaped(note), 78, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False
        )
    yield ""


def _heading(title: str) -> Iterator[str]:
    yield from (f"## {title}", "")


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], *, left: int) -> list[str]:
    """A table whose columns stand under each other; the first `left`, bars and words begin at the left."""
    body = [tuple(row) for row in rows]
    widths = [max(_width(cell) for cell in column) for column in zip(header, *body, strict=True)]
    is_left = [number < left or header[number] in ("", "O que é") for number in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell + " " * (width - _width(cell)) if to_left else " " * (width - _width(cell)) + cell
            for cell, width, to_left in zip(cells, widths, is_left, strict=True)
        ]
        return f"| {' | '.join(padded)} |"

    rule = "|".join(
        ("-" * (width + 2) if to_left else "-" * (width + 1) + ":")
        for width, to_left in zip(widths, is_left, strict=True)
    )
    return [line(header), f"|{rule}|", *map(line, body), ""]


def _width(text: str) -> int:
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def _bar(count: int, most: int) -> str:
    """A bar of so many of the most; what is more than nothing is seen."""
    return "█" * max(round(_BAR * count / most), 1) if count else ""


def _part(part: int, whole: int) -> str:
    return f"{words.count(part)} de {words.count(whole)} ({words.share(part, whole)})" if whole else words.UNKNOWN


def _name(text: str | int, unnamed: str = "(sem nome)") -> str:
    """A name, or how many others there are."""
    if isinstance(text, int):
        return f"outros {words.count(text)}"
    flat = " ".join(printable(text).split()).replace("`", "'").replace("|", "\\|")
    return f"`{flat if len(flat) <= _LONGEST_NAME else f'{flat[: _LONGEST_NAME - 1]}…'}`" if flat else unnamed


def _escaped(text: str) -> str:
    """Foreign text that cannot become markup; on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(printable(text).split()))
