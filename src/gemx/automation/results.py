"""A result as data for machines, and as an entry of the history. Prints nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from gemx.automation import view
from gemx.automation.facts import Fact
from gemx.automation.runner import Result
from gemx.clinical.answer import plain
from gemx.gateway import bill
from gemx.history import Entry


def data(result: Result) -> dict[str, Any]:
    """What --json shows of a result."""
    run, automation = result.run, result.run.protocol.automation
    return {
        "run_id": run.run_id,
        "automation": {
            "id": run.protocol.id,
            "version": automation.version,
            "sha256": run.protocol.sha256,
            "path": str(run.protocol.found.path),
        },
        "model": result.model,
        "in_place_of": result.substitution.asked if result.substitution else None,
        "answer": plain(result.answer) if result.answer else None,
        "text": None if result.answer else result.text,
        "facts": plain([_fact(fact) for fact in run.facts.calculated]),
        "findings": [vars(finding) for finding in result.findings],
        "warnings": result.warnings,
        "verified": result.verified,
        "usage": vars(result.usage),
        **bill.data(result.attempts),
    }


def entry(result: Result) -> Entry:
    """A result as the history keeps it."""
    run, made = result.run, datetime.now(UTC)
    request = run.request
    called = result.model is not None
    return Entry(
        run_id=run.run_id,
        command=request.origin.command,
        subject=request.origin.subject,
        automation=run.protocol.id,
        automation_version=run.protocol.automation.version,
        model=result.model,
        verified=result.verified,
        prompt="\n\n".join(message.text for message in request.messages) if called else None,
        system=request.system if called else None,
        reply=result.text,
        data=data(result),
        page=view.to_json(view.note(result, made)),
    )


def _fact(fact: Fact) -> dict[str, Any]:
    return {
        "name": fact.name,
        "label": fact.label,
        "calculator": fact.result.id,
        "value": fact.result.value,
        "unit": fact.result.unit,
        "interpretation": fact.result.interpretation,
        "determinable": fact.result.determinable,
        "range": fact.result.range,
        "missing": fact.missing,
        "assumptions": fact.result.assumptions,
        "formula_version": fact.result.formula_version,
        "source": fact.result.source,
    }
