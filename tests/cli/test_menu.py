"""`gemx menu` on real terminals: what it composes, what it runs, what it prints, and what it refuses."""

from __future__ import annotations

import json
import os
import pty
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import made_plugins
from conftest import RunGemx
from gemx.cli import form, menu, menu_flows, menu_kb, menu_kept, menu_models, menu_record, menu_run, picker, questions
from gemx.cli.form import Field, Reading
from gemx.cli.menu_form import Form
from gemx.cli.questions import Back
from gemx.errors import ConfigError, InputError
from terminal import on_a_terminal
from tmux import Terminal, skip_without_tmux

GEMX = str(Path(sys.executable).with_name("gemx"))
SIZES = [(80, 24), (200, 50)]
HOSTILE = ("$(touch ran)", "a'b;touch ran;'", "-dash", "new\nline", "{q}`touch ran`", "\x1b[31mred")
FREE = "gemx: automation/v1\nprompt: oi {{ idade }}\ninputs: [idade]\n"
TOP = "o que deseja fazer?"
AGAIN = "Enter volta ao menu"

Open = Callable[..., Terminal]


@pytest.fixture
def environment(gemx_home: Path, tmp_path: Path) -> dict[str, str]:
    """The whole environment of a menu, its temporary files in a folder of their own."""
    (tmp_path / "tmp").mkdir()
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {"PATH": path, "LC_ALL": "C.UTF-8", "GEMX_HOME": str(gemx_home), "TMPDIR": str(tmp_path / "tmp")}


@pytest.fixture
def opened(environment: dict[str, str], workdir: Path) -> Open:
    def start(columns: int = 80, rows: int = 24, **more: str) -> Terminal:
        return Terminal([GEMX, "menu"], environment | more, columns=columns, rows=rows, cwd=workdir)

    return start


def enter(terminal: Terminal, entry: str) -> None:
    """Open an entry of the menu that is shown, or that is about to be, wherever the pointer stands."""
    for _ in range(100):
        pointed = next((line for line in terminal.wait_for(entry).splitlines() if "»" in line), None)
        if pointed is None:
            # one menu is gone, and the next not yet there
            time.sleep(0.05)
        elif pointed.strip().startswith((f"» {entry}", f"» · {entry}")):
            break
        else:
            terminal.send("Down")
            terminal.wait_gone(pointed)
    terminal.send("Enter")


def search(terminal: Terminal, prompt: str, words: str, shown: str) -> None:
    """Pick what a search leaves first."""
    terminal.wait_for(f"{prompt}>")
    terminal.type(words)
    terminal.wait_for(f"{prompt}> {words}")
    terminal.wait_for(shown)
    terminal.send("Enter")


def answer(terminal: Terminal, label: str, text: str) -> None:
    terminal.wait_for(label)
    terminal.type(text)
    terminal.wait_for("entendido")
    terminal.send("Enter")


def commands(terminal: Terminal, beginning: str) -> list[str]:
    """The command lines on the screen and above it."""
    return [line.strip() for line in terminal.everything().splitlines() if line.startswith(beginning)]


def kept(run_gemx: RunGemx) -> list[dict[str, Any]]:
    """What the history has of every run, newest first."""
    runs = run_gemx("history", "list", "--json").json["data"]
    return [run_gemx("history", "show", each["run_id"], "--json").json["data"] for each in runs]


# without a terminal


def test_without_a_terminal_the_command_to_use_instead_is_named(run_gemx: RunGemx) -> None:
    done = run_gemx("menu")
    assert done.code == 2
    assert done.out == ""
    assert "gemx auto run NAME -i" in done.err
    assert "gemx --help" in done.err


@pytest.mark.parametrize("piped", ["stdin", "stdout"])
def test_half_a_terminal_is_none(piped: str, environment: dict[str, str]) -> None:
    ours, theirs = pty.openpty()
    streams: dict[str, Any] = {"stdin": theirs, "stdout": theirs} | {piped: subprocess.PIPE}
    try:
        command = subprocess.Popen(
            [GEMX, "menu"], env=environment | {"TERM": "xterm"}, stderr=subprocess.PIPE, **streams
        )
        _, said = command.communicate(timeout=60)
    finally:
        os.close(ours)
        os.close(theirs)
    assert command.returncode == 2
    assert b"needs a terminal" in said


