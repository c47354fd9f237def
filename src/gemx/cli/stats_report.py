"""`gemx stats report`: the figures of the audit log as a page for managers, or as Markdown; in pt-BR."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gemx.cli import logs_filter, options, output, times
from gemx.errors import UsageError

if TYPE_CHECKING:
    from gemx.audit.figures import Figures
    from gemx.audit.report.about import About

_STDOUT = Path("-")

Html = Annotated[
    Path | None,
    typer.Option(
        "--html", metavar="FILE", help="Write one page with charts and filters (mode 0600); it asks no network."
    ),
]
Markdown = Annotated[
    Path | None, typer.Option("--md", metavar="FILE|-", help="Write Markdown (mode 0600), or print it: -.")
]


def report(
    html: Html = None,
    md: Markdown = None,
    since: options.Since = None,
    until: options.Until = None,
    model: logs_filter.Model = None,
    as_json: options.AsJson = False,
) -> None:
    """Write a report in Portuguese: cost and calls a day, latency, models, automations, findings, failures."""
    output.begin("stats report", as_json=as_json)
    files = _files(html, md, as_json=as_json)
    figures, about = _read(since, until, model)
    for path in files:
        _write(path, figures, about, is_page=path is html)
    if as_json:
        calls = figures.total().calls
        output.as_json({"files": [str(path) for path in files], "calls": calls, "passed_over": figures.passed_over})
        return
    if figures.total().is_empty:
        output.note("nothing is on record, or nothing like that: the report says so")
    for path in files:
        if path != _STDOUT:
            output.result(f"written: {path}")


def _files(html: Path | None, md: Path | None, *, as_json: bool) -> list[Path]:
    """The files to write, each of them writable. Raises UsageError, StorageError."""
    files = [path for path in (html, md) if path is not None]
    if not files:
        raise UsageError("the report needs a file", hint="gemx stats report --html uso.html, or --md uso.md")
    if html == _STDOUT or (as_json and md == _STDOUT):
        raise UsageError("only --md - prints a report, and not with --json", hint="name a file")
    for path in files:
        if path != _STDOUT:
            output.check_writable(path)
    if len(files) == 2 and files[0].resolve() == files[1].resolve():
        raise UsageError("--html and --md are the same file")
    return files


def _read(since: str | None, until: str | None, model: str | None) -> tuple[Figures, About]:
    """The figures by day, and what the report says of itself. Raises UsageError, StorageError."""
    for flag, text in (("--since", since), ("--until", until)):
        if text is not None and not times.is_day(text):
            raise UsageError(f"{flag} {text!r}: a report is of whole days", hint="for example 2026-11-20 or 7d")
    from gemx import __version__
    from gemx.audit import rollup
    from gemx.audit.figures import slot_of
    from gemx.audit.report.about import About
    from gemx.clinical import rules

    zone = times.zone()
    start, end = times.since(since, zone), times.until(until, zone)
    first = slot_of(start, "day", zone) if start else None
    last = slot_of(end - timedelta(microseconds=1), "day", zone) if end else None
    found = rollup.read("day", zone, since=start.date() if start else None).where(first, last, model)
    now = datetime.now(zone) if zone else datetime.now().astimezone()
    meanings = {rule.code: rule.title for rule in rules.load_rules()}
    return found, About(now, __version__, first, last, model, meanings)


def _write(path: Path, figures: Figures, about: About, *, is_page: bool) -> None:
    if is_page:
        from gemx.audit.report import page

        output.write_file(path, page.to_html(figures, about))
        return
    from gemx.audit.report import markdown

    text = markdown.to_markdown(figures, about)
    if path == _STDOUT:
        output.result(text)
    else:
        output.write_file(path, text)
