"""Which embedder made a base's vectors, and that no other is mixed with it. Vectors come from the door alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gemx import storage
from gemx.errors import ConfigError, ContextLengthError, GemxError
from gemx.knowledge import matrix, tables
from gemx.knowledge.base import Base

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gemx.gateway import Attempt, Origin, Policy

NONE = "none"
BATCH = 64

OnBatch = Callable[[int, int], None]
_FACT = "embedder"
_GGUF = "gguf:"
_SHORTEST = 40  # characters; what is shorter is not cut to fit
_MISSING = "FROM chunks LEFT JOIN vectors ON vectors.chunk = chunks.id WHERE vectors.chunk IS NULL"
_INSERT = """
    INSERT INTO vectors (chunk, vector) SELECT :chunk, :vector WHERE EXISTS (SELECT 1 FROM chunks WHERE id = :chunk)
    ON CONFLICT DO NOTHING
"""


@dataclass(frozen=True)
class Embedder:
    """An embedder: how -m would name it, and what is known since its first vector: the model as it named itself, and
    the number of dimensions. Of a GGUF file also its size, time in ns and hash.
    """

    route: str
    model: str | None = None
    dimensions: int | None = None
    file_size: int | None = None
    file_modified: int | None = None
    sha256: str | None = None


def of(base: Base) -> Embedder | None:
    """The embedder of a base, None where it has none. Raises StorageError."""
    with tables.opened(base) as database:
        return _read(database)


def choose(base: Base, route: str) -> None:
    """Make it the embedder of a base that has none. Raises ConfigError where the base has another, UsageError."""
    from gemx import gateway

    gateway.check_flags(route, {}, ())
    wanted = _identified(route)
    with tables.opened(base) as database, storage.transaction(database):
        held = _read(database)
        if held is None:
            _write(database, wanted)
        elif (held.route, held.sha256) != (wanted.route, wanted.sha256):
            raise _mixed(base, held, wanted)


def replace_with(base: Base, route: str | None) -> None:
    """Forget every vector, and make another the embedder of a base; None: the same, "none": no embedder any more."""
    if route not in (None, NONE):
        from gemx import gateway

        gateway.check_flags(route, {}, ())
    with tables.opened(base) as database:
        held = _read(database)
        name = route or (held.route if held else NONE)
        wanted = None if name == NONE else _identified(name)
        with storage.transaction(database):
            database.conn.execute("DELETE FROM vectors")
            matrix.renew(database)
            _write(database, wanted)
    matrix.discard(base)


def missing(base: Base) -> int:
    """How many chunks have no vector yet. Raises StorageError."""
    with tables.opened(base) as database:
        return _count_missing(database)


@dataclass(frozen=True)
class Filled:
    """How many vectors were made, and the tries at the embedder that it took."""

    count: int = 0
    attempts: tuple[Attempt, ...] = ()


def fill(base: Base, policy: Policy, origin: Origin, on_batch: OnBatch | None = None) -> Filled:
    """Embed the chunks that have no vector yet, a batch at a time, each kept before the next is asked for.

    `on_batch` hears how many are done of how many. Raises GemxError of the door, StorageError, ConfigError.
    """
    held = checked(base)
    if held is None:
        return Filled()
    done, total = 0, missing(base)
    attempts: list[Attempt] = []
    while found := _next(base):
        if on_batch:
            on_batch(done, total)
        # Each batch has the time of a whole call: how long all of them take is no sign that one hangs.
        renewed = policy.towards(held.route, "the embedder of the base").renewed()
        try:
            answer = _embedded([text for _, text in found], renewed, origin)
        except GemxError as exc:
            exc.attempts = (*attempts, *exc.attempts)
            raise
        _keep(base, held.route, [number for number, _ in found], answer)
        done += len(found)
        attempts += answer.attempts
    return Filled(done, tuple(attempts))


def query(
    base: Base, held: Embedder, text: str, policy: Policy, origin: Origin
) -> tuple[NDArray[np.float32], tuple[Attempt, ...]]:
    """The vector of a query, of length 1, and the tries that it took.

    Raises GemxError of the door, ConfigError where it is of another kind.
    """
    answer = _embedded([text], policy.towards(held.route, "the embedder of the base"), origin)
    found = replace(held, model=answer.model, dimensions=int(answer.vectors.shape[1]))
    if found != held:
        raise _mixed(base, held, found)
    return answer.vectors[0], answer.attempts


def checked(base: Base) -> Embedder | None:
    """The embedder of a base; where it is a file, that file is still the same. Raises ConfigError, StorageError."""
    held = of(base)
    if held is None or held.sha256 is None:
        return held
    found = _path(held.route).stat()
    if (found.st_size, found.st_mtime_ns) == (held.file_size, held.file_modified):
        return held
    now = _identified(held.route)
    if now.sha256 != held.sha256:
        raise _mixed(base, held, now)
    touched = replace(held, file_modified=now.file_modified)
    with tables.opened(base) as database, storage.transaction(database):
        # It was only touched: the next time it need not be read.
        if _read(database) == held:
            _write(database, touched)
    return touched


def identity(database: storage.Database) -> tuple[str | int | None, ...]:
    """What the vectors of a base depend on, wherever the embedder's file lies."""
    held = _read(database)
    return (held.sha256 or held.route, held.model, held.dimensions) if held else ()


