"""`gemx stats`: what the audit log adds up to, by name and by day; `check` for cron has a file of its own."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gemx.cli import logs_filter, options, output, stats_check, stats_report, times
from gemx.errors import UsageError

if TYPE_CHECKING:
    from gemx.audit.figures import Figures, Name
    from gemx.cli.stats_rows import Table

app = typer.Typer(
    no_args_is_help=True,
    help="Figures of the audit log: calls, cost, latency, verification; a report; alerts for cron.",
)

AsCsv = Annotated[bool, typer.Option("--csv", help="Print the raw figures as CSV.")]


@dataclass(frozen=True)
class Part:
    """The part of the log that is asked for, its figures, and how they are to be shown."""

    figures: Figures
    since: str | None
    until: str | None
    model: str | None
    form: str

    @property
    def described(self) -> dict[str, Any]:
        """What a machine needs to know of it, beside the rows."""
        read = {name: getattr(self.figures, name) for name in ("files", "lines", "passed_over", "others")}
        return {"since": self.since, "until": self.until, "model": self.model, **read}


@app.command()
def summary(
    since: options.Since = None,
    until: options.Until = None,
    model: logs_filter.Model = None,
    as_json: options.AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show all of it on a page: calls, tokens, cost, latency, verification, days and the most used names."""
    part = _read("summary", since, until, model, as_json=as_json, as_csv=as_csv)
    from gemx.cli import stats_page, stats_rows

    total = part.figures.total()
    if part.form == "text":
        if not total.is_empty:
            output.result("\n".join(stats_page.summary(part.figures, times.width())))
        _told(part)
        return
    row = stats_rows.figures_of(total)
    if part.form == "csv":
        _csv([row], stats_rows.KEYS)
        return
    codes = {name: getattr(total, name) for name in ("failures", "refusals", "findings")}
    output.as_json({**part.described, **row, **codes, "price_tables": sorted(total.prices)})


def _table_of(name: Name, command: str, part: Part) -> Table:
    from gemx.cli import stats_rows

    found = {each: total for each, total in part.figures.by(name).items() if each or name in ("command", "user")}
    return stats_rows.named(found, name, command)


