"""The system's keyring, asked in a process of its own that is ended when its time is up.

A locked keyring waits for a person, and a broken one for ever; no command may wait with it. A key goes to the process
and comes back by pipes, and is in no argument. Knows nothing of where else keys are kept.

The process is `python -m gemx.system_keyring get|set|remove NAME`; it prints one JSON object.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from dataclasses import dataclass
from typing import Any

from gemx import processes

SECONDS = 5.0
NO_SERVICE = "no keyring service is running"
_SERVICE = "gemx"


@dataclass(frozen=True)
class Answer:
    """What the keyring said: the `backend` that it has, a `problem` where it cannot be used, and what was asked.

    `key` is "" where there is none; `done` says that a key was kept, or that there was one to remove.
    """

    backend: str = ""
    problem: str = ""
    key: str = ""
    done: bool = False

    def __repr__(self) -> str:
        return f"Answer(backend={self.backend!r}, problem={self.problem!r}, done={self.done})"


_known: dict[str, Answer] = {}
_silent: list[str] = []


def get(name: str) -> Answer:
    """The key of that name; asked once a process."""
    if name not in _known:
        _known[name] = _ask("get", name)
    return _known[name]


def put(name: str, key: str) -> Answer:
    """Keep a key; it is read back, for a keyring may take one and forget it."""
    _known.pop(name, None)
    return _ask("set", name, key)


def remove(name: str) -> Answer:
    """Forget the key of that name."""
    _known.pop(name, None)
    return _ask("remove", name)


def forget() -> None:
    """Ask again from now on, as a new process would."""
    _known.clear()
    _silent.clear()


def why_none() -> str:
    """Why there can be no keyring here, or "": to start a process only to learn that takes a fifth of a second."""
    if importlib.util.find_spec("keyring") is None:
        return "the Python package keyring is not installed"
    chosen = os.environ.get("PYTHON_KEYRING_BACKEND")
    if sys.platform == "linux" and not (chosen or os.environ.get("DBUS_SESSION_BUS_ADDRESS")):
        return "there is no D-Bus session, which a keyring on Linux needs"
    return ""


def _ask(operation: str, name: str, key: str = "") -> Answer:
    if problem := why_none() or "".join(_silent):
        # What hung once is not waited for again.
        return Answer(problem=problem)
    # -P: nothing is imported from the current folder.
    command = [sys.executable, "-P", "-m", __name__, operation, name]
    try:
        said = json.loads(processes.output_of(command, SECONDS, key.encode()).splitlines()[-1])
        return Answer(**said)
    except processes.FailedError as exc:
        _silent[:] = [str(exc)]
        return Answer(problem=str(exc))
    except (ValueError, IndexError, TypeError):
        return Answer(problem="it gave no answer that makes sense")


def _serve(operation: str, name: str) -> dict[str, Any]:
    import keyring.errors

    backend = keyring.get_keyring().name
    try:
        if operation == "get":
            return {"backend": backend, "key": keyring.get_password(_SERVICE, name) or ""}
        if operation == "set":
            key = sys.stdin.read()
            keyring.set_password(_SERVICE, name, key)
            return {"backend": backend, "done": keyring.get_password(_SERVICE, name) == key}
        found = keyring.get_password(_SERVICE, name) is not None
        if found:
            keyring.delete_password(_SERVICE, name)
        return {"backend": backend, "done": found}
    except keyring.errors.NoKeyringError:
        return {"problem": NO_SERVICE}
    except Exception as exc:
        # The kind of the error alone: what a backend says may quote what it was given.
        return {"backend": backend, "problem": f"{type(exc).__name__} in {backend}"}


if __name__ == "__main__":
    print(json.dumps(_serve(*sys.argv[1:])))
