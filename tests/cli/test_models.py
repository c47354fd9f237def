"""`gemx models`, with an endpoint on the loopback: installed, used, tampered with, killed, and many at once."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

import planted_keys
from conftest import RunGemx
from fake_hub import COMMIT, FakeHub, cut_after, refuse
from gemx.cli import completion
from gemx.models import download, store
from tiny_gguf import write_tiny_bert, write_tiny_gguf

GEMX = Path(sys.executable).with_name("gemx")
REPO = "casa/Modelo-GGUF"
FILE = "Modelo-Q4_K_M.gguf"
NAME = "Modelo-Q4_K_M"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tiny_gguf: Path) -> Iterator[FakeHub]:
    monkeypatch.setattr(download, "WAITS", (0.0, 0.0))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with FakeHub() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        server.put(REPO, FILE, tiny_gguf.read_bytes())
        server.put(REPO, "README.md", b"# Modelo")
        yield server


@pytest.fixture
def folder(gemx_home: Path) -> Path:
    return gemx_home / "data" / "models"


def state(run_gemx: RunGemx, name: str = NAME) -> str:
    rows = run_gemx("models", "list", "--json").json["data"]["models"]
    return {row["name"]: row["state"] for row in rows}.get(name, "")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("models.db"))


def test_from_nothing_to_an_answer(run_gemx: RunGemx, hub: FakeHub, folder: Path, tiny_gguf: Path) -> None:
    done = run_gemx("models", "install", REPO)
    assert (done.code, done.out) == (0, f"{NAME}: installed\n")
    assert "licence: apache-2.0" in done.err
    assert (folder / f"{NAME}.gguf").read_bytes() == tiny_gguf.read_bytes()
    assert names(folder) == [f"{NAME}.gguf"]
    assert (folder / f"{NAME}.gguf").stat().st_mode & 0o777 == 0o600
    assert run_gemx("models", "use", NAME).out == f"model = gguf:{NAME}\n"
    asked = run_gemx("gen", "oi", "-o", "max_output_tokens=3")
    assert asked.code == 7
    assert f"model: gguf:{NAME}" in asked.err
    assert all(COMMIT in each.path for each in hub.asked("resolve") + hub.asked("tree"))


def test_what_is_there_is_not_brought_again(run_gemx: RunGemx, hub: FakeHub) -> None:
    run_gemx("models", "install", REPO)
    hub.requests.clear()
    done = run_gemx("models", "install", REPO)
    assert (done.code, done.out) == (0, f"{NAME}: is installed already\n")
    assert hub.asked("file") == []
    hub.put(REPO, FILE, b"another content")
    done = run_gemx("models", "install", REPO)
    assert done.code == 2
    assert f"another model is installed as {NAME}" in done.err


def test_all_that_is_known_is_shown(run_gemx: RunGemx, hub: FakeHub, tiny_gguf: Path) -> None:
    shown = run_gemx("models", "install", REPO, "--json").json["data"]
    assert shown["fresh"] is True
    data = run_gemx("models", "show", NAME, "--json").json["data"]
    assert {**data, "fresh": True} == shown
    assert data["sha256"] == hashlib.sha256(tiny_gguf.read_bytes()).hexdigest()
    expected = {"state": "installed", "architecture": "llama", "quantization": "F32", "context": 1024}
    assert expected.items() <= data.items()
    assert (data["commit"], data["license"], data["chat_template"]) == (COMMIT, "apache-2.0", True)
    assert f"commit: {COMMIT}" in run_gemx("models", "show", NAME).out
    assert "licence" not in run_gemx("models", "show", "medgemma-4b").err
    available = run_gemx("models", "show", "medgemma-4b", "--json").json["data"]
    assert (available["state"], available["modality"]) == ("available", "vision")
    assert run_gemx("models", "show", "medgema-4b").code == 3


def test_a_licence_is_shown_and_accepted(run_gemx: RunGemx, hub: FakeHub, tiny_gguf: Path) -> None:
    hub.put("bartowski/Llama-3.2-1B-Instruct-GGUF", "Llama-3.2-1B-Instruct-Q8_0.gguf", tiny_gguf.read_bytes())
    done = run_gemx("models", "install", "llama-3.2-1b")
    assert done.code == 2
    assert "llama-3.2-1b has the licence llama3.2" in done.err
    assert "--accept-license" in done.err
    assert hub.asked("file") == []
    assert run_gemx("models", "install", "llama-3.2-1b", "--accept-license").out == "llama-3.2-1b: installed\n"
    assert run_gemx("models", "show", "llama-3.2-1b", "--json").json["data"]["license_accepted"]
    hub.cards[REPO] = {"license": "other", "license_name": "casa-v1"}
    assert "the licence casa-v1" in run_gemx("models", "install", REPO).err


def test_another_quantisation_and_several_files(run_gemx: RunGemx, hub: FakeHub, tiny_gguf: Path) -> None:
    data = tiny_gguf.read_bytes()
    hub.put(REPO, "Modelo-Q8_0.gguf", data)
    hub.put(REPO, "Modelo-F16-00001-of-00002.gguf", data)
    assert run_gemx("models", "install", f"{REPO}:q8_0").out == "Modelo-Q8_0: installed\n"
    assert run_gemx("models", "install", f"{REPO}:Modelo-Q8_0.gguf", "--name", "oito").out == "oito: installed\n"
    done = run_gemx("models", "install", f"{REPO}:Q2_K")
    assert (done.code, "it has: " in done.err) == (5, True)
    done = run_gemx("models", "install", f"{REPO}:F16")
    assert (done.code, "lies in several files" in done.err) == (5, True)
    done = run_gemx("models", "install", REPO, "--name", "mmproj-x")
    assert (done.code, "can be no model's name" in done.err) == (2, True)


def projector(path: Path) -> bytes:
    import gguf
    import numpy as np

    writer = gguf.GGUFWriter(path, "clip")
    writer.add_type("mmproj")
    writer.add_tensor("v.weight", np.zeros((4, 32), dtype=np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path.read_bytes()


def test_a_projector_comes_and_goes_with_its_model(
    run_gemx: RunGemx, hub: FakeHub, folder: Path, tmp_path: Path
) -> None:
    hub.put(REPO, "mmproj-model-f16.gguf", projector(tmp_path / "p.gguf"))
    hub.put(REPO, "mmproj-model-Q8_0.gguf", b"not this one")
    assert run_gemx("models", "install", REPO).code == 0
    assert names(folder) == [f"{NAME}.gguf", f"mmproj-{NAME}.gguf"]
    assert run_gemx("models", "show", NAME, "--json").json["data"]["projector"] == str(folder / f"mmproj-{NAME}.gguf")
    assert [row["name"] for row in run_gemx("models", "list", "--installed", "--json").json["data"]["models"]] == [NAME]
    (folder / f"mmproj-{NAME}.gguf").write_bytes(b"changed")
    assert run_gemx("models", "verify", NAME).code == 6
    assert run_gemx("models", "remove", NAME).code == 0
    assert names(folder) == []
    assert run_gemx("models", "install", REPO, "--no-projector").code == 0
    assert names(folder) == [f"{NAME}.gguf"]
    done = run_gemx("models", "add", str(tmp_path / "p.gguf"))
    assert (done.code, "is a projector" in done.err) == (5, True)


def test_a_model_that_was_tampered_with_is_never_loaded(run_gemx: RunGemx, hub: FakeHub, folder: Path) -> None:
    run_gemx("models", "install", REPO)
    path = folder / f"{NAME}.gguf"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    for model in (f"gguf:{NAME}", f"gguf:{path}"):
        done = run_gemx("gen", "oi", "-m", model)
        assert (done.code, done.out) == (11, "")
        assert "is broken: its file was changed" in done.err
    assert state(run_gemx) == "broken"
    assert run_gemx("models", "use", NAME).code == 11
    done = run_gemx("models", "verify", "--json")
    assert done.code == done.json["exit_code"] == 6
    assert done.json["data"]["models"][0]["state"] == "broken"
    assert "is broken" in run_gemx("doctor", "--offline").out
    assert run_gemx("models", "install", REPO).out == f"{NAME}: installed\n"
    assert run_gemx("models", "verify").out == f"{NAME}: ok\n"
    assert run_gemx("gen", "oi", "-o", "max_output_tokens=3", "-m", f"gguf:{NAME}").code == 7


def test_a_wrong_hash_leaves_nothing_that_could_be_loaded(run_gemx: RunGemx, hub: FakeHub, folder: Path) -> None:
    hub.false_hash = "0" * 64
    done = run_gemx("models", "install", REPO)
    assert done.code == 4
    assert "came with the SHA-256" in done.err
    assert names(folder) == []
    assert state(run_gemx) == ""
    assert run_gemx("gen", "oi", "-m", f"gguf:{NAME}").code == 5


def test_a_broken_model_stays_so_where_the_new_one_is_wrong_too(run_gemx: RunGemx, hub: FakeHub, folder: Path) -> None:
    run_gemx("models", "install", REPO)
    (folder / f"{NAME}.gguf").write_bytes(b"GGUF, changed")
    run_gemx("models", "verify")
    hub.false_hash = "0" * 64
    assert run_gemx("models", "install", REPO).code == 4
    assert run_gemx("gen", "oi", "-m", f"gguf:{NAME}").code == 5
    assert completion.local_models("") == []


def test_no_published_hash_is_no_install_and_the_header_will_do(run_gemx: RunGemx, hub: FakeHub) -> None:
    hub.publishes_lfs = False
    assert run_gemx("models", "install", REPO).code == 0
    assert [each.method for each in hub.asked("resolve")] == ["HEAD", "GET"]
    assert [each.method for each in hub.asked("file")] == ["GET"]
    run_gemx("models", "remove", NAME)
    hub.false_hash = "no hash"
    done = run_gemx("models", "install", REPO)
    assert (done.code, "publishes no SHA-256" in done.err) == (4, True)


@pytest.mark.parametrize(
    ("data", "words"), [(b"", "it is empty"), (b"GGUF\x07\0\0\0" + bytes(99), "version 7"), (b"<html>", "not start")]
)
def test_what_is_no_gguf_is_not_installed(
    run_gemx: RunGemx, hub: FakeHub, folder: Path, data: bytes, words: str, tmp_path: Path
) -> None:
    hub.put(REPO, FILE, data)
    done = run_gemx("models", "install", REPO)
    assert (done.code, words in done.err, names(folder), state(run_gemx)) == (4, True, [], "")
    path = tmp_path / "x.gguf"
    path.write_bytes(data)
    for command in ("install", "add"):
        done = run_gemx("models", command, str(path))
        assert (done.code, words in done.err) == (4, True)


@pytest.mark.parametrize(
    ("kind", "status", "code", "exit_code", "words"),
    [
        ("api", 404, "RepoNotFound", 5, "has no casa/Modelo-GGUF"),
        ("api", 500, None, 8, "HTTP 500"),
        ("api", 200, None, 5, "names no commit"),
        ("resolve", 401, "GatedRepo", 5, "ask for access at"),
        ("resolve", 404, "EntryNotFound", 5, "has no file"),
        ("file", 403, None, 5, "ask for access at"),
    ],
)
def test_a_refusal_is_told(
    run_gemx: RunGemx, hub: FakeHub, kind: str, status: int, code: str | None, exit_code: int, words: str
) -> None:
    hub.fault(kind, *[partial(refuse, status=status, code=code)] * 3)
    done = run_gemx("models", "install", REPO)
    assert done.code == exit_code
    assert words in done.err
    assert "Traceback" not in done.err


def test_a_gated_model_comes_with_a_token_and_the_token_goes_nowhere_else(
    run_gemx: RunGemx, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.gated.add(REPO)
    hub.token = planted_keys.GEMINI
    done = run_gemx("models", "install", REPO, "--accept-license")
    assert done.code == 5
    assert f"ask for access at {hub.url}/{REPO}, then give a token: HF_TOKEN" in done.err
    monkeypatch.setenv("HF_TOKEN", planted_keys.GEMINI)
    assert run_gemx("models", "install", REPO, "--accept-license").code == 0
    assert "authorization" not in hub.asked("file")[-1].headers


def test_a_stored_token_is_used(run_gemx: RunGemx, hub: FakeHub) -> None:
    hub.gated.add(REPO)
    hub.token = "um-token-guardado"
    assert run_gemx("config", "set-key", "huggingface", "--file", stdin="um-token-guardado").code == 0
    assert run_gemx("models", "install", REPO, "--accept-license").code == 0
    assert run_gemx("config", "set-key", "huggingface", "--remove").code == 0


def test_an_address_needs_its_hash(run_gemx: RunGemx, hub: FakeHub, tiny_gguf: Path, folder: Path) -> None:
    address = f"{hub.url}/files/{REPO}/{FILE}?assinatura=segredo"
    digest = hashlib.sha256(tiny_gguf.read_bytes()).hexdigest()
    assert run_gemx("models", "install", address).code == 2
    assert run_gemx("models", "install", address, "--sha256", "abc").code == 2
    done = run_gemx("models", "install", address, "--sha256", "0" * 64)
    assert (done.code, "check the address and --sha256" in done.err) == (4, True)
    assert run_gemx("models", "install", address, "--sha256", digest.upper()).code == 0
    assert "segredo" not in run_gemx("models", "show", NAME).out


def test_a_file_is_copied_and_an_added_one_stays_where_it_is(
    run_gemx: RunGemx, folder: Path, tiny_gguf: Path, workdir: Path
) -> None:
    shutil.copy(tiny_gguf, "meu.gguf")
    assert run_gemx("models", "install", "./meu.gguf", "--sha256", "0" * 64).code == 4
    assert run_gemx("models", "install", "./meu.gguf").out == "meu: installed\n"
    assert run_gemx("models", "add", "meu.gguf").code == 2
    assert run_gemx("models", "add", "meu.gguf", "--name", "ali").out == "ali: installed\n"
    assert run_gemx("models", "add", "meu.gguf", "--name", "ali").out == "ali: is installed already\n"
    assert (folder / "ali.gguf").readlink() == workdir / "meu.gguf"
    assert run_gemx("gen", "oi", "-m", "gguf:ali", "-o", "max_output_tokens=3").code == 7
    assert completion.local_models("") == ["ali", "meu"]
    for name in ("ali", "meu"):
        assert run_gemx("models", "remove", name).code == 0
    assert Path("meu.gguf").exists()
    assert names(folder) == []
    assert run_gemx("models", "remove", "ali").code == 5
    assert run_gemx("models", "add", "nada.gguf").code == 3


def test_an_added_file_that_changes_is_never_loaded(run_gemx: RunGemx, tmp_path: Path, workdir: Path) -> None:
    write_tiny_gguf(tmp_path / "fora.gguf")
    run_gemx("models", "add", str(tmp_path / "fora.gguf"))
    write_tiny_gguf(tmp_path / "fora.gguf", seed=8)
    for model in ("gguf:fora", f"gguf:{tmp_path / 'fora.gguf'}"):
        assert "is broken" in run_gemx("gen", "oi", "-m", model).err
    (tmp_path / "fora.gguf").unlink()
    assert state(run_gemx, "fora") == "broken"


def test_a_file_put_there_by_hand_counts_as_installed(run_gemx: RunGemx, folder: Path, tmp_path: Path) -> None:
    folder.mkdir(parents=True)
    write_tiny_bert(folder / "vetores.gguf")
    assert state(run_gemx, "vetores") == "installed"
    data = run_gemx("models", "show", "vetores", "--json").json["data"]
    assert (data["verified"], data["embeds"], data["context"]) == (None, True, 64)
    done = run_gemx("models", "verify", "vetores")
    assert (done.code, done.out, "put here by hand" in done.err) == (0, "vetores: ok\n", True)
    write_tiny_bert(folder / "vetores.gguf", seed=8)
    assert run_gemx("models", "verify").code == 6
    assert run_gemx("models", "verify", "nada").code == 3


def test_the_list_has_what_is_here_and_what_there_is(run_gemx: RunGemx, hub: FakeHub) -> None:
    assert "no model is installed" in run_gemx("models", "list", "--installed").err
    run_gemx("models", "install", REPO)
    lines = run_gemx("models", "list").out.splitlines()
    assert lines[0].split()[:2] == [NAME, "installed"]
    assert all(len(line) <= 80 for line in lines)
    assert any(line.startswith("medgemma-4b ") and " available " in line for line in lines)


def test_the_catalog_is_searched_and_the_endpoint_where_it_is_said(run_gemx: RunGemx, hub: FakeHub) -> None:
    assert run_gemx("models", "search", "medgemma", "vision").out.startswith("medgemma-4b ")
    assert hub.requests == []
    hub.gated.add(REPO)
    done = run_gemx("models", "search", "modelo", "--online")
    assert done.out == f"{REPO} apache-2.0 · access must be asked for\n"
    assert run_gemx("models", "search", "nada", "--json").json["data"] == {"catalog": [], "online": []}
    assert run_gemx("models", "search", "--online").code == 2
    hub.fault("api", lambda exchange: exchange.raw(b"<html>", mime_type="text/html"))
    assert run_gemx("models", "search", "x", "--online").code == 5


def test_the_network_that_config_allows_holds(run_gemx: RunGemx, hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    run_gemx("config", "set", "network", "machine")
    assert run_gemx("models", "install", REPO).code == 0
    monkeypatch.delenv("HF_ENDPOINT")
    for argv in (["install", "phi-4"], ["search", "phi", "--online"], ["install", "https://a.example/b.gguf"]):
        more = ["--sha256", "0" * 64] if "https" in argv[-1] else []
        done = run_gemx("models", *argv, *more)
        assert done.code == 10, done.err
        assert "is not asked: the network is limited to machine" in done.err


def test_use_says_where_another_model_comes_first(
    run_gemx: RunGemx, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_gemx("models", "install", REPO)
    monkeypatch.setenv("GEMX_MODEL", "extractive")
    assert "GEMX_MODEL comes first" in run_gemx("models", "use", NAME).err
    assert run_gemx("models", "use", "nada").code == 5
    assert "config.json still names it" in run_gemx("models", "remove", NAME).err


def begun(*argv: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([GEMX, *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ))


def await_bytes(path: Path, count: int) -> None:
    for _ in range(2000):
        if path.exists() and path.stat().st_size >= count:
            return
        time.sleep(0.01)
    raise AssertionError(f"{path} does not grow")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_download_that_was_killed_goes_on(
    run_gemx: RunGemx, hub: FakeHub, folder: Path, tiny_gguf: Path, number: signal.Signals
) -> None:
    hub.seconds_a_piece = 0.1
    process = begun("models", "install", REPO)
    part = folder / f"{NAME}.gguf.part"
    await_bytes(part, 30_000)
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert b"Traceback" not in said
    assert (b"the same command goes on" in said) == (number != signal.SIGKILL)
    kept = part.stat().st_size
    assert 30_000 <= kept < tiny_gguf.stat().st_size
    assert not (folder / f"{NAME}.gguf").exists()
    assert state(run_gemx) == "downloading"
    assert run_gemx("gen", "oi", "-m", f"gguf:{NAME}").code == 5
    hub.seconds_a_piece = 0
    assert run_gemx("models", "install", REPO).code == 0
    assert hub.asked("file")[-1].headers["range"] == f"bytes={kept}-"
    assert (folder / f"{NAME}.gguf").read_bytes() == tiny_gguf.read_bytes()
    assert names(folder) == [f"{NAME}.gguf"]


def test_several_processes_at_once_download_once(hub: FakeHub, folder: Path) -> None:
    hub.seconds_a_piece = 0.05
    processes = [begun("models", "install", REPO, "--json") for _ in range(4)]
    outcomes = [json.loads(process.communicate(timeout=60)[0]) for process in processes]
    assert [each["exit_code"] for each in outcomes] == [0] * 4
    assert sum(each["data"]["fresh"] for each in outcomes) == 1
    assert len(hub.asked("file")) == 1
    assert names(folder) == [f"{NAME}.gguf"]


def test_a_model_that_is_coming_is_not_removed(run_gemx: RunGemx, hub: FakeHub, folder: Path) -> None:
    hub.seconds_a_piece = 0.1
    process = begun("models", "install", REPO)
    await_bytes(folder / f"{NAME}.gguf.part", 20_000)
    done = run_gemx("models", "remove", NAME)
    assert (done.code, "another gemx is installing" in done.err) == (11, True)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    assert run_gemx("models", "remove", NAME).code == 0
    assert names(folder) == []


def test_a_connection_that_is_cut_is_no_end(run_gemx: RunGemx, hub: FakeHub, tiny_gguf: Path) -> None:
    data = tiny_gguf.read_bytes()
    hub.fault("file", *[cut_after(data, 50_000)] * 4)
    assert run_gemx("models", "install", REPO).code == 0


def test_a_local_model_needs_no_endpoint(run_gemx: RunGemx, tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "ftp://nada")
    assert run_gemx("models", "install", str(tiny_gguf)).code == 0
    done = run_gemx("models", "install", "phi-4")
    assert (done.code, "HF_ENDPOINT: that is no address" in done.err) == (3, True)


def test_what_was_killed_before_it_was_written_down_is_held_to_its_own_hash(
    run_gemx: RunGemx, hub: FakeHub, folder: Path
) -> None:
    run_gemx("models", "install", REPO)
    entry = store.get(NAME)
    assert entry
    killed = replace(entry, state="downloading", stamp="", verified=None)
    store.put(killed)
    assert run_gemx("models", "verify").out == f"{NAME}: ok\n"
    found = store.get(NAME)
    assert found == replace(entry, verified=found and found.verified)
    store.put(killed)
    write_tiny_gguf(folder / f"{NAME}.gguf", seed=8)
    for argv in (["verify"], ["verify", NAME]):
        assert run_gemx("models", *argv).code == 6
    assert run_gemx("gen", "oi", "-m", f"gguf:{NAME}").code == 11


def test_a_file_that_is_no_model_keeps_no_other_from_being_verified(
    run_gemx: RunGemx, hub: FakeHub, folder: Path
) -> None:
    run_gemx("models", "install", REPO)
    (folder / f"{NAME}.gguf").write_bytes(b"GGUF, changed")
    (folder / "lixo.gguf").write_bytes(b"no model")
    shutil.copy(folder / "lixo.gguf", folder / os.fsdecode(b"b\xff.gguf"))
    done = run_gemx("models", "verify")
    assert done.code == 6
    assert f"{NAME}: its file was changed" in done.out
    assert "lixo: " in done.out
    assert "is no GGUF" in done.out
    assert "b: its name cannot be written down" in done.out
    assert state(run_gemx) == "broken"


def test_a_repository_of_the_catalog_asks_for_its_licence_whatever_it_says_itself(
    run_gemx: RunGemx, hub: FakeHub, tiny_gguf: Path
) -> None:
    hub.put("bartowski/Llama-3.2-1B-Instruct-GGUF", "Llama-3.2-1B-Instruct-Q8_0.gguf", tiny_gguf.read_bytes())
    done = run_gemx("models", "install", "bartowski/Llama-3.2-1B-Instruct-GGUF")
    assert (done.code, "has the licence llama3.2" in done.err, hub.asked("file")) == (2, True, [])


def test_an_endpoint_that_says_what_cannot_be_is_no_crash(run_gemx: RunGemx, hub: FakeHub, tiny_gguf: Path) -> None:
    data = tiny_gguf.read_bytes()
    hub.cards[REPO] = {"license": "\ud800x\x1b[2J"}
    rows = [{"path": FILE, "size": 10**30, "lfs": {"oid": hashlib.sha256(data).hexdigest()}}]
    hub.fault("tree", lambda exchange: exchange.json([*rows, {"path": "\ud800-Q4_K_M.gguf", "size": 1}]))
    assert run_gemx("models", "install", REPO, "--accept-license").out == f"{NAME}: installed\n"
    assert run_gemx("models", "show", NAME, "--json").json["data"]["license"] == "x"


def test_a_path_with_a_colon_is_a_path(run_gemx: RunGemx, tiny_gguf: Path, workdir: Path) -> None:
    shutil.copy(tiny_gguf, "a:b.gguf")
    assert run_gemx("models", "install", "./a:b.gguf", "--name", "ab").out == "ab: installed\n"


def test_a_folder_in_the_way_is_told_and_stays(run_gemx: RunGemx, hub: FakeHub, folder: Path, tiny_gguf: Path) -> None:
    (folder / f"{NAME}.gguf").mkdir(parents=True)
    (folder / f"{NAME}.gguf" / "alheio").write_bytes(b"of someone else")
    for argv in (
        ["install", REPO],
        ["install", str(tiny_gguf), "--name", NAME],
        ["add", str(tiny_gguf), "--name", NAME],
    ):
        done = run_gemx("models", *argv)
        assert (done.code, f"cannot write {folder / NAME}.gguf" in done.err) == (11, True), done.err
    assert (folder / f"{NAME}.gguf" / "alheio").exists()


def test_only_an_installed_model_becomes_the_default(run_gemx: RunGemx, folder: Path, tiny_gguf: Path) -> None:
    folder.mkdir(parents=True)
    shutil.copy(tiny_gguf, folder / "mmproj-x.gguf")
    for name in (str(tiny_gguf), "mmproj-x"):
        done = run_gemx("models", "use", name)
        assert (done.code, "gemx models add PATH" in done.err) == (2, True)


@pytest.mark.parametrize("command", ["install", "add"])
def test_a_file_that_comes_by_other_means_ends_its_download(
    run_gemx: RunGemx, hub: FakeHub, folder: Path, tiny_gguf: Path, command: str
) -> None:
    hub.fault("file", cut_after(tiny_gguf.read_bytes(), 50_000), *[partial(refuse, status=503)] * 3)
    assert run_gemx("models", "install", REPO).code == 8
    assert state(run_gemx) == "downloading"
    assert run_gemx("models", command, str(tiny_gguf), "--name", NAME).code == 0
    assert names(folder) == [f"{NAME}.gguf"]
