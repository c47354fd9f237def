"""`gemx plugins`: list what is installed, and switch it on and off in config.json."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gemx.cli import options, output, plugin_commands
from gemx.errors import GemxError, PluginError, UsageError

if TYPE_CHECKING:
    from gemx.config_file import Written
    from gemx.plugins import Offer, Plugin

app = typer.Typer(no_args_is_help=True, help="Plugins: list what is installed, enable and disable it.")

_RIGHTS = "its code runs with all of your rights, and may read what you ask; enable what you trust"


def _names_to_enable(incomplete: str) -> list[str]:
    from gemx import plugins

    return [plugin.name for plugin in plugins.available() if plugin.name.startswith(incomplete)]


def _names_to_disable(incomplete: str) -> list[str]:
    from gemx import plugins

    return [name for name in plugins.enabled() if name.startswith(incomplete)]


@app.command("list")
def list_(as_json: options.AsJson = False) -> None:
    """List the plugins: what each offers, whether it is enabled, and whether it loads.

    An enabled plugin is loaded for it, and no other.
    """
    output.begin("plugins list", as_json=as_json)
    from gemx import plugins

    on = plugins.enabled()
    installed = {plugin.name: plugin for plugin in plugins.available()}
    names = list(dict.fromkeys([*on, *installed]))
    rows = [_row(name, installed.get(name) or plugins.installed(name), on) for name in names]
    if as_json:
        output.as_json({"plugins": rows})
        return
    width = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        for line in _lines(row, width):
            output.result(line)
    if not rows:
        output.note("no plugin is installed; with pipx: pipx inject gemx NAME")


@app.command()
def enable(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME...", help="Installed plugins.", autocompletion=_names_to_enable),
    ],
    as_json: options.AsJson = False,
) -> None:
    """Let installed plugins be used, by `plugins` in config.json. What they bring runs with your rights."""
    output.begin("plugins enable", as_json=as_json)
    from gemx import config_file, plugins

    plugins.enabled()  # a list that cannot be read is not replaced
    chosen = [_installed(name) for name in dict.fromkeys(plugins.normalized(name) for name in names)]

    def add(data: dict[str, Any]) -> None:
        data["plugins"] = list(dict.fromkeys([*_listed(data), *(plugin.name for plugin in chosen)]))

    written = config_file.change(add)
    if as_json:
        output.as_json(_outcome([plugin.name for plugin in chosen], written))
        return
    for plugin in chosen:
        output.result(f"{plugin.name} {plugin.version} is enabled: {', '.join(map(str, plugin.offers))}")
        for offer in plugin.offers:
            if problem := _problem_of_name(offer):
                output.warning(f"gemx: {offer}: {problem}")
    _tell(written, "it was enabled already")
    output.note(_RIGHTS)


@app.command()
def disable(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME...", help="Enabled plugins.", autocompletion=_names_to_disable),
    ],
    as_json: options.AsJson = False,
) -> None:
    """Let plugins not be used any more; they stay installed."""
    output.begin("plugins disable", as_json=as_json)
    from gemx import config_file, plugins

    chosen = list(dict.fromkeys(plugins.normalized(name) for name in names))
    _refuse_unknown(chosen, plugins.enabled())

    def take(data: dict[str, Any]) -> None:
        data["plugins"] = [name for name in _listed(data) if name not in chosen]

    written = config_file.change(take)
    if as_json:
        output.as_json(_outcome(chosen, written))
    else:
        for name in chosen:
            output.result(f"{name} is disabled")
        _tell(written, "it was not enabled")
    _say_what_is_missed()


def _row(name: str, plugin: Plugin | None, on: Sequence[str]) -> dict[str, Any]:
    """A plugin as data; one that is not enabled is not loaded."""
    row = {"name": name, "version": plugin.version if plugin else None, "enabled": name in on}
    problem = plugin.problem if plugin else f"it is not installed; with pipx: pipx inject gemx {name}"
    if plugin and not plugin.offers and not problem:
        problem = "it offers nothing to gemx"
    offered = plugin.offers if plugin else ()
    found = [{"kind": each.kind, "name": each.name, "problem": _problem(each, name in on)} for each in offered]
    return {**row, "installed": plugin is not None, "problem": problem, "offers": found}


def _lines(row: dict[str, Any], width: int) -> Iterator[str]:
    state = "on " if row["enabled"] else "off"
    yield f"{state}  {row['name']:<{width}}  {row['version'] or ''}".rstrip()
    if row["problem"]:
        yield f"     {row['problem']}"
    for each in row["offers"]:
        problem = f": {each['problem']}" if each["problem"] else ""
        yield f"     {each['kind']} {each['name']}{problem}"


def _problem(offer: Offer, loads: bool) -> str | None:
    """Why a feature cannot be had; what only its code shows is known of an enabled plugin alone."""
    return _problem_of_name(offer) or (_problem_of_code(offer) if loads else None)


def _problem_of_name(offer: Offer) -> str | None:
    from gemx import gateway, plugins

    if not offer.is_named_well:
        return "it is not used: its name must be lower-case letters, digits, _ and -"
    own = {"command": _own_commands(), "provider": list(gateway.PROVIDERS)}
    if offer.name in own.get(offer.kind, ()):
        return f"it is not used: gemx has a {offer.kind} of that name"
    first = plugins.find(offer.kind, offer.name)
    if offer.kind != "calculator" and first and first.plugin != offer.plugin:
        return f"it is not used where {first.plugin} is enabled before it: that has one of that name"
    return None


def _problem_of_code(offer: Offer) -> str | None:
    from gemx import gateway
    from gemx.plugins import calculators, flow_steps

    check = {
        "command": plugin_commands.of,
        "provider": gateway.check_plugin,
        "calculator": calculators.of,
        "flow step": flow_steps.of,
    }
    try:
        check[offer.kind](offer)
    except PluginError as exc:
        return exc.message.partition("): ")[2]
    mine = [said for said in calculators.foreign().clashes if said.startswith(f"{offer.plugin}: ")]
    return "; ".join(mine) or None if offer.kind == "calculator" else None


def _own_commands() -> list[str]:
    from gemx.cli.app import app as root

    return list(typer.main.get_group(root).commands)


def _installed(name: str) -> Plugin:
    """The plugin of that name. Raises UsageError with what was meant, or how to have it."""
    from gemx import library, plugins

    available = {plugin.name: plugin for plugin in plugins.available()}
    if name in available:
        return available[name]
    if plugins.installed(name):
        raise UsageError(f"{name} is installed and offers nothing to gemx", hint="gemx plugins list shows what does")
    hint = f"with pipx: pipx inject gemx {name}; gemx plugins list shows what is installed"
    raise UsageError(f"no plugin {name} is installed{library.suggest(name, available)}", hint=hint)


def _refuse_unknown(names: Sequence[str], on: Sequence[str]) -> None:
    from gemx import library, plugins

    for name in names:
        if name not in on and not plugins.installed(name):
            near = library.suggest(name, on)
            raise UsageError(f"{name} is neither enabled nor installed{near}", hint="gemx plugins list shows what is")


def _listed(data: dict[str, Any]) -> list[str]:
    """The plugins of a config.json as they stand."""
    listed: Any = data.get("plugins", [])
    return listed if isinstance(listed, list) else []  # pyright: ignore[reportUnknownVariableType]


def _say_what_is_missed() -> None:
    """Warn where config.json names what only the plugin had."""
    from gemx import configuration, gateway, places

    try:
        gateway.check_config(configuration.load(places.config_file()))
    except GemxError as exc:
        output.warning(f"gemx: {exc.message}")


def _outcome(names: Sequence[str], written: Written) -> dict[str, Any]:
    return {"names": names, "path": written.path, "changed": written.changed, "backup": written.backup}


def _tell(written: Written, unchanged: str) -> None:
    if not written.changed:
        output.note(unchanged)
    if written.backup:
        output.note(f"config.json had an older form: that one is kept as {written.backup}")
