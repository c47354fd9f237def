"""An answer that is still coming: live Markdown on a terminal, whole in its scrollback, and plain text elsewhere."""

from __future__ import annotations

import io
import os
import pty
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import KEY
from fake_gemini import FakeGemini, candidate
from gemx.cli import live
from gemx.cli.live import LiveMarkdown, rendered
from terminal import GEMX, on_a_terminal

MODEL = ("-m", "gemini:gemini-3.8-flash", "-q", "--no-history")
ITEMS = "".join(
    f"- item {i:03} com um texto longo, que passa de uma linha de oitenta colunas e dobra\n" for i in range(30)
)
CODE = "```python\n" + "".join(f"linha_{i:03} = {i}\n" for i in range(60)) + "```\n"
TABLE = "| Droga | Dose |\n|---|---:|\n" + "".join(f"| droga{i:03} | {i} mcg/kg/min |\n" for i in range(30))
ANSWER = f"# Sepse\n\nAlvo de **PAM** 65, `lactato`.\nFC [bold]110[/bold] <sem html>\n\n{ITEMS}\n{CODE}\n{TABLE}\nFim."
TOKEN = re.compile(r"\x1b\[\d+A\r|\x1b\[[KJ]|\x1b\[[0-9;]*m|\r?\n|[^\n\r\x1b]+|.", re.DOTALL)


def screen(written: str, height: int = 24) -> list[str]:
    """What a terminal of endless scrollback shows; whatever LiveMarkdown has no business to write fails."""
    lines, at = [""], 0
    for token in TOKEN.findall(written):
        if token.endswith("\n"):
            at += 1
            lines += [""] if at == len(lines) else []
        elif token.endswith("\r"):
            up = int(token[2:-2])
            assert up < height
            at -= up
        elif token in ("\x1b[K", "\x1b[J"):
            lines[at] = ""
            lines = lines[: at + 1] if token == "\x1b[J" else lines
        elif not token.startswith("\x1b["):
            assert token.isprintable()
            lines[at] += token
    return lines


