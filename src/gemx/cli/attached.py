"""What a user attaches to a prompt: files, standard input, and addresses, which are fetched here and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gemx.cli import output

if TYPE_CHECKING:
    from collections.abc import Callable

    from gemx.documents import Part
    from gemx.settings import Network as NetworkName
    from gemx.settings import Settings


def read(name: str, fetch: Callable[[str], Part]) -> Part:
    """A file, `-` (standard input) or an address as a part; what was left out of it is told. Raises InputError."""
    from gemx import documents, places

    if "://" in name:
        part = fetch(name)
    else:
        part = documents.read_stdin_part() if name == "-" else documents.read_file(places.user_path(name))
    for note in part.notes:
        output.warning(f"gemx: {part.name}: {note}")
    return part


def fetched(resolved: Settings, network: NetworkName | None, timeout: float | None, address: str) -> Part:
    """What an address holds, as far as the network that is allowed reaches. Raises GemxError."""
    from gemx import gateway, web

    site = [endpoint.base_url for endpoint in resolved.config.endpoints.values() if endpoint.site]
    allowed = web.network(gateway.network_of(resolved, network), site)
    return web.fetch(address, allowed, float(resolved.resolve("timeout", timeout).value))
