"""`gemx logs verify` and `checkpoint`: prove that the log is what was written, and sign what it is now."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gemx.cli import options, output
from gemx.errors import ContractError, InputError, StorageError, UsageError

if TYPE_CHECKING:
    from gemx.audit.chain import Report
    from gemx.audit.checkpoint import Checkpoint

_MOST_BYTES = 16 * 1024 * 1024


def verify(
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            "--checkpoint", metavar="FILE", help="What gemx logs checkpoint wrote earlier; needs --public-key."
        ),
    ] = None,
    public_key: Annotated[
        str | None,
        typer.Option("--public-key", metavar="KEY|FILE", help="The public key that the checkpoint is checked with."),
    ] = None,
    as_json: options.AsJson = False,
) -> int:
    """Verify the chain of all records, and say where it is broken (exit 6): changed, removed, inserted, swapped.

    With a checkpoint, also whether the log was cut or rewritten since, or a day removed.
    """
    output.begin("logs verify", as_json=as_json)
    from gemx.audit import chain, notes
    from gemx.audit import checkpoint as checkpoints

    if (checkpoint is None) != (public_key is None):
        raise UsageError("--checkpoint and --public-key go together: a signature needs its key")
    signed = None
    if checkpoint is not None and public_key is not None:
        signed = checkpoints.read(_read(checkpoint), notes.verifier(_key(public_key)))
    report = checkpoints.verify(signed) if signed else chain.verify()
    failure = _failure(report)
    exit_code = failure.exit_code if failure else 0
    if as_json:
        output.as_json(_data(report, signed), exit_code, [output.described(failure)] if failure else [])
        return exit_code
    _show(report, signed)
    if failure:
        output.error(failure)
    return exit_code


def checkpoint(
    key: Annotated[
        Path | None, typer.Option("--key", metavar="FILE", help="The private key that signs; keep it elsewhere.")
    ] = None,
    new_key: Annotated[
        Path | None,
        typer.Option("--new-key", metavar="FILE", help="Make a pair of keys: FILE (mode 0600), and FILE.pub."),
    ] = None,
    out: options.Out = None,
    as_json: options.AsJson = False,
) -> None:
    """Sign what the log is now, a line a day, for keeping elsewhere; gemx logs verify --checkpoint then finds more."""
    output.begin("logs checkpoint", as_json=as_json)
    if (key is None) == (new_key is None):
        raise UsageError("name the key that signs, --key FILE, or make one: --new-key FILE")
    if new_key is not None:
        _make_key(new_key, as_json=as_json)
        return
    assert key is not None, "one of the two was given"  # noqa: S101
    from gemx.audit import chain, notes
    from gemx.audit import checkpoint as checkpoints

    if out:
        output.check_writable(out)
    signer = notes.signer(_read(key))
    report = chain.verify()
    made, note = checkpoints.take(report, signer)
    if report.altered:
        output.warning(f"gemx: the chain is broken (places: {len(report.altered)}), and the checkpoint says so")
    if out:
        output.write_file(out, note)
    if as_json:
        output.as_json({"note": note, "records": made.size, "path": str(out) if out else None})
    elif out:
        output.result(f"signed: {made.size} records, {_days(len(made.days))}, to {out}; keep it on another machine")
    else:
        output.result(note)


def _make_key(path: Path, *, as_json: bool) -> None:
    from gemx import places
    from gemx.audit import notes

    public = path.with_name(f"{path.name}.pub")
    if path.exists() or public.exists():
        raise InputError(f"{path if path.exists() else public} is there already", hint="name a file that is not there")
    output.check_writable(path)
    signer = notes.new()
    places.write_private(path, f"{signer.line()}\n".encode(), new=True)
    places.write_private(public, f"{signer.verifier.line()}\n".encode(), new=True)
    if as_json:
        output.as_json({"private_key": str(path), "public_key": str(public), "public": signer.verifier.line()})
        return
    output.result(signer.verifier.line())
    output.note(f"written: {path} (private: keep it away from this machine's user) and {public}")


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES).decode("utf-8")
    except OSError as exc:
        raise InputError(f"cannot read {path}: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise InputError(f"cannot read {path}: it is no text") from exc


def _key(said: str) -> str:
    from gemx import places

    return _read(Path(said)) if places.is_file(Path(said)) else said


def _failure(report: Report) -> ContractError | StorageError | None:
    found = report.altered
    if not found:
        return None
    places = "1 place" if len(found) == 1 else f"{len(found)} places"
    hint = "keep the files as they are, and compare them with a copy"
    return ContractError(f"the log was altered at {places}, first {found[0]}", hint=hint)


def _data(report: Report, signed: Checkpoint | None) -> dict[str, Any]:
    return {
        "records": report.records,
        "files": report.files,
        "first": {"seq": report.first_seq, "time": report.first},
        "last": {"seq": report.seq, "time": report.last},
        "pruned": report.pruned,
        "unbroken": not report.altered,
        "breaks": [
            {"path": str(each.path), "line": each.line, "kind": each.kind, "reason": each.reason}
            for each in report.breaks
        ],
        "more_breaks": report.more,
        "announced_as_removed": [str(path) for path in report.leftover],
        "checkpoint": {"time": signed.time, "records": signed.size, "breaks": signed.breaks} if signed else None,
    }


def _show(report: Report, signed: Checkpoint | None) -> None:
    for each in report.breaks:
        output.result(f"{each.kind}: {each}")
    if report.more:
        output.result(f"and {report.more} places more")
    for path in report.leftover:
        output.warning(f"gemx: {path}: a prune announced its removal, and it is still there; run gemx logs prune again")
    if not report.records:
        output.result("nothing is on record yet")
        return
    files = "1 file" if report.files == 1 else f"{report.files} files"
    state = "altered" if report.altered else "unbroken"
    records = "1 record" if report.records == 1 else f"{report.records} records"
    output.result(f"{records} in {files}, {state}: {report.first_seq} ({report.first}) to {report.seq} ({report.last})")
    if report.pruned:
        output.result(f"provable from record {report.first_seq}: what was before was pruned, and that is on record")
    if signed:
        output.result(f"checkpoint of {signed.time}, {signed.size} records: its signature is right")
    else:
        output.note("without a checkpoint, a cut tail or a chain that was written anew goes unseen")
