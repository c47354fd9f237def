"""A key that is planted anywhere appears nowhere else: not on a stream, in a file, or among a process's arguments.

Every kind of source is planted at once: what wins is used, and none of the others may show either. Where arguments
could show a key, the command is a process of its own, and all processes are watched meanwhile. `conftest` checks
streams and files after every other test, too.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import planted_keys
from conftest import Result, RunGemx
from fake_gemini import FAULTS, FakeGemini
from fake_keyring import command_lines
from fake_openai import FakeOpenAI
from gemx import places
from gemx.providers import llama_cpp
from loopback import Exchange
from terminal import GEMX

CASE = str(places.shipped("automations") / "cases" / "sepse_choque.yaml")
GEMINI = ("-m", "gemini:gemini-3.8-flash")
SERVER = ("-m", "openai:uti/fake-model-001")
AUTO = ("auto", "run", "sepse_bundle", "--input", CASE)
SECONDS = 60
# The ones that a test gives as an argument, on purpose, are seen by whoever looks at processes.
NEVER_ARGUMENTS = (planted_keys.FILED, planted_keys.KEPT)


@dataclass
class Planted:
    """An installation with a key of every kind."""

    home: Path
    config: Path
    gemini: FakeGemini
    openai: FakeOpenAI
    monkeypatch: pytest.MonkeyPatch
    run_gemx: RunGemx
    seen: list[bytes] = field(default_factory=list[bytes], repr=False)

    def use(self, source: str) -> str:
        """Leave this source as the first that has a key of Gemini; returns that one."""
        taken, key = SOURCES[source]
        for variable in taken:
            self.monkeypatch.delenv(variable)
        if source == "file":
            config = json.loads(self.config.read_text())
            del config["keys"]["gemini"]["command"]
            self.config.write_text(json.dumps(config))
        return key

    def run(self, *argv: str, given: str = "") -> Result:
        """Run gemx in this process; what it prints is looked through by `run_gemx`."""
        if keys := sys.modules.get("gemx.keys"):
            keys.forget()
        done = self.run_gemx(*argv, stdin=given)
        assert "Traceback" not in done.err or "--debug" in argv
        return done

    def run_watched(self, *argv: str, given: str = "") -> Result:
        """Run gemx as a process, and see the arguments of all processes meanwhile."""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen([GEMX, *argv], **pipes) as process:
            done = threading.Event()
            watch = threading.Thread(target=self._watch, args=(done,))
            watch.start()
            try:
                out, err = process.communicate(given.encode(), timeout=SECONDS)
            finally:
                process.kill()
                done.set()
                watch.join()
        assert not planted_keys.leaked(out + err), f"printed by {argv}"
        seen = b"".join(self.seen)
        assert " ".join([GEMX, *argv]).encode() in seen
        assert not [key for key in NEVER_ARGUMENTS if key.encode() in seen]
        return Result(process.returncode, out.decode(), err.decode())

    def _watch(self, done: threading.Event) -> None:
        while not done.wait(0.05):
            self.seen.append(command_lines())


@pytest.fixture
def planted(
    gemx_home: Path,
    workdir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    one_certificate: Path,
    run_gemx: RunGemx,
    key_files: set[Path],
) -> Iterator[Planted]:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "gemini").write_text(planted_keys.FILED)
    (secrets / "gemini").chmod(0o600)
    (secrets / "ask").write_text(f"#!/bin/sh\necho '{planted_keys.COMMANDED}'\n")
    (secrets / "ask").chmod(0o700)
    (secrets / "kept.json").write_text(json.dumps({f"gemx/{name}": planted_keys.KEPT for name in ("gemini", "uti")}))
    config = places.ensure_private_dir(gemx_home / "config") / "config.json"
    # The token of a header is in config.json, as it must be.
    key_files.add(config)
    with FakeGemini() as gemini, FakeOpenAI() as openai:
        source = {"command": [str(secrets / "ask")], "file": str(secrets / "gemini")}
        uti = {
            "base_url": openai.endpoint_url,
            "headers": {"X-Token": planted_keys.HEADER},
            "api_key": {"env": "UTI_KEY", **source},
        }
        config.write_text(json.dumps({"keys": {"gemini": source}, "endpoints": {"uti": uti}}))
        environment = {
            "GEMINI_API_KEY": planted_keys.GEMINI,
            "UTI_KEY": planted_keys.OPENAI,
            "GOOGLE_GEMINI_BASE_URL": gemini.url,
            "SSL_CERT_FILE": str(one_certificate),
            "PYTHON_KEYRING_BACKEND": "fake_keyring.Kept",
            "PYTHONPATH": str(Path(__file__).parent),
            "FAKE_KEYRING": str(secrets / "kept.json"),
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield Planted(gemx_home, config, gemini, openai, monkeypatch, run_gemx)


# Which source a key of Gemini comes from: what is taken away, and the key that is then used.
SOURCES = {
    "environment": ((), planted_keys.GEMINI),
    "keyring": (("GEMINI_API_KEY",), planted_keys.KEPT),
    "command": (("GEMINI_API_KEY", "PYTHON_KEYRING_BACKEND"), planted_keys.COMMANDED),
    "file": (("GEMINI_API_KEY", "PYTHON_KEYRING_BACKEND"), planted_keys.FILED),
}


@pytest.mark.parametrize("source", SOURCES)
def test_an_answer(planted: Planted, source: str) -> None:
    key = planted.use(source)
    for run, *more in ((planted.run_watched,), (planted.run, "--json"), (planted.run, "--debug")):
        done = run("gen", *GEMINI, "Oi", *more)
        assert done.code == 0, done.err
        assert planted.gemini.last.headers["x-goog-api-key"] == key


def echoing(exchange: Exchange, *, status: int, name: str) -> None:
    """Refuse a call, and quote every header that it came with."""
    FAULTS["error"](exchange, status=status, name=name, message=f"not valid: {json.dumps(exchange.request.headers)}")


def echoing_all(exchange: Exchange, *, status: int) -> None:
    """Refuse a call as an OpenAI-compatible server, with every header in the message, as text or as JSON."""
    text = json.dumps(exchange.request.headers)
    body = {"error": {"message": text, "code": text}} if status != 500 else None
    exchange.raw(json.dumps(body).encode() if body else text.encode(), status)


@pytest.mark.parametrize("more", [(), ("--json",), ("--debug",)])
@pytest.mark.parametrize(("status", "name"), [(400, "INVALID_ARGUMENT"), (401, "UNAUTHENTICATED"), (404, "NOT_FOUND")])
@pytest.mark.parametrize("source", ["environment", "file"])
def test_a_refusal_that_quotes_the_key(
    planted: Planted, source: str, status: int, name: str, more: tuple[str, ...]
) -> None:
    planted.use(source)
    planted.gemini.always("error", status=status, name=name, message="")
    planted.gemini.queue(partial(echoing, status=status, name=name))
    done = planted.run("gen", *GEMINI, *more, "Oi")
    assert done.code == 5
    assert "[key]" in done.out + done.err


@pytest.mark.parametrize("more", [(), ("--json",), ("--debug",)])
@pytest.mark.parametrize("status", [400, 401, 404])
def test_an_endpoint_that_quotes_key_and_headers(planted: Planted, status: int, more: tuple[str, ...]) -> None:
    planted.openai.queue(partial(echoing_all, status=status))
    done = planted.run("gen", *SERVER, *more, "Oi")
    assert done.code == 5
    assert "[key]" in done.out + done.err
    assert planted.openai.last.headers["authorization"] == f"Bearer {planted_keys.OPENAI}"


@pytest.mark.parametrize("fault", ["hang", "reset", "cut", "html"])
def test_calls_that_break_off(planted: Planted, fault: str) -> None:
    planted.monkeypatch.setenv("GEMX_TIMEOUT", "1")
    for server, model in ((planted.gemini, GEMINI), (planted.openai, SERVER)):
        server.always(fault)
        done = planted.run("gen", *model, "--debug", "Oi")
        assert done.code not in (0, 1), done.err


@pytest.mark.parametrize("more", [(), ("--json",), ("--debug",)])
def test_an_automation(planted: Planted, more: tuple[str, ...]) -> None:
    assert planted.run(*AUTO, "-m", "extractive", *more).code == 0
    planted.gemini.always("unauthorized")
    planted.gemini.queue(partial(echoing, status=401, name="UNAUTHENTICATED"))
    assert planted.run(*AUTO, *GEMINI, *more).code not in (0, 1)


@pytest.mark.parametrize("source", SOURCES)
def test_the_doctor(planted: Planted, source: str) -> None:
    planted.use(source)
    for run, *more in ((planted.run_watched,), (planted.run, "--json")):
        planted.gemini.queue(partial(echoing, status=401, name="UNAUTHENTICATED"))
        planted.openai.queue(partial(echoing_all, status=500))
        done = run("doctor", *more)
        assert done.code == 3, done.out
        assert "[key]" in done.out


@pytest.mark.parametrize("more", [(), ("--file", "--debug")])
def test_storing_a_key(planted: Planted, more: tuple[str, ...]) -> None:
    assert planted.run_watched("config", "set-key", "gemini", *more, given=planted_keys.KEPT).code == 0
    assert planted.run("config", "set-key", "uti", "--json", *more, given=planted_keys.KEPT).code == 0
    for name in ("gemini", "uti"):
        assert planted.run("config", "set-key", name, "--remove").code == 0
    wrong = f"{planted_keys.KEPT} {planted_keys.FILED}\n"
    assert planted.run("config", "set-key", "gemini", *more, given=wrong).code == 4


# The whole config.json, with a key where none belongs.
MISPLACED: dict[str, Callable[[str], Any]] = {
    "as the source": lambda key: {"keys": {"gemini": key}},
    "as the variable": lambda key: {"keys": {"gemini": {"env": key}}},
    "as the file": lambda key: {"keys": {"gemini": {"file": key}}},
    "as the command": lambda key: {"keys": {"gemini": {"command": [key]}}},
    "as an argument": lambda key: {"keys": {"gemini": {"command": ["false", key]}}},
    "as an owner": lambda key: {"keys": {key: {"env": "X"}}},
    "as an endpoint's": lambda key: {"endpoints": {"uti": {"base_url": "http://127.0.0.1:9/v1", "api_key": key}}},
    "in a base URL": lambda key: {"endpoints": {"uti": {"base_url": f"http://127.0.0.1:9/v1?key={key}"}}},
    "as a password": lambda key: {"endpoints": {"uti": {"base_url": f"http://x:{key}@127.0.0.1:9/v1"}}},
    "as a setting": lambda key: {"gemini_api_key": key},
    "as a setting's name": lambda key: {key: True},
    "as the model": lambda key: {"model": key},
    "as a time zone": lambda key: {"timezone": key},
    "as the profile": lambda key: {"profile": key},
    "after which it is no JSON": lambda key: key,
}


# Where not only what looks like a key is hidden, but whatever is written there.
HIDDEN = ("as the source", "as an endpoint's", "as a setting", "as an argument", "after which it is no JSON")


@pytest.mark.parametrize(
    ("place", "key"),
    [*((place, planted_keys.MISPLACED) for place in MISPLACED), *((place, planted_keys.FILED) for place in HIDDEN)],
)
def test_a_key_in_the_wrong_place_of_config_json(planted: Planted, place: str, key: str) -> None:
    planted.config.write_text(json.dumps(MISPLACED[place](key)))
    for variable in ("GEMINI_API_KEY", "PYTHON_KEYRING_BACKEND"):
        planted.monkeypatch.delenv(variable)
    planted.monkeypatch.setattr(llama_cpp, "about", lambda _: {"version": "0", "gpu_offload": False})
    for argv in (
        ("gen", "Oi", "--debug"),
        ("gen", *GEMINI, "Oi", "--debug"),
        ("gen", *SERVER, "Oi", "--json"),
        (*AUTO, "--debug"),
        ("doctor",),
        ("doctor", "--json"),
        ("config", "set-key", "utii", "--debug"),
    ):
        planted.run(*argv)


def test_a_file_of_a_key_that_others_can_read(planted: Planted, tmp_path: Path) -> None:
    planted.use("file")
    (tmp_path / "secrets" / "gemini").chmod(0o644)
    for argv in (("gen", *GEMINI, "Oi", "--debug"), ("doctor",)):
        done = planted.run(*argv)
        assert done.code == 3
        assert "chmod 600" in done.out + done.err


@pytest.mark.parametrize("backend", ["Broken", "Noisy", "Forgetful", "NoSuchBackend"])
def test_a_keyring_that_does_not_work(planted: Planted, backend: str) -> None:
    planted.use("keyring")
    planted.monkeypatch.setenv("PYTHON_KEYRING_BACKEND", f"fake_keyring.{backend}")
    assert planted.run("doctor", "--offline").code == 0
    assert planted.run("gen", *GEMINI, "Oi", "--debug").code == 0
    assert planted.run("config", "set-key", "gemini", "--debug", given=planted_keys.KEPT).code == 0


def test_a_keyring_that_hangs_costs_six_seconds_at_most(planted: Planted) -> None:
    planted.use("keyring")
    planted.monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "fake_keyring.Hanging")
    started = time.monotonic()
    done = planted.run_watched("gen", *GEMINI, "Oi")
    # The five of the keyring, and what gemx takes by itself on a busy machine.
    assert time.monotonic() - started < 5 + 4
    assert done.code == 0
    assert planted.gemini.last.headers["x-goog-api-key"] == planted_keys.COMMANDED
    assert b"gemx.system_keyring get gemini" in b"".join(planted.seen)


def test_the_check_of_every_test_finds_a_key(run_gemx: RunGemx, fake_gemini: FakeGemini, tmp_path: Path) -> None:
    fake_gemini.reply_text(planted_keys.FILED)
    with pytest.raises(AssertionError, match="a key was printed"):
        run_gemx("gen", *GEMINI, "Oi", "--no-history")
    hidden = tmp_path / "hidden" / "deep" / "file.db"
    hidden.parent.mkdir(parents=True)
    hidden.write_bytes(b"\xff\x00" + planted_keys.HEADER.encode() + b"\x00")
    assert planted_keys.leaks_below(tmp_path / "hidden", own=set()) == [f"{hidden}: {planted_keys.HEADER}"]
    assert planted_keys.leaks_below(tmp_path / "hidden", own={hidden}) == []


def test_the_watch_finds_an_argument() -> None:
    command = [sys.executable, "-c", "print(flush=True); input()", "seen-by-everyone"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            assert b"seen-by-everyone" in command_lines()
        finally:
            process.kill()
