"""Search all texts of a call at once: what identifies somebody in one of them does so wherever it stands again.

A label says once whose name it is, and a model's answer repeats the name without it. Decides nothing.
"""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Mapping, Sequence

from gemx.gateway import identifiers
from gemx.gateway.identifiers import Found, Kind

# Shorter values, such as the number of a bed, are numbers of many other things.
_SHORTEST = 5
_KNOWN_BY_VALUE = ("name", "record")
# Each is looked for on its own; of a list of patients the values as they stand must do.
_MOST_TOLD = 50


def find_everywhere(texts: Sequence[str], private: Sequence[tuple[str, str]]) -> list[list[Found]]:
    """What is found in each text, in order and never overlapping, also what only another text says of it."""
    found = [identifiers.find(text, private) for text in texts]
    kinds: dict[str, Kind] = {
        text[each.start : each.end]: each.kind
        for text, items in zip(texts, found, strict=True)
        for each in items
        if each.end - each.start >= _SHORTEST
    }
    if not kinds:
        return found
    told = sorted((kind, value) for value, kind in kinds.items() if kind in _KNOWN_BY_VALUE)[:_MOST_TOLD]
    if told:
        found = [identifiers.find(text, (*private, *told)) for text in texts]
    longest_first = sorted(kinds, key=lambda value: (-len(value), value))
    again = re.compile("|".join(rf"(?<!\w){re.escape(value)}(?!\w)" for value in longest_first))
    return [_with_more(items, _literally(again, text, kinds)) for text, items in zip(texts, found, strict=True)]


def _literally(pattern: re.Pattern[str], text: str, kinds: Mapping[str, Kind]) -> list[Found]:
    return [Found(kinds[match[0]], match.start(), match.end()) for match in pattern.finditer(text)]


def _with_more(found: Sequence[Found], more: Sequence[Found]) -> list[Found]:
    """Both, without what overlaps what was found first; each is in order and does not overlap itself."""
    starts = [each.start for each in found]

    def is_free(each: Found) -> bool:
        at = bisect(starts, each.start)
        before, after = found[at - 1] if at else None, found[at] if at < len(found) else None
        return (before is None or before.end <= each.start) and (after is None or each.end <= after.start)

    return sorted((*found, *filter(is_free, more)), key=lambda each: each.start)
