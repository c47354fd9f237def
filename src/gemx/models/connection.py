"""Ask a server for a file or a page of its interface: as far as the network is allowed to reach, in pieces.

The only HTTP of `models`. A redirect is followed, its host checked anew, and a token goes to the first host alone.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal

import httpx

from gemx import __version__
from gemx.errors import InputError, PrivacyError, StreamCutError, TemporaryError, TimeoutExceededError

_CONNECT_SECONDS = 10.0
_READ_SECONDS = 60.0
_MOST_REDIRECTS = 8
# The hash of a file, as an endpoint that keeps it elsewhere says it.
LINKED = "x-linked-etag"
_REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True)
class Network:
    """How far a download may go: this machine, the hosts of the site too, or any host."""

    reach: Literal["machine", "site", "any"] = "any"
    site: Sequence[str] = ()

    def check(self, url: httpx.URL) -> None:
        """Raise PrivacyError where a host lies beyond."""
        if not (self.reach == "any" or is_loopback(url.host) or (self.reach == "site" and self._is_site(url))):
            hint = "download the model where that is allowed, and give the file: gemx models install ./FILE.gguf"
            raise PrivacyError(f"{url.host} is not asked: the network is limited to {self.reach}", hint=hint)

    def is_proxied(self, url: httpx.URL) -> bool:
        """Whether the environment's proxies are used: not for what stays on the machine or the site."""
        return self.reach == "any" and not is_loopback(url.host) and not self._is_site(url)

    def _is_site(self, url: httpx.URL) -> bool:
        return url.host in [httpx.URL(each).host for each in self.site]


@dataclass(frozen=True)
class Answer:
    """What a server answers: the headers in lower case, those of the redirects that led there included."""

    url: str
    status: int
    headers: Mapping[str, str]
    response: httpx.Response

    def pieces(self) -> Iterator[bytes]:
        """The body as it comes: in pieces of a size of its own, httpx would lose one where the connection is cut."""
        return self.response.iter_raw()

    def body(self, most: int) -> bytes:
        """The body whole. Raises InputError where it is larger than `most` bytes."""
        data = bytearray()
        for piece in self.response.iter_bytes():
            data += piece
            if len(data) > most:
                raise InputError(f"{_host(self.url)} answers with more than {most} bytes")
        return bytes(data)


@contextmanager
def opened(
    url: str,
    network: Network,
    *,
    token: str | None = None,
    headers: Mapping[str, str] | None = None,
    method: Literal["GET", "HEAD"] = "GET",
) -> Generator[Answer]:
    """The answer of the server where a URL leads, for the block.

    Raises InputError on what is no URL, PrivacyError, TemporaryError; StreamCutError where it ends too early.
    """
    where = checked(url)
    met: dict[str, str] = {}
    first = where
    for _ in range(_MOST_REDIRECTS + 1):
        network.check(where)
        if is_loopback(where.host) and not is_loopback(first.host):
            raise InputError(f"{first.host} leads to {where.host}, which is this machine: not followed")
        if (first.scheme, where.scheme) == ("https", "http"):
            raise InputError(f"{first.host} leads to {where.host} without encryption: not followed")
        sent = {**(headers or {}), **_authorization(token, first, where)}
        with _told(where), _client(network, where) as client, client.stream(method, where, headers=sent) as response:
            met = {**response.headers, **{name: value for name, value in met.items() if name.startswith("x-")}}
            # What the storage says to a HEAD is of no use: its address may be signed for a GET alone.
            is_last = response.status_code not in _REDIRECTS or "location" not in response.headers
            if is_last or (method == "HEAD" and LINKED in met):
                yield Answer(str(where), response.status_code, met, response)
                return
            where = checked(str(where.join(response.headers["location"])))
    raise InputError(f"{first.host} leads on more than {_MOST_REDIRECTS} times")


def checked(url: str) -> httpx.URL:
    """A URL that can be asked for. Raises InputError."""
    try:
        found = httpx.URL(url)
    except httpx.InvalidURL:
        found = httpx.URL()
    if found.scheme not in ("http", "https") or not found.host or "%" in found.host:
        raise InputError("that is no address to download from", hint="give https://…")
    if found.userinfo:
        raise InputError(f"the address of {found.host} holds a user or a password, which is not sent")
    return found


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _authorization(token: str | None, first: httpx.URL, where: httpx.URL) -> dict[str, str]:
    same = (first.scheme, first.host, first.port) == (where.scheme, where.host, where.port)
    # In the clear it would be read on the way.
    safe = where.scheme == "https" or is_loopback(where.host)
    return {"Authorization": f"Bearer {token}"} if token and same and safe else {}


def _client(network: Network, url: httpx.URL) -> httpx.Client:
    return httpx.Client(
        verify=httpx.create_ssl_context() if url.scheme == "https" else True,
        trust_env=network.is_proxied(url),
        timeout=httpx.Timeout(_READ_SECONDS, connect=_CONNECT_SECONDS),
        headers={"User-Agent": f"gemx/{__version__}", "Accept-Encoding": "identity"},
    )


@contextmanager
def _told(url: httpx.URL) -> Generator[None]:
    """What httpx fails by, as an error of gemx."""
    try:
        yield
    except httpx.ConnectError as exc:
        hint = "check the network, and the proxy that HTTPS_PROXY names where there is one"
        raise TemporaryError(f"{url.host} cannot be reached: {exc}", hint=hint) from exc
    except httpx.ConnectTimeout as exc:
        raise TimeoutExceededError(f"{url.host} cannot be reached within {_CONNECT_SECONDS:g} s") from exc
    except httpx.TimeoutException as exc:
        raise TimeoutExceededError(f"{url.host}: nothing came for {_READ_SECONDS:g} s") from exc
    except httpx.HTTPError as exc:
        raise StreamCutError(f"{url.host}: the connection was cut: {exc}") from exc


def _host(url: str) -> str:
    return httpx.URL(url).host
