"""The answer of `gen`: asked for, streamed, judged, printed or written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gemx.cli import options, output
from gemx.errors import ContractError, GemxError, StorageError, TruncatedError

if TYPE_CHECKING:
    from gemx.conversation import Thread
    from gemx.gateway import Policy, Reply, Request, Substitution


def ask(request: Request, policy: Policy, repair: int, *, stream: bool) -> Reply:
    """Ask, and show the answer as it comes where it may be streamed; with a schema it is checked, and repaired."""
    from gemx import gateway, schemas

    if request.schema is None:
        return _streamed(request, policy) if stream else gateway.call(request, policy)
    return gateway.structured(request, policy, schemas.validator(request.schema), repair)


def _streamed(request: Request, policy: Policy) -> Reply:
    from gemx import gateway

    with output.streamed() as show:
        return gateway.call(request, policy, on_text=show)


def deliver(
    data: dict[str, Any] | None,
    reply: Reply,
    text: str | None,
    failures: Sequence[GemxError],
    out: Path | None,
    *,
    streamed: bool,
) -> int:
    """Print or write `text`, or the data where --json asks for them; returns the exit code.

    Without a text, what was asked for is not in the reply, which is then shown on stderr: it was paid for.
    """
    exit_code = failures[-1].exit_code if failures else 0
    if data is not None:
        text = output.envelope(data, exit_code, [output.described(each) for each in failures])
    if text is None:
        output.warning(reply.text)
    elif out:
        _write(out, text)
    elif data is not None:
        output.raw(text)
    elif not streamed:
        output.result(text)
    if data is None:
        for each in failures:
            output.error(each)
    return exit_code


def _write(out: Path, text: str) -> None:
    try:
        output.write_file(out, text.rstrip("\n") + "\n")
    except StorageError:
        # it was paid for: where the file cannot be written any more, it is at least shown
        output.raw(text) if text.startswith("{") else output.result(text)
        raise


def no_code() -> ContractError:
    """What is wrong where -x finds nothing."""
    return ContractError("the answer has no code block", hint="without -x the whole answer is printed")


def failure(reply: Reply) -> ContractError | TruncatedError | None:
    """What is wrong with the reply, if anything is."""
    if reply.problems:
        problems = "\n".join(f"  {problem}" for problem in reply.problems)
        hint = options.RAISE_LIMIT if reply.finish_reason == "length" else "try --repair 2"
        return ContractError(f"the answer does not satisfy the schema:\n{problems}", hint=hint)
    if reply.finish_reason == "length":
        return TruncatedError("the answer was cut at the token limit", hint=options.RAISE_LIMIT)
    return None


def data(request: Request, reply: Reply, substitution: Substitution | None, thread: Thread | None) -> dict[str, Any]:
    """What --json shows of the reply, and the history keeps."""
    from gemx.gateway import bill

    return {
        "run_id": request.origin.run_id,
        "conversation": thread.id if thread else request.origin.run_id,
        "model": reply.model,
        "provider": reply.provider,
        "text": reply.text,
        "value": reply.value,
        "finish_reason": reply.finish_reason,
        "usage": vars(reply.usage),
        "route": reply.route,
        "in_place_of": substitution.asked if substitution else None,
        **bill.data(reply.attempts),
    }
