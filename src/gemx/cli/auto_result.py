"""What `auto run` and `auto verify` do with a result: keep it in the history, print or write it, and its exit code."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from gemx.cli import keeping, options, output
from gemx.errors import ContractError, GemxError, TruncatedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gemx.automation.runner import Result
    from gemx.automation.view import Block

Format = Literal["rich", "md", "text", "html"]
FormatOption = Annotated[
    Format | None, typer.Option("--format", help="Default: rich on a terminal, else text, or by --out's suffix.")
]
_SUFFIX_FORMATS: dict[str, Format] = {".md": "md", ".html": "html", ".htm": "html", ".txt": "text", "": "text"}
_WIDTH = 80
_WIDEST = 100


def refuse_idle(format: Format | None, out: Path | None, *, as_json: bool) -> None:
    """Refuse flags of the form of a result that contradict each other, and a file that cannot be written."""
    if as_json and format:
        raise UsageError("--json and --format are two forms of one result: choose one")
    if out and not as_json and not format and out.suffix.lower() not in _SUFFIX_FORMATS:
        hint = "use .md, .html or .txt, or say --format or --json"
        raise UsageError(f"no format goes with the suffix {out.suffix!r}", hint=hint)
    if format == "rich" and out:
        raise UsageError("--format rich is for a terminal; --out takes text, md or html")
    if out:
        output.check_writable(out)


def deliver(result: Result, format: Format | None, out: Path | None, *, as_json: bool, keep_days: int | None) -> int:
    """Keep the result for so many days (None: not at all), show it, and return the exit code.

    A history that cannot be written loses no result: it is shown, and the exit code is the history's.
    """
    from gemx.automation import results, view

    failures: list[GemxError] = [failure] if (failure := _failure(result)) else []
    if keep_days is not None:
        failures += keeping.keep(results.entry(result), keep_days)
    exit_code = failures[-1].exit_code if failures else 0
    if as_json:
        errors = [output.described(each) for each in failures]
        _written(output.envelope(results.data(result), exit_code, errors), out)
    else:
        show(view.blocks(result), format, out)
        for each in failures:
            output.error(each)
    return exit_code


def show(page: Sequence[Block], format: Format | None, out: Path | None) -> None:
    """A page to stdout or to a file, in the format asked for or the one that suits where it goes."""
    from gemx.automation import render

    chosen = format or _default_format(out)
    if chosen == "rich" and out is None:
        width = min(shutil.get_terminal_size((_WIDTH, 24)).columns, _WIDEST)
        output.styled(render.to_rich(page, width), width)
        return
    forms = {"md": render.to_markdown, "html": render.to_html}
    text = forms[chosen](page) if chosen in forms else render.to_text(page, _WIDTH)
    _written(text, out)


def _written(text: str, out: Path | None) -> None:
    if out:
        output.write_file(out, text.rstrip("\n") + "\n")
        output.note(f"written: {out}")
    else:
        output.raw(text.rstrip("\n"))


def _failure(result: Result) -> ContractError | TruncatedError | None:
    if errors := result.errors:
        hint = "the errors stand in the result"
        if result.model:
            hint = options.RAISE_LIMIT if result.cut else f"{hint}; --repair 2 sends them back to the model"
        count = "1 error" if len(errors) == 1 else f"{len(errors)} errors"
        whose = f" of {result.model}" if result.model else ""
        return ContractError(f"the answer{whose} is refused: {count}, first {errors[0].code}", hint=hint)
    return TruncatedError("the answer was cut at the token limit", hint=options.RAISE_LIMIT) if result.cut else None


def _default_format(out: Path | None) -> Format:
    if out is not None:
        return _SUFFIX_FORMATS[out.suffix.lower()]
    return "rich" if output.is_terminal(sys.stdout) else "text"
