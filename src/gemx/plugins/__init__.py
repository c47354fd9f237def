"""Plugins: installed distributions that offer features to gemx, of which those that config.json names are used.

What a plugin offers is read from its metadata, without importing it. `load` imports it when a feature is asked for, and
whatever is wrong with it is then one PluginError. Knows no feature's form: that is for who uses it.
"""

from __future__ import annotations

import contextlib
import re
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from gemx import places, strict_json
from gemx.errors import PluginError, StoppedError, TimeoutExceededError

if TYPE_CHECKING:
    from importlib.metadata import Distribution, EntryPoint

Kind = Literal["command", "provider", "calculator", "flow step"]

# A further kind is a line here, and the place that asks for it.
GROUPS: dict[str, Kind] = {
    "gemx.commands": "command",
    "gemx.providers": "provider",
    "gemx.calculators": "calculator",
    "gemx.flow_steps": "flow step",
}
# What foreign code may raise and gemx survives: it must not end the command by itself either.
FAULTS = (Exception, SystemExit)
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_MOST_SAID = 300

_loading = threading.RLock()


@dataclass(frozen=True)
class Offer:
    """One feature that a plugin offers; `entry` leads to its code."""

    kind: Kind
    name: str
    plugin: str
    version: str
    entry: EntryPoint

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    @property
    def is_named_well(self) -> bool:
        """Whether its name is lower-case letters, digits, _ and -; another is not used."""
        return _NAME.fullmatch(self.name) is not None


_loaded: dict[Offer, Any] = {}


@dataclass(frozen=True)
class Plugin:
    """An installed distribution; `problem` says why its metadata cannot be used, where they cannot."""

    name: str
    version: str
    offers: tuple[Offer, ...]
    problem: str | None = None


def normalized(name: str) -> str:
    """A distribution's name as every spelling of it gives: `Gemx_Example` is gemx-example."""
    return re.sub(r"[-_.]+", "-", name).lower()


def enabled() -> tuple[str, ...]:
    """The plugins that config.json switches on, in its order. Raises ConfigError.

    Asked wherever a name is not known, the help included: it reads the one key, without the parser of all of them.
    """
    path = places.config_file()
    try:
        names: Any = strict_json.loads(path.read_text(encoding="utf-8")).get("plugins", [])
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, AttributeError):
        names = None
    if isinstance(names, list) and all(isinstance(name, str) for name in names):  # pyright: ignore[reportUnknownVariableType]
        return tuple(dict.fromkeys(normalized(name) for name in names))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    from gemx import configuration

    # It says what is wrong, and where.
    return tuple(configuration.load(path).plugins)


def offers(kind: Kind) -> list[Offer]:
    """What the enabled plugins offer of a kind, in the order of config.json: of two with a name, the first is used."""
    found = (installed(name) for name in enabled())
    return [offer for plugin in found if plugin for offer in plugin.offers if offer.kind == kind]


def find(kind: Kind, name: str) -> Offer | None:
    """The feature of that name that an enabled plugin offers."""
    return next((offer for offer in offers(kind) if offer.name == name and offer.is_named_well), None)


def not_enabled(kind: Kind, name: str) -> str | None:
    """Where a plugin that is installed and not enabled offers a feature of that name: how to have it."""
    on = enabled()
    for plugin in available():
        if plugin.name not in on and any((offer.kind, offer.name) == (kind, name) for offer in plugin.offers):
            return f"the plugin {plugin.name} has it, and is not enabled: gemx plugins enable {plugin.name}"
    return None


def installed(name: str) -> Plugin | None:
    """The installed distribution of that name, whether it offers something or not."""
    from importlib import metadata

    try:
        return _described(normalized(name), metadata.distribution(name))
    except (metadata.PackageNotFoundError, ValueError):
        return None


def available() -> list[Plugin]:
    """Every installed distribution that offers something, enabled or not, by name. Reads all of them."""
    from importlib import metadata

    found: dict[str, Plugin] = {}
    for distribution in metadata.distributions():
        with contextlib.suppress(Exception):
            # Of what is no plugin, nothing is wanted; of two copies, the first is what is imported.
            plugin = _described(normalized(distribution.name), distribution)
            found.setdefault(plugin.name, plugin)
    return sorted((plugin for plugin in found.values() if plugin.offers), key=lambda plugin: plugin.name)


def load(offer: Offer) -> Any:
    """Import what an entry point leads to, once. Raises PluginError, whatever goes wrong."""
    with _loading:
        if offer not in _loaded:
            _loaded[offer] = _imported(offer)
        return _loaded[offer]


def _imported(offer: Offer) -> Any:
    try:
        with _printing_to_stderr():
            return offer.entry.load()
    except (StoppedError, TimeoutExceededError):
        raise
    except FAULTS as exc:
        raise broken(offer, said(exc)) from exc


def _printing_to_stderr() -> contextlib.AbstractContextManager[Any]:
    """Keep what an import prints out of the result; but not in a thread, where the result may be being printed."""
    if threading.current_thread() is not threading.main_thread():
        return contextlib.nullcontext()
    return contextlib.redirect_stdout(sys.stderr)


def broken(offer: Offer, problem: str) -> PluginError:
    """A feature cannot be had, for a problem in a line."""
    return PluginError(f"the plugin {offer.plugin} does not load ({offer}): {problem}", hint=_way_out(offer.plugin))


def failed(offer: Offer, exc: BaseException) -> PluginError:
    """A feature failed in a way that it should not."""
    return PluginError(f"the plugin {offer.plugin} failed ({offer}): {said(exc)}", hint=_way_out(offer.plugin))


def said(exc: BaseException) -> str:
    """What an exception of foreign code says, in a line without any key."""
    from gemx import keys

    text = next(iter(str(exc).strip().splitlines()), "")[:_MOST_SAID]
    return keys.redact(f"{type(exc).__name__}: {text}" if text else type(exc).__name__)


def _way_out(plugin: str) -> str:
    return f"gemx plugins disable {plugin} switches it off; --debug shows where it happened"


def _described(name: str, distribution: Distribution) -> Plugin:
    try:
        version = " ".join(distribution.version.split())
        return Plugin(name, version, tuple(_offers(name, version, distribution)))
    except Exception as exc:
        return Plugin(name, "", (), f"its metadata cannot be read: {said(exc)}")


def _offers(name: str, version: str, distribution: Distribution) -> Iterator[Offer]:
    for entry in distribution.entry_points:
        if kind := GROUPS.get(entry.group):
            yield Offer(kind, entry.name, name, version, entry)
