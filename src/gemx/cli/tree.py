"""The commands at the root, by name: the module of one is imported when it is asked for, and not before.

The help of gemx and a shell's completion need no more than what is said of each here.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

# In the order of the help. A command is `app` of the module of its name, or the function of its name there.
SUMMARIES = {
    "gen": "Run one prompt and stream the answer. Standard input and files are added to it.",
    "chat": "Talk with a model, turn by turn, on a terminal.",
    "menu": "Everything in menus, in Portuguese: pick, fill in, run, and copy the command line that does the same.",
    "auto": "Clinical automations: run and verify; list, show, validate, new; drugs, rules, notes.",
    "calc": "Clinical calculators: list, show, run.",
    "flow": "Flows: steps that depend on each other, run once or over many items.",
    "kb": "Knowledge bases: add documents, search them, ask them with citations; show, remove, rebuild.",
    "models": "Local models: list, show, search, install, add, remove, use, verify.",
    "config": "Settings of config.json: read, change, edit, check; and API keys.",
    "profiles": "Profiles: model, options, system instruction, language, guard.",
    "templates": "Templates: named prompts with variables, for gemx gen -t.",
    "plugins": "Plugins: list what is installed, enable and disable it.",
    "history": "What was asked and answered: list, show, search, remove, prune, export.",
    "logs": "The audit log: list, show, tail, search, verify, checkpoint, export, prune, erase, replay, import.",
    "stats": "Figures of the audit log: calls, cost, latency, verification; a report; alerts for cron.",
    "doctor": "Check the installation: software, keys, endpoints, card, models, files, clock and audit, "
    "with their mends.",
}


class Tree(TyperGroup):
    """The root. Its `commands` have a name and a help alone, until one is resolved."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = {name: TyperCommand(name, help=text) for name, text in SUMMARIES.items()} | {**self.commands}

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the flags of the root."""
        if ctx.resilient_parsing:
            _take_as_given(self, ctx)
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command that the arguments name, whole."""
        name, command, rest = super().resolve_command(ctx, args)
        if name in SUMMARIES:
            command = load(name)
        if command and ctx.resilient_parsing:
            _take_as_given(command, ctx)
        return name, command, rest


def load(name: str) -> Any:
    """Import a command of the root, and build it with everything below it."""
    module = import_module(f"gemx.cli.{name}")
    root = typer.Typer()
    if group := getattr(module, "app", None):
        root.add_typer(group, name=name)
    else:
        root.command(name)(getattr(module, name))
    return typer.main.get_group(root).commands[name]


def whole(app: typer.Typer) -> Any:
    """The root with every command loaded, for what walks through all of them."""
    root: Any = typer.main.get_command(app)
    root.commands = {name: load(name) if name in SUMMARIES else command for name, command in root.commands.items()}
    return root


def _take_as_given(command: Any, ctx: Any) -> None:
    """Let no value be converted: Typer does it by Pydantic, which a completion would wait for and has no use for."""
    for parameter in command.get_params(ctx):
        parameter.process_value = _unconverted
    for inner in getattr(command, "commands", {}).values():
        _take_as_given(inner, ctx)


def _unconverted(context: Any, value: Any) -> Any:
    return value
