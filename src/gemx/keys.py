"""API keys: found in the environment, the system's keyring, by a command or in a file; stored in the keyring or a file.

config.json says where a key is, and never holds one. A key is returned to the caller and to no one else: it is never
logged, never an argument of a process and never part of a message. Gemini's goes by the name `gemini`, that for
downloads of models by `huggingface`, an endpoint's by the endpoint's name.
"""

from __future__ import annotations

import os
import re
import shlex
import stat
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Literal

from gemx import places, processes, system_keyring
from gemx.errors import AuthenticationError, ConfigError, InputError, StorageError
from gemx.settings import KeySource, Settings

GEMINI = "gemini"
HUGGINGFACE = "huggingface"
_VARIABLES = ("GEMINI_API_KEY", "GOOGLE_API_KEY")
_COMMAND_SECONDS = 30
_MOST_BYTES = 16_384
# What is mounted there belongs to the container, whatever its mode says.
_MOUNTED = ("/run/secrets", "/var/run/secrets")
_STORABLE = re.compile(r"\w[\w.-]{0,99}")
# Keys of Gemini, OpenAI-compatible services and Hugging Face, where someone put one where a path or a name belongs.
_SHAPES = re.compile(r"\bAIza[\w-]{16,}|\bAQ\.[\w-]{20,}|\bsk-(?=[\w-]*\d)[\w-]{16,}|\bhf_[A-Za-z0-9]{20,}")
_LONG = 8

_given: set[str] = set()


@dataclass(frozen=True)
class Source:
    """One place where a key may be; `label` is what a person calls it."""

    kind: Literal["environment", "keyring", "command", "file"]
    label: str
    ask: Callable[[], str]

    def read(self) -> str:
        """The key, or "" where there is none. Raises ConfigError where it cannot tell."""
        key = self.ask()
        return _remembered(key) if key else ""


@dataclass(frozen=True)
class Owner:
    """Whose key it is, Gemini's or an endpoint's; `where` is its place in config.json.

    `stored` is the name that its key is stored under, None where it cannot have a stored one.
    """

    name: str
    where: str
    configured: KeySource | None
    stored: str | None
    variables: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stored:
    """Where a key was put: in `path`, or in the keyring where that is None. `problem` is why the keyring was not used.

    `removed` names the places that an older key of that name was taken from.
    """

    path: Path | None
    backend: str = ""
    problem: str = ""
    removed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Removed:
    """The places that a stored key was taken from; `problem` is why the keyring could not be asked."""

    places: tuple[str, ...]
    problem: str


def of_gemini(settings: Settings) -> Owner:
    """Gemini as the owner of a key."""
    return Owner("Gemini", "keys.gemini", settings.config.keys.get(GEMINI), GEMINI, _VARIABLES)


def of_hub(settings: Settings) -> Owner:
    """The endpoint that models are downloaded from as the owner of a key."""
    configured = settings.config.keys.get(HUGGINGFACE)
    return Owner("Hugging Face", f"keys.{HUGGINGFACE}", configured, HUGGINGFACE, ("HF_TOKEN",))


def of_endpoint(name: str, settings: Settings) -> Owner:
    """An endpoint as the owner of a key; one with a name of those above cannot have a stored one: that is theirs."""
    endpoint = settings.config.endpoints.get(name)
    stored = name if _STORABLE.fullmatch(name) and name not in (GEMINI, HUGGINGFACE) else None
    return Owner(name, f"endpoints.{name}.api_key", endpoint.api_key if endpoint else None, stored)


def gemini(settings: Settings) -> str | None:
    """The key for Gemini, or None where there is none. Raises ConfigError where the configured source fails."""
    return find(of_gemini(settings))


def require_gemini(settings: Settings) -> str:
    """The key for Gemini. Raises AuthenticationError where there is none."""
    key = gemini(settings)
    if key is None:
        hint = "set GEMINI_API_KEY, or run gemx config set-key gemini; `-m extractive` needs no key"
        raise AuthenticationError("there is no key for Gemini", hint=hint)
    return key


def endpoint(name: str, settings: Settings) -> str | None:
    """The key for an endpoint, or None where there is none. Raises ConfigError where the configured source fails."""
    return find(of_endpoint(name, settings))


def find(owner: Owner) -> str | None:
    """The key of an owner, or None. Raises ConfigError where config.json names a source for it, and there is none."""
    for source in sources(owner):
        if key := source.read():
            return key
    if owner.configured is not None:
        hint = "give env, command or file a source that has one"
        raise ConfigError(f"{owner.where}: no key was found there", hint=hint)
    return None


def sources(owner: Owner) -> list[Source]:
    """Where the key of an owner is looked for, in this order: the first source that has one wins."""
    configured = owner.configured or KeySource()
    variables = [*owner.variables, *([configured.env] if configured.env else [])]
    found = [Source("environment", variable, partial(_variable, variable)) for variable in variables]
    if stored := owner.stored:
        found.append(Source("keyring", "the keyring", partial(_from_keyring, stored)))
    if configured.command:
        label = f"{owner.where}.command"
        found.append(Source("command", label, partial(_from_command, tuple(configured.command), label)))
    if configured.file:
        path = places.user_path(configured.file)
        found.append(Source("file", str(path), partial(_from_file, path, owner.where, required=True)))
    elif stored:
        path = file_of(stored)
        found.append(Source("file", str(path), partial(_from_file, path, owner.where, required=False)))
    return found


def file_of(stored: str) -> Path:
    """The file of a stored key, where it is not in the keyring."""
    return places.config_dir() / "keys" / stored


