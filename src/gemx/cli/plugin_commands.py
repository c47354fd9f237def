"""The root of the command line with the commands of enabled plugins behind gemx's own, whose names always win.

A plugin is imported when its command is run; the help shows its name alone. With no plugin enabled, and for gemx's own
commands, nothing is looked for.
"""

from __future__ import annotations

import errno
from contextlib import suppress
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand

from gemx.cli import tree
from gemx.errors import GemxError, UsageError

if TYPE_CHECKING:
    from gemx.plugins import Offer

_PANEL = "Plugins"
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Root(tree.Tree):
    """gemx's own commands, then those of plugins."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of all commands; a configuration that cannot be read has no plugins, and keeps nobody from help."""
        from gemx import plugins

        names = super().list_commands(ctx)
        with suppress(GemxError):
            names += [offer.name for offer in plugins.offers("command") if offer.is_named_well]
        return list(dict.fromkeys(names))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command of that name; of a plugin's, what will load it."""
        return super().get_command(ctx, cmd_name) or self._foreign(cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command that the arguments name; an unknown one may be that of a plugin that is not enabled."""
        try:
            return super().resolve_command(ctx, args)
        except typer.TyperException as exc:
            from gemx import plugins

            foreign = [name for name in self.list_commands(ctx) if name not in self.commands]
            if near := get_close_matches(args[0], foreign, n=1):
                said = f"No such command {args[0]!r}. Did you mean {near[0]!r} of a plugin?"
                raise UsageError(said, hint=f"gemx {near[0]} --help") from exc
            if hint := plugins.not_enabled("command", args[0]):
                raise UsageError(exc.format_message(), hint=hint) from exc
            raise

    def invoke(self, ctx: Any) -> Any:
        """Run the command; what a plugin's did not foresee is the plugin's failure and no bug of gemx."""
        try:
            return super().invoke(ctx)
        except Exception as exc:
            name = ctx.invoked_subcommand
            found = self._foreign(name) if name and name not in self.commands and not _is_foreseen(exc) else None
            if found is None:
                raise
            from gemx import plugins

            raise plugins.failed(found.offer, exc) from exc

    def _foreign(self, name: str) -> Foreign | None:
        from gemx import plugins

        offer = plugins.find("command", name)
        return Foreign(offer) if offer else None


class Foreign(TyperCommand):
    """A plugin's command that is not loaded before it is run, or asked for its own help."""

    def __init__(self, offer: Offer) -> None:
        super().__init__(offer.name, help=f"(plugin {offer.plugin})", rich_help_panel=_PANEL)
        self.offer = offer

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """The context of the command itself. Raises PluginError."""
        try:
            command = of(self.offer)
        except GemxError:
            if not extra.get("resilient_parsing"):
                raise
            # A shell completes: it has no use for what is wrong.
            return super().make_context(info_name, args, parent, **extra)
        return command.make_context(info_name, args, parent, **extra)


def of(offer: Offer) -> Any:
    """The command behind an entry point: of a function a command, of a typer.Typer a group. Raises PluginError."""
    from gemx import plugins

    loaded = plugins.load(offer)
    if not isinstance(loaded, typer.Typer) and not callable(loaded):
        raise plugins.broken(offer, f"expected a function or a typer.Typer, not {type(loaded).__name__}")
    root = typer.Typer(add_completion=False)
    try:
        if isinstance(loaded, typer.Typer):
            root.add_typer(loaded, name=offer.name)
        else:
            root.command(offer.name)(loaded)
        return typer.main.get_group(root).commands[offer.name]
    except plugins.FAULTS as exc:
        # Typer reads the signature now, and not before.
        raise plugins.broken(offer, plugins.said(exc)) from exc


def _is_foreseen(exc: Exception) -> bool:
    if isinstance(exc, OSError):
        return isinstance(exc, BrokenPipeError) or exc.errno in _FULL
    return isinstance(exc, (GemxError, typer.Exit, typer.Abort, typer.TyperException))
