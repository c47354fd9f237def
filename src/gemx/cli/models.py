"""`gemx models`: local models; what there is, what is installed, and whether it is whole."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gemx.cli import completion, models_install, models_text, options, output
from gemx.errors import GemxError, InputError, NotFoundError, StorageError, UsageError

if TYPE_CHECKING:
    from gemx.models.store import Entry

app = typer.Typer(no_args_is_help=True, help="Local models: list, show, search, install, add, remove, use, verify.")

_WIDTH = 80
_MOST = 20

Installed = Annotated[
    str, typer.Argument(metavar="NAME", help="An installed model.", autocompletion=completion.local_models)
]


@app.command("list")
def list_(
    here: Annotated[bool, typer.Option("--installed", help="Only what is on this machine.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """List the models: installed, downloading, broken, and those of the catalog that are available."""
    output.begin("models list", as_json=as_json)
    rows = models_text.rows(catalog=not here)
    if as_json:
        output.as_json({"models": rows})
        return
    for line in models_text.table(rows, _width()):
        output.result(line)
    if not rows:
        output.note("no model is installed: gemx models search finds one, gemx models install brings it here")


@app.command()
def show(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="An installed model, or one of the catalog.", autocompletion=completion.catalog
        ),
    ],
    as_json: options.AsJson = False,
) -> None:
    """Show a model: its licence, modality, context and quantisation; where it comes from, its file and its hash."""
    output.begin("models show", as_json=as_json)
    data = models_text.details(name)
    if as_json:
        output.as_json(data)
        return
    for line in models_text.page(data):
        output.result(line)


@app.command()
def search(
    words: Annotated[list[str] | None, typer.Argument(metavar="[WORDS]...", help="Words of its name.")] = None,
    online: Annotated[
        bool, typer.Option("--online", help="Ask the endpoint too (Hugging Face, or HF_ENDPOINT).")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Search the catalog by name, licence and modality, and with --online the repositories of the endpoint."""
    output.begin("models search", as_json=as_json)
    from gemx.models import catalog

    if online and not words:
        raise UsageError("--online needs words to look for")
    found = [models_text.offered(name, item) for name, item in catalog.search(words or []).items()]
    # The catalog first: what is on the endpoint may be refused, and then nothing is told.
    hits = [vars(hit) for hit in models_install.hub().search(" ".join(words or []), _MOST)] if online else []
    if as_json:
        output.as_json({"catalog": found, "online": hits})
        return
    for line in models_text.found(found, hits, _width()):
        output.result(line)
    if not found and not hits:
        more = "" if online else "; --online asks the endpoint"
        output.note(f"nothing like that{more}")


app.command("install")(models_install.install)
app.command("add")(models_install.add)


@app.command()
def remove(name: Installed, as_json: options.AsJson = False) -> None:
    """Remove a model and all that came with it. A file that was added where it lies stays."""
    output.begin("models remove", as_json=as_json)
    from gemx.models import installing

    gone = installing.remove(name)
    if as_json:
        output.as_json({"name": name, "removed": gone})
        return
    output.result(f"removed: {name}")
    if _configured() == f"gguf:{name}":
        output.warning("config.json still names it: gemx models use ANOTHER, or gemx config unset model")


@app.command()
def use(name: Installed, as_json: options.AsJson = False) -> None:
    """Make an installed model the one that is used where none is named: `model` in config.json."""
    output.begin("models use", as_json=as_json)
    from gemx import config_file
    from gemx.models import registry

    registry.path_of(name)
    if name not in registry.files():
        # A path would lead elsewhere from another folder.
        raise UsageError(f"{name} is not the name of a model", hint="gemx models add PATH gives a file a name")
    model = f"gguf:{name}"

    def put(data: dict[str, Any]) -> None:
        data["model"] = model

    written = config_file.change(put)
    other = os.environ.get("GEMX_MODEL")
    if as_json:
        output.as_json({"model": model, "path": written.path, "changed": written.changed, "backup": written.backup})
        return
    output.result(f"model = {model}")
    if written.backup:
        output.note(f"config.json had an older form: that one is kept as {written.backup}")
    if other and other != model:
        output.warning(f"GEMX_MODEL comes first: it is {other}")


@app.command()
def verify(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]", help="An installed model; all of them without.", autocompletion=completion.local_models
        ),
    ] = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> int:
    """Hash models again. One that is not what was installed is broken from then on, and never loaded (exit 6)."""
    output.begin("models verify", as_json=as_json, quiet=quiet)
    found = [_verified(entry) for entry in _entries(name)]
    errors: list[GemxError] = [
        StorageError(f"{entry.name}: {entry.problem}", hint="install it again, or put the right file back")
        for entry in found
        if entry.state == "broken"
    ]
    code = 6 if errors else 0
    if as_json:
        rows = [{"name": entry.name, "state": entry.state, "problem": entry.problem} for entry in found]
        output.as_json({"models": rows}, code, [output.described(each) for each in errors])
        return code
    for entry in found:
        output.result(f"{entry.name}: {entry.problem or 'ok'}")
    if not found:
        output.note("no model is installed")
    return code


def _entries(name: str | None) -> list[Entry]:
    """What is to be verified; a file without an entry gets one, by what it holds now."""
    from gemx import library, places
    from gemx.models import registry, store

    files = registry.files()
    # One that lies there whole while it counts as downloading was killed before that was written down.
    known = {each.name: each for each in store.entries() if each.state != "downloading" or places.is_file(each.path)}
    if name is not None:
        if name not in known and name not in files:
            near = library.suggest(name, [*known, *files])
            raise NotFoundError(f"no installed model {name!r}{near}", hint="gemx models list names them")
        files = [name]
        known = {key: entry for key, entry in known.items() if name in (key, entry.part_of)}
    fresh: list[Entry] = []
    for each in files:
        if each not in known:
            output.note(f"{each} was put here by hand: what it holds now is what it is held to from now on")
            fresh.append(_recorded(each))
    return [*known.values(), *fresh]


def _recorded(name: str) -> Entry:
    """The entry of a file that was put here by hand; what is no model must not keep the others from being hashed."""
    from gemx.models import installing
    from gemx.models.store import Entry

    try:
        return installing.record(name)
    except (InputError, StorageError) as exc:
        return Entry(name, "broken", "", None, "", problem=exc.message)


def _verified(entry: Entry) -> Entry:
    from gemx.models import integrity

    if not entry.sha256:
        return entry
    tell = models_install.Progress("hashing")
    try:
        return integrity.verify(entry, lambda done, total: tell(entry.name, done, total))
    finally:
        output.progress_ended()


def _configured() -> str | None:
    from gemx import configuration, places

    try:
        return configuration.load(places.config_file()).model
    except GemxError:
        return None


def _width() -> int:
    return max(shutil.get_terminal_size((_WIDTH, 24)).columns, 20) if output.is_terminal(sys.stdout) else _WIDTH
