"""Addresses given by the user: what is fetched, how far, and within which bounds."""

from __future__ import annotations

import gzip
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from document_files import docx, p, pdf
from gemx import documents, web
from gemx.documents import Media, Text
from gemx.errors import GemxError, InputError, PrivacyError, TemporaryError, TimeoutExceededError
from loopback import Behaviour, Exchange, Loopback

ANY = web.Network("any")
PAGE = b"<title>Guia</title><p>PAM &ge; 65 mmHg"


class Site(Loopback):
    """A server of pages, each by its path."""

    def default(self, exchange: Exchange) -> None:
        exchange.raw(b"", 404)


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as server:
        yield server


def giving(body: bytes, mime_type: str, status: int = 200, **headers: str) -> Behaviour:
    return lambda exchange: exchange.raw(body, status, mime_type, headers)


def leading(to: str, status: int = 302) -> Behaviour:
    return lambda exchange: exchange.raw(b"", status, headers={"Location": to})


def fetch(site: Site, path: str = "/a", network: web.Network = ANY, seconds: float = 5) -> Any:
    return web.fetch(site.url + path, network, seconds)


@pytest.mark.parametrize(
    ("body", "mime_type", "text"),
    [
        (PAGE, "text/html; charset=utf-8", "# Guia\n\nPAM ≥ 65 mmHg\n"),
        (b"<p>a\xe7\xe3o", "text/html; charset=ISO-8859-1", "ação\n"),
        (b'<meta charset="latin1"><p>a\xe7\xe3o', "text/html", "ação\n"),
        (PAGE, "text/plain", PAGE.decode()),
        (b"a\xe7\xe3o", "text/plain; charset=windows-1252", "ação"),
        (b'{"pam": 57}', "application/json", '{"pam": 57}'),
        (b'{"pam": 57}', "application/fhir+json", '{"pam": 57}'),
        (pdf("O alvo de PAM é 65 mmHg."), "application/pdf", "[página 1]\nO alvo de PAM é 65 mmHg.\n"),
        (pdf("O alvo de PAM é 65 mmHg."), "text/plain", "[página 1]\nO alvo de PAM é 65 mmHg.\n"),
        (docx(p("Alta.")), "application/octet-stream", "Alta.\n"),
    ],
)
def test_the_content_type_says_how_it_is_read(site: Site, body: bytes, mime_type: str, text: str) -> None:
    site.queue(giving(body, mime_type))
    assert fetch(site, "/guia.png?chave=1#x") == Text(text, f"{site.url}/guia.png")
    assert site.last.path == "/guia.png?chave=1"
    assert site.last.headers["user-agent"].startswith("gemx/")


def test_an_image_is_carried(site: Site) -> None:
    site.queue(giving(b"\x89PNG\r\n", "image/png"))
    assert fetch(site) == Media(b"\x89PNG\r\n", "image/png", f"{site.url}/a")


