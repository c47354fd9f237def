"""Two processes that add at once lose nothing, and a killed one leaves a base that can be read and goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Event

import pytest

from fake_openai import FakeOpenAI
from gemx import knowledge, places
from gemx.knowledge import base as bases
from gemx.knowledge import embedder, stats, store
from loopback import Exchange

ENTRY = "import sys; from gemx.cli.app import main; sys.exit(main(sys.argv[1:]))"
# As `add` does, but with a batch of two.
SMALL = "from gemx.knowledge import embedder; embedder.BATCH = 2; " + ENTRY


def start(gemx_home: Path, *argv: str, entry: str = ENTRY) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", entry, *argv],
        env={**os.environ, "GEMX_HOME": str(gemx_home)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def documents(folder: Path, name: str, count: int) -> Path:
    made = folder / name
    made.mkdir()
    for number in range(count):
        (made / f"{name}{number}.md").write_text(f"# {name}\n\npalavra {name}{number} e volume comum\n")
    return made


def test_two_that_add_at_once_lose_nothing(tmp_path: Path, gemx_home: Path) -> None:
    one, other = documents(tmp_path, "um", 12), documents(tmp_path, "dois", 12)
    both = [start(gemx_home, "kb", "add", str(one), str(other)), start(gemx_home, "kb", "add", str(other), str(one))]
    ends = [(process.communicate(timeout=60)[1], process.returncode) for process in both]
    assert [code for _, code in ends] == [0, 0], ends
    base = bases.named("default")
    assert len(store.documents(base)) == stats.of(base).chunks == 24
    assert len(knowledge.search("default", "comum", top_k=50).hits) == 24
    for name in ("um7", "dois11"):
        assert len(knowledge.search("default", name).hits) == 1


def test_one_that_is_killed_among_the_documents_leaves_whole_ones(tmp_path: Path, gemx_home: Path) -> None:
    folder = documents(tmp_path, "doc", 60)
    process = start(gemx_home, "kb", "add", str(folder))
    base = bases.named("default", new=True)
    while process.poll() is None and (not base.path.exists() or not store.documents(base)):
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    kept = store.documents(base)
    assert 0 < len(kept) < 60
    assert len(knowledge.search("default", "comum", top_k=100).hits) == stats.of(base).chunks == len(kept)
    again = start(gemx_home, "kb", "add", str(folder))
    out, err = again.communicate(timeout=60)
    assert (again.returncode, out) == (0, f"default: {60 - len(kept)} added, {len(kept)} unchanged\n"), err
    assert len(knowledge.search("default", "comum", top_k=100).hits) == 60


@pytest.mark.parametrize("after", [1, 2])
def test_one_that_is_killed_goes_on_where_it_was(after: int, tmp_path: Path, gemx_home: Path) -> None:
    folder = documents(tmp_path, "doc", 7)
    reached = Event()

    def hang(exchange: Exchange) -> None:
        reached.set()
        exchange.closing.wait(60)

    with FakeOpenAI() as server:
        places.ensure_private_dir(places.config_dir())
        config = {"endpoints": {"local": {"base_url": server.endpoint_url, "model": "e5"}}}
        places.config_file().write_text(json.dumps(config))
        for _ in range(after):
            server.queue(server.default)
        server.queue(hang)
        argv = ("kb", "add", str(folder), "--embedder", "openai:local")
        process = start(gemx_home, *argv, entry=SMALL)
        assert reached.wait(60)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        base = bases.named("default")
        assert embedder.missing(base) == 7 - 2 * after
        assert len(knowledge.search("default", "comum", top_k=50).hits) == 7
        again = start(gemx_home, *argv, entry=SMALL)
        out, err = again.communicate(timeout=60)
        assert again.returncode == 0, err
        assert out == f"default: 7 unchanged, {7 - 2 * after} vectors\n"
        assert embedder.missing(base) == 0
