"""`gemx logs replay`: what a past call asked, by the history, put to another model; and how the answers differ."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gemx.cli import door, gen_answer, keeping, options, output
from gemx.errors import GemxError, InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gemx.conversation import Thread
    from gemx.gateway import Policy, Reply, Request
    from gemx.history import Entry
    from gemx.settings import Guard

_COMMAND = "logs replay"
_NAMES = ("model", "input_tokens", "output_tokens", "cost_usd", "seconds")


def replay(
    run_id: Annotated[str, typer.Argument(metavar="RUN_ID", help="A run of the history, or the beginning of its id.")],
    model: options.Model = None,
    option: options.ModelOptions = None,
    fallback: options.Fallback = None,
    guard: options.Guard = None,
    network: options.Network = None,
    local_only: options.LocalOnly = False,
    max_cost: options.MaxCost = None,
    timeout: options.Timeout = None,
    tries: options.Tries = None,
    profile: options.Profile = None,
    as_json: options.AsJson = False,
    no_history: options.NoHistory = False,
    quiet: options.Quiet = False,
) -> int:
    """Ask another model what a past run asked, and show how the answers differ, and what each took.

    Of an automation the contract is verified again; its other checks need the patient's data, which is not kept.
    """
    output.begin(_COMMAND, as_json=as_json, quiet=quiet)
    from gemx import gateway, history, settings
    from gemx.gateway import guard as levels

    flags = door.Flags(model, option, fallback, guard, network, local_only, max_cost, timeout, tries)
    flags.check()
    resolved = settings.load(profile)
    entry = history.get(run_id)
    flags = replace(flags, guard=levels.strictest(guard, *_guards(entry.run_id)))
    request = _request(entry)
    # The rules of an automation hold for its text, whoever asks it.
    policy = flags.policy(resolved, request, clinical=entry.automation is not None)
    door.announce(policy)
    with door.receipted():
        reply = _asked(entry, request, policy)
    data = {
        **gen_answer.data(request, reply, gateway.substitution(reply, policy), None),
        "replay_of": entry.run_id,
    }
    failures: list[GemxError] = [failure] if (failure := gen_answer.failure(reply)) else []
    if not no_history:
        failures += keeping.keep(_entry(request, reply, data), resolved.config.history.keep)
    exit_code = failures[-1].exit_code if failures else 0
    compared = _compared(entry, request, reply)
    if as_json:
        output.as_json({**compared, "problems": [str(each) for each in reply.problems]}, exit_code, _told(failures))
        return exit_code
    _show(compared, verified=entry.automation is not None and request.schema is not None)
    for each in failures:
        output.error(each)
    return exit_code


def _guards(run_id: str) -> list[Guard]:
    """Under which guards a run left this machine: the history has its text as it was before they masked it."""
    from gemx.audit.find import Reader
    from gemx.errors import NotFoundError
    from gemx.gateway.guard import LEVELS

    try:
        found = [record.get("gemx.guard") for record in Reader().run(run_id)]
    except NotFoundError:
        return []
    return [level for level in LEVELS if level in found]


def _entry(request: Request, reply: Reply, data: Mapping[str, Any]) -> Entry:
    """A replay as the history keeps it; one of an automation stays one, and is no turn that `gen` could go on with."""
    from gemx import conversation

    entry, about = conversation.entry(request, reply, data), request.origin
    if about.automation is None:
        return entry
    return replace(entry, conversation=None, automation=about.automation, automation_version=about.automation_version)


def _told(failures: Sequence[GemxError]) -> list[dict[str, Any]]:
    return [output.described(each) for each in failures]


def _request(entry: Entry) -> Request:
    """What the run asked. Raises InputError where that is not kept."""
    from gemx import conversation, gateway
    from gemx.clinical import answer

    if entry.prompt is None:
        raise InputError(f"the run {entry.run_id} of gemx {entry.command} asked no model: there is nothing to replay")
    if media := entry.data.get("media"):
        raise InputError(
            f"{', '.join(media)} of the run {entry.run_id} is not kept: what it asked cannot be asked again"
        )
    about = gateway.Origin(
        _COMMAND,
        gateway.new_run_id(),
        automation=entry.automation,
        automation_version=entry.automation_version,
        subject=entry.subject,
    )
    schema = answer.json_schema() if _has_contract(entry) else entry.data.get("schema")
    prompt = conversation.Prompt(entry.prompt, system=entry.system, schema=schema)
    return conversation.request(prompt, about, _before(entry))


def _has_contract(entry: Entry) -> bool:
    """Whether it answered under the contract of automations: one that broke it is JSON all the same."""
    return entry.automation is not None and (bool(entry.data.get("answer")) or entry.reply.lstrip().startswith("{"))


def _before(entry: Entry) -> Thread | None:
    """The turns of its conversation that went along; they may be fewer now."""
    from gemx import conversation

    if entry.conversation in (None, entry.run_id):
        return None
    thread = conversation.earlier(entry.run_id)
    ids = [each.run_id for each in thread.exchanges]
    before = thread.exchanges[: ids.index(entry.run_id)]
    for note in thread.notes:
        output.note(f"conversation: {note}")
    return replace(thread, exchanges=before) if before else None


def _asked(entry: Entry, request: Request, policy: Policy) -> Reply:
    from gemx import gateway, schemas
    from gemx.clinical import answer

    if request.schema is None:
        return gateway.call(request, policy)
    validate = answer.read_answer if _has_contract(entry) else schemas.validator(request.schema)
    return gateway.structured(request, policy, validate)


def _compared(entry: Entry, request: Request, reply: Reply) -> dict[str, Any]:
    import difflib

    from gemx.gateway import bill

    usage = {"usage": vars(reply.usage), **bill.data(reply.attempts)}
    old, new = _figures(entry.model, entry.data), _figures(reply.route, usage)
    before, after = _lines(entry.reply), _lines(reply.text)
    named = (f"{entry.run_id} {entry.model}", f"{request.origin.run_id} {reply.route}")
    return {
        "run_id": request.origin.run_id,
        "replay_of": entry.run_id,
        "before": {**old, "text": entry.reply},
        "after": {**new, "text": reply.text},
        "same": before == after,
        "difference": list(difflib.unified_diff(before, after, *named, lineterm="")),
    }


def _figures(model: str | None, data: Mapping[str, Any]) -> dict[str, Any]:
    """Tokens, dollars and seconds of all tries of a run; None where they are not known."""
    usage: Mapping[str, Any] = data.get("usage") or {}
    seconds = [each.get("seconds") or 0 for each in data.get("attempts") or ()]
    return {
        "model": model,
        "input_tokens": usage.get("input_tokens"),
        "output_tokens": usage.get("output_tokens"),
        "cost_usd": data.get("cost_usd"),
        "seconds": round(float(sum(seconds)), 3) if seconds else None,
    }


def _lines(text: str) -> list[str]:
    """The lines of an answer; JSON is laid out first, so that its fields can be compared."""
    import json

    try:
        value = json.loads(text)
    except ValueError:
        return text.splitlines()
    return (
        json.dumps(value, ensure_ascii=False, indent=2).splitlines() if isinstance(value, dict) else text.splitlines()
    )


def _show(compared: Mapping[str, Any], *, verified: bool) -> None:
    output.result("the answers are the same" if compared["same"] else "\n".join(compared["difference"]))
    rows = [("", "before", "after")]
    rows += [(name, *(_shown(compared[side][name]) for side in ("before", "after"))) for name in _NAMES]
    wide = max(len(row[1]) for row in rows)
    output.result("\n" + "\n".join(f"{name:<13} {before:<{wide}}  {after}" for name, before, after in rows))
    if verified:
        output.note("only the contract was verified: the clinical checks need the patient's data, which is not kept")
    output.note(f"run: {compared['run_id']}")


def _shown(value: Any) -> str:
    return "-" if value is None else str(value)
