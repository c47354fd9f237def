"""Wait for a file's lock, but not for ever: who holds it may hang. Knows nothing of what the lock is for."""

from __future__ import annotations

import fcntl
import time
from pathlib import Path

from gemx.errors import StorageError

SECONDS = 10.0


def wait_for(descriptor: int, path: Path, holder: str = "another process") -> None:
    """Take the lock of an open file as soon as `holder` lets it go; `path` is for the message. Raises StorageError."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            if time.monotonic() > deadline:
                raise StorageError(f"{path} is held by {holder}", hint="end the process that holds it") from exc
            time.sleep(0.005)
        except OSError as exc:
            raise StorageError(f"cannot lock {path}: {exc.strerror}", hint="set GEMX_HOME elsewhere") from exc
        else:
            return