def store(owner: Owner, key: str, *, in_file: bool = False) -> Stored:
    """Store a key in the keyring, or in its file where there is no keyring or `in_file` says so.

    An owner has one stored key: an older one in the other place is removed. Raises InputError on what cannot be a key,
    ConfigError on an owner that can have none, and StorageError.
    """
    if problem := form_problem(key):
        raise InputError(problem, hint="nothing was stored; give the key alone")
    name, path = _stored_name(owner), file_of(_stored_name(owner))
    _remembered(key)
    answer = system_keyring.Answer() if in_file else system_keyring.put(name, key)
    if answer.done:
        return Stored(None, answer.backend, removed=_removed(path))
    _write(path, key)
    older = system_keyring.remove(name)
    problem = answer.problem or ("" if in_file else f"{answer.backend} does not keep what it is given")
    return Stored(path, problem=problem, removed=("the keyring",) if older.done else ())


def remove(owner: Owner) -> Removed:
    """Remove a stored key from the keyring and from its file. Raises ConfigError and StorageError."""
    name = _stored_name(owner)
    answer = system_keyring.remove(name)
    in_keyring = ("the keyring",) if answer.done else ()
    return Removed((*in_keyring, *_removed(file_of(name))), answer.problem)


def winning_over(owner: Owner, stored: Stored, key: str) -> list[str]:
    """The sources that are asked before a stored key, and hold another one; a command is named without being run."""
    found: list[str] = []
    for source in sources(owner):
        if (source.kind == "keyring" and stored.path is None) or source.label == str(stored.path):
            break
        if source.kind in ("command", "file") or source.read() not in ("", key):
            found.append(source.label)
    return found


def form_problem(key: str) -> str:
    """Why this can be no key, or ""."""
    if not key:
        return "the key is empty"
    if not key.isascii() or not key.isprintable() or " " in key:
        return "the key holds white space or characters that no key has"
    return ""


def redact(text: str) -> str:
    """The text without any key that this process has handed out, and without what looks like one.

    The last guard before something is printed.
    """
    for key in sorted(_given, key=len, reverse=True):
        # A short one, such as `none`, is a word of many sentences.
        pattern = re.escape(key) if len(key) >= _LONG else rf"(?<!\w){re.escape(key)}(?!\w)"
        text = re.sub(pattern, "[key]", text)
    return _SHAPES.sub("[key]", text)


def from_variable(variable: str) -> str | None:
    """The key in an environment variable, or None."""
    key = _variable(variable)
    return _remembered(key) if key else None


def forget() -> None:
    """Ask every source again from now on, as a new process would."""
    _given.clear()
    _from_command.cache_clear()
    system_keyring.forget()


def _remembered(key: str) -> str:
    _given.add(key)
    return key


def _variable(variable: str) -> str:
    return os.environ.get(variable, "").strip()


def _from_keyring(stored: str) -> str:
    return system_keyring.get(stored).key.strip()


def _from_file(path: Path, where: str, *, required: bool) -> str:
    try:
        # Not to wait for whoever should write into a pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            mode = os.fstat(descriptor).st_mode
            # A mode too wide is told even of a file that the user need not have named.
            _check_mode(path, where, mode)
            return file.read(_MOST_BYTES).decode("utf-8").strip()
    except FileNotFoundError:
        if not required:
            return ""
        raise ConfigError(f"{where}: there is no file {path}") from None
    except UnicodeDecodeError:
        # Without its cause: that one holds what was read.
        raise ConfigError(f"{where}: cannot read the key's file {path}: it is not text") from None
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or "no file has such a name"
        raise ConfigError(f"{where}: cannot read the key's file {path}: {reason}") from None


def _check_mode(path: Path, where: str, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise ConfigError(f"{where}: cannot read the key's file {path}: it is not a file")
    if mode & 0o077 and not any(path.resolve().is_relative_to(folder) for folder in _MOUNTED):
        said = f"{where}: others can read the key's file {path} (mode {stat.S_IMODE(mode):04o})"
        raise ConfigError(said, hint=f"chmod 600 {shlex.quote(str(path))}")


@cache
def _from_command(command: tuple[str, ...], where: str) -> str:
    try:
        return processes.output_of(command, _COMMAND_SECONDS).decode("utf-8").strip()
    except processes.FailedError as exc:
        # The output and the arguments may hold the key: only the command's name is told.
        raise ConfigError(f"{where}: the command {command[0]!r} gave no key: {exc}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{where}: the command {command[0]!r} gave no key: not text") from None


def _stored_name(owner: Owner) -> str:
    if owner.stored is None:
        hint = "give the endpoint a name of letters, digits, `_`, `-` and `.`, other than gemini and huggingface"
        raise ConfigError(f"no key can be stored for the endpoint {owner.name!r}", hint=hint)
    return owner.stored


def _removed(path: Path) -> tuple[str, ...]:
    # A command that was killed while it stored the key may have left it in a draft.
    places.sweep(path.parent, 0)
    try:
        path.unlink()
    except FileNotFoundError:
        return ()
    except OSError as exc:
        raise StorageError(f"cannot remove {path}: {exc.strerror}") from exc
    return (str(path),)


def _write(path: Path, key: str) -> None:
    folder = places.ensure_private_dir(path.parent)
    try:
        folder.chmod(places.DIRECTORY_MODE)
    except OSError as exc:
        raise StorageError(f"cannot write {path}: {exc.strerror}") from exc
    places.write_private(path, f"{key}\n".encode("ascii"))