def shown(*pieces: str) -> list[str]:
    stream = io.StringIO()
    answer = LiveMarkdown(stream)
    for piece in pieces:
        answer.add(piece)
    answer.end()
    return screen(stream.getvalue())


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Paint at every piece."""
    monkeypatch.setattr(LiveMarkdown, "_due", property(lambda _: 0.0, lambda *_: None), raising=False)


@pytest.fixture
def environment(gemx_home: Path, fake_gemini: FakeGemini) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(gemx_home),
        "GEMX_HOME": str(gemx_home),
        "TERM": "xterm-256color",
        "SSL_CERT_FILE": os.environ["SSL_CERT_FILE"],
        "GOOGLE_GEMINI_BASE_URL": fake_gemini.url,
        "GEMINI_API_KEY": KEY,
    }


def pieces(text: str, size: int = 13) -> Iterator[str]:
    yield from (text[start : start + size] for start in range(0, len(text), size))


def in_pieces(text: str, *, wait: float = 0.0, then: Callable[[], object] = lambda: None) -> Callable[[Any], None]:
    """An exchange that streams a text in odd pieces."""

    def answer(exchange: Any) -> None:
        exchange.start()
        for piece in pieces(text):
            exchange.event(candidate(piece))
            time.sleep(wait)
        then()
        exchange.event(candidate("", "STOP"))
        exchange.finish()

    return answer


def is_whole(lines: list[str]) -> bool:
    text = "\n".join(lines)
    return all(
        re.findall(pattern, text) == [f"{i:03}" for i in range(count)]
        for pattern, count in ((r"item (\d+)", 30), (r"linha_(\d+)", 60), (r"droga(\d+)", 30))
    )


def test_a_long_answer_is_whole_in_the_scrollback(fake_gemini: FakeGemini, environment: dict[str, str]) -> None:
    fake_gemini.queue(in_pieces(ANSWER, wait=0.003))
    code, written, _ = on_a_terminal(("gen", "Oi", *MODEL), environment)
    assert code == 0
    lines = screen(written)
    assert is_whole(lines)
    assert lines[0].strip() == "Sepse"
    assert "Alvo de PAM 65, lactato." in lines
    assert "FC [bold]110[/bold] <sem html>" in lines
    assert lines[-2:] == ["Fim.", ""]
    assert "\x1b[1mPAM" in written
    # Painted eight times a second at most.
    assert len(re.findall(r"\x1b\[\d+A", written)) < 60


@pytest.mark.parametrize("change", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"TERM": ""}])
def test_a_terminal_without_escapes_gets_the_text_as_it_is(
    fake_gemini: FakeGemini, environment: dict[str, str], change: dict[str, str]
) -> None:
    fake_gemini.queue(in_pieces(ANSWER))
    code, written, _ = on_a_terminal(("gen", "Oi", *MODEL), environment | change)
    assert (code, written.replace("\r\n", "\n")) == (0, ANSWER + "\n")


@pytest.mark.parametrize("argv", [("--json",), ("--out", "a.md")])
def test_what_is_for_a_program_is_not_rendered(
    fake_gemini: FakeGemini, environment: dict[str, str], workdir: Path, argv: tuple[str, ...]
) -> None:
    fake_gemini.reply_text(ANSWER)
    code, written, _ = on_a_terminal(("gen", "Oi", *MODEL, *argv), environment)
    assert code == 0
    assert "\x1b" not in written
    assert "--json" in argv or (workdir / "a.md").read_text() == ANSWER + "\n"


def test_a_pipe_gets_the_bytes_as_they_are(run_gemx: Any, fake_gemini: FakeGemini) -> None:
    fake_gemini.queue(in_pieces(ANSWER))
    done = run_gemx("gen", "Oi", *MODEL)
    assert (done.code, done.out) == (0, ANSWER + "\n")


def test_an_error_leaves_the_text_so_far(fake_gemini: FakeGemini, environment: dict[str, str]) -> None:
    fake_gemini.fault("cut", text="**primeira** metade")
    code, written, _ = on_a_terminal(("gen", "Oi", *MODEL, "--tries", "1"), environment)
    lines = screen(written)
    assert (code, lines[0]) == (8, "primeira metade")
    assert lines[1].startswith("gemx: ")


def test_an_interrupt_leaves_the_text_so_far(fake_gemini: FakeGemini, environment: dict[str, str]) -> None:
    reached, over = threading.Event(), threading.Event()

    def stay() -> None:
        reached.set()
        over.wait(20)

    fake_gemini.queue(in_pieces(ANSWER, then=stay))
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(GEMX, [GEMX, "gen", "Oi", *MODEL], environment)
    written = threading.Thread(target=lambda: found.append(_read(terminal)))
    found: list[str] = []
    written.start()
    assert reached.wait(20)
    time.sleep(0.5)
    os.kill(pid, signal.SIGINT)
    _, status = os.waitpid(pid, 0)
    written.join(20)
    over.set()
    os.close(terminal)
    lines = screen(found[0])
    assert os.waitstatus_to_exitcode(status) == 130
    assert is_whole(lines)
    assert lines[-3:] == ["Fim.", "gemx: interrupted", ""]


def _read(terminal: int) -> str:
    data = b""
    while True:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:
            return data.decode()
        data += chunk


@pytest.mark.parametrize("size", [1, 7, 50, 10_000])
@pytest.mark.usefixtures("always")
def test_however_it_is_split_it_looks_the_same(size: int) -> None:
    text = ANSWER.replace("60", "9") if size > 1 else ANSWER[:900]
    assert shown(*pieces(text, size)) == shown(text)


@pytest.mark.usefixtures("always")
def test_control_characters_and_disguised_ones_are_taken_out() -> None:
    # `screen` fails on each that comes through.
    text = "a\x1b]0;t\x07b \x1b[2Jc &#x202e;d <http://x/%1b[2J> [e](http://y/%1b) \x9bf\u202e `\x1b[3J`\r\n\n![g](h)"
    assert "d" in "".join(shown(text))
    assert "".join(shown(*text)).count("\x1b") == 0


@pytest.mark.parametrize(
    "text",
    [
        "texto <b>negrito</b> e PAM <65, <paciente>",
        "<div>\nbloco\n</div>",
        "[o estudo][1]\n\n[1]: http://example.org/estudo",
        "![figura](http://example.org/f.png)",
        '[link](http://example.org/á "título")',
        "| a |\n|---|\n| 1 | célula a mais |",
        "|" + "coluna|" * 40 + "\n|" + "---|" * 40 + "\n|" + "palavra|" * 40,
        "| a | b |\n|---|---|\n| " + "x" * 200 + " | y |",
        "```\n" + "y" * 300 + "\n```",
        "> - 1. " + "z" * 300,
        "> " * 30 + "fundo",
        "&lt;5 &nbsp; [red]não[/red] :smile:",
    ],
)
@pytest.mark.parametrize("width", [2, 10, 80, 300])
def test_nothing_is_lost_in_the_rendering(text: str, width: int) -> None:
    visible = re.sub(
        r"\x1b\[[0-9;]*m", "", "".join(line for block in text.split("\n\n") for line in rendered(block, width))
    )
    for char in set(re.findall(r"\w", text)):
        assert visible.count(char) >= text.count(char), char


@pytest.mark.usefixtures("always")
def test_a_line_of_somebody_else_has_its_room() -> None:
    stream = io.StringIO()
    answer = LiveMarkdown(stream)
    answer.add("um\n\ndo")
    answer.hide()
    stream.write("aviso\n")
    answer.add("is")
    answer.end()
    assert [line for line in screen(stream.getvalue()) if line] == ["aviso", "um", "dois"]


def test_a_fault_of_the_renderer_does_not_cost_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.markdown import Markdown

    monkeypatch.setattr(Markdown, "__rich_console__", lambda *_: 1 / 0)
    assert shown("**PAM** 65\n\n- um") == ["**PAM** 65", "", "- um", ""]


@pytest.mark.usefixtures("always")
def test_another_width_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    answer = LiveMarkdown(stream)
    for number, piece in enumerate(pieces(ANSWER, 40)):
        size = os.terminal_size(((40, 80, 120)[number % 3], (10, 24, 50)[number % 3]))
        monkeypatch.setattr(live, "_size", lambda _, size=size: size)
        answer.add(piece)
    answer.end()
    assert is_whole(screen(stream.getvalue(), 50))
