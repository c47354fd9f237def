"""Backends for `keyring`, chosen by PYTHON_KEYRING_BACKEND: one that keeps keys in a file, and ones that do not work.

They are loaded by the process that gemx asks the keyring in, which finds them by PYTHONPATH. FAKE_KEYRING names the
file; what is asked is written beside it, and the command lines of all processes at that moment.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked, PasswordDeleteError


def command_lines() -> bytes:
    """The arguments of every process that runs now."""
    found: list[bytes] = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().replace(b"\0", b" "))
        except OSError:
            continue
    return b"\n".join(found)


class Kept(KeyringBackend):
    """Keeps what it is given."""

    priority = 1  # pyright: ignore

    def _keys(self, asked: str) -> tuple[Path, dict[str, str]]:
        path = Path(os.environ["FAKE_KEYRING"])
        with path.with_suffix(".log").open("ab") as log:
            log.write(asked.encode() + b"\n")
        with path.with_suffix(".ps").open("ab") as log:
            log.write(command_lines())
        return path, json.loads(path.read_text()) if path.exists() else {}

    def get_password(self, service: str, username: str) -> str | None:
        return self._keys(f"get {service} {username}")[1].get(f"{service}/{username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        path, keys = self._keys(f"set {service} {username}")
        path.write_text(json.dumps({**keys, f"{service}/{username}": password}))

    def delete_password(self, service: str, username: str) -> None:
        path, keys = self._keys(f"delete {service} {username}")
        if keys.pop(f"{service}/{username}", None) is None:
            raise PasswordDeleteError("not there")
        path.write_text(json.dumps(keys))


class Hanging(Kept):
    """A locked keyring that waits for a person; a child of it holds the pipe."""

    def _keys(self, asked: str) -> tuple[Path, dict[str, str]]:
        super()._keys(asked)
        if os.fork() == 0:
            time.sleep(60)
        time.sleep(60)
        raise AssertionError("it should have been ended")


class Broken(Kept):
    """Fails, and quotes what it was given."""

    def get_password(self, service: str, username: str) -> str | None:
        raise KeyringLocked("locked")

    def set_password(self, service: str, username: str, password: str) -> None:
        raise KeyringLocked(f"cannot keep {password}")


class Forgetful(Kept):
    """Takes a key and keeps nothing."""

    def set_password(self, service: str, username: str, password: str) -> None:
        self._keys(f"set {service} {username}")


class Noisy(Kept):
    """Writes to stdout, and then dies."""

    def get_password(self, service: str, username: str) -> str | None:
        print("welcome to the keyring", flush=True)
        os._exit(3)