def test_a_terminal_that_cannot_move_its_cursor_is_none(environment: dict[str, str]) -> None:
    code, shown, _ = on_a_terminal(("menu",), environment | {"TERM": "dumb"})
    assert code == 2, shown
    assert "needs a terminal" in shown


# an automation


@skip_without_tmux
@pytest.mark.parametrize(("columns", "rows"), SIZES)
def test_an_automation_from_the_first_menu_to_the_plan(
    columns: int, rows: int, opened: Open, environment: dict[str, str], workdir: Path, run_gemx: RunGemx, tmp_path: Path
) -> None:
    with opened(columns, rows) as terminal:
        enter(terminal, "Automações clínicas")
        terminal.wait_for("Automação>")
        terminal.type("choque")
        # beside the list: what gemx auto show says, wrapped
        assert "idade *: Idade" in terminal.wait_for("(sepse_bundle")
        assert "hda_triage" not in terminal.screen()
        terminal.send("Enter")
        enter(terminal, "Novo paciente")
        terminal.wait_for("Idade (de 18 a 120 anos)")
        terminal.type("700")
        terminal.wait_for("700 está fora do possível; aceito de 18 a 120 anos")
        # Ctrl-Z suspends, where a shell waits for that, and is no text
        terminal.send("Enter", "C-z", "0")
        terminal.wait_for("): 7000")
        terminal.send("C-u")
        answer(terminal, "Idade", "64")
        enter(terminal, "feminino")
        terminal.wait_for("Sexo: feminino")
        terminal.wait_for("Peso")
        terminal.type("30")
        terminal.wait_for("fora do habitual")
        terminal.send("Enter")
        assert "aviso: Peso 30" in terminal.wait_for("PA sistólica")
        answer(terminal, "PA sistólica", "82")
        answer(terminal, "PA diastólica", "44")
        enter(terminal, "Acrescentar um dado opcional")
        search(terminal, "Dado", "lactato", "Lactato (de 0,1")
        terminal.wait_for("Lactato (de 0,1 a 40")
        terminal.type("1.000")
        terminal.wait_for("ambíguo")
        terminal.send("C-u")
        answer(terminal, "Lactato", "4,6")
        terminal.wait_for("Dado>")
        terminal.send("Escape")
        screen = terminal.wait_for("· Lactato: 4,6 mmol/L")
        assert "· Sexo: feminino" in screen
        assert "· Peso: 30 kg (fora do habitual: confira)" in screen
        assert "Modelo padrão: extractive (automático: nenhum modelo instalado" in screen
        enter(terminal, "Executar…")
        terminal.wait_for("Comando equivalente:")
        assert kept(run_gemx) == []
        enter(terminal, "Executar agora")
        terminal.wait_for(AGAIN)
        assert "Apoia e não substitui" in terminal.screen()
        assert "PAM" in terminal.everything()
        lines = commands(terminal, "gemx auto run")
        terminal.send("Enter")
        terminal.wait_for(TOP)
    expected = "gemx auto run sepse_bundle -i idade=64 -i sexo=F -i peso=30 -i pas=82 -i pad=44 -i lactato=4,6"
    assert lines == [expected, expected]
    again = subprocess.run(["sh", "-c", lines[-1]], cwd=workdir, env=environment, capture_output=True, check=False)
    assert again.returncode == 0, again.stderr
    first, second = kept(run_gemx)
    assert first["data"]["answer"] == second["data"]["answer"]
    assert first["data"]["facts"] == second["data"]["facts"]
    assert list((tmp_path / "tmp").iterdir()) == []


