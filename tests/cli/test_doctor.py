"""`gemx doctor` on real files, processes and loopback servers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import planted_keys
from conftest import Result, RunGemx
from fake_gemini import FakeGemini
from fake_openai import MODEL, FakeOpenAI
from gemx import diagnosis, keys, places, storage
from gemx.audit import writer
from gemx.diagnosis import access, files, hardware, software
from gemx.errors import NotInstalledError, StoppedError
from gemx.providers import llama_cpp
from loopback import Exchange
from terminal import GEMX, on_a_terminal

FakeKeyring = Callable[..., Path]
Doctor = Callable[..., "Found"]
ENGINE = {"version": "0.0.1", "gpu_offload": False}


class Found:
    """What a doctor said, by the id of the check; of several of one id, the first that is not ok."""

    def __init__(self, result: Result) -> None:
        self.code, self.envelope = result.code, result.json
        self.all: list[dict[str, Any]] = result.json["data"]["checks"]

    def __getitem__(self, name: str) -> dict[str, Any]:
        found = [check for check in self.all if check["id"] == name]
        return next((check for check in found if check["status"] != "ok"), found[0])

    def status(self, name: str) -> str:
        return self[name]["status"]


@pytest.fixture
def doctor(run_gemx: RunGemx, monkeypatch: pytest.MonkeyPatch) -> Doctor:
    """Run it, without the half second of the engine's process; `engine` is what that one says of itself."""

    def run(*argv: str, engine: dict[str, Any] | Exception = ENGINE) -> Found:
        def about(seconds: float) -> dict[str, Any]:
            if isinstance(engine, Exception):
                raise engine
            return engine

        keys.forget()
        monkeypatch.setattr(llama_cpp, "about", about)
        return Found(run_gemx("doctor", "--json", *argv))

    return run


def configure(**config: Any) -> Path:
    path = places.ensure_private_dir(places.config_dir()) / "config.json"
    path.write_text(json.dumps(config))
    path.chmod(0o600)
    return path


def endpoint(url: str, **more: Any) -> dict[str, Any]:
    return {"endpoints": {"uti": {"base_url": url, **more}}}


def test_a_new_installation(run_gemx: RunGemx, gemx_home: Path) -> None:
    done = run_gemx("doctor")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[-1].endswith("1 to look at, 0 failed")
    assert all(line.startswith(("ok    ", "warn  ", "fail  ", "      ")) for line in lines[:-1])
    assert max(len(line) for line in lines if "/" not in line) <= 80
    assert "→ set GEMINI_API_KEY, or: gemx config set-key gemini" in done.out
    assert "\x1b" not in done.out
    # Nothing is made by looking.
    assert not gemx_home.exists()


def test_json(doctor: Doctor) -> None:
    found = doctor()
    assert (found.envelope["command"], found.envelope["status"], found.envelope["errors"]) == ("doctor", "success", [])
    assert {tuple(check) for check in found.all} == {("id", "status", "found", "mend")}
    assert {check["status"] for check in found.all} == {"ok", "warn"}
    assert [check["id"] for check in found.all if check["mend"]] == ["key.gemini"]
    names = [check["id"] for check in found.all]
    assert len(names) == len(set(names))


def test_the_real_engine_is_asked_in_its_own_process(run_gemx: RunGemx) -> None:
    found = Found(run_gemx("doctor", "--json", "--offline"))
    assert found.status("local") == "ok"
    assert found["local"]["found"].startswith("llama-cpp-python ")
    assert "GPU offload" in found["local"]["found"]
    assert "llama_cpp" not in sys.modules


