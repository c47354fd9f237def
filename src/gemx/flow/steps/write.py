"""`write`: a file in the output folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gemx.errors import InputError
from gemx.flow import values
from gemx.flow.schema import Step
from gemx.flow.steps.call import Call, Outcome
from gemx.sanitize import printable


def filled(step: Step, known: Mapping[str, Any]) -> dict[str, Any]:
    """The path, and the content."""
    assert step.write is not None  # noqa: S101
    return {"path": values.fill(step.write.path, known), "content": values.fill(step.write.content, known)}


def run(call: Call) -> Outcome:
    """Write it: text without the characters that would drive a terminal, anything else as JSON."""
    path, content = call.spec["path"], call.spec["content"]
    if path is None or content is None:
        raise InputError(f"the {'path' if path is None else 'content'} is null: what it reads is not there")
    text = content if isinstance(content, str) else f"{values.to_json(content)}\n"
    data = printable(text).encode("utf-8", "backslashreplace")
    written = call.context.folder.write(values.written(path), data)
    return Outcome({"path": str(written), "bytes": len(data)})
