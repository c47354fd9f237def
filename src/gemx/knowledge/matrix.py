"""The vectors of a base as one matrix in the cache, mapped into memory; made anew from the base when they change."""

from __future__ import annotations

import io
import secrets
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gemx import places, storage
from gemx.errors import StorageError
from gemx.knowledge import tables
from gemx.knowledge.base import Base

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_REVISION = "vectors_revision"
_BATCH = 4096


def renew(database: storage.Database) -> None:
    """Give the vectors another revision; in the transaction that changes them."""
    tables.set_fact(database, _REVISION, secrets.token_hex(8))


def revision(database: storage.Database) -> str:
    """The revision of the vectors."""
    return tables.fact(database, _REVISION) or "none"


def discard(base: Base) -> None:
    """Delete the matrices of a base: vectors tell of their texts. Raises StorageError."""
    _discard_but(base, None)


def load(base: Base, database: storage.Database, size: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The chunks (n) and their vectors (n × size, float32, of length 1), in the order of the chunks.

    Raises StorageError.
    """
    stem = f"{base.stem}-{revision(database)}"
    ids, vectors = (places.kb_cache_dir() / f"{stem}{suffix}" for suffix in (".ids.npy", ".npy"))
    if not (places.is_file(ids) and places.is_file(vectors)):
        _write(base, database, size, ids, vectors)
    try:
        return _mapped(ids, vectors)
    except FileNotFoundError:
        # Another process has a newer one already.
        return _read(database, size)
    except (OSError, ValueError) as exc:
        hint = f"delete {vectors.parent}: it is made again"
        raise StorageError(f"cannot read {vectors}: {exc}", hint=hint) from exc


@lru_cache(maxsize=8)
def _mapped(ids: Path, vectors: Path) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    # Of one revision they never change, and to map them anew for each query of a batch takes longer than the query.
    import numpy as np

    return np.load(ids), np.load(vectors, mmap_mode="r")


def _write(base: Base, database: storage.Database, size: int, ids: Path, vectors: Path) -> None:
    places.ensure_private_dir(ids.parent)
    for path, array in zip((ids, vectors), _read(database, size), strict=True):
        places.write_private(path, _file(array))
    _discard_but(base, ids.name.partition(".")[0])


def _read(database: storage.Database, size: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    import numpy as np

    count = int(database.conn.execute("SELECT count(*) FROM vectors").fetchone()[0])
    ids, matrix = np.empty(count, dtype=np.int64), np.empty((count, size), dtype=np.float32)
    cursor = database.conn.execute("SELECT chunk, vector FROM vectors ORDER BY chunk")
    place = 0
    while found := cursor.fetchmany(_BATCH):
        ids[place : place + len(found)] = [row[0] for row in found]
        rows = np.frombuffer(b"".join(row[1] for row in found), dtype="<f4")
        matrix[place : place + len(found)] = rows.reshape(len(found), size)
        place += len(found)
    return ids, matrix


def _file(array: NDArray[Any]) -> Iterator[bytes]:
    import numpy as np

    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(array))
    yield header.getvalue()
    for start in range(0, len(array), _BATCH):
        yield array[start : start + _BATCH].tobytes()


def _discard_but(base: Base, kept: str | None) -> None:
    for path in places.kb_cache_dir().glob(f"{base.stem}-*.npy"):
        # `a-b` is a base of its own beside `a`, and no revision holds a hyphen.
        stem = path.name.partition(".")[0]
        if stem.rpartition("-")[0] == base.stem and stem != kept:
            with suppress(FileNotFoundError):
                path.unlink()
