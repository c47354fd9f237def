"""What a shell offers at the tab key, asked as bash, zsh and fish ask."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tmux import Terminal, skip_without_tmux

GEMX = Path(sys.executable).with_name("gemx")
Ask = Callable[..., list[str]]


def _environment(shell: str, words: list[str]) -> dict[str, str]:
    if shell == "bash":
        return {"_GEMX_COMPLETE": "complete_bash", "COMP_WORDS": "\n".join(words), "COMP_CWORD": str(len(words) - 1)}
    action = {"_TYPER_COMPLETE_FISH_ACTION": "get-args"} if shell == "fish" else {}
    return {"_GEMX_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": " ".join(words), **action}


@pytest.fixture
def ask(gemx_home: Path, workdir: Path) -> Ask:
    def asked(*words: str, shell: str = "bash") -> list[str]:
        environment = {"PATH": os.environ["PATH"], "GEMX_HOME": str(gemx_home), **_environment(shell, ["gemx", *words])}
        done = subprocess.run([GEMX], env=environment, capture_output=True, text=True, timeout=30, check=False)
        assert done.stderr == ""
        return done.stdout.split("\n")[:-1]

    return asked


def user_file(home: Path, kind: str, name: str) -> None:
    folder = home / "config" / kind
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_an_automations_name_is_completed_in_every_shell(shell: str, ask: Ask) -> None:
    assert "sepse_bundle" in "\n".join(ask("auto", "run", "se", shell=shell))
    assert "hda_triage" not in "\n".join(ask("auto", "run", "se", shell=shell))


def test_names_of_the_user_and_of_the_folder_stand_beside_the_shipped_ones(
    ask: Ask, gemx_home: Path, workdir: Path
) -> None:
    for kind in ("automations", "templates", "flows", "profiles"):
        user_file(gemx_home, kind, "meu.yaml")
        (workdir / kind).mkdir()
        (workdir / kind / "daqui.yml").write_text("")
        (workdir / kind / "leia.txt").write_text("")
    assert ask("auto", "show", "") == ["daqui", "hda_triage", "ira_aki", "meu", "sepse_bundle"]
    offered = ask("gen", "-t", "")
    assert {"daqui", "meu", "passagem_sbar", "evolucao"} <= set(offered)
    assert not {"automacao", "leia"} & set(offered)
    assert {"daqui", "meu"} <= set(ask("flow", "run", ""))
    # a folder holds no profiles
    assert ask("gen", "--profile", "") == ["clinical", "coding", "meu", "research"]


def test_models_are_those_that_are_there(ask: Ask, gemx_home: Path) -> None:
    assert ask("gen", "-m", "") == ["extractive", "gemini:", "gguf:", "openai:"]
    (gemx_home / "data/models").mkdir(parents=True)
    for name in ("llama.gguf", "mmproj-llama.gguf"):
        (gemx_home / "data/models" / name).write_bytes(b"GGUF")
    (gemx_home / "config").mkdir(parents=True)
    endpoints = {"endpoints": {"uti": {"base_url": "http://127.0.0.1:1/v1"}}}
    (gemx_home / "config/config.json").write_text(json.dumps(endpoints))
    assert ask("gen", "-m", "")[2:] == ["gguf:", "gguf:llama", "openai:", "openai:uti"]
    assert ask("config", "set-key", "") == ["gemini", "huggingface", "uti"]
    assert ask("models", "use", "") == ["llama"]
    assert ask("models", "install", "medgemma-4") == ["medgemma-4b"]


@pytest.mark.parametrize(
    ("cut", "offered"),
    [
        (["-m", "gguf", ":", "ll"], ["llama"]),
        (["-m", "gguf", ":"], ["", "llama"]),
        (["--model", "=", "gguf", ":", "ll"], ["llama"]),
        (["--model", "=", "gem"], ["gemini:"]),
        (["-p", "tom", "=", "-m", "gguf", ":", "ll"], ["llama"]),
        (["-s", "'um dois'", "-m", "ex"], ["extractive"]),
    ],
)
def test_bash_is_given_what_it_replaces_of_a_word_that_it_cuts(
    ask: Ask, gemx_home: Path, cut: list[str], offered: list[str]
) -> None:
    # as bash has the words of `gemx gen -m gguf:ll`
    (gemx_home / "data/models").mkdir(parents=True)
    (gemx_home / "data/models/llama.gguf").write_bytes(b"GGUF")
    assert ask("gen", *cut) == offered


def test_a_word_after_a_space_is_a_word_of_its_own(ask: Ask) -> None:
    assert ask("auto", "run", "sepse_bundle", "-i", "alergias", "=", "--mod") == ["--model"]


@pytest.mark.parametrize("words", ["gemx gen -t evol", "gemx\ngen\n-t\nevol"])
def test_words_on_one_line_are_understood_too(gemx_home: Path, words: str) -> None:
    environment = {"GEMX_HOME": str(gemx_home), "_GEMX_COMPLETE": "complete_bash", "COMP_CWORD": "3"}
    done = subprocess.run([GEMX], env={**environment, "COMP_WORDS": words}, capture_output=True, text=True, check=True)
    assert done.stdout == "evolucao\n"


@pytest.mark.parametrize("text", ["{", "[]", '{"endpoints": 3}', "\udcff"])
def test_a_broken_configuration_costs_only_its_own_names(ask: Ask, gemx_home: Path, text: str) -> None:
    (gemx_home / "config").mkdir(parents=True)
    (gemx_home / "config/config.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert ask("gen", "-m", "g") == ["gemini:", "gguf:"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_name_that_a_shell_would_run_is_not_offered(shell: str, ask: Ask, workdir: Path) -> None:
    (workdir / "templates").mkdir()
    for name in ("ação.v2", "a\\$(touch ran)", "a`touch ran`", "a;touch ran", "a\x1b[31m", "a b"):
        (workdir / "templates" / f"{name}.yaml").write_text("")
    offered = "\n".join(ask("gen", "-t", "a", shell=shell))
    assert "ação.v2" in offered
    for wrong in ("touch", "\x1b", "a b"):
        assert wrong not in offered


def test_commands_and_flags_are_completed(ask: Ask) -> None:
    assert {"gen", "auto", "history", "templates"} <= set(ask(""))
    assert {"run", "verify"} <= set(ask("auto", ""))
    assert ask("gen", "--max") == ["--max-cost"]
    assert ask("gen", "--guard", "m") == ["mask"]
    assert ask("--version", "") == ask("")


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_a_command_is_offered_with_what_it_does(ask: Ask, shell: str) -> None:
    assert "Clinical calculators" in "\n".join(ask("ca", shell=shell))
    assert "Print the value" in "\n".join(ask("config", "ge", shell=shell))


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_itself_completes(gemx_home: Path, workdir: Path) -> None:
    script = (
        'eval "$(_GEMX_COMPLETE=source_bash gemx)"; COMP_WORDS=(gemx auto run se); COMP_CWORD=3; '
        "_gemx_completion gemx; printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    environment = {"PATH": f"{GEMX.parent}:{os.environ['PATH']}", "GEMX_HOME": str(gemx_home)}
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "sepse_bundle\n"


@skip_without_tmux
def test_the_name_of_a_model_is_completed_behind_its_colon(gemx_home: Path, workdir: Path) -> None:
    # Typed into a real bash, which cuts and replaces words by rules of its own.
    (gemx_home / "data/models").mkdir(parents=True)
    (gemx_home / "data/models/medgemma.gguf").write_bytes(b"GGUF")
    environment = {"PATH": f"{GEMX.parent}:{os.environ['PATH']}", "GEMX_HOME": str(gemx_home), "PS1": "> "}
    with Terminal(["bash", "--norc", "-i"], environment, columns=80, rows=24, cwd=workdir) as bash:
        bash.wait_for(">")
        bash.type('eval "$(_GEMX_COMPLETE=source_bash gemx)" && echo rea"dy"\n')
        bash.wait_for("ready")
        for typed in ("gemx gen -m gguf:med", "gemx gen --model=gguf:med"):
            bash.type(typed)
            bash.send("Tab")
            bash.wait_for(f"{typed}gemma")
            bash.send("C-c")
            # readline throws away what is typed before it shows its prompt again
            bash.wait_for("^C\n>")