@skip_without_tmux
def test_what_was_typed_is_not_lost_and_not_taken_for_another_patient(opened: Open) -> None:
    with opened() as terminal:
        enter(terminal, "Automações clínicas")
        search(terminal, "Automação", "sepse", "sepse_bundle")
        enter(terminal, "Novo paciente")
        answer(terminal, "[1/5] Idade", "64")
        terminal.wait_for("[2/5] Sexo")
        terminal.send("Escape")
        # one back, the answer is still there
        terminal.wait_for("entendido: 64 anos")
        terminal.send("Enter")
        enter(terminal, "masculino")
        terminal.wait_for("[3/5] Peso")
        # Ctrl-C leaves the questions, and no further
        terminal.send("C-c")
        terminal.wait_for("» Mesmo paciente: Idade: 64 anos; Sexo: masculino")
        terminal.send("Escape")
        search(terminal, "Automação", "sepse", "sepse_bundle")
        terminal.wait_for("» Mesmo paciente: Idade: 64 anos; Sexo: masculino")
        enter(terminal, "Novo paciente")
        terminal.wait_for("Enter confirma; Esc volta")
        terminal.send("Escape")
        screen = terminal.wait_for("Novo paciente")
        assert "Mesmo paciente" not in screen


@skip_without_tmux
def test_an_example_is_loaded_and_a_value_of_it_changed_or_taken_away(opened: Open, run_gemx: RunGemx) -> None:
    with opened() as terminal:
        enter(terminal, "Automações clínicas")
        search(terminal, "Automação", "sepse", "sepse_bundle")
        enter(terminal, "Paciente de exemplo")
        search(terminal, "Exemplo", "pulmonar", "Choque séptico de foco pulmonar")
        enter(terminal, "Peso: 70 kg")
        terminal.wait_for("Peso (de 20 a 400 kg, ou em g): 70")
        terminal.send("C-u")
        answer(terminal, "Peso", "80")
        enter(terminal, "Alergias: nega")
        terminal.wait_for("Alergias (itens")
        terminal.send("C-u", "Enter")
        terminal.wait_gone("Alergias: nega")
        enter(terminal, "Modelo padrão")
        search(terminal, "Modelo", "extractive trechos", "sem modelo")
        terminal.wait_for("Modelo: extractive")
        enter(terminal, "Executar…")
        enter(terminal, "Executar agora")
        terminal.wait_for(AGAIN)
        line = shlex.split(commands(terminal, "gemx auto run")[-1])
    assert line[3:5] == ["sepse_bundle", "--input"]
    assert line[6:] == ["-i", "peso=80", "-i", "alergias=desconhecido", "-m", "extractive"]
    patient = json.dumps(kept(run_gemx)[0]["data"], ensure_ascii=False)
    assert "80 kg" in patient


@skip_without_tmux
def test_a_file_that_changed_is_shown_again_before_it_runs(opened: Open, run_gemx: RunGemx, workdir: Path) -> None:
    one, another = ({"idade": age, "sexo": "M", "peso": 70, "pas": 82, "pad": 44} for age in (64, 30))
    (workdir / "-").write_text(json.dumps(one))
    with opened() as terminal:
        enter(terminal, "Automações clínicas")
        search(terminal, "Automação", "sepse", "sepse_bundle")
        enter(terminal, "Carregar de um arquivo")
        terminal.wait_for("Arquivo do paciente")
        terminal.type("-")  # a file of this name, not standard input
        terminal.send("Enter")
        enter(terminal, "Peso: 70 kg")
        terminal.wait_for("em g): 70")
        terminal.send("C-u")
        answer(terminal, "Peso", "80")
        enter(terminal, "Executar…")
        terminal.wait_for("Executar?")
        (workdir / "-").write_text(json.dumps(another))
        enter(terminal, "Executar agora")
        terminal.wait_for("mudou depois de lido; nada foi executado")
        assert kept(run_gemx) == []
        terminal.wait_for("· Idade: 30 anos")
        # what was typed was typed for somebody else
        terminal.wait_for("· Peso: 70 kg")
        enter(terminal, "Executar…")
        enter(terminal, "Executar agora")
        terminal.wait_for(AGAIN)
        assert commands(terminal, "gemx auto run")[-1] == "gemx auto run sepse_bundle --input ./-"
    assert len(kept(run_gemx)) == 1


