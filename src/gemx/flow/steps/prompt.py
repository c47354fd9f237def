"""`prompt`: ask a model, with a template or a text, about passages that it can cite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import cache
from typing import Any, cast

from gemx import conversation, gateway, schemas, templates
from gemx.clinical.numbers import format_number
from gemx.conversation import Prompt
from gemx.documents import Passage, Text
from gemx.errors import ContractError, GemxError, InputError, TruncatedError
from gemx.flow import values
from gemx.flow.schema import Step
from gemx.flow.steps.call import Call, Outcome
from gemx.gateway import Reply, Request, bill
from gemx.knowledge import answer as knowledge


def filled(step: Step, known: Mapping[str, Any]) -> dict[str, Any]:
    """What is asked: the text or the template's variables, the system instruction, the passages."""
    asked = step.prompt
    assert asked is not None  # noqa: S101
    system = values.fill(asked.system, known)
    return {
        "text": values.written(values.fill(asked.text, known)),
        "vars": values.fill(asked.vars, known),
        "system": None if system is None else values.written(system),
        "context": values.fill(asked.context, known),
        "repair": asked.repair,
    }


def run(call: Call) -> Outcome:
    """Ask, and check what comes back by the schema, if there is one."""
    asked, policy = request(call), call.policy
    if asked.schema is None:
        reply = gateway.call(asked, policy)
    else:
        reply = gateway.structured(asked, policy, schemas.validator(asked.schema), call.spec["repair"])
    return Outcome(_outputs(reply), reply.attempts, _failure(reply))


def request(call: Call) -> Request:
    """What the step asks. Raises InputError."""
    asked = _asked(call)
    instruction = call.context.settings.instruction(asked.system)
    about = call.resources.template.about if call.resources.template else {}
    origin = replace(call.origin, **about)
    passages = _passages(call.spec["context"])
    request = conversation.request(replace(asked, system=instruction), origin)
    if not passages:
        return request
    block = Text(templates.render(_frame(), {"passages": passages}), "trechos")
    (message,) = request.messages
    cited = replace(message, parts=(block, *message.parts))
    return replace(request, messages=(cited,), passages=passages)


def _asked(call: Call) -> Prompt:
    template, spec = call.resources.template, call.spec
    asked = Prompt(spec["text"], system=spec["system"], schema=call.resources.schema)
    if template is None:
        if not asked.text.strip():
            raise InputError("the prompt is empty: what its expressions read holds nothing")
        return asked
    given = {name: _variable(value) for name, value in spec["vars"].items() if value is not None}
    return conversation.filled(asked, template.template, given)


def _variable(value: Any) -> str:
    """A value as the text that a template's variable is read from: a number as it is read without doubt."""
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        return format_number(Decimal(str(value)))
    return values.written(value)


def _passages(context: Any) -> tuple[Passage, ...]:
    """The passages of a list of hits, or of anything with an `id` and a `text`. Raises InputError on anything else."""
    if context is None:
        return ()
    if not isinstance(context, list):
        raise InputError("`context` is a list of passages, such as ${{ steps.ID.outputs.hits }}")
    return tuple(_passage(hit) for hit in cast("Sequence[Any]", context))


def _passage(hit: Any) -> Passage:
    found = cast("Mapping[str, Any]", hit if isinstance(hit, Mapping) else {})
    if not isinstance(found.get("id"), str) or not isinstance(found.get("text"), str):
        raise InputError("each passage of `context` has an `id` and a `text`")
    text = found["text"]
    heading, source = (values.written(found.get(name)) for name in ("heading", "path"))
    start, end = found.get("start"), found.get("end")
    if not (isinstance(start, int) and isinstance(end, int)):
        start, end = 0, len(text)
    return Passage(found["id"], text, heading, source, start, end)


@cache
def _frame() -> str:
    """How passages stand in a prompt: as in a question to a knowledge base."""
    return templates.load_shipped(knowledge.FRAME).prompt


def _outputs(reply: Reply) -> dict[str, Any]:
    usage, cost = bill.usage(reply.attempts), bill.total(reply.attempts)
    return {
        "text": reply.text,
        "json": None if reply.problems else reply.value,
        "model": reply.route,
        "tokens_in": usage.input_tokens,
        "tokens_out": usage.output_tokens,
        "cost_usd": cost,
        "finish_reason": reply.finish_reason,
    }


def _failure(reply: Reply) -> GemxError | None:
    if reply.problems:
        listed = "; ".join(str(problem) for problem in reply.problems)
        return ContractError(f"the answer does not satisfy the schema: {listed}", hint="`repair: 2` sends it back")
    if reply.finish_reason == "length":
        return TruncatedError("the answer was cut at the token limit", hint="raise it with options.max_output_tokens")
    return None