@dataclass(frozen=True)
class _Answer:
    """The model as it named itself, a vector of length 1 a text (n × dimensions), and the tries that it took."""

    model: str
    vectors: NDArray[np.float32]
    attempts: tuple[Attempt, ...]


def _embedded(texts: Sequence[str], policy: Policy, origin: Origin) -> _Answer:
    """The vectors of texts; of a text that is too long the mean of its halves."""
    import numpy as np

    from gemx import gateway

    try:
        answer = gateway.embed(texts, policy, origin)
    except ContextLengthError as exc:
        if len(texts) == 1 and len(texts[0]) < _SHORTEST:
            raise
        # One that is too long spoils a batch: alone, it is cut.
        middle = len(texts) // 2
        parts = [texts[:middle], texts[middle:]] if middle else [_halves(texts[0])]
        answers = [_embedded(part, policy, origin) for part in parts]
        vectors: NDArray[np.float32] = np.concatenate([each.vectors for each in answers])
        attempts = (*exc.attempts, *(attempt for each in answers for attempt in each.attempts))
        return _Answer(
            answers[0].model, _normalised(vectors if middle else vectors.mean(axis=0, keepdims=True)), attempts
        )
    return _Answer(answer.model, _normalised(np.asarray(answer.vectors, dtype=np.float32)), answer.attempts)


def _halves(text: str) -> list[str]:
    middle = text.rfind(" ", 1, len(text) // 2 + 1)
    middle = middle if middle > 0 else len(text) // 2
    return [text[:middle], text[middle:]]


def _normalised(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    import numpy as np

    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(lengths == 0, 1, lengths)).astype(np.float32)


def _next(base: Base) -> list[tuple[int, str]]:
    with tables.opened(base) as database:
        query = f"SELECT chunks.id, chunks.heading, chunks.text {_MISSING} ORDER BY chunks.id LIMIT {BATCH}"
        found = database.conn.execute(query).fetchall()
    return [(number, f"{heading}\n{text}" if heading else text) for number, heading, text in found]


def _count_missing(database: storage.Database) -> int:
    return int(database.conn.execute(f"SELECT count(*) {_MISSING}").fetchone()[0])


def _keep(base: Base, route: str, numbers: Sequence[int], answer: _Answer) -> None:
    with tables.opened(base) as database, storage.transaction(database):
        held = _read(database)
        # Another process may have been here meanwhile.
        found = replace(held or Embedder(route), model=answer.model, dimensions=int(answer.vectors.shape[1]))
        if held is None or held.route != route or (held.model is not None and held != found):
            raise _mixed(base, held, found)
        _write(database, found)
        rows = zip(numbers, answer.vectors, strict=True)
        values = ({"chunk": number, "vector": vector.astype("<f4").tobytes()} for number, vector in rows)
        database.conn.executemany(_INSERT, values)
        matrix.renew(database)


def _identified(route: str) -> Embedder:
    if not route.startswith(_GGUF):
        return Embedder(route)
    path = _path(route)
    found = path.stat()
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    # A relative path would be another file in another folder.
    by_path = route.endswith(".gguf") or "/" in route
    return Embedder(
        f"{_GGUF}{path}" if by_path else route, file_size=found.st_size, file_modified=found.st_mtime_ns, sha256=digest
    )


def _path(route: str) -> Path:
    from gemx.models import registry

    return registry.path_of(route.removeprefix(_GGUF)).absolute()


def _read(database: storage.Database) -> Embedder | None:
    text = tables.fact(database, _FACT)
    return None if text is None else Embedder(**json.loads(text))


def _write(database: storage.Database, embedder: Embedder | None) -> None:
    tables.set_fact(database, _FACT, None if embedder is None else json.dumps(asdict(embedder), sort_keys=True))


def _mixed(base: Base, held: Embedder | None, found: Embedder) -> ConfigError:
    return ConfigError(
        f"the vectors of the base {base.name!r} are of {_described(held)}, and those of {_described(found)} do not "
        "compare with them",
        hint=f"gemx kb rebuild --kb {base.name} --embedder {found.route}",
    )


def _described(embedder: Embedder | None) -> str:
    if embedder is None:
        return "no embedder"
    parts = [
        f"model {embedder.model}" if embedder.model and embedder.model not in embedder.route else "",
        f"{embedder.dimensions} dimensions" if embedder.dimensions else "",
        f"sha256 {embedder.sha256[:12]}…" if embedder.sha256 else "",
    ]
    said = ", ".join(filter(None, parts))
    return f"{embedder.route} ({said})" if said else embedder.route