@skip_without_tmux
def test_names_of_files_run_nothing_and_break_no_list(opened: Open, workdir: Path, run_gemx: RunGemx) -> None:
    (workdir / "automations").mkdir()
    for name in HOSTILE:
        (workdir / "automations" / f"{name}.yaml").write_text(FREE)
    (workdir / "gemx").mkdir()
    (workdir / "gemx" / "__init__.py").write_text("open('ran', 'w').close()")
    with opened(200, 50) as terminal:
        enter(terminal, "Automações clínicas")
        terminal.wait_for("Automação>")
        terminal.type("touch ran)")
        # its own preview, of this very file
        terminal.wait_for("$(touch ran) ($(touch ran) 0)")
        terminal.send("C-u")
        screen = terminal.wait_for("sepse_bundle")
        assert all(
            name in screen for name in ("-dash", "a'b;touch ran;'", "new line", "{q}`touch ran`", "sepse_bundle")
        )
        for name in ("a'b", "{q}"):
            terminal.send("C-u")
            terminal.type(name)
            terminal.wait_for(f"file: automations/{name}")
        terminal.send("C-u")
        search(terminal, "Automação", "dash", "-dash")
        enter(terminal, "Novo paciente")
        answer(terminal, "Idade", "40")
        enter(terminal, "Executar…")
        enter(terminal, "Executar agora")
        terminal.wait_for(AGAIN)
        assert commands(terminal, "gemx auto run")[-1] == "gemx auto run -i idade=40 -- -dash"
        terminal.send("Enter")
        enter(terminal, "Automações clínicas")
        search(terminal, "Automação", "new line", "new line")
        enter(terminal, "Novo paciente")
        answer(terminal, "Idade", "40")
        enter(terminal, "Executar…")
        enter(terminal, "Executar agora")
        terminal.wait_for(AGAIN)
    assert [each["automation"] for each in kept(run_gemx)] == ["new\nline", "-dash"]
    assert sorted(each.name for each in workdir.iterdir()) == ["automations", "gemx"]


@skip_without_tmux
def test_settings_of_fzf_for_the_shell_do_not_hold_here(opened: Open, workdir: Path) -> None:
    hostile = {
        "FZF_DEFAULT_OPTS": "--bind 'start:execute-silent(touch ran)+abort' --no-such-option",
        "FZF_DEFAULT_OPTS_FILE": "/nonexistent",
        "FZF_DEFAULT_COMMAND": "touch ran",
        "SHELL": "/nonexistent",
    }
    with opened(**hostile) as terminal:
        enter(terminal, "Automações clínicas")
        assert "sepse_bundle" in terminal.wait_for("idade *: Idade")
    assert list(workdir.iterdir()) == []


# how it ends


@skip_without_tmux
@pytest.mark.parametrize(("key", "code"), [("Escape", 0), ("C-c", 130)])
def test_esc_and_ctrl_c_go_back_one_level_and_leave_the_first_menu(key: str, code: int, opened: Open) -> None:
    with opened() as terminal:
        enter(terminal, "Calculadoras")
        terminal.wait_for("Calculadora>")
        terminal.send(key)
        terminal.wait_for("» Calculadoras")
        terminal.send(key)
        assert terminal.wait_ended() == code


@skip_without_tmux
def test_esc_and_enter_at_once_are_one_after_the_other(opened: Open) -> None:
    with opened() as terminal:
        enter(terminal, "Configuração e diagnóstico")
        terminal.wait_for("Guardar a chave")
        # back, and then the last entry of the first menu
        terminal.send("Escape", "Down", "Enter")
        assert terminal.wait_ended() == 0


@skip_without_tmux
def test_the_last_entry_leaves(opened: Open) -> None:
    with opened() as terminal:
        enter(terminal, "Sair")
        assert terminal.wait_ended() == 0


@skip_without_tmux
@pytest.mark.parametrize("inside", [False, True])
def test_terminated_at_a_question_and_at_a_list(inside: bool, opened: Open) -> None:
    with opened() as terminal:
        terminal.wait_for(TOP)
        if inside:
            enter(terminal, "Calculadoras")
            terminal.wait_for("Calculadora>")
        os.kill(terminal.pid, signal.SIGTERM)
        assert terminal.wait_ended() == 143
        # the terminal is given back as it was: no list stands there
        shown = terminal.everything()
        assert "gemx: terminated" in shown
        assert "Calculadora>" not in shown


