"""`gemx gen -f`: documents, addresses and standard input, several at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from document_files import Page, docx, p, pdf, table
from fake_gemini import FakeGemini
from loopback import Exchange, Loopback

MODEL = ("-m", "gemini:gemini-3.8-flash")
Run = Callable[..., Any]


class Site(Loopback):
    """A server of one page."""

    def default(self, exchange: Exchange) -> None:
        exchange.raw("<h1>Sepse</h1><p>O alvo de PAM é 65 mmHg.".encode(), 200, "text/html; charset=utf-8")


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as server:
        yield server


def parts(fake: FakeGemini) -> list[dict[str, Any]]:
    return fake.last.body["contents"][0]["parts"]


def test_documents_of_all_kinds_go_together(run_gemx: Run, fake_gemini: FakeGemini, site: Site, workdir: Path) -> None:
    (workdir / "laudo.pdf").write_bytes(pdf("PAM 57 mmHg, em queda.", "Lactato 4,6 mmol/L, em alta."))
    (workdir / "alta.docx").write_bytes(docx(table(["Exame", "Valor"], ["Lactato", "4,6"])))
    (workdir / "exame.txt").write_bytes("Creatinina 1,2 mg/dL, diurese há 6 h".encode("cp1252"))
    (workdir / "ecg.txt").write_bytes(b"\x89PNG")
    named = [f"-f{name}" for name in ("laudo.pdf", "alta.docx", "exame.txt", "ecg.txt", f"{site.url}/guia.html?x=1")]
    done = run_gemx("gen", "Compare", *named, *MODEL)
    assert done.code == 0
    laudo, alta, exame, ecg, guia, prompt = parts(fake_gemini)
    assert "[página 2]\nLactato 4,6" in laudo["text"]
    assert "| Lactato | 4,6 |" in alta["text"]
    assert "diurese há 6 h" in exame["text"]
    assert set(ecg["inlineData"].values()) == {"iVBORw==", "image/png"}
    assert f'name="{site.url}/guia.html"' in guia["text"]
    assert "# Sepse\n\nO alvo de PAM é 65 mmHg." in guia["text"]
    assert prompt == {"text": "Compare"}
    assert "gemx: exame.txt: is not in UTF-8: read as Windows-1252" in done.err


def test_what_is_left_out_is_told_in_quiet_too(run_gemx: Run, fake_gemini: FakeGemini, workdir: Path) -> None:
    (workdir / "laudo.pdf").write_bytes(pdf("PAM 57 mmHg, em queda.", Page(pictures=[600])))
    done = run_gemx("gen", "Resuma", "-f", "laudo.pdf", *MODEL, "-q")
    assert done.code == 0
    assert done.err.splitlines() == [
        "gemx: laudo.pdf: page 2 of 2 without text (scanned?), and left out",
        "gemx: laudo.pdf: 1 picture in it left out: only its text is sent",
    ]


def test_a_scan_goes_as_it_is_and_counts_as_identified(run_gemx: Run, fake_gemini: FakeGemini, workdir: Path) -> None:
    (workdir / "scan.pdf").write_bytes(pdf(Page(pictures=[600])))
    done = run_gemx("gen", "Resuma", "-f", "scan.pdf", *MODEL)
    assert done.code == 0
    assert parts(fake_gemini)[0]["inlineData"].keys() & {"application/pdf"} or "application/pdf" in str(
        parts(fake_gemini)[0]["inlineData"].values()
    )
    assert "file that cannot be read as text (scan.pdf)" in done.err
    assert run_gemx("gen", "Resuma", "-f", "scan.pdf", *MODEL, "--guard", "block").code == 10


def test_the_text_of_a_document_passes_the_guard(run_gemx: Run, fake_gemini: FakeGemini, workdir: Path) -> None:
    (workdir / "a.pdf").write_bytes(pdf("Evolução do dia, sem queixas.\nCPF 529.982.247-25"))
    (workdir / "a.docx").write_bytes(docx(p("CPF 529.982.247-25")))
    for name, line in (("a.pdf", 3), ("a.docx", 1)):
        done = run_gemx("gen", "Resuma", "-f", name, *MODEL, "--guard", "block")
        assert done.code == 10
        assert f"CPF ({name}, line {line}, column" in done.err
        assert run_gemx("gen", "Resuma", "-f", name, *MODEL, "--guard", "mask").code == 0
        assert "529.982" not in json.dumps(fake_gemini.last.body)


def test_extractive_cites_the_page(run_gemx: Run, workdir: Path) -> None:
    (workdir / "guia.pdf").write_bytes(pdf("Introdução ao choque séptico.", "O alvo inicial de PAM é 65 mmHg."))
    done = run_gemx("gen", "Qual o alvo de PAM?", "-f", "guia.pdf", "-m", "extractive")
    assert (done.code, done.out) == (0, "[guia#pagina-2] O alvo inicial de PAM é 65 mmHg.\n")


def test_extractive_cites_an_address(run_gemx: Run, site: Site) -> None:
    done = run_gemx("gen", "Qual o alvo de PAM?", "-f", f"{site.url}/guia.html", "-m", "extractive", "--local-only")
    assert (done.code, done.out) == (0, "[guia#sepse] O alvo de PAM é 65 mmHg.\n")
    assert len(site.requests) == 1


@pytest.mark.parametrize(
    ("data", "text"),
    [(pdf("PAM 57 mmHg, em queda."), "[página 1]\nPAM 57"), (docx(p("Alta.")), "Alta."), ("ação".encode(), "ação")],
)
def test_standard_input_is_what_its_content_says(
    run_gemx: Run, fake_gemini: FakeGemini, data: bytes, text: str
) -> None:
    assert run_gemx("gen", "Resuma", "-f", "-", *MODEL, stdin=data).code == 0
    assert text in parts(fake_gemini)[0]["text"]
    assert 'name="stdin"' in parts(fake_gemini)[0]["text"]


def test_an_image_on_standard_input(run_gemx: Run, fake_gemini: FakeGemini) -> None:
    assert run_gemx("gen", "O que há?", "-f", "-", *MODEL, stdin=b"\x89PNG").code == 0
    assert set(parts(fake_gemini)[0]["inlineData"].values()) == {"iVBORw==", "image/png"}
    piped = run_gemx("gen", "O que há?", *MODEL, stdin=b"\x89PNG")
    assert piped.code == 4
    assert "gemx gen -f - reads" in piped.err


@pytest.mark.parametrize("given", [("--network", "site"), ("--network", "machine"), ("--local-only",), ("config",)])
def test_the_network_of_the_policy_holds_for_addresses(run_gemx: Run, gemx_home: Path, given: tuple[str, ...]) -> None:
    if given == ("config",):
        (gemx_home / "config").mkdir(parents=True)
        (gemx_home / "config/config.json").write_text('{"network": "site"}')
        given = ()
    done = run_gemx("gen", "Resuma", "-f", "https://exemplo.org/a", "-m", "extractive", *given)
    assert (done.code, done.out) == (10, "")
    assert "exemplo.org is not asked" in done.err


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.pdf", b"%PDF-1.7", "a.pdf cannot be read as a PDF"),
        ("a.docx", b"PK\x03\x04", "a.docx is damaged"),
        ("a.rtf", b"{\\rtf1", "a.rtf is an RTF file"),
        ("ftp://a/b", None, "ftp://a/b is no address"),
        ("http://ana:segredo@127.0.0.1/", None, "holds a user or a password"),
    ],
)
def test_a_file_that_cannot_be_read_is_exit_4_and_says_what_to_do(
    run_gemx: Run, fake_gemini: FakeGemini, workdir: Path, name: str, data: bytes | None, words: str
) -> None:
    if data is not None:
        (workdir / name).write_bytes(data)
    done = run_gemx("gen", "Resuma", "-f", name, *MODEL)
    assert (done.code, done.out) == (4, "")
    assert words in done.err
    assert len(done.err.splitlines()) == 2
    assert "segredo" not in done.err
    assert fake_gemini.requests == []


def test_timeout_bounds_the_fetch(run_gemx: Run, site: Site) -> None:
    site.queue(lambda exchange: exchange.hang(5))
    done = run_gemx("gen", "Resuma", "-f", f"{site.url}/a", "-m", "extractive", "--timeout", "0.5")
    assert done.code == 8


def test_no_automation_fetches(run_gemx: Run, site: Site) -> None:
    for argv in (("auto", "run", "sepse_bundle", "--input", f"{site.url}/a"), ("auto", "verify", f"{site.url}/a")):
        assert run_gemx(*argv).code != 0
    assert site.requests == []