def test_a_broken_config_stops_nothing_and_reaches_nobody(
    doctor: Doctor, fake_gemini: FakeGemini, key_files: set[Path]
) -> None:
    key_files.add(configure(modle="x", keys={"gemini": planted_keys.MISPLACED}, network="machine"))
    found = doctor()
    assert found.code == 3
    problems = [check["found"] for check in found.all if check["id"] == "config"]
    assert len(problems) == 2
    assert any("did you mean 'model'?" in problem for problem in problems)
    assert found["endpoint.gemini"]["found"] == "not asked: config.json is not valid"
    assert "GEMINI_API_KEY" in found["key.gemini"]["found"]
    assert found.status("audit") == "ok"
    assert fake_gemini.requests == []
    assert found.envelope["errors"][0]["code"] == "config"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": 1, "a": 2}', "\x00"])
def test_a_config_that_is_no_json(doctor: Doctor, text: str) -> None:
    configure().write_text(text)
    found = doctor()
    assert (found.code, found.status("config")) == (3, "fail")


def test_a_config_that_cannot_be_read(doctor: Doctor) -> None:
    places.ensure_private_dir(places.config_dir() / "config.json")
    found = doctor()
    assert (found.code, found.status("config")) == (3, "fail")


def test_a_profile_that_is_not_there(doctor: Doctor, fake_gemini: FakeGemini) -> None:
    configure(profile="nada")
    found = doctor()
    assert (found.code, found.status("profile")) == (3, "fail")
    assert found["endpoint.gemini"]["found"] == "not asked: the profile is not valid"
    configure(profile="deterministico")
    assert "endpoint.gemini" in {check["id"] for check in doctor().all}


def test_a_check_that_crashes_is_a_failed_line(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(_: Any) -> Any:
        raise RuntimeError(f"no {planted_keys.MISPLACED}")

    monkeypatch.setitem(diagnosis._CHECKS, "sqlite", crash)
    found = doctor()
    assert found.code == 3
    assert found["sqlite"]["found"] == "the check itself failed: RuntimeError: no [key]"
    assert found.status("clock") == "ok"


def test_one_endpoint_that_breaks_its_check_leaves_the_others(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch, fake_gemini: FakeGemini
) -> None:
    def probe(self: Any, seconds: float) -> Any:
        raise RecursionError("too deep")

    monkeypatch.setattr("gemx.providers.gemini.Gemini.probe", probe)
    with FakeOpenAI() as server:
        configure(**endpoint(server.endpoint_url))
        found = doctor()
    assert found["endpoint.gemini"]["found"] == "the check itself failed: RecursionError: too deep"
    assert found["endpoint.uti"]["found"] == "reached: 1 model"


def test_an_end_that_is_asked_for_is_no_finding(run_gemx: RunGemx, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(_: Any) -> Any:
        raise StoppedError("terminated", 143)

    monkeypatch.setitem(diagnosis._CHECKS, "sqlite", stop)
    assert run_gemx("doctor").code == 143


def test_gemini_is_reached(doctor: Doctor, fake_gemini: FakeGemini) -> None:
    found = doctor()
    assert found.code == 0
    assert found["key.gemini"]["found"] == "in GEMINI_API_KEY"
    assert found["endpoint.gemini"]["found"] == "reached: 2 models"
    assert found["clock"]["found"].endswith("within 60 s of gemini")
    (request,) = fake_gemini.requests
    assert (request.method, request.body) == ("GET", None)
    assert request.headers["x-goog-api-key"] == planted_keys.GEMINI


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        ("api_key_invalid", "fail", "the key was refused"),
        ("unauthorized", "fail", "the key was refused"),
        ("forbidden", "fail", "the key was refused"),
        ("not_found", "warn", "lists no models"),
        ("rate_limit", "warn", "over a limit"),
        ("daily_quota", "warn", "over a limit"),
        ("unavailable", "fail", "no answer"),
        ("reset", "fail", "no answer"),
        ("html", "fail", "no answer"),
    ],
)
def test_what_gemini_may_say(doctor: Doctor, fake_gemini: FakeGemini, fault: str, status: str, words: str) -> None:
    fake_gemini.always(fault)
    found = doctor()
    assert found.status("endpoint.gemini") == status
    assert words in found["endpoint.gemini"]["found"]
    assert found["endpoint.gemini"]["mend"] or status == "warn"
    assert found.code == (3 if status == "fail" else 0)


