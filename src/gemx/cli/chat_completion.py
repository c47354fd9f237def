"""What Tab offers in a chat: commands, models, templates with their variables, and files. Knows no terminal."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from gemx.cli import completion
from gemx.errors import GemxError

# The last word of a line: a backslash keeps a space in it.
_LAST = re.compile(r"(?:\\.|[^\s\\])*\\?$")
_ESCAPED = re.compile(r"\\(.)")
_SPECIAL = re.compile(r"([\s\\'\"])")


def offered(line: str, commands: Iterator[str] | list[str]) -> tuple[str, list[str]]:
    """The word before the cursor, and what may stand in its place."""
    if not line.startswith("/") or "\n" in line:
        return "", []
    name, space, rest = line.partition(" ")
    if not space:
        return name, [f"/{each}" for each in commands if f"/{each}".startswith(name)]
    match = _LAST.search(rest)
    word = match[0] if match else ""
    return word, sorted(_arguments(name, rest.removesuffix(word).split(), word))


def _arguments(command: str, before: list[str], word: str) -> list[str]:
    if command == "/model" and not before:
        return completion.models(word)
    if command == "/template":
        return _variables(before[0], word) if before else completion.templates(word)
    return list(_paths(word)) if command in ("/file", "/save") else []


def _variables(name: str, word: str) -> list[str]:
    from gemx.templates import INPUT, shelf

    with contextlib.suppress(GemxError):
        names = [each.name for each in shelf.load(name).template.takes if each.name != INPUT]
        return [f"{each}=" for each in names if each.startswith(word)]
    return []


def _paths(word: str) -> Iterator[str]:
    from gemx import places

    typed = _ESCAPED.sub(r"\1", word)
    folder, slash, beginning = typed.rpartition("/")
    root = places.user_path(folder + slash) if slash else Path()
    with contextlib.suppress(OSError):
        for path in root.iterdir():
            if path.name.startswith(beginning) and (beginning or not path.name.startswith(".")):
                yield _SPECIAL.sub(r"\\\1", f"{folder}{slash}{path.name}{'/' if path.is_dir() else ''}")
