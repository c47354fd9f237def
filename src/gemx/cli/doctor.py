"""`gemx doctor`: what works, what does not, and how to mend it, a line a check."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gemx.cli import options, output
from gemx.errors import ConfigError

if TYPE_CHECKING:
    from gemx.diagnosis import Check

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}
_INDENT = 22
_WIDEST = 110


def doctor(
    offline: Annotated[bool, typer.Option("--offline", help="Ask nothing outside this machine.")] = False,
    as_json: options.AsJson = False,
) -> int:
    """Check the installation: software, keys, endpoints, card, models, files, clock and audit, with their mends.

    Calls no model and changes nothing. Exits with 3 where a check failed; warnings are no failure.
    """
    output.begin("doctor", as_json=as_json)
    from gemx import diagnosis

    found: list[Check] = []
    for check in diagnosis.run(offline=offline):
        found.append(check)
        if not as_json:
            _show(check)
    failed = [check for check in found if check.status == "fail"]
    exit_code = ConfigError.exit_code if failed else 0
    if as_json:
        data = {"checks": [vars(check) for check in found]}
        output.as_json(data, exit_code, [_error(check) for check in failed])
    else:
        counts = Counter(check.status for check in found)
        output.result(f"{counts['ok']} ok, {counts['warn']} to look at, {counts['fail']} failed")
    return exit_code


def _show(check: Check) -> None:
    width = min(shutil.get_terminal_size().columns, _WIDEST)
    first, *rest = _lines(check, width)
    if output.is_terminal(sys.stdout):
        from rich.text import Text

        from gemx.sanitize import printable

        status = check.status
        head = Text.assemble((status, _STYLES[status]), printable(first.removeprefix(status)))
        output.styled(Text("\n").join([head, *(Text(printable(line)) for line in rest)]), width)
    else:
        output.result("\n".join([first, *rest]))


def _lines(check: Check, width: int) -> Iterator[str]:
    """The status, the name and what was found; then the mend, each command whole on its line, to be copied."""
    head = f"{check.status:<4}  {check.id:<{_INDENT - 7}} "
    indent = " " * _INDENT
    yield from textwrap.wrap(
        head + check.found,
        width,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
    )
    for line in (check.mend or "").splitlines():
        yield f"{indent}→ {line}"


def _error(check: Check) -> dict[str, Any]:
    return {"code": ConfigError.code, "message": f"{check.id}: {check.found}", "hint": check.mend}
