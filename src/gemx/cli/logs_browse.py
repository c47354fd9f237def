"""`gemx logs browse`: search the runs on record as a person does, with all that is known of each beside it."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from gemx.cli import logs_filter, options, output, times

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo

    from gemx.audit.find import Filter, Reader, Record

_MOST = 2000


def browse(
    since: options.Since = None,
    until: options.Until = None,
    command: logs_filter.Command = None,
    model: logs_filter.Model = None,
    status: logs_filter.Status = None,
    automation: logs_filter.OfAutomation = None,
    flow: logs_filter.OfFlow = None,
    user: logs_filter.OfUser = None,
) -> None:
    """Pick a run by fuzzy search, newest first, with its records beside it; Enter shows it. Needs a terminal."""
    output.begin("logs browse")
    from gemx.cli import menu

    menu.require_terminal("logs browse", "gemx logs list, then gemx logs show RUN_ID")
    which = logs_filter.made(since, until, command, model, status, automation, flow, user)
    from gemx.audit.find import Reader
    from gemx.cli import picker
    from gemx.cli.questions import Back

    reader, zone = Reader(), times.zone()
    rows = dict(islice(_runs(reader, which, zone), _MOST))
    logs_filter.tell_passed(reader)
    if not rows:
        output.note("nothing is on record, or nothing like that")
        return
    most = f"As {_MOST} mais recentes; veja --help" if len(rows) == _MOST else ""
    try:
        name = picker.pick("Registro", rows, ("logs", "show"), header=most)
    except Back:
        return
    from gemx.cli import logs

    logs.show(name)


def _runs(reader: Reader, which: Filter, zone: tzinfo | None) -> Iterator[tuple[str, str]]:
    """Each run with the line of its last record; a record of no run by its number."""
    seen: set[str] = set()
    for record in reader.newest(which):
        name = str(record.get("run_id") or record["seq"])
        if name not in seen:
            seen.add(name)
            yield name, _row(name, record, zone)


def _row(name: str, record: Record, zone: tzinfo | None) -> str:
    from gemx.cli import logs_text
    from gemx.cli.history_text import model_name, short

    what = record.get("gemx.automation") or record.get("gemx.flow") or record.get("command") or "-"
    model = record.get("gen_ai.request.model") or record.get("gen_ai.response.model")
    try:
        time = short(str(record["time"]), zone)
    except ValueError:
        time = str(record["time"])
    shown = (time, str(what), logs_text.outcome(record), model_name(model and str(model)), name)
    return "  ".join(shown)
