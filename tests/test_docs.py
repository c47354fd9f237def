"""Every command in the README and the docs runs, except blocks marked `no-run: reason`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("README*.md")), *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```sh(?P<mark>[^\n]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> list[tuple[str, str]]:
    return [(match["mark"].strip(), match["body"]) for match in FENCE.finditer(page.read_text(encoding="utf-8"))]


RUNNABLE = [(page, body) for page in PAGES for mark, body in blocks(page) if not mark]


@pytest.mark.parametrize(("page", "body"), RUNNABLE, ids=[f"{page.name}-{n}" for n, (page, _) in enumerate(RUNNABLE)])
def test_commands_run(page: Path, body: str, tmp_path: Path) -> None:
    for folder in ("automations", "benchmarks", "docs", "flows"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "GEMX_HOME": str(tmp_path / "home"),
        "HOME": str(tmp_path),
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", body],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_skipped_blocks_say_why() -> None:
    marks = [mark for page in PAGES for mark, _ in blocks(page) if mark]
    assert marks
    assert all(re.fullmatch(r"no-run: .{10,}", mark) for mark in marks), marks


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(((?!https?:)[^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
