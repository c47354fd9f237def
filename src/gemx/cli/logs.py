"""`gemx logs`: the audit log for people: list, show, follow and search. What proves and keeps it has its own files."""

from __future__ import annotations

import time
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gemx.cli import (
    logs_browse,
    logs_check,
    logs_erase,
    logs_files,
    logs_filter,
    logs_replay,
    logs_text,
    options,
    output,
    times,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from gemx.audit.find import Filter, Record
    from gemx.history import Entry

app = typer.Typer(
    no_args_is_help=True,
    help="The audit log: list, show, tail, search, verify, checkpoint, export, prune, erase, replay, import.",
)

_SHOWN = 200
_POLL = 0.5

Number = Annotated[int, typer.Option("-n", "--number", metavar="N", min=1, help="How many at most.")]


@app.command("list")
def list_(
    number: Number = 20,
    since: options.Since = None,
    until: options.Until = None,
    command: logs_filter.Command = None,
    model: logs_filter.Model = None,
    status: logs_filter.Status = None,
    automation: logs_filter.OfAutomation = None,
    flow: logs_filter.OfFlow = None,
    user: logs_filter.OfUser = None,
    as_json: options.AsJson = False,
) -> None:
    """List the records, newest first: time, run id, automation or command, how it ended, model, and what it took."""
    output.begin("logs list", as_json=as_json)
    _list(logs_filter.made(since, until, command, model, status, automation, flow, user), number, as_json=as_json)


@app.command()
def search(
    words: Annotated[list[str], typer.Argument(metavar="WORDS", help="All must occur in what a record says.")],
    number: Number = 20,
    since: options.Since = None,
    until: options.Until = None,
    command: logs_filter.Command = None,
    model: logs_filter.Model = None,
    status: logs_filter.Status = None,
    automation: logs_filter.OfAutomation = None,
    flow: logs_filter.OfFlow = None,
    user: logs_filter.OfUser = None,
    as_json: options.AsJson = False,
) -> None:
    """Search what records say, newest first; case and accents make no difference. Texts are in gemx history search."""
    output.begin("logs search", as_json=as_json)
    every = [word for each in words for word in each.split()]
    which = logs_filter.made(since, until, command, model, status, automation, flow, user, every)
    _list(which, number, as_json=as_json)


@app.command()
def show(
    name: Annotated[
        str, typer.Argument(metavar="RUN_ID|SEQ", help="A run, the beginning of its id, or the number of a record.")
    ],
    as_json: options.AsJson = False,
) -> None:
    """Show all records of a run, and its texts where they are kept: in the history, or beside the log."""
    output.begin("logs show", as_json=as_json)
    from gemx.audit.find import Reader

    records = Reader().run(name)
    texts = list(_texts(records))
    if as_json:
        output.as_json({"records": records, "texts": texts})
        return
    zone = times.zone()
    output.result(f"run {records[0]['run_id']}")
    for record in records[:_SHOWN]:
        output.result(f"\n{logs_text.page(record, zone)}")
    if len(records) > _SHOWN:
        output.note(f"{len(records) - _SHOWN} records more: --json has them all")
    for text in texts[:_SHOWN]:
        output.result(f"\n--- {text['name']}, from {text['from']}{_proof(text['proved'])} ---\n{text['text']}")


@app.command()
def tail(
    number: Number = 10,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with what is written, until Ctrl-C.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Show the last records, the newest at the end; --json prints a record a line, as it is in the log."""
    output.begin("logs tail", as_json=as_json)
    from gemx.audit import follow as following
    from gemx.audit.find import Filter, Reader

    where = following.here()
    reader = Reader()
    _tail(list(islice(reader.newest(Filter()), number))[::-1], as_json=as_json)
    logs_filter.tell_passed(reader)
    while follow:
        found = [record for line in where.fresh() if (record := reader.one(line))]
        _tail(found, as_json=as_json)
        if not found:
            time.sleep(_POLL)


def _tail(records: Sequence[Record], *, as_json: bool) -> None:
    if as_json:
        texts = [output.json_line(record) for record in records]
    else:
        texts = logs_text.lines(records, times.zone(), times.width())
    for text in texts:
        # At once, into a pipe too.
        output.piece(f"{text}\n")


def _list(which: Filter, number: int, *, as_json: bool) -> None:
    from gemx.audit.find import Reader

    reader = Reader()
    found = list(islice(reader.newest(which), number))
    if as_json:
        output.as_json(found)
    else:
        for line in logs_text.lines(found, times.zone(), times.width()):
            output.result(line)
        if not found:
            output.note("nothing is on record, or nothing like that")
    logs_filter.tell_passed(reader)


def _texts(records: Sequence[Record]) -> Iterator[dict[str, Any]]:
    """The texts of records that are kept, and whether the HMACs of the records prove them."""
    from gemx.audit import content

    kept = content.texts_of(records)
    for record in records:
        for name, text in kept.get(str(record.get("gemx.salt")), {}).items():
            proved = content.proves(record, name, text)
            yield {"name": name, "seq": record["seq"], "from": record["gemx.content"], "text": text, "proved": proved}
    if not kept and (entry := _entry(str(records[0].get("run_id")))):
        yield from _of_history(entry, records)


def _of_history(entry: Entry, records: Iterable[Record]) -> Iterator[dict[str, Any]]:
    from gemx.audit import content

    asked = "\n\n".join(text for text in (entry.system, entry.prompt) if text)
    for name, text in (("prompt", asked), ("reply", entry.reply)):
        judged = {content.proves(record, name, text) for record in records}
        # Of a conversation the record hashes the turns before, too, which the entry does not have.
        first = entry.conversation in (None, entry.run_id)
        proved = True if True in judged else False if False in judged and (first or name == "reply") else None
        yield {"name": name, "seq": None, "from": "the history", "text": text, "proved": proved}


def _entry(run_id: str) -> Entry | None:
    from gemx import history
    from gemx.errors import NotFoundError

    try:
        found = history.get(run_id)
    except NotFoundError:
        return None
    return found if found.run_id == run_id else None


def _proof(proved: bool | None) -> str:
    return {True: ", proved by the record", False: ", NOT what the record hashed", None: ""}[proved]


app.command()(logs_browse.browse)
app.command()(logs_check.verify)
app.command()(logs_check.checkpoint)
app.command()(logs_files.export)
app.command()(logs_files.prune)
app.command()(logs_erase.erase)
app.command()(logs_replay.replay)
app.command("import")(logs_files.import_)
