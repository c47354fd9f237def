"""What a step uses beside the flow: a template, an automation, a JSON Schema, a knowledge base. Read once."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gemx import places, plugins, schemas
from gemx.automation import protocol
from gemx.automation.protocol import Protocol
from gemx.errors import ConfigError, GemxError, NotFoundError
from gemx.flow.schema import Rag, Step
from gemx.plugins import Offer
from gemx.templates import Named, shelf

_YAML = (".yaml", ".yml")


@dataclass(frozen=True)
class Resources:
    """What one step uses: `base` is the name of a knowledge base, or a folder or file; `program` a file of the flow."""

    template: Named | None = None
    protocol: Protocol | None = None
    schema: Mapping[str, Any] | None = None
    base: str | Path | None = None
    program: Path | None = None
    plugin: Offer | None = None


LoadProtocol = Callable[[str, Path | None], Protocol]


def of(
    step: Step, folder: Path, formulary: Path | None = None, load_protocol: LoadProtocol = protocol.load
) -> Resources:
    """What a step of a flow in this folder uses. Raises GemxError with what cannot be had, or is wrong in itself."""
    if step.rag is not None:
        return Resources(base=base_of(step.rag, folder))
    if step.run is not None or step.uses is not None:
        program = _program(step.run[0], folder) if step.run else None
        return Resources(program=program, plugin=_offer(step.uses) if step.uses else None)
    if step.prompt is not None:
        template = step.prompt.template
        named = shelf.load(_beside(template, folder)) if template is not None else None
        return Resources(template=named, schema=_schema(step.prompt.schema_, folder))
    if step.auto is not None:
        return Resources(protocol=load_protocol(_beside(step.auto.name, folder), formulary))
    if step.verify is not None and step.verify.automation is not None:
        loaded = load_protocol(_beside(step.verify.automation, folder), formulary)
        if loaded.automation.output is None:
            raise ConfigError(f"the automation {loaded.id} has no contract to hold an answer to")
        return Resources(protocol=loaded)
    return Resources(schema=_schema(step.verify.schema_, folder)) if step.verify is not None else Resources()


def _offer(name: str) -> Offer:
    """The step of that name that an enabled plugin offers; it is not loaded yet. Raises NotFoundError."""
    offer = plugins.find("flow step", name)
    if offer is None:
        hint = plugins.not_enabled("flow step", name) or "gemx plugins list shows what is installed"
        raise NotFoundError(f"no enabled plugin has a flow step {name!r}", hint=hint)
    return offer


def base_of(rag: Rag, folder: Path) -> str | Path:
    """The name of a knowledge base, or a folder or file: one with a `/` is beside the flow. Raises NotFoundError."""
    if "/" not in rag.kb:
        return rag.kb
    path = _relative(rag.kb, folder)
    if not _exists(path):
        raise NotFoundError(f"no file or folder {path}")
    return path


def _program(name: str, folder: Path) -> Path | None:
    """A program whose name is a relative path; one by its name is looked for in PATH. Raises NotFoundError."""
    if "/" not in name or name.startswith("/"):
        return None
    path = folder / name
    if not places.is_file(path) or not os.access(path, os.X_OK):
        raise NotFoundError(f"no program {path}, or it may not be executed")
    return path.absolute()


def _beside(name: str, folder: Path) -> str:
    """A name as it is; a path from the flow's folder."""
    return str(_relative(name, folder)) if name.endswith(_YAML) or "/" in name else name


def _relative(name: str, folder: Path) -> Path:
    if name.startswith(("/", "~")):
        raise ConfigError(
            f"{name!r}: what a flow uses lies beside it, or has a name; expected a path such as ./{_stem(name)}"
        )
    return folder / name


def _stem(name: str) -> str:
    return Path(name).name or "folder"


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def _schema(given: str | dict[str, Any] | None, folder: Path) -> Mapping[str, Any] | None:
    if given is None:
        return None
    if not isinstance(given, str):
        return schemas.checked(given, "schema")
    is_path = given.endswith(".json") or ("/" in given and " " not in given)
    try:
        return schemas.load(str(_relative(given, folder)) if is_path else given)
    except GemxError as exc:
        exc.message = exc.message.replace("--schema", "the schema")
        raise
