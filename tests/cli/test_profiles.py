"""`gemx profiles`: those that ship, those of the config directory, and what they do to a prompt."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

import pytest

from conftest import RunGemx
from fake_gemini import FakeGemini
from gemx import library, places, settings
from terminal import on_a_terminal
from test_settings import write_config, write_profile

SHIPPED = ["clinical", "coding", "research"]


def own(home: Path, name: str) -> Path:
    return home / "config" / "profiles" / f"{name}.yaml"


def test_the_list_says_where_each_comes_from_what_it_shadows_and_which_holds(
    run_gemx: RunGemx, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run_gemx("profiles", "list")
    assert [line.split()[0] for line in done.out.splitlines()] == SHIPPED
    assert "no profile holds" in done.err
    write_profile("uti", "gemx: profile/v1\ntitle: UTI\n")
    write_profile("coding", "gemx: profile/v1\ntitle: Meu\n")
    write_profile("torta", "gemx: profile/v1\n")
    write_config({"profile": "uti"})
    lines = run_gemx("profiles", "list").out.splitlines()
    assert lines == [
        "  clinical  Clínico",
        "  coding    Meu  (yours, in place of the one that ships)",
        "  research  Pesquisa",
        "  torta     INVALID: see gemx config validate  (yours)",
        "* uti       UTI  (yours)",
    ]
    monkeypatch.setenv("GEMX_PROFILE", "clinical")
    assert run_gemx("profiles", "list").err == "* clinical holds by GEMX_PROFILE\n"
    monkeypatch.setenv("GEMX_PROFILE", "nada")
    assert "GEMX_PROFILE names the profile 'nada', which is none of these" in run_gemx("profiles", "list").err


def test_the_list_in_json(run_gemx: RunGemx, gemx_home: Path) -> None:
    write_profile("coding", "gemx: profile/v1\ntitle: Meu\n")
    write_config({"profile": "coding"})
    data = run_gemx("profiles", "list", "--json").json["data"]
    assert (data["active"], data["active_from"]) == ("coding", "config.json")
    row = next(row for row in data["profiles"] if row["name"] == "coding")
    assert (row["from"], row["active"], row["problem"]) == ("user", True, None)
    assert row["path"] == str(own(gemx_home, "coding"))
    assert row["shadows"] == str(places.shipped("profiles") / "coding.yaml")


def test_nothing_of_the_current_folder_is_a_profile(run_gemx: RunGemx, workdir: Path) -> None:
    (workdir / "profiles").mkdir()
    (workdir / "profiles" / "uti.yaml").write_text("gemx: profile/v1\ntitle: UTI\n")
    assert "uti" not in run_gemx("profiles", "list").out
    assert run_gemx("profiles", "use", "uti").code == 3
    assert run_gemx("profiles", "use", "profiles/uti.yaml").code == 3
    assert run_gemx("profiles", "show", "profiles/uti.yaml").code == 0


def test_show(run_gemx: RunGemx, gemx_home: Path) -> None:
    write_profile(
        "uti", "gemx: profile/v1\ntitle: UTI\nlanguage: pt-BR\npersona: Quem.\nsystem: O quê.\nfallback: [extractive]\n"
    )
    done = run_gemx("profiles", "show", "uti")
    assert done.out == (
        f"uti: UTI\nfile: {own(gemx_home, 'uti')}\nfallback: extractive\n\n"
        "Quem.\n\nO quê.\n\nAnswer in Brazilian Portuguese (pt-BR).\n"
    )
    assert run_gemx("profiles", "show", "uti", "--path").out == f"{own(gemx_home, 'uti')}\n"
    data = run_gemx("profiles", "show", "uti", "--json").json["data"]
    assert (data["persona"], data["language"], data["from"]) == ("Quem.", "pt-BR", "user")
    near = run_gemx("profiles", "show", "clinicl")
    assert near.code == 3
    assert "did you mean 'clinical'?" in near.err


def test_use(run_gemx: RunGemx, gemx_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_config({"timeout": 9})
    done = run_gemx("profiles", "use", "clinical")
    assert (done.code, done.out) == (0, "the profile clinical holds from now on\n")
    assert "kept as" in done.err
    assert settings.load().profile_name == "clinical"
    assert run_gemx("profiles", "use", "--none").code == 0
    assert json.loads(places.config_file().read_text()) == {"version": 1, "timeout": 9}
    assert run_gemx("profiles", "use").code == 2
    assert run_gemx("profiles", "use", "clinical", "--none").code == 2
    assert run_gemx("profiles", "use", "nada").code == 3
    write_profile("torta", "gemx: profile/v1\n")
    assert run_gemx("profiles", "use", "torta").code == 3
    monkeypatch.setenv("GEMX_PROFILE", "coding")
    assert "GEMX_PROFILE comes first" in run_gemx("profiles", "use", "clinical").err
    assert run_gemx("profiles", "use", "clinical", "--json").json["data"]["overridden_by"] == "GEMX_PROFILE"


@pytest.mark.parametrize("origin", [(), ("--from", "clinical")])
def test_a_new_one_is_private_commented_and_valid(run_gemx: RunGemx, gemx_home: Path, origin: tuple[str, ...]) -> None:
    done = run_gemx("profiles", "new", "uti", *origin)
    path = own(gemx_home, "uti")
    assert (done.code, done.out) == (0, f"{path}\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text().startswith("#")
    profile, _ = library.load(path, settings.Profile, settings.PROFILE_HEADER)
    assert profile.title == ("Clínico" if origin else "uti")
    assert run_gemx("config", "validate").code == 0
    again = run_gemx("profiles", "new", "uti")
    assert again.code == 2
    assert "gemx profiles edit uti" in again.err


def test_what_the_skeleton_comments_out_is_valid_too(run_gemx: RunGemx, gemx_home: Path) -> None:
    run_gemx("profiles", "new", "uti")
    head, *choices = own(gemx_home, "uti").read_text().split("\n\n")
    lines = [line.removeprefix("# ") for part in choices for line in part.splitlines()[1:]]
    own(gemx_home, "uti").write_text("\n".join([head, *lines]))
    profile = settings.load_profile("uti")
    assert not [name for name in settings.Profile.model_fields if getattr(profile, name) is None]


@pytest.mark.parametrize("name", ["../uti", "a/b", "uti.yaml", "", ".x", "a b", "x" * 65])
def test_a_name_is_a_name(run_gemx: RunGemx, gemx_home: Path, name: str) -> None:
    assert run_gemx("profiles", "new", name).code == 2
    assert not (gemx_home / "config" / "profiles").exists()


def test_one_that_stands_before_a_shipped_one_says_so(run_gemx: RunGemx, gemx_home: Path) -> None:
    done = run_gemx("profiles", "new", "coding", "--json")
    assert done.json["data"]["shadows"].endswith("profiles/coding.yaml")
    done = run_gemx("profiles", "remove", "coding")
    assert (done.code, done.out) == (0, f"{own(gemx_home, 'coding')} was removed\n")
    assert done.err == "coding is now the one that ships\n"


def test_remove_takes_only_what_is_ones_own_and_does_not_hold(run_gemx: RunGemx, gemx_home: Path) -> None:
    done = run_gemx("profiles", "remove", "clinical")
    assert done.code == 2
    assert "ships with gemx" in done.err
    run_gemx("profiles", "new", "uti")
    run_gemx("profiles", "use", "uti")
    done = run_gemx("profiles", "remove", "uti")
    assert done.code == 2
    assert "gemx profiles use --none" in done.err
    run_gemx("profiles", "use", "--none")
    assert run_gemx("profiles", "remove", "uti", "--json").json["data"]["uncovers"] is None
    assert not own(gemx_home, "uti").exists()
    assert run_gemx("profiles", "remove", "uti").code == 3


def editing(home: Path, tmp_path: Path, text: str) -> dict[str, str]:
    (tmp_path / "new-text").write_text(text)
    script = f"import sys; open(sys.argv[1], 'w').write(open({str(tmp_path / 'new-text')!r}).read())"
    return {
        "PATH": os.environ["PATH"],
        "GEMX_HOME": str(home),
        "TERM": "xterm",
        "EDITOR": f'{sys.executable} -c "{script}"',
    }


def test_edit_of_a_shipped_one_makes_a_copy(run_gemx: RunGemx, gemx_home: Path, tmp_path: Path) -> None:
    done = run_gemx("profiles", "edit", "coding")
    assert done.code == 2
    assert f"any editor, on {own(gemx_home, 'coding')}" in done.err
    shipped = (places.shipped("profiles") / "coding.yaml").read_text()
    code, shown, _ = on_a_terminal(
        ("profiles", "edit", "coding"), editing(gemx_home, tmp_path, "gemx: profile/v1\ntitle: Meu\n")
    )
    assert code == 0, shown
    assert settings.load_profile("coding").title == "Meu"
    assert stat.S_IMODE(own(gemx_home, "coding").stat().st_mode) == 0o600
    assert (places.shipped("profiles") / "coding.yaml").read_text() == shipped


def test_edit_of_ones_own_and_what_is_wrong(gemx_home: Path, tmp_path: Path) -> None:
    write_profile("uti")
    wrong = editing(gemx_home, tmp_path, "gemx: profile/v1\ntitle: x\ntemperature: 9\n")
    code, shown, _ = on_a_terminal(("profiles", "edit", "uti"), wrong, (("Edit again?", "n\n"),))
    assert code == 3
    assert ":3:14: temperature" in "".join(shown.splitlines())
    assert settings.load_profile("uti").title == "UTI"
    (draft,) = (gemx_home / "config").glob("edit-*.yaml")
    assert "temperature: 9" in draft.read_text()
    code, _, _ = on_a_terminal(
        ("profiles", "edit", "uti"), editing(gemx_home, tmp_path, "gemx: profile/v1\ntitle: Nova\n")
    )
    assert code == 0
    assert settings.load_profile("uti").title == "Nova"


def test_a_file_that_ends_in_yml_is_found_edited_and_removed_itself(
    run_gemx: RunGemx, gemx_home: Path, tmp_path: Path
) -> None:
    write_profile("coding")
    path = own(gemx_home, "coding").rename(own(gemx_home, "coding").with_suffix(".yml"))
    taken = run_gemx("profiles", "new", "coding")
    assert (taken.code, str(path) in taken.err) == (2, True)
    text = editing(gemx_home, tmp_path, "gemx: profile/v1\ntitle: Nova\n")
    assert on_a_terminal(("profiles", "edit", "coding"), text)[0] == 0
    assert "title: Nova" in path.read_text()
    assert [each.name for each in path.parent.iterdir()] == ["coding.yml"]
    # Of both, which only a hand can write, the list says which one holds, and what comes after it.
    write_profile("coding", "gemx: profile/v1\ntitle: Outra\n")
    assert f"Nova  (yours, in place of {own(gemx_home, 'coding')})" in run_gemx("profiles", "list").out
    done = run_gemx("profiles", "remove", "coding")
    assert (done.out, f"is now {own(gemx_home, 'coding')}" in done.err) == (f"{path} was removed\n", True)


def test_edit_keeps_the_mode_of_the_file_and_a_link(gemx_home: Path, tmp_path: Path) -> None:
    write_profile("uti")
    kept = own(gemx_home, "uti").rename(tmp_path / "uti.yaml")
    kept.chmod(0o640)
    own(gemx_home, "uti").symlink_to(kept)
    text = editing(gemx_home, tmp_path, "gemx: profile/v1\ntitle: Nova\n")
    assert on_a_terminal(("profiles", "edit", "uti"), text)[0] == 0
    assert own(gemx_home, "uti").is_symlink()
    assert "title: Nova" in kept.read_text()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o640


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_one_names_no_model_and_answers_in_portuguese(name: str) -> None:
    profile = settings.load_profile(name)
    assert (profile.model, profile.fallback, profile.language) == (None, None, "pt-BR")
    assert profile.system


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("pt-BR", "Answer in Brazilian Portuguese (pt-BR)."),
        ("pt-br", "Answer in Brazilian Portuguese (pt-br)."),
        ("es-AR", "Answer in Spanish (es-AR)."),
        ("gn", "Answer in the language of the tag gn."),
    ],
)
def test_the_language_is_said_in_words(language: str, said: str) -> None:
    assert settings.composed(None, None, language) == said


@pytest.mark.parametrize("language", ["português", "pt_BR", "p", "pt-", ""])
def test_a_language_is_a_tag(language: str) -> None:
    write_profile("uti", f"gemx: profile/v1\ntitle: x\nlanguage: '{language}'\n")
    with pytest.raises(settings.ConfigError, match="language: "):
        settings.load("uti")


def test_persona_system_and_language_reach_the_model(
    run_gemx: RunGemx, fake_gemini: FakeGemini, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_profile("uti", "gemx: profile/v1\ntitle: x\npersona: Quem.\nsystem: O quê.\nlanguage: pt-BR\n")
    language = "Answer in Brazilian Portuguese (pt-BR)."
    asked = ("gen", "-m", "gemini:gemini-3.8-flash", "--profile", "uti", "pergunta")
    assert run_gemx(*asked).code == 0
    assert run_gemx(*asked, "-s", "Outro.").code == 0
    sent = [json.dumps(request.body, ensure_ascii=False) for request in fake_gemini.requests]
    assert f"Quem.\\n\\nO quê.\\n\\n{language}" in sent[0]
    assert f"Quem.\\n\\nOutro.\\n\\n{language}" in sent[1]
