"""Local models and the card that could run them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from gemx import places, processes
from gemx.diagnosis.check import Case, Check, fail, ok, warn
from gemx.errors import GemxError
from gemx.models import registry

_SECONDS = 10.0
_MAGIC = b"GGUF"
_SHOWN = 5
_FIELDS = "name,memory.total,memory.free,driver_version"
_BUILD = "CMAKE_ARGS=\"-DGGML_CUDA=on\" pipx install --force 'gemx[local]'"


def models(_: Case) -> Iterator[Check]:
    """The installed models."""
    names = registry.files()
    if not names:
        yield ok("models", f"none installed in {places.models_dir()}")
        return
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    yield ok("models", f"{len(names)} installed: {', '.join(names[:_SHOWN])}{more}")
    for name in names:
        try:
            path = registry.path_of(name)
        except GemxError as exc:
            yield fail("models", exc.message, exc.hint)
            continue
        if problem := _damage(path):
            yield fail("models", f"{path}: {problem}", "download it again, or remove it")


def gpu(case: Case) -> Iterator[Check]:
    """The NVIDIA card, and whether the engine was built to use it."""
    program = shutil.which("nvidia-smi")
    if program is None:
        yield ok("gpu", "no NVIDIA card found (there is no nvidia-smi): local models run on the CPU")
        return
    try:
        rows = processes.output_of([program, f"--query-gpu={_FIELDS}", "--format=csv,noheader,nounits"], _SECONDS)
    except processes.FailedError as exc:
        yield warn("gpu", f"nvidia-smi failed: {exc}", "see what nvidia-smi says; the driver may need a restart")
        return
    for row in rows.decode(errors="replace").splitlines():
        yield _card(row, case.gpu_offload)


def _card(row: str, offload: bool | None) -> Check:
    fields = [field.strip() for field in row.split(",")]
    if len(fields) != len(_FIELDS.split(",")):
        return warn("gpu", f"nvidia-smi says: {row.strip()}", "see what nvidia-smi says")
    name, total, free, driver = fields
    found = f"{name}, {free} of {total} MiB free, driver {driver}"
    if offload is False:
        return warn("gpu", f"{found}; llama.cpp was built without GPU offload and leaves it idle", _BUILD)
    return ok("gpu", found)


def _damage(path: Path) -> str:
    """What is wrong with a model's file, or ""."""
    try:
        with path.open("rb") as file:
            return "" if file.read(len(_MAGIC)) == _MAGIC else "it is not a GGUF file"
    except OSError as exc:
        return f"it cannot be read: {exc.strerror}"
