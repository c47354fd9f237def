"""Programs that are run for what they print."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import pytest

from gemx import processes

SEVERAL_PIPES = 3_000_000


def run(code: str, given: bytes = b"", *, folder: Path, seconds: float = 30, most: int = 10**7) -> processes.Ended:
    command = [sys.executable, "-c", code]
    return processes.run(command, seconds, given, environment={"A": "é"}, folder=folder, most=most)


def test_what_goes_in_and_comes_out(tmp_path: Path) -> None:
    code = (
        "import sys; d = sys.stdin.buffer.read(); sys.stdout.buffer.write(d); "
        "sys.stderr.buffer.write(d[::-1]); sys.exit(7)"
    )
    given = bytes(range(256)) * (SEVERAL_PIPES // 256)
    assert run(code, given, folder=tmp_path) == processes.Ended(7, given, given[::-1])


def test_a_program_that_does_not_read(tmp_path: Path) -> None:
    assert run("print('x')", b"y" * SEVERAL_PIPES, folder=tmp_path).output == b"x\n"
    code = "import os, sys; os.close(0); sys.stdout.write('x'); sys.stdout.flush(); os.close(1); os.close(2)"
    assert run(code, b"y" * SEVERAL_PIPES, folder=tmp_path).output == b"x"


def test_a_program_sees_its_folder_and_its_environment_alone(tmp_path: Path) -> None:
    ended = run(
        "import os; print(sorted(set(os.environ) - {'LC_CTYPE'}), os.environ['A'], os.getcwd())", folder=tmp_path
    )
    assert ended.output.decode() == f"['A'] é {tmp_path}\n"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import time; time.sleep(600)", "not done within 0.5 s"),
        ("import os, time; os.close(1); os.close(2); time.sleep(600)", "not done within 0.5 s"),
        (
            "import sys; sys.stdout.write('x' * 2000); sys.stdout.flush(); import time; time.sleep(600)",
            "more than 1000",
        ),
        ("import sys; sys.stderr.write('x' * 2000)", "more than 1000"),
    ],
)
def test_a_program_that_is_ended(code: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(processes.FailedError, match=said):
        run(code, folder=tmp_path, seconds=0.5 if "within" in said else 30, most=1000)


def test_a_program_that_cannot_be_started(tmp_path: Path) -> None:
    for command in (["/no/such/program"], [str(tmp_path)], ["a\0b"]):
        with pytest.raises(processes.FailedError):
            processes.run(command, 5, environment={}, folder=tmp_path, most=1)


def test_all_that_is_under_way_can_be_ended(tmp_path: Path) -> None:
    ended: list[processes.Ended] = []
    code = "import time; open('there', 'w').close(); time.sleep(600)"
    threads = [threading.Thread(target=lambda: ended.append(run(code, folder=tmp_path))) for _ in range(2)]
    for thread in threads:
        thread.start()
    while not (tmp_path / "there").exists():
        time.sleep(0.01)
    while len(ended) < 2:
        processes.end_all()
        time.sleep(0.01)
    for thread in threads:
        thread.join()
    assert {each.exit_code for each in ended} == {-9}
