"""What a shell offers when the tab key is pressed: commands, and names of models, automations, profiles and the like.

Reads the names of files alone: the answer is waited for at every key, and what is in them is not needed for it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, Literal, NoReturn, cast

from gemx.errors import GemxError

_PROVIDERS = ("gemini:", "gguf:", "openai:", "extractive")
_SUFFIXES = (".yaml", ".yml")
# zsh evaluates what it is given, and bash puts it into the line as it is: a name must mean nothing to a shell.
_PLAIN = re.compile(r"[\w:./@%+=,-]+")
# What automations share, and the frames of prompts.
_NOT_OFFERED = {"automations": ("inputs", "rules", "vocabulary"), "templates": ("automacao", "pergunta")}


def answer(root: Any) -> NoReturn:
    """Answer what a shell asks in the environment, and end the process."""
    # Typer would import it to take markup out of our help, which has none.
    sys.modules["rich"] = cast("Any", None)
    left = _join_words() if os.environ["_GEMX_COMPLETE"] == "complete_bash" else ""
    answered = StringIO()
    try:
        with redirect_stdout(answered):
            root.main([], prog_name="gemx")
    finally:
        sys.stdout.writelines(line.removeprefix(left) for line in answered.getvalue().splitlines(keepends=True))
    sys.exit()


def _join_words() -> str:
    """Put together what bash cuts at colons and equals signs: of `gguf:na` it has three words, and replaces `na`.

    Returns the beginning that it leaves as it is and expects in no name, such as `gguf:`.
    """
    words, current = os.environ["COMP_WORDS"].split("\n"), int(os.environ["COMP_CWORD"])
    if current >= len(words):
        # Not from the script for bash, which puts each word on a line.
        return ""
    words = words[: current + 1]
    joined: list[str] = []
    for before, word in zip(["", *words], words, strict=False):
        if joined and (_is_break(word) or (_is_break(before) and word[:1] not in ("", "-"))):
            joined[-1] += word
        else:
            joined.append(word)
    os.environ.update(COMP_WORDS="\n".join(joined), COMP_CWORD=str(len(joined) - 1))
    replaced = "" if _is_break(words[-1]) else words[-1]
    return joined[-1].removesuffix(replaced).rpartition("=")[2]


def _is_break(word: str) -> bool:
    return word != "" and not word.strip(":=")


def models(incomplete: str) -> list[str]:
    """Installed models and endpoints by their whole names, and the beginnings of the others."""
    found = [
        *_PROVIDERS,
        *_of_plugins(),
        *(f"gguf:{name}" for name in _installed()),
        *(f"openai:{name}" for name in _endpoints()),
    ]
    return _beginning(incomplete, found)


def local_models(incomplete: str) -> list[str]:
    """Installed models."""
    return _beginning(incomplete, _installed())


def catalog(incomplete: str) -> list[str]:
    """The models of the catalog, and the installed ones."""
    return _beginning(incomplete, [*_of_catalog(), *_installed()])


def automations(incomplete: str) -> list[str]:
    """Automations of the current folder, of the user and of gemx."""
    return _beginning(incomplete, _named("automations", Path("automations")))


def templates(incomplete: str) -> list[str]:
    """Templates of the current folder, of the user and of gemx."""
    return _beginning(incomplete, _named("templates", Path("templates")))


def flows(incomplete: str) -> list[str]:
    """Flows of the current folder, of the user and of gemx."""
    return _beginning(incomplete, _named("flows", Path("flows")))


def profiles(incomplete: str) -> list[str]:
    """Profiles of the user and of gemx; the current folder has none."""
    return _beginning(incomplete, _named("profiles"))


def bases(incomplete: str) -> list[str]:
    """Knowledge bases."""
    from gemx import places

    try:
        return _beginning(incomplete, [path.stem for path in places.kb_dir().glob("*.db")])
    except GemxError:
        return []


def flow_runs(incomplete: str) -> list[str]:
    """Runs of flows that have a ledger."""
    from gemx import places

    try:
        return _beginning(incomplete, [path.stem for path in places.ledgers_dir().glob("*.db")])
    except GemxError:
        return []


def owners(incomplete: str) -> list[str]:
    """Whose key can be set."""
    return _beginning(incomplete, ["gemini", "huggingface", *_endpoints()])


def _named(kind: Literal["automations", "templates", "flows", "profiles"], *nearer: Path) -> Iterator[str]:
    for folder in (*nearer, *_folders(kind)):
        for path in folder.glob("*"):
            if path.suffix in _SUFFIXES and path.stem not in _NOT_OFFERED.get(kind, ()):
                yield path.stem


def _folders(kind: str) -> list[Path]:
    from gemx import places

    try:
        return [places.config_dir() / kind, places.shipped(kind)]
    except GemxError:
        return [places.shipped(kind)]


def _of_plugins() -> list[str]:
    from gemx import plugins

    try:
        return [f"{offer.name}:" for offer in plugins.offers("provider")]
    except GemxError:
        return []


def _installed() -> list[str]:
    from gemx import places

    try:
        return [path.stem for path in places.models_dir().glob("*.gguf") if not path.name.startswith("mmproj")]
    except GemxError:
        return []


def _of_catalog() -> list[str]:
    """The names of the catalog: the keys at the second level, read without the YAML reader, which takes long."""
    import re

    from gemx import places

    text = (places.shipped("models") / "catalog.yaml").read_text(encoding="utf-8")
    return re.findall(r"^  ([a-z0-9][a-z0-9.-]*):$", text, re.MULTILINE)


def _endpoints() -> list[str]:
    import json

    from gemx import places

    try:
        config = json.loads(places.config_file().read_text(encoding="utf-8"))
        return [str(name) for name in config.get("endpoints", {})]
    except (GemxError, OSError, ValueError, AttributeError, TypeError):
        # What is wrong with it is said by the command itself.
        return []


def _beginning(incomplete: str, names: Iterator[str] | list[str]) -> list[str]:
    return sorted({name for name in names if name.startswith(incomplete) and _PLAIN.fullmatch(name)})
