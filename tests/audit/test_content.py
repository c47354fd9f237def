from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import RunGemx
from fake_gemini import FakeGemini
from gateway_calls import audit, policy, request
from gemx import gateway, places
from gemx.audit import chain, content, record, writer
from gemx.audit.find import Filter, Reader
from gemx.errors import GemxError, StorageError

TEXTS = {"prompt": "paciente José, PAM 57", "reply": "noradrenalina\u2028"}


def files() -> list[Path]:
    return sorted(places.audit_dir().glob("content-*.jsonl"))


def made(run_id: str = "r1", whom: str | None = "Leito 7", texts: dict[str, str] = TEXTS) -> dict[str, Any]:
    subject = record.subject(whom) if whom else None
    return record.attempt({}, run_id=run_id, command="gen", subject=subject, texts=texts)


def kept(*args: Any, **named: Any) -> dict[str, Any]:
    return content.keep(made(*args, **named), named.get("texts", TEXTS))


def test_texts_are_kept_beside_and_proved_by_the_record() -> None:
    found = kept()
    assert found["gemx.content"] == files()[0].name
    assert content.texts_of([found]) == {found["gemx.salt"]: TEXTS}
    assert content.proves(found, "prompt", TEXTS["prompt"]) is True
    assert content.proves(found, "prompt", TEXTS["prompt"] + ".") is False
    assert content.proves(found, "other", "x") is None
    assert "José" not in json.dumps(found, ensure_ascii=False)
    assert "Leito" not in files()[0].read_text()
    assert stat.S_IMODE(files()[0].stat().st_mode) == 0o600


def test_no_texts_no_file() -> None:
    assert "gemx.content" not in content.keep(made(texts={}), {})
    assert files() == []


def test_a_torn_line_costs_one_text() -> None:
    first = kept("r1")
    files()[0].write_bytes(files()[0].read_bytes()[:-9])
    second = kept("r2")
    assert list(content.texts_of([first, second])) == [second["gemx.salt"]]
    assert len(files()[0].read_bytes().splitlines()) == 2


def test_an_erased_subject_is_gone_and_others_stay() -> None:
    mine, theirs, nobody = kept("r1"), kept("r2", "Leito 8"), kept("r3", None)
    for each in (mine, theirs, nobody):
        writer.append(each)
    with files()[0].open("ab") as file:
        file.write(b"damaged\n")
    whom = record.subject("Leito 7")
    assert content.count(whom) == content.Erased(1, 1)
    assert set(content.texts_of([mine, theirs])) == {mine["gemx.salt"], theirs["gemx.salt"]}
    assert content.erase(whom) == content.Erased(1, 1)
    assert set(content.texts_of([mine, theirs, nobody])) == {theirs["gemx.salt"], nobody["gemx.salt"]}
    assert content.erase(whom) == content.Erased(0, 1)
    assert files()[0].read_bytes().endswith(b"damaged\n")
    assert chain.verify().breaks == ()
    assert stat.S_IMODE(files()[0].stat().st_mode) == 0o600


def test_what_a_killed_erasure_left_is_erased_too() -> None:
    writer.append(kept("r1"))
    left = places.audit_dir() / ".gemx-killed"
    left.write_bytes(files()[0].read_bytes())
    content.erase(record.subject("Leito 7"))
    assert not left.exists()


def test_what_cannot_be_written_leaves_no_record(monkeypatch: pytest.MonkeyPatch, fake_gemini: FakeGemini) -> None:
    def full(descriptor: int, data: Any) -> int:
        raise OSError(28, "No space left on device")

    real = writer.write
    monkeypatch.setattr(writer, "write", lambda path, data: real(path, data) if "audit-" in path.name else refuse(path))

    def refuse(path: Path) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", full)
            real(path, b"x")

    with pytest.raises(StorageError, match="No space left"):
        gateway.call(request(), policy(audit={"content": "full"}))
    assert audit() == []


@pytest.mark.parametrize(("setting", "hashed", "stored"), [("none", 0, 0), ("hash", 1, 0), ("full", 1, 1)])
def test_the_setting_says_what_is_kept(setting: str, hashed: int, stored: int, fake_gemini: FakeGemini) -> None:
    fake_gemini.reply_text("noradrenalina")
    gateway.call(request("PAM 57 de José"), policy(audit={"content": setting}))
    (found,) = Reader().oldest(Filter())
    assert ("gemx.prompt_hmac" in found, "gemx.content" in found, len(files())) == (bool(hashed), bool(stored), stored)
    assert not stored or content.texts_of([found])[found["gemx.salt"]] == {
        "prompt": "PAM 57 de José",
        "reply": "noradrenalina",
    }


def test_a_call_that_fails_keeps_what_was_asked(fake_gemini: FakeGemini) -> None:
    fake_gemini.fault("blocked")
    with pytest.raises(GemxError):
        gateway.call(request("PAM 57"), policy(audit={"content": "full"}))
    (found,) = Reader().oldest(Filter())
    assert content.texts_of([found])[found["gemx.salt"]] == {"prompt": "PAM 57"}


def test_the_text_is_on_the_disk_before_its_record(monkeypatch: pytest.MonkeyPatch, fake_gemini: FakeGemini) -> None:
    order: list[str] = []
    real: Callable[[Path, bytes], None] = writer.write

    def write(path: Path, data: bytes) -> None:
        real(path, data)
        order.append(path.name.partition("-")[0])

    monkeypatch.setattr(writer, "write", write)
    gateway.call(request(), policy(audit={"content": "full"}))
    assert order == ["content", "audit"]


def test_show_finds_the_texts_and_says_where_one_was_changed(run_gemx: RunGemx) -> None:
    assert run_gemx("config", "set", "audit.content", "full").code == 0
    assert run_gemx("gen", "Segredo do leito", "-m", "extractive", "--no-history").code == 0
    shown = run_gemx("logs", "show", "1").out
    assert "prompt, from content-" in shown and "proved by the record" in shown
    assert "Segredo do leito" in shown
    files()[0].write_text(files()[0].read_text().replace("Segredo", "Segreda"))
    assert "NOT what the record hashed" in run_gemx("logs", "show", "1").out
