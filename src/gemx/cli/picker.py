"""Pick one of many by fuzzy search, with a preview beside it: fzf, which iterfzf ships.

What is shown goes to fzf through a pipe, and nowhere else. A preview is the command that shows the thing itself: the
only word of it that is not gemx's own is put in by fzf, in quotes. The user's own settings of fzf hold for their
shell, and not here: they can bind keys to commands.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence

from gemx.cli.questions import Back
from gemx.errors import ConfigError
from gemx.sanitize import printable

_OURS = "FZF_"
_ABORTED = 130
_OPTIONS = (
    "--delimiter=\t",
    "--with-nth=3",
    "--accept-nth=1",
    "--layout=reverse",
    "--tiebreak=index",
    "--cycle",
    "--info=inline-right",
    "--ellipsis=…",
    "--no-multi",
    "--bind=enter:accept-non-empty,double-click:accept-non-empty",
)
_HELP = "Digite para buscar; Enter; Esc volta"
# Where half of the terminal is too narrow to read, the preview stands below.
_PREVIEW = (
    "--with-shell=sh -c",
    "--preview-window=right,50%,wrap,noinfo,border-left,<38(down,50%,wrap,noinfo)",
    "--preview-label= Shift+setas rolam ",
)
# fzf wraps in the middle of words
_FOLD = 'fold -s -w "${FZF_PREVIEW_COLUMNS:-80}"'


def pick(title: str, items: Mapping[str, str], show: Sequence[str] = (), header: str = "") -> str:
    """The key of one of the items, which are shown by their texts; `show` is the command that shows a key, if any does.

    Raises Back at Esc and at Ctrl-C, and ConfigError where fzf does not run.
    """
    command = [_fzf(), *_OPTIONS, f"--prompt={title}> ", f"--header={_header(header)}"]
    if show:
        command += [*_PREVIEW, f"--preview={_preview(show)}"]
    keys = list(items)
    rows = (f"{number}\t{_flat(key)}\t{_flat(items[key])}\n" for number, key in enumerate(keys))
    return keys[int(_run(command, "".join(rows)))]


def _header(said: str) -> str:
    return f"{_flat(said)}\n{_HELP}" if said else _HELP


def _preview(show: Sequence[str]) -> str:
    # -P: nothing is imported from the current folder; --: a name may begin with a dash
    return f"{shlex.join([sys.executable, '-P', '-m', 'gemx', *show])} -- {{2}} 2>&1 | {_FOLD}"


def _flat(text: str) -> str:
    """A field of a row: on one line, without what drives a terminal."""
    return " ".join(printable(text).split())


def _fzf() -> str:
    try:
        import iterfzf  # pyright: ignore[reportMissingTypeStubs]
    except ImportError as exc:
        raise _not_running("iterfzf is not installed") from exc
    return str(iterfzf.BUNDLED_EXECUTABLE)


def _run(command: Sequence[str], rows: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    try:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
    except OSError as exc:
        raise _not_running(exc.strerror or str(exc)) from exc
    try:
        chosen, _ = process.communicate(rows.encode())
    except BaseException:
        # Asked to end, it gives the terminal back as it was.
        process.terminate()
        process.wait()
        raise
    if process.returncode == _ABORTED:
        raise Back
    if process.returncode or not chosen.strip():
        raise _not_running(f"it ended with {process.returncode}")
    return chosen.decode().strip()


def _not_running(why: str) -> ConfigError:
    message = f"a busca dos menus (fzf, que vem com iterfzf) não funciona nesta máquina: {why}"
    return ConfigError(message, hint="os comandos fazem o mesmo sem menus: gemx --help")
