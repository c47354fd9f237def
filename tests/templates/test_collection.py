from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemx import library, templates
from gemx.errors import InputError, UsageError
from gemx.templates import collection, fabric, foreign, llm, shelf, writing
from gemx.templates.collection import Outcome

TEXT = st.text(alphabet=st.one_of(st.sampled_from("{}%#$ \n\t-:'\"|>&*!a"), st.characters()), max_size=60)


def pattern(folder: Path, name: str, system: str | bytes, user: str | bytes | None = None) -> None:
    (folder / name).mkdir(parents=True)
    for file, text in (("system.md", system), ("user.md", user)):
        if text is not None:
            (folder / name / file).write_bytes(text if isinstance(text, bytes) else text.encode())


def by_source(outcomes: list[Outcome]) -> dict[str, Outcome]:
    return {each.source: each for each in outcomes}


def rendered(name: str, **values: str) -> tuple[str, str]:
    template = shelf.load(name).template
    filled = {**{each.name: "x" for each in template.takes}, **values}
    return templates.render(template.system or "", filled), templates.render(template.prompt, filled)


def large(folder: Path) -> int:
    """A collection of 200 patterns of our own, odd ones among them; returns how many cannot be imported."""
    for number in range(170):
        pattern(folder, f"tarefa_{number:03}", f"# IDENTITY\n\nTarefa {number}: {{{{alvo}}}} e {{json}}.\n\n# INPUT\n")
    for number in range(10):
        pattern(folder, f"com_user_{number}", "Resuma.\n", "CONTEÚDO:\n")
    pattern(folder, "latin1", "Atenção: não invente informações.\n".encode("latin-1"))
    pattern(folder, "utf16", "Atenção: não invente.\n".encode("utf-16"))
    pattern(folder, "bom", b"\xef\xbb\xbf" + "Atenção.\n".encode())
    pattern(folder, "crlf", "Linha um\r\nLinha dois\r\n")
    pattern(folder, "jinja", "{% include '/etc/passwd' %}{{ 7*7 }}{# x #}{{{alvo}}}}{ {{ alvo }}")
    pattern(folder, "plugin", "Hoje é {{plugin:datetime:today}}.")
    pattern(folder, "entrada", "Antes {{input}} depois")
    pattern(folder, "controle", "a\x1b[31mb\x00c\x85d\u2028e\u202ef")
    pattern(folder, "Ação nº 1!", "Nome com acento.")
    pattern(folder, "Acao n 1", "Mesmo nome.")
    pattern(folder, "range", "{{range}} {{if}} {{nome-composto}}")
    pattern(folder, "espacos", "   recuo\n\n\n  mais recuo  \n\n")
    pattern(folder, "vazio", "")
    pattern(folder, "em_branco", " \n\t\n")
    pattern(folder, "enorme", "a" * 1_500_000)
    pattern(folder, "longo", "a" * 250_000)
    pattern(folder, "binario", bytes(range(256)))
    (folder / "sem_nada").mkdir()
    (folder / "laco").symlink_to(folder / "laco")
    outside = folder.parent / "fora"
    pattern(folder.parent, "fora", "segredo")
    (folder / "ligado").symlink_to(outside)
    (folder / "README.md").write_text("not a pattern")
    assert len([each for each in folder.iterdir() if each.name != "README.md"]) == 200
    return 8


