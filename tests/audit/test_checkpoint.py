from __future__ import annotations

import base64
import shutil
import stat
from pathlib import Path

import pytest

from day_files import edit, path_of, rewrite_from, set_clock, write_days
from gemx import places
from gemx.audit import chain, checkpoint, notes, prune, writer
from gemx.audit.chain import Report
from gemx.audit.notes import Signer
from gemx.errors import ContractError, InputError

DAYS = ("2026-11-20", "2026-11-21", "2026-11-22")


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    return write_days(monkeypatch, DAYS)


@pytest.fixture
def signer() -> Signer:
    return notes.new()


@pytest.fixture
def note(log: list[Path], signer: Signer) -> str:
    return checkpoint.take(chain.verify(), signer)[1]


def verified(note: str, signer: Signer) -> Report:
    return checkpoint.verify(checkpoint.read(note, signer.verifier))


def found(note: str, signer: Signer) -> list[tuple[str, int, str]]:
    return [(each.path.name[6:16], each.line, each.kind) for each in verified(note, signer).breaks]


def test_what_is_signed(note: str, signer: Signer) -> None:
    text = note.partition("\n\n")[0].splitlines()
    heads = [chain.verify().ends[n].head for n in range(3)]
    assert text[0] == checkpoint.origin()
    assert (text[1], base64.b64decode(text[2]).hex(), text[4]) == ("12", heads[2], "breaks 0")
    sizes = [path_of(day).stat().st_size for day in DAYS]
    assert text[5:] == [
        f"day audit-{day}.jsonl {size} 4 {head}" for day, size, head in zip(DAYS, sizes, heads, strict=True)
    ]
    assert checkpoint.read(note, signer.verifier).size == 12


