"""`gemx config`: its commands, and `set-key`: a key is typed or piped, never an argument, and never printed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gemx.cli import completion, config_pages, config_settings, options, output
from gemx.errors import InputError, NotFoundError, UsageError

if TYPE_CHECKING:
    from gemx.keys import Owner, Stored

app = typer.Typer(no_args_is_help=True, help="Settings of config.json: read, change, edit, check; and API keys.")
app.command("get")(config_settings.get)
# A negative number is a value, and not an option.
app.command("set", context_settings={"ignore_unknown_options": True})(config_settings.set_)
app.command("unset")(config_settings.unset)
app.command("list")(config_settings.list_)
app.command("edit")(config_pages.edit)
app.command("path")(config_pages.path)
app.command("validate")(config_pages.validate)
app.command("schema")(config_pages.schema)

# Against a stream that never ends; no key is that long.
_MOST_CHARACTERS = 16_384


# Further arguments are taken, to be refused without being quoted.
@app.command("set-key", context_settings={"allow_extra_args": True})
def set_key(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="gemini, huggingface, or the name of an endpoint of config.json.",
            autocompletion=completion.owners,
        ),
    ],
    in_file: Annotated[
        bool, typer.Option("--file", help="Store it in a file (mode 0600), even where there is a keyring.")
    ] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the stored key, from keyring and file.")] = False,
    as_json: options.AsJson = False,
) -> int:
    """Store an API key, typed unseen or piped in: in the system's keyring where one works, else in a file."""
    output.begin("config set-key", as_json=as_json)
    from gemx import keys

    if context.args:
        hint = "type it when you are asked, or pipe it in; one that was an argument is in the shell's history"
        raise UsageError("a key is never an argument: every user of the machine could read it", hint=hint)
    if remove and in_file:
        raise UsageError("--remove takes the key from keyring and file: --file goes without it")
    owner = _owner(name)
    if remove:
        return _remove(name, owner, as_json=as_json)
    key = _typed(owner) if output.is_terminal(sys.stdin) else _piped()
    stored = keys.store(owner, key, in_file=in_file)
    winners = keys.winning_over(owner, stored, key)
    if as_json:
        output.as_json(_described(name, stored, winners))
        return 0
    output.result(f"the key for {name} is stored in {_place(stored)}")
    if stored.problem:
        output.note(f"the keyring was not used: {stored.problem}")
    for place in stored.removed:
        output.note(f"an older key was removed from {place}")
    for label in winners:
        output.warning(f"{label} comes first and holds another key: gemx uses that one until you unset it")
    return 0


def _owner(name: str) -> Owner:
    from gemx import keys, library, places, settings

    loaded = settings.Settings(settings.load_config(places.config_file()), None, None)
    if name == keys.GEMINI:
        return keys.of_gemini(loaded)
    if name == keys.HUGGINGFACE:
        return keys.of_hub(loaded)
    known = [keys.GEMINI, keys.HUGGINGFACE, *loaded.config.endpoints]
    if name not in known:
        # The name is not quoted: it may be the key, typed in the wrong place.
        near = library.suggest(name, known)
        hint = f"names: {', '.join(known)}; endpoints are those of {places.config_file()}"
        raise NotFoundError(f"that is neither gemini, huggingface nor an endpoint{near}", hint=hint)
    return keys.of_endpoint(name, loaded)


def _typed(owner: Owner) -> str:
    import getpass

    try:
        return getpass.getpass(f"Key for {owner.name} (it is not shown): ", stream=sys.stderr)
    except EOFError:
        raise InputError("no key was typed", hint="nothing was stored") from None


def _piped() -> str:
    try:
        text = sys.stdin.read(_MOST_CHARACTERS)
    except UnicodeDecodeError:
        raise InputError("what came on stdin is not text", hint="nothing was stored") from None
    return text.strip("\r\n")


def _remove(name: str, owner: Owner, *, as_json: bool) -> int:
    from gemx import keys

    removed = keys.remove(owner)
    left = [source.label for source in keys.sources(owner) if source.kind == "environment" and source.read()]
    if as_json:
        output.as_json({"name": name, "removed": removed.places, "problem": removed.problem or None, "left": left})
        return 0
    places = " and ".join(removed.places)
    output.result(f"the key for {name} was removed from {places}" if places else f"there was no stored key for {name}")
    if removed.problem:
        output.note(f"the keyring could not be asked: {removed.problem}")
    for label in left:
        output.warning(f"{label} still holds a key")
    return 0


def _place(stored: Stored) -> str:
    return f"{stored.path} (mode 0600)" if stored.path else f"the keyring ({stored.backend})"


def _described(name: str, stored: Stored, winners: list[str]) -> dict[str, Any]:
    return {
        "name": name,
        "stored": "file" if stored.path else "keyring",
        "path": str(stored.path) if stored.path else None,
        "backend": stored.backend or None,
        "problem": stored.problem or None,
        "removed": stored.removed,
        "overridden_by": winners,
    }
