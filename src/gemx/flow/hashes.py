"""What a flow depends on, as hashes: its file, and the files and bases that its steps use."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gemx import knowledge, places
from gemx.automation.protocol import Protocol
from gemx.errors import StorageError
from gemx.flow import values
from gemx.flow.resources import Resources
from gemx.flow.shelf import Loaded

# Beside an automation, what decides how a patient is read and an answer is checked.
_SHARED = ("inputs.yaml", "vocabulary.yaml")


def of(loaded: Loaded) -> str:
    """A hash that changes whenever the flow's file changes, or what it uses: automations, drugs, templates, bases.

    Reads knowledge bases: ask once for a run. Raises NotFoundError where a base is absent, InputError, StorageError.
    """
    return of_value([loaded.sha256, dict(by_step(loaded))])


def by_step(loaded: Loaded) -> Mapping[str, str]:
    """A hash of what each step uses beside the flow, by the step's id. Reads and raises as `of`."""
    return {id: _of_resources(used) for id, used in loaded.resources.items()}


def of_value(value: Any) -> str:
    """The hash of a value as canonical JSON."""
    return hashlib.sha256(values.to_json(value).encode("utf-8", "surrogatepass")).hexdigest()


def _of_resources(used: Resources) -> str:
    return of_value(
        {
            "template": used.template.sha256 if used.template else None,
            "automation": _of_protocol(used.protocol) if used.protocol else None,
            "schema": used.schema,
            "program": _of_file(used.program) if used.program else None,
            "plugin": [used.plugin.plugin, used.plugin.version] if used.plugin else None,
            "base": knowledge.content_hash(used.base) if used.base is not None else None,
        }
    )


def _of_protocol(protocol: Protocol) -> str:
    shared = places.shipped("automations")
    drugs = sorted((protocol.formulary_dir or shared / "formulary").glob("*.yaml"))
    files = [*(shared / name for name in _SHARED), *drugs]
    passages = [[passage.id, passage.heading, passage.text] for passage in protocol.passages]
    return of_value([protocol.sha256, passages, *([path.name, _of_file(path)] for path in files)])


def _of_file(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as exc:
        raise StorageError(f"cannot read {path}: {exc.strerror}") from exc
