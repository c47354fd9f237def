"""Local models as rows, tables and pages. Prints nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gemx.cli.history_text import clipped
from gemx.errors import NotFoundError
from gemx.sanitize import printable

if TYPE_CHECKING:
    from gemx.models.catalog import Item
    from gemx.models.store import Entry

_UNITS = ("B", "kB", "MB", "GB", "TB")


def rows(*, catalog: bool) -> list[dict[str, Any]]:
    """Every model, those on this machine first; where `catalog` says so, the available ones too."""
    from gemx.models import catalog as known
    from gemx.models import registry, store

    entries = [entry for entry in store.entries() if entry.part_of is None]
    by_hand = [name for name in registry.files() if name not in {entry.name for entry in entries}]
    found = sorted([_row(entry) for entry in entries] + [_by_hand(name) for name in by_hand], key=_name)
    if catalog:
        taken = {row["name"] for row in found}
        found += [offered(name, item) for name, item in known.load().models.items() if name not in taken]
    return found


def details(name: str) -> dict[str, Any]:
    """All that is known of a model. Raises NotFoundError, and InputError where its file cannot be read."""
    from gemx import library
    from gemx.models import catalog, registry, store

    entry = store.get(name)
    if entry is not None:
        return {**_row(entry), **_origin(entry), "projector": _projector(name)}
    if name in registry.files():
        return {**_by_hand(name, read=True), "path": str(store.file_of(name))}
    known = catalog.load().models
    if name in known:
        return offered(name, known[name])
    near = library.suggest(name, [*registry.files(), *known])
    raise NotFoundError(f"no model {name!r}{near}", hint="gemx models list names them")


def offered(name: str, item: Item) -> dict[str, Any]:
    """A model of the catalog."""
    return {
        "name": name,
        "state": "available",
        "title": item.title,
        "license": item.license,
        "license_page": item.license_url,
        "license_must_be_accepted": item.accept,
        "modality": item.modality,
        "context": item.context,
        "quantizations": list(item.quantizations),
        "source": item.repository,
    }


def table(found: Sequence[Mapping[str, Any]], width: int) -> Iterator[str]:
    """A line each: name, state, quantisation, size, context and licence."""
    widest = max((len(row["name"]) for row in found), default=0)
    for row in found:
        quantization = row.get("quantization") or (row.get("quantizations") or [""])[0]
        cells = [f"{row['name']:<{widest}}", f"{_state(row):<11}", f"{quantization or '':<6}"]
        cells += [f"{size(row.get('size')):>7}", f"{_tokens(row.get('context')):>5}", row.get("license") or ""]
        yield printable(" ".join(cells))[:width].rstrip()


def found(catalog: Sequence[Mapping[str, Any]], hits: Sequence[Mapping[str, Any]], width: int) -> Iterator[str]:
    """What a search found: names of the catalog, and repositories of the endpoint."""
    widest = max((len(row["name"]) for row in catalog), default=0)
    for row in catalog:
        line = f"{row['name']:<{widest}}  {row['title']} · {row['modality']} · {row['license']}"
        yield printable(line)[:width]
    for hit in hits:
        marks = [hit["license"] or "licence not named", *(["access must be asked for"] if hit["gated"] else [])]
        yield clipped(f"{hit['name']}  {' · '.join(marks)}", width)


def page(data: Mapping[str, Any]) -> Iterator[str]:
    """All that is known of a model, a line each."""
    for name, value in data.items():
        if value is None or value in ("", []):
            continue
        text = size(value) if name == "size" else ", ".join(value) if isinstance(value, list) else str(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        yield f"{name.replace('_', ' ')}: {'yes' if value is True else 'no' if value is False else text}"


def size(count: int | None) -> str:
    """Bytes as people read them: 4.92 GB."""
    if count is None:
        return ""
    value, unit = float(count), 0
    while value >= 1000 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.{0 if unit == 0 else 3 - len(str(int(value)))}f} {_UNITS[unit]}"


def _row(entry: Entry) -> dict[str, Any]:
    from gemx import places
    from gemx.models import store

    header = entry.header or {}
    gone = entry.state == "installed" and not places.is_file(entry.path)
    part = store.part_of(entry.path)
    coming = entry.state == "downloading" and places.is_file(part)
    return {
        "name": entry.name,
        "state": "broken" if gone else entry.state,
        "problem": "its file is gone" if gone else entry.problem,
        **({"downloaded": part.stat().st_size} if coming else {}),
        "architecture": header.get("architecture"),
        "quantization": header.get("quantization"),
        "parameters": header.get("parameters"),
        "context": header.get("context"),
        "chat_template": header.get("has_chat_template"),
        "embeds": header.get("embeds"),
        "size": entry.size,
        "license": entry.license,
    }


def _origin(entry: Entry) -> dict[str, Any]:
    return {
        "license_accepted": entry.accepted,
        "source": entry.source,
        "commit": entry.revision or None,
        "sha256": entry.sha256,
        "verified": entry.verified,
        "path": str(entry.path),
    }


def _by_hand(name: str, *, read: bool = False) -> dict[str, Any]:
    """A file that someone put into the folder: nothing says what it should hold."""
    from dataclasses import asdict

    from gemx.models import gguf, store

    path = store.file_of(name)
    row: dict[str, Any] = {"name": name, "state": "installed", "verified": None, "size": path.stat().st_size}
    if read:
        header = asdict(gguf.read(path))
        kept = ("architecture", "quantization", "parameters", "context", "embeds", "license")
        row |= {key: header[key] for key in kept} | {"chat_template": header["has_chat_template"]}
    return row


def _projector(name: str) -> str | None:
    from gemx.models import store

    return next((str(each.path) for each in store.entries() if each.part_of == name), None)


def _state(row: Mapping[str, Any]) -> str:
    """The state of a row, and how far a download has come."""
    if row.get("downloaded") is None or not row.get("size"):
        return str(row["state"])
    return f"download {100 * row['downloaded'] // row['size']}%"


def _name(row: Mapping[str, Any]) -> str:
    return str(row["name"]).casefold()


def _tokens(count: int | None) -> str:
    if count is None:
        return ""
    return f"{count // 1024}k" if count >= 1024 else str(count)