@skip_without_tmux
def test_a_failure_is_named_and_leads_back(opened: Open) -> None:
    with opened() as terminal:
        enter(terminal, "Perguntar ao modelo")
        terminal.wait_for("Pergunta:")
        terminal.type("Oi")
        terminal.send("C-j")
        terminal.type("tudo bem?")
        terminal.send("Enter")
        terminal.wait_for("· Pergunta: Oi tudo bem?")
        # nothing that was typed is lost by a slip
        terminal.send("Escape")
        enter(terminal, "Ficar")
        enter(terminal, "Modelo padrão")
        search(terminal, "Modelo", "3.8-flash", "gemini:gemini-3.8-flash")
        enter(terminal, "Executar…")
        terminal.wait_for("a pergunta e os anexos sairão desta máquina")
        enter(terminal, "Executar agora")
        assert "Terminou com código 5: o modelo recusou" in terminal.wait_for(AGAIN)
        assert "gemx gen 'Oi\ntudo bem?' -m gemini:gemini-3.8-flash" in terminal.screen()
        terminal.send("Enter")
        terminal.wait_for(TOP)


@skip_without_tmux
def test_a_file_with_errors_is_shown_and_leads_back(opened: Open, workdir: Path) -> None:
    (workdir / "automations").mkdir()
    (workdir / "automations" / "quebrada.yaml").write_text("gemx: automation/v1\n")
    with opened() as terminal:
        enter(terminal, "Automações clínicas")
        search(terminal, "Automação", "quebrada", "(arquivo com erro")
        assert "quebrada.yaml" in terminal.wait_for(AGAIN)
        terminal.send("Enter")
        terminal.wait_for(TOP)


@skip_without_tmux
def test_a_calculator_of_a_plugin_that_fails_leads_back(opened: Open, gemx_home: Path, tmp_path: Path) -> None:
    code = made_plugins.CALCULATOR.format(id="dobro", body="raise LookupError('x')")
    made_plugins.write(tmp_path / "packages", "gemx-made", {"calculators": {"dobro": "gemx_made:MADE"}}, code)
    (gemx_home / "config").mkdir(parents=True)
    (gemx_home / "config/config.json").write_text(json.dumps({"version": 1, "plugins": ["gemx-made"]}))
    with opened(PYTHONPATH=str(tmp_path / "packages")) as terminal:
        enter(terminal, "Calculadoras")
        search(terminal, "Calculadora", "dobro", "Dobro")
        answer(terminal, "Pressão média", "60")
        enter(terminal, "Executar…")
        assert "the plugin gemx-made failed" in terminal.wait_for(AGAIN)
        terminal.send("Enter")
        terminal.wait_for(TOP)


# the other sections


@skip_without_tmux
def test_a_calculator_asks_for_one_of_alternatives(opened: Open) -> None:
    with opened() as terminal:
        enter(terminal, "Calculadoras")
        search(terminal, "Calculadora", "curb", "CURB-65")
        answer(terminal, "Idade", "70")
        terminal.wait_for("Confusão")
        terminal.send("n", "Enter")
        answer(terminal, "Frequência respiratória", "30")
        answer(terminal, "Pressão sistólica", "80")
        answer(terminal, "Pressão diastólica", "50")
        enter(terminal, "Ureia")
        answer(terminal, "Ureia (de 1 a 800", "60")
        enter(terminal, "Executar…")
        assert "4 pontos" in terminal.wait_for(AGAIN)
        expected = (
            "gemx calc run curb_65 -i age=70 -i 'confusion=não' -i respiratory_rate=30 -i sbp=80 -i dbp=50 -i urea=60"
        )
        assert commands(terminal, "gemx calc run") == [expected] * 2