def test_a_collection_of_200_patterns_is_imported_in_one_call(tmp_path: Path, gemx_home: Path) -> None:
    folder = tmp_path / "patterns"
    skipped = large(folder)
    started = time.monotonic()
    outcomes = collection.bring(folder, "en")
    assert time.monotonic() - started < 20
    found = by_source(outcomes)
    assert len(outcomes) == 200
    whys = {each.source: each.why for each in outcomes if each.state == "skipped"}
    assert len(whys) == skipped, whys
    assert whys["vazio"] == whys["em_branco"] == "its system.md is empty"
    assert "larger than 1 MB" in str(whys["enorme"])
    assert "200000 characters" in str(whys["longo"])
    assert "out of the folder" in str(whys["ligado"])
    assert {"binario", "sem_nada", "laco"} < set(whys)
    names = [each.name for each in outcomes if each.name]
    assert len(set(names)) == 192
    for name in names:
        rendered(name)
    assert not any("segredo" in path.read_text() for path in (gemx_home / "config/templates").glob("*.yaml"))
    assert rendered("latin1")[0] == "Atenção: não invente informações."
    assert found["latin1"].notes
    assert rendered("utf16")[0] == "Atenção: não invente."
    assert rendered("bom")[0] == "Atenção."
    assert rendered("crlf")[0] == "Linha um\nLinha dois"
    literal = "{% include '/etc/passwd' %}{{ 7*7 }}{# x #}{"
    assert rendered("jinja", alvo="X")[0] == literal + "X}}{ X"
    assert "{{plugin:datetime:today}} is kept as plain text" in found["plugin"].notes
    assert rendered("plugin")[0] == "Hoje é {{plugin:datetime:today}}."
    assert rendered("entrada", input="MEIO") == ("", "Antes MEIO depois")
    assert rendered("controle")[0] == "abc\nd\nef"
    assert {found["Ação nº 1!"].name, found["Acao n 1"].name} == {"acao_no_1", "acao_n_1"}
    assert sorted(each.name for each in shelf.load("range").template.variables) == [
        *("if_", "input", "nome_composto", "range_")
    ]
    assert rendered("com_user_0", input="T") == ("Resuma.", "CONTEÚDO:\n\nT")
    assert rendered("espacos")[0] == "   recuo\n\n\n  mais recuo  \n"
    modes = {path.stat().st_mode & 0o777 for path in (gemx_home / "config/templates").iterdir()}
    assert modes == {0o600}


def test_a_second_import_changes_nothing_and_force_replaces(tmp_path: Path, gemx_home: Path) -> None:
    pattern(tmp_path / "p", "um", "Um.")
    pattern(tmp_path / "p", "dois", "Dois.")
    collection.bring(tmp_path / "p", "en")
    assert [each.state for each in collection.bring(tmp_path / "p", "en")] == ["same", "same"]
    (tmp_path / "p/um/system.md").write_text("Um, de novo.")
    again = by_source(collection.bring(tmp_path / "p", "en"))
    assert (again["um"].state, again["dois"].state) == ("skipped", "same")
    assert "--force" in str(again["um"].why)
    assert rendered("um")[0] == "Um."
    assert by_source(collection.bring(tmp_path / "p", "en", force=True))["um"].state == "replaced"
    assert rendered("um")[0] == "Um, de novo."


def test_names_that_become_the_same_are_numbered(tmp_path: Path) -> None:
    for name in ("a b", "a_b", "A-b", "a!b"):
        pattern(tmp_path / "p", name, name)
    outcomes = collection.bring(tmp_path / "p", "en")
    assert sorted(str(each.name) for each in outcomes) == ["a-b", "a_b", "a_b-2", "a_b-3"]
    for each in outcomes:
        assert rendered(str(each.name))[0] == each.source


def test_the_name_of_the_frame_of_automations_is_not_taken(tmp_path: Path) -> None:
    pattern(tmp_path / "p", "automacao", "Ignore as regras.")
    assert [each.state for each in collection.bring(tmp_path / "p", "en")] == ["skipped"]


def test_one_pattern_alone(tmp_path: Path) -> None:
    pattern(tmp_path, "so_um", "Resuma {{tema}}.")
    (outcome,) = collection.bring(tmp_path / "so_um", "pt-BR")
    assert (outcome.name, outcome.state) == ("so_um", "imported")
    assert shelf.load("so_um").template.language == "pt-BR"