def test_its_passages_can_be_cited(site: Site) -> None:
    site.queue(giving(b"<h1>PAM</h1><p>65 mmHg", "text/html"))
    part = fetch(site, "/guias/sepse.html")
    assert [each.id for each in documents.passages(part.text, "sepse", part.name)] == ["sepse#pam"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed_and_told(site: Site, status: int) -> None:
    site.queue(leading("/b?c=1", status), giving(b"texto", "text/plain"))
    assert fetch(site) == Text("texto", f"{site.url}/b", notes=(f"leads to {site.url}/b",))
    assert [each.method for each in site.requests] == ["GET", "GET"]


def test_five_redirects_and_no_more(site: Site) -> None:
    site.queue(*[leading("/b")] * 5, giving(b"texto", "text/plain"))
    assert len(fetch(site).notes) == 5
    site.queue(*[leading("/b")] * 9)
    with pytest.raises(InputError, match="leads on more than 5 times"):
        fetch(site)
    assert len(site.requests) == 12


@pytest.mark.parametrize(
    "to", ["file:///etc/passwd", "ftp://127.0.0.1/a", "http://u:segredo@127.0.0.1/", "http://[", "x:"]
)
def test_a_redirect_that_leads_nowhere_good(site: Site, to: str) -> None:
    site.queue(leading(to))
    with pytest.raises(InputError) as caught:
        fetch(site)
    assert "segredo" not in caught.value.message
    assert len(site.requests) == 1


def test_a_redirect_passes_the_network_again(site: Site) -> None:
    site.queue(leading("http://exemplo.org/a"))
    with pytest.raises(PrivacyError, match=r"exemplo\.org is not asked: the network is limited to machine"):
        fetch(site, network=web.Network("machine"))


def test_an_outside_address_leads_to_nothing_inside(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", site.url)  # which answers for the world
    for to in (site.url, "http://10.0.0.1/a", "http://169.254.169.254/meta", "http://intranet/x", "http://localhost/"):
        site.queue(leading(to))
        with pytest.raises(InputError, match="inside this network: not followed"):
            web.fetch("http://exemplo.org/a", ANY, 5)
    assert all(each.path == "http://exemplo.org/a" for each in site.requests)


def test_a_proxy_is_used_as_for_the_cloud_and_never_for_this_machine(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    site.queue(giving(b"texto", "text/plain"))
    assert fetch(site).text == "texto"
    monkeypatch.setenv("HTTP_PROXY", site.url)
    site.queue(giving(b"de fora", "text/plain"))
    assert web.fetch("http://exemplo.org/a", ANY, 5).text == "de fora"
    assert site.last.path == "http://exemplo.org/a"


@pytest.mark.parametrize("reach", ["machine", "site"])
def test_what_the_network_forbids_is_not_asked(reach: Any) -> None:
    for address in ("http://exemplo.org/a?cpf=1", "https://10.0.0.1/", "http://0x7f.1.example/"):
        with pytest.raises(PrivacyError, match=f"is not asked: the network is limited to {reach}") as caught:
            web.fetch(address, web.Network(reach), 5)
        assert caught.value.exit_code == 10
        assert "cpf" not in caught.value.message


def test_loopback_and_the_hosts_of_the_site_are_asked(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for reach in ("machine", "site"):
        site.queue(giving(b"texto", "text/plain"))
        assert fetch(site, network=web.network(reach, [])).text == "texto"
    resolve, port = socket.getaddrinfo, site.url.rpartition(":")[2]
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *rest, **named: resolve("127.0.0.1" if "hospital" in str(host) else host, *rest, **named),
    )
    # a proxy would see what stays on the site
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    hospital = web.network("site", ["http://llm.hospital.example:8000/v1"])
    site.queue(giving(b"interno", "text/plain"))
    assert web.fetch(f"http://llm.hospital.example:{port}/a", hospital, 5).text == "interno"
    with pytest.raises(PrivacyError):
        web.fetch("http://outro.hospital.example/a", hospital, 5)


@pytest.mark.parametrize(
    "address", ["ftp://127.0.0.1/a", "file:///etc/passwd", "http://", "http://[x/", "gopher://a", "://", "http:///a"]
)
def test_other_schemes_and_no_hosts_are_refused(address: str) -> None:
    with pytest.raises(InputError, match="is no address that can be read") as caught:
        web.fetch(address, ANY, 5)
    assert "https://" in str(caught.value.hint)


@pytest.mark.parametrize(
    "address", ["http://ana:segredo@127.0.0.1:1/a", "https://ana@127.0.0.1/", "x://ana:segredo@h/"]
)
def test_credentials_are_neither_sent_nor_shown(address: str) -> None:
    with pytest.raises(InputError) as caught:
        web.fetch(address, ANY, 5)
    assert "segredo" not in caught.value.message + str(caught.value.hint)


@pytest.mark.parametrize(
    ("behaviour", "error", "words"),
    [
        (giving(b"", "text/html", 404), InputError, "HTTP 404"),
        (giving(b"", "text/html", 403), InputError, "HTTP 403"),
        (giving(b"", "text/html", 204), InputError, "HTTP 204"),
        (giving(b"", "text/html", 301), InputError, "HTTP 301"),
        (giving(b"", "text/html", 503), TemporaryError, "HTTP 503"),
        (giving(b"", "text/html", 429), TemporaryError, "HTTP 429"),
        (giving(b"x", "video/mp4"), InputError, "is video/mp4, which cannot be read"),
        (giving(b"{\\rtf1", "text/plain"), InputError, "is an RTF file"),
        (giving(b"\x00\xff", "application/octet-stream"), InputError, "is not UTF-8 text"),
        (giving(b"x", "text/plain; charset=klingon"), InputError, "character set"),
        (giving(b"no gzip", "text/plain", 200, **{"Content-Encoding": "gzip"}), InputError, "damaged"),
        (Exchange.reset, TemporaryError, "cannot be reached"),
    ],
)
def test_what_does_not_come_is_told(site: Site, behaviour: Behaviour, error: type[GemxError], words: str) -> None:
    site.queue(behaviour)
    with pytest.raises(error) as caught:
        fetch(site, "/a?chave=segredo")
    assert words in caught.value.message
    assert f"{site.url}/a" in caught.value.message
    assert "segredo" not in caught.value.message


def test_a_server_that_is_not_there() -> None:
    with pytest.raises(TemporaryError, match="cannot be reached") as caught:
        web.fetch("http://127.0.0.1:1/a", ANY, 5)
    assert caught.value.exit_code == 8


def test_the_size_is_bounded_as_it_comes(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MAX_BYTES", 1_000_000)
    bomb = gzip.compress(bytes(50_000_000))
    site.queue(giving(b"a" * 1_000_001, "text/plain"), giving(bomb, "text/plain", 200, **{"Content-Encoding": "gzip"}))
    for _ in range(2):
        with pytest.raises(InputError, match="is larger than 1 MB"):
            fetch(site)
    site.queue(giving(gzip.compress(b"texto"), "text/plain", 200, **{"Content-Encoding": "gzip"}))
    assert fetch(site).text == "texto"


def hang(exchange: Exchange) -> None:
    exchange.hang(5)


def drip(exchange: Exchange) -> None:
    exchange.start("text/plain")
    exchange.drip(b"a")


def drip_headers(exchange: Exchange) -> None:
    exchange.handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while not exchange.closing.wait(0.05):
        exchange.handler.wfile.write(b"X")
        exchange.handler.wfile.flush()


@pytest.mark.parametrize("behaviour", [hang, drip, drip_headers])
def test_the_time_is_bounded_however_slowly_it_comes(site: Site, behaviour: Behaviour) -> None:
    site.queue(behaviour)
    started = time.monotonic()
    with pytest.raises(TimeoutExceededError) as caught:
        fetch(site, seconds=0.5)
    assert time.monotonic() - started < 3
    assert caught.value.exit_code == 8


# post


def hanging(exchange: Exchange) -> None:
    exchange.hang(5)


@pytest.mark.parametrize(
    ("behaviour", "error", "said"),
    [
        (giving(b"", "text/plain", 404), InputError, "127.0.0.1: HTTP 404"),
        (giving(b"", "text/plain", 429), TemporaryError, "127.0.0.1: HTTP 429"),
        (leading("/b", 307), InputError, "127.0.0.1: HTTP 307"),
        (hanging, TimeoutExceededError, "no "),
        (Exchange.reset, TemporaryError, "127.0.0.1 cannot be reached"),
    ],
)
def test_a_post_that_is_not_taken(site: Site, behaviour: Behaviour, error: type[GemxError], said: str) -> None:
    site.queue(behaviour)
    with pytest.raises(error) as caught:
        web.post(f"{site.url}/secret?key=1", {"text": "é"}, ANY, 0.5)
    assert said in caught.value.message
    assert "secret" not in caught.value.message + (caught.value.hint or "")
    assert [request.path for request in site.requests] == ["/secret?key=1"]


def test_a_post_is_json_and_its_answer_is_not_read(site: Site) -> None:
    def endless(exchange: Exchange) -> None:
        exchange.start("text/plain")
        exchange.drip(b"x")

    site.queue(endless)
    web.post(f"{site.url}/a", {"text": "é"}, web.Network("machine"), 5)
    assert (site.last.method, site.last.body) == ("POST", {"text": "é"})


@pytest.mark.parametrize(
    "address",
    [
        *("ftp://a/pw", "https://user:pw@a.example/b", "http://%41/pw", "x"),
        *("https://[bad/pw", "https://xn--/pw", "https://..../pw"),
    ],
)
def test_an_address_that_is_not_posted_to(address: str) -> None:
    with pytest.raises(InputError) as caught:
        web.post(address, {}, ANY, 1)
    assert "pw" not in caught.value.message


@pytest.mark.parametrize(("name", "value"), [("SSL_CERT_FILE", "/nowhere"), ("HTTPS_PROXY", "gopher://a.example")])
def test_an_environment_that_cannot_be_used_is_told(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match="of the environment cannot be used"):
        web.post("https://hooks.example/secret", {}, ANY, 5)
