"""What a prompt is made of: texts, and media that are carried as bytes. Knows no file and no model."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Text:
    """Text of a prompt; `name` is the file that it came from, if any, whose own text begins after `lead` lines.

    `notes` say what was left out when the file was read, or guessed, for a person to know.
    """

    text: str
    name: str | None = None
    lead: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Media:
    """An image, a PDF or a sound, as bytes; `notes` as in `Text`."""

    data: bytes
    mime_type: str
    name: str | None = None
    notes: tuple[str, ...] = ()


Part = Text | Media
