"""`gemx gen`: one prompt, one answer, streamed."""

from __future__ import annotations

import os
import select
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gemx.cli import door, options, output
from gemx.errors import ContractError, GemxError, TruncatedError, UsageError

if TYPE_CHECKING:
    from gemx.conversation import Prompt
    from gemx.documents import Part
    from gemx.gateway import Policy, Reply, Request, Substitution

_PIPE_SECONDS = 0.5


def gen(
    prompt: Annotated[str | None, typer.Argument(metavar="PROMPT", help="The prompt; `-` reads it from stdin.")] = None,
    model: options.Model = None,
    system: Annotated[str | None, typer.Option("-s", "--system", metavar="TEXT", help="A system instruction.")] = None,
    file: Annotated[
        list[str] | None,
        typer.Option(
            "-f", "--file", metavar="FILE", help="A text, image, PDF or audio file; `-` is stdin. Repeatable."
        ),
    ] = None,
    option: options.ModelOptions = None,
    fallback: options.Fallback = None,
    guard: options.Guard = None,
    network: options.Network = None,
    local_only: options.LocalOnly = False,
    max_cost: options.MaxCost = None,
    timeout: options.Timeout = None,
    tries: options.Tries = None,
    profile: options.Profile = None,
    schema: Annotated[
        Path | None, typer.Option("--schema", metavar="FILE", help="Ask for JSON that satisfies a JSON Schema.")
    ] = None,
    repair: options.Repair = 0,
    out: options.Out = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> int:
    """Run one prompt and stream the answer. Standard input and files are added to it."""
    output.begin("gen", as_json=as_json, quiet=quiet)
    from gemx import conversation, gateway, settings

    if repair and not schema:
        raise UsageError("--repair needs --schema: without one there is nothing to repair")
    if out:
        output.check_writable(out)
    flags = door.Flags(model, option, fallback, guard, network, local_only, max_cost, timeout, tries)
    flags.check()
    resolved = settings.load(profile)
    asked = _prompt(prompt, file or [], resolved.resolve("system", system).value, schema)
    request = conversation.request(asked, gateway.Origin(command="gen", run_id=gateway.new_run_id()))
    policy = flags.policy(resolved, request)
    door.announce(policy)
    with door.receipted():
        reply = _ask(request, policy, repair, stream=not (as_json or out or schema))
    substitution = gateway.substitution(reply, policy)
    data = _data(request, reply, substitution) if as_json else None
    exit_code = _deliver(data, reply, out, streamed=not (as_json or out or schema))
    if substitution:
        output.note(f"model: {substitution}")
    door.receipt(reply.attempts)
    return exit_code


def _prompt(prompt: str | None, files: list[str], system: str | None, schema: Path | None) -> Prompt:
    from gemx import conversation, documents

    if [prompt, *files].count("-") > 1:
        raise UsageError("`-` is given twice: stdin can be read once")
    parts: list[Part] = [_file(name) for name in files]
    if "-" not in files:
        prompt, piped = _with_stdin(prompt)
        parts += [documents.Text(piped, "stdin")] if piped else []
    loaded = conversation.load_schema(schema) if schema else None
    return conversation.Prompt(prompt or "", tuple(parts), system, loaded)


def _file(name: str) -> Part:
    from gemx import documents, places

    return (
        documents.Text(documents.read_stdin(), "stdin") if name == "-" else documents.read_file(places.user_path(name))
    )


def _with_stdin(prompt: str | None) -> tuple[str, str]:
    """The prompt, and what came on stdin beside it; stdin is the prompt where there is no other."""
    from gemx import documents

    if prompt == "-":
        return documents.read_stdin(), ""
    if prompt is None:
        return ("", "") if output.is_terminal(sys.stdin) else (documents.read_stdin(), "")
    return prompt, documents.read_stdin() if _has_input() else ""


def _has_input() -> bool:
    """Whether text was piped in beside the prompt.

    A pipe that is merely inherited may stay open for ever: it is waited for only a moment.
    """
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError):
        return False
    if stat.S_ISREG(mode):
        return True
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        return False
    ready, _, _ = select.select([sys.stdin], [], [], _PIPE_SECONDS)
    if not ready:
        output.warning("gemx: stdin is open and nothing came from it, so it is not read; `-f -` waits for it")
    return bool(ready)


def _ask(request: Request, policy: Policy, repair: int, *, stream: bool) -> Reply:
    from gemx import conversation, gateway

    if request.schema is None:
        return _streamed(request, policy) if stream else gateway.call(request, policy)
    return gateway.structured(request, policy, conversation.validator(request.schema), repair)


def _streamed(request: Request, policy: Policy) -> Reply:
    from gemx import gateway

    shown: list[str] = []

    def show(text: str) -> None:
        shown.append(text)
        output.piece(text)

    try:
        return gateway.call(request, policy, on_text=show)
    except GemxError:
        if shown:
            output.piece("\n")
        raise


def _deliver(data: dict[str, Any] | None, reply: Reply, out: Path | None, *, streamed: bool) -> int:
    """Print or write the reply, or its data where --json asks for them; returns the exit code."""
    failure = _failure(reply)
    exit_code = failure.exit_code if failure else 0
    if streamed and not reply.text.endswith("\n"):
        output.piece("\n")
    if data is not None:
        text = output.envelope(data, exit_code, [output.described(failure)] if failure else [])
    else:
        text = reply.text
    if out:
        output.write_file(out, text.rstrip("\n") + "\n")
    elif data is not None:
        output.raw(text)
    elif not streamed:
        output.result(text)
    if failure and data is None:
        output.error(failure)
    return exit_code


def _failure(reply: Reply) -> ContractError | TruncatedError | None:
    if reply.problems:
        problems = "\n".join(f"  {problem}" for problem in reply.problems)
        hint = options.RAISE_LIMIT if reply.finish_reason == "length" else "try --repair 2"
        return ContractError(f"the answer does not satisfy the schema:\n{problems}", hint=hint)
    if reply.finish_reason == "length":
        return TruncatedError("the answer was cut at the token limit", hint=options.RAISE_LIMIT)
    return None


def _data(request: Request, reply: Reply, substitution: Substitution | None) -> dict[str, Any]:
    from gemx.gateway import bill

    return {
        "run_id": request.origin.run_id,
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
