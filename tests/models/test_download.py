"""Downloads: whole or not at all, resumed over cuts and kills, and never another content than its hash says."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fake_hub import FakeHub, begin, cut_after, refuse
from gemx.errors import (
    AuthenticationError,
    GemxError,
    InputError,
    ModelNotFoundError,
    PrivacyError,
    ProviderError,
    StorageError,
    TemporaryError,
)
from gemx.models import connection, download, store
from gemx.models.connection import Network
from gemx.models.download import Remote
from loopback import Exchange

DATA = bytes(range(256)) * 800
SHA = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    monkeypatch.setattr(download, "WAITS", (0.0, 0.0))
    with FakeHub() as server:
        server.put("casa/modelo", "m.gguf", DATA)
        yield server


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "m.gguf"


def remote(hub: FakeHub, **more: Any) -> Remote:
    url = f"{hub.url}/casa/modelo/resolve/{hub.commit}/m.gguf"
    return Remote(**{"url": url, "what": "casa/modelo/m.gguf", "sha256": SHA, "size": len(DATA), **more})


def fetch(hub: FakeHub, target: Path, **more: Any) -> bytes:
    return download.fetch(remote(hub, **more), target, Network("any")).read_bytes()


def ranges(hub: FakeHub) -> list[str | None]:
    return [each.headers.get("range") for each in hub.asked("file")]


def test_a_file_comes_whole_with_progress(hub: FakeHub, target: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    part = download.fetch(remote(hub), target, Network("any"), lambda done, total: seen.append((done, total)))
    assert part == store.part_of(target)
    assert part.read_bytes() == DATA
    assert part.stat().st_mode & 0o777 == 0o600
    assert seen[-1] == (len(DATA), len(DATA))
    said = json.loads(download.sidecar_of(target).read_text())
    assert (said["sha256"], said["size"]) == (SHA, len(DATA))


@pytest.mark.parametrize("size", [len(DATA), None])
def test_a_cut_connection_is_gone_on_with(hub: FakeHub, target: Path, size: int | None) -> None:
    hub.fault("file", cut_after(DATA, 70_000), cut_after(DATA, 1), cut_after(DATA, 5), cut_after(DATA, 9))
    assert fetch(hub, target, size=size) == DATA
    assert ranges(hub) == [None, "bytes=70000-", "bytes=70001-", "bytes=70006-", "bytes=70015-"]


def test_a_server_that_goes_away_leaves_what_came_and_the_next_run_goes_on(hub: FakeHub, target: Path) -> None:
    hub.fault("file", cut_after(DATA, 70_000), *[partial(refuse, status=503)] * 3)
    with pytest.raises(TemporaryError) as caught:
        fetch(hub, target)
    assert caught.value.exit_code == 8
    assert "70000 of 204800 bytes are here: run the same command" in str(caught.value.hint)
    assert fetch(hub, target) == DATA
    assert ranges(hub)[-1] == "bytes=70000-"


def test_a_later_commit_with_the_same_content_goes_on_and_another_content_begins_anew(
    hub: FakeHub, target: Path
) -> None:
    hub.fault("file", cut_after(DATA, 70_000), *[Exchange.reset] * 3)
    with pytest.raises(TemporaryError):
        fetch(hub, target)
    other = DATA[::-1]
    hub.put("casa/modelo", "m.gguf", other)
    assert fetch(hub, target, sha256=hashlib.sha256(other).hexdigest()) == other
    assert ranges(hub)[-1] is None


@pytest.mark.parametrize("damage", ["range ignored", "another range", "416", "no resume in the part"])
def test_what_cannot_be_gone_on_with_begins_anew(hub: FakeHub, target: Path, damage: str) -> None:
    hub.fault("file", cut_after(DATA, 70_000))
    if damage == "range ignored":
        hub.knows_ranges = False
    elif damage == "another range":
        hub.fault("file", lambda exchange: begin(exchange, DATA, 5))
    elif damage == "416":
        hub.fault("file", lambda exchange: exchange.raw(b"", 416))
    else:
        store.part_of(target).write_bytes(b"of something else")
    assert fetch(hub, target) == DATA


def test_a_part_that_is_whole_is_not_asked_for_again(hub: FakeHub, target: Path) -> None:
    fetch(hub, target)
    hub.requests.clear()
    assert fetch(hub, target) == DATA
    assert hub.requests == []


@pytest.mark.parametrize("data", [DATA[:-1] + b"x", b"<html>log in</html>" * 9])
def test_another_content_is_thrown_away(hub: FakeHub, target: Path, data: bytes) -> None:
    hub.put("casa/modelo", "m.gguf", data)
    with pytest.raises(InputError, match=r"came with the SHA-256|bytes, where 204800 were expected"):
        fetch(hub, target)
    assert not store.part_of(target).exists() or store.part_of(target).stat().st_size == 0
    assert not target.exists()


def test_a_part_that_was_changed_meanwhile_is_noticed_at_the_end(hub: FakeHub, target: Path) -> None:
    hub.fault("file", cut_after(DATA, 70_000), *[Exchange.reset] * 3)
    with pytest.raises(TemporaryError):
        fetch(hub, target)
    part = store.part_of(target)
    part.write_bytes(b"x" + part.read_bytes()[1:])
    with pytest.raises(InputError, match="came with the SHA-256"):
        fetch(hub, target)
    assert fetch(hub, target) == DATA


@pytest.mark.parametrize(
    ("status", "code", "error", "words"),
    [
        (404, "EntryNotFound", ModelNotFoundError, "has no file casa/modelo/m.gguf"),
        (404, "RepoNotFound", ModelNotFoundError, "has no casa/modelo/m.gguf"),
        (401, "GatedRepo", AuthenticationError, "only to those whom its owner lets in"),
        (403, "GatedRepo", AuthenticationError, "only to those whom its owner lets in"),
        (401, None, AuthenticationError, "refuses casa/modelo/m.gguf (HTTP 401)"),
        (403, None, AuthenticationError, "refuses casa/modelo/m.gguf (HTTP 403)"),
        (429, None, TemporaryError, "HTTP 429"),
        (500, None, TemporaryError, "HTTP 500"),
        (418, None, ProviderError, "HTTP 418"),
    ],
)
def test_a_refusal_is_told_by_what_it_means(
    hub: FakeHub, target: Path, status: int, code: str | None, error: type[GemxError], words: str
) -> None:
    hub.fault("resolve", *[partial(refuse, status=status, code=code)] * 3)
    with pytest.raises(error) as caught:
        fetch(hub, target)
    assert words in caught.value.message


def test_the_token_goes_to_the_endpoint_and_not_to_its_storage(hub: FakeHub, target: Path) -> None:
    hub.gated.add("casa/modelo")
    hub.token = "segredo-do-hub"
    assert fetch(hub, target, token="segredo-do-hub") == DATA
    assert hub.asked("resolve")[0].headers["authorization"] == "Bearer segredo-do-hub"
    assert "authorization" not in hub.asked("file")[0].headers


def test_a_disk_without_room_is_told_before_anything_is_asked(
    hub: FakeHub, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 1000))
    with pytest.raises(StorageError, match=r"0\.0 GB free, and 0\.3 GB are needed"):
        fetch(hub, target)
    assert hub.requests == []
    with pytest.raises(StorageError):
        fetch(hub, target, size=None)


def test_a_disk_that_fills_up_keeps_what_came(hub: FakeHub, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = download._Part.add

    def full(self: Any, piece: bytes) -> None:
        if self.size + len(piece) > 100_000:
            self._file.close()
            self._file = Full()
        original(self, piece)

    class Full:
        def write(self, _: bytes) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self) -> None:
            """Nothing is open."""

    with monkeypatch.context() as patch, pytest.raises(StorageError, match="the disk is full") as caught:
        patch.setattr(download._Part, "add", full)
        fetch(hub, target)
    assert caught.value.exit_code == 11
    assert "goes on from there" in str(caught.value.hint)
    kept = store.part_of(target).stat().st_size
    assert 0 < kept <= 100_000
    assert fetch(hub, target) == DATA
    assert ranges(hub)[-1] == f"bytes={kept}-"


@pytest.mark.parametrize("reach", ["machine", "site"])
def test_what_the_network_forbids_is_not_asked(target: Path, reach: Any) -> None:
    asked = Remote("https://huggingface.co/a/b/resolve/main/c.gguf", "a/b/c.gguf", SHA)
    with pytest.raises(PrivacyError, match=f"limited to {reach}") as caught:
        download.fetch(asked, target, Network(reach))
    assert caught.value.exit_code == 10


def test_a_redirect_passes_the_network_again(hub: FakeHub, target: Path) -> None:
    hub.fault("resolve", lambda exchange: exchange.raw(b"", 302, headers={"Location": "https://fora.example/x"}))
    with pytest.raises(PrivacyError, match=r"fora\.example is not asked"):
        download.fetch(remote(hub), target, Network("machine"))
    assert download.fetch(remote(hub), target, Network("machine")).read_bytes() == DATA


def test_a_mirror_of_the_site_is_asked() -> None:
    import httpx

    network = Network("site", ["http://espelho.hospital:8080/v1"])
    network.check(httpx.URL("http://espelho.hospital/x"))
    assert not network.is_proxied(httpx.URL("http://espelho.hospital/x"))
    with pytest.raises(PrivacyError):
        network.check(httpx.URL("http://outro.hospital/x"))


def test_what_comes_from_outside_leads_to_nothing_on_this_machine_and_gets_no_token_in_the_clear(
    hub: FakeHub, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", hub.url)  # which answers for the world
    hub.fault("resolve", lambda exchange: exchange.raw(b"", 302, headers={"Location": f"{hub.url}/files/x"}))
    asked = Remote("http://exemplo.org/a/b/resolve/c/m.gguf", "a/b/m.gguf", SHA, token="um-token-secreto")
    with pytest.raises(InputError, match="which is this machine: not followed"):
        download.fetch(asked, target, Network("any"))
    assert len(hub.requests) == 1
    assert "authorization" not in hub.last.headers


def test_a_server_that_never_gets_further_is_given_up(hub: FakeHub, target: Path) -> None:
    def refused(exchange: Exchange) -> None:
        exchange.raw(b"", 416)

    hub.fault("file", *[cut_after(DATA, 70_000), refused] * 4)
    with pytest.raises(TemporaryError):
        fetch(hub, target)


@pytest.mark.parametrize("more", [0, 9])
def test_a_body_of_no_told_length_is_held_to_the_size(hub: FakeHub, target: Path, more: int) -> None:
    def untold(exchange: Exchange) -> None:
        exchange.handler.send_response(200)
        exchange.handler.end_headers()
        exchange.handler.wfile.write(DATA + bytes(more) if more else DATA[:70_000])
        exchange.handler.close_connection = True

    hub.fault("file", untold)
    if more:
        with pytest.raises(InputError, match="goes on beyond the 204800 bytes"):
            fetch(hub, target)
    else:
        assert fetch(hub, target) == DATA
        assert ranges(hub)[-1] == "bytes=70000-"


def test_a_part_that_is_a_link_is_not_written_through(hub: FakeHub, target: Path, tmp_path: Path) -> None:
    fetch(hub, target)
    (tmp_path / "alheio").write_bytes(b"of someone else")
    store.part_of(target).unlink()
    store.part_of(target).symlink_to(tmp_path / "alheio")
    with pytest.raises(StorageError, match="cannot write"):
        fetch(hub, target)
    assert (tmp_path / "alheio").read_bytes() == b"of someone else"


def test_a_redirect_out_of_encryption_is_not_followed(
    hub: FakeHub, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import httpx

    def answered(request: httpx.Request) -> httpx.Response:
        assert request.url.scheme == "https"
        return httpx.Response(302, headers={"Location": "http://exemplo.org/m.gguf"})

    client = httpx.Client(transport=httpx.MockTransport(answered))
    monkeypatch.setattr(connection, "_client", lambda *_: client)
    with pytest.raises(InputError, match="without encryption: not followed"):
        fetch(hub, target, url="https://exemplo.org/m.gguf")
