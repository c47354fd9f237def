"""Files and folders into a base: every kind, only what changed, nothing twice, nothing left behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import document_files
from gemx import documents, knowledge, places
from gemx.errors import InputError, NotFoundError, StorageError, UsageError
from gemx.knowledge import base as bases
from gemx.knowledge import ingest, store, tables, words
from gemx.knowledge.base import Base

MARKDOWN = "# Sepse\n\n## Volume\n\nDar 30 mL/kg de cristaloide.\n"


@pytest.fixture
def base() -> Base:
    return bases.named("default", new=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "protocolos"
    (made / "sub").mkdir(parents=True)
    (made / "sepse.md").write_text(MARKDOWN)
    (made / "dor.txt").write_text("Dipirona 1 g de 6 em 6 horas para a dor.")
    (made / "sub" / "vent.html").write_text(
        "<html><body><h1>Ventilação</h1><p>Volume corrente de 6 mL/kg.</p></body></html>"
    )
    return made


def found(query: str, name: str | Path = "default") -> list[str]:
    return [hit.id for hit in knowledge.search(name, query).hits]


def test_every_kind_of_document_is_found_at_its_place(base: Base, folder: Path) -> None:
    pages = document_files.pdf("Hemorragia digestiva alta: avaliar.", "Octreotida 50 mcg em bolus, depois infundir.")
    (folder / "hda.pdf").write_bytes(pages)
    outcome = ingest.add(base, [folder])
    assert sorted(outcome.added) == ["dor.txt", "hda.pdf", "sepse.md", "sub/vent.html"]
    for query, name in (("cristaloide", "sepse.md"), ("dipirona", "dor.txt"), ("corrente", "sub/vent.html")):
        hit = knowledge.search("default", query).hits[0]
        assert hit.document == name
        text = documents.read_file(Path(hit.path))
        assert isinstance(text, documents.Text)
        assert text.text[hit.start : hit.end] == hit.text
    hit = knowledge.search("default", "octreotida").hits[0]
    assert (hit.id, hit.page) == ("default/hda.pdf#2", 2)
    assert hit.text.startswith("Octreotida 50 mcg")
    assert knowledge.search("default", "cristaloide").hits[0].heading == "Sepse › Volume"
    assert knowledge.search("default", "corrente").hits[0].heading == "Ventilação"


def test_a_device_is_no_document(base: Base) -> None:
    with pytest.raises(InputError, match="no document"):
        ingest.add(base, [Path(os.devnull)])


def test_no_folder_is_too_deep(base: Base, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    for _ in range(1100):
        Path("a").mkdir()
        os.chdir("a")
    Path("x.md").write_text(MARKDOWN)
    try:
        assert len(ingest.add(base, [folder]).added) == 4
    finally:
        # So deep a folder pytest could not remove.
        Path("x.md").unlink()
        for _ in range(1100):
            os.chdir("..")
            Path("a").rmdir()


def test_a_docx_is_found_under_its_heading(base: Base, tmp_path: Path) -> None:
    path = tmp_path / "alta.docx"
    path.write_bytes(document_files.docx(DOCX))
    ingest.add(base, [path])
    hit = knowledge.search("default", "enoxaparina").hits[0]
    assert (hit.document, hit.heading) == ("alta.docx", "Alta hospitalar")


DOCX = (
    '<w:p><w:pPr><w:pStyle w:val="Heading1"/></w:pPr><w:r><w:t>Alta hospitalar</w:t></w:r></w:p>'
    "<w:p><w:r><w:t>Manter enoxaparina por 10 dias.</w:t></w:r></w:p>"
)


def test_only_what_changed_is_read_again(base: Base, folder: Path) -> None:
    ingest.add(base, [folder])
    before = knowledge.content_hash("default")
    assert ingest.add(base, [folder]).unchanged == ["dor.txt", "sepse.md", "sub/vent.html"]
    assert knowledge.content_hash("default") == before
    (folder / "dor.txt").write_text("Morfina 2 mg se a dor for forte.")
    (folder / "novo.md").write_text("Cetamina em dose baixa.")
    outcome = ingest.add(base, [folder])
    assert (outcome.added, outcome.changed) == (["novo.md"], ["dor.txt"])
    assert found("dipirona") == []
    assert found("morfina") == ["default/dor.txt#1"]
    assert knowledge.content_hash("default") != before


def test_a_document_whose_file_is_gone_stays_until_it_is_pruned(base: Base, folder: Path) -> None:
    ingest.add(base, [folder])
    (folder / "dor.txt").unlink()
    assert ingest.add(base, [folder]).gone == ["dor.txt"]
    assert found("dipirona")
    assert ingest.add(base, [folder], prune=True).removed == ["dor.txt"]
    assert found("dipirona") == []


def test_what_is_hidden_linked_or_no_document_is_passed_over(base: Base, folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "segredo.md"
    secret.write_text("não é da pasta")
    (folder / ".oculto.md").write_text("oculto")
    (folder / "foto.png").write_bytes(b"\x89PNG\r\n")
    (folder / "laco").symlink_to(folder)
    (folder / "fora.md").symlink_to(secret)
    outcome = ingest.add(base, [folder])
    assert len(outcome.added) == 3
    assert dict(outcome.passed) == {"hidden": 1, ".png": 1, "link": 2}
    assert found("segredo pasta oculto") == []


def test_what_cannot_be_read_is_told_and_the_rest_is_added(base: Base, folder: Path) -> None:
    (folder / "scan.pdf").write_bytes(document_files.pdf(document_files.Page(pictures=(300,))))
    (folder / "quebrado.docx").write_bytes(b"PK\x03\x04not a docx")
    (folder / "vazio.md").write_text(" \n")
    outcome = ingest.add(base, [folder])
    assert len(outcome.added) == 3
    assert [Path(path).name for path, _ in outcome.unread] == ["quebrado.docx", "scan.pdf", "vazio.md"]
    assert "scanned" in dict(outcome.unread)[str(folder / "scan.pdf")]


def test_paths_that_are_not_there_and_folders_without_documents_are_errors(base: Base, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file or folder"):
        ingest.add(base, [tmp_path / "nada"])
    with pytest.raises(InputError, match="no document in"):
        ingest.add(base, [tmp_path])


def test_documents_of_one_name_are_told_apart_and_a_path_is_known_by_any_spelling(base: Base, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "sepse.md").write_text(f"texto {name}")
    ingest.add(base, [tmp_path / "a" / "sepse.md"])
    assert ingest.add(base, [tmp_path / "b" / "sepse.md"]).added == ["b/sepse.md"]
    assert ingest.add(base, [tmp_path / "a" / ".." / "a"]).unchanged == ["sepse.md"]


def test_a_name_that_would_break_a_citation_is_made_plain(base: Base, tmp_path: Path) -> None:
    path = tmp_path / "Protocolo [v2] #3 \x1b[31m ção.md"
    path.write_text("texto")
    assert ingest.add(base, [path]).added == ["Protocolo-v2-3-31m-ção.md"]


@pytest.mark.parametrize("name", ["", "../x", "A", "a b", "x" * 65, "-a", "a.db"])
def test_a_name_of_a_base_is_a_plain_one(name: str) -> None:
    with pytest.raises(UsageError, match="no name for a knowledge base"):
        bases.named(name, new=True)


def test_removal_leaves_no_trace(base: Base, folder: Path) -> None:
    (folder / "sigilo.md").write_text("# Zolpidemaxyz\n\nqwertyuiopas na enfermaria\n")
    ingest.add(base, [folder])
    assert store.remove(base, ["sigilo.md"]) == ["sigilo.md"]
    held = b"".join(path.read_bytes() for path in places.kb_dir().iterdir())
    for word in (b"qwertyuiop", b"zolpidemax", b"Zolpidemax", b"enfermaria"):
        assert word not in held
    assert found("cristaloide")
    with pytest.raises(NotFoundError, match=r"no document 'sepse'.*did you mean 'sepse\.md'"):
        store.remove(base, ["dor.txt", "sepse"])
    assert found("dipirona"), "all that are named, or none"
    assert store.remove_all(base) == 3
    assert b"cristaloide" not in base.path.read_bytes()


@pytest.mark.parametrize(
    "text",
    ["# Dose [x] – 0,1 mcg/kg/min\n\nÉ µg, “aspas” e SpO₂ < 92%\n", "The dose is 2 g.\n" * 300, "日本 ß ﬁ İ\x0b\n"],
)
def test_the_index_forgets_all_that_it_was_told(text: str, base: Base, tmp_path: Path) -> None:
    path = tmp_path / "x.md"
    for changed in (text, f"{text}\n\n# Mais\n\noutra coisa\n", "só isto"):
        path.write_text(changed)
        ingest.add(base, [path])
    store.remove(base, ["x.md"])
    with tables.opened(base) as database:
        assert database.conn.execute("SELECT term FROM terms").fetchall() == []
        for table in ("documents", "chunks", "vectors"):
            assert database.conn.execute(f"SELECT count(*) FROM {table}").fetchone()[0] == 0


def test_words_of_another_version_are_indexed_anew(base: Base, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ingest.add(base, [folder])
    with monkeypatch.context() as patch:
        patch.setattr(words, "VERSION", "0")
        patch.setattr(words, "stem", lambda word, language: f"{word}x")
        assert found("cristaloide")
        store.remove(base, ["dor.txt"])
    assert found("cristaloides") == ["default/sepse.md#1"]
    assert found("dipirona") == []


def test_a_folder_is_a_base_that_follows_it(folder: Path) -> None:
    assert found("cristaloide", folder) == ["protocolos/sepse.md#1"]
    before = knowledge.content_hash(folder)
    (folder / "sepse.md").write_text("# Sepse\n\nDar noradrenalina.\n")
    (folder / "dor.txt").unlink()
    assert found("cristaloide", folder) == []
    assert found("noradrenalina", folder) == ["protocolos/sepse.md#1"]
    assert found("dipirona", folder) == []
    assert knowledge.content_hash(folder) != before
    assert found("noradrenalina", folder / "sepse.md") == ["sepse/sepse.md#1"]
    assert not places.kb_dir().exists(), "it is kept in the cache alone"


def test_a_file_that_was_not_touched_is_not_read_and_one_that_just_was_is(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in folder.rglob("*.*"):
        os.utime(path, ns=(10**18, 10**18))
    found("cristaloide", folder)
    read: list[str] = []
    original = documents.file_bytes
    monkeypatch.setattr(documents, "file_bytes", lambda path: (read.append(path.name), original(path))[1])
    found("cristaloide", folder)
    assert read == []
    (folder / "dor.txt").write_text("Tramadol de 100 mg para a dor, em 6 horas")
    assert found("tramadol", folder)
    assert read == ["dor.txt"]
    # Within a tick of its clock it may have changed again.
    found("cristaloide", folder)
    assert read == ["dor.txt", "dor.txt"]


def test_what_can_no_longer_be_read_is_no_longer_in_the_base_of_a_folder(folder: Path) -> None:
    found("dipirona", folder)
    (folder / "dor.txt").write_bytes(b"\x00\xff\x00dipirona")
    assert found("dipirona", folder) == []


def test_bases_exist_or_not(base: Base, folder: Path) -> None:
    assert not knowledge.exists("default")
    assert not knowledge.exists("../x")
    ingest.add(base, [folder])
    assert knowledge.exists("default")
    assert knowledge.exists(folder)
    assert not knowledge.exists(folder / "nada")
    with pytest.raises(NotFoundError, match=r"no knowledge base 'defalt'.*did you mean 'default'"):
        knowledge.search("defalt", "x")


def test_the_files_are_the_users_alone(base: Base, folder: Path) -> None:
    ingest.add(base, [folder])
    knowledge.search(folder, "x")
    for top in (places.kb_dir(), places.kb_cache_dir()):
        for path in (top, *top.rglob("*")):
            assert path.stat().st_mode & 0o077 == 0, path


def test_a_damaged_base_is_an_error_that_names_it(base: Base) -> None:
    places.ensure_private_dir(places.kb_dir())
    base.path.write_bytes(b"this is no database at all, and long enough to tell" * 100)
    with pytest.raises(StorageError, match=r"default\.db is damaged"):
        knowledge.search("default", "x")
