"""The privacy guard: what a call would send is looked at before it leaves this machine.

Levels, from the mildest: `off`; `warn` tells; `mask` sends placeholders and puts the values back into the answer;
`block` refuses. What it says names kinds and places, never a value. Calls nothing; knows nothing of providers.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from gemx.documents import Part, Text
from gemx.errors import PrivacyError
from gemx.gateway import identifiers, search
from gemx.gateway.identifiers import Found
from gemx.gateway.masking import Masks
from gemx.providers import Reach
from gemx.providers.base import Message, Request
from gemx.settings import Guard, Settings

LEVELS: tuple[Guard, ...] = ("off", "warn", "mask", "block")
DEFAULT: Guard = "warn"
_UNREADABLE = "unreadable"
_NAMES = {
    "cpf": "CPF",
    "cns": "CNS",
    "rg": "RG",
    "phone": "telephone",
    "cep": "CEP",
    "email": "e-mail",
    "birth_date": "date of birth",
    "record": "record number",
    "name": "name",
    "bed": "bed",
    _UNREADABLE: "file that cannot be read as text",
}
_MOST_NAMED = 8


@dataclass(frozen=True)
class Guarded:
    """What may be sent. `kinds` counts what was found; `warning` tells of it where it is sent as it is."""

    level: Guard
    kinds: Mapping[str, int] = field(default_factory=dict[str, int])
    warning: str | None = None
    masks: Masks | None = None


@dataclass(frozen=True)
class _Place:
    """A text that would be sent, and how a user knows it; `lead` lines of it are not the user's."""

    name: str
    text: str
    lead: int = 0
    maskable: bool = True


@dataclass(frozen=True)
class _Spot:
    """One thing found: its kind, and where it stands."""

    kind: str
    where: str
    maskable: bool


def level_of(settings: Settings, flag: Guard | None, *, clinical: bool, reach: Reach) -> Guard:
    """The level of a call: the strictest that flag, profile or config.json asks for, else `warn`.

    Nothing is looked at that stays on this machine. Towards the cloud an automation has at least the level that
    config.json says for automations, `block` by default; only there may it be `mask`.
    """
    if reach == "machine":
        return "off"
    profile = settings.profile.guard if settings.profile else None
    asked = strictest(flag, profile, settings.config.guard) or DEFAULT
    return (strictest(asked, settings.config.automations.guard) or asked) if clinical and reach == "any" else asked


def strictest(*levels: Guard | None) -> Guard | None:
    """The strictest of levels; None where none is one."""
    return next((level for level in reversed(LEVELS) if level in levels), None)


def check(request: Request, level: Guard) -> tuple[Request, Guarded]:
    """The request as it may be sent. Raises PrivacyError where it may not."""
    if level == "off":
        return request, Guarded(level)
    places = [*_places(request), *_schema(request)]
    unreadable = [_name_of(part.name or part.mime_type, "file", request) for part in request.media]
    texts, guarded = _judge(places, unreadable, request.private, level)
    return (_with_texts(request, iter(texts)) if guarded.masks else request), guarded


def check_texts(
    texts: Sequence[str], private: Sequence[tuple[str, str]], level: Guard
) -> tuple[Sequence[str], Guarded]:
    """Texts to be embedded, as they may be sent. Raises PrivacyError where they may not."""
    if level == "off":
        return texts, Guarded(level)
    return _judge([_Place(f"text {number}", text) for number, text in enumerate(texts, start=1)], [], private, level)


def foretell(request: Request, level: Guard, reach: Reach) -> str:
    """What a call would meet with, for a person to read before it is made."""
    if reach == "machine":
        return "nothing leaves this machine"
    try:
        _, guarded = check(request, level)
    except PrivacyError as exc:
        return f"refused: {exc.message}"
    if guarded.masks is not None:
        counted = ", ".join(f"{count} {_NAMES[kind]}" for kind, count in guarded.kinds.items())
        return f"placeholders are sent (guard: mask) for {counted}"
    found = "not looked for" if level == "off" else "none found"
    return guarded.warning or f"identifiers: {found} (guard: {level})"


