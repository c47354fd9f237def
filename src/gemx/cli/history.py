"""`gemx history`: list, show, search, remove, prune and export what was asked and answered. It holds patient text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gemx.cli import options, output, times
from gemx.errors import InputError, UsageError

if TYPE_CHECKING:
    from gemx.history import Entry, Filter

app = typer.Typer(no_args_is_help=True, help="What was asked and answered: list, show, search, remove, prune, export.")

Number = Annotated[int, typer.Option("-n", "--number", metavar="N", min=1, help="How many at most.")]
Command = Annotated[str | None, typer.Option("--command", metavar="NAME", help="Of one command, such as 'auto run'.")]
OfAutomation = Annotated[str | None, typer.Option("--automation", metavar="NAME", help="Of one automation.")]
RunIds = Annotated[
    list[str] | None, typer.Argument(metavar="[RUN_ID]...", help="Runs, or the beginnings of their ids.")
]


@app.command("list")
def list_(
    number: Number = 20,
    command: Command = None,
    automation: OfAutomation = None,
    since: options.Since = None,
    as_json: options.AsJson = False,
) -> None:
    """List the kept runs, newest first: time, run id, automation or command, model, first words."""
    output.begin("history list", as_json=as_json)
    from gemx import history
    from gemx.cli import history_text

    zone = times.zone()
    found = history.latest(_filter(number, command, automation, since, zone))
    if as_json:
        output.as_json([asdict(each) for each in found])
        return
    for line in history_text.lines(found, zone, times.width()):
        output.result(line)
    if not found:
        output.note("nothing is kept, or nothing like that")


@app.command()
def show(
    run_id: Annotated[str, typer.Argument(metavar="RUN_ID", help="The run, or the beginning of its id.")],
    conversation: Annotated[
        bool, typer.Option("--conversation", help="Show every turn of its conversation, oldest first.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Show all that is kept of a run: prompt, system instruction, reply, model, files and cost."""
    output.begin("history show", as_json=as_json)
    from gemx import history
    from gemx.cli import history_text

    entry = history.get(run_id)
    turns = [entry]
    if conversation:
        if entry.conversation is None:
            raise InputError(f"the run {entry.run_id} of gemx {entry.command} is not a turn of a conversation")
        turns = history.conversation(entry.conversation)
    if as_json:
        whole = [asdict(each) for each in turns]
        output.as_json({"conversation": entry.conversation, "turns": whole} if conversation else whole[0])
        return
    zone = times.zone()
    output.result("\n".join(history_text.page(each, zone, markdown=False) for each in turns))


@app.command()
def search(
    words: Annotated[list[str], typer.Argument(metavar="WORDS", help="All must occur; `hipot*` is a beginning.")],
    number: Number = 20,
    command: Command = None,
    automation: OfAutomation = None,
    since: options.Since = None,
    as_json: options.AsJson = False,
) -> None:
    """Search prompts, replies and results, newest first; case and accents make no difference."""
    output.begin("history search", as_json=as_json)
    from gemx import history
    from gemx.cli import history_text

    zone = times.zone()
    found = history.search(" ".join(words), _filter(number, command, automation, since, zone))
    if as_json:
        output.as_json([asdict(each) for each in found])
        return
    width = times.width()
    for line, each in zip(history_text.lines(found, zone, width), found, strict=True):
        output.result(f"{line}\n    {history_text.clipped(each.snippet, width - 4)}")
    if not found:
        output.note("no run holds all these words")


@app.command()
def remove(
    run_ids: RunIds = None,
    everything: Annotated[bool, typer.Option("--all", help="Erase every run.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do so without a question.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Erase runs for good, their texts and the words in the index; all that are named, or none."""
    output.begin("history remove", as_json=as_json)
    from gemx import history

    if everything == bool(run_ids):
        raise UsageError("name the runs to erase, or --all", hint="gemx history list names them")
    if everything and not yes:
        raise UsageError("--all erases every run for good", hint="add --yes if you mean it")
    gone = history.remove(run_ids) if run_ids else None
    count = history.remove_all() if gone is None else len(gone)
    if as_json:
        output.as_json({"erased": count, "run_ids": gone})
        return
    output.result(f"erased: {', '.join(gone)}" if gone else f"erased: {_runs(count)}")


@app.command()
def prune(
    days: Annotated[
        int | None, typer.Option("--days", metavar="N", min=0, max=36_500, help="Default: history.keep of config.json.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it where all would be erased.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Erase for good what is older than so many days."""
    output.begin("history prune", as_json=as_json)
    from gemx import history, settings

    kept = settings.load().config.history.keep if days is None else days
    if kept == 0 and not yes:
        raise UsageError("that erases all of it", hint="say --yes if it is meant")
    count = history.prune(kept, rewrite=True)
    if as_json:
        output.as_json({"erased": count, "days": kept})
        return
    output.result(f"erased: {_runs(count)} older than {kept} {'day' if kept == 1 else 'days'}")


@app.command()
def export(
    out: Annotated[Path, typer.Option("--out", metavar="FILE.jsonl|.md", help="The file to write (mode 0600).")],
    run_ids: RunIds = None,
    as_json: options.AsJson = False,
) -> None:
    """Write runs to a file, every one where none is named: JSON lines with all that is kept, or Markdown to read."""
    output.begin("history export", as_json=as_json)
    from gemx import history

    if out.suffix.lower() not in (".jsonl", ".md"):
        raise UsageError(f"no form goes with the suffix {out.suffix!r}", hint="use .jsonl or .md")
    output.check_writable(out)
    entries = history.entries(run_ids) if run_ids else history.everything()
    output.write_file(out, _exported(entries, markdown=out.suffix.lower() == ".md"))
    if as_json:
        output.as_json({"exported": len(entries), "path": str(out)})
        return
    output.result(f"exported: {_runs(len(entries))} to {out}")


def _exported(entries: Sequence[Entry], *, markdown: bool) -> str:
    from gemx.cli import history_text

    if not markdown:
        return "".join(f"{output.json_line(asdict(each))}\n" for each in entries)
    zone = times.zone()
    return "\n".join(history_text.page(each, zone, markdown=True) for each in entries)


def _filter(number: int, command: str | None, automation: str | None, since: str | None, zone: tzinfo | None) -> Filter:
    from gemx import history

    return history.Filter(command, automation, times.since(since, zone), number)


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"