@skip_without_tmux
def test_a_template_is_filled_in_with_a_file(opened: Open, workdir: Path, run_gemx: RunGemx) -> None:
    (workdir / "exame.md").write_text("# Exame\n\nLactato de 4,6 mmol/L na admissão.\n")
    with opened() as terminal:
        enter(terminal, "Modelos de texto")
        search(terminal, "Modelo de texto", "evolucao", "evolucao Evolução")
        terminal.wait_for("anotações do dia")
        terminal.type("Qual o lactato?")
        terminal.send("Enter")
        enter(terminal, "Acrescentar um dado opcional")
        search(terminal, "Dado", "formato", "formato da")
        enter(terminal, "SOAP")
        terminal.wait_for("Dado>")
        terminal.send("Escape")
        enter(terminal, "Anexar um arquivo")
        terminal.wait_for("Arquivo (")
        terminal.type("nada")
        terminal.wait_for("não há arquivo")
        terminal.send("C-u")
        terminal.type("exame.md")
        terminal.wait_gone("não há arquivo")
        terminal.send("Enter")
        terminal.wait_for("Anexos: exame.md")
        enter(terminal, "Executar…")
        enter(terminal, "Executar agora")
        terminal.wait_for(AGAIN)
        line = commands(terminal, "gemx gen")[-1]
    assert line == "gemx gen 'Qual o lactato?' -t evolucao -p formato=SOAP -f exame.md"
    assert kept(run_gemx)[0]["data"]["template"]["name"] == "evolucao"


@skip_without_tmux
def test_the_history_shows_and_erases_once_that_is_confirmed(opened: Open, run_gemx: RunGemx, workdir: Path) -> None:
    assert run_gemx("gen", "Qual o lactato?", "-m", "extractive").code == 0
    with opened() as terminal:
        enter(terminal, "Histórico")
        # the preview is what the history shows
        terminal.wait_for("## Prompt")
        terminal.send("Enter")
        enter(terminal, "Mostrar")
        assert "Qual o lactato?" in terminal.wait_for(AGAIN)
        terminal.send("Enter")
        # what cannot be undone is not done by Enter alone
        for entry, left in (("", 1), ("Executar agora", 0)):
            terminal.wait_for("Histórico>")
            terminal.send("Enter")
            enter(terminal, "Apagar para sempre")
            terminal.wait_for("Executar?")
            if entry:
                enter(terminal, entry)
            else:
                terminal.send("Enter")
            terminal.wait_for("Histórico>" if left else AGAIN)
            assert len(kept(run_gemx)) == left
        terminal.send("Enter")
        terminal.wait_for("nada está guardado")


@skip_without_tmux
def test_a_profile_and_a_model_hold_from_then_on(opened: Open, run_gemx: RunGemx) -> None:
    with opened() as terminal:
        enter(terminal, "Perfis")
        search(terminal, "Perfil", "coding", "coding")
        enter(terminal, "Usar de agora em diante")
        enter(terminal, "Executar agora")
        terminal.wait_for(AGAIN)
        terminal.send("Enter")
        enter(terminal, "Modelos de IA")
        assert "Em uso: extractive (automático" in terminal.wait_for("Modelo>")
        search(terminal, "Modelo", "3.7-flash", "gemini:gemini-3.7-flash")
        enter(terminal, "Executar agora")
        terminal.wait_for(AGAIN)
        terminal.send("Enter")
        terminal.wait_for("Em uso: gemini:gemini-3.7-flash (escolhido por config.json)")
    assert run_gemx("config", "get", "model").out == "gemini:gemini-3.7-flash\n"
    assert run_gemx("config", "get", "profile").out == "coding\n"


@skip_without_tmux
def test_a_flow_is_run_over_the_lines_of_a_file(opened: Open, workdir: Path) -> None:
    (workdir / "dois.csv").write_text("idade,sexo,peso,pas,pad\n64,M,70,82,44\n50,F,60,110,70\n")
    with opened(120, 40) as terminal:
        enter(terminal, "Fluxos, e lotes")
        search(terminal, "Fluxo", "lote", "lote_pacientes")
        enter(terminal, "Executar para cada linha")
        terminal.wait_for("Arquivo com um item por linha")
        terminal.type("dois.csv")
        terminal.send("Enter")
        enter(terminal, "Estimar antes")
        terminal.wait_for(AGAIN)
        terminal.send("Enter")
        enter(terminal, "Modelo:")
        search(terminal, "Modelo", "extractive", "sem modelo")
        enter(terminal, "Executar…")
        enter(terminal, "Executar agora")
        terminal.wait_for(AGAIN)
        command = "gemx flow batch lote_pacientes --items dois.csv --out dois-resultado.jsonl -m extractive"
        assert commands(terminal, "gemx flow batch")[-1] == command
    rows = [json.loads(line) for line in (workdir / "dois-resultado.jsonl").read_text().splitlines()]
    assert [row["status"] for row in rows] == ["done", "done"]


