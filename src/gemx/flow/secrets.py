"""Keep the secrets of a flow out of all that is kept or shown. A secret's name is no secret."""

from __future__ import annotations

import json
from collections.abc import Mapping

from gemx import keys


def names(secrets: Mapping[str, str]) -> dict[str, str]:
    """What stands for each secret where its value must not: in the key of a step."""
    return {name: f"[secret {name}]" for name in secrets}


def redacted(text: str, secrets: Mapping[str, str]) -> str:
    """The text without any secret, as it is or as JSON has it, and without what looks like an API key."""
    said = names(secrets)
    for name, value in sorted(secrets.items(), key=lambda item: -len(item[1])):
        for form in {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}:
            text = text.replace(form, said[name])
    return keys.redact(text)
