"""A scripted HTTP server on the loopback, the base of the fake providers; knows no provider's format.

A behaviour is a function of an `Exchange`. Queued ones are used once each, in order; then `default` answers.
"""

from __future__ import annotations

import json
import socket
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any, Self

import certifi

HANG_LIMIT = 60.0


def one_authority(path: Path) -> Path:
    """Write a bundle of one certificate, for SSL_CERT_FILE: loading them all takes every client 20 ms and more."""
    end = "-----END CERTIFICATE-----\n"
    path.write_text(Path(certifi.where()).read_text().split(end)[0] + end)
    return path


@dataclass(frozen=True)
class Recorded:
    """One request as it came; header names are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Exchange:
    """One request and the ways to answer it."""

    request: Recorded
    handler: BaseHTTPRequestHandler
    closing: Event
    chunked: bool = field(default=False)

    def json(self, body: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.raw(json.dumps(body).encode(), status, "application/json", headers)

    def raw(
        self,
        body: bytes,
        status: int = 200,
        mime_type: str = "application/json",
        headers: dict[str, str] | None = None,
    ) -> None:
        self.handler.send_response(status)
        for name, value in {"Content-Type": mime_type, **(headers or {}), "Content-Length": str(len(body))}.items():
            self.handler.send_header(name, value)
        self.handler.end_headers()
        self.handler.wfile.write(body)

    def start(self, mime_type: str = "text/event-stream") -> None:
        """Begin a chunked answer."""
        self.handler.send_response(200)
        self.handler.send_header("Content-Type", mime_type)
        self.handler.send_header("Transfer-Encoding", "chunked")
        self.handler.end_headers()
        self.chunked = True

    def write(self, data: bytes) -> None:
        """Send one chunk."""
        self.handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.handler.wfile.flush()

    def event(self, value: Any) -> None:
        """Send one server-sent event: JSON, or a string as it is."""
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        self.write(b"data: " + text.encode() + b"\n\n")

    def finish(self) -> None:
        """End a chunked answer as it should end."""
        self.handler.wfile.write(b"0\r\n\r\n")

    def cut(self) -> None:
        """Close the connection in the middle of a chunk."""
        if self.chunked:
            self.handler.wfile.write(b"64\r\nhalf of a ch")
        self.handler.wfile.flush()
        self.handler.close_connection = True

    def reset(self) -> None:
        """Break the connection with a TCP reset."""
        self.handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.handler.connection.close()
        self.handler.close_connection = True

    def hang(self, seconds: float = HANG_LIMIT) -> None:
        """Say nothing until the server closes."""
        self.closing.wait(seconds)
        self.handler.close_connection = True

    def drip(self, data: bytes, every: float = 0.05) -> None:
        """Send the data again and again until the client or the server closes."""
        while not self.closing.wait(every):
            self.write(data)


Behaviour = Callable[[Exchange], None]


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what some tests are about."""


class Loopback:
    """The server itself: a context manager with `url`, `requests` and a script."""

    def __init__(self) -> None:
        self.requests: list[Recorded] = []
        self._queue: deque[Behaviour] = deque()
        self._lock = Lock()
        self._closing = Event()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def last(self) -> Recorded:
        return self.requests[-1]

    def queue(self, *behaviours: Behaviour) -> None:
        """Use these behaviours once each, in order."""
        self._queue.extend(behaviours)

    def default(self, exchange: Exchange) -> None:
        """What answers when the queue is empty."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, exchange: Exchange) -> None:
        with self._lock:
            self.requests.append(exchange.request)
            behaviour = self._queue.popleft() if self._queue else self.default
        behaviour(exchange)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        loopback = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                body = json.loads(data) if data else None
                request = Recorded(self.command, self.path, headers, body)
                loopback._answer(Exchange(request, self, loopback._closing))

            do_GET = do_POST  # noqa: N815

            def log_message(self, format: str, *args: Any) -> None:
                """Tests want a silent server."""

        return Handler
