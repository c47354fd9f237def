"""What every test has: a GEMX_HOME of its own, no keys, sockets to the loopback alone, and `run_gemx`.

After every test, no planted key is in what gemx printed or wrote.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import planted_keys
from fake_gemini import FakeGemini
from loopback import one_authority
from virtual_clock import VirtualClock

KEY = planted_keys.GEMINI
VARIABLES = (
    *("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GEMINI_BASE_URL", "GOOGLE_GENAI_USE_VERTEXAI"),
    *("LLM_BASE_URL", "LLM_API_KEY", "LLM_SCHEMA", "GEMX_MODEL", "GEMX_PROFILE", "GEMX_TIMEOUT"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE"),
    # The keyring of whoever runs the tests is left alone.
    *("DBUS_SESSION_BUS_ADDRESS", "PYTHON_KEYRING_BACKEND", "FAKE_KEYRING"),
)
LOOPBACK = ("localhost", "::1")


@dataclass(frozen=True)
class Result:
    """How one command line ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


RunGemx = Callable[..., Result]


@pytest.fixture(autouse=True)
def gemx_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "gemx-home"
    monkeypatch.setenv("GEMX_HOME", str(home))
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return home


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def guarded(name: str) -> Callable[[socket.socket, Any], Any]:
        original = getattr(socket.socket, name)

        def connect(self: socket.socket, address: Any) -> Any:
            host = address[0] if self.family != socket.AF_UNIX else "localhost"
            # Not an OSError: the code under test must not take this for a network that is down.
            assert host in LOOPBACK or host.startswith("127."), f"a test tried to reach {host}"
            return original(self, address)

        return connect

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, guarded(name))


@pytest.fixture(autouse=True)
def closed_providers() -> Iterator[None]:
    yield
    if providers := sys.modules.get("gemx.providers"):
        providers.close_all()


@pytest.fixture(autouse=True)
def key_files(tmp_path: Path, gemx_home: Path) -> Iterator[set[Path]]:
    """The files that a test put a key in; no other file may hold one when it is over, those of stored keys aside."""
    own: set[Path] = set()
    yield own
    if keys := sys.modules.get("gemx.keys"):
        keys.forget()
    stored = set((gemx_home / "config" / "keys").glob("*"))
    assert not planted_keys.leaks_below(gemx_home, tmp_path / "work", own=own | stored)


@pytest.fixture
def virtual_clock(monkeypatch: pytest.MonkeyPatch) -> VirtualClock:
    """The door's clock, which then runs only when the door waits."""
    from gemx.gateway import clock

    virtual = VirtualClock()
    for name in ("now", "monotonic", "sleep"):
        monkeypatch.setattr(clock, name, getattr(virtual, name))
    return virtual


@pytest.fixture
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, GEMX_HOME elsewhere."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def run_gemx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> RunGemx:
    """Run a command line as the console script does; `stdin` is a real file, empty where it is None."""

    def run(*argv: str, stdin: str | bytes | None = None) -> Result:
        from gemx.cli.app import main

        source = Path(os.devnull)
        if stdin is not None:
            source = tmp_path / "stdin"
            source.write_bytes(stdin if isinstance(stdin, bytes) else stdin.encode())
        capfd.readouterr()
        with source.open(encoding="utf-8") as file, monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", file)
            code = main([*argv])
        sys.stdout.flush()
        captured = capfd.readouterr()
        assert not planted_keys.leaked(captured.out + captured.err), "a key was printed"
        return Result(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def one_certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of one certificate, which every HTTPS client loads in no time."""
    return one_authority(tmp_path_factory.mktemp("tls") / "one.pem")


@pytest.fixture
def fake_gemini(monkeypatch: pytest.MonkeyPatch, one_certificate: Path) -> Iterator[FakeGemini]:
    """A Gemini on the loopback, and the environment that leads there."""
    with FakeGemini() as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(one_certificate))
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
        monkeypatch.setenv("GEMINI_API_KEY", KEY)
        yield server


@pytest.fixture
def fake_keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Put a backend of `fake_keyring.py` in the place of the system's keyring; returns the file of what it keeps."""

    def choose(backend: str = "Kept", **kept: str) -> Path:
        path = tmp_path / "keyring" / "kept.json"
        path.parent.mkdir(exist_ok=True)
        if kept:
            path.write_text(json.dumps({f"gemx/{name}": key for name, key in kept.items()}))
        monkeypatch.setenv("PYTHON_KEYRING_BACKEND", f"fake_keyring.{backend}")
        monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
        monkeypatch.setenv("FAKE_KEYRING", str(path))
        return path

    return choose


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random-weight model that the real llama.cpp loads in milliseconds."""
    from tiny_gguf import write_tiny_gguf

    return write_tiny_gguf(tmp_path_factory.mktemp("models") / "tiny.gguf")
