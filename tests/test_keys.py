from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import planted_keys
from fake_keyring import command_lines
from gemx import keys, places, system_keyring
from gemx.errors import AuthenticationError, ConfigError, InputError, StorageError
from gemx.settings import Config, KeySource, Settings

SECRET = planted_keys.COMMANDED
FakeKeyring = Callable[..., Path]


def settings(source: KeySource | None = None, **endpoints: KeySource | None) -> Settings:
    described = {name: {"base_url": "http://127.0.0.1:9/v1", "api_key": key} for name, key in endpoints.items()}
    return Settings(Config(keys={"gemini": source} if source else {}, endpoints=described), None, None)


def gemini(source: KeySource | None = None) -> keys.Owner:
    return keys.of_gemini(settings(source))


def written(path: Path, text: str = SECRET, mode: int = 0o600) -> str:
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def printing(text: str, code: int = 0) -> list[str]:
    return [sys.executable, "-c", f"import sys; print({text!r}); print({text!r}, file=sys.stderr); sys.exit({code})"]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_order_of_the_sources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fake_keyring: FakeKeyring) -> None:
    source = KeySource(env="MY_KEY", file=written(tmp_path / "key", "from-file\n"))
    assert keys.gemini(settings(source)) == "from-file"
    source = KeySource(**{**source.model_dump(), "command": printing("from-command")})
    assert keys.gemini(settings(source)) == "from-command"
    fake_keyring(gemini="from-keyring")
    keys.forget()
    assert keys.gemini(settings(source)) == "from-keyring"
    for variable, value in {"MY_KEY": "mine", "GOOGLE_API_KEY": "google", "GEMINI_API_KEY": " gemini \n"}.items():
        monkeypatch.setenv(variable, value)
        assert keys.gemini(settings(source)) == value.strip()
    labels = [found.label for found in keys.sources(keys.of_gemini(settings(source)))]
    assert labels[:5] == ["GEMINI_API_KEY", "GOOGLE_API_KEY", "MY_KEY", "the keyring", "keys.gemini.command"]


def test_the_order_of_an_endpoints_sources(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fake_keyring: FakeKeyring
) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "not-for-an-endpoint")
    assert keys.endpoint("uti", settings(uti=None)) is None
    stored = keys.file_of("uti")
    stored.parent.mkdir(parents=True)
    written(stored, "stored")
    assert keys.endpoint("uti", settings(uti=None)) == "stored"
    source = KeySource(file=written(tmp_path / "key", "from-file"))
    assert keys.endpoint("uti", settings(uti=source)) == "from-file"
    fake_keyring(uti="from-keyring", gemini="another")
    keys.forget()
    assert keys.endpoint("uti", settings(uti=source)) == "from-keyring"
    assert keys.endpoint("pac", settings(uti=source, pac=None)) is None


def test_an_endpoint_called_gemini_gets_no_stored_key(gemx_home: Path, fake_keyring: FakeKeyring) -> None:
    fake_keyring(gemini=SECRET)
    keys.store(gemini(), SECRET, in_file=True)
    assert keys.endpoint("gemini", settings(gemini=None)) is None
    with pytest.raises(ConfigError, match="no key can be stored for the endpoint 'gemini'"):
        keys.store(keys.of_endpoint("gemini", settings(gemini=None)), SECRET)


@pytest.mark.parametrize("name", ["../uti", "a/b", ".hidden", "", "com espaço", "a" * 101])
def test_a_name_that_no_file_should_have_has_no_stored_key(name: str) -> None:
    owner = keys.of_endpoint(name, settings(**{name: None}))
    assert keys.sources(owner) == []
    for act in (lambda: keys.store(owner, SECRET), lambda: keys.remove(owner)):
        with pytest.raises(ConfigError, match="no key can be stored"):
            act()


@pytest.mark.parametrize("blank", ["", "  \n"])
def test_a_blank_variable_is_no_key(monkeypatch: pytest.MonkeyPatch, blank: str) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", blank)
    assert keys.gemini(settings()) is None
    monkeypatch.setenv("GOOGLE_API_KEY", SECRET)
    assert keys.gemini(settings()) == SECRET


