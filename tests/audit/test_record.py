from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gemx import __version__, places
from gemx.audit import record, writer
from gemx.errors import StorageError, UsageError

TEXTS = {"prompt": "paciente José, PAM 57", "reply": "noradrenalina"}


def attempt(**changes: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "run_id": "r1",
        "command": "gen",
        "subject": record.subject("Leito 7"),
        "texts": TEXTS,
        **changes,
    }
    return record.attempt(arguments.pop("fields", {"gemx.status": "ok", "error.type": None}), **arguments)


@dataclass(frozen=True)
class Found:
    """A finding as the checks make it, with its texts."""

    code: str
    severity: str
    path: str
    message: str = "a velocidade de João está errada"
    expected: str | None = "6,6 mL/h"
    found: str | None = "66 mL/h"


RATE = Found("arithmetic.rate", "error", "farmacoterapia[0].posologia.velocidade")


def result(**changes: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "run_id": "r1",
        "command": "auto run",
        "subject": record.subject("Leito 7"),
        "about": {
            "gemx.automation": "sepse_bundle",
            "gemx.automation_version": "2026.1",
            "gemx.automation_sha256": "ab" * 32,
            "gemx.automation_path": "/casa/sepse.yaml",
            "gemx.formulary_path": "/casa/drogas",
            "gemx.flow": None,
        },
        "model": "gemini-3.8-flash-001",
        "repair_round": 0,
        "verified": False,
        "checks": ("arithmetic.rate", "dose.above_max"),
        "findings": [RATE],
    }
    return record.result(**{**arguments, **changes})


def key_file() -> Path:
    return places.audit_dir() / ".key"


def test_a_record_holds_metadata_and_no_text() -> None:
    found = attempt()
    assert {key: found[key] for key in ("kind", "run_id", "command", "gemx.status", "gemx.version", "gemx.pid")} == {
        "kind": "attempt",
        "run_id": "r1",
        "command": "gen",
        "gemx.status": "ok",
        "gemx.version": __version__,
        "gemx.pid": os.getpid(),
    }
    assert "error.type" not in found
    written = json.dumps(found, ensure_ascii=False)
    for secret in ("José", "57", "noradrenalina", "Leito", "\\u00e9"):
        assert secret not in written.replace(str(os.getpid()), "").replace(found["gemx.prompt_hmac"], "").replace(
            found["gemx.reply_hmac"], ""
        ).replace(found["subject"], "").replace(found["gemx.salt"], "")


def test_no_hash_is_one_that_anybody_could_make() -> None:
    found = attempt()
    guesses = [hashlib.sha256(text.encode()).hexdigest() for text in (*TEXTS.values(), "Leito 7", ":Leito 7")]
    assert not set(guesses) & {str(value) for value in found.values()}
    assert re.fullmatch(r"[0-9a-f]{64}", found["gemx.prompt_hmac"])


def test_the_salt_makes_equal_texts_unlike_and_lets_the_text_be_proved() -> None:
    first, second = attempt(), attempt()
    assert first["gemx.salt"] != second["gemx.salt"]
    assert first["gemx.prompt_hmac"] != second["gemx.prompt_hmac"]
    assert record.digest(TEXTS["prompt"], first["gemx.salt"]) == first["gemx.prompt_hmac"]
    assert record.digest(TEXTS["reply"], second["gemx.salt"]) == second["gemx.reply_hmac"]


