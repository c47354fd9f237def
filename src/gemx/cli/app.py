"""The command tree, and the one place where an exception becomes a message and an exit code."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Generator, Sequence
from types import FrameType
from typing import Annotated, Any

import typer

from gemx import __version__
from gemx.cli import completion, output, plugin_commands
from gemx.errors import GemxError, StoppedError, StorageError, TimeoutExceededError, UsageError

_DEBUG = "--debug"
_COMPLETE = "_GEMX_COMPLETE"

app = typer.Typer(
    name="gemx",
    cls=plugin_commands.Root,
    help="Clinical automations and prompts on Gemini or local GGUF models, checked by code and audited.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 2 usage, 3 configuration, 4 input, 5 provider, 6 contract or verification, 7 partial, "
    "8 try again later, 9 budget, 10 privacy, 11 storage, 12 a check fired, 130 interrupted.",
)


def _version(value: bool) -> None:
    if value:
        output.result(f"gemx {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option(_DEBUG, help="Print a traceback where gemx fails; anywhere.")] = False,
) -> None:
    """Nothing by itself: the commands do the work."""


def main(argv: Sequence[str]) -> int:
    """Run one command line and return its exit code. Prints every failure; raises none."""
    output.use_utf8()
    output.reset(argv)
    try:
        with _terminable():
            code = _run([argument for argument in argv if argument != _DEBUG])
            sys.stdout.flush()
            return code
    except BrokenPipeError:
        _discard_stdout()
        return 141
    except GemxError as exc:
        return _failed(exc, argv)
    except KeyboardInterrupt:
        return _failed(StoppedError("interrupted"), argv)
    except OSError as exc:
        return _failed(_storage(exc), argv) if exc.errno in (errno.ENOSPC, errno.EDQUOT) else _bug(exc, argv)
    except Exception as exc:
        return _bug(exc, argv)
    finally:
        _close()


def _run(argv: list[str]) -> int:
    command = typer.main.get_command(app)
    if os.environ.get(_COMPLETE):
        completion.answer(command)
    try:
        # Not command.main(): that one turns interrupts and closed pipes into exits of its own.
        with command.make_context("gemx", argv) as context:
            code: Any = command.invoke(context)
    except typer.Exit as exc:
        return exc.exit_code
    except SystemExit as exc:
        # Rich makes an exit of its own of a closed pipe.
        if isinstance(exc.__context__, BrokenPipeError):
            raise exc.__context__ from None
        raise
    except typer.Abort as exc:
        raise StoppedError("interrupted") from exc
    except typer.TyperException as exc:
        return _misused(exc)
    return code if isinstance(code, int) else 0


def _misused(exc: typer.TyperException) -> int:
    message = exc.format_message()
    if not message:
        # A command group without a command: Typer has shown its help already, and nothing was done.
        return UsageError.exit_code
    hint = "gemx --help, or --help after a command, shows what is expected"
    raise UsageError(message, hint=hint) from exc


def _failed(exc: GemxError, argv: Sequence[str]) -> int:
    if _DEBUG in argv:
        _traceback(exc)
    try:
        output.error(exc)
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_stdout()
    except OSError:
        # Where even the error cannot be written, its exit code is all that is left to say.
        _discard_stdout()
    return exc.exit_code


def _bug(exc: Exception, argv: Sequence[str]) -> int:
    hint = "this is a bug in gemx: run it again with --debug and report what it prints"
    return _failed(_BugError(f"{type(exc).__name__}: {exc}", hint=hint).with_traceback(exc.__traceback__), argv)


class _BugError(GemxError):
    """A failure that gemx did not foresee."""


def _storage(exc: OSError) -> StorageError:
    return StorageError(f"cannot write: {exc.strerror}", hint="free some disk space")


def _traceback(exc: GemxError) -> None:
    import traceback

    from gemx import keys

    print(keys.redact("".join(traceback.format_exception(exc))), file=sys.stderr)


def _discard_stdout() -> None:
    # The interpreter flushes stdout when it ends: what is left must not fail again.
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _close() -> None:
    providers = sys.modules.get("gemx.providers")
    if providers is not None:
        providers.close_all()
    processes = sys.modules.get("gemx.processes")
    if processes is not None:
        processes.end_all()


@contextlib.contextmanager
def _terminable() -> Generator[None]:
    """SIGTERM, SIGHUP and the alarm of --timeout as an exception, so that a call that they end is on record."""

    def stop(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGALRM:
            raise TimeoutExceededError("not finished within --timeout")
        raise StoppedError("terminated", 128 + number)

    with contextlib.ExitStack() as restoring:
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
            # Signals belong to the main thread; elsewhere there is nothing to set. A HUP that nohup ignores stays so.
            with contextlib.suppress(ValueError):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    restoring.callback(signal.signal, number, signal.signal(number, stop))
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
