"""The plugins that config.json switches on: whether each is there, and what of it does not load."""

from __future__ import annotations

from collections.abc import Iterator

from gemx import gateway, plugins
from gemx.diagnosis.check import Case, Check, fail, ok, warn
from gemx.errors import PluginError
from gemx.plugins import Offer, calculators, flow_steps

_CHECKS = {
    "command": plugins.load,
    "provider": gateway.check_plugin,
    "calculator": calculators.of,
    "flow step": flow_steps.of,
}


def enabled(case: Case) -> Iterator[Check]:
    """Every plugin that is enabled; none is loaded that is not."""
    for name in case.settings.config.plugins:
        off = f"gemx plugins disable {name}"
        plugin = plugins.installed(name)
        if plugin is None:
            yield warn("plugin", f"{name} is enabled and not installed", f"pipx inject gemx {name}\n{off}")
        elif plugin.problem:
            yield fail("plugin", f"{name}: {plugin.problem}", off)
        elif problems := list(_problems(plugin.offers)):
            more = f" ({len(problems)} of {len(plugin.offers)})" if problems[1:] else ""
            yield fail("plugin", f"{name} {plugin.version}: {problems[0]}{more}", f"gemx plugins list\n{off}")
        else:
            yield ok("plugin", f"{name} {plugin.version}: {', '.join(map(str, plugin.offers)) or 'offers nothing'}")


def _problems(offers: tuple[Offer, ...]) -> Iterator[str]:
    for offer in offers:
        try:
            _CHECKS[offer.kind](offer)
        except PluginError as exc:
            yield f"{offer} does not load: {exc.message.partition('): ')[2]}"
