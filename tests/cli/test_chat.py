"""`gemx chat` on a real terminal: what a person types and sees, at 80×24 and at 200×50."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import planted_keys
from fake_gemini import FakeGemini
from gateway_calls import audit
from gemx import history
from terminal import GEMX, on_a_terminal
from tmux import Terminal, skip_without_tmux

MODEL = ("-m", "gemini:gemini-3.8-flash")
VERSION = "gemini-3.8-flash"
SIZES = [(80, 24), (200, 50)]
Chat = Callable[..., Terminal]


@pytest.fixture
def chat(fake_gemini: FakeGemini, gemx_home: Path, workdir: Path) -> Iterator[Chat]:
    """Start a chat on a terminal."""
    variables = ("PATH", "SSL_CERT_FILE", "GOOGLE_GEMINI_BASE_URL", "GEMINI_API_KEY")
    env = {name: os.environ[name] for name in variables} | {"GEMX_HOME": str(gemx_home)}
    with ExitStack() as closing:

        def start(
            *argv: str, columns: int = 80, rows: int = 24, term: str = "screen-256color", **more: str
        ) -> Terminal:
            terminal = Terminal(
                [GEMX, "chat", *MODEL, *argv], {**env, **more}, columns=columns, rows=rows, cwd=workdir, term=term
            )
            closing.callback(terminal.close)
            terminal.wait_for("\n>")
            return terminal

        yield start


def enter(terminal: Terminal, text: str) -> None:
    terminal.type(text)
    terminal.send("Enter")


def asked(fake: FakeGemini) -> list[str]:
    return [part["text"] for turn in fake.last.body["contents"] for part in turn["parts"]]


@skip_without_tmux
@pytest.mark.parametrize(("columns", "rows"), SIZES)
def test_a_conversation_from_end_to_end(chat: Chat, fake_gemini: FakeGemini, columns: int, rows: int) -> None:
    terminal = chat(columns=columns, rows=rows)
    first = terminal.wait_for("0 turns")
    assert max(map(len, first.splitlines())) <= columns
    fake_gemini.reply_text("A **PAM** é 57 mmHg.", modelVersion=VERSION)
    terminal.type("Qual a PAM?\nEm uma linha.")  # Ctrl-J goes on
    terminal.send("M-Enter", "Só isso.", "Enter")
    assert "A PAM é 57 mmHg." in terminal.wait_for("1 turn ·")
    assert asked(fake_gemini) == ["Qual a PAM?\nEm uma linha.\nSó isso."]

    fake_gemini.fault("half_closed", text="Era uma vez ")
    enter(terminal, "Conte uma história.")
    terminal.wait_for("Era uma vez")
    terminal.send("C-c")
    screen = terminal.wait_for("stopped: the conversation goes on without this message; /retry asks it again")
    assert "Era uma vez" in screen
    terminal.wait_for("1 turn ·")
    assert [each.get("error.type") for each in audit()] == [None, "interrupted"]

    fake_gemini.reply_text("Fim.", modelVersion=VERSION)
    enter(terminal, "/retry")
    terminal.wait_for("Fim.")
    terminal.wait_for("2 turns ·")
    enter(terminal, "/undo")
    terminal.wait_for("taken out: Conte uma história. (1 turn left)")
    terminal.send("C-d")
    assert terminal.wait_ended() == 0
    (entry,) = history.everything()
    assert f"gemx chat --cid {entry.run_id} goes on" in terminal.everything()

    again = chat("-c", columns=columns, rows=rows)
    screen = again.wait_for("you: Qual a PAM? Em uma linha. Só isso.")
    assert "answer: A **PAM** é 57 mmHg." in screen
    assert f"conversation: {entry.run_id}, 1 turn before this one" in screen
    enter(again, "E agora?")
    again.wait_for("2 turns ·")
    assert asked(fake_gemini)[-2:] == ["A **PAM** é 57 mmHg.", "E agora?"]
    enter(again, "/exit")
    assert again.wait_ended() == 0
    assert not planted_keys.leaked(terminal.everything() + again.everything())


@skip_without_tmux
def test_keys_of_the_line(chat: Chat, fake_gemini: FakeGemini, workdir: Path) -> None:
    (workdir / "um dois.md").write_text("laudo")
    terminal = chat(NO_COLOR="1")
    terminal.paste("linha 1\nlinha 2")  # not sent by its new lines
    terminal.wait_for("  linha 2")
    terminal.send("Enter")
    terminal.wait_for("1 turn ·")
    assert asked(fake_gemini) == ["linha 1\nlinha 2"]
    terminal.type("desis")
    terminal.send("C-z")  # suspends, where a shell waits for that
    terminal.type("to")
    terminal.wait_for("> desisto")
    terminal.send("C-c")
    terminal.wait_for("> desisto\n>")
    terminal.send("C-c")
    terminal.wait_for("Ctrl-D or /exit leaves")
    terminal.send("Up", "Enter")  # the message before
    terminal.wait_for("2 turns ·")
    assert asked(fake_gemini)[-1] == "linha 1\nlinha 2"
    terminal.type("/fi")
    terminal.send("Tab")
    terminal.wait_for("> /file")
    terminal.type(" um")
    terminal.send("Tab")
    terminal.wait_for("> /file um\\ dois.md")
    terminal.send("Enter")
    terminal.wait_for("1 file")
    assert "um dois.md: 5 characters" in terminal.screen()
    enter(terminal, "//file é texto")
    terminal.wait_for("3 turns ·")
    assert asked(fake_gemini)[-1] == "/file é texto"
    enter(terminal, "/undu")
    terminal.wait_for("did you mean 'undo'?")
    terminal.wait_for("write //undu\n> /undu")  # offered again
    terminal.send("BSpace", "o", "Enter")
    terminal.wait_for("(2 turns left)")


@skip_without_tmux
def test_earlier_messages_are_found_in_another_chat_and_on_no_file_of_their_own(chat: Chat, gemx_home: Path) -> None:
    terminal = chat()
    enter(terminal, "qual o alvo de PRESSAO")
    terminal.wait_for("1 turn ·")
    terminal.send("C-d")
    terminal.wait_ended()
    another = chat()
    another.send("C-r")
    another.type("alvo")
    another.wait_for("qual o alvo de PRESSAO")
    another.send("Enter", "Enter")
    another.wait_for("1 turn ·")
    holding = {path.name for path in gemx_home.rglob("*") if path.is_file() and b"PRESSAO" in path.read_bytes()}
    assert holding <= {"history.db", "history.db-wal"}
    assert "history.db" in holding


@skip_without_tmux
def test_a_message_that_fails_is_offered_again(chat: Chat, fake_gemini: FakeGemini) -> None:
    terminal = chat()
    fake_gemini.fault("unauthorized")
    enter(terminal, "Oi, tudo bem?")
    screen = terminal.wait_for("gemx: ")
    assert "Traceback" not in screen
    terminal.wait_for("> Oi, tudo bem?", times=2)
    terminal.wait_for("0 turns ·")
    terminal.send("C-c")
    enter(terminal, "/model gemini:gemini-3.8-pro")
    terminal.wait_for("gemini:gemini-3.8-pro (chosen by /model)")
    enter(terminal, "/retry")
    terminal.wait_for("1 turn ·")
    assert asked(fake_gemini) == ["Oi, tudo bem?"]
    assert "gemini-3.8-pro" in fake_gemini.last.path


@skip_without_tmux
@pytest.mark.parametrize("term", ["screen-256color", "dumb"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("answering", [False, True])
def test_a_signal_ends_it(chat: Chat, fake_gemini: FakeGemini, term: str, number: int, answering: bool) -> None:
    terminal = chat(term=term)
    if answering:
        fake_gemini.fault("half_closed", text="Era uma vez ")
        enter(terminal, "Conte.")
        terminal.wait_for("Era uma vez")
    os.kill(terminal.pid, number)
    assert terminal.wait_ended() == 128 + number
    assert "gemx: terminated" in terminal.everything()
    assert [each["error.type"] for each in audit()] == ["interrupted"] * answering


@skip_without_tmux
def test_a_killed_chat_loses_no_answer_that_was_there(chat: Chat, fake_gemini: FakeGemini) -> None:
    terminal = chat()
    enter(terminal, "primeira")
    terminal.wait_for("1 turn ·")
    fake_gemini.fault("half_closed", text="Era uma vez ")
    enter(terminal, "segunda")
    terminal.wait_for("Era uma vez")
    os.kill(terminal.pid, signal.SIGKILL)
    assert terminal.wait_ended() == 137
    assert [entry.prompt for entry in history.everything()] == ["primeira"]
    assert "you: primeira" in chat("-c").screen()


@skip_without_tmux
def test_a_terminal_that_only_prints(chat: Chat, fake_gemini: FakeGemini) -> None:
    terminal = chat(term="dumb")
    terminal.type("uma\\\n")
    terminal.wait_for("> uma\\")
    fake_gemini.reply_text("ok", modelVersion=VERSION)
    enter(terminal, "duas")
    terminal.wait_for("ok\n\n>")
    assert asked(fake_gemini) == ["uma\nduas"]
    terminal.send("C-c")
    terminal.wait_for("Ctrl-D or /exit leaves")
    enter(terminal, "/cost")
    terminal.wait_for("in 1 call")
    terminal.send("C-d")
    assert terminal.wait_ended() == 0


@skip_without_tmux
def test_no_clock_runs_while_a_person_thinks(chat: Chat) -> None:
    terminal = chat("--timeout", "1")
    time.sleep(2)  # the clock itself is what is looked at
    enter(terminal, "/system Seja breve.")
    terminal.wait_for("\nSeja breve.")
    terminal.send("C-d")
    assert terminal.wait_ended() == 0


@skip_without_tmux
def test_what_goes_along_from_the_beginning(chat: Chat, fake_gemini: FakeGemini, workdir: Path) -> None:
    (workdir / "a.txt").write_text("laudo")
    flags = ("-f", "a.txt", "-t", "passagem_sbar", "-p", "linhas=2", "-s", "Breve.", "--no-history")
    terminal = chat(*flags)
    screen = terminal.wait_for("1 file · template passagem_sbar ·")
    assert "history: this chat is not kept" in screen
    enter(terminal, "Leito 3.")
    terminal.wait_for("1 turn ·")
    assert "laudo" in asked(fake_gemini)[0]
    assert "Leito 3." in asked(fake_gemini)[1] != "Leito 3."
    assert fake_gemini.last.body["systemInstruction"]["parts"] == [{"text": "Breve."}]
    assert history.everything() == []


def test_without_a_terminal_it_says_what_to_use(run_gemx: Callable[..., Any]) -> None:
    done = run_gemx("chat", stdin="Oi\n")
    assert (done.code, done.out) == (2, "")
    assert "gemx gen -c" in done.err


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (("-c",), 3, "no conversation of gemx chat is kept"),
        (("--cid", "nada"), 3, "nada"),
        (("-c", "--cid", "x"), 2, "choose one"),
        (("-f", "-"), 2, "no standard input"),
        (("-f", "nada.txt"), 4, "nada.txt"),
        (("-p", "a=b"), 2, "-t NAME"),
        (("-t", "parecer"), 4, "especialidade"),
        (("-m", "gemni:x"), 2, "did you mean 'gemini'"),
        (("--local-only", "--network", "any"), 2, "contradict"),
    ],
)
def test_what_cannot_begin(
    workdir: Path, gemx_home: Path, tmp_path: Path, argv: tuple[str, ...], code: int, said: str
) -> None:
    env = {"PATH": os.environ["PATH"], "GEMX_HOME": str(gemx_home), "TERM": "xterm"}
    ended, shown, _ = on_a_terminal(("chat", *argv), env)
    assert (ended, said in shown) == (code, True)