def test_a_refusal_that_quotes_the_key(doctor: Doctor, fake_gemini: FakeGemini) -> None:
    fake_gemini.always("error", status=401, name="UNAUTHENTICATED", message=f"bad key {planted_keys.GEMINI}")
    assert "bad key [key]" in doctor()["endpoint.gemini"]["found"]


def test_endpoints_of_config_and_environment(doctor: Doctor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(planted_keys.OPENAI)
    key.chmod(0o600)
    with FakeOpenAI() as configured, FakeOpenAI() as environment:
        configure(**endpoint(configured.endpoint_url, model=MODEL, api_key={"file": str(key)}))
        monkeypatch.setenv("LLM_BASE_URL", environment.endpoint_url)
        found = doctor()
    assert found.code == 0
    assert found["endpoint.uti"]["found"] == found["endpoint.LLM_BASE_URL"]["found"] == "reached: 1 model"
    assert found["key.uti"]["found"] == f"in {key}"
    assert found["key.LLM_BASE_URL"]["found"] == "none: LLM_API_KEY is not set"
    assert [server.last.path for server in (configured, environment)] == ["/v1/models"] * 2
    assert configured.last.headers["authorization"] == f"Bearer {planted_keys.OPENAI}"
    assert "authorization" not in environment.last.headers
    assert found["clock"]["found"].endswith("within 60 s of LLM_BASE_URL, uti")


def test_an_endpoint_that_lacks_its_model(doctor: Doctor) -> None:
    with FakeOpenAI() as server:
        configure(**endpoint(server.endpoint_url, model="other"))
        found = doctor()["endpoint.uti"]
    assert (found["status"], found["mend"]) == ("warn", f"it serves: {MODEL}")
    assert found["found"] == "reached, and it does not serve other"


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        ("unauthorized", "fail", "the key was refused"),
        ("not_found", "warn", "lists no models"),
        ("html", "fail", "JSON"),
    ],
)
def test_what_an_endpoint_may_say(doctor: Doctor, fault: str, status: str, words: str) -> None:
    with FakeOpenAI() as server:
        server.always(fault)
        configure(**endpoint(server.endpoint_url))
        found = doctor()["endpoint.uti"]
    assert found["status"] == status
    assert words in found["found"]


def test_who_does_not_answer_costs_little_time_together(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "_SECONDS", 1.0)
    with FakeOpenAI() as server:
        server.always("hang")
        urls = {f"e{number}": {"base_url": server.endpoint_url} for number in range(6)}
        configure(endpoints={**urls, "closed": {"base_url": "http://127.0.0.1:9/v1"}})
        started = time.monotonic()
        found = doctor()
        assert time.monotonic() - started < 4
    assert found.code == 3
    assert [found.status(f"endpoint.{name}") for name in (*urls, "closed")] == ["fail"] * 7
    assert "within 1 s" in found["endpoint.e0"]["found"]
    assert "cannot be reached" in found["endpoint.closed"]["found"]


@pytest.mark.parametrize(("network", "asked"), [("machine", ["near"]), ("site", ["near", "site"])])
def test_whoever_lies_beyond_the_network_is_not_asked(
    doctor: Doctor, fake_gemini: FakeGemini, network: str, asked: list[str]
) -> None:
    with FakeOpenAI() as near:
        # No test may reach that far: the name is not resolved on the loopback.
        site = {"base_url": "http://127.0.0.1.invalid/v1", "site": True}
        cloud = {"base_url": "http://cloud.invalid/v1"}
        configure(network=network, endpoints={"near": {"base_url": near.endpoint_url}, "site": site, "cloud": cloud})
        found = doctor()
    for name in ("gemini", "near", "site", "cloud"):
        told = found[f"endpoint.{name}"]["found"]
        assert (told == f"not asked: network is {network}") == (name not in asked)
    assert fake_gemini.requests == []


