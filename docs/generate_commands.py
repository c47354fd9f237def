"""Write docs/commands.md, the reference of every command, from the Typer tree; `--check` only says whether it is stale.

The text comes from the tree, not from printed help, so that no terminal's width is in it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from gemx.cli import tree
from gemx.cli.app import app

PATH = Path(__file__).with_name("commands.md")
BAR = "\\|"
PREFACE = """# Commands

Written by `docs/generate_commands.py` from the code; `make check` refuses it when it is stale.

The result of a command goes to stdout, everything else to stderr. Every command also takes `-h` or `--help`.
"""


def walk(command: Any, path: str = "gemx") -> Iterator[tuple[str, Any]]:
    """Every command of the tree with its full name, groups included, in the order of the help."""
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from walk(inner, f"{path} {name}")


def reference() -> str:
    """The whole page."""
    sections = (section(path, command) for path, command in walk(tree.whole(app)) if not command.hidden)
    return "\n".join([PREFACE, *sections]).rstrip("\n") + "\n"


def section(path: str, command: Any) -> str:
    """The heading, the usage, the help, and the tables of one command."""
    arguments = [item for item in command.params if item.param_type_name == "argument"]
    options = [item for item in command.params if item.param_type_name == "option" and not item.hidden]
    parts = [f"## {path}", f"```text\n{usage(path, command, arguments, options)}\n```", paragraphs(command.help)]
    if arguments:
        parts.append(table("Argument", [(item.metavar or item.name.upper(), item) for item in arguments]))
    if options:
        parts.append(table("Option", [(spelling(item), item) for item in options]))
    if inner := getattr(command, "commands", {}):
        parts.append("\n".join(f"- [`{path} {name}`](#{anchor(f'{path} {name}')})" for name in inner))
    return "\n\n".join(part for part in [*parts, paragraphs(command.epilog)] if part) + "\n"


def usage(path: str, command: Any, arguments: list[Any], options: list[Any]) -> str:
    """The line that shows the order of things."""
    names = [item.metavar or item.name.upper() for item in arguments]
    shown = [
        name if item.required or name[0] == "[" else f"[{name}]" for name, item in zip(names, arguments, strict=True)
    ]
    inner = ["COMMAND [ARGS]..."] if getattr(command, "commands", {}) else []
    return " ".join([path, *(["[OPTIONS]"] if options else []), *shown, *inner])


def spelling(option: Any) -> str:
    """The names of an option, and what it takes."""
    return f"{', '.join([*option.opts, *option.secondary_opts])} {taken(option)}".rstrip()


def taken(option: Any) -> str:
    """The placeholder of an option's value, or its choices; nothing for a flag."""
    if option.is_flag or option.metavar:
        return option.metavar or ""
    return "|".join(map(str, get_args(option.type_descriptor.annotation))) or option.name.upper()


def table(title: str, rows: list[tuple[str, Any]]) -> str:
    """A table of arguments or options with their help."""
    # A bar ends a cell even inside a code span.
    lines = [f"| `{name.replace('|', BAR)}` | {described(item).replace('|', BAR)} |" for name, item in rows]
    return "\n".join([f"| {title} | |", "|---|---|", *lines])


def described(item: Any) -> str:
    """The help of a parameter, and its default where it has one to name."""
    text = " ".join((item.help or "").split())
    named = item.default not in (None, False, (), []) and not item.required
    return f"{text} Default: `{item.default}`." if named else text


def paragraphs(text: str | None) -> str:
    """Help as paragraphs, each on one line."""
    return "\n\n".join(" ".join(part.split()) for part in (text or "").split("\n\n"))


def anchor(heading: str) -> str:
    """The link to a heading."""
    return heading.replace(" ", "-")


def main() -> int:
    """Write the page; with --check, 1 where it is not what would be written."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where the page is stale")
    wanted = reference()
    if not parser.parse_args().check:
        PATH.write_text(wanted, encoding="utf-8")
        return 0
    if PATH.exists() and PATH.read_text(encoding="utf-8") == wanted:
        return 0
    print(f"{PATH.name} is stale: run python docs/{Path(__file__).name}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
