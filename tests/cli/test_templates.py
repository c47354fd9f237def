"""`gemx templates`: where they come from, what is shown of them, and what becomes of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fake_gemini import FakeGemini
from gemx import places
from terminal import on_a_terminal
from test_settings import write_profile

Run = Callable[..., Any]
SHIPPED = ("evolucao", "parecer", "passagem_sbar", "resumo_alta", "resumo_artigo", "revisao_codigo")
GIVEN = {"parecer": ("-p", "especialidade=Nefrologia", "-p", "pergunta=Há indicação de diálise?")}


def put(folder: Path, name: str, title: str = "Meu", prompt: str = "'{{ input }}'") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.yaml"
    path.write_text(f"gemx: template/v1\ntitle: {title}\nprompt: {prompt}\n")
    return path


@pytest.fixture
def own(gemx_home: Path) -> Path:
    return gemx_home / "config/templates"


def test_the_shipped_ones_are_listed_and_the_frame_of_automations_is_not(run_gemx: Run, workdir: Path) -> None:
    done = run_gemx("templates", "list")
    assert done.code == 0
    assert [line.split()[0] for line in done.out.splitlines()] == list(SHIPPED)
    assert max(map(len, done.out.splitlines())) <= 80
    rows = run_gemx("templates", "list", "--json").json["data"]
    assert {(row["from"], row["language"], row["version"], row["problem"]) for row in rows} == {
        ("gemx", "pt-BR", "1", None)
    }
    assert all(row["persona"] and len(row["sha256"]) == 64 and row["shadows"] == [] for row in rows)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_template_renders(run_gemx: Run, workdir: Path, name: str) -> None:
    done = run_gemx("templates", "render", name, "Homem de 64 anos.", *GIVEN.get(name, ()))
    assert done.code == 0, done.err
    assert done.out.startswith("# system\n\nVocê ")
    assert "Não invente" in done.out
    assert '"não informado"' in done.out or name == "revisao_codigo"
    assert done.out.endswith("Homem de 64 anos.\n")
    assert "{" not in done.out
    assert places.shipped("templates").joinpath(f"{name}.yaml").read_text().count(f"\nid: {name}\n") == 1


def test_a_nearer_one_hides_and_the_list_says_what(run_gemx: Run, workdir: Path, own: Path) -> None:
    mine, project = put(own, "parecer", "Meu"), put(workdir / "templates", "parecer", "Do projeto")
    put(workdir / "templates", "quebrado", prompt="'{{'")
    done = run_gemx("templates", "list")
    assert done.code == 0
    lines = [line.split() for line in done.out.splitlines()]
    at = next(n for n, line in enumerate(lines) if line[0] == "parecer")
    assert done.out.splitlines()[at] == f"parecer         Do projeto  ({project})"
    assert lines[at + 1 : at + 3] == [["hides", str(mine)], ["hides", "that", "of", "gemx"]]
    assert "INVALID" in done.out
    row = next(row for row in run_gemx("templates", "list", "--json").json["data"] if row["name"] == "parecer")
    assert (row["from"], [each["from"] for each in row["shadows"]]) == ("folder", ["user", "gemx"])
    assert run_gemx("templates", "show", "parecer", "--path").out == f"{project}\n"
    project.unlink()
    assert run_gemx("templates", "show", "parecer", "--path").out == f"{mine}\n"
    removed = run_gemx("templates", "remove", "parecer")
    assert (removed.code, removed.out) == (0, f"{mine} was removed\n")
    assert "now the template that ships with gemx" in removed.err


def test_show(run_gemx: Run, workdir: Path) -> None:
    done = run_gemx("templates", "show", "parecer")
    assert done.code == 0
    assert "  especialidade *: especialidade a quem se pede ou que responde (text)" in done.out
    assert "  tipo: o que se escreve (pedido|resposta, default pedido)" in done.out
    data = run_gemx("templates", "show", "parecer", "--json").json["data"]
    assert [each["name"] for each in data["variables"] if each["required"]] == ["input", "especialidade", "pergunta"]
    assert data["prompt"].startswith("{% if tipo")
    assert run_gemx("templates", "show", "parecr").code == 3
    assert "did you mean 'parecer'?" in run_gemx("templates", "show", "parecr").err
    assert run_gemx("templates", "show", "automacao").code == 3


def test_new_writes_a_skeleton_that_validates_and_renders(run_gemx: Run, workdir: Path, own: Path) -> None:
    done = run_gemx("templates", "new", "minha-nota")
    path = own / "minha-nota.yaml"
    assert (done.code, done.out) == (0, f"{path}\n")
    assert path.stat().st_mode & 0o777 == 0o600
    assert run_gemx("templates", "validate", "minha-nota").code == 0
    assert run_gemx("templates", "render", "minha-nota", "Texto.").out.endswith("\n\nTexto.\n")
    again = run_gemx("templates", "new", "minha-nota")
    assert (again.code, again.out) == (2, "")
    for name in ("../x", "A", "a b", "automacao"):
        assert run_gemx("templates", "new", name).code == 2
    hiding = run_gemx("templates", "new", "parecer")
    assert hiding.code == 0
    assert f"it stands in the place of {places.shipped('templates') / 'parecer.yaml'}" in hiding.err
    put(workdir / "templates", "outra")
    assert "here it is hidden by" in run_gemx("templates", "new", "outra").err
    put(own, "velha").rename(own / "velha.yml")
    assert run_gemx("templates", "new", "velha").code == 2


def test_an_id_is_the_name_of_its_file(run_gemx: Run, workdir: Path) -> None:
    path = put(workdir, "a", prompt="x\nid: b")
    for argv in (
        ("auto", "validate", str(path)),
        ("templates", "validate", str(path)),
        ("templates", "render", str(path)),
    ):
        done = run_gemx(*argv)
        assert done.code == 3
        assert "a.yaml:4:5: the id 'b' is not the file's name, 'a'" in done.err


@pytest.mark.parametrize("name", ["evolucao", "projeto", "nada", "../evolucao"])
def test_what_is_not_removed(run_gemx: Run, workdir: Path, name: str) -> None:
    path = put(workdir / "templates", "projeto")
    done = run_gemx("templates", "remove", name)
    assert done.code == (3 if name == "nada" else 2)
    assert path.exists()


def test_render_fills_and_calls_nothing(run_gemx: Run, workdir: Path, gemx_home: Path) -> None:
    put(workdir, "t", prompt="'Resuma {{ tema }}.'")
    (workdir / "a.txt").write_text("um texto")
    (workdir / "ecg.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(20))
    argv = ("templates", "render", "./t.yaml", "em voz baixa", "-p", "tema=o caso", "-f", "a.txt", "-f", "ecg.png")
    done = run_gemx(*argv)
    assert done.code == 0, done.err
    assert 'name="a.txt"' in done.out
    assert "[ecg.png: image/png, 28 bytes]" in done.out
    assert done.out.endswith("Resuma o caso.\n\nem voz baixa\n")
    assert f"template: t (from {workdir / 't.yaml'})" in done.err or "template: t (from t.yaml)" in done.err
    data = run_gemx(*argv, "--json").json["data"]
    assert (data["system"], data["prompt"], len(data["parts"])) == (None, "Resuma o caso.\n\nem voz baixa", 3)
    assert not (gemx_home / "state").exists()
    assert run_gemx("templates", "render", "./t.yaml", "-p", "tema=x", "-f", "http://127.0.0.1/x").code == 2


def test_render_takes_stdin_as_its_input(run_gemx: Run, workdir: Path) -> None:
    put(workdir, "t", prompt="'Resuma: {{ input }}'")
    assert run_gemx("templates", "render", "./t.yaml", stdin="o caso").out == "Resuma: o caso\n"
    done = run_gemx("templates", "render", "./t.yaml", "isto", stdin="o caso")
    assert done.out.endswith("Resuma: isto\n")
    assert "o caso" in done.out
    assert run_gemx("templates", "render", "./t.yaml", "-p", "input=isto").out == "Resuma: isto\n"
    assert run_gemx("templates", "render", "./t.yaml", "isto", "-p", "input=aquilo").code == 2
    assert run_gemx("templates", "render", "./t.yaml").code == 4
    (workdir / "a.txt").write_text("um texto")
    assert run_gemx("templates", "render", "./t.yaml", "-f", "a.txt").code == 0


def test_a_hostile_template_is_refused(run_gemx: Run, workdir: Path) -> None:
    put(workdir, "t", prompt='"{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"')
    assert run_gemx("templates", "render", "./t.yaml").code == 3
    put(workdir, "t", prompt="\"{% include '/etc/passwd' %}\"")
    assert run_gemx("auto", "validate", "./t.yaml").code == 3


def test_edit_needs_a_terminal(run_gemx: Run, workdir: Path) -> None:
    done = run_gemx("templates", "edit", "evolucao")
    assert (done.code, done.out) == (2, "")
    assert "without one: any editor, on" in done.err


def editor(folder: Path, script: str) -> str:
    path = folder / "editor"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    return str(path)


def environment(gemx_home: Path, command: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(gemx_home), "GEMX_HOME": str(gemx_home), "VISUAL": command}


def test_edit_takes_over_what_validates(gemx_home: Path, own: Path, workdir: Path, tmp_path: Path) -> None:
    env = environment(gemx_home, editor(tmp_path, 'sed -i "s/^title: .*/title: Outro/" "$1"'))
    code, shown, _ = on_a_terminal(("templates", "edit", "evolucao"), env)
    assert code == 0, shown
    assert "title: Outro\n" in (own / "evolucao.yaml").read_text()
    assert (own / "evolucao.yaml").stat().st_mode & 0o777 == 0o600
    assert "it stands in the place of" in shown


def test_edit_keeps_the_old_one_where_the_new_is_wrong(
    gemx_home: Path, own: Path, workdir: Path, tmp_path: Path
) -> None:
    path = put(own, "meu")
    before = path.read_bytes()
    env = environment(gemx_home, editor(tmp_path, 'echo "prompt: {" >> "$1"'))
    code, shown, left = on_a_terminal(("templates", "edit", "meu"), env, (("Edit again?", "n\n"),))
    assert (code, left) == (3, []), shown
    assert path.read_bytes() == before
    assert "your text is kept in" in shown


@pytest.mark.parametrize("linked", [False, True])
def test_edit_keeps_the_mode_of_the_file_and_a_link(
    gemx_home: Path, own: Path, workdir: Path, tmp_path: Path, linked: bool
) -> None:
    path = put(tmp_path / "repository" if linked else own, "meu")
    path.chmod(0o644)
    named = own / "meu.yaml"
    if linked:
        own.mkdir(parents=True)
        named.symlink_to(path)
    env = environment(gemx_home, editor(tmp_path, 'sed -i "s/^title: .*/title: Outro/" "$1"'))
    code, shown, _ = on_a_terminal(("templates", "edit", "meu"), env)
    assert code == 0, shown
    assert named.is_symlink() == linked
    assert "title: Outro\n" in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_file_that_ends_in_yml_is_edited_replaced_and_removed_itself(
    run_gemx: Run, gemx_home: Path, own: Path, workdir: Path, tmp_path: Path
) -> None:
    path = put(own, "velha").rename(own / "velha.yml")
    env = environment(gemx_home, editor(tmp_path, 'sed -i "s/^title: .*/title: Outro/" "$1"'))
    assert on_a_terminal(("templates", "edit", "velha"), env)[0] == 0
    assert "title: Outro\n" in path.read_text()
    (workdir / "patterns/velha").mkdir(parents=True)
    (workdir / "patterns/velha/system.md").write_text("Resuma {{tema}}.")
    assert run_gemx("templates", "import", "patterns", "--json").json["data"]["skipped"] == 1
    assert run_gemx("templates", "import", "patterns", "--force", "--json").json["data"]["replaced"] == 1
    assert run_gemx("templates", "import", "patterns", "--json").json["data"]["same"] == 1
    assert [each.name for each in own.iterdir()] == ["velha.yml"]
    assert "Resuma {{ tema }}" in path.read_text()
    assert run_gemx("templates", "remove", "velha").out == f"{path} was removed\n"
    assert list(own.iterdir()) == []


def test_import_tells_what_came_and_what_did_not(run_gemx: Run, workdir: Path, own: Path) -> None:
    for name, text in (("resumir", "Resuma {{tema}} e {x}."), ("vazio", "")):
        (workdir / "patterns" / name).mkdir(parents=True)
        (workdir / "patterns" / name / "system.md").write_text(text)
    (workdir / "patterns/de_llm.yaml").write_text("prompt: Traduza $input\nmodel: gpt-4o\n")
    done = run_gemx("templates", "import", "patterns")
    assert (done.code, done.out) == (
        0,
        f"3 templates: 2 imported, 1 skipped ({own})\n1 with parts that gemx does not take over\n",
    )
    assert done.err.splitlines() == [
        "imported  de_llm: not taken over: model (gpt-4o)",
        "skipped   vazio: its system.md is empty",
    ]
    assert run_gemx("templates", "render", "resumir", "x", "-p", "tema=isto").code == 0
    data = run_gemx("templates", "import", "patterns", "--json").json["data"]
    assert (data["same"], data["skipped"]) == (2, 1)
    (workdir / "so_vazio/vazio").mkdir(parents=True)
    (workdir / "so_vazio/vazio/system.md").write_text("")
    none = run_gemx("templates", "import", "so_vazio")
    assert none.code == 4
    told = run_gemx("templates", "import", "so_vazio", "--json")
    assert (told.code, told.json["exit_code"], told.json["data"]["skipped"]) == (4, 4, 1)
    assert run_gemx("templates", "import", "nada").code == 4


def test_validate_checks_every_file_that_is_found_and_templates_alone(run_gemx: Run, workdir: Path, own: Path) -> None:
    assert run_gemx("templates", "validate").out == f"{len(SHIPPED)} files are valid\n"
    path = put(own, "parecer", prompt="'{{'")
    done = run_gemx("templates", "validate")
    assert (done.code, done.out) == (3, f"{len(SHIPPED)} of {len(SHIPPED) + 1} files are valid\n")
    assert f"{path}:3:9: prompt: template syntax" in done.err
    assert f"gemx templates validate {path}" in run_gemx("templates", "list").out
    assert run_gemx("templates", "validate", "evolucao", "--json").json["data"]["files"] == 1
    (workdir / "perfil.yaml").write_text("gemx: profile/v1\ntitle: x\n")
    assert run_gemx("auto", "validate", "./perfil.yaml").code == 0
    assert run_gemx("templates", "validate", "./perfil.yaml").code == 3


def test_render_shows_what_gen_sends_the_profile_included(
    run_gemx: Run, workdir: Path, fake_gemini: FakeGemini, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_profile("uti", "gemx: profile/v1\ntitle: x\npersona: Quem.\nlanguage: pt-BR\n")
    path = put(workdir, "t", prompt="'{{ urgente }}: {{ input }}'")
    path.write_text(f"{path.read_text()}system: O quê.\nvariables:\n  - {{name: urgente, label: u, type: boolean}}\n")
    argv = ("./t.yaml", "o caso", "-p", "urgente=não")
    for given in ((), ("-s", "Outro.")):
        shown = run_gemx("templates", "render", *argv, *given, "--profile", "uti", "--json").json["data"]
        assert (
            shown["system"] == f"Quem.\n\n{given[-1] if given else 'O quê.'}\n\nAnswer in Brazilian Portuguese (pt-BR)."
        )
        assert (shown["profile"], shown["prompt"]) == ("uti", "não: o caso")
        asked = ("gen", "-t", *argv, *given, "--profile", "uti", "-m", "gemini:gemini-3.8-flash", "--guard", "off")
        assert run_gemx(*asked).code == 0
        body = fake_gemini.requests[-1].body
        assert body["systemInstruction"]["parts"] == [{"text": shown["system"]}]
        assert body["contents"][-1]["parts"] == [{"text": shown["prompt"]}]
    monkeypatch.setenv("GEMX_PROFILE", "uti")
    done = run_gemx("templates", "render", *argv)
    assert done.out.startswith("# system\n\nQuem.\n\nO quê.")
    assert "profile: uti\n" in done.err
