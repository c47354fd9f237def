"""`gemx gen`: one prompt, one answer, streamed."""

from __future__ import annotations

import os
import select
import stat
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from gemx.cli import attached, completion, door, gen_answer, gen_template, gen_thread, keeping, options, output
from gemx.errors import GemxError, UsageError

if TYPE_CHECKING:
    from gemx.cli.gen_template import Used
    from gemx.conversation import Prompt
    from gemx.documents import Part

_PIPE_SECONDS = 0.5


def gen(
    prompt: Annotated[str | None, typer.Argument(metavar="PROMPT", help="The prompt; `-` reads it from stdin.")] = None,
    model: options.Model = None,
    system: Annotated[str | None, typer.Option("-s", "--system", metavar="TEXT", help="A system instruction.")] = None,
    file: Annotated[
        list[str] | None,
        typer.Option(
            "-f", "--file", metavar="FILE", help="A text, PDF, DOCX, HTML, image or audio file, or a URL; `-` is stdin."
        ),
    ] = None,
    template: Annotated[
        str | None,
        typer.Option(
            "-t",
            "--template",
            metavar="NAME|PATH",
            help="Put the prompt into a template.",
            autocompletion=completion.templates,
        ),
    ] = None,
    param: options.Params = None,
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
        str | None,
        typer.Option(
            "--schema",
            metavar="FILE|FIELDS",
            help="Ask for JSON that satisfies a JSON Schema, or has fields: `name, age int, bio: one sentence`.",
        ),
    ] = None,
    repair: options.Repair = 0,
    go_on: Annotated[bool, typer.Option("-c", "--continue", help="Continue the last conversation of gen.")] = False,
    cid: Annotated[
        str | None,
        typer.Option("--cid", metavar="RUN_ID", help="Continue the conversation of a run, or of its beginning."),
    ] = None,
    extract: Annotated[
        bool,
        typer.Option("-x", "--extract", help="Print the first code block of the answer alone; exit 6 without one."),
    ] = False,
    save: Annotated[
        str | None, typer.Option("--save", metavar="NAME", help="Keep this call as a template in the config directory.")
    ] = None,
    out: options.Out = None,
    as_json: options.AsJson = False,
    no_history: options.NoHistory = False,
    subject: options.Subject = None,
    quiet: options.Quiet = False,
) -> int:
    """Run one prompt and stream the answer. Standard input and files are added to it."""
    output.begin("gen", as_json=as_json, quiet=quiet)
    from gemx import conversation, gateway, settings

    if repair and not schema:
        raise UsageError("--repair needs --schema: without one there is nothing to repair")
    if extract and schema:
        raise UsageError("-x takes a code block out of an answer, and --schema asks for JSON alone: choose one")
    if out:
        output.check_writable(out)
    given = door.Flags(model, option, fallback, guard, network, local_only, max_cost, timeout, tries)
    given.check()
    used = gen_template.used(template, param)
    kept = gen_template.saving(save, [prompt, system, *(param or ())])
    flags = gen_template.flags(given, used)
    resolved = settings.load(profile)
    thread = gen_thread.continued("gen", cid, last=go_on)
    fetch = partial(attached.fetched, resolved, "machine" if local_only else network, timeout)
    asked = gen_template.fill(read(prompt, file or [], system, schema, fetch, used), used)
    asked = replace(asked, system=gen_thread.system(resolved, asked.system, thread))
    about = gen_thread.subject(subject, thread)
    origin = gateway.Origin("gen", gateway.new_run_id(), subject=about, **gen_template.origin(used))
    request = conversation.request(asked, origin, thread)
    policy = flags.policy(resolved, request, own=gen_thread.own_model(thread))
    policy = gen_template.explained(policy, given, used)
    door.announce(policy)
    streamed = not (as_json or out or schema or extract)
    with door.receipted():
        reply = gen_answer.ask(request, policy, repair, stream=streamed)
    substitution = gateway.substitution(reply, policy)
    data = {**gen_answer.data(request, reply, substitution, thread), **gen_template.described(used)}
    failures: list[GemxError] = [failure] if (failure := gen_answer.failure(reply)) else []
    if not no_history:
        failures += keeping.keep(conversation.entry(request, reply, data, thread), resolved.config.history.keep)
    text: str | None = reply.text
    if extract:
        text = data["code"] = conversation.code_block(reply.text)
        failures += [gen_answer.no_code()] if text is None else []
    unsaved = gen_template.save(kept, prompt, system, given, used)
    exit_code = gen_answer.deliver(data if as_json else None, reply, text, failures + unsaved, out, streamed=streamed)
    gen_template.saved(kept, unsaved)
    if substitution:
        output.note(f"model: {substitution}")
    door.receipt(reply.attempts)
    return exit_code


def read(
    prompt: str | None,
    files: list[str],
    system: str | None,
    schema: str | None,
    fetch: Callable[[str], Part],
    used: Used | None,
) -> Prompt:
    """What was asked: the words, the files, and what is on stdin, which is the words where there are no others.

    Stdin is waited for where it is asked for, or all that there is: a template may need none.
    """
    from gemx import conversation, documents, schemas

    if [prompt, *files].count("-") > 1:
        raise UsageError("`-` is given twice: stdin can be read once")
    parts: list[Part] = [attached.read(name, fetch) for name in files]
    if "-" not in files:
        alone = used is None or (used.waits_for_input and not files)
        prompt, piped = _with_stdin(prompt, alone=alone, words=used is None or used.takes_input)
        parts += [documents.Text(piped, "stdin")] if piped else []
    loaded = None if schema is None else schemas.load(schema)
    return conversation.Prompt(prompt or "", tuple(parts), system, loaded)


def _with_stdin(prompt: str | None, *, alone: bool, words: bool) -> tuple[str, str]:
    """The prompt, and what came on stdin beside it; stdin is the prompt where there is no other, and `words` says so.

    `alone`: there is nothing to ask without it, so that it is waited for.
    """
    from gemx import documents

    if prompt == "-":
        return documents.read_stdin(), ""
    if prompt is None and alone:
        return ("", "") if output.is_terminal(sys.stdin) else (documents.read_stdin(), "")
    piped = documents.read_stdin() if _has_input() else ""
    if piped and prompt is not None:
        output.note(f"stdin: {len(piped)} characters go along; `< /dev/null` leaves them alone")
    return (piped, "") if prompt is None and words else (prompt or "", piped)


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
