"""A chat without a terminal: its turns through the door, what goes along, what fails, what the history has of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fake_gemini import FakeGemini
from gateway_calls import audit
from gemx import conversation, gateway, history, places, settings
from gemx.cli import chat_commands, chat_completion, chat_text, door
from gemx.cli.chat_session import Session
from gemx.errors import (
    BudgetError,
    GemxError,
    InputError,
    NotFoundError,
    PrivacyError,
    StorageError,
    TimeoutExceededError,
    UsageError,
)
from gemx.gateway import Policy, Reply, Request

MODEL = "gemini:gemini-3.8-flash"
Begin = Callable[..., Session]


def ask(request: Request, policy: Policy) -> Reply:
    return gateway.call(request, policy, on_text=lambda _: None)


def stopped(request: Request, policy: Policy) -> Reply:
    """Ctrl-C in the middle of an answer."""

    def press(_: str) -> None:
        raise KeyboardInterrupt

    return gateway.call(request, policy, on_text=press)


def told(fake: FakeGemini) -> list[str]:
    """The texts of the last request, turn by turn."""
    return ["\n".join(part.get("text", "") for part in turn["parts"]) for turn in fake.last.body["contents"]]


def instruction(fake: FakeGemini) -> str | None:
    said = fake.last.body.get("systemInstruction")
    return said["parts"][0]["text"] if said else None


def kept() -> list[tuple[str | None, str]]:
    return [(entry.prompt, entry.reply) for entry in history.everything()]


def command(session: Session, line: str, capfd: pytest.CaptureFixture[str]) -> str:
    capfd.readouterr()
    chat_commands.run(session, line)
    return capfd.readouterr().out.rstrip("\n")


@pytest.fixture
def begin(fake_gemini: FakeGemini) -> Begin:
    def make(*, thread: conversation.Thread | None = None, keeps: bool = True, **flags: Any) -> Session:
        given = dict.fromkeys(("option", "fallback", "guard", "network", "max_cost", "timeout", "tries"))
        chosen = door.Flags(**{"model": MODEL, **given, "local_only": False, **flags})
        return Session(settings.load(), chosen, keeps, thread, thread.system if thread else None)

    return make


@pytest.fixture
def config(gemx_home: Path) -> Callable[..., None]:
    def write(**values: Any) -> None:
        (gemx_home / "config").mkdir(parents=True, exist_ok=True)
        (gemx_home / "config/config.json").write_text(json.dumps(values))

    return write


def test_turns_go_on_and_each_is_kept_at_once(begin: Begin, fake_gemini: FakeGemini) -> None:
    session = begin()
    for number, reply in enumerate(("65", "75", "80"), 1):
        fake_gemini.reply_text(reply, modelVersion="gemini-3.8-flash")
        assert session.send(f"pergunta {number}", ask).reply.text == reply
        assert len(history.everything()) == number
    assert told(fake_gemini) == ["pergunta 1", "65", "pergunta 2", "75", "pergunta 3"]
    entries = history.everything()
    assert {entry.command for entry in entries} == {"chat"}
    assert {entry.conversation for entry in entries} == {entries[0].run_id}
    assert [entry.data["turn"] for entry in entries] == [1, 2, 3]
    assert [(each["command"], each["run_id"]) for each in audit()] == [("chat", entry.run_id) for entry in entries]
    session.route = MODEL
    cost = gateway.bill.total(session.attempts)
    assert cost
    said = f"{MODEL} · 3 turns · 72 tokens · {gateway.bill.dollars(cost)} USD"
    assert chat_text.status(session, 80) == said


def test_it_goes_on_where_gen_ended_and_gen_where_it_ended(
    begin: Begin, fake_gemini: FakeGemini, run_gemx: Callable[..., Any]
) -> None:
    assert run_gemx("gen", "de gen", "-m", MODEL, "-s", "Breve.").code == 0
    session = begin(thread=conversation.last("gen"), model=None)
    session.send("de chat", ask)
    assert told(fake_gemini) == ["de gen", "ok", "de chat"]
    assert instruction(fake_gemini) == "Breve."
    assert run_gemx("gen", "-c", "de novo").code == 0
    assert told(fake_gemini) == ["de gen", "ok", "de chat", "ok", "de novo"]
    assert [entry.data["turn"] for entry in history.everything()] == [1, 2, 3]


@pytest.mark.parametrize("fault", ["unauthorized", "blocked", "unavailable", "cut"])
def test_a_turn_that_fails_leaves_the_conversation_and_what_waits(
    begin: Begin, fake_gemini: FakeGemini, fault: str, workdir: Path
) -> None:
    session = begin(tries=1)
    session.send("antes", ask)
    (workdir / "a.txt").write_text("laudo")
    chat_commands.run(session, "/file a.txt")
    fake_gemini.fault(fault)
    with pytest.raises(GemxError):
        session.send("agora", ask)
    assert len(session.files) == 1
    assert kept() == [("antes", "ok")]
    assert len(audit()) == 2
    session.retry(ask)
    assert [len(session.files), session.unanswered] == [0, None]
    assert "laudo" in told(fake_gemini)[-1] and told(fake_gemini)[-1].endswith("agora")
    assert told(fake_gemini)[:2] == ["antes", "ok"]


def test_what_the_guard_blocks_is_not_sent_and_the_chat_goes_on(begin: Begin, fake_gemini: FakeGemini) -> None:
    session = begin(guard="block")
    with pytest.raises(PrivacyError):
        session.send("CPF 529.982.247-25", ask)
    assert fake_gemini.requests == []
    session.send("sem nada disso", ask)
    assert told(fake_gemini) == ["sem nada disso"]
    assert [each["kind"] for each in audit()] == ["refusal", "attempt"]


def test_a_stopped_answer_is_on_record_and_not_in_the_conversation(begin: Begin, fake_gemini: FakeGemini) -> None:
    session = begin()
    with pytest.raises(KeyboardInterrupt):
        session.send("conte", stopped)
    assert [(each["error.type"], each["gemx.status"]) for each in audit()] == [("interrupted", "error")]
    assert (session.thread, kept()) == (None, [])
    assert "1 answer stopped, which may be billed" in chat_text.cost(session)
    session.retry(ask)
    assert told(fake_gemini) == ["conte"]
    assert kept() == [("conte", "ok")]


def test_undo_takes_the_last_turn_out_of_the_history_too(
    begin: Begin, fake_gemini: FakeGemini, capfd: pytest.CaptureFixture[str], gemx_home: Path
) -> None:
    session = begin()
    session.send("primeira", ask)
    session.send("segunda ESPECIAL", ask)
    assert command(session, "/undo", capfd) == "taken out: segunda ESPECIAL (1 turn left)"
    assert kept() == [("primeira", "ok")]
    assert not any(b"ESPECIAL" in path.read_bytes() for path in (gemx_home / "data").rglob("*") if path.is_file())
    session.send("terceira", ask)
    assert told(fake_gemini) == ["primeira", "ok", "terceira"]
    assert not conversation.last("chat").notes  # nothing is missing: what was taken out never was a turn
    for _ in range(2):
        chat_commands.run(session, "/undo")
    assert kept() == []
    with pytest.raises(UsageError):
        session.undo()
    session.send("de novo", ask)
    (entry,) = history.everything()
    assert entry.conversation == entry.run_id


def test_undo_of_what_somebody_erased_or_that_never_was_kept(begin: Begin) -> None:
    session = begin()
    session.send("primeira", ask)
    history.remove_all()
    assert list(session.undo()[1]) == []
    silent = begin(keeps=False)
    silent.send("segredo", ask)
    assert kept() == []
    assert list(silent.undo()[1]) == []


def test_retry_replaces_the_answer(begin: Begin, fake_gemini: FakeGemini) -> None:
    session = begin()
    session.send("primeira", ask)
    fake_gemini.reply_text("ruim")
    session.send("segunda", ask)
    session.instruct("Seja breve.")
    fake_gemini.reply_text("bom")
    session.retry(ask)
    assert told(fake_gemini) == ["primeira", "ok", "segunda"]
    assert instruction(fake_gemini) == "Seja breve."
    assert kept() == [("primeira", "ok"), ("segunda", "bom")]
    assert session.thread and [turn.reply for turn in session.thread.exchanges] == ["ok", "bom"]
    fake_gemini.fault("unauthorized")
    with pytest.raises(GemxError):
        session.retry(ask)
    assert kept() == [("primeira", "ok"), ("segunda", "bom")]


def test_retry_of_the_only_turn_begins_the_conversation_anew(begin: Begin) -> None:
    session = begin(model=None)
    session.send("primeira", ask)
    session.retry(ask)
    (entry,) = history.everything()
    assert session.thread and session.thread.id == entry.run_id == entry.conversation
    assert not conversation.last("chat").notes


def test_a_file_goes_along_once_and_stays_in_the_conversation(
    begin: Begin, fake_gemini: FakeGemini, workdir: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (workdir / "um dois.md").write_text("# Choque\n\nPAM alvo 65 mmHg.\n")
    (workdir / "ecg.png").write_bytes(b"\x89PNG")
    session = begin()
    assert command(session, "/file um dois.md", capfd) == "um dois.md: 28 characters"
    assert command(session, "/file ecg.png", capfd).splitlines()[1] == "ecg.png: image/png, 4 bytes"
    session.send("o que é isto?", ask)
    session.send("e agora?", ask)
    first, _, second = fake_gemini.last.body["contents"]
    assert "PAM alvo 65" in first["parts"][0]["text"]
    assert "image/png" in first["parts"][1]["inlineData"].values()
    assert second["parts"] == [{"text": "e agora?"}]
    assert command(session, "/file", capfd) == "(no file waits for the next message)"
    entry = history.everything()[0]
    assert (entry.data["typed"], entry.data["media"]) == ("o que é isto?", ["ecg.png"])


def test_a_model_that_quotes_still_has_the_files_of_before(begin: Begin, workdir: Path) -> None:
    (workdir / "choque.md").write_text("# PAM\n\nAlvo 65 mmHg.\n\n# Lactato\n\nRepetir se acima de 2.\n")
    session = begin(model="extractive")
    chat_commands.run(session, "/file choque.md")
    session.send("PAM?", ask)
    assert "Repetir se acima de 2" in session.send("e o lactato?", ask).reply.text


@pytest.mark.parametrize(
    ("line", "error"),
    [("/file nada.txt", InputError), ("/file - a", UsageError), ("/file a -", UsageError), ("/file 'a", UsageError)],
)
def test_a_file_that_cannot_be_read(begin: Begin, workdir: Path, line: str, error: type[GemxError]) -> None:
    session = begin()
    with pytest.raises(error):
        chat_commands.run(session, line)
    assert session.files == []


def test_files_are_let_go(begin: Begin, workdir: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (workdir / "a.txt").write_text("x")
    session = begin()
    command(session, "/file a.txt a.txt", capfd)
    assert len(session.files) == 2
    assert command(session, "/file -", capfd) == "(no file waits for the next message)"


def test_a_template_takes_the_next_message(
    begin: Begin, fake_gemini: FakeGemini, capfd: pytest.CaptureFixture[str]
) -> None:
    session = begin()
    said = command(session, "/template passagem_sbar linhas=2", capfd)
    assert said == "the next message goes into passagem_sbar linhas=2"
    session.send("Leito 3, estável.", ask)
    assert told(fake_gemini)[-1] != "Leito 3, estável." and "Leito 3, estável." in told(fake_gemini)[-1]
    system = instruction(fake_gemini)
    assert system
    assert audit()[-1]["gemx.template"] == "passagem_sbar"
    session.send("mais curto", ask)
    assert told(fake_gemini)[-1] == "mais curto"
    assert instruction(fake_gemini) == system  # as `gen -c` goes on under it
    assert [entry.data["typed"] for entry in history.everything()] == ["Leito 3, estável.", None]


def test_an_own_instruction_stays_before_a_templates(
    begin: Begin, fake_gemini: FakeGemini, capfd: pytest.CaptureFixture[str]
) -> None:
    session = begin()
    assert command(session, "/system Seja breve.\nSó fatos.", capfd) == "Seja breve.\nSó fatos."
    chat_commands.run(session, "/template passagem_sbar")
    session.send("Leito 3.", ask)
    assert instruction(fake_gemini) == "Seja breve.\nSó fatos."
    assert command(session, "/system -", capfd) == "(no system instruction)"
    session.send("e?", ask)
    assert instruction(fake_gemini) is None
    chat_commands.run(session, "/template passagem_sbar")
    session.send("Leito 4.", ask)
    assert instruction(fake_gemini)  # where there is none, a template's may come in


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("/template nada_disso", NotFoundError),
        ("/template parecer", InputError),  # what is missing is said before the message is written
        ("/template passagem_sbar linha=2", InputError),
        ("/template passagem_sbar linhas", UsageError),
    ],
)
def test_a_template_that_cannot_be_used(begin: Begin, line: str, error: type[GemxError]) -> None:
    session = begin()
    with pytest.raises(error):
        chat_commands.run(session, line)
    assert session.used is None


def test_a_template_is_let_go(begin: Begin, capfd: pytest.CaptureFixture[str]) -> None:
    session = begin()
    command(session, "/template passagem_sbar", capfd)
    assert command(session, "/template -", capfd) == "(no template waits for the next message)"


def test_another_model(begin: Begin, capfd: pytest.CaptureFixture[str]) -> None:
    session = begin(model=None)
    assert command(session, "/model", capfd) == f"{MODEL} (automatic: there is a Gemini key)"
    assert command(session, "/model extractive", capfd) == "extractive (chosen by /model)"
    assert "não usa modelo" in session.send("Oi", ask).reply.text
    for wrong in ("gemni:x", "gguf"):
        with pytest.raises(UsageError):
            chat_commands.run(session, f"/model {wrong}")
    assert command(session, "/model", capfd) == "extractive (chosen by /model)"
    assert audit()[-1]["gemx.route_reason"] == "chosen by /model"


def test_a_cap_holds_for_the_whole_chat(begin: Begin, fake_gemini: FakeGemini) -> None:
    usage = {"promptTokenCount": 1_000, "candidatesTokenCount": 2_000, "totalTokenCount": 3_000}
    session = begin(max_cost=0.02, option=["max_output_tokens=2048"])
    for _ in range(20):
        fake_gemini.reply_text("ok", usageMetadata=usage, modelVersion="gemini-3.8-flash")
    with pytest.raises(BudgetError):
        for _ in range(20):
            session.send("Oi", ask)
    assert 1 <= len(fake_gemini.requests) < 19
    cost = gateway.bill.total(session.attempts)
    assert cost is not None
    assert 0 < cost <= 0.02
    assert session.spent == cost


def test_a_stopped_answer_counts_under_a_cap(begin: Begin) -> None:
    session = begin(max_cost=1)
    with pytest.raises(KeyboardInterrupt):
        session.send("conte", stopped)
    assert session.spent > 0


def test_the_timeout_is_that_of_each_answer(begin: Begin, fake_gemini: FakeGemini) -> None:
    import signal

    session = begin(timeout=0.4, tries=1)
    fake_gemini.fault("hang")
    with pytest.raises(TimeoutExceededError):
        session.send("Oi", ask)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)  # no clock runs while a person thinks
    session.send("Oi", ask)
    assert session.next_policy()
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_an_answer_that_cannot_be_kept_is_not_lost(begin: Begin, gemx_home: Path) -> None:
    session = begin()
    (gemx_home / "data/history.db").mkdir(parents=True)
    answered = session.send("Oi", ask)
    assert [failure.code for failure in answered.failures] == ["storage"]
    assert answered.reply.text == "ok"
    assert session.thread and session.kept == set()
    assert list(session.undo()[1]) == []


def test_a_cut_answer_is_kept_and_said(begin: Begin, fake_gemini: FakeGemini) -> None:
    fake_gemini.fault("ok", text="A PAM é", reason="MAX_TOKENS")
    assert [failure.code for failure in begin().send("PAM?", ask).failures] == ["truncated"]
    assert kept() == [("PAM?", "A PAM é")]


def test_nothing_is_kept_where_config_says_so(begin: Begin, config: Callable[..., None]) -> None:
    config(history={"keep": 0})
    begin().send("Oi", ask)
    assert not places.history_file().exists()


def test_save_writes_the_conversation_and_replaces_nothing(
    begin: Begin, fake_gemini: FakeGemini, workdir: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    session = begin()
    with pytest.raises(UsageError):
        chat_commands.run(session, "/save conversa.md")
    session.instruct("Seja breve.")
    fake_gemini.reply_text("**PAM** 57")
    session.send("Qual a PAM?", ask)
    assert "conversa.md (1 turn)" in command(session, "/save conversa.md", capfd)
    path = workdir / "conversa.md"
    assert path.stat().st_mode & 0o777 == 0o600
    text = path.read_text()
    assert "## System\n\nSeja breve.\n\n## You\n\nQual a PAM?\n\n## Answer\n\n**PAM** 57\n" in text
    (workdir / "elo.md").symlink_to(workdir / "alheio.md")
    for wrong in ("/save conversa.md", "/save nenhuma/pasta.md", "/save elo.md", f"/save {'a' * 300}.md"):
        with pytest.raises(StorageError):
            chat_commands.run(session, wrong)
    with pytest.raises(UsageError):
        chat_commands.run(session, "/save")
    assert path.read_text() == text
    assert not (workdir / "alheio.md").exists()


def test_tokens_and_cost(begin: Begin, capfd: pytest.CaptureFixture[str]) -> None:
    session = begin()
    assert command(session, "/tokens", capfd).startswith("this chat: not counted")
    assert command(session, "/cost", capfd) == "this chat: 0.0000 USD in 0 calls"
    before = gateway.estimate_tokens(session.next_request())
    session.send("pergunta " * 100, ask)
    assert "this chat: 12 tokens in, 12 out" in command(session, "/tokens", capfd)
    assert gateway.estimate_tokens(session.next_request()) > before + 200
    assert "cost not known in 1 call; prices" in command(session, "/cost", capfd)  # of a model without a price


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("/modl x", "no command /modl; did you mean 'model'?"),
        ("/un", "no command /un"),  # a beginning is no command: /undo erases
        ("/etc/hosts é o quê?", "no command /etc/hosts"),
        ("/", "no command /"),
        ("/undo tudo", "/undo takes nothing, not 'tudo'"),
        ("/retry", "nothing to ask again"),
    ],
)
def test_a_command_that_is_none(begin: Begin, line: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        chat_commands.run(begin(), line)
    assert said in caught.value.message


def test_help_names_every_command_in_80_columns(begin: Begin, capfd: pytest.CaptureFixture[str]) -> None:
    said = command(begin(), "/help", capfd)
    assert all(each.usage in said for each in chat_commands.COMMANDS.values())
    assert max(map(len, said.splitlines())) < 80
    assert len(said.splitlines()) < 22
    with pytest.raises(EOFError):
        chat_commands.run(begin(), "/exit")


@pytest.mark.parametrize("columns", [10, 40, 80])
def test_the_state_fits_in_its_line(begin: Begin, columns: int) -> None:
    session = begin()
    session.route = "gguf:a-model-with-a-very-long-name-as-they-have"
    assert len(chat_text.status(session, columns)) <= columns


@pytest.mark.parametrize(
    ("line", "word", "found"),
    [
        ("/", "/", ["/model", "/system"]),
        ("/mo", "/mo", ["/model"]),
        ("/model ext", "ext", ["extractive"]),
        ("/model extractive ", "", []),
        ("/template pass", "pass", ["passagem_sbar"]),
        ("/template passagem_sbar li", "li", ["linhas="]),
        ("/file um", "um", ["um\\ dois.md"]),
        ("/file a.txt um\\ d", "um\\ d", ["um\\ dois.md"]),
        ("/file sub/", "sub/", ["sub/c.txt"]),
        ("/save su", "su", ["sub/"]),
        ("/undo ", "", []),
        ("texto", "", []),
        ("/file\n/mo", "", []),
        ("/template nada x", "x", []),
    ],
)
def test_what_tab_offers(workdir: Path, line: str, word: str, found: list[str]) -> None:
    (workdir / "sub").mkdir()
    for name in ("um dois.md", ".oculto", "sub/c.txt"):
        (workdir / name).touch()
    before, offered = chat_completion.offered(line, ["model", "system"])
    assert (before, offered) == (word, found)
