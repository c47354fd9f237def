"""Knowledge bases as text: hits, documents, chunks, and what an addition did. Prints nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from gemx.cli.history_text import clipped
from gemx.sanitize import printable

if TYPE_CHECKING:
    from gemx.knowledge import Hit
    from gemx.knowledge.ingest import Outcome
    from gemx.knowledge.store import Document, Piece

_MOST_NAMED = 10
_LINES = 3


def hits(found: Sequence[Hit], width: int) -> Iterator[str]:
    """Each hit: its id and score, where it stands, and how it begins."""
    for hit in found:
        near = f" · cosseno {hit.cosine:.2f}" if hit.cosine is not None else ""
        yield f"[{hit.id}] {hit.score:.2f}{near}"
        yield f"  {clipped(place(hit), width - 2)}"
        text = " ".join(printable(hit.text).split())
        yield from (f"  {line}" for line in wrap(text, width - 2, max_lines=_LINES, placeholder="…"))


def place(hit: Hit) -> str:
    """Where a hit stands: its file, page, heading and characters."""
    page = f"página {hit.page}" if hit.page else ""
    span = f"caracteres {hit.start}–{hit.end}"
    # The end of a trail of headings says most.
    return " · ".join(part for part in (Path(hit.path).name, page, span, hit.heading) if part)


def sources(cited: Sequence[Hit]) -> str:
    """The places of what an answer cites, a line each."""
    lines = [f"[{hit.id}] {place(hit)}" for hit in cited]
    return "\n".join(["Fontes:", *lines]) if lines else ""


def documents(found: Sequence[Document], width: int) -> Iterator[str]:
    """Each document: its name, how many chunks, when it was added, and its file."""
    widest = max((len(each.name) for each in found), default=0)
    for each in found:
        yield clipped(f"{each.name:<{widest}}  {each.chunks:>5}  {each.added[:10]}  {each.path}", width)


def pieces(found: Sequence[Piece], width: int) -> Iterator[str]:
    """Each chunk: its number, where it stands, and how it begins."""
    for each in found:
        page = f"página {each.page} · " if each.page else ""
        yield clipped(f"#{each.number}  {page}{each.start}–{each.stop}  {each.heading}", width)
        yield f"    {clipped(each.text, width - 4)}"


def summary(outcome: Outcome) -> str:
    """What became of the files, in numbers."""
    counts = (
        ("added", outcome.added),
        ("changed", outcome.changed),
        ("unchanged", outcome.unchanged),
        ("removed", outcome.removed),
        ("not read", outcome.unread),
    )
    return ", ".join(f"{len(found)} {name}" for name, found in counts if found) or "nothing to do"


def remarks(outcome: Outcome) -> Iterator[str]:
    """What a person should know beside the numbers."""
    for name, note in outcome.notes:
        yield f"{name}: {note}"
    if outcome.passed:
        yield f"passed over: {', '.join(f'{count} {kind}' for kind, count in sorted(outcome.passed.items()))}"
    if outcome.gone:
        yield f"their files are gone, and they stay: {_named(outcome.gone)}; gemx kb add --prune removes them"


def data(outcome: Outcome) -> dict[str, Any]:
    """What --json shows of it."""
    return {
        **vars(outcome),
        "unread": [{"path": path, "why": why} for path, why in outcome.unread],
        "notes": [{"document": name, "note": note} for name, note in outcome.notes],
        "passed": dict(outcome.passed),
    }


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more
