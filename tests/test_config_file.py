"""The writer of config.json: nothing is lost, nothing is left half, and older files are kept."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import planted_keys
from gemx import config_file, configuration, locks, places
from gemx.errors import ConfigError, InvalidFileError, StorageError
from test_settings import write_config

SET = "import sys; from gemx.cli.app import main; [main(['config', 'set', *a.split('=')]) for a in sys.argv[1:]]"

WITHOUT_END = """
import itertools
from gemx import config_file, configuration, places
start = int(configuration.load(places.config_file()).timeout)
for number in itertools.count(start + 1):
    config_file.change(lambda data: data.update(timeout=number))
    print(number, flush=True)
"""


def setting(**values: Any) -> config_file.Written:
    return config_file.change(lambda data: data.update(values))


def content() -> Any:
    return json.loads(places.config_file().read_text())


def backups() -> list[str]:
    return sorted(path.name for path in places.config_dir().glob("*.bak"))


def test_a_first_file_is_private_and_has_the_version() -> None:
    written = setting(timeout=9)
    assert (written.changed, written.backup) == (True, None)
    assert content() == {"version": 1, "timeout": 9}
    assert stat.S_IMODE(places.config_file().stat().st_mode) == 0o600
    assert stat.S_IMODE(places.config_dir().stat().st_mode) == 0o700


def test_what_others_wrote_stays_numbers_and_order_included() -> None:
    write_config('{"version": 1, "timeout": 0.1, "budget": {"daily": 5.25}, "model": "gguf:ação"}')
    setting(concurrency=3)
    assert list(content().items()) == [
        ("version", 1),
        ("timeout", 0.1),
        ("budget", {"daily": 5.25}),
        ("model", "gguf:ação"),
        ("concurrency", 3),
    ]
    assert "ação" in places.config_file().read_text(encoding="utf-8")


def test_the_same_again_writes_nothing() -> None:
    setting(timeout=9)
    before = places.config_file().stat()
    assert not setting(timeout=9).changed
    assert places.config_file().stat().st_mtime_ns == before.st_mtime_ns


def test_an_older_file_is_kept_when_it_is_first_written() -> None:
    text = '{"timeout":  20}'
    write_config(text)
    written = setting(model="gguf:a")
    assert written.backup == places.config_dir() / "config.json.v0.bak"
    assert written.backup.read_text() == text
    assert stat.S_IMODE(written.backup.stat().st_mode) == 0o600
    assert content() == {"version": 1, "timeout": 20, "model": "gguf:a"}
    assert setting(model="gguf:b").backup is None
    assert backups() == ["config.json.v0.bak"]


def test_a_backup_takes_no_other_ones_place() -> None:
    for number in range(3):
        write_config({"timeout": number + 1})
        setting(model="gguf:a")
    assert backups() == ["config.json.v0.2.bak", "config.json.v0.3.bak", "config.json.v0.bak"]


def test_a_newer_file_is_left_alone() -> None:
    path = write_config({"version": 2, "timeout": 9})
    with pytest.raises(ConfigError, match="a newer gemx wrote it"):
        setting(timeout=3)
    assert json.loads(path.read_text()) == {"version": 2, "timeout": 9}
    assert backups() == []


@pytest.mark.parametrize("text", ["{", "[]", '{"modle": 1}', '{"timeout": -1}'])
def test_what_would_not_be_read_again_is_not_written(text: str) -> None:
    path = write_config(text)
    with pytest.raises(InvalidFileError):
        setting(model="gguf:a")
    assert path.read_text() == text


def test_a_wrong_value_can_be_mended() -> None:
    write_config({"timeout": -1})
    setting(timeout=3)
    assert content()["timeout"] == 3


def test_a_link_stays_one(tmp_path: Path) -> None:
    real = tmp_path / "dotfiles" / "gemx.json"
    real.parent.mkdir()
    real.write_text('{"version": 1}')
    places.config_dir().mkdir(parents=True)
    places.config_file().symlink_to(real)
    setting(timeout=3)
    assert places.config_file().is_symlink()
    assert json.loads(real.read_text())["timeout"] == 3


@pytest.mark.parametrize(
    "values",
    [
        {"model": planted_keys.GEMINI},
        {"endpoints": {"a": {"base_url": "http://x", "headers": {"authorization": "Bearer x"}}}},
        {"endpoints": {planted_keys.GEMINI: {"base_url": "http://x"}}},
        {"keys": {"gemini": {"command": ["echo", planted_keys.GEMINI]}}},
    ],
)
def test_a_key_is_never_written(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="looks like an API key"):
        setting(**values)
    assert not places.config_file().exists()


def test_who_has_a_key_there_already_can_still_change_another_setting() -> None:
    header = {"endpoints": {"a": {"base_url": "http://x", "headers": {"Authorization": "Bearer x"}}}}
    write_config({"version": 1, **header})
    setting(timeout=3)
    assert content() == {"version": 1, **header, "timeout": 3}
    for more in ({"X-Api-Key": "y"}, {"Authorization": "Bearer another"}):
        headers = {"Authorization": "Bearer x", **more}
        with pytest.raises(ConfigError, match="looks like an API key"):
            setting(endpoints={"a": {"base_url": "http://x", "headers": headers}})


def test_replacing_refuses_what_someone_else_changed_meanwhile() -> None:
    write_config({"version": 1})
    before = config_file.text()
    setting(timeout=3)
    with pytest.raises(StorageError, match="changed by someone else"):
        config_file.replace('{"version": 1}', before=before)
    assert content()["timeout"] == 3


def test_replacing_keeps_the_text_as_it_was_typed() -> None:
    text = '{ "version": 1,\n      "timeout": 3 }\n'
    config_file.replace(text, before=None)
    assert places.config_file().read_text() == text
    config_file.replace('{"timeout": 4}', before=text)
    assert content() == {"version": 1, "timeout": 4}


def test_a_lock_that_is_held_is_waited_for_and_then_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "SECONDS", 0.05)
    with config_file.locked(), pytest.raises(StorageError, match="held by another gemx"), config_file.locked():
        raise AssertionError


def start(*changes: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", SET, *changes], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ
    )


def test_two_that_write_at_once_lose_nothing() -> None:
    writers = [start(*(f"limits.gguf:{name}{number}.rpm={number + 1}" for number in range(15))) for name in "ab"]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0]
    assert len(content()["limits"]) == 30


def test_killed_at_any_moment_it_leaves_a_file_that_is_read() -> None:
    write_config({"timeout": 1, "limits": {f"gguf:{number}": {"rpm": 1} for number in range(200)}})
    seen: set[float | None] = set()
    for round_ in range(12):
        with subprocess.Popen([sys.executable, "-c", WITHOUT_END], stdout=subprocess.PIPE, env=os.environ) as writer:
            assert writer.stdout
            writer.stdout.readline()
            time.sleep(0.003 * round_)
            writer.send_signal(signal.SIGKILL)
            assert writer.wait(timeout=60) == -signal.SIGKILL
        config = configuration.load(places.config_file())
        assert len(config.limits) == 200
        seen.add(config.timeout)
    assert len(seen) > 1
    setting(timeout=86_000)
    assert backups() == ["config.json.v0.bak"]
    assert not list(places.config_dir().glob(".gemx-*")), "a draft was left"