def test_a_log_that_only_grew_is_what_it_was(note: str, signer: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert verified(note, signer).breaks == ()
    writer.append({"kind": "attempt"})
    set_clock(monkeypatch, "2026-11-23T01:00:00")
    writer.append({"kind": "attempt"})
    report = verified(note, signer)
    assert (report.breaks, report.records) == ((), 14)


def test_a_cut_tail_is_found_by_the_checkpoint_alone(note: str, signer: Signer) -> None:
    edit(path_of(DAYS[2]), 4, lambda _: b"")
    edit(path_of(DAYS[2]), 3, lambda _: b"")
    assert chain.verify().breaks == ()
    assert found(note, signer) == [(DAYS[2], 3, "cut")]
    assert "of 4 lines at the checkpoint 2 lines are gone" in str(verified(note, signer).breaks[0])


def test_a_chain_that_was_written_anew_is_found_by_the_checkpoint_alone(note: str, signer: Signer) -> None:
    rewrite_from(path_of(DAYS[1]), 2, {"n": "changed"})
    assert chain.verify().breaks == ()
    assert found(note, signer) == [(DAYS[1], 4, "rewritten"), (DAYS[2], 4, "rewritten")]


def test_a_last_line_that_was_changed_is_found_by_the_checkpoint_alone(note: str, signer: Signer) -> None:
    edit(path_of(DAYS[2]), 4, lambda old: old.replace(b'"n":3', b'"n":4'))
    assert chain.verify().breaks == ()
    assert found(note, signer) == [(DAYS[2], 4, "rewritten")]


def test_a_last_day_that_was_removed_is_found_by_the_checkpoint_alone(note: str, signer: Signer) -> None:
    path_of(DAYS[2]).unlink()
    assert chain.verify().breaks == ()
    assert found(note, signer) == [(DAYS[2], 0, "removed")]
    assert str(verified(note, signer).breaks[0]).startswith(f"{path_of(DAYS[2])}: the day is gone")


def test_a_whole_log_that_was_removed(note: str, signer: Signer) -> None:
    for day in DAYS:
        path_of(day).unlink()
    assert found(note, signer) == [(day, 0, "removed") for day in DAYS]


def test_what_the_chain_finds_is_found_too(note: str, signer: Signer) -> None:
    edit(path_of(DAYS[0]), 2, lambda old: old.replace(b'"n":1', b'"n":9'))
    assert found(note, signer) == [(DAYS[0], 2, "changed")]


def test_a_torn_line_that_is_closed_later_is_what_it_was(log: list[Path], signer: Signer) -> None:
    path = path_of(DAYS[2])
    path.write_bytes(path.read_bytes()[:-20])
    note = checkpoint.take(chain.verify(), signer)[1]
    writer.append({"kind": "attempt"})
    assert [kind for _, _, kind in found(note, signer)] == ["torn"]


def test_days_that_were_pruned_are_not_missed(note: str, signer: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    from datetime import timedelta

    set_clock(monkeypatch, "2026-11-23T10:00:00")
    prune.carry_out(prune.plan(timedelta(days=2)))
    assert not path_of(DAYS[0]).exists() and path_of(DAYS[1]).exists()
    report = verified(note, signer)
    assert (report.breaks, report.pruned) == ((), True)


def test_a_day_that_was_another_when_it_was_pruned(note: str, signer: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    from datetime import timedelta

    edit(path_of(DAYS[0]), 4, lambda old: old.replace(b'"n":3', b'"n":4'))
    set_clock(monkeypatch, "2026-11-23T10:00:00")
    prune.carry_out(prune.plan(timedelta(days=2)))
    assert (DAYS[0], 0, "rewritten") in found(note, signer)


def test_a_copy_is_verified_without_the_key_of_the_log(note: str, signer: Signer, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for day in DAYS:
        shutil.copy(path_of(day), copy)
    shutil.rmtree(places.audit_dir())
    assert checkpoint.verify(checkpoint.read(note, signer.verifier), copy).breaks == ()


def test_a_day_whose_prune_was_made_up_is_missed(note: str, signer: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = checkpoint.read(note, signer.verifier).days[2]
    path = path_of(DAYS[2])
    said = {"name": path.name, "sha256": "0" * 64, "bytes": gone.size, "lines": gone.lines, "head": gone.head}
    path.unlink()
    set_clock(monkeypatch, "2026-11-23T10:00:00")
    removed = {"gemx.first_seq": 9, "gemx.last_seq": 12, "gemx.head": gone.head}
    writer.append({"kind": "prune", "gemx.files": [said], **removed})
    assert found(note, signer) == [(DAYS[2], 0, "removed")]


def test_a_checkpoint_of_another_log_is_none(note: str, signer: Signer) -> None:
    from dataclasses import replace

    own = checkpoint.read(note, signer.verifier)
    # Under a new key its days still prove it.
    (places.audit_dir() / ".key").write_bytes(b"k" * 32)
    assert checkpoint.verify(own).breaks == ()
    (first, *_) = checkpoint.verify(replace(own, days=(), size=0)).breaks
    assert (first.path, first.kind) == (places.audit_dir(), "rewritten")
    assert f"of another log, {own.origin}" in first.reason


# signatures and keys


@pytest.mark.parametrize("change", [("12\n", "11\n"), ("breaks 0", "breaks 1"), (" 4 ", " 3 "), ("time 2", "time 1")])
def test_a_note_that_was_changed_is_refused(note: str, signer: Signer, change: tuple[str, str]) -> None:
    changed = note.replace(*change, 1)
    assert changed != note
    with pytest.raises(ContractError, match="the signature is wrong"):
        checkpoint.read(changed, signer.verifier)


def test_a_note_of_another_key_is_refused(note: str) -> None:
    with pytest.raises(ContractError, match="not signed by the key"):
        checkpoint.read(note, notes.new().verifier)


@pytest.mark.parametrize("text", ["", "no note", "a\n\n", "a\n\n— x y", "\x00" * 100])
def test_what_is_no_note_is_refused(signer: Signer, text: str) -> None:
    with pytest.raises(InputError, match="no signed note"):
        checkpoint.read(text, signer.verifier)


@pytest.mark.parametrize("text", ["a\n", "a\nb\nc\nd\ne\n", "o\n1\nAAAA\ntime x\nbreaks 0\n"])
def test_a_signed_text_that_is_no_checkpoint_is_refused(signer: Signer, text: str) -> None:
    with pytest.raises(InputError, match="no checkpoint of gemx"):
        checkpoint.read(signer.sign(text), signer.verifier)


def test_keys_are_read_back(signer: Signer) -> None:
    private, public = notes.signer(signer.line() + "\n"), notes.verifier(signer.verifier.line() + "\n")
    assert public.open(private.sign("a\n")) == "a\n"
    assert signer.line().startswith("PRIVATE+KEY+gemx.audit+")


def pem(kind: str) -> tuple[str, str]:
    """A private and a public key as openssl writes them."""
    from cryptography.hazmat.primitives.asymmetric import ed25519, x25519
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
    )

    kinds = {"ed25519": ed25519.Ed25519PrivateKey, "x25519": x25519.X25519PrivateKey}
    key = kinds[kind].generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


def test_keys_as_openssl_makes_them() -> None:
    private, public = pem("ed25519")
    assert notes.verifier(public).open(notes.signer(private).sign("a\n")) == "a\n"


def test_what_is_no_key_is_refused_and_not_repeated(signer: Signer) -> None:
    other, other_public = pem("x25519")
    damaged = signer.line()[:-6] + "AAAA=="
    for text in ("", "x", damaged, signer.verifier.line(), "-----BEGIN PRIVATE KEY-----\nAAAA\n", other):
        with pytest.raises(InputError) as caught:
            notes.signer(text)
        assert caught.value.__cause__ is None
        assert not text or text not in caught.value.message
    wrong_hash = signer.verifier.line().replace("gemx.audit+", "gemx.other+")
    for text in ("", "x", wrong_hash, signer.line(), other_public, "-----BEGIN PUBLIC KEY-----\nAAAA\n"):
        with pytest.raises(InputError):
            notes.verifier(text)


def test_the_audit_folder_stays_private(note: str) -> None:
    assert {stat.S_IMODE(path.stat().st_mode) for path in places.audit_dir().iterdir()} == {0o600}
