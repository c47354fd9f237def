"""A loopback endpoint that speaks the Hub's protocol: repositories, trees, hashes and files with ranges, and faults.

`with FakeHub() as hub:` then `hub.put("owner/repo", "m.gguf", data)`; a test sets HF_ENDPOINT to `hub.url`. A file is
given at `localhost`, another host name than the endpoint's, as the Hub's storage is: the token must not get there.
`hub.fault("file", …)` answers the next request of that kind (api, tree, resolve, file) by a behaviour of its own.
"""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict, deque
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import unquote, urlsplit

from loopback import Behaviour, Exchange, Loopback

COMMIT = "a" * 40


class FakeHub(Loopback):
    """The fake."""

    def __init__(self) -> None:
        super().__init__()
        self.files: dict[str, dict[str, bytes]] = defaultdict(dict)
        self.cards: dict[str, dict[str, Any]] = defaultdict(lambda: {"license": "apache-2.0"})
        self.gated: set[str] = set()
        self.token: str | None = None
        self.commit = COMMIT
        self.publishes_lfs = True
        self.false_hash: str | None = None
        self.knows_ranges = True
        self.seconds_a_piece = 0.0
        self._faults: dict[str, deque[Behaviour]] = defaultdict(deque)

    def put(self, repository: str, path: str, data: bytes) -> str:
        """Publish a file; returns its SHA-256."""
        self.files[repository][path] = data
        return hashlib.sha256(data).hexdigest()

    def fault(self, kind: str, *behaviours: Behaviour) -> None:
        """Answer the next requests of a kind by these."""
        self._faults[kind].extend(behaviours)

    def asked(self, kind: str) -> list[Any]:
        """The requests of a kind so far."""
        return [each for each in self.requests if _kind(each.path) == kind]

    def default(self, exchange: Exchange) -> None:
        kind = _kind(exchange.request.path)
        if self._faults[kind]:
            self._faults[kind].popleft()(exchange)
        else:
            {"api": self._api, "tree": self._tree, "resolve": self._resolve, "file": self._file}[kind](exchange)

    def _api(self, exchange: Exchange) -> None:
        url = urlsplit(exchange.request.path)
        if url.path == "/api/models":
            rows = [{"id": name, "tags": [f"license:{self.cards[name]['license']}"]} for name in self.files]
            exchange.json([{**row, "gated": row["id"] in self.gated, "downloads": 7} for row in rows])
            return
        name = url.path.removeprefix("/api/models/")
        if name not in self.files:
            refuse(exchange, 404, "RepoNotFound")
            return
        gated = "manual" if name in self.gated else False
        exchange.json({"id": name, "sha": self.commit, "gated": gated, "cardData": self.cards[name]})

    def _tree(self, exchange: Exchange) -> None:
        name = "/".join(urlsplit(exchange.request.path).path.split("/")[3:5])
        exchange.json([self._row(path, data) for path, data in self.files[name].items()])

    def _row(self, path: str, data: bytes) -> dict[str, Any]:
        row: dict[str, Any] = {"type": "file", "path": path, "size": len(data), "oid": "b" * 40}
        return {**row, "lfs": {"oid": self._sha256(data), "size": len(data)}} if self.publishes_lfs else row

    def _resolve(self, exchange: Exchange) -> None:
        owner, repo, _, commit, path = urlsplit(exchange.request.path).path.strip("/").split("/", 4)
        name, data = f"{owner}/{repo}", self.files[f"{owner}/{repo}"].get(unquote(path))
        if data is None:
            refuse(exchange, 404, "EntryNotFound")
        elif name in self.gated and exchange.request.headers.get("authorization") != f"Bearer {self.token}":
            refuse(exchange, 401, "GatedRepo")
        else:
            linked = {"X-Repo-Commit": commit, "X-Linked-Size": str(len(data))}
            place = f"http://localhost:{urlsplit(self.url).port}/files/{name}/{path}?signature=secret"
            linked |= {"X-Linked-ETag": f'"{self._sha256(data)}"', "Location": place}
            exchange.raw(b"", 302, headers=linked)

    def _file(self, exchange: Exchange) -> None:
        owner, repo, path = urlsplit(exchange.request.path).path.removeprefix("/files/").split("/", 2)
        data = self.files[f"{owner}/{repo}"][unquote(path)]
        start = int(exchange.request.headers.get("range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        if start >= len(data) and start:
            exchange.raw(b"", 416, headers={"Content-Range": f"bytes */{len(data)}"})
            return
        begin(exchange, data, start if self.knows_ranges else 0)
        if exchange.request.method == "HEAD":
            return
        rest = data[start if self.knows_ranges else 0 :]
        for at in range(0, len(rest), 16_384):
            exchange.handler.wfile.write(rest[at : at + 16_384])
            time.sleep(self.seconds_a_piece)

    def _sha256(self, data: bytes) -> str:
        return self.false_hash or hashlib.sha256(data).hexdigest()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        base: Any = super()._handler()

        class Handler(base):
            do_HEAD = base.do_POST  # noqa: N815

        return Handler


def begin(exchange: Exchange, data: bytes, start: int = 0) -> None:
    """The head of a file, or of the rest of it."""
    handler = exchange.handler
    handler.send_response(206 if start else 200)
    handler.send_header("Content-Length", str(len(data) - start))
    if start:
        handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
    handler.end_headers()


def refuse(exchange: Exchange, status: int, code: str | None = None) -> None:
    """A refusal as the Hub has it."""
    exchange.json({"error": "no"}, status, {"X-Error-Code": code} if code else None)


def cut_after(data: bytes, count: int) -> Behaviour:
    """Give so many bytes more of a file, then break the connection."""

    def behave(exchange: Exchange) -> None:
        start = int(exchange.request.headers.get("range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        begin(exchange, data, start)
        exchange.handler.wfile.write(data[start : start + count])
        exchange.handler.wfile.flush()
        exchange.handler.close_connection = True

    return behave


def _kind(path: str) -> str:
    if path.startswith("/files/"):
        return "file"
    if "/resolve/" in path:
        return "resolve"
    return "tree" if "/tree/" in path else "api"
