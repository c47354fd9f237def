"""What gemx keeps: where, readable by whom, on which disk; and the chain of the audit."""

from __future__ import annotations

import os
import shlex
import shutil
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from gemx import keys, places
from gemx.audit import chain
from gemx.diagnosis.check import Case, Check, fail, isolated, ok, warn

_NETWORK = (
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "fuse.sshfs",
    "afs",
    "ceph",
    "glusterfs",
    "fuse.glusterfs",
    "lustre",
)
_MOUNTS = Path("/proc/self/mountinfo")
_LITTLE = 1 << 30
# Below this the audit refuses, and so does every call.
_NOTHING = 1 << 20
_NAMED = 4


def paths(case: Case) -> Iterator[Check]:
    """The four folders and the files in them: that they can be written, and that nobody else can read them."""
    found: dict[str, tuple[Path, list[Path]]] = {
        "config": (places.config_dir(), [places.config_file(), places.prices_file(), *_key_files(case)]),
        "state": (places.state_dir(), [places.door_file(), *_files(places.audit_dir())]),
        "data": (places.data_dir(), [places.history_file(), *_files(places.data_dir(), "history.db-*")]),
        "cache": (places.cache_dir(), []),
    }
    for name, (folder, files) in found.items():
        yield isolated(f"paths.{name}", partial(_place, f"paths.{name}", folder, files))


def disk(_: Case) -> Iterator[Check]:
    """The room that is left."""
    folders = {_nearest(folder).stat().st_dev: _nearest(folder) for folder in (places.state_dir(), places.data_dir())}
    for folder in folders.values():
        free = shutil.disk_usage(folder).free
        found = f"{_size(free)} free at {folder}"
        if free < _NOTHING:
            yield fail("disk", found, "free some space: no call is made that cannot be audited")
        elif free < _LITTLE:
            yield warn("disk", found, "free some space")
        else:
            yield ok("disk", found)


def audit(case: Case) -> Iterator[Check]:
    """The chain of the audit, and whether its locks can be trusted."""
    if kind := _network_filesystem(places.audit_dir()):
        text = f"the audit is on {kind}, where the locks of two machines may not see each other"
        yield warn("audit", text, "give each machine a GEMX_HOME of its own, on a disk of its own")
    report = chain.verify()
    case.last_record = report.last
    if not report.files:
        yield ok("audit", "nothing was called yet")
        return
    found = f"{report.records} records in {report.files} {'file' if report.files == 1 else 'files'}"
    if altered := report.altered:
        mend = "keep the files as they are; compare them with a backup"
        yield fail("audit", f"{found}; the chain breaks at {len(altered)} places, first {altered[0]}", mend)
    elif report.breaks:
        text = f"{found}; unbroken, with {len(report.breaks)} torn lines, first {report.breaks[0]}"
        yield warn("audit", text, "nothing: a crash or a full disk left it, and the chain goes on after it")
    else:
        yield ok("audit", f"{found}; the chain is unbroken")


def _place(name: str, folder: Path, candidates: list[Path]) -> Check:
    files = [path for path in candidates if places.is_file(path)]
    if not folder.exists():
        return _absent(name, folder)
    if not folder.is_dir():
        return fail(name, f"{folder} is not a folder", "move it away, or set GEMX_HOME elsewhere")
    barred = [path for path in (folder, *files) if not os.access(path, os.R_OK | os.W_OK)]
    if barred:
        yours = [path for path in barred if path.stat().st_uid == os.getuid()]
        foreign = [path for path in barred if path not in yours]
        mends = (_command(f"sudo chown {os.getuid()}", foreign), _command("chmod u+rwX", yours))
        return fail(name, f"{barred[0]} cannot be read and written", "\n".join(filter(None, mends)))
    return _privacy(name, folder, files)


def _absent(name: str, folder: Path) -> Check:
    parent = _nearest(folder)
    if parent.is_dir() and os.access(parent, os.W_OK | os.X_OK):
        return ok(name, f"{folder}, to be made when it is needed")
    return fail(name, f"{folder} cannot be made: {parent} cannot be written", "set GEMX_HOME to a folder that is yours")


def _privacy(name: str, folder: Path, files: list[Path]) -> Check:
    folders = sorted({path for file in files for path in file.parents if _is_below(path, folder)} | {folder})
    wide_folders, wide_files = [path for path in folders if _is_wide(path)], [path for path in files if _is_wide(path)]
    wide = [*wide_folders, *wide_files]
    if not wide:
        return ok(name, f"{folder}, readable by you alone")
    more = f", and {len(wide) - 1} more" if len(wide) > 1 else ""
    mends = (_command("chmod 700", wide_folders), _command("chmod 600", wide_files))
    return warn(name, f"others can reach {wide[0]} (mode {_mode(wide[0]):04o}){more}", "\n".join(filter(None, mends)))


def _nearest(path: Path) -> Path:
    """The path, or the nearest of its parents that is there."""
    return next(each for each in (path, *path.parents) if each.exists())


def _key_files(case: Case) -> list[Path]:
    configured = [keys.of_endpoint(name, case.settings).configured for name in case.settings.config.endpoints]
    sources = [case.settings.config.keys.get("gemini"), *configured]
    named = [places.user_path(source.file) for source in sources if source and source.file]
    return [*_files(places.config_dir() / "keys"), *(path for path in named if _is_below(path, places.config_dir()))]


def _files(folder: Path, pattern: str = "*") -> list[Path]:
    return [path for path in sorted(folder.glob(pattern)) if places.is_file(path)]


def _is_below(path: Path, folder: Path) -> bool:
    return path.absolute().is_relative_to(folder)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _is_wide(path: Path) -> bool:
    return bool(_mode(path) & 0o077)


def _command(start: str, files: list[Path]) -> str:
    """A command for all of the files: by their names, or for all of their folders where they are many."""
    if not files:
        return ""
    if len(files) <= _NAMED:
        return " ".join([start, *map(_quoted, files)])
    folders = " ".join(_quoted(folder) for folder in dict.fromkeys(path.parent for path in files))
    return f"find {folders} -maxdepth 1 -type f -exec {start} {{}} +"


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def _network_filesystem(path: Path) -> str:
    """The kind of the network filesystem that holds a path, or ""."""
    try:
        lines = _MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    best, kind = "", ""
    for line in lines:
        fields, _, rest = line.partition(" - ")
        mounted = fields.split()[4].encode().decode("unicode_escape")
        if len(mounted) >= len(best) and _is_below(path, Path(mounted)):
            best, kind = mounted, rest.split()[0]
    return kind if kind in _NETWORK else ""


def _size(count: int) -> str:
    return f"{count / (1 << 30):.1f} GiB" if count >= 1 << 30 else f"{count / (1 << 20):.1f} MiB"
