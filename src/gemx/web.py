"""Fetch a page or file that the user named by its address, or post a message to one, within bounds. Calls no model.

`gemx gen -f` and `gemx chat` fetch, `gemx stats check` posts. Knows which hosts the policy's network allows, and asks
no other, redirects included. What comes is read by `documents`.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Literal, TypeVar

import httpx

from gemx import __version__, documents
from gemx.documents import Part
from gemx.documents.content import Kind
from gemx.errors import InputError, PrivacyError, TemporaryError, TimeoutExceededError

A = TypeVar("A")

LONGEST = 60.0
MOST_REDIRECTS = 5
_CONNECT_SECONDS = 10.0
_REDIRECTS = (301, 302, 303, 307, 308)
_PAGES = ("text/html", "application/xhtml+xml")
_TEXTS = ("application/json", "application/xml", "application/yaml", "application/x-yaml", "application/javascript")
_BY_CONTENT = (
    *("", "application/octet-stream", "binary/octet-stream", "application/pdf", "application/x-pdf"),
    *("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "application/zip"),
)


@dataclass(frozen=True)
class Network:
    """How far an address may lead: nothing but this machine, or the hosts of the site too, or any host."""

    reach: Literal["machine", "site", "any"]
    site: Sequence[str] = ()


@dataclass(frozen=True)
class _Found:
    """What a server gave in the end."""

    url: httpx.URL
    data: bytes
    content_type: str
    charset: str | None
    notes: tuple[str, ...]


def network(reach: Literal["machine", "site", "any"], site_urls: Sequence[str]) -> Network:
    """The network of a policy, with the hosts of the endpoints that are declared to be on the site."""
    return Network(reach, [httpx.URL(url).host for url in site_urls])


def fetch(address: str, network: Network, seconds: float) -> Part:
    """What stands at an address, as a file would be read. Raises PrivacyError, InputError or TemporaryError."""
    url = _checked(address)
    seconds = min(seconds, LONGEST)
    found = _within(seconds, lambda: _followed(url, network, time.monotonic() + seconds))
    return _part(found)


def post(address: str, body: Any, network: Network, seconds: float) -> None:
    """Post JSON to an address; what it answers does not matter, but that it takes it. No redirect is followed.

    An error names the host alone: the rest of the address may be a secret. Raises PrivacyError, InputError or
    TemporaryError.
    """
    url = _checked(address, "the address to post to")
    _allow(url, network)
    proxied = network.reach == "any" and url.host not in network.site and not _is_loopback(url.host)
    status = _within(seconds, lambda: _posted(url, body, seconds, proxied=proxied))
    if not 200 <= status < 300:
        kind = TemporaryError if status == 429 or status >= 500 else InputError
        raise kind(f"{url.host}: HTTP {status}, where 200 was expected")


def _posted(url: httpx.URL, body: Any, seconds: float, *, proxied: bool) -> int:
    try:
        # What is answered is not read: it may have no end.
        with _client(url, seconds, trust_env=proxied) as client, client.stream("POST", url, json=body) as response:
            return response.status_code
    except httpx.TimeoutException as exc:
        raise TimeoutExceededError(f"{url.host}: no answer within {seconds:g} s") from exc
    except httpx.RequestError as exc:
        raise TemporaryError(f"{url.host} cannot be reached") from exc


def _client(url: httpx.URL, seconds: float, *, trust_env: bool) -> httpx.Client:
    try:
        return httpx.Client(
            verify=httpx.create_ssl_context() if url.scheme == "https" else True,
            trust_env=trust_env,
            timeout=httpx.Timeout(seconds, connect=min(seconds, _CONNECT_SECONDS)),
            headers={"User-Agent": f"gemx/{__version__}", "Accept-Encoding": "gzip, deflate"},
        )
    except (OSError, ValueError, ImportError, httpx.InvalidURL) as exc:
        hint = "look at SSL_CERT_FILE, SSL_CERT_DIR and the proxies, such as HTTPS_PROXY"
        raise InputError("the certificates or the proxy of the environment cannot be used", hint=hint) from exc


def _checked(address: str, shown: str | None = None) -> httpx.URL:
    """The address as it can be asked for; a message says `shown` in place of one that may be a secret."""
    try:
        url = httpx.URL(address)
        # What is no name for a resolver must not end a call in the middle.
        url.host.encode("idna")
    except (httpx.InvalidURL, UnicodeError):
        url = httpx.URL()
    # httpx escapes what cannot stand in a host, and would ask for another one.
    if url.scheme not in ("http", "https") or not url.host or "%" in url.host:
        said = shown or _without_user(address)
        raise InputError(f"{said} is no address that can be read", hint="give http://… or https://…")
    if url.userinfo:
        hint = "download it by other means, and give the file"
        raise InputError(f"the address of {url.host} holds a user or a password, which is not sent", hint=hint)
    return url.copy_with(fragment=None)


def _without_user(address: str) -> str:
    scheme, _, rest = address.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def _name(url: httpx.URL) -> str:
    """The address without its query, which may say who asks."""
    return str(url.copy_with(query=None, fragment=None))


def _followed(url: httpx.URL, network: Network, deadline: float) -> _Found:
    notes: list[str] = []
    first = url
    for _ in range(MOST_REDIRECTS + 1):
        _allow(url, network)
        found = _asked(url, deadline, proxied=network.reach == "any" and url.host not in network.site)
        if isinstance(found, _Found):
            return replace(found, notes=tuple(notes))
        url = _checked(str(url.join(found)))
        if not _is_inside(first.host) and _is_inside(url.host):
            raise InputError(f"{_name(first)} leads to {url.host}, inside this network: not followed")
        notes.append(f"leads to {_name(url)}")
    raise InputError(f"{_name(first)} leads on more than {MOST_REDIRECTS} times", hint="give the address it ends at")


def _allow(url: httpx.URL, network: Network) -> None:
    if network.reach == "any" or _is_loopback(url.host) or (network.reach == "site" and url.host in network.site):
        return
    hint = "download it where that is allowed, and give the file"
    raise PrivacyError(f"{url.host} is not asked: the network is limited to {network.reach}", hint=hint)


def _asked(url: httpx.URL, deadline: float, *, proxied: bool) -> _Found | str:
    """What a server gives, or the address where it says that it is.

    `proxied` lets the environment's proxies be used: not for what must stay on this machine or site.
    """
    seconds = max(0.001, deadline - time.monotonic())
    client = _client(url, seconds, trust_env=proxied and not _is_loopback(url.host))
    try:
        with client, client.stream("GET", url) as response:
            if response.status_code in _REDIRECTS and "location" in response.headers:
                return response.headers["location"]
            _check_status(response)
            return _Found(url, _body(response, deadline), *_type(response), ())
    except httpx.TimeoutException as exc:
        raise TimeoutExceededError(f"{_name(url)}: no answer in time") from exc
    except httpx.InvalidURL as exc:
        raise InputError(f"{_name(url)} leads to no address") from exc
    except httpx.DecodingError as exc:
        raise InputError(f"{_name(url)}: what came is damaged: {exc}") from exc
    except httpx.RequestError as exc:
        raise TemporaryError(f"{_name(url)} cannot be reached: {exc}") from exc


def _check_status(response: httpx.Response) -> None:
    status = response.status_code
    if status == 429 or status >= 500:
        raise TemporaryError(f"{_name(response.url)}: HTTP {status}", hint="try again later")
    if status != 200:
        hint = "open it in a browser, save it, and give the file"
        raise InputError(f"{_name(response.url)}: HTTP {status}, where 200 was expected", hint=hint)


def _body(response: httpx.Response, deadline: float) -> bytes:
    pieces: list[bytes] = []
    size = 0
    for piece in response.iter_bytes():
        size += len(piece)
        if size > documents.MAX_BYTES:
            raise InputError(f"{_name(response.url)} is larger than {documents.MAX_BYTES // 1_000_000} MB")
        if time.monotonic() > deadline:
            raise TimeoutExceededError(f"{_name(response.url)}: not whole in time")
        pieces.append(piece)
    return b"".join(pieces)


def _type(response: httpx.Response) -> tuple[str, str | None]:
    content_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return content_type, response.charset_encoding


def _part(found: _Found) -> Part:
    name = _name(found.url)
    kind: Kind | None = None
    if found.content_type in _PAGES:
        kind = "html"
    elif found.content_type.startswith("text/") or found.content_type in _TEXTS or found.content_type.endswith("+json"):
        kind = "text"
    elif found.content_type not in _BY_CONTENT and not found.content_type.startswith(("image/", "audio/")):
        hint = "give a page, a text, a PDF, a DOCX, an image or a sound"
        raise InputError(f"{name} is {found.content_type[:80]}, which cannot be read", hint=hint)
    # What a server calls a text is one, whatever the address ends in.
    part = documents.read_bytes(
        found.data, "page.txt" if kind else name, shown=name, kind=kind, charset=found.charset if kind else None
    )
    return replace(part, name=name, notes=(*found.notes, *part.notes))


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_inside(host: str) -> bool:
    """Whether a host is, by its name, in a network that the world cannot reach."""
    try:
        return not ip_address(host).is_global
    except ValueError:
        pass
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal")) or "." not in host:
        return True
    try:
        # also what is a number in another spelling, such as 127.1, or a name that leads inside
        found = socket.getaddrinfo(host, None)
    except (OSError, UnicodeError):
        return False
    return any(not ip_address(str(each[4][0]).partition("%")[0]).is_global for each in found)


def _within(seconds: float, work: Callable[[], A]) -> A:
    """Run it in a thread that is given up when the time is over: a server that drips keeps each read short."""
    outcomes: SimpleQueue[tuple[A] | BaseException] = SimpleQueue()

    def run() -> None:
        try:
            outcomes.put((work(),))
        except BaseException as exc:
            outcomes.put(exc)

    Thread(target=run, daemon=True, name="gemx-fetch").start()
    try:
        outcome = outcomes.get(timeout=seconds)
    except Empty:
        raise TimeoutExceededError(f"the address gave no whole answer within {seconds:g} s") from None
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome[0]
