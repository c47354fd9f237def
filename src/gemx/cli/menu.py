"""`gemx menu`: the whole command in menus, in pt-BR, for people who remember no flags.

A menu composes a command line, shows it and runs exactly that. A section is an entry of the table below; one whose
command gemx does not have is not shown.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass

from gemx.cli import output
from gemx.errors import GemxError, StoppedError, UsageError

_LEAVE = "leave"


@dataclass(frozen=True)
class Section:
    """An entry of the menu: the command that it is for, its title, and what opens it."""

    command: str
    title: str
    open: Callable[[], None]


def menu() -> int:
    """Everything in menus, in Portuguese: pick, fill in, run, and copy the command line that does the same.

    Needs a terminal. Esc and Ctrl-C go back one level; in the first menu Esc leaves with 0, and Ctrl-C with 130.
    """
    output.begin("menu")
    require_terminal("menu", "gemx auto run NAME -i KEY=VALUE …, or another command of gemx --help")
    from gemx.cli import questions
    from gemx.cli.questions import Back, Choice

    sections = _sections()
    choices = [*(Choice(name, each.title) for name, each in sections.items()), Choice(_LEAVE, "Sair")]
    chosen = None
    while True:
        try:
            chosen = questions.choose("gemx: o que deseja fazer?", choices, chosen)
        except Back:
            return 0
        if chosen == _LEAVE:
            return 0
        _open(sections[chosen])


def _sections() -> dict[str, Section]:
    from gemx.cli import menu_calc, menu_flows, menu_gen, menu_kb, menu_kept, menu_models, menu_record, tree
    from gemx.cli.menu_automations import Patients

    table = {
        "auto": Section("auto", "Automações clínicas", Patients().section),
        "gen": Section("gen", "Perguntar ao modelo", menu_gen.section),
        "chat": Section("chat", "Conversar", menu_gen.chat),
        "templates": Section("templates", "Modelos de texto", menu_gen.templates),
        "calc": Section("calc", "Calculadoras", menu_calc.section),
        "flow": Section("flow", "Fluxos, e lotes de um arquivo", menu_flows.section),
        "kb": Section("kb", "Bases de conhecimento", menu_kb.section),
        "history": Section("history", "Histórico", menu_kept.history),
        "stats": Section("stats", "Uso, custos e relatório", menu_record.statistics),
        "logs": Section("logs", "Registro de auditoria", menu_record.log),
        "profiles": Section("profiles", "Perfis", menu_kept.profiles),
        "models": Section("config", "Modelos de IA", menu_models.section),
        "setup": Section("config", "Configuração e diagnóstico", menu_kept.setup),
    }
    return {name: section for name, section in table.items() if section.command in tree.SUMMARIES}


def _open(section: Section) -> None:
    """Open a section; what goes wrong in it is shown, and leads back to the menu."""
    from gemx.cli import questions

    try:
        section.open()
    except StoppedError:
        raise
    except GemxError as exc:
        output.error(exc)
        questions.pause("Enter volta ao menu")
    except KeyboardInterrupt:
        return


def require_terminal(command: str, instead: str) -> None:
    """Raise UsageError, which names what to use instead, where there is no terminal that a list can be picked on."""
    moves = os.environ.get("TERM", "dumb") not in ("", "dumb", "unknown")
    if not (moves and output.is_terminal(sys.stdin) and output.is_terminal(sys.stdout)):
        message = f"gemx {command} needs a terminal that moves its cursor, as its input and output"
        raise UsageError(message, hint=f"without one: {instead}")
