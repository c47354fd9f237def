"""Find what identifies a person in a text: documents, phones, addresses, dates of birth, records, and names it is told.

It knows shapes, check digits and labels as Brazilians write them, the keys and places of exports and messages, and the
private values that come with a request. It knows no name that nobody labelled or told it, and it decides nothing: what
is to be done about a finding is not its matter. Every pattern is bounded, so that the time grows with the length of the
text and no faster.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gemx.gateway.identifiers.births import aged
from gemx.gateway.identifiers.digits import cns_is_valid, cpf_is_valid
from gemx.gateway.identifiers.exports import keyed
from gemx.gateway.identifiers.labels import labelled
from gemx.gateway.identifiers.names import named
from gemx.gateway.identifiers.page import Hit, Kind, fold
from gemx.gateway.identifiers.private import told
from gemx.gateway.identifiers.shapes import emails, shaped
from gemx.gateway.identifiers.tables import columns

__all__ = ["Found", "Kind", "cns_is_valid", "cpf_is_valid", "find"]


@dataclass(frozen=True)
class Found:
    """An identifier at `text[start:end]`."""

    kind: Kind
    start: int
    end: int


def find(text: str, private: Sequence[tuple[str, str]] = ()) -> list[Found]:
    """What identifies a person, in order of start and never overlapping.

    `private` holds what the request knows of its patient, as (kind, value), the kinds being `name`, `bed` and `record`.
    Where two findings overlap they become one, of the more certain kind.
    """
    from gemx.gateway.identifiers.messages import placed  # its patterns take a while, and only a search needs them

    page = fold(text)
    hits = [*shaped(page), *emails(page), *labelled(page), *columns(page), *aged(page), *named(page)]
    hits += [*keyed(page), *placed(page)]
    for kind, value in private:
        hits += told(page, kind, value)
    # Of the text, where one character may be several of the page: there they may overlap that did not.
    of_text = (Hit(hit.kind, *page.span(hit.start, hit.end), hit.certainty) for hit in hits)
    return [Found(hit.kind, hit.start, hit.end) for hit in _merged(of_text)]


def _merged(hits: Iterable[Hit]) -> list[Hit]:
    """The hits in order; overlapping ones become one, so that no part of either is left over."""
    merged: list[Hit] = []
    for hit in sorted(hits, key=lambda hit: (hit.start, -hit.end)):
        if merged and hit.start < merged[-1].end:
            last = merged[-1]
            best = max(last, hit, key=lambda each: (each.certainty, each.end - each.start))
            merged[-1] = Hit(best.kind, last.start, max(last.end, hit.end), best.certainty)
        else:
            merged.append(hit)
    return merged