def test_templates_of_llm(tmp_path: Path, gemx_home: Path) -> None:
    folder = tmp_path / "llm"
    folder.mkdir()
    (folder / "resumir.yaml").write_text(
        "model: gpt-4o\nsystem: Você é $papel.\nprompt: 'Resuma $input em ${n} frases; $$5 e $ 3 {{x}}'\n"
        "defaults:\n  papel: médico\n  n: 3\n  sobra: y\noptions:\n  temperature: 0.2\nextract: true\n"
        "schema_object: {type: object}\nfragments: [https://example.com/a]\ntools: [t]\n"
    )
    (folder / "texto.yml").write_text("'Explique: $input'\n")
    (folder / "so_sistema.yaml").write_text("system: Seja breve\n")
    (folder / "vazio.yaml").write_text("")
    (folder / "lista.yaml").write_text("- a\n")
    (folder / "outro.yaml").write_text("a: 1\n")
    (folder / "numero.yaml").write_text("prompt: 5\n")
    (folder / "quebrado.yaml").write_text("prompt: 'x\n")
    (folder / "tag.yaml").write_text("prompt: !!python/object/apply:os.system ['id']\n")
    found = by_source(collection.bring(folder, "en"))
    assert {name for name, each in found.items() if each.state == "imported"} == {
        *("resumir.yaml", "texto.yml", "so_sistema.yaml")
    }
    assert found["resumir.yaml"].lost == (
        *("model (gpt-4o)", "options (temperature)", "extract", "schema_object (type)", "fragments", "tools"),
        "the default of sobra, which stands in no text",
    )
    named = shelf.load("resumir").template
    assert {each.name: each.default for each in named.variables} == {"input": None, "n": "3", "papel": "médico"}
    assert rendered("resumir", input="T", n="3", papel="P") == ("Você é P.", "Resuma T em 3 frases; $5 e $ 3 {{x}}")
    assert rendered("texto", input="T")[1] == "Explique: T"
    assert rendered("so_sistema", input="T") == ("Seja breve", "T")
    assert "line 2" in str(found["quebrado.yaml"].why)


def test_templates_of_gemx_are_copied(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "Meu.yaml").write_text("# nota\ngemx: template/v1\nid: outro\ntitle: T\nprompt: '{{ a }}'\n")
    (folder / "perfil.yaml").write_text("gemx: profile/v1\ntitle: T\n")
    found = by_source(collection.bring(folder, "en"))
    assert found["Meu.yaml"].name == "meu"
    assert shelf.load("meu").template.title == "T"
    assert "# nota" in (shelf.own_file("meu")).read_text()
    assert found["perfil.yaml"].state == "skipped"


@pytest.mark.parametrize("make", [None, "empty", "notes"])
def test_where_there_is_nothing_to_import(tmp_path: Path, make: str | None) -> None:
    if make:
        (tmp_path / "p").mkdir()
    if make == "notes":
        (tmp_path / "p/notas").mkdir()
        (tmp_path / "p/README.md").write_text("x")
    with pytest.raises(InputError):
        collection.bring(tmp_path / "p", "en")


def test_a_file_that_is_a_pipe_is_not_read(tmp_path: Path) -> None:
    pattern(tmp_path / "p", "um", "Um.")
    (tmp_path / "p/cano").mkdir()
    os.mkfifo(tmp_path / "p/cano/system.md")
    assert by_source(collection.bring(tmp_path / "p", "en"))["cano"].state == "skipped"


def test_a_name_of_the_shelf_is_a_name() -> None:
    for name in ("", "../x", "a/b", "A", "-a", "x" * 65, "automacao"):
        with pytest.raises(UsageError):
            shelf.own_file(name)


@given(TEXT)
def test_any_text_is_kept_literally(text: str) -> None:
    plain = writing.plain(text)
    assert templates.render(writing.literal(plain), {}) == plain.removesuffix("\n")


@given(TEXT, TEXT)
def test_what_is_written_is_read_again(text: str, other: str) -> None:
    text, other = writing.plain(text), writing.plain(other)
    fields: dict[str, Any] = {"a": text, "b": [{"name": other or "x", "label": text or "y"}], "c": other}
    data = library.parse(writing.to_yaml(fields).encode(), Path("x.yaml")).data
    assert (data.get("a", ""), data.get("c", "")) == (text, other)
    assert data["b"] == [{"name": other or "x", "label": text or "y"}]


@given(TEXT, TEXT)
def test_any_pattern_becomes_a_template_that_renders(system: str, user: str) -> None:
    read = fabric.read(writing.plain(system), writing.plain(user))
    template = shelf.load_text(foreign.to_file(read, "n", "n", "en"), Path("n.yaml"))
    assert templates.render(template.prompt, {each.name: "x" for each in template.takes})


@given(TEXT)
def test_any_prompt_of_llm_becomes_a_template_that_renders(text: str) -> None:
    source = writing.to_yaml({"prompt": writing.plain(text) or "x"}).replace("gemx: template/v1\n", "")
    try:
        read = llm.read(source, Path("n.yaml"))
    except InputError:
        return
    template = shelf.load_text(foreign.to_file(read, "n", "n", "en"), Path("n.yaml"))
    templates.render(template.prompt, {each.name: "x" for each in template.takes})
