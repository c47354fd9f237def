"""What tests of the door share: a request, a policy, a listener that remembers, and what the audit holds."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from gemx import places
from gemx.documents import Text
from gemx.gateway import Message, Origin, Policy, Request, make
from gemx.settings import Config, Profile, Settings

MODEL = "gemini:gemini-3.8-flash"
ORIGIN = Origin(command="gen", run_id="run-1")


def request(text: str = "PAM 57", **changes: Any) -> Request:
    return Request(**{"messages": (Message("user", (Text(text),)),), "origin": ORIGIN, **changes})


@dataclass
class Listener:
    """Remembers what the door said."""

    notes: list[str] = field(default_factory=list[str])
    warnings: list[str] = field(default_factory=list[str])
    waits: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])
    ended: int = 0

    def note(self, text: str) -> None:
        self.notes.append(text)

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def waiting(self, seconds: float, why: str) -> None:
        self.waits.append((seconds, why))

    def waited(self) -> None:
        self.ended += 1


def policy(
    model: str | None = MODEL,
    *,
    flags: dict[str, Any] | None = None,
    profile: dict[str, Any] | None = None,
    listener: Listener | None = None,
    **config: Any,
) -> Policy:
    parsed = Profile.model_validate({"gemx": "profile/v1", "title": "x", **profile}) if profile else None
    settings = Settings(Config.model_validate(config), parsed, "uti" if profile else None)
    return make(settings, model=model, listener=listener, **{"timeout": 30, **(flags or {})})


def audit() -> list[dict[str, Any]]:
    files = sorted(places.audit_dir().glob("*.jsonl"))
    return [json.loads(line) for path in files for line in path.read_text().splitlines()]