def test_offline_asks_this_machine_alone(doctor: Doctor, fake_gemini: FakeGemini) -> None:
    with FakeOpenAI() as near:
        configure(endpoints={"near": {"base_url": near.endpoint_url}, "cloud": {"base_url": "http://cloud.invalid/v1"}})
        found = doctor("--offline")
    assert found.code == 0
    assert found["endpoint.gemini"]["found"] == found["endpoint.cloud"]["found"] == "not asked: --offline"
    assert found["endpoint.near"]["found"] == "reached: 1 model"
    assert fake_gemini.requests == []


def test_an_endpoint_that_is_not_described_well(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(**endpoint("http://user:pass@127.0.0.1/v1"))
    monkeypatch.setenv("LLM_BASE_URL", "nonsense")
    found = doctor()
    assert (found.code, found.status("endpoint.uti"), found.status("endpoint.LLM_BASE_URL")) == (3, "fail", "fail")
    assert found.status("clock") == "ok"


def test_which_key_wins(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch, fake_keyring: FakeKeyring, tmp_path: Path
) -> None:
    fake_keyring(gemini=planted_keys.KEPT)
    ran = tmp_path / "ran"
    configure(keys={"gemini": {"command": ["touch", str(ran)]}})
    keys.store(keys.of_gemini(_settings()), planted_keys.FILED, in_file=True)
    fake_keyring(gemini=planted_keys.KEPT)
    monkeypatch.setenv("GOOGLE_API_KEY", planted_keys.GEMINI)
    found = doctor("--offline")["key.gemini"]
    stored = places.config_dir() / "keys" / "gemini"
    told = f"in GOOGLE_API_KEY, which wins; also in the keyring, keys.gemini.command (not run), {stored}"
    assert (found["status"], found["found"]) == ("ok", told)
    assert not ran.exists()


def _settings() -> Any:
    from gemx import settings

    return settings.load()


def test_a_key_file_that_others_can_read(doctor: Doctor) -> None:
    keys.store(keys.of_gemini(_settings()), planted_keys.FILED, in_file=True)
    path = places.config_dir() / "keys" / "gemini"
    path.chmod(0o644)
    found = doctor()
    assert (found.code, found["key.gemini"]["mend"]) == (3, f"chmod 600 {path}")
    assert found["endpoint.gemini"]["found"] == "not asked: its key cannot be read"
    path.chmod(0o600)
    assert doctor("--offline").code == 0


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"env": "NOT_SET_ANYWHERE"}, "NOT_SET_ANYWHERE is not set"),
        ({"file": "/no/such/file"}, "there is no file /no/such/file"),
        ({"command": ["false"]}, "the command 'false' gave no key"),
    ],
)
def test_a_source_without_a_key(doctor: Doctor, source: dict[str, Any], words: str) -> None:
    configure(keys={"gemini": source})
    found = doctor()
    assert (found.code, found.status("key.gemini")) == (3, "fail")
    assert words in found["key.gemini"]["found"]


