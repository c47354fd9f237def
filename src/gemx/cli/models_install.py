"""`gemx models install` and `add`: from the catalog, a repository, an address, or a file of this machine."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gemx.cli import completion, models_text, options, output
from gemx.errors import NotFoundError, StoppedError, UsageError

if TYPE_CHECKING:
    from gemx.models.hub import Hub
    from gemx.models.installing import Outcome
    from gemx.models.sources import Wanted

_SECONDS = 0.5

Name = Annotated[str | None, typer.Option("--name", metavar="NAME", help="What to call it here.")]
Hash = Annotated[
    str | None, typer.Option("--sha256", metavar="HEX", help="What the file must hold; an address needs it.")
]


def install(
    what: Annotated[
        str,
        typer.Argument(
            metavar="NAME[:QUANT]|OWNER/REPO[:FILE|QUANT]|URL|FILE",
            help="A model of the catalog, a repository of the endpoint, an address, or a file to copy.",
            autocompletion=completion.catalog,
        ),
    ],
    name: Name = None,
    sha256: Hash = None,
    accept_license: Annotated[
        bool, typer.Option("--accept-license", help="You have read the model's licence, and accept it.")
    ] = False,
    no_projector: Annotated[
        bool, typer.Option("--no-projector", help="Leave out the file that images need, where there is one.")
    ] = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Bring a model here. Run again after whatever stopped it, it goes on; its SHA-256 is checked before it is used."""
    output.begin("models install", as_json=as_json, quiet=quiet)
    if _is_file(what):
        outcome = _copied(what, name, sha256)
    else:
        outcome = _downloaded(*_wanted(what, name, sha256, projector=not no_projector), accepted=accept_license)
    _tell(outcome, as_json=as_json)


def add(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A GGUF file, used where it lies.")],
    name: Name = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Register a GGUF file where it lies, by what it says of itself. Its hash is taken, and it is held to it."""
    output.begin("models add", as_json=as_json, quiet=quiet)
    from gemx.models import installing, sources

    tell = Progress("hashing")
    path = _path(str(path))
    try:
        outcome = installing.add(path, sources.checked_name(name or path.stem), tell, tell.waiting)
    finally:
        output.progress_ended()
    _tell(outcome, as_json=as_json)


def hub() -> Hub:
    """The endpoint, as far as the network is allowed to reach. Raises ConfigError, InputError."""
    from gemx import gateway, settings
    from gemx.models.connection import Network
    from gemx.models.hub import Hub

    resolved = settings.load()
    site = [endpoint.base_url for endpoint in resolved.config.endpoints.values() if endpoint.site]
    return Hub(resolved, Network(gateway.network_of(resolved), site))


class Progress:
    """What is under way, told twice a second: on a terminal a line that changes, elsewhere one line."""

    def __init__(self, verb: str) -> None:
        self._verb = verb
        self._due = 0.0
        self._first: tuple[float, int] | None = None

    def __call__(self, what: str, done: int, total: int | None) -> None:
        """Tell how far it is."""
        now = time.monotonic()
        self._first = self._first or (now, done)
        if now < self._due and done != total:
            return
        self._due = now + _SECONDS
        since, before = self._first
        rate = (done - before) / (now - since) if now - since > _SECONDS else 0.0
        of = f" of {models_text.size(total)}" if total else ""
        speed = f", {models_text.size(int(rate))}/s" if rate else ""
        left = f", {_clock((total - done) / rate)} left" if total and rate and output.is_terminal(sys.stderr) else ""
        output.progress(f"{self._verb} {what}: {models_text.size(done)}{of}{speed}{left}")

    def waiting(self) -> None:
        """Tell that another process is at it."""
        now = time.monotonic()
        if now >= self._due:
            self._due = now + _SECONDS
            output.progress("another gemx is at this model: waiting for it")


def _copied(what: str, name: str | None, sha256: str | None) -> Outcome:
    from gemx.models import installing, sources

    path, digest = _path(what), sha256 and sources.checked_hash(sha256)
    tell = Progress("copying")
    try:
        return installing.copy(path, sources.checked_name(name or path.stem), digest, tell, tell.waiting)
    finally:
        output.progress_ended()


def _downloaded(wanted: Wanted, hub: Hub, *, accepted: bool) -> Outcome:
    from gemx.models import installing

    if wanted.licence.name:
        output.note(f"licence: {wanted.licence.name}{_at(wanted.licence.page)}")
    tell = Progress("downloading")
    try:
        return installing.install(wanted, hub.network, accepted=accepted, on_progress=tell, on_wait=tell.waiting)
    except (KeyboardInterrupt, StoppedError):
        output.progress_ended()
        output.note("what has come so far stays: the same command goes on from there")
        raise
    finally:
        output.progress_ended()


def _wanted(what: str, name: str | None, sha256: str | None, *, projector: bool) -> tuple[Wanted, Hub]:
    from gemx.models import sources

    reach = hub()
    if sources.is_address(what):
        return sources.of_address(what, sha256, name), reach
    if sha256 is not None:
        raise UsageError("--sha256 goes with an address or a file", hint="the endpoint says what its files hold")
    if sources.is_repository(what):
        return sources.of_repository(what, reach, name, projector=projector), reach
    return sources.of_catalog(what, reach, name, projector=projector), reach


def _is_file(what: str) -> bool:
    """Whether this is a path: as it is written, or because a GGUF file of that name is there."""
    written = what.startswith(("./", "../", "/", "~"))
    return "://" not in what and (written or (what.endswith(".gguf") and ":" not in what))


def _path(what: str) -> Path:
    from gemx import places

    path = places.user_path(what)
    if not places.is_file(path):
        raise NotFoundError(f"there is no file {path}")
    return path


def _at(page: str | None) -> str:
    return f" ({page})" if page else ""


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _tell(outcome: Outcome, *, as_json: bool) -> None:
    entry = outcome.entry
    if as_json:
        output.as_json({**models_text.details(entry.name), "fresh": outcome.fresh})
        return
    output.result(f"{entry.name}: {'installed' if outcome.fresh else 'is installed already'}")
    header = entry.header or {}
    if not header.get("has_chat_template") and not header.get("embeds"):
        output.note("it has no chat template: it may not be made for questions")
    output.note(f"gemx gen -m gguf:{entry.name} … asks it; gemx models use {entry.name} makes it the default")