def test_a_subject_is_the_same_in_every_record_of_an_installation(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    here = attempt()["subject"]
    assert re.fullmatch(r"[0-9a-f]{64}", here)
    assert attempt()["subject"] == result()["subject"] == here == record.subject("Leito 7")
    assert record.subject("  Leito\t7 ") == here
    assert record.subject("Leito 8") != here
    assert record.subject("leito 7") != here
    assert record.subject("Ação") == record.subject("Ac\u0327a\u0303o")
    assert attempt(subject=None)["subject"] is None
    monkeypatch.setenv("GEMX_HOME", str(tmp_path / "elsewhere"))
    assert attempt()["subject"] != here


@pytest.mark.parametrize("text", ["", "  ", "\n"])
def test_a_subject_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        record.subject(text)


def test_no_texts_no_hashes() -> None:
    found = attempt(texts={})
    assert not [name for name in found if "hmac" in name or "salt" in name]


def test_a_text_that_is_no_unicode_has_a_hash() -> None:
    found = attempt(texts={"prompt": "arg-\udcff"})
    assert found["gemx.prompt_hmac"] == record.digest("arg-\udcff", found["gemx.salt"])


def test_the_key_is_made_once_and_for_the_user_alone() -> None:
    before = os.umask(0)
    try:
        attempt()
    finally:
        os.umask(before)
    key = key_file().read_bytes()
    assert len(key) == 32
    assert stat.S_IMODE(key_file().stat().st_mode) == 0o600
    attempt()
    assert key_file().read_bytes() == key
    assert [path.name for path in places.audit_dir().iterdir()] == [".key"]


def test_a_key_that_another_process_made_meanwhile_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    other = b"k" * 32
    real = record._make_key

    def late(path: Path) -> bytes:
        path.write_bytes(other)
        return real(path)

    monkeypatch.setattr(record, "_make_key", late)
    first = record.digest("x")
    assert key_file().read_bytes() == other
    assert record.digest("x") == first
    assert [path.name for path in places.audit_dir().iterdir()] == [".key"]


def test_processes_that_start_together_share_one_key() -> None:
    code = "import sys\nfrom gemx.audit import record\nsys.stdin.readline()\nprint(record.digest('x'))"
    workers = [
        subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(8)
    ]
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write(b"go\n")
        worker.stdin.flush()
    digests = {worker.communicate(timeout=30)[0].decode().strip() for worker in workers}
    assert digests == {record.digest("x")}
    assert [path.name for path in places.audit_dir().iterdir()] == [".key"]


@pytest.mark.parametrize("damage", [b"", b"short", b"x" * 33])
def test_a_damaged_key_is_a_storage_error_and_is_not_replaced(damage: bytes) -> None:
    attempt()
    key_file().write_bytes(damage)
    with pytest.raises(StorageError, match="is damaged"):
        attempt()
    assert key_file().read_bytes() == damage


def test_a_key_that_cannot_be_read_or_made_is_a_storage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    places.ensure_private_dir(places.audit_dir())
    key_file().mkdir()
    with pytest.raises(StorageError, match="cannot be read"):
        attempt()
    key_file().rmdir()

    def full(*arguments: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(StorageError, match="cannot be made"):
        record.digest("x")


def test_a_user_without_a_name_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError

    monkeypatch.setattr("getpass.getuser", nobody)
    assert attempt()["gemx.user"] == str(os.getuid())


def test_a_result_says_what_was_checked_and_found() -> None:
    found = result()
    assert {key: value for key, value in found.items() if key not in ("subject", "gemx.user")} == {
        "kind": "result",
        "run_id": "r1",
        "command": "auto run",
        "gen_ai.response.model": "gemini-3.8-flash-001",
        "gemx.automation": "sepse_bundle",
        "gemx.automation_version": "2026.1",
        "gemx.automation_sha256": "ab" * 32,
        "gemx.automation_path": "/casa/sepse.yaml",
        "gemx.formulary_path": "/casa/drogas",
        "gemx.round": 0,
        "gemx.verified": False,
        "gemx.checks": ["arithmetic.rate", "dose.above_max"],
        "gemx.findings": [
            {"code": "arithmetic.rate", "severity": "error", "path": "farmacoterapia[0].posologia.velocidade"}
        ],
        "gemx.count.error": 1,
        "gemx.version": __version__,
        "gemx.pid": os.getpid(),
    }


def test_a_result_belongs_to_its_attempts() -> None:
    call, verdict = attempt(), result()
    for name in ("run_id", "subject", "gemx.version", "gemx.user", "gemx.pid"):
        assert call[name] == verdict[name]


def test_a_result_holds_no_message_and_no_value() -> None:
    written = json.dumps(result(), ensure_ascii=False)
    for text in (RATE.message, "João", "6,6", "66 mL", "Leito", "expected", "message"):
        assert text not in written


def test_findings_are_counted_by_severity() -> None:
    severities = ("error", "warning", "error", "unverifiable", "conflict", "error")
    found = result(findings=(Found("x.y", severity, "") for severity in severities))
    counts = {name: value for name, value in found.items() if name.startswith("gemx.count.")}
    assert counts == {
        "gemx.count.error": 3,
        "gemx.count.warning": 1,
        "gemx.count.unverifiable": 1,
        "gemx.count.conflict": 1,
    }
    assert len(found["gemx.findings"]) == 6


def test_a_result_of_nothing_found_is_written_as_such() -> None:
    found = result(verified=True, checks=[], findings=[])
    assert (found["gemx.verified"], found["gemx.round"], found["gemx.checks"], found["gemx.findings"]) == (
        True,
        0,
        [],
        [],
    )
    assert not [name for name in found if name.startswith("gemx.count.")]


def test_what_a_result_does_not_know_is_left_out() -> None:
    found = result(subject=None, model=None, about={"gemx.automation": None, "gemx.formulary_path": None})
    assert found["subject"] is None
    assert not [name for name in found if name.startswith(("gemx.automation", "gemx.formulary", "gen_ai."))]


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ("", ""),
        ("resumo", "resumo"),
        ("checklist[10].fontes[2].trecho", "checklist[10].fontes[2].trecho"),
        ("farmacoterapia[0].João da Silva, 57 a", "farmacoterapia[0].…"),
        ("farmacoterapia[0].joao da silva.posologia", "farmacoterapia[0].…"),
        ("PAM 57", "…"),
        ("resumo\n", "…"),
        ("resumo." + "a" * 41, "resumo.…"),
    ],
)
def test_a_path_is_written_as_far_as_it_is_one_of_fields(path: str, written: str) -> None:
    # A key that a model made up is a part of the path of its finding.
    assert result(findings=[Found("contract.schema", "error", path)])["gemx.findings"][0]["path"] == written


def test_a_result_is_a_line_of_the_chain() -> None:
    record_of_it = result()
    assert writer.append(record_of_it) == 1
    [path] = places.audit_dir().glob("audit-*.jsonl")
    line = json.loads(path.read_text(encoding="utf-8"))
    assert {name: line[name] for name in record_of_it} == record_of_it