def test_a_key_that_can_be_none(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", f"{planted_keys.GEMINI} {planted_keys.GEMINI}")
    found = doctor("--offline")
    assert (found.code, found.status("key.gemini")) == (3, "fail")
    assert "in GEMINI_API_KEY, but the key holds white space" in found["key.gemini"]["found"]


def test_no_key_is_needed_where_something_else_answers(doctor: Doctor) -> None:
    assert doctor().status("key.gemini") == "warn"
    configure(network="machine")
    assert doctor().status("key.gemini") == "ok"
    configure(network="machine", model="gemini:gemini-3.8-flash")
    assert doctor().status("key.gemini") == "warn"


@pytest.mark.parametrize(
    ("backend", "status", "words"),
    [("Kept", "ok", ""), ("Broken", "warn", "KeyringLocked"), ("NoSuchBackend", "warn", "exit code 1")],
)
def test_the_keyring(doctor: Doctor, fake_keyring: FakeKeyring, backend: str, status: str, words: str) -> None:
    fake_keyring(backend)
    found = doctor("--offline")
    assert (found.code, found.status("keyring")) == (0, status)
    assert words in found["keyring"]["found"]


def test_a_session_without_a_keyring_is_told_and_no_fault(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "there is no D-Bus session" in doctor("--offline")["keyring"]["found"]
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/no/such/socket")
    found = doctor("--offline")["keyring"]
    assert (found["status"], found["mend"]) == ("ok", None)
    assert "no keyring service is running; keys are stored in files" in found["found"]


def test_a_keyring_that_hangs(doctor: Doctor, fake_keyring: FakeKeyring) -> None:
    fake_keyring("Hanging")
    started = time.monotonic()
    found = doctor("--offline")
    assert time.monotonic() - started < 7
    assert found["keyring"]["found"] == "it cannot be used: no answer within 5 s"
    assert "set-key" in found["keyring"]["mend"]


@pytest.mark.parametrize(
    ("wide", "command"),
    [
        ("config/config.json", "chmod 600 {path}"),
        ("config", "chmod 700 {path}"),
        ("state/audit", "chmod 700 {path}"),
        ("state/audit/.key", "chmod 600 {path}"),
        ("data/history.db", "chmod 600 {path}"),
        ("cache", "chmod 700 {path}"),
    ],
)
def test_what_others_can_reach(doctor: Doctor, run_gemx: RunGemx, gemx_home: Path, wide: str, command: str) -> None:
    run_gemx("gen", "-m", "extractive", "Oi")
    configure()
    (gemx_home / "data").mkdir(0o700, exist_ok=True)
    (gemx_home / "data/history.db").touch(0o600)
    (gemx_home / "state/audit/.key").touch(0o600)
    places.ensure_private_dir(gemx_home / "cache")
    assert [doctor().status(f"paths.{name}") for name in ("config", "state", "data", "cache")] == ["ok"] * 4
    path = gemx_home / wide
    path.chmod(0o755 if path.is_dir() else 0o644)
    found = doctor()[f"paths.{wide.partition('/')[0]}"]
    assert (found["status"], found["mend"]) == ("warn", command.format(path=path))
    assert f"others can reach {path} (mode 07" in found["found"] or "(mode 0644)" in found["found"]
    subprocess.run(found["mend"], shell=True, check=True)
    assert doctor()[f"paths.{wide.partition('/')[0]}"]["status"] == "ok"


def test_many_files_that_others_can_reach_are_one_command(doctor: Doctor) -> None:
    folder = places.ensure_private_dir(places.audit_dir())
    folder.chmod(0o755)
    for day in range(10, 30):
        (folder / f"audit-2026-10-{day}.jsonl").touch(0o644)
    found = doctor()["paths.state"]
    assert found["found"].endswith("(mode 0755), and 20 more")
    assert len(found["mend"].splitlines()) == 2
    for line in found["mend"].splitlines():
        subprocess.run(line, shell=True, check=True)
    assert doctor()["paths.state"]["status"] == "ok"


@pytest.mark.parametrize("place", ["", "config", "state"])
def test_a_place_that_is_in_the_way(doctor: Doctor, gemx_home: Path, place: str) -> None:
    path = gemx_home / place
    path.parent.mkdir(exist_ok=True)
    path.write_text("in the way")
    found = doctor()
    assert found.code == 3
    assert any(check["status"] == "fail" and check["id"].startswith("paths") for check in found.all)


def test_the_audit(doctor: Doctor) -> None:
    for _ in range(3):
        writer.append({"kind": "attempt"})
    (path,) = places.audit_dir().glob("audit-*.jsonl")
    assert doctor()["audit"]["found"] == "3 records in 1 file; the chain is unbroken"
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    found = doctor()
    assert (found.code, found.status("audit")) == (0, "warn")
    assert f"{path}:3" in found["audit"]["found"]
    path.write_bytes(whole.replace(b"attempt", b"refusal", 1))
    found = doctor()
    assert (found.code, found.status("audit")) == (3, "fail")
    assert f"first {path}:1: " in found["audit"]["found"]


def test_an_audit_on_a_network_is_told(doctor: Doctor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounted = str(tmp_path).replace(" ", "\\040")
    mounts.write_text(f"1 0 0:1 / / rw - ext4 /dev/sda rw\n2 1 0:2 / {mounted} rw shared:1 - nfs4 server:/home rw\n")
    monkeypatch.setattr(files, "_MOUNTS", mounts)
    assert "the audit is on nfs4" in doctor()["audit"]["found"]
    mounts.write_text(f"1 0 0:1 / / rw - nfs4 server:/ rw\n2 1 0:2 / {mounted} rw - ext4 /dev/sda rw\n")
    assert doctor()["audit"]["status"] == "ok"
    monkeypatch.setattr(files, "_MOUNTS", tmp_path / "none")
    assert doctor()["audit"]["status"] == "ok"


@pytest.mark.parametrize(("free", "status"), [(1000, "fail"), (100 << 20, "warn"), (5 << 30, "ok")])
def test_the_disk(doctor: Doctor, monkeypatch: pytest.MonkeyPatch, free: int, status: str) -> None:
    usage = type("Usage", (), {"free": free})
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: usage)
    assert doctor().status("disk") == status


def _dated(exchange: Exchange, seconds: float) -> None:
    when = datetime.now(UTC) + timedelta(seconds=seconds)
    exchange.handler.date_time_string = lambda *_: when.strftime("%a, %d %b %Y %H:%M:%S GMT")  # type: ignore[method-assign]
    exchange.json({"data": []})


@pytest.mark.parametrize(
    ("seconds", "words"), [(-300, "300 s ahead of that of uti"), (300, "300 s behind that of uti")]
)
def test_a_clock_that_differs_from_an_endpoints(doctor: Doctor, seconds: int, words: str) -> None:
    with FakeOpenAI() as server:
        configure(**endpoint(server.endpoint_url))
        server.queue(partial(_dated, seconds=seconds))
        found = doctor()["clock"]
    assert found["status"] == "warn"
    assert words in found["found"].replace("299", "300").replace("301", "300")


def test_a_clock_that_was_set_back(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + timedelta(hours=2)

    with monkeypatch.context() as patch:
        patch.setattr(writer, "datetime", Later)
        writer.append({})
    found = doctor()["clock"]
    assert found["status"] == "warn"
    assert "the last audit record is of" in found["found"]


def test_a_clock_before_gemx(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(software, "_WRITTEN", datetime.now(UTC) + timedelta(days=1))
    found = doctor()
    assert (found.code, found.status("clock")) == (3, "fail")


def test_the_database_library(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    for sound, words in {True: "journal mode wal", False: "truncate"}.items():
        monkeypatch.setattr(storage, "has_sound_wal", lambda sound=sound: sound)
        found = doctor()["sqlite"]
        assert (found["status"], words in found["found"]) == ("ok", True)


def test_the_time_zone(doctor: Doctor) -> None:
    assert "the system's" in doctor()["timezone"]["found"]
    configure(timezone="America/Sao_Paulo")
    assert doctor()["timezone"]["found"] == "America/Sao_Paulo (config.json)"


def test_models(doctor: Doctor) -> None:
    folder = places.ensure_private_dir(places.models_dir())
    for number in range(7):
        (folder / f"m{number}.gguf").write_bytes(b"GGUF....")
    found = doctor()["models"]
    assert (found["status"], found["found"]) == ("ok", "7 installed: m0, m1, m2, m3, m4 and 2 more")
    (folder / "m0.gguf").write_bytes(b"<htm")
    (folder / "m1.gguf").write_bytes(b"")
    told = doctor()
    assert told.code == 3
    broken = [check["found"] for check in told.all if check["id"] == "models" and check["status"] == "fail"]
    assert broken == [f"{folder}/m{number}.gguf: it is not a GGUF file" for number in (0, 1)]


def test_the_engine(doctor: Doctor) -> None:
    missing = NotInstalledError("local models need llama_cpp: install them with pipx install 'gemx[local]'")
    found = doctor(engine=missing)["local"]
    assert (found["status"], found["mend"]) == ("ok", None)
    assert "pipx install 'gemx[local]'" in found["found"]
    configure(model="gguf:qwen")
    found = doctor(engine=missing)["local"]
    assert (found["status"], found["mend"]) == ("warn", "install them with pipx install 'gemx[local]'")
    found = doctor(engine={"version": "1", "gpu_offload": True})["local"]
    assert found["found"].endswith("built with GPU offload")


@pytest.mark.parametrize(
    "died", ["os.kill(os.getpid(), 9)", "os.kill(os.getpid(), signal.SIGILL)", "raise ImportError"]
)
def test_an_engine_that_dies(run_gemx: RunGemx, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, died: str) -> None:
    (tmp_path / "broken_engine.py").write_text(f"import os, signal\n{died}\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(llama_cpp, "ENGINE", "broken_engine")
    found = Found(run_gemx("doctor", "--json", "--offline"))
    assert (found.code, found.status("local")) == (3, "fail")
    assert found.status("gpu") == "ok"


def test_an_engine_that_hangs(run_gemx: RunGemx, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "hanging_engine.py").write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(llama_cpp, "ENGINE", "hanging_engine")
    monkeypatch.setattr(software, "_ENGINE_SECONDS", 0.5)
    assert Found(run_gemx("doctor", "--json", "--offline")).status("local") == "fail"


@pytest.fixture
def nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a program in the place of nvidia-smi."""

    def install(script: str) -> None:
        program = tmp_path / "bin" / "nvidia-smi"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(program.parent) + os.pathsep + os.environ["PATH"])

    return install


def test_no_card_is_no_failure(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware.shutil, "which", lambda _: None)
    assert doctor().status("gpu") == "ok"


def test_a_card(doctor: Doctor, nvidia_smi: Callable[[str], None]) -> None:
    nvidia_smi('echo "NVIDIA L4, 23034, 22563, 550.54.15"; echo "NVIDIA L4, 23034, 100, 550.54.15"')
    found = doctor(engine={"version": "1", "gpu_offload": True})
    cards = [check["found"] for check in found.all if check["id"] == "gpu"]
    assert cards[0] == "NVIDIA L4, 22563 of 23034 MiB free, driver 550.54.15"
    assert len(cards) == 2
    idle = doctor()["gpu"]
    assert idle["status"] == "warn"
    assert "CMAKE_ARGS" in idle["mend"]


@pytest.mark.parametrize("script", ["exit 9", "echo 'No devices were found'", "sleep 60"])
def test_a_card_that_does_not_answer(
    doctor: Doctor, nvidia_smi: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    nvidia_smi(script)
    monkeypatch.setattr(hardware, "_SECONDS", 0.5)
    found = doctor()
    assert (found.code, found.status("gpu")) == (0, "warn")


def test_on_a_terminal(gemx_home: Path) -> None:
    env = {"PATH": "/usr/bin:/bin", "GEMX_HOME": str(gemx_home), "TERM": "xterm-256color", "COLUMNS": "60"}
    code, shown, _ = on_a_terminal(("doctor", "--offline"), env)
    assert code == 0
    assert "\x1b[32mok\x1b[0m" in shown
    code, plain, _ = on_a_terminal(("doctor", "--offline"), {**env, "NO_COLOR": "1"})
    assert "\x1b[3" not in plain


@pytest.mark.parametrize("more", [{}, {"PATH": "/usr/bin:/bin"}, {"LC_ALL": "C", "GEMX_HOME": "nowhere"}])
def test_a_bare_environment(more: dict[str, str], tmp_path: Path) -> None:
    env = {"GEMX_HOME": str(tmp_path / "home"), **more}
    done = subprocess.run(
        [GEMX, "doctor", "--offline"], env=env, cwd=tmp_path, capture_output=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert "→ set GEMINI_API_KEY" in done.stdout.decode("utf-8")