def test_no_key_is_an_authentication_error_with_what_to_do() -> None:
    with pytest.raises(AuthenticationError) as caught:
        keys.require_gemini(settings())
    assert "GEMINI_API_KEY" in (caught.value.hint or "")
    assert "gemx config set-key gemini" in (caught.value.hint or "")


def test_a_source_that_is_empty_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MY_KEY", " ")
    path = written(tmp_path / "key", " file \n")
    assert keys.gemini(settings(KeySource(env="MY_KEY", file=path, command=printing("")))) == "file"


def test_a_home_is_expanded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    written(tmp_path / "key")
    assert keys.gemini(settings(KeySource(file="~/key"))) == SECRET


@pytest.mark.parametrize(
    "source",
    [
        KeySource(),
        KeySource(env="NOT_SET_ANYWHERE"),
        KeySource(file="/no/such/file"),
        KeySource(file="~no-such-user/key"),
        KeySource(file="/"),
        KeySource(file="\0"),
        KeySource(file="x" * 5000),
        KeySource(command=["/no/such/command"]),
        KeySource(command=["\0"]),
        KeySource(command=printing(SECRET, code=1)),
        KeySource(command=printing("")),
    ],
)
def test_a_source_without_a_key_is_a_config_error_that_tells_no_key(source: KeySource) -> None:
    with pytest.raises(ConfigError, match=r"^keys\.gemini(\.command)?: ") as caught:
        keys.gemini(settings(source))
    assert SECRET not in f"{caught.value.message}{caught.value.hint}"
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_key_that_is_no_text_is_a_config_error(tmp_path: Path) -> None:
    path = written(tmp_path / "key")
    Path(path).write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot read the key's file"):
        keys.gemini(settings(KeySource(file=path)))
    binary = [sys.executable, "-c", r"import sys; sys.stdout.buffer.write(b'\xff\xfe')"]
    with pytest.raises(ConfigError, match="gave no key"):
        keys.gemini(settings(KeySource(command=binary)))


@pytest.mark.parametrize("wide", [0o640, 0o604, 0o644, 0o660, 0o666, 0o610])
def test_a_file_that_others_can_reach_is_refused(tmp_path: Path, wide: int) -> None:
    path = written(tmp_path / "a key", mode=wide)
    with pytest.raises(ConfigError, match=f"others can read the key's file .*a key .mode {wide:04o}") as caught:
        keys.gemini(settings(KeySource(file=path)))
    assert caught.value.hint == f"chmod 600 '{path}'"
    assert SECRET not in caught.value.message
    for narrow in (0o600, 0o400):
        Path(path).chmod(narrow)
        assert keys.gemini(settings(KeySource(file=path))) == SECRET


def test_a_stored_file_that_others_can_reach_is_refused() -> None:
    keys.store(gemini(), SECRET, in_file=True)
    keys.file_of("gemini").chmod(0o644)
    with pytest.raises(ConfigError, match="others can read"):
        keys.gemini(settings())