@skip_without_tmux
def test_a_flow_is_filled_in_and_run_once(opened: Open, run_gemx: RunGemx) -> None:
    with opened(120, 40) as terminal:
        enter(terminal, "Fluxos, e lotes")
        search(terminal, "Fluxo", "pergunta", "flow_example")
        enter(terminal, "Executar uma vez")
        answer(terminal, "Pergunta", "Qual a PAM alvo?")
        enter(terminal, "Modelo:")
        search(terminal, "Modelo", "extractive", "sem modelo")
        enter(terminal, "Executar…")
        enter(terminal, "Executar agora")
        terminal.wait_for(AGAIN)
        command = "gemx flow run flow_example -i 'pergunta=Qual a PAM alvo?' -m extractive"
        assert commands(terminal, "gemx flow run")[-1] == command
    assert "flow run" in {each["command"] for each in run_gemx("logs", "list", "--json").json["data"]}


@skip_without_tmux
def test_a_knowledge_base_is_made_and_searched(opened: Open, workdir: Path) -> None:
    (workdir / "sepse.md").write_text("# Sepse\n\nA pressão arterial média alvo é 65 mmHg.\n")
    with opened(120, 40) as terminal:
        enter(terminal, "Bases de conhecimento")
        enter(terminal, "Acrescentar documentos")
        terminal.wait_for("Arquivo ou pasta")
        terminal.type("sepse.md")
        terminal.send("Enter")
        enter(terminal, "Executar agora")
        terminal.wait_for(AGAIN)
        terminal.send("Enter")
        enter(terminal, "Bases de conhecimento")
        search(terminal, "Base", "def", "default")
        enter(terminal, "Procurar trechos")
        terminal.wait_for("Procurar por")
        terminal.type("pressão alvo")
        terminal.send("Enter")
        terminal.wait_for(AGAIN)
        assert commands(terminal, "gemx kb search")[-1] == "gemx kb search 'pressão alvo' --kb default"
        assert "65 mmHg" in terminal.everything()


@skip_without_tmux
def test_the_report_is_written_and_the_log_verified(opened: Open, run_gemx: RunGemx, workdir: Path) -> None:
    assert run_gemx("gen", "oi", "-m", "extractive", "-q").code == 0
    with opened() as terminal:
        enter(terminal, "Uso, custos")
        enter(terminal, "Relatório em uma página")
        enter(terminal, "Executar…")
        terminal.wait_for(AGAIN)
        assert commands(terminal, "gemx stats report")[-1] == "gemx stats report --html uso.html --since 30d"
        terminal.send("Enter")
        enter(terminal, "Voltar")
        enter(terminal, "Registro de auditoria")
        enter(terminal, "Conferir se o registro")
        terminal.wait_for(AGAIN)
        assert "Terminou com código" not in terminal.everything()
    assert '"gen"' in (workdir / "uso.html").read_text()


@skip_without_tmux
def test_a_narrow_terminal_cuts_and_wraps(opened: Open) -> None:
    with opened(60, 20) as terminal:
        enter(terminal, "Automações clínicas")
        # too narrow for two columns: the preview is below
        screen = terminal.wait_for("idade *: Idade, de 18 a 120 anos")
        assert "…" in screen


# parts


def test_its_libraries_are_imported_by_the_menus_that_use_them(environment: dict[str, str]) -> None:
    libraries = {"questionary", "prompt_toolkit", "iterfzf", "asyncio"}
    script = f"import sys; from gemx.cli.app import main; main(['menu']); print({libraries} & sys.modules.keys())"
    command = [sys.executable, "-c", script]
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"


