"""What a search finds, as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from gemx.documents import Passage

Ranking = Literal["words", "vectors"]


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A chunk that a search found; `id` is `<kb>/<document>#<chunk>`, which an answer cites.

    `text` is what stands from `start` to `end`, character offsets in the document's extracted text; `page` is None
    where the document has no pages, `heading` is empty where none stands above. `score`, from 0 to 1, is the share of
    the query's words that it covers, the rare ones weighing more; `cosine`, from -1 to 1, is None without vectors.
    `ranks` has its place, from 1, in each ranking that it came from.
    """

    id: str
    document: str
    path: str
    heading: str
    page: int | None
    start: int
    end: int
    text: str
    score: float
    cosine: float | None = None
    ranks: Mapping[Ranking, int] = field(default_factory=dict[Ranking, int])

    @property
    def passage(self) -> Passage:
        """The hit as a passage that can be cited."""
        return Passage(self.id, self.text, self.heading, self.path, self.start, self.end)

    def data(self) -> dict[str, Any]:
        """What --json shows of it."""
        return {**vars(self), "ranks": dict(self.ranks)}
