"""Install, add and remove models: whole or not at all, by one process at a time for each, and written down.

Knows files, locks and the store; what is wanted from where is for `sources`.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from gemx import places
from gemx.errors import InputError, ModelNotFoundError, StorageError, UnsupportedError, UsageError
from gemx.models import download, gguf, integrity, registry, store
from gemx.models.connection import Network
from gemx.models.download import Remote
from gemx.models.gguf import Kind
from gemx.models.sources import Wanted
from gemx.models.store import PROJECTOR, Entry

# What is being brought here, the bytes that are there, and all of them where that is known.
OnProgress = Callable[[str, int, int | None], None]

_WAIT_SECONDS = 0.2
_PIECE = 1 << 22


@dataclass(frozen=True)
class Outcome:
    """What became of a model; `fresh` is False where it was there already."""

    entry: Entry
    fresh: bool


def install(
    wanted: Wanted, network: Network, *, accepted: bool, on_progress: OnProgress, on_wait: Callable[[], None]
) -> Outcome:
    """Bring a model here, and its projector where it has one. Raises UsageError where its licence is not accepted."""
    licence = wanted.licence
    if licence.must_be_accepted and not accepted:
        page = f", to be read at {licence.page}" if licence.page else ""
        said = f"{wanted.name} has the licence {licence.name or 'of its publisher'}{page}"
        raise UsageError(said, hint="add --accept-license if you accept it")
    when = store.now() if licence.must_be_accepted else None
    blank = Entry(wanted.name, "downloading", "", None, wanted.source, license=licence.name, accepted=when)
    with locked(wanted.name, on_wait):
        outcome = _brought(blank, wanted.model, "model", network, on_progress)
        if wanted.projector is not None:
            beside = replace(blank, name=f"{PROJECTOR}-{wanted.name}", part_of=wanted.name)
            _brought(beside, wanted.projector, "projector", network, on_progress)
    return outcome


def copy(path: Path, name: str, sha256: str | None, on_progress: OnProgress, on_wait: Callable[[], None]) -> Outcome:
    """Install a file of this machine: a copy of it, which is gemx's own. Raises InputError, StorageError."""
    header = _header(path, "model")
    with locked(name, on_wait):
        _refuse_taken(name)
        target = store.file_of(name)
        draft = target.with_name(f".gemx-{name}")
        try:
            digest = _copied(path, draft, lambda done, total: on_progress(path.name, done, total))
            if sha256 not in (None, digest):
                raise InputError(f"{path} has the SHA-256 {digest}, where {sha256} was given")
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
        entry = Entry(name, "installed", digest, target.stat().st_size, str(path.absolute()))
        return Outcome(_written(entry, header), fresh=True)


def add(path: Path, name: str, on_progress: OnProgress, on_wait: Callable[[], None]) -> Outcome:
    """Register a file where it lies: the models folder gets a link to it. Raises InputError, StorageError."""
    header = _header(path, "model")
    source = path.resolve()
    with locked(name, on_wait):
        if (known := store.get(name)) and known.linked == str(source) and known.state == "installed":
            return Outcome(known, fresh=False)
        _refuse_taken(name)
        target = store.file_of(name)
        if source == target.parent.resolve() / target.name:
            # A link would take the place of the file that it leads to.
            raise UsageError(f"{path} is the file of {name} itself", hint=f"gemx models remove {name}, or --name OTHER")
        stamp = integrity.stamp_of(source)
        digest = integrity.sha256_of(source, lambda done, total: on_progress(path.name, done, total))
        target.unlink(missing_ok=True)
        target.symlink_to(source)
        size = source.stat().st_size
        entry = Entry(name, "installed", digest, size, str(source), stamp=stamp, linked=str(source))
        return Outcome(_written(entry, header), fresh=True)


def record(name: str) -> Entry:
    """Write down what a file that was put here by hand holds: it is held to it from now on. Raises InputError."""
    path = store.file_of(name)
    if not name.isprintable():
        raise InputError("its name cannot be written down", hint="rename it")
    header, stamp = gguf.read(path), integrity.stamp_of(path)
    return _written(Entry(name, "installed", integrity.sha256_of(path), None, str(path), stamp=stamp), header)


def remove(name: str) -> list[str]:
    """Remove a model: its file, what has come of it, its projector, and what is known of it; an added file stays.

    Returns the files that are gone. Raises ModelNotFoundError, StorageError.
    """
    parts = [each.name for each in store.entries() if each.part_of == name]
    if not (store.get(name) or name in registry.files()):
        raise ModelNotFoundError(f"no installed model {name!r}", hint="gemx models list names them")
    gone: list[str] = []
    with locked(name, _refuse_to_wait(name)):
        for each in (name, *parts):
            target = store.file_of(each)
            try:
                download.discard(target)
                if target.is_symlink() or target.exists():
                    target.unlink()
                    gone.append(str(target))
            except OSError as exc:
                raise StorageError(f"cannot remove {target}: {exc.strerror}") from exc
            store.forget(each)
    return gone