def test_every_section_and_setting_is_a_command_that_there_is(run_gemx: RunGemx) -> None:
    sections = menu._sections()
    free = {"auto", "gen", "chat", "templates", "calc", "flow", "kb", "history", "stats", "logs", "profiles", "models"}
    assert free | {"setup"} == set(sections)
    own = (*menu_kept._SETTINGS, *menu_record.STATISTICS, *menu_record.LOG)
    own += tuple(each.value for each in (*menu_flows.ACTIONS, *menu_kb.ACTIONS) if each.value)
    for words in (*own, "auto run", "chat --cid x", "auto note", "history show", "history remove"):
        assert run_gemx(*words.split(), "--help").code == 0


@pytest.mark.parametrize("word", [*HOSTILE, "", "a b", "é", "tab\there", "back\\slash\x07", "\udce9", "it's\x1b"])
def test_a_written_command_line_is_read_back_as_it_was(word: str) -> None:
    line = menu_run.written(["gen", word])
    assert "\x1b" not in line
    read = subprocess.run(
        ["bash", "-c", f"gemx() {{ printf '%s\\0' \"$@\"; }}; {line}"],
        env={"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]},
        capture_output=True,
        check=True,
    )
    assert read.stdout.split(b"\0")[:-1] == [b"gen", word.encode("utf-8", "surrogateescape")]


@pytest.mark.parametrize("broken", ["missing", "not executable", "fails"])
def test_a_picker_that_cannot_run_is_an_error_that_says_so(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import iterfzf

    fzf = tmp_path / "fzf"
    if broken != "missing":
        fzf.write_text("#!/bin/sh\nexit 2\n")
        fzf.chmod(0o755 if broken == "fails" else 0o644)
    monkeypatch.setattr(iterfzf, "BUNDLED_EXECUTABLE", fzf)
    with pytest.raises(ConfigError, match="não funciona nesta máquina"):
        picker.pick("Nada", {"a": "a"})


def test_enter_alone_is_no_denial() -> None:
    from gemx.clinical import inputs

    allergies = form.of_input(inputs.load_inputs()["alergias"], required=False)
    assert allergies.read("") == Reading(None)
    assert allergies.read("nega") == Reading("nega")
    assert allergies.unknown == "desconhecido"
    assert allergies.read(allergies.unknown) == Reading(None)


def test_going_back_from_the_first_question_leaves_the_form(monkeypatch: pytest.MonkeyPatch) -> None:
    said = iter(["1", Back, Back])

    def line(*_: Any, **__: Any) -> str:
        if (each := next(said)) is Back:
            raise Back
        return str(each)

    monkeypatch.setattr(questions, "line", line)
    asked = Field("Dado", "", lambda text: Reading(text or None), required=True)
    values: dict[str, str] = {}
    with pytest.raises(Back):
        form.fill({"a": asked, "b": asked}, values)
    assert values == {"a": "1"}


def test_a_form_knows_what_is_missing() -> None:
    def read(text: str) -> Reading:
        if text == "x":
            raise InputError("não")
        return Reading(text or None)

    asked = Field("Dado", "", read, required=True)
    filled = Form("Título", {"a": asked, "b": asked, "c": asked}, typed={"a": "1", "b": "x"})
    assert list(filled.missing) == ["b", "c"]


@pytest.mark.parametrize("allowed", [False, True])
def test_data_leave_this_machine_where_another_model_may_take_over(gemx_home: Path, allowed: bool) -> None:
    config = {"version": 1, "fallback": ["gemini:gemini-3.8-flash"], "allow_cloud": allowed}
    (gemx_home / "config").mkdir(parents=True)
    (gemx_home / "config/config.json").write_text(json.dumps(config))
    assert menu_models.leaves("extractive", clinical=True) is allowed


@pytest.mark.parametrize("text", ["ação " * 40, "汉字" * 60, "linha\nnova\t\x1b[31m"])
def test_a_cut_text_fits(text: str) -> None:
    from prompt_toolkit.utils import get_cwidth

    shown = questions.cut(text, 30)
    assert get_cwidth(shown) <= 30
    assert "\n" not in shown
    assert "\x1b" not in shown
    assert shown.endswith("…") == (len(text) > 30)
