"""The keys that tests plant, all of them: after every test none may be anywhere but where it was put.

A test that needs one more adds it here, or the check of `conftest` does not know it.
"""

from __future__ import annotations

from pathlib import Path

GEMINI = "AIza-not-a-real-key-0123456789"
OPENAI = "sk-not-a-real-key-0123456789"
HEADER = "token-in-a-header-0123"
# No service's shape: what hides them is not that they look like keys.
FILED = "filed/not+a=real.key"
COMMANDED = "commanded.not-a-real-key"
KEPT = "kept.in_the.keyring.not-a-real-key"
MISPLACED = "AIza-misplaced-not-a-real-key-42"
ALL = (GEMINI, OPENAI, HEADER, FILED, COMMANDED, KEPT, MISPLACED)


def leaked(content: bytes | str) -> list[str]:
    """The planted keys that are in it."""
    data = content.encode() if isinstance(content, str) else content
    return [key for key in ALL if key.encode() in data]


def leaks_below(*folders: Path, own: set[Path]) -> list[str]:
    """Every file of the folders that holds a planted key, but for the keys' own files."""
    files = {path for folder in folders for path in folder.rglob("*") if path.is_file() and path not in own}
    return [f"{path}: {key}" for path in sorted(files) for key in leaked(path.read_bytes())]