@contextmanager
def locked(name: str, on_wait: Callable[[], None]) -> Generator[None]:
    """Hold the name of a model against every other gemx; waits for as long as a download takes. Raises StorageError."""
    path = places.ensure_private_dir(places.models_dir()) / f".{name}.lock"
    descriptor = _locked(path, on_wait)
    try:
        yield
    except OSError as exc:
        # One without a file is of what is told meanwhile, not of the models.
        if exc.filename is None:
            raise
        raise StorageError(f"cannot write {exc.filename2 or exc.filename}: {exc.strerror}") from exc
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _locked(path: Path, on_wait: Callable[[], None]) -> int:
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, places.FILE_MODE)
        except OSError as exc:
            raise StorageError(f"cannot write in {path.parent}: {exc.strerror}") from exc
        try:
            while not _is_taken(descriptor):
                on_wait()
                time.sleep(_WAIT_SECONDS)
            # Who held it before has removed the file: another process may hold one of that name by now.
            if places.is_file(path) and os.path.samestat(path.stat(), os.fstat(descriptor)):
                return descriptor
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _is_taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _brought(entry: Entry, remote: Remote, kind: Kind, network: Network, on_progress: OnProgress) -> Outcome:
    """One file, downloaded where it is not there already."""
    entry = replace(entry, sha256=remote.sha256, size=remote.size, revision=remote.commit)
    if known := _already(entry):
        return Outcome(known, fresh=False)
    _refuse_taken(entry.name)
    target = entry.path
    # What is broken must not be taken for a file that was put there by hand, whatever becomes of this.
    target.unlink(missing_ok=True)
    store.put(entry)
    try:
        part = download.fetch(remote, target, network, lambda done, total: on_progress(entry.name, done, total))
        header = _header(part, kind)
    except (InputError, UnsupportedError):
        # Nothing of it is of use: to go on with it would change nothing.
        download.discard(target)
        store.forget(entry.name)
        raise
    part.replace(target)
    return Outcome(_written(replace(entry, state="installed"), header), fresh=True)


def _already(entry: Entry) -> Entry | None:
    """The entry of a file that is there, and holds what is wanted; a file without an entry is hashed for it."""
    if not places.is_file(entry.path):
        return None
    known = store.get(entry.name)
    if known is None:
        stamp = integrity.stamp_of(entry.path)
        if integrity.sha256_of(entry.path) != entry.sha256:
            return None
        return _written(replace(entry, state="installed", stamp=stamp), gguf.read(entry.path))
    if known.sha256 != entry.sha256 or known.state == "broken":
        return None
    try:
        integrity.require(known)
    except StorageError:
        return None
    return store.get(entry.name)


def _refuse_taken(name: str) -> None:
    """Raise where a sound model has the name already; what is broken or not whole is replaced."""
    known = store.get(name)
    if places.is_file(store.file_of(name)) and (known is None or known.state == "installed"):
        hint = f"choose another with --name, or first: gemx models remove {name}"
        raise UsageError(f"another model is installed as {name}", hint=hint)


def _header(path: Path, kind: Kind) -> gguf.Header:
    """What a file says of itself. Raises InputError, and UnsupportedError where it is not of the kind."""
    if not places.is_file(path):
        raise InputError(f"there is no file {path}")
    header = gguf.read(path)
    if header.kind != kind:
        raise UnsupportedError(f"{path.name} is a {header.kind}, and no {kind} by itself")
    if header.split > 1:
        raise UnsupportedError(f"{path.name} is one of {header.split} files", hint="join them with llama-gguf-split")
    return header


def _written(entry: Entry, header: gguf.Header) -> Entry:
    """Write down a file that holds what it should; one that lay here already has the stamp of before it was hashed."""
    whole = replace(
        entry,
        size=entry.path.stat().st_size,
        stamp=entry.stamp or integrity.stamp_of(entry.path),
        license=entry.license or header.license,
        header=asdict(header),
        verified=store.now(),
    )
    store.put(whole)
    # Also what has come of a download that this one takes the place of.
    download.discard(entry.path)
    return whole


def _copied(source: Path, draft: Path, on_progress: Callable[[int, int], None]) -> str:
    """Copy a file, synced, and return its hash. Raises StorageError."""
    digest, done, total = hashlib.sha256(), 0, source.stat().st_size
    download.check_disk(draft.parent, total)
    try:
        with source.open("rb") as reading, draft.open("wb") as writing:
            os.fchmod(writing.fileno(), places.FILE_MODE)
            while piece := reading.read(_PIECE):
                writing.write(piece)
                digest.update(piece)
                done += len(piece)
                on_progress(done, total)
            writing.flush()
            os.fsync(writing.fileno())
    except OSError as exc:
        full = "free some disk space" if exc.errno in (errno.ENOSPC, errno.EDQUOT) else None
        raise StorageError(f"cannot copy {source}: {exc.strerror}", hint=full) from exc
    return digest.hexdigest()


def _refuse_to_wait(name: str) -> Callable[[], None]:
    def refuse() -> None:
        raise StorageError(f"another gemx is installing {name}", hint="end it first, or wait for it")

    return refuse