def test_a_mounted_secret_is_read_whatever_its_mode(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mounted = tmp_path / "run" / "secrets"
    (mounted / "..data").mkdir(parents=True)
    written(mounted / "..data" / "gemini", mode=0o644)
    (mounted / "gemini").symlink_to(Path("..data") / "gemini")
    outside = written(tmp_path / "outside", mode=0o644)
    (mounted / "link").symlink_to(outside)
    assert keys._MOUNTED == ("/run/secrets", "/var/run/secrets")
    monkeypatch.setattr(keys, "_MOUNTED", (str(mounted),))
    assert keys.gemini(settings(KeySource(file=str(mounted / "gemini")))) == SECRET
    for path in (mounted / "link", mounted / ".." / ".." / "outside"):
        with pytest.raises(ConfigError, match="others can read"):
            keys.gemini(settings(KeySource(file=str(path))))


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(ConfigError, match="it is not a file"):
        keys.gemini(settings(KeySource(file=str(tmp_path / "pipe"))))


def test_a_command_has_no_shell_and_little_time(monkeypatch: pytest.MonkeyPatch, workdir: Path) -> None:
    echo = [sys.executable, "-c", "import sys; print(sys.argv[1])", "$HOME; touch x"]
    assert keys.gemini(settings(KeySource(command=echo))) == "$HOME; touch x"
    assert not (workdir / "x").exists()
    monkeypatch.setattr(keys, "_COMMAND_SECONDS", 0.2)
    with pytest.raises(ConfigError, match=r"gave no key: no answer within 0\.2 s"):
        keys.gemini(settings(KeySource(command=["sleep", "20"])))
    started = time.monotonic()
    with pytest.raises(ConfigError, match="gave no key"):
        # The child of the shell holds the pipe, and goes with it.
        keys.gemini(settings(KeySource(command=["sh", "-c", f"sleep 20.{os.getpid()}; echo"])))
    assert time.monotonic() - started < 5
    while f"sleep 20.{os.getpid()}".encode() in command_lines():
        assert time.monotonic() - started < 5
        time.sleep(0.02)


def test_a_command_runs_once_a_process(tmp_path: Path) -> None:
    count = tmp_path / "count"
    source = KeySource(command=["sh", "-c", f"echo x >> {count}; echo a-key"])
    for _ in range(3):
        assert keys.gemini(settings(source)) == "a-key"
    assert count.read_text() == "x\n"


def test_the_keyring_is_asked_once_a_process(fake_keyring: FakeKeyring) -> None:
    kept = fake_keyring(gemini=planted_keys.KEPT)
    for _ in range(3):
        assert keys.gemini(settings()) == planted_keys.KEPT
    assert kept.with_suffix(".log").read_text() == "get gemx gemini\n"


def test_without_a_keyring_no_process_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_keyring.processes, "output_of", lambda *_: pytest.fail("it was asked"))
    assert keys.gemini(settings()) is None
    assert "D-Bus" in system_keyring.get("gemini").problem


@pytest.mark.parametrize(
    ("backend", "problem"),
    [("Broken", "KeyringLocked"), ("Noisy", "exit code 3"), ("NoSuchBackend", "exit code 1")],
)
def test_a_keyring_that_fails_is_no_key(fake_keyring: FakeKeyring, backend: str, problem: str) -> None:
    fake_keyring(backend)
    assert keys.gemini(settings()) is None
    assert problem in system_keyring.get("gemini").problem


