"""`gemx kb`: knowledge bases; documents that are added, searched and asked, with citations."""

from __future__ import annotations

import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gemx.cli import door, kb_ask, kb_text, options, output
from gemx.cli.kb_options import Base, Embedder, TopK
from gemx.errors import GemxError, InputError, UsageError

if TYPE_CHECKING:
    from gemx.gateway import Policy
    from gemx.knowledge import base as bases
    from gemx.knowledge.ingest import Outcome
    from gemx.knowledge.stats import Stats
    from gemx.settings import Settings

app = typer.Typer(
    no_args_is_help=True,
    help="Knowledge bases: add documents, search them, ask them with citations; show, remove, rebuild.",
)

_WIDTH = 80
Prune = Annotated[bool, typer.Option("--prune", help="Remove the documents whose files are gone.")]


@app.command()
def add(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Documents, or folders of them.")],
    kb: Base = "default",
    embedder: Embedder = None,
    prune: Prune = False,
    guard: options.Guard = None,
    network: options.Network = None,
    local_only: options.LocalOnly = False,
    max_cost: options.MaxCost = None,
    timeout: options.Timeout = None,
    tries: options.Tries = None,
    profile: options.Profile = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> int:
    """Add documents (text, Markdown, PDF, DOCX, HTML), or read again those that changed. Run again, it goes on."""
    output.begin("kb add", as_json=as_json, quiet=quiet)
    from gemx.knowledge import base as bases
    from gemx.knowledge import ingest

    flags = door.Flags(None, None, None, guard, network, local_only, max_cost, timeout, tries)
    flags.check()
    base = bases.named(kb, new=True)
    ingest.existing(paths)
    resolved = _embedder_chosen(base, embedder, profile)
    try:
        outcome = ingest.add(base, paths, prune=prune, on_file=lambda path: output.progress(f"reading {path.name}"))
    finally:
        output.progress_ended()
    return _finish(base, outcome, _embedded(base, outcome, flags.embedding(resolved), "kb add"), as_json=as_json)


@app.command()
def rebuild(
    kb: Base = "default",
    embedder: Embedder = None,
    prune: Prune = False,
    guard: options.Guard = None,
    network: options.Network = None,
    local_only: options.LocalOnly = False,
    max_cost: options.MaxCost = None,
    timeout: options.Timeout = None,
    tries: options.Tries = None,
    profile: options.Profile = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> int:
    """Read every document anew and make all vectors again, with another --embedder if you like."""
    output.begin("kb rebuild", as_json=as_json, quiet=quiet)
    from gemx import settings
    from gemx.knowledge import base as bases
    from gemx.knowledge import embedder as embedders
    from gemx.knowledge import ingest, store

    flags = door.Flags(None, None, None, guard, network, local_only, max_cost, timeout, tries)
    flags.check()
    base = bases.named(kb)
    resolved = settings.load(profile)
    embedders.replace_with(base, embedder)
    try:
        outcome = ingest.reread(base, prune=prune, on_file=lambda path: output.progress(f"reading {path.name}"))
    finally:
        output.progress_ended()
    store.forget(base)
    return _finish(base, outcome, _embedded(base, outcome, flags.embedding(resolved), "kb rebuild"), as_json=as_json)


@app.command("list")
def list_(as_json: options.AsJson = False) -> None:
    """List the knowledge bases: documents, chunks, and what makes their vectors."""
    output.begin("kb list", as_json=as_json)
    from gemx.knowledge import base as bases
    from gemx.knowledge import stats

    found = [stats.of(bases.named(name)) for name in bases.names()]
    if as_json:
        output.as_json([asdict(each) for each in found])
        return
    for each in found:
        output.result(_line(each))
    if not found:
        output.note("there is no knowledge base yet: gemx kb add PATH makes one")


@app.command()
def show(
    document: Annotated[
        str | None, typer.Argument(metavar="[DOC]", help="A document, or one chunk of it: DOC#3, or a whole id.")
    ] = None,
    kb: Base = "default",
    as_json: options.AsJson = False,
) -> None:
    """Show the documents of a base, the chunks of a document, or a whole chunk."""
    output.begin("kb show", as_json=as_json)
    from gemx.knowledge import base as bases
    from gemx.knowledge import store

    if document is None:
        found = store.documents(bases.named(kb))
        _print([asdict(each) for each in found], kb_text.documents(found, _width()), as_json=as_json)
        return
    name, mark, number = document.partition("#")
    if mark and name.partition("/")[0] in bases.names() and not _holds(kb, name):
        kb, _, name = name.partition("/")
    whole, pieces = store.document(bases.named(kb), name)
    if mark:
        pieces = [each for each in pieces if str(each.number) == number]
        if not pieces:
            raise InputError(f"{name} has no chunk {number!r}", hint=f"it has {whole.chunks}, from 1")
    data = {"document": asdict(whole), "chunks": [asdict(each) for each in pieces]}
    lines = [pieces[0].text] if mark else [f"{whole.name} ({whole.path})", *kb_text.pieces(pieces, _width())]
    _print(data, lines, as_json=as_json)


@app.command()
def search(
    words: Annotated[list[str], typer.Argument(metavar="WORDS", help="What to look for; no sign means anything.")],
    kb: Base = "default",
    top_k: TopK = 5,
    only_words: Annotated[bool, typer.Option("--words", help="Search by words alone: no model is asked.")] = False,
    guard: options.Guard = None,
    network: options.Network = None,
    local_only: options.LocalOnly = False,
    max_cost: options.MaxCost = None,
    timeout: options.Timeout = None,
    tries: options.Tries = None,
    profile: options.Profile = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Search by words, and by meaning where the base has vectors; prints where each hit stands."""
    output.begin("kb search", as_json=as_json, quiet=quiet)
    from gemx.knowledge import base as bases
    from gemx.knowledge import embedder, retrieve

    base, query, vector = bases.named(kb), " ".join(words), None
    if not only_words and embedder.of(base):
        from gemx import gateway, settings

        flags = door.Flags(None, None, None, guard, network, local_only, max_cost, timeout, tries)
        flags.check()
        origin = gateway.Origin("kb search", gateway.new_run_id())
        with door.receipted():
            vector = retrieve.near(base, query, flags.embedding(settings.load(profile)), origin)
        kb_ask.tell_missing(base)
    found = retrieve.search(base, query, top_k=top_k, vector=vector)
    _print([hit.data() for hit in found], kb_text.hits(found, _width()), as_json=as_json)
    if not found:
        output.note("nothing like that is in the base")
    if vector:
        door.receipt(vector.attempts)


app.command("ask")(kb_ask.ask)


@app.command()
def remove(
    documents: Annotated[list[str] | None, typer.Argument(metavar="[DOC]...", help="Documents by their names.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Erase every document, and forget the embedder.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do so without a question.")] = False,
    kb: Base = "default",
    as_json: options.AsJson = False,
) -> None:
    """Erase documents for good: text, index and vectors; all that are named, or none. Their files stay."""
    output.begin("kb remove", as_json=as_json)
    from gemx.knowledge import base as bases
    from gemx.knowledge import store

    if everything == bool(documents):
        raise UsageError("name the documents to erase, or --all", hint=f"gemx kb show --kb {kb} names them")
    if everything and not yes:
        raise UsageError("--all erases every document for good", hint="add --yes if you mean it")
    base = bases.named(kb)
    gone = store.remove(base, documents) if documents else None
    count = store.remove_all(base) if gone is None else len(gone)
    said = f"erased: {', '.join(gone)}" if gone else f"erased: {count} documents"
    _print({"erased": count, "documents": gone}, [said], as_json=as_json)


@app.command("stats")
def stats_(kb: Base = "default", as_json: options.AsJson = False) -> None:
    """Count what a base holds: documents, chunks, vectors, bytes; its embedder and the hash of its contents."""
    output.begin("kb stats", as_json=as_json)
    from gemx.knowledge import base as bases
    from gemx.knowledge import stats

    found = stats.of(bases.named(kb))
    lines = [f"{name}: {value}" for name, value in found.shown()]
    _print(asdict(found), lines, as_json=as_json)


def _embedder_chosen(base: bases.Base, flag: str | None, profile: str | None) -> Settings:
    """The settings, the embedder of the base being chosen: by the flag, or of a base that is new by config.json."""
    from gemx import gateway, places, settings
    from gemx.knowledge import embedder

    resolved = settings.load(profile)
    is_new = not places.is_file(base.path)
    wanted = flag or (resolved.config.knowledge.embedder if is_new else None)
    if wanted is not None and wanted != embedder.NONE:
        if flag is None:
            gateway.check_config(resolved.config)
        embedder.choose(base, wanted)
    elif flag == embedder.NONE and (held := embedder.of(base)):
        hint = f"gemx kb rebuild --kb {base.name} --embedder none takes its vectors out"
        raise UsageError(f"the base {base.name!r} has the embedder {held.route}", hint=hint)
    return resolved


def _embedded(base: bases.Base, outcome: Outcome, policy: Policy, command: str) -> int:
    """Make the vectors that are missing; returns how many were made. Where that fails the documents are there."""
    from gemx import gateway
    from gemx.knowledge import embedder

    origin = gateway.Origin(command, gateway.new_run_id())
    try:
        with door.receipted():
            filled = embedder.fill(
                base, policy, origin, lambda done, total: output.progress(f"vectors: {done} of {total} chunks")
            )
    except GemxError:
        output.progress_ended()
        output.warning(f"{base.name}: {kb_text.summary(outcome)}, but vectors are missing: gemx kb add goes on")
        raise
    finally:
        output.progress_ended()
    door.receipt(filled.attempts)
    return filled.count


def _finish(base: bases.Base, outcome: Outcome, vectors: int, *, as_json: bool) -> int:
    """Tell what became of the files; partial where one could not be read."""
    errors = [InputError(why) for _, why in outcome.unread]
    exit_code = 7 if errors else 0
    if as_json:
        data = {"kb": base.name, **kb_text.data(outcome), "vectors": vectors}
        output.as_json(data, exit_code, [output.described(each) for each in errors])
        return exit_code
    for line in kb_text.remarks(outcome):
        output.note(line)
    for each in errors:
        output.warning(f"gemx: not read: {each.message}")
    made = f", {vectors} vectors" if vectors else ""
    output.result(f"{base.name}: {kb_text.summary(outcome)}{made}")
    return exit_code


def _print(data: Any, lines: Any, *, as_json: bool) -> None:
    if as_json:
        output.as_json(data)
        return
    for line in lines:
        output.result(line)


def _line(each: Stats) -> str:
    made = f", vectors of {each.embedder['route']}" if each.embedder else ""
    return f"{each.kb}: {each.documents} documents, {each.chunks} chunks{made}"


def _holds(kb: str, name: str) -> bool:
    from gemx.knowledge import base as bases
    from gemx.knowledge import store

    return kb in bases.names() and any(each.name == name for each in store.documents(bases.named(kb)))


def _width() -> int:
    return max(shutil.get_terminal_size((_WIDTH, 24)).columns, 20) if output.is_terminal(sys.stdout) else _WIDTH
