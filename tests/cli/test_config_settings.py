"""`gemx config get, set, unset, list, path, validate, schema, edit`."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import planted_keys
from conftest import RunGemx
from gemx import configuration, settings
from terminal import on_a_terminal
from test_settings import write_config, write_profile


def stored(home: Path) -> Any:
    return json.loads((home / "config" / "config.json").read_text())


def test_a_setting_is_set_read_and_removed(run_gemx: RunGemx, gemx_home: Path) -> None:
    done = run_gemx("config", "set", "budget.daily", "5")
    assert (done.code, done.out, done.err) == (0, "budget.daily = 5\n", "")
    assert stored(gemx_home) == {"version": 1, "budget": {"daily": 5}}
    done = run_gemx("config", "get", "budget.daily")
    assert (done.code, done.out, done.err) == (0, "5\n", "from config.json\n")
    assert run_gemx("config", "set", "budget.daily", "5.0").err == "it had that value already\n"
    done = run_gemx("config", "unset", "budget.daily")
    assert (done.code, done.out) == (0, "budget.daily was removed\n")
    assert stored(gemx_home) == {"version": 1}
    assert run_gemx("config", "unset", "budget.daily").out == "budget.daily was not set\n"
    done = run_gemx("config", "get", "budget.daily")
    assert (done.out, done.err) == ("null\n", "the default\n")


def test_in_json(run_gemx: RunGemx, gemx_home: Path) -> None:
    path = str(gemx_home / "config" / "config.json")
    done = run_gemx("config", "set", "timeout", "20", "--json")
    assert (done.json["command"], done.json["status"]) == ("config set", "success")
    assert done.json["data"] == {
        "key": "timeout",
        "value": 20,
        "path": path,
        "changed": True,
        "backup": None,
        "overridden_by": None,
    }
    assert run_gemx("config", "get", "timeout", "--json").json["data"] == {
        "key": "timeout",
        "value": 20.0,
        "source": "config.json",
    }
    assert [row["key"] for row in run_gemx("config", "get", "budget", "--json").json["data"]["settings"]] == [
        "budget.command",
        "budget.daily",
        "budget.monthly",
    ]
    changed = run_gemx("config", "list", "--changed", "--json").json["data"]["settings"]
    assert changed == [{"key": "timeout", "value": 20.0, "source": "config.json"}]
    assert run_gemx("config", "unset", "timeout", "--json").json["data"]["changed"] is True
    wrong = run_gemx("config", "set", "timeout", "-1", "--json")
    assert (wrong.code, wrong.json["errors"][0]["code"]) == (2, "usage")
    assert run_gemx("config", "path", "--json").json["data"] == {"config": {"path": path, "exists": True}}


def test_what_is_set_but_does_not_hold_is_told(run_gemx: RunGemx, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMX_TIMEOUT", "9")
    assert run_gemx("config", "set", "timeout", "20").err == "GEMX_TIMEOUT comes first: timeout is 9\n"
    run_gemx("profiles", "use", "clinical")
    done = run_gemx("config", "set", "temperature", "1", "--json")
    assert done.json["data"]["overridden_by"] == "profile clinical"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("timeout", "0,5"), "with a point: 0.5"),
        (("timeout", "-3"), "timeout: Input should be greater than 0"),
        (("temperature", "3"), "temperature: Input should be less than or equal to 2"),
        (("guard", "blok"), "guard: Input should be 'off', 'warn', 'mask' or 'block'"),
        (("modle", "gguf:x"), "did you mean 'model'?"),
        (("model", "gemni:x"), "did you mean 'gemini'?"),
        (("fallback", "gguf:x", "gemni:x"), "did you mean 'gemini'?"),
        (("routes.image", "gemni:x"), "did you mean 'gemini'?"),
        (("limits.gemni.rpm", "1"), "did you mean 'gemini'?"),
        (("limits.gemini.rpn", "1"), "did you mean 'limits.gemini.rpm'?"),
        (("allow_cloud", "sim"), "allow_cloud: expected true or false"),
        (("timezone", "Brasil"), "'Brasil' is no time zone"),
        (("endpoints.a.model", "m"), "first: gemx config set endpoints.a.base_url VALUE"),
        (("endpoints.a.base_url", "ftp://x"), "endpoints.a.base_url: String should match"),
        (("keys.gemini", "x"), "gemx config set-key gemini"),
        (("system", "x"), "system belongs to a profile"),
        (("version", "2"), "gemx keeps it by itself"),
        (("model", "a", "b"), "model takes one value, not 2"),
    ],
)
def test_what_is_wrong_is_refused_and_nothing_is_written(
    run_gemx: RunGemx, gemx_home: Path, arguments: tuple[str, ...], said: str
) -> None:
    done = run_gemx("config", "set", *arguments)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert not (gemx_home / "config" / "config.json").exists()


def test_a_profile_that_is_not_there_cannot_be_set(run_gemx: RunGemx) -> None:
    done = run_gemx("config", "set", "profile", "nada")
    assert done.code == 2
    assert "no profile named 'nada'" in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("model", planted_keys.GEMINI),
        ("endpoints.uti.api_key", planted_keys.GEMINI),
        ("keys.gemini", planted_keys.GEMINI),
        ("endpoints.uti.headers.x", f"Bearer {planted_keys.GEMINI}"),
        (f"limits.{planted_keys.GEMINI}.rpm", "1"),
        (planted_keys.GEMINI, "1"),
        ("endpoints.uti.headers.Authorization", "anything"),
    ],
)
def test_a_key_is_refused_and_not_repeated(run_gemx: RunGemx, gemx_home: Path, arguments: tuple[str, ...]) -> None:
    before = {"version": 1, "endpoints": {"uti": {"base_url": "http://127.0.0.1:9/v1"}}}
    write_config(before)
    done = run_gemx("config", "set", *arguments)
    assert done.code == 2
    assert stored(gemx_home) == before


def test_a_wrong_file_is_named_with_its_place_and_can_be_mended(run_gemx: RunGemx, gemx_home: Path) -> None:
    path = write_config('{"version": 1,\n "modle": "x",\n "timeout": -1}')
    done = run_gemx("config", "set", "model", "gguf:a")
    assert done.code == 3
    assert f"{path}:2:2: unknown key modle; did you mean 'model'?" in done.err
    assert f"{path}:3:13: timeout: Input" in done.err
    assert f"{path}:2:2: unknown key modle; did you mean 'model'?" in run_gemx("config", "list").err
    write_config('{"version": 1, "modle": "x"}')
    assert run_gemx("config", "unset", "modle").code == 0
    write_config('{"version": 1, "timeout": -1}')
    assert run_gemx("config", "set", "timeout", "3").code == 0
    assert stored(gemx_home) == {"version": 1, "timeout": 3}


def test_an_older_file_is_kept_and_the_user_told(run_gemx: RunGemx, gemx_home: Path) -> None:
    write_config({"timeout": 9})
    done = run_gemx("config", "set", "model", "gguf:a")
    assert done.err == f"it had an older form: that one is kept as {gemx_home}/config/config.json.v0.bak\n"


def test_a_newer_file_stops_every_command(run_gemx: RunGemx) -> None:
    write_config({"version": 2})
    for command in (("list",), ("get", "model"), ("set", "model", "gguf:a"), ("validate",)):
        done = run_gemx("config", *command)
        assert done.code == 3
        assert "a newer gemx wrote it" in done.err


def test_the_list_fits_eighty_columns(run_gemx: RunGemx, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    write_profile("uti", f"gemx: profile/v1\ntitle: x\nsystem: {'palavra ' * 60}\n")
    write_config({"profile": "uti", "fallback": ["gguf:um-nome-comprido", "gguf:outro-nome", "extractive"]})
    done = run_gemx("config", "list")
    lines = done.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("system") and line.endswith("…  profile uti") for line in lines)
    assert any(line.split() == ["guard", "warn", "default"] for line in lines)
    assert len(run_gemx("config", "list", "--changed").out.splitlines()) == 3


def test_a_key_that_stands_in_a_file_is_not_shown(run_gemx: RunGemx, key_files: set[Path]) -> None:
    path = write_config({"endpoints": {"a": {"base_url": "http://x", "headers": {"X": planted_keys.GEMINI}}}})
    key_files.add(path)
    for arguments in (("list",), ("list", "--json"), ("get", "endpoints.a.headers.X"), ("validate", "--json")):
        assert run_gemx("config", *arguments).code in (0, 3)
    assert "endpoints.a.headers.X looks like an API key" in run_gemx("config", "validate").err


def test_the_places(run_gemx: RunGemx, gemx_home: Path) -> None:
    assert run_gemx("config", "path").out == f"{gemx_home}/config/config.json\n"
    shown = run_gemx("config", "path", "--all").out
    assert f"history   {gemx_home}/data/history.db  (not there yet)\n" in shown
    assert "profiles" in run_gemx("config", "path", "--all", "--json").json["data"]


def test_validate_names_every_problem_of_every_file(run_gemx: RunGemx, gemx_home: Path) -> None:
    assert run_gemx("config", "validate").out == "there is no file to check: the defaults hold\n"
    config = write_config('{"version": 1,\n "timeout": -1,\n "guard": "x"}')
    write_profile("uti", "gemx: profile/v1\ntitle: x\ntemperature: 9\n")
    write_profile("cti", "gemx: profile/v1\ntitle: x\nmodel: gemni:x\n")
    write_profile("boa", "gemx: profile/v1\ntitle: x\n")
    (gemx_home / "config" / "prices.yaml").write_text("gemx: prices/v1\n")
    done = run_gemx("config", "validate")
    assert (done.code, done.out) == (3, "1 of 5 files are valid\n")
    for said in (
        f"{config}:2:13: timeout: ",
        f"{config}:3:11: guard: ",
        "uti.yaml:3:14: temperature: ",
        "cti.yaml: profile model: unknown provider 'gemni'",
        "prices.yaml:1:1: ",
    ):
        assert said in done.err
    in_json = run_gemx("config", "validate", "--json").json
    assert (in_json["status"], in_json["data"]["files"]) == ("error", 5)
    assert len(in_json["errors"]) == len(done.err.splitlines())


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"model": "gemni:x"}, "unknown provider 'gemni'"),
        ({"profile": "nada"}, "no profile named 'nada'"),
        ({"limits": {"gemni": {"rpm": 1}}}, "unknown provider 'gemni'"),
        ({"profile": "sub/uti.yaml"}, "is a relative path"),
    ],
)
def test_validate_sees_names_that_lead_nowhere(run_gemx: RunGemx, config: Any, said: str) -> None:
    path = write_config({"version": 1, **config})
    done = run_gemx("config", "validate")
    assert done.code == 3
    assert str(path) in done.err
    assert said in done.err


def test_a_wrong_profile_that_config_json_names_is_told_once(run_gemx: RunGemx) -> None:
    write_profile("uti", "gemx: profile/v1\ntitle: x\ntemperature: 9\n")
    write_config({"version": 1, "profile": "uti"})
    assert run_gemx("config", "validate").err.count("temperature") == 1
    # It keeps no one from choosing another.
    assert run_gemx("config", "set", "profile", "clinical").code == 0


def test_edit_writes_no_key(gemx_home: Path, tmp_path: Path, key_files: set[Path]) -> None:
    env = environment(gemx_home, EDITOR=editor(tmp_path, json.dumps({"model": planted_keys.GEMINI})))
    code, shown, _ = on_a_terminal(("config", "edit"), env, (("Edit again?", "n\n"),))
    key_files.update(drafts(gemx_home))
    assert code == 3
    assert not planted_keys.leaked(shown)
    assert not (gemx_home / "config" / "config.json").exists()


def test_validate_sees_the_environment(run_gemx: RunGemx, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMX_TIMEOUT", "soon")
    done = run_gemx("config", "validate")
    assert done.code == 3
    assert "environment: GEMX_TIMEOUT='soon'" in done.err


def test_the_schema_is_that_of_the_model(run_gemx: RunGemx) -> None:
    assert run_gemx("config", "schema").json == configuration.json_schema()


@pytest.mark.parametrize("name", settings.DEFAULTS)
def test_the_page_names_the_defaults_that_no_schema_has(name: str) -> None:
    page = (Path(__file__).parents[2] / "docs/configuration.md").read_text()
    row = next(line for line in page.splitlines() if line.startswith(f"| `{name}` |"))
    assert row.split(" | ")[2] == f"`{json.dumps(settings.DEFAULTS[name])}`"


def test_the_published_schema_and_the_page_are_up_to_date(tmp_path: Path) -> None:
    docs = Path(__file__).parents[2] / "docs"

    def generate(script: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, str(script), *arguments], capture_output=True, text=True, check=False)

    done = generate(docs / "generate_configuration.py", "--check")
    assert done.returncode == 0, done.stderr
    script = tmp_path / "generate_configuration.py"
    script.write_text((docs / script.name).read_text())
    (tmp_path / "configuration.md").write_text("<!-- settings -->\nold\n<!-- /settings -->\n")
    stale = generate(script, "--check")
    assert (stale.returncode, "stale" in stale.stderr, "Traceback" in stale.stderr) == (1, True, False)
    assert generate(script).returncode == 0
    assert generate(script, "--check").returncode == 0
    assert (tmp_path / "config.schema.json").read_text() == (docs / "config.schema.json").read_text()


@pytest.mark.parametrize("command", [("set", "timeout", "3"), ("unset", "timeout")])
def test_where_nothing_can_be_written(run_gemx: RunGemx, gemx_home: Path, command: tuple[str, ...]) -> None:
    gemx_home.mkdir()
    (gemx_home / "config").write_text("a file in the folder's place")
    done = run_gemx("config", *command)
    assert done.code == 11
    assert "Traceback" not in done.err


def editor(tmp_path: Path, *texts: str) -> str:
    """An editor that puts one text after the other into the file that it is given."""
    for number, text in enumerate(texts):
        (tmp_path / f"text{number}").write_text(text)
    script = tmp_path / "an editor.py"
    script.write_text(
        "import pathlib, sys\n"
        f"folder = pathlib.Path({str(tmp_path)!r})\n"
        "text = sorted(folder.glob('text*'))[0]\n"
        "pathlib.Path(sys.argv[1]).write_text(text.read_text())\n"
        "text.unlink()\n"
    )
    return f"{sys.executable} '{script}'"


def environment(home: Path, **more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "GEMX_HOME": str(home), "TERM": "xterm", **more}


def drafts(home: Path) -> list[Path]:
    return sorted((home / "config").glob("edit-*"))


def test_edit_without_a_terminal(run_gemx: RunGemx) -> None:
    done = run_gemx("config", "edit")
    assert done.code == 2
    assert "gemx config set KEY VALUE" in done.err


def test_edit_takes_over_what_is_valid(gemx_home: Path, tmp_path: Path) -> None:
    env = environment(gemx_home, VISUAL=editor(tmp_path, '{"version": 1, "timeout": 7}\n'), EDITOR="false")
    code, shown, _ = on_a_terminal(("config", "edit"), env)
    assert code == 0, shown
    assert "was written" in shown
    path = gemx_home / "config" / "config.json"
    assert path.read_text() == '{"version": 1, "timeout": 7}\n'
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert drafts(gemx_home) == []


def test_edit_asks_again_where_it_is_wrong(gemx_home: Path, tmp_path: Path) -> None:
    env = environment(gemx_home, EDITOR=editor(tmp_path, '{"timeout": -1}', '{"model": "gemni:x"}', '{"timeout": 8}'))
    again = ("Edit again?", "\n")
    code, shown, left = on_a_terminal(("config", "edit"), env, (again, again))
    assert (code, left) == (0, []), shown
    assert ":1:13: timeout: Input should be greater than 0" in shown
    assert "did you mean 'gemini'" in shown
    assert stored(gemx_home) == {"version": 1, "timeout": 8}


def test_edit_keeps_the_copy_of_who_gives_up(gemx_home: Path, tmp_path: Path) -> None:
    path = write_config({"version": 1})
    env = environment(gemx_home, EDITOR=editor(tmp_path, '{"timeout": -1}'))
    code, shown, _ = on_a_terminal(("config", "edit"), env, (("Edit again?", "n\n"),))
    assert code == 3
    (draft,) = drafts(gemx_home)
    assert f"your text is kept in {draft}" in "".join(shown.splitlines())
    assert draft.read_text() == '{"timeout": -1}'
    assert stat.S_IMODE(draft.stat().st_mode) == 0o600
    assert path.read_text() == '{"version": 1}'


@pytest.mark.parametrize(("command", "code"), [("true", 0), ("false", 11), ("no-such-editor", 3), ("'", 3)])
def test_edit_with_an_editor_that_changes_nothing(gemx_home: Path, command: str, code: int) -> None:
    ended, shown, _ = on_a_terminal(("config", "edit"), environment(gemx_home, EDITOR=command))
    assert ended == code, shown
    assert drafts(gemx_home) == []
    assert not (gemx_home / "config" / "config.json").exists()


def test_edit_mends_what_no_command_can_read(gemx_home: Path, tmp_path: Path) -> None:
    write_config("{ broken")
    env = environment(gemx_home, EDITOR=editor(tmp_path, '{"version": 1}'))
    assert on_a_terminal(("config", "edit"), env)[0] == 0
    assert stored(gemx_home) == {"version": 1}