def test_a_keyring_that_hangs_costs_its_time_once(fake_keyring: FakeKeyring, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = fake_keyring("Hanging")
    assert system_keyring.SECONDS <= 5
    monkeypatch.setattr(system_keyring, "SECONDS", 1.5)
    started = time.monotonic()
    assert keys.gemini(settings()) is None
    assert keys.endpoint("uti", settings(uti=None)) is None
    stored = keys.store(gemini(), SECRET)
    assert time.monotonic() - started < 3
    assert stored.path == keys.file_of("gemini")
    assert "no answer within 1.5 s" in stored.problem
    assert kept.with_suffix(".log").read_text() == "get gemx gemini\n"
    assert keys.gemini(settings()) == SECRET


def test_a_key_is_stored_in_the_keyring(fake_keyring: FakeKeyring) -> None:
    kept = fake_keyring()
    keys.store(gemini(), "an-older-one", in_file=True)
    stored = keys.store(gemini(), planted_keys.KEPT)
    assert (stored.path, stored.problem, stored.removed) == (None, "", (str(keys.file_of("gemini")),))
    assert stored.backend
    assert planted_keys.KEPT in kept.read_text()
    assert not keys.file_of("gemini").exists()
    assert keys.gemini(settings()) == planted_keys.KEPT
    # No process was given the key as an argument.
    seen = kept.with_suffix(".ps").read_text(errors="replace")
    assert "gemx.system_keyring set gemini" in seen
    assert planted_keys.KEPT not in seen


@pytest.mark.parametrize("backend", ["Broken", "Forgetful"])
def test_a_keyring_that_keeps_nothing_gives_way_to_the_file(fake_keyring: FakeKeyring, backend: str) -> None:
    fake_keyring(backend)
    stored = keys.store(gemini(), SECRET)
    assert stored.path == keys.file_of("gemini")
    assert stored.problem
    assert SECRET not in stored.problem
    assert keys.gemini(settings()) == SECRET


def test_a_key_is_stored_in_a_private_file(gemx_home: Path) -> None:
    before = os.umask(0)
    try:
        stored = keys.store(gemini(), SECRET)
    finally:
        os.umask(before)
    path = gemx_home / "config" / "keys" / "gemini"
    assert (stored.path, path.read_text()) == (path, f"{SECRET}\n")
    assert [mode(each) for each in (path, path.parent, path.parent.parent)] == [0o600, 0o700, 0o700]
    assert keys.gemini(settings()) == SECRET


def test_a_stored_file_takes_the_place_of_another_whole(gemx_home: Path, tmp_path: Path) -> None:
    path = keys.file_of("gemini")
    path.parent.mkdir(parents=True)
    path.parent.chmod(0o755)
    target = tmp_path / "target"
    target.write_text("keep")
    path.symlink_to(target)
    keys.store(gemini(), SECRET, in_file=True)
    assert (target.read_text(), path.is_symlink(), mode(path)) == ("keep", False, 0o600)
    assert mode(path.parent) == 0o700
    assert list(path.parent.iterdir()) == [path]


def test_a_stored_file_takes_the_place_of_the_keyrings(fake_keyring: FakeKeyring) -> None:
    kept = fake_keyring(gemini="an-older-one")
    stored = keys.store(gemini(), SECRET, in_file=True)
    assert (stored.path, stored.removed) == (keys.file_of("gemini"), ("the keyring",))
    assert kept.read_text() == "{}"
    assert keys.gemini(settings()) == SECRET


def test_a_key_is_removed_from_both(fake_keyring: FakeKeyring) -> None:
    kept = fake_keyring(gemini=SECRET, uti="another")
    path = keys.file_of("gemini")
    path.parent.mkdir(parents=True)
    path.write_text(SECRET)
    assert keys.remove(gemini()) == keys.Removed(("the keyring", str(path)), "")
    assert keys.remove(gemini()) == keys.Removed((), "")
    assert keys.gemini(settings()) is None
    assert "another" in kept.read_text()


@pytest.mark.parametrize("key", ["", "a b", "a\tb", "a\nb", "chavé", "a\x00b", "\u200b", "a\x7f"])
def test_what_cannot_be_a_key_is_not_stored(key: str) -> None:
    with pytest.raises(InputError) as caught:
        keys.store(gemini(), key)
    assert caught.value.exit_code == 4
    assert not key or key not in caught.value.message
    assert not keys.file_of("gemini").exists()


def test_a_place_that_cannot_be_written_is_a_storage_error(gemx_home: Path) -> None:
    path = keys.file_of("gemini")
    path.mkdir(parents=True)
    with pytest.raises(StorageError, match="cannot write"):
        keys.store(gemini(), SECRET)
    assert list(path.parent.iterdir()) == [path]
    with pytest.raises(StorageError, match="cannot remove"):
        keys.remove(gemini())


def test_redact_takes_out_keys_that_were_handed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"GEMINI_API_KEY": SECRET, "LLM_API_KEY": SECRET + "-longer", "SHORT": "none"}.items():
        monkeypatch.setenv(name, value)
        keys.from_variable(name)
    assert keys.redact(f"a{SECRET}b {SECRET}-longer") == "a[key]b [key]"
    assert keys.redact("nonesuch, none.") == "nonesuch, [key]."
    keys.forget()
    assert keys.redact(SECRET) == SECRET


def test_redact_takes_out_what_looks_like_a_key() -> None:
    for key in (
        planted_keys.MISPLACED,
        planted_keys.OPENAI,
        "AQ.Ab8RN6Ixxxxxxxxxxxxxxx_yyyy-zzz",
        "sk-proj-abc_123-456789",
    ):
        assert keys.redact(f"no file {key}: x") == "no file [key]: x"
    for word in ("sk-learn-something-long-named", "AIza", "risk-1234567890123456789"):
        assert keys.redact(word) == word


def test_nothing_shows_a_key_by_accident(fake_keyring: FakeKeyring) -> None:
    fake_keyring(gemini=SECRET)
    shown = repr([system_keyring.get("gemini"), keys.sources(gemini()), gemini(), keys.store(gemini(), SECRET)])
    assert SECRET not in shown
    assert places.config_dir().name in str(keys.file_of("gemini"))