@app.command()
def commands(
    since: options.Since = None,
    until: options.Until = None,
    model: logs_filter.Model = None,
    as_json: options.AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show the figures of each command."""
    part = _read("commands", since, until, model, as_json=as_json, as_csv=as_csv)
    _show(part, _table_of("command", "command", part))


@app.command()
def models(
    since: options.Since = None,
    until: options.Until = None,
    model: logs_filter.Model = None,
    as_json: options.AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show the figures of each model, as -m names it."""
    part = _read("models", since, until, model, as_json=as_json, as_csv=as_csv)
    _show(part, _table_of("model", "model", part))


@app.command()
def automations(
    since: options.Since = None,
    until: options.Until = None,
    model: logs_filter.Model = None,
    as_json: options.AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show the figures of each automation, with the share of its answers that was verified."""
    part = _read("automations", since, until, model, as_json=as_json, as_csv=as_csv)
    _show(part, _table_of("automation", "automation", part))


@app.command()
def flows(
    since: options.Since = None,
    until: options.Until = None,
    model: logs_filter.Model = None,
    as_json: options.AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show the figures of each flow."""
    part = _read("flows", since, until, model, as_json=as_json, as_csv=as_csv)
    _show(part, _table_of("flow", "flow", part))


@app.command()
def users(
    since: options.Since = None,
    until: options.Until = None,
    model: logs_filter.Model = None,
    as_json: options.AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show the figures of each user of the system."""
    part = _read("users", since, until, model, as_json=as_json, as_csv=as_csv)
    _show(part, _table_of("user", "user", part))


@app.command()
def cost(
    since: options.Since = None,
    until: options.Until = None,
    model: logs_filter.Model = None,
    as_json: options.AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show what each model cost, and what a message of it costs; calls whose cost is not known stand apart."""
    part = _read("cost", since, until, model, as_json=as_json, as_csv=as_csv)
    from gemx.cli import stats_page, stats_rows

    _show(part, stats_rows.cost(part.figures.by("model")), stats_page.cost_by_day(part.figures, times.width()))


@app.command()
def latency(
    since: options.Since = None,
    until: options.Until = None,
    model: logs_filter.Model = None,
    as_json: options.AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show how long answers and their first tokens took, by model, and how the times are spread."""
    part = _read("latency", since, until, model, as_json=as_json, as_csv=as_csv)
    from gemx.cli import stats_page, stats_rows

    _show(part, stats_rows.latency(part.figures.by("model")), stats_page.spread(part.figures.total()))


@app.command()
def errors(
    since: options.Since = None,
    until: options.Until = None,
    model: logs_filter.Model = None,
    as_json: options.AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show the codes of failed calls, and of those that the door refused, and the model of most of them."""
    part = _read("errors", since, until, model, as_json=as_json, as_csv=as_csv)
    from gemx.cli import stats_rows

    _show(part, stats_rows.errors(part.figures))


@app.command()
def findings(
    since: options.Since = None,
    until: options.Until = None,
    model: logs_filter.Model = None,
    as_json: options.AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show the findings of the verification by code; gemx auto rules says what each means."""
    part = _read("findings", since, until, model, as_json=as_json, as_csv=as_csv)
    from gemx.cli import stats_rows

    _show(part, stats_rows.findings(part.figures))


@app.command()
def daily(
    since: options.Since = None,
    until: options.Until = None,
    model: logs_filter.Model = None,
    as_json: options.AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show the figures of each day, or of each hour where --since or --until names hours."""
    part = _read("daily", since, until, model, as_json=as_json, as_csv=as_csv)
    from gemx.cli import stats_rows

    _show(part, stats_rows.daily(part.figures))


app.command()(stats_report.report)
app.command()(stats_check.check)


def _read(
    command: str, since: str | None, until: str | None, model: str | None, *, as_json: bool, as_csv: bool
) -> Part:
    """The figures that the flags ask for. Raises UsageError, StorageError."""
    output.begin(f"stats {command}", as_json=as_json)
    if as_json and as_csv:
        raise UsageError("--json and --csv are two forms", hint="give one of them")
    from gemx.audit import rollup
    from gemx.audit.figures import slot_of

    zone = times.zone()
    # What names a moment is read by the hour.
    by = "day" if all(each is None or times.is_day(each) for each in (since, until)) else "hour"
    start, end = times.since(since, zone), times.until(until, zone)
    found = rollup.read(by, zone, since=start.date() if start else None)
    first = slot_of(start, by, zone) if start else None
    last = slot_of(end - timedelta(microseconds=1), by, zone) if end else None
    form = "json" if as_json else "csv" if as_csv else "text"
    return Part(found.where(first, last, model), first, last, model, form)


def _show(part: Part, table: Table, below: list[str] | None = None) -> None:
    from gemx.cli import stats_table

    if part.form == "json":
        output.as_json({**part.described, "rows": table.rows})
        return
    if part.form == "csv":
        _csv(table.rows, table.keys)
        return
    if table.rows:
        head, *rest = stats_table.lines(table.rows, table.shown, times.width())
        _head(head)
        output.result("\n".join([*rest, *(["", *below] if below else [])]))
    _told(part, is_empty=not table.rows)


def _csv(rows: Any, keys: Any) -> None:
    from gemx.cli import stats_table

    output.piece(stats_table.to_csv(rows, keys))


def _head(text: str) -> None:
    if not output.is_terminal(sys.stdout):
        output.result(text)
        return
    from rich.text import Text

    from gemx.sanitize import printable

    output.styled(Text(printable(text), style="bold"), times.width())


def _told(part: Part, *, is_empty: bool | None = None) -> None:
    """Say on stderr what is missing: any record, or lines that are none."""
    if part.figures.total().is_empty if is_empty is None else is_empty:
        output.note(_nothing(part))
    if count := part.figures.passed_over:
        lines = "1 line is no record and was" if count == 1 else f"{count:,} lines are no records and were"
        output.warning(f"gemx: {lines} passed over; gemx logs verify says where")


def _nothing(part: Part) -> str:
    asked = part.since or part.until or part.model
    return "nothing is on record, or nothing like that" if asked else "nothing is on record yet"
