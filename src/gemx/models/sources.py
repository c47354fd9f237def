"""What a person names to install, as the files to bring here: a catalog's name, a repository or an address.

Knows which file of a repository a quantisation means, and which licences must be accepted. Writes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from gemx.errors import InputError, ModelNotFoundError, UnsupportedError, UsageError
from gemx.models import catalog, connection
from gemx.models.download import Remote
from gemx.models.hub import REPOSITORY, File, Hub, Repository
from gemx.models.store import PROJECTOR, SUFFIX

SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9][\w.+-]{0,99}")
_SPLIT = re.compile(r"-\d{5}-of-\d{5}\.gguf$")
_FIRST = ("Q4_K_M", "Q4", "Q4_0", "Q5_K_M", "Q8_0")
_FIRST_PROJECTOR = ("F16", "BF16", "F32", "Q8_0")
# These ask for no more than that they are kept; any other is shown, and accepted.
_OPEN = frozenset({"apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "unlicense"})


@dataclass(frozen=True)
class Licence:
    """The licence of a model, as its source names it; None where it names none. `page` is where it can be read."""

    name: str | None
    page: str | None
    must_be_accepted: bool


@dataclass(frozen=True)
class Wanted:
    """A model to install: the name that it gets, its file, and that of its projector where there is one."""

    name: str
    source: str
    licence: Licence
    model: Remote
    projector: Remote | None = None


def is_address(what: str) -> bool:
    """Whether this names a place in the web."""
    return "://" in what


def is_repository(what: str) -> bool:
    """Whether this is OWNER/REPOSITORY, with or without a file or quantisation behind a colon."""
    return bool(REPOSITORY.fullmatch(what.partition(":")[0]))


def of_catalog(what: str, hub: Hub, name: str | None, *, projector: bool = True) -> Wanted:
    """NAME or NAME:QUANT of the catalog. Raises NotFoundError, and what `hub` raises."""
    known, _, choice = what.partition(":")
    item = catalog.find(known)
    choice = choice or item.quantizations[0]
    licence = Licence(item.license, item.license_url, item.accept)
    own = known if choice == item.quantizations[0] else f"{known}-{choice.lower()}"
    return _of_repository(hub, item.repository, choice, checked_name(name or own), licence, projector=projector)


def of_repository(what: str, hub: Hub, name: str | None, *, projector: bool = True) -> Wanted:
    """OWNER/REPOSITORY, OWNER/REPOSITORY:QUANT or OWNER/REPOSITORY:FILE. Raises what `hub` raises."""
    repository, _, choice = what.partition(":")
    return _of_repository(hub, repository, choice, name and checked_name(name), None, projector=projector)


def of_address(url: str, sha256: str | None, name: str | None) -> Wanted:
    """A file at an address; nobody but the user says what it must hold. Raises UsageError, InputError."""
    if sha256 is None:
        hint = "the publisher's page has it; without it nothing tells the right file from a wrong one"
        raise UsageError("an address needs --sha256", hint=hint)
    path = PurePosixPath(connection.checked(url).path)
    # The rest may be a secret.
    source = str(connection.checked(url).copy_with(query=None, fragment=None))
    remote = Remote(url, path.name or source, checked_hash(sha256))
    own = checked_name(name or path.name.removesuffix(SUFFIX))
    return Wanted(own, source, Licence(None, None, False), remote)


def checked_name(name: str) -> str:
    """A name that a model can have. Raises UsageError."""
    if not _NAME.fullmatch(name) or name.startswith(PROJECTOR) or name.endswith(SUFFIX):
        hint = "letters, digits, `.`, `_`, `+` and `-`, 100 at most: --name NAME"
        raise UsageError(f"{name!r} can be no model's name", hint=hint)
    return name


def checked_hash(text: str) -> str:
    """A SHA-256 as hexadecimal digits in lower case. Raises UsageError."""
    found = text.strip().lower()
    if not SHA256.fullmatch(found):
        raise UsageError("--sha256 takes 64 hexadecimal digits")
    return found


def _of_repository(
    hub: Hub, name: str, choice: str, own: str | None, licence: Licence | None, *, projector: bool
) -> Wanted:
    repository = hub.repository(name)
    models, projectors = _split_up(repository.files)
    chosen = _chosen(repository, models, choice)
    beside = _first(projectors, _FIRST_PROJECTOR) if projector else None
    return Wanted(
        name=own or checked_name(PurePosixPath(chosen.path).name.removesuffix(SUFFIX)),
        source=f"{hub.endpoint}/{name}/{chosen.path}",
        licence=licence or _licence(repository, hub),
        model=_remote(hub, repository, chosen),
        projector=_remote(hub, repository, beside) if beside else None,
    )


def _split_up(files: Sequence[File]) -> tuple[list[File], list[File]]:
    """The models and the projectors among files."""
    found = [file for file in files if file.path.lower().endswith(SUFFIX) and file.path.isprintable()]
    projectors = [file for file in found if PROJECTOR in PurePosixPath(file.path).name.lower()]
    return [file for file in found if file not in projectors], projectors


def _chosen(repository: Repository, models: Sequence[File], choice: str) -> File:
    if not models:
        raise ModelNotFoundError(f"{repository.name} has no GGUF file", hint="look for one of its name with -GGUF")
    fitting = [file for file in models if _fits(file, choice)] if choice else models
    if not fitting:
        said = f"{repository.name} has no {choice!r}"
        raise ModelNotFoundError(said, hint=f"it has: {_listed(models)}")
    whole = [file for file in fitting if not _SPLIT.search(file.path)]
    if not whole:
        said = f"{choice or 'this model'} lies in several files in {repository.name}, which gemx does not install"
        raise UnsupportedError(said, hint="choose another quantisation, or join them with llama-gguf-split")
    found = _first(whole, _FIRST)
    if found is None or (choice and len(whole) > 1):
        raise UsageError(f"{repository.name} has several: name one", hint=f"as {repository.name}:{whole[0].path}")
    return found


def _fits(file: File, choice: str) -> bool:
    path = PurePosixPath(file.path)
    if choice in (file.path, path.name):
        return True
    stem = _SPLIT.sub("", path.name).removesuffix(SUFFIX)
    return bool(re.search(rf"(^|[-._]){re.escape(choice)}$", stem, re.IGNORECASE))


def _first(files: Sequence[File], order: Sequence[str]) -> File | None:
    """The file of the first quantisation that there is; the only one, where there is only one."""
    if len(files) == 1:
        return files[0]
    return next((file for choice in order for file in files if _fits(file, choice)), None)


def _listed(files: Sequence[File]) -> str:
    return ", ".join(sorted({PurePosixPath(file.path).name for file in files})[:30])


def _licence(repository: Repository, hub: Hub) -> Licence:
    # What a re-upload says of itself does not undo what the catalog knows of it.
    own = repository.name.casefold()
    for item in catalog.load().models.values():
        if item.accept and item.repository.casefold() == own:
            return Licence(item.license, item.license_url, True)
    name = repository.license
    return Licence(name, hub.page(repository.name), repository.gated or name not in _OPEN)


def _remote(hub: Hub, repository: Repository, file: File) -> Remote:
    digest = file.sha256 or hub.sha256(repository, file.path)
    if not digest:
        hint = "download it by other means, and install the file: gemx models install ./FILE.gguf"
        raise InputError(f"the endpoint publishes no SHA-256 of {repository.name}/{file.path}", hint=hint)
    return Remote(
        url=hub.address(repository, file.path),
        what=f"{repository.name}/{file.path}",
        sha256=digest,
        size=file.size or None,
        commit=repository.commit,
        page=hub.page(repository.name),
        token=hub.token,
    )