def _judge(
    places: Sequence[_Place], unreadable: Sequence[str], private: Sequence[tuple[str, str]], level: Guard
) -> tuple[Sequence[str], Guarded]:
    """The texts as they may be sent, and what was found in them. Raises PrivacyError where they may not."""
    texts = [place.text for place in places]
    found = search.find_everywhere(texts, private)
    spots = [_spot(place, each) for place, items in zip(places, found, strict=True) for each in items]
    spots += [_Spot(_UNREADABLE, name, maskable=False) for name in unreadable]
    kinds = Counter(spot.kind for spot in spots)
    if not spots:
        return texts, Guarded(level)
    unmaskable = [spot for spot in spots if not spot.maskable]
    if level == "block" or (level == "mask" and unmaskable):
        raise _refusal(spots if level == "block" else unmaskable, level, kinds)
    if level == "warn":
        return texts, Guarded(level, kinds, f"identifiers leave this machine (guard: warn): {_listed(spots)}")
    masks = Masks(texts)
    masked = [masks.mask(text, items) for text, items in zip(texts, found, strict=True)]
    return masked, Guarded(level, kinds, masks=masks)


def _places(request: Request) -> Iterator[_Place]:
    """The texts of a request that a model reads, in the order of `_with_texts`."""
    if request.system:
        yield _Place("system instruction", request.system)
    last = len(request.messages)
    for number, message in enumerate(request.messages, start=1):
        turn = "prompt" if number == last else f"message {number}"
        for place, part in enumerate(message.parts, start=1):
            if isinstance(part, Text):
                name = _name_of(part.name, f"file {place} of the {turn}", request) if part.name else turn
                yield _Place(name, part.text, part.lead)


def _schema(request: Request) -> Iterator[_Place]:
    if request.schema is not None:
        yield _Place("schema", json.dumps(dict(request.schema), ensure_ascii=False), maskable=False)


def _name_of(name: str, otherwise: str, request: Request) -> str:
    """What a file is called in a message: its own name, unless that says who the patient is."""
    plain = name.replace("_", " ")
    return otherwise if identifiers.find(name, request.private) or identifiers.find(plain, request.private) else name


def _with_texts(request: Request, texts: Iterator[str]) -> Request:
    """The request with other texts, in the order of `_places`."""
    system = next(texts) if request.system else request.system
    messages = tuple(
        Message(message.role, tuple(_with_text(part, texts) for part in message.parts)) for message in request.messages
    )
    return replace(request, messages=messages, system=system)


def _with_text(part: Part, texts: Iterator[str]) -> Part:
    return replace(part, text=next(texts)) if isinstance(part, Text) else part


def _spot(place: _Place, found: Found) -> _Spot:
    before = place.text[: found.start]
    line = before.count("\n") + 1 - place.lead
    column = found.start - (before.rfind("\n") + 1) + 1
    where = f"{place.name}, line {line}, column {column}" if line > 0 else f"{place.name}, its name"
    return _Spot(found.kind, where, place.maskable)


def _refusal(spots: Sequence[_Spot], level: Guard, kinds: Mapping[str, int]) -> PrivacyError:
    if level == "mask":
        what = "what cannot be masked would leave this machine (guard: mask)"
        hint = "leave it out, or use a model of this machine, such as gguf:NAME"
    else:
        what = "identifiers would leave this machine (guard: block)"
        hint = "take them out, or use a model of this machine, such as gguf:NAME; docs/privacy.md tells of masking"
    return PrivacyError(f"{what}: {_listed(spots)}", hint=hint, kinds=kinds)


def _listed(spots: Sequence[_Spot]) -> str:
    named = "; ".join(f"{_NAMES[spot.kind]} ({spot.where})" for spot in spots[:_MOST_NAMED])
    more = f"; and {len(spots) - _MOST_NAMED} more" if len(spots) > _MOST_NAMED else ""
    return named + more
